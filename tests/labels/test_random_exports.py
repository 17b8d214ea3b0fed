"""Random exports of the tools with a file of their own, valid and damaged, and damaged facts."""

import base64
import io
import json
import zlib
from pathlib import Path

import numpy as np
import pytest
from conftest import EXAMPLES, many, seeds
from hypothesis import given
from label_files import (
    WORSE,
    check_values,
    damage,
    damaged,
    first_mask,
    inside,
    scratch,
)
from PIL import Image

from camera_trapinator import InputError
from camera_trapinator.data.rle import encode_rle
from camera_trapinator.labels.coco_video import read_coco_video
from camera_trapinator.labels.data_root import write_data_root
from camera_trapinator.labels.datumaro import read_datumaro
from camera_trapinator.labels.facts import take_over
from camera_trapinator.labels.labelbox import read_labelbox
from camera_trapinator.labels.segment_anything import read_segment_anything
from camera_trapinator.labels.source import Source
from camera_trapinator.labels.supervisely import read_supervisely
from camera_trapinator.labels.via import read_via

WIDTH, HEIGHT = 24, 16
NAMES = ["fox", "hare"]
PHOTO = "card/img/1.png"


def draw(random) -> tuple[list[tuple[int, list]], np.ndarray]:
    """Polygons of 2 classes on a photo, [(class, [[x, y] ...])], and their mask, edge by edge."""
    shapes, mask = [], np.zeros((HEIGHT, WIDTH), np.uint8)
    while not mask.any():
        for _ in range(int(random.integers(1, 4))):
            ring = random.uniform((-2, -2), (26, 18), (int(random.integers(3, 7)), 2)).tolist()
            shapes.append((int(random.integers(2)), ring))
            mask[inside(ring, HEIGHT, WIDTH)] = shapes[-1][0] + 1
    return shapes, mask


def runs(mask, shapes):
    """(class, its pixels) in place of polygons."""
    return [(index, mask == index + 1) for index in range(2) if (mask == index + 1).any()]


# One function a tool gives the content of its file, the file's place and what reads it.


def via(folder, shapes, mask, random):
    regions = [{"region_attributes": {"kind": NAMES[index]}, "shape_attributes": {
        "name": "polygon", "all_points_x": [x for x, _ in ring],
        "all_points_y": [y for _, y in ring]}} for index, ring in shapes]
    return ({"a": {"filename": "1.png", "size": 9, "regions": regions}}, folder / "via.json",
            lambda path: read_via(Source(path, folder / "card/img", "photos")))


def segment_anything(folder, shapes, mask, random):
    mask[mask == 2] = 1  # it knows one class
    content = [{"segmentation": encode_rle(mask == 1), "area": 9, "bbox": [0, 0, 1, 1]}]
    if random.random() < 0.5:
        content = {"image": {"file_name": "1.png", "width": WIDTH, "height": HEIGHT},
                   "annotations": content}
    return content, folder / "card/img/1.json", lambda path: read_segment_anything(
        Source(path.parent, path.parent, "photos"), "fox")


def supervisely(folder, shapes, mask, random):
    objects = [{"classTitle": NAMES[index], "geometryType": "polygon",
                "points": {"exterior": ring, "interior": []}} for index, ring in shapes]
    if random.random() < 0.5:
        objects = []
        for index, pixels in runs(mask, shapes):
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, "PNG")
            objects.append({"classTitle": NAMES[index], "geometryType": "bitmap", "bitmap": {
                "origin": [0, 0],
                "data": base64.b64encode(zlib.compress(buffer.getvalue())).decode()}})
    (folder / "card/ann").mkdir()
    (folder / "meta.json").write_text(json.dumps({"classes": [
        {"title": name, "shape": "polygon"} for name in NAMES]}))
    return ({"size": {"width": WIDTH, "height": HEIGHT}, "tags": [], "objects": objects},
            folder / "card/ann/1.png.json",
            lambda path: read_supervisely(Source(folder, folder, "photos")))


def datumaro(folder, shapes, mask, random):
    marks = [{"type": "polygon", "label_id": index, "points": np.ravel(ring).tolist(),
              "z_order": place} for place, (index, ring) in enumerate(shapes)]
    if random.random() < 0.5:
        marks = [{"type": "mask", "label_id": index, "rle": encode_rle(pixels)}
                 for index, pixels in runs(mask, shapes)]
    random.shuffle(marks)
    return ({"categories": {"label": {"labels": [{"name": name} for name in NAMES]}},
             "items": [{"id": "1", "annotations": marks,
                        "image": {"path": "1.png", "size": [HEIGHT, WIDTH]}}]},
            folder / "one.json",
            lambda path: read_datumaro(Source(path, folder / "card/img", "photos")))


