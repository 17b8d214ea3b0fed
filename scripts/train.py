"""Train a U-Net to segment animals in camera-trap photos.

    python scripts/train.py --config configs/unet.yaml
    python scripts/train.py --config configs/unet.yaml --run wide width=96 batch_size=4
    python scripts/train.py --config configs/unet.yaml --resume
    python scripts/train.py --config configs/unet.yaml dry_run=true             # does all work?
    python scripts/train.py --config configs/unet.yaml overfit_one_batch=true   # does it learn?

Any knob of camera_trapinator/config.py can follow as key=value. Everything that the run makes
goes to cnn_states/<run>/; `scripts/test.py` takes it from there.
"""

import argparse
import copy
import dataclasses
import math
import time
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryDirectory


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True, help="YAML file, such as configs/unet.yaml")
    parser.add_argument("--run", help="name of the run (default: the config's name)")
    parser.add_argument("--resume", action="store_true", help="go on with a run that was stopped")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="knobs to change")
    return parser.parse_intermixed_args()


if __name__ == "__main__":
    arguments = parse_arguments()  # before torch, which takes seconds to import

import numpy as np
import torch
from torch.optim.swa_utils import get_ema_multi_avg_fn
from tqdm import tqdm

from camera_trapinator import IGNORE, InputError, written_whole
from camera_trapinator.config import Config, config_text, load_config
from camera_trapinator.data.cache import Cache, open_cache
from camera_trapinator.data.checks import (
    check_maps,
    check_photos,
    find_faults,
    find_map_faults,
    known_fingerprints,
    pool_maps,
    without_broken,
)
from camera_trapinator.data.loading import PhotoLoader, group_by_shape
from camera_trapinator.data.manifest import FOCUS, Manifest, read_classes, read_manifest
from camera_trapinator.data.splits import (
    KNOBS,
    find_leaks,
    limit_splits,
    make_splits,
    near_duplicates,
    read_splits,
    write_splits,
)
from camera_trapinator.data.strips import Strips, describe_strips, strips_for, write_strips
from camera_trapinator.data.workers import choose_workers, time_to_predict, time_to_read
from camera_trapinator.dataset import CameraTrapDataset, PredictionDataset
from camera_trapinator.loss import Distillation, build_criterion
from camera_trapinator.metrics import ConfusionMatrix, RegressionErrors, recall_thresholds
from camera_trapinator.model import build_model
from camera_trapinator.networks.prediction import likeliest
from camera_trapinator.networks.weights import adopt, pretrained_weights
from camera_trapinator.outputs.blobs import smoothed
from camera_trapinator.outputs.curves import write_curves
from camera_trapinator.outputs.model_card import write_model_card
from camera_trapinator.outputs.sheets import write_difficulty_sheet
from camera_trapinator.training.checkpoint import (
    git_state,
    load_checkpoint,
    save_checkpoint,
    write_log,
)
from camera_trapinator.training.difficulty import (
    photo_difficulties,
    read_difficulty,
    scaled_ranks,
    spread_empty,
    write_difficulty,
)
from camera_trapinator.training.processes import Processes, join_processes, part_processes, restarts
from camera_trapinator.training.sampler import NEVER, CurriculumSampler, balanced_weights
from camera_trapinator.training.stop import Stop, Stopped
from camera_trapinator.training.summary import describe_costs, describe_levels
from camera_trapinator.training.trial import whole_batch
from camera_trapinator.transforms import train_transform, zoom_and_crop
from camera_trapinator.utils import (
    ROOT,
    RUNS,
    Precision,
    cache_path,
    checks_of,
    choose_device,
    choose_precision,
    describe_device,
    enough_memory,
    exit_on_bad_input,
    find_config,
    here_or_below_root,
    next_predict_batch_size,
    only_one,
    peak_memory,
    seed_everything,
    to_numpy,
)

AUGMENTATION = ("crop_size", "scale_range", "animal_crops", "flip", "brightness", "contrast",
                "colour", "grayscale", "noise", "blur", "infrared")
SCORE_NAMES = {"mean_iou": "mean IoU", "foreground_iou": "foreground IoU", "mae": "MAE",
               "rmse": "RMSE", "r2": "R2", "bias": "bias"}
# What may change on --resume, because the result does not depend on it.
MACHINE = ("device", "num_workers", "cache", "cache_gb", "checkpoint_minutes", "compile",
           "recompute", "read_timeout", "skip_bad_steps", "predict_batch_size", "tile", "flips",
           "mask_size", "smallest_blob", "faint", "event_minutes", "outputs", "deployments_file",
           "project_file", "data_root")
OVERFIT_STEPS = 20  # of an epoch that sees one batch again and again
ALL = 99  # levels of an encoder
DRY_BATCHES = 2  # of training and of validation


def main(arguments: argparse.Namespace) -> None:
    config = load_config(find_config(arguments.config), arguments.overrides)
    name = arguments.run or Path(arguments.config).stem
    if config.overfit_one_batch:
        # The name of the real run stays free. Mirrored photos would be new to the network.
        name = arguments.run or f"{name}_overfit"
        config = dataclasses.replace(config, flips=False)
    if config.dry_run:
        config = dataclasses.replace(config, cache="none")  # every photo is read once
        RUNS.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".dry_run_", dir=RUNS) as folder:
            train(config, Path(folder) / name, None, choose_device(config.device), Processes())
        return
    device = choose_device(config.device)
    processes = join_processes(device)
    if config.sync_norm and processes.size > 1 and device.type != "cuda":
        raise InputError("sync_norm: works between GPUs only; set it to false")
    with only_one(RUNS / name) if processes.leads else nullcontext():
        with processes.first_alone():
            resume = arguments.resume or (restarts() and (RUNS / name).exists())
            state = find_state(RUNS / name, config, resume)
        train(config, RUNS / name, state, device, processes)
    part_processes()


