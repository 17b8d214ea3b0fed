"""import_labels.py yolo: against pixels found edge by edge, and on a real export."""

import shutil

import numpy as np
import pytest
from conftest import error_line
from label_files import (
    LABELS,
    import_labels,
    imported,
    inside,
    masks_of,
    real,
    refusal,
    write_photos,
)

from camera_trapinator.data.manifest import read_manifest
from camera_trapinator.data.photos import photo_size
from camera_trapinator.labels.pairing import pair_labels
from camera_trapinator.labels.source import Source
from camera_trapinator.labels.yolo import read_yolo

WIDTH, HEIGHT = 64, 48


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
            mask[inside(pixels, HEIGHT, WIDTH)] = index + 1
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
    source = Source(folder / "labels", folder / "images", "p")
    labels = read_yolo(source, names=folder / "data.yaml").sound()
    assert len(labels.photos) == 20 and labels.classes == ["cat"]
    for photo in labels.photos:
        assert (photo.width, photo.height) == photo_size(photo.source) and photo.shapes


@pytest.mark.parametrize(("text", "part"), [
    ("0 .1 .1 .2", "3 coordinates"), ("0 .1 .1 .2 .2 .3 .1 .9 7", "number of a tracked animal"),
    ("0 .1 .1 .2 .2 .3 .1 1.7", "7 coordinates"), ("0.5 .1 .1 .2 .2 .3 .1", "class 0.5 has no"),
    ("-1 .1 .1 .2 .2 .3 .1", "class -1 has no"), ("nan .1 .1 .2 .2 .3 .1", "class nan has no"),
    ("2 .1 .1 .2 .2 .3 .1", "class 2 has no name"), ("fox .1 .1 .2 .2 .3 .1", "'fox .1"),
    ("0 10 10 20 20 30 10", "coordinate 10.0"), ("0 .1 .1 .2 nan .3 .1", "coordinate nan"),
])
def test_yolo_lines_that_are_wrong_are_refused_by_number(text, part, tmp_path):
    write_photos(tmp_path / "images", "1.jpg")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/1.txt").write_text(f"0 .1 .1 .2 .2 .3 .1\n{text}\n")
    (tmp_path / "names.txt").write_text("fox\nhare\n")
    line = error_line(import_labels(
        "yolo", tmp_path / "labels", "--images", tmp_path / "images",
        "--names", tmp_path / "names.txt", "--out", tmp_path / "out"))
    assert part in line and "1.txt, line 2" in line
    assert not (tmp_path / "out").exists()


def write_labels(folder, **lines):
    write_photos(folder / "images", *(f"{name}.jpg" for name in lines))
    (folder / "labels").mkdir(exist_ok=True)
    for name, text in lines.items():
        (folder / f"labels/{name}.txt").write_text(text)
    (folder / "names.txt").write_text("fox\nhare\n")
    return ["yolo", folder / "labels", "--images", folder / "images", "--names",
            folder / "names.txt", "--out", folder / "out"]


RECTANGLE = "0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75"  # pixels 16..47 and 12..35


def test_a_confidence_behind_all_lines_is_left_and_told(tmp_path):
    """As `predict --save_txt --save_conf` of Ultralytics writes it, behind boxes too."""
    command = write_labels(tmp_path, a=f"0 {RECTANGLE} 0.93\n1 0.5 0.75 0.5 0.5 0.2\n",
                           b=f"1 {RECTANGLE} 1\n")
    stdout = imported(*command)
    masks, _ = masks_of(tmp_path / "out")
    expected = np.zeros((HEIGHT, WIDTH), int)
    expected[24:48, 16:48] = 255
    expected[12:36, 16:48] = 1
    assert np.array_equal(masks["images/a.jpg"], expected)
    assert (masks["images/b.jpg"] == 2).sum() == 32 * 24
    assert "3 of 3 lines end with one number more, taken for a confidence" in stdout


