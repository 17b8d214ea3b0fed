"""train.py as users run it: what a run holds, what stops it before it starts, how it goes on."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import QUICK, error_line, make_data, run_script, start_script, wait_until
from leavings import read_csv
from PIL import Image

from camera_trapinator.data.manifest import read_manifest, write_manifest
from camera_trapinator.data.masks import read_mask
from camera_trapinator.training.checkpoint import load_checkpoint
from camera_trapinator.utils import ROOT

CONFIG = "configs/unet.yaml"
LOG_HEADER = ("epoch,lr,train_loss,val_loss,mean_iou,foreground_iou,images_per_second,photos,"
              "seconds,pool,distinct,difficulty")


# --------------------------------------------------------------------------------- training


def test_a_run_holds_everything_that_it_is(trained):
    run = trained / "shapes"
    names = {path.name for path in run.iterdir()} - {"test", "predict"}  # of other tests
    assert {"config.yaml", "git.txt", "run.json", "splits.csv", "log.csv", "curves.png", "last.pt",
            "best.pt", "model_card.md", "batch.jpg"} == names
    assert (run / "log.csv").read_text().splitlines()[0] == LOG_HEADER
    log = read_csv(run / "log.csv")
    assert [row["epoch"] for row in log] == [str(epoch) for epoch in range(1, 16)]
    assert float(log[-1]["train_loss"]) < 0.5 * float(log[0]["train_loss"])
    torch.load(run / "best.pt", weights_only=True)
    assert Image.open(run / "curves.png").size[0] > 300
    width, height = Image.open(run / "batch.jpg").size  # four crops with their masks
    assert width > 600 and height > 300


def test_a_run_that_ended_before_its_first_checkpoint_does_not_block_its_name(data_root, tmp_path):
    (tmp_path / "early").mkdir()
    (tmp_path / "early/config.yaml").write_text("epochs: 77\n")
    result = run_script("train.py", "--config", CONFIG, "--run", "early", f"data_root={data_root}",
                        *QUICK, "epochs=1", runs=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "epochs: 1\n" in (tmp_path / "early/config.yaml").read_text()


def test_overwrite_leaves_nothing_of_the_earlier_run(data_root, tmp_path):
    start = ["train.py", "--config", CONFIG, "--run", "again", f"data_root={data_root}", *QUICK]
    (tmp_path / "again/test").mkdir(parents=True)
    for name in ("last.pt", "best.pt", "test/report.json"):
        (tmp_path / "again" / name).write_text("of another run")
    assert "delete it with --overwrite" in error_line(run_script(*start, runs=tmp_path))
    result = run_script(*start, "epochs=1", "--overwrite", runs=tmp_path)
    assert result.returncode == 0, result.stderr
    assert len(read_csv(tmp_path / "again/log.csv")) == 1
    assert not (tmp_path / "again/test").exists()


@pytest.mark.parametrize("script", ["train", "test", "check_data", "import_labels", "compare_runs",
                                    "make_demo_data", "benchmark", "publish"])
def test_no_script_runs_with_the_package_of_another_checkout(script, tmp_path):
    shutil.copytree(ROOT / "scripts", tmp_path / "copy/scripts")
    path = tmp_path / "copy/scripts" / f"{script}.py"
    result = subprocess.run([sys.executable, path, "--help"], capture_output=True, text=True,
                            env={**os.environ, "PYTHONPATH": str(ROOT)})
    line = error_line(result)
    assert str(path) in line and f"another checkout, {ROOT}," in line and "pip install -e" in line
    assert not result.stdout


def test_training_keeps_locations_apart(trained):
    places = {}
    for row in read_csv(trained / "shapes" / "splits.csv"):
        places.setdefault(row["split"], set()).add(row["location"])
    assert set(places) == {"train", "val", "test"}
    assert sum(map(len, places.values())) == len(set.union(*places.values())) == 5


def test_runs_from_the_scripts_folder_and_names_the_run_after_the_config(data_root, tmp_path):
    result = run_script("train.py", "--config", CONFIG, f"data_root={data_root}", *QUICK,
                        "epochs=1", runs=tmp_path, cwd=ROOT / "scripts")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "unet" / "last.pt").exists()


def test_a_typo_in_a_knob_names_the_right_one():
    result = run_script("train.py", "--config", "configs/demo.yaml", "lerning_rate=1",
                        cwd=ROOT / "scripts")
    assert "did you mean learning_rate?" in error_line(result)


def test_a_killed_run_resumes_to_the_same_bits_whatever_the_workers(data_root, tmp_path):
    arguments = ["--config", CONFIG, f"data_root={data_root}", *QUICK, "epochs=6",
                 "optimizer=adamw", "learning_rate=0.002"]
    whole = run_script("train.py", *arguments, "--run", "whole", runs=tmp_path)
    assert whole.returncode == 0, whole.stderr

    process = start_script("train.py", *arguments, "--run", "broken", "num_workers=2",
                           stdout=os.devnull, stderr=os.devnull, runs=tmp_path)
    log = tmp_path / "broken" / "log.csv"
    wait_until(process, lambda: log.exists() and len(read_csv(log)) >= 2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(60)
    assert len(load_checkpoint(tmp_path / "broken" / "last.pt")["history"]) < 6

    resumed = run_script("train.py", *arguments, "--run", "broken", "--resume", "recompute=true",
                         runs=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    expected, got = (load_checkpoint(tmp_path / name / "last.pt") for name in ("whole", "broken"))
    assert len(got["history"]) == 6
    for name, tensor in expected["model"].items():
        assert torch.equal(tensor, got["model"][name]), name
        if expected["training"]:
            assert torch.equal(expected["training"][name], got["training"][name]), name
    assert len(read_csv(log)) == 6


def test_a_run_is_never_overwritten_or_mixed(trained, data_root):
    before = (trained / "shapes" / "last.pt").read_bytes()
    arguments = ["--config", CONFIG, "--run", "shapes", f"data_root={data_root}", *QUICK]
    assert "--resume" in error_line(run_script("train.py", *arguments, runs=trained))
    line = error_line(run_script("train.py", *arguments, "--resume", "batch_size=3", runs=trained))
    assert "batch_size" in line or "epochs" in line or "width" in line
    arguments[3] = "other"
    assert "no such run" in error_line(run_script("train.py", *arguments, "--resume",
                                                  runs=trained))
    assert (trained / "shapes" / "last.pt").read_bytes() == before


# -------------------------------------------------------------------------------- bad input


def edit_manifest(root, old, new):
    path = root / "manifest.csv"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def spoil_photo(root):
    (root / "photos/site1/100RECNX/IMG_0001.JPG").unlink()


def spoil_aspect(root):
    Image.new("L", (48, 64)).save(root / "masks/site2/IMG_0002.png")


def spoil_value(root):
    Image.new("L", (64, 48), 7).save(root / "masks/site2/IMG_0002.png")


def spoil_labels(root):
    rows = (root / "manifest.csv").read_text().splitlines()
    cells = [row.split(",") for row in rows]
    (root / "manifest.csv").write_text(
        "\n".join(",".join([row[0], "", *row[2:]]) for row in cells[1:]).join(
            [rows[0] + "\n", "\n"]))


def spoil_masks_with_255(root):
    for path in root.glob("masks/*/*.png"):
        Image.fromarray(np.where(read_mask(path) > 0, 255, 0).astype(np.uint8)).save(path)


BAD_DATA = {
    "photo": (spoil_photo, ["site1/100RECNX/IMG_0001.JPG: no such photo"]),
    "aspect": (spoil_aspect, ["site2/IMG_0002.png: the mask is 48 x 64", "64 x 48", "upright"]),
    "value": (spoil_value, ["site2/IMG_0002.png: values 7 found", "0 to 2"]),
    "split": (lambda root: edit_manifest(root, ",sequence", ",split"),
              ["manifest.csv, line 2: split 'site0#0' is none of train, val, test, test_seen"]),
    "label": (spoil_labels, ["no labelled photo"]),
    "255": (spoil_masks_with_255, ["255 means ignore"]),
    "classes": (lambda root: (root / "classes.csv").unlink(), ["classes.csv: no such file"]),
    "root": (shutil.rmtree, ["data_root", "is no folder"]),
}


@pytest.mark.parametrize("name", BAD_DATA)
def test_bad_data_stop_training_before_it_starts(name, own_data, tmp_path):
    spoil, parts = BAD_DATA[name]
    spoil(own_data)
    result = run_script("train.py", "--config", CONFIG, f"data_root={own_data}", *QUICK,
                        runs=tmp_path / "runs")
    line = error_line(result)
    assert all(part in line for part in parts), line
    assert not (tmp_path / "runs" / "unet").exists()  # the name is still free once it is mended


def test_too_few_locations_offer_another_split(tmp_path):
    root = make_data(tmp_path / "data", locations=2)
    arguments = ["--config", CONFIG, f"data_root={root}", *QUICK, "epochs=1"]
    line = error_line(run_script("train.py", *arguments, runs=tmp_path / "runs"))
    assert "split_by: sequence or split_by: photo" in line
    result = run_script("train.py", *arguments, "split_by=photo", runs=tmp_path / "runs")
    assert result.returncode == 0 and "seen locations only" in result.stdout
    result = run_script("test.py", runs=tmp_path / "runs")
    assert result.returncode == 0 and "seen locations only" in result.stdout
    report = json.loads((tmp_path / "runs/unet/test/report.json").read_text())
    assert "seen locations only" in report["note"]
    assert report["locations"]["unseen"]["images"] == 0
    assert report["locations"]["seen"]["images"] == report["images"] > 0


def config_of(run: Path, knob: str) -> str:
    """What a run's config says of a knob."""
    return next(line for line in (run / "config.yaml").read_text().splitlines()
                if line.startswith(f"{knob}:")).removeprefix(f"{knob}: ")


