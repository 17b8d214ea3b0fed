"""import_labels.py coco, on small files written here."""

import json
import math

import numpy as np
import pytest
from conftest import error_line
from label_files import (
    SQUARE,
    import_labels,
    imported,
    masks_of,
    refusal,
    write_coco,
    write_photos,
)
from PIL import Image

from camera_trapinator import IGNORE
from camera_trapinator.data.manifest import read_classes, read_manifest
from camera_trapinator.data.masks import read_mask
from camera_trapinator.data.rle import encode_rle
from camera_trapinator.labels.coco import read_coco
from camera_trapinator.labels.data_root import write_data_root
from camera_trapinator.labels.source import Source


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


def square_and(*boxes):
    """The mask of SQUARE, and 255 in boxes (left, top, right, bottom)."""
    mask = np.zeros((48, 64), int)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = IGNORE
    mask[10:20, 10:20] = 1
    return mask


@pytest.mark.parametrize("outline", [{}, {"segmentation": []}, {"segmentation": [[]]},
                                     {"segmentation": None}],
                         ids=["no key", "empty", "empty ring", "null"])
def test_what_is_in_a_box_alone_is_ignored_and_never_background(outline, tmp_path):
    write_photos(tmp_path / "card", "1.jpg", "2.jpg", "3.jpg")
    labels = write_coco(tmp_path / "labels.json", ["1.jpg", "2.jpg", "3.jpg"], [
        {"image_id": 0, "segmentation": SQUARE, "bbox": [10, 10, 10, 10]},
        {"image_id": 0, "bbox": [15, 5, 20, 10], "category_id": 7, **outline},
        {"image_id": 1, "bbox": [40.0, 20.0, 20.0, 20.0], **outline}])
    for unannotated in ("empty", "unlabelled"):
        stdout = imported("coco", labels, "--images", tmp_path / "card", "--out", tmp_path / "out",
                          "--unannotated", unannotated, "--overwrite")
        masks, names = masks_of(tmp_path / "out")
        assert names == ["background", "red fox"]
        assert np.array_equal(masks["card/1.jpg"], square_and((15, 5, 35, 15)))
        alone = np.zeros((48, 64), int)
        alone[20:40, 40:60] = IGNORE
        assert np.array_equal(masks["card/2.jpg"], alone)
        assert masks["card/3.jpg"] == ("background" if unannotated == "empty" else "")
        assert "2 boxes without outline, on 2 photos" in stdout and "ignored (255)" in stdout


def test_a_label_of_the_whole_photo_is_no_mask_and_the_photo_not_empty(tmp_path):
    write_photos(tmp_path / "card", "1.jpg", "2.jpg", "3.jpg")
    labels = write_coco(tmp_path / "labels.json", ["1.jpg", "2.jpg", "3.jpg"], [
        {"image_id": 0, "segmentation": SQUARE}, {"image_id": 1},
        {"image_id": 2, "category_id": 0}], categories=[(0, "Empty"), (3, "red fox")])
    stdout = imported("coco", labels, "--images", tmp_path / "card", "--out", tmp_path / "out",
                      "--unannotated", "empty")
    masks, _ = masks_of(tmp_path / "out")
    assert masks["card/2.jpg"] == "" and masks["card/3.jpg"] == "background"
    assert "1 photos have labels, but none with an area, such as photos/card/2.jpg" in stdout


def test_flat_polygons_and_empty_rings_beside_sound_ones(tmp_path):
    write_photos(tmp_path / "card", "1.jpg", "2.jpg")
    labels = write_coco(tmp_path / "labels.json", ["1.jpg", "2.jpg"], [
        {"image_id": 0, "segmentation": SQUARE[0]}, {"image_id": 1, "segmentation": [[], *SQUARE]}])
    imported("coco", labels, "--images", tmp_path / "card", "--out", tmp_path / "out")
    for mask in masks_of(tmp_path / "out")[0].values():
        assert np.array_equal(mask, square_and())


