"""What must not be published of a repository, found in all that git tracks and has ever tracked.

Photos and other pictures (but those meant for the public), weights, packed data, files over 1 MB,
home paths, notebooks with output, keys, coordinates, and what public pictures tell of their camera.
What a file holds through many commits is one finding.
"""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from .coordinates import find_coordinates
from .history import LONGEST, SUBMODULE, Commit, Object, Repository
from .kinds import DATA, OTHER, PHOTO, POINTER, TEXT, WEIGHTS, as_text, kind_of
from .leaks import Leak, find_leaks
from .pictures import hidden_facts
from .settings import Accepted, Settings

LARGE = 1_000_000  # bytes
MESSAGE = "message of "  # in place of a path


class Finding(NamedTuple):
    """Something that must not be published, or is missing."""

    kind: str  # photo, weights, data, large file, home path, notebook, key, coordinates, camera ...
    path: str  # "" for what is missing
    line: int  # from 1, today or, where it is deleted, then; 0 = the whole file
    what: str
    commit: Commit | None = None  # which brought it
    tracked: bool = False  # whether it is in the files of HEAD
    kept: bool = False  # whether HEAD has the file, in which it is no more
    replace: tuple[str, ...] = ()  # as in Leak
    cure: str = ""  # of what is missing; else see `cures`

    def __str__(self) -> str:
        place = f"{self.path}, line {self.line}" if self.line else self.path
        since = f" ({'' if self.tracked else 'only in the history, '}{self.commit})"
        return f"{place}{since if self.commit else ''}: {self.what}" if place else self.what


class Report(NamedTuple):
    """All that was found."""

    findings: list[Finding]
    accepted: list[tuple[Finding, Accepted]]
    notes: list[str]
    paths: set[str]  # all that the history has, or has had
    counts: Counter  # of what was looked at: files, commits, tags, versions


def examine(repository: Repository, settings: Settings) -> Report:
    """Look at every file and message of a repository's whole history."""
    brought, now = repository.introductions(), repository.files()
    found: dict[tuple, Finding] = {}
    counts, unknown, long = Counter(files=len(now)), set(), set()
    for thing in repository.objects():
        counts[thing.kind] += 1
        if thing.kind != "blob":
            for finding in _of_message(thing):
                found[finding.path, finding.what] = finding
            continue
        for path, commit in (brought.get(thing.number) or {thing.path: None}).items():
            tracked = now.get(path, ("", ""))[1] == thing.number
            for leak in leaks_of(path, thing, settings):
                key = (leak.kind, path, leak.replace)
                before = found.get(key)
                here = Finding(leak.kind, path, leak.line, leak.what, commit, tracked,
                               path in now, leak.replace)
                found[key] = _joined(before, here) if before else here
            if kind_of(path, thing.content)[0] == OTHER:
                unknown.add(path)
            if thing.size > LONGEST:
                long.add(path)
    findings, accepted = [], []
    for finding in sorted(found.values(), key=lambda one: (one.kind, one.path, one.line, one.what)):
        entry = settings.accepts(finding.kind, finding.path, finding.what)
        accepted.append((finding, entry)) if entry else findings.append(finding)
    paths = {path for places in brought.values() for path in places} | {*now}
    used = {entry for _, entry in accepted}
    notes = [
        *_listed("binary and not looked into", unknown),
        *_listed("not looked into behind the first 20 MB", long),
        *_listed("a submodule, another repository: check it by itself", [
            path for path, (mode, _) in now.items() if mode == SUBMODULE]),
        *_listed("in pyproject.toml, pictures, but never tracked", {*settings.pictures} - paths),
        *_listed("in pyproject.toml, accepted, but no longer found", [
            f"{entry.file} ({entry.what})" for entry in settings.accepted if entry not in used]),
    ]
    return Report(findings, accepted, notes, paths, counts)


def leaks_of(path: str, file: Object, settings: Settings) -> Iterator[Leak]:
    """What must not be published of one version of a file."""
    if file.size > LARGE:
        yield Leak("large file", 0, f"{file.size / 1e6:.1f} MB; more than 1 MB is no code")
    kind, what = kind_of(path, file.content)
    if kind == PHOTO and path in settings.pictures:
        yield from (Leak(fact, 0, text) for fact, text in hidden_facts(file.content))
    elif kind == PHOTO:
        yield Leak("photo", 0, f"{what}, {file.size / 1000:.0f} kB")
    elif kind == WEIGHTS:
        yield Leak("weights", 0, f"{what}, {file.size / 1000:.0f} kB")
    elif kind in (DATA, POINTER):
        yield Leak("data", 0, f"{what}, which cannot be looked into")
    elif kind == TEXT:
        text = as_text(file.content)
        yield from find_leaks(path, text)
        yield from find_coordinates(path, text)


def _of_message(thing: Object) -> Iterator[Finding]:
    """What must not be published of the message of a commit or a tag."""
    text = as_text(thing.content.partition(b"\n\n")[2])
    for leak in (*find_leaks("", text), *find_coordinates("", text)):
        yield Finding(leak.kind, f"{MESSAGE}{thing.kind} {thing.number[:10]}", leak.line, leak.what,
                      replace=leak.replace)


def _joined(one: Finding, other: Finding) -> Finding:
    """The same in two versions of a file: shown as it is today, or else was first, with the
    commit that brought it."""
    commits = [finding.commit for finding in (one, other) if finding.commit]
    first = other if other.commit and other.commit == min(commits) else one
    shown = first if one.tracked == other.tracked else one if one.tracked else other
    return shown._replace(commit=min(commits, default=None))


def _listed(what: str, paths) -> list[str]:
    """A note on some files, of which five are named; [] for none."""
    paths = sorted(paths)
    more = f" and {len(paths) - 5} more" if len(paths) > 5 else ""
    return [f"{', '.join(paths[:5])}{more}: {what}"] if paths else []
