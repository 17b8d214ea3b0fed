"""Random mixtures of what is wrong or odd with real exports: all is told in one run, in one way.

Each photo of an export is of one kind (sound, broken, gone, with a line, a box, a shape without
area, a shape that no tool knows ...), and files that systems and other tools leave lie between.
"""

import json
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from conftest import many, seeds
from hypothesis import given
from label_files import inside, scratch
from PIL import Image

from camera_trapinator import IGNORE, InputError
from camera_trapinator.data.manifest import BACKGROUND, read_manifest
from camera_trapinator.data.masks import read_mask
from camera_trapinator.labels.coco import read_coco
from camera_trapinator.labels.cvat import read_cvat_xml
from camera_trapinator.labels.data_root import write_data_root
from camera_trapinator.labels.label_studio import read_label_studio
from camera_trapinator.labels.labelme import read_labelme
from camera_trapinator.labels.source import Source
from camera_trapinator.labels.supervisely import read_supervisely
from camera_trapinator.labels.via import read_via
from camera_trapinator.labels.yolo import read_yolo

WIDTH, HEIGHT = 24, 16
BOX = (3, 2, 9, 8)  # left, top, width, height
LINE = [[1, 1], [20, 12]]
FLAT = [[2.0, 3.0], [9.0, 3.0], [15.0, 3.0]]  # a polygon without area
KINDS = ("sound", "empty", "line", "flat", "box", "broken", "gone", "unknown")
REFUSED = ("broken", "gone", "unknown")


class Mark(NamedTuple):
    """Something that is drawn on a photo."""

    kind: str  # polygon, line, box or unknown
    points: list


def marks_of(kind: str, random) -> list[Mark]:
    points = FLAT
    while not inside(points, HEIGHT, WIDTH).any():
        points = random.uniform((0, 0), (WIDTH, HEIGHT), (3, 2)).tolist()
    triangle = Mark("polygon", points)
    return {"empty": [], "line": [Mark("line", LINE)], "flat": [Mark("polygon", FLAT)],
            "box": [Mark("box", list(BOX))], "unknown": [triangle, Mark("unknown", LINE)],
            }.get(kind, [triangle])


# One function a tool writes its export and gives what reads it.

Read = Callable[..., object]
Photos = dict[str, list[Mark]]  # below card/


def coco(folder: Path, photos: Photos) -> Read:
    def entry(mark):
        return {"polygon": {"segmentation": [np.ravel(mark.points).tolist()]},
                "line": {"segmentation": [np.ravel(LINE).tolist()]},
                "box": {"segmentation": [], "bbox": list(BOX)},
                "unknown": {"segmentation": "M 1 2 L 3 4"}}[mark.kind]

    marks = [(place, mark) for place, found in enumerate(photos.values()) for mark in found]
    (folder / "coco.json").write_text(json.dumps({
        "images": [{"id": place, "file_name": file, "width": WIDTH, "height": HEIGHT}
                   for place, file in enumerate(photos)],
        "categories": [{"id": 1, "name": "fox"}],
        "annotations": [{"id": number, "image_id": place, "category_id": 1, **entry(mark)}
                        for number, (place, mark) in enumerate(marks)]}))
    return lambda **skip: read_coco(Source(folder / "coco.json", folder / "card", "photos", **skip))


def labelme(folder: Path, photos: Photos) -> Read:
    for file, marks in photos.items():
        (folder / "card" / file).with_suffix(".json").write_text(json.dumps({
            "imagePath": Path(file).name, "imageWidth": WIDTH, "imageHeight": HEIGHT, "shapes": [
                {"label": "fox" if mark.kind != "unknown" else None, "points": mark.points,
                 "shape_type": {"line": "linestrip"}.get(mark.kind, mark.kind)}
                for mark in marks]}))
    return lambda **skip: read_labelme(Source(folder / "card", folder / "card", "photos", **skip))


