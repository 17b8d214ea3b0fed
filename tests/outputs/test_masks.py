"""Predicted masks as PNGs; where files may be written."""

from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image
from prediction_records import CLASSES, predicted, random_mask, write_records

from camera_trapinator import InputError
from camera_trapinator.data.manifest import read_classes
from camera_trapinator.data.masks import read_mask
from camera_trapinator.outputs.blobs import failure_record
from camera_trapinator.outputs.masks import write_masks, write_masks_zip
from camera_trapinator.outputs.overlays import write_overlays


def test_masks_are_palette_pngs_in_the_tree_of_the_photos(tmp_path):
    masks = {name: random_mask(seed) for seed, name in enumerate(
        ["a.jpg", "a.png", "a.JPEG", "deep/er/a.jpg", "100RECNX/a"])}
    records = [predicted(name, mask) for name, mask in masks.items()]
    records.append(failure_record("broken.jpg", "truncated"))
    write_masks(write_records(tmp_path / "p.jsonl", records), tmp_path / "masks")
    written = {path.relative_to(tmp_path / "masks").as_posix()
               for path in (tmp_path / "masks").rglob("*") if path.is_file()}
    assert written == {name + ".png" for name in masks} | {"classes.csv"}
    assert read_classes(tmp_path / "masks/classes.csv") == CLASSES
    for name, mask in masks.items():
        assert (read_mask(tmp_path / "masks" / (name + ".png")) == mask).all()
        with Image.open(tmp_path / "masks" / (name + ".png")) as image:
            assert image.mode == "P" and image.getpalette()[3:6] == [230, 120, 20]


def test_grey_masks_hold_the_indices_for_who_expands_palettes(tmp_path):
    mask = random_mask(1)
    path = write_records(tmp_path / "p.jsonl", [predicted("a.jpg", mask)])
    write_masks(path, tmp_path / "masks", "grey")
    write_masks_zip(path, tmp_path / "masks.zip", "grey")
    with Image.open(tmp_path / "masks/a.jpg.png") as image:
        assert image.mode == "L" and np.array_equal(image.convert("RGB"), np.dstack([mask] * 3))
    with ZipFile(tmp_path / "masks.zip") as archive:
        for name in ("classes.csv", "a.jpg.png"):
            assert archive.read(name) == (tmp_path / "masks" / name).read_bytes()
            assert archive.getinfo(name).date_time[0] == 1980  # the same bytes at any time
    assert np.array_equal(read_mask(tmp_path / "masks/a.jpg.png"), mask)


def test_of_many_processes_one_writes_the_classes(tmp_path):
    path = write_records(tmp_path / "p.jsonl", [predicted("a.jpg", random_mask(1))])
    write_masks(path, tmp_path / "masks", share=(2, 2))
    assert not (tmp_path / "masks").exists()
    write_masks(path, tmp_path / "masks", share=(1, 2))
    assert (tmp_path / "masks/classes.csv").exists()


@pytest.mark.parametrize("writer", ["masks", "overlays"])
@pytest.mark.parametrize("name", ["../out.jpg", "a/../../out.jpg", "/{root}/out.jpg",
                                  "link/out.jpg"])
def test_nothing_is_written_outside_the_folder(tmp_path, writer, name):
    folder, elsewhere = tmp_path / "results", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (folder / "link").symlink_to(elsewhere, target_is_directory=True)
    name = name.replace("/{root}", str(tmp_path))
    path = write_records(tmp_path / "p.jsonl", [predicted(name, random_mask(1))])
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match="leads out of"):
        if writer == "masks":
            write_masks(path, folder)
        else:
            write_overlays(path, tmp_path, folder)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_link_in_the_place_of_the_temporary_file_is_not_followed(tmp_path):
    (tmp_path / "masks").mkdir()
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "masks" / "a.jpg.png.tmp").symlink_to(tmp_path / "precious")
    path = write_records(tmp_path / "p.jsonl", [predicted("a.jpg", random_mask(1))])
    write_masks(path, tmp_path / "masks")
    assert (tmp_path / "precious").read_text() == "precious"
    assert (read_mask(tmp_path / "masks" / "a.jpg.png") == random_mask(1)).all()
