"""Prediction records: written, resumed, read; and each file that is made from them."""

import csv
import json
import os
import tracemalloc
from itertools import product

import numpy as np
import pytest
from PIL import Image

from camera_trapinator import InputError
from camera_trapinator.data.masks import read_mask, resize_mask, write_mask
from camera_trapinator.data.rle import decode_rle, runs_of
from camera_trapinator.outputs.blobs import Maps, failure_record, find_blobs, photo_record, smoothed
from camera_trapinator.outputs.coco import blob_masks
from camera_trapinator.outputs.curves import write_curves
from camera_trapinator.outputs.drawing import draw_overlay, font_of, wrap
from camera_trapinator.outputs.masks import write_masks
from camera_trapinator.outputs.overlays import write_overlays
from camera_trapinator.outputs.records import (
    RecordFile,
    classes_of,
    is_empty,
    mask_of,
    presence,
    read_records,
)
from camera_trapinator.outputs.sheets import worst_error, write_sheet, write_worst_sheet
from camera_trapinator.outputs.tables import (
    write_detections_csv,
    write_events_csv,
    write_predictions_csv,
    write_sequences_csv,
    write_table,
)

CLASSES = [("background", (0, 0, 0)), ("fox", (230, 120, 20)), ("snow hare", (80, 160, 255)),
           ("black bear", (0, 0, 0))]
INFO = {"model": "shapes", "weights": "ab12", "mask_size": "photo",
        "classes": [{"name": name, "colour": colour} for name, colour in CLASSES]}


def predicted(file: str, mask: np.ndarray, foreground: np.ndarray | None = None, **known) -> dict:
    """The record of a mask; the network is as sure as can be unless `foreground` is given."""
    if foreground is None:
        foreground = (mask > 0).astype(np.float32)
    likeliest = resize_mask(mask, *foreground.shape[::-1]).clip(1)
    known = {"width": mask.shape[1], "height": mask.shape[0], "num_classes": len(CLASSES),
             "smallest_blob": 0, **known}
    return photo_record(file, mask, foreground, (likeliest, np.ones_like(foreground)),
                                **known)


