"""Which photos an export is compared on, and which ones calibrate int8."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from .. import InputError
from ..data.manifest import Manifest, read_manifest
from ..data.split_table import read_splits
from ..data.strips import strips_for
from ..dataset import PredictionDataset
from ..outputs.evaluation import Truth, read_truth
from ..outputs.places import photos_below
from ..utils import spread


@dataclass(frozen=True)
class RunPhotos:
    """The photos of a run."""

    weights: Path  # best.pt in its folder
    checkpoint: dict
    data_root: Path
    manifest: str  # name of the table in it
    split_by: str
    strips: str
    working_scale: int
    target_scale: float | None = None  # of a regression

    @cached_property
    def truth(self) -> Truth:
        """The test photos and what is in them. Raises InputError without any."""
        names = [name for name, _ in self.checkpoint["classes"]]
        truth = read_truth(self.data_root, self.manifest, self.weights, self.split_by,
                           names if self.target_scale is None else [], self.checkpoint)
        truth.check()
        return truth

    def compared(self, folder: Path | None, limit: int) -> tuple[PredictionDataset, str]:
        """The photos below a folder, or, without one, the test photos with their masks, as
        scripts/test.py sees them; and which they are, in words. `limit`: so many, spread over all;
        0 = all. Raises InputError where there are none."""
        if folder:
            folder, manifest = photos_below(folder, self.weights.parent)
            rows, what, known = list(range(len(manifest))), "photos of a folder", None
            rows_of_strips = manifest
        else:
            folder, manifest, rows = self.data_root, self.truth.manifest, self.truth.rows
            what, known = "test photos of the run", self.weights.parent / "strips.csv"
            rows_of_strips = self.truth.tested
        chosen = [rows[place] for place in spread(len(rows), limit or len(rows))]
        number = f"{len(chosen)}" if len(chosen) == len(rows) else f"{len(chosen)} of {len(rows)}"
        dataset = PredictionDataset(manifest, folder, self.working_scale, chosen, "photo",
                                    self.target_scale,
                                    strips_for(self.strips, rows_of_strips, folder, known))
        return dataset, f"{number} {what}"

    def training(self) -> PredictionDataset:
        """The photos of the training split; no mask of them is read. Raises InputError without any.
        """
        table, path = read_manifest(self.data_root / self.manifest), self.weights.parent
        if not (path / "splits.csv").is_file():
            raise InputError(f"{path / 'splits.csv'}: no such file; int8 is calibrated with photos "
                             "of the training split: leave it out, with --kinds fp32 fp16")
        splits = read_splits(path / "splits.csv", table)
        rows = [index for index, split in enumerate(splits) if split == "train"]
        if not rows:
            raise InputError(f"{path / 'splits.csv'}: no training photo is in the manifest; int8 "
                             "is calibrated with them: leave it out, with --kinds fp32 fp16")
        strips = strips_for(self.strips, [table[index] for index in rows], self.data_root,
                            path / "strips.csv")
        plain = Manifest(table[index]._replace(mask="") for index in rows)
        return PredictionDataset(plain, self.data_root, self.working_scale, strips=strips)
