"""What a run leaves behind survives crashes and strangers."""

import csv
import os
import pickle
import subprocess
import sys
import textwrap

import pytest
import torch

from camera_trapinator import InputError
from camera_trapinator.model import UNet
from camera_trapinator.training.checkpoint import (
    load_checkpoint,
    save_checkpoint,
    write_log,
)


def small_content(number=1.0):
    return {"model_arguments": {"width": 4}, "model": {"weight": torch.full((64, 64), number)}}


def assert_same(got, expected):
    """Equal down to the bits and the types."""
    assert type(got) is type(expected)
    if isinstance(expected, torch.Tensor):
        assert got.dtype == expected.dtype and got.shape == expected.shape
        assert got.contiguous().numpy(force=True).tobytes() == (
            expected.contiguous().numpy(force=True).tobytes())
    elif isinstance(expected, dict):
        assert list(got) == list(expected)
        for key in expected:
            assert_same(got[key], expected[key])
    elif isinstance(expected, (list, tuple)):
        assert len(got) == len(expected)
        for pair in zip(got, expected, strict=True):
            assert_same(*pair)
    else:
        assert got == expected


def refusal(path):
    """The message with which a file is refused: one line that names the file."""
    with pytest.raises(InputError) as caught:
        load_checkpoint(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and len(message.splitlines()) == 1
    assert not message.endswith("()")
    return message.removeprefix(f"{path}: ")


# --------------------------------------------------------------------------------- checkpoints


def test_a_checkpoint_comes_back_bit_for_bit(tmp_path):
    torch.manual_seed(0)
    net = UNet(num_classes=3, working_scale=32, width=4, depth=2).to(
        memory_format=torch.channels_last)
    images = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    net(images)  # in training: moves the statistics of batch norm
    momentum = {index: {"momentum_buffer": torch.randn_like(weights)}
                for index, weights in enumerate(net.parameters())}
    content = {"model_arguments": net.arguments, "model": dict(net.state_dict()),
               "optimizer": {"state": momentum, "param_groups": [{"lr": 0.1, "params": [0, 1]}]},
               "scaler": {}, "config": "epochs: 3\n",
               "history": [{"epoch": 1, "mean_iou": None, "lr": 1e-3, "train_loss": float("inf")}],
               "classes": [["background", [0, 0, 0]], ["Wühlmaus", [1, 2, 3]]],
               "odd": (torch.tensor([float("nan"), -0.0]), torch.arange(3), True)}
    path = tmp_path / "a folder" / "last.pt"
    path.parent.mkdir()
    save_checkpoint(path, content)
    assert os.listdir(path.parent) == ["last.pt"]
    loaded = load_checkpoint(path)
    assert_same(loaded, content)
    assert_same(torch.load(path, weights_only=True), content)

    twin = UNet(**loaded["model_arguments"])
    twin.load_state_dict(loaded["model"])
    twin = twin.to(memory_format=torch.channels_last)
    assert_same(twin.eval()(images), net.eval()(images))


@pytest.mark.parametrize("place", ["torch.save", "os.fsync", "os.replace"])
def test_an_error_while_saving_leaves_the_previous_file(tmp_path, monkeypatch, place):
    path = tmp_path / "last.pt"
    save_checkpoint(path, small_content(1.0))
    before = path.read_bytes()

    def fail(*arguments):
        if place == "torch.save":
            arguments[1].write(before[:500])  # the disk is full halfway
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(place, fail)
        with pytest.raises(OSError, match="No space left"):
            save_checkpoint(path, small_content(2.0))
    assert path.read_bytes() == before
    assert load_checkpoint(path)["model"]["weight"].eq(1).all()
    save_checkpoint(path, small_content(3.0))  # what is left over is in nobody's way
    assert load_checkpoint(path)["model"]["weight"].eq(3).all()
    assert os.listdir(tmp_path) == ["last.pt"]


def test_a_disk_that_is_full_is_one_line(tmp_path):
    """torch's own error hides that the disk takes no more, wherever in the file that is."""
    script = textwrap.dedent("""
        import resource, sys, torch
        from camera_trapinator.training.checkpoint import save_checkpoint
        from camera_trapinator.utils import exit_on_bad_input
        for most in map(int, sys.argv[2:]):
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
            try:
                with exit_on_bad_input():
                    save_checkpoint(sys.argv[1], {"weight": torch.zeros(100_000),
                                                  "b": torch.zeros(9)})
            except SystemExit as end:
                print(end.code)
        """)
    sizes = ["0", "100", "20000", "399000", "400500"]
    result = subprocess.run([sys.executable, "-c", script, tmp_path / "last.pt", *sizes],
                            capture_output=True, text=True, timeout=60)
    lines = result.stderr.strip().splitlines()
    assert result.stdout.split() == ["2"] * 5 and len(lines) == 5, result.stderr
    for line in lines:
        assert line.startswith(f"error: {tmp_path / 'last.pt'}") and "cannot be written" in line
    assert os.listdir(tmp_path) == []


def test_a_kill_while_saving_leaves_a_whole_file(tmp_path):
    """Saves in a loop, killed again and again; each time the file must be one whole save."""
    script = textwrap.dedent("""
        import os, random, signal, sys, time
        import torch
        from camera_trapinator.training.checkpoint import load_checkpoint, save_checkpoint
        torch.set_num_threads(1)  # threads do not survive a fork
        path, seen = sys.argv[1], set()
        def save(number):
            save_checkpoint(path, {"model_arguments": {"number": number},
                                   "model": torch.full((1_000_000,), number)})
        save(0)
        for kill in range(12):
            before = os.stat(path).st_mtime_ns
            child = os.fork()
            if not child:
                for number in range(1000 * kill + 1, 1000 * kill + 500):
                    save(number)
                os._exit(1)
            while os.stat(path).st_mtime_ns == before:  # at least one save comes through
                time.sleep(0.001)
            time.sleep(random.Random(kill).uniform(0, 0.03))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            content = load_checkpoint(path)
            number = content["model_arguments"]["number"]
            assert content["model"].eq(number).all() and len(content["model"]) == 1_000_000
            seen.add(number)
        print(len(seen))
    """)
    result = subprocess.run([sys.executable, "-c", script, str(tmp_path / "last.pt")],
                            capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) == 12  # saves did go on between the kills


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_file_from_a_stranger_cannot_run_code(tmp_path):
    content = {"model_arguments": {}, "model": Bomb(tmp_path / "boom")}
    torch.save(content, tmp_path / "bomb.pt")
    torch.save(content, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    with open(tmp_path / "bomb.pkl", "wb") as file:
        pickle.dump(content, file)
    for name in ("bomb.pt", "old.pt", "bomb.pkl"):
        message = refusal(tmp_path / name)
        assert "more than tensors and plain values" in message
        assert "weights_only" not in message  # no advice to load it all the same
    assert not (tmp_path / "boom").exists()
    torch.load(tmp_path / "bomb.pt", weights_only=False)
    assert (tmp_path / "boom").exists()  # the bomb was live


@pytest.mark.filterwarnings("ignore")
def test_damaged_and_foreign_files_are_refused_in_one_line(tmp_path):
    path = tmp_path / "last.pt"
    save_checkpoint(path, small_content())
    whole = path.read_bytes()
    for cut in [0, 1, 10, 100, len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:cut])
        assert "cannot be read as a checkpoint" in refusal(path)
    for foreign in (b"\xff\xd8\xff\xe0 a photo", b"epochs: 3\n", b"\x89HDF\r\n\x1a\n" * 9,
                    b"\0" * 5000, whole[:60] + bytes(200) + whole[260:]):
        path.write_bytes(foreign)
        assert "cannot be read as a checkpoint" in refusal(path)
    for other in ([1, 2], {"state_dict": {}}, torch.zeros(3)):
        torch.save(other, path)
        assert refusal(path) == "no checkpoint of Camera Trapinator"
    assert refusal(tmp_path / "missing.pt") == "no such checkpoint"
    assert "directory" in refusal(tmp_path)


def test_a_weight_that_changed_on_the_disk_is_noticed(tmp_path):
    path = tmp_path / "last.pt"
    weights = torch.arange(1000.0)
    save_checkpoint(path, {**small_content(), "weights": weights})
    whole = path.read_bytes()
    place = whole.index(weights.numpy().tobytes()) + 2000
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1:])
    assert "checksum" in refusal(path)


