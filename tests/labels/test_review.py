"""import_labels.py review: marks of report.html and the predictions that they are for."""

import csv
import shutil

import numpy as np
import pytest
from coloured_photos import smooth_photo
from conftest import error_line
from label_files import import_labels, imported, masks_of, refusal, write_photos
from prediction_records import INFO, predicted, with_box, write_records

from camera_trapinator import IGNORE
from camera_trapinator.data.files import sha256
from camera_trapinator.data.manifest import Class, read_manifest, write_classes, write_manifest
from camera_trapinator.data.masks import read_mask
from camera_trapinator.labels.review import COLUMNS
from camera_trapinator.outputs.report_marks import prediction_key

SIZE = (48, 64)
FOX = with_box(5, 5, 20, 12, 1, SIZE)
HARE = with_box(20, 30, 12, 20, 2, SIZE)
NOTHING = with_box(0, 0, 0, 0, 1, SIZE)
SPOT = with_box(10, 10, 2, 2, 1, SIZE)  # a few pixels in the fox of another class
MIXED = np.where(SPOT > 0, 3, FOX).astype(np.uint8)


def write(folder, masks, info=INFO, **known):
    """Photos, and what was predicted of them; the records by photo."""
    write_photos(folder / "card", *masks)
    records = [predicted(name, mask, location="site", datetime="2024-05-01 10:00:00", **{
        "made_of": [(folder / "card" / name).stat().st_size, 1, 0.0, 0.0], **known})
        for name, mask in masks.items()]
    write_records(folder / "predictions.jsonl", records, info)
    return {record["file"]: record for record in records}


def marks(folder, records, *rows, **others):
    """The CSV of marks (file, predicted, verdict, species); `others` differ from the page's."""
    with open(folder / "marks.csv", "w", newline="", encoding="utf-8-sig") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        for name, before, verdict, species in rows:
            key = prediction_key(records[name]) if name in records else "p0"
            table.writerow({"file": name, "predicted": before, "verdict": verdict,
                            "species": species, "model": INFO["model"],
                            "weights": INFO["weights"], "prediction": key, **others})
    return ("review", folder / "marks.csv", "--predictions", folder, "--images", folder / "card",
            "--out", folder / "out")


def test_the_class_of_an_animal_is_that_of_the_whole(tmp_path):
    records = write(tmp_path, {"one.jpg": MIXED, "two.jpg": np.maximum(MIXED, HARE),
                               "wolf.jpg": MIXED})
    imported(*marks(tmp_path, records, ("one.jpg", "fox", "right", "fox"),
                    ("two.jpg", "fox + snow hare", "right", "fox + snow hare"),
                    ("wolf.jpg", "fox", "other", "wolf")))
    found, names = masks_of(tmp_path / "out")
    assert names == ["background", "fox", "snow hare", "black bear", "wolf"]
    assert np.array_equal(found["card/one.jpg"], FOX)
    both = np.maximum(FOX, HARE)
    assert np.array_equal(found["card/two.jpg"], np.where(SPOT > 0, IGNORE, both))
    assert np.array_equal(found["card/wolf.jpg"], 4 * FOX)
    assert {row.location for row in read_manifest(tmp_path / "out/manifest.csv")} == {"site"}


def test_what_nobody_has_outlined_is_unlabelled_and_told(tmp_path):
    both = np.maximum(FOX, HARE)
    records = write(tmp_path, {"1.jpg": NOTHING, "2.jpg": both, "3.jpg": FOX, "4.jpg": FOX})
    told = imported(*marks(tmp_path, records, ("1.jpg", "empty", "other", "wolf"),
                           ("2.jpg", "fox + snow hare", "other", "wolf"),
                           ("3.jpg", "fox", "wrong", ""), ("4.jpg", "fox", "right", "")))
    found, _ = masks_of(tmp_path / "out")
    assert [found[f"card/{number}.jpg"] for number in (1, 2, 3)] == ["", "", ""]
    assert "another species where none was predicted" in told
    assert "another species where several were predicted" in told
    assert "marked as wrong" in told


def test_a_right_animal_of_unknown_species_has_no_name_yet(tmp_path):
    records = write(tmp_path, {"1.jpg": FOX, "2.jpg": FOX}, sure=0.3, unknown_below=0.5)
    told = imported(*marks(tmp_path, records, ("1.jpg", "unknown", "right", "unknown"),
                           ("2.jpg", "unknown", "other", "wolf")))
    found, _ = masks_of(tmp_path / "out")
    assert found["card/1.jpg"] == "" and np.array_equal(found["card/2.jpg"], 4 * FOX)
    assert "unknown species" in told


