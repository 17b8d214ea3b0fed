"""The importer of iWildCam 2022's instance masks, on small files written as its readme says."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import EXAMPLES, many, seeds
from hypothesis import given
from label_files import WORSE, damage, damaged, faults_of, scratch
from PIL import Image

from camera_trapinator import IGNORE, InputError
from camera_trapinator.data.manifest import read_classes, read_manifest
from camera_trapinator.data.masks import read_mask
from camera_trapinator.labels.data_root import write_data_root
from camera_trapinator.labels.iwildcam import read_iwildcam
from camera_trapinator.labels.source import Source

WIDTH, HEIGHT = 24, 16
CATEGORIES = {"1": "animal", "2": "person", "3": "vehicle"}


def write_set(folder, detections, masks, labels=None, species=("empty", "fox", "agouti")):
    """A data set: {image id: [(category, conf) ...]}, {id: numbers}, and {id: [species id ...]}."""
    (folder / "train").mkdir()
    (folder / "instance_masks").mkdir()
    for key in detections.keys() | masks.keys() | (labels or {}).keys():
        Image.new("RGB", (WIDTH, HEIGHT)).save(folder / f"train/{key}.jpg")
    for key, numbers in masks.items():
        Image.fromarray(numbers).save(folder / f"instance_masks/{key}.png")
    (folder / "detections.json").write_text(json.dumps({
        "info": {"detector": "v4"}, "detection_categories": CATEGORIES,
        "images": [{"file": f"train/{key}.jpg", "max_detection_conf": max(
            [conf for _, conf in found], default=0), "detections": [
                {"category": category, "conf": conf, "bbox": [0.1, 0.1, 0.5, 0.5]}
                for category, conf in found]} for key, found in detections.items()]}))
    (folder / "annotations.json").write_text(json.dumps({
        "images": [{"id": key, "file_name": f"{key}.jpg", "width": WIDTH, "height": HEIGHT,
                    "location": place, "seq_id": f"s{place}", "seq_num_frames": 1,
                    "frame_num": 0, "datetime": "2013-08-05 06:04:00.000"}
                   for place, key in enumerate(labels or {})],
        "categories": [{"id": place, "name": name} for place, name in enumerate(species)],
        "annotations": [{"id": f"{key}-{kind}", "image_id": key, "category_id": kind}
                        for key, kinds in (labels or {}).items() for kind in kinds]}))


def read(folder, labels=False, **options):
    skip = options.pop("skip_missing", False)
    source = Source(folder / "instance_masks", folder / "train", "photos/train", skip_missing=skip)
    return read_iwildcam(source, detections=folder / "detections.json", metadata=folder
                         / "annotations.json" if labels else None, **options).sound()


def written(labels, out, **options):
    """{image id: (row, mask with class names for numbers, or None)} of the data root."""
    write_data_root(labels, out, **{"unannotated": "unlabelled", **options})
    names = np.array([name for name, _ in read_classes(out / "classes.csv")] + [""] * 255)
    names[IGNORE] = "ignored"
    return {row.image.rpartition("/")[2].removesuffix(".jpg"): (
        row, names[read_mask(out / row.mask)] if row.mask.endswith(".png") else None)
        for row in read_manifest(out / "manifest.csv")}


def stripes(*numbers):
    """A mask of one column for each number, the rest 0."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[:, :len(numbers)] = numbers
    return mask


