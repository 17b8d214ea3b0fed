"""Positions on the earth in a text, finer than what may be published.

How fine is too fine (a degree of latitude is 111 km; Chapman 2020, doi.org/10.15468/doc-5jp4-5g10,
has one decimal for species at high risk, two at medium risk, three at low risk):

* in tables and data files (CSV, JSON, YAML, KML, GPX ...) two decimals (1 km) and more: who has
  decided that a kilometre does no harm accepts it in pyproject.toml, with the reason;
* in other texts (documentation, code) three decimals (100 m) and more.

One decimal (11 km), as in examples, is never told; nor are trailing zeros, since 51.200000 is 51.2.

Read are columns named latitude, longitude, lat, lon, lng, decimalLatitude, easting, northing, gps
and the like (easting and northing: finer than 10 km), also in a table inside of another text; the
same names before a number; GeoJSON, KML, GPX, WKT; degrees with seconds or decimals and a °; links
to maps, geo: and plus codes; two numbers in a row in a line that speaks of GPS, sites or
coordinates. Not found are tables without a header, other grids (MGRS, national ones under other
column names) and a place that is told by its name.
"""

import csv
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import PurePosixPath

from .leaks import HIDDEN, Leak, line_of

TABLES = (".csv", ".tsv", ".tab")
DATA = (*TABLES, ".json", ".geojson", ".jsonl", ".yaml", ".yml", ".kml", ".gpx", ".xml", ".xmp")
CODE = (".py", ".js", ".ts", ".r", ".c", ".cpp", ".h", ".sh", ".css", ".html", ".ipynb", ".toml")
# Every text is searched for numbers; what stands before one, in lower case, tells what it is.
NUMBER = re.compile(r"\d+\.\d\d+")
SIGNED = re.compile(r"[-+]?\d{1,3}\.\d+")
BEFORE = 120  # characters before a number that are looked at
NAMED = re.compile(
    r"(latitude?|longitude?|breitengrad|längengrad|breedtegraad|lengtegraad|(?<![a-z])(?:lat|long?|"
    r"lng))(?:_?(?:deg|dd|wgs84))?[\"'`*]*\s*(?:[:=>]|\bis\b)\s*[\"'`*(\[]*[-+]?$")
PLAIN = ("lat", "lon", "long", "lng")  # other things, too, where they stand alone
BETWEEN = re.compile(r"\s*°?\s*[ns]?\s*(?:[,;/|\s]|%2c)\s*[-+]?")  # two numbers of a position
PAIRS = {  # what stands before two numbers: what they are
    "GeoJSON": re.compile(r"\"coordinates\"\s*:\s*[\[\s]*[-+]?$"),
    "KML": re.compile(r"<coordinates>\s*[-+]?$"),
    "WKT": re.compile(r"\b(?:point|linestring|polygon)\s*[zm]*\s*\(+\s*[-+]?$"),
    "link to a map": re.compile(r"(?:\bgeo:|://\S*(?:[/@=]|%40))[-+]?$"),
}
TOPIC = re.compile(r"\b(?:gps|coordinates?|lat|wgs ?84|epsg:4326|sites?|camera|deployment|"
                   r"waypoint|located|location|position)\b")
TOPIC_OF_CODE = re.compile(r"\b(?:gps|wgs ?84|epsg:4326|lat_?lon)")
DEGREES = re.compile(r"\b\d{1,3}(?:\.\d{3,}\s*°|\s*°\s*\d{1,2}(?:\.\d+\s*['′’]|\s*['′’]\s*"
                     r"\d{1,2}(?:\.\d+)?\s*(?:\"|″|”|''|′′)))")
XMP = re.compile(r"GPSL(?:at|ong)itude\W{1,3}\d+[,.]\d")
PLUS = "2-9CFGHJMPQRVWX"
PLUS_CODE = re.compile(rf"\+(?<=[{PLUS}]{{8}}\+)(?<![\w+/][{PLUS}]{{8}}\+)[{PLUS}]{{2,3}}\b")
COLUMN = re.compile(r"[^():=]{1,25}(?:\([^()]*\)\W*)?")  # its name; more is a sentence, or code
HEADER_WORDS = ("lat", "breitengrad", "breedtegraad", "easting", "northing", "utm", "gps", "coord")
SHORT = re.compile("(?:gps|site|camera|start|end|x|y|deg|dec|decimal|station)?(lat|long?|lng)"
                   "(?:deg|dd|wgs)?")
