"""What all importers share: files and folders that are not what is meant; places of photos."""

import json

import pytest
from conftest import error_line
from label_files import import_labels, imported, write_coco, write_photos

from camera_trapinator import InputError
from camera_trapinator.data.manifest import read_manifest
from camera_trapinator.labels.exports import check_folder, places_of, read_json, read_text
from camera_trapinator.labels.pairing import left_over
from camera_trapinator.labels.shapes import LabelledPhoto, Labels


@pytest.mark.parametrize(("given", "parts"), [
    ("", ["a folder; give one of the .json files in it: a.json, b.json"]),
    ("empty", ["a folder", "there is none in it"]), ("a.zip", ["unzip it first"]),
    ("latin.json", ["save it as UTF-8"]), ("no_mark.json", ["save it as UTF-8"]),
    ("A.jsn", ["does not exist", "a.json"]), ("nowhere/a.json", ["does not exist", "empty"])])
def test_a_file_that_cannot_be_meant(given, parts, tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("b.json", "a.json", "notes.md", "a.zip"):
        (tmp_path / name).write_bytes(b"")
    if given.startswith(("latin", "no_mark")):
        (tmp_path / given).write_bytes('{"\xe4": 1}'.encode(
            "latin-1" if given == "latin.json" else "utf-16-le"))
    with pytest.raises(InputError) as error:
        read_json(tmp_path / given)
    assert all(part in str(error.value) for part in (str(tmp_path), *parts))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8", "utf-8-sig"])
def test_text_with_its_mark_is_read(encoding, tmp_path):
    (tmp_path / "a.json").write_bytes('{"\xe4": 1}'.encode(encoding))
    assert read_json(tmp_path / "a.json") == {"\xe4": 1}
    assert read_text(tmp_path / "a.json") == '{"\xe4": 1}'


@pytest.mark.parametrize(("given", "part"), [
    ("photos/a.json", "a file, not the folder of labels; give its folder {}/photos"),
    ("photos.zip", "unzip it first, and give the folder"), ("Photo", "no such folder of labels; in "
                                                            "{} there is photos")])
def test_a_folder_that_cannot_be_meant(given, part, tmp_path):
    (tmp_path / "photos").mkdir()
    for name in ("photos/a.json", "photos.zip"):
        (tmp_path / name).write_text("")
    with pytest.raises(InputError) as error:
        check_folder(tmp_path / given, "labels")
    assert part.format(tmp_path) in str(error.value)
    line = error_line(import_labels("labelme", tmp_path / given, "--out", tmp_path / "out"))
    assert part.split(";")[-1].format(tmp_path).replace("labels", "photos") in line


def test_folders_of_one_name_keep_the_folders_that_tell_them_apart(tmp_path):
    folders = [tmp_path / name for name in ("ds/train/images", "ds/valid/images", "x/valid/Images",
                                            "siteA", "out/photos/siteB", "siteB", "siteA/../siteA")]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    places = places_of(folders, tmp_path / "out")
    assert [places[folder.resolve()] for folder in folders] == [
        "photos/ds/train/images", "photos/ds/valid/images", "photos/x/valid/Images",
        "photos/siteA", "photos/siteB", "photos/siteB_", "photos/siteA"]


def test_three_folders_called_images_give_their_splits_and_sites(tmp_path):
    paths = []
    for split, site in (("train", "siteA"), ("valid", "siteB"), ("test", "siteC")):
        write_photos(tmp_path / f"ds/{split}/images", f"{site}/1.jpg", size=(64, 48 + len(paths)))
        paths.append(write_coco(tmp_path / f"{split}.json", [f"{site}/1.jpg"], [{
            "image_id": 0, "segmentation": [[10, 10, 20, 10, 20, 20]]}]))
        content = json.loads(paths[-1].read_text())
        content["images"][0]["height"] = 47 + len(paths)
        paths[-1].write_text(json.dumps(content))
    imported("coco", *paths, "--images", *(tmp_path / f"ds/{path.stem}/images" for path in paths),
             "--split", "folders", "--out", tmp_path / "out")
    rows = read_manifest(tmp_path / "out/manifest.csv")
    assert [(row.image, row.split) for row in sorted(rows)] == [
        ("photos/test/images/siteC/1.jpg", "test"), ("photos/train/images/siteA/1.jpg", "train"),
        ("photos/valid/images/siteB/1.jpg", "val")]
    assert len({row.location for row in rows}) == 3


def test_what_is_left_over_is_told_once(tmp_path):
    write_photos(tmp_path, "a.jpg", "a_mask.png", "b-seg.png", "b.jpg", "c.jpg", "d.jpg", "e.jpg")
    labels = Labels([LabelledPhoto(tmp_path / "a.jpg", "a.jpg", 64, 48, "")])
    lines, others = left_over([tmp_path], labels, tmp_path / "out")
    assert [line.split(": ")[0][-5:] for line in lines] == ["b.jpg", "c.jpg", "d.jpg", "e.jpg"]
    assert others == [f"2 masks beside photos, by their names (such as {tmp_path / 'a_mask.png'})"]
    labels.left_out = [tmp_path / name for name in ("c.jpg", "a_mask.png", "b-seg.png")]
    lines, others = left_over([tmp_path], labels, tmp_path / "out")
    assert [line.split(": ")[0][-5:] for line in lines] == ["b.jpg", "d.jpg", "e.jpg"]
    assert not others
