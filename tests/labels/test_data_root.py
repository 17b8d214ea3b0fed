"""What the imports of all tools share, by small COCO files."""

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

from camera_trapinator import IGNORE, InputError
from camera_trapinator.data.manifest import read_manifest
from camera_trapinator.data.masks import read_mask
from camera_trapinator.labels.data_root import refuse
from camera_trapinator.labels.shapes import LabelledPhoto, Shape, draw_mask

GOOD = {"image_id": 0, "segmentation": SQUARE}


def test_copies_in_two_splits_stay_in_the_test_split(tmp_path):
    write_photos(tmp_path / "train", "same.jpg", "other.jpg")
    write_photos(tmp_path / "valid", "copy.jpg")
    files = [write_coco(tmp_path / f"{name}.json", images, [
        {"image_id": place, "segmentation": SQUARE} for place in range(len(images))])
        for name, images in (("train", ["same.jpg", "other.jpg"]), ("valid", ["copy.jpg"]))]
    result = import_labels("coco", *files, "--images", tmp_path / "train", tmp_path / "valid",
                           "--split", "train", "test", "--out", tmp_path / "out")
    assert "dropped     photos/train/same.jpg" in result.stdout
    rows = {row.image: row.split for row in read_manifest(tmp_path / "out/manifest.csv")}
    assert rows == {"photos/train/other.jpg": "train", "photos/valid/copy.jpg": "test"}


def test_photos_inside_the_data_root_stay_where_they_are(tmp_path):
    write_photos(tmp_path / "site" / "pictures", "1.jpg")
    labels = write_coco(tmp_path / "labels.json", ["1.jpg"],
                        [{"image_id": 0, "segmentation": SQUARE}])
    import_labels("coco", labels, "--images", tmp_path / "site/pictures", "--out",
                  tmp_path / "site")
    assert [row.image for row in read_manifest(tmp_path / "site/manifest.csv")] == [
        "pictures/1.jpg"]
    assert not (tmp_path / "site/photos").exists()


def test_large_masks_can_be_stored_small_and_a_dry_run_writes_nothing(tmp_path):
    write_photos(tmp_path / "card", "1.jpg")
    labels = write_coco(tmp_path / "labels.json", ["1.jpg"],
                        [{"image_id": 0, "segmentation": SQUARE}])
    command = [labels, "--images", tmp_path / "card", "--out", tmp_path / "out",
               "--mask-long-side", 32]
    assert "would write" in import_labels("coco", *command, "--dry-run").stdout
    assert not (tmp_path / "out").exists()
    import_labels("coco", *command)
    assert read_mask(tmp_path / "out/masks/card/1.jpg.png").shape == (24, 32)


def test_an_earlier_import_is_not_overwritten_by_accident(tmp_path):
    write_photos(tmp_path / "card", "1.jpg")
    labels = write_coco(tmp_path / "labels.json", ["1.jpg"], [GOOD])
    command = [labels, "--images", tmp_path / "card", "--out", tmp_path / "out"]
    assert import_labels("coco", *command).returncode == 0
    assert "--overwrite" in error_line(import_labels("coco", *command))
    assert import_labels("coco", *command, "--overwrite").returncode == 0


@pytest.mark.parametrize("size", [(48, 64), (64, 48)], ids=["drawn upright", "drawn as stored"])
def test_masks_are_stored_upright(tmp_path, size):
    exif = Image.Exif()
    exif[0x0112] = 6  # stored 64 x 48, shown 48 x 64
    write_photos(tmp_path / "card", "1.jpg", exif=exif)
    labels = write_coco(tmp_path / "labels.json", [
        {"id": 0, "file_name": "1.jpg", "width": size[0], "height": size[1]}],
        [{"image_id": 0, "segmentation": [[0, 0, 10, 0, 10, 5, 0, 5]]}])
    assert import_labels("coco", labels, "--images", tmp_path / "card", "--out",
                         tmp_path / "out").returncode == 0
    mask = read_mask(tmp_path / "out/masks/card/1.jpg.png")
    assert mask.shape == (64, 48)
    if size == (48, 64):
        assert mask[:5, :10].all() and mask.sum() == 50
    else:  # the stored photo's upper left corner is the upright one's upper right
        assert mask[:10, -5:].all() and mask.sum() == 50


def test_photos_that_no_label_names_are_listed(tmp_path):
    write_photos(tmp_path / "card", "1.jpg", "b/2.jpg", "b/3.JPG")
    labels = write_coco(tmp_path / "labels.json", ["1.jpg", "gone.jpg"], [GOOD])
    result = import_labels("coco", labels, "--images", tmp_path / "card", "--out",
                           tmp_path / "out", "--skip-missing")
    unpaired = (tmp_path / "out/unpaired.txt").read_text().splitlines()
    assert [line.split(": ")[-1] for line in unpaired] == [
        "its photo gone.jpg is missing", *["no label names this photo"] * 2]
    assert all(f"unpaired    {line}" in result.stdout for line in unpaired)


