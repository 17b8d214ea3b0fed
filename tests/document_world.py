"""A small world in which the commands of README.md and docs/ run as they stand: a copy of the
repository, beside it the data, a home, a memory card; all small, so that each command takes a
second."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import numpy as np
import yaml
from camtrap_packages import FACTS
from conftest import draw_photo, make_data, run_script
from PIL import Image

from camera_trapinator.data.manifest import read_manifest, write_manifest
from camera_trapinator.labels.review import COLUMNS
from camera_trapinator.outputs.records import read_records
from camera_trapinator.outputs.report_marks import prediction_key
from camera_trapinator.utils import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)

# Networks and photos of this size take a second.
SMALL = {"working_scale": 64, "crop_size": [48, 64], "width": 8, "depth": 2, "epochs": 1,
         "batch_size": 4, "num_workers": 0, "encoder": "none", "epoch_steps": 3, "freeze_levels": 0}
LESS = {"--photos 594 --locations 99 --size 320x240": "--photos 90 --locations 10 --size 96x72",
        "in 0 1 2 3 4": "in 0"}


def blocks(document: Path, kind: str) -> list[str]:
    """The fenced blocks of a kind, such as bash."""
    return [text for name, text in FENCE.findall(document.read_text(encoding="utf-8"))
            if name == kind]


def commands(document: Path) -> list[str]:
    """The commands of a document's bash blocks in their order; a loop is one command."""
    found: list[str] = []
    for block in blocks(document, "bash"):
        inside = False
        for line in block.replace("\\\n", " ").splitlines():
            line = re.sub(r"\s+#.*", "", f" {line}").strip()
            if inside:
                found[-1] += f"\n{line}"
            elif line:
                found.append(line)
            inside = (inside or line.startswith("for ")) and line != "done"
    return found