@dataclass
class Data:
    """What a run learns from: photos that are sound, and who learns from which."""

    root: Path
    manifest: Manifest
    classes: list[tuple]  # name and colour; of a regression one: the quantity
    shares: np.ndarray  # float32 (photos, classes): of each class in each mask
    splits: list[str]  # of each photo
    train_rows: np.ndarray
    val_rows: np.ndarray
    leakage: list[str]
    strips: Strips  # where the cameras' info strips lie, which the network shall not see
    values: dict | None  # of a regression: mean and spread of the training targets

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.classes]


@dataclass
class Progress:
    """How far a run has come; in the middle of an epoch, too."""

    history: list[dict] = field(default_factory=list)  # the row of log.csv of each whole epoch
    thresholds: dict | None = None  # of the last of them, see `validate`
    within_epoch: dict = field(default_factory=dict)  # of the next one; empty where it begins:
    # `step` (how many are done), `loss` (their sum), `bad_steps` (left out) and `seconds`


def train(config: Config, run: Path, state: dict | None, device: torch.device,
          processes: Processes) -> None:
    """From the config to a trained network in the folder `run`; `state` is what it goes on from."""
    with processes.first_alone():
        data = read_data(config, run)

    # The precision that the device computes fastest in.
    precision = choose_precision(device, config.precision)
    seed_everything(config.seed, config.deterministic)

    # How hard the training photos are, if the easy ones come first; a resumed run knows it.
    difficulty = None
    if config.start_fraction < 1:
        with processes.first_alone():
            difficulty = (find_difficulty(config, data, device, precision) if state is None else
                          read_difficulty(run / "difficulty.csv", [data.manifest[row].image
                                                                   for row in data.train_rows]))
        processes.as_first([torch.from_numpy(difficulty)])

    # The model, the criterion and the optimizer.
    net = build_model(**model_arguments(config, len(data.classes)))
    if data.values:
        net.expect_values(data.values["mean"], data.values["spread"])
    if state is None:
        first_weights(net, config, data)
    net = net.to(device, memory_format=torch.channels_last)
    net.recompute = config.recompute
    if config.sync_norm and processes.size > 1:
        net = torch.nn.SyncBatchNorm.convert_sync_batchnorm(net)
    criterion = build_criterion(config.loss, class_weights(config, data.shares[data.train_rows]),
                                data.values["spread"] if data.values else 1.0).to(device)
    teacher = find_teacher(config, data.names, device)
    optimizer = build_optimizer(config, net)
    scaler = torch.amp.GradScaler(device.type, enabled=precision.scaler)
    progress = Progress()
    if state is not None:
        net.load_state_dict(state.get("training") or state["model"])
        optimizer.load_state_dict(state["optimizer"])
        scaler.load_state_dict(state["scaler"])
        progress = Progress(state["history"], state["thresholds"], state.get("within_epoch", {}))
    averaged = net  # what is validated and saved to predict with
    if config.ema:
        averaged = copy.deepcopy(net).requires_grad_(False)
        if state is not None:
            averaged.load_state_dict(state["model"])

    # The data loaders: training photos at random and augmented, validation photos as they are.
    train_set, val_set, sampler = make_sets(config, data, difficulty, processes)
    num_workers = plan_workers(config, net, train_set, sampler, precision)
    loader = partial(PhotoLoader, num_workers=num_workers, device=device,
                     read_timeout=config.read_timeout, persistent_workers=num_workers > 0)
    train_loader = loader(train_set, batch_sampler=sampler)
    val_loader = loader(val_set, batch_size=config.predict_batch_size, collate_fn=group_by_shape)
    if config.overfit_one_batch:
        batch, group = whole_batch(train_set)
        train_loader, val_loader = [batch] * OVERFIT_STEPS, [group]
    if config.dry_run:
        costs = partial(  # of a real epoch
            describe_costs, steps=len(train_loader), photos=len(val_set), epochs=config.epochs,
            reading=[time_to_read(train_set, first_draws(sampler)),
                     time_to_read(val_set, range(len(val_set))[:config.predict_batch_size])],
            num_workers=num_workers)
        # In memory the second epoch tells how fast the network alone is.
        train_loader, val_loader = (list(islice(loader, DRY_BATCHES))
                                    for loader in (train_loader, val_loader))
        config = dataclasses.replace(config, epochs=2)
    model = compiled(net, config, precision) if config.compile else net

    if processes.leads:
        for name, text in (("config.yaml", config_text(config)), ("git.txt", git_state())):
            with written_whole(run / name) as path:
                path.write_text(text, encoding="utf-8")
        write_splits(run / "splits.csv", data.manifest, data.splits)
        write_strips(run / "strips.csv", data.strips)
    print(f"device      {describe_device(device, precision)}")
    print(f"photos      {describe_splits(config, data)}")
    if config.strips != "none":
        print(f"strips      {describe_strips(data.strips)}")
    print(f"classes     {', '.join(data.names)}" if not data.values else
          f"quantity    {config.quantity}: {describe_values(data.values)}")
    if difficulty is not None:
        if processes.leads:
            show_difficulty(run, data, difficulty, sampler)
        print(f"curriculum  {(sampler.entry == 0).sum()} photos in epoch 1, all "
              f"from epoch {config.curriculum_epochs + 1} on; see difficulty.jpg in the run")
    parameters = sum(parameter.numel() for parameter in net.parameters())
    print(f"model       {describe_model(config)}, {parameters / 1e6:.1f} million parameters")

    next_drawing = 0.0  # curves take a second, an epoch may take less: a tenth of the time will do

    def save() -> None:
        """Write all that a run is: last.pt; after an epoch best.pt, log.csv, curves, the card."""
        nonlocal next_drawing
        if not processes.leads:
            return
        content = {
            "model_arguments": net.arguments, "model": averaged.state_dict(),
            "training": net.state_dict() if config.ema else None,
            "optimizer": optimizer.state_dict(), "scaler": scaler.state_dict(),
            **asdict(progress), "config": config_text(config),
            "classes": [[name, list(colour)] for name, colour in data.classes],
            "values": data.values,
        }
        if not progress.within_epoch:
            scores = [merit(row, config) for row in progress.history]
            if scores[-1] > max(scores[:-1], default=-math.inf):
                save_checkpoint(run / "best.pt", content)
        save_checkpoint(run / "last.pt", content)
        if not progress.within_epoch:
            now = time.monotonic()
            draw = now >= next_drawing or len(progress.history) == config.epochs
            publish(run, content, draw)
            if draw:
                next_drawing = time.monotonic() + 10 * (time.monotonic() - now)

    if progress.history and processes.leads:  # a kill may have come between last.pt and these
        publish(run, state)
    # What learns one batch by heart, or tries everything once, is done in a minute.
    short = config.overfit_one_batch or config.dry_run
    stop = Stop(0 if short else config.checkpoint_minutes, processes)
    with enough_memory(next_batch_size(config)), nullcontext() if short else stop:
        print(f"run         {run}")
        fit(net, model, averaged, teacher, train_loader, val_loader, sampler, criterion, optimizer,
            scaler, precision, config, progress, save, stop, processes)
    if config.dry_run:
        saved = load_checkpoint(run / "last.pt", device)  # what was written can be read again
        again = build_model(**saved["model_arguments"])
        again.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        print(describe_levels(again, config.crop_size, val_loader[0][0][0].shape[-2:]))
        print(costs(progress.history[-1], batch=len(train_loader[0][0]), dry_steps=DRY_BATCHES,
                    dry_photos=sum(len(group) for batch in val_loader for _, group in batch),
                    peak=peak_memory(device)))
        return
    if config.overfit_one_batch:
        print(f"verdict     {verdict(progress.history, len(data.train_rows))}")
        return
    best = max(progress.history, key=lambda row: merit(row, config))
    print(f"best        epoch {best['epoch']}, {', '.join(describe_scores(best))} on the "
          "validation photos at network size")
    print(f"next        python scripts/test.py --run {run.name}")


