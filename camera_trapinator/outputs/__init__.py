"""Prediction records: one append-only JSON-lines file between prediction and every output.

The first line holds facts about the model, every further line one photo. Writers (one file per
format beside this one) read the records and nothing else; whoever draws also opens the photos.
Where several processes or machines predict, each appends to a file of its own, its shard, until
`join_records` makes one of them.

A record has the keys

    file        path below the folder of photos, forward slashes
    location, datetime
    width, height   of the upright photo, in pixels
    infrared    whether it is a night picture
    confidence  how sure the model is that something is there, 0..1: the largest foreground
                probability after smoothing with a 5 x 5 mean at network size
    pixels      number of pixels of each class in the predicted mask
    rle         the predicted mask: {"size": [height, width], "counts": {class: COCO counts}},
                without the background
    blobs       connected parts (8 neighbours) of the predicted foreground, the largest first, each
                with its `class` (the most frequent one in it), `box` [x, y, width, height] and
                `centroid` [x, y] as shares of the photo's width and height from the upper left,
                `area` as a share of the photo, `confidence` (mean foreground probability in it),
                `peak` (its largest smoothed foreground probability: the largest peak of a photo is
                its confidence), `class_confidence` (how much of its foreground probability is its
                class's) and `touches_edge`
    faint       parts that the mask does not show, or that are smaller than `smallest_blob`, but
                whose smoothed foreground probability reaches the knob `faint`: the ten surest,
                the surest first, with the same keys; somebody may want to look
    failure     None, or why the photo could not be predicted; then all above from `width` on is
                None or empty

and, from an evaluation, `truth` (the mask column of the manifest), `split`, `seen` (whether its
location was trained on) and `confusion` (pixels by true and predicted class).

What the words mean, here and in every output: blobs smaller than the knob `smallest_blob` do not
count. A species is *present* in a photo if at least one blob is of it. A photo is *empty* if it
has no blob. Faint parts decide neither. A photo that could not be predicted is neither empty nor
not.
"""

import errno
import hashlib
import json
import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache
from itertools import islice, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from .. import InputError, written_whole
from ..photos import (
    NO_RUNS,
    Runs,
    counted,
    decode_runs,
    encode_runs,
    filled,
    palette,
    read_photo,
    resize_mask,
    runs_of,
)

FORMAT = "camera_trapinator predictions 2"
MOST_FAINT = 10  # parts of a photo
AHEAD = 8  # photos that threads work on at most, before it is their turn
EIGHT_NEIGHBOURS = np.ones((3, 3), int)

Classes = Sequence[tuple[str, tuple[int, int, int]]]  # name and colour (RGB) of each class


# ----------------------------------------------------------------------------- one record


def photo_record(file: str, mask: np.ndarray, foreground: np.ndarray,
                 species: tuple[np.ndarray, np.ndarray], *, width: int, height: int,
                 location: str = "", datetime: str = "", infrared: bool = False,
                 num_classes: int = 0, smallest_blob: float = 0.0005, faint: float = 0.1,
                 **extra) -> dict:
    """The record of a predicted photo; the same prediction always gives the same record.

    `mask`: uint8 (H, W) predicted classes, at the photo's own or at network size; `foreground`:
    float32 (h, w) probability at network size that a pixel is no background; `species`: uint8
    (h, w) likeliest species, and float32 (h, w) its share of the foreground probability;
    `width`, `height`: the upright photo's, in pixels; `num_classes`: how many numbers `pixels`
    gets at least; `smallest_blob`: share of the photo; `faint`: probability. `extra` goes in as
    it is.
    """
    smooth, runs = smoothed(foreground), runs_of(mask)
    maps = Maps(foreground, smooth, *species)
    blobs, covered = find_blobs(runs, mask.shape, maps, smallest_blob)
    pixels = _count_pixels(runs, num_classes)
    pixels[0] = mask.size - sum(pixels)
    return {
        "file": file, "location": location, "datetime": datetime, "width": width,
        "height": height, "infrared": infrared, "confidence": _rounded(smooth.max()),
        "pixels": pixels, "rle": _encode_classes(runs, mask.shape),
        "blobs": blobs, "faint": find_faint(maps, covered, faint), "failure": None, **extra,
    }


