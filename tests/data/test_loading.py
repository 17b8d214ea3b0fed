"""From single photos to batches, by processes that no signal disturbs."""

import signal
import subprocess
import sys

import torch

from camera_trapinator.data.loading import group_by_shape
from camera_trapinator.utils import ROOT


def test_group_by_shape_keeps_the_order_within_a_group():
    shapes = [(3, 4, 6), (3, 6, 4), None, (3, 4, 6), None, (3, 4, 6)]
    examples = [(None if shape is None else torch.full(shape, number), number)
                for number, shape in enumerate(shapes)]
    groups = group_by_shape(examples)
    assert [numbers for _, numbers in groups] == [[0, 3, 5], [1], [2, 4]]
    assert [None if images is None else tuple(images.shape) for images, _ in groups] == [
        (3, 3, 4, 6), (1, 3, 6, 4), None]
    assert groups[0][0][:, 0, 0, 0].tolist() == [0, 3, 5]
    assert group_by_shape([]) == []


STOPPED_AT_ONCE = """
import os, signal
import torch
from torch.utils.data import TensorDataset
from camera_trapinator import STOP_SIGNALS
from camera_trapinator.data.loading import PhotoLoader

def stop():
    for number in STOP_SIGNALS:
        os.kill(os.getpid(), number)

os.register_at_fork(after_in_child=stop)
loader = PhotoLoader(TensorDataset(torch.arange(8)), 2, torch.device("cpu"), batch_size=2,
                     multiprocessing_context="fork")
assert sum(batch.sum().item() for batch, in loader) == 28
os.kill(os.getpid(), signal.SIGTERM)  # the main process hears it as before
"""


def test_processes_that_read_photos_hear_no_signal_from_their_first_moment_on():
    result = subprocess.run([sys.executable, "-c", STOPPED_AT_ONCE], cwd=ROOT, timeout=60,
                            capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (-signal.SIGTERM, "")
