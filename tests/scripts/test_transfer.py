"""Runs that begin with what others learned: an encoder, another run's weights, a teacher."""

from shutil import copytree

import pytest
import torch
from conftest import CLASSES, QUICK, error_line, run_script

from camera_trapinator.data.manifest import write_classes
from camera_trapinator.networks.weights import pretrained_weights
from camera_trapinator.training.checkpoint import load_checkpoint
from camera_trapinator.utils import ROOT

LITE = ["encoder=efficientnet_lite0", "width=4", "crop_size=64,64"]


def train(data_root, runs, name, *knobs, resume=False):
    result = run_script("train.py", "--config", "configs/unet.yaml", "--run", name,
                        f"data_root={data_root}", *QUICK, *LITE, *knobs,
                        *["--resume"] * resume, runs=runs)
    assert result.returncode == 0, result.stderr
    return load_checkpoint(runs / name / "last.pt")


@pytest.mark.long
def test_a_frozen_encoder_stays_as_it_was(data_root, tmp_path):
    state = pretrained_weights("efficientnet_lite0", "imagenet")
    frozen = train(data_root, tmp_path, "frozen", "freeze_encoder=2")["model"]
    assert all(torch.equal(frozen[f"encoder.{name}"], weight) for name, weight in state.items())
    thawed = train(data_root, tmp_path, "thawed", "freeze_encoder=1")["model"]
    same = {name: torch.equal(thawed[f"encoder.{name}"], weight) for name, weight in state.items()}
    assert not any(same[name] for name in same if "running" in name or name.endswith("weight"))
    partly = train(data_root, tmp_path, "partly", "freeze_levels=2")["model"]
    same = {name: torch.equal(partly[f"encoder.{name}"], weight) for name, weight in state.items()
            if "num_batches" not in name}
    assert {name.split(".")[1] for name in same if same[name] and name.startswith("blocks")} == {
        "0", "1", "2"}


def test_the_running_mean_of_the_weights_is_what_is_saved_to_predict_with(data_root, tmp_path):
    knobs = ["optimizer=adamw", "learning_rate=0.002", "encoder_rate=0.5"]
    plain = train(data_root, tmp_path, "plain", *knobs)
    averaged = train(data_root, tmp_path, "averaged", *knobs, "ema=0.9")
    assert plain["training"] is None
    for name, weight in plain["model"].items():
        assert torch.equal(weight, averaged["training"][name]), name  # it changes no training
    far = (plain["model"]["last.weight"] - averaged["model"]["last.weight"]).abs().max()
    assert 0 < far < 0.1


def test_another_runs_weights_are_a_start(trained, data_root, tmp_path):
    """Also with a class that the other run did not know."""
    runs = copytree(trained, tmp_path / "runs")

    def start(name, *knobs):
        return run_script("train.py", "--config", "configs/unet.yaml", "--run", name,
                          f"data_root={data_root}", *QUICK, "width=8", "epochs=1",
                          "learning_rate=0", "warmup_epochs=0", *knobs, runs=runs)

    result = start("tuned", "weights=shapes")
    assert result.returncode == 0, result.stderr
    old, new = (load_checkpoint(runs / name / "last.pt") for name in ("shapes", "tuned"))
    assert torch.equal(old["model"]["ups.0.conv.0.weight"], new["model"]["ups.0.conv.0.weight"])
    assert "weights: " in error_line(start("wrong", "weights=shapes", "width=4"))
    assert "nobody" in error_line(start("nothing", "weights=nobody"))


def test_a_student_is_trained_by_a_run(trained, data_root, tmp_path):
    """The teacher is a run of the scripts; the student's own file holds nothing of it."""
    runs = copytree(trained, tmp_path / "runs")
    result = run_script("train.py", "--config", ROOT / "configs/unet.yaml", "--run", "student",
                        f"data_root={data_root}", *QUICK, "teacher=shapes", "epochs=1",
                        runs=runs)
    assert result.returncode == 0, result.stderr
    checkpoint = load_checkpoint(runs / "student/last.pt")
    assert checkpoint["model_arguments"]["width"] == 4  # QUICK's, not the teacher's 8
    assert all("teacher" not in name for name in checkpoint["model"])


def test_a_teacher_that_does_not_fit_is_refused(trained, own_data):
    arguments = ["train.py", "--config", ROOT / "configs/unet.yaml", "--run", "pupil",
                 f"data_root={own_data}", *QUICK]
    line = error_line(run_script(*arguments, "teacher=nobody", runs=trained))
    assert "nobody" in line and "best.pt" in line
    write_classes(own_data / "classes.csv", [CLASSES[0], CLASSES[2], CLASSES[1]])
    line = error_line(run_script(*arguments, "teacher=shapes", runs=trained))
    assert "snow hare" in line and "one order" in line
    assert not (trained / "pupil").exists()
