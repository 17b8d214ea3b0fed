"""Camera sites are told from folders as a person would tell them, or asked for."""

import unicodedata

import numpy as np
import pytest
from conftest import CLASSES, error_line, run_script
from leavings import read_csv
from PIL import Image

from camera_trapinator import InputError
from camera_trapinator.data.locations import (
    VISIT_FOLDER,
    location_of,
    refuse_two_spellings,
    settle,
    split_of,
)
from camera_trapinator.data.manifest import (
    Manifest,
    Row,
    assign_sequences,
    read_manifest,
    write_classes,
)
from camera_trapinator.data.splits import leaks, make_splits

# Folders of cameras, from manuals and from public data sets; the rule is DCF's.
CAMERA_FOLDERS = ("100RECNX", "100EK113", "100_BTCF", "100BTCF_", "101MEDIA", "100DSCIM",
                  "100CANON", "102NIKON", "100OLYMP", "100MSDCF", "100_PANA", "100PENTX",
                  "100GOPRO", "101_FUJI", "100CUDDY", "100STLTH", "100MFCAM", "100IMAGE",
                  "100HCOSD", "999SUNTK", "100ABCDE")


@pytest.mark.parametrize("folder", CAMERA_FOLDERS)
def test_folders_of_cameras_are_no_sites(folder):
    assert location_of(f"ridge/cam3/DCIM/{folder}/a.jpg") == "ridge/cam3"
    assert location_of(f"cam3/{folder}/a.jpg") == "cam3"
    assert location_of(f"cam3/dcim/{folder.lower()}/a.jpg") == "cam3"


@pytest.mark.parametrize("folder", ["north001", "100RECNX_old", "10012345", "100RECN", "site_100",
                                    "12CANON0", "camera_1"])
def test_other_folders_are_sites(folder):
    assert location_of(f"{folder}/a.jpg") == folder


@pytest.mark.parametrize("name", ["2024-05-01", "20240501", "2024_05", "2024", "01.05.2024",
                                  "1-5-24", "visit1", "Visit 2", "check_03", "round-4", "card1",
                                  "SD2", "2nd visit", "3_check", "May2024", "12 June 2023",
                                  "spring 2024", "deployment_1", "week12", "second check"])
def test_what_looks_like_a_visit(name):
    assert VISIT_FOLDER.fullmatch(name)


@pytest.mark.parametrize("name", ["site1", "cam12", "ridge", "A01", "1999", "03", "north", "marsh2",
                                  "card", "visitor_centre", "mayfield", "checkpoint", "sd", "2051"])
def test_what_does_not(name):
    assert not VISIT_FOLDER.fullmatch(name)


def test_visits_to_one_camera_are_asked_about():
    assert settle({"a/2024-05-01", "b"}) == {"a/2024-05-01": "a", "b": "b"}
    places = {"a/2024-05-01", "a/2024-06-01", "b/visit1"}
    with pytest.raises(InputError, match="a/2024-05-01, a/2024-06-01 visits"):
        settle(places)
    assert set(settle(places, "drop").values()) == {"a", "b"}
    assert settle(places, "keep") == {place: place for place in places}
    assert settle({"train", "valid", "train/a"}, "keep") == {
        "train": ".", "valid": ".", "train/a": "a"}
    assert [split_of(folder) for folder in ("images/valid", "train/a", "a/testing", "trained")] == [
        "val", "train", "test", ""]


def test_one_site_is_spelled_one_way(tmp_path):
    with pytest.raises(InputError, match="'SITE0' and 'site0'"):
        refuse_two_spellings({"site0", "SITE0", "site1"})
    (tmp_path / "manifest.csv").write_text("image,location\na.jpg,site 0\nb.jpg,Site  0\n")
    with pytest.raises(InputError, match=r"manifest\.csv: the locations 'Site  0' \(line 3: b\.jpg"
                                         r"\) and 'site 0' \(line 2: a\.jpg\)"):
        read_manifest(tmp_path / "manifest.csv")
    (tmp_path / "manifest.csv").write_text("image,location\nb/a.jpg,\nc.jpg,B\n")
    with pytest.raises(InputError, match=r"'B' \(line 3: c\.jpg\) and 'b' \(line 2: b/a\.jpg\)"):
        read_manifest(tmp_path / "manifest.csv")
    (tmp_path / "manifest.csv").write_text("image,location,mask,location\na.jpg,site,,\n")
    with pytest.raises(InputError, match="'location' stands in the header twice"):
        read_manifest(tmp_path / "manifest.csv")


