"""Masks and maps come out exactly as stored, or are refused."""

import re
from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import Image

from camera_trapinator import InputError
from camera_trapinator.data.masks import read_mask, resize_mask, write_mask

COLOURS = [(0, 0, 0), (230, 120, 20), (80, 160, 255)]


@pytest.mark.parametrize(("kind", "suffix"), [
    ("P", "png"), ("L", "png"), ("1", "png"), ("16-bit", "png"), ("16-bit", "tif"), ("L", "tif"),
])
def test_masks_are_read_unconverted(tmp_path, kind, suffix):
    mask = np.random.default_rng(0).choice(np.array([0, 1, 2, 254, 255], np.uint8), (7, 9))
    if kind == "1":
        mask = mask % 2
    image = Image.fromarray(mask)
    if kind == "P":
        image = image.convert("P")
        image.putpalette([200, 10, 10] * 256)  # one colour for all: only the indices tell apart
    elif kind == "1":
        image = Image.fromarray(mask.astype(bool))
    elif kind == "16-bit":
        image = Image.fromarray(mask.astype(np.uint16))
    path = tmp_path / f"mask.{suffix}"
    image.save(path)
    found = read_mask(path)
    assert found.dtype == np.uint8
    assert np.array_equal(found, mask)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_mask_values_above_255_are_refused(tmp_path, suffix):
    path = tmp_path / f"mask.{suffix}"
    Image.fromarray(np.array([[0, 1], [2, 256]], np.uint16)).save(path)
    with pytest.raises(InputError, match=f"^{re.escape(str(path))}: value 256 "):
        read_mask(path)  # as uint8 it would silently be class 0


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "CMYK"])
def test_colour_masks_are_refused(tmp_path, mode):
    path = tmp_path / "mask.tif"
    Image.new(mode, (4, 4)).save(path)
    with pytest.raises(InputError, match=rf"mode {mode}.*import_labels") as refusal:
        read_mask(path)
    assert str(path) in str(refusal.value)


def test_jpeg_masks_are_refused(tmp_path):
    path = tmp_path / "mask.png"  # the name does not help
    Image.fromarray(np.eye(16, dtype=np.uint8)).save(path, format="JPEG")
    with pytest.raises(InputError, match="JPEG.*PNG"):
        read_mask(path)


def test_written_masks_are_read_back_and_show_their_colours(tmp_path):
    mask = np.random.default_rng(0).choice(np.array([0, 1, 2, 255], np.uint8), (31, 17))
    path = tmp_path / "new folder" / "mask.png"
    write_mask(path, mask, COLOURS)
    assert np.array_equal(read_mask(path), mask)
    with Image.open(path) as image:
        assert image.mode == "P" and image.format == "PNG"
        shown = np.asarray(image.convert("RGB"))
    for value, colour in [*enumerate(COLOURS), (255, (224, 224, 192))]:
        assert (shown[mask == value] == colour).all()


def test_write_mask_keeps_all_256_values(tmp_path):
    mask = np.arange(256, dtype=np.uint8).reshape(16, 16).T  # not contiguous
    write_mask(tmp_path / "mask.png", mask, COLOURS)
    assert np.array_equal(read_mask(tmp_path / "mask.png"), mask)


def nearest_exact(mask: np.ndarray, width: int, height: int) -> np.ndarray:
    return torch.nn.functional.interpolate(torch.from_numpy(mask)[None, None], (height, width),
                                           mode="nearest-exact")[0, 0].numpy()


def test_resize_mask_is_nearest_exact():
    random = np.random.default_rng(0)
    for _ in range(300):
        old_height, old_width, height, width = (int(side) for side in random.integers(12, 150, 4))
        mask = random.integers(0, 256, (old_height, old_width), dtype=np.uint8)
        found = resize_mask(mask, width, height)
        assert found.shape == (height, width) and found.dtype == np.uint8
        # Where a new pixel's centre falls on the edge between two old ones, either is nearest.
        edge = [np.array([Fraction((2 * place + 1) * old, 2 * new).denominator == 1
                          for place in range(new)])
                for old, new in ((old_height, height), (old_width, width))]
        sure = ~(edge[0][:, None] | edge[1])
        assert np.array_equal(found[sure], nearest_exact(mask, width, height)[sure])
        if sure.mean() < 1:  # and there too, one of the two
            column, row = np.arange(width), np.arange(height)
            rows = [((2 * row + 1) * old_height - shift) // (2 * height) for shift in (0, 1)]
            columns = [((2 * column + 1) * old_width - shift) // (2 * width) for shift in (0, 1)]
            allowed = [mask[r[:, None], c] == found for r in rows for c in columns]
            assert np.any(allowed, axis=0).all()


def test_resize_mask_breaks_ties_as_torch_does():
    """Photos have round sizes, so whole columns are ties; image libraries must agree on them."""
    for old, new in ((4000, 640), (3000, 480), (2048, 640), (1536, 480), (168, 92), (640, 4000)):
        mask = (np.arange(old) % 251).astype(np.uint8)[:, None].repeat(2, axis=1)
        assert np.array_equal(resize_mask(mask, 2, new), nearest_exact(mask, 2, new))
