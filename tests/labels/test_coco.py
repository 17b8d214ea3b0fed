"""import_labels.py coco, on small files written here."""

import math

import numpy as np
import pytest
from conftest import error_line
from label_files import SQUARE, import_labels, write_coco, write_photos

from camera_trapinator import IGNORE
from camera_trapinator.data.manifest import read_classes, read_manifest
from camera_trapinator.data.masks import read_mask
from camera_trapinator.data.rle import encode_rle


def test_polygons_and_both_run_length_encodings_give_their_pixels(tmp_path):
    write_photos(tmp_path / "card", "a/1.jpg", "b/1.jpg", "b/2.png", "b/3.jpg")
    random = np.random.default_rng(0)
    blob = random.random((48, 64)) < 0.3
    runs = np.flatnonzero(np.diff(np.concatenate([[2], blob.ravel(order="F"), [2]])))
    counts = np.diff(runs).tolist()
    if blob.ravel(order="F")[0]:
        counts = [0, *counts]
    labels = write_coco(tmp_path / "labels.json", ["a/1.jpg", "b/1.jpg", "b/2.png", "b/3.jpg"], [
        {"image_id": 0, "segmentation": SQUARE},
        {"image_id": 1, "segmentation": encode_rle(blob), "category_id": 7},
        {"image_id": 2, "segmentation": {"size": [48, 64], "counts": counts}},
        {"image_id": 2, "segmentation": SQUARE, "category_id": 7, "iscrowd": 1}])
    out = tmp_path / "out"
    result = import_labels("coco", labels, "--images", tmp_path / "card", "--out", out,
                           "--unannotated", "unlabelled")
    assert result.returncode == 0, result.stderr
    assert [name for name, _ in read_classes(out / "classes.csv")] == [
        "background", "badger", "red fox"]
    rows = {row.image: row for row in read_manifest(out / "manifest.csv")}
    masks = {name: read_mask(out / row.mask) for name, row in rows.items() if row.mask}
    square = np.zeros((48, 64), np.uint8)
    square[10:20, 10:20] = 2
    assert np.array_equal(masks["photos/card/a/1.jpg"], square)
    assert np.array_equal(masks["photos/card/b/1.jpg"], blob * 1)
    crowd = np.where(square > 0, IGNORE, blob * 2)
    assert np.array_equal(masks["photos/card/b/2.png"], crowd)
    assert rows["photos/card/b/3.jpg"].mask == ""
    assert rows["photos/card/b/1.jpg"].location == "card/b"
    for name in rows:
        assert (out / name).read_bytes() == (tmp_path / name.replace("photos/", "", 1)).read_bytes()


def test_crowds_and_overlaps_follow_the_options(tmp_path):
    write_photos(tmp_path / "card", "1.jpg")
    large = [[0.0, 0.0, 40.0, 0.0, 40.0, 40.0, 0.0, 40.0]]
    labels = write_coco(tmp_path / "labels.json", ["1.jpg"], [
        {"image_id": 0, "segmentation": SQUARE, "iscrowd": 1},
        {"image_id": 0, "segmentation": large, "category_id": 7}])
    expected = {"later": (1, 1), "smaller": (2, 1), "ignore": (IGNORE, 1)}
    for overlap, values in expected.items():
        out = tmp_path / overlap
        import_labels("coco", labels, "--images", tmp_path / "card", "--out", out, "--overlap",
                      overlap, "--crowd", "class")
        mask = read_mask(out / "masks/card/1.jpg.png")
        assert (mask[15, 15], mask[30, 30]) == values


