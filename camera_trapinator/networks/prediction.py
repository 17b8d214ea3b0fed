"""From logits to masks of any size and to probabilities; photos seen whole or in tiles."""

import math
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


class SizedPhoto(Protocol):
    """What `predict` needs to know of a photo: its upright size in pixels."""

    width: int
    height: int


class Prediction:
    """What a model says of one photo.

    `logits`: (C, h, w) at network size, on the model's device, float32, or float16 if blended of
    several tiles; None where the photo could not be read. `photo`: what the loader gave with the
    photo (its width and height at least). `temperature`: how sure it is of the species, see
    `metrics.Calibration`; 1 = as sure as the network says.
    """

    def __init__(self, logits: Tensor | None, photo: SizedPhoto, temperature: float = 1.0):
        self.logits, self.photo, self.temperature = logits, photo, temperature

    def mask(self, mask_size: str = "photo") -> np.ndarray:
        """Class of every pixel, uint8, at the `photo`'s own size or at that of the `network`."""
        if mask_size == "network":
            return likeliest(self.logits).cpu().numpy()
        size = (self.photo.height, self.photo.width)
        return largest_class(self.logits, size).cpu().numpy()

    def foreground(self) -> np.ndarray:
        """Probability that a pixel is no background, (h, w) at network size, as precise as the
        logits."""
        return by_rows(lambda logits: 1 - logits.softmax(dim=0)[0], self.logits).cpu().numpy()

    def species(self) -> tuple[np.ndarray, np.ndarray]:
        """The likeliest species of each pixel, uint8 (h, w) at network size, and the probability
        that what is there is of this species, if it is any: as precise as the logits."""
        species = self.logits[1:]
        share = by_rows(lambda logits: (logits / self.temperature).softmax(dim=0).amax(dim=0),
                        species)
        return (likeliest(species) + 1).cpu().numpy(), share.cpu().numpy()

    def values(self, mask_size: str = "photo") -> np.ndarray:
        """Of a regression: the number at every pixel, float32, in the quantity's own unit, at the
        `photo`'s own size (bilinear) or at that of the `network`."""
        plane = self.logits[:1]
        if mask_size == "photo":
            size = (self.photo.height, self.photo.width)
            plane = F.interpolate(plane[None], size, mode="bilinear")[0]
        return plane[0].cpu().numpy()


SURE = 10.0  # logit of the background in an info strip; that of the species is -10


def strip_slices(photo: SizedPhoto, height: int) -> tuple[slice, slice]:
    """The rows at the top and the bottom of a prediction that are the camera's info strip."""
    top, bottom = getattr(photo, "strip", (0, 0))  # a photo from a notebook tells of none
    return slice(0, top), slice(height - bottom, height)


