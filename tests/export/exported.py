"""Exported files of small networks, for tests of the export wing."""

import pytest

from camera_trapinator.config import Config
from camera_trapinator.export.metadata import describe
from camera_trapinator.training.checkpoint import save_checkpoint
from camera_trapinator.training.slim import slim_checkpoint

NAMES = ("background", "fox", "snow hare", "deer", "boar", "badger", "lynx", "wolf")


def needs_onnx():
    """Skip a module of tests where the extra `export` is not installed."""
    for package in ("onnx", "onnxruntime"):
        pytest.importorskip(package, reason="needs the extra `export`")


def metadata_of(net, folder, canvas=None, kind="fp32", **content):
    """What stands in the files of a network whose best.pt lies in a folder."""
    count = net.num_classes or 2
    checkpoint = {"model_arguments": net.arguments, "model": net.state_dict(),
                  "classes": [[name, [0, 0, index]] for index, name in enumerate(NAMES[:count])],
                  **content}
    save_checkpoint(folder / "best.pt", checkpoint)
    return {**describe(net, folder / "best.pt", slim_checkpoint(checkpoint, Config()), "CC0-1.0",
                       canvas), "kind": kind}
