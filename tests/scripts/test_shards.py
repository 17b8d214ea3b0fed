"""A folder is predicted by several machines, or processes, to the same files as by one.

    COPIES=667 KILLS=20 pytest tests/scripts/test_shards.py -k killed     # 20,010 photos
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from tempfile import NamedTemporaryFile
from zipfile import ZipFile

import pytest
from conftest import error_line, run_script, start_script, wait_until

from camera_trapinator.utils import ROOT

COPIES, KILLS = int(os.environ.get("COPIES", 1)), int(os.environ.get("KILLS", 3))
OUTPUTS = "outputs=[masks_zip,csv,coco]" if COPIES > 1 else (
    "outputs=[masks,overlays,csv,report,xmp,masks_zip,coco,megadetector]")


def files_of(folder):
    """The bytes of each file below a folder, by its path; times of writing left out."""
    found = {str(path.relative_to(folder)): path.read_bytes()
             for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name: content for name, content in found.items()
            if name not in ("report.html", "megadetector.json", "coco.json")}


def start(photos, out, runs):
    """test.py in the background; it prints to the file `<out>.txt`."""
    text = out.with_suffix(".txt")
    return start_script("test.py", "--run", "shapes", "--images", photos, "--out", out, OUTPUTS,
                        stdout=text, stderr=text, runs=runs)


def photos_in(records):
    return max(0, records.read_bytes().count(b"\n") - 1) if records.exists() else 0


def wait_for(process, records, number):
    """Until so many photos are predicted, or the process has ended."""
    wait_until(process, lambda: photos_in(records) >= number, seconds=1200)


def peak_memory_of(process):
    """The most memory of a process so far, in MB; 0 where that is not known, or it has ended."""
    status = Path(f"/proc/{process.pid}/status")
    text = status.read_text() if status.exists() else ""
    return int(text.split("VmHWM:")[1].split()[0]) // 1024 if "VmHWM" in text else 0


@pytest.fixture(scope="module")
def card(data_root, tmp_path_factory):
    """The photos of all locations and two that cannot be read; what one process makes of them."""
    photos = tmp_path_factory.mktemp("card") / "card"
    shutil.copytree(data_root / "photos", photos)
    for copy in range(1, COPIES):
        shutil.copytree(data_root / "photos", photos / f"copy {copy}")
    (photos / "site1" / "cut.jpg").write_bytes(
        (photos / "site1/100RECNX/IMG_0001.JPG").read_bytes()[:900])
    (photos / "site3" / "folder.jpg").mkdir()
    return photos


@pytest.fixture(scope="module")
def alone(trained, card, tmp_path_factory):
    out = tmp_path_factory.mktemp("alone") / "out"
    process = start(card, out, trained)
    seconds, memory = [], []  # at the photos 2,000 and the last
    for number in (1, 2000, 2 + 30 * COPIES):
        wait_for(process, out / "predictions.jsonl", number)
        seconds.append(time.monotonic())
        memory.append(peak_memory_of(process))
    assert process.wait(600) == 0
    text = out.with_suffix(".txt").read_text()
    assert f"{2 + 30 * COPIES} photos" in text and "2 could not be read" in text
    print(f"{seconds[-1] - seconds[0]:.0f} s, peak memory {memory}")
    if COPIES > 100:
        assert memory[-1] < 1.05 * memory[1]
    return out


def test_shards_of_several_machines_join_to_what_one_predicts(trained, card, alone, tmp_path):
    command = ["test.py", "--run", "shapes", "--images", card, OUTPUTS, "--out"]
    (tmp_path / "joined").mkdir()
    for number in (3, 1):  # the second is left to who joins them
        machine = tmp_path / f"machine{number}"
        result = run_script(*command, machine, "--shard", f"{number}/3", runs=trained)
        assert result.returncode == 0, result.stderr
        name = f"predictions-{number}-of-3.jsonl"
        assert [path.name for path in machine.iterdir()] == [name] and name in result.stdout
        assert len((machine / name).read_text().splitlines()) == 1 + (11 if number == 1 else 10)
        (machine / name).rename(tmp_path / "joined" / name)
    result = run_script(*command, tmp_path / "joined", runs=trained)
    assert result.returncode == 0, result.stderr
    assert "going on    21 of 32 photos are done" in result.stdout
    assert files_of(tmp_path / "joined") == files_of(alone)


def by_two_processes(runs, *arguments):
    """What test.py prints in two processes, which know what torchrun would tell them."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with NamedTemporaryFile("r") as output, NamedTemporaryFile("r") as errors:
        processes = [start_script(
            "test.py", "--run", "shapes", *arguments, stdout=output.name, stderr=errors.name,
            runs=runs, TORCHELASTIC_RUN_ID="two", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port),
            WORLD_SIZE="2", RANK=str(rank), LOCAL_RANK=str(rank)) for rank in range(2)]
        assert not any([process.wait(200) for process in processes]), errors.read()
        return output.read()


