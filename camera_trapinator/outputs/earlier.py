"""What an earlier prediction left in a folder: what still holds is kept, the rest is removed.

A record holds while its photo is the file that was predicted, with the info strips of today (see
`PredictionDataset.made_of`). Whether the model and the knobs are the same is asked before, for a
refusal is to cost nothing.
"""

import shutil
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

from .. import InputError
from ..data.lock import only_one
from ..data.strips import strips_for, write_strips
from ..dataset import PredictionDataset
from .drawing import output_path
from .masks import CLASSES
from .records import (
    check_made_with,
    drop_records,
    hash_of,
    record_files,
    records_in,
    shard_path,
)
from .repeats import check_repeats, kept_path

# Folders with a file for each photo, and how it ends; and files that tell of all photos.
PICTURES = (("masks", ".png"), ("maps", ".png"), ("maps", ".tif"), ("overlays", ".jpg"),
            ("xmp", ".xmp"))
TABLES = ("predictions.csv", "detections.csv", "sequences.csv", "events.csv", "failures.csv",
          "effort.csv", "relative_abundance.csv", "masks.zip", "megadetector.json", "coco.json",
          "coco_results.json", "camtrapr", "camtrap_dp", "wildlife_insights", "upright",
          "report.html")


def begin_folder(dataset: PredictionDataset, records_path: Path, info: dict, strips: str,
                 repeats: str, *, overwrite: bool = False, shard: tuple[int, int] | None = None,
                 leads: bool = True) -> None:
    """Before the photos of a folder are predicted: look for the info strips, as the knob `strips`
    wants it; and forget of an earlier prediction what does not hold, or all of it (`overwrite`).
    Who does not lead forgets nothing. Raises InputError if the earlier one was made with another
    `info` (see `RecordFile`), or is of other photos, or if nobody has looked at the `repeats` that
    shall be dropped."""
    if not shard:
        check_repeats(records_path, repeats)
    if not overwrite:
        check_made_with(records_path, info)
    strips_csv, folder = records_path.with_name("strips.csv"), dataset.data_root
    same = same_photos(records_path, dataset)  # else these strips are of other cameras
    dataset.strips = strips_for(strips, dataset.manifest, folder, strips_csv if same else None)
    if not leads:
        return
    if overwrite:
        forget_all(records_path)
    else:
        forget_changed(records_path, dataset, shard)
    write_strips(strips_csv, dataset.strips)


def same_photos(records_path: Path, dataset: PredictionDataset) -> bool:
    """Whether any photo of the dataset is one that was predicted, or there are no records."""
    parts = record_files(records_path)
    there = {hash_of(image) for image in dataset.manifest.column("image")} if parts else set()
    records = chain.from_iterable(map(records_in, parts))
    return not parts or any(
        hash_of(record["file"]) in there and record.get("made_of", [])[:2]
        == dataset.made_of(record["file"], record["location"])[:2] for record in records)


def forget_all(records_path: Path) -> None:
    """Delete the records of an earlier prediction, and what was made of each of its photos."""
    for part in record_files(records_path):
        remove_pictures(part.parent, {record["file"] for record in records_in(part)})
        (part.parent / "masks" / CLASSES).unlink(missing_ok=True)
        part.unlink()
    kept_path(records_path).unlink(missing_ok=True)


def forget_changed(records_path: Path, dataset: PredictionDataset,
                   shard: tuple[int, int] | None = None) -> None:
    """Delete the records of photos that have changed, or gone, since they were predicted, or whose
    info strips are others now; and what was made of these photos. Of a shard only its own.

    Raises InputError where no photo is the one that was predicted: the records are those of another
    memory card, say, and are not to be lost.
    """
    parts = [shard_path(records_path, shard)] if shard else record_files(records_path)
    parts = [part for part in parts if part.exists() and part.stat().st_size]
    there = {hash_of(image) for image in dataset.manifest.column("image")} if parts else set()
    same, gone, changed = 0, {}, {}  # files, by the part in which they stand
    for part in parts:
        for record in records_in(part):
            file = record["file"]
            made_of = dataset.made_of(file, record["location"], record["width"], record["height"])
            if hash_of(file) not in there:
                gone.setdefault(part, set()).add(file)
                continue
            same += record["made_of"][:2] == made_of[:2]
            if record["made_of"] != made_of:
                changed.setdefault(part, set()).add(file)
    told = "; ".join(
        f"{sum(map(len, files.values()))} photos {what} since they were predicted, such as "
        f"{min(min(some) for some in files.values())}"
        for what, files in (("have gone", gone), ("(or their strips) have changed", changed))
        if files)
    if told and not same:
        raise InputError(f"{records_path}: the predictions there are of other photos than "
                         f"{dataset.data_root} has now: {told}. Give another folder with --out, or "
                         "predict anew with --overwrite")
    for part in {**gone, **changed}:
        files = gone.get(part, set()) | changed.get(part, set())
        with only_one(part):
            drop_records(part, files)
        remove_pictures(part.parent, files)
    if told:
        print(f"note        {told}: what was made of them is removed")


def remove_pictures(out: Path, files: Iterable[str]) -> None:
    """Remove what was made of each of these photos."""
    kinds = [(out / folder, ending) for folder, ending in PICTURES if (out / folder).is_dir()]
    for file in files if kinds else ():
        for folder, ending in kinds:
            output_path(folder, file, ending).unlink(missing_ok=True)


def remove_outdated(records_path: Path) -> None:
    """Remove the tables that were made before the last photo was predicted: they are not to stand
    beside those of today. Call it when these are written."""
    last = records_path.stat().st_mtime_ns
    for path in (records_path.parent / name for name in TABLES):
        if path.exists() and path.stat().st_mtime_ns < last:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            print(f"note        {path.name} was made of earlier predictions and is removed; "
                  "`outputs` tells what is made")
