"""MegaDetector JSON, COCO, XMP, model card: as their readers want them, and as the records say."""

import json
import re
import shutil
import xml.etree.ElementTree as ElementTree
from collections import Counter

import numpy as np
import pytest
from conftest import run_script
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from test_outputs import INFO, predicted, random_mask, rows_of, with_box, write_records

from camera_trapinator.outputs.blobs import failure_record
from camera_trapinator.outputs.coco import write_coco
from camera_trapinator.outputs.megadetector import write_megadetector
from camera_trapinator.outputs.model_card import write_model_card
from camera_trapinator.outputs.records import mask_of, read_records
from camera_trapinator.outputs.xmp import write_xmp
from camera_trapinator.training.checkpoint import load_checkpoint

INFO = {**INFO, "smallest_blob": 0.0, "faint": 0.1, "thresholds": {"0.95": 0.61, "0.99": 0.2}}
HOSTILE = ["<img src=x onerror=alert(1)>.jpg", "=cmd|' /C calc'!A0.jpg", 'a"b\\c\n.jpg',
           "site 1/ü\udcff.JPG"]


def records() -> list[dict]:
    """Photos with blobs of three species, with faint parts, empty ones, failures."""
    found = []
    for number in range(6):
        foreground = np.full((24, 32), 0.02, np.float32)
        mask = random_mask(number)
        foreground[(mask > 0)[::2, ::2]] = 0.9 - number / 20
        found.append(predicted(f"site{number % 2}/{number}.JPG", mask, foreground,
                               location=f"site{number % 2}", datetime="2024-05-01 10:00:00",
                               width=128, height=96, smallest_blob=0.0))
    faint = np.full((40, 60), 0.3, np.float32)
    return [*found, predicted("faint.jpg", with_box(0, 0, 0, 0), faint),
            predicted("empty.png", with_box(0, 0, 0, 0)),
            failure_record("torn.jpg", "truncated"),
            *(predicted(name, with_box(3, 55, 9, 5)) for name in HOSTILE)]


def check_megadetector(content: dict) -> None:
    """The rules of the official validator, format 1.6, and those of Timelapse's reader."""
    info = content["info"]
    assert info["format_version"] == "1.6" and info["detector"].strip()
    for name in ("typical_detection_threshold", "conservative_detection_threshold"):
        assert type(info["detector_metadata"][name]) is float
        assert 0 <= info["detector_metadata"][name] <= 1
    categories = content["detection_categories"]
    species = content.get("classification_categories", {})
    for key, name in [*categories.items(), *species.items()]:
        assert key.isdigit() and key != "0" and name.strip()  # Timelapse: 0 is always Empty
    # A name in both lists makes Timelapse take the file for AddaxAI's.
    assert not {name.lower() for name in categories.values()} & {
        name.lower() for name in species.values()}
    files = [image["file"] for image in content["images"]]
    assert len(set(files)) == len(files)
    for image in content["images"]:
        assert not image["file"].startswith(("/", "./", "~"))
        if image.get("failure"):
            assert image["detections"] is None
            continue
        assert "failure" not in image
        for detection in image["detections"]:
            assert detection["category"] in categories
            assert type(detection["conf"]) is float and 0 <= detection["conf"] <= 1
            x, y, width, height = detection["bbox"]
            assert all(type(value) is float for value in detection["bbox"])
            assert min(x, y, width, height) >= 0 and x + width <= 1 and y + height <= 1
            sure = [share for _, share in detection.get("classifications", [])]
            assert all(key in species for key, _ in detection.get("classifications", []))
            assert all(type(share) is float and 0 <= share <= 1 for share in sure)
            assert sure == sorted(sure, reverse=True)


def test_megadetector_json_keeps_the_rules_and_tells_what_the_records_tell(tmp_path):
    expected = records()
    path = write_records(tmp_path / "p.jsonl", expected, INFO)
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
            assert detection["classifications"][0][0] == str(blob["class"])
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
    info = {**INFO, "thresholds": None, "classes": [
        {"name": name, "colour": [0, 0, 0]} for name in ["background", *names]]}
    path = write_records(tmp_path / "p.jsonl", [predicted("a.jpg", with_box(5, 5, 9, 9))], info)
    write_megadetector(path, tmp_path / "m.json")
    content = json.loads((tmp_path / "m.json").read_text(encoding="utf-8"))
    check_megadetector(content)
    assert content["detection_categories"] == categories
    assert "classification_categories" not in content
    assert content["images"][0]["detections"][0]["category"] == "1"
    assert content["info"]["detector_metadata"]["conservative_detection_threshold"] == 0.1


def test_coco_files_load_and_the_masks_are_those_of_the_records(tmp_path):
    expected = records()
    path = write_records(tmp_path / "p.jsonl", expected, INFO)
    write_coco(path, tmp_path / "coco.json", tmp_path / "results.json")
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
            assert item["area"] == pytest.approx(mask.sum(), abs=1) and item["iscrowd"] == 0
            assert item["bbox"] == pytest.approx(coco_mask.toBbox(item["segmentation"]), abs=0.02)
            assert not (union & (mask > 0)).any()
            union |= mask > 0
        stored = mask_of(record) > 0
        scale = record["height"] // stored.shape[0]
        assert np.array_equal(union, np.kron(stored, np.ones((scale, scale), bool)))


def test_coco_results_against_themselves_are_perfect(tmp_path):
    path = write_records(tmp_path / "p.jsonl", records(), INFO)
    write_coco(path, tmp_path / "coco.json", tmp_path / "results.json")
    truth = COCO(str(tmp_path / "coco.json"))
    scores = COCOeval(truth, truth.loadRes(str(tmp_path / "results.json")), "segm")
    scores.params.maxDets = [1, 10, 1000]
    scores.evaluate()
    scores.accumulate()
    precision = scores.eval["precision"][..., -1]  # of up to 1,000 detections a photo
    assert precision[precision > -1].min() > 0.999


