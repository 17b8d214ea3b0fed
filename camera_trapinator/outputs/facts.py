"""What people tell of their photos, asked in small questions: which deployment, time zone, species.

The table of deployments and the project file are read by `project.read_project`, which wants
both, whole. Where only a column or a table more hangs on them, either will do: `read_known`.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from .. import InputError
from .project import Deployment, Project, read_deployments, read_facts


def read_known(deployments: str | Path, project: str | Path) -> Project:
    """What the two files tell, each perhaps "" = not given; of the project file only `species`.

    Raises InputError with file, line or key, and the cure.
    """
    notes: list[str] = []
    found = read_deployments(deployments, notes) if str(deployments) else {}
    facts = read_facts(project) if str(project) else {}
    told = facts.get("species") or {}
    species = {name: taxon.get("scientificName") if isinstance(taxon, dict) else taxon
               for name, taxon in told.items()} if isinstance(told, dict) else {"": None}
    if not all(isinstance(word, str) for item in species.items() for word in item):
        raise InputError(f"{project}: species {str(told)!r:.60} must be lines such as "
                         "`fox: Vulpes vulpes`, one a class")
    return Project(found, facts, species, str(deployments), notes=notes)


def deployment_at(location: str, moment: str, project: Project | None) -> Deployment | None:
    """The deployment that was running at a location when the camera's clock showed `moment`; of
    several the first in the table, None if there is none, or `moment` is ""."""
    if project is None or not moment:
        return None
    return project.deployment_of(location, datetime.fromisoformat(moment))


def timezone_of(location: str, moment: str, project: Project | None) -> str | None:
    """The time zone of a camera's clock, such as Europe/Brussels or UTC+02:00; None = unknown.

    It is that of the deployment which was running; outside of all of them, or without a time, that
    of the location, if all of its deployments have the same.
    """
    running = deployment_at(location, moment, project)
    if running:
        return str(running.zone)
    zones = {str(item.zone) for item in project.deployments.get(location, ())} if project else set()
    return zones.pop() if len(zones) == 1 else None


def scientific_name(species: str | None, project: Project | None) -> str | None:
    """The scientific name of a class by the project file; None for what is unknown, is nobody's
    species, or is not told."""
    name = project.species.get(species, "") if project and species else ""
    return name.strip() or None


def locations_without(locations: Sequence[str], project: Project) -> list[str]:
    """The locations of photos at which the table has no deployment."""
    return sorted({*locations} - {*project.deployments})
