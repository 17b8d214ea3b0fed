"""The table that says what each value or colour of mask pictures means: a CSV, or CVAT's labelmap.

As a CSV it is

    value,name            or      colour,name
    0,background                  #000000,background
    255,animal                    255 0 255,snow

or has both columns, as classes.csv has them; a colour may also be written `255,0,255`, and its
parts may be the columns `r,g,b`. Other columns say nothing, and a first line that names the columns
may be missing. Roboflow's `_classes.csv` begins with `Pixel Value, Class`. Of CVAT's labelmap.txt
(`label:R,G,B:parts:actions`) the rows, counted from 0, are the values; nnU-Net's dataset.json holds
`{"labels": {"background": 0, "animal": 1}}`. The name `background` is class 0, the name `ignore`
(or none) marks pixels that count for nothing.
"""

import csv
import json
import re
from pathlib import Path
from typing import NamedTuple

from .. import InputError
from ..data.manifest import BACKGROUND
from ..data.tables import SEPARATOR_LINE, colour_of, encoding_of, mark_of

IGNORED = "ignore"
ALSO = {"color": "colour", "rgb": "colour", "hex": "colour", "red": "r", "green": "g", "blue": "b",
        **dict.fromkeys(("class", "classname", "label", "labelname"), "name"),
        **dict.fromkeys(("pixelvalue", "pixel", "index", "id", "classid", "labelid"), "value")}
COLUMNS = ("value", "colour", "r", "g", "b", "name")


class Table(NamedTuple):
    """What the pixels of the pictures mean."""

    values: dict[int, str]  # grey or palette value -> name
    colours: dict[int, str]  # red << 16 | green << 8 | blue -> name
    order: list[str]  # the names of the classes


def read_table(path: Path) -> Table:
    """The table in a file. Raises InputError with the line for what is wrong."""
    table, text = Table({}, {}, []), _text_of(path)
    lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1)
             if line.strip(" ,;\t")]
    mark, separator = "", lines and SEPARATOR_LINE.fullmatch(lines[0][1])
    if separator:
        mark, lines = separator[1], lines[1:]
    first = lines[0][1] if lines else ""
    mark = mark if mark and mark in first else mark_of(first)
    header = [ALSO.get(cell, cell) for cell in re.sub('[ "_]', "", first.lower()).split(mark)]
    while header and not header[-1]:  # trailing commas
        header.pop()
    if _is_header(header):
        lines = lines[1:]
    else:
        header = _header_for(next(csv.reader([first[:1000]], delimiter=mark), []))
    if text.lstrip().startswith("{"):
        _enter_json(table, text, path)
    elif header:
        for number, line in lines:
            where = f"{path}, line {number}"
            try:
                cells = next(csv.reader([line], delimiter=mark, strict=True, skipinitialspace=True))
            except csv.Error as error:
                raise InputError(f"{where}: {line[:60]!r} is no line of a CSV ({error})") from None
            _enter(table, _by_column(header, cells, f"{where}: {line[:60]!r}"), where)
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


def _text_of(path: Path) -> str:
    """What the file holds, in UTF-8 or, with a byte order mark, in UTF-16."""
    try:
        text = path.read_text(encoding=encoding_of(path))
    except IsADirectoryError:
        raise InputError(f"{path}: a folder; give the table's file in it") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); a table of what each colour "
                         "means is needed, two lines or more: `colour,name`, `#ff0000,fox`; or, "
                         "from CVAT, the unzipped `Segmentation mask 1.1` with its labelmap.txt"
                         ) from None
    except UnicodeError:
        text = "\0"
    if "\0" in text:  # as in UTF-16 without its mark
        raise InputError(f"{path}: not UTF-8 text; save it as CSV UTF-8")
    return text


def _is_header(header: list[str]) -> bool:
    """Whether the first line names the columns; each one once."""
    known = [name for name in header if name in COLUMNS]
    return (len(known) == len(set(known)) and "name" in known
            and ("value" in known or "colour" in known or {"r", "g", "b"} <= {*known}))


def _header_for(cells: list[str]) -> list[str]:
    """The header that a table lacks, by the cells of its first line; [] if they could be others."""
    kinds = []
    for cell in filter(None, map(str.strip, cells)):
        number = re.fullmatch("[0-9]{1,5}", cell)
        is_colour = colour_of(cell) is not None and not re.fullmatch("[0-9a-fA-F]{6}", cell)
        kinds.append("value" if number else "colour" if is_colour else "name")
    if sorted(kinds) == ["name", "value", "value", "value"] and "name" in (kinds[0], kinds[-1]):
        kinds = ["name", *"rgb"] if kinds[0] == "name" else [*"rgb", "name"]
    return kinds if _is_header(kinds) else []


def _by_column(header: list[str], cells: list[str], where: str) -> dict[str, str]:
    """{column: text} of a line; `255,0,255` as three cells is one colour."""
    while len(cells) > len(header) and not cells[-1].strip():
        cells.pop()
    place = header.index("colour") if "colour" in header else len(header)
    if len(cells) == len(header) + 2 and colour_of(",".join(cells[place:place + 3])) is not None:
        cells[place:place + 3] = [" ".join(cells[place:place + 3])]
    if len(cells) != len(header):
        raise InputError(f"{where} has not {len(header)} cells ({','.join(header)})")
    found = {name: cell for name, cell in zip(header, cells, strict=True) if name in COLUMNS}
    if "r" in found:
        found["colour"] = " ".join(found[part] for part in "rgb")
    return found


def _enter_json(table: Table, text: str, path: Path) -> None:
    """Put the labels of nnU-Net's dataset.json into the table, {name: value}; its first version
    wrote {value: name}."""
    try:
        labels = json.loads(text)["labels"]
        pairs = [(name, value) if type(value) is int else (value, int(name))
                 for name, value in labels.items()]
        if not all(isinstance(name, str) for name, _ in pairs):
            raise ValueError
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        raise InputError(f'{path}: not like the dataset.json of nnU-Net, {{"labels": '
                         '{"background": 0, "fox": 1}}; write a table, `value,name`, `1,fox`'
                         ) from None
    for name, value in pairs:
        _enter(table, {"name": name, "value": str(value)}, f"{path}, label {name!r:.40}")


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
    code = colour_of(colour)
    if colour and code is None:
        raise InputError(f"{where}: colour {colour!r} is neither #rrggbb nor three numbers to 255")
    for key, meanings in ((int(value) if value else None, table.values), (code, table.colours)):
        if key in meanings:
            raise InputError(f"{where}: {list(cells.values())} stands in the table twice")
        if key is not None:
            meanings[key] = name
