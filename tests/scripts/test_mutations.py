"""Whatever is broken, in whatever way: the right result, or one clear line.

    MUTATIONS=1000 pytest tests/scripts/test_mutations.py    # more of them than in the daily tests
"""

import csv
import io
import os
import random
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from conftest import QUICK, error_line, make_data, run_script
from PIL import Image
from prediction_records import rows_of

from camera_trapinator.data.masks import read_mask
from camera_trapinator.utils import ROOT

MUTATIONS = int(os.environ.get("MUTATIONS", 0))
REAL = ROOT.parent / "shared" / "data" / "wild7" / "valid"  # photos of the developers
CONFIG = ROOT / "configs/unet.yaml"


# ----------------------------------------------------------------------------- broken photos


def flip_bits(content, chance):
    content = bytearray(content)
    for _ in range(2 ** chance.randrange(8)):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return bytes(content)


def truncate(content, chance):
    return content[:chance.randrange(len(content) - 64)]


def zero_bytes(content, chance):
    start = chance.randrange(len(content))
    end = chance.randrange(start, len(content)) + 1
    return content[:start] + bytes(end - start) + content[end:]


def declare_a_huge_size(content, _):
    """The frame header of a JPEG says 65500 x 65500 pixels."""
    place = next(place for place in range(len(content))
                 if content[place] == 0xFF and content[place + 1] in (0xC0, 0xC2))
    return content[:place + 5] + struct.pack(">HH", 65500, 65500) + content[place + 9:]


def garble_exif(content, chance):
    garbage = chance.randbytes(chance.randrange(2, 500))
    begin = chance.choice([b"Exif\0\0", b"Exif\0\0MM\0*\0\0\0\x08", b"Exif\0\0II*\0\x08\0\0\0"])
    segment = begin + garbage
    return content[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + content[2:]


def png_bomb(_, chance):
    """Some kilobytes that would become gigabytes."""
    def chunk(name, data):
        checksum = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + checksum

    side = chance.randrange(20000, 60000)
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
            + chunk(b"IDAT", zlib.compress(bytes(10**6))) + chunk(b"IEND", b""))


def other_format(content, chance):
    file = io.BytesIO()
    Image.open(io.BytesIO(content)).save(file, chance.choice(["PNG", "GIF", "BMP", "TIFF"]))
    return file.getvalue()


def other_file(_, chance):
    return chance.choice([b"", b"\xff\xd8\xff", b"%PDF-1.4", b"PK\3\4", b"not a photo" * 99])


MUTATORS = [flip_bits, truncate, zero_bytes, declare_a_huge_size, garble_exif, png_bomb,
            other_format, other_file, None]  # None: a folder in its place
NEVER_GOOD = {declare_a_huge_size, png_bomb, other_file, None}
ALWAYS_GOOD = {garble_exif, other_format}


def originals():
    """Whole JPEG files: real ones where there are some, else generated ones."""
    files = sorted(REAL.glob("*.jpg"))[:40] if MUTATIONS else []
    if files:
        return [path.read_bytes() for path in files]
    contents = []
    for seed in range(5):
        noise = np.random.default_rng(seed).integers(0, 255, (12, 16, 3), dtype=np.uint8)
        file = io.BytesIO()
        Image.fromarray(noise).resize((320, 240)).save(file, "JPEG", quality=90)
        contents.append(file.getvalue())
    return contents


def break_photos(folder, number):
    """So many broken photos below a folder, and what was done to each, by its path; every tenth is
    left whole."""
    contents, done = originals(), {}
    for place in range(number):
        chance = random.Random(place)
        content, path = chance.choice(contents), folder / f"site{place % 7}" / f"IMG_{place:05}.JPG"
        path.parent.mkdir(parents=True, exist_ok=True)
        mutate = MUTATORS[place % len(MUTATORS)]
        if place % 10 == 0:
            path.write_bytes(content)
            mutate = "whole"
        elif mutate is None:
            path.mkdir()
        else:
            path.write_bytes(mutate(content, chance))
        done[path.relative_to(folder).as_posix()] = mutate
    return done


