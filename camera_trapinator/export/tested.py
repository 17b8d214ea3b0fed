"""An exported file as what test.py predicts with; `training.trained.Trained` is the other kind."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from .. import InputError
from ..data.files import sha256
from ..outputs.parity_table import FOLDER
from .runtime import ExportedModel

if TYPE_CHECKING:
    from ..config import Config

# What is settled when a file is written, or what cannot be asked of one.
SETTLED = ("working_scale", "tile", "precision", "device")


class Exported:
    """The `file` that predicts, the `weights` of the run in which it lies, and the `checkpoint`:
    the run's, or, where the file lies elsewhere or the run has other weights by now, so much of it
    as the file itself tells. `load(weights).checkpoint` reads one.

    `images`: whether new photos are predicted. Raises InputError for a file that cannot be opened,
    and, for test photos, for one that is of no run.
    """

    def __init__(self, file: Path, load: Callable, images: bool):
        self.file, self.model = file, ExportedModel(file)
        self.metadata = self.model.metadata
        self.suffix = f"_{self.metadata['kind']}_{file.suffix[1:]}"  # of the folder of its results
        folder = file.resolve().parent
        best = folder.parent / "best.pt"
        of_run = folder.name == FOLDER and best.is_file()
        if of_run and sha256(best) == self.metadata["weights"]:
            self.weights, self.checkpoint = best, load(best).checkpoint
            return
        self.weights, self.checkpoint = file, self.metadata["checkpoint"]
        if not images:
            why = (f"was exported of other weights than {best}: export the run anew" if of_run else
                   "does not lie in the folder export/ of its run, so nobody knows its test photos")
            raise InputError(f"--model {file}: {why}; new photos are predicted with --images")

    def settled(self, config: "Config", overrides: Sequence[str]) -> "Config":
        """The knobs with which it predicts. Raises InputError where the command line changes those
        that the file has settled."""
        knobs = {word.partition("=")[0].strip() for word in overrides}
        settled = {**self.metadata, "precision": "fp32", "device": "cpu"}
        changed = [f"{name}: {getattr(config, name)}" for name in SETTLED if name in knobs
                   and getattr(config, name) != settled.get(name)]
        if changed:
            raise InputError(f"{', '.join(changed)}: cannot be changed for {self.file}, which is "
                             "made for one scale and one precision, and which the CPU computes; "
                             "leave it out, or test the run itself (--run)")
        # One of a fixed size sees the whole photo, whatever the run's own network does.
        tile = 0 if self.metadata["canvas"] else config.tile
        return replace(config, device="cpu", precision="fp32", tile=tile)

    def info(self, info: dict) -> dict:
        """What the records are made with, see `Knobs.info`: no others are taken for them."""
        return {**info, "model": self.file.name, "precision": self.metadata["kind"]}

    def network(self, device: torch.device) -> ExportedModel:
        """What predicts, always on the CPU."""
        print(f"model       {self.file.name}: {self.metadata['kind']}, of the run "
              f"{self.metadata['run']}")
        return self.model
