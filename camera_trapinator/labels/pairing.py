"""Photos and their label files, where tools write one for each photo; and masks beside photos."""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..data.files import spelled
from ..data.photos import look_below
from .exports import files_below
from .shapes import Labels
from .source import Source

# A mask beside its photo: a_mask.png of a.jpg.
MASK_OF = re.compile(r"(.+)[_.-](masks?|labels?|seg|segmentation)", re.IGNORECASE | re.DOTALL)


def pair_labels(source: Source, ending: str, exchange: bool = False,
                ) -> tuple[list[tuple[str, Path | None]], list[Path]]:
    """Each photo of a source, relative, with its label file below `source.path`, if it has one.

    The label of `a/IMG_1.jpg` is `a/IMG_1<ending>` or `a/IMG_1.jpg<ending>`, in any spelling, told
    where it is another one; with `exchange` also that with the last folder `images` called
    `labels`. Where no label lies so, a photo's is the one that has the end of its path, such as its
    name alone. Photos and picture labels may share a folder: a photo's label is no photo, nor is a
    mask of another name beside it. Returns the pairs, and the label files that belong to no photo;
    what is not clear is a fault.
    """
    images, found = source.images, {}
    for path in files_below(source.path, ending):
        base = path.relative_to(source.path).as_posix()[:-len(ending)]
        if base in found:
            source.faults.append(f"{path}: {found[base].name} is a label of the same photo; leave "
                                 "one of them out")
        found.setdefault(base, path)
    bases = {path: spelled(base) for base, path in found.items()}
    names = {spelled(name) for file in source.photos for name in (file, os.path.splitext(file)[0])
             if name == file or images / file not in bases}
    photos = [file for file in source.photos if bases.get(images / file) not in names]
    wanted = {file: _bases_of(file, source, exchange) for file in photos}
    chosen: dict[str, Path] = {}
    owners: dict[Path, str] = {}
    _choose({file: [found[base] for base in wanted[file] if found.get(base, images / file)
                    != images / file] for file in photos}, chosen, owners, source)
    left: dict[str, list[Path]] = {}
    no_labels = {images / file for file in photos}
    for path, base in bases.items():
        if path not in owners and path not in no_labels:
            left.setdefault(base, []).append(path)
    _choose({file: [path for base in wanted[file] for path in left.get(spelled(base), ())]
             for file in photos if file not in chosen}, chosen, owners, source,
            "are spelled in another way than their photos")
    if not chosen:
        _choose({file: _by_the_end(spelled(wanted[file][0]), left) for file in photos}, chosen,
                owners, source, "lie in another folder than their photos")
    return ([(file, chosen.get(file)) for file in without_masks(source, photos, chosen)],
            [path for path in found.values() if path not in owners.keys() | no_labels])


def _bases_of(file: str, source: Source, exchange: bool) -> list[str]:
    """The paths below the labels, without ending, where a photo's label may lie."""
    files = [file]
    *folders, name = Path(os.path.abspath(source.images / file)).parts
    places = [place for place, folder in enumerate(folders) if spelled(folder) == "images"]
    if exchange and places:  # ds/train/images/a.jpg, ds/train/labels/a.txt
        folders[places[-1]] = "labels"
        label, root = Path(*folders, name), os.path.abspath(source.path)
        if label.is_relative_to(root):
            files.append(label.relative_to(root).as_posix())
    return list(dict.fromkeys(base for file in files for base in (os.path.splitext(file)[0], file)))


def _by_the_end(base: str, labels: dict[str, list[Path]]) -> list[Path]:
    """The labels that have the longest end of a photo's path."""
    parts = base.split("/")
    return next((labels[end] for place in range(1, len(parts))
                 if (end := "/".join(parts[place:])) in labels), [])


