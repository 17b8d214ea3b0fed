"""compare_runs.py: runs side by side, in a table and in curves."""

import json
import shutil
import statistics

import numpy as np
import pytest
import torch
from conftest import error_line, run_script
from leavings import read_csv
from PIL import Image

from camera_trapinator import InputError
from camera_trapinator.config import config_text, parse_config
from camera_trapinator.model import build_model
from camera_trapinator.outputs.curves import read_log

LOG = "epoch,lr,train_loss,val_loss,mean_iou,foreground_iou,images_per_second,seconds"


def make_run(folder, log, *knobs, train_photos=11, unseen=None):
    """A run's folder with what is compared of it; `log`: its lines, or rows of numbers for LOG."""
    folder.mkdir(parents=True)
    if not isinstance(log, str):
        log = "\n".join([LOG, *(",".join("" if cell is None else str(cell) for cell in row)
                                for row in log)]) + "\n"
    (folder / "log.csv").write_text(log)
    (folder / "config.yaml").write_text(config_text(parse_config("", "x", knobs)))
    (folder / "splits.csv").write_text("image,location,sequence,split\n" + "".join(
        f"{number}.jpg,a,,train\n" for number in range(train_photos)) + "x.jpg,b,,test\n")
    if unseen:
        (folder / "test").mkdir()
        (folder / "test" / "report.json").write_text(json.dumps({"locations": {
            "unseen": {"mean_iou": unseen[0], "foreground_iou": unseen[1], "images": 9}}}))
    return folder


def compare(runs, *arguments):
    result = run_script("compare_runs.py", *arguments, "--out", runs / "out.png", runs=runs)
    assert result.returncode == 0, result.stderr
    return result.stdout, {row["run"]: row for row in read_csv(runs / "out.csv")}


def colours_in(path):
    """The pixels of each of matplotlib's first three colours, by quarter of the picture."""
    picture = np.asarray(Image.open(path).convert("RGB")).astype(int)
    middle = picture.shape[0] * 48 // 100, picture.shape[1] // 2
    quarters = [picture[rows, columns]
                for rows in (slice(0, middle[0]), slice(middle[0], int(1.9 * middle[0])))
                for columns in (slice(0, middle[1]), slice(middle[1], None))]
    return [[int((abs(quarter - colour).max(axis=-1) < 20).sum())
             for colour in ((31, 119, 180), (255, 127, 14), (44, 160, 44))]
            for quarter in quarters]


def test_a_real_run_and_others_side_by_side(trained, tmp_path):
    shutil.copytree(trained / "shapes", tmp_path / "shapes")
    make_run(tmp_path / "other", [(1, 0.1, 0.9, 0.8, 0.2, 0.31, 10, 3),
                                  (2, 0.1, 0.7, 0.6, 0.45, 0.4, 30, 3),
                                  (3, 0.0, 0.6, 0.5, 0.4, 0.5, 40, 4)],
             "width=96", "crop_size=64,96", "flips=true", unseen=(0.375, 0.625))
    regression = make_run(tmp_path / "else" / "snow",  # other columns, and some of ours missing
                          "epoch,pool,train_loss,val_loss,mae,seconds\n1,all,3,2,0.5,7\n"
                          "2,all,2,1.5,0.25,7\n3,all,1,1.75,0.125,7\n")
    stdout, rows = compare(tmp_path, "shapes", "other", regression)
    assert list(rows) == ["shapes", "other", "snow"]

    log = read_csv(tmp_path / "shapes" / "log.csv")
    best = max(log, key=lambda row: float(row["mean_iou"] or 0))
    row = rows["shapes"]
    assert row["epochs_done"] == "15" and row["best_epoch"] == best["epoch"]
    assert row["mean_iou"] == f"{float(best['mean_iou']):.6g}"
    assert float(row["foreground_iou"]) == float(best["foreground_iou"])
    assert float(row["seconds"]) == pytest.approx(
        sum(float(line["seconds"]) for line in log), rel=1e-5)
    assert float(row["photos_per_second"]) == pytest.approx(statistics.median(
        float(line["images_per_second"]) for line in log), rel=1e-5)
    net = build_model(**torch.load(tmp_path / "shapes" / "best.pt",
                                   weights_only=True)["model_arguments"])
    assert int(row["parameters"]) == sum(weight.numel() for weight in net.parameters())

    row = rows["other"]
    assert (row["best_epoch"], row["mean_iou"], row["foreground_iou"]) == ("2", "0.45", "0.4")
    assert (row["test_mean_iou"], row["test_foreground_iou"]) == ("0.375", "0.625")
    assert (row["photos_per_second"], row["seconds"], row["parameters"]) == ("30", "10", "")
    row = rows["snow"]
    assert (row["best_epoch"], row["mean_iou"], row["seconds"]) == ("2", "", "21")

    # Of the knobs, those that differ, and no others.
    assert (rows["shapes"]["width"], rows["other"]["width"]) == ("8", "96")
    assert (rows["other"]["crop_size"], rows["other"]["flips"]) == ("64, 96", "true")
    assert not {"momentum", "seed", "loss"} & set(row)
    assert "0.450" in stdout and "width" in stdout.splitlines()[0]

    quarters = colours_in(tmp_path / "out.png")
    assert all(min(colours) > 50 for colours in quarters[:2])  # the losses of all three
    assert all(min(colours[:2]) > 50 and colours[2] < 10 for colours in quarters[2:])


