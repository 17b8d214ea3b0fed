"""train.py and test.py as users run them: from photos to a model, scores, masks and tables."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from conftest import (
    QUICK,
    draw_photo,
    error_line,
    make_data,
    run_script,
    start_script,
    wait_until,
)
from PIL import Image

from camera_trapinator.data.manifest import read_manifest, write_manifest
from camera_trapinator.data.masks import read_mask
from camera_trapinator.metrics import ConfusionMatrix
from camera_trapinator.model import build_model
from camera_trapinator.outputs.drawing import in_threads
from camera_trapinator.training.checkpoint import load_checkpoint
from camera_trapinator.utils import ROOT

CONFIG = "configs/unet.yaml"
LOG_HEADER = ("epoch,lr,train_loss,val_loss,mean_iou,foreground_iou,images_per_second,seconds,"
              "pool,distinct,difficulty")


def read_csv(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# --------------------------------------------------------------------------------- training


def test_a_run_holds_everything_that_it_is(trained):
    run = trained / "shapes"
    names = {path.name for path in run.iterdir()} - {"test"}  # which another test may have made
    assert {"config.yaml", "git.txt", "splits.csv", "log.csv", "curves.png", "last.pt", "best.pt",
            "model_card.md"} == names
    assert (run / "log.csv").read_text().splitlines()[0] == LOG_HEADER
    log = read_csv(run / "log.csv")
    assert [row["epoch"] for row in log] == [str(epoch) for epoch in range(1, 16)]
    assert float(log[-1]["train_loss"]) < 0.5 * float(log[0]["train_loss"])
    torch.load(run / "best.pt", weights_only=True)
    assert Image.open(run / "curves.png").size[0] > 300


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


def test_a_truncated_training_photo_is_named(own_data, tmp_path):
    for path in own_data.glob("photos/*/*/*.JPG"):
        path.write_bytes(path.read_bytes()[:-300])
    result = run_script("train.py", "--config", CONFIG, f"data_root={own_data}", *QUICK,
                        "num_workers=1", runs=tmp_path)
    assert result.returncode == 2 and "Traceback" not in result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert ".JPG: cannot be read as a photo" in last and "truncated" in last


# ------------------------------------------------------------------------------- evaluation


def test_evaluation_writes_the_scores(trained):
    result = run_script("test.py", runs=trained)  # alone: the newest run
    assert result.returncode == 0, result.stderr
    out = trained / "shapes" / "test"
    report = json.loads((out / "report.json").read_text())
    assert report["mean_iou"] > 0.5 and report["foreground_iou"] > 0.5
    assert report["images"] == 6 and report["failures"] == 0
    assert set(report["classes"]["fox"]) == {"iou", "dice", "precision", "recall", "support"}
    assert report["locations"]["unseen"]["images"] == 6
    assert report["locations"]["seen"] == {"mean_iou": None, "foreground_iou": None, "images": 0}
    assert [row["class"] for row in read_csv(out / "per_class.csv")] == [
        "background", "fox", "snow hare"]
    assert sum(int(row["images"]) for row in read_csv(out / "per_location.csv")) == 6
    assert Image.open(out / "worst.jpg").size[0] > 300


def test_the_reported_iou_is_that_of_the_written_masks(trained, data_root):
    """IoU from the mask files on disk, counted afresh at the photos' own size."""
    run_script("test.py", "--run", "shapes", runs=trained)
    out = trained / "shapes" / "test"
    hits, union = np.zeros(3), np.zeros(3)
    manifest = {row["image"]: row for row in read_csv(data_root / "manifest.csv")}
    for row in read_csv(out / "predictions.csv"):
        predicted = read_mask(out / "masks" / (row["file"] + ".png"))
        mask = manifest[row["file"]]["mask"]
        truth = (np.zeros_like(predicted) if mask == "background"
                 else read_mask(data_root / mask))
        for index in range(3):
            hits[index] += ((predicted == index) & (truth == index)).sum()
            union[index] += ((predicted == index) | (truth == index)).sum()
    report = json.loads((out / "report.json").read_text())
    reported = [row["iou"] for row in report["classes"].values()]
    assert reported == pytest.approx((hits / union).tolist())


