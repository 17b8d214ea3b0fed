"""The U-Net, and what every model here shares: normalise, pad, predict.

    model = UNet(num_classes=5, working_scale=640)
    prediction = model.predict("site1/IMG_0001.JPG")
    mask = prediction.mask()          # uint8 (height, width), at the photo's own size

Source: Ronneberger, Fischer, Brox 2015, "U-Net: Convolutional Networks for Biomedical Image
Segmentation" (arXiv 1505.04597).
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from . import photos


class DoubleConv(nn.Sequential):
    """Two 3x3 convolutions, each with ReLU: a level of the U-Net. Padded, so the size stays."""

    def __init__(self, channels_in: int, channels_out: int, norm: str):
        layers = []
        for channels in (channels_in, channels_out):
            layers += [nn.Conv2d(channels, channels_out, 3, padding=1, bias=norm == "none"),
                       nn.BatchNorm2d(channels_out) if norm == "batch" else nn.Identity(),
                       nn.ReLU(inplace=True)]
        super().__init__(*layers)


class Down(nn.Sequential):
    """Halve the size, then convolve: the next level down."""

    def __init__(self, channels_in: int, channels_out: int, norm: str):
        super().__init__(nn.MaxPool2d(2), DoubleConv(channels_in, channels_out, norm))


class Up(nn.Module):
    """Double the size, put the skip connection beside it, convolve: the next level up."""

    def __init__(self, channels_in: int, channels_skip: int, channels_out: int, norm: str):
        super().__init__()
        self.up = nn.ConvTranspose2d(channels_in, channels_out, 2, stride=2)
        self.conv = DoubleConv(channels_out + channels_skip, channels_out, norm)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.conv(torch.cat([skip, self.up(x)], dim=1))


class SizedPhoto(Protocol):
    """What `predict` needs to know of a photo: its upright size in pixels."""

    width: int
    height: int


class Prediction:
    """What a model says of one photo.

    `logits`: float32 (C, h, w) at network size, on the model's device; None where the photo could
    not be read. `photo`: what the loader gave with the photo (its width and height at least).
    """

    def __init__(self, logits: Tensor | None, photo: SizedPhoto):
        self.logits, self.photo = logits, photo

    def mask(self, mask_size: str = "photo") -> np.ndarray:
        """Class of every pixel, uint8, at the `photo`'s own size or at that of the `network`."""
        if mask_size == "network":
            return self.logits.argmax(dim=0).byte().cpu().numpy()
        size = (self.photo.height, self.photo.width)
        return largest_class(self.logits, size).cpu().numpy()

    def foreground(self) -> np.ndarray:
        """Probability that a pixel is no background, float32 (h, w) at network size."""
        return (1 - self.logits.softmax(dim=0)[0]).cpu().numpy()

    def species(self) -> tuple[np.ndarray, np.ndarray]:
        """The likeliest species of each pixel, uint8 (h, w) at network size, and its share of the
        foreground probability, float32."""
        share, species = self.logits[1:].softmax(dim=0).max(dim=0)
        return (species + 1).byte().cpu().numpy(), share.cpu().numpy()


