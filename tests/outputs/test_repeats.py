"""What is an animal at one place in many bursts: told, and left out where a person says so."""

import json
from datetime import datetime, timedelta

import numpy as np
import pytest
from conftest import many, seeds
from hypothesis import given
from PIL import Image
from prediction_records import FULL_INFO, predicted, rows_of, with_box, write_records
from pycocotools import mask as coco_mask

from camera_trapinator import InputError
from camera_trapinator.data.manifest import assign_sequences
from camera_trapinator.outputs.boxes import crowds, overlaps
from camera_trapinator.outputs.records import mask_of, read_records
from camera_trapinator.outputs.repeats import check_repeats, find_repeats
from camera_trapinator.outputs.repeats_told import records_to_tell, settle_repeats
from camera_trapinator.outputs.writers import Wanted, write_pictures, write_tables

SIZE = (60, 80)
STUMP, DEER, REST = (30, 40, 12, 16), (10, 4, 14, 18), (44, 8, 12, 20)  # top, left, height, width


def photo(file: str, time: datetime | None, *places, location: str = "a") -> dict:
    """The record of a photo with a fox (1) at each of these places, in a mask of its own size."""
    mask = np.max([with_box(*place, size=SIZE) for place in places], axis=0)
    return predicted(file, mask, location=location, sure=0.9,
                     datetime=time.strftime("%Y-%m-%d %H:%M:%S") if time else "")


def a_season() -> list[dict]:
    """30 bursts with a stump at camera a, five of which a deer crosses; 50 photos of one that rests
    there; at camera b the same place in two bursts only; and a photo without a time."""
    start, records = datetime(2024, 5, 1, 6), []
    for burst in range(30):
        crossing = [(DEER[0], DEER[1] + 9 * burst, *DEER[2:])] if burst < 5 else []
        records.append(photo(f"a/{burst:03}.jpg", start + timedelta(hours=7 * burst),
                             STUMP, *crossing))
    records += [photo(f"a/rest{number:03}.jpg", start + timedelta(days=12, seconds=30 * number),
                      REST) for number in range(50)]
    records += [photo(f"b/{burst:03}.jpg", start + timedelta(days=burst), STUMP, location="b")
                for burst in range(2)]
    return sorted([*records, photo("a/timeless.jpg", None, STUMP)],
                  key=lambda record: record["file"])


def written(folder, records):
    """The records as a file, and photos to look at."""
    for record in records:
        (folder / "card" / record["file"]).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", SIZE[::-1], (90, 90, 90)).save(folder / "card" / record["file"])
    return write_records(folder / "out" / "predictions.jsonl", records, FULL_INFO)


def settled(path, knob: str):
    settle_repeats(path, path.parent.parent / "card", knob)
    return records_to_tell(path, knob)


def repeats_of(path):
    records = list(read_records(path)[1])
    return find_repeats(path, assign_sequences(*zip(*[
        (record["location"], record["datetime"]) for record in records], strict=True)))


def test_a_stump_is_a_repeat_and_a_deer_that_crosses_or_rests_is_none(tmp_path, capsys):
    path = written(tmp_path, a_season())
    (found,) = repeats_of(path)
    assert (found.location, found.species, found.bursts) == ("a", "fox", 30)
    assert found.box == pytest.approx((0.5, 0.5, 0.2, 0.2), abs=1e-4)
    assert found.share == round(30 / 31, 5) and found.days == 9
    assert len(found.blobs) == 31  # that without a time, too
    told = settled(path, "tell")
    assert told == path and "1 places are seen as an animal" in capsys.readouterr().out
    (row,) = rows_of(path.with_name("repeats.csv"))
    assert (row["location"], row["photos"], row["bursts"]) == ("a", "31", "30")
    assert (row["first"], row["last"]) == ("2024-05-01 06:00:00", "2024-05-09 17:00:00")
    assert (tmp_path / "card" / row["file"]).exists()
    with Image.open(path.with_name("repeats.jpg")) as sheet:
        drawn = np.asarray(sheet).astype(int)
    yellow = drawn[..., 0] - drawn[..., 2] > 60  # the box, on three grey photos
    assert yellow.sum() > 150


def test_bursts_on_few_days_are_no_repeat(tmp_path):
    """A deer that rests for a night is photographed every few minutes, each time a burst."""
    start = datetime(2024, 5, 1, 20)
    times = [start + timedelta(minutes=6 * number) for number in range(100)]
    path = written(tmp_path, [photo(f"a/{time:%d_%H%M}.jpg", time, REST) for time in times])
    assert repeats_of(path) == []


