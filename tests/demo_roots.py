"""Makes and reads data roots of generated photos, as scripts/make_demo_data.py gives them."""

import csv
import subprocess
import sys
from pathlib import Path

from PIL import Image, ImageOps

from camera_trapinator.utils import ROOT

SCRIPT = ROOT / "scripts" / "make_demo_data.py"
SMALL = ["--photos", "36", "--locations", "6", "--size", "160x120", "--new-photos", "3"]


def run(out: Path, *options: object) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, str(SCRIPT), "--out", str(out), *map(str, options)],
                          capture_output=True, text=True, timeout=300)


def make(out: Path, *options: object) -> Path:
    result = run(out, *options)
    assert result.returncode == 0, result.stderr
    return out


def read_rows(root: Path) -> list[dict[str, str]]:
    with open(root / "manifest.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def files_of(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def upright(path: Path) -> Image.Image:
    with Image.open(path) as photo:
        return ImageOps.exif_transpose(photo).convert("RGB")
