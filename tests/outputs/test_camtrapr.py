"""Tables for camtrapR, against what its manual says of recordTable and cameraOperation."""

import csv
from datetime import datetime, timedelta

import pytest
from prediction_records import FULL_INFO, predicted, with_box, write_records

from camera_trapinator.data.manifest import assign_sequences
from camera_trapinator.outputs.bursts import read_bursts
from camera_trapinator.outputs.camtrapr import write_camtrapr
from camera_trapinator.outputs.effort import nights_of, stays_at
from camera_trapinator.outputs.facts import read_known

INFO = {**FULL_INFO, "min_confidence": 0.0, "unknown_below": 0.5}
HEADER = ["deploymentID", "location", "latitude", "longitude", "start", "end", "timezone"]
EMPTY, FOX, HARE = with_box(0, 0, 0, 0), with_box(5, 5, 9, 9), with_box(5, 5, 9, 9, species=2)


def bursts_of(folder, records):
    path = write_records(folder / "p.jsonl", records, INFO)
    return read_bursts(path, assign_sequences(*zip(*[
        (record["location"], record["datetime"]) for record in records], strict=True)))


def known(folder, *rows):
    with open(folder / "deployments.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([HEADER, *rows])
    return read_known(folder / "deployments.csv", "")


def cells_of(path):
    with open(path, newline="", encoding="utf-8") as file:  # a BOM would rename R's first column
        return list(csv.reader(file))


def test_records_are_independent_as_camtrapr_takes_it(tmp_path):
    """A record counts that comes at least 30 minutes after the last one, whether that counted or
    not; n_images are the records until the next that counts, without twins of one second."""
    days = "2024-05-01", "2024-05-02"
    two = FOX + with_box(25, 25, 9, 9)
    records = [predicted(f"north/{day} {time}.jpg", mask, location="north",
                         datetime=f"{day} {time[:8]}") for day, time, mask in (
        (days[0], "10:00:00", FOX), (days[0], "10:00:00 twin", FOX), (days[0], "10:00:20", two),
        (days[0], "10:20:20", FOX),  # 20 minutes later
        (days[0], "10:50:20", FOX),  # 30 minutes after that one, which did not count
        (days[1], "11:50:27", FOX),  # 90007 seconds: 1500.11 minutes, 25.0 hours, 1.04 days
        (days[1], "12:00:00", EMPTY))]
    records += [predicted("south/a.jpg", HARE, location="south", datetime="2024-05-01 09:00:00"),
                predicted("south/DCIM/no time.jpg", HARE, location="south")]
    told = write_camtrapr(bursts_of(tmp_path, records), tmp_path / "card", tmp_path / "out", 30,
                          None)
    header, *rows = cells_of(tmp_path / "out" / "recordTable.csv")
    assert header == [
        "Station", "Species", "DateTimeOriginal", "Date", "Time", "delta.time.secs",
        "delta.time.mins", "delta.time.hours", "delta.time.days", "Directory", "FileName",
        "n_images", "count_max"]
    place = (tmp_path / "card").as_posix()
    assert rows == [
        ["north", "fox", "2024-05-01 10:00:00", "2024-05-01", "10:00:00", "0", "0", "0", "0",
         f"{place}/north", "2024-05-01 10:00:00 twin.jpg", "3", "2"],
        ["north", "fox", "2024-05-01 10:50:20", "2024-05-01", "10:50:20", "1800", "30", "0.5", "0",
         f"{place}/north", "2024-05-01 10:50:20.jpg", "1", "1"],
        ["north", "fox", "2024-05-02 11:50:27", "2024-05-02", "11:50:27", "90007", "1500.1", "25",
         "1", f"{place}/north", "2024-05-02 11:50:27.jpg", "1", "1"],
        ["south", "snow hare", "2024-05-01 09:00:00", "2024-05-01", "09:00:00", "0", "0", "0", "0",
         f"{place}/south", "a.jpg", "1", "1"]]
    assert told == ["1 photos with an animal have no time: they are not in camtrapr/"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"recordTable.csv"}


def test_records_tell_what_the_burst_tells(tmp_path):
    """An unsure fox among sure hares is a hare."""
    records = [predicted(f"{number}.jpg", FOX if number == 1 else HARE, location="north",
                         sure=0.55 if number == 1 else 0.99,
                         datetime=f"2024-05-01 10:00:0{number}") for number in range(4)]
    write_camtrapr(bursts_of(tmp_path, records), tmp_path, tmp_path / "out", 30, None)
    _, *rows = cells_of(tmp_path / "out" / "recordTable.csv")
    assert [(row[1], row[-2]) for row in rows] == [("snow hare", "4")]


@pytest.mark.parametrize(("seconds", "minutes"), [(6807, "113.4"), (5007, "83.4"), (97, "1.6"),
                                                  (105, "1.8"), (15, "0.2")])
def test_tenths_are_rounded_as_in_r(tmp_path, seconds, minutes):
    """round(6807 / 60, 1) is 113.4 in R 4, though 113.45 lies a little above as a float."""
    start = datetime(2024, 5, 1)
    records = [predicted(f"{number}.jpg", FOX, location="n",
                         datetime=str(start + timedelta(seconds=number * seconds)))
               for number in range(2)]
    write_camtrapr(bursts_of(tmp_path, records), tmp_path, tmp_path / "out", 0, None)
    assert cells_of(tmp_path / "out" / "recordTable.csv")[2][6] == minutes


def test_operation_is_the_share_of_each_day(tmp_path):
    """Days without a time stand for noon; where two deployments leave a gap, nobody watched; two
    cameras at one place count once; NA before the first day and after the last."""
    project = known(
        tmp_path, ["a1", "a", "51.2", "5.6", "2024-05-01", "2024-05-03", "UTC"],
        ["a2", "a", "51.2", "5.6", "2024-05-05 06:00:00", "2024-05-06", "UTC"],
        ["b1", "b", "50", "4", "2024-05-03 18:00:00", "2024-05-04 15:00:00", "UTC"],
        ["b2", "b", "50", "4", "2024-05-04 09:00:00", "2024-05-05 12:00:00", "UTC"])
    told = write_camtrapr([], tmp_path, tmp_path / "out", 30, project)
    assert cells_of(tmp_path / "out" / "CTtable.csv") == [
        ["Station", "longitude", "latitude", "Setup_date", "Retrieval_date", "Problem1_from",
         "Problem1_to"],
        ["a", "5.6", "51.2", "2024-05-01 12:00:00", "2024-05-06 12:00:00", "2024-05-03 12:00:00",
         "2024-05-05 06:00:00"],
        ["b", "4", "50", "2024-05-03 18:00:00", "2024-05-05 12:00:00", "", ""]]
    matrix = cells_of(tmp_path / "out" / "cameraOperation.csv")
    assert matrix == [
        ["", *(f"2024-05-0{day}" for day in range(1, 7))],
        ["a", "0.5", "1", "0.5", "0", "0.75", "0.5"],
        ["b", "NA", "NA", "0.25", "1", "0.5", "NA"]]
    for station, *days in matrix[1:]:
        effort = sum(float(day) for day in days if day != "NA")
        assert effort == nights_of(stays_at(project.deployments[station]))
    assert told == []


def test_what_camtrapr_refuses_is_told(tmp_path):
    project = known(
        tmp_path, ["a1", "a", "51", "5", "2024-05-01 10:00:00", "2024-05-01 10:00:00", "UTC"],
        ["b1", "b__2", "50", "4", "2024-05-03", "2024-05-03", "UTC"])
    told = write_camtrapr([], tmp_path, tmp_path / "out", 30, project)
    assert "'a' end when they start" in told[0] and "'b__2'" in told[1]
    assert cells_of(tmp_path / "out" / "cameraOperation.csv") == [["", "2024-05-03"], ["b__2", "1"]]
