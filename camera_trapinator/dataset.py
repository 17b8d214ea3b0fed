"""CameraTrapDataset: from a row of the manifest to an image and a mask.

    dataset = CameraTrapDataset(manifest, data_root, working_scale=640)
    image, mask, index = dataset[0]     # uint8 (3, H, W), uint8 (H, W), int
"""

import atexit
import csv
import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from . import IGNORE, STOP_SIGNALS, InputError, photos, written_whole
from .cache import Cache
from .difficulty import FORMULA, SIZE, photo_difficulty
from .manifest import BACKGROUND, Manifest, Row
from .transforms import FILL, eval_transform

SIZE_RULE = 1  # raise it when photos or masks are scaled differently, so that caches are made anew


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
                 if place == location and photos.same_aspect(tuple(size), (width, height))}
        return alike.pop() if len(alike) == 1 else (0.0, 0.0)


NO_STRIPS = Strips()


class CameraTrapDataset(Dataset):
    """The photos of a manifest with their masks, at the working scale.

    `indices`: the manifest rows to use (default all), so `dataset[0]` is row `indices[0]`.
    `transform(image, mask)`: `train_transform` with its parameters bound, or `eval_transform`.
    `target_scale`: None = masks of classes; a number = maps for a regression, and what a step of
    a stored number is worth. Then "mask" below is float32, in the quantity's unit, NaN = ignored.
    `strips`: info strips are grey in the image and ignored in the mask. `cache`: keeps photos and
    masks once they are decoded and scaled; a manifest has one, whatever the indices.
    """

    def __init__(self, manifest: Manifest, data_root: str | Path, working_scale: int,
                 transform: Callable = eval_transform, indices: Sequence[int] | None = None,
                 target_scale: float | None = None, strips: Strips = NO_STRIPS,
                 cache: Cache | None = None):
        self.manifest, self.data_root = manifest, Path(data_root)
        self.working_scale, self.transform = working_scale, transform
        self.target_scale, self.strips, self.cache = target_scale, strips, cache
        self.ignored = IGNORE if target_scale is None else np.nan
        self.indices = np.arange(len(manifest)) if indices is None else np.asarray(indices)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, draw: int | tuple[int, int]) -> tuple[Tensor, Tensor, int]:
        """Image uint8 (3, H, W), mask uint8 (H, W) and the place in the dataset.

        `draw` is a place, or (place, seed) as `CurriculumSampler` gives it: then all chance in
        the transform comes from that seed. The mask of a photo without label is 255 throughout.
        Raises InputError for files that cannot be read.
        """
        place, seed = draw if isinstance(draw, tuple) else (draw, None)
        index = int(self.indices[place])
        photo, mask = self.load(index)
        image, mask, _ = self.without_strips(self.manifest[index], photo, mask)
        with torch.random.fork_rng(devices=[]):
            if seed is not None:
                torch.default_generator.manual_seed(seed)
            image, mask = self.transform(image, torch.from_numpy(mask))
        return image, mask, place

    def load(self, index: int) -> tuple[photos.Photo, np.ndarray]:
        """The photo of a row of the manifest, and its mask (or map) of the same size."""
        row, key = self.manifest[index], None
        if self.cache:
            key = self._key(row)
            if kept := self.cache.get(index, key):
                (image, mask), facts = kept
                return photos.Photo(image, *facts), mask
        photo = photos.read_photo(self.data_root / row.image, self.working_scale)
        height, width = photo.image.shape[:2]
        mask = read_target(row, self.data_root, height, width, self.target_scale)
        mask = photos.resize_mask(mask, width, height)
        if self.cache:
            self.cache.put(index, key, [photo.image, mask], list(photo[1:]))
        return photo, mask

    def _key(self, row: Row) -> str:
        """Changes when the photo or the mask does, or what becomes of them."""
        stamps = [_file_stamp(self.data_root / row.image, "photo")]
        if row.mask not in ("", BACKGROUND):
            stamps.append(_file_stamp(self.data_root / row.mask, "mask"))
        rule = SIZE_RULE, self.working_scale, self.target_scale
        return blake2b(repr((rule, row.mask, stamps)).encode(), digest_size=16).hexdigest()

    def without_strips(self, row: Row, photo: photos.Photo, mask: np.ndarray | None = None,
                       ) -> tuple[Tensor, np.ndarray | None, tuple[int, int]]:
        """What the network sees of a photo, uint8 (3, H, W), and the mask, without info strips;
        and how many rows they take at the top and at the bottom."""
        share = self.strips.of(row.location, photo.width, photo.height)
        if sum(share) >= 1:
            raise InputError(f"{self.data_root / row.image}: the photo is {photo.height} pixels "
                             f"high, the info strips {self.strips.rows[0]} and "
                             f"{self.strips.rows[1]}; strips: auto finds them for each location")
        strip = photos.strip_rows(share, photo.height, len(photo.image))
        if mask is not None:
            mask = fill_rows(mask, strip, self.ignored)
        return to_tensor(fill_rows(photo.image, strip, FILL)), mask, strip


