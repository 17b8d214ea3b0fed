"""manifest.csv and classes.csv: read, write, check.

The manifest is the list of photos, one row a photo, with the columns of `COLUMNS`; only `image`
is needed. `classes.csv` (index, name, colour) stands beside it; class 0 is the background.
"""

import csv
import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from . import InputError, written_whole

COLUMNS = ("image", "mask", "location", "datetime", "sequence", "split", "difficulty",
           "focus")
SPLITS = ("train", "val", "test", "test_seen")
FOCUS = {"yes": True, "1": True, "true": True,  # the focus column, in any case of letters
         "": False, "no": False, "0": False, "false": False}
BACKGROUND = "background"  # in the mask column: checked, nothing there

# Folders that a camera makes by itself on its card; the location is the folder above them.
# Source: MegaDetector ct_utils.image_file_to_camera_folder, and the DCF standard (DCIM/100CANON).
CAMERA_FOLDER = re.compile(
    r"DCIM|\d{3}(RECNX|EK\d{3}|_BTCF|MEDIA|DSCIM|CANON|NIKON|OLYMP|MSDCF|_PANA|PENTX|GOPRO|_FUJI)",
    re.IGNORECASE)


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
        self._bytes, self._ends = bytearray(), array("q")
        for text in texts:
            self.append(text)

    def append(self, text: str) -> None:
        self._bytes += text.encode()
        self._ends.append(len(self._bytes))

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: int) -> str:
        start = self._ends[index - 1] if index else 0
        return self._bytes[start:self._ends[index]].decode()


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

    Where the location column is absent or empty, the location is the photo's folder
    (`location_of`). Raises InputError with line and value for: no such file, no `image` column,
    an empty, absolute or doubled image path, a path that leaves the data root, an unknown split,
    a datetime, difficulty or focus of another form.
    """
    path = Path(path)
    columns = {name: TextColumn() for name in COLUMNS}
    seen = set()
    for line, cells in read_rows(path, "image"):
        unknown = set(cells) - set(COLUMNS)  # columns of the user's own are welcome
        row = Row(**{name: (cells[name] or "").strip() for name in cells.keys() - unknown})
        _check_row(row, f"{path}, line {line}")
        if row.image in seen:
            raise InputError(f"{path}, line {line}: image {row.image} stands in the manifest "
                             "twice; delete one of the rows")
        seen.add(row.image)
        row = row._replace(location=row.location or location_of(row.image))
        for name, text in zip(COLUMNS, row, strict=True):
            columns[name].append(text)
    if not seen:
        raise InputError(f"{path}: the manifest lists no photo")
    return Manifest(columns={name: column for name, column in columns.items() if column._bytes})


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
                             "2023-07-04 05:06:07")
    if row.difficulty:
        try:
            valid = 0 <= float(row.difficulty) <= 1
        except ValueError:
            valid = False
        if not valid:
            raise InputError(f"{where}: difficulty {row.difficulty!r} is not a number from 0 "
                             "(easy) to 1 (hard)")
    if row.focus.lower() not in FOCUS:
        raise InputError(f"{where}: focus {row.focus!r} is none of yes, 1, true, no, 0, "
                         "false, or empty")


# ----------------------------------------------------------------------------- classes.csv


def read_classes(path: str | Path) -> list[Class]:
    """Read classes.csv (index, name, colour as #rrggbb); class 0 is the background.

    Raises InputError with the line for indices that are not 0, 1, 2 ..., a name twice or empty,
    a colour of another form, and more than 255 classes.
    """
    classes: list[Class] = []
    for line, cells in read_rows(Path(path), "index", "name", "colour"):
        where = f"{path}, line {line}"
        index, name, colour = (cells[key].strip() for key in ("index", "name", "colour"))
        if index != str(len(classes)):
            raise InputError(f"{where}: index {index!r} should be {len(classes)}: classes are "
                             "numbered 0, 1, 2 ... and 0 is the background")
        if not name or name in [known.name for known in classes]:
            raise InputError(f"{where}: class name {name!r} is empty or stands there twice")
        if not re.fullmatch("#[0-9a-fA-F]{6}", colour):
            raise InputError(f"{where}: colour {colour!r} is not of the form #ff8800")
        red, green, blue = bytes.fromhex(colour[1:])
        classes.append(Class(name, (red, green, blue)))
    if not 2 <= len(classes) <= 255:
        raise InputError(f"{path}: {len(classes)} classes; there must be 2 (background and one "
                         "more) to 255")
    return classes


def write_classes(path: str | Path, classes: Sequence[Class]) -> None:
    """Write classes.csv whole or not at all."""
    write_rows(path, ["index", "name", "colour"],
                ([index, name, "#{:02x}{:02x}{:02x}".format(*colour)]
                 for index, (name, colour) in enumerate(classes)))


# --------------------------------------------------------------------- locations, sequences


def location_of(image: str) -> str:
    """The camera site of a photo by its path: its folder, less the camera's own folders.

    `ridge/cam3/DCIM/100RECNX/IMG_0001.JPG` -> `ridge/cam3`. A photo in the data root itself, or
    in nothing but camera folders, has the location ".".
    """
    folders = list(PurePosixPath(image).parent.parts)
    while folders and CAMERA_FOLDER.fullmatch(folders[-1]):
        folders.pop()
    return "/".join(folders) or "."


def assign_sequences(locations: Sequence[str], datetimes: Sequence[str],
                     gap_seconds: int = 60) -> list[str]:
    """Burst ids: photos of one location at most `gap_seconds` apart share one.

    Returns a name `<location>#<number>` for each photo, "" where the datetime is empty. The
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
        names[index] = f"{location}#{number}"
    return names


# ------------------------------------------------------------------------------- CSV files


def read_rows(path: Path, *needed: str) -> Iterator[tuple[int, dict[str, str]]]:
    """(line number, {column: text}) for each row of a CSV file with a header row."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:  # Excel writes a BOM
            reader = csv.DictReader(file, strict=True)
            header = [name.strip() for name in reader.fieldnames or []]  # `image, mask` happens
            reader.fieldnames = header
            for name in needed:
                if name not in header:
                    hint = "; save it with commas, not semicolons" if ";" in "".join(header) else ""
                    raise InputError(f"{path}: no column {name!r} in the header "
                                     f"({','.join(map(str, header)) or 'empty file'}){hint}")
            for cells in reader:
                if None in cells or None in cells.values():
                    raise InputError(f"{path}, line {reader.line_num}: the row has more or fewer "
                                     f"cells than the header ({len(header)})")
                if "\0" in "".join(cells.values()):
                    raise InputError(f"{path}, line {reader.line_num}: the row holds NUL bytes; "
                                     "the file is damaged or not UTF-8 text")
                yield reader.line_num, cells
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start}); save it "
                         "as CSV UTF-8") from None
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: {error}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def write_rows(path: str | Path, header: list[str], rows: Iterable[list]) -> None:
    """Write a CSV file with a header row whole or not at all."""
    with written_whole(path) as temporary, open(temporary, "w", newline="",
                                                encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
