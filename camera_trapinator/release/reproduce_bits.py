"""Whether two run folders hold the same bits: weights, optimizer and scores of all epochs."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from ..training.checkpoint import load_checkpoint

# What a run is; its config and what it has learned from name folders, which may be others.
CONTENT = ("model_arguments", "model", "training", "optimizer", "scaler", "thresholds",
           "temperature", "values")
TIMES = ("seconds", "images_per_second")  # columns of log.csv that no two runs share


def compare_bits(then: Path, now: Path) -> tuple[list[str], str]:
    """What differs between two run folders, for people ([] = they hold the same bits), and what
    was compared. Raises InputError where a checkpoint cannot be read."""
    differences, tensors, epochs = [], 0, 0
    for name in ("last.pt", "best.pt"):
        old, new = (load_checkpoint(folder / name) for folder in (then, now))
        if name == "last.pt":
            epochs = len(old["history"])
            differences += compare_history(old["history"], new["history"])
        elif len(old["history"]) != len(new["history"]):
            differences.append(f"best.pt is of epoch {len(old['history'])} then, of epoch "
                               f"{len(new['history'])} now")
        differences += compare_content(name, old, new)
        tensors += sum(isinstance(value, Tensor) for _, value in _leaves(old))
    return differences, f"{tensors} tensors of last.pt and best.pt, {epochs} epochs of log.csv"


def compare_history(then: list[dict], now: list[dict]) -> list[str]:
    """The first epoch whose scores differ in any digit, and in what."""
    for old, new in zip(then, now, strict=False):
        names = [name for name in dict.fromkeys((*old, *new)) if name not in TIMES
                 and repr(old.get(name)) != repr(new.get(name))]  # repr: nan is nan
        if names:
            first = names[0]
            more = f" ({len(names) - 1} more columns differ)" if names[1:] else ""
            return [f"epoch {old['epoch']} is the first one in which log.csv differs: {first} "
                    f"{old.get(first)!r} then, {new.get(first)!r} now{more}"]
    if len(then) != len(now):
        return [f"log.csv has {len(then)} epochs then, {len(now)} now"]
    return []


def compare_content(file: str, then: dict, now: dict) -> list[str]:
    """How many tensors of a checkpoint differ, and where most; likewise other values."""
    old, new = dict(_leaves(then)), dict(_leaves(now))
    differ = [name for name in dict.fromkeys((*old, *new))
              if name not in old or name not in new or not _same(old[name], new[name])]
    if not differ:
        return []
    sizes = {name: _distance(old[name], new[name]) for name in differ
             if name in old and name in new}
    sizes = {name: size for name, size in sizes.items() if size is not None}
    if not sizes:
        name = differ[0]
        return [f"{file}: {len(differ)} of {len(old)} values differ, such as {name}: "
                f"{_told(old.get(name))} then, {_told(new.get(name))} now"]
    most = max(sizes, key=sizes.get)
    return [f"{file}: {len(differ)} of {len(old)} values differ, most {most}: by "
            f"{sizes[most]:.3g}, where it goes up to {float(old[most].abs().max()):.3g}"]


def _leaves(content: object, name: str = "") -> Iterator[tuple[str, object]]:
    """Each tensor and plain value of a checkpoint, with its place, such as model/last.weight."""
    if not name:
        content = {key: content.get(key) for key in CONTENT}
    if isinstance(content, dict):
        pairs = content.items()
    elif isinstance(content, (list, tuple)):
        pairs = enumerate(content)
    else:
        yield name, content
        return
    for key, value in pairs:
        yield from _leaves(value, f"{name}/{key}" if name else str(key))


def _same(old: object, new: object) -> bool:
    """Equal to the bit: of tensors nan is nan, and 0.0 is not -0.0."""
    if isinstance(old, Tensor) and isinstance(new, Tensor):
        return (old.dtype == new.dtype and old.shape == new.shape
                and torch.equal(_bytes(old), _bytes(new)))
    return type(old) is type(new) and repr(old) == repr(new)


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.contiguous(memory_format=torch.contiguous_format).reshape(-1).view(torch.uint8)


def _distance(old: object, new: object) -> float | None:
    """By how much two tensors of one shape differ at most; None for what has no distance."""
    if not (isinstance(old, Tensor) and isinstance(new, Tensor) and old.shape == new.shape
            and old.numel()):
        return None
    return float((old.double() - new.double()).abs().max())


def _told(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    return f"{value!r:.60}"