METRES = re.compile(r"\d{5,8}(?:\.\d+)?")
SIZES = {2: "1 km", 3: "100 m", 4: "10 m"}


def find_coordinates(path: str, text: str) -> Iterator[Leak]:
    """The fine coordinates in a text; `path` is the file's."""
    suffix = PurePosixPath(path).suffix.lower()
    least = 2 if suffix in DATA else 3
    lower = text.lower()
    yield from _tables(lower, least, suffix in TABLES)
    numbers = list(NUMBER.finditer(lower))
    yield from _named(lower, numbers, least)
    yield from _pairs(lower, numbers, least, TOPIC_OF_CODE if suffix in CODE else TOPIC)
    if "°" in text:
        for match in DEGREES.finditer(text):
            yield _leak(text, match, f"degrees {re.match('[0-9]+', match[0])[0]}°...", match[0])
    if "GPSL" in text and (match := XMP.search(text)):
        yield Leak("coordinates", line_of(text, match), "GPS position in XMP")
    for match in PLUS_CODE.finditer(text) if "+" in text else ():
        code = text[match.start() - 8:match.end()]
        yield _leak(text, match, f"plus code {code[:4]}...", code)


def _named(text: str, numbers: list[re.Match], least: int) -> Iterator[Leak]:
    """Numbers behind the name of what they are."""
    named = []
    for match in numbers:
        name = NAMED.search(text[max(0, match.start() - BEFORE):match.start()])
        if name and _decimals(match[0], 90 if "lat" in name[1] else 180) >= least:
            named.append((match, name[1]))
    for place, (match, name) in enumerate(named):
        beside = [named[other][0].start() for other in (place - 1, place + 1)
                  if 0 <= other < len(named)]
        if name not in PLAIN or any(abs(start - match.start()) < 300 for start in beside):
            yield _leak(text, match, f"{name} {_coarse(match[0])}", match[0])


def _pairs(text: str, numbers: list[re.Match], least: int, topic: re.Pattern) -> Iterator[Leak]:
    """Two numbers in a row that are a position by what stands before them, or by their line."""
    for first, second in pairwise(numbers):
        if (second.start() - first.end() > 20
                or not BETWEEN.fullmatch(text, first.end(), second.start())):
            continue
        fineness = min(_decimals(number[0], 180) for number in (first, second))
        if fineness < least or min(float(first[0]), float(second[0])) > 90:
            continue
        before = text[max(0, first.start() - BEFORE):first.start()]
        what = next((what for what, pattern in PAIRS.items() if pattern.search(before)), "")
        # Shares of a picture are no place, or one in the Gulf of Guinea; three may be a colour.
        if (not what and fineness >= 3 and max(float(first[0]), float(second[0])) > 1
                and not re.match(r"\s*[,;]\s*[-+]?\d", text[second.end():second.end() + 10])):
            start = text.rfind("\n", 0, first.start()) + 1
            end = text.find("\n", second.end()) % (len(text) + 1)
            what = "position" if topic.search(text, start, end) else ""
        if what:
            yield _leak(text, first, f"{what} {_coarse(first[0])}", first[0], second[0])