def failure_record(file: str, failure: str, *, location: str = "", datetime: str = "",
                   **extra) -> dict:
    """The record of a photo that could not be predicted, and why."""
    return {"file": file, "location": location, "datetime": datetime, "width": None,
            "height": None, "infrared": None, "confidence": None, "pixels": [], "rle": None,
            "blobs": [], "faint": [], "failure": failure, **extra}


def smoothed(foreground: np.ndarray) -> np.ndarray:
    """Mean of the 5 x 5 pixels around each one: a lonely pixel is no animal. float32 (h, w)."""
    copy = np.array(foreground, np.float32)  # is written over: of a large photo two are too many
    return ndimage.uniform_filter(copy, 5, output=copy, mode="nearest")


class Maps(NamedTuple):
    """What the network says of each pixel, (h, w) at its own size, or of those of a part, (n,)."""

    foreground: np.ndarray  # probability that it is no background, float32
    smooth: np.ndarray  # the same, smoothed
    species: np.ndarray  # the likeliest one, uint8
    share: np.ndarray  # of the foreground probability that is this species', float32


def parts_of(runs: Runs, size: Sequence[int], smallest_blob: float) -> list[Runs]:
    """The connected parts, also over corners, of a mask of that `size` (height, width), the largest
    first, without those that are too small."""
    if not len(runs.starts):
        return []
    height, width = size
    columns, rows = np.divmod(runs.starts, height)
    lengths = runs.ends - runs.starts
    # Columns with a row more: what ends at the foot of one does not touch the head of the next.
    starts = runs.starts + columns
    ends = starts + lengths
    below = np.flatnonzero(ends[:-1] == starts[1:])
    # In the next column a run touches all that end behind its start and begin before its end.
    first = np.searchsorted(ends, starts + height + 1)
    touched = np.searchsorted(starts, ends + height + 1, "right") - first
    beside = np.repeat(np.arange(len(starts)), touched)
    pairs = (np.append(below, beside), np.append(below + 1, counted(first, touched)))
    edges = coo_array((np.ones(len(pairs[0]), bool), pairs), (len(starts), len(starts)))
    found, part = connected_components(edges, directed=False)

    areas = np.bincount(part, lengths, found)
    corners = np.full(found, height * width)
    np.minimum.at(corners, part, rows * width + columns)  # of parts alike the higher one first
    large = np.flatnonzero(areas >= smallest_blob * height * width)
    large = large[np.lexsort((corners[large], -areas[large]))]
    order = np.argsort(part, kind="stable")
    begins = np.searchsorted(part[order], np.arange(found + 1))
    return [runs.chosen(order[begins[number]:begins[number + 1]]) for number in large]


def find_blobs(runs: Runs, size: Sequence[int], maps: Maps, smallest_blob: float,
               ) -> tuple[list[dict], np.ndarray]:
    """The blobs of a mask of that `size`, as a record holds them, and the pixels of the maps that
    they cover."""
    row_of, column_of = _nearest_pixels(maps.foreground.shape, *size)
    covered, blobs = np.zeros(maps.foreground.shape, bool), []
    for part in parts_of(runs, size, smallest_blob):
        species = int(np.argmax(_count_pixels(part)))
        inside, window = _inside(part, size[0])
        # How many of its pixels lie nearest to each pixel of the maps: the same means, of far fewer
        # numbers.
        rows, tops = np.unique(row_of[window[0]], return_index=True)
        columns, lefts = np.unique(column_of[window[1]], return_index=True)
        counts = np.add.reduceat(inside, tops, axis=0, dtype=np.int32)
        counts = np.add.reduceat(counts, lefts, axis=1)
        place = np.ix_(rows, columns)
        covered[place] |= counts > 0
        known = Maps(*(plane[place][counts > 0] for plane in maps))
        blobs.append(_blob(inside, window, size, species, known, counts[counts > 0]))
    return blobs, covered


def _inside(part: Runs, height: int) -> tuple[np.ndarray, tuple[slice, slice]]:
    """A part as bool (h, w), and the window of the mask where it lies."""
    columns, rows = np.divmod(part.starts, height)
    lengths = part.ends - part.starts
    window = (slice(int(rows.min()), int((rows + lengths).max())),
              slice(int(columns[0]), int(columns[-1]) + 1))
    tall, wide = (side.stop - side.start for side in window)
    starts = (columns - columns[0]) * tall + rows - window[0].start
    inside = filled(Runs(starts, starts + lengths, part.values > 0), (tall, wide))
    return inside.view(bool), window


