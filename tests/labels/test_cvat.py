"""read_cvat_xml: files written after CVAT's document, against pixels found edge by edge."""

import math
from functools import partial
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import pytest
from conftest import EXAMPLES, error_line, many, seeds
from hypothesis import given
from label_files import (
    damaged,
    import_labels,
    imported,
    inside,
    masks_of,
    refusal,
    scratch,
    write_photos,
)

from camera_trapinator import IGNORE, InputError
from camera_trapinator.data.manifest import read_manifest
from camera_trapinator.data.masks import read_mask
from camera_trapinator.labels.cvat import read_cvat_xml
from camera_trapinator.labels.data_root import write_data_root
from camera_trapinator.labels.source import Source

WIDTH, HEIGHT = 24, 16
write_photos = partial(write_photos, size=(WIDTH, HEIGHT))
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH] + 0.5  # the centres of the pixels


def element(tag, text="", **attributes):
    pairs = "".join(f" {key}={quoteattr(str(value))}" for key, value in attributes.items())
    return f"<{tag}{pairs}>{text}</{tag}>"


def image(name, *shapes, width=WIDTH, height=HEIGHT):
    return element("image", "".join(shapes), id=0, name=name, width=width, height=height)


def write_xml(path, *images, labels=("hare", "fox")):
    """An export as CVAT writes it."""
    listed = "".join(element("label", element("name", escape(name)) + element("type", kind))
                     for name, kind in (label if isinstance(label, tuple) else (label, "any")
                                        for label in labels))
    path.write_text('<?xml version="1.0" encoding="utf-8"?>\n' + element(
        "annotations", element("version", "1.1") + element("meta", element(
            "task", element("labels", listed))) + "".join(images)), encoding="utf-8")
    return path


def read(folder, **options):
    """The data root of labels.xml: {photo: its mask, or the word in its row}, class names."""
    options = {"unannotated": "unlabelled", **options}
    skip = options.pop("skip_missing", False)
    labels = read_cvat_xml(Source(folder / "labels.xml", folder / "card", "photos",
                                  skip_missing=skip)).sound()
    write_data_root(labels, folder / "out", overwrite=True, **options)
    return masks_of(folder / "out")


def polygon(label, ring, z_order=0):
    points = ";".join(f"{x:.2f},{y:.2f}" for x, y in ring)
    return element("polygon", label=label, points=points, occluded=0, z_order=z_order)


def box(label, left, top, right, bottom, **more):
    return element("box", label=label, xtl=left, ytl=top, xbr=right, ybr=bottom, **more)


def brush(label, pixels, z_order=0, cut=True):
    """A <mask> of pixels bool (height, width): the box around them, runs along its rows."""
    rows, columns = np.nonzero(pixels)
    left, top, right, bottom = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) \
        if cut else (0, 0, pixels.shape[1], pixels.shape[0])
    runs, value = [0], False
    for pixel in pixels[top:bottom, left:right].ravel().tolist():
        if pixel != value:
            runs.append(0)
            value = pixel
        runs[-1] += 1
    return element("mask", label=label, rle=", ".join(map(str, runs)), left=left, top=top,
                   width=right - left, height=bottom - top, z_order=z_order, occluded=0)


# ---------------------------------------------------------------------------------- shapes


def test_the_mask_in_the_document_of_cvat(tmp_path):
    """The example of docs.cvat.ai: a disk of 13 x 15 pixels, as its runs show it row by row."""
    runs = ("3, 5, 7, 7, 5, 9, 3, 11, 2, 11, 2, 12, 1, 12, 1, 26, 1, 12, 1, 12, 2, 11, 3, 9, 5, "
            "7, 7, 5, 3")
    write_photos(tmp_path / "card", "filename000.jpg", size=(1600, 1200))
    write_xml(tmp_path / "labels.xml", image("filename000.jpg", element(
        "mask", label="car", rle=runs, left=707, top=888, width=13, height=15, z_order=0),
        width=1600, height=1200), labels=["car"])
    masks, _ = read(tmp_path)
    mask = masks["filename000.jpg"]
    assert mask[888].nonzero()[0].tolist() == [710, 711, 712, 713, 714]
    assert mask[888 + 7].nonzero()[0].tolist() == list(range(707, 720))
    assert mask[888 + 14].nonzero()[0].tolist() == [712, 713, 714, 715, 716]
    assert mask.sum() == sum(map(int, runs.split(",")[1::2]))


