"""Several processes, started by torchrun, train one network as one process does."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import CLASSES, QUICK, make_data, start_script, wait_until
from leavings import all_of

from camera_trapinator.data.masks import read_mask, write_mask
from camera_trapinator.training.checkpoint import load_checkpoint
from camera_trapinator.utils import ROOT

KNOBS = [*QUICK, "epochs=3", "norm=none", "precision=fp32", "loss=cross_entropy_dice"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]


def begin(number, data_root, runs, run, *knobs):
    """train.py in so many processes, which know what torchrun would tell them."""
    output, port = runs / f"{run}.txt", free_port()
    return [start_script(
        "train.py", *arguments(data_root, run, *knobs), stdout=output, stderr=output, runs=runs,
        **{} if number == 1 else {
            "TORCHELASTIC_RUN_ID": run, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
            "WORLD_SIZE": str(number), "RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(number)]


def learn(number, data_root, runs, run, *knobs):
    """The last checkpoint of train.py in so many processes."""
    processes = begin(number, data_root, runs, run, *knobs)
    assert not any([process.wait(150) for process in processes]), (
        runs / f"{run}.txt").read_text()
    return load_checkpoint(runs / run / "last.pt")


def arguments(data_root, run, *knobs):
    return ["--config", "configs/unet.yaml", "--run", run, f"data_root={data_root}", *KNOBS, *knobs]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def torchrun(data_root, runs, run, *knobs, restarts=0):
    """torchrun in the background, with two processes of train.py of one thread each."""
    with open(runs / f"{run}.txt", "w") as output:
        return subprocess.Popen(
            [*TORCHRUN, "--max-restarts", str(restarts), "--standalone", "--", "scripts/train.py",
             *arguments(data_root, run, *knobs)],
            cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            env=dict(os.environ, CAMERA_TRAPINATOR_RUNS=str(runs), CUDA_VISIBLE_DEVICES="",
                     PYTHONUNBUFFERED="1", OMP_NUM_THREADS="1"))


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """A data root of an odd number of photos, in which large parts of some masks are ignored."""
    root = make_data(tmp_path_factory.mktemp("uneven"), locations=5, photos=5)
    for number, path in enumerate(sorted((root / "masks").rglob("*.png"))):
        mask = read_mask(path)
        mask[:, :[0, 40, 60][number % 3]] = 255
        write_mask(path, mask, [colour for _, colour in CLASSES])
    return root


@pytest.mark.parametrize(("number", "knobs"), [
    pytest.param(2, [], marks=pytest.mark.long), (4, []),
    (2, ["micro_batch_size=1", "optimizer=adamw", "ema=0.5", "learning_rate=0.002",
         "gradient_clip=0"])])
def test_several_processes_learn_the_same_as_one(uneven, tmp_path, number, knobs):
    one, many = (learn(processes, uneven, tmp_path, f"of{processes}", *knobs)
                 for processes in (1, number))
    for row, same in zip(one["history"], many["history"], strict=True):
        assert same["train_loss"] == pytest.approx(row["train_loss"], rel=1e-4)
        assert same["val_loss"] == pytest.approx(row["val_loss"], rel=1e-4)
        assert same["distinct"] == row["distinct"]
    for name, weights in one["model"].items():
        assert np.allclose(weights, many["model"][name], rtol=1e-2, atol=1e-4), name
    assert one["history"][0]["train_loss"] > one["history"][-1]["train_loss"] > 0


def test_the_scores_of_one_checkpoint_are_the_same_to_the_last_pixel(uneven, tmp_path):
    rows = [learn(number, uneven, tmp_path, f"of{number}", "learning_rate=0", "epochs=1",
                  "weight_decay=0", "val_fraction=0.5")["history"][-1] for number in (1, 2, 4)]
    for name in ("mean_iou", "foreground_iou"):
        assert rows[0][name] == rows[1][name] == rows[2][name] is not None


def kill_one(process, log):
    """kill -9 the last of torchrun's processes, after the first epoch."""
    wait_until(process, log.exists)
    workers = [int(number) for number in Path(
        f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        if b"scripts/train.py" in Path(f"/proc/{number}/cmdline").read_bytes()]
    os.kill(workers[-1], signal.SIGKILL)


@pytest.mark.long
def test_a_process_that_dies_ends_them_all(uneven, tmp_path):
    process = torchrun(uneven, tmp_path, "run", "epochs=5000")
    kill_one(process, tmp_path / "run" / "log.csv")
    assert process.wait(90) != 0
    assert load_checkpoint(tmp_path / "run" / "last.pt")["history"]  # and no run is lost


@pytest.fixture(scope="module")
def whole(uneven, tmp_path_factory):
    """All of the last checkpoint of two processes that nobody disturbed, after 10 epochs."""
    runs = tmp_path_factory.mktemp("whole")
    learn(2, uneven, runs, "whole", "epochs=10", "norm=batch")
    return all_of(runs / "whole" / "last.pt")


@pytest.mark.long
def test_torchrun_starts_processes_again_and_they_go_on_to_the_same_bits(uneven, whole, tmp_path):
    process = torchrun(uneven, tmp_path, "killed", "epochs=10", "norm=batch", restarts=1)
    kill_one(process, tmp_path / "killed" / "log.csv")
    text = tmp_path / "killed.txt"
    assert process.wait(150) == 0, text.read_text()
    assert text.read_text().count("run         ") == 2  # so both have begun
    assert all_of(tmp_path / "killed" / "last.pt") == whole


LATE = """
import os, sys, time
from camera_trapinator.training.processes import join_processes, restarts
import torch

if os.environ["RANK"] == "1":
    time.sleep(3 * restarts())  # the others look for it where it was before
processes = join_processes(torch.device("cpu"))
processes.wait()
if not restarts():
    sys.exit(1)
"""


def test_processes_started_again_find_each_other_where_they_are_now(tmp_path):
    (tmp_path / "late.py").write_text(LATE)
    result = subprocess.run(
        [*TORCHRUN, "--max-restarts", "1", "--standalone", tmp_path / "late.py"], cwd=ROOT,
        capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("by_torchrun", [False, pytest.param(True, marks=pytest.mark.long)])
def test_processes_that_are_stopped_go_on_to_the_same_bits(uneven, whole, tmp_path, by_torchrun):
    arguments = uneven, tmp_path, "broken", "epochs=10", "norm=batch"
    processes = [torchrun(*arguments)] if by_torchrun else begin(2, *arguments)
    text = tmp_path / "broken.txt"
    wait_until(processes[0], lambda: "epoch 3/" in text.read_text())
    for process in processes:
        os.kill(process.pid, signal.SIGTERM)  # torchrun hands it on to all
    assert all([process.wait(90) for process in processes])
    assert len(load_checkpoint(tmp_path / "broken" / "last.pt")["history"]) < 10, text.read_text()
    learn(2, uneven, tmp_path, "broken", "epochs=10", "norm=batch", "--resume")
    assert all_of(tmp_path / "broken" / "last.pt") == whole


@pytest.mark.long
def test_a_mistake_is_told_and_no_process_hangs(tmp_path):
    process = torchrun(tmp_path / "nowhere", tmp_path, "run")
    assert process.wait(90) != 0
    text = (tmp_path / "run.txt").read_text()
    assert "error: data_root: " in text and "nowhere is no folder" in text
    assert 'scripts/train.py", line' not in text  # the traceback there is torchrun's own
