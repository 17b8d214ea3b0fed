"""The criteria: how wrong is what the network says?

    loss = criterion(pred, masks)              # one number, for backward()
    total, weight = criterion.sums(pred, masks)    # the same as a sum and its weight

The loss of a batch that is spread over processes or parts is the sum of the totals over the sum
of the weights; a mean of means would be wrong wherever ignored pixels are uneven. The weight is
known before the network has said anything, `criterion.weigh(masks)`: whoever has the weight of the
whole batch hands it over, as in `criterion(pred, masks, weight)`, and the parts add up.

Any other `nn.Module` that takes (pred, masks) and gives a number does as well, see `Averaged`.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import IGNORE


class Criterion(nn.Module):
    """Base class. A criterion says how the `total` (k,) and the weight, `weigh` (k,), of its k
    losses are computed, float32; `masks` are the targets in a regression."""

    def forward(self, pred: Tensor, masks: Tensor, weight: Tensor | None = None) -> Tensor:
        """The loss, float32 (). `weight` (k,): of the whole batch of which these photos are a
        part; default their own."""
        weight = self.weigh(masks) if weight is None else weight
        return (self.total(pred, masks) / weight).sum()

    def sums(self, pred: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """The total (k,) and the weight (k,) of these photos, to be added up over many."""
        return self.total(pred, masks), self.weigh(masks)

    def total(self, pred: Tensor, masks: Tensor) -> Tensor:
        raise NotImplementedError

    def weigh(self, masks: Tensor) -> Tensor:
        raise NotImplementedError


class Averaged(Criterion):
    """Any module whose forward(pred, masks) gives the mean loss of a batch, such as torch's own or
    one from a paper: its weight is the number of photos, as it cannot be asked for its sums.

    It gets masks as int64, which torch's criteria ask for; targets of a regression stay float32.
    Raises ValueError, with the shape, where it gives more than one number.
    """

    def __init__(self, loss: nn.Module):
        super().__init__()
        self.loss = loss

    def total(self, pred: Tensor, masks: Tensor) -> Tensor:
        loss = self.loss(pred.float(), masks if masks.is_floating_point() else masks.long())
        if loss.numel() != 1:
            raise ValueError(f"{type(self.loss).__name__} gives numbers of shape "
                             f"{tuple(loss.shape)} for a batch; it should give their mean, one "
                             "number (in torch's criteria: reduction='mean')")
        return loss.reshape(1) * len(masks)

    def weigh(self, masks: Tensor) -> Tensor:
        """How many photos they are: (1,)."""
        return torch.full((1,), float(len(masks)), device=masks.device)


class ClassCriterion(Criterion):
    """Base class for masks of classes. One says how the total is computed, `judge`, from the
    logarithms of the classes' probabilities, float32 (N, C, H, W), and the masks (N, H, W)."""

    def total(self, logits: Tensor, masks: Tensor) -> Tensor:
        return self.judge(logits.float().log_softmax(dim=1), masks)


class CrossEntropy(ClassCriterion):
    """Pixel-wise cross entropy, as in the U-Net paper, weighted by class.

    forward(logits (N, C, H, W), masks (N, H, W) uint8 or int64) -> loss, float32 ().
    `class_weights`: C numbers, or None for equal ones.
    """

    def __init__(self, class_weights: Sequence[float] | None = None):
        super().__init__()
        weights = None if class_weights is None else torch.tensor(class_weights).float()
        self.register_buffer("class_weights", weights)

    def judge(self, log_p: Tensor, masks: Tensor) -> Tensor:
        # Summed by hand: the sum inside of nll_loss has no deterministic kernel on a GPU.
        return _entropy(log_p, masks, self.class_weights).sum().reshape(1)

    def weigh(self, masks: Tensor) -> Tensor:
        """The sum of the weights of all pixels that are not ignored: (1,)."""
        valid = masks != IGNORE
        if self.class_weights is None:
            return _weight(valid)
        return _weight(self.class_weights[masks.long().where(valid, 0)].where(valid, 0))


class Focal(CrossEntropy):
    """Cross entropy that counts a pixel the less, the surer the network already is of its class:
    times (1 - p) ** 2, p being the probability of the true class. Made for small objects.

    forward(logits (N, C, H, W), masks (N, H, W) uint8 or int64) -> loss, float32 ().
    Source: Lin et al. 2017, "Focal Loss for Dense Object Detection" (arXiv 1708.02002).
    """

    def judge(self, log_p: Tensor, masks: Tensor) -> Tensor:
        doubt = 1 - torch.exp(-_entropy(log_p, masks))
        entropy = _entropy(log_p, masks, self.class_weights)
        return (doubt.square() * entropy).sum().reshape(1)


class Dice(ClassCriterion):
    """1 - soft Dice of each class present in a photo, averaged over photos and their classes.

    forward(logits (N, C, H, W), masks (N, H, W) uint8 or int64) -> loss, float32 ().
    Dice over the photo and not over the batch, so that it is a sum over photos.
    Source: Milletari et al. 2016, "V-Net".
    """

    def judge(self, log_p: Tensor, masks: Tensor) -> Tensor:
        classes = log_p.shape[1]
        p = log_p.exp().permute(0, 2, 3, 1).flatten(1, 2)  # (N, H * W, C)
        # 1 at the true class; nowhere for ignored pixels, whose row 255 of the table is all 0.
        table = torch.eye(IGNORE + 1, classes, device=p.device)
        truth = F.embedding(masks.long().flatten(1), table)  # (N, H * W, C)
        # The confusion matrix of each photo, with probabilities in place of counts: (N, C, C).
        confusion = truth.transpose(1, 2) @ p
        pixels = truth.sum(dim=1)  # (N, C)
        overlap = confusion.diagonal(dim1=1, dim2=2)
        dice = 2 * overlap / (pixels + confusion.sum(dim=1)).clamp(min=1e-6)
        return ((1 - dice) * (pixels > 0)).sum().reshape(1)

    def weigh(self, masks: Tensor) -> Tensor:
        """How many classes the photos have, added up: (1,)."""
        present = torch.zeros(len(masks), IGNORE + 1, device=masks.device)
        return _weight(present.scatter_(1, masks.long().flatten(1), 1.0)[:, :IGNORE])


