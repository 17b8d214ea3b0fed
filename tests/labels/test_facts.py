"""import_labels.py --facts: location, sequence and time from the files of other tools."""

import json
import unicodedata

import pytest
from conftest import error_line
from label_files import SQUARE, import_labels, imported, write_coco, write_photos
from PIL import Image

from camera_trapinator.data.manifest import read_manifest
from camera_trapinator.labels.facts import take_over
from camera_trapinator.labels.shapes import LabelledPhoto, Labels
from camera_trapinator.labels.source import Source

PHOTOS = ["a/IMG_0001.JPG", "b/IMG_0001.JPG", "b/IMG_0002.JPG"]


def card(folder, *photos, exif=None):
    write_photos(folder / "card", *photos, exif=exif)
    return write_coco(folder / "labels.json", list(photos), [
        {"image_id": place, "segmentation": SQUARE} for place in range(len(photos))])


def rows(folder, *photos, facts, exif=None):
    """{photo: (location, sequence, datetime)} and what is printed."""
    labels = card(folder, *photos, exif=exif)
    stdout = imported("coco", labels, "--images", folder / "card", "--out", folder / "out",
                      "--facts", facts)
    return {row.image.removeprefix("photos/card/"): (row.location, row.sequence, row.datetime)
            for row in read_manifest(folder / "out/manifest.csv")}, stdout


def taken(folder, *photos, facts):
    """The labels after the facts are taken over, without the script."""
    write_photos(folder / "card", *photos)
    labels = Labels([LabelledPhoto(folder / "card" / file, f"photos/{file}", 64, 48, "label")
                     for file in photos])
    take_over(facts, labels, [Source(facts, folder / "card", "photos")])
    return labels


def write(folder, name, *lines):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def test_timelapse(tmp_path):
    exif = Image.Exif()
    exif[306] = "2020:01:01 00:00:00"  # a camera whose clock was set late
    facts = write(tmp_path, "TimelapseData.csv",
                  "RootFolder,File,RelativePath,DateTime,DeleteFlag,Station",
                  "x,IMG_0001.JPG,a,04-Jul-2023 05:06:07,false,North",
                  "x,IMG_0001.JPG,b,2023-07-04 5:06:08,false,South",
                  "x,img_0002.jpg,b,04.07.2023 05:06,false,South",
                  "x,IMG_0003.JPG,b,2023-07-04 05:06:09,false,South")
    found, stdout = rows(tmp_path, *PHOTOS, facts=facts, exif=exif)
    assert found["a/IMG_0001.JPG"][::2] == ("North", "2023-07-04 05:06:07")
    assert found["b/IMG_0001.JPG"][::2] == ("South", "2023-07-04 05:06:08")
    assert found["b/IMG_0002.JPG"][::2] == ("South", "2020-01-01 00:00:00")
    assert "column 'Station'" in stdout and "of 2 photos the time differs" in stdout
    assert "of 3 photos, location of 3, sequence of 0, datetime of 2" in stdout
    assert "0 photos are not in it, and 1 of its entries are of no labelled photo" in stdout
    assert "'04.07.2023 05:06' is no time" in stdout


def test_camtrap_dp(tmp_path):
    write(tmp_path, "dp/deployments.csv", "deploymentID,locationID,locationName,latitude",
          "d1,l1,Hill,1", "d2,l2,,1")
    facts = write(tmp_path, "dp/media.csv", "mediaID,deploymentID,timestamp,filePath,fileName",
                  "1,d1,2023-07-04T05:06:07+02:00,https://x.org/assets/77/file,IMG_0001.JPG",
                  "2,d2,2023-07-04T05:06:08Z,media/d2/IMG_0001.JPG,IMG_0001.JPG",
                  "3,d2,2023-07-04T05:06:09Z,https://x.org/assets/78/file,IMG_0009.JPG")
    found, stdout = rows(tmp_path, "d1/IMG_0001.JPG", "d2/IMG_0001.JPG", "other/IMG_0009.JPG",
                         facts=facts)
    assert found["d1/IMG_0001.JPG"][::2] == ("Hill", "2023-07-04 05:06:07")
    assert found["d2/IMG_0001.JPG"][::2] == ("l2", "2023-07-04 05:06:08")
    assert found["other/IMG_0009.JPG"][0] == "l2"
    assert "1 photos were found by their file name alone, such as photos/card/other" in stdout


def test_wildlife_insights(tmp_path):
    write(tmp_path, "deployments.csv", "project_id,deployment_id,placename", "1,DEP1,ridge",
          "1,DEP2,creek")
    facts = write(tmp_path, "images.csv",
                  "project_id,deployment_id,image_id,filename,location,timestamp,genus",
                  "1,DEP1,i1,IMG_0001.JPG,gs://b/0f3a.JPG,2023-07-04 05:06:07,Vulpes",
                  "1,DEP1,i1,IMG_0001.JPG,gs://b/0f3a.JPG,2023-07-04 05:06:07,Lepus",
                  "1,DEP2,i2,IMG_0001.JPG,gs://b/77aa.JPG,2023-07-04 05:06:08,Lepus")
    found, _ = rows(tmp_path, "creek/IMG_0001.JPG", "x/0f3a.JPG", facts=facts)
    assert found["creek/IMG_0001.JPG"][::2] == ("creek", "2023-07-04 05:06:08")
    assert found["x/0f3a.JPG"][::2] == ("ridge", "2023-07-04 05:06:07")


