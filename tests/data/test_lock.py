"""A folder of results is written by one process at a time, whichever clone it is of."""

import subprocess
import sys

import pytest
from conftest import error_line, run_script

from camera_trapinator import InputError
from camera_trapinator.data.lock import lock_of, only_one
from camera_trapinator.utils import ROOT, RUNS

HOLD = """
import sys
from pathlib import Path
from camera_trapinator.data.lock import only_one
with only_one(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.parametrize("name", ["out", "predictions.jsonl"])
def test_two_clones_do_not_write_into_one_folder(tmp_path, name):
    """Another clone has its runs elsewhere."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path / name], text=True, cwd=ROOT,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               env={"CAMERA_TRAPINATOR_RUNS": str(tmp_path / "other clone")})
    assert process.stdout.readline() == "held\n"
    with pytest.raises(InputError, match=f"process {process.pid} on .* is writing there"), \
            only_one(tmp_path / name):
        pass
    process.communicate("\n")
    with only_one(tmp_path / name):
        pass


def test_a_prediction_is_refused_where_another_clone_writes(trained, data_root, tmp_path):
    with only_one(tmp_path / "out"):
        line = error_line(run_script("test.py", "--run", "shapes", "--images",
                                     data_root / "photos", "--out", tmp_path / "out", runs=trained))
    assert "is writing there" in line


def test_locks_of_runs_stay_when_a_run_is_deleted():
    assert not lock_of(RUNS / "unet").is_relative_to(RUNS / "unet")
    assert lock_of(RUNS / "unet") != lock_of(RUNS / "unet/test")
