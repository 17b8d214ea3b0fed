"""What a network has learned from, in all the runs that it went through: locations and photos.

Each checkpoint tells it, so that a photo counts as unseen only if no run has seen its location. Of
a published one the names of locations are dropped, or hashed: who has a name can tell whether it is
among them, see `release/publish_weights.py`.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

import torch

from .. import InputError
from .manifest import Manifest
from .memory import Memory, checks_of, file_stamp
from .progress import progress
from .threads import LOOKING, in_threads

ENDS = 16384  # bytes at the start and the end of a file that tell it from others
ROUNDS = 10_000  # of the hash of a name: 3 ms, which is little to a report and much to who guesses


@dataclass
class Learned:
    """Of which locations, and photos (see `content_hash`), a network knows; the names of runs that
    it began with and that do not tell; and locations of which only `hashed_name` is known."""

    locations: set[str] = field(default_factory=set)
    photos: set[int] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    hashed: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, name: str, checkpoint: dict) -> "Learned":
        """What the checkpoint of a run tells; older ones tell nothing."""
        told = checkpoint.get("learned_from")
        if told is None:
            return cls(unknown={name})
        return cls(set(told["locations"]), set(told["photos"].tolist()), set(told["unknown"]),
                   set(told.get("hashed", ())))

    def __or__(self, other: "Learned") -> "Learned":
        return Learned(self.locations | other.locations, self.photos | other.photos,
                       self.unknown | other.unknown, self.hashed | other.hashed)

    def as_plain(self) -> dict:
        """The same in plain types, for a checkpoint."""
        return {"locations": sorted(self.locations), "unknown": sorted(self.unknown),
                "photos": torch.tensor(sorted(self.photos), dtype=torch.int64),
                "hashed": sorted(self.hashed)}

    @cached_property
    def _salts(self) -> set[str]:
        return {name.partition("$")[0] for name in self.hashed}

    def knows_location(self, location: str) -> bool:
        """Whether a location is among them, by its name."""
        return location in self.locations or any(
            hashed_name(location, salt) in self.hashed for salt in self._salts)

    def knows(self, location: str, photo: int) -> bool:
        """Whether a photo, by its `content_hash`, or another one of its location is among them."""
        return photo in self.photos or self.knows_location(location)


@lru_cache(maxsize=100_000)
def hashed_name(name: str, salt: str) -> str:
    """The name of a location as `salt$digest`, hexadecimal: PBKDF2 with SHA-256 (RFC 8018)."""
    digest = hashlib.pbkdf2_hmac("sha256", name.encode("utf-8", "surrogatepass"),
                                 bytes.fromhex(salt), ROUNDS, dklen=16)
    return f"{salt}${digest.hex()}"


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

    hashes = list(progress(in_threads(look, images, **LOOKING), "comparing", len(images)))
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
