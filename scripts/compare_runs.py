"""Compare runs: learning curves in one picture; scores, and the knobs that differ, in a table.

    python scripts/compare_runs.py demo wide deep
    python scripts/compare_runs.py demo wide --by seconds --out ~/wide.png
    python scripts/compare_runs.py base0 base1 base2 wide0 wide1 wide2 --group

A run is a name in cnn_states/ or the path of a run folder. The table is printed, and written as
CSV beside the picture. --group takes runs that differ only in `seed` together: mean ± standard
deviation (n - 1) over seeds, as in the tables of an ablation.
"""

import argparse
import csv
import dataclasses
import json
import os
from pathlib import Path
from typing import NamedTuple

try:
    from camera_trapinator.command.arguments import ScriptParser, same_checkout, user_path
except ImportError:
    import environment  # noqa: F401 (it says what to do)

AXES = {"epoch": "epoch", "seconds": "seconds of training and validation", "photos": "photos seen"}


def parse_arguments() -> argparse.Namespace:
    parser = ScriptParser(__doc__)
    parser.add_argument("runs", nargs="+", metavar="run", help="name of a run, or its folder")
    parser.add_argument("--out", type=user_path, help="picture (default: compare.png in the folder "
                        "of the runs); the table goes beside it, as .csv")
    parser.add_argument("--by", choices=AXES, default="epoch", help="what goes along the x axis")
    parser.add_argument("--group", action="store_true",
                        help="take runs that differ only in their seed together")
    return parser.parse_args()


if __name__ == "__main__":
    same_checkout(__file__, "torch")
    arguments = parse_arguments()  # before torch, which takes seconds to import

import numpy as np

from camera_trapinator import InputError
from camera_trapinator.config import Config, parse_config, read_text
from camera_trapinator.metrics import best_epoch
from camera_trapinator.model import load_model
from camera_trapinator.outputs.curves import COMPARED, Curve, read_log, write_comparison
from camera_trapinator.outputs.places import find_run
from camera_trapinator.outputs.tables import write_table
from camera_trapinator.training.checkpoint import load_checkpoint
from camera_trapinator.utils import RUNS, exit_on_bad_input

# Columns of the table, and how their numbers are printed.
SCORES = {"epochs_done": ".0f", "best_epoch": ".0f", "mean_iou": ".3f", "foreground_iou": ".3f",
          "test_mean_iou": ".3f", "test_foreground_iou": ".3f", "photos_per_second": ".1f",
          "seconds": ".0f", "parameters": ",.0f"}


class Run(NamedTuple):
    """What is compared of a run."""

    name: str
    config: Config
    curve: Curve
    scores: dict[str, float]  # those of SCORES; nan = not known


def main(arguments: argparse.Namespace) -> None:
    out = arguments.out or RUNS / "compare.png"
    if out.suffix.lower() != ".png":
        raise InputError(f"--out: {out} should end in .png; the table becomes a .csv beside it")
    folders = list(dict.fromkeys(find_run(name) for name in arguments.runs))
    names = [folder.name for folder in folders]
    runs = [read_run(folder, folder.name if names.count(folder.name) == 1 else str(folder),
                     arguments.by) for folder in folders]
    groups = group_by_seed(runs) if arguments.group else {run.name: [run] for run in runs}

    knobs = [field.name for field in dataclasses.fields(Config)
             if len({getattr(run.config, field.name) for run in runs}) > 1
             and not (arguments.group and field.name == "seed")]
    header = ["run", *(["runs"] if arguments.group else []), *SCORES, *knobs]
    lines, cells = [], []
    for name, group in groups.items():
        settings = [as_text(getattr(group[0].config, knob)) for knob in knobs]
        count = [len(group)] if arguments.group else []
        means, spreads = mean_and_spread([list(run.scores.values()) for run in group])
        lines.append([name, *map(str, count),
                      *(as_number(mean, spread, form) for mean, spread, form in zip(
                          means, spreads, SCORES.values(), strict=True)), *settings])
        # In the CSV the spread has columns of its own.
        cells.append([name, *count, *as_cells(means), *settings,
                      *(as_cells(spreads) if arguments.group else [])])
    print_table(header, lines)
    spread_header = [f"{name}_std" for name in SCORES] if arguments.group else []
    write_table(out.with_suffix(".csv"), header + spread_header, cells)
    write_comparison({
        name if len(group) == 1 else f"{name} (mean ± std of {len(group)} runs)": mean_curve(group)
        for name, group in groups.items()}, AXES[arguments.by], out)
    print(f"\nsee {out} and {out.with_suffix('.csv')}")


