"""Files that are written whole or not at all, under names that file systems take."""

from __future__ import annotations  # an old Python comes as far as utils.py, which says so

import hashlib
import os
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
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


def spelled_otherwise(path: Path) -> Path | None:
    """The file that is there in place of one that is not, and whose path differs from its own only
    in upper and lower case, or in how letters with marks are stored: `ä` as one letter (NFC), or,
    as macOS does, as an a and its dots (NFD). None if there is none, or there are two."""
    missing = [path]
    while not (folder := missing[-1].parent).is_dir():
        if folder == missing[-1]:
            return None
        missing.append(folder)
    for name in (part.name for part in reversed(missing)):
        if not (folder / name).exists():
            try:
                alike = _names_in(folder, folder.stat().st_mtime_ns).get(spelled(name), [])
            except OSError:
                return None
            if len(alike) != 1:
                return None
            name = alike[0]
        folder /= name
    return folder if folder.exists() else None


@lru_cache(maxsize=16)
def _names_in(folder: Path, changed: int) -> dict[str, list[str]]:
    """What lies in a folder that was last changed then; thousands may be missing from one."""
    names: dict[str, list[str]] = {}
    for name in os.listdir(folder):
        names.setdefault(spelled(name), []).append(name)
    return names


def spelled(text: str) -> str:
    """A name without what systems see differently: case, and how letters with marks are stored."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


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
