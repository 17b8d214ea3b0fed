"""Contact sheets: many photos in one picture, with their masks or maps."""

from collections.abc import Iterable, Sequence
from itertools import islice, zip_longest
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from .. import IGNORE, written_whole
from ..data.manifest import BACKGROUND
from ..data.masks import read_mask, resize_mask
from ..data.photos import read_photo
from .drawing import (
    INK,
    PAPER,
    colour_bar,
    draw_legend,
    draw_map,
    draw_overlay,
    font_of,
    percent,
    wrap,
)
from .people import EVERYBODY, People
from .records import Classes, mask_of

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
                      classes: Classes, people: People = EVERYBODY) -> None:
    """Write a sheet of photo | true mask | predicted mask, a row a record, in their order; `people`
    are not to be seen, and of photos that show hidden ones there is no row.

    The records are those of an evaluation, none of them a failure, each with `truth` (path of its
    mask below `photos_root`, or `background`), `confusion` and `iou`. Raises InputError for a
    photo or mask that cannot be read.
    """
    names, cell, pictures = [name for name, _ in classes], (400, 320), []
    for record in records:
        if people.hides(there := people.in_record(record)):
            continue
        image = read_photo(Path(photos_root) / record["file"], _scale(record, cell)).image
        image = people.shown(image, there)
        truth = np.zeros((1, 1), np.uint8)
        if record["truth"] != BACKGROUND:
            truth = read_mask(Path(photos_root) / record["truth"])
        height, width = image.shape[:2]
        truth = resize_mask(truth, width, height)
        confusion = np.array(record["confusion"])  # (C, C): true, predicted
        wrong = 1 - confusion.trace() / max(1, confusion.sum())  # by which they are in order
        pictures += [
            (image, [record["file"], f"{percent(wrong)} of the pixels wrong"]),
            (draw_overlay(image, truth, classes), [f"true: {_species(confusion.sum(1), names)}"]),
            (draw_overlay(image, mask_of(record), classes),
             [f"predicted: {_species(confusion.sum(0), names)}; IoU {record['iou']:.2f}",
              worst_error(confusion, names)])]
    write_sheet(pictures, out_path, columns=3, cell=cell, classes=classes)


def write_difficulty_sheet(out_path: str | Path, photos_root: str | Path,
                           chosen: Sequence[tuple[str, str, float, str]], classes: Classes,
                           people: People = EVERYBODY, there: Sequence[bool] = ()) -> None:
    """Write a sheet of the `chosen` photos in their order, with the outlines of their masks alone:
    a tint would hide whether an animal stands out.

    `chosen`: for each its path below `photos_root`, the manifest's mask, its difficulty, and a
    text on when it comes; `people`: who are not to be seen, and whether they are `there` in each of
    them. Raises InputError for a photo or mask that cannot be read.
    """
    pictures = []
    for (file, mask_file, difficulty, when), with_people in zip_longest(chosen, there):
        if people.hides(with_people):
            continue
        image = people.shown(read_photo(Path(photos_root) / file, 400).image, with_people)
        mask = np.zeros(image.shape[:2], np.uint8)
        if mask_file != BACKGROUND:
            mask = resize_mask(read_mask(Path(photos_root) / mask_file), *mask.shape[::-1])
        lines = np.where(ndimage.minimum_filter(mask, 3) == mask, 0, mask)
        pictures.append((draw_overlay(image, lines, classes),
                         [f"{difficulty:.2f}  {when}", Path(file).name]))
    write_sheet(pictures, out_path, columns=6, cell=(300, 240), classes=classes)


def write_batch_sheet(out_path: str | Path, images: Sequence, masks: Sequence, classes: Classes,
                      most: int = 8, people: People = EVERYBODY,
                      there: Iterable[bool] = ()) -> None:
    """Write batch.jpg: the first augmented crops as the network is fed, with their masks drawn in.

    `images`: uint8 (N, C, H, W), tensors on the CPU or arrays, of which the first three channels
    are drawn; `masks`: uint8 (N, H, W) class indices, in which 255 (ignored) is hatched, or float
    (N, H, W) numbers of a regression, grey where NaN; `classes`: of a regression the first one's
    name is the quantity. At `most` so many crops. `people`: who are not to be seen, and whether
    they are `there` in each photo, perhaps beside its crop.
    """
    images, masks = np.asarray(images[:most]), np.asarray(masks[:most])
    cell, names, pictures = (400, 320), [name for name, _ in classes], []
    regression = masks.dtype.kind == "f"
    values = masks[~np.isnan(masks)] if regression else masks
    ends = (float(values.min()), float(values.max())) if regression and values.size else (0.0, 1.0)
    for image, mask, with_people in zip_longest(images, masks, islice(there, len(images))):
        image, mask = _as_seen(image, mask, cell)
        if (image := people.shown(image, with_people)) is None:
            continue
        if regression:
            known = mask[~np.isnan(mask)]
            text = f"{known.min():.3g} to {known.max():.3g}" if known.size else "no number"
            pictures.append((draw_map(image, mask, ends), [text]))
        else:
            ignored = mask == IGNORE
            mask = np.where(ignored, np.uint8(0), mask)
            text = "no label" if ignored.all() else _species(np.bincount(mask.ravel()), names)
            pictures.append((_hatched(draw_overlay(image, mask, classes), ignored), [text]))
    if regression:
        pictures.append((colour_bar(cell[0], 15, ends, names[0]), []))
        classes = ()
    elif (masks == IGNORE).any():
        classes = [*classes, ("ignored", (128, 128, 128))]
    write_sheet(pictures, out_path, cell=cell, classes=classes)


def _as_seen(image: np.ndarray, mask: np.ndarray, cell: tuple[int, int],
             ) -> tuple[np.ndarray, np.ndarray]:
    """A crop, uint8 (C, H, W), as uint8 (h, w, 3), and its mask, (h, w): as large as the cell
    (width, height) lets them be, enlarged by a whole number only."""
    image = np.moveaxis(image[:3] if len(image) >= 3 else image[[0, 0, 0]], 0, 2)
    times = max(1, min(cell[0] // image.shape[1], cell[1] // image.shape[0]))
    picture = _fitted(np.ascontiguousarray(image.repeat(times, axis=0).repeat(times, axis=1)), cell)
    return np.array(picture), resize_mask(mask, *picture.size)


def _hatched(picture: Image.Image, ignored: np.ndarray) -> Image.Image:
    """The picture with dark and light stripes over what is `ignored`, bool (H, W)."""
    if not ignored.any():
        return picture
    rows, columns = np.indices(ignored.shape)
    dark, drawn = ((rows + columns) // 6 % 2 == 0)[..., None], np.asarray(picture)
    hatched = np.where(dark, 0.5 * drawn, 0.5 * drawn + 100)
    return Image.fromarray(np.where(ignored[..., None], hatched, drawn).round().astype(np.uint8))


def worst_error(confusion: np.ndarray, names: Sequence[str]) -> str:
    """The largest group of wrong pixels in words; `confusion` int (C, C): true, predicted."""
    wrong = confusion - np.diag(confusion.diagonal())
    if not wrong.any():
        return "no pixel is wrong"
    truth, predicted = np.unravel_index(wrong.argmax(), wrong.shape)
    count = int(wrong[truth, predicted])
    if truth == 0:
        return f"{percent(count / confusion.sum())} of the photo wrongly {names[predicted]}"
    error = "missed" if predicted == 0 else f"taken for {names[predicted]}"
    return f"{percent(count / confusion[truth].sum())} of {names[truth]} {error}"


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
