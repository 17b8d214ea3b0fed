// From logits to the mask of a photo, and its runs, as camera_trapinator/networks/prediction.py.
// What the network says is {height, width, logits (class after class), foreground, confidence}.

// The class with the largest logit of each pixel, the first of equal ones, from class `begin` on.
export function likeliest(logits, pixels, begin = 0) {
  const classes = new Uint8Array(pixels).fill(begin);
  const most = logits.slice(begin * pixels, (begin + 1) * pixels);
  for (let index = begin + 1; index < logits.length / pixels; index += 1) {
    for (let pixel = 0, place = index * pixels; pixel < pixels; pixel += 1, place += 1) {
      if (logits[place] > most[pixel]) {
        most[pixel] = logits[place];
        classes[pixel] = index;
      }
    }
  }
  return classes;
}

// How the pixels of an enlarged picture lie between those of the small one, along one axis: which
// one is before, and how much of the next one each has. Middles lie at place + 1/2.
function between(small, length) {
  const before = new Int32Array(length), share = new Float32Array(length);
  const scale = Math.fround(small / length);
  for (let place = 0; place < length; place += 1) {
    const position = Math.fround(Math.fround((place + 0.5) * scale) - 0.5);
    const inside = Math.min(small - 1, Math.max(0, position));
    before[place] = Math.trunc(inside);
    share[place] = inside - before[place];
  }
  return { before, share };
}

// What the network says, at another size (bilinear).
export function enlarged(said, width, height) {
  const rows = between(said.height, height), columns = between(said.width, width);
  const plane = (values) => {
    const result = new Float32Array(width * height);
    for (let y = 0; y < height; y += 1) {
      const row = rows.before[y] * said.width;
      const next = Math.min(rows.before[y] + 1, said.height - 1) * said.width;
      for (let x = 0; x < width; x += 1) {
        const left = columns.before[x], right = Math.min(left + 1, said.width - 1);
        const across = columns.share[x];
        const upper = values[row + left] + across * (values[row + right] - values[row + left]);
        const lower = values[next + left] + across * (values[next + right] - values[next + left]);
        result[y * width + x] = upper + rows.share[y] * (lower - upper);
      }
    }
    return result;
  };
  const pixels = said.width * said.height, logits = [];
  for (let begin = 0; begin < said.logits.length; begin += pixels) {
    logits.push(plane(said.logits.subarray(begin, begin + pixels)));
  }
  const together = new Float32Array(logits.length * width * height);
  logits.forEach((values, index) => together.set(values, index * width * height));
  return { width, height, logits: together, foreground: plane(said.foreground),
    confidence: plane(said.confidence) };
}

// The logits enlarged to the photo (bilinear), and the largest: Uint8Array of width x height. Only
// between pixels of several classes is there something to work out.
export function largestClass(said, width, height) {
  const { logits, width: wide, height: tall } = said;
  const pixels = wide * tall, number = logits.length / pixels;
  const small = likeliest(logits, pixels);
  if (wide === width && tall === height) return small;
  const rows = between(tall, height), columns = between(wide, width);
  const mask = new Uint8Array(width * height);
  for (let y = 0; y < height; y += 1) {
    const row = rows.before[y] * wide, down = rows.share[y];
    const next = Math.min(rows.before[y] + 1, tall - 1) * wide;
    for (let x = 0; x < width; x += 1) {
      const left = columns.before[x], right = left + 1 < wide ? left + 1 : left;
      const kind = small[row + left];
      if (kind === small[row + right] && kind === small[next + left] &&
          kind === small[next + right]) {
        mask[y * width + x] = kind;
        continue;
      }
      const across = columns.share[x];
      let most = -Infinity, best = 0;
      for (let index = 0, place = 0; index < number; index += 1, place += pixels) {
        const one = logits[place + row + left], other = logits[place + next + left];
        const upper = one + across * (logits[place + row + right] - one);
        const lower = other + across * (logits[place + next + right] - other);
        const value = upper + down * (lower - upper);
        if (value > most) {
          most = value;
          best = index;
        }
      }
      mask[y * width + x] = best;
    }
  }
  return mask;
}

// The runs of a mask along its rows, without the background: Int32Array of (row, first column,
// column behind the last, class).
export function runsOf(mask, width, height) {
  const runs = [];
  for (let y = 0; y < height; y += 1) {
    const begin = y * width;
    let x = 0;
    while (x < width) {
      const kind = mask[begin + x];
      const first = x;
      do x += 1; while (x < width && mask[begin + x] === kind);
      if (kind) runs.push(y, first, x, kind);
    }
  }
  return Int32Array.from(runs);
}

// Mean of the 5 x 5 pixels around each one (those of the edge repeated): a lonely pixel is no animal.
export function smoothed(foreground, width, height) {
  const lines = (data, number, length, step, line) => {
    const result = new Float32Array(data.length);
    for (let one = 0; one < number; one += 1) {
      const at = (place) => data[one * line + Math.min(length - 1, Math.max(0, place)) * step];
      let sum = at(-2) + at(-1) + at(0) + at(1) + at(2);
      for (let place = 0; place < length; place += 1) {
        result[one * line + place * step] = sum / 5;
        sum += at(place + 3) - at(place - 2);
      }
    }
    return result;
  };
  return lines(lines(foreground, width, height, width, 1), height, width, 1, width);
}
