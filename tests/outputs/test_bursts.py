"""What the photos of a burst tell together."""

from itertools import chain, combinations
from math import log

import numpy as np
import pytest
from prediction_records import predicted, with_box, write_records

from camera_trapinator.outputs.blobs import failure_record
from camera_trapinator.outputs.bursts import events_of, read_bursts, species_among

FOX, HARE, BEAR = 1, 2, 3


def photo(second: int, *animals: tuple[int, float]) -> dict:
    """A photo of the burst with animals of (species, how sure that is)."""
    mask, sure = np.zeros((40, 90), np.uint8), np.ones((40, 90), np.float32)
    for place, (species, certain) in enumerate(animals):
        mask[5:15, 3 + 20 * place:13 + 20 * place] = species
        sure[5:15, 3 + 20 * place:13 + 20 * place] = certain
    return predicted(f"{second}.jpg", mask, sure=sure, location="a",
                     datetime=f"2024-05-01 10:00:{second:02}")


def burst_of(tmp_path, *records: dict):
    path = tmp_path / "p.jsonl"
    path.unlink(missing_ok=True)
    (burst,) = read_bursts(write_records(path, records), ["a_1"] * len(records))
    return burst


def test_an_unsure_fox_among_sure_bears_is_a_bear(tmp_path):
    burst = burst_of(tmp_path, photo(1, (BEAR, 0.99)), photo(2, (FOX, 0.8)),
                     photo(3, (BEAR, 0.97)), photo(4))
    (name, bear), = burst.species.items()
    assert name == "black bear" and bear.count == 1
    assert [(seen.file, seen.alone) for seen in bear.photos] == [
        ("1.jpg", True), ("2.jpg", False), ("3.jpg", True)]
    assert bear.class_confidence == pytest.approx((0.99 + 0.1 + 0.97) / 3, abs=1e-5)
    assert burst.alone == {"black bear": (2, 1), "fox": (1, 1)}  # stands beside
    assert (burst.photos, burst.failures, burst.start[-2:], burst.end[-2:]) == (4, 0, "01", "04")


def test_a_sure_fox_among_bears_stays_a_fox(tmp_path):
    burst = burst_of(tmp_path, photo(1, (BEAR, 0.99)), photo(2, (FOX, 0.995)),
                     photo(3, (BEAR, 0.9)))
    assert {name: fused.count for name, fused in burst.species.items()} == {"fox": 1,
                                                                            "black bear": 1}


def test_two_species_side_by_side_stay_two_and_the_largest_number_counts(tmp_path):
    burst = burst_of(tmp_path, photo(1, (FOX, 0.97), (HARE, 0.96)),
                     photo(2, (FOX, 0.98), (HARE, 0.9), (HARE, 0.95)), photo(3, (HARE, 0.9)))
    assert {name: fused.count for name, fused in burst.species.items()} == {"fox": 1,
                                                                            "snow hare": 2}


def test_a_photo_alone_says_what_it_says(tmp_path):
    burst = burst_of(tmp_path, photo(1, (FOX, 0.6), (HARE, 0.99), (HARE, 0.99), (BEAR, 0.3)))
    assert {name: fused.count for name, fused in burst.species.items()} == {
        "fox": 1, "snow hare": 2, "unknown": 1}


def test_what_no_photo_is_sure_of_is_unknown_and_what_others_tell_is_not(tmp_path):
    nobody = burst_of(tmp_path, photo(1, (FOX, 0.4)), photo(2, (FOX, 0.45)))
    assert list(nobody.species) == ["unknown"]
    assert [seen.alone for seen in nobody.species["unknown"].photos] == [True, True]
    (name, fox), = burst_of(tmp_path, photo(1, (FOX, 0.99)), photo(2, (FOX, 0.4))).species.items()
    assert name == "fox" and [seen.alone for seen in fox.photos] == [True, False]


def test_what_could_not_be_read_says_nothing(tmp_path):
    torn = failure_record("x.jpg", "torn", location="a", datetime="2024-05-01 10:00:09")
    burst = burst_of(tmp_path, photo(1, (FOX, 0.99)), torn)
    assert (burst.photos, burst.failures, burst.read, list(burst.species)) == (2, 1, True, ["fox"])
    assert not burst_of(tmp_path, torn).read
    assert burst_of(tmp_path, photo(1)).species == {}


@pytest.mark.parametrize("seed", range(30))
def test_no_other_set_of_species_is_likelier_by_more_than_it_costs(seed):
    """Against all sets that there are."""
    random = np.random.default_rng(seed)
    kinds = int(random.integers(2, 5))
    animals = [(int(random.integers(1, kinds + 1)), float(random.uniform(0.3, 1)))
               for _ in range(random.integers(2, 7))]

    def score(species):
        rest = 1 if kinds == 2 else 0.5
        each = [max(np.clip(sure if one == other else rest * (1 - sure), 0.001, 0.999)
                    for other in species) for one, sure in animals]
        return sum(map(log, each)) + (len(species) - 1) * log(0.02)

    sets = chain.from_iterable(combinations(range(1, kinds + 1), size)
                               for size in range(1, kinds + 1))
    best = max(map(score, sets))
    assert score(species_among(animals, kinds)) == pytest.approx(best)


def test_an_event_counts_what_bursts_say(tmp_path):
    """The fox that the burst takes for a bear makes no event of its own."""
    records = [photo(1, (BEAR, 0.99)), photo(2, (FOX, 0.8), (BEAR, 0.9)), photo(40, (BEAR, 0.9))]
    bursts = read_bursts(write_records(tmp_path / "p.jsonl", records), ["a_1", "a_1", "a_2"])
    (event,) = events_of(bursts, 1)
    assert event[:4] == ("a", "black bear", "2024-05-01 10:00:01", "2024-05-01 10:00:40")
    assert (event.sequences, event.photos, event.photos_alone, event.count) == (2, 3, 3, 2)
    bursts.append(read_bursts(write_records(tmp_path / "q.jsonl", [{
        **photo(5, (HARE, 0.9)), "location": ""}]), [""])[0])
    assert [event.species for event in events_of(bursts, 1)] == ["snow hare", "black bear"]


def test_empty_boxes_make_no_event(tmp_path):
    record = predicted("a.jpg", with_box(0, 0, 0, 0), location="a")
    assert not list(events_of(read_bursts(write_records(tmp_path / "p.jsonl", [record]), [""]), 30))
