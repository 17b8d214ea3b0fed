"""What a run learns from: sound photos, who learns from which, and in what order."""

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from .. import InputError
from ..config import Config, cache_of, fold_of, parse_config
from ..data.cache import Cache, cache_path, open_cache
from ..data.checks import (
    PhotoFacts,
    check_maps,
    check_photos,
    examine_photos,
    find_faults,
    find_map_faults,
    pool_maps,
    without_broken,
)
from ..data.checksums import Checksums, row_checksums
from ..data.manifest import FOCUS, Manifest, read_classes, read_manifest
from ..data.memory import checks_of
from ..data.split_table import read_splits
from ..data.splits import (
    alike_photos,
    find_leaks,
    limit_splits,
    make_splits,
    near_duplicates,
    sequence_keys,
    settle_unit,
)
from ..data.strips import Strips, strips_for
from ..dataset import CameraTrapDataset, PredictionDataset
from ..outputs.coordinates import check_sensitive
from ..outputs.people import EVERYBODY, People, find_people
from ..utils import ROOT, here_or_below_root
from .processes import Processes
from .resumed import refuse_changed, rows_made_of, rows_of_run
from .sampler import CurriculumSampler, balanced_weights

FEW_PHOTOS = 10  # to learn from, of twenty with masks


@dataclass
class Data:
    """What a run learns from: photos that are sound, and who learns from which."""

    root: Path
    manifest: Manifest
    classes: list[tuple]  # name and colour; of a regression one: the quantity
    shares: np.ndarray  # float32 (photos, classes): of each class in each mask
    splits: list[str]  # of each photo
    train_rows: np.ndarray
    val_rows: np.ndarray
    leakage: list[str]
    strips: Strips  # where the cameras' info strips lie, which the network shall not see
    made_of: list[str]  # of each photo, see `rows_made_of`
    split_by: str  # the knob, and what `auto` came to
    checksums: Checksums  # of each photo that has a split, and of its mask
    values: dict | None = None  # of a regression: mean and spread of the training targets
    people: People = EVERYBODY  # which photos show people, and what is drawn of these

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.classes]

    def with_people(self, row: int) -> bool:
        """Whether a photo shows people, who are not to be seen in pictures."""
        return self.people.in_photo(self.manifest[int(row)].image, self.shares[row])

    @property
    def spread(self) -> float:
        """Of a regression's training targets, their standard deviation; else 1."""
        return self.values["spread"] if self.values else 1.0


def read_data(config: Config, folder: Path, most: dict[str, int] | None = None,
              state: dict | None = None) -> Data:
    """Check photos and masks, and divide them, for the run in `folder`. `most`: of a prototype, so
    many photos of each split; without any for validation it is judged by what it learns from. A
    run that goes on from a checkpoint (`state`) has its photos, splits and classes. Raises
    InputError where training is in vain, or would go on as another run."""
    root = ROOT / config.data_root
    if not root.is_dir():
        raise InputError(f"data_root: {root.resolve()} is no folder; set data_root to where your "
                         "data are, make one from your labels with scripts/import_labels.py, or "
                         "the demo photos with scripts/make_demo_data.py")
    manifest = read_manifest(root / config.manifest)
    if config.broken_photos == "skip":
        manifest = leave_out_broken(config, manifest, root)
    if config.task == "regression":  # one "class" that is a number
        classes = [(config.quantity, (0, 0, 0))]
        maps = check_maps(manifest, root, checks_of(root, "maps"))
        shares = np.array([[facts.share] for facts in maps])
    else:
        classes, maps = read_classes(root / "classes.csv"), []
        shares = check_photos(manifest, root, len(classes), checks_of(root))
    people = read_people(config, [name for name, _ in classes], manifest.column("image"))
    made_of = rows_made_of(manifest, root, shares)
    most = most or (config.limit and {"train": config.limit, "val": config.limit})
    config = settle_split_by(config, manifest, shares, state)
    if state is not None:
        check_classes(root, [name for name, _ in classes], state)
        rows, splits = rows_of_run(folder / "splits.csv", manifest, made_of)
        manifest = Manifest(manifest[row] for row in rows)
        shares, made_of = shares[rows], [made_of[row] for row in rows]
        maps = maps and [maps[row] for row in rows]
    else:
        alike = find_alike(config, manifest, shares, partial(look_at_photos, manifest, root))
        splits = divide(config, manifest, shares, most, alike)
        tell_alike(manifest, splits, alike)
        if not most and (few := few_photos(shares, splits)):
            print(f"warning     {few}")
    train_rows, val_rows = (np.flatnonzero(np.array(splits) == name) for name in ("train", "val"))
    if most and not most["val"]:
        val_rows = train_rows
    facts = look_at_photos(manifest, root, splits)
    checksums = row_checksums(manifest, root, [fact.checksum if fact else "" for fact in facts],
                              checks_of(root, "checksums"))
    if state is not None:
        refuse_changed(folder / "splits.csv", manifest, checksums)
    duplicates = find_duplicates(manifest, splits, facts)
    leakage = find_leaks(manifest, splits, config.split_by, bool(config.test_from), duplicates)
    # A resumed run keeps the strips that it was started with.
    labelled = {row.location for row in manifest if row.mask}
    strips = strips_for(config.strips, [row for row in manifest if row.location in labelled], root,
                        known=folder / "strips.csv")
    data = Data(root, manifest, classes, shares, splits, train_rows, val_rows, leakage, strips,
                made_of, config.split_by, checksums, people=people)
    if faults := find_split_faults(config, shares, splits, leakage, val_rows is train_rows):
        raise InputError("; ".join(faults))
    if config.task == "regression":
        data.values = pool_maps([maps[row] for row in train_rows], config.target_scale)
    return data