def test_broken_photos_are_listed_and_the_others_unharmed(trained, tmp_path):
    folder, whole = tmp_path / "card", tmp_path / "whole"
    done = break_photos(folder, MUTATIONS or 60)
    for file, mutate in done.items():
        if mutate == "whole":
            (whole / file).parent.mkdir(parents=True, exist_ok=True)
            (whole / file).write_bytes((folder / file).read_bytes())
    rows, failures = {}, {}
    for card in (folder, whole):
        result = run_script("test.py", "--run", "shapes", "--images", card, "--out",
                            tmp_path / f"out_{card.name}", "working_scale=128", runs=trained)
        assert result.returncode == 0 and "Traceback" not in result.stderr, result.stderr
        out = tmp_path / f"out_{card.name}"
        rows[card] = {row["file"]: row for row in rows_of(out / "predictions.csv")}
        failures[card] = {row["file"]: row["failure"] for row in rows_of(out / "failures.csv")}
    assert sorted([*rows[folder], *failures[folder]]) == sorted(done) and not failures[whole]
    for file, mutate in done.items():
        failure = failures[folder].get(file, "")
        assert failure or mutate not in NEVER_GOOD, file
        assert not failure or mutate not in {*ALWAYS_GOOD, "whole"}, (file, failure)
        assert len(failure.splitlines()) < 2
        written = (tmp_path / "out_card" / "masks" / f"{file}.png").exists()
        assert written == (not failure), file
    for file, row in rows[whole].items():
        assert {**row, "sequence": ""} == {**rows[folder][file], "sequence": ""}
        one, other = (read_mask(tmp_path / out / "masks" / f"{file}.png")
                      for out in ("out_card", "out_whole"))
        assert np.array_equal(one, other)


def test_training_on_broken_photos_stops_or_skips(tmp_path):
    root = make_data(tmp_path / "data", locations=6, photos=8)
    photos = sorted((root / "photos").rglob("*.JPG"))
    broken = [path for place, path in enumerate(photos) if place % 5 == 0]
    for place, path in enumerate(broken):
        mutate = [truncate, other_file, declare_a_huge_size, png_bomb][place % 4]
        path.write_bytes(mutate(path.read_bytes(), random.Random(place)))
    broken[0].unlink()
    mask = sorted((root / "masks").rglob("*.png"))[4]
    mask.write_bytes(mask.read_bytes()[:60])
    arguments = ["--config", CONFIG, f"data_root={root}", *QUICK, "--run"]
    error_line(run_script("train.py", *arguments, "stop", runs=tmp_path))
    result = run_script("train.py", *arguments, "skip", "broken_photos=skip", runs=tmp_path)
    assert result.returncode == 0, result.stderr
    told = [line for line in result.stdout.splitlines() if line.startswith("left out")]
    for path in [*broken, mask]:
        assert sum(str(path) in line for line in told) == 1, (path, "\n".join(told))
    assert len(told) == len(broken) + 1
    assert run_script("test.py", "--run", "skip", runs=tmp_path).returncode == 0
    with open(tmp_path / "skip" / "splits.csv", newline="") as file:
        used = {row["image"] for row in csv.DictReader(file)}
    assert used.isdisjoint(str(path.relative_to(root)) for path in broken)
    assert len(used) == len(photos) - len(told)


# ------------------------------------------------------- broken configs, manifests, checkpoints


VALUES = ["", "nan", "-1", "1e309", "[", "{a: b}", "yes", "null", "../..", "0", "\"", "é\x00",
          "1,2", "!!python/object/apply:os.system [exit]", "&a [*a]", "9" * 400]