def test_other_classes_than_the_models_are_refused(trained, own_data):
    (own_data / "classes.csv").write_text(
        "index,name,colour\n0,background,#000000\n1,badger,#ff0000\n2,otter,#00ff00\n")
    line = error_line(run_script("test.py", f"data_root={own_data}", runs=trained))
    assert "fox" in line and "classes.csv" in line


def test_decoding_a_large_photo_small_shifts_no_score(trained, tmp_path):
    """12 megapixels, with the grain of a sensor: decoded small; decoded in full, then reduced."""
    checkpoint = load_checkpoint(trained / "shapes/best.pt")
    net = build_model(**checkpoint["model_arguments"])
    net.load_state_dict(checkpoint["model"])
    small, full = ConfusionMatrix(3), ConfusionMatrix(3)
    for number in range(6):
        random = np.random.default_rng([9, number])
        image, mask = draw_photo(random, number % 3)
        image = Image.fromarray(image).resize((4032, 3024), Image.Resampling.BICUBIC)
        grain = random.integers(-30, 31, (3024, 4032, 1), dtype=np.int16)
        image = Image.fromarray((np.asarray(image) + grain).clip(0, 255).astype(np.uint8))
        image.save(tmp_path / "photo.jpg", quality=90)
        small.update(mask, net.predict(tmp_path / "photo.jpg").mask("network"))
        with Image.open(tmp_path / "photo.jpg") as photo:
            full.update(mask, net.predict(photo.convert("RGB")).mask("network"))
    assert full.mean_iou() > 0.5  # of an idle network nothing could shift
    assert abs(full.mean_iou() - small.mean_iou()) < 0.002


# ------------------------------------------------------------------------- folder prediction


@pytest.fixture
def folder(tmp_path):
    """A card as it comes home: odd modes, names and sizes, and broken files."""
    root = tmp_path / "card"
    image, _ = draw_photo(np.random.default_rng(1), 1)
    photo = Image.fromarray(image).resize((160, 120))
    for name, mode in [("a/IMG_1.JPG", "RGB"), ("b/IMG_1.JPG", "L"), ("b/cmyk.jpeg", "CMYK"),
                       ("b/IMG_1.Png", "P"), ("deep/er/x.TIF", "RGB")]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        photo.convert(mode).save(root / name)
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[36867] = "2024:06:07 08:09:10"
    photo.save(root / "a/turned.jpg", exif=exif)
    (root / "a/cut.jpg").write_bytes((root / "a/IMG_1.JPG").read_bytes()[:1500])
    (root / "a/text.jpg").write_text("no photo")
    (root / "notes.txt").write_text("not a photo, not to be predicted")
    return root


def test_a_folder_is_predicted_with_every_photo_accounted_for(trained, folder, tmp_path):
    result = run_script("test.py", "--run", "shapes", "--images", folder, runs=trained)
    assert result.returncode == 0, result.stderr
    assert "8 photos" in result.stdout and "2 could not be read" in result.stdout
    out = trained / "shapes" / "predict" / "card"
    rows = {row["file"]: row for row in read_csv(out / "predictions.csv")}
    assert sorted(rows) == ["a/IMG_1.JPG", "a/cut.jpg", "a/text.jpg", "a/turned.jpg",
                            "b/IMG_1.JPG", "b/IMG_1.Png", "b/cmyk.jpeg", "deep/er/x.TIF"]
    assert "truncated" in rows["a/cut.jpg"]["failure"] and rows["a/text.jpg"]["failure"]
    assert rows["a/turned.jpg"]["datetime"] == "2024-06-07 08:09:10"
    assert rows["a/turned.jpg"]["sequence"] and not rows["a/IMG_1.JPG"]["sequence"]
    assert rows["deep/er/x.TIF"]["location"] == "deep/er"
    assert read_mask(out / "masks/a/turned.jpg.png").shape == (160, 120)
    for name in ("a/IMG_1.JPG", "b/cmyk.jpeg", "deep/er/x.TIF"):
        assert read_mask(out / f"masks/{name}.png").shape == (120, 160)
        assert rows[name]["empty"] == "FALSE" and rows[name]["species"] == "fox"
    assert not (out / "masks/a/cut.jpg.png").exists()
    assert len(list((out / "overlays").rglob("*.jpg"))) == 6


