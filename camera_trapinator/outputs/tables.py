"""Tables for R, pandas and spreadsheets: a row a photo, an animal, a burst, an independent event.

How empty, present, unknown and the two confidences are defined stands in `records.py`, what the
photos of a burst tell together in `bursts.py`. Photos that could not be read stand in failures.csv
alone, so that what is TRUE or FALSE of the others is never missing. An empty cell = nothing to say.
Where people tell of time zones and scientific names, see `facts.py`, these have columns too.
The tables begin with a mark that tells Excel that they are UTF-8; readr, pandas and polars know it,
R's own `read.csv` with fileEncoding = "UTF-8-BOM". A text that a spreadsheet would run as a formula
gets an apostrophe in front.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from .. import written_whole
from ..data.progress import named
from .bursts import Burst, Event, events_of
from .facts import scientific_name, timezone_of
from .project import Project
from .records import UNKNOWN, is_empty, presence, read_records, species_of

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a cell that is run begins with (OWASP)


class Known:
    """The columns of what people tell, of a table in which each row has a place and time, or a
    species; without a `project` there are none."""

    def __init__(self, project: Project | None):
        self.project = project
        self.zone = ["timezone"] if project and project.deployments else []
        self.name = ["scientific_name"] if project and project.species else []

    def zone_at(self, location: str, moment: str) -> list[str | None]:
        return [timezone_of(location, moment, self.project)] if self.zone else []

    def name_of(self, species: str | None) -> list[str | None]:
        return [scientific_name(species, self.project)] if self.name else []


@named("csv")
def write_predictions_csv(records_path: str | Path, path: str | Path, sequences: Sequence[str],
                          bursts: Iterable[Burst], project: Project | None = None) -> None:
    """Write predictions.csv from the records, a row a photo that could be read; `sequences` are the
    burst ids in their order, `bursts` what they tell, `project` what people do.

    Columns: file, location, datetime (timezone), sequence, empty, species (of the largest blob, or
    unknown; scientific_name), confidence, class_confidence (that it is this species),
    sequence_species (all that its burst shows); for each class `share_<name>` (of the pixels) and
    `present_<name>`; of the largest blob its class, also where it is unknown, and its box in pixels
    of the photo.
    """
    info, records = read_records(records_path)
    names = [item["name"] for item in info["classes"]]
    known = Known(project)
    header = ["file", "location", "datetime", *known.zone, "sequence", "empty", "species",
              *known.name, "confidence", "class_confidence", "sequence_species"]
    for name in names[1:]:
        header += [f"share_{name}", f"present_{name}"]
    header += ["blob_class", "blob_x", "blob_y", "blob_width", "blob_height"]
    fused = {(burst.location, burst.sequence): ", ".join(burst.species) for burst in bursts}
    write_table(path, header, (
        _row(record, sequence, names, fused[record["location"], sequence or record["file"]], known)
        for record, sequence in zip(records, sequences, strict=True)
        if record["failure"] is None))


def _row(record: dict, sequence: str, names: Sequence[str], fused: str, known: Known) -> list:
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
    place = record["location"], record["datetime"]
    return [record["file"], *place, *known.zone_at(*place), sequence, is_empty(record), species,
            *known.name_of(species), record["confidence"], sure, fused, *scores,
            names[blob["class"]] if blob else None, *box]


@named("csv")
def write_failures_csv(records_path: str | Path, path: str | Path,
                       sequences: Sequence[str]) -> None:
    """Write failures.csv: the photos that could not be read, and why; perhaps none."""
    _, records = read_records(records_path)
    write_table(path, ["file", "location", "datetime", "sequence", "failure"], (
        [record["file"], record["location"], record["datetime"], sequence, record["failure"]]
        for record, sequence in zip(records, sequences, strict=True)
        if record["failure"] is not None))


@named("csv")
def write_detections_csv(records_path: str | Path, path: str | Path, sequences: Iterable[str],
                         project: Project | None = None) -> None:
    """Write detections.csv: one row a blob, those of a photo by size.

    Columns: file, location, datetime (timezone), sequence, species (or unknown; scientific_name),
    class (the best guess where it is unknown); x, y, width, height of its box and the centroid in
    pixels of the photo, from the upper left; area (share of the photo), confidence,
    class_confidence, touches_edge.
    """
    info, records = read_records(records_path)
    names, known = [item["name"] for item in info["classes"]], Known(project)

    def rows() -> Iterator[list]:
        for record, sequence in zip(records, sequences, strict=True):
            taken = record["location"], record["datetime"]
            for blob in record["blobs"]:
                sides = (record["width"], record["height"]) * 3
                place = [round(share * side, 1) for share, side in zip(
                    blob["box"] + blob["centroid"], sides, strict=True)]
                species = species_of(blob, names)
                yield [record["file"], *taken, *known.zone_at(*taken), sequence, species,
                       *known.name_of(species), names[blob["class"]], *place, blob["area"],
                       blob["confidence"], blob["class_confidence"], blob["touches_edge"]]

    write_table(path, ["file", "location", "datetime", *known.zone, "sequence", "species",
                       *known.name, "class", "x", "y", "width", "height", "centroid_x",
                       "centroid_y", "area", "confidence", "class_confidence", "touches_edge"],
                rows())


def write_sequences_csv(records_path: str | Path, path: str | Path, bursts: Iterable[Burst],
                        project: Project | None = None) -> None:
    """Write sequences.csv: one row a burst of which a photo could be read; a photo without a
    datetime is a burst of its own.

    Columns: sequence (else the photo's file), location, start, end (timezone), photos, failures,
    empty (all that could be read are), species (all that its photos together tell), confidence (the
    highest); for each class, and for unknown, `count_<name>` (animals at least, by all photos
    together), and of single photos `photos_<name>` (in which there is one) and `most_<name>` (the
    largest number in one photo).
    """
    info, _ = read_records(records_path)
    known = Known(project)
    columns = list(dict.fromkeys([*[item["name"] for item in info["classes"]][1:], UNKNOWN]))

    def rows() -> Iterator[list]:
        for burst in bursts:
            if burst.read:
                counts = []
                for name in columns:
                    fused = burst.species.get(name)
                    counts += [fused.count if fused else 0, *burst.alone.get(name, (0, 0))]
                yield [burst.sequence, burst.location, burst.start, burst.end,
                       *known.zone_at(burst.location, burst.start), burst.photos, burst.failures,
                       not burst.species, ", ".join(burst.species), burst.confidence, *counts]

    header = ["sequence", "location", "start", "end", *known.zone, "photos", "failures", "empty",
              "species", "confidence"]
    write_table(path, header + [f"{what}_{name}" for name in columns
                                for what in ("count", "photos", "most")], rows())


def write_events_csv(path: str | Path, bursts: Iterable[Burst], minutes: float,
                     project: Project | None = None) -> None:
    """Write events.csv: one row an independent event, as occupancy and activity analyses take it,
    see `events_of`; the columns are the fields of an Event (and scientific_name, timezone)."""
    known = Known(project)
    write_table(path, [*Event._fields[:2], *known.name, *Event._fields[2:4], *known.zone,
                       *Event._fields[4:]],
                ([*event[:2], *known.name_of(event.species), *event[2:4],
                  *known.zone_at(event.location, event.start), *event[4:]]
                 for event in events_of(bursts, minutes)))


def write_table(path: str | Path, header: Sequence[str], rows: Iterable[Sequence],
                spreadsheet: bool = True) -> None:
    """Write a CSV whole or not at all: UTF-8, TRUE and FALSE, None as an empty cell.

    `spreadsheet`: whether it begins with the mark by which Excel knows UTF-8, and a text that
    begins with one of = + - @, a tab or a carriage return, which would be run as a formula, gets an
    apostrophe in front. Programs that take a table as it is want neither.
    """
    cell, encoding = (_cell, "utf-8-sig") if spreadsheet else (_plain, "utf-8")
    # "backslashreplace": file names that are no Unicode must not stop a table of a million rows.
    with written_whole(path) as temporary, open(temporary, "w", newline="", encoding=encoding,
                                                errors="backslashreplace") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(map(cell, header))
        for row in rows:
            writer.writerow(map(cell, row))


def _plain(value: object) -> object:
    return str(value).upper() if isinstance(value, bool) else value


def _cell(value: object) -> object:
    if isinstance(value, str) and value.startswith(FORMULA):
        try:
            float(value)  # -33.1 is no formula
        except ValueError:
            return "'" + value
    return _plain(value)
