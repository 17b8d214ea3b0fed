"""Label Studio: exports written after its documents, against pixels found edge by edge."""

import base64
import io
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import EXAMPLES, error_line, many, seeds
from hypothesis import given
from label_files import (
    WORSE,
    damage,
    damaged,
    import_labels,
    imported,
    inside,
    masks_of,
    scratch,
)
from PIL import Image

from camera_trapinator import IGNORE, InputError
from camera_trapinator.data.manifest import read_classes, read_manifest
from camera_trapinator.data.masks import read_mask
from camera_trapinator.labels.data_root import write_data_root
from camera_trapinator.labels.label_studio import read_brush_pictures, read_label_studio
from camera_trapinator.labels.source import Source
from camera_trapinator.utils import ROOT

WIDTH, HEIGHT = 24, 16
NAMES = ["fox", "hare"]


def region(kind, name, size=(WIDTH, HEIGHT), **value):
    """A region as Label Studio writes it; `value` in percent."""
    return {"id": "Dx_aB91ISN", "from_name": "label", "to_name": "image", "type": kind,
            "original_width": size[0], "original_height": size[1], "image_rotation": 0,
            "value": {**value, kind: [name]}}


def polygon(name, ring):
    return region("polygonlabels", name, closed=True,
                  points=[[x / WIDTH * 100, y / HEIGHT * 100] for x, y in ring])


def brush(name, pixels, random=None):
    """A brush stroke: its RGBA picture packed, written bit by bit as text."""
    data = np.zeros((*pixels.shape, 4), int)
    data[pixels] = (255, 0, 0, 255)
    if random is not None:  # colours and faint edges that must not count
        data[..., :3] = random.integers(0, 256, data[..., :3].shape)
        data[..., 3] += random.integers(0, 128, pixels.shape) * ~pixels
    data, counts = data.ravel().tolist(), (1, 3, 7, 15)
    text = f"{len(data):032b}{8 - 1:05b}" + "".join(f"{count - 1 + 0:04b}" for count in counts)
    start = 0
    while start < len(data):
        run = 1
        while start + run < len(data) and data[start + run] == data[start] and run < 2**15:
            run += 1
        length = run if run > 1 else min(2, len(data) - start)  # two words as they are
        which = next(place for place, count in enumerate(counts) if length <= 2**count)
        text += f"{int(run > 1)}{which:02b}{length - 1:0{counts[which]}b}"
        text += "".join(f"{word:08b}" for word in data[start:start + (1 if run > 1 else length)])
        start += length
    text += "0" * (-len(text) % 8)
    return region("brushlabels", name, format="rle",
                  rle=[int(text[place:place + 8], 2) for place in range(0, len(text), 8)])


def task(number, image, *regions, **more):
    return {"id": number, "data": {"image": image, "site": "north"},
            "annotations": [{"id": 10 + number, "was_cancelled": False, "ground_truth": False,
                             "updated_at": "2024-05-01", "result": list(regions), **more}]}


def write(folder, *tasks, photos=("1.jpg",)):
    for name in photos:
        (folder / "card" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (WIDTH, HEIGHT), (len(name), 9, 9)).save(folder / "card" / name)
    (folder / "tasks.json").write_text(json.dumps(tasks))


def read(folder, **options):
    """{photo: its mask with class names, or the word in its row} of the data root."""
    skip = options.pop("skip_missing", False)
    labels = read_label_studio(Source(folder / "tasks.json", folder / "card", "photos",
                                      skip_missing=skip)).sound()
    return written(labels, folder / "out", **options)


def written(labels, out, **options):
    write_data_root(labels, out, **{"unannotated": "unlabelled", **options})
    names = np.array([name for name, _ in read_classes(out / "classes.csv")] + ["?"] * 255)
    names[IGNORE] = "ignored"
    return {row.image.removeprefix("photos/"): names[read_mask(out / row.mask)]
            if row.mask.endswith(".png") else row.mask
            for row in read_manifest(out / "manifest.csv")}


SQUARE = [(4, 4), (12, 4), (12, 12), (4, 12)]


def test_polygons_and_brush_strokes_lie_where_they_were_drawn_the_later_on_top(tmp_path):
    stroke = np.zeros((HEIGHT, WIDTH), bool)
    stroke[2:6, 3:20] = True
    write(tmp_path, task(1, "1.jpg", polygon("fox", SQUARE), brush("hare", stroke)))
    mask = read(tmp_path)["1.jpg"]
    assert (mask == "hare").sum() == 68 and (mask == "fox").sum() == 64 - 16
    assert mask[11, 4] == "fox" and mask[12, 4] == "background"


