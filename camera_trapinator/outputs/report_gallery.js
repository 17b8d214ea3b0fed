// The gallery: photos to filter, sort, page through and mark, by mouse and keyboard. Thumbnails
// come from the script elements "thumbnails-N", which are parsed when a page first needs them.

const PAGE = 48;  // photos
const STATES = {
  all: ["all photos", () => true],
  animals: ["with animals" + PREDICTED, (photo) => !photo.failure && photo.species.length > 0],
  empty: ["empty" + PREDICTED, (photo) => !photo.failure && photo.species.length === 0],
  faint: ["empty, but a faint sign", (photo) => !photo.failure && photo.species.length === 0 &&
    photo.faint],
  missed: ["missed animals", (photo) => photo.verdict === "missed"],
  alarm: ["false alarms", (photo) => photo.verdict === "false alarm"],
  night: ["at night", (photo) => photo.night],
  failed: ["could not be read", (photo) => Boolean(photo.failure)],
  marked: ["marked", (photo) => marks.has(photo.file)],
  unmarked: ["not marked", (photo) => !marks.has(photo.file)],
};
const ALWAYS = ["all", "marked", "unmarked"];  // the others where there is such a photo
const compare = (key) => (a, b) => key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0;
const unsure = (photo) => photo.failure ? 2 : Math.abs(photo.confidence - 0.5);
const firstSpecies = (photo) =>
  photo.species.length ? data.kinds[photo.species[0]].name : "\uffff";
const leastSure = (photo) => Math.min(2, ...photo.blobs.map((blob) => blob.sure));
const ORDERS = {
  worst: ["worst first", compare((photo) => -(photo.wrong ?? -1))],
  unsure: ["least confident first", compare(unsure)],
  doubt: ["least sure of the species first", compare(leastSure)],
  species: ["species", compare(firstSpecies)],
  location: ["location and time",
    compare((photo) => data.locationNames[photo.location] + "\u0000" + photo.datetime)],
  name: ["name", compare((photo) => photo.file)],
};
const DRAWN = { mask: "predicted mask", truth: "true mask", boxes: "boxes", none: "nothing" };

const state = { page: 0, found: [], open: null };

function thumbnails(index) {
  const chunk = Math.floor(index / data.chunk);
  const source = byId("thumbnails-" + chunk);
  if (!source) return null;  // the file is still being read
  if (!source.parsed) source.parsed = JSON.parse(source.textContent);
  return source.parsed[index % data.chunk];
}

function frame(photo, drawn) {
  const pictures = thumbnails(photo.index);
  if (!pictures || !pictures[0]) {
    return make("div", { class: "unread" }, photo.failure || "\u2026");
  }
  const element = make("div", { class: "frame" }, make("img", {
    src: "data:image/jpeg;base64," + pictures[0], alt: photo.file, loading: "lazy",
    decoding: "async" }));
  const overlay = drawn === "mask" ? pictures[1] : drawn === "truth" ? pictures[2] : null;
  if (overlay) {
    element.append(make("img", { class: "mask", alt: "", src: "data:image/png;base64," + overlay }));
  }
  if (drawn === "boxes") element.append(...boxes(photo, false));
  return element;
}

const namesOf = (kinds) => kinds.map((index) => data.kinds[index].name).join(", ");
const speciesOf = (photo) => photo.failure ? "could not be read" :
  namesOf(photo.species) || "empty";

function tile(photo, place) {
  const verdict = photo.verdict ? make("span", { class: "badge bad" }, photo.verdict) : null;
  const score = photo.failure ? "" : photo.wrong === null ? " " + number(photo.confidence, 2)
    : " " + percent(photo.wrong) + " of the pixels wrong";
  const marked = markOf(photo);
  const button = make("button", { type: "button", class: "photo", "data-place": String(place),
    "data-index": String(photo.index) },
    make("div", { class: "picture" }, frame(photo, byId("drawn").value)),
    make("div", { class: "text" }, make("b", {}, speciesOf(photo)), score.trim(), verdict ? " " : "",
      verdict, " ", make("span", { class: "badge mark", hidden: !marked }, marked),
      make("div", {}, photo.file)));
  button.addEventListener("click", () => open(place));
  return button;
}