def yolo(folder: Path, photos: Photos) -> Read:
    def line(mark):
        x, y, width, height = BOX
        numbers = (["curve", 1, 2] if mark.kind == "unknown" else
                   [(x + width / 2) / WIDTH, (y + height / 2) / HEIGHT, width / WIDTH,
                    height / HEIGHT] if mark.kind == "box" else
                   (np.array(mark.points) / (WIDTH, HEIGHT)).ravel().tolist())
        return " ".join(map(str, [0, *numbers]))

    (folder / "names.txt").write_text("fox")
    for file, marks in photos.items():
        path = (folder / "labels" / file).with_suffix(".txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(map(line, marks)))
    return lambda **skip: read_yolo(Source(folder / "labels", folder / "card", "photos", **skip),
                                    names=folder / "names.txt")


def via(folder: Path, photos: Photos) -> Read:
    def shape(mark):
        if mark.kind == "box":
            return {"name": "rect", **dict(zip(("x", "y", "width", "height"), BOX, strict=True))}
        return {"name": {"line": "polyline", "unknown": "spline"}.get(mark.kind, mark.kind),
                "all_points_x": [x for x, _ in mark.points],
                "all_points_y": [y for _, y in mark.points]}

    (folder / "via.json").write_text(json.dumps({
        file: {"filename": file, "size": 1, "regions": [
            {"shape_attributes": shape(mark), "region_attributes": {"species": "fox"}}
            for mark in marks]} for file, marks in photos.items()}))
    return lambda **skip: read_via(Source(folder / "via.json", folder / "card", "photos", **skip))


def supervisely(folder: Path, photos: Photos) -> Read:
    kinds = {"line": "polyline", "box": "rectangle", "unknown": "spline"}
    (folder / "card/meta.json").write_text(json.dumps({"classes": [
        {"title": "fox", "shape": "any"}]}))
    for file, marks in photos.items():
        path = folder / "card" / file.replace("/img/", "/ann/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name(path.name + ".json").write_text(json.dumps({
            "size": {"width": WIDTH, "height": HEIGHT}, "tags": [], "objects": [
                {"classTitle": "fox", "geometryType": kinds.get(mark.kind, mark.kind), "points": {
                    "interior": [], "exterior": mark.points if mark.kind != "box" else [
                        BOX[:2], (BOX[0] + BOX[2], BOX[1] + BOX[3])]}} for mark in marks]}))
    return lambda **skip: read_supervisely(Source(folder / "card", folder / "card", "photos",
                                                  **skip))


def cvat(folder: Path, photos: Photos) -> Read:
    def element(mark):
        if mark.kind == "box":
            left, top, width, height = BOX
            return (f'<box label="fox" xtl="{left}" ytl="{top}" xbr="{left + width}" '
                    f'ybr="{top + height}"/>')
        name = {"line": "polyline", "unknown": "spline"}.get(mark.kind, mark.kind)
        points = ";".join(f"{x!r},{y!r}" for x, y in mark.points)
        return f'<{name} label="fox" points="{points}"/>'

    (folder / "cvat.xml").write_text("<annotations>" + "".join(
        f'<image id="{place}" name="{file}" width="{WIDTH}" height="{HEIGHT}">'
        + "".join(map(element, marks)) + "</image>"
        for place, (file, marks) in enumerate(photos.items())) + "</annotations>")
    return lambda **skip: read_cvat_xml(Source(folder / "cvat.xml", folder / "card", "photos",
                                               **skip))


def label_studio(folder: Path, photos: Photos) -> Read:
    def region(mark):
        kind = {"polygon": "polygonlabels", "line": "vectorlabels", "box": "rectanglelabels",
                "unknown": "splinelabels"}[mark.kind]
        left, top, width, height = (100 * value / side for value, side in
                                    zip(BOX, (WIDTH, HEIGHT) * 2, strict=True))
        value = ({"x": left, "y": top, "width": width, "height": height} if mark.kind == "box" else
                 {"points" if mark.kind == "polygon" else "curve": [
                     [100 * x / WIDTH, 100 * y / HEIGHT] for x, y in mark.points]})
        return {"type": kind, "original_width": WIDTH, "original_height": HEIGHT,
                "value": {kind: ["fox"], **value}}

    (folder / "tasks.json").write_text(json.dumps([
        {"id": place, "data": {"image": f"/data/local-files/?d=card/{file}"}, "annotations": [
            {"id": place, "result": list(map(region, marks))}]}
        for place, (file, marks) in enumerate(photos.items())]))
    return lambda **skip: read_label_studio(Source(folder / "tasks.json", folder / "card",
                                                   "photos", **skip))


