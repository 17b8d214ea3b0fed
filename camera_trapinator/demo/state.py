"""demo.json, and what it says of a folder: made by a run with which options, and complete?"""

import json
from pathlib import Path

from .. import InputError
from .cameras import plan, truncated_file

# What demo.json keeps.
OPTIONS = ("photos", "locations", "size", "seed", "animal_size", "new_photos", "version")
VERSION = 3  # raise it when the photos change, so that older output is made anew


def planned_files(options: dict) -> set[str]:
    """Every file that a run with these options may write, relative to its folder."""
    labelled, new = plan(options)
    files = {"manifest.csv", "distance.csv", "classes.csv", "contact_sheet.jpg", "demo.json"}
    files.update(file for shot in labelled + new
                 for file in (shot.image, shot.mask, shot.distances) if file)
    return files | ({truncated_file(new)} if new else set())


def clear(out: Path) -> None:
    """Delete what an earlier run made here.

    Raises InputError, before it touches anything, if the folder holds other things.
    """
    folders = [path for path in out.rglob("*") if path.is_dir() and not path.is_symlink()]
    found = {path.relative_to(out).as_posix() for path in out.rglob("*") if path not in folders}
    made = set()
    if "demo.json" in found:
        made = planned_files(read_state(out)["options"])
    strange = sorted(found - made)
    if strange:
        raise InputError(f"{out} holds {strange[0]}, which this script did not make; give another "
                         "--out")
    for file in found:
        (out / file).unlink()
    for folder in sorted(folders, reverse=True):  # the inner ones first
        folder.rmdir()


def read_state(out: Path) -> dict:
    """The options of the run that made this folder, and its files if it finished.

    Raises InputError if demo.json cannot be understood.
    """
    try:
        state = json.loads((out / "demo.json").read_text(encoding="utf-8"))
        options = {"animal_size": 1.0, **state["options"]}  # older ones could not be small
        options = {name: options[name] for name in OPTIONS}
        return {"options": options, "files": list(state["files"])}
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{out / 'demo.json'} is damaged; delete the folder, or give another "
                         "--out") from None


def is_complete(out: Path, options: dict) -> bool:
    """Whether a run with the same options finished here, and nothing was lost since."""
    if not (out / "demo.json").is_file():
        return False
    state = read_state(out)
    return (state["options"] == options and state["files"] != []
            and all((out / file).is_file() for file in state["files"]))


def write_state(out: Path, options: dict, files: list[str]) -> None:
    """demo.json: the options, and the files once all are written (until then none)."""
    text = json.dumps({"options": options, "files": files}, indent=1)
    (out / "demo.json").write_text(text + "\n", encoding="utf-8")
