"""Splits: locations apart, sequences whole, classes balanced, and the same ones every time."""

import numpy as np
import pytest

from camera_trapinator import InputError
from camera_trapinator.data.checksums import Checksums
from camera_trapinator.data.manifest import Manifest, Row
from camera_trapinator.data.split_table import read_splits, write_splits
from camera_trapinator.data.splits import find_leaks, leaks, make_splits

WANTED = {"val_fraction": 0.2, "test_fraction": 0.2}


def make_manifest(random, locations: int, photos: int, given=None):
    """Rows in mixed order, and which of 3 classes each photo shows (all False = no label)."""
    rows, presence = [], []
    for location in range(locations):
        for number in range(int(random.integers(1, photos + 1))):
            sequence = f"site{location}#{number // 3}" if random.random() < 0.9 else ""
            rows.append(Row(f"site{location}/{number}.jpg", "mask", f"site{location}",
                            sequence=sequence, split=given(location, number) if given else ""))
            presence.append([True, random.random() < 0.4, random.random() < 0.2])
    order = random.permutation(len(rows))
    return Manifest([rows[place] for place in order]), np.array(presence)[order]


def split_of_each(manifest, splits, column):
    """{location or sequence: the splits it stands in}"""
    found = {}
    for value, split in zip(manifest.column(column), splits, strict=True):
        if value and split:
            found.setdefault(value, set()).add(split)
    return found


def shares_of(splits):
    splits = np.array(splits)
    return {name: np.mean(splits == name) for name in ("train", "val", "test", "test_seen")}


# --------------------------------------------------------------------------------- properties


@pytest.mark.parametrize("block", [0, 1, *(pytest.param(block, marks=pytest.mark.long)
                                           for block in range(2, 10))])
def test_properties_of_random_splits(block):
    for seed in range(20 * block, 20 * block + 20):
        random = np.random.default_rng(seed)
        manifest, presence = make_manifest(random, int(random.integers(5, 30)), 8)
        presence[random.random(len(presence)) < 0.1] = False
        labelled = presence.any(axis=1)
        if len(set(np.array(manifest.column("location"))[labelled])) < 3:
            continue
        test_seen = float(random.choice([0, 0.1, 0.3]))
        splits = make_splits(manifest, presence, by="location", test_seen_fraction=test_seen,
                             seed=seed, **WANTED)

        assert len(splits) == len(manifest)
        assert [split != "" for split in splits] == labelled.tolist()
        names = {"train", "val", "test"} | ({"test_seen"} if test_seen else set())
        assert {"train", "val", "test"} <= set(splits) - {""} <= names
        for location in split_of_each(manifest, splits, "location").values():
            # No location has test_seen photos alone: it would not be a seen one.
            assert location in ({"train"}, {"val"}, {"test"}, {"train", "test_seen"})
        for sequence in split_of_each(manifest, splits, "sequence").values():
            assert len(sequence) == 1
        assert leaks(manifest, splits, "location") == leaks(manifest, splits, "sequence") == []


def test_every_train_location_may_give_test_seen_but_only_whole_sequences():
    manifest, presence = make_manifest(np.random.default_rng(0), 12, 30)
    splits = make_splits(manifest, presence, by="location", test_seen_fraction=0.25, **WANTED)
    found = split_of_each(manifest, splits, "location")
    assert sum("test_seen" in names for names in found.values()) > 2
    assert all(names <= {"train", "test_seen"} for names in found.values() if "test_seen" in names)
    assert all(len(names) == 1 for names in split_of_each(manifest, splits, "sequence").values())
    shares = shares_of(splits)
    share_of_training = shares["test_seen"] / (shares["test_seen"] + shares["train"])
    assert abs(share_of_training - 0.25) < 0.03


@pytest.mark.parametrize("by", ["location", "sequence", "photo"])
def test_deterministic_in_the_seed_alone(by):
    manifest, presence = make_manifest(np.random.default_rng(0), 12, 8)
    options = {"by": by, "test_seen_fraction": 0.1, **WANTED}
    splits = make_splits(manifest, presence, seed=5, **options)
    np.random.seed(1)
    assert make_splits(manifest, presence, seed=5, **options) == splits
    assert make_splits(manifest, presence, seed=6, **options) != splits


