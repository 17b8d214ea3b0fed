"""Train, validation and test photos: whole locations apart, so that scores are honest.

Photos of one camera share their background. A network that has seen it scores far better there
than at the next site, so the sites themselves are split, and with them all bursts of photos.
"""

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from . import InputError
from .manifest import Manifest

TRIALS = 1000  # random splits to choose the most balanced one from


def make_splits(manifest: Manifest, presence: np.ndarray, *, by: str, val_fraction: float,
                test_fraction: float, test_seen_fraction: float = 0.0, seed: int = 0) -> list[str]:
    """The split of each photo: train, val, test, test_seen, or "" for photos without a label.

    `presence`: bool (photos, classes), which classes a photo's mask holds; all False = no label.
    A `split` column in the manifest is obeyed; where it names no val photos, they are taken from
    its train photos. Otherwise whole units (`by`: location, sequence or photo) are drawn, many
    times, and the draw whose splits come nearest to the wanted share of the photos and of every
    class is taken. `test_seen_fraction` of the training photos, in whole sequences, become
    test_seen. Deterministic in `seed`. Raises InputError if there are too few units, or no photo
    with a label.
    """
    labelled = np.flatnonzero(presence.any(axis=1))
    if not len(labelled):
        raise InputError("no labelled photo: the mask column of the manifest is empty throughout "
                         "(give masks, or `background` for photos with nothing on them)")
    splits = np.array([""] * len(manifest), dtype="U9")
    given = manifest.column("split")
    if any(given):
        for index in labelled:
            if not given[index]:
                raise InputError(f"{manifest[index].image}: no split given, but other photos have "
                                 "one; fill in the split column, or leave it out")
            splits[index] = given[index]
        wanted = {"val": 0.0 if "val" in splits else val_fraction}
    else:
        splits[labelled] = "train"
        wanted = {"test": test_fraction, "val": val_fraction}
    wanted = {name: fraction for name, fraction in wanted.items() if fraction}

    random = np.random.default_rng([seed, 1])
    training = np.flatnonzero(splits == "train")
    if wanted and len(training):
        units = _units(manifest, training, by)
        _check_enough(units, wanted, by)
        names = _most_balanced(units, presence[training], wanted, random)
        splits[training] = names
    training = np.flatnonzero(splits == "train")
    if test_seen_fraction and "test_seen" not in splits and len(training):
        # One sequence of each location stays in training, or the location would be no seen one.
        units = _units(manifest, training, "sequence")
        first = np.unique(_units(manifest, training, "location"), return_index=True)[1]
        free = training[~np.isin(units, units[first])]
        if not len(free):
            raise InputError("test_seen_fraction: each training location has only one sequence; "
                             "set test_seen_fraction: 0")
        fraction = min(1.0, test_seen_fraction * len(training) / len(free))
        splits[free] = _most_balanced(_units(manifest, free, "sequence"), presence[free],
                                      {"test_seen": fraction}, random)
    if "train" not in splits:
        raise InputError("no photo is left to train on: the split column names no train photo")
    return splits.tolist()


def leaks(manifest: Manifest, splits: Sequence[str], column: str) -> list[str]:
    """The locations, or sequences, that stand in training and in another split.

    `column`: location or sequence. test_seen shares the training locations on purpose.
    """
    found: dict[str, set[str]] = {}
    for value, split in zip(manifest.column(column), splits, strict=True):
        if value and split and not (column == "location" and split == "test_seen"):
            found.setdefault(value, set()).add(split)
    return sorted(value for value, names in found.items() if "train" in names and len(names) > 1)


def write_splits(path: str | Path, manifest: Manifest, splits: Sequence[str]) -> None:
    """Write splits.csv (image, location, sequence, split), unlabelled photos left out."""
    temporary = Path(f"{path}.tmp")
    with open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["image", "location", "sequence", "split"])
        for row, split in zip(manifest, splits, strict=True):
            if split:
                writer.writerow([row.image, row.location, row.sequence, split])
    os.replace(temporary, path)


def read_splits(path: str | Path, manifest: Manifest) -> list[str]:
    """The splits that `write_splits` wrote, in the manifest's order ("" for photos not in it)."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            known = {row["image"]: row["split"] for row in csv.DictReader(file)}
    except (OSError, KeyError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as splits.csv ({error})") from None
    return [known.get(image, "") for image in manifest.column("image")]


def _units(manifest: Manifest, indices: np.ndarray, by: str) -> np.ndarray:
    """The number, from 0, of the unit that each photo belongs to and that must stay whole."""
    if by == "photo":
        return np.arange(len(indices))
    column = manifest.column(by)
    # A photo without a sequence is one of its own.
    keys = [column[index] or f"photo {index}" for index in indices]
    return np.unique(keys, return_inverse=True)[1]


def _check_enough(units: np.ndarray, wanted: dict[str, float], by: str) -> None:
    found, needed = int(units.max()) + 1, len(wanted) + 1
    if found < needed:
        offer = {"location": "split_by: sequence or split_by: photo (the scores then hold for the "
                             "locations trained on, not for new ones)",
                 "sequence": "split_by: photo", "photo": "more photos"}[by]
        raise InputError(f"{found} {by}{'s' * (found != 1)} cannot be split into train, "
                         f"{' and '.join(sorted(wanted, reverse=True))}; set {offer}")


def _most_balanced(units: np.ndarray, presence: np.ndarray, wanted: dict[str, float],
                   random: np.random.Generator) -> np.ndarray:
    """Draw whole units for the `wanted` splits, the rest is train: the name for each photo.

    A draw costs the squared error of each split's share of the photos, and of each class's
    photos; a class that is missing in train, or in a split, costs most of all.
    """
    counts = np.concatenate([np.ones((len(units), 1)), presence], axis=1)  # photos, classes
    totals = np.zeros((units.max() + 1, counts.shape[1]))
    np.add.at(totals, units, counts)
    whole = totals.sum(axis=0)
    totals, whole = totals[:, whole > 0], whole[whole > 0]
    best_cost, best = np.inf, None
    for _ in range(max(20, TRIALS * 1000 // (1000 + len(totals)))):
        names = np.full(len(totals), "train", dtype="U9")
        order, start, cost = random.permutation(len(totals)), 0, 0.0
        for place, (name, fraction) in enumerate(wanted.items()):
            filled = np.cumsum(totals[order[start:], 0]) / whole[0]
            last = len(filled) - (len(wanted) - place)  # leave a unit for the others and train
            end = min(int(np.abs(filled - fraction).argmin()), last - 1) + 1
            part = totals[order[start:start + end]].sum(axis=0) / whole
            cost += ((part - fraction) ** 2).sum() + (part == 0).sum()
            names[order[start:start + end]] = name
            start += end
        rest = totals[order[start:]].sum(axis=0)
        cost += 10 * (rest == 0).sum()
        if cost < best_cost:
            best_cost, best = cost, names
    return best[units]
