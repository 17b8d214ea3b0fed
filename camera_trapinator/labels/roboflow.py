"""Roboflow exports: folders train, valid, test with a COCO file each, photos as `.rf.` copies.

Roboflow renames `IMG_1.jpg` to `IMG_1_jpg.rf.<hash>.jpg` and may export several augmented copies
of one source. Sources: docs.roboflow.com; real exports.
"""

import re
from pathlib import Path

from .. import InputError
from .shapes import Labels

SPLIT_OF = {"train": "train", "valid": "val", "test": "test"}
COPY = re.compile(r"\.rf\.[^./]+(?=\.[^./]+$)")


def find_exports(folder: Path) -> list[tuple[Path, str]]:
    """The COCO file and the split of each part of an export.

    An export without `test` has its `valid` photos for the test: val is then taken from train.
    Raises InputError if there is no `train/_annotations.coco.json`.
    """
    found = [(folder / name / "_annotations.coco.json", split) for name, split in SPLIT_OF.items()
             if (folder / name / "_annotations.coco.json").is_file()]
    splits = [split for _, split in found]
    if "train" not in splits:
        raise InputError(f"{folder}: no train/_annotations.coco.json in it; export the project "
                         "from Roboflow as `COCO Segmentation` and unzip it")
    if "test" not in splits:
        return [(path, "test" if split == "val" else split) for path, split in found]
    return found


def group_copies(labels: Labels) -> Labels:
    """Make a sequence of the copies of one source, so that no split tears them apart."""
    for photo in labels.photos:
        # Roboflow keeps a source in one part; one name in two parts is two sources.
        folder, name = photo.source.parent.name, photo.source.name
        photo.sequence = photo.sequence or f"{folder}/{COPY.sub('', name)}"
    return labels