def test_another_photo_is_never_overwritten(tmp_path):
    write_photos(tmp_path / "card", "1.jpg")
    write_photos(tmp_path / "out/photos/card", "1.jpg", size=(32, 24))
    before = (tmp_path / "out/photos/card/1.jpg").read_bytes()
    labels = write_coco(tmp_path / "labels.json", ["1.jpg"], [GOOD])
    line = error_line(import_labels("coco", labels, "--images", tmp_path / "card", "--out",
                                    tmp_path / "out"))
    assert "is another photo than" in line
    assert (tmp_path / "out/photos/card/1.jpg").read_bytes() == before
    assert not (tmp_path / "out/manifest.csv").exists()


def test_one_photo_with_two_labels_is_refused(tmp_path):
    write_photos(tmp_path / "card", "1.jpg")
    files = [write_coco(tmp_path / name, ["1.jpg"], [GOOD]) for name in ("a.json", "b.json")]
    line = error_line(import_labels("coco", *files, "--images", tmp_path / "card", "--out",
                                    tmp_path / "out"))
    assert "a.json" in line and "b.json" in line and "labels already" in line


# ------------------------------------------------------------------------- shapes without a pixel

SHARES = [[0.16, 0.12, 0.98, 0.12, 0.98, 0.86, 0.16, 0.86]]  # of which (0.5, 0.5) is inside
WITHOUT = {
    "shares": (SHARES, "its coordinates are shares of the photo, 0 .. 1"),
    "a line": ([[10, 10, 20, 20, 30, 30]], "it has no area"),
    "twice the same": ([[10, 10, 10, 10, 10, 10]], "it has no area"),
    "between the centres": ([[10.6, 10.6, 11.4, 10.6, 11.4, 11.4, 10.6, 11.4]], "it has no area"),
    "right of the photo": ([[70, 10, 80, 10, 80, 20]], "it lies outside the photo"),
    "above the photo": ([[10, -30, 20, -30, 20, -10]], "it lies outside the photo"),
    "no runs": ({"size": [48, 64], "counts": [48 * 64]}, "it is empty"),
}


@pytest.mark.parametrize("name", WITHOUT)
def test_a_shape_without_pixel_is_told_and_its_photo_never_background(name, tmp_path):
    segmentation, why = WITHOUT[name]
    write_photos(tmp_path / "card", "1.jpg", "2.jpg", "3.jpg")
    labels = write_coco(tmp_path / "labels.json", ["1.jpg", "2.jpg", "3.jpg"], [
        {"image_id": 0, "segmentation": SQUARE}, {"image_id": 0, "segmentation": segmentation},
        {"image_id": 1, "segmentation": segmentation}])
    command = ["coco", labels, "--images", tmp_path / "card", "--out", tmp_path / "out",
               "--unannotated", "empty"]
    stdout = imported(*command)
    masks, _ = masks_of(tmp_path / "out")
    assert masks["card/1.jpg"].sum() == 100 and masks["card/1.jpg"][0, 0] == 0
    assert masks["card/2.jpg"] == "" and masks["card/3.jpg"] == "background"
    assert not (tmp_path / "out/masks/card/2.jpg.png").exists()
    for number, photo in ((1, 1), (2, 2)):
        assert (f"labels.json, annotation {number}: the red fox covers no pixel of {photo}.jpg "
                f"({why}" in stdout)
    write_coco(labels, ["1.jpg", "2.jpg"], [
        {"image_id": 0, "segmentation": segmentation}, {"image_id": 1, "bbox": [1, 1, 20, 20]}])
    line = error_line(import_labels(*command, "--overwrite"))
    assert "annotation 0: the red fox covers no pixel" in line and why in line


@pytest.mark.parametrize(("box", "why"), [
    ([0.1, 0.2, 0.8, 0.7], "shares of the photo"), ([10, 10, 0, 20], "no area"),
    ([100, 10, 20, 20], "outside the photo")])
def test_a_box_without_pixel_is_told_and_its_photo_never_background(box, why, tmp_path):
    write_photos(tmp_path / "card", "1.jpg", "2.jpg")
    labels = write_coco(tmp_path / "labels.json", ["1.jpg", "2.jpg"], [
        {"image_id": 0, "segmentation": SQUARE}, {"image_id": 1, "bbox": box}])
    stdout = imported("coco", labels, "--images", tmp_path / "card", "--out", tmp_path / "out")
    masks, _ = masks_of(tmp_path / "out")
    assert masks["card/1.jpg"].sum() == 100 and masks["card/2.jpg"] == ""
    assert "a box covers no pixel of 2.jpg" in stdout and why in stdout


