"""import_labels.py labelme: against its own converter, and on small files."""

import base64
import io
import json
import math

import numpy as np
import pytest
from conftest import error_line
from label_files import LABELS, import_labels, imported, masks_of, real, write_photos
from PIL import Image

from camera_trapinator import IGNORE
from camera_trapinator.labels.labelme import read_labelme
from camera_trapinator.labels.shapes import draw_mask
from camera_trapinator.labels.source import Source

WIDTH, HEIGHT = 64, 48
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH]


def labelme(folder, photo, *shapes, **other):
    path = folder / photo
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".json").write_text(json.dumps({
        "shapes": [{"label": label, "shape_type": kind, "points": points, **more}
                   for label, kind, points, *rest in shapes for more in (rest or [{}])],
        "imagePath": path.name, "imageWidth": WIDTH, "imageHeight": HEIGHT, **other}))


def png(inside):
    buffer = io.BytesIO()
    Image.fromarray(inside.astype(np.uint8) * 255).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def test_labelme_shapes_give_their_pixels(tmp_path):
    card = tmp_path / "card"
    write_photos(card, "a/1.jpg", "b/1.jpg", "2.png", "3.jpg")
    blob = np.random.default_rng(0).random((12, 9)) < 0.5
    labelme(card, "a/1.jpg", ("fox", None, [[10, 10], [20, 10], [20, 20], [10, 20]]),
            ("__ignore__", "rectangle", [[40, 30], [30, 20]]))
    labelme(card, "b/1.jpg", ("hare", "circle", [[30.5, 24.5], [30.5, 34.5]]),
            ("_background_", "rectangle", [[0, 0], [64, 24]]), imagePath="..\\b\\1.jpg")
    labelme(card, "2.png", ("fox", "mask", [[60, 40], [68, 51]], {"mask": png(blob)}),
            ("hare", "oriented_rectangle", [[10.2, 4], [16.2, 10], [10.2, 16], [4.2, 10]]))
    (tmp_path / "labels.txt").write_text("__ignore__\n_background_\nhare\nfox\nbadger\n")
    stdout = imported("labelme", card, "--out", tmp_path / "out", "--classes",
                      tmp_path / "labels.txt", "--unannotated", "unlabelled")
    masks, names = masks_of(tmp_path / "out")
    assert names == ["background", "hare", "fox", "badger"] and "1 in no photo" in stdout
    square = ((ROWS >= 10) & (ROWS < 20) & (COLUMNS >= 10) & (COLUMNS < 20)) * 2
    square[20:30, 30:40] = IGNORE
    assert np.array_equal(masks["card/a/1.jpg"], square)
    disk = np.hypot(ROWS + 0.5 - 24.5, COLUMNS + 0.5 - 30.5) < 10
    disk[:24] = False
    assert (disk != masks["card/b/1.jpg"]).sum() <= 4
    pasted = np.zeros((HEIGHT, WIDTH), int)
    pasted[abs(ROWS + 0.5 - 10) + abs(COLUMNS + 0.5 - 10.2) < 6] = 1
    pasted[40:, 60:] = blob[:8, :4] * 2  # cut at the photo's edge
    assert np.array_equal(masks["card/2.png"], pasted)
    assert masks["card/3.jpg"] == ""


@real
def test_labelme_agrees_with_its_own_converter():
    folder = LABELS / "labelme"
    labels = read_labelme(Source(folder, folder, "photos"), classes=folder / "labels.txt")
    compared = 0
    for photo in labels.photos:
        expected = folder / (photo.source.stem + "_expected.png")
        if not expected.exists():
            continue
        theirs = np.array(Image.open(expected))
        ours, _ = draw_mask(photo, {name: place for place, name in enumerate(
            ["background", *labels.classes])}, "later")
        for value in np.unique(theirs):  # their polygons count the border in, ours do not
            assert ((ours == value) == (theirs == value)).mean() >= 0.99
        assert (ours == theirs).mean() >= 0.99
        compared += 1
    assert compared == 3


def test_parts_of_one_group_are_one_shape(tmp_path):
    write_photos(tmp_path, "1.jpg")
    ring = [[0, 0], [9, 0], [9, 9]]
    labelme(tmp_path, "1.jpg", ("fox", "polygon", ring, {"group_id": 1}),
            ("fox", "polygon", ring, {"group_id": 2}), ("fox", "polygon", ring, {"group_id": 1}))
    shapes = read_labelme(Source(tmp_path, tmp_path)).sound().photos[0].shapes
    assert [len(shape.polygons) for shape in shapes] == [2, 1]


