"use strict";
// The page is made from the JSON in #data; photos come from the script elements "thumbnails-N",
// which are parsed when a page of the gallery first needs them. Texts only ever become text nodes.

const data = JSON.parse(document.getElementById("data").textContent);
const PAGE = 48;  // photos
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
const whole = (value) => value.toLocaleString("en");

function named(index) {
  const swatch = make("span", { class: "swatch" });
  swatch.style.background = data.classes[index].colour;
  return make("span", {}, swatch, data.classes[index].name);
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

function section(id, title, hint, ...children) {
  const element = make("section", { id }, make("h2", {}, title),
    hint ? make("p", { class: "hint" }, hint) : null, ...children);
  byId("gallery").before(element);
  return element;
}

// ------------------------------------------------------------------------------- sections

function summary() {
  document.title = data.title;
  byId("title").textContent = data.title;
  byId("subtitle").textContent = data.subtitle;
  const cards = [[whole(data.counts.photos), "photos"], [whole(data.counts.animals), "with animals"],
    [whole(data.counts.empty), "empty"], [whole(data.counts.failures), "could not be read"]];
  const report = data.report;
  if (report) {
    cards.push([number(report.mean_iou), "mean IoU of the species"],
      [number(report.foreground_iou), "foreground IoU"]);
  }
  const place = byId("summary");
  if (data.note) place.append(make("p", { class: "warning" }, data.note));
  place.append(make("div", { class: "cards" }, ...cards.map(([value, what]) =>
    make("div", { class: "card" }, make("b", {}, value), make("span", {}, what)))));
}

function classes(report) {
  const rows = data.classes.map((item, index) => {
    const row = report.classes[item.name];
    const there = report.presence[item.name];
    return [named(index), number(row.iou), number(row.dice), number(row.precision),
      number(row.recall), there ? there.true_positive + " of " + there.photos : "",
      there ? there.false_positive : ""];
  });
  section("classes", "Classes", "Of all pixels of the test photos; n/a: not in them.",
    table(["class", "IoU", "Dice", "precision", "recall", "found in photos",
      "false alarms in photos"], rows));
}

function confusion(report) {
  const header = ["truth \u2193  predicted \u2192", ...data.classes.map((item) => item.name)];
  const element = table(header, report.confusion.map((row, index) => {
    const total = row.reduce((sum, count) => sum + count, 0);
    return [named(index), ...row.map((count) => {
      const cell = make("span", {}, total ? percent(count / total) : "n/a");
      if (total) cell.dataset.share = count / total;
      return cell;
    })];
  }));
  for (const cell of element.querySelectorAll("[data-share]")) {
    cell.parentElement.className = "cell";
    cell.parentElement.style.background =
      "rgba(var(--heat), " + 0.6 * Math.sqrt(cell.dataset.share) + ")";
  }
  section("confusion", "Confusion", "Where the pixels of each true class went.", element);
}

function groups(report) {
  const rows = (group) => Object.entries(group).map(([name, row]) =>
    [name, whole(row.images), number(row.mean_iou), number(row.foreground_iou)]);
  const header = (what) => [what, "photos", "mean IoU", "foreground IoU"];
  const sizes = Object.entries(report.by_size).map(([name, row]) =>
    [name, whole(row.images), percent(row.found_share), percent(row.recall),
      number(row.foreground_iou)]);
  section("groups", "Where it holds", null, make("div", { class: "side" },
    make("div", {}, make("h3", {}, "Locations"), table(header("trained on?"), rows(report.locations))),
    make("div", {}, make("h3", {}, "Day and night"), table(header("light"), rows(report.light))),
    make("div", {}, make("h3", {}, "Size of the animals"),
      table(["share of the photo", "photos", "found", "pixels found", "foreground IoU"], sizes))));
}

function emptyPhotos(report) {
  const found = report.find_animals;
  if (!found) return;
  const [width, height, left, bottom, top] = [420, 270, 44, 34, 22];
  const x = (recall) => left + recall * (width - left - 10);
  const y = (precision) => top + (1 - precision) * (height - bottom - top);
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img",
    "aria-label": "Precision by recall of photos with an animal" });
  for (const tick of [0, 0.25, 0.5, 0.75, 1]) {
    svg.append(draw("line", { class: "axis", x1: x(0), x2: x(1), y1: y(tick), y2: y(tick) }),
      draw("line", { class: "axis", x1: x(tick), x2: x(tick), y1: y(0), y2: y(1) }),
      draw("text", { x: 4, y: y(tick) + 4 }, String(tick)),
      draw("text", { x: x(tick) - 8, y: height - 18 }, String(tick)));
  }
  svg.append(draw("text", { x: x(0.5) - 20, y: height - 3 }, "recall"),
    draw("text", { x: 4, y: 11 }, "precision"),
    draw("polyline", { class: "curve",
      points: found.curve.map(([recall, precision]) => x(recall) + "," + y(precision)).join(" ") }));
  const rows = Object.entries(found.thresholds).map(([recall, row]) => {
    svg.append(draw("circle", { class: "mark", r: 4, cx: x(row.recall), cy: y(row.precision) }));
    const validation = data.thresholds ? number(data.thresholds[recall]) : "n/a";
    return [percent(Number(recall), 0), number(row.threshold), percent(row.precision),
      percent(row.look_at), validation];
  });
  section("empty", "Is this photo empty?",
    "A photo's confidence is the largest smoothed foreground probability. From the threshold on, " +
    "so many of the photos with an animal are found; the rest of the photos need no look.",
    make("div", { class: "side" }, make("div", {}, svg), make("div", {},
      table(["animals found", "threshold here", "of them right", "photos to look at",
        "threshold from validation"], rows),
      make("p", { class: "hint" }, "Average precision " + number(found.average_precision) +
        ", " + whole(found.with_animals) + " of " + whole(found.images) + " photos with animals."))));
}

