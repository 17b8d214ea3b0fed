"""test.py called again: the results are those of a first call with what is there now, or a refusal
names the difference. What was predicted once is never taken for something else."""

import os
import shutil
from zipfile import ZipFile

import numpy as np
import pytest
from conftest import EXAMPLES, draw_photo, error_line, run_script
from leavings import read_csv
from PIL import Image
from striped_photos import scene, with_strip

from camera_trapinator.outputs.records import read_records

OUTPUTS = "outputs=masks,overlays,csv,xmp,coco"


def make_card(folder, names, seed=0):
    """Photos under names that every camera gives."""
    for number, name in enumerate(names):
        image, _ = draw_photo(np.random.default_rng([seed, number]), 1 + number % 2)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / name, quality=92)
    return folder


SIX = [f"DCIM/100RECNX/IMG_{number:04}.JPG" for number in range(1, 7)]


def predict(trained, card, out, *further):
    return run_script("test.py", "--run", "shapes", "--images", card, "--out", out, OUTPUTS,
                      *further, runs=trained)


def files_below(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
            and not path.name.startswith(".")}


def assert_same_results(out, other):
    """All files of two folders of results hold the same; but for where they were made of it."""
    assert files_below(out) == files_below(other)
    for name in files_below(out) - {"report.html", "predictions.jsonl", "megadetector.json"}:
        assert (out / name).read_bytes() == (other / name).read_bytes(), name
    records, others = ([{**record, "made_of": None} for record in read_records(
        folder / "predictions.jsonl")[1]] for folder in (out, other))
    assert records == others


def test_a_second_card_does_not_get_the_results_of_the_first(trained, tmp_path):
    card, out = make_card(tmp_path / "card", SIX), tmp_path / "out"
    assert predict(trained, card, out).returncode == 0
    first = (out / "predictions.csv").read_bytes()
    shutil.rmtree(card)
    make_card(card, SIX[:4], seed=1)  # put into the same reader
    line = error_line(predict(trained, card, out))
    assert "other photos" in line and "6 photos" not in line.split("other photos")[0]
    assert "--out" in line and "--overwrite" in line and SIX[0] in line
    assert (out / "predictions.csv").read_bytes() == first  # not lost
    assert predict(trained, card, out, "--overwrite").returncode == 0
    assert predict(trained, card, tmp_path / "fresh").returncode == 0
    assert_same_results(out, tmp_path / "fresh")


def test_photos_that_change_go_or_come_are_seen(trained, tmp_path):
    card, out = make_card(tmp_path / "card", SIX), tmp_path / "out"
    assert predict(trained, card, out).returncode == 0
    make_card(card, [SIX[1], SIX[0]], seed=2)
    (card / SIX[5]).unlink()
    make_card(card, ["new/IMG_0001.JPG"], seed=3)
    result = predict(trained, card, out)
    assert result.returncode == 0, result.stderr
    assert f"1 photos have gone since they were predicted, such as {SIX[5]}" in result.stdout
    assert "2 photos (or their strips) have changed since they were predicted, such as " in (
        result.stdout)
    assert "going on    3 of 6 photos are done" in result.stdout
    assert predict(trained, card, tmp_path / "fresh").returncode == 0
    assert_same_results(out, tmp_path / "fresh")
    assert not (out / "masks" / f"{SIX[5]}.png").exists()
    # The same again: nothing to do, and nothing said of changes.
    result = predict(trained, card, out)
    assert "6 of 6 photos are done" in result.stdout and "since" not in result.stdout


def test_tables_of_earlier_predictions_do_not_stand_beside_todays(trained, tmp_path):
    card, out = make_card(tmp_path / "card", SIX), tmp_path / "out"
    assert predict(trained, card, out).returncode == 0
    result = predict(trained, card, out, "outputs=csv")  # nothing new: coco.json still holds
    assert (out / "coco.json").exists() and "removed" not in result.stdout
    make_card(card, ["more/IMG_0001.JPG"], seed=3)
    result = predict(trained, card, out, "outputs=csv")
    assert "coco.json was made of earlier predictions" in result.stdout
    assert not (out / "coco.json").exists() and len(read_csv(out / "predictions.csv")) == 7