def random_mask(seed: int, height: int = 48, width: int = 64) -> np.ndarray:
    """Ragged patches of three species."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 4, (height // 8, width // 8)) * random.integers(
        0, 2, (height // 8, width // 8))
    mask = np.kron(coarse, np.ones((8, 8))).astype(np.uint8)
    mask[random.random(mask.shape) < 0.15] = 0
    return mask


def with_box(top: int, left: int, height: int, width: int, species: int = 1,
             size: tuple[int, int] = (40, 60)) -> np.ndarray:
    mask = np.zeros(size, np.uint8)
    mask[top:top + height, left:left + width] = species
    return mask


def write_records(path, records, info=INFO):
    with RecordFile(path, info) as file:
        for record in records:
            file.append(record)
    return path


def some_records(count: int = 6) -> list[dict]:
    """Photos in three folders, every third one unreadable."""
    return [failure_record(f"c/{number}.jpg", "no such file", location="c")
            if number % 3 == 2 else
            predicted(f"{'ab'[number % 3]}/{number}.jpg", random_mask(number),
                      location="ab"[number % 3], datetime=f"2024-05-01 10:00:{number % 60:02}")
            for number in range(count)]


# --------------------------------------------------------------------------- one record


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


def flood_fill(mask: np.ndarray) -> list[list[tuple[int, int]]]:
    """The 8-connected parts of mask != 0 as lists of (row, column), without any library."""
    left = {(int(row), int(column)) for row, column in zip(*np.nonzero(mask), strict=True)}
    parts = []
    while left:
        waiting, part = [left.pop()], []
        while waiting:
            row, column = waiting.pop()
            part.append((row, column))
            near = {(row + down, column + right) for down, right in product((-1, 0, 1), repeat=2)}
            waiting += near & left
            left -= near
        parts.append(part)
    return parts


@pytest.mark.parametrize("seed", range(8))
def test_blobs_are_those_of_a_flood_fill(seed):
    random = np.random.default_rng(seed)
    mask = random_mask(seed, 40, 56)
    foreground = random.random((20, 28)).astype(np.float32)  # half the size of the mask
    maps = Maps(foreground, smoothed(foreground),
                        random.integers(1, 4, (20, 28)).astype(np.uint8),
                        random.random((20, 28)).astype(np.float32))
    smallest = 0.002
    expected = []
    for part in flood_fill(mask):
        rows, columns = np.array(part).T
        if len(part) < smallest * mask.size:
            continue
        inside, small = mask[rows, columns], (rows // 2, columns // 2)
        species = np.bincount(inside).argmax()
        expected.append((
            len(part) / mask.size, int(species),
            [columns.min() / 56, rows.min() / 40, (np.ptp(columns) + 1) / 56,
             (np.ptp(rows) + 1) / 40],
            [(columns.mean() + 0.5) / 56, (rows.mean() + 0.5) / 40],
            foreground[small].mean(), maps.smooth[small].max(),
            (foreground * maps.share * (maps.species == species))[small].sum()
            / foreground[small].sum(),
            bool(rows.min() == 0 or columns.min() == 0 or rows.max() == 39 or columns.max() == 55)))
    blobs, covered = find_blobs(runs_of(mask), mask.shape, maps, smallest)
    assert len(blobs) == len(expected) > 0
    assert [blob["area"] for blob in blobs] == sorted([blob["area"] for blob in blobs])[::-1]
    found = sorted((blob["box"], blob) for blob in blobs)
    for (_, blob), (area, species, box, centroid, confidence, peak, share, edge) in zip(
            found, sorted(expected, key=lambda part: part[2]), strict=True):
        assert blob["box"] == pytest.approx(box, abs=1e-5)
        assert blob["centroid"] == pytest.approx(centroid, abs=1e-5)
        assert blob["area"] == pytest.approx(area, abs=1e-5)
        assert blob["confidence"] == pytest.approx(confidence, abs=1e-5)
        assert blob["peak"] == pytest.approx(peak, abs=1e-5)
        assert blob["class_confidence"] == pytest.approx(share, abs=1e-5)
        assert (blob["class"], blob["touches_edge"]) == (species, edge)
    for row, column in np.ndindex(20, 28):  # covered: where one of the four pixels is in a blob
        four = {(2 * row + down, 2 * column + right) for down, right in product((0, 1), repeat=2)}
        assert covered[row, column] == any(four & set(part) for part in flood_fill(mask)
                                           if len(part) >= smallest * mask.size)


def test_the_foot_of_a_column_does_not_touch_the_head_of_the_next():
    """Though in a run-length encoding the one follows the other."""
    mask = np.zeros((6, 5), np.uint8)
    mask[4:, 1] = mask[:1, 2] = 1
    mask[5, 3] = 2
    record = predicted("a.jpg", mask)
    assert record["rle"]["counts"] == {"1": ":3a0", "2": "g016"}  # as pycocotools encodes it
    assert [blob["area"] for blob in record["blobs"]] == pytest.approx([2 / 30, 1 / 30, 1 / 30],
                                                                      abs=1e-5)
    stored = [decode_rle(rle) for rle in blob_masks(record, 0)]
    assert [np.argwhere(blob).tolist() for blob in stored] == [
        [[4, 1], [5, 1]], [[0, 2]], [[5, 3]]]  # the higher one of two alike comes first


def test_faint_parts_are_told_the_surest_first_where_no_blob_lies():
    foreground = np.zeros((40, 60), np.float32)
    foreground[2:12, 2:12] = 0.3  # no pixel is predicted
    foreground[20:30, 2:22] = 0.4  # smaller than the smallest blob
    foreground[20:30, 40:50] = 0.9  # a blob
    foreground[2:12, 40:50] = 0.05  # too faint
    mask = with_box(20, 40, 10, 10) + with_box(24, 5, 2, 2, species=2)
    record = predicted("a.jpg", mask, foreground, smallest_blob=0.01)
    (blob,), (small, none) = record["blobs"], record["faint"]
    assert blob["peak"] == record["confidence"] == pytest.approx(0.9, abs=1e-5)
    assert (small["peak"], none["peak"]) == (pytest.approx(0.4), pytest.approx(0.3))
    assert (small["class"], none["class"]) == (1, 1)
    x, y, width, height = none["box"]  # smoothing by 5 x 5 widens it by a pixel on each side
    assert (x * 60, y * 40, width * 60, height * 40) == pytest.approx((1, 1, 12, 12), abs=0.01)
    assert not is_empty(record)
    assert is_empty({**record, "blobs": []})  # what is faint does not count
    (other,) = predicted("a.jpg", mask, foreground, faint=0.35, smallest_blob=0.01)["faint"]
    assert other["peak"] == small["peak"]
    many = np.zeros((40, 60), np.float32)
    many[2::8, 2::6] = np.linspace(5, 25, 50, dtype=np.float32).reshape(5, 10) / 5
    record = predicted("a.jpg", 0 * mask, many)
    assert len(record["faint"]) == 10 and record["faint"][0]["peak"] == record["confidence"]


def test_blobs_that_touch_at_a_corner_are_one_and_the_majority_names_it():
    mask = with_box(10, 10, 4, 4, species=2) + with_box(14, 14, 5, 5, species=3)
    (blob,) = predicted("a.jpg", mask)["blobs"]
    assert blob["class"] == 3 and blob["area"] == pytest.approx(41 / 2400, abs=1e-5)
    assert not blob["touches_edge"]
    assert presence(predicted("a.jpg", mask), 4) == [True, False, False, True]


def test_specks_below_the_smallest_blob_are_no_animal():
    mask = with_box(10, 10, 3, 4) + with_box(30, 50, 2, 5, species=2)  # 12 and 10 of 2400 pixels
    both, one, none = (predicted("a.jpg", mask, smallest_blob=share)
                       for share in (10 / 2400, 11 / 2400, 13 / 2400))
    assert presence(both, 4) == [True, True, True, False]
    assert presence(one, 4) == [True, True, False, False]
    assert presence(none, 4) == [True, False, False, False]
    assert [is_empty(record) for record in (both, one, none)] == [False, False, True]
    assert none["pixels"][1] == 12 and (mask_of(none) == mask).all()  # the mask stays


def test_a_failure_is_neither_empty_nor_not():
    record = failure_record("a.jpg", "truncated", location="site", split="test")
    assert not is_empty(record) and not any(presence(record, 4)[1:])
    assert record["failure"] == "truncated" and record["split"] == "test"
    assert record.keys() - {"split"} == predicted("a.jpg", random_mask(0)).keys()


def test_confidence_is_that_of_the_surest_neighbourhood_not_of_one_pixel():
    foreground = np.zeros((20, 30), np.float32)
    foreground[10, 10] = 1
    mask = np.zeros((40, 60), np.uint8)
    assert predicted("a.jpg", mask, foreground)["confidence"] == pytest.approx(1 / 25, abs=1e-5)
    foreground[8:13, 8:13] = 0.9
    assert predicted("a.jpg", mask, foreground)["confidence"] == pytest.approx(0.9, abs=1e-5)
    foreground[:3, :3] = 1  # at the corner the picture goes on as it ends
    assert predicted("a.jpg", mask, foreground)["confidence"] == pytest.approx(1, abs=1e-5)


def test_further_facts_go_in_as_they_are():
    record = predicted("a.jpg", random_mask(1), truth="a.png", confusion=[[1, 2], [3, 4]])
    assert record["truth"] == "a.png" and record["confusion"] == [[1, 2], [3, 4]]


def test_without_a_number_of_classes_the_table_still_has_a_column_for_each(tmp_path):
    record = photo_record("a.jpg", with_box(5, 5, 9, 9), np.ones((4, 6), np.float32),
                                  (np.ones((4, 6), np.uint8), np.ones((4, 6), np.float32)),
                                  width=60, height=40)
    assert len(record["pixels"]) == 2
    row, = table_of(tmp_path, [record])
    assert row["present_fox"] == "TRUE" and row["share_black bear"] == "0.0"


# ----------------------------------------------------------------------------- the file


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
    write_predictions_csv(path, tmp_path / "p.csv", [""])
    assert (tmp_path / "p.csv").read_text(encoding="utf-8").startswith("file,")
    assert "\\udce9" in path.read_text(encoding="utf-8") or "\udce9" not in name
    if os.name == "posix":
        write_masks(path, tmp_path / "masks")
        assert (tmp_path / "masks" / (name + ".png")).exists()


def test_a_probability_that_is_no_number_is_a_bug_and_never_written(tmp_path):
    record = predicted("a.jpg", random_mask(1), np.full((8, 8), np.nan, np.float32))
    with RecordFile(tmp_path / "p.jsonl", INFO) as file, pytest.raises(ValueError):
        file.append(record)
    assert list(read_records(tmp_path / "p.jsonl")[1]) == []


def test_memory_does_not_grow_with_the_number_of_photos(tmp_path):
    """2,000 records take no more memory than 200, but for the names' hashes."""
    def peak(count: int) -> int:
        path = write_records(tmp_path / f"{count}.jsonl", some_records(count))
        tracemalloc.start()
        with RecordFile(path, INFO):
            pass
        write_masks(path, tmp_path / f"masks{count}")
        write_predictions_csv(path, tmp_path / "p.csv", ("" for _ in range(count)))
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    peak(20)  # what is loaded once
    # Of two: once in a while Python enlarges a table of its own, for all names of paths together.
    few, many = peak(200), min(peak(2000), peak(2001))
    size = (tmp_path / "2000.jsonl").stat().st_size
    assert many - few < 150 * 1800 < size / 2  # bytes


