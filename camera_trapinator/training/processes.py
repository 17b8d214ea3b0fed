"""The processes that train one network, each on its part of every batch; torchrun starts them."""

import atexit
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from ..data.progress import hide

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Processes:
    """The processes that train one network, each on its part of every batch; one alone as well.
    torchrun starts them and tells each its `rank` among them."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the one that writes and prints."""
        return self.rank == 0

    def sum(self, values: "torch.Tensor") -> "torch.Tensor":
        """A tensor summed over all processes; of any shape, the same in all of them."""
        if self.size == 1:
            return values
        from torch import distributed

        summed = values.to(self._device(), copy=True)
        distributed.all_reduce(summed)
        return summed.to(values.device)

    def mean(self, values: "torch.Tensor") -> "torch.Tensor":
        """The mean of a tensor over all processes, as that of the gradients."""
        return self.sum(values) / self.size if self.size > 1 else values

    def any(self, *wishes: bool) -> list[bool]:
        """For each wish, whether any process has it. Waits for all of them."""
        if self.size == 1:
            return list(wishes)
        import torch

        return (self.sum(torch.tensor(wishes, dtype=torch.int32)) > 0).tolist()

    def gathered(self, items: list) -> list:
        """The items of all processes: plain Python values."""
        if self.size == 1:
            return items
        from torch import distributed

        lists = [None] * self.size
        distributed.all_gather_object(lists, items)
        return [item for part in lists for item in part]

    def as_first(self, tensors: "Iterable[torch.Tensor]") -> None:
        """Give tensors the values that they have in the first process."""
        if self.size > 1:
            from torch import distributed

            for tensor in tensors:
                first = tensor.to(self._device(), copy=True)
                distributed.broadcast(first, src=0)
                tensor.copy_(first)

    def shared(self, net: "torch.nn.Module") -> "torch.nn.Module":
        """What a training step calls so that all processes get the sum of their gradients, divided
        by their number. Made anew when other weights learn."""
        if self.size == 1:
            return net
        from torch.nn.parallel import DistributedDataParallel

        return DistributedDataParallel(net, gradient_as_bucket_view=True)

    def _device(self) -> str:
        """Where the processes can exchange tensors."""
        from torch import distributed

        return "cuda" if distributed.get_backend() == "nccl" else "cpu"

    @contextmanager
    def first_alone(self) -> Iterator[None]:
        """The first process does what is inside, then the others, who find its files; none leaves
        before all have."""
        if not self.leads:
            self.wait()
        yield
        if self.leads:
            self.wait()
        self.wait()

    def wait(self) -> None:
        """Until all processes have come here."""
        self.any(False)  # nothing to sum would be no reason to wait


def join_processes(device: "torch.device") -> Processes:
    """The processes that torchrun has started; or this one alone."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return Processes()
    from torch import distributed

    # Long, because the first process may check millions of photos while the others wait; torchrun
    # ends them all if one fails.
    timeout = timedelta(hours=6)
    store, rank, number = next(distributed.rendezvous("env://", timeout=timeout))
    store.set_timeout(timeout)
    # torchrun has one store for all its starts, where the addresses of the dead still stand.
    store = distributed.PrefixStore(f"start {restarts()}", store)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", store=store,
                                   rank=rank, world_size=number, timeout=timeout)
    if device.type != "cuda":  # gloo's threads must not see Python end; NCCL would wait for others
        atexit.register(part_processes)
    processes = Processes(rank, number)
    if not processes.leads:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 (until the process ends)
        hide()
    return processes


def part_processes() -> None:
    """For processes that have joined, when all is done."""
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def restarts() -> int:
    """How often torchrun --max-restarts has started the processes again because one had died."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0))
