"""A burst of photos: the light, the weather and the animals that its photos share."""

import math
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from .animals import COATS, SPECIES, Pose, draw_animal
from .cameras import Shot
from .painting import Sprite
from .scenes import Scene


@dataclass
class Actor:
    """One animal of a burst."""

    species: int
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
    """Whether the flash is needed: from eight in the evening to six in the morning."""
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
    if len(burst.actors) == 2 and random.random() < 0.6:  # side by side with another species
        other = int(random.choice([index for index in SPECIES if index != species]))
        burst.actors = [beside(random, scene, plan_actor(random, scene, index), place)
                        for index, place in zip(random.permutation([species, other]).tolist(),
                                                (0.27, 0.73), strict=True)]
    return burst


def beside(random: np.random.Generator, scene: Scene, actor: Actor, place: float) -> Actor:
    """The animal somewhat smaller, and on its own side of the photo, around `place` of its
    width."""
    return replace(actor, scale=0.55 * actor.scale, step=0.2 * actor.step,
                   x=scene.ground.width * (place + random.uniform(-0.05, 0.05)))


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
    return Actor(species, coat, pose, right, scale, x, step, int(random.integers(2**31)))


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
    sprite = draw_animal(actor.species, pose, actor.coat, actor.scale * size, actor.right,
                         burst.sun * burst.sun_side, burst.night, blur,
                         np.random.default_rng(actor.hair))
    return sprite._replace(x=x, y=scene.ground_row(actor.scale, x), species=actor.species)
