"""Where the cameras stood, told no more finely than the knob `coordinates`, to protect species.

As soon as there are `sensitive_species`, this is so at *all* deployments, found there or not: if
only some were generalised, these would be where to look. So it hangs on no prediction either, which
may miss the animal, or find it next time, when the exact place has been published.

Coordinates go to the middle of a cell of 1, 0.1, 0.01 or 0.001 degrees, never by chance: chance can
be averaged out (Chapman 2020, Current Best Practices for Generalizing Sensitive Species Occurrence
Data, doi 10.15468/doc-5jp4-5g10).
"""

import math
import re
from collections.abc import Iterator, Sequence
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

from .. import InputError
from .people import unknown_class
from .project import Deployment, Project
from .project_rules import NUMBERS, WHOLE

DROP = "drop"
DEGREE = 111_700  # metres, at most: of latitude, near a pole
AXES = ("latitude", "longitude")
# Columns of deployments in which people write where that is, in words of their own.
IN_WORDS = ("locationName", "habitat", "deploymentGroups", "deploymentTags", "deploymentComments")
PUBLISHED = ("camtrap_dp", "wildlife_insights")  # outputs that require coordinates


def check_sensitive(sensitive: Sequence[str], names: Sequence[str], coordinates: str = "",
                    outputs: Sequence[str] = ()) -> None:
    """Raises InputError if a sensitive species is no class, or the coordinates shall be dropped
    from `outputs` that require some. `names`: of all classes, the background first."""
    faults = [unknown_class(name, names) for name in sensitive if name not in names[1:]]
    if faults:
        raise InputError(f"sensitive_species: {'; also '.join(faults)}")
    if sensitive and coordinates == DROP and (needed := [
            name for name in PUBLISHED if name in outputs]):
        raise InputError(f"coordinates: drop leaves none, and {' and '.join(needed)} must have "
                         "some; set coordinates: 1 (a degree, some 100 km), or leave "
                         f"{' and '.join(needed)} out of outputs")


def generalised(project: Project, step: str) -> Project:
    """The project as it may be published: coordinates to `step` degrees ("drop": none), how unsure
    they are then, and nothing that tells places in words.

    Raises InputError, with all of them, for texts that stay and tell coordinates more finely.
    """
    if told := [*_told_in_texts(project, step)]:
        raise InputError("; also ".join(told[:20]))
    deployments = {location: [item._replace(row=_row(item.row, step)) for item in items]
                   for location, items in project.deployments.items()}
    facts = dict(project.facts)
    if step != DROP:
        known = facts.get("coordinatePrecision", 0)
        facts["coordinatePrecision"] = max(float(step),
                                           known if isinstance(known, int | float) else 0)
    return project._replace(deployments=deployments, facts=facts)


def describe_generalised(project: Project, step: str) -> str:
    """What was done to the coordinates, in words."""
    number = sum(map(len, project.deployments.values()))
    how = "have none" if step == DROP else f"are told to {step} degrees"
    return (f"sensitive_species: the coordinates of all {number} deployments {how}; columns that "
            "tell places in words stay empty (docs/privacy.md)")


def rounded(text: str, step: str) -> str:
    """Degrees, as a text, to the nearest multiple of `step`, which is the middle of its cell."""
    cell = (Decimal(text) / Decimal(step)).to_integral_value(ROUND_HALF_UP) * Decimal(step)
    return format(cell + 0, "f")  # no -0.0


def _row(row: dict[str, str], step: str) -> dict[str, str]:
    row = {name: cell for name, cell in row.items() if name not in IN_WORDS}
    if step == DROP:
        row.pop("coordinateUncertainty", None)
        return {**row, **dict.fromkeys(AXES, "")}
    row |= {name: rounded(row[name], step) for name in AXES}
    # Half the diagonal of the cell where it is widest, and what was not sure before. It is made of
    # the rounded latitude: of the exact one it would tell that.
    half = float(step) / 2
    nearest = max(0.0, abs(float(row["latitude"])) - half)  # to the equator
    reach = math.hypot(half * DEGREE, half * DEGREE * math.cos(math.radians(nearest)))
    row["coordinateUncertainty"] = str(
        math.ceil(reach) + int(row.get("coordinateUncertainty", 0)))
    return row


def _told_in_texts(project: Project, step: str) -> Iterator[str]:
    """Where a text that is published, such as a location's name, tells coordinates more finely than
    to `step` degrees."""
    # One digit more than `step` has; two at least, as many a height or version has one.
    digits = max(2, 1 - Decimal(0 if step == DROP else step).as_tuple().exponent)
    unit, hidden = Decimal(1).scaleb(-digits), set()
    for degrees in {item.row[axis] for items in project.deployments.values() for item in items
                    for axis in AXES}:
        value = abs(Decimal(degrees))
        if step == DROP or value != Decimal(rounded(str(value), step)):
            hidden |= {value.quantize(unit, mode) for mode in (ROUND_DOWN, ROUND_HALF_UP)}

    def told(text: str) -> bool:
        return any(Decimal(f"{whole}.{fraction[:digits]}") in hidden for whole, fraction in
                   re.findall(rf"([0-9]+)[.,]([0-9]{{{digits},}})", text))

    for text in _texts(project.facts):
        if told(text):
            yield (f"project_file: {text!r:.80} tells a coordinate more finely than coordinates: "
                   f"{step}; delete it there")
    for location, items in project.deployments.items():
        for text, what in {**_cells(items), location: "location"}.items():
            if told(text):
                yield (f"deployments_file: {what} {text!r} tells a coordinate more finely than "
                       f"coordinates: {step}; give it another name"
                       + " (and the folder of photos that is called so)" * (what == "location"))


def _texts(facts: object) -> Iterator[str]:
    """All that stands in a project file, apart from names of keys."""
    if isinstance(facts, dict | list):
        for item in facts.values() if isinstance(facts, dict) else facts:
            yield from _texts(item)
    else:
        yield str(facts)


def _cells(items: Sequence[Deployment]) -> dict[str, str]:
    """The texts of these deployments, and which column each is of."""
    return {cell: name for item in items for name, cell in item.row.items()
            if name not in (*AXES, *IN_WORDS, *WHOLE, *NUMBERS)}
