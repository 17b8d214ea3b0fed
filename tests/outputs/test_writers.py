"""Every output of a folder, written by test.py: each photo in each file that should hold it."""

import json
import re
from collections import Counter

import numpy as np
from conftest import run_script
from megadetector_rules import check_megadetector
from PIL import Image
from prediction_records import HOSTILE, rows_of
from pycocotools.coco import COCO

from camera_trapinator.outputs.records import read_records


def test_a_folder_stands_whole_in_every_file(trained, tmp_path):
    """test.py with every output: each photo in each file that should hold it, the counts agree."""
    folder = tmp_path / "card"
    random = np.random.default_rng(0)
    for name in HOSTILE[:2] + ["deep/er/a.jpg", "a.png", "b.JPG"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(60, 120, (48, 64, 3)).astype(np.uint8)
        pixels[10:30, 20:44] = (220, 130, 60)
        Image.fromarray(pixels).save(folder / name)
    (folder / "torn.jpg").write_bytes(b"no photo")
    wanted = "masks, overlays, csv, megadetector, coco, xmp, report"
    result = run_script("test.py", "--run", "shapes", "--images", folder, "--out", tmp_path / "out",
                        f"outputs={wanted}", runs=trained)
    assert result.returncode == 0, result.stderr
    assert "note        1 photos do not end in .jpg" in result.stdout
    out = tmp_path / "out"
    photos = list(read_records(out / "predictions.jsonl")[1])
    blobs = Counter({record["file"]: len(record["blobs"]) for record in photos})
    assert len(photos) == 6 and sum(blobs.values()) > 0
    readable = {record["file"] for record in photos if record["failure"] is None}
    assert len(readable) == 5
    content = json.loads((out / "megadetector.json").read_text(encoding="utf-8"))
    check_megadetector(content)
    assert {image["file"] for image in content["images"]} == {record["file"] for record in photos}
    assert sum("segmentation" in detection for image in content["images"]
               for detection in image["detections"] or []) == sum(blobs.values())
    coco = COCO(str(out / "coco.json"))
    names = {image["id"]: image["file_name"] for image in coco.loadImgs(coco.getImgIds())}
    assert set(names.values()) == readable
    results = json.loads((out / "coco_results.json").read_text())
    assert Counter(names[item["image_id"]] for item in results) == +blobs
    rows = rows_of(out / "predictions.csv")
    assert {row["file"].removeprefix("'") for row in rows} == readable
    assert [row["file"] for row in rows_of(out / "failures.csv")] == ["torn.jpg"]
    assert +blobs == Counter(row["file"].removeprefix("'")
                             for row in rows_of(out / "detections.csv"))
    assert sum(int(row["photos"]) for row in rows_of(out / "sequences.csv")) == 5
    text = (out / "report.html").read_text(encoding="utf-8")
    page = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])
    assert page["counts"] == {"photos": 6, "failures": 1, "empty": 5 - len(+blobs),
                              "animals": len(+blobs), "truth": 0}
    assert Counter({photo["file"]: len(photo["blobs"]) for photo in page["photos"]}) == blobs
    for kind, ending in (("masks", ".png"), ("overlays", ".jpg"), ("xmp", ".xmp")):
        found = {path.relative_to(out / kind).as_posix().removesuffix(ending)
                 for path in (out / kind).rglob("*" + ending)}
        assert found == readable
