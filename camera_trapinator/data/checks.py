"""Checks before a training: what is wrong with photos, masks and maps, found once, remembered."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .. import IGNORE, InputError
from .checksums import checksum
from .manifest import BACKGROUND, Manifest, Row
from .masks import open_map, read_mask, values_of_map
from .memory import Memory, file_stamp
from .photos import fingerprint, has_position, is_infrared, photo_size, read_photo, same_aspect
from .progress import progress
from .threads import LOOKING, in_threads

NO_VALUES: dict[int, float] = {}  # one for all rows without a mask: there may be millions


def check_photos(manifest: Manifest, data_root: str | Path, num_classes: int,
                 memory: str | Path) -> np.ndarray:
    """Check the photos and masks of a manifest; the share of each class in each mask.

    Every photo must be there. Every mask must be there, have its photo's aspect ratio, and hold
    only classes below `num_classes` (or 255). What was found is remembered in the file `memory` by
    path, size and time of change, so that a second start opens no file again.
    Returns float32 (photos, num_classes): a row sums up to 1, or is all 0 for a photo without
    label. Raises InputError with the first fault and the number of others.
    """
    shares, faults, _ = find_faults(manifest, data_root, num_classes, memory)
    _stop_at(faults)
    return shares


def _stop_at(faults: list[str]) -> None:
    faults = list(filter(None, faults))
    if faults:
        more = f" (and {len(faults) - 1} more faults like it or others)" if len(faults) > 1 else ""
        raise InputError(faults[0] + more)


def find_faults(manifest: Manifest, data_root: str | Path, num_classes: int, memory: str | Path,
                ) -> tuple[np.ndarray, list[str], list[dict[int, float]]]:
    """What `check_photos` checks, to the end: class shares, faults, and the share of each value in
    the mask file. For each row: a fault is "" where there is none, the shares are {} where there is
    no file, or a fault."""
    data_root = Path(data_root)
    if not data_root.is_dir():
        raise InputError(f"data_root: {data_root} is no folder; make the demo photos with "
                         "scripts/make_demo_data.py, or set data_root to where your data are")
    known = Memory(memory)
    shares, faults, values = np.zeros((len(manifest), num_classes), np.float32), [], []
    found = in_threads(lambda row: _check_row(row, data_root, num_classes, known), manifest,
                       **LOOKING)
    for checked in progress(found, "checking", len(manifest)):
        shares[len(faults)], fault, found = checked
        faults.append(fault)
        values.append(found)
    known.write()
    return shares, faults, values


def _check_row(row: Row, data_root: Path, num_classes: int, known: Memory,
               ) -> tuple[np.ndarray, str, dict[int, float]]:
    """What `find_faults` finds of one row."""
    shares = np.zeros(num_classes, np.float32)
    try:
        key = file_stamp(data_root / row.image, "photo")
        if row.mask in ("", BACKGROUND):
            shares[0] = row.mask == BACKGROUND
            return shares, "", NO_VALUES
        key += file_stamp(data_root / row.mask, "mask")
        values = dict(known.recall(
            key, lambda: _mask_shares(data_root / row.image, data_root / row.mask)))
        largest = max((value for value in values if value != IGNORE), default=0)
        if largest >= num_classes:
            raise InputError(_out_of_range(data_root / row.mask, values, num_classes))
        for value, share in values.items():
            if value != IGNORE:
                shares[value] = share
        return shares, "", values
    except InputError as error:
        return shares, str(error), NO_VALUES


def _mask_shares(image: Path, path: Path) -> tuple[tuple[int, float], ...]:
    """Each value of a mask and its share of the labelled pixels; opens only the photo's header."""
    mask = read_mask(path)
    _check_aspect(image, path, mask)
    counts = np.bincount(mask.ravel(), minlength=256)
    labelled = max(1, counts[:IGNORE].sum())
    return tuple((int(value), float(counts[value] / labelled)) for value in np.flatnonzero(counts))


def _check_aspect(image: Path, path: Path, mask: np.ndarray) -> None:
    size, wanted = mask.shape[::-1], photo_size(image)
    if not same_aspect(size, wanted):
        turned = same_aspect(size[::-1], wanted)
        raise InputError(
            f"{path}: the mask is {size[0]} x {size[1]} pixels, its photo {wanted[0]} x "
            f"{wanted[1]} (upright); " + ("the mask lies on its side: turn it upright"
                                              if turned else "they must have one aspect ratio"))


def _out_of_range(path: Path, values: dict[int, float], num_classes: int) -> str:
    found = ", ".join(map(str, sorted(values)))
    species = sorted(set(values) - {0, IGNORE})
    hint = ""
    if len(species) < num_classes and species[-1] > 20:  # greys, not a slip of the index
        meant = ", ".join(f"{value} = class {index}" for index, value in enumerate(species, 1))
        hint = f"; did you mean {meant}? Import the masks with scripts/import_labels.py masks"
    return (f"{path}: values {found} found in the mask, but classes.csv has the classes 0 to "
            f"{num_classes - 1} (255 = ignore){hint}")


# ------------------------------------------------------------------------- maps, for a regression


class MapFacts(NamedTuple):
    """What a map for a regression holds: its numbers as stored, without `target_scale`."""

    share: float  # of its pixels that have a value
    mean: float = 0.0
    spread: float = 0.0  # standard deviation
    low: float = 0.0
    high: float = 0.0
    whole: bool = True  # whether the file holds whole numbers


