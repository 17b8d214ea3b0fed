"""Generate camera-trap photos with exact masks: a data root to learn, test and time the project on.

    python scripts/make_demo_data.py --out ../camera_trapinator_data/demo
    python scripts/make_demo_data.py --out /tmp/large --photos 36 --size 5472x3648
    python scripts/make_demo_data.py --out /tmp/small --size 3840x2160 --animal-size 0.02

Each location has a scene of its own, seen by day and, through infrared flash, by night. Deer,
boar, foxes and badgers walk and graze in it; a third of the photos are empty. Every photo is a
pure function of (seed, location, sequence, frame). Needs numpy and Pillow, and no network.

manifest.csv names the masks of the animals; distance.csv, beside it, names for each photo a map of
the distances to the camera.
"""

import argparse
import csv
import json
import math
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps
from tqdm import tqdm

# What demo.json keeps.
OPTIONS = ("photos", "locations", "size", "seed", "animal_size", "new_photos", "version")
VERSION = 3  # raise it when the photos change, so that older output is made anew
BURST = 3  # photos in a sequence
# Longest side that is drawn; larger photos are enlarged from it. Where animals have a tenth of
# their size it is ten times as long: they shall keep their shape.
DRAWN_SIDE = 1280
FOCAL_LENGTH = 1.1  # of every camera, as a share of the photo's width: it sees 49 degrees
FARTHEST = 1500  # centimetres, as far as a flash reaches; what is farther has no distance
NO_DISTANCE = 65535  # in a map of distances
OVERSAMPLING = 2  # shapes are drawn this much larger, then reduced: smooth edges
CLASSES = [("background", (0, 0, 0)), ("deer", (230, 159, 0)), ("boar", (213, 94, 160)),
           ("fox", (0, 158, 115)), ("badger", (86, 180, 233))]
PLACES = ["oak_ridge", "pine_slope", "dry_meadow", "stone_gully", "beech_hollow", "heath_edge",
          "river_bank", "old_quarry", "fern_valley", "wind_gap", "clay_track", "birch_stand"]
# Soil, bark and stone share their colours with the coats, so that colour alone tells little.
EARTH = np.array([(168, 98, 52), (158, 132, 98), (116, 100, 82), (112, 110, 104), (66, 56, 48)])
COATS = {1: (172, 108, 58), 2: (52, 45, 40), 3: (206, 104, 46), 4: (112, 109, 105)}  # by class


class Camera(NamedTuple):
    """What a brand of camera writes: folders, file names, EXIF and the info strip."""

    name: str
    model: str
    file: str  # of photo number {n}
    strip: str  # where the info strip lies
    ink: tuple[int, int, int]
    paper: tuple[int, int, int]


CAMERAS = [
    Camera("RECONYA", "HX-500", "100RECNX/RCNX{n:04}.JPG", "bottom", (255, 255, 255), (0, 0, 0)),
    Camera("WOODEYE", "Core 4", "DCIM/100EK113/EK{n:06}.JPG", "bottom", (20, 20, 20),
           (240, 240, 240)),
    Camera("NOCTUA", "S2", "IMG_{n:04}.JPG", "top", (255, 255, 255), (0, 0, 0)),
]


class Shot(NamedTuple):
    """One photo to be made: where it belongs, and the files that it goes to."""

    location: int
    sequence: int
    frame: int
    species: int  # 0 = empty
    time: datetime
    image: str
    mask: str

    @property
    def distances(self) -> str:
        """The map of its distances; "" for a photo without labels."""
        return self.mask.replace("masks/", "distances/", 1)


# ----------------------------------------------------------------------------- small helpers


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