class Example(NamedTuple):
    """What goes with a photo through prediction, besides its pixels."""

    index: int  # row of the manifest
    target: Tensor | None  # uint8 true classes (float32 numbers), at the size of `mask_size`
    width: int  # of the upright photo in pixels; 0 if it could not be read
    height: int
    datetime: str
    infrared: bool
    failure: str | None  # why the photo could not be read
    strip: tuple[int, int] = (0, 0)  # rows of the image at the top and bottom that are info strip


class PredictionDataset(CameraTrapDataset):
    """The photos of a manifest for `SegmentationModel.predict`.

    A photo that cannot be read becomes an Example with its `failure` and never stops a loader.
    `mask_size`: "network" scales the true masks like the photos, "photo" keeps them at the
    photo's own size. Use it with `collate_fn=group_by_shape`.

    At network size, where training is judged, info strips are 255 in the true masks as they are
    in training. At the photo's own size they are not: a test counts what a strip hides.
    """

    def __init__(self, manifest: Manifest, data_root: str | Path, working_scale: int,
                 indices: Sequence[int] | None = None, mask_size: str = "network",
                 target_scale: float | None = None, strips: Strips = NO_STRIPS,
                 cache: Cache | None = None):
        super().__init__(manifest, data_root, working_scale, eval_transform, indices, target_scale,
                         strips, cache)
        self.mask_size = mask_size

    def __getitem__(self, place: int) -> tuple[Tensor | None, Example]:
        """The photo, uint8 (3, H, W) at the working scale (None if unreadable), and its facts."""
        index = int(self.indices[place])
        row = self.manifest[index]
        try:
            if self.mask_size == "network":
                photo, target = self.load(index)
                image, target, strip = self.without_strips(row, photo, target)
            else:
                photo = photos.read_photo(self.data_root / row.image, self.working_scale)
                image, _, strip = self.without_strips(row, photo)
                width, height = photo.width, photo.height
                target = read_target(row, self.data_root, height, width, self.target_scale)
                target = photos.resize_mask(target, width, height)
        except InputError as error:
            failure = str(error).removeprefix(f"{self.data_root / row.image}: ")
            return None, Example(index, None, 0, 0, row.datetime, False, failure)
        return image, Example(
            index, torch.from_numpy(target) if row.mask else None, photo.width, photo.height,
            row.datetime or photo.datetime, photos.is_infrared(photo.image), None, strip)


def group_by_shape(examples: list[tuple[Tensor | None, Example]],
                   ) -> list[tuple[Tensor | None, list[Example]]]:
    """Collate photos of any sizes: those of one shape make one tensor (n, 3, H, W).

    So nothing is padded for the sake of a neighbour, and no prediction depends on one.
    """
    groups: dict[tuple | None, list] = {}
    for image, example in examples:
        groups.setdefault(None if image is None else tuple(image.shape), []).append(
            (image, example))
    return [(None if shape is None else torch.stack([image for image, _ in group]),
             [example for _, example in group]) for shape, group in groups.items()]


