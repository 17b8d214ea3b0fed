"""--resume after the data have changed: the same bits as without a break, or a refusal that names
the difference; and who has learned from which photos, through all runs."""

import json
import os
import re
import signal
from shutil import copytree

import numpy as np
import pytest
import torch
from conftest import CLASSES, QUICK, error_line, make_data, run_script
from leavings import all_of, read_csv, start, wait_for
from PIL import Image

from camera_trapinator.data.manifest import Class, read_manifest, write_classes, write_manifest
from camera_trapinator.training.checkpoint import load_checkpoint
from camera_trapinator.utils import ROOT

KNOBS = ("epochs=4", "num_workers=0")


def rewrite(root, change):
    """The manifest with `change` of its rows."""
    rows = change(list(read_manifest(root / "manifest.csv")))
    write_manifest(root / "manifest.csv", rows)


def stopped(root, runs):
    """A run that was stopped in the middle."""
    process = start("run", root, runs, *KNOBS)
    wait_for(process, runs / "run.txt", "epoch 2/")
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(60) == 75
    return runs


def resume(root, runs, *knobs):
    process = start("run", root, runs, *KNOBS, *knobs)
    code = process.wait(120)
    return code, (runs / "run.txt").read_text()


@pytest.fixture(scope="module")
def halfway(tmp_path_factory):
    """A data root, an unbroken run on it, and the folder of one that was stopped."""
    folder = tmp_path_factory.mktemp("halfway")
    root = make_data(folder / "data", locations=6, photos=4)
    process = start("run", root, folder / "whole", *KNOBS)
    assert process.wait(120) == 0, (folder / "whole/run.txt").read_text()
    return root, all_of(folder / "whole/run/last.pt"), stopped(root, folder / "stopped")


def add_location(root):
    extra = make_data(root / "more", locations=7, photos=4)
    (extra / "photos/site6").rename(root / "photos/site6")
    (extra / "masks/site6").rename(root / "masks/site6")
    new = [row for row in read_manifest(extra / "manifest.csv") if row.location == "site6"]
    rewrite(root, lambda rows: new + rows)


def add_unlabelled(root):
    rewrite(root, lambda rows: rows + [rows[0]._replace(image="photos/none.jpg", mask="")])
    Image.new("RGB", (64, 48)).save(root / "photos/none.jpg")


def turn_round(root):
    rewrite(root, lambda rows: rows[::-1])


def other_colours(root):
    write_classes(root / "classes.csv", [Class(name, (9, 9, place))
                                         for place, (name, _) in enumerate(CLASSES)])


@pytest.mark.parametrize("change", [
    add_location, *(pytest.param(change, marks=pytest.mark.long) for change in (
        add_unlabelled, turn_round, other_colours))])
def test_a_run_goes_on_with_its_own_photos_and_splits(halfway, tmp_path, change):
    root, whole, runs = halfway
    root, runs = copytree(root, tmp_path / "data"), copytree(runs, tmp_path / "runs")
    before = (runs / "run/splits.csv").read_text()
    change(root)
    code, said = resume(root, runs)
    assert code == 0, said
    assert ("4 labelled photos are not part of this run" in said) == (change is add_location)
    got = all_of(runs / "run/last.pt")
    known = {place for place in whole if "data_root" not in place and "/config" not in place
             and "/classes/" not in place}
    assert not [place for place in known if got[place] != whole[place]]
    assert (runs / "run/splits.csv").read_text() == before


def swap_classes(root):
    write_classes(root / "classes.csv", [CLASSES[0], CLASSES[2], CLASSES[1]])


def add_class(root):
    write_classes(root / "classes.csv", [*CLASSES, Class("owl", (1, 2, 3))])


def drop_photo(root):
    rewrite(root, lambda rows: rows[1:])


def other_photo(root):
    Image.new("RGB", (64, 48), (200, 100, 50)).save(
        root / read_manifest(root / "manifest.csv")[1].image)


def same_size(root):
    """One bit of a photo, at an equal size."""
    path = root / read_manifest(root / "manifest.csv")[1].image
    content = bytearray(path.read_bytes())
    content[-10] ^= 1
    path.write_bytes(content)


def other_mask(root):
    rewrite(root, lambda rows: [rows[0], rows[1]._replace(mask=rows[2].mask), *rows[2:]])


def other_location(root):
    rewrite(root, lambda rows: [rows[0]._replace(location="elsewhere"), *rows[1:]])


def other_curriculum(root):
    rewrite(root, lambda rows: [rows[0]._replace(difficulty="0.5"), *rows[1:]])


@pytest.mark.parametrize(("change", "named"), [
    (swap_classes, "snow hare, fox"), (drop_photo, "not in the manifest"),
    (other_mask, "have changed"), (same_size, "have changed"),
    *(pytest.param(change, named, marks=pytest.mark.long) for change, named in (
        (add_class, "owl"), (other_photo, "have changed"), (other_location, "have changed"),
        (other_curriculum, "have changed")))])
