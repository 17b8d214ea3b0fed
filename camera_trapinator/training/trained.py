"""A checkpoint as what test.py predicts with; `export.tested.Exported` is the other kind."""

from pathlib import Path

import torch

from ..config import Config
from ..model import SegmentationModel, load_model
from ..networks.weights import fold_norm
from .checkpoint import load_checkpoint


class Trained:
    """The file `weights` and its content, the `checkpoint`. Raises InputError if it is none."""

    suffix = ""  # of the folder of its results

    def __init__(self, weights: Path):
        self.file = self.weights = weights
        self.checkpoint = load_checkpoint(weights)

    def settled(self, config: Config, overrides: list[str]) -> Config:
        """The knobs with which it predicts: any."""
        return config

    def info(self, info: dict) -> dict:
        """What the records are made with, see `Knobs.info`."""
        return info

    def network(self, device: torch.device) -> SegmentationModel:
        """What predicts, on a device."""
        net = load_model(self.checkpoint)
        fold_norm(net)
        return net.to(device, memory_format=torch.channels_last)