def test_the_higher_z_order_lies_on_top_and_the_later_of_equals(tmp_path):
    write_photos(tmp_path / "card", "a/1.jpg", "b/1.jpg")
    large, small = [(0, 0), (20, 0), (20, 12), (0, 12)], [(5, 5), (10, 5), (10, 10), (5, 10)]
    write_xml(tmp_path / "labels.xml",
              image("a/1.jpg", polygon("fox", small, 10), polygon("hare", large, 9)),
              image("b/1.jpg", polygon("fox", small), polygon("hare", large)))
    masks, names = read(tmp_path)
    assert names == ["background", "hare", "fox"]  # in CVAT's order
    expected = np.zeros((HEIGHT, WIDTH), int)
    expected[:12, :20] = 1
    assert np.array_equal(masks["b/1.jpg"], expected)
    expected[5:10, 5:10] = 2
    assert np.array_equal(masks["a/1.jpg"], expected)


def test_ellipses_turn_clockwise(tmp_path):
    write_photos(tmp_path / "card", "1.jpg", size=(80, 60))
    write_xml(tmp_path / "labels.xml", image("1.jpg", element(
        "ellipse", label="fox", cx=40, cy=30, rx=25, ry=8, rotation=30), width=80, height=60))
    mask = read(tmp_path)[0]["1.jpg"] == 2
    rows, columns = np.mgrid[:60, :80] + 0.5
    across, down, angle = columns - 40, rows - 30, math.radians(30)
    along = across * math.cos(angle) + down * math.sin(angle)
    aside = down * math.cos(angle) - across * math.sin(angle)
    assert (mask != ((along / 25)**2 + (aside / 8)**2 < 1)).sum() <= 2
    assert mask[41, 59] and not mask[18, 59]  # its right end hangs down


def test_boxes_beside_outlines_are_ignored_but_for_the_outlines(tmp_path):
    write_photos(tmp_path / "card", "1.jpg", "2.jpg")
    square = [(4, 4), (8, 4), (8, 8), (4, 8)]
    write_xml(tmp_path / "labels.xml",
              image("1.jpg", box("fox", 2, 2, 12, 10, z_order=5), polygon("fox", square)),
              image("2.jpg", box("fox", 8, 6, 16, 10, rotation=90)))
    for overlap in ("later", "smaller", "ignore"):
        masks, _ = read(tmp_path, overlap=overlap)
        expected = np.zeros((HEIGHT, WIDTH), int)
        expected[2:10, 2:12] = IGNORE
        expected[4:8, 4:8] = 2
        assert np.array_equal(masks["1.jpg"], expected)
    turned = np.zeros((HEIGHT, WIDTH), int)
    turned[4:12, 10:14] = IGNORE
    assert np.array_equal(masks["2.jpg"], turned)


def test_tags_say_which_photos_are_empty(tmp_path):
    write_photos(tmp_path / "card", "1.jpg", "2.jpg", "3.jpg", "4.jpg")
    tags = {name: element("tag", label=name, source="manual") for name in ("empty", "good frame")}
    write_xml(tmp_path / "labels.xml",
              image("1.jpg", polygon("fox", [(0, 0), (9, 0), (9, 9)]), tags["good frame"]),
              image("2.jpg", tags["empty"]), image("3.jpg", tags["good frame"]), image("4.jpg"),
              labels=["Empty", ("good frame", "tag"), ("line", "polyline"), "hare",
                      "fox", "background"])
    masks, names = read(tmp_path)
    assert names == ["background", "hare", "fox"]
    assert masks.pop("1.jpg").any()
    assert masks == {"2.jpg": "background", "3.jpg": "", "4.jpg": ""}


