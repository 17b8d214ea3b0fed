"""Test a trained U-Net on its test photos, or predict a folder of new photos.

    python scripts/test.py                                   # the newest run, its test photos
    python scripts/test.py --run unet --images ~/sd_card     # masks and tables for a folder
    python scripts/test.py --weights best.pt --images ~/sd_card --out ~/results
    torchrun --nproc_per_node 4 -- scripts/test.py --images ~/sd_card    # on 4 GPUs
    python scripts/test.py --images ~/sd_card --shard 2/5    # the second of 5 machines

Results go to cnn_states/<run>/test/ or cnn_states/<run>/predict/<folder>/. A prediction that was
stopped goes on where it was when the same command is given again, by as many processes as you
like. When all shards are done and their files lie in one folder, the command without --shard
writes the results. Knobs can follow as key=value.
"""

import argparse
import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, nullcontext
from pathlib import Path


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--run", help="name of the run (default: the newest)")
    source.add_argument("--weights", help="checkpoint file, instead of a run")
    parser.add_argument("--images", help="predict the photos below this folder, or one photo")
    parser.add_argument("--out", help="folder of the results")
    parser.add_argument("--overwrite", action="store_true",
                        help="predict anew what an earlier command has predicted there")
    parser.add_argument("--shard", metavar="i/n", help="predict the i-th of n equal parts only")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="knobs to change")
    return parser.parse_intermixed_args()


if __name__ == "__main__":
    arguments = parse_arguments()  # before torch, which takes seconds to import

import numpy as np
import torch
from tqdm import tqdm

from camera_trapinator import InputError, written_whole
from camera_trapinator.config import Config, parse_config
from camera_trapinator.data.checks import check_maps, check_photos, known_fingerprints
from camera_trapinator.data.loading import PhotoLoader, group_by_shape
from camera_trapinator.data.manifest import (
    Manifest,
    Row,
    assign_sequences,
    location_of,
    read_classes,
    read_manifest,
)
from camera_trapinator.data.memory import checks_of
from camera_trapinator.data.photos import PHOTO_SUFFIXES, find_photos
from camera_trapinator.data.splits import find_leaks, near_duplicates, read_splits
from camera_trapinator.data.strips import describe_strips, strips_for, write_strips
from camera_trapinator.dataset import PredictionDataset
from camera_trapinator.metrics import (
    ConfusionMatrix,
    RegressionErrors,
    build_report,
    build_value_report,
)
from camera_trapinator.model import build_model
from camera_trapinator.networks.prediction import Prediction
from camera_trapinator.networks.weights import fold_norm
from camera_trapinator.outputs.blobs import failure_record, photo_record
from camera_trapinator.outputs.camtrap_dp import Project, read_project, write_camtrap_dp
from camera_trapinator.outputs.coco import write_coco
from camera_trapinator.outputs.drawing import AHEAD, in_threads
from camera_trapinator.outputs.maps import (
    map_record,
    write_map_overlays,
    write_maps,
    write_values_csv,
    write_worst_maps,
)
from camera_trapinator.outputs.masks import write_masks, write_masks_zip
from camera_trapinator.outputs.megadetector import write_megadetector
from camera_trapinator.outputs.model_card import write_model_card
from camera_trapinator.outputs.overlays import write_overlays
from camera_trapinator.outputs.records import (
    RecordFile,
    is_empty,
    join_records,
    presence,
    read_records,
    record_files,
    shard_path,
)
from camera_trapinator.outputs.report import write_report
from camera_trapinator.outputs.sheets import write_worst_sheet
from camera_trapinator.outputs.tables import (
    write_detections_csv,
    write_events_csv,
    write_predictions_csv,
    write_sequences_csv,
    write_table,
)
from camera_trapinator.outputs.xmp import write_xmp
from camera_trapinator.training.checkpoint import load_checkpoint
from camera_trapinator.training.processes import Processes, join_processes, part_processes
from camera_trapinator.training.summary import choose_workers, time_to_predict, time_to_read
from camera_trapinator.utils import (
    ROOT,
    RUNS,
    Precision,
    choose_device,
    choose_precision,
    describe_device,
    enough_memory,
    exit_on_bad_input,
    here_or_below_root,
    next_predict_batch_size,
    only_one,
    seed_everything,
)

