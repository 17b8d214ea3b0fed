"""How fast photos are read, learned from and predicted: the parts of scripts/benchmark.py that take
seconds.

Each function measures one part and gives its rows. Beside ours stands a plain reference, written in
the obvious way, and, where there is one, the machine's limit. All are timed in turn in one run, and
the median counts: what else the machine does then harms all alike.
"""

import csv
import dataclasses
import json
import math
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout, suppress
from functools import partial
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import test as prediction  # scripts/test.py
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode
from train import AUGMENTATION, Progress, fit  # the only training loop there is

from camera_trapinator import IGNORE, written_whole
from camera_trapinator.config import Config, config_text
from camera_trapinator.data.cache import open_cache
from camera_trapinator.data.loading import Example, group_by_shape
from camera_trapinator.data.manifest import Manifest, Row, read_manifest
from camera_trapinator.data.photos import find_photos, read_photo
from camera_trapinator.data.workers import choose_workers, time_to_read
from camera_trapinator.dataset import CameraTrapDataset, PredictionDataset
from camera_trapinator.loss import build_criterion
from camera_trapinator.model import SegmentationModel, UNet, build_model
from camera_trapinator.networks.weights import fold_norm
from camera_trapinator.outputs.writers import Wanted, write_pictures, write_tables
from camera_trapinator.training.checkpoint import load_checkpoint, save_checkpoint
from camera_trapinator.training.processes import Processes
from camera_trapinator.training.sampler import CurriculumSampler
from camera_trapinator.training.stop import Stop
from camera_trapinator.transforms import train_transform
from camera_trapinator.utils import (
    ROOT,
    Precision,
    choose_device,
    choose_precision,
    peak_memory,
    seed_everything,
)

SIDE = 640  # long side, in pixels, at which photos are read here
SIZES = {"12 megapixels": (4032, 3024), "20 megapixels": (5184, 3888)}
PHOTOS = 12  # of each size
CROP, BATCH = (192, 320), 4  # height and width, and number, of the photos of a training step
GPU_CROP, GPU_BATCH = (512, 512), 16  # the same on a GPU
WIDTH = 64  # of the U-Net that learns
PRODUCT = {"cpu": 4096, "cuda": 8192}  # rows of the matrices whose product is timed
NETWORKS = {"U-Net of width 64": {}, "EfficientNet-Lite0": {"encoder": "efficientnet_lite0"}}
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
    nothing = {name: 0.0 for name in AUGMENTATION} | {
        "crop_size": tuple(mask.shape), "scale_range": (1.0, 1.0)}
    size = f"{mask.shape[0]} x {mask.shape[1]}"
    changes = {"zoom": {"scale_range": (1.25, 1.25)}, "flip": {"flip": 1.0},
               "animal crops": {"animal_crops": 1.0},
               "light and colours": {name: getattr(config, name) for name in (
                   "brightness", "contrast", "colour", "grayscale")},
               "noise": {"noise": config.noise}, "blur": {"blur": 1.0},
               "infrared": {"infrared": 1.0},
               "all, as by default": {name: getattr(config, name) for name in AUGMENTATION[1:]}}
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


# ------------------------------------------------------------------------------------ learning


def matrix_rate(dtype: torch.dtype, device: torch.device) -> float:
    """Floating-point operations a second of large matrix products, at their best."""
    size = PRODUCT[device.type]
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    seconds = []
    for _ in range(10):
        start = time.perf_counter()
        (a @ b)[0, 0].item()  # waits for a GPU
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / min(seconds)


class Ours:
    """What train.py trains with by default on this device; compiled on a GPU."""

    def __init__(self, net: UNet, device: torch.device, precision: Precision, batch: int):
        self.net, self.precision = net, precision
        self.config = Config(batch_size=batch)
        self.criterion = build_criterion(self.config.loss).to(device)
        self.optimizer = torch.optim.SGD([{"params": net.parameters(), "rate": 1.0}], 0.01,
                                         momentum=0.9, fused=True)
        self.scaler = torch.amp.GradScaler(device.type, enabled=precision.scaler)
        self.model = torch.compile(net) if device.type == "cuda" else net
        small = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
        self.validation = [[(small, [Example(0, small[0, 0], 32, 32, "", False, None)])]]

    def photos_per_second(self, loader: Iterable, sampler: CurriculumSampler, epochs: int = 1,
                          ) -> float:
        """Of the last of so many epochs, by train.py's own training loop."""
        progress = Progress()
        with redirect_stdout(StringIO()):
            fit(self.net, self.model, self.net, None, loader, self.validation, sampler,
                self.criterion, self.optimizer, self.scaler, self.precision,
                dataclasses.replace(self.config, epochs=epochs), progress, lambda: None, Stop(),
                Processes())
        return progress.history[-1]["images_per_second"]


def plain_training(net: nn.Module, images: Tensor, masks: Tensor, precision: Precision,
                   steps: int) -> Callable[[object], None]:
    """Some training steps as everybody writes them first."""
    device = next(net.parameters()).device
    optimizer = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9)
    criterion = nn.CrossEntropyLoss(ignore_index=IGNORE)

    def train(_) -> None:
        net.train()
        for _ in range(steps):
            with torch.autocast(device.type, precision.dtype, enabled=precision.autocast):
                pred = net(images.to(device))
                loss = criterion(pred, masks.to(device).long())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        loss.item()  # waits for a GPU

    return train


