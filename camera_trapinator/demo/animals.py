"""The animals: how deer, boar, foxes and badgers are built, and one of them drawn in its coat."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from .painting import OVERSAMPLING, Sprite, canvas, noise, soft_step, tint, to_image

CLASSES = [("background", (0, 0, 0)), ("deer", (230, 159, 0)), ("boar", (213, 94, 160)),
           ("fox", (0, 158, 115)), ("badger", (86, 180, 233))]
COATS = {1: (172, 108, 58), 2: (52, 45, 40), 3: (206, 104, 46), 4: (112, 109, 105)}  # by class


class Sketch:
    """A canvas on which one animal is drawn in metres: x forward, y up, feet at 0."""

    def __init__(self, scale: float, coat: np.ndarray):
        self.scale = scale * OVERSAMPLING  # pixels a metre
        self.left, self.top = 1.4 * self.scale, 1.75 * self.scale  # pixels of the origin
        self.size = (int(2 * self.left), int(self.top + 0.12 * self.scale))
        self.colour, self.cover, self.pens = canvas(self.size, tint(coat, 1))
        self.eye = (0.0, 0.0)

    def place(self, points: np.ndarray) -> np.ndarray:
        """Points (n, 2) in metres as columns and rows of the canvas."""
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
        """A polygon with these corners."""
        corners = [tuple(corner) for corner in self.place(points)]
        self.pens[0].polygon(corners, fill=colour)
        self.pens[1].polygon(corners, fill=255)


def smooth_path(points: np.ndarray, count: int) -> np.ndarray:
    """`count` places along the points (n, k), with the corners rounded off."""
    steps = np.linspace(0, len(points) - 1, count)
    path = np.stack([np.interp(steps, range(len(points)), column) for column in points.T], 1)
    reach = max(1, count // len(points) // 2)
    padded = np.concatenate([path[:1].repeat(reach, 0), path, path[-1:].repeat(reach, 0)])
    window = np.ones(2 * reach + 1) / (2 * reach + 1)
    return np.stack([np.convolve(column, window, "valid") for column in padded.T], 1)


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
