// The animals in a mask: its connected parts, which of them are one animal, and what counts. As in
// camera_trapinator/outputs/parts.py and blobs.py; the words are those of outputs/records.py.

import { largestClass, likeliest, runsOf, smoothed } from "./masks.js";

// Parts of one species are one animal where the gap between their boxes is at most this share of the
// larger one's longer side, or the second share, if the smaller has less than a fifth of its pixels.
const CUT = 0.1, COME_OFF = 0.5, FIFTH = 0.2;

const rounded = (value, digits = 5) => Number(value.toFixed(digits));

// Sets that are joined: `first(number)` is the same for all of one set.
function sets(size) {
  const parent = Int32Array.from({ length: size }, (_, number) => number);
  const first = (number) => {
    while (parent[number] !== number) {
      parent[number] = parent[parent[number]];
      number = parent[number];
    }
    return number;
  };
  return { first, join: (one, other) => {
    const [low, high] = [first(one), first(other)].sort((a, b) => a - b);
    parent[high] = low;
  } };
}

// What a set of runs is: {runs (their numbers), area, counts (by class), corner, box}.
function partOf(numbers, runs, width, classes) {
  const part = { runs: numbers, area: 0, counts: new Array(classes).fill(0), corner: Infinity,
    top: Infinity, left: Infinity, bottom: 0, right: 0 };
  for (const number of numbers) {
    const [row, first, last, kind] = runs.subarray(4 * number, 4 * number + 4);
    part.area += last - first;
    part.counts[kind] += last - first;
    part.corner = Math.min(part.corner, row * width + first);
    part.top = Math.min(part.top, row);
    part.bottom = Math.max(part.bottom, row + 1);
    part.left = Math.min(part.left, first);
    part.right = Math.max(part.right, last);
  }
  part.species = part.counts.indexOf(Math.max(...part.counts));
  return part;
}

// The connected parts, also over corners, the largest first, without those that are too small.
function partsOf(runs, width, height, smallest, classes) {
  const number = runs.length / 4, joined = sets(number);
  let above = 0;  // the first run of the row above that may still touch
  for (let run = 0; run < number; run += 1) {
    const row = runs[4 * run], first = runs[4 * run + 1], last = runs[4 * run + 2];
    if (run && runs[4 * run - 4] === row && runs[4 * run - 2] === first) joined.join(run - 1, run);
    while (above < run && (runs[4 * above] < row - 1 ||
                           (runs[4 * above] === row - 1 && runs[4 * above + 2] < first))) above += 1;
    for (let other = above; other < run && runs[4 * other] === row - 1 &&
                            runs[4 * other + 1] <= last; other += 1) joined.join(other, run);
  }
  const members = new Map();
  for (let run = 0; run < number; run += 1) {
    const set = joined.first(run);
    if (!members.has(set)) members.set(set, []);
    members.get(set).push(run);
  }
  return [...members.values()].map((numbers) => partOf(numbers, runs, width, classes))
    .filter((part) => part.area >= smallest * height * width)
    .sort((one, other) => other.area - one.area || one.corner - other.corner);
}

// The animals in a mask, the largest first.
export function animalsOf(runs, width, height, smallest, classes) {
  const parts = partsOf(runs, width, height, smallest, classes), joined = sets(parts.length);
  parts.forEach((part, number) => {
    const side = Math.max(part.bottom - part.top, part.right - part.left);
    for (let smaller = number + 1; smaller < parts.length; smaller += 1) {
      const other = parts[smaller];
      const gap = Math.max(Math.max(part.top, other.top) - Math.min(part.bottom, other.bottom),
        Math.max(part.left, other.left) - Math.min(part.right, other.right));
      const share = other.area < FIFTH * part.area ? COME_OFF : CUT;
      if (gap <= share * side && part.species === other.species) joined.join(number, smaller);
    }
  });
  const animals = new Map();
  parts.forEach((part, number) => {
    const set = joined.first(number);
    animals.set(set, [...(animals.get(set) ?? []), ...part.runs]);
  });
  return [...animals.values()].map((numbers) => partOf(numbers, runs, width, classes))
    .sort((one, other) => other.area - one.area);
}

// The pixel of the network that is nearest to each one of the mask, along one axis.
function nearest(small, length) {
  const scale = Math.fround(Math.fround(small) / Math.fround(length));
  return Int32Array.from({ length },
    (_, place) => Math.trunc(Math.fround(Math.fround(place + 0.5) * scale)));
}

// What the maps say of an animal, each of their pixels as often as the mask has it.
function judged(animal, runs, maps, rows, columns, unknownBelow) {
  const counts = new Map();
  for (const number of animal.runs) {
    const [row, first, last] = runs.subarray(4 * number, 4 * number + 3);
    const line = rows[row] * maps.width;
    for (let x = first; x < last; x += 1) {
      const place = line + columns[x];
      counts.set(place, (counts.get(place) ?? 0) + 1);
    }
  }
  let most = 0, own = 0, all = 0;
  for (const [place, count] of counts) {
    most = Math.max(most, maps.smooth[place]);
    all += maps.foreground[place] * count;
    if (maps.species[place] === animal.species) {
      own += maps.foreground[place] * count * maps.confidence[place];
    }
  }
  const sure = rounded(own / Math.max(all, 1e-9));
  return { class: animal.species, unknown: sure < unknownBelow, confidence: rounded(most),
    class_confidence: sure };
}

// What a photo's prediction says: {confidence, pixels (by class), blobs (the largest first), runs
// (of the mask: the blobs and nothing else), maskWidth, maskHeight}. `model`: model.json; `width`
// and `height` are the photo's; `atNetworkSize`: the mask of a moving picture need not be finer.
export function describe(said, model, width, height, atNetworkSize = false) {
  const classes = model.classes.length, { limits } = model;
  const pixels = said.width * said.height;
  const small = atNetworkSize || model.mask_size === "network";
  const [wide, tall] = small ? [said.width, said.height] : [width, height];
  const maps = { ...said, smooth: smoothed(said.foreground, said.width, said.height),
    species: likeliest(said.logits, pixels, 1) };
  const runs = runsOf(largestClass(said, wide, tall), wide, tall);
  const rows = nearest(said.height, tall), columns = nearest(said.width, wide);
  const blobs = [], kept = [], counted = new Array(classes).fill(0);
  for (const animal of animalsOf(runs, wide, tall, limits.smallest_blob, classes)) {
    const blob = judged(animal, runs, maps, rows, columns, limits.unknown_below);
    if (blob.confidence < limits.min_confidence) continue;
    blobs.push({ ...blob, area: rounded(animal.area / (wide * tall)), box: [
      animal.left / wide, animal.top / tall, (animal.right - animal.left) / wide,
      (animal.bottom - animal.top) / tall].map((side) => rounded(side)) });
    animal.counts.forEach((count, index) => { counted[index] += count; });
    kept.push(...animal.runs);
  }
  counted[0] = wide * tall - counted.reduce((sum, count) => sum + count, 0);
  kept.sort((one, other) => one - other);
  let highest = 0;
  for (const value of maps.smooth) if (value > highest) highest = value;
  return { confidence: rounded(highest), pixels: counted, blobs,
    runs: Int32Array.from(kept.flatMap((run) => [...runs.subarray(4 * run, 4 * run + 4)])),
    maskWidth: wide, maskHeight: tall };
}
