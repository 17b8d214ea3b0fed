"""The photos that tell int8 how large the numbers in a network become."""

from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import numpy as np
from torch import Tensor

from .. import InputError
from .graph import on_canvas


class Calibration:
    """Photos on their canvas, one by one, as onnxruntime's CalibrationDataReader gives them; their
    `number` is that of those given so far.

    `photos`: of the training, uint8 (channels, H, W) at network size, which are gone through once;
    `metadata`: see `on_canvas`. Raises InputError, with the `path` that is to be written, if there
    is none.
    """

    def __init__(self, photos: Iterable[Tensor], metadata: dict, path: str | Path):
        photos = iter(photos)
        if (first := next(photos, None)) is None:
            raise InputError(f"{path}: int8 needs photos of the training to measure how large "
                             "numbers become, and none of them can be read; is data_root still "
                             "there?")
        self.photos, self.metadata, self.number = chain([first], photos), metadata, 0

    def get_next(self) -> dict[str, np.ndarray] | None:
        """What one photo is fed as; None after the last one."""
        if (image := next(self.photos, None)) is None:
            return None
        self.number += 1
        return {"photo": on_canvas(image[None], self.metadata)[0]}
