"""Effort: nights counted once, and events by the nights in which they could be seen."""

import csv
import random
from collections import Counter
from datetime import datetime, timedelta

from conftest import error_line, run_script
from prediction_records import FULL_INFO, predicted, rows_of, with_box, write_records

from camera_trapinator.data.manifest import assign_sequences
from camera_trapinator.outputs.blobs import failure_record
from camera_trapinator.outputs.bursts import read_bursts
from camera_trapinator.outputs.camtrapr import write_camtrapr
from camera_trapinator.outputs.effort import write_effort_csv, write_relative_abundance_csv
from camera_trapinator.outputs.facts import read_known
from camera_trapinator.outputs.tables import write_events_csv

INFO = {**FULL_INFO, "min_confidence": 0.0, "unknown_below": 0.5}
HEADER = ["deploymentID", "location", "latitude", "longitude", "start", "end", "timezone"]
ROWS = [
    ["a2", "a", "51", "5", "2024-05-11 00:00:01", "2024-05-21", "Europe/Brussels"],
    ["a1", "a", "51", "5", "2024-05-01", "2024-05-13", "Europe/Brussels"],
    ["b1", "b", "51", "5", "2024-05-01 06:00:00", "2024-05-03 18:00:00", "+02:00"],
    ["c1", "c", "51", "5", "2024-05-01 06:00:00", "2024-05-01 06:00:00", "UTC"],
]
FOX, NOTHING = with_box(5, 5, 9, 9), with_box(0, 0, 0, 0)


