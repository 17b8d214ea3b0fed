"""docs/recipes.md: each recipe, applied to a copy of the repository as a person would, trains."""

import csv
import os
import re
import shutil
import signal
from pathlib import Path

import pytest
import torch
from conftest import QUICK, run_script, start_script, wait_until
from PIL import Image

from camera_trapinator.utils import ROOT

RECIPES = ROOT / "docs" / "recipes.md"
TRAINED = {  # recipe: further knobs
    "Optimizer": ["learning_rate=0.001"], "Learning-rate schedule": [],
    "Augmentation": ["crop_size=48,48"], "Loss": [], "Network": ["network=Plain"], "Metric": [],
    "Input channel": [], "Sampler": []}
SLOW = ("Learning-rate schedule", "Sampler", "Augmentation", "Loss", "Network")


def recipes() -> dict[str, str]:
    """The text below each heading."""
    title, *sections = re.split(r"^## ", RECIPES.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {section.split("\n")[0]: section for section in sections}


def apply(section: str, repository: Path) -> set[str]:
    """Do what a recipe says; the files that it touches."""
    files, file = set(), None
    for name, kind, block in re.findall(
            r"^(?:New file )?`([\w/.]+)`\n|^```(\w+)\n(.*?)^```", section,
            flags=re.MULTILINE | re.DOTALL):
        if name:
            file = repository / name
            continue
        files.add(file)
        if kind == "python":
            assert not file.exists()
            file.write_text(block, encoding="utf-8")
            continue
        lines = block.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if line[0] in " -")
        after = "".join(line[1:] for line in lines if line[0] in " +")
        text = file.read_text(encoding="utf-8")
        assert text.count(before) == 1, f"{file.name} has no longer, or twice:\n{before}"
        file.write_text(text.replace(before, after), encoding="utf-8")
    return {str(file.relative_to(repository)) for file in files}


@pytest.fixture
def copy(tmp_path) -> Path:
    """A copy of the repository, to be changed."""
    for folder in ("camera_trapinator", "scripts", "configs"):
        shutil.copytree(ROOT / folder, tmp_path / "copy" / folder,
                        ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "copy"


def train(copy: Path, data_root: Path, *arguments: str, runs: Path) -> None:
    result = run_script("train.py", "--config", "configs/unet.yaml", f"data_root={data_root}",
                        *QUICK, "batch_size=2", *arguments, runs=runs, repository=copy)
    assert result.returncode == 0, result.stderr


def columns(log: Path) -> list[str]:
    with open(log, newline="", encoding="utf-8") as file:
        return next(csv.reader(file))


@pytest.mark.parametrize("name", [
    pytest.param(name, marks=pytest.mark.long) if name in SLOW else name for name in TRAINED])
def test_training_after_a_recipe_resumes_to_the_same_bits(name, copy, data_root, tmp_path):
    files = apply(recipes()[name], copy)
    assert len(files) == 1  # each of these edits is in one file
    runs, knobs = tmp_path / "runs", TRAINED[name]
    train(copy, data_root, "--dry-run", *knobs, runs=runs)
    train(copy, data_root, "--run", "whole", *knobs, runs=runs)
    # Stopped in its first epoch, then resumed.
    arguments = ["--config", "configs/unet.yaml", "--run", "parts", f"data_root={data_root}",
                 *QUICK, "batch_size=2", *knobs]
    process = start_script("train.py", *arguments, stdout=tmp_path / "out", runs=runs,
                           stderr=tmp_path / "errors", repository=copy)
    wait_until(process, (runs / "parts" / "batch.jpg").exists)
    if process.poll() is None:
        os.kill(process.pid, signal.SIGTERM)
    assert process.wait(120) in (0, 75), (tmp_path / "errors").read_text()
    train(copy, data_root, "--run", "parts", "--resume", *knobs, runs=runs)
    one, two = (torch.load(runs / run / "last.pt", weights_only=True) for run in ("whole", "parts"))
    assert all(torch.equal(weight, two["model"][key]) for key, weight in one["model"].items())
    assert columns(runs / "whole" / "log.csv") == columns(runs / "parts" / "log.csv")
    # What the recipe is about.
    if name == "Metric":
        assert "pixel_accuracy" in columns(runs / "parts" / "log.csv")
        assert 0 < one["history"][-1]["pixel_accuracy"] <= 1
    if name == "Network":
        assert one["model_arguments"]["network"] == "Plain"
    if name == "Input channel":
        assert one["model"]["first.0.weight"].shape[1] == 4
    if name in ("Network", "Input channel"):  # test.py builds the same network again
        result = run_script("test.py", "--run", "whole", runs=runs, repository=copy)
        assert result.returncode == 0, result.stderr


def test_an_importer_after_its_recipe_reads_circles(copy, tmp_path):
    apply(recipes()["An importer"], copy)
    Image.new("RGB", (64, 48), (90, 110, 80)).save(tmp_path / "a.jpg")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/circles.csv").write_text("file,x,y,radius,name\na.jpg,20,24,8,fox\n")
    result = run_script("import_labels.py", "circles", tmp_path / "labels/circles.csv", "--images",
                        tmp_path, "--out", tmp_path / "root", repository=copy)
    assert result.returncode == 0, result.stderr
    with Image.open(next((tmp_path / "root/masks").rglob("*.png"))) as mask:
        assert mask.getpixel((20, 24)) == 1 and mask.getpixel((40, 24)) == 0
        assert sum(mask.tobytes()) == pytest.approx(3.14159 * 64, rel=0.05)


def test_an_output_after_its_recipe_counts_species(copy, data_root, trained, tmp_path):
    apply(recipes()["An output"], copy)
    result = run_script("test.py", "--weights", trained / "shapes/best.pt", "--images",
                        data_root / "photos", "--out", tmp_path / "out", "outputs=counts,csv",
                        repository=copy)
    assert result.returncode == 0, result.stderr
    with open(tmp_path / "out/counts.csv", newline="", encoding="utf-8-sig") as file:
        counts = {row["species"]: int(row["photos"]) for row in csv.DictReader(file)}
    with open(tmp_path / "out/predictions.csv", newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert list(counts) == ["fox", "snow hare"]
    assert sum(counts.values()) >= sum(row["empty"].lower() == "false" for row in rows) > 0


def test_every_recipe_is_tried():
    assert set(recipes()) == {*TRAINED, "An importer", "An output"}
