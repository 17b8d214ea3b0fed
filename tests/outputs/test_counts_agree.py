"""Every count agrees between every two outputs of one prediction, over random predictions."""

import json
import os
import re
from collections import Counter, defaultdict
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from prediction_records import CLASSES, FULL_INFO, predicted, rows_of, write_records

from camera_trapinator.data.masks import read_mask
from camera_trapinator.outputs.blobs import failure_record
from camera_trapinator.outputs.project import read_project
from camera_trapinator.outputs.writers import Wanted, write_pictures, write_tables

EXAMPLES = int(os.environ.get("EXAMPLES", 25))
LIMITS = {"smallest_blob": 0.002, "min_confidence": 0.6, "faint": 0.1, "unknown_below": 0.5}
NAMES = [name for name, _ in CLASSES][1:]
SCIENTIFIC = {"fox": "Vulpes vulpes", "snow hare": "Lepus timidus",
              "black bear": "Ursus americanus"}
OUTPUTS = ("masks", "overlays", "csv", "megadetector", "coco", "xmp", "camtrapr", "camtrap_dp",
           "wildlife_insights", "report")


def random_records(random: np.random.Generator, root) -> list[dict]:
    """Bursts of three cameras: animals of all sizes, sure and unsure ones, faint ones, specks, and
    photos that could not be read."""
    records = []
    for number in range(int(random.integers(6, 20))):
        site = f"site{random.integers(3)}"
        file = f"{site}/{number:03}.jpg"
        known = {"location": site, "datetime": f"2024-05-01 10:{random.integers(6):02}:"
                                               f"{random.integers(60):02}"}
        if random.random() < 0.1:
            records.append(failure_record(file, "torn", **known))
            continue
        mask, sure = np.zeros((60, 80), np.uint8), random.uniform(0.2, 1)
        foreground = np.full((60, 80), 0.02, np.float32)
        for _ in range(random.integers(4)):
            top, left, high, wide = random.integers(1, (45, 60, 15, 20))
            place = np.s_[top:top + high, left:left + wide]
            mask[place] = random.integers(1, 4)
            foreground[place] = random.uniform(0.45, 1)
        if random.random() < 0.3:  # faint: no pixel of the mask
            foreground[50:58, 70:78] = random.uniform(0.1, 0.4)
        (root / site).mkdir(exist_ok=True)
        Image.new("RGB", (80, 60)).save(root / file)
        records.append(predicted(file, mask, foreground, sure, **known, **LIMITS))
    return records


def project_of(tmp_path, locations):
    (tmp_path / "deployments.csv").write_text(
        "deploymentID,location,latitude,longitude,start,end,timezone\n" + "".join(
            f"d{place},{place},51.2,5.6,2024-04-01,2024-06-01,Europe/Brussels\n"
            for place in sorted(set(locations))))
    (tmp_path / "project.yaml").write_text(json.dumps({
        "title": "Foxes", "samplingDesign": "targeted", "captureMethod": ["activityDetection"],
        "individualAnimals": False, "contributors": [{"title": "Ann"}], "species": SCIENTIFIC,
        "wildlife_insights": {"project_id": "7"}}))
    return read_project(tmp_path / "deployments.csv", tmp_path / "project.yaml", NAMES, locations)


