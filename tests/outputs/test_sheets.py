"""Contact sheets."""

import numpy as np
import pytest
import torch
from PIL import Image
from prediction_records import CLASSES, predicted, with_box

from camera_trapinator.data.masks import write_mask
from camera_trapinator.outputs.drawing import wrap
from camera_trapinator.outputs.sheets import (
    worst_error,
    write_batch_sheet,
    write_sheet,
    write_worst_sheet,
)


def test_sheets_hold_portrait_and_landscape_and_all_of_a_long_caption(tmp_path):
    pictures = [(np.full((300, 100, 3), 200, np.uint8), ["short"]),
                (Image.new("RGB", (900, 300), (200, 200, 200)), ["a long caption " * 20, "second"]),
                (np.full((50, 50, 3), 200, np.uint8), [])]
    write_sheet(pictures, tmp_path / "sheet.png", columns=2, cell=(200, 150), classes=CLASSES)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png")).astype(int)
    assert sheet.shape[1] == 2 * 208 + 8
    grey = (sheet == 200).all(axis=-1)
    for columns, rows, area in [(slice(0, 208), slice(0, 160), 150 * 50),
                                (slice(208, 420), slice(0, 160), 200 * 67)]:
        assert abs(grey[rows, columns].sum() - area) <= 200
    lines = wrap("a long caption " * 20, 15, 200)
    assert len(lines) > 5 and sheet.shape[0] > 150 + 21 * (len(lines) + 1) + 50
    write_sheet([], tmp_path / "none.jpg")  # an evaluation in which every photo failed
    assert Image.open(tmp_path / "none.jpg").size[0] > 1


@pytest.mark.parametrize(("confusion", "text"), [
    ([[90, 0, 0], [0, 10, 0], [0, 0, 0]], "no pixel is wrong"),
    ([[90, 5, 0], [0, 5, 0], [0, 0, 0]], "5 % of the photo wrongly fox"),
    ([[90, 1, 0], [8, 2, 0], [0, 0, 0]], "80 % of fox missed"),
    ([[90, 1, 0], [0, 2, 6], [0, 0, 2]], "75 % of fox taken for hare"),
])
def test_the_worst_error_in_words(confusion, text):
    assert worst_error(np.array(confusion), ["background", "fox", "hare"]) == text


def test_the_worst_sheet_shows_photo_truth_and_prediction(tmp_path):
    Image.new("RGB", (600, 400), (90, 90, 90)).save(tmp_path / "a.jpg")
    truth = with_box(100, 100, 200, 200, species=1, size=(400, 600))
    mask = with_box(100, 300, 200, 200, species=2, size=(400, 600))
    write_mask(tmp_path / "a.png", truth, [colour for _, colour in CLASSES])
    confusion = np.bincount(truth.ravel() * 4 + mask.ravel(), minlength=16).reshape(4, 4).tolist()
    record = predicted("a.jpg", mask, truth="a.png", confusion=confusion, iou=0.0)
    empty = {**record, "truth": "background"}
    write_worst_sheet(tmp_path / "worst.png", [record, empty], tmp_path, CLASSES)
    sheet = np.asarray(Image.open(tmp_path / "worst.png")).astype(int)
    cells = [sheet[:260, 8 + column * 408:408 + column * 408] for column in range(3)]

    def outlined(cell, colour):
        return bool((cell == colour).all(axis=-1).sum() > 200)

    assert [outlined(cell, (230, 120, 20)) for cell in cells] == [False, True, False]
    assert [outlined(cell, (80, 160, 255)) for cell in cells] == [False, False, True]
    below = sheet[330:600, 8 + 408:408 + 408]
    assert not outlined(below, (230, 120, 20))  # the second row's truth is background


def cells_of(path, number: int, width: int = 384, height: int = 288) -> list[np.ndarray]:
    """The pictures, all of one size, of the first row of a sheet with cells of 400 x 320."""
    sheet, left = np.asarray(Image.open(path)).astype(int), 8 + (400 - width) // 2
    return [sheet[8:8 + height, left + column * 408:left + column * 408 + width]
            for column in range(number)]


