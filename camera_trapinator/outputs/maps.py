"""The outputs of a regression: maps of the numbers, pictures of them, and a table.

A record of prediction holds, beside the facts of every record (see `records.py`),

    mean, low, high, median   of the predicted numbers, in the quantity's unit
    map         the numbers at network size: a 16-bit grey PNG in base64, in which 0 is `low` and
                65535 is `high`

and, from an evaluation, `errors` (the sums of metrics.RegressionErrors). The info line holds
`quantity`, `target_scale` and `values`: mean, spread, low, high of the training targets, and
whether they were stored as whole numbers.
"""

import base64
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from .. import written_whole
from ..data.manifest import BACKGROUND
from ..data.masks import enlarge_map, read_map, resize_mask
from ..data.photos import read_photo
from ..data.progress import named
from .drawing import (
    INK,
    PAPER,
    colour_bar,
    colour_ends,
    draw_map,
    font_of,
    output_path,
    wrap,
    write_pictures,
)
from .people import EVERYBODY, People
from .records import read_records
from .sheets import write_sheet
from .tables import write_table

LARGEST = 65534  # number that a 16-bit map holds; 65535 = no value
NARROWEST = 320  # pixels; narrower photos get a margin, so that the colour bar has room


# ----------------------------------------------------------------------------- one record


def map_record(file: str, values: np.ndarray, *, width: int, height: int, location: str = "",
               datetime: str = "", infrared: bool = False, **extra) -> dict:
    """The record of a photo: `values` float32 (h, w) at network size; its own size in pixels."""
    low, high = float(values.min()), float(values.max())
    steps = np.rint((values - low) * (65535 / max(high - low, 1e-30))).astype(np.uint16)
    png = io.BytesIO()
    Image.fromarray(steps).save(png, format="PNG")
    return {
        "file": file, "location": location, "datetime": datetime, "width": width,
        "height": height, "infrared": infrared, "mean": float(values.mean(dtype=np.float64)),
        "low": low, "high": high, "median": float(np.median(values)),
        "map": base64.b64encode(png.getvalue()).decode("ascii"), "failure": None, **extra,
    }


def values_of(record: dict) -> np.ndarray:
    """The predicted numbers of a record, float32 (h, w) at network size."""
    with Image.open(io.BytesIO(base64.b64decode(record["map"]))) as image:
        steps = np.array(image).astype(np.float64)
    return (record["low"] + steps * ((record["high"] - record["low"]) / 65535)).astype(np.float32)


# ----------------------------------------------------------------------------- the files


@named("maps")
def write_maps(records_path: str | Path, folder: str | Path,
               share: tuple[int, int] = (1, 1)) -> None:
    """Write `<folder>/<photo's path>.png` or `.tif` for each predicted photo; `share`: see
    `read_records`.

    The numbers are divided by `target_scale`, so that they read back as the training maps do:
    whole numbers in a 16-bit PNG if those were whole numbers (what is below 0 becomes 0, as none
    of them was), else a float TIFF.
    """
    info, records = read_records(records_path, share)
    for record in records:
        if record["failure"] is not None:
            continue
        values = values_of(record)
        if info["mask_size"] == "photo":
            values = enlarge_map(values, record["width"], record["height"])
        stored = values / np.float32(info["target_scale"])
        if info["values"]["whole"]:
            with written_whole(output_path(folder, record["file"], ".png")) as path:
                Image.fromarray(np.rint(stored).clip(0, LARGEST).astype(np.uint16)).save(
                    path, format="PNG")
        else:
            with written_whole(output_path(folder, record["file"], ".tif")) as path:
                Image.fromarray(stored).save(path, format="TIFF")


@named("csv")
def write_values_csv(records_path: str | Path, path: str | Path, sequences: Iterable[str]) -> None:
    """Write predictions.csv: a row a photo, with mean, min, max and median of the numbers."""
    _, records = read_records(records_path)
    facts = ("file", "location", "datetime")
    write_table(path, [*facts, "sequence", "mean", "min", "max", "median", "failure"], (
        [*(record[name] for name in facts), sequence,
         *(f"{record[name]:.6g}" if record["failure"] is None else None
           for name in ("mean", "low", "high", "median")), record["failure"]]
        for record, sequence in zip(records, sequences, strict=True)))


@named("overlays")
def write_map_overlays(records_path: str | Path, photos_root: str | Path, folder: str | Path,
                       long_side: int = 1280, share: tuple[int, int] = (1, 1),
                       people: People = EVERYBODY) -> None:
    """Write `<folder>/<photo's path>.jpg`: the photo, coloured by the numbers, and a colour bar.

    All pictures of one model have one scale of colours. Failed photos get none, nor do those that
    have gone since. `share`: see `read_records`; `people` are not to be seen.
    """
    info, records = read_records(records_path, share)
    ends = colour_ends(info["values"])

    def draw(record: dict, image: np.ndarray) -> Image.Image:
        values = enlarge_map(values_of(record), image.shape[1], image.shape[0])
        caption = f"{record['file']}    median {record['median']:.3g}"
        return _with_bar(draw_map(image, values, ends), caption, ends, info["quantity"])

    write_pictures(records, photos_root, folder, long_side, draw, people)


def write_worst_maps(out_path: str | Path, records: Sequence[dict], photos_root: str | Path,
                     info: dict, people: People = EVERYBODY) -> None:
    """Write a sheet of photo | true map | predicted map, a row a record, in their order; `people`
    are not to be seen, and of photos that show hidden ones there is no row.

    The records are those of an evaluation, none of them a failure, each with `truth` (path of its
    map below `photos_root`, or `background`) and `rmse`; `info`: the info line.
    """
    cell, pictures, ends = (400, 320), [], colour_ends(info["values"])
    for record in records:
        if people.hides(there := people.in_record(record)):
            continue
        image = people.shown(read_photo(Path(photos_root) / record["file"], 400).image, there)
        height, width = image.shape[:2]
        truth = np.zeros((1, 1), np.float32)
        if record["truth"] != BACKGROUND:
            truth = read_map(Path(photos_root) / record["truth"]) * np.float32(
                info["target_scale"])
        predicted = enlarge_map(values_of(record), width, height)
        pictures += [(image, [record["file"]]),
                     (draw_map(image, resize_mask(truth, width, height), ends), ["true"]),
                     (draw_map(image, predicted, ends), [f"predicted, RMSE {record['rmse']:.3g}"])]
    if pictures:
        pictures.append((colour_bar(cell[0], 15, ends, info["quantity"]), []))
        write_sheet(pictures, out_path, columns=3, cell=cell)


def _with_bar(picture: Image.Image, caption: str, ends: tuple[float, float], quantity: str,
              ) -> Image.Image:
    """The picture, and below it, on dark paper, the caption and the colour bar."""
    width = max(picture.width, NARROWEST)
    size = max(13, width // 70)
    gap = size // 2
    lines = wrap(caption, size, width - 2 * gap)
    bar = colour_bar(width, size, ends, quantity)
    top = picture.height + gap + len(lines) * (size + gap)
    sheet = Image.new("RGB", (width, top + bar.height), PAPER)
    sheet.paste(picture, ((width - picture.width) // 2, 0))
    sheet.paste(bar, (0, top))
    draw = ImageDraw.Draw(sheet)
    for number, line in enumerate(lines):
        draw.text((gap, picture.height + gap + number * (size + gap)), line, INK, font_of(size))
    return sheet
