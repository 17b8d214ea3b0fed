"""curves.png, from log.csv."""

import matplotlib.figure
import numpy as np
import pytest
from PIL import Image

from camera_trapinator import InputError
from camera_trapinator.outputs.curves import write_curves

HEADER = "epoch,lr,train_loss,val_loss,mean_iou,foreground_iou,images_per_second,seconds\n"


@pytest.mark.parametrize("rows", ["", "1,0.05,0.7,0.6,0.1,0.3,10,3\n", "1,0.05,0.7,,,,10,3\n",
                                  "1,0.1,2,1,0.1,0.2,9,9\n2,0.1,nan,,,0.3,9,9\n3,0,inf,1,1,1,9,9\n"])
def test_curves_are_drawn_from_one_epoch_on_and_with_gaps(tmp_path, rows):
    (tmp_path / "log.csv").write_text(HEADER + rows)
    write_curves(tmp_path / "log.csv", tmp_path / "curves.png")
    picture = np.asarray(Image.open(tmp_path / "curves.png").convert("RGB")).astype(int)
    assert picture.shape[0] > 300 and picture.shape[1] > 1000
    panel = picture[40:, picture.shape[1] * 2 // 3:]  # the learning rate: no legend in it
    blue = (abs(panel - (31, 119, 180)).max(axis=-1) < 30).sum()
    assert (blue > 10) == bool(rows)


@pytest.mark.parametrize("content", ["epoch,loss\n1,2\n", HEADER + "1,much,1,1,1,1,1,1\n"])
def test_a_file_that_is_no_log_is_named(tmp_path, content):
    (tmp_path / "log.csv").write_text(content)
    with pytest.raises(InputError, match="log.csv: no training log"):
        write_curves(tmp_path / "log.csv", tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()


def drawn(monkeypatch, tmp_path, log: str) -> dict[str, dict[str, list]]:
    """The points of each line, by title of its panel and label, of the curves of a log."""
    panels, subplots = {}, matplotlib.figure.Figure.subplots
    figures = []
    monkeypatch.setattr(matplotlib.figure.Figure, "subplots", lambda figure, *shape: (
        figures.append(figure), subplots(figure, *shape))[1])
    (tmp_path / "log.csv").write_text(log)
    write_curves(tmp_path / "log.csv", tmp_path / "curves.png")
    for axes in figures[0].axes:
        panels[axes.get_title()] = {
            line.get_label(): [None if np.isnan(y) else y for y in line.get_ydata()]
            for line in axes.get_lines()}
    return panels


def test_columns_that_nobody_told_of_are_drawn(monkeypatch, tmp_path):
    """Such as scores that somebody adds; in later rows only, where that was before a resume."""
    header = HEADER.strip().replace(",images", ",recall,edge_iou,boundary_px,note,never,images")
    log = (f"{header},pool\n1,0.05,0.7,0.6,0.1,0.3,,,,,,10,3,9\n"
           "2,0.04,0.6,0.5,0.2,0.4,0.25,,12.5,good,,10,3,9\n"
           "3,0.03,0.5,0.4,0.3,0.5,0.75,1,nan,good,,10,3,9\n")
    panels = drawn(monkeypatch, tmp_path, log)
    assert list(panels) == ["loss", "IoU on validation photos", "learning rate", "further scores",
                            "boundary_px"]
    assert panels["further scores"] == {"recall": [None, 0.25, 0.75], "edge_iou": [None, None, 1]}
    assert panels["boundary_px"] == {"boundary_px": [None, 12.5, None]}
    assert Image.open(tmp_path / "curves.png").size[0] == 5 * 440
    assert panels["IoU on validation photos"] == {
        "mean over species": [0.1, 0.2, 0.3], "any species": [0.3, 0.4, 0.5]}


def test_a_single_further_score_gives_its_panel_the_name(monkeypatch, tmp_path):
    log = ("epoch,lr,train_loss,val_loss,mae,rmse,r2,bias,near_share,images_per_second,seconds\n"
           "1,0.05,0.7,0.6,1,2,0.5,0.1,0.5,10,3\n")
    panels = drawn(monkeypatch, tmp_path, log)
    assert list(panels) == ["loss", "error on validation photos", "R² on validation photos",
                            "learning rate", "near_share"]
    assert panels["near_share"] == {"near_share": [0.5]}


def test_a_log_without_further_columns_has_no_further_panel(monkeypatch, tmp_path):
    log = (f"{HEADER.strip()},pool,distinct,difficulty\n1,0.1,2,1,0.1,0.2,9,9,5,4,0.3\n")
    assert list(drawn(monkeypatch, tmp_path, log)) == ["loss", "IoU on validation photos",
                                                       "learning rate"]
