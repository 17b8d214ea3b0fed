"""import_labels.py labelme, yolo, masks and cvat: against oracles, and on real exports."""

import base64
import io
import json
import math

import numpy as np
import pytest
from conftest import error_line, run_script
from label_files import inside
from PIL import Image

from camera_trapinator import IGNORE, InputError
from camera_trapinator.data.manifest import read_classes, read_manifest
from camera_trapinator.data.masks import read_mask
from camera_trapinator.data.photos import photo_size
from camera_trapinator.labels.labelme import read_labelme
from camera_trapinator.labels.mask_folder import read_mask_folder
from camera_trapinator.labels.shapes import draw_mask
from camera_trapinator.labels.yolo import read_yolo
from camera_trapinator.utils import ROOT

LABELS = ROOT.parent / "shared" / "data" / "labels"
real = pytest.mark.skipif(not LABELS.is_dir(), reason=f"the labels of {LABELS} are not here")
WIDTH, HEIGHT = 64, 48
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH]


def write_photos(folder, *names, size=(WIDTH, HEIGHT)):
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (40 * number, 90, 60)).save(path)


def masks_of(out):
    """{photo's name: its mask, or what its row says instead}, and the class names."""
    masks = {row.image.removeprefix("photos/"):
             read_mask(out / row.mask) if row.mask.endswith(".png") else row.mask
             for row in read_manifest(out / "manifest.csv")}
    return masks, [name for name, _ in read_classes(out / "classes.csv")]


def imported(*arguments):
    result = run_script("import_labels.py", *arguments)
    assert result.returncode == 0, result.stderr
    return result.stdout


