"""Boxes that lie on each other, among hundred thousands of them.

A box is [x, y, width, height], as shares of the photo. How far two are one is their IoU: the area
that both cover, as a share of what one or the other covers.
"""

import math
from collections.abc import Callable, Iterator
from itertools import product

import numpy as np


def overlaps(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """The IoU of one box with each of some, float64 (n, 4) -> (n,)."""
    last = np.minimum(box[:2] + box[2:], boxes[:, :2] + boxes[:, 2:])
    both = (last - np.maximum(box[:2], boxes[:, :2])).clip(0).prod(axis=1)
    return both / (box[2:].prod() + boxes[:, 2:].prod(axis=1) - both)


def crowds(boxes: np.ndarray, same: float, count: Callable[[np.ndarray], float], least: float,
           ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The places where many boxes, float64 (n, 4) with sides above 0, lie on each other: a box in
    the middle of them, five digits, and which ones overlap it by an IoU of `same` at least.

    `count(members)` says what those are worth, at most 1 each; places with less than `least` are
    left out. The best place comes first, and no box is in two of them. The time does not grow with
    the pairs of boxes, but with their number, and with that of the places.
    """
    order = np.argsort(boxes[:, 0], kind="stable")
    lefts = boxes[order, 0]

    def around(box: np.ndarray) -> np.ndarray:
        reach = (1 / same - 1) * box[2] + 1e-9  # further away no box can overlap so much
        near = order[slice(*np.searchsorted(lefts, (box[0] - reach, box[0] + reach)))]
        return np.sort(near[overlaps(box, boxes[near]) >= same])

    middles, found = np.zeros((0, 4)), []
    for members in _gathered(boxes, same, least / 2):  # half of a place at least is in one cell
        box = np.median(boxes[members], axis=0)
        if (overlaps(box, middles) >= same).any():  # this place is known from another grid
            continue
        for _ in range(3):  # towards where they are most
            box = box.round(5)
            members = around(box)
            if len(members) < least:
                break
            box = np.median(boxes[members], axis=0)
        else:
            box = box.round(5)
            middles = np.append(middles, box[None], axis=0)
            members = around(box)
            found.append((-count(members), tuple(box.tolist()), members))
    taken = np.zeros(len(boxes), bool)
    for _, box, members in sorted(found, key=lambda place: place[:2]):
        members = members[~taken[members]]
        if len(members) and count(members) >= least:
            taken[members] = True
            yield np.array(box), members


def _gathered(boxes: np.ndarray, same: float, least: float) -> list[np.ndarray]:
    """The boxes in cells of like size and place, with `least` in them at least, the fullest first.

    Of two boxes that overlap by `same` neither side is less than `same` times the other's, nor do
    they begin further apart than 1 / `same` - 1 times the shorter side: a cell is twice as long. In
    one of 16 grids, each by half a cell aside, what lies together lies in the middle of a cell.
    """
    step, cells = -2 * math.log(same), []
    for shift in product((0, 0.5), repeat=4):
        sizes = np.floor(np.log(boxes[:, 2:]) / step + shift[:2])
        lengths = 2 * (1 / same - 1) * np.exp((sizes + 1 - shift[:2]) * step)
        places = np.floor(boxes[:, :2] / lengths + shift[2:])
        # Sides down to 1e-5 make 36 sizes and 3e5 places.
        first, second = (sizes + 64).astype(np.int64).T
        x, y = places.astype(np.int64).T
        key = ((first << 7 | second) << 24 | x) << 24 | y
        order = np.argsort(key, kind="stable")
        begins = np.flatnonzero(np.diff(key[order], prepend=-1))
        full = np.flatnonzero(np.diff(begins, append=len(key)) >= least)
        ends = np.append(begins, len(key))
        cells += [order[begins[cell]:ends[cell + 1]] for cell in full]
    return sorted(cells, key=lambda members: (-len(members), members[0]))
