"""The U-Net, with or without a pretrained way down, and what both share: normalise, pad, predict.

    model = UNet(num_classes=5, working_scale=640)
    prediction = model.predict("site1/IMG_0001.JPG")
    mask = prediction.mask()          # uint8 (height, width), at the photo's own size

Source: Ronneberger, Fischer, Brox 2015, "U-Net: Convolutional Networks for Biomedical Image
Segmentation" (arXiv 1505.04597).
"""

import inspect
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from . import InputError
from .data.loading import network_input
from .data.photos import photo_of, read_photo
from .networks.encoders import ENCODERS, EfficientNetLite0, build_encoder, initialise
from .networks.prediction import SURE, Prediction, blend_tiles, strip_slices
from .networks.recompute import recomputed
from .networks.votes import VOTES


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


class SegmentationModel(nn.Module):
    """Base class: owns what is done to a photo before and after the network.

    `working_scale` is the long side in pixels at which the network sees a photo (0 = its own
    size), `stride` what height and width are padded to a multiple of, `channels` how many of them
    the dataset gives. `arguments` are those of the subclass, of plain types, with which a
    checkpoint builds the model again. A model with one class (num_classes) is a regression:
    instead of logits it gives one number a pixel.

    Your own network is a subclass with `__init__` and `forward`, see docs/recipes.md.
    """

    # Mean and spread of photos on a 0..255 scale (those of ImageNet, which serve any photo).
    MEAN, SPREAD = (123.7, 116.3, 103.5), (58.4, 57.1, 57.4)

    def __new__(cls, *values, **named):
        model = super().__new__(cls)
        try:
            bound = inspect.signature(cls.__init__).bind(model, *values, **named)
        except TypeError:  # a copy is made, which gets what the original has; or __init__ will tell
            return model
        bound.apply_defaults()
        arguments = dict(list(bound.arguments.items())[1:])  # without self
        if cls.__name__ not in ("UNet", "EncoderUNet"):
            arguments["network"] = cls.__name__
        object.__setattr__(model, "arguments", arguments)  # a module takes none before __init__
        return model

    def __init__(self, working_scale: int, stride: int = 1, channels: int = 3):
        super().__init__()
        self.working_scale, self.stride, self.channels = working_scale, stride, channels
        self.recompute = False  # whether training shall save memory, see `run`
        self.temperature = 1.0  # of its predictions, see metrics.Calibration
        self.register_buffer("mean", torch.empty(channels, 1, 1), persistent=False)
        self.register_buffer("spread", torch.empty(channels, 1, 1), persistent=False)
        self.set_input(self.MEAN, self.SPREAD)
        self.num_classes = self.arguments.get("num_classes", 0)
        self.regression = self.num_classes == 1  # see `expect_values`
        if self.regression:
            self.register_buffer("value_mean", torch.zeros(1))
            self.register_buffer("value_spread", torch.ones(1))

    def set_input(self, mean: Sequence[float], spread: Sequence[float]) -> None:
        """How photos are normalised: (x - mean) / spread for red, green and blue, on a 0..255
        scale; further channels around its middle."""
        for values, of_colours, of_others in ((self.mean, mean, 127.5), (self.spread, spread, 64)):
            values.fill_(of_others)
            values[:3] = torch.tensor(of_colours).view(3, 1, 1)[:self.channels]

    @torch.no_grad()
    def expect(self, shares: Sequence[float]) -> None:
        """Begin with the classes as frequent as their `shares` of the pixels (any unit): the bias
        of the last layer. Else the first epochs go into learning that most is background.

        Source: Lin et al. 2017, "Focal Loss for Dense Object Detection" (arXiv 1708.02002).
        """
        if getattr(getattr(self, "last", None), "bias", None) is None:
            return  # a network of your own need not have such a layer
        shares = torch.as_tensor(shares, dtype=torch.float32)
        self.last.bias.copy_((shares / shares.sum()).clamp(min=1e-3).log())

    def expect_values(self, mean: float, spread: float) -> None:
        """Begin a regression with the mean and the standard deviation of the training targets."""
        self.value_mean.fill_(mean)
        self.value_spread.fill_(spread)

    def hold_encoder(self, levels: int) -> None:
        """Let the first `levels` of an encoder learn nothing; there is none in this network."""
        if levels:
            raise InputError("freeze_encoder, freeze_levels: this network has no encoder; set both "
                             "to 0, or choose an encoder")

    def in_unit(self, x: Tensor) -> Tensor:
        """What leaves the last layer, (N, C, H, W): logits as they are; the numbers of a
        regression, which the network learns around 0, in the quantity's own unit."""
        if self.regression:
            return x.float() * self.value_spread + self.value_mean
        return x

    def run(self, block: nn.Module, *inputs: Tensor) -> Tensor | list[Tensor]:
        """What a block of layers makes of its inputs; keeps little in memory if it shall
        `recompute`."""
        if self.recompute and self.training and torch.is_grad_enabled():
            return recomputed(block, *inputs)
        return block(*inputs)

    def prepare(self, images: Tensor) -> Tensor:
        """uint8 (N, C, H, W), RGB first -> normalised float, padded right and below to the stride.
        Raises InputError if the photos have other channels than the network was built for."""
        if images.shape[1] != self.channels:
            raise InputError(f"the dataset gives photos of {images.shape[1]} channels (CHANNELS of "
                             "camera_trapinator/data/loading.py), the network was built for "
                             f"{self.channels} (its argument `channels`): they must be the same")
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
            photo = read_photo(source, self.working_scale)
        elif isinstance(source, (Image.Image, np.ndarray)):
            image = source if isinstance(source, Image.Image) else Image.fromarray(source)
            image.load()  # or a JPEG would be decoded small, and stay so for its owner
            photo = photo_of(image, self.working_scale)
        else:
            return self._predict_batches(source, precision, flips, tile)
        images = network_input(photo.image).unsqueeze(0)
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
                    yield Prediction(photo_logits, photo, self.temperature)