# --------------------------------------------------------------------- masks and overlays


def test_masks_are_palette_pngs_in_the_tree_of_the_photos(tmp_path):
    masks = {name: random_mask(seed) for seed, name in enumerate(
        ["a.jpg", "a.png", "a.JPEG", "deep/er/a.jpg", "100RECNX/a"])}
    records = [predicted(name, mask) for name, mask in masks.items()]
    records.append(failure_record("broken.jpg", "truncated"))
    write_masks(write_records(tmp_path / "p.jsonl", records), tmp_path / "masks")
    written = {path.relative_to(tmp_path / "masks").as_posix()
               for path in (tmp_path / "masks").rglob("*") if path.is_file()}
    assert written == {name + ".png" for name in masks}
    for name, mask in masks.items():
        assert (read_mask(tmp_path / "masks" / (name + ".png")) == mask).all()
        with Image.open(tmp_path / "masks" / (name + ".png")) as image:
            assert image.mode == "P" and image.getpalette()[3:6] == [230, 120, 20]


@pytest.mark.parametrize("writer", ["masks", "overlays"])
@pytest.mark.parametrize("name", ["../out.jpg", "a/../../out.jpg", "/{root}/out.jpg",
                                  "link/out.jpg"])
def test_nothing_is_written_outside_the_folder(tmp_path, writer, name):
    folder, elsewhere = tmp_path / "results", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (folder / "link").symlink_to(elsewhere, target_is_directory=True)
    name = name.replace("/{root}", str(tmp_path))
    path = write_records(tmp_path / "p.jsonl", [predicted(name, random_mask(1))])
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match="leads out of"):
        if writer == "masks":
            write_masks(path, folder)
        else:
            write_overlays(path, tmp_path, folder)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_link_in_the_place_of_the_temporary_file_is_not_followed(tmp_path):
    (tmp_path / "masks").mkdir()
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "masks" / "a.jpg.png.tmp").symlink_to(tmp_path / "precious")
    path = write_records(tmp_path / "p.jsonl", [predicted("a.jpg", random_mask(1))])
    write_masks(path, tmp_path / "masks")
    assert (tmp_path / "precious").read_text() == "precious"
    assert (read_mask(tmp_path / "masks" / "a.jpg.png") == random_mask(1)).all()


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