def test_split_by_auto_takes_what_there_is_enough_of(tmp_path):
    arguments = ["--config", CONFIG, *QUICK, "split_by=auto"]
    one = make_data(tmp_path / "one", locations=1, photos=8)
    for run, root, expected in (("five", make_data(tmp_path / "five", photos=3), "location"),
                                ("one", one, "sequence")):
        result = run_script("train.py", *arguments, f"data_root={root}", "epochs=1", "--run", run,
                            runs=tmp_path / "runs")
        assert result.returncode == 0, result.stderr
        assert ("split by sequence: the scores hold for seen locations only" in result.stdout) == (
            run == "one")
        assert config_of(tmp_path / "runs" / run, "split_by") == expected
    # Without times and sequences each photo is one of its own.
    for name in ("photo", "given"):
        shutil.copytree(one, tmp_path / name)
        rows = read_manifest(one / "manifest.csv")
        write_manifest(tmp_path / name / "manifest.csv", [row._replace(
            sequence="", datetime="", location="") for row in rows] if name == "photo" else [
            row._replace(split=["train", "val", "train", "test"][number // 2 % 4])
            for number, row in enumerate(rows)])
        result = run_script("train.py", *arguments, f"data_root={tmp_path / name}", "--run", name,
                            runs=tmp_path / "runs")
        assert result.returncode == 0, result.stderr
    assert config_of(tmp_path / "runs/photo", "split_by") == "photo"
    # Given splits that tear the location apart, but no sequence.
    assert config_of(tmp_path / "runs/given", "split_by") == "sequence"
    result = run_script("test.py", "--run", "one", runs=tmp_path / "runs")
    assert result.returncode == 0 and "seen locations only" in result.stdout
    line = error_line(run_script("test.py", "--run", "one", "split_by=auto",
                                 runs=tmp_path / "runs"))
    assert line.startswith("error: split_by: the splits are those of the run")


def test_split_by_auto_resumes_with_what_it_came_to(tmp_path):
    root = make_data(tmp_path / "data", locations=1)
    arguments = ["--config", CONFIG, f"data_root={root}", *QUICK, "split_by=auto"]
    whole = run_script("train.py", *arguments, "--run", "whole", runs=tmp_path / "runs")
    assert whole.returncode == 0, whole.stderr
    process = start_script("train.py", *arguments, "--run", "parts", runs=tmp_path / "runs",
                           stdout=tmp_path / "out", stderr=tmp_path / "errors")
    wait_until(process, (tmp_path / "runs/parts/batch.jpg").exists)
    if process.poll() is None:
        os.kill(process.pid, signal.SIGTERM)
    assert process.wait(120) in (0, 75)
    result = run_script("train.py", *arguments, "--run", "parts", "--resume",
                        runs=tmp_path / "runs")
    assert result.returncode == 0, result.stderr
    one, two = (torch.load(tmp_path / "runs" / run / "last.pt", weights_only=True)["model"]
                for run in ("whole", "parts"))
    assert all(torch.equal(weight, two[name]) for name, weight in one.items())


def test_few_photos_make_as_many_steps_as_asked_for(own_data, tmp_path):
    arguments = ["--config", CONFIG, f"data_root={own_data}", *QUICK]
    few = run_script("train.py", *arguments, "--run", "few", runs=tmp_path)
    assert few.returncode == 0, few.stderr
    steps = re.search(r"^steps +(\d+) in each of 2 epochs: (\d+)\nwarning +(.*)$", few.stdout,
                      re.MULTILINE)
    assert 1 < int(steps[1]) < 4 and int(steps[2]) == 2 * int(steps[1])
    assert "set epoch_steps=100" in steps[3]
    more = run_script("train.py", *arguments, "epoch_steps=150", "--run", "more", runs=tmp_path)
    assert "steps       150 in each of 2 epochs: 300\n" in more.stdout
    assert "hardly learned" not in more.stdout
    rows = read_csv(tmp_path / "more/log.csv")
    assert [row["photos"] for row in rows] == ["600", "600"]  # 150 steps of 4
    assert float(rows[-1]["train_loss"]) < 0.5 * float(read_csv(tmp_path / "few/log.csv")[-1][
        "train_loss"])


def test_a_truncated_training_photo_is_named(own_data, tmp_path):
    for path in own_data.glob("photos/*/*/*.JPG"):
        path.write_bytes(path.read_bytes()[:-300])
    result = run_script("train.py", "--config", CONFIG, f"data_root={own_data}", *QUICK,
                        "num_workers=1", runs=tmp_path)
    assert result.returncode == 2 and "Traceback" not in result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert ".JPG: cannot be read as a photo" in last and "truncated" in last


def test_nothing_is_fetched_from_or_sent_to_a_network(data_root, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(f"""
import socket, sys
def refuse(event, arguments):
    if event == "socket.getaddrinfo" or (
            event == "socket.connect" and arguments[0].family != socket.AF_UNIX):
        open({str(tmp_path / "calls")!r}, "a").write(f"{{event}} {{arguments}}\\n")
        raise OSError("no network")
sys.addaudithook(refuse)
""")
    environment = dict(os.environ, CAMERA_TRAPINATOR_RUNS=str(tmp_path), CUDA_VISIBLE_DEVICES="",
                       PYTHONPATH=str(tmp_path))
    for command in (["-c", "import socket; socket.create_connection(('localhost', 9))"],
                    ["scripts/train.py", "--config", CONFIG, "--run", "run", *QUICK,
                     f"data_root={data_root}", "num_workers=1"],
                    ["scripts/test.py", "--run", "run"]):
        result = subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, text=True,
                                capture_output=True, timeout=200)
        if command[0] == "-c":  # the trap itself
            assert (tmp_path / "calls").exists()
            (tmp_path / "calls").unlink()
        else:
            assert result.returncode == 0, result.stderr
    assert not (tmp_path / "calls").exists(), (tmp_path / "calls").read_text()


def test_a_leak_stops_the_training_unless_it_is_allowed_and_then_every_report_tells(
        own_data, tmp_path):
    rows = list(read_manifest(own_data / "manifest.csv"))
    write_manifest(own_data / "manifest.csv", [
        row._replace(split=["train", "val", "test"][(place + place // 3) % 3],
                     sequence="")
        for place, row in enumerate(rows)])
    arguments = ["--config", "configs/demo.yaml", f"data_root={own_data}", *QUICK]
    line = error_line(run_script("train.py", *arguments, runs=tmp_path / "runs"))
    assert "5 locations in train and in another split, such as site0" in line
    result = run_script("train.py", *arguments, "allow_leakage=true", runs=tmp_path / "runs")
    assert result.returncode == 0, result.stderr
    assert "warning     5 locations" in result.stdout
    result = run_script("test.py", "--run", "demo", runs=tmp_path / "runs")
    assert "5 locations in train" in result.stdout
    report = json.loads((tmp_path / "runs/demo/test/report.json").read_text())
    assert "the scores are too good" in report["note"]


def test_the_splits_of_a_run_can_be_kept_for_the_next(own_data, tmp_path):
    arguments = ["--config", "configs/demo.yaml", f"data_root={own_data}", *QUICK, "epochs=1"]
    for more in (["--run", "a", "seed=3"], ["--run", "b", "seed=4",
                                            f"splits_file={tmp_path}/runs/a/splits.csv"]):
        result = run_script("train.py", *arguments, *more, runs=tmp_path / "runs")
        assert result.returncode == 0, result.stderr
    first, second = ((tmp_path / f"runs/{name}/splits.csv").read_text() for name in "ab")
    assert first == second
