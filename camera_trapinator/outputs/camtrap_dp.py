"""Camtrap DP 1.0.2: a package of deployments, media and observations, ready to publish.

Photos alone do not tell where a camera stood, or in which time zone its clock ran, and nothing
here is invented: a table of deployments and a file about the project must be given, see
`read_project`. Every blob is an observation with its box, without a scientific name if it is
unknown; a photo without one is `blank`; one that could not be read is `unclassified`. The
probability of a named species is its certainty, see `records.py`. Source: camtrap-dp.tdwg.org.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time, timedelta, timezone, tzinfo
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import yaml

from .. import InputError, __version__
from ..data.tables import read_rows
from .megadetector import inside_photo
from .records import certainty, read_records
from .tables import write_table

SOURCE = "https://raw.githubusercontent.com/tdwg/camtrap-dp/1.0.2"
# The columns of the schemas, in their order.
DEPLOYMENTS = [
    "deploymentID", "locationID", "locationName", "latitude", "longitude",
    "coordinateUncertainty", "deploymentStart", "deploymentEnd", "setupBy", "cameraID",
    "cameraModel", "cameraDelay", "cameraHeight", "cameraDepth", "cameraTilt", "cameraHeading",
    "detectionDistance", "timestampIssues", "baitUse", "featureType", "habitat",
    "deploymentGroups", "deploymentTags", "deploymentComments",
]
MEDIA = [
    "mediaID", "deploymentID", "captureMethod", "timestamp", "filePath", "filePublic",
    "fileName", "fileMediatype", "exifData", "favorite", "mediaComments",
]
OBSERVATIONS = [
    "observationID", "deploymentID", "mediaID", "eventID", "eventStart", "eventEnd",
    "observationLevel", "observationType", "cameraSetupType", "scientificName", "count",
    "lifeStage", "sex", "behavior", "individualID", "individualPositionRadius",
    "individualPositionAngle", "individualSpeed", "bboxX", "bboxY", "bboxWidth", "bboxHeight",
    "classificationMethod", "classifiedBy", "classificationTimestamp",
    "classificationProbability", "observationTags", "observationComments",
]
NEEDED = ("deploymentID", "location", "latitude", "longitude", "start", "end", "timezone")
DESIGNS = ("simpleRandom", "systematicRandom", "clusteredRandom", "experimental", "targeted",
           "opportunistic")
METHODS = ("activityDetection", "timeLapse")
NO_ANIMALS = {"person": "human", "human": "human", "vehicle": "vehicle"}
MEDIATYPES = {"jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png", "tif": "image/tiff",
              "tiff": "image/tiff"}


class Deployment(NamedTuple):
    """A camera at a place for a while."""

    row: dict[str, str]  # of deployments.csv, by the names of the schema
    start: datetime  # with its time zone
    end: datetime
    zone: tzinfo


class Project(NamedTuple):
    """What the photos do not tell."""

    deployments: dict[str, list[Deployment]]  # by location
    facts: dict  # the content of the project file
    species: dict[str, str]  # class -> scientific name
    source: str  # the table of deployments, for errors


def read_project(deployments: str | Path, project: str | Path, classes: Sequence[str],
                 locations: Sequence[str]) -> Project:
    """Read both files, and refuse what is missing before any photo is predicted.

    The table needs the columns deploymentID, location (as in the manifest, or the photos' folder),
    latitude, longitude (WGS84, degrees), start, end (the camera's clock) and timezone (such as
    Europe/Brussels, or +02:00); further columns of Camtrap DP's own are taken over. The project
    file is YAML with title, samplingDesign, captureMethod, individualAnimals, contributors and
    species (class: scientific name), perhaps licenses. `classes`: without background; `locations`:
    those of the photos. Raises InputError with file, line or key, and the cure.
    """
    for name, path in (("deployments_file", deployments), ("project_file", project)):
        if not str(path):
            raise InputError(f"{name}: camtrap_dp needs it, for what photos do not tell "
                             "(coordinates, time zone, project); see README.md, or leave "
                             "camtrap_dp out of outputs")
    found = _read_deployments(Path(deployments))
    for location in sorted(set(locations)):
        if location not in found:
            raise InputError(f"{deployments}: no deployment at the location {location!r}, where "
                             "photos were taken; add a row for it")
    facts = _read_facts(Path(project))
    species = facts.get("species")
    for name in classes:
        if name.lower() not in NO_ANIMALS and not (
                isinstance(species, dict) and isinstance(species.get(name), str)
                and species[name].strip()):
            raise InputError(f"{project}: species has no scientific name for {name!r}; add a line "
                             f"such as `{name}: Vulpes vulpes` below species")
    return Project(found, facts, dict(species or {}), str(deployments))


def write_camtrap_dp(records_path: str | Path, folder: str | Path, project: Project,
                     sequences: Sequence[str]) -> int:
    """Write datapackage.json and the three tables. Returns how many photos could not go in.

    Those could not be read, and so have no time. Raises InputError for a photo without a
    datetime, or outside of all deployments of its location: no time is invented.
    """
    folder = Path(folder)
    info, records = read_records(records_path)
    rows, left_out = [], 0
    for record, sequence in zip(records, sequences, strict=True):
        if record["failure"] is not None and not record["datetime"]:
            left_out += 1
        else:
            deployment, timestamp = _deployment_of(record, project)
            rows.append((_media_id(record["file"]), deployment, timestamp, sequence))
            _check_path(record["file"])

    def readable() -> Iterator[tuple]:
        _, again = read_records(records_path)
        taken = iter(rows)
        for record in again:
            if record["failure"] is None or record["datetime"]:
                yield record, *next(taken)

    methods = project.facts["captureMethod"]
    method = methods[0] if len(methods) == 1 else None
    write_table(folder / "deployments.csv", DEPLOYMENTS, (
        [deployment.row.get(name) for name in DEPLOYMENTS]
        for deployments in project.deployments.values() for deployment in deployments))
    write_table(folder / "media.csv", MEDIA, (
        [media, deployment, method, timestamp, record["file"], "false",
         record["file"].rpartition("/")[2],
         MEDIATYPES[record["file"].rpartition(".")[2].lower()], None, None, record["failure"]]
        for record, media, deployment, timestamp, _ in readable()))
    by = f"camera_trapinator {__version__}, {info['model']} {info['weights'][:8]}"
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    names = [item["name"] for item in info["classes"]]
    write_table(folder / "observations.csv", OBSERVATIONS, (
        [cells.get(name) for name in OBSERVATIONS]
        for record, *row in readable()
        for cells in _observations(record, *row, names, project.species, by, now)))
    package = _package(project, now)
    (folder / "datapackage.json").write_text(json.dumps(package, indent=2, ensure_ascii=False)
                                             + "\n", encoding="utf-8")
    return left_out


def _observations(record: dict, media: str, deployment: str, timestamp: str, sequence: str,
                  names: Sequence[str], species: dict, by: str, now: str) -> Iterator[dict]:
    common = {"deploymentID": deployment, "mediaID": media, "eventID": sequence or media,
              "eventStart": timestamp, "eventEnd": timestamp, "observationLevel": "media"}
    if record["failure"] is not None:
        yield {**common, "observationID": f"{media}_1", "observationType": "unclassified",
               "observationComments": record["failure"]}
        return
    common |= {"classificationMethod": "machine", "classifiedBy": by,
               "classificationTimestamp": now}
    # What is unknown may be a person, too, where the classes have one.
    unknown_kind = "unknown" if any(name.lower() in NO_ANIMALS for name in names) else "animal"
    if not record["blobs"]:
        yield {**common, "observationID": f"{media}_1", "observationType": "blank",
               "classificationProbability": round(1 - record["confidence"], 5)}
    for number, blob in enumerate(record["blobs"], start=1):
        name = names[blob["class"]]
        kind = NO_ANIMALS.get(name.lower(), "animal")
        scientific = species.get(name) or ("Homo sapiens" if kind == "human" else None)
        if blob["unknown"]:
            kind, scientific = unknown_kind, None
        x, y, width, height = inside_photo(blob["box"])
        yield {**common, "observationID": f"{media}_{number}", "observationType": kind,
               "scientificName": scientific,
               "count": 1, "bboxX": x, "bboxY": y, "bboxWidth": width, "bboxHeight": height,
               "classificationProbability": blob["confidence"] if blob["unknown"]
               else certainty(blob),
               "observationTags": f"maskShare:{blob['area']}"}


def _package(project: Project, created: str) -> dict:
    facts = project.facts
    deployments = [item for items in project.deployments.values() for item in items]
    package = {
        "resources": [{
            "name": name, "path": f"{name}.csv", "profile": "tabular-data-resource",
            "format": "csv", "mediatype": "text/csv", "encoding": "utf-8",
            "schema": f"{SOURCE}/{name}-table-schema.json",
        } for name in ("deployments", "media", "observations")],
        "profile": f"{SOURCE}/camtrap-dp-profile.json",
        "created": created, "title": facts["title"], "contributors": facts["contributors"],
        "project": {"title": facts["title"], "samplingDesign": facts["samplingDesign"],
                    "captureMethod": facts["captureMethod"],
                    "individualAnimals": facts["individualAnimals"],
                    "observationLevel": ["media"]},
        "spatial": {"type": "MultiPoint", "coordinates": [
            [float(item.row["longitude"]), float(item.row["latitude"])] for item in deployments]},
        "temporal": {"start": min(item.start for item in deployments).date().isoformat(),
                     "end": max(item.end for item in deployments).date().isoformat()},
        "taxonomic": [{"scientificName": name}
                      for name in dict.fromkeys(project.species.values())],
    }
    if "licenses" in facts:
        package["licenses"] = facts["licenses"]
    return package


def _deployment_of(record: dict, project: Project) -> tuple[str, str]:
    """The deploymentID of a photo, and its time with the time zone of that deployment."""
    if not record["datetime"]:
        raise InputError(f"{record['file']}: no datetime in this photo, and Camtrap DP needs one; "
                         "leave camtrap_dp out of outputs, or the photo out of the folder")
    moment = datetime.fromisoformat(record["datetime"])
    deployments = project.deployments.get(record["location"], [])
    for deployment in deployments:
        local = moment.replace(tzinfo=deployment.zone)
        if deployment.start <= local <= deployment.end:
            return deployment.row["deploymentID"], local.isoformat()
    raise InputError(f"{record['file']}: taken at {record['datetime']}, when no deployment of "
                     f"{project.source} was running at {record['location']!r}; correct its start "
                     "and end, or the camera's clock")


def _check_path(file: str) -> None:
    if ".." in file or file.startswith((".", "~")):
        raise InputError(f"{file}: Camtrap DP takes no path with two dots, or with a dot or ~ at "
                         "its beginning; rename the photo")


def _media_id(file: str) -> str:
    """The same for the same path in every run."""
    return hashlib.blake2b(file.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


# ------------------------------------------------------------------- what the user tells


def _read_deployments(path: Path) -> dict[str, list[Deployment]]:
    found: dict[str, list[Deployment]] = {}
    known = set()
    for line, cells in read_rows(path, *NEEDED):
        where = f"{path}, line {line}"
        for name in NEEDED:
            if not cells[name].strip():
                raise InputError(f"{where}: {name} is empty; fill it in")
        key = cells["deploymentID"].strip()
        if key in known:
            raise InputError(f"{where}: a second deployment {key!r}; give each its own "
                             "deploymentID")
        known.add(key)
        latitude, longitude = (_degrees(cells[name], most, name, where)
                               for name, most in (("latitude", 90), ("longitude", 180)))
        zone = _zone(cells["timezone"].strip(), where)
        start, end = (_moment(cells[name].strip(), name, where).replace(tzinfo=zone)
                      for name in ("start", "end"))
        if end < start:
            raise InputError(f"{where}: end {cells['end']} is before start {cells['start']}")
        location = cells["location"].strip()
        row = {name: cells[name].strip() for name in DEPLOYMENTS if cells.get(name, "").strip()}
        row |= {"deploymentID": key, "latitude": latitude, "longitude": longitude,
                "deploymentStart": start.isoformat(), "deploymentEnd": end.isoformat()}
        row.setdefault("locationID", location)
        found.setdefault(location, []).append(Deployment(row, start, end, zone))
    return found


def _degrees(text: str, most: float, name: str, where: str) -> str:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not abs(value) <= most:
        raise InputError(f"{where}: {name} {text!r} is no number of degrees from {-most} to {most}")
    return text.strip()


def _zone(text: str, where: str) -> tzinfo:
    offset = re.fullmatch(r"([+-])(\d\d):?(\d\d)", text)
    if offset:
        sign, hours, minutes = offset.groups()
        shift = timedelta(hours=int(hours), minutes=int(minutes))
        if shift < timedelta(hours=24):
            return timezone(-shift if sign == "-" else shift)
    elif text.upper() in ("Z", "UTC"):
        return UTC
    else:
        try:
            return ZoneInfo(text)
        except (KeyError, ValueError, OSError):  # no such zone, or no zone at all
            pass
    raise InputError(f"{where}: timezone {text!r} is not known; give an offset such as +02:00, or "
                     "a name such as Europe/Brussels")


def _moment(text: str, name: str, where: str) -> datetime:
    """A local time; a day alone stands for its beginning, or, as `end`, for its end."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is not None:
        raise InputError(f"{where}: {name} {text!r} is no local time such as 2024-07-04 05:06:07")
    if len(text) == len("2024-07-04") and name == "end":
        return datetime.combine(moment, time(23, 59, 59))
    return moment.replace(microsecond=0)


def _read_facts(path: Path) -> dict:
    try:
        facts = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: no valid YAML ({' '.join(str(error).split())[:120]})") from None

    def check(key: str, sound: bool, wanted: str) -> None:
        if not sound:
            raise InputError(f"{path}: {key} {str(facts.get(key))!r:.60} must be {wanted}")

    if not isinstance(facts, dict):
        raise InputError(f"{path}: no YAML of the form `key: value`")
    for key in ("title", "samplingDesign", "captureMethod", "individualAnimals", "contributors"):
        if key not in facts:
            raise InputError(f"{path}: no {key}; Camtrap DP needs it")
    check("title", isinstance(facts["title"], str) and bool(facts["title"].strip()), "a text")
    check("samplingDesign", facts["samplingDesign"] in DESIGNS, f"one of {', '.join(DESIGNS)}")
    methods = facts["captureMethod"]
    check("captureMethod", isinstance(methods, list) and bool(methods)
          and all(method in METHODS for method in methods), f"a list of {', '.join(METHODS)}")
    check("individualAnimals", isinstance(facts["individualAnimals"], bool), "true or false")
    people = facts["contributors"]
    check("contributors", isinstance(people, list) and bool(people) and all(
        isinstance(person, dict) and isinstance(person.get("title"), str) for person in people),
        "a list of people, each with a title (the name)")
    licenses = facts.get("licenses", [{"scope": "data"}, {"scope": "media"}])
    check("licenses", isinstance(licenses, list) and {"data", "media"} <= {
        item.get("scope") for item in licenses if isinstance(item, dict)},
        "a list with one for each scope, data and media")
    return facts
