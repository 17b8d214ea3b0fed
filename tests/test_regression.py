"""Regression: maps are read exactly, scored as scikit-learn does, learned, and written back."""

import base64
import csv
import io
import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import QUICK, error_line, run_script
from PIL import Image
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from camera_trapinator import InputError
from camera_trapinator.config import parse_config
from camera_trapinator.data.checks import check_maps, pool_maps
from camera_trapinator.data.manifest import Row, read_manifest, write_manifest
from camera_trapinator.data.masks import read_map, write_mask
from camera_trapinator.dataset import CameraTrapDataset
from camera_trapinator.loss import build_criterion
from camera_trapinator.metrics import RegressionErrors
from camera_trapinator.model import UNet
from camera_trapinator.networks.weights import adopt
from camera_trapinator.outputs.maps import map_record, values_of
from camera_trapinator.transforms import train_transform
from camera_trapinator.utils import ROOT

NAN = float("nan")


def make_distances(root, locations=6, photos=6):
    """A data root whose photos are the brighter, the nearer: maps in cm, 65535 in a strip."""
    rows = []
    for location in range(locations):
        for number in range(photos):
            random = np.random.default_rng([location, number])
            rows_, columns = np.mgrid[:48, :64]
            metres = (2 + 0.1 * rows_ + 0.1 * columns * random.random()).astype(np.float32)
            y, x, size = random.integers(10, 30), random.integers(10, 40), random.integers(6, 14)
            metres[y:y + size, x:x + size] = random.uniform(1, 12)
            grey = (255 - 18 * metres + random.normal(0, 3, metres.shape)).clip(0, 255)
            image = np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)
            stored = np.rint(100 * metres).astype(np.uint16)
            stored[-4:], image[-4:] = 65535, 0
            name = f"site{location}/IMG_{number}"
            for folder in ("photos", "maps"):
                (root / folder / f"site{location}").mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(root / f"photos/{name}.jpg", quality=95)
            Image.fromarray(stored).save(root / f"maps/{name}.png")
            rows.append(Row(f"photos/{name}.jpg", f"maps/{name}.png", f"site{location}",
                            f"2024-05-01 10:{number:02}:00", f"site{location}#{number}"))
    write_manifest(root / "distance.csv", rows)
    return root


@pytest.fixture(scope="module")
def distances(tmp_path_factory):
    return make_distances(tmp_path_factory.mktemp("distances"))


def knobs(root) -> list[str]:
    return [f"data_root={root}", "manifest=distance.csv", "task=regression",
            "quantity=distance (m)", "target_scale=0.01", "loss=least_squares",
            "scale_range=1,1", "brightness=0", "contrast=0", "colour=0", "blur=0", "noise=2",
            *QUICK]


# ------------------------------------------------------------------------------ the scores


def test_scores_are_scikit_learns_over_all_photos_together():
    random = np.random.default_rng(0)
    errors, truths, predictions = RegressionErrors(), [], []
    for shape in ((3, 5), (40, 30), (1, 1), (7, 2)):
        truth = random.normal(250, 3, shape).astype(np.float32)
        predicted = (truth + random.normal(0.5, 2, shape)).astype(np.float32)
        truth[random.random(shape) < 0.3] = NAN
        part = RegressionErrors()
        part.update(torch.from_numpy(truth), torch.from_numpy(predicted))
        errors += RegressionErrors.of(json.loads(json.dumps(part.sums.tolist())))
        truths.append(truth[~np.isnan(truth)])
        predictions.append(predicted[~np.isnan(truth)])
    truth, predicted = (np.concatenate(parts).astype(np.float64)
                        for parts in (truths, predictions))
    assert errors.mae() == pytest.approx(mean_absolute_error(truth, predicted))
    assert errors.rmse() == pytest.approx(math.sqrt(mean_squared_error(truth, predicted)))
    assert errors.r2() == pytest.approx(r2_score(truth, predicted), abs=1e-9)
    assert errors.bias() == pytest.approx((predicted - truth).mean())


def test_scores_without_truth_are_none_and_constant_truth_has_no_r2():
    errors = RegressionErrors()
    errors.update(np.full((4, 4), NAN, np.float32), np.zeros((4, 4), np.float32))
    assert errors.scores() == {"mae": None, "rmse": None, "r2": None, "bias": None}
    errors.update(np.full((1000, 1000), 3.7, np.float32), np.zeros((1000, 1000), np.float32))
    assert errors.r2() is None and errors.mae() == pytest.approx(3.7)
    with pytest.raises(ValueError, match="pixels"):
        errors.update(np.zeros((2, 3)), np.zeros((3, 2)))


