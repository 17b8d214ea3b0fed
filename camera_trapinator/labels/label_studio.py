"""Label Studio: the export `JSON`, and `Brush labels to PNG` beside a JSON file.

Polygons, ellipses and brush strokes are what somebody outlined, in their order in the file. A box
outlines nothing: of a file with nothing but boxes no mask can be made; beside outlines, what lies
in a box but in no outline is ignored (255). A submitted annotation without any region says that
nothing is there (with attributes alone it says nothing of pixels, but then the photo is not empty);
a task without one says that nobody looked. Of several annotations of a task the one marked as
ground truth counts, else the one updated last. Which photo a task is of: label_studio_photos.py.
Sources: labelstud.io/guide/task_format, labelstud.io/tags (positions and sizes in percent of
`original_width` and `original_height`; rotation in degrees, clockwise, of rectangles around their
upper left corner); thi.ng/rle-pack (the code of the brush strokes, which are RGBA pictures).
"""

import re
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import cycle
from pathlib import Path

import numpy as np

from .. import InputError
from ..data.rle import encode_rle
from .exports import (
    check_outlined,
    files_below,
    is_number,
    no_area,
    open_mask,
    pixels_along,
    read_json,
)
from .label_studio_photos import TaskPhotos
from .outlines import png_pixels, ring_of
from .rle_pack import unpack
from .shapes import LabelledPhoto, Labels, Shape, ellipse, rectangle, turned
from .source import Source

BARE = ("polygon", "rectangle", "ellipse", "brush", "bitmask")
NO_AREA = ("keypoint", "vector", "video", "brackets")  # how the types begin that mark no area
HALF = 128  # of 255: a pixel that a brush stroke covers by half or more belongs to it
# task-7-annotation-12-by-ann@example.org-tag-red fox-0.png: who, which control, which label
BRUSH_NAME = re.compile(r"task-(?P<task>\d+)-annotation-(?P<annotation>\d+)-by-(?P<said>"
                        r"[^-]*-[^-]+-(?P<label>.+))-\d+\.png", re.IGNORECASE)


def read_label_studio(source: Source) -> Labels:
    """The labels of a JSON export; what is wrong is named by file, task and region."""
    path = source.path
    tasks = _read_tasks(path)
    if any("annotations" not in task for task in tasks):
        raise InputError(f"{path}: tasks without `annotations`, as in the export `JSON-MIN`; "
                         "export `JSON` instead")
    finder, photos = TaskPhotos(source), []
    for task, where in _numbered(tasks, path):
        with source.noted():
            annotation, mine = _chosen(task, where), finder.of(task, where)
            photos += [photo for photo in mine if photo is not None]
            if annotation is not None:
                _add_regions(annotation["result"], mine, source, where)
    with source.noted():
        check_outlined(path, photos, "regions")
    return source.labels(photos)


