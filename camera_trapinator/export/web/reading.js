// A photo's file to pixels: upright, and at the size of the network, as Python reads it. The browser
// decodes; what it would do otherwise than Python (turning, colours, size) is done here.

import { readExif, readJpeg } from "./exif.js";
import { decodePng, readPng } from "./png.js";
import { draftOf, reduced, resized, scaledSize, turned } from "./resizing.js";
import { Unreadable } from "./unreadable.js";

const HEIC = ["heic", "heix", "hevc", "heim", "heis", "mif1", "msf1"];
const AS_STORED = { colorSpaceConversion: "none", premultiplyAlpha: "none" };

// What a file is by its first bytes, whatever its name says.
export function kindOf(bytes) {
  const text = (begin, end) => String.fromCharCode(...bytes.subarray(begin, end));
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return "jpeg";
  if (text(0, 8) === "\x89PNG\r\n\x1a\n") return "png";
  if (["II*\0", "MM\0*"].includes(text(0, 4))) return "tiff";
  if (text(4, 8) === "ftyp") {
    const brand = text(8, 12);
    return HEIC.includes(brand) ? "heic" : brand.startsWith("avif") ? "other" : "video";
  }
  if (text(0, 4) === "RIFF" && text(8, 11) === "AVI") return "video";
  return "other";
}

async function decoded(blob, kind) {
  try {
    return await createImageBitmap(blob, AS_STORED);
  } catch {
    throw new Unreadable(kind === "heic" ? "heic" : kind === "tiff" ? "tiff" :
      kind === "jpeg" || kind === "png" ? "damaged" : "noPicture");
  }
}

// Pixels of a picture that the browser has decoded; in bands, since phones have little memory.
function readerOf(bitmap) {
  const canvas = new OffscreenCanvas(bitmap.width, Math.min(512, bitmap.height));
  const drawing = canvas.getContext("2d", { willReadFrequently: true });
  return (top, rows) => {
    drawing.clearRect(0, 0, canvas.width, canvas.height);
    drawing.drawImage(bitmap, 0, top, bitmap.width, rows, 0, 0, bitmap.width, rows);
    return drawing.getImageData(0, 0, bitmap.width, rows).data;
  };
}

// An opened photo: {bitmap, orientation, datetime, jpeg}; `bitmap` is as the file stores it.
export async function openPhoto(file) {
  let bytes;
  try {
    bytes = new Uint8Array(await file.arrayBuffer());
  } catch {
    throw new Unreadable("gone");
  }
  if (!bytes.length) throw new Unreadable("nothingInIt");
  const kind = kindOf(bytes);
  if (kind === "video") throw new Unreadable("video");
  if (kind === "png") {
    const png = readPng(bytes);
    const facts = readExif(png.exif ?? new Uint8Array(0));
    if (!png.header.interlaced) {
      const picture = await decodePng(png);
      const bitmap = await createImageBitmap(
        new ImageData(picture.data, picture.width, picture.height), AS_STORED);
      return { ...facts, bitmap, picture, jpeg: false };
    }
    if (png.header.bits === 16) throw new Unreadable("deep");
    return { ...facts, orientation: 1, bitmap: await decoded(file, kind), jpeg: false };
  }
  if (kind !== "jpeg") {  // the browser sets it upright
    const bitmap = await decoded(file, kind);
    return { orientation: 1, datetime: "", bitmap, jpeg: false };
  }
  const { exif, whole } = readJpeg(bytes);
  if (!whole) throw new Unreadable("truncated");
  const facts = readExif(exif ?? new Uint8Array(0));
  if (facts.place >= 0) {  // browsers would turn it as they like, and squares would not fit
    const little = exif[0] === 0x49;
    exif[facts.place] = little ? 1 : 0;
    exif[facts.place + 1] = little ? 0 : 1;
  }
  return { ...facts, bitmap: await decoded(new Blob([bytes], { type: "image/jpeg" }), kind),
    jpeg: true };
}

// The pixels of an opened photo, or of a frame of the camera, at the size of the network; and the
// photo's own upright size.
export function networkPixels({ bitmap, picture, orientation, jpeg }, workingScale) {
  const { width, height } = bitmap;
  const lying = orientation > 4;
  const target = scaledSize(width, height, workingScale);
  const step = jpeg ? draftOf(width, height, target) : 1;
  const small = picture ?? reduced(width, height, step, readerOf(bitmap));
  const pixels = turned(resized(small, target, [width / step, height / step]), orientation);
  return { pixels, width: lying ? height : width, height: lying ? width : height };
}

// An upright copy to look at, of at most `longSide` pixels.
export function preview({ bitmap, orientation }, longSide) {
  const [width, height] = scaledSize(bitmap.width, bitmap.height,
    Math.min(longSide, Math.max(bitmap.width, bitmap.height)));
  const lying = orientation > 4;
  const canvas = new OffscreenCanvas(lying ? height : width, lying ? width : height);
  const drawing = canvas.getContext("2d");
  const turns = { 2: [-1, 0, 0, 1, width, 0], 3: [-1, 0, 0, -1, width, height],
    4: [1, 0, 0, -1, 0, height], 5: [0, 1, 1, 0, 0, 0], 6: [0, 1, -1, 0, height, 0],
    7: [0, -1, -1, 0, height, width], 8: [0, -1, 1, 0, 0, width] };
  if (turns[orientation]) drawing.setTransform(...turns[orientation]);
  drawing.imageSmoothingQuality = "high";
  drawing.drawImage(bitmap, 0, 0, width, height);
  return canvas;
}
