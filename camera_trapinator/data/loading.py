"""From a dataset to batches: what goes with a photo, its tensor, and the processes that read."""

import atexit
import multiprocessing
import signal
import sys
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from .. import STOP_SIGNALS


class Example(NamedTuple):
    """What goes with a photo through prediction, besides its pixels."""

    index: int  # row of the manifest
    target: Tensor | None  # uint8 true classes (float32 numbers), at the size of `mask_size`
    width: int  # of the upright photo in pixels; 0 if it could not be read
    height: int
    datetime: str
    infrared: bool
    failure: str | None  # why the photo could not be read
    strip: tuple[int, int] = (0, 0)  # rows of the image at the top and bottom that are info strip
    made_of: list | None = None  # what a prediction holds for, see `PredictionDataset.made_of`


CHANNELS = 3  # of what `network_input` gives: red, green, blue, and what you add


def network_input(image: np.ndarray) -> Tensor:
    """What the network sees of a photo, uint8 RGB (H, W, 3): uint8 (CHANNELS, H, W), here a view.

    Training, validation, test and a notebook all go through this. Further channels are zoomed, cut
    and flipped with the photo, and keep their values when its light is changed.
    """
    return torch.from_numpy(image).permute(2, 0, 1)


def group_by_shape(examples: list[tuple[Tensor | None, Example]],
                   ) -> list[tuple[Tensor | None, list[Example]]]:
    """Collate photos of any sizes: those of one shape make one tensor (n, 3, H, W).

    So nothing is padded for the sake of a neighbour, and no prediction depends on one.
    """
    groups: dict[tuple | None, list] = {}
    for image, example in examples:
        groups.setdefault(None if image is None else tuple(image.shape), []).append(
            (image, example))
    return [(None if shape is None else torch.stack([image for image, _ in group]),
             [example for _, example in group]) for shape, group in groups.items()]


class PhotoLoader(DataLoader):
    """A DataLoader whose processes, which read photos, follow the main one.

    Ctrl-C and clusters tell all processes to stop: these go on, for the main one finishes its step
    first, and end when it does. `read_timeout`: seconds after which a batch that does not come is
    an error; 0 = never. The rest: see DataLoader.
    """

    def __init__(self, dataset: Dataset, num_workers: int, device: torch.device,
                 read_timeout: float = 0, **arguments):
        super().__init__(dataset, num_workers=num_workers, pin_memory=device.type == "cuda",
                         timeout=read_timeout if num_workers else 0,
                         # A generator of its own keeps it from drawing on the global one.
                         generator=torch.Generator(), worker_init_fn=_follow_main_process,
                         **arguments)
        atexit.register(_end_readers)

    def __iter__(self) -> Iterator:
        if not hasattr(signal, "pthread_sigmask"):  # Windows
            return super().__iter__()
        # Processes that are started meanwhile hear no signals from their first moment on.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            return super().__iter__()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _follow_main_process(_: int) -> None:
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    # Their errors reach the main process with the photos. What is left for Python to print are
    # connections that broke because the main process went while photos were on their way to it.
    sys.excepthook = lambda *_: None


def _end_readers() -> None:
    """Python itself would ask them by SIGTERM, and wait."""
    for child in multiprocessing.active_children():
        if hasattr(signal, "SIGCHLD"):
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch calls it an error
        child.kill()
