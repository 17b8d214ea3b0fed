"""Outlines as labelling tools write them in JSON, checked: rings, boxes, run lengths, pictures.

Everything here raises InputError with `where`, the file and the place in it, for what is wrong.
"""

import base64
import binascii
import io
import zlib
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image

from .. import InputError
from ..data.photos import UNREADABLE
from ..data.rle import decode_runs, encode_rle
from .exports import are_points, check_outlined, is_number
from .shapes import LabelledPhoto, Labels, Shape, rasterise, rectangle, ring
from .source import Source

EMPTY = ("empty", "background")  # what people call a photo on which nothing is


def text_of(item: object, key: str, where: str) -> str:
    """The text `key` of an object, without blanks around it; not empty."""
    value = item.get(key) if isinstance(item, dict) else None
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{where}: {key} {value!r:.40} is no text")
    return value.strip()


def numbers_of(item: dict, keys: Sequence[str], where: str) -> list[float]:
    """The numbers `keys` of an object."""
    for key in keys:
        if not is_number(item.get(key)):
            raise InputError(f"{where}: {key} {item.get(key)!r:.40} is no sound number")
    return [item[key] for key in keys]


def ring_of(points: object, where: str, what: str = "polygon") -> list[float]:
    """A ring [x1, y1, x2, y2 ...] from three or more points [x, y]."""
    if not are_points(points) or len(points) < 3:
        raise InputError(f"{where}: a {what} needs 3 or more points [x, y], not {points!r:.60}")
    return ring(points)


def flat_ring(values: object, where: str) -> list[float]:
    """The same from a flat list [x1, y1, x2, y2 ...]."""
    if not isinstance(values, list) or len(values) < 6 or len(values) % 2 \
            or not all(map(is_number, values)):
        raise InputError(f"{where}: {values!r:.60} is no polygon [x1, y1, x2, y2, x3, y3 ...] of "
                         "three or more points")
    return values


def box_of(values: object, where: str) -> list[float]:
    """A ring from a box [x, y, width, height]."""
    if not isinstance(values, list) or len(values) != 4 or not all(map(is_number, values)):
        raise InputError(f"{where}: {values!r:.60} is no box [x, y, width, height]")
    x, y, width, height = values
    return ring(rectangle(x, y, x + width, y + height))


def with_holes(name: str, outer: list[float], holes: list[list[float]], photo: LabelledPhoto,
               where: str) -> Shape:
    """What lies in a ring, but in none of its holes."""
    if not holes:
        return Shape(name, polygons=[outer], where=where)
    inside = rasterise([outer], photo.height, photo.width)
    inside &= ~rasterise(holes, photo.height, photo.width)
    return Shape(name, rle=encode_rle(inside), where=where)


def run_lengths(content: object, photo: LabelledPhoto, where: str) -> dict:
    """A run-length encoding of COCO over the whole photo, compressed or not."""
    size, counts = ((content.get("size"), content.get("counts")) if isinstance(content, dict)
                    else (None, None))
    if size != [photo.height, photo.width]:
        raise InputError(f"{where}: the encoding's size {size!r:.40} is not that of its photo "
                         f"[{photo.height}, {photo.width}]")
    if not isinstance(counts, str) and not (isinstance(counts, list) and all(
            type(count) is int for count in counts)):
        raise InputError(f"{where}: counts of the run-length encoding are no text and no list of "
                         "whole numbers")
    try:
        decode_runs({"size": size, "counts": counts})
    except ValueError as error:
        raise InputError(f"{where}: {error}") from None
    return {"size": size, "counts": counts}


def pasted(text: object, origin: object, photo: LabelledPhoto, where: str) -> dict:
    """The run lengths of a PNG, packed by zlib and written in base64, whose upper left corner lies
    at `origin` [x, y]; cut at the photo's edges. What is transparent, else black, is outside."""
    if not are_points([origin]) or not all(value == int(value) for value in origin):
        raise InputError(f"{where}: origin {origin!r:.40} is no pixel [x, y]")
    try:
        data = zlib.decompressobj().decompress(base64.b64decode(text, validate=True), 1 << 28)
        with Image.open(io.BytesIO(data)) as picture:
            clear = "A" in picture.mode or "transparency" in picture.info
            inside = np.asarray(picture.convert("RGBA"))[..., 3] > 0 if clear \
                else np.asarray(picture.convert("L")) > 0
    except (*UNREADABLE, binascii.Error, zlib.error) as error:
        raise InputError(f"{where}: its bitmap is no PNG in zlib and base64 "
                         f"({str(error).splitlines()[0][:60]})") from None
    (left, top), (height, width) = map(int, origin), (photo.height, photo.width)
    mask = np.zeros((height, width), bool)
    part = inside[max(0, -top):max(0, height - top), max(0, -left):max(0, width - left)]
    top, left = max(0, top), max(0, left)
    mask[top:top + part.shape[0], left:left + part.shape[1]] = part
    return encode_rle(mask)


def refuse_contradiction(photo: LabelledPhoto) -> None:
    """Refuse a photo that is marked as empty, but has shapes."""
    if photo.empty and photo.labelled():
        raise InputError(f"{photo.where}: {photo.file!r} is marked as empty but has shapes; delete "
                         "the mark or the shapes")


def finished(source: Source, photos: Sequence[LabelledPhoto], marked: Iterable[LabelledPhoto],
             what: str, classes: Sequence[str] = ()) -> Labels:
    """The labels of a reader whose tool calls its shapes `what`, with the checks of them all.

    `marked`: photos on which something is marked. Where that has no area, the photo gets a shape
    without pixel, so that it is told and never taken for one that nobody marked. Photos that EXIF
    turns are told, since the tools do not say which way up their labels are meant.
    """
    if turned := [photo for photo in photos if photo.header.orientation not in (None, 0, 1)]:
        source.told.append(f"{source.path}: {len(turned)} photos are turned by their EXIF, such as "
                           f"{turned[0].file}; their labels are taken for the upright photo, as "
                           "browsers have shown it since 2020")
    with source.noted():
        check_outlined(source.path, photos, what)
    labels = source.labels(photos, classes)
    for photo in marked:
        if not photo.labelled() and not photo.empty:
            photo.shapes.append(Shape(None, where=f"{photo.where}, where only marks without area "
                                      "are"))
    return labels