def smooth_path(points: np.ndarray, count: int) -> np.ndarray:
    """`count` places along the points (n, k), with the corners rounded off."""
    steps = np.linspace(0, len(points) - 1, count)
    path = np.stack([np.interp(steps, range(len(points)), column) for column in points.T], 1)
    reach = max(1, count // len(points) // 2)
    padded = np.concatenate([path[:1].repeat(reach, 0), path, path[-1:].repeat(reach, 0)])
    window = np.ones(2 * reach + 1) / (2 * reach + 1)
    return np.stack([np.convolve(column, window, "valid") for column in padded.T], 1)


# ----------------------------------------------------------------------------- the animals


class Sketch:
    """A canvas on which one animal is drawn in metres: x forward, y up, feet at 0."""

    def __init__(self, scale: float, coat: np.ndarray):
        self.scale = scale * OVERSAMPLING  # pixels a metre
        self.left, self.top = 1.4 * self.scale, 1.75 * self.scale  # pixels of the origin
        self.size = (int(2 * self.left), int(self.top + 0.12 * self.scale))
        self.colour, self.cover, self.pens = canvas(self.size, tint(coat, 1))
        self.eye = (0.0, 0.0)

    def place(self, points: np.ndarray) -> np.ndarray:
        return np.asarray(points, float) * (self.scale, -self.scale) + (self.left, self.top)

    def limb(self, points: list, radii: list, colour: tuple, paint_only: bool = False) -> None:
        """A round limb along the points; `paint_only` colours what is there already."""
        path = np.column_stack([self.place(points), np.array(radii) * self.scale])
        for x, y, radius in smooth_path(path, 14 * len(points)):
            box = (x - radius, y - radius, x + radius, y + radius)
            self.pens[0].ellipse(box, fill=colour)
            if not paint_only:
                self.pens[1].ellipse(box, fill=255)

    def patch(self, points: list, colour: tuple) -> None:
        corners = [tuple(corner) for corner in self.place(points)]
        self.pens[0].polygon(corners, fill=colour)
        self.pens[1].polygon(corners, fill=255)


@dataclass
class Pose:
    """How an animal stands: phase and reach of its gait, height of its head, its own build."""

    phase: float
    stride: float  # 0 stands, 1 walks
    head: float  # 0 up, 1 at the ground
    build: float  # about 1: how stout it is
    male: bool
    turn: float  # small random bends of neck and tail


def draw_legs(sketch: Sketch, pose: Pose, far: bool, hips: list, thick: float, colours: tuple,
              ) -> None:
    """The hind and the front leg on one side; `hips` are (x, y), colours (thigh, foot)."""
    for front, (x, height) in enumerate(hips):
        phase = pose.phase + math.pi * (0.5 * front + far)
        rest = 0.07 * height * (1 if far else -1)
        foot = (x + rest + 0.42 * height * pose.stride * math.sin(phase),
                0.22 * height * pose.stride * max(0.0, math.cos(phase)))
        middle = ((x + foot[0]) / 2 + (0.03 if front else -0.13) * height, (height + foot[1]) / 2)
        shade = 0.62 if far else 1.0
        sketch.limb([(x, height), middle], [1.9 * thick, 0.9 * thick], tint(colours[0], shade))
        sketch.limb([middle, foot, (foot[0] + 0.8 * thick, foot[1] + 0.02)],
                    [0.95 * thick, 0.6 * thick, 0.6 * thick], tint(colours[1], shade))


def between(up: tuple, down: tuple, share: float) -> np.ndarray:
    """The place `share` of the way from `up` to `down`."""
    return np.array(up) * (1 - share) + np.array(down) * share


def draw_deer(sketch: Sketch, pose: Pose, coat: np.ndarray) -> None:
    """Long legs and neck, pale spots, rump and belly; males carry antlers."""
    pale = coat * 0.5 + 105
    legs = partial(draw_legs, sketch, pose, hips=[(-0.42, 0.72), (0.38, 0.72)], thick=0.055,
                   colours=(coat, coat * 0.75))
    neck = between((0.74, 1.28), (0.92, 0.42), pose.head) + (0, 0.05 * pose.turn)
    nose = neck + between((0.25, -0.09), (0.10, -0.27), pose.head)
    legs(far=True)
    sketch.limb([(-0.56, 0.92), (-0.64, 0.82)], [0.045, 0.03], tint(pale, 1.1))
    body = [(-0.45, 0.86), (-0.1, 0.85), (0.2, 0.83), (0.42, 0.88)]
    widths = np.array([0.16, 0.165, 0.18, 0.17]) * pose.build
    sketch.limb(body, widths, tint(coat, 1))
    for spot in range(36):  # a fallow deer's summer coat
        x, row = -0.5 + 0.026 * spot, spot * 5 % 4
        sketch.limb([(x, 0.80 + 0.05 * row), (x + 0.01, 0.80 + 0.05 * row)], [0.019, 0.019],
                    tint(pale, 1.25), paint_only=True)
    sketch.limb([(-0.2, 0.74), (0.25, 0.70)], [0.05, 0.05], tint(pale, 1), paint_only=True)
    sketch.limb([(-0.55, 0.93), (-0.57, 0.80)], [0.07, 0.05], tint(pale, 1.25), paint_only=True)
    legs(far=False)
    sketch.limb([(0.40, 0.92), between((0.60, 1.08), (0.72, 0.72), pose.head), neck],
                [0.15, 0.10, 0.075], tint(coat, 1))
    for side in (-0.03, 0.04):
        sketch.limb([neck + (-0.02, 0.05), neck + (-0.13 + side, 0.13)], [0.03, 0.04],
                    tint(coat, 0.75 + 5 * side))
    sketch.limb([neck, nose], [0.085, 0.042], tint(coat, 0.95))
    sketch.limb([nose - (0.03, 0.02), nose], [0.03, 0.034], tint(coat, 0.35), paint_only=True)
    sketch.limb([neck + (0.02, -0.07), neck - (0.04, 0.12)], [0.035, 0.02], tint(pale, 1.1),
                paint_only=True)
    if pose.male:
        draw_antlers(sketch, neck + (0.0, 0.07), 1 - 0.9 * pose.head)
    sketch.eye = tuple(neck + (0.07, 0.02))


def draw_antlers(sketch: Sketch, root: np.ndarray, upright: float) -> None:
    """Two beams with two tines each; they tip forward when the head is low."""
    tip = math.radians(90 * (1 - upright))
    turn = np.array([[math.cos(tip), -math.sin(tip)], [math.sin(tip), math.cos(tip)]])
    for lean, shade in ((-0.16, 0.8), (0.04, 1.0)):
        bone = tint(np.array((150, 128, 100)), shade)
        beam = [(0, 0), (lean - 0.08, 0.18), (lean, 0.36), (lean + 0.1, 0.44)]
        for part, thick in ((beam, 0.022), ([beam[1], (lean + 0.09, 0.28)], 0.016),
                            ([beam[2], (lean - 0.08, 0.47)], 0.016)):
            sketch.limb(root + np.array(part) @ turn, [thick] * len(part), bone)


def draw_boar(sketch: Sketch, pose: Pose, coat: np.ndarray) -> None:
    """A heavy wedge: high shoulders with a mane, low rump, long snout at the ground."""
    dark = coat * 0.55
    legs = partial(draw_legs, sketch, pose, hips=[(-0.42, 0.42), (0.36, 0.42)], thick=0.058,
                   colours=(coat * 0.7, dark * 0.8))
    head = between((0.66, 0.56), (0.66, 0.40), pose.head)
    snout = head + between((0.42, -0.18), (0.33, -0.34), pose.head)
    legs(far=True)
    sketch.limb([(-0.62, 0.58), (-0.74, 0.48 + 0.05 * pose.turn), (-0.73, 0.33)],
                [0.025, 0.016, 0.028], tint(dark, 1))
    for x in np.linspace(-0.35, 0.52, 30):  # the bristles of the mane
        height = 0.79 + 0.1 * math.cos(2.2 * (x - 0.28)) * pose.build
        sketch.limb([(x, height - 0.12), (x - 0.07, height + 0.06)], [0.025, 0.006], tint(dark, 1))
    sketch.limb([(-0.47, 0.52), (-0.12, 0.54), (0.25, 0.60), (0.5, 0.56)],
                np.array([0.19, 0.245, 0.285, 0.24]) * pose.build, tint(coat, 0.85))
    legs(far=False)
    sketch.limb([(0.46, 0.58), head, snout], [0.235, 0.165, 0.06], tint(coat, 0.72))
    sketch.limb([head + (0.05, -0.11), between(head, snout, 0.8) + (0, -0.06)], [0.035, 0.02],
                tint(coat, 1.25), paint_only=True)
    ear = head + (-0.06, 0.13)
    sketch.patch([ear + (-0.06, -0.02), ear + (-0.07, 0.17), ear + (0.08, 0.0)], tint(dark, 0.8))
    sketch.limb([snout, snout + (0.02, -0.01)], [0.055, 0.05], tint(coat, 0.45))
    tusk = between(head, snout, 0.75)
    if pose.male:
        sketch.limb([tusk, tusk + (0.05, 0.07)], [0.02, 0.01], (225, 220, 200))
    sketch.eye = tuple(head + (0.08, 0.03))


def draw_fox(sketch: Sketch, pose: Pose, coat: np.ndarray) -> None:
    """Slender, dark stockings, pointed ears, white throat, a thick tail with a white tip."""
    white, dark = coat * 0.2 + 185, coat * 0.28
    legs = partial(draw_legs, sketch, pose, hips=[(-0.27, 0.34), (0.24, 0.34)], thick=0.036,
                   colours=(coat * 0.9, dark))
    head = between((0.47, 0.54), (0.52, 0.22), pose.head)
    nose = head + between((0.19, -0.06), (0.15, -0.13), pose.head)
    legs(far=True)
    droop = -0.10 + 0.14 * pose.turn
    tail = [(-0.33, 0.41), (-0.52, 0.37 + 0.4 * droop), (-0.74, 0.33 + droop),
            (-0.95, 0.30 + 1.3 * droop)]
    sketch.limb(tail, [0.05, 0.095, 0.12, 0.045], tint(coat, 0.92))
    sketch.limb([between(tail[2], tail[3], 0.45), tail[3]], [0.12, 0.05], tint(white, 1),
                paint_only=True)
    sketch.limb([(-0.28, 0.40), (0, 0.395), (0.25, 0.41)],
                np.array([0.112, 0.105, 0.122]) * pose.build, tint(coat, 1))
    sketch.limb([(-0.15, 0.32), (0.2, 0.31)], [0.025, 0.035], tint(white, 0.8), paint_only=True)
    legs(far=False)
    sketch.limb([(0.24, 0.43), between((0.38, 0.50), (0.42, 0.35), pose.head), head],
                [0.10, 0.085, 0.08], tint(coat, 1))
    sketch.limb([between((0.36, 0.41), (0.36, 0.30), pose.head), head - (0.0, 0.06)],
                [0.05, 0.045], tint(white, 1), paint_only=True)
    for side, shade in ((-0.075, 0.7), (0.015, 1.0)):
        ear = head + (side, 0.05)
        sketch.patch([ear + (-0.045, 0), ear + (-0.01, 0.16), ear + (0.06, 0.0)], tint(coat, shade))
        sketch.patch([ear + (-0.02, 0.09), ear + (-0.01, 0.16), ear + (0.02, 0.09)], tint(dark, 1))
    sketch.limb([head, nose], [0.085, 0.024], tint(coat, 1))
    sketch.limb([head + (0.02, -0.06), nose - (0.02, 0.02)], [0.03, 0.014], tint(white, 1),
                paint_only=True)
    sketch.limb([nose, nose], [0.02, 0.02], tint(dark, 0.6))
    sketch.eye = tuple(head + (0.06, 0.015))


def draw_badger(sketch: Sketch, pose: Pose, coat: np.ndarray) -> None:
    """Low and broad, black legs and belly, a white face with black stripes."""
    white, black = np.array((222, 218, 208)), coat * 0.1 + 18
    legs = partial(draw_legs, sketch, pose, hips=[(-0.27, 0.17), (0.24, 0.17)], thick=0.046,
                   colours=(black, black))
    head = between((0.43, 0.23), (0.44, 0.17), pose.head)
    nose = head + between((0.23, -0.06), (0.20, -0.11), pose.head)
    legs(far=True)
    sketch.limb([(-0.40, 0.24), (-0.56, 0.20 + 0.04 * pose.turn)], [0.05, 0.03], tint(white, 0.85))
    sketch.limb([(-0.28, 0.23), (0, 0.25), (0.28, 0.22)],
                np.array([0.15, 0.175, 0.13]) * pose.build, tint(coat * 0.6 + 50, 1))
    sketch.limb([(-0.3, 0.11), (0.3, 0.11)], [0.045, 0.055], tint(black, 1), paint_only=True)
    legs(far=False)
    sketch.limb([(0.28, 0.19), (0.36, 0.17)], [0.12, 0.085], tint(black, 1))
    sketch.limb([(0.31, 0.25), head, nose], [0.10, 0.095, 0.032], tint(white, 1))
    stripe = [head + (-0.10, 0.035), head + (0.02, 0.03), between(head, nose, 0.85) + (0, 0.015)]
    sketch.limb(stripe, [0.035, 0.038, 0.018], tint(black, 1), paint_only=True)
    sketch.limb([head + (-0.06, 0.085), head + (-0.07, 0.10)], [0.028, 0.025], tint(white, 0.9))
    sketch.limb([nose, nose], [0.028, 0.028], tint(black, 0.7))
    sketch.eye = tuple(head + (0.07, 0.03))


# Drawing, length from nose to tail in metres, and how far it leans to its tail end.
SPECIES: dict[int, tuple[Callable, float]] = {
    1: (draw_deer, 1.55), 2: (draw_boar, 1.75), 3: (draw_fox, 1.32), 4: (draw_badger, 1.15)}


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


def draw_animal(species: int, pose: Pose, coat: np.ndarray, scale: float, right: bool, sun: float,
                night: bool, speed: float, random: np.random.Generator) -> Sprite:
    """One animal with shading, fur and ragged edges; `scale` is in pixels a metre."""
    sketch = Sketch(scale, coat)
    SPECIES[species][0](sketch, pose, coat)
    unit = sketch.scale
    left, top, right_end, low = sketch.cover.getbbox()
    margin = int(0.05 * unit) + 4
    box = (left - margin, top - margin, right_end + margin, low + margin)
    cover = np.asarray(sketch.cover.crop(box), np.float32) / 255
    height, width = cover.shape
    colour = sketch.colour.crop(box).filter(ImageFilter.GaussianBlur(0.006 * unit))

    # The blurred outline is a cushion: its slope is turned to the light, its top to the flash.
    cushion = np.asarray(to_image(cover * 255).filter(ImageFilter.GaussianBlur(0.05 * unit)),
                         np.float32) / 255
    slope_y, slope_x = (slope * 0.16 * unit for slope in np.gradient(cushion))
    facing = sun if right else -sun
    shade = (0.55 + 0.55 * cushion if night
             else 0.66 + 0.32 * cushion + 0.42 * slope_y - 0.25 * facing * slope_x)
    fur = noise(random, height, width, 0.03 * unit, 2, stretch=0.45)
    patches = noise(random, height, width, 0.25 * unit, 2)
    shade = np.clip(shade, 0.3, 1.5) * (1 + 0.16 * fur + 0.09 * patches)
    pixels = np.asarray(colour, np.float32) * shade[..., None]

    # Hairs: the outline wavers by a centimetre.
    edge = np.asarray(to_image(cover * 255).filter(ImageFilter.GaussianBlur(0.010 * unit)),
                      np.float32) / 255
    cover = soft_step(edge + 0.22 * fur * (edge < 0.98), 0.35, 0.65)
    smaller = (max(1, width // OVERSAMPLING), max(1, height // OVERSAMPLING))
    colour = to_image(pixels).resize(smaller, Image.Resampling.BOX)
    cover = to_image(cover * 255).resize(smaller, Image.Resampling.BOX)
    if speed >= 1:  # it moved while the shutter was open
        cover = cover.filter(ImageFilter.BoxBlur((speed / 2, 0)))
    anchor = np.array([sketch.left - box[0], sketch.top - box[1]]) / OVERSAMPLING
    eye = sketch.place([sketch.eye])[0] / OVERSAMPLING - np.array(box[:2]) / OVERSAMPLING
    if not right:
        colour, cover = ImageOps.mirror(colour), ImageOps.mirror(cover)
        anchor[0], eye[0] = smaller[0] - anchor[0], smaller[0] - eye[0]
    length = (right_end - left) / OVERSAMPLING
    return Sprite(colour, cover, tuple(anchor), 0, 0, 0, tuple(eye), length, smaller[1])


# ----------------------------------------------------------------------------- the scenes


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


HEPTAGON = np.array([(math.cos(angle), math.sin(angle))
                     for angle in np.linspace(0, 2 * math.pi, 8)[:-1]])


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


# ----------------------------------------------------------------------------- a burst of photos


@dataclass
class Actor:
    """One animal of a burst."""

    coat: np.ndarray
    pose: Pose
    right: bool
    scale: float  # pixels a metre
    x: float  # column of its feet in the middle photo of the burst
    step: float  # columns that it walks from photo to photo
    hair: int  # seed of its fur


@dataclass
class Burst:
    """What the photos of one sequence share: light, weather and animals."""

    night: bool
    sun: float  # 0 overcast, 1 clear
    sun_side: float  # -1 from the left .. 1 from the right
    sun_height: float  # 0 at the horizon .. 1
    ambient: float  # light in the shade, as a share of the sun's
    exposure: float  # mean brightness that the camera aims at
    balance: np.ndarray  # white balance (3,)
    haze: float
    contrast: float
    saturation: float
    fall_off: float  # how fast the flash loses strength
    wind: float
    sway: np.ndarray  # of the camera on its tree: columns and rows
    dapple: tuple[float, float]  # cell in pixels and share of shade under trees
    actors: list[Actor]


def is_night(moment: datetime) -> bool:
    return not 6 <= moment.hour < 20


def plan_burst(random: np.random.Generator, scene: Scene, species: int, moment: datetime) -> Burst:
    """Draw light, weather and animals of a sequence."""
    day = (moment.hour + moment.minute / 60 - 6) / 14  # 0 sunrise .. 1 sunset
    height = math.sin(math.pi * min(max(day, 0), 1))
    warm = 0.13 * (1 - height) * random.uniform(-0.6, 1)
    unit = scene.width / 640
    burst = Burst(
        night=is_night(moment), sun=random.uniform(0, 1) ** 0.7, sun_side=1 - 2 * day,
        sun_height=height, ambient=random.uniform(0.85, 1.25),
        exposure=random.uniform(0.30, 0.46),
        balance=(1 + np.array((warm, 0, -warm))) * random.normal(1, 0.045, 3),
        haze=random.uniform(0, 1) ** 3, contrast=random.uniform(0.85, 1.15),
        saturation=random.uniform(0.6, 1.0),
        fall_off=random.uniform(0.6, 1.3), wind=random.uniform(0.1, 1) ** (0.6 if species else 0.3),
        sway=random.normal(0, 1.8, 2) * unit,
        dapple=(random.uniform(18, 60) * unit, random.uniform(-0.3, 0.3)),
        actors=[])
    for _ in range(0 if not species else 2 if random.random() < 0.18 else 1):
        burst.actors.append(plan_actor(random, scene, species))
    return burst


def plan_actor(random: np.random.Generator, scene: Scene, species: int) -> Actor:
    """Draw one animal: coat, size, place, pose and gait."""
    coat = np.array(COATS[species]) * random.normal(1, 0.06, 3) * random.uniform(0.8, 1.2)
    share = math.exp(random.uniform(math.log(0.38), math.log(0.68)))
    scale = share * scene.width / SPECIES[species][1]
    x = scene.ground.width * random.uniform(0.36, 0.64)
    lowest = scene.margin + scene.height * (0.90 if random.random() < 0.93 else 1.1)
    scale = min(scale, scene.scale(lowest, x))
    walks = random.random() < 0.6
    pose = Pose(phase=random.uniform(0, 2 * math.pi),
                stride=random.uniform(0.6, 1) if walks else random.uniform(0, 0.25),
                head=random.uniform(0, 0.3) if walks or random.random() < 0.4
                else random.uniform(0.7, 1),
                build=random.uniform(0.92, 1.12), male=bool(random.random() < 0.6),
                turn=random.uniform(-1, 1))
    right = bool(random.random() < 0.5)
    step = scene.width * random.uniform(0.03, 0.10) * (1 if right else -1) if walks else 0.0
    return Actor(coat, pose, right, scale, x, step, int(random.integers(2**31)))


def render(seed: int, shot: Shot, width: int, height: int, animal_size: float,
           ) -> tuple[Image.Image, np.ndarray, np.ndarray]:
    """One upright photo of the given size without info strip, its mask uint8 (H, W) and its
    distances uint16 (H, W) in centimetres; `animal_size` is 1 for animals of their own size."""
    scene = build_scene(seed, shot.location, width, height)
    burst_key = [seed, shot.location, shot.sequence + 1]
    burst = plan_burst(np.random.default_rng(burst_key), scene, shot.species, shot.time)
    random = np.random.default_rng([*burst_key, shot.frame + 1])
    animals = [act(actor, shot, scene, burst, animal_size, random) for actor in burst.actors]
    picture, nearness, cover, distances = compose(scene, animals, burst, random)
    shadow = cast_shadows(scene, animals, burst)
    pixels = np.asarray(picture, np.float32) / 255
    if burst.night:
        pixels = light_by_flash(pixels, nearness, np.asarray(cover, np.float32) / 255, burst)
        add_eye_shine(pixels, animals, cover, animal_size, random)
    else:
        pixels = light_by_sun(pixels, nearness, shadow, scene, burst, burst_key, shot.frame, random)

    # The camera sways with its tree: crop the photo from the larger picture, slightly turned.
    shift = burst.sway + random.normal(0, 0.5, 2) * scene.width / 640
    shift = scene.margin + shift.clip(-0.8 * scene.margin, 0.8 * scene.margin)
    angle = 0.002 * float(random.normal())
    window = (1, angle, shift[0], -angle, 1, shift[1])
    crop = partial(Image.Image.transform, size=(width, height), method=Image.Transform.AFFINE,
                   data=window, resample=Image.Resampling.BILINEAR)
    mask = np.where(np.asarray(crop(cover)) >= 128, shot.species, 0).astype(np.uint8)
    distances = crop(distances, resample=Image.Resampling.NEAREST)  # two do not mix to a third
    return crop(to_image(pixels * 255)), mask, np.asarray(distances).astype(np.uint16)


def act(actor: Actor, shot: Shot, scene: Scene, burst: Burst, size: float,
        random: np.random.Generator) -> Sprite:
    """The animal as it stands in this photo of its burst; it stays where it is when `size` makes it
    a small one."""
    moved, step = shot.frame - 1, actor.step * size
    pose = Pose(**vars(actor.pose))
    pose.phase += moved * 2.1 if step else 0.2 * moved
    pose.head = float(np.clip(pose.head + random.normal(0, 0.07), 0, 1))
    x = actor.x + step * moved
    blur = (abs(step) * (0.05 if burst.night else 0.012)) * random.uniform(0.3, 1)
    sprite = draw_animal(shot.species, pose, actor.coat, actor.scale * size, actor.right,
                         burst.sun * burst.sun_side, burst.night, blur,
                         np.random.default_rng(actor.hair))
    return sprite._replace(x=x, y=scene.ground_row(actor.scale, x))


def compose(scene: Scene, animals: list[Sprite], burst: Burst, random: np.random.Generator,
            ) -> tuple[Image.Image, np.ndarray, Image.Image, Image.Image]:
    """Put everything into the scene from far to near: colours, nearness, the animals' cover and
    distances."""
    picture = blow(scene, burst.wind, random)
    depth = to_image(scene.nearness * 200)
    cover, distances = Image.new("L", picture.size), Image.fromarray(scene.distances)
    solid = [0] * 128 + [255] * 128  # what counts as covered
    reach = scene.height + scene.margin - scene.horizon
    swinging = random.normal(0, 1) * burst.wind
    for sprite in sorted([*scene.sprites, *animals], key=lambda sprite: sprite.y):
        is_animal = sprite.eye != (0, 0)
        colour, outline = sprite.colour, sprite.cover
        if sprite.sway:
            bend = sprite.sway * (swinging + 0.5 * burst.wind * random.normal())
            shear = (1, bend, -bend * sprite.anchor[1], 0, 1, 0)
            colour, outline = (part.transform(part.size, Image.Transform.AFFINE, shear,
                                              Image.Resampling.BILINEAR)
                               for part in (colour, outline))
        corner = (round(sprite.x - sprite.anchor[0]), round(sprite.y - sprite.anchor[1]))
        box = (*corner, corner[0] + colour.width, corner[1] + colour.height)
        near = (sprite.y - scene.horizon + scene.slope * (sprite.x - picture.width / 2)) / reach
        picture.paste(colour, corner, outline)
        depth.paste(int(np.clip(near, 0.05, 1.2) * 200), box, outline)
        cover.paste(255 if is_animal else 0, box, outline)
        distances.paste(int(scene.distance(sprite.y, sprite.x)), box, outline.point(solid, "1"))
    return picture, np.asarray(depth, np.float32) / 200, cover, distances


def blow(scene: Scene, wind: float, random: np.random.Generator) -> Image.Image:
    """The ground picture with all that is far moved a little by the wind."""
    columns = np.linspace(0, scene.ground.width, 13).astype(int)
    rows = np.linspace(0, scene.ground.height, 10).astype(int)
    moves = random.normal(0, 1.3 * wind * scene.width / 640, (10, 13, 2))
    moves[rows > scene.horizon] *= 0.25  # the ground itself lies still, its grass does not
    corners = np.stack(np.meshgrid(columns, rows), -1) + moves
    mesh = []
    for i in range(9):
        for j in range(12):
            quad = np.concatenate([corners[i, j], corners[i + 1, j], corners[i + 1, j + 1],
                                   corners[i, j + 1]])
            mesh.append(((columns[j], rows[i], columns[j + 1], rows[i + 1]), tuple(quad)))
    return scene.ground.transform(scene.ground.size, Image.Transform.MESH, mesh,
                                  Image.Resampling.BILINEAR)


def cast_shadows(scene: Scene, animals: list[Sprite], burst: Burst) -> np.ndarray:
    """Shade float (H, W), 0 to 1, of all that stands on the ground; it turns with the sun."""
    shadow = Image.new("L", [side // 2 for side in scene.ground.size])
    pen = ImageDraw.Draw(shadow)
    for sprite in [*scene.sprites, *animals]:
        if not sprite.width:
            continue
        long = min(sprite.tall, scene.height) * (1.3 - burst.sun_height)
        dx, dy = -burst.sun_side * long, 0.12 * long + 0.04 * sprite.width
        half, x, y = sprite.width * 0.42, sprite.x, sprite.y
        pen.polygon([(x / 2, y / 2) for x, y in (
            (x - half, y), (x + half, y), (x + half + dx, y + dy), (x - half + dx, y + dy))],
            fill=200)
        pen.ellipse([(x - half) / 2, y / 2 - 0.09 * half, (x + half) / 2, y / 2 + 0.09 * half],
                    fill=255)
    shadow = shadow.filter(ImageFilter.GaussianBlur(scene.width / 320)).resize(scene.ground.size)
    return np.asarray(shadow, np.float32) / 255


def light_by_sun(pixels: np.ndarray, nearness: np.ndarray, shadow: np.ndarray, scene: Scene,
                 burst: Burst, burst_key: list[int], frame: int, random: np.random.Generator,
                 ) -> np.ndarray:
    """Sun, shade of leaves and clouds, haze, exposure and white balance of a day photo."""
    height, width = nearness.shape
    # The shade of the leaves is the same in a burst, but it moves a little.
    steady = np.random.default_rng([*burst_key, 0, 1])
    leaves = noise(steady, height, width + 24, burst.dapple[0], 4)
    leaves = leaves[:, 8 * frame: 8 * frame + width] + 0.12 * random.normal()
    open_sky = soft_step(leaves + burst.dapple[1] + 1.1 - 1.5 * scene.shelter, -0.45, 0.45)
    lit = burst.sun * open_sky * (1 - 0.85 * shadow) * (1 + 0.08 * random.normal())
    warm = np.array((1.08, 1.0, 0.86), np.float32)
    cool = np.array((0.94, 1.0, 1.10), np.float32)
    light = burst.ambient * (1 - 0.3 * shadow[..., None]) * cool + lit[..., None] * warm
    sky = (nearness < 0.01)[..., None]
    level = burst.ambient + 0.6 * burst.sun
    clouds = 1 + 0.12 * noise(random, height, width, width / 5)[..., None]
    pixels = np.where(sky, pixels * level * 1.25 * clouds, pixels * light)
    veil = burst.haze * np.exp(-nearness / 0.12)[..., None]
    pixels = pixels * (1 - 0.75 * veil) + 0.62 * level * 0.75 * veil
    ground = pixels[~sky[..., 0]].mean()
    pixels = pixels * (burst.exposure / ground) * burst.balance.astype(np.float32)
    pixels = 0.4 + (pixels - 0.4) * burst.contrast
    grey = pixels.mean(axis=2, keepdims=True)
    pixels = grey + (pixels - grey) * burst.saturation
    # Highlights fade out softly, as in a real sensor's curve.
    return np.where(pixels > 0.6, 1 - 0.4 * np.exp(-(pixels.clip(0.6) - 0.6) / 0.4), pixels)


def light_by_flash(pixels: np.ndarray, nearness: np.ndarray, cover: np.ndarray, burst: Burst,
                   ) -> np.ndarray:
    """Infrared flash: grey, bright where near, dark in the corners."""
    height, width = nearness.shape
    grey = pixels @ np.array((0.6, 0.3, 0.1), np.float32)  # red fur is bright in infrared
    rows, columns = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None]
    beam = np.exp(-0.75 * (rows**2 + columns**2)).astype(np.float32)
    flash = beam * np.minimum(nearness, 1.0) ** burst.fall_off
    grey = 0.03 + grey**0.8 * (1 + 0.5 * cover) * flash
    grey = grey * (0.95 * burst.exposure / grey.mean())
    grey = 1 - np.exp(-1.15 * grey)
    return np.stack([grey, grey * 0.995, grey], -1)


def add_eye_shine(pixels: np.ndarray, animals: list[Sprite], cover: Image.Image, size: float,
                  random: np.random.Generator) -> None:
    """Eyes throw the flash back, unless something hides them."""
    height, width = pixels.shape[:2]
    for animal in animals:
        x = animal.x - animal.anchor[0] + animal.eye[0]
        y = animal.y - animal.anchor[1] + animal.eye[1]
        if random.random() < 0.3 or not (0 <= x < width and 0 <= y < height):
            continue
        if cover.getpixel((int(x), int(y))) < 128:
            continue
        squares = ((np.arange(height)[:, None] - y) ** 2 + (np.arange(width)[None] - x) ** 2)
        radius = 0.0042 * width * size
        pixels += (0.9 * np.exp(-squares / radius**2) + 0.12 * np.exp(-squares / (4 * radius)**2)
                   )[..., None]


# ----------------------------------------------------------------------------- the files


def draw_strip(photo: Image.Image, camera: Camera, shot: Shot) -> int:
    """Write the info strip over the photo; returns its height in pixels."""
    tall = max(6, round(photo.height * 0.042))
    top = 0 if camera.strip == "top" else photo.height - tall
    pen = ImageDraw.Draw(photo)
    pen.rectangle([0, top, photo.width, top + tall], fill=camera.paper)
    font = ImageFont.load_default(max(5, int(tall * 0.7)))
    text = partial(pen.text, font=font, fill=camera.ink, anchor="lm")
    middle = top + tall / 2
    text((photo.width * 0.01, middle), f"{shot.time:%Y-%m-%d  %H:%M:%S}   {shot.frame + 1}/{BURST}")
    temperature = 12 - 9 * math.cos((shot.time.hour - 3) / 12 * math.pi) + shot.sequence % 5
    text((photo.width * 0.55, middle), f"{temperature:.0f}°C")
    text((photo.width * 0.80, middle), f"{camera.name}")
    moon = np.array((photo.width * 0.68, middle))
    radius = tall * 0.32
    pen.ellipse([*(moon - radius), *(moon + radius)], fill=camera.ink)
    phase = (shot.time.timetuple().tm_yday % 29.5) / 29.5 * 4 - 2  # -2 new .. 0 full .. 2 new
    pen.ellipse([*(moon - radius + (phase * radius, 0)), *(moon + radius + (phase * radius, 0))],
                fill=camera.paper)
    return tall


def drawn_size(width: int, height: int, animal_size: float) -> tuple[int, int]:
    """The size that is drawn for a photo: its own, or a smaller one."""
    longest = round(DRAWN_SIDE / animal_size)
    if max(width, height) <= longest:
        return width, height
    unit = math.gcd(width, height)
    width, height = width // unit, height // unit
    if max(width, height) <= longest // 2:  # the very same aspect ratio
        factor = longest // max(width, height)
        return width * factor, height * factor
    factor = longest / max(width, height)
    return max(1, round(width * factor)), max(1, round(height * factor))


def add_grain(photo: Image.Image, grain: float, random: np.random.Generator) -> Image.Image:
    """The noise of the sensor, at the photo's full size."""
    side = min(1024, max(photo.size))
    tile = (random.standard_normal((side, side, 3), np.float32) * grain).round().astype(np.int16)
    times = (photo.height // side + 1, photo.width // side + 1, 1)
    noisy = np.tile(tile, times)[:photo.height, :photo.width]
    noisy += np.asarray(photo)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def make_photo(shot: Shot, out: Path, seed: int, size: tuple[int, int], animal_size: float,
               sideways: int) -> bool:
    """Write one photo, its distances, and its mask where an animal is seen; true if one is."""
    photo, mask, distances = render(seed, shot, *drawn_size(*size, animal_size), animal_size)
    camera, night = camera_of(shot.location), is_night(shot.time)
    random = np.random.default_rng([seed, shot.location, shot.sequence + 1, shot.frame + 1, 1])
    grain = random.uniform(2, 5) if night else random.uniform(1, 3)
    if photo.size != size:  # many small pixels: more noise in each
        photo, grain = photo.resize(size, Image.Resampling.BICUBIC), 2.4 * grain
    photo = add_grain(photo, grain, random)
    if night:  # one sensor value for all three channels
        photo = photo.convert("L").convert("RGB")
    tall = draw_strip(photo, camera, shot)
    hidden = math.ceil(tall * mask.shape[0] / photo.height)
    strip = np.s_[:hidden] if camera.strip == "top" else np.s_[-hidden:]
    mask[strip], distances[strip] = 0, NO_DISTANCE

    exif = photo.getexif()
    exif[271], exif[272] = camera.name, camera.model
    exif[306] = exif.get_ifd(0x8769)[36867] = f"{shot.time:%Y:%m:%d %H:%M:%S}"
    if shot.location == sideways:
        photo = photo.transpose(Image.Transpose.ROTATE_90)
        exif[274] = 6  # "turn me clockwise to see me upright"
    path = out / shot.image
    path.parent.mkdir(parents=True, exist_ok=True)
    photo.save(path, quality=88, exif=exif)
    if shot.distances:
        (out / shot.distances).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(distances).save(out / shot.distances, compress_level=1)
    if not mask.any() or not shot.mask:
        return False
    picture = Image.fromarray(mask)
    picture.putpalette(bytes(value for _, colour in CLASSES for value in colour))
    (out / shot.mask).parent.mkdir(parents=True, exist_ok=True)
    picture.save(out / shot.mask)
    return True


def camera_of(location: int) -> Camera:
    return CAMERAS[location % len(CAMERAS)]


def location_name(location: int) -> str:
    return f"site{location + 1:02}_{PLACES[location % len(PLACES)]}"


def plan_location(seed: int, location: int, photos: int, folder: str, masks: str) -> list[Shot]:
    """The photos of one location in the order in which it takes them."""
    shots = []
    for sequence in range(math.ceil(photos / BURST)):
        # Of six sequences in turn two are empty, and each species has one.
        block = np.random.default_rng([seed, location, 10**6 + sequence // 6])
        species = int(block.permutation([0, 0, 1, 2, 3, 4])[sequence % 6])
        random = np.random.default_rng([seed, location, 2 * 10**6 + sequence])
        hour = random.uniform(6.2, 19.8) if random.random() < 0.6 else random.uniform(20, 29.9)
        moment = datetime(2024, 4, 1) + timedelta(days=2 * sequence, seconds=int(hour * 3600))
        for frame in range(min(BURST, photos - BURST * sequence)):
            file = camera_of(location).file.format(n=len(shots) + 1)
            mask = f"{masks}/{location_name(location)}/{file[:-4]}.png" if masks else ""
            shots.append(Shot(location, sequence, frame, species, moment,
                              f"{folder}/{location_name(location)}/{file}", mask))
            moment += timedelta(seconds=int(random.integers(1, 4)))
    return shots


def plan(options: dict) -> tuple[list[Shot], list[Shot]]:
    """The photos of the manifest, and those of the further location that has no labels."""
    seed, locations = options["seed"], options["locations"]
    bursts = math.ceil(options["photos"] / BURST)
    labelled, left = [], options["photos"]
    for location in range(locations):
        photos = BURST * (bursts // locations + (location < bursts % locations))
        labelled += plan_location(seed, location, min(photos, left), "photos", "masks")
        left -= photos
    return labelled, plan_location(seed, locations, options["new_photos"], "new_photos", "")


def generate(out: Path, options: dict, workers: int) -> str:
    """Make everything in the folder; returns the summary."""
    labelled, new = plan(options)
    sideways = min(4, options["locations"] - 1)
    make = partial(make_photo, out=out, seed=options["seed"], size=tuple(options["size"]),
                   animal_size=options["animal_size"], sideways=sideways)
    shots = labelled + new
    progress = partial(tqdm, total=len(shots), unit="photo", disable=None)
    workers = min(workers, len(shots))
    if workers == 1:
        seen = list(progress(map(make, shots)))
    else:  # large chunks, as a process draws the scene of each location that it meets
        chunk = max(1, min(len(shots) // (3 * workers), len(shots) // options["locations"]))
        with multiprocessing.get_context("spawn").Pool(workers) as pool:
            seen = list(progress(pool.imap(make, shots, chunk)))
    if new:
        broken = out / truncated_file(new)
        content = (out / new[-1].image).read_bytes()
        broken.write_bytes(content[:len(content) * 2 // 5])  # as a failing card leaves it
    write_tables(out, labelled, seen)
    write_contact_sheet(out, labelled, seen)
    animals = sum(seen[:len(labelled)])
    more = f", and {len(new)} new ones and a truncated one" if new else ""
    return (f"{len(labelled)} photos ({animals} with animals) of {options['locations']} locations"
            f"{more} in {out}")


def truncated_file(new: list[Shot]) -> str:
    """Where the broken copy of the last new photo goes: under the next number."""
    file = camera_of(new[-1].location).file.format(n=len(new) + 1)
    return f"new_photos/{location_name(new[-1].location)}/{file}"


def write_tables(out: Path, shots: list[Shot], seen: list[bool]) -> None:
    """Write manifest.csv, distance.csv and classes.csv."""
    for manifest in ("manifest.csv", "distance.csv"):
        with open(out / manifest, "w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(["image", "mask", "location", "datetime", "sequence"])
            for shot, animal in zip(shots, seen, strict=False):
                name, mask = location_name(shot.location), shot.mask if animal else "background"
                table.writerow([shot.image, mask if manifest == "manifest.csv" else shot.distances,
                                name, shot.time, f"{name}-{shot.sequence:04}"])
    with open(out / "classes.csv", "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["index", "name", "colour"])
        for index, (name, colour) in enumerate(CLASSES):
            table.writerow([index, name, "#{:02x}{:02x}{:02x}".format(*colour)])


def write_contact_sheet(out: Path, shots: list[Shot], seen: list[bool], columns: int = 6) -> None:
    """A row of photos for each location, with the outlines of their masks."""
    rows = []
    for location in range(shots[-1].location + 1):
        here = [(shot, animal) for shot, animal in zip(shots, seen, strict=False)
                if shot.location == location]
        firsts = [pair for pair in here if pair[0].frame == 1] or here
        chosen = [pair for pair in firsts if pair[1]][:columns - 1]
        rows.append(chosen + [pair for pair in firsts if not pair[1]][:columns - len(chosen)])
    sheet = Image.new("RGB", (columns * 320, len(rows) * 240), (32, 32, 32))
    for row, chosen in enumerate(rows):
        for column, (shot, animal) in enumerate(chosen):
            photo = Image.open(out / shot.image)
            photo.draft("RGB", (640, 640))
            photo = ImageOps.contain(ImageOps.exif_transpose(photo), (320, 240))
            if animal:
                mask = Image.open(out / shot.mask).convert("L").resize(photo.size,
                                                                       Image.Resampling.NEAREST)
                inside = mask.point(lambda value: 255 * (value > 0))
                outline = np.asarray(inside) > np.asarray(inside.filter(ImageFilter.MinFilter(3)))
                photo.paste(CLASSES[shot.species][1], mask=Image.fromarray(outline))
            sheet.paste(photo, (column * 320, row * 240))
    sheet.save(out / "contact_sheet.jpg", quality=88)


# ----------------------------------------------------------------------------- the command


def planned_files(options: dict) -> set[str]:
    """Every file that a run with these options may write, relative to its folder."""
    labelled, new = plan(options)
    files = {"manifest.csv", "distance.csv", "classes.csv", "contact_sheet.jpg", "demo.json"}
    files.update(file for shot in labelled + new
                 for file in (shot.image, shot.mask, shot.distances) if file)
    return files | ({truncated_file(new)} if new else set())


def clear(out: Path) -> None:
    """Delete what an earlier run made here; refuse to touch a folder that holds other things."""
    folders = [path for path in out.rglob("*") if path.is_dir() and not path.is_symlink()]
    found = {path.relative_to(out).as_posix() for path in out.rglob("*") if path not in folders}
    made = set()
    if "demo.json" in found:
        made = planned_files(read_state(out)["options"])
    strange = sorted(found - made)
    if strange:
        fail(f"{out} holds {strange[0]}, which this script did not make; give another --out")
    for file in found:
        (out / file).unlink()
    for folder in sorted(folders, reverse=True):  # the inner ones first
        folder.rmdir()


def read_state(out: Path) -> dict:
    """The options of the run that made this folder, and its files if it finished."""
    try:
        state = json.loads((out / "demo.json").read_text(encoding="utf-8"))
        options = {"animal_size": 1.0, **state["options"]}  # older ones could not be small
        options = {name: options[name] for name in OPTIONS}
        return {"options": options, "files": list(state["files"])}
    except (ValueError, KeyError, TypeError):
        fail(f"{out / 'demo.json'} is damaged; delete the folder, or give another --out")


def is_complete(out: Path, options: dict) -> bool:
    """Whether a run with the same options finished here, and nothing was lost since."""
    if not (out / "demo.json").is_file():
        return False
    state = read_state(out)
    return (state["options"] == options and state["files"] != []
            and all((out / file).is_file() for file in state["files"]))


def write_state(out: Path, options: dict, files: list[str]) -> None:
    """demo.json: the options, and the files once all are written (until then none)."""
    text = json.dumps({"options": options, "files": files}, indent=1)
    (out / "demo.json").write_text(text + "\n", encoding="utf-8")


def fail(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> None:
        fail(f"{message} (--help explains)")


def whole(low: int, high: int) -> Callable[[str], int]:
    """A reader of whole numbers within these limits."""
    def read(text: str) -> int:
        if not text.strip().isdecimal() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {low} to {high}")
        return int(text)
    return read


def photo_size(text: str) -> list[int]:
    """Reads WIDTHxHEIGHT."""
    sides = text.lower().split("x")
    if len(sides) != 2 or not all(side.isdecimal() and 64 <= int(side) <= 20000 for side in sides):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form 640x480, with sides from "
                                         "64 to 20000")
    return [int(side) for side in sides]


def animal_size(text: str) -> float:
    """Reads a share of the natural size."""
    with suppress(ValueError):
        if 0.01 <= float(text) <= 1:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no number from 0.01 to 1")


def main() -> None:
    parser = Parser(description="Generate camera-trap photos with exact masks.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the data, a data root")
    parser.add_argument("--photos", type=whole(1, 10**6), default=600, help="photos with labels")
    parser.add_argument("--locations", type=whole(1, 99), default=12)
    parser.add_argument("--size", type=photo_size, default="640x480", help="of a photo")
    parser.add_argument("--seed", type=whole(0, 2**31), default=0)
    parser.add_argument("--animal-size", type=animal_size, default=1.0, help="share of the natural "
                        "size: at 1 an animal is half as long as the photo is wide, at 0.02 a "
                        "hundredth")
    parser.add_argument("--new-photos", type=whole(0, 9998), default=12,
                        help="photos without labels, from one more location")
    parser.add_argument("--workers", type=whole(1, 999), default=os.cpu_count(),
                        help="processes; the photos do not depend on it")
    arguments = parser.parse_args()
    if arguments.photos < BURST * arguments.locations:
        fail(f"--photos {arguments.photos} is too few for {arguments.locations} locations; each "
             f"takes {BURST} at least")
    arguments.version = VERSION
    options = {name: getattr(arguments, name) for name in OPTIONS}
    out = arguments.out
    if out.exists() and not out.is_dir():
        fail(f"{out} is a file; give a folder")

    started = time.perf_counter()
    if is_complete(out, options):
        print(f"{out} holds these photos already; nothing to do")
        return
    if out.exists():
        clear(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fail(f"cannot make the folder {out}: {error.strerror}; give another --out")
    write_state(out, options, [])
    summary = generate(out, options, arguments.workers)
    files = [path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()]
    write_state(out, options, sorted(files))
    print(f"{summary}; {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
