"""The generated files: what they promise; each photo depends on nothing but its own numbers."""

import csv
import filecmp
from collections import Counter
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from demo_roots import SMALL, files_of, make, read_rows, run, upright
from PIL import Image

from camera_trapinator.demo.bursts import plan_burst
from camera_trapinator.demo.cameras import plan
from camera_trapinator.demo.photos import render
from camera_trapinator.demo.scenes import build_scene


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """A small data root; read it only."""
    return make(tmp_path_factory.mktemp("small"), *SMALL, "--workers", 1)


def differing(one: Path, other: Path) -> list[str]:
    assert files_of(one) == files_of(other)
    return filecmp.cmpfiles(one, other, files_of(one), shallow=False)[1]


def test_two_processes_write_the_same_bytes(small, tmp_path):
    assert differing(small, make(tmp_path / "two", *SMALL, "--workers", 2)) == []


def test_a_photo_does_not_depend_on_how_many_are_made(small, tmp_path):
    fewer = make(tmp_path / "fewer", *SMALL, "--photos", 18, "--new-photos", 0, "--workers", 1)
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
        assert values - {0} and values <= set(range(5)) and len(values - {0}) <= 2
        seen |= values
        palette = mask.getpalette()
        assert [tuple(palette[3 * k: 3 * k + 3]) for k in range(5)] == colours
    assert seen == set(range(5))


def test_two_species_may_stand_side_by_side():
    """Of some bursts; each is one animal of its own, on its own side, in its own colours."""
    shots, _ = plan({"seed": 0, "locations": 8, "photos": 400, "new_photos": 0})
    of_burst = {}
    for shot in shots:
        if shot.species and shot.frame == 1:
            scene = build_scene(0, shot.location, 160, 120)
            key = [0, shot.location, shot.sequence + 1]
            burst = plan_burst(np.random.default_rng(key), scene, shot.species, shot.time)
            of_burst[shot] = {actor.species for actor in burst.actors}
    two = [shot for shot, species in of_burst.items() if len(species) == 2]
    assert 0.06 < len(two) / len(of_burst) < 0.2
    for shot in two[:3]:
        _, mask, _ = render(0, shot, 160, 120, 1.0)
        places = {index: np.flatnonzero((mask == index).any(axis=0)).mean()
                  for index in of_burst[shot]}
        assert set(np.unique(mask).tolist()) - {0} == of_burst[shot]
        assert max(places.values()) - min(places.values()) > 40


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
    root = make(tmp_path, "--photos", 3, "--locations", 1, "--size", "2736x1824",
                "--new-photos", 0, "--workers", 1)
    rows = read_rows(root)
    masks = [Image.open(root / row["mask"]) for row in rows if row["mask"] != "background"]
    assert masks and not (root / "new_photos").exists()
    for mask in masks:
        assert mask.width <= 1280 and mask.width * 1824 == mask.height * 2736
    assert upright(root / rows[0]["image"]).size == (2736, 1824)
    assert (root / rows[0]["image"]).stat().st_size > 800_000


def test_animals_can_be_small(small, tmp_path):
    tiny = make(tmp_path / "tiny", *SMALL, "--new-photos", 0, "--workers", 1, "--animal-size", 0.25)

    def share(root: Path) -> float:
        """Of the animals' pixels in photos with animals, at the median."""
        shares = [(np.asarray(Image.open(root / row["mask"])) > 0).mean()
                  for row in read_rows(root) if row["mask"] != "background"]
        return float(np.median(shares))

    # A sixteenth, had distance no part in it: places that would be too near or far are drawn anew.
    assert 0.02 < share(tiny) / share(small) < 0.2
    result = run(tmp_path / "none", *SMALL, "--animal-size", 0)
    assert result.returncode == 2 and "--animal-size" in result.stderr