def test_a_confidence_behind_some_lines_is_left_and_told(tmp_path):
    command = write_labels(tmp_path, a=f"0 {RECTANGLE} 0.93\n0 0.1 0.1 0.2 0.2 0.5\n",
                           b=f"1 {RECTANGLE}\n")
    stdout = imported(*command)
    masks, _ = masks_of(tmp_path / "out")
    assert (masks["images/a.jpg"] == 1).sum() == (masks["images/b.jpg"] == 2).sum() == 32 * 24
    assert "2 of 3 lines end with one number more" in stdout and "a.txt, line 1" in stdout
    assert "1 boxes without outline" in stdout


TRACKED = {  # as `track --save_txt` of Ultralytics writes it, with save_conf or without
    "both": ("0.9 1", "0.8 2"), "one animal": ("0.9 1", "0.8 1"), "number": ("7", "1"),
    "an animal that was lost": ("0.9 3", "0.8")}


@pytest.mark.parametrize("ends", TRACKED.values(), ids=TRACKED)
def test_the_number_of_a_tracked_animal_is_left_and_told(ends, tmp_path):
    first, second = ends
    stdout = imported(*write_labels(tmp_path, a=f"0 {RECTANGLE} {first}\n",
                                    b=f"1 {RECTANGLE} {second}\n"))
    masks, _ = masks_of(tmp_path / "out")
    expected = np.zeros((HEIGHT, WIDTH), int)
    expected[12:36, 16:48] = 1
    assert np.array_equal(masks["images/a.jpg"], expected)
    assert np.array_equal(masks["images/b.jpg"], expected * 2)
    assert "tracked animal and left" in stdout


def test_numbers_of_animals_on_some_lines_are_a_fault_of_each(tmp_path):
    told = refusal(import_labels(*write_labels(
        tmp_path, a=f"0 {RECTANGLE} 0.9 4\n0 {RECTANGLE}\n", b=f"0 {RECTANGLE} 5\n")))
    assert "a.txt, line 1: does it end with the number of a tracked animal?" in told
    assert "b.txt, line 1: does it" in told and "line 2" not in told


def test_polygons_that_end_at_the_lower_edge_keep_their_points(tmp_path):
    """`... 0 1` at the end of all lines could be a confidence of 0 and the animal 1."""
    whole = "0 0 0 1 0 1 1 0 1\n"
    imported(*write_labels(tmp_path, a=whole, b=whole))
    masks, _ = masks_of(tmp_path / "out")
    assert masks["images/a.jpg"].all() and masks["images/b.jpg"].all()
    for lines in ({"a": whole, "b": f"0 {RECTANGLE} 0.5 1"}, {"a": "0 0 0 1 0 0.5 1"}):
        line = refusal(import_labels(*write_labels(tmp_path, **lines), "--overwrite"))
        assert "does it end with the number of a tracked animal?" in line
    stdout = imported(*write_labels(tmp_path, a="0 0 0 1 0 0.5 1", b=f"0 {RECTANGLE}"),
                      "--overwrite")
    assert "tracked" not in stdout
    assert (masks_of(tmp_path / "out")[0]["images/a.jpg"] == 1).sum() == 64 * 48 // 2


