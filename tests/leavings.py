"""Runs in the background, to be killed, and what they leave behind."""

import csv
import os

import torch
from conftest import QUICK, start_script, wait_until

from camera_trapinator.training.checkpoint import load_checkpoint

KILLS = int(os.environ.get("KILLS", 5))
EPOCHS = max(12, 2 * KILLS)
TIMES = ("seconds", "images_per_second")  # of a row of the log: no two runs are equally fast
KNOBS = [*QUICK, f"epochs={EPOCHS}", "num_workers=2", "start_fraction=0.4",
         "curriculum_epochs=5", "ema=0.9", "checkpoint_minutes=0.0005"]


def start(run, data_root, runs, *knobs):
    """train.py in the background, with workers of its own to kill."""
    runs.mkdir(exist_ok=True)
    resume = ["--resume"] * (runs / run).exists()
    output = runs / f"{run}.txt"
    output.unlink(missing_ok=True)
    return start_script("train.py", "--config", "configs/unet.yaml", "--run", run,
                        f"data_root={data_root}", *KNOBS, *knobs, *resume, stdout=output,
                        stderr=output, runs=runs)


def wait_for(process, output, text):
    """Until a process has printed a text, or has ended."""
    wait_until(process, lambda: text in output.read_text())


def all_of(path):
    """What a checkpoint holds, in a form to compare bit for bit: times left out."""
    content = load_checkpoint(path)
    content["history"] = [{name: value for name, value in row.items() if name not in TIMES}
                          for row in content["history"]]
    return flat(content)


def flat(content, name=""):
    if isinstance(content, torch.Tensor):
        return {name: content.contiguous().flatten().view(torch.uint8).tolist()}
    items = (content.items() if isinstance(content, dict) else enumerate(content)
             if isinstance(content, (list, tuple)) else None)
    if items is None:
        return {name: content}
    return {place: value for key, item in items for place, value in
            flat(item, f"{name}/{key}").items()}


def run_folders(runs):
    """The runs: not the memory of checked masks, nor locks."""
    return {path.name for path in runs.glob("[!.]*")}


def read_csv(path):
    with open(path, newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))
