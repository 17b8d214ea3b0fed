"""report.html: one page that shows where the model is right and wrong; nothing else is needed.

The page (report.html, .css and the .js files beside this one) is made from JSON within it.
Thumbnails lie at its end in script elements of 50 photos, which the browser parses when they are
first shown. A Content-Security-Policy forbids all but the page's own style and script, pictures in
it, and the photos themselves: by `file:` from the disk, where the page lies on it ('self' where a
server brings both), and by `blob:` those whose folder the reader of the page chooses. Nothing is
asked of the network. It holds no position, and no path but those below the folder of photos and,
where both share a folder, the way from the page to that one.
"""

import base64
import hashlib
import heapq
import html
import json
import os
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

import numpy as np

from .. import written_whole
from ..data.progress import named
from .bursts import Burst
from .drawing import visible
from .people import EVERYBODY, People
from .records import UNKNOWN, certainty, classes_of, is_empty, read_records, species_of
from .report_marks import digest, prediction_key
from .report_pictures import CHUNK, in_chunks, jpeg, thumbnail

GALLERY = 5000  # photos at most: a page of some 40 MB
# The page's one script, in this order.
SCRIPTS = ("report_elements.js", "report_sections.js", "report_species.js", "report_marks.js",
           "report_large.js", "report_gallery.js", "report.js")
GREY = (128, 128, 128)  # the background in tables
GRID = 24, 32  # cells of a heat map, down and across
MOST_HEATS, FEWEST_PHOTOS, LEAST_SHARE = 12, 5, 0.2  # which heat maps are worth a look


