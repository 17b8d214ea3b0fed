"""Overlays with their legend."""

import os

import numpy as np
from PIL import Image
from prediction_records import predicted, random_mask, with_box, write_records

from camera_trapinator.outputs.blobs import failure_record
from camera_trapinator.outputs.overlays import write_overlays


def test_overlays_have_their_legend_below_the_photo(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    image = np.full((480, 640, 3), 90, np.uint8)
    for name in ("fox.jpg", "empty.jpg", "tiny.jpg"):
        Image.fromarray(image if name != "tiny.jpg" else image[:40, :30]).save(photos / name)
    records = [predicted("fox.jpg", with_box(100, 100, 200, 200, size=(480, 640))),
               predicted("empty.jpg", np.zeros((480, 640), np.uint8)),
               predicted("tiny.jpg", np.zeros((40, 30), np.uint8)),
               predicted("gone.jpg", random_mask(1)),
               failure_record("broken.jpg", "truncated")]
    write_overlays(write_records(tmp_path / "p.jsonl", records), photos, tmp_path / "overlays",
                   long_side=320)
    assert sorted(os.listdir(tmp_path / "overlays")) == [
        "empty.jpg.jpg", "fox.jpg.jpg", "tiny.jpg.jpg"]
    fox, empty, tiny = (
        np.asarray(Image.open(tmp_path / "overlays" / f"{name}.jpg.jpg")).astype(int)
        for name in ("fox", "empty", "tiny"))
    assert fox.shape[1] == empty.shape[1] == 320 and min(fox.shape[0], empty.shape[0]) > 250
    assert abs(empty[:236] - 90).max() < 10  # no text over the photo
    orange = abs(fox[242:] - (230, 120, 20)).max(axis=-1) < 40
    assert orange.sum() > 40  # the square of the legend
    assert not (abs(empty[242:] - (230, 120, 20)).max(axis=-1) < 40).any()
    assert (empty[242:].min(axis=-1) > 180).sum() > 100  # light letters
    assert tiny.shape[1] >= 300 and abs(tiny[:36, tiny.shape[1] // 2] - 90).max() < 10