class World:
    """The folders that the documents name, below one of their own."""

    def __init__(self, root: Path, run: Path):
        """`run`: the folder of a trained run, which stands for all that somebody has trained."""
        self.root, self.home, self.repository = root, root / "home", root / "repository"
        self.home.mkdir(parents=True)
        for name in ("camera_trapinator", "scripts", "configs"):
            shutil.copytree(ROOT / name, self.repository / name,
                            ignore=shutil.ignore_patterns("__pycache__"))
        for path in (self.repository / "configs").glob("*.yaml"):
            content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
            path.write_text(yaml.safe_dump(content | SMALL), encoding="utf-8")
        script = self.repository / "scripts/make_demo_data.py"
        text = script.read_text(encoding="utf-8")
        for old, new in (("default=600", "default=24"), ("default=12, help=\"cameras\"",
                         "default=6, help=\"cameras\""), ('default="640x480"', 'default="96x72"')):
            assert old in text
            text = text.replace(old, new)
        script.write_text(text, encoding="utf-8")
        data = root / "camera_trapinator_data"
        make_data(data / "my_site")
        rows = read_manifest(data / "my_site/manifest.csv")
        write_manifest(data / "my_site/manifest.csv", [row._replace(
            datetime=row.datetime.replace("2024", "2023") if number % 6 < 4 else row.datetime)
            for number, row in enumerate(rows)])
        runs = self.repository / "cnn_states"
        for name in ("unet", "my_site", "demo", "small", "wide", "deep", "fold1"):
            shutil.copytree(run, runs / name, ignore=shutil.ignore_patterns("predict"))
        shutil.copy(run / "best.pt", self.repository / "best.pt")
        shutil.copy(self.repository / "configs/few_masks.yaml",
                    self.repository / "configs/my_site.yaml")
        for name in ("new_photos", "../media/sd_card", "../archive", "../home/cards/may"):
            shutil.copytree(data / "my_site/photos/site0", self.repository / name / "site0")
        for path in (self.repository / "new_photos").rglob("*.JPG"):
            with Image.open(path) as photo:
                photo.load()
            exif = photo.getexif()
            exif.get_ifd(0x8769)[0x9003] = "2024:05:01 10:00:00"
            photo.save(path, exif=exif)
        self._tell_of_the_project()
        shutil.copy(data / "my_site/photos/site0/100RECNX/IMG_0001.JPG",
                    self.repository / "photo.jpg")
        self._draw_labels(self.repository / "photos")
        (data / "my_site").rename(data / "my_site_made")
        self.data = data
        for name in ("LICENSE", "CITATION.cff", ".gitignore"):
            shutil.copy(ROOT / name, self.repository)
        for words in ("init -q", "add camera_trapinator scripts CITATION.cff .gitignore",
                      "-c user.name=A -c user.email=a@b.c commit -qm begin"):
            subprocess.run(["git", *words.split()], cwd=self.repository, check=True)

    def _tell_of_the_project(self) -> None:
        """What people write of cameras and project, and what MegaDetector says: nobody there."""
        (self.repository / "deployments.csv").write_text(
            "deploymentID,location,latitude,longitude,start,end,timezone\n"
            "d1,site0,51.2,5.6,2023-01-01,2025-01-01,Europe/Brussels\n")
        (self.repository / "project.yaml").write_text(yaml.safe_dump(FACTS))
        files = [path.relative_to(self.repository / "new_photos").as_posix()
                 for path in sorted((self.repository / "new_photos").rglob("*.JPG"))]
        (self.repository / "people.json").write_text(json.dumps({
            "info": {"format_version": "1.3", "detector": "md_v5a.0.0.pt"},
            "detection_categories": {"1": "animal", "2": "person", "3": "vehicle"},
            "images": [{"file": file, "detections": []} for file in files]}))

    def _draw_labels(self, folder: Path) -> None:
        """Photos with Labelme's files beside them, of one camera, none with a time."""
        folder.mkdir()
        for number in range(9):
            image, mask = draw_photo(np.random.default_rng(number), 1 + number % 2)
            rows, columns = np.nonzero(mask)
            left, right, top, bottom = columns.min(), columns.max(), rows.min(), rows.max()
            Image.fromarray(image).save(folder / f"IMG_{number:04}.JPG")
            (folder / f"IMG_{number:04}.json").write_text(json.dumps({
                "imagePath": f"IMG_{number:04}.JPG", "imageHeight": 48, "imageWidth": 64,
                "shapes": [{"label": ["fox", "snow hare"][number % 2], "shape_type": "polygon",
                            "points": [[int(x), int(y)] for x, y in (
                                (left, top), (right, top), (right, bottom), (left, bottom))]}]}))

    def prepare(self, command: str) -> None:
        """What a person does before a command, and no command tells."""
        for name, asks in (("my_site", "my_site"), ("demo", "demo|unet"), ("wild7", "wild7")):
            made_by_it = re.search(r"import_labels.py (?!review)|make_demo_data.py", command)
            if re.search(asks, command) and not made_by_it and not (self.data / name).exists():
                shutil.copytree(self.data / "my_site_made", self.data / name)
        run = re.search(r"train\.py .*--run (\S+)", command) or re.search(
            r"train\.py --config configs/(\w+)\.yaml", command)
        if run and "--resume" not in command:
            shutil.rmtree(self.repository / "cnn_states" / run[1], ignore_errors=True)
        if "export.py" in command:  # a few steps have taught nothing that could be compared
            for folder in (self.repository / "cnn_states").iterdir():
                shutil.copy(self.repository / "best.pt", folder)
        if marks := re.search(r"review (\S+) --predictions (\S+)", command):
            self.mark(*(self.repository / Path(name.replace("~", str(self.home)))
                        for name in marks.groups()))

    def mark(self, path: Path, results: Path) -> None:
        """Look at the report, say that all is right, and save the marks."""
        info, records = read_records(results / "predictions.jsonl")
        path.parent.mkdir(exist_ok=True)
        with open(path, "w", newline="", encoding="utf-8-sig") as file:
            table = csv.DictWriter(file, COLUMNS)
            table.writeheader()
            for record in records:
                names = sorted({info["classes"][blob["class"]]["name"] for blob in record["blobs"]})
                word = " + ".join(names) or "empty"
                table.writerow({"file": record["file"], "predicted": word, "verdict": "right",
                                "species": word, "model": info["model"],
                                "weights": info["weights"], "prediction": prediction_key(record)})

    def run(self, command: str) -> subprocess.CompletedProcess:
        """Run a command of a document, but for the sizes of SMALL and LESS as it stands."""
        for long, short in LESS.items():
            command = command.replace(long, short)
        self.prepare(command)
        mine, learned = self.repository / "cnn_states/my_site/best.pt", b""
        if "--out results/" in command:  # a few steps have taught nothing that could be marked
            learned = mine.read_bytes()
            shutil.copy(self.repository / "best.pt", mine)
        try:
            return self.run_as_it_stands(command)
        finally:
            if learned:
                mine.write_bytes(learned)

    def run_as_it_stands(self, command: str) -> subprocess.CompletedProcess:
        if command.startswith("for "):
            name, values, body = re.match(r"for (\w+) in ([^;\n]*);? ?\n?do\n(.*)\ndone$", command,
                                          re.DOTALL).groups()
            for value in values.split():
                for line in body.splitlines():
                    result = self.run(line.replace(f"${name}", value))
                    if result.returncode:
                        return result
            return result
        words = self.words(command)
        if words[:1] == ["python"] and words[1].startswith("scripts/"):
            return run_script(words[1].removeprefix("scripts/"), *words[2:],
                              repository=self.repository, HOME=str(self.home))
        if words[0] == "torchrun":
            words[:1] = [sys.executable, "-m", "torch.distributed.run"]
            words[words.index("--nproc_per_node") + 1] = "2"
        return subprocess.run(words, cwd=self.repository, capture_output=True, text=True,
                              timeout=300, env=self.environment())

    def words(self, command: str) -> list[str]:
        """The words of a command, as a shell expands them."""
        command = re.sub(r"(?<=[ =])/(media|archive)", rf"{quote(str(self.root))}/\1", command)
        result = subprocess.run(["bash", "-c", f"printf '%s\\0' {command}"], cwd=self.repository,
                                capture_output=True, text=True, check=True, env=self.environment())
        return result.stdout.split("\0")[:-1]

    def environment(self) -> dict[str, str]:
        return dict(os.environ, HOME=str(self.home), PYTHONPATH=str(self.repository),
                    CUDA_VISIBLE_DEVICES="", OMP_NUM_THREADS="1")
