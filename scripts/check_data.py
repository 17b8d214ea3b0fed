"""Check the photos, masks and splits of a config before any training.

    python scripts/check_data.py --config configs/my_site.yaml

Reads every photo in full. Errors end with exit code 2, warnings with 0. Writes data_report.json
and data_sheet.png (photos with their masks drawn on them) to cnn_states/data_check/<config>/.
`scripts/train.py` uses what was found here.
"""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

try:
    from camera_trapinator.command.arguments import ScriptParser, same_checkout, user_path
except ImportError:
    import environment  # noqa: F401 (it says what to do)


def parse_arguments() -> argparse.Namespace:
    parser = ScriptParser(__doc__)
    parser.add_argument("--config", required=True, help="YAML file, such as configs/unet.yaml")
    parser.add_argument("--out", type=user_path, help="folder of the report (default: see above)")
    return parser.parse_with_knobs()


if __name__ == "__main__":
    same_checkout(__file__, "torch")
    arguments = parse_arguments()  # before torch, which takes seconds to import

import numpy as np

from camera_trapinator import IGNORE, InputError, written_whole
from camera_trapinator.config import Config, load_config
from camera_trapinator.data.checks import (
    PhotoFacts,
    examine_photos,
    find_faults,
    find_map_faults,
    pool_maps,
)
from camera_trapinator.data.manifest import BACKGROUND, Class, Manifest, read_classes, read_manifest
from camera_trapinator.data.masks import read_mask, read_target, resize_mask
from camera_trapinator.data.memory import checks_of
from camera_trapinator.data.photos import read_photo
from camera_trapinator.data.splits import find_leaks, near_duplicates
from camera_trapinator.data.strips import describe_strips, strips_for, write_strips
from camera_trapinator.labels.roboflow import COPY
from camera_trapinator.outputs.drawing import colour_bar, colour_ends, draw_map, draw_overlay
from camera_trapinator.outputs.people import People
from camera_trapinator.outputs.sheets import write_sheet
from camera_trapinator.training.preparation import (
    divide,
    few_photos,
    find_alike,
    find_split_faults,
    read_people,
    settle_split_by,
)
from camera_trapinator.utils import ROOT, RUNS, exit_on_bad_input, find_config


def main(arguments: argparse.Namespace) -> None:
    config = load_config(find_config(arguments.config), arguments.overrides)
    data_root = ROOT / config.data_root
    manifest = read_manifest(data_root / config.manifest)
    numbers = None  # of a regression: what pool_maps tells of its maps

    # What is wrong with single files.
    errors = []
    if config.task == "regression":  # one "class" that is a number
        classes, values = [Class(config.quantity, (0, 0, 0))], []
        maps, faults = find_map_faults(manifest, data_root, checks_of(data_root, "maps"))
        shares = np.array([[facts.share] for facts in maps])
        if shares.any():
            try:
                numbers = pool_maps(maps, config.target_scale)
            except InputError as error:
                errors.append(str(error))
    else:
        classes = read_classes(data_root / "classes.csv")
        shares, faults, values = find_faults(manifest, data_root, len(classes),
                                             checks_of(data_root))
    errors = [*filter(None, faults), *errors]
    people = read_people(config, [name for name, _ in classes], manifest.column("image"))
    facts = examine_photos(manifest, data_root, checks_of(data_root, "photos"))
    missing = {error.split(": no such")[0] for error in errors}  # told once
    errors += [fact.failure for row, fact in zip(manifest, facts, strict=True)
               if fact.failure and str(data_root / row.image) not in missing]
    errors += binary_masks(manifest, values) if values else []

    # What is wrong with how they are shared out.
    splits = [""] * len(manifest)
    config = settle_split_by(config, manifest, shares)
    try:
        alike = find_alike(config, manifest, shares, lambda _: facts)
        splits = divide(config, manifest, shares, alike=alike)
    except InputError as error:
        errors.append(str(error))
    duplicates = near_duplicates([fact.fingerprint for fact in facts], splits,
                                 manifest.column("location"))
    leaks = find_leaks(manifest, splits, config.split_by, bool(config.test_from), duplicates)
    warnings = find_warnings(manifest, classes, shares, splits, facts, people)
    warnings += torn_copies(manifest, splits)
    if any(splits):
        errors += find_split_faults(config, shares, splits, leaks)
    if config.allow_leakage:
        warnings += leaks

    out = Path(arguments.out or RUNS / "data_check" / Path(arguments.config).stem)
    report = {"photos": len(manifest), "errors": errors, "warnings": warnings,
              "near_duplicates": [[manifest[first].image, manifest[second].image]
                                  for first, second in duplicates],
              "values": numbers,
              **describe(manifest, classes, shares, splits, facts)}
    with written_whole(out / "data_report.json") as path:
        path.write_text(json.dumps(report, indent=2, ensure_ascii=False), encoding="utf-8",
                        errors="backslashreplace")
    strips = strips_for(config.strips, manifest, data_root)
    write_strips(out / "strips.csv", strips)
    draw_sheet(manifest, data_root, classes, shares, splits, facts, out / "data_sheet.png", config,
               numbers, people)
    print_report(report, out)
    if config.strips != "none":
        print(f"strips      {describe_strips(strips)}")
    sys.exit(2 if errors else 0)


