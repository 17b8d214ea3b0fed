"""What overlays and sheets draw with: tinted photos, maps, legends, text; one picture a photo."""

import re
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from .. import InputError, written_whole
from ..data.files import fitting_name
from ..data.masks import palette, resize_mask
from ..data.photos import read_photo
from ..data.threads import in_threads
from .people import EVERYBODY, People
from .records import Classes


def output_path(folder: str | Path, file: str, ending: str) -> Path:
    """Where the output of a photo goes: the same tree, the whole name and an ending.

    So `a.jpg` and `a.png` do not meet. A name that is too long with its ending is cut short, see
    `fitting_name`. Raises InputError for a path that would leave the folder,
    by `..`, from the root, or through a symbolic link.
    """
    path = Path(folder) / file
    path = path.with_name(fitting_name(path.name, ending))
    if not path.resolve().is_relative_to(Path(folder).resolve()):
        raise InputError(f"{file}: this path leads out of {folder}; photos must lie below the "
                         "folder that is predicted")
    return path


def write_pictures(records: Iterable[dict], photos_root: str | Path, folder: str | Path,
                   long_side: int, draw: Callable[[dict, np.ndarray], Image.Image],
                   people: People = EVERYBODY) -> None:
    """Write `<folder>/<photo's path>.jpg` for each predicted photo: `draw` of its record and of its
    image, uint8 (H, W, 3), of at most `long_side` pixels, on which `people` are not to be seen.

    Failed photos get none, nor do those that have gone since. Raises InputError for a record
    whose path leads out of the folder.
    """
    def write(record: dict) -> None:
        if record["failure"] is not None:
            return
        path = output_path(folder, record["file"], ".jpg")
        if people.hides(there := people.in_record(record)):
            path.unlink(missing_ok=True)  # it may be there from a time when it was shown
            return
        scale = min(long_side, max(record["width"], record["height"]))
        try:
            image = read_photo(Path(photos_root) / record["file"], scale).image
        except InputError:  # a card taken out must not cost the other pictures
            return
        with written_whole(path) as temporary:
            draw(record, people.shown(image, there)).save(temporary, format="JPEG", quality=85)

    for _ in in_threads(write, records):
        pass


# ----------------------------------------------------------------------------------------- drawing


INK, PAPER = (240, 240, 240), (24, 24, 24)
font_of = cache(ImageFont.load_default)  # the font that comes with Pillow, by size in pixels


def draw_overlay(image: np.ndarray, mask: np.ndarray, classes: Classes) -> Image.Image:
    """The photo, uint8 (H, W, 3), with every class but the background tinted and outlined.

    `mask`: class indices, uint8, of any size with the photo's aspect ratio. The outline lies
    just inside, in the class's colour; a thin line around it, light around dark colours and dark
    around light ones, sets it off from any background.
    """
    height, width = image.shape[:2]
    mask = resize_mask(mask, width, height)
    if not mask.any():
        return Image.fromarray(image)
    line = max(1, round(max(height, width) / 500))  # in pixels
    margin = line + 1
    places = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    part = tuple(slice(max(0, side[0] - margin), side[-1] + 1 + margin) for side in places)
    picture = image.copy()
    picture[part] = _tint(picture[part], mask[part], classes, line)
    return Image.fromarray(picture)


