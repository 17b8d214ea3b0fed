"""run.json: what a run was made with, so that it can be made again: for each of its starts the
command, code, packages, machine, threads and the files that it read beside the photos.

Photos and masks have their checksums in splits.csv, all knobs stand in config.yaml, and the code is
that of git.txt.
"""

import json
import os
import platform
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path
from typing import NamedTuple

import torch

from .. import InputError, written_whole
from ..config import Config
from ..data.checksums import checksum
from ..utils import ROOT, here_or_below_root
from .checkpoint import weights_file
from .code_state import code_state

RUN_FILE = "run.json"
# Environment variables that change in which order numbers are added up, or how they are rounded.
VARIABLES = (
    "OMP_NUM_THREADS", "OMP_DYNAMIC", "OMP_THREAD_LIMIT", "MKL_NUM_THREADS", "MKL_DYNAMIC",
    "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "OPENBLAS_NUM_THREADS", "OPENBLAS_CORETYPE",
    "VECLIB_MAXIMUM_THREADS", "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA",
    "ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_DEFAULT_FPMATH_MODE", "CUBLAS_WORKSPACE_CONFIG",
    "NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "PYTHONHASHSEED")


class Place(NamedTuple):
    """Where a start computes."""

    device: torch.device
    precision: str  # fp32, bf16 or fp16
    processes: int = 1


def keep_start(folder: Path, config: Config, place: Place, done: tuple[int, int]) -> None:
    """Add a start to the run.json of a run, and its code to git.txt. `done`: how many epochs, and
    steps of the next one, the run goes on from; it begins anew from (0, 0)."""
    code = code_state()
    starts = read_starts(folder) if any(done) else []
    names = list(dict.fromkeys(start["code"] for start in starts))
    name = next((name for name in names if _bytes(folder / name) == code.text), None)
    if name is None:  # the run goes on with other code: both are kept
        name = f"git_{len(starts) + 1}.txt" if any(done) else "git.txt"
        with written_whole(folder / name) as path:
            path.write_bytes(code.text)
    starts.append({
        "started": datetime.now(UTC).isoformat(timespec="seconds"), "epoch": done[0],
        "step": done[1], "command": _command(), "seed": config.seed,
        "deterministic": config.deterministic, "code": name, "commit": code.commit,
        "changed": code.changed, "left_out": code.left_out, "code_files": code.files,
        **machine(place), "variables": variables(), "packages": packages(),
        "files": {what: {"path": _homeless(str(path)), "sha256": checksum(path)}
                  for what, path in files_of(config).items() if path.is_file()}})
    with written_whole(folder / RUN_FILE) as path:
        path.write_text(json.dumps({"starts": starts}, indent=1, ensure_ascii=False) + "\n",
                        encoding="utf-8", errors="backslashreplace")


def read_starts(folder: Path) -> list[dict]:
    """The starts of a run, the first one first; [] of a run of an older version. Raises InputError
    for a run.json that is none."""
    path = folder / RUN_FILE
    try:
        starts = json.loads(path.read_text(encoding="utf-8"))["starts"]
        if all(isinstance(start["packages"], dict) and start["code"] for start in starts):
            return starts
        raise ValueError("a start lacks its packages, or its code")
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: cannot be read ({error!s:.100}); bring back what the run wrote, "
                         "or delete it: the run then does not tell what it was made with") from None


def files_of(config: Config) -> dict[str, Path]:
    """The files that a run of this config reads beside photos and masks, by what they are; they
    need not be there."""
    root = ROOT / config.data_root
    files = {"manifest": root / config.manifest}
    if config.task == "classification":
        files["classes"] = root / "classes.csv"
    if config.splits_file:
        files["splits_file"] = here_or_below_root(config.splits_file)
    if config.weights not in ("imagenet", "none"):
        files["weights"] = weights_file(config.weights)
    if config.teacher:
        files["teacher"] = weights_file(config.teacher)
    if config.start_fraction < 1 and config.difficulty != "photo":
        files["difficulty"] = weights_file(config.difficulty)
    return files


