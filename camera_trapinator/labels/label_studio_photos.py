"""Which photos a task of Label Studio is of.

Label Studio keeps no path of an uploaded photo, puts eight digits before its name and changes
blanks and brackets in it; of other photos it keeps a URL, perhaps packed into one of its own.
Sources: labelstud.io/guide/storage (local files; `/tasks/7/resolve/?fileuri=` with a URL in
base64), labelstud.io/tags/image (valueList), Django's get_valid_filename.
"""

import base64
import binascii
import re
import unicodedata
from pathlib import PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

from .. import InputError
from ..data.files import spelled
from ..data.photos import PHOTO_SUFFIXES
from .shapes import LabelledPhoto
from .source import Source

UPLOADED = re.compile(r"(?:^|.*/)upload/(?:\d+/)?([^/]+)")  # /data/upload/3/0a1b2c3d-IMG_1.jpg
PREFIX = re.compile(r"^[0-9a-f]{8}-")


class TaskPhotos:
    """Finds the photos of tasks among those of a source."""

    def __init__(self, source: Source):
        self.source = source
        self.uploaded: dict[str, list[str]] = {}  # by their names as uploads have them
        for photo in source.photos:
            name = photo.rpartition("/")[2]
            # macOS uploads letters with marks as two, of which the mark is lost.
            for form in {_valid(unicodedata.normalize(form, name)) for form in ("NFC", "NFD")}:
                self.uploaded.setdefault(spelled(form), []).append(photo)

    def of(self, task: dict, where: str) -> list[LabelledPhoto | None]:
        """The photos of a task, None for those that are noted as missing or broken.

        They are one, or those of a list (which the regions tell apart by `item_index`). Of several
        values in `data` the one counts whose photo is here. Raises InputError if that is none, or
        if there are two.
        """
        groups = _groups(task)
        if not groups:
            raise InputError(f"{where}: 0 photos in its `data`, where one is needed "
                             f"({', '.join(PHOTO_SUFFIXES)})")
        found = {group: [self._find(path, where) for path in group] for group in groups}
        here = {tuple(files): group for group, files in found.items() if any(files)}
        if len(here) > 1:
            first, second = list(here)[:2]
            raise InputError(f"{where}: {len(here)} photos in its `data` are here, "
                             f"{next(filter(None, first))!r} and {next(filter(None, second))!r}; "
                             "which one was labelled it does not tell: take the other one out of "
                             "the tasks or out of the folder")
        group = next(iter(here.values()), groups[0])
        return [self.source.photo(file if file and _uploaded(path) else path, where)
                for path, file in zip(group, found[group], strict=True)]

    def _find(self, path: str, where: str) -> str | None:
        """The photo, relative, that a path in a URL means; None if it is not here."""
        parts = PurePosixPath(path).parts
        if ".." in parts or "\0" in path:
            raise InputError(f"{where}: photo {path!r} is no path inside a folder of images")
        if not _uploaded(path):
            return self.source.find(path, where)
        name = UPLOADED.sub(r"\1", path)
        for other in (name, PREFIX.sub("", name)):
            hits = {*self.source.named(other), *self.uploaded.get(spelled(other), ())}
            if len(hits) > 1:
                one, two, *_ = sorted(hits)
                raise InputError(f"{where}: is photo {path!r} {self.source.images / one} or "
                                 f"{self.source.images / two}? The export does not tell; rename "
                                 "one of them, or give Label Studio their paths (local files) and "
                                 "export again")
            if hits:
                return hits.pop()
        return None


def _uploaded(path: str) -> bool:
    """Whether a path is that of an upload; a name alone may be one, too."""
    return bool(UPLOADED.fullmatch(path)) or "/" not in path.lstrip("/")


def _valid(name: str) -> str:
    """A file's name as Label Studio (Django) keeps it when it is uploaded."""
    return re.sub(r"[^-\w.]", "", name.strip().replace(" ", "_"))


def _groups(task: dict) -> list[tuple[str, ...]]:
    """The paths of photos in a task: of each text that is one, of each list of such texts."""
    data = task.get("data", task)  # JSON-MIN has the data in the task itself
    groups = []
    for value in data.values() if isinstance(data, dict) else ():
        texts = value if isinstance(value, list) else [value]
        paths = [_path_of(text) if isinstance(text, str) else "" for text in texts]
        if paths and all(paths):
            groups.append(tuple(paths))
    return list(dict.fromkeys(groups))


def _path_of(text: str) -> str:
    """The path of the photo that a URL leads to; "" if it leads to none."""
    try:
        url = urlsplit(text.replace("\\", "/"))
        query = parse_qs(url.query)
    except ValueError:  # a broken URL
        return ""
    if packed := query.get("fileuri"):
        code = packed[0].replace(" ", "+").replace("-", "+").replace("_", "/").rstrip("=")
        try:
            return _path_of(base64.b64decode(code + "=" * (-len(code) % 4)).decode())
        except (binascii.Error, UnicodeDecodeError):
            return ""
    local = query.get("d")  # /data/local-files/?d=site1/IMG_1.jpg
    path = local[0].replace("\\", "/") if local else unquote(url.path)
    return path if path.lower().endswith(PHOTO_SUFFIXES) else ""