def largest_class(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Enlarge logits (C, h, w) to `size` (bilinear), and take the largest: uint8 (height, width).

    One class at a time: all classes of a 20-megapixel photo at once would not fit into memory.
    """
    best = mask = None
    for index, plane in enumerate(logits):
        plane = F.interpolate(plane[None, None], size, mode="bilinear")[0, 0]
        if best is None:
            best, mask = plane, torch.zeros(size, dtype=torch.uint8, device=plane.device)
        else:
            mask[plane > best] = index
            best = torch.maximum(best, plane)
    return mask


class SegmentationModel(nn.Module):
    """Base class: owns what is done to a photo before and after the network.

    `working_scale` is the long side in pixels at which the network sees a photo (0 = its own
    size); `arguments` are the constructor's, which a checkpoint holds to build the model again.
    """

    # Mean and spread of photos on a 0..255 scale (those of ImageNet, which serve any photo).
    MEAN, SPREAD = (123.7, 116.3, 103.5), (58.4, 57.1, 57.4)

    def __init__(self, working_scale: int, stride: int, **arguments):
        super().__init__()
        self.working_scale, self.stride = working_scale, stride
        self.arguments = {"working_scale": working_scale, **arguments}
        self.register_buffer("mean", torch.tensor(self.MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("spread", torch.tensor(self.SPREAD).view(3, 1, 1), persistent=False)

    def prepare(self, images: Tensor) -> Tensor:
        """uint8 RGB (N, 3, H, W) -> normalised float, padded right and below to the stride."""
        height, width = images.shape[-2:]
        x = (images.float() - self.mean) / self.spread
        x = F.pad(x, (0, -width % self.stride, 0, -height % self.stride))
        return x.contiguous(memory_format=torch.channels_last)

    def predict(self, source: "str | Path | Image.Image | np.ndarray | Iterable",
                precision: torch.dtype = torch.float32) -> "Prediction | Iterator[Prediction]":
        """The class probabilities of photos: the only inference loop of the project.

        `source`: a path, a PIL image or an array (uint8 (height, width, 3), RGB), which gives one
        Prediction; or a loader of batches, which gives an iterator of Predictions, one a photo, in
        the loader's order. A batch is a list of groups (images uint8 (n, 3, h, w), photos): photos
        of one group have one shape; `images` is None for photos that could not be read.
        `precision` is that of the forward pass. Raises InputError for a path that is no photo.
        """
        if isinstance(source, (str, Path)):
            photo = photos.read_photo(source, self.working_scale)
        elif isinstance(source, (Image.Image, np.ndarray)):
            image = source if isinstance(source, Image.Image) else Image.fromarray(source)
            image.load()  # or a JPEG would be decoded small, and stay so for its owner
            photo = photos.photo_of(image, self.working_scale)
        else:
            return self._predict_batches(source, precision)
        images = torch.from_numpy(photo.image.copy()).permute(2, 0, 1).unsqueeze(0)
        return next(self._predict_batches([[(images, [photo])]], precision))

    @torch.inference_mode()
    def _predict_batches(self, batches: Iterable, precision: torch.dtype) -> Iterator[Prediction]:
        device = self.mean.device
        self.eval()
        for batch in batches:
            for images, group in batch:
                if images is None:
                    yield from (Prediction(None, photo) for photo in group)
                    continue
                images = images.to(device, non_blocking=True)
                with torch.autocast(device.type, precision, enabled=precision != torch.float32):
                    logits = self(images)
                for photo, photo_logits in zip(group, logits.float(), strict=True):
                    yield Prediction(photo_logits, photo)


class UNet(SegmentationModel):
    """The U-Net of the paper, with padded convolutions and, if wanted, batch normalisation.

    uint8 RGB photos (N, 3, H, W) of any size in, logits (N, num_classes, H, W) out.
    `width`: channels of the first level (paper: 64), doubled at each of `depth` poolings
    (paper: 4); `norm`: "batch" or "none" (paper).
    """

    def __init__(self, num_classes: int, working_scale: int, width: int = 64, depth: int = 4,
                 norm: str = "batch"):
        super().__init__(working_scale, stride=2**depth, num_classes=num_classes, width=width,
                         depth=depth, norm=norm)
        channels = [width * 2**level for level in range(depth + 1)]  # 64, 128, 256, 512, 1024
        self.first = DoubleConv(3, width, norm)
        self.downs = nn.ModuleList(Down(channels[level], channels[level + 1], norm)
                                   for level in range(depth))
        self.ups = nn.ModuleList(Up(channels[level + 1], channels[level], channels[level], norm)
                                 for level in reversed(range(depth)))
        self.last = nn.Conv2d(width, num_classes, 1)
        self.apply(initialise)

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        x = self.first(self.prepare(images))
        skips = []
        for down in self.downs:
            skips.append(x)
            x = down(x)
        for up in self.ups:
            x = up(x, skips.pop())
        return self.last(x)[..., :height, :width]


def initialise(layer: nn.Module) -> None:
    """Weights drawn from a Gaussian of variance 2 / inputs, as the paper asks (He et al. 2015)."""
    if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
        # Of a 2x2 up-convolution with stride 2 each output sees one of the four taps.
        inputs = (layer.in_channels if isinstance(layer, nn.ConvTranspose2d)
                  else layer.in_channels * layer.kernel_size[0] * layer.kernel_size[1])
        nn.init.normal_(layer.weight, std=(2 / inputs) ** 0.5)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