def test_the_photo_tells_its_size_where_the_file_does_not(tmp_path):
    write_photos(tmp_path / "card", "1.jpg", "2.jpg")
    images = [{"id": 0, "file_name": "1.jpg"},
              {"id": 1, "file_name": "2.jpg", "width": 64.0, "height": 48.0}]
    labels = write_coco(tmp_path / "labels.json", images, [
        {"image_id": 0, "segmentation": SQUARE}, {"image_id": 1, "segmentation": SQUARE}])
    imported("coco", labels, "--images", tmp_path / "card", "--out", tmp_path / "out")
    for mask in masks_of(tmp_path / "out")[0].values():
        assert np.array_equal(mask, square_and())


def captured(folder, *images):
    """The times in the manifest, and what is printed, for images with these facts."""
    write_photos(folder / "card", *(f"{number}.jpg" for number in range(len(images))))
    labels = write_coco(folder / "labels.json", [
        {"id": number, "file_name": f"{number}.jpg", **facts}
        for number, facts in enumerate(images)],
        [{"image_id": number, "segmentation": SQUARE} for number in range(len(images))])
    stdout = imported("coco", labels, "--images", folder / "card", "--out", folder / "out",
                      "--overwrite")
    return [row.datetime for row in read_manifest(folder / "out/manifest.csv")], stdout


def test_date_captured_is_the_time_unless_it_is_that_of_the_export(tmp_path):
    theirs = {"date_captured": "2011-05-13 23:43:18"}
    assert captured(tmp_path, theirs)[0] == ["2011-05-13 23:43:18"]
    both = {**theirs, "datetime": "2012-01-02 03:04:05"}
    assert captured(tmp_path, both)[0] == ["2012-01-02 03:04:05"]
    here = {**theirs, "location": 0}
    assert captured(tmp_path, here, here)[0] == ["2011-05-13 23:43:18"] * 2
    other = {"date_captured": "2011-05-13 23:43:20"}
    assert captured(tmp_path, theirs, other)[0] == ["2011-05-13 23:43:18", "2011-05-13 23:43:20"]
    times, stdout = captured(tmp_path, theirs, theirs)  # as Roboflow writes it
    assert times == ["", ""] and "date_captured is 2011-05-13 23:43:18 for all images" in stdout


def test_one_file_under_two_ids_has_the_shapes_of_both(tmp_path):
    write_photos(tmp_path / "card", "1.jpg")
    labels = write_coco(tmp_path / "labels.json", ["1.jpg", "1.jpg"], [
        {"image_id": 0, "segmentation": SQUARE},
        {"image_id": 1, "segmentation": [[30, 20, 40, 20, 40, 30, 30, 30]]}])
    stdout = imported("coco", labels, "--images", tmp_path / "card", "--out", tmp_path / "out")
    expected = square_and()
    expected[20:30, 30:40] = 1
    assert np.array_equal(masks_of(tmp_path / "out")[0]["card/1.jpg"], expected)
    assert "image 1 is '1.jpg' like image 0" in stdout


