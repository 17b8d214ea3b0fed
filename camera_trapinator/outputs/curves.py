"""curves.png: how a run's loss and scores went, epoch by epoch; several runs in one picture."""

import csv
from collections.abc import Sequence
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


def write_curves(log_path: str | Path, out_path: str | Path) -> None:
    """Draw log.csv into a PNG: losses, validation scores and learning rate over the epochs.

    Empty cells and numbers that are not finite are gaps. Raises InputError if log.csv lacks a
    column or holds something else than numbers. Safe in any thread: uses no pyplot.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # here: takes a second to import
    from matplotlib.figure import Figure

    panels, columns = _read_log(Path(log_path))
    epochs = columns["epoch"]
    width = 4 * len(panels)  # inches
    figure = Figure(figsize=(width, 3.6))
    figure.subplots_adjust(left=0.6 / width, right=1 - 0.1 / width, bottom=0.14, top=0.9,
                           wspace=0.22)  # "constrained" would take twice the time
    FigureCanvasAgg(figure)
    for axes, (title, ends, lines) in zip(figure.subplots(1, len(panels)), panels,
                                            strict=True):
        for (name, label), style in zip(lines, ("-", "--"), strict=False):
            # Points, because one epoch, or one between two gaps, makes no line; dashes let a
            # curve below shine through.
            axes.plot(epochs, columns[name], style, label=label, linewidth=1.6, marker="o",
                      markersize=4 if len(epochs) < 40 else 1.5)
        _dress(axes, title, "epoch", ends)
        axes.set_xlim(min(epochs, default=1) - 0.5, max(epochs, default=1) + 0.5)
        if len(lines) > 1:
            axes.legend(frameon=False)
    with written_whole(out_path) as path:
        figure.savefig(path, format="png", dpi=110)


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


def read_log(path: str | Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Columns of log.csv, float (E,): nan where a cell is empty, and for a column that it lacks.

    Raises InputError if the file is missing, has no row, or is damaged.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, strict=True))
        if not rows or "epoch" not in rows[0]:
            raise ValueError("no column epoch, or no row")
        for number, row in enumerate(rows, start=2):
            if None in row or None in row.values():
                raise ValueError(f"line {number} has another number of cells than the header")
        return {name: np.array([float(row.get(name) or "nan") for row in rows]) for name in names}
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; a run has it from the end of its first epoch "
                         "on") from None
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: no training log ({error}); resume the run, and it is written "
                         "anew") from None


def _dress(axes, title: str, x_label: str, ends: tuple[float, float] | None) -> None:
    """Title, axes and grid, alike in all pictures; `ends` of the y axis, None: as the numbers."""
    axes.set_title(title, fontsize=11)
    axes.set_xlabel(x_label)
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.set_ylim(ends)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def _read_log(path: Path) -> tuple[list, dict[str, list[float]]]:
    """The panels to draw, and the columns of log.csv for them, nan where a cell is empty."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    panels = VALUE_PANELS if rows and "rmse" in rows[0] else PANELS
    names = ["epoch", *(name for _, _, lines in panels for name, _ in lines)]
    try:
        return panels, {name: [float(row[name] or "nan") for row in rows] for name in names}
    except (KeyError, ValueError) as error:
        raise InputError(f"{path}: no training log ({error}); it needs the columns "
                         f"{', '.join(names)}, with numbers") from None