@pytest.mark.parametrize("name", ["least_squares", "huber"])
def test_losses_count_in_spreads_and_ignore_nan(name):
    values, targets = 10 * torch.randn(2, 1, 5, 6), 10 * torch.randn(2, 5, 6)
    targets[0, :3] = NAN
    total, weight = build_criterion(name, spread=4.0)(values, targets)
    known = ~targets.isnan()
    pair = values[:, 0][known] / 4, targets[known] / 4
    oracle = (F.mse_loss(*pair) if name == "least_squares" else 2 * F.huber_loss(*pair, delta=1.0))
    assert float(total / weight) == pytest.approx(float(oracle), rel=1e-5)
    assert int(weight) == int(known.sum())


# -------------------------------------------------------------------------------- the maps


@pytest.mark.parametrize("name, stored, known", [
    ("a.png", np.array([[0, 65534], [65535, 300]], np.uint16), [[0, 65534], [NAN, 300]]),
    ("a.tif", np.array([[0, 65534], [65535, 300]], np.uint16), [[0, 65534], [NAN, 300]]),
    ("a.png", np.array([[0, 254, 255]], np.uint8), [[0, 254, NAN]]),
    ("a.tif", np.array([[-1.5, NAN, np.inf, 255]], np.float32), [[-1.5, NAN, NAN, 255]]),
    ("a.npy", np.array([[-1.5, NAN, 65535]], np.float64), [[-1.5, NAN, 65535]]),
    ("a.npy", np.array([[3, 65535]], np.uint16), [[3, NAN]]),
])
def test_every_form_of_map_is_read_exactly(tmp_path, name, stored, known):
    if name.endswith("npy"):
        np.save(tmp_path / name, stored)
    else:
        Image.fromarray(stored).save(tmp_path / name)
    values = read_map(tmp_path / name)
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, np.array(known, np.float32))


def test_what_is_no_map_is_refused_in_one_line(tmp_path):
    grey = np.full((4, 6), 9, np.uint8)
    Image.fromarray(grey).save(tmp_path / "a.jpg")
    Image.fromarray(np.stack([grey] * 3, -1)).save(tmp_path / "colour.png")
    write_mask(tmp_path / "classes.png", grey, [(0, 0, 0)])
    np.save(tmp_path / "pickle.npy", np.array([{"a": 1}], object), allow_pickle=True)
    np.save(tmp_path / "long.npy", np.zeros((2, 3, 4), np.float32))
    np.save(tmp_path / "signed.npy", np.zeros((2, 3), np.int64))
    (tmp_path / "text.png").write_text("no picture")
    for name, words in [("a.jpg", "JPEG"), ("colour.png", "mode RGB"), ("classes.png", "palette"),
                        ("pickle.npy", "pickle"), ("long.npy", "(2, 3, 4)"),
                        ("signed.npy", "int64"), ("text.png", "not a picture"),
                        ("none.npy", "no such file")]:
        with pytest.raises(InputError) as error:
            read_map(tmp_path / name)
        message = str(error.value)
        assert name in message and words.lower() in message.lower() and "\n" not in message, name


def test_the_dataset_gives_numbers_in_their_unit(distances):
    manifest = read_manifest(distances / "distance.csv")
    image, values, _ = CameraTrapDataset(manifest, distances, 32, target_scale=0.01)[0]
    stored = np.array(Image.open(distances / manifest[0].mask)).astype(np.float64)
    stored[stored == 65535] = NAN
    # At half the size each pixel is one of its four, never a mean.
    blocks = stored.reshape(24, 2, 32, 2).transpose(0, 2, 1, 3).reshape(24, 32, 4) / 100
    assert image.shape == (3, 24, 32) and values.dtype == torch.float32
    same = np.isclose(blocks, values.numpy()[..., None], equal_nan=True)
    assert same.any(axis=-1).all() and values[-1].isnan().all()
    empty, zero = Row(manifest[0].image), Row(manifest[0].image, "background")
    assert CameraTrapDataset([empty], distances, 32, target_scale=1.0)[0][1].isnan().all()
    assert (CameraTrapDataset([zero], distances, 32, target_scale=1.0)[0][1] == 0).all()


