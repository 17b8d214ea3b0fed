"""A small network learns from a larger one: what it says counts, and it learns nothing itself."""

from shutil import copytree

import torch
from conftest import CLASSES, QUICK, error_line, fit_once, run_script

from camera_trapinator.data.manifest import write_classes
from camera_trapinator.model import UNet
from camera_trapinator.training.checkpoint import load_checkpoint
from camera_trapinator.utils import ROOT


def test_no_gradient_reaches_the_teacher(train):
    torch.manual_seed(1)
    teacher = UNet(num_classes=3, working_scale=32, width=8, depth=2).eval()  # not even frozen
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    student = fit_once(train, teacher)
    assert all(weight.grad is not None and weight.grad.any() for weight in student.parameters())
    assert all(weight.grad is None for weight in teacher.parameters())
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())


def test_the_teacher_counts_by_its_share(train):
    torch.manual_seed(1)
    teacher = UNet(num_classes=3, working_scale=32, width=8, depth=2).eval()
    alone, none, half = (
        dict(fit_once(train, *arguments).named_parameters())["last.weight"]
        for arguments in ((None,), (teacher,), (teacher,)))
    assert torch.equal(none, half) and not torch.equal(alone, half)
    zero = fit_once(train, teacher, teacher_share=0.0)
    torch.testing.assert_close(zero.last.weight, alone)


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