def whole_batch(dataset: CameraTrapDataset) -> tuple[list, list]:
    """All photos of a small dataset as one batch of training, and the same as one for `predict`.

    (images uint8 (N, 3, H, W), masks uint8 (N, H, W), places (N,)) as a DataLoader gives them, and
    a list of one group as `group_by_shape` gives it. The transform must give one shape.
    """
    images, masks, places = default_collate([dataset[place] for place in range(len(dataset))])
    examples = [Example(int(index), mask, mask.shape[1], mask.shape[0], "", False, None)
                for index, mask in zip(dataset.indices, masks, strict=True)]
    return [images, masks, places], [(images, examples)]


class PhotoLoader(DataLoader):
    """A DataLoader whose processes, which read photos, follow the main one.

    Ctrl-C and clusters tell all processes to stop: these go on, for the main one finishes its step
    first, and end when it does. `read_timeout`: seconds after which a batch that does not come is
    an error; 0 = never. The rest: see DataLoader.
    """

    def __init__(self, dataset: Dataset, num_workers: int, device: torch.device,
                 read_timeout: float = 0, **arguments):
        super().__init__(dataset, num_workers=num_workers, pin_memory=device.type == "cuda",
                         timeout=read_timeout if num_workers else 0,
                         # A generator of its own keeps it from drawing on the global one.
                         generator=torch.Generator(), worker_init_fn=_follow_main_process,
                         **arguments)
        atexit.register(_end_readers)

    def __iter__(self) -> Iterator:
        if not hasattr(signal, "pthread_sigmask"):  # Windows
            return super().__iter__()
        # Processes that are started meanwhile hear no signals from their first moment on.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            return super().__iter__()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _follow_main_process(_: int) -> None:
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    # Their errors reach the main process with the photos. What is left for Python to print are
    # connections that broke because the main process went while photos were on their way to it.
    sys.excepthook = lambda *_: None


def _end_readers() -> None:
    """Python itself would ask them by SIGTERM, and wait."""
    for child in multiprocessing.active_children():
        if hasattr(signal, "SIGCHLD"):
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch calls it an error
        child.kill()


def to_tensor(image: np.ndarray) -> Tensor:
    """uint8 (H, W, 3) -> uint8 (3, H, W), a view: nothing is copied."""
    return torch.from_numpy(image).permute(2, 0, 1)


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


def read_target(row: Row, data_root: Path, height: int, width: int,
                target_scale: float | None = None) -> np.ndarray:
    """The true classes of a photo as stored, uint8; of (height, width) where there is no file.

    With a `target_scale` its true numbers, float32; `background` means 0 everywhere.
    """
    if target_scale is not None:
        if row.mask in ("", BACKGROUND):
            return np.full((height, width), 0 if row.mask else np.nan, np.float32)
        return photos.read_map(data_root / row.mask) * np.float32(target_scale)
    if row.mask in ("", BACKGROUND):
        return np.full((height, width), 0 if row.mask else IGNORE, np.uint8)
    return photos.read_mask(data_root / row.mask)


# ------------------------------------------------------------------ checked once, remembered


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
    known = _read_memory(Path(memory), _parse_shares)
    with ThreadPoolExecutor() as pool:  # Pillow decodes without holding Python's lock
        checked = list(pool.map(lambda row: _check_row(row, data_root, num_classes, known),
                                manifest))
    known |= dict(stamp for stamp, _, _ in checked if stamp)
    _write_memory(Path(memory), ([" ".join(f"{value}:{share}" for value, share in values.items()),
                                  *key] for key, values in known.items()))
    return (np.stack([shares for _, shares, _ in checked]),
            [fault for _, _, fault in checked],
            [stamp[1] if stamp else {} for stamp, _, _ in checked])


def _check_row(row: Row, data_root: Path, num_classes: int, known: dict) -> tuple:
    """(stamp for the memory, class shares, fault or "") of one row."""
    shares = np.zeros(num_classes, np.float32)
    try:
        key = _file_stamp(data_root / row.image, "photo")
        if row.mask in ("", BACKGROUND):
            shares[0] = row.mask == BACKGROUND
            return None, shares, ""
        key += _file_stamp(data_root / row.mask, "mask")
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


