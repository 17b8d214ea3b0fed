// The languages: every text of the page comes from languages.json.

import { byId, make } from "./elements.js";

let languages = {};
let spoken = "en";

// What is remembered from visit to visit; a browser may forbid it.
export function remembered(name, value) {
  try {
    if (value !== undefined) localStorage.setItem(name, value);
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

export function word(key, values = {}) {
  return Object.entries(values).reduce(
    (text, [name, value]) => text.replace(`{${name}}`, () => value), languages[spoken][key]);
}

export const percent = (share) => new Intl.NumberFormat(spoken, { style: "percent",
  maximumFractionDigits: 0 }).format(share);
export const plain = (number, digits = 0) =>
  new Intl.NumberFormat(spoken, { maximumFractionDigits: digits }).format(number);

function speak(code) {
  spoken = code;
  document.documentElement.lang = code;
  for (const element of document.querySelectorAll("[data-text]")) {
    element.textContent = word(element.dataset.text);
  }
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", word(element.dataset.label));
  }
}

// Begin in the language of the browser; `changed` is called when another one is chosen.
export async function chooseLanguage(changed) {
  languages = await (await fetch("languages.json")).json();
  const wanted = [remembered("language"), ...navigator.languages].map(
    (code) => String(code).slice(0, 2)).find((code) => code in languages) ?? "en";
  byId("languages").append(...Object.entries(languages).map(([code, table]) =>
    make("option", { value: code, lang: code }, table.language)));
  byId("languages").value = wanted;
  byId("languages").addEventListener("change", () => {
    remembered("language", byId("languages").value);
    speak(byId("languages").value);
    changed();
  });
  speak(wanted);
}
