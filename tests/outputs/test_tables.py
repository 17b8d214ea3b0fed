"""Tables: a row a photo, a blob, a sequence, an event."""

import csv
import os
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from prediction_records import INFO, predicted, rows_of, some_records, with_box, write_records

from camera_trapinator.outputs.blobs import Limits, failure_record, photo_record
from camera_trapinator.outputs.bursts import read_bursts
from camera_trapinator.outputs.project import Deployment, Project
from camera_trapinator.outputs.tables import (
    write_detections_csv,
    write_events_csv,
    write_failures_csv,
    write_predictions_csv,
    write_sequences_csv,
    write_table,
)


def table_of(tmp_path, records, sequences=None) -> list[dict]:
    path = write_records(tmp_path / "table.jsonl", records)
    write_all(path, tmp_path, sequences or [""] * len(records))
    return rows_of(tmp_path / "p.csv")


def write_all(path, folder, sequences, minutes: float = 30) -> None:
    """Each table under its first letter."""
    bursts = read_bursts(path, sequences)
    write_predictions_csv(path, folder / "p.csv", sequences, bursts)
    write_detections_csv(path, folder / "d.csv", sequences)
    write_sequences_csv(path, folder / "s.csv", bursts)
    write_events_csv(folder / "e.csv", bursts, minutes)
    write_failures_csv(path, folder / "f.csv", sequences)


def test_predictions_csv_is_one_tidy_row_a_photo(tmp_path):
    mask = with_box(8, 12, 10, 15, species=1) + with_box(30, 40, 8, 9, species=2)
    fox, empty = table_of(tmp_path, [
        predicted("a, b/ü.jpg", mask, location="site, one", datetime="2024-05-01 10:00:00",
                  width=120, height=80),
        predicted("c.jpg", np.zeros((40, 60), np.uint8)),
        failure_record("d.jpg", "cannot be read", location="site")], ["one#1", "", "#2"])
    (failure,) = rows_of(tmp_path / "f.csv")
    assert list(fox) == [
        "file", "location", "datetime", "sequence", "empty", "species", "confidence",
        "class_confidence", "sequence_species", "share_fox", "present_fox", "share_snow hare",
        "present_snow hare", "share_black bear", "present_black bear", "blob_class", "blob_x",
        "blob_y", "blob_width", "blob_height"]
    assert list(fox.values()) == [
        "a, b/ü.jpg", "site, one", "2024-05-01 10:00:00", "one#1", "FALSE", "fox", "1.0",
        "1.0", "fox, snow hare", "0.0625", "TRUE", "0.03", "TRUE", "0.0", "FALSE", "fox", "24",
        "16", "30", "20"]
    assert list(empty.values()) == ["c.jpg", "", "", "", "TRUE", "", "0.0", "", "", "0.0", "FALSE",
                                    "0.0", "FALSE", "0.0", "FALSE", "", "", "", "", ""]
    assert failure == {"file": "d.jpg", "location": "site", "datetime": "", "sequence": "#2",
                       "failure": "cannot be read"}


def test_what_is_unknown_is_so_in_every_table(tmp_path):
    """Sure that something is there, unsure of what: the two confidences are two columns."""
    mask = with_box(8, 12, 10, 15, species=2)
    sure = (mask > 0) * np.float32(0.9)
    path = write_records(tmp_path / "t.jsonl", [
        predicted("a.jpg", mask, sure, sure=0.3, location="x", datetime="2024-05-01 10:00:00"),
        predicted("b.jpg", mask, sure, sure=0.8, location="x", datetime="2024-05-01 10:00:05")])
    write_all(path, tmp_path, ["", ""])
    kinds = [("unknown", "0.9", "0.3"), ("snow hare", "0.9", "0.8")]
    for name in ("p", "d"):
        rows = rows_of(tmp_path / f"{name}.csv")
        assert [(row["species"], row["confidence"], row["class_confidence"])
                for row in rows] == kinds
    assert [row["class"] for row in rows] == ["snow hare"] * 2  # the best guess
    assert [(row["blob_class"], row["present_snow hare"], row["empty"])
            for row in rows_of(tmp_path / "p.csv")] == [("snow hare", "FALSE", "FALSE"),
                                                        ("snow hare", "TRUE", "FALSE")]
    assert sorted((row["species"], row["confidence"], row["class_confidence"])
                  for row in rows_of(tmp_path / "e.csv")) == sorted(kinds)
    assert [(burst["photos_snow hare"], burst["photos_unknown"], burst["most_unknown"],
             burst["species"], burst["empty"]) for burst in rows_of(tmp_path / "s.csv")] == [
        ("0", "1", "1", "unknown", "FALSE"), ("1", "0", "0", "snow hare", "FALSE")]