def _tables(text: str, least: int, loose: bool) -> Iterator[Leak]:
    """The columns of coordinates in tables, wherever in the text these begin. `loose`: the table is
    all there is, so a row of another length does not end it."""
    starts = {text.rfind("\n", 0, match.start()) + 1 for word in HEADER_WORDS if word in text
              for match in re.finditer(word, text)}
    done = 0
    for start in sorted(starts):
        done = max(done, start)
        end = text.find("\n", start) % (len(text) + 1)  # -1, of the last line, is its end
        mark = max(",;\t|", key=text[start:end].count)
        header = _cells(text[start:end], mark)
        if start < done or len(header) < 2 or end == len(text):
            continue
        names = [re.sub(r"[^a-zäöü]", "", cell) if COLUMN.fullmatch(cell) else ""
                 for cell in header]
        kinds = {place: kind for place, name in enumerate(names) if (kind := _kind(name, names))}
        # In a text that is no table all through, one word alone may just be a word.
        if not loose and not {"latitude", "longitude"} <= {*kinds.values()} and (
                [*kinds.values()].count("metres") < 2):
            continue
        worst: dict[int, int] = {}
        first, number, done = 0, text.count("\n", 0, start) + 1, end + 1
        while kinds and done < len(text):
            end = text.find("\n", done) % (len(text) + 1)
            cells, done, number = _cells(text[done:end], mark), end + 1, number + 1
            if len(cells) < len(header) - 1 and not loose:
                break
            for place, kind in kinds.items():
                cell = cells[place] if place < len(cells) else ""
                decimals = _fineness(cell.strip(" \"'`"), kind, mark)
                if decimals >= least:
                    first = first or number
                    worst[place] = max(worst.get(place, 0), decimals)
        if worst:
            columns = ", ".join(header[place].strip(" \"'`*#\ufeff") for place in worst)
            size = SIZES.get(max(worst.values()), "1 m or less")
            yield Leak("coordinates", first, f"table with {columns} (to {size})")


def _cells(line: str, mark: str) -> list[str]:
    line = line.rstrip("\r")
    try:
        return next(csv.reader([line], delimiter=mark)) if '"' in line else line.split(mark)
    except (csv.Error, StopIteration):
        return line.split(mark)


def _kind(name: str, header: list[str]) -> str:
    """What a column of a table with this header holds: latitude, longitude, any (of the two, in one
    cell), metres or "" for what is no position."""
    if any(word in name for word in ("uncertain", "precision", "accuracy", "error", "datum", "time",
                                     "sentence", "speed", "altitude", "date", "source", "system")):
        return ""
    for kind, words in (("latitude", ("latitud", "breitengrad", "breedtegraad")),
                        ("longitude", ("longitud", "ngengrad", "lengtegraad")),
                        ("metres", ("easting", "northing", "utm"))):
        if any(word in name for word in words):
            return kind
    if name_of := SHORT.fullmatch(name):  # which may be another word, where it stands alone
        both = {match[1] == "lat" for other in header if (match := SHORT.fullmatch(other))}
        if both == {True, False}:
            return "latitude" if name_of[1] == "lat" else "longitude"
    return "any" if name in ("gps", "gpsposition", "gpscoordinates", "coordinates", "coords",
                             "latlon", "latlong", "gpslocation") else ""


def _fineness(cell: str, kind: str, mark: str) -> int:
    """The decimals of a degree to which a cell tells a position; 0 for what tells none."""
    if kind == "metres":
        number = cell.replace(",", ".") if mark != "," else cell
        if not METRES.fullmatch(number):
            return 0
        zeros = len(whole := number.split(".")[0]) - len(whole.rstrip("0"))
        return max(0, 5 - zeros)
    if mark != "," and kind != "any":
        cell = cell.replace(",", ".")
    limit = 90 if kind == "latitude" else 180
    numbers = [_decimals(number, limit) for number in SIGNED.findall(cell)]
    if kind == "any" and len(numbers) != 2:
        return 0
    return max(numbers, default=0)


def _decimals(number: str, limit: int) -> int:
    """The decimals of a number of degrees, trailing zeros left out; 0 if it is beyond the limit."""
    return len(number.partition(".")[2].rstrip("0")) if abs(float(number)) <= limit else 0


def _coarse(number: str) -> str:
    return f"{number.partition('.')[0]}.{number.partition('.')[2][:1]}..."


def _leak(text: str, match: re.Match, what: str, *numbers: str) -> Leak:
    """A leak that is mended by rounding its numbers to one decimal, or by taking them out."""
    rounded = [f"{float(number):.1f}" if SIGNED.fullmatch(number) else HIDDEN
               for number in numbers]
    return Leak("coordinates", line_of(text, match), what,
                tuple(f"{old}==>{new}" for old, new in zip(numbers, rounded, strict=True)))
