"""Prediction records: one append-only JSON-lines file between prediction and every output.

The first line holds facts about the model, every further line one photo. Writers (one file per
format beside this one) read the records and nothing else; whoever draws also opens the photos.

A record has the keys

    file        path below the folder of photos, forward slashes
    location, datetime, infrared
    width, height   of the upright photo, in pixels
    failure     None, or why the photo could not be predicted; then all below is empty
    confidence  how sure the model is that there is anything in the photo, 0..1: the largest
                foreground probability after smoothing with a 5 x 5 mean at network size
    pixels      number of pixels of each class in the predicted mask
    rle         the predicted mask: {"size": [height, width], "counts": {class: COCO counts}}
    blobs       connected parts of the foreground, the largest first, each with its `class` (the
                most frequent one in it), `box` [x, y, width, height] and `centroid` [x, y] as
                shares of the photo's width and height from the upper left, `area` as a share of
                the photo, `confidence` (mean foreground probability in it) and `touches_edge`

and, from an evaluation, `truth` (the mask column of the manifest), `split`, `seen` (whether its
location was trained on) and `confusion` (pixels by true and predicted class).

Blobs smaller than the knob `smallest_blob` do not count. A species is present in a photo if a blob
is of it; a photo without any blob is empty.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy import ndimage

from .. import InputError
from ..photos import decode_rle, encode_rle, resize_mask

FORMAT = "camera_trapinator predictions 1"


def photo_record(file: str, mask: np.ndarray, foreground: np.ndarray, *, location: str,
                 datetime: str, infrared: bool, width: int, height: int, num_classes: int,
                 smallest_blob: float) -> dict:
    """The record of a predicted photo.

    `mask`: uint8 (H, W) predicted classes; `foreground`: float32 (h, w) probability at network
    size that a pixel is no background; `smallest_blob`: share of the photo.
    """
    smooth = ndimage.uniform_filter(foreground.astype(np.float32), 5, mode="nearest")
    pixels = np.bincount(mask.ravel(), minlength=num_classes).tolist()
    return {
        "file": file, "location": location, "datetime": datetime, "infrared": infrared,
        "width": width, "height": height, "failure": None,
        "confidence": _rounded(float(smooth.max())),
        "pixels": pixels,
        "rle": {"size": list(mask.shape),
                "counts": {str(index): encode_rle(mask == index)["counts"]
                           for index, count in enumerate(pixels) if index and count}},
        "blobs": find_blobs(mask, foreground, smallest_blob),
    }


def failure_record(file: str, failure: str, *, location: str, datetime: str) -> dict:
    """The record of a photo that could not be predicted, and why."""
    return {"file": file, "location": location, "datetime": datetime, "infrared": None,
            "width": None, "height": None, "failure": failure, "confidence": None, "pixels": [],
            "rle": None, "blobs": []}


def find_blobs(mask: np.ndarray, foreground: np.ndarray, smallest_blob: float) -> list[dict]:
    """The connected parts (8 neighbours) of `mask` != 0, as a record holds them."""
    height, width = mask.shape
    labels, found = ndimage.label(mask != 0, structure=np.ones((3, 3)))
    blobs = []
    for number, window in enumerate(ndimage.find_objects(labels, found), start=1):
        inside = labels[window] == number  # the blob in its box
        area = int(inside.sum())
        if area < smallest_blob * mask.size:
            continue
        top, left = window[0].start, window[1].start
        rows, columns = np.nonzero(inside)
        box_height, box_width = inside.shape
        probability = resize_mask(foreground, width, height)[window][inside]
        blobs.append({
            "class": int(np.bincount(mask[window][inside]).argmax()),
            "box": [_rounded(left / width), _rounded(top / height), _rounded(box_width / width),
                    _rounded(box_height / height)],
            "area": _rounded(area / mask.size),
            "confidence": _rounded(float(probability.mean())),
            "centroid": [_rounded((left + columns.mean() + 0.5) / width),
                         _rounded((top + rows.mean() + 0.5) / height)],
            "touches_edge": bool(top == 0 or left == 0 or top + box_height == height
                                 or left + box_width == width),
        })
    return sorted(blobs, key=lambda blob: -blob["area"])


def presence(record: dict, num_classes: int) -> list[bool]:
    """Whether each class is present in a photo by its prediction (the background always is)."""
    species = {blob["class"] for blob in record["blobs"]}
    return [index == 0 or index in species for index in range(num_classes)]


def is_empty(record: dict) -> bool:
    """Whether nothing was found in a photo."""
    return not record["blobs"]


def mask_of(record: dict) -> np.ndarray:
    """The predicted mask of a record: uint8 (H, W)."""
    mask = np.zeros(record["rle"]["size"], np.uint8)
    for index, counts in record["rle"]["counts"].items():
        mask[decode_rle({"size": mask.shape, "counts": counts})] = int(index)
    return mask


# ------------------------------------------------------------------------------ the file


class RecordFile:
    """The file of records, open for more.

    A torn last line, left by a kill, is cut off; photos that are done are known by `file in`.
    Raises InputError if the file was written with another `info` (another model, say).
    """

    def __init__(self, path: str | Path, info: dict):
        self.path, self._done = Path(path), set()
        info = {"format": FORMAT, **info}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            _cut_torn_line(self.path)
        if self.path.exists() and self.path.stat().st_size:
            known, records = read_records(self.path)
            _check_same(self.path, known, info)
            self._done = {_short_hash(record["file"]) for record in records}
            self._file = open(self.path, "a", encoding="utf-8", newline="\n")  # noqa: SIM115
        else:
            self._file = open(self.path, "w", encoding="utf-8", newline="\n")  # noqa: SIM115
            self.append(info)

    def __contains__(self, file: str) -> bool:
        return _short_hash(file) in self._done

    def append(self, record: dict) -> None:
        """Add a line; what is flushed survives a kill."""
        self._file.write(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n")
        self._file.flush()

    def __enter__(self) -> "RecordFile":
        return self

    def __exit__(self, *_) -> None:
        self._file.close()


def read_records(path: str | Path) -> tuple[dict, Iterator[dict]]:
    """The info line of a file of records, and an iterator over its photos."""
    lines = _read_lines(Path(path))
    info = next(lines, None)
    if not isinstance(info, dict) or info.get("format") != FORMAT:
        raise InputError(f"{path}: no file of prediction records of this version; delete it, or "
                         "give another folder with --out")
    return info, lines


def _read_lines(path: Path) -> Iterator[dict]:
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield json.loads(line)
            except ValueError:
                raise InputError(f"{path}, line {number}: damaged; predict anew with "
                                 "--overwrite") from None


def _cut_torn_line(path: Path) -> None:
    """Cut what follows the last line break."""
    with open(path, "rb+") as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - 65536)
            file.seek(start)
            place = file.read(end - start).rfind(b"\n")
            if place >= 0:
                file.truncate(start + place + 1)
                return
            end = start
        file.truncate(0)


def _check_same(path: Path, known: dict, info: dict) -> None:
    for key in info.keys() | known.keys():
        if known.get(key) != info.get(key):
            raise InputError(f"{path}: these predictions were made with {key} {known.get(key)}, "
                             f"now it is {info.get(key)}; give another folder with --out, or "
                             "--overwrite them")


def _short_hash(file: str) -> int:
    """8 bytes for a path: 10^7 paths themselves would take gigabytes."""
    return int.from_bytes(hashlib.blake2b(file.encode(), digest_size=8).digest(), "little")


def _rounded(value: float) -> float:
    return round(float(value), 5)


# --------------------------------------------------------------------------- where files go


def output_path(folder: Path, file: str, ending: str) -> Path:
    """Where the output of a photo goes: the same tree, the whole name and an ending.

    So `a.jpg` and `a.png` do not meet. Raises InputError for a path that would leave the folder.
    """
    path = folder / (file + ending)
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{file}: this path leads out of {folder}")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
