"""Networks for photo classification that can be the way down of a U-Net."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Encoder(NamedTuple):
    """A network that can be the way down of a U-Net."""

    channels: tuple[int, ...]  # of its features, the finest first; the size is halved each time
    nodes: tuple[str, ...] = ()  # where torchvision's network has them


_RESNET = ("relu", "layer1", "layer2", "layer3", "layer4")
ENCODERS = {
    "efficientnet_lite0": Encoder((16, 24, 40, 112, 1280)),
    "resnet18": Encoder((64, 64, 128, 256, 512), _RESNET),
    "resnet34": Encoder((64, 64, 128, 256, 512), _RESNET),
    "resnet50": Encoder((64, 256, 512, 1024, 2048), _RESNET),
    "mobilenet_v3_large": Encoder((16, 24, 40, 112, 960), (
        "features.1", "features.3", "features.6", "features.12", "features.16")),
    # Begins at a quarter of the size.
    "convnext_tiny": Encoder((96, 192, 384, 768), (
        "features.1", "features.3", "features.5", "features.7")),
}


def build_encoder(name: str, channels: int = 3) -> nn.Module:
    """An encoder by its name in ENCODERS, with random weights, for photos of so many channels."""
    if name == "efficientnet_lite0":
        return EfficientNetLite0(channels)
    return TorchvisionEncoder(name, ENCODERS[name].nodes, channels)


def initialise(layer: nn.Module) -> None:
    """Weights drawn from a Gaussian of variance 2 / inputs, as the paper asks (He et al. 2015)."""
    if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
        # Of a 2x2 up-convolution with stride 2 each output sees one of the four taps.
        inputs = (layer.in_channels if isinstance(layer, nn.ConvTranspose2d)
                  else layer.in_channels * layer.kernel_size[0] * layer.kernel_size[1])
        nn.init.normal_(layer.weight, std=(2 / inputs) ** 0.5)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


class TorchvisionEncoder(nn.Module):
    """A torchvision network, cut open at `nodes`: forward(x) -> the features there."""

    def __init__(self, name: str, nodes: Sequence[str], channels: int = 3):
        from torchvision.models import get_model  # takes a while to import
        from torchvision.models.feature_extraction import create_feature_extractor

        super().__init__()
        self.network = create_feature_extractor(get_model(name), list(nodes))
        if channels != 3:
            place, first = next((place, layer) for place, layer in self.network.named_modules()
                                if isinstance(layer, nn.Conv2d))
            self.network.set_submodule(place, nn.Conv2d(
                channels, first.out_channels, first.kernel_size, first.stride, first.padding,
                bias=first.bias is not None))

    def forward(self, x: Tensor) -> list[Tensor]:
        return list(self.network(x).values())


class EfficientNetLite0(nn.Module):
    """The EfficientNet for phones: no squeeze-and-excitation, ReLU6 throughout.

    forward(x (N, 3, H, W)) -> the last features at 1/2, 1/4, 1/8, 1/16 and 1/32 of the size, the
    channels being those of ENCODERS; the deepest ones are those that it classifies by.
    Sources: Tan and Le 2019, "EfficientNet" (arXiv 1905.11946); github.com/tensorflow/tpu,
    models/official/efficientnet/lite.
    """

    MEAN, SPREAD = (127.0,) * 3, (128.0,) * 3
    # Channels, kernel, stride and widening of each stage, and how many blocks it has.
    STAGES = ((16, 3, 1, 1, 1), (24, 3, 2, 6, 2), (40, 5, 2, 6, 2), (80, 3, 2, 6, 3),
              (112, 5, 1, 6, 3), (192, 5, 2, 6, 4), (320, 3, 1, 6, 1))

    def __init__(self, channels: int = 3):
        super().__init__()
        self.stem = nn.Sequential(*conv_norm(channels, 32, 3, 2), nn.ReLU6(inplace=True))
        self.blocks = nn.ModuleList()
        channels_in = 32
        for channels, kernel, stride, widen, count in self.STAGES:
            for number in range(count):
                self.blocks.append(InvertedResidual(channels_in, channels, kernel,
                                                    stride if number == 0 else 1, widen))
                channels_in = channels
        self.head = nn.Sequential(*conv_norm(320, 1280, 1), nn.ReLU6(inplace=True))
        self.apply(initialise)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.stem(x)
        features = []
        for place, block in enumerate(self.blocks):
            x = block(x)
            if place in (0, 2, 4, 10):  # the last ones before the size is halved
                features.append(x)
        return [*features, self.head(x)]


class InvertedResidual(nn.Module):
    """Widen by 1x1, filter each channel by itself, narrow by 1x1; add the input where it fits.

    Source: Sandler et al. 2018, "MobileNetV2" (arXiv 1801.04381).
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int, widen: int):
        super().__init__()
        channels = channels_in * widen
        layers = []
        if widen != 1:
            layers += conv_norm(channels_in, channels, 1) + [nn.ReLU6(inplace=True)]
        layers += conv_norm(channels, channels, kernel, stride, groups=channels)
        layers += [nn.ReLU6(inplace=True), *conv_norm(channels, channels_out, 1)]
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.residual else self.layers(x)


def conv_norm(channels_in: int, channels_out: int, kernel: int, stride: int = 1, groups: int = 1,
              ) -> list[nn.Module]:
    """A convolution and its batch normalisation, padded as TensorFlow pads ("same").

    At stride 2 that is one pixel more on the right and below than on the left and above, if the
    size is even, as it is here: photos are padded to multiples of 32.
    """
    before, after = (kernel - stride) // 2, (kernel - stride + 1) // 2
    pad = [] if before == after else [nn.ZeroPad2d((before, after, before, after))]
    layer = nn.Conv2d if groups == 1 else DepthwiseConv
    return [*pad, layer(channels_in, channels_out, kernel, stride, groups=groups, bias=False,
                        padding=0 if pad else before),
            nn.BatchNorm2d(channels_out, eps=1e-3, momentum=0.01)]


class DepthwiseConv(nn.Conv2d):
    """Filters each channel by itself. In training on a CPU always in fp32: the gradient in bf16 is
    5 to 20 times slower there, for want of a kernel."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or x.device.type != "cpu":
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float())