def test_overlays_tint_the_animal_and_nothing_else():
    image = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    before = image.copy()
    mask = with_box(60, 100, 80, 90, species=2, size=(200, 300))
    drawn = np.asarray(draw_overlay(image, mask, CLASSES))
    changed = (drawn != image).any(axis=-1)
    assert (image == before).all() and drawn.shape == image.shape
    assert not changed[:58].any() and not changed[143:].any()  # a line around it of 1 pixel
    assert not changed[:, :98].any() and not changed[:, 193:].any()
    assert changed[65:135, 105:185].mean() > 0.95
    assert tuple(drawn[60, 150]) == (80, 160, 255)  # the outline, in the class's colour
    half = np.asarray(draw_overlay(image, mask[::2, ::2], CLASSES))
    assert (half == drawn).all()  # masks at network size are drawn alike
    empty = draw_overlay(image, np.zeros((20, 30), np.uint8), CLASSES)
    assert (np.asarray(empty) == image).all()


@pytest.mark.parametrize("grey", [0, 128, 255])
@pytest.mark.parametrize("colour", [(0, 0, 0), (20, 20, 20), (255, 255, 255), (128, 128, 128),
                                    (0, 0, 90), (230, 120, 20)])
def test_every_colour_shows_on_every_background(grey, colour):
    """All along the animal's outline some line differs clearly from the photo."""
    image = np.full((100, 150, 3), grey, np.uint8)
    mask = with_box(30, 40, 40, 50, size=(100, 150))
    drawn = draw_overlay(image, mask, [("background", (0, 0, 0)), ("animal", colour)])
    differs = abs(np.asarray(drawn).astype(int) - grey).max(axis=-1) > 85
    assert differs.sum() >= 2 * (40 + 50) - 4
    assert not differs[:28].any() and not differs[:, :38].any()