def columns(mask, count):
    return mask[HEIGHT // 2, :count].tolist()


def test_numbers_are_those_of_the_detections_and_unsure_ones_are_ignored(tmp_path):
    write_set(tmp_path, {"a": [("1", 0.9), ("3", 0.8), ("1", 0.49), ("2", 0.5)], "b": []},
              {"a": stripes(4, 3, 2, 1, 0)})
    labels = read(tmp_path)
    assert labels.classes == ["animal", "person", "vehicle"] and not labels.unpaired
    found = written(labels, tmp_path / "out")
    assert columns(found["a"][1], 5) == ["person", "ignored", "vehicle", "animal", "background"]
    assert found["b"][0].mask == ""  # without annotation nobody says that it is empty
    found = written(read(tmp_path, confidence=0.4), tmp_path / "out", overwrite=True)
    assert columns(found["a"][1], 5)[1] == "animal"


def test_the_species_of_an_image_is_that_of_its_animals(tmp_path):
    detections = {key: [("1", 0.9), ("2", 0.9)] for key in ("one", "two", "none", "unknown")}
    write_set(tmp_path, {**detections, "empty": [], "nobody": [], "faint": [("1", 0.2)]},
              {key: stripes(1, 2) for key in detections},
              {"one": [2, 2], "two": [1, 2], "none": [0], "empty": [0], "nobody": [],
               "faint": [0]}, species=("empty", "fox ", "agouti"))
    labels = read(tmp_path, labels=True)
    assert labels.classes == ["agouti", "person"]  # those that occur: there are 205 in all
    found = written(labels, tmp_path / "out")
    assert columns(found["one"][1], 3) == ["agouti", "person", "background"]
    for key in ("two", "none", "unknown"):
        assert columns(found[key][1], 3) == ["ignored", "person", "background"]
    assert [found[key][0].mask for key in ("empty", "faint", "nobody")] == [
        "background", "background", ""]
    assert found["one"][0][2:5] == ("0", "2013-08-05 06:04:00", "s0")  # location 0 is a location
    assert found["unknown"][0].location == "train"


def test_the_file_of_the_test_images_gives_locations_and_keeps_the_detectors_classes(tmp_path):
    write_set(tmp_path, {"a": [("1", 0.9)]}, {"a": stripes(1)}, {"a": []})
    path = tmp_path / "annotations.json"
    content = json.loads(path.read_text())
    del content["annotations"]
    path.write_text(json.dumps(content))
    row, mask = written(read(tmp_path, labels=True), tmp_path / "out")["a"]
    assert columns(mask, 2) == ["animal", "background"] and row.sequence == "s0"


def test_masks_and_photos_without_partner_are_told_or_listed(tmp_path):
    write_set(tmp_path, {"a": [("1", 0.9)], "b": [("1", 0.9)], "c": [("1", 0.9)]},
              {"a": stripes(1), "b": stripes(1)})
    (tmp_path / "train/a.jpg").unlink()
    with pytest.raises(InputError, match=r"c\.png: missing, though .*detections\.json"):
        read(tmp_path)  # as an empty photo, c would teach that its animal is none
    labels = read(tmp_path, skip_missing=True)
    assert [photo.file for photo in labels.photos] == ["photos/train/b.jpg"]
    assert "c.png" in labels.unpaired[0] and "a.png: its photo is missing" in labels.unpaired[1]


def test_no_picture_is_opened_whole_before_it_is_drawn(tmp_path, monkeypatch):
    write_set(tmp_path, {"a": [("1", 0.9)]}, {"a": stripes(1)})
    monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("a picture was decoded"))
    assert len(read(tmp_path).photos) == 1


# -------------------------------------------------------------------------------- refusals


def change(path, edit):
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


