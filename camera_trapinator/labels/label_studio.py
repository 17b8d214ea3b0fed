"""Label Studio: the export `JSON`, and `Brush labels to PNG` beside a JSON file.

Polygons, ellipses and brush strokes are what somebody outlined, in their order in the file. A box
outlines nothing: of a file with nothing but boxes no mask can be made; beside outlines, what lies
in a box but in no outline is ignored (255). A submitted annotation without any region says that
nothing is there; a task without one says that nobody looked. Of several annotations of a task the
one marked as ground truth counts, else the one updated last.
Sources: labelstud.io/guide/task_format, labelstud.io/tags (positions and sizes in percent of
`original_width` and `original_height`; rotation in degrees, clockwise, of rectangles around their
upper left corner); thi.ng/rle-pack (the code of the brush strokes, which are RGBA pictures).
"""

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from .. import InputError
from ..data.photos import PHOTO_SUFFIXES, find_photos, photo_size
from ..data.rle import encode_rle
from .exports import (
    are_points,
    check_missing,
    check_outlined,
    is_number,
    no_area,
    open_mask,
    photo_in,
    pixels_along,
    read_json,
)
from .rle_pack import unpack
from .shapes import LabelledPhoto, Labels, Shape, ellipse, rectangle, ring, turned

NO_AREA = ("keypoint", "vector", "video", "brackets")  # how the types begin that mark no area
HALF = 128  # of 255: a pixel that a brush stroke covers by half or more belongs to it
# task-7-annotation-12-by-ann@example.org-tag-red fox-0.png
BRUSH_NAME = re.compile(r"task-(\d+)-annotation-(\d+)-by-[^-]*-[^-]+-(.+)-\d+\.png", re.IGNORECASE)


def read_label_studio(path: Path, images: Path, place: str, *, split: str = "",
                      skip_missing: bool = False) -> Labels:
    """The labels of a JSON export. Raises InputError with file, task and region if it is wrong.

    `images` is the folder of the photos, `place` where they lie in the data root.
    """
    tasks = _read_tasks(path)
    if any("annotations" not in task for task in tasks):
        raise InputError(f"{path}: tasks without `annotations`, as in the export `JSON-MIN`; "
                         "export `JSON` instead")
    photos, missing = [], []
    for task, file, where in _photos_of(tasks, path, images):
        photo = photo_in(images, place, file, split=split, label=where)
        annotation = _chosen(task, where)
        if annotation is not None:
            regions = _regions(annotation, where)
            photo.empty = not annotation["result"]
            for region in regions:
                _add_region(region, photo)
        photos.append(photo)
        if not photo.source.is_file():
            missing.append(_location_of_photo(task, where))
        elif not photo.width:
            photo.width, photo.height = photo_size(photo.source)
    check_outlined(path, photos, "regions")
    unpaired = check_missing(path, missing, images, skip_missing)
    return Labels([photo for photo in photos if photo.source.is_file()], unpaired=unpaired)


def read_brush_pictures(path: Path, images: Path, place: str, *, split: str = "",
                        skip_missing: bool = False) -> Labels:
    """The labels of a folder `Brush labels to PNG`, one picture for each label of an annotation.

    The names of the pictures tell the number of a task, not its photo, so that a JSON (or
    JSON-MIN) export of the same project must lie in the folder too. Raises InputError if there is
    none, or for names and pictures that are not Label Studio's.
    """
    exports = sorted(path.glob("*.json"))
    if len(exports) != 1:
        raise InputError(f"{path}: {len(exports)} JSON files; the pictures' names tell tasks, not "
                         "photos: put one JSON export of the same project beside them")
    layers: dict[str, dict[int, list[tuple[str, Path]]]] = {}
    for picture in sorted(path.glob("*.[pP][nN][gG]")):
        name = BRUSH_NAME.fullmatch(picture.name)
        if name is None:
            raise InputError(f"{picture}: no name as Label Studio gives, such as "
                             "task-7-annotation-12-by-1-tag-fox-0.png; take it out of the folder")
        task, annotation, label = name.groups()
        layers.setdefault(task, {}).setdefault(int(annotation), []).append((label, picture))
    if not layers:
        raise InputError(f"{path}: no picture task-...-annotation-...png in this folder")
    photos, missing = [], []
    for task, file, where in _photos_of(_read_tasks(exports[0]), exports[0], images):
        drawn = layers.pop(str(task.get("id")), None)
        if not file:
            missing.append(_location_of_photo(task, where))
            continue
        photo = photo_in(images, place, file, split=split, label=where)
        photo.width, photo.height = photo_size(photo.source)
        if drawn:
            last = drawn[max(drawn)]
            photo.where = str(last[0][1])
            photo.width, photo.height = _read_layer(last[0][1]).shape[::-1]
            photo.picture = partial(_read_layers, last)
        photos.append(photo)
    if layers:
        task = min(layers)
        raise InputError(f"{next(iter(layers[task].values()))[0][1]}: task {task} is not in "
                         f"{exports[0]}; export both from the same project")
    unpaired = check_missing(exports[0], missing, images, skip_missing)
    names = sorted({BRUSH_NAME.fullmatch(picture.name)[3]
                    for picture in path.glob("*.[pP][nN][gG]")})
    return Labels(photos, names, unpaired)


# ------------------------------------------------------------------------- tasks and photos


def _read_tasks(path: Path) -> list[dict]:
    tasks = read_json(path)
    if not isinstance(tasks, list) or not tasks or not all(isinstance(task, dict)
                                                           for task in tasks):
        raise InputError(f"{path}: no Label Studio export, it is no list of tasks")
    return tasks