def test_an_ellipse_turns_clockwise_around_its_centre(tmp_path):
    write(tmp_path, task(1, "1.jpg", region("ellipselabels", "fox", x=50, y=50, rotation=30,
                                            radiusX=8 / WIDTH * 100, radiusY=3 / HEIGHT * 100)))
    mask = read(tmp_path)["1.jpg"]
    for y in range(HEIGHT):
        for x in range(WIDTH):
            dx, dy, angle = x + 0.5 - 12, y + 0.5 - 8, math.radians(30)
            along = dx * math.cos(angle) + dy * math.sin(angle)
            across = dy * math.cos(angle) - dx * math.sin(angle)
            assert (mask[y, x] == "fox") == ((along / 8)**2 + (across / 3)**2 < 1)


def test_what_lies_in_a_box_alone_is_ignored_and_boxes_alone_are_refused(tmp_path):
    box = region("rectanglelabels", "hare", x=50, y=0, width=50, height=50, rotation=0)
    write(tmp_path, task(1, "1.jpg", polygon("fox", SQUARE), box))
    mask = read(tmp_path)["1.jpg"]
    assert (mask == "fox").sum() == 64 and (mask == "ignored").sum() == 12 * 8
    turned = region("rectanglelabels", "hare", x=50, y=0, width=25, height=25, rotation=90)
    write(tmp_path, task(1, "1.jpg", polygon("fox", SQUARE), turned))
    mask = read(tmp_path, overwrite=True)["1.jpg"]
    # Around its upper left corner (12, 0), 6 x 4 pixels become 4 x 6 to the left of it.
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[0:6, 8:12] = True
    assert np.array_equal(mask == "ignored", expected & (mask != "fox"))
    write(tmp_path, task(1, "1.jpg", box))
    with pytest.raises(InputError, match="task 1: it has a box.*a box is no mask"):
        read(tmp_path, overwrite=True)


def test_polygons_beside_a_labels_tag_take_their_label_from_it(tmp_path):
    shape = polygon("fox", SQUARE)
    bare = {**shape, "type": "polygon", "value": {"points": shape["value"]["points"]}}
    named = {**bare, "type": "labels", "value": {**bare["value"], "labels": ["fox"]}}
    write(tmp_path, task(1, "1.jpg", bare, named))
    assert (read(tmp_path)["1.jpg"] == "fox").sum() == 64
    write(tmp_path, task(1, "1.jpg", polygon("fox", SQUARE), {**bare, "id": "other"}))
    with pytest.raises(InputError, match="task 1, region 2: it has no label"):
        read(tmp_path, overwrite=True)


def test_nothing_drawn_is_empty_and_nothing_submitted_is_not(tmp_path):
    files = ("1.jpg", "22.jpg", "333.jpg", "4444.jpg")
    choice = {"type": "choices", "from_name": "c", "to_name": "image",
              "value": {"choices": ["blurred"]}}
    write(tmp_path, task(1, "1.jpg", polygon("fox", SQUARE)), task(2, "22.jpg"),
          task(3, "333.jpg", was_cancelled=True), task(4, "4444.jpg", choice), photos=files)
    found = read(tmp_path)
    assert [found[file] for file in files[1:]] == ["background", "", ""]


def test_the_ground_truth_counts_else_the_annotation_updated_last(tmp_path):
    entry = task(1, "1.jpg", polygon("fox", SQUARE), updated_at="2024-05-01")
    entry["annotations"] += task(1, "1.jpg", polygon("hare", SQUARE),
                                 updated_at="2024-06-01")["annotations"]
    write(tmp_path, entry)
    assert read(tmp_path)["1.jpg"][8, 8] == "hare"
    entry["annotations"][0]["ground_truth"] = True
    write(tmp_path, entry)
    assert read(tmp_path, overwrite=True)["1.jpg"][8, 8] == "fox"


