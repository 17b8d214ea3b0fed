"""import_labels.py segment-anything: SA-1B's files and those of the automatic mask generator."""

import json

import numpy as np
import pytest
from conftest import error_line
from label_files import import_labels, imported, masks_of, write_photos
from pycocotools import mask as coco_mask

from camera_trapinator import InputError
from camera_trapinator.labels.segment_anything import read_segment_anything
from camera_trapinator.labels.source import Source

BLOB = np.random.default_rng(0).random((48, 64)) < 0.3
LEFT = np.arange(64) < np.full((48, 1), 9)


def encoded(inside):
    """As pycocotools writes it, which both tools use."""
    rle = coco_mask.encode(np.asfortranarray(inside.astype(np.uint8)))
    return {"size": rle["size"], "counts": rle["counts"].decode()}


def sa_1b(file, *masks):
    return {"image": {"image_id": 1, "width": 64, "height": 48, "file_name": file},
            "annotations": [{"id": place, "segmentation": mask, "area": 9, "bbox": [0, 0, 9, 9],
                             "predicted_iou": 0.9} for place, mask in enumerate(masks)]}


def write(folder, **files):
    write_photos(folder / "card", "a/1.jpg", "a/2.jpg", "3.jpg")
    for name, content in files.items():
        (folder / "card" / f"{name.replace('_', '/')}.json").write_text(json.dumps(content))
    return folder / "card"


def test_masks_of_both_kinds_give_their_pixels(tmp_path):
    card = write(tmp_path, a_1=sa_1b("1.jpg", encoded(BLOB), encoded(LEFT)),
                 a_2=[{"segmentation": BLOB.tolist(), "area": 9, "bbox": [0, 0, 9, 9]}])
    (card / "megadetector.json").write_text('{"images": []}')
    stdout = imported("segment-anything", card, "--class", "fox", "--out", tmp_path / "out",
                      "--unannotated", "unlabelled")
    masks, names = masks_of(tmp_path / "out")
    assert names == ["background", "fox"] and "all 3 masks are taken for fox" in stdout
    assert "megadetector.json is left" in stdout
    assert np.array_equal(masks["card/a/1.jpg"], BLOB | LEFT)
    assert np.array_equal(masks["card/a/2.jpg"], BLOB)
    assert masks["card/3.jpg"] == ""


def test_the_class_must_be_given(tmp_path):
    result = import_labels("segment-anything", write(tmp_path), "--out", tmp_path / "out")
    assert result.returncode and "--class" in result.stderr


@pytest.mark.parametrize(("content", "part"), [
    (sa_1b("2.jpg", encoded(BLOB)), "it is for '2.jpg'"),
    (sa_1b("1.jpg", {"size": [48, 64], "counts": [3]}), "mask 1: run lengths add up to 3"),
    (sa_1b("1.jpg", encoded(BLOB), encoded(BLOB[:9])), "mask 2: the encoding's size [9, 64]"),
    ([{"segmentation": encoded(BLOB.T)}], "64 x 48"),
    ([{"segmentation": [[True], [True, False]]}], "mask 1: segmentation is no run-length"),
    ([{"segmentation": {"counts": [1]}}], "has no size"),
    ({"image": 3}, "no masks of Segment Anything"), ({"shapes": []}, "no masks of Segment")])
def test_damaged_files_are_named(content, part, tmp_path):
    line = error_line(import_labels("segment-anything", write(tmp_path, a_1=content), "--class",
                                    "fox", "--out", tmp_path / "out", "--unannotated", "empty"))
    assert part in line and "1.json" in line
    assert not (tmp_path / "out").exists()


def test_all_faults_are_told_at_once(tmp_path):
    card = write(tmp_path, a_1=sa_1b("1.jpg", 3, encoded(BLOB), None), gone=[
        {"segmentation": encoded(BLOB)}], a_2="no list")
    (card / "3.json").write_text("{")
    labels = read_segment_anything(Source(card, card), "fox")
    text = "\n".join(labels.faults)
    assert len(labels.faults) == 5
    assert all(part in text for part in ("mask 1", "mask 3", "gone.json", "3.json: no valid JSON",
                                         "2.json: no masks"))


def test_a_folder_without_a_mask_is_refused(tmp_path):
    line = error_line(import_labels("segment-anything", write(tmp_path, a_1=[]), "--class", "fox",
                                    "--out", tmp_path / "out", "--unannotated", "empty"))
    assert "no masks of Segment Anything" in line


@pytest.mark.parametrize("name", [" ", "background", "Empty"])
def test_a_class_that_is_none_is_refused(name, tmp_path):
    with pytest.raises(InputError, match="is no class of animals"):
        read_segment_anything(Source(tmp_path, tmp_path), name)
