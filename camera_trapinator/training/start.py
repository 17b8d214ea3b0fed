"""What a network begins as: which one, with which weights, beside which teacher."""

from contextlib import suppress

import torch
from torch import nn

from .. import InputError
from ..config import Config
from ..data.learned import Learned
from ..dataset import CameraTrapDataset
from ..model import SegmentationModel, build_model, load_model
from ..networks.weights import adopt, pretrained_weights
from ..utils import RUNS
from .checkpoint import load_checkpoint, weights_file
from .preparation import Data


def start_net(config: Config, data: Data, dataset: CameraTrapDataset) -> SegmentationModel:
    """The network that the config describes, for what the dataset gives, with the weights that it
    begins with."""
    net = build_model(network=config.network, num_classes=len(data.classes),
                      channels=dataset.channels, **{
                          name: getattr(config, name)
                          for name in ("working_scale", "encoder", "width", "depth", "norm")})
    if data.values:
        net.expect_values(data.values["mean"], data.values["spread"])
    first_weights(net, config, data)
    return net


def first_weights(net: SegmentationModel, config: Config, data: Data) -> None:
    """Give a new network what the knob `weights` says: those of another run, pretrained ones, or
    chance."""
    encoder_weights = config.weights
    if config.weights not in ("imagenet", "none"):
        path = weights_file(config.weights)
        encoder_weights = str(path)
        if not path.is_file():
            raise InputError(f"weights: {config.weights} is neither imagenet nor none, no file, "
                             f"and no run of {RUNS}")
        try:
            other = load_checkpoint(path)
        except InputError:  # perhaps the weights of an encoder alone
            if config.encoder == "none":
                raise
        else:
            adopt(net, data.names, other["model"], [name for name, _ in other["classes"]])
            return
    if config.encoder != "none" and config.weights != "none":
        net.load_encoder(pretrained_weights(config.encoder, encoder_weights))
    if config.task == "classification":
        net.expect(data.shares[data.train_rows].sum(axis=0))


def find_teacher(config: Config, classes: list[str], device: torch.device) -> nn.Module | None:
    """The trained network that the knob `teacher` names, frozen; None if there is none."""
    if not config.teacher:
        return None
    checkpoint = load_checkpoint(weights_file(config.teacher))
    known = [name for name, _ in checkpoint["classes"]]
    if known != classes:
        raise InputError(f"teacher: {config.teacher} knows the classes {', '.join(known)}; the "
                         f"photos' are {', '.join(classes)}. They must be the same, in one order")
    teacher = load_model(checkpoint)
    return teacher.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)


def learned_before(config: Config) -> Learned:
    """What the runs have learned from that a new run begins with: `weights` and `teacher`."""
    learned = Learned()
    for name in {config.weights, config.teacher} - {"imagenet", "none", ""}:
        with suppress(InputError):  # weights of an encoder alone, which tell nothing
            learned |= Learned.of(name, load_checkpoint(weights_file(name)))
    return learned


def warn_of_seen(data: Data, before: Learned) -> None:
    """Say so where a run begins with others that have learned from what it is judged by."""
    for split in ("val", "test"):
        places = {row.location for row, name in zip(data.manifest, data.splits, strict=True)
                  if name == split}
        if seen := sorted(filter(before.knows_location, places)):
            print(f"warning     the run begins with weights, or a teacher, that have learned from "
                  f"{len(seen)} of the {len(places)} {split} locations, such as {seen[0]}: scores "
                  "there are those of seen locations")
    for name in sorted(before.unknown):
        print(f"warning     {name} does not tell what it has learned from: it may know the test "
              "locations")


def describe_model(net: nn.Module, config: Config) -> str:
    """Which network it is, and how large, for people."""
    parameters = sum(parameter.numel() for parameter in net.parameters())
    if config.network != "unet":
        name = config.network
    elif config.encoder == "none":
        name = f"U-Net, width {config.width}, depth {config.depth}"
    else:
        name = f"U-Net, encoder {config.encoder} ({config.weights}), width {config.width}"
    return f"{name}, {parameters / 1e6:.1f} million parameters"