@pytest.mark.parametrize(("url", "file"), [
    ("/data/upload/3/0a1b2c3d-1.jpg", "1.jpg"),
    ("/data/local-files/?d=project/site1/1.jpg", "site1/1.jpg"),
    ("s3://bucket/survey/site2/1.jpg", "site2/1.jpg"),
    ("https://example.org/site1/my%20fox.JPG?token=x.y", "site1/my fox.JPG"),
    ("0a1b2c3d-2.jpg", "0a1b2c3d-2.jpg"),
])
def test_photos_are_found_by_the_end_of_their_urls(tmp_path, url, file):
    files = ("1.jpg", "site1/1.jpg", "site2/1.jpg", "site1/my fox.JPG", "0a1b2c3d-2.jpg", "2.jpg")
    write(tmp_path, task(1, url, polygon("fox", SQUARE)), photos=files)
    if url.startswith("/data/upload"):  # that is of no folder, so it could be any of three
        with pytest.raises(InputError, match=r"is photo .*1\.jpg.* or .*1\.jpg"):
            read(tmp_path)
    else:
        assert list(read(tmp_path)) == [file]


def packed(url):
    return base64.b64encode(url.encode()).decode()


@pytest.mark.parametrize(("url", "file"), [
    ("/tasks/7/resolve/?fileuri=" + packed("s3://bucket/site2/1.jpg"), "site2/1.jpg"),
    ("https://ls.org/tasks/7/resolve/?fileuri=" + packed("gs://b/site1/ÿÿÿ>>>.jpg"),
     "site1/ÿÿÿ>>>.jpg"),  # + and / in base64, which are others in URLs
    ("/tasks/7/presign/?fileuri=" + packed("azure-blob://c/site1/1.jpg").rstrip("="),
     "site1/1.jpg"),
    ("/data/local-files/?d=survey%5Csite2%5C1.jpg", "site2/1.jpg"),  # of Windows
    ("/data/local-files/?d=survey/SITE2/1.JPG", "site2/1.jpg"),
    ("/data/upload/3/0a1b2c3d-my_fox_1.jpg", "site1/my fox (1).jpg"),
    ("/data/upload/0a1b2c3d-My_fox_1.JPG", "site1/my fox (1).jpg"),
    ("/data/upload/3/0a1b2c3d-Fuchs_Bar.jpg", "site2/Fu\u0308chs Ba\u0308r.jpg"),  # macOS
    ("/data/upload/3/0a1b2c3d-F%C3%BCchs_B%C3%A4r.jpg", "site2/Fu\u0308chs Ba\u0308r.jpg"),
    ("s3://bucket/my fox (1).jpg", "site1/my fox (1).jpg"),  # without folder
    ("s3://bucket/site2/my fox (1).jpg", None),  # of another folder
    ("/tasks/7/resolve/?fileuri=%%%", None),
])
def test_uploads_packed_urls_and_local_files(tmp_path, url, file):
    files = ("site1/1.jpg", "site2/1.jpg", "site1/my fox (1).jpg", "site1/ÿÿÿ>>>.jpg",
             "site2/Fu\u0308chs Ba\u0308r.jpg")
    write(tmp_path, task(1, url, polygon("fox", SQUARE)), photos=files)
    if file is None:
        with pytest.raises(InputError, match="0 photos in its `data`|1 of its photos are not in"):
            read(tmp_path)
    else:
        assert list(read(tmp_path)) == [file]


def test_of_several_photos_in_a_task_the_one_that_is_here_counts(tmp_path):
    entry = task(1, "/thumbs/gone.jpg", polygon("fox", SQUARE))
    entry["data"].update(original="s3://bucket/site1/1.jpg",
                         copy="/data/local-files/?d=site1/1.jpg")
    write(tmp_path, entry, photos=("site1/1.jpg", "site1/2.jpg"))
    assert (read(tmp_path)["site1/1.jpg"] == "fox").sum() == 64
    entry["data"]["left"] = "s3://bucket/site1/2.jpg"
    write(tmp_path, entry)
    with pytest.raises(InputError, match=r"task 1: 2 photos in its `data` are here, "
                                         r"'site1/1\.jpg' and 'site1/2\.jpg'"):
        read(tmp_path, overwrite=True)
    entry["data"] = {"image": "/thumbs/gone.jpg", "other": "/thumbs/away.jpg"}
    write(tmp_path, entry)
    with pytest.raises(InputError, match=r"1 of its photos are not in .*'/thumbs/gone\.jpg'"):
        read(tmp_path, overwrite=True)


