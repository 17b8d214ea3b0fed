"""A short trial before a long training: one batch learned by heart, everything once."""

from torch.utils.data import default_collate

from ..data.loading import Example
from ..dataset import CameraTrapDataset


def whole_batch(dataset: CameraTrapDataset) -> tuple[list, list]:
    """All photos of a small dataset as one batch of training, and the same as one for `predict`.

    (images uint8 (N, 3, H, W), masks uint8 (N, H, W), places (N,)) as a DataLoader gives them, and
    a list of one group as `group_by_shape` gives it. The transform must give one shape.
    """
    images, masks, places = default_collate([dataset[place] for place in range(len(dataset))])
    examples = [Example(int(index), mask, mask.shape[1], mask.shape[0], "", False, None)
                for index, mask in zip(dataset.indices, masks, strict=True)]
    return [images, masks, places], [(images, examples)]