NAMES = {  # the file of names, its text: the names, or what is told of it
    "numbered": ("names.txt", "1: hare\n0: fox\n", ["fox", "hare"]),
    "numbered without colons": ("names.txt", "0 fox\n1 red deer\n", ["fox", "red deer"]),
    "names that begin with numbers": ("names.txt", "3 toed sloth\n2 toed sloth\n",
                                      ["3 toed sloth", "2 toed sloth"]),
    "UTF-16": ("names.txt", "fox\nhare\n".encode("utf-16"), ["fox", "hare"]),
    "numbered from 1": ("names.txt", "1 fox\n2 hare\n", "numbered 1, 2"),
    "one line": ("names.txt", "fox,hare\n", "one class name a line"),
    "Latin-1": ("names.txt", "f\xfcchs\n".encode("latin-1"), "save it as UTF-8"),
    "JSON": ("names.json", '["fox"]', "a JSON file; give data.yaml"),
    "any order": ("data.yaml", "names: {1: hare, 0: fox}", ["fox", "hare"]),
    "a gap": ("data.yaml", "nc: 3\nnames: {2: hare, 0: fox}", "class 1 has no name"),
    "too many": ("data.yaml", "nc: 3\nnames: [fox, hare]", "nc says 3 classes"),
    "a number alone": ("data.yaml", "nc: 3", "write `names: [fox, deer]`"),
    "a text": ("data.yaml", "names: fox", "write `names: [fox, deer]`"),
    "a tab": ("data.yaml", "nc: 2\nnames:\n\t0: fox", "data.yaml, line 3: no valid YAML; the line "
              "holds a tab"),
    "a path of Windows": ("data.yaml", 'path: "C:\\Users\\x"\nnames: [a]', "data.yaml, line 1: no "
                          "valid YAML; within"),
}


@pytest.mark.parametrize("name, text, meant", NAMES.values(), ids=NAMES)
def test_files_of_names(name, text, meant, tmp_path):
    command = write_labels(tmp_path, a=f"0 {RECTANGLE}\n", b=f"1 {RECTANGLE}\n")
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    result = import_labels(*command, "--names", path)
    if isinstance(meant, str):
        assert meant in error_line(result)
    else:
        assert result.returncode == 0, result.stderr
        assert masks_of(tmp_path / "out")[1] == ["background", *meant]


def test_a_gap_in_the_names_counts_only_where_it_is_used(tmp_path):
    command = write_labels(tmp_path, a=f"2 {RECTANGLE}\n")
    (tmp_path / "data.yaml").write_text("names:\n  2: hare\n  0: fox\n")
    imported(*command, "--names", tmp_path / "data.yaml")
    masks, names = masks_of(tmp_path / "out")
    assert (masks["images/a.jpg"] == names.index("hare")).sum() == 32 * 24


def test_classes_may_be_written_as_floats(tmp_path):
    imported(*write_labels(tmp_path, a=f"0.0 {RECTANGLE}\n", b=f"1.0 {RECTANGLE}\n"))
    masks, names = masks_of(tmp_path / "out")
    assert names == ["background", "fox", "hare"]
    assert [masks[f"images/{name}.jpg"].max() for name in "ab"] == [1, 2]


def test_boxes_among_polygons_are_ignored_and_told_and_alone_refused(tmp_path):
    box = "1 0.5 0.5 0.25 0.5"  # pixels 24..39 and 12..35
    command = write_labels(tmp_path, a=f"0 0 0 0.5 0 0.5 0.5 0 0.5\n{box}\n", b=box)
    stdout = imported(*command, "--unannotated", "empty")
    masks, _ = masks_of(tmp_path / "out")
    expected = np.zeros((HEIGHT, WIDTH), int)
    expected[12:36, 24:40] = 255
    assert np.array_equal(masks["images/b.jpg"], expected)
    expected[:24, :32] = 1
    assert np.array_equal(masks["images/a.jpg"], expected)
    assert "2 boxes without outline, on 2 photos" in stdout
    (tmp_path / "labels/a.txt").write_text(box)
    assert "a box is no mask" in error_line(
        import_labels(*command, "--overwrite"))


def tree_of_splits(folder, *photos):
    for number, name in enumerate(photos):
        write_photos(folder / "images", name, size=(WIDTH, HEIGHT + number))
        label = (folder / "labels" / name).with_suffix(".txt")
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text(f"0 {RECTANGLE}\n")
    (folder / "names.txt").write_text("fox\n")
    return ["yolo", folder / "labels", "--images", folder / "images", "--names",
            folder / "names.txt", "--out", folder / "out", "--overwrite"]


