"""COCO and COCO Camera Traps: one JSON file of images, categories and annotations.

A box outlines nothing: an annotation with a box alone is ignored (255) where no outline lies, and
one without a box says something of the whole photo, which is then unlabelled.
Sources: cocodataset.org/#format-data; for camera traps (location, seq_id, datetime or
date_captured, the category `empty`, no width and height) MegaDetector's data_management/README.md.
Ids may be ints or texts.
"""

from .. import InputError
from ..data.photos import parse_datetime
from ..data.progress import progress
from .exports import are_points, is_number, objects, pixels_along, read_json
from .outlines import (
    box_of,
    category_names,
    id_of,
    refuse_contradiction,
    rings,
    run_lengths,
    text_of,
)
from .shapes import LabelledPhoto, Labels, Shape, ring
from .source import NoArea, Source


def read_coco(source: Source, crowd: str = "ignore") -> Labels:
    """The labels of a COCO file; what is wrong is named by file, id and value.

    `crowd`: group regions (iscrowd 1) count as their `class`, or are to `ignore`.
    """
    path, content = source.path, read_json(source.path)
    pictures, categories, annotations = (objects(content, key, path, "COCO file") for key in (
        "images", "categories", "annotations"))
    names, photos = category_names(categories, source), {}
    doubled: dict[str, str] = {}  # the id of each file
    for number, item in enumerate(progress(pictures, "reading"), start=1):
        with source.noted():
            key = id_of(item, f"{path}, image number {number}")
            where = f"{path}, image {key}"
            if key in photos:
                if item in pictures[:number - 1]:  # the same once more
                    continue
                raise InputError(f"{where}: two images have this id; number them anew")
            photos[key] = None
            file = text_of(item, "file_name", where)
            other = doubled.setdefault(source.find(file, where) or file, key)
            if other != key:
                _check_same(photos[other], item, where)
                photos[key] = photos[other]
                source.told.append(f"{where} is {file!r} like image {other}: their annotations are "
                                   "put together")
                continue
            photos[key] = _photo(item, file, source, where)
    for number, item in enumerate(progress(annotations, "reading", unit="annotations"), start=1):
        with source.noted():
            where = f"{path}, annotation {item.get('id', f'number {number}')!s:.40}"
            image = id_of(item, where, "image_id")
            if image not in photos:
                raise InputError(f"{where}: image_id {image:.40} is no image of the file")
            photo = photos[image]
            with source.noted(photo):
                category = id_of(item, where, "category_id")
                if category not in names:
                    raise InputError(f"{where}: category_id {category:.40} is no category of the "
                                     "file")
                if photo is not None:
                    _add(item, names[category], crowd, photo, source)
    for photo in photos.values():
        with source.noted():
            if photo is not None:
                refuse_contradiction(photo)
    found = [photos[key] for key in doubled.values() if photos[key] is not None]
    _leave_export_time(pictures, found, source)
    return source.labels(found)


def _photo(item: dict, file: str, source: Source, where: str) -> LabelledPhoto | None:
    photo = source.photo(file, where)
    if photo is None:
        return None
    photo.width, photo.height = _size(item, where) or (photo.width, photo.height)
    photo.location, photo.sequence, video = (_word(item.get(key), f"{where}: {key}")
                                             for key in ("location", "seq_id", "video_id"))
    photo.sequence = photo.sequence or video  # of frames, in CocoVID
    # Many tools write as date_captured when they exported; the photo itself knows better.
    known = item.get("location", item.get("seq_id")) is not None or not photo.header.datetime
    times = [str(item[key]) for key in ("datetime", *["date_captured"] * known)
             if item.get(key) not in (None, "")]
    photo.datetime = next(filter(None, map(parse_datetime, times)), "")
    if times and not photo.datetime:
        source.told.append(f"{where}: its time {times[0]!r:.40} cannot be read and is left; write "
                           "it as 2024-07-31 05:06:07")
    return photo


def _word(value: object, what: str) -> str:
    """A name that may be a number, such as 0."""
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) not in (int, float, str, type(None)):
        raise InputError(f"{what} {value!r:.40} is no name")
    return "" if value is None else str(value).strip()


def _leave_export_time(pictures: list[dict], photos: list[LabelledPhoto], source: Source) -> None:
    """One time for photos of which no site is known is that of the export."""
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
    if item.get("width") in (None, 0) and item.get("height") in (None, 0):
        return None
    return pixels_along(item, "width", where), pixels_along(item, "height", where)


def _check_same(photo: LabelledPhoto | None, item: dict, where: str) -> None:
    """Refuse a second entry for a photo that tells another size than the first."""
    size = _size(item, where)
    if photo is not None and size not in (None, (photo.width, photo.height)):
        raise InputError(f"{where}: it is for {size[0]} x {size[1]} pixels, {photo.where} of the "
                         f"same file for {photo.width} x {photo.height}")


def _add(item: dict, name: str, crowd: str, photo: LabelledPhoto, source: Source) -> None:
    """Give the photo what an annotation says of it."""
    where = f"{source.path}, annotation {item.get('id')!s:.40}"
    segmentation, box = item.get("segmentation"), item.get("bbox")
    if name.lower() == "empty":
        photo.empty = True
        return
    if segmentation not in (None, "", {}) and not (isinstance(segmentation, list) and all(
            ring == [] for ring in segmentation)):
        ignored = crowd == "ignore" and item.get("iscrowd") in (1, "1")
        try:
            photo.shapes.append(_shape(None if ignored else name, segmentation, photo, where))
            return
        except NoArea as error:
            if not box:
                raise
            source.no_area.append(str(error))
    if box:
        photo.boxes.append(box_of(box, where))
    else:
        photo.unclear = True


def _shape(name: str | None, segmentation: object, photo: LabelledPhoto, where: str) -> Shape:
    if isinstance(segmentation, list) and len(segmentation) == 1 and isinstance(
            segmentation[0], dict):  # one encoding in a list
        segmentation = segmentation[0]
    if isinstance(segmentation, dict):
        return Shape(name, rle=run_lengths(segmentation, photo, where), where=where)
    if not isinstance(segmentation, list):
        raise InputError(f"{where}: segmentation {str(segmentation)[:40]!r} is neither polygons "
                         "nor a run-length encoding")
    if all(map(is_number, segmentation)):  # one flat list of coordinates
        segmentation = [segmentation]
    if are_points(segmentation) and len(segmentation) > 2:  # [[x1, y1], [x2, y2] ...]
        segmentation = [segmentation]
    nested = [ring(points) if are_points(points) else points for points in segmentation]
    return Shape(name, polygons=rings(nested, where), where=where)