def find_faint(maps: Maps, covered: np.ndarray, faint: float) -> list[dict]:
    """The parts, as a record holds them, that reach `faint` and in which no blob lies."""
    labels, found = ndimage.label(maps.smooth >= faint, EIGHT_NEIGHBOURS)
    known = set(np.unique(labels[covered]).tolist())
    parts = []
    for number, window in enumerate(ndimage.find_objects(labels, found), start=1):
        if number not in known:
            parts.append((float(maps.smooth[window][labels[window] == number].max()), number,
                          window))
    blobs = []
    for _, number, window in sorted(parts, key=lambda part: -part[0])[:MOST_FAINT]:
        inside = labels[window] == number
        part = Maps(*(plane[window][inside] for plane in maps))
        species = int(np.bincount(part.species, weights=part.foreground * part.share).argmax())
        ones = np.ones(len(part.smooth), int)
        blobs.append(_blob(inside, window, labels.shape, species, part, ones))
    return blobs


def _blob(inside: np.ndarray, window: tuple[slice, slice], size: tuple[int, int], species: int,
          part: Maps, counts: np.ndarray) -> dict:
    """A part `inside` the `window` of a mask of that `size`, and what the maps say of it: each
    pixel of theirs for `counts` of the mask's."""
    foreground = part.foreground.astype(np.float64) * counts
    own = foreground[part.species == species] @ part.share[part.species == species]
    return {
        "class": species, **_place(inside, (window[0].start, window[1].start), size),
        "area": _rounded(inside.sum() / (size[0] * size[1])),
        "confidence": _rounded(foreground.sum() / counts.sum()),
        "peak": _rounded(part.smooth.max()),
        "class_confidence": _rounded(own / max(foreground.sum(), 1e-9)),
    }


def _place(inside: np.ndarray, corner: tuple[int, int], size: tuple[int, int]) -> dict:
    """Where a blob is: `inside` bool (h, w) at `corner` (top, left) in a mask of `size` (H, W)."""
    (box_height, box_width), (top, left), (height, width) = inside.shape, corner, size
    x, y = left + _centre(inside.sum(axis=0)), top + _centre(inside.sum(axis=1))
    return {
        "box": [_rounded(left / width), _rounded(top / height),
                _rounded(box_width / width), _rounded(box_height / height)],
        "centroid": [_rounded(x / width), _rounded(y / height)],
        "touches_edge": (top == 0 or left == 0 or top + box_height == height
                         or left + box_width == width),
    }


def presence(record: dict, num_classes: int) -> list[bool]:
    """Whether each class is present in a photo by its prediction (the background always is)."""
    species = {blob["class"] for blob in record["blobs"]}
    return [index == 0 or index in species for index in range(num_classes)]


def is_empty(record: dict) -> bool:
    """Whether a photo was predicted and nothing found in it."""
    return record["failure"] is None and not record["blobs"]


def mask_of(record: dict) -> np.ndarray:
    """The predicted mask of a record: uint8 (H, W)."""
    return filled(runs_of_record(record), record["rle"]["size"])


def runs_of_record(record: dict) -> Runs:
    """The runs of the predicted mask of a record."""
    size = record["rle"]["size"]
    of_classes = [decode_runs({"size": size, "counts": counts}, int(index))
                  for index, counts in record["rle"]["counts"].items()]
    runs = Runs(*map(np.concatenate, zip(NO_RUNS, *of_classes, strict=True)))
    return runs.chosen(np.argsort(runs.starts))


def classes_of(info: dict) -> Classes:
    """Name and colour of each class, from the info line of a file of records."""
    return [(item["name"], tuple(item["colour"])) for item in info["classes"]]


def _count_pixels(runs: Runs, num_classes: int = 0) -> list[int]:
    """The number of pixels of each value, for `num_classes` or as many as there are; the
    background's is 0."""
    counts = np.bincount(runs.values, runs.ends - runs.starts, num_classes or 1)
    return counts.astype(int).tolist()


