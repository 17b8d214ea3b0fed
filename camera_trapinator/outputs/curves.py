"""curves.png: how a run's loss and scores went, epoch by epoch."""

import csv
from pathlib import Path

from .. import InputError
from . import written_whole

PANELS = [  # title, ends of the y axis (None: as the numbers are), column and label of each line
    ("loss", None, [("train_loss", "training"), ("val_loss", "validation")]),
    ("IoU on validation photos", (-0.02, 1.02), [("mean_iou", "mean over species"),
                                                 ("foreground_iou", "any species")]),
    ("learning rate", None, [("lr", "learning rate")]),
]

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
    figure = Figure(figsize=(4 * len(panels), 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (title, ends, lines) in zip(figure.subplots(1, len(panels)), panels,
                                            strict=True):
        for (name, label), style in zip(lines, ("-", "--"), strict=False):
            # Points, because one epoch, or one between two gaps, makes no line; dashes let a
            # curve below shine through.
            axes.plot(epochs, columns[name], style, label=label, linewidth=1.6, marker="o",
                      markersize=4 if len(epochs) < 40 else 1.5)
        axes.set_title(title, fontsize=11)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axes.set_xlim(min(epochs, default=1) - 0.5, max(epochs, default=1) + 0.5)
        axes.set_ylim(ends)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        if len(lines) > 1:
            axes.legend(frameon=False)
    with written_whole(out_path) as path:
        figure.savefig(path, format="png", dpi=110)


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
