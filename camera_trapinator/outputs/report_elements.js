"use strict";
// What the sections are made with: the data, elements, numbers as text, tables. The page is made
// from the JSON in #data. Texts only ever become text nodes.

const data = JSON.parse(document.getElementById("data").textContent);
const PREDICTED = data.report ? " (predicted)" : "";  // where the true number stands beside
const byId = (id) => document.getElementById(id);

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") element.className = value;
    else if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

function draw(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const number = (value, digits = 3) =>
  value === null || value === undefined ? "n/a" : value.toFixed(digits);
const percent = (value, digits = 1) =>
  value === null || value === undefined ? "n/a" : (100 * value).toFixed(digits) + " %";
// As many digits as a confidence has: 0.99992 is not 1.
const exact = (value) =>
  value === null || value === undefined ? "n/a" : String(Number(value.toFixed(5)));
const whole = (value) => value.toLocaleString("en");
const photosIn = (count) => whole(count) + (count === 1 ? " photo" : " photos");

function named(index) {
  const swatch = make("span", { class: "swatch" });
  swatch.style.background = data.kinds[index].colour;
  return make("span", {}, swatch, data.kinds[index].name);
}

function table(header, rows) {
  const line = (cells, tag) => make("tr", {}, ...cells.map((cell) => {
    const element = make(tag, tag === "th" ? { scope: "col" } : {});
    element.append(cell instanceof Node ? cell : String(cell));
    return element;
  }));
  return make("div", { class: "scroll" }, make("table", {},
    make("thead", {}, line(header, "th")),
    make("tbody", {}, ...rows.map((cells) => line(cells, "td")))));
}

// What is wider than the page scrolls, and then the keyboard must come to it, by a name.
function reachScrolls() {
  for (const element of document.querySelectorAll(".scroll")) {
    if (element.scrollWidth > element.clientWidth) {
      const title = element.parentElement.querySelector("h3") ??
        element.closest("section").querySelector("h2");
      Object.assign(element, { tabIndex: 0, role: "region",
        ariaLabel: "Table: " + title.textContent });
    } else {
      for (const name of ["tabindex", "role", "aria-label"]) element.removeAttribute(name);
    }
  }
}

function section(id, title, hint, ...children) {
  const element = make("section", { id }, make("h2", {}, title),
    hint ? make("p", { class: "hint" }, hint) : null, ...children);
  byId("gallery").before(element);
  return element;
}
