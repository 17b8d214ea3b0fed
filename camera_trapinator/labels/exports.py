"""Reading what labelling tools export: files, the values in them, and the photos they belong to.

Everything here raises InputError with the file and the place in it for what is wrong.
"""

import json
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from .. import InputError
from ..data.photos import UNREADABLE, find_photos, reason_of
from .shapes import LabelledPhoto

FAR = 1e6  # pixels: no coordinate is farther out


# ----------------------------------------------------------------------------- files and values


def check_folder(path: Path, of: str) -> None:
    """Refuse what is no folder `of` labels of some kind."""
    if not path.is_dir():
        raise InputError(f"{path}: no such folder of {of}")


def read_text(path: Path, cure: str = "") -> str:
    """The text of a file in UTF-8; `cure`: what to do if there is none."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}){cure}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8 text") from None


def read_json(path: Path) -> object:
    """The content of a JSON file."""
    text = read_text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: no valid JSON ({error})") from None


@contextmanager
def open_mask(path: Path) -> Iterator[Image.Image]:
    """A mask picture that Pillow has open; what it cannot read becomes an InputError."""
    try:
        with warnings.catch_warnings():  # of damaged TIFFs Pillow tells at length
            warnings.simplefilter("ignore")
            with Image.open(path) as picture:
                yield picture
    except InputError:
        raise
    except UNREADABLE as error:
        raise InputError(f"{path}: cannot be read as a mask ({reason_of(error)})") from None


def objects(content: object, key: str, path: Path, kind: str = "") -> list[dict]:
    """The list of objects `key` in the content of a JSON file of some `kind`."""
    items = content.get(key) if isinstance(content, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise InputError(f"{path}: {kind and f'no {kind}, '}it has no list {key!r} of objects")
    return items


def pixels_along(item: dict, key: str, where: str) -> int:
    """The width or height of a picture."""
    value = item.get(key)
    if not is_side(value):
        raise InputError(f"{where}: {key} {value!r:.40} is no number of pixels")
    return value


def is_side(value: object) -> bool:
    """Whether a picture can be so many pixels wide or high."""
    return type(value) is int and 0 < value < 100_000


def is_number(value: object) -> bool:
    """Whether a value can be a coordinate or a length: no text, not nan, not endless."""
    return type(value) in (int, float) and abs(value) < FAR


def are_points(value: object) -> bool:
    """Whether a value is a list of points [x, y]."""
    return isinstance(value, list) and all(
        isinstance(point, list) and len(point) == 2 and all(map(is_number, point))
        for point in value)


def no_area(where: str, what: str) -> InputError:
    """The refusal of lines, points and the like: `what` is no shape that a mask could have."""
    return InputError(f"{where}: a {what} has no area, so it is no mask; delete it, or draw a "
                      "polygon instead")


def check_outlined(path: Path, photos: Iterable[LabelledPhoto], shapes: str) -> None:
    """Refuse a file whose `shapes` (as its tool calls them) are boxes and nothing else."""
    boxes = sum(len(photo.boxes) for photo in photos)
    if boxes and not any(photo.shapes for photo in photos):
        raise InputError(f"{path}: its {boxes} {shapes} are boxes, and a box is no mask; draw "
                         "outlines, or make them with a tool such as SAM")


# --------------------------------------------------------------------------- labels and photos


def photo_in(images: Path, place: str, file: str, *, split: str = "",
             label: object = "") -> LabelledPhoto:
    """The photo `file` of the folder `images`, which lies at `place` ("" = is the data root).

    `label`: the label's file, or the place in it, for errors; "" = the photo has none. The size
    is left to be filled in. Refuses a path that leads out of the folder.
    """
    source = safe_photo(images, file, str(label or images))
    return LabelledPhoto(source, f"{place}/{file}" if place else file, 0, 0, str(label or source),
                         split=split)


def places_of(folders: Iterable[Path], out: Path) -> dict[Path, str]:
    """Where the photos of each folder (resolved) lie in the data root `out`: there, or photos/."""
    places: dict[Path, str] = {}
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"--images: {folder} is no folder")
        if folder.resolve() in places:
            continue
        if folder.resolve().is_relative_to(out.resolve()):
            place = folder.resolve().relative_to(out.resolve()).as_posix()
            places[folder.resolve()] = "" if place == "." else place
            continue
        place = f"photos/{folder.resolve().name}"
        while place in places.values():  # two folders of one name stay two
            place += "_"
        places[folder.resolve()] = place
    return places


def pair_labels(images: Path, labels: Path, ending: str,
                ) -> tuple[list[tuple[str, Path | None]], list[Path]]:
    """Each photo below `images`, relative, with its label file below `labels`, if it has one.

    The label of `a/IMG_1.jpg` is `a/IMG_1<ending>` or `a/IMG_1.jpg<ending>`, the ending in any
    case. Photos and picture labels may share a folder: a photo's label is no photo. Returns the
    pairs, and the label files that belong to no photo; refuses what is not clear.
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


def check_missing(path: Path, files: Sequence[str], images: Path, skip_missing: bool) -> list[str]:
    """A line for each photo that a file of labels lists but that is not in the folder.

    Raises InputError unless they may be skipped.
    """
    if files and not skip_missing:
        raise InputError(f"{path}: {len(files)} of its photos are not in {images}, such as "
                         f"{files[0]!r}; bring them, or leave them out with --skip-missing")
    return [f"{path}: its photo {file} is missing" for file in files]


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
