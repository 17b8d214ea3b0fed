"""Tables: a row a photo, a blob, a sequence, an event."""

import csv
import os

import numpy as np
import pytest
from prediction_records import INFO, predicted, rows_of, some_records, with_box, write_records

from camera_trapinator.outputs.blobs import Limits, failure_record, photo_record
from camera_trapinator.outputs.tables import (
    write_detections_csv,
    write_events_csv,
    write_predictions_csv,
    write_sequences_csv,
    write_table,
)


def table_of(tmp_path, records, sequences=None) -> list[dict]:
    path = write_records(tmp_path / "table.jsonl", records)
    write_predictions_csv(path, tmp_path / "p.csv", sequences or [""] * len(records))
    with open(tmp_path / "p.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_predictions_csv_is_one_tidy_row_a_photo(tmp_path):
    mask = with_box(8, 12, 10, 15, species=1) + with_box(30, 40, 8, 9, species=2)
    fox, empty, failure = table_of(tmp_path, [
        predicted("a, b/ü.jpg", mask, location="site, one", datetime="2024-05-01 10:00:00",
                  width=120, height=80),
        predicted("c.jpg", np.zeros((40, 60), np.uint8)),
        failure_record("d.jpg", "cannot be read", location="site")], ["one#1", "", "#2"])
    assert list(fox) == [
        "file", "location", "datetime", "sequence", "empty", "species", "confidence",
        "class_confidence", "share_fox", "present_fox", "share_snow hare", "present_snow hare",
        "share_black bear", "present_black bear", "blob_class", "blob_x", "blob_y", "blob_width",
        "blob_height", "failure"]
    assert list(fox.values()) == [
        "a, b/ü.jpg", "site, one", "2024-05-01 10:00:00", "one#1", "FALSE", "fox", "1.0",
        "1.0", "0.0625", "TRUE", "0.03", "TRUE", "0.0", "FALSE", "fox", "24", "16", "30", "20", ""]
    assert list(empty.values()) == ["c.jpg", "", "", "", "TRUE", "", "0.0", "", "0.0", "FALSE",
                                    "0.0", "FALSE", "0.0", "FALSE", "", "", "", "", "", ""]
    assert list(failure.values()) == ["d.jpg", "site", "", "#2", *[""] * 15, "cannot be read"]


def test_what_is_unknown_is_so_in_every_table(tmp_path):
    """Sure that something is there, unsure of what: the two confidences are two columns."""
    mask = with_box(8, 12, 10, 15, species=2)
    sure = (mask > 0) * np.float32(0.9)
    path = write_records(tmp_path / "t.jsonl", [
        predicted("a.jpg", mask, sure, sure=0.3, location="x", datetime="2024-05-01 10:00:00"),
        predicted("b.jpg", mask, sure, sure=0.8, location="x", datetime="2024-05-01 10:00:05")])
    write_predictions_csv(path, tmp_path / "p.csv", ["x#1", "x#1"])
    write_detections_csv(path, tmp_path / "d.csv", ["x#1", "x#1"])
    write_sequences_csv(path, tmp_path / "s.csv", ["x#1", "x#1"])
    write_events_csv(path, tmp_path / "e.csv", 30)
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
    (burst,) = rows_of(tmp_path / "s.csv")
    assert (burst["photos_snow hare"], burst["photos_unknown"], burst["most_unknown"],
            burst["empty"]) == ("1", "1", "1", "FALSE")


def test_a_class_that_is_called_unknown_has_one_column(tmp_path):
    info = {**INFO, "classes": [{"name": name, "colour": (0, 0, 0)}
                                for name in ("background", "fox", "unknown", "bear")]}
    path = write_records(tmp_path / "t.jsonl", [
        predicted("a.jpg", with_box(5, 5, 9, 9, species=2)),
        predicted("b.jpg", with_box(5, 5, 9, 9, species=1), sure=0.2)], info)
    write_sequences_csv(path, tmp_path / "s.csv", ["x", "x"])
    (burst,) = rows_of(tmp_path / "s.csv")
    assert [key for key in burst if "unknown" in key] == ["photos_unknown", "most_unknown"]
    assert burst["photos_unknown"] == "2"


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
        b'class,iou,seen\n"fox, red",,TRUE\nhare,0.5,FALSE\n')


