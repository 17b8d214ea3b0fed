"""Photos and masks at the working scale, kept from epoch to epoch: decoded once.

    cache = open_cache("ram", rows, side=640, limit=8e9)     # for as long as the program runs
    cache = open_cache("disk", rows, side=640, limit=8e9, path="photos.bin")  # for later runs too

All processes of a loader share it. What is in it counts only if it was made of the very files that
are there now, and is whole: nothing ever has to be deleted by hand.
"""

import contextlib
import errno
import json
import mmap
import os
import sys
import weakref
import zlib
from collections.abc import Sequence
from itertools import product
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..utils import RUNS

HEADER = 512  # bytes at the start of a slot: what follows, as JSON


def cache_path(data_root: Path, what: str) -> Path:
    """The file that keeps decoded photos of a data root; `what` tells which, and how scaled."""
    number = zlib.crc32(f"{data_root.resolve()} {what}".encode())
    return RUNS / ".cache" / f"{data_root.name}-{number:08x}.bin"


class Cache:
    """A place of `slot_bytes` bytes for each of the first `slots` of the `rows` of a manifest.

    `rows`: int64, ascending. Places that nothing was put into take no room. Without `path` they are
    in memory, which is given back when the program ends.
    """

    def __init__(self, rows: np.ndarray, slots: int, slot_bytes: int,
                 path: str | Path | None = None):
        self.rows, self.slot_bytes = rows[:slots], slot_bytes
        self.path = None if path is None else Path(path)
        self.memory = self.file = self.map = self.owner = self.kept = None
        size = len(self.rows) * slot_bytes
        if not size:
            return
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.kept = _held(self.path)
            if os.fstat(self.kept.fileno()).st_size < size:  # another run may be using it
                self.kept.truncate(size)
        elif hasattr(os, "memfd_create"):  # a file without a name: it goes with its last process
            number = os.memfd_create("camera_trapinator")
            self.kept = open(number, "r+b", buffering=0)  # noqa: SIM115
            self.kept.truncate(size)
            self.path = Path(f"/proc/{os.getpid()}/fd/{number}")
        else:
            self.memory = SharedMemory(create=True, size=size)
            weakref.finalize(self, _unlink, self.memory, os.getpid())

    def __len__(self) -> int:
        return len(self.rows)

    def get(self, row: int, key: str) -> tuple[list[np.ndarray], list] | None:
        """Copies of what was `put` for this row under this key; None if that is nothing, or not
        whole."""
        if (start := self._start(row)) is None:
            return None
        buffer = self._buffer()
        try:
            header = json.loads(bytes(buffer[start:start + HEADER]).rstrip(b"\0"))
            if header["key"] != key:
                return None
            start += HEADER
            content = np.array(np.frombuffer(buffer, np.uint8, header["bytes"], start))
        except (ValueError, KeyError, TypeError):  # empty, or half written when a process died
            return None
        if zlib.crc32(content) != header["check"]:
            return None
        arrays, end = [], 0
        for dtype, shape in header["arrays"]:
            begin, end = end, end + np.dtype(dtype).itemsize * int(np.prod(shape))
            arrays.append(content[begin:end].view(dtype).reshape(shape))
        return arrays, header["facts"]

    def put(self, row: int, key: str, arrays: Sequence[np.ndarray], facts: list) -> None:
        """Keep arrays and facts (numbers, texts) of a row, if it has a place and they fit there. A
        full disk is no error: then they are not kept."""
        content = b"".join(array.tobytes() for array in arrays)
        header = json.dumps({
            "key": key, "bytes": len(content), "check": zlib.crc32(content), "facts": facts,
            "arrays": [[array.dtype.str, array.shape] for array in arrays]}).encode()
        start = self._start(row)
        if start is None or HEADER + len(content) > self.slot_bytes or len(header) > HEADER:
            return
        # The content first: without its header it does not count.
        parts = (start + HEADER, content), (start, header.ljust(HEADER, b"\0"))
        if self.path is None:
            for begin, part in parts:
                self.memory.buf[begin:begin + len(part)] = part
            return
        self._buffer()
        with contextlib.suppress(OSError):
            for begin, part in parts:
                self.file.seek(begin)
                self.file.write(part)

    def _start(self, row: int) -> int | None:
        """The byte at which the place of a row begins; None if it has none."""
        place = int(np.searchsorted(self.rows, row))
        if place < len(self.rows) and self.rows[place] == row:
            return place * self.slot_bytes
        return None

    def _buffer(self) -> memoryview | mmap.mmap:
        if self.path is None:
            return self.memory.buf
        if self.owner != os.getpid():  # a process of its own needs a position of its own
            self.file, self.owner = open(self.path, "r+b", buffering=0), os.getpid()  # noqa: SIM115
            self.map = mmap.mmap(self.file.fileno(), len(self.rows) * self.slot_bytes,
                                 access=mmap.ACCESS_READ)
        return self.map

    def __getstate__(self) -> dict:
        return {**vars(self), "file": None, "map": None, "owner": None, "kept": None}


