"""Camtrap DP: valid for frictionless by the schemas' rules, and nothing in it is invented."""

import csv
import json
import re

import pytest
import yaml
from conftest import error_line, run_script
from frictionless import Package
from prediction_records import FULL_INFO, predicted, with_box, write_records

from camera_trapinator import InputError
from camera_trapinator.outputs.blobs import failure_record
from camera_trapinator.outputs.camtrap_dp import read_project, write_camtrap_dp

CLASSES = ["fox", "snow hare", "person"]
INFO = {**FULL_INFO, "classes": [{"name": name, "colour": [0, 0, 0]}
                            for name in ["background", *CLASSES]]}
HEADER = ["deploymentID", "location", "latitude", "longitude", "start", "end", "timezone"]
ROWS = [["d1", "north", "51.2", "5.6", "2024-04-01", "2024-05-01 12:00:00", "Europe/Brussels"],
        ["d2", "north", "51.2", "5.6", "2024-05-01 12:00:01", "2024-06-01", "Europe/Brussels"],
        ["d3", "south", "-33.1", "-70.25", "2024-05-01", "2024-05-31", "-04:00"]]
FACTS = {"title": "Foxes of the north", "samplingDesign": "systematicRandom",
         "captureMethod": ["activityDetection"], "individualAnimals": False,
         "contributors": [{"title": "Ann Example", "role": "contact"}],
         "species": {"fox": "Vulpes vulpes", "snow hare": "Lepus timidus"}}

# The rules of the schemas 1.0.2 for what is written: type, required, and further constraints.
MOMENT = {"type": "datetime", "format": "%Y-%m-%dT%H:%M:%S%z"}
SHARE = {"type": "number", "constraints": {"minimum": 0, "maximum": 1}}
NEEDED = {"constraints": {"required": True}}
KEY = {"type": "string", "constraints": {"required": True, "unique": True}}
SIDE = {"type": "number", "constraints": {"minimum": 1e-15, "maximum": 1}}
SCHEMAS = {
    "deployments": {
        "deploymentID": KEY, "latitude": {"type": "number", "constraints": {
            "required": True, "minimum": -90, "maximum": 90}},
        "longitude": {"type": "number", "constraints": {
            "required": True, "minimum": -180, "maximum": 180}},
        "deploymentStart": {**MOMENT, **NEEDED}, "deploymentEnd": {**MOMENT, **NEEDED}},
    "media": {
        "mediaID": KEY, "deploymentID": {"type": "string", **NEEDED},
        "captureMethod": {"type": "string", "constraints": {
            "enum": ["activityDetection", "timeLapse"]}},
        "timestamp": {**MOMENT, **NEEDED},
        "filePath": {"type": "string", "constraints": {
            "required": True, "pattern": r"^(?=^[^./~])(^((?!\.{2}).)*$).*$"}},
        "filePublic": {"type": "boolean", **NEEDED}, "fileMediatype": {"type": "string", **NEEDED}},
    "observations": {
        "observationID": KEY, "deploymentID": {"type": "string", **NEEDED},
        "eventStart": {**MOMENT, **NEEDED}, "eventEnd": {**MOMENT, **NEEDED},
        "observationLevel": {"type": "string", "constraints": {
            "required": True, "enum": ["media", "event"]}},
        "observationType": {"type": "string", "constraints": {"required": True, "enum": [
            "animal", "human", "vehicle", "blank", "unknown", "unclassified"]}},
        "count": {"type": "integer", "constraints": {"minimum": 1}},
        "bboxX": SHARE, "bboxY": SHARE, "bboxWidth": SIDE, "bboxHeight": SIDE,
        "classificationMethod": {"type": "string", "constraints": {"enum": ["human", "machine"]}},
        "classificationTimestamp": MOMENT, "classificationProbability": SHARE},
}
FOREIGN = {"deployments": [], "media": [("deploymentID", "deployments")],
           "observations": [("deploymentID", "deployments"), ("mediaID", "media")]}


