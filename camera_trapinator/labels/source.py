"""An input of an import: the labels, the photos that they are for, and what is amiss with both.

Tools write the names of photos as they like: in another case, with the letters of macOS, with
backslashes, with the folders of another machine. A photo is found by its path below the folder of
the photos; else by that path in another spelling; else by the longest end of a path that a photo
has; else by the end of its own path, such as its name alone. What was matched so is told, and two
photos that fit are a fault. Where some paths end in the folder of the photos (`card1/a.jpg` for
--images card1), those that end in another one are not here; nor is a photo that lies where the
labels say, beside the folder.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from .. import InputError
from ..data.files import spelled
from ..data.photos import PHOTO_SUFFIXES, PhotoFolder, look_below, same_aspect
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
    left_out: list[Path] = field(default_factory=list)  # pictures of which it is told why
    unpaired: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)  # photos
    # The photos that were not found by their very paths: what labels call them, and the folders
    # there that they do not lie in here.
    matched: list[tuple[LabelledPhoto, str, tuple[str, ...]]] = field(default_factory=list)
    no_area: list[str] = field(default_factory=list)  # lines, points and the like

    @contextmanager
    def noted(self, photo: LabelledPhoto | None = None) -> Iterator[None]:
        """Keep an InputError among the faults, and go on behind the block. The `photo` that it is
        about is unclear then."""
        try:
            yield
        except InputError as error:
            (self.no_area if isinstance(error, NoArea) else self.faults).append(str(error))
            if photo is not None:
                photo.unclear = True

    def photo(self, file: str, label: object = "") -> LabelledPhoto | None:
        """The photo that labels call `file`, with its size; None, and noted, if it is not there or
        cannot be read. `label`: the label's file, or the place in it. Raises InputError for a path
        that means two photos, or leads out of the folder."""
        found, elsewhere = self._locate(file, str(label or self.path))
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
                self.left_out.append(photo.source)
            else:
                self.faults.append(f"{error}; bring it anew, or leave such photos out with "
                                   "--skip-broken")
            return None
        if found != PurePosixPath(file).as_posix():
            self.matched.append((photo, file, elsewhere))
        return photo

    def find(self, file: str, where: str, inner: bool = True) -> str | None:
        """The path below the folder of the photos that `file` means; None if there is none.
        `inner`: whether it may be the end of that path alone, such as the photo's name."""
        return self._locate(file, where, inner)[0]

    def named(self, name: str) -> list[str]:
        """The photos of this file name, in any spelling, whatever folder they lie in."""
        return self._by_name.get(spelled(name), [])

    def _locate(self, file: str, where: str, inner: bool = True,
                ) -> tuple[str | None, tuple[str, ...]]:
        """The same, and the folders in front of it that it does not lie in here."""
        given = re.sub(r"^(\.\./)+", "", file.replace("\\", "/"))
        climbs = len(given) < len(file)
        plain = PurePosixPath(given).as_posix()
        if plain in self._exact and not climbs:
            self._refuse_way_out(plain, where)
            return plain, ()
        fits, elsewhere = (self._fitting(given, inner) or self._fitting(unquote(given), inner)
                           or ([], ()))
        back = elsewhere[-1:] == (spelled(self.images.resolve().name),)  # ../photos/a.jpg
        if "\0" in given or ".." in given.split("/") or (climbs and not back):
            raise InputError(f"{where}: photo {file!r} is no path inside the folder of the images")
        if len(fits) > 1:
            raise InputError(f"{where}: is photo {file!r} {self.images / fits[0]} or "
                             f"{self.images / fits[1]}? The labels do not tell; rename one of "
                             "them, or give --images the folder of one alone")
        for path in [plain.lstrip("/"), *fits]:
            self._refuse_way_out(path, where)
        if not fits or self._is_another(given, fits[0]):
            return None, ()
        return fits[0], elsewhere

    def _fitting(self, given: str, inner: bool) -> tuple[list[str], tuple[str, ...]] | None:
        """The photos that a path fits best in any spelling, and its folders that are not here."""
        parts = tuple(spelled(part) for part in PurePosixPath(given.lstrip("/")).parts)
        name = parts[-1] if parts else ""
        alike = {photo: tuple(spelled(photo).split("/")) for photo in self.named(name)}
        if not alike and not name.endswith(PHOTO_SUFFIXES):  # CVAT leaves them out of frames
            alike = {photo: (*spelled(photo).split("/")[:-1], name)
                     for photo in self._by_stem.get(name, ())}
        fits = [photo for photo, path in alike.items() if path == parts[-len(path):]]
        longest = max((photo.count("/") for photo in fits), default=0)
        fits = [photo for photo in fits if photo.count("/") == longest]
        if fits:
            return fits, parts[:-longest - 1]
        fits = [photo for photo, path in alike.items() if inner and parts == path[-len(parts):]]
        return (fits, ()) if fits else None

    def _is_another(self, given: str, found: str) -> bool:
        """Whether the path that labels tell leads to another photo, beside the folder."""
        return any(path.is_file() and not path.samefile(self.images / found)
                   for path in (Path(given), self.images.parent / given))

    def _refuse_way_out(self, file: str, where: str) -> None:
        """Refuse what is there, but through a link that leads out of the folder."""
        path = self.images / file
        # A photo that was found lies in no folder that is a link: those are not looked into.
        linked = os.path.islink(path) if file in self._exact else os.path.lexists(path)
        if linked and not path.resolve().is_relative_to(self.images.resolve()):
            raise InputError(f"{where}: photo {file!r} leads out of {self.images} through a link")

    @cached_property
    def photos(self) -> list[str]:
        """All photos below the folder."""
        return self.below.photos

    @cached_property
    def below(self) -> PhotoFolder:
        """What lies below the folder of the photos; looked at once."""
        return look_below(self.images)

    @cached_property
    def _exact(self) -> set[str]:
        return set(self.photos)

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for photo in self.photos:
            found.setdefault(spelled(photo.rpartition("/")[2]), []).append(photo)
        return found

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name, photos in self._by_name.items():
            found.setdefault(os.path.splitext(name)[0], []).extend(photos)
        return found

    def labels(self, photos: Iterable[LabelledPhoto], classes: Sequence[str] = ()) -> Labels:
        """All that was read, with what is amiss."""
        photos = list(photos)
        away = self._of_other_folders() | self._of_other_photos(photos)
        photos = [photo for photo in photos if id(photo) not in away]
        matched = [entry for entry in self.matched if id(entry[0]) not in away]
        missing, faults = self.missing + list(away.values()), list(self.faults)
        if any(photo.labelled() for photo in photos):
            self.told += self.no_area
        else:
            faults += self.no_area
        if missing and self.skip_missing:
            self.unpaired += [f"{self.path}: its photo {file} is missing" for file in missing]
        elif missing:
            faults.append(f"{self.path}: {len(missing)} of its photos are not in {self.images}, "
                          f"such as {missing[0]!r}{self._namesake(missing[0])}; bring them, or "
                          "leave them out with --skip-missing")
        if matched:
            photo, file, _ = matched[0]
            self.told.append(f"{len(matched)} photos have another path or spelling in {self.path} "
                             f"than here, such as {file!r} for {photo.source}")
        turned = [photo for photo in photos if photo.header.orientation not in (None, 0, 1) and
                  photo.labelled() and same_aspect((photo.width, photo.height), photo.header.size)]
        if turned:
            self.told.append(f"{self.path}: {len(turned)} photos are turned by their EXIF, such as "
                             f"{turned[0].file}; their labels are taken for the upright photo")
        return Labels(photos, list(classes), self.unpaired, faults, self.told, self.left_out)

    def _of_other_folders(self) -> dict[int, str]:
        """The photos, by id, that were found by their names, but whose labels tell of another
        folder than those that tell of this one; and what labels call them."""
        here = spelled(self.images.resolve().name)
        if not any(elsewhere[-1:] == (here,) for *_, elsewhere in self.matched):
            return {}
        return {id(photo): file for photo, file, elsewhere in self.matched
                if elsewhere and elsewhere[-1] != here}

    def _of_other_photos(self, photos: list[LabelledPhoto]) -> dict[int, str]:
        """The photos, by id, that were matched, but that other labels name by their very paths."""
        matched = {id(photo) for photo, *_ in self.matched}
        named = {photo.file for photo in photos if id(photo) not in matched}
        return {id(photo): file for photo, file, _ in self.matched if photo.file in named}

    def _namesake(self, file: str) -> str:
        """A photo that has the name of the missing one, but lies elsewhere."""
        others = self.named(PurePosixPath(file.replace("\\", "/")).name)
        return f" ({others[0]} is there, but its path is another one)" if others else ""
