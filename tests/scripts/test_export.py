"""scripts/export.py gives a file its name when it has been compared, and agrees."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import error_line, run_script

from camera_trapinator.data.files import sha256
from camera_trapinator.export.compared import RunPhotos
from camera_trapinator.export.runtime import ExportedModel
from camera_trapinator.export.targets import (
    File,
    calibration_photos,
    commonest_canvas,
    write_files,
)
from camera_trapinator.model import load_model
from camera_trapinator.training.checkpoint import load_checkpoint
from camera_trapinator.utils import ROOT

for package in ("onnx", "onnxruntime"):
    pytest.importorskip(package, reason=f"needs {package}: pip install -e '.[export]'")


@pytest.fixture(scope="module")
def runs(trained, tmp_path_factory) -> Path:
    """A folder of runs with one, `shapes`, whose files may be written."""
    runs = tmp_path_factory.mktemp("exporting")
    shutil.copytree(trained / "shapes", runs / "shapes",
                    ignore=shutil.ignore_patterns("export", "test", "predict"))
    return runs


def rows_of(runs: Path) -> dict[str, dict]:
    table = json.loads((runs / "shapes/export/export.json").read_text(encoding="utf-8"))
    return {row["name"]: row for row in table["rows"]}


def test_the_table_is_that_of_masks_predicted_one_by_one(runs, data_root):
    """The file sees photos at half their size, so that its masks differ."""
    result = run_script("export.py", "--run", "shapes", "--to", "onnx", "--kinds", "fp32",
                        "--canvas", "32x24", "--least-agreement", "0.5", runs=runs)
    assert result.returncode == 0, result.stderr
    path = runs / "shapes/export/shapes_fp32.onnx"
    rows = rows_of(runs)
    row, before = rows[path.name], rows["PyTorch fp32"]
    assert row["sha256"] == sha256(path) and row["bytes"] == path.stat().st_size
    net = load_model(load_checkpoint(runs / "shapes/best.pt"))
    model, same = ExportedModel(path), []
    for photo in photos_tested(runs):
        same.append((net.predict(data_root / photo).mask()
                     == model.predict(data_root / photo).mask()).ravel())
    assert row["agreement"] == np.concatenate(same).mean() < 0.9999 and len(same) == row["photos"]
    assert before["agreement"] == 1 and before["counts_changed"]["photos"] == 0
    for name, arguments in (("PyTorch fp32", ["--run", "shapes"]), (path.name, ["--model", path])):
        out = runs / "tested"
        tested_too = run_script("test.py", *arguments, "--out", out, "outputs=csv",
                                "precision=fp32", runs=runs)
        assert tested_too.returncode == 0, tested_too.stderr
        report = json.loads((out / "report.json").read_text(encoding="utf-8"))
        for score in ("foreground_iou", "mean_iou"):
            assert rows[name][score] == report[score]
        shutil.rmtree(out)
    card = (runs / "shapes/model_card.md").read_text(encoding="utf-8")
    assert f"| {path.name} | " in card and "6 test photos of the run" in card


def photos_tested(runs: Path) -> list[str]:
    lines = (runs / "shapes/splits.csv").read_text(encoding="utf-8").splitlines()
    place = lines[0].split(",").index("split")
    return [line.split(",")[0] for line in lines[1:] if line.split(",")[place] == "test"]


@pytest.fixture(scope="module")
def damaging(tmp_path_factory) -> Path:
    """A copy of the repository whose exporter loses the weights of the last layer."""
    copy = tmp_path_factory.mktemp("damaging")
    for folder in ("camera_trapinator", "scripts"):
        shutil.copytree(ROOT / folder, copy / folder,
                        ignore=shutil.ignore_patterns("__pycache__"))
    with open(copy / "camera_trapinator/export/onnx_files.py", "a", encoding="utf-8") as file:
        file.write("""

right = onnx_model


def onnx_model(net, *rest):
    wrong = __import__("copy").deepcopy(net)
    with torch.no_grad():
        wrong.last.weight.zero_()
        wrong.last.bias.copy_(torch.arange(len(wrong.last.bias)))
    return right(wrong, *rest)
