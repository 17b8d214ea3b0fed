"""Folders of mask pictures: palette, grey (8 or 16 bits) or colour-coded; CVAT's mask export.

A table says what each value or colour means, as a CSV

    value,name            or      colour,name
    0,background                  #000000,background
    255,animal                    #ff00ff,snow

or as CVAT's labelmap.txt (`label:R,G,B:parts:actions`). The name `background` is class 0, the name
`ignore` marks pixels that count for nothing. What the table leaves out: value 0 and black are
background, value 255 and the cream of PASCAL VOC (224, 224, 192) are ignored.
Sources: docs.cvat.ai, format-smask; the PASCAL VOC development kit.
"""

import csv
import re
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

from .. import IGNORE, InputError
from ..manifest import BACKGROUND
from ..photos import UNREADABLE, photo_size
from . import LabelledPhoto, Labels, Shape, pair_labels, safe_photo, without_photo

IGNORED = "ignore"
THICKEST_EDGE = 4  # pixels; colours between two classes in a wider region are no smooth edge


class Table(NamedTuple):
    """What the pixels of the pictures mean."""

    values: dict[int, str]  # grey or palette value -> name
    colours: dict[int, str]  # red << 16 | green << 8 | blue -> name
    order: list[str]  # the names of the classes


def read_mask_folder(path: Path, images: Path, place: str, *, split: str = "",
                     skip_missing: bool = False, colours: Path, ending: str = ".png",
                     edges: str = "nearest") -> Labels:
    """The labels of a folder of pictures, in the same tree as the photos in `images`.

    The mask of `a/IMG_1.jpg` is `a/IMG_1<ending>`. `colours` is the table. `edges`: colours that
    the table lacks, in lines no wider than 4 pixels, are the smooth edge between two classes; they
    go to the `nearest` colour that touches them, or to `ignore`. Raises InputError for pictures
    that cannot hold classes, and for values and colours that the table does not know.
    """
    if not path.is_dir():
        raise InputError(f"{path}: no such folder of masks")
    table = _read_table(colours)
    pairs, alone = pair_labels(images, path, ending)
    photos = []
    for file, mask in pairs:
        source = safe_photo(images, file, str(mask or images))
        photo = LabelledPhoto(source, f"{place}/{file}" if place else file, *photo_size(source),
                              str(mask or source), split=split)
        if mask is not None:
            photo.width, photo.height = _check_header(mask)
            photo.picture = partial(_read_shapes, mask, table, edges)
        photos.append(photo)
    return Labels(photos, table.order, without_photo(alone, images, skip_missing))


def _check_header(path: Path) -> tuple[int, int]:
    """Width and height of a mask. Refuses what cannot hold classes, from the header alone."""
    try:
        with Image.open(path) as picture:
            if picture.format == "JPEG":
                raise InputError(f"{path}: a JPEG cannot hold a mask, compression invents "
                                 "colours; export the masks as PNG")
            return picture.size
    except UNREADABLE as error:
        raise InputError(f"{path}: cannot be read as a mask ({error})") from None


def _read_shapes(path: Path, table: Table, edges: str) -> list[Shape]:
    """The classes of a picture, each with its pixels."""
    try:
        with Image.open(path) as picture:
            if picture.mode in ("LA", "PA") or (picture.mode == "P" and not table.values):
                picture = picture.convert("RGBA" if picture.mode != "P" else "RGB")
            pixels = np.array(picture)
    except UNREADABLE as error:
        raise InputError(f"{path}: cannot be read as a mask ({error})") from None
    if pixels.ndim == 2:
        names, classes = _by_value(pixels.astype(np.int64), table, path)
    else:
        names, classes = _by_colour(pixels, table, edges, path)
    return [Shape(None if name == IGNORED else name, inside=classes == place)
            for place, name in enumerate(names) if name != BACKGROUND]


def _by_value(pixels: np.ndarray, table: Table, path: Path) -> tuple[list[str], np.ndarray]:
    known = {0: BACKGROUND, IGNORE: IGNORED, **table.values}
    found, counts = np.unique(pixels, return_counts=True)
    if strange := [value for value in found.tolist() if value not in known]:
        listed = ", ".join(f"{value} ({count} pixels)" for value, count in
                           zip(found.tolist()[:20], counts.tolist(), strict=False))
        raise InputError(f"{path}: value {strange[0]} is not in the table; found {listed}. Give "
                         "each a line `value,name`, such as `1,fox` or `1,background`")
    names = sorted({known[value] for value in found.tolist()})
    place = {value: names.index(known[value]) for value in found.tolist()}
    return names, np.array([place[value] for value in found.tolist()])[
        np.searchsorted(found, pixels)]


