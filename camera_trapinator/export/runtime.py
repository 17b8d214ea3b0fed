"""ExportedModel: an exported file that predicts as the network itself does.

    model = ExportedModel("cnn_states/unet/export/unet_int8.onnx")
    mask = model.predict("site1/IMG_0001.JPG").mask()

It computes on the CPU, whatever the machine has: what the field gets is what is tested.
"""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .. import InputError
from ..model import SegmentationModel
from .graph import on_canvas
from .metadata import KEY, read_text
from .onnx_files import need_packages

SESSIONS = 4  # that are kept: one for each canvas, of which one kind of camera has one or two


class ExportedModel(SegmentationModel):
    """A file of scripts/export.py behind the interface of SegmentationModel.

    `metadata`: what stands inside the file. Raises InputError for a file that is none of ours, is
    damaged, or needs a package that is not there.
    """

    def __init__(self, path: str | Path):
        run_file, metadata = open_file(Path(path))
        super().__init__(metadata["working_scale"], metadata["stride"], len(metadata["mean"]))
        self.metadata, self.run_file = metadata, run_file
        self.temperature = metadata["temperature"]
        self.num_classes = len(metadata["classes"])
        self.regression = self.num_classes == 1

    def forward(self, images: Tensor) -> Tensor:
        """uint8 (N, channels, H, W) -> logits (or values) float32 (N, C, H, W)."""
        return torch.cat([self._of_one(image) for image in images.split(1)])

    def _of_one(self, image: Tensor) -> Tensor:
        photo, (height, width) = on_canvas(image, self.metadata)
        logits = torch.from_numpy(self.run_file(photo))[..., :height, :width]
        if (height, width) != tuple(image.shape[-2:]):  # it was larger than the file's canvas
            logits = F.interpolate(logits, image.shape[-2:], mode="bilinear")
        return logits


def open_file(path: Path) -> tuple[Callable[[np.ndarray], np.ndarray], dict]:
    """What computes the logits of a canvas, float32 (1, C, H, W) of uint8 (1, channels, H, W), and
    the metadata of an exported file."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; scripts/export.py makes one of a run")
    if path.suffix == ".pte":
        from .executorch_runtime import open_pte

        return open_pte(path)
    if path.suffix != ".onnx":
        cure = "; a checkpoint is given with --weights" if path.suffix == ".pt" else ""
        raise InputError(f"{path}: neither .onnx nor .pte, which scripts/export.py makes of a "
                         f"run{cure}")
    return open_onnx(path)


def open_onnx(path: Path) -> tuple[Callable[[np.ndarray], np.ndarray], dict]:
    """The same for an .onnx file: a session for each canvas, the last few of which are kept."""
    need_packages("onnxruntime")
    import onnxruntime

    def session(**sizes: int):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3  # errors, which are raised anyhow
        for name, size in sizes.items():
            options.add_free_dimension_override_by_name(name, size)
        if not sizes:  # only to be looked into
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises a dozen kinds on damaged files
            reason = str(error).strip().split("\n")[0][:150]
            raise InputError(f"{path}: cannot be opened as a model ({reason})") from None

    metadata = read_text(session().get_modelmeta().custom_metadata_map.get(KEY), path)
    kept = lru_cache(SESSIONS)(session)
    output = "values" if len(metadata["classes"]) == 1 else "logits"
    path_only = onnxruntime.RunOptions()
    path_only.only_execute_path_to_fetches = True  # the other outputs are for other programs

    def run(photo: np.ndarray) -> np.ndarray:
        answer, = kept(height=photo.shape[2], width=photo.shape[3]).run(
            [output], {"photo": photo}, path_only)
        return answer if output == "logits" else answer[:, None]

    return run, metadata