def coco_video(folder, shapes, mask, random):
    marks = [[np.ravel(ring).tolist()] for _, ring in shapes]
    if random.random() < 0.5:
        shapes = runs(mask, shapes)
        marks = [encode_rle(pixels) for _, pixels in shapes]
    return ({"videos": [{"id": 1, "file_names": ["1.png"], "width": WIDTH, "height": HEIGHT}],
             "categories": [{"id": place, "name": name} for place, name in enumerate(NAMES)],
             "annotations": [{"id": place, "video_id": 1, "category_id": index,
                              "segmentations": [mark]}
                             for place, ((index, _), mark) in enumerate(
                                 zip(shapes, marks, strict=True))]},
            folder / "videos.json",
            lambda path: read_coco_video(Source(path, folder / "card/img", "photos")))


def labelbox(folder, shapes, mask, random):
    objects = [{"feature_id": f"p{place}", "name": NAMES[index], "polygon": [
        {"x": x, "y": y} for x, y in ring]} for place, (index, ring) in enumerate(shapes)]
    if random.random() < 0.5:
        objects = []
        for index, pixels in runs(mask, shapes):
            Image.fromarray(pixels).save(folder / f"m{index}.png")
            objects.append({"feature_id": f"m{index}", "name": NAMES[index], "mask": {"url": "x"}})
    return ({"data_row": {"external_id": "1.png"},
             "media_attributes": {"width": WIDTH, "height": HEIGHT},
             "projects": {"p": {"labels": [{"annotations": {"objects": objects}}]}}},
            folder / "labels.ndjson",
            lambda path: read_labelbox(Source(path, folder / "card/img", "photos")))


TOOLS = [via, segment_anything, supervisely, datumaro, coco_video, labelbox]


def prepare(tool, folder, random):
    (folder / "card/img").mkdir(parents=True)
    Image.new("RGB", (WIDTH, HEIGHT)).save(folder / PHOTO)
    shapes, mask = draw(random)
    return *tool(folder, shapes, mask, random), mask


@pytest.mark.parametrize("tool", TOOLS)
def test_valid_exports_give_the_right_masks(tool):
    @many
    @given(seeds)
    def check(seed):
        with scratch() as name:
            folder, random = Path(name), np.random.default_rng(seed)
            content, path, read, mask = prepare(tool, folder, random)
            path.write_text(json.dumps(content))
            write_data_root(read(path), folder / "out")
            ours = first_mask(folder / "out", NAMES)
            assert np.array_equal(ours, mask)
    check()


@pytest.mark.parametrize("tool", TOOLS)
def test_damaged_exports_are_refused_by_name_or_give_a_mask(tool):
    refused = []

    @many
    @given(seeds)
    def check(seed):
        with scratch() as name:
            folder, random = Path(name), np.random.default_rng(seed)
            content, path, read, _ = prepare(tool, folder, random)
            if seed % 4:
                damage(content, random, WORSE)
                path.write_text(json.dumps(content))
            else:  # bytes of the file itself
                path.write_bytes(damaged(json.dumps(content).encode(), random))
            try:
                write_data_root(read(path), folder / "out", unannotated="empty")
            except InputError as error:
                refused.append(seed)
                assert "\n" not in str(error) and str(error)
                assert any(part in str(error) for part in (path.name, "1.png", "no photo",
                                                           "faults", str(path.parent)))
                assert not (folder / "out").exists()
            else:
                check_values(folder / "out")
    check()
    assert len(refused) > EXAMPLES // 5


def test_damaged_facts_are_faults_or_facts():
    wrong = []

    @many
    @given(seeds)
    def check(seed):
        with scratch() as name:
            folder, random = Path(name), np.random.default_rng(seed)
            content, path, read, _ = prepare(via, folder, random)
            path.write_text(json.dumps(content))
            labels, facts = read(path), folder / "facts.json"
            said = {"images": [{"file_name": "img/1.png", "location": "x", "seq_id": "s",
                                "datetime": "2023-07-04 05:06:07"}]}
            if seed % 2:
                facts = folder / "facts.csv"
                text = "File,RelativePath,DateTime,Site\n1.png,img,2023-07-04 05:06:07,x\n"
                facts.write_bytes(damaged(text.encode(), random))
            else:
                damage(said, random, WORSE)
                facts.write_text(json.dumps(said))
            take_over(facts, labels, [Source(facts, folder / "card/img", "photos")])
            assert all(facts.name in fault for fault in labels.faults)
            wrong.extend(labels.faults)
    check()
    assert len(wrong) > EXAMPLES // 5
