"""curves.png: how a run's loss and scores went, epoch by epoch; several runs in one picture."""

import csv
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .. import InputError, written_whole

PANELS = [  # title, ends of the y axis (None: as the numbers are), column and label of each line
    ("loss", None, [("train_loss", "training"), ("val_loss", "validation")]),
    ("IoU on validation photos", (-0.02, 1.02), [("mean_iou", "mean over species"),
                                                 ("foreground_iou", "any species")]),
    ("learning rate", None, [("lr", "learning rate")]),
]
COMPARED = [  # panels of a comparison: title, ends of the y axis, column
    ("loss on training photos", None, "train_loss"),
    ("loss on validation photos", None, "val_loss"),
    ("mean IoU over species, validation", (-0.02, 1.02), "mean_iou"),
    ("IoU of any species, validation", (-0.02, 1.02), "foreground_iou"),
]
STYLES = ("-", "--", ":", "-.")

VALUE_PANELS = [  # of a regression
    PANELS[0],
    ("error on validation photos", None, [("rmse", "RMSE"), ("mae", "MAE")]),
    ("R² on validation photos", None, [("r2", "R²")]),
    PANELS[2],
]
# Columns of log.csv that tell of the epoch itself; one that is neither here nor in a panel is drawn
# in a further one.
NO_SCORES = ("epoch", "images_per_second", "photos", "seconds", "pool", "distinct", "difficulty")


def write_curves(log_path: str | Path, out_path: str | Path) -> None:
    """Draw log.csv into a PNG: losses, validation scores and learning rate over the epochs.

    Columns with numbers that nobody has told of here, such as a score of your own, come in further
    panels. Empty cells and numbers that are not finite are gaps. Raises InputError if log.csv lacks
    a column or holds something else than numbers. Safe in any thread: uses no pyplot.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # here: takes a second to import
    from matplotlib.figure import Figure

    columns = read_log(log_path, least=0)
    panels = VALUE_PANELS if "rmse" in columns and "mean_iou" not in columns else PANELS
    needed = ["epoch", *_columns_of(panels)]
    if missing := [name for name in needed if name not in columns]:
        raise InputError(f"{log_path}: no training log (no numbers in {', '.join(missing)}); it "
                         f"needs the columns {', '.join(needed)}, with numbers")
    panels = [*panels, *_further_panels(columns)]
    epochs = columns["epoch"]
    width = 4 * len(panels)  # inches
    figure = Figure(figsize=(width, 3.6))
    figure.subplots_adjust(left=0.6 / width, right=1 - 0.1 / width, bottom=0.14, top=0.9,
                           wspace=0.22)  # "constrained" would take twice the time
    FigureCanvasAgg(figure)
    for axes, (title, ends, lines) in zip(figure.subplots(1, len(panels)), panels,
                                            strict=True):
        for number, (name, label) in enumerate(lines):
            # Points, because one epoch, or one between two gaps, makes no line; dashes let a
            # curve below shine through.
            axes.plot(epochs, columns[name], STYLES[number % len(STYLES)], label=label,
                      linewidth=1.6, marker="o", markersize=4 if len(epochs) < 40 else 1.5)
        _dress(axes, title, "epoch", ends)
        axes.set_xlim(min(epochs, default=1) - 0.5, max(epochs, default=1) + 0.5)
        if len(lines) > 1:
            axes.legend(frameon=False)
    with written_whole(out_path) as path:
        figure.savefig(path, format="png", dpi=110)


def _columns_of(panels: Sequence[tuple]) -> list[str]:
    return [name for _, _, lines in panels for name, _ in lines]


def _further_panels(columns: dict[str, np.ndarray]) -> list[tuple]:
    """Panels of the columns that nobody has told of here: one of all that lie within 0 and 1, as
    scores do, and one of each other column."""
    known = {*NO_SCORES, "bias", *_columns_of(PANELS), *_columns_of(VALUE_PANELS)}
    found = {name: values[np.isfinite(values)] for name, values in columns.items()
             if name not in known}
    scores = [name for name, values in found.items()
              if len(values) and values.min() >= 0 and values.max() <= 1]
    others = [name for name, values in found.items() if len(values) and name not in scores]
    panels = [(name, None, [(name, name)]) for name in others]
    if scores:
        title = scores[0] if len(scores) == 1 else "further scores"
        panels.insert(0, (title, (-0.02, 1.02), [(name, name) for name in scores]))
    return panels


class Curve(NamedTuple):
    """How a run, or the mean of several, went; float (E,) each, nan = nothing known."""

    x: np.ndarray
    means: dict[str, np.ndarray]  # by column of log.csv
    spreads: dict[str, np.ndarray]  # standard deviation over runs; empty for a single run


def write_comparison(curves: dict[str, Curve], x_label: str, out_path: str | Path) -> None:
    """Draw the learning curves of several runs, by name, into a PNG; the spread as a band."""
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = max(1, min(4, len(curves), 110 // (max(map(len, curves)) + 6)))  # of the legend
    figure = Figure(figsize=(11, 7 + 0.22 * -(-len(curves) // columns)), layout="constrained")
    FigureCanvasAgg(figure)
    longest = max(len(curve.x) for curve in curves.values())
    for axes, (title, ends, column) in zip(figure.subplots(2, 2).flat, COMPARED, strict=True):
        for number, curve in enumerate(curves.values()):
            # Ten colours, then the same ones in another style.
            colour, style = colormaps["tab10"](number % 10), STYLES[number // 10 % len(STYLES)]
            mean = curve.means[column]
            axes.plot(curve.x, mean, style, color=colour, linewidth=1.6, marker="o",
                      markersize=4 if longest < 40 else 1.5)
            if curve.spreads:
                axes.fill_between(curve.x, mean - curve.spreads[column],
                                  mean + curve.spreads[column], color=colour, alpha=0.15,
                                  linewidth=0)
        _dress(axes, title, x_label, ends)
    figure.legend(figure.axes[0].get_lines(), list(curves), loc="outside lower center",
                  ncols=columns, frameon=False)
    with written_whole(out_path) as path:
        figure.savefig(path, format="png", dpi=110)


def read_log(path: str | Path, names: Sequence[str] | None = None, least: int = 1,
             ) -> dict[str, np.ndarray]:
    """Columns of log.csv, float (E,): nan where a cell is empty, and for a column that it lacks.
    Without `names`: all columns that hold nothing but numbers.

    Raises InputError if the file is missing, has fewer than `least` rows, or is damaged.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, strict=True)
            rows, header = list(reader), reader.fieldnames or []
        if len(rows) < least or "epoch" not in header:
            raise ValueError("no column epoch, or no row")
        for number, row in enumerate(rows, start=2):
            if None in row or None in row.values():
                raise ValueError(f"line {number} has another number of cells than the header")
        if names is not None:
            return {name: _numbers(rows, name) for name in names}
        columns = {}
        for name in header:
            with suppress(ValueError):  # a column of texts
                columns[name] = _numbers(rows, name)
        return columns
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; a run has it from the end of its first epoch "
                         "on") from None
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: no training log ({error}); resume the run, and it is written "
                         "anew") from None


def _numbers(rows: Sequence[dict[str, str]], name: str) -> np.ndarray:
    return np.array([float(row.get(name) or "nan") for row in rows])


def _dress(axes, title: str, x_label: str, ends: tuple[float, float] | None) -> None:
    """Title, axes and grid, alike in all pictures; `ends` of the y axis, None: as the numbers."""
    axes.set_title(title, fontsize=11)
    axes.set_xlabel(x_label)
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.set_ylim(ends)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
