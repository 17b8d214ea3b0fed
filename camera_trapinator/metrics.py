"""Scores from one integer confusion matrix, or from sums of errors, over all photos together:
never averaged over batches."""

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import IGNORE

RECALLS = ("0.95", "0.99")  # of the photos with an animal, for which thresholds are given


class ConfusionMatrix:
    """Pixels by true class (rows) and predicted class (columns), int64, exact.

    Two matrices are added with +=. Scores are lists with one number per class; a class that does
    not occur in the truth has None ("n/a"), counts in no mean, and its support is 0.
    """

    def __init__(self, num_classes: int, device: torch.device | str = "cpu"):
        self.counts = torch.zeros(num_classes, num_classes, dtype=torch.int64, device=device)

    @classmethod
    def of(cls, counts: Sequence[Sequence[int]]) -> "ConfusionMatrix":
        """The matrix with these counts, C lists of C ints."""
        matrix = cls(len(counts))
        matrix.counts += torch.tensor(counts, dtype=torch.int64)
        return matrix

    def update(self, truth: Tensor | np.ndarray, predicted: Tensor | np.ndarray) -> None:
        """Count the pixels of class maps of one shape; 255 in `truth` is ignored.

        Raises ValueError for two shapes.
        """
        num_classes = len(self.counts)
        truth, predicted = (torch.as_tensor(values).to(self.counts.device).long()
                            for values in (truth, predicted))
        if truth.shape != predicted.shape:
            raise ValueError(f"the true classes are {tuple(truth.shape)} pixels, the predicted "
                             f"ones {tuple(predicted.shape)}")
        valid = truth != IGNORE
        cells = (truth * num_classes + predicted)[valid]
        self.counts += torch.bincount(cells, minlength=num_classes**2).view_as(self.counts)

    def __iadd__(self, other: "ConfusionMatrix") -> "ConfusionMatrix":
        self.counts += other.counts
        return self

    # Per class -----------------------------------------------------------------------------

    def support(self) -> list[int]:
        """Pixels of each class in the truth."""
        return self.counts.sum(dim=1).tolist()

    def iou(self) -> list[float | None]:
        """Intersection over union, TP / (TP + FP + FN)."""
        hits, truth, predicted = self._margins()
        return self._present(hits, truth + predicted - hits)

    def dice(self) -> list[float | None]:
        """2 TP / (2 TP + FP + FN), also called F1."""
        hits, truth, predicted = self._margins()
        return self._present(2 * hits, truth + predicted)

    def precision(self) -> list[float | None]:
        """TP / (TP + FP); 0 for a class that is never predicted."""
        hits, _, predicted = self._margins()
        return self._present(hits, predicted)

    def recall(self) -> list[float | None]:
        """TP / (TP + FN)."""
        hits, truth, _ = self._margins()
        return self._present(hits, truth)

    # Over all classes ----------------------------------------------------------------------

    def mean_iou(self) -> float | None:
        """Mean IoU over the species that occur in the truth; the background is left out."""
        present = [score for score in self.iou()[1:] if score is not None]
        return float(np.mean(present)) if present else None

    def foreground_iou(self) -> float | None:
        """IoU of "any species" against background: species mixed up with another one are hits."""
        hits = int(self.counts[1:, 1:].sum())
        union = int(self.counts.sum() - self.counts[0, 0])
        return hits / union if int(self.counts[1:].sum()) else None

    def foreground_recall(self) -> float | None:
        """Share of the pixels of any species that are predicted as any species."""
        real = int(self.counts[1:].sum())
        return int(self.counts[1:, 1:].sum()) / real if real else None

    def pixel_accuracy(self) -> float | None:
        """Share of the labelled pixels whose class is right."""
        total = int(self.counts.sum())
        return int(self.counts.diagonal().sum()) / total if total else None

    def _margins(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.counts.diagonal(), self.counts.sum(dim=1), self.counts.sum(dim=0)

    def _present(self, part: Tensor, whole: Tensor) -> list[float | None]:
        support = self.counts.sum(dim=1).tolist()
        return [(p / w if w else 0.0) if s else None
                for p, w, s in zip(part.tolist(), whole.tolist(), support, strict=True)]


class RegressionErrors:
    """Sums over the pixels of a regression, float64; two of them are added with +=.

    The scores are in the unit of the quantity; None ("n/a") if no pixel has a true value.
    """

    def __init__(self):
        # Pixels; sums of error, |error|, error^2, truth, truth^2. Error = predicted - true value.
        self.sums = np.zeros(6)

    @classmethod
    def of(cls, sums: Sequence[float]) -> "RegressionErrors":
        """The errors with these `sums`, such as a record holds."""
        errors = cls()
        errors.sums += np.asarray(sums, np.float64)
        return errors

    def update(self, truth: Tensor | np.ndarray, predicted: Tensor | np.ndarray) -> None:
        """Add the pixels of maps of one shape; NaN in `truth` is ignored.

        Raises ValueError for two shapes.
        """
        truth, predicted = (torch.as_tensor(values).cpu().numpy() for values in (truth, predicted))
        if truth.shape != predicted.shape:
            raise ValueError(f"the true values are {truth.shape} pixels, the predicted ones "
                             f"{predicted.shape}")
        valid = ~np.isnan(truth)
        truth, predicted = truth[valid].astype(np.float64), predicted[valid].astype(np.float64)
        error = predicted - truth
        self.sums += (valid.sum(), error.sum(), np.abs(error).sum(), np.square(error).sum(),
                      truth.sum(), np.square(truth).sum())

    def __iadd__(self, other: "RegressionErrors") -> "RegressionErrors":
        self.sums += other.sums
        return self

    def bias(self) -> float | None:
        """Mean error: above 0 the predictions are too large."""
        return self._mean(1)

    def mae(self) -> float | None:
        """Mean absolute error."""
        return self._mean(2)

    def rmse(self) -> float | None:
        """Root of the mean squared error."""
        return None if self._mean(3) is None else math.sqrt(self._mean(3))

    def r2(self) -> float | None:
        """Explained share of the variance: 1 = no error, 0 = no better than the mean of all true
        values here; None too if these are all alike."""
        count, _, _, squares, truth, truth_squares = self.sums.tolist()
        around_mean = truth_squares - truth**2 / count if count else 0.0
        if around_mean <= 1e-12 * truth_squares:  # nothing but rounding
            return None
        return 1 - squares / around_mean

    def scores(self) -> dict:
        """mae, rmse, r2 and bias by name."""
        return {"mae": self.mae(), "rmse": self.rmse(), "r2": self.r2(), "bias": self.bias()}

    def _mean(self, place: int) -> float | None:
        return float(self.sums[place] / self.sums[0]) if self.sums[0] else None


class Calibration:
    """How far the probabilities of the species are to be trusted: the temperature that their logits
    are divided by, so that of what the network is 80 % sure of, 80 % are right. It changes no mask.

    Chosen on photos that were not learned from, of which each counts the same, by the likelihood of
    the true species where an animal is. Source: Guo et al. 2017, "On Calibration of Modern Neural
    Networks" (arXiv 1706.04599). Two of them are added by adding their `losses`, float64.
    """

    TEMPERATURES = 2.0 ** (torch.arange(-12, 13) / 4)  # from 1/8, much surer, to 8
    PIXELS = 1024  # of a photo that tell enough

    def __init__(self):
        self.losses = torch.zeros(len(self.TEMPERATURES), dtype=torch.float64)

    def update(self, truth: Tensor, logits: Tensor) -> None:
        """Add a photo: its true classes, (H, W), and the logits of all classes, (C, H, W)."""
        places = ((truth > 0) & (truth != IGNORE)).flatten().nonzero()[:, 0]
        if not len(places):
            return
        places = places[::-(-len(places) // self.PIXELS)]
        species = logits.flatten(1)[1:, places].float()  # (C - 1, pixels)
        right = (truth.flatten()[places].long() - 1).expand(len(self.losses), -1)
        divided = species / self.TEMPERATURES.to(logits.device)[:, None, None]
        self.losses += F.cross_entropy(divided, right, reduction="none").mean(dim=1).cpu()

    def temperature(self) -> float:
        """The likeliest one; one photo more, as it were, speaks for 1, so that a few photos which
        are all right do not make the network sure of everything."""
        doubt = self.TEMPERATURES.log().square()
        return float(self.TEMPERATURES[int((self.losses + doubt).argmin())])


def recall_thresholds(animals: Sequence[float], empties: Sequence[float] = (),
                      ) -> dict[str, float] | None:
    """From which confidence on 95 and 99 % of the photos with an animal are found ("0.95", "0.99").

    `animals`, `empties`: the confidences of all photos with and without one. Where the two lie
    apart, many thresholds do the same, and the highest is the worst: new photos are never as clear
    as these. So each is as low as it can be without a loss of precision, and then has room: it lies
    half way from the last animal that it finds to the next empty photo, or to 0. The one for 99 %
    is never above that for 95 %. None where there is no animal. Rounded down to five digits, as
    many as records have: no photo is rounded out of its share.
    """
    if not len(animals):
        return None
    scores = np.array([*animals, *empties], float)
    truth = np.arange(len(scores)) < len(animals)
    order = np.argsort(-scores, kind="stable")  # of those alike, the animals first
    scores, hits = scores[order], truth[order].cumsum()
    last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)  # of each confidence
    scores, hits, precision = scores[last], hits[last], hits[last] / (last + 1)
    more = np.diff(hits, prepend=0) > 0  # where it finds one more
    thresholds, highest = {}, 1.0
    for name in RECALLS:
        first = int(np.flatnonzero(hits >= float(name) * len(animals) - 1e-9)[0])
        best = int(np.flatnonzero(more & (precision >= precision[first]))[-1])
        below = scores[best + 1] if best + 1 < len(scores) else 0.0
        highest = min(highest, math.floor((scores[best] + below) / 2 * 1e5) / 1e5)
        thresholds[name] = highest
    return thresholds


def best_epoch(history: Sequence[dict], best_by: str) -> int:
    """The place of the epoch that best.pt holds: of the lowest RMSE, or else of the highest score
    `best_by`; of the lowest validation loss where that is undefined, for want of animals in the
    validation photos. Of epochs that are alike, the first. With `best_by` = last the last one.

    `history`: the row of log.csv of each epoch, at least one.
    """
    if best_by == "last":
        return len(history) - 1
    if "rmse" in history[-1]:
        scores = [(row["rmse"], -1) for row in history]
    else:
        scores = [(row.get(best_by), 1) for row in history]
        if all(score is None for score, _ in scores):
            scores = [(row["val_loss"], -1) for row in history]
    merits = [-math.inf if score is None or math.isnan(score) else sign * score
              for score, sign in scores]
    return merits.index(max(merits))
