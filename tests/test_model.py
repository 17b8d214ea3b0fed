"""The U-Net is the paper's, takes photos of any size, and predicts each for itself."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from small_networks import RedOrNot, photo_record, random_images, random_photo, small_unet
from torch import nn
from torch.utils.data import DataLoader

from camera_trapinator import InputError
from camera_trapinator.data.loading import group_by_shape
from camera_trapinator.data.manifest import Manifest, Row
from camera_trapinator.dataset import PredictionDataset
from camera_trapinator.model import UNet

# Channels in and out of the paper's 3x3 convolutions and up-convolutions, read off its figure 1
# (with the three channels of a photo at the entrance).
FIGURE_CONVS = [(3, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 512),
                (512, 512), (512, 1024), (1024, 1024), (1024, 512), (512, 512), (512, 256),
                (256, 256), (256, 128), (128, 128), (128, 64), (64, 64)]
FIGURE_UPS = [(1024, 512), (512, 256), (256, 128), (128, 64)]


def logits_of(net, batches):
    """The logits of all photos of a loader, one tensor a photo, cloned to ordinary tensors."""
    return [prediction.logits.clone() for prediction in net.predict(batches)]


def assert_same_prediction(logits, expected):
    """Equal but for rounding; so is the class, wherever it is not a matter of rounding."""
    assert logits.shape == expected.shape
    torch.testing.assert_close(logits, expected, atol=2e-5, rtol=1e-4)
    first, second = expected.topk(2, dim=0).values
    clear = first - second > 1e-3
    assert clear.float().mean() > 0.9
    assert torch.equal(logits.argmax(dim=0)[clear], expected.argmax(dim=0)[clear])


# --------------------------------------------------------------------------------- layers


def test_the_layers_are_those_of_the_paper():
    with torch.device("meta"):  # shapes alone: a full-size U-Net at no cost
        net = UNet(num_classes=2, working_scale=640, width=64, depth=4, norm="none")
        seen = []
        for layer in net.modules():
            if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.MaxPool2d)):
                layer.register_forward_hook(lambda layer, _, out: seen.append((layer, out.shape)))
        out = net(torch.zeros(1, 3, 64, 96, dtype=torch.uint8))
    assert out.shape == (1, 2, 64, 96)
    convs = [(layer, shape) for layer, shape in seen if type(layer) is nn.Conv2d]
    ups = [(layer, shape) for layer, shape in seen if type(layer) is nn.ConvTranspose2d]
    pools = [layer for layer, _ in seen if type(layer) is nn.MaxPool2d]

    assert [(layer.in_channels, layer.out_channels) for layer, _ in convs[:-1]] == FIGURE_CONVS
    assert all(layer.kernel_size == (3, 3) for layer, _ in convs[:-1])
    heights = [64, 32, 16, 8, 4, 8, 16, 32, 64]  # two convolutions at each level
    assert [shape[2] for _, shape in convs[:-1:2]] == heights
    assert [shape[2] for _, shape in convs[1:-1:2]] == heights
    assert [(layer.in_channels, layer.out_channels) for layer, _ in ups] == FIGURE_UPS
    assert all(layer.kernel_size == layer.stride == (2, 2) for layer, _ in ups)
    last = convs[-1][0]
    assert (last.in_channels, last.out_channels, last.kernel_size) == (64, 2, (1, 1))
    assert len(pools) == 4 and {pool.kernel_size for pool in pools} == {2}
    assert sum(isinstance(layer, nn.ReLU) for layer in net.modules()) == 18
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in net.modules())

    parameters = (sum(9 * i * o + o for i, o in FIGURE_CONVS)
                  + sum(4 * i * o + o for i, o in FIGURE_UPS) + 64 * 2 + 2)
    assert sum(parameter.numel() for parameter in net.parameters()) == parameters


@pytest.mark.parametrize("depth", [1, 3, 5])
def test_width_and_depth_set_the_channels(depth):
    with torch.device("meta"):
        net = UNet(num_classes=7, working_scale=0, width=6, depth=depth, norm="batch").eval()
        assert net(torch.zeros(1, 3, 9, 9, dtype=torch.uint8)).shape == (1, 7, 9, 9)
    channels = [6 * 2**level for level in range(depth + 1)]
    wide = [layer.out_channels for layer in net.modules() if type(layer) is nn.ConvTranspose2d]
    assert wide == channels[-2::-1]
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in net.modules()) == 4 * depth + 2
    # Batch norm takes the mean away, so that a bias before it would be a dead parameter.
    assert all(layer.bias is None for layer in net.modules()
               if type(layer) is nn.Conv2d and layer.kernel_size == (3, 3))


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_the_logits_are_those_of_a_u_net_written_out(norm):
    """Against the network written as a chain of functions on the same weights."""
    net = small_unet(norm)
    images = random_images(2, 21, 14)

    def double(x, block):
        conv, norm_layer, _, second, second_norm, _ = block
        for layer, scale in ((conv, norm_layer), (second, second_norm)):
            x = F.conv2d(x, layer.weight, layer.bias, padding=1)
            if norm == "batch":
                x = F.batch_norm(x, scale.running_mean, scale.running_var, scale.weight,
                                 scale.bias)
            x = x.clamp(min=0)
        return x

    mean, spread = [123.7, 116.3, 103.5], [58.4, 57.1, 57.4]
    x = torch.zeros(2, 3, 24, 16)
    for channel in range(3):
        x[:, channel, :21, :14] = (images[:, channel].float() - mean[channel]) / spread[channel]
    level0 = double(x, net.first)
    level1 = double(F.max_pool2d(level0, 2), net.downs[0][1])
    x = double(F.max_pool2d(level1, 2), net.downs[1][1])
    for up, skip in ((net.ups[0], level1), (net.ups[1], level0)):
        x = F.conv_transpose2d(x, up.up.weight, up.up.bias, stride=2)
        x = double(torch.cat([skip, x], dim=1), up.conv)
    expected = F.conv2d(x, net.last.weight, net.last.bias)[:, :, :21, :14]
    torch.testing.assert_close(net(images), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("height", "width"), [
    (1, 1), (1, 50), (3, 5), (15, 17), (16, 16), (31, 37), (61, 24), (48, 33)])
def test_any_size_gives_logits_of_that_size(height, width):
    net = small_unet(depth=4, width=2)
    logits = net(random_images(2, height, width))
    assert logits.shape == (2, 3, height, width)
    assert logits.isfinite().all()


def test_photos_are_normalised_and_padded_right_and_below():
    images = torch.full((1, 3, 5, 6), 255, dtype=torch.uint8)
    images[:, :, 0] = 0
    x = small_unet(depth=3).prepare(images)
    assert x.shape == (1, 3, 8, 8) and x.dtype == torch.float32
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert x[0, :, 0, 0].tolist() == pytest.approx([-123.7 / 58.4, -116.3 / 57.1, -103.5 / 57.4])
    assert x[0, :, 4, 5].tolist() == pytest.approx([131.3 / 58.4, 138.7 / 57.1, 151.5 / 57.4])
    assert not x[:, :, 5:].any() and not x[:, :, :, 6:].any()


def test_the_weights_are_drawn_as_the_paper_asks():
    torch.manual_seed(0)
    net = UNet(2, 64, width=32, depth=2, norm="none")
    for layer in net.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            assert not layer.bias.any()
            taps = 9 if layer.kernel_size == (3, 3) else 1  # that each output pixel sees
            wanted = (2 / (layer.in_channels * taps)) ** 0.5
            weights = layer.weight.numel()
            assert layer.weight.std().item() == pytest.approx(wanted, rel=4 / weights**0.5)


def test_the_spread_of_activations_stays_about_the_same():
    """Neither fading out nor blowing up from the first level to the last, without batch norm."""
    spreads = []
    torch.manual_seed(1)
    net = UNet(2, 64, width=16, depth=4, norm="none")
    for layer in net.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            layer.register_forward_hook(
                lambda layer, _, out: spreads.append(out.square().mean().sqrt().item()))
    with torch.no_grad():
        net(torch.from_numpy(random_photo(64, 96).copy()).permute(2, 0, 1)[None])
    assert len(spreads) == 23
    assert max(spreads) / min(spreads) < 8, spreads


# ---------------------------------------------------------------------- one photo, many photos


def test_a_prediction_does_not_depend_on_batch_mates():
    net = small_unet()
    net.train()  # predict must not use the statistics of the batch
    images = random_images(5, 30, 24)
    photos = [photo_record(30, 24) for _ in range(5)]
    together = logits_of(net, [[(images, photos)]])
    for place in range(5):
        [alone] = logits_of(net, [[(images[place:place + 1], photos[:1])]])
        assert_same_prediction(together[place], alone)
    dark = images.clone()
    dark[1:] = 0
    assert_same_prediction(logits_of(net, [[(dark, photos)]])[0], together[0])


def test_path_image_array_and_loader_agree(tmp_path):
    net = small_unet(working_scale=32)
    for name, (height, width) in {"a.png": (40, 64), "b.png": (64, 40), "c.png": (40, 64)}.items():
        Image.fromarray(random_photo(height, width, ord(name[0]))).save(tmp_path / name)
    names = ["a.png", "b.png", "c.png"]
    dataset = PredictionDataset(Manifest(Row(name) for name in names), tmp_path, 32)
    loader = DataLoader(dataset, batch_size=3, collate_fn=group_by_shape)
    from_loader = {names[prediction.photo.index]: prediction
                   for prediction in net.predict(loader)}
    assert sorted(from_loader) == names
    for name in names:
        path = tmp_path / name
        expected = net.predict(path)
        with Image.open(path) as image:
            others = [net.predict(str(path)), net.predict(image), net.predict(np.array(image)),
                      from_loader[name]]
        for prediction in others:
            assert_same_prediction(prediction.logits, expected.logits)
            assert (prediction.photo.width, prediction.photo.height) == image.size
            assert prediction.mask().shape == image.size[::-1]


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK"])
def test_images_of_any_mode_are_predicted_as_rgb(mode):
    image = Image.fromarray(random_photo(24, 40)).convert(mode)
    net = small_unet()
    assert_same_prediction(net.predict(image).logits, net.predict(image.convert("RGB")).logits)


def test_predicting_leaves_the_callers_image_as_it_is(tmp_path):
    """A JPEG that is open but not yet decoded must not be decoded at a small size."""
    Image.fromarray(random_photo(300, 400)).save(tmp_path / "photo.jpg", quality=95)
    net = small_unet(working_scale=32)
    with Image.open(tmp_path / "photo.jpg") as image:
        first = net.predict(image)
        assert image.size == (400, 300)
        second = net.predict(image)
    assert first.mask().shape == second.mask().shape == (300, 400)
    assert torch.equal(first.logits, second.logits)
    pixels = random_photo(20, 30)
    before = pixels.copy()
    net.predict(pixels)
    assert np.array_equal(pixels, before)


def test_the_mask_of_a_turned_photo_lies_as_people_see_it(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.jpg"
    Image.fromarray(random_photo(40, 60)).save(path, exif=exif, quality=95)
    with Image.open(path) as image:
        assert image.size == (60, 40)
        upright = np.asarray(ImageOps.exif_transpose(image))
    expected = upright[:, :, 0] > 123.7
    assert expected.shape == (60, 40) and 0.2 < expected.mean() < 0.8
    assert np.array_equal(RedOrNot().predict(path).mask(), expected)
    with Image.open(path) as image:
        assert np.array_equal(RedOrNot().predict(image).mask(), expected)


@pytest.mark.parametrize(("scale", "size", "network"), [
    (32, (50, 100), (16, 32)), (32, (100, 50), (32, 16)), (32, (8, 16), (16, 32)),
    (0, (19, 23), (19, 23)), (16, (3, 400), (1, 16))])
def test_the_working_scale_is_the_long_side_that_the_network_sees(scale, size, network):
    prediction = small_unet(working_scale=scale).predict(random_photo(*size))
    assert prediction.logits.shape == (3, *network)
    assert prediction.logits.dtype == torch.float32
    assert prediction.mask("network").shape == prediction.foreground().shape == network
    mask = prediction.mask()
    assert mask.shape == size and mask.dtype == np.uint8
    assert np.array_equal(prediction.mask("network"), prediction.logits.argmax(dim=0).numpy())


def test_failures_pass_through_in_their_place(tmp_path):
    Image.fromarray(random_photo(24, 32)).save(tmp_path / "good.png")
    (tmp_path / "bad.jpg").write_text("no photo")
    names = ["bad.jpg", "good.png", "missing.jpg", "good.png"]
    dataset = PredictionDataset(Manifest(Row(name) for name in names), tmp_path, 32)
    for batch_size in (1, 4):
        loader = DataLoader(dataset, batch_size=batch_size, collate_fn=group_by_shape)
        predictions = {prediction.photo.index: prediction
                       for prediction in small_unet().predict(loader)}
        assert sorted(predictions) == [0, 1, 2, 3]
        for index in (0, 2):
            assert predictions[index].logits is None and predictions[index].photo.failure
        for index in (1, 3):
            assert predictions[index].photo.failure is None
            assert predictions[index].mask().shape == (24, 32)


def test_predictions_come_in_the_loaders_order_with_what_it_gave():
    net, images = RedOrNot(), random_images(3, 4, 4)
    photos = [photo_record(4, 4) for _ in range(5)]
    batches = [[(images[:1], photos[:1]), (None, photos[1:2])], [(images[1:], photos[2:4])],
               [(None, photos[4:])]]
    predictions = list(net.predict(batches))
    assert all(given is prediction.photo
               for given, prediction in zip(photos, predictions, strict=True))
    assert [prediction.logits is None for prediction in predictions] == [
        False, True, False, False, True]
    for image, place in zip(images, (0, 2, 3), strict=True):
        assert np.array_equal(predictions[place].mask(), image[0].numpy() > 123)


def test_a_loader_is_read_no_further_than_asked():
    drawn = []

    def loader():
        for number in range(3):
            drawn.append(number)
            yield [(random_images(1, 4, 4), [photo_record(4, 4)])]

    predictions = RedOrNot().predict(loader())
    next(predictions)
    assert drawn == [0]


def test_a_path_that_is_no_photo_is_named(tmp_path):
    (tmp_path / "notes.jpg").write_text("no photo")
    for path in (tmp_path / "notes.jpg", tmp_path / "missing.jpg"):
        with pytest.raises(InputError, match=path.name):
            small_unet().predict(path)


# ------------------------------------------------------------------- gradients and precision


def training_step(net):
    net.train()
    loss = net(random_images(2, 16, 16)).square().mean()
    loss.backward()
    return [parameter.grad for parameter in net.parameters()]


def test_predict_computes_no_gradients_and_leaves_autograd_as_it_was():
    net = small_unet()
    loader = [[(random_images(2, 16, 16), [photo_record(16, 16)] * 2)]] * 2
    predictions = net.predict(loader)
    first = next(predictions)  # and the generator lies about, half read
    assert first.logits.is_inference() and not first.logits.requires_grad
    assert not torch.is_inference_mode_enabled() and torch.is_grad_enabled()
    assert all(parameter.grad is None for parameter in net.parameters())
    assert all(grad.isfinite().all() and grad.any() for grad in training_step(net))
    next(predictions)  # goes on, again without gradients
    predictions.close()
    assert not torch.is_inference_mode_enabled() and torch.is_grad_enabled()
    assert not torch.is_autocast_enabled("cpu")
    assert all(grad is not None for grad in training_step(net))


def test_autograd_survives_an_error_in_the_loader():
    def loader():
        yield [(random_images(1, 4, 4), [photo_record(4, 4)])]
        raise InputError("broken")

    with pytest.raises(InputError, match="broken"):
        list(small_unet().predict(loader(), torch.bfloat16))
    assert not torch.is_inference_mode_enabled() and not torch.is_autocast_enabled("cpu")


def test_lower_precision_gives_float32_logits_close_to_the_full_ones():
    net, photo = small_unet("none", depth=1), random_photo(32, 32)
    full, half = net.predict(photo), net.predict(photo, torch.bfloat16)
    assert half.logits.dtype == torch.float32
    assert not torch.equal(half.logits, full.logits)  # it did compute in bfloat16
    scale = full.logits.abs().mean().item()
    torch.testing.assert_close(half.logits, full.logits, atol=0.1 * scale, rtol=0.1)


# ------------------------------------------------------------------------------ saved weights


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_the_state_holds_the_weights_and_nothing_else(norm):
    net = small_unet(norm)
    names = set(net.state_dict())
    statistics = {name for name in names
                  if name.endswith(("running_mean", "running_var", "num_batches_tracked"))}
    assert names - statistics == {name for name, _ in net.named_parameters()}
    assert bool(statistics) == (norm == "batch")
    net.compile()  # in place, and so under the same names
    assert set(net.state_dict()) == names


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_the_arguments_build_the_same_model_again(norm):
    net = small_unet(norm, num_classes=5, working_scale=48, width=6, depth=3)
    arguments = json.loads(json.dumps(net.arguments))  # plain types
    assert arguments == {"num_classes": 5, "working_scale": 48, "width": 6, "depth": 3,
                         "norm": norm}
    twin = UNet(**arguments)
    twin.load_state_dict(net.state_dict())
    photo = random_photo(60, 90)
    assert torch.equal(twin.predict(photo).logits, net.predict(photo).logits)
    assert twin.working_scale == 48


def test_a_seed_gives_one_model():
    first, second, other = (small_unet("none", seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["last.weight"], other["last.weight"])


def test_a_regression_begins_at_the_mean_and_keeps_its_unit_in_the_checkpoint():
    net = UNet(num_classes=1, working_scale=32, width=4, depth=1)
    net.expect_values(400.0, 50.0)
    torch.nn.init.zeros_(net.last.weight)
    photo = np.random.default_rng(0).integers(0, 256, (32, 64, 3)).astype(np.uint8)
    values = net.predict(photo).values()
    assert values.shape == (32, 64) and np.allclose(values, 400)
    assert net.predict(photo).values("network").shape == (16, 32)
    torch.nn.init.normal_(net.last.weight)
    other = UNet(**net.arguments)
    other.load_state_dict(net.state_dict())
    np.testing.assert_array_equal(other.predict(photo).values(), net.predict(photo).values())
    assert "value_mean" not in UNet(2, 32, width=4, depth=1).state_dict()
