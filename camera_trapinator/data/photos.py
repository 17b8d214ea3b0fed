"""The one place that opens a photo: EXIF, colour modes, size and decode rule.

Photos come out upright, RGB and uint8. Training, validation, test and a notebook all read through
these functions, so that none of them can drift apart.
"""

import os
import re
import struct
import sys
import warnings
from datetime import datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from .. import InputError
from .progress import progress

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
# What lies beside photos and is none that can be read here; it is told, with what to do about it.
OTHER_SUFFIXES = {
    **dict.fromkeys((".mp4", ".avi", ".mov", ".m4v", ".mts", ".mpg", ".mpeg", ".wmv", ".mkv",
                     ".3gp", ".asf"), "videos: cut frames out of them"),
    **dict.fromkeys((".heic", ".heif", ".avif", ".webp", ".bmp", ".gif", ".jp2", ".jfif", ".dng",
                     ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"),
                    "pictures of another kind: convert them to JPEG"),
}
# What systems keep deleted files and thumbnails in: Linux, Windows, macOS, Synology, QNAP.
SYSTEM_FOLDER = re.compile(
    r"\..*|\$RECYCLE\.BIN|RECYCLER|System Volume Information|lost\+found|__MACOSX|@eaDir|"
    r"#recycle|@Recycle|@Recently-Snapshot", re.IGNORECASE)
RESULTS = "predictions*.jsonl"  # a folder with this is one of results, with pictures of photos
# What Pillow raises on damaged files, by its own tests and by files met in the wild.
UNREADABLE = (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError,
              OverflowError, MemoryError, struct.error, Image.DecompressionBombError)
DEPTHS = (8, 10, 12, 14, 16, 24, 32)  # bits a pixel
PACKED = (10, 12, 14)  # those that a file stores only on purpose
BITS_PER_SAMPLE = 258  # TIFF's
ORIENTATION_TAG, EXIF_IFD, GPS_IFD = 0x0112, 0x8769, 0x8825
DATETIME_TAGS = ((EXIF_IFD, 36867), (EXIF_IFD, 36868), (None, 306))  # original, digitized, edited
EXIF_TIME = re.compile(
    r"(\d{4})([:/-])(\d\d)[:/-](\d\d)(?: +|T)(\d\d?):(\d\d)(?::(\d\d)(?:\.\d+)?)?(?![:\d])"
    r"\s*(?:([AaPp])\.?\s?[Mm]\b\.?)?\s*(?:Z\b|[A-Z]{2,4}T\b|UTC\b)?([^\0]*)", re.ASCII)
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
NAMED_MONTH = re.compile(r"(\d\d?)[- ]([A-Za-z]{3})[- ](\d{4})(?=[ T])", re.ASCII)
CONVERT = "convert it to 8 bits, such as by ImageMagick: magick in.tif -auto-level -depth 8 out.jpg"
DEEP = re.compile("(?:RGB|RGBA|RGBX|CMYK);16[LBN]")  # how Pillow calls 16 bits a channel
OTHER_BYTE = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}
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


# --------------------------------------------------------------------------------------- size rule


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


# ------------------------------------------------------------------------------------------ photos


class PhotoFolder(NamedTuple):
    """What lies below a folder."""

    photos: list[str]  # sorted paths relative to the folder, with forward slashes
    passed_over: dict[str, list[str]]  # paths by what they are and what to do about it