def test_lines_beside_outlines_are_left_out_and_told_and_their_photo_is_not_empty(tmp_path):
    write_photos(tmp_path / "card", "1.jpg", "2.jpg", "3.jpg", "4.jpg")
    line, tag = element("polyline", label="fox", points="0,0;5,5"), element("tag", label="fox")
    empty = element("tag", label="empty")
    write_xml(tmp_path / "labels.xml", image("1.jpg", SOUND, line, element("points", label="fox")),
              image("2.jpg", line), image("3.jpg", tag), image("4.jpg", tag, empty))
    stdout = imported("cvat", tmp_path / "labels.xml", "--images", tmp_path / "card", "--out",
                      tmp_path / "out", "--unannotated", "empty")
    masks, _ = masks_of(tmp_path / "out")
    assert masks["card/1.jpg"].any()
    assert [masks[f"card/{number}.jpg"] for number in (2, 3, 4)] == ["", "", "background"]
    assert "image '0', shape 2 (polyline): a polyline has no area" in stdout
    assert "shape 3 (points): a points has no area" in stdout
    assert "2 photos have labels, but none with an area" in stdout


def subset_image(subset, name, *shapes):
    return element("image", "".join(shapes), id=0, name=name, width=WIDTH, height=HEIGHT,
                   **({"subset": subset} if subset else {}))


@pytest.mark.parametrize("tree", [True, False], ids=["folders", "flat"])
def test_the_subsets_of_a_project_are_folders_and_splits(tree, tmp_path):
    subsets = {"Train": "train", "Validation": "val", "Test": "test"}
    rings = {subset: [(0, 0), (4 + 4 * place, 0), (4 + 4 * place, 8), (0, 8)]
             for place, subset in enumerate(subsets)}
    files = {subset: f"{subset}/1.jpg" if tree else f"{subset}.jpg" for subset in subsets}
    write_photos(tmp_path / "images", *files.values())
    write_xml(tmp_path / "annotations.xml", *(
        subset_image(subset, "1.jpg" if tree else f"{subset}.jpg", polygon("fox", rings[subset]))
        for subset in subsets))
    command = ["cvat", tmp_path / "annotations.xml", "--images", tmp_path / "images", "--out",
               tmp_path / "out", "--overwrite"]
    stdout = imported(*command)
    masks, _ = masks_of(tmp_path / "out")
    for place, file in enumerate(files.values()):
        assert (masks[f"images/{file}"] > 0).sum() == 8 * (4 + 4 * place)
    rows = {row.image: row.split for row in read_manifest(tmp_path / "out/manifest.csv")}
    assert rows == {f"photos/images/{files[subset]}": split for subset, split in subsets.items()}
    assert "splits      by the labels; --split none" in stdout
    imported(*command, "--split", "none")
    assert {row.split for row in read_manifest(tmp_path / "out/manifest.csv")} == {""}


def test_a_photo_in_no_subset_of_a_split_is_asked_about(tmp_path):
    write_photos(tmp_path / "card", "Train/1.jpg", "Test/1.jpg", "3.jpg")
    write_xml(tmp_path / "labels.xml", subset_image("Train", "1.jpg", SOUND),
              subset_image("Test", "1.jpg", SOUND), subset_image("", "3.jpg", SOUND))
    command = ["cvat", tmp_path / "labels.xml", "--images", tmp_path / "card", "--out",
               tmp_path / "out"]
    line = error_line(import_labels(*command))
    assert "no split is known of" in line and "card/3.jpg" in line and "--split none" in line
    imported(*command, "--split", "none")


def test_the_label_background_erases(tmp_path):
    write_photos(tmp_path / "card", "1.jpg")
    pixels = np.random.default_rng(0).random((HEIGHT, WIDTH)) < 0.5
    write_xml(tmp_path / "labels.xml", image(
        "1.jpg", brush("background", pixels, 1), box("fox", 0, 0, 1, 1),
        polygon("fox", [(0, 0), (WIDTH, 0), (WIDTH, HEIGHT), (0, HEIGHT)])), labels=[])
    masks, names = read(tmp_path)
    assert names == ["background", "fox"]
    assert np.array_equal(masks["1.jpg"], ~pixels)