@pytest.mark.parametrize("channels", [3, 6, 1])
def test_the_batch_sheet_shows_crops_with_their_masks_and_what_is_ignored(tmp_path, channels):
    images = torch.full((9, channels, 48, 64), 90, dtype=torch.uint8)
    images[:, 3:] = 255  # further channels are not drawn
    masks = torch.zeros(9, 48, 64, dtype=torch.uint8)
    masks[0, 10:30, 10:40] = 1
    masks[1, 10:30, 10:40] = 255
    masks[2] = 255
    write_batch_sheet(tmp_path / "batch.png", images, masks, CLASSES)
    animal, ignored, unknown, empty = cells_of(tmp_path / "batch.png", 4)
    orange = (animal == (230, 120, 20)).all(axis=-1)
    assert orange.any() and not (ignored == (230, 120, 20)).all(axis=-1).any()
    hatched = (ignored != 90).all(axis=-1)  # six times as large as the crop
    assert hatched[60:180, 60:240].all() and hatched.sum() == 120 * 180
    assert np.ptp(np.unique(ignored[hatched])) == 100  # dark and light stripes
    assert (empty == 90).all() and (unknown != 90).all()
    sheet = np.asarray(Image.open(tmp_path / "batch.png")).astype(int)
    assert sheet.shape[1] == 4 * 408 + 8 and 2 * 288 < sheet.shape[0] < 3 * 288  # eight of the nine
    legend = sheet[-30:]
    assert (legend == (80, 160, 255)).all(axis=-1).any()
    assert (legend == 128).all(axis=-1).sum() > 100  # the square of what is ignored
    write_batch_sheet(tmp_path / "two.png", images[3:5], masks[3:5], CLASSES)
    legend = np.asarray(Image.open(tmp_path / "two.png"))[-30:]
    assert (legend == 128).all(axis=-1).sum() < 100  # nothing is ignored


def test_the_batch_sheet_of_a_regression_is_coloured_by_the_numbers(tmp_path):
    images = torch.full((3, 3, 48, 64), 100, dtype=torch.uint8)
    masks = torch.linspace(0, 10, 64).expand(3, 48, 64).clone()
    masks[0, :24] = torch.nan
    masks[2] = torch.nan
    write_batch_sheet(tmp_path / "batch.png", images, masks, [("distance (m)", (0, 0, 0))])
    half, whole, none, bar = cells_of(tmp_path / "batch.png", 4)
    grey = (half == half[..., :1]).all(axis=-1)
    assert grey[:144].all() and not grey[144:].any()
    assert not (whole == whole[..., :1]).all(axis=-1).any()
    assert (none == 60).all()
    assert len(np.unique(bar.reshape(-1, 3), axis=0)) > 100  # the colours from low to high
    masks[:] = torch.nan  # no number at all
    write_batch_sheet(tmp_path / "batch.jpg", images, masks, [("distance (m)", (0, 0, 0))], most=1)
    assert Image.open(tmp_path / "batch.jpg").format == "JPEG"
    assert {path.name for path in tmp_path.iterdir()} == {"batch.png", "batch.jpg"}


def test_large_crops_are_made_to_fit(tmp_path):
    images, masks = np.full((2, 3, 960, 1280), 90, np.uint8), np.zeros((2, 960, 1280), np.uint8)
    masks[:, 200:600, 200:900] = 2
    write_batch_sheet(tmp_path / "batch.png", images, masks, CLASSES)
    (cell, _) = cells_of(tmp_path / "batch.png", 2, 400, 300)
    outline = (cell == (80, 160, 255)).all(axis=-1)
    rows, columns = np.nonzero(outline)
    assert abs(np.ptp(columns) - 700 * 400 / 1280) < 3 and abs(np.ptp(rows) - 400 * 300 / 960) < 3
