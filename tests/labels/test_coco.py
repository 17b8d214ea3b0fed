"""import_labels.py coco, against pycocotools and on small files written here."""

import json
import math

import numpy as np
import pytest
from conftest import error_line, run_script
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from camera_trapinator import IGNORE
from camera_trapinator.data.manifest import read_classes, read_manifest
from camera_trapinator.data.masks import read_mask
from camera_trapinator.data.rle import encode_rle
from camera_trapinator.labels.coco import read_coco
from camera_trapinator.labels.shapes import rasterise
from camera_trapinator.utils import ROOT

WILD7 = ROOT.parent / "shared" / "data" / "wild7"
SQUARE = [[10.0, 10.0, 20.0, 10.0, 20.0, 20.0, 10.0, 20.0]]


def write_photos(folder, *names, size=(64, 48), exif=None):
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (number, 90, 60)).save(path, **({"exif": exif} if exif else {}))


def write_coco(path, images, annotations, categories=((3, "red fox"), (7, "badger"))):
    path.write_text(json.dumps({
        "images": [{"id": place, "file_name": image, "width": 64, "height": 48}
                   if isinstance(image, str) else image for place, image in enumerate(images)],
        "categories": [{"id": key, "name": name} for key, name in categories],
        "annotations": [{"id": place, "category_id": 3, **annotation}
                        for place, annotation in enumerate(annotations)]}))
    return path


def import_coco(*arguments):
    return run_script("import_labels.py", "coco", *arguments)


# ------------------------------------------------------------------------------- rasteriser


@pytest.mark.parametrize(("radius", "floor"), [((4, 10), 0.95), ((8, 30), 0.98)])
def test_polygons_fill_the_pixels_that_pycocotools_fills(radius, floor):
    random = np.random.default_rng(0)
    scores, areas = [], []
    for _ in range(200):
        angles = np.sort(random.uniform(0, 2 * math.pi, 12))
        radii = random.uniform(*radius, 1) * random.uniform(0.7, 1.3, 12)
        ring = np.stack([50 + radii * np.cos(angles), 40 + radii * np.sin(angles)], 1).ravel()
        ours = rasterise([ring.tolist()], 80, 100)
        theirs = coco_mask.decode(coco_mask.frPyObjects([ring.tolist()], 80, 100))[..., 0] > 0
        scores.append((ours & theirs).sum() / (ours | theirs).sum())
        areas.append(ours.sum() / theirs.sum())
    assert np.mean(scores) > floor
    assert abs(np.mean(areas) - 1) < 0.03


def test_a_square_has_the_area_it_should():
    assert rasterise(SQUARE, 48, 64).sum() == 100
    assert rasterise([[-5, -5, 4, -5, 4, 4, -5, 4]], 48, 64).sum() == 16  # cut at the edge
    assert not rasterise([[70, 70, 80, 70, 80, 80]], 48, 64).any()  # outside


@pytest.mark.skipif(not WILD7.is_dir(), reason=f"the photos of {WILD7} are not here")
def test_wild7_polygons_equal_pycocotools():
    path = WILD7 / "train" / "_annotations.coco.json"
    oracle = COCO(str(path))
    scores = []
    for photo, item in zip(read_coco(path, path.parent, "photos").photos, oracle.imgs.values(),
                           strict=True):
        for shape, annotation in zip(photo.shapes, oracle.imgToAnns[item["id"]], strict=True):
            ours = rasterise(shape.polygons, photo.height, photo.width)
            theirs = oracle.annToMask(annotation) > 0
            scores.append((ours & theirs).sum() / max(1, (ours | theirs).sum()))
    assert np.mean(scores) > 0.995


# ---------------------------------------------------------------------------------- import


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
    result = import_coco(labels, "--images", tmp_path / "card", "--out", out, "--unannotated",
                         "unlabelled")
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
        import_coco(labels, "--images", tmp_path / "card", "--out", out, "--overlap", overlap,
                    "--crowd", "class")
        mask = read_mask(out / "masks/card/1.jpg.png")
        assert (mask[15, 15], mask[30, 30]) == values