def test_photos_that_are_missing_are_told_or_listed(tmp_path):
    write_photos(tmp_path / "card", "a/1.jpg")
    ring = [(0, 0), (9, 0), (9, 9)]
    write_xml(tmp_path / "labels.xml", image("a/1.jpg", polygon("fox", ring)),
              image("1.jpg", polygon("wolf", ring)), image("x" * 300, polygon("fox", ring)))
    with pytest.raises(InputError, match=r"2 of its photos .* such as 'xxx.*--skip-missing"):
        read(tmp_path)
    masks, names = read(tmp_path, skip_missing=True)
    assert masks.keys() == {"a/1.jpg"} and names == ["background", "hare", "fox"]
    assert "photo 1.jpg is missing" in (tmp_path / "out/unpaired.txt").read_text()


@pytest.mark.parametrize("given", ["labels.xml", "unzipped"])
def test_the_script_reads_the_file_or_the_unzipped_export(given, tmp_path):
    write_photos(tmp_path / "card", "a/1.jpg")
    (tmp_path / "unzipped").mkdir()
    for path in (tmp_path / "labels.xml", tmp_path / "unzipped/annotations.xml"):
        write_xml(path, image("a/1.jpg", polygon("fox", [(2, 2), (8, 2), (8, 9), (2, 9)])))
    command = ["cvat", tmp_path / given, "--images", tmp_path / "card", "--out", tmp_path / "out"]
    imported(*command)
    mask = read_mask(tmp_path / "out/masks/card/a/1.jpg.png")
    assert mask[2:9, 2:8].min() == 2 and mask.astype(bool).sum() == 42
    (tmp_path / "card/a/1.jpg").unlink()
    assert "'a/1.jpg'" in error_line(import_labels(*command, "--overwrite"))


# --------------------------------------------------------------------------------- refusals