def test_the_folders_of_its_tree_are_the_splits(tmp_path):
    command = tree_of_splits(tmp_path, "train/1.jpg", "train/2.jpg", "Val/1.jpg")

    def splits():
        return [row.split for row in read_manifest(tmp_path / "out/manifest.csv")]
    stdout = imported(*command)
    assert "splits      by the folders; --split none" in stdout and "(2 train, 1 val)" in stdout
    assert sorted(splits()) == ["train", "train", "val"]
    assert "splits " not in imported(*command, "--split", "none")
    assert splits() == ["", "", ""]
    assert "no photo has the split test" in stdout
    tree_of_splits(tmp_path, "3.jpg")  # which lies in none of them
    assert "--split folders" in error_line(import_labels(*command))


@pytest.mark.parametrize(("image", "label", "place"), [
    ("images/1.jpg", "labels/1.txt", "photos/images/1.jpg"),
    ("train/images/1.jpg", "train/labels/1.txt", "photos/ds/train/images/1.jpg")])
def test_a_whole_data_set_needs_no_more_than_its_folder(image, label, place, tmp_path):
    write_photos(tmp_path / "ds", image, size=(WIDTH, HEIGHT))
    (tmp_path / "ds" / label).parent.mkdir()
    (tmp_path / "ds" / label).write_text(f"0 {RECTANGLE}\n")
    command = ["yolo", tmp_path / "ds", "--out", tmp_path / "out"]
    assert "give --names" in error_line(import_labels(*command))
    (tmp_path / "ds/data.yaml").write_text("names: [fox]")
    assert "unpaired" not in imported(*command)
    [row] = read_manifest(tmp_path / "out/manifest.csv")
    assert row.image == place and row.mask.endswith(".png")
    shutil.rmtree(tmp_path / "ds" / image.split("/")[0])
    assert "--images" in error_line(import_labels(*command, "--overwrite"))


def test_labels_without_photo_are_told_or_listed(tmp_path):
    write_photos(tmp_path / "images", "1.jpg")
    (tmp_path / "labels/b").mkdir(parents=True)
    for name in ("1", "b/1"):
        (tmp_path / f"labels/{name}.txt").write_text("0 .1 .1 .2 .2 .3 .1\n")
    (tmp_path / "names.txt").write_text("fox\n")
    command = ["yolo", tmp_path / "labels", "--images", tmp_path / "images", "--names",
               tmp_path / "names.txt", "--out", tmp_path / "out"]
    assert "b/1.txt: its photo is not in" in error_line(import_labels(*command))
    assert "unpaired    " in imported(*command, "--skip-missing")
    write_photos(tmp_path / "images", "1.png")  # now one label fits two photos
    assert "rename" in error_line(import_labels(*command, "--overwrite",
                                             "--skip-missing"))


@pytest.mark.parametrize(("images", "labels"), [
    ("train/images/a.jpg", "train/labels/a.txt"), ("images/train/a.jpg", "labels/train/a.txt"),
    ("train/images/s1/a.jpg", "train/labels/s1/a.txt"),
    ("Images/train/a.jpg", "Labels/train/A.TXT"),
])
def test_the_trees_of_ultralytics_as_one_folder(images, labels, tmp_path):
    write_photos(tmp_path / "ds", images, images.replace("train", "valid"))
    for name in (labels, labels.replace("train", "valid")):
        (tmp_path / "ds" / name).parent.mkdir(parents=True)
        (tmp_path / "ds" / name).write_text(f"0 {RECTANGLE}\n")
    (tmp_path / "ds/data.yaml").write_text("names: [fox]")
    stdout = imported("yolo", tmp_path / "ds", "--images", tmp_path / "ds", "--names",
                      tmp_path / "ds/data.yaml", "--out", tmp_path / "out")
    masks, _ = masks_of(tmp_path / "out")
    assert [(mask == 1).sum() for mask in masks.values()] == [32 * 24] * 2
    assert "(1 train, 1 val)" in stdout or "photos are copies" in stdout


