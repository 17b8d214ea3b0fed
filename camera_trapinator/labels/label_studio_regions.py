"""The regions of an annotation of Label Studio, as outlines and boxes.

Sources: labelstud.io/tags (positions and sizes in percent of `original_width` and
`original_height`; rotation in degrees, clockwise, of rectangles around their upper left corner);
thi.ng/rle-pack (the code of the brush strokes, which are RGBA pictures).
"""

from collections.abc import Sequence
from itertools import cycle

import numpy as np

from .. import InputError
from ..data.rle import encode_rle
from .exports import no_area, pixels_along
from .outlines import numbers_of, png_pixels, ring_of
from .rle_pack import unpack
from .shapes import LabelledPhoto, Shape, ellipse, rectangle, turned
from .source import Source

BARE = ("polygon", "rectangle", "ellipse", "brush", "bitmask")
NO_AREA = ("keypoint", "vector", "video", "brackets")  # how the types begin that mark no area
HALF = 128  # of 255: a pixel that a brush stroke covers by half or more belongs to it
FARTHEST = 50  # percent: how far beyond the edge of the photo a point may lie


def add_regions(regions: list, photos: Sequence[LabelledPhoto | None], source: Source, where: str,
                control: str = "") -> None:
    """Give the photos of a task the outlines and boxes of an annotation.

    The class of a region stands in the result of a control of labels, of the one called `control`
    where there are several; other results (a choice, a rating, a text, a relation, what another
    control says) are attributes, and are left.
    """
    bare, labelled, naming = {}, set(), _naming(regions, control)
    sizes: dict[int, tuple[int, int]] = {}  # of the photos, by place
    for number, region in enumerate(regions, start=1):
        here = f"{where}, region {number}"
        kind = region.get("type") if isinstance(region, dict) else None
        if kind == "relation":
            continue
        if isinstance(kind, str) and (number not in naming and kind not in BARE
                                      and not kind.startswith(NO_AREA)):
            _leave_attribute(region, photos, source)
            continue
        place = None
        with source.noted():
            place = _place_of(region, photos, here)
        if place is None:
            continue
        with source.noted(photos[place]):
            value = region.get("value") if isinstance(region, dict) else None
            if not isinstance(kind, str) or not isinstance(value, dict):
                raise InputError(f"{here}: it has no `type` or no `value`")
            if kind.startswith(NO_AREA):
                raise no_area(here, f"region of type {kind!r:.40}")
            key = str(region.get("id"))
            if kind in BARE:  # <Polygon> beside <Labels>, which follows
                bare.setdefault(key, (here, photos[place]))
                continue
            if naming[number]:
                raise InputError(f"{here}: it has a label already, of another control than "
                                 f"{region.get('from_name')!r:.40}; say with --control NAME which "
                                 "one names the class")
            names = value.get(kind)
            if not isinstance(names, list) or len(names) != 1 or not isinstance(
                    names[0], str) or not names[0].strip():
                raise InputError(f"{here}: {kind!r:.40} {names!r:.60} is not one label; a pixel "
                                 "has one class")
            labelled.add(key)
            if photos[place] is not None:
                size = _size_of(region, sizes.get(place), photos[place], here)
                sizes[place] = photos[place].width, photos[place].height = size
                _add_region(region, names[0].strip(), photos[place], here)
    for key, (here, photo) in bare.items():
        with source.noted(photo):
            if key not in labelled:
                raise InputError(f"{here}: it has no label of a control of labels; give it one in "
                                 "Label Studio")
    for photo in filter(None, photos):  # of several, only those that somebody has surely seen
        photo.empty = not regions


def _naming(regions: list, control: str) -> dict[int, bool]:
    """The numbers of the results that name a class, and whether another control has named one for
    the same shape before.

    Where a shape has labels of two controls, that of its own kind (`polygonlabels`) goes before
    the plain `labels`.
    """
    said: dict[object, list[tuple[int, dict]]] = {}
    for number, region in enumerate(regions, start=1):
        kind = region.get("type") if isinstance(region, dict) else None
        if isinstance(kind, str) and kind.endswith("labels") and control in (
                "", region.get("from_name")):
            key = number if region.get("id") is None else repr(region["id"])
            said.setdefault(key, []).append((number, region))
    naming = {}
    for mine in said.values():
        own = [(number, region) for number, region in mine if region["type"] != "labels"] or mine
        naming |= {number: region.get("from_name") != own[0][1].get("from_name")
                   for number, region in own}
    return naming


def _leave_attribute(region: dict, photos: Sequence[LabelledPhoto | None], source: Source) -> None:
    line = (f"{source.path}: what {region.get('from_name')!r:.40} ({region['type']:.40}) says is "
            "left")
    if line not in source.told:
        source.told.append(line)
    place = region.get("item_index")
    for number, photo in enumerate(photos):
        if photo is not None and place in (None, number):
            photo.unclear = True


