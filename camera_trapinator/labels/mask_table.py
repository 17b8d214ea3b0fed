"""The table that says what each value or colour of mask pictures means: a CSV, or CVAT's labelmap.

As a CSV it is

    value,name            or      colour,name
    0,background                  #000000,background
    255,animal                    255 0 255,snow

or has both columns. Of CVAT's labelmap.txt (`label:R,G,B:parts:actions`) the rows, counted from 0,
are the values. The name `background` is class 0, the name `ignore` (or none) marks pixels that
count for nothing.
"""

import csv
import re
from pathlib import Path
from typing import NamedTuple

from .. import InputError
from ..data.manifest import BACKGROUND
from .exports import read_text

IGNORED = "ignore"


class Table(NamedTuple):
    """What the pixels of the pictures mean."""

    values: dict[int, str]  # grey or palette value -> name
    colours: dict[int, str]  # red << 16 | green << 8 | blue -> name
    order: list[str]  # the names of the classes


def read_table(path: Path) -> Table:
    """The table in a file. Raises InputError with the line for what is wrong."""
    text = read_text(path, cure="; a table of what each colour means is needed, or, from CVAT, the "
                     "unzipped `Segmentation mask 1.1` with its labelmap.txt")
    table = Table({}, {}, [])
    lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1)
             if line.strip()]
    mark = ";" if lines and ";" in lines[0][1] else ","  # some spreadsheets write semicolons
    header = [{"color": "colour"}.get(cell, cell) for cell in
              (lines[0][1].lower().replace(" ", "").split(mark) if lines else [])]
    if len(header) > 1 and sorted(header) in (["name", "value"], ["colour", "name"],
                                              ["colour", "name", "value"]):
        for number, line in lines[1:]:
            where = f"{path}, line {number}"
            try:
                cells = next(csv.reader([line], delimiter=mark, strict=True))
            except csv.Error as error:
                raise InputError(f"{where}: {line[:60]!r} is no line of a CSV ({error})") from None
            if len(cells) < len(header):
                raise InputError(f"{where}: {line[:60]!r} has not {len(header)} cells")
            _enter(table, dict(zip(header, cells, strict=False)), where)
    else:
        lines = [(number, line) for number, line in lines if not line.startswith("#")]
        for row, (number, line) in enumerate(lines):
            parts = line.split(":")
            if len(parts) < 2:
                raise InputError(f"{path}, line {number}: {line[:60]!r}; a table begins with the "
                                 "line `value,name` or `colour,name`, or is CVAT's labelmap.txt")
            # One-channel pictures hold the row.
            _enter(table, {"name": parts[0], "colour": parts[1].replace(",", " "),
                           "value": str(row)}, f"{path}, line {number}")
    if not table.order:
        raise InputError(f"{path}: the table names no class")
    return table


def _enter(table: Table, cells: dict[str, str], where: str) -> None:
    """Put a line into the table: what its value, its colour, or both mean."""
    name, value, colour = (cells.get(key, "").strip() for key in ("name", "value", "colour"))
    if name.lower() in (BACKGROUND, IGNORED, ""):
        name = name.lower() or IGNORED
    elif name not in table.order:
        table.order.append(name)
    if not value and not colour:
        raise InputError(f"{where}: {name!r} has no value and no colour")
    if value and not re.fullmatch("[0-9]{1,5}", value):
        raise InputError(f"{where}: value {value!r} is no whole number from 0 on")
    for key, meanings in ((int(value) if value else None, table.values),
                          (_colour_code(colour, where) if colour else None, table.colours)):
        if key in meanings:
            raise InputError(f"{where}: {list(cells.values())} stands in the table twice")
        if key is not None:
            meanings[key] = name


def _colour_code(text: str, where: str) -> int:
    text = text.strip()
    if re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        return int(text[1:], 16)
    parts = text.split()
    if re.fullmatch("[0-9]{1,3} +[0-9]{1,3} +[0-9]{1,3}", text) and max(map(int, parts)) < 256:
        red, green, blue = map(int, parts)
        return red << 16 | green << 8 | blue
    raise InputError(f"{where}: colour {text!r} is neither #rrggbb nor three numbers to 255")
