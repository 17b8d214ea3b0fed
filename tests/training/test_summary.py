"""What a run will cost: parameters and floating-point operations."""

import math
import re

import pytest
import torch
from conftest import QUICK, error_line, run_script
from leavings import run_folders

from camera_trapinator.model import build_model
from camera_trapinator.training.summary import count_levels

# ------------------------------------------------------------------------------------- levels


def levels_by_hand(width, depth, classes, height, columns):
    """(name, parameters, FLOPs) of the paper's U-Net with batch normalisation, by the formulas."""
    def convs(*channels, size):
        pairs = list(zip(channels, channels[1:], strict=False))
        return (sum(9 * a * b + 2 * b for a, b in pairs),
                sum(2 * 9 * a * b * size for a, b in pairs))

    height, columns = (math.ceil(side / 2**depth) * 2**depth for side in (height, columns))
    channels = [width * 2**level for level in range(depth + 1)]
    sizes = [height * columns // 4**level for level in range(depth + 1)]
    rows = [("first", *convs(3, width, width, size=sizes[0]))]
    for level in range(depth):
        rows.append((f"downs.{level}", *convs(channels[level], channels[level + 1],
                                              channels[level + 1], size=sizes[level + 1])))
    for number, level in enumerate(reversed(range(depth))):
        large, small = channels[level + 1], channels[level]
        parameters, flops = convs(2 * small, small, small, size=sizes[level])
        # Each output pixel of a 2 x 2 up-convolution of stride 2 sees one input pixel.
        rows.append((f"ups.{number}", parameters + 4 * large * small + small,
                     flops + 2 * large * small * sizes[level]))
    rows.append(("last", width * classes + classes, 2 * width * classes * sizes[0]))
    return [*rows, ("", sum(row[1] for row in rows), sum(row[2] for row in rows))]


@pytest.mark.parametrize(("width", "depth", "height", "columns"), [
    (4, 2, 48, 64), (3, 3, 41, 70), (5, 1, 16, 16)])
def test_parameters_and_flops_are_those_of_the_formulas(width, depth, height, columns):
    net = build_model(num_classes=3, working_scale=64, width=width, depth=depth)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    levels = count_levels(net, height, columns)
    assert [(level.name, level.parameters, level.flops) for level in levels] == (
        levels_by_hand(width, depth, 3, height, columns))
    assert levels[-1].shape == (3, height, columns)
    assert levels[depth].shape == (width * 2**depth, math.ceil(height / 2**depth),
                                   math.ceil(columns / 2**depth))
    assert net.training and all(torch.equal(value, before[name])
                                for name, value in net.state_dict().items())


def test_the_levels_of_an_encoder_add_up_to_the_whole():
    net = build_model(encoder="resnet18", num_classes=3, working_scale=64, width=4)
    *levels, whole = count_levels(net, 64, 96)
    assert [level.name for level in levels] == ["encoder", "ups.0", "ups.1", "ups.2", "ups.3",
                                                "votes", "last"]
    assert levels[0].shape == (512, 2, 3)
    assert sum(level.flops for level in levels) == whole.flops > 1e8
    assert sum(level.parameters for level in levels) == whole.parameters == sum(
        weight.numel() for weight in net.parameters())


# ------------------------------------------------------------------------------------ dry run


def dry_run(data_root, runs, *knobs):
    return run_script("train.py", "--config", "configs/unet.yaml", f"data_root={data_root}",
                      *QUICK, "--dry-run", *knobs, runs=runs)


def test_a_dry_run_tells_the_costs_and_leaves_nothing(data_root, tmp_path):
    result = dry_run(data_root, tmp_path, "num_workers=2", "epochs=7", "ema=0.9")
    assert result.returncode == 0, result.stderr
    assert run_folders(tmp_path) == set()
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("level "))
    expected = [(name or "all, crop", f"{parameters:,}", f"{flops / 1e9:.3f}")
                for name, parameters, flops in levels_by_hand(4, 2, 3, 48, 64)]
    table = [re.split(r"\s{2,}", line) for line in lines[start + 1:start + 1 + len(expected)]]
    assert [(name, parameters, flops) for name, _, parameters, flops in table] == expected
    assert table[0][1] == "4 x 48 x 64" and table[2][1] == "16 x 12 x 16"
    # The estimate follows from the lines above it and from the size of a real epoch.
    text = "\n".join(lines)
    photos, validated = map(int, re.search(r"(\d+) train .*?(\d+) val", text).groups())
    step, one, read, read_one = map(float, re.search(
        r"speed +(\d+) ms .*?, ([\d.]+) ms a val.*reading ([\d.]+) and ([\d.]+) ms", text).groups())
    seconds = (photos // 4 * max(step, 4 * read / 2) + validated * max(one, read_one / 2)) / 1000
    told = float(re.search(r"an epoch takes about ([\d.]+) s ", text).group(1))
    assert told == pytest.approx(seconds, rel=0.1, abs=0.01)
    assert "7 epochs" in text and re.search(r"memory +[\d,]+ MB", text)


@pytest.mark.parametrize("fault", ["truncated", "knob"])
def test_a_dry_run_shows_a_fault_as_a_real_run_does(fault, own_data, tmp_path):
    knobs = []
    if fault == "truncated":
        for path in own_data.glob("photos/*/*/*.JPG"):
            path.write_bytes(path.read_bytes()[:-300])
    else:
        knobs.append("class_weights=1, 2")
    line = error_line(dry_run(own_data, tmp_path / "runs", *knobs))
    assert {"truncated": "truncated", "knob": "one for each class"}[fault] in line
    assert run_folders(tmp_path / "runs") == set()
