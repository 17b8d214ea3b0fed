"""What an export has changed: each file beside PyTorch, on the same photos.

    rows = compare_models(photos, {"PyTorch fp32": Candidate(...), "a.onnx": Candidate(...)}, 0.99,
                          folder)

A row, as it stands in export.json, has the keys

    name            of the file, or of PyTorch and its precision; the first row is what the others
                    are compared with
    photos, failures    how many photos were compared, and how many could not be read
    agreement       share of the pixels, at the photos' own size, to which the network gives the
                    class that PyTorch does, before blobs are looked for; of a regression, the share
                    whose number is off by no more than 1 % of the range of the training maps
    foreground_iou, mean_iou    as in report.json: of the masks that test.py would write, with the
                    true ones; None where there are none
    counts_changed, empty_changed   photos in which species are counted otherwise, and that are no
                    longer empty or have become so: their number, and the first names
    mean_difference, largest_difference, rmse   of a regression, instead: with PyTorch, in the
                    quantity's unit (maps are kept in 16 bits); and with the true maps
    network_ms, photo_ms, memory_mb     see `alone.Measured`
    passed          whether `agreement` is large enough
    error           why the file gives no predictions; then all else is None
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from .. import InputError
from ..data.progress import named
from ..metrics import ConfusionMatrix, RegressionErrors
from ..outputs.maps import values_of
from ..outputs.records import is_empty, mask_of, read_records, species_of
from .alone import Candidate, CrashedError, Photos, in_own_process, predict_alone

NAMES = 5  # of photos that have changed, which are told
CLOSE = 0.01  # of the range of the training maps: what counts as the same number


def compare_models(photos: Photos, candidates: Mapping[str, Candidate], least_agreement: float,
                   folder: Path) -> list[dict]:
    """The row of each candidate, see above; all are compared with the first one. `folder`: for the
    records, in which it leaves them.

    Photos stream, so that memory does not grow with their number. Raises InputError if the first
    one can do nothing with the photos.
    """
    rows, reference = [], None
    for number, (name, candidate) in enumerate(candidates.items()):
        records = folder / f"{number}.jsonl"
        row = {"name": name}
        try:
            measured = in_own_process(predict_alone, candidate, photos, records, name)
        except Exception as error:  # runtimes raise what they like; one bad file stops no other
            if reference is None:
                raise
            row |= {"passed": False, "error": _reason(error)}
        else:
            reference = reference or records
            row |= compare(reference, records) | measured._asdict()
            row["passed"] = row["agreement"] >= least_agreement
        rows.append(row)
        if records != reference:
            records.unlink(missing_ok=True)
    return rows


def _reason(error: Exception) -> str:
    text = str(error).strip().split("\n")[0][:200]
    return text if isinstance(error, (InputError, CrashedError)) else (
        f"{type(error).__name__}: {text}")


@named("comparing")
def compare(reference: Path, records: Path) -> dict:
    """The part of a row that two files of records tell, of the same photos in the same order."""
    info, expected = read_records(reference)
    _, found = read_records(records)
    comparison = (_Values if "quantity" in info else _Masks)(info)
    photos = failures = 0
    for before, after in zip(expected, found, strict=True):
        if before["failure"] is not None or after["failure"] is not None:
            failures += 1
        else:
            photos += 1
            comparison.add(before, after)
    if not photos:
        raise InputError(f"none of the {failures} photos can be read: {before['file']}: "
                         f"{before['failure']}; give others with --photos FOLDER")
    return {"photos": photos, "failures": failures, **comparison.scores()}


class _Masks:
    """The comparison of masks, a photo after the other."""

    def __init__(self, info: dict):
        self.names = [item["name"] for item in info["classes"]]
        self.matrix = ConfusionMatrix(len(self.names))
        self.same = self.pixels = 0
        self.counts, self.empty = _Changed(), _Changed()

    def add(self, before: dict, after: dict) -> None:
        mask, other = (mask_of({"rle": record["network"]}) for record in (before, after))
        self.same += int((mask == other).sum())
        self.pixels += mask.size
        if "confusion" in after:
            self.matrix += ConfusionMatrix.of(after["confusion"])
        found, now = (Counter(species_of(blob, self.names) for blob in record["blobs"])
                      for record in (before, after))
        self.counts.add(before["file"], found != now)
        self.empty.add(before["file"], is_empty(before) != is_empty(after))

    def scores(self) -> dict:
        return {"agreement": self.same / self.pixels,
                "foreground_iou": self.matrix.foreground_iou(), "mean_iou": self.matrix.mean_iou(),
                "counts_changed": self.counts.told(), "empty_changed": self.empty.told()}


class _Changed:
    """The photos of which something has changed."""

    def __init__(self):
        self.photos, self.first = 0, []

    def add(self, file: str, changed: bool) -> None:
        if changed:
            self.photos += 1
            self.first = [*self.first, file][:NAMES]

    def told(self) -> dict:
        return {"photos": self.photos, "first": self.first}


class _Values:
    """The comparison of maps of numbers, a photo after the other."""

    def __init__(self, info: dict):
        self.close = CLOSE * (info["values"]["high"] - info["values"]["low"])
        self.errors = RegressionErrors()
        self.near = self.pixels = 0
        self.total = self.largest = 0.0

    def add(self, before: dict, after: dict) -> None:
        difference = np.abs(values_of(after).astype(float) - values_of(before))
        self.near += int((difference <= self.close).sum())
        self.pixels += difference.size
        self.total += float(difference.sum())
        self.largest = max(self.largest, float(difference.max()))
        self.errors += RegressionErrors.of(after["errors"])

    def scores(self) -> dict:
        return {"agreement": self.near / self.pixels, "rmse": self.errors.rmse(),
                "mean_difference": self.total / self.pixels, "largest_difference": self.largest}
