"""curves.png: how a run's loss and scores went, epoch by epoch."""

import csv
import os
from pathlib import Path


def write_curves(log_path: str | Path, path: str | Path) -> None:
    """Draw log.csv: losses, validation IoUs and learning rate. Undefined scores are gaps."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # takes a second to import
    from matplotlib.figure import Figure

    with open(log_path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))

    def column(name: str) -> list[float]:
        return [float(row[name] or "nan") for row in rows]

    figure = Figure(figsize=(11, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = [("loss", [("train_loss", "training"), ("val_loss", "validation")]),
              ("IoU on validation photos", [("mean_iou", "mean over species"),
                                            ("foreground_iou", "any species")]),
              ("learning rate", [("lr", "SGD")])]
    for axes, (title, lines) in zip(figure.subplots(1, 3), panels, strict=True):
        for name, label in lines:
            axes.plot(column("epoch"), column(name), marker="o" if len(rows) < 40 else "",
                      markersize=3, label=label)
        axes.set_title(title, fontsize=11)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_ylim(bottom=0, top=1 if title.startswith("IoU") else None)
        axes.grid(alpha=0.3)
        if len(lines) > 1:
            axes.legend(frameon=False)
    temporary = Path(f"{path}.tmp")
    figure.savefig(temporary, format="png", dpi=110)
    os.replace(temporary, path)
