"""Decoded photos are kept, and never taken for others: by any number of processes, after any
change of a file, and whatever was left half written."""

import errno
import gc
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import QUICK, run_script
from PIL import Image
from torch.utils.data import DataLoader

from camera_trapinator import InputError, dataset
from camera_trapinator.data import cache
from camera_trapinator.data.cache import HEADER, Cache, open_cache
from camera_trapinator.data.loading import group_by_shape
from camera_trapinator.data.manifest import read_manifest
from camera_trapinator.data.masks import write_mask
from camera_trapinator.dataset import CameraTrapDataset, PredictionDataset
from camera_trapinator.training.checkpoint import load_checkpoint
from camera_trapinator.utils import ROOT

SIDE = 64
WHERE = ["ram", "disk"]


def opened(where: str, folder: Path, rows=range(30), gigabytes: float = 1.0) -> Cache | None:
    return open_cache(where, np.array(rows), SIDE, 1e9 * gigabytes, path=folder / "photos.bin")


def some_arrays(seed: int) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.integers(0, 256, (5, 7, 3), np.uint8), random.random((5, 7), np.float32)]


def equal(found, arrays: list[np.ndarray], facts: list) -> bool:
    return found is not None and found[1] == facts and all(
        a.dtype == b.dtype and np.array_equal(a, b) for a, b in zip(found[0], arrays, strict=True))


class NoReading:
    """Stands for photos.read_photo; importable, so that workers of any kind can have it."""

    def __call__(self, path, *arguments):
        raise InputError(f"{path}: was decoded again")


class Undecoding(CameraTrapDataset):
    """A dataset all of whose photos must come out of the cache, in any process."""

    def __getitem__(self, draw):
        dataset.read_photo = NoReading()
        return super().__getitem__(draw)


@pytest.mark.parametrize("where", WHERE)
def test_what_is_put_comes_back_under_its_key_alone(where, tmp_path):
    store = opened(where, tmp_path, rows=[3, 8, 20])
    assert store.get(8, "a") is None
    store.put(8, "a", some_arrays(1), [640, "2024-05-01", None])
    store.put(20, "a", some_arrays(2), [])
    assert equal(store.get(8, "a"), some_arrays(1), [640, "2024-05-01", None])
    assert equal(store.get(20, "a"), some_arrays(2), [])
    assert store.get(8, "b") is None and store.get(3, "a") is None
    store.put(9, "a", some_arrays(3), [])  # a row that has no place
    assert store.get(9, "a") is None
    store.put(8, "b", some_arrays(4), [1])
    assert store.get(8, "a") is None and equal(store.get(8, "b"), some_arrays(4), [1])


@pytest.mark.parametrize("where", WHERE)
def test_what_does_not_fit_is_not_kept_and_harms_no_neighbour(where, tmp_path):
    store = opened(where, tmp_path, rows=[0, 1, 2])
    store.put(2, "a", some_arrays(2), [])
    store.put(1, "a", [np.ones(SIDE * SIDE * 4 + 1, np.uint8)], [])
    store.put(1, "b", some_arrays(1), ["x" * HEADER])
    assert store.get(1, "a") is None and store.get(1, "b") is None
    assert equal(store.get(2, "a"), some_arrays(2), [])


def test_a_file_in_which_anything_is_wrong_gives_nothing_wrong(tmp_path):
    store = opened("disk", tmp_path, rows=[0])
    store.put(0, "a", some_arrays(1), [5])
    whole = (tmp_path / "photos.bin").read_bytes()
    used = HEADER + sum(array.nbytes for array in some_arrays(1))
    random, refused = np.random.default_rng(0), 0
    for _ in range(300):
        damaged = np.frombuffer(whole, np.uint8).copy()
        start = int(random.integers(used))
        length = int(random.integers(1, 200))
        damaged[start:start + length] = random.integers(0, 256) if random.random() < 0.5 else 0
        (tmp_path / "photos.bin").write_bytes(damaged)
        found = opened("disk", tmp_path, rows=[0]).get(0, "a")
        refused += found is None
        assert found is None or equal(found, some_arrays(1), [5])
    assert refused > 200