def test_neither_the_order_of_the_rows_nor_unlabelled_photos_matter():
    random = np.random.default_rng(3)
    manifest, presence = make_manifest(random, 15, 8)
    splits = make_splits(manifest, presence, by="location", seed=2, **WANTED)
    by_image = dict(zip(manifest.column("image"), splits, strict=True))

    rows = list(manifest)
    more = [Row(f"{place}/more{n}.jpg", "", place) for place in ("site1", "new") for n in range(40)]
    order = random.permutation(len(rows) + len(more))
    changed = Manifest([(rows + more)[place] for place in order])
    changed_presence = np.concatenate([presence, np.zeros((len(more), 3), bool)])[order]
    again = make_splits(changed, changed_presence, by="location", seed=2, **WANTED)
    for row, split in zip(changed, again, strict=True):
        assert split == by_image.get(row.image, "")


def test_by_sequence_and_by_photo():
    manifest, presence = make_manifest(np.random.default_rng(0), 2, 60)
    splits = make_splits(manifest, presence, by="sequence", **WANTED)
    assert all(len(names) == 1 for names in split_of_each(manifest, splits, "sequence").values())
    assert leaks(manifest, splits, "location") == ["site0", "site1"]  # that is what it costs
    splits = make_splits(manifest, presence, by="photo", **WANTED)
    assert any(len(names) > 1 for names in split_of_each(manifest, splits, "sequence").values())
    assert all(abs(shares_of(splits)[name] - 0.2) < 0.02 for name in ("val", "test"))


# ------------------------------------------------------------------------------------ balance


@pytest.mark.parametrize("seed", range(3))
def test_shares_are_near_the_wanted_ones(seed):
    """With 100 locations, of photos and of every class."""
    manifest, presence = make_manifest(np.random.default_rng(seed), 100, 20)
    splits = np.array(make_splits(manifest, presence, by="location", val_fraction=0.1,
                                  test_fraction=0.25, seed=seed))
    for name, wanted in (("val", 0.1), ("test", 0.25), ("train", 0.65)):
        assert abs(np.mean(splits == name) - wanted) < 0.03
        for of_class in (1, 2):
            assert abs(np.mean(splits[presence[:, of_class]] == name) - wanted) < 0.05


@pytest.mark.parametrize("seed", range(20))
def test_classes_of_one_location_are_trained_on(seed):
    random = np.random.default_rng(seed)
    manifest, presence = make_manifest(random, 10, 10)
    locations = np.array(manifest.column("location"))
    rare = np.zeros((len(locations), 2), bool)
    for number, location in enumerate(random.choice(10, 2, replace=False)):
        rare[np.flatnonzero(locations == f"site{location}")[0], number] = True
    splits = np.array(make_splits(manifest, np.hstack([presence, rare]), by="location", seed=seed,
                                  **WANTED))
    assert (splits[rare.any(axis=1)] == "train").all()


@pytest.mark.parametrize("seed", range(10))
def test_classes_of_three_locations_stand_in_every_split(seed):
    random = np.random.default_rng(seed)
    manifest, presence = make_manifest(random, 12, 6)
    locations = np.array(manifest.column("location"))
    presence[:, 2] = False
    for place, location in enumerate(random.choice(12, 3, replace=False)):
        photos = np.flatnonzero(locations == f"site{location}")
        presence[photos if place == 0 else photos[0], 2] = True  # many in one of the three
    splits = np.array(make_splits(manifest, presence, by="location", seed=seed, **WANTED))
    assert set(splits[presence[:, 2]]) == {"train", "val", "test"}


def test_many_rare_species_stand_in_every_split():
    """40 species, each at 3 of 60 locations: no draw by chance has them all everywhere."""
    random = np.random.default_rng(0)
    rows = [Row(f"site{site}/{n}.jpg", "mask", f"site{site}") for site in range(60)
            for n in range(10)]
    sites = np.array([random.permutation(60)[:3] for _ in range(40)])
    presence = np.array([[True, *(site in homes for homes in sites)] for site in range(60)
                         for _ in range(10)])
    splits = np.array(make_splits(Manifest(rows), presence, by="location", **WANTED))
    missing = {name: int((~presence[splits == name].any(axis=0)).sum())
               for name in ("train", "val", "test")}
    assert missing["train"] == 0
    # By chance alone 31 of the 80 are missing.
    assert missing["val"] + missing["test"] <= 20
    shares = shares_of(splits)
    assert abs(shares["val"] - 0.2) < 0.15 and abs(shares["test"] - 0.2) < 0.15


