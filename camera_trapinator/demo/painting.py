"""What animals and scenes are painted with: noise, soft edges, canvases, sprites."""

import math
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

OVERSAMPLING = 2  # shapes are drawn this much larger, then reduced: smooth edges
# The corners of a round thing, a unit wide from the middle; stretched it is a leaf.
HEPTAGON = np.array([(math.cos(angle), math.sin(angle))
                     for angle in np.linspace(0, 2 * math.pi, 8)[:-1]])


class Sprite(NamedTuple):
    """A picture with its cover (mode L), to be pasted with its foot at (x, y) of the scene."""

    colour: Image.Image
    cover: Image.Image
    anchor: tuple[float, float]  # the foot, in pixels of the picture
    x: float
    y: float
    sway: float  # share of its height by which the wind bends it; 0 = stiff
    eye: tuple[float, float] = (0, 0)  # in pixels of the picture; animals only
    width: float = 0  # of what stands on the ground: it casts a shadow
    tall: float = 0
    species: int = 0  # of an animal


def noise(random: np.random.Generator, height: int, width: int, cell: float, octaves: int = 3,
          stretch: float = 1.0) -> np.ndarray:
    """Smooth noise float32 (height, width), mean 0, about -1 to 1; `stretch` lengthens it down."""
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        step = max(1.0, cell / 2**octave)
        grid = random.random((int(height / step / stretch) + 2, int(width / step) + 2))
        layer = Image.fromarray(grid.astype(np.float32) * 2 - 1)
        total += np.asarray(layer.resize((width, height), Image.Resampling.BICUBIC)) / 2**octave
    return total / 1.3


def soft_step(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below `low`, 1 above `high`, smooth between."""
    ramp = np.clip((values - low) / (high - low), 0, 1)
    return ramp * ramp * (3 - 2 * ramp)


def to_image(values: np.ndarray) -> Image.Image:
    """Floats 0 to 255, (H, W) or (H, W, 3), as an 8-bit picture."""
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def tint(colour: np.ndarray, factor: float) -> tuple[int, int, int]:
    """The colour, lighter or darker, as Pillow wants it."""
    red, green, blue = (int(value) for value in np.clip(np.asarray(colour) * factor, 0, 255))
    return red, green, blue


def canvas(size: tuple[int, int], ground: tuple[int, int, int],
           ) -> tuple[Image.Image, Image.Image, tuple[ImageDraw.ImageDraw, ImageDraw.ImageDraw]]:
    """A picture (width, height) to draw on, another for what of it covers, and a pen for each."""
    colour, cover = Image.new("RGB", size, ground), Image.new("L", size)
    return colour, cover, (ImageDraw.Draw(colour), ImageDraw.Draw(cover))
