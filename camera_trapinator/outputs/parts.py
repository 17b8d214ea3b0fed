"""The connected parts of a mask, and which of them are one animal."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ..data.rle import Runs, counted

# A trunk before an animal cuts it in two, and legs and tails come off. Parts of one species are one
# animal where the gap between their boxes is at most this share of the larger one's longer side ...
CUT = 0.1
# ... or this one, if the smaller has less than a fifth of its pixels.
COME_OFF, FIFTH = 0.5, 0.2


def animals_of(runs: Runs, size: Sequence[int], smallest_blob: float) -> list[Runs]:
    """The animals in a mask of that `size` (height, width), the largest first: its connected parts,
    without those smaller than `smallest_blob` (share of the photo), those together that are one
    animal, as far as a mask can tell. What is left out changes nothing of the others.

    So their number is what can be defended: at least so many. Animals that touch count as one.
    """
    parts, animals = parts_of(runs, size, smallest_blob), {}
    for part, number in zip(parts, _joined(parts, size[0]), strict=True):
        animals.setdefault(number, []).append(part)
    return sorted(map(together, animals.values()), key=lambda animal: -_pixels(animal))


def _joined(parts: Sequence[Runs], height: int) -> list[int]:
    """A number for each part, the largest first; those of one animal have the same."""
    if len(parts) < 2:
        return [0] * len(parts)
    first, last, species = [], [], []
    for part in parts:
        columns, rows = np.divmod(part.starts, height)
        lengths = part.ends - part.starts
        first.append([rows.min(), columns.min()])
        last.append([(rows + lengths).max(), columns.max() + 1])
        species.append(np.bincount(part.values, lengths).argmax())
    first, last, species = map(np.array, (first, last, species))
    areas, sides = np.array(list(map(_pixels, parts))), (last - first).max(axis=1)
    pairs = []
    for one in range(len(parts) - 1):  # with all that are smaller
        gaps = np.maximum(first[one], first[one + 1:]) - np.minimum(last[one], last[one + 1:])
        share = np.where(areas[one + 1:] < FIFTH * areas[one], COME_OFF, CUT)
        near = (gaps.max(axis=1) <= share * sides[one]) & (species[one + 1:] == species[one])
        pairs.append(np.stack([np.full(near.sum(), one), one + 1 + np.flatnonzero(near)]))
    pairs = np.concatenate(pairs, axis=1)
    edges = coo_array((np.ones(pairs.shape[1], bool), tuple(pairs)), (len(parts), len(parts)))
    return connected_components(edges, directed=False)[1].tolist()


def _pixels(part: Runs) -> int:
    return int((part.ends - part.starts).sum())


def together(parts: Sequence[Runs]) -> Runs:
    """The runs of several parts, at least one, of which no two share a pixel, in their order."""
    if len(parts) == 1:
        return parts[0]
    runs = Runs(*map(np.concatenate, zip(*parts, strict=True)))
    return runs.chosen(np.argsort(runs.starts))


def parts_of(runs: Runs, size: Sequence[int], smallest_blob: float) -> list[Runs]:
    """The connected parts, also over corners, of a mask of that `size` (height, width), the largest
    first, without those that are too small."""
    if not len(runs.starts):
        return []
    height, width = size
    columns, rows = np.divmod(runs.starts, height)
    lengths = runs.ends - runs.starts
    # Columns with a row more: what ends at the foot of one does not touch the head of the next.
    starts = runs.starts + columns
    ends = starts + lengths
    below = np.flatnonzero(ends[:-1] == starts[1:])
    # In the next column a run touches all that end behind its start and begin before its end.
    first = np.searchsorted(ends, starts + height + 1)
    touched = np.searchsorted(starts, ends + height + 1, "right") - first
    beside = np.repeat(np.arange(len(starts)), touched)
    pairs = (np.append(below, beside), np.append(below + 1, counted(first, touched)))
    edges = coo_array((np.ones(len(pairs[0]), bool), pairs), (len(starts), len(starts)))
    found, part = connected_components(edges, directed=False)

    areas = np.bincount(part, lengths, found)
    corners = np.full(found, height * width)
    np.minimum.at(corners, part, rows * width + columns)  # of parts alike the higher one first
    large = np.flatnonzero(areas >= smallest_blob * height * width)
    large = large[np.lexsort((corners[large], -areas[large]))]
    order = np.argsort(part, kind="stable")
    begins = np.searchsorted(part[order], np.arange(found + 1))
    return [runs.chosen(order[begins[number]:begins[number + 1]]) for number in large]
