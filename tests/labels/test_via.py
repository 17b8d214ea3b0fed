"""import_labels.py via: projects, annotations as JSON and as CSV, on small files."""

import csv
import json
import math

import numpy as np
import pytest
from conftest import error_line
from label_files import import_labels, imported, masks_of, write_photos
from PIL import Image

from camera_trapinator import IGNORE
from camera_trapinator.labels.source import Source
from camera_trapinator.labels.via import read_via

ROWS, COLUMNS = np.mgrid[:48, :64] + 0.5
SQUARE = {"name": "polygon", "all_points_x": [10, 20, 20, 10], "all_points_y": [10, 10, 20, 20]}
IN_SQUARE = (abs(ROWS - 15) < 5) & (abs(COLUMNS - 15) < 5)
ELLIPSE = {"name": "ellipse", "cx": 40, "cy": 24, "rx": 16, "ry": 6, "theta": 0.6}


def region(shape, **said):
    return {"shape_attributes": shape, "region_attributes": said}


def photo(file, *regions):
    return {f"{file}-1": {"filename": file, "size": -1, "regions": list(regions),
                          "file_attributes": {}}}


def write(folder, content, name="via.json"):
    write_photos(folder / "card", "1.jpg", "2.jpg")
    (folder / name).write_text(json.dumps(content))
    return folder / name


def read(folder, content, *options, name="via.json"):
    path = content if not isinstance(content, dict) else write(folder, content, name)
    stdout = imported("via", path, "--images", folder / "card", "--out", folder / "out",
                      "--unannotated", "unlabelled", *options)
    return *masks_of(folder / "out"), stdout


def in_ellipse():
    """A pixel lies in it if its centre, turned back by theta (clockwise on the screen), does."""
    x, y, angle = COLUMNS - 40, ROWS - 24, 0.6
    across, down = (x * math.cos(angle) + y * math.sin(angle),
                    y * math.cos(angle) - x * math.sin(angle))
    return (across / 16) ** 2 + (down / 6) ** 2 < 1


@pytest.mark.parametrize("project", [True, False])
def test_shapes_give_their_pixels(project, tmp_path):
    box = {"name": "rect", "x": 0, "y": 0, "width": 16, "height": 16}
    circle = {"name": "circle", "cx": 20, "cy": 30, "r": 8}
    content = photo("1.jpg", region(SQUARE, species="fox"), region(box, species="fox"),
                    region({"name": "polyline", "all_points_x": [0, 9], "all_points_y": [0, 9]},
                           species="fox")) \
        | photo("2.jpg", region(ELLIPSE, species="hare"), region(circle, species="fox"))
    masks, names, stdout = read(tmp_path, {"_via_img_metadata": content, "_via_settings": {}}
                                if project else content)
    expected = np.where((ROWS < 16) & (COLUMNS < 16), IGNORE, 0)
    expected[IN_SQUARE] = names.index("fox")
    assert np.array_equal(masks["card/1.jpg"], expected)
    assert "polyline has no area" in stdout
    disk = np.hypot(COLUMNS - 20, ROWS - 30) < 8
    expected = np.where(disk, names.index("fox"), in_ellipse() * names.index("hare"))
    assert (masks["card/2.jpg"] != expected).sum() <= 4 and disk.sum() > 150


def test_a_table_says_the_same_as_the_json(tmp_path):
    write_photos(tmp_path / "card", "1.jpg", "2.jpg")
    with open(tmp_path / "via.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["#filename", "file_size", "file_attributes", "region_count", "region_id",
                         "region_shape_attributes", "region_attributes"])
        writer.writerow(["1.jpg", 9, "{}", 2, 0, json.dumps(SQUARE), '{"kind":"fox"}'])
        writer.writerow(["1.jpg", 9, "{}", 2, 1, json.dumps(ELLIPSE), '{"kind":"hare"}'])
        writer.writerow(["2.jpg", 9, "{}", 0, 0, "{}", "{}"])
    masks, names, _ = read(tmp_path, tmp_path / "via.csv")
    assert np.array_equal(masks["card/1.jpg"] == names.index("fox"), IN_SQUARE & ~in_ellipse())
    assert masks["card/2.jpg"] == ""  # nobody said that nothing is there


def test_the_attribute_that_names_the_class(tmp_path):
    content = photo("1.jpg", region(SQUARE, species={"fox": True, "hare": False}, sex="male"))
    path = write(tmp_path, content)
    line = error_line(import_labels("via", path, "--images", tmp_path / "card", "--out",
                                    tmp_path / "out"))
    assert "sex, species" in line and "--attribute" in line
    assert read(tmp_path, content, "--attribute", "species")[1] == ["background", "fox"]
    assert read(tmp_path, content, "--class", "deer", "--overwrite")[1] == ["background", "deer"]
    line = error_line(import_labels("via", path, "--images", tmp_path / "card", "--out",
                                    tmp_path / "o", "--attribute", "kind"))
    assert "'kind'" in line and "sex, species" in line


