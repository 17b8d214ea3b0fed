"""Run-length encoding is that of pycocotools, both ways."""

import numpy as np
import pytest
from PIL import Image, ImageFilter
from pycocotools import mask as coco

from camera_trapinator.data.rle import decode_rle, encode_rle


def random_masks():
    random = np.random.default_rng(0)
    for number in range(200):
        height, width = random.integers(1, 60, 2)
        mask = random.random((height, width)) < random.choice([0, 0.02, 0.5, 0.98, 1])
        if number % 2:  # blobs: long runs, whose differences are negative and many digits long
            blobs = Image.fromarray(mask.astype(np.uint8) * 255).resize((160, 120))
            mask = np.asarray(blobs.filter(ImageFilter.BoxBlur(6))) > 100
        if number % 3:  # nothing beside some rows and columns
            for side in (mask, mask.T):
                side[:random.integers(len(side))] = False
                side[random.integers(len(side)):] = False
        yield mask


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")
def test_rle_agrees_with_pycocotools_both_ways():
    for mask in random_masks():
        ours = encode_rle(mask)
        theirs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
        assert ours == {"size": list(theirs["size"]), "counts": theirs["counts"].decode()}
        assert np.array_equal(coco.decode(ours).astype(bool), mask)
        for rle in (ours, theirs):
            decoded = decode_rle(rle)
            assert decoded.dtype == bool and np.array_equal(decoded, mask)


def test_uncompressed_rle():
    mask = np.array([[0, 1, 1], [1, 1, 0]], bool)  # down the columns: 0 1 1 1 1 0
    assert np.array_equal(decode_rle({"size": [2, 3], "counts": [1, 4, 1]}), mask)


@pytest.mark.parametrize("rle", [
    {"size": [2, 3], "counts": [1, 4]}, {"size": [2, 3], "counts": [1, 4, 2]},
    {"size": [2, 3], "counts": [-1, 7]}, {"size": [3, 3], "counts": "141"},
    {"size": [2, 3], "counts": "1 1"}, {"size": [2, 3], "counts": "14\u00e9"},
    {"size": [2, 3], "counts": b"14\xff"}, {"size": [2, 3], "counts": "141Q"},
    {"size": [2, 3], "counts": ""},
])
def test_broken_rle_is_refused(rle):
    with pytest.raises(ValueError):
        decode_rle(rle)
    assert decode_rle({"size": [2, 3], "counts": "141"}).sum() == 4  # these runs are whole
