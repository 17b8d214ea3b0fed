"""Wildlife Insights: the columns of its templates, and nothing in them is invented."""

import csv

import pytest
import yaml
from camtrap_packages import CLASSES, HEADER, INFO, ROWS
from prediction_records import predicted, rows_of, with_box, write_records

from camera_trapinator import InputError
from camera_trapinator.outputs.blobs import failure_record
from camera_trapinator.outputs.project import read_project
from camera_trapinator.outputs.wildlife_insights import (
    check_wildlife_insights,
    write_wildlife_insights,
)

FACTS = {"title": "Foxes of the north", "samplingDesign": "systematicRandom",
         "captureMethod": ["activityDetection"], "individualAnimals": False,
         "contributors": [{"title": "Ann Example", "role": "contact"}],
         "species": {"fox": "Vulpes vulpes", "snow hare": "Lepus timidus"}}
TOLD = {"project_id": 2001234, "images": "gs://bucket/foxes/",
        "project": {"country_code": "BEL", "project_bait_use": False},
        "deployments": {"camera_functioning": "Camera Functioning"},
        "taxa": {"fox": {"wi_taxon_id": "01b2", "class": "Mammalia", "common_name": "Red Fox"}}}
# The columns of the template's example (Cafe Fauna) with those that came later.
COLUMNS = {"projects": 24, "cameras": 6, "deployments": 27, "images": 24}


def project_of(folder, told=TOLD, **columns):
    with open(folder / "deployments.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([[*HEADER, *columns],
                                    *([*row, *columns.values()] for row in ROWS)])
    facts = {**FACTS, "wildlife_insights": told}
    (folder / "project.yaml").write_text(yaml.safe_dump(facts), encoding="utf-8")
    project = read_project(folder / "deployments.csv", folder / "project.yaml", CLASSES, ["north"])
    check_wildlife_insights(project, folder / "project.yaml", CLASSES)
    return project


def write(folder, records, **columns):
    told = write_wildlife_insights(write_records(folder / "p.jsonl", records, INFO),
                                   folder / "wi", project_of(folder, **columns),
                                   ["north_0001", "north_0001", "", "", "", ""][:len(records)])
    return told, {name: rows_of(folder / "wi" / f"{name}.csv") for name in COLUMNS}


def test_each_photo_and_species_is_a_row(tmp_path):
    mask = with_box(0, 50, 10, 10) + with_box(31, 1, 8, 8, species=2) + with_box(
        1, 25, 8, 8, species=2) + with_box(30, 40, 9, 9, species=3)
    told, tables = write(tmp_path, [
        predicted("north/a.jpg", mask, location="north", datetime="2024-04-30 10:00:00"),
        predicted("north/b.jpg", 0 * mask, location="north", datetime="2024-04-30 10:00:03"),
        predicted("south/c.jpg", with_box(5, 5, 9, 9), sure=0.2, unknown_below=0.5,
                  location="south", datetime="2024-05-31 23:59:00"),
        predicted("south/d.jpg", mask, location="south", datetime="2024-07-01 00:00:00"),
        predicted("south/e.jpg", mask, location="south"),
        failure_record("south/f.jpg", "torn", location="south", datetime="2024-05-20 01:02:03")])
    for name, number in COLUMNS.items():
        with open(tmp_path / "wi" / f"{name}.csv", encoding="utf-8") as file:
            assert len(set(next(csv.reader(file)))) == number
    assert sorted([row[key] for key in (
        "location", "deployment_id", "common_name", "genus", "species", "number_of_objects")]
        for row in tables["images"]) == [
        ["gs://bucket/foxes/north/a.jpg", "d1", "Human", "Homo", "sapiens", "1"],
        ["gs://bucket/foxes/north/a.jpg", "d1", "Red Fox", "Vulpes", "vulpes", "1"],
        ["gs://bucket/foxes/north/a.jpg", "d1", "snow hare", "Lepus", "timidus", "2"],
        ["gs://bucket/foxes/north/b.jpg", "d1", "Blank", "", "", "0"],
        ["gs://bucket/foxes/south/c.jpg", "d3", *["No CV Result"] * 3, "1"]]
    fox = next(row for row in tables["images"] if row["common_name"] == "Red Fox")
    assert fox["wi_taxon_id"] == "01b2" and fox["class"] == "Mammalia" and fox["order"] == ""
    blank = tables["images"][3]
    assert blank["wi_taxon_id"] == "f1856211-cfb7-4a5b-9158-c0f72fd09ee6"
    assert blank["sequence_start_time"] == "2024-04-30 10:00:00"
    assert blank["timestamp"] == "2024-04-30 10:00:03"
    assert "1 photos could not be read: they are not in wildlife_insights/" in told
    assert "1 photos have no time: they are not in wildlife_insights/" in told
    assert any(note.startswith("1 photos were taken when no deployment") for note in told)
    # The hare has no taxon of theirs, and that is told.
    assert "images.csv: wi_taxon_id;" in told[-1] and "camera_id" in told[-1]


def test_facts_are_taken_over_and_the_rest_stays_empty(tmp_path):
    _, tables = write(tmp_path, [], cameraID="cam7", cameraModel="Reconyx-PC800",
                      cameraHeight="0.6", featureType="trailGame", baitUse="false")
    (project,), (camera,) = tables["projects"], tables["cameras"]
    assert {key: value for key, value in project.items() if value} == {
        "project_name": "Foxes of the north", "project_id": "2001234", "country_code": "BEL",
        "project_bait_use": "No", "project_sensor_layout": "Systematic",
        "project_sensor_method": "Sensor Detection", "project_individual_animals": "No",
        "project_type": "Image"}
    assert camera == {"project_id": "2001234", "camera_id": "cam7", "make": "Reconyx",
                      "model": "PC800", "serial_number": "", "year_purchased": ""}
    assert len(tables["deployments"]) == 3
    assert {key: value for key, value in tables["deployments"][0].items() if value} == {
        "project_id": "2001234", "deployment_id": "d1", "placename": "north", "latitude": "51.2",
        "longitude": "5.6", "start_date": "2024-04-01 00:00:00", "end_date": "2024-05-01 12:00:00",
        "bait_type": "None", "feature_type": "Trail game", "camera_id": "cam7",
        "camera_functioning": "Camera Functioning", "sensor_height": "Other",
        "height_other": "0.6 m"}


def test_every_fault_is_told_before_the_prediction(tmp_path):
    with pytest.raises(InputError) as refused:
        project_of(tmp_path, {"images": "x", "projects": {}, "deployments": ["a"],
                              "project": {"country": "BEL", "embargo": [1]},
                              "taxa": {"wolf": {}, "fox": {"wi_taxon": 1}, "person": "Homo"}})
    text = str(refused.value)
    for part in ("no project_id", "do you mean 'project'?", "deployments \"['a']\"",
                 "do you mean 'country_code'?", "embargo '[1]'", "taxa has no 'wolf'",
                 "do you mean 'wi_taxon_id'?", "taxa: person 'Homo'"):
        assert part in text, part
    with pytest.raises(InputError, match="no wildlife_insights"):
        project_of(tmp_path, None)
