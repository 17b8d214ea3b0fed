"""MegaDetector JSON: as its readers want it, and as the records say."""

import json

import numpy as np
import pytest
from megadetector_rules import check_megadetector
from prediction_records import FULL_INFO, predicted, varied_records, with_box, write_records
from pycocotools import mask as coco_mask

from camera_trapinator.outputs.megadetector import write_megadetector


def test_megadetector_json_keeps_the_rules_and_tells_what_the_records_tell(tmp_path):
    expected = varied_records()
    path = write_records(tmp_path / "p.jsonl", expected, FULL_INFO)
    assert write_megadetector(path, tmp_path / "m.json") == 1  # the PNG
    content = json.loads((tmp_path / "m.json").read_text(encoding="utf-8"))
    check_megadetector(content)
    assert content["detection_categories"] == {"1": "animal"}
    assert content["classification_categories"] == {"1": "fox", "2": "snow hare", "3": "black bear"}
    assert content["info"]["detector_metadata"] == {"typical_detection_threshold": 0.61,
                                                    "conservative_detection_threshold": 0.2}
    assert [image["file"] for image in content["images"]] == [record["file"] for record in expected]
    for image, record in zip(content["images"], expected, strict=True):
        if record["failure"]:
            assert image == {"file": "torn.jpg", "failure": "truncated", "detections": None}
            continue
        assert len(image["detections"]) == len(record["blobs"]) + len(record["faint"])
        best = max((detection["conf"] for detection in image["detections"]), default=0)
        if image["detections"]:
            assert best == pytest.approx(record["confidence"], abs=1e-5)
        for blob, detection in zip(record["blobs"], image["detections"], strict=False):
            assert detection["conf"] == blob["confidence"]
            assert detection.get("classifications") == (None if blob["unknown"] else [
                [str(blob["class"]), blob["class_confidence"]]])
            mask = coco_mask.decode(detection["segmentation"])
            assert mask.shape == (record["height"], record["width"])
            assert mask.mean() == pytest.approx(blob["area"], abs=1e-4)
            rows, columns = np.nonzero(mask)
            assert detection["bbox"][:2] == pytest.approx(
                [columns.min() / mask.shape[1], rows.min() / mask.shape[0]], abs=1e-4)
    faint = content["images"][6]["detections"]
    assert [(round(item["conf"], 5), "segmentation" in item) for item in faint] == [(0.3, False)]


@pytest.mark.parametrize(("names", "categories"), [
    (["snow"], {"1": "snow"}),
    (["Animal", "person", "vehicle"], {"1": "Animal", "2": "person", "3": "vehicle"}),
])
def test_one_class_or_a_detectors_classes_are_the_categories(tmp_path, names, categories):
    info = {**FULL_INFO, "thresholds": None, "classes": [
        {"name": name, "colour": [0, 0, 0]} for name in ["background", *names]]}
    path = write_records(tmp_path / "p.jsonl", [predicted("a.jpg", with_box(5, 5, 9, 9))], info)
    write_megadetector(path, tmp_path / "m.json")
    content = json.loads((tmp_path / "m.json").read_text(encoding="utf-8"))
    check_megadetector(content)
    assert content["detection_categories"] == categories
    assert "classification_categories" not in content
    assert content["images"][0]["detections"][0]["category"] == "1"
    assert content["info"]["detector_metadata"]["conservative_detection_threshold"] == 0.1