@pytest.mark.parametrize(("shape", "other", "part"), [
    (("fox", "line", [[0, 0], [5, 5]]), {}, "a 'line' has no area"),
    (("fox", "polygon", [[0, 0], [5, 5]]), {}, "a polygon of 2 points has no area"),
    (("fox", "polygon", [[0, 0], [5]]), {}, "needs 3 or more points"),
    (("fox", "circle", [[0, 0], [5, math.nan]]), {}, "needs 2 points"),
    (("fox", "mask", [[0, 0], [5, 5]], {"mask": "%%%"}), {}, "no PNG in base64"),
    (("fox", "mask", [[0, 0], [5, 5]], {"mask": None}), {}, "no PNG in base64"),
    ((None, "polygon", [[0, 0], [5, 5], [5, 0]]), {}, "shape 1: it has no label"),
    ((True, "polygon", [[0, 0], [5, 5], [5, 0]]), {}, "shape 1: it has no label"),
    (("fox", "cuboid", [[0, 0], [5, 5], [5, 0]]), {}, "shape_type 'cuboid' is not known; known are "
     "polygon, oriented_rectangle"),
    (("fox", "polygon", [[0, 0], [5, 5], [5, 0]]), {"imagePath": 3}, "imagePath 3 names no photo"),
    (("fox", "polygon", [[0, 0], [5, 5], [5, 0]]), {"imagePath": "../card2/1.jpg"},
     "give the folder of the photos with --images"),
    (("fox", "polygon", [[0, 0], [5, 5], [5, 0]]), {"imagePath": "../../etc/passwd"}, "etc/passwd"),
    (("fox", "polygon", [[0, 0], [5, 5], [5, 0]]), {"imagePath": "/etc/passwd"}, "/etc/passwd"),
    (("fox", "polygon", [[0, 0], [5, 5], [5, 0]]), {"imagePath": "link.jpg"}, "through a link"),
    (("fox", "polygon", [[0, 0], [5, 5], [5, 0]]), {"imagePath": "gone.jpg"}, "--skip-missing"),
    (("fox", "polygon", [[0, 0], [5, 5], [5, 0]]), {"imageWidth": -3}, "imageWidth -3"),
    (("fox", "polygon", [[0, 0], [5, 5], [5, 0]]), {"imageWidth": 48}, "48 x 48"),
    (("fox", "polygon", [[0, 0], [5, 5], [5, 0]]), {"shapes": 3}, "no Labelme file"),
])
def test_labelme_files_that_are_wrong_are_refused_by_name(shape, other, part, tmp_path):
    write_photos(tmp_path / "card", "1.jpg")
    if other.get("imagePath") == "link.jpg":
        (tmp_path / "card/link.jpg").symlink_to("/etc/passwd")
    labelme(tmp_path / "card", "1.jpg", shape, **other)
    line = error_line(import_labels("labelme", tmp_path / "card", "--out",
                                    tmp_path / "out", "--unannotated", "empty"))
    assert part in line and "1.json" in line
    assert not (tmp_path / "out").exists()


def card_of(tmp_path, *photos):
    write_photos(tmp_path / "card", *photos)
    return ["labelme", tmp_path / "card", "--out", tmp_path / "out", "--unannotated", "empty"]


def test_rectangles_with_four_corners_and_rotations_as_of_x_anylabeling(tmp_path):
    command = card_of(tmp_path, "1.jpg", "2.jpg")
    corners = [[10, 10], [30, 10], [30, 20], [10, 20]]
    labelme(tmp_path / "card", "1.jpg", ("fox", "rectangle", corners, {"direction": 0}),
            version="3.2.1", imageData=None)
    labelme(tmp_path / "card", "2.jpg", ("fox", "rotation", [
        [10, 24], [20, 14], [30, 24], [20, 34]], {"direction": 0.785}))
    imported(*command)
    masks, _ = masks_of(tmp_path / "out")
    assert np.array_equal(masks["card/1.jpg"], (ROWS >= 10) & (ROWS < 20) & (COLUMNS >= 10)
                          & (COLUMNS < 30))
    diamond = abs(ROWS + 0.5 - 24) + abs(COLUMNS + 0.5 - 20)
    assert np.array_equal(masks["card/2.jpg"][diamond != 10], (diamond < 10)[diamond != 10])
    labelme(tmp_path / "card", "1.jpg", ("fox", "rectangle", corners[:3]))
    assert "a rectangle needs 2 or 4 points" in error_line(import_labels(*command, "--overwrite"))


