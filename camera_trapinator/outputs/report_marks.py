"""The marks that somebody sets in report.html, and the predictions that they are for.

The page saves them as a CSV with the columns

    file        path of the photo below the folder of photos
    predicted   the species, joined by ` + `, or `empty`
    verdict     right | wrong | empty (nothing is there) | other (another species)
    species     the true one, as far as the verdict tells it
    model, weights   the run, and the checksum of its checkpoint
    prediction  checksum of what was predicted of this photo: the mask, and the species of its blobs

so that a mark is never taken for a prediction that nobody has looked at.
"""

import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from .records import UNKNOWN, read_records, species_of
from .tables import FORMULA


class Predicted(NamedTuple):
    """What was predicted of a photo that somebody has marked."""

    record: dict
    species: list[str]  # what its blobs are called, each name once, unknown among them
    key: str  # see `prediction_key`


def predictions_of(results: str | Path, files: Collection[str],
                   ) -> tuple[dict, dict[str, Predicted]]:
    """The info line of the records in a folder of results, or of the file of records itself, and
    what was predicted of those photos that marks call `files`.

    A table writes names that are no Unicode, or look like formulas, in its own way; the keys are
    the names as they stand in `files`. Raises InputError if there are no records.
    """
    path = Path(results)
    info, records = read_records(path / "predictions.jsonl" if path.is_dir() else path)
    names, found = [item["name"] for item in info["classes"]], {}
    for record in records:
        text = record["file"].encode("utf-8", "backslashreplace").decode()
        called = text if text in files else f"'{text}" if text.startswith(FORMULA) else ""
        if called in files:
            species = sorted({species_of(blob, names) for blob in record["blobs"]},
                             key=[*names, UNKNOWN].index)
            found[called] = Predicted(record, species, prediction_key(record))
    return info, found


def prediction_key(record: dict) -> str:
    """A checksum of the mask and the blobs' species of a record. It begins with a letter: a
    spreadsheet would make a number of some."""
    return "p" + digest([record.get("rle"), [[blob["class"], blob["unknown"]]
                                             for blob in record["blobs"]]])


def digest(content: object) -> str:
    """A short checksum of what JSON can hold."""
    text = json.dumps(content, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
