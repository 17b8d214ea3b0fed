"""Camtrap DP 1.0.2: a package of deployments, media and observations, ready to publish.

Photos alone do not tell where a camera stood, or in which time zone its clock ran, and nothing
here is invented: a table of deployments and a file about the project must be given, see
`project.py`. Every blob is an observation of its photo (observationLevel media) with its box,
without a scientific name if it is unknown; a photo without one is `blank`; one that could not be
read is `unclassified`. What the photos of a burst tell together, see `bursts.py`, is an observation
of the event, one a species, with the number of animals: GBIF takes these, and no others
(inbo/camtrapdp#195). Both have the burst as eventID. The probability of a named species is its
certainty, see `records.py`. Source: camtrap-dp.tdwg.org.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from .. import InputError, __version__
from ..data.progress import named
from .bursts import Burst, read_bursts
from .megadetector import inside_photo
from .project import Project
from .project_rules import DEPLOYMENTS, PACKAGE, PROJECT
from .records import UNKNOWN, certainty, read_records, species_of
from .tables import write_table
from .taxa import kind_of

SOURCE = "https://raw.githubusercontent.com/tdwg/camtrap-dp/1.0.2"
# The columns of the schemas, in their order; those of deployments stand in `project_rules.py`.
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
MEDIATYPES = {"jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png", "tif": "image/tiff",
              "tiff": "image/tiff"}
PATH = re.compile(r"(?!.*\.\.)[^./~].*")  # what filePath may be


class _Place(NamedTuple):
    """Where and when a photo was taken."""

    location: str
    deployment: str
    time: datetime  # with its time zone
    event: str  # its eventID


class _Naming(NamedTuple):
    """How a prediction calls what it finds."""

    names: Sequence[str]  # of all classes
    species: dict[str, str]  # class -> scientific name
    by: str
    now: str

    def of(self, name: str) -> dict:
        """observationType and scientificName of a class, or of what is unknown."""
        if name == UNKNOWN:  # it may be a person, too, where the classes have one
            people = any(kind_of(other) != "animal" for other in self.names)
            return {"observationType": "unknown" if people else "animal"}
        return {"observationType": kind_of(name), "scientificName": self.species.get(name)}

    def classified(self) -> dict:
        return {"classificationMethod": "machine", "classifiedBy": self.by,
                "classificationTimestamp": self.now}


@named("camtrap_dp")
def write_camtrap_dp(records_path: str | Path, folder: str | Path, project: Project,
                     sequences: Sequence[str]) -> list[str]:
    """Write datapackage.json and the three tables; returns what somebody should know of them.

    `sequences`: the burst ids of the photos in the order of the records. A photo without a
    datetime, outside of all deployments of its location, or with a path that Camtrap DP does not
    take, is left out, and that is told: no time is invented. Raises InputError if none is left.
    """
    folder = Path(folder)
    info, _ = read_records(records_path)
    places, notes = _places(records_path, project, sequences)

    def photos() -> Iterator[tuple[dict, str, _Place]]:
        for record, place in zip(read_records(records_path)[1], places, strict=True):
            if place:
                yield record, media_id(record["file"]), place

    methods = project.facts["captureMethod"]
    method = methods[0] if len(methods) == 1 else None
    write = partial(write_table, spreadsheet=False)
    write(folder / "deployments.csv", DEPLOYMENTS, (
        [deployment.row.get(name) for name in DEPLOYMENTS]
        for deployments in project.deployments.values() for deployment in deployments))
    write(folder / "media.csv", MEDIA, (
        [media, place.deployment, method, place.time.isoformat(), record["file"], "false",
         record["file"].rpartition("/")[2],
         MEDIATYPES[record["file"].rpartition(".")[2].lower()], None, None, record["failure"]]
        for record, media, place in photos()))
    naming = _Naming([item["name"] for item in info["classes"]], project.species,
                     f"camera_trapinator {__version__}, {info['model']} {info['weights'][:8]}",
                     datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))

    def observations() -> Iterator[dict]:
        for photo in photos():
            yield from _of_photo(*photo, naming)
        # Bursts of the photos that are in the package, each at one deployment.
        events = [place.event if place else f"left out {number}"
                  for number, place in enumerate(places)]
        times = _times_of(filter(None, places))
        for burst in read_bursts(records_path, events):
            if times_of_it := times.get((burst.location, burst.sequence)):
                yield from _of_event(burst, *times_of_it, naming)

    write(folder / "observations.csv", OBSERVATIONS, (
        [cells.get(name) for name in OBSERVATIONS] for cells in observations()))
    package = _package(project, naming.now)
    (folder / "datapackage.json").write_text(json.dumps(package, indent=2, ensure_ascii=False)
                                             + "\n", encoding="utf-8")
    return [*project.notes, *notes]


# -------------------------------------------------------------------------- photos and events


def _places(records_path: str | Path, project: Project, sequences: Sequence[str],
            ) -> tuple[list[_Place | None], list[str]]:
    """Of each photo its place, None if it is left out; and what is left out."""
    places, left_out, skipped = [], {}, []
    of_event: dict[tuple[str, str], str] = {}  # the deployment of a burst's first photo
    for record, sequence in zip(read_records(records_path)[1], sequences, strict=True):
        reason = deployment = None
        moment = datetime.fromisoformat(record["datetime"]) if record["datetime"] else None
        if not PATH.fullmatch(record["file"]):
            reason = ("with two dots or a line break in their path, or a dot, / or ~ at its "
                      "beginning (rename them)")
        elif moment is None and record["failure"] is not None:
            reason = "that could not be read and tell no time"
        elif moment is None:
            reason = "without a time (a manifest can tell it, in a column datetime)"
        elif not (deployment := project.deployment_of(record["location"], moment)):
            reason = (f"taken while no deployment of {project.source} was running at their "
                      "location (correct its start and end, or the camera's clock)")
        if reason:
            left_out.setdefault(reason, []).append(_shown(record))
            places.append(None)
            continue
        time = moment.replace(tzinfo=deployment.zone)
        if _is_skipped(time):
            skipped.append(_shown(record))
        key, event = deployment.row["deploymentID"], sequence or media_id(record["file"])
        if of_event.setdefault((record["location"], event), key) != key:
            event = f"{event}_{key}"  # the camera was changed within a burst
        places.append(_Place(record["location"], key, time, event))
    told = [f"{len(photos)} photos {reason}, such as {'; '.join(photos[:3])}"
            for reason, photos in left_out.items()]
    if not any(places):
        raise InputError("camtrap_dp: no photo is left for the package: " + "; also ".join(told)
                         + "; then give the same command again, what is predicted is kept, or "
                         "leave camtrap_dp out of outputs")
    notes = [f"left out of camtrap_dp/: {line}" for line in told]
    if skipped:
        notes.append(f"{len(skipped)} photos were taken in the hour that is skipped when clocks "
                     f"go forward (such as {'; '.join(skipped[:3])}): if the camera keeps one time "
                     "all year, give its offset, such as +01:00, as timezone")
    return places, notes


def _shown(record: dict) -> str:
    """A photo as a line can show it, with its time."""
    return f"{record['file']!r}, {record['datetime']}".removesuffix(", ")


def _is_skipped(time: datetime) -> bool:
    """Whether no clock that goes forward in spring ever shows this time."""
    return isinstance(time.tzinfo, ZoneInfo) and time.astimezone(UTC).astimezone(
        time.tzinfo).replace(tzinfo=None) != time.replace(tzinfo=None)


def _times_of(places: Iterable[_Place]) -> dict[tuple[str, str], tuple[str, datetime, datetime]]:
    """Of each (location, event) its deployment, and the times of its first and last photo."""
    found: dict[tuple[str, str], tuple[str, datetime, datetime]] = {}
    for place in places:
        key = place.location, place.event
        _, start, end = found.get(key, ("", place.time, place.time))
        # In UTC: where clocks go forward, a later hour may be an earlier time.
        found[key] = (place.deployment,
                      min(start, place.time, key=lambda time: time.astimezone(UTC)),
                      max(end, place.time, key=lambda time: time.astimezone(UTC)))
    return found


def _of_photo(record: dict, media: str, place: _Place, naming: _Naming) -> Iterator[dict]:
    """The observations of a photo."""
    time = place.time.isoformat()
    common = {"deploymentID": place.deployment, "mediaID": media, "eventID": place.event,
              "eventStart": time, "eventEnd": time, "observationLevel": "media"}
    if record["failure"] is not None:
        yield {**common, "observationID": f"{media}_1", "observationType": "unclassified",
               "observationComments": record["failure"]}
        return
    common |= naming.classified()
    if not record["blobs"]:
        yield {**common, "observationID": f"{media}_1", "observationType": "blank",
               "classificationProbability": round(1 - record["confidence"], 5)}
    for number, blob in enumerate(record["blobs"], start=1):
        x, y, width, height = inside_photo(blob["box"])
        yield {**common, **naming.of(species_of(blob, naming.names)),
               "observationID": f"{media}_{number}",
               "count": 1, "bboxX": x, "bboxY": y, "bboxWidth": width, "bboxHeight": height,
               "classificationProbability": blob["confidence"] if blob["unknown"]
               else certainty(blob),
               "observationTags": f"maskShare:{blob['area']:.5f}"}


def _of_event(burst: Burst, deployment: str, start: datetime, end: datetime,
              naming: _Naming) -> Iterator[dict]:
    """The observations of an event: one a species, as all of its photos tell it together."""
    event = media_id(f"{burst.location}\n{burst.sequence}")  # no photo has such a path
    common = {"deploymentID": deployment, "eventID": burst.sequence,
              "eventStart": start.isoformat(), "eventEnd": end.isoformat(),
              "observationLevel": "event", "observationComments": f"{burst.failures} of "
              f"{burst.photos} photos could not be read" if burst.failures else None}
    if not burst.read:
        yield {**common, "observationID": f"{event}_1", "observationType": "unclassified"}
        return
    common |= naming.classified()
    if not burst.species:
        yield {**common, "observationID": f"{event}_1", "observationType": "blank",
               "classificationProbability": round(1 - burst.confidence, 5)}
    for number, (name, fused) in enumerate(burst.species.items(), start=1):
        sure = 1 if name == UNKNOWN else fused.class_confidence
        yield {**common, **naming.of(name), "observationID": f"{event}_{number}",
               "count": fused.count,
               "classificationProbability": round(fused.confidence * sure, 5)}


# ---------------------------------------------------------------------------------- the package


def _package(project: Project, created: str) -> dict:
    facts = project.facts
    deployments = [item for items in project.deployments.values() for item in items]
    return {
        "resources": [{
            "name": name, "path": f"{name}.csv", "profile": "tabular-data-resource",
            "format": "csv", "mediatype": "text/csv", "encoding": "utf-8",
            "schema": f"{SOURCE}/{name}-table-schema.json",
        } for name in ("deployments", "media", "observations")],
        "profile": f"{SOURCE}/camtrap-dp-profile.json",
        "created": created, "title": facts["title"],
        **{key: facts[key] for key in PACKAGE if key in facts},
        "project": {**facts.get("project", {}), **{key: facts[key] for key in PROJECT},
                    "observationLevel": ["media", "event"]},
        "spatial": {"type": "MultiPoint", "coordinates": [
            [float(item.row["longitude"]), float(item.row["latitude"])] for item in deployments]},
        "temporal": {"start": min(item.start for item in deployments).date().isoformat(),
                     "end": max(item.end for item in deployments).date().isoformat()},
        "taxonomic": [*project.taxa],
    }


def media_id(text: str) -> str:
    """The same for the same path in every run."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
