"""Files are written under unproven/ and get their names when they have been compared, and agree.

What fails is deleted. An earlier file of the name stays until a good one takes its place; what is
known of it, export.json forgets as soon as best.pt is another one.
"""

import os
import platform
import shutil
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from ..data.files import sha256
from ..outputs.parity_table import FOLDER, TABLE, read_parity, write_parity
from ..outputs.places import EXPORTED

UNPROVEN = "unproven"  # folder of files that have not been compared yet


def unproven_folder(run: Path) -> Path:
    """An empty folder for files that are not compared yet, in that of the exported ones."""
    folder = run / FOLDER / UNPROVEN
    shutil.rmtree(folder, ignore_errors=True)  # left by a kill
    folder.mkdir(parents=True)
    return folder


def keep_good(run: Path, rows: Sequence[dict], facts: dict) -> list[dict]:
    """Give the files that agree their names, delete the others, and write export.json: the
    `facts`, and the rows, with those of earlier exports that still hold. Returns all its rows.

    `rows`: of `parity.compare_models`, and of files that could not be written; those whose name is
    that of a file, ending as one of EXPORTED, are of what lies in `unproven_folder`.
    """
    folder, weights = run / FOLDER, sha256(run / "best.pt")
    earlier, told = read_parity(run), []
    for row in rows:
        row = {**row, "weights": weights}
        draft = folder / UNPROVEN / row["name"]
        if draft.suffix in EXPORTED:
            row["file"] = row["name"]
            if draft.is_file():
                row |= {"bytes": draft.stat().st_size, "sha256": sha256(draft)}
            if row["passed"]:
                os.replace(draft, folder / row["name"])
        told.append(row)
    shutil.rmtree(folder / UNPROVEN)
    names = {row["name"] for row in told}
    told += [row for row in (earlier or {"rows": []})["rows"]
             if "file" in row and row["passed"] and row["name"] not in names]
    write_parity(run, {**facts, "weights": weights, "rows": told})
    return told


def strangers(run: Path, rows: Sequence[dict]) -> list[str]:
    """The names of files in the folder that are not those of which the rows tell."""
    good = {row["name"] for row in rows if row["passed"]}
    return sorted(path.name for path in (run / FOLDER).iterdir()
                  if path.suffix in EXPORTED and path.name not in good)


def this_machine() -> str:
    """What the times were measured on, in words."""
    packages = []
    for name in ("torch", "onnxruntime", "executorch"):
        with suppress(PackageNotFoundError):
            packages.append(f"{name} {version(name).split('+')[0]}")
    return (f"{platform.system()} {platform.machine()}, {torch.get_num_threads()} of "
            f"{os.cpu_count()} processors, {', '.join(packages)}")


def refusal(rows: Sequence[dict], least: float, there: Sequence[str]) -> str:
    """What to say of files that were not kept, in a line; "" if all were. `there`: names of earlier
    files that stay."""
    texts = []
    for row in rows:
        if row["passed"]:
            continue
        reason = row.get("error") or (
            f"agrees with PyTorch on {row['agreement']:.3%} of the pixels, which is less than "
            f"{least:.3%} (--least-agreement)")
        stays = "; an earlier one stays" if row["name"] in there else ""
        texts.append(f"{row['name']}: not kept: {reason}{stays}")
    if not texts:
        return ""
    return ("; also ".join(texts) + f". {TABLE} has the table; leave a kind out with --kinds, or "
            "look at what has changed, and accept it with a lower --least-agreement")