# ------------------------------------------------------------------------------- the log


def test_the_log_has_a_row_an_epoch_and_empty_cells_for_what_is_not_defined(tmp_path):
    row = {"epoch": 1, "lr": 0.1, "train_loss": 1 / 3, "val_loss": 1234567.0, "mean_iou": None,
           "foreground_iou": 0.0, "images_per_second": 20.5, "seconds": 1e-7}
    write_log(tmp_path / "log.csv", [row])
    write_log(tmp_path / "log.csv", [row, {**row, "epoch": 2, "mean_iou": 0.25}])
    text = (tmp_path / "log.csv").read_bytes().decode()
    assert "None" not in text and "\r" not in text and text.endswith("\n")
    rows = list(csv.DictReader(text.splitlines()))
    assert list(rows[0]) == list(row)
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert rows[0]["mean_iou"] == "" and float(rows[1]["mean_iou"]) == 0.25
    assert float(rows[0]["foreground_iou"]) == 0
    assert float(rows[0]["train_loss"]) == pytest.approx(1 / 3, rel=1e-5)
    assert os.listdir(tmp_path) == ["log.csv"]


def test_an_error_while_logging_leaves_the_previous_log(tmp_path):
    write_log(tmp_path / "log.csv", [{"epoch": 1}])
    before = (tmp_path / "log.csv").read_bytes()

    class Unwritable:
        def __str__(self):
            raise ValueError

    with pytest.raises(ValueError):
        write_log(tmp_path / "log.csv", [{"epoch": 1}, {"epoch": Unwritable()}])
    assert (tmp_path / "log.csv").read_bytes() == before


def test_a_score_that_comes_with_a_resume_gets_a_column(tmp_path):
    write_log(tmp_path / "log.csv", [{"epoch": 1, "mean_iou": 0.5, "seconds": 1},
                                     {"epoch": 2, "mean_iou": 0.5, "recall": 0.75, "seconds": 1}])
    assert (tmp_path / "log.csv").read_text() == (
        "epoch,mean_iou,recall,seconds\n1,0.5,,1\n2,0.5,0.75,1\n")
