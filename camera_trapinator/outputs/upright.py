"""Photos that are stored turned: which they are, and a folder in which all are upright.

All results are of the upright photos, as their EXIF orientation shows them. Programs that pass over
EXIF see the stored ones, on which boxes and masks lie askew. Such a program is pointed at one
folder, so that this one holds all photos: of the turned ones copies, of the others links, which
take no room.
"""

import shutil
from pathlib import Path

from PIL import ImageOps

from .. import InputError, written_whole
from ..data.photos import UNREADABLE, open_picture, reason_of, stored_orientation
from ..data.threads import LOOKING, in_threads
from .drawing import output_path
from .records import read_records


def turned_photos(records_path: str | Path, photos_root: str | Path) -> dict[str, int | None]:
    """EXIF's orientation of each predicted photo that is stored turned, or mirrored; None of those
    that can no longer be read."""
    def look(file: str) -> tuple[str, int | None]:
        try:
            return file, stored_orientation(Path(photos_root) / file)
        except InputError:  # a card taken out must not cost the results
            return file, None

    _, records = read_records(records_path)
    files = (record["file"] for record in records if record["failure"] is None)
    return {file: turn for file, turn in in_threads(look, files, **LOOKING) if turn != 1}


def write_upright(records_path: str | Path, photos_root: str | Path, folder: str | Path,
                  turned: dict[str, int | None]) -> None:
    """Write `<folder>/<photo's path>` for each predicted photo, if any of them is `turned`, see
    `turned_photos`; else there is no need of it, and none is left there.

    Where the file system has no links, photos are copied. Those that have gone get none. Raises
    InputError for a record whose path leads out of the folder.
    """
    shutil.rmtree(folder, ignore_errors=True)
    if not any(turned.values()):
        return

    def write(record: dict) -> None:
        file = record["file"]
        if record["failure"] is not None or turned.get(file, 1) is None:
            return
        photo, path = Path(photos_root).resolve() / file, output_path(folder, file, "")
        if file in turned:
            with written_whole(path) as temporary:
                _set_upright(photo, temporary)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.symlink_to(photo)
        except OSError:  # Windows asks for rights, memory cards have no links
            shutil.copy2(photo, path)

    for _ in in_threads(write, read_records(records_path)[1]):
        pass


def _set_upright(photo: Path, to: Path) -> None:
    """Copy a photo, its pixels turned, with its EXIF; that of a TIFF is lost."""
    try:
        with open_picture(photo) as image:
            form = "JPEG" if image.format == "MPO" else image.format  # of a phone's, the first
            picture = ImageOps.exif_transpose(image)  # takes the orientation out of the EXIF
            picture.save(to, format=form, quality=95, exif=picture.getexif(),
                         icc_profile=image.info.get("icc_profile"))
    except UNREADABLE as error:
        raise InputError(f"{photo}: cannot be set upright ({reason_of(error)})") from error
