"""A model alone in a process of its own: the records of its predictions, its times, its memory.

There a runtime may crash without taking the work of the others along, and the memory is that of one
model.
"""

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch

from .. import InputError
from ..data.loading import PhotoLoader, group_by_shape, network_input
from ..data.photos import read_photo
from ..data.progress import named, progress
from ..data.rle import runs_of
from ..data.threads import in_threads
from ..data.workers import plan_workers, time_to_read
from ..dataset import PredictionDataset
from ..metrics import ConfusionMatrix, RegressionErrors
from ..model import load_model
from ..networks.memory import forget_peak, peak_memory
from ..networks.weights import fold_norm
from ..outputs.blobs import encode_classes
from ..outputs.prediction import TRIAL, Knobs, describe_photo
from ..outputs.records import RecordFile, mask_of
from ..utils import choose_precision, spread

TIMED = 20  # photos, spread over all
SECONDS = 30  # after which those that are timed are enough, if they are LEAST or more
LEAST = 3


@dataclass(frozen=True)
class Photos:
    """The photos that models are compared on, and how they are told about."""

    dataset: PredictionDataset  # with masks (maps) at the photo's own size, where there are any
    knobs: Knobs
    info: dict  # first line of the records


class Candidate(NamedTuple):
    """A model that is compared; `open()` gives a SegmentationModel or an ExportedModel."""

    open: Callable[[], Any]  # is sent to another process
    precision: str = "fp32"  # of PyTorch; a file has its own


class Measured(NamedTuple):
    """What a photo takes: milliseconds of the network alone, and with reading it and making its
    mask at its own size; and how many MB of memory the model takes at most, None where the system
    does not tell. Medians."""

    network_ms: float
    photo_ms: float
    memory_mb: float | None


class CrashedError(Exception):
    """A runtime has taken its process along."""


def open_torch(read: Callable[[Path], dict], weights: Path) -> torch.nn.Module:
    """The model of a checkpoint, as scripts/test.py predicts with it on a CPU; `read(weights)` is
    its content."""
    net = load_model(read(weights))
    fold_norm(net)
    return net.to(memory_format=torch.channels_last)


def in_own_process(function: Callable, *arguments: object) -> Any:
    """What a function gives that is called in a new process; what it raises comes up here. Raises
    CrashedError if it does not come back."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(function, *arguments).result()
        except BrokenProcessPool:
            raise CrashedError("its runtime ended the process, or the memory did not suffice"
                               ) from None


def predict_alone(candidate: Candidate, photos: Photos, records: Path, what: str) -> Measured:
    """Write the records of all photos, and measure; to be called in a process of its own.

    `what`: the name that the work is shown under. A record is that of an evaluation, with `network`
    beside it: the runs of the mask before blobs are looked for, as in `rle`; `confusion` and
    `errors` stand there where the photo has a mask (a map).
    """
    with named(what):
        model, measured = measure(candidate, photos)
        _write_records(model, candidate, photos, records, measured.network_ms / 1000)
    return measured


def measure(candidate: Candidate, photos: Photos) -> tuple[Any, Measured]:
    """The opened model, and what it takes for one photo after the other."""
    dataset, scale = photos.dataset, photos.dataset.working_scale
    dtype = choose_precision(torch.device("cpu"), candidate.precision).dtype
    paths = [dataset.data_root / dataset.manifest[int(dataset.indices[place])].image
             for place in spread(len(dataset), TIMED)]
    for path in paths:
        with suppress(InputError):  # what reading takes is not the model's
            read_photo(path, scale)
            break
    forget_peak()
    before = peak_memory(torch.device("cpu"))
    model = candidate.open()
    shapes, alone, whole, start = set(), [], [], time.perf_counter()
    for path in paths:
        if len(alone) >= LEAST and time.perf_counter() - start > SECONDS:
            break
        try:
            photo = read_photo(path, scale)
        except InputError:  # is told when its record is written
            continue
        images = network_input(photo.image)[None]
        if images.shape not in shapes:  # a runtime prepares itself for each
            shapes.add(images.shape)
            next(model.predict([[(images, [photo])]], dtype))
        moments = [time.perf_counter()]
        next(model.predict([[(images, [photo])]], dtype))
        moments.append(time.perf_counter())
        prediction = model.predict(path, dtype)
        prediction.values() if photos.knobs.regression else prediction.mask()
        moments.append(time.perf_counter())
        alone.append(1000 * (moments[1] - moments[0]))
        whole.append(1000 * (moments[2] - moments[1]))
    if not alone:
        raise InputError(f"{dataset.data_root}: none of its photos that were tried can be read, "
                         f"such as {paths[0]}; give others with --photos FOLDER")
    memory = None if before is None else round((peak_memory(torch.device("cpu")) - before) / 1e6, 1)
    return model, Measured(round(median(alone), 2), round(median(whole), 2), memory)


def _write_records(model: Any, candidate: Candidate, photos: Photos, path: Path,
                   seconds: float) -> None:
    """`seconds`: that the network takes for a photo."""
    dataset, knobs = photos.dataset, photos.knobs
    precision = choose_precision(torch.device("cpu"), candidate.precision)
    plan = plan_workers(knobs.num_workers, knobs.least_workers, "cpu", lambda: None if (
        len(dataset) < 4 * TRIAL) else (time_to_read(dataset, range(TRIAL)), seconds))
    loader = PhotoLoader(dataset, plan.number, torch.device("cpu"), knobs.read_timeout,
                         collate_fn=group_by_shape, batch_size=1)

    def record_of(prediction) -> dict:
        row = dataset.manifest[prediction.photo.index]
        record = describe_photo(prediction, row, knobs, photos.info)
        return {**record, **_facts(prediction, record, len(photos.info["classes"]))}

    with (RecordFile(path, photos.info) as records,
          closing(model.predict(loader, precision.dtype)) as predictions):
        for record in progress(in_threads(record_of, predictions), "predicting", len(dataset)):
            records.append(record)


def _facts(prediction, record: dict, num_classes: int) -> dict:
    """What a comparison wants to know besides the record."""
    photo = prediction.photo
    if record["failure"] is not None:
        return {}
    if num_classes == 1:
        errors = RegressionErrors()
        if photo.target is not None:
            errors.update(photo.target, prediction.values())
        return {"errors": errors.sums.tolist()}
    mask = prediction.mask()
    facts = {"network": encode_classes(runs_of(mask), mask.shape)}
    if photo.target is not None:
        matrix = ConfusionMatrix(num_classes)
        matrix.update(photo.target, mask_of(record))  # what is scored is what is told
        facts["confusion"] = matrix.counts.tolist()
    return facts