REFUSED = {
    "value too large": (lambda f: Image.fromarray(stripes(3)).save(f / "instance_masks/a.png"),
                        r"a\.png: value 3 .* 2 detections"),
    "not in the detections": (lambda f: change(f / "detections.json",
                                               lambda c: c["images"].clear()),
                              r"a\.png: .*detections\.json does not name its image"),
    "colour picture": (lambda f: Image.new("RGB", (WIDTH, HEIGHT)).save(
        f / "instance_masks/a.png"), r"a\.png: a picture of mode RGB"),
    "no picture": (lambda f: (f / "instance_masks/a.png").write_text("x"), r"a\.png: cannot be"),
    "another size": (lambda f: Image.new("L", (HEIGHT, HEIGHT)).save(f / "instance_masks/a.png"),
                     r"a\.png: the labels are for 16 x 16"),
    "unknown category": (lambda f: change(f / "detections.json", lambda c: c["images"][0][
        "detections"][1].update(category="9")), r"train/a\.jpg', detection 2: category '9'"),
    "no confidence": (lambda f: change(f / "detections.json", lambda c: c["images"][0][
        "detections"][1].update(conf="high")), r"a\.jpg', detection 2: conf 'high'"),
    "image twice": (lambda f: change(f / "detections.json",
                                     lambda c: c["images"].append(c["images"][0])), "two images"),
    "no categories": (lambda f: change(f / "detections.json",
                                       lambda c: c.pop("detection_categories")),
                      r"detections\.json: no MegaDetector file"),
    "unknown species": (lambda f: change(f / "annotations.json", lambda c: c["annotations"][
        0].update(category_id=77)), r"annotations\.json, annotation 'a-1': .*'77'"),
    "annotation of no image": (lambda f: change(f / "annotations.json", lambda c: c["annotations"][
        0].update(image_id="z")), r"annotations\.json, annotation 'a-1': image_id 'z'"),
    "annotated twice": (lambda f: change(f / "annotations.json", lambda c: c["images"].append(
        c["images"][0])), "image 'a': .* twice"),
    "two photos of one id": (lambda f: Image.new("RGB", (9, 9)).save(f / "train/a.png"),
                             r"a\.png: .*a\.jpg has the same image id"),
    "link out of the folder": (lambda f: ((f / "train/x.jpg").symlink_to("/etc/passwd")),
                               r"'x\.jpg' leads out"),
    "damaged photo": (lambda f: (f / "train/b.jpg").write_text(""), r"b\.jpg: cannot be read"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_go_together_is_refused_by_name(name, tmp_path):
    edit, part = REFUSED[name]
    write_set(tmp_path, {"a": [("1", 0.9), ("2", 0.9)], "b": []}, {"a": stripes(1, 2)},
              {"a": [1], "b": [0]})
    edit(tmp_path)
    with pytest.raises(InputError, match=part) as refused:
        written(read(tmp_path, labels=True), tmp_path / "out")
    assert "\n" not in str(refused.value) and not (tmp_path / "out").exists()


def test_all_that_is_wrong_with_a_set_is_told_at_once(tmp_path):
    """A link, a damaged photo, a picture of another kind; and no question about their photos."""
    write_set(tmp_path, {key: [("1", 0.9)] for key in "abcd"}, {key: stripes(1) for key in "abc"})
    (tmp_path / "train/x.jpg").symlink_to("/etc/passwd")
    (tmp_path / "train/b.jpg").write_text("")
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "instance_masks/c.png")
    source = Source(tmp_path / "instance_masks", tmp_path / "train", "photos/train")
    labels = read_iwildcam(source, detections=tmp_path / "detections.json")
    for fault, part in zip(labels.faults, ("b.jpg: cannot be read", "c.png: a picture of mode RGB",
                                           "'x.jpg' leads out", "d.png: missing"), strict=True):
        assert part in fault
    assert len(faults_of(lambda: write_data_root(labels, tmp_path / "out"))) == 4


def test_a_set_without_any_class_is_refused(tmp_path):
    write_set(tmp_path, {"a": [("1", 0.9)]}, {"a": stripes(1)}, {"a": [1, 2]})
    with pytest.raises(InputError, match="instance_masks: no detection .* has a class"):
        read(tmp_path, labels=True)


def test_folders_that_cannot_be_meant_are_refused(tmp_path):
    write_set(tmp_path, {"a": [("1", 0.9)]}, {"a": stripes(1)})
    with pytest.raises(InputError, match="such as train/"):
        read_iwildcam(Source(tmp_path / "instance_masks", tmp_path), detections=tmp_path / "x.json")
    with pytest.raises(InputError, match="masks: does not exist"):
        read_iwildcam(Source(tmp_path / "masks", tmp_path), detections=tmp_path / "x.json")
    with pytest.raises(InputError, match="--confidence nan"):
        read(tmp_path, confidence=float("nan"))


# ------------------------------------------------------------------------ random data sets


def draw(random):
    """Detections, masks and species of a few images."""
    detections, masks, labels = {}, {}, {}
    for key in "abc":
        drawn = [(str(random.integers(1, 4)), float(random.choice([0, 0.3, 0.5, 1])))
                 for _ in range(int(random.integers(4)))]
        detections[key] = [("2", 1.0)] * (key == "a") + drawn  # one class at least
        count = len(detections[key])
        if key == "a" or any(conf >= 0.5 for _, conf in detections[key]) or random.random() < 0.5:
            numbers = random.integers(0, count + 1, (HEIGHT, WIDTH))
            masks[key] = numbers.astype([np.uint8, np.uint16][int(random.integers(2))])
        labels[key] = sorted(set(random.integers(0, 3, int(random.integers(3))).tolist()))
    return detections, masks, labels


@many
@given(seeds)
def test_valid_data_sets_give_the_right_masks(seed):
    random = np.random.default_rng(seed)
    detections, masks, labels = draw(random)
    with_species = bool(random.random() < 0.5)
    species = ("empty", "fox", "agouti")
    with scratch() as name:
        folder = Path(name)
        write_set(folder, detections, masks, labels, species)
        found = written(read(folder, labels=with_species), folder / "out")
        for key in "abc":
            row, mask = found[key]
            if key not in masks:
                assert row.mask == ("background" if with_species and labels[key] == [0] else "")
                continue
            for x in range(0, WIDTH, 5):
                for y in range(0, HEIGHT, 3):
                    number = int(masks[key][y, x])
                    expected = "background"
                    if number:
                        category, conf = detections[key][number - 1]
                        expected = CATEGORIES[category]
                        if with_species and expected == "animal":
                            one = len(labels[key]) == 1 and labels[key] != [0]
                            expected = species[labels[key][0]] if one else "ignored"
                        if conf < 0.5:
                            expected = "ignored"
                    assert mask[y, x] == expected


def test_damaged_files_give_one_clear_line_and_no_data_root():
    refused = []

    @many
    @given(seeds)
    def check(seed):
        random = np.random.default_rng(seed)
        with scratch() as name:
            folder = Path(name)
            write_set(folder, *draw(random))
            path = folder / ["detections.json", "annotations.json", "instance_masks/a.png"][
                int(random.integers(3))]
            if path.suffix == ".json" and random.random() < 0.7:
                change(path, lambda content: damage(content, random, [*WORSE, "empty"]))
            else:
                path.write_bytes(damaged(path.read_bytes(), random))
            try:
                found = written(read(folder, labels=True), folder / "out")
            except InputError as error:
                refused.append(seed)
                assert "\n" not in str(error)
                assert any(part in str(error) for part in (
                    path.name, "instance_masks", ".png", ".jpg", "no photo"))
                assert not (folder / "out").exists()
            else:
                for row, mask in found.values():
                    assert mask is None or mask.shape == (HEIGHT, WIDTH), row
    check()
    assert len(refused) > EXAMPLES // 5