def test_three_locations_are_enough():
    for seed in range(20):
        manifest, presence = make_manifest(np.random.default_rng(seed), 3, 10)
        splits = make_splits(manifest, presence, by="location", seed=seed, **WANTED)
        assert set(splits) == {"train", "val", "test"}


def test_test_seen_needs_locations_with_two_sequences():
    manifest = Manifest([Row(f"{site}/{number}.jpg", "mask", f"site{site}", sequence=f"{site}#1")
                         for site in range(8) for number in range(3)])
    presence = np.ones((len(manifest), 2), bool)
    with pytest.raises(InputError, match="test_seen_fraction: .* one sequence"):
        make_splits(manifest, presence, by="location", test_seen_fraction=0.1, **WANTED)


def test_a_fraction_of_zero_makes_no_split():
    manifest, presence = make_manifest(np.random.default_rng(0), 6, 10)
    splits = make_splits(manifest, presence, by="location", val_fraction=0.2, test_fraction=0)
    assert set(splits) == {"train", "val"}
    splits = make_splits(manifest, presence, by="location", val_fraction=0, test_fraction=0)
    assert set(splits) == {"train"}


# ------------------------------------------------------------------------- a given split column


def test_a_given_split_is_obeyed():
    names = ["train", "val", "test", "test_seen"]
    manifest, presence = make_manifest(np.random.default_rng(0), 9, 12,
                                       lambda location, number: names[(location + number) % 4])
    presence[:5] = False
    splits = make_splits(manifest, presence, by="location", test_seen_fraction=0.5, **WANTED)
    assert splits == [""] * 5 + list(manifest.column("split"))[5:]
    assert len(leaks(manifest, splits, "location")) > 3  # obeyed even so, and told


def test_val_is_taken_from_train_where_the_given_split_has_none():
    manifest, presence = make_manifest(
        np.random.default_rng(0), 20, 12, lambda location, _: "test" if location < 5 else "train")
    splits = make_splits(manifest, presence, by="location", **WANTED)
    for given, split in zip(manifest.column("split"), splits, strict=True):
        assert split == "test" if given == "test" else split in ("train", "val")
    assert leaks(manifest, splits, "location") == []
    shares = shares_of(splits)
    assert abs(shares["val"] / (shares["val"] + shares["train"]) - 0.2) < 0.05


def test_a_labelled_photo_without_a_given_split_is_refused():
    manifest, presence = make_manifest(
        np.random.default_rng(0), 4, 5, lambda location, number: "train" if location else "")
    missing = list(manifest.column("split")).index("")
    with pytest.raises(InputError, match=f"^{manifest[missing].image}: no split given"):
        make_splits(manifest, presence, by="location", **WANTED)
    presence[[not split for split in manifest.column("split")]] = False  # without label: no matter
    splits = make_splits(manifest, presence, by="location", **WANTED)
    assert splits[missing] == "" and {"train", "val"} <= set(splits)


@pytest.mark.parametrize("test_seen_fraction", [0, 0.2])
def test_a_given_split_without_train_photos_is_refused(test_seen_fraction):
    manifest, presence = make_manifest(np.random.default_rng(0), 4, 5, lambda *_: "test")
    with pytest.raises(InputError, match="no photo is left to train on"):
        make_splits(manifest, presence, by="location", test_seen_fraction=test_seen_fraction,
                    **WANTED)


# ----------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(("locations", "by", "offer"), [
    (1, "location", "^1 location cannot .* split_by: sequence or split_by: photo"),
    (2, "location", "^2 locations cannot .* split_by: sequence or split_by: photo"),
    (1, "sequence", "^1 sequence cannot .* split_by: photo"),
    (1, "photo", "^2 photos cannot .* 3 are needed. Label 1 more photos"),
])
def test_too_few_units_are_refused_with_an_offer(locations, by, offer):
    manifest = Manifest([Row(f"{site}/{number}.jpg", "mask", f"site{site}", sequence=f"{site}#1")
                         for site in range(locations) for number in range(2)])
    presence = np.ones((len(manifest), 2), bool)
    with pytest.raises(InputError, match=offer):
        make_splits(manifest, presence, by=by, **WANTED)


def test_locations_without_labels_do_not_count():
    manifest, presence = make_manifest(np.random.default_rng(0), 8, 5)
    presence[np.array(manifest.column("location")) > "site1"] = False
    with pytest.raises(InputError, match="^2 locations cannot"):
        make_splits(manifest, presence, by="location", **WANTED)