def test_json_of_other_tools_beside_is_left_and_told(tmp_path):
    command = card_of(tmp_path, "1.jpg")
    labelme(tmp_path / "card", "1.jpg", ("fox", "rectangle", [[10, 10], [20, 20]]))
    for name, content in {"md.json": {"images": [], "detection_categories": {"1": "animal"}},
                          "list.json": [1], "text.json": "x"}.items():
        (tmp_path / "card" / name).write_text(json.dumps(content))
    (tmp_path / "card/._1.json").write_bytes(b"\0\5\x16\7")  # a shadow of macOS
    stdout = imported(*command)
    assert (masks_of(tmp_path / "out")[0]["card/1.jpg"] == 1).sum() == 100
    assert [f"{name}.json is left: no Labelme file" in stdout
            for name in ("md", "list", "text", "._1")] == [True, True, True, False]
    (tmp_path / "card/broken.json").write_text("{")
    line = error_line(import_labels(*command, "--overwrite"))
    assert "broken.json: no valid JSON" in line  # whose it is nobody can say


@pytest.mark.parametrize("given", ["C:\\Users\\Ann\\Pictures\\IMG_1.JPG", "/home/ann/IMG_1.JPG",
                                   "D:/IMG_1.JPG", "img_1.jpg"])
def test_paths_of_another_machine_mean_the_photo_beside(given, tmp_path):
    command = card_of(tmp_path, "a/IMG_1.JPG", "b/IMG_1.JPG")
    labelme(tmp_path / "card", "a/IMG_1.JPG", ("fox", "rectangle", [[10, 10], [20, 20]]),
            imagePath=given)
    imported(*command)
    masks, _ = masks_of(tmp_path / "out")
    assert (masks["card/a/IMG_1.JPG"] == 1).sum() == 100
    assert masks["card/b/IMG_1.JPG"] == "background"


def test_a_line_beside_outlines_is_left_and_told_and_a_photo_with_it_alone_is_not_empty(tmp_path):
    command = card_of(tmp_path, "1.jpg", "2.jpg")
    line = ("fox", "linestrip", [[0, 0], [5, 5]])
    labelme(tmp_path / "card", "1.jpg", ("fox", "rectangle", [[10, 10], [20, 20]]), line)
    labelme(tmp_path / "card", "2.jpg", line)
    stdout = imported(*command)
    masks, _ = masks_of(tmp_path / "out")
    assert (masks["card/1.jpg"] == 1).sum() == 100 and masks["card/2.jpg"] == ""
    assert "1.json, shape 2: a 'linestrip' has no area" in stdout
    assert "2.json, shape 1: a 'linestrip' has no area" in stdout


BOX = ("fox", "rectangle", [[10, 10], [20, 20]])  # 100 pixels


@pytest.mark.parametrize("given", [None, "", " ", "absent"])
def test_a_file_without_the_name_of_its_photo_is_for_the_one_of_its_own_name(given, tmp_path):
    command = card_of(tmp_path, "a/1.JPG", "1.jpg", "2.jpg")
    labelme(tmp_path / "card", "a/1.JPG", BOX, imagePath=given)
    if given == "absent":
        path = tmp_path / "card/a/1.json"
        path.write_text(json.dumps({"shapes": json.loads(path.read_text())["shapes"]}))
    imported(*command)
    masks, _ = masks_of(tmp_path / "out")
    assert (masks.pop("card/a/1.JPG") == 1).sum() == 100
    assert masks == {"card/1.jpg": "background", "card/2.jpg": "background"}
    labelme(tmp_path / "card", "3.jpg", BOX, imagePath=None)
    line = error_line(import_labels(*command, "--overwrite", "--skip-missing"))
    assert "3.json: it has no imagePath, and 0 photos" in line


def test_shapes_that_are_no_list_are_a_fault_and_a_foreign_json_makes_no_background(tmp_path):
    command = card_of(tmp_path, "1.jpg", "2.jpg")
    labelme(tmp_path / "card", "1.jpg", BOX)
    (tmp_path / "card/2.json").write_text(json.dumps([{"segmentation": {}}]))
    stdout = imported(*command)
    assert "2.json is left" in stdout and masks_of(tmp_path / "out")[0]["card/2.jpg"] == ""
    labelme(tmp_path / "card", "2.jpg", shapes=None)
    line = error_line(import_labels(*command, "--overwrite"))
    assert "2.json" in line and "shapes None are no list" in line


