"""What reproduce.py tells: what differs from what a run was made of, and how it came out."""

from pathlib import Path
from typing import NamedTuple

import torch

from .. import InputError
from ..config import Config
from ..data.checksums import checksum
from ..data.manifest import Manifest
from ..training.code_state import code_files
from ..training.provenance import Place, files_of, installed, machine, read_starts, variables
from ..utils import ROOT, choose_device
from .reproduce_bits import compare_bits
from .reproduce_differences import (
    code_differences,
    file_differences,
    listed,
    machine_differences,
    package_differences,
    photo_differences,
    row_differences,
)
from .reproduce_environment import find_python


class Made(NamedTuple):
    """What a run was made of."""

    folder: Path
    start: dict  # the first one, see provenance.keep_start
    config: Config
    classes: list[str]
    rows: list[dict]  # of its splits.csv


def tell_data(made: Made) -> tuple[list[str], Manifest | None]:
    """Tell which files differ; gives these, and the run's own rows of the manifest where that is
    another one now (else None: it is taken as it is)."""
    lost = file_differences(made.start, made.config, made.classes)
    files, rows = files_of(made.config), None
    if files["manifest"].is_file():
        found, rows = photo_differences(made.rows, made.config)
        lost += found
    same = all(files[what].is_file() and checksum(files[what]) == was["sha256"]
               for what, was in made.start["files"].items() if what in ("manifest", "splits_file"))
    if not lost and not same:
        lost += row_differences(made.rows, rows, made.config)
    for text in listed(lost):
        print(f"data        {text}")
    if not lost:
        print(f"data        {len(made.rows)} photos, their masks and {len(made.start['files'])} "
              "other files: as they were" + "; the manifest has changed, but not in the rows of "
              "the run, which alone are taken" * (not same))
    return lost, None if same else rows


def tell_code(made: Made, code: Path) -> list[str]:
    """Tell which files of code differ now; that is no harm, for the code of then is taken."""
    found = code_differences(code, ROOT, code_files(code), code_files(ROOT))
    for text in listed(found):
        print(f"code        {text}")
    if found:
        print("code        that of then is taken")
    for name in made.start["left_out"]:
        print(f"warning     {name} was too large to be kept with the code: it is not there")
    return found


def tell_machine(made: Made, here: bool) -> tuple[list[str], list[str]]:
    """Tell which packages and what of the machine differ; gives what makes it useless to train,
    and what the environment of then, if it is not the one that is `here`, cures."""
    start, lost = made.start, []
    try:
        device = choose_device(start["device"])
    except InputError as error:
        lost.append(f"device: {start['gpu'] or start['device']} then; {error}")
        device = torch.device("cpu")
    now = {**machine(Place(device, start["precision"])), "variables": variables()}
    versions = package_differences(start["packages"], {
        name: package.version for name, package in installed().items()})
    for text in listed(versions):
        print(f"package     {text}")
    if versions:
        print("package     these stay so, with --here" if here else
              "package     the versions of then are taken")
    if not here and find_python(_minor(start["python"])) is None:
        lost.append(f"python{_minor(start['python'])} is not here; install it, or take the "
                    "environment that is active, with --here")
    found = machine_differences(start, now)
    cured = [text for text in found if text.startswith(("threads:", "environment variable"))]
    for text in found:
        print(f"machine     {text}" + ": that of then is taken" * (text in cured))
    for text in lost:
        print(f"machine     {text}")
    if start["device"] != "cpu" and not start["deterministic"]:
        print("warning     a GPU adds up in any order without `deterministic: true`: the bits may "
              "differ where nothing else does")
    return lost, cured + versions * (not here)


def _minor(python: str) -> str:
    """3.12 of 3.12.4."""
    return ".".join(python.split(".")[:2])


def tell_result(made: Made, new: Path) -> bool:
    """Tell whether two runs hold the same bits; else what differs, and why that may be."""
    differences, compared = compare_bits(made.folder, new)
    if not differences:
        print(f"result      the same bits: {compared}")
        return True
    for text in differences:
        print(f"differs     {text}")
    again = read_starts(new)[0]
    reasons = package_differences(made.start["packages"], again["packages"])
    reasons += machine_differences(made.start, again)
    reasons += [f"{name}: is another one" for name in ("strips.csv", "difficulty.csv")
                if _text(made.folder / name) != _text(new / name)]
    codes = [(start["commit"], start["code_files"], _patch(folder / start["code"]))
             for start, folder in ((made.start, made.folder), (again, new))]
    if codes[0] != codes[1]:
        reasons.append(f"code: {made.start['code']} is another one")
    for text in listed(reasons):
        print(f"reason      {text}")
    if not reasons:
        print("reason      none is known: packages, machine, threads, code and files are the same"
              + ("; set deterministic: true for a run that can be made again"
                 if made.start["device"] != "cpu" and not made.start["deterministic"] else ""))
    print("result      not the same bits")
    return False


def _patch(path: Path) -> bytes:
    """What a git.txt says of the code itself: what is staged is no difference."""
    return _text(path).partition(b"\ndiff --git ")[2]


def _text(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""
