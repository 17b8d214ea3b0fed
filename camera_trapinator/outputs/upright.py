"""Photos that are stored turned: which they are, and a folder in which all are upright.

All results are of the upright photos, as their EXIF orientation shows them. Programs that pass over
EXIF see the stored ones, on which boxes and masks lie askew. Such a program is pointed at one
folder, so that this one holds all photos: of the turned ones copies, of the others links, which
take no room. Copies hold no metadata that tell a place, see `metadata.py`, and so a photo that
tells one is never linked: whoever packs the folder packs what links lead to.
"""

import shutil
from pathlib import Path

from PIL import ImageOps

from .. import InputError, written_whole
from ..data.photos import UNREADABLE, open_picture, reason_of, stored_orientation
from ..data.progress import named
from ..data.threads import LOOKING, in_threads
from .drawing import output_path
from .metadata import copy_picture, kept_exif, save_bare, tells_place
from .people import EVERYBODY, People
from .records import read_records


@named("turned")
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


@named("upright")
def write_upright(records_path: str | Path, photos_root: str | Path, folder: str | Path,
                  turned: dict[str, int | None], people: People = EVERYBODY) -> None:
    """Write `<folder>/<photo's path>` for each predicted photo, if any of them is `turned`, see
    `turned_photos`; else there is no need of it, and none is left there.

    Where the file system has no links, photos are copied. Those that have gone get none, nor do
    those on which `people` are not to be seen. Raises InputError for a record whose path leads out
    of the folder.
    """
    shutil.rmtree(folder, ignore_errors=True)
    if not any(turned.values()):
        return

    def write(record: dict) -> None:
        file = record["file"]
        if (record["failure"] is not None or turned.get(file, 1) is None
                or people.in_record(record)):
            return
        photo, path = Path(photos_root).resolve() / file, output_path(folder, file, "")
        if file not in turned and not tells_place(photo):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                return path.symlink_to(photo)
            except OSError:  # Windows asks for rights, memory cards have no links
                pass
        with written_whole(path) as temporary:
            try:
                (_set_upright if file in turned else copy_picture)(photo, temporary)
            except UNREADABLE as error:
                raise InputError(f"{photo}: cannot be copied ({reason_of(error)})") from error

    for _ in in_threads(write, read_records(records_path)[1]):
        pass


def _set_upright(photo: Path, to: Path) -> None:
    """Copy a photo, its pixels turned."""
    with open_picture(photo) as image:
        form = "JPEG" if image.format == "MPO" else image.format  # of a phone's, the first
        save_bare(ImageOps.exif_transpose(image), to, form, kept_exif(image))
