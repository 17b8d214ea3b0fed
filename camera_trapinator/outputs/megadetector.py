"""MegaDetector's JSON, format 1.6, which Timelapse and the MegaDetector tools open.

Every blob is a detection, with its mask as an extra key that readers skip, and so are the faint
parts that somebody may want to look at. Their `conf` is the confidence that something is there, see
`records.py`, and that of a classification is the class_confidence; what is unknown has no
classification.

These readers know one rule: what reaches `typical_detection_threshold` is an animal. So that they
find the animals of all other outputs, and no more, that threshold is what counts here, the knob
`min_confidence` (at least the knob `faint`), and the `conservative_` one is the same. What counts
has at least that `conf`, and what does not, because it is too small, say, is capped just below it.
Timelapse rounds to three digits: the threshold is rounded down to them, and the cap is one such
step lower.
Source: lila.science/megadetector-output-format; for Timelapse its Recognizer.cs.
"""

import json
import math
import re
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

from .. import written_whole
from ..data.progress import named
from ..data.threads import in_threads
from .coco import blob_masks
from .records import read_records

DETECTOR = ("animal", "person", "human", "vehicle")  # what detectors call their classes


@named("megadetector")
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
    threshold = threshold_of(info)
    head = {
        "info": {
            "format_version": "1.6",
            "detector": f"camera_trapinator {info['model']}",
            "detection_completion_time": datetime.now().strftime("%Y-%m-%d %H:%M:%S"),
            "detector_metadata": {"typical_detection_threshold": threshold,
                                  "conservative_detection_threshold": threshold},
        },
        "detection_categories": categories if direct else {"1": "animal"},
    }
    if not direct:
        # Of what has a name here, Timelapse drops no name.
        head["info"]["classifier_metadata"] = {
            "typical_classification_threshold": float(info["unknown_below"])}
        head["classification_categories"] = categories
        head["classification_category_descriptions"] = {
            key: description(name) for key, name in categories.items()}
    strange = 0
    with written_whole(path) as temporary, open(temporary, "w", encoding="utf-8",
                                                errors="backslashreplace") as file:
        # Photo by photo: a million of them would not fit into memory.
        file.write(json.dumps(head, indent=1, ensure_ascii=False)[:-2] + ',\n "images": [')
        image_of = partial(_image, direct=direct, info=info)
        for number, image in enumerate(in_threads(image_of, records)):
            strange += not image["file"].lower().endswith((".jpg", ".jpeg"))
            file.write((",\n  " if number else "\n  ") + json.dumps(image, ensure_ascii=False))
        file.write("\n ]\n}\n")
    return strange


def threshold_of(info: dict) -> float:
    """From which `conf` on a detection is an animal; `info`: the first line of the records."""
    return math.floor(max(info["min_confidence"], info["faint"]) * 1000 + 1e-6) / 1000


def description(name: str) -> str:
    """A class as the tools describe a species: uuid;class;order;family;genus;species;common name.

    Nothing but the name is known here. In lower case, or MegaDetector's smoothing stops; what parts
    taxa there (;) and descriptions (|) cannot stand in a name.
    Source: wi_taxonomy_utils.py of MegaDetector, is_valid_prediction_string.
    """
    return ";" * 6 + " ".join(re.sub("[;|]", " ", name).lower().split())


def _image(record: dict, direct: bool, info: dict) -> dict:
    if record["failure"] is not None:
        return {"file": record["file"], "failure": record["failure"], "detections": None}
    threshold = threshold_of(info)
    detections = [
        *(_detection(blob, max(blob["confidence"], threshold), direct) for blob in record["blobs"]),
        *(_detection(part, min(part["confidence"], round(threshold - 0.001, 3)), direct)
          for part in record["faint"])]
    for detection, rle in zip(detections, blob_masks(record, info), strict=False):
        detection["segmentation"] = rle
    return {"file": record["file"], "detections": detections}


def _detection(blob: dict, confidence: float, direct: bool) -> dict:
    category = str(blob["class"])
    detection = {"category": category if direct else "1", "conf": float(confidence),
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
