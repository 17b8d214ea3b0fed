"""import_labels.py supervisely: project folders with polygons, bitmaps and boxes."""

import base64
import io
import json
import zlib

import numpy as np
import pytest
from conftest import error_line
from label_files import import_labels, imported, masks_of, write_photos
from PIL import Image

from camera_trapinator import IGNORE
from camera_trapinator.labels.source import Source
from camera_trapinator.labels.supervisely import read_supervisely

BLOB = np.random.default_rng(0).random((12, 9)) < 0.5
RING = [[10, 10], [30, 10], [30, 30], [10, 30]]
HOLE = [[15, 15], [20, 15], [20, 20], [15, 20]]


def bitmap(inside, kind="P"):
    """As Supervisely packs it: a PNG, here with palette and transparency, or grey."""
    picture = Image.fromarray(inside.astype(np.uint8) * (1 if kind == "P" else 255))
    options = {}
    if kind == "P":
        picture.putpalette([0, 0, 0, 255, 255, 255])
        options = {"transparency": 0}
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", **options)
    return base64.b64encode(zlib.compress(buffer.getvalue())).decode()


def item(name, kind, **more):
    return {"classTitle": name, "geometryType": kind, **more}


def points(outer, *holes):
    return {"points": {"exterior": outer, "interior": list(holes)}}


def project(folder, **files):
    """A project of the data sets a and b; the objects of a_1 are those of a/img/1.jpg."""
    write_photos(folder / "project", "a/img/1.jpg", "a/img/2.png", "b/img/1.jpg")
    for name, content in files.items():
        content = content if isinstance(content, dict) else {
            "size": {"height": 48, "width": 64}, "tags": [], "objects": content}
        dataset, number = name.split("_")
        path = folder / "project" / dataset / f"ann/{number}.{'png' if number == '2' else 'jpg'}"
        path.parent.mkdir(exist_ok=True)
        (path.parent / f"{path.name}.json").write_text(json.dumps(content))
    (folder / "project/meta.json").write_text(json.dumps({"tags": [], "classes": [
        {"title": "hare", "shape": "bitmap"}, {"title": "fox", "shape": "polygon"},
        {"title": "track", "shape": "line"}]}))
    return folder / "project"


def test_objects_give_their_pixels(tmp_path):
    folder = project(tmp_path, a_1=[
        item("fox", "rectangle", **points([[0, 0], [12, 12]])),
        item("fox", "polygon", **points(RING, HOLE)),
        item("track", "line", **points([[0, 0], [9, 9]]))],
        a_2=[item("hare", "bitmap", bitmap={"data": bitmap(BLOB), "origin": [60, 40]})],
        b_1=[{"classTitle": "hare", "bitmap": {"data": bitmap(BLOB, "L"), "origin": [-2, 3]}}])
    stdout = imported("supervisely", folder, "--out", tmp_path / "out")
    masks, names = masks_of(tmp_path / "out")
    assert names == ["background", "hare", "fox"] and "line has no area" in stdout
    expected = np.zeros((48, 64), int)
    expected[:12, :12] = IGNORE
    expected[10:30, 10:30] = 2
    expected[15:20, 15:20] = 0
    assert np.array_equal(masks["project/a/img/1.jpg"], expected)
    expected = np.zeros((48, 64), int)
    expected[40:, 60:] = BLOB[:8, :4]  # cut at the photo's edge
    assert np.array_equal(masks["project/a/img/2.png"], expected)
    expected = np.zeros((48, 64), int)
    expected[3:15, :7] = BLOB[:, 2:]
    assert np.array_equal(masks["project/b/img/1.jpg"], expected)


def test_a_tag_says_that_nothing_is_there(tmp_path):
    empty = {"size": {"height": 48, "width": 64}, "tags": [{"name": "Empty"}], "objects": []}
    folder = project(tmp_path, a_1=[item("fox", "polygon", **points(RING))], a_2=empty)
    imported("supervisely", folder, "--out", tmp_path / "out")
    assert masks_of(tmp_path / "out")[0]["project/a/img/2.png"] == "background"
    empty["objects"] = [item("fox", "polygon", **points(RING))]
    line = error_line(import_labels("supervisely", project(tmp_path, a_2=empty), "--out",
                                    tmp_path / "o"))
    assert "marked as empty but has shapes" in line


@pytest.mark.parametrize(("wrong", "part"), [
    (item("fox", "polygon", **points([])), "a polygon needs 3 or more"),
    (item("fox", "polygon", **points(RING, [[1]])), "a hole needs 3 or more"),
    (item("fox", "rectangle", **points(RING)), "not two corners"),
    (item("fox", "bitmap", bitmap={"data": "%%", "origin": [0, 0]}), "no PNG in zlib"),
    (item("fox", "bitmap", bitmap={"data": bitmap(BLOB)[:80], "origin": [0, 0]}), "no PNG in zlib"),
    (item("fox", "bitmap", bitmap={"data": bitmap(BLOB), "origin": [0.5, 0]}), "no pixel [x, y]"),
    (item("fox", "bitmap"), "no pixel [x, y]"), (item("wolf", "polygon"), "no class of meta.json"),
    (item("fox", "closed_mesh"), "'closed_mesh' is no kind"), ({}, "classTitle None")])
def test_damaged_objects_are_named(wrong, part, tmp_path):
    folder = project(tmp_path, a_1=[item("fox", "polygon", **points(RING)), wrong])
    line = error_line(import_labels("supervisely", folder, "--out", tmp_path / "out",
                                    "--unannotated", "empty"))
    assert part in line and "1.jpg.json, object 2" in line
    assert not (tmp_path / "out").exists()


def test_all_faults_are_told_at_once(tmp_path):
    folder = project(tmp_path, a_1=[{}, item("fox", "polygon", **points(RING)), {}],
                     a_2={"objects": []}, b_1=3, b_9=[])
    (folder / "b/ann/1.jpg.json").write_text("[]")
    labels = read_supervisely(Source(folder, folder))
    text = "\n".join(labels.faults)
    assert len(labels.faults) == 5
    assert all(part in text for part in ("object 1", "object 3", "size: width None",
                                         "list 'objects'", "b/img/9.jpg"))


def test_a_folder_without_project_is_refused(tmp_path):
    folder = project(tmp_path, a_1=[])
    line = error_line(import_labels("supervisely", folder / "a", "--out", tmp_path / "out"))
    assert "meta.json" in line and "whole project" in line


def test_a_photo_with_lines_alone_is_never_background(tmp_path):
    folder = project(tmp_path, a_1=[item("fox", "polygon", **points(RING))],
                     a_2=[item("track", "line", **points([[0, 0], [9, 9]]))])
    imported("supervisely", folder, "--out", tmp_path / "out", "--unannotated", "empty")
    assert masks_of(tmp_path / "out")[0]["project/a/img/2.png"] == ""
