// The mask drawn over a photo: every animal tinted in its colour, with a line around it.

const TINT = 115;  // of 255: the photo shines through

// The classes of a result's mask at a size of your own, by exact nearest neighbour.
export function maskAt({ runs, maskWidth, maskHeight }, width, height) {
  const mask = new Uint8Array(width * height);
  const begins = new Int32Array(maskHeight + 1);  // of each row, its first run
  for (let run = 0; run < runs.length / 4; run += 1) begins[runs[4 * run] + 1] = run + 1;
  for (let row = 0; row < maskHeight; row += 1) {
    begins[row + 1] = Math.max(begins[row + 1], begins[row]);
  }
  const first = (column) => Math.ceil(column * width / maskWidth - 0.5);
  for (let y = 0; y < height; y += 1) {
    const row = Math.min(maskHeight - 1, Math.floor((y + 0.5) * maskHeight / height));
    for (let run = begins[row]; run < begins[row + 1]; run += 1) {
      mask.fill(runs[4 * run + 3], y * width + Math.max(0, first(runs[4 * run + 1])),
        y * width + Math.min(width, first(runs[4 * run + 2])));
    }
  }
  return mask;
}

// A canvas with nothing but the mask. `classes`: [name, [red, green, blue]] of each.
export function maskCanvas(result, classes, width, height) {
  const mask = maskAt(result, width, height);
  const picture = new ImageData(width, height);
  const line = Math.max(1, Math.round(Math.max(width, height) / 300));
  const differs = (pixel, x, y, kind) =>
    (x >= line && mask[pixel - line] !== kind) || (x < width - line && mask[pixel + line] !== kind) ||
    (y >= line && mask[pixel - line * width] !== kind) ||
    (y < height - line && mask[pixel + line * width] !== kind);
  for (let y = 0, pixel = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, pixel += 1) {
      const kind = mask[pixel];
      if (!kind) continue;
      picture.data.set(classes[kind][1], 4 * pixel);
      picture.data[4 * pixel + 3] = differs(pixel, x, y, kind) ? 255 : TINT;
    }
  }
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d").putImageData(picture, 0, 0);
  return canvas;
}
