"""Where the cameras print their info strips, which the network shall not see; and strips.csv."""

import csv
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .. import InputError, written_whole
from .manifest import Row
from .photos import photo_size, read_photo, same_aspect
from .progress import progress


class Strips(NamedTuple):
    """Where the cameras' info strips lie, see `find_strips`; nowhere by default."""

    rows: tuple[int, int] = (0, 0)  # at the top and the bottom of every photo, in its own pixels
    found: dict[tuple[str, int, int], tuple[float, float]] = {}  # location, width, height: shares

    def of(self, location: str, width: int, height: int) -> tuple[float, float]:
        """The shares of the height that the strips of a photo take, at the top and the bottom.

        A size that was not seen when the strips were looked for is taken for another resolution
        of the same camera if it has the aspect ratio of one that was.
        """
        if any(self.rows):
            return self.rows[0] / height, self.rows[1] / height
        if (location, width, height) in self.found:
            return self.found[location, width, height]
        alike = {strip for (place, *size), strip in self.found.items()
                 if place == location and same_aspect(tuple(size), (width, height))}
        return alike.pop() if len(alike) == 1 else (0.0, 0.0)


NO_STRIPS = Strips()


def fill_rows(picture: np.ndarray, rows: tuple[int, int], value: float) -> np.ndarray:
    """An image or mask (H, W, ...), or a copy with so many `rows` at top and bottom filled."""
    if not any(rows):
        return picture
    filled, (top, bottom) = picture.copy(), rows
    filled[:top] = value
    filled[len(filled) - bottom:] = value
    return filled


def cut_rows(picture: np.ndarray, rows: tuple[int, int]) -> np.ndarray:
    """An image or mask (H, W, ...) without so many `rows` at top and bottom; one row stays."""
    top, bottom = rows
    return picture[min(top, len(picture) - 1):max(top + 1, len(picture) - bottom)]


# ---------------------------------------------------------------- found by looking at a few photos


STRIP_PHOTOS = 12  # of a location and size, to find a strip by


def strips_for(knob: str, manifest: Sequence[Row], data_root: str | Path,
               known: Path | None = None) -> Strips:
    """The info strips of the photos of a manifest, as the knob `strips` wants it.

    "none"; "auto" = found for each location; or "TOP, BOTTOM", the rows of every photo. Locations
    that stand in the CSV `known`, if it exists, are taken from there: people may have corrected it.
    """
    if knob == "none":
        return NO_STRIPS
    if knob != "auto":
        top, bottom = map(int, knob.split(","))
        return Strips(rows=(top, bottom))
    found = read_strips(known) if known is not None and known.exists() else {}
    places = {place for place, *_ in found}
    new = [row for row in manifest if row.location not in places]
    return Strips(found=found | find_strips(new, Path(data_root)))


def find_strips(manifest: Sequence[Row], data_root: Path,
                ) -> dict[tuple[str, int, int], tuple[float, float]]:
    """Shares of the height that info strips take, by location, width and height of its photos.

    Reads a few photos of each location, of all hours of the day; see `find_strip`. A
    location with photos of several sizes had several cameras, or settings: each is looked at by
    itself. Unreadable photos are passed over.
    """
    places: dict[str, list[Row]] = {}
    for row in manifest:
        places.setdefault(row.location, []).append(row)

    def look(rows: list[Row]) -> dict[tuple[int, int], tuple[float, float]]:
        rows = sorted(rows, key=lambda row: (row.datetime[11:], row.image))  # by the time of day
        chosen = np.linspace(0, len(rows) - 1, min(len(rows), 2 * STRIP_PHOTOS)).astype(int)
        groups: dict[tuple[int, int], list[np.ndarray]] = {}
        for path in (data_root / rows[index].image for index in spread(chosen)):
            try:
                size = photo_size(path)
                group = groups.setdefault(size, [])
                if len(group) < STRIP_PHOTOS:
                    group.append(read_photo(path, min(1024, max(size))).image)
            except InputError:
                continue
        return {size: find_strip(images) for size, images in groups.items() if images}

    with ThreadPoolExecutor() as pool:
        looks = progress(pool.map(look, places.values()), "strips", len(places), "locations")
        return {(place, *size): strip for place, sizes in zip(places, looks, strict=True)
                for size, strip in sorted(sizes.items())}


def spread(items: Sequence) -> list:
    """Every other item first, then the rest: the first half is spread over all."""
    return [*items[::2], *items[1::2]]


TALLEST_STRIP = 0.1  # of the photo's height; real ones take 1 to 7 %
BRIGHTNESS = np.array([0.299, 0.587, 0.114])  # of red, green and blue, as JPEG weighs them


def find_strip(images: Sequence[np.ndarray]) -> tuple[float, float]:
    """Where a camera prints its info strip (time, temperature, logo): at the top and the bottom.

    `images`: some photos of one camera, RGB uint8 (height, width, 3), all of one size, better of
    day and night than of one hour. Returns (top, bottom), the strips' shares of the height, 0
    where there is none: rather none than a wrong one. The rows of a strip are, in every photo, of
    one grey, white or black, with a few glyphs, and end at the same row in a straight edge. Logos
    that stick out into the scene are not counted, nor are boxes that leave part of the row free.
    """
    if not images:
        return 0.0, 0.0
    sides = images, [image[::-1] for image in images]
    # Scenes can be almost as black or white as the paper: then a finer look tells them apart.
    top, bottom = (_strip_at_top(side) or _strip_at_top(side, fine=True) for side in sides)
    return top, bottom


