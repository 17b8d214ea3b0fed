"""Train, validation and test photos: whole locations apart, so that scores are honest.

Photos of one camera share their background. A network that has seen it scores far better there
than at the next site, so the sites themselves are split, and with them all bursts of photos.
"""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from .. import InputError
from .manifest import Manifest, assign_sequences
from .progress import progress

MOST_COMPARED = 1000  # photos that share a row of their fingerprints, see `near_duplicates`
TRIALS = 1000  # random splits to choose the most balanced one from


def make_splits(manifest: Manifest, presence: np.ndarray, *, by: str, val_fraction: float,
                test_fraction: float, test_seen_fraction: float = 0.0, seed: int = 0,
                given: Sequence[str] | None = None, folds: int = 0, fold: int = 0,
                test_from: str = "", alike: Sequence[tuple[int, int]] = ()) -> list[str]:
    """The split of each photo: train, val, test, test_seen, or "" for photos without a label.

    `presence`: bool (photos, classes), which classes a photo's mask holds; all False = no label.
    A `split` column in the manifest is obeyed; where it names no val photos, they are taken from
    its train photos. Otherwise whole units (`by`: location, sequence or photo) are drawn, many
    times, and the draw whose splits come nearest to the wanted share of the photos and of every
    class is taken. `test_seen_fraction` of the training photos, in whole sequences, become
    test_seen. Deterministic in `seed`. Raises InputError if there are too few units, or no photo
    with a label.

    `given` is obeyed instead of the manifest's column. With `folds` the units are cut into that
    many parts, as balanced, and part `fold` (from 0) is the test. With `test_from` (YYYY-MM-DD)
    the test is what was taken from that day on: whole sequences, by their first photo.

    Split by sequence or photo, pairs that are `alike` (rows, see `alike_photos`) stay together.
    """
    labelled = np.flatnonzero(presence.any(axis=1))
    if not len(labelled):
        raise InputError("no labelled photo: the mask column of the manifest is empty throughout "
                         "(give masks, or `background` for photos with nothing on them)")
    splits = np.array([""] * len(manifest), dtype="U9")
    given = manifest.column("split") if given is None else given
    random = np.random.default_rng([seed, 1])
    if any(given):
        if folds or test_from:
            raise InputError(f"{'fold' if folds else 'test_from'}: the photos have their splits "
                             "already; leave the split column (or splits_file) empty")
        for index in labelled:
            if not given[index]:
                raise InputError(f"{manifest[index].image}: no split given, but other photos have "
                                 "one; fill in the split column (or splits_file), or leave it "
                                 "empty")
            splits[index] = given[index]
        wanted = {"val": 0.0 if "val" in splits else val_fraction}
    else:
        splits[labelled] = "train"
        wanted = {"test": test_fraction, "val": val_fraction}
        if folds or test_from:
            units = _joined(_units(manifest, labelled, by), labelled, by, alike)
            chosen = (_in_fold(units, presence[labelled], by, folds, fold, random) if folds
                      else _taken_from(manifest, labelled, test_from))
            splits[labelled[chosen]] = "test"
            wanted = {"val": val_fraction}
    wanted = {name: fraction for name, fraction in wanted.items() if fraction}

    training = np.flatnonzero(splits == "train")
    if by == "sequence" and (wanted or folds) and not any(sequence_keys(manifest, labelled)):
        raise InputError("split_by: sequence: neither the column sequence nor the column datetime "
                         "of the manifest tells which photos belong together; fill one in, or set "
                         "split_by: location, or photo")
    if wanted and len(training):
        units = _joined(_units(manifest, training, by), training, by, alike)
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


def settle_unit(manifest: Manifest, divide: Callable[[str], Sequence[str]],
                by_date: bool = False) -> str:
    """What whole units of are drawn where nobody has said it: location, where there are enough of
    them and none has to be torn apart; else sequence, likewise; else photo. `divide` gives the
    splits by a unit, or raises InputError."""
    for unit in ("location", "sequence"):
        try:
            splits = divide(unit)
        except InputError:  # too few; what else is wrong is wrong with photos, too
            continue
        if not find_leaks(manifest, splits, unit, by_date):
            return unit
    return "photo"


