"""What every importer gives, whatever the tool: photos with shapes; and how these become a mask.

A reader turns what its tool exports into `Labels`; the helpers here give it rings of points for
what tools know as ellipses and rectangles. `data_root.py` has the masks drawn by `draw_mask`.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .. import IGNORE, InputError
from ..data.photos import Header, read_header
from ..data.rle import decode_rle

ELLIPSE_POINTS = 360  # the polygon's area is that of the ellipse to 5 in 100,000


class Shape(NamedTuple):
    """One animal that somebody drew."""

    name: str | None  # its class; None = ignore these pixels (mask value 255)
    polygons: Sequence[Sequence[float]] = ()  # rings [x1, y1, x2, y2 ...] in pixels; their union
    rle: dict | None = None  # or a run-length encoding, see data/rle.py
    inside: np.ndarray | None = None  # or the pixels themselves, bool (height, width)
    where: str = ""  # file and id of the label, for messages; "" = those of its photo


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
    boxes: list[Sequence[float]] = field(default_factory=list)  # rings of what nobody outlined
    empty: bool = False  # checked, and nothing there
    unclear: bool = False  # something is said of it that no mask can show: it is never background
    location: str = ""
    datetime: str = ""
    sequence: str = ""
    split: str = ""
    difficulty: str = ""  # as in the manifest
    focus: str = ""

    @cached_property
    def header(self) -> Header:
        """What the photo's file tells; read once. Raises InputError if it is no photo."""
        return read_header(self.source)

    def labelled(self) -> bool:
        """Whether anything is marked on it."""
        return bool(self.shapes or self.boxes) or self.picture is not None


@dataclass
class Labels:
    """All that an export holds."""

    photos: list[LabelledPhoto] = field(default_factory=list)
    # Class names in the tool's own order; else those of the shapes, sorted. Names that `photo.
    # picture` gives must stand here.
    classes: list[str] = field(default_factory=list)
    unpaired: list[str] = field(default_factory=list)  # labels without photo: "FILE: what is amiss"
    faults: list[str] = field(default_factory=list)  # "FILE, place in it: what is wrong; the cure"
    told: list[str] = field(default_factory=list)  # what was assumed
    left_out: list[Path] = field(default_factory=list)  # pictures of which it is told why
    questions: list[str] = field(default_factory=list)  # faults, to be asked before masks are drawn

    def __add__(self, other: "Labels") -> "Labels":
        return Labels(self.photos + other.photos,
                      list(dict.fromkeys(self.classes + other.classes)),
                      *(mine + theirs for mine, theirs in (
                          (self.unpaired, other.unpaired), (self.faults, other.faults),
                          (self.told, other.told), (self.left_out, other.left_out),
                          (self.questions, other.questions))))

    def sound(self) -> "Labels":
        """The same. Raises InputError if there is a fault: with the first, and the number of the
        others."""
        if self.faults:
            more = f" (and {len(self.faults) - 1} more faults)" * (len(self.faults) > 1)
            raise InputError(self.faults[0] + more)
        return self


# ------------------------------------------------------------------------------ rings of points


def ring(points: Iterable[tuple[float, float]]) -> list[float]:
    """Points (x, y) as a polygon [x1, y1, x2, y2 ...]."""
    return [value for point in points for value in point]


def rectangle(left: float, top: float, right: float, bottom: float) -> list[tuple[float, float]]:
    """The corners of a rectangle."""
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def ellipse(across: float, down: float) -> list[tuple[float, float]]:
    """Points on an ellipse around (0, 0) with these two radii."""
    angles = [2 * math.pi * step / ELLIPSE_POINTS for step in range(ELLIPSE_POINTS)]
    return [(across * math.cos(angle), down * math.sin(angle)) for angle in angles]


def turned(points: Iterable[tuple[float, float]], x: float, y: float,
           degrees: float = 0) -> list[float]:
    """Points around (0, 0), turned clockwise on the screen and moved to (x, y), as a polygon."""
    angle = math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    return ring((x + across * cos - down * sin, y + across * sin + down * cos)
                for across, down in points)


# -------------------------------------------------------------------------------------- drawing


class Part(NamedTuple):
    """Some pixels of a photo: those that are true in a rectangle of it. Of 20 million pixels an
    animal takes few."""

    top: int
    left: int
    inside: np.ndarray  # bool (height, width) of the rectangle

    def of(self, mask: np.ndarray) -> np.ndarray:
        """That rectangle of a mask, as a view."""
        height, width = self.inside.shape
        return mask[self.top:self.top + height, self.left:self.left + width]


