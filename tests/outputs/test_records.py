"""The file of prediction records: written, resumed, read."""

import json
import os
import tracemalloc

import numpy as np
import pytest
from prediction_records import CLASSES, INFO, predicted, random_mask, some_records, write_records

from camera_trapinator import InputError
from camera_trapinator.outputs.bursts import read_bursts
from camera_trapinator.outputs.masks import write_masks
from camera_trapinator.outputs.records import RecordFile, classes_of, mask_of, read_records
from camera_trapinator.outputs.tables import write_predictions_csv


@pytest.mark.parametrize("seed", range(5))
def test_a_mask_goes_through_the_file_unchanged(tmp_path, seed):
    mask = random_mask(seed)
    path = write_records(tmp_path / "p.jsonl", [predicted("a.jpg", mask)])
    info, records = read_records(path)
    (record,) = records
    assert (mask_of(record) == mask).all()
    assert mask_of(record).dtype == np.uint8
    assert record["pixels"] == [int((mask == index).sum()) for index in range(4)]
    assert record["rle"]["size"] == [48, 64] and "0" not in record["rle"]["counts"]
    assert classes_of(info) == CLASSES


def test_the_same_records_give_the_same_bytes_whole_or_cut(tmp_path):
    """However a kill cuts the file, going on gives the bytes of an unbroken run."""
    records = some_records()
    whole = write_records(tmp_path / "whole.jsonl", records).read_bytes()
    ends = [place + 1 for place, byte in enumerate(whole) if byte == 10]
    cuts = {0, 1, 30, *ends, *[end - 1 for end in ends], *[end + 7 for end in ends[:-1]]}
    path = tmp_path / "cut.jsonl"
    for cut in sorted(cuts):
        path.write_bytes(whole[:cut])
        with RecordFile(path, INFO) as file:
            done = sum(record["file"] in file for record in records)
            assert done == max(0, sum(end <= cut for end in ends) - 1)
            for record in records:
                if record["file"] not in file:
                    file.append(record)
        assert path.read_bytes() == whole, cut


@pytest.mark.parametrize("tail", [b'{"file":"x.jpg","blo\n', b"\0" * 500 + b"\n", b"\xff\xfe\n",
                                  b'{"file":"x.jpg"}', b"17\n"])
def test_a_damaged_last_line_is_cut_off_and_not_read(tmp_path, tail):
    path = write_records(tmp_path / "p.jsonl", some_records(3))
    whole = path.read_bytes()
    path.write_bytes(whole + tail)
    assert len(list(read_records(path)[1])) == 3
    with RecordFile(path, INFO) as file:
        assert "x.jpg" not in file and "a/0.jpg" in file
    assert path.read_bytes() == whole


def test_a_damaged_line_in_the_middle_is_named(tmp_path):
    path = write_records(tmp_path / "p.jsonl", some_records(3))
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2][:20] + b"\n"
    path.write_bytes(b"".join(lines))
    with pytest.raises(InputError, match="p.jsonl, line 3: damaged"):
        list(read_records(path)[1])
    with pytest.raises(InputError, match="p.jsonl, line 3: damaged"):
        RecordFile(path, INFO)
    assert path.read_bytes() == b"".join(lines)  # refused, not touched


@pytest.mark.parametrize(("key", "value"), [("model", "other"), ("weights", "cd34"),
                                            ("mask_size", "network"), ("new", 1)])
def test_predictions_made_otherwise_are_refused(tmp_path, key, value):
    path = write_records(tmp_path / "p.jsonl", some_records(2))
    before = path.read_bytes()
    with pytest.raises(InputError) as error:
        RecordFile(path, {**INFO, key: value})
    for part in (str(path), key, str(INFO.get(key)), str(value), "--out", "delete"):
        assert part in str(error.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"my notes", b'{"a": 1}\n{"b": 2}\n', b"a,b\n1,2\n3,4\n"])
def test_other_peoples_files_are_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match="notes.txt"):
        RecordFile(path, INFO)
    with pytest.raises(InputError, match="notes.txt"):
        read_records(path)
    assert path.read_bytes() == content
    with pytest.raises(InputError, match="no such file"):
        read_records(tmp_path / "missing.jsonl")


def test_of_a_photo_that_stands_there_twice_the_first_counts(tmp_path):
    first, second = predicted("a.jpg", random_mask(1)), predicted("a.jpg", random_mask(2))
    path = write_records(tmp_path / "p.jsonl", [first, predicted("b.jpg", random_mask(3)), second])
    records = list(read_records(path)[1])
    assert [record["file"] for record in records] == ["a.jpg", "b.jpg"]
    assert records[0]["pixels"] == first["pixels"] != second["pixels"]


def test_a_record_is_on_disk_as_soon_as_it_is_appended(tmp_path):
    with RecordFile(tmp_path / "p.jsonl", INFO) as file:
        for number, record in enumerate(some_records(3), start=2):
            file.append(record)
            assert record["file"] in file
            assert (tmp_path / "p.jsonl").read_bytes().count(b"\n") == number


@pytest.mark.parametrize("name", ["Füchse/été 鹿.jpg", "not\udce9unicode.jpg", "a\u2028b\nc.jpg"])
def test_any_file_name_comes_back(tmp_path, name):
    path = write_records(tmp_path / "p.jsonl", [predicted(name, random_mask(1))])
    assert [record["file"] for record in read_records(path)[1]] == [name]
    with RecordFile(path, INFO) as file:
        assert name in file
    write_predictions_csv(path, tmp_path / "p.csv", [""], read_bursts(path, [""]))
    assert (tmp_path / "p.csv").read_text(encoding="utf-8-sig").startswith("file,")
    assert "\\udce9" in path.read_text(encoding="utf-8") or "\udce9" not in name
    if os.name == "posix":
        write_masks(path, tmp_path / "masks")
        assert (tmp_path / "masks" / (name + ".png")).exists()


def test_a_probability_that_is_no_number_is_a_bug_and_never_written(tmp_path):
    record = predicted("a.jpg", random_mask(1), np.full((8, 8), np.nan, np.float32))
    with RecordFile(tmp_path / "p.jsonl", INFO) as file, pytest.raises(ValueError):
        file.append(record)
    assert list(read_records(tmp_path / "p.jsonl")[1]) == []


@pytest.mark.long
def test_memory_does_not_grow_with_the_number_of_photos(tmp_path):
    """2,000 records take no more memory than 200, but for the names' hashes; and what a burst
    tells, which is needed until the last photo is read."""
    def peak(count: int, table: bool = False) -> int:
        path = write_records(tmp_path / f"{count}.jsonl", some_records(count))
        tracemalloc.start()
        with RecordFile(path, INFO):
            pass
        write_masks(path, tmp_path / f"masks{count}")
        if table:  # each photo is a burst of its own, with animals of several species
            write_predictions_csv(path, tmp_path / "p.csv", [""] * count,
                                  read_bursts(path, [""] * count))
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    peak(20)  # what is loaded once
    # Of two: once in a while Python enlarges a table of its own, for all names of paths together.
    few, many = peak(200), min(peak(2000), peak(2001))
    size = (tmp_path / "2000.jsonl").stat().st_size
    assert many - few < 150 * 1800 < size / 2  # bytes
    assert peak(2000, table=True) - peak(200, table=True) < 1800 * 1800


def test_info_is_the_first_line_and_holds_the_format(tmp_path):
    path = write_records(tmp_path / "new" / "folder" / "p.jsonl", some_records(1))
    first = json.loads(path.read_text().splitlines()[0])
    assert first["format"] == "camera_trapinator predictions 5" and first["model"] == "shapes"
