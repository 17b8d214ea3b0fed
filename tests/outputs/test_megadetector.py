"""MegaDetector JSON: as its readers want it, and as the records say."""

import json

import numpy as np
import pytest
from megadetector_rules import check_megadetector
from prediction_records import FULL_INFO, predicted, varied_records, with_box, write_records
from pycocotools import mask as coco_mask

from camera_trapinator.outputs.megadetector import description, write_megadetector


def test_megadetector_json_keeps_the_rules_and_tells_what_the_records_tell(tmp_path):
    expected = varied_records()
    path = write_records(tmp_path / "p.jsonl", expected, FULL_INFO)
    assert write_megadetector(path, tmp_path / "m.json") == 1  # the PNG
    content = json.loads((tmp_path / "m.json").read_text(encoding="utf-8"))
    check_megadetector(content)
    assert content["detection_categories"] == {"1": "animal"}
    assert content["classification_categories"] == {"1": "fox", "2": "snow hare", "3": "black bear"}
    assert content["classification_category_descriptions"] == {
        "1": ";;;;;;fox", "2": ";;;;;;snow hare", "3": ";;;;;;black bear"}
    assert content["info"]["detector_metadata"] == {"typical_detection_threshold": 0.2,
                                                    "conservative_detection_threshold": 0.2}
    assert [image["file"] for image in content["images"]] == [record["file"] for record in expected]
    for image, record in zip(content["images"], expected, strict=True):
        if record["failure"]:
            assert image == {"file": "torn.jpg", "failure": "truncated", "detections": None}
            continue
        assert len(image["detections"]) == len(record["blobs"]) + len(record["faint"])
        # What a reader takes for an animal, at the threshold that the file names.
        animals = [detection for detection in image["detections"] if detection["conf"] >= 0.2]
        assert animals == image["detections"][:len(record["blobs"])]
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
    assert [(item["conf"], "segmentation" in item) for item in faint] == [(0.199, False)]


@pytest.mark.parametrize(("names", "categories"), [
    (["snow"], {"1": "snow"}),
    (["Animal", "person", "vehicle"], {"1": "Animal", "2": "person", "3": "vehicle"}),
])
def test_one_class_or_a_detectors_classes_are_the_categories(tmp_path, names, categories):
    info = {**FULL_INFO, "thresholds": None, "min_confidence": 0.0, "classes": [
        {"name": name, "colour": [0, 0, 0]} for name in ["background", *names]]}
    path = write_records(tmp_path / "p.jsonl", [predicted("a.jpg", with_box(5, 5, 9, 9))], info)
    write_megadetector(path, tmp_path / "m.json")
    content = json.loads((tmp_path / "m.json").read_text(encoding="utf-8"))
    check_megadetector(content)
    assert content["detection_categories"] == categories
    assert "classification_categories" not in content
    assert content["images"][0]["detections"][0]["category"] == "1"
    assert content["info"]["detector_metadata"]["conservative_detection_threshold"] == 0.1


def test_every_reader_finds_the_animals_that_count_and_no_others(tmp_path):
    """Also where the threshold has many digits, for Timelapse rounds to three; where parts that are
    too small are as sure as can be; and where no threshold is known."""
    sure = np.zeros((40, 60), np.float32)
    sure[5:14, 5:14], sure[30:36, 30:36], sure[20:24, 50:54] = 0.94738, 0.99, 0.3
    mask = (sure > 0.5).astype(np.uint8)
    for least in (0.94731, 0.94738, 0.2, 0.05, 0.0):
        record = predicted("a.jpg", mask, sure, smallest_blob=0.02, min_confidence=least)
        assert len(record["blobs"]) == 1 and len(record["faint"]) == 2
        info = {**FULL_INFO, "min_confidence": least, "smallest_blob": 0.02}
        path = write_records(tmp_path / f"{least}.jsonl", [record], info)
        write_megadetector(path, tmp_path / "m.json")
        content = json.loads((tmp_path / "m.json").read_text(encoding="utf-8"))
        check_megadetector(content)
        thresholds = set(content["info"]["detector_metadata"].values())
        assert len(thresholds) == 1 and 0.947 >= max(thresholds) >= 0.1
        for digits in (5, 3):
            counting = [round(item["conf"], digits) >= max(thresholds)
                        for item in content["images"][0]["detections"]]
            assert counting == [True, False, False]


def test_a_description_has_the_seven_parts_that_the_tools_take():
    """MegaDetector's is_valid_prediction_string: seven parts, in lower case; | parts several."""
    for name in ("Red Fox", "Käuzchen; groß", "a|b", "deer"):
        text = description(name)
        assert text.count(";") == 6 and text == text.lower() and "|" not in text
        assert text.split(";")[-1].strip()
