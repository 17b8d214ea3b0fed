"""Prediction records: one append-only JSON-lines file between prediction and every output.

The first line holds facts about the model, every further line one photo. Writers (one file per
format beside this one) read the records and nothing else; whoever draws also opens the photos.
Where several processes or machines predict, each appends to a file of its own, its shard, until
`join_records` makes one of them.

A record has the keys

    file        path below the folder of photos, forward slashes
    location, datetime
    made_of     what it holds for, see `PredictionDataset.made_of`
    width, height   of the upright photo, in pixels
    infrared    whether it is a night picture
    confidence  how sure the model is that something is there, 0..1: the largest foreground
                probability after smoothing with a 5 x 5 mean at network size; that of its surest
                blob or faint part
    pixels      number of pixels of each class in the predicted mask
    rle         the predicted mask: {"size": [height, width], "counts": {class: COCO counts}},
                without the background: the blobs, and nothing else
    blobs       the animals: connected parts (8 neighbours) of the predicted foreground, those of
                one species that lie together as one, see `parts.py`; the largest first, each
                with its `class` (the most frequent one in it), `unknown` (whether it is too unsure
                that it is this one), `box` [x, y, width, height] and `centroid` [x, y] as shares of
                the photo's width and height from the upper left, `area` as a share of the photo,
                `touches_edge`, `confidence` and `class_confidence`
    faint       parts that do not count as an animal, but whose smoothed foreground probability
                reaches the knob `faint`: the ten surest, the surest first, with the same keys;
                somebody may want to look
    failure     None, or why the photo could not be predicted; then all above from `width` on is
                None or empty

and, from an evaluation, `truth` (the mask column of the manifest), `split`, `seen` (whether its
location was trained on), `confusion` (pixels by true and predicted class) and `blob_truths` (of
each blob the most frequent true class, None where nothing is labelled).

What the words mean, here and in every output: *confidence* is how sure the model is that something
is there, at its surest place (0..1, see above), whatever it is. *class_confidence* is how sure it
is that this is of the species that stands beside, if it is any: the mean over the blob, weighted by
the foreground, calibrated on the validation photos (`metrics.Calibration`), so that of what it is
80 % sure of 80 % are right. Where that is less than the knob `unknown_below`, the blob is
*unknown*: something is there, and nobody knows what; its `class` is the best guess. Formats that
have but one number for a named species get the *certainty*, the product of both.

What is smaller than the knob `smallest_blob` or less sure than `min_confidence` is no blob, and
does not stand in the mask. A species is *present* in a photo if at least one blob that is not
unknown is of it. A photo is *empty* if it has no blob. Faint parts decide neither. A photo that
could not be predicted is neither empty nor not. What the photos of a burst tell together stands in
`bursts.py`.
"""

import errno
import hashlib
import json
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import lru_cache, partial
from itertools import islice, pairwise
from pathlib import Path

import numpy as np

from .. import InputError, written_whole
from ..data.progress import progress
from ..data.rle import NO_RUNS, Runs, decode_runs, filled

UNKNOWN = "unknown"  # the name of what is there for sure, but of which species is not
FORMAT = "camera_trapinator predictions 5"
Classes = Sequence[tuple[str, tuple[int, int, int]]]  # name and colour (RGB) of each class


# ------------------------------------------------------------------------------ what a record says


def presence(record: dict, num_classes: int) -> list[bool]:
    """Whether each class is present in a photo by its prediction (the background always is)."""
    species = {blob["class"] for blob in record["blobs"] if not blob["unknown"]}
    return [index == 0 or index in species for index in range(num_classes)]


def species_of(blob: dict, names: Sequence[str]) -> str:
    """What a blob, or a faint part, is called; `names`: of all classes."""
    return UNKNOWN if blob["unknown"] else names[blob["class"]]


def certainty(blob: dict) -> float:
    """How sure it is that a blob is there and of its class, in one number."""
    return round(blob["confidence"] * blob["class_confidence"], 5)


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


