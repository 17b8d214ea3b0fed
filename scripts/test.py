"""Test a trained U-Net on its test photos, or predict a folder of new photos.

    python scripts/test.py                                   # the newest run, its test photos
    python scripts/test.py --run unet --images ~/sd_card     # masks and tables for a folder
    python scripts/test.py --weights best.pt --images ~/sd_card --out ~/results
    python scripts/test.py --model cnn_states/unet/export/unet_int8.onnx   # an exported file
    torchrun --nproc_per_node 4 -- scripts/test.py --images ~/sd_card    # on 4 GPUs
    python scripts/test.py --images ~/sd_card --shard 2/5    # the second of 5 machines

Results go to cnn_states/<run>/test/ or cnn_states/<run>/predict/<folder>/. A stopped prediction
goes on when the same command is given again, by as many processes as you like. When the files of
all shards lie in one folder, the command without --shard writes the results. Knobs: key=value.
"""

import argparse
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path

try:
    from camera_trapinator.command.arguments import ScriptParser, same_checkout, user_path
except ImportError:
    import environment  # noqa: F401 (it says what to do)


def parse_arguments() -> argparse.Namespace:
    parser = ScriptParser(__doc__)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--run", help="name of the run (default: the newest)")
    source.add_argument("--weights", type=user_path, help="checkpoint file, instead of a run")
    source.add_argument("--model", type=user_path, help="exported file (.onnx, .pte), likewise")
    parser.add_argument("--images", type=user_path, help="folder of new photos, or one photo")
    parser.add_argument("--out", type=user_path, help="folder of the results")
    parser.add_argument("--overwrite", action="store_true", help="predict anew what is done there")
    parser.add_argument("--shard", metavar="i/n", help="predict the i-th of n equal parts only")
    return parser.parse_with_knobs()


if __name__ == "__main__":
    same_checkout(__file__, "torch")
    arguments = parse_arguments()  # before torch, which takes seconds to import

import torch

from camera_trapinator.config import Config, parse_config
from camera_trapinator.data.lock import only_one
from camera_trapinator.data.strips import strips_for, write_strips
from camera_trapinator.dataset import PredictionDataset
from camera_trapinator.export.tested import Exported
from camera_trapinator.outputs.console import print_found, print_scores, print_shard
from camera_trapinator.outputs.earlier import begin_folder, forget_all
from camera_trapinator.outputs.evaluation import read_truth, write_evaluation
from camera_trapinator.outputs.model_card import short_card, write_model_card
from camera_trapinator.outputs.places import find_weights, photos_below, results_folder, shard_of
from camera_trapinator.outputs.prediction import Knobs, join_parts, predict_photos
from camera_trapinator.outputs.writers import Wanted, write_pictures, write_tables
from camera_trapinator.training.processes import Processes, join_processes, part_processes
from camera_trapinator.training.trained import Trained
from camera_trapinator.utils import ROOT, choose_device, exit_on_bad_input, seed_everything


@dataclass
class Job:
    """What is predicted with, which part of it, and where the results go."""

    tested: Trained | Exported
    config: Config
    out: Path
    device: torch.device
    processes: Processes
    shard: tuple[int, int] | None = None  # its number from 1 on, of how many

    @property
    def records(self) -> Path:
        return self.out / "predictions.jsonl"

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.tested.checkpoint["classes"]]

    @cached_property
    def info(self) -> dict:
        """What the records are made with."""
        tested = self.tested
        return tested.info(self.knobs(Knobs).info(tested.file, tested.checkpoint, self.device))

    def knobs(self, kind: type):
        """An object of a kind whose fields are knobs."""
        return kind(**{field.name: getattr(self.config, field.name) for field in fields(kind)})


