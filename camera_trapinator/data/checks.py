"""Checks before a training: what is wrong with photos, masks and maps, found once, remembered."""

import csv
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import numpy as np

from .. import IGNORE, InputError, written_whole
from ..utils import RUNS
from .manifest import BACKGROUND, Manifest, Row
from .masks import open_map, read_mask, values_of_map
from .photos import fingerprint, has_position, is_infrared, photo_size, read_photo, same_aspect


def checks_of(data_root: Path, what: str = "masks") -> Path:
    """The file that remembers which `masks` or `photos` of a data root were checked and sound."""
    number = crc32(str(data_root.resolve()).encode())
    return RUNS / ".checked" / f"{data_root.name}-{number:08x}-{what}.csv"


def check_photos(manifest: Manifest, data_root: str | Path, num_classes: int,
                 memory: str | Path) -> np.ndarray:
    """Check the photos and masks of a manifest; the share of each class in each mask.

    Every photo must be there. Every mask must be there, have its photo's aspect ratio, and hold
    only classes below `num_classes` (or 255). What was found is remembered in the CSV `memory` by
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
    known = read_memory(Path(memory), _parse_shares)
    with ThreadPoolExecutor() as pool:  # Pillow decodes without holding Python's lock
        checked = list(pool.map(lambda row: _check_row(row, data_root, num_classes, known),
                                manifest))
    known |= dict(stamp for stamp, _, _ in checked if stamp)
    write_memory(Path(memory), ([" ".join(f"{value}:{share}" for value, share in values.items()),
                                  *key] for key, values in known.items()))
    return (np.stack([shares for _, shares, _ in checked]),
            [fault for _, _, fault in checked],
            [stamp[1] if stamp else {} for stamp, _, _ in checked])


def _check_row(row: Row, data_root: Path, num_classes: int, known: dict) -> tuple:
    """(stamp for the memory, class shares, fault or "") of one row."""
    shares = np.zeros(num_classes, np.float32)
    try:
        key = file_stamp(data_root / row.image, "photo")
        if row.mask in ("", BACKGROUND):
            shares[0] = row.mask == BACKGROUND
            return None, shares, ""
        key += file_stamp(data_root / row.mask, "mask")
        values = known.get(key)
        if values is None:
            values = _mask_shares(data_root / row.image, data_root / row.mask)
        largest = max((value for value in values if value != IGNORE), default=0)
        if largest >= num_classes:
            raise InputError(_out_of_range(data_root / row.mask, values, num_classes))
        for value, share in values.items():
            if value != IGNORE:
                shares[value] = share
        return (key, values), shares, ""
    except InputError as error:
        return None, shares, str(error)


def file_stamp(path: Path, what: str) -> tuple:
    try:
        status = path.stat()
    except OSError:
        raise InputError(f"{path}: no such {what}, but the manifest lists it; correct "
                         "manifest.csv or bring the file back") from None
    return str(path), status.st_size, status.st_mtime_ns


def _mask_shares(image: Path, path: Path) -> dict[int, float]:
    """The share of each value among a mask's labelled pixels; opens only the photo's header."""
    mask = read_mask(path)
    _check_aspect(image, path, mask)
    counts = np.bincount(mask.ravel(), minlength=256)
    labelled = max(1, counts[:IGNORE].sum())
    return {int(value): float(counts[value] / labelled) for value in np.flatnonzero(counts)}


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


def read_memory(path: Path, parse: Callable[[list[str]], tuple]) -> dict:
    """What a CSV remembers; `parse` makes (key, content) of the cells of a line."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            return dict(map(parse, csv.reader(file)))
    except (OSError, ValueError, csv.Error):  # not there yet, or damaged: check everything anew
        return {}