def rasterise(polygons: Sequence[Sequence[float]], height: int, width: int) -> np.ndarray:
    """The union of polygons [x1, y1, x2, y2 ...] as a bool mask (height, width).

    A pixel belongs to a polygon if its centre does (even-odd rule), which is what pycocotools
    does. `ImageDraw.polygon` counts the border in: blobs of 4 to 10 pixels' radius gain 15 %.
    """
    mask = np.zeros((height, width), bool)
    part = part_of(polygons, height, width)
    part.of(mask)[part.inside] = True
    return mask


def part_of(polygons: Sequence[Sequence[float]], height: int, width: int) -> Part:
    """The same, as the part of the mask in which the polygons lie."""
    parts = [part for ring in polygons if (part := _part_of_ring(ring, height, width))]
    if len(parts) == 1:
        return parts[0]
    top, left = (min((part[axis] for part in parts), default=0) for axis in (0, 1))
    bottom, right = (max((part[axis] + part.inside.shape[axis] for part in parts), default=0)
                     for axis in (0, 1))
    union = np.zeros((bottom - top, right - left), bool)
    for part in parts:
        part._replace(top=part.top - top, left=part.left - left).of(union)[part.inside] = True
    return Part(top, left, union)


def _part_of_ring(ring: Sequence[float], height: int, width: int) -> Part | None:
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
        return None
    # Below each crossing inside and outside change places.
    top, bottom, left, right = row.min(), row.max(), column.min(), column.max() + 1
    changes = np.zeros((bottom - top + 1, right - left), np.uint8)
    np.add.at(changes, (row - top, column - left), 1)
    return Part(top, left, np.bitwise_xor.accumulate(changes[:-1] & 1, axis=0).view(bool))


def pixels_of(shape: Shape, height: int, width: int) -> Part:
    """The pixels of a shape."""
    if shape.inside is not None:
        return Part(0, 0, shape.inside)
    if shape.rle is not None:
        return Part(0, 0, decode_rle(shape.rle))
    return part_of(shape.polygons, height, width)


def draw_mask(photo: LabelledPhoto, indices: dict[str, int], overlap: str,
              ) -> tuple[np.ndarray, list[str]]:
    """The mask of a photo's shapes, uint8 (height, width) at the labels' size; and a line for each
    shape and box that covers no pixel of it.

    `overlap`, where shapes of two classes meet: `later` shape wins, `smaller` shape wins, or
    `ignore` (255). What lies in a box but in no shape is to ignore.
    """
    height, width = photo.height, photo.width
    drawn, boxes, without = [], [], []
    for shape in [*photo.shapes, *(photo.picture() if photo.picture else ())]:
        part = pixels_of(shape, height, width)
        # A picture of many classes may well lack one.
        may_lack = shape.inside is not None and not shape.where
        if why := not may_lack and _why_none(shape.polygons, part.inside, photo):
            without.append(f"{shape.where or photo.where}: the {shape.name or 'region to ignore'} "
                           f"covers no pixel of {photo.source.name} ({why})")
        else:
            drawn.append((IGNORE if shape.name is None else indices[shape.name], part))
    for box in photo.boxes:
        part = part_of([box], height, width)
        if why := _why_none([box], part.inside, photo):
            without.append(f"{photo.where}: a box covers no pixel of {photo.source.name} ({why})")
        else:
            boxes.append(part)
    if overlap == "smaller":
        drawn.sort(key=lambda item: -int(item[1].inside.sum()))
    mask = np.zeros((height, width), np.uint8)
    for value, part in drawn:
        place = part.of(mask)
        clash = part.inside & (place != 0) & (place != value) if overlap == "ignore" else None
        place[part.inside] = value
        if clash is not None:
            place[clash] = IGNORE
    if boxes:
        outlined = np.zeros((height, width), bool)
        for _, part in drawn:
            part.of(outlined)[part.inside] = True
        for part in boxes:
            part.of(mask)[part.inside & ~part.of(outlined)] = IGNORE
    return mask, without


def _why_none(polygons: Sequence[Sequence[float]], inside: np.ndarray,
              photo: LabelledPhoto) -> str:
    """Why a shape covers no pixel; "" if it covers some."""
    points = np.concatenate([np.asarray(ring, float).reshape(-1, 2) for ring in polygons]
                            ) if polygons else np.zeros((0, 2))
    # Shares of a large animal cover the first pixel, and nobody draws an animal of one.
    if len(points) and abs(points - 0.5).max() <= 0.6 and max(photo.width, photo.height) > 1:
        return "its coordinates are shares of the photo, 0 .. 1, where pixels are needed"
    if inside.any():
        return ""
    if not len(points):
        return "it is empty"
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    if right < 0 or bottom < 0 or left > photo.width or top > photo.height:
        return "it lies outside the photo"
    return "it has no area"
