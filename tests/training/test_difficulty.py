"""How hard a photo is, and how that is remembered."""

import csv
import os

import numpy as np
import pytest
from PIL import Image, ImageFilter

from camera_trapinator import InputError
from camera_trapinator.data.manifest import read_manifest
from camera_trapinator.data.masks import read_mask
from camera_trapinator.data.photos import read_photo
from camera_trapinator.training.difficulty import (
    photo_difficulties,
    photo_difficulty,
    read_difficulty,
    scaled_ranks,
    spread_empty,
    write_difficulty,
)

GRASS, FOX = np.array([110, 130, 80]), np.array([220, 110, 40])


def read_csv(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def scene(radius: float = 30, centre: tuple[int, int] = (96, 128), colour=FOX, seed: int = 0):
    """A round animal (none if `radius` is 0) on textured grass: uint8 (192, 256, 3), its mask."""
    random = np.random.default_rng(seed)
    image = GRASS + random.normal(0, 14, (192, 256, 1))
    rows, columns = np.mgrid[:192, :256]
    mask = ((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2).astype(np.uint8)
    image = np.where(mask[..., None] > 0, colour + random.normal(0, 14, (192, 256, 1)), image)
    return image.clip(0, 255).astype(np.uint8), mask


def at_night(image):
    return np.repeat(np.asarray(Image.fromarray(image).convert("L"))[..., None], 3, axis=2)


def blurred(image):
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(2)))


def test_what_is_easy_and_what_is_hard():
    image, mask = scene()
    easy = photo_difficulty(image, mask)
    assert easy == photo_difficulty(image, 3 * mask)  # whatever the species
    worse = {
        "small": photo_difficulty(*scene(radius=5)),
        "hidden": photo_difficulty(*scene(colour=GRASS)),
        "night": photo_difficulty(at_night(image), mask),
        "blurred": photo_difficulty(blurred(image), mask),
        "cut": photo_difficulty(*scene(centre=(0, 128), radius=42)),  # as large as the whole one
    }
    for name, difficulty in worse.items():
        assert 0 <= easy < difficulty - 0.05 <= 1, name
    hardest = photo_difficulty(blurred(at_night(scene(3, (0, 128), GRASS)[0])),
                               scene(3, (0, 128))[1])
    assert max(worse.values()) < 0.6 < hardest <= 1


def test_difficulty_rises_steadily_with_size_and_camouflage():
    by_size = [photo_difficulty(*scene(radius)) for radius in (48, 34, 20, 12, 6, 3)]
    by_colour = [photo_difficulty(*scene(colour=GRASS + share * (FOX - GRASS)))
                 for share in (0.25, 0.15, 0.07, 0.0)]
    assert by_size == sorted(by_size) and by_colour == sorted(by_colour)
    assert len(set(by_size)) == 6 and len(set(by_colour)) == 4


def test_the_mask_may_have_another_size_and_ignored_parts():
    image, mask = scene()
    large = mask.repeat(3, axis=0).repeat(3, axis=1)
    assert photo_difficulty(image, large) == pytest.approx(photo_difficulty(image, mask), abs=0.03)
    tiny = np.zeros((1920, 2560), np.uint8)
    tiny[1000, 1000] = 1  # is gone when the mask is made as small as the photo
    assert photo_difficulty(image, tiny) >= 0.7
    ignored = mask.copy()
    ignored[:, 200:] = 255
    assert photo_difficulty(image, ignored) == pytest.approx(photo_difficulty(image, mask),
                                                             abs=0.05)
    for value in (0, 1, 255):  # empty, nothing but animal, nothing known
        assert 0 <= photo_difficulty(image, np.full((192, 256), value, np.uint8)) <= 1


def test_an_empty_photo_is_the_harder_the_busier():
    nothing = np.zeros((192, 256), np.uint8)
    busy, calm = scene(0)[0], blurred(scene(0)[0])
    assert photo_difficulty(calm, nothing) < photo_difficulty(busy, nothing) < 0.7


def test_empty_photos_spread_over_the_others():
    random = np.random.default_rng(0)
    difficulty, empty = random.random(400), random.random(400) < 0.6
    difficulty[empty] *= 0.01  # a pool of the easiest would hold nothing else
    spread = spread_empty(difficulty, empty)
    assert (spread[~empty] == difficulty[~empty]).all()
    assert (spread[empty].argsort() == difficulty[empty].argsort()).all()
    for share in (0.2, 0.5, 0.8):
        pool = spread.argsort()[:int(share * 400)]
        assert empty[pool].mean() == pytest.approx(empty.mean(), abs=0.03)
    for alone in (np.zeros(400, bool), np.ones(400, bool)):
        assert (spread_empty(difficulty, alone) == difficulty).all()


def test_ranks_go_from_0_to_1_and_ties_share_one():
    assert scaled_ranks(np.array([5.0, -1, 7, 5])).tolist() == [0.5, 0, 1, 0.5]
    assert scaled_ranks(np.array([np.nan, 1.0])).tolist() == [1, 0]
    assert scaled_ranks(np.array([4.0])).tolist() == [0]


def test_difficulties_are_remembered_until_photo_or_mask_change(own_data, tmp_path):
    manifest = read_manifest(own_data / "manifest.csv")
    rows, memory = [7, 0, 4, 1], tmp_path / "memory.csv"
    assert manifest[0].mask == "background"
    expected = []
    for row in (manifest[index] for index in rows):
        image = read_photo(own_data / row.image, 256).image
        mask = (np.zeros(image.shape[:2], np.uint8) if row.mask == "background"
                else read_mask(own_data / row.mask))
        expected.append(photo_difficulty(image, mask))
    assert photo_difficulties(manifest, rows, own_data, memory).tolist() == expected
    assert len(set(expected)) == 4

    # The memory is what counts, as long as the files are the same.
    memory.write_text(memory.read_text().replace(str(expected[0]), "0.125"))
    assert photo_difficulties(manifest, rows, own_data, memory).tolist() == [0.125, *expected[1:]]
    path = own_data / manifest[7].mask
    os.utime(path, (1, 1))
    assert photo_difficulties(manifest, rows, own_data, memory).tolist() == expected
    (own_data / manifest[7].image).write_bytes(b"no photo")
    with pytest.raises(InputError, match="cannot be read as a photo"):
        photo_difficulties(manifest, rows, own_data, memory)


def test_the_file_is_read_back_to_the_last_bit(tmp_path):
    images = ["a, b.jpg", 'c"d.jpg', "e/\u00e4.jpg"]
    difficulty = np.array([1 / 3, 0.1 + 0.2, 1e-17])
    write_difficulty(tmp_path / "d.csv", images, difficulty, [1, 2, ""])
    assert (read_difficulty(tmp_path / "d.csv", images[::-1]) == difficulty[::-1]).all()
    with pytest.raises(InputError, match=r"x.jpg is not in it; .* --run NAME"):
        read_difficulty(tmp_path / "d.csv", ["x.jpg"])
    (tmp_path / "d.csv").write_text("image,difficulty\na.jpg,hard\n")
    with pytest.raises(InputError, match="line 2: difficulty 'hard' is no number"):
        read_difficulty(tmp_path / "d.csv", ["a.jpg"])