@pytest.mark.parametrize("mask", ["1_mask.png", "1-Label.tif", "1.seg.png", "1.jpg_masks.png"])
def test_masks_beside_photos_are_no_photos(mask, tmp_path):
    command = card_of(tmp_path, "1.jpg", "2.jpg", mask, "seg_mask.jpg")
    labelme(tmp_path / "card", "1.jpg", BOX)
    stdout = imported(*command)
    masks, _ = masks_of(tmp_path / "out")
    assert sorted(masks) == ["card/1.jpg", "card/2.jpg", "card/seg_mask.jpg"]
    assert "1 pictures are left, masks beside photos" in stdout and mask in stdout
    assert "no label names this photo" not in stdout
    if mask == "1_mask.png":  # one that is labelled itself is a photo
        labelme(tmp_path / "card", mask, BOX)
        imported(*command, "--overwrite")
        assert (masks_of(tmp_path / "out")[0][f"card/{mask}"] == 1).sum() == 100


@pytest.mark.parametrize("given", ["/home/x/proj/images/siteA/a.jpg", "D:\\images\\siteA\\a.jpg",
                                   "\\\\nas\\proj\\images\\siteA\\a.jpg"])
def test_an_absolute_path_is_followed_by_its_end(given, tmp_path):
    write_photos(tmp_path / "images", "siteA/a.jpg", "siteB/a.jpg")
    labelme(tmp_path / "json", "a.jpg", BOX, imagePath=given)
    imported("labelme", tmp_path / "json", "--images", tmp_path / "images", "--out",
             tmp_path / "out", "--unannotated", "empty")
    masks, _ = masks_of(tmp_path / "out")
    assert (masks["images/siteA/a.jpg"] == 1).sum() == 100
    assert masks["images/siteB/a.jpg"] == "background"


@pytest.mark.parametrize("given", ["C:\\proj\\siteB\\a.jpg", "/home/x/siteB/a.jpg"])
def test_an_absolute_path_that_contradicts_the_folder_of_its_file_is_a_fault(given, tmp_path):
    command = card_of(tmp_path, "siteA/a.jpg", "siteB/a.jpg")
    labelme(tmp_path / "card", "siteA/a.jpg", BOX, imagePath=given)
    line = error_line(import_labels(*command))
    assert "siteA/a.jpg" in line and "siteB/a.jpg" in line and "siteA/a.json" in line
    (tmp_path / "card/siteB/a.jpg").unlink()
    imported(*command)
    assert (masks_of(tmp_path / "out")[0]["card/siteA/a.jpg"] == 1).sum() == 100


def test_a_quadrilateral_is_an_outline_and_a_label_may_be_a_number(tmp_path):
    command = card_of(tmp_path, "1.jpg")
    corners = [[10, 10], [20, 10], [20, 20], [10, 20]]
    labelme(tmp_path / "card", "1.jpg", (7, "quadrilateral", corners))
    imported(*command)
    masks, names = masks_of(tmp_path / "out")
    assert names == ["background", "7"] and (masks["card/1.jpg"] == 1).sum() == 100


def test_what_lies_there_instead_of_a_missing_photo_is_told(tmp_path):
    command = card_of(tmp_path, "b.jpg", "a.jpg")
    labelme(tmp_path / "card", "b.png", BOX)
    assert "b.jpg is there" in (line := error_line(import_labels(*command)))
    assert "'b.png'" in line and "more" not in line
    (tmp_path / "card/b.json").unlink()
    for name in "ac":
        labelme(tmp_path / "card", f"{name}.jpg", BOX, imagePath="IMG_0001.jpg")
    line = error_line(import_labels(*command))
    assert "'IMG_0001.jpg' is not in" in line and "1 more labels" in line
    assert "a.jpg is there" in line


def test_photos_in_a_folder_beside_that_of_the_files_need_images(tmp_path):
    write_photos(tmp_path / "images", "a.jpg")
    labelme(tmp_path / "json", "a.jpg", BOX, imagePath="../images/a.jpg")
    command = ["labelme", tmp_path / "json", "--out", tmp_path / "out"]
    assert f"with --images {tmp_path / 'images'}" in error_line(import_labels(*command))
    imported(*command, "--images", tmp_path / "images")
    (tmp_path / "images").rename(tmp_path / "photos")  # the same, in a folder of another name
    imported(*command, "--images", tmp_path / "photos", "--overwrite")
    assert (masks_of(tmp_path / "out")[0]["photos/a.jpg"] == 1).sum() == 100