def read_data(config: Config, run: Path) -> Data:
    """Check photos and masks, and divide them. Raises InputError where training is in vain."""
    root = ROOT / config.data_root
    if not root.is_dir():
        raise InputError(f"data_root: {root} is no folder; set data_root to where your data are, "
                         "or make the demo photos with scripts/make_demo_data.py")
    manifest = read_manifest(root / config.manifest)
    if config.broken_photos == "skip":
        manifest = leave_out_broken(config, manifest, root)
    if config.task == "regression":  # one "class" that is a number
        classes = [(config.quantity, (0, 0, 0))]
        maps = check_maps(manifest, root, checks_of(root, "maps"))
        shares = np.array([[facts.share] for facts in maps])
    else:
        classes = read_classes(root / "classes.csv")
        shares = check_photos(manifest, root, len(classes), checks_of(root))
    given = (read_splits(here_or_below_root(config.splits_file), manifest) if config.splits_file
             else None)
    splits = make_splits(manifest, shares > 0, by=config.split_by, given=given,
                         **{name: getattr(config, name) for name in KNOBS})
    if config.limit or config.overfit_one_batch:  # a prototype: a few photos, of all kinds, will do
        most = ({"train": config.batch_size, "val": 0} if config.overfit_one_batch
                else {"train": config.limit, "val": config.limit})
        splits = limit_splits(splits, most, manifest.column("location"), shares, config.seed)
    train_rows, val_rows = (np.flatnonzero(np.array(splits) == name) for name in ("train", "val"))
    if config.overfit_one_batch:
        val_rows = train_rows
    # Fingerprints are there if scripts/check_data.py has read the photos.
    fingerprints = known_fingerprints(manifest, root, checks_of(root, "photos"))
    duplicates = near_duplicates(fingerprints, splits, manifest.column("location"))
    leakage = find_leaks(manifest, splits, config.split_by, bool(config.test_from), duplicates)
    # A resumed run keeps the strips that it was started with.
    labelled = {row.location for row in manifest if row.mask}
    strips = strips_for(config.strips, [row for row in manifest if row.location in labelled], root,
                        known=run / "strips.csv")
    data = Data(root, manifest, classes, shares, splits, train_rows, val_rows, leakage, strips,
                None)
    check_splits(config, data)
    if config.task == "regression":
        data.values = pool_maps([maps[row] for row in train_rows], config.target_scale)
    return data


