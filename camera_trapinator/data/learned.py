"""What a network has learned from, in all the runs that it went through: locations and photos.

Each checkpoint tells it, so that a photo counts as unseen only if no run has seen its location.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from .. import InputError
from .manifest import Manifest
from .memory import Memory, checks_of, file_stamp
from .threads import LOOKING, in_threads

ENDS = 16384  # bytes at the start and the end of a file that tell it from others


@dataclass
class Learned:
    """Of which locations, and photos (see `content_hash`), a network knows; and the names of runs
    that it began with and that do not tell."""

    locations: set[str] = field(default_factory=set)
    photos: set[int] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, name: str, checkpoint: dict) -> "Learned":
        """What the checkpoint of a run tells; older ones tell nothing."""
        told = checkpoint.get("learned_from")
        if told is None:
            return cls(unknown={name})
        return cls(set(told["locations"]), set(told["photos"].tolist()), set(told["unknown"]))

    def __or__(self, other: "Learned") -> "Learned":
        return Learned(self.locations | other.locations, self.photos | other.photos,
                       self.unknown | other.unknown)

    def as_plain(self) -> dict:
        """The same in plain types, for a checkpoint."""
        return {"locations": sorted(self.locations), "unknown": sorted(self.unknown),
                "photos": torch.tensor(sorted(self.photos), dtype=torch.int64)}

    def knows(self, location: str, photo: int) -> bool:
        """Whether a photo, by its `content_hash`, or another one of its location is among them."""
        return location in self.locations or photo in self.photos


def learned_of(manifest: Manifest, root: Path, rows: Sequence[int]) -> Learned:
    """What a network learns from these rows of a manifest."""
    photos = Manifest(manifest[int(row)] for row in rows)
    return Learned(set(photos.column("location")),
                   set(content_hashes(photos.column("image"), root)))


def content_hashes(images: Sequence[str], root: Path) -> list[int]:
    """The `content_hash` of each photo, remembered by path, size and time of change; 0 for one that
    is not there."""
    known = Memory(checks_of(root, "contents"))

    def look(image: str) -> int:
        try:
            stamp = file_stamp(root / image, "photo")
        except InputError:
            return 0
        return known.recall(stamp, lambda: (content_hash(root / image),))[0]

    hashes = list(in_threads(look, images, **LOOKING))
    known.write()
    return hashes


def content_hash(path: Path) -> int:
    """64 bits by which the content of a photo's file is known, under any name: of its size, its
    first and its last 16 KB."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        start = file.read(ENDS)
        file.seek(max(len(start), size - ENDS))
        digest = hashlib.blake2b(str(size).encode() + start + file.read(ENDS), digest_size=8)
    return int.from_bytes(digest.digest(), "big", signed=True)