def test_shares_are_known_by_all_points_and_not_in_a_photo_of_one_pixel(tmp_path):
    def drawn(width, height, *ring):
        photo = LabelledPhoto(tmp_path, "1.jpg", width, height, "x", [Shape("fox", [ring])])
        return draw_mask(photo, {"fox": 1}, "later")
    assert drawn(1, 1, 0, 0, 1, 0, 1, 1, 0, 1)[0].sum() == 1
    assert drawn(9, 9, 0, 0, 1, 0, 1, 1, 0, 1)[0].sum() == 0
    assert drawn(9, 9, 0, 0, 2, 0, 2, 1, 0, 1)[0].sum() == 2
    assert drawn(9, 9, -9, -9, 1, -9, 1, 1, -9, 1)[0].sum() == 1  # cut at the corner


# ------------------------------------------------------------------- what is told, and refused


def test_boxes_without_outline_are_counted(tmp_path):
    write_photos(tmp_path / "card", "1.jpg", "2.jpg", "3.jpg")
    labels = write_coco(tmp_path / "labels.json", ["1.jpg", "2.jpg", "3.jpg"], [
        {"image_id": 0, "segmentation": SQUARE}, {"image_id": 1, "bbox": [5, 5, 10, 10]},
        {"image_id": 1, "bbox": [9, 9, 10, 10]}, {"image_id": 2, "bbox": [0, 0, 64, 48]}])
    stdout = imported("coco", labels, "--images", tmp_path / "card", "--out", tmp_path / "out")
    assert ("3 boxes without outline, on 2 photos such as photos/card/2.jpg: what is in them is "
            "ignored (255)" in stdout)
    masks, _ = masks_of(tmp_path / "out")
    expected = np.zeros((48, 64), int)
    expected[5:15, 5:15] = expected[9:19, 9:19] = IGNORE
    assert np.array_equal(masks["card/2.jpg"], expected)
    assert (masks["card/3.jpg"] == IGNORE).all()


@pytest.mark.parametrize(("first", "second"), [
    ("Person", "person"), ("red fox", "red  fox"), ("red fox", "Red_Fox"), ("Fuchs", "FUCHS"),
    ("Füchse", "FÜCHSE"), ("Background", None)])
def test_two_classes_that_differ_by_case_or_blanks_alone_are_asked_about(first, second, tmp_path):
    write_photos(tmp_path / "card", "1.jpg")
    labels = write_coco(tmp_path / "labels.json", ["1.jpg"], [
        {"image_id": 0, "segmentation": SQUARE, "category_id": 1},
        {"image_id": 0, "segmentation": SQUARE, "category_id": 2}],
        categories=[(1, first), (2, second or "fox")])
    line = error_line(import_labels("coco", labels, "--images", tmp_path / "card", "--out",
                                    tmp_path / "out"))
    assert repr(first) in line and repr(second or "background") in line
    assert "--alike join" in line and not (tmp_path / "out").exists()


@pytest.mark.parametrize(("answer", "names", "values"), [
    ("join", ["background", "Fox", "deer"], [1, 2, 1]),
    ("keep", ["background", "Fox", "deer", "fox"], [1, 2, 3])])
def test_classes_that_are_spelled_alike_are_joined_or_kept(answer, names, values, tmp_path):
    write_photos(tmp_path / "card", "1.jpg", "2.jpg", "3.jpg")
    write_coco(tmp_path / "a.json", ["1.jpg", "2.jpg", "3.jpg"], [
        {"image_id": place, "category_id": 3 + place, "segmentation": SQUARE}
        for place in range(3)],
        categories=[(3, "Fox"), (4, "deer"), (5, "fox")])
    said = imported("coco", tmp_path / "a.json", "--images", tmp_path / "card", "--out",
                    tmp_path / "out", "--alike", answer)
    masks, found = masks_of(tmp_path / "out")
    assert found == names
    assert [int(masks[f"card/{number}.jpg"].max()) for number in (1, 2, 3)] == values
    assert ("class 'fox' is 'Fox'" in said) == (answer == "join")


