"""How fast photos are read and learned from: the parts of scripts/benchmark.py that take seconds.

Each function measures one part and gives its rows. Beside ours stands a plain reference, written in
the obvious way, and, where there is one, the machine's limit. All are timed in turn in one run, and
the median counts: what else the machine does then harms all alike.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import Dataset
from torch.utils.flop_counter import FlopCounterMode
from train import AUGMENTATION, fit  # scripts/train.py: the only training loop there is

from camera_trapinator import IGNORE
from camera_trapinator.cache import open_cache
from camera_trapinator.config import Config
from camera_trapinator.dataset import CameraTrapDataset, Example
from camera_trapinator.loss import build_criterion
from camera_trapinator.manifest import Manifest, read_manifest
from camera_trapinator.model import UNet
from camera_trapinator.photos import read_photo
from camera_trapinator.sampler import CurriculumSampler
from camera_trapinator.transforms import train_transform
from camera_trapinator.utils import ROOT, choose_device, choose_precision, seed_everything

SIDE = 640  # long side, in pixels, at which photos are read here
SIZES = {"12 megapixels": (4032, 3024), "20 megapixels": (5184, 3888)}
PHOTOS = 12  # of each size
CROP = (192, 320)  # height and width of the photos that a step learns from
BATCH = 4


class Measured(NamedTuple):
    """One line of the results: how many photos a second."""

    name: str
    ours: float
    reference: float | None = None
    limit: float | None = None


def in_turn(functions: Sequence[Callable[[object], object]], items: Iterable) -> list[float]:
    """Items a second of each function, by the median of its times; all see each item in turn."""
    seconds = [[] for _ in functions]
    for item in items:
        for place, function in enumerate(functions):
            start = time.perf_counter()
            function(item)
            seconds[place].append(time.perf_counter() - start)
    return [1 / statistics.median(times) for times in seconds]


def demo_photos(root: Path, size: tuple[int, int]) -> tuple[Path, Manifest]:
    """A data root of generated photos of that size, made if it is not there yet."""
    width, height = size
    folder = root / f"{width}x{height}"
    subprocess.run([sys.executable, ROOT / "scripts/make_demo_data.py", "--out", folder, "--photos",
                    str(PHOTOS), "--locations", str(PHOTOS // 3), "--new-photos", "0", "--size",
                    f"{width}x{height}"], check=True, stdout=subprocess.DEVNULL)
    return folder, read_manifest(folder / "manifest.csv")


# ------------------------------------------------------------------------------------- reading


def plain_photo(path: Path) -> Image.Image:
    """Decoded in full, then reduced: what everybody writes first."""
    with Image.open(path) as image:
        scale = SIDE / max(image.size)
        size = round(image.width * scale), round(image.height * scale)
        return image.convert("RGB").resize(size, Image.Resampling.BILINEAR)


def scaled_decoding(path: Path) -> None:
    """What libjpeg needs to decode a JPEG at the smallest scale that is large enough."""
    with Image.open(path) as image:
        image.draft("RGB", (SIDE, SIDE * image.height // image.width))
        image.load()


def decode(root: Path) -> list[Measured]:
    """Photos from the disk to `SIDE` pixels."""
    lines = []
    for name, size in SIZES.items():
        folder, manifest = demo_photos(root, size)
        paths = [folder / row.image for row in manifest]
        ours, plain, limit = in_turn(
            [partial(read_photo, working_scale=SIDE), plain_photo, scaled_decoding], paths)
        lines.append(Measured(f"{name} to {SIDE} px", ours, plain, limit))
    return lines


class PlainDataset(Dataset):
    """Photos and masks as tensors, in the obvious way."""

    def __init__(self, folder: Path, manifest: Manifest):
        self.folder, self.manifest = folder, manifest

    def __len__(self) -> int:
        return len(self.manifest)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        row = self.manifest[index]
        photo = plain_photo(self.folder / row.image)
        image = torch.from_numpy(np.array(photo)).permute(2, 0, 1).float() / 255
        if not row.mask.endswith(".png"):
            return image, torch.zeros(image.shape[1:], dtype=torch.long)
        with Image.open(self.folder / row.mask) as mask:
            mask = np.array(mask.resize(photo.size, Image.Resampling.NEAREST))
        return image, torch.from_numpy(mask).long()


def loader(root: Path) -> list[Measured]:
    """Photos and masks from the disk to tensors, in one process."""
    folder, manifest = demo_photos(root, SIZES["20 megapixels"])
    places = range(len(manifest))
    config = Config(crop_size=(SIDE * 3 // 4, SIDE))
    augmented = partial(train_transform, **{name: getattr(config, name) for name in AUGMENTATION})
    plain = PlainDataset(folder, manifest)
    cache = open_cache("ram", np.arange(len(manifest)), SIDE, 1e9)

    def decoding(place: int) -> None:
        row = manifest[place]
        scaled_decoding(folder / row.image)
        if row.mask.endswith(".png"):
            with Image.open(folder / row.mask) as mask:
                mask.load()

    ours = [CameraTrapDataset(manifest, folder, SIDE),
            CameraTrapDataset(manifest, folder, SIDE, augmented),
            CameraTrapDataset(manifest, folder, SIDE, cache=cache),
            CameraTrapDataset(manifest, folder, SIDE, augmented, cache=cache)]
    for place in places:
        ours[2][place]  # the first epoch fills the cache
    seeded = [lambda place, dataset=dataset: dataset[place, place] for dataset in ours]
    *speeds, reference, limit = in_turn([*seeded, plain.__getitem__, decoding], places)
    names = ["as they are", "augmented", "as they are, second epoch", "augmented, second epoch"]
    return [Measured(f"20 megapixels to {SIDE} px, {name}", speed, reference,
                     limit if "second" not in name else None)
            for name, speed in zip(names, speeds, strict=True)]


# ------------------------------------------------------------------------------------ learning


def matrix_rate(dtype: torch.dtype, device: torch.device) -> float:
    """Floating-point operations a second of large matrix products."""
    size = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    speeds = in_turn([lambda _: (a @ b)[0, 0].item()], range(6))
    return speeds[0] * 2 * size**3


def step(_: Path) -> list[Measured]:
    """The U-Net of the paper: a training step, and the way forward alone."""
    device = choose_device()
    precision = choose_precision(device)
    config = Config(epochs=1, batch_size=BATCH, crop_size=CROP)
    seed_everything(0)
    images = torch.randint(0, 256, (BATCH, 3, *CROP), dtype=torch.uint8)
    masks = torch.randint(0, 5, (BATCH, *CROP), dtype=torch.uint8)
    masks[:, :20] = IGNORE
    net, plain = (UNet(num_classes=5, working_scale=SIDE, width=64).to(device) for _ in range(2))
    net.to(memory_format=torch.channels_last)
    small = Example(0, masks[0, :32, :32], 32, 32, "", False, None)
    validation = [[(images[:1, :, :32, :32], [small])]]
    criterion = build_criterion(config.loss).to(device)
    optimizer = torch.optim.SGD([{"params": net.parameters(), "rate": 1.0}], 0.01, momentum=0.9,
                                fused=True)
    plain_optimizer = torch.optim.SGD(plain.parameters(), 0.01, momentum=0.9)
    plain_criterion = nn.CrossEntropyLoss(ignore_index=IGNORE)
    speeds = []

    def ours_learns(_) -> None:
        history = []
        with redirect_stdout(StringIO()):
            fit(net, net, net, None, [(images, masks, None)] * 2, validation,
                CurriculumSampler(BATCH, BATCH, 0), criterion, optimizer,
                torch.amp.GradScaler(device.type, enabled=precision.scaler), precision, config, 5,
                history, lambda *_: None)
        speeds.append(history[0]["images_per_second"])

    def plain_learns(_) -> None:
        for _ in range(2):
            pred = plain(images.to(device))
            loss = plain_criterion(pred, masks.to(device).long())
            plain_optimizer.zero_grad()
            loss.backward()
            plain_optimizer.step()
        loss.item()  # waits for a GPU

    _, reference = in_turn([ours_learns, plain_learns], range(5))
    ours, reference = statistics.median(speeds), reference * 2 * BATCH

    @torch.inference_mode()
    def forward(model: nn.Module, name: str, _) -> None:
        chosen = choose_precision(device, name)
        with torch.autocast(device.type, chosen.dtype, enabled=chosen.autocast):
            model(images.to(device))[0, 0, 0, 0].item()

    net.eval(), plain.eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        plain(images[:1].to(device))
    limit = matrix_rate(precision.dtype, device) / counter.get_total_flops()
    forwards = in_turn([partial(forward, net, precision.name), partial(forward, plain, "fp32")],
                       range(7))
    size = f"U-Net of width 64 at {CROP[0]} x {CROP[1]}"
    return [Measured(f"{size}, training step", ours, reference),
            Measured(f"{size}, forward", *(BATCH * speed for speed in forwards), limit)]


PARTS = {"decode": decode, "loader": loader, "step": step}

