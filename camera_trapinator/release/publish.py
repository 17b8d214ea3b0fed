"""A run as a folder for others: best.pt, card, licence, citation, checksums. Nothing is uploaded.

All that is missing is told at once, before anything is written; the folder gets its name when all
of it is written and `publish_privacy` has found nothing in it.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from .. import InputError
from ..data.lock import only_one
from ..outputs.model_card import what_it_does
from ..training.checkpoint import save_checkpoint
from ..training.slim import left_out_of, published_config
from ..utils import ROOT, RUNS
from . import publish_layouts as layouts
from .publish_card import card_text
from .publish_privacy import Secrets, look_through
from .publish_subject import Subject, Told, code_version, read_report
from .publish_weights import learned_by_run, published_checkpoint, published_learned


def publish(run: Path, out: Path, told: Told, overwrite: bool = False) -> Iterator[str]:
    """Write what is published of a run into the folder `out`; gives lines on what is left out, and
    on what its owner has to do. Raises InputError for all that is missing, for a run that somebody
    is writing to, and where a secret would be published."""
    out = out.resolve()
    with ExitStack() as stack:
        stack.enter_context(only_one(run))
        if (run / "test").is_dir():
            stack.enter_context(only_one(run / "test"))
        subject = examine(run, out, told, overwrite)
        temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
        try:
            temporary.mkdir(parents=True)
            write_folder(subject, temporary)
            secrets = secrets_of(subject)
            if faults := look_through(temporary, secrets):
                raise InputError(f"{out}: not published: {'; '.join(faults)}. Leave it out of "
                                 "--title, --data and the other options, or name it otherwise")
            put_in_place(temporary, out)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    yield f"left out    knobs: {', '.join(left_out_of(subject.config))}"
    if secrets.told:
        yield (f"not checked {len(secrets.told)} locations, such as {secrets.told[0]}: their names "
               "are words that are published in any case")
    if told.locations == "hash":
        yield ("warning     hashed names can be guessed: whoever tries a name sees whether it is "
               "among the locations")
    if told.layout == "zenodo" and not subject.licence[0]:
        yield "note        .zenodo.json names no licence: choose it in Zenodo's form"
    for note in (*subject.notes_of_code, *layouts.warnings_of(subject.citation)):
        yield f"warning     {note}"


def examine(run: Path, out: Path, told: Told, overwrite: bool) -> Subject:
    """The subject of a publication; raises InputError with all that is missing for it."""
    faults: list[str] = []

    def known(look, *arguments, other=None):
        try:
            return look(*arguments)
        except InputError as error:
            faults.append(str(error))
            return other

    known(check_out, out, run, overwrite)
    report = known(read_report, run)
    licence = None
    if told.licence:
        licence = known(layouts.licence_of, told.licence)
    else:
        faults.append("--licence: under which one may others use the weights? Such as CC-BY-4.0, "
                      "as far as the photos' own allows")
    if not told.data.strip():
        faults.append('--data: where do the photos come from, and who may use them? Such as "our '
                      'own photos of 2023, on request"')
    citation = known(layouts.read_citation, ROOT / "CITATION.cff", other={})
    repository = told.repository or str(citation.get("repository-code", ""))
    if not re.fullmatch(r"(https?|ssh|git|file)://[^\s\"'@]+", repository):
        faults.append(f"--repository{' ' + repository if repository else ''}: the address "
                      "(https://...) from which others get the code; or write it into CITATION.cff "
                      "as repository-code")
    code, notes = known(code_version, told.code, other=("", []))
    if faults:
        raise InputError("; also ".join(faults))
    return Subject(run, told, report, citation, licence, repository, code, notes)


def check_out(out: Path, run: Path, overwrite: bool) -> None:
    """Raises InputError where no folder may come, or stands one with something else in it."""
    if run.resolve() in (out, *out.parents):
        raise InputError(f"--out {out}: lies in the run; name a folder outside of it")
    if not out.exists():
        return
    if not out.is_dir():
        raise InputError(f"--out {out}: a file; name a folder")
    there = {path.name for path in out.iterdir()}
    if there and not overwrite:
        raise InputError(f"--out {out}: is not empty; name another folder, or say --overwrite")
    try:
        lines = (out / layouts.SUMS).read_text(encoding="utf-8").splitlines() if there else []
    except (OSError, ValueError):
        lines = []
    if foreign := sorted(there - {layouts.SUMS, *(line[66:] for line in lines)}):
        raise InputError(f"--out {out}: {foreign[0]} in it is of no published model, and would be "
                         "lost; name another folder")


def write_folder(subject: Subject, folder: Path) -> None:
    """Write all files of a publication into an empty folder."""
    told, name = subject.told, subject.licence[0]
    learned = published_learned(learned_by_run(subject.checkpoint, subject.rows),
                                told.locations == "hash", subject.title)
    save_checkpoint(folder / "best.pt", published_checkpoint(
        subject.checkpoint, subject.config, learned, subject.report,
        {"title": subject.title, "version": subject.version, "code": subject.code,
         "licence": name or subject.licence[1]}))
    texts = {"README.md": card_text(subject), "config.yaml": published_config(subject.config),
             "CITATION.cff": (ROOT / "CITATION.cff").read_text(encoding="utf-8"),
             "LICENSE": licence_text(subject)}
    if told.layout == "huggingface":
        texts[".gitattributes"] = layouts.WITH_LFS
        texts["README.md"] = layouts.front_matter(
            subject.title, subject.licence, subject.report, len(subject.names) == 1,
        ) + texts["README.md"]
    elif told.layout == "zenodo":
        what = [what_it_does(subject.names), told.data, "README.md has scores and limits."]
        texts[".zenodo.json"] = json.dumps(layouts.zenodo_metadata(
            subject.title, subject.version, subject.licence, what, subject.citation,
            subject.repository), indent=2, ensure_ascii=False) + "\n"
    for file, text in texts.items():
        (folder / file).write_text(text, encoding="utf-8", newline="\n")
    (folder / layouts.SUMS).write_text(layouts.checksums(folder), encoding="utf-8", newline="\n")


def licence_text(subject: Subject) -> str:
    """The text of the licence where the repository has it, being its own; else its address."""
    name, address = subject.licence
    own = ROOT / "LICENSE"
    if name and name == subject.citation.get("license") and own.is_file():
        return own.read_text(encoding="utf-8")
    return f"The weights, best.pt, are under {name or 'these terms'}:\n{address}\n"


def secrets_of(subject: Subject) -> Secrets:
    """What must not stand in the folder."""
    learned = learned_by_run(subject.checkpoint, subject.rows)
    locations = learned.locations | {row["location"] for row in subject.rows}
    root = ROOT / subject.config.data_root
    knobs = [subject.config.data_root, *(getattr(subject.config, name) for name in (
        "splits_file", "deployments_file", "project_file", "teacher", "weights", "difficulty"))]
    own = [*Path(__file__).parent.glob("publish*.py"), ROOT / "camera_trapinator/config.py",
           ROOT / "camera_trapinator/outputs/model_card.py", ROOT / "CITATION.cff"]
    if subject.citation.get("license") == subject.licence[0]:
        own.append(ROOT / "LICENSE")
    ordinary = "\n".join([*(path.read_text(encoding="utf-8") for path in own), *subject.names,
                          *subject.checkpoint["model"]])
    return Secrets(locations, [row["image"] for row in subject.rows],
                   [root, root.resolve(), ROOT, RUNS, subject.run, *knobs], ordinary)


def put_in_place(temporary: Path, out: Path) -> None:
    """Give a folder its name; what a publication has left there before goes when it has it."""
    if not out.exists():
        temporary.rename(out)
        return
    former = temporary.with_suffix(".old")
    out.rename(former)
    try:
        temporary.rename(out)
    except OSError:
        former.rename(out)
        raise
    shutil.rmtree(former)