def test_classes_that_differ_by_more_are_two(tmp_path):
    write_photos(tmp_path / "card", "1.jpg")
    labels = write_coco(tmp_path / "labels.json", ["1.jpg"], [
        {"image_id": 0, "segmentation": SQUARE, "category_id": key} for key in (1, 2, 3)],
        categories=[(1, "fox"), (2, "foxes"), (3, "red-fox")])
    imported("coco", labels, "--images", tmp_path / "card", "--out", tmp_path / "out")
    assert masks_of(tmp_path / "out")[1] == ["background", "fox", "foxes", "red-fox"]


def test_videos_and_other_files_that_are_passed_over_are_told(tmp_path):
    card = tmp_path / "card"
    write_photos(card, "1.jpg", "@eaDir/1.jpg", ".Trash-1000/files/2.jpg", "elsewhere/3.jpg")
    for name in ("a.MP4", "b.avi", "c.heic", "Thumbs.db", "notes.txt"):
        (card / name).write_bytes(b"x")
    (card / "more").symlink_to(card / "elsewhere")
    (card / "elsewhere/3.jpg").unlink()
    labels = write_coco(tmp_path / "labels.json", ["1.jpg"], [GOOD])
    stdout = imported("coco", labels, "--images", card, "--out", tmp_path / "out")
    told = sorted(line.removeprefix("passed over ") for line in stdout.splitlines()
                  if line.startswith("passed over "))
    assert [line.split(" (such")[0] for line in told] == [
        "1 links to folders: give what they lead to by itself",
        "1 pictures of another kind: convert them to JPEG",
        "2 folders of the system (trash, thumbnails)", "2 videos: cut frames out of them"]
    assert str(card / "c.heic") in told[1]
    assert "no label names this photo" not in stdout  # those of the system are none


def test_all_faults_are_printed_by_kind_and_one_alone_is_the_line(capsys):
    with pytest.raises(InputError, match="^a.json, image 3: width 'x' is no number of pixels$"):
        refuse(["a.json, image 3: width 'x' is no number of pixels"])
    assert capsys.readouterr().out == ""
    refuse([])
    widths = [f"a.json, image {n}: width '{n}' is no number of pixels" for n in range(5)]
    names = ["a.json, image 7: it has no name", "b.json, image 9: it has no name"]
    with pytest.raises(InputError, match="^7 faults, of 2 kinds: see above; nothing was written$"):
        refuse([*widths[:2], *names, *widths[2:]])
    assert capsys.readouterr().out.splitlines() == [
        f"fault       {line}" for line in [*widths[:3], "and 2 more like this", *names]]


def test_questions_of_the_whole_import_are_told_with_the_faults_of_its_labels(tmp_path):
    write_photos(tmp_path / "card", "train/2024-05-01/1.jpg", "val/2024-06-01/2.jpg",
                 "val/2024-05-01/3.jpg", "val/2024-05-01/4.jpg")
    labels = write_coco(tmp_path / "labels.json", [
        "train/2024-05-01/1.jpg", "val/2024-06-01/2.jpg", "val/2024-05-01/3.jpg",
        "val/2024-05-01/4.jpg"], [
            GOOD, {**GOOD, "image_id": 1, "category_id": 4}, {**GOOD, "image_id": 2,
                                                              "segmentation": [[1, 2, 3]]}],
        categories=[(3, "Fox"), (4, "fox")])
    told = refusal(import_labels("coco", labels, "--images", tmp_path / "card", "--out",
                                 tmp_path / "out"))
    for part in ("--split folders", "--visits drop", "annotation 2", "--alike", "--unannotated"):
        assert part in told, part
    assert len(told.splitlines()) == 5 and not (tmp_path / "out").exists()


def test_folders_of_splits_are_asked_about_as_they_are_called_and_before_any_mask(tmp_path):
    write_photos(tmp_path / "card", "train/1.jpg", "valid/2.jpg")
    labels = write_coco(tmp_path / "labels.json", ["train/1.jpg", "valid/2.jpg"], [
        GOOD, {**GOOD, "image_id": 1, "segmentation": [[900, 900, 950, 900, 950, 950]]}])
    result = import_labels("coco", labels, "--images", tmp_path / "card", "--out", tmp_path / "out")
    assert "do the folders train, valid tell the splits?" in error_line(result)
    assert "masks" not in result.stdout


@pytest.mark.parametrize("place", ["file", "file/root"])
def test_a_data_root_that_cannot_be_made_is_refused_before_all_else(place, tmp_path):
    write_photos(tmp_path / "card", "1.jpg")
    (tmp_path / "file").write_text("x")
    write_coco(tmp_path / "a.json", ["1.jpg"], [GOOD])
    line = error_line(import_labels("coco", tmp_path / "a.json", "--images", tmp_path / "card",
                                    "--out", tmp_path / place))
    assert f"{tmp_path / 'file'} is a file; give a folder" in line
