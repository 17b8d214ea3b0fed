"""Info strips: found, remembered, hidden from the network, and never predicted."""


import numpy as np
import pytest
import torch
from conftest import error_line, run_script
from PIL import Image
from striped_photos import scene, with_strip

from camera_trapinator import IGNORE, InputError
from camera_trapinator.config import parse_config
from camera_trapinator.data.manifest import Row, read_manifest
from camera_trapinator.data.masks import write_mask
from camera_trapinator.data.photos import photo_size, read_photo
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
from camera_trapinator.transforms import FILL
from camera_trapinator.utils import ROOT

SHARED = ROOT.parent / "shared" / "data"


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


@pytest.mark.long
@pytest.mark.parametrize("locations", [3, 12])
def test_the_demo_cameras_strips_are_found(tmp_path, locations):
    result = run_script("make_demo_data.py", "--out", tmp_path / "demo", "--photos", 3 * locations,
                        "--locations", locations, "--new-photos", 0, "--workers", 1,
                        *["--size", "640x480"] * (locations == 3))
    assert result.returncode == 0, result.stderr
    manifest = read_manifest(tmp_path / "demo" / "manifest.csv")
    found = find_strips(list(manifest), tmp_path / "demo")
    assert len({place for place, *_ in found}) == locations
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