def leave_out_broken(config: Config, manifest: Manifest, root: Path) -> Manifest:
    """The manifest without photos that cannot be read, or whose mask (or map) cannot."""
    if config.task == "regression":
        _, faults = find_map_faults(manifest, root, checks_of(root, "maps"))
    else:
        classes = read_classes(root / "classes.csv")
        _, faults, _ = find_faults(manifest, root, len(classes), checks_of(root))
    bar = partial(tqdm, desc="reading", unit="photo", leave=False, dynamic_ncols=True, disable=None)
    manifest, reasons = without_broken(manifest, root, faults, checks_of(root, "photos"), bar)
    for reason in reasons:
        print(f"left out    {reason}")
    return manifest


def make_sets(config: Config, data: Data, difficulty: np.ndarray | None, processes: Processes,
              ) -> tuple[CameraTrapDataset, PredictionDataset, CurriculumSampler]:
    """The photos to learn from and to validate on, and which of the former come when."""
    transform = partial(train_transform, **{name: getattr(config, name) for name in AUGMENTATION})
    if config.overfit_one_batch:
        transform = partial(zoom_and_crop, crop_size=config.crop_size, zoom=1.0, centred=True)
    how = {"working_scale": config.working_scale, "strips": data.strips,
           "target_scale": config.target_scale if data.values else None,
           "cache": make_cache(config, data, processes.size)}
    train_set = CameraTrapDataset(data.manifest, data.root, transform=transform,
                                  indices=data.train_rows, **how)
    # Each photo is validated by one process, so that none counts twice.
    val_set = PredictionDataset(data.manifest, data.root,
                                indices=data.val_rows[processes.rank::processes.size], **how)
    shares = data.shares[data.train_rows]
    focus = np.array([FOCUS[word.lower()] for word in data.manifest.column("focus")])
    sampler = CurriculumSampler(
        len(train_set), config.batch_size, config.seed,
        weights=balanced_weights(shares, config.balance), empty=~shares[:, 1:].any(axis=1),
        empty_fraction=config.empty_fraction, difficulty=difficulty,
        focus=focus[data.train_rows], start_fraction=config.start_fraction,
        curriculum_epochs=config.curriculum_epochs, rank=processes.rank,
        world_size=processes.size)
    return train_set, val_set, sampler


def make_cache(config: Config, data: Data, processes: int) -> Cache | None:
    """Where decoded photos are kept, as the knobs `cache` and `cache_gb` want it."""
    rows = np.union1d(data.train_rows, data.val_rows)
    path = None
    if config.cache == "disk":  # other runs may train on other rows
        rows = np.arange(len(data.manifest))
        path = cache_path(data.root, f"{config.manifest} {config.working_scale}")
    most = 1e9 * config.cache_gb / (processes if config.cache == "ram" else 1)  # to each its own
    cache = open_cache(config.cache, rows, config.working_scale, most,
                       target_bytes=4 if data.values else 1, path=path)
    if cache is not None and len(cache) < len(rows):
        print(f"cache       room for {len(cache)} of {len(rows)} photos; cache_gb: "
              f"{config.cache_gb:g} limits it, or the {config.cache} that is left")
    return cache


def plan_workers(config: Config, net, train_set: CameraTrapDataset, sampler: CurriculumSampler,
                 precision: Precision) -> int:
    """How many processes shall read photos: so many as config.num_workers says; if it is auto, as
    many as keep up with the network."""
    if config.num_workers != "auto":
        return int(config.num_workers)
    reading = time_to_read(train_set, first_draws(sampler))
    # Forward and backward take about three times as long as forward alone.
    learning = 3 * time_to_predict(net, config.crop_size, precision)
    number = choose_workers(reading, learning, net.mean.device.type)
    number = max(number, config.least_workers)
    print(f"workers     {number}: to read a photo takes {1000 * reading:.1f} ms, to learn from it "
          f"{1000 * learning:.1f} ms")
    return number


def compiled(net, config: Config, precision: Precision):
    """The network as torch.compile makes it faster; or, with a message, as it is where that does
    not work: a copy of it is trained on a grey batch first."""
    trial = copy.deepcopy(net).train()
    images = torch.zeros(config.micro_batch_size or config.batch_size, 3, *config.crop_size,
                         dtype=torch.uint8, device=net.mean.device)
    print("compile     takes a minute or more at the first step")
    try:
        with torch.autocast(images.device.type, precision.dtype, enabled=precision.autocast):
            pred = torch.compile(trial)(images)
        pred.float().sum().backward()
    except Exception as error:  # of any kind: compilers, drivers and Python versions differ
        reason = str(error).strip().split("\n")[0][:100] or type(error).__name__
        print(f"compile     does not work here ({reason}): goes on without")
        return net
    return torch.compile(net)


def next_batch_size(config: Config) -> str:
    """What to try when a training step needs too much memory."""
    photos = min(config.micro_batch_size or config.batch_size, config.batch_size)
    if photos > 1:
        return (f"try micro_batch_size: {photos // 2}: a step still learns from as many photos, "
                "but the network, and its batch normalisation, sees fewer at once")
    if not config.recompute:
        return "try recompute: true"
    return "try a smaller crop_size, or a narrower network (width)"


def first_draws(sampler: CurriculumSampler) -> list[tuple[int, int]]:
    return list(chain(*islice(sampler, DRY_BATCHES)))


