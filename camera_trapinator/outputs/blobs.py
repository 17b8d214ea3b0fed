"""What the prediction record of a photo says: its mask as runs, and its blobs, faint ones too."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from .. import IGNORE
from ..data.masks import resize_mask
from ..data.rle import NO_RUNS, Runs, counted, encode_runs, filled, runs_of
from .parts import animals_of, together

MOST_FAINT = 10  # parts of a photo
EIGHT_NEIGHBOURS = np.ones((3, 3), int)


class Limits(NamedTuple):
    """What counts in a photo, by the names of the knobs."""

    smallest_blob: float = 0.0005  # share of the photo
    faint: float = 0.1  # probability
    unknown_below: float = 0.5  # probability
    min_confidence: float = 0.0  # that something is there


def photo_record(file: str, mask: np.ndarray, foreground: np.ndarray,
                 species: tuple[np.ndarray, np.ndarray], limits: Limits, num_classes: int = 0,
                 **known) -> dict:
    """The record of a predicted photo; the same prediction always gives the same record.

    `mask`: uint8 (H, W) predicted classes, at the photo's own or at network size; `foreground`:
    float32 (h, w) probability at network size that a pixel is no background; `species`: uint8
    (h, w) likeliest species, and float32 (h, w) the probability that it is this one, if it is any;
    `num_classes`: how many numbers `pixels` gets at least. What else is `known`, the upright
    photo's `width` and `height` in pixels at least, goes in as it is. The record's mask holds the
    blobs alone: what does not count as an animal is not drawn as one.
    """
    smooth = smoothed(foreground)
    maps = Maps(foreground, smooth, *species)
    blobs, runs, covered = find_blobs(runs_of(mask), mask.shape, maps, limits)
    pixels = count_pixels(runs, num_classes)
    pixels[0] = mask.size - sum(pixels)
    return {
        "file": file, "location": "", "datetime": "", "infrared": False, **known,
        "confidence": _rounded(smooth.max()), "pixels": pixels,
        "rle": encode_classes(runs, mask.shape), "blobs": blobs,
        "faint": find_faint(maps, covered, limits), "failure": None,
    }


def failure_record(file: str, failure: str, *, location: str = "", datetime: str = "",
                   **extra) -> dict:
    """The record of a photo that could not be predicted, and why."""
    return {"file": file, "location": location, "datetime": datetime, "width": None,
            "height": None, "infrared": None, "confidence": None, "pixels": [], "rle": None,
            "blobs": [], "faint": [], "failure": failure, **extra}


def smoothed(foreground: np.ndarray) -> np.ndarray:
    """Mean of the 5 x 5 pixels around each one: a lonely pixel is no animal. float32 (h, w)."""
    copy = np.array(foreground, np.float32)  # is written over: of a large photo two are too many
    return ndimage.uniform_filter(copy, 5, output=copy, mode="nearest")


class Maps(NamedTuple):
    """What the network says of each pixel, (h, w) at its own size, or of those of a part, (n,)."""

    foreground: np.ndarray  # probability that it is no background, float32
    smooth: np.ndarray  # the same, smoothed
    species: np.ndarray  # the likeliest one, uint8
    share: np.ndarray  # probability that it is this species, if it is any, float32


def find_blobs(runs: Runs, size: Sequence[int], maps: Maps, limits: Limits,
               ) -> tuple[list[dict], Runs, np.ndarray]:
    """The blobs of a mask of that `size`, as a record holds them, their runs, and the pixels of the
    maps that they cover."""
    row_of, column_of = _nearest_pixels(maps.foreground.shape, *size)
    covered, blobs, counting = np.zeros(maps.foreground.shape, bool), [], []
    for part in animals_of(runs, size, limits.smallest_blob):
        species = int(np.argmax(count_pixels(part)))
        inside, window = _inside(part, size[0])
        # How many of its pixels lie nearest to each pixel of the maps: the same means, of far fewer
        # numbers.
        rows, tops = np.unique(row_of[window[0]], return_index=True)
        columns, lefts = np.unique(column_of[window[1]], return_index=True)
        counts = np.add.reduceat(inside, tops, axis=0, dtype=np.int32)
        counts = np.add.reduceat(counts, lefts, axis=1)
        place = np.ix_(rows, columns)
        known = Maps(*(plane[place][counts > 0] for plane in maps))
        if _rounded(known.smooth.max()) >= limits.min_confidence:
            covered[place] |= counts > 0
            counting.append(part)
            blobs.append(_blob(_place(inside, window, size), species, known, counts[counts > 0],
                               limits))
    return blobs, together(counting) if counting else NO_RUNS, covered


def true_classes(mask: np.ndarray, truth: np.ndarray) -> list[int | None]:
    """The most frequent true class in each blob of a photo, whose `mask` holds these alone; None
    where nothing is labelled. Both are uint8 (H, W), 255 in `truth` is ignored."""
    found, truth = [], truth.ravel(order="F")  # runs go down the columns
    for part in animals_of(runs_of(mask), mask.shape, 0):
        classes = truth[counted(part.starts, part.ends - part.starts)]
        classes = classes[classes != IGNORE]
        found.append(int(np.bincount(classes).argmax()) if len(classes) else None)
    return found


def _inside(part: Runs, height: int) -> tuple[np.ndarray, tuple[slice, slice]]:
    """A part as bool (h, w), and the window of the mask where it lies."""
    columns, rows = np.divmod(part.starts, height)
    lengths = part.ends - part.starts
    window = (slice(int(rows.min()), int((rows + lengths).max())),
              slice(int(columns[0]), int(columns[-1]) + 1))
    tall, wide = (side.stop - side.start for side in window)
    starts = (columns - columns[0]) * tall + rows - window[0].start
    inside = filled(Runs(starts, starts + lengths, part.values > 0), (tall, wide))
    return inside.view(bool), window


def find_faint(maps: Maps, covered: np.ndarray, limits: Limits) -> list[dict]:
    """The parts, as a record holds them, that reach `faint` and in which no blob lies."""
    labels, found = ndimage.label(maps.smooth >= limits.faint, EIGHT_NEIGHBOURS)
    known = set(np.unique(labels[covered]).tolist())
    parts = []
    for number, window in enumerate(ndimage.find_objects(labels, found), start=1):
        if number not in known:
            parts.append((float(maps.smooth[window][labels[window] == number].max()), number,
                          window))
    blobs = []
    for _, number, window in sorted(parts, key=lambda part: -part[0])[:MOST_FAINT]:
        inside = labels[window] == number
        part = Maps(*(plane[window][inside] for plane in maps))
        species = int(np.bincount(part.species, weights=part.foreground * part.share).argmax())
        ones = np.ones(len(part.smooth), int)
        blobs.append(_blob(_place(inside, window, labels.shape), species, part, ones, limits))
    return blobs


def _blob(place: dict, species: int, part: Maps, counts: np.ndarray, limits: Limits) -> dict:
    """A blob at a `place`, and what the maps say of it: each pixel of theirs for `counts` of the
    mask's."""
    foreground = part.foreground.astype(np.float64) * counts
    own = foreground[part.species == species] @ part.share[part.species == species]
    sure = _rounded(own / max(foreground.sum(), 1e-9))
    return {"class": species, "unknown": sure < limits.unknown_below, **place,
            "confidence": _rounded(part.smooth.max()), "class_confidence": sure}