def _by_colour(pixels: np.ndarray, table: Table, edges: str, path: Path,
               ) -> tuple[list[str], np.ndarray]:
    if not table.colours:
        raise InputError(f"{path}: a colour picture, but the table has only values; give it lines "
                         "`colour,name`, such as `#ff00ff,snow`")
    known = {0: BACKGROUND, 0xE0E0C0: IGNORED, **table.colours}
    names = sorted({BACKGROUND, IGNORED, *known.values()})
    rgb = pixels[..., :3].astype(np.int32)
    codes = rgb[..., 0] << 16 | rgb[..., 1] << 8 | rgb[..., 2]
    classes = np.full(codes.shape, -1, np.int16)
    for code, name in known.items():
        classes[codes == code] = names.index(name)
    if pixels.shape[2] == 4:  # what is transparent is not drawn; half so is a smooth edge
        classes[pixels[..., 3] == 0] = names.index(BACKGROUND)
        classes[(pixels[..., 3] > 0) & (pixels[..., 3] < 255)] = -1
        rgb = rgb * (pixels[..., 3:] / 255)  # as it looks on black
    unknown = classes < 0
    if not unknown.any():
        return names, classes
    wide = ndimage.minimum_filter(unknown, THICKEST_EDGE + 1)
    if wide.any():
        found, counts = np.unique(codes[wide], return_counts=True)
        raise InputError(f"{path}: colour #{found[counts.argmax()]:06x} fills a region but is not "
                         "in the table; give it a line `colour,name`")
    classes[unknown] = names.index(IGNORED)
    if edges == "nearest":
        _resolve_edges(classes, unknown, rgb, {code: names.index(name)
                                               for code, name in known.items()})
    return names, classes


def _resolve_edges(classes: np.ndarray, unknown: np.ndarray, rgb: np.ndarray,
                   known: dict[int, int]) -> None:
    """Give pixels of smooth edges the nearest colour, of those that occur close by.

    Of those alone: half way from black to magenta lies a purple that may be nearer to the colour
    of a third class.
    """
    rows, columns = np.nonzero(unknown)
    best = np.full(len(rows), np.inf)
    sure = np.where(unknown, -1, classes)
    for code, place in known.items():
        near = ndimage.maximum_filter(sure == place, 2 * THICKEST_EDGE + 1)[rows, columns]
        colour = (code >> 16, code >> 8 & 255, code & 255)
        distance = ((rgb[rows, columns] - colour) ** 2).sum(axis=1)
        closer = near & (distance < best)
        classes[rows[closer], columns[closer]] = place
        best[closer] = distance[closer]


# ------------------------------------------------------------------------------- the table


def _read_table(path: Path) -> Table:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); a table of what each colour "
                         "means is needed, or, from CVAT, the unzipped `Segmentation mask 1.1` "
                         "with its labelmap.txt") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8 text") from None
    table = Table({}, {}, [])
    lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1)
             if line.strip()]
    header = [cell.strip().lower() for cell in lines[0][1].split(",")] if lines else []
    if sorted(header) in (["name", "value"], ["colour", "name"]):
        for number, line in lines[1:]:
            cells = dict(zip(header, next(csv.reader([line])), strict=False))
            if len(cells) < 2:
                raise InputError(f"{path}, line {number}: {line[:60]!r} has not two cells")
            _enter(table, cells, f"{path}, line {number}")
    else:
        lines = [(number, line) for number, line in lines if not line.startswith("#")]
        for place, (number, line) in enumerate(lines):
            parts = line.split(":")
            if len(parts) < 2:
                raise InputError(f"{path}, line {number}: {line[:60]!r}; a table begins with the "
                                 "line `value,name` or `colour,name`, or is CVAT's labelmap.txt")
            colour = parts[1].replace(",", " ")
            _enter(table, {"name": parts[0], "colour": colour}, f"{path}, line {number}")
            table.values[place] = parts[0].strip()  # one-channel pictures hold the row
    if not table.order:
        raise InputError(f"{path}: the table names no class")
    return table


def _enter(table: Table, cells: dict[str, str], where: str) -> None:
    name = cells["name"].strip()
    if name.lower() in (BACKGROUND, IGNORED, ""):
        name = name.lower() or IGNORED
    elif name not in table.order:
        table.order.append(name)
    if "value" in cells:
        if not re.fullmatch(r"\d{1,5}", cells["value"].strip()):
            raise InputError(f"{where}: value {cells['value']!r} is no whole number from 0 on")
        key, meanings = int(cells["value"]), table.values
    else:
        key, meanings = _colour_code(cells["colour"], where), table.colours
    if key in meanings:
        raise InputError(f"{where}: {list(cells.values())} stands in the table twice")
    meanings[key] = name


def _colour_code(text: str, where: str) -> int:
    text = text.strip()
    if re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        return int(text[1:], 16)
    parts = text.split()
    if len(parts) == 3 and all(part.isdigit() and int(part) < 256 for part in parts):
        red, green, blue = map(int, parts)
        return red << 16 | green << 8 | blue
    raise InputError(f"{where}: colour {text!r} is neither #rrggbb nor three numbers to 255")
