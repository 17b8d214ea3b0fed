"""import_labels.py yolo: against pixels found edge by edge, and on a real export."""

import numpy as np
import pytest
from conftest import error_line
from label_files import (
    LABELS,
    import_labels,
    imported,
    inside,
    masks_of,
    real,
    refusal,
    write_photos,
)

from camera_trapinator.data.manifest import read_manifest
from camera_trapinator.data.photos import photo_size
from camera_trapinator.labels.source import Source
from camera_trapinator.labels.yolo import read_yolo

WIDTH, HEIGHT = 64, 48


def test_yolo_polygons_fill_the_pixels_of_a_brute_force_rasteriser(tmp_path):
    random = np.random.default_rng(0)
    write_photos(tmp_path / "images", *(f"s{n % 3}/{n}.jpg" for n in range(12)))
    expected = {}
    for number in range(10):
        rings = [(int(random.integers(2)), random.uniform(-0.05, 1.05, (5, 2)).tolist())
                 for _ in range(2)]
        mask = np.zeros((HEIGHT, WIDTH), int)
        for index, ring in rings:
            pixels = [(x * WIDTH, y * HEIGHT) for x, y in ring]
            mask[inside(pixels, HEIGHT, WIDTH)] = index + 1
        name = f"s{number % 3}/{number}"
        path = tmp_path / "labels" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{index} {' '.join(str(v) for p in ring for v in p)}\n"
                                for index, ring in rings))
        expected[f"images/{name}.jpg"] = mask
    (tmp_path / "labels/s1/10.txt").write_text("\n")
    (tmp_path / "labels/classes.txt").write_text("fox\nhare\n")
    (tmp_path / "data.yaml").write_text("names:\n  0: fox\n  1: hare\n")
    imported("yolo", tmp_path / "labels", "--images", tmp_path / "images", "--names",
             tmp_path / "data.yaml", "--out", tmp_path / "out", "--unannotated", "empty")
    masks, names = masks_of(tmp_path / "out")
    assert names == ["background", "fox", "hare"]
    assert masks.pop("images/s1/10.jpg") == masks.pop("images/s2/11.jpg") == "background"
    assert masks.keys() == expected.keys()
    for name, mask in expected.items():
        assert np.array_equal(masks[name], mask)


@real
def test_yolo_of_a_real_export():
    folder = LABELS / "yolo_seg"
    source = Source(folder / "labels", folder / "images", "p")
    labels = read_yolo(source, names=folder / "data.yaml").sound()
    assert len(labels.photos) == 20 and labels.classes == ["cat"]
    for photo in labels.photos:
        assert (photo.width, photo.height) == photo_size(photo.source) and photo.shapes


@pytest.mark.parametrize(("text", "part"), [
    ("0 .1 .1 .2 .2 .3", "5 coordinates"), ("0 .1 .1 .2", "3 coordinates"),
    ("0 .1 .1 .2 .2 .3 .1 1.7", "7 coordinates"), ("0.5 .1 .1 .2 .2 .3 .1", "class 0.5 has no"),
    ("-1 .1 .1 .2 .2 .3 .1", "class -1 has no"), ("nan .1 .1 .2 .2 .3 .1", "class nan has no"),
    ("2 .1 .1 .2 .2 .3 .1", "class 2 has no name"), ("fox .1 .1 .2 .2 .3 .1", "'fox .1"),
    ("0 10 10 20 20 30 10", "coordinate 10.0"), ("0 .1 .1 .2 nan .3 .1", "coordinate nan"),
])
def test_yolo_lines_that_are_wrong_are_refused_by_number(text, part, tmp_path):
    write_photos(tmp_path / "images", "1.jpg")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/1.txt").write_text(f"0 .1 .1 .2 .2 .3 .1\n{text}\n")
    (tmp_path / "names.txt").write_text("fox\nhare\n")
    line = error_line(import_labels(
        "yolo", tmp_path / "labels", "--images", tmp_path / "images",
        "--names", tmp_path / "names.txt", "--out", tmp_path / "out"))
    assert part in line and "1.txt, line 2" in line
    assert not (tmp_path / "out").exists()


def write_labels(folder, **lines):
    write_photos(folder / "images", *(f"{name}.jpg" for name in lines))
    (folder / "labels").mkdir(exist_ok=True)
    for name, text in lines.items():
        (folder / f"labels/{name}.txt").write_text(text)
    (folder / "names.txt").write_text("fox\nhare\n")
    return ["yolo", folder / "labels", "--images", folder / "images", "--names",
            folder / "names.txt", "--out", folder / "out"]


RECTANGLE = "0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75"  # pixels 16..47 and 12..35


