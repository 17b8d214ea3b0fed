"""What the photos of a burst tell together: one verdict on its animals, where single photos differ.

An animal stays for some photos, and in one of them it is turned away. So all of a burst are asked
which species it takes to explain them: an animal is of its likeliest species with its
class_confidence, and of another one that is there with half of what is left (all of it, if there
are but two). The first species costs nothing, each further one must be worth it: that another one
passes within the same burst is taken to be as rare as 1 in 50. So an unsure fox among sure deer is
a deer, and what is surely a fox stays a fox. A photo that is alone says what it says. How many
animals there are at least is the largest number in one photo. The wish of google/cameratrapai#8
and animl-py#42.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..data.progress import named, progress
from .records import UNKNOWN, read_records, species_of

ANOTHER = 0.02  # probability of a further species in a burst
DOUBT = 0.001  # no network is surer than this


class Sighting(NamedTuple):
    """A photo with a species, as its burst sees it."""

    time: str
    file: str
    alone: bool  # whether this photo alone says so, too


class Fused(NamedTuple):
    """A species in a burst, as all of its photos see it."""

    count: int  # animals, at least: the largest number in one photo
    photos: list[Sighting]  # in their order
    confidence: float  # the highest of its animals
    class_confidence: float  # the mean of them


@dataclass(slots=True)
class Burst:
    """The photos of one location that follow each other; one without a datetime is alone."""

    location: str
    sequence: str  # its id, or the file of a photo without a datetime
    start: str  # datetimes, "" = unknown
    end: str
    photos: int = 0
    failures: int = 0
    confidence: float = 0.0  # the highest
    species: dict[str, Fused] = field(default_factory=dict)  # none: it is empty, or unread
    alone: dict[str, tuple[int, int]] = field(default_factory=dict)
    # ... what single photos say: of each species, in how many it is, and the most animals in one

    @property
    def read(self) -> bool:
        """Whether any of its photos could be read."""
        return self.photos > self.failures


class _Animal(NamedTuple):
    time: str
    file: str
    name: str  # as the photo alone calls it
    species: int
    sure: float  # of the species
    confidence: float


@named("bursts")
def read_bursts(records_path: str | Path, sequences: Iterable[str]) -> list[Burst]:
    """The bursts of a prediction, in the order of their first photos; `sequences`: the burst ids of
    the photos in the order of the records. Takes about 1 KB of memory a burst with animals."""
    info, records = read_records(records_path)
    names = [item["name"] for item in info["classes"]]
    bursts: dict[tuple[str, str], Burst] = {}
    animals: dict[tuple[str, str], list[_Animal]] = {}
    for record, sequence in zip(records, sequences, strict=True):
        time, key = record["datetime"], (record["location"], sequence or record["file"])
        burst = bursts.setdefault(key, Burst(*key, time, time))
        burst.start, burst.end = min(burst.start, time), max(burst.end, time)
        burst.photos += 1
        if record["failure"] is not None:
            burst.failures += 1
            continue
        burst.confidence = max(burst.confidence, record["confidence"])
        for name, number in Counter(species_of(blob, names) for blob in record["blobs"]).items():
            photos, most = burst.alone.get(name, (0, 0))
            burst.alone[name] = photos + 1, max(most, number)
        animals.setdefault(key, []).extend(
            _Animal(time, record["file"], species_of(blob, names), blob["class"],
                    blob["class_confidence"], blob["confidence"]) for blob in record["blobs"])
    for key, burst in progress(bursts.items(), "bursts", unit="bursts"):
        burst.species = _fuse(animals.pop(key, []), names, info["unknown_below"])
    return list(bursts.values())


def _fuse(animals: Sequence[_Animal], names: Sequence[str], unknown_below: float,
          ) -> dict[str, Fused]:
    verdicts = _together(animals, names, unknown_below) if len({
        animal.file for animal in animals}) > 1 else [(animal.name, animal.sure)
                                                      for animal in animals]
    fused = {}
    for name in dict.fromkeys([*names, UNKNOWN]):
        members = [(animal, sure) for animal, (verdict, sure) in zip(animals, verdicts, strict=True)
                   if verdict == name]
        if members:
            in_photo = Counter((animal.time, animal.file) for animal, _ in members)
            says = {animal.file for animal, _ in members if animal.name == name}
            fused[name] = Fused(
                max(in_photo.values()),
                [Sighting(time, file, file in says) for time, file in sorted(in_photo)],
                max(animal.confidence for animal, _ in members),
                round(sum(sure for _, sure in members) / len(members), 5))
    return fused


def _together(animals: Sequence[_Animal], names: Sequence[str], unknown_below: float,
              ) -> list[tuple[str, float]]:
    """What each animal of a burst is called, and how sure that is."""
    kinds, found = len(names) - 1, []
    there = species_among([(animal.species, animal.sure) for animal in animals], kinds)
    for animal in animals:
        sure, species = max((_sure(animal.species, animal.sure, other, kinds), other)
                            for other in there)
        found.append((species, sure))
    means = {species: np.mean([sure for other, sure in found if other == species])
             for species in there}
    return [(names[species] if means[species] >= unknown_below else UNKNOWN, sure)
            for species, sure in found]


def species_among(animals: Sequence[tuple[int, float]], kinds: int) -> list[int]:
    """The species that explain the animals of a burst best, the most needed first; `animals`: the
    likeliest species of each, and how sure it is; `kinds`: the number of species that there are."""
    there, candidates = [], sorted({species for species, _ in animals})
    best = -math.inf
    while candidates:
        tried = [(sum(math.log(max(_sure(species, sure, other, kinds)
                                   for other in [*there, candidate]))
                      for species, sure in animals), -candidate) for candidate in candidates]
        likelihood, candidate = max(tried)
        if there and likelihood + math.log(ANOTHER) <= best:
            break
        best = likelihood
        there.append(-candidate)
        candidates.remove(-candidate)
    return there


def _sure(species: int, sure: float, other: int, kinds: int) -> float:
    """How sure it is that an animal, which is of `species` with the probability `sure`, is of the
    `other` one."""
    rest = (1 - sure) / min(2, max(1, kinds - 1))
    return min(max(sure if other == species else rest, DOUBT), 1 - DOUBT)


# ------------------------------------------------------------------------------ independent events


class Event(NamedTuple):
    """A species at a location for a while, as occupancy and activity analyses take it."""

    location: str
    species: str
    start: str  # datetimes, "" = unknown
    end: str
    sequences: int
    photos: int
    photos_alone: int  # of them those that say so without the others
    count: int  # animals, at least
    confidence: float
    class_confidence: float


def events_of(bursts: Iterable[Burst], minutes: float) -> Iterator[Event]:
    """The independent events: photos of a species, as the bursts see them, belong to one event if
    each follows the one before in less than `minutes` (camtrapR's deltaTimeComparedTo =
    "lastRecord"); by location, species and time.

    Those of a species at a location that have no datetime make one event without start: nobody
    knows of how many.
    """
    found: dict[tuple[str, str], list[tuple[Sighting, Burst]]] = {}
    for burst in bursts:
        for species, fused in burst.species.items():
            found.setdefault((burst.location, species), []).extend(
                (sighting, burst) for sighting in fused.photos)
    gap = timedelta(minutes=minutes)
    for (location, species), sightings in sorted(found.items(), key=lambda item: item[0]):
        event: list[tuple[Sighting, Burst]] = []
        for sighting, burst in sorted(sightings, key=lambda item: item[0]):
            if event and _apart(event[-1][0].time, sighting.time, gap):
                yield _event(location, species, event)
                event = []
            event.append((sighting, burst))
        yield _event(location, species, event)


def _apart(earlier: str, later: str, gap: timedelta) -> bool:
    if not earlier or not later:
        return earlier != later
    apart = datetime.fromisoformat(later) - datetime.fromisoformat(earlier)
    return apart >= gap and apart > timedelta(0)  # several of one second are one


def _event(location: str, species: str, members: Sequence[tuple[Sighting, Burst]]) -> Event:
    sightings = [sighting for sighting, _ in members]
    of_bursts = {burst.sequence: burst.species[species] for _, burst in members}.values()
    return Event(location, species, sightings[0].time, sightings[-1].time, len(of_bursts),
                 len(sightings), sum(sighting.alone for sighting in sightings),
                 max(fused.count for fused in of_bursts),
                 max(fused.confidence for fused in of_bursts),
                 max(fused.class_confidence for fused in of_bursts))