class CrossEntropyDice(ClassCriterion):
    """Cross entropy and Dice side by side: k = 2 losses."""

    def __init__(self, class_weights: Sequence[float] | None = None):
        super().__init__()
        self.cross_entropy, self.dice = CrossEntropy(class_weights), Dice()

    def judge(self, log_p: Tensor, masks: Tensor) -> Tensor:
        return torch.cat([self.cross_entropy.judge(log_p, masks), self.dice.judge(log_p, masks)])

    def weigh(self, masks: Tensor) -> Tensor:
        """Of both: (2,)."""
        return torch.cat([self.cross_entropy.weigh(masks), self.dice.weigh(masks)])


def _entropy(log_p: Tensor, masks: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Of each pixel, times the weight of its class; 0 where it is ignored. (N, H, W)."""
    return F.nll_loss(log_p, masks.long(), class_weights, ignore_index=IGNORE, reduction="none")


class Distilled(Criterion):
    """A criterion and, with the weight `share` (0 .. 1), how far a student is from its teacher: the
    Kullback-Leibler divergence of each pixel's classes, both softened by a `temperature`, times its
    square.

    forward((logits, advice), masks (N, H, W)), logits and advice (N, C, H, W), as `Taught` gives
    them; pixels of value 255 in `masks` do not count. In `sums`, by which a network is validated,
    nobody advises: it is the criterion alone. Source: Hinton et al. 2015, "Distilling the
    Knowledge in a Neural Network" (arXiv 1503.02531).
    """

    def __init__(self, criterion: Criterion, share: float, temperature: float = 2.0):
        super().__init__()
        self.criterion, self.share, self.temperature = criterion, share, temperature
        self.sums = criterion.sums

    def forward(self, pred: tuple[Tensor, Tensor], masks: Tensor, weight: Tensor | None = None,
                ) -> Tensor:
        logits, advice = pred
        weight = self.weigh(masks) if weight is None else weight
        loss = self.criterion(logits, masks, weight[:-1])
        return loss.lerp(self.distance(logits, advice, masks) / weight[-1], self.share)

    def distance(self, logits: Tensor, advice: Tensor, masks: Tensor) -> Tensor:
        """How far both are apart, the sum over the pixels that are not ignored: float32 ()."""
        student = (logits.float() / self.temperature).log_softmax(dim=1)
        teacher = (advice.float() / self.temperature).log_softmax(dim=1)
        distance = (teacher.exp() * (teacher - student)).sum(dim=1)  # (N, H, W)
        return self.temperature**2 * (distance * (masks != IGNORE)).sum()

    def weigh(self, masks: Tensor) -> Tensor:
        """The criterion's weights and, last, how many pixels are not ignored."""
        return torch.cat([self.criterion.weigh(masks), _weight(masks != IGNORE)])


class LeastSquares(Criterion):
    """Squared error of a regression; NaN in the target is ignored.

    forward(values (N, 1, H, W), targets (N, H, W) float) -> loss, float32 ().
    `spread`: the standard deviation of the training targets. Errors count in units of it, so that
    metres and millimetres learn alike, and always guessing the mean has a loss of about 1.
    """

    def __init__(self, spread: float = 1.0):
        super().__init__()
        self.spread = spread

    def total(self, pred: Tensor, targets: Tensor) -> Tensor:
        valid = ~targets.isnan()
        error = (pred.float().squeeze(1) - targets.float().where(valid, 0)) / self.spread
        return (self.cost(error) * valid).sum().reshape(1)

    def weigh(self, targets: Tensor) -> Tensor:
        """How many pixels have a number: (1,)."""
        return _weight(~targets.isnan())

    def cost(self, error: Tensor) -> Tensor:
        """Of each pixel, given its error in units of the spread."""
        return error.square()


class Huber(LeastSquares):
    """Least squares for small errors, but beyond one spread the cost rises along a straight line:
    a few wrong targets then do not outweigh all others. Source: Huber 1964.
    """

    def cost(self, error: Tensor) -> Tensor:
        small = error.abs().clamp(max=1)
        return small * (2 * error.abs() - small)  # |e|: e^2 up to 1, then 2 |e| - 1


def build_criterion(name: str, class_weights: Sequence[float] | None = None,
                    spread: float = 1.0) -> nn.Module:
    """The criterion of that name: cross_entropy, focal, dice, cross_entropy_dice; and for a
    regression, whose training targets have that `spread`, least_squares or huber.

    Raises KeyError for another name (the config has checked it).
    """
    return {
        "cross_entropy": lambda: CrossEntropy(class_weights),
        "focal": lambda: Focal(class_weights),
        "dice": Dice,
        "cross_entropy_dice": lambda: CrossEntropyDice(class_weights),
        "least_squares": lambda: LeastSquares(spread),
        "huber": lambda: Huber(spread),
    }[name]()


def _weight(parts: Tensor) -> Tensor:
    """Their sum, (1,) float32; a batch without any labelled pixel has the loss 0, not 0 / 0."""
    return parts.sum().float().clamp(min=1e-6).reshape(1)