@pytest.mark.parametrize("seed", range(EXAMPLES))
def test_every_count_agrees_between_every_two_outputs(tmp_path, seed):
    random, root, out = np.random.default_rng(seed), tmp_path / "card", tmp_path / "out"
    root.mkdir()
    records = random_records(random, root)
    path = write_records(out / "predictions.jsonl", records, {**FULL_INFO, **LIMITS})
    project = project_of(tmp_path, [record["location"] for record in records])
    wanted = Wanted(OUTPUTS, 30.0)
    write_pictures(path, root, out, wanted)
    write_tables(path, root, out, wanted, project, "test")
    readable = {record["file"] for record in records if record["failure"] is None}

    # Of each photo and species the number of animals, as each output has it.
    told = {name: Counter() for name in ("detections", "megadetector", "camtrap_dp", "report",
                                         "wildlife_insights")}
    for row in rows_of(out / "detections.csv"):
        told["detections"][row["file"], row["species"]] += 1
    content = json.loads((out / "megadetector.json").read_text())
    threshold = content["info"]["detector_metadata"]["typical_detection_threshold"]
    assert content["info"]["detector_metadata"]["conservative_detection_threshold"] == threshold
    for image in content["images"]:
        for item in image["detections"] or []:
            if round(item["conf"], 3) >= threshold:  # as Timelapse rounds
                name = content["classification_categories"][item["classifications"][0][0]] \
                    if "classifications" in item else "unknown"
                told["megadetector"][image["file"], name] += 1
    media = {row["mediaID"]: row["filePath"] for row in rows_of(out / "camtrap_dp/media.csv")}
    common = {scientific: name for name, scientific in SCIENTIFIC.items()} | {"": "unknown"}
    observations = rows_of(out / "camtrap_dp/observations.csv")
    for row in observations:
        if row["observationLevel"] == "media" and row["observationType"] == "animal":
            told["camtrap_dp"][media[row["mediaID"]], common[row["scientificName"]]] += int(
                row["count"])
    page = json.loads(re.search(r'id="data">(.*?)</script>', (out / "report.html").read_text(
        encoding="utf-8"), re.DOTALL)[1])
    for photo in page["photos"]:
        for blob in photo["blobs"]:
            told["report"][photo["file"], page["kinds"][blob["kind"]]["name"]] += 1
    for row in rows_of(out / "wildlife_insights/images.csv"):
        if row["common_name"] != "Blank":
            name = "unknown" if row["common_name"] == "Animal" else row["common_name"]
            told["wildlife_insights"][row["location"], name] += int(row["number_of_objects"])
    animals = told["detections"]
    assert told == dict.fromkeys(told, animals)

    # COCO's category is the best guess, so only the number of each photo.
    coco = json.loads((out / "coco.json").read_text())
    files = {image["id"]: image["file_name"] for image in coco["images"]}
    of_photo = Counter(files[item["image_id"]] for item in coco["annotations"])
    assert of_photo == sum((Counter({file: count}) for (file, _), count in animals.items()),
                           Counter())
    assert set(files.values()) == readable

    # Of each photo the species; which photos are empty.
    species = defaultdict(set)
    for file, name in animals:
        species[file].add(name)
    rows = rows_of(out / "predictions.csv")
    assert {row["file"] for row in rows} == readable
    for row in rows:
        there = {name for name in NAMES if row[f"present_{name}"] == "TRUE"}
        assert there == species[row["file"]] - {"unknown"}
        assert (row["empty"] == "TRUE") == (not species[row["file"]])
        assert not row["species"] or row["species"] in species[row["file"]]
        mask = read_mask(out / f"masks/{row['file']}.png")
        assert mask.any() == bool(species[row["file"]])
        tree = ElementTree.parse(out / f"xmp/{row['file']}.xmp")
        words = {item.text for item in tree.iter(
            "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li") if "|" in item.text}
        assert words == {f"Species|{name}" for name in species[row["file"]] or {"empty"}}
    assert {row["file"] for row in rows_of(out / "failures.csv")} == {
        record["file"] for record in records} - readable
    assert page["counts"]["animals"] == sum(map(bool, species.values()))

    # Of each burst and species what its photos tell together.
    sequences = {row["sequence"]: row for row in rows_of(out / "sequences.csv")}
    fused = {(key, name): int(row[f"count_{name}"]) for key, row in sequences.items()
             for name in [*NAMES, "unknown"] if row[f"count_{name}"] != "0"}
    assert fused == {(row["eventID"], common[row["scientificName"]]): int(row["count"])
                     for row in observations if row["observationLevel"] == "event"
                     and row["observationType"] == "animal"}
    assert {key for key, row in sequences.items() if row["empty"] == "TRUE"} == {
        row["eventID"] for row in observations if row["observationLevel"] == "event"
        and row["observationType"] == "blank"}
    for row in rows:
        assert row["sequence_species"] == sequences[row["sequence"]]["species"]
    alone = Counter()
    for file, name in animals:
        (sequence,) = {row["sequence"] for row in rows if row["file"] == file}
        alone[sequence, name] += 1
    assert alone == Counter({(key, name): int(row[f"photos_{name}"]) for key, row in
                             sequences.items() for name in [*NAMES, "unknown"]
                             if row[f"photos_{name}"] != "0"})

    # Of each location and species the independent events.
    events, table = rows_of(out / "events.csv"), rows_of(out / "camtrapr/recordTable.csv")
    assert sorted((row["location"], row["species"], row["start"], row["count"])
                  for row in events) == sorted(
        (row["Station"], row["Species"], row["DateTimeOriginal"], row["count_max"])
        for row in table)
    rates = rows_of(out / "relative_abundance.csv")
    assert Counter((row["location"], row["species"]) for row in events) == Counter(
        {(row["location"], row["species"]): int(row["events"]) for row in rates
         if row["events"] != "0"})
    assert {(row["location"], row["species"]) for row in events} == {
        (sequences[key]["location"], name) for key, name in fused}
