"""How fast networks learn and predict: the parts step and predict of scripts/benchmark.py.

What is timed against what, and how: scripts/benchmark_photos.py.
"""

import csv
import dataclasses
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stdout, suppress
from functools import partial
from io import StringIO
from pathlib import Path

import numpy as np
import test as prediction  # scripts/test.py
import torch
import torch.nn.functional as F
from benchmark_photos import ROUNDS, SIDE, SIZES, Measured, demo_photos, in_turn, plain_photo
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode
from train import build_optimizer, fit  # the only training loop there is

from camera_trapinator import IGNORE
from camera_trapinator.config import Config, config_text
from camera_trapinator.data.cache import open_cache
from camera_trapinator.data.loading import Example, group_by_shape
from camera_trapinator.data.manifest import Manifest, Row
from camera_trapinator.data.photos import find_photos, read_photo
from camera_trapinator.data.workers import choose_workers, time_to_read
from camera_trapinator.dataset import CameraTrapDataset, PredictionDataset
from camera_trapinator.loss import build_criterion
from camera_trapinator.model import SegmentationModel, UNet, build_model
from camera_trapinator.networks.memory import peak_memory
from camera_trapinator.networks.weights import fold_norm
from camera_trapinator.outputs.writers import Wanted, write_pictures, write_tables
from camera_trapinator.training.checkpoint import load_checkpoint, save_checkpoint
from camera_trapinator.training.learner import Learner
from camera_trapinator.training.preparation import with_knobs
from camera_trapinator.training.processes import Processes
from camera_trapinator.training.run import Run
from camera_trapinator.training.sampler import CurriculumSampler
from camera_trapinator.training.trial import Batches
from camera_trapinator.transforms import train_transform
from camera_trapinator.utils import Precision, choose_device, choose_precision, seed_everything

CROP, BATCH = (192, 320), 4  # height and width, and number, of the photos of a training step
GPU_CROP, GPU_BATCH = (512, 512), 16  # the same on a GPU
WIDTH = 64  # of the U-Net that learns
PRODUCT = {"cpu": 4096, "cuda": 8192}  # rows of the matrices whose product is timed
NETWORKS = {"U-Net of width 64": {}, "EfficientNet-Lite0": {"encoder": "efficientnet_lite0"}}

# --------------------------------------------------------------------------------------- learning


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
        config = Config(batch_size=batch, compile=device.type == "cuda")
        self.config, self.learner = config, Learner(net, config, precision)
        self.criterion = build_criterion(config.loss).to(device)
        self.optimizer = build_optimizer(config, net)
        self.scaler = torch.amp.GradScaler(device.type, enabled=precision.scaler)
        small = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
        self.validation = [[(small, [Example(0, small[0, 0], 32, 32, "", False, None)])]]

    def photos_per_second(self, loader: Iterable, sampler: CurriculumSampler, epochs: int = 1,
                          ) -> float:
        """Of the last of so many epochs, by train.py's own training loop."""
        config = dataclasses.replace(self.config, epochs=epochs)
        run = Run(None, config)
        if isinstance(loader, list):
            loader = Batches(loader, sampler)
        with redirect_stdout(StringIO()):
            run.keep(None, self.learner, self.optimizer, self.scaler)
            fit(run, self.learner, loader, self.validation, self.criterion, self.optimizer,
                self.scaler, config)
        return run.history[-1]["images_per_second"]


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
    scale, transform = crop[1] * 3 // 2, with_knobs(train_transform, Config(crop_size=crop))
    rows = np.tile(np.arange(len(manifest)), 100)  # an epoch of more than a few steps
    dataset = CameraTrapDataset(manifest, folder, scale, transform, rows,
                                cache=open_cache("ram", np.unique(rows), scale, 1e9))
    draws = [(place, place) for place in range(len(manifest))]
    workers = choose_workers(time_to_read(dataset, draws), learning, "cuda")
    sampler = CurriculumSampler(len(dataset), ours.config.batch_size, 0)
    loader = DataLoader(dataset, batch_sampler=sampler, num_workers=workers, pin_memory=True,
                        persistent_workers=True)
    return ours.photos_per_second(loader, sampler, epochs=3)

# ------------------------------------------------------------------------------------- predicting


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
        wanted = Wanted(config.outputs, config.event_minutes)
        write_pictures(records, folder, out / "files", wanted)
        write_tables(records, folder, out / "files", wanted, None, "")

    speeds = in_turn([whole, lambda _: plain_prediction(plain, folder, out / "plain"), reading,
                      network, files], range(ROUNDS))
    whole, reference, *stages = (len(manifest) * speed for speed in speeds)
    return whole, reference, min(stages)


PARTS = {"step": step, "predict": predict}