def binary_masks(manifest: Manifest, values: list[dict[int, float]]) -> list[str]:
    """Masks of 0 and 255 alone are meant otherwise: 255 is not learned from."""
    found = [row.mask for row, shares in zip(manifest, values, strict=True)
             if shares and set(shares) <= {0, IGNORE} and shares.get(IGNORE)]
    with_class = any(set(shares) - {0, IGNORE} for shares in values)
    if not found or with_class:
        return []
    return [f"{found[0]}: 0 and 255 found, in {len(found)} masks: did you mean 255 = class 1? 255 "
            "is ignored. Import them with scripts/import_labels.py masks and a table with the line "
            "`255,animal`"]


def torn_copies(manifest: Manifest, splits: list[str]) -> list[str]:
    """Roboflow's copies of one source that stand in two splits."""
    found: dict[str, set[str]] = {}
    for row, split in zip(manifest, splits, strict=True):
        source = COPY.sub("", row.image.rpartition("/")[2])
        if split and source != row.image.rpartition("/")[2]:
            found.setdefault(source, set()).add(split)
    torn = sorted(source for source, names in found.items() if len(names) > 1)
    return [f"copies of {len(torn)} Roboflow sources stand in two splits, such as {torn[0]}: if "
            "they are of one photo, give them one sequence"] if torn else []


def find_warnings(manifest: Manifest, classes: list[Class], shares: np.ndarray,
                  splits: list[str], facts: list[PhotoFacts], people: People) -> list[str]:
    """What may be meant so, and may be not."""
    warnings = list(filter(None, [few_photos(shares, splits)]))
    split, locations = np.array(splits), np.array(manifest.column("location"))
    lacking: dict[str, list[str]] = {}  # what holds none of which classes
    for index, (name, _) in enumerate(classes if len(classes) > 1 else []):
        there = shares[:, index] > 0
        if not there.any():
            lacking.setdefault("mask", []).append(name)
            continue
        for wanted in ("train", "val", "test"):
            if wanted in splits and not (there & (split == wanted)).any():
                places = len(set(locations[there]))
                lacking.setdefault(f"{wanted} photo", []).append(
                    f"{name} (which stands at {places} location{'s' * (places != 1)})")
    for what, names in lacking.items():
        warnings += ([f"no {what} holds the class {name}" for name in names] if len(names) < 4 else
                     [f"no {what} holds {len(names)} of the {len(classes)} classes: "
                      f"{', '.join(names)}"])
    if (len(classes) > 1 and not any(row.mask == BACKGROUND for row in manifest)
            and (shares[:, 0] < 1).all()):
        warnings.append("no photo is empty; on empty photos the network will see animals that are "
                        "not there")
    times = [row.datetime for row in manifest]
    known = Counter(time for time in times if time)
    if known:
        time, count = known.most_common(1)[0]
        if count > max(5, 0.1 * len(times)):
            warnings.append(f"{count} photos have one and the same datetime, {time}: a clock that "
                            "stood still, or the time of copying?")
        old = [time for time in known if time < "2001"]
        if old:
            warnings.append(f"{sum(known[time] for time in old)} photos are dated before 2001, "
                            f"such as {old[0]}: a camera with a reset clock")
    if not all(times):
        warnings.append(f"{times.count('')} photos have no datetime; their bursts are not known")
    if positions := sum(fact.position for fact in facts):
        warnings.append(f"{positions} photos tell in their EXIF where they were taken (GPS): take "
                        "it out before you share them, where animals or people are at risk")
    if people.classes:
        warnings.append(f"the class {classes[min(people.classes)].name}: photos of people may not "
                        "be shared without their consent")
    if people.looked_for and (there := sum(
            people.in_photo(row.image, shares[index]) for index, row in enumerate(manifest))):
        warnings.append(people.describe(there))
    return warnings


