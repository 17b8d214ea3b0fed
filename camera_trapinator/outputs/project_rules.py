"""What Camtrap DP 1.0.2 asks of what people tell: the columns of deployments, the project's keys.

A rule takes a value and where it stands, and gives the faults that it finds. The facts are those of
the table schema of deployments, of the profile, and of the data package that it builds upon
(camtrap-dp.tdwg.org, specs.frictionlessdata.io/data-package).
"""

import difflib
import math
import re
from collections.abc import Callable, Iterator, Sequence

Rule = Callable[[object, str], Iterator[str]]

# The columns of the schema, in their order.
DEPLOYMENTS = [
    "deploymentID", "locationID", "locationName", "latitude", "longitude",
    "coordinateUncertainty", "deploymentStart", "deploymentEnd", "setupBy", "cameraID",
    "cameraModel", "cameraDelay", "cameraHeight", "cameraDepth", "cameraTilt", "cameraHeading",
    "detectionDistance", "timestampIssues", "baitUse", "featureType", "habitat",
    "deploymentGroups", "deploymentTags", "deploymentComments",
]
MISSING = ("", "NA", "NaN", "nan")  # what a reader takes for an empty cell
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
# Of numbers: the least and the most; whole ones are integers in the schema.
WHOLE = {"coordinateUncertainty": (1, math.inf), "cameraDelay": (0, math.inf),
         "cameraTilt": (-90, 90), "cameraHeading": (0, 360)}
NUMBERS = {"latitude": (-90, 90), "longitude": (-180, 180), "cameraHeight": (0, math.inf),
           "cameraDepth": (0, math.inf), "detectionDistance": (0, math.inf)}
YES_OR_NO = ("timestampIssues", "baitUse")
WORDS = {"true": "true", "yes": "true", "1": "true", "false": "false", "no": "false", "0": "false"}
FEATURES = ("roadPaved", "roadDirt", "trailHiking", "trailGame", "roadUnderpass", "roadOverpass",
            "roadBridge", "culvert", "burrow", "nestSite", "carcass", "waterSource",
            "fruitingTree")


def sound_cell(column: str, text: str) -> tuple[str, str]:
    """A cell of the table of deployments as the schema wants it, and what is wrong with it: ""
    if nothing is."""
    if column in WHOLE or column in NUMBERS:
        least, most = WHOLE.get(column) or NUMBERS[column]
        value = float(text) if NUMBER.fullmatch(text) else math.nan
        whole = column in WHOLE
        if not (least <= value <= most and math.isfinite(value) and (
                not whole or value.is_integer())):
            span = f"from {least} to {most}" if most < math.inf else f"of at least {least}"
            return text, (f"must be {'a whole' if whole else 'a'} number {span}"
                          + ", with a point and no comma" * ("," in text))
        return (str(int(value)) if whole else text), ""
    if column in YES_OR_NO:
        return WORDS.get(text.lower(), text), ("" if text.lower() in WORDS else
                                               "must be true or false")
    if column == "featureType" and text not in FEATURES:
        return text, f"must be {_either(FEATURES)}{_near(text, FEATURES)}"
    return text, ""


def missing(text: str) -> bool:
    """Whether readers of Camtrap DP take a cell for an empty one."""
    return text.strip() in MISSING


# --------------------------------------------------------------------------- of the project file


def text(value: object, where: str) -> Iterator[str]:
    if not isinstance(value, str):
        quoted = "" if isinstance(value, list | dict) else " in quotation marks"
        yield f"{where} {str(value)!r:.60} must be a text{quoted}"
    elif missing(value):
        yield f"{where} {value!r} must not be empty; fill it in, or delete it"


def matching(pattern: str, wanted: str) -> Rule:
    def rule(value: object, where: str) -> Iterator[str]:
        if not (isinstance(value, str) and re.fullmatch(pattern, value)):
            yield f"{where} {str(value)!r:.60} must be {wanted}"
    return rule


def one_of(*choices: str) -> Rule:
    def rule(value: object, where: str) -> Iterator[str]:
        if not (isinstance(value, str) and value in choices):
            yield (f"{where} {str(value)!r:.60} must be {_either(choices)}"
                   + _near(str(value), choices))
    return rule


def yes_or_no(value: object, where: str) -> Iterator[str]:
    if not isinstance(value, bool):
        yield f"{where} {str(value)!r:.60} must be true or false"


def above_nothing(value: object, where: str) -> Iterator[str]:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        yield f"{where} {str(value)!r:.60} must be a number above 0"


def list_of(rule: Rule, what: str, distinct: bool = False) -> Rule:
    def check(value: object, where: str) -> Iterator[str]:
        if not isinstance(value, list) or not value:
            yield f"{where} {str(value)!r:.60} must be a list of {what}"
            return
        for number, item in enumerate(value, start=1):
            yield from rule(item, f"{where}, {number}:")
        if distinct and any(item in value[:place] for place, item in enumerate(value)):
            yield f"{where} {str(value)!r:.60} names one of them twice"
    return check


