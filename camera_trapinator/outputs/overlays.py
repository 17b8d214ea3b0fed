"""Photos with the predicted mask drawn on them, and a legend below."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

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
from .records import Classes, classes_of, mask_of, read_records, species_of

NARROWEST = 320  # pixels; narrower photos get a margin, so that the legend has room
MOST_NAMED = 4  # blobs, the largest first


def write_overlays(records_path: str | Path, photos_root: str | Path, folder: str | Path,
                   long_side: int = 1280, share: tuple[int, int] = (1, 1)) -> None:
    """Write `<folder>/<photo's path>.jpg`, at most `long_side` pixels, for each predicted photo.

    Failed photos get none, nor do those that have gone since. `share`: see `read_records`. Raises
    InputError for a record whose path leads out of the folder.
    """
    info, records = read_records(records_path, share)
    classes = classes_of(info)
    write_pictures(records, photos_root, folder, long_side,
                   lambda record, image: overlay_with_legend(image, record, classes))


def overlay_with_legend(image: np.ndarray, record: dict, classes: Classes) -> Image.Image:
    """The overlay of a photo, uint8 (H, W, 3), above a strip with all that the record says.

    The legend names every class of which the mask has pixels, with its share of the photo.
    """
    total = sum(record["pixels"])
    entries = [(f"{classes[index][0]} {percent(count / total, tenths=True)}", classes[index][1])
               for index, count in enumerate(record["pixels"]) if index and count]
    names = [name for name, _ in classes]
    found = ", ".join(f"{species_of(blob, names)} {blob['class_confidence']:.2f}"
                      for blob in record["blobs"][:MOST_NAMED]) or "empty"
    caption = f"{record['file']}    confidence {record['confidence']:.2f}: {found}"
    return _with_strip(draw_overlay(image, mask_of(record), classes), caption, entries)


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