def test_photos_that_exif_turns_are_told(tmp_path):
    tags = Image.Exif()
    tags[0x0112] = 6
    path = write(tmp_path, photo("1.jpg", region(SQUARE, species="fox")))
    write_photos(tmp_path / "card", "1.jpg", exif=tags)
    labels = read_via(Source(path, tmp_path / "card"))
    assert (labels.photos[0].width, labels.photos[0].height) == (48, 64)
    assert "1 photos are turned by their EXIF" in labels.told[0]


def test_two_entries_of_one_name_do_not_melt_into_one_mask(tmp_path):
    content = photo("1.jpg", region(SQUARE, species="fox"))
    content["1.jpg-77"] = {**content["1.jpg-1"], "size": 77}
    line = error_line(import_labels("via", write(tmp_path, content), "--images", tmp_path / "card",
                                    "--out", tmp_path / "out", "--unannotated", "unlabelled"))
    assert "has labels already" in line


@pytest.mark.parametrize(("change", "part"), [
    ({"name": "polygon", "all_points_x": [], "all_points_y": []}, "3 or more points"),
    ({"name": "polygon", "all_points_x": [1, 2, 3], "all_points_y": [1, 2]}, "of one length"),
    ({"name": "polygon", "all_points_x": [1, 2, math.nan], "all_points_y": [1, 2, 3]}, "3 or more"),
    ({"name": "circle", "cx": 3, "cy": 4}, "r None"),
    ({"name": "ellipse", "cx": 3, "cy": 4, "rx": 3, "ry": 3, "theta": "x"}, "theta 'x'"),
    ({"name": "rect", "x": 3, "y": 4, "width": None, "height": 3}, "no box"),
    ({"name": "star"}, "'star' is no shape"), ({}, "None is no shape")])
def test_damaged_regions_are_named(change, part, tmp_path):
    path = write(tmp_path, photo("1.jpg", region(SQUARE, species="fox"),
                                 region(change, species="fox")))
    line = error_line(import_labels("via", path, "--images", tmp_path / "card", "--out",
                                    tmp_path / "out", "--unannotated", "unlabelled"))
    assert part in line and "via.json, photo '1.jpg', region 2" in line
    assert not (tmp_path / "out").exists()


def test_all_faults_are_told_at_once(tmp_path):
    path = write(tmp_path, photo("gone.jpg", region(SQUARE, species="fox"))
                 | photo("1.jpg", region({"name": "star"}, species="fox"), region(SQUARE),
                         region(SQUARE, species="fox")) | photo(3))
    labels = read_via(Source(path, tmp_path / "card"))
    text = "\n".join(labels.faults)
    assert len(labels.faults) == 4
    assert all(part in text for part in ("filename 3", "'star'", "'species' is empty", "gone.jpg"))


@pytest.mark.parametrize("content", [{}, [], {"a": 3}, {"project": {}, "metadata": {}, "view": {}},
                                     {"_via_img_metadata": 3}, {"a": {"regions": 3}}])
def test_what_is_no_via_file_is_refused(content, tmp_path):
    path = write(tmp_path, content)
    line = error_line(import_labels("via", path, "--images", tmp_path / "card", "--out",
                                    tmp_path / "out"))
    assert "VIA" in line and "via.json" in line


def test_a_photo_with_lines_alone_is_never_background(tmp_path):
    line = {"name": "polyline", "all_points_x": [0, 9], "all_points_y": [0, 9]}
    path = write(tmp_path, photo("1.jpg", region(SQUARE, species="fox"))
                 | photo("2.jpg", region(line, species="fox")))
    imported("via", path, "--images", tmp_path / "card", "--out", tmp_path / "out",
             "--unannotated", "empty")
    assert masks_of(tmp_path / "out")[0]["card/2.jpg"] == ""


def test_menus_say_ids_and_two_ticks_are_no_class(tmp_path):
    menu = {"type": "dropdown", "options": {"1": "fox", "2": "hare"}}
    content = {"_via_attributes": {"region": {"species": menu}},
               "_via_img_metadata": photo("1.jpg", region(SQUARE, species="1"))}
    path = write(tmp_path, content)
    write_photos(tmp_path / "card", "1.jpg")
    labels = read_via(Source(path, tmp_path / "card"))
    assert [shape.name for shape in labels.photos[0].shapes] == ["fox"]
    content["_via_img_metadata"] = photo("1.jpg", region(SQUARE, species={"1": True, "2": True}))
    labels = read_via(Source(write(tmp_path, content), tmp_path / "card"))
    assert "fox and hare are ticked in 'species'" in labels.faults[0]
