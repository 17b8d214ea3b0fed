"""import_labels.py labelbox: NDJSON exports, with the pictures of masks beside them."""

import base64
import io
import json

import numpy as np
import pytest
from conftest import error_line
from label_files import import_labels, imported, masks_of, write_photos
from PIL import Image

from camera_trapinator import IGNORE
from camera_trapinator.data.rle import decode_rle
from camera_trapinator.labels.labelbox import read_labelbox
from camera_trapinator.labels.source import Source

BLOB = np.random.default_rng(0).random((48, 64)) < 0.3
CORNERS = [{"x": 10, "y": 10}, {"x": 20, "y": 10}, {"x": 20, "y": 20}, {"x": 10, "y": 20}]


def polygon(name, points=CORNERS):
    return {"feature_id": "p", "name": name, "annotation_kind": "ImagePolygon", "polygon": points}


def mask(name, key):
    return {"feature_id": key, "name": name, "annotation_kind": "ImageSegmentationMask",
            "mask": {"url": f"https://api.labelbox.com/api/v1/projects/x/annotations/{key}/mask"}}


def row(file, *marks, labels=1, skipped=False, **more):
    label = {"performance_details": {"skipped": skipped},
             "annotations": {"objects": list(marks), "classifications": []}}
    return {"data_row": {"id": "r", "external_id": file, **more},
            "media_attributes": {"width": 64, "height": 48, "exif_rotation": "1"},
            "projects": {"p1": {"name": "traps", "labels": [label] * labels}}}


def write(folder, *rows):
    write_photos(folder / "card", "1.jpg", "2.jpg", "3.jpg")
    path = folder / "export/labels.ndjson"
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(json.dumps(item) if isinstance(item, dict) else item
                              for item in rows) + "\n")
    return path


def arguments(folder, path):
    return ("labelbox", path, "--images", folder / "card", "--out", folder / "out",
            "--unannotated", "unlabelled")


def test_objects_give_their_pixels(tmp_path):
    box = {"name": "fox", "bounding_box": {"left": 0, "top": 0, "width": 12, "height": 12}}
    line = {"name": "fox", "line": [{"x": 1, "y": 2}]}
    path = write(tmp_path, row("1.jpg", box, polygon("fox"), line), row(
        "2.jpg", mask("hare", "m1"), mask("fox", "m2")), row("3.jpg", polygon("x"), skipped=True))
    (path.parent / "masks").mkdir()
    Image.fromarray(BLOB.astype(np.uint8) * 255).save(path.parent / "masks/m1.png")
    clear = np.zeros((48, 64, 2), np.uint8)  # white throughout, but transparent outside
    clear[..., 0] = 255
    clear[:9, :, 1] = 255
    Image.fromarray(clear, "LA").save(path.parent / "m2.PNG")
    stdout = imported(*arguments(tmp_path, path))
    masks, names = masks_of(tmp_path / "out")
    fox, hare = names.index("fox"), names.index("hare")
    expected = np.zeros((48, 64), int)
    expected[:12, :12] = IGNORE
    expected[10:20, 10:20] = fox
    assert np.array_equal(masks["card/1.jpg"], expected) and "line has no area" in stdout
    expected = BLOB * hare
    expected[:9] = fox
    assert np.array_equal(masks["card/2.jpg"], expected)
    assert masks["card/3.jpg"] == ""


def test_a_photo_is_found_by_key_or_address_and_the_export_may_be_a_list(tmp_path):
    rows = [row("upload-77", polygon("fox"), global_key="1.jpg"),
            row("upload-78", polygon("fox"), row_data="https://x.org/b/2.jpg?Expires=1")]
    path = write(tmp_path, json.dumps(rows))
    imported(*arguments(tmp_path, path))
    masks, _ = masks_of(tmp_path / "out")
    assert masks["card/1.jpg"].sum() == masks["card/2.jpg"].sum() == 100


@pytest.mark.parametrize(("wrong", "part"), [
    (mask("fox", "m9"), "object 2: its mask is only an address; download it"),
    (mask("fox", "small"), "has 9 x 9 pixels"), (polygon("fox", []), "3 or more points"),
    (polygon("fox", [{"x": 1}] * 3), "3 or more points"), (polygon(None), "name None"),
    ({"name": "fox", "bounding_box": {"left": 1}}, "top None"),
    ({"name": "fox", "annotation_kind": "Star"}, "'Star' is no kind of object")])
