"""What the tests of the importers share: photos, the script, its data roots, damaged files."""

import json
import os
import runpy
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from subprocess import CompletedProcess
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from conftest import error_line
from PIL import Image

from camera_trapinator import IGNORE, InputError
from camera_trapinator.data.manifest import read_classes, read_manifest
from camera_trapinator.data.masks import read_mask
from camera_trapinator.labels.data_root import write_data_root
from camera_trapinator.labels.mask_folder import read_mask_folder
from camera_trapinator.labels.source import Source
from camera_trapinator.utils import ROOT

LABELS = ROOT.parent / "shared" / "data" / "labels"
real = pytest.mark.skipif(not LABELS.is_dir(), reason=f"the labels of {LABELS} are not here")


# Where the system has a disk in memory: the examples' many small files take most of their time.
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def scratch() -> TemporaryDirectory:
    """A folder for one example of many."""
    return TemporaryDirectory(dir=MEMORY)


def write_photos(folder, *names, size=(64, 48), exif=None):
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (40 * number, 90, 60)).save(path, **({"exif": exif} if exif else {}))


def import_labels(*arguments) -> CompletedProcess:
    """Run scripts/import_labels.py as a user does, but in this process, where it starts at once."""
    command, code = [str(ROOT / "scripts/import_labels.py"), *map(str, arguments)], 0
    with (redirect_stdout(StringIO()) as stdout, redirect_stderr(StringIO()) as stderr,
          pytest.MonkeyPatch.context() as patch):
        patch.setattr(sys, "argv", command)
        try:
            runpy.run_path(command[0], run_name="__main__")
        except SystemExit as ended:
            code = ended.code
    return CompletedProcess(command, code, stdout.getvalue(), stderr.getvalue())


def imported(*arguments) -> str:
    """What the script prints, if it does not refuse."""
    result = import_labels(*arguments)
    assert result.returncode == 0, result.stderr
    return result.stdout


def refusal(result: CompletedProcess) -> str:
    """What an import that refused says: its line, or all faults where there are several."""
    faults = [line for line in result.stdout.splitlines() if line.startswith("fault ")]
    line = error_line(result)
    assert bool(faults) == ("see above" in line)
    return "\n".join(faults) or line


def faults_of(write) -> list[str]:
    """All that a call refuses with, of each kind some; [] if it does not."""
    with redirect_stdout(StringIO()) as stdout:
        try:
            write()
        except InputError as error:
            printed = [line.removeprefix("fault ").strip()
                       for line in stdout.getvalue().splitlines() if line.startswith("fault ")]
            assert "\n" not in str(error) and bool(printed) == ("see above" in str(error))
            return [line for line in printed or [str(error)]
                    if not line.endswith("more like this")]
    return []


def masks_of(out):
    """{photo's name: its mask, or what its row says instead}, and the class names."""
    masks = {row.image.removeprefix("photos/"):
             read_mask(out / row.mask) if row.mask.endswith(".png") else row.mask
             for row in read_manifest(out / "manifest.csv")}
    return masks, [name for name, _ in read_classes(out / "classes.csv")]


def first_mask(out, names):
    """The mask of the first photo of a data root, its classes numbered as in `names`, from 1."""
    found = [name for name, _ in read_classes(out / "classes.csv")][1:]
    numbers = np.array([0, *(1 + names.index(name) for name in found)])
    return numbers[read_mask(out / read_manifest(out / "manifest.csv")[0].mask)]


def check_values(out):
    """That the first mask of a data root, if there is one, holds nothing but classes and 255."""
    mask = read_manifest(out / "manifest.csv")[0].mask
    values = read_mask(out / mask) if mask.endswith(".png") else np.zeros(1)
    assert set(np.unique(values)) <= {*range(len(read_classes(out / "classes.csv"))), IGNORE}