def read_brush_pictures(source: Source) -> Labels:
    """The labels of a folder `Brush labels to PNG`, one picture for each label of an annotation.

    The names of the pictures tell the number of a task, not its photo, so that a JSON (or
    JSON-MIN) export of the same project must lie in the folder too. Raises InputError if there is
    none; names and pictures that are not Label Studio's are faults.
    """
    path = source.path
    exports = files_below(path, ".json")
    if len(exports) != 1:
        raise InputError(f"{path}: {len(exports)} JSON files; the pictures' names tell tasks, not "
                         "photos: put one JSON export of the same project beside them")
    tasks = _read_tasks(exports[0])
    layers: dict[str, dict[int, list[tuple[str, Path]]]] = {}
    labels, names = sorted(_labels_in(tasks), key=len, reverse=True), set()
    for picture in files_below(path, ".png"):
        match = BRUSH_NAME.fullmatch(picture.name)
        label = match and next((label for label in labels if match["said"].endswith(f"-{label}")),
                               match["label"])
        if not label:
            source.faults.append(f"{picture}: no name as Label Studio gives, such as "
                                 "task-7-annotation-12-by-1-tag-fox-0.png; take it out of the "
                                 "folder")
            continue
        layers.setdefault(match["task"], {}).setdefault(int(match["annotation"]), []).append(
            (label, picture))
        names.add(label)
    if not layers and not source.faults:
        raise InputError(f"{path}: no picture task-...-annotation-...png in this folder")
    if unknown := sorted(names - set(labels)):
        source.told.append(f"{exports[0]} tells no labels {', '.join(unknown)[:200]}: they are "
                           "read from the names of the pictures")
    finder, photos = TaskPhotos(source), []
    for task, where in _numbered(tasks, exports[0]):
        with source.noted():
            drawn = layers.pop(str(task.get("id")), None)
            mine = finder.of(task, where)
            if drawn and len(mine) > 1:
                raise InputError(f"{where}: {len(mine)} photos in one task, and the pictures' "
                                 "names do not tell which is theirs; export `JSON` instead")
            for photo in filter(None, mine):
                photos.append(photo)
                if drawn:
                    last = drawn[max(drawn)]
                    photo.where = str(last[0][1])
                    photo.width, photo.height = _read_layer(last[0][1]).shape[::-1]
                    photo.picture = partial(_read_layers, last)
    source.faults += [f"{next(iter(drawn.values()))[0][1]}: task {task} is not in {exports[0]}; "
                      "export both from the same project" for task, drawn in layers.items()]
    return source.labels(photos, sorted(names))


# ------------------------------------------------------------------------------------- tasks


def _read_tasks(path: Path) -> list[dict]:
    tasks = read_json(path)
    if not isinstance(tasks, list) or not tasks or not all(isinstance(task, dict)
                                                           for task in tasks):
        raise InputError(f"{path}: no Label Studio export, it is no list of tasks")
    return tasks


def _numbered(tasks: Sequence[dict], path: Path) -> Iterator[tuple[dict, str]]:
    """Each task, and where it stands."""
    for number, task in enumerate(tasks, start=1):
        yield task, f"{path}, task {task.get('id', number)!r:.40}"


def _labels_in(content: object) -> set[str]:
    """All texts in lists under keys such as `brushlabels`."""
    found, left = set(), [content]
    while left:
        item = left.pop()
        left += item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        found |= {text for key, texts in (item.items() if isinstance(item, dict) else ())
                  if key.endswith("labels") and isinstance(texts, list)
                  for text in texts if isinstance(text, str) and text}
    return found


# ---------------------------------------------------------------------------------- regions


def _chosen(task: dict, where: str) -> dict | None:
    """The annotation that counts; None if nobody has submitted one."""
    annotations = task["annotations"]
    if not isinstance(annotations, list) or not all(
            isinstance(item, dict) and isinstance(item.get("result"), list)
            for item in annotations):
        raise InputError(f"{where}: `annotations` is no list of objects with a list `result`")
    submitted = [item for item in annotations if item.get("was_cancelled") is not True]
    return max(submitted, default=None, key=lambda item: (
        item.get("ground_truth") is True, str(item.get("updated_at") or "")))


