"""predictions.csv: one row a photo, for R and pandas; and how any table is written."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from . import is_empty, presence, read_records, written_whole


def write_predictions_csv(records_path: str | Path, path: str | Path,
                          sequences: Iterable[str]) -> None:
    """Write predictions.csv from the records; `sequences` are the burst ids in their order.

    Columns: file, location, datetime, sequence, empty, species (class of the largest blob),
    confidence; for each class `share_<name>` (of the pixels) and `present_<name>`; of the largest
    blob its class and its box in pixels of the photo; failure. Empty cell = nothing to say. How
    empty, present and confidence are defined stands in `outputs/__init__.py`.
    """
    info, records = read_records(records_path)
    names = [item["name"] for item in info["classes"]]
    header = ["file", "location", "datetime", "sequence", "empty", "species", "confidence"]
    for name in names[1:]:
        header += [f"share_{name}", f"present_{name}"]
    header += ["blob_class", "blob_x", "blob_y", "blob_width", "blob_height", "failure"]
    write_table(path, header, (_row(record, sequence, names)
                               for record, sequence in zip(records, sequences, strict=True)))


def _row(record: dict, sequence: str, names: Sequence[str]) -> list:
    facts = [record["file"], record["location"], record["datetime"], sequence]
    if record["failure"] is not None:
        return [*facts, *[None] * (3 + 2 * (len(names) - 1) + 5), record["failure"]]
    blob = record["blobs"][0] if record["blobs"] else None
    species = names[blob["class"]] if blob else None
    pixels = record["pixels"] + [0] * (len(names) - len(record["pixels"]))
    scores = []
    for index, present in enumerate(presence(record, len(names))):
        if index:
            scores += [round(pixels[index] / sum(pixels), 6), present]
    sides = (record["width"], record["height"]) * 2
    box = ([round(share * side) for share, side in zip(blob["box"], sides, strict=True)]
           if blob else [None] * 4)
    return [*facts, is_empty(record), species, record["confidence"], *scores, species, *box, None]


def write_table(path: str | Path, header: Sequence[str], rows: Iterable[Sequence]) -> None:
    """Write a CSV whole or not at all: UTF-8, TRUE and FALSE, None as an empty cell."""
    # "backslashreplace": file names that are no Unicode must not stop a table of a million rows.
    with written_whole(path) as temporary, open(temporary, "w", newline="", encoding="utf-8",
                                                errors="backslashreplace") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for row in rows:
            writer.writerow([str(cell).upper() if isinstance(cell, bool) else cell
                             for cell in row])
