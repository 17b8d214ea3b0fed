"""Faces and places that are planted in photos, and found again in whatever files hold them.

A face is a square of random colours; it is found by the correlation of a picture with it, at many
sizes: nothing of ours has a part in that. Places are found as digits, and as numbers in EXIF.
"""

import base64
import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile, is_zipfile

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import IFDRational
from scipy.ndimage import uniform_filter
from scipy.signal import fftconvolve

# Nobody else's digits: in any file they tell of these.
LATITUDE, LONGITUDE = "51.734951", "-151.926354"
# Than a tenth of a degree. A number begins with its first digit: in 0.0965851,74.6 there is none.
FINER = re.compile(rb"(?<!\d)(?:51[.,]73|51[.,]74|151[.,]92|151[.,]93)")
TIMES = ("images_per_second", "seconds")  # columns of log.csv, in which a clock says any number
SECONDS = 1734951  # of an angle in the EXIF, as a fraction
SECRETS = (b"PLANTED IN A NOTE", b"PLANTED IN XMP", b"PLANTED IN A COMMENT", b"PLANTED OWNER",
           SECONDS.to_bytes(4, "big"), SECONDS.to_bytes(4, "little"), b"GPSL")
FACE = np.random.default_rng(5).choice([0, 255], (6, 6, 3)).astype(np.uint8)
SHRUNK = 4  # so many times smaller are pictures in which a face is looked for
SIZES = np.geomspace(14, 34, 12)  # of the face then, in pixels
SURE = 0.75


def face(size: int) -> np.ndarray:
    """uint8 (size, size, 3)."""
    return np.asarray(Image.fromarray(FACE).resize((size, size), Image.Resampling.NEAREST))


def plant_place(photo: Path, orientation: int = 1) -> None:
    """Write into a JPEG where, by whom and of what it is, in every way that there is."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0112], exif[0x013B] = "RECONYA", orientation, "PLANTED OWNER"
    inner = exif.get_ifd(0x8769)
    inner[0x9003], inner[0x927C] = "2024:05:01 10:00:00", b"PLANTED IN A NOTE"
    gps = exif.get_ifd(0x8825)
    angle = (IFDRational(51), IFDRational(44), IFDRational(SECONDS, 100000))
    gps[1], gps[2], gps[3], gps[4] = "N", angle, "W", angle
    with Image.open(photo) as image:
        image.save(photo, quality=95, exif=exif, comment=b"PLANTED IN A COMMENT",
                   xmp=f'<x exif:GPSLatitude="{LATITUDE}N">PLANTED IN XMP</x>'.encode())


def likeness(picture: np.ndarray) -> float:
    """How like the face the likest place of a picture, uint8 (H, W, 3), is: -1 .. 1."""
    height, width = picture.shape[:2]
    small = np.asarray(Image.fromarray(picture).resize(
        (max(1, width // SHRUNK), max(1, height // SHRUNK)), Image.Resampling.BOX), float)
    best = -1.0
    for size in map(round, SIZES):
        if size > min(small.shape[:2]):
            break
        template = np.asarray(Image.fromarray(FACE).resize((size, size), Image.Resampling.BOX),
                              float)
        template -= template.mean(axis=(0, 1))
        area, product, spread = size * size, 0.0, 0.0
        for channel in range(3):
            plane = small[..., channel]
            product = product + fftconvolve(plane, template[::-1, ::-1, channel], "valid")
            mean, square = (uniform_filter(values, size, mode="constant") for values in (
                plane, plane * plane))
            spread = spread + area * (square - mean * mean).clip(0)
        start = size // 2
        spread = spread[start:start + product.shape[0], start:start + product.shape[1]]
        # Flat places are like nothing.
        spread = np.maximum(spread, 3 * area * 15**2) * (template**2).sum()
        best = max(best, float((product / np.sqrt(spread)).max()))
    return best


def faces_in(folder: Path) -> dict[str, float]:
    """The pictures in all files below a folder that show the face, and how surely."""
    found = {name: likeness(picture) for name, picture in pictures_in(folder)}
    return {name: sure for name, sure in found.items() if sure > SURE}


def pictures_in(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Each picture, uint8 (H, W, 3): in files of their own, in archives, and in pages; what links
    lead to, too."""
    for name, data in parts_of(folder):
        try:
            with Image.open(io.BytesIO(data)) as image:
                yield name, np.array(image.convert("RGB"))
                if "exif" in image.info and (small := image.getexif().get_ifd(1).get(0x0201)):
                    raise AssertionError(f"{name} holds another picture: {small}")
        except OSError:
            continue


def parts_of(folder: Path) -> Iterator[tuple[str, bytes]]:
    """All files, what is packed in them, and what stands in them in base64."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name, data = path.relative_to(folder).as_posix(), path.read_bytes()
            yield name, data
            if is_zipfile(path):
                with ZipFile(path) as archive:
                    for member in archive.namelist():
                        yield f"{name}: {member}", archive.read(member)
            if path.suffix not in (".jpg", ".png", ".pt", ".tif"):
                # As it stands in quotation marks: run lengths look like it, and are none.
                for number, text in enumerate(re.findall(rb'"([A-Za-z0-9+/]{64,}={0,2})"', data)):
                    if len(text) % 4 == 0:
                        yield f"{name}: base64 {number}", base64.b64decode(text)


def without_times(log: bytes) -> bytes:
    """A log.csv whose columns of TIMES are empty."""
    rows = list(csv.DictReader(io.StringIO(log.decode())))
    return json.dumps([{name: "" if name in TIMES else text for name, text in row.items()}
                       for row in rows]).encode()


def places_in(folder: Path) -> list[str]:
    """What tells a planted place more finely than to a tenth of a degree, or another secret."""
    found = []
    for name, data in parts_of(folder):
        # Random bytes of pictures and weights may hold any digits.
        digits = [] if re.search(r"\.(jpe?g|png|pt)$|base64|data/", name.lower()) else (
            FINER.findall(without_times(data) if name.endswith("log.csv") else data))
        if name.endswith("git.txt"):  # code that somebody has changed, perhaps this file
            continue
        found += [f"{name}: {secret}" for secret in (*SECRETS, *digits)
                  if secret in data]
        with_exif = re.search(r"\.(jpe?g|png|tif)$", name.lower())
        if with_exif and Image.open(io.BytesIO(data)).getexif().get_ifd(0x8825):
            found.append(f"{name}: a position in its EXIF")
    return found


