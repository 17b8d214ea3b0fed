"""How sure a prediction is: one word, one meaning, from the validation to every table and page."""

import json
import re
import shutil

import numpy as np
import pytest
import torch
from conftest import run_script
from PIL import Image
from prediction_records import rows_of

from camera_trapinator.data.photos import read_photo
from camera_trapinator.model import load_model
from camera_trapinator.training.checkpoint import load_checkpoint, save_checkpoint

OUTPUTS = "outputs=csv,megadetector,coco,report,overlays,xmp"


def page_of(path) -> dict:
    """What the report's page is made from."""
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])


@pytest.fixture(scope="module")
def photos(data_root, tmp_path_factory):
    """Two photos of a location that was trained on, and one of a new one."""
    folder = tmp_path_factory.mktemp("confidence")
    found = [path for path in sorted((data_root / "photos").rglob("*")) if path.is_file()]
    for number, path in enumerate(found[:3]):
        place = folder / ("elsewhere" if number else path.parent.name)
        place.mkdir(exist_ok=True)
        shutil.copy(path, place)
    return folder


def test_the_species_are_as_sure_as_the_temperature_of_the_checkpoint_makes_them(
        trained, photos, tmp_path):
    """A temperature changes the class_confidence alone: no mask, and not whether something is
    there."""
    checkpoint = load_checkpoint(trained / "shapes/best.pt")
    assert 1 / 8 <= checkpoint["temperature"] <= 8
    path = next(path for path in photos.rglob("*") if path.is_file())
    found = {}
    for temperature in (1.0, 8.0):
        save_checkpoint(tmp_path / "run/best.pt", {**checkpoint, "temperature": temperature})
        net = load_model(load_checkpoint(tmp_path / "run/best.pt")).eval()
        found[temperature] = net.predict(read_photo(path, 0).image)
    plain, soft = found[1.0], found[8.0]
    assert (plain.mask() == soft.mask()).all()
    assert (plain.foreground() == soft.foreground()).all()
    expected = (plain.logits[1:] / 8).softmax(dim=0).amax(dim=0).numpy()
    np.testing.assert_allclose(soft.species()[1], expected, atol=1e-6)
    assert (soft.species()[1] < plain.species()[1]).any()


def test_what_is_unsure_of_its_kind_is_unknown_in_every_file(trained, photos, tmp_path):
    """Each time with a threshold that none, or all, of the animals reach."""
    found = {}
    for name, knob in (("named", "unknown_below=0"), ("unknown", "unknown_below=1")):
        checkpoint = {**load_checkpoint(trained / "shapes/best.pt"), "temperature": 8.0}
        save_checkpoint(tmp_path / "run/best.pt", checkpoint)  # so that no species is quite sure
        out = found[name] = tmp_path / name
        result = run_script("test.py", "--weights", tmp_path / "run/best.pt", "--images", photos,
                            "--out", out, OUTPUTS, knob)
        assert result.returncode == 0, result.stderr
    named, unknown = found["named"], found["unknown"]
    rows = rows_of(named / "detections.csv")
    assert rows and {row["species"] for row in rows} <= {"fox", "snow hare"}
    again = rows_of(unknown / "detections.csv")
    assert {row["species"] for row in again} == {"unknown"}
    for row, other in zip(rows, again, strict=True):  # all but the name is as it was
        assert {**row, "species": ""} == {**other, "species": ""}
        assert 0.5 <= float(row["class_confidence"]) < 1
    assert {row["species"] for row in rows_of(unknown / "events.csv")} == {"unknown"}
    assert all(row["photos_fox"] == "0" for row in rows_of(unknown / "sequences.csv"))
    for out, kinds in ((named, 1), (unknown, 0)):
        content = json.loads((out / "megadetector.json").read_text())
        for image in content["images"]:
            for detection in image["detections"]:
                assert len(detection.get("classifications", [])) == kinds
    assert "unknown" in next((unknown / "xmp").rglob("*.xmp")).read_text(encoding="utf-8")
    page = page_of(unknown / "report.html")
    assert {kind["name"] for kind in page["kinds"]} == {"background", "fox", "snow hare", "unknown"}
    species = {tuple(photo["species"]) for photo in page["photos"] if photo["blobs"]}
    assert species == {(3,)}