def by_torchrun(runs, *arguments):
    """What test.py prints when torchrun starts two of it."""
    result = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone",
         "--", "scripts/test.py", "--run", "shapes", *arguments], cwd=ROOT, capture_output=True,
        text=True, timeout=200, env=dict(os.environ, CAMERA_TRAPINATOR_RUNS=str(runs),
                                         CUDA_VISIBLE_DEVICES="", OMP_NUM_THREADS="1"))
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("predict", [by_two_processes,
                                     pytest.param(by_torchrun, marks=pytest.mark.long)])
def test_several_processes_predict_what_one_predicts(trained, card, alone, tmp_path, predict):
    text = predict(trained, "--images", card, "--out", tmp_path / "out", OUTPUTS)
    assert text.count("32 photos: ") == 1
    assert files_of(tmp_path / "out") == files_of(alone)


def test_several_processes_test_each_photo_once(trained, tmp_path):
    result = run_script("test.py", "--run", "shapes", "--out", tmp_path / "one", OUTPUTS,
                        runs=trained)
    assert result.returncode == 0, result.stderr
    text = by_two_processes(trained, "--out", tmp_path / "two", OUTPUTS)
    assert text.splitlines()[-1].startswith("6 photos tested")
    assert files_of(tmp_path / "two") == files_of(tmp_path / "one")


def test_the_archive_holds_the_masks(alone):
    masks = {str(path.relative_to(alone / "masks")): path.read_bytes()
             for path in (alone / "masks").rglob("*.*")}
    with ZipFile(alone / "masks.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == masks
    assert len(masks) == 31 and "classes.csv" in masks


def test_a_prediction_that_is_killed_ends_with_the_same_bytes(trained, card, alone, tmp_path):
    """KILLS=20 pytest tests/test_shards.py: more often than in the daily tests."""
    records, chance = tmp_path / "out" / "predictions.jsonl", random.Random(0)
    for kill in range(KILLS):
        before = photos_in(records)
        process = start(card, tmp_path / "out", trained)
        wait_for(process, records, before + 1)
        time.sleep(chance.uniform(0, 0.2 if kill % 2 else 5))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)
        assert photos_in(records) >= before
    (tmp_path / "out.txt").unlink(missing_ok=True)
    assert start(card, tmp_path / "out", trained).wait(600) == 0
    assert "could not be read" in (tmp_path / "out.txt").read_text()
    assert files_of(tmp_path / "out") == files_of(alone)


@pytest.mark.parametrize("shard", ["0/3", "4/3", "1", "a/b", "-1/3", "1/3/5"])
def test_a_shard_that_is_none_is_refused(trained, card, shard):
    line = error_line(run_script("test.py", "--run", "shapes", "--images", card,
                                 f"--shard={shard}", runs=trained))
    assert f"--shard {shard}" in line and "2/5" in line


def test_shards_are_not_joined_while_one_is_at_work(trained, card, tmp_path):
    from camera_trapinator.data.lock import only_one

    command = ["test.py", "--run", "shapes", "--images", card, "--out", tmp_path, "outputs=csv"]
    assert run_script(*command, "--shard=1/2", runs=trained).returncode == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("camera_trapinator.data.lock.RUNS", trained)
        with only_one(tmp_path / "predictions-1-of-2.jsonl"):
            line = error_line(run_script(*command, runs=trained))
    assert "predictions-1-of-2.jsonl" in line and f"process {os.getpid()}" in line
    assert (tmp_path / "predictions-1-of-2.jsonl").exists()
