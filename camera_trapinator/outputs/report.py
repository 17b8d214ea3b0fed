"""report.html: one page that shows where the model is right and wrong; nothing else is needed.

The page (report.html, .css and the .js files beside this one) is made from JSON within it.
Thumbnails lie at its end in script elements of 50 photos, which the browser parses when they are
first shown. A Content-Security-Policy forbids all but the page's own style and script, and pictures
in it. It holds no position, and no path but those below the folder of photos.
"""

import base64
import hashlib
import heapq
import html
import io
import json
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import numpy as np
from PIL import Image

from .. import IGNORE, InputError, written_whole
from ..data.manifest import BACKGROUND
from ..data.masks import palette, read_mask, resize_mask
from ..data.photos import read_photo
from .drawing import visible
from .records import UNKNOWN, classes_of, is_empty, mask_of, read_records, species_of

GALLERY = 5000  # photos at most: a page of some 40 MB
THUMBNAIL = 240  # pixels of its long side
CHUNK = 50  # photos in a script element
# The page's one script, in this order.
SCRIPTS = ("report_elements.js", "report_sections.js", "report_gallery.js", "report.js")
GREY = (128, 128, 128)  # the background in tables
GRID = 24, 32  # cells of a heat map, down and across
MOST_HEATS, FEWEST_PHOTOS, LEAST_SHARE = 12, 5, 0.2  # which heat maps are worth a look