def test_letters_that_are_stored_in_two_ways_make_no_two_sites(tmp_path):
    """macOS takes marks off their letters in the names of folders."""
    composed, apart = (unicodedata.normalize(form, "S\u00fcd") for form in ("NFC", "NFD"))
    assert location_of(f"{composed}/1.jpg") == location_of(f"{apart}/DCIM/1.jpg") == composed
    with pytest.raises(InputError, match="look the same"):
        refuse_two_spellings({composed, apart})
    with pytest.raises(InputError, match="spelled alike; write"):
        refuse_two_spellings({composed.lower(), apart})
    path = tmp_path / "manifest.csv"
    path.write_text(f"image\n{composed}/1.jpg\n{apart}/1.jpg\n", encoding="utf-8")
    assert list(read_manifest(path).column("location")) == [composed] * 2
    path.write_text(f"image,location\na.jpg,{composed}\nb.jpg,{apart}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"line 3: b\.jpg\).*line 2: a\.jpg\).*look the same"):
        read_manifest(path)


def test_a_manifest_without_locations_is_asked_about_visits(tmp_path):
    (tmp_path / "manifest.csv").write_text(
        "image\na/2024-05-01/DCIM/100CUDDY/1.jpg\na/2024-06-01/DCIM/100CUDDY/1.jpg\n")
    with pytest.raises(InputError, match="Fill in the column location"):
        read_manifest(tmp_path / "manifest.csv")
    (tmp_path / "manifest.csv").write_text("image\na/visit1/100CUDDY/1.jpg\nb/visit1/1.jpg\n")
    assert list(read_manifest(tmp_path / "manifest.csv").column("location")) == ["a", "b"]


# ---------------------------------------------------------------------------------- whole cards


def random_cards(random):
    """Paths of photos as they come home: {camera as a person would call it: its photos}, and what
    to say about visits."""
    sites = random.choice(["ridge", "marsh", "north wood", "A01", "B07", "cam12", "hide",
                           "Übergang", "plot-3", "x"], random.integers(3, 9), replace=False)
    layout, visits = random.integers(4), random.random() < 0.5
    cards = {}
    for place in sites:
        cameras = [place] if layout < 2 else [f"{place}/cam{n}"
                                              for n in range(1, random.integers(2, 4))]
        for camera in cameras:
            files = cards.setdefault(camera, [])
            days = random.integers(1, 4) if visits else 1
            for day in range(days):
                name = [f"2024-0{day + 3}-11", f"visit{day + 1}", f"check {day + 1}"][layout % 3]
                folder = f"{camera}/{name}" if visits else camera
                for number in range(random.integers(1, 3)):
                    own = str(random.choice(CAMERA_FOLDERS[:16])).replace("100", f"10{number}", 1)
                    inside = [f"DCIM/{own}/", f"{own}/", "DCIM/", ""][random.integers(4)]
                    files += [f"{folder}/{inside}IMG_{n:04}.JPG"
                              for n in range(1, random.integers(2, 12))]
            cards[camera] = sorted(set(files))
    return cards, "drop" if visits else ""