def settle_split_by(config: Config, manifest: Manifest, shares: np.ndarray,
                    state: dict | None = None) -> Config:
    """The config with `split_by: auto` as what it comes to, see `settle_unit`. A run that goes on
    from a checkpoint (`state`) keeps what it began with."""
    if config.split_by != "auto":
        return config
    if state is not None:
        began = parse_config(state["config"], "the checkpoint", stored=True)
        return replace(config, split_by=began.split_by)
    return replace(config, split_by=settle_unit(
        manifest, lambda unit: divide(replace(config, split_by=unit), manifest, shares),
        bool(config.test_from)))


def find_alike(config: Config, manifest: Manifest, shares: np.ndarray,
               look: Callable[[np.ndarray], Sequence[PhotoFacts | None]]) -> list[tuple[int, int]]:
    """Near-duplicates with a label that must not be torn apart where single photos or sequences are
    drawn. `look` gives what is known of the wanted photos, see `look_at_photos`; where whole
    locations are drawn, nobody has to look."""
    if config.split_by == "location":
        return []
    labelled = shares.any(axis=1)
    return alike_photos([fact.fingerprint if fact and there else None for fact, there in zip(
        look(labelled), labelled, strict=True)], manifest.column("location"))


def tell_alike(manifest: Manifest, splits: Sequence[str], pairs: Sequence[tuple[int, int]]) -> None:
    """Print how many near-duplicates are kept in one split."""
    together = [(one, other) for one, other in pairs if splits[one] == splits[other] != ""]
    if together:
        first, second = (manifest[row].image for row in together[0])
        print(f"alike       {len(together)} pairs of near-duplicates, such as {first} and "
              f"{second}, are kept in one split")


def few_photos(shares: np.ndarray, splits: Sequence[str]) -> str:
    """A line where next to nothing is there to learn from, else ""; `shares`: of each class in each
    mask, or of a regression in one column how much of its map is known."""
    learned = shares[np.array(splits) == "train", min(1, shares.shape[1] - 1):]
    there = int(learned.any(axis=1).sum())
    return "" if there >= FEW_PHOTOS or not any(splits) else (
        f"{there} photo{'s' * (there != 1)} to learn from with something on "
        f"{'them' if there != 1 else 'it'}: some twenty with masks are the least")


def read_people(config: Config, names: Sequence[str], photos: Sequence[str]) -> People:
    """Who is a person by the knobs, see `find_people`. Raises InputError for sensitive species that
    are no classes, too: a run is not to be trained with knobs that no prediction takes."""
    check_sensitive(config.sensitive_species, names)
    file = config.people_file and here_or_below_root(config.people_file)
    return find_people(config.people, config.people_classes, file, names, photos)


def divide(config: Config, manifest: Manifest, shares: np.ndarray,
           most: dict[str, int] | None = None, alike: Sequence[tuple[int, int]] = (),
           ) -> list[str]:
    """The split of each photo of a new run; `alike`: see `make_splits`."""
    given = (read_splits(here_or_below_root(config.splits_file), manifest) if config.splits_file
             else None)
    splits = make_splits(manifest, shares > 0, given=given, alike=alike, **split_knobs(config))
    if most:
        splits = limit_splits(splits, most, manifest.column("location"), shares, config.seed)
    return splits


