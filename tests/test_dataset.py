"""From the manifest to batches: image and mask stay together, and chance is always the same."""

import pickle
from functools import partial

import numpy as np
import pytest
import torch
from coloured_photos import COLOURS, GEOMETRY, PLAIN, STRONG, classes_of, make_folder
from distances import make_distances
from PIL import Image
from torch.utils.data import DataLoader

from camera_trapinator import IGNORE, InputError
from camera_trapinator.data.loading import group_by_shape
from camera_trapinator.data.manifest import Manifest, Row, read_manifest
from camera_trapinator.data.masks import read_mask, write_mask
from camera_trapinator.dataset import CameraTrapDataset, PredictionDataset
from camera_trapinator.training.sampler import CurriculumSampler
from camera_trapinator.transforms import train_transform


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """(data root, manifest), to be read only."""
    root = tmp_path_factory.mktemp("photos")
    return root, make_folder(root)


def train_set(folder, looks=STRONG, working_scale: int = 80) -> CameraTrapDataset:
    root, manifest = folder
    return CameraTrapDataset(manifest, root, working_scale,
                             partial(train_transform, **GEOMETRY, **looks))


def test_photos_and_masks_at_the_working_scale(folder):
    root, manifest = folder
    dataset = CameraTrapDataset(manifest, root, 80)
    assert len(dataset) == len(manifest)
    for place in range(2, len(dataset)):
        image, mask, index = dataset[place]
        assert image.shape == (3, 60, 80) and mask.shape == (60, 80) and index == place
        assert image.dtype == mask.dtype == torch.uint8
        told, sure = classes_of(image)
        assert sure.float().mean() > 0.7 and torch.equal(told[sure], mask[sure])
    assert (dataset[0][1] == IGNORE).all()  # no label
    assert (dataset[1][1] == 0).all()  # `background`
    assert dataset[0][1].shape == dataset[1][1].shape == (60, 80)


def test_masks_may_be_smaller_than_their_photos(folder, tmp_path):
    root, manifest = folder
    photo = Image.open(root / manifest[3].image)
    photo.resize((960, 720), Image.Resampling.NEAREST).save(tmp_path / "photo.png")
    write_mask(tmp_path / "mask.png", read_mask(root / manifest[3].mask), COLOURS)
    for working_scale in (96, 240, 0):
        dataset = CameraTrapDataset(Manifest([Row("photo.png", "mask.png")]), tmp_path,
                                    working_scale)
        image, mask, _ = dataset[0]
        assert mask.shape == image.shape[1:]
        told, sure = classes_of(image)
        assert torch.equal(told[sure], mask[sure])


def test_indices_choose_the_rows(folder):
    root, manifest = folder
    whole = CameraTrapDataset(manifest, root, 80)
    part = CameraTrapDataset(manifest, root, 80, indices=[7, 2])
    assert len(part) == 2
    for place, row in enumerate((7, 2)):
        image, mask, index = part[place]
        assert index == place
        assert torch.equal(image, whole[row][0]) and torch.equal(mask, whole[row][1])


def test_unreadable_photos_are_named(folder):
    root, _ = folder
    dataset = CameraTrapDataset(Manifest([Row("none.jpg")]), root, 80)
    with pytest.raises(InputError, match=r"none.jpg: cannot be read .*no such file"):
        dataset[0]


def test_a_draw_depends_on_its_seed_only(folder):
    dataset = train_set(folder)
    torch.manual_seed(1)
    image, mask, index = dataset[(4, 77)]
    state = torch.get_rng_state()
    again, mask_again, _ = dataset[(4, 77)]
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    dataset[(5, 3)]
    third, mask_third, _ = dataset[(4, 77)]
    assert torch.equal(image, again) and torch.equal(image, third)
    assert torch.equal(mask, mask_again) and torch.equal(mask, mask_third) and index == 4
    assert torch.rand(()) == torch.rand((), generator=torch.Generator().manual_seed(2))


def test_a_photo_drawn_twice_is_augmented_in_two_ways(folder):
    dataset = train_set(folder)
    images = [dataset[(4, seed)][0] for seed in (1, 2, 2**63 - 1)]
    assert not torch.equal(images[0], images[1]) and not torch.equal(images[1], images[2])
    plain = train_set(folder, PLAIN)
    assert not torch.equal(plain[(4, 1)][1], plain[(4, 2)][1])  # another crop, not light alone


def batches_of(folder, num_workers: int, epochs: int, batch_size: int = 3) -> list[list]:
    """All batches of some epochs, as train.py loads them."""
    dataset = train_set(folder)
    sampler = CurriculumSampler(len(dataset), batch_size, seed=5)
    loader = DataLoader(dataset, batch_sampler=sampler, num_workers=num_workers,
                        persistent_workers=num_workers > 0, generator=torch.Generator())
    found = []
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        found.append([[tensor.clone() for tensor in batch] for batch in loader])
    return found


def test_batches_are_the_same_for_any_number_of_workers(folder):
    torch.manual_seed(0)
    expected = batches_of(folder, 0, 2)
    assert [len(epoch) for epoch in expected] == [3, 3]
    assert not torch.equal(expected[0][0][0], expected[1][0][0])
    for num_workers in (1, 2):
        torch.manual_seed(num_workers)
        found = batches_of(folder, num_workers, 2)
        for one_epoch, same_epoch in zip(found, expected, strict=True):
            for one, same in zip(one_epoch, same_epoch, strict=True):
                assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))


