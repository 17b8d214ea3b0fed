"""What photos do not tell and people do: the table of deployments and the file about the project.

Both are read, and every fault of them is told, before any photo is predicted: what passes here
makes a package that passes the schemas of Camtrap DP 1.0.2, see `project_rules.py`.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time, timedelta, timezone, tzinfo
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import yaml

from .. import InputError
from ..data.files import spelled
from ..data.tables import read_rows
from .project_rules import DEPLOYMENTS, PROJECT_FILE, missing, sound_cell, without_nothing
from .taxa import joined, read_taxa

NEEDED = ("deploymentID", "location", "latitude", "longitude", "start", "end", "timezone")
MANY = 20  # faults of one file that are told at once
MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?)?")


class Deployment(NamedTuple):
    """A camera at a place for a while."""

    row: dict[str, str]  # of deployments.csv, by the names of the schema
    start: datetime  # with its time zone
    end: datetime
    zone: tzinfo

    def running(self, moment: datetime) -> bool:
        """Whether it was, when the camera's clock showed `moment` (without a time zone)."""
        return self.start <= moment.replace(tzinfo=self.zone) <= self.end


class Project(NamedTuple):
    """What the photos do not tell."""

    deployments: dict[str, list[Deployment]]  # by location
    facts: dict  # the content of the project file
    species: dict[str, str]  # class -> scientific name
    source: str  # the table of deployments, for errors
    taxa: Sequence[dict] = ()  # Camtrap DP's `taxonomic`: each scientific name once
    notes: Sequence[str] = ()  # what somebody should know of the two files

    def deployment_of(self, location: str, moment: datetime) -> Deployment | None:
        """The deployment that was running at a location; see `Deployment.running`."""
        return next((deployment for deployment in self.deployments.get(location, ())
                     if deployment.running(moment)), None)


def read_project(deployments: str | Path, project: str | Path, classes: Sequence[str],
                 locations: Sequence[str], times: Sequence[str] = ()) -> Project:
    """Read both files, and refuse what is missing or wrong before any photo is predicted.

    The table needs the columns deploymentID, location (as in the manifest, or the photos' folder),
    latitude, longitude (WGS84, degrees), start, end (the camera's clock) and timezone (such as
    Europe/Brussels, or +02:00); further columns of Camtrap DP's own are taken over. The project
    file is YAML with title, samplingDesign, captureMethod, individualAnimals, contributors and
    species (class: scientific name, or what Camtrap DP tells of a taxon), perhaps licenses and
    more, see `project_rules.PROJECT_FILE`. `classes`: without background; `locations`: those of
    the photos, `times`: their datetimes as far as they are known by now, "" = not yet. Raises
    InputError with all faults of both: file, line or key, value, and the cure.
    """
    faults = [f"{name}: camtrap_dp and wildlife_insights need it, for what photos do not tell "
              "(coordinates, time zone, project); see README.md, or leave them out of outputs"
              for name, path in (("deployments_file", deployments), ("project_file", project))
              if not str(path)]
    found, facts, taxa, notes = {}, {}, {}, []
    if str(deployments):
        try:
            found = read_deployments(deployments, notes)
            faults += [f"{deployments}: {fault}" for fault in _first_of(
                _faults_of_places(found, sorted({*locations})))]
            if times and all(times) and not any(
                    _was_running(found, *photo) for photo in zip(locations, times, strict=True)):
                faults.append(f"{deployments}: no photo was taken while a deployment was running "
                              f"at its location (the first at {times[0]}, at {locations[0]!r}); "
                              "correct start and end")
        except InputError as error:
            faults.append(str(error))
    if str(project):
        try:
            facts = read_facts(project)
            inner = list(PROJECT_FILE(facts, ""))
            taxa = read_taxa(facts, classes, inner)
            faults += [f"{project}: {fault}" for fault in _first_of(inner)]
        except InputError as error:
            faults.append(str(error))
    if faults:
        raise InputError("; also ".join(faults))
    species = {name: taxon["scientificName"] for name, taxon in taxa.items()}
    return Project(found, facts, species, str(deployments), joined(taxa.values()), notes)


def read_deployments(path: str | Path, notes: list[str] | None = None,
                     ) -> dict[str, list[Deployment]]:
    """The deployments of a table by location, see `read_project`; `notes` get a line on columns
    that are left out. Raises InputError with all faults of the table."""
    found: dict[str, list[Deployment]] = {}
    faults, known = [], {}
    columns: dict[str, str] = {}
    for line, cells in read_rows(Path(path), *NEEDED):
        columns = cells
        inner: list[str] = []
        key = cells["deploymentID"].strip()
        if key in known:
            inner.append(f"a second deployment {key!r} (the first: line {known[key]}); give each "
                         "its own deploymentID")
        known.setdefault(key, line)
        if deployment := _deployment(cells, inner):
            found.setdefault(cells["location"].strip(), []).append(deployment)
        faults += [f"{path}, line {line}: {fault}" for fault in inner]
    own = [name for name in columns if name and name not in (*NEEDED, *DEPLOYMENTS)]
    plain = {_plain(name): name for name in DEPLOYMENTS}
    faults += [f"{path}: the column {name!r} is called {plain[_plain(name)]!r} in Camtrap DP; "
               "rename it" for name in own if _plain(name) in plain]
    if not columns:
        faults.append(f"{path}: no deployment in it; add a row for each")
    if faults:
        raise InputError("; also ".join(_first_of(faults)))
    if own and notes is not None:
        notes.append(f"{path}: left out of camtrap_dp/, which has no such column: {', '.join(own)}")
    return found