@pytest.mark.parametrize("size", [(48, 64), (64, 48)], ids=["drawn upright", "drawn as stored"])
def test_masks_are_stored_upright(tmp_path, size):
    exif = Image.Exif()
    exif[0x0112] = 6  # stored 64 x 48, shown 48 x 64
    write_photos(tmp_path / "card", "1.jpg", exif=exif)
    labels = write_coco(tmp_path / "labels.json", [
        {"id": 0, "file_name": "1.jpg", "width": size[0], "height": size[1]}],
        [{"image_id": 0, "segmentation": [[0, 0, 10, 0, 10, 5, 0, 5]]}])
    assert import_coco(labels, "--images", tmp_path / "card", "--out",
                       tmp_path / "out").returncode == 0
    mask = read_mask(tmp_path / "out/masks/card/1.jpg.png")
    assert mask.shape == (64, 48)
    if size == (48, 64):
        assert mask[:5, :10].all() and mask.sum() == 50
    else:  # the stored photo's upper left corner is the upright one's upper right
        assert mask[:10, -5:].all() and mask.sum() == 50


def test_camera_trap_fields_are_taken_over(tmp_path):
    write_photos(tmp_path / "card", "1.jpg", "2.jpg")
    images = [{"id": name, "file_name": f"{name}.jpg", "width": 64, "height": 48, "location": 12,
               "seq_id": "s9", "datetime": "2023-07-04 05:06:07"} for name in "12"]
    labels = write_coco(tmp_path / "labels.json", images, [
        {"image_id": "1", "segmentation": SQUARE}, {"image_id": "2", "category_id": 0}],
        categories=[(0, "empty"), (3, "fox")])
    assert import_coco(labels, "--images", tmp_path / "card", "--out",
                       tmp_path / "out").returncode == 0
    rows = list(read_manifest(tmp_path / "out/manifest.csv"))
    assert {row.location for row in rows} == {"12"} and {row.sequence for row in rows} == {"s9"}
    assert rows[0].datetime == "2023-07-04 05:06:07"
    assert [row.mask for row in rows] == ["masks/card/1.jpg.png", "background"]


def test_copies_in_two_splits_stay_in_the_test_split(tmp_path):
    write_photos(tmp_path / "train", "same.jpg", "other.jpg")
    write_photos(tmp_path / "valid", "copy.jpg")
    files = [write_coco(tmp_path / f"{name}.json", images, [
        {"image_id": place, "segmentation": SQUARE} for place in range(len(images))])
        for name, images in (("train", ["same.jpg", "other.jpg"]), ("valid", ["copy.jpg"]))]
    result = import_coco(*files, "--images", tmp_path / "train", tmp_path / "valid", "--split",
                         "train", "test", "--out", tmp_path / "out")
    assert "dropped     photos/train/same.jpg" in result.stdout
    rows = {row.image: row.split for row in read_manifest(tmp_path / "out/manifest.csv")}
    assert rows == {"photos/train/other.jpg": "train", "photos/valid/copy.jpg": "test"}


def test_photos_inside_the_data_root_stay_where_they_are(tmp_path):
    write_photos(tmp_path / "site" / "pictures", "1.jpg")
    labels = write_coco(tmp_path / "labels.json", ["1.jpg"],
                        [{"image_id": 0, "segmentation": SQUARE}])
    import_coco(labels, "--images", tmp_path / "site/pictures", "--out", tmp_path / "site")
    assert [row.image for row in read_manifest(tmp_path / "site/manifest.csv")] == [
        "pictures/1.jpg"]
    assert not (tmp_path / "site/photos").exists()


def test_large_masks_can_be_stored_small_and_a_dry_run_writes_nothing(tmp_path):
    write_photos(tmp_path / "card", "1.jpg")
    labels = write_coco(tmp_path / "labels.json", ["1.jpg"],
                        [{"image_id": 0, "segmentation": SQUARE}])
    command = [labels, "--images", tmp_path / "card", "--out", tmp_path / "out",
               "--mask-long-side", 32]
    assert "would write" in import_coco(*command, "--dry-run").stdout
    assert not (tmp_path / "out").exists()
    import_coco(*command)
    assert read_mask(tmp_path / "out/masks/card/1.jpg.png").shape == (24, 32)


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
    line = error_line(import_coco(labels, "--images", tmp_path / "card", "--out",
                                  tmp_path / "out"))
    assert part in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"images": 3}', '{"images": [3]}', "\x00",
                                  '{"images": [], "categories": [], "annotations": []}'])
