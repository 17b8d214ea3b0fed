"""A short trial before a long training: --overfit-one-batch, --dry-run. A real run is tried by
nothing: `Trial` itself."""

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain, islice

from torch.utils.data import default_collate

from ..config import Config
from ..data.loading import Example, PhotoLoader
from ..data.workers import time_to_read
from ..dataset import CameraTrapDataset, PredictionDataset
from ..model import load_model
from ..networks.memory import peak_memory
from ..transforms import zoom_and_crop
from .checkpoint import load_checkpoint
from .run import Run
from .sampler import CurriculumSampler
from .summary import describe_costs, describe_levels, describe_scores, describe_steps

OVERFIT_STEPS = 20  # of an epoch that sees one batch again and again
DRY_BATCHES = 2  # of training and of validation


class Batches(list):
    """Batches in memory that stand for a loader; `batch_sampler` as a loader has it."""

    def __init__(self, batches: Sequence, batch_sampler: CurriculumSampler | None = None):
        super().__init__(batches)
        self.batch_sampler = batch_sampler


class Trial:
    """What a trial changes of a training, and what it tells in the end: of a real one nothing, and
    the best epoch."""

    kept = True  # whether its folder stays

    def name(self, given: str | None, default: str) -> str:
        """The run's, from what the person gave."""
        return given or default

    def config(self, config: Config) -> Config:
        return config

    def most(self, config: Config) -> dict[str, int] | None:
        """So many photos of each split, see `read_data`."""
        return None

    def transform(self, transform: Callable, config: Config) -> Callable:
        return transform

    def loaders(self, train_loader: PhotoLoader, val_loader: PhotoLoader, config: Config,
                ) -> tuple[PhotoLoader, PhotoLoader]:
        return train_loader, val_loader

    def steps(self, config: Config, steps: int) -> str:
        """How often the weights change, for people; `steps`: those of an epoch."""
        return describe_steps(steps, config.epochs)

    def tell(self, run: Run) -> None:
        """Print what came of it."""
        best = run.best()
        print(f"best        epoch {best['epoch']}, {', '.join(describe_scores(best))} on the "
              "validation photos at network size")
        print(f"next        python scripts/test.py --run {run.folder.name}")


class OverfitOneBatch(Trial):
    """Learn one batch by heart, without augmentation: it must succeed if model, criterion and data
    fit together."""

    def name(self, given: str | None, default: str) -> str:
        return given or f"{default}_overfit"  # that of the real run stays free

    def config(self, config: Config) -> Config:
        # Mirrored photos would be new to the network. It takes a minute: nothing to go on with.
        return dataclasses.replace(config, flips=False, checkpoint_minutes=0)

    def most(self, config: Config) -> dict[str, int]:
        return {"train": config.batch_size, "val": 0}

    def transform(self, transform: Callable, config: Config) -> Callable:
        return partial(zoom_and_crop, crop_size=config.crop_size, zoom=1.0, centred=True)

    def loaders(self, train_loader: PhotoLoader, val_loader: PhotoLoader, config: Config,
                ) -> tuple[Batches, Batches]:
        batch, group = whole_batch(train_loader.dataset)
        return Batches([batch] * OVERFIT_STEPS, train_loader.batch_sampler), Batches([group])

    def steps(self, config: Config, steps: int) -> str:
        return describe_steps(OVERFIT_STEPS, config.epochs)

    def tell(self, run: Run) -> None:
        print(f"verdict     {verdict(run.history, len(run.data.train_rows))}")


class DryRun(Trial):
    """Two batches of everything, and what it costs; makes no run."""

    kept = False

    def config(self, config: Config) -> Config:
        # Every photo is read once. In memory the second epoch tells how fast the network alone is.
        self.epochs = config.epochs
        return dataclasses.replace(config, cache="none", epochs=2, checkpoint_minutes=0)

    def loaders(self, train_loader: PhotoLoader, val_loader: PhotoLoader, config: Config,
                ) -> tuple[Batches, Batches]:
        train_set: CameraTrapDataset = train_loader.dataset
        val_set: PredictionDataset = val_loader.dataset
        sampler = train_loader.batch_sampler
        self.costs = partial(  # of a real epoch
            describe_costs, steps=len(train_loader), photos=len(val_set), epochs=self.epochs,
            reading=[time_to_read(train_set, first_draws(sampler)),
                     time_to_read(val_set, range(len(val_set))[:config.predict_batch_size])],
            num_workers=train_loader.num_workers)
        self.batch, self.groups = (list(islice(loader, DRY_BATCHES))
                                   for loader in (train_loader, val_loader))
        return Batches(self.batch, sampler), Batches(self.groups)

    def steps(self, config: Config, steps: int) -> str:
        return describe_steps(steps, self.epochs)  # of a real training

    def tell(self, run: Run) -> None:
        saved = load_checkpoint(run.folder / "last.pt", run.learner.device)
        again = load_model(saved)  # what was written can be read again
        run.optimizer.load_state_dict(saved["optimizer"])
        print(describe_levels(again, run.config.crop_size, self.groups[0][0][0].shape[-2:]))
        print(self.costs(run.history[-1], batch=len(self.batch[0][0]), dry_steps=DRY_BATCHES,
                         dry_photos=sum(len(group) for batch in self.groups for _, group in batch),
                         peak=peak_memory(run.learner.device)))


def first_draws(sampler: CurriculumSampler) -> list[tuple[int, int]]:
    """The draws of the first batches, to see how long reading takes."""
    return list(chain(*islice(sampler, DRY_BATCHES)))


def whole_batch(dataset: CameraTrapDataset) -> tuple[list, list]:
    """All photos of a small dataset as one batch of training, and the same as one for `predict`.

    (images uint8 (N, 3, H, W), masks uint8 (N, H, W), places (N,)) as a DataLoader gives them, and
    a list of one group as `group_by_shape` gives it. The transform must give one shape.
    """
    images, masks, places = default_collate([dataset[place] for place in range(len(dataset))])
    examples = [Example(int(index), mask, mask.shape[1], mask.shape[0], "", False, None)
                for index, mask in zip(dataset.indices, masks, strict=True)]
    return [images, masks, places], [(images, examples)]


def verdict(history: list[dict], photos: int) -> str:
    """Whether the network has learned one batch by heart: by IoU, or, where there is none, loss."""
    first, last = history[0]["train_loss"], history[-1]["train_loss"]
    score = history[-1].get("mean_iou")
    facts = (f"training loss {first:.3f} -> {last:.3f}, {', '.join(describe_scores(history[-1]))} "
             f"on the same {photos} photos")
    learned = last < 0.1 * first if score is None else score > 0.9
    if learned:
        return f"good: it learns them by heart; {facts}"
    aim = "a tenth of the loss" if score is None else "mean IoU above 0.9"
    return (f"not yet: it does not learn them by heart ({aim}); {facts}. More epochs? Another "
            "learning_rate? Are the masks right (scripts/check_data.py)?")