@pytest.mark.parametrize(("content", "tool"), [
    ({"_via_settings": {}, "_via_img_metadata": {}}, "with via"),
    ({"1.jpg99": {"filename": "1.jpg", "regions": []}}, "with via"),
    ([{"id": 1, "data": {"image": "1.jpg"}, "annotations": []}], "with label-studio"),
    ({"shapes": [], "imagePath": "1.jpg"}, "with labelme"),
    ({"videos": [], "annotations": [], "categories": []}, "with coco-video"),
    ({"images": [], "detection_categories": {"1": "animal"}}, "of MegaDetector"),
    ({"categories": {}, "items": []}, "with datumaro"),
])
def test_the_file_of_another_tool_is_named(content, tool, tmp_path):
    write_photos(tmp_path / "card", "1.jpg")
    (tmp_path / "labels.json").write_text(json.dumps(content))
    line = error_line(import_labels("coco", tmp_path / "labels.json", "--images", tmp_path / "card",
                                    "--out", tmp_path / "out"))
    assert tool in line and "no COCO file" in line


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
    **{f"segmentation {value!r}": (["1.jpg"], [{**GOOD, "segmentation": value}], part)
       for value, part in ((3, "'3' is neither"), (True, "'True' is nei"), ("x", "'x' is nei"),
                           ([True], "True is no polygon"), ({"size": None}, "size None"))},
    "box of three": (["1.jpg"], [GOOD, {"image_id": 0, "bbox": [1, 2, 3]}], "[1, 2, 3] is no box"),
    "two sizes of one file": ([{"id": key, "file_name": "1.jpg", "width": width, "height": 48}
                               for key, width in ((0, 64), (1, 65))], [GOOD],
                              "image 1: it is for 65 x 48 pixels"),
    "flat list of four": (["1.jpg"], [{**GOOD, "segmentation": [1, 2, 3, 4]}], "of 2 points"),
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
    "half a size": ([{"id": 0, "file_name": "1.jpg", "width": 64}], [GOOD], "height None"),
    "no annotation": (["1.jpg", "2.jpg"], [GOOD], "--unannotated empty"),
    "doubled id": ([{"id": 0, "file_name": f"{name}.jpg"} for name in (1, 2)], [GOOD],
                   "two images"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_labels_are_refused_by_name_and_nothing_is_written(name, tmp_path):
    images, annotations, part = REFUSED[name]
    write_photos(tmp_path / "card", "1.jpg", "2.jpg")
    (tmp_path / "card/link.jpg").symlink_to("/etc/passwd")
    labels = write_coco(tmp_path / "labels.json", images, annotations)
    told = refusal(import_labels("coco", labels, "--images", tmp_path / "card", "--out",
                                 tmp_path / "out"))
    assert part in told
    # The photo of an annotation without image is one that has none.
    assert told.count("\n") == (name == "unknown image")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"images": 3}', '{"images": [3]}', "\x00",
                                  '{"images": [], "categories": [], "annotations": []}'])
def test_what_is_no_coco_file_is_refused_in_one_line(text, tmp_path):
    write_photos(tmp_path / "card", "1.jpg")
    path = tmp_path / "labels.json"
    path.write_text(text)
    error_line(import_labels("coco", path, "--images", tmp_path / "card", "--out",
                             tmp_path / "out"))


# ------------------------------------------------------------------------- what real files have


def read_file(folder, content, **options):
    (folder / "labels.json").write_text(json.dumps(content))
    return read_coco(Source(folder / "labels.json", folder / "card", "photos", **options))


def a_file(*annotations, **image):
    return {"images": [{"id": 0, "file_name": "1.jpg", "width": 64, "height": 48, **image}],
            "categories": [{"id": 3, "name": "fox"}], "annotations": [
                {"id": place, "image_id": 0, "category_id": 3, **item}
                for place, item in enumerate(annotations)]}


@pytest.mark.parametrize("segmentation", [
    [[10.0, 10.0], [20.0, 10.0], [20.0, 20.0], [10.0, 20.0]],
    [[[10, 10], [20, 10], [20, 20], [10, 20]]], SQUARE[0], [*SQUARE, [1, 1, 2, 2], []],
    [{"size": [48.0, 64.0], "counts": [490.0, *[10.0, 38.0] * 9, 10.0, 2140.0]}]])
def test_segmentations_in_the_forms_that_converters_write(segmentation, tmp_path):
    write_photos(tmp_path / "card", "1.jpg")
    content = a_file({"segmentation": segmentation})
    content["annotations"][0] |= {"image_id": 0.0, "category_id": 3.0}
    labels = read_file(tmp_path, content)
    write_data_root(labels, tmp_path / "out")
    mask = masks_of(tmp_path / "out")[0]["1.jpg"]
    assert mask.sum() == 100 and mask[10:20, 10:20].all()


@pytest.mark.parametrize("segmentation", [[[50, 2, 60, 12]], "", {}, [], None, [[]]])
def test_an_outline_without_area_beside_its_box_is_a_box(segmentation, tmp_path):
    write_photos(tmp_path / "card", "1.jpg")
    labels = read_file(tmp_path, a_file({"segmentation": SQUARE}, {
        "segmentation": segmentation, "bbox": [50, 2, 10, 10]}))
    write_data_root(labels, tmp_path / "out")
    mask = masks_of(tmp_path / "out")[0]["1.jpg"]
    assert (mask == 1).sum() == (mask == IGNORE).sum() == 100
    assert (mask[2:12, 50:60] == IGNORE).all()


