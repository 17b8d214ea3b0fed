"""The phone page's own code, run by node: it has to say what Python says, to the pixel."""

import json
import os
import shutil
import subprocess

import numpy as np
import pytest
import torch
from deep_pictures import deep_png
from PIL import Image
from scipy import ndimage

from camera_trapinator.data.masks import resize_mask
from camera_trapinator.data.photos import Photo, parse_datetime, photo_of, read_photo, scaled_size
from camera_trapinator.data.rle import filled
from camera_trapinator.export.web import SOURCE
from camera_trapinator.networks.prediction import Prediction
from camera_trapinator.outputs.blobs import Limits, photo_record
from camera_trapinator.outputs.records import runs_of_record

CLASSES = 4


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """What the page's code makes of some data: node("names from file", code, data) -> answer; the
    code gets `data` and says `const answer = ...`."""
    program = shutil.which("node")
    if not program:
        pytest.skip("node is not installed: the page's code is not run beside Python's")
    folder = tmp_path_factory.mktemp("code")
    for path in SOURCE.glob("*.js"):
        shutil.copy(path, folder)
    (folder / "package.json").write_text('{"type": "module"}')

    def run(names: str, code: str, data) -> object:
        names, file = names.split(" from ")
        (folder / "data.json").write_text(json.dumps(data))
        (folder / "main.js").write_text(
            f'import {{ {names} }} from "./{file}";\nimport fs from "fs";\n'
            'const data = JSON.parse(fs.readFileSync("data.json"));\n'
            f'{code}\nfs.writeFileSync("answer.json", JSON.stringify(answer));\n')
        done = subprocess.run([program, "main.js"], cwd=folder, capture_output=True, text=True,
                              env={**os.environ, "NODE_OPTIONS": ""})
        assert done.returncode == 0, done.stderr
        return json.loads((folder / "answer.json").read_text())

    return run


def random_logits(random, height, width):
    """Smooth logits with several animals, some that touch, some that are unsure or small."""
    noise = random.normal(size=(CLASSES, height, width))
    smooth = np.stack([ndimage.gaussian_filter(plane, random.uniform(1, 3)) for plane in noise])
    smooth *= 6 / smooth.std(axis=(1, 2), keepdims=True)
    smooth[0] += 4
    return torch.tensor(smooth, dtype=torch.float32)


def test_the_animals_are_those_of_python(node):
    """Masks, blobs, what counts and how sure it is: of random photos, as the records have it."""
    limits, temperature = Limits(smallest_blob=0.002, unknown_below=0.6, min_confidence=0.8), 1.7
    data, records = [], []
    for seed in range(12):
        random, mask_size = np.random.default_rng(seed), ("photo", "network")[seed % 2]
        height, width = (int(side) for side in random.integers(20, 60, 2))
        tall, wide = (int(side * random.uniform(1, 5)) for side in (height, width))
        logits = random_logits(random, height, width)
        said = Prediction(logits, Photo(None, wide, tall, ""), temperature)
        records.append(photo_record(
            "a.jpg", said.mask(mask_size), said.foreground(), said.species(), limits, CLASSES,
            width=wide, height=tall))
        data.append({
            "said": {"height": height, "width": width, "logits": logits.flatten().tolist(),
                     "foreground": said.foreground().flatten().tolist(),
                     "confidence": said.species()[1].flatten().tolist()},
            "model": {"classes": [["", []]] * CLASSES, "limits": limits._asdict(),
                      "mask_size": mask_size}, "width": wide, "height": tall})
    answers = node("describe from blobs.js", """
        const floats = (values) => Float32Array.from(values);
        const answer = data.map(({ said, model, width, height }) => {
          const found = describe({ ...said, logits: floats(said.logits),
            foreground: floats(said.foreground), confidence: floats(said.confidence) },
            model, width, height);
          return { ...found, runs: [...found.runs] };
        });""", data)
    assert sum(len(record["blobs"]) > 1 for record in records) > 5, "a test of nothing"
    assert any(blob["unknown"] for record in records for blob in record["blobs"])
    for record, answer in zip(records, answers, strict=True):
        mask = np.zeros(record["rle"]["size"], np.uint8)
        assert (answer["maskHeight"], answer["maskWidth"]) == mask.shape
        for row, first, last, kind in np.reshape(answer["runs"], (-1, 4)):
            mask[row, first:last] = kind
        assert (mask != filled(runs_of_record(record), record["rle"]["size"])).mean() < 1e-4
        assert answer["confidence"] == pytest.approx(record["confidence"], abs=2e-5)
        np.testing.assert_allclose(answer["pixels"], record["pixels"], atol=2)
        assert len(answer["blobs"]) == len(record["blobs"])
        for found, true in zip(answer["blobs"], record["blobs"], strict=True):
            assert (found["class"], found["unknown"]) == (true["class"], true["unknown"])
            for name in ("confidence", "class_confidence", "area", "box"):
                assert found[name] == pytest.approx(true[name], abs=1e-4), name