def check_maps(manifest: Manifest, data_root: str | Path, memory: str | Path) -> list[MapFacts]:
    """`check_photos` for a regression: every photo and every map must be there, be of one aspect
    ratio, and the map have a value somewhere. A photo without label has the share 0."""
    facts, faults = find_map_faults(manifest, data_root, memory)
    _stop_at(faults)
    return facts


def find_map_faults(manifest: Manifest, data_root: str | Path, memory: str | Path,
                    ) -> tuple[list[MapFacts], list[str]]:
    """What `check_maps` checks, to the end. For each row: what its map holds, and its fault, ""
    where there is none; where there is one the share is 0."""
    data_root = Path(data_root)
    known = Memory(memory, MapFacts)

    def check(row: Row) -> tuple[MapFacts, str]:
        try:
            key = file_stamp(data_root / row.image, "photo")
            if row.mask in ("", BACKGROUND):
                return MapFacts(float(row.mask == BACKGROUND)), ""
            key += file_stamp(data_root / row.mask, "map")
            return known.recall(
                key, lambda: _map_facts(data_root / row.image, data_root / row.mask)), ""
        except InputError as error:
            return MapFacts(0.0), str(error)

    checked = list(progress(in_threads(check, manifest, **LOOKING), "checking", len(manifest)))
    known.write()
    return [facts for facts, _ in checked], [fault for _, fault in checked]


def _map_facts(image: Path, path: Path) -> MapFacts:
    stored = open_map(path)
    _check_aspect(image, path, stored)
    values = values_of_map(stored).astype(np.float64)
    known = values[~np.isnan(values)]
    if not known.size:
        raise InputError(f"{path}: no pixel of the map has a value; leave the mask column of its "
                         "photo empty")
    return MapFacts(known.size / values.size, float(known.mean()), float(known.std()),
                    float(known.min()), float(known.max()), stored.dtype.kind == "u")


def pool_maps(maps: Sequence[MapFacts], target_scale: float) -> dict:
    """The numbers of all these maps together, in the quantity's unit: mean, spread (standard
    deviation), low and high, and whether all are stored as whole numbers. A map weighs by the
    share of its pixels that have a value. Raises InputError if all numbers are alike."""
    maps = [facts for facts in maps if facts.share]
    share, mean, spread, low, high, whole = (np.array(column) for column in zip(*maps, strict=True))
    middle = np.average(mean, weights=share)
    variance = np.average(spread**2 + (mean - middle) ** 2, weights=share)
    if low.min() == high.max():
        raise InputError(f"the training maps hold one number only, {low.min():g}; there is nothing "
                         "to learn. Is it a code for \"no value\"? Store 65535 (16-bit) or NaN")
    return {"mean": float(middle * target_scale), "spread": float(variance**0.5 * target_scale),
            "low": float(low.min() * target_scale), "high": float(high.max() * target_scale),
            "whole": bool(whole.all())}


# -------------------------------------------------------------------- what a photo tells of itself


class PhotoFacts(NamedTuple):
    """What reading a photo in full has shown."""

    failure: str  # why it cannot be read; "" = it can
    fingerprint: int | None  # see fingerprint
    infrared: bool
    position: bool  # whether its EXIF tells where it was taken
    checksum: str = ""  # of its bytes, see checksums.checksum; "" of a look of an older version


def examine_photos(manifest: Manifest, data_root: Path, memory: Path) -> list[PhotoFacts]:
    """Read every photo, in parallel. What was found is remembered in the file `memory` by path,
    size and time of change."""
    known = Memory(memory, PhotoFacts)

    def look(path: Path) -> PhotoFacts:
        small = read_photo(path, 64).image
        # Nearly free: reading has just brought the bytes into memory.
        return PhotoFacts("", fingerprint(small), is_infrared(small), has_position(path),
                          checksum(path))

    def examine(image: str) -> PhotoFacts:
        path = data_root / image
        try:
            key = file_stamp(path, "photo")
            if key in known.known and not known.known[key].checksum:
                del known.known[key]
            return known.recall(key, lambda: look(path))
        except InputError as error:
            return PhotoFacts(str(error), None, False, False)

    examined = list(progress(in_threads(examine, manifest.column("image"), **LOOKING), "reading",
                             len(manifest)))
    known.write()
    return examined


def without_broken(manifest: Manifest, data_root: Path, faults: Sequence[str], memory: Path,
                   ) -> tuple[Manifest, list[str]]:
    """A manifest without the rows that have a fault (see `find_faults`), or a label but a photo
    that cannot be read; and what is wrong with each of these. Reads the labelled photos in full
    (see `examine_photos`)."""
    labelled = Manifest(row for row in manifest if row.mask)
    facts = examine_photos(labelled, data_root, memory)
    unreadable = {row.image: fact.failure for row, fact in zip(labelled, facts, strict=True)}
    reasons = [fault or unreadable.get(row.image, "")
               for row, fault in zip(manifest, faults, strict=True)]
    return (Manifest(row for row, reason in zip(manifest, reasons, strict=True) if not reason),
            list(filter(None, reasons)))


def known_fingerprints(manifest: Manifest, data_root: Path, memory: Path) -> list[int | None]:
    """The fingerprints that `examine_photos` remembered and that still hold, None for other
    photos. Opens no photo."""
    known = Memory(memory, PhotoFacts).known
    if not known:
        return [None] * len(manifest)
    fingerprints = []
    for image in manifest.column("image"):
        try:
            facts = known.get(file_stamp(data_root / image, "photo"))
        except InputError:  # training photos may be gone when a run is tested
            facts = None
        fingerprints.append(facts.fingerprint if facts else None)
    return fingerprints
