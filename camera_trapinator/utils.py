"""Small helpers of the scripts: configs, device, precision, seeds, ROOT, exit on bad input.

torch is imported inside the functions, so that a script's --help does not wait for it.
"""

import difflib
import errno
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

if sys.version_info < (3, 11):  # noqa: UP036 (scripts import this first, with any Python)
    print("error: Python 3.11 or newer is needed, and this is {}.{}; activate the environment, or "
          "make one with a newer Python (README, Install)".format(*sys.version_info),
          file=sys.stderr)
    sys.exit(2)

if TYPE_CHECKING:
    import numpy as np
    import torch

ROOT = Path(__file__).resolve().parents[1]  # the repository; scripts run from anywhere
CONFIGS = ROOT / "configs"
NO_CONFIG = {".csv": "a table", ".pt": "a checkpoint", ".jpg": "a photo", ".jpeg": "a photo",
             ".png": "a picture"}
# One folder per run, git-ignored; on a cluster the variable can name a scratch disk instead.
RUNS = Path(os.environ.get("CAMERA_TRAPINATOR_RUNS", ROOT / "cnn_states")).resolve()
IGNORE = 255  # mask value of pixels that count in no loss and no metric
# By these a process is told to stop: Ctrl-C, and the last two, with which clusters announce that
# they take the machine away. Windows has no SIGUSR1.
STOP_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1")
                if hasattr(signal, name)]
CONNECTION_LOST = ("Connection closed by peer", "Connection reset by peer", "Broken pipe",
                   "remote process exited")  # what torch.distributed says
UNREADABLE = (errno.ENAMETOOLONG, errno.EIO)
OF_ANOTHER_KIND = (errno.EISDIR, errno.ENOTDIR, errno.EEXIST)
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)


class InputError(ValueError):
    """Something the user gave is wrong. Its message is one line: file, row or key, value, cure.

    The scripts print that line and exit with code 2 (see `utils.exit_on_bad_input`); every other
    exception is a bug of ours and keeps its traceback.
    """


class Precision(NamedTuple):
    """How the forward pass computes; chosen once, before the loop."""

    name: str  # fp32, bf16 or fp16
    dtype: "torch.dtype"
    autocast: bool  # whether autocast does anything
    scaler: bool  # whether gradients need scaling (fp16 underflows, bf16 does not)


def fail(message: str) -> NoReturn:
    """End the script with one line on stderr and exit code 2."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


def spread(length: int, number: int) -> list[int]:
    """So many places, evenly spread over a `length`; all of them if there are no more."""
    number = min(length, number)
    return [place * length // number for place in range(number)]


@contextmanager
def exit_on_bad_input(stopped: str = "stopped") -> Iterator[None]:
    """Turn an InputError, a disk that takes no more, or a file that it cannot give, into one line
    on stderr and exit code 2; Ctrl-C into the line `stopped` and exit code 130."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # file names need not be Unicode
            stream.reconfigure(errors="backslashreplace")
    try:
        yield
    except InputError as error:
        # A DataLoader worker wraps the message in its traceback; the last line is the message.
        kind = f"{InputError.__module__}.{InputError.__name__}: "
        fail(str(error).strip().splitlines()[-1].removeprefix(kind))
    except OSError as error:
        name = str(error.filename or "a file")[:150]
        if error.errno in UNREADABLE and error.filename:
            fail(f"{name}: {error.strerror}")
        if error.errno in OF_ANOTHER_KIND and error.filename:
            fail(f"{name}: {error.strerror}; a file is named where a folder is wanted, or a folder "
                 "in place of a file")
        if error.errno not in UNWRITABLE:
            raise
        fail(f"{name}: cannot be written ({error.strerror}); make room there, or name another "
             "folder. What is done is kept: the same command goes on (train.py: with --resume)")
    except RuntimeError as error:
        if not any(sign in str(error) for sign in CONNECTION_LOST):
            raise
        fail("another of the processes has ended; see its message")
    except KeyboardInterrupt:
        print(stopped, file=sys.stderr)
        sys.exit(130)


def find_config(path: str) -> Path:
    """The config file as given, or else below the repository's root.

    `configs/x.yaml` so works from the root and from `scripts/`. Raises InputError if neither is.
    """
    found = here_or_below_root(path)
    if kind := NO_CONFIG.get(Path(path).suffix.lower()):
        raise InputError(f"{path}: {kind}, no config; give one of {_listed(CONFIGS)}")
    if not found.is_file():
        folder = next((folder for folder in (Path(os.path.expanduser(path)), found)
                       if folder.is_dir()), None)
        if folder:
            raise InputError(f"{path}: a folder, not a config file; give one of {_listed(folder)}")
        near = difflib.get_close_matches(Path(path).stem, [
            config.stem for config in CONFIGS.glob("*.yaml")], n=1)
        raise InputError(f"{path}: no such config file, neither here nor below {ROOT}; "
                         + (f"did you mean configs/{near[0]}.yaml?" if near
                            else f"there are {_listed(CONFIGS)}"))
    return found


def _listed(folder: Path) -> str:
    names = [str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)
             for path in sorted(folder.glob("*.y*ml"))]
    return ", ".join(names[:10]) or "those that end in .yaml (here is none)"


def here_or_below_root(path: str) -> Path:
    """A file as given, or, where there is none, as seen from the repository's root."""
    given = Path(os.path.expanduser(path))  # pathlib: no user, no answer
    return given if given.is_file() else ROOT / given


def choose_device(name: str = "auto") -> "torch.device":
    """The device to compute on: `auto` = the GPU where there is one (CUDA, then Apple's MPS)."""
    import torch

    if name == "auto":
        name = ("cuda" if torch.cuda.is_available()
                else "mps" if torch.backends.mps.is_available() else "cpu")
    if name == "cuda" and "LOCAL_RANK" in os.environ:  # torchrun: a GPU for each process
        name = f"cuda:{os.environ['LOCAL_RANK']}"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)  # a device that is named but not there fails here
        if device.index is not None and device.type == "cuda":
            torch.cuda.set_device(device)
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"device: {name} cannot be used here ({reason}); take auto, cuda or "
                         "cpu") from None
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


def to_numpy(tensor: "torch.Tensor") -> "np.ndarray":
    """A tensor as a numpy array, from any device and out of any graph (numpy knows neither)."""
    return tensor.detach().cpu().numpy()