def _place_of(region: object, photos: Sequence[LabelledPhoto | None], where: str) -> int:
    """Which of the photos of a task a region is on."""
    place = region.get("item_index") if isinstance(region, dict) else None
    if place is None and (len(photos) == 1 or not isinstance(region, dict)
                          or region.get("type") == "relation"):
        return 0
    if type(place) is not int or not 0 <= place < len(photos):
        raise InputError(f"{where}: item_index {place!r:.40} tells none of the {len(photos)} "
                         "photos of its task")
    return place


def _size_of(region: dict, known: tuple[int, int] | None, photo: LabelledPhoto,
             where: str) -> tuple[int, int]:
    """The size of the photo by a region; all regions of a photo must tell the same. What programs
    have written may lack it."""
    if region.get("original_width") is None and region.get("original_height") is None:
        return known or (photo.width, photo.height)
    width, height = (pixels_along(region, key, where)
                     for key in ("original_width", "original_height"))
    if known not in (None, (width, height)):
        raise InputError(f"{where}: it is for {width} x {height} pixels, another region of the "
                         f"photo for {known[0]} x {known[1]}")
    return width, height


def _add_region(region: dict, name: str, photo: LabelledPhoto, where: str) -> None:
    """Give the photo the outline of a region, or the box that it is."""
    value, width, height = region["value"], photo.width, photo.height
    if region.get("image_rotation"):
        raise InputError(f"{where}: the photo was turned by {region['image_rotation']!r:.20} "
                         "degrees in Label Studio; turn it back there, and export again")
    if "rle" in value:
        photo.shapes.append(Shape(name, rle=encode_rle(_brush(value, width, height, where)),
                                  where=where))
    elif "imageDataURL" in value:
        photo.shapes.append(Shape(name, rle=encode_rle(_bitmask(value, width, height, where)),
                                  where=where))
    elif "points" in value:
        sides, points = cycle((width, height)), ring_of(value["points"], where)
        if outside := [point for point in points if not -FARTHEST <= point <= 100 + FARTHEST]:
            raise InputError(f"{where}: {outside[0]} is no share of the photo in percent (0 .. "
                             "100); were pixels written there?")
        photo.shapes.append(Shape(name, where=where, polygons=[[
            share * side / 100 for share, side in zip(points, sides, strict=False)]]))
    elif "radiusX" in value:
        across, down = numbers_of(value, ("radiusX", "radiusY"), where)
        photo.shapes.append(Shape(name, where=where, polygons=[_turned(
            ellipse(across, down), value, width, height, where)]))
    elif "width" in value:
        across, down = numbers_of(value, ("width", "height"), where)
        photo.boxes.append(_turned(rectangle(0, 0, across, down), value, width, height, where))
    else:
        raise InputError(f"{where}: its value has no points, no rle, no radius and no width")


def _turned(points: Sequence[tuple[float, float]], value: dict, width: int, height: int,
            where: str) -> list[float]:
    """Points in percent around (x, y), turned around it: [x1, y1, x2 ...] in pixels."""
    x, y, rotation = numbers_of({"rotation": 0, **value}, ("x", "y", "rotation"), where)
    return turned([(across * width / 100, down * height / 100) for across, down in points],
                  x * width / 100, y * height / 100, rotation)


def _brush(value: dict, width: int, height: int, where: str) -> np.ndarray:
    """The pixels of a brush stroke, bool (height, width)."""
    if value.get("format") != "rle":
        raise InputError(f"{where}: a brush stroke in the format {value.get('format')!r:.40}; "
                         "only 'rle' is known")
    code = value["rle"]
    if not isinstance(code, list) or not all(type(byte) is int and 0 <= byte < 256
                                             for byte in code):
        raise InputError(f"{where}: rle is no list of bytes")
    try:
        pixels = unpack(bytes(code), 4 * width * height)
    except ValueError as error:
        raise InputError(f"{where}: rle cannot be decoded ({error})") from None
    alpha = pixels.reshape(height, width, 4)[:, :, 3]  # how far it covers
    return alpha >= HALF if alpha.max(initial=0) > 1 else alpha > 0  # converters write 0 and 1


def _bitmask(value: dict, width: int, height: int, where: str) -> np.ndarray:
    """The pixels of a <BitMask> region, a PNG in a data URL: bool (height, width)."""
    pixels = png_pixels(str(value["imageDataURL"]).partition("base64,")[2],
                        f"{where}, imageDataURL")
    if pixels.shape != (height, width):
        raise InputError(f"{where}: imageDataURL has {pixels.shape[1]} x {pixels.shape[0]} pixels, "
                         f"the photo {width} x {height}")
    return pixels
