"""What is seen as an animal at one place over many bursts: a stump, a stone, a lens flare.

`repeats.csv` and `repeats.jpg` tell of such places, and a person looks at them and deletes the rows
that are animals, at a nest, say. What stands in the table then can be left out of all outputs. The
records stay as they were predicted; beside them come those without the repeats, and all is written
of these. So nothing is lost: the next prediction that only tells has them all again.

A repeat is told where blobs of one location, of whatever species, overlap nearly fully (IoU of at
least `SAME`) in at least `BURSTS` bursts, on `DAYS` days and in the share `SHARE` of the camera's
bursts. Bursts and days, not photos: an animal that rests is photographed for hours. Photos without
a datetime tell neither, but what they show at such a place is left out with the rest. Boxes larger
than `LARGEST` are no repeats, for what fills the photo overlaps with all that does. Faint parts
count nowhere, and so not here.

That a person decides, the IoU and the largest size are as in MegaDetector's repeat detection
elimination (repeat_detections_core.py), which counts photos, and each category by itself.
"""

import json
from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .. import InputError
from ..data.progress import progress
from ..data.rle import NO_RUNS
from ..data.tables import read_rows
from ..data.threads import in_threads
from .blobs import count_pixels, encode_classes
from .boxes import crowds
from .parts import animals_of, together
from .records import read_records, runs_of_record, species_of, write_records

SAME = 0.85  # MegaDetector's 0.9 is for the boxes of a detector, which jitter less than a mask's
BURSTS, DAYS, SHARE = 10, 3, 0.01
LARGEST = 0.2  # share of the photo that a box covers, as MegaDetector has it
CURE = ("run with repeats=tell, look at repeats.jpg, delete the rows of repeats.csv that are "
        "animals, then run with repeats=drop")


class Repeat(NamedTuple):
    """A place where a camera sees an animal again and again."""

    location: str
    box: tuple[float, ...]  # x, y, width, height as shares of the photo
    species: str  # as single photos call it, the most frequent first
    blobs: dict[str, list[int]]  # the photos by time, and which of their blobs it is
    bursts: int
    share: float  # of the camera's bursts
    days: int
    shown: list[tuple[str, str]]  # file and datetime of the first, a middle and the last photo
    made_of: str  # changes with the photos and what they were predicted with


def find_repeats(records_path: str | Path, sequences: Iterable[str]) -> list[Repeat]:
    """The repeats of each location; `sequences`: the burst ids of the photos, "" = unknown."""
    info, records = read_records(records_path)
    names = [item["name"] for item in info["classes"]]
    cameras: dict[str, _Camera] = {}
    for record, sequence in zip(records, sequences, strict=True):
        if record["failure"] is None:
            cameras.setdefault(record["location"], _Camera()).add(record, sequence, names)
    found = progress(sorted(cameras.items()), "repeats", unit="locations")
    return [repeat for location, camera in found
            for repeat in camera.repeats(location, info)]


