"""Nobody who publishes results gives away where a rare animal lives, or a person's face: every file
that the scripts write is searched for planted ones."""

import csv
import json
import shutil

import numpy as np
import pytest
import yaml
from camtrap_packages import FACTS, SCHEMAS, official_faults
from conftest import error_line, run_script
from PIL import Image
from planted import (
    LATITUDE,
    LONGITUDE,
    SECONDS,
    face,
    faces_in,
    places_in,
    plant_place,
)
from prediction_records import FULL_INFO, predicted, with_box, write_records

from camera_trapinator.data.manifest import Class, Row, write_classes, write_manifest
from camera_trapinator.data.masks import write_mask
from camera_trapinator.outputs.coordinates import rounded
from camera_trapinator.outputs.maps import map_record, write_map_overlays
from camera_trapinator.outputs.metadata import copy_picture
from camera_trapinator.outputs.people import EVERYBODY, People, blurred, find_people
from camera_trapinator.outputs.records import read_records
from camera_trapinator.outputs.repeats_told import settle_repeats
from camera_trapinator.utils import ROOT

CLASSES = [Class("background", (0, 0, 0)), Class("fox", (230, 120, 20)),
           Class("Person", (80, 160, 255))]
HEIGHT, WIDTH = 192, 256
KNOBS = ["working_scale=64", "crop_size=48,64", "width=8", "depth=2", "batch_size=4",
         "num_workers=0", "learning_rate=0.1", "flip=0", "scale_range=1,1", "brightness=0",
         "contrast=0", "colour=0", "grayscale=0", "noise=0", "blur=0", "start_fraction=0.9",
         "seed=1"]
ALL = ("masks, masks_zip, overlays, csv, megadetector, coco, xmp, camtrapr, camtrap_dp, "
       "wildlife_insights, upright, report")
# How the names of files with faces begin; each kind must be there when people are shown.
WITH_FACES = {"run": ["batch.jpg", "difficulty.jpg"], "check": ["data_sheet.png"],
              "test": ["worst.jpg", "report.html", "overlays/"],
              "predict": ["report.html", "overlays/", "upright/"]}


