"""From labels to a data root: masks, photos, classes.csv and manifest.csv."""

import filecmp
import hashlib
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

from .. import IGNORE, InputError
from ..data.files import spelled
from ..data.locations import location_of
from ..data.manifest import (
    BACKGROUND,
    SPLITS,
    Class,
    Row,
    assign_sequences,
    write_classes,
    write_manifest,
)
from ..data.masks import resize_mask, write_mask
from ..data.photos import same_aspect, scaled_size, upright
from ..data.progress import progress
from .shapes import LabelledPhoto, Labels, draw_mask

# Colours that people with any kind of colour vision tell apart (Okabe and Ito 2008, then others).
COLOURS = [(230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (213, 94, 0),
           (204, 121, 167), (0, 114, 178), (160, 200, 90), (150, 90, 200), (120, 70, 30),
           (255, 150, 150), (60, 220, 220), (190, 190, 190), (90, 110, 40), (255, 80, 200)]
SOME = 3  # lines of one kind that are printed
NOTHING = np.zeros(0, np.uint8)


def write_data_root(labels: Labels, out: Path, *, overlap: str = "later",
                    unannotated: str | None = None, alike: str = "", mask_long_side: int = 0,
                    overwrite: bool = False, dry_run: bool = False) -> None:
    """Write masks, photos, classes.csv and, last, manifest.csv; all is checked before.

    `overlap`: see `draw_mask`. `unannotated`: whether photos without annotation are `empty` or
    `unlabelled`; None refuses them. `alike`: `join` classes that differ by capital letters,
    blanks or _ alone, or `keep` them apart; "" refuses them. `mask_long_side`: pixels that no mask
    exceeds; 0 = as labelled.
    Photos inside `out` stay where they are; others are linked (hard links: no space, and the
    original stays what it is) or, across file systems, copied to `out`/photos. All that is wrong
    with the labels or the photos is printed, of each kind some; then InputError is raised.
    """
    check_out(out)
    if (out / "manifest.csv").exists() and not overwrite:
        raise InputError(f"{out / 'manifest.csv'} exists; give another --out, or --overwrite")
    faults = labels.faults + labels.questions + check_places(labels.photos, out)
    photos, dropped = drop_leaking_copies(labels.photos)
    undecided = [photo for photo in photos
                 if not (photo.labelled() or photo.empty or photo.unclear)]
    if undecided and unannotated is None:
        faults.append(f"{len(undecided)} photos have no annotation, such as "
                      f"{undecided[0].file}: say with --unannotated empty that they were "
                      "checked and nothing is there, or with --unannotated unlabelled that "
                      "nobody looked")
    names = labels.classes or sorted({shape.name for photo in photos for shape in photo.shapes
                                      if shape.name})
    names = [name for name in names if name != BACKGROUND]
    same = {} if alike == "keep" else spelled_alike(names)
    if alike != "join":
        faults += [alike_fault(name, first, photos) for name, first in same.items()]
    names = [name for name in names if name not in same]
    if not faults and not any(photo.labelled() for photo in photos):
        raise InputError("no photo has a labelled animal; nothing could be learned from this")
    boxed = [photo for photo in photos if photo.boxes]
    if boxed and not any(photo.shapes or photo.picture for photo in photos):
        faults.append(f"{boxed[0].where}: it has a box, like {len(boxed) - 1} more photos, and no "
                      "label has an outline; a box is no mask: draw outlines, or make them with a "
                      "tool such as SAM")
    if len(names) > 254:
        raise InputError(f"{len(names)} classes; a mask holds 254 at most")
    if labels.questions:  # whose answer is not worth minutes of drawing
        refuse(faults + check_texts(photos, names))
    classes = [Class(BACKGROUND, (0, 0, 0)), *(
        Class(name, COLOURS[place % len(COLOURS)]) for place, name in enumerate(names))]
    indices = {name: index for index, (name, _) in enumerate(classes)}
    indices |= {name: indices[first] for name, first in same.items()}
    staging = out / ".import"  # masks are finished here, then moved into place

    def handle(photo: LabelledPhoto) -> tuple[Row | None, np.ndarray, list[str]]:
        """Draw a photo's mask; its row of the manifest (None, and why, if it is not sound), the
        classes that the mask holds, and the shapes that cover no pixel."""
        try:
            check_size(photo)
            mask, without = draw_mask(photo, indices, overlap)
        except InputError as error:
            return None, NOTHING, [str(error)]
        mask = upright_mask(photo, mask)
        if mask_long_side and max(mask.shape) > mask_long_side:
            mask = resize_mask(mask, *scaled_size(*mask.shape[::-1], mask_long_side))
        row = row_of(photo, unannotated)
        if without and not mask.any():  # something is there, but nobody knows where
            row = row._replace(mask="")
        elif photo.labelled() and not dry_run:
            write_mask(staging / row.mask, mask, [colour for _, colour in classes])
        # As np.unique, which takes five times as long.
        return row, np.flatnonzero(Image.fromarray(mask).histogram()), without

    try:
        faults += check_texts(photos, names)
        with ThreadPoolExecutor() as pool:
            handled = list(progress(pool.map(handle, photos), "masks", len(photos)))
        faults += [fault for row, _, told in handled if row is None for fault in told]
        without = [shape for row, _, told in handled if row is not None for shape in told]
        counts = np.bincount(np.concatenate([NOTHING, *(found for _, found, _ in handled)]),
                             minlength=256)
        if not faults and not counts[1:IGNORE].any():  # of all that was outlined nothing is there
            first = next(photo for photo in photos if photo.labelled())
            faults += without or [f"{first.where}: here, as everywhere, no mask has a pixel of a "
                                  "class, all that is marked is ignored (255); nothing could be "
                                  "learned from this"]
        joined = [f"class {name!r} is {first!r}" for name, first in same.items()
                  if alike == "join"]
        print_kinds("told", labels.told + joined + unoutlined(photos))
        refuse(faults)
        rows = with_sequences([row for row, *_ in handled])
        if not dry_run:
            brought = Counter(place_photo(photo.source, out / photo.file)
                              for photo in progress(photos, "originals"))
            print("originals   " + ", ".join(f"{count} {how}" for how, count in brought.items()))
            for row in rows:
                if row.mask not in ("", BACKGROUND):
                    (out / row.mask).parent.mkdir(parents=True, exist_ok=True)
                    os.replace(staging / row.mask, out / row.mask)
            if labels.unpaired:
                (out / "unpaired.txt").write_text("\n".join(labels.unpaired) + "\n",
                                                  encoding="utf-8")
            write_classes(out / "classes.csv", classes)
            write_manifest(out / "manifest.csv", rows)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        with suppress(OSError):  # of a refused import not even an empty folder stays
            out.rmdir()
    print_kinds("no pixel", without)
    print_summary(rows, names, counts, dropped, labels.unpaired, out, dry_run)


def check_out(out: Path) -> None:
    """Refuse a data root that cannot be made, before anything is drawn."""
    there = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not there.is_dir():
        raise InputError(f"--out {out}: {there} is a file; give a folder")
    if not os.access(there, os.W_OK):
        raise InputError(f"--out {out}: nothing may be written into {there}; give a folder of "
                         "your own")


def refuse(faults: Sequence[str]) -> None:
    """Raises InputError if there are faults, all of which are printed before, of each kind some."""
    if len(faults) > 1:
        raise InputError(f"{len(faults)} faults, of {print_kinds('fault', faults)} kinds: see "
                         "above; nothing was written")
    if faults:
        raise InputError(faults[0])


def print_kinds(title: str, lines: Iterable[str]) -> int:
    """Print the lines, of each kind some, and return how many kinds there are."""
    kinds: dict[str, list[str]] = {}
    for line in lines:
        place, mark, text = line.partition(": ")
        kinds.setdefault(re.sub(r"'[^']*'|\[.*\]|\S*[\d/]\S*", "", text if mark else place),
                         []).append(line)
    for some in kinds.values():
        for line in some[:SOME]:
            print(f"{title:12}{line}")
        if len(some) > SOME:
            print(f"{title:12}and {len(some) - SOME} more like this")
    return len(kinds)


def unoutlined(photos: Sequence[LabelledPhoto]) -> list[str]:
    """What is known of the photos, but not where it is."""
    boxes = [photo for photo in photos if photo.boxes]
    unclear = [photo for photo in photos if photo.unclear and not photo.labelled()]
    told = []
    if boxes:
        told.append(f"{sum(len(photo.boxes) for photo in boxes)} boxes without outline, on "
                    f"{len(boxes)} photos such as {boxes[0].file}: what is in them is ignored "
                    "(255) where no outline lies")
    if unclear:
        told.append(f"{len(unclear)} photos have labels, but none with an area, such as "
                    f"{unclear[0].file}: they are unlabelled")
    return told


def spelled_alike(names: Sequence[str]) -> dict[str, str]:
    """{class: the one before it that it differs from by capital letters, blanks or _}."""
    known: dict[str, str] = {}
    same = {}
    for name in (BACKGROUND, *names):
        first = known.setdefault(" ".join(re.split(r"[\s_]+", spelled(name.strip()))), name)
        if first != name:
            same[name] = first
    return same


def alike_fault(name: str, first: str, photos: Sequence[LabelledPhoto]) -> str:
    """The question whether two classes are one, with a label of the second."""
    where = next((shape.where or photo.where for photo in photos for shape in photo.shapes
                  if shape.name == name), photos[0].where if photos else "labels")
    return (f"{where}: the class {name!r} and another one, {first!r}, differ by capital letters, "
            "blanks or _ alone; --alike join makes them one, --alike keep leaves them two")


def row_of(photo: LabelledPhoto, unannotated: str | None) -> Row:
    """A photo's row of the manifest."""
    file = photo.file.removeprefix("photos/")
    mask = BACKGROUND if photo.empty or unannotated == "empty" else ""
    if photo.unclear:
        mask = ""
    if photo.labelled():
        mask = f"masks/{file}.png"
    return Row(photo.file, mask, photo.location or location_of(file),
               photo.datetime or photo.header.datetime, photo.sequence, photo.split,
               photo.difficulty, photo.focus)


def with_sequences(rows: list[Row]) -> list[Row]:
    """The rows with the sequences that their times tell, unless the labels told sequences."""
    if any(row.sequence for row in rows):
        return rows
    sequences = assign_sequences([row.location for row in rows], [row.datetime for row in rows])
    return [row._replace(sequence=name) for row, name in zip(rows, sequences, strict=True)]


def check_size(photo: LabelledPhoto) -> None:
    """Refuse labels for another picture than the photo, upright or as stored."""
    size, (width, height) = (photo.width, photo.height), photo.header.size
    if not (same_aspect(size, (width, height)) or same_aspect(size, photo.header.stored)):
        raise InputError(f"{photo.where}: the labels are for {size[0]} x {size[1]} pixels, but "
                         f"{photo.source} has {width} x {height} (upright); export them again "
                         "for the photos as they are")


def upright_mask(photo: LabelledPhoto, mask: np.ndarray) -> np.ndarray:
    """The mask as the upright photo lies, whichever way up it was labelled."""
    if same_aspect(mask.shape[::-1], photo.header.size):
        return mask
    return upright(mask, photo.header.orientation)  # drawn on the photo as it is stored


def drop_leaking_copies(photos: Sequence[LabelledPhoto],
                        ) -> tuple[list[LabelledPhoto], list[LabelledPhoto]]:
    """Keep a photo that stands in several splits in one alone: test before val before train.

    Copies are known by their bytes. Returns the photos kept and the photos dropped.
    """
    if len({photo.split for photo in photos}) < 2:
        return list(photos), []
    first: dict[bytes, str] = {}
    hashes = [hashlib.blake2b(photo.source.read_bytes()).digest()
              for photo in progress(photos, "comparing")]
    rank = {name: place for place, name in enumerate(("test", "test_seen", "val", "train", ""))}
    for digest, photo in sorted(zip(hashes, photos, strict=True),
                                key=lambda item: rank[item[1].split]):
        first.setdefault(digest, photo.split)
    kept = [photo for digest, photo in zip(hashes, photos, strict=True)
            if first[digest] == photo.split]
    dropped = [photo for digest, photo in zip(hashes, photos, strict=True)
               if first[digest] != photo.split]
    return kept, dropped


def check_texts(photos: Sequence[LabelledPhoto], names: Sequence[str]) -> list[str]:
    """The names that no CSV file can hold: line breaks, control characters, broken Unicode."""
    texts = [(photos[0].where, name) for name in names if photos]
    texts += [(photo.where, text) for photo in photos
              for text in (photo.file, photo.location, photo.sequence)]
    return [f"{where}: the name {text!r} holds control characters; rename it"
            for where, text in texts if re.search("[\x00-\x1f\ud800-\udfff]", text)]


def check_places(photos: Sequence[LabelledPhoto], out: Path) -> list[str]:
    """Two labels for one photo, and photos that would lie where another one lies."""
    places: dict[str, LabelledPhoto] = {}
    faults = []
    for photo in progress(photos, "comparing"):
        other = places.setdefault(photo.file, photo)
        target = out / photo.file
        if other is not photo:
            faults.append(f"{photo.where}: the photo {photo.source} has labels already, in "
                          f"{other.where}; leave one of them out")
        elif target.exists() and not filecmp.cmp(target, photo.source, shallow=False):
            faults.append(f"{target} exists and is another photo than {photo.source}; rename "
                          "the folder of one of them, or give another --out")
    return faults


def place_photo(source: Path, target: Path) -> str:
    """Bring a photo into the data root by a hard link, or a copy where links are not to be had; in
    words, what was done."""
    if target.exists():
        return "are in the data root already"
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copy2(source, target)
        return "are copied: they lie on another disk"
    return "have a link in the data root, which takes no space"


def print_summary(rows: Sequence[Row], names: Sequence[str], counts: np.ndarray,
                  dropped: Iterable[LabelledPhoto], unpaired: Sequence[str], out: Path,
                  dry_run: bool) -> None:
    """Tell what was written; `counts` (256,): in how many photos each mask value occurs."""
    for photo in dropped:
        print(f"dropped     {photo.file}: the same photo stands in another split")
    for line in unpaired[:10]:
        print(f"unpaired    {line}")
    if len(unpaired) > 10:
        print(f"unpaired    and {len(unpaired) - 10} more"
              + ("" if dry_run else f", all in {out / 'unpaired.txt'}"))
    empty = sum(row.mask == BACKGROUND for row in rows)
    unlabelled = sum(not row.mask for row in rows)
    splits = ", ".join(f"{sum(row.split == name for row in rows)} {name}" for name in SPLITS
                       if any(row.split == name for row in rows))
    print(f"photos      {len(rows)}: {len(rows) - empty - unlabelled} with masks, {empty} empty, "
          f"{unlabelled} unlabelled" + (f" ({splits})" if splits else ""))
    if splits and not any(row.split.startswith("test") for row in rows):
        print("note        no photo has the split test, so scripts/test.py will have nothing to "
              "test: say --split none to have splits drawn, or give some photos to test")
    timed = sum(bool(row.datetime) for row in rows)
    print(f"sequences   {len({(row.location, row.sequence) for row in rows if row.sequence})}; "
          f"{timed} photos have a time")
    found = [(name, count) for name, count in zip(names, counts[1:], strict=False) if count]
    print("classes     " + ", ".join(f"{name} (in {count} photos)" for name, count in found)
          + (f"; {len(names) - len(found)} in no photo" if len(found) < len(names) else ""))
    print(f"{'would write' if dry_run else 'wrote      '} {out / 'manifest.csv'}")
