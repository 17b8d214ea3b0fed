"""Scores from one integer confusion matrix, or from sums of errors, over all photos together:
never averaged over batches."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from . import IGNORE

RECALLS = ("0.95", "0.99")  # of the photos with an animal, for which thresholds are given
# Photos by the share of their pixels that the animals fill: name, and largest share.
SIZES = (("up to 0.5 %", 0.005), ("0.5 to 2 %", 0.02), ("2 to 10 %", 0.1), ("over 10 %", 1.0))


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


def build_value_report(photos: Iterable[dict]) -> dict:
    """The scores of the evaluation of a regression, as `report.json` holds them.

    `photos`: one dict a photo with `failure` (None or text), and, where there is none, `errors`
    (the sums of RegressionErrors), `location`, `seen` (whether photos of its location were trained
    on) and `infrared`.
    """
    groups: dict[tuple[str, str], tuple[RegressionErrors, list]] = {}
    failures = 0
    for photo in photos:
        if photo["failure"] is not None:
            failures += 1
            continue
        for group in (("all", ""), ("seen", "seen" if photo["seen"] else "unseen"),
                      ("light", "night" if photo["infrared"] else "day"),
                      ("location", photo["location"])):
            errors, images = groups.setdefault(group, (RegressionErrors(), []))
            errors += RegressionErrors.of(photo["errors"])
            images.append(photo["file"])

    def scores(kind: str, name: str) -> dict:
        errors, images = groups.get((kind, name), (RegressionErrors(), []))
        return {**errors.scores(), "images": len(images)}

    return {
        **scores("all", ""), "failures": failures,
        "locations": {name: scores("seen", name) for name in ("seen", "unseen")},
        "light": {name: scores("light", name) for name in ("day", "night")},
        "per_location": {name: scores("location", name)
                         for kind, name in sorted(groups) if kind == "location"},
    }


def summary(matrix: ConfusionMatrix, images: int) -> dict:
    """The scores of a group of photos that a report gives: mean_iou, foreground_iou, images."""
    return {"mean_iou": matrix.mean_iou(), "foreground_iou": matrix.foreground_iou(),
            "images": images}


def build_report(photos: Iterable[dict], class_names: Sequence[str]) -> dict:
    """The scores of an evaluation, as `report.json` holds them.

    `photos`: one dict a photo with `failure` (None or text), and, where there is none,
    `confusion` (C lists of C ints, see ConfusionMatrix), `location`, `seen` (whether photos of
    its location were trained on), `infrared`, `confidence`, `present` and `present_truth` (C bools
    each: the classes that are predicted to be, and that are, in the photo).
    """
    num_classes = len(class_names)
    groups: dict[tuple[str, str], tuple[ConfusionMatrix, list]] = {}
    presence = np.zeros((2, 2, num_classes), np.int64)  # truth, prediction, class
    failures, empties, false_pixels, empty_pixels = 0, 0, 0, 0
    confidences, truths = [], []  # of photos with labelled pixels
    for photo in photos:
        if photo["failure"] is not None:
            failures += 1
            continue
        matrix = ConfusionMatrix.of(photo["confusion"])
        for key in (("all", ""), ("seen", "seen" if photo["seen"] else "unseen"),
                    ("light", "night" if photo["infrared"] else "day"),
                    ("location", photo["location"]), ("size", size_class(matrix))):
            sum_, images = groups.setdefault(key, (ConfusionMatrix(num_classes), []))
            sum_ += matrix
            images.append(any(photo["present"][1:]))
        for index in range(num_classes):
            presence[int(photo["present_truth"][index]), int(photo["present"][index]), index] += 1
        if matrix.counts.any():
            confidences.append(photo["confidence"])
            truths.append(any(photo["present_truth"][1:]))
        if matrix.counts.any() and not any(photo["present_truth"][1:]):
            empties += 1
            false_pixels += int(matrix.counts[:, 1:].sum())
            empty_pixels += int(matrix.counts.sum())

    def group(kind: str, name: str) -> tuple[ConfusionMatrix, list]:
        return groups.get((kind, name), (ConfusionMatrix(num_classes), []))

    def scores(kind: str, name: str) -> dict:
        matrix, images = group(kind, name)
        return summary(matrix, len(images))

    whole, images = group("all", "")
    columns = (whole.iou(), whole.dice(), whole.precision(), whole.recall(), whole.support())
    return {
        "mean_iou": whole.mean_iou(),
        "foreground_iou": whole.foreground_iou(),
        "pixel_accuracy": whole.pixel_accuracy(),
        "images": len(images),
        "failures": failures,
        "classes": {name: dict(zip(("iou", "dice", "precision", "recall", "support"), row,
                                   strict=True))
                    for name, *row in zip(class_names, *columns, strict=True)},
        "locations": {name: scores("seen", name) for name in ("seen", "unseen")},
        "light": {name: scores("light", name) for name in ("day", "night")},
        "per_location": {name: scores("location", name)
                         for kind, name in sorted(groups) if kind == "location"},
        "presence": {name: _presence_scores(presence[:, :, index])
                     for index, name in enumerate(class_names) if index},
        "empty_photos": {"images": empties, "false_positive_pixels": false_pixels,
                         "false_positive_share": false_pixels / empty_pixels if empties else None},
        "by_size": {name: _size_scores(*group("size", name)) for name, _ in SIZES},
        "find_animals": find_animals(confidences, truths),
        "confusion": whole.counts.tolist(),
    }


def size_class(matrix: ConfusionMatrix) -> str:
    """The key of SIZES for what the animals of a photo fill of it; "" if there are none."""
    animals, total = int(matrix.counts[1:].sum()), int(matrix.counts.sum())
    return next(name for name, most in SIZES if animals <= most * total) if animals else ""


def _size_scores(matrix: ConfusionMatrix, found: list[bool]) -> dict:
    """The scores of the photos with animals of one size; `found`: was any predicted in each?"""
    return {**summary(matrix, len(found)), "recall": matrix.foreground_recall(),
            "found_share": sum(found) / len(found) if found else None}


def find_animals(confidences: Sequence[float], truths: Sequence[bool]) -> dict | None:
    """How well the confidence tells photos with an animal (`truths`) from empty ones.

    `curve`: [recall, precision, threshold] at up to 200 thresholds, the highest first;
    `average_precision` as scikit-learn defines it; `thresholds`: for 95 and 99 % recall the
    highest threshold that reaches it, with its recall, its precision and the share of the photos
    from it on (`look_at`). None if there is no photo with an animal, or no empty one.
    """
    truth, scores = np.array(truths, bool), np.array(confidences, float)
    if not truth.any() or truth.all():
        return None
    order = np.argsort(-scores, kind="stable")
    truth, scores = truth[order], scores[order]
    last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)  # of each confidence
    hits = truth.cumsum()[last]
    recall, precision, looked = hits / truth.sum(), hits / (last + 1), (last + 1) / len(scores)
    average = float((np.diff(recall, prepend=0.0) * precision).sum())
    points = np.unique(np.linspace(0, len(last) - 1, 200).round().astype(int))
    first = {name: int(np.flatnonzero(recall >= float(name) - 1e-12)[0]) for name in RECALLS}
    return {
        "images": len(scores), "with_animals": int(truth.sum()), "average_precision": average,
        "curve": [[float(recall[i]), float(precision[i]), float(scores[last[i]])] for i in points],
        "thresholds": {name: {"threshold": float(scores[last[i]]), "recall": float(recall[i]),
                              "precision": float(precision[i]), "look_at": float(looked[i])}
                       for name, i in first.items()},
    }


def recall_thresholds(confidences: Sequence[float]) -> dict[str, float] | None:
    """The highest confidences from which on 95 and 99 % of the photos with an animal are found.

    `confidences`: those of all such photos. None where there is none; "0.95" and "0.99" are keys.
    """
    if not len(confidences):
        return None
    ordered = sorted(map(float, confidences), reverse=True)
    return {name: ordered[math.ceil(float(name) * len(ordered)) - 1] for name in RECALLS}


def _presence_scores(table: np.ndarray) -> dict:
    """Photos by truth (row) and prediction (column) of one species being there -> its scores."""
    (true_negative, false_positive), (false_negative, true_positive) = table.tolist()
    found, real = true_positive + false_positive, true_positive + false_negative
    return {"precision": true_positive / found if found else None,
            "recall": true_positive / real if real else None,
            "photos": real, "true_positive": true_positive, "false_positive": false_positive,
            "false_negative": false_negative, "true_negative": true_negative}
