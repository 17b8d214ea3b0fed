"""Wildlife Insights: the four tables of its batch upload, projects, cameras, deployments, images.

Its columns are those of the batch upload templates (ConservationInternational/
Wildlife-Insights----Data-Migration, and their later columns); its names of what is no species are
those of its taxonomy, as SpeciesNet uses it. What is not known stays empty, and of what the upload
requires it is told. People give it in the project file, below `wildlife_insights`:

    wildlife_insights:
      project_id: "2001234"         # of the project there
      images: gs://bucket/folder    # where the photos are uploaded to -> column location
      project: {country_code: BEL, project_bait_use: "No"}            # columns of projects.csv
      deployments: {camera_functioning: Camera Functioning}           # of each deployment
      taxa: {fox: {wi_taxon_id: 01b2..., class: Mammalia, family: Canidae}}
"""

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from .. import InputError, __version__
from ..data.progress import named
from .camtrap_dp import media_id
from .facts import deployment_at
from .project import Project
from .records import UNKNOWN, read_records, species_of
from .tables import write_table
from .taxa import NO_ANIMALS

# The columns of the templates, in their order.
PROJECTS = [
    "project_name", "project_id", "project_short_name", "project_objectives", "project_species",
    "project_species_individual", "project_sensor_layout", "project_sensor_layout_targeted_type",
    "project_bait_use", "project_bait_type", "project_stratification",
    "project_stratification_type", "project_sensor_method", "project_individual_animals",
    "project_blank_images", "project_sensor_cluster", "project_admin", "project_admin_email",
    "country_code", "embargo", "initiative_id", "metadata_license", "image_license", "project_type",
]
CAMERAS = ["project_id", "camera_id", "make", "model", "serial_number", "year_purchased"]
DEPLOYMENTS = [
    "project_id", "deployment_id", "subproject_name", "subproject_design", "placename", "longitude",
    "latitude", "start_date", "end_date", "event_name", "event_description", "event_type",
    "bait_type", "bait_description", "feature_type", "feature_type_methodology", "camera_id",
    "quiet_period", "camera_functioning", "sensor_height", "height_other", "sensor_orientation",
    "orientation_other", "recorded_by", "plot_treatment", "plot_treatment_description",
    "detection_distance",
]
IMAGES = [
    "project_id", "deployment_id", "image_id", "location", "identified_by", "wi_taxon_id", "class",
    "order", "family", "genus", "species", "common_name", "uncertainty", "timestamp",
    "number_of_objects", "highlighted", "age", "sex", "animal_recognizable", "individual_id",
    "individual_animal_notes", "markings", "external_sequence_id", "sequence_start_time",
]
TAXON = ["wi_taxon_id", "class", "order", "family", "genus", "species", "common_name"]
KEYS = {"project": PROJECTS, "deployments": DEPLOYMENTS, "taxa": TAXON}
REQUIRED = {
    "projects.csv": {
        "project_id", "project_name", "project_short_name", "project_objectives", "project_species",
        "project_sensor_layout", "project_bait_use", "project_stratification",
        "project_sensor_method", "project_blank_images", "project_sensor_cluster", "project_admin",
        "project_admin_email", "country_code", "embargo", "metadata_license", "image_license"},
    "deployments.csv": {"camera_id", "bait_type", "feature_type", "camera_functioning",
                        "sensor_height", "sensor_orientation"},
    "images.csv": {"wi_taxon_id", "common_name"},
}
BLANK = {"wi_taxon_id": "f1856211-cfb7-4a5b-9158-c0f72fd09ee6", "common_name": "Blank"}
ANIMAL = {"wi_taxon_id": "1f689929-883d-4dae-958c-3d57ab5b6c16", "common_name": "Animal"}
NO_RESULT = {"wi_taxon_id": "f2efdae9-efb8-48fb-8a91-eccf79ab4ffb"} | dict.fromkeys(
    ("class", "order", "family", "genus", "species", "common_name"), "No CV Result")
HUMAN = {"wi_taxon_id": "990ae9dd-7a59-4344-afcb-1b7b21368000", "class": "Mammalia",
         "order": "Primates", "family": "Hominidae", "genus": "Homo", "species": "sapiens",
         "common_name": "Human"}
VEHICLE = {"wi_taxon_id": "e2895ed5-780b-48f6-8a11-9e27cb594511", "common_name": "Vehicle"}
# What Camtrap DP's words are there.
LAYOUTS = {"simpleRandom": "Randomized", "systematicRandom": "Systematic",
           "opportunistic": "Convenience", "targeted": "Targeted"}
METHODS = {("activityDetection",): "Sensor Detection", ("timeLapse",): "Time Lapse",
           ("activityDetection", "timeLapse"): "Both"}
