"""Datumaro: a folder with annotations/*.json, one a subset, and images/<subset>/.

Polygons, ellipses and masks (run lengths) are outlines; z_order says which lies on top. A box
outlines nothing; lines, points, skeletons and cuboids have no area. The labels `empty` and
`background` of a photo mean that nothing is there; other labels say nothing about pixels, but such
a photo is not empty. Coordinates are pixels of the upright photo.
Source: openvinotoolkit.github.io/datumaro, Datumaro format, and the exporter of that format.
"""

from pathlib import Path

from .. import InputError
from ..data.progress import progress
from .exports import (
    check_folder,
    files_below,
    is_number,
    no_area,
    objects,
    pixels_along,
    read_json,
)
from .outlines import (
    EMPTY,
    box_of,
    finished,
    flat_ring,
    numbers_of,
    refuse_contradiction,
    run_lengths,
    text_of,
)
from .shapes import LabelledPhoto, Labels, Shape, ellipse, rectangle, turned
from .source import Source

NO_AREA = ("points", "polyline", "skeleton", "cuboid_2d", "cuboid_3d")
NO_PHOTO = ("video", "video_frame", "point_cloud")
NO_PIXELS = ("caption", "hash_key", "feature_vector", "tabular")


def read_datumaro(source: Source) -> Labels:
    """The labels of all subsets of a Datumaro folder; or of one file of it."""
    path, photos, marked, names = source.path, [], [], []
    folder = path / "annotations" if (path / "annotations").is_dir() else path
    if not path.is_file():
        check_folder(path, "a Datumaro data set")
    files = [path] if path.is_file() else files_below(folder, ".json")
    if not files:
        raise InputError(f"{path}: no annotations/*.json in it")
    for file in files:
        with source.noted():
            content = read_json(file)
            items = objects(content, "items", file, "Datumaro file")
            labels = _labels(content, file)
            names += labels
            for item in progress(items, "reading"):
                with source.noted():
                    photo = _photo(item, file, source)
                    if photo is not None:
                        photos.append(photo)
                        marked += [photo] * _read(item, photo, labels, source)
    used = {shape.name for photo in photos for shape in photo.shapes}
    return finished(source, photos, marked, [
        name for name in dict.fromkeys(names) if name in used or name.lower() not in EMPTY])


def _labels(content: dict, file: Path) -> list[str]:
    categories = content.get("categories")
    labels = categories.get("label") if isinstance(categories, dict) else None
    items = objects(labels, "labels", file, "Datumaro file (under categories.label)")
    return [text_of(item, "name", f"{file}, label {number}") for number, item in enumerate(items)]


def _photo(item: dict, file: Path, source: Source) -> LabelledPhoto | None:
    where = f"{file}, item {item.get('id')!r:.80}"
    if kind := next((key for key in NO_PHOTO if key in item), ""):
        raise InputError(f"{where}: a {kind.replace('_', ' ')}, and no `image`; only photos can be "
                         "read")
    image = next((item[key] for key in ("image", "media") if isinstance(item.get(key), dict)), {})
    # Saved without its photos a data set tells their ids alone.
    inner = text_of(item if image.get("path") in (None, "") else image,
                    "id" if image.get("path") in (None, "") else "path", where).replace("\\", "/")
    below = inner.rpartition("../")[2]  # Datumaro itself writes paths such as ../data/images/x.jpg
    places = [f"images/{file.stem}/{below}", f"images/{below}"] if below == inner else []
    found = next((place for place in places if source.find(place, where, inner=False)), below)
    photo = source.photo(found, where)
    if photo is not None and image.get("size") is not None:
        size = image["size"]
        if not isinstance(size, list) or len(size) != 2:
            raise InputError(f"{where}: size {size!r:.40} is not [height, width]")
        photo.height, photo.width = (pixels_along({key: side}, key, where) for key, side in
                                     zip(("height", "width"), size, strict=True))
    return photo


def _read(item: dict, photo: LabelledPhoto, labels: list[str], source: Source) -> bool:
    """Give the photo what its item says of it, lowest first; whether anything is marked."""
    outlines: list[tuple[float, Shape]] = []
    marks = [mark for mark in objects(item, "annotations", Path(photo.where))
             if mark.get("type") not in NO_PIXELS]
    for number, mark in enumerate(marks, start=1):
        where = f"{photo.where}, annotation {number}"
        with source.noted():
            kind = mark.get("type")
            if kind in NO_AREA:
                raise no_area(where, kind)
            if kind == "bbox":
                photo.boxes.append(box_of(mark.get("bbox"), where))
                continue
            if kind == "rotated_bbox":
                photo.boxes.append(_turned_box(mark.get("bbox"), where))
                continue
            index = mark.get("label_id")
            if type(index) is not int or not 0 <= index < len(labels):
                raise InputError(f"{where}: label_id {index!r:.40} is no label of the file")
            if kind == "label":
                photo.empty |= labels[index].lower() in EMPTY
                continue
            order, = numbers_of({"z_order": 0, **mark}, ["z_order"], where)
            outlines.append((order, _outline(kind, mark, labels[index], photo, where)))
    photo.shapes = [shape for _, shape in sorted(outlines, key=lambda outline: outline[0])]
    refuse_contradiction(photo)
    return bool(marks)


def _outline(kind: object, mark: dict, name: str, photo: LabelledPhoto, where: str) -> Shape:
    if kind == "polygon":
        return Shape(name, polygons=[flat_ring(mark.get("points"), where)], where=where)
    if kind == "mask":
        return Shape(name, rle=run_lengths(mark.get("rle"), photo, where), where=where)
    if kind == "ellipse":
        points = mark.get("points")
        if not isinstance(points, list) or len(points) != 4 or not all(map(is_number, points)):
            raise InputError(f"{where}: {points!r:.60} is no ellipse [left, top, right, bottom]")
        left, top, right, bottom = points
        outline = turned(ellipse((right - left) / 2, (bottom - top) / 2), (left + right) / 2,
                         (top + bottom) / 2)
        return Shape(name, polygons=[outline], where=where)
    raise InputError(f"{where}: {kind!r:.40} is no type of annotation that can be read")


def _turned_box(values: object, where: str) -> list[float]:
    """A ring from [x and y of the centre, width, height, degrees clockwise on the screen]."""
    if not isinstance(values, list) or len(values) != 5 or not all(map(is_number, values)):
        raise InputError(f"{where}: {values!r:.60} is no turned box")
    x, y, width, height, degrees = values
    return turned(rectangle(-width / 2, -height / 2, width / 2, height / 2), x, y, degrees)
