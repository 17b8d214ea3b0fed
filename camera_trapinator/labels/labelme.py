"""Labelme: one JSON file a photo, with polygons, rectangles, circles and masks.

Coordinates are pixels of the upright photo. Source: wkentaro/labelme, `_label_file.py` and
`_utils/shape.py` (versions 4 to 7).
"""

import math
import os
from pathlib import Path

from .. import InputError
from ..data.manifest import BACKGROUND
from .exports import (
    are_points,
    check_folder,
    check_outlined,
    files_below,
    is_side,
    no_area,
    read_json,
    read_text,
    without_photo,
)
from .outlines import pasted, png_pixels, ring_of
from .shapes import LabelledPhoto, Labels, Shape, ellipse, rectangle, ring
from .source import Source

# Points of each kind of shape. X-AnyLabeling stores a rectangle as its four corners, and turned
# ones as `rotation`.
NEEDED = {"polygon": (), "oriented_rectangle": (4,), "rotation": (4,), "rectangle": (2, 4),
          "circle": (2,), "mask": (2,)}
SPECIAL = {"__ignore__": None, "_background_": BACKGROUND}  # names that Labelme's converter knows


def read_labelme(source: Source, classes: Path | None = None) -> Labels:
    """The labels of all JSON files below a folder.

    A file's photo is its imagePath, seen from the JSON file; if that is not among the photos, then
    the imagePath in their folder that the JSON file's has; if it is a path of another machine, the
    photo of that name beside the JSON. Photos without a JSON file have no shapes, and JSON files of
    other tools are left. `classes`: Labelme's labels.txt, the names in the order wanted; other
    labels are faults, and so are lines and points, which have no area.
    """
    path = source.path
    check_folder(path, "Labelme files")
    names = _read_names(classes) if classes else []
    photos: dict[str, LabelledPhoto] = {}
    missing, foreign, tried = [], [], set()
    files = files_below(path, ".json")
    for file in files:
        with source.noted():
            content = _read_file(file)
            if content is None:
                foreign.append(file)
                continue
            key = _photo_of(content, file, source)
            tried.add(key)
            found = source.find(key, str(file))
            if found is None:
                missing.append((file, content["imagePath"]))
                continue
            tried.add(found)
            photo = source.photo(key, file)
            if photo is None:
                continue
            if photo.file in photos:
                raise InputError(f"{file}: {photos[photo.file].where} is for the same photo {key}; "
                                 "leave one of them out")
            photos[photo.file] = photo
            with source.noted(photo):
                photo.width, photo.height = _size(content, file) or photo.header.size
                photo.shapes = _shapes(content["shapes"], photo, names, source)
    if foreign and len(foreign) == len(files):
        raise InputError(f"{foreign[0]}: no Labelme file, it has no `shapes` and `imagePath`")
    if not files:
        raise InputError(f"{path}: no .json file in it; Labelme writes one beside each photo")
    source.told += [f"{file} is left: no Labelme file, it has no `shapes` and `imagePath`"
                    for file in foreign]
    for key in source.photos:
        with source.noted():
            if key not in tried and (photo := source.photo(key)) is not None:
                photos[photo.file] = photo
    without_photo(source, [file for file, _ in missing], [name for _, name in missing])
    with source.noted():
        check_outlined(path, photos.values(), "shapes")
    return source.labels(photos.values(), names)


def _read_file(path: Path) -> dict | None:
    """The content of a JSON file; None if it is of another tool."""
    content = read_json(path)
    sound = (isinstance(content, dict) and isinstance(content.get("shapes"), list)
             and isinstance(content.get("imagePath"), str) and content["imagePath"].strip())
    return content if sound else None


def _photo_of(content: dict, file: Path, source: Source) -> str:
    """The photo's path relative to the folder of the photos; it may still lead out of it."""
    given = content["imagePath"].replace("\\", "/")
    if given.startswith("/") or given[1:2] == ":":  # of another machine, or another drive
        given = given.rpartition("/")[2]
    if not given or "\0" in given:
        raise InputError(f"{file}: imagePath {content['imagePath']!r} names no photo; write its "
                         "name there, relative to the JSON file")
    seen = os.path.normpath(Path(os.path.abspath(file)).parent / given)
    folder = os.path.abspath(source.images)
    if Path(seen).is_relative_to(folder) and seen != folder:
        return Path(seen).relative_to(folder).as_posix()
    return Path(os.path.normpath(file.parent.relative_to(source.path) / given)).as_posix()


def _size(content: dict, file: Path) -> tuple[int, int] | None:
    sides = content.get("imageWidth"), content.get("imageHeight")
    if sides == (None, None):
        return None
    if not all(map(is_side, sides)):
        raise InputError(f"{file}: imageWidth {sides[0]!r} and imageHeight {sides[1]!r} are no "
                         "numbers of pixels")
    return sides


def _shapes(items: list, photo: LabelledPhoto, names: list[str], source: Source) -> list[Shape]:
    shapes: list[Shape] = []
    groups: dict[tuple, int] = {}
    for number, item in enumerate(items, start=1):
        with source.noted(photo):
            shape = _labelled_shape(item, photo, names, f"{photo.where}, shape {number}")
            group = item.get("group_id")
            if type(group) is int and shape.polygons:
                # The parts of one animal, torn apart by a trunk say, are one shape.
                first = groups.setdefault((shape.name, group), len(shapes))
                if first < len(shapes):
                    shapes[first] = shapes[first]._replace(
                        polygons=[*shapes[first].polygons, *shape.polygons])
                    continue
            shapes.append(shape)
    return shapes


def _labelled_shape(item: object, photo: LabelledPhoto, names: list[str], where: str) -> Shape:
    if not isinstance(item, dict) or not isinstance(item.get("label"), str):
        raise InputError(f"{where}: it has no label")
    label = item["label"].strip()
    name = SPECIAL.get(label, label)
    if name == "" or (names and name not in (*names, *SPECIAL.values())):
        raise InputError(f"{where}: label {label!r} is none of {', '.join(names)[:200]}; "
                         "correct it, or add it to the file of classes")
    return _shape(name, item, photo, where)


def _shape(name: str | None, item: dict, photo: LabelledPhoto, where: str) -> Shape:
    kind = item.get("shape_type") or "polygon"  # None in old files
    points = item.get("points")
    if not isinstance(kind, str) or kind not in NEEDED:
        raise no_area(where, f"{kind!r:.20}")
    if kind == "polygon":
        return Shape(name, polygons=[ring_of(points, where)], where=where)
    if not are_points(points) or len(points) not in NEEDED[kind]:
        raise InputError(f"{where}: a {kind} needs {NEEDED[kind][0]} points [x, y], not "
                         f"{points!r:.60}")
    if kind == "mask":
        left, top = (math.floor(min(values)) for values in zip(*points, strict=True))
        pixels = png_pixels(item.get("mask"), where)
        return Shape(name, rle=pasted(pixels, left, top, photo), where=where)
    if kind == "rectangle" and len(points) == 2:
        (left, top), (right, bottom) = points
        points = rectangle(left, top, right, bottom)
    elif kind == "circle":
        (x, y), rim = points
        radius = math.dist((x, y), rim)
        points = [(x + across, y + down) for across, down in ellipse(radius, radius)]
    return Shape(name, polygons=[ring(points)], where=where)


def _read_names(path: Path) -> list[str]:
    lines = [line.strip() for line in read_text(path).splitlines()]
    names = [line for line in lines if line and line not in SPECIAL]
    if not names:
        raise InputError(f"{path}: no class name in it")
    return list(dict.fromkeys(names))
