"""Turn what a labelling tool exports into a data root: manifest.csv, classes.csv and masks.

    python scripts/import_labels.py coco annotations.json --images photos/ --out ~/data/site
    python scripts/import_labels.py coco train.json test.json --images train/ test/ \\
        --split train test --out ~/data/site
    python scripts/import_labels.py labelme photos/ --out ~/data/site
    python scripts/import_labels.py yolo labels/ --images images/ --names data.yaml --out ~/site
    python scripts/import_labels.py yolo dataset/ --out ~/data/site
    python scripts/import_labels.py roboflow export/ --out ~/data/site

The originals are never touched. `import_labels.py TOOL --help` names the options of a tool.
"""

import argparse
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

try:
    from camera_trapinator.command.arguments import ScriptParser, same_checkout, user_path
except ImportError:
    import environment  # noqa: F401 (it says what to do)

SPLITS = ("train", "val", "test", "test_seen")  # those of the manifest


def parse_arguments() -> argparse.Namespace:
    parser = ScriptParser(__doc__)
    tools = parser.add_subparsers(dest="tool", required=True, metavar="TOOL")

    tool = add_tool(tools, "coco", "COCO and COCO Camera Traps JSON: polygons and run lengths")
    tool.add_argument("--crowd", choices=("ignore", "class"), default="ignore",
                      help="group regions (iscrowd): ignore (255), or count as their class")

    tool = add_tool(tools, "labelme", "folders of Labelme JSON files", images=False)
    tool.add_argument("--classes", type=user_path, metavar="FILE",
                      help="labels.txt, one name a line: the classes in the order wanted")

    add_tool(tools, "roboflow", "unzipped Roboflow exports as `COCO Segmentation`", images=None)
    tool = add_tool(tools, "yolo", "folders of YOLO segmentation text files, or of whole data sets "
                    "with data.yaml and the photos in them", images=False)
    tool.add_argument("--names", type=user_path, metavar="FILE",
                      help="data.yaml, or a text file with one class name a line (default: the "
                      "data.yaml in the folder)")

    add_tool(tools, "cvat",
             "unzipped CVAT exports as `Segmentation mask 1.1` or `CVAT for images 1.1`")

    tool = add_tool(tools, "label-studio", "Label Studio JSON exports, folders of them, or folders "
                    "of `Brush labels to PNG` with a JSON export in them")
    tool.add_argument("--control", default="", metavar="NAME",
                      help="the control of labels that names the class, where there are several")

    tool = add_tool(tools, "iwildcam", "the folder instance_masks of iWildCam 2022")
    tool.add_argument("--detections", type=user_path, required=True, metavar="FILE",
                      help="iwildcam2022_mdv4_detections.json")
    tool.add_argument("--metadata", type=user_path, metavar="FILE",
                      help="iwildcam2022_train_annotations.json: species, locations, sequences")
    tool.add_argument("--confidence", type=float, default=0.5,
                      help="detections below this confidence are ignored (255)")

    tool = add_tool(tools, "masks", "folders of mask pictures: palette, grey or colour-coded")
    tool.add_argument("--colours", type=user_path, required=True, metavar="FILE",
                      help="table of what each value or colour means, see labels/mask_table.py")
    tool.add_argument("--ending", default=".png",
                      help="what follows the photo's name in a mask's name, such as _mask.png")
    tool.add_argument("--edges", choices=("nearest", "ignore"), default="nearest",
                      help="colours between two classes (anti-aliasing): nearest colour, or ignore")

    tool = add_tool(tools, "via", "VGG Image Annotator: project JSON, annotations as JSON or CSV")
    tool.add_argument("--attribute", default="", metavar="NAME",
                      help="the attribute that names the class (default: the only one)")
    tool.add_argument("--class", default="", dest="name", metavar="NAME",
                      help="the class of all regions, whatever their attributes")

    tool = add_tool(tools, "segment-anything",
                    "folders of JSON files of Segment Anything, one a photo", images=False)
    tool.add_argument("--class", required=True, dest="name", metavar="NAME",
                      help="the class of all masks")

    add_tool(tools, "supervisely", "folders of Supervisely projects", images=False)
    add_tool(tools, "datumaro", "folders of Datumaro exports (annotations/*.json)", images=False)

    tool = add_tool(tools, "coco-video", "COCO JSON of videos, such as SA-FARI and YouTube-VIS: "
                    "the frames are the photos")
    tool.add_argument("--crowd", choices=("ignore", "class"), default="ignore",
                      help="group regions (iscrowd): ignore (255), or count as their class")

    add_tool(tools, "labelbox", "Labelbox exports as NDJSON, with the pictures of masks beside")

    tool = add_tool(tools, "review", "marks that report.html has saved as CSV: predictions that "
                    "are right become labels")
    tool.add_argument("--predictions", type=user_path, required=True, metavar="DIR",
                      help="the folder of results in which that report.html lay, for its "
                      "predictions.jsonl")
    tool.add_argument("--with", type=user_path, dest="drawn", metavar="DATA_ROOT",
                      help="a data root of masks drawn by hand: the new one holds its photos, too, "
                      "and these alone are validated and tested on")

    parser.set_defaults(begin=[])  # what a training with the labels may begin with
    return parser.parse_args()


