"""One process at a time: a lock on a folder, or a file, that results are written to."""

import errno
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO
from zlib import crc32

from .. import InputError
from ..utils import RUNS

FAR = 2**30  # a place in a file that is locked, behind all that is written there


@contextmanager
def only_one(place: Path) -> Iterator[None]:
    """Let no other process write to a folder, or to a .jsonl file, meanwhile: a second one, of
    another clone or machine, too, is refused with an InputError.

    The lock goes with the process, however that ends. File systems that know none give none.
    """
    path = lock_of(place.resolve())
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path, place) as file:
        try:
            with suppress(OSError):  # who it is, is told where the disk has room for it
                file.truncate(0)
                file.write(f"process {os.getpid()} on {platform.node()}")
                file.flush()
            yield
        finally:
            with suppress(OSError):  # Windows keeps what is open
                path.unlink()


def _locked(path: Path, place: Path) -> TextIO:
    """The file, open and locked."""
    while True:
        file = open(path, "a+", encoding="utf-8")  # noqa: SIM115
        try:
            _lock(file)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
                file.seek(0)
                raise InputError(f"{place}: {file.read() or 'another process'} is writing there; "
                                 "wait for it, or choose another name") from None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()  # who had it has just deleted it


def lock_of(place: Path) -> Path:
    """The file that is locked: it lies where all who may write there find it."""
    if place.is_relative_to(RUNS):  # a run's folder may be deleted and made anew
        inside = place.relative_to(RUNS).as_posix()
        return RUNS / ".locks" / f"{place.name}-{crc32(inside.encode()):08x}"
    return place.with_name(f".{place.name}.lock") if place.suffix == ".jsonl" else place / ".lock"


def _lock(file) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        file.seek(FAR)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:  # a lock that the processes which read photos do not inherit
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, FAR)
