"""How hard the generated photos are: colour alone, or motion alone, finds no animals."""

import filecmp
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from demo_roots import make, read_rows, upright
from PIL import Image, ImageFilter


class Photos(NamedTuple):
    images: np.ndarray  # uint8 (N, H, W, 3)
    masks: np.ndarray  # uint8 (N, H, W)
    camera: np.ndarray  # (N,) location and day or night: infrared photos have a median of their own
    train: np.ndarray  # bool (N,)


@pytest.fixture(scope="module")
def root_of(tmp_path_factory) -> Callable[[int], Path]:
    """Photos of six locations, made with a seed, once for each; read them only."""
    @cache
    def root_of(seed: int) -> Path:
        return make(tmp_path_factory.mktemp("hard"), "--photos", 180, "--locations", 6, "--size",
                    "320x240", "--new-photos", 0, "--seed", seed, "--workers", 2)
    return root_of


@pytest.fixture(scope="module", params=[0, pytest.param(1, marks=pytest.mark.long)])
def photos(request, root_of) -> Photos:
    """Photos of six locations, four to learn from, two to test on."""
    root, size = root_of(request.param), (160, 120)
    rows = read_rows(root)
    images = np.stack([upright(root / row["image"]).resize(size, Image.Resampling.BOX)
                       for row in rows])
    masks = np.zeros(images.shape[:3], np.uint8)
    for mask, row in zip(masks, rows, strict=True):
        if row["mask"] != "background":
            mask[:] = Image.open(root / row["mask"]).resize(size, Image.Resampling.NEAREST)
    night = np.ptp(images.astype(int), axis=3).mean(axis=(1, 2)) < 5
    locations = np.array([row["location"] for row in rows])
    camera = np.array([f"{place} {dark}" for place, dark in zip(locations, night, strict=True)])
    return Photos(images, masks, camera, ~np.isin(locations, np.unique(locations)[-2:]))


@pytest.mark.long
def test_another_seed_draws_other_photos(root_of):
    roots = [root_of(seed) for seed in (0, 1)]
    names = [row["image"] for row in read_rows(roots[0])]
    assert [row["image"] for row in read_rows(roots[1])] == names
    assert filecmp.cmpfiles(*roots, names, shallow=False)[0] == []


def score(counts: np.ndarray) -> float:
    """Mean IoU over the species, from one confusion matrix (truth, predicted)."""
    union = counts.sum(0) + counts.sum(1) - counts.diagonal()
    return float((counts.diagonal() / np.maximum(union, 1))[1:].mean())


def confusion(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """How many pixels of each class (5,) were taken for which (5,)."""
    return np.bincount(truth.ravel() * 5 + predicted.ravel(), minlength=25).reshape(5, 5)


def colour_votes(photos: Photos, bits: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each pixel's colour as a number (N, H, W), and how often each has each class in training and
    in the test: (colours, 5)."""
    levels = (photos.images >> (8 - bits)).astype(np.int64)
    codes = (levels * (1, 1 << bits, 1 << 2 * bits)).sum(-1)
    votes = [np.bincount((codes * 5 + photos.masks)[part].ravel(),
                         minlength=5 << 3 * bits).reshape(-1, 5)
             for part in (photos.train, ~photos.train)]
    return codes, *votes


def test_colour_alone_finds_no_animals(photos):
    """The most frequent class of each colour, with the class weights that serve it best."""
    best = (0.0, 0.0)  # on training and on test locations
    for bits in (3, 4, 5):
        _, votes, test_votes = colour_votes(photos, bits)
        share = votes.sum(0) / votes.sum()
        for power in np.linspace(0, 1, 9):
            table = (votes / share**power).argmax(1)  # what each colour is taken for
            best = max(best, tuple(
                score(np.stack([counts[table == kind].sum(0) for kind in range(5)], axis=1))
                for counts in (votes, test_votes)))
    assert 0 < best[1] < 0.40


def test_the_difference_from_the_median_photo_finds_no_animals(photos):
    """Threshold and smoothing tuned in training; the species is the one whose colours the changed
    pixels of a photo have."""
    medians = {name: np.median(photos.images[photos.camera == name], axis=0)
               for name in np.unique(photos.camera)}
    changed = [Image.fromarray(np.abs(image - medians[name]).max(-1).astype(np.uint8))
               for image, name in zip(photos.images, photos.camera, strict=True)]
    codes, votes, _ = colour_votes(photos, bits=4)
    likely = (votes / votes.sum(0))[:, 1:]  # of each colour, under each species
    evidence = (likely / likely.sum(1, keepdims=True).clip(1e-9))[codes.reshape(len(codes), -1)]
    best = (0.0, 0.0)
    for radius in (1, 2, 4):
        smooth = np.stack([image.filter(ImageFilter.GaussianBlur(radius)) for image in changed])
        for threshold in range(4, 130, 12):
            found = smooth > threshold
            changes = found.reshape(len(found), 1, -1).astype(float)
            species = 1 + (changes @ evidence)[:, 0].argmax(-1)  # (N, 1, H W) @ (N, H W, species)
            predicted = np.where(found, species[:, None, None], 0)
            best = max(best, tuple(score(confusion(photos.masks[part], predicted[part]))
                                   for part in (photos.train, ~photos.train)))
    assert 0 < best[1] < 0.40