def test_zoom_and_flip_move_numbers_with_their_pixels_and_change_none():
    grey = torch.arange(0, 240, 4).repeat(40, 1).to(torch.uint8)  # a number for each column
    plain = {"brightness": 0, "contrast": 0, "colour": 0, "grayscale": 0, "noise": 0, "blur": 0}
    for seed in range(20):
        torch.manual_seed(seed)
        image, values = train_transform(grey.repeat(3, 1, 1), grey.float() / 8,
                                        crop_size=(48, 64), scale_range=(0.6, 1.5),
                                        animal_crops=0.0, flip=0.5, **plain)
        inside = ~values.isnan()
        assert inside.any() and values[inside].max() <= 239 / 8
        assert set((8 * values[inside]).tolist()) <= set(range(0, 240, 4))
        # Where no margin is near, photo and map agree but for the smoothing of the photo.
        core = F.max_pool2d((~inside).float()[None], 9, 1, 4)[0] == 0
        assert core.any() and (image[0].float()[core] - 8 * values[core]).abs().max() < 8
        margin = F.max_pool2d(inside.float()[None], 9, 1, 4)[0] == 0
        assert (image[0][margin] == 116).all()


def test_maps_are_checked_and_remembered(tmp_path):
    root = make_distances(tmp_path, locations=1, photos=3)
    manifest, memory = read_manifest(root / "distance.csv"), tmp_path / "memory.csv"
    facts = check_maps(manifest, root, memory)
    assert check_maps(manifest, root, memory) == facts
    values = np.concatenate([read_map(root / row.mask).ravel() for row in manifest]) / 100
    pooled = pool_maps(facts, 0.01)
    assert pooled["mean"] == pytest.approx(np.nanmean(values), rel=1e-5)
    assert pooled["spread"] == pytest.approx(np.nanstd(values), rel=1e-5)
    assert pooled["high"] == pytest.approx(np.nanmax(values)) and pooled["whole"]
    first = root / manifest[0].mask
    for broken, words in [(np.full((48, 64), 65535, np.uint16), "no pixel of the map has a value"),
                          (np.zeros((64, 48), np.uint16), "on its side"),
                          (np.zeros((48, 48), np.uint16), "aspect ratio")]:
        Image.fromarray(broken).save(first)
        with pytest.raises(InputError, match=words):
            check_maps(manifest, root, memory)
    first.unlink()
    with pytest.raises(InputError, match="no such map"):
        check_maps(manifest, root, memory)


# ------------------------------------------------------------------------------- the model


def test_a_regression_begins_at_the_mean_and_keeps_its_unit_in_the_checkpoint():
    net = UNet(num_classes=1, working_scale=32, width=4, depth=1)
    net.expect_values(400.0, 50.0)
    torch.nn.init.zeros_(net.last.weight)
    photo = np.random.default_rng(0).integers(0, 256, (32, 64, 3)).astype(np.uint8)
    values = net.predict(photo).values()
    assert values.shape == (32, 64) and np.allclose(values, 400)
    assert net.predict(photo).values("network").shape == (16, 32)
    torch.nn.init.normal_(net.last.weight)
    other = UNet(**net.arguments)
    other.load_state_dict(net.state_dict())
    np.testing.assert_array_equal(other.predict(photo).values(), net.predict(photo).values())
    assert "value_mean" not in UNet(2, 32, width=4, depth=1).state_dict()


def test_init_from_takes_the_unit_over_only_with_the_quantity():
    old, same, new = (UNet(1, 32, width=4, depth=1) for _ in range(3))
    classes = UNet(3, 32, width=4, depth=1)
    old.expect_values(5.0, 2.0)
    for net in (same, new):
        net.expect_values(70.0, 9.0)
    adopt(same, ["distance (m)"], old.state_dict(), ["distance (m)"])
    assert (float(same.value_mean), float(same.value_spread)) == (5.0, 2.0)
    assert torch.equal(same.last.weight, old.last.weight)
    adopt(new, ["snow (cm)"], old.state_dict(), ["distance (m)"])
    assert float(new.value_mean) == 70.0 and torch.equal(
        new.first[0].weight, old.first[0].weight)
    adopt(new, ["snow (cm)"], classes.state_dict(), ["background", "fox", "deer"])
    assert float(new.value_mean) == 70.0 and torch.equal(
        new.first[0].weight, classes.first[0].weight)