def test_a_class_that_is_called_unknown_has_one_column(tmp_path):
    info = {**INFO, "classes": [{"name": name, "colour": (0, 0, 0)}
                                for name in ("background", "fox", "unknown", "bear")]}
    path = write_records(tmp_path / "t.jsonl", [
        predicted("a.jpg", with_box(5, 5, 9, 9, species=2)),
        predicted("b.jpg", with_box(5, 5, 9, 9, species=1), sure=0.2)], info)
    write_all(path, tmp_path, ["x", ""])
    bursts = rows_of(tmp_path / "s.csv")
    assert [key for key in bursts[0] if "unknown" in key] == [
        "count_unknown", "photos_unknown", "most_unknown"]
    assert [burst["photos_unknown"] for burst in bursts] == ["1", "1"]


def test_without_a_number_of_classes_the_table_still_has_a_column_for_each(tmp_path):
    record = photo_record("a.jpg", with_box(5, 5, 9, 9), np.ones((4, 6), np.float32),
                          (np.ones((4, 6), np.uint8), np.ones((4, 6), np.float32)), Limits(),
                          width=60, height=40)
    assert len(record["pixels"]) == 2
    row, = table_of(tmp_path, [record])
    assert row["present_fox"] == "TRUE" and row["share_black bear"] == "0.0"


def test_a_table_with_too_few_sequences_is_not_written(tmp_path):
    with pytest.raises(ValueError):
        table_of(tmp_path, some_records(3), ["one"])
    assert not (tmp_path / "p.csv").exists()


def test_tables_have_empty_cells_where_nothing_is_known(tmp_path):
    write_table(tmp_path / "t.csv", ["class", "iou", "seen"],
                [["fox, red", None, True], ["hare", 0.5, False]])
    assert (tmp_path / "t.csv").read_bytes() == (
        b'\xef\xbb\xbfclass,iou,seen\n"fox, red",,TRUE\nhare,0.5,FALSE\n')
    write_table(tmp_path / "t.csv", ["class"], [["hare"]], spreadsheet=False)
    assert (tmp_path / "t.csv").read_bytes() == b"class\nhare\n"


def test_half_a_file_is_never_left(tmp_path):
    path = tmp_path / "folder" / "table.csv"
    write_table(path, ["a"], [[1]])

    def rows():
        yield [2]
        raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError):
        write_table(path, ["a"], rows())
    assert path.read_text(encoding="utf-8-sig") == "a\n1\n"
    assert os.listdir(tmp_path / "folder") == ["table.csv"]


def test_detections_csv_is_one_row_a_blob(tmp_path):
    mask = with_box(8, 12, 10, 15, species=1) + with_box(30, 40, 10, 20, species=2)
    path = write_records(tmp_path / "t.jsonl", [
        predicted("a.jpg", mask, location="site", datetime="2024-05-01 10:00:00", width=120,
                  height=80),
        predicted("b.jpg", 0 * mask), failure_record("c.jpg", "torn")])
    write_all(path, tmp_path, ["site#1", "", ""])
    assert [list(row.values()) for row in rows_of(tmp_path / "d.csv")] == [
        ["a.jpg", "site", "2024-05-01 10:00:00", "site#1", "snow hare", "snow hare", "80.0",
         "60.0", "40.0", "20.0", "100.0", "70.0", str(10 * 20 / 2400)[:7], "1.0", "1.0", "TRUE"],
        ["a.jpg", "site", "2024-05-01 10:00:00", "site#1", "fox", "fox", "24.0", "16.0", "30.0",
         "20.0", "39.0", "26.0", "0.0625", "1.0", "1.0", "FALSE"]]


def sightings(*entries) -> list[dict]:
    """Records of (location, time of the first of May, boxes of which species)."""
    records = []
    for number, (location, time, species) in enumerate(entries):
        mask = np.zeros((40, 60), np.uint8)
        for place, index in enumerate(species):
            mask[5:15, 12 * place:12 * place + 8] = index
        records.append(predicted(f"{number}.jpg", mask, location=location,
                                 datetime=time and f"2024-05-01 {time}:00"))
    return records


def test_sequences_csv_is_one_row_a_burst(tmp_path):
    records = sightings(("a", "10:01", [1]), ("a", "10:00", [1, 2, 1]), ("b", "", [3]),
                        ("b", "10:00", []))
    records.append(failure_record("x.jpg", "torn", location="b",
                                          datetime="2024-05-01 10:00:30"))
    records.append(failure_record("y.jpg", "torn", location="b"))
    path = write_records(tmp_path / "t.jsonl", records)
    write_all(path, tmp_path, ["a_1", "a_1", "", "b_1", "b_1", ""])
    rows = rows_of(tmp_path / "s.csv")
    assert list(rows[0]) == ["sequence", "location", "start", "end", "photos", "failures", "empty",
                             "species", "confidence"] + [
        f"{what}_{name}" for name in ("fox", "snow hare", "black bear", "unknown")
        for what in ("count", "photos", "most")]
    none = ["0", "0", "0"]
    assert [list(row.values()) for row in rows] == [
        ["a_1", "a", "2024-05-01 10:00:00", "2024-05-01 10:01:00", "2", "0", "FALSE",
         "fox, snow hare", "1.0", "2", "2", "2", "1", "1", "1", *none, *none],
        ["2.jpg", "b", "", "", "1", "0", "FALSE", "black bear", "1.0", *none, *none, "1", "1", "1",
         *none],
        ["b_1", "b", "2024-05-01 10:00:00", "2024-05-01 10:00:30", "2", "1", "TRUE", "", "0.0",
         *none * 4]]
    assert [row["file"] for row in rows_of(tmp_path / "f.csv")] == ["x.jpg", "y.jpg"]