@pytest.mark.parametrize("key", ["file_name", "file"])
def test_coco_camera_traps_and_megadetector(key, tmp_path):
    facts = write(tmp_path, "traps.json", json.dumps({"images": [
        {key: "D:\\traps\\a\\IMG_0001.JPG", "location": 0, "seq_id": "s1",
         "datetime": "2023-07-04 05:06:07"}, {key: "b/IMG_0001.JPG"}]}))
    found, stdout = rows(tmp_path, *PHOTOS, facts=facts)
    assert found["a/IMG_0001.JPG"] == ("0", "s1", "2023-07-04 05:06:07")
    assert found["b/IMG_0001.JPG"] == ("card/b", "", "")
    assert "location of 1" in stdout and "1 photos are not in it" in stdout


def test_a_path_that_begins_below_the_folder_of_the_photos_is_found(tmp_path):
    facts = write(tmp_path, "traps.json", json.dumps({"images": [
        {"file_name": "zürich/1.jpg", "location": "z"}]}))
    photo = unicodedata.normalize("NFD", "site/Zürich/1.jpg")
    assert taken(tmp_path, photo, facts=facts).photos[0].location == "z"


def test_a_row_that_tells_the_folder_goes_before_one_with_the_name_alone(tmp_path):
    content = [{"file": "a/1.jpg", "location": "right"}, {"file": "1.jpg", "location": "wrong"}]
    for order in (content, content[::-1]):
        facts = write(tmp_path, "traps.json", json.dumps({"images": order}))
        labels = taken(tmp_path, "a/1.jpg", facts=facts)
        assert labels.photos[0].location == "right" and not labels.faults


def test_all_conflicts_are_faults_told_at_once(tmp_path):
    facts = write(tmp_path, "traps.json", json.dumps({"images": [
        {"file": "a/1.jpg", "location": "x"}, {"file": "a/1.jpg", "location": "y"},
        {"file": "2.jpg", "location": "x"}, {"file": "../3.jpg"},
        {"file": "b/3.jpg", "location": "north", "datetime": "2023-07-04 05:06:07"}]}))
    write_photos(tmp_path / "card", "a/1.jpg", "a/2.jpg", "b/2.jpg", "b/3.jpg")
    labels = Labels([LabelledPhoto(tmp_path / "card" / file, f"photos/{file}", 64, 48, "label")
                     for file in ("a/1.jpg", "b/2.jpg", "b/3.jpg")])
    labels.photos[2].location = "south"
    labels.photos[2].datetime = "2023-07-04 05:06:07"
    take_over(facts, labels, [Source(facts, tmp_path / "card", "photos")])
    text = "\n".join(labels.faults)
    assert len(labels.faults) == 4
    assert all(part in text for part in (
        "image 2: ", "says something else of photos/a/1.jpg",
        "is '2.jpg' photos/a/2.jpg or photos/b/2.jpg?", "'../3.jpg' is no path inside",
        "location of photos/b/3.jpg is 'north', but 'south' in label"))


@pytest.mark.parametrize(("name", "lines", "part"), [
    ("facts.csv", ["a,b", "1,2"], "Wildlife Insights"),
    ("media.csv", ["deploymentID,filePath,timestamp", "d1,1.jpg,x"], "deployments.csv: no such"),
    ("facts.json", ['{"images": [{"id": 3}]}'], "neither file_name nor file"),
    ("facts.json", ['{"images": [{"file": "1.jpg", "location": []}]}'], "image 1: [] is neither"),
    ("facts.json", ['{"images": [{"file": "gone.jpg"}]}'], "none of its 1 entries"),
    ("facts.json", ["{"], "no valid JSON"), ("facts.json", ["[]"], "'images'")])
def test_files_that_say_nothing_are_refused(name, lines, part, tmp_path):
    labels = card(tmp_path, "1.jpg")
    line = error_line(import_labels(
        "coco", labels, "--images", tmp_path / "card", "--out", tmp_path / "out", "--facts",
        write(tmp_path, name, *lines)))
    assert part in line and not (tmp_path / "out").exists()


def test_deployments_in_two_places_or_none_are_faults(tmp_path):
    facts = write(tmp_path, "media.csv", "deploymentID,filePath,timestamp", "d3,1.jpg,",
                  "d4,1.jpg,", "d1,1.jpg,")
    write(tmp_path, "deployments.csv", "deploymentID,locationID", "d1,x", "d1,y")
    labels = taken(tmp_path, "1.jpg", facts=facts)
    assert len(labels.faults) == 3
    assert all(part in fault for part, fault in zip((
        "line 3: deploymentID 'd1' stands there twice", "'d3' is not in deployments.csv",
        "'d4' is not in deployments.csv"), labels.faults, strict=True))
