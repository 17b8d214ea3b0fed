"""Supervisely: a project folder with meta.json and data sets of ann/ (JSON) and img/ (photos).

Polygons (with holes) and bitmaps are outlines; a rectangle is a box, which outlines nothing; lines,
points and graphs have no area. The tags `empty` and `background` of a photo mean that nothing is
there; other tags say nothing about pixels. Coordinates are pixels of the upright photo.
Sources: docs.supervisely.com, Supervisely annotation format; supervisely/supervisely,
geometry/bitmap.py (zlib and base64 of a PNG, `origin` = [column, row]).
"""

from .. import InputError
from ..data.progress import progress
from .exports import (
    are_points,
    check_folder,
    files_below,
    no_area,
    objects,
    pixels_along,
    read_json,
)
from .outlines import (
    EMPTY,
    box_of,
    finished,
    pasted,
    png_pixels,
    refuse_contradiction,
    ring_of,
    text_of,
    with_holes,
)
from .shapes import LabelledPhoto, Labels, Shape
from .source import Source

NO_AREA = ("point", "line", "polyline", "graph", "cuboid", "cuboid_2d")


def read_supervisely(source: Source) -> Labels:
    """The labels of a project folder; the classes are those of meta.json that mark areas.

    The photo of `site/ann/IMG_1.jpg.json` is `site/img/IMG_1.jpg` below the folder of the photos.
    """
    path, photos, marked = source.path, [], []
    check_folder(path, "a Supervisely project")
    if not (path / "meta.json").is_file():
        near = [*path.glob("*/meta.json"), path.parent / "meta.json"]
        near = [str(file.parent) for file in near if file.is_file()]
        raise InputError(f"{path}: no meta.json in it; give the folder of the whole project"
                         f"{', such as ' * bool(near)}{', '.join(near[:3])}")
    names = {text_of(item, "title", f"{path / 'meta.json'}, class {number}"): item.get("shape")
             for number, item in enumerate(objects(read_json(path / "meta.json"), "classes",
                                                   path / "meta.json", "Supervisely project"), 1)}
    files = [file for file in files_below(path, ".json") if file.parent.name == "ann"]
    if not files:
        raise InputError(f"{path}: no ann/*.json in it; export the annotations, too")
    for file in progress(files, "reading"):
        with source.noted():
            content = read_json(file)
            items = objects(content, "objects", file, "Supervisely annotation")
            inner = file.parent.parent.relative_to(path) / "img" / file.stem
            photo = source.photo(inner.as_posix(), file)
            if photo is None:
                continue
            photos.append(photo)
            size = content.get("size") if isinstance(content.get("size"), dict) else {}
            photo.width, photo.height = (pixels_along(size, key, f"{file}, size")
                                         for key in ("width", "height"))
            photo.empty = _tagged_empty(content.get("tags"))
            marked += [photo] * bool(items)
            for number, item in enumerate(items, start=1):
                with source.noted():
                    _add(photo, item, names, f"{file}, object {number}")
            refuse_contradiction(photo)
    return finished(source, photos, marked, [
        name for name, kind in names.items() if kind not in (*NO_AREA, "rectangle")])


def _tagged_empty(tags: object) -> bool:
    return isinstance(tags, list) and any(
        isinstance(tag, dict) and str(tag.get("name")).strip().lower() in EMPTY for tag in tags)


def _add(photo: LabelledPhoto, item: dict, names: dict[str, object], where: str) -> None:
    """Give the photo what an object says of it."""
    name = text_of(item, "classTitle", where)
    if name not in names:
        raise InputError(f"{where}: classTitle {name!r} is no class of meta.json")
    points = item.get("points") if isinstance(item.get("points"), dict) else {}
    outer, holes = points.get("exterior"), points.get("interior") or []
    kind = item.get("geometryType") or item.get("shape") or (  # old files do not say it
        "bitmap" if item.get("bitmap") else names[name])
    if kind == "any" and isinstance(outer, list):
        kind = "rectangle" if len(outer) == 2 else "polygon"
    if kind in NO_AREA:
        raise no_area(where, kind)
    if kind == "polygon":
        if not isinstance(holes, list):
            raise InputError(f"{where}: interior {holes!r:.40} is no list of holes")
        photo.shapes.append(with_holes(
            name, ring_of(outer, where), [ring_of(hole, where, "hole") for hole in holes
                                          if not are_points(hole) or len(hole) > 2],
            photo, where))
    elif kind in ("bitmap", "alpha_mask"):
        bitmap = item.get("bitmap") if isinstance(item.get("bitmap"), dict) else {}
        origin = bitmap.get("origin")
        if not are_points([origin]) or not all(value == int(value) for value in origin):
            raise InputError(f"{where}: origin {origin!r:.40} is no pixel [x, y]")
        pixels = png_pixels(bitmap.get("data"), where, packed=True)
        photo.shapes.append(Shape(name, rle=pasted(pixels, *map(int, origin), photo), where=where))
    elif kind == "rectangle":
        photo.boxes.append(_corners(outer, where))
    else:
        raise InputError(f"{where}: {kind!r:.40} is no kind of object that can be read; convert it "
                         "to bitmap or polygon")


def _corners(points: object, where: str) -> list[float]:
    try:
        (left, top), (right, bottom) = points
        return box_of([left, top, right - left, bottom - top], where)
    except (TypeError, ValueError):
        raise InputError(f"{where}: exterior {points!r:.60} is not two corners [x, y]") from None
