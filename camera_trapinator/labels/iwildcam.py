"""iWildCam 2022: a picture for each image, in which whatever MegaDetector found has a number.

Pixel k of `instance_masks/<image id>.png` belongs to the k-th detection, from 1, of that image in
iwildcam2022_mdv4_detections.json; 0 is background; an image without picture had no detection. No
person drew these masks: DeepMAC made them from MegaDetector's boxes.
Source: github.com/visipedia/iwildcam_comp, readme.md; COCO Camera Traps for the annotations.
"""

import os
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .. import InputError
from ..data.masks import read_mask
from ..data.photos import parse_datetime
from ..data.progress import progress
from .exports import check_folder, objects, open_mask, read_json
from .shapes import LabelledPhoto, Labels, Shape
from .source import Source

ANIMAL, EMPTY = "animal", "empty"


class Annotations(NamedTuple):
    """What people say of the images, by image id."""

    facts: dict[str, dict[str, str]]  # location, sequence and datetime
    species: dict[str, set[str]] | None  # of the whole image; None = the file has no annotations
    names: list[str]  # of all species


def read_iwildcam(source: Source, detections: Path, metadata: Path | None = None,
                  confidence: float = 0.5) -> Labels:
    """The labels of the folder `instance_masks` for the photos `<image id>.jpg`.

    `detections` is MegaDetector's file; its categories (animal, person, vehicle) are the classes.
    With `metadata`, the competition's annotations, the class of an animal is the species of its
    image, and location, sequence and datetime are known. Which animal is of which species nobody
    says: where an image has several species, or none, its animals are ignored (255), and so are
    detections below `confidence`. A photo without picture is empty if its annotation says so;
    else nobody looked. What does not go together is named by file and image.
    """
    path, images = source.path, source.images
    check_folder(path, "masks")
    if path.resolve().is_relative_to(images.resolve()):
        raise InputError(f"{path}: the masks lie below {images}, among the photos; give the "
                         "folder of the photos alone, such as train/")
    if not 0 <= confidence <= 1:
        raise InputError(f"--confidence {confidence}: give a number from 0 to 1")
    found, classes = _read_detections(detections, confidence)
    facts, species, names = _read_metadata(metadata) if metadata else ({}, None, [])
    masks = {name[:-4] for name in os.listdir(path) if name.endswith(".png")}
    photos: dict[str, LabelledPhoto] = {}
    alone, given = [], set()
    for file in progress(source.photos, "reading"):
        key, photo = _id_of(file), None
        with source.noted():
            photo = source.photo(file)
        mask = path / f"{key}.png"
        if photo is None:
            continue
        if key in photos:
            source.faults.append(f"{photo.source}: {photos[key].source} has the same image id; "
                                 "leave one of them out")
            continue
        photos[key] = photo
        for fact, value in facts.get(key, {}).items():
            setattr(photo, fact, value)
        detected = found.get(key, ())
        kinds = None if species is None else species.get(key, set())
        if key in masks:
            if key not in found:
                source.faults.append(f"{mask}: {detections} does not name its image; take the file "
                                     "of these masks")
                photo.unclear = True
                continue
            if kinds is not None:
                kind = next(iter(kinds)) if len(kinds) == 1 and kinds != {EMPTY} else None
                detected = tuple(kind if name == ANIMAL else name for name in detected)
            given.update(detected)
            photo.where = str(mask)
            with source.noted(photo):
                photo.width, photo.height = _check_header(mask)
                photo.picture = partial(_read_shapes, mask, detected)
        elif any(detected):  # as background, the animal would be taught to be none
            alone.append(f"{mask}: missing, though {detections} has detections for {file}")
            del photos[key]
        else:
            photo.empty = kinds == {EMPTY}
    here = {_id_of(file) for file in source.photos}
    alone += [f"{path / key}.png: its photo is missing" for key in sorted(masks - here)]
    if alone and not source.skip_missing:
        source.faults.append(f"{alone[0]} (and {len(alone) - 1} more such files); bring masks and "
                             "photos, or leave out those without partner with --skip-missing")
    else:
        source.unpaired += alone
    if species is not None:
        classes = [name for name in dict.fromkeys([*names, *classes]) if name in given]
    if not classes and not source.faults:
        raise InputError(f"{path}: no detection of these photos has a class, all are to ignore; "
                         f"lower --confidence, or leave out --metadata ({metadata})")
    return source.labels(photos.values(), classes)


