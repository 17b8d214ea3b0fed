"""Location, sequence and time of photos, taken over from what other tools wrote about them.

Read are: the CSV file of Timelapse; `media.csv` of Camtrap DP, with deployments.csv beside it;
`images.csv` of Wildlife Insights, with deployments.csv beside it; the JSON of COCO Camera Traps and
of MegaDetector. Such a file may know more photos than are labelled, and the other way round.
Sources: Timelapse Reference Guide (File, RelativePath, DateTime); camtrap-dp.tdwg.org/data;
Wildlife Insights, data dictionary of a download; MegaDetector, data_management/README.md.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from .. import InputError
from ..data.files import spelled
from ..data.photos import parse_datetime
from ..data.tables import read_cells, read_rows
from .exports import objects, read_json
from .shapes import LabelledPhoto, Labels
from .source import Source

SITES = ("location", "site", "station")  # columns of one's own in a template of Timelapse
KNOWN = ("the CSV file of Timelapse (columns File, RelativePath, DateTime), media.csv of Camtrap "
         "DP (deploymentID, filePath, timestamp), images.csv of Wildlife Insights (deployment_id, "
         "filename, timestamp), and JSON of COCO Camera Traps or MegaDetector")


class Fact(NamedTuple):
    """What a file says of one photo; "" where it says nothing."""

    names: Sequence[str]  # of the photo: the first that is found counts
    location: str
    sequence: str
    datetime: str
    where: str


def take_over(path: Path, labels: Labels, sources: Sequence[Source]) -> None:
    """Give the labelled photos what the file `path` knows; it is told in numbers.

    `sources`: the folders of the photos, with their places in the data root. What contradicts the
    labels, or stands there twice and differently, becomes a fault; where the time in a photo's EXIF
    is another one, the file's counts: people correct the clocks of cameras there.
    """
    known, other = {photo.file: photo for photo in labels.photos}, 0
    found: dict[str, tuple[Fact, bool]] = {}  # by path in the data root; by the name alone?
    tails: dict[str, list[str]] = {}  # the paths of all photos, by their file names
    for source in sources:
        for file in source.photos:
            tails.setdefault(_parts(file)[-1], []).append(_placed(source, file))
    for fact in _facts(path, labels):
        try:
            file, alone = _photo_of(fact, sources, tails)
        except InputError as error:
            labels.faults.append(str(error))
            continue
        before, before_alone = found.get(file, (fact, alone))
        if file not in known or alone > before_alone:  # its folder tells another one apart
            other += 1
        elif before[1:4] != fact[1:4] and alone == before_alone:
            labels.faults.append(f"{fact.where}: {before.where} says something else of {file}; "
                                 "delete one of them")
        else:
            found[file] = fact, alone
    if not found and not labels.faults:
        labels.faults.append(f"{path}: none of its {other} entries is of a labelled photo; their "
                             "paths must end like those of the photos")
    corrected = sum(_give(known[file], fact, labels) for file, (fact, _) in found.items())
    counts = ", ".join(f"{name} of {sum(bool(getattr(fact, name)) for fact, _ in found.values())}"
                       for name in ("location", "sequence", "datetime"))
    labels.told.append(f"{path}: taken over, of {len(known)} photos, {counts}; "
                       f"{len(known) - len(found)} photos are not in it, and {other} of its "
                       "entries are of no labelled photo")
    if names := [file for file, (_, alone) in found.items() if alone]:
        labels.told.append(f"{path}: {len(names)} photos were found by their file name alone, such "
                           f"as {names[0]} ({found[names[0]][0].where})")
    if corrected:
        labels.told.append(f"{path}: of {corrected} photos the time differs from their EXIF; that "
                           "of the file counts")


def _give(photo: LabelledPhoto, fact: Fact, labels: Labels) -> bool:
    """Give a photo what is said of it; whether its EXIF says another time."""
    for name in ("location", "sequence", "datetime"):
        mine, theirs = getattr(photo, name), getattr(fact, name)
        if mine and theirs and mine != theirs:
            labels.faults.append(f"{fact.where}: the {name} of {photo.file} is {theirs!r}, but "
                                 f"{mine!r} in {photo.where}; correct one of them")
        elif theirs:
            setattr(photo, name, theirs)
    return bool(fact.datetime and photo.header.datetime not in ("", fact.datetime))


def _photo_of(fact: Fact, sources: Sequence[Source],
              tails: dict[str, list[str]]) -> tuple[str, bool]:
    """The photo's path in the data root ("" if it is not there), and whether it was found by its
    file name alone, though it lies in a folder.

    A name with fewer folders than the photo has must be the end of one photo's path alone.
    """
    for name in fact.names:
        hits = {_placed(source, file) for source in sources
                if (file := source.find(name, fact.where, inner=False)) is not None}
        if hits:
            alone = False
        else:
            parts = _parts(name)
            alone = len(parts) == 1
            hits = {file for file in tails.get(parts[-1] if parts else "", ())
                    if _parts(file)[-len(parts):] == parts}
        if len(hits) > 1:
            raise InputError(f"{fact.where}: is {name!r} {' or '.join(sorted(hits)[:2])}? Write "
                             "the path there, or rename one of them")
        if hits:
            return hits.pop(), alone
    return "", False


def _placed(source: Source, file: str) -> str:
    return f"{source.place}/{file}" if source.place else file


def _parts(path: str) -> list[str]:
    """The folders and the name of a path, without what systems see differently."""
    return [spelled(part) for part in PurePosixPath(path.replace("\\", "/")).parts]


# ------------------------------------------------------------------------------------- the files


def _facts(path: Path, labels: Labels) -> Iterator[Fact]:
    """What the file says, whatever tool it is of; times that cannot be read are told, and what is
    wrong is a fault."""
    unread = []
    try:
        for fact in (_json if path.suffix.lower() == ".json" else _table)(path, labels):
            time = parse_datetime(fact.datetime)
            if fact.datetime and not time:
                unread.append(f"{fact.where}: {fact.datetime!r:.40}")
            yield fact._replace(datetime=time)
    except InputError as error:
        labels.faults.append(str(error))
    if unread:
        labels.told.append(f"{unread[0]} is no time such as 2023-07-04 05:06:07, or before 2001 "
                           f"(so are {len(unread)} times of the file); EXIF's counts there")


def _json(path: Path, labels: Labels) -> Iterator[Fact]:
    for number, item in enumerate(objects(read_json(path), "images", path), start=1):
        where = f"{path}, image {number}"
        values = [next((item[key] for key in keys if item.get(key) is not None), "") for keys in (
            ("file_name", "file"), ("location",), ("seq_id",), ("datetime", "date_captured"))]
        if strange := [value for value in values if type(value) not in (str, int)]:
            labels.faults.append(f"{where}: {strange[0]!r:.40} is neither text nor number")
        elif not str(values[0]).strip():
            labels.faults.append(f"{where}: it has neither file_name nor file")
        else:
            name, *facts = (str(value).strip() for value in values)
            yield Fact([name], *facts, where)


def _table(path: Path, labels: Labels) -> Iterator[Fact]:
    header = next(read_cells(path))[1]
    if {"File", "RelativePath"} <= {*header}:
        return _timelapse(path, header, labels)
    if {"deploymentID", "filePath", "timestamp"} <= {*header}:
        return _deployed(path, "deploymentID", ("locationName", "locationID"), (
            "filePath", "fileName"), "sequenceID", labels)
    if {"deployment_id", "filename", "timestamp"} <= {*header}:
        return _deployed(path, "deployment_id", ("placename",), ("location", "filename"),
                         "sequence_id", labels)
    raise InputError(f"{path}: its columns ({', '.join(header)[:200]}) are of no file that is "
                     f"known: {KNOWN}")


def _timelapse(path: Path, header: Sequence[str], labels: Labels) -> Iterator[Fact]:
    sites = {name.lower(): name for name in header}
    site = next((sites[name] for name in SITES if name in sites), "")
    labels.told.append(f"{path}: locations are what its column {site!r} says" if site else
                       f"{path}: no column {', '.join(SITES)} in it, so it tells no locations")
    for line, cells in read_rows(path, "File", "RelativePath"):
        cells = {key: text.strip() for key, text in cells.items()}
        folder = cells["RelativePath"].replace("\\", "/").strip("/")
        time = cells.get("DateTime") or f"{cells.get('Date', '')} {cells.get('Time', '')}".strip()
        yield Fact([f"{folder}/{cells['File']}" if folder else cells["File"]],
                   cells.get(site, ""), "", time, f"{path}, line {line}")


def _deployed(path: Path, key: str, sites: Sequence[str], names: Sequence[str], sequence: str,
              labels: Labels) -> Iterator[Fact]:
    """The rows of a table whose deployments stand in deployments.csv beside it."""
    places: dict[str, str] = {}
    for line, cells in read_rows(path.parent / "deployments.csv", key, cure="bring it, it tells "
                                 "where the cameras stood"):
        place = next(filter(None, (cells.get(name, "").strip() for name in sites)),
                     cells[key].strip())
        if places.setdefault(cells[key].strip(), place) != place:
            labels.faults.append(f"{path.parent / 'deployments.csv'}, line {line}: {key} "
                                 f"{cells[key]!r} stands there twice, in two places")
    for line, cells in read_rows(path, key, "timestamp"):
        where, deployment = f"{path}, line {line}", cells[key].strip()
        if deployment not in places:
            labels.faults.append(f"{where}: {key} {deployment!r} is not in deployments.csv")
            continue
        files = [cells.get(name, "").strip() for name in names]
        # Of an address on the net only the name counts: its folders are none of the photos'.
        files = [file.rpartition("/")[2] if "://" in file else file for file in files]
        yield Fact([*(f"{folder}/{file}" for folder in (deployment, places[deployment])
                      for file in files if file), *filter(None, files)], places[deployment],
                   cells.get(sequence, "").strip(), cells["timestamp"].strip(), where)
