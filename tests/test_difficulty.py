"""How hard a photo is, and training that begins with the easy ones."""

import csv
import os
import shutil
import signal

import numpy as np
import pytest
import torch
from conftest import QUICK, error_line, run_script, start_script, wait_until
from PIL import Image, ImageFilter

from camera_trapinator import InputError
from camera_trapinator.data.manifest import read_manifest, write_manifest
from camera_trapinator.data.masks import read_mask
from camera_trapinator.data.photos import read_photo
from camera_trapinator.training.checkpoint import load_checkpoint
from camera_trapinator.training.difficulty import (
    photo_difficulties,
    photo_difficulty,
    read_difficulty,
    scaled_ranks,
    spread_empty,
    write_difficulty,
)

CONFIG = "configs/unet.yaml"
GRASS, FOX = np.array([110, 130, 80]), np.array([220, 110, 40])
CURRICULUM = ["start_fraction=0.3", "curriculum_epochs=2", "balance=0.5", "empty_fraction=0.2"]


def read_csv(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def scene(radius: float = 30, centre: tuple[int, int] = (96, 128), colour=FOX, seed: int = 0):
    """A round animal (none if `radius` is 0) on textured grass: uint8 (192, 256, 3), its mask."""
    random = np.random.default_rng(seed)
    image = GRASS + random.normal(0, 14, (192, 256, 1))
    rows, columns = np.mgrid[:192, :256]
    mask = ((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2).astype(np.uint8)
    image = np.where(mask[..., None] > 0, colour + random.normal(0, 14, (192, 256, 1)), image)
    return image.clip(0, 255).astype(np.uint8), mask


def at_night(image):
    return np.repeat(np.asarray(Image.fromarray(image).convert("L"))[..., None], 3, axis=2)


def blurred(image):
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(2)))


# --------------------------------------------------------------------------------- the photo


def test_what_is_easy_and_what_is_hard():
    image, mask = scene()
    easy = photo_difficulty(image, mask)
    assert easy == photo_difficulty(image, 3 * mask)  # whatever the species
    worse = {
        "small": photo_difficulty(*scene(radius=5)),
        "hidden": photo_difficulty(*scene(colour=GRASS)),
        "night": photo_difficulty(at_night(image), mask),
        "blurred": photo_difficulty(blurred(image), mask),
        "cut": photo_difficulty(*scene(centre=(0, 128), radius=42)),  # as large as the whole one
    }
    for name, difficulty in worse.items():
        assert 0 <= easy < difficulty - 0.05 <= 1, name
    hardest = photo_difficulty(blurred(at_night(scene(3, (0, 128), GRASS)[0])),
                               scene(3, (0, 128))[1])
    assert max(worse.values()) < 0.6 < hardest <= 1


def test_difficulty_rises_steadily_with_size_and_camouflage():
    by_size = [photo_difficulty(*scene(radius)) for radius in (48, 34, 20, 12, 6, 3)]
    by_colour = [photo_difficulty(*scene(colour=GRASS + share * (FOX - GRASS)))
                 for share in (0.25, 0.15, 0.07, 0.0)]
    assert by_size == sorted(by_size) and by_colour == sorted(by_colour)
    assert len(set(by_size)) == 6 and len(set(by_colour)) == 4


def test_the_mask_may_have_another_size_and_ignored_parts():
    image, mask = scene()
    large = mask.repeat(3, axis=0).repeat(3, axis=1)
    assert photo_difficulty(image, large) == pytest.approx(photo_difficulty(image, mask), abs=0.03)
    tiny = np.zeros((1920, 2560), np.uint8)
    tiny[1000, 1000] = 1  # is gone when the mask is made as small as the photo
    assert photo_difficulty(image, tiny) >= 0.7
    ignored = mask.copy()
    ignored[:, 200:] = 255
    assert photo_difficulty(image, ignored) == pytest.approx(photo_difficulty(image, mask),
                                                             abs=0.05)
    for value in (0, 1, 255):  # empty, nothing but animal, nothing known
        assert 0 <= photo_difficulty(image, np.full((192, 256), value, np.uint8)) <= 1


def test_an_empty_photo_is_the_harder_the_busier():
    nothing = np.zeros((192, 256), np.uint8)
    busy, calm = scene(0)[0], blurred(scene(0)[0])
    assert photo_difficulty(calm, nothing) < photo_difficulty(busy, nothing) < 0.7


def test_empty_photos_spread_over_the_others():
    random = np.random.default_rng(0)
    difficulty, empty = random.random(400), random.random(400) < 0.6
    difficulty[empty] *= 0.01  # a pool of the easiest would hold nothing else
    spread = spread_empty(difficulty, empty)
    assert (spread[~empty] == difficulty[~empty]).all()
    assert (spread[empty].argsort() == difficulty[empty].argsort()).all()
    for share in (0.2, 0.5, 0.8):
        pool = spread.argsort()[:int(share * 400)]
        assert empty[pool].mean() == pytest.approx(empty.mean(), abs=0.03)
    for alone in (np.zeros(400, bool), np.ones(400, bool)):
        assert (spread_empty(difficulty, alone) == difficulty).all()