def test_a_writer_that_dies_between_content_and_header_leaves_nothing_that_counts(
        tmp_path, monkeypatch):
    store = opened("disk", tmp_path, rows=[0])
    store.put(0, "a", some_arrays(1), [])
    write, calls = store.file.write, []

    class Dying:
        def seek(self, place):
            calls.append(place)
            if len(calls) == 2:
                raise OSError(errno.ENOSPC, "No space left on device")
            return store_file.seek(place)

        def write(self, part):
            return write(part)

    store_file, store.file = store.file, Dying()
    store.put(0, "b", some_arrays(2), [])  # a full disk does not stop a run
    assert len(calls) == 2
    again = opened("disk", tmp_path, rows=[0])
    assert again.get(0, "a") is None and again.get(0, "b") is None


@pytest.mark.parametrize("where", WHERE)
def test_photos_from_the_cache_are_the_same(where, data_root, tmp_path):
    manifest = read_manifest(data_root / "manifest.csv")
    plain = CameraTrapDataset(manifest, data_root, SIDE)
    kept = CameraTrapDataset(manifest, data_root, SIDE, cache=opened(where, tmp_path))
    undecoding = Undecoding(manifest, data_root, SIDE, cache=kept.cache)
    expected = [plain[place] for place in range(len(plain))]
    first = [kept[place] for place in range(len(plain))]
    try:
        second = [undecoding[place] for place in range(len(plain))]
    finally:
        dataset.read_photo = READ_PHOTO
    for one, two, three in zip(expected, first, second, strict=True):
        assert torch.equal(one[0], two[0]) and torch.equal(one[0], three[0])
        assert torch.equal(one[1], two[1]) and torch.equal(one[1], three[1])
    # Training and validation have one cache; a photo's facts are kept with it.
    plain = PredictionDataset(manifest, data_root, SIDE)
    kept = PredictionDataset(manifest, data_root, SIDE, cache=kept.cache)
    for place in range(len(plain)):
        (image, example), (cached_image, cached) = plain[place], kept[place]
        assert torch.equal(image, cached_image) and torch.equal(example.target, cached.target)
        assert example._replace(target=None) == cached._replace(target=None)


READ_PHOTO = dataset.read_photo


@pytest.mark.parametrize(("where", "method", "workers"), [
    ("ram", "fork", 2), ("disk", "fork", 2),
    pytest.param("ram", "spawn", 1, marks=pytest.mark.long),
    *(pytest.param(where, "spawn", 2, marks=pytest.mark.long) for where in WHERE)])
def test_workers_share_one_cache(where, method, workers, data_root, tmp_path):
    manifest = read_manifest(data_root / "manifest.csv")
    store = opened(where, tmp_path)

    def images(dataset) -> torch.Tensor:
        loader = DataLoader(dataset, batch_size=4, num_workers=workers,
                            multiprocessing_context=method)
        return torch.cat([images for images, _, _ in loader])

    first = images(CameraTrapDataset(manifest, data_root, SIDE, cache=store))
    # Decoded by some worker; now each process finds all of them.
    assert torch.equal(images(Undecoding(manifest, data_root, SIDE, cache=store)), first)
    assert len(first) == len(manifest)


