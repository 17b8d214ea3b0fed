"""model_card.md: what a trained model is, what it was taught, how well it does, where it fails.

Made from the run's folder alone. The headings are those of Mitchell et al. 2019, Model Cards for
Model Reporting, doi 10.1145/3287560.3287596.
"""

import csv
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..data.files import sha256, written_whole
from ..data.learned import Learned
from ..metrics import best_epoch
from .parity_table import as_section
from .records import read_records

if TYPE_CHECKING:
    from ..config import Config

CITE = """Please cite Camera Trapinator (`CITATION.cff`) and Ronneberger, Fischer and Brox 2015,
U-Net: Convolutional Networks for Biomedical Image Segmentation,
doi 10.1007/978-3-319-24574-4_28."""


class Tested(Protocol):
    """What is known of a file that predicts."""

    file: Path
    checkpoint: dict
    suffix: str  # of the folder of its test, which lies beside it


def write_model_card(run: Path, checkpoint: dict, best_by: str) -> None:
    """Write `run`/model_card.md, with the scores on the test photos if best.pt was tested.

    `checkpoint`: the content of last.pt or best.pt, of which `classes`, `history` and
    `model_arguments` are used; `best_by`: the score by which best.pt was chosen.
    """
    regression = len(checkpoint["classes"]) == 1
    classes, history = [name for name, _ in checkpoint["classes"]], checkpoint["history"]
    best = history[best_epoch(history, best_by)]
    facts = checkpoint["model_arguments"]
    with open(run / "splits.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    report = _report(run)
    sections = [
        f"# Model card: {run.name}",
        what_it_does(classes),
        "## Model", listed(facts),
        "Config: `config.yaml`; code: `git.txt`; training curves: `curves.png`.",
        "## Training data", split_table(rows), "Which photo stands where: `splits.csv`.",
        "Licence and access: *fill in where the photos come from, who may use them, and what they "
        "ask for.*",
        "## Scores", scores_text(report, best, regression),
        "## Limits", limits_text(report, rows, checkpoint.get("values")),
        *as_section(run),
        "## Licence and citation",
        "The code is under the MIT licence. The weights may be shared as far as the licence of the "
        "photos allows.", CITE,
    ]
    with written_whole(run / "model_card.md") as path:
        path.write_text("\n\n".join(sections) + "\n", encoding="utf-8", errors="backslashreplace")


def short_card(tested: Tested, config: "Config", records_path: Path) -> list[str]:
    """What is known of a model that has met photos which nobody has labelled, in sentences: how
    well it did on which photos, and of what in these records it has not seen the like.

    `tested`: the model, a checkpoint in its run's folder, a published or an exported one; `config`:
    the run's.
    """
    info, records = read_records(records_path)
    if "quantity" in info:  # a regression makes no page that would say so
        return []
    places, night, read = set(), 0, 0
    for record in records:
        if record["failure"] is None:
            places.add(record["location"])
            night, read = night + record["infrared"], read + 1
    # What is published tells itself how it did.
    checkpoint = tested.checkpoint
    report = (_report(tested.file.parent, info["weights"], f"test{tested.suffix}")
              or checkpoint.get("tested"))
    lines = []
    history = checkpoint.get("history")  # of a measurement there is none
    if report is None and history:
        best = history[best_epoch(history, config.best_by)]
        lines.append("Not tested yet. In validation, at network size: mean IoU "
                     f"{number(best['mean_iou'])}, foreground IoU "
                     f"{number(best['foreground_iou'])}.")
    elif report is None:
        lines.append("Not tested yet.")
    else:
        scores = [f"mean IoU {number(row['mean_iou'])}, foreground IoU "
                  f"{number(row['foreground_iou'])} on {row['images']} photos of {name} locations"
                  for name, row in report["locations"].items() if row["images"]]
        lines.append(f"On its own test photos: {'; '.join(scores)}.")
    if config.split_by != "location" or (report and not report["locations"]["unseen"]["images"]):
        lines.append("These scores are of seen locations only: nothing is known of new ones.")
    lines.append(_how_new(places, Learned.of("it", checkpoint)))
    for light, count in (("night", night), ("day", read - night)):
        if report and count and not report["light"][light]["images"]:
            lines.append(f"{count} photos here are {light} pictures, and its test had none: "
                         "nothing is known of them.")
    names = ", ".join(name for name, _ in checkpoint["classes"][1:])
    lines.append(f"It knows {names}: any other species becomes one of them, unknown, or "
                 "background.")
    return lines


def _report(run: Path, checksum: str = "", test: str = "test") -> dict | None:
    """What the test of a run came to, in its folder `test`; None if there was none, or if the
    checkpoint that was tested has another checksum: else than now, since the run has gone on."""
    path = run / test / "report.json"
    report = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    tested = run / report.get("weights", "")
    if not checksum and tested.is_file():
        checksum = sha256(tested)
    return report if report and report.get("weights_sha256") == checksum else None


def _how_new(places: set[str], learned: Learned) -> str:
    """How many of these locations a network has not learned from, as far as is known."""
    known = sum(map(learned.knows_location, places))
    if learned.unknown:
        some = f", but that it has from {known} of them" if known else ""
        return (f"It is not known whether it has learned from the {len(places)} locations "
                f"here{some}: it, or a model that it began with, does not tell their names.")
    return (f"Of the {len(places)} locations here, by their names, {len(places) - known} are not "
            "among those that it learned from.")


def what_it_does(classes: list[str]) -> str:
    """A sentence on a network for these classes, or, if it is one, this quantity."""
    if len(classes) == 1:
        return f"A U-Net that gives the {plain(classes[0])} at every pixel of camera-trap photos."
    names = ", ".join(map(plain, classes[1:]))
    return f"A U-Net that marks the pixels of {names} in camera-trap photos."


def split_table(rows: list[dict]) -> str:
    """Photos, locations and sequences of each split; `rows`: of splits.csv."""
    lines = ["| split | photos | locations | sequences |", "|---|---|---|---|"]
    for name, count in sorted(Counter(row["split"] for row in rows).items()):
        part = [row for row in rows if row["split"] == name]
        places, bursts = ({row[key] for row in part if row[key]}
                          for key in ("location", "sequence"))
        lines.append(f"| {name} | {count} | {len(places)} | {len(bursts)} |")
    return "\n".join(lines)


def scores_text(report: dict | None, best: dict, regression: bool) -> str:
    """The scores in validation (`best`: the row of log.csv) and, with a `report`, in the test."""
    return (_value_scores if regression else _scores)(report, best)


def limits_text(report: dict | None, rows: list[dict], values: dict | None,
                named: bool = True) -> str:
    """Where the model fails; `rows`: of splits.csv; `values`: of a regression, see Data. Not
    `named`: without names of locations."""
    trained = {row["location"] for row in rows if row["split"] == "train" and row["location"]}
    lines = (_limits if values is None else _value_limits)(report, len(trained), values)
    score, best_is, digits = (("foreground_iou", min, ".3f") if values is None
                              else ("rmse", max, ".4g"))
    scores = [(row[score], name) for name, row in (report or {}).get("per_location", {}).items()
              if row[score] is not None]
    if scores:
        worst, name = best_is(scores)
        what = "foreground IoU" if values is None else "RMSE"
        which = f"test location: {plain(name)}" if named else f"of {len(scores)} test locations"
        lines.append(f"* Worst {which}, {what} {worst:{digits}}.")
    return "\n".join(lines)


def _scores(report: dict | None, best: dict) -> str:
    validation = (f"Validation, at network size: mean IoU {number(best['mean_iou'])}, foreground "
                  f"IoU {number(best['foreground_iou'])} in epoch {best['epoch']}.")
    if report is None:
        return f"{validation}\n\nNot tested yet: `python scripts/test.py` fills this in."
    lines = ["| test photos | photos | mean IoU | foreground IoU |", "|---|---|---|---|"]
    groups = {**{f"{name} locations": row for name, row in report["locations"].items()},
              **report["light"]}
    for name, row in groups.items():
        lines.append(f"| {name} | {row['images']} | {number(row['mean_iou'])} | "
                     f"{number(row['foreground_iou'])} |")
    lines += ["", "| class | IoU | precision | recall | found in photos | false alarms in photos |",
              "|---|---|---|---|---|---|"]
    for name, row in report["classes"].items():
        there = report["presence"].get(name)
        seen = (f"{there['true_positive']} of {there['photos']} | {there['false_positive']}"
                if there else "|")
        lines.append(f"| {plain(name)} | {number(row['iou'])} | {number(row['precision'])} | "
                     f"{number(row['recall'])} | {seen} |")
    if report["reliability"]:
        row = report["reliability"]
        lines += ["", f"Of {row['blobs']} animals {row['right']:.1%} got the right species, with a "
                      f"mean class confidence of {row['class_confidence']:.3f} (expected "
                      f"calibration error {row['expected_calibration_error']:.3f})."]
    note = f"\n\n**{report['note']}**" if report["note"] else ""
    return f"{validation}\n\n" + "\n".join(lines) + note


def _value_scores(report: dict | None, best: dict) -> str:
    """The scores of a regression."""
    validation = (f"Validation, at network size: RMSE {number(best['rmse'])}, MAE "
                  f"{number(best['mae'])}, R² {number(best['r2'])} in epoch {best['epoch']}.")
    if report is None:
        return f"{validation}\n\nNot tested yet: `python scripts/test.py` fills this in."
    lines = ["| test photos | photos | MAE | RMSE | R² | bias |", "|---|---|---|---|---|---|"]
    groups = {**{f"{name} locations": row for name, row in report["locations"].items()},
              **report["light"]}
    for name, row in groups.items():
        lines.append(f"| {name} | {row['images']} | {number(row['mae'])} | {number(row['rmse'])}"
                     f" | {number(row['r2'])} | {number(row['bias'])} |")
    note = f"\n\n**{report['note']}**" if report["note"] else ""
    return f"{validation}\n\n" + "\n".join(lines) + note


def _value_limits(report: dict | None, locations: int, values: dict) -> list[str]:
    return [f"* It has seen {locations} locations; elsewhere, compare its numbers with some "
            "measurements before you count on them.",
            f"* It has seen numbers from {values['low']:.4g} to {values['high']:.4g}; beyond, it "
            "guesses.",
            "* It gives a number everywhere, also where the training maps had none."]


def _limits(report: dict | None, locations: int, values: None) -> list[str]:
    lines = [f"* It has seen {locations} locations; elsewhere, look at its masks before you "
             "count on them.",
             "* It knows the classes above and nothing else: any other species becomes one of "
             "them, or background.",
             "* Parts of a photo that are no animal may be marked as one: see the empty photos."]
    empty = (report or {}).get("empty_photos", {})
    if empty.get("images"):
        lines.append(f"* On {empty['images']} empty test photos it marks "
                     f"{empty['false_positive_share']:.2%} of the pixels by mistake.")
    return lines


def listed(facts: dict) -> str:
    """Facts, such as the arguments of a model, as a list."""
    return "\n".join(f"* {name.replace('_', ' ')}: {value}" for name, value in facts.items())


def number(value: float | None) -> str:
    """A score with three digits."""
    return "n/a" if value is None else f"{value:.3f}"


def plain(text: str) -> str:
    """A name that Markdown, and HTML in it, leave as it is."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{letter}" if letter in "\\`*_[]|#" else letter for letter in escaped)
