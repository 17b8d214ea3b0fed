"""The one place that opens a photo, a mask or a map: EXIF, colour modes, size and decode rule.

Photos come out upright, RGB and uint8; masks as class indices; maps as numbers. Training,
validation, test and a notebook all read through these functions, so that none of them can drift
apart.
"""

import math
import os
import re
import struct
import warnings
import zlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image

from . import IGNORE, InputError

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")

# What Pillow raises on damaged files, by its own tests and by files met in the wild.
UNREADABLE = (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError,
              OverflowError, MemoryError, struct.error, Image.DecompressionBombError)

ORIENTATION_TAG, EXIF_IFD, GPS_IFD = 0x0112, 0x8769, 0x8825
DATETIME_TAGS = ((EXIF_IFD, 36867), (EXIF_IFD, 36868), (None, 306))  # original, digitized, edited
UPRIGHT = {  # EXIF orientation -> the turn that sets the photo upright; other values count as 1
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Photo(NamedTuple):
    """A photo as the network sees it, and the facts needed to go back to the file's own size."""

    image: np.ndarray  # uint8 (height, width, 3), RGB, upright, scaled to the working scale
    width: int  # of the upright photo before scaling, in pixels
    height: int
    datetime: str  # `YYYY-MM-DD HH:MM:SS`, the camera's wall clock; empty if it is not known


# ------------------------------------------------------------------------------ size rule


def scaled_size(width: int, height: int, working_scale: int) -> tuple[int, int]:
    """Width and height of a photo at the working scale: one factor for both, never stretched.

    `working_scale` is the long side in pixels; 0 keeps the photo's own size.
    """
    if not working_scale:
        return width, height
    factor = working_scale / max(width, height)
    return max(1, round(width * factor)), max(1, round(height * factor))


def same_aspect(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two (width, height) have one aspect ratio, give or take a pixel of rounding."""
    (width, height), (other_width, other_height) = sorted([size, other])
    return (abs(width * other_height / other_width - height) <= 1
            or abs(height * other_width / other_height - width) <= 1)


# -------------------------------------------------------------------------------- photos


def find_photos(folder: str | Path) -> list[str]:
    """The photos below a folder, in any case of .jpg .jpeg .png .tif .tiff.

    Returns sorted paths relative to the folder, with forward slashes. Links to folders are not
    followed; macOS's `._` shadows are no photos. A folder with the name of a photo is taken for a
    damaged one, so that it is told, and searched as well.
    """
    found = []
    for parent, folders, names in os.walk(folder):
        found += [(Path(parent) / name).relative_to(folder).as_posix() for name in folders + names
                  if name.lower().endswith(PHOTO_SUFFIXES) and not name.startswith("._")]
    return sorted(found)


def read_photo(path: str | Path, working_scale: int = 0) -> Photo:
    """Read a photo upright, as RGB, with its long side scaled to `working_scale` pixels.

    Large JPEGs are decoded at the smallest 1/2, 1/4 or 1/8 scale that is still at least the
    wanted size (libjpeg does that in the frequency domain, 3 to 5 times faster than in full) and
    then reduced with an antialiased filter. 16-bit, palette, grayscale and CMYK photos become
    RGB; of a file with several pages the first counts. Raises InputError with the reason.
    """
    try:
        with _open(path) as image:
            return photo_of(image, working_scale)
    except UNREADABLE as error:
        raise InputError(f"{path}: cannot be read as a photo ({_reason(error)})") from error


def photo_of(image: Image.Image, working_scale: int = 0) -> Photo:
    """The same for a picture that Pillow has open: upright, RGB, scaled."""
    exif = _exif(image)
    turn = UPRIGHT.get(_orientation(image, exif))
    lying = turn in (UPRIGHT[5], UPRIGHT[6], UPRIGHT[7], UPRIGHT[8])
    width, height = image.size
    target = scaled_size(width, height, working_scale)
    draft = image.draft(None, target)  # JPEG only; other formats ignore it
    box = draft[1] if draft else None  # 1281 pixels become 640.5, stored as 641
    pixels = _rgb(image)
    if pixels.size != target:
        pixels = pixels.resize(target, Image.Resampling.BILINEAR, box)  # antialiased reduction
    if turn is not None:
        pixels = pixels.transpose(turn)
    if lying:
        width, height = height, width
    return Photo(np.array(pixels), width, height, _datetime(exif))


def photo_size(path: str | Path, stored: bool = False) -> tuple[int, int]:
    """Width and height of the upright photo (or as `stored`), from the file's header alone.

    Raises InputError with the reason if the file is no photo.
    """
    try:
        with _open(path) as image:
            width, height = image.size
            lying = _orientation(image, _exif(image)) in (5, 6, 7, 8)
    except UNREADABLE as error:
        raise InputError(f"{path}: cannot be read as a photo ({_reason(error)})") from error
    return (height, width) if lying and not stored else (width, height)


def read_datetime(path: str | Path) -> str:
    """`YYYY-MM-DD HH:MM:SS` from the photo's EXIF, or "" where it has none (or is no photo)."""
    try:
        with _open(path) as image:
            return _datetime(_exif(image))
    except UNREADABLE:
        return ""


def is_infrared(image: np.ndarray) -> bool:
    """Whether an RGB picture (height, width, 3) is a night infrared one: grey in 9 of 10 pixels."""
    red, green, blue = image[..., 0], image[..., 1], image[..., 2]
    spread = (np.maximum(np.maximum(red, green), blue)
              - np.minimum(np.minimum(red, green), blue))
    return bool((spread <= 12).mean() >= 0.9)


def fingerprint(image: np.ndarray) -> int | None:
    """256 bits that hardly change when an RGB picture is scaled or compressed anew.

    Each bit says whether a pixel of the picture at 17 x 16 is darker than its right neighbour (a
    difference hash: hackerfactor.com, "Kind of like that"). None for a picture with nothing on it
    (a covered lens, fog), which would be like any other such picture.
    """
    small = Image.fromarray(image).convert("L").resize((17, 16), Image.Resampling.BOX)
    grey = np.asarray(small).astype(int)
    if grey.std() < 4:
        return None
    return int.from_bytes(np.packbits(grey[:, :-1] < grey[:, 1:]).tobytes(), "big")


def has_position(path: str | Path) -> bool:
    """Whether the photo's EXIF tells where it was taken (GPS)."""
    try:
        with _open(path) as image:
            return bool(_exif(image).get_ifd(GPS_IFD).get(2))  # GPSLatitude
    except UNREADABLE:
        return False


def _open(path: str | Path) -> Image.Image:
    with warnings.catch_warnings():  # damaged EXIF makes Pillow chatty; the pixels still count
        warnings.simplefilter("ignore")
        return Image.open(path)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):  # 16-bit and float: bring to 8 bits; no clipping at 255
        values = np.asarray(image).astype(np.float32)
        if image.mode.startswith("I;16") or values.max(initial=0) > 255:
            values = values / 257
        image = Image.fromarray(values.clip(0, 255).round().astype(np.uint8))
    return image if image.mode == "RGB" else image.convert("RGB")


def _exif(image: Image.Image) -> Image.Exif:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return image.getexif()
    except UNREADABLE:  # broken EXIF in a sound photo is common: as if it had none
        return Image.Exif()


def _orientation(image: Image.Image, exif: Image.Exif) -> int | None:
    """The turn that is left to do: Pillow itself sets TIFFs upright as it loads them."""
    return None if image.format == "TIFF" else exif.get(ORIENTATION_TAG)


def _datetime(exif: Image.Exif) -> str:
    for directory, tag in DATETIME_TAGS:
        try:
            text = (exif.get_ifd(directory) if directory else exif).get(tag)
        except UNREADABLE:
            continue
        if time := parse_datetime(str(text or "")):
            return time
    return ""


def parse_datetime(text: str) -> str:
    """EXIF or ISO time as `YYYY-MM-DD HH:MM:SS`; "" for junk such as a reset clock (to 2000).

    Accepts `:`, `-` and `/` in the date; drops NULs, fractions of seconds and zone suffixes:
    the camera's wall clock is kept as it is. Source: the EXIF standard, tag 36867, and the rules
    of MegaDetector's `exif` tools.
    """
    match = re.match(r"(\d{4})[:/-](\d\d)[:/-](\d\d)[ T](\d\d):(\d\d):(\d\d)", text.strip("\0 "))
    if not match:
        return ""
    try:
        time = datetime(*map(int, match.groups()))
    except ValueError:  # no such day or hour
        return ""
    return str(time) if time.year > 2000 else ""


def _reason(error: BaseException) -> str:
    """One line for an exception, without the path that the message already begins with."""
    text = str(error).split(" b'")[0].split("\n")[0]
    if isinstance(error, Image.UnidentifiedImageError):
        return "not a picture, or damaged beyond recognition"
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, IsADirectoryError):
        return "a folder, not a file"
    return text or type(error).__name__