def test_a_confidence_behind_all_lines_is_left_and_told(tmp_path):
    """As `predict --save_txt --save_conf` of Ultralytics writes it, behind boxes too."""
    command = write_labels(tmp_path, a=f"0 {RECTANGLE} 0.93\n1 0.5 0.75 0.5 0.5 0.2\n",
                           b=f"1 {RECTANGLE} 1\n")
    stdout = imported(*command)
    masks, _ = masks_of(tmp_path / "out")
    expected = np.zeros((HEIGHT, WIDTH), int)
    expected[24:48, 16:48] = 255
    expected[12:36, 16:48] = 1
    assert np.array_equal(masks["images/a.jpg"], expected)
    assert (masks["images/b.jpg"] == 2).sum() == 32 * 24
    assert "all 3 lines of" in stdout and "confidence (save_conf) and left" in stdout


def test_a_number_more_behind_some_lines_is_a_fault_of_each(tmp_path):
    command = write_labels(tmp_path, a=f"0 {RECTANGLE} 0.93\n0 {RECTANGLE}\n",
                           b=f"0 {RECTANGLE} 0.5\n")
    told = refusal(import_labels(*command))
    assert "a.txt, line 1: 9 coordinates" in told and "b.txt, line 1: 9 coordinates" in told
    assert "confidence" in told and "line 2" not in told


def test_classes_may_be_written_as_floats(tmp_path):
    imported(*write_labels(tmp_path, a=f"0.0 {RECTANGLE}\n", b=f"1.0 {RECTANGLE}\n"))
    masks, names = masks_of(tmp_path / "out")
    assert names == ["background", "fox", "hare"]
    assert [masks[f"images/{name}.jpg"].max() for name in "ab"] == [1, 2]


def test_boxes_among_polygons_are_ignored_and_told_and_alone_refused(tmp_path):
    box = "1 0.5 0.5 0.25 0.5"  # pixels 24..39 and 12..35
    command = write_labels(tmp_path, a=f"0 0 0 0.5 0 0.5 0.5 0 0.5\n{box}\n", b=box)
    stdout = imported(*command, "--unannotated", "empty")
    masks, _ = masks_of(tmp_path / "out")
    expected = np.zeros((HEIGHT, WIDTH), int)
    expected[12:36, 24:40] = 255
    assert np.array_equal(masks["images/b.jpg"], expected)
    expected[:24, :32] = 1
    assert np.array_equal(masks["images/a.jpg"], expected)
    assert "2 boxes without outline, on 2 photos" in stdout
    (tmp_path / "labels/a.txt").write_text(box)
    assert "its 2 labels are boxes, and a box is no mask" in error_line(
        import_labels(*command, "--overwrite"))


def tree_of_splits(folder, *photos):
    for number, name in enumerate(photos):
        write_photos(folder / "images", name, size=(WIDTH, HEIGHT + number))
        label = (folder / "labels" / name).with_suffix(".txt")
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text(f"0 {RECTANGLE}\n")
    (folder / "names.txt").write_text("fox\n")
    return ["yolo", folder / "labels", "--images", folder / "images", "--names",
            folder / "names.txt", "--out", folder / "out", "--overwrite"]


def test_the_folders_of_its_tree_are_the_splits(tmp_path):
    command = tree_of_splits(tmp_path, "train/1.jpg", "train/2.jpg", "Val/1.jpg")

    def splits():
        return [row.split for row in read_manifest(tmp_path / "out/manifest.csv")]
    stdout = imported(*command)
    assert "splits      by the folders; --split none" in stdout and "(2 train, 1 val)" in stdout
    assert sorted(splits()) == ["train", "train", "val"]
    assert "splits " not in imported(*command, "--split", "none")
    assert splits() == ["", "", ""]
    tree_of_splits(tmp_path, "3.jpg")  # which lies in none of them
    assert "--split folders" in error_line(import_labels(*command))


def test_labels_without_photo_are_told_or_listed(tmp_path):
    write_photos(tmp_path / "images", "1.jpg")
    (tmp_path / "labels/b").mkdir(parents=True)
    for name in ("1", "b/1"):
        (tmp_path / f"labels/{name}.txt").write_text("0 .1 .1 .2 .2 .3 .1\n")
    (tmp_path / "names.txt").write_text("fox\n")
    command = ["yolo", tmp_path / "labels", "--images", tmp_path / "images", "--names",
               tmp_path / "names.txt", "--out", tmp_path / "out"]
    assert "b/1.txt: its photo is not in" in error_line(import_labels(*command))
    assert "unpaired    " in imported(*command, "--skip-missing")
    write_photos(tmp_path / "images", "1.png")  # now one label fits two photos
    assert "rename" in error_line(import_labels(*command, "--overwrite",
                                             "--skip-missing"))