def limit_splits(splits: Sequence[str], most: dict[str, int], locations: Sequence[str],
                 shares: np.ndarray, seed: int) -> list[str]:
    """The splits with at most `most[name]` photos in each split that it names, "" for the rest.

    `locations`: of each photo; `shares`: (photos, classes), the share of each class in its mask.
    From photos in random order, one of each kind is taken in turn, a kind being a location and the
    most frequent species; of those that are equal so far the species take turns; a photo with an
    animal comes first of all. Deterministic in `seed`; a smaller number takes a part of what a
    larger one takes.
    """
    chosen = np.array(splits, dtype="U9")
    animals = shares.copy()
    animals[:, 0] = 0
    species = animals.argmax(axis=1)  # 0 = nothing there
    for split, count in most.items():
        order = np.random.default_rng([seed, 2]).permutation(np.flatnonzero(chosen == split))
        turn = _count_before([(locations[row], species[row]) for row in order])
        within = _count_before(list(zip(turn, species[order], strict=True)))
        if len(order):
            turn[(species[order] > 0).argmax()] = -1
        chosen[order[np.lexsort((within, turn))][count:]] = ""
    return chosen.tolist()


def _count_before(keys: Sequence) -> list[int]:
    """How many equal keys stand before each one."""
    seen, counts = Counter(), []
    for key in keys:
        counts.append(seen[key])
        seen[key] += 1
    return counts


def leaks(manifest: Manifest, splits: Sequence[str], column: str) -> list[str]:
    """The locations, or sequences (of one location, see `sequence_keys`), that stand in training
    and in another split.

    `column`: location or sequence. test_seen shares the training locations on purpose.
    """
    used = [index for index, split in enumerate(splits) if split]
    if column == "sequence":
        values = sequence_keys(manifest, used)
    else:
        values = [manifest.column("location")[index] for index in used]
    found: dict[str, set[str]] = {}
    for value, index in zip(values, used, strict=True):
        if value and not (column == "location" and splits[index] == "test_seen"):
            found.setdefault(value, set()).add(splits[index])
    return sorted(value for value, names in found.items() if "train" in names and len(names) > 1)


def find_leaks(manifest: Manifest, splits: Sequence[str], by: str, by_date: bool,
               duplicates: Sequence[tuple[int, int]] = ()) -> list[str]:
    """One line for each way in which photos of one split give away those of others; [] = none.

    What counts follows from what was asked for: split by location, no location may stand on both
    sides (but for test_seen, and, with `by_date`, for the test); split by location or by sequence,
    no sequence. Who splits by photo has asked for both. `duplicates` are what
    `near_duplicates` has found; they always count.
    """
    found = []
    for column in {"location": ("location", "sequence"), "sequence": ("sequence",)}.get(by, ()):
        counted = splits
        if column == "location" and by_date:
            counted = ["" if split == "test" else split for split in splits]
        if shared := leaks(manifest, counted, column):
            found.append(f"{len(shared)} {column}{'s' * (len(shared) > 1)} in train and in another "
                         f"split, such as {shared[0]}")
    if duplicates:
        first, second = (f"{manifest[index].image} ({splits[index]})" for index in duplicates[0])
        found.append(f"{len(duplicates)} pair{'s' * (len(duplicates) > 1)} of near-duplicates in "
                     f"two splits, such as {first} and {second}")
    return found


def near_duplicates(fingerprints: Sequence[int | None], splits: Sequence[str],
                    locations: Sequence[str]) -> list[tuple[int, int]]:
    """Photos with a partner in another split whose fingerprint differs in 15 bits of 256 or fewer:
    a pair, in ascending order, for each photo that has one.

    Frames of one fixed camera look alike, so partners of one location do not count, unless there
    is only one location. Two fingerprints that near have at least one of their 16 rows of 16 bits
    in common, so only photos with a common row are compared; where thousands share a row, each
    with a thousand of them, spread over all.
    """
    used = np.array([index for index, (bits, split) in enumerate(
        zip(fingerprints, splits, strict=True)) if bits is not None and split], int)
    if not len(used):
        return []
    whole = np.array([list(fingerprints[index].to_bytes(32, "big")) for index in used], np.uint8)
    rows, words = whole.view(">u2").astype(np.uint16), whole.view(np.uint64)  # (N, 16), (N, 4)
    split = np.unique([splits[index] for index in used], return_inverse=True)[1]
    place = np.unique([locations[index] for index in used], return_inverse=True)[1]
    if place.max() == 0:
        place = np.arange(len(used))
    partner = np.full(len(used), -1)
    for column in progress(range(16), "duplicates", unit="passes"):
        order = np.argsort(rows[:, column], kind="stable")
        ends = np.flatnonzero(np.diff(rows[order, column])) + 1
        for group in np.split(order, ends):
            if len(group) < 2 or rows[group[0], column] in (0, 0xFFFF):  # plain sky, in any photo
                continue
            others = group[np.linspace(0, len(group) - 1, min(len(group), MOST_COMPARED)).astype(
                int)]
            open_ones = group[partner[group] < 0]
            for some in np.split(open_ones, range(MOST_COMPARED, len(open_ones), MOST_COMPARED)):
                near = ((split[some, None] != split[others]) & (place[some, None] != place[others]))
                near &= np.bitwise_count(words[some, None] ^ words[others]).sum(axis=2) <= 15
                found = near.any(axis=1)
                partner[some[found]] = others[near[found].argmax(axis=1)]
    first = np.flatnonzero(partner >= 0)
    pairs = np.sort(np.stack([used[first], used[partner[first]]], axis=1), axis=1)
    return list(map(tuple, np.unique(pairs, axis=0).tolist()))