def machine(place: Place) -> dict:
    """What this machine, Python and PyTorch are, as far as numbers may depend on it."""
    cuda = place.device.type == "cuda"
    return {
        "python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}",
        "release": platform.release(), "libc": " ".join(platform.libc_ver()).strip(),
        "processor": _processor(), "cores": os.cpu_count(),
        "capability": torch.backends.cpu.get_cpu_capability(), "threads": torch.get_num_threads(),
        "interop_threads": torch.get_num_interop_threads(), "processes": place.processes,
        "device": place.device.type, "precision": place.precision,
        "gpu": torch.cuda.get_device_name(place.device) if cuda else "",
        "driver": _driver() if cuda else "", "cuda": torch.version.cuda or "",
        "cudnn": str(torch.backends.cudnn.version() or "") if cuda else "",
        "torch": f"{torch.__version__}, {torch.version.git_version or ''}",
    }


def variables() -> dict[str, str]:
    """The environment variables that change numbers, as far as they are set."""
    return {name: os.environ[name] for name in VARIABLES if name in os.environ}


def packages() -> dict[str, str]:
    """Name and version of each package that the project needs, of those that these need in turn,
    and of those that are imported: others, such as pytest, change nothing."""
    found = installed()
    modules = {plain_name(module.partition(".")[0]) for module in list(sys.modules)}
    open_ends, known = [(need, "") for need in _own_needs()], set()
    open_ends += [(name, "") for name in found if name in modules]
    while open_ends:
        need, extra = open_ends.pop()
        if (asked := re.search(r"extra *== *['\"]([^'\"]+)", need)) and asked[1] not in extra:
            continue
        name, extras = re.match(r"([\w.-]+) *(?:\[([^]]*)\])?", need).groups()
        key = plain_name(name), extras or ""
        if key not in known and key[0] in found:
            known.add(key)
            open_ends += [(need, key[1]) for need in found[key[0]].needs]
    return dict(sorted((found[name].name, found[name].version)
                       for name in {name for name, _ in known} - {"camera-trapinator"}))


class Package(NamedTuple):
    """An installed package."""

    name: str
    version: str
    needs: list[str]  # lines such as `numpy>=2.0; extra == "all"`


def installed() -> dict[str, Package]:
    """The packages that are installed, by `plain_name`."""
    found: dict[str, Package] = {}
    for package in distributions():
        text = package.read_text("METADATA") or package.read_text("PKG-INFO") or ""
        head = text.replace("\r\n", "\n").partition("\n\n")[0]
        name, version = (re.search(f"^{key}: *(.+)$", head, re.MULTILINE)
                         for key in ("Name", "Version"))
        if name and version:  # else a half-deleted one; of two the first one is imported
            needs = re.findall(r"^Requires-Dist: *(.+)$", head, re.MULTILINE)
            found.setdefault(plain_name(name[1]), Package(name[1], version[1], needs))
    return found


def _own_needs() -> Iterator[str]:
    """What this project needs, and what its pretrained networks do."""
    with suppress(OSError):
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        yield from project["dependencies"]
        yield from project["optional-dependencies"]["pretrained"]


def plain_name(name: str) -> str:
    """A package's name without what pip does not see; source: packaging.python.org, Names and
    normalization."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _command() -> list[str]:
    """The command line without the folders of the user and of the code."""
    words = [sys.argv[0].removeprefix(str(ROOT)).lstrip("/\\"), *sys.argv[1:]]
    return [_homeless(word) for word in words]


def _homeless(text: str) -> str:
    home = str(Path.home())
    return text.replace(home, "~") if len(home) > 3 else text  # "/" and "C:\" are everywhere


def _bytes(path: Path) -> bytes | None:
    with suppress(OSError):
        return path.read_bytes()
    return None


def _processor() -> str:
    """The name of the CPU, such as AMD EPYC 7543 32-Core Processor."""
    with suppress(OSError, subprocess.SubprocessError):
        if sys.platform == "linux":
            names = re.findall(r"^model name\s*: *(.+)$", Path("/proc/cpuinfo").read_text(),
                               re.MULTILINE)
            return names[0] if names else platform.machine()
        if sys.platform == "darwin":
            return subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], timeout=10,
                                  check=True, capture_output=True, text=True).stdout.strip()
    return platform.processor() or platform.machine()


def _driver() -> str:
    """The version of NVIDIA's driver, where the system tells it in a file; "" elsewhere."""
    with suppress(OSError):
        text = Path("/proc/driver/nvidia/version").read_text()
        return next(iter(re.findall(r"\s(\d{3}\.[\d.]+)\s", text)), "")
    return ""
