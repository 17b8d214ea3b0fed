"""Regression: maps are learned, scored as scikit-learn does, and written back."""

import csv
import json

import numpy as np
import pytest
import torch
from conftest import error_line, run_script
from distances import knobs, make_distances
from PIL import Image
from sklearn.metrics import mean_absolute_error, r2_score

from camera_trapinator.data.manifest import read_manifest, write_manifest
from camera_trapinator.data.masks import read_map
from camera_trapinator.utils import ROOT


@pytest.fixture(scope="module")
def distances(tmp_path_factory):
    return make_distances(tmp_path_factory.mktemp("distances"))


@pytest.fixture(scope="module")
def learned(tmp_path_factory, distances):
    """The folder of runs with the trained and tested run `near` in it, and what was printed."""
    runs = tmp_path_factory.mktemp("runs")
    result = run_script("train.py", "--config", ROOT / "configs/unet.yaml", "--run", "near",
                        *knobs(distances), "epochs=15", "width=8", runs=runs)
    assert result.returncode == 0, result.stderr
    tested = run_script("test.py", "--run", "near", runs=runs)
    assert tested.returncode == 0, tested.stderr
    return runs, result.stdout, tested.stdout


def test_it_learns_and_the_report_is_of_the_written_maps(learned, distances):
    runs, trained, tested = learned
    report = json.loads((runs / "near/test/report.json").read_text())
    assert report["r2"] > 0.8 and report["images"] == 6 and report["failures"] == 0
    assert "R2" in trained and "distance (m)" in trained and "unseen locations" in tested
    rows = {row.image: row for row in read_manifest(distances / "distance.csv")}
    truths, predictions = [], []
    for path in (runs / "near/test/maps").rglob("*.png"):
        image = path.relative_to(runs / "near/test/maps").as_posix().removesuffix(".png")
        truth, predicted = read_map(distances / rows[image].mask), read_map(path)
        truths.append(truth[~np.isnan(truth)] / 100)
        predictions.append(predicted[~np.isnan(truth)] / 100)
    truth, predicted = np.concatenate(truths), np.concatenate(predictions)
    assert report["r2"] == pytest.approx(r2_score(truth, predicted), abs=2e-3)
    assert report["mae"] == pytest.approx(mean_absolute_error(truth, predicted), abs=0.02)
    assert report["bias"] == pytest.approx((predicted - truth).mean(), abs=0.02)
    with open(runs / "near/test/per_location.csv", newline="", encoding="utf-8-sig") as file:
        places = list(csv.DictReader(file))
    assert {row["location"]: int(row["images"]) for row in places} == {
        name: scores["images"] for name, scores in report["per_location"].items()}


def test_best_is_the_lowest_error_and_the_run_tells_of_it(learned):
    run = learned[0] / "near"
    with open(run / "log.csv", newline="") as file:
        log = list(csv.DictReader(file))
    best = torch.load(run / "best.pt", weights_only=True)["history"][-1]["epoch"]
    assert best == int(min(log, key=lambda row: float(row["rmse"]))["epoch"])
    card = (run / "model_card.md").read_text(encoding="utf-8")
    assert "distance (m) at every pixel" in card and "RMSE" in card and "unseen locations" in card
    assert Image.open(run / "curves.png").width > 1000 and (run / "test/worst.jpg").exists()


