"""What stands in a scene before and behind the animals: trunks, rocks, bushes, tufts of grass."""

import math

import numpy as np

from .painting import HEPTAGON, OVERSAMPLING, Sprite, canvas, noise, tint, to_image


def trunk(random: np.random.Generator, x: float, y: float, wide: float, bark: np.ndarray,
          ) -> Sprite:
    """A trunk from its root to beyond the upper edge."""
    wide = max(3.0, wide)
    height, width = int(y) + 6, int(wide * 1.8) + 2
    rows = np.arange(height)[:, None]
    lean = random.uniform(-0.05, 0.05) * wide
    flare = 1 + 0.35 * np.exp(-(height - rows) / (0.7 * wide))
    middle = width / 2 + lean * np.sin(rows / wide / 3) + noise(random, height, 1, wide * 2) * 0.06
    across = (np.arange(width)[None] - middle) / (wide / 2 * flare)
    across = across + 0.08 * noise(random, height, width, wide / 3)
    furrows = noise(random, height, width, max(2, wide / 7), 3, stretch=4)
    blotches = noise(random, height, width, wide, 3)
    shade = (0.45 + 0.6 * np.sqrt(np.clip(1 - across**2, 0, 1))) * (
        1 + 0.3 * furrows + 0.15 * blotches)
    cover = np.clip((1 - np.abs(across)) * wide / 3, 0, 1) * np.clip((height - rows) / 4, 0, 1)
    return Sprite(to_image(bark * shade[..., None]), to_image(cover * 255),
                  (width / 2, height - 3), x, y, 0, width=wide, tall=height)


def rock(random: np.random.Generator, x: float, y: float, size: float, stone: np.ndarray) -> Sprite:
    """A boulder: a lumpy half disk lit from above."""
    size = max(4.0, size)
    height, width = int(size * random.uniform(0.5, 0.9)) + 4, int(size * 1.4) + 4
    across = np.linspace(-1, 1, width)[None]
    up = np.linspace(1, -0.25, height)[:, None]
    lumps = noise(random, height, width, size / 2.5, 3)
    radius = np.sqrt(across**2 + up**2) + 0.14 * lumps
    shade = 0.7 + 0.35 * up + 0.3 * noise(random, height, width, size / 6, 3) + 0.2 * lumps
    cover = np.clip((0.9 - radius) * size / 3, 0, 1) * np.clip((up + 0.2) * size / 4, 0, 1)
    return Sprite(to_image(stone * shade[..., None]), to_image(cover * 255),
                  (width / 2, height * 0.85), x, y, 0, width=width, tall=height)


def bush(random: np.random.Generator, x: float, y: float, size: float, leaf: np.ndarray) -> Sprite:
    """Twigs with leaves around a few centres; the lower ones lie in the shade."""
    size = max(5.0, size) * OVERSAMPLING
    width, height = int(2.4 * size), int(1.5 * size)
    colour, cover, pens = canvas((width, height), tint(leaf, 0.6))
    foot = (width / 2, height - 2)
    centres = np.column_stack([random.uniform(0.3, 0.7, 6) * width,
                               random.uniform(0.28, 0.75, 6) * height])
    for centre in centres:
        for pen, ink in zip(pens, (tint(leaf, 0.45), 255), strict=True):
            pen.line([foot, tuple(centre)], fill=ink, width=max(1, int(size / 28)))
    long = random.uniform(0.03, 0.065) * size
    places = centres[random.integers(6, size=420)] + random.normal(0, 0.17 * size, (420, 2))
    for place in places[np.argsort(-places[:, 1])]:
        angle, light = random.uniform(0, math.pi), random.uniform(0.75, 1.25)
        turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
        corners = [tuple(corner) for corner in place + long * (HEPTAGON * (1, 0.45)) @ turn]
        pens[0].polygon(corners, fill=tint(leaf, light * (1.25 - 0.75 * place[1] / height)))
        pens[1].polygon(corners, fill=255)
    return Sprite(colour.reduce(OVERSAMPLING), cover.reduce(OVERSAMPLING),
                  (foot[0] / OVERSAMPLING, foot[1] / OVERSAMPLING), x, y,
                  random.uniform(0.02, 0.07), width=width / 4, tall=height / 2)


def tuft(random: np.random.Generator, x: float, y: float, size: float, blade: np.ndarray) -> Sprite:
    """A tuft of curved blades of grass."""
    size = max(4.0, size) * OVERSAMPLING
    width, height = int(1.8 * size), int(1.15 * size)
    colour, cover, pens = canvas((width, height), tint(blade, 0.7))
    for _ in range(random.integers(14, 34)):
        root, tall = width / 2 + random.normal(0, 0.14) * size, random.uniform(0.45, 1) * size
        bend = random.normal(0, 0.3) * size
        points = [(root + bend * step**2, height - 1 - tall * step) for step in (0, .35, .7, 1)]
        thick = max(1.0, 0.022 * size)
        outline = [(px - thick * (1 - i / 3), py) for i, (px, py) in enumerate(points)] + [
            (px + thick * (1 - i / 3), py) for i, (px, py) in enumerate(points)][::-1]
        pens[0].polygon(outline, fill=tint(blade, random.uniform(0.6, 1.35)))
        pens[1].polygon(outline, fill=255)
    return Sprite(colour.reduce(OVERSAMPLING), cover.reduce(OVERSAMPLING),
                  (width / 2 / OVERSAMPLING, height / OVERSAMPLING), x, y,
                  random.uniform(0.08, 0.25))