def _file_stamp(path: Path, what: str) -> tuple:
    try:
        status = path.stat()
    except OSError:
        raise InputError(f"{path}: no such {what}, but the manifest lists it; correct "
                         "manifest.csv or bring the file back") from None
    return str(path), status.st_size, status.st_mtime_ns


def _mask_shares(image: Path, path: Path) -> dict[int, float]:
    """The share of each value among a mask's labelled pixels; opens only the photo's header."""
    mask = photos.read_mask(path)
    _check_aspect(image, path, mask)
    counts = np.bincount(mask.ravel(), minlength=256)
    labelled = max(1, counts[:IGNORE].sum())
    return {int(value): float(counts[value] / labelled) for value in np.flatnonzero(counts)}


def _check_aspect(image: Path, path: Path, mask: np.ndarray) -> None:
    size, photo_size = mask.shape[::-1], photos.photo_size(image)
    if not photos.same_aspect(size, photo_size):
        turned = photos.same_aspect(size[::-1], photo_size)
        raise InputError(
            f"{path}: the mask is {size[0]} x {size[1]} pixels, its photo {photo_size[0]} x "
            f"{photo_size[1]} (upright); " + ("the mask lies on its side: turn it upright"
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


def _read_memory(path: Path, parse: Callable[[list[str]], tuple]) -> dict:
    """What a CSV remembers; `parse` makes (key, content) of the cells of a line."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            return dict(map(parse, csv.reader(file)))
    except (OSError, ValueError, csv.Error):  # not there yet, or damaged: check everything anew
        return {}


def _write_memory(path: Path, lines: Iterable[list]) -> None:
    """The key stands last in a line: one that was cut off matches no file."""
    with written_whole(path, by_many=True) as temporary, open(temporary, "w", newline="",
                                                              encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(lines)


def _parse_shares(cells: list[str]) -> tuple[tuple, dict[int, float]]:
    shares, image, size, time, mask, mask_size, mask_time = cells
    values = dict(part.split(":") for part in shares.split())
    return ((image, int(size), int(time), mask, int(mask_size), int(mask_time)),
            {int(value): float(share) for value, share in values.items()})


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
    known = _read_memory(Path(memory), _parse_map_facts)

    def check(row: Row) -> tuple[tuple | None, MapFacts, str]:
        try:
            key = _file_stamp(data_root / row.image, "photo")
            if row.mask in ("", BACKGROUND):
                return None, MapFacts(float(row.mask == BACKGROUND)), ""
            key += _file_stamp(data_root / row.mask, "map")
            facts = known.get(key) or _map_facts(data_root / row.image, data_root / row.mask)
            return key, facts, ""
        except InputError as error:
            return None, MapFacts(0.0), str(error)

    with ThreadPoolExecutor() as pool:
        checked = list(pool.map(check, manifest))
    known |= {key: facts for key, facts, _ in checked if key}
    _write_memory(Path(memory), ([*facts[:-1], int(facts.whole), *key]
                                 for key, facts in known.items()))
    return [facts for _, facts, _ in checked], [fault for _, _, fault in checked]


def _map_facts(image: Path, path: Path) -> MapFacts:
    stored = photos.open_map(path)
    _check_aspect(image, path, stored)
    values = photos.values_of_map(stored).astype(np.float64)
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


# ------------------------------------------------------------------- what a photo tells of itself


class PhotoFacts(NamedTuple):
    """What reading a photo in full has shown."""

    failure: str  # why it cannot be read; "" = it can
    fingerprint: int | None  # see photos.fingerprint
    infrared: bool
    position: bool  # whether its EXIF tells where it was taken


def examine_photos(manifest: Manifest, data_root: Path, memory: Path,
                   progress: Callable = iter) -> list[PhotoFacts]:
    """Read every photo, in parallel. What was found is remembered in the CSV `memory` by path,
    size and time of change. `progress` wraps the iterator (tqdm)."""
    known = _read_memory(memory, _parse_facts)

    def examine(image: str) -> tuple[tuple | None, PhotoFacts]:
        path = data_root / image
        try:
            key = _file_stamp(path, "photo")
            if key in known:
                return key, known[key]
            small = photos.read_photo(path, 64).image
        except InputError as error:
            return None, PhotoFacts(str(error), None, False, False)
        return key, PhotoFacts("", photos.fingerprint(small), photos.is_infrared(small),
                               photos.has_position(path))

    with ThreadPoolExecutor() as pool:
        examined = list(progress(pool.map(examine, manifest.column("image"))))
    known |= {key: facts for key, facts in examined if key}
    _write_memory(memory, (["" if facts.fingerprint is None else f"{facts.fingerprint:x}",
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
    known = _read_memory(memory, _parse_facts)
    if not known:
        return [None] * len(manifest)
    fingerprints = []
    for image in manifest.column("image"):
        try:
            facts = known.get(_file_stamp(data_root / image, "photo"))
        except InputError:  # training photos may be gone when a run is tested
            facts = None
        fingerprints.append(facts.fingerprint if facts else None)
    return fingerprints


def _parse_facts(cells: list[str]) -> tuple[tuple, PhotoFacts]:
    bits, infrared, position, image, size, time = cells
    return (image, int(size), int(time)), PhotoFacts(
        "", int(bits, 16) if bits else None, infrared == "1", position == "1")


# ------------------------------------------------------------------------ how hard a photo is


def photo_difficulties(manifest: Manifest, rows: Sequence[int], data_root: Path, memory: Path,
                       strips: Strips = NO_STRIPS, progress: Callable = iter) -> np.ndarray:
    """The `photo_difficulty` of labelled rows of the manifest: float64 (rows,), 0 easy .. 1 hard.

    Photos are read small and in parallel, without their info strips. What was found is remembered
    in the CSV `memory` by path, size and time of change of photo and mask. `progress` wraps the
    iterator (tqdm). Raises InputError for files that cannot be read.
    """
    known = _read_memory(memory, _parse_difficulty)

    def judge(index: int) -> tuple[tuple, float]:
        row = manifest[int(index)]
        size = photos.photo_size(data_root / row.image) if strips != NO_STRIPS else (0, 1)
        strip = strips.of(row.location, *size)
        key = (FORMULA, *strip, *_file_stamp(data_root / row.image, "photo"),
               *(("", 0, 0) if row.mask == BACKGROUND
                 else _file_stamp(data_root / row.mask, "mask")))
        if key not in known:
            image = photos.read_photo(data_root / row.image, SIZE).image
            mask = read_target(row, data_root, *image.shape[:2])
            image, mask = (cut_rows(picture, photos.strip_rows(strip, size[1], len(picture)))
                           for picture in (image, mask))
            return key, photo_difficulty(image, mask)
        return key, known[key]

    with ThreadPoolExecutor() as pool:
        judged = list(progress(pool.map(judge, rows)))
    known |= judged
    _write_memory(memory, ([difficulty, *key] for key, difficulty in known.items()))
    return np.array([difficulty for _, difficulty in judged])


def _parse_difficulty(cells: list[str]) -> tuple[tuple, float]:
    difficulty, formula, top, bottom, image, size, time, mask, mask_size, mask_time = cells
    return ((int(formula), float(top), float(bottom), image, int(size), int(time), mask,
             int(mask_size), int(mask_time)), float(difficulty))


# ------------------------------------------------------------------------------- info strips

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

    Reads a few photos of each location, of all hours of the day; see `photos.find_strip`. A
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
                size = photos.photo_size(path)
                group = groups.setdefault(size, [])
                if len(group) < STRIP_PHOTOS:
                    group.append(photos.read_photo(path, min(1024, max(size))).image)
            except InputError:
                continue
        return {size: photos.find_strip(images) for size, images in groups.items() if images}

    with ThreadPoolExecutor() as pool:
        looks = pool.map(look, places.values())
        return {(place, *size): strip for place, sizes in zip(places, looks, strict=True)
                for size, strip in sorted(sizes.items())}


def spread(items: Sequence) -> list:
    """Every other item first, then the rest: the first half is spread over all."""
    return [*items[::2], *items[1::2]]


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
