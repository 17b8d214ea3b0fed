"""splits.csv: written and read again, in any spelling, and refused where it could be another."""

import pytest

from camera_trapinator import InputError
from camera_trapinator.data.checksums import Checksums
from camera_trapinator.data.manifest import Manifest, Row
from camera_trapinator.data.split_table import read_splits, write_splits


def test_splits_round_trip(tmp_path):
    manifest = Manifest([Row("a,b/1.jpg", "", "s\u00fcd"), Row("c/2.jpg"), Row("c/3.jpg"),
                         Row("\u718a/4.jpg", sequence="x#1")])
    splits = ["train", "", "test_seen", "val"]
    write_splits(tmp_path / "splits.csv", manifest, splits, ["x"] * len(splits),
                 Checksums(*2 * [["y"] * len(splits)]))
    assert read_splits(tmp_path / "splits.csv", manifest) == splits
    assert [file.name for file in tmp_path.iterdir()] == ["splits.csv"]
    longer = Manifest([Row("new.jpg"), *reversed(list(manifest))])
    assert read_splits(tmp_path / "splits.csv", longer) == ["", *reversed(splits)]


@pytest.mark.parametrize("content", [None, "file,name\na.jpg,train\n"])
def test_unusable_splits_are_refused(tmp_path, content):
    if content:
        (tmp_path / "splits.csv").write_text(content)
    with pytest.raises(InputError, match=r"splits.csv: no (such file|column 'image')"):
        read_splits(tmp_path / "splits.csv", Manifest([Row("a.jpg")]))


def test_all_wrong_words_are_told_at_once(tmp_path):
    (tmp_path / "splits.csv").write_text(
        "image,split\na.jpg,Train\nb.jpg,valid\nc.jpg,Train\nd.jpg,validation\ne.jpg,test\n")
    with pytest.raises(InputError, match=r"'Train' \(line 2\), 'valid' \(line 3\), 'validation' "
                                         r"\(line 5\) are none of train, val, test, test_seen"):
        read_splits(tmp_path / "splits.csv", Manifest([Row("a.jpg")]))
    (tmp_path / "splits.csv").write_text("a.jpg,train\n")
    with pytest.raises(InputError, match="the first line must name the columns: image,split"):
        read_splits(tmp_path / "splits.csv", Manifest([Row("a.jpg")]))


@pytest.mark.parametrize("written", ["a\\b.jpg", "A/B.JPG", "./a/b.jpg", "/data/x/a/b.jpg",
                                     "C:\\data\\a\\b.jpg", "//nas/data/a/b.jpg"])
def test_splits_whose_photos_are_spelled_otherwise(written, tmp_path):
    manifest = Manifest([Row("b.jpg"), Row("a/b.jpg"), Row("b/b.jpg")])
    (tmp_path / "splits.csv").write_text(f"image,split\n{written},val\ngone.jpg,train\n")
    assert read_splits(tmp_path / "splits.csv", manifest) == ["", "val", ""]


@pytest.mark.parametrize(("lines", "part"), [
    ("A/B.jpg,val", r"line 2: A/B\.jpg may be a/b\.jpg or a/B\.jpg"),
    ("/data/c.jpg,val\n/data/x/c.jpg,val", r"line 3: /data/x/c\.jpg may be c\.jpg, but its folder"),
    ("c.jpg,val\nC.jpg,train", r"line 3: c\.jpg stands there twice, as 'train' and as 'val'"),
    ("x/c.jpg,val", r"such as x/c\.jpg of line 2; write their paths as there, such as a/b\.jpg"),
    ("C.jpg,val\nC.jpg,train", "line 3: c.jpg stands there twice")])
def test_photos_of_splits_that_may_be_others_are_refused(lines, part, tmp_path):
    (tmp_path / "splits.csv").write_text(f"image,split\n{lines}\n")
    with pytest.raises(InputError, match=part):
        read_splits(tmp_path / "splits.csv",
                    Manifest([Row("a/b.jpg"), Row("a/B.jpg"), Row("c.jpg")]))
