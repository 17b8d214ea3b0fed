"""What Camtrap DP needs of people, packages of generated records, and the official schemas' word.

The schemas lie in ../shared/schemas, where developers have them. The profile builds upon two others
that are elsewhere: GeoJSON comes with frictionless, and of data packages, BASE is what the profile
does not narrow (specs.frictionlessdata.io/data-package).
"""

import csv
import json
from pathlib import Path

import frictionless
import yaml
from conftest import ROOT
from frictionless import Package, system
from jsonschema import Draft4Validator, FormatChecker
from prediction_records import FULL_INFO, predicted, with_box, write_records
from referencing import Registry
from referencing.jsonschema import DRAFT4

from camera_trapinator.outputs.blobs import failure_record
from camera_trapinator.outputs.camtrap_dp import write_camtrap_dp
from camera_trapinator.outputs.project import read_project

SCHEMAS = ROOT.parent / "shared" / "schemas" / "camtrap_dp_1.0.2"
CLASSES = ["fox", "snow hare", "person"]
INFO = {**FULL_INFO, "classes": [{"name": name, "colour": [0, 0, 0]}
                                 for name in ["background", *CLASSES]]}
HEADER = ["deploymentID", "location", "latitude", "longitude", "start", "end", "timezone"]
ROWS = [["d1", "north", "51.2", "5.6", "2024-04-01", "2024-05-01 12:00:00", "Europe/Brussels"],
        ["d2", "north", "51.2", "5.6", "2024-05-01 12:00:01", "2024-06-01", "Europe/Brussels"],
        ["d3", "south", "-33.1", "-70.25", "2024-05-01", "2024-05-31", "-04:00"]]
FACTS = {"title": "Foxes of the north", "samplingDesign": "systematicRandom",
         "captureMethod": ["activityDetection"], "individualAnimals": False,
         "contributors": [{"title": "Ann Example", "role": "contact", "email": "ann@example.org"}],
         "species": {"fox": "Vulpes vulpes", "snow hare": "Lepus timidus"}}
PATH = r"^(?=^[^./~])(^((?!\.{2}).)*$).*$"
BASE = {
    "type": "object", "required": ["resources"], "properties": {
        "name": {"type": "string", "pattern": "^([-a-z0-9._/])+$"},
        **dict.fromkeys(("id", "title", "description", "version", "image"), {"type": "string"}),
        "homepage": {"type": "string", "format": "uri"},
        "keywords": {"type": "array", "minItems": 1, "items": {"type": "string"}},
        "contributors": {"type": "array", "minItems": 1, "items": {
            "type": "object", "required": ["title"], "properties": {
                "title": {"type": "string"}, "path": {"type": "string", "pattern": PATH},
                "email": {"type": "string", "format": "email"},
                "organization": {"type": "string"}, "role": {"type": "string"}}}},
        "licenses": {"type": "array", "minItems": 1, "items": {
            "type": "object", "anyOf": [{"required": ["name"]}, {"required": ["path"]}],
            "properties": {"name": {"type": "string", "pattern": "^([-a-zA-Z0-9._])+$"},
                           "path": {"type": "string", "pattern": PATH},
                           "title": {"type": "string"}}}},
        "sources": {"type": "array", "items": {
            "type": "object", "required": ["title"], "properties": {
                "title": {"type": "string"}, "path": {"type": "string", "pattern": PATH},
                "email": {"type": "string", "format": "email"}}}}}}


def write_inputs(folder, rows=ROWS, header=HEADER, **changed):
    """The table of deployments and the project file; a fact that is None is not in it."""
    with open(folder / "deployments.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    facts = {key: value for key, value in {**FACTS, **changed}.items() if value is not None}
    (folder / "project.yaml").write_text(yaml.safe_dump(facts), encoding="utf-8")
    return folder / "deployments.csv", folder / "project.yaml"


def read(folder, locations=("north", "south"), classes=CLASSES, times=(), **changed):
    return read_project(*write_inputs(folder, **changed), classes, locations, times)


def changed_row(header=HEADER, **cells):
    """The rows with other cells in the first one."""
    return [[cells.get(name, value) for name, value in zip(header, ROWS[0], strict=True)],
            *ROWS[1:]]


def with_column(name: str, value: str) -> dict:
    """What `write_inputs` takes for a cell of any column in the first deployment."""
    if name in HEADER:
        return {"rows": changed_row(**{name: value})}
    return {"header": [*HEADER, name],
            "rows": [[*row, value if not number else ""] for number, row in enumerate(ROWS)]}


def some_records() -> list[dict]:
    mask = with_box(0, 50, 10, 10) + with_box(20, 5, 8, 8, species=2) + with_box(
        30, 40, 9, 9, species=3)
    return [
        predicted("north/a.jpg", mask, location="north", datetime="2024-04-30 10:00:00"),
        predicted("north/b.JPG", 0 * mask, location="north", datetime="2024-05-02 10:00:00"),
        predicted("south/c.png", mask, location="south", datetime="2024-05-31 23:59:00"),
        failure_record("south/torn.jpg", "truncated", location="south",
                       datetime="2024-05-20 01:02:03"),
        failure_record("south/gone.jpg", "no picture", location="south")]


def write(folder, records, sequences=None, **changed) -> list[str]:
    """Write a package to folder/dp; returns what is told of it."""
    project = read(folder, **changed)
    path = write_records(folder / "p.jsonl", records, INFO)
    return write_camtrap_dp(path, folder / "dp", project, sequences or [
        "north_0001", "", "", "", ""][:len(records)])


def tables_of(folder) -> dict[str, list[dict]]:
    tables = {}
    for name in ("deployments", "media", "observations"):
        with open(folder / f"{name}.csv", newline="", encoding="utf-8") as file:
            tables[name] = list(csv.DictReader(file))
    return tables


def official_faults(folder) -> list[str]:
    """What the official schemas say against a package: of its tables, and of its descriptor."""
    package = json.loads((folder / "datapackage.json").read_text(encoding="utf-8"))
    found = profile_faults(package)
    package.pop("profile")
    for resource in package["resources"]:
        resource["schema"] = json.loads((SCHEMAS / Path(resource["schema"]).name).read_text())
    with system.use_context(trusted=True):
        report = Package.from_descriptor(package, basepath=str(folder)).validate()
    return found + [f"{error[0]}: {error[1]}" for error in report.flatten(
        ["fieldName", "message"])]


def profile_faults(package: dict) -> list[str]:
    profile = json.loads((SCHEMAS / "camtrap-dp-profile.json").read_text())
    geojson = Path(frictionless.__file__).parent / "assets/profiles/geojson.json"
    others = {"https://specs.frictionlessdata.io/schemas/data-package.json": BASE,
              "http://json.schemastore.org/geojson.json": json.loads(geojson.read_text())}
    formats = FormatChecker(["email", "date"])
    formats.checks("uri")(lambda text: not isinstance(text, str) or (
        text.partition(":")[0].isalpha() and ":" in text and " " not in text))
    validator = Draft4Validator(profile, format_checker=formats, registry=Registry().with_resources(
        (address, DRAFT4.create_resource(schema)) for address, schema in others.items()))
    return [f"{'.'.join(map(str, error.path))}: {error.message}"
            for error in validator.iter_errors(package)]