def test_the_photos_of_a_list_are_told_apart_by_item_index(tmp_path):
    other = [(14, 2), (20, 2), (20, 12), (14, 12)]
    regions = [{**polygon("fox", SQUARE), "item_index": 1}, {
        **polygon("hare", other), "item_index": 0}, {
        **region("rectanglelabels", "fox", x=0, y=0, width=25, height=25), "item_index": 0}]
    images = ["/data/upload/1/0a1b2c3d-1.jpg", "s3://b/site/22.jpg", "s3://b/site/333.jpg"]
    files = ("1.jpg", "site/22.jpg", "site/333.jpg")
    write(tmp_path, task(1, images, *regions), photos=files)
    found = read(tmp_path)
    assert (found["1.jpg"] == "hare").sum() == 60 and (found["1.jpg"] == "fox").sum() == 0
    assert (found["1.jpg"] == "ignored").sum() == 6 * 4
    assert (found["site/22.jpg"] == "fox").sum() == 64 and found["site/333.jpg"] == ""
    write(tmp_path, task(1, images[:2], *regions), task(2, images[2:]), photos=files)
    assert read(tmp_path, overwrite=True)["site/333.jpg"] == "background"
    for place in (None, 3, -1, "1", True):
        regions[0]["item_index"] = place
        write(tmp_path, task(1, images, *regions))
        with pytest.raises(InputError, match=f"task 1, region 1: item_index {place!r} tells none "
                                             "of the 3 photos"):
            read(tmp_path, overwrite=True)


def attribute(kind, name, value):
    """What a control with perRegion says of the region of polygon()."""
    return {**polygon("fox", SQUARE), "type": kind, "from_name": name,
            "value": {**polygon("fox", SQUARE)["value"], kind: value}}


@pytest.mark.parametrize(("kind", "value"), [
    ("choices", ["male"]), ("choices", ["male", "adult"]), ("rating", 3), ("number", 7),
    ("taxonomy", [["Canidae", "Vulpes"]]), ("textarea", ["limps"]), ("datetime", "2024-05-01"),
    ("pairwise", "left")])
@pytest.mark.parametrize("first", [True, False])
def test_attributes_of_a_region_are_left_and_told(tmp_path, kind, value, first):
    both = [polygon("fox", SQUARE), attribute(kind, "sex", value)]
    relation = {"from_id": "a", "to_id": "b", "type": "relation", "direction": "right"}
    write(tmp_path, task(1, "1.jpg", *(both[::-1] if first else both), relation),
          task(2, "22.jpg", attribute(kind, "sex", value)), photos=("1.jpg", "22.jpg"))
    labels = read_label_studio(Source(tmp_path / "tasks.json", tmp_path / "card", "photos"))
    assert [line for line in labels.told if "says is left" in line] == [
        f"{tmp_path / 'tasks.json'}: what 'sex' ({kind}) says is left"]
    found = written(labels.sound(), tmp_path / "out", unannotated="empty")
    assert (found["1.jpg"] == "fox").sum() == 64
    assert set(np.unique(found["1.jpg"])) == {"fox", "background"}
    assert found["22.jpg"] == ""  # something was said of it, so it is not empty


def png(pixels, mode="RGBA"):
    alpha = (pixels * 255).astype(np.uint8)
    image = Image.fromarray(alpha) if mode == "L" else Image.merge(
        "RGBA", [*Image.new("RGB", pixels.shape[::-1], (9, 9, 0)).split(), Image.fromarray(alpha)])
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.mark.parametrize("mode", ["RGBA", "L"])
def test_bitmasks_are_read_and_wrong_ones_refused(tmp_path, mode):
    stroke = np.zeros((HEIGHT, WIDTH), bool)
    stroke[2:6, 3:20] = True
    entry = region("bitmasklabels", "hare",
                   imageDataURL="data:image/png;base64," + png(stroke, mode))
    write(tmp_path, task(1, "1.jpg", polygon("fox", SQUARE), entry))
    mask = read(tmp_path)["1.jpg"]
    assert np.array_equal(mask == "hare", stroke) and (mask == "fox").sum() == 64 - 16
    for wrong, part in (("data:image/png;base64,%%%", "no PNG in base64"), (7, "no PNG"),
                        ("data:image/png;base64," + png(stroke[:, :9], mode), "has 9 x 16 pixels")):
        entry["value"]["imageDataURL"] = wrong
        write(tmp_path, task(1, "1.jpg", entry))
        with pytest.raises(InputError, match=f"region 1.* imageDataURL.*{part}"):
            read(tmp_path, overwrite=True)


