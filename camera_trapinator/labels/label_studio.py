"""Label Studio: the export `JSON`, and `Brush labels to PNG` beside a JSON file.

Polygons, ellipses and brush strokes are what somebody outlined, in their order in the file. A box
outlines nothing: of a file with nothing but boxes no mask can be made; beside outlines, what lies
in a box but in no outline is ignored (255). A submitted annotation without any region says that
nothing is there (with attributes alone it says nothing of pixels, but then the photo is not empty);
a task without one says that nobody looked, and so do drafts, predictions and what was skipped. Of
several annotations of a task the one marked as ground truth counts, else the one updated last.
Which photo a task is of: label_studio_photos.py; what a region is: label_studio_regions.py.
Source: labelstud.io/guide/task_format.
"""

import re
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from .. import InputError
from ..data.progress import progress
from .exports import files_below, open_mask, other_tool, read_json
from .label_studio_photos import TaskPhotos
from .label_studio_regions import HALF, add_regions
from .shapes import LabelledPhoto, Labels, Shape
from .source import Source

# task-7-annotation-12-by-ann@example.org-tag-red fox-0.png: who, which control, which label
BRUSH_NAME = re.compile(r"task-(?P<task>\d+)-annotation-(?P<annotation>\d+)-by-(?P<said>"
                        r"[^-]*-[^-]+-(?P<label>.+))-\d+\.png", re.IGNORECASE)


def read_label_studio(source: Source, control: str = "") -> Labels:
    """The labels of a JSON export, or of a folder of them (one for each task or annotation); what
    is wrong is named by file, task and region. `control`: see `add_regions`."""
    path = source.path
    tasks = _read_tasks(files_below(path, ".json") if path.is_dir() else [path], path)
    if bare := [where for task, where in tasks if "annotations" not in task]:
        raise InputError(f"{bare[0]}: no `annotations` in it, as in the export `JSON-MIN`; export "
                         "`JSON` instead")
    finder, photos = TaskPhotos(source), []
    for task, where in progress(tasks, "reading", unit="tasks"):
        with source.noted():
            mine = finder.of(task, where)
            photos += [photo for photo in mine if photo is not None]
            annotation = _chosen(task, mine, source, where)
            if annotation is not None:
                add_regions(annotation["result"], mine, source, where, control)
    return source.labels(photos)


def read_brush_pictures(source: Source, control: str = "") -> Labels:
    """The labels of a folder `Brush labels to PNG`, one picture for each label of an annotation.

    The names of the pictures tell the number of a task, not its photo, so that a JSON (or
    JSON-MIN) export of the same project must lie in the folder too; what it tells besides brush
    strokes is read from it. Raises InputError if there is none; names and pictures that are not
    Label Studio's are faults.
    """
    path = source.path
    exports = files_below(path, ".json")
    if len(exports) != 1:
        raise InputError(f"{path}: {len(exports)} JSON files; the pictures' names tell tasks, not "
                         "photos: put one JSON export of the same project beside them")
    tasks = _read_tasks(exports, path)
    layers, names = _layers(source, exports[0], tasks)
    finder, photos = TaskPhotos(source), []
    for task, where in progress(tasks, "reading", unit="tasks"):
        with source.noted():
            drawn = layers.pop(str(task.get("id")), {})
            mine = finder.of(task, where)
            if drawn and len(mine) > 1:
                raise InputError(f"{where}: {len(mine)} photos in one task, and the pictures' "
                                 "names do not tell which is theirs; export `JSON` instead")
            photos += [photo for photo in mine if photo is not None]
            chosen = _chosen(task, mine, source, where) if "annotations" in task else None
            if chosen is not None:
                drawn = _beside_brushes(chosen, drawn, mine, source, where, control)
            for photo in filter(None, mine if drawn else ()):
                last = drawn[max(drawn)]
                photo.where, photo.empty = str(last[0][1]), False
                photo.width, photo.height = _read_layer(last[0][1]).shape[::-1]
                photo.picture = partial(_read_layers, last)
    source.faults += [f"{next(iter(drawn.values()))[0][1]}: task {task} is not in {exports[0]}; "
                      "export both from the same project" for task, drawn in layers.items()]
    names |= {shape.name for photo in photos for shape in photo.shapes}
    return source.labels(photos, sorted(names))


Layers = dict[int, list[tuple[str, Path]]]  # by annotation: labels and their pictures


def _layers(source: Source, export: Path, tasks: Sequence[tuple[dict, str]],
            ) -> tuple[dict[str, Layers], set[str]]:
    """The pictures of a folder by the numbers of their tasks, and all labels that they have."""
    layers: dict[str, Layers] = {}
    labels = sorted(_labels_in([task for task, _ in tasks]), key=len, reverse=True)
    names = set()
    for picture in files_below(source.path, ".png"):
        match = BRUSH_NAME.fullmatch(picture.name)
        label = match and next((label for label in labels if match["said"].endswith(f"-{label}")),
                               match["label"])
        if not label:
            source.faults.append(f"{picture}: no name as Label Studio gives, such as "
                                 "task-7-annotation-12-by-1-tag-fox-0.png; take it out of the "
                                 "folder")
            continue
        layers.setdefault(match["task"], {}).setdefault(int(match["annotation"]), []).append(
            (label, picture))
        names.add(label)
    if unknown := sorted(names - set(labels)):
        source.told.append(f"{export} tells no labels {', '.join(unknown)[:200]}: they are read "
                           "from the names of the pictures")
    return layers, names


