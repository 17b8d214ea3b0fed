"""Train a U-Net to segment animals in camera-trap photos.

    python scripts/train.py --config configs/unet.yaml
    python scripts/train.py --config configs/unet.yaml --run wide width=96 batch_size=4
    python scripts/train.py --config configs/unet.yaml --resume
    python scripts/train.py --config configs/unet.yaml --dry-run            # does all work?
    python scripts/train.py --config configs/unet.yaml --overfit-one-batch  # does it learn?

Any knob of configs/unet.yaml can follow as key=value. Everything that the run makes goes to
cnn_states/<run>/; `scripts/test.py` takes it from there. How to change the optimizer, the loss, the
network, a metric ...: docs/recipes.md.
"""

import argparse
import math
from dataclasses import replace
from pathlib import Path

try:
    from camera_trapinator.command.arguments import ScriptParser, same_checkout
except ImportError:
    import environment  # noqa: F401 (it says what to do)


def parse_arguments() -> argparse.Namespace:
    parser = ScriptParser(__doc__)
    parser.add_argument("--config", required=True, help="YAML file, such as configs/unet.yaml")
    parser.add_argument("--run", help="name of the run (default: the config's name)")
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="go on with a run that was stopped")
    again.add_argument("--overwrite", action="store_true", help="delete a run of this name first")
    trial = parser.add_mutually_exclusive_group()
    trial.add_argument("--dry-run", action="store_true",
                       help="two batches of everything, and what it costs; makes no run")
    trial.add_argument("--overfit-one-batch", action="store_true",
                       help="learn one batch by heart: it must succeed if all fits together")
    return parser.parse_with_knobs()


if __name__ == "__main__":
    same_checkout(__file__, "torch")
    arguments = parse_arguments()  # before torch, which takes seconds to import

import torch

from camera_trapinator.config import Config, load_config
from camera_trapinator.data.loading import PhotoLoader, group_by_shape
from camera_trapinator.data.strips import describe_strips
from camera_trapinator.loss import build_criterion
from camera_trapinator.metrics import ConfusionMatrix, RegressionErrors
from camera_trapinator.model import load_model
from camera_trapinator.networks.memory import enough_memory
from camera_trapinator.networks.prediction import likeliest
from camera_trapinator.training.curriculum import find_difficulty, show_difficulty
from camera_trapinator.training.learner import Learner, next_batch_size, summed
from camera_trapinator.training.preparation import (
    class_weights,
    describe_splits,
    describe_values,
    make_sampler,
    make_sets,
    read_data,
    with_knobs,
)
from camera_trapinator.training.processes import Processes, join_processes, part_processes
from camera_trapinator.training.reading import Reading
from camera_trapinator.training.run import Run, open_run
from camera_trapinator.training.start import describe_model, find_teacher, start_net
from camera_trapinator.training.summary import training_workers
from camera_trapinator.training.trial import DryRun, OverfitOneBatch, Trial, first_draws
from camera_trapinator.transforms import train_transform
from camera_trapinator.utils import (
    choose_device,
    choose_precision,
    describe_device,
    exit_on_bad_input,
    find_config,
    seed_everything,
    to_numpy,
)


def main(arguments: argparse.Namespace) -> None:
    trial = (DryRun() if arguments.dry_run else OverfitOneBatch() if arguments.overfit_one_batch
             else Trial())
    config = trial.config(load_config(find_config(arguments.config), arguments.overrides))
    device = choose_device(config.device)
    processes = join_processes(device) if trial.kept else Processes()
    name = trial.name(arguments.run, Path(arguments.config).stem)
    with open_run(name, config, processes, resume=arguments.resume,
                  overwrite=arguments.overwrite, kept=trial.kept) as run:
        train(config, run, device, trial)
    part_processes()


def train(config: Config, run: Run, device: torch.device, trial: Trial) -> None:
    """From the config to a trained network in the run's folder: build the parts, then fit()."""
    # The photos and masks, and who learns from which.
    with run.processes.first_alone():
        data = read_data(config, run.folder, trial.most(config), run.state)
    config = run.config = replace(config, split_by=data.split_by)  # auto, settled
    precision = choose_precision(device, run.precision)  # as a rule the fastest of the device
    seed_everything(config.seed, config.deterministic)
    difficulty = find_difficulty(config, data, run, device, precision)

    # The datasets: training photos at random and augmented, validation photos as they are.
    transform = trial.transform(with_knobs(train_transform, config), config)
    train_set, val_set = make_sets(config, data, transform, run.processes)
    sampler = make_sampler(config, data, difficulty, run.processes)

    # The network, the criterion and the optimizer.
    net = start_net(config, data, train_set) if run.state is None else load_model(run.state)
    net = net.to(device, memory_format=torch.channels_last)
    teacher = find_teacher(config, data.names, device)
    criterion = build_criterion(config.loss, class_weights(config, data), data.spread)
    criterion = summed(criterion, teacher, config.teacher_share).to(device)
    learner = Learner(net, config, precision, run.processes, teacher)
    optimizer = build_optimizer(config, learner.net)
    scaler = torch.amp.GradScaler(device.type, enabled=precision.scaler)
    run.keep(data, learner, optimizer, scaler)  # a resumed run gives them its state

    # The loaders, whose processes read the photos of the next batches meanwhile.
    num_workers = training_workers(config, net, train_set, first_draws(sampler), precision)
    reading = {"num_workers": num_workers, "device": device, "read_timeout": config.read_timeout,
               "persistent_workers": num_workers > 0}
    train_loader = PhotoLoader(train_set, batch_sampler=sampler, **reading)
    val_loader = PhotoLoader(val_set, batch_size=config.predict_batch_size,
                             collate_fn=group_by_shape, **reading)
    train_loader, val_loader = trial.loaders(train_loader, val_loader, config)

    print(f"device      {describe_device(device, precision)}")
    print(f"photos      {describe_splits(config, data)}")
    if config.strips != "none":
        print(f"strips      {describe_strips(data.strips)}")
    print(f"steps       {trial.steps(config, len(sampler))}")
    print(f"classes     {', '.join(data.names)}" if not data.values else
          f"quantity    {config.quantity}: {describe_values(data.values)}")
    if difficulty is not None:
        show_difficulty(run, difficulty, sampler)
    print(f"model       {describe_model(net, config)}")
    print(f"run         {run.folder}")
    with enough_memory(next_batch_size(config)), run.stop:
        fit(run, learner, train_loader, val_loader, criterion, optimizer, scaler, config)
    trial.tell(run)