def test_brush_strokes_of_converters_that_write_0_and_1(tmp_path):
    """label_studio_converter.brush.mask2rle of a mask of 0 and 1 has them in all four channels."""
    stroke = np.random.default_rng(0).random((HEIGHT, WIDTH)) < 0.3
    entry = brush("fox", stroke)
    for value, least in ((1, True), (127, False), (128, True)):
        data = np.repeat(stroke.astype(np.uint8) * value, 4).tolist()
        text = f"{len(data):032b}{8 - 1:05b}{3:04b}{3:04b}{3:04b}{3:04b}"
        for start in range(0, len(data), 16):  # words as they are, sixteen at a time
            text += "000" + "1111" + "".join(f"{word:08b}" for word in data[start:start + 16])
        text += "0" * (-len(text) % 8)
        entry["value"]["rle"] = [int(text[place:place + 8], 2) for place in range(0, len(text), 8)]
        write(tmp_path, task(1, "1.jpg", entry, polygon("hare", [(0, 0), (2, 0), (2, 2)])))
        found = read(tmp_path, overwrite=True)["1.jpg"]
        expected = stroke & (found != "hare")
        assert np.array_equal(found == "fox", expected if least else expected & False)


def test_several_faults_of_an_export_are_told_at_once(tmp_path):
    write(tmp_path, task(1, "1.jpg", polygon("fox", SQUARE), valued(
        points=[[1]])["annotations"][0]["result"][0]), task(2, "22.jpg", region(
            "polygonlabels", "fox", points="x")), task(3, "gone.jpg"), photos=("1.jpg", "22.jpg"))
    labels = read_label_studio(Source(tmp_path / "tasks.json", tmp_path / "card", "photos"))
    assert len(labels.faults) == 3
    assert ["task 1, region 2: a polygon needs" in labels.faults[0],
            "task 2, region 1: a polygon needs" in labels.faults[1],
            "gone.jpg" in labels.faults[2]] == [True] * 3


def test_labels_and_controls_with_hyphens_in_the_names_of_pictures(tmp_path):
    stroke = np.zeros((HEIGHT, WIDTH), np.uint8)
    stroke[2:6, 3:20] = 255
    write(tmp_path, photos=("1.jpg", "22.jpg"))
    folder = tmp_path / "brush"
    folder.mkdir()
    names = {"task-1-annotation-5-by-1-brush-labels-fox-0": stroke,
             "task-2-annotation-6-by-ann-marie@x.org-brush-labels-snow-hare-0": stroke[::-1]}
    for name, picture in names.items():
        Image.fromarray(picture).save(folder / f"{name}.png")
    # JSON-MIN and JSON both tell the labels.
    (folder / "min.json").write_text(json.dumps([
        {"id": 1, "image": "1.jpg", "brush-labels": [{"brushlabels": ["fox"]}]},
        task(2, "22.jpg", region("brushlabels", "snow-hare"))]))
    labels = read_brush_pictures(Source(folder, tmp_path / "card", "photos"))
    found = written(labels.sound(), tmp_path / "out")
    assert np.array_equal(found["1.jpg"] == "fox", stroke == 255)
    assert np.array_equal(found["22.jpg"] == "snow-hare", stroke[::-1] == 255)
    assert labels.classes == ["fox", "snow-hare"] and labels.told == []


def test_the_pictures_of_brush_labels_to_png(tmp_path):
    stroke = np.zeros((HEIGHT, WIDTH), np.uint8)
    stroke[2:6, 3:20] = 255
    write(tmp_path, photos=("1.jpg", "22.jpg"))
    folder = tmp_path / "brush"
    folder.mkdir()
    for name, picture in {"task-1-annotation-5-by-ann@x.org-tag-red fox-0": stroke,
                          "task-1-annotation-5-by-ann@x.org-tag-snow-hare-0": stroke[::-1],
                          "task-1-annotation-4-by-1-tag-old-0": stroke | 255}.items():
        Image.fromarray(picture).save(folder / f"{name}.png")
    inputs = (folder, tmp_path / "card", "photos")
    with pytest.raises(InputError, match="brush: 0 JSON files"):
        read_brush_pictures(Source(*inputs)).sound()
    (folder / "min.json").write_text(json.dumps([  # JSON-MIN
        {"id": 1, "image": "/data/upload/1/00112233-1.jpg"}, {"id": 2, "image": "22.jpg"}]))
    found = written(read_brush_pictures(Source(*inputs)).sound(), tmp_path / "out")
    assert np.array_equal(found["1.jpg"] == "red fox", stroke == 255)
    assert np.array_equal(found["1.jpg"] == "snow-hare", stroke[::-1] == 255)
    assert found["22.jpg"] == ""
    (folder / "task-9-annotation-5-by-1-tag-fox-0.png").write_bytes(b"x")
    with pytest.raises(InputError, match=r"task-9-.*png: task 9 is not in .*min\.json"):
        read_brush_pictures(Source(*inputs)).sound()
    (folder / "fox.png").write_bytes(b"x")
    with pytest.raises(InputError, match=r"fox\.png: no name as Label Studio gives"):
        read_brush_pictures(Source(*inputs)).sound()