def _tint(image: np.ndarray, mask: np.ndarray, classes: Classes, line: int) -> np.ndarray:
    colours = palette([visible(colour) for _, colour in classes])
    dark = colours @ (0.3, 0.6, 0.1) < 110
    lines_around = np.where(dark[:, None], np.uint8(255), np.uint8(0))  # (256, 1)
    inside = mask > 0
    highest = ndimage.maximum_filter(mask, 2 * line + 1)
    lowest = ndimage.minimum_filter(mask, 2 * line + 1)
    edge = inside & (highest != lowest)
    around = ndimage.maximum_filter(mask, 2 * max(1, line // 2) + 1)
    around[inside] = 0
    image = image.copy()
    image[inside] = 0.65 * image[inside] + 0.35 * colours[mask[inside]]
    image[edge] = colours[mask[edge]]
    image[around > 0] = lines_around[around[around > 0]]
    return image


def visible(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    """A class colour that shows on a dark photo: near-black becomes magenta."""
    return (255, 0, 255) if max(colour) < 60 else tuple(colour)


def draw_legend(draw: ImageDraw.ImageDraw, left: float, top: float, width: float,
                entries: Classes, size: int) -> float:
    """Write a coloured square and a text for each entry, in as many lines as the width needs.

    All in pixels; returns where the next line begins. `draw` = None only measures.
    """
    font, gap = font_of(size), size // 2
    x, y = left, top
    for text, colour in entries:
        lines = wrap(text, size, width - size - gap)
        text_width = max(map(font.getlength, lines))
        if x > left and (x + size + gap + text_width > left + width or len(lines) > 1):
            x, y = left, y + size + gap
        if draw is not None:
            draw.rectangle((x, y + 1, x + size - 2, y + size - 1), visible(colour), INK)
        for number, line in enumerate(lines):
            if number:
                y += size + gap
            if draw is not None:
                draw.text((x + size + gap, y), line, INK, font)
        x += size + gap + text_width + 3 * gap
    return y + size + gap if entries else top


def percent(share: float, tenths: bool = False) -> str:
    """A share for people: 7 %, 0.25 %; with `tenths`, to compare shares of one photo: 7.1 %."""
    if tenths:
        return "< 0.1 %" if share < 0.001 else f"{100 * share:.1f} %"
    return f"{100 * share:.0f} %" if share >= 0.01 else f"{100 * share:.2g} %"


def wrap(text: str, size: int, width: float) -> list[str]:
    """The text in lines no wider than `width` pixels, broken after a space or / _ - if possible."""
    font, lines = font_of(size), [""]
    for piece in re.findall(r"[^ /_-]*[ /_-]|[^ /_-]+", text.encode("utf-8", "replace").decode()):
        if font.getlength(lines[-1] + piece.rstrip()) > width and lines[-1]:
            lines.append("")
        for character in piece:
            if font.getlength(lines[-1] + character.rstrip()) > width and lines[-1]:
                lines.append("")
            lines[-1] += character
    return lines


# ---------------------------------------------------------------------------------- a map's colours


@cache
def viridis() -> np.ndarray:
    """The colours from low to high, uint8 (256, 3): evenly spaced to the eye, and in grey too."""
    from matplotlib import colormaps  # takes a while to import

    return (colormaps["viridis"](np.arange(256))[:, :3] * 255).round().astype(np.uint8)


def colour_ends(values: dict) -> tuple[float, float]:
    """The numbers of the first and the last colour, from those that the model was trained on:
    two spreads around the mean, but no further than there were any."""
    low = max(values["low"], values["mean"] - 2 * values["spread"])
    high = min(values["high"], values["mean"] + 2 * values["spread"])
    return low, high


def draw_map(image: np.ndarray, values: np.ndarray, ends: tuple[float, float]) -> Image.Image:
    """The photo, uint8 (H, W, 3), in the colours of `values`, float32 (H, W); grey where NaN."""
    known = ~np.isnan(values)
    share = (np.where(known, values, ends[0]) - ends[0]) / max(ends[1] - ends[0], 1e-30)
    colours = viridis()[(share.clip(0, 1) * 255).round().astype(int)]
    grey = np.asarray(Image.fromarray(image).convert("L"))[..., None]
    mixed = np.where(known[..., None], 0.3 * grey + 0.7 * colours, 0.6 * grey)
    return Image.fromarray(mixed.round().astype(np.uint8))


def colour_bar(width: int, size: int, ends: tuple[float, float], quantity: str) -> Image.Image:
    """The colours from low to high above their numbers and the quantity; `size` of the letters,
    all in pixels."""
    gap, font = size // 2, font_of(size)
    bar = Image.new("RGB", (width, 3 * size + 3 * gap), PAPER)
    ramp = Image.fromarray(viridis()[None]).resize((width - 2 * gap, size))
    bar.paste(ramp, (gap, gap))
    draw = ImageDraw.Draw(bar)
    for step, anchor in ((0, "la"), (0.25, "ma"), (0.5, "ma"), (0.75, "ma"), (1, "ra")):
        number = f"{ends[0] + step * (ends[1] - ends[0]):.3g}"
        sign = {0: "< ", 1: "> "}.get(step, "")  # these colours also stand for all beyond
        draw.text((gap + step * (width - 2 * gap), size + gap + 2), sign + number, INK, font,
                  anchor=anchor)
    draw.text((width / 2, 2 * size + gap + 4), quantity, INK, font, anchor="ma")
    return bar
