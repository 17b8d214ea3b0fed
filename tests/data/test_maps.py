"""Maps of numbers are read exactly and checked before training."""

import numpy as np
import pytest
from distances import make_distances
from PIL import Image

from camera_trapinator import InputError
from camera_trapinator.data.checks import check_maps, pool_maps
from camera_trapinator.data.manifest import read_manifest
from camera_trapinator.data.masks import read_map, write_mask

NAN = float("nan")

@pytest.mark.parametrize("name, stored, known", [
    ("a.png", np.array([[0, 65534], [65535, 300]], np.uint16), [[0, 65534], [NAN, 300]]),
    ("a.tif", np.array([[0, 65534], [65535, 300]], np.uint16), [[0, 65534], [NAN, 300]]),
    ("a.png", np.array([[0, 254, 255]], np.uint8), [[0, 254, NAN]]),
    ("a.tif", np.array([[-1.5, NAN, np.inf, 255]], np.float32), [[-1.5, NAN, NAN, 255]]),
    ("a.npy", np.array([[-1.5, NAN, 65535]], np.float64), [[-1.5, NAN, 65535]]),
    ("a.npy", np.array([[3, 65535]], np.uint16), [[3, NAN]]),
])
def test_every_form_of_map_is_read_exactly(tmp_path, name, stored, known):
    if name.endswith("npy"):
        np.save(tmp_path / name, stored)
    else:
        Image.fromarray(stored).save(tmp_path / name)
    values = read_map(tmp_path / name)
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, np.array(known, np.float32))


def test_what_is_no_map_is_refused_in_one_line(tmp_path):
    grey = np.full((4, 6), 9, np.uint8)
    Image.fromarray(grey).save(tmp_path / "a.jpg")
    Image.fromarray(np.stack([grey] * 3, -1)).save(tmp_path / "colour.png")
    write_mask(tmp_path / "classes.png", grey, [(0, 0, 0)])
    np.save(tmp_path / "pickle.npy", np.array([{"a": 1}], object), allow_pickle=True)
    np.save(tmp_path / "long.npy", np.zeros((2, 3, 4), np.float32))
    np.save(tmp_path / "signed.npy", np.zeros((2, 3), np.int64))
    (tmp_path / "text.png").write_text("no picture")
    for name, words in [("a.jpg", "JPEG"), ("colour.png", "mode RGB"), ("classes.png", "palette"),
                        ("pickle.npy", "pickle"), ("long.npy", "(2, 3, 4)"),
                        ("signed.npy", "int64"), ("text.png", "not a picture"),
                        ("none.npy", "no such file")]:
        with pytest.raises(InputError) as error:
            read_map(tmp_path / name)
        message = str(error.value)
        assert name in message and words.lower() in message.lower() and "\n" not in message, name


def test_maps_are_checked_and_remembered(tmp_path):
    root = make_distances(tmp_path, locations=1, photos=3)
    manifest, memory = read_manifest(root / "distance.csv"), tmp_path / "memory.csv"
    facts = check_maps(manifest, root, memory)
    assert check_maps(manifest, root, memory) == facts
    values = np.concatenate([read_map(root / row.mask).ravel() for row in manifest]) / 100
    pooled = pool_maps(facts, 0.01)
    assert pooled["mean"] == pytest.approx(np.nanmean(values), rel=1e-5)
    assert pooled["spread"] == pytest.approx(np.nanstd(values), rel=1e-5)
    assert pooled["high"] == pytest.approx(np.nanmax(values)) and pooled["whole"]
    first = root / manifest[0].mask
    for broken, words in [(np.full((48, 64), 65535, np.uint16), "no pixel of the map has a value"),
                          (np.zeros((64, 48), np.uint16), "on its side"),
                          (np.zeros((48, 48), np.uint16), "aspect ratio")]:
        Image.fromarray(broken).save(first)
        with pytest.raises(InputError, match=words):
            check_maps(manifest, root, memory)
    first.unlink()
    with pytest.raises(InputError, match="no such map"):
        check_maps(manifest, root, memory)
