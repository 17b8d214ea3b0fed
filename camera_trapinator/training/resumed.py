"""The photos of a run that is resumed: those that it began with, in their order and splits."""

import os
from collections.abc import Sequence
from pathlib import Path
from zlib import crc32

import numpy as np

from .. import InputError
from ..data.checksums import Checksums
from ..data.manifest import BACKGROUND, Manifest
from ..data.progress import progress
from ..data.tables import read_rows
from ..data.threads import LOOKING, in_threads

CHANGED = "have changed: the photo, its mask or its row in the manifest"


def rows_made_of(manifest: Manifest, root: Path, shares: np.ndarray) -> list[str]:
    """What a run learns of each row: a checksum of the bytes that its photo and its mask have, of
    the share of each class, and of its part in a curriculum. Not of their times of change, for data
    may be copied to another machine."""
    def made_of(pair: tuple) -> str:
        row, share = pair
        files = [row.image, *([] if row.mask in ("", BACKGROUND) else [row.mask])]
        sizes = [os.path.getsize(root / file) for file in files]
        facts = sizes, share.tolist(), row.difficulty, row.focus
        return f"{crc32(repr(facts).encode()):08x}"

    found = in_threads(made_of, zip(manifest, shares, strict=True), **LOOKING)
    return list(progress(found, "sizes", len(manifest)))


def rows_of_run(path: Path, manifest: Manifest, made_of: Sequence[str],
                ) -> tuple[list[int], list[str]]:
    """The rows of the manifest that a run is made of, by its splits.csv and in its order, and the
    split of each.

    Photos that came after the run began are told and left out. Raises InputError for photos that
    are gone or have changed (they, their mask or their row): the run would go on as another one.
    """
    places = {image: place for place, image in enumerate(manifest.column("image"))}
    known = [row for _, row in read_rows(path, "image", "location", "sequence", "split")]
    gone = [row["image"] for row in known if row["image"] not in places]
    changed = []
    for was in known if not gone else ():
        place = places[was["image"]]
        row = manifest[place]
        now = {"location": row.location, "sequence": row.sequence, "made_of": made_of[place]}
        if any(was.get(key, value) != value for key, value in now.items()):
            changed.append(row.image)
    _refuse(path, gone, "are not in the manifest any more")
    _refuse(path, changed, CHANGED)
    rows = [places[row["image"]] for row in known]
    new = set(places.values()) - set(rows)
    new = [image for image, place in places.items() if place in new and manifest[place].mask]
    if new:
        print(f"note        {len(new)} labelled photos are not part of this run, such as {new[0]}: "
              "it began without them")
    return rows, [row["split"] for row in known]


def refuse_changed(path: Path, manifest: Manifest, checksums: Checksums) -> None:
    """Raises InputError where the files of a run's photos hold other bytes than its splits.csv
    says. `manifest`: the rows of `rows_of_run`. Older runs do not tell."""
    known = (row for _, row in read_rows(path, "image"))
    _refuse(path, [row.image for row, was, photo, mask in zip(manifest, known, *checksums,
                                                              strict=True)
                   if was.get("photo_sha256", photo) != photo
                   or was.get("mask_sha256", mask) != mask], CHANGED)


def _refuse(path: Path, files: list[str], what: str) -> None:
    if files:
        raise InputError(f"{path}: {len(files)} photos of the run {what}, such as {files[0]}; "
                         "bring back what was there, or start another run with --run NAME")
