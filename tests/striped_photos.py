"""Photos with an info strip as cameras print it, for tests."""

import numpy as np
from PIL import Image, ImageDraw

# ------------------------------------------------------------------------------ the finder


def scene(random, height=360, width=480, night=False):
    """Rocks and leaves of any size, uint8 (height, width, 3)."""
    grain = sum(np.kron(random.normal(0, 18, (height // size + 1, width // size + 1, 3)),
                        np.ones((size, size, 1)))[:height, :width] for size in (2, 7, 30))
    if night:
        grain = grain.mean(axis=2, keepdims=True) * 0.4 * np.ones(3)
    return (grain + (25 if night else 120) + random.uniform(-15, 40)).clip(0, 255).astype(np.uint8)


def with_strip(image, tall, side, paper, ink, number):
    """The picture with a strip of `tall` rows: time, temperature, name, as JPEG would show it."""
    picture = Image.fromarray(image)
    pen = ImageDraw.Draw(picture)
    top = 0 if side == "top" else picture.height - tall
    pen.rectangle([0, top, picture.width, top + tall - 1], fill=(paper,) * 3)
    for x, text in ((5, f"2024-05-0{number % 9 + 1} 10:{number:02}:11"), (220, f"{number} C"),
                    (400, "TRAPPER")):
        pen.text((x, top + tall // 2), text, fill=(ink,) * 3, anchor="lm")
    return picture