def write_inputs(folder, rows=ROWS, header=HEADER, **changed):
    with open(folder / "deployments.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    facts = {key: value for key, value in {**FACTS, **changed}.items() if value is not None}
    (folder / "project.yaml").write_text(yaml.safe_dump(facts), encoding="utf-8")
    return folder / "deployments.csv", folder / "project.yaml"


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


def write(tmp_path, records, **changed):
    project = read_project(*write_inputs(tmp_path, **changed), CLASSES, ["north", "south"])
    path = write_records(tmp_path / "p.jsonl", records, INFO)
    return write_camtrap_dp(path, tmp_path / "dp", project, ["n#1", "", "", "", ""][:len(records)])


def validate(folder) -> dict:
    """Validate a package with frictionless; its rows by table."""
    package = json.loads((folder / "datapackage.json").read_text(encoding="utf-8"))
    assert re.search(r"1\.0", package.pop("profile"))
    for resource in package["resources"]:
        assert resource["schema"].endswith(f"1.0.2/{resource['name']}-table-schema.json")
        with open(folder / resource["path"], newline="", encoding="utf-8") as file:
            header = next(csv.reader(file))
        rules = SCHEMAS[resource["name"]]
        assert set(rules) <= set(header)
        resource["schema"] = {
            "fields": [{"name": name, "type": "string", **rules.get(name, {})} for name in header],
            "missingValues": [""],
            "foreignKeys": [{"fields": field, "reference": {"resource": table, "fields": field}}
                            for field, table in FOREIGN[resource["name"]]]}
    report = Package.from_descriptor(package, basepath=str(folder)).validate()
    assert report.valid, report.flatten(["rowNumber", "fieldName", "message"])
    tables = {}
    for resource in package["resources"]:
        with open(folder / resource["path"], newline="", encoding="utf-8") as file:
            tables[resource["name"]] = list(csv.DictReader(file))
    return tables


def test_the_package_is_valid_and_tells_what_the_records_tell(tmp_path):
    records = some_records()
    assert write(tmp_path, records) == 1  # gone.jpg has no time
    tables = validate(tmp_path / "dp")
    assert [(row["filePath"], row["deploymentID"], row["timestamp"], row["fileMediatype"])
            for row in tables["media"]] == [
        ("north/a.jpg", "d1", "2024-04-30T10:00:00+02:00", "image/jpeg"),
        ("north/b.JPG", "d2", "2024-05-02T10:00:00+02:00", "image/jpeg"),
        ("south/c.png", "d3", "2024-05-31T23:59:00-04:00", "image/png"),
        ("south/torn.jpg", "d3", "2024-05-20T01:02:03-04:00", "image/jpeg")]
    media = {row["mediaID"]: row["filePath"] for row in tables["media"]}
    found = [(media[row["mediaID"]], row["observationType"], row["scientificName"], row["count"])
             for row in tables["observations"]]
    three = [("animal", "Vulpes vulpes", "1"), ("human", "Homo sapiens", "1"),
             ("animal", "Lepus timidus", "1")]
    assert found == [*(("north/a.jpg", *rest) for rest in three),
                     ("north/b.JPG", "blank", "", ""),
                     *(("south/c.png", *rest) for rest in three),
                     ("south/torn.jpg", "unclassified", "", "")]
    first = tables["observations"][0]
    assert [float(first[f"bbox{name}"]) for name in ("X", "Y", "Width", "Height")] == [
        pytest.approx(value, abs=1e-5) for value in (50 / 60, 0, 10 / 60, 10 / 40)]
    assert first["eventID"] == "n#1" and first["classificationMethod"] == "machine"
    assert tables["deployments"][0]["deploymentEnd"] == "2024-05-01T12:00:00+02:00"
    assert tables["deployments"][2]["deploymentEnd"] == "2024-05-31T23:59:59-04:00"


def test_the_package_describes_project_space_and_time(tmp_path):
    licenses = [{"name": "CC0-1.0", "scope": scope} for scope in ("data", "media")]
    write(tmp_path, some_records(), licenses=licenses)
    package = json.loads((tmp_path / "dp/datapackage.json").read_text(encoding="utf-8"))
    assert package["project"] == {
        "title": FACTS["title"], "samplingDesign": "systematicRandom", "individualAnimals": False,
        "captureMethod": ["activityDetection"], "observationLevel": ["media"]}
    assert package["spatial"]["coordinates"] == [[5.6, 51.2], [5.6, 51.2], [-70.25, -33.1]]
    assert package["temporal"] == {"start": "2024-04-01", "end": "2024-06-01"}
    assert package["taxonomic"] == [{"scientificName": "Vulpes vulpes"},
                                    {"scientificName": "Lepus timidus"}]
    assert package["licenses"] == licenses and package["contributors"] == FACTS["contributors"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", package["created"])


def changed_row(**cells):
    return [[cells.get(name, value) for name, value in zip(HEADER, ROWS[0], strict=True)],
            *ROWS[1:]]


@pytest.mark.parametrize(("change", "part"), [
    ({"rows": changed_row(timezone="")}, "deployments.csv, line 2: timezone is empty"),
    ({"rows": changed_row(timezone="CEST+1")}, "line 2: timezone 'CEST.1' is not known"),
    ({"rows": changed_row(latitude="51,2")}, "line 2: latitude '51,2' is no number of degrees"),
    ({"rows": changed_row(latitude="95")}, "line 2: latitude '95'"),
    ({"rows": changed_row(start="01.04.2024")}, "line 2: start '01.04.2024' is no local time"),
    ({"rows": changed_row(end="2023-01-01")}, "line 2: end 2023-01-01 is before start"),
    ({"rows": changed_row(deploymentID="d2")}, "line 3: a second deployment 'd2'"),
    ({"rows": ROWS[:2]}, "deployments.csv: no deployment at the location 'south'"),
    ({"header": [*HEADER[:6], "zone"]}, "no column 'timezone'"),
    ({"title": None}, "project.yaml: no title"),
    ({"samplingDesign": "random"}, "samplingDesign 'random' must be one of simpleRandom"),
    ({"captureMethod": "timeLapse"}, "captureMethod 'timeLapse' must be a list"),
    ({"individualAnimals": "no"}, "individualAnimals 'no' must be true or false"),
    ({"contributors": []}, "contributors .* must be a list of people"),
    ({"licenses": [{"scope": "data"}]}, "licenses .* one for each scope"),
    ({"species": {"fox": "Vulpes vulpes"}}, "no scientific name for 'snow hare'"),
])
def test_what_is_missing_or_wrong_is_refused(tmp_path, change, part):
    with pytest.raises(InputError, match=part) as refused:
        read_project(*write_inputs(tmp_path, **change), CLASSES, ["north", "south"])
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("file", "time", "part"), [
    ("north/a.jpg", "", "north/a.jpg: no datetime"),
    ("north/a.jpg", "2024-03-31 23:59:59", "taken at 2024-03-31 23:59:59, when no deployment"),
    ("north/a..b.jpg", "2024-05-02 10:00:00", "two dots"),
    (".hidden.jpg", "2024-05-02 10:00:00", "with a dot"),
])
def test_no_time_and_no_path_is_invented(tmp_path, file, time, part):
    record = predicted(file, with_box(5, 5, 9, 9), location="north", datetime=time)
    with pytest.raises(InputError, match=part):
        write(tmp_path, [record])
    assert not (tmp_path / "dp/datapackage.json").exists()


def test_the_script_refuses_before_it_predicts(trained, own_data, tmp_path):
    command = ["test.py", "--run", "shapes", "--images", own_data / "photos", "--out",
               tmp_path / "out", "outputs=camtrap_dp"]
    assert "deployments_file: camtrap_dp needs it" in error_line(run_script(*command, runs=trained))
    table, facts = write_inputs(tmp_path, species={"fox": "Vulpes vulpes"})
    line = error_line(run_script(*command, f"deployments_file={table}", f"project_file={facts}",
                                 runs=trained))
    assert "no deployment at the location 'site0'" in line
    assert not (tmp_path / "out/predictions.jsonl").exists()
