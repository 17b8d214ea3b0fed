"""A run finds the info strips once; training, test and prediction then keep to them."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import QUICK, error_line, make_data, run_script
from PIL import Image
from striped_photos import with_strip

from camera_trapinator.data.manifest import read_manifest
from camera_trapinator.data.masks import read_mask
from camera_trapinator.data.rle import decode_rle
from camera_trapinator.utils import ROOT


def data_with_strips(root: Path) -> Path:
    """The small data root, each photo larger and with a strip: at the bottom, but at site1 on
    top, and none at site2."""
    make_data(root)
    for number, row in enumerate(read_manifest(root / "manifest.csv")):
        path = root / row.image
        image = np.asarray(Image.open(path).resize((480, 360), Image.Resampling.NEAREST))
        if row.location != "site2":
            side = "top" if row.location == "site1" else "bottom"
            Image.fromarray(image)
            with_strip(image, 20, side, 255, 0, number).save(path, quality=90)
        else:
            Image.fromarray(image).save(path, quality=90)
    return root


def strips_table(path: Path) -> dict[str, tuple[float, float]]:
    with open(path, newline="", encoding="utf-8") as file:
        return {line["location"]: (float(line["top"]), float(line["bottom"]))
                for line in csv.DictReader(file)}


@pytest.fixture(scope="module")
def striped(tmp_path_factory):
    """A data root with strips, and the runs folder with a run `strips` trained on it."""
    root = data_with_strips(tmp_path_factory.mktemp("striped"))
    runs = tmp_path_factory.mktemp("runs")
    result = run_script("train.py", "--config", ROOT / "configs/unet.yaml", "--run", "strips",
                        f"data_root={root}", *QUICK, "epochs=1", "strips=auto", "infrared=0.3",
                        runs=runs)
    assert result.returncode == 0, result.stderr
    assert "strips      found at 4 of 5 locations" in result.stdout
    return root, runs, result.stdout


def test_training_writes_the_strips_and_resuming_reads_them(striped):
    root, runs, _ = striped
    table = strips_table(runs / "strips" / "strips.csv")
    assert set(table) == {f"site{n}" for n in range(5)}
    for place, strip in table.items():
        expected = {"site1": (20 / 360, 0), "site2": (0, 0)}.get(place, (0, 20 / 360))
        assert strip == pytest.approx(expected, abs=0.01)

    path = runs / "strips" / "strips.csv"
    kept = path.read_text()
    corrected = kept.replace("site2,480,360,0.0,0.0", "site2,480,360,0.1,0.0")
    assert corrected != kept
    path.write_text(corrected)
    try:
        result = run_script("train.py", "--config", ROOT / "configs/unet.yaml", "--run", "strips",
                            "--resume", f"data_root={root}", *QUICK, "epochs=1", "strips=auto",
                            "infrared=0.3", runs=runs)
        assert result.returncode == 0, result.stderr
        assert "strips      found at 5 of 5 locations" in result.stdout
        assert path.read_text() == corrected
    finally:
        path.write_text(kept)


def records_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()[1:]]


def see_animals_everywhere(weights: Path, to: Path) -> Path:
    content = torch.load(weights, weights_only=True)
    content["model"]["last.bias"] = torch.tensor([-50.0, 50.0, -50.0])
    to.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, to)
    return to


def test_no_output_has_an_animal_in_the_strip(striped, tmp_path):
    root, runs, _ = striped
    weights = see_animals_everywhere(runs / "strips" / "best.pt", tmp_path / "run" / "best.pt")
    command = ["test.py", "--weights", weights, "--images", root / "photos", "--out",
               tmp_path / "out", "outputs=masks"]
    result = run_script(*command, runs=runs)
    assert result.returncode == 0, result.stderr
    assert "strips      found at 4 of 5 locations" in result.stdout
    assert set(strips_table(tmp_path / "out" / "strips.csv")) == {f"site{n}" for n in range(5)}
    records = records_of(tmp_path / "out" / "predictions.jsonl")
    assert len(records) == 30
    for record in records:
        mask = read_mask(next((tmp_path / "out" / "masks").rglob(
            f"{record['location']}/**/{Path(record['file']).name}*")))
        hidden = {"site1": slice(0, 20), "site2": slice(0, 0)}.get(record["location"],
                                                                   slice(340, 360))
        assert mask.shape == (360, 480) and (mask[hidden] == 0).all()
        assert (mask[40:320] == 1).all()
        assert record["pixels"][0] == (mask == 0).sum()
        decoded = decode_rle({"size": record["rle"]["size"],
                                     "counts": record["rle"]["counts"]["1"]})
        assert np.array_equal(decoded, mask == 1)
        _, top, _, tall = record["blobs"][0]["box"]
        if record["location"] == "site1":
            assert top >= 20 / 360 - 1e-4
        elif record["location"] != "site2":
            assert top + tall <= 340 / 360 + 1e-4

    # Given again, the strips stand and nothing is done anew; with others it is refused.
    again = run_script(*command, runs=runs)
    assert again.returncode == 0, again.stderr
    assert "strips = auto" in error_line(run_script(*command, "strips=0, 20", runs=runs))


def test_the_test_takes_the_strips_of_the_run(striped, tmp_path):
    root, runs, _ = striped
    weights = see_animals_everywhere(runs / "strips" / "best.pt", tmp_path / "run" / "best.pt")
    shutil.copy(runs / "strips" / "splits.csv", weights.parent)
    with open(weights.parent / "splits.csv", newline="") as file:
        place = next(line for line in csv.DictReader(file) if line["split"] == "test")["image"]
    place = place.split("/")[1]
    (weights.parent / "strips.csv").write_text("location,width,height,top,bottom\n"
                                               f"{place},480,360,0.5,0\n")
    result = run_script("test.py", "--weights", weights, f"data_root={root}", "outputs=masks",
                        runs=runs)
    assert result.returncode == 0, result.stderr
    table = strips_table(weights.parent / "test" / "strips.csv")
    assert table[place] == (0.5, 0)
    for record in records_of(weights.parent / "test" / "predictions.jsonl"):
        if record["location"] == place:
            assert record["pixels"][0] == pytest.approx(360 * 480 / 2, rel=0.05)
            assert sum(map(sum, record["confusion"])) == 360 * 480  # what it hides is counted


def test_check_data_tells_the_strips(striped, tmp_path):
    root, runs, _ = striped
    result = run_script("check_data.py", "--config", ROOT / "configs/unet.yaml", "--out",
                        tmp_path / "check", f"data_root={root}", "strips=auto", runs=runs)
    assert "strips      found at 4 of 5 locations" in result.stdout, result.stderr
    assert (tmp_path / "check" / "strips.csv").exists()