# ---------------------------------------------------------------------------------------- the file


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
        info = _first_line(info)
        self._done, end = set(), 0
        own = shard_path(path, shard)
        own.parent.mkdir(parents=True, exist_ok=True)
        for part in record_files(path):
            end_of_part = self._read(part, info)
            if part == own:
                end = end_of_part
        path = own
        self._file = open(path, "ab", buffering=0)  # noqa: SIM115 (closed by `close`)
        if own.stat().st_size > end:  # else its time of change would say that it has changed
            self._file.truncate(end)
        if not end:
            self._write(info)

    def _read(self, path: Path, info: dict) -> int:
        """Learn what is done; returns the place where the last whole line ends."""
        end = 0
        for record, end_of_line in progress(_read_lines(path), "reading", _count_lines(path)):
            if not end:
                _check_same(path, record, info)
            else:
                self._done.add(hash_of(record["file"]))
            end = end_of_line
        if not end and not _as_line(info).startswith(path.read_bytes()):
            raise InputError(f"{path}: no file of prediction records; delete it, or give another "
                             "folder with --out")
        return end

    def __contains__(self, file: str) -> bool:
        return hash_of(file) in self._done

    def append(self, record: dict) -> None:
        """Add a line and hand it to the operating system: a kill loses no finished line."""
        self._done.add(hash_of(record["file"]))
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


def check_made_with(path: str | Path, info: dict) -> None:
    """Raises InputError, with what differs, if records of this prediction were made with another
    `info`, see `RecordFile`."""
    for part in record_files(path):
        for known, _ in _read_lines(part):
            _check_same(part, known, _first_line(info))
            break


def _first_line(info: dict) -> dict:
    return {"format": FORMAT, **json.loads(_as_line(info))}  # lists for tuples, as in the file


def records_in(part: Path) -> Iterator[dict]:
    """The records of one file, as far as they can be read: it may be damaged, or foreign."""
    with open(part, "rb") as file:
        for record in progress(map(_parse, file), "reading", _count_lines(part)):
            if record and "file" in record:
                yield record


def drop_records(part: Path, files: Collection[str]) -> None:
    """Delete the records of these photos from one file."""
    with written_whole(part) as temporary, open(temporary, "wb") as file:
        for record, _ in progress(_read_lines(part), "forgetting", _count_lines(part)):
            if record.get("file") not in files:
                file.write(_as_line(record))


def write_records(path: str | Path, info: dict, records: Iterable[dict]) -> None:
    """Write a whole file of records: its first line `info`, and the photos."""
    with written_whole(path) as temporary, open(temporary, "wb") as file:
        file.write(_as_line(info))
        for record in records:
            file.write(_as_line(record))


def join_records(path: str | Path) -> None:
    """Make of a prediction's records, all shards', the one file `path`, sorted by photo.

    So the file is the same however often the prediction was interrupted and by how many it was
    done. Needs about 200 bytes of memory a photo.
    """
    parts, found, first = record_files(path), [], None
    for number, part in enumerate(parts):
        start = 0
        for content, end in progress(_read_lines(part), "joining", _count_lines(part)):
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
        for photo, number, start in progress(sorted(found), "joining"):
            if photo != last:  # if it stands there twice, the first counts
                files[number].seek(start)
                joined.write(files[number].readline())
            last = photo
    for part in parts:
        if part != Path(path):
            part.unlink()


def read_records(path: str | Path, share: tuple[int, int] = (1, 1)) -> tuple[dict, Iterator[dict]]:
    """The info line of a file of records, and an iterator over its photos, failed ones included,
    which shows how far it is, see `progress`.

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
    return info, _of_share(_first_of_each(lines), Path(path), share)


def _of_share(records: Iterator[dict], path: Path, share: tuple[int, int]) -> Iterator[dict]:
    number, of_how_many = share  # the first line is no record
    total = len(range(number, _count_lines(path), of_how_many))
    yield from progress(islice(records, number - 1, None, of_how_many), "reading", total)


def _count_lines(path: Path) -> int:
    status = path.stat()
    return _count_lines_of(path, status.st_size, status.st_mtime_ns)


@lru_cache
def _count_lines_of(path: Path, *_) -> int:
    with open(path, "rb") as file:
        return sum(block.count(b"\n") for block in iter(partial(file.read, 2**20), b""))


def _first_of_each(lines: Iterator[tuple[dict, int]]) -> Iterator[dict]:
    done = set()
    for record, _ in lines:
        key = hash_of(record["file"])
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


def hash_of(file: str) -> int:
    """8 bytes that stand for a path, the same in every run: 10^6 paths would take much more."""
    digest = hashlib.blake2b(file.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")
