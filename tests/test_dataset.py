"""From the manifest to batches: image and mask stay together, and chance is always the same."""

import os
import pickle
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.transforms.v2 import functional as vision

from camera_trapinator import IGNORE, InputError
from camera_trapinator.data import checks
from camera_trapinator.data.checks import check_photos
from camera_trapinator.data.loading import group_by_shape
from camera_trapinator.data.manifest import Manifest, Row
from camera_trapinator.data.masks import read_mask, resize_mask, write_mask
from camera_trapinator.dataset import CameraTrapDataset, PredictionDataset
from camera_trapinator.training.sampler import CurriculumSampler
from camera_trapinator.transforms import FILL, eval_transform, train_transform, zoom_and_crop

# The colour of a photo tells the class, far from the grey of the margin.
COLOURS = [(20, 20, 40), (230, 40, 30), (40, 220, 60)]
PLAIN = {"brightness": 0.0, "contrast": 0.0, "colour": 0.0, "grayscale": 0.0, "noise": 0.0,
         "blur": 0.0}
STRONG = {"brightness": 0.4, "contrast": 0.4, "colour": 0.4, "grayscale": 0.3, "noise": 8.0,
          "blur": 0.5}
GEOMETRY = {"crop_size": (48, 64), "scale_range": (0.7, 1.4), "animal_crops": 0.3, "flip": 0.5}


def draw_mask(width: int, height: int, seed: int) -> np.ndarray:
    """Classes 0, 1 and 2 in large blocks, without symmetry."""
    blocks = np.random.default_rng(seed).integers(0, 3, (4, 5), dtype=np.uint8)
    return resize_mask(blocks, width, height)


def coloured_photo(mask: np.ndarray) -> torch.Tensor:
    """The photo, uint8 (3, H, W), whose colours tell the mask."""
    return torch.from_numpy(np.array(COLOURS, np.uint8)[mask].transpose(2, 0, 1).copy())


