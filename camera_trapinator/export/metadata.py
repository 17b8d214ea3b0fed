"""What stands inside an exported file, as JSON: what it knows, how it is fed, where it is from.

Nothing private does: no folders, no names of locations or photos, see `training.slim`.
"""

import json
from pathlib import Path

from .. import InputError
from ..data.files import sha256
from ..model import SegmentationModel

KEY = "camera_trapinator"  # under which a file has it
FORMAT = 1
KINDS = ("fp32", "fp16", "int8")
NEEDED = ("format", "kind", "run", "weights", "stride", "working_scale", "mean", "canvas",
          "temperature", "classes", "checkpoint")


def describe(net: SegmentationModel, weights: Path, slim: dict, licence: str = "",
             canvas: tuple[int, int] | None = None) -> dict:
    """The metadata of all files that are exported of a run, but for their `kind`.

    `weights`: the best.pt that `net` is from, in its run's folder; `slim`: its content as
    `training.slim.slim_checkpoint` gives it; `licence`: of the weights, "" = not told; `canvas`:
    (height, width) of a file that takes photos of this one size, None = of any.
    """
    return {
        "format": FORMAT, "kind": "fp32", "run": weights.resolve().parent.name,
        "weights": sha256(weights), "licence": licence, "stride": net.stride,
        "working_scale": net.working_scale, "canvas": list(canvas) if canvas else None,
        "mean": [round(value) for value in net.mean.flatten().tolist()],
        "temperature": net.temperature, "thresholds": slim.get("thresholds"),
        "classes": slim["classes"], "checkpoint": slim,
    }


def as_text(metadata: dict) -> str:
    """The metadata as it is written into a file: JSON of ASCII letters only."""
    return json.dumps(metadata, separators=(",", ":"))


def read_text(text: str | None, path: Path) -> dict:
    """The metadata of the file `path` from its text. Raises InputError if it is none of ours, or of
    a later version."""
    try:
        metadata = json.loads(text or "")
        missing = [name for name in NEEDED if name not in metadata]
    except (ValueError, TypeError):
        metadata, missing = None, NEEDED
    if not isinstance(metadata, dict) or missing:
        raise InputError(f"{path}: no model that Camera Trapinator has exported: it tells neither "
                         "its classes nor its sizes; make one with scripts/export.py")
    if metadata["format"] != FORMAT:
        raise InputError(f"{path}: exported by another version (format {metadata['format']}, here "
                         f"{FORMAT}); export the run anew with scripts/export.py")
    return metadata