def alike_photos(fingerprints: Sequence[int | None], locations: Sequence[str],
                 ) -> list[tuple[int, int]]:
    """Pairs of near-duplicates, whatever split they are in, that hang all of them together: no
    further photo of another group is one, see `near_duplicates`."""
    pairs: list[tuple[int, int]] = []
    group = np.arange(len(fingerprints))
    while further := near_duplicates(fingerprints, (group + 1).tolist(), locations):
        pairs += further
        group = connected_components(coo_array(
            (np.ones(len(pairs)), np.transpose(pairs)), [len(group)] * 2))[1]
    return pairs


def _units(manifest: Manifest, indices: np.ndarray, by: str) -> np.ndarray:
    """The number, from 0, of the unit that each photo belongs to and that must stay whole."""
    if by == "photo":
        return np.arange(len(indices))
    if by == "location":
        keys = [manifest.column("location")[index] for index in indices]
    else:
        # A photo without a sequence is one of its own.
        keys = [key or f"photo {index}" for key, index in zip(
            sequence_keys(manifest, indices), indices, strict=True)]
    return np.unique(keys, return_inverse=True)[1]


def sequence_keys(manifest: Manifest, indices: Sequence[int]) -> list[str]:
    """A name for the sequence of each photo, unlike those of other locations: of the manifest's
    column, or, where that is empty, of what the times tell (see `assign_sequences`); "" where
    neither is known."""
    columns = [manifest.column(name) for name in ("location", "sequence", "datetime")]
    rows = [[column[index] for column in columns] for index in indices]
    assigned = assign_sequences([place for place, *_ in rows], [
        "" if sequence else time for _, sequence, time in rows])
    return [f"{sequence} of {place}" if sequence else told and f"{told} by its times"
            for (place, sequence, _), told in zip(rows, assigned, strict=True)]


def _joined(units: np.ndarray, indices: np.ndarray, by: str, alike: Sequence[tuple[int, int]],
            ) -> np.ndarray:
    """The units with those as one that hold photos which are alike; locations stay as they are."""
    place = {index: number for number, index in enumerate(indices.tolist())}
    pairs = [(units[place[first]], units[place[second]]) for first, second in alike
             if first in place and second in place]
    if by == "location" or not pairs:
        return units
    return connected_components(coo_array(
        (np.ones(len(pairs)), np.transpose(pairs)), [units.max() + 1] * 2))[1][units]


def _in_fold(units: np.ndarray, presence: np.ndarray, by: str, folds: int, fold: int,
             random: np.random.Generator) -> np.ndarray:
    """Which of the labelled photos stand in part `fold` of `folds`; each unit is in one part."""
    found = int(units.max()) + 1
    if found < folds:
        raise InputError(f"fold: {found} {by}{'s' * (found != 1)} cannot be cut into {folds} "
                         "parts; ask for fewer, or set another split_by")
    parts = {f"fold {number}": 1 / folds for number in range(1, folds)}
    names = _most_balanced(units, presence, parts, random)
    return names == (f"fold {fold}" if fold else "train")  # the rest is called train there


def _taken_from(manifest: Manifest, labelled: np.ndarray, day: str) -> np.ndarray:
    """Which of the labelled photos belong to sequences that began on that day or later."""
    times = np.array(manifest.column("datetime"))[labelled]
    if not all(times):
        missing = labelled[times == ""]
        raise InputError(f"test_from: {len(missing)} labelled photos have no datetime, such as "
                         f"{manifest[missing[0]].image}; fill in the column, or split otherwise")
    units = _units(manifest, labelled, "sequence")
    order = np.argsort(times, kind="stable")
    _, first = np.unique(units[order], return_index=True)
    late = times[order][first][units] >= day
    if late.all() or not late.any():
        raise InputError(f"test_from: {'all' if late.all() else 'no'} labelled photos were taken "
                         f"from {day} on; they go from {min(times)} to {max(times)}")
    return late