SOUND = polygon("fox", [(0, 0), (9, 0), (9, 9)])
MASK = {"label": "fox", "left": 2, "top": 3, "width": 2, "height": 2, "rle": "1,3"}
REFUSED = {
    "path outside": (image("../1.jpg", SOUND), "'../1.jpg' is no path inside"),
    "absolute path": (image("/etc/passwd", SOUND), "'/etc/passwd'"),
    "link outside": (image("link.jpg", SOUND), "through a link"),
    "one photo twice": (image("1.jpg", SOUND) + image(".//1.jpg", SOUND), "labels already"),
    "boxes alone": (image("1.jpg", box("fox", 1, 2, 3, 4)), "box is no mask"),
    "polyline": (image("1.jpg", element("polyline", label="fox", points="0,0;5,5")),
                 "shape 1 (polyline): a polyline has no area"),
    "skeleton": (image("1.jpg", element("skeleton", label="fox")), "has no area"),
    "unknown shape": (image("1.jpg", element("cloud", label="fox")), "<cloud>"),
    "no label": (image("1.jpg", element("polygon", points="0,0;5,0;5,5")), "it has no label"),
    "two points": (image("1.jpg", polygon("fox", [(0, 0), (5, 5)])), "of 2 points has no area"),
    "no points": (image("1.jpg", element("polygon", label="fox")), "points ''"),
    "text in points": (image("1.jpg", element("polygon", label="fox", points="0,0;5,x;5,5")),
                       "0,0;5,x"),
    "no number": (image("1.jpg", element("polygon", label="fox", points="0,0;5,nan;5,5")), "nan"),
    "endless": (image("1.jpg", element("ellipse", label="fox", cx=1, cy=1, rx="inf", ry=2)), "inf"),
    "no radius": (image("1.jpg", element("ellipse", label="fox", cx=1, cy=1, ry=2)), "rx None"),
    "short runs": (image("1.jpg", element("mask", **{**MASK, "rle": "1,2"})), "add up to 3"),
    "negative runs": (image("1.jpg", element("mask", **{**MASK, "rle": "1,-1,4"})), "rle"),
    "no runs": (image("1.jpg", element("mask", **{**MASK, "rle": ""})), "rle is no list"),
    "mask outside": (image("1.jpg", element("mask", **{**MASK, "left": 23})), "at (23, 3)"),
    "half a pixel": (image("1.jpg", element("mask", **{**MASK, "top": 3.5})), "top '3.5'"),
    "z_order": (image("1.jpg", element("polygon", label="fox", points="0,0;5,0;5,5",
                                       z_order="high")), "z_order 'high'"),
    "empty with shapes": (image("1.jpg", SOUND, element("tag", label="empty")), "tagged as empty"),
    "empty with a line": (image("1.jpg", element("tag", label="empty"), element(
        "polyline", label="fox", points="0,0;5,5")), "shape 2 (polyline): a polyline has no area"),
    "no name": (element("image", SOUND, id=7, width=9, height=9), "image '7': it has no name"),
    "no size": (element("image", SOUND, id=7, name="1.jpg"), "width None"),
    "no pixels": (image("1.jpg", SOUND, width=0, height=0), "width '0'"),
    "mask of no pixels": (image("1.jpg", element("mask", **{**MASK, "width": 0, "rle": "0"})),
                          "width '0'"),
    "another size": (image("1.jpg", SOUND, height=WIDTH), "24 x 24"),
    "video": (element("track", box("fox", 1, 2, 3, 4, frame=0)), "tracks of a video"),
    "nothing": ("", "no <image>"),
    "no annotation": (image("1.jpg"), "no photo has a labelled animal"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_labels_are_refused_by_name_and_nothing_is_written(name, tmp_path):
    images, part = REFUSED[name]
    write_photos(tmp_path / "card", "1.jpg")
    (tmp_path / "card/link.jpg").symlink_to("/etc/passwd")
    write_xml(tmp_path / "labels.xml", images)
    with pytest.raises(InputError) as refusal:
        read(tmp_path)
    assert part in str(refusal.value) and "\n" not in str(refusal.value)
    assert "labels.xml" in str(refusal.value) or name == "no annotation"
    assert not (tmp_path / "out").exists()


LAUGHS = '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><annotations>&b;</annotations>'


@pytest.mark.parametrize(("data", "part"), [
    (b"", "no valid XML"), (b"\0", "no valid XML"), (b"{}", "no valid XML"),
    (b"<annotations><image>", "no valid XML"), (b"<a/>", "no <image>"),
    (LAUGHS.encode(), "DOCTYPE"), (LAUGHS.encode("utf-16"), "DOCTYPE"),
    (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotations/>', "DOCTYPE"),
    (b"<annotations>&unknown;</annotations>", "undefined entity"),
    (b'<?xml version="1.0" encoding="klingon"?><annotations/>', "unknown encoding"),
    (b"<annotations>" * 100_000, "no valid XML"),
])
def test_what_is_no_cvat_file_is_refused_in_one_line(data, part, tmp_path):
    (tmp_path / "labels.xml").write_bytes(data)
    with pytest.raises(InputError, match=part) as refusal:
        read(tmp_path)
    assert "labels.xml" in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_file_that_is_not_there(tmp_path):
    for path in (tmp_path / "labels.xml", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            read_cvat_xml(Source(path, tmp_path, "photos"))


# ----------------------------------------------------------------------------- random files

NAMES = ["fox", "hare", "Fuchs & Hase <1>"]
JUNK = ["", "x", "-1", "0", "nan", "inf", "1e308", "1e5", "99999", "7" * 30, "3,", ";;", "1,2;3",
        "../../etc/passwd", "&#10;", "a\tb", "²", "fox", "box", "x" * 5000, "1" * 5000]


def draw(random):
    """Random shapes as XML, and the mask they give, found pixel by pixel."""
    shapes = []
    for _ in range(int(random.integers(1, 5))):
        index, z_order = int(random.integers(3)), int(random.integers(-2, 3))
        if random.random() < 0.5:
            pixels = below = None
            while pixels is None or (pixels != below).any():  # no centre lies on an edge
                points = random.uniform((-3, -3), (27, 19), (int(random.integers(3, 7)), 2))
                ring = [tuple(point) for point in points.round(2).tolist()]
                pixels, below = (inside([(x, y + shift) for x, y in ring], HEIGHT, WIDTH)
                                 for shift in (-1e-6, 1e-6))
            xml = polygon(NAMES[index], ring, z_order)
        else:
            pixels = np.zeros((HEIGHT, WIDTH), bool)
            left, top = int(random.integers(WIDTH)), int(random.integers(HEIGHT))
            part = pixels[top:top + 9, left:left + 9]
            part[:] = random.random(part.shape) < random.random()
            pixels[top, left] = True
            xml = brush(NAMES[index], pixels, z_order, cut=random.random() < 0.5)
        shapes.append((z_order, xml, index, pixels))
    mask = np.zeros((HEIGHT, WIDTH), int)
    for z_order in range(-2, 3):
        for _, _, index, pixels in [shape for shape in shapes if shape[0] == z_order]:
            mask[pixels] = index + 1
    return "".join(xml for _, xml, _, _ in shapes), mask


def test_random_files_give_the_right_masks():
    @many
    @given(seeds)
    def check(seed):
        with scratch() as name:
            folder, random = Path(name), np.random.default_rng(seed)
            write_photos(folder / "card", "a/1.png", "b/1.png")
            drawn = {}
            while not any(mask.any() for _, mask in drawn.values()):
                drawn = {f"{name}/1.png": draw(random) for name in "ab"}
            write_xml(folder / "labels.xml", *(image(photo, xml) for photo, (xml, _) in
                                               drawn.items()), labels=NAMES)
            masks, names = read(folder)
            assert names == ["background", *NAMES]
            for photo, (_, mask) in drawn.items():
                # Shapes without pixel are told, and their photo is not empty.
                assert np.array_equal(masks[photo], mask) if mask.any() else masks[photo] == ""
    check()


def damaged_xml(text, random):
    """Put junk in place of one value, take one piece away, or flip some bytes."""
    kind = random.random()
    if kind < 0.6:
        parts = text.split('"')  # every other part is the value of an attribute
        place = 2 * int(random.integers(3, len(parts) // 2)) + 1
        parts[place] = JUNK[int(random.integers(len(JUNK)))]
        return '"'.join(parts).encode()
    if kind < 0.8:
        parts = text.split(" ")
        del parts[int(random.integers(len(parts)))]
        return " ".join(parts).encode()
    return damaged(text.encode(), random, longest=2)


def test_damaged_files_give_one_clear_line_and_no_data_root():
    refused = []

    @many
    @given(seeds)
    def check(seed):
        with scratch() as name:
            folder, random = Path(name), np.random.default_rng(seed)
            write_photos(folder / "card", "1.png")
            path = write_xml(folder / "labels.xml", image(
                "1.png", draw(random)[0], box("fox", 1, 2, 9, 8),
                element("ellipse", label="fox", cx=9, cy=9, rx=3, ry=2, rotation=9)))
            path.write_bytes(damaged_xml(path.read_text(encoding="utf-8"), random))
            try:
                masks, names = read(folder)
            except InputError as error:
                refused.append(seed)
                assert "\n" not in str(error) and "labels.xml" in str(error)
                assert not (folder / "out").exists()
            else:
                assert set(np.unique(masks["1.png"])) <= {*range(len(names)), IGNORE}
    check()
    assert EXAMPLES * 0.3 < len(refused) < EXAMPLES * 0.98


def test_two_subsets_of_one_photo_are_no_copies_in_two_splits(tmp_path):
    """Unzipped into one folder: the photo of Test lies where that of Train was."""
    write_photos(tmp_path / "card", "1.jpg")
    shapes = [polygon(name, [(2, 2), (8, 2), (8, 9)]) for name in ("fox", "hare")]
    write_xml(tmp_path / "labels.xml", *[
        image("1.jpg", shape).replace("<image ", f'<image subset="{subset}" ')
        for shape, subset in zip(shapes, ("Train", "Test"), strict=True)])
    told = refusal(import_labels("cvat", tmp_path / "labels.xml", "--images", tmp_path / "card",
                                 "--out", tmp_path / "out"))
    assert "has labels already" in told


def test_what_is_no_export_says_what_one_holds(tmp_path):
    (tmp_path / "export").mkdir()
    for path in (tmp_path / "export", tmp_path / "gone.xml"):
        line = error_line(import_labels("cvat", path, "--images", tmp_path, "--out",
                                        tmp_path / "out"))
        assert f"{path}: neither annotations.xml" in line and "SegmentationClass" in line
