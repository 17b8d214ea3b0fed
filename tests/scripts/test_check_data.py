"""check_data.py: everything that is wrong with a data root is told, before any training."""

import json
import re

import numpy as np
from coloured_photos import smooth_photo
from conftest import CLASSES, QUICK, error_line, make_data, run_script
from leavings import read_csv
from PIL import Image

from camera_trapinator.data.manifest import read_manifest, write_manifest
from camera_trapinator.data.masks import write_mask
from camera_trapinator.utils import ROOT


def check(data, tmp_path, *overrides):
    """Exit code, report and stdout of check_data.py on a data root."""
    result = run_script("check_data.py", "--config", "configs/demo.yaml", f"data_root={data}",
                        *overrides, runs=tmp_path / "runs")
    assert "Traceback" not in result.stderr, result.stderr
    path = tmp_path / "runs/data_check/demo/data_report.json"
    return result.returncode, json.loads(path.read_text()), result.stdout


def change(data, **columns):
    """Set columns of the manifest; a function of place and row gives each value."""
    rows = list(read_manifest(data / "manifest.csv"))
    write_manifest(data / "manifest.csv", [
        row._replace(**{name: value(place, row) for name, value in columns.items()})
        for place, row in enumerate(rows)])
    return rows


def test_sound_data_are_described(own_data, tmp_path):
    code, report, stdout = check(own_data, tmp_path)
    assert code == 0 and report["errors"] == [] and "0 errors" in stdout
    assert report["photos"] == 15 and report["all"]["empty"] == 5
    assert report["classes"]["fox"]["photos"] == report["classes"]["snow hare"]["photos"] == 5
    assert sum(split["photos"] for split in report["splits"].values()) == 15
    assert {place["photos"] for place in report["locations"].values()} == {3}
    with Image.open(tmp_path / "runs/data_check/demo/data_sheet.png") as sheet:
        colours = np.array(sheet.convert("RGB")).reshape(-1, 3)
    for _, colour in CLASSES[1:]:  # outlines and legend
        assert (colours == colour).all(axis=1).sum() > 100


