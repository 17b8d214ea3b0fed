"""Small networks and random photos, for tests of the model."""

import numpy as np
import torch
from PIL import Image
from torch import nn

from camera_trapinator.data.photos import Photo
from camera_trapinator.model import SegmentationModel, UNet, build_model


class RedOrNot(SegmentationModel):
    """Class 1 wherever a pixel is redder than the average: its mask can be worked out by hand."""

    def __init__(self, working_scale=0):
        super().__init__(working_scale, stride=1)

    def forward(self, images):
        red = self.prepare(images)[:, :1]
        return torch.cat([torch.zeros_like(red), red], dim=1)


def random_photo(height, width, seed=0):
    """A photo uint8 (height, width, 3) of coloured patches; no two sides alike."""
    random = np.random.default_rng([seed, height, width])
    small = Image.fromarray(random.integers(0, 256, (5, 6, 3), dtype=np.uint8))
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))


def random_images(number, height, width, seed=0):
    """uint8 (number, 3, height, width)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (number, 3, height, width), dtype=torch.uint8,
                         generator=generator)


def small_unet(norm="batch", seed=0, **changes):
    """A small U-Net; with batch norm its statistics are no longer the ones of the start."""
    torch.manual_seed(seed)
    net = UNet(**{"num_classes": 3, "working_scale": 32, "width": 4, "depth": 2, "norm": norm,
                  **changes})
    if norm == "batch":
        for layer in net.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.normal_(0, 0.3)
                layer.running_var.uniform_(0.5, 2)
    return net.eval()


def photo_record(height, width):
    return Photo(np.zeros((height, width, 3), np.uint8), width, height, "")


def build(name, **changes):
    torch.manual_seed(0)
    return build_model(**{"num_classes": 3, "working_scale": 64, "encoder": name, "width": 4,
                          "norm": "batch", **changes})