function species() {
  const rows = data.species.filter((row) => row.photos).map((row) =>
    [named(row.index), whole(row.photos), whole(row.sequences), whole(row.locations), row.most]);
  section("counts", "Species", "By the predictions; most: blobs in one photo.",
    table(["species", "photos", "sequences", "locations", "most"], rows));
}

function activity() {
  const shown = data.species.filter((row) => row.hours.some((count) => count));
  if (!shown.length) return;
  const charts = shown.map((row) => {
    const most = Math.max(...row.hours);
    const svg = draw("svg", { viewBox: "0 0 300 96", width: 300, height: 96, role: "img",
      "aria-label": "Photos of " + data.classes[row.index].name + " by hour of the day" });
    row.hours.forEach((count, hour) => {
      const high = 70 * count / most;
      svg.append(draw("rect", { class: "bar", x: 4 + hour * 12, y: 76 - high, width: 10,
        height: high }, draw("title", {}, hour + " h: " + count)));
    });
    for (const hour of [0, 6, 12, 18, 24]) {
      svg.append(draw("text", { x: 2 + hour * 11.8, y: 92 }, String(hour)));
    }
    return make("div", {}, make("h3", {}, named(row.index)), svg);
  });
  section("activity", "Activity by hour", "Photos by the hour of the camera's clock.",
    make("div", { class: "side" }, ...charts));
}

function cameras() {
  const scored = data.report !== null;
  const header = ["location", "photos", "with animals", "empty", "could not be read"];
  if (scored) header.push("mean IoU", "foreground IoU", "missed", "false alarms");
  const rows = data.locations.map((row) => {
    const cells = [row.name, whole(row.photos), whole(row.animals), whole(row.empty),
      whole(row.failures)];
    if (scored) {
      cells.push(number(row.mean_iou), number(row.foreground_iou), row.missed, row.false_alarms);
    }
    return cells;
  });
  section("cameras", "Locations", scored ? "The worst first." : null, table(header, rows));
}

function heats() {
  if (!data.heats.length) return;
  const figures = data.heats.map((heat) => {
    const canvas = make("canvas", { width: heat.width, height: heat.height });
    const context = canvas.getContext("2d");
    heat.shares.forEach((share, index) => {
      context.fillStyle = "rgba(255, 60, 0, " + 0.8 * share / heat.most + ")";
      context.fillRect(index % heat.width, Math.floor(index / heat.width), 1, 1);
    });
    const frame = make("div", { class: "frame" },
      make("img", { src: "data:image/jpeg;base64," + heat.photo, alt: "" }), canvas);
    return make("figure", {}, frame, make("figcaption", {}, heat.location + ": fires in one place in " +
      percent(heat.most, 0) + " of " + whole(heat.photos) + " photos"));
  });
  section("heats", "Always fires here", data.report
    ? "Where empty photos of one camera are marked again and again: a stone, a branch."
    : "Where the photos of one camera are marked again and again: an animal's path, or a stone.",
  make("div", { class: "heats" }, ...figures));
}

// -------------------------------------------------------------------------------- gallery

const STATES = {
  all: ["all photos", () => true],
  animals: ["with animals", (photo) => !photo.failure && photo.species.length > 0],
  empty: ["empty", (photo) => !photo.failure && photo.species.length === 0],
  faint: ["empty, but a faint sign", (photo) => !photo.failure && photo.species.length === 0 &&
    photo.faint],
  missed: ["missed animals", (photo) => photo.verdict === "missed"],
  alarm: ["false alarms", (photo) => photo.verdict === "false alarm"],
  night: ["at night", (photo) => photo.night],
  failed: ["could not be read", (photo) => Boolean(photo.failure)],
};
const compare = (key) => (a, b) => key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0;
const unsure = (photo) => photo.failure ? 2 : Math.abs(photo.confidence - 0.5);
const firstSpecies = (photo) =>
  photo.species.length ? data.classes[photo.species[0]].name : "\uffff";
