"""The cameras: which photos they take and when, what they call them, and their info strip."""

import math
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

BURST = 3  # photos in a sequence
PLACES = ["oak_ridge", "pine_slope", "dry_meadow", "stone_gully", "beech_hollow", "heath_edge",
          "river_bank", "old_quarry", "fern_valley", "wind_gap", "clay_track", "birch_stand"]


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


def camera_of(location: int) -> Camera:
    """The camera that hangs at a location, given by its number."""
    return CAMERAS[location % len(CAMERAS)]


def location_name(location: int) -> str:
    """Its name in the manifest and of its folder."""
    return f"site{location + 1:02}_{PLACES[location % len(PLACES)]}"


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


def truncated_file(new: list[Shot]) -> str:
    """Where the broken copy of the last new photo goes: under the next number."""
    file = camera_of(new[-1].location).file.format(n=len(new) + 1)
    return f"new_photos/{location_name(new[-1].location)}/{file}"


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