def look_below(folder: str | Path, results: Path | None = None) -> PhotoFolder:
    """The photos below a folder, in any case of .jpg .jpeg .png .tif .tiff, and what is none.

    Not looked into are links to folders, the folders of the system (trash, thumbnails), those that
    nobody may read, and those of results: `results`, and others in which predictions lie. macOS's
    `._` shadows are no photos. A folder with the name of a photo is taken for a damaged one, so
    that it is told, and searched as well.
    """
    root, photos, passed_over = Path(folder), [], {}

    def pass_over(what: str, path: Path) -> None:
        passed_over.setdefault(what, []).append(path.relative_to(root).as_posix())

    def unreadable(error: OSError) -> None:
        pass_over("folders that cannot be read", Path(error.filename))

    walk = progress(os.walk(root, onerror=unreadable), "looking", unit="folders",
                    note=lambda _: f"{len(photos):,} photos found")
    for parent, folders, names in walk:
        here = Path(parent)
        if here != root and (any(fnmatch(name, RESULTS) for name in names)
                             or results and here.resolve() == results.resolve()):
            pass_over("folders of results", here)
            folders.clear()
            continue
        for name in folders + names:
            ending = os.path.splitext(name)[1].lower()
            if ending in PHOTO_SUFFIXES and not name.startswith("._"):
                photos.append((here / name).relative_to(root).as_posix())
            elif ending in OTHER_SUFFIXES and not name.startswith("._"):
                pass_over(OTHER_SUFFIXES[ending], here / name)
        for name in list(folders):
            if SYSTEM_FOLDER.fullmatch(name):
                pass_over("folders of the system (trash, thumbnails)", here / name)
                folders.remove(name)
            elif (here / name).is_symlink():
                pass_over("links to folders: give what they lead to by itself", here / name)
                folders.remove(name)
    return PhotoFolder(sorted(photos), passed_over)


def find_photos(folder: str | Path) -> list[str]:
    """The photos below a folder, see `look_below`: sorted paths relative to it, forward slashes."""
    return look_below(folder).photos


def read_photo(path: str | Path, working_scale: int = 0) -> Photo:
    """Read a photo upright, as RGB, with its long side scaled to `working_scale` pixels.

    Large JPEGs are decoded at the smallest 1/2, 1/4 or 1/8 scale that is still at least the
    wanted size (libjpeg does that in the frequency domain, 3 to 5 times faster than in full) and
    then reduced with an antialiased filter. Palette, grayscale, CMYK, 16-bit and float photos (see
    `_eight_bits`) become RGB; of a file with several pages the first counts. Raises InputError with
    the reason.
    """
    try:
        with open_picture(path) as image:
            return photo_of(image, working_scale)
    except UNREADABLE as error:
        raise InputError(f"{path}: cannot be read as a photo ({reason_of(error)})") from error


def photo_of(image: Image.Image, working_scale: int = 0) -> Photo:
    """The same for a picture that Pillow has open: upright, RGB, scaled."""
    deep = sixteen_bits(image)  # before the EXIF, for which Pillow loads a PNG
    exif = _exif(image)
    turn = UPRIGHT.get(_orientation(image, exif))
    lying = turn in (UPRIGHT[5], UPRIGHT[6], UPRIGHT[7], UPRIGHT[8])
    width, height = image.size
    target = scaled_size(width, height, working_scale)
    draft = image.draft(None, target)  # JPEG only; other formats ignore it
    box = draft[1] if draft else None  # 1281 pixels become 640.5, stored as 641
    pixels = _rgb(image, deep)
    if pixels.size != target:
        pixels = pixels.resize(target, Image.Resampling.BILINEAR, box)  # antialiased reduction
    if turn is not None:
        pixels = pixels.transpose(turn)
    if lying:
        width, height = height, width
    return Photo(np.array(pixels), width, height, _datetime(exif))


class Header(NamedTuple):
    """What a photo's file tells without its pixels being decoded."""

    size: tuple[int, int]  # width and height of the upright photo
    stored: tuple[int, int]  # and as they are in the file
    orientation: int | None  # EXIF's
    datetime: str  # as of `read_datetime`


def read_header(path: str | Path) -> Header:
    """The header of a photo's file. Raises InputError with the reason if it is no photo."""
    try:
        with open_picture(path) as image:
            exif = _exif(image)
            orientation, stored = _orientation(image, exif), image.size
            moment = _datetime(exif)
    except UNREADABLE as error:
        raise InputError(f"{path}: cannot be read as a photo ({reason_of(error)})") from error
    lying = orientation in (5, 6, 7, 8)
    return Header(stored[::-1] if lying else stored, stored, orientation, moment)