def test_what_is_no_coco_file_is_refused_in_one_line(text, tmp_path):
    write_photos(tmp_path / "card", "1.jpg")
    path = tmp_path / "labels.json"
    path.write_text(text)
    error_line(import_coco(path, "--images", tmp_path / "card", "--out", tmp_path / "out"))


def test_an_earlier_import_is_not_overwritten_by_accident(tmp_path):
    write_photos(tmp_path / "card", "1.jpg")
    labels = write_coco(tmp_path / "labels.json", ["1.jpg"], [GOOD])
    command = [labels, "--images", tmp_path / "card", "--out", tmp_path / "out"]
    assert import_coco(*command).returncode == 0
    assert "--overwrite" in error_line(import_coco(*command))
    assert import_coco(*command, "--overwrite").returncode == 0


# ------------------------------------------------------------- what every tool's import shares


def test_a_roboflow_export_keeps_its_splits_and_groups_the_copies_of_a_source(tmp_path):
    copies = ["fox_jpg.rf.0a1b.jpg", "fox_jpg.rf.9c2d.jpg", "hare.v2_png.rf.77.jpg"]
    for folder, names in (("train", copies), ("valid", ["owl_jpg.rf.55.jpg"])):
        write_photos(tmp_path / "export" / folder, *names, size=(64, 48 + (folder == "valid")))
        write_coco(tmp_path / "export" / folder / "_annotations.coco.json", [
            {"id": place, "file_name": name, "width": 64, "height": 48}
            for place, name in enumerate(names)],
            [{"image_id": place, "segmentation": SQUARE} for place in range(len(names))])
    out = tmp_path / "out"
    result = run_script("import_labels.py", "roboflow", tmp_path / "export", "--out", out)
    assert result.returncode == 0, result.stderr
    rows = {row.image.rpartition("/")[2]: row for row in read_manifest(out / "manifest.csv")}
    assert [rows[name].sequence for name in copies] == [
        "train/fox_jpg.jpg", "train/fox_jpg.jpg", "train/hare.v2_png.jpg"]
    assert {name: row.split for name, row in rows.items()} == {
        **dict.fromkeys(copies, "train"), "owl_jpg.rf.55.jpg": "test"}  # it has no test folder
    line = error_line(run_script("import_labels.py", "roboflow", tmp_path, "--out", out))
    assert "COCO Segmentation" in line


def test_photos_that_no_label_names_are_listed(tmp_path):
    write_photos(tmp_path / "card", "1.jpg", "b/2.jpg", "b/3.JPG")
    labels = write_coco(tmp_path / "labels.json", ["1.jpg", "gone.jpg"], [GOOD])
    result = import_coco(labels, "--images", tmp_path / "card", "--out", tmp_path / "out",
                         "--skip-missing")
    unpaired = (tmp_path / "out/unpaired.txt").read_text().splitlines()
    assert [line.split(": ")[-1] for line in unpaired] == [
        "its photo gone.jpg is missing", *["no label names this photo"] * 2]
    assert all(f"unpaired    {line}" in result.stdout for line in unpaired)


def test_another_photo_is_never_overwritten(tmp_path):
    write_photos(tmp_path / "card", "1.jpg")
    write_photos(tmp_path / "out/photos/card", "1.jpg", size=(32, 24))
    before = (tmp_path / "out/photos/card/1.jpg").read_bytes()
    labels = write_coco(tmp_path / "labels.json", ["1.jpg"], [GOOD])
    line = error_line(import_coco(labels, "--images", tmp_path / "card", "--out",
                                  tmp_path / "out"))
    assert "is another photo than" in line
    assert (tmp_path / "out/photos/card/1.jpg").read_bytes() == before
    assert not (tmp_path / "out/manifest.csv").exists()


def test_one_photo_with_two_labels_is_refused(tmp_path):
    write_photos(tmp_path / "card", "1.jpg")
    files = [write_coco(tmp_path / name, ["1.jpg"], [GOOD]) for name in ("a.json", "b.json")]
    line = error_line(import_coco(*files, "--images", tmp_path / "card", "--out",
                                  tmp_path / "out"))
    assert "a.json" in line and "b.json" in line and "labels already" in line
