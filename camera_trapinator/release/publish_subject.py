"""What is published: a run, what its test came to, what its owner tells, the code that predicts."""

import json
import re
import subprocess
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from .. import InputError, __version__
from ..config import Config, parse_config
from ..data.files import sha256
from ..data.tables import read_rows
from ..training.checkpoint import load_checkpoint
from ..training.code_state import git
from ..training.provenance import read_starts
from ..utils import ROOT

PACKAGES = ("python", "torch", "torchvision", "numpy", "pillow", "scipy")
SCORES = ("locations", "light", "per_location", "note", "weights_sha256")  # of every report
OF_CLASSES = ("classes", "presence", "empty_photos", "reliability")


@dataclass(frozen=True)
class Told:
    """What no run knows and its owner tells; "" = not told."""

    licence: str = ""  # SPDX identifier, or the address of other terms
    data: str = ""  # where the photos come from
    title: str = ""  # default: the run's name
    version: str = ""  # default: the first 8 digits of the checksum of the run's best.pt
    repository: str = ""  # address of the code; default: that of CITATION.cff
    code: str = ""  # its tag or commit; default: that of this checkout
    layout: str = "plain"
    locations: str = "drop"  # or hash


@dataclass
class Subject:
    """A run that is published, and what is written of it."""

    run: Path
    told: Told
    report: dict
    citation: dict
    licence: tuple[str, str]
    repository: str
    code: str
    notes_of_code: list[str] = field(default_factory=list)

    @cached_property
    def checkpoint(self) -> dict:
        return load_checkpoint(self.run / "best.pt")

    @cached_property
    def config(self) -> Config:
        return parse_config(self.checkpoint["config"], str(self.run / "best.pt"), stored=True)

    @cached_property
    def rows(self) -> list[dict]:
        """Those of splits.csv."""
        return [row for _, row in read_rows(self.run / "splits.csv", "image", "location",
                                            "sequence", "split")]

    @property
    def names(self) -> list[str]:
        """Of the classes; one, the quantity, of a regression."""
        return [name for name, _ in self.checkpoint["classes"]]

    @property
    def title(self) -> str:
        return self.told.title or self.run.name

    @property
    def version(self) -> str:
        return self.told.version or self.report["weights_sha256"][:8]

    @cached_property
    def trained_code(self) -> str:
        """The commit of the code that trained it; "" where that is not known."""
        path = self.run / "git.txt"
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        commit, _, changes = text.partition("\n")
        if not re.fullmatch("commit [0-9a-f]{40,64}", commit):
            return ""
        return commit.removeprefix("commit ") + " and uncommitted changes" * bool(changes.strip())

    @cached_property
    def packages(self) -> dict[str, str]:
        """The versions of Python and packages by which its last start trained it; {} of a run of
        an older version. Raises InputError for a run.json that is none."""
        told = [{**start["packages"], "python": start.get("python", "")}
                for start in read_starts(self.run)[-1:]]
        return {name: start[name] for start in told for name in PACKAGES
                if re.fullmatch(r"[\w.+!-]{1,40}", str(start.get(name, "")))}


def read_report(run: Path) -> dict:
    """What the test of best.pt came to, without names. Raises InputError if there was none."""
    test = f"test it first: python scripts/test.py --run {run.name}"
    best, path = run / "best.pt", run / "test" / "report.json"
    if not best.is_file():
        raise InputError(f"{best}: no such checkpoint; train the run to the end of its first epoch")
    if not path.is_file():
        raise InputError(f"{run.name} was never tested; {test}")
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        wanted = SCORES if "mae" in report else (*SCORES, *OF_CLASSES)
        if gone := [key for key in wanted if key not in report]:
            raise ValueError(f"{gone[0]} is missing")
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); {test}") from None
    if report["weights_sha256"] != sha256(best):
        raise InputError(f"{path}: is the test of another checkpoint than best.pt, since the run "
                         f"has gone on; {test}")
    return {**report, "note": nameless(report["note"] or "")}


def nameless(note: str) -> str:
    """What a report notes, without the examples and the names of earlier models in it."""
    note = re.sub(r"(?:^|(?<=; ))what .+? learned from is not known",
                  "what an earlier model learned from is not known", note)
    note = re.sub(r", such as [^;]*?, count as seen", " count as seen", note)
    return re.sub(r", such as [^;]*", "", note)


def code_version(told: str) -> tuple[str, list[str]]:
    """The tag or commit of this checkout, unless it is told, and notes on it."""
    if told:
        return told, []
    try:
        tags, commit, changed = (git(ROOT, *words).decode(errors="replace").strip() for words in (
            ("tag", "--points-at", "HEAD"), ("rev-parse", "HEAD"),
            ("status", "--short", "--untracked-files=no")))
    except (OSError, subprocess.SubprocessError):
        raise InputError(f"--code: {ROOT} is no git repository; which tag or commit of the code is "
                         f"it (version {__version__})?") from None
    notes = ["The code had changes that are in no commit when this was published: commit them, and "
             "publish again"] if changed else []
    return (tags.split() or [commit])[-1], notes