def test_no_label_at_all_is_refused():
    manifest, presence = make_manifest(np.random.default_rng(0), 8, 5)
    with pytest.raises(InputError, match="no labelled photo.*`background`"):
        make_splits(manifest, np.zeros_like(presence), by="location", **WANTED)


# ------------------------------------------------------------------------------------------ leaks


def test_leaks():
    rows = [("a", "1"), ("a", "2"), ("b", "3"), ("b", "3"), ("c", "4"), ("c", "4"), ("d", "")]
    manifest = Manifest([Row(f"{n}.jpg", "", location, sequence=sequence)
                         for n, (location, sequence) in enumerate(rows)])
    splits = ["train", "val", "train", "test_seen", "test", "val", "train"]
    assert leaks(manifest, splits, "location") == ["a"]  # test_seen may, val and test may
    assert leaks(manifest, splits, "sequence") == ["3 of b"]
    assert leaks(manifest, ["train", "", "val", "val", "", "", ""], "location") == []


def test_no_part_is_empty_however_few_the_locations_and_rare_the_species(monkeypatch):
    """Projects of three to five cameras, with species that only one or two of them see."""
    monkeypatch.setattr("camera_trapinator.data.splits.TRIALS", 50)
    for seed in range(40):
        random = np.random.default_rng(seed)
        places = random.integers(0, random.integers(3, 6), 30)
        places[:3] = 0, 1, 2
        manifest = Manifest([Row(f"{place}/{number}.jpg", "mask", f"site{place}")
                             for number, place in enumerate(places)])
        presence = np.ones((30, 6), bool)
        for species in range(1, 6):
            presence[:, species] = (random.random(30) < 0.5) & np.isin(
                places, random.integers(0, 3, random.integers(1, 3)))
        splits = make_splits(manifest, presence, by="location", val_fraction=0.15,
                             test_fraction=0.15, seed=seed)
        assert set(splits) == {"train", "val", "test"}, seed
        folds = [make_splits(manifest, presence, by="location", val_fraction=0.15,
                             test_fraction=0.0, seed=seed, folds=3, fold=fold) for fold in range(3)]
        assert all("test" in found and "train" in found for found in folds)


def test_bursts_are_known_by_their_times_and_by_their_location():
    """Without a column of sequences the times tell; numbered from 1 at each site they are two."""
    rows = [Row(f"{site}/{number}.jpg", "mask", f"site{site}",
                f"2024-05-01 10:{number // 3 * 5:02}:{number % 3:02}")
            for site in range(4) for number in range(15)]
    presence = np.ones((60, 2), bool)
    bursts = [f"{site}.{number // 3}" for site in range(4) for number in range(15)]
    splits = make_splits(Manifest(rows), presence, by="sequence", **WANTED)
    found = {}
    for burst, split in zip(bursts, splits, strict=True):
        found.setdefault(burst, set()).add(split)
    assert all(len(names) == 1 for names in found.values()) and len(set(splits)) == 3
    numbered = Manifest([row._replace(sequence=burst.split(".")[1], datetime="")
                         for row, burst in zip(rows, bursts, strict=True)])
    splits = ["train" if row.location < "site2" else "test" for row in numbered]
    assert leaks(numbered, splits, "sequence") == []
    silent = Manifest([row._replace(datetime="") for row in rows])
    with pytest.raises(InputError, match="neither the column sequence nor the column datetime"):
        make_splits(silent, presence, by="sequence", **WANTED)


# ------------------------------------------------------------- folds, last season, kept splits


@pytest.mark.parametrize("way", ["plain", "folds", "season", "test_seen"])
def test_no_location_and_no_sequence_is_ever_torn(way, monkeypatch):
    """250 random manifests each; what was asked for on purpose is left out."""
    monkeypatch.setattr("camera_trapinator.data.splits.TRIALS", 20)
    checked = 0
    for seed in range(250):
        random = np.random.default_rng([seed, 7])
        manifest, presence = make_manifest(random, int(random.integers(6, 30)), 8)
        days = {row.sequence or row.image: int(random.integers(1, 29)) for row in manifest}
        manifest = Manifest([row._replace(datetime=f"2024-05-{days[row.sequence or row.image]:02}"
                                          f" 10:00:{place % 60:02}")
                             for place, row in enumerate(manifest)])
        options = {"plain": {}, "folds": {"folds": 3, "fold": seed % 3},
                   "season": {"test_from": "2024-05-15"},
                   "test_seen": {"test_seen_fraction": 0.2}}[way]
        try:
            splits = make_splits(manifest, presence, by="location", seed=seed, **options, **WANTED)
        except InputError as error:
            assert "photos were taken" in str(error) or "one sequence" in str(error)
            continue
        checked += 1
        for names in split_of_each(manifest, splits, "sequence").values():
            assert len(names) == 1
        shared = {"season": {"test"}, "test_seen": {"test_seen"}}.get(way, set())
        for names in split_of_each(manifest, splits, "location").values():
            assert len(names - shared) <= 1
        assert find_leaks(manifest, splits, "location", way == "season") == []
    assert checked > 200


