"""The official schemas of Camtrap DP 1.0.2 as the judge: what is taken passes them, and what they
refuse is refused before the prediction, by the name of its column or key."""

import csv
import json
import random

import pytest
from camtrap_packages import (
    FACTS,
    HEADER,
    ROWS,
    SCHEMAS,
    official_faults,
    profile_faults,
    read,
    some_records,
    with_column,
    write,
)

from camera_trapinator import InputError
from camera_trapinator.outputs.camtrap_dp import MEDIA, OBSERVATIONS
from camera_trapinator.outputs.project_rules import DEPLOYMENTS

pytestmark = pytest.mark.skipif(not SCHEMAS.is_dir(), reason="no ../shared/schemas here")


def fields_of(table: str) -> list[dict]:
    return json.loads((SCHEMAS / f"{table}-table-schema.json").read_text())["fields"]


def wrong_values(field: dict) -> list[str]:
    """Values that a field's type and constraints do not allow."""
    limits = field["constraints"]
    found = {"integer": ["1.5", "x"], "number": ["1,5", "x"], "boolean": ["maybe"]}.get(
        field["type"], [])
    found = [*found, *(str(limits[end] + step) for end, step in (("minimum", -1), ("maximum", 1))
                       if end in limits)]
    return found + ["volcano"] * ("enum" in limits) + [""] * limits["required"]


def columns_to_break() -> list[tuple[str, str]]:
    if not SCHEMAS.is_dir():
        return []
    return [(field["name"], value) for field in fields_of("deployments")
            for value in wrong_values(field) if not field["name"].startswith("deploymentS")
            and field["name"] != "deploymentEnd"]  # their times are made from start and end


def test_the_columns_are_those_of_the_schemas():
    for table, columns in (("deployments", DEPLOYMENTS), ("media", MEDIA),
                           ("observations", OBSERVATIONS)):
        assert [field["name"] for field in fields_of(table)] == columns


def test_a_package_passes_the_official_schemas(tmp_path):
    write(tmp_path, some_records())
    assert official_faults(tmp_path / "dp") == []


@pytest.mark.parametrize(("column", "value"), columns_to_break())
def test_a_cell_that_the_schema_refuses_is_refused_before(tmp_path, column, value):
    with pytest.raises(InputError, match=f"deployments.csv, line 2: {column} "):
        read(tmp_path, **with_column(column, value))
    # ... and, put into the package, by the schema itself.
    write(tmp_path, some_records())
    path = tmp_path / "dp/deployments.csv"
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    rows[0][column] = value
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, DEPLOYMENTS)
        writer.writeheader()
        writer.writerows(rows)
    assert any(fault.startswith(f"{column}:") or f'"{column}"' in fault or "unique" in fault
               for fault in official_faults(tmp_path / "dp"))


PERSON, DATA = {"title": "A"}, {"scope": "data", "name": "CC0-1.0"}
MEDIA_LICENSE = {"scope": "media", "path": "https://example.org/license"}
TAXON = {"scientificName": "Vulpes vulpes"}
FAULTY = [  # what stands in the project file; where in the package; what is named
    *[({key: value}, ("project", key), key) for key, value in (
        ("title", 5), ("samplingDesign", "random"), ("captureMethod", []),
        ("captureMethod", ["video"]), ("captureMethod", ["timeLapse"] * 2),
        ("captureMethod", "timeLapse"), ("individualAnimals", "yes"))],
    *[({"project": {key: value}}, ("project", key), key) for key, value in (
        ("id", 5), ("acronym", 5), ("description", 5), ("path", 5), ("path", "no address"))],
    *[({"contributors": people}, ("contributors",), "contributors") for people in (
        [], ["Ann"], [{"role": "contact"}], [{**PERSON, "role": "author"}],
        [{**PERSON, "email": "ann.example.org"}], [{**PERSON, "path": "../ann"}],
        [{"title": 5}], [{**PERSON, "organization": 5}])],
    *[({"licenses": found}, ("licenses",), "licenses") for found in (
        [DATA], [{"name": "CC0-1.0"}, MEDIA_LICENSE], [{**DATA, "scope": "photos"}, MEDIA_LICENSE],
        [{"scope": "data"}, MEDIA_LICENSE], [{**DATA, "name": "CC BY"}, MEDIA_LICENSE],
        [DATA, {**MEDIA_LICENSE, "path": "/license"}])],
    *[({key: value}, (key,), key) for key, value in (
        ("id", 5), ("name", "My Package"), ("description", 5), ("version", 1.0), ("keywords", []),
        ("keywords", [5]), ("homepage", "no address"), ("sources", [{"path": "a"}]),
        ("bibliographicCitation", 5), ("references", [5]), ("coordinatePrecision", "0.01"))],
    *[({"species": {**FACTS["species"], "fox": taxon}}, ("taxonomic", 0), "fox") for taxon in (
        {"taxonRank": "species"}, {**TAXON, "taxonRank": "breed"}, {**TAXON, "taxonID": 5},
        {**TAXON, "family": 5}, {"scientificName": 5},
        {**TAXON, "vernacularNames": {"english": "fox"}},
        {**TAXON, "vernacularNames": {"eng": 5}}, {**TAXON, "vernacularNames": "fox"})],
]


