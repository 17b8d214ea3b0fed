"""Trials: few photos, and one batch by heart."""


import numpy as np
from conftest import QUICK, run_script
from leavings import read_csv, run_folders

from camera_trapinator.data.manifest import read_manifest
from camera_trapinator.data.masks import read_mask

CONFIG = "configs/unet.yaml"


def train(data_root, runs, *knobs):
    return run_script("train.py", "--config", CONFIG, f"data_root={data_root}", *QUICK, *knobs,
                      runs=runs)


def photos_of(run, split):
    return [row["image"] for row in read_csv(run / "splits.csv") if row["split"] == split]


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