PAIRS = {  # a photo, its label: whether that is told
    "IMG_1.JPG": ("img_1.txt", True), "SiteA/x.jpg": ("sitea/x.txt", True),
    "\xc4/\xe4.jpg": ("A\u0308/a\u0308.txt", True), "siteA/a.jpg": ("a.txt", True),
    "site A/DCIM/a.jpg": ("DCIM/a.txt", True), "b.jpg": ("b.TXT", False)}


@pytest.mark.parametrize(("photo", "label", "told"), [(photo, *pair) for photo, pair in
                                                      PAIRS.items()])
def test_a_label_in_another_spelling_or_folder_is_its_photos(photo, label, told, tmp_path):
    write_photos(tmp_path / "images", photo, "other.jpg")
    path = tmp_path / "labels" / label
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"0 {RECTANGLE}\n")
    source = Source(tmp_path / "labels", tmp_path / "images")
    pairs, alone = pair_labels(source, ".txt")
    assert dict(pairs) == {photo: path, "other.jpg": None} and not alone and not source.faults
    assert bool(source.told) == told and all(str(path) in line for line in source.told)


@pytest.mark.parametrize(("photos", "labels"), [
    (["IMG_1.JPG"], ["img_1.txt", "Img_1.txt"]), (["a.jpg"], ["a.txt", "a.jpg.txt"]),
    (["siteA/a.jpg", "siteB/a.jpg"], ["a.txt"])])
def test_two_labels_or_photos_that_fit_are_a_fault(photos, labels, tmp_path):
    write_photos(tmp_path / "images", *photos)
    (tmp_path / "labels").mkdir()
    for label in labels:
        (tmp_path / "labels" / label).write_text(f"0 {RECTANGLE}\n")
    source = Source(tmp_path / "labels", tmp_path / "images")
    pair_labels(source, ".txt")
    assert len(source.faults) == 1 and "rename one of them" in source.faults[0]


def test_spellings_that_differ_keep_their_own_labels(tmp_path):
    write_photos(tmp_path / "images", "A.jpg", "a.jpg")
    (tmp_path / "labels").mkdir()
    for name in "aA":
        (tmp_path / f"labels/{name}.txt").write_text("")
    source = Source(tmp_path / "labels", tmp_path / "images")
    assert dict(pair_labels(source, ".txt")[0]) == {
        f"{name}.jpg": tmp_path / f"labels/{name}.txt" for name in "aA"}
    assert not source.faults and not source.told


def test_where_the_photo_of_a_label_lies_instead_is_told(tmp_path):
    command = [*write_labels(tmp_path, a=f"0 {RECTANGLE}\n"), "--unannotated", "empty"]
    write_photos(tmp_path / "images", "siteB/b.jpg")
    (tmp_path / "labels/siteA").mkdir()
    (tmp_path / "labels/siteA/b.txt").write_text("")
    line = error_line(import_labels(*command))
    assert "siteA/b.txt: its photo is not in" in line and "siteB/b.jpg is there" in line
    (tmp_path / "labels/siteA/b.txt").rename(tmp_path / "labels/c.txt")
    (tmp_path / "images/c.heic").write_bytes(b"")
    assert "c.heic is there" in error_line(import_labels(*command))


def test_masks_beside_photos_are_no_photos_of_yolo(tmp_path):
    command = write_labels(tmp_path, a=f"0 {RECTANGLE}\n", b="", b_seg="")
    write_photos(tmp_path / "images", "a_mask.png", "b-mask.png")
    stdout = imported(*command, "--unannotated", "empty")
    assert sorted(masks_of(tmp_path / "out")[0]) == [
        f"images/{name}.jpg" for name in ("a", "b", "b_seg")]  # which has a label of its own
    assert "2 pictures are left, masks beside photos" in stdout and "a_mask.png" in stdout
    assert "no label names this photo" not in stdout
