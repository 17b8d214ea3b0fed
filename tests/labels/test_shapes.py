"""Polygons as pixels, against pycocotools."""

import math

import numpy as np
import pytest
from label_files import SQUARE
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from camera_trapinator.data.rle import encode_rle
from camera_trapinator.labels.coco import read_coco
from camera_trapinator.labels.shapes import rasterise
from camera_trapinator.labels.source import Source
from camera_trapinator.utils import ROOT

WILD7 = ROOT.parent / "shared" / "data" / "wild7"


@pytest.mark.parametrize(("radius", "floor"), [((4, 10), 0.95), ((8, 30), 0.98)])
def test_polygons_fill_the_pixels_that_pycocotools_fills(radius, floor):
    random = np.random.default_rng(0)
    scores, areas = [], []
    for _ in range(200):
        angles = np.sort(random.uniform(0, 2 * math.pi, 12))
        radii = random.uniform(*radius, 1) * random.uniform(0.7, 1.3, 12)
        ring = np.stack([50 + radii * np.cos(angles), 40 + radii * np.sin(angles)], 1).ravel()
        ours = rasterise([ring.tolist()], 80, 100)
        theirs = coco_mask.decode(coco_mask.frPyObjects([ring.tolist()], 80, 100))[..., 0] > 0
        scores.append((ours & theirs).sum() / (ours | theirs).sum())
        areas.append(ours.sum() / theirs.sum())
    assert np.mean(scores) > floor
    assert abs(np.mean(areas) - 1) < 0.03


def test_a_square_has_the_area_it_should():
    assert rasterise(SQUARE, 48, 64).sum() == 100
    assert rasterise([[-5, -5, 4, -5, 4, 4, -5, 4]], 48, 64).sum() == 16  # cut at the edge
    assert not rasterise([[70, 70, 80, 70, 80, 80]], 48, 64).any()  # outside


@pytest.mark.skipif(not WILD7.is_dir(), reason=f"the photos of {WILD7} are not here")
def test_wild7_polygons_equal_pycocotools():
    path = WILD7 / "train" / "_annotations.coco.json"
    oracle = COCO(str(path))
    scores = []
    labels = read_coco(Source(path, path.parent, "photos")).sound()
    for photo, item in zip(labels.photos, oracle.imgs.values(), strict=True):
        for shape, annotation in zip(photo.shapes, oracle.imgToAnns[item["id"]], strict=True):
            ours = rasterise(shape.polygons, photo.height, photo.width)
            theirs = oracle.annToMask(annotation) > 0
            # Counted like this because the arrays are large and many.
            both = np.count_nonzero(ours & theirs)
            either = np.count_nonzero(ours) + np.count_nonzero(theirs) - both
            scores.append(both / max(1, either))
    assert np.mean(scores) > 0.995


def test_run_lengths_equal_those_of_pycocotools(tmp_path):
    random = np.random.default_rng(0)
    for number in range(50):
        mask = random.random((random.integers(1, 200), random.integers(1, 200))) < random.random()
        theirs = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
        ours = encode_rle(mask)
        assert ours == {"size": list(theirs["size"]), "counts": theirs["counts"].decode()}, number
