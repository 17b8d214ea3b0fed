"""Camtrap DP: photos and events say what the records say, and nothing in it is invented."""

import json
import re

import pytest
from camtrap_packages import FACTS, ROWS, read, some_records, tables_of, write, write_inputs
from conftest import error_line, run_script
from prediction_records import predicted, with_box

from camera_trapinator import InputError
from camera_trapinator.outputs.blobs import failure_record

FOX, HARE = with_box(5, 5, 9, 9), with_box(20, 5, 9, 9, species=2)


def rows_of(tables, level):
    return [row for row in tables["observations"] if row["observationLevel"] == level]


def test_the_photos_tell_what_the_records_tell(tmp_path):
    told = write(tmp_path, some_records())
    assert len(told) == 1 and "1 photos that could not be read" in told[0]
    assert "south/gone.jpg" in told[0]
    tables = tables_of(tmp_path / "dp")
    assert [(row["filePath"], row["deploymentID"], row["timestamp"], row["fileMediatype"])
            for row in tables["media"]] == [
        ("north/a.jpg", "d1", "2024-04-30T10:00:00+02:00", "image/jpeg"),
        ("north/b.JPG", "d2", "2024-05-02T10:00:00+02:00", "image/jpeg"),
        ("south/c.png", "d3", "2024-05-31T23:59:00-04:00", "image/png"),
        ("south/torn.jpg", "d3", "2024-05-20T01:02:03-04:00", "image/jpeg")]
    media = {row["mediaID"]: row["filePath"] for row in tables["media"]}
    found = [(media[row["mediaID"]], row["observationType"], row["scientificName"], row["count"])
             for row in rows_of(tables, "media")]
    three = [("animal", "Vulpes vulpes", "1"), ("human", "Homo sapiens", "1"),
             ("animal", "Lepus timidus", "1")]
    assert found == [*(("north/a.jpg", *rest) for rest in three),
                     ("north/b.JPG", "blank", "", ""),
                     *(("south/c.png", *rest) for rest in three),
                     ("south/torn.jpg", "unclassified", "", "")]
    first = tables["observations"][0]
    assert [float(first[f"bbox{name}"]) for name in ("X", "Y", "Width", "Height")] == [
        pytest.approx(value, abs=1e-5) for value in (50 / 60, 0, 10 / 60, 10 / 40)]
    assert first["eventID"] == "north_0001" and first["classificationMethod"] == "machine"
    assert tables["deployments"][0]["deploymentEnd"] == "2024-05-01T12:00:00+02:00"
    assert tables["deployments"][2]["deploymentEnd"] == "2024-05-31T23:59:59-04:00"


def burst(number: int, *masks, place="north", day="2024-05-02", **known) -> list[dict]:
    """Photos of a burst, a second apart; None could not be read."""
    return [failure_record(f"{place}/{number}_{second}.jpg", "torn", location=place,
                           datetime=f"{day} 10:{number:02}:{second:02}") if mask is None else
            predicted(f"{place}/{number}_{second}.jpg", mask, location=place,
                      datetime=f"{day} 10:{number:02}:{second:02}", **known)
            for second, mask in enumerate(masks)]


