"""What only a GPU can show. Skipped where there is none."""

import json
import os
import signal
import subprocess
import sys
import time
import warnings

import pytest
import torch
from conftest import QUICK
from leavings import all_of

from camera_trapinator import InputError
from camera_trapinator.config import Config
from camera_trapinator.loss import build_criterion
from camera_trapinator.model import UNet
from camera_trapinator.networks.memory import enough_memory
from camera_trapinator.training.processes import Processes
from camera_trapinator.training.sampler import CurriculumSampler
from camera_trapinator.training.stop import STOPPED, Stop
from camera_trapinator.utils import ROOT, choose_device, choose_precision

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU here")
EXACT = ["deterministic=true", "num_workers=2", "ema=0.9", "start_fraction=0.4",
         "curriculum_epochs=5", "infrared=0.5"]
NETWORKS = {"unet": [], "lite0": ["encoder=efficientnet_lite0", "weights=none"],
            "resnet18": ["encoder=resnet18", "weights=none"]}


def begin(script, data_root, runs, run, *arguments, launcher=()):
    """A script on the GPU, in the background; its output goes to the file <run>.txt."""
    runs.mkdir(exist_ok=True)
    where = (["--config", "configs/unet.yaml", "--run", run, f"data_root={data_root}", *QUICK]
             if script == "train.py" else ["--run", run])
    with open(runs / f"{run}.txt", "w") as output:
        return subprocess.Popen([sys.executable, *launcher, f"scripts/{script}", *where,
                                 *map(str, arguments)], cwd=ROOT, stdout=output,
                                stderr=subprocess.STDOUT, env=dict(
                                    os.environ, CAMERA_TRAPINATOR_RUNS=str(runs)))


def finish(script, data_root, runs, run, *arguments, launcher=()):
    """The same, until it has ended well; the output."""
    code = begin(script, data_root, runs, run, *arguments, launcher=launcher).wait(300)
    text = (runs / f"{run}.txt").read_text()
    assert code == 0, text
    return text


@pytest.mark.parametrize("precision", ["bf16", "fp16", "fp32"])
def test_a_network_learns_there_and_predicts_as_on_a_cpu(data_root, tmp_path, precision):
    text = finish("train.py", data_root, tmp_path, "run", "epochs=15", "width=8",
                  "num_workers=auto", f"precision={precision}")
    assert "cuda (" in text and f"), {precision}\n" in text
    scores = {}
    for device, how in [("cuda", precision), ("cuda", "fp32"), ("cpu", "fp32")]:
        finish("test.py", data_root, tmp_path, "run", f"device={device}", f"precision={how}")
        report = json.loads((tmp_path / "run/test/report.json").read_text())
        scores[device, how] = report["mean_iou"]
    assert scores["cuda", "fp32"] == pytest.approx(scores["cpu", "fp32"], abs=0.002)
    assert scores["cuda", precision] == pytest.approx(scores["cpu", "fp32"], abs=0.02)
    assert scores["cpu", "fp32"] > 0.4


@pytest.mark.parametrize(("network", "loss"), [
    ("unet", "cross_entropy_dice"), ("lite0", "focal"), ("resnet18", "cross_entropy")])
def test_deterministic_runs_go_on_to_the_same_bits_when_stopped(data_root, tmp_path, network, loss):
    knobs = [*EXACT, *NETWORKS[network], f"loss={loss}", "epochs=12"]
    finish("train.py", data_root, tmp_path, "whole", *knobs)
    process = begin("train.py", data_root, tmp_path, "broken", *knobs)
    deadline = time.monotonic() + 120
    while "epoch 3/" not in (tmp_path / "broken.txt").read_text():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == STOPPED, (tmp_path / "broken.txt").read_text()
    finish("train.py", data_root, tmp_path, "broken", *knobs, "--resume", "num_workers=0")
    expected, got = (all_of(tmp_path / run / "last.pt") for run in ("whole", "broken"))
    for content in (expected, got):
        content["/config"] = content["/config"].replace("num_workers: 0", "num_workers: 2")
    assert not [place for place in expected if got[place] != expected[place]]


def test_a_compiled_network_learns_the_same(data_root, tmp_path):
    knobs = ["precision=fp32", "norm=none", "learning_rate=0.01", "epochs=3"]
    histories = []
    for run, compiling in [("plain", "false"), ("compiled", "true")]:
        text = finish("train.py", data_root, tmp_path, run, *knobs, f"compile={compiling}")
        assert "does not work here" not in text
        histories.append(torch.load(tmp_path / run / "last.pt", weights_only=True)["history"])
    for plain, compiled in zip(*histories, strict=True):
        assert compiled["train_loss"] == pytest.approx(plain["train_loss"], rel=0.01)


def test_torchrun_with_one_process_is_no_torchrun(data_root, tmp_path):
    finish("train.py", data_root, tmp_path, "alone", "deterministic=true", "epochs=3")
    finish("train.py", data_root, tmp_path, "launched", "deterministic=true", "epochs=3", launcher=(
        "-m", "torch.distributed.run", "--nproc_per_node", "1", "--standalone", "--"))
    expected, got = (all_of(tmp_path / run / "last.pt") for run in ("alone", "launched"))
    assert not [place for place in expected if got[place] != expected[place]]


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("knobs", [{}, {"ema": 0.9}, {"micro_batch_size": 2}])
def test_the_cpu_waits_for_the_gpu_as_often_in_many_steps_as_in_few(train, monkeypatch, precision,
                                                                    knobs):
    device = choose_device("cuda")
    precision = choose_precision(device, precision)
    scores = {"val_loss": 0.0, "mean_iou": 0.0, "foreground_iou": 0.0}
    monkeypatch.setattr(train, "validate", lambda *_: (scores, {}))
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8).pin_memory()
    masks = torch.randint(0, 3, (4, 32, 32), dtype=torch.uint8).pin_memory()
    nets = [UNet(num_classes=3, working_scale=32, width=4, depth=2).to(device) for _ in range(2)]

    def waits(steps: int) -> int:
        net, averaged = nets if knobs.get("ema") else nets[:1] * 2
        config = Config(epochs=1, batch_size=4, **knobs)
        optimizer = torch.optim.SGD([{"params": net.parameters(), "rate": 1.0}], 0.1, fused=True)
        scaler = torch.amp.GradScaler("cuda", enabled=precision.scaler)
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                train.fit(net, net, averaged, None, [(images, masks, None)] * steps, None,
                          CurriculumSampler(4 * steps, 4, 0),
                          build_criterion("cross_entropy_dice").to(device), optimizer, scaler,
                          precision, config, train.Progress(), lambda: None, Stop(), Processes())
            finally:
                torch.cuda.set_sync_debug_mode("default")
        return sum("synchronizing" in str(warning.message) for warning in found)

    waits(2)  # libraries load
    assert waits(18) == waits(3) > 0


def test_too_little_memory_there_tells_the_next_batch_size(data_root, tmp_path):
    with pytest.raises(InputError, match="out of memory; try less"), enough_memory("try less"):
        torch.empty(10**14, device="cuda")
    process = begin("train.py", data_root, tmp_path, "large", "batch_size=24", "width=64",
                    "depth=4", "crop_size=1024,1152", "num_workers=0", "precision=fp32")
    code, text = process.wait(120), (tmp_path / "large.txt").read_text()
    assert code == 2, text
    assert "out of memory; try micro_batch_size: 12" in text