def _held(path: Path) -> BinaryIO:
    """The file, open and held: `_make_room` of another run does not delete it meanwhile. The lock
    goes with the program and the processes that it forks."""
    while True:
        file = open(path, "a+b", buffering=0)  # noqa: SIM115
        with contextlib.suppress(ImportError, OSError):  # Windows keeps what is open anyway
            import fcntl

            fcntl.flock(file, fcntl.LOCK_SH)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()  # it was deleted just before it was held


def _is_held(path: Path) -> bool:
    """Whether another program has it `_held`."""
    try:
        import fcntl
    except ImportError:
        return False
    with open(path, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno in (errno.EACCES, errno.EAGAIN)
    return False


def _unlink(memory: SharedMemory, owner: int) -> None:
    if os.getpid() == owner:
        memory.unlink()


def open_cache(where: str, rows: np.ndarray, side: int, limit: float, target_bytes: int = 1,
               path: Path | None = None) -> Cache | None:
    """A cache in `ram`, or on `disk` in the file `path`; None for `none`, and for photos of any
    size (`side` 0).

    `rows`: those of the manifest that are read, int64, ascending. `side`: the photos' long side in
    pixels. `limit`: bytes that it may take; if these are too few, the first rows are kept. On disk
    older caches in the folder of `path` are deleted to stay below it. `target_bytes`: size of a
    pixel of the mask.
    """
    if where == "none" or not side:
        return None
    slot_bytes = HEADER + side * side * (3 + target_bytes)
    if where == "ram":
        limit = min(limit, free_memory())
        path = None
    slots = min(len(rows), int(limit // slot_bytes))
    if path is not None:
        _make_room(path, limit - slots * slot_bytes)
    return Cache(rows, slots, slot_bytes, path)


def free_memory() -> int:
    """Bytes that a cache in memory can take without harm to other processes."""
    if sys.platform == "linux":
        status = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        available = 1024 * int(status["MemAvailable"].split()[0])
        return min(available, *left_in_groups()) // 2
    return sys.maxsize  # not known: the limit that the user sets counts


def left_in_groups(root: Path = Path("/sys/fs/cgroup"),
                   own: Path = Path("/proc/self/cgroup")) -> list[int]:
    """Bytes that are left of the memory of each control group, such as a container or a cluster's
    job, that this process is in. Source: docs.kernel.org/admin-guide/cgroup-v2.html, memory."""
    left = [sys.maxsize]
    kinds = (("memory.max", "memory.current", "inactive_file"),  # version 2 and version 1
             ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"))
    with contextlib.suppress(OSError):
        for line in own.read_text().splitlines():
            _, controllers, inside = line.split(":", 2)
            folder = root / ("memory" if "memory" in controllers else "")
            groups = [folder / inside.strip("/")]
            groups += [parent for parent in groups[0].parents if parent.is_relative_to(folder)]
            for group, (most, used, cached) in product(groups, kinds):
                with contextlib.suppress(OSError, ValueError, KeyError):  # "max" is no limit
                    limit = int((group / most).read_text())
                    status = dict(line.split() for line in
                                  (group / "memory.stat").read_text().splitlines())
                    taken = int((group / used).read_text()) - int(status[cached])
                    left.append(max(0, limit - taken))
    return left


def _make_room(keep: Path, limit: float) -> None:
    """Delete the caches beside `keep` that were not used for longest, until they take no more than
    `limit` bytes together."""
    found = []
    for path in keep.parent.glob("*.bin"):
        with contextlib.suppress(OSError):
            status = path.stat()
            taken = getattr(status, "st_blocks", -(-status.st_size // 512)) * 512
            found.append((status.st_mtime, taken, path))
    found = sorted(entry for entry in found if entry[2] != keep)
    total = sum(taken for _, taken, _ in found)
    for _, taken, path in found:
        if total > limit:
            with contextlib.suppress(OSError):  # Windows keeps what another run has open
                if not _is_held(path):
                    path.unlink()
                    total -= taken
