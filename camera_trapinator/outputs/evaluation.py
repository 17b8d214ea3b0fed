"""The predictions of an evaluation, compared with the truth: report.json, its tables, worst.jpg.

What an evaluation adds to the records stands in `records.py` and `maps.py`.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np

from .. import InputError, written_whole
from ..data.checks import check_maps, check_photos, known_fingerprints
from ..data.learned import Learned, content_hashes
from ..data.manifest import Manifest, read_classes, read_manifest
from ..data.memory import checks_of
from ..data.progress import named
from ..data.split_table import read_splits
from ..data.splits import find_leaks, near_duplicates
from ..data.tables import read_rows
from ..metrics import ConfusionMatrix, RegressionErrors
from .blobs import true_classes
from .maps import write_worst_maps
from .people import EVERYBODY, People
from .records import classes_of, mask_of, presence, read_records
from .scores import build_report, build_value_report
from .sheets import write_worst_sheet
from .tables import write_table

TESTS = ("test", "test_seen")  # splits
WORST = 12  # photos of worst.jpg


@dataclass(frozen=True)
class Truth:
    """What is known of the photos of a data root, to compare their predictions with."""

    data_root: Path
    manifest: Manifest
    splits: Sequence[str]  # of each photo
    split_by: str  # what stands in one split only: location, sequence or photo
    num_classes: int  # 0 for a regression
    learned: Learned  # what the network has learned from, in earlier runs too
    gone: int = 0  # test photos of the run that are not in the manifest any more

    @cached_property
    def rows(self) -> list[int]:
        """The rows of the manifest that are the test."""
        return [index for index, split in enumerate(self.splits) if split in TESTS]

    @cached_property
    def tested(self) -> Manifest:
        """The manifest of these alone."""
        return Manifest(self.manifest[index] for index in self.rows)

    @property
    def seen_only(self) -> bool:
        """Whether no location was kept apart, so that nothing is known of new ones."""
        return self.split_by != "location"

    @cached_property
    def trained(self) -> set[str]:
        """The locations that were trained on, in this run."""
        return {row.location for row, split in zip(self.manifest, self.splits, strict=True)
                if split == "train"}

    @cached_property
    def seen(self) -> dict[int, bool]:
        """Of each row of the test whether the network has learned from its location, or from the
        very photo under another name, in this run or in those that it began with."""
        hashes = content_hashes(self.tested.column("image"), self.data_root)
        return {index: self.seen_only or row.location in self.trained
                or self.learned.knows(row.location, photo)
                for index, row, photo in zip(self.rows, self.tested, hashes, strict=True)}

    def facts(self, prediction, record: dict) -> dict:
        """What the evaluation adds to the `record` of a Prediction."""
        index = prediction.photo.index
        row = self.manifest[index]
        extra = {"truth": row.mask, "split": self.splits[index], "seen": self.seen[index]}
        if record["failure"] is None and not self.num_classes:
            errors = RegressionErrors()
            errors.update(prediction.photo.target, prediction.values())
            extra["errors"] = errors.sums.tolist()
        elif record["failure"] is None:
            mask, truth = mask_of(record), prediction.photo.target  # what is scored is what is told
            matrix = ConfusionMatrix(self.num_classes)
            matrix.update(truth, mask)
            extra["confusion"] = matrix.counts.tolist()
            extra["blob_truths"] = true_classes(mask, truth.numpy())
        return extra

    def check(self) -> None:
        """Raises InputError if masks (or maps) of the test are not sound; they may have changed
        since the training."""
        if self.num_classes:
            check_photos(self.tested, self.data_root, self.num_classes, checks_of(self.data_root))
        else:
            check_maps(self.tested, self.data_root, checks_of(self.data_root, "maps"))

    def note(self, by_date: bool) -> str:
        """What a reader of the scores has to know: what the splits keep apart, and what leaks from
        one into another. `by_date`: see `find_leaks`."""
        note = ("seen locations only: the split kept no location apart, so nothing is known of new "
                "ones" if self.seen_only else "")
        tested = {row.location for row, split in zip(self.manifest, self.splits, strict=True)
                  if split == "test"}
        earlier = sorted(filter(self.learned.knows_location, tested - self.trained))
        if earlier and not self.seen_only:
            note = (f"{len(earlier)} test locations, such as {earlier[0]}, count as seen: a "
                    "run that this one began with has learned from them")
        if self.gone:
            note = "; ".join(filter(None, [note, f"{self.gone} test photos of the run are not in "
                                                 "the manifest any more"]))
        if self.learned.unknown:
            names = ", ".join(sorted(self.learned.unknown))
            note = "; ".join(filter(None, [note, f"what {names} learned from is not known: it may "
                                                 "have seen the test locations"]))
        fingerprints = known_fingerprints(self.manifest, self.data_root,
                                          checks_of(self.data_root, "photos"))
        duplicates = near_duplicates(fingerprints, self.splits, self.manifest.column("location"))
        leakage = find_leaks(self.manifest, self.splits, self.split_by, by_date, duplicates)
        if leakage:
            note = "; ".join([*leakage, "the scores are too good", note]).removesuffix("; ")
        return note


def read_truth(data_root: Path, manifest: str, weights: Path, split_by: str,
               names: Sequence[str], checkpoint: dict) -> Truth:
    """What is known of the photos of a data root, those included that `weights` is tested on.

    `manifest`: name of the table; `split_by`: see `Truth`; `names`: of the classes that `weights`,
    whose content is the `checkpoint`, was trained on, and beside which its splits.csv lies; none
    for a regression. Raises InputError if the data root has other classes, or if there is no test
    photo.
    """
    if split_by == "auto":
        raise InputError("split_by: the splits are those of the run; say location, sequence or "
                         "photo: what no two of them shall share")
    table, classes = read_manifest(data_root / manifest), data_root / "classes.csv"
    if names and [name for name, _ in read_classes(classes)] != list(names):
        raise InputError(f"{classes}: the classes are not those that {weights} was trained on "
                         f"({', '.join(names)})")
    path = weights.parent / "splits.csv"
    if not path.is_file():
        raise InputError(f"{path}: no such file; without it nobody knows what {weights} was not "
                         "trained on, as of a published model: predict a folder with --images")
    # Checkpoints of older versions tell nothing; what they were trained on, the splits do.
    learned = Learned.of("", checkpoint) if "learned_from" in checkpoint else Learned()
    splits, there = read_splits(path, table), set(table.column("image"))
    gone = sum(row["split"] in TESTS and row["image"] not in there
               for _, row in read_rows(path, "image", "split"))
    truth = Truth(data_root, table, splits, split_by, len(names), learned, gone)
    if not truth.rows:
        raise InputError(f"{path}: no photo of the manifest is a test photo; set test_fraction, or "
                         "predict a folder with --images")
    return truth


@named("scores")
def write_evaluation(records_path: Path, photos_root: Path, out: Path, facts: dict,
                     people: People = EVERYBODY) -> dict:
    """Write report.json, worst.jpg and the report's tables into `out`; gives the report: the
    `facts`, and the scores. `people` are not to be seen."""
    info, records = read_records(records_path)
    regression, classes = "quantity" in info, classes_of(info)
    scores = build_value_report(records) if regression else build_report(
        map(with_presence, records), [name for name, _ in classes], info["thresholds"])
    report = {**facts, "weights_sha256": info["weights"], **scores}
    with written_whole(out / "report.json") as path:
        path.write_text(json.dumps(report, indent=2), encoding="utf-8")
    _, records = read_records(records_path)
    if regression:
        write_table(out / "per_location.csv", ["location", "mae", "rmse", "r2", "bias", "images"],
                    ([name, *scores.values()] for name, scores in report["per_location"].items()))
        write_worst_maps(out / "worst.jpg", _seen(largest_error_first(records), people),
                         photos_root, info, people)
    else:
        write_scores(out, report)
        write_worst_sheet(out / "worst.jpg", _seen(worst_first(records), people), photos_root,
                          classes, people)
    return report


def _seen(records: list[dict], people: People) -> list[dict]:
    """The first ones of which there is a picture."""
    seen = (record for record in records if not people.hides(people.in_record(record)))
    return list(islice(seen, WORST))


def write_scores(out: Path, report: dict) -> None:
    """The report's tables as CSV: per_class.csv and per_location.csv."""
    classes = report["classes"]
    write_table(out / "per_class.csv", ["class", *next(iter(classes.values()))],
                ([name, *scores.values()] for name, scores in classes.items()))
    places = report["per_location"]
    write_table(out / "per_location.csv", ["location", "mean_iou", "foreground_iou", "images"],
                ([name, *scores.values()] for name, scores in places.items()))


