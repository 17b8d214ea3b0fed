"""Tinted animals, and text that fits."""

import numpy as np
import pytest
from prediction_records import CLASSES, with_box

from camera_trapinator.outputs.drawing import draw_overlay, font_of, wrap


def test_overlays_tint_the_animal_and_nothing_else():
    image = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    before = image.copy()
    mask = with_box(60, 100, 80, 90, species=2, size=(200, 300))
    drawn = np.asarray(draw_overlay(image, mask, CLASSES))
    changed = (drawn != image).any(axis=-1)
    assert (image == before).all() and drawn.shape == image.shape
    assert not changed[:58].any() and not changed[143:].any()  # a line around it of 1 pixel
    assert not changed[:, :98].any() and not changed[:, 193:].any()
    assert changed[65:135, 105:185].mean() > 0.95
    assert tuple(drawn[60, 150]) == (80, 160, 255)  # the outline, in the class's colour
    half = np.asarray(draw_overlay(image, mask[::2, ::2], CLASSES))
    assert (half == drawn).all()  # masks at network size are drawn alike
    empty = draw_overlay(image, np.zeros((20, 30), np.uint8), CLASSES)
    assert (np.asarray(empty) == image).all()


@pytest.mark.parametrize("grey", [0, 128, 255])
@pytest.mark.parametrize("colour", [(0, 0, 0), (20, 20, 20), (255, 255, 255), (128, 128, 128),
                                    (0, 0, 90), (230, 120, 20)])
def test_every_colour_shows_on_every_background(grey, colour):
    """All along the animal's outline some line differs clearly from the photo."""
    image = np.full((100, 150, 3), grey, np.uint8)
    mask = with_box(30, 40, 40, 50, size=(100, 150))
    drawn = draw_overlay(image, mask, [("background", (0, 0, 0)), ("animal", colour)])
    differs = abs(np.asarray(drawn).astype(int) - grey).max(axis=-1) > 85
    assert differs.sum() >= 2 * (40 + 50) - 4
    assert not differs[:28].any() and not differs[:, :38].any()


@pytest.mark.parametrize("width", [40, 150, 400])
@pytest.mark.parametrize("text", ["site one/100RECNX/IMG_0001.JPG    confidence 0.93", "x" * 300,
                                  "", "bad \udce9 name.jpg"])
def test_wrapped_text_fits_and_loses_nothing(text, width):
    lines = wrap(text, 15, width)
    assert "".join(lines) == text.replace("\udce9", "?")
    assert all(font_of(15).getlength(line.rstrip()) <= width for line in lines)