def _photos_of(tasks: Sequence[dict], path: Path, images: Path) -> list[tuple[dict, str, str]]:
    """Each task with its photo below `images` ("" = there is none) and where it stands.

    Label Studio keeps no path of an uploaded photo and puts eight digits before its name; of other
    photos it keeps a URL. So it is the photo that has most names of folders, from the end, in
    common with the task's; two such photos are an error.
    """
    by_name: dict[str, list[str]] = {}
    for file in find_photos(images):
        by_name.setdefault(file.rpartition("/")[2], []).append(file)
    found = []
    for number, task in enumerate(tasks, start=1):
        where = f"{path}, task {task.get('id', number)!r:.40}"
        location = _location_of_photo(task, where)
        parts = PurePosixPath(location).parts
        if ".." in parts or "\\" in location:
            raise InputError(f"{where}: photo {location!r} is no path inside a folder of images")
        plain = re.sub(r"^[0-9a-f]{8}-", "", parts[-1])
        for name in (parts[-1], plain):
            candidates = [(_common_end(parts[:-1], PurePosixPath(file).parts[:-1]), file)
                          for file in by_name.get(name, ())]
            if candidates:
                break
        best = [file for common, file in candidates if common == max(candidates)[0]]
        if len(best) > 1:
            raise InputError(f"{where}: is photo {location!r} {images / best[0]} or "
                             f"{images / best[1]}? Import their folders one by one")
        found.append((task, best[0] if best else "", where))
    return found


def _common_end(first: Sequence[str], second: Sequence[str]) -> int:
    """How many items two lists have in common at their ends."""
    count = 0
    for one, other in zip(reversed(first), reversed(second), strict=False):
        if one != other:
            break
        count += 1
    return count


def _location_of_photo(task: dict, where: str) -> str:
    """The path of the task's photo, of whatever URL it stands in."""
    data = task.get("data", task)  # JSON-MIN has the data in the task itself
    texts = [value for value in data.values() if isinstance(value, str)] \
        if isinstance(data, dict) else []
    found = []
    for text in texts:
        try:
            url = urlsplit(text)
            local = parse_qs(url.query).get("d")  # /data/local-files/?d=site1/IMG_1.jpg
        except ValueError:  # a broken URL
            continue
        path = local[0] if local else unquote(url.path)
        if path.lower().endswith(PHOTO_SUFFIXES):
            found.append(path)
    if len(set(found)) != 1:
        raise InputError(f"{where}: {len(set(found))} photos in its `data`, where one is needed "
                         f"({', '.join(PHOTO_SUFFIXES)})")
    return found[0]


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


def _regions(annotation: dict, where: str) -> list[tuple[dict, str, str]]:
    """The regions of an annotation that mark an area: (region, its class, where it stands)."""
    found, bare, labelled = [], {}, set()
    for number, region in enumerate(annotation["result"], start=1):
        here = f"{where}, region {number}"
        kind = region.get("type") if isinstance(region, dict) else None
        value = region.get("value") if isinstance(region, dict) else None
        if not isinstance(kind, str) or not isinstance(value, dict):
            raise InputError(f"{here}: it has no `type` or no `value`")
        if kind.startswith(NO_AREA):
            raise no_area(here, f"region of type {kind!r:.40}")
        if not any(key in value for key in ("points", "rle", "radiusX", "width")):
            continue  # a choice, a rating, a text: of the photo, not of pixels
        names = value.get(kind)
        if names is None and not kind.endswith("labels"):
            bare.setdefault(str(region.get("id")), here)  # <Polygon> beside <Labels>
            continue
        if not isinstance(names, list) or len(names) != 1 or not isinstance(names[0], str) \
                or not names[0].strip():
            raise InputError(f"{here}: {kind!r:.40} {names!r:.60} is not one label; a pixel has "
                             "one class")
        labelled.add(str(region.get("id")))
        found.append((region, names[0].strip(), here))
    for key, here in bare.items():
        if key not in labelled:
            raise InputError(f"{here}: it has no label; give it one in Label Studio")
    return found


def _add_region(region: tuple[dict, str, str], photo: LabelledPhoto) -> None:
    """Give the photo the outline of a region, or the box that it is."""
    item, name, where = region
    value = item["value"]
    width, height = (pixels_along(item, key, where)
                     for key in ("original_width", "original_height"))
    if photo.width and (width, height) != (photo.width, photo.height):
        raise InputError(f"{where}: it is for {width} x {height} pixels, another region of the "
                         f"photo for {photo.width} x {photo.height}")
    photo.width, photo.height = width, height
    if item.get("image_rotation"):
        raise InputError(f"{where}: the photo was turned by {item['image_rotation']!r:.20} degrees "
                         "in Label Studio; turn it back there, and export again")
    if "rle" in value:
        photo.shapes.append(Shape(name, rle=encode_rle(_brush(value, width, height, where))))
    elif "points" in value:
        points = value["points"]
        if not are_points(points) or len(points) < 3:
            raise InputError(f"{where}: points {points!r:.60} are not three or more [x, y]")
        photo.shapes.append(Shape(name, polygons=[ring(
            (x * width / 100, y * height / 100) for x, y in points)]))
    elif "radiusX" in value:
        across, down = (_number(value, key, where) for key in ("radiusX", "radiusY"))
        photo.shapes.append(Shape(name, polygons=[_turned(
            ellipse(across, down), value, width, height, where)]))
    else:
        across, down = (_number(value, key, where) for key in ("width", "height"))
        photo.boxes.append(_turned(rectangle(0, 0, across, down), value, width, height, where))


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
    return pixels.reshape(height, width, 4)[:, :, 3] >= HALF  # how far it covers: alpha


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
