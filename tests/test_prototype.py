"""Prototyping: few photos, one batch by heart, a dry run with its costs, runs side by side."""

import csv
import json
import math
import os
import re
import shutil
import statistics
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import QUICK, error_line, run_script
from PIL import Image

from camera_trapinator import InputError
from camera_trapinator.config import config_text, parse_config
from camera_trapinator.data.manifest import read_manifest
from camera_trapinator.data.masks import read_mask
from camera_trapinator.data.splits import limit_splits
from camera_trapinator.data.workers import choose_workers
from camera_trapinator.model import build_model
from camera_trapinator.outputs.curves import read_log
from camera_trapinator.training.summary import count_levels
from camera_trapinator.transforms import zoom_and_crop
from camera_trapinator.utils import peak_memory

CONFIG = "configs/unet.yaml"


def read_csv(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def train(data_root, runs, *knobs):
    return run_script("train.py", "--config", CONFIG, f"data_root={data_root}", *QUICK, *knobs,
                      runs=runs)


def photos_of(run, split):
    return [row["image"] for row in read_csv(run / "splits.csv") if row["split"] == split]


def run_folders(runs):
    """The runs: not the memory of checked masks, nor locks."""
    return {path.name for path in runs.glob("[!.]*")}


# ----------------------------------------------------------------------------------- workers


def test_so_many_workers_as_keep_up_with_the_network(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert choose_workers(reading=0.001, computing=0.1, device="cuda") == 1
    for reading in (0.02, 0.05, 0.1, 0.3, 0.5):
        number = choose_workers(reading, computing=0.1, device="cuda")
        assert number / reading > 1 / 0.1  # photos a second, at the least as many as are learned
        assert (number - 1) / reading < 2 / 0.1  # and no more than twice as many
    assert choose_workers(reading=5.0, computing=0.1, device="cuda") == 7  # a core for the training
    # On a CPU the network needs all cores itself, unless there is much to read.
    assert choose_workers(reading=0.01, computing=0.1, device="cpu") == 0
    assert choose_workers(reading=0.3, computing=0.1, device="cpu") == 4


# ------------------------------------------------------------------------------------- limit


def many_photos(photos=400):
    """Splits, locations and class shares of photos of 5 locations and 4 classes, most empty."""
    random = np.random.default_rng(0)
    species = random.choice(4, photos, p=[0.7, 0.2, 0.07, 0.03])
    shares = np.zeros((photos, 4), np.float32)
    shares[:, 0], shares[np.arange(photos), species] = 0.9, 0.1
    shares[species == 0, 0] = 1.0
    locations = [f"site{number}" for number in random.integers(5, size=photos)]
    splits = random.choice(["train", "val", "test", ""], photos).tolist()
    return splits, locations, shares, species


def kept(splits, split):
    return {place for place, name in enumerate(splits) if name == split}


@pytest.mark.parametrize("count", [1, 7, 20, 55, 1000])
def test_few_photos_are_of_all_kinds_and_a_part_of_more(count):
    splits, locations, shares, species = many_photos()
    for seed in range(5):
        few = limit_splits(splits, {"train": count, "val": 3}, locations, shares, seed)
        assert few == limit_splits(splits, {"train": count, "val": 3}, locations, shares, seed)
        chosen, all_of_them = kept(few, "train"), kept(splits, "train")
        assert chosen <= all_of_them and len(chosen) == min(count, len(all_of_them))
        assert kept(few, "test") == kept(splits, "test") and len(kept(few, "val")) == 3
        assert any(species[place] for place in chosen)
        if count >= 4:
            assert {species[place] for place in chosen} == {0, 1, 2, 3}
        more = limit_splits(splits, {"train": count + 1}, locations, shares, seed)
        assert chosen <= kept(more, "train")
        # One of each kind in turn: who still has a photo left is at most one behind.
        taken, left = {}, set()
        for place in all_of_them:
            kind = locations[place], int(species[place])
            taken[kind] = taken.get(kind, 0) + (place in chosen)
            if place not in chosen:
                left.add(kind)
        assert all(taken[kind] >= max(taken.values()) - 1 for kind in left)


def test_another_seed_takes_other_photos():
    splits, locations, shares, _ = many_photos()
    chosen = {tuple(limit_splits(splits, {"train": 10}, locations, shares, seed))
              for seed in range(5)}
    assert len(chosen) == 5


def test_a_limited_run_learns_from_so_many_photos_and_says_so(data_root, tmp_path):
    for name in ("a", "b"):
        result = run_script("train.py", "--config", CONFIG, "--run", name,
                            f"data_root={data_root}", *QUICK, "epochs=1", "limit=5", runs=tmp_path)
        assert result.returncode == 0, result.stderr
    assert "5 train" in result.stdout and "5 val" in result.stdout
    assert [len(photos_of(tmp_path / "a", split)) for split in ("train", "val", "test")] == [
        5, 5, 6]
    assert photos_of(tmp_path / "a", "train") == photos_of(tmp_path / "b", "train")
    result = run_script("test.py", "--run", "a", runs=tmp_path)
    assert result.returncode == 0 and "6 photos tested" in result.stdout


# ------------------------------------------------------------------------- one batch by heart


def test_one_batch_is_learned_by_heart(data_root, tmp_path):
    result = train(data_root, tmp_path, "overfit_one_batch=true", "epochs=10", "width=8",
                   "flips=true", "flip=1", "noise=60")
    assert result.returncode == 0, result.stderr
    assert "verdict     good: it learns them by heart" in result.stdout
    assert run_folders(tmp_path) == {"unet_overfit"}  # the name of the real run is free
    log = read_csv(tmp_path / "unet_overfit" / "log.csv")
    assert float(log[-1]["train_loss"]) < 0.1 * float(log[0]["train_loss"])
    assert float(log[-1]["train_loss"]) < 0.05 and float(log[-1]["val_loss"]) < 0.05
    assert float(log[-1]["mean_iou"]) > 0.9
    photos = photos_of(tmp_path / "unet_overfit", "train")
    assert len(photos) == 4 and not photos_of(tmp_path / "unet_overfit", "val")
    masks = {row.image: row.mask for row in read_manifest(data_root / "manifest.csv")}
    present = {int(value) for photo in photos if masks[photo] != "background"
               for value in np.unique(read_mask(data_root / masks[photo]))}
    assert present == {0, 1, 2}  # the batch holds every species


def test_what_is_not_learned_is_said_plainly(data_root, tmp_path):
    result = train(data_root, tmp_path, "overfit_one_batch=true", "epochs=1",
                   "learning_rate=1e-6")
    assert result.returncode == 0, result.stderr
    assert "verdict     not yet: it does not learn them by heart" in result.stdout


@pytest.mark.parametrize(("size", "place"), [((10, 20), (3, 5)), ((4, 31), (0, 11))])
def test_a_centred_crop_lies_in_the_middle(size, place):
    image = torch.arange(3 * size[0] * size[1]).reshape(3, *size).to(torch.uint8)
    mask = image[0] % 5
    crop, crop_mask = zoom_and_crop(image, mask, (4, 10), 1.0, centred=True)
    top, left = (size[0] - 4) // 2, (size[1] - 10) // 2
    assert (top, left) in (place, (0, 10))
    assert torch.equal(crop, image[:, top:top + 4, left:left + 10])
    assert torch.equal(crop_mask, mask[top:top + 4, left:left + 10])
    small, small_mask = zoom_and_crop(image, mask, (size[0] + 4, size[1]), 1.0, centred=True)
    assert torch.equal(small[:, 2:-2], image) and torch.equal(small_mask[2:-2], mask)
    assert (small_mask[:2] == 255).all() and (small_mask[-2:] == 255).all()


# ------------------------------------------------------------------------------------ dry run


def levels_by_hand(width, depth, classes, height, columns):
    """(name, parameters, FLOPs) of the paper's U-Net with batch normalisation, by the formulas."""
    def convs(*channels, size):
        pairs = list(zip(channels, channels[1:], strict=False))
        return (sum(9 * a * b + 2 * b for a, b in pairs),
                sum(2 * 9 * a * b * size for a, b in pairs))

    height, columns = (math.ceil(side / 2**depth) * 2**depth for side in (height, columns))
    channels = [width * 2**level for level in range(depth + 1)]
    sizes = [height * columns // 4**level for level in range(depth + 1)]
    rows = [("first", *convs(3, width, width, size=sizes[0]))]
    for level in range(depth):
        rows.append((f"downs.{level}", *convs(channels[level], channels[level + 1],
                                              channels[level + 1], size=sizes[level + 1])))
    for number, level in enumerate(reversed(range(depth))):
        large, small = channels[level + 1], channels[level]
        parameters, flops = convs(2 * small, small, small, size=sizes[level])
        # Each output pixel of a 2 x 2 up-convolution of stride 2 sees one input pixel.
        rows.append((f"ups.{number}", parameters + 4 * large * small + small,
                     flops + 2 * large * small * sizes[level]))
    rows.append(("last", width * classes + classes, 2 * width * classes * sizes[0]))
    return [*rows, ("", sum(row[1] for row in rows), sum(row[2] for row in rows))]


@pytest.mark.parametrize(("width", "depth", "height", "columns"), [
    (4, 2, 48, 64), (3, 3, 41, 70), (5, 1, 16, 16)])
def test_parameters_and_flops_are_those_of_the_formulas(width, depth, height, columns):
    net = build_model(num_classes=3, working_scale=64, width=width, depth=depth)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    levels = count_levels(net, height, columns)
    assert [(level.name, level.parameters, level.flops) for level in levels] == (
        levels_by_hand(width, depth, 3, height, columns))
    assert levels[-1].shape == (3, height, columns)
    assert levels[depth].shape == (width * 2**depth, math.ceil(height / 2**depth),
                                   math.ceil(columns / 2**depth))
    assert net.training and all(torch.equal(value, before[name])
                                for name, value in net.state_dict().items())


def test_the_levels_of_an_encoder_add_up_to_the_whole():
    net = build_model(encoder="resnet18", num_classes=3, working_scale=64, width=4)
    *levels, whole = count_levels(net, 64, 96)
    assert [level.name for level in levels] == ["encoder", "ups.0", "ups.1", "ups.2", "ups.3",
                                                "scene", "last"]
    assert levels[0].shape == (512, 2, 3)
    assert sum(level.flops for level in levels) == whole.flops > 1e8
    assert sum(level.parameters for level in levels) == whole.parameters == sum(
        weight.numel() for weight in net.parameters())


def test_a_dry_run_tells_the_costs_and_leaves_nothing(data_root, tmp_path):
    result = train(data_root, tmp_path, "dry_run=true", "num_workers=2", "epochs=7", "ema=0.9")
    assert result.returncode == 0, result.stderr
    assert run_folders(tmp_path) == set()
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("level "))
    expected = [(name or "all, crop", f"{parameters:,}", f"{flops / 1e9:.3f}")
                for name, parameters, flops in levels_by_hand(4, 2, 3, 48, 64)]
    table = [re.split(r"\s{2,}", line) for line in lines[start + 1:start + 1 + len(expected)]]
    assert [(name, parameters, flops) for name, _, parameters, flops in table] == expected
    assert table[0][1] == "4 x 48 x 64" and table[2][1] == "16 x 12 x 16"
    # The estimate follows from the lines above it and from the size of a real epoch.
    text = "\n".join(lines)
    photos, validated = map(int, re.search(r"(\d+) train .*?(\d+) val", text).groups())
    step, one, read, read_one = map(float, re.search(
        r"speed +(\d+) ms .*?, ([\d.]+) ms a val.*reading ([\d.]+) and ([\d.]+) ms", text).groups())
    seconds = (photos // 4 * max(step, 4 * read / 2) + validated * max(one, read_one / 2)) / 1000
    told = float(re.search(r"an epoch takes about ([\d.]+) s ", text).group(1))
    assert told == pytest.approx(seconds, rel=0.1, abs=0.01)
    assert "7 epochs" in text and re.search(r"memory +[\d,]+ MB", text)


@pytest.mark.parametrize("fault", ["truncated", "knob"])
def test_a_dry_run_shows_a_fault_as_a_real_run_does(fault, own_data, tmp_path):
    knobs = ["dry_run=true"]
    if fault == "truncated":
        for path in own_data.glob("photos/*/*/*.JPG"):
            path.write_bytes(path.read_bytes()[:-300])
    else:
        knobs.append("class_weights=1, 2")
    line = error_line(train(own_data, tmp_path / "runs", *knobs))
    assert {"truncated": "truncated", "knob": "one for each class"}[fault] in line
    assert run_folders(tmp_path / "runs") == set()


def test_the_peak_of_memory_grows_with_what_is_used(monkeypatch):
    before = peak_memory(torch.device("cpu"))
    block = np.ones(before + 50_000_000, np.uint8)  # more than there ever was
    assert peak_memory(torch.device("cpu")) >= block.nbytes
    monkeypatch.setattr(Path, "exists", lambda path: False)  # no /proc, as on macOS
    assert peak_memory(torch.device("cpu")) >= block.nbytes
    monkeypatch.setitem(sys.modules, "resource", None)  # as on Windows
    assert peak_memory(torch.device("cpu")) is None


# ------------------------------------------------------------------------------- compare runs

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
    (folder / "config.yaml").write_text("overfit_one_batch: true")
    if by == "photos":  # they cannot be counted from the splits
        with pytest.raises(InputError, match="one batch only; compare it by epoch"):
            compare_runs.read_run(folder, "a", by)


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
