"""YOLO segmentation: one text file a photo, a line `class x1 y1 x2 y2 ...` for each animal.

Coordinates are shares of the photo's width and height, classes count from 0 without a background.
Source: docs.ultralytics.com/datasets/segment.
"""

import math
from pathlib import Path

import yaml

from .. import InputError
from .exports import check_folder, check_outlined, pair_labels, read_text, without_photo
from .shapes import LabelledPhoto, Labels, Shape, rectangle, ring
from .source import Source

NO_LABELS = ("classes.txt", "labels.txt", "obj.names", "train.txt", "val.txt", "test.txt")


def read_yolo(source: Source, names: Path) -> Labels:
    """The labels of a folder of text files, in the same tree as the photos.

    `names`: data.yaml, or a text file with one class name a line. A photo whose file is empty or
    missing has no shapes: YOLO calls it background, but whether somebody looked, it cannot say.
    Text files that tools add (classes.txt, train.txt, README...) are no labels. A further number at
    the end of all lines is how sure a network was, and is left; of some lines it is a fault. What
    is no polygon and no box is named by file and line.
    """
    path = source.path
    check_folder(path, "labels")
    classes = _read_names(names)
    pairs, alone = pair_labels(source, ".txt")
    without_photo(source, [file for file in alone if file.name not in NO_LABELS
                           and not file.name.upper().startswith("README")])
    photos, plain = [], 0
    scored: dict[str, int] = {}  # how many numbers the lines have that end with one more
    for file, label in pairs:
        with source.noted():
            photo = source.photo(file, label or "")
            if photo is None:
                continue
            photos.append(photo)
            for number, line in enumerate((read_text(label) if label else "").splitlines(), 1):
                if line.strip():
                    where = f"{label}, line {number}"
                    with source.noted(photo):
                        if count := _add_line(line, where, classes, photo):
                            scored[where] = count
                        else:
                            plain += 1
    if plain:
        source.faults += [f"{where}: {count} coordinates are no polygon; if the last number is a "
                          "confidence, take it away: other lines have none"
                          for where, count in scored.items()]
    elif scored:
        source.told.append(f"all {len(scored)} lines of {path} end with a number more, which is "
                           "taken for a confidence (save_conf) and left")
    with source.noted():
        check_outlined(path, photos, "labels")
    return source.labels(photos, classes)


def _add_line(line: str, where: str, classes: list[str], photo: LabelledPhoto) -> int:
    """Give the photo the polygon, or the box, of a line. Returns how many numbers it has behind the
    class, if it ends with one more; else 0."""
    try:
        index, *values = map(float, line.split())
    except ValueError:
        raise InputError(f"{where}: {line[:60]!r} is no line `class x1 y1 x2 y2 x3 y3 ...` of "
                         "numbers") from None
    if index not in range(len(classes)):
        raise InputError(f"{where}: class {line.split()[0]} has no name; the file of names has 0 "
                         f"to {len(classes) - 1}")
    count = len(values)
    if count % 2 and count > 4 and 0 <= values[-1] <= 1:
        values.pop()
    if len(values) < 4 or len(values) % 2:
        raise InputError(f"{where}: {len(values)} coordinates are no polygon; three or more points "
                         "of x and y are needed")
    outside = [value for value in values if not -0.1 <= value <= 1.1]
    if outside or not all(map(math.isfinite, values)):
        raise InputError(f"{where}: coordinate {outside[0]} is no share of the photo (0 .. 1); "
                         "export normalised coordinates")
    points = [value * side for value, side in
              zip(values, (photo.width, photo.height) * (len(values) // 2), strict=True)]
    if len(points) == 4:
        x, y, width, height = points  # the box's middle and its sides
        photo.boxes.append(ring(rectangle(x - width / 2, y - height / 2, x + width / 2,
                                          y + height / 2)))
    else:
        photo.shapes.append(Shape(classes[int(index)], polygons=[points], where=where))
    return count % 2 * count


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