def test_a_folder_stands_whole_in_every_file(trained, tmp_path):
    """test.py with every output: each photo in each file that should hold it, the counts agree."""
    folder = tmp_path / "card"
    random = np.random.default_rng(0)
    for name in HOSTILE[:2] + ["deep/er/a.jpg", "a.png", "b.JPG"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(60, 120, (48, 64, 3)).astype(np.uint8)
        pixels[10:30, 20:44] = (220, 130, 60)
        Image.fromarray(pixels).save(folder / name)
    (folder / "torn.jpg").write_bytes(b"no photo")
    wanted = "masks, overlays, csv, megadetector, coco, xmp, report"
    result = run_script("test.py", "--run", "shapes", "--images", folder, "--out", tmp_path / "out",
                        f"outputs={wanted}", runs=trained)
    assert result.returncode == 0, result.stderr
    assert "note        1 photos do not end in .jpg" in result.stdout
    out = tmp_path / "out"
    photos = list(read_records(out / "predictions.jsonl")[1])
    blobs = Counter({record["file"]: len(record["blobs"]) for record in photos})
    assert len(photos) == 6 and sum(blobs.values()) > 0
    readable = {record["file"] for record in photos if record["failure"] is None}
    assert len(readable) == 5
    content = json.loads((out / "megadetector.json").read_text(encoding="utf-8"))
    check_megadetector(content)
    assert {image["file"] for image in content["images"]} == {record["file"] for record in photos}
    assert sum("segmentation" in detection for image in content["images"]
               for detection in image["detections"] or []) == sum(blobs.values())
    coco = COCO(str(out / "coco.json"))
    names = {image["id"]: image["file_name"] for image in coco.loadImgs(coco.getImgIds())}
    assert set(names.values()) == readable
    results = json.loads((out / "coco_results.json").read_text())
    assert Counter(names[item["image_id"]] for item in results) == +blobs
    rows = rows_of(out / "predictions.csv")
    assert {row["file"].removeprefix("'") for row in rows} == {row["file"] for row in photos}
    assert +blobs == Counter(row["file"].removeprefix("'")
                             for row in rows_of(out / "detections.csv"))
    assert sum(int(row["photos"]) for row in rows_of(out / "sequences.csv")) == 6
    text = (out / "report.html").read_text(encoding="utf-8")
    page = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])
    assert page["counts"] == {"photos": 6, "failures": 1, "empty": 5 - len(+blobs),
                              "animals": len(+blobs)}
    assert Counter({photo["file"]: len(photo["boxes"]) for photo in page["photos"]}) == blobs
    for kind, ending in (("masks", ".png"), ("overlays", ".jpg"), ("xmp", ".xmp")):
        found = {path.relative_to(out / kind).as_posix().removesuffix(ending)
                 for path in (out / kind).rglob("*" + ending)}
        assert found == readable


# --------------------------------------------------------------------- XMP and the model card

DUBLIN, RDF = "{http://purl.org/dc/elements/1.1/}", "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"


def test_sidecars_hold_the_species_as_keywords(tmp_path):
    info = {**INFO, "classes": [{"name": name, "colour": [0, 0, 0]} for name in (
        "background", "fox & <hound>", "deer|roe/\x07")]}
    mask = with_box(5, 5, 9, 9) + with_box(25, 5, 9, 9, species=2)
    path = write_records(tmp_path / "p.jsonl", [
        predicted("a/b.jpg", mask), predicted("c.JPG", 0 * mask),
        failure_record("torn.jpg", "truncated")], info)
    write_xmp(path, tmp_path / "xmp")
    found = {}
    for sidecar in (tmp_path / "xmp").rglob("*.xmp"):
        description = ElementTree.parse(sidecar).getroot().find(f"{RDF}RDF/{RDF}Description")
        found[sidecar.relative_to(tmp_path / "xmp").as_posix()] = [
            [item.text for item in description.iter(f"{RDF}li")],
            [item.text for item in description.find(f"{DUBLIN}subject").iter(f"{RDF}li")]]
    assert found["c.JPG.xmp"] == [["empty", "camera trap|empty", "camera trap/empty"], ["empty"]]
    assert found["a/b.jpg.xmp"][1] == ["fox & <hound>", "deer roe  "]
    assert "camera trap|deer roe  " in found["a/b.jpg.xmp"][0]
    assert len(found) == 2


def test_the_model_card_has_data_and_scores_of_the_run(trained, tmp_path):
    shutil.copytree(trained / "shapes", tmp_path / "shapes", ignore=shutil.ignore_patterns("test"))
    write_model_card(tmp_path / "shapes", load_checkpoint(tmp_path / "shapes/last.pt"))
    before = (tmp_path / "shapes/model_card.md").read_text(encoding="utf-8")
    assert "| train | 18 | 3 | 9 |" in before and "Not tested yet" in before
    assert run_script("test.py", "--run", "shapes", "outputs=csv", runs=trained).returncode == 0
    after = (trained / "shapes/model_card.md").read_text(encoding="utf-8")
    report = json.loads((trained / "shapes/test/report.json").read_text())
    unseen = report["locations"]["unseen"]
    assert (f"| unseen locations | 6 | {unseen['mean_iou']:.3f} | "
            f"{unseen['foreground_iou']:.3f} |") in after
    assert "| seen locations | 0 | n/a | n/a |" in after and "Not tested yet" not in after
    fox = report["presence"]["fox"]
    assert f"{fox['true_positive']} of {fox['photos']} | {fox['false_positive']} |" in after
    assert "Worst test location: site" in after
    assert "Licence" in after and "Ronneberger" in after