def test_one_number_means_the_same_in_every_file(trained, photos, tmp_path):
    result = run_script("test.py", "--run", "shapes", "--images", photos, "--out", tmp_path,
                        OUTPUTS, runs=trained)
    assert result.returncode == 0, result.stderr
    records = [json.loads(line) for line in
               (tmp_path / "predictions.jsonl").read_text(encoding="utf-8").splitlines()[1:]]
    pairs = [(blob["confidence"], blob["class_confidence"])
             for record in records for blob in record["blobs"]]
    assert pairs
    rows = rows_of(tmp_path / "detections.csv")
    assert [(float(row["confidence"]), float(row["class_confidence"])) for row in rows] == pairs
    for row, record in zip(rows_of(tmp_path / "predictions.csv"), records, strict=True):
        assert float(row["confidence"]) == record["confidence"]
        if record["blobs"]:
            assert max(blob["confidence"] for blob in record["blobs"]) == record["confidence"]
            assert float(row["class_confidence"]) == record["blobs"][0]["class_confidence"]
        else:
            assert row["class_confidence"] == ""
    images = json.loads((tmp_path / "megadetector.json").read_text())["images"]
    detections = [item for image, record in zip(images, records, strict=True)
                  for item in image["detections"][:len(record["blobs"])]]
    assert [(item["conf"], item["classifications"][0][1]) for item in detections] == pairs
    results = json.loads((tmp_path / "coco_results.json").read_text())
    assert [(item["confidence"], item["class_confidence"]) for item in results] == pairs
    assert [item["score"] for item in results] == pytest.approx(
        [one * other for one, other in pairs], abs=1e-5)


def test_the_page_of_a_folder_says_what_is_known_of_the_model(trained, photos, data_root,
                                                              tmp_path):
    """Its scores, on what; and that it has not seen a place."""
    shutil.copytree(trained / "shapes", tmp_path / "shapes",
                    ignore=shutil.ignore_patterns("test", "predict"))

    def known() -> str:
        result = run_script("test.py", "--run", "shapes", "--images", photos, "--overwrite",
                            "outputs=report", runs=tmp_path)
        assert result.returncode == 0, result.stderr
        return " ".join(page_of(tmp_path / "shapes/predict" / photos.name / "report.html")["known"])

    before = known()
    assert "Not tested yet. In validation" in before
    learned = load_checkpoint(tmp_path / "shapes/best.pt")["learned_from"]["locations"]
    new = len({path.name for path in photos.iterdir()} - set(learned))
    assert f"Of the 2 locations here, by their names, {new} are not among those" in before
    assert "It knows fox, snow hare: any other species becomes one of them, unknown" in before
    assert run_script("test.py", "--run", "shapes", "outputs=csv", runs=tmp_path).returncode == 0
    report = json.loads((tmp_path / "shapes/test/report.json").read_text())
    row = report["locations"]["unseen"]
    assert (f"mean IoU {row['mean_iou']:.3f}, foreground IoU {row['foreground_iou']:.3f} on "
            f"{row['images']} photos of unseen locations") in known()

    # What was tested is known by its content: other weights have not been.
    checkpoint = load_checkpoint(tmp_path / "shapes/best.pt")
    checkpoint["model"]["last.bias"] += 0.01
    save_checkpoint(tmp_path / "shapes/best.pt", checkpoint)
    assert "Not tested yet" in known()


def test_seen_locations_only_is_said_of_a_folder_too(trained, photos, tmp_path):
    checkpoint = load_checkpoint(trained / "shapes/best.pt")
    text = re.sub("split_by: .*", "split_by: photo", checkpoint["config"])
    save_checkpoint(tmp_path / "run/best.pt", {**checkpoint, "config": text})
    result = run_script("test.py", "--weights", tmp_path / "run/best.pt", "--images", photos,
                        "--out", tmp_path / "out", "outputs=report")
    assert result.returncode == 0, result.stderr
    assert "seen locations only" in " ".join(page_of(tmp_path / "out/report.html")["known"])


def test_night_pictures_that_no_test_had_are_named(trained, tmp_path):
    shutil.copytree(trained / "shapes", tmp_path / "shapes",
                    ignore=shutil.ignore_patterns("predict"))
    assert run_script("test.py", "--run", "shapes", "outputs=csv", runs=tmp_path).returncode == 0
    report = json.loads((tmp_path / "shapes/test/report.json").read_text())
    (tmp_path / "card").mkdir()
    grey = torch.randint(0, 255, (60, 80), dtype=torch.uint8).numpy()
    Image.fromarray(grey).convert("RGB").save(tmp_path / "card/night.jpg")
    result = run_script("test.py", "--run", "shapes", "--images", tmp_path / "card",
                        "outputs=report", runs=tmp_path)
    assert result.returncode == 0, result.stderr
    known = " ".join(page_of(tmp_path / "shapes/predict/card/report.html")["known"])
    assert not report["light"]["night"]["images"]
    assert "1 photos here are night pictures, and its test had none" in known
