"""Full disks, killed helpers, two runs of one name: one clear line, and nothing is lost."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from conftest import QUICK, error_line, run_script
from leavings import all_of, start, wait_for

from camera_trapinator.training.checkpoint import load_checkpoint
from camera_trapinator.utils import ROOT

CONFIG = ROOT / "configs/unet.yaml"


@pytest.fixture
def small_disk(tmp_path):
    """A disk of its own, which a file can fill."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)],
                             capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(disk, left=0):
    """Leave only so many bytes."""
    status = os.statvfs(disk)
    with open(disk / "other people's files", "wb") as file:
        file.write(bytes(status.f_bavail * status.f_frsize - left))


def test_a_full_disk_costs_no_checkpoint_and_the_run_goes_on_when_there_is_room(
        data_root, tmp_path, small_disk):
    arguments = ["--config", CONFIG, "--run", "run", f"data_root={data_root}", *QUICK, "epochs=8"]
    whole = run_script("train.py", *arguments, runs=tmp_path)
    assert whole.returncode == 0, whole.stderr
    process = start("run", data_root, small_disk, *QUICK, "epochs=8", "start_fraction=1",
                    "ema=0", "curriculum_epochs=10", "checkpoint_minutes=0")
    wait_for(process, small_disk / "run.txt", "epoch 3/")
    fill(small_disk)
    assert process.wait(60) == 2
    fault = (small_disk / "run.txt").read_text().splitlines()[-1]
    before = load_checkpoint(small_disk / "run" / "last.pt")["history"]
    assert 2 <= len(before) < 8
    line = error_line(run_script("train.py", *arguments, "--resume", runs=small_disk))
    for message in (line, fault) if fault.startswith("error") else (line,):
        assert "No space left on device" in message and str(small_disk) in message
    assert len(load_checkpoint(small_disk / "run" / "last.pt")["history"]) == len(before)

    (small_disk / "other people's files").unlink()
    resumed = run_script("train.py", *arguments, "--resume", runs=small_disk)
    assert resumed.returncode == 0, resumed.stderr
    expected, got = (all_of(runs / "run" / "last.pt") for runs in (tmp_path, small_disk))
    assert got == expected


def test_a_full_disk_during_a_prediction_costs_no_photo(trained, data_root, tmp_path, small_disk):
    arguments = ["--run", "shapes", "--images", data_root / "photos", "outputs=csv",
                 "num_workers=0"]
    whole = run_script("test.py", *arguments, "--out", tmp_path / "out", runs=trained)
    assert whole.returncode == 0, whole.stderr
    expected = (tmp_path / "out" / "predictions.jsonl").read_bytes()
    fill(small_disk, left=len(expected) // 2 // 4096 * 4096 + 3 * 4096)  # locks take two
    line = error_line(run_script("test.py", *arguments, "--out", small_disk / "out", runs=trained))
    assert "No space left on device" in line and "predictions.jsonl" in line
    assert 0 < (small_disk / "out" / "predictions.jsonl").stat().st_size < len(expected)

    (small_disk / "other people's files").unlink()
    resumed = run_script("test.py", *arguments, "--out", small_disk / "out", runs=trained)
    assert resumed.returncode == 0, resumed.stderr
    for name in ("predictions.jsonl", "predictions.csv"):
        assert (small_disk / "out" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()


def test_two_runs_of_one_name_do_not_meet(data_root, tmp_path):
    process = start("same", data_root, tmp_path, "epochs=500")
    wait_for(process, tmp_path / "same.txt", "epoch 1/")
    line = error_line(run_script("train.py", "--config", CONFIG, "--run", "same", "--resume",
                                 f"data_root={data_root}", *QUICK, runs=tmp_path))
    assert f"process {process.pid}" in line and "same" in line
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(60)
    line = error_line(run_script("train.py", "--config", CONFIG, "--run", "same", "--resume",
                                 f"data_root={data_root}", *QUICK, runs=tmp_path))
    assert "resume with the same config" in line  # no lock is left behind


@pytest.mark.parametrize(("number", "message", "cure"), [
    (signal.SIGKILL, "a process that reads photos is killed by signal: Killed", "num_workers"),
    pytest.param(signal.SIGSTOP, "no photo came for 5 seconds", "read_timeout",  # a stalled drive
                 marks=pytest.mark.long)])
def test_a_helper_that_gives_no_more_photos_is_told_in_one_line(data_root, tmp_path, number,
                                                                message, cure):
    process = start("run", data_root, tmp_path, "epochs=500", "read_timeout=5")
    wait_for(process, tmp_path / "run.txt", "epoch 1/")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        os.killpg(process.pid, signal.SIGKILL)
        pytest.skip("this system does not list the children of a process")
    helpers = [int(number) for number in children.read_text().split()
               if b"resource_tracker" not in Path(f"/proc/{number}/cmdline").read_bytes()]
    os.kill(helpers[-1], number)
    assert process.wait(60) == 2
    text = (tmp_path / "run.txt").read_text()
    assert "Traceback" not in text
    assert f"error: {message}" in text and cure in text
    assert not any(Path(f"/proc/{helper}").exists() for helper in helpers)
