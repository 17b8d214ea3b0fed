"""Repositories with faults planted in them, and clean ones, for check_release.py.

No fault stands here in one piece: this file is part of a repository that is checked, too.
"""

import io
import json
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import torch
from conftest import run_script
from PIL import Image, PngImagePlugin

# A new machine has no name for git, and another one may sign or change line ends.
IDENTITY = ["user.name=Ann", "user.email=ann@example.org", "commit.gpgsign=false",
            "tag.gpgsign=false", "core.autocrlf=false", "init.defaultBranch=main",
            "protocol.file.allow=always"]
GIT = ["git", *(word for setting in IDENTITY for word in ("-c", setting))]


def git(folder: Path, *words: object) -> str:
    return subprocess.run([*GIT, "-C", str(folder), *map(str, words)], check=True,
                          capture_output=True, text=True).stdout


def commit(folder: Path, files: dict[str, bytes], message: str = "More") -> str:
    """Write files, commit everything; the first ten digits of the commit."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    git(folder, "add", "--all", "--force")
    git(folder, "commit", "--quiet", "-m", message)
    return git(folder, "rev-parse", "HEAD")[:10]


def check(folder: Path, *words: object) -> tuple[int, str]:
    result = run_script("check_release.py", folder, "--all", *words)
    assert result.stderr == ""
    return result.returncode, result.stdout


def found(output: str) -> dict[tuple[str, str], str]:
    """{(kind, what is told up to the first colon): all of it with its cure}."""
    lines = output.splitlines()
    return {(line[:12].strip(), line[12:].split(": ")[0]): line + "\n" + cure
            for line, cure in zip(lines, lines[1:], strict=False)
            if cure.startswith(f"{'':12}cure: ")}


# ------------------------------------------------------------------------------------- the faults


def picture(form: str, size: int = 24, **options) -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(size).integers(0, 255, (size, size, 3), np.uint8)
    Image.fromarray(noise).save(file, form, **options)
    return file.getvalue()


def with_exif(kind: str) -> bytes:
    exif = Image.Exif()
    if kind == "gps":
        exif.get_ifd(0x8825).update({1: "N", 2: (51.0, 29.0, 48.1), 3: "E", 4: (5.0, 36.0, 1.2)})
    elif kind == "serial":
        exif.get_ifd(0x8769)[0xA431] = "H500HF12345"
    return picture("JPEG", exif=exif)


def with_xmp() -> bytes:
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", '<x exif:GPSLat' + 'itude="51,29.802N"/>', zip=True)
    return picture("PNG", pnginfo=text)


def packed(**files: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/"), content)
    return file.getvalue()


def weights(legacy: bool = False) -> bytes:
    file = io.BytesIO()
    torch.save({"weight": torch.zeros(3)}, file, _use_new_zipfile_serialization=not legacy)
    return file.getvalue()


def arrays() -> bytes:
    file = io.BytesIO()
    np.savez(file, weight=np.zeros(3))
    return file.getvalue()


HEADER = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
NOTEBOOK = {"nbformat": 4, "cells": [{"cell_type": "code", "source": ["1"], "outputs": []},
                                     {"cell_type": "code", "outputs": [{"text": ["1"]}]}]}
HOME = "/ho" + "me/anna/photos"
AWS, GITHUB = "AKI" + "AQ3EGRIJK7WZ2M5PX", "gh" + "p_" + "a1B2c3D4e5F6" * 3
FACE, GOOGLE = "h" + "f_" + "QwErTyUiOpAsDfGhJkLzXcVbNm12345678", "AI" + "zaSy0-_abcd" * 4
SLACK, ROW = "xo" + "xb-123456789012-abcdefghijkl", "c1,52.12" + "34,5.6789"
SECRETS = [AWS, GITHUB, FACE, GOOGLE, SLACK, "correct-horse", "hunter2x"]
PRIVATE = "-----BEGIN RSA PRIV" + "ATE KEY-----\n" + ("MIIEpAIBAAKCAQEA" * 4 + "\n") * 3

# path: (content, kind, line, what is told, what the cure of today's file says)
PLANTED = {
    "notes.txt": (picture("JPEG"), "photo", 0, "JPEG", "git rm --cached notes.txt"),
    "masks/a b.dat": (picture("PNG"), "photo", 0, "PNG", "git rm --cached 'masks/a b.dat'"),
    "scan.bin": (picture("TIFF"), "photo", 0, "TIFF", "git rm --cached scan.bin"),
    "img_1": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "photo", 0, "HEIC", "pictures"),
    "img_2": (b"II*\0\x10\0\0\0CR\x02\0" + bytes(9), "photo", 0, "raw", "pictures"),
    "clip": (b"\0\0\0\x20ftypisom\0\0\2\0", "photo", 0, "video", "data folder"),
    "report.html": (b"<p>\n<img src='data:image/jpeg;base64," + b"/9j4" * 600 + b"'>", "photo", 2,
                    "inside of the text", "data folder"),
    "best": (weights(), "weights", 0, "PyTorch", "scripts/publish.py"),
    "old": (weights(legacy=True), "weights", 0, "pickle", "scripts/publish.py"),
    "arrays": (arrays(), "weights", 0, "numpy", "scripts/publish.py"),
    "h": (b"\x89HDF\r\n\x1a\n" + bytes(99), "weights", 0, "HDF5", "scripts/publish.py"),
    "s": (len(HEADER).to_bytes(8, "little") + HEADER + bytes(4), "weights", 0, "safetensors",
          "scripts/publish.py"),
    "phone": (b"\x1c\0\0\0ET12" + bytes(30), "weights", 0, "ExecuTorch", "scripts/publish.py"),
    "pointer.pt": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "data", 0,
                   "pointer of Git LFS", "data folder"),
    "sites.xlsx": (packed(xl__workbook_xml=b"<x/>"), "data", 0, "Excel", "data folder"),
    "long.txt": (b"word " * 200_001, "large file", 0, "1.0 MB", "git rm --cached long.txt"),
    "run.sh": (f"cd ~\ncd {HOME}\n".encode(), "home path", 2, "/ho" + "me/anna", "below ~"),
    "mac.yaml": (b"x: 1\ny: /Use" + b"rs/j.doe/data\n", "home path", 2, "j.doe", "below ~"),
    "win.yaml": (b"data_root: C:\\Use" + b"rs\\Jane\\data\n", "home path", 1, "Jane", "below ~"),
    "explore.ipynb": (json.dumps(NOTEBOOK, indent=1).encode(), "notebook", 13, "with output",
                      "--clear-output --inplace explore.ipynb"),
    "id_rsa": (PRIVATE.encode(), "key", 1, "private key", "revoke"),
    "aws.py": (f"a = 1\nkey = '{AWS}'\n".encode(), "key", 2, "AWS", "revoke"),
    "hub.py": (f"\n\ntoken = '{GITHUB}'\n".encode(), "key", 3, "GitHub", "revoke"),
    "face.yaml": (f"token: {FACE}\n".encode(), "key", 1, "Hugging Face", "revoke"),
    "maps.js": (f"load('{GOOGLE}')\n".encode(), "key", 1, "Google", "revoke"),
    "slack.txt": (f"to {SLACK}\n".encode(), "key", 1, "Slack", "revoke"),
    ".netrc": (b"machine a.org login ann pass" + b"word hunter2x\n", "key", 1, ".netrc", "revoke"),
    "clone.md": (b"# Get it\nhttps://ann:correct-" + b"horse@git.org/x\n", "key", 2, "URL",
                 "revoke"),
    "README2.md": (b"# Camera\n\nWe hung it in the north.\nlatitude: 51.4" + b"967\n",
                   "coordinates", 4, "latitude 51.4...", "round"),
    "sites.csv": (f"site,latitude,longitude\na,51.2,5.6\n{ROW}\n".encode(), "coordinates", 3,
                  "table with latitude, longitude (to 10 m)", "round or move"),
    "german.csv": (("Standort;Breitengrad;Längengrad\na;51,49" + "67;5,6003\n").encode(),
                   "coordinates", 2, "längengrad (to 10 m)", "round"),
    "table.md": (b"text\n\n| site | lat | lon |\n|---|---|---|\n| a | 51.2 | 5.6 |\n"
                 b"| b | 51.4" + b"967 | 5.6003 |\n", "coordinates", 6, "lat, lon",
                 "round or move"),
    "one_cell.csv": (b'site,gps\na,"51.49' + b'67, 5.6003"\n', "coordinates", 2, "gps (to 10 m)",
                     "round"),
    "utm.csv": (b"site;easting;northing\na;330000;5700000\nb;3312" + b"34;5712345\n", "coordinates",
                3, "easting, northing (to 1 m", "round"),
    "site.json": (b'{\n "lat": 51.49' + b',\n "lng": 5.63\n}', "coordinates", 2, "lat 51.4...",
                  "round"),
    "cams.geojson": (b'{"type": "Point",\n "coordinates": [\n  5.60' + b'03,\n  51.4967]}',
                     "coordinates", 3, "GeoJSON", "round"),
    "trip.gpx": (b"<gpx>\n<wpt lat=\"51.49" + b"67\" lon=\"5.6003\"/></gpx>", "coordinates", 2,
                 "lon 5.6...", "round"),
    "trip.kml": (b"<kml>\n<coordinates>5.60" + b"03,51.4967,0</coordinates></kml>", "coordinates",
                 2, "KML", "round"),
    "minutes.txt": (("North\nat 51°29'" + "48.1\"N\n").encode(), "coordinates", 2, "51°", "round"),
    "docs/gps.jpg": (with_exif("gps"), "coordinates", 0, "GPS position in the EXIF", "round"),
    "docs/xmp.png": (with_xmp(), "coordinates", 0, "GPS position in the XMP", "round"),
    "docs/serial.jpg": (with_exif("serial"), "camera", 0, "serial number", "exiftool"),
    "unicode.csv": (("id\tlat\tlon\na\t51.49" + "67\t5.6003\n").encode("utf-16"),
                    "coordinates", 2, "lat, lon (to 10 m)", "round"),
}
PUBLIC = ["docs/gps.jpg", "docs/xmp.png", "docs/serial.jpg", "docs/demo.jpg"]

# What is like a fault and is none.
CLEAN = {
    "README.md": b"# Animals\n\nlatitude: 51.2, longitude: 5.600, lat=51.49, lon=5.63, IoU 0.8712\n"
                 b"git clone https://ann:<token>@git.org/x; https://user:password@host/x\n"
                 b"/home/user/photos C:\\Users\\you /Users/name https://x.org/home/anna\n"
                 b"-----BEGIN PRIVATE KEY----- begins a key; AKIA" + b"IOSFODNN7EXAMPLE is none\n",
    "LICENSE": b"MIT License\n\nCopyright 2026 Ann\n",
    "CITATION.cff": b"cff-version: 1.2.0\nmessage: Cite it.\ntitle: Animals\nversion: 1.0.0\n"
                    b"authors:\n  - family-names: Doe\n",
    "requirements.txt": b"torch>=2.11\n",
    "pyproject.toml": b"[tool.check_release]\npictures = " + json.dumps(PUBLIC).encode() + b"\n",
    "sites.csv": b"site,latitude,longitude,coordinateUncertaintyInMeters\na,51.2,5.6,30.125\n",
    "code.py": b"MEAN = (0.485, 0.456, 0.406)\nbox = [0.1234, 0.4567]  # position\n"
               b"scale: 12.345\nplat = 1.2345\nx = dict(late=3.1415)\n"
               b"say('a table, with latitude', 51.4967)\nsay('and', 1.2345)\n",
    "explore.ipynb": json.dumps({"nbformat": 4, "cells": [{"outputs": []}]}).encode(),
    "docs/demo.jpg": with_exif("none"),
    "small.txt": b"word " * 200_000,
}


def make_clean(folder: Path, **more: bytes) -> Path:
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet")
    commit(folder, {**CLEAN, **more}, "Begin")
    git(folder, "tag", "-a", "v1.0.0", "-m", "as in the paper")
    return folder


def planted_files() -> dict[str, bytes]:
    return {path: fault[0] for path, fault in PLANTED.items()}