def _encode_classes(runs: Runs, size: Sequence[int]) -> dict:
    return {"size": list(size), "counts": {
        str(index): encode_runs(runs.chosen(runs.values == index), size)["counts"]
        for index in np.unique(runs.values).tolist()}}


def _nearest_pixels(small: tuple[int, int], height: int, width: int):
    """Row and column at network size nearest to each one of the mask: int (height,), (width,)."""
    return (resize_mask(np.arange(small[0])[:, None], 1, height)[:, 0],
            resize_mask(np.arange(small[1])[None], width, 1)[0])


def _centre(counts: np.ndarray) -> float:
    """Mean position of pixels' middles, given the number of pixels in each row or column."""
    return float(counts @ (np.arange(len(counts)) + 0.5) / counts.sum())


def _rounded(value: float) -> float:
    return round(float(value), 5)


# ------------------------------------------------------------------------------ the file


class RecordFile:
    """The file of records, open for more: `with RecordFile(path, info) as records`.

    A new file begins with `info`: model, weights, mask_size and
    classes (a list of {"name", "colour": [r, g, b]}). In an existing one a torn last line, left
    by a kill, is cut off, and photos that are done, failed ones included, here or in another
    shard's file, are known by `file in records`. `shard`: see `shard_path`. Raises InputError if a
    file has another `info` (another model, say), has a damaged line in the middle, or is something
    else.
    """

    def __init__(self, path: str | Path, info: dict, shard: tuple[int, int] = (1, 1)):
        info = {"format": FORMAT, **json.loads(_as_line(info))}  # lists for tuples, as in the file
        self._done, end = set(), 0
        own = shard_path(path, shard)
        own.parent.mkdir(parents=True, exist_ok=True)
        for part in record_files(path):
            end_of_part = self._read(part, info)
            if part == own:
                end = end_of_part
        path = own
        self._file = open(path, "ab", buffering=0)  # noqa: SIM115 (closed by `close`)
        self._file.truncate(end)
        if not end:
            self._write(info)

    def _read(self, path: Path, info: dict) -> int:
        """Learn what is done; returns the place where the last whole line ends."""
        end = 0
        for record, end_of_line in _read_lines(path):
            if not end:
                _check_same(path, record, info)
            else:
                self._done.add(_hash(record["file"]))
            end = end_of_line
        if not end and not _as_line(info).startswith(path.read_bytes()):
            raise InputError(f"{path}: no file of prediction records; delete it, or give another "
                             "folder with --out")
        return end

    def __contains__(self, file: str) -> bool:
        return _hash(file) in self._done

    def append(self, record: dict) -> None:
        """Add a line and hand it to the operating system: a kill loses no finished line."""
        self._done.add(_hash(record["file"]))
        self._write(record)

    def _write(self, content: dict) -> None:
        line = _as_line(content)
        try:
            if self._file.write(line) < len(line):  # the rest does not fit; a torn line is cut off
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            error.filename = self._file.name
            raise

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> "RecordFile":
        return self

    def __exit__(self, *_) -> None:
        self.close()


def shard_path(path: str | Path, shard: tuple[int, int]) -> Path:
    """The file of a shard, (its number from 1 on, their number), of the records at `path`."""
    path, (number, total) = Path(path), shard
    return path if total == 1 else path.with_name(f"{path.stem}-{number}-of-{total}{path.suffix}")


def record_files(path: str | Path) -> list[Path]:
    """The files in which records of one prediction stand: at `path`, and its shards'."""
    path = Path(path)
    shards = sorted(path.parent.glob(f"{path.stem}-*-of-*{path.suffix}"))
    return [path, *shards] if path.exists() else shards


def join_records(path: str | Path) -> None:
    """Make of a prediction's records, all shards', the one file `path`, sorted by photo.

    So the file is the same however often the prediction was interrupted and by how many it was
    done. Needs about 200 bytes of memory a photo.
    """
    parts, found, first = record_files(path), [], None
    for number, part in enumerate(parts):
        start = 0
        for content, end in _read_lines(part):
            if start:
                found.append((content["file"], number, start))
            else:
                first = first or content
                _check_same(part, content, first)
            start = end
    if parts == [Path(path)] and all(one <= other for one, other in pairwise(found)):
        return
    with written_whole(path) as temporary, ExitStack() as stack:
        files = [stack.enter_context(open(part, "rb")) for part in parts]
        joined = stack.enter_context(open(temporary, "wb"))
        joined.write(_as_line(first))
        last = None
        for photo, number, start in sorted(found):
            if photo != last:  # if it stands there twice, the first counts
                files[number].seek(start)
                joined.write(files[number].readline())
            last = photo
    for part in parts:
        if part != Path(path):
            part.unlink()