def test_a_run_does_not_go_on_as_another_one(halfway, tmp_path, change, named):
    root, _, runs = halfway
    root, runs = copytree(root, tmp_path / "data"), copytree(runs, tmp_path / "runs")
    change(root)
    code, said = resume(root, runs)
    [line] = [line for line in said.strip().splitlines() if "is given twice" not in line]
    assert code == 2 and line.startswith("error: ") and named in line
    assert ("classes.csv" in line) == (change in (swap_classes, add_class))


HARMLESS = (add_location, add_unlabelled, turn_round, other_colours)
HARMFUL = {swap_classes: "snow hare, fox", add_class: "owl", drop_photo: "not in the manifest",
           other_photo: "have changed", same_size: "have changed", other_mask: "have changed",
           other_location: "have changed", other_curriculum: "have changed"}
OF_THE_MACHINE = ("num_workers=1", "predict_batch_size=2", "checkpoint_minutes=0", "cache=none",
                  "unknown_below=0.9", "recompute=true")
OF_THE_RUN = ("learning_rate=0.05", "flip=0.2", "epochs=5", "seed=1", "val_fraction=0.3",
              "loss=focal", "precision=bf16", "crop_size=32,32")


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100))
def test_a_changed_resume_ends_as_the_unbroken_run_or_is_refused(halfway, tmp_path, seed):
    """Some of the data and of the knobs change at random while a run lies stopped."""
    random = np.random.default_rng(seed)
    root, whole, runs = halfway
    root, runs = copytree(root, tmp_path / "data"), copytree(runs, tmp_path / "runs")

    def some(of, chance):
        return [item for item in of if random.random() < chance]

    harmful, wrong = some(HARMFUL, 0.07), some(OF_THE_RUN, 0.05)
    for change in [*harmful, *some(HARMLESS, 0.3)]:
        if change is not other_colours or not {swap_classes, add_class} & set(harmful):  # one file
            change(root)
    code, said = resume(root, runs, *some(OF_THE_MACHINE, 0.3), *wrong)
    if harmful or wrong:
        line = said.strip().splitlines()[-1]
        named = [HARMFUL[change] for change in harmful] + [knob.split("=")[0] for knob in wrong]
        assert code == 2 and line.startswith("error: ") and any(name in line for name in named)
        return
    assert code == 0, said
    got = all_of(runs / "run/last.pt")
    assert not [place for place in whole if got[place] != whole[place]
                and not re.search("data_root|/config|/classes/", place)]


def test_a_longer_training_says_how(halfway, tmp_path):
    root, _, runs = halfway
    code, said = resume(root, copytree(runs, tmp_path / "runs"), "epochs=9")
    assert code == 2 and "weights=run" in said


def test_a_run_goes_on_in_the_precision_in_which_it_began(data_root, tmp_path):
    """Also on a device whose own choice is another one."""
    process = start("run", data_root, tmp_path, *KNOBS, "precision=auto")
    wait_for(process, tmp_path / "run.txt", "epoch 2/")
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(60) == 75
    last = tmp_path / "run/last.pt"
    content = load_checkpoint(last)
    other = "bf16" if content["precision"] == "fp32" else "fp32"
    torch.save({**content, "precision": other}, last)
    code, said = resume(data_root, tmp_path)
    assert code == 0 and f", {other}" in said


# ------------------------------------------------------------------------ who has learned from what


def test_what_earlier_runs_have_learned_from_counts_as_seen(trained, data_root, tmp_path):
    """A run that begins with another's weights, or learns from it as a teacher: test locations of
    which that one has learned are seen; and so on, from run to run."""
    runs = copytree(trained, tmp_path / "runs")
    learned = {row["location"] for row in read_csv(runs / "shapes/splits.csv")
               if row["split"] == "train"}

    def learn(name, *knobs):
        result = run_script("train.py", "--config", ROOT / "configs/unet.yaml", "--run", name,
                            f"data_root={data_root}", *QUICK, "epochs=1", "width=8", *knobs,
                            runs=runs)
        assert result.returncode == 0, result.stderr
        tests = {row["location"] for row in read_csv(runs / name / "splits.csv")
                 if row["split"] == "test"}
        result_of_test = run_script("test.py", "--run", name, "outputs=csv", runs=runs)
        assert result_of_test.returncode == 0, result_of_test.stderr
        report = json.loads((runs / name / "test/report.json").read_text())
        return tests, report, result.stdout

    seed = next(seed for seed in range(1, 30) if learn_only_tests(runs, data_root, seed) & learned)
    for name, knobs in (("tuned", ["weights=shapes"]), ("pupil", ["teacher=shapes"]),
                        ("grandchild", ["weights=tuned"])):
        tests, report, said = learn(name, *knobs, f"seed={seed}")
        assert tests & learned
        assert report["locations"]["seen"]["images"] >= 6 * len(tests & learned)
        assert "count as seen" in report["note"] and "have learned from" in said
        assert learned <= set(load_checkpoint(runs / name / "best.pt")["learned_from"]["locations"])
    # Alone it has seen none of them.
    _, report, said = learn("alone", f"seed={seed}")
    assert report["locations"]["seen"]["images"] == 0 and "have learned from" not in said
    # An older run does not tell; the very photos are known under other names.
    content = load_checkpoint(runs / "shapes/best.pt")
    assert len(content["learned_from"]["photos"]) == 18


