"""Labelme: one JSON file a photo, with polygons, rectangles, circles and masks.

Coordinates are pixels of the upright photo. Source: wkentaro/labelme, `_label_file.py` and
`_utils/shape.py` (versions 4 to 7).
"""

import math
import os
import re
from pathlib import Path

from .. import InputError
from ..data.files import spelled
from ..data.manifest import BACKGROUND
from ..data.progress import progress
from .exports import are_points, check_folder, files_below, is_side, no_area, read_json, read_text
from .outlines import pasted, png_pixels, ring_of
from .pairing import without_masks, without_photo
from .shapes import LabelledPhoto, Labels, Shape, ellipse, rectangle, ring
from .source import Source

# Points of each kind of shape. X-AnyLabeling stores a rectangle as its four corners, turned ones
# as `rotation`, and others with four as `quadrilateral`.
NEEDED = {"polygon": (), "oriented_rectangle": (4,), "rotation": (4,), "quadrilateral": (4,),
          "rectangle": (2, 4), "circle": (2,), "mask": (2,)}
NO_AREA = ("line", "linestrip", "polyline", "point", "points")
SPECIAL = {"__ignore__": None, "_background_": BACKGROUND}  # names that Labelme's converter knows


def read_labelme(source: Source, classes: Path | None = None) -> Labels:
    """The labels of all JSON files below a folder.

    A file's photo is its imagePath, seen from the JSON file; if that is not among the photos, then
    the imagePath in their folder that the JSON file's has; if it is a path of another machine, see
    `_photo_elsewhere`; if there is none, the photo of the JSON file's name. Photos without a JSON
    file have no shapes, and JSON files of other tools are left. `classes`: Labelme's labels.txt,
    the names in the order wanted; other labels are faults. Lines and points have no area.
    """
    path = source.path
    check_folder(path, "Labelme files")
    names = _read_names(classes) if classes else []
    photos: dict[str, LabelledPhoto] = {}
    missing, foreign, tried = [], [], set()
    files = files_below(path, ".json")
    for file in progress(files, "reading", unit="files"):
        with source.noted():
            content = _read_file(file)
            if content is None:
                foreign.append(file)
                continue
            key = _photo_of(content, file, source)
            tried.add(key)
            found = source.find(key, str(file))
            if found is None:
                missing.append((file, content.get("imagePath") or key))
                continue
            tried.add(found)
            photo = source.photo(key, file)
            if photo is None:
                continue
            if photo.file in photos:
                raise InputError(f"{file}: {photos[photo.file].where} is for the same photo {key}; "
                                 "leave one of them out")
            photos[photo.file] = photo
            with source.noted(photo):
                photo.width, photo.height = _size(content, file) or photo.header.size
                photo.shapes = _shapes(content["shapes"], photo, names, source)
    if foreign and len(foreign) == len(files):
        raise InputError(f"{foreign[0]}: no Labelme file, it has no `shapes` and `imagePath`")
    if not files:
        raise InputError(f"{path}: no .json file in it; Labelme writes one beside each photo")
    source.told += [f"{file} is left: no Labelme file, it has no `shapes` and `imagePath`"
                    for file in foreign]
    marked = {file.relative_to(path).with_suffix("").as_posix() for file in foreign}
    others = without_masks(source, source.photos, tried)
    for key in progress(others, "reading"):
        with source.noted():
            if key not in tried and (photo := source.photo(key)) is not None:
                photo.unclear = os.path.splitext(key)[0] in marked
                photos[photo.file] = photo
    without_photo(source, [file for file, _ in missing], [name for _, name in missing])
    return source.labels(photos.values(), names)


def _read_file(path: Path) -> dict | None:
    """The content of a JSON file; None if it is of another tool."""
    content = read_json(path)
    if not isinstance(content, dict) or not (isinstance(content.get("shapes"), list)
                                             or isinstance(content.get("imagePath"), str)):
        return None
    if not isinstance(content.get("shapes"), list):
        raise InputError(f"{path}: no Labelme file, its shapes {content.get('shapes')!r:.40} are "
                         "no list")
    return content


def _photo_of(content: dict, file: Path, source: Source) -> str:
    """The photo's path relative to the folder of the photos; where it leads out of it, it is not
    there."""
    given = content.get("imagePath") or ""
    if not isinstance(given, str) or "\0" in given or given.strip().endswith(("/", "\\")):
        raise InputError(f"{file}: imagePath {given!r:.60} names no photo; write its name there, "
                         "relative to the JSON file")
    given = given.replace("\\", "/")
    if not given.strip():
        return _photo_of_the_name(file, source)
    if given.startswith("/") or given[1:2] == ":":  # of another machine, or another drive
        return _photo_elsewhere(given, file, source)
    seen = os.path.normpath(Path(os.path.abspath(file)).parent / given)
    folder = os.path.abspath(source.images)
    if Path(seen).is_relative_to(folder) and seen != folder:
        return Path(seen).relative_to(folder).as_posix()
    key = Path(os.path.normpath(file.parent.relative_to(source.path) / given)).as_posix()
    if not key.startswith("../"):
        return key
    if source.path == source.images:
        there = f" {os.path.dirname(seen)}" if os.path.isfile(seen) else ""
        raise InputError(f"{file}: its photo {given!r} lies outside of {source.images}; give the "
                         f"folder of the photos with --images{there}")
    return re.sub(r"^(\.\./)+", "", key)  # perhaps the end of it is here


