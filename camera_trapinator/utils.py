"""Small helpers of the scripts: device and precision, seeds, ROOT, the exit on bad input.

torch is imported inside the functions, so that a script's --help does not wait for it.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from . import InputError

if TYPE_CHECKING:
    import numpy as np
    import torch

ROOT = Path(__file__).resolve().parents[1]  # the repository; scripts run from anywhere
# One folder per run, git-ignored; on a cluster the variable can name a scratch disk instead.
RUNS = Path(os.environ.get("CAMERA_TRAPINATOR_RUNS", ROOT / "cnn_states")).resolve()


class Precision(NamedTuple):
    """How the forward pass computes; chosen once, before the loop."""

    name: str  # fp32, bf16 or fp16
    dtype: "torch.dtype"
    autocast: bool  # whether autocast does anything
    scaler: bool  # whether gradients need scaling (fp16 underflows, bf16 does not)


@contextmanager
def exit_on_bad_input() -> Iterator[None]:
    """Turn an InputError into one line on stderr and exit code 2; Ctrl-C into exit code 130."""
    try:
        yield
    except InputError as error:
        # A DataLoader worker wraps the message in its traceback; the last line is the message.
        message = str(error).strip().splitlines()[-1].removeprefix("camera_trapinator.InputError: ")
        print(f"error: {message}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)


@contextmanager
def enough_memory(cure: str) -> Iterator[None]:
    """Turn torch's running out of memory, of a GPU or of the computer, into an InputError that
    tells the cure: which knob to set."""
    try:
        yield
    except RuntimeError as error:
        import torch

        message = str(error)
        if not (isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in message
                or "not enough memory" in message):
            raise
        raise InputError(f"out of memory; {cure}") from None


def next_predict_batch_size(config) -> str:
    """What to try when a prediction needs too much memory; `config`: a Config."""
    if config.predict_batch_size > 1 and not config.tile:
        return f"try predict_batch_size: {config.predict_batch_size // 2}"
    return f"try tile: {max(64, config.tile // 2) if config.tile else 512}"


def find_config(path: str) -> Path:
    """The config file as given, or else below the repository's root.

    `configs/x.yaml` so works from the root and from `scripts/`. Raises InputError if neither is.
    """
    found = here_or_below_root(path)
    if not found.is_file():
        raise InputError(f"{path}: no such config file, neither here nor below {ROOT}")
    return found


def here_or_below_root(path: str) -> Path:
    """A file as given, or, where there is none, as seen from the repository's root."""
    given = Path(path).expanduser()
    return given if given.is_file() else ROOT / given


def checks_of(data_root: Path, what: str = "masks") -> Path:
    """The file that remembers which `masks` or `photos` of a data root were checked and sound."""
    number = crc32(str(data_root.resolve()).encode())
    return RUNS / ".checked" / f"{data_root.name}-{number:08x}-{what}.csv"


def cache_path(data_root: Path, what: str) -> Path:
    """The file that keeps decoded photos of a data root; `what` tells which, and how scaled."""
    number = crc32(f"{data_root.resolve()} {what}".encode())
    return RUNS / ".cache" / f"{data_root.name}-{number:08x}.bin"


def choose_device(name: str = "auto") -> "torch.device":
    """The device to compute on: `auto` = the GPU where there is one (CUDA, then Apple's MPS)."""
    import torch

    if name == "auto":
        name = ("cuda" if torch.cuda.is_available()
                else "mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)  # a device that is named but not there fails here
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"device: {name} cannot be used here ({reason}); take auto") from None
    return device


def choose_precision(device: "torch.device", name: str = "auto") -> Precision:
    """fp32, bf16 or fp16; `auto` = bf16 where the hardware computes it, else fp16 on a GPU.

    On a CPU only AVX512-BF16 and AMX compute bf16 faster than fp32.
    """
    import torch

    if name == "auto":
        if device.type == "cuda":
            name = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
        elif device.type == "cpu":
            able = torch.cpu.get_capabilities()
            name = "bf16" if able.get("avx512_bf16") or able.get("amx_bf16") else "fp32"
        else:
            name = "fp32"
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[name]
    return Precision(name, dtype, autocast=name != "fp32", scaler=name == "fp16")


def describe_device(device: "torch.device", precision: Precision) -> str:
    """One line for the log, such as `cuda (NVIDIA H100), bf16`."""
    import torch

    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)}), {precision.name}"
    line = f"{device.type} ({torch.get_num_threads()} threads), {precision.name}"
    if device.type == "cpu" and torch.version.cuda is None:
        line += "; this torch was built without CUDA, see pytorch.org/get-started for a GPU build"
    return line


def seed_everything(seed: int, deterministic: bool = False) -> None:
    """Seed Python, numpy and torch; `deterministic` also takes only repeatable GPU kernels."""
    import random

    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    torch.backends.cudnn.benchmark = not deterministic  # the fastest kernel may differ run to run
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it
        torch.use_deterministic_algorithms(True)


def peak_memory(device: "torch.device") -> int | None:
    """The most memory in bytes that was in use so far: of tensors on a GPU, else of the process.

    None where it is not known, as on Windows without a GPU.
    """
    if device.type == "cuda":
        import torch

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


def to_numpy(tensor: "torch.Tensor") -> "np.ndarray":
    """A tensor as a numpy array, from any device and out of any graph (numpy knows neither)."""
    return tensor.detach().cpu().numpy()
