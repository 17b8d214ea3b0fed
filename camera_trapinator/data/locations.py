"""Which camera site a photo is of, by the folders that it lies in."""

import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import PurePosixPath

from .. import InputError
from .files import spelled

# Folders that a camera makes by itself on its card; the location is the folder above them. By the
# DCF standard (JEITA CP-3461) they are three digits and five capital letters, digits or _ (digits
# alone are somebody's number or date); some computers show them in small letters: then they count
# below DCIM, and those that are well known.
DCF_FOLDER = re.compile(r"\d{3}(?=.*[A-Z_])[A-Z0-9_]{5}")
CAMERA_FOLDER = re.compile(
    r"DCIM|\d{3}(RECNX|EK\d{3}|_BTCF|MEDIA|DSCIM|CANON|NIKON|OLYMP|MSDCF|_PANA|PENTX|GOPRO|_FUJI)",
    re.IGNORECASE)
SPLIT_FOLDERS = {"train": "train", "training": "train", "val": "val", "valid": "val",
                 "validation": "val", "test": "test", "testing": "test"}
# What people call the folder of what they brought home on one day.
ROUND = (r"(visit|check|round|trip|survey|session|download|retrieval|collection|service|swap|pull|"
         r"batch|card|sd|sdcard|deployment|week|month|season)")
MONTH = r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
VISIT_FOLDER = re.compile(
    rf"(visited|from|until)?[-_ ]?(20[0-3]\d([-_. ]?\d\d){{0,2}}|\d\d?[-_. ]\d\d?[-_. ](20)?\d\d|"
    rf"(\d\d?[-_. ]?)?{MONTH}[-_. ]?(20)?\d\d|(spring|summer|autumn|fall|winter)[-_ ]?(20)?\d\d|"
    rf"{ROUND}[-_ #.]?\d{{1,4}}|\d{{1,3}}(st|nd|rd|th)?[-_ ]?{ROUND}|"
    rf"(first|second|third|last)[-_ ]?{ROUND})", re.IGNORECASE)


def location_of(image: str) -> str:
    """The camera site of a photo by its path: its folder, less the camera's own folders.

    `ridge/cam3/DCIM/100RECNX/IMG_0001.JPG` -> `ridge/cam3`. A photo in the data root itself, or
    in nothing but camera folders, has the location ".". Letters with marks are stored in one way
    (NFC), whatever way the system of the folder has (macOS has another one).
    """
    return _location_of_folder(image.rpartition("/")[0])


@lru_cache(maxsize=1000)  # photos of one folder follow each other
def _location_of_folder(folder: str) -> str:
    folders = list(PurePosixPath(unicodedata.normalize("NFC", folder)).parts)
    while folders:
        on_card = "DCIM" in (name.upper() for name in folders[-2:-1])
        own = folders[-1].upper() if on_card else folders[-1]
        if not (DCF_FOLDER.fullmatch(own) or CAMERA_FOLDER.fullmatch(own)):
            break
        folders.pop()
    return "/".join(folders) or "."


def split_of(folder: str) -> str:
    """The split that a folder in a path tells: `images/valid/site` -> val; "" if none does."""
    return SPLIT_FOLDERS.get(split_folder(folder).lower(), "")


def split_folder(folder: str) -> str:
    """The folder in a path that tells a split, as it is called there: `images/Valid/site` ->
    Valid; "" if there is none."""
    return next((name for name in reversed(folder.split("/")) if name.lower() in SPLIT_FOLDERS), "")


def settle(assumed: Iterable[str], visits: str = "", cure: str = "") -> dict[str, str]:
    """The camera site that each of the `assumed` locations (see `location_of`) stands for.

    Folders of splits (train, valid ...) tell no site. Nor do folders of visits (2024-05-01,
    check_2, card3); but where several lie together only a person knows: `visits` is "drop" for
    visits to one camera, "keep" for cameras of their own, "" where nobody has said. Raises
    InputError, with the `cure`, where that has to be said.
    """
    kept = {place: _without(place, lambda name: name.lower() in SPLIT_FOLDERS)
            for place in sorted(assumed)}
    dropped = {place: _without(site, VISIT_FOLDER.fullmatch) for place, site in kept.items()}
    if visits:
        return dropped if visits == "drop" else kept
    sites: dict[str, set[str]] = {}
    for place, site in dropped.items():
        sites.setdefault(site, set()).add(kept[place])
    for places in sites.values():
        if len(places) > 1:
            raise InputError(f"are the folders {', '.join(sorted(places)[:3])} visits to one "
                             f"camera, or cameras of their own? {cure}")
    return dropped


def _without(location: str, unwanted) -> str:
    return "/".join(name for name in location.split("/") if not unwanted(name)) or "."


def refuse_two_spellings(locations: Iterable[str],
                         where: Callable[[str], str] = lambda place: "") -> None:
    """Raises InputError if two locations differ in capital letters, blanks or the way in which
    letters with marks are stored alone. `where` tells for a location where it stands."""
    known: dict[str, str] = {}
    for place in sorted(set(locations)):
        plain = unicodedata.normalize("NFC", place)
        other = known.setdefault(" ".join(spelled(place).split()), place)
        if other != place:
            stored = (" (they look the same, but letters with marks are stored in two ways)"
                      if unicodedata.normalize("NFC", other) == plain else "")
            raise InputError(f"the locations {other!r}{where(other)} and {place!r}{where(place)} "
                             f"are spelled alike{stored}; write the same name for the same camera, "
                             "or another one")
