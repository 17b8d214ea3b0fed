"""Photos with the predicted mask drawn on them, and a legend below."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from .. import InputError
from ..photos import IGNORE, palette, read_photo, resize_mask
from . import mask_of, output_path, read_records

INK, PAPER = (240, 240, 240), (24, 24, 24)


def write_overlays(records_path: str | Path, photos_root: str | Path, folder: str | Path,
                   long_side: int = 1280) -> None:
    """Write `<folder>/<photo's path>.jpg`, at most `long_side` pixels, for each predicted photo."""
    info, records = read_records(records_path)
    names = [item["name"] for item in info["classes"]]
    colours = [tuple(item["colour"]) for item in info["classes"]]
    for record in records:
        if record["failure"] is not None:
            continue
        scale = min(long_side, max(record["width"], record["height"]))
        try:
            image = read_photo(Path(photos_root) / record["file"], scale).image
        except InputError:  # gone since it was predicted: the record still stands
            continue
        picture = draw_mask(image, mask_of(record), colours)
        shares = np.array(record["pixels"]) / sum(record["pixels"])
        entries = [(f"{names[index]} {shares[index]:.1%}", colours[index])
                   for index in np.flatnonzero(shares[1:] > 0) + 1]
        caption = f"{record['file']}   confidence {record['confidence']:.2f}"
        picture = add_legend(picture, caption, entries or [("empty", None)])
        picture.save(output_path(Path(folder), record["file"], ".jpg"), quality=85)


def draw_mask(image: np.ndarray, mask: np.ndarray, colours: list[tuple[int, int, int]],
              ) -> Image.Image:
    """The photo, uint8 (H, W, 3), with every class but the background tinted and outlined.

    `mask`: class indices of any size with the photo's aspect ratio.
    """
    height, width = image.shape[:2]
    mask = resize_mask(mask, width, height)
    table = palette([visible(colour) for colour in colours]).astype(np.float32)
    tinted = image.astype(np.float32)
    inside = mask > 0
    tinted[inside] = 0.6 * tinted[inside] + 0.4 * table[mask[inside]]
    # The edge between any two classes, two pixels wide or more on large pictures.
    thickness = max(2, round(max(height, width) / 400))
    edge = (ndimage.maximum_filter(mask, thickness + 1)
            != ndimage.minimum_filter(mask, thickness + 1))
    names = ndimage.maximum_filter(np.where(mask == IGNORE, 0, mask), thickness + 1)
    edge &= names > 0
    tinted[edge] = table[names[edge]]
    return Image.fromarray(tinted.astype(np.uint8))


def add_legend(picture: Image.Image, caption: str,
               entries: list[tuple[str, tuple[int, int, int] | None]]) -> Image.Image:
    """The picture with a strip below: the caption, then a coloured square and name per class."""
    size = max(11, picture.width // 60)
    font = ImageFont.load_default(size)
    gap = size // 2
    strip = 2 * size + 3 * gap
    sheet = Image.new("RGB", (picture.width, picture.height + strip), PAPER)
    sheet.paste(picture, (0, 0))
    draw = ImageDraw.Draw(sheet)
    top = picture.height + gap
    draw.text((gap, top), fit(caption, font, picture.width - 2 * gap), INK, font)
    left, top = gap, top + size + gap
    for name, colour in entries:
        if colour is not None:
            draw.rectangle((left, top + 2, left + size, top + size), visible(colour))
            left += size + gap
        draw.text((left, top), name, INK, font)
        left += font.getlength(name) + 2 * gap
    return sheet


def fit(text: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    """The text, its beginning cut where it is too long: the end of a path tells most."""
    while font.getlength(text) > width and len(text) > 4:
        text = "…" + text[2:]
    return text


def visible(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    """A class colour that shows on a dark photo: near-black becomes magenta."""
    return (255, 0, 255) if max(colour) < 60 else tuple(colour)