def test_ranks_go_from_0_to_1_and_ties_share_one():
    assert scaled_ranks(np.array([5.0, -1, 7, 5])).tolist() == [0.5, 0, 1, 0.5]
    assert scaled_ranks(np.array([np.nan, 1.0])).tolist() == [1, 0]
    assert scaled_ranks(np.array([4.0])).tolist() == [0]


def test_difficulties_are_remembered_until_photo_or_mask_change(own_data, tmp_path):
    manifest = read_manifest(own_data / "manifest.csv")
    rows, memory = [7, 0, 4, 1], tmp_path / "memory.csv"
    assert manifest[0].mask == "background"
    expected = []
    for row in (manifest[index] for index in rows):
        image = read_photo(own_data / row.image, 256).image
        mask = (np.zeros(image.shape[:2], np.uint8) if row.mask == "background"
                else read_mask(own_data / row.mask))
        expected.append(photo_difficulty(image, mask))
    assert photo_difficulties(manifest, rows, own_data, memory).tolist() == expected
    assert len(set(expected)) == 4

    # The memory is what counts, as long as the files are the same.
    memory.write_text(memory.read_text().replace(str(expected[0]), "0.125"))
    assert photo_difficulties(manifest, rows, own_data, memory).tolist() == [0.125, *expected[1:]]
    path = own_data / manifest[7].mask
    os.utime(path, (1, 1))
    assert photo_difficulties(manifest, rows, own_data, memory).tolist() == expected
    (own_data / manifest[7].image).write_bytes(b"no photo")
    with pytest.raises(InputError, match="cannot be read as a photo"):
        photo_difficulties(manifest, rows, own_data, memory)


def test_the_file_is_read_back_to_the_last_bit(tmp_path):
    images = ["a, b.jpg", 'c"d.jpg', "e/\u00e4.jpg"]
    difficulty = np.array([1 / 3, 0.1 + 0.2, 1e-17])
    write_difficulty(tmp_path / "d.csv", images, difficulty, [1, 2, ""])
    assert (read_difficulty(tmp_path / "d.csv", images[::-1]) == difficulty[::-1]).all()
    with pytest.raises(InputError, match=r"x.jpg is not in it; .* --run NAME"):
        read_difficulty(tmp_path / "d.csv", ["x.jpg"])
    (tmp_path / "d.csv").write_text("image,difficulty\na.jpg,hard\n")
    with pytest.raises(InputError, match="line 2: difficulty 'hard' is no number"):
        read_difficulty(tmp_path / "d.csv", ["a.jpg"])


# ------------------------------------------------------------------------------- the scripts


@pytest.fixture(scope="module")
def curriculum(tmp_path_factory, data_root):
    """The folder of runs with a run `whole` of four epochs in it."""
    runs = tmp_path_factory.mktemp("curricula")
    result = run_script("train.py", "--config", CONFIG, f"data_root={data_root}", *QUICK,
                        "epochs=4", *CURRICULUM, "--run", "whole", runs=runs)
    assert result.returncode == 0, result.stderr
    assert "curriculum  " in result.stdout
    return runs


def test_a_run_tells_which_photos_came_when(curriculum, data_root):
    run = curriculum / "whole"
    rows = read_csv(run / "difficulty.csv")
    splits = {row["image"]: row["split"] for row in read_csv(run / "splits.csv")}
    assert [row["image"] for row in rows] == [image for image, split in splits.items()
                                              if split == "train"]
    ordered = sorted(rows, key=lambda row: float(row["difficulty"]))
    entries = [int(row["epoch"]) for row in ordered]
    assert entries == sorted(entries) and set(entries) == {1, 2, 3}
    log = read_csv(run / "log.csv")
    for epoch, row in enumerate(log, start=1):
        inside = [entry <= epoch for entry in entries]
        assert float(row["pool"]) == pytest.approx(np.mean(inside), rel=1e-5)
        assert 0 < int(row["distinct"]) <= sum(inside)
    assert float(log[0]["difficulty"]) < float(log[-1]["difficulty"])
    sheet = Image.open(run / "difficulty.jpg")
    assert sheet.width > 1000 and sheet.height > 500
    assert np.asarray(sheet).std() > 20


