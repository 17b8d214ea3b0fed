"""test.py as users run it: scores of the test photos, predictions for a folder."""

import json

import numpy as np
import pytest
import torch
from conftest import draw_photo, error_line, run_script
from leavings import read_csv
from PIL import Image

from camera_trapinator.data.masks import read_mask
from camera_trapinator.metrics import ConfusionMatrix
from camera_trapinator.model import build_model
from camera_trapinator.training.checkpoint import load_checkpoint

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
    folder = folder.rename(tmp_path / "whole card")
    result = run_script("test.py", "--run", "shapes", "--images", folder, runs=trained)
    assert result.returncode == 0, result.stderr
    assert "8 photos" in result.stdout and "2 could not be read" in result.stdout
    out = trained / "shapes" / "predict" / "whole card"
    rows = {row["file"]: row for row in read_csv(out / "predictions.csv")}
    assert sorted(rows) == ["a/IMG_1.JPG", "a/turned.jpg", "b/IMG_1.JPG", "b/IMG_1.Png",
                            "b/cmyk.jpeg", "deep/er/x.TIF"]
    failures = {row["file"]: row["failure"] for row in read_csv(out / "failures.csv")}
    assert sorted(failures) == ["a/cut.jpg", "a/text.jpg"]
    assert "truncated" in failures["a/cut.jpg"] and failures["a/text.jpg"]
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
