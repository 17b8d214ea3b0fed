"""COCO and COCO Camera Traps: one JSON file of images, categories and annotations.

Sources: cocodataset.org/#format-data; for camera traps (location, seq_id, datetime, the category
`empty`) MegaDetector's data_management/README.md. Ids may be ints or texts.
"""

import os
from pathlib import Path

from .. import InputError
from ..data.photos import parse_datetime
from ..data.rle import decode_rle
from .exports import check_missing, is_number, objects, photo_in, pixels_along, read_json
from .shapes import LabelledPhoto, Labels, Shape


def read_coco(path: Path, images: Path, place: str, *, split: str = "",
              skip_missing: bool = False, crowd: str = "ignore") -> Labels:
    """The labels of a COCO file. Raises InputError with file, id and value for what is wrong.

    `images` is the folder of the photos, `place` where they lie in the data root. `crowd`: group
    regions (iscrowd 1) count as their `class`, or are to `ignore`.
    """
    content = read_json(path)
    pictures, categories, annotations = (objects(content, key, path, "COCO file") for key in (
        "images", "categories", "annotations"))
    names = {_id(item, path, "category"): _text(item, "name", f"{path}, category")
             for item in categories}
    photos, missing = {}, []
    for item in pictures:
        key = _id(item, path, "image")
        where = f"{path}, image {key}"
        if key in photos:
            raise InputError(f"{where}: two images have this id")
        file = _text(item, "file_name", where)
        photo = photos[key] = photo_in(images, place, file, split=split, label=where)
        if not os.path.isfile(photo.source):
            missing.append(file)
        photo.width, photo.height = (pixels_along(item, key, where) for key in ("width", "height"))
        photo.location, time, photo.sequence = (
            "" if item.get(key) is None else str(item[key]).strip()  # 0 is a name, too
            for key in ("location", "datetime", "seq_id"))
        photo.datetime = parse_datetime(time)
    unpaired = check_missing(path, missing, images, skip_missing)
    segmented = 0
    for item in annotations:
        key = _id(item, path, "annotation")
        where = f"{path}, annotation {key}"
        photo = photos.get(str(item.get("image_id")))
        if photo is None:
            raise InputError(f"{where}: image_id {item.get('image_id')!r} is no image of the file")
        name = names.get(str(item.get("category_id")))
        if name is None:
            raise InputError(f"{where}: category_id {item.get('category_id')!r} is no category of "
                             "the file")
        if name == "empty":
            photo.empty = True
            continue
        if not item.get("segmentation"):
            continue
        segmented += 1
        if crowd == "ignore" and item.get("iscrowd") == 1:
            name = None
        photo.shapes.append(_shape(name, item["segmentation"], photo, where))
    if annotations and not segmented:
        raise InputError(f"{path}: its annotations are boxes (or labels) without segmentation, "
                         "and a box is no mask; draw masks, or make them with a tool such as SAM")
    return Labels([photo for photo in photos.values() if os.path.isfile(photo.source)],
                  unpaired=unpaired)


def _shape(name: str | None, segmentation: object, photo: LabelledPhoto, where: str) -> Shape:
    if isinstance(segmentation, dict):
        size, counts = segmentation.get("size"), segmentation.get("counts")
        if size != [photo.height, photo.width]:
            raise InputError(f"{where}: the encoding's size {size} is not that of its image "
                             f"({photo.height}, {photo.width})")
        if not (isinstance(counts, str) or (isinstance(counts, list)
                                            and all(type(count) is int for count in counts))):
            raise InputError(f"{where}: counts of the run-length encoding are no text and no list "
                             "of whole numbers")
        rle = {"size": size, "counts": counts}
        try:
            decode_rle(rle)
        except ValueError as error:
            raise InputError(f"{where}: {error}") from None
        return Shape(name, rle=rle)
    if not isinstance(segmentation, list):
        raise InputError(f"{where}: segmentation {str(segmentation)[:40]!r} is neither polygons "
                         "nor a run-length encoding")
    for ring in segmentation:
        sound = isinstance(ring, list) and len(ring) >= 6 and len(ring) % 2 == 0 \
            and all(map(is_number, ring))
        if not sound:
            raise InputError(f"{where}: {ring!r:.60} is no polygon [x1, y1, x2, y2, x3, y3 "
                             "...] of three or more points")
    return Shape(name, polygons=segmentation)


def _id(item: dict, path: Path, what: str) -> str:
    value = item.get("id")
    if type(value) not in (int, str):
        raise InputError(f"{path}: {what} id {value!r} is neither a whole number nor a text")
    return str(value)


def _text(item: dict, key: str, where: str) -> str:
    value = item.get(key)
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{where}: {key} {value!r} is no text")
    return value.strip()