@pytest.mark.parametrize("where", WHERE)
def test_changed_files_are_read_again(where, own_data, tmp_path):
    manifest = read_manifest(own_data / "manifest.csv")
    store = opened(where, tmp_path)
    dataset = CameraTrapDataset(manifest, own_data, SIDE, cache=store)
    place = next(place for place, row in enumerate(manifest) if row.mask.endswith(".png"))
    row = manifest[place]
    before = dataset[place]
    Image.new("RGB", (SIDE, 48), (9, 200, 9)).save(own_data / row.image)
    image, mask, _ = dataset[place]
    assert image[1].float().mean() > 190 and torch.equal(mask, before[1])
    write_mask(own_data / row.mask, np.full((48, SIDE), 2, np.uint8), [(0, 0, 0)] * 3)
    assert (dataset[place][1] == 2).all()
    (own_data / row.image).unlink()
    with pytest.raises(InputError, match="no such"):
        dataset[place]
    smaller = CameraTrapDataset(manifest, own_data, 32, cache=store)
    assert max(smaller[0][0].shape) == 32 and max(dataset[0][0].shape) == SIDE


def test_the_limit_holds_in_memory_and_on_disk(tmp_path, monkeypatch):
    slot = HEADER + SIDE * SIDE * 4
    for where in WHERE:
        store = opened(where, tmp_path / where, gigabytes=3.5 * slot / 1e9)
        assert len(store) == 3
        for row in range(30):
            store.put(row, "a", [np.full(SIDE * SIDE * 3, row, np.uint8)], [])
        assert [store.get(row, "a") is None for row in range(30)] == [False] * 3 + [True] * 27
    assert (tmp_path / "disk/photos.bin").stat().st_size == 3 * slot
    assert opened("none", tmp_path) is None
    assert open_cache("ram", np.arange(9), 0, 1e9) is None  # photos of any size
    # No room is no error either.
    monkeypatch.setattr(cache, "free_memory", lambda: 100)
    nothing = opened("ram", tmp_path)
    nothing.put(0, "a", some_arrays(1), [])
    assert len(nothing) == 0 and nothing.get(0, "a") is None


def test_caches_on_disk_that_were_not_used_for_longest_make_room(tmp_path):
    slot = HEADER + SIDE * SIDE * 4
    for age, name in enumerate(["old", "older"], start=1):
        (tmp_path / f"{name}.bin").write_bytes(bytes(2 * slot))
        then = time.time() - 1000 * age
        os.utime(tmp_path / f"{name}.bin", (then, then))
    opened("disk", tmp_path, rows=range(2), gigabytes=4.5 * slot / 1e9)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old.bin", "photos.bin"]
    opened("disk", tmp_path, rows=range(4), gigabytes=4.5 * slot / 1e9)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos.bin"]


def test_places_that_are_not_used_take_no_room(tmp_path):
    store = opened("disk", tmp_path, rows=range(20_000))
    store.put(19_999, "a", some_arrays(1), [])
    status = (tmp_path / "photos.bin").stat()
    assert status.st_size == 20_000 * (HEADER + SIDE * SIDE * 4)
    assert status.st_blocks * 512 < 1e6


WAYS = {"none": ["cache=none", "num_workers=0"], "ram": ["cache=ram", "num_workers=2"],
        "disk": ["cache=disk", "num_workers=0"], "disk_again": ["cache=disk", "num_workers=2"],
        "auto": ["cache=disk", "num_workers=auto"]}


@pytest.mark.parametrize("names", [["none", "auto"], pytest.param([*WAYS], marks=pytest.mark.long)])
def test_a_run_is_the_same_with_any_cache_and_number_of_workers(data_root, tmp_path, names):
    weights = []
    for name in names:
        result = run_script("train.py", "--config", ROOT / "configs/unet.yaml", "--run", name,
                            f"data_root={data_root}", *QUICK, *WAYS[name], runs=tmp_path)
        assert result.returncode == 0, result.stderr
        assert ("\nworkers " in result.stdout) == (name == "auto")
        weights.append(load_checkpoint(tmp_path / name / "last.pt")["model"])
    for other in weights[1:]:
        assert all(torch.equal(other[key], value) for key, value in weights[0].items())
    files = list((tmp_path / ".cache").iterdir())
    assert len(files) == 1 and files[0].stat().st_blocks > 0


