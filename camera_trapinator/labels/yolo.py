"""YOLO segmentation: one text file a photo, a line `class x1 y1 x2 y2 ...` for each animal.

Coordinates are shares of the photo's width and height, classes count from 0 without a background.
Source: docs.ultralytics.com/datasets/segment.
"""

import math
from pathlib import Path

import yaml

from .. import InputError
from ..data.photos import photo_size
from .exports import check_folder, pair_labels, photo_in, read_text, without_photo
from .shapes import Labels, Shape

NO_LABELS = ("classes.txt", "labels.txt", "obj.names", "train.txt", "val.txt", "test.txt")


def read_yolo(path: Path, images: Path, place: str, *, split: str = "",
              skip_missing: bool = False, names: Path) -> Labels:
    """The labels of a folder of text files, in the same tree as the photos in `images`.

    `names`: data.yaml, or a text file with one class name a line. A photo whose file is empty or
    missing has no shapes: YOLO calls it background, but whether somebody looked, it cannot say.
    Text files that tools add (classes.txt, train.txt, README...) are no labels. Raises InputError
    with file and line for boxes, which are no masks, and for whatever is no polygon.
    """
    check_folder(path, "labels")
    classes = _read_names(names)
    pairs, alone = pair_labels(images, path, ".txt")
    alone = [file for file in alone
             if file.name not in NO_LABELS and not file.name.upper().startswith("README")]
    photos = []
    for file, label in pairs:
        photo = photo_in(images, place, file, split=split, label=label or "")
        photo.width, photo.height = photo_size(photo.source)
        if label:
            photo.shapes = _read_shapes(label, classes, photo.width, photo.height)
        photos.append(photo)
    return Labels(photos, classes, without_photo(alone, images, skip_missing))


def _read_shapes(path: Path, classes: list[str], width: int, height: int) -> list[Shape]:
    shapes = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        where, cells = f"{path}, line {number}", line.split()
        if not cells:
            continue
        try:
            index, values = int(cells[0]), [float(cell) for cell in cells[1:]]
        except ValueError:
            raise InputError(f"{where}: {line[:60]!r} is no line `class x1 y1 x2 y2 x3 y3 ...` of "
                             "numbers") from None
        if not 0 <= index < len(classes):
            raise InputError(f"{where}: class {index} has no name; the file of names has 0 to "
                             f"{len(classes) - 1}")
        if len(values) == 4:
            raise InputError(f"{where}: this is a box, and a box is no mask; export polygons "
                             "(segmentation), or make masks with a tool such as SAM")
        if len(values) < 6 or len(values) % 2:
            raise InputError(f"{where}: {len(values)} coordinates are no polygon; three or more "
                             "points of x and y are needed")
        outside = [value for value in values if not -0.1 <= value <= 1.1]
        if outside or not all(map(math.isfinite, values)):
            raise InputError(f"{where}: coordinate {outside[0]} is no share of the photo (0 .. 1); "
                             "export normalised coordinates")
        ring = [value * side for value, side in
                zip(values, (width, height) * (len(values) // 2), strict=True)]
        shapes.append(Shape(classes[index], polygons=[ring]))
    return shapes


def _read_names(path: Path) -> list[str]:
    """The class names in their order, from data.yaml (a list, or index: name) or a text file."""
    text = read_text(path)
    names: object = text.split("\n")
    if path.suffix.lower() in (".yaml", ".yml"):
        try:
            content = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 (texts alone: safe)
        except (yaml.YAMLError, RecursionError):
            raise InputError(f"{path}: no valid YAML") from None
        names = content.get("names") if isinstance(content, dict) else None
        if isinstance(names, dict):
            if list(names) != [str(index) for index in range(len(names))]:
                raise InputError(f"{path}: the indices of `names` are {', '.join(map(str, names))}"
                                 "; they must be 0, 1, 2 ...")
            names = list(names.values())
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"{path}: no list `names` in it")
    names = [name.strip() for name in names]
    while names and not names[-1]:  # the end of a text file
        names.pop()
    if not names or "" in names or len(set(names)) < len(names):
        raise InputError(f"{path}: the class names {', '.join(names)[:60]!r} are empty or not "
                         "different from each other")
    return names