def test_one_photo_does_not_cost_the_results_of_its_folder(trained, tmp_path):
    card = make_card(tmp_path / "one card", SIX)
    for images in (card, card / SIX[0]):
        result = run_script("test.py", "--run", "shapes", "--images", images, "outputs=csv",
                            runs=trained)
        assert result.returncode == 0, result.stderr
    folder = trained / "shapes/predict"
    assert len(read_csv(folder / "one card/predictions.csv")) == 6
    assert len(read_csv(folder / "IMG_0001.JPG/predictions.csv")) == 1


KNOBS = {"flips": ("false", "true"), "working_scale": ("64", "48"), "tile": ("0", "32"),
         "precision": ("fp32", "bf16"), "mask_size": ("photo", "network"),
         "smallest_blob": ("0.0005", "0.02"), "faint": ("0.1", "0.3"), "strips": ("none", "2,3"),
         "unknown_below": ("0.5", "0.9")}


def test_a_changed_knob_is_refused_by_name_and_harms_nothing(trained, tmp_path):
    card, out = make_card(tmp_path / "card", SIX[:2]), tmp_path / "out"
    knobs = {name: before for name, (before, _) in KNOBS.items()}
    assert predict(trained, card, out, *(f"{item[0]}={item[1]}" for item in knobs.items())
                   ).returncode == 0
    for name, (_, after) in KNOBS.items():
        line = error_line(predict(trained, card, out, *(
            f"{key}={after if key == name else value}" for key, value in knobs.items())))
        assert f"made with {name} = " in line and "--overwrite" in line
    # What computes the same is the same: as many at once, or by processes.
    result = predict(trained, card, out, *(f"{item[0]}={item[1]}" for item in knobs.items()),
                     "predict_batch_size=1")
    assert "2 of 2 photos are done" in result.stdout


def test_another_mask_format_is_that_of_all_masks_and_costs_no_prediction(trained, tmp_path):
    card, out = make_card(tmp_path / "card", SIX), tmp_path / "out"
    assert predict(trained, card, out, "outputs=masks,masks_zip").returncode == 0
    result = predict(trained, card, out, "outputs=masks,masks_zip", "mask_format=grey")
    assert "6 of 6 photos are done" in result.stdout, result.stderr
    paths = sorted((out / "masks").rglob("*.png"))
    assert len(paths) == 6 and {Image.open(path).mode for path in paths} == {"L"}
    with ZipFile(out / "masks.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            path.relative_to(out / "masks").as_posix(): path.read_bytes()
            for path in [*paths, out / "masks/classes.csv"]}
    result = predict(trained, card, out, "outputs=csv", "--overwrite")
    assert result.returncode == 0 and not [*(out / "masks").rglob("*.*")]


@pytest.mark.long
@pytest.mark.parametrize("seed", range(max(100, EXAMPLES)))
def test_a_second_call_is_as_a_first_or_refused(trained, tmp_path, seed):
    """Of the knobs and the files of a folder some change at random between two calls."""
    random = np.random.default_rng(seed)
    card, out = make_card(tmp_path / "card", SIX), tmp_path / "out"
    knobs = [f"{name}={pair[0]}" for name, pair in KNOBS.items()]
    assert predict(trained, card, out, *knobs).returncode == 0
    before = {name: (card / name).stat() for name in SIX}
    changed = [name for name in KNOBS if random.random() < 0.1]
    knobs = [f"{name}={pair[name in changed]}" for name, pair in KNOBS.items()]
    for number in range(random.integers(0, 7)):
        path = card / SIX[random.integers(6)]
        match random.integers(3):
            case 0:
                path.unlink(missing_ok=True)
            case 1:
                make_card(card, [path.relative_to(card)], seed=100 + number)
            case 2:
                make_card(card, [f"more/IMG_{number}.JPG"], seed=200 + number)
    make_card(card, ["one/IMG_9.JPG"], seed=9)
    result = predict(trained, card, out, *knobs)
    if result.returncode:
        line = error_line(result)
        if not any(f"with {name} = " in line for name in changed):
            assert "other photos" in line
            assert not any((card / name).exists() and (card / name).stat().st_mtime_ns
                           == status.st_mtime_ns for name, status in before.items())
        return
    assert not changed
    assert predict(trained, card, tmp_path / "fresh", *knobs).returncode == 0
    assert_same_results(out, tmp_path / "fresh")


