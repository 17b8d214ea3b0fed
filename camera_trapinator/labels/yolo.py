"""YOLO segmentation: one text file a photo, a line `class x1 y1 x2 y2 ...` for each animal.

Coordinates are shares of the photo's width and height, classes count from 0 without a background.
Source: docs.ultralytics.com/datasets/segment.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from .. import InputError
from ..data.progress import progress
from .exports import check_folder, read_text
from .pairing import pair_labels, without_photo
from .shapes import LabelledPhoto, Labels, Shape, rectangle, ring
from .source import Source
from .yolo_names import read_names

NO_LABELS = ("classes.txt", "labels.txt", "obj.names", "train.txt", "val.txt", "test.txt")


class Line(NamedTuple):
    """A line of a label file."""

    name: str
    values: list[float]  # all numbers behind the class
    photo: LabelledPhoto
    where: str


class DataSet(NamedTuple):
    """Where the parts of a data set lie."""

    labels: Path
    images: Path
    names: Path


def find_set(folder: Path, names: Path | None = None, images_known: bool = False) -> DataSet:
    """The parts of a folder of labels, or of a whole data set: data.yaml with `images/` and
    `labels/` beside it, or, as Roboflow has it, with both in `train/`, `valid/` and `test/`. What
    is given (`names`, and the photos) is not looked for. Raises InputError for what is missing."""
    check_folder(folder, "labels")
    if names is None:
        names = folder / "data.yaml"
        if not names.is_file():
            raise InputError(f"{folder}: no data.yaml in it; give --names FILE, data.yaml or a "
                             "text file with one class name a line")
    if images_known:
        return DataSet(folder, folder, names)
    if (folder / "images").is_dir():
        labels = folder / "labels"
        return DataSet(labels if labels.is_dir() else folder, folder / "images", names)
    if not any(folder.glob("*/images")):
        raise InputError(f"{folder}: no folder images in it; give the folder of the photos with "
                         "--images")
    return DataSet(folder, folder, names)


def read_yolo(source: Source, names: Path) -> Labels:
    """The labels of a folder of text files, in the same tree as the photos, or in a tree in which
    the folder `images` of the photos is called `labels`, as Ultralytics has it.

    `names`: data.yaml, or a text file with one class name a line. A photo whose file is empty or
    missing has no shapes: YOLO calls it background, but whether somebody looked, it cannot say.
    Text files that tools add (classes.txt, train.txt, README...) are no labels. Behind a line's
    coordinates may stand how sure a network was (save_conf), and, if so on all lines, the number of
    an animal that was tracked; they are left. What is no polygon and no box is named by file and
    line.
    """
    check_folder(source.path, "labels")
    classes = read_names(names)
    pairs, alone = pair_labels(source, ".txt", exchange=True)
    without_photo(source, [file for file in alone if file.name.lower() not in NO_LABELS
                           and not file.name.upper().startswith("README")])
    photos: list[LabelledPhoto] = []
    lines: list[Line] = []
    for file, label in progress(pairs, "reading"):
        with source.noted():
            photo = source.photo(file, label or "")
            if photo is None:
                continue
            photos.append(photo)
            for number, line in enumerate((read_text(label) if label else "").splitlines(), 1):
                if line.strip():
                    with source.noted(photo):
                        lines.append(_line(line, f"{label}, line {number}", classes, photo))
    for line, values in zip(lines, _coordinates(lines, source), strict=True):
        with source.noted(line.photo):
            _add(line, values)
    return source.labels(photos, list(classes.values()))


def _line(text: str, where: str, classes: dict[int, str], photo: LabelledPhoto) -> Line:
    try:
        index, *values = map(float, text.split())
    except ValueError:
        raise InputError(f"{where}: {text[:60]!r} is no line `class x1 y1 x2 y2 x3 y3 ...` of "
                         "numbers") from None
    if index not in classes:
        raise InputError(f"{where}: class {text.split()[0]} has no name; the file of names has "
                         f"{', '.join(map(str, classes))[:60]}")
    return Line(classes[int(index)], values, photo, where)


def _coordinates(lines: Sequence[Line], source: Source) -> list[list[float]]:
    """The numbers of each line without what stands behind its coordinates, of which is told.

    Coordinates are an even number of shares, so one number more, 0 .. 1, is a confidence. The
    number of an animal (1, 2 ...) may stand behind it, or instead of it. Where all are 1 they could
    be the photo's lower edge; but polygons that touch it do so with two points as a rule.
    """
    more = [_more(line.values) for line in lines]
    plain = 0 in more
    tracked = [line for line, count in zip(lines, more, strict=True)
               if count and line.values[-1] > 1]
    doubtful = [line for line, count in zip(lines, more, strict=True) if count == 2]
    at_edge = [line for line in doubtful if 1 in line.values[1:-2:2]]
    triangles = any(len(line.values) == 6 for line in doubtful)  # or boxes and two numbers
    if not tracked and (plain or len(at_edge) == len(doubtful)):
        more = [count % 2 for count in more]
    elif plain if tracked else at_edge or triangles:
        source.faults += [f"{line.where}: does it end with the number of a tracked animal? Not all "
                          "lines do; take such numbers away, or, where they are coordinates, begin "
                          "the polygon with another point" for line in tracked or doubtful]
        more = [count if line.values[-1] > 1 else count % 2
                for line, count in zip(lines, more, strict=True)]
    for numbers, what in ((1, "one number more, taken for a confidence (save_conf) or the number "
                              "of a tracked animal"),
                          (2, "two numbers more, taken for a confidence and the number of a "
                              "tracked animal")):
        if some := [line for line, count in zip(lines, more, strict=True) if count == numbers]:
            source.told.append(f"{source.path}: {len(some)} of {len(lines)} lines end with {what} "
                               f"and left, such as {some[0].where}")
    return [line.values[:len(line.values) - count]
            for line, count in zip(lines, more, strict=True)]


def _more(values: Sequence[float]) -> int:
    """How many numbers seem to stand behind the coordinates."""
    if len(values) < 5:
        return 0
    *_, before, last = values
    whole = last >= 1 and last == int(last if math.isfinite(last) else 0)
    if len(values) % 2:
        return int(0 <= last <= 1 or whole)
    return 2 if whole and 0 <= before <= 1 else 0


def _add(line: Line, values: Sequence[float]) -> None:
    """Give a line's photo its polygon, or its box."""
    if len(values) < 4 or len(values) % 2:
        raise InputError(f"{line.where}: {len(values)} coordinates are no polygon; three or more "
                         "points of x and y are needed")
    outside = [value for value in values if not -0.1 <= value <= 1.1]
    if outside or not all(map(math.isfinite, values)):
        raise InputError(f"{line.where}: coordinate {outside[0]} is no share of the photo (0 .. 1);"
                         " export normalised coordinates")
    photo = line.photo
    points = [value * side for value, side in
              zip(values, (photo.width, photo.height) * (len(values) // 2), strict=True)]
    if len(points) == 4:
        x, y, width, height = points  # the box's middle and its sides
        photo.boxes.append(ring(rectangle(x - width / 2, y - height / 2, x + width / 2,
                                          y + height / 2)))
    else:
        photo.shapes.append(Shape(line.name, polygons=[points], where=line.where))
