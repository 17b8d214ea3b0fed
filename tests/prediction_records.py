"""Records of predictions that nobody has predicted, and the files that hold them."""

import csv

import numpy as np

from camera_trapinator.data.masks import resize_mask
from camera_trapinator.outputs.blobs import Limits, failure_record, photo_record
from camera_trapinator.outputs.records import RecordFile

CLASSES = [("background", (0, 0, 0)), ("fox", (230, 120, 20)), ("snow hare", (80, 160, 255)),
           ("black bear", (0, 0, 0))]

INFO = {"model": "shapes", "weights": "ab12", "mask_size": "photo", "smallest_blob": 0.0,
        "unknown_below": 0.5, "min_confidence": 0.0,
        "classes": [{"name": name, "colour": colour} for name, colour in CLASSES]}
# With what MegaDetector's file needs besides.
FULL_INFO = {**INFO, "faint": 0.1, "min_confidence": 0.2, "thresholds": {"0.95": 0.61, "0.99": 0.2}}
HOSTILE = ["<img src=x onerror=alert(1)>.jpg", "=cmd|' /C calc'!A0.jpg", 'a"b\\c\n.jpg',
           "site 1/ü\udcff.JPG"]


def predicted(file: str, mask: np.ndarray, foreground: np.ndarray | None = None,
              sure: float = 1.0, **known) -> dict:
    """The record of a mask; the network is as sure as can be unless `foreground` is given, and
    `sure` of the species. Limits may stand among what is `known`."""
    if foreground is None:
        foreground = (mask > 0).astype(np.float32)
    likeliest = resize_mask(mask, *foreground.shape[::-1]).clip(1)
    known = {"width": mask.shape[1], "height": mask.shape[0], **known}
    limits = {name: known.pop(name) for name in Limits._fields if name in known}
    limits = {"smallest_blob": 0, **limits}
    return photo_record(file, mask, foreground, (likeliest, np.full_like(foreground, sure)),
                        Limits(**limits), len(CLASSES), **known)


def random_mask(seed: int, height: int = 48, width: int = 64) -> np.ndarray:
    """Ragged patches of three species."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 4, (height // 8, width // 8)) * random.integers(
        0, 2, (height // 8, width // 8))
    mask = np.kron(coarse, np.ones((8, 8))).astype(np.uint8)
    mask[random.random(mask.shape) < 0.15] = 0
    return mask


def with_box(top: int, left: int, height: int, width: int, species: int = 1,
             size: tuple[int, int] = (40, 60)) -> np.ndarray:
    mask = np.zeros(size, np.uint8)
    mask[top:top + height, left:left + width] = species
    return mask


def write_records(path, records, info=INFO):
    with RecordFile(path, info) as file:
        for record in records:
            file.append(record)
    return path


def some_records(count: int = 6) -> list[dict]:
    """Photos in three folders, every third one unreadable."""
    return [failure_record(f"c/{number}.jpg", "no such file", location="c")
            if number % 3 == 2 else
            predicted(f"{'ab'[number % 3]}/{number}.jpg", random_mask(number),
                      location="ab"[number % 3], datetime=f"2024-05-01 10:00:{number % 60:02}")
            for number in range(count)]


def rows_of(path) -> list[dict]:
    with open(path, newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def varied_records() -> list[dict]:
    """Photos with blobs of three species, with faint parts, empty ones, failures."""
    found = []
    for number in range(6):
        foreground = np.full((24, 32), 0.02, np.float32)
        mask = random_mask(number)
        foreground[(mask > 0)[::2, ::2]] = 0.9 - number / 20
        found.append(predicted(f"site{number % 2}/{number}.JPG", mask, foreground,
                               location=f"site{number % 2}", datetime="2024-05-01 10:00:00",
                               width=128, height=96, smallest_blob=0.0))
    faint = np.full((40, 60), 0.3, np.float32)
    return [*found, predicted("faint.jpg", with_box(0, 0, 0, 0), faint),
            predicted("empty.png", with_box(0, 0, 0, 0)),
            failure_record("torn.jpg", "truncated"),
            *(predicted(name, with_box(3, 55, 9, 5)) for name in HOSTILE)]
