"""Device, precision, seeds, memory, and the exit on bad input."""

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from camera_trapinator import InputError
from camera_trapinator.networks.memory import enough_memory, peak_memory
from camera_trapinator.utils import (
    ROOT,
    choose_device,
    choose_precision,
    exit_on_bad_input,
    find_config,
    seed_everything,
    spread,
)


def test_the_peak_of_memory_grows_with_what_is_used(monkeypatch):
    before = peak_memory(torch.device("cpu"))
    block = np.ones(before + 50_000_000, np.uint8)  # more than there ever was
    assert peak_memory(torch.device("cpu")) >= block.nbytes
    monkeypatch.setattr(Path, "exists", lambda path: False)  # no /proc, as on macOS
    assert peak_memory(torch.device("cpu")) >= block.nbytes
    monkeypatch.setitem(sys.modules, "resource", None)  # as on Windows
    assert peak_memory(torch.device("cpu")) is None


# ------------------------------------------------------------------------ device and precision


@pytest.mark.parametrize(("name", "dtype", "autocast", "scaler"), [
    ("fp32", torch.float32, False, False), ("bf16", torch.bfloat16, True, False),
    ("fp16", torch.float16, True, True)])
def test_a_named_precision_is_taken(name, dtype, autocast, scaler):
    precision = choose_precision(torch.device("cpu"), name)
    assert precision == (name, dtype, autocast, scaler)
    with torch.autocast("cpu", precision.dtype, enabled=precision.autocast):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


@pytest.mark.parametrize(("able", "name"), [
    ({}, "fp32"), ({"avx512_bf16": False, "amx_bf16": False}, "fp32"),
    ({"avx512_bf16": True}, "bf16"), ({"amx_bf16": True}, "bf16")])
def test_a_cpu_computes_in_bf16_only_where_that_is_fast(monkeypatch, able, name):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert choose_precision(torch.device("cpu")).name == name


@pytest.mark.parametrize("name", ["quantum", "", "0", "CPU", "hpu", "cuda:99", "vulkan"])
def test_a_device_that_is_not_there_is_refused_in_one_line(name):
    with pytest.raises(InputError) as caught:
        choose_device(name)
    message = str(caught.value)
    assert message.startswith(f"device: {name} cannot be used here (")
    assert len(message.splitlines()) == 1 and message.endswith("take auto, cuda or cpu")


def test_the_device_is_one_that_computes():
    assert choose_device("cpu") == torch.device("cpu")
    assert (torch.ones(2, device=choose_device()) * 2).sum().item() == 4


def test_a_seed_seeds_all_three_generators():
    import random

    import numpy as np

    def draw(seed):
        seed_everything(seed)
        return random.random(), np.random.random(), torch.rand(1).item()

    benchmark = torch.backends.cudnn.benchmark
    first, second, other = draw(1), draw(1), draw(2**32 + 5)
    torch.backends.cudnn.benchmark = benchmark
    assert first == second
    assert all(a != b for a, b in zip(first, other, strict=True))


def test_configs_are_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_config("configs/unet.yaml") == ROOT / "configs" / "unet.yaml"
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "unet.yaml").write_text("")
    assert find_config("configs/unet.yaml") == Path("configs/unet.yaml")  # the one at hand wins
    with pytest.raises(InputError, match=r"configs/no\.yaml"):
        find_config("configs/no.yaml")


# ----------------------------------------------------------------------------------- the exit


def run_python(body, how=""):
    """Run lines under exit_on_bad_input in a process of their own."""
    script = ("import signal\nfrom camera_trapinator import InputError\n"
              "from camera_trapinator.utils import exit_on_bad_input\n"
              "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
              f"with exit_on_bad_input({how}):\n" + textwrap.indent(textwrap.dedent(body), "    "))
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True,
                          timeout=60)


def test_bad_input_prints_one_line_and_exits_2():
    result = run_python("raise InputError('photo.jpg: no such file')")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "error: photo.jpg: no such file\n"


def test_bad_input_that_was_caused_by_another_error_prints_one_line_too():
    result = run_python("""
        try:
            open("/no/such/file")
        except OSError as error:
            raise InputError("x: cannot be read") from error
    """)
    assert result.returncode == 2 and result.stderr == "error: x: cannot be read\n"


def test_control_c_exits_130_without_a_traceback():
    result = run_python("signal.raise_signal(signal.SIGINT)")
    assert result.returncode == 130 == 128 + signal.SIGINT
    assert "Traceback" not in result.stderr and len(result.stderr.splitlines()) == 1
    result = run_python("signal.raise_signal(signal.SIGINT)", "'stopped; it goes on'")
    assert (result.returncode, result.stderr) == (130, "stopped; it goes on\n")


def test_other_errors_keep_their_traceback():
    result = run_python("raise ValueError('a bug of ours')")
    assert result.returncode == 1
    assert "Traceback" in result.stderr and "ValueError: a bug of ours" in result.stderr


def test_no_error_is_no_exit():
    result = run_python("print('done')")
    assert (result.returncode, result.stdout, result.stderr) == (0, "done\n", "")


class BrokenPhotos(Dataset):
    """Photos that cannot be read, as `read_photo` says it."""

    def __len__(self):
        return 2

    def __getitem__(self, index):
        try:
            raise OSError("broken data stream")
        except OSError as error:
            raise InputError("site 1/IMG_1.JPG: cannot be read as a photo (broken)") from error


@pytest.mark.parametrize("num_workers", [0, 1])
def test_bad_input_met_by_a_loaders_worker_prints_one_clean_line(capfd, num_workers):
    with pytest.raises(SystemExit) as caught, exit_on_bad_input():
        next(iter(DataLoader(BrokenPhotos(), num_workers=num_workers)))
    assert caught.value.code == 2
    assert capfd.readouterr().err == (
        "error: site 1/IMG_1.JPG: cannot be read as a photo (broken)\n")


def test_a_name_that_is_too_long_is_one_short_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as caught, exit_on_bad_input():
        (tmp_path / ("9" * 400)).is_file()
        (tmp_path / ("9" * 400)).read_bytes()  # is_file says no on some versions of Python
    line = capsys.readouterr().err
    assert caught.value.code == 2 and line.count("\n") == 1 and "too long" in line
    assert len(line) < 300


def test_other_errors_of_torch_keep_their_traceback():
    with pytest.raises(RuntimeError, match="shapes"), enough_memory("less"):
        raise RuntimeError("shapes do not match")
    with pytest.raises(InputError, match="killed by signal"), enough_memory("less"):
        raise RuntimeError("DataLoader worker (pid 5) is killed by signal: Killed. ")


@pytest.mark.parametrize("length, number", [(99, 60), (150, 100), (7, 7), (3, 20), (1, 1), (0, 5)])
def test_places_are_spread_over_the_whole_length(length, number):
    places = spread(length, number)
    assert len(set(places)) == len(places) == min(length, number)
    gaps = np.diff([*places, length])  # behind the last one, too
    assert not len(places) or places[0] == 0 and max(gaps) - min(gaps) <= 1