""")
    return copy


def test_a_spoiled_file_is_loud_and_is_not_left(runs, damaging):
    run = runs / "shapes"
    result = run_script("export.py", "--run", "shapes", "--to", "onnx", "--kinds", "fp16",
                        repository=damaging, runs=runs)
    line = error_line(result)
    row = rows_of(runs)["shapes_fp16.onnx"]
    assert not row["passed"] and row["agreement"] < 0.5
    for told in ("shapes_fp16.onnx", f"{row['agreement']:.3%}", "--least-agreement", "--kinds"):
        assert told in line
    assert not any("fp16" in path.name for path in run.rglob("*") if path.is_file())
    assert not (run / "export/unproven").exists()
    assert "FAILED" in result.stdout
    assert "FAILED" in (run / "model_card.md").read_text(encoding="utf-8")


def test_all_faults_are_told_before_the_work(runs, tmp_path):
    line = error_line(run_script(
        "export.py", "--run", "shapes", "--to", "executorch", "--kinds", "fp16", "--canvas",
        "33x20", "--least-agreement", "2", "--photos", tmp_path / "nowhere", runs=runs))
    for told in ("fp16", "33x20", "multiples of 4", "32x20", "--least-agreement 2", "nowhere"):
        assert told in line


def test_a_run_without_its_photos_is_compared_on_others(runs, data_root, tmp_path):
    shutil.copytree(runs / "shapes", tmp_path / "shapes")
    (tmp_path / "shapes/splits.csv").unlink()
    line = error_line(run_script("export.py", "--run", "shapes", "--to", "onnx", runs=tmp_path))
    assert "splits.csv" in line and "--photos FOLDER" in line and "--kinds fp32 fp16" in line
    weights = tmp_path / "shapes/best.pt"
    source = RunPhotos(weights, load_checkpoint(weights), tmp_path, "manifest.csv", "location",
                       "none", 64)
    dataset, words = source.compared(data_root / "photos/site1", 4)
    assert words == "4 of 6 photos of a folder" and len(dataset) == 4
    image, example = dataset[0]
    assert image.shape == (3, 48, 64) and example.target is None


def test_int8_is_calibrated_with_training_photos_alone(runs, data_root):
    weights = runs / "shapes/best.pt"
    source = RunPhotos(weights, load_checkpoint(weights), data_root, "manifest.csv", "location",
                       "none", 64)
    dataset = source.training()
    used = {row.image for row in dataset.manifest}
    assert len(used) == 18 and not used & set(photos_tested(runs))
    photos = calibration_photos(dataset, 5)
    assert len(photos) == 5 and commonest_canvas(photos, 32) == [64, 64]


def test_a_file_that_cannot_be_written_stops_no_other(monkeypatch, tmp_path):
    def write(file, net, path, metadata, photos):
        if file.kind == "fp16":
            raise TypeError("no half\nof this")
        path.touch()

    monkeypatch.setattr("camera_trapinator.export.targets.write_file", write)
    reasons = write_files([File(kind, ".onnx") for kind in ("fp32", "fp16", "int8")], None,
                          tmp_path, {"run": "a"}, [])
    assert list(reasons) == ["a_fp16.onnx"] and "TypeError: no half)" in reasons["a_fp16.onnx"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a_fp32.onnx", "a_int8.onnx"]


def test_apps_get_a_file_for_the_size_of_the_photos(runs):
    for package in ("executorch", "torchao"):
        pytest.importorskip(package, reason=f"needs {package}: pip install -e '.[phone]'")
    result = run_script("export.py", "--run", "shapes", "--to", "executorch", "--kinds", "fp32",
                        "--limit", "2", runs=runs)
    assert result.returncode == 0, result.stderr
    assert ExportedModel(runs / "shapes/export/shapes_fp32.pte").metadata["canvas"] == [48, 64]
    assert rows_of(runs)["shapes_fp32.pte"]["agreement"] > 0.999


def test_the_page_is_of_the_file_that_was_compared(runs):
    web = pytest.importorskip("camera_trapinator.export.web")
    if faults := web.runtime_faults():
        pytest.skip(faults[0])
    result = run_script("export.py", "--run", "shapes", "--to", "web", "--kinds", "fp32",
                        "--limit", "2", runs=runs)
    assert result.returncode == 0, result.stderr
    folder = runs / "shapes/export"
    assert sha256(folder / "web/model.onnx") == rows_of(runs)["shapes_fp32.onnx"]["sha256"]
