"""Contact sheets: many photos in one picture, with their masks."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..photos import read_mask, read_photo, resize_mask
from . import mask_of
from .overlays import INK, PAPER, draw_mask, fit, visible


def write_sheet(path: str | Path, pictures: Sequence[Image.Image], captions: Sequence[str],
                columns: int, classes: Sequence[tuple[str, tuple[int, int, int]]] = (),
                cell: tuple[int, int] = (400, 300)) -> None:
    """Write the pictures, each fitted into a cell (width, height), with a caption below.

    Under them all stands a legend of the `classes` (name, colour), the background left out.
    """
    font = ImageFont.load_default(15)
    width, height, line = cell[0], cell[1], 26
    rows = -(-len(pictures) // columns)
    bottom = rows * (height + line + 6) + 6
    sheet = Image.new("RGB", (columns * (width + 6) + 6, bottom + (line if classes else 0)), PAPER)
    draw = ImageDraw.Draw(sheet)
    for place, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        left = 6 + place % columns * (width + 6)
        top = 6 + place // columns * (height + line + 6)
        picture = picture.copy()
        picture.thumbnail((width, height))
        sheet.paste(picture, (left + (width - picture.width) // 2,
                              top + (height - picture.height) // 2))
        draw.text((left + 2, top + height + 4), fit(caption, font, width - 4), INK, font)
    left = 8
    for name, colour in classes[1:]:
        draw.rectangle((left, bottom + 3, left + 14, bottom + 17), visible(colour))
        draw.text((left + 20, bottom), name, INK, font)
        left += 36 + font.getlength(name)
    sheet.save(path, quality=88)


def write_worst_sheet(path: str | Path, records: Sequence[dict], data_root: str | Path,
                      classes: Sequence[tuple[str, tuple[int, int, int]]]) -> None:
    """Write a sheet of photo | true mask | predicted mask, a row a record.

    The records are those of an evaluation, each with its `iou`. `classes` are (name, colour).
    """
    names, colours = [name for name, _ in classes], [colour for _, colour in classes]
    pictures, captions = [], []
    for record in records:
        image = read_photo(Path(data_root) / record["file"], 400).image
        height, width = image.shape[:2]
        truth = (np.zeros((height, width), np.uint8) if record["truth"] == "background"
                 else resize_mask(read_mask(Path(data_root) / record["truth"]), width, height))
        pictures += [Image.fromarray(image), draw_mask(image, truth, colours),
                     draw_mask(image, mask_of(record), colours)]
        captions += [record["file"], f"true: {_species(np.bincount(truth.ravel()), names)}",
                     f"predicted: {_species(record['pixels'], names)}   IoU {record['iou']:.2f}"]
    write_sheet(path, pictures, captions, columns=3, classes=classes)


def _species(pixels: Sequence[int], names: Sequence[str]) -> str:
    found = [name for index, name in enumerate(names[1:], start=1)
             if index < len(pixels) and pixels[index]]
    return ", ".join(found) or "empty"