def test_what_stands_in_the_table_is_left_out_of_every_output(tmp_path, capsys):
    records = a_season()
    path = written(tmp_path, records)
    wanted = Wanted(("masks", "overlays", "csv", "megadetector", "coco", "xmp", "report"), 30)
    settled(path, "tell")
    write_pictures(path, tmp_path / "card", path.parent, wanted)
    told = settled(path, "drop")
    assert told.name == "predictions_kept.jsonl"
    assert "is left out of 31 photos" in capsys.readouterr().out
    # No picture is left that shows what is left out, whatever is written next.
    assert not (path.parent / "masks/a/010.jpg.png").exists()
    assert (path.parent / "masks/a/rest001.jpg.png").exists()
    write_pictures(told, tmp_path / "card", path.parent, wanted)
    write_tables(told, tmp_path / "card", path.parent, wanted, None, "test")
    kept = {record["file"]: record for record in read_records(told)[1]}
    assert list(kept) == [record["file"] for record in records]
    for record in records:
        changed = kept[record["file"]]
        if "rest" in record["file"] or record["location"] == "b":
            assert changed == record
            continue
        gone = [blob for blob in record["blobs"] if blob["box"] == pytest.approx(
            [0.5, 0.5, 0.2, 0.2], abs=1e-4)]
        assert len(gone) == 1 and len(changed["blobs"]) == len(record["blobs"]) - 1
        assert changed["faint"] == [*record["faint"], {**gone[0], "repeat": True}]
        mask, before = mask_of(changed), mask_of(record)
        assert not mask[30:42, 40:56].any() and before[30:42, 40:56].all()
        before[30:42, 40:56] = 0
        assert np.array_equal(mask, before)
        assert changed["pixels"] == np.bincount(mask.ravel(), minlength=4).tolist()
        assert changed["confidence"] == (1.0 if len(record["blobs"]) > 1 else 0.0)
    # The same number of animals everywhere: 5 of the deer, 50 of the one that rests, 2 at b.
    animals = sum(len(record["blobs"]) for record in kept.values())
    assert animals == 5 + 50 + 2
    assert len(rows_of(path.with_name("detections.csv"))) == animals
    empty = [row for row in rows_of(path.with_name("predictions.csv")) if row["empty"] == "TRUE"]
    assert len(empty) == 26 and {row["confidence"] for row in empty} == {"0.0"}
    content = json.loads(path.with_name("megadetector.json").read_text(encoding="utf-8"))
    threshold = content["info"]["detector_metadata"]["typical_detection_threshold"]
    detections = [item for image in content["images"] for item in image["detections"]]
    assert sum(item["conf"] >= threshold for item in detections) == animals
    coco = json.loads(path.with_name("coco.json").read_text(encoding="utf-8"))
    assert len(coco["annotations"]) == animals
    for item in coco["annotations"]:
        assert not coco_mask.decode(item["segmentation"])[30:42, 40:56].any() or (
            coco["images"][item["image_id"] - 1]["location"] == "b")
    with Image.open(path.parent / "masks/a/010.jpg.png") as mask:
        assert not np.asarray(mask).any()


def test_a_deleted_row_is_an_animal_and_telling_brings_all_back(tmp_path, capsys):
    other = (4, 50, 12, 16)
    start = datetime(2024, 5, 1)
    records = [photo(f"a/{burst:03}.jpg", start + timedelta(hours=9 * burst), STUMP, other)
               for burst in range(20)]
    path = written(tmp_path, records)
    settled(path, "tell")
    table = path.with_name("repeats.csv")
    lines = table.read_text(encoding="utf-8-sig").splitlines()
    assert len(lines) == 3
    (nest,) = [line for line in lines[1:] if ",0.06667," in line]
    table.write_text("\n".join(line for line in lines if line != nest), encoding="utf-8")
    edited = table.read_bytes()
    kept = list(read_records(settled(path, "drop"))[1])
    assert all([blob["box"][1] for blob in record["blobs"]] == [0.06667] for record in kept)
    assert settled(path, "tell") == path and table.read_bytes() == edited
    assert "with 1 of 2 rows" in capsys.readouterr().out
    assert not path.with_name("predictions_kept.jsonl").exists()
    assert list(read_records(path)[1]) == records
    # The same call twice changes nothing, not even the time by which outputs are outdated.
    kept_path = settled(path, "drop")
    before = kept_path.stat().st_mtime_ns, kept_path.read_bytes()
    settled(path, "drop")
    assert (kept_path.stat().st_mtime_ns, kept_path.read_bytes()) == before


def test_without_a_look_or_of_other_predictions_nothing_is_dropped(tmp_path, capsys):
    records = a_season()
    path = written(tmp_path, records)
    with pytest.raises(InputError, match="repeats.csv: no such file; run with repeats=tell"):
        check_repeats(path, "drop")
    check_repeats(path, "tell")
    settled(path, "tell")
    check_repeats(path, "drop")
    path.unlink()  # the same places, another model
    write_records(path, records, {**FULL_INFO, "weights": "cd34"})
    with pytest.raises(InputError, match="1 of its 1 rows.*other predictions"):
        settled(path, "drop")
    settled(path, "tell")
    assert "made of other predictions and is written anew" in capsys.readouterr().out
    assert settled(path, "drop").exists()


@many
@given(seeds)
def test_crowds_are_found_wherever_they_lie(seed):
    """Against a search through all pairs: what is told is as it should be, and no place is missed
    that is tight enough."""
    random = np.random.default_rng(seed)
    middle = np.concatenate([random.uniform(0, 0.6, 2), np.exp(random.uniform(-4, -1.5, 2))])
    crowd = middle + random.uniform(-0.03, 0.03, (30, 4)) * np.tile(middle[2:], 2)
    others = np.concatenate([random.uniform(0, 0.6, (200, 2)),
                             np.exp(random.uniform(-4, -1.5, (200, 2)))], axis=1)
    boxes = np.concatenate([crowd, others])[random.permutation(230)].clip(0, 1).round(5)
    found = list(crowds(boxes, 0.85, len, 20))
    assert len(found) == 1
    box, members = found[0]
    assert overlaps(box, middle[None])[0] > 0.9
    expected = [number for number, other in enumerate(boxes) if _iou(box, other) >= 0.85]
    assert members.tolist() == expected and len(expected) >= 25


def _iou(one, other) -> float:
    """By pycocotools."""
    return float(coco_mask.iou(np.array([one]), np.array([other]), [0])[0, 0])
