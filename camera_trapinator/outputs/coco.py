"""COCO: the predictions as results, to be scored with COCOeval, and as a data set of their own.

Every blob is an annotation with its mask (run lengths; or, in the data set, the outlines of
`polygons.py`, which give the same pixels), box and area in pixels of the upright photo. Its score
is its certainty, see `records.py`, and the two confidences stand beside. The category of what is
unknown is the best guess. Photos that could not be read have no size, which COCO asks for, so they
stand in neither file.
Source: cocodataset.org/#format-data and #format-results.
"""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from .. import written_whole
from ..data.masks import resize_mask
from ..data.progress import named
from ..data.rle import decode_runs, encode_rle, encode_runs, filled
from ..data.threads import in_threads
from .parts import animals_of
from .polygons import polygons_of
from .records import certainty, read_records, runs_of_record

UPRIGHT = ("Sizes, boxes and masks are those of the upright photo, as its EXIF orientation shows "
           "it. An image with exif_orientation is stored turned (null: it can no longer be read, "
           "nobody knows): programs that pass over EXIF need upright copies")


@named("coco")
def write_coco(records_path: str | Path, path: str | Path, results_path: str | Path,
               segmentation: str = "rle", turned: Mapping[str, int | None] = {}) -> None:
    """Write the data set to `path` and the results to `results_path`.

    Image ids count from 1 in the order of the records, category ids are those of classes.csv.
    `segmentation`: rle or polygons, of the data set; `turned`: see `turned_photos`.
    """
    info, records = read_records(records_path)
    categories = [{"id": index, "name": item["name"]}
                  for index, item in enumerate(info["classes"]) if index]
    options = {"mode": "w", "encoding": "utf-8", "errors": "backslashreplace"}
    with written_whole(path) as part, written_whole(results_path) as results_part, \
            open(part, **options) as file, open(results_part, **options) as results:
        # Photo by photo: a million of them would not fit into memory.
        head = {"info": {"description": f"camera_trapinator {info['model']}. {UPRIGHT}"},
                "categories": categories}
        file.write(json.dumps(head, ensure_ascii=False)[:-1] + ', "images": [')
        mark = "\n"
        for number, record in _readable(records):
            image = {"id": number, "file_name": record["file"], "width": record["width"],
                     "height": record["height"], "location": record["location"],
                     "datetime": record["datetime"]}
            if record["file"] in turned:
                image["exif_orientation"] = turned[record["file"]]
            file.write(mark + json.dumps(image, ensure_ascii=False))
            mark = ",\n"
        file.write('\n], "annotations": [')
        results.write("[")
        mark, count = "\n", 0
        results_of = partial(_results, info=info)
        readable = _readable(read_records(records_path)[1])
        for found in in_threads(results_of, readable):
            for result in found:
                count += 1
                outline = result["segmentation"]
                if segmentation == "polygons":
                    outline = polygons_of(outline)
                file.write(mark + json.dumps({"id": count, **result, "segmentation": outline,
                                              "iscrowd": 0}))
                results.write(mark + json.dumps(result))
                mark = ",\n"
        file.write("\n]}\n")
        results.write("\n]\n")


def _readable(records: Iterator[dict]) -> Iterator[tuple[int, dict]]:
    """The photos that could be read, with their numbers among all photos."""
    for number, record in enumerate(records, start=1):
        if record["failure"] is None:
            yield number, record


def _results(numbered: tuple[int, dict], info: dict) -> list[dict]:
    image, record = numbered
    sides = (record["width"], record["height"]) * 2
    return [{
        "image_id": image, "category_id": blob["class"], "segmentation": rle,
        "bbox": [round(share * side, 2) for share, side in zip(blob["box"], sides, strict=True)],
        "score": certainty(blob), "confidence": blob["confidence"],
        "class_confidence": blob["class_confidence"],
        "area": int(np.diff(decode_runs(rle)[:2], axis=0).sum()),  # ends less starts, in pixels
    } for blob, rle in zip(record["blobs"], blob_masks(record, info), strict=True)]


def blob_masks(record: dict, info: dict) -> Iterator[dict]:
    """The run lengths of each blob of a record, at the photo's own size, in the record's order.
    `info`: the first line of the records."""
    if not record["blobs"]:
        return
    size, width, height = record["rle"]["size"], record["width"], record["height"]
    for part in animals_of(runs_of_record(record), size, info["smallest_blob"]):
        if size == [height, width]:
            yield encode_runs(part, size)
        else:
            yield encode_rle(resize_mask(filled(part, size) > 0, width, height))