TRIAL = 8  # photos that tell how long reading takes
TELL_EACH = 60  # seconds between two lines on the progress, where there is no terminal


def main(arguments: argparse.Namespace) -> None:
    weights = find_weights(arguments)
    checkpoint = load_checkpoint(weights)
    config = parse_config(checkpoint["config"], str(weights), arguments.overrides)
    if not arguments.images:  # scores are taken at the photos' own size
        config = dataclasses.replace(config, mask_size="photo")
    out = results_folder(weights, arguments)
    shard = shard_of(arguments)
    device = choose_device(config.device)
    processes = join_processes(device)
    with only_one(out) if processes.leads and not shard else nullcontext():
        if arguments.images:
            predict_folder(Path(arguments.images), weights, checkpoint, config, out, device,
                           processes, shard, arguments.overwrite)
        else:
            evaluate(weights, checkpoint, config, out, device, processes)
    part_processes()


def shard_of(arguments: argparse.Namespace) -> tuple[int, int] | None:
    """--shard as (number from 1 on, of how many)."""
    if not arguments.shard:
        return None
    number, _, total = arguments.shard.partition("/")
    if not (number.isdecimal() and total.isdecimal() and 1 <= int(number) <= int(total)):
        raise InputError(f"--shard {arguments.shard}: must be i/n with i from 1 to n, such as 2/5")
    if not arguments.images or "TORCHELASTIC_RUN_ID" in os.environ:
        raise InputError("--shard: parts a folder of --images among machines; torchrun parts it "
                         "by itself")
    if arguments.overwrite:
        raise InputError("--shard: other shards may be at work; delete the folder of the results "
                         "yourself, instead of --overwrite")
    return int(number), int(total)


def results_folder(weights: Path, arguments: argparse.Namespace) -> Path:
    if arguments.out:
        return Path(arguments.out)
    if not arguments.images:
        return weights.parent / "test"
    folder = Path(arguments.images)
    folder = folder.parent if folder.is_file() else folder
    return weights.parent / "predict" / folder.resolve().name