def test_dataset_works_in_spawned_workers(folder):
    """As on Windows and macOS, where everything is pickled."""
    dataset = train_set(folder)
    restored = pickle.loads(pickle.dumps(dataset))
    assert torch.equal(restored[(3, 9)][0], dataset[(3, 9)][0])
    sampler = CurriculumSampler(10, 3, 1)
    sampler.set_epoch(4)
    loader = DataLoader(dataset, batch_sampler=sampler, num_workers=1,
                        multiprocessing_context="spawn")
    batches = [batch[2].tolist() for batch in loader]
    assert batches == [[index for index, _ in batch] for batch in sampler]


@pytest.fixture
def own_folder(tmp_path):
    """(data root, rows), to be damaged."""
    return tmp_path / "data", list(make_folder(tmp_path / "data", 5, (64, 48)))


# --------------------------------------------------------------------------- to predict with


def test_prediction_dataset_gives_photos_and_facts(folder):
    root, manifest = folder
    plain = CameraTrapDataset(manifest, root, 80)
    dataset = PredictionDataset(manifest, root, 80, indices=[5, 0, 1])
    for place, row in enumerate((5, 0, 1)):
        image, example = dataset[place]
        assert torch.equal(image, plain[row][0])
        assert (example.index, example.width, example.height) == (row, 96, 72)
        assert example.datetime == "2024-05-01 10:00:00" and example.failure is None
        assert example.infrared is False
    assert torch.equal(dataset[0][1].target, plain[5][1])
    assert dataset[1][1].target is None  # no label, so nothing to compare with
    assert dataset[2][1].target.shape == (60, 80) and not dataset[2][1].target.any()


def test_true_masks_at_the_photos_own_size(folder):
    root, manifest = folder
    dataset = PredictionDataset(manifest, root, 80, mask_size="photo")
    image, example = dataset[5]
    assert image.shape == (3, 60, 80)
    assert np.array_equal(example.target, read_mask(root / manifest[5].mask))
    assert dataset[1][1].target.shape == (72, 96)


def test_datetime_and_infrared_come_from_the_photo(tmp_path):
    exif = Image.Exif()
    exif[306] = "2022:02:03 04:05:06"
    Image.new("L", (40, 30), 90).save(tmp_path / "night.jpg", exif=exif)
    rows = [Row("night.jpg"), Row("night.jpg", datetime="2023-01-01 00:00:00")]
    dataset = PredictionDataset(Manifest(rows), tmp_path, 0)
    assert [dataset[n][1].datetime for n in (0, 1)] == ["2022-02-03 04:05:06",
                                                       "2023-01-01 00:00:00"]
    assert dataset[0][1].infrared is True


def test_unreadable_photos_become_failures_and_nothing_is_lost(own_folder):
    root, rows = own_folder
    (root / "damaged.jpg").write_text("no photo")
    Image.new("RGB", (72, 96)).save(root / "tall.png")
    rows[4:4] = [Row("damaged.jpg", datetime="2024-01-01 00:00:00"), Row("tall.png")]
    rows += [Row("none.jpg"), Row("tall.png")]
    for num_workers in (0, 2):
        loader = DataLoader(PredictionDataset(Manifest(rows), root, 80), batch_size=6,
                            collate_fn=group_by_shape, num_workers=num_workers)
        found = {}
        for batch in loader:
            assert len({None if images is None else images.shape for images, _ in batch}) == len(
                batch)
            for images, examples in batch:
                if images is not None:
                    assert images.dtype == torch.uint8 and len(images) == len(examples)
                for place, example in enumerate(examples):
                    assert example.index not in found
                    found[example.index] = None if images is None else images[place], example
        assert set(found) == set(range(len(rows)))
        single = PredictionDataset(Manifest(rows), root, 80)
        for index, (image, example) in found.items():
            if rows[index].image in ("damaged.jpg", "none.jpg"):
                assert image is None and example.width == 0 and example.target is None
                assert example.failure and str(root) not in example.failure
            else:
                assert example.failure is None
                assert torch.equal(image, single[index][0])
        assert found[4][1].datetime == "2024-01-01 00:00:00"
        assert "no such file" in found[len(rows) - 2][1].failure


def test_the_dataset_gives_numbers_in_their_unit(tmp_path):
    distances = make_distances(tmp_path, locations=1, photos=1)
    manifest = read_manifest(distances / "distance.csv")
    image, values, _ = CameraTrapDataset(manifest, distances, 32, target_scale=0.01)[0]
    stored = np.array(Image.open(distances / manifest[0].mask)).astype(np.float64)
    stored[stored == 65535] = np.nan
    # At half the size each pixel is one of its four, never a mean.
    blocks = stored.reshape(24, 2, 32, 2).transpose(0, 2, 1, 3).reshape(24, 32, 4) / 100
    assert image.shape == (3, 24, 32) and values.dtype == torch.float32
    same = np.isclose(blocks, values.numpy()[..., None], equal_nan=True)
    assert same.any(axis=-1).all() and values[-1].isnan().all()
    empty, zero = Row(manifest[0].image), Row(manifest[0].image, "background")
    assert CameraTrapDataset([empty], distances, 32, target_scale=1.0)[0][1].isnan().all()
    assert (CameraTrapDataset([zero], distances, 32, target_scale=1.0)[0][1] == 0).all()