# ---------------------------------------------------------------------------- info strips

TALLEST_STRIP = 0.1  # of the photo's height; real ones take 1 to 7 %
BRIGHTNESS = np.array([0.299, 0.587, 0.114])  # of red, green and blue, as JPEG weighs them


def find_strip(images: Sequence[np.ndarray]) -> tuple[float, float]:
    """Where a camera prints its info strip (time, temperature, logo): at the top and the bottom.

    `images`: some photos of one camera, RGB uint8 (height, width, 3), all of one size, better of
    day and night than of one hour. Returns (top, bottom), the strips' shares of the height, 0
    where there is none: rather none than a wrong one. The rows of a strip are, in every photo, of
    one grey, white or black, with a few glyphs, and end at the same row in a straight edge. Logos
    that stick out into the scene are not counted, nor are boxes that leave part of the row free.
    """
    if not images:
        return 0.0, 0.0
    sides = images, [image[::-1] for image in images]
    # Scenes can be almost as black or white as the paper: then a finer look tells them apart.
    top, bottom = (_strip_at_top(side) or _strip_at_top(side, fine=True) for side in sides)
    return top, bottom


def _strip_at_top(images: Sequence[np.ndarray], fine: bool = False) -> float:
    height = images[0].shape[0]
    # A few rows more than the tallest: the edge must be seen from both sides.
    margins = np.stack([image[:int(TALLEST_STRIP * height) + 5] for image in images]).astype(int)
    papers = np.median(margins[:, :max(2, height // 150)], axis=(1, 2))  # (photos, 3)
    paper = np.median(papers, axis=0)
    same = abs(papers - paper).max(axis=1) <= 6
    if np.ptp(paper) > 12 or (~same).sum() > len(images) // 10:
        return 0.0  # not grey, or not of one grey at day and night
    # Compression leaves traces on the paper, and stores colour so coarsely that the scene's
    # spreads into the strip: brightness alone is safer, a scene in the dark apart.
    grey = margins[same] @ BRIGHTNESS  # (photos, rows, width)
    distance = (abs(margins[same] - paper).max(axis=3) if fine
                else abs(grey - paper @ BRIGHTNESS))
    tolerance = 6 if fine or paper.mean() < 40 else 8
    flat = (distance <= tolerance).mean(axis=2)  # share of paper in each row

    # The strip ends where in some photo a row is hardly paper any more.
    lowest = flat.min(axis=0)
    end = int(np.argmax(lowest < 0.35))
    if lowest[end] >= 0.35 or end < max(4, 0.008 * height) or end + 5 > len(lowest):
        return 0.0
    # Just before the edge most is paper; just behind it next to nothing, in those photos whose
    # scene is not of the paper's colour.
    inside, behind = flat[:, end - 2:end].max(axis=1), flat[:, end:end + 2].min(axis=1)
    ink = (distance[:, :end - 1] > 60).mean(axis=(1, 2))
    if (inside.min() <= 0.6 or (behind < 0.25).mean() < 1 / 3 or ink.min() <= 0.003
            or ink.max() >= 0.5):
        return 0.0

    # The row that scaling has mixed belongs to it, and a thin line that closes off the strip.
    rows = grey[:, end:end + 4]
    middle = np.median(rows, axis=2, keepdims=True)
    plain = ((abs(rows - middle) <= 12).mean(axis=2) > 0.75).all(axis=0)  # (4,)
    line = 0 if plain.all() else int(np.argmin(plain))
    return round((end + max(1, line)) / height, 6)


def strip_rows(strip: tuple[float, float], height: int, scaled_height: int) -> tuple[int, int]:
    """How many rows at the top and the bottom of a scaled photo hold any of its strip.

    `strip`: shares of the photo's `height`. Rounded outward, and where the photo is scaled
    further by the reach of the filter, so that no pixel of the strip is left.
    """
    reach = 0 if scaled_height == height else max(1, scaled_height / height)
    top, bottom = (min(scaled_height, math.ceil(share * scaled_height + reach - 0.01))
                   if share else 0 for share in strip)  # less than 0.01 of a row is rounding
    return top, bottom


# --------------------------------------------------------------------------------- masks


def read_mask(path: str | Path) -> np.ndarray:
    """Class index of every pixel, uint8 (height, width), exactly as stored; 255 = ignore.

    Palette (P), grey (L), 1-bit and 16-bit PNG or TIFF. Nothing is converted: `convert("L")`
    would turn palette indices 1, 2 into greys 38, 75. Raises InputError for colour pictures and
    JPEGs, which cannot hold class indices, and for indices above 255.
    """
    try:
        with _open(path) as image:
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
        raise InputError(f"{path}: cannot be read as a mask ({_reason(error)})") from error
    if values.itemsize > 1 and values.size and (values.max() > 255 or values.min() < 0):
        raise InputError(f"{path}: value {values.max()} found in the mask, class indices go from "
                         "0 to 254 (255 = ignore)")
    return values.astype(np.uint8, copy=False)


def write_mask(file: str | Path | BinaryIO, mask: np.ndarray,
               colours: list[tuple[int, int, int]]) -> None:
    """Write class indices, uint8 (height, width), as a palette PNG with the classes' colours."""
    if isinstance(file, (str, Path)):
        Path(file).parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.ascontiguousarray(mask, dtype=np.uint8)).convert("P")
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


def upright(path: str | Path, mask: np.ndarray) -> np.ndarray:
    """Turn a mask that was drawn on a photo as stored the way the photo's EXIF turns the photo."""
    with _open(path) as image:
        turn = UPRIGHT.get(_orientation(image, _exif(image)))
    return mask if turn is None else np.asarray(Image.fromarray(mask).transpose(turn))


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


# ---------------------------------------------------------------------------------- maps


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
            with _open(path) as image:
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
        raise InputError(f"{path}: cannot be read as a map ({_reason(error)})") from error
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


# ---------------------------------------------------------------- run-length encoded masks


class Runs(NamedTuple):
    """The pixels of a mask that are not 0, in runs of one value down a column; column by column.

    The place of a pixel is column * height + row.
    """

    starts: np.ndarray  # int (n,): place of its first pixel
    ends: np.ndarray  # int (n,): the place behind its last one
    values: np.ndarray  # uint8 (n,)

    def chosen(self, which: np.ndarray) -> "Runs":
        """Some of them, or in another order; `which` is what numpy takes in brackets."""
        return Runs(*(of_all[which] for of_all in self))


NO_RUNS = Runs(*np.zeros((2, 0), int), np.zeros(0, np.uint8))


def runs_of(mask: np.ndarray) -> Runs:
    """The runs of a mask, bool or uint8 (height, width)."""
    height, width = mask.shape
    if not mask.any():
        return NO_RUNS
    # By rows, as the mask lies in memory: to turn it would take longer than all the rest.
    row, column = np.divmod(np.flatnonzero(mask[1:] != mask[:-1]), width)
    first, last = np.flatnonzero(mask[0]), np.flatnonzero(mask[-1])
    tall = height + 1  # what reaches the lowest row ends in a further one
    edges = np.concatenate([first * tall, column * tall + row + 1, last * tall + height])
    edges.sort()
    column, row = np.divmod(edges, tall)
    values = np.where(row < height, mask[np.minimum(row, height - 1), column], 0)
    begins = np.flatnonzero(values)  # each ends at the next edge
    places = edges - column
    return Runs(places[begins], places[begins + 1], values[begins].astype(np.uint8))


def filled(runs: Runs, size: Sequence[int]) -> np.ndarray:
    """The mask of the runs, uint8 (height, width)."""
    height, width = size
    mask = np.zeros((height + 1, width), np.uint8)
    column, row = np.divmod(runs.starts, height)
    mask[row, column] += runs.values
    column, row = np.divmod(runs.ends - 1, height)
    mask[row + 1, column] -= runs.values
    for row in range(1, height):  # adding row to row, as they lie in memory, is fastest by far
        mask[row] += mask[row - 1]
    return mask[:-1]


def encode_rle(mask: np.ndarray) -> dict:
    """A bool mask (height, width) as COCO's compressed run-length encoding, see `encode_runs`."""
    return encode_runs(runs_of(np.asarray(mask, dtype=bool)), mask.shape)


def encode_runs(runs: Runs, size: Sequence[int]) -> dict:
    """The pixels of the runs, whatever their values, as COCO's compressed run-length encoding.

    Returns {"size": [height, width], "counts": text}. Runs go down the columns and begin with
    zeros; each count, from the fourth on as its difference to the count two places before, is cut
    into 5-bit groups (value + 48 as a character, bit 0x20 = more follow).
    Source: cocoapi, common/maskApi.c.
    """
    pixels = size[0] * size[1]
    edges = np.stack([runs.starts, runs.ends], axis=1).ravel()
    touch = np.diff(edges) == 0  # where one run ends another begins: no edge
    edges = edges[~(np.append(touch, False) | np.append(False, touch)) & (edges < pixels)]
    counts = np.diff(edges, prepend=0, append=pixels)
    values = counts.copy()
    values[3:] -= counts[1:-2]
    # Group by group, but all values at once: a mask of plants has a million runs.
    magnitude = np.where(values < 0, ~values, values)
    needed = np.ones(len(values), np.uint8)  # groups of each value; the last one tells the sign
    for bits in range(4, pixels.bit_length(), 5):
        needed += magnitude >= 1 << bits
    starts = needed.cumsum(dtype=np.int64) - needed
    characters = np.empty(needed.sum(), np.uint8)
    for group in range(needed.max()):
        has = needed > group
        characters[starts[has] + group] = (
            48 + (values[has] >> 5 * group & 0x1F) + 0x20 * (needed[has] > group + 1))
    return {"size": list(size), "counts": characters.tobytes().decode("ascii")}


def decode_rle(rle: dict) -> np.ndarray:
    """The bool mask (height, width) of a COCO run-length encoding, see `decode_runs`."""
    return filled(decode_runs(rle), rle["size"]).view(bool)


def decode_runs(rle: dict, value: int = 1) -> Runs:
    """The runs of a COCO run-length encoding, compressed or not, of that `value`.

    `rle` is {"size": [height, width], "counts": text or list of ints}. Raises ValueError if the
    runs do not add up to height x width.
    """
    height, width = rle["size"]
    counts = rle["counts"]
    if isinstance(counts, (str, bytes)):
        counts = _decode_counts(counts if isinstance(counts, str) else counts.decode("ascii"))
    if min(counts, default=0) < 0 or sum(counts) != height * width:
        raise ValueError(f"run lengths add up to {sum(counts)}, not to {height} x {width} pixels")
    edges = np.cumsum(counts, dtype=np.int64)
    starts, ends = edges[:-1:2], edges[1::2]
    full = starts < ends
    starts, ends = starts[full], ends[full]
    # COCO's runs go on at the top of the next column: there they are cut.
    first = starts // height
    pieces = (ends - 1) // height - first + 1
    columns = counted(first, pieces)
    starts = np.maximum(np.repeat(starts, pieces), columns * height)
    ends = np.minimum(np.repeat(ends, pieces), (columns + 1) * height)
    return Runs(starts, ends, np.full(len(starts), value, np.uint8))


def counted(first: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """first[0], first[0] + 1, ...: so many as numbers[0] says; then from first[1] on, and so on."""
    before = numbers.cumsum() - numbers
    return np.arange(numbers.sum()) + np.repeat(first - before, numbers)


def _decode_counts(text: str) -> list[int]:
    if strange := [character for character in set(text) if not 48 <= ord(character) < 112]:
        raise ValueError(f"character {strange[0]!r} does not occur in run-length encodings")
    groups = np.frombuffer(text.encode("ascii"), np.uint8).astype(int) - 48
    ends = np.flatnonzero(groups < 0x20)
    if len(ends) == 0 or ends[-1] + 1 < len(groups):
        raise ValueError("the run-length encoding breaks off in mid-number")
    starts = np.concatenate([[0], ends[:-1] + 1])
    place = np.arange(len(groups)) - np.repeat(starts, ends + 1 - starts)  # in its number
    if place.max() > 6:
        raise ValueError("a run length has more digits than any photo has pixels")
    counts = np.add.reduceat((groups & 0x1F) << 5 * place, starts)
    counts -= np.where(groups[ends] & 0x10, 0x20 << 5 * place[ends], 0)  # a negative one
    for first in (1, 2):
        counts[first::2] = counts[first::2].cumsum()
    return counts.tolist()