def strew(folder: Path, random) -> None:
    """What macOS, a NAS, a bin and other tools leave among photos."""
    for name, content in (("a/img/._0.jpg", b"\0\5\26\7"), ("a/img/._0.json", b"\0\5\26\7"),
                          (".DS_Store", b"\0"), ("@eaDir/0.jpg/SYNOPHOTO_THUMB_M.jpg", b"\xff\xd8"),
                          ("$RECYCLE.BIN/0.jpg", b""), ("a/img/Thumbs.db", b"\0"),
                          ("a/img/clip.mp4", b"\0"), ("md.json", b'{"images": [], "info": {}}')):
        if random.random() < 0.5:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


# What a tool cannot draw; a rectangle of Labelme is an outline.
LACKS = {coco: (), labelme: ("box",), yolo: ("line",), via: (), supervisely: (), cvat: (),
         label_studio: ()}


@pytest.mark.parametrize("tool", LACKS)
def test_all_that_is_wrong_is_told_in_one_run_and_nothing_wrong_is_written(tool):
    known = [kind for kind in KINDS if kind not in LACKS[tool]]

    @many
    @given(seeds)
    def check(seed):
        with scratch() as name:
            folder, random = Path(name), np.random.default_rng(seed)
            (folder / "card/a/img").mkdir(parents=True)
            drawn = ["sound", *random.choice(known, int(random.integers(2, 9))).tolist()]
            kinds = {f"a/img/PHOTO{place}.jpg": kind for place, kind in enumerate(drawn)}
            for file, kind in kinds.items():
                if kind != "gone":
                    Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "card" / file)
                if kind == "broken":
                    path = folder / "card" / file
                    path.write_bytes(path.read_bytes()[:int(random.integers(0, 20))])
            photos = {file: marks_of(kind, random) for file, kind in kinds.items()}
            read = tool(folder, photos)
            strew(folder / "card", random)
            if set(drawn) & set(REFUSED):
                count, told = refusal(read(), folder / "out")
                assert count == sum(drawn.count(kind) for kind in ("broken", "unknown")) + (
                    "gone" in drawn), told
                for kind in ("broken", "gone"):  # three of a kind are named, missing ones: one
                    mine = [file for file in kinds if kinds[file] == kind]
                    named = [file for file in mine if Path(file).stem in told]
                    assert len(named) >= min({"broken": 3, "gone": 1}[kind], len(mine)), told
                assert not any(Path(file).stem in told for file in kinds
                               if kinds[file] not in REFUSED)
                assert not (folder / "out").exists()
            if "unknown" not in drawn:
                labels = read(skip_broken=True, skip_missing=True)
                write_data_root(labels, folder / "out", unannotated="empty")
                check_masks(folder / "out", kinds, photos)
    check()


def refusal(labels, out: Path) -> tuple[int, str]:
    """How many faults an import is refused with, and all that it prints of them."""
    with redirect_stdout(StringIO()) as stdout, pytest.raises(InputError) as error:
        write_data_root(labels, out, unannotated="empty")
    line = str(error.value)
    faults = [line for line in stdout.getvalue().splitlines() if line.startswith("fault ")]
    return (int(line.split()[0]), "\n".join(faults)) if "see above" in line else (1, line)


def check_masks(out: Path, kinds: dict[str, str], photos: Photos) -> None:
    rows = {row.image: row for row in read_manifest(out / "manifest.csv")}
    assert rows.keys() == {f"photos/{file}" for file, kind in kinds.items()
                           if kind not in ("broken", "gone")}
    for image, row in rows.items():
        kind = kinds[image.removeprefix("photos/")]
        if kind == "empty":
            assert row.mask == BACKGROUND
        elif kind in ("line", "flat"):
            assert row.mask == ""
        else:
            mask = np.zeros((HEIGHT, WIDTH), np.uint8)
            for mark in photos[image.removeprefix("photos/")]:
                left, top, width, height = BOX
                if mark.kind == "polygon":
                    mask[inside(mark.points, HEIGHT, WIDTH)] = 1
                elif mark.kind == "box":
                    mask[top:top + height, left:left + width] = IGNORE
            assert np.array_equal(read_mask(out / row.mask), mask)