def fit(net, model, averaged, teacher, train_loader, val_loader, sampler, criterion, optimizer,
        scaler, precision: Precision, config: Config, progress: Progress, save, stop: Stop,
        processes: Processes) -> None:
    """Train from where `progress` is to the last epoch; the only training loop there is.

    `net` learns, `model` is what the training step calls (the same, or compiled); `averaged` is
    validated and saved: the running mean of the weights of `net`, or `net` itself. `teacher` is a
    trained network whose predictions are learned too, or None. `save` is called after each epoch,
    and when `stop` wants it. Of each batch, these `processes` learn a part each.
    """
    distillation = Distillation(config.temperature)
    device = net.mean.device
    steps_per_epoch = len(train_loader)
    first_epoch = len(progress.history)
    for epoch in range(first_epoch, config.epochs):
        # A resumed run begins where it was stopped, maybe in the middle of an epoch.
        first = {"step": 0, "loss": 0.0, "bad_steps": 0, "seconds": 0.0, **progress.within_epoch}
        start = time.perf_counter() - first["seconds"]
        train_loss = torch.tensor(first["loss"], device=device)
        bad_steps = torch.tensor(first["bad_steps"], device=device)
        last_bad = torch.tensor(-1, device=device)  # the step that it was
        sampler.set_epoch(epoch, first["step"])
        model.train()
        if config.encoder != "none":
            frozen = epoch < config.freeze_encoder
            net.hold_encoder(ALL if frozen else config.freeze_levels, config.freeze_norm)
        if epoch in (first_epoch, config.freeze_encoder):
            learner = processes.shared(model)
        bar = tqdm(train_loader, desc=f"epoch {epoch + 1}/{config.epochs}", unit="batch",
                   initial=first["step"], total=steps_per_epoch, leave=False, dynamic_ncols=True,
                   disable=None)  # no bar in a log file
        for step, (images, masks, _) in enumerate(bar, start=first["step"]):
            # The learning rate depends on the time alone.
            done = epoch * steps_per_epoch + step
            for group in optimizer.param_groups:
                group["lr"] = group["rate"] * learning_rate(done / steps_per_epoch, config)

            # Images and masks must be where the network is.
            images = images.to(device, non_blocking=True)  # uint8 (N, 3, H, W)
            masks = masks.to(device, non_blocking=True)  # uint8 (N, H, W); regression: float32

            # The loss of a batch is a sum over the sum of the pixels' weights. So the batch can be
            # worked off in parts, which takes less memory: the gradients of all parts add up.
            # So it can be shared among processes: what is summed is summed over all of them.
            weight = processes.sum(criterion.weigh(masks))
            advice_weight = processes.sum(distillation.weigh(masks)) if teacher else None
            at_once = config.micro_batch_size or len(images)
            statistics = [values.clone() for values in net.buffers()]
            step_loss = torch.zeros((), device=device)
            optimizer.zero_grad()
            parts = list(zip(images.split(at_once), masks.split(at_once), strict=True))
            for number, (part, part_masks) in enumerate(parts, start=1):
                if processes.size > 1:  # gradients are exchanged once, with the last part
                    learner.require_backward_grad_sync = number == len(parts)
                # Forward: what does the network say, and how wrong is it?
                with torch.autocast(device.type, precision.dtype, enabled=precision.autocast):
                    pred = learner(part)  # (N, C, H, W)
                    advice = teacher(part).detach() if teacher else None  # no gradient goes there
                loss = (criterion.total(pred, part_masks) / weight).sum()
                if teacher:  # how far is it from what a larger network says?
                    distance = (distillation.total(pred, advice, part_masks) / advice_weight).sum()
                    loss = loss.lerp(distance, config.teacher_share)

                # Backward: how does each weight have to change? (Never twice for one forward pass.)
                scaler.scale(loss * processes.size).backward()
                step_loss += loss.detach()  # without detach() every graph would stay in memory

            norm = step_loss = processes.sum(step_loss)
            if config.gradient_clip:
                scaler.unscale_(optimizer)
                norm = torch.nn.utils.clip_grad_norm_(net.parameters(), config.gradient_clip)
            # A loss, or a gradient, that is no finite number would spoil all weights. The optimizer
            # leaves such a step out by itself, on the device: the CPU hears of it later.
            bad = ~(step_loss if precision.scaler else step_loss + norm).isfinite()
            if not precision.scaler:  # which does the same
                optimizer.found_inf = bad.float()
            scaler.step(optimizer)
            scaler.update()
            for values, before in zip(net.buffers(), statistics, strict=True):
                values.copy_(before.where(bad, values))
            if config.ema:
                follow(averaged, net, min(config.ema, (done + 1) / (done + 10)))
            train_loss += step_loss.where(~bad, 0)
            bad_steps += bad
            last_bad = torch.where(bad, step, last_bad)

            # Reading a number makes the CPU wait for the GPU: not each step.
            if step % 20 == 19:
                check_loss(bad_steps, last_bad, epoch, sampler, train_loader, config)
                speed = (step + 1) * sampler.batch_size / (time.perf_counter() - start)
                bar.set_postfix_str(f"loss {float(train_loss) / (step + 1):.3f}, "
                                    f"{speed:.0f} images/s")
            if (due := stop.due(step)) or step + 1 == steps_per_epoch:
                check_loss(bad_steps, last_bad, epoch, sampler, train_loader, config)
                progress.within_epoch = {
                    "step": step + 1, "loss": float(train_loss), "bad_steps": int(bad_steps),
                    "seconds": time.perf_counter() - start}
            if due:
                save()
                stop.saved()

        epoch_done = progress.within_epoch
        speed = steps_per_epoch * sampler.batch_size / epoch_done["seconds"]
        mean_loss = epoch_done["loss"] / max(1, steps_per_epoch - epoch_done["bad_steps"])
        if epoch_done["bad_steps"]:
            print(f"warning     {epoch_done['bad_steps']} steps of epoch {epoch + 1} were left "
                  "out: their loss was no finite number")
        try:
            with enough_memory(next_predict_batch_size(config)):
                processes.as_first(averaged.buffers())  # each has normalised its own photos
                scores, progress.thresholds = validate(averaged, val_loader, criterion, precision,
                                                       config.flips, config.tile, processes, stop)
        except Stopped:  # the validation begins anew with --resume
            save()
            stop.leave()
        progress.history.append({
            "epoch": epoch + 1, "lr": optimizer.param_groups[0]["lr"], "train_loss": mean_loss,
            **scores, "images_per_second": speed, "seconds": time.perf_counter() - start,
            **sampler.statistics()})
        progress.within_epoch = {}
        save()
        print(f"epoch {epoch + 1}/{config.epochs}  train loss {mean_loss:.3f}  val loss "
              f"{scores['val_loss']:.3f}  {'  '.join(describe_scores(scores))}  "
              f"{speed:.0f} images/s")
        stop.saved()


