"""The marks of report.html: predictions that somebody has looked at become labels.

A photo marked `right` gets its predicted mask, or is background where nothing was predicted; one
marked `other` gets it with the class exchanged, if one species alone was predicted; one marked
`empty` is background. All others are unlabelled, to be drawn: those marked `wrong`, a right photo
of an unknown species, another species where none or several were predicted. Of which kind there
are how many is told. A mark counts for the prediction that it was set for, and for the photo that
was predicted; everything else is refused. The columns of the table are told in
outputs/report_marks.py.
"""

from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path

from .. import InputError
from ..data.progress import progress
from ..data.tables import read_rows
from .outlines import EMPTY
from .shapes import LabelledPhoto, Labels, Shape
from .source import Source

COLUMNS = ("file", "predicted", "verdict", "species", "model", "weights", "prediction")
VERDICTS = ("right", "wrong", "empty", "other")
UNKNOWN = "unknown"  # what an animal is called of which the species is not known
CURE = "save the marks in report.html"
# (info, {file as in the marks: what was predicted of it, with `record`, `species`, `key`})
Read = Callable[[Collection[str]], tuple[dict, dict]]


def read_review(source: Source, predictions: Read) -> Labels:
    """The labels of the marked photos. `predictions` reads what was predicted of those with these
    names. Classes are those of the model, in its order, then the species that were marked."""
    rows = {line: row for line, row in read_rows(source.path, *COLUMNS, cure=CURE)
            if row["verdict"].strip()}
    if not rows:
        raise InputError(f"{source.path}: no mark in it; {CURE}")
    info, found = predictions({row["file"] for row in rows.values()})
    _check_model(source.path, rows, info)
    names = [item["name"] for item in info["classes"]]
    photos, done, differing = [], Counter(), []
    for line, row in progress(rows.items(), "reading"):
        where = f"{source.path}, line {line}"
        with source.noted():
            predicted = found.get(row["file"])
            if predicted is None:
                raise InputError(f"{where}: nothing was predicted of {row['file']!r}; give "
                                 "--predictions the results that the page belongs to")
            if predicted.key != row["prediction"].strip():
                differing.append(f"{row['file']} (line {line}: marked was "
                                 f"{row['predicted']}, predicted is {_text(predicted)})")
                continue
            verdict, name = _verdict(row, predicted, where)
            photo = source.photo(predicted.record["file"], where)
            if photo is not None:
                _check_photo(photo, predicted.record)
                done[_label(photo, verdict, name, predicted, names)] += 1
                photos.append(photo)
    if differing:
        source.faults.append(f"{source.path}: {len(differing)} photos were predicted anew since "
                             f"they were marked, such as {differing[0]}; mark them in the new "
                             "report.html, or give --predictions the earlier results")
    source.told += [f"{source.path}: {count} {how}" for how, count in done.items()]
    new = dict.fromkeys(shape.name for photo in photos for shape in photo.shapes if shape.name)
    return source.labels(photos, list(dict.fromkeys([*names[1:], *new])))


def _check_model(path: Path, rows: dict[int, dict], info: dict) -> None:
    for line, row in rows.items():
        if row["weights"].strip() != info["weights"]:
            raise InputError(f"{path}, line {line}: this mark is for a prediction of the model "
                             f"{row['model']!r} with the weights {row['weights']:.12}, those of "
                             f"--predictions are of {info['model']!r} with the weights "
                             f"{info['weights']:.12}; give the results that the page belongs to")


def _verdict(row: dict, predicted, where: str) -> tuple[str, str]:
    """The verdict on a photo, and the name of another species. Refuses what contradicts itself:
    somebody may have edited the table."""
    verdict, name = row["verdict"].strip().lower(), row["species"].strip()
    if verdict not in VERDICTS:
        raise InputError(f"{where}: verdict {verdict!r} is none of {', '.join(VERDICTS)}")
    if predicted.record["failure"] is not None:
        raise InputError(f"{where}: {row['file']!r} could not be read when it was predicted; "
                         "delete this mark")
    text = _text(predicted)
    if verdict == "right" and name and name != text:
        raise InputError(f"{where}: {text} is marked as right, but the species is {name!r}; write "
                         "the verdict other, or delete the species")
    if verdict in ("wrong", "empty") and name.lower() not in ("", *EMPTY[:verdict == "empty"]):
        raise InputError(f"{where}: the verdict is {verdict}, but the species is {name!r}; write "
                         "the verdict other, or delete the species")
    if verdict == "other" and (not name or name.lower() in (*EMPTY, UNKNOWN)):
        raise InputError(f"{where}: the verdict is other, but the species {name!r} is none; name "
                         "it, or write the verdict empty or wrong")
    if verdict == "other" and name == text:
        raise InputError(f"{where}: the verdict is other, but {name!r} is what was predicted; "
                         "write the verdict right")
    return verdict, name if verdict == "other" else ""


def _check_photo(photo: LabelledPhoto, record: dict) -> None:
    """Refuse another photo than the one that was predicted: every camera writes IMG_0001.JPG."""
    size, known = photo.source.stat().st_size, record["made_of"][0]
    if size != known or photo.header.size != (record["width"], record["height"]):
        raise InputError(f"{photo.where}: {photo.source} has changed since it was predicted: then "
                         f"{record['width']} x {record['height']} pixels in {known} bytes, now "
                         f"{' x '.join(map(str, photo.header.size))} in {size}; give --images the "
                         "folder that was predicted, or predict it anew")


def _label(photo: LabelledPhoto, verdict: str, name: str, predicted, names: list[str]) -> str:
    """Give the photo what its mark says; in words, what that is."""
    record, species = predicted.record, predicted.species
    photo.location, photo.datetime = record["location"], record["datetime"]
    photo.split = photo.split or record.get("split", "")  # what was tested on is not learned from
    photo.height, photo.width = record["rle"]["size"]
    if verdict == "empty" or (verdict == "right" and not species):
        photo.empty = True
        return "photos are background: nothing is there"
    photo.unclear = True
    if verdict == "wrong":
        return "photos are marked as wrong: unlabelled, draw them"
    if verdict == "other" and len(species) != 1:
        return ("photos show another species where none was predicted: unlabelled, draw them"
                if not species else "photos show another species where several were predicted: "
                "unlabelled, draw them")
    if verdict == "right" and UNKNOWN in species:
        return ("photos are marked as right, but of an unknown species, whose name is not told: "
                "unlabelled; mark the species")
    photo.unclear = False
    # Within an animal some pixels may be of a class that it is not of as a whole. Where several
    # species are, nobody can tell whose they are: they are ignored.
    only = name or (species[0] if len(species) == 1 else "")
    for index, counts in record["rle"]["counts"].items():
        own = names[int(index)]
        rle = {"size": record["rle"]["size"], "counts": counts}
        photo.shapes.append(Shape(only or (own if own in species else None), rle=rle,
                                  where=photo.where))
    return ("photos have the predicted mask with the species that was marked" if name
            else "photos have the predicted mask")


def _text(predicted) -> str:
    return " + ".join(predicted.species) or "empty"
