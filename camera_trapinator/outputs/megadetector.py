"""MegaDetector's JSON, format 1.6, which Timelapse and the MegaDetector tools open.

Every connected part of the foreground is a detection, with its mask as an extra key that readers
skip: the blobs, and the faint parts that somebody may want to look at. Their `conf` is the
confidence that something is there, see `records.py`, and that of a classification is the
class_confidence; what is unknown has no classification. The thresholds hold for `conf`: from
`typical_detection_threshold` on 95 % of the validation photos with an animal are found, from
`conservative_detection_threshold` on 99 %.
Source: lila.science/megadetector-output-format; for Timelapse its Recognizer.cs.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

from .. import written_whole
from ..data.threads import in_threads
from .coco import blob_masks
from .records import read_records

DETECTOR = ("animal", "person", "human", "vehicle")  # what detectors call their classes


def write_megadetector(records_path: str | Path, path: str | Path) -> int:
    """Write the JSON from the records. Returns how many photos Timelapse will not read right.

    With one class, or with classes as detectors have them (animal, person, vehicle), these are the
    detection categories. Otherwise the category is `animal`, and the species its classification.
    Timelapse takes every file that does not end in .jpg or .jpeg for a video, and drops its
    detections: those photos are counted.
    """
    info, records = read_records(records_path)
    names = [item["name"] for item in info["classes"]][1:]
    direct = len(names) == 1 or any(name.lower() in DETECTOR for name in names)
    categories = {str(index): name for index, name in enumerate(names, start=1)}
    thresholds = info["thresholds"] or {}
    head = {
        "info": {
            "format_version": "1.6",
            "detector": f"camera_trapinator {info['model']}",
            "detection_completion_time": datetime.now().strftime("%Y-%m-%d %H:%M:%S"),
            "detector_metadata": {
                "typical_detection_threshold": float(thresholds.get("0.95", 0.5)),
                "conservative_detection_threshold": float(thresholds.get("0.99", info["faint"])),
            },
        },
        "detection_categories": categories if direct else {"1": "animal"},
    }
    if not direct:
        head["classification_categories"] = categories
    strange = 0
    with written_whole(path) as temporary, open(temporary, "w", encoding="utf-8",
                                                errors="backslashreplace") as file:
        # Photo by photo: a million of them would not fit into memory.
        file.write(json.dumps(head, indent=1, ensure_ascii=False)[:-2] + ',\n "images": [')
        image_of = partial(_image, direct=direct, smallest_blob=info["smallest_blob"])
        for number, image in enumerate(in_threads(image_of, records)):
            strange += not image["file"].lower().endswith((".jpg", ".jpeg"))
            file.write((",\n  " if number else "\n  ") + json.dumps(image, ensure_ascii=False))
        file.write("\n ]\n}\n")
    return strange


def _image(record: dict, direct: bool, smallest_blob: float) -> dict:
    if record["failure"] is not None:
        return {"file": record["file"], "failure": record["failure"], "detections": None}
    detections = [_detection(blob, direct) for blob in record["blobs"] + record["faint"]]
    for detection, rle in zip(detections, blob_masks(record, smallest_blob), strict=False):
        detection["segmentation"] = rle
    return {"file": record["file"], "detections": detections}


def _detection(blob: dict, direct: bool) -> dict:
    category = str(blob["class"])
    detection = {"category": category if direct else "1", "conf": float(blob["confidence"]),
                 "bbox": inside_photo(blob["box"])}
    if not direct and not blob["unknown"]:
        detection["classifications"] = [[category, float(blob["class_confidence"])]]
    return detection


def inside_photo(box: Sequence[float]) -> list[float]:
    """A box [x, y, width, height] in shares that rounding neither carries over the photo's edge
    nor makes nothing of."""
    x, y, width, height = box
    return [float(x), float(y), *(round(max(min(side, 1 - start), 1e-5), 5)
                                  for start, side in ((x, width), (y, height)))]
