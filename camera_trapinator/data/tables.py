"""Tables as people have them: CSV files with a header row, read row by row and written whole.

Spreadsheets write them with commas, semicolons or tabs, in UTF-8 or UTF-16 (`Unicode text` of
Excel), with a first line `sep=;` and with cells, or whole rows, that hold nothing.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from .. import InputError
from .files import written_whole

MARKS = (",", ";", "\t")  # between cells
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[;,\t]*[\r\n]*', re.IGNORECASE)  # Excel reads it, too


def read_rows(path: Path, *needed: str, cure: str = "") -> Iterator[tuple[int, dict[str, str]]]:
    """(line number, {column: text}) for each row of a CSV file with a header row; see
    `read_cells`."""
    rows = read_cells(path, *needed, cure=cure)
    _, header = next(rows)
    for line, cells in rows:
        yield line, dict(zip(header, cells, strict=True))


def read_cells(path: Path, *needed: str, cure: str = "") -> Iterator[tuple[int, list[str]]]:
    """(line number, texts) for each row of a CSV file; the first one is the header, in which the
    columns `needed` must be.

    Cells are parted by what the header has between the needed columns. Empty cells behind the last
    column, and rows without any text, are passed over. `cure`: what to do if there is no such file.
    Raises InputError, with the line, for what is no such table.
    """
    begun = 0  # lines that the reader does not count
    reader = None
    try:
        with open(path, newline="", encoding=encoding_of(path)) as file:
            first = file.readline()
            marks = MARKS
            if separator := SEPARATOR_LINE.fullmatch(first):
                marks, begun = (separator[1], *MARKS), 1
                first = file.readline()
            mark = mark_of(first, needed, marks)
            reader = csv.reader(chain([first] if first else [], file), delimiter=mark, strict=True)
            header = [name.strip() for name in next(reader, [])]  # `image, mask` happens
            _check_header(path, header, needed)
            yield reader.line_num + begun, header
            width = len(header)
            named = max((place for place, name in enumerate(header, 1) if name), default=0)
            for cells in reader:
                if len(cells) != width:
                    if any(map(str.strip, cells[width:])) or 0 < len(cells) < named:
                        raise InputError(f"{path}, line {reader.line_num + begun}: the row has "
                                         f"more or fewer cells than the header ({width})")
                    cells = (cells + [""] * width)[:width]
                if not any(cells):
                    continue
                if "\0" in "".join(cells):
                    raise InputError(f"{path}, line {reader.line_num + begun}: the row holds NUL "
                                     "bytes; the file is damaged or not UTF-8 text")
                yield reader.line_num + begun, cells
    except FileNotFoundError:
        raise InputError(f"{path}: no such file" + (cure and f"; {cure}")) from None
    except UnicodeError as error:  # of UTF-16 not always a UnicodeDecodeError
        reason = f"{error.reason} at byte {error.start}" if hasattr(error, "reason") else error
        raise InputError(f"{path}: not UTF-8 text ({reason}); save it as CSV UTF-8") from None
    except csv.Error as error:
        line = (reader.line_num if reader else 1) + begun
        raise InputError(f"{path}, line {line}: {error}") from None
    except IsADirectoryError:
        raise InputError(f"{path}: a folder (directory), where a CSV file is needed") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def _check_header(path: Path, header: Sequence[str], needed: Sequence[str]) -> None:
    if twice := [name for name in set(header) if name and header.count(name) > 1]:
        raise InputError(f"{path}: the column {min(twice)!r} stands in the header twice; delete "
                         "one of them")
    for name in needed:
        if name not in header:
            alike = [other for other in header if other.lower() == name]
            hint = f"; write {name} in place of {alike[0]}" if alike else ""
            raise InputError(f"{path}: no column {name!r} in the header "
                             f"({','.join(header) or 'empty file'}){hint}")


def encoding_of(path: Path) -> str:
    """How a text file is written: in UTF-16 if its byte order mark says so, else in UTF-8, with
    such a mark (as Excel writes it) or without."""
    with open(path, "rb") as file:
        return "utf-16" if file.read(2) in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"


def mark_of(header: str, needed: Sequence[str] = (), marks: Sequence[str] = MARKS) -> str:
    """What stands between the cells of a table with this header line: of `marks` the one with
    which most of the columns `needed` are found, then most cells; else the first."""
    def fit(mark: str) -> tuple[int, int]:
        cells = [cell.strip(' "\r\n') for cell in header.split(mark)]
        return sum(name in cells for name in needed), len(cells)
    return max(marks, key=fit)


def write_rows(path: str | Path, header: list[str], rows: Iterable[list]) -> None:
    """Write a CSV file with a header row whole or not at all."""
    with written_whole(path) as temporary, open(temporary, "w", newline="",
                                                encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
