"""All files of a data root: the photos, made by several processes, tables and a contact sheet."""

import csv
import multiprocessing
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from ..data.progress import progress
from .animals import CLASSES
from .cameras import Shot, location_name, plan, truncated_file
from .photos import make_photo


def generate(out: Path, options: dict, workers: int) -> str:
    """Make everything in the folder; returns the summary."""
    labelled, new = plan(options)
    sideways = min(4, options["locations"] - 1)
    make = partial(make_photo, out=out, seed=options["seed"], size=tuple(options["size"]),
                   animal_size=options["animal_size"], sideways=sideways)
    shots = labelled + new
    workers = min(workers, len(shots))
    if workers == 1:
        seen = list(progress(map(make, shots), "drawing", len(shots)))
    else:  # large chunks, as a process draws the scene of each location that it meets
        chunk = max(1, min(len(shots) // (3 * workers), len(shots) // options["locations"]))
        with multiprocessing.get_context("spawn").Pool(workers) as pool:
            seen = list(progress(pool.imap(make, shots, chunk), "drawing", len(shots)))
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
                mask = np.asarray(Image.open(out / shot.mask).resize(photo.size,
                                                                     Image.Resampling.NEAREST))
                inside = Image.fromarray(255 * (mask > 0).astype(np.uint8))
                outline = np.asarray(inside) > np.asarray(inside.filter(ImageFilter.MinFilter(3)))
                colours = np.array([colour for _, colour in CLASSES], np.uint8)[mask]
                photo.paste(Image.fromarray(colours), mask=Image.fromarray(outline))
            sheet.paste(photo, (column * 320, row * 240))
    sheet.save(out / "contact_sheet.jpg", quality=88)