def test_two_categories_of_one_id_are_refused(tmp_path):
    write_photos(tmp_path / "card", "1.jpg")
    content = a_file({"segmentation": SQUARE})
    content["categories"].append({"id": 3, "name": "deer"})
    fault, = read_file(tmp_path, content).faults
    assert "category number 2: 'deer' has the id 3 of 'fox'" in fault


@pytest.mark.parametrize(("image", "exif", "datetime"), [
    ({"datetime": "2020-01-01 10:00:00"}, True, "2020-01-01 10:00:00"),
    ({"date_captured": "2020-01-01 10:00:00", "location": 0}, True, "2020-01-01 10:00:00"),
    ({"date_captured": "2020-01-01 10:00:00"}, True, "2019-05-06 07:08:09"),
    ({"date_captured": "2020-01-01 10:00:00"}, False, "2020-01-01 10:00:00"),
    ({"datetime": "31.08.2015 11:33"}, True, "2019-05-06 07:08:09"),
    ({"datetime": 1440000000}, False, "")])
def test_the_time_of_the_photo_and_not_of_the_export(image, exif, datetime, tmp_path):
    tags = Image.Exif()
    tags[306] = "2019:05:06 07:08:09"
    write_photos(tmp_path / "card", "1.jpg", exif=tags if exif else None)
    labels = read_file(tmp_path, a_file({"segmentation": SQUARE}, **image))
    write_data_root(labels, tmp_path / "out")
    assert read_manifest(tmp_path / "out/manifest.csv")[0].datetime == datetime
    told = [line for line in labels.told if "cannot be read" in line]
    assert bool(told) == (str(image.get("datetime"))[:4] in ("31.0", "1440"))


@pytest.mark.parametrize(("location", "name"), [(0, "0"), (7.0, "7"), ("", "photos"), ("s1", "s1")])
def test_locations_may_be_numbers(location, name, tmp_path):
    write_photos(tmp_path / "card", "1.jpg")
    labels = read_file(tmp_path, a_file({"segmentation": SQUARE}, location=location))
    assert labels.photos[0].location == (name if location != "" else "")
    wrong = read_file(tmp_path, a_file({"segmentation": SQUARE}, location={"lat": 1}))
    assert "image 0: location {'lat': 1} is no name" in wrong.faults[0]


def test_a_photo_is_not_empty_and_has_an_animal(tmp_path):
    write_photos(tmp_path / "card", "1.jpg")
    content = a_file({"segmentation": SQUARE}, {"category_id": 4})
    content["categories"].append({"id": 4, "name": "empty"})
    assert "is marked as empty but has shapes" in read_file(tmp_path, content).faults[0]


def test_boxes_alone_in_one_of_two_files_are_ignored_and_crowds_alone_refused(tmp_path):
    write_photos(tmp_path / "card", "1.jpg", "2.jpg")
    for name, annotation in (("1", {"segmentation": SQUARE}), ("2", {"bbox": [1, 1, 5, 5]})):
        write_coco(tmp_path / f"{name}.json", [f"{name}.jpg"], [{"image_id": 0, **annotation}])
    imported("coco", tmp_path / "1.json", tmp_path / "2.json", "--images", tmp_path / "card",
             "--out", tmp_path / "out")
    assert (masks_of(tmp_path / "out")[0]["card/2.jpg"] == IGNORE).sum() == 25
    write_coco(tmp_path / "1.json", ["1.jpg"], [
        {"image_id": 0, "segmentation": SQUARE, "iscrowd": "1"}])
    line = error_line(import_labels("coco", tmp_path / "1.json", "--images", tmp_path / "card",
                                    "--out", tmp_path / "crowds", "--unannotated", "empty"))
    assert "no mask has a pixel of a class" in line
