"""A few photos for a quick trial: of all kinds, and a part of any more."""

import numpy as np
import pytest

from camera_trapinator.data.splits import limit_splits


def many_photos(photos=400):
    """Splits, locations and class shares of photos of 5 locations and 4 classes, most empty."""
    random = np.random.default_rng(0)
    species = random.choice(4, photos, p=[0.7, 0.2, 0.07, 0.03])
    shares = np.zeros((photos, 4), np.float32)
    shares[:, 0], shares[np.arange(photos), species] = 0.9, 0.1
    shares[species == 0, 0] = 1.0
    locations = [f"site{number}" for number in random.integers(5, size=photos)]
    splits = random.choice(["train", "val", "test", ""], photos).tolist()
    return splits, locations, shares, species


def kept(splits, split):
    return {place for place, name in enumerate(splits) if name == split}


@pytest.mark.parametrize("count", [1, 7, 20, 55, 1000])
def test_few_photos_are_of_all_kinds_and_a_part_of_more(count):
    splits, locations, shares, species = many_photos()
    for seed in range(5):
        few = limit_splits(splits, {"train": count, "val": 3}, locations, shares, seed)
        assert few == limit_splits(splits, {"train": count, "val": 3}, locations, shares, seed)
        chosen, all_of_them = kept(few, "train"), kept(splits, "train")
        assert chosen <= all_of_them and len(chosen) == min(count, len(all_of_them))
        assert kept(few, "test") == kept(splits, "test") and len(kept(few, "val")) == 3
        assert any(species[place] for place in chosen)
        if count >= 4:
            assert {species[place] for place in chosen} == {0, 1, 2, 3}
        more = limit_splits(splits, {"train": count + 1}, locations, shares, seed)
        assert chosen <= kept(more, "train")
        # One of each kind in turn: who still has a photo left is at most one behind.
        taken, left = {}, set()
        for place in all_of_them:
            kind = locations[place], int(species[place])
            taken[kind] = taken.get(kind, 0) + (place in chosen)
            if place not in chosen:
                left.add(kind)
        assert all(taken[kind] >= max(taken.values()) - 1 for kind in left)


def test_another_seed_takes_other_photos():
    splits, locations, shares, _ = many_photos()
    chosen = {tuple(limit_splits(splits, {"train": 10}, locations, shares, seed))
              for seed in range(5)}
    assert len(chosen) == 5