def evaluate(weights: Path, checkpoint: dict, config: Config, out: Path, device: torch.device,
             processes: Processes) -> None:
    """Predict the test photos at their own size and compare them with their masks (or maps)."""
    data_root = ROOT / config.data_root
    regression = config.task == "regression"
    manifest = read_manifest(data_root / config.manifest)
    names = [name for name, _ in checkpoint["classes"]]
    if not regression and [name for name, _ in read_classes(data_root / "classes.csv")] != names:
        raise InputError(f"{data_root / 'classes.csv'}: the classes are not those that {weights} "
                         f"was trained on ({', '.join(names)})")
    splits = read_splits(weights.parent / "splits.csv", manifest)
    indices = [index for index, split in enumerate(splits) if split in ("test", "test_seen")]
    if not indices:
        raise InputError(f"{weights.parent / 'splits.csv'}: no photo of the manifest is a test "
                         "photo; set test_fraction, or predict a folder with --images")
    tested = Manifest(manifest[index] for index in indices)
    records_path = out / "predictions.jsonl"
    with processes.first_alone():  # masks and manifest may have changed since the training
        if regression:
            check_maps(tested, data_root, checks_of(data_root, "maps"))
        else:
            check_photos(tested, data_root, len(names), checks_of(data_root))
        strips = strips_for(config.strips, tested, data_root, known=weights.parent / "strips.csv")
        if processes.leads:
            write_strips(out / "strips.csv", strips)
            forget(records_path)  # for the same reason never resumed
    trained = {row.location for row, split in zip(manifest, splits, strict=True)
               if split == "train"}
    seen_only = config.split_by != "location"  # then locations were not kept apart

    def facts(prediction: Prediction, mask: np.ndarray | None) -> dict:
        """What the evaluation adds to a photo's record."""
        row = manifest[prediction.photo.index]
        extra = {"truth": row.mask, "split": splits[prediction.photo.index],
                 "seen": seen_only or row.location in trained}
        if mask is not None and regression:
            errors = RegressionErrors()
            errors.update(prediction.photo.target, prediction.values())
            extra["errors"] = errors.sums.tolist()
        elif mask is not None:
            matrix = ConfusionMatrix(len(names))
            matrix.update(prediction.photo.target, mask)
            extra["confusion"] = matrix.counts.tolist()
        return extra

    dataset = PredictionDataset(manifest, data_root, config.working_scale, indices, "photo",
                                config.target_scale if regression else None, strips)
    project = project_of(config, names, [manifest[index].location for index in indices])
    predict(dataset, records_path, weights, checkpoint, config, device, processes, facts=facts)
    join(records_path, processes)
    write_pictures(records_path, data_root, out, config, processes)
    if not processes.leads:
        return

    note = ("seen locations only: the split kept no location apart, so nothing is known of new ones"
            if seen_only else "")
    fingerprints = known_fingerprints(manifest, data_root, checks_of(data_root, "photos"))
    duplicates = near_duplicates(fingerprints, splits, manifest.column("location"))
    leakage = find_leaks(manifest, splits, config.split_by, bool(config.test_from), duplicates)
    if leakage:
        note = "; ".join([*leakage, "the scores are too good", note]).removesuffix("; ")
    _, records = read_records(records_path)
    report = {
        "weights": weights.name, "run": weights.parent.name, "split_by": config.split_by,
        "note": note,
        "mask_size": "photo",
        **(build_value_report(records) if regression
           else build_report(map(with_presence, records), names)),
    }
    with written_whole(out / "report.json") as path:
        path.write_text(json.dumps(report, indent=2), encoding="utf-8")
    _, records = read_records(records_path)
    if regression:
        write_table(out / "per_location.csv", ["location", "mae", "rmse", "r2", "bias", "images"],
                    ([name, *scores.values()] for name, scores in report["per_location"].items()))
        write_worst_maps(out / "worst.jpg", largest_error_first(records)[:12], data_root,
                         checkpoint["values"], config.quantity, config.target_scale)
    else:
        write_scores(out, report)
        write_worst_sheet(out / "worst.jpg", worst_first(records)[:12], data_root,
                          checkpoint["classes"])
    write_tables(records_path, data_root, out, config, project,
                 f"{weights.parent.name} on its test photos", report)
    if out == weights.parent / "test":
        write_model_card(weights.parent, checkpoint)
    if regression:
        print_value_report(report, config.quantity, out)
    else:
        print_report(report, out)
        warn_if_blind(records_path)


