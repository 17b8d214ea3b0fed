"""An .onnx file in int8: a quarter of the size, made after the training from some of its photos.

    write_int8(net, "unet_int8.onnx", {**metadata, "kind": "int8"}, photos)

Weights get a scale for each channel, what flows between the layers one for each layer, from the
smallest and largest numbers of a photo there, in the mean over the photos: one that is unlike all
others would make the steps coarse for them. The first and the last layers stay in fp32. Source:
onnxruntime.ai/docs/performance/model-optimizations/quantization.html.
"""

import logging
import math
from collections.abc import Iterable
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from torch import Tensor

from ..model import SegmentationModel
from .calibration import Calibration
from .onnx_files import need_packages, onnx_model, save_model

# What is computed in int8. Others stay in fp32, ConvNeXt's normalisation for instance.
LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
FEW = 500
MIDDLE = 128  # what 0 is stored as
BETWEEN = ("Add", "Clip", "Concat", "MaxPool", "Relu")


def write_int8(net: SegmentationModel, path: str | Path, metadata: dict, photos: Iterable[Tensor],
               ) -> None:
    """Write `net` in int8 as the file `path`.

    `photos`: of the training, uint8 (channels, H, W) at network size; they are gone through once.
    Raises InputError if there is none, or if packages are missing.

    Weights are unsigned, around 128: as signed ones they would be as small, but processors without
    VNNI (x86 until about 2019) add up two products of signed and unsigned bytes in 16 bits, and
    what is too large is cut off without a word. Signed weights of 7 bits would be right everywhere,
    too, and some quicker on those; but with EfficientNet-Lite0 they change twice as many pixels.
    """
    need_packages("onnx", "onnxruntime")
    from onnxruntime.quantization import (
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    reader = Calibration(photos, metadata, path)
    with TemporaryDirectory() as folder, _no_advice():
        plain, ready, made = (Path(folder, name) for name in ("plain", "ready", "made"))
        save_model(onnx_model(net, metadata["canvas"]), plain, {})
        quant_pre_process(plain, ready, skip_symbolic_shape=True)
        model = _named(ready)
        quantize_static(
            model, made, reader, quant_format=QuantFormat.QDQ, per_channel=True,
            weight_type=QuantType.QUInt8, activation_type=QuantType.QUInt8,
            calibrate_method=CalibrationMethod.MinMax, op_types_to_quantize=[*LAYERS, *BETWEEN],
            nodes_to_exclude=[*first_layers(model), *last_layers(model)],
            extra_options={"WeightSymmetric": True, "CalibMovingAverage": True})
        model = _named(made)
    _centre_idle(model)
    save_model(model, path, {**metadata, "calibration": {"photos": reader.number}})


def first_layers(model) -> list[str]:
    """The names of the first layers (of an onnx.ModelProto) that have one in FEW of all weights,
    and of what is done between them: what is rounded there is wrong in all that follows. Those of
    EfficientNet-Lite0, a 600th of its size, more than halve the pixels that change."""
    weights = {tensor.name: math.prod(tensor.dims) for tensor in model.graph.initializer}
    steps = [(node.name, weights.get(node.input[1], 0) if node.op_type in LAYERS else 0)
             for node in model.graph.node]
    most = sum(number for _, number in steps) / FEW
    sums = accumulate(number for _, number in steps)
    return [name for (name, _), total in zip(steps, sums, strict=True) if total <= most]


def last_layers(model) -> list[str]:
    """The names of the layers (of an onnx.ModelProto) after which no other comes, and of all that
    is done with what they give: rounded there, numbers nearly equal would change their order."""
    follows: dict[str, list] = {}
    for node in model.graph.node:
        for name in node.input:
            follows.setdefault(name, []).append(node)
    last, followed = {}, set()
    for node in reversed(model.graph.node):  # these are sorted
        after = [other for name in node.output for other in follows.get(name, ())]
        if any(other.op_type in LAYERS or other.name in followed for other in after):
            followed.add(node.name)
        elif node.op_type in LAYERS:
            last[node.name] = node
    reached = list(last.values())
    for node in reached:
        for name in node.output:
            reached += [other for other in follows.get(name, ()) if other.name not in last]
            last |= {other.name: other for other in follows.get(name, ())}
    return list(last)


def _centre_idle(model) -> None:
    """Give channels whose weights are all 0, of which a training leaves some, the middle of the
    others: with one zero point for all channels onnxruntime is up to 30 times as fast."""
    from onnx import numpy_helper

    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        weight, zero = (tensors.get(name) for name in (node.input[0], node.input[-1]))
        if node.op_type != "DequantizeLinear" or weight is None or zero is None or not zero.dims:
            continue
        axis = next(entry.i for entry in node.attribute if entry.name == "axis")
        middles = numpy_helper.to_array(zero).copy()
        idle = middles != MIDDLE
        values = np.moveaxis(numpy_helper.to_array(weight).copy(), axis, 0)
        if idle.any() and values.dtype == middles.dtype == np.uint8 and not values[idle].any():
            values[idle] = middles[idle] = MIDDLE
            weight.CopyFrom(numpy_helper.from_array(
                np.ascontiguousarray(np.moveaxis(values, 0, axis)), weight.name))
            zero.CopyFrom(numpy_helper.from_array(middles, zero.name))


def _named(path: Path):
    """An onnx.ModelProto from its file, every step of which has a name."""
    import onnx

    model = onnx.load(path)
    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{number}"
    return model


@contextmanager
def _no_advice():
    """Without what onnxruntime says to who would quantise by hand."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
