"""Tables for R and pandas: a row a photo, a blob, a sequence, an independent event.

How empty, present, unknown and the two confidences are defined stands in `records.py`. An empty
cell = nothing to say. A text that a spreadsheet would run as a formula gets an apostrophe in front.
"""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from .. import written_whole
from .records import UNKNOWN, is_empty, presence, read_records, species_of

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a cell that is run begins with (OWASP)


def write_predictions_csv(records_path: str | Path, path: str | Path,
                          sequences: Iterable[str]) -> None:
    """Write predictions.csv from the records; `sequences` are the burst ids in their order.

    Columns: file, location, datetime, sequence, empty, species (of the largest blob, or unknown),
    confidence, class_confidence (that it is this species); for each class `share_<name>` (of the
    pixels) and `present_<name>`; of the largest blob its class, also where it is unknown, and its
    box in pixels of the photo; failure.
    """
    info, records = read_records(records_path)
    names = [item["name"] for item in info["classes"]]
    header = ["file", "location", "datetime", "sequence", "empty", "species", "confidence",
              "class_confidence"]
    for name in names[1:]:
        header += [f"share_{name}", f"present_{name}"]
    header += ["blob_class", "blob_x", "blob_y", "blob_width", "blob_height", "failure"]
    write_table(path, header, (_row(record, sequence, names)
                               for record, sequence in zip(records, sequences, strict=True)))


def _row(record: dict, sequence: str, names: Sequence[str]) -> list:
    facts = [record["file"], record["location"], record["datetime"], sequence]
    if record["failure"] is not None:
        return [*facts, *[None] * (4 + 2 * (len(names) - 1) + 5), record["failure"]]
    blob = record["blobs"][0] if record["blobs"] else None
    species, sure = (species_of(blob, names), blob["class_confidence"]) if blob else (None, None)
    pixels = record["pixels"] + [0] * (len(names) - len(record["pixels"]))
    scores = []
    for index, present in enumerate(presence(record, len(names))):
        if index:
            scores += [round(pixels[index] / sum(pixels), 6), present]
    sides = (record["width"], record["height"]) * 2
    box = ([round(share * side) for share, side in zip(blob["box"], sides, strict=True)]
           if blob else [None] * 4)
    return [*facts, is_empty(record), species, record["confidence"], sure, *scores,
            names[blob["class"]] if blob else None, *box, None]


def write_detections_csv(records_path: str | Path, path: str | Path,
                         sequences: Iterable[str]) -> None:
    """Write detections.csv: one row a blob, those of a photo by size.

    Columns: file, location, datetime, sequence, species (or unknown), class (the best guess where
    it is unknown); x, y, width, height of its box and the centroid in pixels of the photo, from the
    upper left; area (share of the photo), confidence, class_confidence, touches_edge.
    """
    info, records = read_records(records_path)
    names = [item["name"] for item in info["classes"]]

    def rows() -> Iterator[list]:
        for record, sequence in zip(records, sequences, strict=True):
            for blob in record["blobs"]:
                sides = (record["width"], record["height"]) * 3
                place = [round(share * side, 1) for share, side in zip(
                    blob["box"] + blob["centroid"], sides, strict=True)]
                yield [record["file"], record["location"], record["datetime"], sequence,
                       species_of(blob, names), names[blob["class"]], *place, blob["area"],
                       blob["confidence"], blob["class_confidence"], blob["touches_edge"]]

    write_table(path, ["file", "location", "datetime", "sequence", "species", "class", "x", "y",
                       "width", "height", "centroid_x", "centroid_y", "area", "confidence",
                       "class_confidence", "touches_edge"], rows())