def build_optimizer(config: Config, net: torch.nn.Module) -> torch.optim.Optimizer:
    """SGD or AdamW; `rate` is what a group's learning rate is as a share of the knob."""
    encoder = [weight for name, weight in net.named_parameters() if name.startswith("encoder.")]
    others = [weight for name, weight in net.named_parameters() if not name.startswith("encoder.")]
    groups = [{"params": others, "rate": 1.0}]
    if encoder:
        groups.append({"params": encoder, "rate": config.encoder_rate})
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, config.learning_rate, weight_decay=config.weight_decay,
                                 fused=True)
    return torch.optim.SGD(groups, config.learning_rate, momentum=0.9, nesterov=True, fused=True,
                           weight_decay=config.weight_decay)


def learning_rate(epoch: float, config: Config) -> float:
    """Up in a line during the warm-up, then down along half a cosine; `epoch` may be a fraction."""
    warmup = min(config.warmup_epochs, config.epochs / 2)
    if epoch < warmup:
        return config.learning_rate * (epoch + 1e-3) / warmup
    progress = (epoch - warmup) / (config.epochs - warmup)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def fit(run: Run, learner: Learner, train_loader, val_loader, criterion, optimizer, scaler,
        config: Config) -> None:
    """Train from where the run is to the last epoch; the only training loop there is."""
    device = learner.device
    for epoch in range(run.epoch, config.epochs):
        learner.begin_epoch(epoch)
        for images, masks in run.batches(train_loader, epoch):
            # Images and masks must be where the network is.
            images = images.to(device, non_blocking=True)  # uint8 (N, 3, H, W)
            masks = masks.to(device, non_blocking=True)  # uint8 (N, H, W); regression: float32

            # The learning rate depends on the time alone.
            for group in optimizer.param_groups:
                group["lr"] = group.get("rate", 1.0) * learning_rate(run.time, config)

            weight = learner.weight(criterion, masks)  # of the whole batch: the parts add up
            total = torch.zeros((), device=device)
            optimizer.zero_grad()
            for part, part_masks in learner.parts(images, masks):
                # Forward: what does the network say, and how wrong is it?
                with learner.autocast():
                    pred = learner.model(part)  # (N, C, H, W)
                loss = criterion(pred, part_masks, weight)
                # Backward: how must each weight change? (Never twice for one forward pass.)
                scaler.scale(loss).backward()
                total += loss.detach()  # without detach() every graph would stay in memory
            # Change the weights; a step that is no number changes nothing.
            run.note(learner.step(optimizer, scaler, total, run.steps))

        with run.validation():
            scores, reading = validate(run, learner, val_loader, criterion, config)
        run.end_epoch(scores, reading)  # last.pt, best.pt, log.csv, curves, a line


@torch.no_grad()
def validate(run: Run, learner: Learner, loader, criterion, config: Config,
             ) -> tuple[dict, dict]:
    """The scores of the validation photos, whole, at network size: what is in the dict appears in
    log.csv, the bar and the curves. And how its answers are to be read: see Progress."""
    net, device, processes = learner.averaged, learner.device, run.processes
    matrix, errors = ConfusionMatrix(net.num_classes, device), RegressionErrors()
    losses = torch.zeros(2, 2, device=device)  # sum and weight, for up to two losses
    reading = Reading()
    found = net.predict(loader, learner.precision.dtype, config.flips, config.tile)
    for prediction in run.predictions(found, loader):
        truth = prediction.photo.target.to(device)  # (H, W)
        for sums, value in zip(losses, criterion.sums(prediction.logits[None], truth[None]),
                               strict=True):
            sums[:len(value)] += value
        if net.regression:
            errors.update(truth, prediction.logits[0])
            continue
        matrix.update(truth, likeliest(prediction.logits))
        reading.update(truth, prediction)
    # Exact sums over all processes, whose photos are all different.
    total, weight = processes.sum(losses)
    matrix.counts = processes.sum(matrix.counts)
    errors.sums = to_numpy(processes.sum(torch.from_numpy(errors.sums)))
    scores = {"val_loss": float((total / weight.clamp(min=1e-6)).sum())}
    if net.regression:
        scores |= errors.scores()
    else:
        scores |= {"mean_iou": matrix.mean_iou(), "foreground_iou": matrix.foreground_iou()}
    return scores, reading.of_all(processes)


if __name__ == "__main__":
    with exit_on_bad_input():
        main(arguments)