def predict_folder(folder: Path, weights: Path, checkpoint: dict, config: Config, out: Path,
                   device: torch.device, processes: Processes,
                   shard: tuple[int, int] | None = None, overwrite: bool = False) -> None:
    """Predict all photos below a folder; one unreadable photo stops nothing. A `shard` of them, as
    (number from 1 on, of how many), is only predicted; who joins the shards writes the results."""
    if folder.is_file():
        folder, files = folder.parent, [folder.name]
    elif folder.is_dir():
        files = find_photos(folder)
    else:
        raise InputError(f"{folder}: no such folder")
    if not files:
        raise InputError(f"{folder}: no photo in it ({' '.join(PHOTO_SUFFIXES)})")
    name = folder.resolve().name
    places = [location_of(file) for file in files]  # "." = in the folder itself
    manifest = Manifest(Row(file, location=name if place == "." else place)
                        for file, place in zip(files, places, strict=True))
    records_path = out / "predictions.jsonl"
    with processes.first_alone():
        if overwrite and processes.leads:
            forget(records_path)
        strips = strips_for(config.strips, manifest, folder, known=out / "strips.csv")
        write_strips(out / "strips.csv", strips)
    dataset = PredictionDataset(manifest, folder, config.working_scale, strips=strips)
    project = project_of(config, [name for name, _ in checkpoint["classes"]],
                         manifest.column("location"))
    predict(dataset, records_path, weights, checkpoint, config, device, processes, shard)
    if shard:
        print(f"shard {shard[0]} of {shard[1]} is done: {shard_path(records_path, shard)}; "
              "with the files of all shards in one folder, the same command without --shard writes "
              "the results")
        return
    join(records_path, processes)
    write_pictures(records_path, folder, out, config, processes)
    if not processes.leads:
        return
    write_tables(records_path, folder, out, config, project, f"Photos of {name}")
    if config.task == "regression":
        print_value_prediction(records_path, out)
    else:
        warn_if_blind(records_path)
        print_prediction(records_path, out)


def predict(dataset: PredictionDataset, records_path: Path, weights: Path, checkpoint: dict,
            config: Config, device: torch.device, processes: Processes,
            shard: tuple[int, int] | None = None, facts=lambda prediction, mask: {}) -> None:
    """Write the prediction record of each photo, of the shard or of this process's part, that has
    none yet.

    `facts(prediction, mask)` gives further entries for the record; `mask` is None for a failure.
    """
    regression = config.task == "regression"
    precision = choose_precision(device, config.precision)
    seed_everything(config.seed, config.deterministic)
    net = build_model(**checkpoint["model_arguments"])
    net.load_state_dict(checkpoint["model"])
    fold_norm(net)
    net = net.to(device, memory_format=torch.channels_last)
    info = {
        "model": weights.parent.name, "weights": sha256(weights), "mask_size": config.mask_size,
        "smallest_blob": config.smallest_blob, "faint": config.faint,
        "thresholds": checkpoint.get("thresholds"),  # no older checkpoint has them
        "classes": [{"name": name, "colour": colour} for name, colour in checkpoint["classes"]],
    }
    if regression:
        info |= {"quantity": config.quantity, "target_scale": config.target_scale,
                 "values": checkpoint["values"]}
    if config.strips != "none":
        info["strips"] = config.strips
    manifest = dataset.manifest
    number, total = share = shard or (processes.rank + 1, processes.size)
    own = shard_path(records_path, share)
    with only_one(own), RecordFile(records_path, info, share) as records:
        indices = dataset.indices[number - 1::total]
        dataset.indices = np.array([index for index in indices
                                    if manifest[int(index)].image not in records], dtype=int)
        num_workers = plan_workers(config, net, dataset, precision)
        loader = PhotoLoader(dataset, num_workers, device, config.read_timeout,
                             collate_fn=group_by_shape,
                             batch_size=1 if config.tile else config.predict_batch_size)
        print(f"device      {describe_device(device, precision)}")
        if config.strips != "none":
            print(f"strips      {describe_strips(dataset.strips)}")
        if len(dataset) < len(indices):
            print(f"going on    {len(indices) - len(dataset)} of {len(indices)} photos are done")

        def record_of(prediction: Prediction) -> dict:
            photo = prediction.photo
            row = manifest[photo.index]
            known = {"location": row.location, "datetime": photo.datetime}
            if photo.failure is not None:
                mask = None
                record = failure_record(row.image, photo.failure, **known)
            elif regression:
                mask = prediction.values("network")
                record = map_record(row.image, mask, **known, infrared=photo.infrared,
                                    width=photo.width, height=photo.height)
            else:
                mask = prediction.mask(config.mask_size)
                record = photo_record(
                    row.image, mask, prediction.foreground(), prediction.species(), **known,
                    infrared=photo.infrared, width=photo.width, height=photo.height,
                    num_classes=len(info["classes"]), smallest_blob=config.smallest_blob,
                    faint=config.faint)
            return {**record, **facts(prediction, mask)}

        with enough_memory(next_predict_batch_size(config)), closing(net.predict(
                loader, precision.dtype, config.flips, config.tile)) as predictions:
            # While the network sees the next photos, threads look for the animals in its answers.
            # Where these are too large for one tile, only one has room in memory.
            ahead = 0 if config.tile else AHEAD
            found = in_threads(record_of, predictions, ahead)
            for record in with_progress(found, len(dataset), processes.leads):
                records.append(record)


