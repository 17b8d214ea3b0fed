"""splits.csv: which photo is of which split, as a run writes it and as people write it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from .. import InputError
from .checksums import Checksums
from .files import spelled
from .manifest import SPLITS, Manifest
from .tables import read_rows, write_rows


def write_splits(path: str | Path, manifest: Manifest, splits: Sequence[str],
                 made_of: Sequence[str], checksums: Checksums) -> None:
    """Write splits.csv (image, location, sequence, split, made_of, photo_sha256, mask_sha256),
    photos without a split left out. `made_of`: a checksum of what is learned of each photo;
    `checksums`: of its files."""
    rows = zip(manifest, splits, made_of, *checksums, strict=True)
    write_rows(path, ["image", "location", "sequence", "split", "made_of", "photo_sha256",
                      "mask_sha256"],
               ([row.image, row.location, row.sequence, split, *facts]
                for row, split, *facts in rows if split))


def read_splits(path: str | Path, manifest: Manifest) -> list[str]:
    """The split of each photo of the manifest, by a CSV with the columns image and split, such as
    `write_splits` makes; "" for photos that are not in it.

    A photo that is not in the manifest may be one of it in another spelling: with backslashes,
    capital letters, or the folder of the data root in front, which must be the same one for all.
    Raises InputError for a file that is none, for unknown splits, for a photo that stands there
    twice, for a spelling of several photos, and where no photo is in the manifest.
    """
    known: dict[str, str] = {}
    unknown: dict[str, int] = {}  # words for splits, with the first line of each
    others: list[tuple[str, int, str]] = []  # photos that are not in the manifest
    images = list(manifest.column("image"))
    there = set(images)

    def enter(image: str, split: str, line: int) -> None:
        if known.setdefault(image, split) != split:
            raise InputError(f"{path}, line {line}: {image} stands there twice, as {split!r} and "
                             f"as {known[image]!r}; delete one of the lines")

    for line, row in read_rows(Path(path), "image", "split"):
        image, split = row["image"].strip(), row["split"].strip()
        if split not in ("", *SPLITS):
            unknown.setdefault(split, line)
        elif image in there:
            enter(image, split, line)
        else:
            others.append((image, line, split))
    if unknown:
        words = ", ".join(f"{word!r} (line {line})" for word, line in list(unknown.items())[:10])
        raise InputError(f"{path}: the splits {words} are none of {', '.join(SPLITS)}; write these")
    for image, line, split in _spelled_otherwise(others, images, path) if others else ():
        enter(image, split, line)
    splits = [known.get(image, "") for image in images]
    if not any(splits):
        such = f", such as {others[0][0]} of line {others[0][1]}" if others else ""
        raise InputError(f"{path}: none of its photos stands in the manifest{such}; write their "
                         f"paths as there, such as {images[0]}")
    return splits


def _spelled_otherwise(others: Sequence[tuple[str, int, str]], images: Sequence[str],
                       path: str | Path) -> Iterator[tuple[str, int, str]]:
    """(image of the manifest, line, split) for those `others` that are one in another spelling."""
    here: dict[str, list[str]] = {}
    for image in images:
        here.setdefault(_plain(image), []).append(image)
    root = None  # the folder in front of the first absolute path
    for other, line, split in others:
        where, parts = f"{path}, line {line}: {other}", _plain(other).split("/")
        absolute = not parts[0] or parts[0].endswith(":")  # /data/a.jpg, C:/data/a.jpg
        start = next((start for start in range(len(parts) if absolute else 1)
                      if "/".join(parts[start:]) in here), None)
        if start is None:
            continue
        found = here["/".join(parts[start:])]
        if len(found) > 1:
            raise InputError(f"{where} may be {found[0]} or {found[1]}; write it as the manifest "
                             "has it")
        if absolute and root not in (None, parts[:start]):
            raise InputError(f"{where} may be {found[0]}, but its folder is not the data root of "
                             "the lines above; write paths relative to the data root")
        root = parts[:start] if absolute else root
        yield found[0], line, split


def _plain(image: str) -> str:
    """A path without what systems see differently."""
    return spelled(image.replace("\\", "/").removeprefix("./"))
