"""Labelme: one JSON file a photo, with polygons, rectangles, circles and masks.

Coordinates are pixels of the upright photo. Source: wkentaro/labelme, `_label_file.py` and
`_utils/shape.py` (versions 4 to 7).
"""

import base64
import binascii
import io
import math
import os
from pathlib import Path

import numpy as np
from PIL import Image

from .. import InputError
from ..data.manifest import BACKGROUND
from ..data.photos import UNREADABLE, find_photos, photo_size
from ..data.rle import encode_rle
from .exports import (
    are_points,
    check_folder,
    is_side,
    no_area,
    photo_in,
    read_json,
    read_text,
    without_photo,
)
from .shapes import LabelledPhoto, Labels, Shape, ellipse, rectangle, ring, turned

SPECIAL = {"__ignore__": None, "_background_": BACKGROUND}  # names that Labelme's converter knows


def read_labelme(path: Path, images: Path, place: str, *, split: str = "",
                 skip_missing: bool = False, classes: Path | None = None) -> Labels:
    """The labels of all JSON files below a folder.

    A file's photo is its imagePath, seen from the JSON file; if that is not in `images`, then the
    imagePath in the folder of `images` that the JSON file's has in `path`. Photos of `images`
    without a JSON file have no shapes. `classes`: Labelme's labels.txt, the names in the order
    wanted; other labels are refused. Lines and points have no area: they are refused. Raises
    InputError with file and shape for whatever is wrong.
    """
    check_folder(path, "Labelme files")
    names = _read_names(classes) if classes else []
    photos: dict[str, LabelledPhoto] = {}
    missing = []
    for file in sorted(found for found in path.rglob("*") if found.suffix.lower() == ".json"):
        content = _read_file(file)
        key = _photo_of(content, file, path, images)
        photo = photo_in(images, place, key, split=split, label=file)
        if not os.path.isfile(photo.source):
            missing.append(file)
            continue
        if key in photos:
            raise InputError(f"{file}: {photos[key].where} is for the same photo {key}; leave "
                             "one of them out")
        photo.width, photo.height = _size(content, file) or photo_size(photo.source)
        photo.shapes = _shapes(content["shapes"], photo, names)
        photos[key] = photo
    for key in find_photos(images):
        if key not in photos:
            photo = photos[key] = photo_in(images, place, key, split=split)
            photo.width, photo.height = photo_size(photo.source)
    return Labels(list(photos.values()), names, without_photo(missing, images, skip_missing))


def _read_file(path: Path) -> dict:
    content = read_json(path)
    if not (isinstance(content, dict) and isinstance(content.get("shapes"), list)
            and isinstance(content.get("imagePath"), str) and content["imagePath"].strip()):
        raise InputError(f"{path}: no Labelme file, it has no `shapes` and `imagePath`")
    return content


def _photo_of(content: dict, file: Path, path: Path, images: Path) -> str:
    """The photo's path relative to `images`; it may still lead out of it."""
    given = content["imagePath"].replace("\\", "/")
    if given.startswith("/") or given[1:2] == ":" or "\0" in given:
        raise InputError(f"{file}: imagePath {given!r} must be relative to the JSON file")
    seen = os.path.normpath(Path(os.path.abspath(file)).parent / given)
    folder = os.path.abspath(images)
    if Path(seen).is_relative_to(folder) and seen != folder:
        return Path(seen).relative_to(folder).as_posix()
    return Path(os.path.normpath(file.parent.relative_to(path) / given)).as_posix()


def _size(content: dict, file: Path) -> tuple[int, int] | None:
    sides = content.get("imageWidth"), content.get("imageHeight")
    if sides == (None, None):
        return None
    if not all(map(is_side, sides)):
        raise InputError(f"{file}: imageWidth {sides[0]!r} and imageHeight {sides[1]!r} are no "
                         "numbers of pixels")
    return sides


def _shapes(items: list, photo: LabelledPhoto, names: list[str]) -> list[Shape]:
    shapes: list[Shape] = []
    groups: dict[tuple, int] = {}
    for number, item in enumerate(items, start=1):
        where = f"{photo.where}, shape {number}"
        if not isinstance(item, dict) or not isinstance(item.get("label"), str):
            raise InputError(f"{where}: it has no label")
        label = item["label"].strip()
        name = SPECIAL.get(label, label)
        if name == "" or (names and name not in (*names, *SPECIAL.values())):
            raise InputError(f"{where}: label {label!r} is none of {', '.join(names)[:200]}; "
                             "correct it, or add it to the file of classes")
        shape = _shape(name, item, photo, where)
        group = item.get("group_id")
        if type(group) is int and shape.polygons:
            # The parts of one animal, torn apart by a trunk say, are one shape.
            first = groups.setdefault((name, group), len(shapes))
            if first < len(shapes):
                shapes[first] = Shape(name, [*shapes[first].polygons, *shape.polygons])
                continue
        shapes.append(shape)
    return shapes


def _shape(name: str | None, item: dict, photo: LabelledPhoto, where: str) -> Shape:
    kind = item.get("shape_type") or "polygon"  # None in old files
    points = item.get("points")
    needed = {"polygon": 3, "oriented_rectangle": 4, "rectangle": 2, "circle": 2, "mask": 2}
    if not isinstance(kind, str) or kind not in needed:
        raise no_area(where, f"{kind!r:.20}")
    if not are_points(points) or (len(points) < 3 if kind == "polygon"
                                     else len(points) != needed[kind]):
        raise InputError(f"{where}: a {kind} needs {needed[kind]}{' or more' * (kind == 'polygon')}"
                         f" points [x, y], not {points!r:.60}")
    if kind == "mask":
        return Shape(name, rle=encode_rle(_pasted(item.get("mask"), points, photo, where)))
    if kind == "rectangle":
        (left, top), (right, bottom) = points
        points = rectangle(left, top, right, bottom)
    elif kind == "circle":
        (x, y), rim = points
        radius = math.dist((x, y), rim)
        return Shape(name, polygons=[turned(ellipse(radius, radius), x, y)])
    return Shape(name, polygons=[ring(points)])


def _pasted(text: object, points: list, photo: LabelledPhoto, where: str) -> np.ndarray:
    """The mask of a box, a PNG in base64, in its place: bool (height, width), cut at the edges."""
    try:
        with Image.open(io.BytesIO(base64.b64decode(text, validate=True))) as picture:
            inside = np.asarray(picture.convert("L")) > 0
    except (*UNREADABLE, binascii.Error) as error:
        raise InputError(f"{where}: its mask is no PNG in base64 "
                         f"({str(error).splitlines()[0][:60]})") from None
    left, top = (math.floor(min(values)) for values in zip(*points, strict=True))
    height, width = photo.height, photo.width
    mask = np.zeros((height, width), bool)
    part = inside[max(0, -top):max(0, height - top), max(0, -left):max(0, width - left)]
    if part.size:
        top, left = max(0, top), max(0, left)
        mask[top:top + part.shape[0], left:left + part.shape[1]] = part
    return mask


def _read_names(path: Path) -> list[str]:
    lines = [line.strip() for line in read_text(path).splitlines()]
    names = [line for line in lines if line and line not in SPECIAL]
    if not names:
        raise InputError(f"{path}: no class name in it")
    return list(dict.fromkeys(names))