class _Camera:
    """The blobs of one location."""

    def __init__(self) -> None:
        self.bursts: dict[str, int] = {}  # all of them, numbered
        self.photos: list[tuple[str, str]] = []  # datetime and file of those with blobs
        self.names: list[str] = []  # of the blobs, as everything below
        self.boxes = array("d")
        self.places = array("q")  # number of the photo, of the blob in it, of the burst (or -1)

    def add(self, record: dict, sequence: str, names: Sequence[str]) -> None:
        burst = self.bursts.setdefault(sequence, len(self.bursts)) if sequence else -1
        for number, blob in enumerate(record["blobs"]):
            if blob["box"][2] * blob["box"][3] <= LARGEST:
                self.names.append(species_of(blob, names))
                self.boxes.extend(blob["box"])
                self.places.extend((len(self.photos), number, burst))
        self.photos.append((record["datetime"], record["file"]))

    def repeats(self, location: str, info: dict) -> Iterator[Repeat]:
        boxes = np.array(self.boxes).reshape(-1, 4)
        photos, numbers, bursts = np.array(self.places, np.int64).reshape(-1, 3).T

        def days_of(members: np.ndarray) -> int:
            return len({self.photos[photo][0][:10] for photo in photos[members]} - {""})

        def bursts_of(members: np.ndarray) -> int:
            number = len(np.unique(bursts[members][bursts[members] >= 0]))
            return number if number >= BURSTS and days_of(members) >= DAYS else 0

        least = max(BURSTS, SHARE * len(self.bursts))
        for box, members in crowds(boxes, SAME, bursts_of, least):
            box, blobs = tuple(box.tolist()), {}
            for member in sorted(members, key=lambda member: self.photos[photos[member]]):
                blobs.setdefault(self.photos[photos[member]], []).append(int(numbers[member]))
            dated = [(file, time) for time, file in blobs if time]
            blobs = {file: of_photo for (_, file), of_photo in blobs.items()}
            species = Counter(sorted(self.names[member] for member in members))
            made_of = json.dumps([info, location, box, blobs])
            yield Repeat(
                location, box, ", ".join(name for name, _ in species.most_common()), blobs,
                bursts_of(members), round(bursts_of(members) / len(self.bursts), 5),
                days_of(members), [dated[0], dated[len(dated) // 2], dated[-1]],
                "r" + blake2b(made_of.encode(), digest_size=5).hexdigest())


# ------------------------------------------------------------------------------- leaving them out


def check_repeats(records_path: Path, repeats: str) -> None:
    """Before anything is predicted: raises InputError if repeats shall be dropped, and nobody has
    looked at them."""
    if repeats == "drop":
        identities(records_path.with_name("repeats.csv"))


def chosen_repeats(table: Path, found: Sequence[Repeat]) -> list[Repeat]:
    """The repeats that stand in the table. Raises InputError if it holds one that is not `found`:
    it was made of other predictions."""
    chosen, known = identities(table), {repeat.made_of for repeat in found}
    if strange := chosen - known:
        raise InputError(f"{table}: {len(strange)} of its {len(chosen)} rows, such as "
                         f"made_of {min(strange)}, are of other predictions than those that are "
                         f"there now; delete the file, {CURE}")
    return [repeat for repeat in found if repeat.made_of in chosen]


def identities(table: Path) -> set[str]:
    """By what the repeats in a table are known."""
    return {cells["made_of"].strip() for _, cells in read_rows(table, "made_of", cure=CURE)}


def kept_path(records_path: Path) -> Path:
    """Where the records without the repeats stand."""
    return records_path.with_name(f"{records_path.stem}_kept{records_path.suffix}")


def drop_repeats(records_path: Path, to: Path, repeats: Iterable[Repeat]) -> Path:
    """Write the records without the blobs of the repeats: these become the last of the `faint`
    parts, with a key `repeat`, and their pixels background. The `confidence` of the photo is that
    of its surest other part, or 0."""
    left_out: dict[str, set[int]] = {}
    for repeat in repeats:
        for file, numbers in repeat.blobs.items():
            left_out.setdefault(file, set()).update(numbers)
    info, records = read_records(records_path)
    write_records(to, info, in_threads(
        lambda record: _without(record, left_out.get(record["file"], ()), info), records))
    return to


def _without(record: dict, numbers: Collection[int], info: dict) -> dict:
    if not numbers:
        return record
    size, blobs = record["rle"]["size"], list(enumerate(record["blobs"]))
    animals = enumerate(animals_of(runs_of_record(record), size, info["smallest_blob"]))
    staying = [animal for number, animal in animals if number not in numbers]
    runs = together(staying) if staying else NO_RUNS
    pixels = count_pixels(runs, len(record["pixels"]))
    pixels[0] = size[0] * size[1] - sum(pixels)
    changed = {"pixels": pixels, "rle": encode_classes(runs, size),
               "blobs": [blob for number, blob in blobs if number not in numbers]}
    others = [*changed["blobs"], *record["faint"]]
    gone = [{**blob, "repeat": True} for number, blob in blobs if number in numbers]
    return {**record, **changed, "faint": [*record["faint"], *gone],
            "confidence": max((part["confidence"] for part in others), default=0.0)}


def left_out_of(kept: Path) -> Iterator[str]:
    """The photos of which something was left out."""
    for record in read_records(kept)[1]:
        if any("repeat" in part for part in record["faint"]):
            yield record["file"]
