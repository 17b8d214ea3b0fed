"""The code and the packages of a run, made again in folders of their own."""

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from .. import InputError
from ..data.progress import Progress
from ..training.code_state import git
from ..training.provenance import VARIABLES
from ..utils import ROOT

INDEX = "https://download.pytorch.org/whl"  # of PyTorch's builds that PyPI does not have


@contextmanager
def code_of(commit: str, patch: Path, folder: Path, keep: bool = False) -> Iterator[Path]:
    """The code of a commit with the patch in git.txt, as a worktree in the new `folder`; gives the
    place in it that corresponds to ROOT. Raises InputError where git has no such commit."""
    try:
        git(ROOT, "rev-parse", "HEAD")
    except (OSError, subprocess.SubprocessError) as error:
        raise InputError(f"{ROOT}: git cannot be asked for the code of the run ({_words(error)}); "
                         "use a clone of the repository, with git installed") from None
    try:
        git(ROOT, "cat-file", "-e", f"{commit}^{{commit}}")
    except subprocess.SubprocessError:
        cure = ("git fetch --unshallow" if git(ROOT, "rev-parse", "--is-shallow-repository").strip()
                == b"true" else "git fetch --all, or fetch from the clone in which it was trained")
        raise InputError(f"{ROOT}: the code of the run, commit {commit}, is not in this clone; get "
                         f"it with {cure}") from None
    prefix = git(ROOT, "rev-parse", "--show-prefix").decode().strip("\n")
    try:
        try:
            git(ROOT, "worktree", "add", "--detach", str(folder), commit)
            if b"\ndiff --git " in patch.read_bytes():
                git(folder / prefix, "apply", "--whitespace=nowarn", str(patch.resolve()))
        except (OSError, subprocess.SubprocessError) as error:
            raise InputError(f"{patch}: the code of the run cannot be made again "
                             f"({_words(error)})") from None
        yield folder / prefix
    finally:
        if not keep:
            with suppress(OSError, subprocess.SubprocessError):
                git(ROOT, "worktree", "remove", "--force", str(folder))
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError, subprocess.SubprocessError):
                git(ROOT, "worktree", "prune")


def _words(error: Exception) -> str:
    """What git says, in a line."""
    said = getattr(error, "stderr", b"") or str(error).encode()
    return said.decode(errors="replace").strip().replace("\n", "; ")[:300]


def new_environment(folder: Path, python: str, packages: dict[str, str]) -> str:
    """Make a virtual environment with exactly these packages, and nothing that they ask for beside
    them; gives the path of its Python. Raises InputError where pip cannot have one of them."""
    wanted = ".".join(python.split(".")[:2])
    found = find_python(wanted)
    if found is None:
        raise InputError(f"the run was trained by Python {python}, and python{wanted} is not here; "
                         "install it, or take the environment that is active, with --here")
    try:
        if found == sys.executable:
            venv.create(folder, with_pip=True)
        else:
            subprocess.run([found, "-m", "venv", str(folder)], check=True, capture_output=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise InputError(f"{folder}: no environment can be made there ({_words(error)}); install "
                         "Python's module venv (Debian: python3-venv), or take the environment "
                         "that is active, with --here") from None
    inside = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    _install(str(inside), packages)
    return str(inside)


def find_python(wanted: str) -> str | None:
    """The interpreter of a version such as 3.12: this one, or one on the PATH."""
    if wanted == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    return shutil.which(f"python{wanted}")


def _install(python: str, packages: dict[str, str]) -> None:
    command = [python, "-m", "pip", "install", "--no-deps", "--disable-pip-version-check",
               "--progress-bar", "off", *(f"{name}=={version}"
                                          for name, version in packages.items())]
    said = []
    shown = Progress("installing", len(packages), "packages")
    with shown, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                 text=True, encoding="utf-8", errors="replace",
                                 env=clean_variables()) as process:
        for line in process.stdout:
            said.append(line.strip())
            if line.startswith("Collecting "):
                shown.count()
    if process.returncode:
        errors = [line for line in said if line.startswith("ERROR")] or said[-1:]
        local = next((f"{name}=={version}" for name, version in packages.items()
                      if name in ("torch", "torchvision") and "+" in version), "")
        kind = local.partition("+")[2]
        cure = (f"PyTorch's own index has {local}: set PIP_EXTRA_INDEX_URL={INDEX}/{kind}; or "
                if local else "")
        raise InputError(f"pip cannot install what the run was trained with: {errors[0]:.300}; "
                         f"{cure}take the environment that is active, with --here")


def clean_variables() -> dict[str, str]:
    """The environment variables without those by which Python finds further modules."""
    return {name: value for name, value in os.environ.items()
            if name not in ("PYTHONPATH", "PYTHONHOME", "__PYVENV_LAUNCHER__")}


def variables_of(start: dict, code: Path, runs: Path, here: bool) -> dict[str, str]:
    """The environment variables with which a start of a run is made again: its own of those that
    change numbers, and its threads. With `here` the modules that the active environment finds
    beside its packages are found again, behind the code."""
    variables = {name: value for name, value in clean_variables().items() if name not in VARIABLES}
    path = [str(code), *(os.environ.get("PYTHONPATH", "").split(os.pathsep) if here else [])]
    threads = str(start["threads"])
    variables |= {"OMP_NUM_THREADS": threads, **start["variables"],
                  "PYTHONPATH": os.pathsep.join(filter(None, path)),
                  "CAMERA_TRAPINATOR_RUNS": str(runs)}
    return variables


def train(python: str, code: Path, words: Sequence[str], variables: dict[str, str]) -> None:
    """Run the train.py of the `code`; what it prints comes through. Raises InputError where it
    fails; when this process is told to stop, it stops as well."""
    process = subprocess.Popen([python, str(code / "scripts" / "train.py"), *words], cwd=code,
                               env=variables)
    try:
        result = process.wait()
    except BaseException:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=60)
        process.kill()
        raise
    if result:
        raise InputError(f"the training ended with exit code {result}; see what it says above")
