"""import_labels.py coco-video: frames as photos, the video as their sequence."""

import json

import numpy as np
import pytest
from conftest import error_line
from label_files import SQUARE, import_labels, imported, masks_of, write_photos
from pycocotools import mask as coco_mask

from camera_trapinator import IGNORE
from camera_trapinator.data.manifest import read_manifest
from camera_trapinator.labels.coco_video import read_coco_video
from camera_trapinator.labels.source import Source

BLOBS = np.random.default_rng(0).random((3, 48, 64)) < 0.3


def encoded(inside, compressed=True):
    rle = coco_mask.encode(np.asfortranarray(inside.astype(np.uint8)))
    if compressed:
        return {"size": rle["size"], "counts": rle["counts"].decode()}
    runs = np.flatnonzero(np.diff(np.concatenate([[2], inside.ravel(order="F"), [2]])))
    return {"size": [48, 64],
            "counts": [0] * bool(inside[0, 0]) + np.diff(runs).tolist()}


def track(*segmentations, **more):
    return {"id": 1, "video_id": 7, "category_id": 3, "iscrowd": 0,
            "segmentations": list(segmentations), **more}


def write(folder, *annotations, **more):
    frames = [f"sa_01/0000{number}.jpg" for number in range(3)]
    write_photos(folder / "frames", *frames)
    path = folder / "videos.json"
    path.write_text(json.dumps({
        "videos": [{"id": 7, "video_name": "sa_01", "file_names": frames, "width": 64,
                    "height": 48, "length": 3, **more}],
        "categories": [{"id": 3, "name": "fox"}, {"id": 4, "name": "hare"}],
        "annotations": list(annotations)}))
    return path


def test_each_frame_gets_its_own_mask(tmp_path):
    path = write(tmp_path, track(encoded(BLOBS[0]), None, encoded(BLOBS[2], compressed=False)),
                 track(None, None, SQUARE, category_id=4, bboxes=[None, [3, 4, 10, 10], None]),
                 location=0)
    imported("coco-video", path, "--images", tmp_path / "frames", "--out", tmp_path / "out")
    masks, names = masks_of(tmp_path / "out")
    assert names == ["background", "fox", "hare"]
    assert np.array_equal(masks["frames/sa_01/00000.jpg"], BLOBS[0])
    box = np.zeros((48, 64), int)
    box[4:14, 3:13] = IGNORE
    assert np.array_equal(masks["frames/sa_01/00001.jpg"], box)
    expected = BLOBS[2].astype(int)
    expected[10:20, 10:20] = 2
    assert np.array_equal(masks["frames/sa_01/00002.jpg"], expected)
    rows = list(read_manifest(tmp_path / "out/manifest.csv"))
    assert {(row.sequence, row.location) for row in rows} == {("sa_01", "0")}


def test_frames_without_a_mask_are_not_background_unless_somebody_says_so(tmp_path):
    path = write(tmp_path, track(encoded(BLOBS[0]), None, encoded(BLOBS[0] & False)))
    line = error_line(import_labels("coco-video", path, "--images", tmp_path / "frames", "--out",
                                    tmp_path / "out"))
    assert "2 photos have no annotation" in line and "--unannotated" in line


def test_crowds_are_ignored_or_count(tmp_path):
    path = write(tmp_path, track(encoded(BLOBS[0]), None, None),
                 track(None, encoded(BLOBS[1]), None, iscrowd=1))
    labels = read_coco_video(Source(path, tmp_path / "frames"))
    assert labels.photos[1].shapes[0].name is None
    labels = read_coco_video(Source(path, tmp_path / "frames"), crowd="class")
    assert labels.photos[1].shapes[0].name == "fox"


@pytest.mark.parametrize(("wrong", "part"), [
    (track(None, None), "one for each of the 3 frames"), (track(*[None] * 3, bboxes=[1]), "bboxes"),
    (track(None, {"size": [48, 64], "counts": [5]}, None), "frame 1: run lengths add up to 5"),
    (track(None, encoded(BLOBS[0, :9]), None), "frame 1: the encoding's size [9, 64]"),
    (track(None, "x", None), "frame 1: segmentation 'x'"),
    (track(None, [[1, 2, 3]], None), "frame 1: [1, 2, 3] is no polygon"),
    (track(*[None] * 3, bboxes=[[1], None, None]), "frame 0: [1] is no box"),
    (track(*[None] * 3, video_id=9), "video_id 9"), (track(*[None] * 3, category_id=9), "9 is not"),
    ({"segmentations": []}, "annotation: id None")])
def test_damaged_annotations_are_named(wrong, part, tmp_path):
    path = write(tmp_path, track(encoded(BLOBS[0]), None, None), wrong)
    line = error_line(import_labels("coco-video", path, "--images", tmp_path / "frames", "--out",
                                    tmp_path / "out", "--unannotated", "empty"))
    assert part in line and "videos.json, annotation" in line
    assert not (tmp_path / "out").exists()


def test_all_faults_are_told_at_once(tmp_path):
    path = write(tmp_path, track(3, encoded(BLOBS[0]), 4), track(None))
    content = json.loads(path.read_text())
    content["videos"] += [content["videos"][0], {"id": 8, "width": 64, "height": 48},
                          {"id": 9, "file_names": ["gone.jpg"], "width": 64, "height": 48}]
    path.write_text(json.dumps(content))
    labels = read_coco_video(Source(path, tmp_path / "frames"))
    text = "\n".join(labels.faults)
    assert len(labels.faults) == 6
    assert all(part in text for part in ("frame 0", "frame 2", "each of the 3", "two videos",
                                         "file_names None", "gone.jpg"))


def test_a_coco_file_of_pictures_is_refused(tmp_path):
    path = tmp_path / "labels.json"
    path.write_text('{"images": [], "categories": [], "annotations": []}')
    write_photos(tmp_path / "frames", "1.jpg")
    line = error_line(import_labels("coco-video", path, "--images", tmp_path / "frames", "--out",
                                    tmp_path / "out"))
    assert "no COCO file for videos" in line