def _photo_of_the_name(file: Path, source: Source) -> str:
    """The photo that lies beside a JSON file and has its name."""
    base = file.relative_to(source.path).with_suffix("").as_posix()
    fits = [photo for photo in source.photos
            if spelled(os.path.splitext(photo)[0]) == spelled(base)]
    if len(fits) != 1:
        raise InputError(f"{file}: it has no imagePath, and {len(fits)} photos of its name lie "
                         "there; write the photo's name in it")
    return fits[0]


def _photo_elsewhere(given: str, file: Path, source: Source) -> str:
    """The photo of an absolute path: the one of that name beside the JSON file; else the one that
    has the longest end of the path. Both are a fault if the path's folders name another one."""
    folder = file.parent.relative_to(source.path)
    name = given.rpartition("/")[2]
    beside = [photo for photo in source.named(name)
              if spelled(Path(photo).parent.as_posix()) == spelled(folder.as_posix())]
    if len(beside) != 1:
        return given
    other = source.find(os.path.normpath(given), str(file))
    if other not in (None, *beside) and "/" in other:
        raise InputError(f"{file}: is its photo {source.images / beside[0]}, which lies beside, or "
                         f"{source.images / other} as its imagePath {given!r} says? Write the "
                         "name alone if it is the one beside")
    return beside[0]


def _size(content: dict, file: Path) -> tuple[int, int] | None:
    sides = content.get("imageWidth"), content.get("imageHeight")
    if sides == (None, None):
        return None
    if not all(map(is_side, sides)):
        raise InputError(f"{file}: imageWidth {sides[0]!r} and imageHeight {sides[1]!r} are no "
                         "numbers of pixels")
    return sides


def _shapes(items: list, photo: LabelledPhoto, names: list[str], source: Source) -> list[Shape]:
    shapes: list[Shape] = []
    groups: dict[tuple, int] = {}
    for number, item in enumerate(items, start=1):
        with source.noted(photo):
            shape = _labelled_shape(item, photo, names, f"{photo.where}, shape {number}")
            group = item.get("group_id")
            if type(group) is int and shape.polygons:
                # The parts of one animal, torn apart by a trunk say, are one shape.
                first = groups.setdefault((shape.name, group), len(shapes))
                if first < len(shapes):
                    shapes[first] = shapes[first]._replace(
                        polygons=[*shapes[first].polygons, *shape.polygons])
                    continue
            shapes.append(shape)
    return shapes


def _labelled_shape(item: object, photo: LabelledPhoto, names: list[str], where: str) -> Shape:
    if not isinstance(item, dict) or type(item.get("label")) not in (str, int):
        raise InputError(f"{where}: it has no label")
    label = str(item["label"]).strip()
    name = SPECIAL.get(label, label)
    if name == "" or (names and name not in (*names, *SPECIAL.values())):
        raise InputError(f"{where}: label {label!r} is none of {', '.join(names)[:200]}; "
                         "correct it, or add it to the file of classes")
    return _shape(name, item, photo, where)


def _shape(name: str | None, item: dict, photo: LabelledPhoto, where: str) -> Shape:
    kind = item.get("shape_type") or "polygon"  # None in old files
    points = item.get("points")
    if kind in NO_AREA:
        raise no_area(where, f"{kind!r}")
    if not isinstance(kind, str) or kind not in NEEDED:
        raise InputError(f"{where}: shape_type {kind!r:.40} is not known; known are "
                         f"{', '.join([*NEEDED, *NO_AREA])}")
    if kind == "polygon":
        return Shape(name, polygons=[ring_of(points, where)], where=where)
    if not are_points(points) or len(points) not in NEEDED[kind]:
        raise InputError(f"{where}: a {kind} needs {' or '.join(map(str, NEEDED[kind]))} points "
                         f"[x, y], not {points!r:.60}")
    if kind == "mask":
        left, top = (math.floor(min(values)) for values in zip(*points, strict=True))
        pixels = png_pixels(item.get("mask"), where)
        return Shape(name, rle=pasted(pixels, left, top, photo), where=where)
    if kind == "rectangle" and len(points) == 2:
        (left, top), (right, bottom) = points
        points = rectangle(left, top, right, bottom)
    elif kind == "circle":
        (x, y), rim = points
        radius = math.dist((x, y), rim)
        points = [(x + across, y + down) for across, down in ellipse(radius, radius)]
    return Shape(name, polygons=[ring(points)], where=where)


def _read_names(path: Path) -> list[str]:
    lines = [line.strip() for line in read_text(path).splitlines()]
    names = [line for line in lines if line and line not in SPECIAL]
    if not names:
        raise InputError(f"{path}: no class name in it")
    return list(dict.fromkeys(names))
