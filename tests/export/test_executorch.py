"""Networks as .pte files: what ExecuTorch says of photos is what the network says.

Lowering takes seconds even for the smallest network: the files are made once for all tests.
"""

import json
import os
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from torch import nn

from camera_trapinator import InputError
from camera_trapinator.export.metadata import FORMAT
from camera_trapinator.export.runtime import ExportedModel
from camera_trapinator.model import EncoderUNet, UNet

MISSING = [name for name in ("executorch", "torchao") if find_spec(name) is None]
needs_packages = pytest.mark.skipif(bool(MISSING), reason=f"{', '.join(MISSING)} not installed: "
                                    "pip install -e '.[phone]'")
CANVAS = [64, 96]
# An encoder's many steps take a minute to be lowered.
NETWORKS = ["unet", pytest.param("lite", marks=pytest.mark.long)]


def described(net, kind="fp32"):
    return {"format": FORMAT, "kind": kind, "run": "shapes", "weights": "0" * 64, "licence": "",
            "stride": net.stride, "working_scale": 96, "mean": [124, 116, 104], "canvas": CANVAS,
            "temperature": net.temperature, "thresholds": None, "checkpoint": {},
            "classes": [["background", "#000000"], ["fox", "#ff0000"], ["marten", "#00ff00"]]}


