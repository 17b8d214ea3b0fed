"""How fast photos and manifests are read: the parts decode, loader and index of
scripts/benchmark.py, and the timing that they share with scripts/benchmark_networks.py.

Each function measures one part and gives its rows. Beside ours stands a plain reference, written in
the obvious way, and, where there is one, the machine's limit. All are timed in turn in one run, and
the median counts: what else the machine does then harms all alike.
"""

import csv
import math
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from camera_trapinator import written_whole
from camera_trapinator.config import Config
from camera_trapinator.data.cache import open_cache
from camera_trapinator.data.manifest import Manifest, read_manifest
from camera_trapinator.data.photos import read_photo
from camera_trapinator.dataset import CameraTrapDataset
from camera_trapinator.networks.memory import peak_memory
from camera_trapinator.training.preparation import with_knobs
from camera_trapinator.transforms import train_transform
from camera_trapinator.utils import ROOT

SIDE = 640  # long side, in pixels, at which photos are read here
SIZES = {"12 megapixels": (4032, 3024), "20 megapixels": (5184, 3888)}
PHOTOS = 12  # of each size
ROUNDS = 3  # in which each way reads, or predicts, all photos
ROWS = 10_000_000  # of a large manifest


class Measured(NamedTuple):
    """One line of the results."""

    name: str
    ours: float
    reference: float | None = None
    limit: float | None = None
    unit: str = "photos/s"


def in_turn(functions: Sequence[Callable[[object], object]], items: Iterable) -> list[float]:
    """Items a second of each function, by the median of its times; all see each item in turn, and
    in turn are the first, to whom it is new."""
    seconds = [[] for _ in functions]
    for turn, item in enumerate(items):
        first = turn % len(functions)
        for place in (*range(first, len(functions)), *range(first)):
            start = time.perf_counter()
            functions[place](item)
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

# ---------------------------------------------------------------------------------------- reading


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
            [partial(read_photo, working_scale=SIDE), plain_photo, scaled_decoding],
            paths * ROUNDS)
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
    augmented = with_knobs(train_transform, config)
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
    *speeds, reference, limit = in_turn([*seeded, plain.__getitem__, decoding],
                                        [*places] * ROUNDS)
    names = ["as they are", "augmented", "as they are, second epoch", "augmented, second epoch"]
    lines = [Measured(f"20 megapixels to {SIDE} px, {name}", speed, reference,
                      limit if "second" not in name else None)
             for name, speed in zip(names, speeds, strict=True)]
    return lines + augmentations(*ours[0][0][:2], config)


def augmentations(image: Tensor, mask: Tensor, config: Config) -> list[Measured]:
    """What each augmentation costs where it happens: milliseconds a photo, on one thread, beside
    a crop alone."""
    augmented = with_knobs(train_transform, config).keywords
    nothing = dict.fromkeys(augmented, 0.0) | {
        "crop_size": tuple(mask.shape), "scale_range": (1.0, 1.0)}
    size = f"{mask.shape[0]} x {mask.shape[1]}"
    changes = {"zoom": {"scale_range": (1.25, 1.25)}, "flip": {"flip": 1.0},
               "animal crops": {"animal_crops": 1.0},
               "light and colours": {name: getattr(config, name) for name in (
                   "brightness", "contrast", "colour", "grayscale")},
               "noise": {"noise": config.noise}, "blur": {"blur": 1.0},
               "infrared": {"infrared": 1.0},
               "all, as by default": {name: value for name, value in augmented.items()
                                       if name != "crop_size"}}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in a worker
    crop, *speeds = in_turn(
        [lambda _, knobs=nothing | change: train_transform(image, mask, **knobs)
         for change in ({}, *changes.values())], range(50))
    torch.set_num_threads(threads)
    costs = {"crop": 1 / crop} | {name: 1 / speed - 1 / crop
                                  for name, speed in zip(changes, speeds, strict=True)}
    return [Measured(f"{name} at {size}", 1000 * seconds, unit="ms")
            for name, seconds in costs.items()]

# --------------------------------------------------------------------------------------- manifest


class Names(Dataset):
    """Nothing but the image column of a manifest, row by row."""

    def __init__(self, manifest: Sequence):
        self.manifest = manifest

    def __len__(self) -> int:
        return len(self.manifest)

    def __getitem__(self, index: int) -> int:
        row = self.manifest[index]
        return len(row["image"] if isinstance(row, dict) else row.image)


def plain_manifest(path: Path) -> list[dict[str, str]]:
    """All rows, in the obvious way."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def held_memory() -> int:
    """Bytes of this process and of those that it has started; what they share counts once, and
    libraries not at all: their share depends on who else has loaded them. Linux tells."""
    numbers = [os.getpid(), *(child.pid for child in multiprocessing.active_children())]
    texts = [Path(f"/proc/{number}/smaps_rollup").read_text() for number in numbers]
    return sum(1024 * int(text.split("Pss_Anon:")[1].split()[0]) for text in texts)


def read_and_hold(read: Callable[[Path], Sequence], path: Path, workers: int) -> dict[str, float]:
    """Rows a second, and bytes a row: at most while they are read, and after workers have worked
    with them."""
    before, peak_before = held_memory(), peak_memory(torch.device("cpu"))
    start = time.perf_counter()
    manifest = read(path)
    seconds = time.perf_counter() - start
    peak = peak_memory(torch.device("cpu")) - peak_before
    draws = np.random.default_rng(0).integers(len(manifest), size=len(manifest) // 5).tolist()
    loader = DataLoader(Names(manifest), 1000, sampler=draws, num_workers=workers,
                        multiprocessing_context="fork" if workers else None,  # as by default
                        persistent_workers=workers > 0)
    for _ in loader:
        pass
    return {"rows/s": len(manifest) / seconds, "bytes/row, at most": peak / len(manifest),
            f"bytes/row, with {workers} workers": (held_memory() - before) / len(manifest)}


def index(root: Path) -> list[Measured]:
    """A manifest of ten million photos, and what workers make of its memory. The plain way reads a
    tenth of it, which is enough for a rate."""
    if not Path("/proc/self/smaps_rollup").exists():
        print("index is left out: only Linux tells the memory of processes that share some")
        return []
    paths = [root / f"manifest_{rows}.csv" for rows in (ROWS, ROWS // 10)]
    root.mkdir(parents=True, exist_ok=True)
    for path, rows in zip(paths, (ROWS, ROWS // 10), strict=True):
        if not path.exists():
            write_manifest_of(path, rows)
    found = []
    for read, path in zip((read_manifest, plain_manifest), paths, strict=True):
        facts = {}
        for workers in (0, 4):  # each in a process that has read nothing before
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
                facts |= fresh.submit(read_and_hold, read, path, workers).result()
        found.append(facts)
    return [Measured(f"manifest of {ROWS:,} rows, {name}", value, found[1][name],
                     unit=name.partition(",")[0]) for name, value in found[0].items()]


def write_manifest_of(path: Path, rows: int) -> None:
    """A manifest of so many photos of 1,000 locations, a tenth of them with a mask."""
    with written_whole(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.write("image,mask,location,datetime,sequence\n")
        for row in range(rows):
            site, number = divmod(row, math.ceil(rows / 1000))
            name = f"site{site:04}/100RECNX/IMG_{number:05}"
            mask = f"masks/{name}.png" if row % 10 == 0 else ""
            file.write(f"photos/{name}.JPG,{mask},site{site:04},2024-{1 + number % 12:02}-"
                       f"{1 + number % 28:02} 10:{number % 60:02}:00,site{site:04}#{number // 3}\n")


PARTS = {"decode": decode, "loader": loader, "index": index}
