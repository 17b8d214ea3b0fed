"""ExportedModel predicts as the network itself does: sizes, strips, flips, tiles, batches."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_networks import random_photo, small_unet

from camera_trapinator.data.loading import Example
from camera_trapinator.model import UNet

sys.path.insert(0, str(Path(__file__).parent))
from exported import metadata_of, needs_onnx  # noqa: E402

needs_onnx()

import onnxruntime  # noqa: E402

from camera_trapinator.export.onnx_files import write_onnx  # noqa: E402
from camera_trapinator.export.runtime import SESSIONS, ExportedModel  # noqa: E402


@pytest.fixture
def pair(tmp_path):
    """A network whose mean colour is a whole number, as the canvas is, and the file of it."""
    net = small_unet()
    net.set_input((120, 110, 100), net.SPREAD)
    net.temperature = 2.0
    write_onnx(net, tmp_path / "net.onnx", metadata_of(net, tmp_path))
    return net, ExportedModel(tmp_path / "net.onnx")


def same(first, second):
    return torch.allclose(first.logits.float(), second.logits.float(), atol=1e-3)


def test_photos_of_any_size_and_source_are_predicted_alike(pair, tmp_path):
    net, model = pair
    for height, width in ((24, 32), (31, 17), (100, 75)):
        photo = random_photo(height, width)
        Image.fromarray(photo).save(tmp_path / "photo.png")
        expected = net.predict(photo)
        for source in (photo, tmp_path / "photo.png"):
            got = model.predict(source)
            assert same(got, expected) and got.mask().shape == (height, width)
            assert np.allclose(got.species()[1], expected.species()[1], atol=1e-3)  # temperature


def test_flips_tiles_and_strips_are_those_of_the_network(pair):
    net, model = pair
    images = torch.from_numpy(random_photo(40, 32)).permute(2, 0, 1)[None]
    example = Example(0, None, 32, 40, "", False, None, strip=(3, 5))
    plain, = net.predict([[(images, [example])]])
    for options in ({"flips": True}, {"tile": 16}):
        expected, = net.predict([[(images, [example])]], **options)
        got, = model.predict([[(images, [example])]], **options)
        assert torch.allclose(got.logits.float(), expected.logits.float(), atol=1e-2)
        assert not same(expected, plain)
        assert not got.mask("network")[:3].any() and not got.mask("network")[-5:].any()


def test_a_batch_is_predicted_as_each_photo_alone(pair):
    _, model = pair
    photos = [random_photo(20, 28, seed) for seed in range(3)]
    images = torch.stack([torch.from_numpy(photo).permute(2, 0, 1) for photo in photos])
    examples = [Example(index, None, 28, 20, "", False, None) for index in range(3)]
    model.working_scale = 0
    for photo, got in zip(photos, model.predict([[(images, examples)]]), strict=True):
        assert torch.equal(got.logits, model.predict(photo).logits)


def test_sessions_are_kept_for_the_last_few_canvases(tmp_path, monkeypatch):
    net = small_unet(working_scale=0)
    write_onnx(net, tmp_path / "net.onnx", metadata_of(net, tmp_path))
    opened = []
    real = onnxruntime.InferenceSession
    monkeypatch.setattr(onnxruntime, "InferenceSession",
                        lambda *values, **named: opened.append(1) or real(*values, **named))
    model = ExportedModel(tmp_path / "net.onnx")
    for _ in range(2):
        for width in range(SESSIONS):
            model.predict(random_photo(8, 8 * width + 7))
    assert len(opened) == 1 + SESSIONS
    for width in range(SESSIONS + 1):
        model.predict(random_photo(8, 8 * width + 8))
    model.predict(random_photo(8, 7))
    assert len(opened) == 1 + SESSIONS + 2  # the oldest one had to go


def test_a_fixed_canvas_takes_upright_and_lying_photos(tmp_path):
    net = small_unet()
    write_onnx(net, tmp_path / "net.onnx", metadata_of(net, tmp_path, canvas=(24, 32)))
    model = ExportedModel(tmp_path / "net.onnx")
    lying, upright = random_photo(24, 32), random_photo(32, 20)
    assert same(model.predict(lying), net.predict(lying))
    got = model.predict(upright)
    assert got.logits.shape == (3, 32, 20) and got.mask().shape == (32, 20)
    smaller = np.asarray(Image.fromarray(upright).resize((15, 24), Image.Resampling.BILINEAR))
    net.working_scale = 0
    expected = np.asarray(Image.fromarray(net.predict(smaller).mask()).resize((20, 32), 0))
    assert (got.mask() == expected).mean() > 0.8


def test_a_regression_is_predicted_in_its_unit(tmp_path):
    torch.manual_seed(0)
    net = UNet(1, 32, width=4, depth=2).eval()
    net.expect_values(40.0, 9.0)
    net.set_input((120, 110, 100), net.SPREAD)
    write_onnx(net, tmp_path / "net.onnx", metadata_of(net, tmp_path))
    photo = random_photo(24, 30)
    expected, got = (model.predict(photo).values()
                     for model in (net, ExportedModel(tmp_path / "net.onnx")))
    assert expected.std() > 0.1
    np.testing.assert_allclose(got, expected, rtol=1e-3)