def test_events_are_apart_by_the_minutes_or_more_from_photo_to_photo(tmp_path):
    records = sightings(
        ("a", "11:05", [1]), ("a", "10:02", [1]), ("a", "10:31", [1, 1]), ("a", "11:00", [1, 2]),
        ("a", "11:35", [1]), ("b", "11:05", [1]), ("b", "", [1]), ("b", "", [1]),
        ("b", "11:10", []))
    path = write_records(tmp_path / "t.jsonl", records)
    alone = [""] * len(records)
    write_all(path, tmp_path, alone)
    rows = rows_of(tmp_path / "e.csv")
    assert list(rows[0]) == ["location", "species", "start", "end", "sequences", "photos",
                             "photos_alone", "count", "confidence", "class_confidence"]
    assert [list(row.values())[:-2] for row in rows] == [
        ["a", "fox", "2024-05-01 10:02:00", "2024-05-01 11:05:00", "4", "4", "4", "2"],
        ["a", "fox", "2024-05-01 11:35:00", "2024-05-01 11:35:00", "1", "1", "1", "1"],
        ["a", "snow hare", "2024-05-01 11:00:00", "2024-05-01 11:00:00", "1", "1", "1", "1"],
        ["b", "fox", "", "", "2", "2", "2", "1"],
        ["b", "fox", "2024-05-01 11:05:00", "2024-05-01 11:05:00", "1", "1", "1", "1"]]
    write_all(path, tmp_path, alone, 29)
    assert len(rows_of(tmp_path / "e.csv")) == 7


def test_true_and_false_stay_so_beside_photos_that_could_not_be_read(tmp_path):
    """For pandas, a column of them with a hole is one of objects, and `~` gives nonsense."""
    path = write_records(tmp_path / "t.jsonl", [
        *some_records(6)[:5], predicted("empty.jpg", with_box(0, 0, 0, 0)),
        failure_record("h\u00fchner.jpg", "torn", location="a")])
    write_all(path, tmp_path, [""] * 7)
    for table, columns in (("p", ("empty", "present_fox")), ("s", ("empty",))):
        rows = rows_of(tmp_path / f"{table}.csv")
        assert {row[name] for row in rows for name in columns} == {"TRUE", "FALSE"}
        assert len(rows) == 5
    assert len(rows_of(tmp_path / "f.csv")) == 2


def test_time_zones_and_scientific_names_stand_where_they_are_known(tmp_path):
    zone = ZoneInfo("Europe/Brussels")
    stay = [datetime(2024, 5, day, tzinfo=zone) for day in (1, 9)]
    project = Project({"a": [Deployment({}, *stay, zone)]}, {}, {"fox": "Vulpes vulpes"}, "d.csv")
    records = sightings(("a", "10:00", [1]), ("a", "10:00", [2]), ("b", "10:00", [1]),
                        ("a", "", []))
    path, none = write_records(tmp_path / "t.jsonl", records), [""] * 4
    bursts = read_bursts(path, none)
    write_predictions_csv(path, tmp_path / "p.csv", none, bursts, project)
    write_detections_csv(path, tmp_path / "d.csv", none, project)
    write_sequences_csv(path, tmp_path / "s.csv", bursts, project)
    write_events_csv(tmp_path / "e.csv", bursts, 30, project)
    tables = {name: rows_of(tmp_path / f"{name}.csv") for name in "pdse"}
    named = [("Europe/Brussels", "Vulpes vulpes"), ("Europe/Brussels", ""), ("", "Vulpes vulpes")]
    for name in "pde":
        assert [(row["timezone"], row["scientific_name"]) for row in tables[name]][:3] == named
    assert [row["timezone"] for row in tables["s"]] == [*["Europe/Brussels"] * 2, "",
                                                        "Europe/Brussels"]  # all of that place
    write_all(path, tmp_path, none)
    assert not {"timezone", "scientific_name"} & {*rows_of(tmp_path / "p.csv")[0]}


def test_no_cell_is_a_formula(tmp_path):
    file = "=cmd|' /C calc'!A0.jpg"
    record = predicted(file, with_box(5, 5, 9, 9), location="@site", datetime="")
    path = write_records(tmp_path / "t.jsonl", [record])
    write_all(path, tmp_path, ["-1+1"])
    for name in "pds":
        text = (tmp_path / f"{name}.csv").read_text(encoding="utf-8-sig")
        cells = [cell for row in csv.reader(text.splitlines()) for cell in row]
        assert not [cell for cell in cells if cell[:1] in tuple("=+-@")]
        assert "'@site" in cells and ("'" + file in cells or "'-1+1" in cells)
    write_table(tmp_path / "t.csv", ["number", "text"], [[-0.5, "-33.1"]])
    assert rows_of(tmp_path / "t.csv") == [{"number": "-0.5", "text": "-33.1"}]
