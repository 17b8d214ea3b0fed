"""Which photos make up which batch: one order from (seed, epoch), the same for any run.

The sampler hands the seed of each draw over with the index. The dataset augments under that seed,
so that a batch is the same whoever reads it: any number of workers, before or after a resume.
"""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from .. import InputError

NEVER = 2**31 - 1  # the epoch in which photos of weight 0 enter


class CurriculumSampler(Sampler[list[tuple[int, int]]]):
    """Batches of (index, draw seed): which photos an epoch draws, how often, and in what order.

    All of it is a pure function of (seed, epoch, position in the epoch's order). An epoch has as
    many draws as there are photos, in whole batches: the draws left over after the last one fall
    away, and fewer photos than one batch make one batch. `epoch_steps` asks for so many batches
    instead: few photos are then drawn several times, of many a part, another one in each epoch.

    It draws from a pool. With `difficulty` (float (N,), the larger the harder) the pool of epoch 0
    is the easiest `start_fraction` of the photos; it grows in equal steps until, in epoch
    `curriculum_epochs`, all are in it. The photos of `focus` (bool (N,)) are in it from the start.
    Equally hard ones enter in a random order. Source: Bengio et al. 2009, "Curriculum learning".

    Within the pool a photo is drawn in proportion to its weight (`weights`: float (N,), default
    equal ones), rounded up or down by chance. With `empty_fraction` from 0 to 1 (without 1) the
    photos of `empty` (bool (N,)) make up that share of the draws, as long as the pool holds both
    kinds. With equal weights and all photos in the pool each photo comes equally often.

    `batch_size` is the total over `world_size` processes; the process `rank` gets its part of each
    batch. All memory is a few numbers a photo. Raises InputError if nothing could be drawn, or a
    process would get nothing.
    """

    def __init__(self, num_photos: int, batch_size: int, seed: int, *,
                 weights: np.ndarray | None = None, empty: np.ndarray | None = None,
                 empty_fraction: float = -1, difficulty: np.ndarray | None = None,
                 focus: np.ndarray | None = None, start_fraction: float = 1,
                 curriculum_epochs: int = 10, epoch_steps: int = 0, rank: int = 0,
                 world_size: int = 1):
        self.num_photos, self.batch_size, self.seed = num_photos, min(batch_size, num_photos), seed
        self.num_draws = epoch_steps * self.batch_size or num_photos
        self.rank, self.world_size = rank, world_size
        self.set_epoch(0)
        if self.batch_size < world_size:
            raise InputError(f"batch_size: {self.batch_size} photos are too few for {world_size} "
                             "processes; each needs one")
        self.empty = np.zeros(num_photos, bool) if empty is None else np.asarray(empty)
        self.empty_fraction, self.difficulty = empty_fraction, difficulty
        if empty_fraction > 0 and not self.empty.any():
            raise InputError(f"empty_fraction: {empty_fraction}, but no training photo is empty; "
                             "set empty_fraction: -1, or add photos with the mask `background`")
        weights = np.ones(num_photos) if weights is None else np.array(weights, float)
        if empty_fraction == 0:
            weights[self.empty] = 0
        if not weights.any():
            raise InputError(f"empty_fraction: {empty_fraction}, but all training photos are empty")
        self.weights = weights / weights.max()  # equal ones become exactly 1
        # Photos lie side by side on a line, the empty ones first; neighbours, such as those of a
        # burst, then take turns where not all are drawn.
        self.line = np.argsort(~self.empty, kind="stable")
        self.entry = self._entry_epochs(focus, start_fraction, curriculum_epochs)

    def _entry_epochs(self, focus: np.ndarray | None, start_fraction: float,
                      curriculum_epochs: int) -> np.ndarray:
        """The epoch, from 0, in which each photo enters the pool: int32 (N,)."""
        entry = np.where(self.weights > 0, 0, NEVER).astype(np.int32)
        if self.difficulty is None:
            return entry
        there = np.flatnonzero(self.weights)
        later = np.ones(len(there), bool) if focus is None else ~np.asarray(focus, bool)[there]
        chance = np.random.default_rng([self.seed, 0, 2]).permutation(len(there))
        ranks = np.lexsort((chance, self.difficulty[there], later))
        grown = np.arange(curriculum_epochs + 1) / curriculum_epochs
        sizes = np.rint((start_fraction + (1 - start_fraction) * grown) * len(there))
        sizes = sizes.clip(min=max(1, (~later).sum()))  # of the pool, epoch by epoch
        entry[there[ranks]] = np.searchsorted(sizes, np.arange(len(there)), side="right")
        return entry

    def set_epoch(self, epoch: int, first_step: int = 0) -> None:
        """Choose the epoch, from 0, whose batches the next iteration gives, from `first_step` on;
        its length stays that of the whole epoch."""
        self.epoch, self.first_step = epoch, first_step

    def __len__(self) -> int:
        return self.num_draws // self.batch_size

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        photos, seeds = self.draws()
        for step in range(self.first_step, len(self)):
            # Part of a batch: the parts of all processes make the batch, none is empty.
            start, end = (step * self.batch_size + self.batch_size * rank // self.world_size
                          for rank in (self.rank, self.rank + 1))
            yield list(zip(photos[start:end].tolist(), seeds[start:end].tolist(), strict=True))

    def draws(self) -> tuple[np.ndarray, np.ndarray]:
        """The epoch's photos, in the order of all processes, and the seed of each draw: int64."""
        random = np.random.default_rng([self.seed, self.epoch])
        order = random.permutation(self.num_draws)
        seeds = random.integers(2**63, size=self.num_draws)
        # In a stream of its own, so that weights leave order and seeds as they are; and in steps
        # of 2^-20, so that adding a large whole number rounds nothing.
        offset = (np.random.default_rng([self.seed, self.epoch, 1]).integers(2**20) + 0.5) / 2**20
        counts = systematic_counts(self.pool_weights(), self.line, offset, self.num_draws)
        photos = np.repeat(np.arange(self.num_photos), counts)
        end = len(self) * self.batch_size
        return photos[order[:end]], seeds[:end]

    def pool_weights(self) -> np.ndarray:
        """The weight of each photo in this epoch, float64 (N,); 0 = not in the pool."""
        weights = np.where(self.entry <= self.epoch, self.weights, 0.0)
        if self.empty_fraction > 0:
            empty, others = weights[self.empty].sum(), weights[~self.empty].sum()
            if empty and others:
                ratio = self.empty_fraction / (1 - self.empty_fraction)
                weights[self.empty] *= ratio * others / empty
        return weights

    def statistics(self) -> dict[str, float | int | None]:
        """What log.csv tells of the epoch: `pool` (share of the photos that may be drawn),
        `distinct` (photos drawn at least once) and `difficulty` (mean of the draws)."""
        photos, _ = self.draws()
        return {"pool": float((self.pool_weights() > 0).mean()),
                "distinct": int(np.count_nonzero(np.bincount(photos))),
                "difficulty": (None if self.difficulty is None
                               else float(self.difficulty[photos].mean()))}


