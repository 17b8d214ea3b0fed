"""Labelbox: the NDJSON of an export (version 2), one photo a line.

Polygons and masks are outlines; a bounding box outlines nothing; lines and points have no area. Of
a mask the export has only an address; its picture has to be downloaded into the folder of the
export, by the `feature_id` of its object: white, and not transparent, is inside. Coordinates are
pixels of the upright photo.
Source: docs.labelbox.com, Export image annotations (`data_row`, `media_attributes`, `projects`).
"""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np

from .. import InputError
from ..data.progress import progress
from ..data.rle import encode_rle
from .exports import no_area, objects, open_mask, pixels_along, read_text
from .outlines import box_of, finished, numbers_of, png_pixels, ring_of, text_of
from .shapes import LabelledPhoto, Labels, Shape
from .source import Source

NO_AREA = ("line", "point")
PICTURES = (".png", ".tif", ".tiff")


def read_labelbox(source: Source) -> Labels:
    """The labels of an NDJSON file; a photo that several people labelled is a fault."""
    photos, marked, pictures = [], [], {}
    for path in sorted(source.path.parent.rglob("*")):
        if path.suffix.lower() in PICTURES and not path.name.startswith("._"):
            pictures.setdefault(path.stem, path)
    for item, where in _rows(source):
        with source.noted():
            row, media = item["data_row"], item.get("media_attributes")
            photo = _photo(row, source, where)
            if photo is None:
                continue
            photos.append(photo)
            photo.unclear = True  # until its labels are read
            if isinstance(media, dict) and media.get("width") is not None:
                photo.width, photo.height = (pixels_along(media, key, where)
                                             for key in ("width", "height"))
            marks = _marks(item, where)
            photo.unclear = marks is None
            if marks is None:
                source.told.append(f"{where}: its label was skipped: it is unlabelled")
            for number, mark in enumerate(marks or (), start=1):
                marked += [photo] * (number == 1)
                with source.noted():
                    _add(photo, mark, pictures, source.path.parent, f"{where}, object {number}")
    return finished(source, photos, marked)


def _rows(source: Source) -> Iterator[tuple[dict, str]]:
    """Each photo's object, and its place."""
    text = read_text(source.path).strip()
    lines = text.split("\n")
    if text.startswith("["):  # saved as one JSON list
        try:
            lines = [json.dumps(item) for item in json.loads(text)]
        except (ValueError, RecursionError) as error:
            raise InputError(f"{source.path}: no valid JSON ({error})") from None
    for number, line in enumerate(progress(lines, "reading"), start=1):
        where = f"{source.path}, line {number}"
        with source.noted():
            try:
                item = json.loads(line) if line.strip() else None
            except (ValueError, RecursionError) as error:
                raise InputError(f"{where}: no valid JSON ({error})") from None
            if isinstance(item, dict) and "Labeled Data" in item:
                raise InputError(f"{where}: of the old export; export anew, version 2, as NDJSON")
            if line.strip() and (not isinstance(item, dict)
                                 or not isinstance(item.get("data_row"), dict)):
                raise InputError(f"{where}: no photo of Labelbox, it has no `data_row`")
            if item is not None:
                yield item, where


def _photo(row: dict, source: Source, where: str) -> LabelledPhoto | None:
    """The photo by the name that it was uploaded with, else by its key, else by its address."""
    address = urlsplit(str(row.get("row_data") or "")).path
    names = [name for name in (row.get("external_id"), row.get("global_key"), unquote(address))
             if isinstance(name, str) and name.strip()]
    if not names:
        raise InputError(f"{where}: its data_row has no external_id, global_key or row_data")
    found = [name for name in names if source.find(name, where) is not None]
    return source.photo((found or names)[0], where)


