"""What the arguments of scripts name: the run, the checkpoint, the photos, the shard, the results.
"""

import os
from difflib import get_close_matches
from pathlib import Path

from .. import InputError
from ..data.locations import location_of
from ..data.manifest import Manifest, Row
from ..data.photos import PHOTO_SUFFIXES, PhotoFolder, look_below
from ..utils import RUNS

EXPORTED = (".onnx", ".pte")  # what scripts/export.py writes
TRAIN = "train one: python scripts/train.py --config configs/unet.yaml"


def find_weights(weights: str | Path | None, run: str | None) -> Path:
    """The checkpoint `weights`, or the best one of a run; of the newest run without either.

    Raises InputError if there is no such run.
    """
    if weights:
        if Path(weights).is_dir():
            raise InputError(f"--weights {weights}: a folder, not a checkpoint; give the file "
                             "best.pt in it, or, for a run, --run NAME")
        weights = Path(weights)
        if weights.suffix in EXPORTED:
            raise InputError(f"--weights {weights}: an exported file, not a checkpoint; give it "
                             "with --model")
        if not weights.exists():
            found = sorted([*weights.parent.glob("*.pt"), *RUNS.glob("*/best.pt")])
            near = get_close_matches(weights.name, {path.name for path in found}, n=1)
            others = ", ".join([str(path) for path in found if path.name in near or not near][:10])
            raise InputError(f"--weights {weights}: no such checkpoint; there are "
                             f"{others or f'none; {TRAIN}'}")
        return weights
    if run:
        if Path(run).is_file():
            raise InputError(f"--run {run}: a file, not the name of a run; give it with --weights")
        best = RUNS / run / "best.pt"
        if not best.exists():
            runs = ", ".join(sorted(path.parent.name for path in RUNS.glob("[!.]*/best.pt")))
            raise InputError(f"{best}: no such checkpoint; runs here: {runs or f'none; {TRAIN}'}")
        return best
    found = sorted(RUNS.glob("*/best.pt"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise InputError(f"{RUNS}: no run to test; {TRAIN}, or give a checkpoint with --weights")
    return found[-1]


def find_run(name: str) -> Path:
    """The folder of a run, by its name in RUNS or by its path."""
    for folder in (RUNS / name, Path(os.path.expanduser(name))):
        if (folder / "config.yaml").is_file():
            return folder.resolve()
        if folder.exists():
            kind = "a folder, but no run: config.yaml is not in it" if folder.is_dir() else "a file"
            raise InputError(f"{folder}: {kind}; give the name or the folder of a run, which holds "
                             "config.yaml and log.csv")
    known = ", ".join(sorted(path.parent.name for path in RUNS.glob("[!.]*/log.csv"))) or "none"
    raise InputError(f"{name}: no such run, and no such folder; runs in {RUNS}: {known}")


def results_folder(weights: Path, images: Path | None, out: Path | None, kind: str = "") -> Path:
    """Where the results go: to `out`, or to test/ or predict/<name of the images>/ beside the
    checkpoint; of an exported file its `kind` stands after these words. Raises InputError for the
    folder of the photos itself."""
    if not images:
        return out or weights.parent / f"test{kind}"
    folder = images.resolve()
    results = out or weights.parent / f"predict{kind}" / folder.name
    if results.resolve() == folder:
        raise InputError(f"--out {results}: this is the folder of the photos; its pictures would "
                         "be taken for photos the next time. Name another one, also below it")
    return results


def shard_of(shard: str | None, images: Path | None, overwrite: bool) -> tuple[int, int] | None:
    """--shard as (number from 1 on, of how many). Raises InputError for what is none, and for
    arguments that do not go with one."""
    if not shard:
        return None
    number, _, total = shard.partition("/")
    if not (number.isdecimal() and total.isdecimal() and 1 <= int(number) <= int(total)):
        raise InputError(f"--shard {shard}: must be i/n with i from 1 to n, such as 2/5")
    if not images or "TORCHELASTIC_RUN_ID" in os.environ:
        raise InputError("--shard: parts a folder of --images among machines; torchrun parts it "
                         "by itself")
    if overwrite:
        raise InputError("--shard: other shards may be at work; delete the folder of the results "
                         "yourself, instead of --overwrite")
    return int(number), int(total)


def photos_below(folder: Path, out: Path, shown: bool = True) -> tuple[Path, Manifest]:
    """The folder and a manifest of the photos below it, or of one photo, if it is one; without
    what is below `out`, where the results go. `shown`: what is passed over is told.

    The location of a photo is its folder. Raises InputError for a folder that is not there, or has
    no photo in it.
    """
    if folder.is_file():
        folder, found = folder.parent, PhotoFolder([folder.name], {})
    elif folder.is_dir():
        found = look_below(folder, out)
    else:
        raise InputError(f"{folder}: no such folder")
    beside = [f"{len(paths)} {what} (such as {paths[0]})"
              for what, paths in found.passed_over.items()]
    if not found.photos:
        raise InputError("; ".join([f"{folder}: no photo in it ({' '.join(PHOTO_SUFFIXES)})",
                                    *beside]))
    for line in beside if shown else ():
        print(f"passed over {line}")
    name = folder.resolve().name
    places = [location_of(file) for file in found.photos]  # "." = in the folder itself
    return folder, Manifest(Row(file, location=name if place == "." else place)
                            for file, place in zip(found.photos, places, strict=True))
