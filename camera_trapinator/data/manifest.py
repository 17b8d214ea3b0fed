"""manifest.csv and classes.csv: read, write, check.

The manifest is the list of photos, one row a photo, with the columns of `COLUMNS`; only `image`
is needed. `classes.csv` (index, name, colour) stands beside it; class 0 is the background.
"""

import re
from array import array
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import accumulate, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .. import InputError
from .locations import location_of, refuse_two_spellings, settle
from .tables import check_header, colour_of, read_cells, read_rows, write_rows

COLUMNS = ("image", "mask", "location", "datetime", "sequence", "split", "difficulty",
           "focus")
SPLITS = ("train", "val", "test", "test_seen")
FOCUS = {"yes": True, "1": True, "true": True,  # the focus column, in any case of letters
         "": False, "no": False, "0": False, "false": False}
BACKGROUND = "background"  # in the mask column: checked, nothing there

# Where this finds nothing, in paths of a line each, all are fine; else they are looked at singly.
DOUBTFUL_PATH = re.compile(r"\\|\.\.|^[/~]|^.:", re.MULTILINE)
TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")
TO_THE_MINUTE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}")
# What makes the two tables where there is none.
IMPORTERS = ("make it from what your labelling tool exports: scripts/import_labels.py TOOL ... "
             "--out {root}, TOOL being coco, labelme, yolo, cvat, label-studio, roboflow, masks or "
             "another one of docs/labels.md")
# Rows that are read together: one by one takes three times as long, and so do thousands, for then
# Python's garbage collection looks through all objects again and again.
AT_ONCE = 300


class Row(NamedTuple):
    """One photo of the manifest; an empty string where nothing is known."""

    image: str  # path relative to data_root, forward slashes
    mask: str = ""  # path of its mask, or `background`, or "" = no label
    location: str = ""
    datetime: str = ""  # YYYY-MM-DD HH:MM:SS, the camera's wall clock
    sequence: str = ""
    split: str = ""
    difficulty: str = ""  # 0 easy .. 1 hard
    focus: str = ""  # yes = show it first in a curriculum; see FOCUS


class Class(NamedTuple):
    """A class of classes.csv."""

    name: str
    colour: tuple[int, int, int]  # RGB


class TextColumn(Sequence):
    """A column of texts as one block of bytes and the place where each text ends.

    10^7 paths as Python strings would cost gigabytes, and every DataLoader worker would copy
    them as soon as it counts their references; these two arrays are shared untouched.
    """

    def __init__(self, texts: Iterable[str] = ()):
        self._bytes, self._ends = bytearray(), array("q", [0])
        self.extend(texts)

    def extend(self, texts: Iterable[str]) -> None:
        # File names need not be Unicode: "surrogatepass" brings any text back as it was.
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        self._bytes += b"".join(encoded)
        ends = accumulate(map(len, encoded), initial=self._ends.pop())
        self._ends.extend(ends)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, index: int) -> str:
        text = self._bytes[self._ends[index]:self._ends[index + 1]]
        return text.decode("utf-8", "surrogatepass")


class Manifest(Sequence):
    """The rows of a manifest, held column by column; `manifest[5]` is a `Row`.

    `columns` are TextColumns by name, empty ones left out.
    """

    def __init__(self, rows: Iterable[Row] = (), columns: dict[str, TextColumn] | None = None):
        if columns is None:
            rows = list(rows)
            columns = {name: TextColumn(getattr(row, name) for row in rows) for name in COLUMNS}
        self._columns = columns

    def __len__(self) -> int:
        return len(self._columns["image"])

    def __getitem__(self, index: int) -> Row:
        index = range(len(self))[index]  # negative indices, and IndexError past the end
        columns = self._columns
        return Row(*[columns[name][index] if name in columns else "" for name in COLUMNS])

    def column(self, name: str) -> Sequence[str]:
        """All values of one column."""
        return self._columns.get(name) or [""] * len(self)


# ---------------------------------------------------------------------------- manifest.csv


