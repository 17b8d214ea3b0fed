"""Outlines of masks: what pycocotools makes of them is the mask, pixel for pixel."""

import numpy as np
import pytest
from conftest import EXAMPLES
from pycocotools import mask as coco_mask
from scipy import ndimage

from camera_trapinator.data.rle import encode_rle
from camera_trapinator.outputs.polygons import polygons_of


def rings_of(mask: np.ndarray) -> list[list[int]]:
    """The rings of a mask, which pycocotools has turned back into it."""
    rings = polygons_of(encode_rle(mask))
    if mask.any():
        again = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(rings, *mask.shape)))
        assert np.array_equal(again, mask), (mask, rings)
    # One for each part whose pixels share edges, by scipy.
    assert len(rings) == ndimage.label(mask)[1]
    assert all(len(ring) >= 8 and len(ring) % 2 == 0 for ring in rings)
    return rings


def drawn(*rows: str) -> np.ndarray:
    return np.array([[sign == "#" for sign in row] for row in rows])


SHAPES = {
    "one pixel": (drawn("...", ".#.", "..."), [4]),
    "the whole photo": (np.ones((3, 5), bool), [4]),
    "a line": (drawn("####"), [4]),
    "touching in a corner": (drawn("#.", ".#"), [4, 4]),
    "and the other way": (drawn(".#", "#."), [4, 4]),
    "a hole": (drawn("####", "#..#", "####"), [10]),
    "a hole of one pixel, on the edge of the photo": (drawn("###", "#.#", "###"), [10]),
    "an island in a hole": (drawn("#####", "#...#", "#.#.#", "#...#", "#####"), [10, 4]),
    "holes above each other": (drawn("###", "#.#", "###", "#.#", "###"), [15]),
    "holes beside each other": (drawn("#####", "#.#.#", "#####"), [16]),
    "holes that touch in a corner": (drawn("####", "#.##", "##.#", "####"), [14]),
    "a hole that is closed by a corner": (drawn("##..", "#.#.", "###."), [10]),
    "nothing": (np.zeros((2, 3), bool), []),
}


@pytest.mark.parametrize("name", SHAPES)
def test_each_part_is_a_ring_with_its_holes_and_corners_only(name):
    mask, corners = SHAPES[name]
    assert [len(ring) // 2 for ring in rings_of(mask)] == corners


def test_a_rectangle_is_its_corners_clockwise():
    mask = np.zeros((40, 60), bool)
    mask[10:30, 5:50] = True
    assert polygons_of(encode_rle(mask)) == [[5, 10, 50, 10, 50, 30, 5, 30]]


@pytest.mark.parametrize("seed", range(max(300, EXAMPLES)))
def test_random_masks_come_back_exactly(seed):
    random = np.random.default_rng(seed)
    height, width = random.integers(1, 12, 2) if seed % 3 else random.integers(20, 90, 2)
    mask = random.random((height, width)) < random.random()
    if seed % 2:  # ragged patches, as networks draw them
        noise = ndimage.gaussian_filter(random.random((height, width)), 2)
        mask = noise > np.quantile(noise, random.random())
    for ring in rings_of(mask):
        points = np.array(ring).reshape(-1, 2)
        steps = np.roll(points, -1, axis=0) - points
        assert ((steps != 0).sum(axis=1) == 1).all()  # along the edges, and none twice in a row
        assert (points >= 0).all() and (points <= (width, height)).all()


def test_the_work_is_that_of_the_corners_not_of_the_pixels():
    """Ten thousand megapixels fit into no memory."""
    side = 10**5
    rle = {"size": [side, side], "counts": [7 * side, 3 * side, (side - 10) * side]}
    assert polygons_of(rle) == [[7, 0, 10, 0, 10, side, 7, side]]