def check_loss(bad_steps, last_bad, epoch: int, sampler, train_loader, config: Config) -> None:
    """Stop where more steps of the epoch had to be left out than may be, and name the photos."""
    if int(bad_steps) <= config.skip_bad_steps:
        return
    step, photos = int(last_bad), ""
    if not config.overfit_one_batch:
        places = sampler.draws()[0][step * sampler.batch_size:][:sampler.batch_size]
        dataset = train_loader.dataset
        names = [dataset.manifest[int(dataset.indices[place])].image for place in places]
        photos = (f" The photos of this step: {', '.join(names[:8])}"
                  + (f" and {len(names) - 8} more." if len(names) > 8 else "."))
    raise InputError(
        f"epoch {epoch + 1}, step {step + 1}: the loss or its gradient is no finite number; the "
        f"weights were kept as they were.{photos} Lower learning_rate, set precision: fp32, or "
        f"leave out a few such steps of an epoch with skip_bad_steps: {int(bad_steps)} and "
        "--resume")


@torch.no_grad()
def validate(net, loader, criterion, precision: Precision, flips: bool, tile: int,
             processes: Processes, stop: Stop) -> tuple[dict, dict | None]:
    """Loss and scores on the validation photos, whole, at network size; and thresholds of the
    confidence, see metrics.recall_thresholds. One class: a regression. Raises Stopped, in all
    processes, when `stop` wants it."""
    device, num_classes = net.mean.device, net.arguments["num_classes"]
    matrix = ConfusionMatrix(num_classes, device)
    sums = torch.zeros(2, 2, device=device)  # of the loss and its weight; for up to two losses
    errors = RegressionErrors()
    confidences = []  # of the photos with an animal
    with closing(net.predict(loader, precision.dtype, flips, tile)) as predictions:
        for prediction in predictions:
            if stop.asked:
                break
            if prediction.photo.failure:
                raise InputError(f"{loader.dataset.manifest[prediction.photo.index].image}: "
                                 f"{prediction.photo.failure}")
            truth = prediction.photo.target.to(device)
            for row, value in zip(sums, criterion(prediction.logits[None], truth[None]),
                                  strict=True):
                row[:len(value)] += value
            if num_classes == 1:
                errors.update(truth, prediction.logits[0])
                continue
            matrix.update(truth, likeliest(prediction.logits))
            if ((truth > 0) & (truth != IGNORE)).any():
                confidences.append(float(smoothed(prediction.foreground()).max()))
    if stop.agreed():
        raise Stopped
    # Exact sums over all processes, whose photos are all different.
    total, weight = processes.sum(sums)
    matrix.counts = processes.sum(matrix.counts)
    errors.sums = to_numpy(processes.sum(torch.from_numpy(errors.sums)))
    confidences = processes.gathered(confidences)
    scores = errors.scores() if num_classes == 1 else {
        "mean_iou": matrix.mean_iou(), "foreground_iou": matrix.foreground_iou()}
    loss = float((total / weight.clamp(min=1e-6)).sum())
    return {"val_loss": loss, **scores}, recall_thresholds(confidences)


def find_difficulty(config: Config, data: Data, device: torch.device,
                    precision: Precision) -> np.ndarray:
    """How hard each training photo is, 0 easy .. 1 hard: what the manifest says, or else what the
    photo, or an earlier run, tells."""
    given = np.array([float(data.manifest[row].difficulty or "nan") for row in data.train_rows])
    open_rows = data.train_rows[np.isnan(given)]
    bar = partial(tqdm, total=len(open_rows), desc="difficulty", unit="photo", leave=False,
                  dynamic_ncols=True, disable=None)
    empty = ~data.shares[open_rows, 1:].any(axis=1)
    if config.difficulty == "loss":
        found = losses_of(config, data, open_rows, device, precision, bar)
        found[~empty] = scaled_ranks(found[~empty])
    else:
        found = photo_difficulties(data.manifest, open_rows, data.root,
                                   checks_of(data.root, "difficulty"), data.strips, bar)
    given[np.isnan(given)] = spread_empty(found, empty)
    return given


