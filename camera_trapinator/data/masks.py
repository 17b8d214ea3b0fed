"""The one place that opens a mask or a map: class indices, or numbers, of every pixel."""

import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from .. import IGNORE, InputError
from .manifest import BACKGROUND, Row
from .photos import UNREADABLE, open_picture, reason_of


def read_mask(path: str | Path) -> np.ndarray:
    """Class index of every pixel, uint8 (height, width), exactly as stored; 255 = ignore.

    Palette (P), grey (L), 1-bit and 16-bit PNG or TIFF. Nothing is converted: `convert("L")`
    would turn palette indices 1, 2 into greys 38, 75. Raises InputError for colour pictures and
    JPEGs, which cannot hold class indices, and for indices above 255.
    """
    try:
        with open_picture(path) as image:
            mode, form = image.mode, image.format
            if form == "JPEG":
                raise InputError(f"{path}: a JPEG cannot hold a mask, compression invents class "
                                 "values; export the masks as PNG")
            if mode not in ("P", "L", "1") and not mode.startswith("I"):
                raise InputError(f"{path}: a mask needs one channel of class indices, this one is "
                                 f"a colour picture (mode {mode}); import it with "
                                 "scripts/import_labels.py")
            values = np.array(image)
    except InputError:
        raise
    except UNREADABLE as error:
        raise InputError(f"{path}: cannot be read as a mask ({reason_of(error)})") from error
    if values.itemsize > 1 and values.size and (values.max() > 255 or values.min() < 0):
        raise InputError(f"{path}: value {values.max()} found in the mask, class indices go from "
                         "0 to 254 (255 = ignore)")
    return values.astype(np.uint8, copy=False)


def write_mask(file: str | Path | BinaryIO, mask: np.ndarray,
               colours: list[tuple[int, int, int]] | None) -> None:
    """Write class indices, uint8 (height, width), as a palette PNG with the classes' colours; as
    an 8-bit grey one without. The value of a pixel is the index in both."""
    if isinstance(file, (str, Path)):
        Path(file).parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.ascontiguousarray(mask, dtype=np.uint8))
    if colours is not None:
        image = image.convert("P")
        image.putpalette(palette(colours).tobytes())
    # Masks are runs of one class: zlib's strategy for runs takes half the time, for no more bytes.
    image.save(file, format="PNG", compress_type=zlib.Z_RLE)


def palette(colours: list[tuple[int, int, int]]) -> np.ndarray:
    """Colour of each mask value, uint8 (256, 3): the classes', black, and 255 (ignore) cream.

    The cream (224, 224, 192) for ignored pixels is that of the PASCAL VOC masks.
    """
    table = np.zeros((256, 3), np.uint8)
    table[: len(colours)] = colours
    table[IGNORE] = (224, 224, 192)
    return table


def resize_mask(mask: np.ndarray, width: int, height: int) -> np.ndarray:
    """Scale class indices to (height, width) by exact nearest neighbour (pixel centres).

    The same as torchvision's NEAREST_EXACT; plain NEAREST shifts a mask by half a pixel. True
    maps are scaled so as well: the mean of an animal at 3 m and the wood at 30 m behind it is a
    distance at which nothing stands, and a pixel without a value would spread to its neighbours.
    """
    if mask.shape == (height, width):
        return mask
    rows, columns = _nearest(mask.shape[0], height), _nearest(mask.shape[1], width)
    return mask.take(rows, axis=0).take(columns, axis=1)  # far quicker than both at once


def _nearest(size: int, new_size: int) -> np.ndarray:
    """The old pixel nearest to each new one; in float32 as in torch, so that ties fall alike."""
    centres = np.arange(new_size, dtype=np.float32) + np.float32(0.5)
    return (centres * (np.float32(size) / np.float32(new_size))).astype(int)


def read_target(row: Row, data_root: Path, height: int, width: int,
                target_scale: float | None = None) -> np.ndarray:
    """The true classes of a photo as stored, uint8; of (height, width) where there is no file.

    With a `target_scale` its true numbers, float32; `background` means 0 everywhere.
    """
    if target_scale is not None:
        if row.mask in ("", BACKGROUND):
            return np.full((height, width), 0 if row.mask else np.nan, np.float32)
        return read_map(data_root / row.mask) * np.float32(target_scale)
    if row.mask in ("", BACKGROUND):
        return np.full((height, width), 0 if row.mask else IGNORE, np.uint8)
    return read_mask(data_root / row.mask)


# -------------------------------------------------------------------------------------------- maps


def read_map(path: str | Path) -> np.ndarray:
    """The number of every pixel as stored, float32 (height, width); NaN = no value.

    Grey 8- and 16-bit PNG or TIFF, in which the largest value (255, 65535) means "no value";
    float TIFF, in which NaN and infinity do; .npy of these types. Raises InputError for anything
    else, such as masks of classes, colour pictures and JPEGs.
    """
    return values_of_map(open_map(path))


def values_of_map(stored: np.ndarray) -> np.ndarray:
    """What `open_map` gives, as float32 with NaN where there is no value."""
    values = stored.astype(np.float32)
    missing = (stored == np.iinfo(stored.dtype).max if stored.dtype.kind == "u"
               else ~np.isfinite(values))
    values[missing] = np.nan
    return values


def open_map(path: str | Path) -> np.ndarray:
    """The pixels of a map's file, (height, width): uint8, uint16 or a float type."""
    try:
        if str(path).lower().endswith(".npy"):
            stored = np.load(path, allow_pickle=False)  # a pickle from a stranger can run code
        else:
            with open_picture(path) as image:
                if image.format == "JPEG":
                    raise InputError(f"{path}: a JPEG cannot hold a map, compression changes its "
                                     "numbers; export the maps as 16-bit PNG or float TIFF")
                if image.mode == "P":
                    raise InputError(f"{path}: a palette picture holds classes, not numbers; set "
                                     "manifest to the table that names the maps, or task: "
                                     "classification")
                if image.mode not in ("L", "F", "I") and not image.mode.startswith("I;16"):
                    raise InputError(f"{path}: a map needs one channel of numbers, this one is a "
                                     f"picture of mode {image.mode}; export the numbers "
                                     "themselves, as 16-bit PNG or float TIFF")
                stored = np.array(image)
                if image.format == "PNG" and image.mode.startswith("I"):
                    stored = stored.astype(np.uint16)  # whatever Pillow makes of 16 bits
    except InputError:
        raise
    except UNREADABLE as error:
        raise InputError(f"{path}: cannot be read as a map ({reason_of(error)})") from error
    stored = np.asarray(stored)
    if stored.ndim != 2 or not stored.size or not (
            stored.dtype.kind == "f" or stored.dtype in (np.uint8, np.uint16)):
        raise InputError(f"{path}: {stored.dtype} numbers of shape {stored.shape} found; a map has "
                         "a height and a width, and holds 8- or 16-bit unsigned whole numbers, or "
                         "floats with NaN = no value")
    return stored


def enlarge_map(values: np.ndarray, width: int, height: int) -> np.ndarray:
    """Scale a predicted map, float32, without NaN, to (height, width): bilinear."""
    if values.shape == (height, width):
        return values
    return np.array(Image.fromarray(values).resize((width, height), Image.Resampling.BILINEAR))
