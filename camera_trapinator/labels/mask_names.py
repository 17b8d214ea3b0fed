"""Masks whose names are not simply those of their photos: nnU-Net's, and other endings."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from .. import InputError
from .exports import files_below
from .source import Source

CHANNEL = re.compile("(.*)_([0-9]{4})", re.DOTALL)  # nnU-Net: a photo's name, and which channel


def without_channels(source: Source, pairs: Sequence[tuple[str, Path | None]],
                      alone: Sequence[Path]) -> tuple[list[tuple[str, Path | None]], list[Path]]:
    """The pairs, and the masks without photo, once nnU-Net's names are understood: `x_0000.png` is
    the photo of the mask `x.png`, `x_0001.png` another channel (depth, heat ...) and no photo.
    Source: nnU-Net's documentation, dataset_format.md."""
    masks = {os.path.splitext(path.relative_to(source.path).as_posix())[0]: path for path in alone}
    found, channels, taken = [], [], set()
    for file, mask in pairs:
        match = CHANNEL.fullmatch(os.path.splitext(file)[0])
        if mask is None and match and match[1] in masks:
            taken.add(masks[match[1]])
            if match[2] != "0000":
                channels.append(file)
                continue
            mask = masks[match[1]]
        found.append((file, mask))
    if channels:
        source.told.append(f"left out: {len(channels)} further channels of nnU-Net, which are no "
                           f"photos, such as {source.images / channels[0]}")
    return found, [path for path in alone if path not in taken]


def refuse_ending(source: Source, photos: Sequence[str], ending: str) -> None:
    """Where no photo has a mask, tell what follows the photos' names in the names of pictures."""
    stems = {os.path.splitext(photo)[0] for photo in photos}
    for path in files_below(source.path, os.path.splitext(ending)[1]):
        name = path.relative_to(source.path).as_posix()
        for place in range(len(name) - 1, 0, -1):
            if name[:place] in stems and os.path.splitext(name)[0] != name[:place]:
                raise InputError(f"{source.path}: no photo has a mask that ends in {ending!r}; "
                                 f"for masks such as {path} say --ending {name[place:]}")
