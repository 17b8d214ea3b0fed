"""Outlines as labelling tools write them in JSON, checked: rings, boxes, run lengths, pictures.

Everything here raises InputError with `where`, the file and the place in it, for what is wrong.
"""

import base64
import binascii
import io
import math
import zlib
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image

from .. import InputError
from ..data.photos import UNREADABLE, reason_of
from ..data.rle import decode_runs, encode_rle
from .exports import are_points, is_number, no_area
from .shapes import LabelledPhoto, Labels, Shape, rasterise, rectangle, ring
from .source import NoArea, Source

EMPTY = ("empty", "background")  # what people call a photo on which nothing is


def class_of(name: str) -> str:
    """The class that is given for all, without blanks around it; refused if it is none."""
    if not name.strip() or name.strip().lower() in EMPTY:
        raise InputError(f"--class {name!r} is no class of animals; give a name such as fox")
    return name.strip()


def text_of(item: object, key: str, where: str) -> str:
    """The text `key` of an object, without blanks around it; not empty."""
    value = item.get(key) if isinstance(item, dict) else None
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{where}: {key} {value!r:.40} is no text")
    return value.strip()


def id_of(item: dict, what: str, key: str = "id") -> str:
    """The id of an object, a whole number (pandas writes 1.0) or a text, as a text; `what` it is,
    with its file."""
    value = item.get(key)
    if type(value) is float and value == int(value if math.isfinite(value) else 0):
        value = int(value)
    if type(value) not in (int, str):
        raise InputError(f"{what}: {key} {value!r:.40} is neither a whole number nor a text")
    return str(value)


def category_names(categories: list[dict], source: Source) -> dict[str, str]:
    """{id: name} of the categories of a COCO file; what is wrong with them is noted."""
    names: dict[str, str] = {}
    for number, item in enumerate(categories, start=1):
        with source.noted():
            where = f"{source.path}, category number {number}"
            key, name = id_of(item, where), text_of(item, "name", where)
            if names.setdefault(key, name) != name:
                raise InputError(f"{where}: {name!r} has the id {key} of {names[key]!r}; give each "
                                 "category an id of its own")
    return names


def numbers_of(item: dict, keys: Sequence[str], where: str) -> list[float]:
    """The numbers `keys` of an object."""
    for key in keys:
        if not is_number(item.get(key)):
            raise InputError(f"{where}: {key} {item.get(key)!r:.40} is no sound number")
    return [item[key] for key in keys]


def ring_of(points: object, where: str, what: str = "polygon") -> list[float]:
    """A ring [x1, y1, x2, y2 ...] from points [x, y]. Raises NoArea for one or two of them, which
    a finger that slipped leaves."""
    if not are_points(points) or not points:
        raise InputError(f"{where}: a {what} needs 3 or more points [x, y], not {points!r:.60}")
    if len(points) < 3:
        raise no_area(where, f"{what} of {len(points)} points")
    return ring(points)


def flat_ring(values: object, where: str) -> list[float]:
    """The same from a flat list [x1, y1, x2, y2 ...]."""
    if not isinstance(values, list) or len(values) % 2 or not all(map(is_number, values)):
        raise InputError(f"{where}: {values!r:.60} is no polygon [x1, y1, x2, y2, x3, y3 ...] of "
                         "three or more points")
    if len(values) < 6:
        raise no_area(where, f"polygon of {len(values) // 2} points")
    return values


def rings(items: Iterable, where: str) -> list[list[float]]:
    """The rings of one animal, flat lists. Those that are empty or without area are left, unless
    there is none but them."""
    found, refused = [], None
    for item in items:
        try:
            found += [flat_ring(item, where)] if item != [] else []
        except NoArea as error:
            refused = error
    if refused and not found:
        raise refused
    return found


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
    if isinstance(counts, list) and all(map(is_number, counts)):
        counts = [int(count) if count == int(count) else count for count in counts]
    if not isinstance(counts, str) and not (isinstance(counts, list) and all(
            type(count) is int for count in counts)):
        raise InputError(f"{where}: counts of the run-length encoding are no text and no list of "
                         "whole numbers")
    try:
        decode_runs({"size": [photo.height, photo.width], "counts": counts})
    except ValueError as error:
        raise InputError(f"{where}: {error}") from None
    return {"size": [photo.height, photo.width], "counts": counts}


def png_pixels(text: object, where: str, packed: bool = False) -> np.ndarray:
    """What is inside in a PNG that is written in base64 (and packed by zlib before), bool (height,
    width): what is not transparent, or, where nothing is, not black. A bitmap that is packed goes
    by what is transparent alone, as Supervisely reads it."""
    try:
        data = base64.b64decode(text, validate=True)
        if packed:
            data = zlib.decompressobj().decompress(data, 1 << 28)
        with Image.open(io.BytesIO(data)) as picture:
            clear = "A" in picture.mode or "transparency" in picture.info
            opacity = np.asarray(picture.convert("RGBA"))[..., 3]
            if clear and (packed or opacity.min(initial=255) < 255):
                return opacity > 0
            return np.asarray(picture.convert("L")) > 0
    except (*UNREADABLE, binascii.Error, zlib.error) as error:
        raise InputError(f"{where}: its picture is no PNG in {'zlib and ' * packed}base64 "
                         f"({reason_of(error)[:60]})") from None


def pasted(inside: np.ndarray, left: int, top: int, photo: LabelledPhoto) -> dict:
    """The run lengths of pixels, bool (height, width), whose upper left corner lies there in the
    photo; cut at its edges."""
    height, width = photo.height, photo.width
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
             classes: Sequence[str] = ()) -> Labels:
    """The labels of a source. `marked`: photos on which something is marked. Where that has no area
    they are unclear, and never taken for photos that nobody marked."""
    for photo in marked:
        photo.unclear = photo.unclear or not (photo.labelled() or photo.empty)
    return source.labels(photos, classes)
