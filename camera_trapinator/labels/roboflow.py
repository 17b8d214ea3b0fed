"""Roboflow exports: folders train, valid, test with a COCO file each, photos as `.rf.` copies.

Roboflow renames `IMG_1.jpg` to `IMG_1_jpg.rf.<hash>.jpg` and may export several augmented copies
of one source. Sources: docs.roboflow.com; real exports.
"""

import re
from pathlib import Path

from .. import InputError
from ..data.locations import SPLIT_FOLDERS
from ..data.manifest import SPLITS
from ..data.photos import look_below
from .shapes import Labels

COCO_FILE = "_annotations.coco.json"
COPY = re.compile(r"\.rf\.[^./]+(?=\.[^./]+$)")


def find_exports(folder: Path) -> list[tuple[Path, str]]:
    """The COCO file and the split of each part of an export.

    An export without `test` has its `valid` photos for the test: val is then taken from train.
    Raises InputError if there is no `train/_annotations.coco.json`, and for a part that is none of
    these.
    """
    found = []
    for path in folder.glob(f"*/{COCO_FILE}"):
        name = path.parent.name
        if name.lower() not in SPLIT_FOLDERS:
            raise InputError(f"{path}: is {name} train, valid or test? Rename the folder")
        found.append((path, SPLIT_FOLDERS[name.lower()]))
    found.sort(key=lambda part: (SPLITS.index(part[1]), part[0]))
    splits = [split for _, split in found]
    if "train" not in splits:
        train = folder / "train"
        if (train / "_classes.csv").is_file():
            raise InputError(f"{folder}: an export of Roboflow as semantic masks; import its parts "
                             f"with import_labels.py masks {train} --images {train} --colours "
                             f"{train / '_classes.csv'} --ending _mask.png")
        raise InputError(f"{folder}: no train/{COCO_FILE} in it; export the project from Roboflow "
                         "as `COCO Segmentation` and unzip it")
    for part in sorted(folder.iterdir()):
        if (part.name.lower() in SPLIT_FOLDERS and not (part / COCO_FILE).is_file()
                and look_below(part).photos):
            raise InputError(f"{part}: photos, but no {COCO_FILE}; export them anew, or take the "
                             "folder away")
    if "test" not in splits:
        return [(path, "test" if split == "val" else split) for path, split in found]
    return found


def group_copies(labels: Labels) -> Labels:
    """Make a sequence of the copies of one source, so that no split tears them apart; other photos
    stay as they are."""
    for photo in labels.photos:
        if COPY.search(photo.source.name):
            # Roboflow keeps a source in one part; one name in two parts is two sources.
            folder, name = photo.source.parent.name, photo.source.name
            photo.sequence = photo.sequence or f"{folder}/{COPY.sub('', name)}"
            photo.datetime = ""  # Roboflow's date_captured is the time of the export
    return labels
