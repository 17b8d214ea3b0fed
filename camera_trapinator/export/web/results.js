// The list of results, and the buttons that choose among them.

import { byId, make, swatch } from "./elements.js";
import { speciesOf } from "./tables.js";
import { percent, plain, word } from "./words.js";

const GREY = [128, 128, 128];

export const state = { results: [], model: null, wanted: "all" };

export const nameOf = (blob) => blob.unknown ? word("unknown") : state.model.classes[blob.class][0];
export const colourOf = (blob) => blob.unknown ? GREY : state.model.classes[blob.class][1];

// The species of a photo, each once, by the surest animal: [[blob, number of animals]].
export function speciesIn(result) {
  const found = new Map();
  for (const blob of result.blobs) {
    const key = speciesOf(blob, state.model.classes.map(([name]) => name));
    const [best, number] = found.get(key) ?? [blob, 0];
    found.set(key, [best.class_confidence < blob.class_confidence ? blob : best, number + 1]);
  }
  return [...found.values()];
}

export function animalText([blob, number]) {
  const many = number > 1 ? `${plain(number)} × ` : "";
  return many + word("sureSpecies", { name: nameOf(blob), percent: percent(
    blob.unknown ? blob.confidence : blob.class_confidence) });
}

// What a photo counts as, for the buttons: keys of species, "empty" or "failed".
function kindsOf(result) {
  if (result.failure) return ["\0failed"];
  if (!result.blobs.length) return ["\0empty"];
  return speciesIn(result).map(([blob]) => blob.unknown ? "\0unknown" : nameOf(blob));
}

export const shown = () => state.results.filter((result) => result.done &&
  (state.wanted === "all" || kindsOf(result).includes(state.wanted)));

function row(result, open) {
  const text = make("span", { class: "text" });
  const what = make("span", { class: "what" });
  if (result.failure) {
    what.append(word("failed"));
    text.append(what, make("span", { class: "why" }, word(result.failure)));
  } else {
    what.append(...speciesIn(result).map((found) =>
      make("span", {}, swatch(colourOf(found[0])), animalText(found))));
    if (!result.blobs.length) what.append(word("empty"));
    text.append(what);
  }
  text.append(make("span", { class: "file" }, result.name));
  if (result.failure) {
    return make("li", {}, make("div", { class: "button photo failed" },
      make("span", { class: "none" }), text));
  }
  const button = make("button", { type: "button", class: "photo" },
    make("img", { src: result.address, alt: "", loading: "lazy", decoding: "async" }), text);
  button.addEventListener("click", () => open(result));
  return make("li", {}, button);
}

function chips(show) {
  const done = state.results.filter((result) => result.done);
  const counts = new Map();
  for (const kind of done.flatMap(kindsOf)) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  const species = state.model.classes.slice(1).filter(([name]) => counts.has(name));
  const further = ["unknown", "empty", "failed"].filter((kind) => counts.has("\0" + kind));
  const entries = [["all", word("all"), done.length, null],
    ...species.map(([name, colour]) => [name, name, counts.get(name), colour]),
    ...further.map((kind) => ["\0" + kind, word(kind), counts.get("\0" + kind),
      kind === "unknown" ? GREY : null])];
  if (!entries.some(([key]) => key === state.wanted)) state.wanted = "all";
  byId("chips").hidden = !done.length;
  byId("chips").replaceChildren(...entries.map(([key, name, count, colour]) => {
    const button = make("button", { type: "button",
      "aria-pressed": String(key === state.wanted) }, colour ? swatch(colour) : null,
    `${name} ${plain(count)}`);
    button.addEventListener("click", () => {
      state.wanted = key;
      show();
    });
    return button;
  }));
}

// Write the list anew; `last`: only this photo has come.
export function showResults(open, last = null) {
  if (state.model) chips(() => showResults(open));
  byId("welcome").hidden = state.results.length > 0;
  byId("together").hidden = !state.results.some((result) => result.done);
  if (!last) byId("list").replaceChildren(...shown().map((result) => row(result, open)));
  else if (shown().includes(last)) byId("list").append(row(last, open));
}
