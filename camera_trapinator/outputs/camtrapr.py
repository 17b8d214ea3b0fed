"""Tables for camtrapR: the record table, the camera trap table and the camera operation matrix.

They are what its functions `recordTable` and `cameraOperation` return (camtrapR 3.0, its manual and
sample data), made of the fused verdicts of the bursts, so that no photo has to be moved or tagged:

    records <- read.csv("recordTable.csv")
    operation <- as.matrix(read.csv("cameraOperation.csv", row.names = 1, check.names = FALSE))
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import NamedTuple

from ..data.progress import progress
from .bursts import Burst
from .effort import Stay, stays_at
from .project import Project
from .tables import write_table

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
RECORDS = ["Station", "Species", "DateTimeOriginal", "Date", "Time", "delta.time.secs",
           "delta.time.mins", "delta.time.hours", "delta.time.days", "Directory", "FileName",
           "n_images", "count_max"]


class Sighting(NamedTuple):
    """A species in a photo, as its burst sees it."""

    moment: datetime
    file: str
    count: int  # animals of its burst


def write_camtrapr(bursts: Sequence[Burst], photos_root: str | Path, folder: str | Path,
                   minutes: float, project: Project | None) -> list[str]:
    """Write recordTable.csv and, where a table of deployments is given, CTtable.csv and
    cameraOperation.csv into a folder.

    `photos_root`: the folder of photos, for the column Directory; `minutes`: minDeltaTime, compared
    to the last record. Returns what is to be told.
    """
    folder, told = Path(folder), []
    found: dict[tuple[str, str], list[Sighting]] = {}
    timeless = 0
    for burst in progress(bursts, "camtrapr", unit="bursts"):
        for name, fused in burst.species.items():
            for photo in fused.photos:
                if photo.time:
                    found.setdefault((burst.location, name), []).append(Sighting(
                        datetime.fromisoformat(photo.time), photo.file, fused.count))
                else:
                    timeless += 1
    write_table(folder / "recordTable.csv", RECORDS, (
        [station, species, *row] for (station, species), sightings in sorted(found.items())
        for row in _independent(sightings, Path(photos_root), minutes)), spreadsheet=False)
    if timeless:
        told.append(f"{timeless} photos with an animal have no time: they are not in camtrapr/")
    stations = {burst.location for burst in bursts}
    if project is not None and project.deployments:
        stays = {station: stays_at(deployments)
                 for station, deployments in sorted(project.deployments.items())}
        stations |= {*stays}
        if never := [station for station in stays if stays[station][0][0] >= stays[station][-1][1]]:
            told.append(f"the deployments at {', '.join(map(repr, never))} end when they start: "
                        "they are not in camtrapr/")
        stays = {station: there for station, there in stays.items() if station not in never}
        if stays:
            _write_stations(folder / "CTtable.csv", stays, project)
            _write_operation(folder / "cameraOperation.csv", stays)
    if strange := sorted(station for station in stations if "__" in station):
        told.append(f"camtrapR takes no two underscores in the name of a station: {strange[0]!r}")
    return told


def _independent(sightings: Sequence[Sighting], root: Path, minutes: float) -> Iterator[list]:
    """The rows of a species at a station: records that come at least `minutes` after the one
    before, whether that one counted or not (deltaTimeComparedTo = "lastRecord")."""
    records: list[Sighting] = []
    for sighting in sorted(sightings):
        if not records or sighting.moment > records[-1].moment:  # one of several in the same second
            records.append(sighting)
    events: list[tuple[float, list[Sighting]]] = []  # seconds since the record before; its records
    for number, record in enumerate(records):
        since = (record.moment - records[number - 1].moment).total_seconds() if number else 0
        if not number or since >= minutes * 60:
            events.append((since, []))
        events[-1][1].append(record)
    for since, members in events:
        moment, file = members[0].moment, members[0].file
        in_minutes = _tenth(since / 60)
        in_hours = _tenth(in_minutes / 60)
        directory, _, name = file.rpartition("/")
        yield [str(moment), str(moment.date()), str(moment.time()),
               *map(_number, (since, in_minutes, in_hours, _tenth(in_hours / 24))),
               (root / directory).as_posix(), name, len(members),
               max(sighting.count for sighting in members)]


def _write_stations(path: Path, stays: dict[str, list[Stay]], project: Project) -> None:
    """The camera trap table: a row a station. When no camera stood there, between two deployments,
    is a problem, as camtrapR calls it."""
    most = max(map(len, stays.values())) - 1
    header = ["Station", "longitude", "latitude", "Setup_date", "Retrieval_date"]
    for number in range(1, most + 1):
        header += [f"Problem{number}_from", f"Problem{number}_to"]

    def rows() -> Iterator[list]:
        for station, there in stays.items():
            row = project.deployments[station][0].row
            gaps = [str(moment) for gap in _gaps(there) for moment in gap]
            yield [station, row["longitude"], row["latitude"], str(there[0][0]), str(there[-1][1]),
                   *gaps, *[None] * (2 * most - len(gaps))]

    write_table(path, header, rows(), spreadsheet=False)


def _write_operation(path: Path, stays: dict[str, list[Stay]]) -> None:
    """The camera operation matrix: the share of each day for which a camera stood; NA where none
    had been set up yet, or any more. The cells are those of `cameraOperation`, which counts the
    last second neither of a day nor of a stay."""
    first = min(there[0][0] for there in stays.values()).date()
    last = max(there[-1][1] for there in stays.values()).date()
    days = [first + number * DAY for number in range((last - first).days + 1)]

    def share(day: date, there: Sequence[Stay]) -> object:
        start, end = there[0][0], there[-1][1] - SECOND
        whole = _within(day, start, end)
        if whole is None:
            return "NA"
        gone = sum(_within(day, begin, until - SECOND) or 0.0 for begin, until in _gaps(there))
        return _number(round(whole - gone, 4))

    write_table(path, ["", *map(str, days)], (
        [station, *(share(day, there) for day in days)] for station, there in stays.items()),
        spreadsheet=False)


def _within(day: date, start: datetime, end: datetime) -> float | None:
    """Which part of a day lies between two moments; None if none does."""
    midnight = datetime.combine(day, time(0))
    seconds = (min(end, midnight + DAY - SECOND) - max(start, midnight)).total_seconds()
    return None if seconds < 0 else seconds / DAY.total_seconds()


def _gaps(there: Sequence[Stay]) -> Iterable[Stay]:
    return [(before[1], after[0]) for before, after in zip(there, there[1:], strict=False)]


def _tenth(value: float) -> float:
    """Rounded to a tenth as R 4 does it: to the nearer one, of two as near the even one."""
    below, above = math.floor(value * 10), math.ceil(value * 10)
    up, down = above / 10 - value, value - below / 10
    return (above if up < down or (up == down and below % 2) else below) / 10


def _number(value: float) -> float | int:
    """As R writes it: 2, not 2.0."""
    return int(value) if value == int(value) else value
