// The marks: whether what was predicted of a photo is right. They are kept in the browser, where
// it allows that, and saved as a CSV, which scripts/import_labels.py review takes back.

const VERDICTS = { right: "right", wrong: "wrong", empty: "nothing there", other: "other species" };
const MARK_KEYS = { r: "right", w: "wrong", e: "empty", o: "other" };
const COLUMNS = ["file", "predicted", "verdict", "species", "model", "weights", "prediction"];
const STORE = "camera_trapinator marks " + data.key;  // pages on one disk share the store

const marks = new Map();  // file -> [verdict, true species]
let saved = true, kept = true;

const predictedOf = (photo) => photo.species.map((index) => data.kinds[index].name).join(" + ");
const markOf = (photo) => {
  const [verdict, name] = marks.get(photo.file) ?? [];
  return verdict === "other" ? name : VERDICTS[verdict] ?? "";
};

// Give a photo a mark, or take it away if it has this one.
function mark(photo, verdict, name = "") {
  if (photo.failure || (verdict === "other" && !name)) return;
  if (verdict === "other" && name === predictedOf(photo)) verdict = "right";
  const [known, species] = marks.get(photo.file) ?? [];
  if (known === verdict && (verdict !== "other" || species === name)) marks.delete(photo.file);
  else marks.set(photo.file, [verdict, verdict === "other" ? name : ""]);
  saved = false;
  try {
    localStorage.setItem(STORE, JSON.stringify([...marks]));
  } catch {
    kept = false;
  }
  showMarks();
}

function showMarks() {
  for (const tile of document.querySelectorAll(".photo")) {
    const text = markOf(data.photos[tile.dataset.index]);
    Object.assign(tile.querySelector(".mark"), { textContent: text, hidden: !text });
  }
  byId("marked").textContent = photosIn(marks.size) + " marked" + (marks.size && !kept
    ? ": this browser keeps the marks only while the page is open" : "");
  byId("save").disabled = !marks.size;
  if (state.open === null) return;
  const photo = state.found[state.open];
  const [verdict, name] = marks.get(photo.file) ?? [];
  for (const button of document.querySelectorAll("#verdicts [data-verdict]")) {
    button.ariaPressed = String(button.dataset.verdict === verdict);
  }
  byId("other").value = name ?? "";
  byId("verdicts").disabled = Boolean(photo.failure);
}

// A file name that is no Unicode, and a text that a spreadsheet would run, as in our other tables.
function cell(text) {
  const plain = text.replace(/[\ud800-\udfff]/gu, (half) => "\\u" + half.charCodeAt().toString(16))
    .replace(/^[=+\-@\t\r]/, "'$&");
  return /[",\r\n]/.test(plain) ? '"' + plain.replaceAll('"', '""') + '"' : plain;
}

function marksAsCsv() {
  const rows = data.photos.filter((photo) => marks.has(photo.file)).map((photo) => {
    const [verdict, name] = marks.get(photo.file);
    const predicted = predictedOf(photo) || "empty";
    const truth = { right: predicted, wrong: "", empty: "empty", other: name }[verdict];
    return [photo.file, predicted, verdict, truth, data.model, data.weights, photo.prediction];
  });
  return "\ufeff" + [COLUMNS, ...rows].map((row) => row.map(cell).join(",") + "\n").join("");
}

function saveMarks() {
  const address = URL.createObjectURL(new Blob([marksAsCsv()], { type: "text/csv" }));
  make("a", { href: address, download: "marks.csv" }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
  saved = true;
}

function marking() {
  try {
    for (const [file, entry] of JSON.parse(localStorage.getItem(STORE)) ?? []) {
      marks.set(file, entry);
    }
  } catch {
    kept = false;
  }
  byId("names").append(...data.kinds.slice(1, data.classes).map((item) =>
    make("option", { value: item.name })));
  for (const button of document.querySelectorAll("#verdicts [data-verdict]")) {
    button.addEventListener("click", () => mark(state.found[state.open], button.dataset.verdict));
  }
  byId("other").addEventListener("change", (event) => {
    const photo = state.found[state.open];
    const known = marks.get(photo.file)?.[1];  // the species it was given before
    const name = event.target.value.trim();
    if (name !== known) mark(photo, "other", name || known);
  });
  byId("other").addEventListener("keydown", (event) => {
    if (event.key === "Enter") event.target.blur();  // the keys are those of the photo again
  });
  byId("save").addEventListener("click", saveMarks);
  addEventListener("beforeunload", (event) => {
    if (!saved && !kept && marks.size) event.preventDefault();
  });
}
