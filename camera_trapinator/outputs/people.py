"""People in photos: which photos may show some, and what is drawn of these, wherever photos are.

This file alone decides it; whatever draws a photo asks `People.shown`. In doubt a photo shows
people: a face that gets out cannot be taken back. The whole photo is blurred, for a mask, or a box,
may miss half a face.
"""

import difflib
import json
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from .. import InputError
from ..data.files import spelled

# What classes of people are called, in any case of letters.
NAMES = ("person", "persons", "people", "human", "humans", "man", "woman", "child", "children",
         "homo sapiens", "hiker", "pedestrian", "cyclist")
# From this confidence on a box of MegaDetector's counts, where its file recommends nothing: its
# `conservative_detection_threshold`, version 5 (lila.science/megadetector-output-format).
CONSERVATIVE = 0.05
# Blocks along a blurred photo's longer side. Familiar faces are known from 7 x 10 pixels (Sinha,
# Balas, Ostrovsky and Russell 2006, doi 10.1109/JPROC.2006.884093): so a face must have fewer even
# if it fills the photo, and one that does not has none.
BLOCKS = 8
# A class that fills less of what was predicted to be there is an edge in a wrong colour, no person
# who touches an animal and has become one blob with it.
LEAST = 0.01
MEGADETECTOR = ("run MegaDetector on this very folder, with --output_relative_filenames (see "
                "docs/privacy.md)")


class People:
    """Which photos show people, and what becomes of their pictures.

    `how`: blur, hide (no picture) or show; `classes`: the indices of those that are people;
    `without`: paths of the photos on which a detector has found nobody, None if none has looked.
    """

    def __init__(self, how: str = "show", classes: Collection[int] = (),
                 without: Collection[str] | None = None):
        self.how, self.classes, self.without = how, frozenset(classes), without

    @property
    def looked_for(self) -> bool:
        """Whether any photo is treated in another way than the others."""
        return self.how != "show" and bool(self.classes or self.without is not None)

    @property
    def unknown(self) -> str:
        """That nothing tells which photos show people, in words; "" where it does, or need not."""
        if self.how == "show" or self.looked_for:
            return ""
        return ("no class of people and no people_file tells which photos show some: none is "
                + ("blurred" if self.how == "blur" else "left out") + "; see docs/privacy.md")

    def in_photo(self, file: str, shares: Sequence[float] = ()) -> bool:
        """Whether a photo shows people, by its path and the share (or the pixels) of each class in
        its mask."""
        if not self.looked_for:
            return False
        if self.without is not None and file not in self.without:
            return True
        return any(shares[index] for index in self.classes if index < len(shares))

    def in_record(self, record: dict) -> bool:
        """Whether the photo of a prediction record shows people: predicted ones, faint ones and
        what is unknown included, for it may be a person, too; or, in an evaluation, true ones."""
        if record["failure"] is not None or not self.looked_for:
            return False
        truth = [sum(row) for row in record.get("confusion") or ()]
        if self.in_photo(record["file"], truth) or not self.classes:
            return self.in_photo(record["file"], truth)
        there = sum(record["pixels"][1:])
        return (any(record["pixels"][index] > LEAST * there for index in self.classes)
                or any(blob["unknown"] for blob in record["blobs"])
                or any(part["class"] in self.classes
                       for part in [*record["blobs"], *record["faint"]]))

    def among(self, records: Iterable[dict]) -> set[str]:
        """The paths of those photos that show people."""
        return {record["file"] for record in records if self.in_record(record)}

    def shown(self, image: np.ndarray, there: bool) -> np.ndarray | None:
        """What is drawn of a photo, uint8 (H, W, 3), if people are there; None = nothing."""
        if not there or self.how == "show":
            return image
        return blurred(image) if self.how == "blur" else None

    def hides(self, there: bool) -> bool:
        """Whether there is no picture of a photo, if people are there."""
        return there and self.how == "hide"

    def describe(self, photos: int) -> str:
        """What became of so many photos, in words."""
        what = "blurred in" if self.how == "blur" else "left out of"
        return f"{photos} photos show people, or may: {what} all pictures; see docs/privacy.md"


