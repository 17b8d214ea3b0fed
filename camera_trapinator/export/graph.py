"""What an exported file computes, for inference alone: a photo in, classes and their odds out.

    graph = ExportGraph(net)
    logits, classes, foreground, confidence = graph(photo)   # photo: uint8 (1, 3, H, W)

H and W are multiples of the network's stride: whoever runs the file pads the photo right and below
with its `mean` colour and crops the answer.
"""

import copy

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..model import SegmentationModel
from ..networks.votes import NearVotes
from ..networks.weights import fold_norm

OUTPUTS = ("logits", "classes", "foreground", "confidence")


class ExportGraph(nn.Module):
    """A network with its normalisation in front and what is read from its logits behind.

    forward(photo uint8 (1, channels, H, W)) -> logits float32 (1, C, H, W); classes, uint8
    (1, H, W), the likeliest; foreground, float32 (1, H, W), the probability that there is anything;
    confidence, float32 (1, H, W), the probability of the likeliest species if so, as
    `Prediction.foreground()` and `.species()` tell it. A regression gives values, float32
    (1, H, W), alone. `net` stays as it is: this has a copy of it, without batch normalisation.
    """

    def __init__(self, net: SegmentationModel):
        super().__init__()
        self.net = copy.deepcopy(net).cpu().eval().requires_grad_(False)
        fold_norm(self.net)
        for place, layer in list(self.net.named_modules()):
            if isinstance(layer, NearVotes):
                self.net.set_submodule(place, _PlainVotes(layer))
        self.net.prepare = self.prepare  # in its place: nothing is left to pad
        self.outputs = ("values",) if net.regression else OUTPUTS

    def half(self) -> "ExportGraph":
        """In half precision, but for what photos are normalised by and a regression's unit."""
        exact = {name: value for name, value in self.net.named_buffers(recurse=False)}
        super().half()
        for name, value in exact.items():
            setattr(self.net, name, value)
        return self

    def prepare(self, images: Tensor) -> Tensor:
        """What SegmentationModel.prepare does with photos that need no padding."""
        weight = next(self.net.parameters(), self.net.mean)  # may be in half precision
        return ((images.float() - self.net.mean) / self.net.spread).to(weight.dtype)

    def forward(self, photo: Tensor) -> Tensor | tuple[Tensor, ...]:
        logits = self.net(photo).float()
        if self.net.regression:
            return logits[:, 0]
        species = logits[:, 1:] / self.net.temperature
        # As a softmax says, which most runtimes compute at the last dimension only: they would
        # turn the whole of it round.
        odds = (logits - logits.amax(dim=1, keepdim=True)).exp()
        least = (species - species.amax(dim=1, keepdim=True)).exp()
        return (logits, logits.argmax(dim=1).to(torch.uint8), 1 - odds[:, 0] / odds.sum(dim=1),
                1 / least.sum(dim=1))


class _PlainVotes(NearVotes):
    """NearVotes whose sums are means times their number: exporters drop `divisor_override` without
    a word."""

    def __init__(self, votes: NearVotes):
        nn.Module.__init__(self)
        self.what, self.where = votes.what, votes.where

    def _around(self, cells: Tensor) -> Tensor:
        side = 2 * self.REACH + 1
        return F.avg_pool2d(cells, side, stride=1, padding=self.REACH) * side**2


def on_canvas(image: Tensor, metadata: dict) -> tuple[np.ndarray, tuple[int, int]]:
    """A photo uint8 (1, channels, H, W) as a file with this metadata takes it: on a canvas of
    multiples of the stride, or of the file's own size, on which it is made smaller if it has to
    be; and the height and width that it has there, from the upper left corner."""
    size, canvas, stride = image.shape[-2:], metadata["canvas"], metadata["stride"]
    height, width = size
    if canvas and (height > canvas[0] or width > canvas[1]):
        factor = min(canvas[0] / height, canvas[1] / width)
        height, width = (max(1, min(int(side * factor + 0.5), most))
                         for side, most in zip(size, canvas, strict=True))
        image = F.interpolate(image.float(), (height, width), mode="bilinear", antialias=True)
        image = image.round().clamp(0, 255).byte()
    rows, columns = canvas or (height + -height % stride, width + -width % stride)
    photo = np.empty((1, image.shape[1], rows, columns), np.uint8)
    photo[:] = np.array(metadata["mean"], np.uint8)[:, None, None]
    photo[..., :height, :width] = image.numpy()
    return photo, (height, width)
