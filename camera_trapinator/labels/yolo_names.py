"""The class names of YOLO: data.yaml, or a text file with a name a line."""

import re
from collections.abc import Sequence
from pathlib import Path

import yaml

from .. import InputError
from .exports import read_text

NUMBERED = re.compile(r"([0-9]+)\s*([:;,]|\s)\s*(.+)")  # `0: fox` and `0 fox`


def read_names(path: Path) -> dict[int, str]:
    """The class names by their numbers, from data.yaml (a list, or index: name) or a text file with
    a name a line, with its number or without."""
    text = read_text(path, endings=(".yaml", ".yml", ".txt", ".names"))
    if path.suffix.lower() in (".yaml", ".yml"):
        names = _names_of_yaml(text, path)
    elif path.suffix.lower() == ".json":
        raise InputError(f"{path}: a JSON file; give data.yaml, or a text file with one class name "
                         "a line")
    else:
        names = _names_of_lines(text.rstrip().splitlines(), path)
    names = {index: names[index].strip() for index in sorted(names)}
    if not names or "" in names.values() or len(set(names.values())) < len(names):
        raise InputError(f"{path}: the class names {', '.join(names.values())[:60]!r} are empty or "
                         "not different from each other")
    return names


def _names_of_lines(lines: Sequence[str], path: Path) -> dict[int, str]:
    if len(lines) == 1 and "," in lines[0]:
        raise InputError(f"{path}: {lines[0][:60]!r} is one line; write one class name a line")
    matches = [NUMBERED.fullmatch(line.strip()) for line in lines]
    if not lines or not all(matches):
        return dict(enumerate(lines))
    names = {int(number): name for number, _, name in (match.groups() for match in matches)}
    if sorted(names) == list(range(len(lines))):
        return names
    if min(names) > 1 and not any(match[2] in ":;," for match in matches):
        return dict(enumerate(lines))  # such as `3 toed sloth`
    raise InputError(f"{path}: its lines are numbered {', '.join(map(str, names))[:60]}; YOLO "
                     "counts 0, 1, 2 ...: correct the numbers, or take them away")


def _names_of_yaml(text: str, path: Path) -> dict[int, str]:
    cure = "write `names: [fox, deer]`, or a line `0: fox` for each class below `names:`"
    try:
        content = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 (texts alone: safe)
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{path}{_place_in_yaml(error, text)}") from None
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, list):
        names = {str(index): name for index, name in enumerate(names)}
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise InputError(f"{path}: no list `names` in it; {cure}")
    if not all(re.fullmatch("[0-9]{1,6}", index) for index in names):
        raise InputError(f"{path}: the indices of `names` are {', '.join(map(str, names))[:60]}; "
                         "they must be 0, 1, 2 ...")
    count = content.get("nc")
    if names and isinstance(count, str) and count not in (
            str(len(names)), str(max(map(int, names)) + 1)):
        raise InputError(f"{path}: nc says {count[:20]} classes, but `names` has {len(names)}; "
                         "correct one of them")
    return {int(index): name for index, name in names.items()}


def _place_in_yaml(error: Exception, text: str) -> str:
    """Where the YAML is not valid, and what to do."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return ": no valid YAML"
    line = [*text.splitlines(), ""][min(mark.line, len(text.splitlines()))]
    cure = getattr(error, "problem", "")
    if "\t" in line:
        cure = "the line holds a tab, which YAML does not take: write blanks"
    elif "\\" in line:
        cure = "within \"...\" a backslash means something else: write '...', or /"
    return f", line {mark.line + 1}: no valid YAML; {cure}"
