"""Reading what labelling tools export: files, and which label belongs to which photo."""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from .. import InputError
from ..data.photos import find_photos
from .shapes import LabelledPhoto


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
