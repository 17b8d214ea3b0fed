"""Files in int8: small, right on every processor, and nearly the network's own answers."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small_networks import build, random_photo, small_unet

from camera_trapinator import InputError
from camera_trapinator.data.loading import network_input

sys.path.insert(0, str(Path(__file__).parent))
from exported import metadata_of, needs_onnx  # noqa: E402

needs_onnx()

import onnx  # noqa: E402
from onnx import numpy_helper  # noqa: E402

from camera_trapinator.export.int8 import write_int8  # noqa: E402
from camera_trapinator.export.runtime import ExportedModel  # noqa: E402


def photos(number, height=48, width=64):
    return (network_input(random_photo(height, width, seed)) for seed in range(number))


def weights_of(path):
    """The weights of each convolution as they are stored, by the name of its step: (values, zero
    points), the latter None in fp32."""
    model = onnx.load(path)
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    made_by = {node.output[0]: node for node in model.graph.node}
    found = {}
    for node in model.graph.node:
        if node.op_type in ("Conv", "ConvTranspose"):
            if node.input[1] in tensors:
                found[node.name] = tensors[node.input[1]], None
            else:
                stored = made_by[node.input[1]]
                found[node.name] = tensors[stored.input[0]], tensors[stored.input[2]]
    return found


@pytest.mark.parametrize("network", ["unet", "efficientnet_lite0"])
def test_int8_is_close_and_leaves_the_first_and_the_last_layers_alone(network, tmp_path):
    net = small_unet(width=8) if network == "unet" else build(network).eval()
    if network != "unet":
        for weight in net.votes.parameters():
            torch.nn.init.normal_(weight, std=0.1)
    write_int8(net, tmp_path / "net.onnx", metadata_of(net, tmp_path, kind="int8"), photos(6))
    model = ExportedModel(tmp_path / "net.onnx")
    assert model.metadata["calibration"] == {"photos": 6}
    kept = {name for name, (_, zero) in weights_of(tmp_path / "net.onnx").items() if zero is None}
    last = {"/net/last/Conv"} | ({"/net/votes/what/Conv", "/net/votes/where/Conv"}
                                 if network != "unet" else set())
    first = {name for name in kept if name.startswith(
        ("/net/encoder/stem/", "/net/encoder/blocks.0/", "/net/encoder/blocks.1/"))}
    assert kept == last | first and bool(first) == (network != "unet")
    for seed in (20, 21):
        photo = random_photo(45, 60, seed)
        expected, got = net.predict(photo).logits, model.predict(photo).logits
        spread = float(expected.std())
        assert spread > 0 and float((got - expected).square().mean().sqrt()) < 0.2 * spread
        assert not torch.equal(got, expected)


def test_weights_are_unsigned_around_one_middle_also_those_of_idle_channels(tmp_path):
    """Signed ones saturate on processors without VNNI; several middles are 30 times as slow."""
    net = small_unet("none")
    with torch.no_grad():
        net.downs[0][1][0].weight[1] = 0
    write_int8(net, tmp_path / "net.onnx", metadata_of(net, tmp_path, kind="int8"), photos(3))
    stored = [pair for pair in weights_of(tmp_path / "net.onnx").values() if pair[1] is not None]
    assert len(stored) == 12
    for values, middles in stored:
        assert values.dtype == middles.dtype == np.uint8 and set(middles.tolist()) == {128}
    idle = [values for values, _ in stored if (values == 128).reshape(len(values), -1).all(1).any()]
    assert len(idle) == 1
    expected, got = (model.predict(random_photo(48, 64, 9)).logits
                     for model in (net, ExportedModel(tmp_path / "net.onnx")))
    assert float((got - expected).square().mean().sqrt()) < 0.2 * float(expected.std())


def test_a_file_of_one_size_is_made_of_photos_of_any(tmp_path):
    net = small_unet()
    metadata = metadata_of(net, tmp_path, canvas=(32, 32), kind="int8")
    write_int8(net, tmp_path / "net.onnx", metadata, [*photos(2), *photos(2, 20, 24)])
    model = ExportedModel(tmp_path / "net.onnx")
    assert model.metadata["calibration"] == {"photos": 4}
    assert model.predict(random_photo(30, 32)).mask().shape == (30, 32)


def test_without_photos_there_is_no_int8(tmp_path):
    net = small_unet()
    with pytest.raises(InputError, match="none of them can be read"):
        write_int8(net, tmp_path / "net.onnx", metadata_of(net, tmp_path, kind="int8"), iter([]))
    assert not (tmp_path / "net.onnx").exists()