def by_rows(function: Callable[[Tensor], Tensor], logits: Tensor) -> Tensor:
    """`function`, from (C, h, w) to (h, w), of logits, some rows at a time: of a photo of 20
    megapixels all classes at once would not fit into memory. Fractions are as precise as the
    logits."""
    rows = max(1, 2**22 // logits[:, 0].numel())
    whole = None
    for top in range(0, logits.shape[1], rows):
        part = function(logits[:, top:top + rows].float())
        if whole is None:
            dtype = logits.dtype if part.is_floating_point() else part.dtype
            whole = part.new_empty(logits.shape[1:], dtype=dtype)
        whole[top:top + rows] = part
    return whole


def likeliest(logits: Tensor) -> Tensor:
    """The class with the largest logit of (C, h, w), the first of equal ones: uint8 (h, w)."""
    # A CPU takes ten times as long for argmax.
    return by_rows(lambda part: part.max(dim=0).indices.byte(), logits)


def largest_class(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Enlarge logits (C, h, w) to `size` (bilinear), and take the largest: uint8 (height, width).

    Where one class is the largest of four neighbours it is so between them: only between others,
    mostly a small part of the photo, there is something to work out.
    """
    small = likeliest(logits)
    if small.shape == size:
        return small
    width = small.shape[1]
    rows, columns = (_between(*lengths, logits.device)
                     for lengths in zip(small.shape, size, strict=True))
    next_row, next_column = (torch.arange(1, side + 1, device=logits.device).clamp(max=side - 1)
                             for side in small.shape)
    lowered = small[next_row]
    mixed = ((lowered != small) | (small[:, next_column] != small)
             | (lowered[:, next_column] != small))
    # index_select: what brackets do, but on a CPU several times as fast.
    mask = small.index_select(1, columns.before).index_select(0, rows.before)
    mixed &= (rows.last >= rows.first)[:, None] & (columns.last >= columns.first)
    flat = logits.contiguous().flatten(1)
    tall, wide = (int((axis.last - axis.first).max()) + 1 for axis in (rows, columns))
    # A cell lies between a pixel of the small mask and the next ones, below and to the right.
    for cells in mixed.nonzero().split(max(1, 2**20 // (tall * wide * len(logits)))):
        row, column = cells.unbind(dim=1)
        upper_left, upper_right, lower_left, lower_right = (
            flat.index_select(1, y * width + x).float().unsqueeze(2)  # (C, cells, 1)
            for y in (row, next_row[row]) for x in (column, next_column[column]))
        y, x = rows.pixels(row, tall), columns.pixels(column, wide)  # (cells, tall), (cells, wide)
        upper = upper_left.lerp(upper_right, columns.share[x]).unsqueeze(2)  # (C, cells, 1, wide)
        lower = lower_left.lerp(lower_right, columns.share[x]).unsqueeze(2)
        between = upper.lerp(lower, rows.share[y].unsqueeze(2))  # (C, cells, tall, wide)
        mask[y.unsqueeze(2), x.unsqueeze(1)] = between.max(dim=0).indices.byte()
    return mask


class _Axis(NamedTuple):
    """How the pixels of an enlarged picture lie between those of the small one, along one axis."""

    before: Tensor  # int64, for each one of the enlarged: the small one above, or to the left
    share: Tensor  # float32, for each one of the enlarged: how much of the next small one it has
    first: Tensor  # int64, for each small one: the first of the enlarged behind it
    last: Tensor  # int64, for each small one: the last one; less than `first` if there is none

    def pixels(self, small: Tensor, number: int) -> Tensor:
        """Those of the enlarged behind each of n small ones: int64 (n, number), the last one
        repeated where they are fewer."""
        further = torch.arange(number, device=small.device)
        return torch.minimum(self.first[small, None] + further, self.last[small, None])


def _between(small: int, length: int, device: torch.device) -> _Axis:
    # The middles of the pixels lie at place + 1/2, as in torch's interpolate.
    position = (torch.arange(length, device=device) + 0.5) * (small / length) - 0.5
    position = position.clamp(0, small - 1)
    before, places = position.long(), torch.arange(small, device=device)
    return _Axis(before, (position - before).float(), torch.searchsorted(before, places),
                 torch.searchsorted(before, places, right=True) - 1)


# ------------------------------------------------------------------------------------------- tiles


def blend_tiles(logits_of: Callable[[Tensor], Tensor], image: Tensor, tile: int) -> Tensor:
    """The logits, float16 (C, H, W), of a photo (3, H, W) that is predicted tile by tile; float32
    if there is but one class.

    `logits_of`: from photos (1, 3, h, w) to logits (1, C, h, w). Square tiles of side `tile`
    overlap by a quarter of it or more; where they do, the mean of their logits counts, weighted by
    a Gaussian around each tile's centre: at its edge a tile knows least. Besides the result, only
    one row of tiles is in memory. Source: Isensee et al. 2021, "nnU-Net" (doi
    10.1038/s41592-020-01008-z), section on inference; sigma is an eighth of the tile there too.
    """
    height, width = image.shape[-2:]
    tops, high = tile_starts(height, tile)
    lefts, wide = tile_starts(width, tile)
    weights = bell(high, tile, image.device)[:, None] * bell(wide, tile, image.device)  # (h, w)
    result = None
    for top, next_top in zip(tops, [*tops[1:], height], strict=True):
        for left in lefts:
            here = slice(left, left + wide)
            logits = logits_of(image[None, :, top:top + high, here])[0]  # (C, h, w)
            if result is None:
                # Half as much memory for many classes; the one number of a regression needs more.
                dtype = torch.float16 if len(logits) > 1 else torch.float32
                result = logits.new_empty((len(logits), height, width), dtype=dtype)
                total = logits.new_zeros(len(logits), high, width)  # of this row of tiles
                weight = logits.new_zeros(high, width)
            total[..., here] += logits * weights
            weight[..., here] += weights
        done = next_top - top  # rows that no further tile reaches
        result[:, top:next_top] = total[:, :done] / weight[:done]
        total, weight = F.pad(total[:, done:], (0, 0, 0, done)), F.pad(weight[done:],
                                                                       (0, 0, 0, done))
    return result


def tile_starts(length: int, tile: int) -> tuple[list[int], int]:
    """Where tiles begin that cover `length` pixels evenly, overlapping by a quarter or more; and
    how long they are: `tile`, or `length` if that is less."""
    if length <= tile:
        return [0], length
    count = math.ceil((length - tile) / (tile - tile // 4)) + 1
    return [round(place * (length - tile) / (count - 1)) for place in range(count)], tile


def bell(length: int, tile: int, device: torch.device) -> Tensor:
    """A Gaussian over `length` pixels, 1 in the middle, float32; never so small as to round to 0
    when squared."""
    distance = torch.arange(length, device=device) - (length - 1) / 2
    return torch.exp(-0.5 * (distance / (tile / 8)).square()).clamp(min=1e-4)
