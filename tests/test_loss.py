"""The criteria: against torch's own and loops, and summed alike however a batch is cut up."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from camera_trapinator import IGNORE
from camera_trapinator.loss import (
    CrossEntropy,
    CrossEntropyDice,
    Dice,
    Distillation,
    Focal,
    LeastSquares,
    build_criterion,
)

WEIGHTS = [0.2, 1.0, 3.5, 0.7]
CRITERIA = {
    "cross_entropy": lambda: CrossEntropy(),
    "weighted cross_entropy": lambda: CrossEntropy(WEIGHTS),
    "focal": lambda: Focal(),
    "weighted focal": lambda: Focal(WEIGHTS),
    "dice": lambda: Dice(),
    "cross_entropy_dice": lambda: CrossEntropyDice(WEIGHTS),
    "least_squares": lambda: LeastSquares(),
}
every_criterion = pytest.mark.parametrize("name", CRITERIA)


def make_batch(name, photos=5, height=6, width=7, seed=0):
    """Outputs of a network and targets, a share of the pixels ignored, unevenly over the photos."""
    generator = torch.Generator().manual_seed(seed)
    # About 0, 20, 40 ... per cent of each photo's pixels.
    ignored = (torch.rand(photos, height, width, generator=generator)
               < torch.arange(photos).view(-1, 1, 1) * 0.2)
    if name == "least_squares":
        values = torch.randn(photos, 1, height, width, generator=generator)
        targets = torch.randn(photos, height, width, generator=generator)
        return values, targets.masked_fill(ignored, math.nan), ignored
    logits = 3 * torch.randn(photos, len(WEIGHTS), height, width, generator=generator)
    masks = torch.randint(0, len(WEIGHTS), (photos, height, width), generator=generator)
    return logits, masks.byte().masked_fill(ignored, IGNORE), ignored


def loss_of(criterion, *batch):
    total, weight = criterion(*batch)
    return (total / weight).sum()


def dice_by_loops(logits, masks):
    """1 - Dice for each photo and class in it, one pixel at a time: their sum and number."""
    total, number = 0.0, 0
    for photo, mask in zip(logits.double().softmax(dim=1).numpy(), masks.numpy(), strict=True):
        for index in range(photo.shape[0]):
            overlap, sizes, there = 0.0, 0.0, False
            for y in range(mask.shape[0]):
                for x in range(mask.shape[1]):
                    if mask[y, x] != IGNORE:
                        truth = mask[y, x] == index
                        there |= bool(truth)
                        overlap += photo[index, y, x] * truth
                        sizes += photo[index, y, x] + truth
            if there:
                total, number = total + 1 - 2 * overlap / sizes, number + 1
    return total, number


# --------------------------------------------------------------------------- the right number


@pytest.mark.parametrize("weights", [None, WEIGHTS, [0.0, 1.0, 1.0, 1.0]])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
def test_cross_entropy_is_torchs_own_mean(weights, dtype):
    logits, masks, _ = make_batch("cross_entropy")
    tensor = None if weights is None else torch.tensor(weights)
    expected = F.cross_entropy(logits, masks.long(), tensor, ignore_index=IGNORE)
    torch.testing.assert_close(loss_of(CrossEntropy(weights), logits, masks.to(dtype)), expected)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_focal_is_that_of_loops_over_the_pixels(weights):
    logits, masks, _ = make_batch("focal", photos=3)
    total = number = 0.0
    for photo, mask in zip(logits.double().softmax(dim=1).numpy(), masks.numpy(), strict=True):
        for y, x in np.argwhere(mask != IGNORE):
            sure = photo[mask[y, x], y, x]
            weight = 1.0 if weights is None else weights[mask[y, x]]
            total -= weight * (1 - sure) ** 2 * math.log(sure)
            number += weight
    loss = loss_of(Focal(weights), logits, masks)
    assert loss.item() == pytest.approx(total / number, rel=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_distillation_is_torchs_divergence_and_nothing_for_a_perfect_student(temperature):
    logits, masks, ignored = make_batch("distillation")
    teacher = make_batch("distillation", seed=1)[0]
    # Scaled by the square of the temperature, so that gradients stay as large (Hinton et al.).
    expected = temperature**2 * F.kl_div(
        (logits / temperature).log_softmax(dim=1), (teacher / temperature).softmax(dim=1),
        reduction="none").sum(dim=1)[~ignored].mean()
    criterion = Distillation(temperature)
    torch.testing.assert_close(loss_of(criterion, logits, teacher, masks), expected)
    assert loss_of(criterion, teacher, teacher, masks).item() < 1e-6


def test_dice_is_that_of_loops_over_the_pixels():
    logits, masks, _ = make_batch("dice", photos=4)
    masks[1][masks[1] == 1] = 0  # a photo without the class 1
    masks[2][masks[2] != IGNORE] = 3  # and one with nothing but the class 3
    total, weight = Dice()(logits, masks)
    expected, number = dice_by_loops(logits, masks)
    assert weight.item() == number == sum(len(mask[mask != IGNORE].unique()) for mask in masks)
    assert total.item() == pytest.approx(expected, rel=1e-5)


def test_cross_entropy_dice_are_the_two_side_by_side():
    logits, masks, _ = make_batch("cross_entropy_dice")
    total, weight = CrossEntropyDice(WEIGHTS)(logits, masks)
    assert total.shape == weight.shape == (2,)
    for place, criterion in enumerate([CrossEntropy(WEIGHTS), Dice()]):
        single_total, single_weight = criterion(logits, masks)
        assert torch.equal(total[place], single_total[0])
        assert torch.equal(weight[place], single_weight[0])


def test_least_squares_is_the_mean_squared_error_of_the_known_pixels():
    values, targets, _ = make_batch("least_squares")
    errors = (values[:, 0].numpy().astype(float) - targets.numpy()) ** 2
    loss = loss_of(LeastSquares(), values, targets)
    assert loss.item() == pytest.approx(np.nanmean(errors), rel=1e-5)


@every_criterion
def test_a_perfect_prediction_costs_next_to_nothing_and_a_wrong_one_much(name):
    logits, targets, _ = make_batch(name)
    if name == "least_squares":
        perfect, wrong = targets.nan_to_num()[:, None], targets.nan_to_num()[:, None] + 1
    else:
        masks = targets.long().masked_fill(targets == IGNORE, 0)
        perfect = 50 * F.one_hot(masks, len(WEIGHTS)).permute(0, 3, 1, 2).float()
        wrong = perfect.roll(1, dims=1)
    criterion = CRITERIA[name]()
    assert loss_of(criterion, perfect, targets).item() < 1e-6
    assert loss_of(criterion, wrong, targets).item() > 0.99


def test_focal_cares_less_for_what_is_nearly_right():
    hard, masks, _ = make_batch("focal")
    logits = hard + 8 * F.one_hot(masks.long().masked_fill(masks == IGNORE, 0),
                                    len(WEIGHTS)).permute(0, 3, 1, 2)
    losses = [[loss_of(criterion, values, masks).item() for values in (logits, hard)]
              for criterion in (CrossEntropy(), Focal())]
    assert losses[1][0] / losses[1][1] < 0.7 * losses[0][0] / losses[0][1]


@pytest.mark.parametrize("name", [name for name in CRITERIA if name != "least_squares"])
def test_the_gradient_is_the_slope_of_the_loss(name):
    """Finite differences, in double precision, of the formulas written afresh."""
    logits, masks, _ = make_batch(name, photos=2, height=2, width=3)
    masks[0, 0] = torch.tensor([0, 2, IGNORE])  # both photos hold some ignored pixels
    weights = torch.ones(4) if name in ("cross_entropy", "focal") else torch.tensor(WEIGHTS)

    def oracle(values):
        loss = 0.0
        if "dice" in name:
            total, number = dice_by_loops(values, masks)
            loss += total / number
        if "entropy" in name:
            loss += F.cross_entropy(values, masks.long(), weights.double(),
                                    ignore_index=IGNORE).item()
        if "focal" in name:
            weights_of_pixels = weights.double()[masks.long().where(masks != IGNORE, 0)]
            entropy = F.cross_entropy(values, masks.long(), ignore_index=IGNORE, reduction="none")
            focal = weights_of_pixels * (1 - (-entropy).exp()) ** 2 * entropy
            loss += (focal.sum() / weights_of_pixels[masks != IGNORE].sum()).item()
        return loss

    leaf = logits.clone().requires_grad_()
    loss_of(CRITERIA[name](), leaf, masks).backward()
    slopes = torch.zeros_like(logits)
    for place in range(logits.numel()):
        step = torch.zeros(logits.numel(), dtype=torch.double)
        step[place] = 1e-5
        step = step.view_as(logits)
        slopes.view(-1)[place] = (oracle(logits.double() + step)
                                  - oracle(logits.double() - step)) / 2e-5
    torch.testing.assert_close(leaf.grad, slopes, atol=1e-6, rtol=1e-4)


# ------------------------------------------------------------------------------ cut up batches


@every_criterion
@pytest.mark.parametrize("cut", [1, 2, 4])
def test_the_parts_of_a_batch_add_up_to_the_whole(name, cut):
    """What many processes rely on: the ignored pixels are uneven, so a mean of means is not it."""
    outputs, targets, _ = make_batch(name)
    criterion = CRITERIA[name]()
    total, weight = criterion(outputs, targets)
    first, second = criterion(outputs[:cut], targets[:cut]), criterion(outputs[cut:], targets[cut:])
    torch.testing.assert_close(first[0] + second[0], total)
    torch.testing.assert_close(first[1] + second[1], weight)
    means = (first[0] / first[1] + second[0] / second[1]).sum() / 2
    assert abs(means.item() / (total / weight).sum().item() - 1) > 1e-4  # the test can tell


@every_criterion
def test_gradients_of_the_parts_add_up_too(name):
    outputs, targets, _ = make_batch(name)
    criterion = CRITERIA[name]()
    weight = criterion(outputs, targets)[1]
    whole, parts = outputs.clone().requires_grad_(), outputs.clone().requires_grad_()
    loss_of(criterion, whole, targets).backward()
    for part in (slice(0, 1), slice(1, 5)):
        (criterion(parts[part], targets[part])[0] / weight).sum().backward()
    torch.testing.assert_close(parts.grad, whole.grad)


# -------------------------------------------------------------------------------- ignored pixels


@every_criterion
def test_ignored_pixels_have_no_say(name):
    outputs, targets, ignored = make_batch(name)
    assert 0.2 < ignored.float().mean() < 0.6
    criterion = CRITERIA[name]()
    other = outputs.masked_fill(ignored.unsqueeze(1), 77.0).requires_grad_()
    for got, expected in zip(criterion(other, targets), criterion(outputs, targets), strict=True):
        assert torch.equal(got, expected)
    loss_of(criterion, other, targets).backward()
    gradients = other.grad.abs().sum(dim=1)
    assert not gradients[ignored].any()
    assert gradients[~ignored].all()


@every_criterion
def test_a_batch_without_labels_costs_nothing(name):
    outputs, targets, _ = make_batch(name)
    targets = targets.new_full(targets.shape, math.nan if name == "least_squares" else IGNORE)
    outputs.requires_grad_()
    loss = loss_of(CRITERIA[name](), outputs, targets)
    loss.backward()
    assert loss.item() == 0
    assert not outputs.grad.any()  # NaN counts as any


@every_criterion
def test_a_photo_without_labels_changes_nothing(name):
    outputs, targets, _ = make_batch(name)
    criterion = CRITERIA[name]()
    expected = loss_of(criterion, outputs[:4], targets[:4])
    targets[4] = math.nan if name == "least_squares" else IGNORE
    torch.testing.assert_close(loss_of(criterion, outputs, targets), expected)


# ------------------------------------------------------------------------------------ precision


@every_criterion
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_outputs_are_computed_with_in_float32(name, dtype):
    outputs, targets, _ = make_batch(name)
    outputs = outputs.to(dtype)
    criterion = CRITERIA[name]()
    for got, expected in zip(criterion(outputs, targets), criterion(outputs.float(), targets),
                             strict=True):
        assert got.dtype == torch.float32
        assert torch.equal(got, expected)


@every_criterion
def test_sums_beyond_the_range_of_fp16_are_finite(name):
    """A photo has more than 65504 pixels, the largest number of fp16."""
    outputs, targets, _ = make_batch(name, photos=2, height=300, width=400)
    outputs = (20 * outputs).half().requires_grad_()
    total, weight = CRITERIA[name]()(outputs, targets)
    (1024 * (total / weight).sum()).backward()
    assert total.isfinite().all() and weight.isfinite().all() and outputs.grad.isfinite().all()
    if "entropy" in name or name == "least_squares":
        assert total[0] > 65504


def test_the_sum_over_many_pixels_is_exact_to_six_figures():
    logits, masks, _ = make_batch("cross_entropy", photos=4, height=480, width=640)
    total, weight = CrossEntropy(WEIGHTS)(logits, masks)
    exact = F.cross_entropy(logits.double(), masks.long(), torch.tensor(WEIGHTS).double(),
                            ignore_index=IGNORE, reduction="sum")
    assert total.item() == pytest.approx(exact.item(), rel=2e-6)
    counts = torch.bincount(masks.flatten().int(), minlength=4)[:4].double()
    assert weight.item() == pytest.approx((counts @ torch.tensor(WEIGHTS).double()).item(),
                                          rel=2e-6)


# -------------------------------------------------------------------------------------- by name


@pytest.mark.parametrize(("name", "kind"), [
    ("cross_entropy", CrossEntropy), ("dice", Dice), ("cross_entropy_dice", CrossEntropyDice),
    ("least_squares", LeastSquares)])
def test_criteria_are_built_by_name(name, kind):
    assert type(build_criterion(name, WEIGHTS)) is kind
    with pytest.raises(KeyError):
        build_criterion(name + "s")


@pytest.mark.parametrize("name", ["cross_entropy", "cross_entropy_dice"])
def test_class_weights_reach_the_criterion(name):
    logits, masks, _ = make_batch(name)
    for weights in (WEIGHTS, None):
        got = build_criterion(name, weights)(logits, masks)
        expected = CrossEntropy(weights)(logits, masks)
        assert torch.equal(got[0][:1], expected[0]) and torch.equal(got[1][:1], expected[1])


@pytest.mark.parametrize("name", ["least_squares", "huber"])
def test_losses_count_in_spreads_and_ignore_nan(name):
    values, targets = 10 * torch.randn(2, 1, 5, 6), 10 * torch.randn(2, 5, 6)
    targets[0, :3] = math.nan
    total, weight = build_criterion(name, spread=4.0)(values, targets)
    known = ~targets.isnan()
    pair = values[:, 0][known] / 4, targets[known] / 4
    oracle = (F.mse_loss(*pair) if name == "least_squares" else 2 * F.huber_loss(*pair, delta=1.0))
    assert float(total / weight) == pytest.approx(float(oracle), rel=1e-5)
    assert int(weight) == int(known.sum())
