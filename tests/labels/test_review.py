"""import_labels.py review: marks of report.html and the predictions that they are for."""

import csv

import numpy as np
import pytest
from conftest import error_line
from label_files import import_labels, imported, masks_of, refusal, write_photos
from prediction_records import INFO, predicted, with_box, write_records

from camera_trapinator import IGNORE
from camera_trapinator.data.manifest import read_manifest
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
