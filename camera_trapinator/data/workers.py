"""How many processes shall read photos: so many as keep up with the network, which a trial tells.

    plan = plan_workers(config.num_workers, config.least_workers, device.type, lambda: (
        time_to_read(dataset, draws), time_to_predict(net, size, precision)))
"""

import math
import os
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import nn

from ..utils import Precision


class Plan(NamedTuple):
    """How many processes read photos, and the seconds from which that was chosen."""

    number: int
    reading: float | None = None  # for a process to read a photo; None = nothing was measured
    computing: float | None = None  # for the network to learn from a photo, or to predict it


def plan_workers(num_workers: str, least: int, device: str,
                 measure: Callable[[], tuple[float, float] | None]) -> Plan:
    """How many processes shall read photos: so many as the knob `num_workers` says; if it is auto,
    as many as keep up with the network, but not less than `least`.

    `device`: cpu, cuda or mps. `measure()`, only called if it is auto, gives the seconds that a
    photo takes to be read, and the network to learn from it or to predict it; None = a trial would
    not pay.
    """
    if num_workers != "auto":
        return Plan(int(num_workers))
    if (seconds := measure()) is None:
        return Plan(least)
    return Plan(max(choose_workers(*seconds, device), least), *seconds)


def choose_workers(reading: float, computing: float, device: str) -> int:
    """How many processes shall read photos, from the seconds that a photo takes to be read, and
    the network to learn from it or to predict it. Beside a GPU as many as keep up with it. Beside
    a network on the same CPU some, if there is much to read; else they would only be in its way."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cores //= int(os.environ.get("LOCAL_WORLD_SIZE", 1))  # torchrun's processes share them
    if device == "cpu" and reading < 0.2 * computing:
        return 0
    # A GPU may be faster than a short trial tells, and photos also have to be handed over to it.
    margin = 1.25 if device == "cpu" else 2
    return min(max(1, cores - 1), math.ceil(margin * reading / computing))


def time_to_read(dataset: Sequence, draws: Sequence) -> float:
    """Seconds that a process needs to read and prepare a photo."""
    dataset[draws[0]]  # the very first photo also waits for libraries
    start = time.perf_counter()
    for draw in draws:
        dataset[draw]
    return (time.perf_counter() - start) / len(draws)


def time_to_predict(net: nn.Module, size: tuple[int, int], precision: Precision) -> float:
    """Seconds that the network needs for a photo of (height, width). Changes nothing in it."""
    device, training = net.mean.device, net.training
    number = 1 if device.type == "cpu" else 4  # photos at once: one is enough for a CPU
    images = torch.zeros(number, net.channels, *size, dtype=torch.uint8, device=device)
    net.eval()
    seconds = []
    with torch.no_grad(), torch.autocast(device.type, precision.dtype, enabled=precision.autocast):
        # The first one also waits for libraries; where the second is slow, it tells enough.
        while len(seconds) < 3 and sum(seconds[1:]) < 1:
            start = time.perf_counter()
            net(images).sum().item()  # waits for a GPU
            seconds.append(time.perf_counter() - start)
    net.train(training)
    return min(seconds) / number