def test_a_folder_is_predicted_and_gone_on_with(learned, distances, tmp_path):
    runs, folder, out = learned[0], tmp_path / "card", tmp_path / "out"
    folder.mkdir()
    for number in range(3):
        content = (distances / f"photos/site0/IMG_{number}.jpg").read_bytes()
        (folder / f"IMG_{number}.JPG").write_bytes(content)
    (folder / "IMG_9.JPG").write_bytes(content[:400])

    def predict(*extra):
        return run_script("test.py", "--run", "near", "--images", folder, "--out", out, *extra,
                          runs=runs)

    result = predict()
    assert result.returncode == 0, result.stderr
    assert "4 photos: distance (m) from" in result.stdout and "1 could not be read" in result.stdout
    with open(out / "predictions.csv", newline="", encoding="utf-8-sig") as file:
        table = list(csv.DictReader(file))
    assert [row["file"] for row in table] == [f"IMG_{n}.JPG" for n in (0, 1, 2, 9)]
    assert table[3]["failure"] and not table[3]["mean"]
    for row in table[:3]:
        values = read_map(out / "maps" / f"{row['file']}.png") / 100
        assert values.shape == (48, 64)
        for name, of in (("mean", np.mean), ("min", np.min), ("max", np.max),
                         ("median", np.median)):
            assert float(row[name]) == pytest.approx(of(values), abs=0.02)
        with Image.open(out / "overlays" / f"{row['file']}.jpg") as overlay:
            assert overlay.height > 48 + 40  # the colour bar
    before = (out / "predictions.jsonl").read_bytes()
    (folder / "IMG_3.JPG").write_bytes((folder / "IMG_0.JPG").read_bytes())
    assert predict().returncode == 0
    after = (out / "predictions.jsonl").read_bytes()
    assert set(before.splitlines()) < set(after.splitlines())
    assert after.count(b"\n") == before.count(b"\n") + 1
    assert "target_scale" in error_line(predict("target_scale=1"))


def test_float_maps_learn_and_are_written_as_float(distances, tmp_path):
    root = tmp_path / "data"
    rows = []
    for row in read_manifest(distances / "distance.csv"):
        values = read_map(distances / row.mask) / 100 - 5  # below 0 too
        file = row.mask.replace(".png", ".tif")
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / row.image).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(root / file)
        (root / row.image).write_bytes((distances / row.image).read_bytes())
        rows.append(row._replace(mask=file))
    write_manifest(root / "distance.csv", rows)
    options = [*knobs(root), "target_scale=1", "loss=huber", "epochs=1", "mask_size=network"]
    result = run_script("train.py", "--config", ROOT / "configs/unet.yaml", "--run", "float",
                        *options, runs=tmp_path / "runs")
    assert result.returncode == 0, result.stderr
    out = tmp_path / "out"
    result = run_script("test.py", "--run", "float", "--images", root / "photos/site0", "--out",
                        out, runs=tmp_path / "runs")
    assert result.returncode == 0, result.stderr
    with open(out / "predictions.csv", newline="", encoding="utf-8-sig") as file:
        row = next(csv.DictReader(file))
    values = read_map(out / "maps" / f"{row['file']}.tif")
    assert values.min() == pytest.approx(float(row["min"]), abs=1e-4)


def test_mistakes_are_one_line_before_training(distances, tmp_path):
    root = make_distances(tmp_path / "data", locations=4, photos=2)
    train = ["train.py", "--config", ROOT / "configs/unet.yaml", "--run", "x"]
    assert "least_squares" in error_line(run_script(
        *train, *knobs(root), "loss=dice", runs=tmp_path))
    assert "other.csv" in error_line(run_script(
        *train, *knobs(root), "manifest=other.csv", runs=tmp_path))
    for path in (root / "maps").rglob("*.png"):
        Image.fromarray(np.full((48, 64), 700, np.uint16)).save(path)
    assert "one number only" in error_line(run_script(*train, *knobs(root), runs=tmp_path))
    checked = run_script("check_data.py", "--config", ROOT / "configs/unet.yaml", *knobs(root),
                         runs=tmp_path)
    assert checked.returncode == 2 and "one number only" in checked.stdout


def test_check_data_tells_what_the_maps_hold(distances, tmp_path):
    result = run_script("check_data.py", "--config", ROOT / "configs/unet.yaml", "--out",
                        tmp_path / "check", *knobs(distances), runs=tmp_path)
    report = json.loads((tmp_path / "check/data_report.json").read_text())
    assert report["errors"] == [] or result.returncode == 2
    values = np.concatenate([read_map(distances / row.mask).ravel() / 100
                             for row in read_manifest(distances / "distance.csv")])
    assert report["values"]["mean"] == pytest.approx(np.nanmean(values), rel=1e-4)
    assert "distance (m)" in result.stdout and (tmp_path / "check/data_sheet.png").exists()
