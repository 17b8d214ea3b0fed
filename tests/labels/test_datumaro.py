"""import_labels.py datumaro: subsets with polygons, masks, ellipses and boxes."""

import json
import math

import numpy as np
import pytest
from conftest import error_line
from label_files import import_labels, imported, masks_of, write_photos
from pycocotools import mask as coco_mask

from camera_trapinator import IGNORE
from camera_trapinator.labels.datumaro import read_datumaro
from camera_trapinator.labels.source import Source

ROWS, COLUMNS = np.mgrid[:48, :64] + 0.5
SQUARE = {"type": "polygon", "label_id": 1, "points": [10, 10, 20, 10, 20, 20, 10, 20]}
BLOB = np.random.default_rng(0).random((48, 64)) < 0.3


def mask(inside, label=0):
    rle = coco_mask.encode(np.asfortranarray(inside.astype(np.uint8)))
    return {"type": "mask", "label_id": label, "rle": {"size": rle["size"],
                                                       "counts": rle["counts"].decode()}}


def item(name, *annotations, **more):
    return {"id": name, "annotations": list(annotations),
            "image": {"path": f"{name}.jpg", "size": [48, 64]}, **more}


def export(folder, labels=("hare", "fox", "empty"), **subsets):
    write_photos(folder / "data", "images/one/1.jpg", "images/one/2.jpg", "images/two/1.jpg")
    (folder / "data/annotations").mkdir(exist_ok=True)
    for name, items in subsets.items():
        (folder / f"data/annotations/{name}.json").write_text(json.dumps({
            "info": {}, "items": items, "categories": {"label": {"labels": [
                {"name": label, "parent": ""} for label in labels]}}}))
    return folder / "data"


def test_annotations_give_their_pixels(tmp_path):
    box = {"type": "bbox", "bbox": [0, 0, 12, 12], "label_id": 0}
    ellipse = {"type": "ellipse", "label_id": 0, "points": [30, 10, 50, 40]}
    turned = {"type": "rotated_bbox", "label_id": 0, "bbox": [20, 20, 20, 20, 45]}
    folder = export(tmp_path, one=[
        item("1", box, {**SQUARE, "z_order": 2}, mask(BLOB), {"type": "caption", "caption": "x"},
             {"type": "points", "points": [1, 2, 2], "label_id": 0}),
        item("2", {"type": "label", "label_id": 2})], two=[item("1", ellipse, turned)])
    stdout = imported("datumaro", folder, "--out", tmp_path / "out")
    masks, names = masks_of(tmp_path / "out")
    assert names == ["background", "hare", "fox"] and "points has no area" in stdout
    expected = np.where(BLOB, 1, 0)
    expected[10:20, 10:20] = 2  # on top by its z_order
    expected[:12, :12][expected[:12, :12] == 0] = IGNORE
    assert np.array_equal(masks["data/images/one/1.jpg"], expected)
    assert masks["data/images/one/2.jpg"] == "background"
    inside = ((COLUMNS - 40) / 10) ** 2 + ((ROWS - 25) / 15) ** 2 < 1
    diamond = abs(COLUMNS - 20) + abs(ROWS - 20) < 10 * math.sqrt(2)
    expected = np.where(inside, 1, diamond * IGNORE)
    assert (masks["data/images/two/1.jpg"] != expected).sum() <= 8 and inside.sum() > 400


def test_a_photo_with_labels_or_lines_alone_is_never_background(tmp_path):
    folder = export(tmp_path, one=[item("1", SQUARE), item("2", {"type": "label", "label_id": 1})],
                    two=[item("1", {"type": "polyline", "label_id": 1, "points": [1, 2, 3, 4]})])
    stdout = imported("datumaro", folder, "--out", tmp_path / "out", "--unannotated", "empty")
    masks, _ = masks_of(tmp_path / "out")
    assert masks["data/images/one/2.jpg"] == masks["data/images/two/1.jpg"] == ""
    assert "2 photos have labels, but none with an area, such as photos/data/images/one" in stdout


@pytest.mark.parametrize("path", ["../data/images/one/1.jpg", "C:\\x\\one\\1.jpg"])
def test_paths_as_datumaro_writes_them_are_found(path, tmp_path):
    first = item("1", SQUARE)
    first["image"]["path"] = path
    folder = export(tmp_path, one=[first])
    labels = read_datumaro(Source(folder, folder / "images"))
    assert [photo.file for photo in labels.photos] == ["one/1.jpg"] and not labels.faults


def test_photos_in_a_folder_of_their_own_are_found_by_their_subset(tmp_path):
    folder = export(tmp_path, one=[item("1", SQUARE)], two=[item("1", mask(BLOB))])
    imported("datumaro", folder, "--images", folder / "images", "--out", tmp_path / "out")
    masks, names = masks_of(tmp_path / "out")
    assert np.array_equal(masks["images/two/1.jpg"] == names.index("hare"), BLOB)
    assert (masks["images/one/1.jpg"] == names.index("fox")).sum() == 100


@pytest.mark.parametrize(("wrong", "part"), [
    ({**SQUARE, "points": [1, 2, 3]}, "three or more points"), ({**SQUARE, "points": 3}, "3 is"),
    ({**SQUARE, "label_id": 3}, "label_id 3"), ({**SQUARE, "label_id": None}, "label_id None"),
    ({**SQUARE, "z_order": "top"}, "z_order 'top'"), (mask(BLOB[:9]), "size [9, 64]"),
    ({**mask(BLOB), "rle": None}, "size None"), ({"type": "bbox", "bbox": [1]}, "no box"),
    ({"type": "ellipse", "label_id": 0, "points": [1]}, "no ellipse"),
    ({"type": "rotated_bbox", "bbox": [1]}, "no turned box"),
    ({"type": "star", "label_id": 0}, "'star' is no type")])
def test_damaged_annotations_are_named(wrong, part, tmp_path):
    folder = export(tmp_path, one=[item("1", SQUARE, wrong)])
    line = error_line(import_labels("datumaro", folder, "--out", tmp_path / "out",
                                    "--unannotated", "empty"))
    assert part in line and "one.json, item '1', annotation 2" in line
    assert not (tmp_path / "out").exists()


def test_all_faults_are_told_at_once(tmp_path):
    folder = export(tmp_path, one=[item("1", {**SQUARE, "label_id": 9}, SQUARE, {"type": 3}),
                                   item("gone"), {"id": "v", "video_frame": {}, "annotations": []},
                                   item("2", SQUARE, {"type": "label", "label_id": 2})])
    (folder / "annotations/two.json").write_text('{"items": []}')
    labels = read_datumaro(Source(folder, folder))
    text = "\n".join(labels.faults)
    assert len(labels.faults) == 6
    assert all(part in text for part in ("label_id 9", "annotation 3", "gone.jpg", "no `image`",
                                         "marked as empty", "two.json: no Datumaro file"))


@pytest.mark.parametrize("told", [
    {"image": {"path": ""}}, {"media": {"path": "1.jpg"}}, {"image": None}])
def test_a_photo_is_known_by_its_id_where_the_media_are_not_saved(told, tmp_path):
    folder = export(tmp_path, one=[item("1", SQUARE)])
    path = folder / "annotations/one.json"
    content = json.loads(path.read_text())
    content["items"][0] = {**content["items"][0], "image": None, **told}
    path.write_text(json.dumps(content))
    labels = read_datumaro(Source(folder, folder)).sound()
    assert [photo.source.name for photo in labels.photos] == ["1.jpg"]
