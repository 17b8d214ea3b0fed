"""Training that begins with the easy photos, as users run it."""

import os
import shutil
import signal

import numpy as np
import pytest
import torch
from conftest import QUICK, error_line, run_script, start_script, wait_until
from leavings import read_csv
from PIL import Image

from camera_trapinator.data.manifest import read_manifest, write_manifest
from camera_trapinator.data.masks import read_mask
from camera_trapinator.training.checkpoint import load_checkpoint

CONFIG = "configs/unet.yaml"
CURRICULUM = ["start_fraction=0.3", "curriculum_epochs=2", "balance=0.5", "empty_fraction=0.2"]


@pytest.fixture(scope="module")
def curriculum(tmp_path_factory, data_root):
    """The folder of runs with a run `whole` of four epochs in it."""
    runs = tmp_path_factory.mktemp("curricula")
    result = run_script("train.py", "--config", CONFIG, f"data_root={data_root}", *QUICK,
                        "epochs=4", *CURRICULUM, "--run", "whole", runs=runs)
    assert result.returncode == 0, result.stderr
    assert "curriculum  " in result.stdout
    return runs


def test_a_run_tells_which_photos_came_when(curriculum, data_root):
    run = curriculum / "whole"
    rows = read_csv(run / "difficulty.csv")
    splits = {row["image"]: row["split"] for row in read_csv(run / "splits.csv")}
    assert [row["image"] for row in rows] == [image for image, split in splits.items()
                                              if split == "train"]
    ordered = sorted(rows, key=lambda row: float(row["difficulty"]))
    entries = [int(row["epoch"]) for row in ordered]
    assert entries == sorted(entries) and set(entries) == {1, 2, 3}
    log = read_csv(run / "log.csv")
    for epoch, row in enumerate(log, start=1):
        inside = [entry <= epoch for entry in entries]
        assert float(row["pool"]) == pytest.approx(np.mean(inside), rel=1e-5)
        assert 0 < int(row["distinct"]) <= sum(inside)
    assert float(log[0]["difficulty"]) < float(log[-1]["difficulty"])
    sheet = Image.open(run / "difficulty.jpg")
    assert sheet.width > 1000 and sheet.height > 500
    assert np.asarray(sheet).std() > 20