def mutate_text(text, chance):
    """A table or a config as a tired person, or a program, may leave it."""
    lines = text.splitlines(keepends=True)
    place = chance.randrange(len(lines))
    kind = chance.randrange(8)
    if kind == 0:  # a value
        key, colon, rest = lines[place].partition(":")
        lines[place] = f"{key}: {chance.choice(VALUES)}\n" if colon else rest
    elif kind == 1:
        del lines[place]
    elif kind == 2:
        lines.insert(place, lines[chance.randrange(len(lines))])
    elif kind == 3:
        cells = lines[place].split(",")
        cells[chance.randrange(len(cells))] = chance.choice(VALUES)
        lines[place] = ",".join(cells)
    elif kind == 4:
        lines = lines[:place] + [lines[place][:chance.randrange(len(lines[place]) + 1)]]
    elif kind == 5:
        chance.shuffle(lines)
    text = "".join(lines)
    if kind == 6:
        place = chance.randrange(len(text))
        text = text[:place] + chance.choice(["\t", "\0", "\ufeff", "\"", ":", ",,", "\r", "#"]) + \
            text[place:]
    content = text.encode()
    return flip_bits(content, chance) if kind == 7 else content


def check_outcome(result, mutated):
    """Either all went well, or one line told the fault; never a traceback."""
    assert "Traceback" not in result.stdout + result.stderr, (mutated, result.stderr)
    if result.returncode:
        line = error_line(result)
        assert len(line) < 2000, line


@pytest.mark.parametrize("what", ["config", "manifest.csv", "classes.csv"])
def test_mutated_configs_and_tables_give_the_right_result_or_one_line(what, data_root, tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    for path in data_root.iterdir():
        (root / path.name).symlink_to(path)
    source = CONFIG if what == "config" else data_root / what
    target = tmp_path / "mutated.yaml" if what == "config" else root / what
    outcomes = set()
    for number in range(MUTATIONS // 3 or 5):
        chance = random.Random(number)
        target.unlink(missing_ok=True)
        target.write_bytes(mutate_text(source.read_text(), chance))
        result = run_script(
            "train.py", "--config", tmp_path / "mutated.yaml" if what == "config" else CONFIG,
            "--run", f"run{number}", f"data_root={root}", *QUICK, "epochs=1", "device=cpu",
            "compile=false", "encoder=none", "cache=ram 1", runs=tmp_path / "runs")
        check_outcome(result, (what, number))
        outcomes.add(result.returncode)
    assert 2 in outcomes


def test_mutated_checkpoints_give_the_right_result_or_one_line(trained, data_root, tmp_path):
    content = (trained / "shapes" / "best.pt").read_bytes()
    outcomes, tables = set(), set()
    for number in range(MUTATIONS or 6):
        chance = random.Random(number)
        mutate = [flip_bits, truncate, zero_bytes][number % 3] if number else None
        (tmp_path / "best.pt").write_bytes(mutate(content, chance) if mutate else content)
        result = run_script("test.py", "--weights", tmp_path / "best.pt", "--images",
                            data_root / "photos/site0", "--out", tmp_path / f"out{number}",
                            "outputs=csv", runs=trained)
        check_outcome(result, number)
        outcomes.add(result.returncode)
        if not result.returncode:  # damage where nothing is stored, or none
            tables.add((tmp_path / f"out{number}" / "predictions.csv").read_bytes())
    assert outcomes == {0, 2} and len(tables) == 1


def test_a_manifest_that_leads_elsewhere_reads_nothing_there(data_root, tmp_path):
    """An absolute path, or `..`, in a manifest from a stranger."""
    secret = tmp_path / "secret.jpg"
    Image.new("RGB", (64, 48)).save(secret)
    root = make_data(tmp_path / "data", photos=3)
    table = root / "manifest.csv"
    text = table.read_text()
    for path in (str(secret), "../secret.jpg", "photos/../../secret.jpg"):
        table.write_text(text.replace("photos/site1/100RECNX/IMG_0001.JPG", path, 1))
        line = error_line(run_script("train.py", "--config", CONFIG, f"data_root={root}", *QUICK,
                                     runs=tmp_path / "runs"))
        assert "manifest.csv" in line and Path(path).name in line
