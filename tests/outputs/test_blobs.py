"""What the record of a photo says: blobs, faint parts, confidence."""

from itertools import combinations, product

import numpy as np
import pytest
from prediction_records import predicted, random_mask, with_box

from camera_trapinator.data.rle import decode_rle, filled, runs_of
from camera_trapinator.outputs.blobs import (
    Limits,
    Maps,
    failure_record,
    find_blobs,
    smoothed,
    true_classes,
)
from camera_trapinator.outputs.coco import blob_masks
from camera_trapinator.outputs.records import is_empty, mask_of, presence


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


def animals_by_hand(mask: np.ndarray, smallest: float = 0) -> list[np.ndarray]:
    """The parts of a flood fill that are one animal, (n, 2) rows and columns: see `parts.py`."""
    parts = [np.array(part) for part in flood_fill(mask) if len(part) >= smallest * mask.size]
    groups = [{number} for number in range(len(parts))]
    for one, other in combinations(range(len(parts)), 2):
        large, small = sorted((parts[one], parts[other]), key=len, reverse=True)
        (top, left), (bottom, right) = large.min(axis=0), large.max(axis=0) + 1
        (top2, left2), (bottom2, right2) = small.min(axis=0), small.max(axis=0) + 1
        gap = max(top2 - bottom, top - bottom2, left2 - right, left - right2, 0)
        share = 0.5 if len(small) < 0.2 * len(large) else 0.1
        same = len({np.bincount(mask[tuple(part.T)]).argmax() for part in (large, small)}) == 1
        if same and gap <= share * max(bottom - top, right - left):
            (first,) = [group for group in groups if one in group]
            (second,) = [group for group in groups if other in group]
            if first is not second:
                first |= second
                groups.remove(second)
    return [np.concatenate([parts[number] for number in group]) for group in groups]


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
    for part in animals_by_hand(mask, smallest):
        rows, columns = part.T
        inside, small = mask[rows, columns], (rows // 2, columns // 2)
        species = np.bincount(inside).argmax()
        expected.append((
            len(part) / mask.size, int(species),
            [columns.min() / 56, rows.min() / 40, (np.ptp(columns) + 1) / 56,
             (np.ptp(rows) + 1) / 40],
            [(columns.mean() + 0.5) / 56, (rows.mean() + 0.5) / 40],
            maps.smooth[small].max(),
            (foreground * maps.share * (maps.species == species))[small].sum()
            / foreground[small].sum(),
            bool(rows.min() == 0 or columns.min() == 0 or rows.max() == 39 or columns.max() == 55)))
    blobs, runs, covered = find_blobs(runs_of(mask), mask.shape, maps, Limits(smallest))
    assert len(blobs) == len(expected) > 1
    kept = np.zeros_like(mask)
    for part in animals_by_hand(mask, smallest):
        kept[tuple(part.T)] = mask[tuple(part.T)]
    assert (filled(runs, mask.shape) == kept).all()
    assert [blob["area"] for blob in blobs] == sorted([blob["area"] for blob in blobs])[::-1]
    found = sorted((blob["box"], blob) for blob in blobs)
    for (_, blob), (area, species, box, centroid, peak, share, edge) in zip(
            found, sorted(expected, key=lambda part: part[2]), strict=True):
        assert blob["box"] == pytest.approx(box, abs=1e-5)
        assert blob["centroid"] == pytest.approx(centroid, abs=1e-5)
        assert blob["area"] == pytest.approx(area, abs=1e-5)
        assert blob["confidence"] == pytest.approx(peak, abs=1e-5)
        assert blob["class_confidence"] == pytest.approx(share, abs=1e-5)
        assert (blob["class"], blob["touches_edge"]) == (species, edge)
    for row, column in np.ndindex(20, 28):  # covered: where one of the four pixels is in a blob
        four = {(2 * row + down, 2 * column + right) for down, right in product((0, 1), repeat=2)}
        assert covered[row, column] == any(kept[place] for place in four)


def test_the_foot_of_a_column_does_not_touch_the_head_of_the_next():
    """Though in a run-length encoding the one follows the other."""
    mask = np.zeros((6, 5), np.uint8)
    mask[4:, 1] = mask[:1, 2] = 1
    mask[5, 3] = 2
    record = predicted("a.jpg", mask)
    assert record["rle"]["counts"] == {"1": ":3a0", "2": "g016"}  # as pycocotools encodes it
    assert [blob["area"] for blob in record["blobs"]] == pytest.approx([2 / 30, 1 / 30, 1 / 30],
                                                                      abs=1e-5)
    stored = [decode_rle(rle) for rle in blob_masks(record, {"smallest_blob": 0})]
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
    assert blob["confidence"] == record["confidence"] == pytest.approx(0.9, abs=1e-5)
    assert (small["confidence"], none["confidence"]) == (pytest.approx(0.4), pytest.approx(0.3))
    assert (small["class"], none["class"]) == (1, 1)
    x, y, width, height = none["box"]  # smoothing by 5 x 5 widens it by a pixel on each side
    assert (x * 60, y * 40, width * 60, height * 40) == pytest.approx((1, 1, 12, 12), abs=0.01)
    assert not is_empty(record)
    assert is_empty({**record, "blobs": []})  # what is faint does not count
    (other,) = predicted("a.jpg", mask, foreground, faint=0.35, smallest_blob=0.01)["faint"]
    assert other["confidence"] == small["confidence"]
    many = np.zeros((40, 60), np.float32)
    many[2::8, 2::6] = np.linspace(5, 25, 50, dtype=np.float32).reshape(5, 10) / 5
    record = predicted("a.jpg", 0 * mask, many)
    assert len(record["faint"]) == 10 and record["faint"][0]["confidence"] == record["confidence"]


def test_blobs_that_touch_at_a_corner_are_one_and_the_majority_names_it():
    mask = with_box(10, 10, 4, 4, species=2) + with_box(14, 14, 5, 5, species=3)
    (blob,) = predicted("a.jpg", mask)["blobs"]
    assert blob["class"] == 3 and blob["area"] == pytest.approx(41 / 2400, abs=1e-5)
    assert not blob["touches_edge"]
    assert presence(predicted("a.jpg", mask), 4) == [True, False, False, True]


@pytest.mark.parametrize("seed", range(4))
def test_the_true_class_of_a_blob_is_that_of_most_of_its_labelled_pixels(seed):
    mask, truth = random_mask(seed, 40, 56), random_mask(seed + 100, 40, 56)
    truth[np.random.default_rng(seed).random(truth.shape) < 0.3] = 255
    record = predicted("a.jpg", mask, smallest_blob=0.002)
    blobs, mask, expected = record["blobs"], mask_of(record), {}
    for part in animals_by_hand(mask, 0.002):
        rows, columns = part.T
        labels = [label for label in truth[rows, columns].tolist() if label != 255]
        expected[(columns.min() / 56, rows.min() / 40)] = (
            max(sorted(set(labels)), key=labels.count) if labels else None)
    found = true_classes(mask, truth)
    assert len(found) == len(blobs) > 1
    for blob, label in zip(blobs, found, strict=True):
        (close,) = [label for place, label in expected.items()
                    if place == pytest.approx(blob["box"][:2], abs=1e-5)] or [label]
        assert label == close


def test_what_is_surely_there_and_unsure_of_its_kind_is_unknown():
    mask = with_box(10, 10, 8, 8, species=2)
    (blob,) = predicted("a.jpg", mask, sure=0.45)["blobs"]
    assert (blob["class"], blob["unknown"], blob["class_confidence"]) == (2, True, 0.45)
    assert blob["confidence"] == 1
    record = predicted("a.jpg", mask, sure=0.45)
    assert presence(record, 4) == [True, False, False, False] and not is_empty(record)
    for sure, below in ((0.45, 0.4), (0.5, 0.5), (0.1, 0.0)):
        (blob,) = predicted("a.jpg", mask, sure=sure, unknown_below=below)["blobs"]
        assert not blob["unknown"]


def test_specks_below_the_smallest_blob_are_no_animal():
    mask = with_box(10, 10, 3, 4) + with_box(30, 50, 2, 5, species=2)  # 12 and 10 of 2400 pixels
    both, one, none = (predicted("a.jpg", mask, smallest_blob=share)
                       for share in (10 / 2400, 11 / 2400, 13 / 2400))
    assert presence(both, 4) == [True, True, True, False]
    assert presence(one, 4) == [True, True, False, False]
    assert presence(none, 4) == [True, False, False, False]
    assert [is_empty(record) for record in (both, one, none)] == [False, False, True]
    assert [mask_of(record).any() for record in (both, one, none)] == [True, True, False]
    assert both["pixels"] == [2378, 12, 10, 0] and none["pixels"] == [2400, 0, 0, 0]


def test_what_is_less_sure_than_min_confidence_counts_nowhere():
    """Neither as a blob nor in the mask, but for somebody to look at."""
    mask = with_box(5, 5, 10, 12) + with_box(25, 40, 10, 12, species=2)
    foreground = np.where(mask == 1, 0.9, np.where(mask == 2, 0.6, 0)).astype(np.float32)
    counts = [(len(record["blobs"]), len(record["faint"]), record["pixels"]) for record in (
        predicted("a.jpg", mask, foreground, min_confidence=least) for least in (0.6, 0.61, 0.91))]
    assert counts == [(2, 0, [2160, 120, 120, 0]), (1, 1, [2280, 120, 0, 0]),
                      (0, 2, [2400, 0, 0, 0])]
    record = predicted("a.jpg", mask, foreground, min_confidence=0.61)
    assert (mask_of(record) == np.where(mask == 1, 1, 0)).all()
    assert [part["class"] for part in record["faint"]] == [2]
    assert record["confidence"] == pytest.approx(0.9)


def test_an_animal_behind_a_trunk_is_one_and_two_animals_are_two():
    behind = with_box(10, 5, 20, 20) + with_box(10, 27, 20, 18)  # 2 of 20 pixels between them
    (blob,) = predicted("a.jpg", behind)["blobs"]
    assert blob["box"] == pytest.approx([5 / 60, 10 / 40, 40 / 60, 20 / 40], abs=1e-5)
    assert blob["area"] == pytest.approx(38 * 20 / 2400, abs=1e-5)
    tail = with_box(10, 5, 20, 20) + with_box(12, 34, 3, 6)  # 9 of 20 pixels away
    assert len(predicted("a.jpg", tail)["blobs"]) == 1
    for other in (with_box(10, 5, 20, 20) + with_box(10, 28, 20, 18),  # too far
                  with_box(10, 5, 20, 20) + with_box(12, 36, 3, 6),
                  with_box(10, 5, 20, 20) + with_box(10, 27, 20, 18, species=2)):
        assert len(predicted("a.jpg", other)["blobs"]) == 2


@pytest.mark.parametrize("seed", range(6))
def test_each_blob_of_a_record_has_its_own_mask(seed):
    """Which ones count is not told twice: the mask that is written tells them again."""
    random = np.random.default_rng(seed)
    mask, least = random_mask(seed, 40, 56), 0.5
    foreground = random.random((20, 28)).astype(np.float32)
    record = predicted("a.jpg", mask, foreground, smallest_blob=0.002, min_confidence=least)
    stored = [decode_rle(rle) for rle in blob_masks(record, {"smallest_blob": 0.002})]
    assert 0 < len(stored) == len(record["blobs"])
    assert (sum(stored) == (mask_of(record) > 0)).all()
    for blob, inside in zip(record["blobs"], stored, strict=True):
        assert inside.mean() == pytest.approx(blob["area"], abs=1e-5)
        rows, columns = np.nonzero(inside)
        assert [columns.min() / 56, rows.min() / 40] == pytest.approx(blob["box"][:2], abs=1e-5)
        assert blob["confidence"] >= least


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