class UNet(SegmentationModel):
    """The U-Net of the paper, with padded convolutions and, if wanted, batch normalisation.

    uint8 photos (N, channels, H, W) of any size in, logits (N, num_classes, H, W) out.
    `width`: features of the first level (paper: 64), doubled at each of `depth` poolings
    (paper: 4); `norm`: "batch" or "none" (paper).
    """

    def __init__(self, num_classes: int, working_scale: int, width: int = 64, depth: int = 4,
                 norm: str = "batch", channels: int = 3):
        super().__init__(working_scale, stride=2**depth, channels=channels)
        widths = [width * 2**level for level in range(depth + 1)]  # 64, 128, 256, 512, 1024
        self.first = DoubleConv(channels, width, norm)
        self.downs = nn.ModuleList(Down(widths[level], widths[level + 1], norm)
                                   for level in range(depth))
        self.ups = nn.ModuleList(Up(widths[level + 1], widths[level], widths[level], norm)
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

    uint8 photos (N, channels, H, W) of any size in, logits (N, num_classes, H, W) out.
    `encoder`: a name of ENCODERS; `width`: channels of the finest level of the way up, doubled at
    each level below; `norm`: of the way up, "batch" or "none". The network ends at the encoder's
    finest level (half or a quarter of the photo's size); the logits are enlarged from there.

    What the encoder's deepest features say of the animal around each place is added to the logits,
    see networks/votes.py; `votes`: a name of VOTES.
    """

    def __init__(self, num_classes: int, working_scale: int, encoder: str, width: int = 32,
                 norm: str = "batch", channels: int = 3, votes: str = "near"):
        super().__init__(working_scale, stride=32, channels=channels)
        self.encoder = build_encoder(encoder, channels)
        if encoder == "efficientnet_lite0":
            self.set_input(EfficientNetLite0.MEAN, EfficientNetLite0.SPREAD)
        *skips, deepest = ENCODERS[encoder].channels
        ups = []
        for level, channels_skip in reversed(list(enumerate(skips))):
            ups.append(Up(deepest, channels_skip, width * 2**level, norm))
            deepest = width * 2**level
        self.ups = nn.ModuleList(ups)
        self.votes = VOTES[votes](ENCODERS[encoder].channels[-1], num_classes)
        self.last = nn.Conv2d(deepest, num_classes, 1)
        self.ups.apply(initialise)
        self.last.apply(initialise)

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        x = self.prepare(images)
        size = x.shape[-2:]
        *skips, x = self.run(self.encoder, x)
        votes = self.votes(x)
        for up in self.ups:
            x = self.run(up, x, skips.pop())
        x = self.last(x)
        x = x + F.interpolate(votes, x.shape[-2:], mode="bilinear")
        x = F.interpolate(x, size, mode="bilinear")
        return self.in_unit(x)[..., :height, :width]

    def load_encoder(self, state: dict[str, Tensor]) -> None:
        """Begin with an encoder trained on RGB photos; further channels begin with zeros, so that
        at first the network takes no notice of them."""
        for name, weight in self.encoder.state_dict().items():
            if weight.shape != state[name].shape:  # the first convolution
                further = weight.shape[1] - state[name].shape[1]
                state = {**state, name: F.pad(state[name], (0, 0, 0, 0, 0, further))}
        self.encoder.load_state_dict(state)

    def hold_encoder(self, levels: int) -> None:
        """Let all that the encoder's first `levels` features depend on learn nothing from now on,
        nor change the statistics of its normalisation, and the rest learn. What is held needs no
        gradient: its steps are faster."""
        encoder, held = self.encoder.requires_grad_(True), set()
        if levels > 0:
            weights = list(encoder.parameters())
            # A gradient comes only to those weights that a feature depends on.
            grey = self.mean.new_zeros(1, self.channels, self.stride, self.stride)
            features = encoder.eval()(grey)
            found = torch.autograd.grad(features[:levels][-1].sum(), weights, allow_unused=True)
            held = {id(weight) for weight, gradient in zip(weights, found, strict=True)
                    if gradient is not None}
        encoder.train(self.training)
        for layer in encoder.modules():
            own = list(layer.parameters(recurse=False))
            if own and all(id(weight) in held for weight in own):
                layer.eval().requires_grad_(False)


def build_model(encoder: str = "none", network: str = "unet", **arguments) -> SegmentationModel:
    """The model that constructor arguments describe, such as a checkpoint's `model_arguments`.

    `network`: "unet" (with an `encoder` an EncoderUNet), or the name of a class of this file, which
    gets those of the arguments that its `__init__` has. Raises InputError if there is no such
    class, or if it cannot be told of the photos' channels.
    """
    if network == "unet":
        kind = UNet if encoder == "none" else EncoderUNet
    else:
        kinds = {kind.__name__: kind for kind in SegmentationModel.__subclasses__()}
        if network not in kinds:
            raise InputError(f"network: {network} is neither unet nor a class of "
                             "camera_trapinator/model.py that derives from SegmentationModel "
                             f"({', '.join(kinds)}); write one of that name")
        kind = kinds[network]
    takes = inspect.signature(kind).parameters
    if arguments.get("channels", 3) != 3 and "channels" not in takes:
        raise InputError(f"the dataset gives photos of {arguments['channels']} channels (CHANNELS "
                         f"of camera_trapinator/data/loading.py), but {kind.__name__} of model.py "
                         "takes no argument `channels`: give it one")
    arguments["encoder"] = encoder
    return kind(**{name: value for name, value in arguments.items() if name in takes})


def load_model(checkpoint: dict) -> SegmentationModel:
    """The model that a checkpoint holds, see `training.checkpoint.load_checkpoint`."""
    model = build_model(**checkpoint["model_arguments"])
    model.load_state_dict(checkpoint["model"])
    model.temperature = checkpoint.get("temperature", 1.0)  # no older checkpoint has it
    return model
