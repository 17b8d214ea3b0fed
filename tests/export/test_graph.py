"""What an exported file answers is what the network says, whatever its layers and the canvas."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small_networks import RedOrNot, build, random_images, small_unet
from torch import nn

from camera_trapinator.export.graph import ExportGraph, on_canvas
from camera_trapinator.model import DoubleConv, SegmentationModel, UNet, build_model
from camera_trapinator.networks.encoders import ENCODERS
from camera_trapinator.networks.prediction import Prediction
from camera_trapinator.networks.votes import VOTES

sys.path.insert(0, str(Path(__file__).parent))
from exported import metadata_of, needs_onnx  # noqa: E402

needs_onnx()

from camera_trapinator.export.onnx_files import write_onnx  # noqa: E402


class Plain(SegmentationModel):
    """The network of docs/recipes.md."""

    def __init__(self, num_classes: int, working_scale: int, width: int = 16):
        super().__init__(working_scale)
        self.layers = nn.Sequential(DoubleConv(3, width, "batch"), nn.Conv2d(width, num_classes, 1))

    def forward(self, images):
        return self.layers(self.prepare(images))


def lively(net):
    """The network with statistics, and votes, that a training leaves: none of them does nothing."""
    torch.manual_seed(1)
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.3)
            layer.running_var.uniform_(0.5, 2)
    if hasattr(net, "votes"):
        for weight in net.votes.parameters():
            nn.init.normal_(weight, std=0.3)
    net.temperature = 1.7
    return net.eval()


def answers(path, images):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"photo": images.numpy()}), strict=True))


NETWORKS = {
    "paper": lambda: small_unet("none"), "unet": small_unet, "own": lambda: Plain(3, 32),
    "own without weights": RedOrNot,
    **{encoder: lambda encoder=encoder: build(encoder) for encoder in ENCODERS
       if encoder not in ("resnet34", "resnet50")},  # of resnet18's kind
    **{f"votes {kind}": lambda kind=kind: build("efficientnet_lite0", votes=kind)
       for kind in VOTES if kind != "near"},  # which all encoders above have
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_file_says_what_the_network_says_on_any_canvas(name, tmp_path):
    net = lively(NETWORKS[name]())
    before = {key: value.clone() for key, value in net.state_dict().items()}
    write_onnx(net, tmp_path / "net.onnx", metadata_of(net, tmp_path))
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    for rows, columns in ((2, 3), (5, 1)):
        images = random_images(1, rows * net.stride * 2, columns * net.stride * 2, seed=rows)
        with torch.inference_mode():
            logits = net(images)[0]
        got = answers(tmp_path / "net.onnx", images)
        said = Prediction(logits, None, net.temperature)
        close = 1e-4 * float(logits.abs().max())
        np.testing.assert_allclose(got["logits"][0], logits, rtol=1e-4, atol=close)
        species, confidence = said.species()
        np.testing.assert_allclose(got["foreground"][0], said.foreground(), atol=1e-3)
        np.testing.assert_allclose(got["confidence"][0], confidence, atol=1e-3)
        assert got["classes"].dtype == np.uint8
        assert (got["classes"][0] == said.mask("network")).mean() > 0.999
        assert logits.std(dim=(1, 2)).min() > 1e-3 or name.startswith("own")  # is anything said?


def test_a_regression_gives_its_values_in_their_unit(tmp_path):
    torch.manual_seed(0)
    net = UNet(1, 32, width=4, depth=2).eval()
    net.expect_values(40.0, 9.0)
    write_onnx(net, tmp_path / "net.onnx", metadata_of(net, tmp_path))
    images = random_images(1, 24, 32)
    with torch.inference_mode():
        values = net(images)[:, 0]
    got = answers(tmp_path / "net.onnx", images)
    assert list(got) == ["values"] and float(values.std()) > 0.1
    np.testing.assert_allclose(got["values"], values, rtol=1e-4)


def test_half_precision_keeps_normalisation_and_unit_exact():
    net = build_model(num_classes=1, working_scale=32, width=4, depth=1)
    net.expect_values(1234.567, 9.87)
    graph = ExportGraph(net).half()
    assert graph.net.last.weight.dtype == torch.float16
    assert graph.net.mean.dtype == graph.net.value_mean.dtype == torch.float32
    assert float(graph.net.value_mean) == float(net.value_mean)
    assert float(graph.net.mean[0]) == float(net.mean[0])


def test_a_photo_lies_in_the_corner_of_its_canvas_on_the_mean_colour():
    metadata = {"canvas": None, "stride": 16, "mean": [1, 2, 3]}
    image = random_images(1, 20, 33)
    photo, size = on_canvas(image, metadata)
    assert photo.shape == (1, 3, 32, 48) and size == (20, 33)
    assert np.array_equal(photo[..., :20, :33], image.numpy())
    assert [set(plane.flatten()) for plane in photo[0, :, 20:]] == [{1}, {2}, {3}]


def test_a_photo_too_large_for_a_fixed_canvas_is_made_smaller_and_never_stretched():
    metadata = {"canvas": [32, 48], "stride": 16, "mean": [0, 0, 0]}
    photo, size = on_canvas(torch.full((1, 3, 96, 80), 200, dtype=torch.uint8), metadata)
    assert photo.shape == (1, 3, 32, 48) and size == (32, 27)
    assert (photo[..., :27] == 200).all() and (photo[..., 27:] == 0).all()
    small, size = on_canvas(torch.full((1, 3, 10, 12), 200, dtype=torch.uint8), metadata)
    assert size == (10, 12) and (small[..., :10, :12] == 200).all()
