"""What a run leaves behind: last.pt and best.pt, log.csv.

Checkpoints hold tensors and plain Python types only, so that they load with `weights_only=True`:
a file from a stranger cannot run code. Files are written beside their place, flushed, and then
moved into it, so that a crash leaves the previous one whole.
"""

import csv
import os
import pickle
from pathlib import Path
from typing import BinaryIO
from zipfile import BadZipFile, ZipFile

import torch

from .. import InputError, written_whole
from ..utils import RUNS, here_or_below_root


def save_checkpoint(path: str | Path, content: dict) -> None:
    """Write a checkpoint whole or not at all. Raises OSError, with the path, if it cannot."""
    with written_whole(path) as temporary, open(temporary, "wb") as file:
        writer = _Writer(file)
        try:
            torch.save(content, writer)
        except RuntimeError as error:  # torch's own words do not say that the disk is full
            raise writer.error or error from None
        file.flush()
        os.fsync(file.fileno())


class _Writer:
    """Hands on to a file what is written, and keeps the error that this may be."""

    def __init__(self, file: BinaryIO):
        self.file, self.error = file, None

    def write(self, content) -> int:
        try:
            return self.file.write(content)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self.file.flush()


def load_checkpoint(path: str | Path, device: torch.device | str = "cpu") -> dict:
    """Read a checkpoint. Raises InputError if it is missing, damaged, or not one of ours."""
    try:
        with ZipFile(path) as file:
            damaged = file.testzip()  # torch itself takes flipped bits for weights
        if damaged:
            raise ValueError(f"the checksum of its part {damaged} is wrong")
        content = torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path}: no such checkpoint") from None
    except (BadZipFile, pickle.UnpicklingError):  # torch itself tells how to load it all the same
        raise InputError(f"{path}: cannot be read as a checkpoint (it is damaged, another kind of "
                         "file, or holds more than tensors and plain values)") from None
    except Exception as error:  # torch raises a dozen kinds on damaged or foreign files
        reason = str(error).strip().split("\n")[0][:150] or type(error).__name__
        raise InputError(f"{path}: cannot be read as a checkpoint ({reason})") from None
    if not isinstance(content, dict) or "model_arguments" not in content:
        raise InputError(f"{path}: no checkpoint of Camera Trapinator")
    return _of_today(content)


def _of_today(content: dict) -> dict:
    """A checkpoint of an older version as one of today."""
    for state in (content.get("model"), content.get("training")):
        if isinstance(state, dict) and "scene.weight" in state:
            state["votes.weight"] = state.pop("scene.weight")
            content["model_arguments"] = {**content["model_arguments"], "votes": "photo"}
    return content


def write_log(path: str | Path, history: list[dict]) -> None:
    """Write log.csv, a row an epoch, a column for all that any row tells. Scores that are not
    defined (None), or that older rows do not have, are empty cells."""
    columns = list(dict.fromkeys(name for row in reversed(history) for name in row))
    with written_whole(path) as temporary, open(temporary, "w", newline="",
                                                encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        for row in history:
            writer.writerow({name: f"{value:.6g}" if isinstance(value, float) else value
                             for name, value in row.items()})


def weights_file(name: str) -> Path:
    """The .pt file that a knob names: a file, or the best.pt of a run."""
    path = here_or_below_root(name)
    return path if path.is_file() else RUNS / name / "best.pt"