def plain_forward(net: nn.Module, images: Tensor, precision: Precision) -> Callable[[object], None]:
    """The way forward alone."""
    device = next(net.parameters()).device

    @torch.inference_mode()
    def forward(_) -> None:
        net.eval()
        with torch.autocast(device.type, precision.dtype, enabled=precision.autocast):
            net(images.to(device))[0, 0, 0, 0].item()  # waits for a GPU

    return forward


class Scaled(nn.Sequential):
    """Networks of others want floats from 0 to 1."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images.float() / 255)


def peers() -> dict[str, nn.Module]:
    """The U-Nets that people would take instead, where they are installed."""
    found = {}
    with suppress(ImportError):
        from monai.networks.nets import BasicUNet

        found["MONAI's BasicUNet of width 64"] = Scaled(BasicUNet(
            spatial_dims=2, in_channels=3, out_channels=5, features=(64, 128, 256, 512, 1024, 64)))
    with suppress(ImportError):
        import segmentation_models_pytorch as smp

        found["smp's U-Net on ResNet-34"] = Scaled(smp.Unet("resnet34", encoder_weights=None,
                                                            classes=5))
    return found


def step(root: Path) -> list[Measured]:
    """The U-Net of the paper: a training step, and the way forward alone."""
    device = choose_device()
    precision, full = choose_precision(device), choose_precision(device, "fp32")
    crop, batch, steps = ((GPU_CROP, GPU_BATCH, 10) if device.type == "cuda"  # timed together
                          else (CROP, BATCH, 2))
    seed_everything(0)
    images = torch.randint(0, 256, (batch, 3, *crop), dtype=torch.uint8)
    masks = torch.randint(0, 5, (batch, *crop), dtype=torch.uint8)
    masks[:, :20] = IGNORE
    net, plain = (UNet(num_classes=5, working_scale=SIDE, width=WIDTH).to(device) for _ in range(2))
    others = {"plain": plain} | {name: peer.to(device) for name, peer in peers().items()}
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        plain(images[:1].to(device))
    limit = matrix_rate(precision.dtype, device) / counter.get_total_flops()
    ours = Ours(net.to(memory_format=torch.channels_last), device, precision, batch)

    speeds, sampler = [], CurriculumSampler(batch, batch, 0)

    def ours_learns(_) -> None:
        speeds.append(ours.photos_per_second([(images, masks, None)] * steps, sampler))

    plain_learns, *others_learn = (
        plain_training(other, images, masks, how, steps)
        for other, how in [(plain, full), *((other, precision) for other in others.values())])
    _, reference, *trained = in_turn([ours_learns, plain_learns, *others_learn], range(5))
    size = f"{crop[0]} x {crop[1]}"
    learned, reference = statistics.median(speeds), reference * steps * batch
    # Backward takes two products where forward takes one.
    lines = [Measured(f"U-Net of width {WIDTH} at {size}, training step", learned, reference,
                      limit / 3)]
    lines += [Measured(f"{name} in {precision.name} at {size}, training step",
                       speed * steps * batch, reference)
              for name, speed in zip(others, trained, strict=True)]
    if device.type == "cuda":
        lines += [Measured(f"U-Net of width {WIDTH} at {size}, learning from JPEG files, cached",
                           from_disk(root, ours, crop, 1 / learned), limit=learned),
                  Measured("the same, memory of a training step", *(
                      gpu_memory(learn, device) for learn in (ours_learns, plain_learns)),
                      unit="MB")]

    fold_norm(net)
    predicted, reference, *forwards = in_turn(
        [plain_forward(torch.compile(net) if device.type == "cuda" else net, images, precision),
         plain_forward(plain, images, full),
         *(plain_forward(other, images, precision) for other in others.values())], range(7))
    lines.append(Measured(f"U-Net of width {WIDTH} at {size}, forward", batch * predicted,
                          batch * reference, limit))
    return lines + [Measured(f"{name} in {precision.name} at {size}, forward", batch * speed,
                             batch * reference)
                    for name, speed in zip(others, forwards, strict=True)]


def gpu_memory(function: Callable[[object], None], device: torch.device) -> float:
    """The most megabytes of tensors meanwhile, those of other networks left out."""
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    function(None)
    return (peak_memory(device) - before) / 1e6


def from_disk(root: Path, ours: Ours, crop: tuple[int, int], learning: float) -> float:
    """Photos a second that are learned from when JPEG files are read, augmented and kept: of the
    third epoch. `learning`: seconds a photo without reading; the GPU waits for the rest."""
    folder, manifest = demo_photos(root, SIZES["12 megapixels"])
    scale, config = crop[1] * 3 // 2, Config(crop_size=crop)
    transform = partial(train_transform, **{name: getattr(config, name) for name in AUGMENTATION})
    rows = np.tile(np.arange(len(manifest)), 100)  # an epoch of more than a few steps
    dataset = CameraTrapDataset(manifest, folder, scale, transform, rows,
                                cache=open_cache("ram", np.unique(rows), scale, 1e9))
    draws = [(place, place) for place in range(len(manifest))]
    workers = choose_workers(time_to_read(dataset, draws), learning, "cuda")
    sampler = CurriculumSampler(len(dataset), ours.config.batch_size, 0)
    loader = DataLoader(dataset, batch_sampler=sampler, num_workers=workers, pin_memory=True,
                        persistent_workers=True)
    return ours.photos_per_second(loader, sampler, epochs=3)


# ---------------------------------------------------------------------------------- predicting


def some_animals(net: SegmentationModel, photo: Path) -> None:
    """Let an untrained network find something in 3 % of a photo's pixels, as there is in others."""
    with torch.inference_mode():
        image = read_photo(photo, SIDE).image
        logits = net.eval()(torch.from_numpy(image).permute(2, 0, 1)[None])[0]
        lead = logits[1:].amax(dim=0) - logits[0]
        net.last.bias[0] += lead.flatten().quantile(0.97)