FEATURES = {
    "roadPaved": "Road paved", "roadDirt": "Road dirt", "trailHiking": "Trail hiking",
    "trailGame": "Trail game", "roadUnderpass": "Road underpass", "roadOverpass": "Road overpass",
    "roadBridge": "Road bridge", "culvert": "Culvert", "burrow": "Burrow", "nestSite": "Nest site",
    "carcass": "Carcass", "waterSource": "Water source", "fruitingTree": "Fruiting tree"}


def check_wildlife_insights(project: Project, source: str | Path, classes: Sequence[str]) -> None:
    """Refuse, before any photo is predicted, what is wrong below `wildlife_insights` in the project
    file `source`; `classes`: without background. Raises InputError that tells all faults."""
    told = project.facts.get("wildlife_insights")
    if not isinstance(told, dict):
        raise InputError(f"{source}: no wildlife_insights with a project_id in it; add it, see "
                         "docs/results.md, or leave wildlife_insights out of outputs")
    faults = list(_strange(told, ["project_id", "images", *KEYS], "wildlife_insights"))
    if not _text(told.get("project_id")):
        faults.append("wildlife_insights has no project_id")
    for key in KEYS:
        inner = told.get(key)
        if inner is None:
            continue
        if not isinstance(inner, dict):
            faults.append(f"wildlife_insights: {key} {str(inner)!r:.60} must have lines "
                          "`name: value`")
        elif key != "taxa":
            faults += _strange(inner, KEYS[key], key)
        else:
            faults += _strange(inner, classes, key)
            for name, taxon in inner.items():
                faults += (_strange(taxon, TAXON, f"taxa, {name}") if isinstance(taxon, dict) else
                           [f"taxa: {name} {str(taxon)!r:.60} must have lines `name: value`"])
    if faults:
        raise InputError(f"{source}: " + "; ".join(faults))


def _strange(found: dict, known: Iterable[str], where: str) -> Iterator[str]:
    known = list(known)
    for key, value in found.items():
        if key not in known:
            alike = difflib.get_close_matches(str(key), known, 1)
            yield f"{where} has no {key!r}" + (f"; do you mean {alike[0]!r}?" if alike else
                                               f"; there are {', '.join(known)}")
        elif where not in ("wildlife_insights", "taxa") and isinstance(value, dict | list):
            yield f"{where}: {key} {str(value)!r:.60} must be a text or a number"


@named("wildlife_insights")
def write_wildlife_insights(records_path: str | Path, folder: str | Path, project: Project,
                            sequences: Sequence[str]) -> list[str]:
    """Write the four tables into a folder: a row a photo and species, with the number of its
    animals in this photo, as predictions.csv has them. Returns what is to be told.

    A photo that could not be read, that has no time, or was taken when no deployment was running is
    left out. `project`: see `check_wildlife_insights`; `sequences`: burst ids of the photos.
    """
    folder, told = Path(folder), project.facts["wildlife_insights"]
    common = {"project_id": _text(told["project_id"])}
    missing: dict[str, set[str]] = {}

    def write(name: str, header: Sequence[str], rows: Iterable[dict]) -> None:
        def cells() -> Iterator[list]:
            for row in rows:
                missing.setdefault(name, set()).update(
                    key for key in REQUIRED.get(name, ()) if row.get(key) in (None, ""))
                yield [row.get(key) for key in header]
        write_table(folder / name, header, cells(), spreadsheet=False)

    deployments = [item for items in project.deployments.values() for item in items]
    write("projects.csv", PROJECTS, [common | _project(project.facts) | _given(told, "project")])
    write("cameras.csv", CAMERAS, (common | camera for camera in _cameras(
        [item.row for item in deployments])))
    write("deployments.csv", DEPLOYMENTS, (
        common | _deployment(item.row, item.start, item.end) | _given(told, "deployments")
        for item in deployments))
    left_out = Counter()
    write("images.csv", IMAGES, (common | row for row in _images(
        records_path, project, sequences, left_out)))
    notes = [f"{number} photos {why}: they are not in wildlife_insights/"
             for why, number in left_out.items()]
    if lacking := {name: columns for name, columns in missing.items() if columns}:
        notes.append("Wildlife Insights requires what is not known and stands empty: " + "; ".join(
            f"{name}: {', '.join(sorted(columns))}" for name, columns in lacking.items())
            + "; see docs/results.md")
    return notes


