"""Masks whose names are not simply those of their photos: nnU-Net's, and other endings."""

import filecmp
import os
import re
from collections.abc import Sequence
from pathlib import Path

from .. import InputError
from ..data.files import spelled
from ..data.photos import PHOTO_SUFFIXES
from .exports import files_below
from .pairing import MASK_OF
from .source import Source

PICTURES = (*PHOTO_SUFFIXES, ".bmp", ".gif", ".webp", ".jp2", ".tga", ".pbm", ".pgm", ".ppm")
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
    source.left_out += [source.images / file for file in channels]
    if channels:
        source.told.append(f"left out: {len(channels)} further channels of nnU-Net, which are no "
                           f"photos, such as {source.images / channels[0]}")
    return found, [path for path in alone if path not in taken]


def refuse_ending(source: Source, photos: Sequence[str], ending: str) -> None:
    """Where no photo has a mask, tell what follows the photos' names in the names of pictures."""
    stems = {os.path.splitext(photo)[0] for photo in photos}
    no_masks = {source.images / photo for photo in photos}
    for path in _pictures(source):
        if path in no_masks:
            continue
        name = path.relative_to(source.path).as_posix()
        for place in range(len(name) - 1, 0, -1):
            if name[:place] in stems and os.path.splitext(name)[0] != name[:place]:
                raise InputError(f"{source.path}: no photo has a mask that ends in {ending!r}; "
                                 f"for masks such as {path} say --ending {name[place:]}")


def note_other_endings(source: Source, photos: Sequence[str], ending: str) -> None:
    """Make a fault of each picture that is named like one of these `photos`, which have no mask,
    but does not end so: it would be a mask that nobody reads, and its photo background."""
    names: dict[str, set[Path]] = {}  # of photos, and of the ends of their paths
    for photo in photos:
        for stem in (photo, os.path.splitext(photo)[0]):
            for start in [0, *(match.end() for match in re.finditer("/", stem))]:
                names.setdefault(spelled(stem[start:]), set()).add(source.images / photo)
    for path in _pictures(source) if names else ():
        if path.name.lower().endswith(ending.lower()):
            continue
        base, suffix = os.path.splitext(path.relative_to(source.path).as_posix())
        mask = MASK_OF.fullmatch(base)
        stem = next((stem for stem in (base, base.removesuffix(os.path.splitext(ending)[0]),
                                       mask and mask[1]) if stem and spelled(stem) in names), None)
        alike = sorted(names.get(spelled(stem or ""), set()) - {path})
        if alike and not any(_is_photo(path, photo) for photo in alike):
            source.faults.append(
                f"{path}: a picture that is named like the photo {alike[0]}, but does not end in "
                f"{ending}; say --ending {base[len(stem):]}{suffix} if it is its mask (all masks "
                "must end alike), else take it away")


def _pictures(source: Source) -> list[Path]:
    """The pictures in the folder of the masks."""
    return [path for path in files_below(source.path, "") if path.suffix.lower() in PICTURES]


def _is_photo(path: Path, photo: Path) -> bool:
    """Whether a picture is the photo, or a copy of it, or another photo beside it."""
    return path.samefile(photo) or filecmp.cmp(path, photo, shallow=False) or (
        path.suffix.lower() in (".jpg", ".jpeg") and path.parent.samefile(photo.parent))