def _marks(item: dict, where: str) -> list[dict] | None:
    """The objects of the one label that a photo has; None if it was skipped."""
    projects = item.get("projects")
    if not isinstance(projects, dict) or not all(
            isinstance(project, dict) for project in projects.values()):
        raise InputError(f"{where}: it has no `projects`; export the labels, too")
    all_labels = [label for project in projects.values()
                  for label in objects(project, "labels", Path(where))]
    labels = [label for label in all_labels if not _skipped(label)]
    if len(labels) > 1:
        raise InputError(f"{where}: {len(labels)} labels for one photo; export one project, and "
                         "of each photo the label that counts")
    if not labels:
        return None if all_labels else []
    if isinstance(labels[0].get("annotations"), dict) and "frames" in labels[0]["annotations"]:
        raise InputError(f"{where}: a video; only photos can be read")
    return objects(labels[0].get("annotations"), "objects", Path(where))


def _skipped(label: dict) -> bool:
    details = label.get("performance_details")
    return isinstance(details, dict) and details.get("skipped") is True


def _add(photo: LabelledPhoto, mark: dict, pictures: dict[str, Path], folder: Path,
         where: str) -> None:
    """Give the photo what an object says of it."""
    name = text_of(mark, "name", where)
    if mark.get("polygon") is not None:
        points = mark["polygon"]
        points = [[point.get("x"), point.get("y")] if isinstance(point, dict) else point
                  for point in points] if isinstance(points, list) else points
        photo.shapes.append(Shape(name, polygons=[ring_of(points, where)], where=where))
    elif isinstance(mark.get("bounding_box"), dict):
        photo.boxes.append(box_of(numbers_of(mark["bounding_box"], (
            "left", "top", "width", "height"), where), where))
    elif isinstance(mark.get("mask"), dict) and mark["mask"].get("png"):
        pixels = png_pixels(mark["mask"]["png"], where)
        photo.shapes.append(Shape(name, rle=_whole(pixels, photo, where), where=where))
    elif mark.get("mask") is not None or mark.get("composite_mask") is not None:
        key = text_of(mark, "feature_id", where)
        if key not in pictures:
            raise InputError(f"{where}: its mask is only an address; download it, with your API "
                             f"key, to {folder / key}.png")
        composite = mark.get("composite_mask") if mark.get("mask") is None else None
        pixels = _of_colour(pictures[key], composite, where) if composite else _white(pictures[key])
        photo.shapes.append(Shape(name, rle=_whole(pixels, photo, where), where=where))
    elif kind := next((key for key in NO_AREA if mark.get(key) is not None), ""):
        raise no_area(where, kind)
    else:
        raise InputError(f"{where}: {mark.get('annotation_kind')!r:.40} is no kind of object that "
                         "can be read")


def _white(path: Path) -> np.ndarray:
    """The white of a picture that is not transparent, bool (height, width)."""
    with open_mask(path) as picture:
        grey, opacity = (np.asarray(picture.convert("LA").getchannel(channel))
                         for channel in ("L", "A"))
    return (grey > 127) & (opacity > 127)


def _of_colour(path: Path, composite: dict, where: str) -> np.ndarray:
    """One object of a picture in which each has a colour, bool (height, width)."""
    colour = composite.get("color_rgb") if isinstance(composite, dict) else None
    if not isinstance(colour, list) or len(colour) != 3:
        raise InputError(f"{where}: color_rgb {colour!r:.40} is no colour [red, green, blue]")
    with open_mask(path) as picture:
        inside = (np.asarray(picture.convert("RGB")) == colour).all(axis=2)
    if not inside.any():
        raise InputError(f"{where}: {path} has no pixel of its colour {colour}; download the "
                         "composite mask of this photo")
    return inside


def _whole(pixels: np.ndarray, photo: LabelledPhoto, where: str) -> dict:
    """The run lengths of a mask that must be as large as its photo."""
    if pixels.shape != (photo.height, photo.width):
        raise InputError(f"{where}: its mask has {pixels.shape[1]} x {pixels.shape[0]} pixels, its "
                         f"photo {photo.width} x {photo.height}")
    return encode_rle(pixels)