def test_gbif_finds_every_species_of_every_burst_once_with_the_largest_number(tmp_path):
    # camtrapdp::write_dwc takes rows of observationLevel event and observationType animal only.
    two_foxes = FOX + with_box(5, 40, 9, 9)
    bursts = [burst(1, FOX, two_foxes, FOX), burst(2, FOX + HARE, HARE), burst(3, 0 * FOX, 0 * FOX),
              burst(4, None, None), burst(5, None, HARE), burst(6, FOX, sure=0.2)]
    records = [record for photos in bursts for record in photos]
    sequences = [f"north_{number}" for number, photos in enumerate(bursts, 1) for _ in photos]
    assert write(tmp_path, records, sequences) == []
    tables = tables_of(tmp_path / "dp")
    events = rows_of(tables, "event")
    assert [(row["eventID"], row["observationType"], row["scientificName"], row["count"])
            for row in events] == [
        ("north_1", "animal", "Vulpes vulpes", "2"), ("north_2", "animal", "Vulpes vulpes", "1"),
        ("north_2", "animal", "Lepus timidus", "1"), ("north_3", "blank", "", ""),
        ("north_4", "unclassified", "", ""), ("north_5", "animal", "Lepus timidus", "1"),
        ("north_6", "unknown", "", "1")]  # where the classes have a person, it may be one
    assert [(row["eventStart"], row["eventEnd"]) for row in events[:3]] == [
        ("2024-05-02T10:01:00+02:00", "2024-05-02T10:01:02+02:00"),
        *[("2024-05-02T10:02:00+02:00", "2024-05-02T10:02:01+02:00")] * 2]
    assert {row[name] for row in events for name in ("mediaID", "bboxX", "bboxWidth")} == {""}
    assert [row["observationComments"] for row in events] == [
        *[""] * 4, "2 of 2 photos could not be read", "1 of 2 photos could not be read", ""]
    assert [bool(row["classificationProbability"]) for row in events] == [
        row["observationType"] != "unclassified" for row in events]
    # A reader joins photos to events by deployment and time: each finds its own, and only that.
    media = {row["mediaID"]: row["eventID"] for row in rows_of(tables, "media")}
    for row in tables["media"]:
        assert {event["eventID"] for event in events if event["deploymentID"] == row["deploymentID"]
                and event["eventStart"] <= row["timestamp"] <= event["eventEnd"]} == {
                    media[row["mediaID"]]}


def test_a_burst_over_a_change_of_the_camera_is_an_event_at_each_deployment(tmp_path):
    records = [predicted(f"north/{name}.jpg", mask, location="north", datetime=f"2024-05-01 {time}")
               for name, mask, time in (("a", FOX, "11:59:59"), ("b", FOX, "12:00:00"),
                                        ("c", HARE, "12:00:02"))]
    write(tmp_path, records, ["north_0001"] * 3)
    tables = tables_of(tmp_path / "dp")
    assert [(row["deploymentID"], row["eventID"], row["scientificName"], row["eventEnd"][11:19])
            for row in rows_of(tables, "event")] == [
        ("d1", "north_0001", "Vulpes vulpes", "12:00:00"),
        ("d2", "north_0001_d2", "Lepus timidus", "12:00:02")]
    assert [row["eventID"] for row in rows_of(tables, "media")] == [
        "north_0001", "north_0001", "north_0001_d2"]


def test_an_event_ends_after_its_start_where_clocks_go_forward(tmp_path):
    rows = [["d1", "north", "51.2", "5.6", "2024-03-01", "2024-05-01", "Europe/Brussels"], ROWS[2]]
    records = [predicted(f"north/{name}.jpg", FOX, location="north", datetime=f"2024-03-31 {time}")
               for name, time in (("a", "02:59:59"), ("b", "03:00:01"))]
    told = write(tmp_path, records, ["north_0001"] * 2, rows=rows)
    # There is no 02:59:59 on that day: the camera kept winter time.
    assert len(told) == 1 and "1 photos were taken in the hour that is skipped" in told[0]
    event, = rows_of(tables_of(tmp_path / "dp"), "event")
    assert (event["eventStart"], event["eventEnd"]) == (  # 01:00:01 and 01:59:59 UTC
        "2024-03-31T03:00:01+02:00", "2024-03-31T02:59:59+01:00")