def test_every_location_is_in_the_test_of_one_fold():
    manifest, presence = make_manifest(np.random.default_rng(0), 17, 8)
    tests = []
    for fold in range(5):
        splits = make_splits(manifest, presence, by="location", folds=5, fold=fold, **WANTED)
        tests.append({row.location for row, split in zip(manifest, splits, strict=True)
                      if split == "test"})
        assert {"train", "val", "test"} == set(splits)
    assert sum(map(len, tests)) == len(set.union(*tests)) == 17
    with pytest.raises(InputError, match="17 locations cannot be cut into 18"):
        make_splits(manifest, presence, by="location", folds=18, **WANTED)


def test_the_last_season_is_the_test():
    rows = [Row(f"{site}/{n}.jpg", "mask", f"site{site}", time, f"{site}#{n // 2}")
            for site in range(4) for n, time in enumerate([
                "2023-01-01 10:00:00", "2023-01-01 10:00:05", "2023-12-31 23:59:58",
                "2024-01-01 00:00:01", "2024-03-01 10:00:00", "2024-03-01 10:00:05"])]
    manifest, presence = Manifest(rows), np.ones((24, 2), bool)
    splits = make_splits(manifest, presence, by="location", test_from="2024-01-01", **WANTED)
    for row, split in zip(manifest, splits, strict=True):  # a burst over midnight stays whole
        assert (split == "test") == row.sequence.endswith("#2")
    with pytest.raises(InputError, match="no labelled photos were taken from 2025"):
        make_splits(manifest, presence, by="location", test_from="2025-01-01", **WANTED)
    manifest = Manifest([rows[0]._replace(datetime=""), *rows[1:]])
    with pytest.raises(InputError, match="1 labelled photos have no datetime, such as 0/0.jpg"):
        make_splits(manifest, presence, by="location", test_from="2024-01-01", **WANTED)


def test_kept_splits_are_obeyed_and_exclude_others(tmp_path):
    manifest, presence = make_manifest(np.random.default_rng(0), 9, 12)
    first = make_splits(manifest, presence, by="location", seed=1, **WANTED)
    write_splits(tmp_path / "splits.csv", manifest, first, ["x"] * len(first),
                 Checksums(*2 * [["y"] * len(first)]))
    given = read_splits(tmp_path / "splits.csv", manifest)
    assert make_splits(manifest, presence, by="location", seed=2, given=given, **WANTED) == first
    with pytest.raises(InputError, match="^fold: the photos have their splits"):
        make_splits(manifest, presence, by="location", given=given, folds=3, **WANTED)
    with pytest.raises(InputError, match="none of its photos"):
        read_splits(tmp_path / "splits.csv", Manifest([Row("other.jpg")]))
    (tmp_path / "splits.csv").write_text("image,split\nsite0/0.jpg,training\n")
    with pytest.raises(InputError, match=r"'training' \(line 2\) are none of train, val"):
        read_splits(tmp_path / "splits.csv", manifest)


def test_what_counts_as_a_leak_follows_from_what_was_asked_for():
    manifest = Manifest([Row(f"{n}.jpg", "m", place, sequence=burst) for n, (place, burst) in
                         enumerate([("a", "1"), ("a", "2"), ("b", "3"), ("b", "3"), ("c", "4")])])
    splits = ["train", "test", "train", "val", "val"]
    location, sequence = ("2 locations in train and in another split, such as a",
                          "1 sequence in train and in another split, such as 3 of b")
    assert find_leaks(manifest, splits, "location", False) == [location, sequence]
    assert find_leaks(manifest, splits, "location", True) == [
        "1 location in train and in another split, such as b", sequence]
    assert find_leaks(manifest, splits, "sequence", False) == [sequence]
    assert find_leaks(manifest, splits, "photo", False) == []
