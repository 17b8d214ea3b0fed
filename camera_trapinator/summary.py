"""What a network costs, level by level: output, parameters, FLOPs. Computes nothing for that.

    print(describe_levels(net, crop=(480, 640), photo=(480, 640)))
"""

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


class Level(NamedTuple):
    """A part of a network."""

    name: str  # as in the code, such as downs.0; "" = the whole network
    shape: tuple[int, ...]  # (C, H, W) of what it gives for one photo; (C,) of a linear layer
    parameters: int
    flops: int  # a multiplication and an addition count as two; convolutions and products only


def count_levels(net: nn.Module, height: int, width: int) -> list[Level]:
    """The cost of one photo uint8 (3, height, width) in each level and, last, in all of it.

    A level is a direct part of the network; of a ModuleList each item is one.
    """
    net = copy.deepcopy(net).to("meta").eval()  # there tensors have a shape, but no content
    levels = {}
    for name, part in net.named_children():
        items = part.named_children() if isinstance(part, nn.ModuleList) else []
        levels.update({f"{name}.{number}": item for number, item in items} or {name: part})
    levels[""] = net
    shapes: dict[str, tuple[int, ...]] = {}

    def keep_shape(name: str):
        def hook(_, inputs, output: Tensor | list[Tensor]) -> None:
            shapes[name] = tuple((output if isinstance(output, Tensor) else output[-1]).shape[1:])
        return hook

    for name, part in levels.items():
        part.register_forward_hook(keep_shape(name))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net(torch.zeros(1, 3, height, width, dtype=torch.uint8, device="meta"))
    counts, root = counter.get_flop_counts(), type(net).__name__
    return [Level(name, shapes[name], sum(weight.numel() for weight in part.parameters()),
                  sum(counts.get(f"{root}.{name}".strip("."), {}).values()))
            for name, part in levels.items()]


def describe_levels(net: nn.Module, crop: tuple[int, int], photo: tuple[int, int]) -> str:
    """The levels as a table, for one crop; below, for a whole photo at the working scale (pixels,
    height and width)."""
    rows = [(level.name or "all, crop", " x ".join(map(str, level.shape)), f"{level.parameters:,}",
             f"{level.flops / 1e9:.3f}") for level in count_levels(net, *crop)]
    whole = count_levels(net, *photo)[-1]
    rows.append(("all, photo", " x ".join(map(str, whole.shape)), "", f"{whole.flops / 1e9:.3f}"))
    rows.insert(0, ("level", "output", "parameters", "GFLOPs"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(f"{name:<{widths[0]}}  {shape:<{widths[1]}}  {parameters:>{widths[2]}}  "
                     f"{flops:>{widths[3]}}" for name, shape, parameters, flops in rows)