def inside(ring, height, width):
    """The pixels in a polygon, bool (height, width), one edge after the other: a ray from such a
    pixel's centre to the right crosses an odd number of edges."""
    y, x = np.mgrid[:height, :width] + 0.5
    odd = np.zeros((height, width), bool)
    for (x1, y1), (x2, y2) in zip(ring, ring[1:] + ring[:1], strict=True):
        if y1 != y2:
            odd ^= ((y1 > y) != (y2 > y)) & (x < x1 + (y - y1) * (x2 - x1) / (y2 - y1))
    return odd


# ------------------------------------------------------------------------------------- formats

SQUARE = [[10.0, 10.0, 20.0, 10.0, 20.0, 20.0, 10.0, 20.0]]


def write_coco(path, images, annotations, categories=((3, "red fox"), (7, "badger"))):
    path.write_text(json.dumps({
        "images": [{"id": place, "file_name": image, "width": 64, "height": 48}
                   if isinstance(image, str) else image for place, image in enumerate(images)],
        "categories": [{"id": key, "name": name} for key, name in categories],
        "annotations": [{"id": place, "category_id": 3, **annotation}
                        for place, annotation in enumerate(annotations)]}))
    return path


def save_mask(folder, picture, name="1.png", **options):
    path = folder / "masks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    picture.save(path, **options)


def read_pictures(folder, table, name="table.csv", photos=("1.jpg",), **options):
    """The masks {photo: mask} and class names of the pictures in folder/masks."""
    (folder / name).write_text(table, encoding="utf-8")
    for photo in photos:
        path = folder / "card" / photo
        path.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(next((folder / "masks").rglob("*.*"))) as mask:
            Image.new("RGB", mask.size).save(path)
    labels = read_mask_folder(Source(folder / "masks", folder / "card", "photos"),
                              colours=folder / name, **options)
    write_data_root(labels, folder / "out", overwrite=True, unannotated="unlabelled")
    masks, names = masks_of(folder / "out")
    return {photo: mask for photo, mask in masks.items() if not isinstance(mask, str)}, names


def import_masks(folder, table, *arguments) -> CompletedProcess:
    """Run the script on the pictures in folder/masks."""
    (folder / "table.csv").write_text(table)
    return import_labels("masks", folder / "masks", "--images", folder / "card", "--colours",
                         folder / "table.csv", "--out", folder / "out", "--overwrite", *arguments)


# -------------------------------------------------------------------------------------- damage

JUNK = [None, -1, 0, 3, 1e308, float("nan"), 10**30, "", "x", "../../etc/passwd", "a\0b", [], {},
        True, [[]], [1, 2], {"a": 1}]
WORSE = [*JUNK, "\ud800", "line\nbreak"]  # for JSON, whose texts can hold them


def damage(content, random, junk=JUNK) -> None:
    """Replace or delete one thing, anywhere in the content."""
    places = []

    def walk(item):
        for key in item if isinstance(item, dict) else range(len(item)):
            places.append((item, key))
            # Of a brush stroke's many bytes a few: they would be nearly all the places.
            if isinstance(item[key], (dict, list)) and len(item[key]) < 50:
                walk(item[key])
            elif isinstance(item[key], list):
                places.extend((item[key], int(random.integers(len(item[key])))) for _ in range(5))
    walk(content)
    item, key = places[int(random.integers(len(places)))]
    if random.random() < 0.3:
        del item[key]
    else:
        item[key] = junk[int(random.integers(len(junk)))]


def damaged(data: bytes, random, flips: int = 3, longest: float = 1) -> bytes:
    """The bytes with up to so many of them changed, cut off anywhere in the second half.

    `longest`: of 2 every other file is cut.
    """
    data = bytearray(data)
    for _ in range(int(random.integers(1, flips + 1))):
        data[int(random.integers(len(data)))] = int(random.integers(256))
    return bytes(data[:int(random.integers(len(data) // 2, int(longest * len(data)) + 1))])