def _check_enough(units: np.ndarray, wanted: dict[str, float], by: str) -> None:
    found, needed = int(units.max()) + 1, len(wanted) + 1
    if found < needed:
        missing = needed - found
        offer = {"location": ", set split_by: sequence or split_by: photo (the scores then hold "
                             "for the locations trained on, not for new ones)",
                 "sequence": ", set split_by: photo", "photo": ""}[by]
        photos = f"{missing} more photos" if by == "photo" else f"photos of {missing} more {by}s"
        raise InputError(f"{found} {by}{'s' * (found != 1)} cannot be split into train, "
                         f"{' and '.join(sorted(wanted, reverse=True))}: {needed} are needed. "
                         f"Label {photos}{offer}, or do without with {min(wanted)}_fraction: 0")


def _most_balanced(units: np.ndarray, presence: np.ndarray, wanted: dict[str, float],
                   random: np.random.Generator) -> np.ndarray:
    """Draw whole units for the `wanted` splits, the rest is train: the name for each photo.

    The cheapest of many draws is taken, see `_cost`. Where it lacks a class in train or in a
    split, units change places as long as that makes it cheaper: of many rare species no draw
    by chance has them all everywhere.
    """
    counts = np.concatenate([np.ones((len(units), 1)), presence], axis=1)  # photos, classes
    totals = np.zeros((units.max() + 1, counts.shape[1]))
    np.add.at(totals, units, counts)
    totals = totals[:, totals.any(axis=0)]
    totals /= totals.sum(axis=0)
    fractions = np.array([0.0, *wanted.values()])[:, None]  # split 0 is train
    best_cost, best = np.inf, None
    for _ in range(max(20, TRIALS * 1000 // (1000 + len(totals)))):
        numbers = np.zeros(len(totals), int)
        order, start = random.permutation(len(totals)), 0
        for number, fraction in enumerate(wanted.values(), start=1):
            filled = np.cumsum(totals[order[start:], 0])
            last = len(filled) - (len(wanted) - number + 1)  # a unit for the others and train
            end = min(int(np.abs(filled - fraction).argmin()), last - 1) + 1
            numbers[order[start:start + end]] = number
            start += end
        cost = _cost(_shares(totals, numbers, len(fractions)), fractions)
        if cost < best_cost:
            best_cost, best = cost, numbers
    shares = _shares(totals, best, len(fractions))
    if (shares == 0).any():
        _exchange(best, totals, shares, fractions, random)
    return np.array(["train", *wanted], dtype="U9")[best][units]


def _shares(totals: np.ndarray, numbers: np.ndarray, splits: int) -> np.ndarray:
    """The share of the photos and of each class that each split has, (splits, 1 + classes)."""
    shares = np.zeros((splits, totals.shape[1]))
    np.add.at(shares, numbers, totals)
    return shares


def _cost(shares: np.ndarray, fractions: np.ndarray) -> float:
    """The squared error of each split's share of the photos, and of each class's photos.

    A class that is missing in a split costs more, one that is missing in train (row 0) most.
    """
    missing = shares == 0
    return (((shares[1:] - fractions[1:]) ** 2).sum() + missing[1:].sum()
            + 10 * missing[0].sum())


def _exchange(numbers: np.ndarray, totals: np.ndarray, shares: np.ndarray, fractions: np.ndarray,
              random: np.random.Generator) -> None:
    """Let units, drawn at random, change their split, alone or in pairs, where it costs less."""
    cost = _cost(shares, fractions)
    for first, second, alone in zip(*random.integers(0, len(totals), (2, 10 * TRIALS)),
                                    random.random(10 * TRIALS) < 0.5, strict=True):
        here, there = numbers[first], numbers[second]
        if here == there:
            continue
        moved = totals[first] if alone else totals[first] - totals[second]
        changed = shares.copy()
        changed[here] -= moved
        changed[there] += moved
        changed[np.abs(changed) < 1e-9] = 0  # of the sums' rounding
        if changed[:, 0].all() and (new := _cost(changed, fractions)) < cost:  # none gets empty
            cost, shares = new, changed
            numbers[first] = there
            if not alone:
                numbers[second] = here
