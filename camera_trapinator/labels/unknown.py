"""Values and colours in mask pictures that the table lacks: in which masks, where, how many."""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock

from .. import InputError
from ..data.progress import progress
from ..data.threads import in_threads

TOLD_MASKS = 5  # in which one value or colour is


class Lacking(InputError):
    """Values or colours of a picture are not in the table: `found` = {value or colour: (how many
    pixels, row and column of the first)}."""

    def __init__(self, message: str, found: dict[str, tuple[int, int, int]]):
        super().__init__(message)
        self.found = found


class LackingAnywhere:
    """What the table lacks, over all masks; they are looked through when the first lacks it."""

    def __init__(self, masks: Sequence[Path], read: Callable[[Path], object]):
        self.masks, self.read, self.lock = masks, read, Lock()

    def told_with(self, path: Path) -> str:
        """What is said of all masks, with the first of those that lack something; else ""."""
        with self.lock:
            found = self._found
        if path != next(iter(found), None) or len(found) == 1:
            return ""
        lines = []
        for key in dict.fromkeys(key for lacks in found.values() for key in lacks):
            where = {mask: lacks[key] for mask, lacks in found.items() if key in lacks}
            some = "; ".join(f"{mask.name} {described(*place)}"
                             for mask, place in list(where.items())[:TOLD_MASKS])
            more = f"; and {len(where) - TOLD_MASKS} more" * (len(where) > TOLD_MASKS)
            lines.append(f"{key} in {len(where)} of them, {sum(n for n, *_ in where.values())} "
                         f"pixels ({some}{more})")
        return f". In all {len(self.masks)} masks: " + ", ".join(lines)

    @cached_property
    def _found(self) -> dict[Path, dict[str, tuple[int, int, int]]]:
        found = progress(in_threads(self._look, self.masks), "looking", len(self.masks), "masks")
        looked = zip(self.masks, found, strict=True)
        return {mask: lacks for mask, lacks in looked if lacks}

    def _look(self, mask: Path) -> dict[str, tuple[int, int, int]]:
        try:
            self.read(mask)
        except Lacking as error:
            return error.found
        except InputError:  # told when it is drawn
            return {}
        return {}


def described(count: int, row: int, column: int) -> str:
    """How many pixels, and where: row and column are counted from 0."""
    return f"{count} pixels from row {row}, column {column} on"
