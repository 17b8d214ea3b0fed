"""Photos whose colours tell their masks, and smooth ones, for tests of what happens to them."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from camera_trapinator import IGNORE
from camera_trapinator.data.manifest import Manifest, Row
from camera_trapinator.data.masks import resize_mask, write_mask
from camera_trapinator.transforms import FILL

# The colour of a photo tells the class, far from the grey of the margin.
COLOURS = [(20, 20, 40), (230, 40, 30), (40, 220, 60)]
PLAIN = {"brightness": 0.0, "contrast": 0.0, "colour": 0.0, "grayscale": 0.0, "noise": 0.0,
         "blur": 0.0}
STRONG = {"brightness": 0.4, "contrast": 0.4, "colour": 0.4, "grayscale": 0.3, "noise": 8.0,
          "blur": 0.5}
GEOMETRY = {"crop_size": (48, 64), "scale_range": (0.7, 1.4), "animal_crops": 0.3, "flip": 0.5}


def draw_mask(width: int, height: int, seed: int) -> np.ndarray:
    """Classes 0, 1 and 2 in large blocks, without symmetry."""
    blocks = np.random.default_rng(seed).integers(0, 3, (4, 5), dtype=np.uint8)
    return resize_mask(blocks, width, height)


def coloured_photo(mask: np.ndarray) -> torch.Tensor:
    """The photo, uint8 (3, H, W), whose colours tell the mask."""
    return torch.from_numpy(np.array(COLOURS, np.uint8)[mask].transpose(2, 0, 1).copy())


def classes_of(image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The class (255 for the margin) that the colour of each pixel tells, and where it is sure."""
    table = torch.tensor([*COLOURS, (FILL, FILL, FILL)])
    distance = (image[None].int() - table[:, :, None, None]).abs().amax(dim=1)
    nearest = distance.argmin(dim=0)
    return torch.where(nearest == 3, IGNORE, nearest).to(torch.uint8), distance.amin(dim=0) <= 12


def make_folder(root: Path, count: int = 11, size: tuple[int, int] = (96, 72)) -> Manifest:
    """A folder of photos whose colours tell their masks; the first two without a mask file."""
    rows = []
    for number in range(count):
        mask = draw_mask(*size, number)
        file = f"site{number % 3}/{number}.png"
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(coloured_photo(mask).numpy().transpose(1, 2, 0)).save(root / file)
        write_mask(root / f"masks/{number}.png", mask, COLOURS)
        rows.append(Row(file, {0: "", 1: "background"}.get(number, f"masks/{number}.png"),
                        f"site{number % 3}", "2024-05-01 10:00:00"))
    return Manifest(rows)


def smooth_photo(random) -> Image.Image:
    """A photo without noise, as large as a small camera's."""
    return Image.fromarray(random.integers(0, 256, (9, 12, 3)).astype(np.uint8)).resize(
        (640, 480), Image.Resampling.BICUBIC)
