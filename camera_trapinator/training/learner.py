"""What learns, and what keeps its steps exact: parts of a batch, processes, a teacher, a running
mean of the weights; a step whose loss is no number changes nothing."""

import copy
import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ..config import Config
from ..loss import Averaged, Criterion, Distilled
from ..model import SegmentationModel
from ..utils import Precision
from .processes import Processes

ALL = 99  # levels of an encoder


class Step(NamedTuple):
    """What came of a training step, both () on the device."""

    loss: Tensor  # of the whole batch, over all processes, float32
    bad: Tensor  # bool: it is no finite number, or its gradient is not, and the step was left out


class Learner:
    """A network in training.

    `net` is the network itself, which is saved and loaded; `model` is what a training step calls:
    the same, compiled, wrapped for several processes, with a teacher beside it; made by
    `begin_epoch`. `averaged` is what is validated and saved to predict with: a running mean of the
    weights (knob `ema`), or `net` itself.
    """

    def __init__(self, net: SegmentationModel, config: Config, precision: Precision,
                 processes: Processes | None = None, teacher: nn.Module | None = None):
        self.config, self.precision, self.teacher = config, precision, teacher
        self.processes = processes or Processes()
        if config.sync_norm and self.processes.size > 1:
            net = nn.SyncBatchNorm.convert_sync_batchnorm(net)
        net.recompute = config.recompute
        self.net, self.device = net, net.mean.device
        self.averaged = copy.deepcopy(net).requires_grad_(False) if config.ema else net
        self._alone = compiled(net, config, precision) if config.compile else net
        self.model = self._shared = None

    # What a training step asks for, in this order ---------------------------------------------

    def begin_epoch(self, epoch: int) -> None:
        """Let learn what shall learn in this epoch, counted from 0 (see freeze_encoder)."""
        self._alone.train()
        frozen = epoch < self.config.freeze_encoder
        self.net.hold_encoder(ALL if frozen else self.config.freeze_levels)
        if self.model is None or epoch == self.config.freeze_encoder:
            self.model = self._shared = self.processes.shared(self._alone)
            if self.teacher:
                self.model = Taught(self._shared, self.teacher)

    def weight(self, criterion: Criterion, masks: Tensor) -> Tensor:
        """By what the sums of the loss of this batch are divided: (k,). The batch may be worked off
        in parts, or by several processes: each has its share of the total, and this weight, the
        mean over the processes because they will take the mean of their gradients."""
        return self.processes.mean(criterion.weigh(masks))

    def parts(self, images: Tensor, masks: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """The batch, (N, 3, H, W) and (N, H, W), in parts of micro_batch_size photos: fewer at once
        need less memory, and the gradients of all parts add up."""
        self._statistics = [values.clone() for values in self.net.buffers()]
        at_once = self.config.micro_batch_size or len(images)
        parts = list(zip(images.split(at_once), masks.split(at_once), strict=True))
        for number, part in enumerate(parts, start=1):
            if self.processes.size > 1:  # gradients are exchanged once, with the last part
                self._shared.require_backward_grad_sync = number == len(parts)
            yield part

    def autocast(self) -> torch.autocast:
        """Meanwhile the network computes in the precision of the run."""
        return torch.autocast(self.device.type, self.precision.dtype,
                              enabled=self.precision.autocast)

    def step(self, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler, loss: Tensor,
             steps: int) -> Step:
        """Change the weights by their gradients, unless these, or the `loss` () of this process,
        are no finite numbers: such a step would spoil all weights. `steps`: how many came before.

        torch's fused optimizers leave a step out on the device, the others are asked on the host:
        a GPU then waits in every step until the loss is known.
        """
        loss = self.processes.mean(loss)
        scaler.unscale_(optimizer)
        norm = nn.utils.clip_grad_norm_(self.net.parameters(),
                                        self.config.gradient_clip or math.inf)
        # A scaler leaves out steps whose gradients are no numbers, and lowers its factor by it.
        bad = ~(loss if scaler.is_enabled() else loss + norm).isfinite()
        if scaler.is_enabled():
            scaler.step(optimizer)
        elif leaves_out(optimizer):
            optimizer.found_inf = bad.float()
            optimizer.step()
        elif not bool(bad):
            optimizer.step()
        scaler.update()
        for values, before in zip(self.net.buffers(), self._statistics, strict=True):
            values.copy_(before.where(bad, values))
        if self.config.ema:
            follow(self.averaged, self.net, min(self.config.ema, (steps + 1) / (steps + 10)))
        return Step(loss, bad)


class Taught(nn.Module):
    """A student and its teacher: what both say of the same photos, for `loss.Distilled`."""

    def __init__(self, student: nn.Module, teacher: nn.Module):
        super().__init__()
        self.student, self.teacher = student, teacher

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 (N, 3, H, W) -> logits of both, (N, C, H, W). No gradient goes to the teacher."""
        return self.student(images), self.teacher(images).detach()


def summed(criterion: nn.Module, teacher: nn.Module | None, teacher_share: float) -> Criterion:
    """The criterion as the loop wants it: sums that add up, and what a teacher says beside it."""
    if not isinstance(criterion, Criterion):
        print(f"criterion   {type(criterion).__name__} gives a mean, no sums: photos count alike "
              "in processes, micro batches and validation, however many of their pixels are "
              "ignored")
        criterion = Averaged(criterion)
    return Distilled(criterion, teacher_share) if teacher else criterion


def leaves_out(optimizer: torch.optim.Optimizer) -> bool:
    """Whether an optimizer can be told on the device to leave a step out (fused ones can)."""
    return getattr(optimizer, "_step_supports_amp_scaling", False)


@torch.no_grad()
def follow(averaged: nn.Module, net: nn.Module, share: float) -> None:
    """Move a running mean of weights towards the weights: it keeps `share` of itself."""
    pairs = list(zip(averaged.state_dict().values(), net.state_dict().values(), strict=True))
    floats = [pair for pair in pairs if pair[0].is_floating_point()]
    get_ema_multi_avg_fn(share)(*map(list, zip(*floats, strict=True)), None)
    for mean, weight in pairs:
        if not mean.is_floating_point():
            mean.copy_(weight)  # the number of batches that a normalisation has seen


def compiled(net: nn.Module, config: Config, precision: Precision) -> nn.Module:
    """The network as torch.compile makes it faster; or, with a message, as it is where that does
    not work: a copy of it is trained on a grey batch first."""
    trial = copy.deepcopy(net).train()
    images = torch.zeros(config.micro_batch_size or config.batch_size, net.channels,
                         *config.crop_size, dtype=torch.uint8, device=net.mean.device)
    print("compile     takes a minute or more at the first step")
    try:
        with torch.autocast(images.device.type, precision.dtype, enabled=precision.autocast):
            pred = torch.compile(trial)(images)
        pred.float().sum().backward()
    except Exception as error:  # of any kind: compilers, drivers and Python versions differ
        reason = str(error).strip().split("\n")[0][:100] or type(error).__name__
        print(f"compile     does not work here ({reason}): goes on without")
        return net
    return torch.compile(net)


def next_batch_size(config: Config) -> str:
    """What to try when a training step needs too much memory."""
    photos = min(config.micro_batch_size or config.batch_size, config.batch_size)
    if photos > 1:
        return (f"try micro_batch_size: {photos // 2}: a step still learns from as many photos, "
                "but the network, and its batch normalisation, sees fewer at once")
    if not config.recompute:
        return "try recompute: true"
    return "try a smaller crop_size, or a narrower network (width)"
