"""VGG Image Annotator (VIA, versions 1 and 2): project JSON, annotations as JSON or CSV.

Polygons, circles and ellipses are outlines; a rectangle is a box, which outlines nothing; polylines
and points have no area. The class is what an attribute of the region says. Coordinates are pixels
of the photo as the browser shows it: upright.
Source: gitlab.com/vgg/via, via-2.x.y, CodeDoc.md and via.js (theta of an ellipse: radians).
"""

import json
import math
from collections.abc import Iterator

from .. import InputError
from ..data.progress import progress
from ..data.tables import read_rows
from .exports import no_area, other_tool, read_json
from .outlines import box_of, class_of, finished, numbers_of, ring_of, text_of
from .shapes import LabelledPhoto, Labels, Shape, ellipse, turned
from .source import Source


def read_via(source: Source, attribute: str = "", name: str = "") -> Labels:
    """The labels of a VIA file.

    `attribute`: the one of the regions that names the class; "" = the only one that is filled in.
    `name`: the class of all regions, whatever their attributes. A region without class is a fault.
    """
    path, name = source.path, name and class_of(name)
    regions: list[tuple[LabelledPhoto, object, str]] = []
    photos: dict[tuple, LabelledPhoto | None] = {}  # by name and size, as VIA knows them
    options: dict[str, dict] = {}  # of menus and ticks: what they show, by id
    found = _csv(source) if path.suffix.lower() == ".csv" else _json(source, options)
    for item, marks, where in progress(found, "reading"):
        with source.noted():
            file = text_of(item, "filename", where)
            key = (file, str(item.get("size")))
            if key not in photos:
                photos[key] = None
                photos[key] = source.photo(file, where)
            if photos[key] is not None:
                regions += [(photos[key], mark, place) for mark, place in marks]
    used = {key for _, mark, _ in regions for key, value in _part(mark, "region_attributes").items()
            if _value(value, {})}
    if not name and len(used) > 1 and not attribute:
        raise InputError(f"{path}: its regions have the attributes {_listed(used)}; say which one "
                         "names the class with --attribute NAME")
    attribute = attribute or next(iter(used), "")
    if regions and not name and attribute not in used:
        raise InputError(f"{path}: no region has the attribute {attribute!r}, but {_listed(used)}"
                         if attribute else f"{path}: no region has an attribute that names its "
                         "class; give all one class with --class NAME")
    for photo, mark, where in progress(regions, "reading", unit="regions"):
        with source.noted():
            said = name or _value(_part(mark, "region_attributes").get(attribute),
                                  options.get(attribute, {}))
            if isinstance(said, list):
                raise InputError(f"{where}: {' and '.join(said)} are ticked in {attribute!r}; a "
                                 "pixel has one class")
            _add(photo, _part(mark, "shape_attributes"), said, attribute, where)
    found = [photo for photo in photos.values() if photo is not None]
    return finished(source, found, [photo for photo, *_ in regions])


def _json(source: Source, options: dict[str, dict]) -> Iterator[tuple[dict, list, str]]:
    """Each photo: its entry, its regions with their places, its own place. Fills in `options`."""
    path, content = source.path, read_json(source.path)
    if isinstance(content, dict) and "_via_img_metadata" in content:
        kinds = _part(content.get("_via_attributes"), "region")
        options |= {key: _part(kinds, key).get("options", {}) for key in kinds
                    if isinstance(_part(kinds, key).get("options"), dict)}
        content = content["_via_img_metadata"]
    elif isinstance(content, dict) and {"project", "metadata", "view"} <= content.keys():
        raise InputError(f"{path}: a project of VIA 3; label pictures with VIA 2")
    items = list(content.values()) if isinstance(content, dict) else []
    if not items or not all(isinstance(item, dict) and isinstance(item.get("regions"), list | dict)
                            for item in items):
        raise InputError(f"{path}: no VIA file, it has no photos with `regions`"
                         f"{other_tool(content)}")
    for item in items:
        where, marks = f"{path}, photo {item.get('filename')!r:.80}", item["regions"]
        marks = marks.values() if isinstance(marks, dict) else marks  # a dict in version 1
        yield item, [(mark, f"{where}, region {number}") for number, mark in
                     enumerate(marks, start=1)], where


def _csv(source: Source) -> Iterator[tuple[dict, list, str]]:
    for line, cells in read_rows(source.path, "region_shape_attributes", "region_attributes"):
        where, mark = f"{source.path}, line {line}", {}
        try:
            for key in ("shape_attributes", "region_attributes"):
                mark[key] = json.loads(cells["region_" * (key[0] == "s") + key] or "{}")
        except (ValueError, RecursionError) as error:
            source.faults.append(f"{where}: a cell holds no valid JSON ({error})")
            continue
        yield ({"filename": cells.get("filename", cells.get("#filename")),
                "size": cells.get("file_size")},
               [(mark, where)] if mark["shape_attributes"] != {} else [], where)


def _part(mark: object, key: str) -> dict:
    part = mark.get(key) if isinstance(mark, dict) else None
    return part if isinstance(part, dict) else {}


def _value(value: object, options: dict) -> str | list[str]:
    """What an attribute says; of boxes to tick, {"fox": true}, a list if several are. A menu says
    the id of its option, which need not be what it shows."""
    if isinstance(value, dict):
        ticked = [key for key, there in value.items() if there is True]
        if len(ticked) > 1:
            return [str(options.get(key) or key) for key in ticked]
        value = "".join(ticked)
    text = str(value).strip() if type(value) in (str, int) else ""
    return str(options.get(text) or text).strip()


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names))[:200] or "none"


def _add(photo: LabelledPhoto, shape: dict, name: str, attribute: str, where: str) -> None:
    """Give the photo what a region says of it."""
    kind = shape.get("name")
    if kind in ("polyline", "point"):
        raise no_area(where, kind)
    if kind == "rect":
        photo.boxes.append(box_of([shape.get(key) for key in ("x", "y", "width", "height")], where))
        return
    if not name:
        raise InputError(f"{where}: its attribute {attribute!r} is empty; fill it in")
    if kind == "polygon":
        xs, ys = shape.get("all_points_x"), shape.get("all_points_y")
        if not isinstance(xs, list) or not isinstance(ys, list) or len(xs) != len(ys):
            raise InputError(f"{where}: all_points_x and all_points_y are not two lists of one "
                             "length")
        outline = ring_of([list(point) for point in zip(xs, ys, strict=True)], where)
    elif kind in ("circle", "ellipse"):
        keys = ("cx", "cy", "r", "r") if kind == "circle" else ("cx", "cy", "rx", "ry")
        x, y, across, down = numbers_of(shape, keys, where)
        theta, = numbers_of({"theta": 0, **shape}, ["theta"], where)
        outline = turned(ellipse(across, down), x, y, math.degrees(theta))
    else:
        raise InputError(f"{where}: {kind!r:.40} is no shape of VIA")
    photo.shapes.append(Shape(name, polygons=[outline], where=where))