def test_photos_that_were_tested_on_stay_test_photos(tmp_path):
    records = write(tmp_path, {"1.jpg": FOX}, split="test")
    imported(*marks(tmp_path, records, ("1.jpg", "fox", "right", "fox")))
    assert [row.split for row in read_manifest(tmp_path / "out/manifest.csv")] == ["test"]


@pytest.mark.parametrize(("row", "others", "part"), [
    (("1.jpg", "fox", "right", "fox"), {"weights": "ff00", "model": "old"},
     "the model 'old' with the weights ff00, those of --predictions are of 'shapes' with the "
     "weights ab12"),
    (("1.jpg", "snow hare", "right", "snow hare"), {"prediction": "p123"},
     "marked was snow hare, predicted is fox"),
    (("9.jpg", "fox", "right", "fox"), {}, "nothing was predicted of '9.jpg'"),
    (("1.jpg", "fox", "good", ""), {}, "line 2: verdict 'good' is none of right, wrong"),
    (("1.jpg", "fox", "right", "wolf"), {}, "fox is marked as right, but the species is 'wolf'"),
    (("1.jpg", "fox", "wrong", "wolf"), {}, "the verdict is wrong, but the species is 'wolf'"),
    (("1.jpg", "fox", "other", ""), {}, "the species '' is none"),
    (("1.jpg", "fox", "other", "fox"), {}, "is what was predicted; write the verdict right"),
    (("1.jpg", "fox", "", ""), {}, "no mark in it"),
])
def test_marks_that_do_not_belong_are_refused(tmp_path, row, others, part):
    records = write(tmp_path, {"1.jpg": FOX})
    result = import_labels(*marks(tmp_path, records, row, **others))
    assert part in error_line(result) and not (tmp_path / "out").exists()


def test_another_photo_of_the_same_name_is_refused(tmp_path):
    records = write(tmp_path, {"1.jpg": FOX, "2.jpg": FOX})
    rows = ("1.jpg", "fox", "right", "fox"), ("2.jpg", "fox", "right", "fox")
    write_photos(tmp_path / "card", "1.jpg", size=(64, 52))
    (tmp_path / "card/2.jpg").write_bytes((tmp_path / "card/2.jpg").read_bytes() + b"\0")
    told = refusal(import_labels(*marks(tmp_path, records, *rows)))
    assert "64 x 48 pixels" in told and "now 64 x 52" in told and told.count("has changed") == 2


def test_results_that_are_not_there_are_named(tmp_path):
    records = write(tmp_path, {"1.jpg": FOX})
    (tmp_path / "predictions.jsonl").unlink()
    result = import_labels(*marks(tmp_path, records, ("1.jpg", "fox", "right", "fox")))
    assert "predictions.jsonl: no such file" in error_line(result)


# --------------------------------------------------------------------- beside masks drawn by hand


def reviewed(tmp_path, drawn, *more, photos=("1.jpg", "2.jpg")):
    """The command that joins reviewed photos with a data root `drawn`, whose classes are those of
    the model."""
    write_classes(drawn / "classes.csv", [Class(item["name"], (1, 2, 3))
                                          for item in INFO["classes"]])
    records = write(tmp_path, dict.fromkeys(photos, FOX))
    return (*marks(tmp_path, records, *((name, "fox", "right", "fox") for name in photos)),
            "--with", drawn, *more)


def test_masks_drawn_by_hand_alone_are_held_out(tmp_path, own_data):
    told = imported(*reviewed(tmp_path, own_data))
    rows = read_manifest(tmp_path / "out/manifest.csv")
    own = [row for row in rows if row.image.startswith("photos/card/")]
    drawn = {row.image.removeprefix("photos/own data/"): row for row in rows if row not in own}
    assert [row.split for row in own] == ["train", "train"]
    splits = [row.split for row in drawn.values()]
    assert splits.count("val") and splits.count("test")
    places = {split: {row.location for row in drawn.values() if row.split == split}
              for split in ("train", "val", "test")}  # by location, as there are five
    assert not places["test"] & (places["train"] | places["val"])
    assert f"15 photos with masks of {own_data} join them, {splits.count('val')} val" in told
    for row in read_manifest(own_data / "manifest.csv"):
        there = drawn.pop(row.image.removeprefix("photos/"))
        assert (there.location, there.datetime, there.sequence) == row[2:5]
        assert (tmp_path / "out" / there.image).read_bytes() == (own_data / row.image).read_bytes()
        if row.mask == "background":
            assert there.mask == "background"
        else:
            assert np.array_equal(read_mask(tmp_path / "out" / there.mask),
                                  read_mask(own_data / row.mask))
    assert not drawn