@pytest.mark.parametrize(("change", "place", "named"), FAULTY)
def test_a_fact_that_the_profile_refuses_is_refused_before(tmp_path, change, place, named):
    with pytest.raises(InputError, match=f"project.yaml: .*{named}"):
        read(tmp_path, **change)
    write(tmp_path, some_records())
    package = json.loads((tmp_path / "dp/datapackage.json").read_text(encoding="utf-8"))
    assert profile_faults(package) == []
    inner = package
    for key in place[:-1]:
        inner = inner[key]
    value = change[next(iter(change))]
    inner[place[-1]] = value["fox"] if "species" in change else (
        value[place[-1]] if "project" in change else value)
    assert profile_faults(package), "the profile does not refuse it: is it needed?"


@pytest.mark.parametrize("key", [*(key for key in FACTS if key != "species"), "scientificName"])
def test_what_the_profile_requires_is_required(tmp_path, key):
    change = {"species": {"snow hare": {}}} if key == "scientificName" else {key: None}
    with pytest.raises(InputError, match=f"project.yaml: .*no {key}"):
        read(tmp_path, **change)


POOL = {
    "deploymentID": ["d1", "x y", "=1", "Ü", "NA", ""],
    "latitude": ["1", "-0", "+5.", "90", "91", "n"],
    "longitude": ["0", ".5", "1e2", "180", "1e3", "0x1"],
    "start": ["2024-04-01", "2024-04-30 23:59", "2024-4-1"],
    "end": ["2024-06-01", "2024-06-30T10:00:00.5", "2024-06-31"],
    "timezone": ["Z", "UTC", "-0930", "+05:45", "America/Lima", "Europe", "5"],
    "coordinateUncertainty": ["1", "30.0", "", "0", "1e2", "many"],
    "cameraDelay": ["0", "-1", "nan", "1_0"], "cameraHeight": ["0", "1.2", "-0.1", "1 m"],
    "cameraTilt": ["-90", "+10", "91"], "cameraHeading": ["360", "361", "٣"],
    "detectionDistance": ["12.5", "inf", "1e999"], "timestampIssues": ["TRUE", "no", "2"],
    "baitUse": ["yes", "0", "perhaps"], "featureType": ["culvert", "NA", "Culvert"],
    "habitat": ["heath", "=SUM(A1)", "a\nb", "nan"], "deploymentTags": ["a | b:c", ""],
    "cameraModel": ["Reconyx, HF2X", '"', ""], "locationID": ["L1", "NaN"],
    "deploymentStart": ["yesterday"],
}
FACT_POOL = {
    "title": ["Ä", " x ", "", None], "samplingDesign": ["targeted", "simple random"],
    "captureMethod": [["timeLapse", "activityDetection"], ["timeLapse"], [None]],
    "individualAnimals": [True, 1],
    "contributors": [[{"title": "A", "email": "a.b@c.d.org", "path": "https://orcid.org/0"}],
                     [{"title": "A", "role": "publisher", "organization": None}],
                     [{"title": "A", "email": "a@b"}], [{"title": "A", "path": "a/../b"}]],
    "licenses": [[DATA, MEDIA_LICENSE], [{**DATA, "path": "x", "title": "T"}, MEDIA_LICENSE, DATA],
                 [MEDIA_LICENSE], {}],
    "homepage": ["https://example.org/?a=[1]&b#c", "www.example.org"], "id": ["doi:10.1/2", "", 7],
    "name": ["a-b/c.1", "A"], "keywords": [["a", "b"], "a"],
    "sources": [[{"title": "Agouti", "version": "1"}], [{}]],
    "coordinatePrecision": [0.001, 1, 0, float("nan"), True],
    "references": [["https://doi.org/10.1"], [""]],
    "gbifIngestion": [{"observationLevel": "media"}],
    "species": [{"fox": {**TAXON, "taxonRank": "species", "vernacularNames": {"deu": "Fuchs"}},
                 "snow hare": "Vulpes vulpes", "wolf": 5}, FACTS["species"], {"fox": "NA"}],
    "language": ["deu", "german"], "project": [{"id": "p", "path": "https://a.b"}, {"url": "x"}],
}


def test_whatever_is_taken_passes_the_official_schemas(tmp_path):
    """Random tables and project files: refused in words, or a package that is sound."""
    taken = refused = 0
    for seed in range(80):
        draw = random.Random(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()

        def some(pool, draw=draw):
            return pool[0] if draw.random() < 0.7 else draw.choice(pool[:2]) if (
                draw.random() < 0.9) else draw.choice(pool)

        columns = draw.sample([name for name in POOL if name not in HEADER], 6)
        first = [some(POOL[name]) if name in POOL else "north" for name in [*HEADER, *columns]]
        rows = [first, [*ROWS[2], *(some(POOL[name]) for name in columns)]]
        facts = {key: some(FACT_POOL[key]) for key in draw.sample(list(FACT_POOL), 6)}
        try:
            write(folder, some_records(), header=[*HEADER, *columns], rows=rows, **facts)
        except InputError as error:
            assert "\n" not in str(error) or "\n" in "".join(first)
            refused += 1
            continue
        assert official_faults(folder / "dp") == [], (rows, facts)
        taken += 1
    assert taken > 15 and refused > 15
