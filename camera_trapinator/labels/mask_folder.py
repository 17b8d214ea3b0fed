"""Folders of mask pictures: palette, grey (8 or 16 bits) or colour-coded; CVAT's mask export.

A table says what each value or colour means, as a CSV

    value,name            or      colour,name
    0,background                  #000000,background
    255,animal                    255 0 255,snow

(or with both columns), or as CVAT's labelmap.txt (`label:R,G,B:parts:actions`). Where a table has
both, grey and palette pictures go by colour if all their colours are in it, else by value, which in
a labelmap is the row, counted from 0. The name `background` is class 0, the name `ignore` marks
pixels that count for nothing. What the table leaves out: value 0 and black are background, value
255 and the cream of PASCAL VOC (224, 224, 192) are ignored. What is transparent is background.
Sources: docs.cvat.ai, format-smask; the PASCAL VOC development kit.
"""

import csv
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

from .. import IGNORE, InputError
from ..data.manifest import BACKGROUND
from ..data.photos import UNREADABLE, photo_size
from .exports import in_data_root, pair_labels, safe_photo, without_photo
from .shapes import LabelledPhoto, Labels, Shape

IGNORED = "ignore"
CREAM = 0xE0E0C0  # which PASCAL VOC ignores
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "F")  # of Pillow, and I for 16 bits
# A smooth edge blends the classes beside it, a few pixels wide, each pixel a little differently.
# These are signs that a colour is none, but a class that the table lacks:
THICKEST_EDGE = 4  # pixels; in a square wider than this there is no known colour
MANY_TIMES = 16  # pixels have exactly this colour (or 3 x 3 in one place), and it lies farther
OFF_BLEND = 24  # than so many steps of RGB from every blend of two colours that occur
MANY_EDGES = 0.1  # of the picture's pixels are unknown


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
    the table lacks, if they look like the smooth edge between two classes, go to the `nearest`
    of the colours that touch them, or to `ignore`. Raises InputError for pictures that cannot hold
    classes, and for values and colours that the table does not know.
    """
    if not path.is_dir():
        raise InputError(f"{path}: no such folder of masks")
    table = _read_table(colours)
    pairs, alone = pair_labels(images, path, ending)
    photos = []
    for file, mask in pairs:
        source = safe_photo(images, file, str(mask or images))
        photo = LabelledPhoto(source, in_data_root(place, file), *photo_size(source),
                              str(mask or source), split=split)
        if mask is not None:
            photo.width, photo.height = _check_header(mask)
            photo.picture = partial(_read_shapes, mask, table, edges)
        photos.append(photo)
    return Labels(photos, table.order, without_photo(alone, images, skip_missing))


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """A picture that Pillow has open; what it cannot read becomes an InputError."""
    try:
        with warnings.catch_warnings():  # of damaged TIFFs Pillow tells at length
            warnings.simplefilter("ignore")
            with Image.open(path) as picture:
                yield picture
    except InputError:
        raise
    except UNREADABLE as error:
        raise InputError(f"{path}: cannot be read as a mask ({error})") from None


def _check_header(path: Path) -> tuple[int, int]:
    """Width and height of a mask. Refuses what cannot hold classes, from the header alone."""
    with _opened(path) as picture:
        if picture.format in ("JPEG", "MPO") or picture.info.get("compression") == "jpeg":
            raise InputError(f"{path}: a JPEG cannot hold a mask, compression invents colours; "
                             "export the masks as PNG")
        if getattr(picture, "n_frames", 1) > 1:
            raise InputError(f"{path}: {picture.n_frames} pages in one file; save the page with "
                             "the mask alone")
        if picture.mode not in MODES and not picture.mode.startswith("I"):
            raise InputError(f"{path}: colours of the kind {picture.mode} are not exact; save the "
                             "mask as RGB, palette or grey")
        return picture.size


def _read_shapes(path: Path, table: Table, edges: str) -> list[Shape]:
    """The classes of a picture, each with its pixels."""
    with _opened(path) as picture:
        pixels = np.array(_as_the_table_says(picture, table))
    if pixels.ndim == 2:
        names, classes = _by_value(pixels, table, path)
    else:
        names, classes = _by_colour(pixels, table, edges, path)
    return [Shape(None if name == IGNORED else name, inside=classes == place)
            for place, name in enumerate(names) if name != BACKGROUND]


def _as_the_table_says(picture: Image.Image, table: Table) -> Image.Image:
    """The picture as one channel of values, or as RGB or RGBA."""
    if picture.mode == "1" and 1 not in table.values:
        picture = picture.convert("L")  # white is 255, as every viewer shows it
    if picture.mode == "LA" and picture.getextrema()[1] == (255, 255):
        picture = picture.convert("L")  # nothing of it is transparent
    if picture.mode in ("1", "L", "P"):
        if not table.colours or (table.values and not _all_colours_known(picture, table)):
            return picture
    elif picture.mode == "F" or picture.mode.startswith("I"):
        return picture
    see_through = "A" in picture.mode or "transparency" in picture.info
    return picture.convert("RGBA" if see_through else "RGB")


def _all_colours_known(picture: Image.Image, table: Table) -> bool:
    """Whether the values of a grey or palette picture have each a colour of the table."""
    colours = [red << 16 | green << 8 | blue
               for _, (red, green, blue) in picture.convert("RGB").getcolors(256)]
    return (len(colours) == len(picture.getcolors(256))  # else a palette without meaning
            and all(colour in table.colours or colour == CREAM for colour in colours))


def _by_value(pixels: np.ndarray, table: Table, path: Path) -> tuple[list[str], np.ndarray]:
    whole = (abs(pixels) < 1e9) & (pixels == np.round(pixels))  # not so for NaN
    if not whole.all():
        raise InputError(f"{path}: values such as {pixels[~whole][0]} are no classes; save whole "
                         "numbers")
    pixels = pixels.astype(np.int64)
    known = {0: BACKGROUND, IGNORE: IGNORED, **table.values}
    found, counts = np.unique(pixels, return_counts=True)
    if strange := [value for value in found.tolist() if value not in known]:
        listed = ", ".join(f"{value} ({count} pixels)" for value, count in
                           zip(found.tolist()[:20], counts.tolist(), strict=False))
        lines = " ".join(f"{value},NAME" for value in strange[:20])
        raise InputError(f"{path}: value {strange[0]} is not in the table; found {listed}. Add "
                         f"to the table, a line each: {lines}")
    names = sorted({known[value] for value in found.tolist()})
    place = {value: names.index(known[value]) for value in found.tolist()}
    return names, np.array([place[value] for value in found.tolist()])[
        np.searchsorted(found, pixels)]


def _by_colour(pixels: np.ndarray, table: Table, edges: str, path: Path,
               ) -> tuple[list[str], np.ndarray]:
    if not table.colours:
        raise InputError(f"{path}: a colour picture, but the table has only values; give it lines "
                         "`colour,name`, such as `#ff00ff,snow`")
    known = {0: BACKGROUND, CREAM: IGNORED, **table.colours}
    names = sorted({BACKGROUND, IGNORED, *known.values()})
    colours = np.array([(code >> 16, code >> 8 & 255, code & 255) for code in known]
                       + [(0, 0, 0)], np.int32)  # the last one is what is transparent
    meanings = np.array([names.index(name) for name in (*known.values(), BACKGROUND)], np.uint8)
    codes = pixels[..., 0].astype(np.uint32) << 16
    codes |= pixels[..., 1].astype(np.uint32) << 8
    codes |= pixels[..., 2]
    places = np.full(codes.shape, -1, np.int16)  # of the pixels' colours in `colours`
    for place, code in enumerate(known):
        places[codes == code] = place
    if pixels.shape[2] == 4:  # what is transparent is not drawn; half so is a smooth edge
        opacity = pixels[..., 3]
        places[opacity == 0] = len(known)
        places[(opacity > 0) & (opacity < 255)] = -1
        codes |= (255 - opacity.astype(np.uint32)) << 24
    rows, columns = np.nonzero(places < 0)
    if not len(rows):
        return names, meanings[places]
    blends = pixels[rows, columns].astype(np.int32)
    if pixels.shape[2] == 4:  # as it looks on black
        blends = blends[:, :3] * blends[:, 3:] // 255
    _refuse_unknown(codes, places, rows, columns, blends, colours, path)
    if edges == "nearest":
        places[rows, columns] = _nearest_neighbour(places, rows, columns, blends, colours)
    classes = meanings[places]
    if edges == "ignore":
        classes[rows, columns] = names.index(IGNORED)
    return names, classes


def _refuse_unknown(codes: np.ndarray, places: np.ndarray, rows: np.ndarray, columns: np.ndarray,
                    blends: np.ndarray, colours: np.ndarray, path: Path) -> None:
    """Refuse colours that are no smooth edge but of a class that the table lacks."""
    found, first, counts = np.unique(codes[rows, columns], return_index=True, return_counts=True)
    wide = ndimage.minimum_filter(places < 0, THICKEST_EDGE + 1)
    around = np.pad(codes, 1, constant_values=0xFFFFFFFF)
    plain = np.logical_and.reduce([around[rows + down, columns + across] == codes[rows, columns]
                                   for down in range(3) for across in range(3)])
    occurring = colours[np.unique(places[places >= 0])]
    refused = np.isin(found, codes[wide]) | np.isin(found, codes[rows, columns][plain])
    for index in np.flatnonzero(~refused & (counts >= MANY_TIMES)):
        refused[index] = _distance_to_blends(blends[first[index]], occurring) > OFF_BLEND
    if len(rows) > MANY_EDGES * codes.size:
        refused[counts.argmax()] = True
    if not refused.any():
        return
    # Named are the most frequent one, and others that are no edges between the unknown classes.
    listed = sorted(zip(counts[refused].tolist(), found[refused].tolist(), strict=True))[::-1][:20]
    first, *others = (f"#{code & 0xFFFFFF:06x}{' half transparent' if code >> 24 else ''}"
                      for count, code in listed if count >= min(MANY_TIMES, listed[0][0]))
    also = f"; likewise {', '.join(others)}" if others else ""
    raise InputError(f"{path}: colour {first} fills a region but is not in the table{also}; give "
                     "each a line `colour,name`, and draw it opaque")


def _distance_to_blends(colour: np.ndarray, colours: np.ndarray) -> float:
    """How far a colour is from the nearest blend of two of `colours` (places, 3).

    Some programs blend the stored numbers, others the light that they stand for.
    """
    distances = []
    for gamma in (1, 2.2):
        blend, known = (255 * (values / 255) ** gamma for values in (colour, colours))
        starts, along = known[:, None], known[None] - known[:, None]
        share = ((blend - starts) * along).sum(axis=-1) / np.maximum((along**2).sum(axis=-1), 1)
        nearest = starts + share.clip(0, 1)[..., None] * along
        distances.append(np.sqrt(((blend - nearest) ** 2).sum(axis=-1)).min(initial=np.inf))
    return float(min(distances))


def _nearest_neighbour(places: np.ndarray, rows: np.ndarray, columns: np.ndarray,
                       blends: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """For pixels of smooth edges the nearest of the colours that touch them, else come close.

    Of those alone: half way from black to magenta lies a purple that may be nearer to the colour
    of a third class.
    """
    best = np.full(len(rows), -1, np.int16)
    least = np.full(len(rows), np.iinfo(np.int32).max, np.int32)
    for reach in range(1, THICKEST_EDGE + 1):
        left = np.flatnonzero(best < 0)
        if not len(left):
            break
        around = np.pad(places, reach, constant_values=-1)
        for down in range(2 * reach + 1):
            for across in range(2 * reach + 1):
                place = around[rows[left] + down, columns[left] + across]
                distance = ((blends[left] - colours[place]) ** 2).sum(axis=1)
                closer = (place >= 0) & (distance < least[left])
                best[left[closer]], least[left[closer]] = place[closer], distance[closer]
    return best


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
    mark = ";" if lines and ";" in lines[0][1] else ","  # some spreadsheets write semicolons
    header = [{"color": "colour"}.get(cell, cell) for cell in
              (lines[0][1].lower().replace(" ", "").split(mark) if lines else [])]
    if len(header) > 1 and sorted(header) in (["name", "value"], ["colour", "name"],
                                              ["colour", "name", "value"]):
        for number, line in lines[1:]:
            where = f"{path}, line {number}"
            try:
                cells = next(csv.reader([line], delimiter=mark, strict=True))
            except csv.Error as error:
                raise InputError(f"{where}: {line[:60]!r} is no line of a CSV ({error})") from None
            if len(cells) < len(header):
                raise InputError(f"{where}: {line[:60]!r} has not {len(header)} cells")
            _enter(table, dict(zip(header, cells, strict=False)), where)
    else:
        lines = [(number, line) for number, line in lines if not line.startswith("#")]
        for row, (number, line) in enumerate(lines):
            parts = line.split(":")
            if len(parts) < 2:
                raise InputError(f"{path}, line {number}: {line[:60]!r}; a table begins with the "
                                 "line `value,name` or `colour,name`, or is CVAT's labelmap.txt")
            # One-channel pictures hold the row.
            _enter(table, {"name": parts[0], "colour": parts[1].replace(",", " "),
                           "value": str(row)}, f"{path}, line {number}")
    if not table.order:
        raise InputError(f"{path}: the table names no class")
    return table


def _enter(table: Table, cells: dict[str, str], where: str) -> None:
    """Put a line into the table: what its value, its colour, or both mean."""
    name, value, colour = (cells.get(key, "").strip() for key in ("name", "value", "colour"))
    if name.lower() in (BACKGROUND, IGNORED, ""):
        name = name.lower() or IGNORED
    elif name not in table.order:
        table.order.append(name)
    if not value and not colour:
        raise InputError(f"{where}: {name!r} has no value and no colour")
    if value and not re.fullmatch("[0-9]{1,5}", value):
        raise InputError(f"{where}: value {value!r} is no whole number from 0 on")
    for key, meanings in ((int(value) if value else None, table.values),
                          (_colour_code(colour, where) if colour else None, table.colours)):
        if key in meanings:
            raise InputError(f"{where}: {list(cells.values())} stands in the table twice")
        if key is not None:
            meanings[key] = name


def _colour_code(text: str, where: str) -> int:
    text = text.strip()
    if re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        return int(text[1:], 16)
    parts = text.split()
    if re.fullmatch("[0-9]{1,3} +[0-9]{1,3} +[0-9]{1,3}", text) and max(map(int, parts)) < 256:
        red, green, blue = map(int, parts)
        return red << 16 | green << 8 | blue
    raise InputError(f"{where}: colour {text!r} is neither #rrggbb nor three numbers to 255")
