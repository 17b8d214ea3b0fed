"""Train a U-Net to segment animals in camera-trap photos.

    python scripts/train.py --config configs/unet.yaml
    python scripts/train.py --config configs/unet.yaml --run wide width=96 batch_size=4
    python scripts/train.py --config configs/unet.yaml --resume

Any knob of camera_trapinator/config.py can follow as key=value. Everything that the run makes
goes to cnn_states/<run>/; `scripts/test.py` takes it from there.
"""

import argparse
import copy
import math
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader
from tqdm import tqdm

from camera_trapinator import IGNORE, InputError
from camera_trapinator.checkpoint import git_state, load_checkpoint, save_checkpoint, write_log
from camera_trapinator.config import Config, config_text, load_config
from camera_trapinator.dataset import (
    CameraTrapDataset,
    PredictionDataset,
    check_photos,
    describe_strips,
    group_by_shape,
    known_fingerprints,
    strips_for,
    write_strips,
)
from camera_trapinator.loss import build_criterion
from camera_trapinator.manifest import Manifest, read_classes, read_manifest
from camera_trapinator.metrics import ConfusionMatrix, recall_thresholds
from camera_trapinator.model import adopt, build_model, pretrained_weights
from camera_trapinator.outputs import smoothed
from camera_trapinator.outputs.curves import write_curves
from camera_trapinator.outputs.model_card import write_model_card
from camera_trapinator.sampler import TrainSampler
from camera_trapinator.splits import (
    KNOBS,
    find_leaks,
    make_splits,
    near_duplicates,
    read_splits,
    write_splits,
)
from camera_trapinator.transforms import train_transform
from camera_trapinator.utils import (
    ROOT,
    RUNS,
    Precision,
    checks_of,
    choose_device,
    choose_precision,
    describe_device,
    exit_on_bad_input,
    find_config,
    here_or_below_root,
    seed_everything,
)

AUGMENTATION = ("crop_size", "scale_range", "flip", "brightness", "contrast", "colour",
                "grayscale", "noise", "blur", "infrared")
# What may change on --resume, because the result does not depend on it.
MACHINE = ("device", "num_workers", "compile", "predict_batch_size", "flips", "mask_size",
           "smallest_blob", "faint", "event_minutes", "outputs", "deployments_file",
           "project_file", "data_root")


