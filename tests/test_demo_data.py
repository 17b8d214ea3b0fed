"""The generated photos: what the files promise, and that colour or motion alone solve nothing."""

import csv
import filecmp
import subprocess
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image, ImageFilter, ImageOps

SCRIPT = Path(__file__).parent.parent / "scripts" / "make_demo_data.py"
SMALL = ["--photos", "36", "--locations", "6", "--size", "160x120", "--new-photos", "3"]


def run(out: Path, *options: object) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, str(SCRIPT), "--out", str(out), *map(str, options)],
                          capture_output=True, text=True, timeout=300)


def make(out: Path, *options: object) -> Path:
    result = run(out, *options)
    assert result.returncode == 0, result.stderr
    return out


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """A small data root; read it only."""
    return make(tmp_path_factory.mktemp("small"), *SMALL, "--workers", 1)


def read_rows(root: Path) -> list[dict[str, str]]:
    with open(root / "manifest.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def files_of(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def differing(one: Path, other: Path) -> list[str]:
    assert files_of(one) == files_of(other)
    return filecmp.cmpfiles(one, other, files_of(one), shallow=False)[1]


def upright(path: Path) -> Image.Image:
    with Image.open(path) as photo:
        return ImageOps.exif_transpose(photo).convert("RGB")


# ----------------------------------------------------------------------------- files


def test_two_processes_write_the_same_bytes(small, tmp_path):
    assert differing(small, make(tmp_path / "two", *SMALL, "--workers", 2)) == []


def test_another_seed_draws_other_photos(small, tmp_path):
    other = make(tmp_path / "other", *SMALL, "--seed", 1)
    names = [row["image"] for row in read_rows(small)]
    assert [row["image"] for row in read_rows(other)] == names
    assert filecmp.cmpfiles(small, other, names, shallow=False)[0] == []


def test_a_photo_does_not_depend_on_how_many_are_made(small, tmp_path):
    fewer = make(tmp_path / "fewer", *SMALL, "--photos", 18)
    names = [row["image"] for row in read_rows(fewer)]
    assert len(names) == 18
    assert filecmp.cmpfiles(small, fewer, names, shallow=False)[1:] == ([], [])


def test_manifest_and_folders_agree(small):
    rows = read_rows(small)
    assert list(rows[0]) == ["image", "mask", "location", "datetime", "sequence"]
    files = files_of(small)
    assert sorted(row["image"] for row in rows) == [f for f in files if f.startswith("photos/")]
    masks = [row["mask"] for row in rows if row["mask"] != "background"]
    assert sorted(masks) == [file for file in files if file.startswith("masks/")]
    for row in rows:
        assert row["image"].split("/")[1] == row["location"]
        if row["mask"] != "background":
            assert Path(row["mask"]).with_suffix("") == Path(
                row["image"].replace("photos/", "masks/", 1)).with_suffix("")
    names = Counter(Path(row["image"]).name for row in rows)
    assert max(names.values()) > 1, "cards of one brand use the same file names"


def test_distances_fit_the_animals_real_lengths(small):
    """A camera of known focal length sees a thing of known length smaller, the farther it is."""
    with open(small / "distance.csv", encoding="utf-8", newline="") as file:
        maps = {row["image"]: row["mask"] for row in csv.DictReader(file)}
    rows = read_rows(small)
    assert list(maps) == [row["image"] for row in rows]
    lengths = {1: 1.55, 2: 1.75, 3: 1.32, 4: 1.15}  # metres, from nose to tail
    shares = []
    for row in rows:
        distances = np.asarray(Image.open(small / maps[row["image"]]))
        assert distances.dtype == np.uint16 and distances.shape == upright(
            small / row["image"]).size[::-1]
        known = distances < 65535
        assert distances[known].min() > 100 and distances[known].max() <= 1500
        # Nothing is known of the strip (the first or the last rows) and of the sky.
        assert not known[-5:].any() or not known[:5].any()
        assert 0.3 < known.mean() < 0.9
        if row["mask"] != "background":
            mask = np.asarray(Image.open(small / row["mask"]))
            columns = np.flatnonzero(mask.any(axis=0))
            pixels = columns[-1] - columns[0] + 1
            metres = pixels * np.median(distances[mask > 0]) / 100 / (1.1 * mask.shape[1])
            shares.append(metres / lengths[int(mask.max())])
    assert len(shares) > 10 and 0.85 < np.median(shares) < 1.15


def test_classes_and_masks(small):
    lines = (small / "classes.csv").read_text(encoding="utf-8").splitlines()
    assert lines[:2] == ["index,name,colour", "0,background,#000000"] and len(lines) == 6
    colours = [tuple(bytes.fromhex(line.split("#")[1])) for line in lines[1:]]
    seen = set()
    for row in read_rows(small):
        if row["mask"] == "background":
            continue
        mask = Image.open(small / row["mask"])
        assert mask.mode == "P" and mask.size == upright(small / row["image"]).size
        values = set(np.unique(mask).tolist())
        assert values - {0} and values <= set(range(5)) and len(values - {0}) == 1
        seen |= values
        palette = mask.getpalette()
        assert [tuple(palette[3 * k: 3 * k + 3]) for k in range(5)] == colours
    assert seen == set(range(5))


def test_a_third_is_empty_and_bursts_have_three(small):
    rows = read_rows(small)
    assert 0.2 <= np.mean([row["mask"] == "background" for row in rows]) <= 0.45
    bursts: dict[str, list] = {}
    for row in rows:
        bursts.setdefault(row["sequence"], []).append(row)
    for burst in bursts.values():
        assert len(burst) == 3 and len({row["location"] for row in burst}) == 1
        times = [datetime.strptime(row["datetime"], "%Y-%m-%d %H:%M:%S") for row in burst]
        gaps = [(later - sooner).total_seconds() for sooner, later in
                zip(times, times[1:], strict=False)]
        assert all(1 <= gap <= 3 for gap in gaps)


def test_exif_has_the_time_and_one_camera_hangs_sideways(small):
    sideways, normal = set(), set()
    for row in read_rows(small):
        with Image.open(small / row["image"]) as photo:
            exif, size = photo.getexif(), photo.size
        assert exif.get_ifd(0x8769)[36867].replace(":", "-", 2) == row["datetime"]
        assert exif[271] and exif[272]
        assert size == ((120, 160) if exif.get(274) == 6 else (160, 120))
        (sideways if exif.get(274) == 6 else normal).add(row["location"])
    assert len(sideways) == 1 and len(normal) == 5 and not sideways & normal


def test_night_photos_are_grey_and_day_photos_are_not(small):
    spread = {"night": [], "day": []}
    for row in read_rows(small):
        pixels = np.asarray(upright(small / row["image"]), int)[10:-10]
        hour = int(row["datetime"][11:13])
        spread["day" if 6 <= hour < 20 else "night"].append(np.ptp(pixels, axis=2).mean())
    assert max(spread["night"]) < 6 < 10 < np.median(spread["day"])


def test_new_photos_come_from_a_further_location_and_one_is_truncated(small):
    new = [file for file in files_of(small) if file.startswith("new_photos/")]
    assert len(new) == 4
    assert {file.split("/")[1] for file in new}.isdisjoint(
        row["location"] for row in read_rows(small))
    unreadable = []
    for file in new:
        try:
            with Image.open(small / file) as photo:
                photo.load()
        except OSError:
            unreadable.append(file)
    assert unreadable == [new[-1]]


def test_large_photos_have_smaller_masks_of_the_same_shape(tmp_path):
    root = make(tmp_path, "--photos", 6, "--locations", 1, "--size", "2736x1824",
                "--new-photos", 0)
    rows = read_rows(root)
    masks = [Image.open(root / row["mask"]) for row in rows if row["mask"] != "background"]
    assert masks and not (root / "new_photos").exists()
    for mask in masks:
        assert mask.width <= 1280 and mask.width * 1824 == mask.height * 2736
    assert upright(root / rows[0]["image"]).size == (2736, 1824)
    assert (root / rows[0]["image"]).stat().st_size > 800_000


# ----------------------------------------------------------------------------- the command


def test_animals_can_be_small(small, tmp_path):
    tiny = make(tmp_path / "tiny", *SMALL, "--workers", 1, "--animal-size", 0.25)

    def share(root: Path) -> float:
        """Of the animals' pixels in photos with animals, at the median."""
        shares = [(np.asarray(Image.open(root / row["mask"])) > 0).mean()
                  for row in read_rows(root) if row["mask"] != "background"]
        return float(np.median(shares))

    # A sixteenth, had distance no part in it: places that would be too near or far are drawn anew.
    assert 0.02 < share(tiny) / share(small) < 0.2
    result = run(tmp_path / "none", *SMALL, "--animal-size", 0)
    assert result.returncode == 2 and "--animal-size" in result.stderr


def refusal(result: subprocess.CompletedProcess) -> str:
    assert result.returncode == 2, result.stderr
    assert len(result.stderr.splitlines()) == 1 and result.stderr.startswith("error: ")
    return result.stderr


@pytest.mark.parametrize(("options", "said"), [
    (["--size", "640"], "640x480"), (["--size", "axb"], "640x480"), (["--size", "20x20"], "64"),
    (["--photos", "0"], "--photos"), (["--photos", "many"], "many"),
    (["--photos", "5", "--locations", "4"], "too few"), (["--seed", "-1"], "--seed"),
    (["--workers", "0"], "--workers"), (["--colour", "red"], "--colour")])
def test_bad_options_are_refused_in_one_line(tmp_path, options, said):
    assert said in refusal(run(tmp_path / "out", *options))
    assert not (tmp_path / "out").exists()


def test_a_folder_with_other_things_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    assert "thesis.txt" in refusal(run(tmp_path, *SMALL))
    assert files_of(tmp_path) == ["thesis.txt"]
    (tmp_path / "file").write_text("")
    assert "file" in refusal(run(tmp_path / "file", *SMALL))


def test_a_second_run_is_quick_and_other_options_make_new_photos(tmp_path):
    few = ["--locations", 1, "--size", "96x72", "--new-photos", 0, "--photos"]
    root = make(tmp_path, *few, 6)
    first = (root / "manifest.csv").stat().st_mtime_ns
    assert "nothing to do" in run(root, *few, 6).stdout
    assert (root / "manifest.csv").stat().st_mtime_ns == first
    photo = root / read_rows(root)[0]["image"]
    photo.unlink()
    assert "nothing to do" not in run(root, *few, 6).stdout and photo.exists()
    make(root, *few, 3)
    assert len(read_rows(root)) == 3
    assert len([file for file in files_of(root) if file.startswith("photos/")]) == 3
    (root / "photos" / "mine.jpg").write_text("my own")
    assert "mine.jpg" in refusal(run(root, *few, 6))
    assert len(read_rows(root)) == 3


# ----------------------------------------------------------------------------- how hard it is


class Photos(NamedTuple):
    images: np.ndarray  # uint8 (N, H, W, 3)
    masks: np.ndarray  # uint8 (N, H, W)
    camera: np.ndarray  # (N,) location and day or night: infrared photos have a median of their own
    train: np.ndarray  # bool (N,)


@pytest.fixture(scope="module", params=[0, 1])
def photos(request, tmp_path_factory) -> Photos:
    """Photos of six locations, four to learn from, two to test on."""
    root = make(tmp_path_factory.mktemp("hard"), "--photos", 180, "--locations", 6, "--size",
                "320x240", "--new-photos", 0, "--seed", request.param)
    rows, size = read_rows(root), (160, 120)
    images = np.stack([upright(root / row["image"]).resize(size, Image.Resampling.BOX)
                       for row in rows])
    masks = np.zeros(images.shape[:3], np.uint8)
    for mask, row in zip(masks, rows, strict=True):
        if row["mask"] != "background":
            mask[:] = Image.open(root / row["mask"]).resize(size, Image.Resampling.NEAREST)
    night = np.ptp(images.astype(int), axis=3).mean(axis=(1, 2)) < 5
    locations = np.array([row["location"] for row in rows])
    camera = np.array([f"{place} {dark}" for place, dark in zip(locations, night, strict=True)])
    return Photos(images, masks, camera, ~np.isin(locations, np.unique(locations)[-2:]))


def score(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Mean IoU over the species, from one confusion matrix."""
    counts = np.bincount(truth.ravel() * 5 + predicted.ravel(), minlength=25).reshape(5, 5)
    union = counts.sum(0) + counts.sum(1) - counts.diagonal()
    return float((counts.diagonal() / np.maximum(union, 1))[1:].mean())


def colour_votes(photos: Photos, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Each pixel's colour as a number (N, H, W), and how often each has each class in training."""
    levels = (photos.images >> (8 - bits)).astype(np.int64)
    codes = (levels * (1, 1 << bits, 1 << 2 * bits)).sum(-1)
    votes = np.bincount((codes * 5 + photos.masks)[photos.train].ravel(),
                        minlength=5 << 3 * bits).reshape(-1, 5)
    return codes, votes


def test_colour_alone_finds_no_animals(photos):
    """The most frequent class of each colour, with the class weights that serve it best."""
    best = (0.0, 0.0)  # on training and on test locations
    for bits in (3, 4, 5):
        codes, votes = colour_votes(photos, bits)
        share = votes.sum(0) / votes.sum()
        for power in np.linspace(0, 1, 9):
            table = (votes / share**power).argmax(1)
            predicted = table[codes]
            best = max(best, (score(photos.masks[photos.train], predicted[photos.train]),
                              score(photos.masks[~photos.train], predicted[~photos.train])))
    assert 0 < best[1] < 0.40


def test_the_difference_from_the_median_photo_finds_no_animals(photos):
    """Threshold and smoothing tuned in training; the species is the one whose colours the changed
    pixels of a photo have."""
    medians = {name: np.median(photos.images[photos.camera == name], axis=0)
               for name in np.unique(photos.camera)}
    changed = [Image.fromarray(np.abs(image - medians[name]).max(-1).astype(np.uint8))
               for image, name in zip(photos.images, photos.camera, strict=True)]
    codes, votes = colour_votes(photos, bits=4)
    likely = (votes / votes.sum(0))[:, 1:]  # of each colour, under each species
    evidence = (likely / likely.sum(1, keepdims=True).clip(1e-9))[codes]  # (N, H, W, species)
    best = (0.0, 0.0)
    for radius in (1, 2, 4):
        smooth = np.stack([image.filter(ImageFilter.GaussianBlur(radius)) for image in changed])
        for threshold in range(4, 130, 12):
            found = smooth > threshold
            species = 1 + (evidence * found[..., None]).sum(axis=(1, 2)).argmax(-1)
            predicted = np.where(found, species[:, None, None], 0)
            best = max(best, (score(photos.masks[photos.train], predicted[photos.train]),
                              score(photos.masks[~photos.train], predicted[~photos.train])))
    assert 0 < best[1] < 0.40
