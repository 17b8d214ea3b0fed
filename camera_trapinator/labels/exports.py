"""Reading what labelling tools export: files, the values in them, and the photos they belong to.

Everything here raises InputError with the file and the place in it for what is wrong.
"""

import json
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

from PIL import Image

from .. import InputError
from ..data.files import spelled
from ..data.photos import SYSTEM_FOLDER, UNREADABLE, reason_of
from ..data.tables import encoding_of
from .source import NoArea

FAR = 1e6  # pixels: no coordinate is farther out
ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".7z", ".rar")
TEXTS = (".json", ".ndjson", ".txt", ".names", ".yaml", ".yml", ".csv")


# ----------------------------------------------------------------------------- files and values


def check_folder(path: Path, of: str) -> None:
    """Refuse what is no folder `of` labels or photos, and say what to give instead."""
    if path.is_dir():
        return
    if not path.exists():
        raise InputError(f"{path}: does not exist, no such folder of {of}{_alike(path)}")
    if path.suffix.lower() in ARCHIVES:
        raise InputError(f"{path}: unzip it first, and give the folder of {of}")
    raise InputError(f"{path}: a file, not the folder of {of}; give its folder {path.parent}")


def read_text(path: Path, cure: str = "", endings: Sequence[str] = TEXTS) -> str:
    """The text of a file in UTF-8, or in UTF-16 with its mark; `cure`: what to do if there is none;
    `endings`: of the files that are meant, to name them where a folder is given."""
    kind = f"{endings[0]} file" if len(endings) == 1 else "text file"
    if path.is_dir():
        names = sorted(name for name in os.listdir(path) if name.lower().endswith(tuple(endings)))
        raise InputError(f"{path}: a folder; give " + (
            f"one of the {kind}s in it: {', '.join(names[:5])}" if names else
            f"a {kind}, of which there is none in it"))
    if path.suffix.lower() in ARCHIVES:
        raise InputError(f"{path}: unzip it first, and give the {kind} in it, or the folder")
    try:
        text = path.read_text(encoding=encoding_of(path))
    except FileNotFoundError:
        raise InputError(f"{path}: does not exist{_alike(path)}{cure}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}){cure}") from None
    except UnicodeError:
        text = "\0"
    if "\0" in text:  # as in UTF-16 without its mark
        raise InputError(f"{path}: not UTF-8 text; save it as UTF-8")
    return text


def _alike(path: Path) -> str:
    """What lies where a path that does not exist would be."""
    folder = next((folder for folder in path.parents if folder.is_dir()), Path())
    missing = path.relative_to(folder).parts[0]
    names = {spelled(name): name for name in sorted(os.listdir(folder))
             if not name.startswith(".")}
    alike = [names[name] for name in get_close_matches(spelled(missing), names)]
    return f"; in {folder} there is {', '.join(alike or list(names.values())[:5]) or 'nothing'}"


def read_json(path: Path) -> object:
    """The content of a JSON file."""
    text = read_text(path, endings=(".json",))
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
        raise InputError(f"{path}: cannot be read as a mask ({reason_of(error)}); draw it anew, or "
                         "take it away") from None


def objects(content: object, key: str, path: Path, kind: str = "") -> list[dict]:
    """The list of objects `key` in the content of a JSON file of some `kind`."""
    items = content.get(key) if isinstance(content, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise InputError(f"{path}: {kind and f'no {kind}, '}it has no list {key!r} of objects"
                         f"{other_tool(content)}")
    return items


def other_tool(content: object) -> str:
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


# --------------------------------------------------------------------------- labels and photos


def places_of(folders: Iterable[Path], out: Path) -> dict[Path, str]:
    """Where the photos of each folder (resolved) lie in the data root `out`: there, or photos/NAME.

    Folders of one name keep the folders above that tell them apart: photos/train/images and
    photos/valid/images, in which splits and sites can be seen.
    """
    places: dict[Path, str] = {}
    for folder in folders:
        check_folder(folder, "photos")
        places[folder.resolve()] = ""
    outside = [folder for folder in places if not folder.is_relative_to(out.resolve())]
    for folder in places:
        if folder not in outside:
            place = folder.relative_to(out.resolve()).as_posix()
            places[folder] = "" if place == "." else place
    for folder in outside:
        same = [other.parts for other in outside if spelled(other.name) == spelled(folder.name)]
        depth = 1
        while len({spelled("/".join(parts[-depth:])) for parts in same}) < len(same):
            depth += 1
        place = "/".join(["photos", *folder.parts[-depth:]])
        while place in places.values():  # as one in the data root
            place += "_"
        places[folder] = place
    return places


def files_below(folder: Path, ending: str) -> list[Path]:
    """The files below a folder whose names end so, in any case; not the shadows that macOS leaves
    (`._a.json`), nor what lies in folders of the system (trash, thumbnails)."""
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not SYSTEM_FOLDER.fullmatch(name)]
        found += [Path(parent) / name for name in sorted(names)
                  if name.lower().endswith(ending.lower()) and not name.startswith("._")]
    return sorted(found)
