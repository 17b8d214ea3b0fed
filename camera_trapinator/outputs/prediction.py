"""From photos to prediction records: read, predicted, and written one by one, each only once."""

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset

from ..data.files import sha256
from ..data.loading import PhotoLoader, group_by_shape
from ..data.lock import only_one
from ..data.manifest import Row
from ..data.progress import progress
from ..data.strips import describe_strips
from ..data.threads import AHEAD, in_threads
from ..data.workers import plan_workers, time_to_predict, time_to_read
from ..networks.memory import enough_memory, next_predict_batch_size
from ..utils import Precision, choose_precision, spread
from .blobs import Limits, failure_record, photo_record
from .console import print_prediction_start
from .maps import map_record
from .people import People
from .records import RecordFile, join_records, record_files, shard_path
from .repeats_told import records_to_tell, settle_repeats

# Knobs that a record depends on; photos, weights and precision apart.
SHAPING = ("working_scale", "strips", "tile", "flips", "mask_size", *Limits._fields)
TRIAL = 8  # photos that tell how long reading takes


@dataclass(frozen=True)
class Knobs:
    """The knobs of a prediction, by their names in the config."""

    task: str
    quantity: str
    target_scale: float
    working_scale: int
    strips: str
    precision: str
    num_workers: str
    least_workers: int
    read_timeout: float
    predict_batch_size: int
    tile: int
    flips: bool
    mask_size: str
    smallest_blob: float
    faint: float
    unknown_below: float
    min_confidence: str

    @property
    def regression(self) -> bool:
        return self.task == "regression"

    def info(self, weights: Path, checkpoint: dict, device: torch.device) -> dict:
        """What the records are made with on a device, for their first line; see `RecordFile`.
        Every knob that has a say in what a record holds is in it."""
        # What "auto" comes to.
        precision = choose_precision(device, self.precision)
        thresholds = checkpoint.get("thresholds")
        least = least_confidence(self.min_confidence, thresholds)
        info = {
            "model": weights.parent.name, "weights": sha256(weights),
            **{name: getattr(self, name) for name in SHAPING}, "min_confidence": least,
            "precision": precision.name, "thresholds": thresholds,
            "classes": [{"name": name, "colour": colour} for name, colour in checkpoint["classes"]],
        }
        if self.regression:
            info |= {"quantity": self.quantity, "target_scale": self.target_scale,
                     "values": checkpoint["values"]}
        return info


def least_confidence(min_confidence: str, thresholds: dict | None) -> float:
    """What the knob min_confidence comes to with the thresholds of a checkpoint. Without any, in
    older ones, the mask alone decides."""
    if str(min_confidence) == "auto":
        return (thresholds or {}).get("0.99", 0.0)
    return float(min_confidence)


def predict_photos(net: nn.Module, dataset: Dataset, records_path: Path,
                   info: dict, knobs: Knobs, share: tuple[int, int] = (1, 1),
                   facts: Callable | None = None) -> None:
    """Write the prediction record of each photo of a share that has none yet.

    `net`: a SegmentationModel on its device; `dataset`: a PredictionDataset, from whose `indices`
    are taken those that are done or of other shares; `share`: (number from 1 on, of how many), see
    `shard_path`. `facts(prediction, record)` gives further entries for the record.
    """
    device, manifest = net.mean.device, dataset.manifest
    precision = choose_precision(device, knobs.precision)
    with (only_one(shard_path(records_path, share)),
          RecordFile(records_path, info, share) as records):
        number, total = share
        indices = dataset.indices[number - 1::total]
        dataset.indices = np.array([index for index in indices
                                    if manifest[int(index)].image not in records], dtype=int)
        plan = plan_workers(knobs.num_workers, knobs.least_workers, device.type,
                            lambda: trial(net, dataset, knobs, precision))
        loader = PhotoLoader(dataset, plan.number, device, knobs.read_timeout,
                             collate_fn=group_by_shape,
                             batch_size=1 if knobs.tile else knobs.predict_batch_size)
        strips = "" if knobs.strips == "none" else describe_strips(dataset.strips)
        print_prediction_start(device, precision, strips, len(indices) - len(dataset), len(indices))

        def record_of(prediction) -> dict:
            row = manifest[prediction.photo.index]
            record = describe_photo(prediction, row, knobs, info)
            return {**record, **facts(prediction, record)} if facts else record

        with enough_memory(next_predict_batch_size(knobs)), closing(net.predict(
                loader, precision.dtype, knobs.flips, knobs.tile)) as predictions:
            # While the network sees the next photos, threads look for the animals in its answers.
            # Where these are too large for one tile, only one has room in memory.
            ahead = 0 if knobs.tile else AHEAD
            found = in_threads(record_of, predictions, ahead)
            for record in progress(found, "predicting", len(indices),
                                   initial=len(indices) - len(dataset)):
                records.append(record)


def describe_photo(prediction, row: Row, knobs: Knobs, info: dict) -> dict:
    """The record of a Prediction; `info`: see `Knobs.info`."""
    photo = prediction.photo
    known = {"location": row.location, "datetime": photo.datetime, "made_of": photo.made_of}
    if photo.failure is not None:
        return failure_record(row.image, photo.failure, **known)
    known |= {"infrared": photo.infrared, "width": photo.width, "height": photo.height}
    if knobs.regression:
        return map_record(row.image, prediction.values("network"), **known)
    limits = Limits(**{name: info[name] for name in Limits._fields})
    return photo_record(row.image, prediction.mask(knobs.mask_size), prediction.foreground(),
                        prediction.species(), limits, len(info["classes"]), **known)


def trial(net: nn.Module, dataset: Dataset, knobs: Knobs,
          precision: Precision) -> tuple[float, float] | None:
    """The seconds that a photo takes to be read and to be predicted, which a few photos tell; None
    where there are so few that all are done before a trial, and processes, would pay."""
    if len(dataset) < 4 * TRIAL:
        return None
    places = spread(len(dataset), TRIAL)
    images = (image for image, _ in map(dataset.__getitem__, places) if image is not None)
    if (image := next(images, None)) is None:
        return None
    size = [min(side, knobs.tile or side) for side in image.shape[-2:]]
    return (time_to_read(dataset, places),
            time_to_predict(net, size, precision) * (1 + knobs.flips))


def join_parts(records_path: Path, processes, photos_root: Path, repeats: str,
               people: People) -> Path:
    """When all `processes` (training.Processes) have predicted their part, the first makes one file
    of the records, those of earlier shards too; refused while a shard is still at work. Returns the
    records that everything is written of, as the knob `repeats` wants them. `people` are not to be
    seen in pictures of repeats."""
    processes.wait()
    if processes.leads:
        with ExitStack() as stack:
            for part in record_files(records_path):
                stack.enter_context(only_one(part))
            join_records(records_path)
        settle_repeats(records_path, photos_root, repeats, people)
    processes.wait()
    return records_to_tell(records_path, repeats)