def systematic_counts(weights: np.ndarray, line: np.ndarray, offset: float, draws: int,
                      ) -> np.ndarray:
    """How often each of N photos is drawn in so many draws: int64 (N,), within 1 of its share.

    Systematic resampling: the photos lie in the order of `line` (int (N,)), each as long as its
    weight (float (N,)), and are read off at equal distances, the first `offset` (0..1) of a
    distance from the start. Source: Carpenter et al. 1999, "Improved particle filter".
    """
    ends = np.cumsum(weights[line])
    places = (np.arange(draws) + offset) * (ends[-1] / draws)
    return np.bincount(line[np.searchsorted(ends, places, side="right")], minlength=len(line))


def balanced_weights(shares: np.ndarray, balance: float) -> np.ndarray:
    """A weight for each photo that lets rare species come more often: float64 (N,).

    `shares`: (N, classes), the share of each class in each mask, background first. The weight is
    that of the photo's rarest species, (share of the photos with it) ** -balance: with 0 all are
    equal; with 1 each species is drawn equally often, where photos show one species. Photos with
    animals have a mean weight of 1, empty ones have 1, so that these come as often as before.
    Source: Gupta, Dollar, Girshick 2019, "LVIS", repeat factor sampling (there balance = 0.5).
    """
    present = shares[:, 1:] > 0
    animals = present.any(axis=1)
    weights = np.ones(len(shares))
    if animals.any():
        frequency = present.mean(axis=0).clip(1 / len(shares))
        rarest = (present * frequency**-balance).max(axis=1)[animals]
        weights[animals] = rarest / rarest.mean()
    return weights