def test_runs_that_differ_in_their_seed_are_averaged(tmp_path):
    scores = {}
    for width in (16, 32):
        for seed in range(3):
            scores[width, seed] = 0.5 + width / 100 + [0.0, 0.04, 0.11][seed]
            rows = [(epoch, 0.1, 1 / epoch + seed, 0.5, scores[width, seed] * epoch / 4,
                     0.9, 20 + seed, 10 + seed) for epoch in range(1, 5)]
            make_run(tmp_path / f"width{width}_seed{seed}", rows[:4 - (seed == 2)], f"seed={seed}",
                     f"width={width}", unseen=(0.5 + seed / 10, 0.75) if width == 16 else None)
    make_run(tmp_path / "alone", [(1, 0.1, 1, 0.5, 0.25, 0.9, 20, 10)], "width=32", "depth=2")
    names = [f"width{width}_seed{seed}" for seed in range(3) for width in (16, 32)]
    stdout, rows = compare(tmp_path, *names, "alone", "--group")
    assert [(row["run"], row["runs"], row["width"], row["depth"]) for row in rows.values()] == [
        ("width16_seed", "3", "16", "4"), ("width32_seed", "3", "32", "4"),
        ("alone", "1", "32", "2")]
    for width in (16, 32):
        values = [scores[width, seed] * (3 if seed == 2 else 4) / 4 for seed in range(3)]
        row = rows[f"width{width}_seed"]
        assert float(row["mean_iou"]) == pytest.approx(statistics.mean(values), rel=1e-5)
        assert float(row["mean_iou_std"]) == pytest.approx(statistics.stdev(values), rel=1e-5)
        assert f"{statistics.mean(values):.3f} ± {statistics.stdev(values):.3f}" in stdout
    assert float(rows["width16_seed"]["test_mean_iou"]) == pytest.approx(0.6)
    assert float(rows["width16_seed"]["test_mean_iou_std"]) == pytest.approx(0.1)
    assert rows["width32_seed"]["test_mean_iou"] == "" and rows["alone"]["mean_iou_std"] == ""
    assert "seed" not in rows["alone"]
    grouped = Image.open(tmp_path / "out.png").size
    band = np.asarray(Image.open(tmp_path / "out.png").convert("RGB")).astype(int)
    assert (abs(band - (221, 235, 244)).max(axis=-1) < 4).sum() > 1000  # blue at 15 %, on white
    assert grouped[0] > 1000


@pytest.mark.parametrize(("by", "first", "last"), [("seconds", 3.0, 10.0), ("photos", 8.0, 24.0)])
def test_curves_over_seconds_and_photos(by, first, last, tmp_path, monkeypatch):
    folder = make_run(tmp_path / "a", [(1, 0, 3, 3, 0.1, 0.2, 9, 3), (2, 0, 2, 2, 0.2, 0.3, 9, 3),
                                       (3, 0, 1, 1, 0.3, 0.4, 9, 4)])  # 11 photos, batches of 8
    monkeypatch.syspath_prepend("scripts")
    import compare_runs

    curve = compare_runs.read_run(folder, "a", by).curve
    assert (curve.x[0], curve.x[-1]) == (first, last)
    assert curve.means["val_loss"].tolist() == [3, 2, 1]
    if by == "photos":  # today's logs tell: of a run that overfits one batch, splits.csv does not
        header, *rows = (folder / "log.csv").read_text().splitlines()
        (folder / "log.csv").write_text("\n".join(
            [f"{header},photos", *(f"{row},160" for row in rows)]) + "\n")
        assert compare_runs.read_run(folder, "a", by).curve.x.tolist() == [160, 320, 480]


@pytest.mark.parametrize(("content", "part"), [
    (b"", "no column epoch, or no row"), (LOG.encode() + b"\n", "no column epoch, or no row"),
    (LOG.encode() + b"\n1,2,3\n", "line 2 has another number of cells"),
    (LOG.encode() + b"\n1,0.1,1,1,1,1,1,1,9\n", "line 2 has another number of cells"),
    (LOG.encode() + b"\n1,0.1,much,1,1,1,1,1\n", "could not convert"),
    (b"\x00\x01\n\x00", ""), (b"epoch,train_loss\n1,\xff\n", "utf-8"),
])
def test_a_damaged_log_is_named_in_one_line(content, part, tmp_path):
    (tmp_path / "log.csv").write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_log(tmp_path / "log.csv", ["epoch", "train_loss"])
    message = str(caught.value)
    assert f"{tmp_path / 'log.csv'}: no training log (" in message and part in message
    assert "\n" not in message


@pytest.mark.parametrize(("name", "part"), [
    ("none", "none: no such run, and no such folder; runs in "), ("bad", "log.csv: no such file"),
])
def test_what_cannot_be_compared_is_named_in_one_line(name, part, tmp_path):
    make_run(tmp_path / "good", [(1, 0.1, 1, 0.5, 0.25, 0.9, 20, 10)])
    (make_run(tmp_path / "bad", "") / "log.csv").unlink()
    line = error_line(run_script("compare_runs.py", "good", name, runs=tmp_path))
    assert part in line and name in line
    assert not (tmp_path / "compare.png").exists()
