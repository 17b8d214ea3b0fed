"""What a network costs, level by level, without computing anything; what a training will cost.

    print(describe_levels(net, crop=(480, 640), photo=(480, 640)))
"""

import copy
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ..config import Config
from ..data.progress import duration
from ..data.workers import plan_workers, time_to_predict, time_to_read
from ..outputs.curves import NO_SCORES
from ..utils import Precision

FEW_STEPS = 200  # 20 of them taught 20 photos nothing, 200 of few_masks.yaml most


class Level(NamedTuple):
    """A part of a network."""

    name: str  # as in the code, such as downs.0; "" = the whole network
    shape: tuple[int, ...]  # (C, H, W) of what it gives for one photo; (C,) of a linear layer
    parameters: int
    flops: int  # a multiplication and an addition count as two; convolutions and products only


def count_levels(net: nn.Module, height: int, width: int) -> list[Level]:
    """The cost of one photo uint8 (3, height, width) in each level and, last, in all of it.

    A level is a direct part of the network; of a ModuleList each item is one.
    """
    net = copy.deepcopy(net).to("meta").eval()  # there tensors have a shape, but no content
    levels = {}
    for name, part in net.named_children():
        items = part.named_children() if isinstance(part, nn.ModuleList) else []
        levels.update({f"{name}.{number}": item for number, item in items} or {name: part})
    levels[""] = net
    shapes: dict[str, tuple[int, ...]] = {}

    def keep_shape(name: str):
        def hook(_, inputs, output: Tensor | list[Tensor]) -> None:
            shapes[name] = tuple((output if isinstance(output, Tensor) else output[-1]).shape[1:])
        return hook

    for name, part in levels.items():
        part.register_forward_hook(keep_shape(name))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net(torch.zeros(1, net.channels, height, width, dtype=torch.uint8, device="meta"))
    counts, root = counter.get_flop_counts(), type(net).__name__
    return [Level(name, shapes[name], sum(weight.numel() for weight in part.parameters()),
                  sum(counts.get(f"{root}.{name}".strip("."), {}).values()))
            for name, part in levels.items()]


def describe_levels(net: nn.Module, crop: tuple[int, int], photo: tuple[int, int]) -> str:
    """The levels as a table, for one crop; below, for a whole photo at the working scale (pixels,
    height and width)."""
    rows = [(level.name or "all, crop", " x ".join(map(str, level.shape)), f"{level.parameters:,}",
             f"{level.flops / 1e9:.3f}") for level in count_levels(net, *crop)]
    whole = count_levels(net, *photo)[-1]
    rows.append(("all, photo", " x ".join(map(str, whole.shape)), "", f"{whole.flops / 1e9:.3f}"))
    rows.insert(0, ("level", "output", "parameters", "GFLOPs"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(f"{name:<{widths[0]}}  {shape:<{widths[1]}}  {parameters:>{widths[2]}}  "
                     f"{flops:>{widths[3]}}" for name, shape, parameters, flops in rows)


def training_workers(config: Config, net: nn.Module, dataset: Sequence, draws: Sequence,
                     precision: Precision) -> int:
    """How many processes shall read photos for a training, see `plan_workers`; a line tells why, if
    they were chosen by a trial on these draws from the dataset."""
    plan = plan_workers(config.num_workers, config.least_workers, net.mean.device.type, lambda: (
        # Forward and backward take about three times as long as forward alone.
        time_to_read(dataset, draws), 3 * time_to_predict(net, config.crop_size, precision)))
    if plan.reading is not None:
        print(f"workers     {plan.number}: to read a photo takes {1000 * plan.reading:.1f} ms, to "
              f"learn from it {1000 * plan.computing:.1f} ms")
    return plan.number


def describe_steps(steps: int, epochs: int) -> str:
    """How often the weights change, in an epoch and in all; a warning where that is too rarely to
    learn anything."""
    total = steps * epochs
    line = f"{steps} in each of {epochs} epochs: {total:,}"
    if total < FEW_STEPS:
        needed = -(-FEW_STEPS // epochs)
        line += (f"\nwarning     after {total} steps a network has hardly learned anything, some "
                 f"hundred are the least: set epoch_steps={needed}, or more epochs")
    return line


def describe_costs(row: dict, *, batch: int, dry_steps: int, dry_photos: int, steps: int,
                   photos: int, reading: Sequence[float], epochs: int, num_workers: int,
                   peak: int | None) -> str:
    """What a real training will cost, from a dry one.

    `row`: of the log, for a dry epoch of `dry_steps` batches of `batch` photos and of `dry_photos`
    validated ones, all in memory; `steps`, `photos`: those of a real epoch; `reading`: seconds to
    read a training and a validation photo; `peak`: bytes of memory, None if not known.
    """
    def together(network: float, reading: float) -> float:
        """The network's seconds and those of reading, which workers do meanwhile."""
        return max(network, reading / num_workers) if num_workers else network + reading

    step = batch / row["images_per_second"]
    one = (row["seconds"] - dry_steps * step) / dry_photos
    training = steps * together(step, batch * reading[0])
    validation = photos * together(one, reading[1])
    memory = "not known here" if peak is None else f"{peak / 1e6:,.0f} MB at most"
    return (f"memory      {memory}\n"
            f"speed       {1000 * step:.0f} ms a training step of {batch} photos, {1000 * one:.1f} "
            f"ms a validation photo; reading {1000 * reading[0]:.1f} and {1000 * reading[1]:.1f} "
            f"ms a photo, in {num_workers or 1} process{'es' * (num_workers > 1)}\n"
            f"estimate    an epoch takes about {duration(training + validation)} (training "
            f"{duration(training)}, validation {duration(validation)}), {epochs} epochs "
            f"{duration(epochs * (training + validation))}\n"
            "dry run     all went well; nothing is kept of it")


SCORE_NAMES = {"mean_iou": "mean IoU", "foreground_iou": "foreground IoU", "mae": "MAE",
               "rmse": "RMSE", "r2": "R2"}


def describe_scores(row: dict) -> list[str]:
    """The scores of an epoch for people, whatever else of log.csv the row holds; n/a where nothing
    was there to be scored."""
    return [f"{SCORE_NAMES.get(name, name.replace('_', ' '))} " + (
        "n/a" if score is None else f"{score:.4g}" if name in ("mae", "rmse", "bias")
        else f"{score:.3f}") for name, score in row.items()
        if name not in (*NO_SCORES, "lr", "train_loss", "val_loss")]