const ORDERS = {
  worst: ["worst first", compare((photo) => -(photo.wrong ?? -1))],
  unsure: ["least confident first", compare(unsure)],
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
  if (drawn === "boxes") {
    for (const [x, y, width, height, index] of photo.boxes) {
      const box = make("div", { class: "box" });
      Object.assign(box.style, { left: 100 * x + "%", top: 100 * y + "%", width: 100 * width + "%",
        height: 100 * height + "%", borderColor: data.classes[index].colour });
      element.append(box);
    }
  }
  return element;
}

const speciesOf = (photo) => photo.failure ? "could not be read" :
  photo.species.map((index) => data.classes[index].name).join(", ") || "empty";

function tile(photo, place) {
  const verdict = photo.verdict ? make("span", { class: "badge bad" }, photo.verdict) : null;
  const score = photo.failure ? "" : photo.wrong === null ? " " + number(photo.confidence, 2)
    : " " + percent(photo.wrong) + " of the pixels wrong";
  const button = make("button", { type: "button", class: "photo", "data-place": String(place) },
    make("div", { class: "picture" }, frame(photo, byId("drawn").value)),
    make("div", { class: "text" }, make("b", {}, speciesOf(photo)), score.trim(), verdict ? " " : "",
      verdict, make("div", {}, photo.file)));
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
  byId("count").textContent = whole(state.found.length) + " photos";
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

function open(place) {
  if (place < 0 || place >= state.found.length) return;
  state.open = place;
  const photo = state.found[place];
  byId("stage").replaceChildren(frame(photo, byId("drawn").value));
  const facts = { photo: photo.file, species: speciesOf(photo), location:
    data.locationNames[photo.location], time: photo.datetime, light: photo.night ? "night" : "day" };
  if (!photo.failure) facts.confidence = number(photo.confidence);
  if (photo.wrong !== null) facts["wrong pixels"] = percent(photo.wrong, 2);
  if (photo.verdict) facts.verdict = photo.verdict;
  if (photo.failure) facts.reason = photo.failure;
  byId("facts").replaceChildren(...Object.entries(facts).filter(([, value]) => value).flatMap(
    ([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
  if (!byId("large").open) byId("large").showModal();
}

function toggleMask() {
  byId("drawn").value = byId("drawn").value === "none" ? "mask" : "none";
  redraw();
}

function redraw() {
  render();
  if (byId("large").open) open(state.open);
}

function keys(event) {
  const typing = event.target.matches("input, select");
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (byId("large").open) {
    if (step) open(state.open + step);
    else if (event.key === "m") toggleMask();
    else return;  // Escape closes the dialog
  } else if (typing) {
    return;
  } else if (step) {
    turn(step);
  } else if (event.key === "m") {
    toggleMask();
  } else if (event.key === "/") {
    byId("search").focus();
  } else {
    return;
  }
  event.preventDefault();
}

function gallery() {
  const fill = (id, entries) => byId(id).append(...entries.map(([value, text]) =>
    make("option", { value: String(value) }, text)));
  const scored = data.report !== null;
  fill("state", Object.entries(STATES).filter(([, [, keep]]) => data.photos.some(keep))
    .map(([key, [text]]) => [key, text]));
  fill("species", [["", "all"], ...data.classes.slice(1).map((item, index) =>
    [index + 1, item.name])]);
  fill("location", [["", "all"], ...data.locationNames.map((name, index) => [index, name || "-"])]);
  fill("order", Object.entries(ORDERS).filter(([key]) => scored || key !== "worst")
    .map(([key, [text]]) => [key, text]));
  fill("drawn", Object.entries(DRAWN).filter(([key]) => scored || key !== "truth"));
  if (data.counts.photos > data.photos.length) {
    byId("shown").textContent = "Of " + whole(data.counts.photos) + " photos these are the " +
      whole(data.photos.length) + (scored ? " worst." : " of which the model is least sure.");
  }
  for (const id of ["state", "species", "location", "order"]) {
    byId(id).addEventListener("change", filter);
  }
  byId("search").addEventListener("input", filter);
  byId("drawn").addEventListener("change", redraw);
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("previous").addEventListener("click", () => turn(-1));
  byId("next").addEventListener("click", () => turn(1));
  byId("close").addEventListener("click", () => byId("large").close());
  document.addEventListener("keydown", keys);
  document.addEventListener("DOMContentLoaded", render);  // now all pictures are there
  filter();
}

function navigation() {
  const links = [...document.querySelectorAll("main section")].map((element) =>
    make("a", { href: "#" + element.id }, element.querySelector("h2").textContent));
  document.querySelector("nav").append(...links);
}

summary();
if (data.report) {
  classes(data.report);
  groups(data.report);
  emptyPhotos(data.report);
  confusion(data.report);
}
species();
activity();
cameras();
heats();
gallery();
navigation();
