"""Turn what a labelling tool exports into a data root: manifest.csv, classes.csv and masks.

    python scripts/import_labels.py coco annotations.json --images photos/ --out ~/data/site
    python scripts/import_labels.py coco train.json test.json --images train/ test/ \\
        --split train test --out ~/data/site

The originals are never touched. `import_labels.py TOOL --help` names the options.
"""

import argparse
from pathlib import Path

from camera_trapinator import InputError
from camera_trapinator.labels import write_data_root
from camera_trapinator.labels.coco import read_coco
from camera_trapinator.manifest import SPLITS
from camera_trapinator.utils import exit_on_bad_input


def main() -> None:
    arguments = parse_arguments()
    photos = []
    for file, images, folder, split in inputs(arguments):
        photos += read_coco(file, images, folder, crowd=arguments.crowd, split=split,
                            skip_missing=arguments.skip_missing)
    write_data_root(photos, arguments.out, overlap=arguments.overlap,
                    unannotated=arguments.unannotated, mask_long_side=arguments.mask_long_side,
                    overwrite=arguments.overwrite, dry_run=arguments.dry_run)


def inputs(arguments: argparse.Namespace) -> list[tuple[Path, Path, str, str]]:
    """Each file of labels with its folder of photos, their place in the data root, its split."""
    files, images = arguments.files, arguments.images
    if len(images) == 1:
        images = images * len(files)
    if len(images) != len(files):
        raise InputError(f"--images: {len(images)} folders for {len(files)} files; give one for "
                         "all, or one for each")
    splits = arguments.split or [""] * len(files)
    if len(splits) != len(files):
        raise InputError(f"--split: {len(splits)} splits for {len(files)} files; give one for each")
    folders: dict[Path, str] = {}
    for folder in images:
        if not folder.is_dir():
            raise InputError(f"--images: {folder} is no folder")
        if folder.resolve() in folders:
            continue
        if folder.resolve().is_relative_to(arguments.out.resolve()):
            place = folder.resolve().relative_to(arguments.out.resolve()).as_posix()
            folders[folder.resolve()] = "" if place == "." else place
            continue
        name = f"photos/{folder.resolve().name}"
        while name in folders.values():  # two folders of one name stay two
            name += "_"
        folders[folder.resolve()] = name
    return [(file, folder, folders[folder.resolve()], split)
            for file, folder, split in zip(files, images, splits, strict=True)]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    tools = parser.add_subparsers(dest="tool", required=True)
    coco = tools.add_parser("coco", help="COCO and COCO Camera Traps JSON",
                            description="COCO JSON: polygons, run-length encodings, iscrowd.")
    coco.add_argument("files", nargs="+", type=Path, metavar="FILE", help="COCO JSON")
    coco.add_argument("--images", nargs="+", type=Path, required=True, metavar="DIR",
                      help="folder of the photos: one for all files, or one for each")
    coco.add_argument("--out", type=Path, required=True, help="data root to write")
    coco.add_argument("--split", nargs="+", choices=SPLITS, help="split of each file's photos; "
                      "of copies in several splits, the test one stays")
    coco.add_argument("--crowd", choices=("ignore", "class"), default="ignore",
                      help="group regions: ignore (255), or count as their class")
    coco.add_argument("--overlap", choices=("later", "smaller", "ignore"), default="later",
                      help="where two classes overlap: later or smaller shape wins, or ignore")
    coco.add_argument("--unannotated", choices=("empty", "unlabelled"),
                      help="photos without annotation: checked and empty, or not looked at")
    coco.add_argument("--mask-long-side", type=int, default=0, metavar="PIXELS",
                      help="store masks no larger than this (default: as labelled)")
    coco.add_argument("--skip-missing", action="store_true",
                      help="leave out photos that the file lists but the folder lacks")
    coco.add_argument("--overwrite", action="store_true", help="replace an earlier import")
    coco.add_argument("--dry-run", action="store_true", help="tell what would be written")
    return parser.parse_args()


if __name__ == "__main__":
    with exit_on_bad_input():
        main()
