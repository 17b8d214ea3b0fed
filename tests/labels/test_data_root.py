"""What the imports of all tools share, by small COCO files."""

import pytest
from conftest import error_line
from label_files import SQUARE, import_labels, write_coco, write_photos
from PIL import Image

from camera_trapinator.data.manifest import read_manifest
from camera_trapinator.data.masks import read_mask

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
