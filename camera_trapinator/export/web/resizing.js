// From a photo's own size to that of the network, the way Pillow does it: a JPEG first to a half, a
// quarter or an eighth (means of pixels), then an antialiased reduction. Pictures are
// {width, height, data}, with four bytes a pixel, of which the first three count.

const BITS = 22;  // of the fraction in Pillow's whole numbers

// Half to even, as Python rounds.
export function roundEven(value) {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 ? below + 1 : below;
}

// The size of a photo at the working scale (its long side in pixels; 0 = as it is).
export function scaledSize(width, height, workingScale) {
  if (!workingScale) return [width, height];
  const factor = workingScale / Math.max(width, height);
  return [Math.max(1, roundEven(width * factor)), Math.max(1, roundEven(height * factor))];
}

// How many times smaller a JPEG is decoded: at least the wanted size is left.
export function draftOf(width, height, target) {
  const scale = Math.min(Math.floor(width / target[0]), Math.floor(height / target[1]));
  return [8, 4, 2, 1].find((step) => scale >= step) ?? 1;
}

// Means of squares of `step` pixels. Rows come in bands: `read(top, rows)` gives their bytes.
export function reduced(width, height, step, read, bandRows = 512) {
  const wide = Math.ceil(width / step), tall = Math.ceil(height / step);
  const data = new Uint8ClampedArray(4 * wide * tall);
  for (let top = 0; top < height; top += bandRows) {
    const rows = Math.min(bandRows, height - top);
    const band = read(top, rows);
    if (step === 1) {
      data.set(band, 4 * wide * top);
      continue;
    }
    for (let y = 0; y < Math.ceil(rows / step); y += 1) {
      const lower = Math.min(rows, (y + 1) * step);
      for (let x = 0; x < wide; x += 1) {
        const right = Math.min(width, (x + 1) * step);
        let red = 0, green = 0, blue = 0;
        for (let row = y * step; row < lower; row += 1) {
          const end = 4 * (row * width + right);
          for (let place = 4 * (row * width + x * step); place < end; place += 4) {
            red += band[place];
            green += band[place + 1];
            blue += band[place + 2];
          }
        }
        const number = (lower - y * step) * (right - x * step);
        const place = 4 * ((top / step + y) * wide + x);
        data[place] = red / number;  // is rounded
        data[place + 1] = green / number;
        data[place + 2] = blue / number;
        data[place + 3] = 255;
      }
    }
  }
  return { width: wide, height: tall, data };
}

// Which pixels of a line each new one is made of, and how much of each, in whole numbers.
function weights(length, used, newLength) {
  const scale = Math.fround(used) / newLength;
  const support = Math.max(scale, 1);
  return Array.from({ length: newLength }, (_, place) => {
    const centre = (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const last = Math.min(length, Math.trunc(centre + support + 0.5));
    const shares = [];
    let sum = 0;
    for (let old = first; old < last; old += 1) {
      const share = Math.max(0, 1 - Math.abs((old - centre + 0.5) / support));
      shares.push(share);
      sum += share;
    }
    return { first, shares: shares.map((share) => Math.trunc(0.5 + share / sum * 2 ** BITS)) };
  });
}

const clipped = (sum) => Math.min(255, Math.max(0, sum >> BITS));

// Along one axis: `step` bytes to the next pixel of a line, `line` to the next line.
function along(data, lines, from, to, result) {
  for (let number = 0; number < lines; number += 1) {
    for (let place = 0; place < to.table.length; place += 1) {
      const { first, shares } = to.table[place];
      let red = 1 << BITS - 1, green = red, blue = red;
      let old = number * from.line + first * from.step;
      for (const share of shares) {
        red += data[old] * share;
        green += data[old + 1] * share;
        blue += data[old + 2] * share;
        old += from.step;
      }
      const target = number * to.line + place * to.step;
      result[target] = clipped(red);
      result[target + 1] = clipped(green);
      result[target + 2] = clipped(blue);
      result[target + 3] = 255;
    }
  }
  return result;
}

// Pillow's resize(target, BILINEAR, box) of a box that begins at the upper left.
export function resized(picture, [width, height], box = [picture.width, picture.height]) {
  if (picture.width === width && picture.height === height) return picture;
  let { data } = picture;
  if (width !== picture.width || box[0] !== width) {
    data = along(data, picture.height, { step: 4, line: 4 * picture.width },
      { step: 4, line: 4 * width, table: weights(picture.width, box[0], width) },
      new Uint8ClampedArray(4 * width * picture.height));
  }
  if (height !== picture.height || box[1] !== height) {
    data = along(data, width, { step: 4 * width, line: 4 },
      { step: 4 * width, line: 4, table: weights(picture.height, box[1], height) },
      new Uint8ClampedArray(4 * width * height));
  }
  return { width, height, data };
}

// Set upright what EXIF's orientation (1 to 8) says of the picture as stored.
export function turned(picture, orientation) {
  if (orientation < 2 || orientation > 8) return picture;
  const lying = orientation > 4;
  const { width, height } = picture;
  const [wide, tall] = lying ? [height, width] : [width, height];
  const old = new Uint32Array(picture.data.buffer, picture.data.byteOffset, width * height);
  const data = new Uint32Array(wide * tall);
  const mirrored = [2, 3, 7, 8].includes(orientation), overturned = [3, 4, 6, 7].includes(orientation);
  for (let y = 0; y < tall; y += 1) {
    for (let x = 0; x < wide; x += 1) {
      let [column, row] = lying ? [y, x] : [x, y];
      if (mirrored) column = width - 1 - column;
      if (overturned) row = height - 1 - row;
      data[y * wide + x] = old[row * width + column];
    }
  }
  return { width: wide, height: tall, data: new Uint8ClampedArray(data.buffer) };
}
