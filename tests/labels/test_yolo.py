"""import_labels.py yolo: against pixels found edge by edge, and on a real export."""

import numpy as np
import pytest
from conftest import error_line
from label_files import LABELS, import_labels, imported, inside, masks_of, real, write_photos

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
    ("0 0.5 0.5 0.1 0.1", "box is no mask"), ("0 .1 .1 .2 .2 .3", "5 coordinates"),
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