def _images(records_path: str | Path, project: Project, sequences: Sequence[str],
            left_out: Counter) -> Iterator[dict]:
    info, records = read_records(records_path)
    names = [item["name"] for item in info["classes"]]
    taxa = {name: _taxon(name, project) for name in names[1:]}
    # What is unknown may be a person, too, where the classes have one.
    people = any(name.lower() in NO_ANIMALS for name in names)
    taxa.setdefault(UNKNOWN, NO_RESULT if people else ANIMAL)
    starts: dict[str, str] = {}
    for record, sequence in zip(records, sequences, strict=True):
        starts[sequence] = min(starts.get(sequence, record["datetime"]), record["datetime"])
    place = _text(project.facts["wildlife_insights"].get("images")).rstrip("/")
    by = f"camera_trapinator {__version__}, {info['model']} {info['weights'][:8]}"
    for record, sequence in zip(read_records(records_path)[1], sequences, strict=True):
        running = deployment_at(record["location"], record["datetime"], project)
        if record["failure"] is not None:
            left_out["could not be read"] += 1
        elif not record["datetime"]:
            left_out["have no time"] += 1
        elif running is None:
            left_out["were taken when no deployment was running"] += 1
        else:
            photo = {
                "deployment_id": running.row["deploymentID"], "image_id": media_id(record["file"]),
                "location": f"{place}/{record['file']}" if place else record["file"],
                "identified_by": by, "timestamp": record["datetime"],
                "external_sequence_id": sequence, "sequence_start_time": starts[sequence]}
            found = Counter(species_of(blob, names) for blob in record["blobs"])
            for name, number in found.items():
                yield photo | taxa[name] | {"number_of_objects": number}
            if not found:
                yield photo | BLANK | {"number_of_objects": 0}


def _taxon(name: str, project: Project) -> dict:
    kind = NO_ANIMALS.get(name.lower())
    known = {"human": HUMAN, "vehicle": VEHICLE}.get(kind, {"common_name": name})
    words = project.species.get(name, "").split()
    if kind is None and len(words) > 1:  # one word alone may be of any rank
        known = known | {"genus": words[0], "species": " ".join(words[1:])}
    told = (project.facts.get("species") or {}).get(name)
    if isinstance(told, dict):  # Camtrap DP's words of a taxon
        known = known | {rank: told[rank] for rank in ("class", "order", "family", "genus")
                         if isinstance(told.get(rank), str)}
    taxa = project.facts["wildlife_insights"].get("taxa") or {}
    return known | taxa.get(name, {})


def _project(facts: dict) -> dict:
    licenses = {item.get("scope"): str(item.get("name", "")) for item in facts.get("licenses", [])}

    def license_of(scope: str) -> str | None:
        return next((short for short in ("CC0", "CC-BY-NC", "CC-BY") if licenses.get(
            scope, "").upper().startswith(short + "-")), None)

    return {"project_name": facts["title"],
            "project_sensor_layout": LAYOUTS.get(facts["samplingDesign"]),
            "project_sensor_method": METHODS.get(tuple(sorted(set(facts["captureMethod"])))),
            "project_individual_animals": "Yes" if facts["individualAnimals"] else "No",
            "metadata_license": license_of("data"), "image_license": license_of("media"),
            "project_type": "Image"}


def _cameras(rows: Sequence[dict]) -> Iterator[dict]:
    models: dict[str, str] = {}
    for row in rows:
        if row.get("cameraID"):
            models[row["cameraID"]] = models.get(row["cameraID"]) or row.get("cameraModel", "")
    for camera, model in models.items():
        make, mark, rest = model.partition("-")  # Camtrap DP has both in one: Reconyx-PC800
        yield {"camera_id": camera, "make": make if mark else None, "model": rest or model}


def _deployment(row: dict, start: object, end: object) -> dict:
    height = row.get("cameraHeight")
    return {
        "deployment_id": row["deploymentID"], "placename": row.get("locationName")
        or row["locationID"], "longitude": row["longitude"], "latitude": row["latitude"],
        "start_date": f"{start:%Y-%m-%d %H:%M:%S}", "end_date": f"{end:%Y-%m-%d %H:%M:%S}",
        "bait_type": "None" if row.get("baitUse", "").lower() == "false" else None,
        "feature_type": FEATURES.get(row.get("featureType")), "camera_id": row.get("cameraID"),
        "quiet_period": row.get("cameraDelay"), "sensor_height": "Other" if height else None,
        "height_other": f"{height} m" if height else None, "recorded_by": row.get("setupBy"),
        "detection_distance": row.get("detectionDistance")}


def _given(told: dict, key: str) -> dict:
    words = {True: "Yes", False: "No"}  # YAML takes a bare No for false
    return {name: words[value] if isinstance(value, bool) else value
            for name, value in (told.get(key) or {}).items() if value is not None}


def _text(value: object) -> str:
    return "" if value is None or isinstance(value, dict | list) else str(value).strip()
