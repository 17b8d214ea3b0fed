"""Predicted masks as PNGs, the classes beside them: in the photos' tree, or all in one archive.

The value of a pixel is the index of its class. Of a palette PNG, the knob `mask_format`, viewers
show the classes' colours, and Pillow, R and GIS read the indices; OpenCV, scikit-image and imageio
read the colours. A grey one gives everybody the indices, and looks black in a viewer.
"""

import io
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile, ZipInfo

from .. import written_whole
from ..data.manifest import write_classes
from ..data.masks import write_mask
from ..data.progress import named
from ..data.threads import in_threads
from .drawing import output_path
from .records import classes_of, mask_of, read_records

CLASSES = "classes.csv"  # index, name and colour, as in a data root


@named("masks")
def write_masks(records_path: str | Path, folder: str | Path, mask_format: str = "palette",
                share: tuple[int, int] = (1, 1)) -> None:
    """Write `<folder>/<photo's path>.png` for each predicted photo, and `<folder>/classes.csv`.

    `mask_format`: palette or grey; `share`: see `read_records`, the first one writes the classes.
    Raises InputError for a record whose path leads out of the folder.
    """
    info, records = read_records(records_path, share)
    colours = _colours(info, mask_format)

    def write(record: dict) -> None:
        if record["failure"] is None:
            with written_whole(output_path(folder, record["file"], ".png")) as path:
                write_mask(path, mask_of(record), colours)

    for _ in in_threads(write, records):
        pass
    if share[0] == 1:
        write_classes(Path(folder) / CLASSES, classes_of(info))


@named("masks_zip")
def write_masks_zip(records_path: str | Path, path: str | Path,
                    mask_format: str = "palette") -> None:
    """Write the same files into one ZIP file, under the same names: millions of small files are a
    burden to a file system.

    The same records give the same bytes. Raises InputError for a record whose path leads out of
    the folder where somebody may unpack it.
    """
    info, records = read_records(records_path)
    colours = _colours(info, mask_format)

    def encoded(record: dict) -> tuple[str, bytes] | None:
        if record["failure"] is not None:
            return None
        output_path(Path(path).parent, record["file"], ".png")  # refuses what leads out
        png = io.BytesIO()
        write_mask(png, mask_of(record), colours)
        return f"{record['file']}.png".encode("utf-8", "backslashreplace").decode(), png.getvalue()

    with written_whole(path) as temporary, ZipFile(temporary, "w") as archive:
        with TemporaryDirectory() as folder:
            write_classes(Path(folder) / CLASSES, classes_of(info))
            archive.writestr(ZipInfo(CLASSES), (Path(folder) / CLASSES).read_bytes())
        for entry in in_threads(encoded, records):
            if entry:
                archive.writestr(ZipInfo(entry[0]), entry[1])


def _colours(info: dict, mask_format: str) -> list[tuple[int, int, int]] | None:
    return [colour for _, colour in classes_of(info)] if mask_format == "palette" else None
