"""Which photos make up which batch: one order from (seed, epoch), the same for any run.

The sampler hands the seed of each draw over with the index. The dataset augments under that seed,
so that a batch is the same whoever reads it: any number of workers, before or after a resume.
"""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler


class TrainSampler(Sampler[list[tuple[int, int]]]):
    """Batches of (index, draw seed), in an order drawn anew for each epoch.

    Both are pure functions of (seed, epoch, position in the epoch's order). The photos left over
    after the last whole batch wait for another epoch; fewer photos than one batch make one batch.
    """

    def __init__(self, num_photos: int, batch_size: int, seed: int):
        self.num_photos, self.batch_size, self.seed = num_photos, batch_size, seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, from 0, whose batches the next iteration gives."""
        self.epoch = epoch

    def __len__(self) -> int:
        return max(1, self.num_photos // self.batch_size)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        random = np.random.default_rng([self.seed, self.epoch])
        order = random.permutation(self.num_photos).tolist()
        seeds = random.integers(2**63, size=self.num_photos).tolist()
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            batch = slice(start, start + self.batch_size)
            yield list(zip(order[batch], seeds[batch], strict=True))