def add_tool(tools, name: str, meaning: str,
             images: bool | None = True) -> ScriptParser:
    """A subcommand; `images`: whether the folder of the photos must be given (None = cannot)."""
    tool = tools.add_parser(name, help=meaning, description=meaning)
    tool.add_argument("labels", nargs="+", type=user_path, metavar="LABELS", help=meaning)
    if images is not None:
        tool.add_argument("--images", nargs="+", type=user_path, required=images, metavar="DIR",
                          help="folder of the photos: one for all inputs, or one for each")
        tool.add_argument("--split", nargs="+", choices=(*SPLITS, "folders", "none"),
                          help="split of each input's photos, or `folders`: what folders called "
                          "train, val and test say; of copies in several, the test one stays")
    tool.add_argument("--visits", choices=("drop", "keep"), default="",
                      help="folders of visits, such as 2024-05-01: of one camera, or each of its "
                      "own")
    tool.add_argument("--facts", type=user_path, metavar="FILE",
                      help="take location, sequence and time of the photos from a Timelapse CSV, "
                      "Camtrap DP's media.csv, Wildlife Insights' images.csv, or COCO Camera Traps "
                      "or MegaDetector JSON")
    tool.add_argument("--out", type=user_path, required=True, help="data root to write")
    tool.add_argument("--overlap", choices=("later", "smaller", "ignore"), default="later",
                      help="where two classes overlap: later or smaller shape wins, or ignore")
    tool.add_argument("--unannotated", choices=("empty", "unlabelled"),
                      help="photos without annotation: checked and empty, or not looked at")
    tool.add_argument("--alike", choices=("join", "keep"), default="",
                      help="classes that differ by capital letters, blanks or _ alone (Fox, fox): "
                      "one class, or two")
    tool.add_argument("--mask-long-side", type=int, default=0, metavar="PIXELS",
                      help="store masks no larger than this (default: as labelled)")
    tool.add_argument("--skip-missing", action="store_true",
                      help="leave out labels whose photo is missing")
    tool.add_argument("--skip-broken", action="store_true",
                      help="leave out photos that cannot be read")
    tool.add_argument("--overwrite", action="store_true", help="replace an earlier import")
    tool.add_argument("--dry-run", action="store_true", help="tell what would be written")
    return tool


if __name__ == "__main__":
    same_checkout(__file__)
    arguments = parse_arguments()  # before numpy, Pillow and scipy, which take a second to import

from camera_trapinator import InputError
from camera_trapinator.data.files import sha256
from camera_trapinator.labels.coco import read_coco
from camera_trapinator.labels.coco_video import read_coco_video
from camera_trapinator.labels.cvat import read_cvat_xml
from camera_trapinator.labels.data_root import write_data_root
from camera_trapinator.labels.datumaro import read_datumaro
from camera_trapinator.labels.drawn import join_drawn
from camera_trapinator.labels.exports import files_below, places_of
from camera_trapinator.labels.facts import take_over
from camera_trapinator.labels.iwildcam import read_iwildcam
from camera_trapinator.labels.label_studio import read_brush_pictures, read_label_studio
from camera_trapinator.labels.labelbox import read_labelbox
from camera_trapinator.labels.labelme import read_labelme
from camera_trapinator.labels.mask_folder import read_mask_folder
from camera_trapinator.labels.pairing import left_over
from camera_trapinator.labels.review import read_review
from camera_trapinator.labels.roboflow import find_exports, group_copies
from camera_trapinator.labels.segment_anything import read_segment_anything
from camera_trapinator.labels.shapes import Labels
from camera_trapinator.labels.sites import settle_sites, settle_splits
from camera_trapinator.labels.source import Source
from camera_trapinator.labels.supervisely import read_supervisely
from camera_trapinator.labels.via import read_via
from camera_trapinator.labels.yolo import find_set, read_yolo
from camera_trapinator.outputs.report_marks import predictions_of
from camera_trapinator.utils import RUNS, exit_on_bad_input