def _choose(fitting: dict[str, list[Path]], chosen: dict[str, Path], owners: dict[Path, str],
            source: Source, how: str = "") -> None:
    """Give photos the labels that fit them, and labels their owners; tell `how` they fit. Two that
    fit are a fault."""
    told = []
    for file, labels in fitting.items():
        if len(labels) > 1 or (labels and labels[0] in owners):
            other = labels[1] if len(labels) > 1 else source.images / owners[labels[0]]
            source.faults.append(f"{labels[0]}: is it the label of {source.images / file}? {other} "
                                 "stands in the way; rename one of them")
        if labels:
            chosen[file] = labels[0]
            told.append(f"{labels[0]} for {source.images / file}")
            owners |= {label: owners.get(label, file) for label in labels}
    if told and how:
        source.told.append(f"{source.path}: {len(told)} labels {how}, such as {told[0]}")


def masks_beside(photos: Sequence[str]) -> list[str]:
    """Those photos of a folder that have the name of another one and `_mask`, `_label`, `_seg` or
    the like behind it: its masks, and no photos."""
    names = {spelled(name) for file in photos for name in (file, os.path.splitext(file)[0])}
    return [file for file in photos if (match := MASK_OF.fullmatch(os.path.splitext(file)[0]))
            and spelled(match[1]) in names]


def without_masks(source: Source, photos: Sequence[str], labelled: Iterable[str]) -> list[str]:
    """The photos of a source that are no masks beside others, of which is told; those that are
    `labelled` are photos whatever their names."""
    masks = set(masks_beside(photos)) - set(labelled)
    source.left_out += [source.images / mask for mask in masks]
    if masks:
        source.told.append(f"{source.images}: {len(masks)} pictures are left, masks beside photos "
                           f"by their names, such as {source.images / min(masks)}")
    return [file for file in photos if file not in masks]


def without_photo(source: Source, labels: Sequence[Path], names: Sequence[str] = ()) -> None:
    """Note the label files whose photo is missing: as faults unless they may be skipped. `names`:
    what each of them calls its photo."""
    if labels and not source.skip_missing:
        name = f" {names[0]!r}" if names else ""
        more = f", nor are those of {len(labels) - 1} more labels" * (len(labels) > 1)
        source.faults.append(f"{labels[0]}: its photo{name} is not in {source.images}{more}"
                             f"{_namesake(source, [*names[:1], labels[0].name])}; bring the "
                             "photos, or leave the labels out with --skip-missing")
    else:
        source.unpaired += [f"{path}: its photo is missing" for path in labels]


def _namesake(source: Source, names: Sequence[str]) -> str:
    """A picture that has one of these names, but for its folder or its suffix."""
    pictures = source.photos + [file for files in source.below.passed_over.values()
                                for file in files]
    for name in names:
        stem = spelled(os.path.splitext(name.replace("\\", "/").rpartition("/")[2])[0])
        mask = MASK_OF.fullmatch(stem)
        for file in pictures:
            if spelled(os.path.splitext(file)[0].rpartition("/")[2]) in (stem, mask and mask[1]):
                return f" ({source.images / file} is there)"
    return ""


def left_over(folders: Iterable[Path], labels: Labels, out: Path) -> tuple[list[str], list[str]]:
    """What lies in the folders of the photos, but is not imported: a line for each photo that no
    label names, and a line for each kind of other things (videos, masks beside photos ...).

    Masks in `out` are no photos; of what the labels have left out it is told already.
    """
    known = [*(photo.source for photo in labels.photos), *labels.left_out]
    listed = {os.path.realpath(path) for path in known}
    unlisted, others = [], []
    for folder in {folder.resolve(): folder for folder in folders}.values():
        below = look_below(folder)
        files = [file for file in below.photos if os.path.realpath(folder / file) not in listed
                 and not (folder / file).is_relative_to(out / "masks")]
        masks = sorted(set(masks_beside(below.photos)) & set(files))
        unlisted += [f"{folder / file}: no label names this photo" for file in files
                     if file not in masks]
        kinds = dict(below.passed_over)
        if masks:
            kinds["masks beside photos, by their names"] = masks
        others += [f"{len(paths)} {what} (such as {folder / paths[0]})"
                   for what, paths in kinds.items()]
    return unlisted, others