def test_sizes_and_turns_are_those_of_pillow(node):
    """But for the last bit: Pillow's versions begin with the rows, or with the columns."""
    data, expected = [], []
    for number, size in enumerate([(61, 47), (160, 120), (33, 90), (120, 90), (7, 5)]):
        random = np.random.default_rng(number)
        for orientation in range(1, 9):
            image = Image.fromarray(random.integers(0, 256, (*size[::-1], 3), np.uint8))
            image.getexif()[0x0112] = orientation
            expected.append(photo_of(image, 40).image)
            pixels = np.asarray(image.convert("RGBA")).flatten().tolist()
            data.append({"pixels": pixels, "size": size, "orientation": orientation})
    answers = node("resized, scaledSize, turned from resizing.js", """
        const answer = data.map(({ pixels, size, orientation }) => {
          const picture = { width: size[0], height: size[1],
            data: Uint8ClampedArray.from(pixels) };
          const made = turned(resized(picture, scaledSize(...size, 40)), orientation);
          return { ...made, data: [...made.data] };
        });""", data)
    for image, answer in zip(expected, answers, strict=True):
        made = np.reshape(answer["data"], (answer["height"], answer["width"], 4))[..., :3]
        assert made.shape == image.shape
        assert np.abs(made.astype(int) - image).max() <= 1


def test_a_jpeg_becomes_smaller_by_means(node):
    """The reduction that comes first, with edges that do not divide, in bands as in whole."""
    random = np.random.default_rng(3)
    pixels = random.integers(0, 256, (37, 53, 4), np.uint8)
    answer = node("reduced from resizing.js", """
        const bytes = Uint8ClampedArray.from(data);
        const read = (top, rows) => bytes.subarray(4 * 53 * top, 4 * 53 * (top + rows));
        const answer = [512, 8].map((band) => [...reduced(53, 37, 4, read, band).data]);""",
                  pixels.flatten().tolist())
    assert answer[0] == answer[1]
    made = np.reshape(answer[0], (10, 14, 4))
    for row in range(10):
        for column in range(14):
            square = pixels[4 * row:4 * row + 4, 4 * column:4 * column + 4, :3]
            expected = square.reshape(-1, 3).mean(axis=0)
            assert np.abs(made[row, column, :3] - expected).max() <= 0.5


def test_how_far_a_jpeg_is_reduced_is_pillows_rule(node, tmp_path):
    sizes = [(4000, 3000, 320), (2048, 1536, 320), (640, 480, 320), (639, 480, 320),
             (1281, 961, 160), (200, 100, 0), (150, 333, 40)]
    answers = node("draftOf, scaledSize from resizing.js", """
        const answer = data.map(([width, height, scale]) => {
          const target = scaledSize(width, height, scale);
          return [draftOf(width, height, target), target];
        });""", sizes)
    for (width, height, scale), (step, target) in zip(sizes, answers, strict=True):
        Image.new("RGB", (width, height)).save(tmp_path / "a.jpg")
        assert tuple(target) == scaled_size(width, height, scale)
        with Image.open(tmp_path / "a.jpg") as image:
            assert image.draft(None, tuple(target))[1][2] == width / step


