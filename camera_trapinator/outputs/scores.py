"""The scores of an evaluation, as report.json holds them: of all photos and of groups of them."""

from collections.abc import Iterable, Sequence

import numpy as np

from ..metrics import RECALLS, ConfusionMatrix, RegressionErrors

# Photos by the share of their pixels that the animals fill: name, and largest share.
SIZES = (("up to 0.5 %", 0.005), ("0.5 to 2 %", 0.02), ("2 to 10 %", 0.1), ("over 10 %", 1.0))


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


def build_report(photos: Iterable[dict], class_names: Sequence[str],
                 thresholds: dict[str, float] | None = None) -> dict:
    """The scores of an evaluation, as `report.json` holds them.

    `photos`: one dict a photo with `failure` (None or text), and, where there is none,
    `confusion` (C lists of C ints, see ConfusionMatrix), `location`, `seen` (whether photos of
    its location were trained on), `infrared`, `confidence`, `present` and `present_truth` (C bools
    each: the classes that are predicted to be, and that are, in the photo), `blobs` and their
    `blob_truths` as in a record. `thresholds`: those that the validation photos chose, see
    `metrics.recall_thresholds`.
    """
    num_classes = len(class_names)
    groups: dict[tuple[str, str], tuple[ConfusionMatrix, list]] = {}
    presence = np.zeros((2, 2, num_classes), np.int64)  # truth, prediction, class
    failures, empties, false_pixels, empty_pixels = 0, 0, 0, 0
    confidences, truths = [], []  # of photos with labelled pixels
    sure, right = [], []  # of blobs where an animal is
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
        for blob, truth in zip(photo["blobs"], photo["blob_truths"], strict=True):
            if truth:
                sure.append(blob["class_confidence"])
                right.append(blob["class"] == truth)
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
        "find_animals": find_animals(confidences, truths, thresholds or {}),
        "reliability": reliability(sure, right) if num_classes > 2 else None,
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


def find_animals(confidences: Sequence[float], truths: Sequence[bool],
                 thresholds: dict[str, float]) -> dict | None:
    """How well the confidence tells photos with an animal (`truths`) from empty ones.

    `curve`: [recall, precision, threshold] at up to 200 thresholds, the highest first;
    `average_precision` as scikit-learn defines it; `thresholds`: for 95 and 99 % recall the
    highest threshold that reaches it, with its recall, its precision and the share of the photos
    from it on (`look_at`); `validation`: what those that the validation photos chose achieve here:
    photos with an animal that are `found`, and `false_alarms` among the `empty` ones. None if there
    is no photo with an animal, or no empty one.
    """
    truth, scores = np.array(truths, bool), np.array(confidences, float)
    if not truth.any() or truth.all():
        return None
    order = np.argsort(-scores, kind="stable")
    truth, scores = truth[order], scores[order]
    validation = [{
        "recall": name, "threshold": threshold, "found": int(truth[scores >= threshold].sum()),
        "with_animals": int(truth.sum()), "empty": int((~truth).sum()),
        "false_alarms": int((~truth)[scores >= threshold].sum()),
    } for name, threshold in thresholds.items()]
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
        "validation": validation,
    }


def reliability(sure: Sequence[float], right: Sequence[bool]) -> dict | None:
    """How well the class_confidence of animals (`sure`) tells how many of their species are right.

    `bins`: for each tenth of the confidence in which there are any, their number (`blobs`), mean
    `class_confidence` and `right`, the share that is; `expected_calibration_error`: the mean
    difference of these two, over all animals (Naeini et al. 2015, doi 10.1609/aaai.v29i1.9602).
    None if there is no animal.
    """
    if not len(sure):
        return None
    sure, right = np.array(sure, float), np.array(right, float)
    tenth = np.minimum((sure * 10).astype(int), 9)

    def summary_of(these: np.ndarray) -> dict:
        return {"blobs": len(these), "class_confidence": float(sure[these].mean()),
                "right": float(right[these].mean())}

    bins = [{"from": number / 10, **summary_of(np.flatnonzero(tenth == number))}
            for number in np.unique(tenth).tolist()]
    error = sum(row["blobs"] * abs(row["class_confidence"] - row["right"]) for row in bins)
    return {**summary_of(np.arange(len(sure))),
            "expected_calibration_error": error / len(sure), "bins": bins}


def _presence_scores(table: np.ndarray) -> dict:
    """Photos by truth (row) and prediction (column) of one species being there -> its scores."""
    (true_negative, false_positive), (false_negative, true_positive) = table.tolist()
    found, real = true_positive + false_positive, true_positive + false_negative
    return {"precision": true_positive / found if found else None,
            "recall": true_positive / real if real else None,
            "photos": real, "true_positive": true_positive, "false_positive": false_positive,
            "false_negative": false_negative, "true_negative": true_negative}