def main() -> None:
    arguments = parse_arguments()
    config = load_config(find_config(arguments.config), arguments.overrides)
    run = RUNS / (arguments.run or Path(arguments.config).stem)
    state = find_state(run, config, arguments.resume)

    # The data: which photos there are, whether they are sound, and who learns from which.
    data_root = ROOT / config.data_root
    if not data_root.is_dir():
        raise InputError(f"data_root: {data_root} is no folder; set data_root to where your data "
                         "are, or make the demo photos with scripts/make_demo_data.py")
    manifest = read_manifest(data_root / "manifest.csv")
    classes = read_classes(data_root / "classes.csv")
    shares = check_photos(manifest, data_root, len(classes), checks_of(data_root))
    given = (read_splits(here_or_below_root(config.splits_file), manifest) if config.splits_file
             else None)
    splits = make_splits(manifest, shares > 0, by=config.split_by, given=given,
                         **{name: getattr(config, name) for name in KNOBS})
    train_rows, val_rows = (np.flatnonzero(np.array(splits) == name) for name in ("train", "val"))
    # Fingerprints are there if scripts/check_data.py has read the photos.
    fingerprints = known_fingerprints(manifest, data_root, checks_of(data_root, "photos"))
    duplicates = near_duplicates(fingerprints, splits, manifest.column("location"))
    leakage = find_leaks(manifest, splits, config.split_by, bool(config.test_from), duplicates)
    check_splits(config, data_root, shares, train_rows, val_rows, leakage)
    # The cameras' info strips, which the network shall not see; a resumed run keeps its own.
    labelled = {row.location for row in manifest if row.mask}
    strips = strips_for(config.strips, [row for row in manifest if row.location in labelled],
                        data_root, known=run / "strips.csv")

    # The device, and the precision that it computes fastest in.
    device = choose_device(config.device)
    precision = choose_precision(device, config.precision)
    seed_everything(config.seed, config.deterministic)

    # The data loaders: training photos at random and augmented, validation photos as they are.
    train_set = CameraTrapDataset(
        manifest, data_root, config.working_scale, indices=train_rows,
        transform=partial(train_transform,
                          **{name: getattr(config, name) for name in AUGMENTATION}),
        strips=strips)
    val_set = PredictionDataset(manifest, data_root, config.working_scale, indices=val_rows,
                                strips=strips)
    sampler = TrainSampler(len(train_set), config.batch_size, config.seed)
    # A generator of their own keeps the loaders from drawing on the global one.
    workers = {"num_workers": config.num_workers, "pin_memory": device.type == "cuda",
               "persistent_workers": config.num_workers > 0, "generator": torch.Generator()}
    train_loader = DataLoader(train_set, batch_sampler=sampler, **workers)
    val_loader = DataLoader(val_set, batch_size=config.predict_batch_size,
                            collate_fn=group_by_shape, **workers)

    # The model, the criterion and the optimizer.
    net = build_model(**model_arguments(config, len(classes)))
    if state is None:
        first_weights(net, config, [name for name, _ in classes], shares[train_rows].sum(axis=0))
    net = net.to(device, memory_format=torch.channels_last)
    criterion = build_criterion(config.loss, class_weights(config, shares[train_rows])).to(device)
    optimizer = build_optimizer(config, net)
    scaler = torch.amp.GradScaler(device.type, enabled=precision.scaler)
    history = []
    if state is not None:
        net.load_state_dict(state.get("training") or state["model"])
        optimizer.load_state_dict(state["optimizer"])
        scaler.load_state_dict(state["scaler"])
        history = state["history"]
    averaged = net  # what is validated and saved to predict with
    if config.ema:
        averaged = copy.deepcopy(net).requires_grad_(False)
        if state is not None:
            averaged.load_state_dict(state["model"])
    if config.compile:
        net.compile()  # in place, so that the names of the weights stay as they are

    run.mkdir(parents=True, exist_ok=True)
    (run / "config.yaml").write_text(config_text(config), encoding="utf-8")
    (run / "git.txt").write_text(git_state(), encoding="utf-8")
    write_splits(run / "splits.csv", manifest, splits)
    write_strips(run / "strips.csv", strips)
    parameters = sum(parameter.numel() for parameter in net.parameters())
    print(f"device      {describe_device(device, precision)}")
    print(f"photos      {describe_splits(splits, manifest, config, leakage)}")
    if config.strips != "none":
        print(f"strips      {describe_strips(strips)}")
    print(f"classes     {', '.join(name for name, _ in classes)}")
    print(f"model       {describe_model(config)}, {parameters / 1e6:.1f} million parameters")
    print(f"run         {run}")

    def save(history: list[dict], thresholds: dict | None) -> None:
        """Write all that a run is after an epoch: last.pt, best.pt, log.csv, curves, the card."""
        content = {
            "model_arguments": net.arguments, "model": averaged.state_dict(),
            "training": net.state_dict() if config.ema else None,
            "optimizer": optimizer.state_dict(), "scaler": scaler.state_dict(),
            "history": history, "thresholds": thresholds, "config": config_text(config),
            "classes": [[name, list(colour)] for name, colour in classes],
        }
        scores = [row[config.best_by] or 0.0 for row in history]
        if scores[-1] > max(scores[:-1], default=-1.0):
            save_checkpoint(run / "best.pt", content)
        save_checkpoint(run / "last.pt", content)
        write_log(run / "log.csv", history)
        write_curves(run / "log.csv", run / "curves.png")
        write_model_card(run, content)

    fit(net, averaged, train_loader, val_loader, sampler, criterion, optimizer, scaler, precision,
        config, len(classes), history, save)
    best = max(history, key=lambda row: row[config.best_by] or 0.0)
    print(f"best        epoch {best['epoch']}, mean IoU {text(best['mean_iou'])}, foreground IoU "
          f"{text(best['foreground_iou'])} on the validation photos at network size")
    print(f"next        python scripts/test.py --run {run.name}")


