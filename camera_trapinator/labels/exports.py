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
from ..data.photos import SYSTEM_FOLDER, UNREADABLE, look_below, reason_of
from .shapes import LabelledPhoto
from .source import NoArea, Source

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
        raise InputError(f"{path}: {kind and f'no {kind}, '}it has no list {key!r} of objects"
                         f"{_other_tool(content)}")
    return items


def _other_tool(content: object) -> str:
    """Whose file it is, if it is known; and how it is imported."""
    first = content[0] if isinstance(content, list) and content else None
    if isinstance(first, dict) and "data" in first and ("annotations" in first or "id" in first):
        return "; it is of Label Studio, import it with label-studio"
    if not isinstance(content, dict):
        return ""
    if any(key.startswith("_via_") for key in content) or any(
            isinstance(item, dict) and "regions" in item for item in content.values()):
        return "; it is of VIA (VGG Image Annotator), import it with via"
    for keys, told in (
            (("shapes", "imagePath"), "of Labelme, import its folder with labelme"),
            (("videos", "annotations"), "COCO of videos, import it with coco-video"),
            (("detection_categories",), "of MegaDetector, and a box is no mask"),
            (("categories", "items"), "of Datumaro, import its folder with datumaro")):
        if all(key in content for key in keys):
            return f"; it is {told}"
    return ""


def pixels_along(item: dict, key: str, where: str) -> int:
    """The width or height of a picture."""
    value = item.get(key)
    if not is_side(value):
        raise InputError(f"{where}: {key} {value!r:.40} is no number of pixels")
    return int(value)


def is_side(value: object) -> bool:
    """Whether a picture can be so many pixels wide or high; some write 640.0."""
    return type(value) in (int, float) and 0 < value < 100_000 and value == int(value)


def is_number(value: object) -> bool:
    """Whether a value can be a coordinate or a length: no text, not nan, not endless."""
    return type(value) in (int, float) and abs(value) < FAR


def are_points(value: object) -> bool:
    """Whether a value is a list of points [x, y]."""
    return isinstance(value, list) and all(
        isinstance(point, list) and len(point) == 2 and all(map(is_number, point))
        for point in value)


def no_area(where: str, what: str) -> NoArea:
    """The refusal of lines, points and the like: `what` is no shape that a mask could have."""
    return NoArea(f"{where}: a {what} has no area, so it is no mask and left out; draw a "
                  "polygon instead if it marks an animal")


def check_outlined(path: Path, photos: Iterable[LabelledPhoto], shapes: str) -> None:
    """Refuse a file whose `shapes` (as its tool calls them) are boxes and nothing else."""
    boxes = sum(len(photo.boxes) for photo in photos)
    if boxes and not any(photo.shapes for photo in photos):
        raise InputError(f"{path}: its {boxes} {shapes} are boxes, and a box is no mask; draw "
                         "outlines, or make them with a tool such as SAM")


# --------------------------------------------------------------------------- labels and photos


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


def pair_labels(source: Source, ending: str) -> tuple[list[tuple[str, Path | None]], list[Path]]:
    """Each photo of a source, relative, with its label file below `source.path`, if it has one.

    The label of `a/IMG_1.jpg` is `a/IMG_1<ending>` or `a/IMG_1.jpg<ending>`, the ending in any
    case. Photos and picture labels may share a folder: a photo's label is no photo. Returns the
    pairs, and the label files that belong to no photo; what is not clear is a fault.
    """
    images, found = source.images, {}
    for path in files_below(source.path, ending):
        base = path.relative_to(source.path).as_posix()[:-len(ending)]
        if base in found:
            source.faults.append(f"{path}: {found[base].name} is a label of the same photo; leave "
                                 "one of them out")
        found.setdefault(base, path)
    bases = {path: base for base, path in found.items()}
    photos = source.photos
    names = set(photos) | {os.path.splitext(file)[0] for file in photos
                           if images / file not in bases}
    photos = [file for file in photos if bases.get(images / file) not in names]
    pairs, taken = [], {}
    for file in photos:
        mine = [found[base] for base in (os.path.splitext(file)[0], file)
                if base in found and found[base] != images / file]
        if len(mine) > 1 or (mine and mine[0] in taken):
            other = mine[1] if len(mine) > 1 else taken[mine[0]]
            source.faults.append(f"{mine[0]}: is it the label of {images / file}? {other} stands "
                                 "in the way; rename one of them")
        taken.update(dict.fromkeys(mine, images / file))
        pairs.append((file, mine[0] if mine else None))
    known = taken.keys() | {images / file for file in photos}
    return pairs, [path for path in found.values() if path not in known]


def files_below(folder: Path, ending: str) -> list[Path]:
    """The files below a folder whose names end so, in any case; not the shadows that macOS leaves
    (`._a.json`), nor what lies in folders of the system (trash, thumbnails)."""
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not SYSTEM_FOLDER.fullmatch(name)]
        found += [Path(parent) / name for name in sorted(names)
                  if name.lower().endswith(ending.lower()) and not name.startswith("._")]
    return sorted(found)


def without_photo(source: Source, labels: Sequence[Path], names: Sequence[str] = ()) -> None:
    """Note the label files whose photo is missing: as faults unless they may be skipped. `names`:
    what each of them calls its photo."""
    if labels and not source.skip_missing:
        name = f" {names[0]!r}" if names else ""
        source.faults.append(f"{labels[0]}: its photo{name} is not in {source.images} (and "
                             f"{len(labels) - 1} more such labels); bring the photos, or leave "
                             "them out with --skip-missing")
    else:
        source.unpaired += [f"{path}: its photo is missing" for path in labels]


def left_over(folders: Iterable[Path], photos: Iterable[LabelledPhoto],
              out: Path) -> tuple[list[str], list[str]]:
    """What lies in the folders of the photos, but is not imported: a line for each photo that no
    label names, and a line for each kind of other things (videos ...). Masks in `out` are no
    photos."""
    listed = {os.path.realpath(photo.source) for photo in photos}
    unlisted, others = [], []
    for folder in {folder.resolve(): folder for folder in folders}.values():
        below = look_below(folder)
        unlisted += [f"{folder / file}: no label names this photo" for file in below.photos
                     if os.path.realpath(folder / file) not in listed
                     and not (folder / file).is_relative_to(out / "masks")]
        others += [f"{len(paths)} {what} (such as {folder / paths[0]})"
                   for what, paths in below.passed_over.items()]
    return unlisted, others
