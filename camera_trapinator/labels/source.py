"""An input of an import: the labels, the photos that they are for, and what is amiss with both.

Tools write the names of photos as they like: in another case, with the letters of macOS, with
backslashes, with the folders of another machine. A photo is found by its path below the folder of
the photos; else by that path in another spelling; else by the longest end of a path that a photo
has. What was matched so is told, and two photos that fit are a fault.
"""

import os
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from .. import InputError
from ..data.photos import find_photos
from .shapes import LabelledPhoto, Labels


class NoArea(InputError):
    """A line, a point or the like: left out beside shapes, a fault where there is nothing else."""


@dataclass
class Source:
    """One file or folder of labels, and what is found out while it is read.

    `place`: where the photos lie in the data root ("" = they are in it); `skip_missing`,
    `skip_broken`: whether labels of photos that are not there, and photos that cannot be read, are
    left out instead of refused.
    """

    path: Path  # the labels
    images: Path  # the folder of the photos
    place: str = ""
    split: str = ""
    skip_missing: bool = False
    skip_broken: bool = False
    faults: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)  # what was assumed or left out
    unpaired: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)  # photos
    matched: list[tuple[str, str]] = field(default_factory=list)  # by another spelling, or an end
    no_area: list[str] = field(default_factory=list)  # lines, points and the like

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Keep an InputError among the faults, and go on behind the block."""
        try:
            yield
        except NoArea as error:
            self.no_area.append(str(error))
        except InputError as error:
            self.faults.append(str(error))

    def photo(self, file: str, label: object = "") -> LabelledPhoto | None:
        """The photo that labels call `file`, with its size; None, and noted, if it is not there or
        cannot be read. `label`: the label's file, or the place in it. Raises InputError for a path
        that means two photos, or leads out of the folder."""
        found = self.find(file, str(label or self.path))
        if found is None:
            self.missing.append(file)
            return None
        photo = LabelledPhoto(self.images / found, f"{self.place}/{found}" if self.place else found,
                              0, 0, str(label or self.images / found), split=self.split)
        try:
            photo.width, photo.height = photo.header.size
        except InputError as error:
            if self.skip_broken:
                self.unpaired.append(f"{error}: left out")
            else:
                self.faults.append(f"{error}; bring it anew, or leave such photos out with "
                                   "--skip-broken")
            return None
        return photo

    def find(self, file: str, where: str) -> str | None:
        """The path below the folder of the photos that `file` means; None if there is none."""
        given = file.replace("\\", "/")
        plain = PurePosixPath(given).as_posix()
        if plain in self._exact:
            return plain
        if "\0" in given or ".." in given.split("/"):
            raise InputError(f"{where}: photo {file!r} is no path inside the folder of the images")
        self._refuse_way_out(plain, where)
        parts = [_spelled(part) for part in PurePosixPath(given).parts]
        fits = [photo for photo in self._by_name.get(parts[-1] if parts else "", ())
                if _spelled(photo).split("/") == parts[-photo.count("/") - 1:]]
        longest = max((photo.count("/") for photo in fits), default=0)
        fits = [photo for photo in fits if photo.count("/") == longest]
        if len(fits) > 1:
            raise InputError(f"{where}: is photo {file!r} {self.images / fits[0]} or "
                             f"{self.images / fits[1]}? Rename one of them")
        if fits:
            self.matched.append((file, fits[0]))
        return fits[0] if fits else None

    def _refuse_way_out(self, file: str, where: str) -> None:
        """Refuse what is there, but through a link that leads out of the folder."""
        path = self.images / file.lstrip("/")
        if os.path.lexists(path) and not path.resolve().is_relative_to(self.images.resolve()):
            raise InputError(f"{where}: photo {file!r} leads out of {self.images} through a link")

    @cached_property
    def photos(self) -> list[str]:
        """All photos below the folder."""
        return find_photos(self.images)

    @cached_property
    def _exact(self) -> set[str]:
        return set(self.photos)

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for photo in self.photos:
            found.setdefault(_spelled(photo.rpartition("/")[2]), []).append(photo)
        return found

    def labels(self, photos: Iterable[LabelledPhoto], classes: Sequence[str] = ()) -> Labels:
        """All that was read, with what is amiss."""
        photos, faults = list(photos), list(self.faults)
        if any(photo.labelled() for photo in photos):
            self.told += self.no_area
        else:
            faults += self.no_area
        if self.missing and self.skip_missing:
            self.unpaired += [f"{self.path}: its photo {file} is missing" for file in self.missing]
        elif self.missing:
            faults.append(f"{self.path}: {len(self.missing)} of its photos are not in "
                          f"{self.images}, such as {self.missing[0]!r}; bring them, or leave them "
                          "out with --skip-missing")
        if self.matched:
            file, photo = self.matched[0]
            self.told.append(f"{len(self.matched)} photos have another path or spelling in "
                             f"{self.path} than here, such as {file!r} for {photo}")
        return Labels(photos, list(classes), self.unpaired, faults, self.told)


def _spelled(text: str) -> str:
    """A name without what systems see differently: case, and how letters with marks are stored."""
    return unicodedata.normalize("NFC", text).casefold()
