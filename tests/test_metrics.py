"""The scores: against scikit-learn on random maps, and by hand on a handful of photos."""

import json
import math

import numpy as np
import pytest
import torch
from sklearn import metrics as sklearn
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from camera_trapinator import IGNORE
from camera_trapinator.metrics import (
    Calibration,
    ConfusionMatrix,
    RegressionErrors,
    best_epoch,
    recall_thresholds,
)
from camera_trapinator.outputs.scores import build_report, find_animals, reliability, summary


def random_maps(classes=5, size=(40, 50), seed=0):
    """A true and a predicted map that agree on about half of the pixels; a tenth is ignored."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, classes, size, dtype=np.uint8)
    predicted = np.where(random.random(size) < 0.5, truth,
                         random.integers(0, classes, size, dtype=np.uint8))
    truth[random.random(size) < 0.1] = IGNORE
    return truth, predicted


def matrix_of(truth, predicted, classes):
    matrix = ConfusionMatrix(classes)
    matrix.update(np.array(truth, np.uint8), np.array(predicted, np.uint8))
    return matrix


# ------------------------------------------------------------------------ against scikit-learn


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_scores_are_those_of_scikit_learn(classes):
    truth, predicted = random_maps(classes, seed=classes)
    matrix = ConfusionMatrix(classes)
    matrix.update(truth, predicted)
    known, guess = truth[truth != IGNORE], predicted[truth != IGNORE]
    labels = list(range(classes))
    assert matrix.counts.tolist() == sklearn.confusion_matrix(known, guess, labels=labels).tolist()

    columns = {"labels": labels, "average": None}
    assert matrix.iou() == pytest.approx(sklearn.jaccard_score(known, guess, **columns).tolist())
    assert matrix.dice() == pytest.approx(sklearn.f1_score(known, guess, **columns).tolist())
    assert matrix.precision() == pytest.approx(
        sklearn.precision_score(known, guess, **columns).tolist())
    assert matrix.recall() == pytest.approx(sklearn.recall_score(known, guess, **columns).tolist())
    assert matrix.support() == np.bincount(known, minlength=classes).tolist()
    assert matrix.pixel_accuracy() == pytest.approx(sklearn.accuracy_score(known, guess))
    assert matrix.mean_iou() == pytest.approx(
        sklearn.jaccard_score(known, guess, labels=labels[1:], average="macro"))
    assert matrix.foreground_iou() == pytest.approx(sklearn.jaccard_score(known > 0, guess > 0))


@pytest.mark.parametrize("kind", [
    torch.from_numpy, lambda values: values.astype(np.int64), lambda values: values.tolist(),
    lambda values: torch.from_numpy(values).long(),
    lambda values: torch.from_numpy(np.asfortranarray(values))])
def test_arrays_and_tensors_of_any_kind_count_alike(kind):
    truth, predicted = random_maps()
    expected, matrix = ConfusionMatrix(5), ConfusionMatrix(5)
    expected.update(truth, predicted)
    matrix.update(kind(truth), kind(predicted))
    assert torch.equal(matrix.counts, expected.counts)


def test_matrices_add_up():
    first, second = random_maps(seed=1), random_maps(size=(7, 90), seed=2)
    whole = ConfusionMatrix(5)
    for maps in (first, second):
        whole.update(*maps)
    left, right = ConfusionMatrix(5), ConfusionMatrix(5)
    left.update(*first)
    right.update(*second)
    alone = right.counts.clone()
    left += right
    assert torch.equal(left.counts, whole.counts) and torch.equal(right.counts, alone)
    assert torch.equal(ConfusionMatrix.of(whole.counts.tolist()).counts, whole.counts)


def test_the_order_of_rows_is_truth_and_of_columns_prediction():
    matrix = matrix_of([0, 1, 1, 2, IGNORE], [0, 2, 2, 2, 1], 3)
    assert matrix.counts.tolist() == [[1, 0, 0], [0, 0, 2], [0, 0, 1]]


def test_counts_beyond_32_bits_stay_exact():
    """Ten thousand photos of 20 megapixels have 2e11 pixels; float32 would lose single ones."""
    large = 2**40
    matrix = ConfusionMatrix.of([[large, 1], [0, 3]])
    matrix += ConfusionMatrix.of([[large, 1], [1, 2**33]])
    matrix.update(np.array([0, 1]), np.array([0, 1]))
    assert matrix.counts.dtype == torch.int64
    assert matrix.counts.tolist() == [[2 * large + 1, 2], [1, 2**33 + 4]]
    assert matrix.support() == [2 * large + 3, 2**33 + 5]
    assert matrix.iou()[1] == (2**33 + 4) / (2**33 + 7)
    assert matrix.pixel_accuracy() == (2 * large + 2**33 + 5) / (2 * large + 2**33 + 8)


# ------------------------------------------------------------------------------- absent classes


def test_a_class_that_is_not_there_has_no_score_and_is_in_no_mean():
    # Class 1 half right, class 2 never there but predicted once, class 3 neither.
    matrix = matrix_of([0, 0, 1, 1], [0, 2, 1, 0], 4)
    assert matrix.support() == [2, 2, 0, 0]
    assert matrix.iou() == [1 / 3, 1 / 2, None, None]
    assert matrix.dice() == [1 / 2, 2 / 3, None, None]
    assert matrix.precision() == [1 / 2, 1, None, None]
    assert matrix.recall() == [1 / 2, 1 / 2, None, None]
    assert matrix.mean_iou() == 1 / 2
    assert matrix.foreground_iou() == 1 / 3  # the false class 2 counts against it


def test_a_class_that_is_there_but_never_predicted_scores_zero():
    matrix = matrix_of([0, 1, 2], [0, 0, 2], 3)
    assert matrix.iou()[1] == matrix.dice()[1] == matrix.precision()[1] == matrix.recall()[1] == 0
    assert matrix.mean_iou() == 1 / 2


def test_the_background_is_not_in_the_mean():
    matrix = matrix_of([0] * 98 + [1, 2], [0] * 98 + [2, 2], 3)
    assert matrix.iou() == [1, 0, 1 / 2]
    assert matrix.mean_iou() == 1 / 4


def test_species_mixed_up_are_foreground_all_the_same():
    matrix = matrix_of([0, 0, 1, 1, 2, 2], [0, 1, 2, 2, 1, 0], 3)
    assert matrix.mean_iou() == 0
    assert matrix.foreground_iou() == 3 / 5


def test_only_background_and_nothing_at_all_have_no_species_scores():
    background, nothing = matrix_of([0, 0], [0, 1], 2), matrix_of([IGNORE], [1], 2)
    for matrix in (background, nothing):
        assert matrix.mean_iou() is None and matrix.foreground_iou() is None
    assert background.pixel_accuracy() == 1 / 2
    assert nothing.pixel_accuracy() is None
    assert nothing.iou() == [None, None] and nothing.support() == [0, 0]
    assert summary(nothing, 0) == {"mean_iou": None, "foreground_iou": None, "images": 0}


def test_numbers_that_are_no_class_are_refused():
    for truth, predicted in (([0, 3], [0, 0]), ([-1, 0], [0, 0])):
        with pytest.raises(RuntimeError):
            ConfusionMatrix(3).update(np.array(truth), np.array(predicted))


# ------------------------------------------------------------------------------------ the report


CLASSES = ["background", "fox", "hare"]


def photo_facts(confusion, present, *, location="ridge", seen=False, infrared=False,
                confidence=0.5):
    truth = [any(row) for row in confusion]
    return {"failure": None, "confusion": confusion, "location": location, "seen": seen,
            "infrared": infrared, "confidence": confidence, "present": present,
            "present_truth": truth, "blobs": [], "blob_truths": []}


# Five photos whose scores are easily worked out on paper, and one that could not be read.
PHOTOS = [
    photo_facts([[80, 10, 0], [0, 10, 0], [0, 0, 0]], [True, True, False]),  # a fox, found
    photo_facts([[90, 0, 0], [5, 5, 0], [0, 0, 0]], [True, True, False], seen=True,
                infrared=True),  # half a fox
    photo_facts([[90, 0, 0], [0, 0, 0], [4, 6, 0]], [True, True, False],
                location="brook"),  # a hare, taken for a fox
    photo_facts([[97, 0, 3], [0, 0, 0], [0, 0, 0]], [True, False, True],
                location="brook", infrared=True),  # empty, with a false hare
    {"failure": "truncated file", "location": "brook"},
    photo_facts([[200, 0, 0], [0, 0, 0], [0, 0, 0]], [True, False, False],
                location="brook", seen=True),  # empty, and rightly so
]


@pytest.fixture(scope="module")
def report():
    return build_report(iter(PHOTOS), CLASSES)


def test_the_report_sums_all_pixels(report):
    assert report["confusion"] == [[557, 10, 3], [5, 15, 0], [4, 6, 0]]
    assert report["images"] == 5 and report["failures"] == 1
    assert report["classes"]["fox"] == {
        "iou": 15 / 36, "dice": 30 / 51, "precision": 15 / 31, "recall": 15 / 20, "support": 20}
    assert report["classes"]["hare"] == {
        "iou": 0, "dice": 0, "precision": 0, "recall": 0, "support": 10}
    assert list(report["classes"]) == CLASSES
    assert report["classes"]["background"]["iou"] == 557 / 579
    assert report["mean_iou"] == pytest.approx(15 / 36 / 2)
    assert report["foreground_iou"] == 21 / 43
    assert report["pixel_accuracy"] == 572 / 600


def test_the_report_tells_seen_from_unseen_and_day_from_night(report):
    assert report["locations"] == {
        "seen": {"mean_iou": 0.5, "foreground_iou": 0.5, "images": 2},
        "unseen": {"mean_iou": pytest.approx(10 / 26 / 2), "foreground_iou": 16 / 33, "images": 3}}
    assert report["light"] == {
        "night": {"mean_iou": 0.5, "foreground_iou": 5 / 13, "images": 2},
        "day": {"mean_iou": pytest.approx(10 / 26 / 2), "foreground_iou": 16 / 30, "images": 3}}
    assert report["per_location"] == {
        "brook": {"mean_iou": 0, "foreground_iou": 6 / 13, "images": 3},
        "ridge": {"mean_iou": 15 / 30, "foreground_iou": 15 / 30, "images": 2}}
    assert list(report["per_location"]) == ["brook", "ridge"]  # sorted


def test_the_report_counts_photos_by_species(report):
    assert report["presence"] == {
        "fox": {"precision": 2 / 3, "recall": 1, "photos": 2, "true_positive": 2,
                "false_positive": 1, "false_negative": 0, "true_negative": 2},
        "hare": {"precision": 0, "recall": 0, "photos": 1, "true_positive": 0,
                 "false_positive": 1, "false_negative": 1, "true_negative": 3}}


def test_presence_is_that_of_scikit_learn():
    random = np.random.default_rng(0)
    truth, predicted = random.random((2, 40)) < 0.4
    photos = [photo_facts([[9, 0], [int(real), 0]], [True, bool(found)])
              for real, found in zip(truth, predicted, strict=True)]
    scores = build_report(photos, ["background", "fox"])["presence"]["fox"]
    assert scores["precision"] == sklearn.precision_score(truth, predicted)
    assert scores["recall"] == sklearn.recall_score(truth, predicted)
    assert scores["photos"] == truth.sum()


def test_presence_without_any_such_photo_has_no_score():
    scores = build_report([PHOTOS[-1]], CLASSES)["presence"]["fox"]
    assert scores["precision"] is None and scores["recall"] is None
    assert scores["true_negative"] == 1 and scores["photos"] == 0


def test_the_report_counts_false_alarms_on_empty_photos(report):
    assert report["empty_photos"] == {"images": 2, "false_positive_pixels": 3,
                                      "false_positive_share": 3 / 300}
    without = build_report(PHOTOS[:3], CLASSES)["empty_photos"]
    assert without == {"images": 0, "false_positive_pixels": 0, "false_positive_share": None}


def test_a_photo_without_labelled_pixels_is_not_an_empty_photo():
    unknown = photo_facts([[0] * 3] * 3, [True, True, False])
    report = build_report([unknown], CLASSES)
    assert report["empty_photos"] == {"images": 0, "false_positive_pixels": 0,
                                      "false_positive_share": None}
    assert report["images"] == 1 and report["mean_iou"] is None


def test_reliability_is_that_of_tenths():
    """By hand: two tenths, 0.25 from right and 0.05 from right."""
    found = reliability([0.72, 0.78, 0.9, 1.0], [True, False, True, True])
    assert [(row["from"], row["blobs"], row["right"]) for row in found["bins"]] == [
        (0.7, 2, 0.5), (0.9, 2, 1.0)]
    assert [row["class_confidence"] for row in found["bins"]] == pytest.approx([0.75, 0.95])
    assert found["expected_calibration_error"] == pytest.approx(0.15)
    assert (found["blobs"], found["right"]) == (4, 0.75)
    assert reliability([], []) is None


def test_only_blobs_on_a_true_animal_tell_how_sure_the_species_are():
    blobs = [{"class": 1, "class_confidence": 0.6}, {"class": 2, "class_confidence": 0.8},
             {"class": 2, "class_confidence": 0.8}, {"class": 1, "class_confidence": 0.9}]
    photo = {**PHOTOS[0], "blobs": blobs, "blob_truths": [1, 1, None, 0]}
    found = build_report([photo], CLASSES)["reliability"]
    assert (found["blobs"], found["right"]) == (2, 0.5)
    photo = {**photo_facts([[5, 0], [0, 5]], [True, True]), "blobs": blobs[:1], "blob_truths": [1]}
    assert build_report([photo], CLASSES[:2])["reliability"] is None  # one species: always sure


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 4.0])
def test_the_temperature_is_that_by_which_the_logits_are_too_large(temperature):
    torch.manual_seed(0)
    calibration = Calibration()
    for size in (7, 40, 60) * 30:
        logits = torch.randn(6, size, 20) * 3
        truth = torch.distributions.Categorical(logits=logits[1:].movedim(0, 2)).sample() + 1
        truth[torch.rand(truth.shape) < 0.3] = 0  # the background has no say,
        logits[0] = torch.randn(size, 20) * 100
        truth[torch.rand(truth.shape) < 0.1] = 255  # nor has what is not labelled
        calibration.update(truth.byte(), logits * temperature)
    assert calibration.temperature() == temperature


def test_each_photo_counts_alike_and_a_few_make_nothing_sure():
    sure = torch.tensor([0.0, 8.0, 0.0])[:, None, None]
    calibration = Calibration()
    assert calibration.temperature() == 1  # no photo
    calibration.update(torch.ones(30, 30, dtype=torch.uint8), sure.expand(3, 30, 30))
    assert 0.5 < calibration.temperature() <= 1  # one photo, all right
    one = calibration.losses.clone()
    calibration.update(torch.full((2, 2), 2, dtype=torch.uint8), sure.expand(3, 2, 2))
    other = Calibration()
    other.update(torch.full((2, 2), 2, dtype=torch.uint8), sure.expand(3, 2, 2))
    assert torch.equal(one + other.losses, calibration.losses)
    calibration.losses *= 50
    assert calibration.temperature() == 8  # every second one is wrong, however few its pixels


@pytest.mark.parametrize("photos", [[], [{"failure": "truncated file"}] * 2])
def test_a_report_of_nothing_has_no_scores_but_all_its_parts(photos, report):
    empty = build_report(photos, CLASSES)
    assert list(empty) == list(report)
    assert empty["images"] == 0 and empty["failures"] == len(photos)
    assert empty["mean_iou"] is None and empty["pixel_accuracy"] is None
    assert empty["classes"]["fox"] == {"iou": None, "dice": None, "precision": None,
                                       "recall": None, "support": 0}
    assert empty["locations"]["unseen"]["images"] == 0 and empty["per_location"] == {}
    assert empty["confusion"] == [[0] * 3] * 3


def test_the_report_is_plain_json(report):
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    empty = build_report([], CLASSES)
    assert json.loads(json.dumps(empty, allow_nan=False)) == empty


# ----------------------------------------------------------------- is there an animal at all?


@pytest.mark.parametrize("seed", range(10))
def test_finding_animals_is_that_of_scikit_learn(seed):
    random = np.random.default_rng(seed)
    truths = random.random(300) < 0.3
    scores = (random.random(300) * 0.7 + 0.3 * truths).round(2)  # many ties
    found = find_animals(scores.tolist(), truths.tolist(), {"0.99": 0.4})
    assert found["validation"] == [{
        "recall": "0.99", "threshold": 0.4, "found": (truths & (scores >= 0.4)).sum(),
        "with_animals": truths.sum(), "empty": (~truths).sum(),
        "false_alarms": (~truths & (scores >= 0.4)).sum()}]
    assert found["average_precision"] == pytest.approx(
        sklearn.average_precision_score(truths, scores))
    precision, recall, thresholds = sklearn.precision_recall_curve(truths, scores)
    theirs = dict(zip(thresholds.tolist(), zip(recall, precision, strict=False), strict=False))
    for ours_recall, ours_precision, threshold in found["curve"]:
        assert (ours_recall, ours_precision) == pytest.approx(theirs[threshold])
    for name, row in found["thresholds"].items():
        reached = [threshold for threshold in thresholds
                   if (truths & (scores >= threshold)).sum() >= float(name) * truths.sum()]
        assert row["threshold"] == max(reached)
        looked = scores >= row["threshold"]
        assert row["look_at"] == pytest.approx(looked.mean())
        assert row["precision"] == pytest.approx(truths[looked].mean())
        assert row["recall"] == pytest.approx((looked & truths).sum() / truths.sum())


@pytest.mark.parametrize("truths", [[], [True, True], [False, False]])
def test_without_both_kinds_of_photos_nothing_can_be_found(truths):
    assert find_animals([0.5] * len(truths), truths, {}) is None


@pytest.mark.parametrize("count", [1, 19, 20, 21, 100, 101, 257])
def test_the_thresholds_find_so_many_and_cost_no_precision(count):
    """As precise as the highest that finds so many, and as low as that allows."""
    random = np.random.default_rng(count)
    animals, empties = random.random(count) ** 0.5, random.random(3 * count) ** 3

    def precision(threshold):
        hits = (animals >= threshold).sum()
        return hits / (hits + (empties >= threshold).sum())

    found = recall_thresholds(animals.tolist(), empties.tolist())
    assert found["0.99"] <= found["0.95"]
    for name, threshold in found.items():
        assert (animals >= threshold).mean() >= float(name)
        highest = max(score for score in animals if (animals >= score).mean() >= float(name))
        assert threshold <= highest and precision(threshold) >= precision(highest)
    lowest = [score for score in animals if score < found["0.95"]]
    best = max(score for score in animals if (animals >= score).mean() >= 0.95)
    assert not lowest or max(map(precision, lowest)) < precision(best)
    assert recall_thresholds([]) is None


def test_where_animals_and_empty_photos_lie_apart_the_thresholds_lie_between():
    """The highest that finds 95 % of the animals would miss those of new photos."""
    found = recall_thresholds([0.99999] * 19 + [0.9, 0.8], [0.1, 0.4, 0.0])
    assert found == {"0.95": 0.6, "0.99": 0.6}
    assert recall_thresholds([0.9, 0.8]) == {"0.95": 0.4, "0.99": 0.4}  # no empty photo
    overlap = recall_thresholds([0.9] * 98 + [0.5, 0.2], [0.6, 0.3, 0.1])
    assert overlap == {"0.95": 0.75, "0.99": 0.4}


def test_no_photo_is_rounded_out_of_the_share_that_a_threshold_finds():
    """Records have five digits."""
    random = np.random.default_rng(0)
    for _ in range(50):
        scores = 1 - random.random(200) * 1e-4
        empties = random.choice(scores, 400) - 1e-6  # as close as can be
        for name, threshold in recall_thresholds(scores.tolist(), empties.tolist()).items():
            assert (scores.round(5) >= threshold).mean() >= float(name)


@pytest.mark.parametrize(("best_by", "rows", "epoch"), [
    ("mean_iou", [(0.5, 0.1, 0.9), (0.4, 0.3, 0.8), (0.5, 0.9, 0.1)], 0),  # the first of two alike
    ("foreground_iou", [(0.5, 0.1, 0.9), (0.4, 0.3, 0.8), (0.5, 0.2, 0.1)], 1),
    ("last", [(0.5, 0.1, 0.1), (0.4, 0.3, 0.8)], 1),
    ("mean_iou", [(None, None, 0.9), (None, None, 0.2), (None, None, 0.3)], 1),  # no animal
    ("mean_iou", [(None, None, float("nan")), (None, None, 0.5)], 1)])
def test_the_best_epoch(best_by, rows, epoch):
    history = [dict(zip(("mean_iou", "foreground_iou", "val_loss"), row, strict=True))
               for row in rows]
    assert best_epoch(history, best_by) == epoch


def test_the_best_epoch_of_a_regression():
    history = [{"rmse": value, "val_loss": 0.0} for value in (None, 3.0, 2.0, 2.0)]
    assert best_epoch(history, "mean_iou") == 2
    assert best_epoch(history, "last") == 3


def test_the_sizes_of_animals_have_scores_of_their_own(report):
    assert {name: row["images"] for name, row in report["by_size"].items()} == {
        "up to 0.5 %": 0, "0.5 to 2 %": 0, "2 to 10 %": 3, "over 10 %": 0}
    row = report["by_size"]["2 to 10 %"]
    assert row["found_share"] == 1 and row["foreground_iou"] == 21 / 40
    assert report["by_size"]["over 10 %"]["found_share"] is None
    assert report["find_animals"]["images"] == 5
    assert report["find_animals"]["with_animals"] == 3



# ---------------------------------------------------------------------------------- regression


def test_scores_are_scikit_learns_over_all_photos_together():
    random = np.random.default_rng(0)
    errors, truths, predictions = RegressionErrors(), [], []
    for shape in ((3, 5), (40, 30), (1, 1), (7, 2)):
        truth = random.normal(250, 3, shape).astype(np.float32)
        predicted = (truth + random.normal(0.5, 2, shape)).astype(np.float32)
        truth[random.random(shape) < 0.3] = np.nan
        part = RegressionErrors()
        part.update(torch.from_numpy(truth), torch.from_numpy(predicted))
        errors += RegressionErrors.of(json.loads(json.dumps(part.sums.tolist())))
        truths.append(truth[~np.isnan(truth)])
        predictions.append(predicted[~np.isnan(truth)])
    truth, predicted = (np.concatenate(parts).astype(np.float64)
                        for parts in (truths, predictions))
    assert errors.mae() == pytest.approx(mean_absolute_error(truth, predicted))
    assert errors.rmse() == pytest.approx(math.sqrt(mean_squared_error(truth, predicted)))
    assert errors.r2() == pytest.approx(r2_score(truth, predicted), abs=1e-9)
    assert errors.bias() == pytest.approx((predicted - truth).mean())


def test_scores_without_truth_are_none_and_constant_truth_has_no_r2():
    errors = RegressionErrors()
    errors.update(np.full((4, 4), np.nan, np.float32), np.zeros((4, 4), np.float32))
    assert errors.scores() == {"mae": None, "rmse": None, "r2": None, "bias": None}
    errors.update(np.full((1000, 1000), 3.7, np.float32), np.zeros((1000, 1000), np.float32))
    assert errors.r2() is None and errors.mae() == pytest.approx(3.7)
    with pytest.raises(ValueError, match="pixels"):
        errors.update(np.zeros((2, 3)), np.zeros((3, 2)))