def test_a_killed_curriculum_resumes_to_the_same_bits(curriculum, data_root, tmp_path):
    arguments = ["--config", CONFIG, f"data_root={data_root}", *QUICK, "epochs=4", *CURRICULUM,
                 "--run", "broken"]
    process = start_script("train.py", *arguments, stdout=os.devnull, stderr=os.devnull,
                           runs=tmp_path)
    log = tmp_path / "broken" / "log.csv"
    wait_until(process, lambda: log.exists() and len(read_csv(log)) >= 2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(60)
    assert len(load_checkpoint(tmp_path / "broken" / "last.pt")["history"]) < 4

    # What was remembered outside of the run does not count: the run's own file does.
    for path in (tmp_path / ".checked").glob("*-difficulty.csv"):
        path.write_text(path.read_text().replace("0.", "0.9"))
    saved = (tmp_path / "broken" / "difficulty.csv").rename(tmp_path / "saved.csv")
    resume = [*arguments, "--resume"]
    assert "difficulty.csv: no such file" in error_line(
        run_script("train.py", *resume, runs=tmp_path))
    shutil.copy(saved, tmp_path / "broken" / "difficulty.csv")
    result = run_script("train.py", *resume, runs=tmp_path)
    assert result.returncode == 0, result.stderr
    expected, got = (load_checkpoint(runs / name / "last.pt") for runs, name in
                     ((curriculum, "whole"), (tmp_path, "broken")))
    assert len(got["history"]) == 4
    for name, tensor in expected["model"].items():
        assert torch.equal(tensor, got["model"][name]), name
    for mine, theirs in zip(read_csv(log), read_csv(curriculum / "whole" / "log.csv"),
                            strict=True):
        assert all(mine[name] == theirs[name] for name in ("pool", "distinct", "difficulty"))


def test_difficulty_may_be_the_loss_of_an_earlier_run(trained, data_root, tmp_path):
    weights = trained / "shapes" / "best.pt"
    result = run_script("train.py", "--config", CONFIG, f"data_root={data_root}", *QUICK,
                        "epochs=1", "start_fraction=0.5", "difficulty=loss",
                        f"difficulty_run={weights}", runs=tmp_path)
    assert result.returncode == 0, result.stderr
    rows = read_csv(tmp_path / "unet" / "difficulty.csv")

    # Against the same photos one by one, in a notebook's way.
    from camera_trapinator.model import build_model
    checkpoint = load_checkpoint(weights)
    net = build_model(**checkpoint["model_arguments"])
    net.load_state_dict(checkpoint["model"])
    masks = {row.image: row.mask for row in read_manifest(data_root / "manifest.csv")}
    losses = {}
    for row in rows:
        if masks[row["image"]] != "background":
            logits = net.predict(str(data_root / row["image"])).logits.double()
            truth = torch.from_numpy(read_mask(data_root / masks[row["image"]])).long()
            chance = logits.log_softmax(dim=0).gather(0, truth[None])
            losses[row["image"]] = -float(chance.mean())
    difficulty = {row["image"]: float(row["difficulty"]) for row in rows}
    order = sorted(losses, key=losses.get)
    place = {image: number / (len(order) - 1) for number, image in enumerate(order)}
    # bf16 may let neighbours change places.
    assert max(abs(difficulty[image] - place[image]) for image in order) < 2.5 / len(order)
    assert min(difficulty.values()) == 0 and max(difficulty.values()) == 1


def test_what_the_manifest_says_wins(own_data, tmp_path):
    rows = list(read_manifest(own_data / "manifest.csv"))
    given = {row.image: (f"{0.01 * number:.2f}" if number % 4 else "")
             for number, row in enumerate(rows)}
    write_manifest(own_data / "manifest.csv", [
        row._replace(difficulty=given[row.image], focus="yes" if number % 5 == 0 else "")
        for number, row in enumerate(rows)])
    result = run_script("train.py", "--config", CONFIG, f"data_root={own_data}", *QUICK,
                        "epochs=1", "start_fraction=0.1", "curriculum_epochs=5", runs=tmp_path)
    assert result.returncode == 0, result.stderr
    focus = {row.image: row.focus for row in read_manifest(own_data / "manifest.csv")}
    found = read_csv(tmp_path / "unet" / "difficulty.csv")
    assert all(float(row["difficulty"]) == float(given[row["image"]]) for row in found
               if given[row["image"]])
    assert any(not given[row["image"]] for row in found)
    assert {row["epoch"] for row in found if focus[row["image"]]} == {"1"}
    assert {row["epoch"] for row in found} == {"1", "2", "3", "4", "5", "6"}


@pytest.mark.parametrize(("knobs", "part"), [
    (["start_fraction=0.5", "difficulty=loss", "difficulty_run=gone"], "no such checkpoint"),
    (["start_fraction=0.5", "difficulty=loss", "difficulty_run=OTHER"], "fox, snow hare"),
    (["empty_fraction=0.5"], "empty_fraction: 0.5, but no training photo is empty"),
])
def test_what_cannot_be_is_refused_before_training(knobs, part, trained, own_data, tmp_path):
    if "OTHER" in knobs[-1]:
        (own_data / "classes.csv").write_text(
            "index,name,colour\n0,background,#000000\n1,badger,#ff0000\n2,otter,#00ff00\n")
        knobs = [*knobs[:2], f"difficulty_run={trained / 'shapes' / 'best.pt'}"]
    rows = read_manifest(own_data / "manifest.csv")
    write_manifest(own_data / "manifest.csv", [row for row in rows if row.mask != "background"])
    line = error_line(run_script("train.py", "--config", CONFIG, f"data_root={own_data}", *QUICK,
                                 *knobs, runs=tmp_path / "runs"))
    assert part in line
    assert not (tmp_path / "runs" / "unet").exists()