def test_a_record_holds_its_map_to_a_65535th():
    values = np.random.default_rng(0).normal(30, 9, (24, 32)).astype(np.float32)
    record = json.loads(json.dumps(map_record("a.jpg", values, width=64, height=48)))
    step = (values.max() - values.min()) / 65535
    assert np.abs(values_of(record) - values).max() <= 0.51 * step + 1e-5
    assert record["median"] == pytest.approx(np.median(values))
    assert Image.open(io.BytesIO(base64.b64decode(record["map"]))).size == (32, 24)
    flat = map_record("a.jpg", np.full((3, 4), 7.5, np.float32), width=4, height=3)
    assert (values_of(flat) == 7.5).all()


# ------------------------------------------------------------------------------ the config


@pytest.mark.parametrize("text, cure", [
    ("task: regression", "set loss: least_squares, or huber"),
    ("loss: huber", "set task: regression"),
    ("task: regression\nloss: huber\noutputs: [csv, coco]", "masks, overlays, csv"),
    ("task: regression\nloss: huber\nclass_weights: balanced", "class_weights: none"),
])
def test_what_does_not_suit_the_task_is_refused_with_the_cure(text, cure):
    with pytest.raises(InputError, match=cure):
        parse_config(text, "x.yaml")


def test_default_outputs_of_a_regression_are_its_own():
    config = parse_config("task: regression\nloss: huber", "x.yaml")
    assert config.outputs == ("masks", "overlays", "csv")


# ------------------------------------------------------------------------------ the scripts


@pytest.fixture(scope="module")
def learned(tmp_path_factory, distances):
    """The folder of runs with the trained and tested run `near` in it, and what was printed."""
    runs = tmp_path_factory.mktemp("runs")
    result = run_script("train.py", "--config", ROOT / "configs/unet.yaml", "--run", "near",
                        *knobs(distances), "epochs=15", "width=8", runs=runs)
    assert result.returncode == 0, result.stderr
    tested = run_script("test.py", "--run", "near", runs=runs)
    assert tested.returncode == 0, tested.stderr
    return runs, result.stdout, tested.stdout


def test_it_learns_and_the_report_is_of_the_written_maps(learned, distances):
    runs, trained, tested = learned
    report = json.loads((runs / "near/test/report.json").read_text())
    assert report["r2"] > 0.8 and report["images"] == 6 and report["failures"] == 0
    assert "R2" in trained and "distance (m)" in trained and "unseen locations" in tested
    rows = {row.image: row for row in read_manifest(distances / "distance.csv")}
    truths, predictions = [], []
    for path in (runs / "near/test/maps").rglob("*.png"):
        image = path.relative_to(runs / "near/test/maps").as_posix().removesuffix(".png")
        truth, predicted = read_map(distances / rows[image].mask), read_map(path)
        truths.append(truth[~np.isnan(truth)] / 100)
        predictions.append(predicted[~np.isnan(truth)] / 100)
    truth, predicted = np.concatenate(truths), np.concatenate(predictions)
    assert report["r2"] == pytest.approx(r2_score(truth, predicted), abs=2e-3)
    assert report["mae"] == pytest.approx(mean_absolute_error(truth, predicted), abs=0.02)
    assert report["bias"] == pytest.approx((predicted - truth).mean(), abs=0.02)
    with open(runs / "near/test/per_location.csv", newline="") as file:
        places = list(csv.DictReader(file))
    assert {row["location"]: int(row["images"]) for row in places} == {
        name: scores["images"] for name, scores in report["per_location"].items()}


def test_best_is_the_lowest_error_and_the_run_tells_of_it(learned):
    run = learned[0] / "near"
    with open(run / "log.csv", newline="") as file:
        log = list(csv.DictReader(file))
    best = torch.load(run / "best.pt", weights_only=True)["history"][-1]["epoch"]
    assert best == int(min(log, key=lambda row: float(row["rmse"]))["epoch"])
    card = (run / "model_card.md").read_text(encoding="utf-8")
    assert "distance (m) at every pixel" in card and "RMSE" in card and "unseen locations" in card
    assert Image.open(run / "curves.png").width > 1000 and (run / "test/worst.jpg").exists()


