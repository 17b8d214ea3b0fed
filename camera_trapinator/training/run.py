"""A run: its folder, how far it has come, and what it writes, so that it can be stopped at any time
and goes on to the same bits."""

import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor

from .. import InputError, written_whole
from ..config import Config, config_text, no_longer_so, parse_config, read_text
from ..data.learned import Learned, learned_of
from ..data.lock import only_one
from ..data.progress import duration, progress
from ..data.split_table import write_splits
from ..data.strips import write_strips
from ..metrics import best_epoch
from ..networks.memory import enough_memory, next_predict_batch_size
from ..networks.prediction import Prediction
from ..outputs.curves import write_curves
from ..outputs.model_card import write_model_card
from ..outputs.sheets import write_batch_sheet
from ..utils import RUNS
from .checkpoint import load_checkpoint, save_checkpoint, write_log
from .learner import Learner, Step, leaves_out
from .preparation import Data
from .processes import Processes, restarts
from .provenance import Place, keep_start
from .start import learned_before, warn_of_seen
from .stop import Stop, Stopped
from .summary import describe_scores

# What may change on --resume, because the result does not depend on it.
MACHINE = ("device", "num_workers", "cache", "checkpoint_minutes", "compile", "recompute",
           "read_timeout", "skip_bad_steps", "predict_batch_size", "tile", "flips", "mask_size",
           "smallest_blob", "faint", "unknown_below", "event_minutes", "outputs",
           "repeats", "deployments_file", "project_file", "data_root", "people",
           "people_classes", "people_file", "sensitive_species", "coordinates")
CHECK_EACH = 20  # steps: reading a number makes the CPU wait for a GPU


@contextmanager
def open_run(name: str, config: Config, processes: Processes, *, resume: bool = False,
             overwrite: bool = False, kept: bool = True) -> Iterator["Run"]:
    """The run of this name, new or to go on with, while nobody else may write to its folder; not
    `kept`: one that is gone afterwards. Raises InputError where two runs would be mixed."""
    RUNS.mkdir(parents=True, exist_ok=True)
    if not kept:
        with TemporaryDirectory(prefix=".dry_run_", dir=RUNS) as folder:
            yield Run(Path(folder) / name, config, processes)
        return
    folder = RUNS / name
    with only_one(folder) if processes.leads else nullcontext():
        with processes.first_alone():
            if overwrite and processes.leads and folder.exists():
                shutil.rmtree(folder)
            resume = resume or bool(restarts() and folder.exists())
            state = find_state(folder, config, resume)
        yield Run(folder, config, processes, state)


def find_state(folder: Path, config: Config, resume: bool) -> dict | None:
    """The checkpoint to go on from, or None for a new run. Refuses to mix two runs."""
    there = (folder / "last.pt").exists()  # else it was stopped before its first epoch was over
    if not resume:
        if there or (folder / "best.pt").exists():
            raise InputError(f"{folder}: this run exists; go on with --resume, start another with "
                             "--run NAME, or delete it with --overwrite")
        return None
    if not folder.exists():
        raise InputError(f"{folder}: no such run to resume; start it without --resume")
    if not there:
        return None
    path = folder / "config.yaml"
    text = read_text(path)
    if gone := no_longer_so(text, str(path)):
        raise InputError(f"{path}: the run was started with {gone[0]}, a knob that is gone; end it "
                         "with the version that began it, or start another with --run NAME")
    started = parse_config(text, str(path), stored=True)
    for name in vars(config):
        old, new = getattr(started, name), getattr(config, name)
        if name not in MACHINE and old != new and (name, new) != ("split_by", "auto"):
            further = (f" weights={folder.name}, which learns further from where this one is"
                       if name == "epochs" else "")
            raise InputError(f"{name}: the run was started with {old}, now it is {new}; resume "
                             f"with the same config, or start another run with --run NAME{further}")
    return load_checkpoint(folder / "last.pt")