def plain_prediction(net: nn.Module, folder: Path, out: Path) -> None:
    """Photo by photo: decode, predict in fp32, enlarge, save the mask; then a table and a file."""
    out.mkdir(parents=True, exist_ok=True)
    device, found = next(net.parameters()).device, {}
    for file in find_photos(folder):
        path = folder / file
        photo = plain_photo(path)
        with Image.open(path) as image:
            size = image.height, image.width
        image = torch.from_numpy(np.array(photo)).permute(2, 0, 1)[None]
        with torch.inference_mode():
            logits = F.interpolate(net(image.to(device)), size, mode="bilinear")
            mask = logits.argmax(dim=1)[0].to(torch.uint8).cpu().numpy()
        Image.fromarray(mask).save(out / f"{file.replace('/', '_')}.png")
        found[file] = np.unique(mask, return_counts=True)
    with open(out / "classes.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([name, *classes] for name, (classes, _) in found.items())
    counts = {name: dict(zip(classes.tolist(), pixels.tolist(), strict=True))
              for name, (classes, pixels) in found.items()}
    (out / "pixels.json").write_text(json.dumps(counts), encoding="utf-8")


def predict(root: Path) -> Iterator[Measured]:
    """A folder of photos, from the disk to masks, CSV and JSON."""
    folder = demo_photos(root, SIZES["20 megapixels"])[0] / "photos"
    for name, arguments in NETWORKS.items():
        seed_everything(0)
        net = build_model(num_classes=5, working_scale=SIDE, **arguments)
        with tempfile.TemporaryDirectory() as out:
            speeds = predict_with(net, folder, Path(out))
        yield Measured(f"{name}, 20 megapixels at {SIDE} px", *speeds)


def predict_with(plain: SegmentationModel, folder: Path, out: Path) -> tuple[float, float, float]:
    """Photos a second with this network, by `predict_folder` of test.py and the plain way; and
    those of the slowest stage alone with all cores: reading, the network, or the files."""
    manifest = Manifest(map(Row, find_photos(folder)))
    device = choose_device()
    precision = choose_precision(device)
    some_animals(plain, folder / manifest[0].image)
    config = Config(working_scale=SIDE, outputs=("masks", "csv", "megadetector"))
    weights, records = out / "best.pt", out / "ours/predictions.jsonl"
    save_checkpoint(weights, {
        "model": plain.state_dict(), "model_arguments": plain.arguments, "thresholds": None,
        "classes": [(f"class {index}", [index, 0, 0]) for index in range(5)],
        "config": config_text(config)})
    plain = plain.to(device)
    ours = build_model(**plain.arguments)
    ours.load_state_dict(plain.state_dict())
    fold_norm(ours)
    ours = ours.to(device, memory_format=torch.channels_last)
    loader = partial(DataLoader, PredictionDataset(manifest, folder, SIDE),
                     config.predict_batch_size, collate_fn=group_by_shape)
    batches = list(loader())

    def whole(_) -> None:
        shutil.rmtree(records.parent, ignore_errors=True)
        with redirect_stdout(StringIO()):
            prediction.predict_folder(prediction.Job(weights, load_checkpoint(weights), config,
                                                     records.parent, device, Processes()), folder)

    def reading(_) -> None:
        for _ in loader(num_workers=os.cpu_count()):
            pass

    def network(_) -> None:
        for found in ours.predict(batches, precision.dtype):
            found.logits.sum().item()  # waits for a GPU

    def files(_) -> None:
        write_pictures(records, folder, out / "files", config.outputs)
        wanted = Wanted(config.outputs, config.event_minutes)
        write_tables(records, folder, out / "files", wanted, None, "")

    speeds = in_turn([whole, lambda _: plain_prediction(plain, folder, out / "plain"), reading,
                      network, files], range(ROUNDS))
    whole, reference, *stages = (len(manifest) * speed for speed in speeds)
    return whole, reference, min(stages)


# ------------------------------------------------------------------------------------ manifest


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


PARTS = {"decode": decode, "loader": loader, "step": step, "predict": predict, "index": index}