def describe(manifest: Manifest, classes: list[Class], shares: np.ndarray, splits: list[str],
             facts: list[PhotoFacts]) -> dict:
    """Photos and pixels of each class, of each split, of each location."""
    night = np.array([fact.infrared for fact in facts])
    split, locations = np.array(splits), np.array(manifest.column("location"))
    labelled = shares.any(axis=1)
    empty = (shares[:, 0] == 1) & (len(classes) > 1)

    def part(chosen: np.ndarray) -> dict:
        return {"photos": int(chosen.sum()), "labelled": int((chosen & labelled).sum()),
                "empty": int((chosen & empty).sum()),
                "night": int((chosen & night).sum())}

    names = sorted(set(splits) - {""})
    times = sorted(time for time in manifest.column("datetime") if time)
    return {
        "classes": {name: {
            "photos": int((shares[:, index] > 0).sum()),
            "pixel_share": float(shares[labelled, index].mean()) if labelled.any() else None,
            **{kind: int(((shares[:, index] > 0) & (split == kind)).sum()) for kind in names},
        } for index, (name, _) in enumerate(classes)},
        "splits": {kind: {**part(split == kind), "locations": len(set(locations[split == kind]))}
                   for kind in names},
        "locations": {place: {**part(locations == place),
                              "splits": sorted(set(split[locations == place]) - {""})}
                      for place in sorted(set(locations))},
        "all": part(np.ones(len(manifest), bool)),
        "first": times[0] if times else None, "last": times[-1] if times else None,
    }


def draw_sheet(manifest: Manifest, data_root: Path, classes: list[Class], shares: np.ndarray,
               splits: list[str], facts: list[PhotoFacts], path: Path, config: Config,
               numbers: dict | None, people: People) -> None:
    """24 labelled photos, spread over locations and classes, with their masks drawn on them (in
    the colours of their maps, if `numbers` tells what these hold); `people` are not to be seen."""
    if config.task == "regression" and numbers is None:  # no map holds what could be drawn
        return
    random, taken = np.random.default_rng(config.seed), Counter()
    sound = [index for index in random.permutation(len(manifest))
             if shares[index].any() and not facts[index].failure]
    chosen = []
    for index in sound[:5000]:  # the rarest of class and location first
        key = (int(shares[index, 1:].argmax()) if shares[index, 1:].any() else -1,
               manifest[int(index)].location)
        chosen.append((taken[key], len(chosen), int(index)))
        taken[key] += 1
    pictures = []
    for _, _, index in sorted(chosen):
        row = manifest[index]
        if people.hides(there := people.in_photo(row.image, shares[index])):
            continue
        if len(pictures) == 24:
            break
        image = people.shown(read_photo(data_root / row.image, 480).image, there)
        caption = [row.image, f"{row.location}  {row.datetime}  {splits[index]}"]
        height, width = image.shape[:2]
        if numbers:
            values = read_target(row, data_root, height, width, config.target_scale)
            pictures.append((draw_map(image, resize_mask(values, width, height),
                                      colour_ends(numbers)), caption))
            continue
        mask = np.zeros((height, width), np.uint8)
        if row.mask != BACKGROUND:
            mask = read_mask(data_root / row.mask)
        pictures.append((draw_overlay(image, mask, classes), caption))
    if pictures:
        if numbers:
            pictures.append((colour_bar(300, 13, colour_ends(numbers), config.quantity), []))
        write_sheet(pictures, path, columns=6, cell=(300, 240), classes=classes)


def print_report(report: dict, out: Path) -> None:
    whole = report["all"]
    print(f"photos      {report['photos']}: {whole['labelled']} labelled, {whole['empty']} of them "
          f"empty, {whole['night']} at night, {len(report['locations'])} location"
          + "s" * (len(report["locations"]) != 1)
          + (f", {report['first']} to {report['last']}" if report["first"] else ""))
    for kind, numbers in report["splits"].items():
        print(f"{kind:<11} {numbers['photos']} photos, {numbers['empty']} empty, "
              f"{numbers['night']} at night, {numbers['locations']} location"
              + "s" * (numbers["locations"] != 1))
    if values := report["values"]:
        print(f"values      {values['low']:.4g} to {values['high']:.4g}, mean "
              f"{values['mean']:.4g}, standard deviation {values['spread']:.4g}")
    for name, numbers in report["classes"].items():
        share = numbers["pixel_share"]
        print(f"{'quantity' if values else 'class':<11} {name}: {numbers['photos']} photos"
              + (f", {share:.2%} of the pixels" if share is not None else ""))
    for kind in ("warning", "error"):
        lines = report[f"{kind}s"]
        for line in lines[:20]:
            print(f"{kind:<11} {line}")
        if len(lines) > 20:
            print(f"{kind:<11} and {len(lines) - 20} more, all in {out / 'data_report.json'}")
    print(f"{len(report['errors'])} errors, {len(report['warnings'])} warnings; see {out}")


if __name__ == "__main__":
    with exit_on_bad_input():
        main(arguments)
