"""notebooks/explore.ipynb does what it says, on a small run, and stands in git as it should."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import CLASSES, run_script
from PIL import Image

from camera_trapinator.utils import ROOT

NOTEBOOK = ROOT / "notebooks/explore.ipynb"
# What Jupyter does with "Run All"; afterwards, what the cells have made is looked at.
RUN_ALL = """
import json, sys, matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
space, titles = {"__name__": "__main__"}, []
plt.show = lambda: titles.append(cell["id"])
notebook, images = sys.argv[1:]
for cell in json.load(open(notebook, encoding="utf-8"))["cells"]:
    if cell["cell_type"] == "code":
        exec(compile("".join(cell["source"]), cell["id"], "exec"), space)
import numpy as np
figures = {name: plt.figure(number) for name, number in zip(titles, plt.get_fignums(), strict=True)}
pictures = {name: [np.asarray(picture.get_array()) for axes in figure.axes
                   for picture in axes.get_images()] for name, figure in figures.items()}
lines = [line.get_ydata() for axes in figures["curves"].axes for line in axes.get_lines()]
legend = [text.get_text() for text in figures["mask"].legends[0].get_texts()]
np.savez(images, photo=space["photo"], path=str(space["path"]), overlay=pictures["mask"][1],
         sure=pictures["confidence"][0], shares=pictures["confusion"][0], lines=np.array(lines),
         worst=[record["file"] for record in space["worst"]], legend=legend, titles=titles,
         true=pictures["worst"][0], predicted=pictures["worst"][1])
"""


def run_all(runs: Path, out: Path, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    """Run all cells in a fresh process that was started in the folder `cwd`."""
    environment = {**os.environ, "CAMERA_TRAPINATOR_RUNS": str(runs), "PYTHONPATH": str(ROOT),
                   "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run([sys.executable, "-c", RUN_ALL, NOTEBOOK, out], cwd=cwd, text=True,
                          env=environment, capture_output=True)


@pytest.fixture(scope="module")
def tested(trained, tmp_path_factory) -> Path:
    """The folder of runs with the trained and tested run `shapes`; a copy."""
    runs = tmp_path_factory.mktemp("tested")
    shutil.copytree(trained / "shapes", runs / "shapes")
    shutil.rmtree(runs / "shapes/test", ignore_errors=True)
    result = run_script("test.py", "--run", "shapes", "outputs=csv", runs=runs)
    assert result.returncode == 0, result.stderr
    return runs


@pytest.fixture(scope="module", params=["", "notebooks"])
def made(request, tested, tmp_path_factory) -> dict:
    """What its cells have made, when Jupyter was started in the repository or beside them."""
    out = tmp_path_factory.mktemp("made") / "made.npz"
    result = run_all(tested, out, ROOT / request.param)
    assert result.returncode == 0, result.stderr
    return dict(np.load(out))


def test_the_mask_that_is_drawn_is_the_one_that_the_model_predicts(made, tested):
    from camera_trapinator.model import load_model
    from camera_trapinator.outputs.drawing import draw_overlay
    from camera_trapinator.training.checkpoint import load_checkpoint

    path = str(made["path"])
    prediction = load_model(load_checkpoint(tested / "shapes/best.pt")).predict(path)
    assert prediction.mask().any()
    drawn = draw_overlay(np.asarray(Image.open(path)), prediction.mask(), CLASSES)
    assert (made["overlay"] == np.asarray(drawn)).all()
    assert (made["overlay"] != np.asarray(Image.open(path))).any()
    assert made["sure"] == pytest.approx(prediction.foreground(), abs=1e-5)
    assert made["legend"].tolist() == ["fox", "snow hare"]


def test_curves_worst_photos_and_confusion_are_those_of_the_run(made, tested):
    assert made["titles"].tolist() == ["curves", "mask", "confidence", "worst", "confusion"]
    log = np.genfromtxt(tested / "shapes/log.csv", delimiter=",", names=True)
    names = ("train_loss", "val_loss", "mean_iou", "foreground_iou")
    assert made["lines"] == pytest.approx(np.array([log[name] for name in names]), nan_ok=True)

    records = [json.loads(line) for line in
               (tested / "shapes/test/predictions.jsonl").read_text().splitlines()[1:]]
    counts = np.array([record["confusion"] for record in records])
    right = [matrix.trace() / matrix.sum() for matrix in counts]
    assert made["worst"][0] == records[int(np.argmin(right))]["file"]
    assert (made["true"] != made["predicted"]).any()  # no photo is predicted without a fault
    total = counts.sum(axis=0)
    assert made["shares"] == pytest.approx(total / total.sum(axis=1, keepdims=True).clip(1))


def test_what_it_cannot_show_it_says(trained, tmp_path):
    # A run without test; the cells before have worked.
    shutil.copytree(trained / "shapes", tmp_path / "untested/shapes",
                    ignore=shutil.ignore_patterns("test"))
    result = run_all(tmp_path / "untested", tmp_path / "made.npz")
    assert result.stderr.splitlines()[-1].endswith("predict first, with scripts/test.py")
    assert "'fox'" in result.stdout or "'snow hare'" in result.stdout
    # A regression.
    shutil.copytree(trained / "shapes", tmp_path / "values/shapes")
    checkpoint = torch.load(tmp_path / "values/shapes/best.pt", weights_only=True)
    checkpoint["config"] = re.sub("(?m)^(task|loss|quantity): .*", "", checkpoint["config"]) + (
        "\ntask: regression\nloss: huber\nquantity: distance (m)\n")
    torch.save(checkpoint, tmp_path / "values/shapes/best.pt")
    result = run_all(tmp_path / "values", tmp_path / "made.npz")
    assert "shapes is a regression: it predicts distance (m)" in result.stderr.splitlines()[-1]


def test_in_git_it_has_no_outputs_and_every_editor_can_open_it():
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert notebook.keys() == {"cells", "metadata", "nbformat", "nbformat_minor"}
    assert notebook["metadata"]["kernelspec"]["language"] == "python"
    cells = notebook["cells"]
    ids = [cell["id"] for cell in cells]
    assert len(set(ids)) == len(ids)
    # The rules of nbformat 4.5 (nbformat.v4.schema).
    assert all(re.fullmatch("[a-zA-Z0-9_-]{1,64}", name) for name in ids)
    for cell in cells:
        code = {"execution_count", "outputs"} if cell["cell_type"] == "code" else set()
        assert cell["cell_type"] in ("code", "markdown")
        assert cell.keys() == {"cell_type", "id", "metadata", "source"} | code
        assert all(isinstance(line, str) for line in cell["source"])
        assert all(line.endswith("\n") for line in cell["source"][:-1])
        assert not cell.get("outputs") and cell.get("execution_count") is None
    # A text stands before each cell of code, and cells are short.
    for before, cell in zip(cells, cells[1:], strict=False):
        if cell["cell_type"] == "code":
            assert before["cell_type"] == "markdown" and len(cell["source"]) <= 30