def test_damaged_objects_are_named(wrong, part, tmp_path):
    path = write(tmp_path, row("1.jpg", polygon("fox"), wrong))
    Image.new("L", (9, 9)).save(path.parent / "small.png")
    line = error_line(import_labels(*arguments(tmp_path, path)))
    assert part in line and "labels.ndjson, line 1, object 2" in line
    assert not (tmp_path / "out").exists()


def test_all_faults_are_told_at_once(tmp_path):
    video = row("2.jpg")
    video["projects"]["p1"]["labels"] = [{"annotations": {"frames": {}}}]
    path = write(tmp_path, row("1.jpg", mask("fox", "m1"), mask("fox", "m2")), "{", '{"ID": 3}',
                 row("gone.jpg"), row("3.jpg", polygon("fox"), labels=2), video,
                 {"Labeled Data": "x"}, {**row("3.jpg"), "projects": None})
    labels = read_labelbox(Source(path, tmp_path / "card"))
    text = "\n".join(labels.faults)
    assert len(labels.faults) == 9
    assert all(part in text for part in (
        "m1.png", "m2.png", "line 2: no valid JSON", "line 3: no photo of Labelbox", "gone.jpg",
        "2 labels for one photo", "a video", "of the old export", "no `projects`"))


def test_a_photo_with_lines_alone_is_never_background(tmp_path):
    path = write(tmp_path, row("1.jpg", polygon("fox")), row("2.jpg", {
        "name": "fox", "point": {"x": 1, "y": 2}}))
    imported(*arguments(tmp_path, path)[:-1], "empty")
    assert masks_of(tmp_path / "out")[0]["card/2.jpg"] == ""


def test_the_objects_of_a_composite_mask_are_told_apart_by_their_colours(tmp_path):
    marks, picture = [], np.zeros((48, 64, 3), np.uint8)
    for key, name, colour, column in (("f1", "fox", [142, 220, 196], 2),
                                      ("f2", "hare", [10, 20, 30], 30)):
        picture[4:14, column:column + 10] = colour
        marks.append({"feature_id": key, "name": name, "composite_mask": {
            "url": "https://x/composite", "color_rgb": colour}})
    path = write(tmp_path, row("1.jpg", *marks))
    for key in ("f1", "f2"):
        Image.fromarray(picture).save(path.parent / f"{key}.png")
    imported("labelbox", path, "--images", tmp_path / "card", "--out", tmp_path / "out",
             "--unannotated", "unlabelled")
    masks, names = masks_of(tmp_path / "out")
    for name, column in (("fox", 2), ("hare", 30)):
        inside = masks["card/1.jpg"] == names.index(name)
        assert inside.sum() == 100 and inside[4:14, column:column + 10].all()
    marks[0]["composite_mask"]["color_rgb"] = [1, 2, 3]
    labels = read_labelbox(Source(write(tmp_path, row("1.jpg", *marks)), tmp_path / "card"))
    assert "no pixel of its colour [1, 2, 3]" in labels.faults[0]


def test_a_mask_inside_of_the_export_is_read(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(np.eye(48, 64) > 0).save(buffer, "PNG")
    code = base64.b64encode(buffer.getvalue()).decode()
    path = write(tmp_path, row("1.jpg", {"feature_id": "m", "name": "fox", "mask": {"png": code}}))
    shape, = read_labelbox(Source(path, tmp_path / "card")).sound().photos[0].shapes
    assert np.array_equal(decode_rle(shape.rle), np.eye(48, 64) > 0)


def test_a_label_that_was_skipped_leaves_its_photo_unlabelled(tmp_path):
    path = write(tmp_path, row("1.jpg", polygon("fox")), row("2.jpg", skipped=True))
    stdout = imported("labelbox", path, "--images", tmp_path / "card", "--out", tmp_path / "out",
                      "--unannotated", "empty")
    assert masks_of(tmp_path / "out")[0]["card/2.jpg"] == "" and "line 2: its label was" in stdout
