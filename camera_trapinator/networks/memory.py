"""How much memory a network takes, and what to do where it is not enough."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from .. import InputError


@contextmanager
def enough_memory(cure: str) -> Iterator[None]:
    """Turn torch's running out of memory, of a GPU or of the computer, into an InputError that
    tells the cure: which knob to set; likewise readers of photos that die or come to a halt."""
    try:
        yield
    except RuntimeError as error:
        message = str(error)
        if message.startswith("DataLoader worker"):
            reason = message.split(") ", 1)[-1].split(". ")[0].rstrip(".")
            raise InputError(f"a process that reads photos {reason}, perhaps for lack of memory; "
                             "try a smaller num_workers or cache") from None
        if message.startswith("DataLoader timed out"):
            seconds = float(message.split()[4])
            raise InputError(f"no photo came for {seconds:g} seconds (read_timeout); does the "
                             "drive that they lie on still answer? What is done is kept: the same "
                             "command goes on (train.py: with --resume)") from None
        if not (isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in message
                or "not enough memory" in message):
            raise
        raise InputError(f"out of memory; {cure}") from None


def next_predict_batch_size(knobs) -> str:
    """What to try when a prediction needs too much memory; `knobs`: with predict_batch_size and
    tile."""
    if knobs.predict_batch_size > 1 and not knobs.tile:
        return f"try predict_batch_size: {knobs.predict_batch_size // 2}"
    return f"try tile: {max(64, knobs.tile // 2) if knobs.tile else 512}"


def forget_peak() -> None:
    """Let the `peak_memory` of this process be what it has now; where only the system knows of an
    earlier peak (macOS), that stays."""
    with suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def peak_memory(device: torch.device) -> int | None:
    """The most memory in bytes that was in use so far: of tensors on a GPU, else of the process.

    None where it is not known, as on Windows without a GPU.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if status.exists():  # Linux, where getrusage also counts the process that started this one
        return 1024 * int(status.read_text().split("VmHWM:")[1].split()[0])
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts in bytes, others in KiB
