"""The knob `repeats`: what repeats.csv and repeats.jpg tell, and what a person says to it.

See `repeats.py`. Rows that a person has deleted are animals, and stay in all outputs.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from .. import InputError
from ..data.files import sha256
from ..data.manifest import assign_sequences
from ..data.photos import read_photo
from ..data.progress import named
from .drawing import PAPER, percent
from .earlier import remove_pictures
from .people import EVERYBODY, People
from .records import read_records
from .repeats import (
    Repeat,
    chosen_repeats,
    drop_repeats,
    find_repeats,
    identities,
    kept_path,
    left_out_of,
)
from .sheets import write_sheet
from .tables import write_table

ON_SHEET = 50  # repeats of one picture
Reader = Callable[[str], np.ndarray | None]


@named("repeats")
def settle_repeats(records_path: Path, photos_root: Path, repeats: str,
                   people: People = EVERYBODY) -> None:
    """Do what the knob `repeats` wants, before anything is written of the records: `tell`, or
    `drop`, which writes the records without the repeats, see `records_to_tell`. Raises InputError
    if repeats.csv is of other predictions. `people` are not to be seen in repeats.jpg."""
    info, records = read_records(records_path)
    if "quantity" in info or not repeats:  # a regression; an evaluation
        return
    known = [(record["location"], record["datetime"]) for record in records]
    found = find_repeats(records_path, assign_sequences(*zip(*known, strict=True)))
    kept, table = kept_path(records_path), records_path.with_name("repeats.csv")
    earlier = (sha256(kept), kept.stat().st_mtime_ns) if kept.exists() else None
    changed = set(left_out_of(kept)) if earlier else set()
    if repeats == "drop":
        chosen = chosen_repeats(table, found)
        drop_repeats(records_path, kept, chosen)
        if earlier and sha256(kept) == earlier[0]:  # what was written of them holds
            os.utime(kept, ns=(earlier[1], earlier[1]))
            changed = set()
        else:
            changed |= set(left_out_of(kept))
        photos = len({file for repeat in chosen for file in repeat.blobs})
        print(f"repeats     what is at {len(chosen)} places, see repeats.csv, is left out of "
              f"{photos} photos")
    else:
        there = (people.among(read_records(records_path)[1]) if found and people.looked_for
                 else ())
        tell_repeats(table, found, lambda file: people.shown(
            read_photo(Path(photos_root) / file, 400).image, file in there))
        if earlier:
            kept.unlink()
            records_path.touch()  # so that what was written without the repeats is outdated
    remove_pictures(records_path.parent, changed)


def records_to_tell(records_path: Path, repeats: str) -> Path:
    """The records that everything is written of, once the repeats are settled."""
    kept = kept_path(records_path)
    return kept if repeats == "drop" and kept.exists() else records_path


def tell_repeats(table: Path, found: Sequence[Repeat], read: Reader) -> None:
    """Write repeats.csv and repeats.jpg, and say so; what a person has deleted stays deleted.
    `read`: see `write_repeats`."""
    known = {repeat.made_of for repeat in found}
    if table.exists():
        try:
            standing = identities(table)
        except InputError:
            standing = {""}
        if standing <= known and len(standing) < len(known):
            print(f"repeats     {table} stands as you have left it, with {len(standing)} of "
                  f"{len(known)} rows; repeats=drop leaves them out")
            return
        if not standing <= known:
            print(f"note        {table} was made of other predictions and is written anew: look at "
                  "it again")
    write_repeats(table, found, read)
    if found:
        print(f"repeats     {len(found)} places are seen as an animal in many bursts, such as "
              f"{found[0].location}: look at {table.with_suffix('.jpg')}, delete the rows of "
              "repeats.csv that are animals, then repeats=drop leaves out the others")


def write_repeats(table: Path, found: Sequence[Repeat], read: Reader) -> None:
    """Write a row a repeat, and beside the table pictures of the same name, repeats.jpg,
    repeats_2.jpg and so on: of each repeat a line, its first, a middle and its last photo.

    Columns: repeat (its number, as in the pictures), location; x, y, width, height of the box as
    shares of the photo from the upper left; species, photos, bursts, share_of_bursts (of the
    camera), days, first and last (datetime), file (a photo of it), made_of (by which it is known).
    `read` gives what is drawn of a photo, uint8 (H, W, 3), None where that is nothing.
    """
    write_table(table, ["repeat", "location", "x", "y", "width", "height", "species", "photos",
                        "bursts", "share_of_bursts", "days", "first", "last", "file", "made_of"],
                ([number, repeat.location, *repeat.box, repeat.species, len(repeat.blobs),
                  repeat.bursts, repeat.share, repeat.days, repeat.shown[0][1],
                  repeat.shown[-1][1], repeat.shown[1][0], repeat.made_of]
                 for number, repeat in enumerate(found, start=1)))
    for path in table.parent.glob(f"{table.stem}*.jpg"):
        if re.fullmatch(rf"{table.stem}(_\d+)?", path.stem):
            path.unlink()
    for first in range(0, len(found), ON_SHEET):
        page = f"_{first // ON_SHEET + 1}" * bool(first)
        some = enumerate(found[first:first + ON_SHEET], start=first + 1)
        pictures = [picture for number, repeat in some
                    for picture in _pictures(number, repeat, read)]
        write_sheet(pictures, table.with_name(f"{table.stem}{page}.jpg"), columns=3)


def _pictures(number: int, repeat: Repeat, read: Reader) -> Iterator[
        tuple[Image.Image, list[str]]]:
    what = (f"repeat {number}: {repeat.species} at {repeat.location}, {repeat.bursts} bursts "
            f"({percent(repeat.share)}), {len(repeat.blobs)} photos, {repeat.days} days")
    for place, (file, time) in enumerate(repeat.shown):
        try:
            image = read(file)
        except InputError:  # a card taken out must not cost the other pictures
            image = None
        picture = Image.new("RGB", (400, 300), PAPER) if image is None else Image.fromarray(image)
        x, y, width, height = (share * side for share, side in zip(
            repeat.box, picture.size * 2, strict=True))
        draw = ImageDraw.Draw(picture)
        draw.rectangle((x - 4, y - 4, x + width + 4, y + height + 4), outline=(0, 0, 0))
        draw.rectangle((x - 3, y - 3, x + width + 3, y + height + 3), None, (255, 230, 0), width=2)
        yield picture, [f"{time}  {Path(file).name}"] if place else [what, f"{time}  {file}"]