def test_given_splits_of_hand_drawn_masks_are_kept(tmp_path, own_data):
    rows = list(read_manifest(own_data / "manifest.csv"))
    rows = [row._replace(split=("test_seen", "val", "train")[number % 3], mask=row.mask * (number
            > 2)) for number, row in enumerate(rows)]
    write_manifest(own_data / "manifest.csv", rows)
    told = imported(*reviewed(tmp_path, own_data))
    there = {row.image: row for row in read_manifest(tmp_path / "out/manifest.csv")}
    assert len(there) == 12 + 2 and "3 photos of" in told and "have no mask: left out" in told
    for row in rows[3:]:
        assert there["photos/own data/" + row.image.removeprefix("photos/")].split == row.split


def test_a_reviewed_copy_of_a_hand_drawn_photo_is_left_out(tmp_path, own_data):
    command = reviewed(tmp_path, own_data)
    first = own_data / read_manifest(own_data / "manifest.csv")[0].image
    first.write_bytes((tmp_path / "card/1.jpg").read_bytes())
    told = imported(*command)
    rows = read_manifest(tmp_path / "out/manifest.csv")
    assert [row.image for row in rows if "/card/" in row.image] == ["photos/card/2.jpg"]
    assert f"1 reviewed photos lie in {own_data}" in told and "unpaired" not in told


def test_a_reviewed_photo_that_looks_like_one_held_out_is_left_out(tmp_path, own_data):
    command = reviewed(tmp_path, own_data)
    imported(*command)
    first = next(row for row in read_manifest(tmp_path / "out/manifest.csv") if row.split == "test")
    photo = smooth_photo(np.random.default_rng(0)).resize((64, 48))
    photo.save(own_data / first.image.replace("/own data/", "/"), quality=90)
    photo.save(tmp_path / "card/1.jpg", quality=70)
    records = [predicted(name, FOX, location="site", made_of=[
        (tmp_path / "card" / name).stat().st_size, 1, 0.0, 0.0]) for name in ("1.jpg", "2.jpg")]
    (tmp_path / "predictions.jsonl").unlink()
    write_records(tmp_path / "predictions.jsonl", records)
    shutil.rmtree(tmp_path / "out")
    told = imported(*command)
    assert "1 reviewed photos look like one held out" in told
    assert "photos/card/1.jpg" not in (tmp_path / "out/manifest.csv").read_text()


@pytest.mark.parametrize(("more", "part"), [
    (("--split", "test"), "leave --split out"),
    (("--classes",), "class 2 is 'wolf' there, but 'snow hare' in the predictions"),
    (("--out", "own data"), "it is the data root of --with")])
def test_what_does_not_fit_the_hand_drawn_masks_is_refused(tmp_path, own_data, more, part):
    command = list(reviewed(tmp_path, own_data))
    if more == ("--classes",):
        write_classes(own_data / "classes.csv", [Class(name, (1, 2, 3)) for name in (
            "background", "fox", "wolf")])
    elif more[0] == "--out":
        command[command.index("--out") + 1] = own_data
    else:
        command += more
    assert part in error_line(import_labels(*command)) and not (tmp_path / "out").exists()


def test_masks_of_a_model_alone_are_told_of(tmp_path):
    records = write(tmp_path, {"1.jpg": FOX})
    told = imported(*marks(tmp_path, records, ("1.jpg", "fox", "right", "fox")))
    assert "the masks are a model's own" in told and "--with DATA_ROOT" in told


def test_photos_without_a_mark_are_counted_and_the_next_run_begins_with_the_model(
        tmp_path, monkeypatch):
    monkeypatch.setattr("camera_trapinator.utils.RUNS", tmp_path / "runs")
    best = tmp_path / "runs/shapes/best.pt"
    best.parent.mkdir(parents=True)
    best.write_bytes(b"weights")
    info = {**INFO, "weights": sha256(best)}
    records = write(tmp_path, dict.fromkeys(("1.jpg", "2.jpg", "3.jpg"), FOX), info)
    command = marks(tmp_path, records, ("1.jpg", "fox", "right", "fox"), weights=info["weights"])
    told = imported(*command)
    assert "2 photos have no mark" in told and "unpaired" not in told
    assert told.splitlines()[-1].endswith(" weights=shapes")
    best.write_bytes(b"others")
    assert "weights=" not in imported(*command, "--overwrite")
