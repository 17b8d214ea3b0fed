"""What is done to a photo and its mask, together, on their way to the network.

Exactly two: `train_transform` and `eval_transform`. Both take and give uint8 tensors, image
(3, H, W) and mask (H, W); the model normalises. For a regression the mask is a map of numbers,
float32, NaN = no value; a zoom moves its pixels and leaves the numbers as they are (so, for
distances, keep `scale_range` near 1: what is large is near). All chance comes from torch's global
generator, which the dataset seeds for each draw.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from . import IGNORE

FILL = 116  # grey of the margin around photos smaller than a crop: the model's mean colour
BRIGHTNESS = (0.299, 0.587, 0.114)  # of red, green and blue (ITU-R BT.601)
GRAIN = 65537  # a prime: repeated, it never lines up with the rows of a picture


def train_transform(image: Tensor, mask: Tensor, *, crop_size: tuple[int, int],
                    scale_range: tuple[float, float], animal_crops: float, flip: float,
                    brightness: float, contrast: float, colour: float, grayscale: float,
                    noise: float, blur: float, infrared: float = 0.0) -> tuple[Tensor, Tensor]:
    """A random zoom, crop and flip of image and mask; random light, colour, noise and blur, or a
    night.

    Gives image (3, *crop_size) and mask (*crop_size), both uint8. Where the zoomed photo is
    smaller than the crop it lies at a random place in it, on grey, and the mask there is 255 (a
    map NaN).
    The parameters are the knobs of that name in `config.py`.
    """
    image, mask = zoom_and_crop(image, mask, crop_size, uniform(*scale_range, log=True),
                                animal_crops)
    if chance(flip):
        image, mask = image.flip(-1), mask.flip(-1)
    colours, further = image[:3], image[3:]  # light changes no further channels, see network_input
    if infrared and chance(infrared):
        colours = infrared_light(colours)
    else:
        colours = change_light(colours, brightness, contrast, colour, grayscale)
        if chance(blur):
            colours = blurred(colours, uniform(0.3, 1.5))
        if noise:
            add_grain(colours, uniform(0, noise))
        colours = to_bytes(colours)
    return (torch.cat([colours, further]) if len(further) else colours), mask


def eval_transform(image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Nothing by chance, nothing lost: validation, test and prediction see the whole photo."""
    return image, mask


def zoom_and_crop(image: Tensor, mask: Tensor, crop_size: tuple[int, int], zoom: float,
                  animal_crops: float = 0.0, centred: bool = False) -> tuple[Tensor, Tensor]:
    """Cut a window at random and scale it by `zoom` to `crop_size` (one factor, no stretching).

    With the probability `animal_crops` it is a window with an animal in it, if there is one: small
    animals are rarely in a window that lies anywhere. `centred` cuts it from the middle instead,
    and leaves nothing to chance.
    """
    height, width = mask.shape
    window_height, window_width = (max(1, round(side / zoom)) for side in crop_size)
    rows, columns = places(height, window_height), places(width, window_width)
    if animal_crops and chance(animal_crops):
        animal = ((mask > 0) & (mask != IGNORE)).nonzero()
        if len(animal):
            row, column = animal[integer(0, len(animal) - 1)].tolist()
            rows, columns = around(row, window_height, rows), around(column, window_width, columns)
    top, left = integer(*rows), integer(*columns)
    if centred:
        top, left = (height - window_height) // 2, (width - window_width) // 2
    # Negative padding cuts, positive padding adds the margin.
    window = (-left, left + window_width - width, -top, top + window_height - height)
    outside = math.nan if mask.is_floating_point() else IGNORE
    # Scaling is quicker while the colours of a pixel lie side by side in memory.
    image = F.pad(image.permute(1, 2, 0), (0, 0, *window), value=FILL).permute(2, 0, 1)
    mask = F.pad(mask, window, value=outside)
    if mask.shape != tuple(crop_size):
        image = F.interpolate(image[None], crop_size, mode="bilinear", antialias=True)[0]
        mask = F.interpolate(mask[None, None], crop_size, mode="nearest-exact")[0, 0]
    return image.contiguous(), mask


def places(length: int, window: int) -> tuple[int, int]:
    """The first and the last place where a window can begin, in a photo or around it."""
    return min(0, length - window), max(0, length - window)


def around(pixel: int, window: int, places: tuple[int, int]) -> tuple[int, int]:
    """Those of the `places` for which the window holds the pixel."""
    first, last = places
    return max(first, pixel - window + 1), min(last, pixel)