def main(arguments: argparse.Namespace) -> None:
    tested = (Exported(arguments.model, Trained, bool(arguments.images)) if arguments.model
              else Trained(find_weights(arguments.weights, arguments.run)))
    source, overrides = str(tested.weights), arguments.overrides
    config = parse_config(tested.checkpoint["config"], source, overrides, stored=True)
    config = tested.settled(config, overrides)
    if not arguments.images:  # scores are taken at the photos' own size
        config = replace(config, mask_size="photo", repeats="")
    out = results_folder(tested.file, arguments.images, arguments.out, tested.suffix)
    shard = shard_of(arguments.shard, arguments.images, arguments.overwrite)
    device = choose_device(config.device)
    job = Job(tested, config, out, device, join_processes(device), shard)
    with only_one(out) if job.processes.leads and not shard else nullcontext():
        if arguments.images:
            predict_folder(job, arguments.images, arguments.overwrite)
        else:
            evaluate(job)
    part_processes()


def evaluate(job: Job) -> None:
    """Predict the test photos at their own size and compare them with their masks (or maps)."""
    config, run = job.config, job.tested.weights.parent
    data_root, regression = ROOT / config.data_root, config.task == "regression"
    # The photos that the training has not seen, and what is in them.
    truth = read_truth(data_root, config.manifest, job.tested.weights, config.split_by,
                       [] if regression else job.names, job.tested.checkpoint)
    with job.processes.first_alone():
        truth.check()
        strips = strips_for(config.strips, truth.tested, data_root, known=run / "strips.csv")
        if job.processes.leads:
            write_strips(job.out / "strips.csv", strips)
            forget_all(job.records)  # masks may have changed: never resumed
    dataset = PredictionDataset(truth.manifest, data_root, config.working_scale, truth.rows,
                                "photo", config.target_scale if regression else None, strips)
    wanted = job.knobs(Wanted)  # what the network says, and what that is worth
    project = wanted.project(job.names, truth.tested)
    predict(job, dataset, wanted, truth.facts)
    if not job.processes.leads:
        return
    report = write_evaluation(job.records, data_root, job.out, {
        "weights": job.tested.file.name, "run": run.name, "split_by": config.split_by,
        "note": truth.note(bool(config.test_from)), "mask_size": "photo"}, wanted.who(job.names))
    title = f"{run.name} on its test photos"
    write_tables(job.records, data_root, job.out, wanted, project, title, report)
    if job.out == run / "test":
        write_model_card(run, job.tested.checkpoint, config.best_by)
    print_scores(report, job.records, job.out)


def predict_folder(job: Job, folder: Path, overwrite: bool = False) -> None:
    """Predict all photos below a folder; one unreadable photo stops nothing. A shard of them is
    only predicted; who joins the shards writes the results."""
    folder, manifest = photos_below(folder, job.out, job.processes.leads)
    dataset = PredictionDataset(manifest, folder, job.config.working_scale)
    with job.processes.first_alone():
        begin_folder(dataset, job.records, job.info, job.config.strips, job.config.repeats,
                     overwrite=overwrite, shard=job.shard, leads=job.processes.leads)
    wanted = job.knobs(Wanted)
    project = wanted.project(job.names, manifest)
    told = predict(job, dataset, wanted)
    if job.shard:
        print_shard(job.records, job.shard)
    elif job.processes.leads:
        write_tables(told, folder, job.out, wanted, project, f"Photos of {folder.resolve().name}",
                     known=short_card(job.tested, job.config, told))
        print_found(told, job.out)


def predict(job: Job, dataset: PredictionDataset, wanted: Wanted, facts=None) -> Path:
    """Write the records of all photos, and the files that come one a photo; each process its part.
    Of a shard only the records. Returns those to write of. `facts`: see `predict_photos`."""
    seed_everything(job.config.seed, job.config.deterministic)
    net = job.tested.network(job.device)
    knobs, share = job.knobs(Knobs), (job.processes.rank + 1, job.processes.size)
    predict_photos(net, dataset, job.records, job.info, knobs, job.shard or share, facts)
    if job.shard:
        return job.records
    photos, people = dataset.data_root, wanted.who(job.names)
    told = join_parts(job.records, job.processes, photos, job.config.repeats, people)
    write_pictures(told, photos, job.out, wanted, share)
    job.processes.wait()
    return told


if __name__ == "__main__":
    with exit_on_bad_input("stopped" + "; the same command goes on" * bool(arguments.images)):
        main(arguments)