def read_manifest(path: str | Path) -> Manifest:
    """Read and check manifest.csv; opens no photo.

    Where the location column is absent or empty, the location is what the photo's folder tells
    (`location_of` and `settle`); a datetime without seconds is at second 0. Raises InputError with
    line and value for: no such file, no `image` column, an empty, absolute or doubled image path,
    a path that leaves the data root, an unknown split, a datetime, difficulty or focus of another
    form; for a location that is spelled in two ways, and where folders do not tell the location.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise InputError(f"{path}: no such file, for {path.parent.resolve()} is no folder; set "
                         "data_root to where your data are, "
                         f"{IMPORTERS.format(root=path.parent)}; or make the demo photos with "
                         "scripts/make_demo_data.py")
    rows = read_cells(path, "image", cure=IMPORTERS.format(root=path.parent) + "; or write it, a "
                      "line `image,mask` and one for each photo")
    _, header = next(rows)  # columns of the user's own are welcome
    columns = {name: TextColumn() for name in COLUMNS if name in header or name == "location"}
    hashes = array("q")  # of the image paths: all paths in a set would cost gigabytes
    given, assumed = set(), set()  # locations
    while some := list(islice(rows, AT_ONCE)):
        lines, cells = zip(*some, strict=True)
        texts = dict.fromkeys(COLUMNS, [""] * len(some))
        texts |= {name: list(map(str.strip, column)) for name, column in zip(
            header, zip(*cells, strict=True), strict=True) if name in COLUMNS}
        if not _all_fine(texts):
            texts["datetime"] = [f"{time}:00" if TO_THE_MINUTE.fullmatch(time) else time
                                 for time in texts["datetime"]]
            for line, row in zip(lines, zip(*texts.values(), strict=True), strict=True):
                _check_row(Row(*row), f"{path}, line {line}")
        given.update(texts["location"])
        if "" in texts["location"]:
            texts["location"] = [place or location_of(image) for place, image in zip(
                texts["location"], texts["image"], strict=True)]
            assumed.update(texts["location"])
        hashes.extend(map(hash, texts["image"]))
        for name, column in columns.items():
            column.extend(texts[name])
    if not hashes:
        raise InputError(f"{path}: the manifest lists no photo")
    _refuse_doubles(path, np.array(hashes))
    try:
        sites = settle(assumed - given, cure="Fill in the column location")
        refuse_two_spellings({*given, *sites.values()} - {""},
                             partial(_where_it_stands, path=path, sites=sites))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if any(place != site for place, site in sites.items()):
        columns["location"] = TextColumn(sites.get(place, place) for place in columns["location"])
    return Manifest(columns={name: column for name, column in columns.items() if column._bytes})


def _all_fine(texts: dict[str, Sequence[str]]) -> bool:
    """Whether `_check_row` would pass all rows, by a quicker look at whole columns."""
    try:
        return (all(texts["image"])
                and not DOUBTFUL_PATH.search("\n".join([*texts["image"], *set(texts["mask"])]))
                and set(texts["split"]) <= {"", *SPLITS}
                and all(TIME.fullmatch(text) and datetime.fromisoformat(text)
                        for text in texts["datetime"] if text)
                and all(0 <= float(text) <= 1 for text in set(texts["difficulty"]) if text)
                and all(text.lower() in FOCUS for text in set(texts["focus"])))
    except ValueError:
        return False


def _refuse_doubles(path: Path, hashes: np.ndarray) -> None:
    """Raise InputError if an image stands in the manifest twice."""
    ordered = np.sort(hashes)
    doubled = set(ordered[1:][ordered[1:] == ordered[:-1]].tolist())
    seen = set()
    for line, cells in read_rows(path, "image") if doubled else ():
        image = cells["image"].strip()
        if image in seen:
            raise InputError(f"{path}, line {line}: image {image} stands in the manifest "
                             "twice; delete one of the rows")
        if hash(image) in doubled:  # nearly surely a double: others rarely share a hash
            seen.add(image)


def _where_it_stands(location: str, path: Path, sites: dict[str, str]) -> str:
    """The first line of a location, and its photo; `sites` are those of folders."""
    for line, cells in read_rows(path, "image"):
        image, place = cells["image"].strip(), cells.get("location", "").strip()
        place = place or location_of(image)
        if sites.get(place, place) == location:
            return f" (line {line}: {image})"
    return ""


def write_manifest(path: str | Path, rows: Iterable[Row]) -> None:
    """Write manifest.csv whole or not at all; columns that are empty throughout are left out."""
    rows = list(rows)
    names = [name for place, name in enumerate(COLUMNS)
             if name in ("image", "mask") or any(row[place] for row in rows)]
    write_rows(path, names, ([getattr(row, name) for name in names] for row in rows))


def _check_row(row: Row, where: str) -> None:
    if not row.image:
        raise InputError(f"{where}: the image column is empty; give the photo's path")
    for name in ("image", "mask"):
        text = getattr(row, name)
        if "\\" in text:
            raise InputError(f"{where}: {name} {text} has backslashes; write forward slashes")
        if text.startswith(("/", "~")) or re.match("[A-Za-z]:", text) or ".." in text.split("/"):
            raise InputError(f"{where}: {name} {text} must be a path inside data_root, "
                             "relative to it")
    if row.split and row.split not in SPLITS:
        raise InputError(f"{where}: split {row.split!r} is none of {', '.join(SPLITS)}")
    if row.datetime:
        try:
            valid = str(datetime.strptime(row.datetime, "%Y-%m-%d %H:%M:%S")) == row.datetime
        except ValueError:
            valid = False
        if not valid:  # 2023-7-4 5:06:07 too: sequences sort the times as text
            raise InputError(f"{where}: datetime {row.datetime!r} is not of the form "
                             "2023-07-04 05:06:07 (year-month-day, 24 hours; a spreadsheet calls "
                             "it yyyy-mm-dd hh:mm:ss)")
    if row.difficulty:
        try:
            valid = 0 <= float(row.difficulty) <= 1
        except ValueError:
            valid = False
        if not valid:
            raise InputError(f"{where}: difficulty {row.difficulty!r} is not a number from 0 "
                             "(easy) to 1 (hard), such as 0.5")
    if row.focus.lower() not in FOCUS:
        raise InputError(f"{where}: focus {row.focus!r} is none of yes, 1, true, no, 0, "
                         "false, or empty")


# ----------------------------------------------------------------------------- classes.csv


def read_classes(path: str | Path) -> list[Class]:
    """Read classes.csv (index, name, colour (or color) as #rrggbb); class 0 is the background.

    Raises InputError with the line for indices that are not 0, 1, 2 ..., a name twice or empty,
    a colour of another form, and more than 255 classes.
    """
    classes: list[Class] = []
    cure = (f"{IMPORTERS.format(root=Path(path).parent)}; or write it, such as these three lines: "
            "`index,name,colour`, `0,background,#000000`, `1,animal,#d95f02`")
    rows = read_cells(Path(path), "index", "name", cure=cure, wide=True)
    header = ["colour" if name == "color" else name for name in next(rows)[1]]
    check_header(Path(path), header, ("index", "name", "colour"))
    for line, cells in rows:
        where = f"{path}, line {line}"
        if len(cells) > len(header):  # 255,136,0 without quotation marks
            start = header.index("colour")
            code = colour_of(",".join(cells[start:start + len(cells) - len(header) + 1]))
            raise InputError(f"{where}: the row has more cells than the header ({len(header)})"
                             + (f"; write the colour as #{code:06x}" if code is not None else ""))
        index, name, colour = (cells[header.index(key)].strip()
                               for key in ("index", "name", "colour"))
        if index != str(len(classes)):
            raise InputError(f"{where}: index {index!r} should be {len(classes)}: classes are "
                             "numbered 0, 1, 2 ... and 0 is the background")
        if not name or name in [known.name for known in classes]:
            raise InputError(f"{where}: class name {name!r} is empty or stands there twice")
        if not re.fullmatch("#[0-9a-fA-F]{6}", colour):
            code = colour_of(colour)
            raise InputError(f"{where}: colour {colour!r} is not of the form #ff8800"
                             + (f"; write #{code:06x}" if code is not None else ""))
        red, green, blue = bytes.fromhex(colour[1:])
        classes.append(Class(name, (red, green, blue)))
    if not 2 <= len(classes) <= 255:
        raise InputError(f"{path}: {len(classes)} classes; there must be 2 (background and one "
                         "more) to 255")
    return classes


def write_classes(path: str | Path,
                  classes: Sequence[tuple[str, tuple[int, int, int]]]) -> None:
    """Write classes.csv whole or not at all."""
    write_rows(path, ["index", "name", "colour"],
                ([index, name, "#{:02x}{:02x}{:02x}".format(*colour)]
                 for index, (name, colour) in enumerate(classes)))


# ------------------------------------------------------------------------------ sequences


def assign_sequences(locations: Sequence[str], datetimes: Sequence[str],
                     gap_seconds: int = 60) -> list[str]:
    """Burst ids: photos of one location at most `gap_seconds` apart share one.

    Returns a name `<location>_<number>` for each photo, "" where the datetime is empty. The
    60-second gap is MegaDetector's (cct_json_utils.create_sequences).
    """
    names = [""] * len(locations)
    order = sorted((index for index in range(len(names)) if datetimes[index]),
                   key=lambda index: (locations[index], datetimes[index], index))
    location, time, number = None, None, 0
    for index in order:
        now = datetime.fromisoformat(datetimes[index])
        if locations[index] != location:
            number = 1
        elif now - time > timedelta(seconds=gap_seconds):
            number += 1
        location, time = locations[index], now
        names[index] = f"{location}_{number:04}"
    return names