def write_memory(path: Path, lines: Iterable[list]) -> None:
    """The key stands last in a line: one that was cut off matches no file."""
    with written_whole(path, by_many=True) as temporary, open(temporary, "w", newline="",
                                                              encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(lines)


def _parse_shares(cells: list[str]) -> tuple[tuple, dict[int, float]]:
    shares, image, size, time, mask, mask_size, mask_time = cells
    values = dict(part.split(":") for part in shares.split())
    return ((image, int(size), int(time), mask, int(mask_size), int(mask_time)),
            {int(value): float(share) for value, share in values.items()})


# -------------------------------------------------------------------------- maps, for a regression


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
    known = read_memory(Path(memory), _parse_map_facts)

    def check(row: Row) -> tuple[tuple | None, MapFacts, str]:
        try:
            key = file_stamp(data_root / row.image, "photo")
            if row.mask in ("", BACKGROUND):
                return None, MapFacts(float(row.mask == BACKGROUND)), ""
            key += file_stamp(data_root / row.mask, "map")
            facts = known.get(key) or _map_facts(data_root / row.image, data_root / row.mask)
            return key, facts, ""
        except InputError as error:
            return None, MapFacts(0.0), str(error)

    with ThreadPoolExecutor() as pool:
        checked = list(pool.map(check, manifest))
    known |= {key: facts for key, facts, _ in checked if key}
    write_memory(Path(memory), ([*facts[:-1], int(facts.whole), *key]
                                 for key, facts in known.items()))
    return [facts for _, facts, _ in checked], [fault for _, _, fault in checked]


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


def _parse_map_facts(cells: list[str]) -> tuple[tuple, MapFacts]:
    *numbers, whole, image, size, time, path, map_size, map_time = cells
    return ((image, int(size), int(time), path, int(map_size), int(map_time)),
            MapFacts(*map(float, numbers), whole == "1"))


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


def examine_photos(manifest: Manifest, data_root: Path, memory: Path,
                   progress: Callable = iter) -> list[PhotoFacts]:
    """Read every photo, in parallel. What was found is remembered in the CSV `memory` by path,
    size and time of change. `progress` wraps the iterator (tqdm)."""
    known = read_memory(memory, _parse_facts)

    def examine(image: str) -> tuple[tuple | None, PhotoFacts]:
        path = data_root / image
        try:
            key = file_stamp(path, "photo")
            if key in known:
                return key, known[key]
            small = read_photo(path, 64).image
        except InputError as error:
            return None, PhotoFacts(str(error), None, False, False)
        return key, PhotoFacts("", fingerprint(small), is_infrared(small),
                               has_position(path))

    with ThreadPoolExecutor() as pool:
        examined = list(progress(pool.map(examine, manifest.column("image"))))
    known |= {key: facts for key, facts in examined if key}
    write_memory(memory, (["" if facts.fingerprint is None else f"{facts.fingerprint:x}",
                            int(facts.infrared), int(facts.position), *key]
                           for key, facts in known.items()))
    return [facts for _, facts in examined]


def without_broken(manifest: Manifest, data_root: Path, faults: Sequence[str], memory: Path,
                   progress: Callable = iter) -> tuple[Manifest, list[str]]:
    """A manifest without the rows that have a fault (see `find_faults`), or a label but a photo
    that cannot be read; and what is wrong with each of these. Reads the labelled photos in full
    (see `examine_photos`)."""
    labelled = Manifest(row for row in manifest if row.mask)
    facts = examine_photos(labelled, data_root, memory, progress)
    unreadable = {row.image: fact.failure for row, fact in zip(labelled, facts, strict=True)}
    reasons = [fault or unreadable.get(row.image, "")
               for row, fault in zip(manifest, faults, strict=True)]
    return (Manifest(row for row, reason in zip(manifest, reasons, strict=True) if not reason),
            list(filter(None, reasons)))


def known_fingerprints(manifest: Manifest, data_root: Path, memory: Path) -> list[int | None]:
    """The fingerprints that `examine_photos` remembered and that still hold, None for other
    photos. Opens no photo."""
    known = read_memory(memory, _parse_facts)
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


def _parse_facts(cells: list[str]) -> tuple[tuple, PhotoFacts]:
    bits, infrared, position, image, size, time = cells
    return (image, int(size), int(time)), PhotoFacts(
        "", int(bits, 16) if bits else None, infrared == "1", position == "1")
