"""From the knob `outputs` to the files that it names, each written by its format's own module."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..data.manifest import assign_sequences
from ..utils import here_or_below_root
from .camtrap_dp import Project, read_project, write_camtrap_dp
from .coco import write_coco
from .earlier import remove_outdated
from .maps import write_map_overlays, write_maps, write_values_csv
from .masks import write_masks, write_masks_zip
from .megadetector import write_megadetector
from .overlays import write_overlays
from .records import read_records
from .report import write_report
from .tables import (
    write_detections_csv,
    write_events_csv,
    write_predictions_csv,
    write_sequences_csv,
)
from .xmp import write_xmp


@dataclass(frozen=True)
class Wanted:
    """The knobs that tell what shall be made of the records, by their names in the config."""

    outputs: Sequence[str]
    event_minutes: float
    deployments_file: str = ""
    project_file: str = ""

    def project(self, names: Sequence[str], locations: Sequence[str]) -> Project | None:
        """What the photos do not tell, if Camtrap DP is wanted; so that what is missing is refused
        before any photo is read. `names`: of all classes; `locations`: those of the photos."""
        if "camtrap_dp" not in self.outputs:
            return None
        return read_project(*(here_or_below_root(path) if path else "" for path in (
            self.deployments_file, self.project_file)), names[1:], locations)


def write_pictures(records_path: Path, photos_root: Path, out: Path, outputs: Sequence[str],
                   share: tuple[int, int] = (1, 1)) -> None:
    """Write what the knob `outputs` names of files that come one a photo; `share`: see
    `read_records`."""
    info, _ = read_records(records_path)
    regression = "quantity" in info
    if "masks" in outputs and regression:
        write_maps(records_path, out / "maps", share)
    elif "masks" in outputs:
        write_masks(records_path, out / "masks", share)
    if "overlays" in outputs:
        draw = write_map_overlays if regression else write_overlays
        draw(records_path, photos_root, out / "overlays", share=share)
    if "xmp" in outputs:
        write_xmp(records_path, out / "xmp", share)


def write_tables(records_path: Path, photos_root: Path, out: Path, wanted: Wanted,
                 project: Project | None, title: str, report: dict | None = None,
                 known: Sequence[str] = ()) -> None:
    """Write what the knob `outputs` names of files that hold all photos.

    `project`: see `Wanted.project`; `title`: of report.html; `report`: scores of an evaluation;
    `known`: of the model, in a report without scores, see `short_card`.
    """
    remove_outdated(records_path)
    info, records = read_records(records_path)
    places, times = zip(*[(record["location"], record["datetime"]) for record in records],
                        strict=True)
    sequences = assign_sequences(places, times)
    if "quantity" in info:  # a regression
        if "csv" in wanted.outputs:
            write_values_csv(records_path, out / "predictions.csv", sequences)
        return
    if "masks_zip" in wanted.outputs:
        write_masks_zip(records_path, out / "masks.zip")
    if "csv" in wanted.outputs:
        write_predictions_csv(records_path, out / "predictions.csv", sequences)
        write_detections_csv(records_path, out / "detections.csv", sequences)
        write_sequences_csv(records_path, out / "sequences.csv", sequences)
        write_events_csv(records_path, out / "events.csv", wanted.event_minutes)
    if "megadetector" in wanted.outputs:
        strange = write_megadetector(records_path, out / "megadetector.json")
        if strange:
            print(f"note        {strange} photos do not end in .jpg: Timelapse takes them for "
                  "videos and drops their detections")
    if "coco" in wanted.outputs:
        write_coco(records_path, out / "coco.json", out / "coco_results.json")
    if "report" in wanted.outputs:
        write_report(records_path, photos_root, out / "report.html", title, sequences, report,
                     known)
    if project is not None:
        left_out = write_camtrap_dp(records_path, out / "camtrap_dp", project, sequences)
        if left_out:
            print(f"note        {left_out} photos could not be read and tell no time: they are not "
                  "in camtrap_dp/")
