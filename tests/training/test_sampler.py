"""Which photos an epoch draws: each once, or in proportion to weights, the easy ones first."""

import numpy as np
import pytest
import torch

from camera_trapinator import InputError
from camera_trapinator.training.sampler import NEVER, CurriculumSampler, balanced_weights


def draws(num_photos: int, batch_size: int, seed: int, epoch: int) -> list:
    sampler = CurriculumSampler(num_photos, batch_size, seed)
    sampler.set_epoch(epoch)
    batches = list(sampler)
    assert len(batches) == len(sampler)
    return batches


@pytest.mark.parametrize(("num_photos", "batch_size"), [(100, 8), (96, 8), (7, 7), (5, 8), (1, 1)])
def test_each_photo_at_most_once_in_an_epoch(num_photos, batch_size):
    for epoch in range(3):
        batches = draws(num_photos, batch_size, 3, epoch)
        assert {len(batch) for batch in batches} == {min(batch_size, num_photos)}
        indices = [index for batch in batches for index, _ in batch]
        assert len(set(indices)) == len(indices) and set(indices) <= set(range(num_photos))
        assert num_photos - len(indices) < batch_size
        seeds = [seed for batch in batches for _, seed in batch]
        assert len(set(seeds)) == len(seeds) and all(0 <= seed < 2**63 for seed in seeds)


def test_order_is_a_pure_function_of_seed_and_epoch():
    first = draws(50, 4, seed=1, epoch=2)
    torch.manual_seed(9)
    np.random.seed(9)
    sampler = CurriculumSampler(50, 4, seed=1)
    for epoch in (5, 2):  # whatever came before, and a loop broken off
        sampler.set_epoch(epoch)
        next(iter(sampler))
    assert list(sampler) == list(sampler) == first
    assert draws(50, 4, seed=1, epoch=3) != first != draws(50, 4, seed=2, epoch=2)
    assert all(type(number) is int for draw in first[0] for number in draw)


def test_every_photo_is_drawn_in_the_long_run():
    seen = {index for epoch in range(20) for batch in draws(10, 8, 0, epoch) for index, _ in batch}
    assert seen == set(range(10))  # the two that are left over are others each time


def drawn(sampler: CurriculumSampler, epoch: int) -> np.ndarray:
    """The photos of an epoch in their order, as a loader would get them."""
    sampler.set_epoch(epoch)
    return np.array([index for batch in sampler for index, _ in batch])


def times(sampler: CurriculumSampler, epoch: int) -> np.ndarray:
    """How often an epoch draws each photo."""
    return np.bincount(drawn(sampler, epoch), minlength=sampler.num_photos)


