"""The small pictures in report.html: photos as JPEG and masks as PNG, both in base64."""

import base64
import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from .. import IGNORE, InputError
from ..data.manifest import BACKGROUND
from ..data.masks import palette, read_mask, resize_mask
from ..data.photos import read_photo
from .drawing import visible
from .people import EVERYBODY, People
from .records import mask_of

THUMBNAIL = 240  # pixels of its long side
CHUNK = 50  # photos in a script element


def in_chunks(records: Iterator[dict], root: Path, classes,
              people: People = EVERYBODY) -> Iterator[list]:
    """Lists of [photo, predicted mask, true mask] of CHUNK photos each, base64 or None; `people`
    are not to be seen."""
    colours = [colour for _, colour in classes]
    with ThreadPoolExecutor() as pool:
        while chunk := [record for _, record in zip(range(CHUNK), records, strict=False)]:
            yield list(pool.map(
                lambda record: _thumbnails(record, root, colours, people), chunk))


def _thumbnails(record: dict, root: Path, colours: list, people: People) -> list[str | None]:
    photo = None if record["failure"] is not None else thumbnail(root / record["file"])
    if photo is not None:
        photo = people.shown(photo, people.in_record(record))
    if photo is None:
        return [None, None, None]
    truth = record.get("truth", "")
    known = truth not in ("", BACKGROUND) and (root / truth).is_file()
    return [jpeg(photo), _mask_png(mask_of(record), photo.shape, colours),
            _mask_png(read_mask(root / truth), photo.shape, colours) if known else None]


def thumbnail(path: Path) -> np.ndarray | None:
    """The photo as a thumbnail, uint8 (h, w, 3); None if it is no longer there."""
    try:
        return read_photo(path, THUMBNAIL).image
    except InputError:
        return None


def jpeg(image: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=62)
    return base64.b64encode(buffer.getvalue()).decode()


def _mask_png(mask: np.ndarray, size: Sequence[int], colours: list) -> str | None:
    """The mask at the thumbnail's size, the background transparent; None if it is all that."""
    mask = resize_mask(mask, size[1], size[0])
    if not mask.any():
        return None
    picture = Image.fromarray(mask)
    table = palette([visible(colour) for colour in colours])
    table[IGNORE] = 128
    picture.putpalette(table.tobytes())
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", transparency=0)
    return base64.b64encode(buffer.getvalue()).decode()
