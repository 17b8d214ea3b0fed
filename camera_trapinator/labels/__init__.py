"""Importers of labels: what labelling tools export becomes a data root that the dataset reads.

One file a tool beside this one: it reads the tool's format into `Labels`. What all tools share is
here: drawing shapes, checking sizes, placing photos, writing the data root.
"""

import filecmp
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from .. import IGNORE, InputError
from ..manifest import (
    BACKGROUND,
    SPLITS,
    Class,
    Row,
    assign_sequences,
    location_of,
    write_classes,
    write_manifest,
)
from ..photos import (
    decode_rle,
    find_photos,
    photo_size,
    read_datetime,
    resize_mask,
    same_aspect,
    scaled_size,
    upright,
    write_mask,
)

# Colours that people with any kind of colour vision tell apart (Okabe and Ito 2008, then others).
COLOURS = [(230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (213, 94, 0),
           (204, 121, 167), (0, 114, 178), (160, 200, 90), (150, 90, 200), (120, 70, 30),
           (255, 150, 150), (60, 220, 220), (190, 190, 190), (90, 110, 40), (255, 80, 200)]


class Shape(NamedTuple):
    """One animal that somebody drew."""

    name: str | None  # its class; None = ignore these pixels (mask value 255)
    polygons: Sequence[Sequence[float]] = ()  # rings [x1, y1, x2, y2 ...] in pixels; their union
    rle: dict | None = None  # or a run-length encoding, see photos.decode_rle
    inside: np.ndarray | None = None  # or the pixels themselves, bool (height, width)


@dataclass
class LabelledPhoto:
    """A photo and what a labelling tool says of it."""

    source: Path  # the photo
    file: str  # its path in the data root
    width: int  # of the labels, in pixels
    height: int
    where: str  # file and id of the label, for errors
    shapes: list[Shape] = field(default_factory=list)
    # Reads further shapes from a picture when the mask is drawn: too large to keep before.
    picture: Callable[[], list[Shape]] | None = None
    empty: bool = False  # checked, and nothing there
    location: str = ""
    datetime: str = ""
    sequence: str = ""
    split: str = ""

    def labelled(self) -> bool:
        return bool(self.shapes) or self.picture is not None


@dataclass
class Labels:
    """All that an export holds."""

    photos: list[LabelledPhoto] = field(default_factory=list)
    # Class names in the tool's own order; else those of the shapes, sorted. Names that `photo.
    # picture` gives must stand here.
    classes: list[str] = field(default_factory=list)
    unpaired: list[str] = field(default_factory=list)  # labels without photo: "FILE: what is amiss"

    def __add__(self, other: "Labels") -> "Labels":
        return Labels(self.photos + other.photos,
                      list(dict.fromkeys(self.classes + other.classes)),
                      self.unpaired + other.unpaired)


# --------------------------------------------------------------------------------- drawing


def rasterise(polygons: Sequence[Sequence[float]], height: int, width: int) -> np.ndarray:
    """The union of polygons [x1, y1, x2, y2 ...] as a bool mask (height, width).

    A pixel belongs to a polygon if its centre does (even-odd rule), which is what pycocotools
    does. `ImageDraw.polygon` counts the border in: blobs of 4 to 10 pixels' radius gain 15 %.
    """
    mask = np.zeros((height, width), bool)
    for ring in polygons:
        start = np.asarray(ring, float).reshape(-1, 2)
        end = np.roll(start, -1, axis=0)
        # The columns whose centres an edge crosses, one row of the arrays per crossing.
        low, high = (np.ceil(pick(start[:, 0], end[:, 0]) - 0.5).clip(0, width).astype(int)
                     for pick in (np.minimum, np.maximum))
        edge = np.repeat(np.arange(len(start)), high - low)
        column = np.arange(len(edge)) - np.repeat(np.cumsum(high - low) - high, high - low)
        (x, y), (x_end, y_end) = start[edge].T, end[edge].T
        crossing = y + (column + 0.5 - x) * (y_end - y) / (x_end - x)
        row = np.ceil(crossing - 0.5).clip(0, height).astype(int)
        if not len(row) or row.min() == row.max():
            continue
        # Below each crossing inside and outside change places.
        top, bottom, left, right = row.min(), row.max(), column.min(), column.max() + 1
        changes = np.zeros((bottom - top + 1, right - left), np.int32)
        np.add.at(changes, (row - top, column - left), 1)
        mask[top:bottom, left:right] |= changes.cumsum(axis=0)[:-1] % 2 == 1
    return mask


def pixels_of(shape: Shape, height: int, width: int) -> np.ndarray:
    """The pixels of a shape, bool (height, width)."""
    if shape.inside is not None:
        return shape.inside
    if shape.rle is not None:
        return decode_rle(shape.rle)
    return rasterise(shape.polygons, height, width)


def box_remainders(photo: LabelledPhoto, boxes: Sequence[Sequence[float]]) -> list[Shape]:
    """What lies in a box (a polygon in pixels) but in no outline of the photo: to ignore."""
    inside = rasterise(boxes, photo.height, photo.width)
    for shape in photo.shapes:
        inside &= ~pixels_of(shape, photo.height, photo.width)
    return [Shape(None, inside=inside)]


def draw_mask(photo: LabelledPhoto, indices: dict[str, int], overlap: str) -> np.ndarray:
    """The mask of a photo's shapes, uint8 (height, width) at the labels' size.

    `overlap`, where shapes of two classes meet: `later` shape wins, `smaller` shape wins, or
    `ignore` (255).
    """
    drawn = []
    for shape in photo.shapes + (photo.picture() if photo.picture else []):
        drawn.append((IGNORE if shape.name is None else indices[shape.name],
                      pixels_of(shape, photo.height, photo.width)))
    if overlap == "smaller":
        drawn.sort(key=lambda item: -int(item[1].sum()))
    mask = np.zeros((photo.height, photo.width), np.uint8)
    for value, inside in drawn:
        if overlap == "ignore":
            clash = inside & (mask != 0) & (mask != value)
            mask[inside] = value
            mask[clash] = IGNORE
        else:
            mask[inside] = value
    return mask


# ------------------------------------------------------------------------ reading exports


def read_json(path: Path) -> object:
    """The content of a JSON file. Raises InputError if it cannot be read or is no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: no valid JSON ({error})") from None


def read_text(path: Path) -> str:
    """A text file. Raises InputError if it cannot be read or is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8 text") from None


def in_data_root(place: str, file: str) -> str:
    """Where a photo of the folder that lies at `place` ("" = the data root itself) stands."""
    return f"{place}/{file}" if place else file


def pair_labels(images: Path, labels: Path, ending: str,
                ) -> tuple[list[tuple[str, Path | None]], list[Path]]:
    """Each photo below `images`, relative, with its label file below `labels`, if it has one.

    The label of `a/IMG_1.jpg` is `a/IMG_1<ending>` or `a/IMG_1.jpg<ending>`, the ending in any
    case. Photos and picture labels may share a folder: a photo's label is no photo. Returns the
    pairs, and the label files that belong to no photo. Raises InputError where it is not clear
    what belongs together.
    """
    found = {}
    for parent, _, names in os.walk(labels):
        for name in sorted(names):
            if name.lower().endswith(ending.lower()) and not name.startswith("._"):
                path = Path(parent) / name
                base = path.relative_to(labels).as_posix()[:-len(ending)]
                if base in found:
                    raise InputError(f"{path}: {found[base].name} is a label of the same photo; "
                                     "leave one of them out")
                found[base] = path
    bases = {path: base for base, path in found.items()}
    photos = find_photos(images)
    names = set(photos) | {os.path.splitext(file)[0] for file in photos
                           if images / file not in bases}
    photos = [file for file in photos if bases.get(images / file) not in names]
    pairs, taken = [], {}
    for file in photos:
        mine = [found[base] for base in (os.path.splitext(file)[0], file)
                if base in found and found[base] != images / file]
        if len(mine) > 1 or (mine and mine[0] in taken):
            other = mine[1] if len(mine) > 1 else taken[mine[0]]
            raise InputError(f"{mine[0]}: is it the label of {images / file}? {other} stands in "
                             "the way; rename one of them")
        taken.update(dict.fromkeys(mine, images / file))
        pairs.append((file, mine[0] if mine else None))
    known = taken.keys() | {images / file for file in photos}
    return pairs, [path for path in found.values() if path not in known]


def without_photo(labels: Sequence[Path], images: Path, skip_missing: bool) -> list[str]:
    """A line for each label whose photo is missing; an InputError unless they may be skipped."""
    if labels and not skip_missing:
        raise InputError(f"{labels[0]}: its photo is not in {images} (and {len(labels) - 1} more "
                         "such labels); bring the photos, or leave them out with --skip-missing")
    return [f"{path}: its photo is missing" for path in labels]


def check_missing(path: Path, files: Sequence[str], images: Path, skip_missing: bool) -> None:
    """Refuse a file of labels that lists photos which are not there, unless they may be skipped."""
    if files and not skip_missing:
        raise InputError(f"{path}: {len(files)} of its photos are not in {images}, such as "
                         f"{files[0]!r}; bring them, or leave them out with --skip-missing")


def unlisted_photos(folders: Iterable[Path], photos: Iterable[LabelledPhoto],
                    out: Path) -> list[str]:
    """The photos that lie in the folders but that no label names; masks in `out` are no photos."""
    listed = {os.path.realpath(photo.source) for photo in photos}
    found = (folder / file for folder in folders for file in find_photos(folder))
    return [f"{path}: no label names this photo" for path in found
            if os.path.realpath(path) not in listed and not path.is_relative_to(out / "masks")]


def safe_photo(folder: Path, file: str, where: str) -> Path:
    """The photo `file` of a folder. Refuses a path that leads out of it, also through a link."""
    if (file.startswith(("/", "~")) or "\\" in file or "\0" in file or ":" in file[:2]
            or ".." in file.split("/")):
        raise InputError(f"{where}: photo {file!r} is no path inside the folder of the images")
    path = folder / file
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{where}: photo {file!r} leads out of {folder} through a link")
    return path


# ------------------------------------------------------------------------- the data root


def write_data_root(labels: Labels, out: Path, *, overlap: str = "later",
                    unannotated: str | None = None, mask_long_side: int = 0,
                    overwrite: bool = False, dry_run: bool = False) -> None:
    """Write masks, photos, classes.csv and, last, manifest.csv; all is checked before.

    Photos inside `out` stay where they are; others are linked (hard links: no space, and the
    original stays what it is) or, across file systems, copied to `out`/photos. Raises InputError
    for anything that is wrong with the labels or the photos.
    """
    if (out / "manifest.csv").exists() and not overwrite:
        raise InputError(f"{out / 'manifest.csv'} exists; give another --out, or --overwrite")
    photos, dropped = drop_leaking_copies(labels.photos)
    undecided = [photo for photo in photos if not photo.labelled() and not photo.empty]
    if undecided and unannotated is None:
        raise InputError(f"{len(undecided)} photos have no annotation, such as "
                         f"{undecided[0].file}: say with --unannotated empty that they were "
                         "checked and nothing is there, or with --unannotated unlabelled that "
                         "nobody looked")
    names = labels.classes or sorted({shape.name for photo in photos for shape in photo.shapes
                                      if shape.name})
    names = [name for name in names if name != BACKGROUND]
    if not any(photo.labelled() for photo in photos):
        raise InputError("no photo has a labelled animal; nothing could be learned from this")
    if len(names) > 254:
        raise InputError(f"{len(names)} classes; a mask holds 254 at most")
    classes = [Class(BACKGROUND, (0, 0, 0)), *(
        Class(name, COLOURS[place % len(COLOURS)]) for place, name in enumerate(names))]
    indices = {name: index for index, (name, _) in enumerate(classes)}

    staging = out / ".import"  # masks are finished here, then moved into place

    def handle(photo: LabelledPhoto) -> tuple[Row, np.ndarray]:
        """Draw a photo's mask; its row of the manifest, and the classes that the mask holds."""
        mask = upright_mask(photo, draw_mask(photo, indices, overlap))
        if mask_long_side and max(mask.shape) > mask_long_side:
            mask = resize_mask(mask, *scaled_size(*mask.shape[::-1], mask_long_side))
        column = BACKGROUND if photo.empty or unannotated == "empty" else ""
        if photo.labelled():
            column = "masks/" + photo.file.removeprefix("photos/") + ".png"
            if not dry_run:
                write_mask(staging / column, mask, [colour for _, colour in classes])
        location = photo.location or location_of(photo.file.removeprefix("photos/"))
        row = Row(photo.file, column, location, photo.datetime or read_datetime(photo.source),
                  photo.sequence, photo.split)
        return row, np.unique(mask)

    try:
        check_texts(photos, names)
        check_places(photos, out)
        for photo in photos:
            check_size(photo)
        with ThreadPoolExecutor() as pool:
            handled = list(tqdm(pool.map(handle, photos), total=len(photos), unit="photo",
                                dynamic_ncols=True, leave=False, disable=None))
        rows = [row for row, _ in handled]
        counts = np.bincount(np.concatenate([found for _, found in handled]), minlength=256)
        if not any(row.sequence for row in rows):
            sequences = assign_sequences([row.location for row in rows],
                                         [row.datetime for row in rows])
            rows = [row._replace(sequence=name)
                    for row, name in zip(rows, sequences, strict=True)]
        if not dry_run:
            for photo in photos:
                place_photo(photo.source, out / photo.file)
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
    print_summary(rows, names, counts, dropped, labels.unpaired, out, dry_run)


def check_size(photo: LabelledPhoto) -> None:
    """Refuse labels for another picture than the photo, upright or as stored."""
    size, (width, height) = (photo.width, photo.height), photo_size(photo.source)
    if not (same_aspect(size, (width, height))
            or same_aspect(size, photo_size(photo.source, stored=True))):
        raise InputError(f"{photo.where}: the labels are for {size[0]} x {size[1]} pixels, but "
                         f"{photo.source} has {width} x {height} (upright); export them again "
                         "for the photos as they are")


def upright_mask(photo: LabelledPhoto, mask: np.ndarray) -> np.ndarray:
    """The mask as the upright photo lies, whichever way up it was labelled."""
    if same_aspect(mask.shape[::-1], photo_size(photo.source)):
        return mask
    return upright(photo.source, mask)  # drawn on the photo as it is stored


def drop_leaking_copies(photos: Sequence[LabelledPhoto],
                        ) -> tuple[list[LabelledPhoto], list[LabelledPhoto]]:
    """Keep a photo that stands in several splits in one alone: test before val before train.

    Copies are known by their bytes. Returns the photos kept and the photos dropped.
    """
    if len({photo.split for photo in photos}) < 2:
        return list(photos), []
    first: dict[bytes, str] = {}
    hashes = [hashlib.blake2b(photo.source.read_bytes()).digest() for photo in photos]
    rank = {name: place for place, name in enumerate(("test", "test_seen", "val", "train"))}
    for digest, photo in sorted(zip(hashes, photos, strict=True),
                                key=lambda item: rank[item[1].split]):
        first.setdefault(digest, photo.split)
    kept = [photo for digest, photo in zip(hashes, photos, strict=True)
            if first[digest] == photo.split]
    dropped = [photo for digest, photo in zip(hashes, photos, strict=True)
               if first[digest] != photo.split]
    return kept, dropped


def check_texts(photos: Sequence[LabelledPhoto], names: Sequence[str]) -> None:
    """Refuse names that no CSV file can hold: line breaks, control characters, broken Unicode."""
    texts = [(photos[0].where, name) for name in names]
    texts += [(photo.where, text) for photo in photos
              for text in (photo.file, photo.location, photo.sequence)]
    for where, text in texts:
        if re.search("[\x00-\x1f\ud800-\udfff]", text):
            raise InputError(f"{where}: the name {text!r} holds control characters; rename it")


def check_places(photos: Sequence[LabelledPhoto], out: Path) -> None:
    """Refuse two labels for one photo, and to put a photo where another one lies."""
    places: dict[str, LabelledPhoto] = {}
    for photo in photos:
        other = places.setdefault(photo.file, photo)
        if other is not photo:
            raise InputError(f"{photo.where}: the photo {photo.source} has labels already, in "
                             f"{other.where}; leave one of them out")
        target = out / photo.file
        if target.exists() and not filecmp.cmp(target, photo.source, shallow=False):
            raise InputError(f"{target} exists and is another photo than {photo.source}; rename "
                             "the folder of one of them, or give another --out")


def place_photo(source: Path, target: Path) -> None:
    """Bring a photo into the data root by a hard link, or a copy where links are not to be had."""
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)


def print_summary(rows: Sequence[Row], names: Sequence[str], counts: np.ndarray,
                  dropped: Iterable[LabelledPhoto], unpaired: Sequence[str], out: Path,
                  dry_run: bool) -> None:
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
    found = [(name, count) for name, count in zip(names, counts[1:], strict=False) if count]
    print("classes     " + ", ".join(f"{name} (in {count} photos)" for name, count in found)
          + (f"; {len(names) - len(found)} in no photo" if len(found) < len(names) else ""))
    print(f"{'would write' if dry_run else 'wrote      '} {out / 'manifest.csv'}")
