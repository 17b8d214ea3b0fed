"""From the knob `outputs` to the files that it names, each written by its format's own module."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..data.manifest import Manifest, assign_sequences
from ..utils import here_or_below_root
from .bursts import read_bursts
from .camtrap_dp import write_camtrap_dp
from .camtrapr import write_camtrapr
from .coco import write_coco
from .console import print_turned
from .coordinates import check_sensitive, describe_generalised, generalised
from .earlier import remove_outdated
from .effort import write_effort_csv, write_relative_abundance_csv
from .facts import read_known
from .maps import write_map_overlays, write_maps, write_values_csv
from .masks import write_masks, write_masks_zip
from .megadetector import write_megadetector
from .overlays import write_overlays
from .people import People, find_people
from .project import Project, read_project
from .records import classes_of, read_records
from .report import write_report
from .tables import (
    write_detections_csv,
    write_events_csv,
    write_failures_csv,
    write_predictions_csv,
    write_sequences_csv,
)
from .upright import turned_photos, write_upright
from .wildlife_insights import check_wildlife_insights, write_wildlife_insights
from .xmp import write_xmp


@dataclass(frozen=True)
class Wanted:
    """The knobs that tell what shall be made of the records, by their names in the config."""

    outputs: Sequence[str]
    event_minutes: float
    mask_format: str = "palette"
    coco_segmentation: str = "rle"
    deployments_file: str = ""
    project_file: str = ""
    people: str = "blur"
    people_classes: Sequence[str] = ()
    people_file: str = ""
    sensitive_species: Sequence[str] = ()
    coordinates: str = "0.1"

    def who(self, names: Sequence[str], photos: Iterable[str] | None = None) -> People:
        """Who is a person, and not to be seen; see `find_people`."""
        return find_people(self.people, self.people_classes,
                           self.people_file and here_or_below_root(self.people_file), names, photos)

    def project(self, names: Sequence[str], photos: Manifest) -> Project | None:
        """What the photos do not tell, if an output asks for it, as it may be published; so that
        what is missing, here or in the knobs on privacy, is refused before any photo is read.
        `names`: of all classes.

        Camtrap DP and Wildlife Insights need both files; tables for R take what there is.
        """
        self.who(names, photos.column("image"))
        check_sensitive(self.sensitive_species, names, self.coordinates, self.outputs)
        project = self._project(names, photos.column("location"), photos.column("datetime"))
        if project is None or not self.sensitive_species:
            return project
        return generalised(project, self.coordinates)

    def _project(self, names: Sequence[str], locations: Sequence[str],
                 times: Sequence[str]) -> Project | None:
        files = [here_or_below_root(path) if path else "" for path in (
            self.deployments_file, self.project_file)]
        publish = [name for name in ("camtrap_dp", "wildlife_insights") if name in self.outputs]
        if publish:
            project = read_project(*files, names[1:], locations, times)
            if "wildlife_insights" in publish:
                check_wildlife_insights(project, files[1], names[1:])
            return project
        if any(files) and {"csv", "camtrapr"} & {*self.outputs}:
            return read_known(*files)
        return None


def write_pictures(records_path: Path, photos_root: Path, out: Path, wanted: Wanted,
                   share: tuple[int, int] = (1, 1)) -> None:
    """Write what the knob `outputs` names of files that come one a photo; `share`: see
    `read_records`."""
    info, _ = read_records(records_path)
    regression, outputs = "quantity" in info, wanted.outputs
    people = wanted.who(names_of(info))
    if "masks" in outputs and regression:
        write_maps(records_path, out / "maps", share)
    elif "masks" in outputs:
        write_masks(records_path, out / "masks", wanted.mask_format, share)
    if "overlays" in outputs:
        draw = write_map_overlays if regression else write_overlays
        draw(records_path, photos_root, out / "overlays", share=share, people=people)
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
    people = wanted.who(names_of(info))
    if people.unknown:
        print(f"people      {people.unknown}")
    if people.looked_for and (there := people.among(read_records(records_path)[1])):
        print(f"people      {people.describe(len(there))}"
              + "; none of them is in upright/" * ("upright" in wanted.outputs))
    if wanted.sensitive_species and project is not None and project.deployments:
        tell([describe_generalised(project, wanted.coordinates)])
    if "quantity" in info:  # a regression
        if "csv" in wanted.outputs:
            write_values_csv(records_path, out / "predictions.csv", sequences)
        return
    told_of_bursts = {"csv", "camtrapr", "report"} & {*wanted.outputs}
    bursts = read_bursts(records_path, sequences) if told_of_bursts else []
    if "masks_zip" in wanted.outputs:
        write_masks_zip(records_path, out / "masks.zip", wanted.mask_format)
    if "csv" in wanted.outputs:
        write_predictions_csv(records_path, out / "predictions.csv", sequences, bursts, project)
        write_detections_csv(records_path, out / "detections.csv", sequences, project)
        write_sequences_csv(records_path, out / "sequences.csv", bursts, project)
        write_events_csv(out / "events.csv", bursts, wanted.event_minutes, project)
        write_failures_csv(records_path, out / "failures.csv", sequences)
        if project is not None and project.deployments:
            tell(write_effort_csv(records_path, out / "effort.csv", project))
            tell(write_relative_abundance_csv(
                bursts, out / "relative_abundance.csv", wanted.event_minutes,
                names_of(info), project))
    if "camtrapr" in wanted.outputs:
        tell(write_camtrapr(bursts, photos_root, out / "camtrapr", wanted.event_minutes, project))
    if "megadetector" in wanted.outputs:
        strange = write_megadetector(records_path, out / "megadetector.json")
        if strange:
            print(f"note        {strange} photos do not end in .jpg: Timelapse takes them for "
                  "videos and drops their detections")
    turned = {}
    if {"coco", "upright"} & set(wanted.outputs):
        turned = turned_photos(records_path, photos_root)
        print_turned(turned, wanted.outputs)
    if "coco" in wanted.outputs:
        write_coco(records_path, out / "coco.json", out / "coco_results.json",
                   wanted.coco_segmentation, turned)
    if "upright" in wanted.outputs:
        write_upright(records_path, photos_root, out / "upright", turned, people)
    if "report" in wanted.outputs:
        write_report(records_path, photos_root, out / "report.html", title, bursts, report,
                     known, people)
    if "wildlife_insights" in wanted.outputs:
        tell(write_wildlife_insights(records_path, out / "wildlife_insights", project, sequences))
    if "camtrap_dp" in wanted.outputs:
        tell(write_camtrap_dp(records_path, out / "camtrap_dp", project, sequences))


def names_of(info: dict) -> list[str]:
    """The names of all classes, the background first."""
    return [name for name, _ in classes_of(info)]


def tell(notes: Sequence[str]) -> None:
    """Print what somebody should know of the files that were written."""
    for note in notes:
        print(f"note        {note}")
