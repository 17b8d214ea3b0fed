"""Photos with the predicted mask drawn on them, and a legend below."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from ..data.progress import named
from .drawing import (
    INK,
    PAPER,
    draw_legend,
    draw_overlay,
    font_of,
    percent,
    wrap,
    write_pictures,
)
from .people import EVERYBODY, People
from .records import Classes, classes_of, mask_of, read_records, species_of

NARROWEST = 320  # pixels; narrower photos get a margin, so that the legend has room
MOST_NAMED = 6  # blobs, the largest first


@named("overlays")
def write_overlays(records_path: str | Path, photos_root: str | Path, folder: str | Path,
                   long_side: int = 1280, share: tuple[int, int] = (1, 1),
                   people: People = EVERYBODY) -> None:
    """Write `<folder>/<photo's path>.jpg`, at most `long_side` pixels, for each predicted photo.

    Failed photos get none, nor do those that have gone since. `share`: see `read_records`; `people`
    are not to be seen. Raises InputError for a record whose path leads out of the folder.
    """
    info, records = read_records(records_path, share)
    classes = classes_of(info)
    write_pictures(records, photos_root, folder, long_side,
                   lambda record, image: overlay_with_legend(image, record, classes), people)


def overlay_with_legend(image: np.ndarray, record: dict, classes: Classes) -> Image.Image:
    """The overlay of a photo, uint8 (H, W, 3), above a strip with all that the record says.

    The legend tells of each animal, the largest first: its species, how large it is, how sure that
    is. Where a species has several they are numbered, in the photo too.
    """
    picture, blobs = draw_overlay(image, mask_of(record), classes), record["blobs"]
    names = [name for name, _ in classes]
    called = [species_of(blob, names) for blob in blobs]
    entries = []
    for place, (name, blob) in enumerate(zip(called, blobs, strict=True)):
        if place >= MOST_NAMED:
            break
        if called.count(name) > 1:
            number = called[:place + 1].count(name)
            name = f"{name} {number}"
            _write_number(picture, blob, number)
        guess = f", perhaps {names[blob['class']]}" if blob["unknown"] else ""
        entries.append((f"{name}{guess}, {percent(blob['area'], tenths=True)} of the photo, sure "
                        f"{blob['class_confidence']:.2f}", classes[blob["class"]][1]))
    entries += _further(record, classes)
    caption = f"{record['file']}    confidence {record['confidence']:.2f}" + (
        "" if blobs else "    empty")
    return _with_strip(picture, caption, entries)


def _further(record: dict, classes: Classes) -> list[tuple[str, tuple[int, int, int]]]:
    """Entries for what else the mask shows: smaller animals, and classes that no animal is of."""
    smaller = record["blobs"][MOST_NAMED:]
    named = {blob["class"] for blob in record["blobs"][:MOST_NAMED]}
    total = sum(record["pixels"])
    entries = [(f"pixels of {classes[index][0]}, {percent(count / total, tenths=True)}",
                classes[index][1])
               for index, count in enumerate(record["pixels"])
               if index and count and index not in named]
    if smaller:
        entries.append((f"{len(smaller)} smaller", classes[smaller[0]["class"]][1]))
    return entries


def _write_number(picture: Image.Image, blob: dict, number: int) -> None:
    """The number of an animal in its middle, dark around the light figures."""
    size = max(13, picture.width // 50)
    place = [share * side for share, side in zip(blob["centroid"], picture.size, strict=True)]
    ImageDraw.Draw(picture).text(place, str(number), INK, font_of(size), anchor="mm",
                                 stroke_width=max(2, size // 8), stroke_fill=PAPER)


def _with_strip(picture: Image.Image, caption: str, entries: Classes) -> Image.Image:
    """The picture, and below it, on dark paper, the caption and the legend."""
    width = max(picture.width, NARROWEST)
    size = max(13, width // 70)  # of the letters, in pixels
    gap = size // 2
    lines = wrap(caption, size, width - 2 * gap)
    legend_top = picture.height + gap + len(lines) * (size + gap)
    bottom = draw_legend(None, gap, legend_top, width - 2 * gap, entries, size)
    sheet = Image.new("RGB", (width, round(bottom) + gap // 2), PAPER)
    sheet.paste(picture, ((width - picture.width) // 2, 0))
    draw = ImageDraw.Draw(sheet)
    for number, line in enumerate(lines):
        top = picture.height + gap + number * (size + gap)
        draw.text((gap, top), line, INK, font_of(size))
    draw_legend(draw, gap, legend_top, width - 2 * gap, entries, size)
    return sheet
