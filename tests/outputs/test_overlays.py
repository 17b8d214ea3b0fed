"""Overlays with their legend."""

import os

import numpy as np
from PIL import Image, ImageDraw
from prediction_records import CLASSES, predicted, random_mask, with_box, write_records

from camera_trapinator.outputs import overlays
from camera_trapinator.outputs.blobs import failure_record
from camera_trapinator.outputs.drawing import draw_legend, draw_overlay
from camera_trapinator.outputs.overlays import write_overlays


def told(monkeypatch, record, image):
    """The picture, the caption and the texts of the legend of an overlay."""
    found = []
    monkeypatch.setattr(overlays, "_with_strip", lambda *parts: found.append(parts))
    overlays.overlay_with_legend(image, record, CLASSES)
    picture, caption, entries = found[0]
    return np.asarray(picture), caption, [text for text, _ in entries], [of for _, of in entries]


def test_each_animal_is_told_with_its_size_and_how_sure_it_is(monkeypatch):
    image = np.full((200, 300, 3), 90, np.uint8)
    mask = with_box(20, 30, 80, 90, 1, (200, 300))  # 12 % of the photo
    one = predicted("a/fox.jpg", mask, sure=0.984)
    _, caption, texts, colours = told(monkeypatch, one, image)
    assert texts == ["fox, 12.0 % of the photo, sure 0.98"] and colours == [(230, 120, 20)]
    assert "a/fox.jpg" in caption and "empty" not in caption
    _, caption, texts, _ = told(monkeypatch, predicted("b.jpg", mask * 0), image)
    assert "empty" in caption and texts == []
    unknown = predicted("c.jpg", mask, sure=0.4, unknown_below=0.5)
    assert told(monkeypatch, unknown, image)[2] == [
        "unknown, perhaps fox, 12.0 % of the photo, sure 0.40"]


def test_several_animals_of_a_species_are_numbered_in_the_photo(monkeypatch):
    image = np.full((200, 300, 3), 90, np.uint8)
    mask = (with_box(20, 30, 80, 90, 1, (200, 300)) + with_box(20, 180, 60, 60, 1, (200, 300))
            + with_box(120, 100, 40, 60, 2, (200, 300)))
    mask[130:132, 110:112] = 3  # a few pixels of a bear in the hare
    drawn, _, texts, _ = told(monkeypatch, predicted("a.jpg", mask), image)
    assert [text.split(",")[0] for text in texts] == [
        "fox 1", "fox 2", "snow hare", "pixels of black bear"]
    plain = np.asarray(draw_overlay(image, mask, CLASSES))
    changed = (drawn != plain).any(axis=-1)
    for rows, columns in ((slice(50, 70), slice(65, 85)), (slice(40, 60), slice(200, 220))):
        assert changed[rows, columns].sum() > 20
        changed[rows, columns] = False
    assert not changed.any()
    many = np.kron(np.eye(9, dtype=np.uint8), with_box(2, 2, 6, 6, 1, (20, 30)))
    many[2:8, 32:40] = 2
    texts = told(monkeypatch, predicted("a.jpg", many), np.full((180, 270, 3), 90, np.uint8))[2]
    assert texts[-1] == "4 smaller" and len(texts) == 7


def test_long_texts_of_the_legend_stay_in_the_picture():
    long = [("snow hare of the northernmost hills 12, 11.4 % of the photo, sure 0.98", (9, 200, 9))]
    sheet = Image.new("RGB", (300, 200))
    bottom = draw_legend(ImageDraw.Draw(sheet), 6, 6, 288, long, 13)
    assert bottom == draw_legend(None, 6, 6, 288, long, 13) > 6 + 2 * 13  # a second line
    pixels = np.asarray(sheet)
    assert not pixels[:, 296:].any() and not pixels[round(bottom):].any()
    assert pixels[25:round(bottom)].any()


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
