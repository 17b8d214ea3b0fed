"""Photos and masks are checked before training; what was found is remembered."""

import hashlib
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from coloured_photos import COLOURS, classes_of, draw_mask, make_folder
from PIL import Image

from camera_trapinator import IGNORE, InputError
from camera_trapinator.data import checks
from camera_trapinator.data.checks import check_photos, examine_photos
from camera_trapinator.data.checksums import row_checksums
from camera_trapinator.data.manifest import Manifest, Row
from camera_trapinator.data.masks import read_mask, write_mask
from camera_trapinator.dataset import CameraTrapDataset


@pytest.fixture
def own_folder(tmp_path):
    """(data root, rows), to be damaged."""
    return tmp_path / "data", list(make_folder(tmp_path / "data", 5, (64, 48)))


def fault(root: Path, rows: list[Row], num_classes: int = 3) -> str:
    with pytest.raises(InputError) as error:
        check_photos(Manifest(rows), root, num_classes, root / "memory.csv")
    message = str(error.value)
    assert "\n" not in message
    return message


def test_shares_of_the_classes(own_folder):
    root, rows = own_folder
    partly = np.full((48, 64), IGNORE, np.uint8)
    partly[:10], partly[10:13] = 0, 2
    write_mask(root / rows[4].mask, partly, COLOURS)
    shares = check_photos(Manifest(rows), root, 3, root / "new" / "memory.csv")
    assert shares.dtype == np.float32 and shares.shape == (5, 3)
    assert shares[0].tolist() == [0, 0, 0] and shares[1].tolist() == [1, 0, 0]
    for place in (2, 3):
        mask = read_mask(root / rows[place].mask)
        assert np.allclose(shares[place], [(mask == value).mean() for value in range(3)])
    assert np.allclose(shares[4], [10 / 13, 0, 3 / 13])  # of the labelled pixels


def test_a_mask_of_255_alone_counts_as_no_label(own_folder):
    root, rows = own_folder
    write_mask(root / rows[2].mask, np.full((48, 64), IGNORE, np.uint8), COLOURS)
    assert check_photos(Manifest(rows), root, 3, root / "memory.csv")[2].tolist() == [0, 0, 0]


def test_no_data_root(tmp_path):
    with pytest.raises(InputError, match=f"^data_root: {tmp_path}/none is no folder"):
        check_photos(Manifest([Row("a.jpg")]), tmp_path / "none", 3, tmp_path / "memory.csv")


@pytest.mark.parametrize("place", [0, 1, 3])  # without label, background, with a mask
def test_missing_photo(own_folder, place):
    root, rows = own_folder
    (root / rows[place].image).unlink()
    message = fault(root, rows)
    assert message.startswith(f"{root / rows[place].image}: no such photo")


def test_missing_mask(own_folder):
    root, rows = own_folder
    (root / rows[3].mask).unlink()
    assert fault(root, rows).startswith(f"{root / rows[3].mask}: no such mask")


@pytest.mark.parametrize(("size", "hint"), [
    ((64, 40), "they must have one aspect ratio"), ((48, 64), "the mask lies on its side"),
    ((24, 32), "the mask lies on its side"), ((64, 64), "they must have one aspect ratio"),
])
def test_mask_of_another_shape(own_folder, size, hint):
    root, rows = own_folder
    write_mask(root / rows[3].mask, draw_mask(*size, 3), COLOURS)
    message = fault(root, rows)
    assert message.startswith(f"{root / rows[3].mask}: the mask is {size[0]} x {size[1]} pixels, "
                              "its photo 64 x 48 (upright)")
    assert hint in message


def test_photo_on_its_side_needs_an_upright_mask(own_folder):
    root, rows = own_folder
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(root / rows[3].image) as image:
        image.load()
    image.save(root / rows[3].image, exif=exif)
    assert "lies on its side" in fault(root, rows)
    write_mask(root / rows[3].mask, np.rot90(read_mask(root / rows[3].mask), -1), COLOURS)
    assert check_photos(Manifest(rows), root, 3, root / "memory.csv")[3].sum() == pytest.approx(1)
    image, mask, _ = CameraTrapDataset(Manifest(rows), root, 0)[3]
    told, sure = classes_of(image)
    assert mask.shape == (64, 48) and sure.all() and torch.equal(told, mask)


@pytest.mark.parametrize(("values", "num_classes", "named", "hint"), [
    ((0, 3), 3, "values 0, 3 found", False), ((0, 1, 2), 2, "values 0, 1, 2 found", False),
    ((0, 75, 255), 3, "values 0, 75, 255 found", True),
])
def test_values_outside_the_classes(own_folder, values, num_classes, named, hint):
    root, rows = own_folder
    mask = np.random.default_rng(0).choice(np.array(values, np.uint8), (48, 64))
    write_mask(root / rows[3].mask, mask, COLOURS)
    only = [rows[0], rows[1], rows[3]]
    message = fault(root, only, num_classes)
    assert message.startswith(f"{root / rows[3].mask}: {named} in the mask")
    assert f"the classes 0 to {num_classes - 1}" in message
    assert ("import_labels" in message) == hint