def test_random_cards_are_split_by_camera(monkeypatch):
    """200 trees of folders: each location is what a person would write, no two splits share a
    camera, none is empty."""
    monkeypatch.setattr("camera_trapinator.data.splits.TRIALS", 50)
    for seed in range(200):
        random = np.random.default_rng(seed)
        cards, visits = random_cards(random)
        camera_of = {file: camera for camera, files in cards.items() for file in files}
        assumed = {file: location_of(file) for file in camera_of}
        sites = settle(assumed.values(), visits)
        locations = {file: sites[place] for file, place in assumed.items()}
        assert locations == camera_of, seed
        times = {file: f"2024-05-{1 + number // 600:02} 10:{number // 20 % 60:02}:00"
                 for number, file in enumerate(camera_of)}
        names = assign_sequences(list(locations.values()), list(times.values()))
        manifest = Manifest(Row(file, "background", camera, times[file], name) for (file, camera),
                            name in zip(locations.items(), names, strict=True))
        presence = random.random((len(manifest), 4)) < [0.9, 0.4, 0.1, 0.02]
        presence[:, 0] |= ~presence.any(axis=1)
        splits = make_splits(manifest, presence, by="location", val_fraction=0.15,
                             test_fraction=0.15, seed=seed)
        assert set(splits) == {"train", "val", "test"}, seed
        assert leaks(manifest, splits, "location") == leaks(manifest, splits, "sequence") == []


# ------------------------------------------------------------------------- import_labels.py itself


def labelled_tree(folder, files):
    for number, file in enumerate(files):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 255, (12, 16, 3), np.uint8)
        Image.fromarray(pixels).save(folder / file)
        label = (folder / file).with_suffix(".txt")
        label.write_text("0 0.1 0.1 0.9 0.1 0.9 0.9\n")
    (folder / "classes.txt").write_text("fox\n")
    return folder


def imported(folder, out, *options):
    return run_script("import_labels.py", "yolo", folder, "--images", folder, "--names",
                      folder / "classes.txt", "--out", out, *options)


def test_the_locations_assumed_are_told(tmp_path):
    folder = labelled_tree(tmp_path / "cards", [f"site{n}/DCIM/100CUDDY/a.jpg" for n in range(4)])
    result = imported(folder, tmp_path / "data")
    assert result.returncode == 0, result.stderr
    assert ("locations   4, by the folders, such as cards/site0, cards/site1, cards/site2"
            in result.stdout)


def test_visits_are_asked_about_when_labels_are_imported(tmp_path):
    files = [f"site{n % 3}/2024-0{n // 3 + 1}-01/DCIM/100STLTH/IMG_0001.JPG" for n in range(9)]
    folder = labelled_tree(tmp_path / "cards", files)
    line = error_line(imported(folder, tmp_path / "data"))
    assert "--visits drop" in line and "cards/site0/2024-01-01" in line
    assert not (tmp_path / "data").exists()
    assert imported(folder, tmp_path / "data", "--visits", "drop").returncode == 0
    rows = read_csv(tmp_path / "data/manifest.csv")
    assert {row["location"] for row in rows} == {f"cards/site{n}" for n in range(3)}


def test_folders_of_splits_are_no_locations(tmp_path):
    """A tree of Ultralytics: the splits are those of the folders, and no site is known."""
    folder = labelled_tree(tmp_path / "images", [
        f"{name}/{number}.jpg" for name in ("train", "val", "test") for number in range(3)])
    result = imported(folder, tmp_path / "data")
    assert result.returncode == 0 and "splits      by the folders" in result.stdout
    rows = read_csv(tmp_path / "data/manifest.csv")
    assert all(row["split"] == row["image"].split("/")[2] for row in rows)
    assert {row["location"] for row in rows} == {"images"}
    write_classes(tmp_path / "data/classes.csv", CLASSES[:2])
    arguments = ["train.py", "--config", "configs/unet.yaml", "--dry-run", "width=4", "depth=2",
                 "crop_size=16,16", "working_scale=16", f"data_root={tmp_path / 'data'}"]
    assert "split_by" in error_line(run_script(*arguments, runs=tmp_path / "runs"))
    result = run_script(*arguments, "split_by=photo", runs=tmp_path / "runs")
    assert result.returncode == 0 and "seen locations only" in result.stdout