def test_every_fault_of_a_file_is_told_once(own_data, tmp_path):
    rows = list(read_manifest(own_data / "manifest.csv"))
    content = (own_data / rows[0].image).read_bytes()
    (own_data / rows[0].image).write_bytes(content[:len(content) // 2])
    (own_data / rows[3].image).unlink()
    Image.fromarray(np.zeros((64, 48), np.uint8)).save(own_data / rows[4].mask)
    Image.fromarray(np.full((48, 64), 128, np.uint8)).save(own_data / rows[7].mask)
    code, report, stdout = check(own_data, tmp_path)
    assert code == 2 and len(report["errors"]) == 4
    for row, part in ((rows[0].image, "truncated"), (rows[3].image, "no such photo"),
                      (rows[4].mask, "lies on its side"), (rows[7].mask, "128 = class 1?")):
        assert sum(row in error and part in error for error in report["errors"]) == 1, report
        assert part in stdout


def test_masks_of_0_and_255_are_asked_about(own_data, tmp_path):
    for row in read_manifest(own_data / "manifest.csv"):
        if row.mask != "background":
            write_mask(own_data / row.mask, np.eye(48, 64, dtype=np.uint8) * 255, [(0, 0, 0)])
    code, report, _ = check(own_data, tmp_path)
    assert code == 2 and "did you mean 255 = class 1?" in report["errors"][0]


def test_near_duplicates_in_two_splits_stop_check_and_training(own_data, tmp_path):
    rows = change(own_data, split=lambda place, _: ["train", "train", "val", "test", "test"][
        place // 3])
    photo = smooth_photo(np.random.default_rng(0))
    photo.save(own_data / rows[1].image)  # site0
    photo.resize((320, 240)).save(own_data / rows[10].image, quality=60)  # site3
    command = ["--config", "configs/demo.yaml", f"data_root={own_data}"]
    code, report, _ = check(own_data, tmp_path)
    assert code == 2 and len(report["errors"]) == 1
    assert rows[1].image in report["errors"][0] and rows[10].image in report["errors"][0]
    assert "near-duplicates" in error_line(run_script("train.py", *command,
                                                      runs=tmp_path / "runs"))
    code, report, _ = check(own_data, tmp_path, "allow_leakage=true")
    assert code == 0 and any("near-duplicates" in line for line in report["warnings"])


def test_near_duplicates_are_drawn_into_one_split(tmp_path):
    """A newcomer's first photos: one folder, no times, some of them nearly the same."""
    root = make_data(tmp_path / "data", locations=1, photos=12)
    rows = change(root, sequence=lambda *_: "", datetime=lambda *_: "")
    photos = [smooth_photo(np.random.default_rng(number)) for number in range(12)]
    for number, row in enumerate(rows):  # the first three are one
        photos[max(number, 2)].save(root / row.image, quality=90 - number)
    arguments = ["--config", "configs/demo.yaml", f"data_root={root}", "split_by=auto", *QUICK]
    for seed in range(3):
        result = run_script("train.py", *arguments, "epochs=1", f"seed={seed}", "--run", f"s{seed}",
                            runs=tmp_path / "runs")
        assert result.returncode == 0, result.stderr
        assert re.search(r"^alike +2 pairs of near-duplicates, such as ", result.stdout, re.M)
        splits = read_csv(tmp_path / "runs" / f"s{seed}" / "splits.csv")
        assert len({row["split"] for row in splits[:3]}) == 1
        assert {row["split"] for row in splits} == {"train", "val", "test"}
    code, report, _ = check(root, tmp_path, "split_by=auto")
    assert code == 0 and not report["near_duplicates"]


def test_training_and_check_judge_alike_whichever_comes_first(own_data, tmp_path):
    """Near-duplicates, a broken photo, an empty validation: nothing has been read before."""
    rows = change(own_data, split=lambda place, _: ["train", "train", "val", "test", "test"][
        place // 3])
    train = ["train.py", "--config", "configs/demo.yaml", f"data_root={own_data}"]
    photo = smooth_photo(np.random.default_rng(0))
    photo.save(own_data / rows[1].image)
    photo.resize((320, 240)).save(own_data / rows[10].image, quality=60)
    assert "near-duplicates" in error_line(run_script(*train, runs=tmp_path / "one"))
    photo.save(own_data / rows[10].image, quality=60)
    (own_data / rows[2].image).write_bytes((own_data / rows[2].image).read_bytes()[:800])
    line = error_line(run_script(*train, runs=tmp_path / "two"))
    assert rows[2].image in line and "broken_photos: skip" in line
    code, report, _ = check(own_data, tmp_path, "val_fraction=0", "allow_leakage=true")
    assert code == 2 and any(rows[2].image in error for error in report["errors"])
    change(own_data, split=lambda place, _: ["train", "train", "test", "test", "test"][place // 3])
    code, report, _ = check(own_data, tmp_path, "val_fraction=0", "allow_leakage=true")
    assert any("no photo is left for validation" in error for error in report["errors"])


def test_odd_data_are_warned_about(own_data, tmp_path):
    exif = Image.Exif()
    exif[0x8825] = {2: (50.0, 1.0, 2.0)}
    rows = change(own_data, datetime=lambda place, _: "1999-01-01 00:00:00" if place < 12 else "",
                  sequence=lambda *_: "")
    with Image.open(own_data / rows[0].image) as photo:
        photo.load()
        photo.save(own_data / rows[0].image, exif=exif)
    with open(own_data / "classes.csv", "a") as file:
        file.write("3,person,#ff0000\n")
    code, report, _ = check(own_data, tmp_path)
    warnings = "\n".join(report["warnings"])
    assert code == 0
    for part in ("no mask holds the class person", "12 photos have one and the same datetime",
                 "12 photos are dated before 2001", "3 photos have no datetime",
                 "1 photos tell in their EXIF where", "photos of people"):
        assert part in warnings


def test_too_few_photos_and_many_missing_classes_are_one_line_each(own_data, tmp_path):
    with open(own_data / "classes.csv", "a") as file:
        file.writelines(f"{number},kind {number},#ff0{number:03}\n" for number in range(3, 8))
    change(own_data, split=lambda place, _: ["train", "val", "test", "test", "test"][place // 3])
    code, report, _ = check(own_data, tmp_path)
    assert code == 0 and report["warnings"][0].startswith(
        "2 photos to learn from with something on them: some twenty with masks are the least")
    [line] = [line for line in report["warnings"] if line.startswith("no mask holds")]
    assert line == ("no mask holds 5 of the 8 classes: "
                    + ", ".join(f"kind {number}" for number in range(3, 8)))
    trained = run_script("train.py", "--config", "configs/demo.yaml", f"data_root={own_data}",
                         *QUICK, "epochs=1", runs=tmp_path / "runs")
    assert "warning     2 photos to learn from" in trained.stdout, trained.stderr


def test_a_data_root_that_is_not_there_is_named_with_its_cures(tmp_path):
    result = run_script("check_data.py", "--config", "configs/demo.yaml",
                        "data_root=../nowhere/here")
    line = error_line(result)
    assert f"{(ROOT / '../nowhere/here').resolve()} is no folder" in line
    assert "import_labels.py" in line and "make_demo_data.py" in line
