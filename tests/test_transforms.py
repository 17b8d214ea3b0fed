"""Image and mask are changed together, at random and over the whole range that was asked for."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from coloured_photos import GEOMETRY, PLAIN, STRONG, classes_of, coloured_photo, draw_mask
from torchvision.transforms.v2 import functional as vision

from camera_trapinator import IGNORE
from camera_trapinator.data.photos import is_infrared
from camera_trapinator.transforms import FILL, eval_transform, train_transform, zoom_and_crop


@pytest.mark.parametrize("size", [(200, 150), (66, 50), (30, 200), (40, 30), (64, 48)])
def test_image_and_mask_stay_together(size):
    mask = draw_mask(*size, 0)
    image = coloured_photo(mask)
    flipped = 0
    for seed in range(12):
        torch.manual_seed(seed)
        cropped, cropped_mask = train_transform(image, torch.from_numpy(mask), **GEOMETRY, **PLAIN)
        assert cropped.shape == (3, 48, 64) and cropped_mask.shape == (48, 64)
        assert cropped.dtype == cropped_mask.dtype == torch.uint8
        told, sure = classes_of(cropped)
        assert sure.float().mean() > 0.5  # all but the blended borders
        assert torch.equal(told[sure], cropped_mask[sure])
        flipped += not torch.equal(told, told.flip(-1))
    assert flipped > 0


@pytest.mark.parametrize("crop_size", [(48, 64), (64, 48), (33, 17)])
@pytest.mark.parametrize("zoom", [0.5, 0.7, 0.99, 1.0, 1.37, 3.0])
def test_crops_are_exact_and_margins_ignored(crop_size, zoom):
    random = np.random.default_rng(0)
    for _ in range(20):
        height, width = (int(side) for side in random.integers(5, 120, 2))
        image = torch.full((3, height, width), 255, dtype=torch.uint8)
        mask = torch.ones(height, width, dtype=torch.uint8)
        cropped, cropped_mask = zoom_and_crop(image, mask, crop_size, zoom)
        assert cropped.shape == (3, *crop_size) and cropped_mask.shape == crop_size
        assert set(cropped_mask.unique().tolist()) <= {1, IGNORE}
        rows, columns = np.nonzero((cropped_mask == 1).numpy())
        # As much of the photo as there is room for, in one piece, at the wanted zoom.
        for side, found, room in ((height, rows, crop_size[0]), (width, columns, crop_size[1])):
            assert len(rows) and abs(np.ptp(found) + 1 - min(room, side * zoom)) <= 1 + zoom
        assert len(rows) == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
        margin = cropped_mask == IGNORE
        if zoom == 1:
            assert (cropped[:, margin] == FILL).all()


@pytest.mark.parametrize("zoom", [0.5, 1.0, pytest.param(1.37, marks=pytest.mark.long)])
def test_crops_are_laid_where_an_animal_is_as_often_as_asked(zoom):
    """One animal of 2 x 3 pixels in a photo of 200 x 300: a crop anywhere hardly ever holds it."""
    image = torch.zeros(3, 200, 300, dtype=torch.uint8)
    mask = torch.zeros(200, 300, dtype=torch.uint8)
    mask[0, :] = IGNORE  # no animal
    for top, left in ((57, 211), (1, 0), (198, 297)):
        mask[1:] = 0
        mask[top:top + 2, left:left + 3] = 2
        held = {0.0: 0, 0.5: 0, 1.0: 0}
        corners = set()
        for share in held:
            for seed in range(100):
                torch.manual_seed(seed)
                _, cropped = zoom_and_crop(image, mask, (32, 40), zoom, share)
                held[share] += bool((cropped == 2).any())
                if share == 1 and zoom == 1:
                    rows, columns = (cropped == 2).nonzero().T
                    corners.add((int(rows[0]), int(columns[0])))
                    assert not len(rows) or (cropped != IGNORE).all() or top == 1
        # At zoom 0.5 a single row or column at the edge of the crop can get lost.
        assert held[0.0] < 15 and 30 < held[0.5] < 70, held
        assert held[1.0] == 100 or (zoom < 1 and held[1.0] > 60), held
        if zoom == 1 and top == 57:
            assert len(corners) > 70  # anywhere in the crop, not in its middle
    _, cropped = zoom_and_crop(image, torch.zeros_like(mask), (32, 40), zoom, 1.0)
    assert cropped.shape == (32, 40)  # an empty photo has no animal to look for


def test_places_and_zooms_vary_over_their_whole_range():
    height, width = 30, 40
    coordinates = torch.arange(height)[:, None].expand(height, width).to(torch.uint8)
    tops, sides, flips = set(), set(), 0
    for seed in range(300):
        torch.manual_seed(seed)
        _, mask = zoom_and_crop(torch.zeros(3, height, width, dtype=torch.uint8), coordinates,
                                (10, 10), 1.0)
        tops.add(int(mask[0, 0]))
        gradient = torch.arange(width).to(torch.uint8).expand(3, height, width)
        image, _ = train_transform(gradient, coordinates, crop_size=(10, 10),
                                   scale_range=(0.5, 2.0), animal_crops=0.0,
                                   flip=0.5, **PLAIN)
        sides.add(round(abs(int(image[0, 0, 8]) - int(image[0, 0, 1])) / 7, 1))
        flips += int(image[0, 0, 8]) < int(image[0, 0, 1])
    assert tops == set(range(21))  # both ends too
    assert min(sides) <= 0.6 and max(sides) >= 1.8  # source pixels for each pixel of the crop
    assert 110 < flips < 190


def test_colours_change_in_the_image_only():
    mask = torch.from_numpy(draw_mask(64, 48, 3))
    image = coloured_photo(mask.numpy())
    still = {"crop_size": (48, 64), "scale_range": (1.0, 1.0), "animal_crops": 0.0, "flip": 0.0}
    same, _ = train_transform(image, mask, **still, **PLAIN)
    assert torch.equal(same, image)
    for name, value in STRONG.items():
        value = 1.0 if name in ("grayscale", "blur") else value
        torch.manual_seed(1)
        changed, unchanged = train_transform(image, mask, **still, **PLAIN | {name: value})
        assert torch.equal(unchanged, mask), name
        assert not torch.equal(changed, image), name
        assert changed.dtype == torch.uint8 and changed.shape == image.shape
        if name == "grayscale":
            expected = vision.rgb_to_grayscale(image, 3)  # it rounds down
            assert (changed.int() - expected.int()).abs().max() <= 1


def test_the_range_of_brightness():
    """Between 1 - brightness and 1 + brightness times the light, on average none."""
    image = torch.full((3, 16, 16), 100, dtype=torch.uint8)
    mask = torch.zeros(16, 16, dtype=torch.uint8)
    torch.manual_seed(0)
    values = [int(train_transform(image, mask, crop_size=(16, 16), scale_range=(1.0, 1.0),
                                  animal_crops=0.0, flip=0.0,
                                  **PLAIN | {"brightness": 0.4})[0][0, 0, 0])
              for _ in range(300)]
    assert 59 <= min(values) < 65 and 135 < max(values) <= 140
    assert 96 < np.mean(values) < 104


def test_eval_transform_changes_nothing():
    mask = torch.from_numpy(draw_mask(50, 40, 0))
    image = coloured_photo(mask.numpy())
    same, same_mask = eval_transform(image.clone(), mask.clone())
    assert torch.equal(same, image) and torch.equal(same_mask, mask)


WHOLE_PHOTO = {"crop_size": (120, 160), "scale_range": (1.0, 1.0), "animal_crops": 0.0,
               "flip": 0.0}
LOUD = {"brightness": 0.3, "contrast": 0.3, "colour": 0.3, "grayscale": 0.2, "noise": 8.0,
        "blur": 0.1}




def infrared(image, mask, seed, **knobs):
    torch.manual_seed(seed)
    return train_transform(image, mask, **WHOLE_PHOTO, **LOUD | knobs, infrared=1.0)


def test_infrared_photos_are_grey_and_their_mask_is_untouched():
    image = torch.randint(0, 256, (3, 120, 160), dtype=torch.uint8)
    mask = torch.randint(0, 4, (120, 160), dtype=torch.uint8)
    for seed in range(8):
        night, same = infrared(image, mask, seed)
        assert night.dtype == torch.uint8 and night.shape == image.shape
        assert torch.equal(night[0], night[1]) and torch.equal(night[0], night[2])
        assert torch.equal(same, mask)
        assert torch.equal(night, infrared(image, mask, seed)[0])  # of the seed alone
        assert not torch.equal(night, infrared(image, mask, seed + 1)[0])
    assert is_infrared(night.permute(1, 2, 0).numpy())


def test_infrared_skips_the_colour_steps_and_none_is_as_before():
    image = torch.randint(0, 256, (3, 120, 160), dtype=torch.uint8)
    mask = torch.zeros(120, 160, dtype=torch.uint8)
    still = dict.fromkeys(LOUD, 0.0)
    assert torch.equal(infrared(image, mask, 3)[0], infrared(image, mask, 3, **still)[0])
    torch.manual_seed(5)
    before = train_transform(image, mask, **WHOLE_PHOTO, **LOUD)[0]
    torch.manual_seed(5)
    assert torch.equal(before, train_transform(image, mask, **WHOLE_PHOTO, **LOUD, infrared=0.0)[0])


def block_mean(picture):
    return torch.nn.functional.avg_pool2d(picture[None], 12)[0]


def test_infrared_light_falls_off_and_noise_is_strongest_in_the_dark():
    image = torch.full((3, 120, 160), 150, dtype=torch.uint8)
    mask = torch.zeros(120, 160, dtype=torch.uint8)
    centres, corners, tops, bottoms, correlations = [], [], [], [], []
    for seed in range(40):
        night = infrared(image, mask, seed)[0][0].float()
        centres.append(night[40:90, 50:110].mean())
        corners.append(torch.cat([night[:20, :20], night[:20, -20:], night[-20:, :20],
                                  night[-20:, -20:]]).mean())
        tops.append(night[:30].mean())
        bottoms.append(night[-30:].mean())
        bend = night[:, 2:] - 2 * night[:, 1:-1] + night[:, :-2]  # noise; the light is smooth
        level = block_mean(night[:, 1:-1])
        level, rough = level.ravel(), block_mean(bend ** 2).sqrt().ravel()
        fair = (level > 25) & (level < 200)  # nothing is cut off
        if fair.sum() > 30 and level[fair].std() > 15:
            correlations.append(np.corrcoef(level[fair], rough[fair])[0, 1])
    assert np.mean(corners) < 0.6 * np.mean(centres)
    assert np.mean(tops) < 0.7 * np.mean(bottoms)  # what is far is dark
    assert len(correlations) > 20 and np.mean(correlations) < -0.4


def test_infrared_meets_the_share_that_was_asked_for():
    image = torch.randint(0, 256, (3, 24, 32), dtype=torch.uint8)
    mask = torch.zeros(24, 32, dtype=torch.uint8)
    torch.manual_seed(0)
    grey = 0
    for _ in range(400):
        knobs = {**WHOLE_PHOTO, "crop_size": (24, 32), **LOUD, "grayscale": 0.0}
        night = train_transform(image, mask, **knobs, infrared=0.25)[0]
        grey += bool((night[0] == night[1]).all())
    assert 70 < grey < 130


@pytest.mark.parametrize(("size", "place"), [((10, 20), (3, 5)), ((4, 31), (0, 11))])
def test_a_centred_crop_lies_in_the_middle(size, place):
    image = torch.arange(3 * size[0] * size[1]).reshape(3, *size).to(torch.uint8)
    mask = image[0] % 5
    crop, crop_mask = zoom_and_crop(image, mask, (4, 10), 1.0, centred=True)
    top, left = (size[0] - 4) // 2, (size[1] - 10) // 2
    assert (top, left) in (place, (0, 10))
    assert torch.equal(crop, image[:, top:top + 4, left:left + 10])
    assert torch.equal(crop_mask, mask[top:top + 4, left:left + 10])
    small, small_mask = zoom_and_crop(image, mask, (size[0] + 4, size[1]), 1.0, centred=True)
    assert torch.equal(small[:, 2:-2], image) and torch.equal(small_mask[2:-2], mask)
    assert (small_mask[:2] == 255).all() and (small_mask[-2:] == 255).all()


def test_zoom_and_flip_move_numbers_with_their_pixels_and_change_none():
    grey = torch.arange(0, 240, 4).repeat(40, 1).to(torch.uint8)  # a number for each column
    plain = {"brightness": 0, "contrast": 0, "colour": 0, "grayscale": 0, "noise": 0, "blur": 0}
    for seed in range(20):
        torch.manual_seed(seed)
        image, values = train_transform(grey.repeat(3, 1, 1), grey.float() / 8,
                                        crop_size=(48, 64), scale_range=(0.6, 1.5),
                                        animal_crops=0.0, flip=0.5, **plain)
        inside = ~values.isnan()
        assert inside.any() and values[inside].max() <= 239 / 8
        assert set((8 * values[inside]).tolist()) <= set(range(0, 240, 4))
        # Where no margin is near, photo and map agree but for the smoothing of the photo.
        core = F.max_pool2d((~inside).float()[None], 9, 1, 4)[0] == 0
        assert core.any() and (image[0].float()[core] - 8 * values[core]).abs().max() < 8
        margin = F.max_pool2d(inside.float()[None], 9, 1, 4)[0] == 0
        assert (image[0][margin] == 116).all()
