"""CameraTrapDataset: from a row of the manifest to an image and a mask.

    dataset = CameraTrapDataset(manifest, data_root, working_scale=640)
    image, mask, index = dataset[0]     # uint8 (3, H, W), uint8 (H, W), int
"""

from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from . import IGNORE, InputError
from .data.cache import Cache
from .data.loading import CHANNELS, Example, network_input
from .data.manifest import BACKGROUND, Manifest, Row
from .data.masks import read_target, resize_mask
from .data.memory import file_stamp
from .data.photos import Photo, is_infrared, read_photo
from .data.strips import NO_STRIPS, Strips, fill_rows, strip_rows
from .transforms import FILL, eval_transform

SIZE_RULE = 1  # raise it when photos or masks are scaled differently, so that caches are made anew


class CameraTrapDataset(Dataset):
    """The photos of a manifest with their masks, at the working scale.

    `indices`: the manifest rows to use (default all), so `dataset[0]` is row `indices[0]`.
    `transform(image, mask)`: `train_transform` with its parameters bound, or `eval_transform`.
    `target_scale`: None = masks of classes; a number = maps for a regression, and what a step of
    a stored number is worth. Then "mask" below is float32, in the quantity's unit, NaN = ignored.
    `strips`: info strips are grey in the image and ignored in the mask. `cache`: keeps photos and
    masks once they are decoded and scaled; a manifest has one, whatever the indices.
    """

    channels = CHANNELS  # of the images that it gives

    def __init__(self, manifest: Manifest, data_root: str | Path, working_scale: int,
                 transform: Callable = eval_transform, indices: Sequence[int] | None = None,
                 target_scale: float | None = None, strips: Strips = NO_STRIPS,
                 cache: Cache | None = None):
        self.manifest, self.data_root = manifest, Path(data_root)
        self.working_scale, self.transform = working_scale, transform
        self.target_scale, self.strips, self.cache = target_scale, strips, cache
        self.ignored = IGNORE if target_scale is None else np.nan
        self.indices = np.arange(len(manifest)) if indices is None else np.asarray(indices)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, draw: int | tuple[int, int]) -> tuple[Tensor, Tensor, int]:
        """Image uint8 (3, H, W), mask uint8 (H, W) and the place in the dataset.

        `draw` is a place, or (place, seed) as `CurriculumSampler` gives it: then all chance in
        the transform comes from that seed. The mask of a photo without label is 255 throughout.
        Raises InputError for files that cannot be read.
        """
        place, seed = draw if isinstance(draw, tuple) else (draw, None)
        index = int(self.indices[place])
        photo, mask = self.load(index)
        image, mask, _ = self.without_strips(self.manifest[index], photo, mask)
        with torch.random.fork_rng(devices=[]):
            if seed is not None:
                torch.default_generator.manual_seed(seed)
            image, mask = self.transform(image, torch.from_numpy(mask))
        return image, mask, place

    def load(self, index: int) -> tuple[Photo, np.ndarray]:
        """The photo of a row of the manifest, and its mask (or map) of the same size."""
        row, key = self.manifest[index], None
        if self.cache:
            key = self._key(row)
            if kept := self.cache.get(index, key):
                (image, mask), facts = kept
                return Photo(image, *facts), mask
        photo = read_photo(self.data_root / row.image, self.working_scale)
        height, width = photo.image.shape[:2]
        mask = read_target(row, self.data_root, height, width, self.target_scale)
        mask = resize_mask(mask, width, height)
        if self.cache:
            self.cache.put(index, key, [photo.image, mask], list(photo[1:]))
        return photo, mask

    def _key(self, row: Row) -> str:
        """Changes when the photo or the mask does, or what becomes of them."""
        stamps = [file_stamp(self.data_root / row.image, "photo")]
        if row.mask not in ("", BACKGROUND):
            stamps.append(file_stamp(self.data_root / row.mask, "mask"))
        rule = SIZE_RULE, self.working_scale, self.target_scale
        return blake2b(repr((rule, row.mask, stamps)).encode(), digest_size=16).hexdigest()

    def without_strips(self, row: Row, photo: Photo, mask: np.ndarray | None = None,
                       ) -> tuple[Tensor, np.ndarray | None, tuple[int, int]]:
        """What the network sees of a photo, uint8 (3, H, W), and the mask, without info strips;
        and how many rows they take at the top and at the bottom."""
        share = self.strips.of(row.location, photo.width, photo.height)
        if sum(share) >= 1:
            raise InputError(f"{self.data_root / row.image}: the photo is {photo.height} pixels "
                             f"high, the info strips {self.strips.rows[0]} and "
                             f"{self.strips.rows[1]}; strips: auto finds them for each location")
        strip = strip_rows(share, photo.height, len(photo.image))
        if mask is not None:
            mask = fill_rows(mask, strip, self.ignored)
        return network_input(fill_rows(photo.image, strip, FILL)), mask, strip


class PredictionDataset(CameraTrapDataset):
    """The photos of a manifest for `SegmentationModel.predict`.

    A photo that cannot be read becomes an Example with its `failure` and never stops a loader.
    `mask_size`: "network" scales the true masks like the photos, "photo" keeps them at the
    photo's own size. Use it with `collate_fn=group_by_shape`.

    At network size, where training is judged, info strips are 255 in the true masks as they are
    in training. At the photo's own size they are not: a test counts what a strip hides.
    """

    def __init__(self, manifest: Manifest, data_root: str | Path, working_scale: int,
                 indices: Sequence[int] | None = None, mask_size: str = "network",
                 target_scale: float | None = None, strips: Strips = NO_STRIPS,
                 cache: Cache | None = None):
        super().__init__(manifest, data_root, working_scale, eval_transform, indices, target_scale,
                         strips, cache)
        self.mask_size = mask_size

    def __getitem__(self, place: int) -> tuple[Tensor | None, Example]:
        """The photo, uint8 (3, H, W) at the working scale (None if unreadable), and its facts."""
        index = int(self.indices[place])
        row = self.manifest[index]
        stamp = self._stamp(row.image)  # it may change while it is read
        try:
            if self.mask_size == "network":
                photo, target = self.load(index)
                image, target, strip = self.without_strips(row, photo, target)
            else:
                photo = read_photo(self.data_root / row.image, self.working_scale)
                image, _, strip = self.without_strips(row, photo)
                width, height = photo.width, photo.height
                target = read_target(row, self.data_root, height, width, self.target_scale)
                target = resize_mask(target, width, height)
        except InputError as error:
            failure = str(error).removeprefix(f"{self.data_root / row.image}: ")
            return None, Example(index, None, 0, 0, row.datetime, False, failure,
                                 made_of=[*stamp, 0.0, 0.0])
        shares = self.strips.of(row.location, photo.width, photo.height)
        return image, Example(
            index, torch.from_numpy(target) if row.mask else None, photo.width, photo.height,
            row.datetime or photo.datetime, is_infrared(photo.image), None, strip,
            [*stamp, *shares])

    def made_of(self, image: str, location: str, width: int | None = None,
                height: int | None = None) -> list:
        """What a prediction of a photo depends on, beside the model and the knobs: size in bytes
        and time of change (nanoseconds) of its file, 0 if it is not there, and the shares of its
        height that info strips take at the top and the bottom, 0 without its `width`."""
        shares = self.strips.of(location, width, height) if width else (0.0, 0.0)
        return [*self._stamp(image), *shares]

    def _stamp(self, image: str) -> tuple[int, int]:
        try:
            return file_stamp(self.data_root / image, "photo")[1:]
        except InputError:
            return 0, 0