def test_overlays_have_their_legend_below_the_photo(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    image = np.full((480, 640, 3), 90, np.uint8)
    for name in ("fox.jpg", "empty.jpg", "tiny.jpg"):
        Image.fromarray(image if name != "tiny.jpg" else image[:40, :30]).save(photos / name)
    records = [predicted("fox.jpg", with_box(100, 100, 200, 200, size=(480, 640))),
               predicted("empty.jpg", np.zeros((480, 640), np.uint8)),
               predicted("tiny.jpg", np.zeros((40, 30), np.uint8)),
               predicted("gone.jpg", random_mask(1)),
               failure_record("broken.jpg", "truncated")]
    write_overlays(write_records(tmp_path / "p.jsonl", records), photos, tmp_path / "overlays",
                   long_side=320)
    assert sorted(os.listdir(tmp_path / "overlays")) == [
        "empty.jpg.jpg", "fox.jpg.jpg", "tiny.jpg.jpg"]
    fox, empty, tiny = (
        np.asarray(Image.open(tmp_path / "overlays" / f"{name}.jpg.jpg")).astype(int)
        for name in ("fox", "empty", "tiny"))
    assert fox.shape[1] == empty.shape[1] == 320 and min(fox.shape[0], empty.shape[0]) > 250
    assert abs(empty[:236] - 90).max() < 10  # no text over the photo
    orange = abs(fox[242:] - (230, 120, 20)).max(axis=-1) < 40
    assert orange.sum() > 40  # the square of the legend
    assert not (abs(empty[242:] - (230, 120, 20)).max(axis=-1) < 40).any()
    assert (empty[242:].min(axis=-1) > 180).sum() > 100  # light letters
    assert tiny.shape[1] >= 300 and abs(tiny[:36, tiny.shape[1] // 2] - 90).max() < 10


@pytest.mark.parametrize("width", [40, 150, 400])
@pytest.mark.parametrize("text", ["site one/100RECNX/IMG_0001.JPG    confidence 0.93", "x" * 300,
                                  "", "bad \udce9 name.jpg"])
def test_wrapped_text_fits_and_loses_nothing(text, width):
    lines = wrap(text, 15, width)
    assert "".join(lines) == text.replace("\udce9", "?")
    assert all(font_of(15).getlength(line.rstrip()) <= width for line in lines)


# --------------------------------------------------------------------------------- tables


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
        "share_fox", "present_fox", "share_snow hare", "present_snow hare", "share_black bear",
        "present_black bear", "blob_class", "blob_x", "blob_y", "blob_width", "blob_height",
        "failure"]
    assert list(fox.values()) == [
        "a, b/ü.jpg", "site, one", "2024-05-01 10:00:00", "one#1", "FALSE", "fox", "1.0",
        "0.0625", "TRUE", "0.03", "TRUE", "0.0", "FALSE", "fox", "24", "16", "30", "20", ""]
    assert list(empty.values()) == ["c.jpg", "", "", "", "TRUE", "", "0.0", "0.0", "FALSE", "0.0",
                                    "FALSE", "0.0", "FALSE", "", "", "", "", "", ""]
    assert list(failure.values()) == ["d.jpg", "site", "", "#2", *[""] * 14, "cannot be read"]


def test_a_table_with_too_few_sequences_is_not_written(tmp_path):
    with pytest.raises(ValueError):
        table_of(tmp_path, some_records(3), ["one"])
    assert not (tmp_path / "p.csv").exists()


def test_tables_have_empty_cells_where_nothing_is_known(tmp_path):
    write_table(tmp_path / "t.csv", ["class", "iou", "seen"],
                [["fox, red", None, True], ["hare", 0.5, False]])
    assert (tmp_path / "t.csv").read_bytes() == (
        b'class,iou,seen\n"fox, red",,TRUE\nhare,0.5,FALSE\n')


def rows_of(path) -> list[dict]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_detections_csv_is_one_row_a_blob(tmp_path):
    mask = with_box(8, 12, 10, 15, species=1) + with_box(30, 40, 10, 20, species=2)
    path = write_records(tmp_path / "t.jsonl", [
        predicted("a.jpg", mask, location="site", datetime="2024-05-01 10:00:00", width=120,
                  height=80),
        predicted("b.jpg", 0 * mask), failure_record("c.jpg", "torn")])
    write_detections_csv(path, tmp_path / "d.csv", ["site#1", "", ""])
    assert [list(row.values()) for row in rows_of(tmp_path / "d.csv")] == [
        ["a.jpg", "site", "2024-05-01 10:00:00", "site#1", "snow hare", "80.0", "60.0", "40.0",
         "20.0", "100.0", "70.0", str(10 * 20 / 2400)[:7], "1.0", "TRUE"],
        ["a.jpg", "site", "2024-05-01 10:00:00", "site#1", "fox", "24.0", "16.0", "30.0", "20.0",
         "39.0", "26.0", "0.0625", "1.0", "FALSE"]]


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
                                 "photos_black bear", "most_black bear"]
    assert [list(row.values()) for row in rows] == [
        ["a#1", "a", "2024-05-01 10:00:00", "2024-05-01 10:01:00", "2", "0", "FALSE", "1.0",
         "2", "2", "1", "1", "0", "0"],
        ["2.jpg", "b", "", "", "1", "0", "FALSE", "1.0", "0", "0", "0", "0", "1", "1"],
        ["b#1", "b", "2024-05-01 10:00:00", "2024-05-01 10:00:30", "2", "1", "TRUE", "0.0",
         "0", "0", "0", "0", "0", "0"],
        ["y.jpg", "b", "", "", "1", "1", *[""] * 8]]


def test_events_are_apart_by_more_than_the_minutes_from_photo_to_photo(tmp_path):
    path = write_records(tmp_path / "t.jsonl", sightings(
        ("a", "11:05", [1]), ("a", "10:00", [1]), ("a", "10:30", [1, 1]), ("a", "11:00", [1, 2]),
        ("a", "11:36", [1]), ("b", "11:05", [1]), ("b", "", [1]), ("b", "", [1]),
        ("b", "11:10", [])))
    write_events_csv(path, tmp_path / "e.csv", 30)
    assert [list(row.values())[:-1] for row in rows_of(tmp_path / "e.csv")] == [
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


# ------------------------------------------------------------------------ sheets and curves


def test_sheets_hold_portrait_and_landscape_and_all_of_a_long_caption(tmp_path):
    pictures = [(np.full((300, 100, 3), 200, np.uint8), ["short"]),
                (Image.new("RGB", (900, 300), (200, 200, 200)), ["a long caption " * 20, "second"]),
                (np.full((50, 50, 3), 200, np.uint8), [])]
    write_sheet(pictures, tmp_path / "sheet.png", columns=2, cell=(200, 150), classes=CLASSES)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png")).astype(int)
    assert sheet.shape[1] == 2 * 208 + 8
    grey = (sheet == 200).all(axis=-1)
    for columns, rows, area in [(slice(0, 208), slice(0, 160), 150 * 50),
                                (slice(208, 420), slice(0, 160), 200 * 67)]:
        assert abs(grey[rows, columns].sum() - area) <= 200
    lines = wrap("a long caption " * 20, 15, 200)
    assert len(lines) > 5 and sheet.shape[0] > 150 + 21 * (len(lines) + 1) + 50
    write_sheet([], tmp_path / "none.jpg")  # an evaluation in which every photo failed
    assert Image.open(tmp_path / "none.jpg").size[0] > 1


@pytest.mark.parametrize(("confusion", "text"), [
    ([[90, 0, 0], [0, 10, 0], [0, 0, 0]], "no pixel is wrong"),
    ([[90, 5, 0], [0, 5, 0], [0, 0, 0]], "5 % of the photo wrongly fox"),
    ([[90, 1, 0], [8, 2, 0], [0, 0, 0]], "80 % of fox missed"),
    ([[90, 1, 0], [0, 2, 6], [0, 0, 2]], "75 % of fox taken for hare"),
])
def test_the_worst_error_in_words(confusion, text):
    assert worst_error(np.array(confusion), ["background", "fox", "hare"]) == text


def test_the_worst_sheet_shows_photo_truth_and_prediction(tmp_path):
    Image.new("RGB", (600, 400), (90, 90, 90)).save(tmp_path / "a.jpg")
    truth = with_box(100, 100, 200, 200, species=1, size=(400, 600))
    mask = with_box(100, 300, 200, 200, species=2, size=(400, 600))
    write_mask(tmp_path / "a.png", truth, [colour for _, colour in CLASSES])
    confusion = np.bincount(truth.ravel() * 4 + mask.ravel(), minlength=16).reshape(4, 4).tolist()
    record = predicted("a.jpg", mask, truth="a.png", confusion=confusion, iou=0.0)
    empty = {**record, "truth": "background"}
    write_worst_sheet(tmp_path / "worst.png", [record, empty], tmp_path, CLASSES)
    sheet = np.asarray(Image.open(tmp_path / "worst.png")).astype(int)
    cells = [sheet[:260, 8 + column * 408:408 + column * 408] for column in range(3)]

    def outlined(cell, colour):
        return bool((cell == colour).all(axis=-1).sum() > 200)

    assert [outlined(cell, (230, 120, 20)) for cell in cells] == [False, True, False]
    assert [outlined(cell, (80, 160, 255)) for cell in cells] == [False, False, True]
    below = sheet[330:600, 8 + 408:408 + 408]
    assert not outlined(below, (230, 120, 20))  # the second row's truth is background


HEADER = "epoch,lr,train_loss,val_loss,mean_iou,foreground_iou,images_per_second,seconds\n"


@pytest.mark.parametrize("rows", ["", "1,0.05,0.7,0.6,0.1,0.3,10,3\n", "1,0.05,0.7,,,,10,3\n",
                                  "1,0.1,2,1,0.1,0.2,9,9\n2,0.1,nan,,,0.3,9,9\n3,0,inf,1,1,1,9,9\n"])
def test_curves_are_drawn_from_one_epoch_on_and_with_gaps(tmp_path, rows):
    (tmp_path / "log.csv").write_text(HEADER + rows)
    write_curves(tmp_path / "log.csv", tmp_path / "curves.png")
    picture = np.asarray(Image.open(tmp_path / "curves.png").convert("RGB")).astype(int)
    assert picture.shape[0] > 300 and picture.shape[1] > 1000
    panel = picture[40:, picture.shape[1] * 2 // 3:]  # the learning rate: no legend in it
    blue = (abs(panel - (31, 119, 180)).max(axis=-1) < 30).sum()
    assert (blue > 10) == bool(rows)


@pytest.mark.parametrize("content", ["epoch,loss\n1,2\n", HEADER + "1,much,1,1,1,1,1,1\n"])
def test_a_file_that_is_no_log_is_named(tmp_path, content):
    (tmp_path / "log.csv").write_text(content)
    with pytest.raises(InputError, match="log.csv: no training log"):
        write_curves(tmp_path / "log.csv", tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()


def test_info_is_the_first_line_and_holds_the_format(tmp_path):
    path = write_records(tmp_path / "new" / "folder" / "p.jsonl", some_records(1))
    first = json.loads(path.read_text().splitlines()[0])
    assert first["format"] == "camera_trapinator predictions 2" and first["model"] == "shapes"