def with_progress(items: Iterator, total: int, shown: bool) -> Iterator:
    """The items, while a bar on the terminal, or a line a minute in a log file, tells how many of
    the `total` there were and how long the others will take."""
    with tqdm(items, total=total, unit="photo", dynamic_ncols=True, leave=False,
              disable=None if shown else True) as bar:
        started = told = time.monotonic()
        for done, item in enumerate(bar, start=1):
            yield item
            now = time.monotonic()
            if bar.disable and shown and now - told > TELL_EACH:
                left = tqdm.format_interval((now - started) * (total - done) / done)
                print(f"{done} of {total} photos, {done / (now - started):.1f} photos/s, {left} "
                      "left", flush=True)
                told = now


def forget(records_path: Path) -> None:
    """Delete the records of an earlier prediction."""
    for path in record_files(records_path):
        path.unlink()


def join(records_path: Path, processes: Processes) -> None:
    """When all processes have predicted their part, the first makes one file of the records."""
    processes.wait()
    if processes.leads:
        with ExitStack() as stack:
            for part in record_files(records_path):
                stack.enter_context(only_one(part))  # no shard may still be at work
            join_records(records_path)
    processes.wait()


def plan_workers(config: Config, net, dataset: PredictionDataset, precision: Precision) -> int:
    """How many processes shall read photos: so many as config.num_workers says; if it is auto, as
    many as keep up with the network, which a few photos tell."""
    if config.num_workers != "auto":
        return int(config.num_workers)
    if len(dataset) < 4 * TRIAL:  # done before a trial, and processes, would pay
        return config.least_workers
    places = range(0, len(dataset), len(dataset) // TRIAL)[:TRIAL]
    images = (image for image, _ in map(dataset.__getitem__, places) if image is not None)
    if (image := next(images, None)) is None:
        return config.least_workers
    size = [min(side, config.tile or side) for side in image.shape[-2:]]
    number = choose_workers(time_to_read(dataset, places),
                            time_to_predict(net, size, precision) * (1 + config.flips),
                            net.mean.device.type)
    return max(number, config.least_workers)


def project_of(config: Config, names: list[str], locations: list[str]) -> Project | None:
    """What the photos do not tell, if Camtrap DP is wanted; refused before any photo is read."""
    if "camtrap_dp" not in config.outputs:
        return None
    return read_project(*(here_or_below_root(path) if path else "" for path in (
        config.deployments_file, config.project_file)), names[1:], locations)


def write_pictures(records_path: Path, photos_root: Path, out: Path, config: Config,
                   processes: Processes) -> None:
    """Write what the knob `outputs` names of files that come one a photo, each process its part."""
    share = processes.rank + 1, processes.size
    regression = config.task == "regression"
    if "masks" in config.outputs and regression:
        write_maps(records_path, out / "maps", share)
    elif "masks" in config.outputs:
        write_masks(records_path, out / "masks", share)
    if "overlays" in config.outputs:
        draw = write_map_overlays if regression else write_overlays
        draw(records_path, photos_root, out / "overlays", share=share)
    if "xmp" in config.outputs:
        write_xmp(records_path, out / "xmp", share)
    processes.wait()


def write_tables(records_path: Path, photos_root: Path, out: Path, config: Config,
                 project: Project | None, title: str, report: dict | None = None) -> None:
    """Write what the knob `outputs` names of files that hold all photos."""
    _, records = read_records(records_path)
    places, times = zip(*[(record["location"], record["datetime"]) for record in records],
                        strict=True)
    sequences = assign_sequences(places, times)
    if config.task == "regression":
        if "csv" in config.outputs:
            write_values_csv(records_path, out / "predictions.csv", sequences)
        return
    if "masks_zip" in config.outputs:
        write_masks_zip(records_path, out / "masks.zip")
    if "csv" in config.outputs:
        write_predictions_csv(records_path, out / "predictions.csv", sequences)
        write_detections_csv(records_path, out / "detections.csv", sequences)
        write_sequences_csv(records_path, out / "sequences.csv", sequences)
        write_events_csv(records_path, out / "events.csv", config.event_minutes)
    if "megadetector" in config.outputs:
        strange = write_megadetector(records_path, out / "megadetector.json")
        if strange:
            print(f"note        {strange} photos do not end in .jpg: Timelapse takes them for "
                  "videos and drops their detections")
    if "coco" in config.outputs:
        write_coco(records_path, out / "coco.json", out / "coco_results.json")
    if "report" in config.outputs:
        write_report(records_path, photos_root, out / "report.html", title, sequences, report)
    if project is not None:
        left_out = write_camtrap_dp(records_path, out / "camtrap_dp", project, sequences)
        if left_out:
            print(f"note        {left_out} photos could not be read and tell no time: they are not "
                  "in camtrap_dp/")


def write_scores(out: Path, report: dict) -> None:
    """The report's tables as CSV: per_class.csv and per_location.csv."""
    classes = report["classes"]
    write_table(out / "per_class.csv", ["class", *next(iter(classes.values()))],
                ([name, *scores.values()] for name, scores in classes.items()))
    places = report["per_location"]
    write_table(out / "per_location.csv", ["location", "mean_iou", "foreground_iou", "images"],
                ([name, *scores.values()] for name, scores in places.items()))


def with_presence(record: dict) -> dict:
    """A record with the classes that are, and that are predicted to be, in the photo."""
    if record["failure"] is not None:
        return record
    truth = [any(row) for row in record["confusion"]]
    return {**record, "present_truth": truth, "present": presence(record, len(truth))}


def worst_first(records: Iterator[dict]) -> list[dict]:
    """The records by the share of wrong pixels, each with its `iou`: the mean over the species
    that are in the photo or predicted in it."""
    scored = []
    for record in records:
        if record["failure"] is None:
            counts = np.array(record["confusion"])
            hits, union = counts.diagonal(), counts.sum(axis=0) + counts.sum(axis=1)
            union = union - hits
            found = np.flatnonzero(union[1:]) + 1
            iou = float((hits[found] / union[found]).mean()) if len(found) else 1.0
            wrong = 1 - hits.sum() / max(1, counts.sum())
            scored.append((-wrong, record["file"], {**record, "iou": iou}))
    return [record for _, _, record in sorted(scored, key=lambda item: item[:2])]


def largest_error_first(records: Iterator[dict]) -> list[dict]:
    """The records of a regression by the root of their mean squared error, each with its `rmse`."""
    scored = [{**record, "rmse": RegressionErrors.of(record["errors"]).rmse()}
              for record in records if record["failure"] is None]
    return sorted((record for record in scored if record["rmse"] is not None),
                  key=lambda record: (-record["rmse"], record["file"]))


def find_weights(arguments: argparse.Namespace) -> Path:
    """The checkpoint that the arguments name, or the best one of the newest run."""
    if arguments.weights:
        return Path(arguments.weights)
    if arguments.run:
        weights = RUNS / arguments.run / "best.pt"
        if not weights.exists():
            raise InputError(f"{weights}: no such checkpoint; runs here: "
                             f"{', '.join(sorted(path.name for path in RUNS.glob('[!.]*')))}")
        return weights
    found = sorted(RUNS.glob("*/best.pt"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise InputError(f"{RUNS}: no run to test; train one with scripts/train.py, or give a "
                         "checkpoint with --weights")
    return found[-1]


def sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def warn_if_blind(records_path: Path) -> None:
    """Say so when next to nothing was found: black masks puzzle people more than any error."""
    _, records = read_records(records_path)
    photos = found = background = pixels = 0
    for record in records:
        if record["failure"] is None:
            photos += 1
            found += not is_empty(record)
            background += record["pixels"][0]
            pixels += sum(record["pixels"])
    if pixels and background > 0.999 * pixels and found < 0.01 * photos:  # animals may be small
        print("warning     more than 99.9 % of all pixels are background: the model sees next to "
              "nothing in these photos. Does it know their species, day and night, their size?")


def print_report(report: dict, out: Path) -> None:
    def score(value: float | None) -> str:
        return "  n/a" if value is None else f"{value:.3f}"

    print(f"\n{'class':<16}  IoU    Dice   precision  recall   pixels")
    for name, row in report["classes"].items():
        print(f"{name:<16}  {score(row['iou'])}  {score(row['dice'])}  {score(row['precision'])}"
              f"      {score(row['recall'])}  {row['support']:>9}")
    for name, row in report["locations"].items():
        print(f"{name + ' locations':<16}  mean IoU {score(row['mean_iou'])}, foreground IoU "
              f"{score(row['foreground_iou'])}, {row['images']} photos")
    if report["note"]:
        print(report["note"])
    print(f"mean IoU {score(report['mean_iou'])} over the species (n/a: not in the test photos), "
          f"foreground IoU {score(report['foreground_iou'])}, pixel accuracy "
          f"{score(report['pixel_accuracy'])}")
    print(f"{report['images']} photos tested, {report['failures']} could not be read; see {out}")


def print_value_report(report: dict, quantity: str, out: Path) -> None:
    print(f"\n{quantity:<18}  MAE      RMSE     R2     bias      photos")
    groups = {"all": report, **{f"{name} locations": row
                                for name, row in report["locations"].items()}, **report["light"]}
    for name, row in groups.items():
        mae, rmse, r2, bias = ("n/a" if row[key] is None else f"{row[key]:.4g}" if key != "r2"
                               else f"{row[key]:.3f}" for key in ("mae", "rmse", "r2", "bias"))
        print(f"{name:<18}  {mae:<7}  {rmse:<7}  {r2:<5}  {bias:<8}  {row['images']}")
    if report["note"]:
        print(report["note"])
    print(f"{report['images']} photos tested, {report['failures']} could not be read; see {out}")


def print_value_prediction(records_path: Path, out: Path) -> None:
    info, records = read_records(records_path)
    ranges, failures = [], 0
    for record in records:
        if record["failure"] is not None:
            failures += 1
            print(f"failure     {record['file']}: {record['failure']}")
        else:
            ranges.append((record["low"], record["high"]))
    lows, highs = zip(*ranges, strict=True) if ranges else ((0,), (0,))
    print(f"{len(ranges) + failures} photos: {info['quantity']} from {min(lows):.4g} to "
          f"{max(highs):.4g}, {failures} could not be read; see {out}")


def print_prediction(records_path: Path, out: Path) -> None:
    _, records = read_records(records_path)
    photos = failures = empty = 0
    for record in records:
        photos += 1
        if record["failure"] is not None:
            failures += 1
            print(f"failure     {record['file']}: {record['failure']}")
            continue
        empty += is_empty(record)
    print(f"{photos} photos: {photos - failures - empty} with animals, {empty} empty, {failures} "
          f"could not be read; see {out}")


if __name__ == "__main__":
    with exit_on_bad_input():
        main(arguments)
