"""A look into a folder before it is published: no path, location or photo may be named in it.

What is looked for comes from the run: its locations (whole, and the folders of which they are
made), its photos' file names, its folders, the home folder; and any home folder at all. Case,
escapes of Markdown and HTML, and how letters with marks are stored make no difference.

Numbers and names of one or two letters are not looked for: they stand everywhere. Nor are names
that are words of what is published in any case, such as a location `camera`: those are told.
"""

import html
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from ..data.files import spelled
from ..data.photos import PHOTO_SUFFIXES
from ..training.checkpoint import load_checkpoint

HOME = re.compile(r"(?:(?<![\w.])/(?:home|users)|\b[a-z]:[\\/]+users)[\\/]+[^\\/\s\"'`]+")  # folded
PHOTO = re.compile(rf"[^\s\\/\"'`|<>]+(?:{'|'.join(map(re.escape, PHOTO_SUFFIXES))})\b")


class Secrets:
    """What must not be named in a published folder.

    `locations`, `images`: those of the run's photos, as its manifest has them; `folders`: of the
    run, of the data; `ordinary`: text that is published in any case. `told`: locations that are not
    looked for since they are words of it.
    """

    def __init__(self, locations: Collection[str], images: Collection[str],
                 folders: Collection[str | Path], ordinary: str):
        ordinary = spelled(ordinary)
        parts = {part for name in locations for part in (name, *re.split(r"[\\/]", name))}
        names = {spelled(part): part for part in parts if says_something(part)}
        self.told = sorted(part for name, part in names.items() if stands_in(name, ordinary))
        self.names = {name: part for name, part in names.items() if part not in self.told}
        folders = {str(folder).rstrip("\\/") for folder in (*folders, Path.home())}
        self.folders = {spelled(folder): folder for folder in folders
                        if len(folder) > 3 and re.search(r"[\\/]", folder)}
        photos = {spelled(re.split(r"[\\/]", image)[-1]) for image in images}
        self.photos = photos - set(PHOTO.findall(ordinary))
        self.odd_photos = {name for name in self.photos if not PHOTO.fullmatch(name)}  # with blanks

    def found_in(self, text: str) -> Iterator[str]:
        """What of it stands in a text, in words."""
        plain = spelled(text)
        texts = {plain, html.unescape(plain), html.unescape(plain).replace("\\", "")}
        for name, folder in self.folders.items():
            if any(stands_in(name, text) for text in texts):
                yield f"the folder {folder}"
        for text in sorted(texts):
            yield from (f"the home folder {home}" for home in HOME.findall(text))
            photos = self.photos.intersection(PHOTO.findall(text))
            photos |= {name for name in self.odd_photos if name in text}
            yield from (f"the photo {name}" for name in sorted(photos))
        for name, location in self.names.items():
            if any(stands_in(name, text) for text in texts):
                yield f"the location {location}"


def says_something(name: str) -> bool:
    """Whether a name is more than a number or two letters, which stand everywhere."""
    return len(name) >= 3 and any(letter.isalpha() for letter in name) or len(name) >= 6


def stands_in(name: str, text: str) -> bool:
    """Whether a name stands in a text as a whole word, or as whole words."""
    return name in text and bool(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text))


def look_through(folder: Path, secrets: Secrets) -> list[str]:
    """What is named in which file of a folder that must not be; [] = nothing."""
    faults = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        text = ("\n".join(texts_in(load_checkpoint(path))) if path.suffix == ".pt"
                else path.read_text(encoding="utf-8"))
        found = dict.fromkeys(secrets.found_in(f"{path.name}\n{text}"))
        faults += [f"{path.name} would name {fault}" for fault in found]
    return faults


def texts_in(content: object) -> Iterator[str]:
    """All texts in the plain types of a checkpoint, keys too."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict):
        for pair in content.items():
            yield from texts_in(pair)
    elif isinstance(content, (list, tuple, set)):
        for item in content:
            yield from texts_in(item)