@pytest.mark.parametrize("weight", [None, 1.0, 0.3, 1e-7])
def test_without_weights_and_curriculum_the_order_is_one_permutation(weight):
    """The figures of README.md were made with this order."""
    for num_photos, batch_size in [(100, 8), (1001, 3), (7, 7), (5, 8), (1, 1)]:
        for seed, epoch in [(0, 0), (3, 1), (2**31 - 1, 7)]:
            random = np.random.default_rng([seed, epoch])
            pairs = list(zip(random.permutation(num_photos).tolist(),
                             random.integers(2**63, size=num_photos).tolist(), strict=True))
            sampler = CurriculumSampler(
                num_photos, batch_size, seed,
                weights=None if weight is None else np.full(num_photos, weight),
                empty=np.arange(num_photos) % 3 == 0, difficulty=np.zeros(num_photos))
            sampler.set_epoch(epoch)
            assert list(sampler) == [pairs[start:start + batch_size] for start in range(
                0, max(1, num_photos // batch_size) * batch_size, batch_size)]


@pytest.mark.parametrize(("num_photos", "steps"), [(12, 50), (7, 7), (1000, 3), (3, 1), (12, 6)])
def test_an_epoch_of_so_many_steps_draws_all_photos_equally_often(num_photos, steps):
    sampler = CurriculumSampler(num_photos, 4, 1, epoch_steps=steps)
    batch = min(4, num_photos)
    assert len(sampler) == steps
    total = np.zeros(num_photos, int)
    for epoch in range(200):
        counts = times(sampler, epoch)
        assert counts.sum() == steps * batch and set(np.ptp(counts, keepdims=True)) <= {0, 1}
        total += counts
    assert np.count_nonzero(total) > 0.8 * num_photos  # 12 of 1000, 200 times: 1 - exp(-2.4) of all
    batches = list(sampler)
    assert len({seed for batch in batches for _, seed in batch}) == steps * batch
    assert len(batches) == steps and sampler.statistics()["distinct"] == (counts > 0).sum()
    sampler.set_epoch(199, first_step=1)
    assert list(sampler) == batches[1:]


def test_an_epoch_of_so_many_steps_keeps_weights_and_the_share_of_empty_photos():
    empty = np.arange(20) < 15
    sampler = CurriculumSampler(20, 5, 0, weights=1 + (np.arange(20) == 19), empty=empty,
                                empty_fraction=0.2, epoch_steps=60)
    counts = times(sampler, 3)
    assert abs(counts[empty].sum() - 60) <= 1 and abs(counts[19] - 80) <= 1
    assert np.ptp(counts[15:19]) <= 1 and np.ptp(counts[:15]) <= 1


@pytest.mark.parametrize("world_size", [2, 3, 7])
def test_the_parts_of_all_processes_are_the_batches_of_one(world_size):
    random = np.random.default_rng(5)
    knobs = {"weights": random.random(100), "difficulty": random.random(100),
             "start_fraction": 0.3, "curriculum_epochs": 4}
    one = CurriculumSampler(100, 7, 1, **knobs)
    parts = [CurriculumSampler(100, 7, 1, rank=rank, world_size=world_size, **knobs)
             for rank in range(world_size)]
    for epoch in (0, 2, 9):
        for sampler in (one, *parts):
            sampler.set_epoch(epoch)
        assert {len(part) for part in parts} == {len(one)} == {14}
        for batch, *shares in zip(one, *parts, strict=True):
            assert sum(shares, []) == batch
            assert min(map(len, shares)) >= 7 // world_size > 0
        assert all(part.statistics() == one.statistics() for part in parts)


@pytest.mark.parametrize(("num_photos", "batch_size"), [(100, 3), (3, 8)])
def test_a_process_that_would_get_nothing_is_refused(num_photos, batch_size):
    with pytest.raises(InputError, match="batch_size: 3 photos are too few for 4 processes"):
        CurriculumSampler(num_photos, batch_size, 0, world_size=4)


# ------------------------------------------------------------------------------- the weights


def test_draws_are_in_proportion_to_the_weights():
    random = np.random.default_rng(1)
    weights = random.random(300) ** 4 * (random.random(300) > 0.2)  # some are never drawn
    sampler = CurriculumSampler(300, 5, 2, weights=weights)
    expected = 300 * weights / weights.sum()
    counts = np.array([times(sampler, epoch) for epoch in range(400)])
    assert (np.abs(counts - expected) < 1 + 1e-9).all() and (counts.sum(axis=1) == 300).all()
    # Over many epochs the chance of rounding up is right: no photo is always rounded down.
    assert np.abs(counts.mean(axis=0) - expected).max() < 4 * (0.25 / 400) ** 0.5
    assert (counts[:, weights == 0] == 0).all()


def test_a_photo_that_is_drawn_twice_has_two_seeds():
    sampler = CurriculumSampler(60, 4, 0, weights=np.arange(60) % 10 == 0)
    draws = [draw for batch in sampler for draw in batch]
    assert len(set(draws)) == 60 and len({index for index, _ in draws}) == 6


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.5, 0.9])
def test_empty_photos_make_up_the_wanted_share(fraction):
    random = np.random.default_rng(4)
    empty = random.random(400) < 0.7
    sampler = CurriculumSampler(400, 8, 3, weights=1 + random.random(400), empty=empty,
                                empty_fraction=fraction, difficulty=random.random(400),
                                start_fraction=0.2, curriculum_epochs=5)
    for epoch in range(8):  # in a small pool as in a large one
        assert abs(times(sampler, epoch)[empty].sum() - fraction * 400) < 1 + 1e-9
    assert (sampler.entry[empty] == NEVER).all() == (fraction == 0)


def test_empty_photos_come_as_often_as_before_whatever_the_balance():
    shares = np.zeros((200, 4))
    shares[:60, 0] = 1  # empty
    shares[60:, 1] = 0.2
    shares[180:195, 2], shares[195:, 3] = 0.1, 0.1
    shares[60:, 0] = 1 - shares[60:].sum(axis=1)
    for balance in (0.5, 1.0):
        sampler = CurriculumSampler(200, 4, 0, weights=balanced_weights(shares, balance),
                                    empty=shares[:, 0] == 1)
        assert abs(times(sampler, 1)[:60].sum() - 60) < 1 + 1e-9


def test_balance_makes_each_species_come_equally_often():
    shares = np.zeros((1000, 5))
    species = np.repeat([1, 2, 3], [900, 90, 10])  # no photo shows species 4
    shares[np.arange(1000), species] = 0.3
    for balance, ratio in ((1.0, 1.0), (0.5, 10**-0.5), (0.0, 0.1)):
        sampler = CurriculumSampler(1000, 4, 0, weights=balanced_weights(shares, balance))
        counts = np.mean([np.bincount(species, times(sampler, epoch), minlength=4)[1:]
                          for epoch in range(20)], axis=0)
        assert counts[1] / counts[0] == pytest.approx(ratio, rel=0.02)


def test_the_rarest_species_of_a_photo_decides_as_in_the_paper():
    """Against a loop over photos and species."""
    random = np.random.default_rng(8)
    shares = random.random((50, 6)) * (random.random((50, 6)) < [1, 0.5, 0.4, 0.2, 0.1, 0])
    weights = balanced_weights(shares, 0.7)
    repeats = []
    for row in shares:
        mine = [index for index in range(1, 6) if row[index] > 0]
        repeats.append(max((np.mean(shares[:, index] > 0) ** -0.7 for index in mine), default=0))
    animals = np.array(repeats) > 0
    assert 0 < animals.sum() < 50
    assert np.allclose(weights[animals] / weights[animals][0],
                       np.array(repeats)[animals] / np.array(repeats)[animals][0])
    assert weights[animals].mean() == pytest.approx(1) and (weights[~animals] == 1).all()
    assert (balanced_weights(shares, 0.0) == 1).all()  # exactly: the order must not change


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(InputError, match="empty_fraction: 0.3, but no training photo is empty"):
        CurriculumSampler(10, 2, 0, empty=np.zeros(10, bool), empty_fraction=0.3)
    with pytest.raises(InputError, match="all training photos are empty"):
        CurriculumSampler(10, 2, 0, empty=np.ones(10, bool), empty_fraction=0)


# ---------------------------------------------------------------------------- the curriculum


def test_the_pool_grows_from_the_easiest_to_all():
    difficulty = np.random.default_rng(2).permutation(200) / 200
    sampler = CurriculumSampler(200, 8, 1, difficulty=difficulty, start_fraction=0.25,
                                curriculum_epochs=6)
    ranks = difficulty.argsort().argsort()
    for epoch in range(9):
        size = round(200 * min(1, 0.25 + 0.75 * epoch / 6))
        counts = times(sampler, epoch)
        assert counts.sum() == 200 and (counts[ranks >= size] == 0).all()
        assert (np.abs(counts[ranks < size] - 200 / size) < 1).all()
        statistics = sampler.statistics()
        assert statistics["pool"] == pytest.approx(size / 200)
        assert statistics["distinct"] == (counts > 0).sum() == size
        assert statistics["difficulty"] == pytest.approx(difficulty[drawn(sampler, epoch)].mean())
        assert (sampler.entry[ranks < size] <= epoch).all()
        assert (sampler.entry[ranks >= size] > epoch).all()
    assert CurriculumSampler(10, 2, 0).statistics() == {"pool": 1, "distinct": 10,
                                                        "difficulty": None}


def test_equally_hard_photos_enter_in_a_random_order_that_is_always_the_same():
    samplers = [CurriculumSampler(1000, 8, seed, difficulty=np.zeros(1000), start_fraction=0.1,
                                  curriculum_epochs=3) for seed in (1, 1, 2)]
    first, same, other = (drawn(sampler, 0) for sampler in samplers)
    assert (first == same).all() and len(set(first)) == 100
    assert set(first) != set(other)
    assert np.mean(first) == pytest.approx(500, abs=120)  # not the first in the manifest


@pytest.mark.parametrize(("focused", "size"), [(20, 30), (50, 50)])
def test_photos_in_focus_are_in_the_pool_first(focused, size):
    random = np.random.default_rng(3)
    difficulty = random.random(100)
    focus = np.zeros(100, bool)
    focus[np.argsort(difficulty)[-focused:]] = True  # the very hardest
    sampler = CurriculumSampler(100, 5, 0, difficulty=difficulty, focus=focus,
                                start_fraction=0.3, curriculum_epochs=4)
    pool = set(drawn(sampler, 0))
    easiest = np.argsort(difficulty)[:size - focused]
    assert pool == set(np.flatnonzero(focus)) | set(easiest)
    assert set(drawn(sampler, 4)) == set(range(100))


def test_a_pool_has_at_least_one_photo():
    sampler = CurriculumSampler(40, 4, 0, difficulty=np.arange(40.0), start_fraction=0)
    assert set(drawn(sampler, 0)) == {0}


def test_a_pool_without_empty_photos_draws_what_there_is():
    sampler = CurriculumSampler(40, 4, 0, empty=np.arange(40) >= 20, empty_fraction=0.5,
                                difficulty=np.arange(40.0), start_fraction=0.25)
    assert (times(sampler, 0)[:10] == 4).all()
    assert times(sampler, 10)[20:].sum() == 20


@pytest.mark.parametrize("count", [10**5, pytest.param(10**7, marks=pytest.mark.long)])
def test_ten_million_photos_are_drawn_lazily(count):
    sampler = CurriculumSampler(count, 64, 0, difficulty=np.arange(count) % 1000 / 1000,
                                start_fraction=0.5, curriculum_epochs=2)
    batches = iter(sampler)
    first = [next(batches) for _ in range(3)]
    assert all(len(batch) == 64 and index % 1000 < 500 for batch in first for index, _ in batch)
