"""What git tracks and has ever tracked: each file of each commit that a push could publish.

All branches, tags, remote branches and notes are read, and HEAD; so are files that were deleted.
Stashes and the reflog are not: no push publishes them (a copy of the folder `.git` does).
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .. import InputError
from ..training.code_state import git_environment

EVERYTHING = ("--exclude=refs/stash", "--all", "HEAD")
LONGEST = 20_000_000  # bytes of a file that are looked into; a file of more is told in any case
SUBMODULE = "160000"  # git's mode of one


class Commit(NamedTuple):
    """A commit, as it is named to people."""

    order: int  # 0 = the first of all
    name: str  # the first ten digits of its number
    date: str  # YYYY-MM-DD

    def __str__(self) -> str:
        return f"commit {self.name}, {self.date}"


class Object(NamedTuple):
    """Something that git keeps."""

    number: str  # 40 hexadecimal digits (64 in repositories that use SHA-256)
    kind: str  # blob (a file), commit or tag
    size: int  # bytes
    path: str  # where rev-list met it first; "" for a commit
    content: bytes  # the first LONGEST bytes


class Repository:
    """A git repository with its whole history; read only.

    `folder`: any folder of it. Raises InputError where git, the repository, its history or the
    first commit is missing.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; name the one of the repository")
        if self.ask("rev-parse", "--is-bare-repository") == "true\n":
            raise InputError(f"{folder}: a bare repository, without files; check a clone of it")
        if top := self.ask("rev-parse", "--show-toplevel").rstrip("\n"):  # "": inside of .git
            self.folder = Path(top)
        else:
            raise InputError(f"{folder}: lies in git's own folder; name the folder above .git")
        if self.ask("rev-parse", "--is-shallow-repository") == "true\n":
            raise InputError(f"{self.folder}: a shallow clone: most of the history is not here, so "
                             "it cannot be checked; fetch it: git fetch --unshallow --tags")
        if self._try("config", "--get-regexp", r"^remote\..*\.(promisor|partialclonefilter)$"):
            raise InputError(f"{self.folder}: a partial clone: not all files of the history are "
                             "here; clone it anew without --filter")
        if self._try("rev-parse", "--verify", "--quiet", "HEAD") is None:
            raise InputError(f"{self.folder}: no commit yet; make one: git add . && git commit")

    def ask(self, *words: str) -> str:
        """What git answers. Raises InputError with git's own words where it refuses."""
        return self._run(words).stdout.decode(errors="surrogateescape")

    def _try(self, *words: str) -> str | None:
        result = self._run(words, refuse=False)
        return result.stdout.decode(errors="surrogateescape") if result.returncode == 0 else None

    def _run(self, words: tuple[str, ...], refuse: bool = True) -> subprocess.CompletedProcess:
        try:
            result = subprocess.run(self._command(*words), capture_output=True,
                                    env=git_environment())
        except FileNotFoundError:
            raise InputError("git is not installed, or not on the PATH; get it from "
                             "git-scm.com/downloads") from None
        if result.returncode and refuse:
            lines = result.stderr.decode(errors="replace").strip().splitlines() or ["no reason"]
            cure = "name the folder of a clone (a download without .git has no history to check)"
            if "dubious ownership" in lines[0]:
                cure = ("it belongs to somebody else; if you trust it: git config --global --add "
                        f"safe.directory {self.folder.resolve()}")
            raise InputError(f"{self.folder}: git {words[0]}: {lines[0].removeprefix('fatal: ')}; "
                             f"{cure}")
        return result

    def _command(self, *words: str) -> list[str]:
        # Grafts and replaced objects are not pushed; the true ones are.
        return ["git", "--no-replace-objects", "-C", str(self.folder), *words]

    def files(self) -> dict[str, tuple[str, str]]:
        """{path: (mode, number)} of what HEAD holds."""
        lines = self.ask("ls-tree", "-r", "-z", "--full-tree", "HEAD").split("\0")[:-1]
        found = {}
        for line in lines:
            facts, _, path = line.partition("\t")
            mode, _, number = facts.split()
            found[path] = mode, number
        return found

    def text(self, path: str) -> str:
        """A file of HEAD, as text; "" if there is none."""
        return self._try("show", f"HEAD:{path}") or ""

    def objects(self) -> Iterator[Object]:
        """Every file, commit and tag, each once, as a stream. Raises InputError if one is lost."""
        form = "--batch=%(objectname) %(objecttype) %(objectsize) %(rest)"
        pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "env": git_environment()}
        listing = subprocess.Popen(self._command("rev-list", "--objects", *EVERYTHING), **pipe)
        reading = subprocess.Popen(self._command("cat-file", "--buffer", form),
                                   stdin=listing.stdout, **pipe)
        listing.stdout.close()  # so that rev-list ends when cat-file does
        try:
            for line in reading.stdout:
                number, kind, *facts = line.rstrip(b"\n").decode(
                    errors="surrogateescape").split(" ", 3)
                if kind == "missing":
                    raise InputError(f"{self.folder}: the object {number} is missing; see git fsck,"
                                     " and clone the repository anew")
                size = int(facts[0])
                content = reading.stdout.read(min(size, LONGEST))
                rest = size - len(content) + 1  # and a line feed
                while rest:
                    rest -= len(reading.stdout.read(min(rest, 2**20))) or rest
                if kind != "tree":
                    yield Object(number, kind, size, facts[1] if len(facts) > 1 else "", content)
            if listing.wait() or reading.wait():
                raise InputError(f"{self.folder}: its history cannot be read to the end; see git "
                                 "fsck, and clone the repository anew")
        finally:
            for process in (listing, reading):
                process.kill()
                process.wait()
            reading.stdout.close()

    def introductions(self) -> dict[str, dict[str, Commit]]:
        """{number of a file's content: {path: the first commit that has it there}}, oldest first.

        Of a merge only what is in none of its parents is told; the parents have the rest.
        """
        log = self._run(("log", "--reverse", "--raw", "-c", "-z", "--no-abbrev", "--no-renames",
                         "--no-show-signature", "--date=short",
                         "--format=format:commit %H %cd", *EVERYTHING)).stdout
        found: dict[str, dict[str, Commit]] = {}
        commit, words = Commit(-1, "", ""), iter(log.split(b"\0"))
        for word in words:
            *named, word = word.split(b"\n")  # the commit stands before its first file
            for line in (*named, word):
                if line.startswith(b"commit "):
                    _, number, date = line.decode().split()
                    commit = Commit(commit.order + 1, number[:10], date)
            if word.startswith(b":"):
                parents = len(word) - len(word.lstrip(b":"))
                number = word.split()[2 * parents + 1].decode()
                path = next(words).decode(errors="surrogateescape")
                found.setdefault(number, {}).setdefault(path, commit)
        return found

    def authors(self) -> dict[str, int]:
        """{name <e-mail>: number of commits}, of authors and committers."""
        log = self.ask("log", "--format=%an <%ae>%x00%cn <%ce>", *EVERYTHING)
        counts: dict[str, int] = {}
        for line in log.split("\n")[:-1]:
            for person in set(line.split("\0")):
                counts[person] = counts.get(person, 0) + 1
        return counts

    def tags(self) -> list[str]:
        """The tags of HEAD."""
        return self.ask("tag", "--points-at", "HEAD").split()

    def changes(self) -> list[str]:
        """What is changed and not committed, or neither tracked nor ignored: `M  path` ..."""
        lines = iter(self.ask("status", "--porcelain", "-z").split("\0")[:-1])
        found = []
        for line in lines:
            found.append(line)
            if "R" in line[:2] or "C" in line[:2]:
                next(lines)  # its former name
        return found

    def stashes(self) -> int:
        """How many stashes there are."""
        return len(self.ask("stash", "list").splitlines())
