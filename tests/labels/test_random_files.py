"""Random label files, valid and damaged, through every importer: right masks, or one clear line."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import EXAMPLES, many, seeds
from hypothesis import given
from label_files import (
    check_values,
    damage,
    damaged,
    faults_of,
    first_mask,
    inside,
    scratch,
)
from PIL import Image

from camera_trapinator.data.rle import encode_rle
from camera_trapinator.labels.coco import read_coco
from camera_trapinator.labels.data_root import write_data_root
from camera_trapinator.labels.labelme import read_labelme
from camera_trapinator.labels.mask_folder import read_mask_folder
from camera_trapinator.labels.roboflow import find_exports, group_copies
from camera_trapinator.labels.source import Source
from camera_trapinator.labels.yolo import read_yolo

WIDTH, HEIGHT = 24, 16
NAMES = ["fox", "hare"]


def draw(random) -> tuple[list[tuple[int, list]], np.ndarray]:
    """Polygons of 2 classes on a photo, [(class, [(x, y) ...])], and their mask, edge by edge."""
    shapes, mask = [], np.zeros((HEIGHT, WIDTH), np.uint8)
    for _ in range(int(random.integers(1, 4))):
        ring = [tuple(point) for point in random.uniform((-2, -2), (26, 18), (
            int(random.integers(3, 7)), 2)).tolist()]
        shapes.append((int(random.integers(2)), ring))
        mask[inside(ring, HEIGHT, WIDTH)] = shapes[-1][0] + 1
    return shapes, mask


def flat(ring, width=1.0, height=1.0):
    return [value for x, y in ring for value in (x / width, y / height)]


# One function a tool writes its files for the photo `card/1.png` and returns what reads them.


def coco(folder, shapes, mask, random):
    annotations = [{"id": place, "image_id": 1, "category_id": index, "segmentation": [flat(ring)]}
                   for place, (index, ring) in enumerate(shapes)]
    if random.random() < 0.5:  # the same as run lengths, one for each class
        annotations = [{"id": index, "image_id": 1, "category_id": index,
                        "segmentation": encode_rle(mask == index + 1)} for index in range(2)]
    content = {"images": [{"id": 1, "file_name": "1.png", "width": WIDTH, "height": HEIGHT}],
               "categories": [{"id": place, "name": name} for place, name in enumerate(NAMES)],
               "annotations": annotations}
    return content, folder / "labels.json", lambda: read_coco(Source(
        folder / "labels.json", folder / "card", "photos")).sound()


def roboflow(folder, shapes, mask, random):
    content, *_ = coco(folder, shapes, mask, random)
    name = f"1_png.rf.{random.integers(1e9):x}.png"
    content["images"][0]["file_name"] = name
    (folder / "card").rename(folder / "train")
    (folder / "train/1.png").rename(folder / "train" / name)
    path = folder / "train/_annotations.coco.json"

    def read():
        (export, split), = find_exports(folder)
        return group_copies(read_coco(Source(export, folder / "train", "photos", split)).sound())
    return content, path, read


def labelme(folder, shapes, mask, random):
    content = {"shapes": [{"label": NAMES[index], "points": [list(point) for point in ring],
                           "shape_type": "polygon", "group_id": None} for index, ring in shapes],
               "imagePath": "1.png", "imageWidth": WIDTH, "imageHeight": HEIGHT}
    (folder / "names.txt").write_text("\n".join(NAMES))
    return content, folder / "card/1.json", lambda: read_labelme(
        Source(folder / "card", folder / "card", "photos"), classes=folder / "names.txt").sound()


def yolo(folder, shapes, mask, random):
    lines = [[index, *np.clip(flat(ring, WIDTH, HEIGHT), -0.1, 1.1).tolist()]
             for index, ring in shapes]
    (folder / "names.txt").write_text("\n".join(NAMES))
    (folder / "labels").mkdir()
    return lines, folder / "labels/1.txt", lambda: read_yolo(
        Source(folder / "labels", folder / "card", "photos"), names=folder / "names.txt").sound()


def table(folder, shapes, mask, random):
    """A mask picture; its table is the text that gets damaged."""
    values = random.permutation(np.arange(1, 255))[:2].tolist()
    (folder / "masks").mkdir()
    Image.fromarray(np.array([0, *values], np.uint8)[mask]).save(folder / "masks/1.png")
    lines = [["value", "name"], *([value, name] for value, name in
                                  zip(values, NAMES, strict=True))]
    return lines, folder / "table.csv", lambda: read_mask_folder(
        Source(folder / "masks", folder / "card", "photos"), colours=folder / "table.csv").sound()


def write(content, path: Path) -> None:
    if isinstance(content, dict):
        path.write_text(json.dumps(content))
    else:
        mark = "," if path.suffix == ".csv" else " "
        path.write_text("\n".join(mark.join(map(str, line)) if isinstance(line, list) else
                                  str(line) for line in content), errors="replace")


TOOLS = [coco, roboflow, labelme, yolo, table]


def prepare(tool, folder, random):
    (folder / "card").mkdir()
    Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "card/1.png")
    shapes, mask = draw(random)
    if not mask.any():
        mask[:2, :2], shapes = 1, [(0, [(0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (0.0, 2.0)])]
    return *tool(folder, shapes, mask, random), shapes, mask


@pytest.mark.parametrize("tool", TOOLS)
def test_valid_files_give_the_right_masks(tool):
    @many
    @given(seeds)
    def check(seed):
        with scratch() as name:
            folder, random = Path(name), np.random.default_rng(seed)
            content, path, read, shapes, mask = prepare(tool, folder, random)
            write(content, path)
            write_data_root(read(), folder / "out")
            ours = first_mask(folder / "out", NAMES)
            if tool is yolo:  # its coordinates were cut at -0.1 and 1.1
                mask = np.zeros_like(mask)
                for index, *values in content:
                    ring = [(x * WIDTH, y * HEIGHT) for x, y in
                            zip(values[::2], values[1::2], strict=True)]
                    mask[inside(ring, HEIGHT, WIDTH)] = index + 1
            assert np.array_equal(ours, mask)
    check()


@pytest.mark.parametrize("tool", TOOLS)
def test_damaged_files_give_one_clear_line_and_no_data_root(tool):
    refused = []

    @many
    @given(seeds)
    def check(seed):
        with scratch() as name:
            folder, random = Path(name), np.random.default_rng(seed)
            content, path, read, *_ = prepare(tool, folder, random)
            if seed % 4:
                damage(content, random)
                write(content, path)
            else:  # bytes of the file itself
                write(content, path)
                path.write_bytes(damaged(path.read_bytes(), random))
            told = faults_of(lambda: write_data_root(read(), folder / "out", unannotated="empty"))
            if told:
                refused.append(seed)
                assert all(fault for fault in told)
                assert all(path.name in fault or "1.png" in fault or "no photo" in fault
                           for fault in told)
                assert not (folder / "out").exists()
            else:
                check_values(folder / "out")
    check()
    assert len(refused) > EXAMPLES // 5