def draw(kind: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A photo of nothing (0), a fox (1) or a person (2), and its mask."""
    image = random.integers(60, 100, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    y, x = int(random.integers(20, 40)), int(random.integers(20, 140))
    if kind == 1:
        mask[y:y + 60, x:x + 90] = 1
        image[mask > 0] = (220, 130, 60)
    if kind == 2:
        mask[y:y + 140, x:x + 72] = 2
        image[mask > 0] = (40, 60, 230)
        image[y:y + 72, x:x + 72] = face(72)
    return image, mask


def write_photo(path, kind: int, seed: int, orientation: int = 1) -> np.ndarray:
    image, mask = draw(kind, np.random.default_rng(seed))
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = np.rot90(image) if orientation == 6 else image
    Image.fromarray(np.ascontiguousarray(stored)).save(path, quality=95)
    plant_place(path, orientation)
    return mask


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A data root, a card of new photos, and what a project knows of them."""
    folder = tmp_path_factory.mktemp("world")
    rows = []
    for number in range(36):
        site, kind = number % 6, number // 6 % 3
        file = f"photos/site{site}/IMG_{number:04}.JPG"
        mask = write_photo(folder / "root" / file, kind, number)
        mask_file = f"masks/IMG_{number:04}.png" if kind else "background"
        if kind:
            write_mask(folder / "root" / mask_file, mask, [colour for _, colour in CLASSES])
        rows.append(Row(file, mask_file, f"site{site}", f"2024-05-{1 + number % 28:02} 10:00:00",
                        split=["train", "train", "train", "val", "val", "test"][site]))
    write_manifest(folder / "root/manifest.csv", rows)
    write_classes(folder / "root/classes.csv", CLASSES)
    for number in range(9):
        write_photo(folder / f"card/site{number % 2}/IMG_{number:04}.JPG", number % 3,
                    100 + number, orientation=6 if number > 5 else 1)
    header = ["deploymentID", "location", "latitude", "longitude", "start", "end", "timezone",
              "locationName", "habitat", "deploymentComments", "utm", "coordinateUncertainty"]
    with open(folder / "deployments.csv", "w", newline="") as file:
        csv.writer(file).writerows([header, *[
            [f"d{site}", f"site{site}", LATITUDE, LONGITUDE, "2024-04-01", "2024-06-30", "Z",
             f"hut at {LATITUDE} {LONGITUDE}", f"bog, {LATITUDE}", "PLANTED OWNER",
             "PLANTED IN A NOTE", "30"] for site in range(6)]])
    (folder / "project.yaml").write_text(yaml.safe_dump({
        **FACTS, "species": {"fox": "Vulpes vulpes"}, "wildlife_insights": {"project_id": "7"}}))
    return folder


def test_where_nothing_tells_who_is_a_person_it_is_said():
    names = ["background", "fox", "human"]
    assert "none is blurred" in find_people("blur", [], "", names[:2]).unknown
    assert "none is left out" in find_people("hide", [], "", names[:2]).unknown
    assert not find_people("show", [], "", names[:2]).unknown
    assert not find_people("blur", [], "", names).unknown


@pytest.fixture(scope="module")
def runs(world):
    """The folder of runs: `blur`, trained, and `show`, of one epoch."""
    for people in ("blur", "show"):
        result = run_script("train.py", "--config", ROOT / "configs/unet.yaml", "--run", people,
                            f"data_root={world}/root", *KNOBS, f"people={people}",
                            f"epochs={16 if people == 'blur' else 1}", runs=world / "runs")
        assert result.returncode == 0, result.stderr
        assert ("people      12 photos show people" in result.stdout) == (people != "show")
    return world / "runs"


def privacy(world, people: str) -> list[str]:
    return [f"outputs={ALL}", f"deployments_file={world}/deployments.csv", "sensitive_species=fox",
            f"project_file={world}/project.yaml", "smallest_blob=0.002", f"people={people}"]


@pytest.fixture(scope="module")
def results(world, runs):
    """For each way with people, the folder of all that the three scripts write; of the card, over
    what was written when people were shown."""
    for people in ("show", "blur", "hide"):
        out = world / people
        if people != "show":
            shutil.copytree(world / "show/predict", out / "predict", symlinks=True)
        for script, arguments in (
                ("check_data.py", ["--config", ROOT / "configs/unet.yaml", "--out", out / "check",
                                   f"data_root={world}/root", *KNOBS, f"people={people}"]),
                ("test.py", ["--run", "blur", "--out", out / "test", *privacy(world, people)]),
                ("test.py", ["--run", "blur", "--images", world / "card", "--out",
                             out / "predict", *privacy(world, people)])):
            result = run_script(script, *arguments, runs=runs)
            assert result.returncode == 0, result.stderr
            assert ("photos show people, or may" in result.stdout) == (people != "show")
            assert people == "show" or "predict" not in str(arguments) or (
                "9 of 9 photos are done" in result.stdout)
    (runs / "show").rename(world / "show/run")
    return world


def test_a_face_is_found_where_people_are_shown(results):
    found = faces_in(results / "show")
    for folder, kinds in WITH_FACES.items():
        for kind in kinds:
            assert any(name.startswith(f"{folder}/{kind}") for name in found), (kind, found)


@pytest.mark.parametrize("people", ["blur", "hide"])
def test_no_file_shows_a_face(results, people):
    assert faces_in(results / people) == {}
    for folder in ("test", "predict"):
        out = results / people / folder
        records = list(read_records(out / "predictions.jsonl")[1])
        with_people = {record["file"] for record in records if any(
            blob["class"] == 2 for blob in record["blobs"])}
        assert len(with_people) >= 2, "the network finds nobody: this test cannot fail"
        pictures = {path.relative_to(out / "overlays").as_posix().removesuffix(".jpg")
                    for path in (out / "overlays").rglob("*.jpg")}
        assert (with_people <= pictures) == (people == "blur")
        assert not with_people & pictures or people == "blur"
        foxes = {record["file"] for record in records if [
            blob["class"] for blob in record["blobs"]] == [1]}
        assert len(foxes) >= 2 and foxes <= pictures, "the others are drawn"
        assert foxes <= {path.relative_to(out / "upright").as_posix()
                         for path in (out / "upright").rglob("*.JPG")} or folder == "test"
        page = (out / "report.html").read_text(encoding="utf-8")
        data = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
        linked = {photo["file"] for photo in data["photos"] if "people" not in photo}
        assert not linked & with_people and linked
        assert (data["counts"].get("hidden", 0) >= len(with_people)) == (people == "hide")


def test_a_run_that_is_trained_shows_no_face(world, results):
    assert faces_in(world / "runs/blur") == {} and (world / "runs/blur/batch.jpg").exists()


@pytest.mark.parametrize("people", ["blur", "hide", "show"])
def test_no_file_tells_a_place(world, results, people):
    assert places_in(results / people) == []
    assert places_in(world / "runs") == []


def test_the_finder_of_places_finds_them(world):
    found = places_in(world / "card")
    for secret in ("NOTE", "XMP", "COMMENT", "OWNER", "position", "GPSL"):
        assert any(secret in place for place in found), found
    assert any(str(SECONDS.to_bytes(4, "big")) in place for place in found)
    (world / "check places").mkdir()
    (world / "check places/a.csv").write_text(f"latitude\n{LATITUDE}\n")
    assert len(places_in(world / "check places")) == 1


def test_the_finder_of_places_takes_no_clock_for_one(tmp_path):
    log = tmp_path / "log.csv"
    log.write_text("epoch,mean_iou,images_per_second,seconds\n1,0.0965851,74.6,151.926\n"
                   "2,0.5,51.7412,0.28\n")
    assert places_in(tmp_path) == []
    for told in (f"1,0.5,3,4,{LATITUDE}", f"1,{LONGITUDE},3,4,a", "1,0.5,3,4,51.73N 151.92W"):
        log.write_text(f"epoch,mean_iou,images_per_second,seconds,place\n{told}\n")
        assert places_in(tmp_path) != []


def test_the_package_is_sound_and_tells_how_unsure_its_places_are(results):
    out = results / "blur/predict"
    with open(out / "camtrap_dp/deployments.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6, "not only where it was found"
    for row in rows:
        assert (row["latitude"], row["longitude"]) == ("51.7", "-151.9")
        assert row["locationName"] == row["habitat"] == row["deploymentComments"] == ""
        # The exact place lies that near: by the haversine formula, on a sphere of the equator.
        angles = np.radians([float(LATITUDE), float(LONGITUDE), 51.7, -151.9])
        half = np.sin((angles[2:] - angles[:2]) / 2) ** 2
        away = 2 * 6378137 * np.arcsin(np.sqrt(
            half[0] + np.cos(angles[0]) * np.cos(angles[2]) * half[1]))
        assert away + 30 <= int(row["coordinateUncertainty"]) < 8000
    package = json.loads((out / "camtrap_dp/datapackage.json").read_text())
    assert package["coordinatePrecision"] == 0.1
    assert package["spatial"]["coordinates"] == [[-151.9, 51.7]] * 6
    if SCHEMAS.is_dir():
        assert official_faults(out / "camtrap_dp") == []
    for table, column in (("camtrapr/CTtable.csv", "longitude"),
                          ("wildlife_insights/deployments.csv", "longitude")):
        with open(out / table, newline="") as file:
            assert {row[column] for row in csv.DictReader(file)} == {"-151.9"}


def test_dropped_places_are_in_no_table_and_a_package_is_refused(results, runs):
    words = ["--run", "blur", "--images", results / "card", "--out", results / "blur/predict",
             *privacy(results, "blur"), "coordinates=drop"]
    refused = run_script("test.py", *words, runs=runs)
    assert "set coordinates: 1" in error_line(refused)
    taken = run_script("test.py", *words, "outputs=camtrapr", runs=runs)
    assert taken.returncode == 0, taken.stderr
    assert "9 of 9 photos are done" in taken.stdout, "a knob on privacy predicts nothing anew"
    with open(results / "blur/predict/camtrapr/CTtable.csv", newline="") as file:
        assert {row["latitude"] + row["longitude"] for row in csv.DictReader(file)} == {""}


def test_a_name_that_is_no_class_is_refused_before_anything_is_done(results, runs):
    for knob, message in (("sensitive_species=foxx", "did you mean fox?"),
                          ("people_classes=persn", "did you mean Person?")):
        for script, start in (("test.py", ["--run", "blur", "--images", results / "card"]),
                              ("train.py", ["--config", ROOT / "configs/unet.yaml", "--run", "x",
                                            f"data_root={results}/root"])):
            assert message in error_line(run_script(script, *start, knob, runs=runs))


def test_a_detector_tells_of_people_where_no_class_does(trained, data_root, tmp_path):
    """Photos with a person by MegaDetector, or that it has not read, or not looked at."""
    card, files = tmp_path / "card", ["a.JPG", "b/c.JPG", "d.JPG", "e.JPG", "f.JPG"]
    for number, file in enumerate(files):
        write_photo(card / file, 2, number)

    def detections(confidence: float, category: str) -> list[dict]:
        return [{"category": category, "conf": confidence, "bbox": [0.1, 0.1, 0.2, 0.2]}]

    found = tmp_path / "md.json"
    found.write_text(json.dumps({
        "info": {"format_version": "1.6"}, "detection_categories": {"1": "animal", "2": "person"},
        "images": [{"file": "a.JPG", "detections": detections(0.06, "2")},
                   {"file": "b\\c.JPG", "failure": "x", "detections": None},
                   {"file": "d.JPG", "detections": detections(0.9, "1")},
                   {"file": "e.JPG", "detections": detections(0.04, "2")}]}))
    words = ["--run", "shapes", "--images", card, "--out", tmp_path / "out",
             "outputs=overlays, report, upright", f"people_file={found}"]
    result = run_script("test.py", *words, runs=trained)
    assert result.returncode == 0, result.stderr
    assert "tells nothing of 1 photos, such as f.JPG" in result.stdout
    assert "people      3 photos show people, or may" in result.stdout
    shown = {name for name in faces_in(tmp_path / "out") if name.startswith("overlays/")}
    assert shown == {"overlays/d.JPG.jpg", "overlays/e.JPG.jpg"}
    assert run_script("test.py", *words, "people=hide", runs=trained).returncode == 0
    assert {path.name for path in (tmp_path / "out/overlays").rglob("*.jpg")} == {
        "d.JPG.jpg", "e.JPG.jpg"}, "what was drawn before is gone"
    found.write_text(found.read_text().replace(".JPG", ".PNG"))
    assert "holds no photo of those here, such as a.JPG" in error_line(
        run_script("test.py", *words, runs=trained))
    for text, message in (("[]", "no MegaDetector JSON"), ("{", "no JSON"),
                          ('{"images": [], "detection_categories": {"1": "animal"}}',
                           "it knows no people, only animal")):
        found.write_text(text)
        assert message in error_line(run_script("test.py", *words, runs=trained))


def test_repeats_and_maps_show_no_face(tmp_path):
    """A person at one place day after day; and the maps of a regression, which has no classes."""
    files = [f"a/{day}.JPG" for day in range(12)]
    for number, file in enumerate(files):
        write_photo(tmp_path / "card" / file, 2, number)
    path = write_records(tmp_path / "out/predictions.jsonl", [
        predicted(file, with_box(20, 20, 40, 30, 2, (HEIGHT, WIDTH)), location="a",
                  datetime=f"2024-05-{1 + day:02} 10:00:00")
        for day, file in enumerate(files)], FULL_INFO)
    maps = tmp_path / "maps.jsonl"
    write_records(maps, [map_record(files[0], np.full((8, 8), 0.5, np.float32),
                                    width=WIDTH, height=HEIGHT)],
                  {**FULL_INFO, "quantity": "m", "values": {
                      "low": 0, "high": 1, "mean": 0.5, "spread": 0.3}})
    for people, by_file in ((EVERYBODY, EVERYBODY), (People("blur", [2]), People("blur", [], [])),
                            (People("hide", [2]), People("hide", [], []))):
        shown = people is EVERYBODY
        (tmp_path / "out/repeats.csv").unlink(missing_ok=True)
        settle_repeats(path, tmp_path / "card", "tell", people)
        assert (list(faces_in(tmp_path / "out")) == ["repeats.jpg"]) == shown
        write_map_overlays(maps, tmp_path / "card", tmp_path / "drawn", people=by_file)
        # A map colours the photo, in which the face is only grey.
        assert len(list((tmp_path / "drawn").rglob("*.jpg"))) == (by_file.how != "hide")
    drawn = []
    for people in (EVERYBODY, People("blur", [], [])):
        write_map_overlays(maps, tmp_path / "card", tmp_path / "drawn", people=people)
        with Image.open(tmp_path / "drawn" / f"{files[0]}.jpg") as picture:
            drawn.append(np.asarray(picture.convert("L"), float)[:HEIGHT, :WIDTH])
    edges = [np.abs(np.diff(picture)).mean() for picture in drawn]
    assert edges[1] < edges[0] / 3


def test_a_face_that_fills_the_photo_is_blurred_too():
    """Nothing is left but the mean colours of the blocks: with the pixels of each at random places
    it is the same picture."""
    random = np.random.default_rng(0)
    whole = random.integers(0, 255, (120, 160, 3)).astype(np.uint8)
    blocks = whole.reshape(6, 20, 8, 20, 3).swapaxes(1, 2).reshape(48, 400, 3)
    mixed = random.permuted(blocks, axis=1).reshape(6, 8, 20, 20, 3).swapaxes(1, 2)
    pictures = (blurred(picture.reshape(whole.shape)).astype(int) for picture in (mixed, whole))
    assert np.abs(np.subtract(*pictures)).max() <= 2  # each pass of the resizing rounds
    assert blurred(np.full((5, 3, 3), 7, np.uint8)).tolist() == np.full((5, 3, 3), 7).tolist()


def test_who_is_a_person():
    names = ["background", "red fox", "Homo_sapiens", "man-eater"]
    assert find_people("blur", [], "", names).classes == {2}
    assert find_people("blur", ["Man-Eater"], "", names).classes == {3}
    people, record = find_people("blur", [], "", names), predicted("a.jpg", with_box(3, 3, 9, 9))
    image = np.zeros((4, 4, 3), np.uint8)
    assert people.shown(image, people.in_record(record)) is image
    faint = {**record["blobs"][0], "class": 2}
    for changed in (predicted("a.jpg", with_box(3, 3, 9, 9, 2)), {**record, "faint": [faint]},
                    predicted("a.jpg", with_box(3, 3, 9, 9), sure=0.3),  # unknown
                    predicted("a.jpg", with_box(3, 3, 9, 9) + with_box(3, 5, 2, 2)),  # one blob
                    {**record, "confusion": [[9, 9, 0, 0], [0] * 4, [1, 0, 0, 0], [0] * 4]}):
        assert people.in_record(changed) and not EVERYBODY.in_record(changed)
        assert not find_people("show", [], "", names).in_record(changed)
        assert not find_people("blur", [], "", ["background", "fox"]).in_record(changed)
    assert not people.in_record({**record, "confusion": [[9, 9, 1, 0], *[[0] * 4] * 3]})
    assert not people.in_record({**record, "failure": "torn", "pixels": None})


@pytest.mark.parametrize(("degrees", "step", "wanted"), [
    ("51.25", "0.1", "51.3"), ("-0.04", "0.1", "0.0"), ("179.96", "0.1", "180.0"),
    ("+5.", "1", "5"), ("1e2", "0.01", "100"), ("-33.0005", "0.001", "-33.001"),
    (".5", "1", "1")])
def test_coordinates_are_rounded_as_texts(degrees, step, wanted):
    assert rounded(degrees, step) == wanted


def test_names_that_tell_a_place_are_refused(tmp_path, trained, data_root):
    """A location, an ID or a line of the project file with the digits that were to be hidden."""
    card = tmp_path / f"N{LATITUDE}"
    write_photo(card / "a.JPG", 1, 0)
    (tmp_path / "d.csv").write_text(
        "deploymentID,location,latitude,longitude,start,end,timezone,setupBy,cameraHeight\n"
        f"d {LONGITUDE[:8]},N{LATITUDE},{LATITUDE},{LONGITUDE},2024-04-01,2024-06-01,Z,Ann,51.73\n")
    (tmp_path / "p.yaml").write_text(f"species: {{fox: Vulpes vulpes}}\ndescription: at {LATITUDE}")
    words = ["--run", "shapes", "--images", card, "--out", tmp_path / "out", "outputs=csv",
             f"deployments_file={tmp_path}/d.csv", f"project_file={tmp_path}/p.yaml"]
    line = error_line(run_script("test.py", *words, "sensitive_species=fox", runs=trained))
    for told in (f"location 'N{LATITUDE}' tells a coordinate more finely than coordinates: 0.1",
                 f"deploymentID 'd {LONGITUDE[:8]}'", f"project_file: 'at {LATITUDE}'"):
        assert told in line
    assert "cameraHeight" not in line and not (tmp_path / "out/predictions.jsonl").exists()
    assert run_script("test.py", *words, runs=trained).returncode == 0


@pytest.mark.parametrize("progressive", [False, True])
def test_a_copy_has_the_same_pixels_and_no_other_picture(tmp_path, progressive):
    """Of a phone's photo (MPO) the second picture has an EXIF of its own."""
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3)).astype(np.uint8)
    first, second, place = Image.fromarray(pixels), Image.fromarray(255 - pixels), Image.Exif()
    place.get_ifd(0x8825)[1] = "GPSL"
    photo, copy = tmp_path / "card/a.jpg", tmp_path / "copy/a.jpg"
    photo.parent.mkdir()
    copy.parent.mkdir()
    first.save(photo, quality=90, progressive=progressive, icc_profile=b"colours of a screen")
    plant_place(photo)
    with Image.open(photo) as image:
        image.save(photo.with_name("b.jpg"), "MPO", save_all=True, append_images=[second],
                   exif=image.getexif(), progressive=progressive, icc_profile=b"colours")
    for file in ("a.jpg", "b.jpg"):
        copy_picture(photo.with_name(file), copy.with_name(file))
        with Image.open(photo.with_name(file)) as image, Image.open(
                copy.with_name(file)) as copied:
            assert copied.format == "JPEG"
            assert np.array_equal(np.asarray(image), np.asarray(copied))
            assert copied.getexif()[0x010F] == "RECONYA"
            assert copied.getexif().get_ifd(0x8769)[0x9003] == "2024:05:01 10:00:00"
    assert places_in(photo.parent) and places_in(copy.parent) == []
