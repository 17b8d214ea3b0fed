// The large view: the photo itself, where it lies within reach of the page, else its thumbnail;
// names and scores at the boxes, and what is known of the photo.

const chosen = new Map();  // path below the folder of the photos -> file, where somebody chose it

// The way from the page to a photo. Bytes that are no Unicode stand in names as lone surrogates.
const address = (file) => data.way + "/" + file.split("/").map((part) => part
  .split(/([\udc80-\udcff])/u).map((piece, place) => place % 2
    ? "%" + (piece.charCodeAt() - 0xdc00).toString(16) : encodeURIComponent(piece)).join(""))
  .join("/");

function boxes(photo, names) {
  return photo.blobs.map((blob) => {
    const [x, y, width, height] = blob.box;
    const item = data.kinds[blob.kind];
    const box = make("div", { class: "box" }, names ? make("span", { class: "name" +
      (y < 0.08 ? " inside" : "") + (x > 0.7 ? " leftwards" : "") },
    item.name + " " + number(blob.certain, 2)) : null);
    Object.assign(box.style, { left: 100 * x + "%", top: 100 * y + "%", width: 100 * width + "%",
      height: 100 * height + "%", borderColor: item.colour });
    return box;
  });
}

function open(place) {
  if (place < 0 || place >= state.found.length) return;
  state.open = place;
  const photo = state.found[place];
  const drawn = byId("drawn").value;
  const picture = frame(photo, drawn);
  if (drawn === "mask" || drawn === "boxes") {
    for (const box of picture.querySelectorAll(".box")) box.remove();
    if (picture.className === "frame") picture.append(...boxes(photo, true));
  }
  byId("stage").replaceChildren(picture);
  byId("small").hidden = true;
  showWhole(photo, picture);
  byId("facts").replaceChildren(...Object.entries(factsOf(photo)).filter(([, value]) => value)
    .flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
  if (!byId("large").open) byId("large").showModal();
  showMarks();
}

// Put the photo in the place of its thumbnail, if it can be had and is the one that was predicted.
function showWhole(photo, picture) {
  const small = picture.querySelector("img");
  if (!small) return;
  const tell = (why) => {
    byId("why").textContent = why;
    byId("small").hidden = false;
  };
  byId("folder").parentElement.hidden = Boolean(photo.people);
  if (photo.people) return tell("it shows people, or may; the page knows no way to it.");
  const file = chosen.get(photo.file);
  if (!file && data.way === null) return tell("the page knows no way to the photo.");
  const whole = make("img", { alt: photo.file });
  const url = file ? URL.createObjectURL(file) : address(photo.file);
  whole.addEventListener("load", () => {
    const [width, height] = photo.size;
    if (whole.naturalWidth === width && whole.naturalHeight === height) small.replaceWith(whole);
    else if (picture.isConnected) {
      tell(`the photo there has ${whole.naturalWidth} x ${whole.naturalHeight} pixels, the one ` +
        `that was predicted ${width} x ${height}.`);
    }
    if (file) URL.revokeObjectURL(url);
  });
  whole.addEventListener("error", () => picture.isConnected && tell(
    "the photo is not where it was beside the page, or is of a kind that browsers do not show."));
  whole.src = url;
}

function factsOf(photo) {
  const facts = { photo: photo.file, ["species" + PREDICTED]: speciesOf(photo) };
  if (photo.truth) facts["species (true)"] = namesOf(photo.truth) || "empty";
  Object.assign(facts, { location: data.locationNames[photo.location], time: photo.datetime,
    light: photo.night ? "night" : "day" });
  if (!photo.failure) facts.confidence = exact(photo.confidence);
  facts["class confidence"] = photo.blobs.slice(0, 8).map((blob) =>
    data.kinds[blob.kind].name + " " + number(blob.sure)).join(", ");
  if (photo.wrong !== null) facts["wrong pixels"] = percent(photo.wrong, 2);
  if (photo.verdict) facts.verdict = photo.verdict;
  if (photo.failure) facts.reason = photo.failure;
  return facts;
}

function largeView() {
  byId("close").addEventListener("click", () => byId("large").close());
  byId("large").addEventListener("close", () => { state.open = null; });
  byId("folder").addEventListener("change", (event) => {
    for (const file of event.target.files) {
      chosen.set(file.webkitRelativePath.split("/").slice(1).join("/"), file);
    }
    open(state.open);
    if (!chosen.has(state.found[state.open].file)) {
      byId("why").textContent = "in this folder is no " + state.found[state.open].file + ".";
    }
  });
}