def with_presence(record: dict) -> dict:
    """A record with the classes that are, and that are predicted to be, in the photo."""
    if record["failure"] is not None:
        return record
    truth = [any(row) for row in record["confusion"]]
    return {**record, "present_truth": truth, "present": presence(record, len(truth))}


def worst_first(records: Iterator[dict]) -> list[dict]:
    """The records by the share of wrong pixels, each with its `iou`: the mean over the species
    that are in the photo or predicted in it."""
    scored = []
    for record in records:
        if record["failure"] is None:
            counts = np.array(record["confusion"])
            hits, union = counts.diagonal(), counts.sum(axis=0) + counts.sum(axis=1)
            union = union - hits
            found = np.flatnonzero(union[1:]) + 1
            iou = float((hits[found] / union[found]).mean()) if len(found) else 1.0
            wrong = 1 - hits.sum() / max(1, counts.sum())
            scored.append((-wrong, record["file"], {**record, "iou": iou}))
    return [record for _, _, record in sorted(scored, key=lambda item: item[:2])]


def largest_error_first(records: Iterator[dict]) -> list[dict]:
    """The records of a regression by the root of their mean squared error, each with its `rmse`."""
    scored = [{**record, "rmse": RegressionErrors.of(record["errors"]).rmse()}
              for record in records if record["failure"] is None]
    return sorted((record for record in scored if record["rmse"] is not None),
                  key=lambda record: (-record["rmse"], record["file"]))