def write_report(records_path: str | Path, photos_root: str | Path, path: str | Path, title: str,
                 sequences: Sequence[str], report: dict | None = None,
                 known: Sequence[str] = ()) -> None:
    """Write the page from the records; `report` is that of an evaluation (scores.build_report).

    `sequences`: the burst ids of the photos in the order of the records; `known`: sentences on the
    model, where nobody knows what is in the photos.
    """
    info, records = read_records(records_path)
    classes = classes_of(info)
    facts = _Facts([name for name, _ in classes], scored=report is not None)
    gathered = facts.gather(records, sequences)
    worth = heapq.nlargest(GALLERY, gathered, key=lambda item: item[:2])
    chosen = [photo for _, _, photo in sorted(worth, key=lambda item: -item[1])]
    numbers = {-order for _, order, _ in worth}
    for index, photo in enumerate(chosen):
        photo["index"] = index
    data = {
        "title": title, "subtitle": f"model {info['model']}, "
        f"{datetime.now().strftime('%d %B %Y')}",
        "note": report["note"] if report else "", "known": known,
        # The classes, and behind them what a blob may be besides.
        "kinds": [{"name": name, "colour": f"rgb{visible(colour) if index else GREY}"}
                  for index, (name, colour) in enumerate(
                      [*classes, *[(name, GREY) for name in facts.kinds[len(classes):]]])],
        "classes": len(classes),
        "counts": facts.counts, "report": report, "thresholds": info["thresholds"],
        "locationNames": list(facts.locations), "species": facts.species_table(),
        "locations": facts.location_table(report), "heats": facts.heats(Path(photos_root)),
        "photos": chosen, "chunk": CHUNK,
    }
    head, tail = _page(title, data).split("<!--THUMBNAILS-->")
    with written_whole(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.write(head)
        wanted = (record for number, record in enumerate(read_records(records_path)[1])
                  if number in numbers)
        for number, chunk in enumerate(_chunks(wanted, Path(photos_root), classes)):
            file.write(f'<script type="application/json" id="thumbnails-{number}">'
                       f"{json.dumps(chunk)}</script>\n")
        file.write(tail)


class _Facts:
    """What all photos together tell, gathered in one pass over the records."""

    def __init__(self, names: Sequence[str], scored: bool):
        self.names, self.scored = names, scored
        self.kinds = list(dict.fromkeys([*names, UNKNOWN]))
        self.counts = {"photos": 0, "animals": 0, "empty": 0, "failures": 0}
        self.locations: dict[str, dict] = {}
        self.species = [{"photos": 0, "most": 0, "hours": [0] * 24, "sequences": set(),
                         "locations": set()} for _ in self.kinds]

    def gather(self, records: Iterator[dict], sequences: Sequence[str],
               ) -> Iterator[tuple[float, int, dict]]:
        """Count the photos, and yield (how much worth a look, order, what the gallery tells)."""
        for number, (record, sequence) in enumerate(zip(records, sequences, strict=True)):
            place = self.locations.setdefault(record["location"], {
                "number": len(self.locations), "photos": 0, "animals": 0, "empty": 0,
                "failures": 0, "missed": 0, "false_alarms": 0, "heat": np.zeros(GRID, np.int32),
                "heat_photos": 0, "example": None})
            kind = ("failures" if record["failure"] is not None
                    else "empty" if is_empty(record) else "animals")
            for counts in (self.counts, place):
                counts["photos"] += 1
                counts[kind] += 1
            wrong, verdict = self._judge(record)
            place["missed"] += verdict == "missed"
            place["false_alarms"] += verdict == "false alarm"
            if record["failure"] is None:
                self._heat(record, place, verdict)
            blobs = [(blob, self.kinds.index(species_of(blob, self.names)))
                     for blob in record["blobs"]]
            photo = {
                "file": record["file"], "location": place["number"],
                "datetime": record["datetime"], "confidence": record["confidence"],
                "species": sorted({kind for _, kind in blobs}),
                "faint": bool(record["faint"]), "night": bool(record["infrared"]),
                "failure": record["failure"], "wrong": wrong, "verdict": verdict,
                "blobs": [{"box": [round(value, 4) for value in blob["box"]], "kind": kind,
                           "sure": blob["class_confidence"]} for blob, kind in blobs],
            }
            self._count_species(record, sequence, [kind for _, kind in blobs])
            unsure = 0 if record["failure"] is not None else 1 - abs(record["confidence"] - 0.5)
            yield (wrong or 0.0) if self.scored else unsure, -number, photo

    def _judge(self, record: dict) -> tuple[float | None, str]:
        """The share of wrong pixels, and what is wrong with the photo as a whole."""
        if record["failure"] is not None or not self.scored:
            return None, ""
        counts = np.array(record["confusion"])
        if not counts.any():
            return None, ""
        truth = bool(counts[1:].any())
        verdict = ("" if truth == bool(record["blobs"]) else "missed" if truth else "false alarm")
        return round(float(1 - counts.trace() / counts.sum()), 5), verdict

    def _count_species(self, record: dict, sequence: str, found: list[int]) -> None:
        for index in set(found):
            row = self.species[index]
            row["photos"] += 1
            row["most"] = max(row["most"], found.count(index))
            row["sequences"].add(hash((record["location"], sequence or record["file"])))
            row["locations"].add(record["location"])
            if record["datetime"]:
                row["hours"][int(record["datetime"][11:13])] += 1

    def _heat(self, record: dict, place: dict, verdict: str) -> None:
        """Count where the blobs lie; in an evaluation only those of photos that are empty."""
        if self.scored and (np.array(record["confusion"])[1:].any() or record["truth"] == ""):
            return
        place["heat_photos"] += 1
        place["example"] = place["example"] or record["file"]
        covered = np.zeros(GRID, bool)
        for blob in record["blobs"]:
            x, y, width, height = blob["box"]
            covered[int(y * GRID[0]):int(np.ceil((y + height) * GRID[0])),
                    int(x * GRID[1]):int(np.ceil((x + width) * GRID[1]))] = True
        place["heat"] += covered

    def species_table(self) -> list[dict]:
        return [{"index": index, "photos": row["photos"], "most": row["most"],
                 "hours": row["hours"], "sequences": len(row["sequences"]),
                 "locations": len(row["locations"])}
                for index, row in enumerate(self.species) if index]

    def location_table(self, report: dict | None) -> list[dict]:
        """One row a location; in an evaluation the worst first."""
        keys = ("photos", "animals", "empty", "failures", "missed", "false_alarms")
        rows = [{"name": name, **{key: row[key] for key in keys}}
                for name, row in sorted(self.locations.items())]
        if report is None:
            return rows
        for row in rows:
            scores = report["per_location"].get(row["name"], {})
            row |= {key: scores.get(key) for key in ("mean_iou", "foreground_iou")}
        return sorted(rows, key=lambda row: 2.0 if row["foreground_iou"] is None
                      else row["foreground_iou"])

    def heats(self, root: Path) -> list[dict]:
        """The heat maps of the locations where one place fires most often, each on a photo."""
        found = []
        for name, row in self.locations.items():
            if row["heat_photos"] >= FEWEST_PHOTOS:
                shares = row["heat"] / row["heat_photos"]
                if shares.max() >= LEAST_SHARE:
                    found.append((float(shares.max()), name, shares, row))
        heats = []
        for most, name, shares, row in heapq.nlargest(MOST_HEATS, found, key=lambda item: item[0]):
            photo = _photo(root / row["example"])
            if photo is not None:
                heats.append({"location": name, "photos": row["heat_photos"], "most": most,
                              "height": GRID[0], "width": GRID[1], "photo": _jpeg(photo),
                              "shares": [round(share, 2) for share in shares.ravel().tolist()]})
        return heats


# -------------------------------------------------------------------------------- pictures


def _chunks(records: Iterator[dict], root: Path, classes) -> Iterator[list]:
    """Lists of [photo, predicted mask, true mask] of CHUNK photos each, base64 or None."""
    colours = [colour for _, colour in classes]
    with ThreadPoolExecutor() as pool:
        while chunk := [record for _, record in zip(range(CHUNK), records, strict=False)]:
            yield list(pool.map(lambda record: _thumbnails(record, root, colours), chunk))


def _thumbnails(record: dict, root: Path, colours: list) -> list[str | None]:
    photo = None if record["failure"] is not None else _photo(root / record["file"])
    if photo is None:
        return [None, None, None]
    truth = record.get("truth", "")
    known = truth not in ("", BACKGROUND) and (root / truth).is_file()
    return [_jpeg(photo), _mask_png(mask_of(record), photo.shape, colours),
            _mask_png(read_mask(root / truth), photo.shape, colours) if known else None]


def _photo(path: Path) -> np.ndarray | None:
    """The photo as a thumbnail, uint8 (h, w, 3); None if it is no longer there."""
    try:
        return read_photo(path, THUMBNAIL).image
    except InputError:
        return None


def _jpeg(image: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=62)
    return base64.b64encode(buffer.getvalue()).decode()


def _mask_png(mask: np.ndarray, size: Sequence[int], colours: list) -> str | None:
    """The mask at the thumbnail's size, the background transparent; None if it is all that."""
    mask = resize_mask(mask, size[1], size[0])
    if not mask.any():
        return None
    picture = Image.fromarray(mask)
    table = palette([visible(colour) for colour in colours])
    table[IGNORE] = 128
    picture.putpalette(table.tobytes())
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", transparency=0)
    return base64.b64encode(buffer.getvalue()).decode()


# ------------------------------------------------------------------------------------ page


def _page(title: str, data: dict) -> str:
    folder = Path(__file__).parent
    style, page, *scripts = ((folder / name).read_text(encoding="utf-8")
                             for name in ("report.css", "report.html", *SCRIPTS))
    script = "\n".join(scripts)
    # `<` must not end the script element that the JSON stands in.
    texts = {"STYLE": style, "SCRIPT": script, "TITLE": html.escape(title),
             "DATA": json.dumps(data, allow_nan=False).replace("<", "\\u003c"),
             "STYLE_HASH": _hash_of(style), "SCRIPT_HASH": _hash_of(script)}
    return re.sub(r"\{\{(\w+)\}\}", lambda match: texts[match[1]], page)


def _hash_of(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
