"""Votes: what the encoder takes the animal at a place for, one number a class.

A pretrained encoder knows animals by its deepest features, and few masks are enough to learn which
is which. But an animal must be judged by itself: who stands beside it is of another kind, perhaps.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class NearVotes(nn.Module):
    """Each place gets the mean vote of the cells around it, those in which an animal is.

    A cell is what one of the deepest features stands for, 32 pixels at network size. Two linear
    layers tell from its features `what` it shows and `where`, from 0 to 1, an animal is: by so much
    it counts. Features (N, channels, h, w) in, float32 (N, classes, h, w) out, 0 at the start of a
    training.
    """

    REACH = 2  # cells to each side: a deer's head is judged by its body, not by the next deer
    LEAST = 0.1  # of a cell with an animal; where there is less in reach, the votes fade

    def __init__(self, channels: int, classes: int):
        super().__init__()
        self.what = nn.Conv2d(channels, classes, 1, bias=False)
        self.where = nn.Conv2d(channels, 1, 1)
        for weight in self.parameters():
            nn.init.zeros_(weight)

    def forward(self, features: Tensor) -> Tensor:
        where = torch.sigmoid(self.where(features).float())
        votes = self.what(features).float() * where
        return self._around(votes) / (self._around(where) + self.LEAST)

    def _around(self, cells: Tensor) -> Tensor:
        """The sum of the cells within reach of each one; there are none beyond the photo."""
        return F.avg_pool2d(cells, 2 * self.REACH + 1, stride=1, padding=self.REACH,
                            divisor_override=1)


class PhotoVotes(nn.Linear):
    """All places get the same vote, from the mean of the whole photo. Networks of before have it:
    of two species in one photo it tells but one. (N, classes, 1, 1) out."""

    def __init__(self, channels: int, classes: int):
        super().__init__(channels, classes, bias=False)
        nn.init.zeros_(self.weight)

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features.mean(dim=(2, 3)))[:, :, None, None]


VOTES = {"near": NearVotes, "photo": PhotoVotes}