def test_several_faults_are_counted(own_folder):
    root, rows = own_folder
    (root / rows[1].image).unlink()
    (root / rows[2].mask).unlink()
    (root / rows[4].mask).write_text("damaged")
    message = fault(root, rows)
    assert message.startswith(str(root / rows[1].image)) and "2 more faults" in message


def refuse_to_open(*_):
    raise AssertionError("a file was opened")


def test_second_check_opens_no_file_and_finds_the_same(own_folder, monkeypatch):
    root, rows = own_folder
    blobs = np.zeros((48, 64), np.uint8)
    blobs.ravel()[:977] = 1  # a share with many digits
    write_mask(root / rows[4].mask, blobs, COLOURS)
    first = check_photos(Manifest(rows), root, 3, root / "memory.csv")
    monkeypatch.setattr(checks, "read_mask", refuse_to_open)
    monkeypatch.setattr(checks, "photo_size", refuse_to_open)
    second = check_photos(Manifest(rows), root, 3, root / "memory.csv")
    assert second.tobytes() == first.tobytes()  # class weights follow from it, to the last bit
    # One class fewer makes the remembered values wrong, and that too is seen without opening.
    assert "found in the mask" in fault(root, rows, 2)


def test_a_changed_file_is_noticed(own_folder):
    root, rows = own_folder
    path = root / rows[3].mask
    path.write_bytes(path.read_bytes().ljust(2000))  # bytes after its end do a PNG no harm
    first = check_photos(Manifest(rows), root, 3, root / "memory.csv")
    before = path.stat()
    write_mask(path, (read_mask(path) + 1) % 3, COLOURS)
    path.write_bytes(path.read_bytes().ljust(2000))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000))
    assert path.stat().st_size == before.st_size == 2000
    second = check_photos(Manifest(rows), root, 3, root / "memory.csv")
    assert np.allclose(second[3], np.roll(first[3], 1))
    assert np.array_equal(second[[0, 1, 2, 4]], first[[0, 1, 2, 4]])

    with Image.open(root / rows[2].image) as image:  # the photo counts as well as the mask
        image.rotate(90, expand=True).save(root / rows[2].image)
    assert "lies on its side" in fault(root, rows)


@pytest.mark.parametrize("damage", [
    b"", b"\xff\xfe\x00junk", b"a,b\n", b"0:1 1:x,a,1,2,b,3,4\n", b'"\n', b"cut",
])
def test_a_damaged_memory_is_tolerated(own_folder, damage):
    root, rows = own_folder
    memory = root / "memory.csv"
    first = check_photos(Manifest(rows), root, 3, memory)
    whole = memory.read_bytes()
    assert whole.count(b"\n") == 3
    memory.write_bytes(whole[:-20] if damage == b"cut" else damage)
    assert np.array_equal(check_photos(Manifest(rows), root, 3, memory), first)
    assert memory.read_bytes() == whole  # and mended


def test_checksums_are_those_of_the_bytes_and_not_of_an_older_memory(own_folder):
    root, rows = own_folder
    rows = Manifest([*rows[:3], rows[3]._replace(mask="background"), rows[4]])

    def sums():
        facts = examine_photos(rows, root, root / "photos.jsonl")
        return row_checksums(rows, root, [*(fact.checksum for fact in facts[:4]), ""],
                             root / "masks.jsonl")

    def expected(name):
        return hashlib.sha256((root / name).read_bytes()).hexdigest()[:16]

    photos, masks = sums()
    assert list(photos) == [*(expected(row.image) for row in list(rows)[:4]), ""]
    assert list(masks) == [*(expected(row.mask) if row.mask.endswith(".png") else ""
                             for row in list(rows)[:3]), "", ""] and any(masks)
    # What an older version remembers lacks them; what it has beside is kept by those who ask.
    whole = (root / "photos.jsonl").read_text()
    (root / "photos.jsonl").write_text("".join(
        f"{json.dumps([found[:4], key])}\n" for found, key in map(json.loads, whole.splitlines())))
    assert None not in checks.known_fingerprints(rows, root, root / "photos.jsonl")
    assert list(sums().photos) == list(photos)
    assert (root / "photos.jsonl").read_text() == whole
    os.rename(root / rows[0].image, root / "kept")  # another photo under its name
    (root / rows[0].image).write_bytes((root / rows[1].image).read_bytes())
    now = sums().photos
    assert now[0] == photos[1] and list(now)[1:] == list(photos)[1:]


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured as Linux tells it")
def test_millions_of_rows_are_checked_in_little_memory(tmp_path):
    """Less than 300 bytes a row: ten million fit into 3 GB."""
    script = textwrap.dedent("""
        import resource, sys
        from camera_trapinator.data.checks import find_faults
        from camera_trapinator.data.manifest import Manifest, TextColumn
        root, rows = sys.argv[1], int(sys.argv[2])
        open(f"{root}/a.jpg", "w").close()
        columns = {"image": TextColumn(["a.jpg"] * rows), "mask": TextColumn(["background"] * rows)}
        find_faults(Manifest(columns=columns), root, 3, f"{root}/memory.jsonl")
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        """)
    few, many = (int(subprocess.run(
        [sys.executable, "-c", script, tmp_path, str(rows)], capture_output=True, text=True,
        check=True, timeout=300).stdout) for rows in (20_000, 320_000))
    assert (many - few) * 1024 < 300 * 300_000