def _check_header(path: Path) -> tuple[int, int]:
    """Width and height of a picture of numbers, from its header."""
    with open_mask(path) as picture:
        mode, size = picture.mode, picture.size
    if mode not in ("L", "P", "1") and not mode.startswith("I"):
        raise InputError(f"{path}: a picture of mode {mode}; instance masks have one channel")
    return size


def _read_shapes(path: Path, detected: tuple[str | None, ...]) -> list[Shape]:
    """The pixels of each class in a picture; `detected` names the detections 1, 2, 3 ..."""
    numbers = read_mask(path)
    if numbers.max(initial=0) > len(detected):
        raise InputError(f"{path}: value {numbers.max()} in the mask, but the image has "
                         f"{len(detected)} detections; take the detections file of these masks")
    return [Shape(name, inside=np.isin(numbers, [number for number, other in
                                                 enumerate(detected, start=1) if other == name]))
            for name in dict.fromkeys(detected)]


# -------------------------------------------------------------------------- the two JSON files


def _read_detections(path: Path, confidence: float,
                     ) -> tuple[dict[str, tuple[str | None, ...]], list[str]]:
    """The category of each detection of each image id (None: too unsure), and all categories."""
    content = read_json(path)
    categories = content.get("detection_categories") if isinstance(content, dict) else None
    if not isinstance(categories, dict) or not all(
            isinstance(name, str) and name.strip() for name in categories.values()):
        raise InputError(f"{path}: no MegaDetector file, it has no `detection_categories`")
    categories = {key: name.strip() for key, name in categories.items()}
    found = {}
    for item in objects(content, "images", path, "MegaDetector file"):
        file, detections = item.get("file"), item.get("detections")
        where = f"{path}, image {str(file)[:80]!r}"
        if not isinstance(file, str) or not isinstance(detections, list | None):
            raise InputError(f"{where}: it needs a text `file` and a list `detections`")
        if _id_of(file) in found:
            raise InputError(f"{where}: two images have this id")
        names = []
        for number, detection in enumerate(detections or (), start=1):  # null: it failed
            sure = detection.get("conf") if isinstance(detection, dict) else None
            if type(sure) not in (int, float) or not 0 <= sure <= 1:
                raise InputError(f"{where}, detection {number}: conf {str(sure)[:40]!r} is no "
                                 "number from 0 to 1")
            name = categories.get(str(detection.get("category")))
            if name is None:
                raise InputError(f"{where}, detection {number}: category "
                                 f"{str(detection.get('category'))[:40]!r} is none of "
                                 "`detection_categories`")
            names.append(name if sure >= confidence else None)
        found[_id_of(file)] = tuple(names)
    return found, list(dict.fromkeys(categories.values()))


def _read_metadata(path: Path) -> Annotations:
    content = read_json(path)
    facts = {}
    for item in objects(content, "images", path):
        where = f"{path}, image {str(item.get('id'))[:80]!r}"
        key, location, sequence, time = (_text(item, key, where) for key in (
            "id", "location", "seq_id", "datetime"))
        if not key or key in facts:
            raise InputError(f"{where}: it has no id, or stands there twice")
        facts[key] = {"location": location, "sequence": sequence, "datetime": parse_datetime(time)}
    if "annotations" not in content:  # that of the test images
        return Annotations(facts, None, [])
    names, species = {}, {}
    for item in objects(content, "categories", path):
        where = f"{path}, category {str(item.get('id'))[:80]!r}"
        key, name = _text(item, "id", where), _text(item, "name", where).strip()
        if not name or key in names:
            raise InputError(f"{where}: it has no name, or stands there twice")
        names[key] = name
    for item in objects(content, "annotations", path):
        where = f"{path}, annotation {str(item.get('id'))[:80]!r}"
        image, key = (_text(item, key, where) for key in ("image_id", "category_id"))
        if image not in facts or key not in names:
            raise InputError(f"{where}: image_id {image[:80]!r} or category_id {key[:40]!r} is not "
                             "in the file")
        species.setdefault(image, set()).add(names[key])
    return Annotations(facts, species, list(names.values()))


def _text(item: dict, key: str, where: str) -> str:
    """A text or number as text; "" where there is none."""
    value = item.get(key)
    if value is not None and type(value) not in (str, int, float):
        raise InputError(f"{where}: {key} {str(value)[:40]!r} is neither text nor number")
    return "" if value is None else str(value)


def _id_of(file: str) -> str:
    """The image id: the name of its file, which is unlike any other in the whole data set."""
    return os.path.splitext(file.rpartition("/")[2])[0]
