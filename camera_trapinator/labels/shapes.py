"""What a labelling tool says of a photo: shapes with the name of a class; and their drawing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .. import IGNORE
from ..data.rle import decode_rle


class Shape(NamedTuple):
    """One animal that somebody drew."""

    name: str | None  # its class; None = ignore these pixels (mask value 255)
    polygons: Sequence[Sequence[float]] = ()  # rings [x1, y1, x2, y2 ...] in pixels; their union
    rle: dict | None = None  # or a run-length encoding, see decode_rle
    inside: np.ndarray | None = None  # or the pixels themselves, bool (height, width)


@dataclass
class LabelledPhoto:
    """A photo and what a labelling tool says of it."""

    source: Path  # the photo
    file: str  # its path in the data root
    width: int  # of the labels, in pixels
    height: int
    where: str  # file and id of the label, for errors
    shapes: list[Shape] = field(default_factory=list)
    # Reads further shapes from a picture when the mask is drawn: too large to keep before.
    picture: Callable[[], list[Shape]] | None = None
    empty: bool = False  # checked, and nothing there
    location: str = ""
    datetime: str = ""
    sequence: str = ""
    split: str = ""

    def labelled(self) -> bool:
        return bool(self.shapes) or self.picture is not None


@dataclass
class Labels:
    """All that an export holds."""

    photos: list[LabelledPhoto] = field(default_factory=list)
    # Class names in the tool's own order; else those of the shapes, sorted. Names that `photo.
    # picture` gives must stand here.
    classes: list[str] = field(default_factory=list)
    unpaired: list[str] = field(default_factory=list)  # labels without photo: "FILE: what is amiss"

    def __add__(self, other: "Labels") -> "Labels":
        return Labels(self.photos + other.photos,
                      list(dict.fromkeys(self.classes + other.classes)),
                      self.unpaired + other.unpaired)


def rasterise(polygons: Sequence[Sequence[float]], height: int, width: int) -> np.ndarray:
    """The union of polygons [x1, y1, x2, y2 ...] as a bool mask (height, width).

    A pixel belongs to a polygon if its centre does (even-odd rule), which is what pycocotools
    does. `ImageDraw.polygon` counts the border in: blobs of 4 to 10 pixels' radius gain 15 %.
    """
    mask = np.zeros((height, width), bool)
    for ring in polygons:
        start = np.asarray(ring, float).reshape(-1, 2)
        end = np.roll(start, -1, axis=0)
        # The columns whose centres an edge crosses, one row of the arrays per crossing.
        low, high = (np.ceil(pick(start[:, 0], end[:, 0]) - 0.5).clip(0, width).astype(int)
                     for pick in (np.minimum, np.maximum))
        edge = np.repeat(np.arange(len(start)), high - low)
        column = np.arange(len(edge)) - np.repeat(np.cumsum(high - low) - high, high - low)
        (x, y), (x_end, y_end) = start[edge].T, end[edge].T
        crossing = y + (column + 0.5 - x) * (y_end - y) / (x_end - x)
        row = np.ceil(crossing - 0.5).clip(0, height).astype(int)
        if not len(row) or row.min() == row.max():
            continue
        # Below each crossing inside and outside change places.
        top, bottom, left, right = row.min(), row.max(), column.min(), column.max() + 1
        changes = np.zeros((bottom - top + 1, right - left), np.int32)
        np.add.at(changes, (row - top, column - left), 1)
        mask[top:bottom, left:right] |= changes.cumsum(axis=0)[:-1] % 2 == 1
    return mask


def pixels_of(shape: Shape, height: int, width: int) -> np.ndarray:
    """The pixels of a shape, bool (height, width)."""
    if shape.inside is not None:
        return shape.inside
    if shape.rle is not None:
        return decode_rle(shape.rle)
    return rasterise(shape.polygons, height, width)


def box_remainders(photo: LabelledPhoto, boxes: Sequence[Sequence[float]]) -> list[Shape]:
    """What lies in a box (a polygon in pixels) but in no outline of the photo: to ignore."""
    inside = rasterise(boxes, photo.height, photo.width)
    for shape in photo.shapes:
        inside &= ~pixels_of(shape, photo.height, photo.width)
    return [Shape(None, inside=inside)]


def draw_mask(photo: LabelledPhoto, indices: dict[str, int], overlap: str) -> np.ndarray:
    """The mask of a photo's shapes, uint8 (height, width) at the labels' size.

    `overlap`, where shapes of two classes meet: `later` shape wins, `smaller` shape wins, or
    `ignore` (255).
    """
    drawn = []
    for shape in photo.shapes + (photo.picture() if photo.picture else []):
        drawn.append((IGNORE if shape.name is None else indices[shape.name],
                      pixels_of(shape, photo.height, photo.width)))
    if overlap == "smaller":
        drawn.sort(key=lambda item: -int(item[1].sum()))
    mask = np.zeros((photo.height, photo.width), np.uint8)
    for value, inside in drawn:
        if overlap == "ignore":
            clash = inside & (mask != 0) & (mask != value)
            mask[inside] = value
            mask[clash] = IGNORE
        else:
            mask[inside] = value
    return mask
