// predictions.csv as camera_trapinator/outputs/tables.py writes it, as far as a phone knows: without
// location and burst; and with the number of animals. Failures stand in a table of their own.

const FORMULA = /^[=+\-@\t\r]/;  // what a cell that is run begins with

class Fraction {  // written as Python writes one
  constructor(value) { this.value = value; }
  toString() {
    if (Number.isInteger(this.value)) return this.value + ".0";
    if (this.value < 1e-4) return this.value.toExponential().replace(/e-(\d)$/, "e-0$1");
    return String(this.value);
  }
}

function cell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "boolean") return value ? "TRUE" : "FALSE";
  let text = String(value);
  if (typeof value === "string" && FORMULA.test(text) && (text.trim() === "" || isNaN(text))) {
    text = "'" + text;
  }
  return /[",\r\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
}

// The mark at the beginning tells Excel that it is UTF-8.
const table = (rows) => "\ufeff" + rows.map((row) => row.map(cell).join(",") + "\n").join("");
const byFile = (one, other) => one.name < other.name ? -1 : one.name > other.name ? 1 : 0;

export const speciesOf = (blob, names) => blob.unknown ? "unknown" : names[blob.class];

export function predictionsTable(results, classes) {
  const names = classes.map(([name]) => name);
  const header = ["file", "datetime", "empty", "species", "confidence", "class_confidence"];
  for (const name of names.slice(1)) header.push(`share_${name}`, `present_${name}`);
  header.push("blob_class", "blob_x", "blob_y", "blob_width", "blob_height", "animals");
  const rows = [...results].sort(byFile).map((result) => {
    const [blob] = result.blobs;
    const all = result.pixels.reduce((sum, count) => sum + count, 0);
    const row = [result.name, result.datetime, !blob, blob && speciesOf(blob, names),
      new Fraction(result.confidence), blob && new Fraction(blob.class_confidence)];
    for (let index = 1; index < names.length; index += 1) {
      row.push(new Fraction(Number((result.pixels[index] / all).toFixed(6))),
        result.blobs.some((one) => one.class === index && !one.unknown));
    }
    const sides = [result.width, result.height, result.width, result.height];
    row.push(blob && names[blob.class],
      ...sides.map((side, index) => blob && Math.round(blob.box[index] * side)),
      result.blobs.length);
    return row;
  });
  return table([header, ...rows]);
}

// `why`: the reason of a failure as text.
export function failuresTable(failures, why) {
  return table([["file", "failure"],
    ...[...failures].sort(byFile).map((result) => [result.name, why(result)])]);
}

// Share files where the device can (`text` goes with them), else save them. Returns their names if
// they were saved.
export async function shareOrSave(files, text, share) {
  if (share && navigator.canShare?.({ files })) {
    try {
      await navigator.share({ files, text });
      return "";
    } catch (error) {
      if (error.name === "AbortError") return "";  // the person has changed their mind
    }
  }
  for (const file of files) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(file);
    link.download = file.name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  }
  return files.map((file) => file.name).join(", ");
}
