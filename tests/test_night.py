"""Photos turned into night, and info strips: found, hidden from the network, never predicted."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import QUICK, error_line, make_data, run_script
from PIL import Image, ImageDraw

from camera_trapinator import IGNORE, InputError
from camera_trapinator.config import parse_config
from camera_trapinator.data.manifest import Row, read_manifest
from camera_trapinator.data.masks import read_mask, write_mask
from camera_trapinator.data.photos import is_infrared, photo_size, read_photo
from camera_trapinator.data.rle import decode_rle
from camera_trapinator.data.strips import (
    Strips,
    find_strip,
    find_strips,
    read_strips,
    strips_for,
    write_strips,
)
from camera_trapinator.dataset import CameraTrapDataset, PredictionDataset
from camera_trapinator.model import UNet
from camera_trapinator.transforms import FILL, train_transform
from camera_trapinator.utils import ROOT

SHARED = ROOT.parent / "shared" / "data"
GEOMETRY = {"crop_size": (120, 160), "scale_range": (1.0, 1.0), "animal_crops": 0.0, "flip": 0.0}
LOUD = {"brightness": 0.3, "contrast": 0.3, "colour": 0.3, "grayscale": 0.2, "noise": 8.0,
        "blur": 0.1}


# ------------------------------------------------------------------------------ infrared


def infrared(image, mask, seed, **knobs):
    torch.manual_seed(seed)
    return train_transform(image, mask, **GEOMETRY, **LOUD | knobs, infrared=1.0)


def test_infrared_photos_are_grey_and_their_mask_is_untouched():
    image = torch.randint(0, 256, (3, 120, 160), dtype=torch.uint8)
    mask = torch.randint(0, 4, (120, 160), dtype=torch.uint8)
    for seed in range(8):
        night, same = infrared(image, mask, seed)
        assert night.dtype == torch.uint8 and night.shape == image.shape
        assert torch.equal(night[0], night[1]) and torch.equal(night[0], night[2])
        assert torch.equal(same, mask)
        assert torch.equal(night, infrared(image, mask, seed)[0])  # of the seed alone
        assert not torch.equal(night, infrared(image, mask, seed + 1)[0])
    assert is_infrared(night.permute(1, 2, 0).numpy())


def test_infrared_skips_the_colour_steps_and_none_is_as_before():
    image = torch.randint(0, 256, (3, 120, 160), dtype=torch.uint8)
    mask = torch.zeros(120, 160, dtype=torch.uint8)
    still = dict.fromkeys(LOUD, 0.0)
    assert torch.equal(infrared(image, mask, 3)[0], infrared(image, mask, 3, **still)[0])
    torch.manual_seed(5)
    before = train_transform(image, mask, **GEOMETRY, **LOUD)[0]
    torch.manual_seed(5)
    assert torch.equal(before, train_transform(image, mask, **GEOMETRY, **LOUD, infrared=0.0)[0])


def block_mean(picture):
    return torch.nn.functional.avg_pool2d(picture[None], 12)[0]


def test_infrared_light_falls_off_and_noise_is_strongest_in_the_dark():
    image = torch.full((3, 120, 160), 150, dtype=torch.uint8)
    mask = torch.zeros(120, 160, dtype=torch.uint8)
    centres, corners, tops, bottoms, correlations = [], [], [], [], []
    for seed in range(40):
        night = infrared(image, mask, seed)[0][0].float()
        centres.append(night[40:90, 50:110].mean())
        corners.append(torch.cat([night[:20, :20], night[:20, -20:], night[-20:, :20],
                                  night[-20:, -20:]]).mean())
        tops.append(night[:30].mean())
        bottoms.append(night[-30:].mean())
        bend = night[:, 2:] - 2 * night[:, 1:-1] + night[:, :-2]  # noise; the light is smooth
        level = block_mean(night[:, 1:-1])
        level, rough = level.ravel(), block_mean(bend ** 2).sqrt().ravel()
        fair = (level > 25) & (level < 200)  # nothing is cut off
        if fair.sum() > 30 and level[fair].std() > 15:
            correlations.append(np.corrcoef(level[fair], rough[fair])[0, 1])
    assert np.mean(corners) < 0.6 * np.mean(centres)
    assert np.mean(tops) < 0.7 * np.mean(bottoms)  # what is far is dark
    assert len(correlations) > 20 and np.mean(correlations) < -0.4


def test_infrared_meets_the_share_that_was_asked_for():
    image = torch.randint(0, 256, (3, 24, 32), dtype=torch.uint8)
    mask = torch.zeros(24, 32, dtype=torch.uint8)
    torch.manual_seed(0)
    grey = 0
    for _ in range(400):
        knobs = {**GEOMETRY, "crop_size": (24, 32), **LOUD, "grayscale": 0.0}
        night = train_transform(image, mask, **knobs, infrared=0.25)[0]
        grey += bool((night[0] == night[1]).all())
    assert 70 < grey < 130


# ------------------------------------------------------------------------------ the finder


def scene(random, height=360, width=480, night=False):
    """Rocks and leaves of any size, uint8 (height, width, 3)."""
    grain = sum(np.kron(random.normal(0, 18, (height // size + 1, width // size + 1, 3)),
                        np.ones((size, size, 1)))[:height, :width] for size in (2, 7, 30))
    if night:
        grain = grain.mean(axis=2, keepdims=True) * 0.4 * np.ones(3)
    return (grain + (25 if night else 120) + random.uniform(-15, 40)).clip(0, 255).astype(np.uint8)


def with_strip(image, tall, side, paper, ink, number):
    """The picture with a strip of `tall` rows: time, temperature, name, as JPEG would show it."""
    picture = Image.fromarray(image)
    pen = ImageDraw.Draw(picture)
    top = 0 if side == "top" else picture.height - tall
    pen.rectangle([0, top, picture.width, top + tall - 1], fill=(paper,) * 3)
    for x, text in ((5, f"2024-05-0{number % 9 + 1} 10:{number:02}:11"), (220, f"{number} C"),
                    (400, "TRAPPER")):
        pen.text((x, top + tall // 2), text, fill=(ink,) * 3, anchor="lm")
    return picture


def as_jpeg(picture, folder, quality=85):
    path = folder / "x.jpg"
    picture.save(path, quality=quality)
    return read_photo(path).image


@pytest.mark.parametrize("paper, ink", [(0, 255), (255, 0), (238, 20), (100, 250)])
@pytest.mark.parametrize("sides", [("top",), ("bottom",), ("top", "bottom"), ()])
@pytest.mark.parametrize("nights", [(False,), (False, True, True, False, True), (True,) * 4])
def test_strips_are_found_to_the_row(paper, ink, sides, nights, tmp_path):
    random = np.random.default_rng([paper, len(sides), len(nights)])
    images, tall = [], {"top": 14, "bottom": 23}
    for number, night in enumerate(nights):
        picture = Image.fromarray(scene(random, night=night))
        for side in sides:
            picture = with_strip(np.asarray(picture), tall[side], side, paper, ink, number)
        images.append(as_jpeg(picture, tmp_path))
    found = find_strip(images)
    for side, share in zip(("top", "bottom"), found, strict=True):
        rows = share * 360
        if side in sides:
            assert tall[side] - 0.01 <= rows <= tall[side] + 2, (side, rows)
        else:
            assert rows == 0


def horizon(random, row, sky, birds=False):
    image = scene(random)
    image[:row] = sky
    if birds:
        for _ in range(8):
            y, x = random.integers(2, row - 6), random.integers(5, 470)
            image[y:y + 3, x:x + 6] = 20
    return image


def test_scenes_are_no_strips():
    random = np.random.default_rng(1)
    day = [horizon(random, row, sky, birds) for row in (12, 25, 33, 60, 180)
           for sky in (255, 0, (120, 160, 220)) for birds in (False, True)
           if not birds or sky == (120, 160, 220)]
    tilted = horizon(random, 30, 255, birds=True)  # a white sky, birds, but no straight edge
    for x in range(480):
        tilted[:30 + x // 40, x] = np.where(tilted[:30 + x // 40, x] == 20, 20, 255)
    boxes = scene(random)  # boxes that leave the middle free
    boxes[-24:, :110] = boxes[-24:, 340:] = 225
    boxes[-18:-8, 10:100:6] = 0
    for image in [*day, tilted, boxes, *(scene(random, night=n) for n in (False, True))]:
        assert find_strip([image]) == (0, 0)
        assert find_strip([image[::-1]]) == (0, 0)
        assert find_strip([image] * 5) == (0, 0)


def test_photos_that_disagree_have_no_strip(tmp_path):
    random = np.random.default_rng(2)
    images = [as_jpeg(with_strip(scene(random), 20, "top", 0, 255, n), tmp_path)
              for n in range(4)]
    assert find_strip(images)[0] > 0
    plain = [scene(random) for _ in range(4)]
    assert find_strip(images[:2] + plain) == (0, 0)
    assert find_strip([]) == (0, 0)


def test_the_demo_cameras_strips_are_found(tmp_path):
    subprocess.run([sys.executable, str(ROOT / "scripts" / "make_demo_data.py"), "--out",
                    str(tmp_path / "demo"), "--photos", "36", "--new-photos", "0"],
                   check=True, capture_output=True)
    manifest = read_manifest(tmp_path / "demo" / "manifest.csv")
    found = find_strips(list(manifest), tmp_path / "demo")
    assert len({place for place, *_ in found}) == 12
    # The generator's cameras by turns: black at the bottom, white at the bottom, black on top.
    for (place, _, height), strip in found.items():
        tall = max(6, round(height * 0.042)) / height
        on_top = "IMG_" in next(row.image for row in manifest if row.location == place)
        expected = (tall, 0) if on_top else (0, tall)
        assert strip == pytest.approx(expected, abs=0.01), place


REAL = {  # what people see: rows of strip at the top and the bottom, as shares of the height
    "trap_photos/lila/ena24_7904.jpg": (0, 0.065),  # white, a logo sticks out
    "trap_photos/lila/idaho_camera_traps_loc_0062_loc_0062_im_004678.jpg": (0.0215, 0.021),
    "trap_photos/lila/snapshot_karoo_KAR_S1_E03_E03_R1_KAR_S1_E03_R1_IMAG0440.JPG": (0, 0.027),
    "trap_photos/lila/wellington_camera_traps_121016192402044a1132.JPG": (0, 0.0405),
    "trap_photos/lila/snapshot_serengeti_S5_U10_U10_R4_S5_U10_R4_IMAG3595.JPG": (0, 0),  # boxes
    "trap_photos/southwest/B013_IMG_0005_empty.jpeg": (0, 0.0445),
    "trap_photos/southwest/2021-07-24_SYFR0655_coyote.JPG": (0, 0),  # the scene shines through
    "trap_photos/southwest/IMAG0031_wolf.JPG": (0, 0),
    "trap_photos/awkward/american_black_bear.jpg": (0.0215, 0.021),
    "trap_photos/awkward/african_elephants_with_exif_orientation.jpg": (0, 0.064),
    "camtrap_dp_example/media/20210531082538-RCNX0031.JPG": (0.023, 0.022),
}


@pytest.mark.parametrize("file", REAL)
def test_strips_of_real_cameras(file):
    if not (SHARED / file).exists():
        pytest.skip(f"no real photos in {SHARED}")
    image = read_photo(SHARED / file, 1024 if "B013" not in file else 0).image
    assert find_strip([image]) == pytest.approx(REAL[file], abs=0.005)


def test_web_photos_have_strips_only_where_agencies_wrote_some():
    files = sorted((SHARED / "wild7").rglob("*.jpg"))[:300]
    if not files:
        pytest.skip(f"no real photos in {SHARED}")
    found = [file.name for file in files if any(find_strip(
        [read_photo(file).image]))]
    assert len(found) <= 10, found


# ------------------------------------------------------------------- per location, remembered


def test_strips_are_found_by_location_and_size_and_read_back(tmp_path):
    random = np.random.default_rng(3)
    rows = []
    for place, side, size in (("a", "top", (360, 480)), ("a", "bottom", (300, 480)),
                              ("b", None, (360, 480))):
        for number in range(4):
            image = scene(random, *size, night=number % 2 == 1)
            picture = Image.fromarray(image) if side is None else with_strip(
                image, 18, side, 0, 255, number)
            file = f"{place}/{size[0]}_{number}.jpg"
            (tmp_path / place).mkdir(exist_ok=True)
            picture.save(tmp_path / file, quality=90)
            rows.append(Row(file, "background", place, f"2024-05-01 {6 * number:02}:00:00"))
    (tmp_path / "b" / "torn.jpg").write_bytes(b"no photo")
    rows.append(Row("b/torn.jpg", "background", "b"))
    found = find_strips(rows, tmp_path)
    assert set(found) == {("a", 480, 360), ("a", 480, 300), ("b", 480, 360)}
    assert found["a", 480, 360] == pytest.approx((18 / 360, 0), abs=2.1 / 360)
    assert found["a", 480, 300] == pytest.approx((0, 18 / 300), abs=2.1 / 300)
    assert found["b", 480, 360] == (0, 0)

    strips = Strips(found=found)
    write_strips(tmp_path / "strips.csv", strips)
    assert read_strips(tmp_path / "strips.csv") == found  # to the last bit
    assert strips.of("a", 960, 720) == found["a", 480, 360]  # another resolution
    assert strips.of("a", 480, 480) == strips.of("new", 480, 360) == (0, 0)

    # A known location is not looked at again, and may have been corrected by hand.
    text = "location,width,height,top,bottom\na,480,360,0.25,0\n"
    (tmp_path / "strips.csv").write_text(text)
    again = strips_for("auto", rows, tmp_path, tmp_path / "strips.csv")
    assert again.found == {("a", 480, 360): (0.25, 0), ("b", 480, 360): (0, 0)}


@pytest.mark.parametrize("line", ["a,480,360,0.9,0.2", "a,480,360,0.1", "a,x,360,0,0",
                                  "a,480,360,nan,0", "a,480,360,-0.1,0"])
def test_a_damaged_strips_csv_names_its_line(line, tmp_path):
    path = tmp_path / "strips.csv"
    path.write_text(f"location,width,height,top,bottom\n{line}\n")
    with pytest.raises(InputError, match=r"strips\.csv, line 2: ") as caught:
        read_strips(path)
    assert "\n" not in str(caught.value)
    path.write_text("location,top\n")
    with pytest.raises(InputError, match="first line"):
        read_strips(path)


# ------------------------------------------------------------------- hidden from the network


@pytest.mark.parametrize("width, height", [(101, 67), (64, 48), (333, 250), (40, 97)])
@pytest.mark.parametrize("scale", [0, 64, 37, 500])
def test_the_dataset_blanks_and_ignores_the_strip(width, height, scale, tmp_path):
    top, bottom = 5, 9
    pixels = np.full((height, width, 3), (0, 200, 0), np.uint8)
    pixels[:top] = pixels[height - bottom:] = (250, 0, 250)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    write_mask(tmp_path / "m.png", np.ones((height, width), np.uint8), [(0, 0, 0)] * 2)
    rows = [Row("x.png", "m.png", "a")]
    strips = Strips(rows=(top, bottom))
    image, mask, _ = CameraTrapDataset(rows, tmp_path, scale, strips=strips)[0]
    hidden = (mask == IGNORE).all(dim=1)  # rows
    assert torch.equal(hidden, (mask == IGNORE).any(dim=1))
    assert (image[:, hidden] == FILL).all()
    # Nothing of the strip is left, not even mixed in by scaling, ...
    assert (image[0, ~hidden] < 3).all() and (image[1, ~hidden] > 197).all()
    # ... and of the scene no more is gone than rounding and the reach of the filter take.
    factor = len(mask) / height
    spare = 0 if factor == 1 else max(2, 1 + factor)
    for rows_gone, rows_there in ((int(hidden[: len(mask) // 2].sum()), top),
                                  (int(hidden[len(mask) // 2:].sum()), bottom)):
        assert rows_there * factor - 0.01 <= rows_gone <= rows_there * factor + spare
    # Prediction sees the same; the test counts what the strip hides, the validation does not.
    shown, example = PredictionDataset(rows, tmp_path, scale, strips=strips)[0]
    assert torch.equal(shown, image) and torch.equal(example.target, mask)
    _, example = PredictionDataset(rows, tmp_path, scale, mask_size="photo", strips=strips)[0]
    assert (example.target == 1).all() and example.target.shape == (height, width)


def test_a_photo_no_taller_than_its_strips_is_told():
    root = ROOT / "docs"
    height = photo_size(root / "demo.jpg")[1]
    rows, strips = [Row("demo.jpg", "background", "a")], Strips(rows=(10, height - 10))
    with pytest.raises(InputError, match="demo.jpg.* pixels high"):
        CameraTrapDataset(rows, root, 64, strips=strips)[0]
    image, example = PredictionDataset(rows, root, 64, strips=strips)[0]
    assert image is None and "pixels high" in example.failure


@pytest.mark.parametrize("scale", [0, 64, 33, 200])
def test_predictions_are_background_in_the_strip(scale, tmp_path):
    width, height, top, bottom = 90, 71, 6, 10
    random = np.random.default_rng(4)
    Image.fromarray(random.integers(0, 256, (height, width, 3), np.uint8)).save(
        tmp_path / "x.png")
    rows = [Row("x.png", "", "a")]
    net = UNet(num_classes=3, working_scale=scale, width=4, depth=2)
    net.last.weight.data.zero_()
    net.last.bias.data = torch.tensor([-20.0, 20.0, 0.0])  # sees an animal everywhere

    def prediction(strips):
        image, example = PredictionDataset(rows, tmp_path, scale, strips=strips)[0]
        return next(net.predict([[(image[None], [example])]])), example

    plain, _ = prediction(Strips())
    assert (plain.mask() == 1).all()
    hidden, example = prediction(Strips(rows=(top, bottom)))
    mask = hidden.mask()
    assert mask.shape == (height, width)
    assert (mask[:top] == 0).all() and (mask[height - bottom:] == 0).all()
    factor = hidden.logits.shape[1] / height
    spare = 0 if factor == 1 else int(np.ceil(3 / min(1, factor))) + 1
    assert (mask[top + spare:height - bottom - spare] == 1).all()
    first, last = example.strip
    foreground = hidden.foreground()
    assert (foreground[:first] < 1e-6).all()
    assert (foreground[len(foreground) - last:] < 1e-6).all()
    assert (foreground[first:len(foreground) - last] > 0.99).all()


# ------------------------------------------------------------------------------ by the scripts


def data_with_strips(root: Path) -> Path:
    """The small data root, each photo larger and with a strip: at the bottom, but at site1 on
    top, and none at site2."""
    make_data(root)
    for number, row in enumerate(read_manifest(root / "manifest.csv")):
        path = root / row.image
        image = np.asarray(Image.open(path).resize((480, 360), Image.Resampling.NEAREST))
        if row.location != "site2":
            side = "top" if row.location == "site1" else "bottom"
            Image.fromarray(image)
            with_strip(image, 20, side, 255, 0, number).save(path, quality=90)
        else:
            Image.fromarray(image).save(path, quality=90)
    return root


def strips_table(path: Path) -> dict[str, tuple[float, float]]:
    with open(path, newline="", encoding="utf-8") as file:
        return {line["location"]: (float(line["top"]), float(line["bottom"]))
                for line in csv.DictReader(file)}


@pytest.fixture(scope="module")
def striped(tmp_path_factory):
    """A data root with strips, and the runs folder with a run `strips` trained on it."""
    root = data_with_strips(tmp_path_factory.mktemp("striped"))
    runs = tmp_path_factory.mktemp("runs")
    result = run_script("train.py", "--config", ROOT / "configs/unet.yaml", "--run", "strips",
                        f"data_root={root}", *QUICK, "epochs=1", "strips=auto", "infrared=0.3",
                        runs=runs)
    assert result.returncode == 0, result.stderr
    assert "strips      found at 4 of 5 locations" in result.stdout
    return root, runs, result.stdout


def test_training_writes_the_strips_and_resuming_reads_them(striped):
    root, runs, _ = striped
    table = strips_table(runs / "strips" / "strips.csv")
    assert set(table) == {f"site{n}" for n in range(5)}
    for place, strip in table.items():
        expected = {"site1": (20 / 360, 0), "site2": (0, 0)}.get(place, (0, 20 / 360))
        assert strip == pytest.approx(expected, abs=0.01)

    path = runs / "strips" / "strips.csv"
    kept = path.read_text()
    corrected = kept.replace("site2,480,360,0.0,0.0", "site2,480,360,0.1,0.0")
    assert corrected != kept
    path.write_text(corrected)
    try:
        result = run_script("train.py", "--config", ROOT / "configs/unet.yaml", "--run", "strips",
                            "--resume", f"data_root={root}", *QUICK, "epochs=1", "strips=auto",
                            "infrared=0.3", runs=runs)
        assert result.returncode == 0, result.stderr
        assert "strips      found at 5 of 5 locations" in result.stdout
        assert path.read_text() == corrected
    finally:
        path.write_text(kept)


def records_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()[1:]]


def see_animals_everywhere(weights: Path, to: Path) -> Path:
    content = torch.load(weights, weights_only=True)
    content["model"]["last.bias"] = torch.tensor([-50.0, 50.0, -50.0])
    to.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, to)
    return to


def test_no_output_has_an_animal_in_the_strip(striped, tmp_path):
    root, runs, _ = striped
    weights = see_animals_everywhere(runs / "strips" / "best.pt", tmp_path / "run" / "best.pt")
    command = ["test.py", "--weights", weights, "--images", root / "photos", "--out",
               tmp_path / "out", "outputs=masks"]
    result = run_script(*command, runs=runs)
    assert result.returncode == 0, result.stderr
    assert "strips      found at 4 of 5 locations" in result.stdout
    assert set(strips_table(tmp_path / "out" / "strips.csv")) == {f"site{n}" for n in range(5)}
    records = records_of(tmp_path / "out" / "predictions.jsonl")
    assert len(records) == 30
    for record in records:
        mask = read_mask(next((tmp_path / "out" / "masks").rglob(
            f"{record['location']}/**/{Path(record['file']).name}*")))
        hidden = {"site1": slice(0, 20), "site2": slice(0, 0)}.get(record["location"],
                                                                   slice(340, 360))
        assert mask.shape == (360, 480) and (mask[hidden] == 0).all()
        assert (mask[40:320] == 1).all()
        assert record["pixels"][0] == (mask == 0).sum()
        decoded = decode_rle({"size": record["rle"]["size"],
                                     "counts": record["rle"]["counts"]["1"]})
        assert np.array_equal(decoded, mask == 1)
        _, top, _, tall = record["blobs"][0]["box"]
        if record["location"] == "site1":
            assert top >= 20 / 360 - 1e-4
        elif record["location"] != "site2":
            assert top + tall <= 340 / 360 + 1e-4

    # Given again, the strips stand and nothing is done anew; with others it is refused.
    again = run_script(*command, runs=runs)
    assert again.returncode == 0, again.stderr
    assert "strips = auto" in error_line(run_script(*command, "strips=0, 20", runs=runs))


def test_the_test_takes_the_strips_of_the_run(striped, tmp_path):
    root, runs, _ = striped
    weights = see_animals_everywhere(runs / "strips" / "best.pt", tmp_path / "run" / "best.pt")
    shutil.copy(runs / "strips" / "splits.csv", weights.parent)
    with open(weights.parent / "splits.csv", newline="") as file:
        place = next(line for line in csv.DictReader(file) if line["split"] == "test")["image"]
    place = place.split("/")[1]
    (weights.parent / "strips.csv").write_text("location,width,height,top,bottom\n"
                                               f"{place},480,360,0.5,0\n")
    result = run_script("test.py", "--weights", weights, f"data_root={root}", "outputs=masks",
                        runs=runs)
    assert result.returncode == 0, result.stderr
    table = strips_table(weights.parent / "test" / "strips.csv")
    assert table[place] == (0.5, 0)
    for record in records_of(weights.parent / "test" / "predictions.jsonl"):
        if record["location"] == place:
            assert record["pixels"][0] == pytest.approx(360 * 480 / 2, rel=0.05)
            assert sum(map(sum, record["confusion"])) == 360 * 480  # what it hides is counted


def test_check_data_tells_the_strips(striped, tmp_path):
    root, runs, _ = striped
    result = run_script("check_data.py", "--config", ROOT / "configs/unet.yaml", "--out",
                        tmp_path / "check", f"data_root={root}", "strips=auto", runs=runs)
    assert "strips      found at 4 of 5 locations" in result.stdout, result.stderr
    assert (tmp_path / "check" / "strips.csv").exists()


@pytest.mark.parametrize("value", ["64", "0, 64, 3", "top", "-1, 4", "0.1, 0.2", "", "Auto"])
def test_a_malformed_knob_is_refused_in_one_line(value):
    with pytest.raises(InputError, match=r"^strips: .* should be none, auto, or") as caught:
        parse_config("", "x", [f"strips={value}"])
    assert "\n" not in str(caught.value)


def test_the_knob_as_people_write_it(own_data):
    for text in ("strips: 0, 64", "strips: [0, 64]", "strips: 0,64"):
        knob = parse_config(text, "x").strips
        assert strips_for(knob, [], "nowhere").rows == (0, 64)
    assert strips_for("none", [], "nowhere") == Strips()
    line = error_line(run_script("train.py", "--config", ROOT / "configs/unet.yaml",
                                 f"data_root={own_data}", "strips=bottom"))
    assert "strips: 'bottom'" in line