def photo(*size, seed=0):
    """Blots of colour, of about the size of animals: uint8 (1, 3, height, width)."""
    generator = torch.Generator().manual_seed(seed)
    small = torch.rand(1, 3, *(side // 8 + 1 for side in size), generator=generator)
    return (nn.functional.interpolate(small, size, mode="bicubic").clamp(0, 1) * 255).byte()


def with_norms(net, seed):
    """Batch normalisation as if it had been trained; a temperature."""
    generator = torch.Generator().manual_seed(seed)
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.copy_(torch.randn(layer.num_features, generator=generator) / 4)
            layer.running_var.copy_(torch.rand(layer.num_features, generator=generator) + 0.5)
    net.temperature = 1.7
    return net.eval()


@pytest.fixture(scope="module")
def unet():
    torch.manual_seed(1)
    return with_norms(UNet(3, 96, width=8, depth=2), 2)


@pytest.fixture(scope="module")
def lite():
    torch.manual_seed(3)
    net = EncoderUNet(3, 96, "efficientnet_lite0", width=8)
    for weight in net.votes.parameters():
        nn.init.normal_(weight, std=0.1)  # or they would say nothing
    return with_norms(net, 4)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A function that gives the file of a network, in a kind; made at its first call."""
    folder, made = tmp_path_factory.mktemp("pte"), {}

    def path_of(net, kind):
        from camera_trapinator.export.executorch_files import write_pte

        name = f"{type(net).__name__}_{kind}.pte"
        if name not in made:
            made[name] = folder / name
            write_pte(net, folder / name, described(net, kind),
                      [photo(*CANVAS, seed=seed)[0] for seed in range(8)])
        return made[name]

    return path_of


@torch.inference_mode()
def logits(net, images):
    return net(images)


@needs_packages
@pytest.mark.parametrize("network", NETWORKS)
def test_in_fp32_a_file_says_what_the_network_says(network, request, written):
    net = request.getfixturevalue(network)
    model = ExportedModel(written(net, "fp32"))
    images = torch.cat([photo(*CANVAS, seed=seed) for seed in (11, 12)])
    expected = logits(net, images)
    assert expected.std() > 0.1
    torch.testing.assert_close(logits(model, images), expected, rtol=1e-3, atol=1e-3)


@needs_packages
@pytest.mark.parametrize("network", NETWORKS)
def test_int8_is_close_and_smaller(network, request, written):
    net = request.getfixturevalue(network)
    path = written(net, "int8")
    model = ExportedModel(path)
    images = torch.cat([photo(*CANVAS, seed=seed) for seed in (11, 12, 13)])
    expected, told = logits(net, images), logits(model, images)
    error = (told - expected).square().mean().sqrt() / expected.std()
    assert 1e-4 < error < 0.15
    assert model.metadata["calibration"] == {"photos": 8}
    assert path.stat().st_size < 0.5 * written(net, "fp32").stat().st_size


@needs_packages
def test_other_outputs_are_those_of_a_prediction(unet, written):
    from executorch.runtime import Runtime

    image = photo(*CANVAS, seed=21)
    method = Runtime.get().load_program(str(written(unet, "fp32"))).load_method("forward")
    _, classes, foreground, confidence = (output[0].numpy() for output in method.execute([image]))
    prediction = unet.predict(image[0].permute(1, 2, 0).numpy())
    np.testing.assert_allclose(foreground, prediction.foreground(), atol=1e-3)
    np.testing.assert_allclose(confidence, prediction.species()[1], atol=1e-3)
    assert classes.dtype == np.uint8
    assert (classes == prediction.mask("network")).mean() > 0.999


@needs_packages
def test_photos_of_other_shapes_are_fitted_into_the_canvas(unet, written):
    model = ExportedModel(written(unet, "fp32"))
    small = photo(37, 50, seed=31)
    padded = torch.tensor([124, 116, 104], dtype=torch.uint8)[:, None, None].repeat(1, 1, *CANVAS)
    padded[..., :37, :50] = small
    expected = logits(unet, padded)[..., :37, :50]
    torch.testing.assert_close(logits(model, small), expected, rtol=1e-3, atol=1e-3)
    tall = photo(96, 60, seed=32)[0].permute(1, 2, 0).numpy()
    assert model.predict(tall).mask().shape == (96, 60)


@needs_packages
def test_metadata_come_back(unet, written):
    path = written(unet, "fp32")
    assert ExportedModel(path).metadata == json.loads(json.dumps(described(unet)))


@needs_packages
def test_damaged_files_are_told_and_never_run(unet, written, tmp_path):
    content = written(unet, "fp32").read_bytes()
    path = tmp_path / "copy.pte"
    for place in np.linspace(0, len(content) - 1, 40).astype(int):
        path.write_bytes(content[:place])
        with pytest.raises(InputError, match="damaged|cut short"):
            ExportedModel(path)
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x40]) + content[place + 1:])
        with pytest.raises(InputError, match="damaged|cut short"):
            ExportedModel(path)


@needs_packages
def test_files_of_others_are_refused(tmp_path):
    from camera_trapinator.export.executorch_runtime import with_checksum

    path = tmp_path / "theirs.pte"
    path.write_bytes(with_checksum(b"no program at all"))
    with pytest.raises(InputError, match="theirs.pte: ExecuTorch cannot open it"):
        ExportedModel(path)


@needs_packages
def test_relu6_is_rounded_after_it_has_bounded():
    """Int8 has 256 steps: of 0 to 6, one is 0.024; of what was there before, it would be 0.8."""
    from camera_trapinator.export.executorch_files import in_int8

    net = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.ReLU6(), nn.Conv2d(1, 1, 1, bias=False))
    net.eval().requires_grad_(False)[0].weight.fill_(100)
    image = torch.linspace(-1, 1, 1001).view(1, 1, 1, -1)
    module, number = in_int8(torch.export.export(net, (image,)).module(), [image])
    assert number == 1
    relu6, = (node for node in module.graph.nodes if "hardtanh" in str(node.target))
    rounded, = relu6.users
    assert "conv2d" in str(relu6.args[0].target) and "quantize" in str(rounded.target)
    assert rounded.args[1] == pytest.approx(6 / 255, rel=0.01)
    assert "conv2d" in str(next(iter(module.graph.output_node().all_input_nodes)).target)  # fp32


@needs_packages
def test_the_terminal_stays_clean_but_for_errors(unet, written, capfd):
    from camera_trapinator.export.executorch_runtime import silenced

    model = ExportedModel(written(unet, "fp32"))
    logits(model, photo(*CANVAS))
    assert capfd.readouterr() == ("", "")
    with pytest.raises(RuntimeError), silenced():
        os.write(2, b"the reason\n")
        raise RuntimeError("it failed")
    assert "the reason" in capfd.readouterr().err


def test_missing_packages_are_named_with_the_command(unet, tmp_path, monkeypatch):
    from camera_trapinator.export import executorch_files, onnx_files

    path, command = tmp_path / "fox.pte", r"executorch.*pip install -e '\.\[phone\]'"
    monkeypatch.setattr(onnx_files, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=command):
        executorch_files.write_pte(unet, path, described(unet))
    assert not path.exists()
    path.write_bytes(b"whatever")
    with pytest.raises(InputError, match=command):
        ExportedModel(path)