def learn_only_tests(runs, data_root, seed):
    """The test locations that a seed gives."""
    from camera_trapinator.data.checks import check_photos
    from camera_trapinator.data.splits import make_splits

    manifest = read_manifest(data_root / "manifest.csv")
    shares = check_photos(manifest, data_root, 3, runs / "shares.jsonl")
    splits = make_splits(manifest, shares > 0, by="location", val_fraction=0.15,
                         test_fraction=0.15, seed=seed)
    return {row.location for row, split in zip(manifest, splits, strict=True) if split == "test"}


def test_a_photo_under_another_name_is_known(trained, data_root, tmp_path):
    """Other folders, other names, the same files: the location is new, the photos are not."""
    runs, root = copytree(trained, tmp_path / "runs"), make_data(tmp_path / "data")
    rows = list(read_manifest(root / "manifest.csv"))
    moved = []
    for row in rows:
        image = row.image.replace("site", "camera")
        (root / image).parent.mkdir(parents=True, exist_ok=True)
        (root / row.image).rename(root / image)
        moved.append(row._replace(image=image, location=row.location.replace("site", "camera"),
                                  sequence=""))
    write_manifest(root / "manifest.csv", moved)
    result = run_script("train.py", "--config", ROOT / "configs/unet.yaml", "--run", "tuned",
                        f"data_root={root}", *QUICK, "epochs=1", "width=8", "weights=shapes",
                        "seed=1", runs=runs)
    assert result.returncode == 0, result.stderr
    assert run_script("test.py", "--run", "tuned", "outputs=csv", runs=runs).returncode == 0
    learned = {row["image"].replace("site", "camera")
               for row in read_csv(runs / "shapes/splits.csv") if row["split"] == "train"}
    tested = {row["image"] for row in read_csv(runs / "tuned/splits.csv") if row["split"] == "test"}
    report = json.loads((runs / "tuned/test/report.json").read_text())
    assert report["locations"]["seen"]["images"] == len(tested & learned)


def test_an_ancestor_that_does_not_tell_is_named(trained, data_root, tmp_path):
    runs = copytree(trained, tmp_path / "runs")
    content = load_checkpoint(runs / "shapes/best.pt")
    del content["learned_from"]  # as of an older version
    torch.save(content, runs / "shapes/best.pt")
    result = run_script("train.py", "--config", ROOT / "configs/unet.yaml", "--run", "tuned",
                        f"data_root={data_root}", *QUICK, "epochs=1", "width=8", "weights=shapes",
                        runs=runs)
    assert "shapes does not tell what it has learned from" in result.stdout
    assert run_script("test.py", "--run", "tuned", "outputs=csv", runs=runs).returncode == 0
    report = json.loads((runs / "tuned/test/report.json").read_text())
    assert "what shapes learned from is not known" in report["note"]


def test_test_photos_that_are_gone_are_told(trained, data_root, tmp_path):
    runs, root = copytree(trained, tmp_path / "runs"), copytree(data_root, tmp_path / "data")
    tested = [row["image"] for row in read_csv(runs / "shapes/splits.csv")
              if row["split"] == "test"]
    rewrite(root, lambda rows: [row for row in rows if row.image not in tested[:2]])
    result = run_script("test.py", "--run", "shapes", "outputs=csv", f"data_root={root}", runs=runs)
    assert "2 test photos of the run are not in the manifest any more" in result.stdout
    report = json.loads((runs / "shapes/test/report.json").read_text())
    assert report["images"] == 4 and "2 test photos" in report["note"]


def test_a_splits_file_of_any_make_is_read_or_refused_in_a_line(own_data, tmp_path):
    rows = list(read_manifest(own_data / "manifest.csv"))
    splits = ["train", "train", "train", "val", "test"]
    text = "image,split\n" + "".join(
        f"{row.image},{splits[int(row.location[4:])]}\n" for row in rows)
    arguments = ["train.py", "--config", ROOT / "configs/unet.yaml", "--dry-run",
                 f"data_root={own_data}", *QUICK, f"splits_file={tmp_path / 'splits.csv'}"]
    # As Excel writes it.
    for content in (text.encode("utf-8-sig"), text.encode("utf-16"),
                    text.replace(",", ";").encode()):
        (tmp_path / "splits.csv").write_bytes(content)
        assert run_script(*arguments, runs=tmp_path / "runs").returncode == 0
    for content, named in ((text.replace("site0", "sité0").encode("latin-1"), "not UTF-8"),
                           (text.replace("split\n", "part\n").encode(), "'split'"),
                           (text.replace(",val", ",valid").encode(), "'valid'"),
                           ((text + f"{rows[0].image},val\n").encode(), "twice")):
        (tmp_path / "splits.csv").write_bytes(content)
        line = error_line(run_script(*arguments, runs=tmp_path / "runs"))
        assert "splits.csv" in line and named in line
