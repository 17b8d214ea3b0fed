"""What a prediction and an evaluation print."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from ..utils import Precision, describe_device
from .records import is_empty, read_records, shard_path

if TYPE_CHECKING:
    import torch


def print_prediction_start(device: "torch.device", precision: Precision, strips: str,
                           done: int, photos: int) -> None:
    """With what it is predicted, what is known of info strips ("" = they were not looked for), and
    how many of the photos are done."""
    print(f"device      {describe_device(device, precision)}")
    if strips:
        print(f"strips      {strips}")
    if done:
        print(f"going on    {done} of {photos} photos are done")


def print_turned(turned: dict[str, int | None], outputs: Collection[str]) -> None:
    """How many photos are stored turned, see `turned_photos`, and what that means for who passes
    over EXIF; and of how many nobody knows."""
    gone = [file for file, orientation in turned.items() if orientation is None]
    found = len(turned) - len(gone)
    if gone:
        print(f"note        {len(gone)} photos can no longer be read, such as {gone[0]}: whether "
              "they are stored turned is not known")
    if found and "upright" not in outputs:
        print(f"note        {found} photos are stored turned; boxes and masks of coco.json are of "
              "the upright ones. For programs that pass over EXIF add upright to outputs")
    elif "upright" in outputs:
        print(f"note        {found} photos are stored turned" + (
            ": upright/ has upright copies of them, and the others" if found else
            "; the photos themselves are upright, there is no need of upright/"))


def print_shard(records_path: Path, shard: tuple[int, int]) -> None:
    """That a shard is done, and what makes the results of all of them."""
    print(f"shard {shard[0]} of {shard[1]} is done: {shard_path(records_path, shard)}; "
          "with the files of all shards in one folder, the same command without --shard writes "
          "the results")


def print_scores(report: dict, records_path: Path, out: Path) -> None:
    """What an evaluation came to, as report.json holds it."""
    info, _ = read_records(records_path)
    if "quantity" in info:
        print_value_report(report, info["quantity"], out)
    else:
        print_report(report, out)
        warn_if_blind(records_path)


def print_found(records_path: Path, out: Path) -> None:
    """What the prediction of a folder came to."""
    info, _ = read_records(records_path)
    if "quantity" in info:
        print_value_prediction(records_path, out)
    else:
        warn_if_blind(records_path)
        print_prediction(records_path, out)


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
    """The scores of each class, and of seen and unseen locations."""
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
    """The errors of a regression, of seen and unseen locations, by day and by night."""
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
    """The range of the predicted numbers, and the photos that could not be read."""
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
    """How many photos have animals, and those that could not be read."""
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