def main(arguments: argparse.Namespace) -> None:
    labels = READERS[arguments.tool](arguments)
    if arguments.facts:
        folders = {place: Source(arguments.facts, images, place)
                   for _, images, place, _ in inputs(arguments)}
        take_over(arguments.facts, labels, list(folders.values()))
    said = from_folders(arguments)
    for title, settle in (
            ("splits", partial(settle_splits, said=said, tree=arguments.tool == "yolo")),
            ("locations", partial(settle_sites, visits=arguments.visits))):
        try:
            line = settle(labels.photos)
        except InputError as error:
            labels.questions.append(str(error))
        else:
            # Splits that were given, one for each input, are not assumed.
            if line and (title != "splits" or said or not arguments.split):
                print(f"{title:12}{line}")
    unlisted, others = left_over(arguments.images or arguments.labels, labels, arguments.out)
    if arguments.tool == "review":  # as a rule most photos have no mark
        labels.told += [f"{len(unlisted)} photos have no mark: left out"] if unlisted else []
    else:
        labels.unpaired += unlisted
    for line in others:
        print(f"passed over {line}")
    write_data_root(labels, arguments.out, overlap=arguments.overlap,
                    unannotated=arguments.unannotated, alike=arguments.alike,
                    mask_long_side=arguments.mask_long_side, overwrite=arguments.overwrite,
                    dry_run=arguments.dry_run)
    if not arguments.dry_run:
        root = arguments.out.resolve()
        words = ["python", "scripts/train.py", "--config", "configs/few_masks.yaml", "--run",
                 root.name, f"data_root={root}", *arguments.begin]
        print("next        " + " ".join(f'"{word}"' if " " in word else word for word in words))


# One function a tool: which reader its files are for, with which options.


def coco(arguments: argparse.Namespace) -> Labels:
    return read_all(partial(read_coco, crowd=arguments.crowd), arguments)


def labelme(arguments: argparse.Namespace) -> Labels:
    return read_all(partial(read_labelme, classes=arguments.classes), arguments)


def roboflow(arguments: argparse.Namespace) -> Labels:
    exports = [part for folder in arguments.labels for part in find_exports(folder)]
    arguments.labels = [path for path, _ in exports]
    arguments.images = [path.parent for path, _ in exports]
    arguments.split = [split for _, split in exports]
    return read_all(read_coco, arguments)


def yolo(arguments: argparse.Namespace) -> Labels:
    sets = [find_set(folder, arguments.names, bool(arguments.images))
            for folder in arguments.labels]
    arguments.labels = [part.labels for part in sets]
    arguments.images = arguments.images or [part.images for part in sets]
    names = {part.labels: part.names for part in sets}
    return read_all(lambda source: read_yolo(source, names[source.path]), arguments)


def cvat(arguments: argparse.Namespace) -> Labels:
    def read(source: Source) -> Labels:
        path = source.path
        if path.is_file() or (path / "annotations.xml").is_file():  # `CVAT for images 1.1`
            source.path = path if path.is_file() else path / "annotations.xml"
            return read_cvat_xml(source)
        source.path = path / "SegmentationClass"
        if not source.path.is_dir():
            raise InputError(f"{path}: neither annotations.xml (`CVAT for images 1.1`) nor "
                             "SegmentationClass (`Segmentation mask 1.1`) is there; give the "
                             "folder of the unzipped export")
        return read_mask_folder(source, colours=path / "labelmap.txt")
    return read_all(read, arguments)


def label_studio(arguments: argparse.Namespace) -> Labels:
    def read(source: Source) -> Labels:
        pictures = source.path.is_dir() and files_below(source.path, ".png")
        return (read_brush_pictures if pictures else read_label_studio)(source, arguments.control)
    return read_all(read, arguments)


def iwildcam(arguments: argparse.Namespace) -> Labels:
    return read_all(partial(read_iwildcam, detections=arguments.detections,
                            metadata=arguments.metadata, confidence=arguments.confidence),
                    arguments)