def write_sequences_csv(records_path: str | Path, path: str | Path,
                        sequences: Iterable[str]) -> None:
    """Write sequences.csv: one row a burst; a photo without a datetime is a burst of its own.

    Columns: sequence (else the photo's file), location, start, end, photos, failures, empty (all
    that could be predicted are; no cell if none could), confidence (the highest); for each class,
    and for unknown, `photos_<name>` (in which there is one) and `most_<name>` (the largest number
    of its blobs in one photo: at least so many animals).
    """
    info, records = read_records(records_path)
    names = [item["name"] for item in info["classes"]]
    columns = list(dict.fromkeys([*names[1:], UNKNOWN]))  # somebody may have a class of that name
    bursts: dict[tuple[str, str], dict] = {}
    for record, sequence in zip(records, sequences, strict=True):
        time = record["datetime"]
        burst = bursts.setdefault((record["location"], sequence or record["file"]), {
            "start": time, "end": time, "photos": 0, "failures": 0, "confidence": 0.0,
            "present": Counter(), "most": Counter()})
        burst["start"], burst["end"] = min(burst["start"], time), max(burst["end"], time)
        burst["photos"] += 1
        if record["failure"] is not None:
            burst["failures"] += 1
            continue
        burst["confidence"] = max(burst["confidence"], record["confidence"])
        blobs = Counter(species_of(blob, names) for blob in record["blobs"])
        burst["present"].update(blobs.keys())
        burst["most"] |= blobs  # of each species the larger number

    def rows() -> Iterator[list]:
        for (location, sequence), burst in bursts.items():
            known = burst["photos"] > burst["failures"]
            counts = [burst[key][name] if known else None
                      for name in columns for key in ("present", "most")]
            yield [sequence, location, burst["start"], burst["end"], burst["photos"],
                   burst["failures"], not burst["present"] if known else None,
                   burst["confidence"] if known else None, *counts]

    header = ["sequence", "location", "start", "end", "photos", "failures", "empty", "confidence"]
    write_table(path, header + [f"{what}_{name}" for name in columns
                                for what in ("photos", "most")], rows())


def write_events_csv(records_path: str | Path, path: str | Path, minutes: float) -> None:
    """Write events.csv: one row an independent event, as occupancy and activity analyses take it.

    Photos of one species at one location belong to one event if each follows the one before
    within `minutes`. Columns: location, species (or unknown), start, end, photos, most (the largest
    number of its blobs in one photo), confidence and class_confidence (the highest of its blobs).
    The photos of a species at a location that have no datetime make one event without start: nobody
    knows of how many.
    """
    info, records = read_records(records_path)
    names = [item["name"] for item in info["classes"]]
    found: dict[tuple[str, str], list[_Sighting]] = {}
    for record in records:
        of_species: dict[str, list[dict]] = {}
        for blob in record["blobs"]:
            of_species.setdefault(species_of(blob, names), []).append(blob)
        for species, blobs in of_species.items():
            found.setdefault((record["location"], species), []).append(_Sighting(
                record["datetime"], len(blobs), max(blob["confidence"] for blob in blobs),
                max(blob["class_confidence"] for blob in blobs)))
    gap = timedelta(minutes=minutes)

    def rows() -> Iterator[list]:
        for (location, species), sightings in sorted(found.items()):
            event: list[_Sighting] = []
            for sighting in sorted(sightings):
                if event and _apart(event[-1].time, sighting.time, gap):
                    yield _event_row(location, species, event)
                    event = []
                event.append(sighting)
            yield _event_row(location, species, event)

    write_table(path, ["location", "species", "start", "end", "photos", "most", "confidence",
                       "class_confidence"], rows())


class _Sighting(NamedTuple):
    """A species in a photo."""

    time: str
    number: int  # of its blobs
    confidence: float  # the highest of them
    class_confidence: float


def _apart(earlier: str, later: str, gap: timedelta) -> bool:
    if not earlier or not later:
        return earlier != later
    return datetime.fromisoformat(later) - datetime.fromisoformat(earlier) > gap


def _event_row(location: str, name: str, event: Sequence[_Sighting]) -> list:
    return [location, name, event[0].time, event[-1].time, len(event),
            *(max(values) for values in list(zip(*event, strict=True))[1:])]


def write_table(path: str | Path, header: Sequence[str], rows: Iterable[Sequence]) -> None:
    """Write a CSV whole or not at all: UTF-8, TRUE and FALSE, None as an empty cell.

    A text that begins with one of = + - @, a tab or a carriage return, which spreadsheets would
    run as a formula, gets an apostrophe in front.
    """
    # "backslashreplace": file names that are no Unicode must not stop a table of a million rows.
    with written_whole(path) as temporary, open(temporary, "w", newline="", encoding="utf-8",
                                                errors="backslashreplace") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(map(_cell, header))
        for row in rows:
            writer.writerow(map(_cell, row))


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, str) and value.startswith(FORMULA):
        try:
            float(value)  # -33.1 is no formula
        except ValueError:
            return "'" + value
    return value
