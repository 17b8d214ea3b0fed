"""Predicted masks as palette PNGs: in the folder tree of the photos, or all in one archive."""

import io
from pathlib import Path
from zipfile import ZipFile, ZipInfo

from .. import written_whole
from ..data.masks import write_mask
from ..data.threads import in_threads
from .drawing import output_path
from .records import classes_of, mask_of, read_records


def write_masks(records_path: str | Path, folder: str | Path,
                share: tuple[int, int] = (1, 1)) -> None:
    """Write `<folder>/<photo's path>.png` for each predicted photo: pixel = class index.

    `share`: see `read_records`. Raises InputError for a record whose path leads out of the folder.
    """
    info, records = read_records(records_path, share)
    colours = [colour for _, colour in classes_of(info)]

    def write(record: dict) -> None:
        if record["failure"] is None:
            with written_whole(output_path(folder, record["file"], ".png")) as path:
                write_mask(path, mask_of(record), colours)

    for _ in in_threads(write, records):
        pass


def write_masks_zip(records_path: str | Path, path: str | Path) -> None:
    """Write the same PNGs into one ZIP file, under `<photo's path>.png`: millions of small files
    are a burden to a file system.

    The same records give the same bytes. Raises InputError for a record whose path leads out of
    the folder where somebody may unpack it.
    """
    info, records = read_records(records_path)
    colours = [colour for _, colour in classes_of(info)]

    def encoded(record: dict) -> tuple[str, bytes] | None:
        if record["failure"] is not None:
            return None
        output_path(Path(path).parent, record["file"], ".png")  # refuses what leads out
        png = io.BytesIO()
        write_mask(png, mask_of(record), colours)
        return f"{record['file']}.png".encode("utf-8", "backslashreplace").decode(), png.getvalue()

    with written_whole(path) as temporary, ZipFile(temporary, "w") as archive:
        for entry in in_threads(encoded, records):
            if entry:
                archive.writestr(ZipInfo(entry[0]), entry[1])