def test_camera_trap_fields_are_taken_over(tmp_path):
    write_photos(tmp_path / "card", "1.jpg", "2.jpg")
    images = [{"id": name, "file_name": f"{name}.jpg", "width": 64, "height": 48, "location": 12,
               "seq_id": "s9", "datetime": "2023-07-04 05:06:07"} for name in "12"]
    labels = write_coco(tmp_path / "labels.json", images, [
        {"image_id": "1", "segmentation": SQUARE}, {"image_id": "2", "category_id": 0}],
        categories=[(0, "empty"), (3, "fox")])
    assert import_labels("coco", labels, "--images", tmp_path / "card", "--out",
                         tmp_path / "out").returncode == 0
    rows = list(read_manifest(tmp_path / "out/manifest.csv"))
    assert {row.location for row in rows} == {"12"} and {row.sequence for row in rows} == {"s9"}
    assert rows[0].datetime == "2023-07-04 05:06:07"
    assert [row.mask for row in rows] == ["masks/card/1.jpg.png", "background"]


# -------------------------------------------------------------------------------- refusals

GOOD = {"image_id": 0, "segmentation": SQUARE}
REFUSED = {
    "path outside": (["../1.jpg"], [GOOD], "'../1.jpg' is no path inside"),
    "absolute path": (["/etc/passwd"], [GOOD], "'/etc/passwd'"),
    "link outside": (["link.jpg"], [GOOD], "through a link"),
    "missing photo": (["1.jpg", "gone.jpg"], [GOOD], "gone.jpg"),
    "boxes alone": (["1.jpg"], [{"image_id": 0, "bbox": [1, 2, 3, 4]}], "box is no mask"),
    "unknown image": (["1.jpg"], [{**GOOD, "image_id": 5}], "image_id 5"),
    "unknown category": (["1.jpg"], [{**GOOD, "category_id": 9}], "category_id 9"),
    "two points": (["1.jpg"], [{**GOOD, "segmentation": [[1, 2, 3, 4]]}], "annotation 0"),
    "odd polygon": (["1.jpg"], [{**GOOD, "segmentation": [[1, 2, 3, 4, 5, 6, 7]]}], "polygon"),
    "text in polygon": (["1.jpg"], [{**GOOD, "segmentation": [[1, 2, 3, 4, 5, "x"]]}], "polygon"),
    "not a number": (["1.jpg"], [{**GOOD, "segmentation": [[1, 2, 3, 4, 5, math.nan]]}],
                     "polygon"),
    "short runs": (["1.jpg"], [{**GOOD, "segmentation": {"size": [48, 64], "counts": [3]}}],
                   "add up to 3"),
    "runs of another size": (["1.jpg"], [{**GOOD, "segmentation": {"size": [9, 9],
                                                                   "counts": [81]}}], "[9, 9]"),
    "another size": ([{"id": 0, "file_name": "1.jpg", "width": 64, "height": 64}], [GOOD],
                     "64 x 64"),
    "no size": ([{"id": 0, "file_name": "1.jpg"}], [GOOD], "width None"),
    "no annotation": (["1.jpg", "2.jpg"], [GOOD], "--unannotated empty"),
    "doubled id": ([{"id": 0, "file_name": "1.jpg", "width": 64, "height": 48}] * 2, [GOOD],
                   "two images"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_labels_are_refused_by_name_and_nothing_is_written(name, tmp_path):
    images, annotations, part = REFUSED[name]
    write_photos(tmp_path / "card", "1.jpg", "2.jpg")
    (tmp_path / "card/link.jpg").symlink_to("/etc/passwd")
    labels = write_coco(tmp_path / "labels.json", images, annotations)
    line = error_line(import_labels("coco", labels, "--images", tmp_path / "card", "--out",
                                    tmp_path / "out"))
    assert part in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"images": 3}', '{"images": [3]}', "\x00",
                                  '{"images": [], "categories": [], "annotations": []}'])
def test_what_is_no_coco_file_is_refused_in_one_line(text, tmp_path):
    write_photos(tmp_path / "card", "1.jpg")
    path = tmp_path / "labels.json"
    path.write_text(text)
    error_line(import_labels("coco", path, "--images", tmp_path / "card", "--out",
                             tmp_path / "out"))
