// What the page is made with. Texts only ever become text nodes.

export const byId = (id) => document.getElementById(id);

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") element.className = value;
    else if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

export function swatch(colour) {
  const element = make("span", { class: "swatch" });
  element.style.background = `rgb(${colour})`;
  return element;
}