# ---------------------------------------------------------------------------------- labelme


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
    labels = read_labelme(folder, folder, "photos", classes=folder / "labels.txt")
    compared = 0
    for photo in labels.photos:
        expected = folder / (photo.source.stem + "_expected.png")
        if not expected.exists():
            continue
        theirs = np.array(Image.open(expected))
        ours = draw_mask(photo, {name: place for place, name in enumerate(
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
    shapes = read_labelme(tmp_path, tmp_path, "").photos[0].shapes
    assert [len(shape.polygons) for shape in shapes] == [2, 1]


@pytest.mark.parametrize(("shape", "other", "part"), [
    (("fox", "line", [[0, 0], [5, 5]]), {}, "a 'line' has no area"),
    (("fox", "polygon", [[0, 0], [5, 5]]), {}, "needs 3 or more points"),
    (("fox", "circle", [[0, 0], [5, math.nan]]), {}, "needs 2 points"),
    (("fox", "mask", [[0, 0], [5, 5]], {"mask": "%%%"}), {}, "no PNG in base64"),
    (("fox", "mask", [[0, 0], [5, 5]], {"mask": None}), {}, "no PNG in base64"),
    ((3, "polygon", [[0, 0], [5, 5], [5, 0]]), {}, "shape 1: it has no label"),
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
    line = error_line(run_script("import_labels.py", "labelme", tmp_path / "card", "--out",
                                 tmp_path / "out", "--unannotated", "empty"))
    assert part in line and "1.json" in line
    assert not (tmp_path / "out").exists()


# ------------------------------------------------------------------------------------- yolo


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
            mask[[[inside(pixels, x + 0.5, y + 0.5) for x in range(WIDTH)]
                  for y in range(HEIGHT)]] = index + 1
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
    labels = read_yolo(folder / "labels", folder / "images", "p", names=folder / "data.yaml")
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
    line = error_line(run_script(
        "import_labels.py", "yolo", tmp_path / "labels", "--images", tmp_path / "images",
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
    assert "b/1.txt: its photo is not in" in error_line(run_script("import_labels.py", *command))
    assert "unpaired    " in imported(*command, "--skip-missing")
    write_photos(tmp_path / "images", "1.png")  # now one label fits two photos
    assert "rename" in error_line(run_script("import_labels.py", *command, "--overwrite",
                                             "--skip-missing"))


# ----------------------------------------------------------------------------- mask folders


def import_masks(tmp_path, table, *arguments):
    (tmp_path / "table.csv").write_text(table)
    return run_script("import_labels.py", "masks", tmp_path / "masks", "--images",
                      tmp_path / "card", "--colours", tmp_path / "table.csv", "--out",
                      tmp_path / "out", "--overwrite", *arguments)


@pytest.mark.parametrize("form", ["grey", "palette", "16 bits", "voc colours"])
def test_mask_pictures_of_every_form(form, tmp_path):
    write_photos(tmp_path / "card", "a/1.jpg", "b/1.jpg")
    classes = np.random.default_rng(0).integers(0, 3, (HEIGHT, WIDTH))
    values = np.array([0, 128, 300 if form == "16 bits" else 200])[classes]
    table, ending = f"value,name\n128,fox\n{values.max()},ignore\n", ".png"
    picture = Image.fromarray(values.astype(np.uint16 if form == "16 bits" else np.uint8))
    if form == "16 bits":
        ending = "_mask.tif"
    elif form == "palette":  # 8 of 10 colours the same: the index counts, not the colour
        picture = Image.fromarray(values.astype(np.uint8)).convert("P")
        picture.putpalette([7] * 768)
    elif form == "voc colours":
        colours = np.array([(0, 0, 0), (128, 0, 0), (224, 224, 192)], np.uint8)
        picture, table = Image.fromarray(colours[classes]), "colour,name\n#800000,fox\n"
    for name in ("a/1", "b/1"):
        path = tmp_path / "masks" / f"{name}{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)
    result = import_masks(tmp_path, table, "--ending", ending)
    assert result.returncode == 0, result.stderr
    masks, names = masks_of(tmp_path / "out")
    assert names == ["background", "fox"] and masks.keys() == {"card/a/1.jpg", "card/b/1.jpg"}
    for mask in masks.values():
        assert np.array_equal(mask, np.array([0, 1, IGNORE])[classes])


def smooth_disk(colour):
    """A disk drawn at 8 times the size and reduced, and where its exact mask is."""
    big = np.zeros((HEIGHT * 8, WIDTH * 8, 3), np.uint8)
    rows, columns = np.mgrid[:HEIGHT * 8, :WIDTH * 8] / 8
    big[np.hypot(rows - 24, columns - 32) < 15] = colour
    picture = Image.fromarray(big).resize((WIDTH, HEIGHT), Image.Resampling.BOX)
    return np.array(picture), np.hypot(ROWS + 0.5 - 24, COLUMNS + 0.5 - 32) < 15


def test_smooth_edges_never_become_a_third_class(tmp_path):
    """Between black and magenta lies purple, and purple is a class of its own here."""
    picture, disk = smooth_disk((255, 0, 255))
    picture[:4] = (120, 0, 120)
    write_photos(tmp_path / "card", "1.jpg")
    (tmp_path / "masks").mkdir()
    Image.fromarray(picture).save(tmp_path / "masks/1.png")
    table = "colour,name\n255 0 255,snow\n120 0 120,stick\n"
    assert import_masks(tmp_path, table).returncode == 0
    mask = masks_of(tmp_path / "out")[0]["card/1.jpg"]
    expected = disk * 1
    expected[:4] = 2
    assert (mask != expected).mean() < 0.005 and not (mask[4:] == 2).any()
    assert import_masks(tmp_path, table, "--edges", "ignore").returncode == 0
    ignored = masks_of(tmp_path / "out")[0]["card/1.jpg"]
    edge = ~np.isin(picture.sum(axis=2), (0, 510, 240))
    assert np.array_equal(ignored == IGNORE, edge) and edge.sum() > 50
    assert "colour #780078 fills a region" in error_line(
        import_masks(tmp_path, "colour,name\n#ff00ff,snow\n"))


@real
def test_colour_coded_masks_of_a_real_camera(tmp_path):
    folder = LABELS / "colour_coded"
    (tmp_path / "table.csv").write_text("colour,name\n255 0 0,object\n255 0 14,object\n"
                                        "0 255 0,stick\n128 255 0,stick\n255 0 255,snow\n")
    labels = read_mask_folder(folder, folder, "p", colours=tmp_path / "table.csv")
    assert [photo.source.suffix for photo in labels.photos] == [".jpg"] * 3
    assert labels.classes == ["object", "stick", "snow"]
    for photo in labels.photos:
        with Image.open(photo.source.with_suffix(".png")) as picture:
            pixels = np.array(picture).astype(int)
        shapes = {shape.name: shape.inside for shape in photo.picture()}
        sure = pixels[..., 3] == 255
        red, green = pixels[..., 0] == 255, pixels[..., 1] == 255
        assert (shapes["object"][sure & red & ~green]).all()
        assert (shapes["stick"][sure & green & ~red]).all()
        drawn = sum(inside.sum() for inside in shapes.values())
        assert abs(drawn / (pixels[..., 3] / 255).sum() - 1) < 0.01
    (tmp_path / "table.csv").write_text("colour,name\n255 0 0,object\n0 255 0,stick\n")
    with pytest.raises(InputError, match="#80ff00 fills a region"):
        read_mask_folder(folder, folder, "p", colours=tmp_path / "table.csv").photos[0].picture()


def test_the_segmentation_masks_of_cvat(tmp_path):
    write_photos(tmp_path / "card", "1.jpg", "2.jpg")
    export = tmp_path / "export"
    (export / "SegmentationClass").mkdir(parents=True)
    (export / "labelmap.txt").write_text("# label:color_rgb:parts:actions\nbackground:10,20,30::\n"
                                         "fox:250,50,83::\nhare:50,183,250::\n")
    classes = np.random.default_rng(0).integers(0, 3, (HEIGHT, WIDTH))
    colours = np.array([(10, 20, 30), (250, 50, 83), (50, 183, 250)], np.uint8)
    Image.fromarray(colours[classes]).save(export / "SegmentationClass/1.png")
    Image.fromarray(classes.astype(np.uint8)).save(export / "SegmentationClass/2.png")
    imported("cvat", export, "--images", tmp_path / "card", "--out", tmp_path / "out")
    masks, names = masks_of(tmp_path / "out")
    assert names == ["background", "fox", "hare"]
    assert np.array_equal(masks["card/1.jpg"], classes)
    assert np.array_equal(masks["card/2.jpg"], classes)
    (export / "labelmap.txt").unlink()
    assert "labelmap.txt" in error_line(run_script(
        "import_labels.py", "cvat", export, "--images", tmp_path / "card", "--out",
        tmp_path / "other"))


def test_pictures_that_hold_no_classes_are_refused(tmp_path):
    write_photos(tmp_path / "card", "1.jpg")
    (tmp_path / "masks").mkdir()
    Image.new("L", (WIDTH, HEIGHT), 255).save(tmp_path / "masks/1.png")
    assert import_masks(tmp_path, "value,name\n255,fox\n").returncode == 0
    Image.fromarray((COLUMNS % 3 * 50).astype(np.uint8)).save(tmp_path / "masks/1.png")
    line = error_line(import_masks(tmp_path, "value,name\n50,fox\n"))
    assert "value 100 is not in the table" in line and "50 (1008 pixels)" in line
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "masks/1.png")
    assert "only values" in error_line(import_masks(tmp_path, "value,name\n1,fox\n"))
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "masks/1.png", "JPEG")
    assert "JPEG" in error_line(import_masks(tmp_path, "value,name\n1,fox\n"))
    for table, part in (("value,name\nx,fox\n", "line 2"), ("colour,name\n#ff,fox\n", "#ff"),
                        ("value,name\n1,fox\n1,hare\n", "twice"), ("", "no class"),
                        ("fox\n", "a table begins")):
        assert part in error_line(import_masks(tmp_path, table))