def check_classes(root: Path, names: list[str], state: dict) -> None:
    """Refuse to go on from a checkpoint with other classes, or the same in another order."""
    known = [name for name, _ in state["classes"]]
    if names != known:
        raise InputError(f"{root / 'classes.csv'}: the classes are {', '.join(names)}, but the run "
                         f"began with {', '.join(known)}; bring these back, or start another run "
                         "with --run NAME")


def split_knobs(config: Config) -> dict:
    """The knobs by which photos are divided, as `make_splits` takes them."""
    number, folds = fold_of(config.fold)
    return {"by": config.split_by, "folds": folds, "fold": max(0, number - 1),
            **{name: getattr(config, name) for name in (
                "val_fraction", "test_fraction", "test_seen_fraction", "seed", "test_from")}}


def leave_out_broken(config: Config, manifest: Manifest, root: Path) -> Manifest:
    """The manifest without photos that cannot be read, or whose mask (or map) cannot."""
    if config.task == "regression":
        _, faults = find_map_faults(manifest, root, checks_of(root, "maps"))
    else:
        classes = read_classes(root / "classes.csv")
        _, faults, _ = find_faults(manifest, root, len(classes), checks_of(root))
    manifest, reasons = without_broken(manifest, root, faults, checks_of(root, "photos"))
    for reason in reasons:
        print(f"left out    {reason}")
    return manifest


def look_at_photos(manifest: Manifest, root: Path, wanted: Sequence) -> list[PhotoFacts | None]:
    """What reading each photo that is `wanted`, such as one that has a split, has shown, see
    `examine_photos`; None of the others. Raises InputError for those that cannot be read."""
    used = [row for row, there in enumerate(wanted) if there]
    facts = examine_photos(Manifest(manifest[row] for row in used), root,
                           checks_of(root, "photos"))
    failures = [fact.failure for fact in facts if fact.failure]
    if failures:
        more = f" (and {len(failures) - 1} more photos)" if len(failures) > 1 else ""
        raise InputError(f"{failures[0]}{more}; repair it, or leave such photos out with "
                         "broken_photos: skip")
    found: list[PhotoFacts | None] = [None] * len(manifest)
    for row, fact in zip(used, facts, strict=True):
        found[row] = fact
    return found


def find_duplicates(manifest: Manifest, splits: list[str], facts: list[PhotoFacts | None],
                    ) -> list[tuple[int, int]]:
    """Near-duplicates in two splits, see `near_duplicates`."""
    used = [row for row, split in enumerate(splits) if split]
    places = manifest.column("location")
    pairs = near_duplicates([facts[row].fingerprint for row in used], [splits[row] for row in used],
                            [places[row] for row in used])
    return [(used[first], used[second]) for first, second in pairs]


def find_split_faults(config: Config, shares: np.ndarray, splits: list[str], leakage: list[str],
                      prototype: bool = False) -> list[str]:
    """Why training is in vain: nothing to learn from, or nothing to judge it by honestly."""
    faults, split = [], np.array(splits)
    if "val" not in splits and not prototype:
        faults.append("no photo is left for validation; raise val_fraction, or give some photos "
                      "the split val")
    if config.task == "classification" and not shares[split == "train", 1:].any():
        faults.append(f"{ROOT / config.data_root / config.manifest}: no training mask holds any "
                      "class but the background. Are the masks 0 and 255? 255 means ignore: write "
                      "1 for the animal, or import them with scripts/import_labels.py")
    if leakage and not config.allow_leakage:
        faults.append(f"{'; '.join(leakage)}: scores there would be too good. Correct the "
                      "splits, say with split_by what may be shared, or set allow_leakage: "
                      "true, and every report will tell")
    return faults


def with_knobs(transform: Callable, config: Config) -> Callable:
    """The transform with each keyword of its own that is a knob set to that knob: a new
    augmentation needs a keyword in `transforms.py` and a knob of that name, and nothing here."""
    knobs, takes = vars(config), inspect.signature(transform).parameters
    return partial(transform, **{name: knobs[name] for name in takes if name in knobs})