def read_records(path: str | Path, share: tuple[int, int] = (1, 1)) -> tuple[dict, Iterator[dict]]:
    """The info line of a file of records, and an iterator over its photos, failed ones included.

    If a photo stands there twice, the first counts; a torn last line does not count. `share` =
    (number from 1 on, of how many): only these photos, for writers that divide the work. Raises
    InputError for a missing or foreign file and, on the way, for a damaged line.
    """
    lines = _read_lines(Path(path))
    try:
        info, _ = next(lines, ({}, 0))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; predict first, with scripts/test.py") from None
    _check_same(Path(path), info, {"format": FORMAT}, ["format"])
    return info, islice(_first_of_each(lines), share[0] - 1, None, share[1])


def _first_of_each(lines: Iterator[tuple[dict, int]]) -> Iterator[dict]:
    done = set()
    for record, _ in lines:
        key = _hash(record["file"])
        if key not in done:
            done.add(key)
            yield record


def _read_lines(path: Path) -> Iterator[tuple[dict, int]]:
    """What each line holds, and the place in the file where it ends; a torn last line is not there.

    Raises InputError for a damaged line that others follow.
    """
    end, damaged = 0, None
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            if damaged:
                break
            end += len(line)
            content = _parse(line)
            if content is None:
                damaged = number
            else:
                yield content, end
        else:
            return
    raise InputError(f"{path}, line {damaged}: damaged; delete this line, its photo will be "
                     "predicted anew")


def _parse(line: bytes) -> dict | None:
    """What a line holds, or None if it is torn or damaged."""
    try:
        content = json.loads(line)
    except ValueError:
        return None
    whole = line.endswith(b"\n") and isinstance(content, dict)
    return content if whole and ("file" in content or "format" in content) else None


