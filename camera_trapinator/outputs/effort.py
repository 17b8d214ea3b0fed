"""Effort: how long cameras stood, and how often a species came for it.

A camera night is 24 hours for which a camera stood at a location, by its clock; parts count. A day
without a time, as start or end of a deployment, stands for its noon, as in camtrapR
(`cameraOperation`), so 2024-05-01 to 2024-05-31 are 30 nights. Deployments of a location that
overlap, such as two cameras face to face, count once.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, time, timedelta
from pathlib import Path

from ..data.progress import named
from .bursts import Burst, events_of
from .facts import deployment_at, locations_without, scientific_name
from .project import Deployment, Project
from .records import UNKNOWN, read_records
from .tables import write_table

Stay = tuple[datetime, datetime]  # from, to, by the camera's clock


def stay_of(deployment: Deployment) -> Stay:
    """From when to when a camera stood; a day without a time is its noon, unless nothing would be
    left of it."""
    start, end = (moment.replace(tzinfo=None) for moment in (deployment.start, deployment.end))
    noon = timedelta(hours=12)
    # A day alone is read as its first second, or as its last one.
    first = start + noon if start.time() == time(0) else start
    last = end.replace(hour=12, minute=0, second=0) if end.time() == time(23, 59, 59) else end
    return (first, last) if first < last else (start, end)


def stays_at(deployments: Iterable[Deployment]) -> list[Stay]:
    """When at least one camera stood at a location: stays in their order, that do not touch. Who
    changes the card is not gone: a minute between two deployments is none."""
    joined: list[Stay] = []
    for start, end in sorted(map(stay_of, deployments)):
        if joined and start - joined[-1][1] <= timedelta(minutes=1):
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        else:
            joined.append((start, end))
    return joined


def nights_of(stays: Iterable[Stay]) -> float:
    """How many camera nights these are, to a thousandth."""
    return round(sum((end - start) / timedelta(days=1) for start, end in stays), 3)


@named("csv")
def write_effort_csv(records_path: str | Path, path: str | Path, project: Project) -> list[str]:
    """Write effort.csv: a row a deployment, by location and start.

    Columns: deploymentID, location, start, end (the camera's clock), timezone; nights (from start
    to end); camera_nights (those of them that no row above covers at this location: their sum is
    the effort); photos that were taken then, first_photo, last_photo (long before the end: the
    camera may have died). Returns what is to be told.
    """
    taken: dict[str, list[str]] = {}
    outside, locations = 0, set()
    for record in read_records(records_path)[1]:
        locations.add(record["location"])
        running = deployment_at(record["location"], record["datetime"], project)
        if running is None:
            outside += 1
        else:
            taken.setdefault(running.row["deploymentID"], []).append(record["datetime"])

    def rows() -> Iterable[list]:
        for location, deployments in sorted(project.deployments.items()):
            above, so_far = [], 0.0
            for deployment in sorted(deployments, key=lambda item: (stay_of(item), item.row[
                    "deploymentID"])):
                above.append(deployment)
                total = nights_of(stays_at(above))
                key = deployment.row["deploymentID"]
                times = taken.get(key, [])
                yield [key, location, *(moment.strftime("%Y-%m-%d %H:%M:%S") for moment in (
                    deployment.start, deployment.end)), str(deployment.zone),
                    nights_of([stay_of(deployment)]), round(total - so_far, 3), len(times),
                    min(times, default=None), max(times, default=None)]
                so_far = total

    write_table(path, ["deploymentID", "location", "start", "end", "timezone", "nights",
                       "camera_nights", "photos", "first_photo", "last_photo"], rows())
    told = []
    if missing := locations_without([*locations], project):
        told.append(f"{project.source} has no deployment at {', '.join(map(repr, missing[:5]))}"
                    + f" and {len(missing) - 5} more" * (len(missing) > 5)
                    + ": their effort is not known")
    if outside:
        told.append(f"{outside} photos have no time, or were taken when no deployment of "
                    f"{project.source} was running: no row of effort.csv counts them")
    return told


def write_relative_abundance_csv(bursts: Iterable[Burst], path: str | Path, minutes: float,
                                 names: Sequence[str], project: Project) -> list[str]:
    """Write relative_abundance.csv: a row a location and species, also where it never came.

    Columns: location, species (or unknown), scientific_name, events (independent ones, as in
    events.csv), camera_nights, events_per_100_nights (no cell without nights). Only events that
    begin within a deployment count, as their nights do. `names`: of all classes. Over locations:
    100 times the sum of the events by the sum of the nights. Returns what is to be told.
    """
    events: dict[tuple[str, str], int] = {}
    outside = 0
    for event in events_of(bursts, minutes):
        if deployment_at(event.location, event.start, project) is None:
            outside += 1
        else:
            key = (event.location, event.species)
            events[key] = events.get(key, 0) + 1
    species = list(dict.fromkeys([*names[1:], UNKNOWN]))

    def rows() -> Iterable[list]:
        for location, deployments in sorted(project.deployments.items()):
            nights = nights_of(stays_at(deployments))
            for name in species:
                number = events.get((location, name), 0)
                yield [location, name, scientific_name(name, project), number, nights,
                       round(100 * number / nights, 3) if nights else None]

    write_table(path, ["location", "species", "scientific_name", "events", "camera_nights",
                       "events_per_100_nights"], rows())
    return [f"{outside} independent events begin when no deployment was running, or have no time: "
            "relative_abundance.csv does not count them"] if outside else []
