"""Small helpers of the scripts: device and precision, seeds, ROOT, the exit on bad input.

torch is imported inside the functions, so that a script's --help does not wait for it.
"""

import atexit
import errno
import os
import platform
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from . import STOP_SIGNALS, InputError

if TYPE_CHECKING:
    import numpy as np
    import torch

ROOT = Path(__file__).resolve().parents[1]  # the repository; scripts run from anywhere
# One folder per run, git-ignored; on a cluster the variable can name a scratch disk instead.
RUNS = Path(os.environ.get("CAMERA_TRAPINATOR_RUNS", ROOT / "cnn_states")).resolve()


STOPPED = 75  # exit code of a run that was stopped and can go on (EX_TEMPFAIL of sysexits.h)

CONNECTION_LOST = ("Connection closed by peer", "Connection reset by peer", "Broken pipe",
                   "remote process exited")  # what torch.distributed says
UNREADABLE = (errno.ENAMETOOLONG, errno.EIO)
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)
ASK_EACH_OTHER = 10  # steps after which processes agree on whether to stop
FAR = 2**30  # a place in a file that is locked, behind all that is written there


class Precision(NamedTuple):
    """How the forward pass computes; chosen once, before the loop."""

    name: str  # fp32, bf16 or fp16
    dtype: "torch.dtype"
    autocast: bool  # whether autocast does anything
    scaler: bool  # whether gradients need scaling (fp16 underflows, bf16 does not)


@contextmanager
def exit_on_bad_input() -> Iterator[None]:
    """Turn an InputError, a disk that takes no more, or a file that it cannot give, into one line
    on stderr and exit code 2; Ctrl-C into exit code 130."""
    try:
        yield
    except InputError as error:
        # A DataLoader worker wraps the message in its traceback; the last line is the message.
        message = str(error).strip().splitlines()[-1].removeprefix("camera_trapinator.InputError: ")
        print(f"error: {message}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if error.errno in UNREADABLE and error.filename:
            print(f"error: {str(error.filename)[:150]}: {error.strerror}", file=sys.stderr)
            sys.exit(2)
        if error.errno not in UNWRITABLE:
            raise
        print(f"error: {error.filename or 'a file'}: cannot be written ({error.strerror}); make "
              "room there, or name another folder. What is done is kept: the same command goes on "
              "(train.py: with --resume)", file=sys.stderr)
        sys.exit(2)
    except RuntimeError as error:
        if not any(sign in str(error) for sign in CONNECTION_LOST):
            raise
        print("error: another of the processes has ended; see its message",
              file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)


@contextmanager
def enough_memory(cure: str) -> Iterator[None]:
    """Turn torch's running out of memory, of a GPU or of the computer, into an InputError that
    tells the cure: which knob to set; likewise readers of photos that die or come to a halt."""
    try:
        yield
    except RuntimeError as error:
        import torch

        message = str(error)
        if message.startswith("DataLoader worker"):
            reason = message.split(") ", 1)[-1].split(". ")[0].rstrip(".")
            raise InputError(f"a process that reads photos {reason}, perhaps for lack of memory; "
                             "try a smaller num_workers or cache_gb") from None
        if message.startswith("DataLoader timed out"):
            seconds = float(message.split()[4])
            raise InputError(f"no photo came for {seconds:g} seconds (read_timeout); does the "
                             "drive that they lie on still answer? What is done is kept: the same "
                             "command goes on (train.py: with --resume)") from None
        if not (isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in message
                or "not enough memory" in message):
            raise
        raise InputError(f"out of memory; {cure}") from None


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Let no other process write to a folder meanwhile: a second one is refused with an InputError.

    The lock goes with the process, however that ends. File systems that know none give none.
    """
    path = RUNS / ".locks" / f"{folder.name}-{crc32(str(folder.resolve()).encode()):08x}"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="utf-8") as file:
        try:
            _lock(file)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
                file.seek(0)
                raise InputError(f"{folder}: {file.read() or 'another process'} is writing there; "
                                 "wait for it, or choose another name") from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()}")
        file.flush()
        yield


def _lock(file) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        file.seek(FAR)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:  # a lock that the processes which read photos do not inherit
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, FAR)


class Stopped(Exception):
    """Somebody wants the run to stop."""


class Stop:
    """Notes, while it is entered, when somebody wants the run to stop: one of the STOP_SIGNALS.
    What runs goes on until it asks; a second Ctrl-C stops it all the same."""

    def __init__(self, minutes: float = 0, processes: "Processes | None" = None):
        self.asked, self.minutes = False, minutes  # between two checkpoints; 0 = none in between
        self.processes = processes or Processes()
        self._saved = time.monotonic()

    def __enter__(self) -> "Stop":
        self._before = {number: signal.signal(number, self._note) for number in STOP_SIGNALS}
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = True

    def due(self, step: int = 0) -> bool:
        """Whether it is time to write a checkpoint: after the same step in all processes, which
        therefore ask each other now and then."""
        if self.processes.size > 1 and step % ASK_EACH_OTHER:
            return False
        over = 0 < 60 * self.minutes <= time.monotonic() - self._saved
        self.asked, over = self.processes.any(self.asked, over)
        return self.asked or over

    def saved(self) -> None:
        """A checkpoint is written: leave if somebody wants that, in all processes or in none."""
        self._saved = time.monotonic()
        if self.agreed():
            self.leave()

    def agreed(self) -> bool:
        """Whether somebody wants the run to stop; the same answer in all processes."""
        [self.asked] = self.processes.any(self.asked)
        return self.asked

    def leave(self) -> None:
        """End this process with the exit code STOPPED."""
        if self.processes.leads:
            print("stopped; the same command with --resume goes on", file=sys.stderr)
        sys.exit(STOPPED)


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
    return processes


def part_processes() -> None:
    """For processes that have joined, when all is done."""
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def restarts() -> int:
    """How often torchrun --max-restarts has started the processes again because one had died."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0))


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
    if name == "cuda" and "LOCAL_RANK" in os.environ:  # torchrun: a GPU for each process
        name = f"cuda:{os.environ['LOCAL_RANK']}"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)  # a device that is named but not there fails here
        if device.index is not None and device.type == "cuda":
            torch.cuda.set_device(device)
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
