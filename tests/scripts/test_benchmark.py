"""scripts/benchmark.py: the rows and tables that it writes, and that the scores are true."""

import argparse
import json
from importlib.util import find_spec

import numpy as np
import pytest
from conftest import error_line, make_data, run_script
from PIL import Image

from camera_trapinator.data.manifest import read_manifest, write_manifest
from camera_trapinator.utils import ROOT

KEYS = {"part", "name", "value", "unit", "reference", "ratio", "limit", "share_of_limit"}
COLUMNS = ["input size", "parameters", "photos seen", "epochs", "training", "foreground IoU",
           "mean species IoU"]
SMALL = ["--ours", "width=8", "depth=2", "working_scale=64", "crop_size=48,64", "batch_size=4",
         "learning_rate=0.1", "val_fraction=0.2"]


@pytest.fixture(scope="module")
def split_data(tmp_path_factory):
    """The small data root with a split column: the last of 5 locations is the test."""
    root = make_data(tmp_path_factory.mktemp("benchmark") / "data")
    rows = [row._replace(split="test" if row.location == "site4" else "train")
            for row in read_manifest(root / "manifest.csv")]
    write_manifest(root / "manifest.csv", rows)
    return root


@pytest.fixture(scope="module")
def measured(split_data, tmp_path_factory):
    """The folder of results of one model, trained for 6 epochs."""
    out = tmp_path_factory.mktemp("benchmark") / "out"
    result = run_script("benchmark.py", "accuracy", "--data", split_data, "--out", out,
                        "--models", "ours-unet", "--seeds", 0, "--epochs", 6, *SMALL)
    assert result.returncode == 0, result.stdout + result.stderr
    return out


def read(out):
    rows = json.loads((out / "benchmark.json").read_text(encoding="utf-8"))
    assert all(set(row) == KEYS and row["part"] == "accuracy" for row in rows)
    names = [row["name"] for row in rows]
    assert len(names) == len(set(names))
    return {row["name"]: row["value"] for row in rows}


def scores_of(data, masks):
    """Foreground IoU and mean species IoU, counted from the files by sets of pixels."""
    hits, unions = np.zeros(3, int), np.zeros(3, int)  # of anything, class 1, class 2
    for row in read_manifest(data / "manifest.csv"):
        if row.split != "test":
            continue
        with Image.open(masks / f"{row.image}.png") as file:
            predicted = np.array(file)
        truth = np.zeros_like(predicted)
        if row.mask != "background":
            with Image.open(data / row.mask) as file:
                truth = np.array(file)
        for place, (true, found) in enumerate([(truth > 0, predicted > 0),
                                               (truth == 1, predicted == 1),
                                               (truth == 2, predicted == 2)]):
            hits[place] += (true & found).sum()
            unions[place] += (true | found).sum()
    foreground, *species = hits / unions
    return foreground, np.mean(species)