def photo_size(path: str | Path) -> tuple[int, int]:
    """Width and height of the upright photo, from the file's header alone.

    Raises InputError with the reason if the file is no photo.
    """
    return read_header(path).size


def stored_orientation(path: str | Path) -> int:
    """EXIF's orientation as it stands in the photo's file, TIFFs too; 1 = upright, and where there
    is none. Raises InputError with the reason if the file is no photo."""
    try:
        with open_picture(path) as image:
            orientation = _exif(image).get(ORIENTATION_TAG)
    except UNREADABLE as error:
        raise InputError(f"{path}: cannot be read as a photo ({reason_of(error)})") from error
    return orientation if orientation in UPRIGHT else 1


def read_datetime(path: str | Path) -> str:
    """`YYYY-MM-DD HH:MM:SS` from the photo's EXIF, or "" where it has none (or is no photo)."""
    try:
        with open_picture(path) as image:
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
        with open_picture(path) as image:
            return bool(_exif(image).get_ifd(GPS_IFD).get(2))  # GPSLatitude
    except UNREADABLE:
        return False


def upright(mask: np.ndarray, orientation: int | None) -> np.ndarray:
    """Turn a mask that was drawn on a photo as stored the way the photo's EXIF turns the photo."""
    turn = UPRIGHT.get(orientation)
    return mask if turn is None else np.asarray(Image.fromarray(mask).transpose(turn))


def open_picture(path: str | Path) -> Image.Image:
    with warnings.catch_warnings():  # damaged EXIF makes Pillow chatty; the pixels still count
        warnings.simplefilter("ignore")
        try:
            return Image.open(path)
        except UnidentifiedImageError:
            try:
                TiffImagePlugin.TiffImageFile(path)
            except SyntaxError as reason:  # a TIFF, but of numbers that Pillow does not read
                if "unknown pixel mode" in str(reason):
                    raise OSError("a TIFF of other pixels than 8 or 16 bits a channel, such as "
                                  f"floats in colour; {CONVERT}") from None
            except UNREADABLE:
                pass
            raise


def _rgb(image: Image.Image, deep: np.ndarray | None) -> Image.Image:
    if image.mode.startswith(("I", "F")):  # 16-bit and float
        image = Image.fromarray(_eight_bits(image))
    elif deep is not None:
        white = _white(int(deep[..., :3].max()))
        shades = (np.arange(2**16) * (255 / white)).clip(0, 255).round().astype(np.uint8)
        image = Image.fromarray(shades[deep], image.mode)
    return image if image.mode == "RGB" else image.convert("RGB")


def sixteen_bits(image: Image.Image) -> np.ndarray | None:
    """The values of a colour picture of 16 bits a channel, uint16 (height, width, channels); None
    for other pictures. Pillow itself gives the upper 8 bits of them alone.

    The lower 8 bits are what Pillow gives when it is told that the file has them first. Raises
    ValueError for kinds of which it cannot be told so.
    """
    if image.mode not in ("RGB", "RGBA", "RGBX", "CMYK"):
        return None
    tiles = [(tile, tile.args if isinstance(tile.args, str) else str((tile.args or [""])[0]))
             for tile in getattr(image, "tile", ())]
    bits = image.tag_v2.get(BITS_PER_SAMPLE, (8,)) if image.format == "TIFF" else (8,)
    if not tiles or max(bits) <= 8 and not any(";16" in raw for _, raw in tiles):
        return None  # or it is loaded already
    if not image.filename or not all(DEEP.fullmatch(raw) for _, raw in tiles):
        raise ValueError(f"16 bits a channel of a kind that is not read here; {CONVERT}")
    with open_picture(image.filename) as again:
        again.tile = []
        for tile, raw in tiles:
            raw = raw[:-1] + OTHER_BYTE[raw[-1]]
            args = raw if isinstance(tile.args, str) else (raw, *tile.args[1:])
            again.tile.append(tile._replace(args=args))
        low = np.asarray(again)
    return np.asarray(image).astype(np.uint16) << 8 | low