def losses_of(config: Config, data: Data, rows: np.ndarray, device: torch.device,
              precision: Precision, bar) -> np.ndarray:
    """The mean loss of each photo under the weights of an earlier run, whole and not augmented."""
    path = weights_file(config.difficulty_run)
    other = load_checkpoint(path)
    known = [name for name, _ in other["classes"]]
    if data.names != known:
        raise InputError(f"difficulty_run: {path} has the classes {', '.join(known)}, classes.csv "
                         f"{', '.join(data.names)}; name another run, or set difficulty: photo")
    with torch.random.fork_rng(devices=[]):  # its first weights are drawn, and then not used
        net = build_model(**other["model_arguments"])
    net.load_state_dict(other["model"])
    net = net.to(device, memory_format=torch.channels_last)
    weights = class_weights(config, data.shares[data.train_rows])
    criterion = build_criterion(config.loss, weights).to(device)
    photos = PredictionDataset(data.manifest, data.root, net.working_scale, rows,
                               strips=data.strips)
    loader = PhotoLoader(photos, config.least_workers, device, config.read_timeout,
                         batch_size=config.predict_batch_size, collate_fn=group_by_shape)
    losses = {}  # by row: photos of several shapes come in another order
    with torch.no_grad(), closing(net.predict(loader, precision.dtype, config.flips,
                                              config.tile)) as found:
        for prediction in bar(found):
            index, failure = prediction.photo.index, prediction.photo.failure
            if failure:
                raise InputError(f"{data.manifest[index].image}: {failure}")
            total, weight = criterion(prediction.logits[None],
                                      prediction.photo.target[None].to(device))
            losses[index] = float((total / weight).sum())
    return np.array([losses[row] for row in rows.tolist()])


def publish(run: Path, content: dict, curves: bool = True) -> None:
    """Write for people what a checkpoint tells: log.csv, curves.png, the model's card."""
    write_log(run / "log.csv", content["history"])
    if curves:
        write_curves(run / "log.csv", run / "curves.png")
    write_model_card(run, content)


def show_difficulty(run: Path, data: Data, difficulty: np.ndarray, sampler: CurriculumSampler,
                    ) -> None:
    """Write difficulty.csv and difficulty.jpg: 24 photos from the easiest to the hardest."""
    entry = ["" if epoch == NEVER else epoch + 1 for epoch in sampler.entry.tolist()]
    write_difficulty(run / "difficulty.csv", [data.manifest[row].image for row in data.train_rows],
                     difficulty, entry)
    order = np.argsort(difficulty, kind="stable")
    places = np.unique(np.linspace(0, len(order) - 1, 24).round().astype(int))
    chosen = []
    for place in order[places]:
        row, epoch = data.manifest[data.train_rows[place]], entry[place]
        chosen.append((row.image, row.mask, difficulty[place],
                       f"from epoch {epoch} on" if epoch else "never drawn"))
    write_difficulty_sheet(run / "difficulty.jpg", data.root, chosen, data.classes)


def weights_file(name: str) -> Path:
    """The .pt file that a knob names: a file, or the best.pt of a run."""
    path = here_or_below_root(name)
    return path if path.is_file() else RUNS / name / "best.pt"


def model_arguments(config: Config, num_classes: int) -> dict:
    """What `build_model` needs to know of the config."""
    arguments = {"num_classes": num_classes, "working_scale": config.working_scale,
                 "width": config.width, "norm": config.norm}
    if config.encoder == "none":
        return {**arguments, "depth": config.depth}
    return {**arguments, "encoder": config.encoder}


def first_weights(net, config: Config, data: Data) -> None:
    """What a new run begins with: another run's weights, pretrained ones, or chance."""
    if config.init_from:
        other = load_checkpoint(weights_file(config.init_from))
        adopt(net, data.names, other["model"], [name for name, _ in other["classes"]])
        return
    if config.encoder != "none" and config.weights != "none":
        net.encoder.load_state_dict(pretrained_weights(config.encoder, config.weights))
    if config.task == "classification":
        net.expect(data.shares[data.train_rows].sum(axis=0))


def find_teacher(config: Config, classes: list[str], device: torch.device):
    """The trained network that the knob `teacher` names, frozen; None if there is none."""
    if not config.teacher:
        return None
    checkpoint = load_checkpoint(weights_file(config.teacher))
    known = [name for name, _ in checkpoint["classes"]]
    if known != classes:
        raise InputError(f"teacher: {config.teacher} knows the classes {', '.join(known)}; the "
                         f"photos' are {', '.join(classes)}. They must be the same, in one order")
    teacher = build_model(**checkpoint["model_arguments"])
    teacher.load_state_dict(checkpoint["model"])
    return teacher.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)


def build_optimizer(config: Config, net) -> torch.optim.Optimizer:
    """SGD or AdamW; `rate` is what a group's learning rate is as a share of the knob."""
    encoder = [weight for name, weight in net.named_parameters() if name.startswith("encoder.")]
    others = [weight for name, weight in net.named_parameters() if not name.startswith("encoder.")]
    groups = [{"params": others, "rate": 1.0}]
    if encoder:
        groups.append({"params": encoder, "rate": config.encoder_rate})
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, config.learning_rate, weight_decay=config.weight_decay,
                                 fused=True)
    return torch.optim.SGD(groups, config.learning_rate, momentum=config.momentum, fused=True,
                           nesterov=config.momentum > 0, weight_decay=config.weight_decay)


@torch.no_grad()
def follow(averaged, net, share: float) -> None:
    """Move a running mean of weights towards the weights: it keeps `share` of itself."""
    pairs = list(zip(averaged.state_dict().values(), net.state_dict().values(), strict=True))
    floats = [pair for pair in pairs if pair[0].is_floating_point()]
    get_ema_multi_avg_fn(share)(*map(list, zip(*floats, strict=True)), None)
    for mean, weight in pairs:
        if not mean.is_floating_point():
            mean.copy_(weight)  # the number of batches that a normalisation has seen