def change(entry, **edit):
    entry["annotations"][0]["result"][0].update(edit)
    return entry


def valued(**edit):
    entry = task(1, "1.jpg", polygon("fox", SQUARE))
    entry["annotations"][0]["result"][0]["value"].update(edit)
    return entry


REFUSED = {
    "another format": ({"id": 1, "image": "1.jpg"}, "JSON-MIN"),
    "path out of the folder": (task(1, "/data/local-files/?d=../../etc/passwd.jpg"),
                               r"task 1: photo '../../etc/passwd\.jpg' is no path inside"),
    "no photo in the task": (task(1, "../../etc/passwd"), "task 1: 0 photos in its `data`"),
    "missing photo": (task(1, "/absent.jpg", polygon("fox", SQUARE)),
                      r"1 of its photos are not in .*, such as '/absent\.jpg'"),
    "point": (task(1, "1.jpg", region("keypointlabels", "fox", x=1, y=1, width=1)), "no area"),
    "turned": (change(task(1, "1.jpg", polygon("fox", SQUARE)), image_rotation=90),
               "region 1: the photo was turned by 90 degrees"),
    "another photo": (change(task(1, "1.jpg", polygon("fox", SQUARE)), original_width=9),
                      "task 1: the labels are for 9 x 16 pixels"),
    "two labels": (valued(polygonlabels=["fox", "hare"]), "is not one label"),
    "two points": (valued(points=[[1, 1], [2, 2]]), "region 1: a polygon of 2 points"),
    "endless": (valued(points=[[1, 1], [2, 2], [float("inf"), 3]]), "region 1: a polygon needs"),
    "short code": (task(1, "1.jpg", region("brushlabels", "fox", format="rle", rle=[0, 0])),
                   "region 1: rle cannot be decoded"),
    "other size": (task(1, "1.jpg", region("brushlabels", "fox", format="rle", rle=[0] * 20)),
                   "it holds 0 words"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_wrong_is_refused_by_task_and_region(tmp_path, name):
    entry, part = REFUSED[name]
    write(tmp_path, entry)
    with pytest.raises(InputError, match=part) as refused:
        read(tmp_path)
    assert "tasks.json" in str(refused.value) and not (tmp_path / "out").exists()


def test_the_script_imports_it_and_lists_what_is_missing(tmp_path):
    write(tmp_path, task(1, "1.jpg", polygon("fox", SQUARE)), task(2, "gone.jpg"))
    command = [sys.executable, ROOT / "scripts/import_labels.py", "label-studio",
               tmp_path / "tasks.json", "--images", tmp_path / "card", "--out", tmp_path / "out"]
    assert "gone.jpg" in error_line(subprocess.run(command, capture_output=True, text=True))
    result = subprocess.run([*command, "--skip-missing"], capture_output=True, text=True)
    assert result.returncode == 0 and "photo gone.jpg is missing" in result.stdout
    assert len(read_manifest(tmp_path / "out/manifest.csv")) == 1


# ---------------------------------------------------------------------------- random exports


def draw(random):
    """Regions and the mask that they make, edge by edge."""
    regions, mask = [], np.full((HEIGHT, WIDTH), "background", dtype="U10")
    while not regions or (mask == "background").all():  # an export without pixels is refused
        name = NAMES[int(random.integers(2))]
        if random.random() < 0.5:
            pixels = random.random((HEIGHT, WIDTH)) < random.random()
            regions.append(brush(name, pixels, random if random.random() < 0.5 else None))
        else:
            ring = [tuple(point) for point in random.uniform((-2, -2), (26, 18), (
                int(random.integers(3, 7)), 2)).tolist()]
            pixels = inside(ring, HEIGHT, WIDTH)
            regions.append(polygon(name, ring))
        mask[pixels] = name
    return regions, mask


@many
@given(seeds)
def test_valid_exports_give_the_right_masks(seed):
    regions, mask = draw(np.random.default_rng(seed))
    with scratch() as name:
        write(Path(name), task(1, "1.jpg", *regions))
        assert np.array_equal(read(Path(name))["1.jpg"], mask)


def test_damaged_exports_give_one_clear_line_and_no_data_root():
    refused = []

    @many
    @given(seeds)
    def check(seed):
        random = np.random.default_rng(seed)
        with scratch() as name:
            folder = Path(name)
            write(folder, task(1, "1.jpg", *draw(random)[0]))
            path = folder / "tasks.json"
            if random.random() < 0.8:
                content = json.loads(path.read_text())
                damage(content, random, [*WORSE, "http://[x"])
                path.write_text(json.dumps(content))
            else:
                path.write_bytes(damaged(path.read_bytes(), random, flips=1))
            try:
                found = read(folder)
            except InputError as error:
                refused.append(seed)
                assert "\n" not in str(error)
                assert "tasks.json" in str(error) or "no photo" in str(error)
                assert not (folder / "out").exists()
            else:
                assert all(isinstance(mask, str) or mask.shape == (HEIGHT, WIDTH)
                           for mask in found.values())
    check()
    assert len(refused) > EXAMPLES // 5


# ------------------------------------------------------------------------ who said what, and where


def two_controls(*kinds, key="r1"):
    """Results of two controls for one shape: [(kind, control, label) ...]."""
    return [{**region(kind, label, points=polygon("fox", SQUARE)["value"]["points"]),
             "id": key, "from_name": control} for kind, control, label in kinds]


def test_of_two_controls_of_labels_that_of_the_shape_names_the_class(tmp_path):
    both = two_controls(("polygonlabels", "species", "fox"), ("labels", "sight", "clear"))
    for regions in (both, both[::-1]):
        write(tmp_path, task(1, "1.jpg", *regions))
        labels = read_label_studio(Source(tmp_path / "tasks.json", tmp_path / "card", "photos"))
        assert "what 'sight' (labels) says is left" in labels.told[0]
        mask = written(labels.sound(), tmp_path / "out", overwrite=True)["1.jpg"]
        assert (mask == "fox").sum() == 64 and "clear" not in np.unique(mask)


def test_two_controls_of_one_kind_are_asked_about(tmp_path):
    both = two_controls(("labels", "species", "fox"), ("labels", "sight", "clear"))
    write(tmp_path, task(1, "1.jpg", *both))
    command = ["label-studio", tmp_path / "tasks.json", "--images", tmp_path / "card", "--out",
               tmp_path / "out"]
    line = error_line(import_labels(*command))
    assert "'sight'" in line and "--control NAME" in line
    assert "what 'sight'" in imported(*command, "--control", "species")
    assert (masks_of(tmp_path / "out")[0]["card/1.jpg"] == 1).sum() == 64


def test_labels_of_another_folder_with_the_same_names_stay_there(tmp_path):
    write(tmp_path, *[task(place, f"/data/local-files/?d=photos/{folder}/IMG_1.JPG", polygon(
        name, SQUARE)) for place, (folder, name) in enumerate((("A", "fox"), ("card", "hare")))],
        photos=("IMG_1.JPG",))
    found = read(tmp_path, skip_missing=True)["IMG_1.JPG"]
    assert set(np.unique(found)) == {"hare", "background"}


def annotated(*results):
    """A task with an annotation for each list of regions, the last one updated last."""
    entry = task(1, "1.jpg")
    entry["annotations"] = [{"id": place, "result": result, "updated_at": f"2024-05-0{place}"}
                            for place, result in enumerate(results, start=1)]
    return entry


@pytest.mark.parametrize(("entry", "told"), [
    (annotated([polygon("fox", SQUARE)], []), "one annotation says that nothing is there"),
    ({**annotated(), "predictions": [{"result": [polygon("fox", SQUARE)]}]}, "drafts, predictions"),
    ({**annotated(), "drafts": [{"result": [polygon("fox", SQUARE)]}]}, "drafts, predictions"),
    (task(1, "1.jpg", polygon("fox", SQUARE), was_cancelled=True), "work that was skipped")])
def test_what_nobody_has_settled_is_unlabelled_and_told(entry, told, tmp_path):
    write(tmp_path, entry, task(2, "22.jpg", polygon("fox", SQUARE)), photos=("1.jpg", "22.jpg"))
    labels = read_label_studio(Source(tmp_path / "tasks.json", tmp_path / "card", "photos"))
    assert any("task 1: " in line and told in line for line in labels.told)
    assert written(labels.sound(), tmp_path / "out", unannotated="empty")["1.jpg"] == ""


def test_that_several_people_labelled_a_task_is_told(tmp_path):
    write(tmp_path, annotated([polygon("fox", SQUARE)], [polygon("hare", SQUARE)]))
    labels = read_label_studio(Source(tmp_path / "tasks.json", tmp_path / "card", "photos"))
    assert "task 1: 2 annotations" in labels.told[0]
    assert (written(labels.sound(), tmp_path / "out")["1.jpg"] == "hare").sum() == 64


def test_a_folder_with_a_file_for_each_annotation_as_in_a_storage(tmp_path):
    write(tmp_path, photos=("1.jpg", "22.jpg"))
    (tmp_path / "target").mkdir()
    for number, image in ((1, "1.jpg"), (2, "22.jpg")):
        entry = task(number, image, polygon("fox", SQUARE))
        annotation, = entry.pop("annotations")
        (tmp_path / f"target/{number}").with_suffix(".json").write_text(json.dumps(
            {**annotation, "task": entry}))
    stdout = imported("label-studio", tmp_path / "target", "--images", tmp_path / "card", "--out",
                      tmp_path / "out")
    assert "photos      2: 2 with masks" in stdout


def brush_folder(folder, *tasks, **pictures):
    (folder / "brush").mkdir()
    (folder / "brush/tasks.json").write_text(json.dumps(tasks))
    for name, pixels in pictures.items():
        number, annotation, label = name.split("_")
        Image.fromarray(pixels).save(folder / "brush" / (
            f"task-{number[1:]}-annotation-{annotation}-by-1-tag-{label}-0.png"))


def test_brush_pictures_of_0_and_1_are_read_and_those_without_pixel_told(tmp_path):
    stroke = np.zeros((HEIGHT, WIDTH), np.uint8)
    stroke[2:6, 3:20] = 1
    write(tmp_path, photos=("1.jpg", "22.jpg", "333.jpg"))
    brush_folder(tmp_path, *[{"id": place, "image": name} for place, name in enumerate(
        ("1.jpg", "22.jpg", "333.jpg"), start=1)], t1_5_fox=stroke, t2_6_fox=stroke * 255,
        t3_7_fox=stroke * 0)
    stdout = imported("label-studio", tmp_path / "brush", "--images", tmp_path / "card", "--out",
                      tmp_path / "out", "--unannotated", "empty")
    masks = masks_of(tmp_path / "out")[0]
    for name in ("1.jpg", "22.jpg"):
        assert np.array_equal(masks[f"card/{name}"], stroke)
    assert masks["card/333.jpg"] == ""
    assert "task-3-annotation-7-by-1-tag-fox-0.png: the fox covers no pixel" in stdout


def test_what_the_json_tells_beside_brush_pictures_counts_too(tmp_path):
    stroke = np.zeros((HEIGHT, WIDTH), np.uint8)
    stroke[13:15, 3:20] = 255
    chosen = annotated([region("brushlabels", "fox", format="rle", rle=[])], [
        region("brushlabels", "fox", format="rle", rle=[])])
    chosen["annotations"][0]["ground_truth"] = True
    chosen["annotations"][0]["result"].append(polygon("hare", SQUARE))
    write(tmp_path, photos=("1.jpg", "22.jpg", "333.jpg"))
    only = task(2, "22.jpg", polygon("hare", SQUARE))
    brush_folder(tmp_path, chosen, only, task(3, "333.jpg"), t1_1_fox=stroke, t1_2_fox=stroke * 0)
    source = Source(tmp_path / "brush", tmp_path / "card", "photos")
    found = written(read_brush_pictures(source).sound(), tmp_path / "out")
    for name, foxes in (("1.jpg", 2 * 17), ("22.jpg", 0)):
        assert (found[name] == "hare").sum() == 64 and (found[name] == "fox").sum() == foxes
    assert found["333.jpg"] == "background"
    (tmp_path / "brush/task-1-annotation-1-by-1-tag-fox-0.png").unlink()
    (tmp_path / "brush/task-1-annotation-2-by-1-tag-fox-0.png").unlink()
    labels = read_brush_pictures(Source(tmp_path / "brush", tmp_path / "card", "photos"))
    assert "task 1: its brush strokes (annotation 1) have no picture" in labels.faults[0]