@dataclass
class Progress:
    """How far a run has come; in the middle of an epoch, too."""

    history: list[dict] = field(default_factory=list)  # the row of log.csv of each whole epoch
    thresholds: dict | None = None  # of the last of them, see metrics.recall_thresholds
    temperature: float = 1.0  # likewise, see metrics.Calibration
    within_epoch: dict = field(default_factory=dict)  # of the next one; empty where it begins:
    # `step` (how many are done), `loss` (their sum), `bad_steps` (left out) and `seconds`


class Run:
    """A run in the `folder` (None: it leaves nothing behind, for tests and measurements); `state`
    is the checkpoint that it goes on from, None at its start.

    While it trains, `steps` (that came before this one) and `time` (in epochs, with the fraction of
    the present one) tell where it is.
    """

    def __init__(self, folder: Path | None, config: Config, processes: Processes | None = None,
                 state: dict | None = None):
        self.folder, self.config, self.state = folder, config, state
        self.processes = processes or Processes()
        self.writes = folder is not None and self.processes.leads
        self.progress = Progress()
        if state is not None:
            self.progress = Progress(state["history"], state["thresholds"],
                                     state.get("temperature", 1.0), state.get("within_epoch", {}))
        self.steps, self.time = 0, 0.0
        self.stop = Stop(config.checkpoint_minutes, self.processes)
        self._next_drawing = 0.0  # curves take a second, an epoch may take less

    @property
    def epoch(self) -> int:
        """The epoch in which it goes on, counted from 0."""
        return len(self.progress.history)

    @property
    def precision(self) -> str:
        """The knob; of a run that goes on the precision in which it began, on any device."""
        return (self.state or {}).get("precision", self.config.precision)

    @property
    def history(self) -> list[dict]:
        """The row of log.csv of each whole epoch."""
        return self.progress.history

    def keep(self, data: Data | None, learner: Learner, optimizer: torch.optim.Optimizer,
             scaler: torch.amp.GradScaler) -> None:
        """Keep these from now on in the run's checkpoints; and give them the state of the one that
        it goes on from."""
        self.data, self.learner, self.optimizer, self.scaler = data, learner, optimizer, scaler
        if self.state is not None:
            learner.net.load_state_dict(self.state.get("training") or self.state["model"])
            if self.config.ema:
                learner.averaged.load_state_dict(self.state["model"])
            optimizer.load_state_dict(self.state["optimizer"])
            scaler.load_state_dict(self.state["scaler"])
        if not leaves_out(optimizer) and not scaler.is_enabled():
            print(f"optimizer   {type(optimizer).__name__} is asked in each step whether the loss "
                  "is a number: a GPU waits for it (with fused=True, where it has that, it does "
                  "not)")
        if not self.writes:
            return
        self.learned = (Learned.of("", self.state) if "learned_from" in (self.state or {})
                        else learned_before(self.config))  # of a new run, or an older one
        if self.config.split_by == "location":
            warn_of_seen(data, self.learned)
        self.learned |= learned_of(data.manifest, data.root, data.train_rows)
        with written_whole(self.folder / "config.yaml") as path:
            path.write_text(config_text(self.config), encoding="utf-8")
        place = Place(learner.device, learner.precision.name, self.processes.size)
        keep_start(self.folder, self.config, place,
                   (self.epoch, self.progress.within_epoch.get("step", 0)))
        write_splits(self.folder / "splits.csv", data.manifest, data.splits, data.made_of,
                     data.checksums)
        write_strips(self.folder / "strips.csv", data.strips)
        if self.history:  # a kill may have come between last.pt and these
            self._publish(self.state)

    # What the training loop asks for --------------------------------------------------------

    def batches(self, loader: Iterable, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The epoch's batches, from where the run was stopped: images uint8 (N, 3, H, W), masks
        uint8 (N, H, W), in a regression float32. After each one the run is saved if it is time."""
        total, sampler = len(loader), loader.batch_sampler
        first = {"step": 0, "loss": 0.0, "bad_steps": 0, "seconds": 0.0,
                 **self.progress.within_epoch}
        start = time.perf_counter() - first["seconds"]
        device = self.learner.device
        self._loss = torch.tensor(first["loss"], device=device)
        self._bad_steps = torch.tensor(first["bad_steps"], device=device)
        self._last_bad = torch.tensor(-1, device=device)  # the step that it was
        sampler.set_epoch(epoch, first["step"])
        shown = progress(loader, f"epoch {epoch + 1}/{self.config.epochs}", total, "batches",
                         first["step"], partial(self._so_far, start, total, sampler.batch_size))
        for step, (images, masks, places) in enumerate(shown, start=first["step"]):
            self._step, self.steps = step, epoch * total + step
            self.time = self.steps / total
            if self.steps == 0 and self.writes:
                rows = self.data.train_rows[np.asarray(places)]
                write_batch_sheet(self.folder / "batch.jpg", images, masks, self.data.classes,
                                  people=self.data.people, there=map(self.data.with_people, rows))
            yield images, masks
            if step % CHECK_EACH == CHECK_EACH - 1:
                self._check(epoch, loader)
            if (due := self.stop.due(step)) or step + 1 == total:
                self._check(epoch, loader)
                self.progress.within_epoch = {
                    "step": step + 1, "loss": float(self._loss),
                    "bad_steps": int(self._bad_steps), "seconds": time.perf_counter() - start}
            if due:
                self.save()
                self.stop.saved()
        done = self.progress.within_epoch
        if done["bad_steps"]:
            print(f"warning     {done['bad_steps']} steps of epoch {epoch + 1} were left out: "
                  "their loss was no finite number")
        self._row = {"epoch": epoch + 1, "lr": self.optimizer.param_groups[0]["lr"],
                     "train_loss": done["loss"] / max(1, total - done["bad_steps"])}
        self._photos = total * sampler.batch_size
        self._speed = self._photos / done["seconds"]
        self._start, self._statistics = start, sampler.statistics()

    def note(self, step: Step) -> None:
        """Add a step to the epoch's sums, on the device."""
        self._loss += step.loss.where(~step.bad, 0)
        self._bad_steps += step.bad
        self._last_bad = torch.where(step.bad, self._step, self._last_bad)

    @contextmanager
    def validation(self) -> Iterator[None]:
        """While the photos of validation are predicted: whoever stops the run then has it saved
        before; the validation begins anew with --resume."""
        self.processes.as_first(self.learner.averaged.buffers())  # each has normalised its own
        try:
            with enough_memory(next_predict_batch_size(self.config)):
                yield
        except Stopped:
            self.save()
            self.stop.leave()

    def predictions(self, found: Iterator[Prediction], loader: Iterable) -> Iterator[Prediction]:
        """The photos of validation and what the network says of them. Raises InputError for one
        that cannot be read, and Stopped, in all processes, when somebody wants the run to stop."""
        with closing(found):
            for prediction in progress(found, "validating",
                                       len(getattr(loader, "dataset", ())) or None):
                if self.stop.asked:
                    break
                if prediction.photo.failure:
                    file = loader.dataset.manifest[prediction.photo.index].image
                    raise InputError(f"{file}: {prediction.photo.failure}")
                yield prediction
        if self.stop.agreed():
            raise Stopped

    def end_epoch(self, scores: dict, reading: dict) -> None:
        """Write a row of log.csv with all `scores`, last.pt, best.pt, curves and card; print a
        line. `reading`: the `thresholds` and the `temperature` of a Progress."""
        self.progress = replace(self.progress, **reading)
        self.history.append({
            **self._row, **scores, "images_per_second": self._speed, "photos": self._photos,
            "seconds": time.perf_counter() - self._start, **self._statistics})
        self.progress.within_epoch = {}
        self.save()
        print(f"epoch {self.epoch}/{self.config.epochs}  train loss {self._row['train_loss']:.3f}  "
              f"val loss {scores['val_loss']:.3f}  {'  '.join(describe_scores(scores))}  "
              f"{self._speed:.0f} images/s")
        self.stop.saved()

    # What it writes -------------------------------------------------------------------------

    def save(self) -> None:
        """Write all that the run is: last.pt; after an epoch best.pt, log.csv, curves, the card."""
        if not self.writes:
            return
        learner, data = self.learner, self.data
        content = {
            "model_arguments": learner.net.arguments, "model": learner.averaged.state_dict(),
            "training": learner.net.state_dict() if self.config.ema else None,
            "optimizer": self.optimizer.state_dict(), "scaler": self.scaler.state_dict(),
            "precision": learner.precision.name, **asdict(self.progress),
            "config": config_text(self.config),
            "classes": [[name, list(colour)] for name, colour in data.classes],
            "values": data.values, "learned_from": self.learned.as_plain(),
        }
        whole_epoch = not self.progress.within_epoch
        if whole_epoch and self.best() is self.history[-1]:
            save_checkpoint(self.folder / "best.pt", content)
        save_checkpoint(self.folder / "last.pt", content)
        if whole_epoch:
            now = time.monotonic()
            draw = now >= self._next_drawing or self.epoch == self.config.epochs
            self._publish(content, draw)
            if draw:  # a tenth of the time will do
                self._next_drawing = time.monotonic() + 10 * (time.monotonic() - now)

    def best(self) -> dict:
        """The row of log.csv of the epoch that best.pt holds."""
        return self.history[best_epoch(self.history, self.config.best_by)]

    def _publish(self, content: dict, curves: bool = True) -> None:
        """Write for people what a checkpoint tells: log.csv, curves.png, the model's card."""
        write_log(self.folder / "log.csv", content["history"])
        if curves:
            write_curves(self.folder / "log.csv", self.folder / "curves.png")
        write_model_card(self.folder, content, self.config.best_by)

    def _so_far(self, start: float, total: int, batch_size: int, done: int) -> str:
        """What stands beside the epoch's bar: loss, speed, the time that all epochs will take, and
        the scores of the epoch before. `start`: when this one began, of whose `total` batches so
        many are `done`."""
        if not done:
            return ""
        seconds = time.perf_counter() - start
        epochs = self.config.epochs - self.epoch  # to be done, this one among them
        whole = seconds * total / done
        if self.history:  # with its validation
            last = self.history[-1]
            whole += last["seconds"] - last["photos"] / last["images_per_second"]
        parts = [f"loss {float(self._loss) / done:.3f}, {done * batch_size / seconds:.0f} images/s",
                 f"run {duration(epochs * whole - seconds)} left"]
        return ", ".join(parts + describe_scores(self.history[-1] if self.history else {}))

    def _check(self, epoch: int, loader: Iterable) -> None:
        """Stop where more steps of the epoch had to be left out than may be; name the photos."""
        bad_steps = int(self._bad_steps)
        if bad_steps <= self.config.skip_bad_steps:
            return
        step, photos, sampler = int(self._last_bad), "", loader.batch_sampler
        if hasattr(loader, "dataset"):
            places = sampler.draws()[0][step * sampler.batch_size:][:sampler.batch_size]
            dataset = loader.dataset
            names = [dataset.manifest[int(dataset.indices[place])].image for place in places]
            photos = (f" The photos of this step: {', '.join(names[:8])}"
                      + (f" and {len(names) - 8} more." if len(names) > 8 else "."))
        raise InputError(
            f"epoch {epoch + 1}, step {step + 1}: the loss or its gradient is no finite number; "
            f"the weights were kept as they were.{photos} Lower learning_rate, set precision: "
            "fp32, or leave out a few such steps of an epoch with skip_bad_steps: "
            f"{bad_steps} and --resume")

