"""A network as an .onnx file in fp32 or fp16, with all that is to know about it inside.

    write_onnx(net, "unet_fp32.onnx", describe(net, weights, slim))

onnx.ai tells the format. Height and width are dimensions of the file with these names, which
whoever opens it can fix: sessions for one size are faster.
"""

import io
import warnings
from importlib.util import find_spec
from pathlib import Path

import torch

from .. import InputError
from ..data.files import written_whole
from ..model import SegmentationModel
from .graph import ExportGraph
from .metadata import KEY, as_text

OPSET = 17  # the newest that all runtimes of the last years know


def need_packages(*names: str, suffix: str = ".onnx", extra: str = "export") -> None:
    """Raises InputError, with the command that installs them, for packages that are missing."""
    if missing := [name for name in names if find_spec(name) is None]:
        raise InputError(f"{suffix} files need {', '.join(missing)}: pip install -e '.[{extra}]'")


def write_onnx(net: SegmentationModel, path: str | Path, metadata: dict) -> None:
    """Write `net` as the file `path`, in fp32, or in fp16 if the `kind` of the metadata says so:
    then weights and layers are in half precision, photo, normalisation and answers as ever. Raises
    InputError for layers that the format does not have, and if packages are missing."""
    need_packages("onnx")
    model = onnx_model(net, metadata["canvas"], metadata["kind"])
    save_model(model, path, metadata)


def onnx_model(net: SegmentationModel, canvas: tuple[int, int] | None, kind: str = "fp32"):
    """`net` as an onnx.ModelProto: fp32 or fp16, for one `canvas` (height, width) or for any.

    By torch's older exporter, which records what happens to one photo: 2 seconds, where the newer
    one takes a minute, and without a further package.
    """
    import onnx

    graph = ExportGraph(net)
    if kind == "fp16":
        graph.half()
    height, width = canvas or (2 * net.stride, 3 * net.stride)
    photo = torch.zeros(1, net.channels, height, width, dtype=torch.uint8)
    axes = {"photo": {2: "height", 3: "width"}}
    for name in graph.outputs:
        axes[name] = {2: "height", 3: "width"} if name == "logits" else {1: "height", 2: "width"}
    file = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(graph, (photo,), file, dynamo=False, opset_version=OPSET,
                              input_names=["photo"], output_names=list(graph.outputs),
                              dynamic_axes=None if canvas else axes)
        except torch.onnx.errors.OnnxExporterError as error:
            reason = str(error).strip().split("\n")[0][:200]
            raise InputError(f"{type(net).__name__}: cannot be written as .onnx ({reason}); use "
                             "other layers") from None
    model = onnx.load_model_from_string(file.getvalue())
    for output in model.graph.output:  # torch does not see that they are one photo's
        sizes = output.type.tensor_type.shape.dim
        sizes[0].dim_value = 1
        if output.name == "logits" and net.num_classes:
            sizes[1].dim_value = net.num_classes
    return model


def save_model(model, path: str | Path, metadata: dict) -> None:
    """Write an onnx.ModelProto whole or not at all, with the metadata in it."""
    import onnx

    onnx.helper.set_model_props(model, {KEY: as_text(metadata)})
    with written_whole(path) as temporary:
        temporary.write_bytes(model.SerializeToString())