def test_the_package_describes_project_space_time_and_species(tmp_path):
    licenses = [{"name": "CC0-1.0", "scope": scope} for scope in ("data", "media")]
    fox = {"scientificName": "Vulpes vulpes", "taxonRank": "species", "family": "Canidae",
           "vernacularNames": {"eng": "red fox", "fra": "renard"}}
    write(tmp_path, some_records(), licenses=licenses, project={"acronym": "FON", "id": None},
          bibliographicCitation="Example (2024)", species={**FACTS["species"], "fox": fox})
    package = json.loads((tmp_path / "dp/datapackage.json").read_text(encoding="utf-8"))
    assert package["project"] == {
        "title": FACTS["title"], "samplingDesign": "systematicRandom", "individualAnimals": False,
        "captureMethod": ["activityDetection"], "observationLevel": ["media", "event"],
        "acronym": "FON"}
    assert package["spatial"]["coordinates"] == [[5.6, 51.2], [5.6, 51.2], [-70.25, -33.1]]
    assert package["temporal"] == {"start": "2024-04-01", "end": "2024-06-01"}
    # camtrapR::readcamtrapDP stops where there are no vernacularNames.
    assert package["taxonomic"] == [
        fox, {"scientificName": "Lepus timidus", "vernacularNames": {"eng": "snow hare"}},
        {"scientificName": "Homo sapiens", "vernacularNames": {"eng": "person"}}]
    assert package["licenses"] == licenses and package["contributors"] == FACTS["contributors"]
    assert package["bibliographicCitation"] == "Example (2024)"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", package["created"])


def test_classes_of_one_species_are_one_taxon(tmp_path):
    project = read(tmp_path, species=dict.fromkeys(("fox", "snow hare"), "Vulpes vulpes"),
                   language="deu")
    assert project.taxa == [
        {"scientificName": "Vulpes vulpes", "vernacularNames": {"deu": "fox / snow hare"}},
        {"scientificName": "Homo sapiens", "vernacularNames": {"deu": "person"}}]


NO_PLACE = [("north/late.jpg", "", "without a time"),
            ("north/early.jpg", "2024-03-31 23:59:59", "taken while no deployment"),
            ("north/a..b.jpg", "2024-05-02 10:00:00", "with two dots"),
            (".hidden.jpg", "2024-05-02 10:00:00", "a dot, / or ~"),
            ("north/a\nb.jpg", "2024-05-02 10:00:00", "a line break")]


def test_photos_without_a_place_in_it_are_left_out_and_told(tmp_path):
    """... and an animal that only they show is in no event."""
    records = [predicted(file, HARE, location="north", datetime=time) for file, time, _ in NO_PLACE]
    records.insert(1, predicted("north/good.jpg", FOX, location="north",
                                datetime="2024-05-02 10:00:00"))
    told = write(tmp_path, records, ["", "n_1", "n_2", "n_1", "n_1", "n_1"])
    assert len(told) == 3  # reasons: what is wrong with the path is one
    for file, _, reason in NO_PLACE:
        line, = (line for line in told if reason in line)
        assert repr(file) in line and "left out of camtrap_dp/" in line
    tables = tables_of(tmp_path / "dp")
    assert [row["filePath"] for row in tables["media"]] == ["north/good.jpg"]
    assert [(row["observationLevel"], row["scientificName"]) for row in tables["observations"]] == [
        ("media", "Vulpes vulpes"), ("event", "Vulpes vulpes")]


def test_where_no_photo_is_left_there_is_no_package(tmp_path):
    for number, (file, time, reason) in enumerate(NO_PLACE):
        folder = tmp_path / str(number)
        folder.mkdir()
        with pytest.raises(InputError, match=f"no photo is left.* 1 photos .*{reason}") as refused:
            write(folder, [predicted(file, FOX, location="north", datetime=time)])
        assert "\n" not in str(refused.value) and repr(file) in str(refused.value)
        assert not (folder / "dp").exists()


def test_the_script_refuses_before_it_predicts(trained, own_data, tmp_path):
    command = ["test.py", "--run", "shapes", "--images", own_data / "photos", "--out",
               tmp_path / "out", "outputs=camtrap_dp"]
    line = error_line(run_script(*command, runs=trained))
    assert "deployments_file: camtrap_dp and wildlife_insights need it" in line
    assert "project_file: camtrap_dp and wildlife_insights need it" in line
    table, facts = write_inputs(tmp_path, species={"fox": "Vulpes vulpes"}, title=None)
    line = error_line(run_script(*command, f"deployments_file={table}", f"project_file={facts}",
                                 runs=trained))
    assert "no deployment at the location 'site0'" in line and "no title" in line
    assert not (tmp_path / "out/predictions.jsonl").exists()