def test_corrected_strips_are_predicted_anew(trained, tmp_path):
    card, out = make_card(tmp_path / "card", []), tmp_path / "out"
    card.mkdir()
    random = np.random.default_rng(0)
    for number in range(6):
        with_strip(scene(random), 24, "bottom", 0, 255, number).save(card / f"{number}.jpg")
    assert predict(trained, card, out, "strips=auto").returncode == 0
    rows = (out / "strips.csv").read_text().splitlines()
    *key, _, _ = rows[1].split(",")
    (out / "strips.csv").write_text("\n".join([rows[0], ",".join([*key, "0.0", "0.0"]), *rows[2:]]))
    assert float(rows[1].split(",")[-1]) > 0.05  # there was one
    result = predict(trained, card, out, "strips=auto")
    assert result.returncode == 0 and "6 photos (or their strips) have changed" in result.stdout
    assert "going on" not in result.stdout


def test_shards_of_another_card_are_predicted_anew(trained, tmp_path):
    card, out = make_card(tmp_path / "card", SIX), tmp_path / "out"
    assert predict(trained, card, out, "--shard", "1/2").returncode == 0
    make_card(card, [SIX[0]], seed=5)
    result = predict(trained, card, out, "--shard", "1/2")
    assert "1 photos (or their strips) have changed" in result.stdout
    assert "2 of 3 photos are done" in result.stdout
    make_card(card, [SIX[2]], seed=6)
    assert predict(trained, card, out, "--shard", "2/2").returncode == 0
    result = predict(trained, card, out)
    assert "1 photos (or their strips) have changed" in result.stdout
    assert predict(trained, card, tmp_path / "fresh").returncode == 0
    assert_same_results(out, tmp_path / "fresh")


# ------------------------------------------------------------------------------ what is no photo


def test_own_results_trash_and_thumbnails_are_no_photos(trained, tmp_path):
    card = make_card(tmp_path / "card", SIX)
    for name in ("@eaDir/IMG_0001.JPG", ".Trashes/501/a.jpg", "$RECYCLE.BIN/$R1.jpg",
                 "site/.thumbnails/a.jpg", "#recycle/b.jpg"):
        make_card(card, [name])
    (tmp_path / "elsewhere").mkdir()
    (card / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("a.MP4", "b.avi", "c.HEIC"):
        (card / name).write_bytes(b"x")
    for _ in range(2):
        result = predict(trained, card, card / "results")
        assert result.returncode == 0, result.stderr
        assert len(read_csv(card / "results/predictions.csv")) == 6
        assert "2 videos" in result.stdout and "1 pictures of another kind" in result.stdout
        assert "1 links to folders" in result.stdout and "5 folders of the system" in result.stdout
    result = predict(trained, card, tmp_path / "others")  # earlier results are known as such
    assert len(read_csv(tmp_path / "others/predictions.csv")) == 6
    assert "1 folders of results (such as results)" in result.stdout
    assert "folder of the photos" in error_line(predict(trained, card, card))


def test_strange_names_end_nothing(trained, tmp_path):
    card, out = tmp_path / "card", tmp_path / "out"
    latin, long = "caf\udce9/B\udce9b\udce9.jpg", "x" * 244 + ".jpg"
    make_card(card, [latin, long, "a.jpg"])
    result = predict(trained, card, out)
    assert result.returncode == 0, result.stderr
    rows = read_csv(out / "predictions.csv")
    assert {row["file"] for row in rows} == {"caf\\udce9/B\\udce9b\\udce9.jpg", long, "a.jpg"}
    assert not read_csv(out / "failures.csv")
    assert (out / "masks" / (latin + ".png")).exists()
    assert len(list((out / "masks").rglob("*.png"))) == 3
    assert len(list((out / "xmp").rglob("*.xmp"))) == 3
    assert "3 of 3 photos are done" in predict(trained, card, out).stdout
    longest = "y" * (255 - len(".jpg")) + ".jpg"
    make_card(card, [longest])
    assert predict(trained, card, out).returncode == 0
    names = [os.fsencode(path.name) for path in (out / "masks").glob("*.png")]
    assert len(names) == 3 and max(map(len, names)) == 255
