// The large view of a photo: the mask over it, what was found, share, to the next one.

import { byId, make, swatch } from "./elements.js";
import { maskCanvas } from "./overlay.js";
import { animalText, colourOf, shown, speciesIn, state } from "./results.js";
import { shareOrSave } from "./tables.js";
import { ask } from "./work.js";
import { percent, word } from "./words.js";

let result = null, notify = null;

function draw(id, source) {
  const canvas = byId(id);
  canvas.width = source.width;
  canvas.height = source.height;
  canvas.getContext("2d").drawImage(source, 0, 0);
}

function facts() {
  const texts = speciesIn(result).map((found) =>
    make("li", {}, swatch(colourOf(found[0])), animalText(found)));
  if (!texts.length) texts.push(make("li", {}, word("empty")));
  texts.push(make("li", { class: "more" },
    word("sureThere", { percent: percent(result.confidence) })));
  byId("name").textContent = [result.name, result.datetime].filter(Boolean).join(" · ");
  byId("animals").replaceChildren(...texts);
  byId("picture").setAttribute("aria-label", result.name);
}

async function show(wanted) {
  result = wanted;
  const readable = shown().filter((one) => !one.failure);
  byId("previous").disabled = readable[0] === result;
  byId("next").disabled = readable.at(-1) === result;
  byId("large").dataset.drawn = "";
  facts();
  const failure = (error) => notify(`${wanted.name}: ${word(error.reason ?? "broken")}`);
  try {
    const { bitmap } = await ask("picture", { file: wanted.file });
    if (result !== wanted) return;  // the person was quicker
    draw("picture", bitmap);
    draw("mask", maskCanvas(wanted, state.model.classes, bitmap.width, bitmap.height));
    bitmap.close();
    byId("large").dataset.drawn = wanted.name;
  } catch (error) {
    failure(error);
    byId("large").close();
  }
}

function turn(step) {
  const readable = shown().filter((one) => !one.failure);
  const next = readable[readable.indexOf(result) + step];
  if (next) show(next);
}

async function share() {
  const together = document.createElement("canvas");
  together.width = byId("picture").width;
  together.height = byId("picture").height;
  const drawing = together.getContext("2d");
  drawing.drawImage(byId("picture"), 0, 0);
  if (!byId("mask").hidden) drawing.drawImage(byId("mask"), 0, 0);
  const blob = await new Promise((resolve) => {
    together.toBlob(resolve, "image/jpeg", 0.9);
  });
  const name = result.name.split("/").at(-1).replace(/\.\w+$/, "") + "_mask.jpg";
  const text = speciesIn(result).map(animalText).join(", ") || word("empty");
  const saved = await shareOrSave([new File([blob], name, { type: "image/jpeg" })], text, true);
  if (saved) byId("name").textContent = word("saved", { name: saved });
}

// `tell(text)` shows a line on the page.
export function largeView(tell) {
  notify = tell;
  byId("close").addEventListener("click", () => byId("large").close());
  byId("previous").addEventListener("click", () => turn(-1));
  byId("next").addEventListener("click", () => turn(1));
  byId("share").addEventListener("click", share);
  byId("toggle").addEventListener("click", () => {
    byId("mask").hidden = !byId("mask").hidden;
    byId("toggle").setAttribute("aria-pressed", String(!byId("mask").hidden));
  });
  byId("large").addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") turn(-1);
    if (event.key === "ArrowRight") turn(1);
  });
}

export function openLarge(wanted) {
  for (const id of ["picture", "mask"]) byId(id).width = byId(id).width;  // nothing of the last one
  byId("large").showModal();
  show(wanted);
}