def _eight_bits(image: Image.Image) -> np.ndarray:
    """The grey values of a 16-bit, 32-bit or float picture as uint8 (height, width).

    White is what the bits in use can hold, not the brightest pixel: photos of one camera keep one
    scale. A TIFF of 12 bits a pixel says so itself. Cameras and converters also store 10, 12 or 14
    bits in 16 and tell nobody; there the least of these depths that holds the brightest pixel
    counts (of 16 bits, which would make such a photo black, only if one has used more than 14).
    Floats of at most 1 are shares of white, others are taken like whole numbers; raises ValueError
    where they can be neither.
    """
    values = np.asarray(image)
    told = image.tag_v2.get(BITS_PER_SAMPLE, (0,))[0] if image.format == "TIFF" else 0
    if image.mode == "F":
        values = np.nan_to_num(values, nan=0, posinf=0, neginf=0)
    most = float(values.max(initial=0))
    if image.mode == "F" and most <= 1.1:  # a little more than 1 is what scaling leaves
        white = 1
    elif image.mode == "F" and most < 16 and (values % 1).any():
        raise ValueError(f"floats up to {most:g} are neither shares of white (0 to 1) nor numbers "
                         f"of 8 bits or more; {CONVERT}")
    else:
        white = 2**told - 1 if told in PACKED else _white(int(most))
    return (values.astype(np.float32) * np.float32(255 / white)).clip(0, 255).round().astype(
        np.uint8)


def _white(most: int) -> int:
    """What the bits in use can hold, by the brightest pixel; see `_eight_bits`."""
    return 2 ** next((bits for bits in DEPTHS if most < 2**bits), 32) - 1


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

    Accepts `:`, `-` and `/` in the date, or an English month (04-Jul-2023), and AM or PM behind the
    time; seconds may be missing (0). Drops NULs, fractions of seconds and zone suffixes: the
    camera's wall clock is kept as it is. Other letters behind the time may be the AM or PM of
    another language: no time then. Source: the EXIF standard, tag 36867, and the rules of
    MegaDetector's `exif` tools.
    """
    text = text.strip("\0 ")
    if (named := NAMED_MONTH.match(text)) and named[2].lower() in MONTHS:
        day, month = int(named[1]), MONTHS.index(named[2].lower()) + 1
        text = f"{named[3]}-{month:02}-{day:02}{text[named.end():]}"
    match = EXIF_TIME.match(text)
    if not match or any(character.isalpha() for character in match[9]):
        return ""
    year, mark, month, day, digits, minute, second, half, _ = match.groups()
    hour = int(digits)
    if half:
        after_noon = half in "pP"
        if hour > 12 and not after_noon or hour == 0 and after_noon:
            return ""
        hour = hour % 12 + 12 * after_noon if hour <= 12 else hour  # 14:30 PM is what it says
    elif len(digits) == 1 and mark == ":":  # EXIF has two digits: here AM or PM may be lost
        return ""
    try:
        time = datetime(int(year), int(month), int(day), hour, int(minute), int(second or 0))
    except ValueError:  # no such day or hour
        return ""
    return str(time) if time.year > 2000 else ""


def reason_of(error: BaseException) -> str:
    """One line for an exception, without the path that the message already begins with."""
    text = str(error).split(" b'")[0].split("\n")[0]
    if isinstance(error, Image.UnidentifiedImageError):
        return "not a picture, or damaged beyond recognition"
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, IsADirectoryError):
        return "a folder, not a file"
    return text or type(error).__name__
