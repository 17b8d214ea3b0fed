// What a photo's file tells beside its pixels: which way up it is, when it was taken, whether it is
// whole. As in camera_trapinator/data/photos.py; the position (GPS) is never looked at.

const ORIENTATION = 0x0112, EXIF_FOLDER = 0x8769;
const TIMES = [[true, 36867], [true, 36868], [false, 306]];  // original, digitized, edited
const TIME = new RegExp(
  "^(\\d{4})([:/-])(\\d\\d)[:/-](\\d\\d)(?: +|T)(\\d\\d?):(\\d\\d)(?::(\\d\\d)(?:\\.\\d+)?)?" +
  "(?![:\\d])\\s*(?:([AaPp])\\.?\\s?[Mm]\\b\\.?)?\\s*(?:Z\\b|[A-Z]{2,4}T\\b|UTC\\b)?([^\\0]*)");
const NAMED_MONTH = /^(\d\d?)[- ]([A-Za-z]{3})[- ](\d{4})(?=[ T])/;
const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

// EXIF or ISO time as "YYYY-MM-DD HH:MM:SS"; "" for junk such as a reset clock (to 2000).
export function readTime(text) {
  text = text.replace(/^[\0 ]+|[\0 ]+$/g, "");
  const named = NAMED_MONTH.exec(text);
  const month = named ? MONTHS.indexOf(named[2].toLowerCase()) + 1 : 0;
  if (month) {
    text = named[3] + "-" + String(month).padStart(2, "0") + "-" + named[1].padStart(2, "0") +
      text.slice(named[0].length);
  }
  const found = TIME.exec(text);
  if (!found || /\p{L}/u.test(found[9])) return "";
  let hour = Number(found[5]);
  if (found[8]) {
    const afterNoon = "pP".includes(found[8]);
    if ((hour > 12 && !afterNoon) || (hour === 0 && afterNoon)) return "";
    if (hour <= 12) hour = hour % 12 + (afterNoon ? 12 : 0);
  } else if (found[5].length === 1 && found[2] === ":") {
    return "";  // EXIF has two digits: here AM or PM may be lost
  }
  const numbers = [found[1], found[3], found[4], hour, found[6], found[7] ?? 0].map(Number);
  const [year, month2, day, hours, minutes, seconds] = numbers;
  const moment = new Date(Date.UTC(year, month2 - 1, day, hours, minutes, seconds));
  const same = moment.getUTCMonth() === month2 - 1 && moment.getUTCDate() === day &&
    moment.getUTCHours() === hours && minutes < 60 && seconds < 60;
  return same && year > 2000 ? moment.toISOString().slice(0, 19).replace("T", " ") : "";
}

// The entries of EXIF's folders. `tiff`: bytes that begin with II or MM. Damaged EXIF in a sound
// photo is common: as if it had none. Returns {orientation, place (of its value), datetime}.
export function readExif(tiff) {
  const facts = { orientation: 1, place: -1, datetime: "" };
  try {
    const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength);
    const little = view.getUint16(0) === 0x4949;
    if (!little && view.getUint16(0) !== 0x4d4d) return facts;
    const short = (place) => view.getUint16(place, little);
    const long = (place) => view.getUint32(place, little);
    const entries = (place) => new Map(Array.from({ length: short(place) }, (_, number) => {
      const entry = place + 2 + 12 * number;
      return [short(entry), entry];
    }));
    const first = entries(long(4));
    const entry = first.get(ORIENTATION);
    if (entry !== undefined && short(entry + 2) === 3) {
      const value = short(entry + 8);
      if (value >= 2 && value <= 8) Object.assign(facts, { orientation: value, place: entry + 8 });
    }
    let further = new Map();
    try {
      if (first.has(EXIF_FOLDER)) further = entries(long(first.get(EXIF_FOLDER) + 8));
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
    for (const [inside, tag] of TIMES) {
      const found = (inside ? further : first).get(tag);
      if (found === undefined || facts.datetime) continue;
      const length = long(found + 4);
      const begin = length > 4 ? long(found + 8) : found + 8;
      facts.datetime = readTime(String.fromCharCode(...tiff.slice(begin, begin + length)));
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;  // it points out of the file
  }
  return facts;
}

// Of a JPEG's bytes: {exif (bytes, or null), whole (whether its end is there)}.
export function readJpeg(bytes) {
  let place = 2, exif = null;
  while (place < bytes.length - 1) {
    const marker = bytes[place + 1];
    if (bytes[place] !== 0xff || marker === 0x00 || marker === 0xff) {
      place += 1;  // pixels, or what fills
    } else if (marker === 0xd9) {
      return { exif, whole: true };
    } else if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8)) {
      place += 2;
    } else {
      const length = bytes[place + 2] << 8 | bytes[place + 3];
      if (marker === 0xe1 && !exif &&
          String.fromCharCode(...bytes.slice(place + 4, place + 10)) === "Exif\0\0") {
        exif = bytes.subarray(place + 10, place + 2 + length);
      }
      place += 2 + length;
    }
  }
  return { exif, whole: false };
}
