"""Write a trained network as files for other programs and phones, and what each of them changes.

    python scripts/export.py --run my_site --to onnx         # fp32, fp16 and int8
    python scripts/export.py --run my_site --to executorch   # for apps: fp32 and int8
    python scripts/export.py --run my_site --to web          # the phone page, docs/phone.md
    python scripts/export.py --to all --least-agreement 0.98

Files go to cnn_states/<run>/export/. Each is compared with PyTorch on the run's test photos before
it gets its name: export.json and the run's model card have the table. A file that agrees with
PyTorch on fewer pixels than --least-agreement is not kept, and the exit code is 2.
"""

import argparse

try:
    from camera_trapinator.command.arguments import ScriptParser, same_checkout, user_path
except ImportError:
    import environment  # noqa: F401 (it says what to do)


def parse_arguments() -> argparse.Namespace:
    parser = ScriptParser(__doc__)
    parser.add_argument("--run", help="name of the run, or its folder (default: the newest)")
    parser.add_argument("--to", choices=("onnx", "executorch", "web", "all"), required=True,
                        help="what the files are for: onnx, executorch, web or all")
    parser.add_argument("--kinds", nargs="+", choices=("fp32", "fp16", "int8"),
                        help="how numbers are stored (default: all that there are)")
    parser.add_argument("--least-agreement", type=float, default=0.99, metavar="SHARE",
                        help="of the pixels, 0 to 1; a file with less is not kept (default: 0.99)")
    parser.add_argument("--canvas", metavar="WIDTHxHEIGHT", help="files for one size of photos, at "
                        "network scale, such as 320x240 (default: .onnx takes any, .pte is for the "
                        "size that most photos have)")
    parser.add_argument("--photos", type=user_path, metavar="FOLDER", help="compare on the photos "
                        "below it (default: the run's test photos)")
    parser.add_argument("--limit", type=int, default=0, help="compare on so many photos, spread "
                        "over all (default: all)")
    parser.add_argument("--licence", default="", help="of the weights: an SPDX name such as "
                        "CC-BY-4.0, which the files tell")
    return parser.parse_args()


if __name__ == "__main__":
    same_checkout(__file__, "torch")
    arguments = parse_arguments()  # before torch, which takes seconds to import

import re
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path

import torch

from camera_trapinator import InputError
from camera_trapinator.config import Config, parse_config
from camera_trapinator.data.lock import only_one
from camera_trapinator.dataset import PredictionDataset
from camera_trapinator.export.alone import Candidate, Photos, open_torch
from camera_trapinator.export.compared import RunPhotos
from camera_trapinator.export.keeping import (
    keep_good,
    refusal,
    strangers,
    this_machine,
    unproven_folder,
)
from camera_trapinator.export.metadata import describe
from camera_trapinator.export.parity import compare_models
from camera_trapinator.export.runtime import ExportedModel
from camera_trapinator.export.targets import Plan, calibration_photos, plan, write_files
from camera_trapinator.model import SegmentationModel, load_model
from camera_trapinator.outputs.model_card import write_model_card
from camera_trapinator.outputs.parity_table import FOLDER, TABLE, as_lines
from camera_trapinator.outputs.places import find_run, find_weights
from camera_trapinator.outputs.prediction import Knobs
from camera_trapinator.training.checkpoint import load_checkpoint
from camera_trapinator.training.slim import slim_checkpoint
from camera_trapinator.utils import ROOT, choose_precision, exit_on_bad_input


@dataclass
class Job:
    """What is exported, and what it is compared on."""

    weights: Path
    checkpoint: dict
    config: Config
    net: SegmentationModel
    plan: Plan
    canvas: tuple[int, int] | None  # height, width
    photos: Photos
    compared_on: str  # in words
    calibration: PredictionDataset | None  # the training photos, where they are needed


def main(arguments: argparse.Namespace) -> None:
    job = checked(arguments)
    with only_one(job.weights.parent / FOLDER):
        export(job, arguments.least_agreement, arguments.licence)