def test_a_folder_is_predicted_and_gone_on_with(learned, distances, tmp_path):
    runs, folder, out = learned[0], tmp_path / "card", tmp_path / "out"
    folder.mkdir()
    for number in range(3):
        content = (distances / f"photos/site0/IMG_{number}.jpg").read_bytes()
        (folder / f"IMG_{number}.JPG").write_bytes(content)
    (folder / "IMG_9.JPG").write_bytes(content[:400])

    def predict(*extra):
        return run_script("test.py", "--run", "near", "--images", folder, "--out", out, *extra,
                          runs=runs)

    result = predict()
    assert result.returncode == 0, result.stderr
    assert "4 photos: distance (m) from" in result.stdout and "1 could not be read" in result.stdout
    with open(out / "predictions.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["file"] for row in table] == [f"IMG_{n}.JPG" for n in (0, 1, 2, 9)]
    assert table[3]["failure"] and not table[3]["mean"]
    for row in table[:3]:
        values = read_map(out / "maps" / f"{row['file']}.png") / 100
        assert values.shape == (48, 64)
        for name, of in (("mean", np.mean), ("min", np.min), ("max", np.max),
                         ("median", np.median)):
            assert float(row[name]) == pytest.approx(of(values), abs=0.02)
        with Image.open(out / "overlays" / f"{row['file']}.jpg") as overlay:
            assert overlay.height > 48 + 40  # the colour bar
    before = (out / "predictions.jsonl").read_bytes()
    (folder / "IMG_3.JPG").write_bytes((folder / "IMG_0.JPG").read_bytes())
    assert predict().returncode == 0
    after = (out / "predictions.jsonl").read_bytes()
    assert set(before.splitlines()) < set(after.splitlines())
    assert after.count(b"\n") == before.count(b"\n") + 1
    assert "target_scale" in error_line(predict("target_scale=1"))


def test_float_maps_learn_and_are_written_as_float(distances, tmp_path):
    root = tmp_path / "data"
    rows = []
    for row in read_manifest(distances / "distance.csv"):
        values = read_map(distances / row.mask) / 100 - 5  # below 0 too
        file = row.mask.replace(".png", ".tif")
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / row.image).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(root / file)
        (root / row.image).write_bytes((distances / row.image).read_bytes())
        rows.append(row._replace(mask=file))
    write_manifest(root / "distance.csv", rows)
    options = [*knobs(root), "target_scale=1", "loss=huber", "epochs=1", "mask_size=network"]
    result = run_script("train.py", "--config", ROOT / "configs/unet.yaml", "--run", "float",
                        *options, runs=tmp_path / "runs")
    assert result.returncode == 0, result.stderr
    out = tmp_path / "out"
    result = run_script("test.py", "--run", "float", "--images", root / "photos/site0", "--out",
                        out, runs=tmp_path / "runs")
    assert result.returncode == 0, result.stderr
    with open(out / "predictions.csv", newline="") as file:
        row = next(csv.DictReader(file))
    values = read_map(out / "maps" / f"{row['file']}.tif")
    assert values.min() == pytest.approx(float(row["min"]), abs=1e-4)


def test_mistakes_are_one_line_before_training(distances, tmp_path):
    root = make_distances(tmp_path / "data", locations=4, photos=2)
    train = ["train.py", "--config", ROOT / "configs/unet.yaml", "--run", "x"]
    assert "least_squares" in error_line(run_script(
        *train, *knobs(root), "loss=dice", runs=tmp_path))
    assert "other.csv" in error_line(run_script(
        *train, *knobs(root), "manifest=other.csv", runs=tmp_path))
    for path in (root / "maps").rglob("*.png"):
        Image.fromarray(np.full((48, 64), 700, np.uint16)).save(path)
    assert "one number only" in error_line(run_script(*train, *knobs(root), runs=tmp_path))
    checked = run_script("check_data.py", "--config", ROOT / "configs/unet.yaml", *knobs(root),
                         runs=tmp_path)
    assert checked.returncode == 2 and "one number only" in checked.stdout


def test_check_data_tells_what_the_maps_hold(distances, tmp_path):
    result = run_script("check_data.py", "--config", ROOT / "configs/unet.yaml", "--out",
                        tmp_path / "check", *knobs(distances), runs=tmp_path)
    report = json.loads((tmp_path / "check/data_report.json").read_text())
    assert report["errors"] == [] or result.returncode == 2
    values = np.concatenate([read_map(distances / row.mask).ravel() / 100
                             for row in read_manifest(distances / "distance.csv")])
    assert report["values"]["mean"] == pytest.approx(np.nanmean(values), rel=1e-4)
    assert "distance (m)" in result.stdout and (tmp_path / "check/data_sheet.png").exists()