def test_a_mask_at_another_size_is_the_nearest_one(node):
    mask = np.random.default_rng(0).integers(0, 3, (37, 53), np.uint8)
    sizes = [(53, 37), (20, 14), (101, 70)]
    answers = node("maskAt from overlay.js", """
        const { runsOf } = await import("./masks.js");
        const runs = runsOf(Uint8Array.from(data.mask), 53, 37);
        const answer = data.sizes.map((size) =>
          [...maskAt({ runs, maskWidth: 53, maskHeight: 37 }, ...size)]);""",
                   {"mask": mask.flatten().tolist(), "sizes": sizes})
    for (width, height), answer in zip(sizes, answers, strict=True):
        np.testing.assert_array_equal(np.reshape(answer, (height, width)),
                                      resize_mask(mask, width, height))


TIMES = ["2024:05:01 12:30:45", "2024-05-01T12:30:45.123Z", "2024/05/01 2:30:45 PM",
         "2024:05:01 2:30:45", "04-Jul-2023 10:11:12", "2000:01:01 00:00:00", "2024:13:01 10:00:00",
         "2024:02:30 10:00:00", "2024:05:01 12:30", "2024:05:01 12:30:45\0", "junk", "",
         "2024:05:01 14:30:45 PM", "2024:05:01 12:30:45 AM", "2024:05:01 10:30:45 ΠΜ",
         "2024:05:01 24:00:00", "    :  :     :  :  ", "2024:05:01 10:30:61", "2024-05-01 9:05:06"]


def test_times_are_read_as_python_reads_them(node):
    answer = node("readTime from exif.js", "const answer = data.map(readTime);", TIMES)
    assert answer == [parse_datetime(text) for text in TIMES]
    assert sum(map(bool, answer)) > 7


def pngs(folder):
    """PNGs of all kinds that cameras and converters write."""
    random = np.random.default_rng(8)
    grey = random.integers(0, 256, (21, 30), np.uint8)
    colours = ndimage.gaussian_filter(random.integers(0, 256, (21, 30, 4)).astype(float), (2, 2, 0))
    colours = colours.astype(np.uint8)
    Image.fromarray(grey).save(folder / "grey.png")
    Image.fromarray(grey > 99).save(folder / "bits.png")
    Image.fromarray(colours[..., :3]).save(folder / "colours.png")
    Image.fromarray(colours).save(folder / "transparent.png")
    Image.fromarray(colours[..., :3]).quantize(13).save(folder / "palette.png")
    Image.fromarray(random.integers(0, 4000, (21, 30), np.uint16)).save(folder / "twelve.png")
    deep_png(folder / "deep.png", random.integers(0, 2**16, (21, 30, 3), np.uint16))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(colours[..., :3]).save(folder / "turned.png", exif=exif)


def test_pngs_are_read_as_python_reads_them(node, tmp_path):
    pngs(tmp_path)
    paths = sorted(tmp_path.glob("*.png"))
    answer = node("decodePng, readPng from png.js", """
        const { readExif } = await import("./exif.js");
        const { turned } = await import("./resizing.js");
        const answer = [];
        for (const path of data) {
          const png = readPng(new Uint8Array(fs.readFileSync(path)));
          const { orientation } = readExif(png.exif ?? new Uint8Array(0));
          const picture = turned(await decodePng(png), orientation);
          answer.push({ ...picture, data: [...picture.data] });
        }""", [str(path) for path in paths])
    for path, made in zip(paths, answer, strict=True):
        pixels = np.reshape(made["data"], (made["height"], made["width"], 4))[..., :3]
        np.testing.assert_array_equal(pixels, read_photo(path).image, err_msg=path.name)


def test_broken_pngs_are_refused_with_a_reason(node, tmp_path):
    pngs(tmp_path)
    whole = (tmp_path / "colours.png").read_bytes()
    answer = node("decodePng, readPng from png.js", """
        const answer = [];
        for (const bytes of data) {
          try {
            await decodePng(readPng(Uint8Array.from(bytes)));
            answer.push("read");
          } catch (error) { answer.push(error.reason ?? String(error)); }
        }""", [list(whole), list(whole[:-20]), list(whole[:20]),
               list(whole[:60] + bytes(len(whole) - 80) + whole[-20:])])
    assert answer[:3] == ["read", "truncated", "damaged"]
    assert answer[3] in ("truncated", "damaged")