def _place(inside: np.ndarray, window: tuple[slice, slice], size: Sequence[int]) -> dict:
    """Where a blob is: `inside` bool (h, w), in a `window` of a mask of `size` (H, W)."""
    (box_height, box_width), (height, width) = inside.shape, size
    top, left = (side.start for side in window)
    x, y = left + _centre(inside.sum(axis=0)), top + _centre(inside.sum(axis=1))
    return {
        "box": [_rounded(left / width), _rounded(top / height),
                _rounded(box_width / width), _rounded(box_height / height)],
        "centroid": [_rounded(x / width), _rounded(y / height)],
        "area": _rounded(inside.sum() / (height * width)),
        "touches_edge": (top == 0 or left == 0 or top + box_height == height
                         or left + box_width == width),
    }


def count_pixels(runs: Runs, num_classes: int = 0) -> list[int]:
    """The number of pixels of each value, for `num_classes` or as many as there are; the
    background's is 0."""
    counts = np.bincount(runs.values, runs.ends - runs.starts, num_classes or 1)
    return counts.astype(int).tolist()


def encode_classes(runs: Runs, size: Sequence[int]) -> dict:
    return {"size": list(size), "counts": {
        str(index): encode_runs(runs.chosen(runs.values == index), size)["counts"]
        for index in np.unique(runs.values).tolist()}}


def _nearest_pixels(small: tuple[int, int], height: int, width: int):
    """Row and column at network size nearest to each one of the mask: int (height,), (width,)."""
    return (resize_mask(np.arange(small[0])[:, None], 1, height)[:, 0],
            resize_mask(np.arange(small[1])[None], width, 1)[0])


def _centre(counts: np.ndarray) -> float:
    """Mean position of pixels' middles, given the number of pixels in each row or column."""
    return float(counts @ (np.arange(len(counts)) + 0.5) / counts.sum())


def _rounded(value: float) -> float:
    return round(float(value), 5)
