"""Contact sheets: many photos in one picture, with their masks."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from .. import written_whole
from ..data.masks import read_mask, resize_mask
from ..data.photos import read_photo
from .drawing import INK, PAPER, draw_legend, draw_overlay, font_of, wrap
from .records import Classes, mask_of

BACKGROUND = "background"  # in the manifest's mask column: checked, nothing there
GAP, LETTERS, LINE = 8, 15, 21  # pixels: between cells, height of letters, from line to line

Picture = Image.Image | np.ndarray  # arrays: uint8 (H, W, 3)


def write_sheet(pictures: Sequence[tuple[Picture, Sequence[str]]], out_path: str | Path,
                columns: int = 4, cell: tuple[int, int] = (400, 320),
                classes: Classes = ()) -> None:
    """Write the pictures, each made to fit a cell (width, height), above its lines of caption.

    Long lines are broken, never cut. Below them all stands a legend of the `classes`, without
    the background. JPEG, or PNG if `out_path` says so.
    """
    columns = max(1, min(columns, len(pictures)))
    width = columns * (cell[0] + GAP) + GAP
    rows = [_draw_row(pictures[first:first + columns], width, cell)
            for first in range(0, len(pictures), columns)]
    top = GAP + sum(row.height for row in rows)
    place = (GAP, top, width - 2 * GAP)  # of the legend
    sheet = Image.new("RGB", (width, round(draw_legend(None, *place, classes[1:], LETTERS))), PAPER)
    draw_legend(ImageDraw.Draw(sheet), *place, classes[1:], LETTERS)
    for row in reversed(rows):
        top -= row.height
        sheet.paste(row, (0, top))
    with written_whole(out_path) as path:
        form = "PNG" if Path(out_path).suffix.lower() == ".png" else "JPEG"
        sheet.save(path, format=form, quality=90)


def _draw_row(pictures: Sequence[tuple[Picture, Sequence[str]]], width: int,
              cell: tuple[int, int]) -> Image.Image:
    """One row of a sheet, `width` pixels wide and as high as its pictures and captions need."""
    fitted = [_fitted(picture, cell) for picture, _ in pictures]
    captions = [[part for line in lines for part in wrap(line, LETTERS, cell[0])]
                for _, lines in pictures]
    height = max(picture.height for picture in fitted)
    row = Image.new("RGB", (width, height + LINE * max(map(len, captions)) + 2 * GAP), PAPER)
    draw = ImageDraw.Draw(row)
    for column, (picture, caption) in enumerate(zip(fitted, captions, strict=True)):
        left = GAP + column * (cell[0] + GAP)
        row.paste(picture, (left + (cell[0] - picture.width) // 2, (height - picture.height) // 2))
        for number, line in enumerate(caption):
            draw.text((left, height + GAP // 2 + number * LINE), line, INK, font_of(LETTERS))
    return row


def write_worst_sheet(out_path: str | Path, records: Sequence[dict], photos_root: str | Path,
                      classes: Classes) -> None:
    """Write a sheet of photo | true mask | predicted mask, a row a record, in their order.

    The records are those of an evaluation, none of them a failure, each with `truth` (path of its
    mask below `photos_root`, or `background`), `confusion` and `iou`. Raises InputError for a
    photo or mask that cannot be read.
    """
    names, cell, pictures = [name for name, _ in classes], (400, 320), []
    for record in records:
        image = read_photo(Path(photos_root) / record["file"], _scale(record, cell)).image
        truth = np.zeros((1, 1), np.uint8)
        if record["truth"] != BACKGROUND:
            truth = read_mask(Path(photos_root) / record["truth"])
        height, width = image.shape[:2]
        truth = resize_mask(truth, width, height)
        confusion = np.array(record["confusion"])  # (C, C): true, predicted
        pictures += [
            (image, [record["file"]]),
            (draw_overlay(image, truth, classes), [f"true: {_species(confusion.sum(1), names)}"]),
            (draw_overlay(image, mask_of(record), classes),
             [f"predicted: {_species(confusion.sum(0), names)}; IoU {record['iou']:.2f}",
              worst_error(confusion, names)])]
    write_sheet(pictures, out_path, columns=3, cell=cell, classes=classes)


def write_difficulty_sheet(out_path: str | Path, photos_root: str | Path,
                           chosen: Sequence[tuple[str, str, float, str]], classes: Classes) -> None:
    """Write a sheet of the `chosen` photos in their order, with the outlines of their masks alone:
    a tint would hide whether an animal stands out.

    `chosen`: for each its path below `photos_root`, the manifest's mask, its difficulty, and a
    text on when it comes. Raises InputError for a photo or mask that cannot be read.
    """
    pictures = []
    for file, mask_file, difficulty, when in chosen:
        image = read_photo(Path(photos_root) / file, 400).image
        mask = np.zeros(image.shape[:2], np.uint8)
        if mask_file != BACKGROUND:
            mask = resize_mask(read_mask(Path(photos_root) / mask_file), *mask.shape[::-1])
        lines = np.where(ndimage.minimum_filter(mask, 3) == mask, 0, mask)
        pictures.append((draw_overlay(image, lines, classes),
                         [f"{difficulty:.2f}  {when}", Path(file).name]))
    write_sheet(pictures, out_path, columns=6, cell=(300, 240), classes=classes)


def worst_error(confusion: np.ndarray, names: Sequence[str]) -> str:
    """The largest group of wrong pixels in words; `confusion` int (C, C): true, predicted."""
    wrong = confusion - np.diag(confusion.diagonal())
    if not wrong.any():
        return "no pixel is wrong"
    truth, predicted = np.unravel_index(wrong.argmax(), wrong.shape)
    count = int(wrong[truth, predicted])
    if truth == 0:
        return f"{_percent(count / confusion.sum())} of the photo wrongly {names[predicted]}"
    error = "missed" if predicted == 0 else f"taken for {names[predicted]}"
    return f"{_percent(count / confusion[truth].sum())} of {names[truth]} {error}"


def _fitted(picture: Picture, cell: tuple[int, int]) -> Image.Image:
    picture = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture.copy()
    picture.thumbnail(cell)
    return picture


def _scale(record: dict, cell: tuple[int, int]) -> int:
    """Long side at which a photo fits into a cell, so that masks are drawn at their final size."""
    factor = min(1, cell[0] / record["width"], cell[1] / record["height"])
    return max(1, int(factor * max(record["width"], record["height"])))


def _species(pixels: np.ndarray, names: Sequence[str]) -> str:
    return ", ".join(names[index] for index in np.flatnonzero(pixels[1:]) + 1) or "nothing"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else f"{100 * share:.2g} %"


def write_batch_sheet(out_path, images, masks, classes, most: int = 8) -> None:
    pass
