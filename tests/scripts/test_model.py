"""test.py --model as users run it: an exported file in the place of a run."""

import json
import shutil

import pytest
from conftest import error_line, run_script
from leavings import read_csv

from camera_trapinator.config import parse_config
from camera_trapinator.data.masks import read_mask
from camera_trapinator.model import load_model
from camera_trapinator.training.checkpoint import load_checkpoint, save_checkpoint
from camera_trapinator.training.slim import slim_checkpoint

for package in ("onnx", "onnxruntime"):
    pytest.importorskip(package, reason="needs the extra `export`")

from camera_trapinator.export.metadata import describe  # noqa: E402
from camera_trapinator.export.onnx_files import write_onnx  # noqa: E402


@pytest.fixture(scope="module")
def runs(trained, tmp_path_factory):
    """The trained run with its network exported."""
    runs = tmp_path_factory.mktemp("runs")
    shutil.copytree(trained / "shapes", runs / "shapes",
                    ignore=lambda folder, names: {"test", "predict"} & set(names))
    weights = runs / "shapes/best.pt"
    checkpoint = load_checkpoint(weights)
    net = load_model(checkpoint)
    config = parse_config(checkpoint["config"], "", stored=True)
    write_onnx(net, runs / "shapes/export/shapes_fp32.onnx",
               describe(net, weights, slim_checkpoint(checkpoint, config)))
    return runs


def test_an_exported_file_is_tested_as_its_run_is(runs):
    file = runs / "shapes/export/shapes_fp32.onnx"
    for arguments in (["--run", "shapes", "precision=fp32"], ["--model", file]):
        result = run_script("test.py", *arguments, runs=runs)
        assert result.returncode == 0, result.stderr
    assert "model       shapes_fp32.onnx: fp32, of the run shapes" in result.stdout
    folders = runs / "shapes/test", runs / "shapes/export/test_fp32_onnx"
    own, got = (json.loads((folder / "report.json").read_text()) for folder in folders)
    assert own["foreground_iou"] > 0.5 and got["weights"] == "shapes_fp32.onnx"
    assert got["foreground_iou"] == pytest.approx(own["foreground_iou"], abs=0.005)
    rows = [read_csv(folder / "predictions.csv") for folder in folders]
    assert [row["file"] for row in rows[0]] == [row["file"] for row in rows[1]]
    wrong = total = 0
    for row in rows[0]:
        first, second = (read_mask(folder / "masks" / (row["file"] + ".png"))
                         for folder in folders)
        wrong, total = wrong + (first != second).sum(), total + first.size
    assert wrong <= 0.001 * total
    card = (runs / "shapes/model_card.md").read_text()
    assert "shapes_fp32" not in card  # the card is of the run's own test


def test_new_photos_are_predicted_without_the_run_and_never_taken_for_anothers(
        runs, data_root, tmp_path):
    shutil.copy(runs / "shapes/export/shapes_fp32.onnx", tmp_path / "phone.onnx")
    photos, out = data_root / "photos/site0", tmp_path / "results"
    result = run_script("test.py", "--model", tmp_path / "phone.onnx", "--images", photos,
                        "--out", out, runs=tmp_path)
    assert result.returncode == 0, result.stderr
    assert len(read_csv(out / "predictions.csv")) == 6
    line = error_line(run_script("test.py", "--run", "shapes", "--images", photos, "--out", out,
                                 runs=runs))
    assert "--overwrite" in line


def test_what_cannot_be_is_told_in_a_line(runs, tmp_path):
    file = runs / "shapes/export/shapes_fp32.onnx"
    shutil.copy(file, tmp_path / "phone.onnx")
    (tmp_path / "cut.onnx").write_bytes(file.read_bytes()[:2000])
    for arguments, named in (
            (["--model", tmp_path / "phone.onnx"], "--images"),
            (["--model", tmp_path / "cut.onnx"], "cannot be opened as a model"),
            (["--model", tmp_path / "nix.onnx"], "no such file"),
            (["--model", runs / "shapes/best.pt"], "--weights"),
            (["--weights", file], "--model"),
            (["--model", file, "working_scale=96"], "working_scale: 96"),
            (["--model", file, "--run", "shapes"], "not allowed with")):
        assert named in error_line(run_script("test.py", *arguments, runs=runs))
    other = tmp_path / "runs/shapes"
    shutil.copytree(runs / "shapes", other)
    save_checkpoint(other / "best.pt", {**load_checkpoint(other / "best.pt"), "temperature": 3.0})
    line = error_line(run_script("test.py", "--model", other / "export/shapes_fp32.onnx",
                                 runs=tmp_path / "runs"))
    assert "other weights" in line and "export the run anew" in line