def classes_of(image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The class (255 for the margin) that the colour of each pixel tells, and where it is sure."""
    table = torch.tensor([*COLOURS, (FILL, FILL, FILL)])
    distance = (image[None].int() - table[:, :, None, None]).abs().amax(dim=1)
    nearest = distance.argmin(dim=0)
    return torch.where(nearest == 3, IGNORE, nearest).to(torch.uint8), distance.amin(dim=0) <= 12


def make_folder(root: Path, count: int = 11, size: tuple[int, int] = (96, 72)) -> Manifest:
    """A folder of photos whose colours tell their masks; the first two without a mask file."""
    rows = []
    for number in range(count):
        mask = draw_mask(*size, number)
        file = f"site{number % 3}/{number}.png"
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(coloured_photo(mask).numpy().transpose(1, 2, 0)).save(root / file)
        write_mask(root / f"masks/{number}.png", mask, COLOURS)
        rows.append(Row(file, {0: "", 1: "background"}.get(number, f"masks/{number}.png"),
                        f"site{number % 3}", "2024-05-01 10:00:00"))
    return Manifest(rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """(data root, manifest), to be read only."""
    root = tmp_path_factory.mktemp("photos")
    return root, make_folder(root)


def train_set(folder, looks=STRONG, working_scale: int = 80) -> CameraTrapDataset:
    root, manifest = folder
    return CameraTrapDataset(manifest, root, working_scale,
                             partial(train_transform, **GEOMETRY, **looks))


# ------------------------------------------------------------------------------- transforms


@pytest.mark.parametrize("size", [(200, 150), (66, 50), (30, 200), (40, 30), (64, 48)])
def test_image_and_mask_stay_together(size):
    mask = draw_mask(*size, 0)
    image = coloured_photo(mask)
    flipped = 0
    for seed in range(12):
        torch.manual_seed(seed)
        cropped, cropped_mask = train_transform(image, torch.from_numpy(mask), **GEOMETRY, **PLAIN)
        assert cropped.shape == (3, 48, 64) and cropped_mask.shape == (48, 64)
        assert cropped.dtype == cropped_mask.dtype == torch.uint8
        told, sure = classes_of(cropped)
        assert sure.float().mean() > 0.5  # all but the blended borders
        assert torch.equal(told[sure], cropped_mask[sure])
        flipped += not torch.equal(told, told.flip(-1))
    assert flipped > 0


@pytest.mark.parametrize("crop_size", [(48, 64), (64, 48), (33, 17)])
@pytest.mark.parametrize("zoom", [0.5, 0.7, 0.99, 1.0, 1.37, 3.0])
def test_crops_are_exact_and_margins_ignored(crop_size, zoom):
    random = np.random.default_rng(0)
    for _ in range(20):
        height, width = (int(side) for side in random.integers(5, 120, 2))
        image = torch.full((3, height, width), 255, dtype=torch.uint8)
        mask = torch.ones(height, width, dtype=torch.uint8)
        cropped, cropped_mask = zoom_and_crop(image, mask, crop_size, zoom)
        assert cropped.shape == (3, *crop_size) and cropped_mask.shape == crop_size
        assert set(cropped_mask.unique().tolist()) <= {1, IGNORE}
        rows, columns = np.nonzero((cropped_mask == 1).numpy())
        # As much of the photo as there is room for, in one piece, at the wanted zoom.
        for side, found, room in ((height, rows, crop_size[0]), (width, columns, crop_size[1])):
            assert len(rows) and abs(np.ptp(found) + 1 - min(room, side * zoom)) <= 1 + zoom
        assert len(rows) == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
        margin = cropped_mask == IGNORE
        if zoom == 1:
            assert (cropped[:, margin] == FILL).all()


@pytest.mark.parametrize("zoom", [0.5, 1.0, 1.37])
def test_crops_are_laid_where_an_animal_is_as_often_as_asked(zoom):
    """One animal of 2 x 3 pixels in a photo of 200 x 300: a crop anywhere hardly ever holds it."""
    image = torch.zeros(3, 200, 300, dtype=torch.uint8)
    mask = torch.zeros(200, 300, dtype=torch.uint8)
    mask[0, :] = IGNORE  # no animal
    for top, left in ((57, 211), (1, 0), (198, 297)):
        mask[1:] = 0
        mask[top:top + 2, left:left + 3] = 2
        held = {0.0: 0, 0.5: 0, 1.0: 0}
        corners = set()
        for share in held:
            for seed in range(100):
                torch.manual_seed(seed)
                _, cropped = zoom_and_crop(image, mask, (32, 40), zoom, share)
                held[share] += bool((cropped == 2).any())
                if share == 1 and zoom == 1:
                    rows, columns = (cropped == 2).nonzero().T
                    corners.add((int(rows[0]), int(columns[0])))
                    assert not len(rows) or (cropped != IGNORE).all() or top == 1
        # At zoom 0.5 a single row or column at the edge of the crop can get lost.
        assert held[0.0] < 15 and 30 < held[0.5] < 70, held
        assert held[1.0] == 100 or (zoom < 1 and held[1.0] > 60), held
        if zoom == 1 and top == 57:
            assert len(corners) > 70  # anywhere in the crop, not in its middle
    _, cropped = zoom_and_crop(image, torch.zeros_like(mask), (32, 40), zoom, 1.0)
    assert cropped.shape == (32, 40)  # an empty photo has no animal to look for


def test_places_and_zooms_vary_over_their_whole_range():
    height, width = 30, 40
    coordinates = torch.arange(height)[:, None].expand(height, width).to(torch.uint8)
    tops, sides, flips = set(), set(), 0
    for seed in range(300):
        torch.manual_seed(seed)
        _, mask = zoom_and_crop(torch.zeros(3, height, width, dtype=torch.uint8), coordinates,
                                (10, 10), 1.0)
        tops.add(int(mask[0, 0]))
        gradient = torch.arange(width).to(torch.uint8).expand(3, height, width)
        image, _ = train_transform(gradient, coordinates, crop_size=(10, 10),
                                   scale_range=(0.5, 2.0), animal_crops=0.0,
                                   flip=0.5, **PLAIN)
        sides.add(round(abs(int(image[0, 0, 8]) - int(image[0, 0, 1])) / 7, 1))
        flips += int(image[0, 0, 8]) < int(image[0, 0, 1])
    assert tops == set(range(21))  # both ends too
    assert min(sides) <= 0.6 and max(sides) >= 1.8  # source pixels for each pixel of the crop
    assert 110 < flips < 190


def test_colours_change_in_the_image_only():
    mask = torch.from_numpy(draw_mask(64, 48, 3))
    image = coloured_photo(mask.numpy())
    still = {"crop_size": (48, 64), "scale_range": (1.0, 1.0), "animal_crops": 0.0, "flip": 0.0}
    same, _ = train_transform(image, mask, **still, **PLAIN)
    assert torch.equal(same, image)
    for name, value in STRONG.items():
        value = 1.0 if name in ("grayscale", "blur") else value
        torch.manual_seed(1)
        changed, unchanged = train_transform(image, mask, **still, **PLAIN | {name: value})
        assert torch.equal(unchanged, mask), name
        assert not torch.equal(changed, image), name
        assert changed.dtype == torch.uint8 and changed.shape == image.shape
        if name == "grayscale":
            expected = vision.rgb_to_grayscale(image, 3)  # it rounds down
            assert (changed.int() - expected.int()).abs().max() <= 1


def test_the_range_of_brightness():
    """Between 1 - brightness and 1 + brightness times the light, on average none."""
    image = torch.full((3, 16, 16), 100, dtype=torch.uint8)
    mask = torch.zeros(16, 16, dtype=torch.uint8)
    torch.manual_seed(0)
    values = [int(train_transform(image, mask, crop_size=(16, 16), scale_range=(1.0, 1.0),
                                  animal_crops=0.0, flip=0.0,
                                  **PLAIN | {"brightness": 0.4})[0][0, 0, 0])
              for _ in range(300)]
    assert 59 <= min(values) < 65 and 135 < max(values) <= 140
    assert 96 < np.mean(values) < 104


def test_eval_transform_changes_nothing():
    mask = torch.from_numpy(draw_mask(50, 40, 0))
    image = coloured_photo(mask.numpy())
    same, same_mask = eval_transform(image.clone(), mask.clone())
    assert torch.equal(same, image) and torch.equal(same_mask, mask)


# ------------------------------------------------------------------------------ the dataset


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


# ----------------------------------------------------------------------------- check_photos


@pytest.fixture
def own_folder(tmp_path):
    """(data root, rows), to be damaged."""
    return tmp_path / "data", list(make_folder(tmp_path / "data", 5, (64, 48)))


def fault(root: Path, rows: list[Row], num_classes: int = 3) -> str:
    with pytest.raises(InputError) as error:
        check_photos(Manifest(rows), root, num_classes, root / "memory.csv")
    message = str(error.value)
    assert "\n" not in message
    return message


def test_shares_of_the_classes(own_folder):
    root, rows = own_folder
    partly = np.full((48, 64), IGNORE, np.uint8)
    partly[:10], partly[10:13] = 0, 2
    write_mask(root / rows[4].mask, partly, COLOURS)
    shares = check_photos(Manifest(rows), root, 3, root / "new" / "memory.csv")
    assert shares.dtype == np.float32 and shares.shape == (5, 3)
    assert shares[0].tolist() == [0, 0, 0] and shares[1].tolist() == [1, 0, 0]
    for place in (2, 3):
        mask = read_mask(root / rows[place].mask)
        assert np.allclose(shares[place], [(mask == value).mean() for value in range(3)])
    assert np.allclose(shares[4], [10 / 13, 0, 3 / 13])  # of the labelled pixels


def test_a_mask_of_255_alone_counts_as_no_label(own_folder):
    root, rows = own_folder
    write_mask(root / rows[2].mask, np.full((48, 64), IGNORE, np.uint8), COLOURS)
    assert check_photos(Manifest(rows), root, 3, root / "memory.csv")[2].tolist() == [0, 0, 0]


def test_no_data_root(tmp_path):
    with pytest.raises(InputError, match=f"^data_root: {tmp_path}/none is no folder"):
        check_photos(Manifest([Row("a.jpg")]), tmp_path / "none", 3, tmp_path / "memory.csv")


@pytest.mark.parametrize("place", [0, 1, 3])  # without label, background, with a mask
def test_missing_photo(own_folder, place):
    root, rows = own_folder
    (root / rows[place].image).unlink()
    message = fault(root, rows)
    assert message.startswith(f"{root / rows[place].image}: no such photo")


def test_missing_mask(own_folder):
    root, rows = own_folder
    (root / rows[3].mask).unlink()
    assert fault(root, rows).startswith(f"{root / rows[3].mask}: no such mask")


@pytest.mark.parametrize(("size", "hint"), [
    ((64, 40), "they must have one aspect ratio"), ((48, 64), "the mask lies on its side"),
    ((24, 32), "the mask lies on its side"), ((64, 64), "they must have one aspect ratio"),
])
def test_mask_of_another_shape(own_folder, size, hint):
    root, rows = own_folder
    write_mask(root / rows[3].mask, draw_mask(*size, 3), COLOURS)
    message = fault(root, rows)
    assert message.startswith(f"{root / rows[3].mask}: the mask is {size[0]} x {size[1]} pixels, "
                              "its photo 64 x 48 (upright)")
    assert hint in message


def test_photo_on_its_side_needs_an_upright_mask(own_folder):
    root, rows = own_folder
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(root / rows[3].image) as image:
        image.load()
    image.save(root / rows[3].image, exif=exif)
    assert "lies on its side" in fault(root, rows)
    write_mask(root / rows[3].mask, np.rot90(read_mask(root / rows[3].mask), -1), COLOURS)
    assert check_photos(Manifest(rows), root, 3, root / "memory.csv")[3].sum() == pytest.approx(1)
    image, mask, _ = CameraTrapDataset(Manifest(rows), root, 0)[3]
    told, sure = classes_of(image)
    assert mask.shape == (64, 48) and sure.all() and torch.equal(told, mask)


@pytest.mark.parametrize(("values", "num_classes", "named", "hint"), [
    ((0, 3), 3, "values 0, 3 found", False), ((0, 1, 2), 2, "values 0, 1, 2 found", False),
    ((0, 75, 255), 3, "values 0, 75, 255 found", True),
])
def test_values_outside_the_classes(own_folder, values, num_classes, named, hint):
    root, rows = own_folder
    mask = np.random.default_rng(0).choice(np.array(values, np.uint8), (48, 64))
    write_mask(root / rows[3].mask, mask, COLOURS)
    only = [rows[0], rows[1], rows[3]]
    message = fault(root, only, num_classes)
    assert message.startswith(f"{root / rows[3].mask}: {named} in the mask")
    assert f"the classes 0 to {num_classes - 1}" in message
    assert ("import_labels" in message) == hint


def test_several_faults_are_counted(own_folder):
    root, rows = own_folder
    (root / rows[1].image).unlink()
    (root / rows[2].mask).unlink()
    (root / rows[4].mask).write_text("damaged")
    message = fault(root, rows)
    assert message.startswith(str(root / rows[1].image)) and "2 more faults" in message


def refuse_to_open(*_):
    raise AssertionError("a file was opened")


def test_second_check_opens_no_file_and_finds_the_same(own_folder, monkeypatch):
    root, rows = own_folder
    blobs = np.zeros((48, 64), np.uint8)
    blobs.ravel()[:977] = 1  # a share with many digits
    write_mask(root / rows[4].mask, blobs, COLOURS)
    first = check_photos(Manifest(rows), root, 3, root / "memory.csv")
    monkeypatch.setattr(checks, "read_mask", refuse_to_open)
    monkeypatch.setattr(checks, "photo_size", refuse_to_open)
    second = check_photos(Manifest(rows), root, 3, root / "memory.csv")
    assert second.tobytes() == first.tobytes()  # class weights follow from it, to the last bit
    # One class fewer makes the remembered values wrong, and that too is seen without opening.
    assert "found in the mask" in fault(root, rows, 2)


def test_a_changed_file_is_noticed(own_folder):
    root, rows = own_folder
    path = root / rows[3].mask
    path.write_bytes(path.read_bytes().ljust(2000))  # bytes after its end do a PNG no harm
    first = check_photos(Manifest(rows), root, 3, root / "memory.csv")
    before = path.stat()
    write_mask(path, (read_mask(path) + 1) % 3, COLOURS)
    path.write_bytes(path.read_bytes().ljust(2000))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000))
    assert path.stat().st_size == before.st_size == 2000
    second = check_photos(Manifest(rows), root, 3, root / "memory.csv")
    assert np.allclose(second[3], np.roll(first[3], 1))
    assert np.array_equal(second[[0, 1, 2, 4]], first[[0, 1, 2, 4]])

    with Image.open(root / rows[2].image) as image:  # the photo counts as well as the mask
        image.rotate(90, expand=True).save(root / rows[2].image)
    assert "lies on its side" in fault(root, rows)


@pytest.mark.parametrize("damage", [
    b"", b"\xff\xfe\x00junk", b"a,b\n", b"0:1 1:x,a,1,2,b,3,4\n", b'"\n', b"cut",
])
def test_a_damaged_memory_is_tolerated(own_folder, damage):
    root, rows = own_folder
    memory = root / "memory.csv"
    first = check_photos(Manifest(rows), root, 3, memory)
    whole = memory.read_bytes()
    assert whole.count(b"\n") == 3
    memory.write_bytes(whole[:-20] if damage == b"cut" else damage)
    assert np.array_equal(check_photos(Manifest(rows), root, 3, memory), first)
    assert memory.read_bytes() == whole  # and mended


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


def test_group_by_shape_keeps_the_order_within_a_group():
    shapes = [(3, 4, 6), (3, 6, 4), None, (3, 4, 6), None, (3, 4, 6)]
    examples = [(None if shape is None else torch.full(shape, number), number)
                for number, shape in enumerate(shapes)]
    groups = group_by_shape(examples)
    assert [numbers for _, numbers in groups] == [[0, 3, 5], [1], [2, 4]]
    assert [None if images is None else tuple(images.shape) for images, _ in groups] == [
        (3, 3, 4, 6), (1, 3, 6, 4), None]
    assert groups[0][0][:, 0, 0, 0].tolist() == [0, 3, 5]
    assert group_by_shape([]) == []
