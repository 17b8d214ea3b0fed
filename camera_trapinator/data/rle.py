"""Masks as runs: of one value down a column, and as COCO writes them (run-length encoding)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Runs(NamedTuple):
    """The pixels of a mask that are not 0, in runs of one value down a column; column by column.

    The place of a pixel is column * height + row.
    """

    starts: np.ndarray  # int (n,): place of its first pixel
    ends: np.ndarray  # int (n,): the place behind its last one
    values: np.ndarray  # uint8 (n,)

    def chosen(self, which: np.ndarray) -> "Runs":
        """Some of them, or in another order; `which` is what numpy takes in brackets."""
        return Runs(*(of_all[which] for of_all in self))


NO_RUNS = Runs(*np.zeros((2, 0), int), np.zeros(0, np.uint8))


def runs_of(mask: np.ndarray) -> Runs:
    """The runs of a mask, bool or uint8 (height, width)."""
    height, width = mask.shape
    if not mask.any():
        return NO_RUNS
    # By rows, as the mask lies in memory: to turn it would take longer than all the rest.
    row, column = np.divmod(np.flatnonzero(mask[1:] != mask[:-1]), width)
    first, last = np.flatnonzero(mask[0]), np.flatnonzero(mask[-1])
    tall = height + 1  # what reaches the lowest row ends in a further one
    edges = np.concatenate([first * tall, column * tall + row + 1, last * tall + height])
    edges.sort()
    column, row = np.divmod(edges, tall)
    values = np.where(row < height, mask[np.minimum(row, height - 1), column], 0)
    begins = np.flatnonzero(values)  # each ends at the next edge
    places = edges - column
    return Runs(places[begins], places[begins + 1], values[begins].astype(np.uint8))


def filled(runs: Runs, size: Sequence[int]) -> np.ndarray:
    """The mask of the runs, uint8 (height, width)."""
    height, width = size
    mask = np.zeros((height + 1, width), np.uint8)
    column, row = np.divmod(runs.starts, height)
    mask[row, column] += runs.values
    column, row = np.divmod(runs.ends - 1, height)
    mask[row + 1, column] -= runs.values
    for row in range(1, height):  # adding row to row, as they lie in memory, is fastest by far
        mask[row] += mask[row - 1]
    return mask[:-1]


def encode_rle(mask: np.ndarray) -> dict:
    """A bool mask (height, width) as COCO's compressed run-length encoding, see `encode_runs`."""
    return encode_runs(runs_of(np.asarray(mask, dtype=bool)), mask.shape)


def encode_runs(runs: Runs, size: Sequence[int]) -> dict:
    """The pixels of the runs, whatever their values, as COCO's compressed run-length encoding.

    Returns {"size": [height, width], "counts": text}. Runs go down the columns and begin with
    zeros; each count, from the fourth on as its difference to the count two places before, is cut
    into 5-bit groups (value + 48 as a character, bit 0x20 = more follow).
    Source: cocoapi, common/maskApi.c.
    """
    pixels = size[0] * size[1]
    edges = np.stack([runs.starts, runs.ends], axis=1).ravel()
    touch = np.diff(edges) == 0  # where one run ends another begins: no edge
    edges = edges[~(np.append(touch, False) | np.append(False, touch)) & (edges < pixels)]
    counts = np.diff(edges, prepend=0, append=pixels)
    values = counts.copy()
    values[3:] -= counts[1:-2]
    # Group by group, but all values at once: a mask of plants has a million runs.
    magnitude = np.where(values < 0, ~values, values)
    needed = np.ones(len(values), np.uint8)  # groups of each value; the last one tells the sign
    for bits in range(4, pixels.bit_length(), 5):
        needed += magnitude >= 1 << bits
    starts = needed.cumsum(dtype=np.int64) - needed
    characters = np.empty(needed.sum(), np.uint8)
    for group in range(needed.max()):
        has = needed > group
        characters[starts[has] + group] = (
            48 + (values[has] >> 5 * group & 0x1F) + 0x20 * (needed[has] > group + 1))
    return {"size": list(size), "counts": characters.tobytes().decode("ascii")}


def decode_rle(rle: dict) -> np.ndarray:
    """The bool mask (height, width) of a COCO run-length encoding, see `decode_runs`."""
    return filled(decode_runs(rle), rle["size"]).view(bool)


def decode_runs(rle: dict, value: int = 1) -> Runs:
    """The runs of a COCO run-length encoding, compressed or not, of that `value`.

    `rle` is {"size": [height, width], "counts": text or list of ints}. Raises ValueError if the
    runs do not add up to height x width.
    """
    height, width = rle["size"]
    counts = rle["counts"]
    if isinstance(counts, (str, bytes)):
        counts = _decode_counts(counts if isinstance(counts, str) else counts.decode("ascii"))
    if min(counts, default=0) < 0 or sum(counts) != height * width:
        raise ValueError(f"run lengths add up to {sum(counts)}, not to {height} x {width} pixels")
    edges = np.cumsum(counts, dtype=np.int64)
    starts, ends = edges[:-1:2], edges[1::2]
    full = starts < ends
    starts, ends = starts[full], ends[full]
    # COCO's runs go on at the top of the next column: there they are cut.
    first = starts // height
    pieces = (ends - 1) // height - first + 1
    columns = counted(first, pieces)
    starts = np.maximum(np.repeat(starts, pieces), columns * height)
    ends = np.minimum(np.repeat(ends, pieces), (columns + 1) * height)
    return Runs(starts, ends, np.full(len(starts), value, np.uint8))


def counted(first: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """first[0], first[0] + 1, ...: so many as numbers[0] says; then from first[1] on, and so on."""
    before = numbers.cumsum() - numbers
    return np.arange(numbers.sum()) + np.repeat(first - before, numbers)


def _decode_counts(text: str) -> list[int]:
    if strange := [character for character in set(text) if not 48 <= ord(character) < 112]:
        raise ValueError(f"character {strange[0]!r} does not occur in run-length encodings")
    groups = np.frombuffer(text.encode("ascii"), np.uint8).astype(int) - 48
    ends = np.flatnonzero(groups < 0x20)
    if len(ends) == 0 or ends[-1] + 1 < len(groups):
        raise ValueError("the run-length encoding breaks off in mid-number")
    starts = np.concatenate([[0], ends[:-1] + 1])
    place = np.arange(len(groups)) - np.repeat(starts, ends + 1 - starts)  # in its number
    if place.max() > 6:
        raise ValueError("a run length has more digits than any photo has pixels")
    counts = np.add.reduceat((groups & 0x1F) << 5 * place, starts)
    counts -= np.where(groups[ends] & 0x10, 0x20 << 5 * place[ends], 0)  # a negative one
    for first in (1, 2):
        counts[first::2] = counts[first::2].cumsum()
    return counts.tolist()
