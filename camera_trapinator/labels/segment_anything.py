"""Segment Anything (SAM): a JSON file a photo, as of SA-1B or of the automatic mask generator.

SA-1B writes {"image": {...}, "annotations": [...]}, the generator a list alone, of objects with a
`segmentation` (run lengths as of COCO, or rows of true and false), `area` and `bbox`. SAM knows no
classes, and its automatic masks cover whatever it sees: leaves, too.
Sources: segment-anything.com/dataset; facebookresearch/segment-anything, scripts/amg.py and
automatic_mask_generator.py.
"""

from pathlib import Path

import numpy as np

from .. import InputError
from ..data.files import spelled
from ..data.progress import progress
from ..data.rle import encode_rle
from .exports import check_folder, pixels_along, read_json
from .outlines import class_of, run_lengths, text_of
from .pairing import pair_labels, without_photo
from .shapes import LabelledPhoto, Labels, Shape
from .source import Source


def read_segment_anything(source: Source, name: str) -> Labels:
    """The masks of all JSON files below a folder, all of the class `name`.

    The file of `a/IMG_1.jpg` is `a/IMG_1.json`. Files of other tools that are none
    of a photo are left. A photo without file has no shapes.
    """
    check_folder(source.path, "JSON files")
    name = class_of(name)
    pairs, alone = pair_labels(source, ".json")
    photos, left, masks = [], [], 0
    for file, path in progress(pairs, "reading"):
        with source.noted():
            photo = source.photo(file, path or "")
            if photo is None:
                continue
            photos.append(photo)
            photo.unclear = path is not None  # until its masks are read
            content = read_json(path) if path else []
            if not _is_ours(content):
                raise InputError(f"{path}: no masks of Segment Anything, which are a list of "
                                 "objects with `segmentation`")
            _read(content, photo, name, path, source)
            photo.unclear = bool(content) and not photo.shapes
            masks += len(photo.shapes)
    lost = []
    for path in alone:
        with source.noted():
            (lost if _is_ours(read_json(path)) else left).append(path)
    without_photo(source, lost)
    if not masks and not source.faults:
        raise InputError(f"{source.path}: no masks of Segment Anything in it, which stand in a "
                         "JSON file with the name of the photo; amg.py writes it with "
                         "--convert-to-rle")
    source.told += [f"{path} is left: no masks of Segment Anything" for path in left]
    source.told.append(f"{source.path}: all {masks} masks are taken for {name}; delete those of "
                       "the ground, plants and the like before")
    return source.labels(photos, [name])


def _is_ours(content: object) -> bool:
    items = content.get("annotations") if isinstance(content, dict) and "image" in content \
        else content
    return isinstance(items, list) and all(
        isinstance(item, dict) and "segmentation" in item for item in items)


def _read(content: dict | list, photo: LabelledPhoto, name: str, path: Path | None,
          source: Source) -> None:
    """Give the photo the masks of its file."""
    if isinstance(content, dict):
        image, content = content["image"], content["annotations"]
        file = text_of(image, "file_name", str(path)).replace("\\", "/").rpartition("/")[2]
        if spelled(file) != spelled(photo.source.name):
            raise InputError(f"{path}: it is for {file!r}, but lies where the masks of "
                             f"{photo.source} should; rename one of them")
        photo.width, photo.height = (pixels_along(image, key, str(path))
                                     for key in ("width", "height"))
    elif content:
        photo.height, photo.width = _size(content[0]["segmentation"], f"{path}, mask 1")
    for number, item in enumerate(content, start=1):
        where = f"{path}, mask {number}"
        with source.noted():
            segmentation = item["segmentation"]
            if isinstance(segmentation, list):
                segmentation = _packed(segmentation, where)
            photo.shapes.append(Shape(name, rle=run_lengths(segmentation, photo, where),
                                      where=where))


def _size(segmentation: object, where: str) -> list[int]:
    if isinstance(segmentation, list):
        return _packed(segmentation, where)["size"]
    size = segmentation.get("size") if isinstance(segmentation, dict) else None
    if not isinstance(size, list) or len(size) != 2:
        raise InputError(f"{where}: segmentation {segmentation!r:.40} has no size [height, width]")
    height, width = size
    return [pixels_along({"height": height}, "height", where),
            pixels_along({"width": width}, "width", where)]


def _packed(rows: list, where: str) -> dict:
    """The run lengths of rows of true and false."""
    try:
        mask = np.array(rows)
    except ValueError:  # of unequal lengths
        mask = np.zeros(0)
    if mask.ndim != 2 or not mask.size or not ((mask == 0) | (mask == 1)).all():
        raise InputError(f"{where}: segmentation is no run-length encoding, and no rows of true "
                         "and false of one length")
    return encode_rle(mask.astype(bool))
