"""What an export has changed is counted right, and told only while it is so."""

import json
import os

import numpy as np
import pytest
from prediction_records import INFO, predicted, random_mask, with_box, write_records

from camera_trapinator.data.files import sha256
from camera_trapinator.data.rle import runs_of
from camera_trapinator.export.alone import CrashedError, in_own_process
from camera_trapinator.export.keeping import keep_good, strangers, unproven_folder
from camera_trapinator.export.parity import compare
from camera_trapinator.export.targets import File, plan
from camera_trapinator.metrics import ConfusionMatrix
from camera_trapinator.outputs.blobs import encode_classes, failure_record
from camera_trapinator.outputs.maps import map_record
from camera_trapinator.outputs.model_card import write_model_card
from camera_trapinator.outputs.parity_table import as_lines, read_parity
from camera_trapinator.outputs.records import mask_of

SHAPE = (48, 64)


def compared_record(file: str, mask: np.ndarray, truth: np.ndarray | None = None, **limits) -> dict:
    """A record with what a comparison wants beside."""
    record = predicted(file, mask, **limits)
    record["network"] = encode_classes(runs_of(mask), mask.shape)
    if truth is not None:
        matrix = ConfusionMatrix(len(INFO["classes"]))
        matrix.update(truth, mask_of(record))
        record["confusion"] = matrix.counts.tolist()
    return record


def test_agreement_and_scores_are_those_of_the_pixels(tmp_path):
    random = np.random.default_rng(0)
    masks = [random_mask(seed) for seed in range(4)]
    others = [np.where(random.random(SHAPE) < 0.02, random.integers(0, 4, SHAPE), mask).astype(
        np.uint8) for mask in masks]
    truths = [random_mask(seed + 10) for seed in range(4)]
    paths = [write_records(tmp_path / f"{number}.jsonl", [
        compared_record(f"{place}.jpg", mask, truth)
        for place, (mask, truth) in enumerate(zip(group, truths, strict=True))])
        for number, group in enumerate((masks, others))]
    row = compare(*paths)
    mask, other, truth = (np.concatenate(group) for group in (masks, others, truths))
    assert row["agreement"] == (mask == other).mean() < 1
    both = ((other > 0) & (truth > 0)).sum() / ((other > 0) | (truth > 0)).sum()
    assert row["foreground_iou"] == pytest.approx(both)
    assert row["mean_iou"] == pytest.approx(np.mean([
        ((other == index) & (truth == index)).sum() / ((other == index) | (truth == index)).sum()
        for index in (1, 2, 3)]))
    assert (row["photos"], row["failures"]) == (4, 0)


def test_species_and_empty_photos_are_those_that_the_records_tell(tmp_path):
    one, two, none = with_box(2, 2, 9, 9), with_box(2, 2, 9, 9), with_box(0, 0, 0, 0)
    two[20:30, 40:50] = 2
    speck = none.copy()
    speck[0, 0] = 1  # too small to be an animal
    before = [one, one, one, none, one]
    after = [one, two, none, speck, one]
    failed = failure_record("torn.jpg", "truncated")
    paths = [write_records(tmp_path / f"{number}.jsonl", [*(
        compared_record(f"{place}.jpg", mask, smallest_blob=0.01)
        for place, mask in enumerate(group)), failed]) for number, group in enumerate(
            (before, after))]
    row = compare(*paths)
    assert row["counts_changed"] == {"photos": 2, "first": ["1.jpg", "2.jpg"]}
    assert row["empty_changed"] == {"photos": 1, "first": ["2.jpg"]}
    assert row["agreement"] == 1 - (100 + 81 + 1) / (5 * none.size)  # the speck is seen here
    assert (row["photos"], row["failures"]) == (5, 1)
    assert row["foreground_iou"] is None and row["mean_iou"] is None  # nobody knows the truth


def test_numbers_are_compared_by_their_difference(tmp_path):
    info = {**INFO, "quantity": "snow (cm)", "values": {"low": 0.0, "high": 50.0}}
    values = np.random.default_rng(0).uniform(0, 50, (2, *SHAPE)).astype(np.float32)
    others = values + 0.1
    others[0, :12] += 5  # a quarter of one of two photos
    paths = [write_records(tmp_path / f"{number}.jsonl", [
        {**map_record(f"{place}.jpg", plane, width=64, height=48), "errors": [1, 0, 2, 4, 1, 1]}
        for place, plane in enumerate(group)], info) for number, group in enumerate(
            (values, others))]
    row = compare(*paths)
    assert row["agreement"] == 1 - 1 / 8
    assert row["largest_difference"] == pytest.approx(5.1, abs=0.01)
    assert row["mean_difference"] == pytest.approx(0.1 + 5 / 8, abs=0.001)
    assert row["rmse"] == 2
    texts = as_lines([{"name": "a.onnx", "passed": False, **row}])
    assert "87.500 %" in texts[2] and texts[2].endswith("FAILED")