def fit(net, averaged, train_loader, val_loader, sampler, criterion, optimizer, scaler,
        precision: Precision, config: Config, num_classes: int, history: list[dict], save) -> None:
    """Train from the epoch after `history` to the last one; the only training loop there is.

    `net` learns, `model` is what the training step calls; `averaged` is validated and saved: the
    running mean of the weights of `net`, or `net` itself.
    """
    model = net
    device = net.mean.device
    steps_per_epoch = len(sampler)
    for epoch in range(len(history), config.epochs):
        start, train_loss = time.perf_counter(), torch.zeros((), device=device)
        sampler.set_epoch(epoch)
        model.train()
        hold_encoder(net, epoch < config.freeze_encoder, config.freeze_norm)
        bar = tqdm(train_loader, desc=f"epoch {epoch + 1}/{config.epochs}", unit="batch",
                   leave=False, dynamic_ncols=True, disable=None)  # no bar in a log file
        for step, (images, masks, _) in enumerate(bar):
            # The learning rate depends on the time alone.
            done = epoch * steps_per_epoch + step
            for group in optimizer.param_groups:
                group["lr"] = group["rate"] * learning_rate(done / steps_per_epoch, config)

            # Images and masks must be where the network is.
            images = images.to(device, non_blocking=True)  # uint8 (N, 3, H, W)
            masks = masks.to(device, non_blocking=True)  # uint8 (N, H, W)

            # Forward: what does the network say, and how wrong is it?
            with torch.autocast(device.type, precision.dtype, enabled=precision.autocast):
                pred = model(images)  # (N, C, H, W)
            total, weight = criterion(pred, masks)
            loss = (total / weight).sum()

            # Backward: how does each weight have to change? (Never twice for one forward pass.)
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            if config.gradient_clip:
                scaler.unscale_(optimizer)
                torch.nn.utils.clip_grad_norm_(net.parameters(), config.gradient_clip)
            scaler.step(optimizer)
            scaler.update()
            if config.ema:
                follow(averaged, net, min(config.ema, (done + 1) / (done + 10)))

            train_loss += loss.detach()  # without detach() the sum would keep every graph alive
            if step % 20 == 19:  # reading the loss makes the CPU wait for the GPU: not each step
                speed = (step + 1) * len(images) / (time.perf_counter() - start)
                bar.set_postfix_str(f"loss {float(train_loss) / (step + 1):.3f}, "
                                    f"{speed:.0f} images/s")
        mean_loss = float(train_loss) / steps_per_epoch
        train_seconds = time.perf_counter() - start
        if not math.isfinite(mean_loss):
            raise InputError(f"epoch {epoch + 1}: the training loss is {mean_loss}; last.pt holds "
                             "the epoch before. Lower learning_rate, or set precision: fp32")

        scores, thresholds = validate(averaged, val_loader, criterion, precision, num_classes,
                                      config.flips)
        history.append({
            "epoch": epoch + 1, "lr": optimizer.param_groups[0]["lr"], "train_loss": mean_loss,
            **scores, "images_per_second": steps_per_epoch * len(images) / train_seconds,
            "seconds": time.perf_counter() - start})
        save(history, thresholds)
        print(f"epoch {epoch + 1}/{config.epochs}  train loss {mean_loss:.3f}  val loss "
              f"{scores['val_loss']:.3f}  mean IoU {text(scores['mean_iou'])}  foreground IoU "
              f"{text(scores['foreground_iou'])}  "
              f"{history[-1]['images_per_second']:.0f} images/s")


@torch.no_grad()
def validate(net, loader, criterion, precision: Precision, num_classes: int, flips: bool,
             ) -> tuple[dict, dict | None]:
    """Loss and scores on the validation photos, whole, at network size; and thresholds of the
    confidence, see metrics.recall_thresholds."""
    device = net.mean.device
    matrix, total, weight = ConfusionMatrix(num_classes, device), 0.0, 0.0
    confidences = []  # of the photos with an animal
    with closing(net.predict(loader, precision.dtype, flips)) as predictions:
        for prediction in predictions:
            if prediction.photo.failure:
                raise InputError(f"{loader.dataset.manifest[prediction.photo.index].image}: "
                                 f"{prediction.photo.failure}")
            truth = prediction.photo.target.to(device)
            photo_total, photo_weight = criterion(prediction.logits[None], truth[None])
            total, weight = total + photo_total, weight + photo_weight
            matrix.update(truth, prediction.logits.argmax(dim=0))
            if ((truth > 0) & (truth != IGNORE)).any():
                confidences.append(smoothed(prediction.foreground()).max())
    return {"val_loss": float((total / weight).sum()), "mean_iou": matrix.mean_iou(),
            "foreground_iou": matrix.foreground_iou()}, recall_thresholds(confidences)


def model_arguments(config: Config, num_classes: int) -> dict:
    """What `build_model` needs to know of the config."""
    arguments = {"num_classes": num_classes, "working_scale": config.working_scale,
                 "width": config.width, "norm": config.norm}
    if config.encoder == "none":
        return {**arguments, "depth": config.depth}
    return {**arguments, "encoder": config.encoder}