function render() {
  const first = state.page * PAGE;
  const pages = Math.max(1, Math.ceil(state.found.length / PAGE));
  byId("photos").replaceChildren(...state.found.slice(first, first + PAGE)
    .map((photo, offset) => tile(photo, first + offset)));
  byId("page").textContent = "page " + (state.page + 1) + " of " + pages;
  byId("previous").disabled = state.page === 0;
  byId("next").disabled = state.page + 1 >= pages;
  byId("count").textContent = photosIn(state.found.length);
  showMarks();
}

function filter() {
  const wanted = byId("search").value.toLowerCase();
  const [, keep] = STATES[byId("state").value];
  const [index, location] = [byId("species").value, byId("location").value];
  state.found = data.photos.filter((photo) => keep(photo) &&
    (!wanted || photo.file.toLowerCase().includes(wanted)) &&
    (index === "" || photo.species.includes(Number(index))) &&
    (location === "" || photo.location === Number(location)));
  state.found.sort(ORDERS[byId("order").value][1]);
  state.page = 0;
  render();
}

function turn(step) {
  const pages = Math.ceil(state.found.length / PAGE);
  state.page = Math.min(Math.max(0, state.page + step), Math.max(0, pages - 1));
  render();
  byId("gallery").scrollIntoView();
}

function toggleMask() {
  byId("drawn").value = byId("drawn").value === "none" ? "mask" : "none";
  redraw();
}

function redraw() {
  render();
  if (byId("large").open) open(state.open);
}

// The photo that a key is for: the one in the large view, or in the gallery the one in focus.
function placeInView() {
  if (byId("large").open) return state.open;
  const place = document.activeElement.closest(".photo")?.dataset.place;
  return place === undefined ? null : Number(place);
}

function keys(event) {
  const typing = event.target.matches("input, select");
  if (event.ctrlKey || event.metaKey || event.altKey || typing) return;
  const [large, place] = [byId("large").open, placeInView()];
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const verdict = MARK_KEYS[event.key];
  if (step && large) {
    open(state.open + step);
  } else if (step) {
    turn(step);
  } else if (event.key === "m") {
    toggleMask();
  } else if (verdict && place !== null) {
    if (verdict !== "other") mark(state.found[place], verdict);
    else {
      if (!large) open(place);
      byId("other").focus();
    }
  } else if (event.key === "/" && !large) {
    byId("search").focus();
  } else {
    return;  // Escape closes the dialog
  }
  event.preventDefault();
}

function gallery() {
  const fill = (id, entries) => byId(id).append(...entries.map(([value, text]) =>
    make("option", { value: String(value) }, text)));
  const scored = data.report !== null;
  marking();
  largeView();
  byId("legend").append(...data.kinds.slice(1).map((item, index) =>
    make("li", {}, named(index + 1))));
  fill("state", Object.entries(STATES).filter(([key, [, keep]]) => ALWAYS.includes(key) ||
    data.photos.some(keep)).map(([key, [text]]) => [key, text]));
  fill("species", [["", "all"], ...data.kinds.slice(1).map((item, index) =>
    [index + 1, item.name])]);
  fill("location", [["", "all"], ...data.locationNames.map((name, index) => [index, name || "-"])]);
  fill("order", Object.entries(ORDERS).filter(([key]) => scored || key !== "worst")
    .map(([key, [text]]) => [key, text]));
  fill("drawn", Object.entries(DRAWN).filter(([key]) => scored || key !== "truth"));
  if (data.counts.photos - (data.counts.hidden ?? 0) > data.photos.length) {
    byId("shown").textContent = "Of " + whole(data.counts.photos) + " photos these are the " +
      whole(data.photos.length) + (scored ? " worst." : " of which the model is least sure.");
  }
  if (data.counts.hidden) {
    byId("shown").append(" " + photosIn(data.counts.hidden) + " with people, or perhaps, are not " +
      "among them.");
  }
  for (const id of ["state", "species", "location", "order"]) {
    byId(id).addEventListener("change", filter);
  }
  byId("search").addEventListener("input", filter);
  byId("drawn").addEventListener("change", redraw);
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("previous").addEventListener("click", () => turn(-1));
  byId("next").addEventListener("click", () => turn(1));
  document.addEventListener("keydown", keys);
  document.addEventListener("DOMContentLoaded", render);  // now all pictures are there
  filter();
}
