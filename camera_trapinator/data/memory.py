"""What reading files has shown, remembered by path, size and time of change of each file: a second
start opens none of them again."""

import json
import unicodedata
from collections.abc import Callable, Hashable
from pathlib import Path
from zlib import crc32

from .. import InputError, written_whole
from ..utils import RUNS
from .files import spelled_otherwise


class Memory:
    """A file of JSON lines, [what was found, its key]; of plain values, to the last bit.

        memory = Memory(checks_of(data_root, "photos"), Facts)
        facts = memory.recall(file_stamp(path, "photo"), lambda: look_at(path))
        memory.write()

    `kind` makes of the plain values what `recall` gives. A file that is not there, or damaged,
    remembers nothing. Threads may share one.
    """

    def __init__(self, path: str | Path, kind: Callable = lambda *found: found):
        self.path, self.known, self.new = Path(path), {}, False
        try:
            with open(self.path, encoding="utf-8") as file:
                for line in file:
                    found, key = json.loads(line)
                    self.known[tuple(key)] = kind(*found)
        except (OSError, ValueError, TypeError):
            self.known = {}

    def recall(self, key: tuple[Hashable, ...], look: Callable[[], tuple]) -> tuple:
        """What is known under this key; else what `look` finds, which is remembered if it raises
        nothing."""
        if key not in self.known:
            self.known[key] = look()
            self.new = True
        return self.known[key]

    def write(self) -> None:
        """Keep what is new."""
        if self.new:
            with written_whole(self.path, by_many=True) as path:
                # Sorted, for threads find things in any order.
                path.write_text("".join(sorted(f"{json.dumps([found, key])}\n" for key, found
                                               in self.known.items())), encoding="utf-8")


def checks_of(data_root: Path, what: str = "masks") -> Path:
    """The file that remembers which `masks` or `photos` of a data root were checked and sound."""
    number = crc32(str(data_root.resolve()).encode())
    return RUNS / ".checked" / f"{data_root.name}-{number:08x}-{what}.jsonl"


def file_stamp(path: Path, what: str) -> tuple[str, int, int]:
    """Path, size and time of change (nanoseconds) of a file. Raises InputError if the `what`
    (photo, mask) is not there."""
    try:
        status = path.stat()
    except OSError:
        raise InputError(f"{path}: no such {what}, but the manifest lists it; "
                         + _cure(path)) from None
    return str(path), status.st_size, status.st_mtime_ns


def _cure(path: Path) -> str:
    """What to do about a file that is not there."""
    there = spelled_otherwise(path)
    if there is None:
        return "correct manifest.csv or bring the file back"
    for form in ("NFC", "NFD"):
        if unicodedata.normalize(form, str(path)) == str(there):
            return (f"{there} is there, which looks the same but is written with other bytes, its "
                    f"letters with marks in Unicode's form {form}; write all paths of manifest.csv "
                    f'in it, as Python\'s unicodedata.normalize("{form}", path) does, or copy the '
                    "files anew")
    return f"{there} is there, in another spelling; write it so in manifest.csv"