def test_an_interrupted_prediction_goes_on_and_ends_alike(trained, folder, tmp_path):
    command = ["test.py", "--run", "shapes", "--images", folder, "--out", tmp_path / "out"]
    assert run_script(*command, runs=trained).returncode == 0
    path = tmp_path / "out" / "predictions.jsonl"
    whole = path.read_bytes()
    for cut in (len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])  # a kill in mid-line
        assert run_script(*command, runs=trained).returncode == 0
        assert path.read_bytes() == whole


def test_predictions_of_two_models_are_never_mixed(trained, folder, tmp_path):
    out = tmp_path / "out"
    command = ["test.py", "--images", folder, "--out", out, "--weights"]
    assert run_script(*command, trained / "shapes" / "best.pt", runs=trained).returncode == 0
    other = load_checkpoint(trained / "shapes" / "best.pt")
    other["model"]["last.bias"][0] = 100.0
    torch.save(other, tmp_path / "blind.pt")
    assert "--out" in error_line(run_script(*command, tmp_path / "blind.pt", runs=trained))
    result = run_script(*command, tmp_path / "blind.pt", "--overwrite", runs=trained)
    assert result.returncode == 0 and "99.9 % of all pixels are background" in result.stdout


@pytest.mark.parametrize("found", [True, False])
def test_only_who_finds_no_animals_is_warned_not_who_finds_small_ones(trained, folder, tmp_path,
                                                                      found):
    command = ["test.py", "--run", "shapes", "--images", folder, "--out", tmp_path]
    assert run_script(*command, runs=trained).returncode == 0
    path = tmp_path / "predictions.jsonl"
    info, *records = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    assert any(record["blobs"] for record in records)
    for record in records:
        if record["failure"] is None:
            record["pixels"] = [10**6, 10, 0]
            record["blobs"] = record["blobs"] if found else []
    path.write_text("".join(f"{json.dumps(line)}\n" for line in [info, *records]),
                    encoding="utf-8")
    result = run_script(*command, runs=trained)  # all photos are done: it tells of the records
    assert result.returncode == 0, result.stderr
    assert ("99.9 % of all pixels are background" in result.stdout) == (not found)


@pytest.mark.parametrize(("arguments", "part"), [
    (["--run", "none"], "runs here: shapes"),
    (["--images", "/no/such/folder"], "no such folder"),
    (["--weights", "/no/such.pt"], "no such checkpoint"),
    (["mask_size=huge"], "photo, network"),
    (["device=quantum"], "device: quantum"),
])
def test_mistakes_on_the_command_line_are_named(trained, arguments, part):
    assert part in error_line(run_script("test.py", *arguments, runs=trained))


def test_an_empty_folder_is_refused(trained, tmp_path):
    (tmp_path / "empty").mkdir()
    line = error_line(run_script("test.py", "--images", tmp_path / "empty", runs=trained))
    assert "no photo in it" in line


def test_photos_are_only_read(trained, folder):
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    run_script("test.py", "--images", folder, "--overwrite", runs=trained)
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


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


# ------------------------------------------------------------------------------ side by side


def test_threads_keep_the_order_and_run_only_so_far_ahead():
    begun, done = [], []

    def numbers():
        for number in range(50):
            begun.append(number)
            yield number

    def slow_square(number):
        time.sleep(0.002 * (number % 3))
        return number**2

    for ahead in (0, 1, 5):
        begun.clear(), done.clear()
        for square in in_threads(slow_square, numbers(), ahead):
            done.append(square)
            assert len(begun) <= len(done) + ahead
        assert done == [number**2 for number in range(50)]


def test_what_a_thread_raises_comes_in_its_turn_and_ends_the_rest():
    seen = []

    def inverse(number):
        seen.append(number)
        return 1 / (number - 7)

    results = in_threads(inverse, range(1000), 4)
    assert [next(results) for _ in range(7)] == [1 / (number - 7) for number in range(7)]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert len(seen) < 20


def test_workers_change_no_prediction(trained, data_root, tmp_path):
    lines = []
    for workers in ("0", "auto", "2"):
        out = tmp_path / workers
        result = run_script("test.py", "--run", "shapes", "--images", data_root / "photos",
                            "--out", out, f"num_workers={workers}", "outputs=[masks]",
                            runs=trained)
        assert result.returncode == 0, result.stderr
        lines.append((out / "predictions.jsonl").read_text().splitlines())
    assert lines[0] == lines[1] == lines[2] and len(lines[0]) == 31
