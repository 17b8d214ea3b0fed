"""Less memory in training: what is computed on the way forward is not kept for the way back, but
computed there a second time."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

BATCH_NORMS = (nn.BatchNorm2d, nn.SyncBatchNorm)  # of one process, and of several


def recomputed(block: nn.Module, *inputs: Tensor) -> Tensor | list[Tensor]:
    """What a block of layers makes of its inputs, with the same gradients and statistics.

    Source: Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost" (arXiv 1604.06174).
    """
    return checkpoint(block, *inputs, use_reentrant=False,
                      context_fn=lambda: (nullcontext(), unseen_by_norm(block)))


@contextmanager
def unseen_by_norm(block: nn.Module) -> Iterator[None]:
    """Meanwhile the layers of normalisation do not count what they see in their statistics."""
    layers = [layer for layer in block.modules()
              if isinstance(layer, BATCH_NORMS) and layer.training]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    try:
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
            layer.num_batches_tracked -= 1
