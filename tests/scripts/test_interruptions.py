"""A run that is killed, or stopped, at any instant goes on to the same bits.

    KILLS=100 pytest tests/scripts/test_interruptions.py     # more often than in the daily tests
"""

import os
import random
import signal
import time

import pytest
from conftest import QUICK, error_line, run_script
from leavings import EPOCHS, KILLS, all_of, start, wait_for

from camera_trapinator.training.checkpoint import load_checkpoint
from camera_trapinator.training.stop import STOPPED
from camera_trapinator.utils import ROOT


@pytest.fixture(scope="module")
def unbroken(data_root, tmp_path_factory):
    """The folder of runs of one that nobody disturbed, and the seconds that it took."""
    runs = tmp_path_factory.mktemp("interruptions")
    process = start("whole", data_root, runs)
    wait_for(process, runs / "whole.txt", "run  ")
    before = time.monotonic()
    assert process.wait(600) == 0, (runs / "whole.txt").read_text()
    return runs, time.monotonic() - before


@pytest.mark.parametrize("number", [pytest.param(signal.SIGKILL, marks=pytest.mark.long),
                                    signal.SIGTERM])
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


def test_control_c_saves_and_a_resumed_run_goes_on_there(data_root, tmp_path):
    process = start("stopped", data_root, tmp_path, "checkpoint_minutes=0", "epochs=500")
    wait_for(process, tmp_path / "stopped.txt", "epoch 2/")
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all its processes
    assert process.wait(60) == STOPPED
    lines = (tmp_path / "stopped.txt").read_text().splitlines()
    assert lines[-1] == "stopped; the same command with --resume goes on"
    content = load_checkpoint(tmp_path / "stopped" / "last.pt")
    assert len(content["history"]) >= 2


def test_a_loss_that_is_nan_stops_the_run_and_names_the_photos(data_root, tmp_path):
    arguments = ["--config", ROOT / "configs/unet.yaml", "--run", "wild", f"data_root={data_root}",
                 *QUICK, "learning_rate=100", "gradient_clip=0", "norm=none", "epochs=30",
                 "optimizer=sgd", "precision=fp32"]
    line = error_line(run_script("train.py", *arguments, runs=tmp_path))
    assert "step" in line and "IMG_" in line and "skip_bad_steps" in line
    last = tmp_path / "wild" / "last.pt"
    if last.exists():
        assert all(values.isfinite().all() for values in load_checkpoint(last)["model"].values())