@named("report")
def write_report(records_path: str | Path, photos_root: str | Path, path: str | Path, title: str,
                 bursts: Sequence[Burst], report: dict | None = None,
                 known: Sequence[str] = (), people: People = EVERYBODY) -> None:
    """Write the page from the records; `report` is that of an evaluation (scores.build_report).

    `bursts`: what the photos tell together; `known`: sentences on the model, where nobody knows
    what is in the photos; `people` are not to be seen: the page knows no way to such a photo.
    """
    info, records = read_records(records_path)
    classes = classes_of(info)
    facts = _Facts([name for name, _ in classes], report is not None, people)
    gathered = facts.gather(records)
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
        "minConfidence": info.get("min_confidence"), "nightHours": facts.night_hours(),
        "model": info["model"], "weights": info["weights"], "way": _way(Path(path), photos_root),
        "key": digest([info["weights"], *[[photo["file"], photo["prediction"]]
                                          for photo in chosen]]),
        "locationNames": list(facts.locations),
        "species": facts.species_table(bursts),
        "locations": facts.location_table(report), "heats": facts.heats(Path(photos_root)),
        "photos": chosen, "chunk": CHUNK,
    }
    head, tail = _page(title, data).split("<!--THUMBNAILS-->")
    with written_whole(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.write(head)
        wanted = (record for number, record in enumerate(read_records(records_path)[1])
                  if number in numbers)
        for number, chunk in enumerate(in_chunks(wanted, Path(photos_root), classes, people)):
            file.write(f'<script type="application/json" id="thumbnails-{number}">'
                       f"{json.dumps(chunk)}</script>\n")
        file.write(tail)


class _Facts:
    """What all photos together tell, gathered in one pass over the records."""

    def __init__(self, names: Sequence[str], scored: bool, people: People):
        self.names, self.scored, self.people = names, scored, people
        self.kinds = list(dict.fromkeys([*names, UNKNOWN]))
        self.counts = {"photos": 0, "animals": 0, "empty": 0, "failures": 0, "truth": 0}
        self.hours, self.nights = [0] * 24, [0] * 24  # photos by hour; night pictures among them
        self.locations: dict[str, dict] = {}
        self.species = [{"photos": 0, "most": 0, "hours": [0] * 24} for _ in self.kinds]

    def gather(self, records: Iterator[dict]) -> Iterator[tuple[float, int, dict]]:
        """Count the photos, and yield (how much worth a look, order, what the gallery tells); not
        those that are hidden, which `counts` has as such."""
        for number, record in enumerate(records):
            place = self.locations.setdefault(record["location"], {
                "number": len(self.locations), "photos": 0, "animals": 0, "empty": 0,
                "failures": 0, "truth": 0, "missed": 0, "false_alarms": 0,
                "heat": np.zeros(GRID, np.int32), "heat_photos": 0, "example": None})
            kind = ("failures" if record["failure"] is not None
                    else "empty" if is_empty(record) else "animals")
            wrong, truth, verdict = self._judge(record)
            for counts in (self.counts, place):
                counts["photos"] += 1
                counts[kind] += 1
                counts["truth"] += bool(truth)
            if record["datetime"] and record["failure"] is None:
                self.hours[_hour_of(record)] += 1
                self.nights[_hour_of(record)] += bool(record["infrared"])
            place["missed"] += verdict == "missed"
            place["false_alarms"] += verdict == "false alarm"
            there = self.people.in_record(record)
            if record["failure"] is None:
                self._heat(record, place, verdict, there)
            blobs = [(blob, self.kinds.index(species_of(blob, self.names)))
                     for blob in record["blobs"]]
            photo = {
                "file": record["file"], "location": place["number"],
                "datetime": record["datetime"], "confidence": record["confidence"],
                "species": sorted({kind for _, kind in blobs}),
                "faint": bool(record["faint"]), "night": bool(record["infrared"]),
                "failure": record["failure"], "wrong": wrong, "truth": truth, "verdict": verdict,
                "blobs": [{"box": [round(value, 4) for value in blob["box"]], "kind": kind,
                           "sure": blob["class_confidence"], "certain": certainty(blob)}
                          for blob, kind in blobs],
                "size": [record["width"], record["height"]], "prediction": prediction_key(record),
            }
            self._count_species(record, [kind for _, kind in blobs])
            if there:
                photo["people"] = True
            if self.people.hides(there):
                self.counts["hidden"] = self.counts.get("hidden", 0) + 1
                continue
            unsure = 0 if record["failure"] is not None else 1 - abs(record["confidence"] - 0.5)
            yield (wrong or 0.0) if self.scored else unsure, -number, photo

    def _judge(self, record: dict) -> tuple[float | None, list[int] | None, str]:
        """The share of wrong pixels, the species that are there, and what is wrong with the photo
        as a whole."""
        if record["failure"] is not None or not self.scored:
            return None, None, ""
        counts = np.array(record["confusion"])
        if not counts.any():
            return None, None, ""
        truth = (np.flatnonzero(counts[1:].any(axis=1)) + 1).tolist()
        verdict = ("" if bool(truth) == bool(record["blobs"]) else
                   "missed" if truth else "false alarm")
        return round(float(1 - counts.trace() / counts.sum()), 5), truth, verdict

    def _count_species(self, record: dict, found: list[int]) -> None:
        for index in set(found):
            row = self.species[index]
            row["photos"] += 1
            row["most"] = max(row["most"], found.count(index))
            if record["datetime"]:
                row["hours"][_hour_of(record)] += 1

    def _heat(self, record: dict, place: dict, verdict: str, there: bool) -> None:
        """Count where the blobs lie; in an evaluation only those of photos that are empty."""
        if self.scored and (np.array(record["confusion"])[1:].any() or record["truth"] == ""):
            return
        place["heat_photos"] += 1
        if not there:  # nobody is needed on the picture behind the heat map
            place["example"] = place["example"] or record["file"]
        covered = np.zeros(GRID, bool)
        for blob in record["blobs"]:
            x, y, width, height = blob["box"]
            covered[int(y * GRID[0]):int(np.ceil((y + height) * GRID[0])),
                    int(x * GRID[1]):int(np.ceil((x + width) * GRID[1]))] = True
        place["heat"] += covered

    def night_hours(self) -> list[float]:
        """For each hour of the day the share of night pictures among all photos of it."""
        return [round(nights / max(photos, 1), 2)
                for nights, photos in zip(self.nights, self.hours, strict=True)]

    def species_table(self, bursts: Sequence[Burst]) -> list[dict]:
        """What single photos say of each species, and what the photos of a burst tell together."""
        rows = []
        for index, (name, row) in enumerate(zip(self.kinds, self.species, strict=True)):
            those = [burst for burst in bursts if name in burst.species]
            rows.append({
                "index": index, **row, "sequences": len(those),
                "locations": len({burst.location for burst in those}),
                "count": max((burst.species[name].count for burst in those), default=0)})
        return rows[1:]

    def location_table(self, report: dict | None) -> list[dict]:
        """One row a location; in an evaluation the worst first."""
        keys = ("photos", "animals", "truth", "empty", "failures", "missed", "false_alarms")
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
            photo = thumbnail(root / row["example"]) if row["example"] else None
            if photo is not None:
                heats.append({"location": name, "photos": row["heat_photos"], "most": most,
                              "height": GRID[0], "width": GRID[1], "photo": jpeg(photo),
                              "shares": [round(share, 2) for share in shares.ravel().tolist()]})
        return heats


def _hour_of(record: dict) -> int:
    return int(record["datetime"][11:13])


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


def _way(page: Path, photos_root: str | Path) -> str | None:
    """The way from the page to the folder of the photos, as in an address. None where they lie on
    two disks or in two homes: it would tell all folders from the root on, or a user's name."""
    here, there = page.resolve().parent, Path(photos_root).resolve()
    try:
        common = Path(os.path.commonpath([here, there]))
    except ValueError:  # two drives of Windows
        return None
    if common in (Path(common.anchor), Path.home().parent):
        return None
    return quote(os.fsencode(Path(os.path.relpath(there, here)).as_posix()))


def _hash_of(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
