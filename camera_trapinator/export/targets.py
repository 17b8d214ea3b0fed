"""Which files an export makes, what they need, and who writes them.

Each writer is imported only where its file is asked for: nobody needs all packages.
"""

from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from .. import InputError
from ..data.progress import progress
from ..dataset import PredictionDataset
from ..model import SegmentationModel
from ..utils import spread
from .metadata import KINDS

CALIBRATION = 100  # photos of the training split that tell int8 how large numbers become


class _Target(NamedTuple):
    suffix: str
    kinds: tuple[str, ...]
    packages: tuple[str, ...]
    extra: str  # that brings them


ONNX = _Target(".onnx", KINDS, ("onnx", "onnxruntime"), "export")
PTE = _Target(".pte", ("fp32", "int8"), ("executorch", "torchao"), "phone")
PAGE = ("int8", "fp16", "fp32")  # what the page takes of those that are wanted: the smallest


class File(NamedTuple):
    """A file to be made of a run."""

    kind: str  # fp32, fp16 or int8
    suffix: str  # .onnx or .pte

    def name(self, run: str) -> str:
        return f"{run}_{self.kind}{self.suffix}"


class Plan(NamedTuple):
    """What an export makes."""

    files: list[File]
    page_of: File | None  # the file that the phone page runs, if one is wanted


def plan(target: str, kinds: Sequence[str] | None) -> tuple[Plan, list[str]]:
    """What is made for a `target` (onnx, executorch, web or all), of these `kinds`, None = all that
    it has; and what stands against it: kinds that it does not have, packages that are missing."""
    wanted = list(dict.fromkeys(kinds or KINDS))
    files, faults, page_of = [], [], None
    for name, of in (("onnx", ONNX), ("executorch", PTE)):
        if target not in (name, "all"):
            continue
        files += [File(kind, of.suffix) for kind in wanted if kind in of.kinds]
        if strange := [kind for kind in kinds or () if kind not in of.kinds and target == name]:
            faults.append(f"--kinds {' '.join(strange)}: {name} has {', '.join(of.kinds)}")
    if target in ("web", "all"):
        page_of = File(next(kind for kind in PAGE if kind in wanted), ONNX.suffix)
        files += [page_of] if page_of not in files else []
    for of in (ONNX, PTE):
        asked = any(file.suffix == of.suffix for file in files)
        if asked and (missing := [name for name in of.packages if find_spec(name) is None]):
            faults.append(f"{of.suffix} files need {', '.join(missing)}: "
                          f"pip install -e '.[{of.extra}]'")
    return Plan(files, page_of), faults


def write_files(files: Sequence[File], net: SegmentationModel, folder: Path, metadata: dict,
                photos: Sequence[Tensor]) -> dict[str, str]:
    """Write the files, and tell why those are missing that cannot be written, by their names; one
    stops no other. `metadata`: see `metadata.describe`; `photos`: see `calibration_photos`."""
    reasons, line = {}, "\n"
    for file in progress(files, "exporting", unit="files"):
        name = file.name(metadata["run"])
        try:
            write_file(file, net, folder / name, metadata, photos)
        except InputError as error:
            reasons[name] = str(error)
        except Exception as error:  # exporters raise dozens of kinds on steps they do not know
            reasons[name] = (f"this network cannot be written as {file.suffix} in {file.kind} "
                             f"({type(error).__name__}: {str(error).strip().split(line)[0][:150]})")
    return reasons


def write_file(file: File, net: SegmentationModel, path: Path, metadata: dict,
               photos: Sequence[Tensor]) -> None:
    """Write one file, see `write_files`."""
    metadata = {**metadata, "kind": file.kind}
    if file.suffix == PTE.suffix:
        from .executorch_files import write_pte

        if not metadata["canvas"] and not photos:
            raise InputError(f"{path.name}: no training photo can be read, which would tell the "
                             "size that most have; give it with --canvas WIDTHxHEIGHT")
        metadata["canvas"] = metadata["canvas"] or commonest_canvas(photos, net.stride)
        write_pte(net, path, metadata, photos)
    elif file.kind == "int8":
        from .int8 import write_int8

        write_int8(net, path, metadata, photos)
    else:
        from .onnx_files import write_onnx

        write_onnx(net, path, metadata)


def calibration_photos(dataset: PredictionDataset, number: int = CALIBRATION) -> list[Tensor]:
    """Some of the photos, spread over all, those that can be read: uint8 (channels, H, W) each, at
    network size."""
    images = (dataset[place][0] for place in spread(len(dataset), number))
    return [image for image in images if image is not None]


def commonest_canvas(photos: Sequence[Tensor], stride: int) -> list[int]:
    """[height, width] that most of the photos have, when they are padded to the stride."""
    sizes = Counter(tuple(side + -side % stride for side in photo.shape[-2:]) for photo in photos)
    return list(sizes.most_common(1)[0][0])