def read_facts(path: str | Path) -> dict:
    """What a project file holds, as it is, without keys that have no value. Raises InputError."""
    try:
        facts = yaml.safe_load(Path(path).read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: no valid YAML ({' '.join(str(error).split())[:120]})") from None
    except ValueError as error:  # 2024-13-45 is no date
        raise InputError(f"{path}: {error}; put such a text in quotation marks") from None
    if not isinstance(facts, dict):
        raise InputError(f"{path}: no YAML of the form `key: value`")
    return without_nothing(facts)


def _first_of(faults: Sequence[str] | Iterator[str]) -> list[str]:
    faults = list(faults)
    more = len(faults) - MANY
    return faults[:MANY] + [f"and {more} more"] * (more > 0)


def _plain(name: str) -> str:
    return re.sub("[ _.-]", "", spelled(name))


# ------------------------------------------------------------------- the table of deployments


def _deployment(cells: dict[str, str], faults: list[str]) -> Deployment | None:
    """The deployment of a row; None, and a fault, where that cannot be made of it."""
    before = len(faults)
    cells = {name: text.strip() for name, text in cells.items()}
    empty = [name for name in NEEDED if missing(cells[name])]
    for name in empty:
        what = f"{cells[name]!r}, which readers take for nothing" if cells[name] else "empty"
        faults.append(f"{name} is {what}; fill it in")
    row = {}
    for name in DEPLOYMENTS:
        if not missing(cells.get(name, "")):
            row[name], wanted = sound_cell(name, cells[name])
            if wanted:
                faults.append(f"{name} {cells[name]!r} {wanted}")
    zone = None if "timezone" in empty else _zone(cells["timezone"], faults)
    start, end = (None if name in empty else _moment(cells[name], name, faults)
                  for name in ("start", "end"))
    if start and end and end < start:
        faults.append(f"end {cells['end']} is before start {cells['start']}; correct one of them")
    if len(faults) > before:
        return None
    start, end = start.replace(tzinfo=zone), end.replace(tzinfo=zone)
    row |= {"deploymentStart": start.isoformat(), "deploymentEnd": end.isoformat()}
    row.setdefault("locationID", cells["location"])
    return Deployment(row, start, end, zone)


def _zone(text: str, faults: list[str]) -> tzinfo | None:
    if offset := re.fullmatch(r"([+-])([01]\d|2[0-3]):?([0-5]\d)", text, re.ASCII):
        sign, hours, minutes = offset.groups()
        shift = timedelta(hours=int(hours), minutes=int(minutes))
        return timezone(-shift if sign == "-" else shift)
    if text.upper() in ("Z", "UTC"):
        return UTC
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError):  # no such zone, or no zone at all
        faults.append(f"timezone {text!r} is not known; give an offset such as +02:00, or a name "
                      "such as Europe/Brussels")


def _moment(text: str, name: str, faults: list[str]) -> datetime | None:
    """A local time; a day alone stands for its beginning, or, as `end`, for its end."""
    try:
        moment = datetime.fromisoformat(text) if MOMENT.fullmatch(text) else None
    except ValueError:
        moment = None
    if moment is None:
        faults.append(f"{name} {text!r} is no local time such as 2024-07-04 05:06:07")
    elif len(text) == len("2024-07-04") and name == "end":
        return datetime.combine(moment, time(23, 59, 59))
    return moment and moment.replace(microsecond=0)


def _faults_of_places(found: dict[str, list[Deployment]], locations: Sequence[str],
                      ) -> Iterator[str]:
    """Where it cannot be told to which deployment a photo belongs."""
    alike = {spelled(location): location for location in found}
    for location in locations:
        if location not in found:
            near = alike.get(spelled(location))
            yield (f"no deployment at the location {location!r}, where photos were taken; "
                   + (f"write it so in place of {near!r}" if near else "add a row for it"))
        running = sorted(found.get(location, ()), key=lambda deployment: deployment.start)
        for earlier, later in zip(running, running[1:], strict=False):
            if later.start < earlier.end:
                yield (f"{earlier.row['deploymentID']!r} and {later.row['deploymentID']!r} were "
                       f"both running at {location!r} on {later.start:%Y-%m-%d %H:%M:%S}, and "
                       "photos do not tell which took them; correct start and end (with the time "
                       "of day), or give each camera its own location")


def _was_running(found: dict[str, list[Deployment]], location: str, moment: str) -> bool:
    moment = datetime.fromisoformat(moment)
    return any(deployment.running(moment) for deployment in found.get(location, ()))