def keys(rules: dict[str, Rule], *needed: str, either: Sequence[str] = ()) -> Rule:
    """Of a mapping: a rule for each key that it may have, those that it must have, and those of
    which it must have one."""
    def check(value: object, where: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{where} {str(value)!r:.60} must have the form {{{_first(rules)}: ...}}"
            return
        prefix = f"{where} " if where else ""
        for key in needed:
            if key not in value:
                yield f"{prefix}no {key}; Camtrap DP needs it"
        if either and not {*either} & {*value}:
            yield f"{prefix}has neither {' nor '.join(either)}; Camtrap DP needs one"
        for key, item in value.items():
            if key in rules:
                yield from rules[key](item, f"{prefix}{key}")
            else:
                yield (f"{prefix}{key!r:.40} is no key that is known"
                       + (_near(str(key), rules) or f"; there are {', '.join(rules)}"))
    return check


def licenses(value: object, where: str) -> Iterator[str]:
    yield from list_of(LICENSE, "licences")(value, where)
    if isinstance(value, list) and value and not {"data", "media"} <= {
            str(item.get("scope")) for item in value if isinstance(item, dict)}:
        yield f"{where} {str(value)!r:.60} must be a list with one for each scope, data and media"


def without_nothing(value: object) -> object:
    """The content of a YAML file without keys that have no value."""
    if isinstance(value, dict):
        return {key: without_nothing(item) for key, item in value.items() if item is not None}
    return [without_nothing(item) for item in value] if isinstance(value, list) else value


def _either(choices: Sequence[str]) -> str:
    return f"one of {', '.join(choices)}"


def _near(word: str, choices: Sequence[str]) -> str:
    near = difflib.get_close_matches(word.lower(), [choice.lower() for choice in choices], 1)
    return "".join(f"; did you mean {choice}?" for choice in choices if choice.lower() in near)


def _first(rules: dict) -> str:
    return next(iter(rules))


ADDRESS = matching(r"[A-Za-z][A-Za-z0-9+.-]*:[!#-;=?-\[\]_a-z~]+",
                   "a whole address such as https://example.org")
PATH = matching(r"(?!.*\.\.)[^./~].*", "an address such as https://example.org")
EMAIL = matching(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+", "an e-mail address such as ann@example.org")
LANGUAGE = r"[a-z]{3}"
PERSON = keys({"title": text, "role": one_of("contact", "principalInvestigator", "rightsHolder",
                                             "publisher", "contributor"),
               "email": EMAIL, "path": PATH, "organization": text, "firstName": text,
               "lastName": text}, "title")
LICENSE = keys({"scope": one_of("data", "media"),
                "name": matching(r"[-a-zA-Z0-9._]+", "a short name such as CC-BY-4.0"),
                "path": PATH, "title": text}, "scope", either=("name", "path"))


def vernacular_names(value: object, where: str) -> Iterator[str]:
    if not isinstance(value, dict) or not value:
        yield f"{where} {str(value)!r:.60} must have the form {{eng: roe deer}}"
        return
    for language, name in value.items():
        if not re.fullmatch(LANGUAGE, str(language)):
            yield (f"{where} {str(language)!r:.40} must be a language in three letters, such as "
                   "eng, fra or deu")
        yield from text(name, f"{where} {language}")


TAXON = keys({"scientificName": text, "taxonID": text, "taxonRank": one_of(
    "kingdom", "phylum", "class", "order", "family", "genus", "species", "subspecies"),
    "kingdom": text, "phylum": text, "class": text, "order": text, "family": text, "genus": text,
    "vernacularNames": vernacular_names}, "scientificName")
# Of the project itself, and, in PACKAGE, of the package about it.
PROJECT = {
    "title": text,
    "samplingDesign": one_of("simpleRandom", "systematicRandom", "clusteredRandom", "experimental",
                             "targeted", "opportunistic"),
    "captureMethod": list_of(one_of("activityDetection", "timeLapse"),
                             "activityDetection, timeLapse", distinct=True),
    "individualAnimals": yes_or_no,
}
DETAILS = {"id": text, "acronym": text, "description": text, "path": ADDRESS}
PACKAGE = {
    "contributors": list_of(PERSON, "people, each with a title (the name)"),
    "licenses": licenses, "id": text,
    "name": matching(r"[-a-z0-9._/]+", "of small letters, digits and . _ - /"),
    "description": text, "version": text, "keywords": list_of(text, "texts"), "homepage": ADDRESS,
    "sources": list_of(keys({"title": text, "path": PATH, "email": EMAIL, "version": text},
                            "title"), "sources, each with a title"),
    "bibliographicCitation": text, "references": list_of(text, "texts"),
    "coordinatePrecision": above_nothing,
    "gbifIngestion": keys({"observationLevel": one_of("event", "media")}, "observationLevel"),
}


def anything(_: object, __: str) -> Iterator[str]:
    return iter(())


# `species` is checked class by class; whoever writes Wildlife Insights' tables checks its own key.
PROJECT_FILE = keys({
    **PROJECT, "project": keys(DETAILS), **PACKAGE, "species": anything,
    "language": matching(LANGUAGE, "a language in three letters, such as eng, fra or deu"),
    "wildlife_insights": anything}, *PROJECT, "contributors")