EVERYBODY = People()  # who draws photos of which nothing is said shows them


def blurred(image: np.ndarray) -> np.ndarray:
    """A photo, uint8 (H, W, 3), of which nothing is left but `BLOCKS` colours along its longer
    side, drawn softly at its own size."""
    height, width = image.shape[:2]
    share = BLOCKS / max(height, width)
    blocks = Image.fromarray(image).resize(
        (max(1, round(share * width)), max(1, round(share * height))), Image.Resampling.BOX)
    return np.array(blocks.resize((width, height), Image.Resampling.BICUBIC))


def find_people(how: str, wanted: Sequence[str], file: str | Path, names: Sequence[str],
                photos: Iterable[str] | None = None) -> People:
    """Who is a person by the knobs `people`, `people_classes` (none: see NAMES) and `people_file`
    ("" = none); `names`: of all classes, the background first.

    `photos`: the paths of those that will be drawn; how many a detector has not looked at, which
    all count as with people, is printed. Raises InputError for a class that is not there, a file
    that is no MegaDetector JSON, and one that tells nothing of any of the photos.
    """
    called = {_plain(name): index for index, name in enumerate(names) if index}
    if strange := [name for name in wanted if _plain(name) not in called]:
        raise InputError(f"people_classes: {unknown_class(strange[0], names)}")
    people = {_plain(name) for name in wanted or NAMES}
    classes, without = [index for name, index in called.items() if name in people], None
    if str(file) and how != "show":
        without, some = _looked_at(Path(file))
        photos = list(photos or ())
        missing = [photo for photo in photos if photo not in without and photo not in some]
        if photos and len(missing) == len(photos):
            told = next(iter(without or some), "nothing")
            raise InputError(f"people_file: {file} holds no photo of those here, such as "
                             f"{photos[0]}, but others, such as {told}; {MEGADETECTOR}, or set "
                             'people_file: ""')
        if missing:
            print(f"note        {file} tells nothing of {len(missing)} photos, such as "
                  f"{missing[0]}: they count as with people")
    return People(how, classes, without)


def unknown_class(name: str, names: Sequence[str]) -> str:
    """That a name is of no class, and which one may be meant; `names`: the background first."""
    near = difflib.get_close_matches(name.lower(), [other.lower() for other in names[1:]], 1)
    meant = [other for other in names[1:] if other.lower() in near]
    return f"there is no class {name!r}; " + (
        f"did you mean {meant[0]}?" if meant else f"there are {', '.join(names[1:])}")


def _plain(name: str) -> str:
    return " ".join(spelled(name).replace("_", " ").replace("-", " ").split())


@lru_cache(maxsize=2)
def _looked_at(path: Path) -> tuple[frozenset[str], frozenset[str]]:
    """The photos of MegaDetector's JSON without people, and those with some, by its conservative
    threshold; with people are also those that it could not read. Raises InputError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"people_file: {path}: cannot be read ({error.strerror})") from None
    except ValueError:
        raise InputError(f"people_file: {path}: no JSON; {MEGADETECTOR}") from None
    try:
        least = (content.get("info", {}).get("detector_metadata") or {}).get(
            "conservative_detection_threshold", CONSERVATIVE)
        kinds, species = ({key for key, name in (content.get(what) or {}).items()
                           if _plain(name) in NAMES}
                          for what in ("detection_categories", "classification_categories"))
        without, some = set(), set()
        for image in content["images"]:
            found = image.get("detections")
            people = found is None or any(
                item["conf"] >= least and (item["category"] in kinds or any(
                    kind in species for kind, _ in item.get("classifications") or ()))
                for item in found)
            (some if people else without).add(image["file"].replace("\\", "/"))
    except (AttributeError, KeyError, TypeError, ValueError):
        raise InputError(f"people_file: {path}: no MegaDetector JSON; {MEGADETECTOR}") from None
    if not kinds | species:
        raise InputError(f"people_file: {path}: it knows no people, only "
                         f"{', '.join(map(str, content['detection_categories'].values()))}; "
                         f"{MEGADETECTOR}")
    return frozenset(without), frozenset(some)
