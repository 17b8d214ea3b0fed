"""One process at a time: a lock on a folder, or a file, that results are written to."""

import errno
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zlib import crc32

from .. import InputError
from ..utils import RUNS

FAR = 2**30  # a place in a file that is locked, behind all that is written there


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
