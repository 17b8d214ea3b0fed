"""COCO and COCO Camera Traps: one JSON file of images, categories and annotations.

A box outlines nothing: an annotation with a box alone is ignored (255) where no outline lies, and
one without a box says something of the whole photo, which is then unlabelled.
Sources: cocodataset.org/#format-data; for camera traps (location, seq_id, datetime or
date_captured, the category `empty`, no width and height) MegaDetector's data_management/README.md.
Ids may be ints or texts.
"""

from .. import InputError
from ..data.photos import parse_datetime
from .exports import check_outlined, is_number, objects, pixels_along, read_json
from .outlines import box_of, id_of, rings, run_lengths, text_of
from .shapes import LabelledPhoto, Labels, Shape
from .source import Source

TIMES = ("datetime", "date_captured")


def read_coco(source: Source, crowd: str = "ignore") -> Labels:
    """The labels of a COCO file; what is wrong is named by file, id and value.

    `crowd`: group regions (iscrowd 1) count as their `class`, or are to `ignore`.
    """
    path, content = source.path, read_json(source.path)
    pictures, categories, annotations = (objects(content, key, path, "COCO file") for key in (
        "images", "categories", "annotations"))
    names: dict[str, str] = {}
    photos: dict[str, LabelledPhoto | None] = {}  # None: not there, or not sound
    doubled: dict[str, str] = {}  # the id of each file
    for item in categories:
        with source.noted():
            names[id_of(item, f"{path}, category")] = text_of(item, "name", f"{path}, category")
    for item in pictures:
        with source.noted():
            key = id_of(item, f"{path}, image")
            if key in photos:
                raise InputError(f"{path}, image {key}: two images have this id")
            photos[key] = None
            where, file = f"{path}, image {key}", text_of(item, "file_name", f"{path}, image {key}")
            other = doubled.setdefault(file, key)
            if other != key:
                _check_same(photos[other], item, where)
                photos[key] = photos[other]
                source.told.append(f"{where} is {file!r} like image {other}: their annotations are "
                                   "put together")
                continue
            photos[key] = _photo(item, file, source, where)
    for item in annotations:
        with source.noted():
            where = f"{path}, annotation {id_of(item, f'{path}, annotation')}"
            image, category = str(item.get("image_id")), str(item.get("category_id"))
            if image not in photos:
                raise InputError(f"{where}: image_id {item.get('image_id')!r} is no image of the "
                                 "file")
            photo = photos[image]
            with source.noted(photo):
                if category not in names:
                    raise InputError(f"{where}: category_id {item.get('category_id')!r} is no "
                                     "category of the file")
                if photo is not None:
                    _add(item, names[category], crowd, photo, where)
    found = [photos[key] for key in doubled.values() if photos[key] is not None]
    _leave_export_time(pictures, found, source)
    with source.noted():
        check_outlined(path, found, "annotations")
    return source.labels(found)


def _photo(item: dict, file: str, source: Source, where: str) -> LabelledPhoto | None:
    photo = source.photo(file, where)
    if photo is None:
        return None
    photo.width, photo.height = _size(item, where) or (photo.width, photo.height)
    photo.location, photo.sequence, *times = (
        "" if item.get(key) is None else str(item[key]).strip()  # 0 is a name, too
        for key in ("location", "seq_id", *TIMES))
    photo.datetime = next(filter(None, map(parse_datetime, times)), "")
    return photo


def _leave_export_time(pictures: list[dict], photos: list[LabelledPhoto], source: Source) -> None:
    """Many tools write there when they exported: one time for photos of which no site is known."""
    times = {str(item.get("date_captured")) for item in pictures}
    known = any(item.get(key) not in (None, "") for item in pictures
                for key in ("location", "seq_id", "datetime"))
    if len(pictures) > 1 and len(times) == 1 and not known and any(
            photo.datetime for photo in photos):
        for photo in photos:
            photo.datetime = ""
        source.told.append(f"{source.path}: date_captured is {times.pop()} for all images, which "
                           "is taken for the time of the export, and left")


def _size(item: dict, where: str) -> tuple[int, int] | None:
    """The size that the file tells; not all do."""
    if item.get("width") is None and item.get("height") is None:
        return None
    return pixels_along(item, "width", where), pixels_along(item, "height", where)


def _check_same(photo: LabelledPhoto | None, item: dict, where: str) -> None:
    """Refuse a second entry for a photo that tells another size than the first."""
    size = _size(item, where)
    if photo is not None and size not in (None, (photo.width, photo.height)):
        raise InputError(f"{where}: it is for {size[0]} x {size[1]} pixels, {photo.where} of the "
                         f"same file for {photo.width} x {photo.height}")


def _add(item: dict, name: str, crowd: str, photo: LabelledPhoto, where: str) -> None:
    """Give the photo what an annotation says of it."""
    segmentation = item.get("segmentation")
    if name.lower() == "empty":
        photo.empty = True
    elif segmentation is not None and not (isinstance(segmentation, list)
                                           and all(ring == [] for ring in segmentation)):
        ignored = crowd == "ignore" and item.get("iscrowd") == 1
        photo.shapes.append(_shape(None if ignored else name, segmentation, photo, where))
    elif item.get("bbox") is not None:
        photo.boxes.append(box_of(item["bbox"], where))
    else:
        photo.unclear = True


def _shape(name: str | None, segmentation: object, photo: LabelledPhoto, where: str) -> Shape:
    if isinstance(segmentation, dict):
        return Shape(name, rle=run_lengths(segmentation, photo, where), where=where)
    if not isinstance(segmentation, list):
        raise InputError(f"{where}: segmentation {str(segmentation)[:40]!r} is neither polygons "
                         "nor a run-length encoding")
    if all(map(is_number, segmentation)):  # one flat list of coordinates
        segmentation = [segmentation]
    return Shape(name, polygons=rings(segmentation, where), where=where)