def test_nearly_all_is_not_told_as_all():
    row = {"name": "a.onnx", "agreement": 0.99999999, "photos": 3, "passed": True}
    assert "99.999 %" in as_lines([row])[-1]


def test_a_runtime_that_crashes_takes_nobody_along():
    with pytest.raises(CrashedError):
        in_own_process(os._exit, 3)


def test_what_nobody_can_make_is_told(monkeypatch):
    monkeypatch.setattr("camera_trapinator.export.targets.find_spec", lambda name: None)
    made, faults = plan("executorch", ["int8", "fp16"])
    assert made.files == [File("int8", ".pte")]
    assert len(faults) == 2 and "fp16" in faults[0] and "'.[phone]'" in faults[1]
    made, faults = plan("all", None)
    assert len(made.files) == 5 and made.page_of == File("int8", ".onnx")
    assert any("'.[export]'" in fault for fault in faults)


@pytest.fixture
def exported(tmp_path):
    """A run with files that have been compared: one good, one not."""
    run = tmp_path / "shapes"
    drafts, rows = unproven_folder(run), []
    (run / "best.pt").write_bytes(b"weights")
    (run / "splits.csv").write_text("image,location,sequence,split\na.jpg,a,a#1,train\n")
    for name, agreement in (("shapes_fp32.onnx", 0.9991), ("shapes_int8.onnx", 0.5)):
        (drafts / name).write_bytes(name.encode())
        rows.append({"name": name, "agreement": agreement, "photos": 6, "failures": 0,
                     "passed": agreement > 0.99})
    torch_row = {"name": "PyTorch fp32", "agreement": 1.0, "photos": 6, "passed": True}
    keep_good(run, [torch_row, *rows], {"compared_on": "6 photos", "machine": "a laptop"})
    return run


def card_of(run) -> str:
    scores = {"epoch": 1, "mean_iou": 0.5, "foreground_iou": 0.5, "val_loss": 1.0}
    write_model_card(run, {"classes": [("background", (0, 0, 0)), ("fox", (9, 9, 9))],
                           "history": [scores], "model_arguments": {}}, "mean_iou")
    return (run / "model_card.md").read_text(encoding="utf-8")


def test_only_what_agrees_is_left(exported):
    folder = exported / "export"
    assert sorted(path.name for path in folder.iterdir()) == ["export.json", "shapes_fp32.onnx"]
    table = json.loads((folder / "export.json").read_text())
    good = next(row for row in table["rows"] if row.get("file") == "shapes_fp32.onnx")
    assert good["sha256"] == sha256(folder / "shapes_fp32.onnx") and good["bytes"] == 16
    assert {row["weights"] for row in table["rows"]} == {sha256(exported / "best.pt")}
    card = card_of(exported)
    assert "| shapes_fp32.onnx | 99.910 % |" in card
    assert "| shapes_int8.onnx | 50.000 % |" in card and "FAILED" in card


def test_the_card_tells_nothing_of_files_of_another_best_pt(exported):
    assert "99.910 %" in card_of(exported)
    (exported / "best.pt").write_bytes(b"Weights")
    assert read_parity(exported) is None
    assert "99.910 %" not in (card := card_of(exported)) and "Exported" not in card


def test_the_card_tells_nothing_of_a_file_that_is_another_one_now(exported):
    (exported / "export/shapes_fp32.onnx").write_bytes(b"shapes_fp32.onnY")
    assert "shapes_fp32.onnx" not in card_of(exported)


def test_a_later_export_keeps_what_still_holds(exported):
    (unproven_folder(exported) / "shapes_fp16.onnx").write_bytes(b"half")
    rows = keep_good(exported, [{"name": "shapes_fp16.onnx", "agreement": 1.0, "photos": 6,
                                 "passed": True}], {"compared_on": "", "machine": ""})
    assert [row["name"] for row in rows] == ["shapes_fp16.onnx", "shapes_fp32.onnx"]
    assert strangers(exported, rows) == []
    unproven_folder(exported).joinpath("shapes_fp32.onnx").write_bytes(b"worse")
    rows = keep_good(exported, [{"name": "shapes_fp32.onnx", "agreement": 0.1, "photos": 6,
                                 "passed": False}], {"compared_on": "", "machine": ""})
    assert (exported / "export/shapes_fp32.onnx").read_bytes() == b"shapes_fp32.onnx"
    assert strangers(exported, rows) == ["shapes_fp32.onnx"]