def test_a_row_tells_how_a_model_was_trained_and_how_well_it_draws(split_data, measured):
    values = read(measured)
    assert list(values) == [f"ours-unet, seed 0: {column}" for column in COLUMNS]
    size, parameters, photos, epochs, seconds, foreground, species = values.values()
    assert (size, epochs) == (64, 6)
    # 24 training photos, a fifth of them for validation, in steps of 4.
    assert photos == 6 * 4 * (19 // 4)
    assert 1000 < parameters < 30000 and 1 < seconds < 300
    masks = measured / "runs/ours-unet-seed0/test/masks"
    assert scores_of(split_data, masks) == pytest.approx((foreground, species), abs=1e-12)
    assert foreground > 0.3  # all black would be 0, and tell nothing
    lines = (measured / "benchmark.md").read_text(encoding="utf-8").splitlines()
    assert any("torch" in line and "cores" in line for line in lines)
    (line,) = [line for line in lines if line.startswith("| ours-unet |")]
    assert f"| {foreground:.3f} | {species:.3f} |" in line and "| none |" in line


@pytest.mark.long
def test_a_further_command_replaces_its_rows_and_keeps_the_others(split_data, tmp_path):
    """It is given minutes, too few for two epochs: one is trained."""
    places = ["ours-unet, seed 0", "ours-lite0, seed 7", "ours-lite0, seed 8"]
    stale = [dict.fromkeys(KEYS) | {"part": "accuracy", "name": f"{place}: {column}",
                                    "value": 0.75 + 0.02 * number}
             for number, place in enumerate(places) for column in COLUMNS]
    (tmp_path / "benchmark.json").write_text(json.dumps(stale), encoding="utf-8")
    result = run_script("benchmark.py", "accuracy", "--data", split_data, "--out", tmp_path,
                        "--models", "ours-unet", "--seeds", 0, "--minutes", 0.01, *SMALL)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "ours-unet: " in result.stdout and ": 1 epochs fit into 1 s" in result.stdout
    values = read(tmp_path)
    assert len(values) == len(stale)
    assert values["ours-unet, seed 0: epochs"] == 1
    assert values["ours-unet, seed 0: training"] > 1
    assert values["ours-lite0, seed 8: training"] == 0.79
    table = (tmp_path / "benchmark.md").read_text(encoding="utf-8")
    assert "| ours-lite0 | ImageNet | 2 |" in table
    assert "| 0.780 ± 0.014 |" in table  # the mean of 0.77 and 0.79, and 0.01 times root 2


def test_a_peer_that_is_not_installed_is_left_out_and_replaces_nothing(split_data, tmp_path):
    if find_spec("monai"):
        pytest.skip("monai is installed")
    result = run_script("benchmark.py", "accuracy", "--data", split_data, "--out", tmp_path,
                        "--models", "monai-unet", "--seeds", 0)
    assert result.returncode == 0, result.stderr
    assert "monai-unet is left out" in result.stdout
    assert "pip install -e '.[benchmark]'" in result.stdout
    assert set(read(tmp_path).values()) == {None}
    assert "| monai-unet | none | 0 | n/a |" in (tmp_path / "benchmark.md").read_text("utf-8")
    rows = json.loads((tmp_path / "benchmark.json").read_text(encoding="utf-8"))
    known = [row | {"value": 0.5} for row in rows]
    (tmp_path / "benchmark.json").write_text(json.dumps(known), encoding="utf-8")
    run_script("benchmark.py", "accuracy", "--data", split_data, "--out", tmp_path, "--models",
               "monai-unet", "--seeds", 0)
    assert set(read(tmp_path).values()) == {0.5}


@pytest.mark.long
def test_a_model_that_fails_does_not_stop_the_others(split_data, tmp_path):
    result = run_script("benchmark.py", "accuracy", "--data", split_data, "--out", tmp_path,
                        "--models", "ours-lite0-scratch", "ours-unet", "--seeds", 0, "--epochs", 1,
                        *SMALL, "encoder=none", "weights=/no/such/file")
    assert result.returncode == 2 and "not measured" in result.stderr
    assert "ours-lite0-scratch failed" in result.stdout and "ours-unet failed" in result.stdout


def test_faults_are_one_line(data_root, split_data, tmp_path):
    line = error_line(run_script("benchmark.py", "accuracy", "--data", data_root))
    assert "column split" in line
    (tmp_path / "benchmark.json").write_text("[1]", encoding="utf-8")
    line = error_line(run_script("benchmark.py", "accuracy", "--data", split_data, "--out",
                                 tmp_path))
    assert "benchmark.json: holds no results" in line


@pytest.mark.parametrize(("name", "module"), [
    ("smp-resnet34-scratch", "segmentation_models_pytorch"),
    ("smp-lite0", "segmentation_models_pytorch"), ("monai-unet", "monai")])
def test_a_peer_trains_and_draws_a_mask_of_each_test_photo(split_data, tmp_path, name, module):
    pytest.importorskip(module)
    result = run_script("benchmark.py", "accuracy", "--data", split_data, "--out", tmp_path,
                        "--models", name, "--seeds", 0, "--epochs", 1)
    assert result.returncode == 0, result.stdout + result.stderr
    values = read(tmp_path)
    photos = 4 * 24 if name == "monai-unet" else 16 if "resnet" in name else 24
    if "resnet" in name:
        photos *= 2  # one step an epoch, and at least two steps
    assert values[f"{name}, seed 0: photos seen"] == photos
    masks = tmp_path / "runs" / f"{name}-seed0" / "masks"
    assert scores_of(split_data, masks) == pytest.approx(
        [values[f"{name}, seed 0: {column}"] for column in COLUMNS[-2:]], abs=1e-12)


# ---------------------------------------------------------------------------------- speed


@pytest.mark.long
def test_ours_the_plain_way_and_the_limit_are_measured_on_the_same_photos(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")  # as if benchmark.py were running
    import benchmark
    import benchmark_networks
    import benchmark_photos

    for module in (benchmark_photos, benchmark_networks):
        monkeypatch.setattr(module, "SIZES", {"12 megapixels": (320, 240),
                                              "20 megapixels": (480, 360)})
        monkeypatch.setattr(module, "SIDE", 64)
    monkeypatch.setattr(benchmark_photos, "PHOTOS", 3)
    monkeypatch.setattr(benchmark_networks, "CROP", (32, 32))
    monkeypatch.setattr(benchmark_networks, "WIDTH", 8)
    monkeypatch.setattr(benchmark_networks, "PRODUCT", {"cpu": 512})
    monkeypatch.setattr(benchmark_networks, "NETWORKS", {"small": {"width": 8, "depth": 2}})
    monkeypatch.setattr(benchmark_networks, "peers", dict)  # not everybody has them
    monkeypatch.setattr(benchmark_photos, "ROWS", 200_000)  # fewer would drown in the noise
    parts = {"decode": 2, "loader": 4, "step": 4, "predict": 1, "index": 0}
    for part, ratios in parts.items():
        arguments = argparse.Namespace(part=part, photos=tmp_path / "photos")
        results = benchmark.Results(tmp_path / "out", benchmark.TABLES)
        benchmark.speed(arguments, results)
        rows = [row for row in results.of(part) if row["unit"] == "photos/s"]
        assert len(rows) == ratios
        for row in rows:
            assert row["value"] > 0
            assert row["ratio"] == row["value"] / row["reference"]
            assert row["limit"] is None or row["share_of_limit"] > 0
    saved = json.loads((tmp_path / "out/benchmark.json").read_text(encoding="utf-8"))
    assert {row["part"] for row in saved} == parts.keys()
    memory = [row for row in saved if row["unit"] == "bytes/row"]
    assert len(memory) == 3 and all(20 < row["value"] < 0.7 * row["reference"] for row in memory)
    costs = {row["name"].partition(" at ")[0]: row["value"] for row in saved
             if row["unit"] == "ms"}
    assert {"crop", "noise", "blur", "infrared"} < costs.keys() and costs["infrared"] > 0
    assert (tmp_path / "out/benchmark.md").read_text(encoding="utf-8").count("| U-Net of") == 2