def read_run(folder: Path, name: str, by: str) -> Run:
    """A run from its folder. Raises InputError for what is missing or damaged."""
    log = read_log(folder / "log.csv", ["epoch", "seconds", "photos", "images_per_second",
                                        *(column for _, _, column in COMPARED)])
    path = folder / "config.yaml"
    config = parse_config(read_text(path), str(path), stored=True)
    best, parameters = read_best(folder / "best.pt", log, config.best_by)
    unseen = test_scores(folder / "test" / "report.json")
    scores = {
        "epochs_done": len(log["epoch"]), "best_epoch": log["epoch"][best],
        "mean_iou": log["mean_iou"][best], "foreground_iou": log["foreground_iou"][best],
        "test_mean_iou": unseen.get("mean_iou"),
        "test_foreground_iou": unseen.get("foreground_iou"),
        "photos_per_second": np.median(log["images_per_second"]), "seconds": log["seconds"].sum(),
        "parameters": parameters,
    }
    x = {"epoch": log["epoch"], "seconds": log["seconds"].cumsum()}.get(by)
    if x is None:
        x = log["photos"].cumsum()
        if np.isnan(x).any():  # older runs do not tell
            x = log["epoch"] * photos_per_epoch(folder, config)
    curve = Curve(x, {column: log[column] for _, _, column in COMPARED}, {})
    return Run(name, config, curve, {key: np.nan if value is None else float(value)
                                     for key, value in scores.items()})


def test_scores(path: Path) -> dict:
    """The scores of the test photos from unseen locations; {} if the run was not tested."""
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        return report.get("locations", {}).get("unseen", {})
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); test the run anew with "
                         "scripts/test.py") from None


def read_best(path: Path, log: dict[str, np.ndarray], best_by: str) -> tuple[int, int | None]:
    """The place of the epoch that best.pt holds, and the number of its parameters; where it is
    gone, the place by the log."""
    if path.exists():
        checkpoint = load_checkpoint(path)
        parameters = load_model(checkpoint).parameters()
        return len(checkpoint["history"]) - 1, sum(weight.numel() for weight in parameters)
    rows = [{name: None if np.isnan(column[row]) else column[row] for name, column in log.items()}
            for row in range(len(log["epoch"]))]
    return best_epoch(rows, best_by), None


def photos_per_epoch(folder: Path, config: Config) -> int:
    """Whole batches only, as the sampler makes them."""
    try:
        with open(folder / "splits.csv", newline="", encoding="utf-8") as file:
            photos = sum(row["split"] == "train" for row in csv.DictReader(file))
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise InputError(f"{folder / 'splits.csv'}: cannot be read ({error}); compare by epoch, or "
                         "by seconds") from None
    batch = min(config.batch_size, photos)
    return photos // batch * batch if batch else 0


def group_by_seed(runs: list[Run]) -> dict[str, list[Run]]:
    """The runs whose configs are equal but for the seed, under what their names have in common."""
    groups: dict[Config, list[Run]] = {}
    for run in runs:
        groups.setdefault(dataclasses.replace(run.config, seed=0), []).append(run)
    named = {}
    for group in groups.values():
        names = [run.name for run in group]
        common = os.path.commonprefix(names).rstrip(" _-.=") if len(group) > 1 else names[0]
        named[common if common and common not in named else ", ".join(names)] = group
    return named


def mean_and_spread(values: list) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (n - 1) over the runs: (runs, N) -> (N,), (N,) float.

    What is not known (nan) of one run is not known of the mean; of one run there is no spread.
    """
    values = np.array(values, float)
    if len(values) == 1:
        return values[0], np.full(values.shape[1], np.nan)
    return values.mean(axis=0), values.std(axis=0, ddof=1)


def mean_curve(group: list[Run]) -> Curve:
    """The mean of the runs' curves, up to the epoch that all of them have reached."""
    if len(group) == 1:
        return group[0].curve
    end = min(len(run.curve.x) for run in group)
    both = {column: mean_and_spread([run.curve.means[column][:end] for run in group])
            for _, _, column in COMPARED}
    return Curve(mean_and_spread([run.curve.x[:end] for run in group])[0],
                 {column: mean for column, (mean, _) in both.items()},
                 {column: spread for column, (_, spread) in both.items()})


def as_number(mean: float, spread: float, form: str) -> str:
    if np.isnan(mean):
        return "n/a"
    return f"{mean:{form}}" + (f" ± {spread:{form}}" if spread > 0 else "")


def as_cells(numbers: np.ndarray) -> list[float | None]:
    """Six digits, as in log.csv; None (an empty cell) for nan."""
    return [None if np.isnan(number) else int(number) if number == int(number)
            else float(f"{number:.6g}") for number in numbers]


def as_text(value: object) -> str:
    """A knob's value as one would write it in a config."""
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def print_table(header: list[str], lines: list[list[str]]) -> None:
    """Columns side by side; what nobody knows of any run is left out."""
    columns = [column for column in zip(header, *lines, strict=True)
               if set(column[1:]) != {"n/a"}]
    widths = [max(map(len, column)) for column in columns]
    for row in zip(*columns, strict=True):
        print("  ".join(map(str.ljust, row, widths)).rstrip())


if __name__ == "__main__":
    with exit_on_bad_input():
        main(arguments)
