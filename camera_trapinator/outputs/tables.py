"""predictions.csv: one row a photo, for R and pandas; and how any table is written."""

import csv
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from . import is_empty, presence, read_records


def write_predictions_csv(records_path: str | Path, path: str | Path,
                          sequences: Iterable[str]) -> None:
    """Write predictions.csv from the records; `sequences` are the burst ids in their order.

    Columns: file, location, datetime, sequence, empty, species (class of the largest blob),
    confidence, for each class its share of the pixels and whether it is present, the largest
    blob's box in pixels of the photo, failure. Empty cell = not known. How empty, presence and
    confidence are defined stands in `outputs/__init__.py`.
    """
    info, records = read_records(records_path)
    names = [item["name"] for item in info["classes"]]
    header = ["file", "location", "datetime", "sequence", "empty", "species", "confidence"]
    for name in names[1:]:
        header += [f"share_{name}", f"present_{name}"]
    header += ["blob_x", "blob_y", "blob_width", "blob_height", "failure"]
    write_table(path, header, (_row(record, sequence, names)
                               for record, sequence in zip(records, sequences, strict=True)))


def _row(record: dict, sequence: str, names: Sequence[str]) -> list:
    facts = [record["file"], record["location"], record["datetime"], sequence]
    if record["failure"] is not None:
        return [*facts, *[None] * (3 + 2 * (len(names) - 1) + 4), record["failure"]]
    largest = record["blobs"][0] if record["blobs"] else None
    row = [*facts, is_empty(record), names[largest["class"]] if largest else None,
           record["confidence"]]
    total = sum(record["pixels"])
    for index, present in enumerate(presence(record, len(names))):
        if index:
            row += [round(record["pixels"][index] / total, 6), present]
    sides = (record["width"], record["height"]) * 2
    box = ([round(share * side) for share, side in zip(largest["box"], sides, strict=True)]
           if largest else [None] * 4)
    return [*row, *box, None]


def write_table(path: str | Path, header: Sequence[str], rows: Iterable[Sequence]) -> None:
    """Write a CSV whole or not at all: UTF-8, TRUE and FALSE, None as an empty cell."""
    temporary = Path(f"{path}.tmp")
    temporary.parent.mkdir(parents=True, exist_ok=True)
    with open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for row in rows:
            writer.writerow([str(cell).upper() if isinstance(cell, bool) else cell
                             for cell in row])
    os.replace(temporary, path)
