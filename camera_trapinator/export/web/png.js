// PNGs to pixels. A browser shows of 16 bits the upper eight, so that photos of 12 bits become
// black, and changes colours where they are transparent; here they are what Python's rules say.

import { roundEven } from "./resizing.js";
import { Unreadable } from "./unreadable.js";

const CHANNELS = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };  // by colour type
const DEPTHS = [8, 10, 12, 14, 16];

// {header, exif, body, palette}, or null if the bytes are no PNG.
export function readPng(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const parts = [];
  const found = { header: null, exif: null, palette: null, body: null };
  let place = 8, ended = false;
  while (place + 12 <= bytes.length && !ended) {
    const length = view.getUint32(place);
    const kind = String.fromCharCode(...bytes.subarray(place + 4, place + 8));
    const content = bytes.subarray(place + 8, place + 8 + length);
    if (content.length < length) break;
    if (kind === "IHDR") {
      found.header = { width: view.getUint32(place + 8), height: view.getUint32(place + 12),
        bits: content[8], colour: content[9], interlaced: content[12] > 0 };
    } else if (kind === "PLTE") found.palette = content;
    else if (kind === "eXIf") found.exif = content;
    else if (kind === "IDAT") parts.push(content);
    else if (kind === "IEND") ended = true;
    place += 12 + length;
  }
  if (!found.header) throw new Unreadable("damaged");
  if (!ended) throw new Unreadable("truncated");
  found.body = new Blob(parts);
  return found;
}

async function inflated(body, length) {
  const rows = new Uint8Array(length);
  let filled = 0;
  try {
    const reader = body.stream().pipeThrough(new DecompressionStream("deflate")).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      rows.set(value.subarray(0, length - filled), filled);
      filled = Math.min(length, filled + value.length);
    }
  } catch {
    throw new Unreadable(filled < length ? "truncated" : "damaged");
  }
  if (filled < length) throw new Unreadable("truncated");
  return rows;
}

// Undo the filters of the rows, in place. Source: the PNG standard, section 9.
function unfilter(rows, stride, step, height) {
  for (let y = 0; y < height; y += 1) {
    const begin = y * (stride + 1);
    const filter = rows[begin];
    if (filter > 4) throw new Unreadable("damaged");
    for (let x = 1; x <= stride; x += 1) {
      const place = begin + x;
      const left = x > step ? rows[place - step] : 0;
      const above = y ? rows[place - stride - 1] : 0;
      if (filter === 1) rows[place] += left;
      else if (filter === 2) rows[place] += above;
      else if (filter === 3) rows[place] += left + above >> 1;
      else if (filter === 4) {
        const corner = y && x > step ? rows[place - stride - 1 - step] : 0;
        const guess = left + above - corner;
        const [one, two, three] = [left, above, corner].map((value) => Math.abs(guess - value));
        rows[place] += one <= two && one <= three ? left : two <= three ? above : corner;
      }
    }
  }
}

// White is what the bits in use can hold, by the brightest pixel (16 bits a channel only).
function shades(values, bits, alphaBehind, channels) {
  const table = new Uint8Array(2 ** bits);
  let white = 2 ** bits - 1;
  if (bits === 16) {
    let most = 0;
    for (let place = 0; place < values.length; place += 1) {
      if (alphaBehind && place % channels === channels - 1) continue;
      if (values[place] > most) most = values[place];
    }
    white = 2 ** DEPTHS.find((depth) => most < 2 ** depth) - 1;
  }
  for (let value = 0; value < table.length; value += 1) {
    table[value] = Math.min(255, roundEven(value * (255 / white)));
  }
  return table;
}

// The picture of a PNG that `readPng` has read and that is not interlaced.
export async function decodePng({ header, body, palette }) {
  const { width, height, bits, colour } = header;
  const channels = CHANNELS[colour];
  if (!channels || !width || !height) throw new Unreadable("damaged");
  const stride = Math.ceil(width * channels * bits / 8);
  const rows = await inflated(body, (stride + 1) * height);
  unfilter(rows, stride, Math.max(1, channels * bits >> 3), height);
  const values = bits === 16 ? new Uint16Array(width * height * channels)
    : new Uint8Array(width * height * channels);
  let target = 0;
  for (let y = 0; y < height; y += 1) {
    const begin = y * (stride + 1) + 1;
    for (let x = 0; x < width * channels; x += 1) {
      if (bits === 8) values[target] = rows[begin + x];
      else if (bits === 16) values[target] = rows[begin + 2 * x] << 8 | rows[begin + 2 * x + 1];
      else {
        const shift = 8 - bits - x * bits % 8;
        values[target] = rows[begin + (x * bits >> 3)] >> shift & 2 ** bits - 1;
      }
      target += 1;
    }
  }
  const table = shades(values, bits, colour > 3, channels);
  const data = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let pixel = 0; pixel < width * height; pixel += 1) {
    for (let channel = 0; channel < 3; channel += 1) {
      const value = values[pixel * channels + (channels > 2 ? channel : 0)];
      data[4 * pixel + channel] = colour === 3 ? palette[3 * value + channel] : table[value];
    }
  }
  return { width, height, data };
}
