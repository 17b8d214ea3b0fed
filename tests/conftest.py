"""A small data root that a U-Net learns in seconds, and a way to run the scripts as users do."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from PIL import Image

from camera_trapinator.config import Config
from camera_trapinator.data.manifest import Class, Row, write_classes, write_manifest
from camera_trapinator.data.masks import write_mask
from camera_trapinator.loss import build_criterion
from camera_trapinator.model import UNet
from camera_trapinator.training.learner import Learner, summed
from camera_trapinator.training.run import Run
from camera_trapinator.training.sampler import CurriculumSampler
from camera_trapinator.training.trial import Batches
from camera_trapinator.utils import ROOT, Precision

# Under one name for pytest and for tests: a second copy would start a second server of scripts.
sys.modules["conftest"] = sys.modules[__name__]

CLASSES = [Class("background", (0, 0, 0)), Class("fox", (230, 120, 20)),
           Class("snow hare", (80, 160, 255))]

# The knobs of a run that takes seconds.
QUICK = ["working_scale=64", "crop_size=48,64", "width=4", "depth=2", "epochs=2", "batch_size=4",
         "num_workers=0", "learning_rate=0.1"]


# For tests on random files: so many seeds, the same ones every time. Whoever changes an importer
# tries more of them: EXAMPLES=500.
EXAMPLES = int(os.environ.get("EXAMPLES", 100))
many = settings(max_examples=EXAMPLES, deadline=None, derandomize=True,
                suppress_health_check=list(HealthCheck))
seeds = st.integers(0, 2**32 - 1)


def draw_photo(random: np.random.Generator, species: int) -> tuple[np.ndarray, np.ndarray]:
    """A photo uint8 (48, 64, 3) with a disk (1) or a square (2) on noise, and its mask."""
    image = random.integers(60, 120, (48, 64, 3))
    mask = np.zeros((48, 64), np.uint8)
    if species:
        rows, columns = np.mgrid[:48, :64]
        y, x, size = random.integers(14, 34), random.integers(14, 50), random.integers(8, 13)
        inside = ((rows - y) ** 2 + (columns - x) ** 2 < size**2 if species == 1
                  else (abs(rows - y) < size) & (abs(columns - x) < size))
        mask[inside] = species
        image[inside] = np.array([(220, 130, 60), (235, 240, 250)][species - 1])
        image[inside] += random.integers(-15, 15, (inside.sum(), 3))
    return image.clip(0, 255).astype(np.uint8), mask


def make_data(root: Path, locations: int = 5, photos: int = 6) -> Path:
    """A data root with that many locations and photos each, a third of them empty."""
    rows = []
    for location in range(locations):
        for number in range(photos):
            random = np.random.default_rng([location, number])
            image, mask = draw_photo(random, number % 3)
            file = f"photos/site{location}/100RECNX/IMG_{number:04}.JPG"
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(root / file, quality=92)
            mask_file = "background"
            if number % 3:
                mask_file = f"masks/site{location}/IMG_{number:04}.png"
                write_mask(root / mask_file, mask, [colour for _, colour in CLASSES])
            rows.append(Row(file, mask_file, f"site{location}", f"2024-05-01 10:{number:02}:00",
                            f"site{location}#{number // 2}"))
    write_manifest(root / "manifest.csv", rows)
    write_classes(root / "classes.csv", CLASSES)
    return root


@pytest.fixture(scope="session")
def data_root(tmp_path_factory) -> Path:
    """The small data root; read it only."""
    return make_data(tmp_path_factory.mktemp("data"))


@pytest.fixture
def own_data(tmp_path) -> Path:
    """A small data root to damage."""
    return make_data(tmp_path / "own data", photos=3)


@cache
def script_server() -> subprocess.Popen:
    """The process that runs scripts; see tests/script_server.py."""
    return subprocess.Popen([sys.executable, ROOT / "tests/script_server.py"], text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            env=dict(os.environ, CUDA_VISIBLE_DEVICES=""))


def ask_server(question: object) -> object:
    print(json.dumps(question), file=script_server().stdin, flush=True)
    return json.loads(script_server().stdout.readline())


class Script:
    """A script that the server has started; like a Popen."""

    def __init__(self, **job: object):
        self.pid, self.returncode = ask_server(job), None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = ask_server(self.pid)
        return self.returncode

    def wait(self, timeout: float) -> int:
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > deadline:
                os.killpg(self.pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
            time.sleep(0.005)
        return self.returncode


def start_script(name: str, *arguments: object, stdout: str | Path, stderr: str | Path,
                 runs: Path | None = None, cwd: Path | None = None, repository: Path = ROOT,
                 **variables: str) -> Script | subprocess.Popen:
    """Start scripts/<name> of a `repository` as a user does, in a session of its own; what it
    prints goes to the end of files, and its runs to the folder `runs`. `variables`: more of its
    environment."""
    command, cwd = [str(repository / "scripts" / name), *map(str, arguments)], cwd or repository
    environment = dict(os.environ, CUDA_VISIBLE_DEVICES="", PYTHONUNBUFFERED="1", **variables)
    if repository != ROOT:
        environment["PYTHONPATH"] = str(repository)
    if runs is not None:
        environment["CAMERA_TRAPINATOR_RUNS"] = str(runs)
    with open(stdout, "a") as output, open(stderr, "a") as errors:
        if sys.platform != "linux":  # where PyTorch may not live through a fork
            return subprocess.Popen([sys.executable, *command], cwd=cwd, env=environment,
                                    stdout=output, stderr=errors, start_new_session=True)
    return Script(command=command, cwd=str(cwd), environment=environment, stdout=str(stdout),
                  stderr=str(stderr))


def run_script(name: str, *arguments: object, runs: Path | None = None, cwd: Path | None = None,
               repository: Path = ROOT, **variables: str) -> subprocess.CompletedProcess:
    """Run scripts/<name> of a `repository` as a user does; its runs go to the folder `runs`.
    `variables`: more of its environment."""
    with TemporaryDirectory() as folder:  # in Windows no file is opened twice
        stdout, stderr = Path(folder, "stdout"), Path(folder, "stderr")
        process = start_script(name, *arguments, stdout=stdout, stderr=stderr, runs=runs, cwd=cwd,
                               repository=repository, **variables)
        code = process.wait(timeout=300)
        return subprocess.CompletedProcess([name, *arguments], code, stdout.read_text(),
                                           stderr.read_text())


def wait_until(process: Script | subprocess.Popen, condition: Callable[[], bool],
               seconds: float = 120) -> None:
    """Until a condition holds, or a process has ended."""
    deadline = time.monotonic() + seconds
    while process.poll() is None and not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def error_line(result: subprocess.CompletedProcess) -> str:
    """The one line on stderr of a script that refused; asserts that it did so properly."""
    assert result.returncode == 2, result.stderr
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert len(lines) == 1 and lines[0].startswith("error: "), result.stderr
    return lines[0]


@pytest.fixture(scope="session")
def trained(tmp_path_factory, data_root):
    """The folder of runs with a trained run `shapes` in it; train no other one there."""
    runs = tmp_path_factory.mktemp("runs")
    result = run_script("train.py", "--config", ROOT / "configs/unet.yaml", "--run", "shapes",
                        f"data_root={data_root}", *QUICK, "epochs=15", "width=8", runs=runs)
    assert result.returncode == 0, result.stderr
    return runs


@pytest.fixture(scope="session")
def train():
    """scripts/train.py as a module."""
    spec = importlib.util.spec_from_file_location("train", ROOT / "scripts/train.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def fit_once(train, teacher=None, photos: int = 2, ignored: Callable = lambda masks: None,
             optimizer: Callable | None = None, **knobs) -> UNet:
    """A fresh network after one training step of `train`, beside a `teacher`; `ignored` may change
    the masks, `optimizer` makes one of the weights."""
    torch.manual_seed(0)
    student = UNet(num_classes=3, working_scale=32, width=4, depth=2,
                   norm=knobs.get("norm", "batch"))
    images = torch.randint(0, 256, (photos, 3, 32, 32), dtype=torch.uint8)
    masks = torch.randint(0, 3, (photos, 32, 32), dtype=torch.uint8)
    ignored(masks)
    config = Config(**{"epochs": 1, "warmup_epochs": 0.0, **knobs})
    scores = {"val_loss": 0.0, "mean_iou": 0.0, "foreground_iou": 0.0}
    learner = Learner(student, config, Precision("fp32", torch.float32, False, False),
                      teacher=teacher)
    optimizer = optimizer(student.parameters()) if optimizer else torch.optim.SGD(
        [{"params": student.parameters(), "rate": 1.0}], 0.1, fused=True)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    run = Run(None, config)
    run.keep(None, learner, optimizer, scaler)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "validate", lambda *_: (scores, {}))
        train.fit(run, learner, Batches([(images, masks, None)],
                                        CurriculumSampler(photos, photos, 0)), None,
                  summed(build_criterion(config.loss), teacher, config.teacher_share),
                  optimizer, scaler, config)
    return student
