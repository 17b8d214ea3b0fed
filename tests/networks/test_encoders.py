"""The pretrained ways down: shapes, padding, and levels that are held."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_networks import build, random_images

from camera_trapinator import InputError
from camera_trapinator.model import build_model
from camera_trapinator.networks.encoders import ENCODERS, conv_norm


@pytest.mark.parametrize("name", [
    pytest.param(name, marks=pytest.mark.long if name in ("resnet34", "resnet50") else ())
    for name in ENCODERS])
def test_every_encoder_gives_logits_for_any_size_and_learns(name):
    net = build(name)
    features = net.encoder(torch.zeros(2, 3, 64, 96))
    assert tuple(feature.shape[1] for feature in features) == ENCODERS[name].channels
    sizes = [tuple(feature.shape[-2:]) for feature in features]
    assert sizes[-1] == (2, 3) and all(
        (2 * small[0], 2 * small[1]) == large
        for large, small in zip(sizes, sizes[1:], strict=False))
    for weight in net.votes.parameters():  # 0 at the start, and so would its gradient be
        torch.nn.init.normal_(weight)
    logits = net(random_images(2, 41, 70))
    assert logits.shape == (2, 3, 41, 70) and logits.dtype == torch.float32
    logits.square().mean().backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in net.parameters())
    twin = build_model(**net.arguments)
    twin.load_state_dict(net.state_dict())
    images = random_images(1, 33, 64)
    assert torch.equal(twin.eval()(images), net.eval()(images))


def test_convolutions_are_padded_as_tensorflow_pads():
    """SAME: in all (out - 1) * stride + kernel - size pixels, the odd one on the right."""
    for kernel, stride, size in ((3, 1, 8), (3, 2, 8), (5, 1, 8), (5, 2, 8), (1, 1, 8)):
        layers = torch.nn.Sequential(*conv_norm(2, 3, kernel, stride)[:-1])
        x = torch.randn(1, 2, size, size)
        total = (size // stride - 1) * stride + kernel - size
        left = total // 2
        weight = layers[-1].weight
        expected = F.conv2d(F.pad(x, (left, total - left, left, total - left)), weight,
                            stride=stride)
        assert torch.allclose(layers(x), expected, atol=1e-6)



def test_a_new_model_expects_classes_as_often_as_they_are():
    for net in (build("none", depth=2), build("resnet18")):
        net.expect(np.array([90.0, 10.0, 0.0]))
        shares = net.last.bias.softmax(dim=0)
        assert shares.tolist() == pytest.approx([0.9, 0.1, 0.001], rel=2e-3)


def test_flips_are_the_mean_of_both_ways():
    net = build("efficientnet_lite0").eval()
    photo = random_images(1, 40, 64)[0].permute(1, 2, 0).numpy()
    one, other = (net.predict(np.ascontiguousarray(image)).logits
                  for image in (photo, photo[:, ::-1]))
    both = net.predict(photo, flips=True).logits
    assert torch.allclose(both, (one + other.flip(-1)) / 2, atol=1e-5)
    assert not torch.allclose(both, one, atol=1e-3)


@pytest.mark.parametrize("name", [
    "efficientnet_lite0", "resnet18", "mobilenet_v3_large",
    pytest.param("convnext_tiny", marks=pytest.mark.long)])
def test_held_levels_stay_as_they_are_and_the_rest_learns(name):
    torch.manual_seed(0)
    net = build(name)
    images = torch.randint(256, (2, 3, 64, 64), dtype=torch.uint8)
    for levels in (2, 99, 0, 1):  # in any order: a run thaws what it froze
        net.train()
        net.hold_encoder(levels)
        before = copy.deepcopy(net.encoder.state_dict())
        optimizer = torch.optim.SGD(net.parameters(), 0.1)
        net.zero_grad(set_to_none=True)
        net(images).square().mean().backward()
        optimizer.step()
        after = net.encoder.state_dict()
        changed = {key for key in before if not torch.equal(before[key], after[key])}
        with torch.no_grad():
            now = net.eval().encoder(net.prepare(images))
        net.encoder.load_state_dict(before)
        with torch.no_grad():
            expected = net.encoder(net.prepare(images))
        for level, (mine, kept) in enumerate(zip(now, expected, strict=True)):
            assert torch.equal(mine, kept) == (level < levels), level
        assert bool(changed) == (levels < 99)


@pytest.mark.parametrize("encoder", ["efficientnet_lite0", "resnet18", "convnext_tiny"])
def test_further_channels_begin_without_a_say_and_then_learn(encoder):
    """Pretrained weights know three channels: at first the fourth makes no difference."""
    rgb = build_model(encoder, num_classes=3, working_scale=64, width=4)
    wide = build_model(encoder, num_classes=3, working_scale=64, width=4, channels=4)
    wide.load_encoder(rgb.encoder.state_dict())
    images = torch.randint(0, 256, (2, 4, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        expected = rgb.eval().encoder(rgb.prepare(images[:, :3]))
        got = wide.eval().encoder(wide.prepare(images))
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other)
    wide.train()(images).sum().backward()
    first = next(layer for layer in wide.encoder.modules() if isinstance(layer, torch.nn.Conv2d))
    assert first.weight.grad[:, 3].any() and not first.weight[:, 3].any()
    for net, wrong in ((rgb, images), (wide, images[:, :3])):
        with pytest.raises(InputError, match="CHANNELS of .*loading.py.*built"):
            net(wrong)
