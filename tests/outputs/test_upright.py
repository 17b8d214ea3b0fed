"""Photos that are stored turned: known as such, and set upright in a folder of all photos."""

from pathlib import Path

import numpy as np
import pytest
from conftest import run_script
from PIL import Image
from prediction_records import predicted, with_box, write_records

from camera_trapinator.data.photos import read_photo, stored_orientation
from camera_trapinator.outputs.blobs import failure_record
from camera_trapinator.outputs.upright import turned_photos, write_upright

ENDINGS = (".jpg", ".png", ".tif")
ORIENTATION, MAKER = 0x0112, 0x010F


def photo(path: Path, orientation: int | None) -> Path:
    """A picture that looks different in all eight positions."""
    pixels = np.full((40, 60, 3), 60, np.uint8)
    pixels[:12, :30], pixels[:12, 30:], pixels[28:, :12] = (220, 60, 60), (60, 220, 60), 200
    exif = Image.Exif()
    exif[MAKER] = "RECONYA"
    if orientation:
        exif[ORIENTATION] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, exif=exif, quality=95)
    return path


def records_for(folder: Path, files) -> Path:
    records = []
    for file in files:
        found = read_photo(folder / file)
        records.append(predicted(file, with_box(1, 1, 9, 9, size=(found.height, found.width))))
    return write_records(folder.parent / "p.jsonl", [*records, failure_record("x.jpg", "torn")])


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_turn_is_known_and_undone(tmp_path, ending):
    photos, out = tmp_path / "photos", tmp_path / "upright"
    files = {f"site/{turn}{ending}": turn for turn in (None, *range(1, 10))}
    for file, turn in files.items():
        photo(photos / file, turn)
    before = {file: (photos / file).read_bytes() for file in files}
    path = records_for(photos, files)
    turned = turned_photos(path, photos)
    assert turned == {file: turn for file, turn in files.items() if 1 < (turn or 1) < 9}
    write_upright(path, photos, out, turned)
    assert {found.relative_to(out).as_posix() for found in out.rglob("*.*")} == set(files)
    for file in files:
        assert (out / file).is_symlink() == (file not in turned)
        assert stored_orientation(out / file) == 1
        with Image.open(out / file) as image:  # as programs see it that pass over EXIF
            stored = np.asarray(image.convert("RGB")).astype(int)
            assert image.getexif().get(MAKER) == "RECONYA" or ending == ".tif"
        upright = read_photo(photos / file).image
        assert stored.shape == upright.shape and abs(stored - upright).mean() < 3
    assert before == {file: (photos / file).read_bytes() for file in files}


def test_without_links_photos_are_copied_and_who_has_gone_is_told(tmp_path, monkeypatch):
    photos, out = tmp_path / "photos", tmp_path / "upright"
    for file, turn in (("a.jpg", 1), ("b.jpg", 6), ("gone.jpg", 8)):
        photo(photos / file, turn)
    path = records_for(photos, ["a.jpg", "b.jpg", "gone.jpg"])
    (photos / "gone.jpg").unlink()
    turned = turned_photos(path, photos)
    assert turned == {"b.jpg": 6, "gone.jpg": None}

    def refuse(*_):
        raise OSError("a privilege is not held")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    write_upright(path, photos, out, turned)
    assert sorted(found.name for found in out.iterdir()) == ["a.jpg", "b.jpg"]
    assert np.array_equal(*(np.asarray(Image.open(folder / "a.jpg")) for folder in (out, photos)))
    assert not (out / "a.jpg").is_symlink()
    write_upright(path, photos, out, {})  # none is turned any more: none is needed, none stays
    assert not out.exists() and (photos / "a.jpg").exists()


def test_a_prediction_makes_them_and_says_so(trained, tmp_path):
    card = tmp_path / "card"
    photo(card / "a.jpg", 1)
    for wanted, text in (("coco", "0 photos"), ("coco,upright", "no need of upright/")):
        result = run_script("test.py", "--run", "shapes", "--images", card, "--out",
                            tmp_path / "out", f"outputs={wanted}", runs=trained)
        assert result.returncode == 0 and (text in result.stdout) == (wanted != "coco")
    photo(card / "b.jpg", 6)
    for wanted, text in (("coco", "add upright to outputs"), ("coco,upright", "upright/ has")):
        result = run_script("test.py", "--run", "shapes", "--images", card, "--out",
                            tmp_path / "out", f"outputs={wanted}", runs=trained)
        assert "1 photos are stored turned" in result.stdout and text in result.stdout
        assert (tmp_path / "out/upright/b.jpg").exists() == (wanted != "coco")
    assert '"exif_orientation": 6' in (tmp_path / "out/coco.json").read_text()