def test_half_a_file_is_never_left(tmp_path):
    path = tmp_path / "folder" / "table.csv"
    write_table(path, ["a"], [[1]])

    def rows():
        yield [2]
        raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError):
        write_table(path, ["a"], rows())
    assert path.read_text() == "a\n1\n"
    assert os.listdir(tmp_path / "folder") == ["table.csv"]


def test_detections_csv_is_one_row_a_blob(tmp_path):
    mask = with_box(8, 12, 10, 15, species=1) + with_box(30, 40, 10, 20, species=2)
    path = write_records(tmp_path / "t.jsonl", [
        predicted("a.jpg", mask, location="site", datetime="2024-05-01 10:00:00", width=120,
                  height=80),
        predicted("b.jpg", 0 * mask), failure_record("c.jpg", "torn")])
    write_detections_csv(path, tmp_path / "d.csv", ["site#1", "", ""])
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
    write_sequences_csv(path, tmp_path / "s.csv", ["a#1", "a#1", "", "b#1", "b#1", ""])
    rows = rows_of(tmp_path / "s.csv")
    assert list(rows[0])[8:] == ["photos_fox", "most_fox", "photos_snow hare", "most_snow hare",
                                 "photos_black bear", "most_black bear", "photos_unknown",
                                 "most_unknown"]
    assert [list(row.values()) for row in rows] == [
        ["a#1", "a", "2024-05-01 10:00:00", "2024-05-01 10:01:00", "2", "0", "FALSE", "1.0",
         "2", "2", "1", "1", "0", "0", "0", "0"],
        ["2.jpg", "b", "", "", "1", "0", "FALSE", "1.0", "0", "0", "0", "0", "1", "1",
         "0", "0"],
        ["b#1", "b", "2024-05-01 10:00:00", "2024-05-01 10:00:30", "2", "1", "TRUE", "0.0",
         "0", "0", "0", "0", "0", "0", "0", "0"],
        ["y.jpg", "b", "", "", "1", "1", *[""] * 10]]


def test_events_are_apart_by_more_than_the_minutes_from_photo_to_photo(tmp_path):
    path = write_records(tmp_path / "t.jsonl", sightings(
        ("a", "11:05", [1]), ("a", "10:00", [1]), ("a", "10:30", [1, 1]), ("a", "11:00", [1, 2]),
        ("a", "11:36", [1]), ("b", "11:05", [1]), ("b", "", [1]), ("b", "", [1]),
        ("b", "11:10", [])))
    write_events_csv(path, tmp_path / "e.csv", 30)
    assert [list(row.values())[:-2] for row in rows_of(tmp_path / "e.csv")] == [
        ["a", "fox", "2024-05-01 10:00:00", "2024-05-01 11:05:00", "4", "2"],
        ["a", "fox", "2024-05-01 11:36:00", "2024-05-01 11:36:00", "1", "1"],
        ["a", "snow hare", "2024-05-01 11:00:00", "2024-05-01 11:00:00", "1", "1"],
        ["b", "fox", "", "", "2", "1"],
        ["b", "fox", "2024-05-01 11:05:00", "2024-05-01 11:05:00", "1", "1"]]
    write_events_csv(path, tmp_path / "e.csv", 29)
    assert len(rows_of(tmp_path / "e.csv")) == 7


def test_no_cell_is_a_formula(tmp_path):
    file = "=cmd|' /C calc'!A0.jpg"
    record = predicted(file, with_box(5, 5, 9, 9), location="@site", datetime="")
    path = write_records(tmp_path / "t.jsonl", [record])
    for write in (write_predictions_csv, write_detections_csv, write_sequences_csv):
        write(path, tmp_path / "t.csv", ["-1+1"])
        text = (tmp_path / "t.csv").read_text(encoding="utf-8")
        cells = [cell for row in csv.reader(text.splitlines()) for cell in row]
        assert not [cell for cell in cells if cell[:1] in tuple("=+-@")]
        assert "'@site" in cells and ("'" + file in cells or "'-1+1" in cells)
    write_table(tmp_path / "t.csv", ["number", "text"], [[-0.5, "-33.1"]])
    assert rows_of(tmp_path / "t.csv") == [{"number": "-0.5", "text": "-33.1"}]
