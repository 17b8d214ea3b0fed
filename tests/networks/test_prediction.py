"""From logits to a mask as large as the photo, in tiles or at once."""

import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from small_networks import RedOrNot, photo_record, random_photo, small_unet

from camera_trapinator.networks.prediction import Prediction, largest_class, tile_starts

# -------------------------------------------------------------------------------------- tiles


@pytest.mark.parametrize("tile", [4, 16, 17, 100])
def test_tiles_cover_everything_and_overlap_by_a_quarter(tile):
    for length in range(1, 230):
        starts, side = tile_starts(length, tile)
        assert side == min(tile, length) and starts[0] == 0 and starts[-1] + side == length
        for first, second in zip(starts, starts[1:], strict=False):
            assert 0 < second - first <= tile - tile // 4
        # With one tile less they could not.
        assert len(starts) == 1 or (len(starts) - 1) * (tile - tile // 4) + tile // 4 < length


@pytest.mark.parametrize("flips", [False, True])
def test_where_one_tile_suffices_it_is_the_whole_photo(flips):
    net, photo = small_unet(working_scale=0), random_photo(41, 64)
    whole = net.predict(photo, flips=flips)
    assert torch.equal(net.predict(photo, flips=flips, tile=64).logits, whole.logits)


@pytest.mark.parametrize(("height", "width"), [(5, 100), (100, 5), (63, 64), (65, 64), (131, 97)])
def test_tiles_leave_a_network_that_looks_at_pixels_alone_as_it_is(height, width):
    photo = random_photo(height, width)
    whole, tiled = (RedOrNot().predict(photo, tile=tile) for tile in (0, 32))
    torch.testing.assert_close(tiled.logits.float(), whole.logits, atol=2e-3, rtol=1e-3)
    assert np.array_equal(tiled.mask(), whole.mask())


def test_tiles_are_blended_as_by_hand():
    """Each tile by itself, laid on a full canvas, weighted by a Gaussian of an eighth of a tile."""
    net, photo, tile = small_unet(working_scale=0), random_photo(50, 83), 24
    total, weight = np.zeros((3, 50, 83)), np.zeros((50, 83))
    side = np.exp(-0.5 * ((np.arange(tile) - 11.5) / 3) ** 2)
    for top in tile_starts(50, tile)[0]:
        for left in tile_starts(83, tile)[0]:
            window = slice(top, top + tile), slice(left, left + tile)
            logits = net.predict(photo[window]).logits.double().numpy()
            total[:, *window] += logits * np.outer(side, side)
            weight[window] += np.outer(side, side)
    prediction = net.predict(photo, tile=tile)
    np.testing.assert_allclose(prediction.logits.float().numpy(), total / weight, atol=2e-3,
                               rtol=2e-3)
    exact = torch.tensor(total / weight)
    np.testing.assert_allclose(prediction.foreground(), 1 - exact.softmax(dim=0)[0], atol=2e-3)
    species, share = prediction.species()
    assert (species == exact[1:].argmax(dim=0).numpy() + 1).mean() > 0.99
    np.testing.assert_allclose(share, exact[1:].softmax(dim=0).amax(dim=0), atol=2e-3)


TWENTY_FOUR_MEGAPIXELS = """
import sys
import torch
from camera_trapinator.model import UNet
from camera_trapinator.outputs.blobs import Limits, photo_record
from camera_trapinator.networks.memory import peak_memory


class Red(UNet):
    def forward(self, images):
        logits = super().forward(images) / 1000
        logits[:, 0] += 3
        logits[:, 1] += images[:, 0].float() / 20 - 6
        return logits

net = Red(num_classes=5, working_scale=0, width=4, depth=2).eval()
prediction = net.predict(sys.argv[1], tile=640)
mask = prediction.mask()
photo_record("a", mask, prediction.foreground(), prediction.species(), Limits(),
             width=6000, height=4000)
assert mask.shape == (4000, 6000) and 0.1 < (mask == 1).mean() < 0.4
assert prediction.logits.shape == (5, 4000, 6000)
print(peak_memory(torch.device("cpu")))
"""


@pytest.mark.long
def test_a_photo_of_24_megapixels_needs_less_than_one_and_a_half_gigabytes(tmp_path):
    path = tmp_path / "large.jpg"
    Image.fromarray(random_photo(4000, 6000)).save(path)
    result = subprocess.run([sys.executable, "-c", TWENTY_FOUR_MEGAPIXELS, path],
                            capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) < 1.5e9, result.stdout  # bytes at its highest


# ------------------------------------------------------------------------------- predictions


def test_foreground_is_the_sum_of_the_species():
    logits = torch.randn(4, 6, 7, generator=torch.Generator().manual_seed(0)) * 3
    foreground = Prediction(logits, photo_record(60, 70)).foreground()
    powers = np.exp(logits.numpy().astype(float))
    assert foreground.shape == (6, 7) and foreground.dtype == np.float32
    np.testing.assert_allclose(foreground, powers[1:].sum(axis=0) / powers.sum(axis=0), atol=1e-6)


@pytest.mark.parametrize("size", [(48, 64), (53, 31), (12, 16), (5, 9), (1, 1)])
@pytest.mark.parametrize("classes", [1, 2, 5])
def test_largest_class_is_that_of_all_enlarged_classes(size, classes):
    logits = torch.randn(classes, 12, 16, generator=torch.Generator().manual_seed(classes))
    enlarged = F.interpolate(logits[None], size, mode="bilinear")[0]
    mask = largest_class(logits, size)
    assert mask.dtype == torch.uint8
    assert torch.equal(mask.long(), enlarged.argmax(dim=0))


@pytest.mark.parametrize("seed", range(40))
def test_a_small_animal_in_much_background_is_enlarged_as_all_would_be(seed):
    random = np.random.default_rng(seed)
    height, width, big_height, big_width = random.integers(1, [20, 20, 150, 150])
    logits = torch.from_numpy(random.normal(size=(4, height, width))).float()
    logits[0] += 3  # some pixels of animals are left, or none
    if seed % 2:
        logits = logits.half()
    enlarged = F.interpolate(logits[None].float(), (big_height, big_width), mode="bilinear")[0]
    assert torch.equal(largest_class(logits, (big_height, big_width)).long(),
                       enlarged.argmax(dim=0))


def test_equal_classes_go_to_the_first_as_in_argmax():
    logits = torch.zeros(3, 2, 2)
    logits[1:, 0] = 1
    assert largest_class(logits, (2, 2)).tolist() == [[1, 1], [0, 0]]
    photo = photo_record(2, 2)
    assert Prediction(logits, photo).mask("network").tolist() == [[1, 1], [0, 0]]