def first_weights(net, config: Config, classes: list[str], shares: np.ndarray) -> None:
    """What a new run begins with: another run's weights, pretrained ones, or chance."""
    if config.init_from:
        path = here_or_below_root(config.init_from)
        if not path.is_file():
            path = RUNS / config.init_from / "best.pt"
        other = load_checkpoint(path)
        adopt(net, classes, other["model"], [name for name, _ in other["classes"]])
        return
    if config.encoder != "none" and config.weights != "none":
        net.encoder.load_state_dict(pretrained_weights(config.encoder, config.weights))
    net.expect(shares)


def build_optimizer(config: Config, net) -> torch.optim.Optimizer:
    """SGD or AdamW; `rate` is what a group's learning rate is as a share of the knob."""
    encoder = [weight for name, weight in net.named_parameters() if name.startswith("encoder.")]
    others = [weight for name, weight in net.named_parameters() if not name.startswith("encoder.")]
    groups = [{"params": others, "rate": 1.0}]
    if encoder:
        groups.append({"params": encoder, "rate": config.encoder_rate})
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, config.learning_rate, weight_decay=config.weight_decay)
    return torch.optim.SGD(groups, config.learning_rate, momentum=config.momentum,
                           nesterov=config.momentum > 0, weight_decay=config.weight_decay)


def hold_encoder(net, frozen: bool, freeze_norm: bool) -> None:
    """Let a `frozen` encoder learn nothing; keep the statistics of its normalisation if asked."""
    if hasattr(net, "encoder"):
        net.encoder.requires_grad_(not frozen)
        for layer in net.encoder.modules():
            if (frozen or freeze_norm) and isinstance(layer, torch.nn.BatchNorm2d):
                layer.eval()


@torch.no_grad()
def follow(averaged, net, share: float) -> None:
    """Move a running mean of weights towards the weights: it keeps `share` of itself."""
    for mean, weight in zip(averaged.state_dict().values(), net.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(weight, 1 - share)
        else:
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


def check_splits(config: Config, data_root: Path, shares: np.ndarray, train_rows: np.ndarray,
                 val_rows: np.ndarray, leakage: list[str]) -> None:
    """Stop where training is in vain: nothing to learn from, or nothing to judge it by honestly."""
    if not len(val_rows):
        raise InputError("no photo is left for validation; raise val_fraction, or give some photos "
                         "the split val")
    if not shares[train_rows, 1:].any():
        raise InputError(f"{data_root / 'manifest.csv'}: no training mask holds any class but the "
                         "background. Are the masks 0 and 255? 255 means ignore: write 1 for the "
                         "animal, or import them with scripts/import_labels.py")
    if leakage and not config.allow_leakage:
        raise InputError(f"{'; '.join(leakage)}: scores there would be too good. Correct the "
                         "splits, say with split_by what may be shared, or set allow_leakage: "
                         "true, and every report will tell")


def describe_splits(splits: list[str], manifest: Manifest, config: Config,
                    leakage: list[str]) -> str:
    """How many photos of how many locations are where, and what leaks."""
    parts = []
    for name in ("train", "val", "test", "test_seen"):
        locations = {manifest[index].location for index, split in enumerate(splits)
                     if split == name}
        if locations:
            parts.append(f"{splits.count(name)} {name} ({len(locations)} locations)")
    line = ", ".join(parts)
    if config.split_by != "location":
        line += f"; split by {config.split_by}: the scores hold for seen locations only"
    for leak in leakage:
        line += f"\nwarning     {leak}: scores there are too good"
    return line


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


def describe_model(config: Config) -> str:
    if config.encoder == "none":
        return f"U-Net, width {config.width}, depth {config.depth}"
    return f"U-Net, encoder {config.encoder} ({config.weights}), width {config.width}"


def text(score: float | None) -> str:
    """A score for people; n/a where no class is there to be scored."""
    return "n/a" if score is None else f"{score:.3f}"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True, help="YAML file, such as configs/unet.yaml")
    parser.add_argument("--run", help="name of the run (default: the config's name)")
    parser.add_argument("--resume", action="store_true", help="go on with a run that was stopped")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="knobs to change")
    return parser.parse_intermixed_args()


if __name__ == "__main__":
    with exit_on_bad_input():
        main()