def _beside_brushes(chosen: dict, drawn: Layers, photos: Sequence[LabelledPhoto | None],
                    source: Source, where: str, control: str) -> Layers:
    """Give the photos what an annotation says besides brush strokes; its own pictures."""
    brushes = [region for region in chosen["result"] if isinstance(region, dict)
               and str(region.get("type")).startswith("brush")]
    add_regions([region for region in chosen["result"] if region not in brushes], photos, source,
                where, control)
    for photo in filter(None, photos if brushes else ()):
        photo.empty = False
    number = chosen.get("id")
    if number in drawn:
        return {number: drawn[number]}
    if brushes and len(drawn) == 1:
        return drawn
    if brushes:
        raise InputError(f"{where}: its brush strokes (annotation {number}) have no picture in "
                         f"{source.path}; export both from the same project at one time")
    return {}


# ------------------------------------------------------------------------------------- tasks


def _read_tasks(files: Iterable[Path], path: Path) -> list[tuple[dict, str]]:
    """Each task of JSON files, and where it stands. A file may hold a list of tasks, one task, or
    one annotation with its task, as Label Studio writes them to a storage."""
    tasks: list[tuple[dict, str]] = []
    known: dict[object, dict] = {}  # tasks of which there is a file for each annotation
    for file in progress(files, "reading", unit="files"):
        content = read_json(file)
        if isinstance(content, dict) and isinstance(content.get("task"), dict):
            task = content["task"]
            if task.get("id") in known:
                known[task["id"]]["annotations"].append(content)
                continue
            content = {**task, "annotations": [content]}
            known[task.get("id")] = content
        content = [content] if isinstance(content, dict) and "data" in content else content
        if not isinstance(content, list) or not content or not all(
                isinstance(task, dict) for task in content):
            raise InputError(f"{file}: no Label Studio export, it is no list of tasks"
                             f"{other_tool(content)}")
        for number, task in enumerate(content, start=1):
            if "annotations" not in task and "completions" in task:  # before version 1.0
                task = {**task, "annotations": task["completions"]}
            tasks.append((task, f"{file}, task {task.get('id', number)!r:.40}"))
    if not tasks:
        raise InputError(f"{path}: no .json file in it; export the project as JSON")
    return tasks


def _labels_in(content: object) -> set[str]:
    """All texts in lists under keys such as `brushlabels`."""
    found, left = set(), [content]
    while left:
        item = left.pop()
        left += item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        found |= {text for key, texts in (item.items() if isinstance(item, dict) else ())
                  if key.endswith("labels") and isinstance(texts, list)
                  for text in texts if isinstance(text, str) and text}
    return found


def _chosen(task: dict, photos: Sequence[LabelledPhoto | None], source: Source,
            where: str) -> dict | None:
    """The annotation that counts; None if nobody has submitted one, or if they contradict each
    other."""
    annotations = task["annotations"]
    if not isinstance(annotations, list) or not all(
            isinstance(item, dict) and isinstance(item.get("result"), list)
            for item in annotations):
        raise InputError(f"{where}: `annotations` is no list of objects with a list `result`")
    submitted = [item for item in annotations if item.get("was_cancelled") is not True]
    best = max(submitted, default=None, key=lambda item: (
        item.get("ground_truth") is True, str(item.get("updated_at") or "")))
    doubt = ""
    if best is None and (annotations or any(isinstance(task.get(key), list) and task[key]
                                            for key in ("drafts", "predictions"))):
        doubt = "nothing but drafts, predictions or work that was skipped"
    elif len(submitted) > 1 and best.get("ground_truth") is not True and len(
            {bool(item["result"]) for item in submitted}) > 1:
        doubt = ("one annotation says that nothing is there, another one not; mark one as ground "
                 "truth")
    if doubt:
        source.told.append(f"{where}: {doubt}: it is unlabelled")
        for photo in filter(None, photos):
            photo.unclear = True
        return None
    if len(submitted) > 1:
        source.told.append(f"{where}: {len(submitted)} annotations; the one that is marked as "
                           "ground truth counts, else the one updated last")
    return best


# ---------------------------------------------------------------------------------- pictures


def _read_layer(picture: Path) -> np.ndarray:
    """The pixels of a brush picture, bool (height, width)."""
    with open_mask(picture) as opened:
        if opened.mode not in ("L", "1"):
            raise InputError(f"{picture}: a picture of mode {opened.mode}; those of Label Studio "
                             "are grey")
        pixels = np.array(opened.convert("L"))
    return pixels >= HALF if pixels.max(initial=0) > 1 else pixels > 0  # some write 0 and 1


def _read_layers(layers: Sequence[tuple[str, Path]]) -> list[Shape]:
    shapes = [Shape(label, inside=_read_layer(picture), where=str(picture))
              for label, picture in layers]
    for (_, picture), shape in zip(layers, shapes, strict=True):
        if shape.inside.shape != shapes[0].inside.shape:
            raise InputError(f"{picture}: another size than {layers[0][1]}")
    return shapes
