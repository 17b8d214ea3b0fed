"""Predicted masks as palette PNGs, in the folder tree of the photos."""

from pathlib import Path

from ..photos import write_mask
from . import (
    AHEAD,
    classes_of,
    in_threads,
    mask_of,
    output_path,
    read_records,
    written_whole,
)


def write_masks(records_path: str | Path, folder: str | Path) -> None:
    """Write `<folder>/<photo's path>.png` for each predicted photo: pixel = class index.

    Raises InputError for a record whose path leads out of the folder.
    """
    info, records = read_records(records_path)
    colours = [colour for _, colour in classes_of(info)]

    def write(record: dict) -> None:
        if record["failure"] is None:
            with written_whole(output_path(folder, record["file"], ".png")) as path:
                write_mask(path, mask_of(record), colours)

    for _ in in_threads(write, records, AHEAD):
        pass
