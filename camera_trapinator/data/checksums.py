"""What files hold, to the bit: checksums, which survive a copy to another machine, as a time of
change does not."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from .. import InputError
from .files import sha256
from .manifest import BACKGROUND, Manifest, Row, TextColumn
from .memory import Memory, file_stamp
from .threads import LOOKING, in_threads


class Checksums(NamedTuple):
    """Those of the files of each row of a manifest; "" where there is no such file, or nobody
    looked."""

    photos: Sequence[str]
    masks: Sequence[str]


def checksum(path: Path) -> str:
    """The first 16 digits of a file's sha256: of ten million photos no two agree by chance, and a
    table of them stays small. Raises InputError for a file that cannot be read."""
    try:
        return sha256(path)[:16]
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def mask_file(row: Row) -> str:
    """The mask, or map, of a row as the manifest has it; "" for a row without such a file."""
    return "" if row.mask == BACKGROUND else row.mask


def row_checksums(manifest: Manifest, root: Path, photos: Sequence[str], memory: Path,
                  ) -> Checksums:
    """The checksums of each row: those of the `photos` are known, see `checks.PhotoFacts`, and
    the masks of these are read, in parallel. They are small, and remembered in the file `memory` by
    path, size and time of change."""
    known = Memory(memory)

    def look(pair: tuple[Row, str]) -> str:
        row, photo = pair
        if not (photo and mask_file(row)):
            return ""
        path = root / row.mask
        return known.recall(file_stamp(path, "mask"), lambda: (checksum(path),))[0]

    masks = TextColumn(in_threads(look, zip(manifest, photos, strict=True), **LOOKING))
    known.write()
    return Checksums(TextColumn(photos), masks)
