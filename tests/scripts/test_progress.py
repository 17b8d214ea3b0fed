"""In a log every script that may take long tells how far it is: here with a line every millisecond
in place of a minute."""

import re
import subprocess
from pathlib import Path

import pytest
from conftest import QUICK, error_line, start_script

from camera_trapinator.data.progress import LOG_SECONDS
from camera_trapinator.utils import ROOT

HOW_FAR = r"[\d,]+ (of [\d,]+ )?[a-z]+( in |,.*/(s|minute))"


def told(name: str, *arguments: object, folder: Path, seconds: str = "0.001",
         runs: Path | None = None) -> dict[str, list[str]]:
    """Run a script; its lines of progress by what they begin with. On stderr is nothing."""
    folder.mkdir(exist_ok=True)
    files = folder / f"{name}.out", folder / f"{name}.err"
    process = start_script(name, *arguments, stdout=files[0], stderr=files[1], runs=runs or folder,
                           **{LOG_SECONDS: seconds})
    assert process.wait(timeout=300) == 0, files[1].read_text()
    assert files[1].read_text() == ""
    found: dict[str, list[str]] = {}
    for line in files[0].read_text().splitlines():
        if match := re.match(rf"(\S[\w/ ]*?) +{HOW_FAR}", line):
            found.setdefault(match[1], []).append(line)
    return found


def test_generating_checking_and_importing(tmp_path, data_root):
    lines = told("make_demo_data.py", "--out", tmp_path / "demo", "--photos", 8, "--locations",
                 2, "--new-photos", 2, "--size", "160x120", "--workers", 1,
                 folder=tmp_path / "generate")
    assert re.fullmatch(r"drawing +\d+ of 10 photos, .* left", lines["drawing"][3])
    lines = told("check_data.py", "--config", ROOT / "configs/unet.yaml", f"data_root={data_root}",
                 folder=tmp_path / "check")
    assert {"checking", "reading"} <= set(lines)
    assert re.fullmatch(r"reading +\d+ of 30 photos, .* left", lines["reading"][0])
    colours = tmp_path / "colours.csv"
    colours.write_text("value,name\n0,background\n1,deer\n2,boar\n3,fox\n4,badger\n")
    lines = told("import_labels.py", "masks", tmp_path / "demo/masks", "--images",
                 tmp_path / "demo/photos", "--colours", colours, "--out", tmp_path / "imported",
                 "--unannotated", "empty", folder=tmp_path / "import")
    assert {"reading", "masks"} <= set(lines)
    assert re.fullmatch(r"masks +8 photos in .*", lines["masks"][-1])


def test_training(tmp_path, data_root):
    lines = told("train.py", "--config", ROOT / "configs/unet.yaml", "--run", "short",
                 f"data_root={data_root}", *QUICK, "epochs=2", "start_fraction=0.5",
                 folder=tmp_path)
    assert {"checking", "reading", "sizes", "difficulty", "validating"} <= set(lines)
    # Epochs have the loss, the speed, and the time that the run will take besides.
    first, second = lines["epoch 1/2"], lines["epoch 2/2"]
    numbers = r"\d+ of \d+ batches, .* left; loss \d\.\d+, \d+ images/s, run .* left"
    assert any(re.fullmatch(rf"epoch 1/2 +{numbers}", line) for line in first), first
    assert any(re.fullmatch(rf"epoch 2/2 +{numbers}, mean IoU [\d.]+, foreground IoU [\d.]+", line)
               for line in second), second


def test_predicting_and_every_output(tmp_path, data_root, trained):
    outputs = ("masks", "masks_zip", "overlays", "csv", "megadetector", "coco", "xmp", "report")
    lines = told("test.py", "--run", "shapes", "--images", data_root / "photos", "--out",
                 tmp_path / "out", f"outputs={','.join(outputs)}", folder=tmp_path, runs=trained)
    assert re.fullmatch(r"predicting +\d+ of 30 photos, .* left", lines["predicting"][3])
    assert {"bursts", "repeats"} <= set(lines)
    for name in outputs:
        assert any(re.match(rf"{name} +30 photos in ", line) for line in lines[name]), name


def test_short_work_says_nothing(tmp_path, data_root):
    lines = told("check_data.py", "--config", ROOT / "configs/unet.yaml", f"data_root={data_root}",
                 seconds="60", folder=tmp_path)
    assert not lines


@pytest.mark.parametrize("wish", ["often", "0"])
def test_a_wish_that_is_none_is_refused(tmp_path, data_root, wish):
    files = tmp_path / "out", tmp_path / "err"
    process = start_script("check_data.py", "--config", ROOT / "configs/unet.yaml",
                           f"data_root={data_root}", stdout=files[0], stderr=files[1],
                           runs=tmp_path, **{LOG_SECONDS: wish})
    code = process.wait(timeout=300)
    result = subprocess.CompletedProcess([], code, files[0].read_text(), files[1].read_text())
    assert f"{LOG_SECONDS}: '{wish}' is no number of seconds above 0" in error_line(result)