def known(folder, rows=ROWS):
    with open(folder / "deployments.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([HEADER, *rows])
    (folder / "project.yaml").write_text("species: {fox: Vulpes vulpes}\n")
    return read_known(folder / "deployments.csv", folder / "project.yaml")


def some_records():
    def photo(file, time, mask=FOX):
        return predicted(file, mask, location=file[0], datetime=time)
    return [photo("a/1.jpg", "2024-05-02 03:00:00"), photo("a/2.jpg", "2024-05-02 03:00:30"),
            photo("a/3.jpg", "2024-05-02 09:00:00"), photo("a/4.jpg", "2024-05-20 09:00:00"),
            photo("a/5.jpg", "2024-06-20 09:00:00"),  # when nobody stood there
            photo("b/6.jpg", "2024-05-03 17:00:00", NOTHING), photo("b/7.jpg", ""),
            failure_record("b/8.jpg", "torn", location="b", datetime="2024-05-02 01:00:00"),
            photo("d/9.jpg", "2024-05-02 03:00:00")]


def test_effort_counts_a_night_once(tmp_path):
    path = write_records(tmp_path / "p.jsonl", some_records(), INFO)
    told = write_effort_csv(path, tmp_path / "effort.csv", known(tmp_path))
    rows = rows_of(tmp_path / "effort.csv")
    assert [list(row.values()) for row in rows] == [
        # 1 to 13 May is 12 nights; the second camera came on the 11th and stayed to the 21st
        ["a1", "a", "2024-05-01 00:00:00", "2024-05-13 23:59:59", "Europe/Brussels", "12.0", "12.0",
         "3", "2024-05-02 03:00:00", "2024-05-02 09:00:00"],
        ["a2", "a", "2024-05-11 00:00:01", "2024-05-21 23:59:59", "Europe/Brussels", "10.5", "8.0",
         "1", "2024-05-20 09:00:00", "2024-05-20 09:00:00"],
        ["b1", "b", "2024-05-01 06:00:00", "2024-05-03 18:00:00", "UTC+02:00", "2.5", "2.5", "2",
         "2024-05-02 01:00:00", "2024-05-03 17:00:00"],
        ["c1", "c", "2024-05-01 06:00:00", "2024-05-01 06:00:00", "UTC", "0.0", "0.0", "0", "", ""]]
    assert "no deployment at 'd'" in told[0] and told[1].startswith("3 photos ")
    assert len(told) == 2


def test_relative_abundance_is_events_by_nights(tmp_path):
    """Zeros stand there, too; an event outside of all deployments has no nights, and is told."""
    records = some_records()
    path = write_records(tmp_path / "p.jsonl", records, INFO)
    bursts = read_bursts(path, assign_sequences(*zip(*[
        (record["location"], record["datetime"]) for record in records], strict=True)))
    names = [item["name"] for item in INFO["classes"]]
    told = write_relative_abundance_csv(bursts, tmp_path / "r.csv", 30, names, known(tmp_path))
    rows = {(row["location"], row["species"]): row for row in rows_of(tmp_path / "r.csv")}
    assert len(rows) == 3 * 4  # of three locations each class, and unknown
    fox = rows["a", "fox"]
    assert fox == {"location": "a", "species": "fox", "scientific_name": "Vulpes vulpes",
                   "events": "3", "camera_nights": "20.0", "events_per_100_nights": "15.0"}
    assert [rows["b", "snow hare"][key] for key in (
        "scientific_name", "events", "events_per_100_nights")] == ["", "0", "0.0"]
    assert rows["c", "fox"]["events_per_100_nights"] == ""
    # June, the photo without a time, and the location without a deployment
    assert told[0].startswith("3 independent events ")


def test_one_who_changes_the_card_is_not_gone(tmp_path):
    """Deployments that follow each other within a minute are one stay."""
    rows = [["1", "a", "5", "5", "2024-05-01 12:00:00", "2024-05-05 10:00:00", "UTC"],
            ["2", "a", "5", "5", "2024-05-05 10:00:01", "2024-05-09 12:00:00", "UTC"]]
    path = write_records(tmp_path / "p.jsonl", [], INFO)
    write_effort_csv(path, tmp_path / "effort.csv", known(tmp_path, rows))
    assert sum(float(row["camera_nights"]) for row in rows_of(tmp_path / "effort.csv")) == 8


def test_every_table_counts_the_same_events(tmp_path):
    """events.csv, relative_abundance.csv and camtrapR's record table, of random predictions."""
    chance = random.Random(4)
    records, now = [], datetime(2024, 5, 2)
    for number in range(120):
        now += timedelta(seconds=chance.choice((1, 20, 50, 700, 1799, 1801, 5000)))
        mask = sum((with_box(2, left, 9, 9, species=chance.randint(1, 3))
                    for left in (2, 30)[:chance.randint(0, 2)]), NOTHING)
        records.append(predicted(f"{number}.jpg", mask, sure=chance.random(), unknown_below=0.5,
                                 location="a", datetime=str(now)))
    path = write_records(tmp_path / "p.jsonl", records, INFO)
    bursts = read_bursts(path, assign_sequences(*zip(*[
        (record["location"], record["datetime"]) for record in records], strict=True)))
    names, project = [item["name"] for item in INFO["classes"]], known(tmp_path)
    write_events_csv(tmp_path / "events.csv", bursts, 30)
    write_relative_abundance_csv(bursts, tmp_path / "r.csv", 30, names, project)
    write_camtrapr(bursts, tmp_path, tmp_path / "camtrapr", 30, project)
    events = Counter(row["species"] for row in rows_of(tmp_path / "events.csv"))
    assert len(events) == 4 and min(events.values()) > 1
    assert events == Counter(row["Species"] for row in rows_of(tmp_path / "camtrapr/recordTable.csv"
                                                               ))
    assert events == Counter({row["species"]: int(row["events"]) for row in rows_of(
        tmp_path / "r.csv") if row["location"] == "a"})


def test_the_script_takes_what_is_known(trained, own_data, tmp_path):
    """Effort needs the table of deployments only; Wildlife Insights both files, before the
    prediction."""
    command = ["test.py", "--run", "shapes", "--images", own_data / "photos", "--out",
               tmp_path / "out"]
    known(tmp_path, [["a1", "site0", "51", "5", "2024-05-01", "2024-05-13", "UTC"]])
    given = f"deployments_file={tmp_path / 'deployments.csv'}"
    line = error_line(run_script(*command, "outputs=csv, wildlife_insights", given, runs=trained))
    assert "project_file: camtrap_dp and wildlife_insights need it" in line
    assert not (tmp_path / "out/predictions.jsonl").exists()
    result = run_script(*command, "outputs=csv, camtrapr", given, runs=trained)
    assert result.returncode == 0, result.stderr
    assert "no row of effort.csv counts them" in result.stdout
    assert [row["deploymentID"] for row in rows_of(tmp_path / "out/effort.csv")] == ["a1"]
    assert {path.name for path in (tmp_path / "out/camtrapr").iterdir()} == {
        "recordTable.csv", "CTtable.csv", "cameraOperation.csv"}
