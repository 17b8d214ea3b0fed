"""--help of every script comes at once."""

import subprocess
import sys

import pytest

from camera_trapinator.utils import ROOT


@pytest.mark.parametrize("name", ["train", "test", "check_data", "compare_runs", "import_labels",
                                  "benchmark", "check_release", "publish", "reproduce"])
def test_help_does_not_wait_for_torch(name):
    result = subprocess.run([sys.executable, "-X", "importtime", ROOT / f"scripts/{name}.py",
                             "--help"], capture_output=True, text=True, check=True)
    assert "usage: " in result.stdout
    assert "argparse" in result.stderr and "torch" not in result.stderr
