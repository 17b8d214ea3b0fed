"""What scripts/benchmark.py has measured: the rows of benchmark.json, and benchmark.md."""

import json
import os
import platform
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from pathlib import Path

from camera_trapinator import InputError, written_whole


def row(part: str, name: str, value: float | None, unit: str, reference: float | None = None,
        limit: float | None = None) -> dict:
    """A line of benchmark.json; `reference` is what others need, `limit` what physics allows."""
    return {"part": part, "name": name, "value": value, "unit": unit, "reference": reference,
            "ratio": value / reference if value is not None and reference else None,
            "limit": limit,
            "share_of_limit": value / limit if value is not None and limit else None}


class Results:
    """The rows measured so far, by part and name; written after each change if there is `out`.

    `tables`: for each part what makes Markdown of its rows.
    """

    def __init__(self, out: Path | None, tables: dict[str, Callable[[list[dict]], str]]):
        self.out, self.tables, self.rows = out, tables, {}
        if out is not None and (out / "benchmark.json").exists():
            try:
                rows = json.loads((out / "benchmark.json").read_text(encoding="utf-8"))
                self.rows = {(row["part"], row["name"]): row for row in rows}
            except (ValueError, KeyError, TypeError):
                raise InputError(f"{out / 'benchmark.json'}: holds no results; move it away, or "
                                 "give another --out") from None

    def add(self, rows: Iterable[dict]) -> None:
        """Add rows; those of the same part and name are replaced."""
        self.rows |= {(row["part"], row["name"]): row for row in rows}
        if self.out is not None:
            self.out.mkdir(parents=True, exist_ok=True)
            with written_whole(self.out / "benchmark.json") as path:
                path.write_text(json.dumps(list(self.rows.values()), indent=2), encoding="utf-8")
            with written_whole(self.out / "benchmark.md") as path:
                path.write_text(self.markdown(), encoding="utf-8")

    def of(self, part: str) -> list[dict]:
        """The rows of a part."""
        return [row for row in self.rows.values() if row["part"] == part]

    def markdown(self) -> str:
        """All parts as tables."""
        tables = [f"## {name}\n\n{table(self.of(name))}" for name, table in self.tables.items()
                  if self.of(name)]
        return "\n".join([f"# Benchmark\n\n{describe_machine()}\n", *tables])


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of texts."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def describe_machine() -> str:
    """One line: processor, cores, torch, day."""
    import torch

    processor = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():  # Linux; elsewhere Python knows
        names = re.findall(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
        processor = names[0] if names else processor
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return (f"{processor}, {os.cpu_count()} cores{gpu}, {platform.system()}, Python "
            f"{platform.python_version()}, torch {torch.__version__}, {date.today()}")
