"""CVAT: the XML file of an export as `CVAT for images 1.1`.

Polygons, ellipses and brush masks are what somebody outlined; z_order says which lies on top.
A box outlines nothing: of a file with nothing but boxes no mask can be made; beside outlines, what
lies in a box but in no outline is ignored (255), since an animal is in it, but nobody said where.
Polylines, points, skeletons and cuboids are left out. The tags `empty` and `background` mean that
nothing is there; other tags and all attributes say nothing about pixels, but a photo with such a
tag alone is not empty.
Sources: docs.cvat.ai, XML annotation format; cvat-ai/cvat, dataset_manager/formats/cvat.py
(ellipses), transformations.py (rotation: degrees, clockwise on the screen).
"""

import math
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np

from .. import InputError
from ..data.locations import split_of
from ..data.progress import progress
from ..data.rle import decode_rle
from .exports import FAR, no_area
from .outlines import EMPTY, ring_of
from .shapes import LabelledPhoto, Labels, Shape, ellipse, rectangle, turned
from .source import Source

NO_AREA = ("polyline", "points", "skeleton", "cuboid")


def read_cvat_xml(source: Source) -> Labels:
    """The labels of a CVAT XML file; what is wrong is named by file, image and shape.

    The classes are the labels of CVAT in their order there, without those that mark no area. In
    the export of a project a photo lies in the folder of its subset, which may tell its split.
    """
    path, photos = source.path, []
    root = _parse(path)
    for item in progress(root.findall("image"), "reading"):
        where = f"{path}, image {item.get('id')!r}"
        with source.noted():
            file, subset = _text(item, "name", where), item.get("subset")
            inner = f"{subset}/{file}"
            photo = source.photo(inner if subset and source.find(inner, where) else file, where)
            if photo is None:
                continue
            photos.append(photo)
            photo.split = photo.split or split_of(subset or "")
            with source.noted(photo):
                photo.width, photo.height = (_whole(item, key, where, least=1)
                                             for key in ("width", "height"))
                _read_image(item, photo, source)
    labels = source.labels(photos)
    used = sorted({shape.name for photo in labels.photos for shape in photo.shapes})
    labels.classes = list(dict.fromkeys(_area_labels(root) + used))
    return labels


class _NoDoctype(ElementTree.TreeBuilder):
    """A document type can define entities that grow without end; CVAT never writes one."""

    def doctype(self, *_) -> None:
        raise ValueError("it has a DOCTYPE, which could hide entities")


def _parse(path: Path) -> ElementTree.Element:
    try:
        root = ElementTree.parse(path, ElementTree.XMLParser(target=_NoDoctype())).getroot()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # also unknown encodings
        raise InputError(f"{path}: no valid XML ({error})") from None
    if root.tag == "annotations" and root.find("track") is not None:
        raise InputError(f"{path}: it holds the tracks of a video; export it again as "
                         "`CVAT for images 1.1`")
    if root.tag != "annotations" or root.find("image") is None:
        raise InputError(f"{path}: no file of `CVAT for images 1.1`, it has no <image> in "
                         "<annotations>")
    return root


def _area_labels(root: ElementTree.Element) -> list[str]:
    """The labels that the project defines; not the tags, nor what can mark no area."""
    names = []
    for label in root.iterfind("meta/*/labels/label"):
        name, kind = ((label.findtext(key) or "").strip() for key in ("name", "type"))
        if name and name.lower() not in EMPTY and kind not in ("tag", *NO_AREA):
            names.append(name)
    return names


def _read_image(item: ElementTree.Element, photo: LabelledPhoto, source: Source) -> None:
    """Give the photo the outlines of its <image>, lowest first, and its boxes."""
    outlines, tagged = [], False
    for number, element in enumerate(item, start=1):
        where = f"{photo.where}, shape {number} ({element.tag})"
        with source.noted(photo):
            name = _text(element, "label", where)
            if element.tag == "tag" and name.lower() in EMPTY:
                photo.empty = True
            elif element.tag == "tag":
                tagged = True
            elif element.tag in NO_AREA:
                raise no_area(where, element.tag)
            elif element.tag == "box":
                photo.boxes.append(_box(element, where))
            else:
                shape = _outline(name, element, photo, where)
                outlines.append((_number(element, "z_order", where, 0), shape))
    photo.shapes = [shape for _, shape in sorted(outlines, key=lambda item: item[0])]
    photo.unclear |= tagged and not photo.empty
    if photo.empty and photo.labelled():
        raise InputError(f"{photo.where}: {photo.file!r} is tagged as empty but has shapes; delete "
                         "the tag or the shapes")


