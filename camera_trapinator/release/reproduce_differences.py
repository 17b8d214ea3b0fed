"""What differs now from what a run was made of: its photos and other files, its packages, its
machine, its code."""

from collections.abc import Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np

from .. import InputError
from ..config import Config
from ..data.checks import check_maps, check_photos
from ..data.checksums import checksum, mask_file
from ..data.manifest import Manifest, Row, read_classes, read_manifest
from ..data.memory import checks_of
from ..data.progress import progress
from ..data.tables import read_rows
from ..data.threads import LOOKING, in_threads
from ..training.provenance import files_of, plain_name
from ..training.resumed import rows_made_of
from ..utils import ROOT

# Of a machine, in the words of people; kernels, cores and the threads that run side by side are
# kept, but no number depends on them.
MACHINE = {
    "python": "Python", "system": "system", "libc": "C library", "processor": "processor",
    "capability": "the processor's instructions", "device": "device", "gpu": "GPU",
    "driver": "GPU driver", "torch": "PyTorch's build", "cuda": "CUDA", "cudnn": "cuDNN",
    "threads": "threads", "processes": "processes", "precision": "precision",
    "deterministic": "deterministic", "seed": "seed"}
MOST_TOLD = 20


def machine_differences(then: dict, now: dict) -> list[str]:
    """What differs between two starts, see `provenance.machine`, as far as both tell."""
    found = [f"{title}: {then[name] or 'none'} then, {now[name] or 'none'} now"
             for name, title in MACHINE.items()
             if name in then and name in now and then[name] != now[name]]
    old, new = then.get("variables", {}), now.get("variables", {})
    return found + [f"environment variable {name}: {old.get(name, 'not set')} then, "
                    f"{new.get(name, 'not set')} now"
                    for name in sorted({*old, *new}) if old.get(name) != new.get(name)]


def package_differences(then: dict[str, str], now: dict[str, str]) -> list[str]:
    """The packages, with their versions, that differ from those of then. What is only here now is
    no difference: the run did without."""
    now = {plain_name(name): version for name, version in now.items()}
    return [f"{name} {version} then, {now.get(plain_name(name), 'not installed')} now"
            for name, version in then.items() if now.get(plain_name(name)) != version]


# ------------------------------------------------------------------------------------------- files


def file_differences(then: dict, config: Config, classes: Sequence[str]) -> list[str]:
    """The files beside photos and masks that are gone or hold other bytes. The manifest may, for
    its rows are looked at one by one; the classes may have other colours."""
    found, paths = [], files_of(config)
    for what, was in then["files"].items():
        path = paths.get(what, Path(was["path"]))
        if not path.is_file():
            found.append(f"{what}: {path} is gone")
        elif what not in ("manifest", "splits_file") and checksum(path) != was["sha256"]:
            names = [name for name, _ in read_classes(path)] if what == "classes" else None
            if names != list(classes):
                found.append(f"{what}: {path} has changed")
    return found


def photo_differences(rows: Sequence[dict], config: Config) -> tuple[list[str], Manifest]:
    """What has changed of the photos of a run and of their masks, each file with its name; and the
    run's own rows of the manifest, in its order. `rows`: those of its splits.csv. Reads the files
    to the last byte, for that is what is asked here."""
    root = ROOT / config.data_root
    known = {row.image: row for row in read_manifest(root / config.manifest)}

    def look(was: dict) -> list[str]:
        row = known.get(was["image"])
        if row is None:
            return [f"{was['image']}: is not in {config.manifest} any more"]
        found = [f"{row.image}: its {name} is {was[name]!r} then, {getattr(row, name)!r} now"
                 for name in ("location", "sequence") if was[name] != getattr(row, name)]
        for file, sum_then in ((row.image, was["photo_sha256"]),
                               (mask_file(row), was["mask_sha256"])):
            found += _changed(root, file, sum_then, row)
        return found

    looks = progress(in_threads(look, rows, **LOOKING), "comparing", len(rows))
    found = [text for texts in looks for text in texts]
    return found, Manifest(known[was["image"]] for was in rows if was["image"] in known)


def _changed(root: Path, file: str, sum_then: str, row: Row) -> list[str]:
    """What has become of a file of a row, which had this checksum; "" = there was none."""
    if not file:
        return [f"{row.image}: had a mask, now it has none"] if sum_then else []
    if not sum_then:
        return [f"{row.image}: had no mask, now it has {file}"]
    if not (root / file).is_file():
        return [f"{file}: is gone"]
    try:
        return [f"{file}: has changed"] if checksum(root / file) != sum_then else []
    except InputError as error:
        return [str(error)]


def row_differences(rows: Sequence[dict], manifest: Manifest, config: Config) -> list[str]:
    """The rows of the manifest that say something else of photos whose files are the same:
    `difficulty`, `focus`, or whether there is an animal. `manifest`: of `photo_differences`."""
    root = ROOT / config.data_root
    if config.task == "regression":
        facts = check_maps(manifest, root, checks_of(root, "maps"))
        shares = np.array([[fact.share] for fact in facts])
    else:
        shares = check_photos(manifest, root, len(read_classes(root / "classes.csv")),
                              checks_of(root))
    return [f"{row.image}: its row in {config.manifest} has changed"
            for row, was, now in zip(manifest, rows, rows_made_of(manifest, root, shares),
                                     strict=True) if was["made_of"] != now]


def read_run_rows(folder: Path) -> list[dict]:
    """The rows of a run's splits.csv."""
    return [row for _, row in read_rows(folder / "splits.csv", "image", "location", "sequence",
                                        "split", "made_of", "photo_sha256", "mask_sha256")]


def at_place(config: Config, data_root: Path | None) -> Config:
    """The config with its data root in full, or with another one."""
    root = (ROOT / config.data_root if data_root is None else data_root).resolve()
    if not root.is_dir():
        raise InputError(f"{root}: the photos of the run are not there; say where they are with "
                         "--data-root FOLDER")
    return replace(config, data_root=str(root))


# -------------------------------------------------------------------------------------------- code


def code_differences(then: Path, now: Path, files_then: dict[str, str],
                     files_now: dict[str, str]) -> list[str]:
    """The files of code that differ between two folders, with the first line that does; by the
    checksums of `code_files`. Where `then` has no such file, only by these."""
    found = []
    for name in sorted({*files_then, *files_now}):
        if name not in files_now:
            found.append(f"{name}: is gone")
        elif name not in files_then:
            found.append(f"{name}: is new")
        elif files_then[name] != files_now[name]:
            found.append(f"{name}{_first_line(then / name, now / name)}")
    return found


def _first_line(then: Path, now: Path) -> str:
    """What differs first in two texts, for people."""
    try:
        old, new = (path.read_text(encoding="utf-8").splitlines() for path in (then, now))
    except (OSError, UnicodeDecodeError):
        return ": has changed"
    changes = [change for change in SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
               if change[0] != "equal"]
    if not changes:
        return ": its line ends, or its last one, have changed"
    _, begin, end, begin_now, end_now = changes[0]
    more = f" (and {len(changes) - 1} more)" if changes[1:] else ""
    return (f", line {begin_now + 1}: {_line(old[begin:end])} then, {_line(new[begin_now:end_now])}"
            f" now{more}")


def _line(lines: list[str]) -> str:
    return f"{lines[0].strip()!r:.100}" if lines else "no such line"


def listed(differences: Sequence[str]) -> list[str]:
    """The first of many differences, and how many there are more."""
    more = len(differences) - MOST_TOLD
    return [*differences[:MOST_TOLD], *([f"... and {more} more"] if more > 0 else [])]