HOLD = """
import sys, time
import numpy as np
from pathlib import Path
from camera_trapinator.data.cache import open_cache
where, folder = sys.argv[1:]
store = open_cache(where, np.arange(30), 64, 1e8, path=Path(folder) / "photos.bin")
store.put(3, "a", [np.full(9000, 7, np.uint8)], [])
print("ready", flush=True)
sys.stdin.readline()
print(int(store.get(3, "a")[0][0].sum()), flush=True)
"""


def holder(where, folder):
    """Another program that has a cache open."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, where, str(folder)], text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdout.readline() == "ready\n"
    return process


def test_no_run_deletes_the_cache_that_another_one_uses(tmp_path):
    process = holder("disk", tmp_path)
    for rows in (range(2), range(3)):
        open_cache("disk", np.array(rows), SIDE, 1, path=tmp_path / "mine.bin")
    assert (tmp_path / "photos.bin").exists()
    assert process.communicate("\n")[0] == "63000\n"
    open_cache("disk", np.arange(2), SIDE, 1, path=tmp_path / "mine.bin")
    assert not (tmp_path / "photos.bin").exists()


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="only Linux shows shared memory as files")
def test_a_run_that_is_killed_leaves_no_memory_behind(tmp_path):
    process = holder("ram", tmp_path)
    held = set(re.findall(r"/dev/shm/\S+|/memfd:\S+",  # not what other tests have there
                          Path(f"/proc/{process.pid}/maps").read_text()))
    process.kill()
    process.wait()
    assert held and not any(Path(path).exists() for path in held)


@pytest.mark.skipif(sys.platform != "linux", reason="control groups are Linux's")
def test_the_memory_of_a_container_is_the_limit(tmp_path):
    """Of a job in version 2, below a slice that has less, and of version 1."""
    for group, most, used, cached in (("jobs", 900, 500, 100), ("jobs/one", "max", 300, 50)):
        folder = tmp_path / "two" / group
        folder.mkdir(parents=True)
        (folder / "memory.max").write_text(f"{most}\n")
        (folder / "memory.current").write_text(f"{used}\n")
        (folder / "memory.stat").write_text(f"anon 1\ninactive_file {cached}\n")
    folder = tmp_path / "one/memory/docker/x"
    folder.mkdir(parents=True)
    (folder / "memory.limit_in_bytes").write_text("700\n")
    (folder / "memory.usage_in_bytes").write_text("650\n")
    (folder / "memory.stat").write_text("total_inactive_file 30\n")
    (tmp_path / "v2").write_text("0::/jobs/one\n")
    (tmp_path / "v1").write_text("9:cpu,cpuacct:/docker/x\n8:memory:/docker/x\n")
    assert min(cache.left_in_groups(tmp_path / "two", tmp_path / "v2")) == 500
    assert min(cache.left_in_groups(tmp_path / "one", tmp_path / "v1")) == 80
    assert cache.left_in_groups(tmp_path / "none", tmp_path / "nothing") == [sys.maxsize]


def test_memory_is_shared_with_workers_and_given_back(data_root, tmp_path):
    store = opened("ram", tmp_path)
    dataset = PredictionDataset(read_manifest(data_root / "manifest.csv"), data_root, SIDE,
                                cache=store)
    loader = DataLoader(dataset, batch_size=4, num_workers=2, collate_fn=group_by_shape)
    assert len(list(loader)) > 0
    # What workers put there, the main process finds, after their end, too.
    assert all(store.get(row, dataset._key(dataset.manifest[row])) for row in range(30))
    if sys.platform == "linux":
        def taken():
            return sum("memfd:camera_trapinator" in os.readlink(f"/proc/self/fd/{number}")
                       for number in os.listdir("/proc/self/fd")
                       if os.path.islink(f"/proc/self/fd/{number}"))
        before = taken()
        del store, loader, dataset
        gc.collect()
        assert taken() < before
