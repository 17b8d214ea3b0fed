"""Easy photos first: how hard each training photo is, from the manifest, the photo, or a run."""

from contextlib import closing

import numpy as np
import torch

from .. import InputError
from ..config import Config
from ..data.loading import PhotoLoader, group_by_shape
from ..data.memory import checks_of
from ..data.progress import progress
from ..dataset import PredictionDataset
from ..loss import build_criterion
from ..model import load_model
from ..outputs.sheets import write_difficulty_sheet
from ..utils import Precision
from .checkpoint import load_checkpoint, weights_file
from .difficulty import (
    photo_difficulties,
    read_difficulty,
    scaled_ranks,
    spread_empty,
    write_difficulty,
)
from .preparation import Data, class_weights
from .processes import Processes
from .run import Run
from .sampler import NEVER, CurriculumSampler


def find_difficulty(config: Config, data: Data, run: Run, device: torch.device,
                    precision: Precision) -> np.ndarray | None:
    """How hard each training photo is, float64 (photos,), 0 easy .. 1 hard; None without a
    curriculum. A resumed run knows it."""
    if config.start_fraction == 1:
        return None
    processes: Processes = run.processes
    with processes.first_alone():
        difficulty = (_judge(config, data, device, precision) if run.state is None else
                      read_difficulty(run.folder / "difficulty.csv",
                                      [data.manifest[row].image for row in data.train_rows]))
    processes.as_first([torch.from_numpy(difficulty)])
    return difficulty


def _judge(config: Config, data: Data, device: torch.device, precision: Precision) -> np.ndarray:
    """What the manifest says, or else what the photo, or an earlier run, tells."""
    given = np.array([float(data.manifest[row].difficulty or "nan") for row in data.train_rows])
    open_rows = data.train_rows[np.isnan(given)]
    empty = ~data.shares[open_rows, 1:].any(axis=1)
    if config.difficulty == "photo":
        found = photo_difficulties(data.manifest, open_rows, data.root,
                                   checks_of(data.root, "difficulty"), data.strips)
    else:
        found = losses_of(config, data, open_rows, device, precision)
        found[~empty] = scaled_ranks(found[~empty])
    given[np.isnan(given)] = spread_empty(found, empty)
    return given


def losses_of(config: Config, data: Data, rows: np.ndarray, device: torch.device,
              precision: Precision) -> np.ndarray:
    """The mean loss of each photo under the weights of an earlier run, whole and not augmented."""
    path = weights_file(config.difficulty)
    other = load_checkpoint(path)
    known = [name for name, _ in other["classes"]]
    if data.names != known:
        raise InputError(f"difficulty: {path} has the classes {', '.join(known)}, classes.csv "
                         f"{', '.join(data.names)}; name another run, or set difficulty: photo")
    with torch.random.fork_rng(devices=[]):  # its first weights are drawn, and then not used
        net = load_model(other)
    net = net.to(device, memory_format=torch.channels_last)
    criterion = build_criterion(config.loss, class_weights(config, data)).to(device)
    photos = PredictionDataset(data.manifest, data.root, net.working_scale, rows,
                               strips=data.strips)
    loader = PhotoLoader(photos, config.least_workers, device, config.read_timeout,
                         batch_size=config.predict_batch_size, collate_fn=group_by_shape)
    losses = {}  # by row: photos of several shapes come in another order
    with torch.no_grad(), closing(net.predict(loader, precision.dtype, config.flips,
                                              config.tile)) as found:
        for prediction in progress(found, "difficulty", len(rows)):
            index, failure = prediction.photo.index, prediction.photo.failure
            if failure:
                raise InputError(f"{data.manifest[index].image}: {failure}")
            total, weight = criterion.sums(prediction.logits[None],
                                           prediction.photo.target[None].to(device))
            losses[index] = float((total / weight).sum())
    return np.array([losses[row] for row in rows.tolist()])


def show_difficulty(run: Run, difficulty: np.ndarray, sampler: CurriculumSampler) -> None:
    """Write difficulty.csv and difficulty.jpg, 24 photos from the easiest to the hardest; and a
    line on when which come."""
    print(f"curriculum  {(sampler.entry == 0).sum()} photos in epoch 1, all from epoch "
          f"{run.config.curriculum_epochs + 1} on; see difficulty.jpg in the run")
    if not run.writes:
        return
    folder, data = run.folder, run.data
    entry = ["" if epoch == NEVER else epoch + 1 for epoch in sampler.entry.tolist()]
    write_difficulty(folder / "difficulty.csv",
                     [data.manifest[row].image for row in data.train_rows], difficulty, entry)
    order = np.argsort(difficulty, kind="stable")
    places = np.unique(np.linspace(0, len(order) - 1, 24).round().astype(int))
    chosen = []
    for place in order[places]:
        row, epoch = data.manifest[data.train_rows[place]], entry[place]
        chosen.append((row.image, row.mask, difficulty[place],
                       f"from epoch {epoch} on" if epoch else "never drawn"))
    there = [data.with_people(data.train_rows[place]) for place in order[places]]
    write_difficulty_sheet(folder / "difficulty.jpg", data.root, chosen, data.classes,
                           data.people, there)
