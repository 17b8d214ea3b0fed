"""A network as a .pte file for apps: ExecuTorch, with the kernels of XNNPACK, in fp32 or int8.

    write_pte(net, "unet_int8.pte", {**metadata, "kind": "int8", "canvas": [224, 320]}, photos)

In int8 weights get a scale for each channel, what flows between the layers one for each layer, from
the smallest and largest numbers met there on photos of the training. The last layers stay in fp32.
Sources: docs.pytorch.org/executorch (XNNPACK backend); Jacob et al. 2018, "Quantization and
Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference" (arXiv 1712.05877).
"""

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor, fx

from ..data.files import written_whole
from ..model import SegmentationModel
from .calibration import Calibration
from .executorch_runtime import fitting_packages, silenced, with_checksum
from .graph import ExportGraph
from .metadata import KEY, as_text

aten = torch.ops.aten
LAYERS = (aten.conv2d.default, aten.conv2d.padding, aten.convolution.default,
          aten.conv_transpose2d.input, aten.linear.default, aten.matmul.default)
BOUNDED = (aten.hardtanh.default, aten.hardtanh_.default)  # ReLU6


def write_pte(net: SegmentationModel, path: str | Path, metadata: dict,
              photos: Iterable[Tensor] = ()) -> None:
    """Write `net` as the file `path`, in fp32 or, if the `kind` of the metadata says so, in int8.

    The `canvas` of the metadata, (height, width), is the one size of photos that the file takes.
    `photos`, for int8: of the training, uint8 (channels, H, W) at network size; they are gone
    through once. Raises InputError if there is none, or if packages are missing.
    """
    with fitting_packages("executorch", "torchao"):
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower

    canvas = torch.zeros(1, net.channels, *metadata["canvas"], dtype=torch.uint8)
    with silenced(), torch.no_grad():
        program = torch.export.export(ExportGraph(net), (canvas,))
        if metadata["kind"] == "int8":
            feeds = iter(Calibration(photos, metadata, path).get_next, None)
            graph, number = in_int8(program.module(), (torch.from_numpy(feed["photo"])
                                                       for feed in feeds))
            metadata = {**metadata, "calibration": {"photos": number}}
            program = torch.export.export(graph, (canvas,))
        lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()],
                                              constant_methods={KEY: as_text(metadata)})
        content = with_checksum(lowered.to_executorch().buffer)
    with written_whole(path) as temporary:
        temporary.write_bytes(content)


def in_int8(module: fx.GraphModule, photos: Iterable[Tensor]) -> tuple[fx.GraphModule, int]:
    """An exported graph that computes in int8, but for its last layers; and of how many photos
    (uint8 (1, channels, H, W), on the canvas) it knows how large its numbers become."""
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    module = prepare_pt2e(module, _quantizer(last_steps(module.graph)))
    number = 0
    for photo in photos:
        module(photo)
        number += 1
    return convert_pt2e(module), number


def last_steps(graph: fx.Graph) -> set[str]:
    """The names of the layers after which no other comes, and of all that is done with what they
    give: rounded there, numbers nearly equal would change their order."""
    before = set()
    for node in reversed(graph.nodes):  # these are sorted
        if any(user in before or user.target in LAYERS for user in node.users):
            before.add(node)
    return {node.name for node in graph.nodes if node.op == "call_function" and node not in before}


def _quantizer(in_fp32: set[str]):
    """What tells the observers where to stand: everywhere but at the steps `in_fp32`."""
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e import MinMaxObserver
    from torchao.quantization.pt2e.quantizer import QuantizationConfig, QuantizationSpec

    class Quantizer(XNNPACKQuantizer):
        """Takes a ReLU6 behind a layer for a ReLU: left to itself it would round the layer's
        numbers before these are bounded, over a range that they do not have afterwards."""

        def annotate(self, model: fx.GraphModule) -> fx.GraphModule:
            bounded = {node: node.target for node in model.graph.nodes if node.target in BOUNDED}
            for node in bounded:
                node.target = aten.relu.default
            model = super().annotate(model)
            for node, target in bounded.items():
                node.target = target
            return model

    between = QuantizationSpec(
        dtype=torch.int8, quant_min=-128, quant_max=127, qscheme=torch.per_tensor_affine,
        is_dynamic=False, observer_or_fake_quant_ctr=MinMaxObserver.with_args(eps=2**-12))
    weight = get_symmetric_quantization_config(is_per_channel=True).weight
    quantizer = Quantizer().set_global(QuantizationConfig(between, between, weight, None, False))
    return quantizer.set_filter_function(lambda node: node.name not in in_fp32)
