"""How hard a photo is to segment, for the curriculum: 0 easy .. 1 hard; and difficulty.csv."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from scipy import ndimage

from .. import IGNORE, InputError
from ..data.manifest import BACKGROUND, Manifest
from ..data.masks import read_target, resize_mask
from ..data.memory import Memory, file_stamp
from ..data.photos import is_infrared, photo_size, read_photo
from ..data.progress import progress
from ..data.strips import NO_STRIPS, Strips, cut_rows, strip_rows
from ..data.tables import read_rows, write_rows

SIZE = 256  # long side in pixels at which photos are judged
FORMULA = 1  # goes up when `photo_difficulty` changes: what was remembered before is then void
# From RGB to brightness, red against green, yellow against blue.
OPPONENTS = np.array([[0.299, 1, 0.5], [0.587, -1, 0.5], [0.114, 0, -1]], np.float32)


def photo_difficulty(image: np.ndarray, mask: np.ndarray) -> float:
    """How hard it is to find what a mask shows: 0 easy .. 1 hard.

    `image`: uint8 (H, W, 3), RGB, best with a long side of 256 pixels; `mask`: class indices, uint8
    of any size with that aspect ratio, 255 = ignore. With an animal it is

        0.35 small + 0.35 hidden + 0.1 night + 0.1 blurred + 0.1 cut

    small    by the animals' share of the photo, on a log scale: 0 from 20 % on, 1 up to 0.1 %
    hidden   how little their colours differ from those around them, see `_hidden`
    night    an infrared photo: no colour, and a flash that drowns what is near
    blurred  fog, motion, or a lens out of focus, see `_blurred`
    cut      how much of them is at the edge of the photo: part of the animal is missing

    for size and camouflage decide most about what is missed, and the others add to them. An empty
    photo is the harder the busier, because leaves and shadows look like animals:

        0.1 + 0.4 busy + 0.1 night
    """
    valid = mask != IGNORE
    animal = valid & (mask > 0)
    night = is_infrared(image)
    grey = image @ OPPONENTS[:, 0]
    if not animal.any():
        return float(0.1 + 0.4 * _busy(grey) + 0.1 * night)
    share = animal.sum() / valid.sum()
    small = 1 - _between(np.log(share), np.log(0.001), np.log(0.2))
    height, width = grey.shape
    hidden = _hidden(image, resize_mask(animal, width, height), resize_mask(valid, width, height))
    return float(0.35 * small + 0.35 * hidden + 0.1 * night + 0.1 * _blurred(grey)
                 + 0.1 * _cut(animal))


def spread_empty(difficulty: np.ndarray, empty: np.ndarray) -> np.ndarray:
    """Let the empty photos (bool (N,)) be as easy and as hard as the others, in their own order.

    What makes a photo hard is another thing where there is nothing to find, so the two kinds
    cannot be compared; this way each stage of a curriculum has its share of both. A network that
    begins on nothing but empty photos learns to see nothing. Returns float64 (N,).
    """
    difficulty = np.array(difficulty, float)
    if empty.any() and not empty.all():
        difficulty[empty] = np.quantile(difficulty[~empty], scaled_ranks(difficulty[empty]))
    return difficulty


def scaled_ranks(values: np.ndarray) -> np.ndarray:
    """The rank of each value from 0 (smallest) to 1; equal ones share a rank. NaN is largest."""
    distinct, ranks = np.unique(values, return_inverse=True)
    return ranks / max(1, len(distinct) - 1)


def _hidden(image: np.ndarray, animal: np.ndarray, valid: np.ndarray) -> float:
    """0 = the animals' mean colour is three standard deviations from that of their surroundings;
    1 = it is the same, or nothing of them is left at this size.

    `animal`, `valid`: bool (H, W). The surroundings are a band around the animals, as wide as a
    third of their size. Brightness, red against green, and yellow against blue each get a try, as
    in the eye; a standard deviation counts as 10 grey levels at least.
    """
    if not animal.any():
        return 1.0
    distance = ndimage.distance_transform_edt(~animal)
    band = valid & (distance > 0) & (distance <= max(4, animal.sum() ** 0.5 / 3))
    if not band.any():
        return 0.0  # they fill the photo
    inside, around = (image[pixels] @ OPPONENTS for pixels in (animal, band))  # (n, 3)
    spread = np.sqrt((inside.var(axis=0) + around.var(axis=0)) / 2)
    apart = np.abs(inside.mean(axis=0) - around.mean(axis=0)) / spread.clip(min=10)
    return 1 - _between(apart.max(), 0, 3)


def _blurred(grey: np.ndarray) -> float:
    """0 = sharp, 1 = no detail of a pixel beside that of 2 to 8 pixels. `grey`: float (H, W)."""
    fine, coarse = (ndimage.gaussian_filter(grey, sigma) for sigma in (1, 4))
    ratio = (grey - fine).std() / max(1.0, (fine - coarse).std())
    return 1 - _between(ratio, 0.15, 0.5)


def _busy(grey: np.ndarray) -> float:
    """0 = smooth, 1 = full of edges everywhere. `grey`: float (H, W)."""
    edges = np.hypot(ndimage.sobel(grey, 0), ndimage.sobel(grey, 1)) / 8  # grey levels a pixel
    return _between(edges.mean(), 0, 20)


def _cut(animal: np.ndarray) -> float:
    """0 = the animals lie whole in the photo; 1 = along the photo's edge for their own size.

    The edge is 1 % of the photo wide: hand-drawn outlines seldom reach the last pixel.
    """
    margin = -(-max(animal.shape) // 100)
    edge = sum(strip.any(axis=axis).sum() for strip, axis in (
        (animal[:margin], 0), (animal[-margin:], 0), (animal[:, :margin], 1),
        (animal[:, -margin:], 1)))
    return _between(edge / animal.sum() ** 0.5, 0, 1)


def _between(value: float, low: float, high: float) -> float:
    """Where a value lies between two others: 0 .. 1."""
    return float(np.clip((value - low) / (high - low), 0, 1))


# ----------------------------------------------------------------------------- difficulty.csv


def write_difficulty(path: str | Path, images: Sequence[str], difficulty: np.ndarray,
                     entry: Sequence[int | str]) -> None:
    """Write difficulty.csv: image, difficulty, and the epoch in which it is first drawn from
    (empty = never), whole or not at all."""
    write_rows(path, ["image", "difficulty", "epoch"],
               zip(images, difficulty.tolist(), entry, strict=True))


def read_difficulty(path: str | Path, images: Sequence[str]) -> np.ndarray:
    """The difficulty of each of the images, float64, as `write_difficulty` wrote it to the last
    bit. Raises InputError if the file is missing, damaged, or about other photos."""
    found = {}
    for line, cells in read_rows(Path(path), "image", "difficulty"):
        try:
            found[cells["image"]] = float(cells["difficulty"])
        except ValueError:
            raise InputError(f"{path}, line {line}: difficulty {cells['difficulty']!r} is no "
                             "number") from None
    for image in images:
        if image not in found:
            raise InputError(f"{path}: {image} is not in it; the run was started with other "
                             "training photos, so start another with --run NAME")
    return np.array([found[image] for image in images])


# ------------------------------------------------------------------ of all training photos


def photo_difficulties(manifest: Manifest, rows: Sequence[int], data_root: Path, memory: Path,
                       strips: Strips = NO_STRIPS) -> np.ndarray:
    """The `photo_difficulty` of labelled rows of the manifest: float64 (rows,), 0 easy .. 1 hard.

    Photos are read small and in parallel, without their info strips. What was found is remembered
    in the file `memory` by path, size and time of change of photo and mask. Raises InputError for
    files that cannot be read.
    """
    known = Memory(memory)

    def judge(index: int) -> float:
        row = manifest[int(index)]
        size = photo_size(data_root / row.image) if strips != NO_STRIPS else (0, 1)
        strip = strips.of(row.location, *size)
        key = (FORMULA, *strip, *file_stamp(data_root / row.image, "photo"),
               *(("", 0, 0) if row.mask == BACKGROUND
                 else file_stamp(data_root / row.mask, "mask")))

        def look() -> tuple[float]:
            image = read_photo(data_root / row.image, SIZE).image
            mask = read_target(row, data_root, *image.shape[:2])
            image, mask = (cut_rows(picture, strip_rows(strip, size[1], len(picture)))
                           for picture in (image, mask))
            return (photo_difficulty(image, mask),)

        return known.recall(key, look)[0]

    with ThreadPoolExecutor() as pool:
        judged = list(progress(pool.map(judge, rows), "difficulty", len(rows)))
    known.write()
    return np.array(judged)
