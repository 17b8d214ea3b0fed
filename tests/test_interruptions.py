"""A run that is killed, or stopped, at any instant goes on to the same bits.

    KILLS=100 pytest tests/test_interruptions.py     # more often than in the daily tests
"""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
import torch
from conftest import QUICK, error_line, fit_once, run_script, start_script, wait_until
from torch import nn

from camera_trapinator.model import UNet
from camera_trapinator.training.checkpoint import load_checkpoint
from camera_trapinator.training.stop import STOPPED
from camera_trapinator.utils import ROOT

KILLS = int(os.environ.get("KILLS", 5))
EPOCHS = max(12, 2 * KILLS)
TIMES = ("seconds", "images_per_second")  # of a row of the log: no two runs are equally fast
KNOBS = [*QUICK, f"epochs={EPOCHS}", "num_workers=2", "start_fraction=0.4",
         "curriculum_epochs=5", "ema=0.9", "checkpoint_minutes=0.0005"]


def start(run, data_root, runs, *knobs):
    """train.py in the background, with workers of its own to kill."""
    runs.mkdir(exist_ok=True)
    resume = ["--resume"] * (runs / run).exists()
    output = runs / f"{run}.txt"
    output.unlink(missing_ok=True)
    return start_script("train.py", "--config", "configs/unet.yaml", "--run", run,
                        f"data_root={data_root}", *KNOBS, *knobs, *resume, stdout=output,
                        stderr=output, runs=runs)


def wait_for(process, output, text):
    """Until a process has printed a text, or has ended."""
    wait_until(process, lambda: text in output.read_text())


def all_of(path):
    """What a checkpoint holds, in a form to compare bit for bit: times left out."""
    content = load_checkpoint(path)
    content["history"] = [{name: value for name, value in row.items() if name not in TIMES}
                          for row in content["history"]]
    return flat(content)


def flat(content, name=""):
    if isinstance(content, torch.Tensor):
        return {name: content.contiguous().flatten().view(torch.uint8).tolist()}
    items = (content.items() if isinstance(content, dict) else enumerate(content)
             if isinstance(content, (list, tuple)) else None)
    if items is None:
        return {name: content}
    return {place: value for key, item in items for place, value in
            flat(item, f"{name}/{key}").items()}


@pytest.fixture(scope="module")
def unbroken(data_root, tmp_path_factory):
    """The folder of runs of one that nobody disturbed, and the seconds that it took."""
    runs = tmp_path_factory.mktemp("interruptions")
    process = start("whole", data_root, runs)
    wait_for(process, runs / "whole.txt", "run  ")
    before = time.monotonic()
    assert process.wait(600) == 0, (runs / "whole.txt").read_text()
    return runs, time.monotonic() - before


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_that_is_killed_at_random_instants_ends_with_the_same_bits(data_root, unbroken,
                                                                         number):
    runs, seconds = unbroken
    run, chance, within_epoch = f"broken{int(number)}", random.Random(int(number)), 0
    for kill in range(KILLS):
        process = start(run, data_root, runs)
        wait_for(process, runs / f"{run}.txt", "run  ")
        time.sleep(chance.uniform(0, seconds / KILLS))
        if process.poll() is None:
            # Sometimes only the main process hears it, sometimes those that read photos do, too.
            (os.kill if kill % 2 else os.killpg)(process.pid, number)
        code = process.wait(60)
        text = (runs / f"{run}.txt").read_text()
        done = code == 0 or "next  " in text
        assert done or code == (STOPPED if number == signal.SIGTERM else -number), text
        assert "Traceback" not in text, text
        if (runs / run / "last.pt").exists():
            within_epoch += bool(load_checkpoint(runs / run / "last.pt")["within_epoch"])
    assert within_epoch  # else the test would prove nothing about the middle of an epoch
    process = start(run, data_root, runs)
    assert process.wait(600) == 0, (runs / f"{run}.txt").read_text()
    for name in ("last.pt", "best.pt"):
        expected, got = (all_of(runs / folder / name) for folder in ("whole", run))
        assert list(got) == list(expected)
        assert not [place for place in expected if got[place] != expected[place]]
    rows = [len((runs / folder / "log.csv").read_text().splitlines()) for folder in ("whole", run)]
    assert rows == [EPOCHS + 1, EPOCHS + 1]


STOPPED_AT_ONCE = """
import os, signal
import torch
from torch.utils.data import TensorDataset
from camera_trapinator import STOP_SIGNALS
from camera_trapinator.dataset import PhotoLoader

def stop():
    for number in STOP_SIGNALS:
        os.kill(os.getpid(), number)

os.register_at_fork(after_in_child=stop)
loader = PhotoLoader(TensorDataset(torch.arange(8)), 2, torch.device("cpu"), batch_size=2,
                     multiprocessing_context="fork")
assert sum(batch.sum().item() for batch, in loader) == 28
os.kill(os.getpid(), signal.SIGTERM)  # the main process hears it as before
"""


def test_processes_that_read_photos_hear_no_signal_from_their_first_moment_on():
    result = subprocess.run([sys.executable, "-c", STOPPED_AT_ONCE], cwd=ROOT, timeout=60,
                            capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (-signal.SIGTERM, "")


def test_control_c_saves_and_a_resumed_run_goes_on_there(data_root, tmp_path):
    process = start("stopped", data_root, tmp_path, "checkpoint_minutes=0", "epochs=500")
    wait_for(process, tmp_path / "stopped.txt", "epoch 2/")
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all its processes
    assert process.wait(60) == STOPPED
    lines = (tmp_path / "stopped.txt").read_text().splitlines()
    assert lines[-1] == "stopped; the same command with --resume goes on"
    content = load_checkpoint(tmp_path / "stopped" / "last.pt")
    assert len(content["history"]) >= 2


# ------------------------------------------------------------------------- losses that are NaN


class Bad(nn.Module):
    """A criterion whose loss is NaN where a mask holds the class 2."""

    def weigh(self, masks):
        return torch.ones(1)

    def total(self, logits, masks):
        return logits.float().mean().reshape(1) * torch.where((masks == 2).any(), torch.nan, 1.0)


def test_a_step_whose_loss_is_nan_changes_nothing(train, monkeypatch):
    monkeypatch.setattr("conftest.build_criterion", lambda *_: Bad())
    after = fit_once(train, skip_bad_steps=1).state_dict()
    good = fit_once(train, ignored=lambda masks: masks.clamp_(max=1)).state_dict()
    torch.manual_seed(0)
    before = UNet(num_classes=3, working_scale=32, width=4, depth=2).state_dict()
    assert all(torch.equal(values, after[name]) for name, values in before.items())
    assert not all(torch.equal(values, good[name]) for name, values in before.items())


def test_a_loss_that_is_nan_stops_the_run_and_names_the_photos(data_root, tmp_path):
    arguments = ["--config", ROOT / "configs/unet.yaml", "--run", "wild", f"data_root={data_root}",
                 *QUICK, "learning_rate=100", "gradient_clip=0", "norm=none", "epochs=30",
                 "optimizer=sgd", "precision=fp32"]
    line = error_line(run_script("train.py", *arguments, runs=tmp_path))
    assert "step" in line and "IMG_" in line and "skip_bad_steps" in line
    last = tmp_path / "wild" / "last.pt"
    if last.exists():
        assert all(values.isfinite().all() for values in load_checkpoint(last)["model"].values())