def _strip_at_top(images: Sequence[np.ndarray], fine: bool = False) -> float:
    height = images[0].shape[0]
    # A few rows more than the tallest: the edge must be seen from both sides.
    margins = np.stack([image[:int(TALLEST_STRIP * height) + 5] for image in images]).astype(int)
    papers = np.median(margins[:, :max(2, height // 150)], axis=(1, 2))  # (photos, 3)
    paper = np.median(papers, axis=0)
    same = abs(papers - paper).max(axis=1) <= 6
    if np.ptp(paper) > 12 or (~same).sum() > len(images) // 10:
        return 0.0  # not grey, or not of one grey at day and night
    # Compression leaves traces on the paper, and stores colour so coarsely that the scene's
    # spreads into the strip: brightness alone is safer, a scene in the dark apart.
    grey = margins[same] @ BRIGHTNESS  # (photos, rows, width)
    distance = (abs(margins[same] - paper).max(axis=3) if fine
                else abs(grey - paper @ BRIGHTNESS))
    tolerance = 6 if fine or paper.mean() < 40 else 8
    flat = (distance <= tolerance).mean(axis=2)  # share of paper in each row

    # The strip ends where in some photo a row is hardly paper any more.
    lowest = flat.min(axis=0)
    end = int(np.argmax(lowest < 0.35))
    if lowest[end] >= 0.35 or end < max(4, 0.008 * height) or end + 5 > len(lowest):
        return 0.0
    # Just before the edge most is paper; just behind it next to nothing, in those photos whose
    # scene is not of the paper's colour.
    inside, behind = flat[:, end - 2:end].max(axis=1), flat[:, end:end + 2].min(axis=1)
    ink = (distance[:, :end - 1] > 60).mean(axis=(1, 2))
    if (inside.min() <= 0.6 or (behind < 0.25).mean() < 1 / 3 or ink.min() <= 0.003
            or ink.max() >= 0.5):
        return 0.0

    # The row that scaling has mixed belongs to it, and a thin line that closes off the strip.
    rows = grey[:, end:end + 4]
    middle = np.median(rows, axis=2, keepdims=True)
    plain = ((abs(rows - middle) <= 12).mean(axis=2) > 0.75).all(axis=0)  # (4,)
    line = 0 if plain.all() else int(np.argmin(plain))
    return round((end + max(1, line)) / height, 6)


def strip_rows(strip: tuple[float, float], height: int, scaled_height: int) -> tuple[int, int]:
    """How many rows at the top and the bottom of a scaled photo hold any of its strip.

    `strip`: shares of the photo's `height`. Rounded outward, and where the photo is scaled
    further by the reach of the filter, so that no pixel of the strip is left.
    """
    reach = 0 if scaled_height == height else max(1, scaled_height / height)
    top, bottom = (min(scaled_height, math.ceil(share * scaled_height + reach - 0.01))
                   if share else 0 for share in strip)  # less than 0.01 of a row is rounding
    return top, bottom


# -------------------------------------------------------------------------------------- strips.csv


STRIP_COLUMNS = ["location", "width", "height", "top", "bottom"]


def write_strips(path: Path, strips: Strips) -> None:
    """Write what was found, if it was looked for, as a CSV: location, width and height of its
    photos in pixels, shares of the height that the strips take at the top and the bottom."""
    if not strips.found:
        return
    with written_whole(path, by_many=True) as temporary, open(temporary, "w", newline="",
                                                              encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(STRIP_COLUMNS)
        writer.writerows([*key, *strip] for key, strip in strips.found.items())


def read_strips(path: Path) -> dict[tuple[str, int, int], tuple[float, float]]:
    """Read what `write_strips` wrote. Raises InputError, with the line, for anything else."""
    found = {}
    with open(path, newline="", encoding="utf-8-sig", errors="replace") as file:
        reader = csv.reader(file)
        if next(reader, None) != STRIP_COLUMNS:
            raise InputError(f"{path}: its first line should be {','.join(STRIP_COLUMNS)}; correct "
                             "it, or delete the file to have the strips found anew")
        for cells in reader:
            try:
                location, width, height = cells[0], int(cells[1]), int(cells[2])
                top, bottom = map(float, cells[3:])
                if not (min(top, bottom) >= 0 and top + bottom < 1):
                    raise ValueError
            except (ValueError, IndexError):
                raise InputError(f"{path}, line {reader.line_num}: {','.join(cells)} should be a "
                                 "location, the width and height of its photos in pixels, and the "
                                 "shares of the height that its strips take, 0 .. 1") from None
            found[location, width, height] = (top, bottom)
    return found


def describe_strips(strips: Strips) -> str:
    """One line for the log, such as `found at 7 of 12 locations`."""
    if any(strips.rows):
        return f"{strips.rows[0]} rows at the top, {strips.rows[1]} at the bottom of each photo"
    places = {place for place, *_ in strips.found}
    found = {place for (place, *_), strip in strips.found.items() if any(strip)}
    return f"found at {len(found)} of {len(places)} locations"