def test_a_killed_curriculum_resumes_to_the_same_bits(curriculum, data_root, tmp_path):
    arguments = ["--config", CONFIG, f"data_root={data_root}", *QUICK, "epochs=4", *CURRICULUM,
                 "--run", "broken"]
    process = start_script("train.py", *arguments, stdout=os.devnull, stderr=os.devnull,
                           runs=tmp_path)
    log = tmp_path / "broken" / "log.csv"
    wait_until(process, lambda: log.exists() and len(read_csv(log)) >= 2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(60)
    assert len(load_checkpoint(tmp_path / "broken" / "last.pt")["history"]) < 4

    # What was remembered outside of the run does not count: the run's own file does.
    for path in (tmp_path / ".checked").glob("*-difficulty.csv"):
        path.write_text(path.read_text().replace("0.", "0.9"))
    saved = (tmp_path / "broken" / "difficulty.csv").rename(tmp_path / "saved.csv")
    resume = [*arguments, "--resume"]
    assert "difficulty.csv: no such file" in error_line(
        run_script("train.py", *resume, runs=tmp_path))
    shutil.copy(saved, tmp_path / "broken" / "difficulty.csv")
    result = run_script("train.py", *resume, runs=tmp_path)
    assert result.returncode == 0, result.stderr
    expected, got = (load_checkpoint(runs / name / "last.pt") for runs, name in
                     ((curriculum, "whole"), (tmp_path, "broken")))
    assert len(got["history"]) == 4
    for name, tensor in expected["model"].items():
        assert torch.equal(tensor, got["model"][name]), name
    for mine, theirs in zip(read_csv(log), read_csv(curriculum / "whole" / "log.csv"),
                            strict=True):
        assert all(mine[name] == theirs[name] for name in ("pool", "distinct", "difficulty"))


def test_difficulty_may_be_the_loss_of_an_earlier_run(trained, data_root, tmp_path):
    weights = trained / "shapes" / "best.pt"
    result = run_script("train.py", "--config", CONFIG, f"data_root={data_root}", *QUICK,
                        "epochs=1", "start_fraction=0.5", f"difficulty={weights}", runs=tmp_path)
    assert result.returncode == 0, result.stderr
    rows = read_csv(tmp_path / "unet" / "difficulty.csv")

    # Against the same photos one by one, in a notebook's way.
    from camera_trapinator.model import build_model
    checkpoint = load_checkpoint(weights)
    net = build_model(**checkpoint["model_arguments"])
    net.load_state_dict(checkpoint["model"])
    masks = {row.image: row.mask for row in read_manifest(data_root / "manifest.csv")}
    losses = {}
    for row in rows:
        if masks[row["image"]] != "background":
            logits = net.predict(str(data_root / row["image"])).logits.double()
            truth = torch.from_numpy(read_mask(data_root / masks[row["image"]])).long()
            chance = logits.log_softmax(dim=0).gather(0, truth[None])
            losses[row["image"]] = -float(chance.mean())
    difficulty = {row["image"]: float(row["difficulty"]) for row in rows}
    order = sorted(losses, key=losses.get)
    place = {image: number / (len(order) - 1) for number, image in enumerate(order)}
    # bf16 may let neighbours change places.
    assert max(abs(difficulty[image] - place[image]) for image in order) < 2.5 / len(order)
    assert min(difficulty.values()) == 0 and max(difficulty.values()) == 1


def test_what_the_manifest_says_wins(own_data, tmp_path):
    rows = list(read_manifest(own_data / "manifest.csv"))
    given = {row.image: (f"{0.01 * number:.2f}" if number % 4 else "")
             for number, row in enumerate(rows)}
    write_manifest(own_data / "manifest.csv", [
        row._replace(difficulty=given[row.image], focus="yes" if number % 5 == 0 else "")
        for number, row in enumerate(rows)])
    result = run_script("train.py", "--config", CONFIG, f"data_root={own_data}", *QUICK,
                        "epochs=1", "start_fraction=0.1", "curriculum_epochs=5", runs=tmp_path)
    assert result.returncode == 0, result.stderr
    focus = {row.image: row.focus for row in read_manifest(own_data / "manifest.csv")}
    found = read_csv(tmp_path / "unet" / "difficulty.csv")
    assert all(float(row["difficulty"]) == float(given[row["image"]]) for row in found
               if given[row["image"]])
    assert any(not given[row["image"]] for row in found)
    assert {row["epoch"] for row in found if focus[row["image"]]} == {"1"}
    assert {row["epoch"] for row in found} == {"1", "2", "3", "4", "5", "6"}


@pytest.mark.parametrize(("knobs", "part"), [
    (["start_fraction=0.5", "difficulty=gone"], "no such checkpoint"),
    (["start_fraction=0.5", "difficulty=OTHER"], "fox, snow hare"),
    (["empty_fraction=0.5"], "empty_fraction: 0.5, but no training photo is empty"),
])
def test_what_cannot_be_is_refused_before_training(knobs, part, trained, own_data, tmp_path):
    if "OTHER" in knobs[-1]:
        (own_data / "classes.csv").write_text(
            "index,name,colour\n0,background,#000000\n1,badger,#ff0000\n2,otter,#00ff00\n")
        knobs = [knobs[0], f"difficulty={trained / 'shapes' / 'best.pt'}"]
    rows = read_manifest(own_data / "manifest.csv")
    write_manifest(own_data / "manifest.csv", [row for row in rows if row.mask != "background"])
    line = error_line(run_script("train.py", "--config", CONFIG, f"data_root={own_data}", *QUICK,
                                 *knobs, runs=tmp_path / "runs"))
    assert part in line
    assert not (tmp_path / "runs" / "unet").exists()
