"""Reviewed predictions beside the data root of masks that were drawn by hand.

What a model has drawn itself says little about the next one, so the hand-drawn photos are all that
is validated and tested on, and the reviewed ones are learned from.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from .. import IGNORE, InputError
from ..data.checks import PhotoFacts, check_photos, examine_photos
from ..data.manifest import BACKGROUND, Manifest, Row, read_classes, read_manifest
from ..data.masks import read_mask
from ..data.memory import checks_of
from ..data.splits import alike_photos, make_splits, near_duplicates, settle_unit
from .shapes import LabelledPhoto, Labels, Shape

# Those of configs/few_masks.yaml, so that what the first model was tested on is tested on again.
FRACTIONS = {"val_fraction": 0.15, "test_fraction": 0.2}
HELD_OUT = ("val", "test", "test_seen")


def join_drawn(labels: Labels, root: Path) -> None:
    """Add the photos and masks of a data root to reviewed `labels`, which all become train photos.

    Those of the root keep their splits; where it has none, or no val photos, they are drawn among
    them as a training with configs/few_masks.yaml draws them. Left out, and told: photos of the
    root without a mask, reviewed photos that lie in the root, and near-duplicates of photos held
    out. Raises InputError for other classes than those of the predictions, or in another order,
    for masks that are not sound, and for too few photos to draw from.
    """
    manifest = read_manifest(root / "manifest.csv")
    names = [name for name, _ in read_classes(root / "classes.csv")][1:]
    _check_classes(root, names, labels.classes)
    shares = check_photos(manifest, root, 1 + len(names), checks_of(root))
    labelled = shares.any(axis=1)
    manifest = Manifest(row for row, there in zip(manifest, labelled, strict=True) if there)
    shares = shares[labelled]
    look = partial(examine_photos, data_root=root, memory=checks_of(root, "photos"))
    facts, own = look(manifest), look(Manifest(
        Row(str(photo.source.resolve()), location=photo.location) for photo in labels.photos))
    drawn_anew = not any(manifest.column("split"))
    splits = _divide(manifest, shares, facts)

    known = {fact.checksum for fact in facts if fact.checksum}
    new = [(photo, fact) for photo, fact in zip(labels.photos, own, strict=True)
           if fact.checksum not in known]
    pairs = near_duplicates(
        [fact.fingerprint for fact in [*facts, *(fact for _, fact in new)]],
        [*splits, *["train"] * len(new)],
        [*manifest.column("location"), *(photo.location for photo, _ in new)])
    near = {row - len(facts) for pair in pairs for row in pair}
    photos = [photo for number, (photo, _) in enumerate(new) if number not in near]
    for photo in photos:
        photo.split = "train"
    held_out = {place for place, split in zip(manifest.column("location"), splits, strict=True)
                if split in HELD_OUT}
    shared = sorted({photo.location for photo in photos} & held_out)

    place = f"photos/{root.resolve().name}"
    while any(photo.file.startswith(f"{place}/") for photo in labels.photos):
        place += "_"
    counts = ", ".join(f"{splits.count(name)} {name}" for name in HELD_OUT if name in splits)
    how = " (drawn as configs/few_masks.yaml does)" if drawn_anew else ""
    labels.told.append(f"{len(manifest)} photos with masks of {root} join them, "
                       f"{counts or 'none held out'}{how}; the reviewed ones are all train")
    for number, why in ((np.sum(~labelled), f"photos of {root} have no mask"),
                        (len(own) - len(new), f"reviewed photos lie in {root}, whose masks count"),
                        (len(new) - len(photos), "reviewed photos look like one held out for val "
                                                 "or test")):
        if number:
            labels.told.append(f"{number} {why}: left out")
    if shared:
        labels.told.append(f"reviewed photos are of locations held out for val or test, such as "
                           f"{shared[0]}: the scores hold for seen cameras; train with "
                           "split_by=auto, as configs/few_masks.yaml does")
    kept = {id(photo) for photo in photos}
    labels.left_out += [photo.source for photo in labels.photos if id(photo) not in kept]
    labels.photos = photos + [_as_labelled(row, split, root, place, names)
                              for row, split in zip(manifest, splits, strict=True)]


def _check_classes(root: Path, there: Sequence[str], here: Sequence[str]) -> None:
    """Refuse classes that are not those of the predictions, behind which may stand marked ones."""
    if list(there) == list(here[:len(there)]):
        return
    index = next((index for index, pair in enumerate(zip(there, here, strict=False))
                  if pair[0] != pair[1]), min(len(there), len(here)))
    differing = [names[index] if index < len(names) else "none" for names in (there, here)]
    raise InputError(f"--with {root}: class {index + 1} is {differing[0]!r} there, but "
                     f"{differing[1]!r} in the predictions ({', '.join(there)} against "
                     f"{', '.join(here)}); give the data root that the model has learned from")


def _divide(manifest: Manifest, shares: np.ndarray, facts: Sequence[PhotoFacts]) -> list[str]:
    """The split of each hand-drawn photo."""
    alike = alike_photos([fact.fingerprint for fact in facts], manifest.column("location"))
    draw = partial(make_splits, manifest, shares > 0, seed=0, **FRACTIONS)
    return draw(by=settle_unit(manifest, lambda unit: draw(by=unit)), alike=alike)


def _as_labelled(row: Row, split: str, root: Path, place: str,
                 names: Sequence[str]) -> LabelledPhoto:
    """A photo of the data root with its mask, as importers give it."""
    photo = LabelledPhoto(root / row.image, f"{place}/{row.image.removeprefix('photos/')}", 0, 0,
                          str(root / row.image), empty=row.mask == BACKGROUND,
                          location=row.location, datetime=row.datetime, sequence=row.sequence,
                          split=split, difficulty=row.difficulty, focus=row.focus)
    photo.width, photo.height = photo.header.size
    if not photo.empty:
        photo.height, photo.width = read_mask(root / row.mask).shape
        photo.picture = partial(_shapes, root / row.mask, names)
    return photo


def _shapes(path: Path, names: Sequence[str]) -> list[Shape]:
    """The regions of a mask, one a class."""
    mask = read_mask(path)
    called = {**dict(enumerate(names, 1)), IGNORE: None}
    return [Shape(called[value], inside=mask == value) for value in np.unique(mask).tolist()
            if value]
