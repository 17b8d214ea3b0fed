"""The scene of a location: its sky, hills and ground, what stands on it, and how far all is."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from .painting import HEPTAGON, OVERSAMPLING, Sprite, noise, soft_step, tint, to_image
from .plants import bush, rock, trunk, tuft

FOCAL_LENGTH = 1.1  # of every camera, as a share of the photo's width: it sees 49 degrees
FARTHEST = 1500  # centimetres, as far as a flash reaches; what is farther has no distance
NO_DISTANCE = 65535  # in a map of distances
# Soil, bark and stone share their colours with the coats, so that colour alone tells little.
EARTH = np.array([(168, 98, 52), (158, 132, 98), (116, 100, 82), (112, 110, 104), (66, 56, 48)])


@dataclass
class Scene:
    """What stays at a location. Pictures are larger than a photo by `margin` on every side."""

    width: int
    height: int
    margin: int
    horizon: float  # row, in the larger picture, of what is infinitely far
    slope: float  # rows that the ground rises a column to the right
    eye_height: float  # metres from the ground to the camera
    ground: Image.Image  # RGB, with all that is far
    nearness: np.ndarray  # float32: 0 sky, small far, 1 at the lower edge of the photo
    distances: np.ndarray  # int32: from the camera to the ground, in centimetres
    sprites: list[Sprite]  # what may stand before an animal, far to near
    colours: np.ndarray  # (n, 3) of soil, bark, stone and leaves: coats borrow from them
    shelter: float  # how much of the sky trees hide: 0 open, 1 forest

    def ground_row(self, scale: float, x: float) -> float:
        """The row of the ground where a metre is `scale` pixels, at column x."""
        return self.horizon + self.eye_height * scale - self.slope * (x - self.ground.width / 2)

    def scale(self, row: float, x: float) -> float:
        """Pixels a metre on the ground at this row and column."""
        return max(1.0, row - self.horizon + self.slope * (x - self.ground.width / 2)
                   ) / self.eye_height

    def distance(self, row: float, x: float) -> int:
        """Centimetres from the camera to what stands there: twice as far is half as large."""
        return known_distance(100 * FOCAL_LENGTH * self.width / self.scale(row, x))


def known_distance(centimetres: np.ndarray | float) -> np.ndarray:
    """Distances as a map holds them: whole centimetres, or NO_DISTANCE."""
    return np.where(centimetres <= FARTHEST, np.rint(centimetres), NO_DISTANCE).astype(np.int32)


@lru_cache(maxsize=2)
def build_scene(seed: int, location: int, width: int, height: int) -> Scene:
    """The scene of a location: colours, ground, far things and what stands in front."""
    random = np.random.default_rng([seed, location])
    margin = max(4, round(0.04 * width))
    size = full_height, full_width = height + 2 * margin, width + 2 * margin
    shelter = min(max(location * 5 % 12 / 11 + random.normal(0, 0.1), 0), 1)
    soil = EARTH[random.choice(5, p=(0.25, 0.25, 0.25, 0.15, 0.1))] * random.uniform(0.85, 1.15)
    green = np.array((random.uniform(75, 125), random.uniform(95, 122), random.uniform(50, 75)))
    bark = EARTH[random.integers(1, 5)] * random.uniform(0.75, 1.1)
    stone = EARTH[random.integers(1, 4)] * random.uniform(0.9, 1.3)
    dry = green * 0.25 + np.array((160, 142, 104)) * random.uniform(0.65, 0.85)
    leaf = (green, dry, soil * 0.5 + green * 0.5)[random.integers(3)]
    slope = random.uniform(-0.12, 0.12)
    horizon = margin + height * random.uniform(0.22, 0.40)
    eye_height = random.uniform(0.85, 1.15)

    columns = np.arange(full_width) - full_width / 2
    bumps = noise(random, 1, full_width, width / 6)[0] * 0.012 * height
    edge = horizon - slope * columns + bumps + 0.02 * height  # (W,) row where the ground begins
    rows = np.arange(full_height)[:, None]
    depth_rows = rows - (horizon - slope * columns)[None]
    on_ground = rows >= edge[None]
    nearness = np.clip(depth_rows / (full_height - margin - horizon), 0.06, 1.2)
    far, far_nearness = paint_far(random, size, horizon, slope, shelter, green, bark, soil)
    pixels = paint_ground(random, size, depth_rows, soil, dry, leaf)
    pixels = np.where(on_ground[..., None], pixels, far)
    nearness = np.where(on_ground, nearness, far_nearness).astype(np.float32)
    distances = known_distance(np.where(
        on_ground, 100 * FOCAL_LENGTH * width * eye_height / np.maximum(depth_rows, 1), np.inf))
    scene = Scene(width, height, margin, horizon, slope, eye_height, to_image(pixels), nearness,
                  distances, [], np.stack([soil, bark, stone, leaf, dry]), float(shelter))
    scatter_litter(random, scene, edge, (soil, leaf, dry, stone, bark))
    scene.sprites = sorted(plant(random, scene, bark, stone, leaf, dry, green),
                           key=lambda sprite: sprite.y)
    return scene


def paint_far(random: np.random.Generator, size: tuple[int, int], horizon: float, slope: float,
              shelter: float, green: np.ndarray, bark: np.ndarray, soil: np.ndarray,
              ) -> tuple[np.ndarray, np.ndarray]:
    """Sky, hills and the far wood: colours float (H, W, 3) and nearness (H, W)."""
    height, width = size
    rows = np.arange(height)[:, None] / horizon
    pixels = (np.array((165, 190, 215)) + np.array((60, 45, 25)) * rows.clip(0, 1)[..., None]
              ) * np.ones((1, width, 1))
    nearness = np.zeros(size)
    line = horizon - slope * (np.arange(width) - width / 2)
    for step in range(3):  # hills, the nearer the lower and the darker
        hill = line - horizon * (0.42 - 0.13 * step) * (
            0.55 + 0.5 * noise(random, 1, width, width / 3, 2)[0]) - (
            noise(random, 1, width, 9, 2)[0] * 0.012 * height * step)
        where = np.arange(height)[:, None] > hill[None]
        haze = np.array((150, 165, 175)) * (0.75 - 0.25 * step)
        colour = haze + (green * 0.7 + soil * 0.15) * (0.25 + 0.25 * step)
        grain = 1 + 0.20 * noise(random, *size, 8, 2)
        pixels = np.where(where[..., None], colour * grain[..., None], pixels)
        nearness[where] = 0.02 + 0.015 * step
    # Foliage hides the sky where it is dense; gaps of light remain.
    foliage = (noise(random, *size, width / 5, 5) + 0.35 * noise(random, *size, width / 40, 4))
    # It thins out towards the sky; in the open there is none.
    dense = soft_step(foliage + 3.2 * (shelter - 0.45) - 1.2 * (1 - rows), -0.1, 0.1)[..., None]
    grain = (0.75 + 0.35 * noise(random, *size, 12, 3) + 0.2 * foliage)[..., None]
    mixed = green + (soil - green) * soft_step(noise(random, *size, width / 4, 3), -.5, .5)[
        ..., None] * 0.7
    pixels = pixels * (1 - dense) + mixed * 0.62 * grain * dense
    nearness = np.where(dense[..., 0] > 0.5, 0.05, nearness)
    for _ in range(int(45 * shelter)):  # thin far trunks
        x, wide = random.uniform(0, width), random.uniform(0.002, 0.014) * width
        lean = random.normal(0, 0.04)
        across = (np.arange(width)[None] - x - lean * (np.arange(height)[:, None] - horizon)) / wide
        shade = bark * random.uniform(0.35, 0.95)
        cover = np.clip((1 - np.abs(across)) * wide / 1.5, 0, 1)[..., None]
        pixels = pixels * (1 - cover) + shade * (1 + 0.25 * across.clip(-1, 1))[..., None] * cover
    return pixels, nearness


def paint_ground(random: np.random.Generator, size: tuple[int, int], depth_rows: np.ndarray,
                 soil: np.ndarray, dry: np.ndarray, leaf: np.ndarray) -> np.ndarray:
    """Soil with patches of plants, in perspective: float (H, W, 3)."""
    height, width = size
    side = 512
    depth = height / np.maximum(depth_rows, 2.0)
    across = ((np.arange(width) - width / 2) / width)[None] * depth

    def lookup(texture: np.ndarray, fineness: float) -> np.ndarray:
        """The texture laid out on the ground; mirrored, so that it has no seam."""
        u = np.abs((across * fineness + 10 * side).astype(int) % (2 * side) - side + 0.5)
        v = np.abs((depth * fineness).astype(int) % (2 * side) - side + 0.5)
        return texture[v.astype(int), u.astype(int)]

    coarse = lookup(noise(random, side, side, 90, 4), 60)
    fine = lookup(noise(random, side, side, 16, 4), 200)
    plants = soft_step(coarse + random.uniform(-0.3, 0.3), -0.2, 0.25)[..., None]
    other = (dry, leaf)[random.integers(2)]
    grain = 1 + 0.26 * fine + 0.12 * noise(random, height, width, 4, 2)
    return (soil * (1 - plants) + other * plants) * grain[..., None]


def scatter_litter(random: np.random.Generator, scene: Scene, edge: np.ndarray, colours: tuple,
                   ) -> None:
    """Leaves, blades, stones and twigs on the ground, small far away, painted into the scene."""
    picture = scene.ground.resize([side * OVERSAMPLING for side in scene.ground.size])
    pen = ImageDraw.Draw(picture)
    shares = random.dirichlet((1.2, 1.2, 1.2, 0.5, 0.4))
    count = int(random.uniform(1500, 3200))
    reach = (scene.ground.height - scene.horizon)
    near = np.sort(random.uniform(0.1, 1, count) ** 1.3)
    kinds = random.choice(5, count, p=shares)
    for share, kind in zip(near, kinds, strict=True):
        x = random.uniform(0, scene.ground.width)
        y = edge[int(x)] + share * reach
        size = scene.scale(y, x) * random.uniform(0.02, 0.05)
        colour = tint(colours[kind], random.uniform(0.7, 1.3))
        angle = random.uniform(0, 2 * math.pi)
        if kind in (0, 1, 3):  # soil and leaves lie flat, stones are round
            turn = np.array([[math.cos(angle), math.sin(angle)],
                             [-math.sin(angle), math.cos(angle)]])
            outline = random.uniform(0.7, 1.2, (7, 1)) * HEPTAGON * (1, 0.55) @ turn * (1, 0.6)
            corners = (np.array((x, y)) + size * outline) * OVERSAMPLING
            pen.polygon([tuple(corner) for corner in corners], fill=colour)
        else:  # blades stand, twigs lie
            length = size * random.uniform(2, 5)
            end = ((x + length * 0.4 * math.cos(angle), y - length) if kind == 2
                   else (x + length * 2 * math.cos(angle), y + length * 0.7 * math.sin(angle)))
            pen.line([x * OVERSAMPLING, y * OVERSAMPLING, end[0] * OVERSAMPLING,
                      end[1] * OVERSAMPLING], fill=colour, width=max(1, int(size * 0.6)))
    scene.ground = picture.reduce(OVERSAMPLING)


def plant(random: np.random.Generator, scene: Scene, bark: np.ndarray, stone: np.ndarray,
          leaf: np.ndarray, dry: np.ndarray, green: np.ndarray) -> Iterator[Sprite]:
    """Trunks, rocks, bushes and tufts of grass of a scene."""
    counts = [("trunk", int(random.uniform(2, 4) + 5 * scene.shelter)),
              ("rock", random.integers(1, 6)), ("bush", random.integers(2, 7)),
              ("tuft", random.integers(10, 30))]
    lowest = scene.ground.height
    for kind, count in counts:
        for _ in range(count):
            x = random.uniform(0, scene.ground.width)
            share = random.uniform(0.03, 1.05 if kind == "tuft" else 0.75)
            if kind == "trunk":
                share *= 0.6
            y = scene.ground_row(0, x) + max(0.05, share) * (lowest - scene.horizon)
            scale = scene.scale(y, x)
            # What is near and large stands at the sides, or it would hide every animal.
            if kind != "tuft" and share > 0.25 and abs(x / scene.ground.width - 0.5) < 0.3:
                x = x * 0.3 + (0 if random.random() < 0.5 else 0.7 * scene.ground.width)
            if kind == "trunk":
                wide = min(scale * random.uniform(0.12, 0.4), 0.16 * scene.width)
                yield trunk(random, x, y, wide, bark * random.uniform(0.8, 1.15))
            elif kind == "rock":
                yield rock(random, x, y, scale * random.uniform(0.15, 0.5), stone)
            elif kind == "bush":
                colour = (leaf, dry, green)[random.integers(3)] * random.uniform(0.7, 1.0)
                yield bush(random, x, y, scale * random.uniform(0.35, 0.8), colour)
            else:
                yield tuft(random, x, y, scale * random.uniform(0.16, 0.42),
                           (leaf, dry, dry)[random.integers(3)])
