"""export.json: the files that a run was exported to, and what each of them has changed.

Written by scripts/export.py; what the keys of a row mean stands in `export/parity.py`. A file's row
has `file` besides, its name, with its `sha256` and `bytes`, and the `weights` that it was made of,
the checksum of best.pt.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path

from ..data.files import sha256, written_whole

FOLDER = "export"  # in the run's
TABLE = "export.json"
# Columns: heading, key, and how its number is told.
MASKS = (("agree", "agreement", "share"), ("foreground IoU", "foreground_iou", "score"),
         ("species IoU", "mean_iou", "score"), ("counts changed", "counts_changed", "photos"),
         ("empty changed", "empty_changed", "photos"))
VALUES = (("within 1 %", "agreement", "share"), ("RMSE", "rmse", "value"),
          ("mean difference", "mean_difference", "value"),
          ("largest", "largest_difference", "value"))
COSTS = (("MB", "bytes", "megabytes"), ("ms", "network_ms", "time"),
         ("ms with reading", "photo_ms", "time"), ("memory MB", "memory_mb", "time"))


def read_parity(run: Path) -> dict | None:
    """What export.json of a run holds of its best.pt as it is now: without the rows of files that
    are made of an earlier one, or are no longer there as they were compared. None if nothing is
    left."""
    path, best = run / FOLDER / TABLE, run / "best.pt"
    if not (path.is_file() and best.is_file()):
        return None
    table, weights = json.loads(path.read_text(encoding="utf-8")), sha256(best)
    rows = [row for row in table["rows"] if row["weights"] == weights and (
        not row["passed"] or "file" not in row or _is_there(run / FOLDER / row["file"], row))]
    return {**table, "rows": rows} if any("file" in row for row in rows) else None


def _is_there(file: Path, row: dict) -> bool:
    return (file.is_file() and file.stat().st_size == row["bytes"]
            and sha256(file) == row["sha256"])


def write_parity(run: Path, table: dict) -> None:
    """Write export.json of a run."""
    with written_whole(run / FOLDER / TABLE) as path:
        path.write_text(json.dumps(table, indent=2), encoding="utf-8", errors="backslashreplace")


def told_rows(rows: Sequence[dict]) -> list[list[str]]:
    """The table as texts, its headings first; without columns of which nothing is known."""
    kind = VALUES if any("mean_difference" in row for row in rows) else MASKS
    columns = [["", *(row["name"] for row in rows)]]
    for heading, key, form in (*kind, *COSTS):
        texts = [_told(row.get(key), form) for row in rows]
        if set(texts) - {"n/a", ""}:
            columns.append([heading, *texts])
    columns.append(["photos", *(str(row.get("photos", "n/a")) for row in rows)])
    if not all(row["passed"] for row in rows):
        columns.append(["", *("" if row["passed"] else "FAILED" for row in rows)])
    return [list(row) for row in zip(*columns, strict=True)]


def _told(value: object, form: str) -> str:
    if value is None:
        return "" if form == "megabytes" else "n/a"
    if form == "share":  # 100 % are all pixels, not nearly all
        return f"{math.floor(100_000 * value) / 1000:.3f} %"
    if form == "photos":
        return str(value["photos"])
    if form == "megabytes":
        return f"{value / 1e6:.1f}"
    return f"{value:{ {'score': '.3f', 'value': '.3g', 'time': '.0f'}[form]}}"


def as_lines(rows: Sequence[dict]) -> list[str]:
    """The table for a terminal, and below it which photos have changed, and what went wrong."""
    header, *texts = told_rows(rows)
    headings = [heading.rpartition(" ")[::2] for heading in header]  # in two lines
    texts = [*map(list, zip(*headings, strict=True)), *texts]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    lines = ["  ".join([text[0].ljust(widths[0]), *map(str.rjust, text[1:], widths[1:])]).rstrip()
             for text in texts]
    for row in rows:
        for key, what in (("counts_changed", "counted otherwise"),
                          ("empty_changed", "empty or no longer so")):
            if changed := row.get(key, {}).get("first"):
                more = row[key]["photos"] - len(changed)
                lines.append(f"{row['name']}: {what}: {', '.join(changed)}"
                             + (f" and {more} more" if more else ""))
        if "error" in row:
            lines.append(f"{row['name']}: {row['error']}")
    return lines


def as_section(run: Path) -> list[str]:
    """The paragraphs of the model card on the files; none without any that are of this best.pt."""
    if (table := read_parity(run)) is None:
        return []
    header, *rows = told_rows(table["rows"])
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|",
             *(f"| {' | '.join(row)} |" for row in rows)]
    return ["## Exported files", "\n".join(lines),
            f"Compared on {table['compared_on']}, on {table['machine']}. What the columns mean "
            "stands in `docs/phone.md`."]