def _as_line(content: dict) -> bytes:
    """JSON in one line. File names that are no Unicode (surrogates) become \\u escapes."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return f"{text}\n".encode("utf-8", "backslashreplace")


def _check_same(path: Path, known: dict, info: dict, keys: Sequence[str] = ()) -> None:
    for key in keys or {**info, **known}:
        if known.get(key) != info.get(key):
            raise InputError(f"{path}: these predictions were made with {key} = {known.get(key)}, "
                             f"now it is {info.get(key)}; give another folder with --out, or "
                             "delete the file (--overwrite)")


def _hash(file: str) -> int:
    """8 bytes that stand for a path, the same in every run: 10^6 paths would take much more."""
    digest = hashlib.blake2b(file.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


# -------------------------------------------------------------------------- files written


def output_path(folder: str | Path, file: str, ending: str) -> Path:
    """Where the output of a photo goes: the same tree, the whole name and an ending.

    So `a.jpg` and `a.png` do not meet. Raises InputError for a path that would leave the folder,
    by `..`, from the root, or through a symbolic link.
    """
    path = Path(folder) / (file + ending)
    if not path.resolve().is_relative_to(Path(folder).resolve()):
        raise InputError(f"{file}: this path leads out of {folder}; photos must lie below the "
                         "folder that is predicted")
    return path


def in_threads(function: Callable, items: Iterable, ahead: int) -> Iterator:
    """`function` of each item, in their order, computed by threads up to `ahead` items early; 0 =
    without threads. For work that does not hold Python's lock for long: Pillow, numpy, torch.

    What a function raises comes up when it is its turn.
    """
    if not ahead:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(min(ahead, os.cpu_count() or 1)) as pool:
        waiting = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:  # also if nobody wants the rest
            for future in waiting:
                future.cancel()


def write_pictures(records: Iterable[dict], photos_root: str | Path, folder: str | Path,
                   long_side: int, draw: Callable[[dict, np.ndarray], Image.Image]) -> None:
    """Write `<folder>/<photo's path>.jpg` for each predicted photo: `draw` of its record and of its
    image, uint8 (H, W, 3), of at most `long_side` pixels.

    Failed photos get none, nor do those that have gone since. Raises InputError for a record
    whose path leads out of the folder.
    """
    def write(record: dict) -> None:
        if record["failure"] is not None:
            return
        path = output_path(folder, record["file"], ".jpg")
        scale = min(long_side, max(record["width"], record["height"]))
        try:
            image = read_photo(Path(photos_root) / record["file"], scale).image
        except InputError:  # a card taken out must not cost the other pictures
            return
        with written_whole(path) as temporary:
            draw(record, image).save(temporary, format="JPEG", quality=85)

    for _ in in_threads(write, records, AHEAD):
        pass


# ------------------------------------------------------- drawing, for overlays and sheets

INK, PAPER = (240, 240, 240), (24, 24, 24)
font_of = cache(ImageFont.load_default)  # the font that comes with Pillow, by size in pixels


def draw_overlay(image: np.ndarray, mask: np.ndarray, classes: Classes) -> Image.Image:
    """The photo, uint8 (H, W, 3), with every class but the background tinted and outlined.

    `mask`: class indices, uint8, of any size with the photo's aspect ratio. The outline lies
    just inside, in the class's colour; a thin line around it, light around dark colours and dark
    around light ones, sets it off from any background.
    """
    height, width = image.shape[:2]
    mask = resize_mask(mask, width, height)
    if not mask.any():
        return Image.fromarray(image)
    line = max(1, round(max(height, width) / 500))  # in pixels
    margin = line + 1
    places = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    part = tuple(slice(max(0, side[0] - margin), side[-1] + 1 + margin) for side in places)
    picture = image.copy()
    picture[part] = _tint(picture[part], mask[part], classes, line)
    return Image.fromarray(picture)


def _tint(image: np.ndarray, mask: np.ndarray, classes: Classes, line: int) -> np.ndarray:
    colours = palette([visible(colour) for _, colour in classes])
    dark = colours @ (0.3, 0.6, 0.1) < 110
    lines_around = np.where(dark[:, None], np.uint8(255), np.uint8(0))  # (256, 1)
    inside = mask > 0
    highest = ndimage.maximum_filter(mask, 2 * line + 1)
    lowest = ndimage.minimum_filter(mask, 2 * line + 1)
    edge = inside & (highest != lowest)
    around = ndimage.maximum_filter(mask, 2 * max(1, line // 2) + 1)
    around[inside] = 0
    image = image.copy()
    image[inside] = 0.65 * image[inside] + 0.35 * colours[mask[inside]]
    image[edge] = colours[mask[edge]]
    image[around > 0] = lines_around[around[around > 0]]
    return image


def visible(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    """A class colour that shows on a dark photo: near-black becomes magenta."""
    return (255, 0, 255) if max(colour) < 60 else tuple(colour)


def draw_legend(draw: ImageDraw.ImageDraw, left: float, top: float, width: float,
                entries: Classes, size: int) -> float:
    """Write a coloured square and a text for each entry, in as many lines as the width needs.

    All in pixels; returns where the next line begins. `draw` = None only measures.
    """
    font, gap = font_of(size), size // 2
    x, y = left, top
    for text, colour in entries:
        text_width = font.getlength(text)
        if x > left and x + size + gap + text_width > left + width:
            x, y = left, y + size + gap
        if draw is not None:
            draw.rectangle((x, y + 1, x + size - 2, y + size - 1), visible(colour), INK)
            draw.text((x + size + gap, y), text, INK, font)
        x += size + gap + text_width + 3 * gap
    return y + size + gap if entries else top


def wrap(text: str, size: int, width: float) -> list[str]:
    """The text in lines no wider than `width` pixels, broken after a space or / _ - if possible."""
    font, lines = font_of(size), [""]
    for piece in re.findall(r"[^ /_-]*[ /_-]|[^ /_-]+", text.encode("utf-8", "replace").decode()):
        if font.getlength(lines[-1] + piece.rstrip()) > width and lines[-1]:
            lines.append("")
        for character in piece:
            if font.getlength(lines[-1] + character.rstrip()) > width and lines[-1]:
                lines.append("")
            lines[-1] += character
    return lines