def _outline(name: str, element: ElementTree.Element, photo: LabelledPhoto, where: str) -> Shape:
    if element.tag == "polygon":
        return Shape(name, polygons=[_polygon(element, where)], where=where)
    if element.tag == "ellipse":
        return Shape(name, polygons=[_ellipse(element, where)], where=where)
    if element.tag == "mask":
        return Shape(name, rle=_mask(element, photo, where), where=where)
    raise InputError(f"{where}: <{element.tag}> is no shape of `CVAT for images 1.1`")


def _polygon(element: ElementTree.Element, where: str) -> list[float]:
    text = element.get("points", "")
    try:
        points = [list(map(float, pair.split(","))) for pair in text.split(";")]
    except ValueError:
        raise InputError(f"{where}: points {text[:60]!r} are not three or more `x,y;x,y`") from None
    return ring_of(points, where)


def _ellipse(element: ElementTree.Element, where: str) -> list[float]:
    x, y, across, down = (_number(element, key, where) for key in ("cx", "cy", "rx", "ry"))
    return turned(ellipse(across, down), x, y, _number(element, "rotation", where, 0))


def _box(element: ElementTree.Element, where: str) -> list[float]:
    left, top, right, bottom = (_number(element, key, where)
                                for key in ("xtl", "ytl", "xbr", "ybr"))
    across, down = (right - left) / 2, (bottom - top) / 2
    return turned(rectangle(-across, -down, across, down), left + across, top + down,
                  _number(element, "rotation", where, 0))


def _mask(element: ElementTree.Element, photo: LabelledPhoto, where: str) -> dict:
    """The run-length encoding of a brush mask over the whole photo, see data/rle.py.

    CVAT's own runs go along the rows of the mask's box and begin with zeros.
    """
    left, top = (_whole(element, key, where) for key in ("left", "top"))
    width, height = (_whole(element, key, where, least=1) for key in ("width", "height"))
    if left + width > photo.width or top + height > photo.height:
        raise InputError(f"{where}: its {width} x {height} pixels at ({left}, {top}) lie outside "
                         f"the image of {photo.width} x {photo.height}")
    try:
        # decode_rle runs down columns, so this is the box with rows and columns swapped.
        inside = decode_rle({"size": [width, height],
                             "counts": [int(run) for run in element.get("rle", "").split(",")]})
    except ValueError as error:
        raise InputError(f"{where}: rle is no list of runs over its {width} x {height} pixels "
                         f"({error})") from None
    columns = np.zeros((width, photo.height), bool)  # of the photo, those that the box touches
    columns[:, top:top + height] = inside
    pixels = np.concatenate([[False], columns.ravel(), [False]])
    changes = np.flatnonzero(pixels[1:] != pixels[:-1]) + left * photo.height
    counts = np.diff(changes, prepend=0, append=photo.width * photo.height).tolist()
    return {"size": [photo.height, photo.width], "counts": counts}


def _text(element: ElementTree.Element, key: str, where: str) -> str:
    value = (element.get(key) or "").strip()
    if not value:
        raise InputError(f"{where}: it has no {key}")
    return value


def _whole(element: ElementTree.Element, key: str, where: str, least: int = 0) -> int:
    value = _number(element, key, where)
    if value != int(value) or not least <= value < 100_000:
        raise InputError(f"{where}: {key} {element.get(key)!r} is no number of pixels")
    return int(value)


def _number(element: ElementTree.Element, key: str, where: str,
            default: float | None = None) -> float:
    text = element.get(key, default)
    try:
        value = float(text)
    except (TypeError, ValueError):
        value = math.nan
    if not abs(value) < FAR:
        raise InputError(f"{where}: {key} {text!r} is no sound number")
    return value