def masks(arguments: argparse.Namespace) -> Labels:
    return read_all(partial(read_mask_folder, colours=arguments.colours, ending=arguments.ending,
                            edges=arguments.edges), arguments)


def via(arguments: argparse.Namespace) -> Labels:
    return read_all(partial(read_via, attribute=arguments.attribute, name=arguments.name),
                    arguments)


def segment_anything(arguments: argparse.Namespace) -> Labels:
    return read_all(partial(read_segment_anything, name=arguments.name), arguments)


def supervisely(arguments: argparse.Namespace) -> Labels:
    return read_all(read_supervisely, arguments)


def datumaro(arguments: argparse.Namespace) -> Labels:
    return read_all(read_datumaro, arguments)


def coco_video(arguments: argparse.Namespace) -> Labels:
    return read_all(partial(read_coco_video, crowd=arguments.crowd), arguments)


def labelbox(arguments: argparse.Namespace) -> Labels:
    return read_all(read_labelbox, arguments)


def review(arguments: argparse.Namespace) -> Labels:
    if arguments.drawn and arguments.split:
        raise InputError("--split: with --with the reviewed photos are learned from, and those "
                         "drawn by hand keep their splits; leave --split out")
    if arguments.drawn and arguments.drawn.resolve() == arguments.out.resolve():
        raise InputError(f"--out {arguments.out}: it is the data root of --with; give another one")

    def predictions(files: Collection[str]) -> tuple[dict, dict]:
        info, found = predictions_of(arguments.predictions, files)
        best = RUNS / info["model"] / "best.pt"
        if best.is_file() and sha256(best) == info["weights"]:  # no other run of this name
            arguments.begin = [f"weights={info['model']}"]
        return info, found

    labels = read_all(partial(read_review, predictions=predictions), arguments)
    if arguments.drawn:
        join_drawn(labels, arguments.drawn)
        arguments.split = ["train"] * len(arguments.labels)
    else:
        labels.told.append("the masks are a model's own: scores on them tell how far the next one "
                           "agrees with it; --with DATA_ROOT adds those drawn by hand, and tests "
                           "on these")
    return labels


def read_all(read: Callable[[Source], Labels], arguments: argparse.Namespace) -> Labels:
    """The labels of all inputs together."""
    labels = Labels()
    for path, images, place, split in inputs(arguments):
        source = Source(path, images, place, split, arguments.skip_missing, arguments.skip_broken)
        labels += read(source)
    return group_copies(labels)


def from_folders(arguments: argparse.Namespace) -> str:
    """Whether the folders tell the splits: "folders", "none", or "" where nobody has said."""
    said = arguments.split or [""]
    return said[0] if said[0] in ("folders", "none") and len(said) == 1 else ""


def inputs(arguments: argparse.Namespace) -> list[tuple[Path, Path, str, str]]:
    """Each input with its folder of photos, their place in the data root, its split."""
    # Without --images the photos lie beside their labels.
    paths, images = arguments.labels, arguments.images or arguments.labels
    if len(images) == 1:
        images = images * len(paths)
    if len(images) != len(paths):
        raise InputError(f"--images: {len(images)} folders for {len(paths)} inputs; give one for "
                         "all, or one for each")
    splits = ([""] * len(paths) if from_folders(arguments) or not arguments.split
              else arguments.split)
    if len(splits) != len(paths):
        raise InputError(f"--split: {len(splits)} splits for {len(paths)} inputs; give one for "
                         "each")
    if len({path.resolve() for path in paths}) < len(paths):
        raise InputError("one of the inputs is given twice; give each export once, with the folder "
                         "that holds all its photos")
    places = places_of(images, arguments.out)
    return [(path, folder, places[folder.resolve()], split)
            for path, folder, split in zip(paths, images, splits, strict=True)]


READERS = {"coco": coco, "labelme": labelme, "roboflow": roboflow, "yolo": yolo, "cvat": cvat,
           "label-studio": label_studio, "iwildcam": iwildcam, "masks": masks, "via": via,
           "segment-anything": segment_anything, "supervisely": supervisely, "datumaro": datumaro,
           "coco-video": coco_video, "labelbox": labelbox, "review": review}


if __name__ == "__main__":
    with exit_on_bad_input():
        main(arguments)
