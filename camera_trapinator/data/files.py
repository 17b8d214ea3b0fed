"""Files that are written whole or not at all, under names that file systems take."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zlib import crc32

LONGEST_NAME = 255  # bytes, on all common file systems


def fitting_name(name: str, ending: str) -> str:
    """`name` and `ending`; what is longer than a file's name may be is cut short, with a checksum
    in place of the rest."""
    if len(os.fsencode(name + ending)) <= LONGEST_NAME:
        return name + ending
    check = f"~{crc32(os.fsencode(name)):08x}"
    start = os.fsencode(name)[:LONGEST_NAME - len(check) - len(os.fsencode(ending))]
    return f"{start.decode(errors='ignore')}{check}{ending}"


def sha256(path: Path) -> str:
    """The checksum of a file, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def written_whole(path: str | Path, by_many: bool = False) -> Iterator[Path]:
    """A temporary path beside `path`, moved there when the block ends without an error.

    So nobody ever takes half a file for a whole one. Missing folders are made. `by_many`: several
    processes may write the file at once; the last one wins. Raises OSError, with the path.
    """
    path = Path(path)
    temporary = path.with_name(
        fitting_name(path.name, f".{os.getpid()}.tmp" if by_many else ".tmp"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)  # left by a kill, or a link to somewhere else
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        error.filename = error.filename or str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)
