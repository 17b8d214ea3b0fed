"""COCO files: as pycocotools reads them, and as the records say."""

import json

import numpy as np
import pytest
from prediction_records import (
    FULL_INFO,
    predicted,
    random_mask,
    varied_records,
    write_records,
)
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from camera_trapinator.outputs.coco import write_coco
from camera_trapinator.outputs.records import mask_of


@pytest.mark.parametrize("segmentation", ["rle", "polygons"])
def test_coco_files_load_and_the_masks_are_those_of_the_records(tmp_path, segmentation):
    expected = varied_records()
    path = write_records(tmp_path / "p.jsonl", expected, FULL_INFO)
    write_coco(path, tmp_path / "coco.json", tmp_path / "results.json", segmentation)
    coco = COCO(str(tmp_path / "coco.json"))
    assert {category["name"] for category in coco.loadCats(coco.getCatIds())} == {
        "fox", "snow hare", "black bear"}
    by_file = {image["file_name"]: image for image in coco.loadImgs(coco.getImgIds())}
    assert list(by_file) == [record["file"] for record in expected if not record["failure"]]
    for record in expected:
        if record["failure"]:
            continue
        image = by_file[record["file"]]
        assert (image["width"], image["height"]) == (record["width"], record["height"])
        annotations = coco.loadAnns(coco.getAnnIds([image["id"]]))
        assert [item["category_id"] for item in annotations] == [
            blob["class"] for blob in record["blobs"]]
        union = np.zeros((record["height"], record["width"]), bool)
        for item in annotations:
            mask = coco.annToMask(item)
            assert isinstance(item["segmentation"], list if segmentation == "polygons" else dict)
            assert item["area"] == mask.sum() and item["iscrowd"] == 0
            assert item["bbox"] == pytest.approx(coco_mask.toBbox(coco.annToRLE(item)), abs=0.02)
            assert not (union & (mask > 0)).any()
            union |= mask > 0
        stored = mask_of(record) > 0
        scale = record["height"] // stored.shape[0]
        assert np.array_equal(union, np.kron(stored, np.ones((scale, scale), bool)))


def test_areas_are_those_of_the_masks_in_large_photos_too(tmp_path):
    """12 megapixels: a share of five digits would be 60 pixels off."""
    records = [predicted(f"{seed}.jpg", random_mask(seed), width=4000, height=3000)
               for seed in range(3)]
    path = write_records(tmp_path / "p.jsonl", records, FULL_INFO)
    write_coco(path, tmp_path / "coco.json", tmp_path / "results.json")
    found = json.loads((tmp_path / "results.json").read_text())
    assert found and all(item["area"] == coco_mask.area(item["segmentation"]) for item in found)


def test_photos_that_are_stored_turned_are_told(tmp_path):
    records = [predicted(name, random_mask(1)) for name in ("a.jpg", "turned.jpg", "gone.jpg")]
    path = write_records(tmp_path / "p.jsonl", records, FULL_INFO)
    write_coco(path, tmp_path / "coco.json", tmp_path / "results.json",
               turned={"turned.jpg": 6, "gone.jpg": None})
    content = json.loads((tmp_path / "coco.json").read_text())
    assert [image.get("exif_orientation", 1) for image in content["images"]] == [1, 6, None]
    assert "upright photo" in content["info"]["description"]


@pytest.mark.parametrize("segmentation", ["rle", "polygons"])
def test_coco_results_against_themselves_are_perfect(tmp_path, segmentation):
    path = write_records(tmp_path / "p.jsonl", varied_records(), FULL_INFO)
    write_coco(path, tmp_path / "coco.json", tmp_path / "results.json", segmentation)
    truth = COCO(str(tmp_path / "coco.json"))
    scores = COCOeval(truth, truth.loadRes(str(tmp_path / "results.json")), "segm")
    scores.params.maxDets = [1, 10, 1000]
    scores.evaluate()
    scores.accumulate()
    precision = scores.eval["precision"][..., -1]  # of up to 1,000 detections a photo
    assert precision[precision > -1].min() > 0.999