def make_sets(config: Config, data: Data, transform: Callable, processes: Processes,
              ) -> tuple[CameraTrapDataset, PredictionDataset]:
    """The photos to learn from, and those to validate on."""
    how = {"working_scale": config.working_scale, "strips": data.strips,
           "target_scale": config.target_scale if data.values else None,
           "cache": make_cache(config, data, processes.size)}
    train_set = CameraTrapDataset(data.manifest, data.root, transform=transform,
                                  indices=data.train_rows, **how)
    # Each photo is validated by one process, so that none counts twice.
    return train_set, PredictionDataset(data.manifest, data.root,
                                        indices=data.val_rows[processes.rank::processes.size],
                                        **how)


def make_sampler(config: Config, data: Data, difficulty: np.ndarray | None, processes: Processes,
                 ) -> CurriculumSampler:
    """Which of the photos to learn from come when, and which this process gets."""
    shares = data.shares[data.train_rows]
    focus = np.array([FOCUS[word.lower()] for word in data.manifest.column("focus")])
    return CurriculumSampler(
        len(data.train_rows), config.batch_size, config.seed,
        weights=balanced_weights(shares, config.balance), empty=~shares[:, 1:].any(axis=1),
        empty_fraction=config.empty_fraction, difficulty=difficulty,
        focus=focus[data.train_rows], start_fraction=config.start_fraction,
        curriculum_epochs=config.curriculum_epochs, epoch_steps=config.epoch_steps,
        rank=processes.rank, world_size=processes.size)


def make_cache(config: Config, data: Data, processes: int) -> Cache | None:
    """Where decoded photos are kept, as the knob `cache` wants it."""
    rows, path = np.union1d(data.train_rows, data.val_rows), None
    where, gigabytes = cache_of(config.cache)
    if where == "disk":  # other runs may train on other rows
        rows = np.arange(len(data.manifest))
        path = cache_path(data.root, f"{config.manifest} {config.working_scale}")
    most = 1e9 * gigabytes / (processes if where == "ram" else 1)  # to each its own
    cache = open_cache(where, rows, config.working_scale, most,
                       target_bytes=4 if data.values else 1, path=path)
    if cache is not None and len(cache) < len(rows):
        print(f"cache       room for {len(cache)} of {len(rows)} photos; cache: {where} "
              f"{gigabytes:g} limits it, or the {where} that is left")
    return cache


def class_weights(config: Config, data: Data) -> list[float] | None:
    """Weight of each class in the loss, from the knob and from the share of its pixels."""
    shares = data.shares[data.train_rows]
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


def describe_splits(config: Config, data: Data) -> str:
    """How many photos of how many locations are where, and what leaks."""
    parts = []
    for name in ("train", "val", "test", "test_seen"):
        locations = {data.manifest[index].location for index, split in enumerate(data.splits)
                     if split == name}
        if locations:
            parts.append(f"{data.splits.count(name)} {name} ({len(locations)} location"
                         f"{'s' * (len(locations) != 1)})")
    line = ", ".join(parts)
    if config.split_by != "location":
        line += f"; split by {config.split_by}: the scores hold for seen locations only"
    if config.split_by == "sequence":
        alone = sequence_keys(data.manifest, np.flatnonzero(data.shares.any(axis=1))).count("")
        line += f"; {alone} photos tell neither sequence nor time, each is its own" * bool(alone)
    if config.task == "classification" and not data.shares[data.val_rows, 1:].any():
        line += ("\nwarning     no validation photo shows an animal: best.pt will be of the epoch "
                 "with the lowest validation loss")
    if any(data.manifest.column("split")) and not {"test", "test_seen"} & set(data.splits):
        line += ("\nwarning     the given splits have no test photos, so test.py will have nothing "
                 "to test: give some photos the split test in the manifest, or empty its "
                 "column split to have all drawn")
    if data.people.looked_for and (
            number := sum(map(data.with_people, range(len(data.manifest))))):
        line += f"\npeople      {data.people.describe(number)}"
    if data.people.unknown:
        line += f"\npeople      {data.people.unknown}"
    for leak in data.leakage:
        line += f"\nwarning     {leak}: scores there are too good"
    return line


def describe_values(values: dict) -> str:
    """The numbers of a regression's training targets, for people."""
    return (f"{values['low']:.4g} to {values['high']:.4g}, mean {values['mean']:.4g}, standard "
            f"deviation {values['spread']:.4g}")