def change_light(image: Tensor, brightness: float, contrast: float, colour: float,
                 grayscale: float) -> Tensor:
    """Saturation (or none at all), colour balance, brightness and contrast at random.

    uint8 (3, H, W) -> float32. Each step is linear in red, green and blue, so that one product with
    a 3 x 3 matrix does them all.
    """
    grey = chance(grayscale)
    saturation = 0.0 if grey else uniform(1 - colour, 1 + colour)
    matrix = saturation * torch.eye(3) + (1 - saturation) * torch.tensor(BRIGHTNESS)
    light = uniform(1 - brightness, 1 + brightness)
    balance = [light * uniform(1 - colour / 4, 1 + colour / 4) for _ in range(3)]
    spread = uniform(1 - contrast, 1 + contrast)  # around a middle grey of 128
    matrix = spread * torch.tensor(balance)[:, None] * matrix
    offset = torch.full((3, 1), 128 * (1 - spread))
    return torch.addmm(offset, matrix, image.float().reshape(3, -1)).view(image.shape)


def infrared_light(image: Tensor) -> Tensor:
    """A photo, uint8 (3, H, W), as if taken at night by infrared flash: grey in, grey out.

    The flash lights a spot, what is near (low in the picture) more than what is far; towards the
    corners lens and flash give less. What little light there is is amplified, and the noise of
    the sensor with it: it shows most in the dark. Now and then what is near is overexposed.
    """
    height, width = image.shape[-2:]
    # Infrared shows leaves bright and the sky dark: red and green count, blue hardly.
    red, blue = uniform(0.3, 0.6), uniform(0.0, 0.1)
    grey = red * image[0] + (1 - red - blue) * image[1] + blue * image[2]  # (H, W)
    table = torch.arange(256.0) - uniform(0, 25)
    table = 255 * (table / 255).clamp(min=0) ** uniform(0.7, 1.4)
    grey = table[grey.int()]  # 0 .. 255

    # The light is smooth: computed on a coarse grid, then enlarged.
    y, x = torch.linspace(-1, 1, 16)[:, None], torch.linspace(-1, 1, 16)[None]
    distance = (x - uniform(-0.4, 0.4)) ** 2 + (y - uniform(-0.2, 0.6)) ** 2
    spot = (1 + distance / uniform(0.5, 1.3) ** 2) ** -uniform(0.8, 2.0)
    far = ((y - uniform(-1.0, 0.0)) * uniform(2.0, 6.0)).sigmoid()  # 0 = far .. 1 = near
    corners = 1 - uniform(0.2, 0.5) * (x ** 2 + y ** 2) / 2
    light = spot * corners * (far + (1 - far) * uniform(0.05, 0.6))
    overexposed = uniform(2.0, 3.5) if chance(0.15) else 1.0
    light = light * uniform(0.9, 2.2) * overexposed
    light = F.interpolate(light[None, None], (height, width), mode="bilinear",
                          align_corners=True)[0, 0]
    night = grey.mul_(light).add_(uniform(0, 12))  # amplifiers lift the black
    night = blurred(night[None], uniform(0.4, 1.2))
    noise = add_grain(torch.zeros_like(night), uniform(1, 8))
    night += noise.mul_(1.2 - night.clamp(0, 255) / 255)
    return to_bytes(night).expand(3, -1, -1).contiguous()


def blurred(x: Tensor, sigma: float) -> Tensor:
    """Float (C, H, W) under a Gaussian of this standard deviation, 5 pixels wide and high."""
    weights = torch.exp(-0.5 * (torch.arange(-2, 3) / sigma).square())
    first, *others = (weights / weights.sum()).tolist()
    x = F.pad(x[None], (2, 2, 2, 2), mode="replicate")[0]
    for side in (1, 2):
        here, *shifted = (x.narrow(side, place, x.shape[side] - 4) for place in range(5))
        x = first * here
        for part, weight in zip(shifted, others, strict=True):
            x.add_(part, alpha=weight)
    return x


def add_grain(x: Tensor, spread: float) -> Tensor:
    """Add normal noise of this standard deviation to floats, in place: it is drawn for as many
    pixels as no eye compares, then repeated."""
    grain = torch.randn(GRAIN).mul_(spread)
    for part in x.view(-1).split(GRAIN):
        part += grain[:len(part)]
    return x


def to_bytes(x: Tensor) -> Tensor:
    """Floats, rounded and clipped to uint8; overwrites `x`."""
    return x.add_(0.5).clamp_(0, 255).short().byte()  # from floats straight to bytes torch is slow


def uniform(low: float, high: float, log: bool = False) -> float:
    """A number drawn between `low` and `high`; evenly on a logarithmic scale if `log`."""
    if log:
        return math.exp(uniform(math.log(low), math.log(high)))
    return low + (high - low) * float(torch.rand(()))


def integer(low: int, high: int) -> int:
    """A whole number drawn from `low` to `high`, both included."""
    return int(torch.randint(low, high + 1, ()))


def chance(probability: float) -> bool:
    """True with this probability."""
    return float(torch.rand(())) < probability
