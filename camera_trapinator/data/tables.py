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
HEX_COLOUR = re.compile("(?:#|0x)?([0-9a-f]{6})(?:ff)?|#([0-9a-f]{3})", re.IGNORECASE)
NUMBER = r"\s*([0-9]{1,3})\s*"
COLOUR = re.compile(rf"(?:rgb)?[\[(]?{NUMBER}[\s,;/]{NUMBER}[\s,;/]{NUMBER}[\])]?",
                    re.IGNORECASE | re.ASCII)
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[;,\t]*[\r\n]*', re.IGNORECASE)  # Excel reads it, too


def read_rows(path: Path, *needed: str, cure: str = "") -> Iterator[tuple[int, dict[str, str]]]:
    """(line number, {column: text}) for each row of a CSV file with a header row; see
    `read_cells`."""
    rows = read_cells(path, *needed, cure=cure)
    _, header = next(rows)
    for line, cells in rows:
        yield line, dict(zip(header, cells, strict=True))


def read_cells(path: Path, *needed: str, cure: str = "", wide: bool = False,
               ) -> Iterator[tuple[int, list[str]]]:
    """(line number, texts) for each row of a CSV file; the first one is the header, in which the
    columns `needed` must be.

    A row of several lines, in quotation marks, has the number of the first one. Cells are parted by
    what the header has between the needed columns. Empty cells behind the last column, and rows
    without any text, are passed over. `cure`: what to do if there is no such file; `wide`:
    whether rows may have more cells than the header. Raises InputError, with the line, for what is
    no such table.
    """
    begun = 0  # lines that the reader does not count
    start = 1  # of the row that is read
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
            check_header(path, header, needed)
            yield reader.line_num + begun, header
            width, start = len(header), reader.line_num + begun + 1
            named = max((place for place, name in enumerate(header, 1) if name), default=0)
            for cells in reader:
                line, start = start, reader.line_num + begun + 1
                if len(cells) != width:
                    more = any(map(str.strip, cells[width:]))
                    if more and wide:
                        yield line, cells
                        continue
                    if more or 0 < len(cells) < named:
                        raise InputError(f"{path}, line {line}: the row has more or fewer cells "
                                         f"than the header ({width}): {mark.join(cells)!r:.60}")
                    cells = (cells + [""] * width)[:width]
                if not any(cells):
                    continue
                if "\0" in "".join(cells):
                    raise InputError(f"{path}, line {line}: the row holds NUL bytes; the file is "
                                     "damaged or not UTF-8 text; save it as CSV UTF-8")
                yield line, cells
    except FileNotFoundError:
        raise InputError(f"{path}: no such file" + (cure and f"; {cure}")) from None
    except UnicodeError as error:  # of UTF-16 not always a UnicodeDecodeError
        reason = f"{error.reason} at byte {error.start}" if hasattr(error, "reason") else error
        raise InputError(f"{path}: not UTF-8 text ({reason}); save it as CSV UTF-8") from None
    except csv.Error as error:
        hint = "; a quotation mark is opened there and not closed" * ("end of data" in str(error))
        raise InputError(f"{path}, line {start}: {error}{hint}") from None
    except IsADirectoryError:
        raise InputError(f"{path}: a folder (directory), where a CSV file is needed") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def check_header(path: Path, header: Sequence[str], needed: Sequence[str]) -> None:
    """Raises InputError if a table's header lacks one of the columns `needed`, or has one twice."""
    if "\0" in "".join(header):  # as in UTF-16 without its mark
        raise InputError(f"{path}: not UTF-8 text; save it as CSV UTF-8")
    if twice := [name for name in set(header) if name and header.count(name) > 1]:
        raise InputError(f"{path}: the column {min(twice)!r} stands in the header twice; delete "
                         "one of them")
    for name in needed:
        if name not in header:
            alike = [other for other in header if other.lower() == name]
            hint = (f"; write {name} in place of {alike[0]}" if alike else
                    f"; the first line must name the columns: {','.join(needed)}"
                    if not {*needed} & {*header} else "")
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


def colour_of(text: str) -> int | None:
    """A colour as red << 16 | green << 8 | blue; None if it is neither #ff8800, ff8800, 0xff8800,
    #f80, #ff8800ff (opaque) nor three numbers to 255, such as 255,136,0 or rgb(255 136 0)."""
    if match := HEX_COLOUR.fullmatch(text):
        digits = match[1] or "".join(2 * digit for digit in match[2])
        return int(digits[:6], 16)
    parts = COLOUR.fullmatch(text)
    if parts and max(map(int, parts.groups())) < 256:
        red, green, blue = map(int, parts.groups())
        return red << 16 | green << 8 | blue
    return None


def write_rows(path: str | Path, header: list[str], rows: Iterable[list]) -> None:
    """Write a CSV file with a header row whole or not at all."""
    with written_whole(path) as temporary, open(temporary, "w", newline="",
                                                encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
