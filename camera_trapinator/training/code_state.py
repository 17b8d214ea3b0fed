"""The code that a run is made of: its commit, and what was changed since, as a patch that git can
apply again."""

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from ..data.checksums import checksum
from ..utils import ROOT

CODE = ("camera_trapinator", "scripts", "configs")  # new files in here belong to it, too
LARGEST = 1_000_000  # bytes of a new file; what is larger is no code
# Where a hook of git has started this, these would lead to another repository.
ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY",
             "GIT_COMMON_DIR", "GIT_NAMESPACE")
# Whatever the user's own git settings make of a diff, this one can be applied.
DIFF = ("-c", "core.quotePath=true", "diff", "--binary", "--full-index", "--no-color",
        "--no-ext-diff", "--no-textconv", "--no-renames", "--relative", "--src-prefix=a/",
        "--dst-prefix=b/", "--submodule=short")


class Code(NamedTuple):
    """The state of the code."""

    commit: str  # "" outside of git
    changed: bool  # whether it is not that commit's
    text: bytes  # for git.txt: commit, status and patch; `git apply git.txt` works
    left_out: list[str]  # new files that are too large for it
    files: dict[str, str]  # outside of git: the checksum of each file of code


def code_state(root: Path | None = None) -> Code:
    """The commit of the code in the repository `root` and its uncommitted changes, staged or not,
    with new files that git does not ignore. Writes nothing there."""
    root = root or ROOT
    nowhere = Code("", False, b"no git repository\n", [], {})
    try:
        commit, index = git(root, "rev-parse", "HEAD", "--git-path", "index").decode().splitlines()
        if not git(root, "ls-files", "--", "."):  # of a repository that only lies around it
            return nowhere._replace(files=code_files(root))
        status = git(root, "status", "--short", "--", ".")
        new, left_out = _new_files(root)
        with TemporaryDirectory() as folder:
            variables = {}
            if new:  # an index of its own, in which the new files are announced
                variables["GIT_INDEX_FILE"] = shutil.copy(root / index, Path(folder) / "index")
                git(root, "add", "--intent-to-add", "--pathspec-from-file=-",
                    "--pathspec-file-nul", input="\0".join(f":(top,literal){name}" for name in new),
                    **variables)
            patch = git(root, *DIFF, "HEAD", "--", ".", **variables)
    except (OSError, subprocess.SubprocessError):
        return nowhere._replace(files=code_files(root))
    parts = [f"commit {commit}\n".encode(), status,
             *(f"left out, for its size: {name}\n".encode() for name in left_out), b"\n", patch]
    return Code(commit, bool(patch or left_out), b"".join(parts), left_out, {})


def _new_files(root: Path) -> tuple[list[str], list[str]]:
    """The files of code that git neither has nor ignores, as seen from the top of the repository,
    and as seen from here those of them that are too large for code."""
    names = git(root, "ls-files", "--others", "--exclude-standard", "-z", "--",
                *CODE, ":(glob)*.py").decode(errors="surrogateescape").split("\0")[:-1]
    large = [name for name in names if (root / name).lstat().st_size > LARGEST]
    prefix = git(root, "rev-parse", "--show-prefix").decode().strip("\n")
    return [prefix + name for name in names if name not in large], large


def code_files(root: Path) -> dict[str, str]:
    """The checksum of each file of code, but for those that git ignores."""
    try:
        names = git(root, "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--",
                    *CODE).decode(errors="surrogateescape").split("\0")[:-1]
    except (OSError, subprocess.SubprocessError):
        names = []
    paths = [root / name for name in names] or [
        path for folder in CODE for path in (root / folder).rglob("*")
        if "__pycache__" not in path.parts]
    return {path.relative_to(root).as_posix(): checksum(path) for path in sorted(paths)
            if path.is_file()}


def git(root: Path, *words: str, input: str | None = None, **variables: str) -> bytes:
    """What git says in the folder `root`. Raises OSError where there is no git, and
    subprocess.SubprocessError where it refuses."""
    return subprocess.run(
        ["git", "-C", str(root), *words], capture_output=True, timeout=60, check=True,
        input=None if input is None else input.encode(errors="surrogateescape"),
        env={**git_environment(), **variables}).stdout


def git_environment() -> dict[str, str]:
    """Git's own: English, without locks, and without variables that lead elsewhere."""
    kept = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    return {**kept, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1",
            "GIT_PAGER": "cat"}