def checked(arguments: argparse.Namespace) -> Job:
    """All that can be wrong is looked for before the work, and told at once."""
    run = find_run(arguments.run) if arguments.run else find_weights(None, None).parent
    weights = run / "best.pt"
    checkpoint = load_checkpoint(weights)
    config = parse_config(checkpoint["config"], str(weights), stored=True)
    net = load_model(checkpoint)
    made, faults = plan(arguments.to, arguments.kinds)
    if not 0 <= arguments.least_agreement <= 1:
        faults.append(f"--least-agreement {arguments.least_agreement}: a share from 0 to 1")
    if arguments.limit < 0:
        faults.append(f"--limit {arguments.limit}: a number of photos, or 0 for all")
    regression, canvas = config.task == "regression", None
    try:
        canvas = canvas_of(arguments.canvas, net.stride)
    except InputError as error:
        faults.append(str(error))
    if made.page_of:
        faults += page_faults(regression)
    source = RunPhotos(weights, checkpoint, ROOT / config.data_root, config.manifest,
                       config.split_by, config.strips, config.working_scale,
                       config.target_scale if regression else None)
    dataset = calibration = compared_on = None
    try:
        dataset, compared_on = source.compared(arguments.photos, arguments.limit)
    except InputError as error:
        cure = "" if arguments.photos else "; or compare on other photos: --photos FOLDER"
        faults.append(f"{error}{cure}")
    if any(file.kind == "int8" or file.suffix == ".pte" and not canvas for file in made.files):
        try:
            calibration = source.training()
        except InputError as error:
            faults.append(str(error))
    if faults:
        raise InputError("; also ".join(dict.fromkeys(faults)))
    # Compared is what the network says of a whole photo, once, at the photo's own size.
    knobs = replace(config, mask_size="photo", flips=False, tile=0)
    knobs = Knobs(**{field.name: getattr(knobs, field.name) for field in fields(Knobs)})
    photos = Photos(dataset, knobs, knobs.info(weights, checkpoint, torch.device("cpu")))
    return Job(weights, checkpoint, config, net, made, canvas, photos, compared_on, calibration)


def canvas_of(text: str | None, stride: int) -> tuple[int, int] | None:
    """--canvas as (height, width)."""
    if text is None:
        return None
    sizes = re.fullmatch(r"(\d+)[x×](\d+)", text.strip().lower())
    if not sizes:
        raise InputError(f"--canvas {text}: write width and height as in 320x240")
    width, height = map(int, sizes.groups())
    if width % stride or height % stride or not width * height:
        near = "x".join(str(max(1, round(side / stride)) * stride) for side in (width, height))
        raise InputError(f"--canvas {text}: width and height have to be multiples of {stride}, the "
                         f"network's stride, such as {near}")
    return height, width


def page_faults(regression: bool) -> list[str]:
    """What stands against the phone page."""
    from camera_trapinator.export.web import runtime_faults

    return [*runtime_faults(), *(["--to web: the page shows species, and this run is a regression: "
                                  "--to onnx"] if regression else [])]


def export(job: Job, least_agreement: float, licence: str) -> None:
    """Write each file where nobody takes it for good, compare it, and then give it its name."""
    run, drafts = job.weights.parent, unproven_folder(job.weights.parent)
    metadata = describe(job.net, job.weights, slim_checkpoint(job.checkpoint, job.config), licence,
                        job.canvas)
    calibration = calibration_photos(job.calibration) if job.calibration else []
    candidates = {f"PyTorch {name}": Candidate(
        partial(open_torch, load_checkpoint, job.weights), name) for name in torch_precisions()}
    reasons = write_files(job.plan.files, job.net, drafts, metadata, calibration)
    for name in (file.name(run.name) for file in job.plan.files):
        if name not in reasons:
            candidates[name] = Candidate(partial(ExportedModel, drafts / name))
    rows = compare_models(job.photos, candidates, least_agreement, drafts)
    rows += [{"name": name, "passed": False, "error": text} for name, text in reasons.items()]
    made = [row for row in rows if not row["name"].startswith("PyTorch")]
    machine = this_machine()
    table = keep_good(run, rows, {"run": run.name, "compared_on": job.compared_on,
                                  "machine": machine, "least_agreement": least_agreement})
    told = made_page(job, made, metadata)
    if (run / "splits.csv").exists():
        write_model_card(run, job.checkpoint, job.config.best_by)
    print("\n".join(["", *as_lines(table), "", f"compared on {job.compared_on}, {machine}"]))
    others = strangers(run, table)
    for name in others:
        print(f"note        {name}: an earlier file, of which this table does not tell; export it "
              "anew, or delete it")
    for line in told:
        print(line)
    print(f"see {run / FOLDER / TABLE}, and the run's model_card.md")
    if line := refusal(made, least_agreement, others):
        raise InputError(line)


def made_page(job: Job, made: list[dict], metadata: dict) -> list[str]:
    """Write the phone page of a file that was kept; what is to be told of it."""
    if not job.plan.page_of:
        return []
    from camera_trapinator.export.web import page_notes, write_page

    run, name = job.weights.parent, job.plan.page_of.name(job.weights.parent.name)
    if not next(row["passed"] for row in made if row["name"] == name):
        return ["note        no page is written, for its model was not kept"]
    write_page(run / FOLDER / name, run / FOLDER / "web")
    return [*(f"note        {note}" for note in page_notes(metadata)),
            f"the page: {run / FOLDER / 'web'}; docs/phone.md tells how it gets onto a phone"]


def torch_precisions() -> list[str]:
    """fp32, with which the files are compared, and bf16 where the processor computes it."""
    return list(dict.fromkeys(["fp32", choose_precision(torch.device("cpu")).name]))


if __name__ == "__main__":
    with exit_on_bad_input():
        main(arguments)