def learning_rate(epoch: float, config: Config) -> float:
    """Up in a line during the warm-up, then down along half a cosine; `epoch` may be a fraction."""
    warmup = min(config.warmup_epochs, config.epochs / 2)
    if epoch < warmup:
        return config.learning_rate * (epoch + 1e-3) / warmup
    progress = (epoch - warmup) / (config.epochs - warmup)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def class_weights(config: Config, shares: np.ndarray) -> list[float] | None:
    """Weight of each class in the loss, from the knob and from the share of its pixels."""
    if config.class_weights == "none":
        return None
    if config.class_weights == "balanced":
        share = shares.sum(axis=0) / shares.sum()
        weights = np.where(share > 0, share.clip(1e-6) ** -0.5, 1.0)
        return (weights / (weights * share).sum()).tolist()  # the mean weight of a pixel is 1
    try:
        weights = [float(part) for part in config.class_weights.split(",")]
    except ValueError:
        weights = []
    if len(weights) != shares.shape[1] or not all(0 <= weight < math.inf for weight in weights):
        raise InputError(f"class_weights: {config.class_weights} should be none, balanced, or "
                         f"{shares.shape[1]} numbers, one for each class of classes.csv")
    return weights


def check_splits(config: Config, data: Data) -> None:
    """Stop where training is in vain: nothing to learn from, or nothing to judge it by honestly."""
    if not len(data.val_rows):
        raise InputError("no photo is left for validation; raise val_fraction, or give some photos "
                         "the split val")
    if config.task == "classification" and not data.shares[data.train_rows, 1:].any():
        raise InputError(f"{data.root / config.manifest}: no training mask holds any class but the "
                         "background. Are the masks 0 and 255? 255 means ignore: write 1 for the "
                         "animal, or import them with scripts/import_labels.py")
    if data.leakage and not config.allow_leakage:
        raise InputError(f"{'; '.join(data.leakage)}: scores there would be too good. Correct the "
                         "splits, say with split_by what may be shared, or set allow_leakage: "
                         "true, and every report will tell")


def describe_splits(config: Config, data: Data) -> str:
    """How many photos of how many locations are where, and what leaks."""
    parts = []
    for name in ("train", "val", "test", "test_seen"):
        locations = {data.manifest[index].location for index, split in enumerate(data.splits)
                     if split == name}
        if locations:
            parts.append(f"{data.splits.count(name)} {name} ({len(locations)} locations)")
    line = ", ".join(parts)
    if config.split_by != "location":
        line += f"; split by {config.split_by}: the scores hold for seen locations only"
    for leak in data.leakage:
        line += f"\nwarning     {leak}: scores there are too good"
    return line


def describe_values(values: dict) -> str:
    return (f"{values['low']:.4g} to {values['high']:.4g}, mean {values['mean']:.4g}, standard "
            f"deviation {values['spread']:.4g}")


def find_state(run: Path, config: Config, resume: bool) -> dict | None:
    """The checkpoint to go on from, or None for a new run. Refuses to mix two runs."""
    if not resume:
        if run.exists():
            raise InputError(f"{run}: this run exists; go on with --resume, or start another with "
                             "--run NAME")
        return None
    if not run.exists():
        raise InputError(f"{run}: no such run to resume; start it without --resume")
    if not (run / "last.pt").exists():  # stopped before its first epoch was over
        return None
    started = load_config(run / "config.yaml")
    for name in vars(config):
        old, new = getattr(started, name), getattr(config, name)
        if name not in MACHINE and old != new:
            raise InputError(f"{name}: the run was started with {old}, now it is {new}; resume "
                             "with the same config, or start another run with --run NAME")
    return load_checkpoint(run / "last.pt")


def verdict(history: list[dict], photos: int) -> str:
    """Whether the network has learned one batch by heart: by IoU, or, where there is none, loss."""
    first, last = history[0]["train_loss"], history[-1]["train_loss"]
    score = history[-1].get("mean_iou")
    facts = (f"training loss {first:.3f} -> {last:.3f}, {', '.join(describe_scores(history[-1]))} "
             f"on the same {photos} photos")
    learned = last < 0.1 * first if score is None else score > 0.9
    if learned:
        return f"good: it learns them by heart; {facts}"
    aim = "a tenth of the loss" if score is None else "mean IoU above 0.9"
    return (f"not yet: it does not learn them by heart ({aim}); {facts}. More epochs? Another "
            "learning_rate? Are the masks right (scripts/check_data.py)?")


def describe_model(config: Config) -> str:
    if config.encoder == "none":
        return f"U-Net, width {config.width}, depth {config.depth}"
    return f"U-Net, encoder {config.encoder} ({config.weights}), width {config.width}"


def merit(row: dict, config: Config) -> float:
    """What of an epoch's scores chooses best.pt: the larger the better."""
    if config.task == "regression":
        return -1e300 if row["rmse"] is None else -row["rmse"]
    return row[config.best_by] or 0.0


def describe_scores(row: dict) -> list[str]:
    """The scores for people; n/a where nothing is there to be scored."""
    return [f"{SCORE_NAMES[name]} " + ("n/a" if score is None else f"{score:.4g}" if name in (
        "mae", "rmse", "bias") else f"{score:.3f}")
            for name, score in row.items() if name in SCORE_NAMES]


if __name__ == "__main__":
    with exit_on_bad_input():
        main(arguments)