def _add_regions(regions: list, photos: Sequence[LabelledPhoto | None], source: Source,
                 where: str) -> None:
    """Give the photos of a task the outlines and boxes of an annotation.

    The class of a region stands in the result of a control of labels; results of other kinds
    (a choice, a rating, a text, a relation) are attributes, and are left.
    """
    bare, labelled = {}, set()
    sizes: dict[int, tuple[int, int]] = {}  # of the photos, by place
    for number, region in enumerate(regions, start=1):
        here, place = f"{where}, region {number}", None
        with source.noted():
            place = _place_of(region, photos, here)
        if place is None:
            continue
        with source.noted(photos[place]):
            kind = region.get("type") if isinstance(region, dict) else None
            if kind == "relation":
                continue
            value = region.get("value") if isinstance(region, dict) else None
            if not isinstance(kind, str) or not isinstance(value, dict):
                raise InputError(f"{here}: it has no `type` or no `value`")
            if kind.startswith(NO_AREA):
                raise no_area(here, f"region of type {kind!r:.40}")
            if kind in BARE:  # <Polygon> beside <Labels>, which follows
                bare.setdefault(str(region.get("id")), (here, photos[place]))
            elif not kind.endswith("labels"):
                line = f"{source.path}: what {region.get('from_name')!r:.40} ({kind}) says is left"
                if line not in source.told:
                    source.told.append(line)
                if photos[place] is not None:
                    photos[place].unclear = True
            else:
                names = value.get(kind)
                if not isinstance(names, list) or len(names) != 1 or not isinstance(
                        names[0], str) or not names[0].strip():
                    raise InputError(f"{here}: {kind!r:.40} {names!r:.60} is not one label; a "
                                     "pixel has one class")
                labelled.add(str(region.get("id")))
                if photos[place] is not None:
                    size = _size_of(region, sizes.get(place), here)
                    sizes[place] = photos[place].width, photos[place].height = size
                    _add_region(region, names[0].strip(), photos[place], here)
    for key, (here, photo) in bare.items():
        with source.noted(photo):
            if key not in labelled:
                raise InputError(f"{here}: it has no label; give it one in Label Studio")
    for photo in filter(None, photos):  # of several, only those that somebody has surely seen
        photo.empty = not regions


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


def _size_of(region: dict, known: tuple[int, int] | None, where: str) -> tuple[int, int]:
    """The size of the photo by a region; all regions of a photo must tell the same."""
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
        sides = cycle((width, height))
        photo.shapes.append(Shape(name, where=where, polygons=[[
            share * side / 100 for share, side in zip(ring_of(value["points"], where), sides,
                                                      strict=False)]]))
    elif "radiusX" in value:
        across, down = (_number(value, key, where) for key in ("radiusX", "radiusY"))
        photo.shapes.append(Shape(name, where=where, polygons=[_turned(
            ellipse(across, down), value, width, height, where)]))
    elif "width" in value:
        across, down = (_number(value, key, where) for key in ("width", "height"))
        photo.boxes.append(_turned(rectangle(0, 0, across, down), value, width, height, where))
    else:
        raise InputError(f"{where}: its value has no points, no rle, no radius and no width")


def _turned(points: Sequence[tuple[float, float]], value: dict, width: int, height: int,
            where: str) -> list[float]:
    """Points in percent around (x, y), turned around it: [x1, y1, x2 ...] in pixels."""
    x, y = _number(value, "x", where) * width / 100, _number(value, "y", where) * height / 100
    return turned([(across * width / 100, down * height / 100) for across, down in points], x, y,
                  _number(value, "rotation", where) if "rotation" in value else 0)


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


def _read_layer(picture: Path) -> np.ndarray:
    """The pixels of a brush picture, bool (height, width)."""
    with open_mask(picture) as opened:
        if opened.mode not in ("L", "1"):
            raise InputError(f"{picture}: a picture of mode {opened.mode}; those of Label Studio "
                             "are grey")
        return np.array(opened.convert("L")) >= HALF


def _read_layers(layers: Sequence[tuple[str, Path]]) -> list[Shape]:
    shapes = [Shape(label, inside=_read_layer(picture)) for label, picture in layers]
    for (_, picture), shape in zip(layers, shapes, strict=True):
        if shape.inside.shape != shapes[0].inside.shape:
            raise InputError(f"{picture}: another size than {layers[0][1]}")
    return shapes


def _number(value: dict, key: str, where: str) -> float:
    if not is_number(value.get(key)):
        raise InputError(f"{where}: {key} {value.get(key)!r:.40} is no sound number")
    return value[key]
