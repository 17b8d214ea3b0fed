"""Predicted masks as palette PNGs, in the folder tree of the photos."""

from pathlib import Path

from ..photos import write_mask
from . import mask_of, output_path, read_records


def write_masks(records_path: str | Path, folder: str | Path) -> None:
    """Write `<folder>/<photo's path>.png` for each predicted photo: pixel = class index."""
    info, records = read_records(records_path)
    colours = [tuple(item["colour"]) for item in info["classes"]]
    for record in records:
        if record["failure"] is None:
            write_mask(output_path(Path(folder), record["file"], ".png"), mask_of(record), colours)
