"""Every knob of a run in one dataclass; a YAML file and key=value overrides fill it.

Values are read as text and turned into the type that the dataclass gives: `1e-3` is a number
(plain YAML calls it text) and a site `0012` stays `0012` (plain YAML makes it 10). A key that
does not exist is an error that names the nearest one.
"""

import dataclasses
import difflib
import os
import re
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import yaml

from . import InputError

VALUE_LOSSES = ("least_squares", "huber")  # of task: regression
VALUE_OUTPUTS = ("masks", "overlays", "csv")
# Knobs that look at classes: no good for a regression.
OF_CLASSES = ("class_weights", "balance", "empty_fraction", "start_fraction", "animal_crops",
              "teacher")


def knob(default, meaning: str, low: float | None = None, high: float | None = None,
         choices: Sequence[str] = ()):
    """A dataclass field with its one-line meaning, and its range or choices."""
    return dataclasses.field(default=default, metadata={
        "meaning": meaning, "low": low, "high": high, "choices": tuple(choices)})


@dataclass(frozen=True)
class Config:
    """All knobs. `configs/unet.yaml` names every one of them, at its default."""

    # data
    data_root: str = knob("../camera_trapinator_data/demo",
                          "folder of manifest.csv, classes.csv, photos and masks; ~ and $VAR work")
    manifest: str = knob("manifest.csv", "name of the table of photos and masks in data_root")
    task: str = knob("classification", "classification = a class for every pixel, regression = a "
                     "number", choices=("classification", "regression"))
    quantity: str = knob("value", "for regression: what the numbers are and their unit, such as "
                         "distance (m)")
    target_scale: float = knob(1.0, "for regression: the quantity per step of a stored number, "
                               "such as 0.01 for metres from maps in centimetres", 1e-12, 1e12)
    split_by: str = knob("location", "what never stands in two splits, unless the manifest has a "
                         "split column", choices=("location", "sequence", "photo"))
    val_fraction: float = knob(0.15, "share of the photos that choose best.pt", 0, 0.9)
    test_fraction: float = knob(0.15, "share of the photos kept for test.py", 0, 0.9)
    test_seen_fraction: float = knob(0.0, "share of the training photos (whole sequences) kept to "
                                     "test on seen locations", 0, 0.9)
    splits_file: str = knob("", "splits.csv of an earlier run, obeyed instead; empty = none")
    folds: int = knob(0, "cross-validation: cut the locations (see split_by) into so many parts; "
                         "0 = no", 0, 1000)
    fold: int = knob(0, "which of the parts is the test, from 0 on", 0, 999)
    test_from: str = knob("", "last season: the test is what was taken from this day on, "
                          "YYYY-MM-DD; empty = no")
    allow_leakage: bool = knob(False, "train although train and test share what they should not")
    working_scale: int = knob(640, "long side in pixels at which the network sees a photo, in "
                              "training and prediction; 0 = the photo's own size", 0, 20000)
    crop_size: tuple[int, int] = knob((480, 640), "height and width of a training crop, in pixels "
                                      "at the working scale", 16, 20000)
    strips: str = knob("none", "the camera's info strip, kept from the network: none, auto (found "
                       "for each location), or rows at the top and bottom of each photo, as in "
                       "'0, 64'")

    # augmentation (training photos only; image and mask together)
    animal_crops: float = knob(0.0, "share of the crops that are laid where an animal is, if there "
                                    "is one: for small animals", 0, 1)
    flip: float = knob(0.5, "probability of a left-right flip", 0, 1)
    scale_range: tuple[float, float] = knob((0.7, 1.4), "range of the random zoom before the crop",
                                            0.1, 10)
    brightness: float = knob(0.3, "largest relative change of brightness", 0, 1)
    contrast: float = knob(0.3, "largest relative change of contrast", 0, 1)
    colour: float = knob(0.3, "largest relative change of saturation and of the colour balance",
                         0, 1)
    grayscale: float = knob(0.2, "probability of turning a photo grey, as at night", 0, 1)
    noise: float = knob(8.0, "largest standard deviation of the added noise, in grey levels", 0, 64)
    blur: float = knob(0.1, "probability of a slight blur", 0, 1)
    infrared: float = knob(0.0, "probability of making a photo look as if taken at night by "
                           "infrared flash; such a photo skips the steps from brightness on", 0, 1)

    # model
    encoder: str = knob("none", "the way down: none = the paper's; or a network for photos, which "
                        "can be pretrained", choices=(
                            "none", "efficientnet_lite0", "resnet18", "resnet34", "resnet50",
                            "mobilenet_v3_large", "convnext_tiny"))
    weights: str = knob("imagenet", "of the encoder at the start: imagenet, none, or a file")
    init_from: str = knob("", "run, or .pt file, whose weights to begin with; its classes may be "
                          "others; empty = none")
    width: int = knob(64, "channels of the first level, doubled at each pooling (paper: 64)", 1,
                      1024)
    depth: int = knob(4, "number of poolings of the paper's U-Net (paper: 4)", 1, 8)
    norm: str = knob("batch", "normalisation after each convolution (paper: none)",
                     choices=("batch", "none"))
    sync_norm: bool = knob(False, "in a training on several GPUs: normalise over the photos of all "
                           "of them, not of each (for few photos a GPU; slower)")

    # which photos are drawn
    balance: float = knob(0.0, "0 = photos as they come; 1 = each species equally often; 0.5 = in "
                          "between (a photo's weight: share of photos with its rarest species, to "
                          "the power of -balance)", 0, 1)
    empty_fraction: float = knob(-1.0, "share of the draws that are empty photos; -1 = as they "
                                 "come", -1, 0.99)
    start_fraction: float = knob(1.0, "curriculum: share of the training photos, the easiest, that "
                                 "the first epoch draws from; 1 = no curriculum", 0, 1)
    curriculum_epochs: int = knob(10, "epochs until all photos are drawn from", 1, 100000)
    difficulty: str = knob("photo", "what is hard: photo = small, hidden, cut, at night, blurred; "
                           "loss = what an earlier run is bad at", choices=("photo", "loss"))
    difficulty_run: str = knob("", "for difficulty: loss: that run, or a .pt file; empty = none")

    # loss
    loss: str = knob("cross_entropy", "training criterion; for regression least_squares or huber",
                     choices=("cross_entropy", "focal", "dice", "cross_entropy_dice",
                              "least_squares", "huber"))
    class_weights: str = knob("none", "weight of each class in the cross entropy: none, balanced "
                              "(by inverse square root of the pixel counts), or numbers, as in "
                              "'1, 5, 5'")

    teacher: str = knob("", "run, or .pt file, of a larger network whose predictions are learned "
                            "too; empty = none")
    teacher_share: float = knob(0.5, "share of the loss that says how far the teacher is", 0, 1)
    temperature: float = knob(2.0, "how much both predictions are softened for that", 0.1, 100)

    # optimisation
    epochs: int = knob(100, "passes over the training photos", 1, 100000)
    batch_size: int = knob(8, "photos in a step", 1, 65536)
    micro_batch_size: int = knob(0, "photos of a step that the network sees at once; fewer need "
                                 "less memory; 0 = all", 0, 65536)
    recompute: bool = knob(False, "compute activations a second time instead of keeping them: less "
                           "memory, a third more time")
    optimizer: str = knob("sgd", "how weights follow the gradient", choices=("sgd", "adamw"))
    learning_rate: float = knob(0.05, "at its highest; falls to 0 along a cosine (SGD likes 0.05, "
                                "AdamW 0.001)", 0, 100)
    encoder_rate: float = knob(1.0, "learning rate of the encoder, as a share of the others'", 0,
                               10)
    freeze_encoder: int = knob(0, "epochs at the start in which the encoder does not learn", 0,
                               100000)
    freeze_levels: int = knob(0, "levels of the encoder, from the finest, that never learn: steps "
                              "are faster then", 0, 5)
    freeze_norm: bool = knob(False, "keep the statistics of the encoder's batch normalisation")
    warmup_epochs: float = knob(1.0, "epochs in which the learning rate rises from 0", 0, 1000)
    momentum: float = knob(0.9, "of SGD (Nesterov)", 0, 0.9999)
    weight_decay: float = knob(1e-4, "how strongly weights are pulled towards 0 (SGD likes 1e-4, "
                               "AdamW 0.01)", 0, 1)
    ema: float = knob(0.0, "predict with a running mean of the weights that keeps this share of "
                      "itself in each step, such as 0.99; 0 = with the weights themselves", 0,
                      0.99999)
    gradient_clip: float = knob(1.0, "largest norm of the gradient; 0 = no limit", 0, 1e6)
    best_by: str = knob("mean_iou", "validation score that chooses best.pt; in a regression it is "
                        "always the RMSE",
                        choices=("mean_iou", "foreground_iou"))
    seed: int = knob(0, "of every random choice", 0, 2**31 - 1)

    # machine
    device: str = knob("auto", "auto, cpu, cuda, cuda:1, mps")
    precision: str = knob("auto", "auto = bf16 where the hardware has it, fp16 on older GPUs",
                          choices=("auto", "fp32", "bf16", "fp16"))
    compile: bool = knob(False, "compile the network with torch.compile (slow start, faster steps)")
    deterministic: bool = knob(False, "the same bits on every run on a GPU, at some cost in speed")
    num_workers: str = knob("auto", "processes that read photos: auto = measured at the start; 0 = "
                            "the main process reads")
    cache: str = knob("ram", "where photos are kept once they are decoded and scaled: ram, disk "
                      "(for later runs too) or none; photos of their own size are not kept",
                      choices=("ram", "disk", "none"))
    cache_gb: float = knob(8.0, "most gigabytes that this takes", 0.01, 1e6)
    checkpoint_minutes: float = knob(10.0, "so often last.pt is also written within an epoch; 0 = "
                                     "only after each epoch, and when the run is stopped", 0, 1e6)
    broken_photos: str = knob("stop", "if a photo with a mask, or that mask, cannot be read: stop, "
                              "or skip = train, validate and test without it (reads all photos "
                              "with a mask before the first training)",
                              choices=("stop", "skip"))
    read_timeout: float = knob(0.0, "seconds after which a batch of photos that does not come, "
                               "from a drive that has stalled, ends the script; 0 = never (needs "
                               "num_workers: 1 or more)", 0, 1e6)
    skip_bad_steps: int = knob(0, "so many steps of an epoch whose loss is no finite number may be "
                               "left out; one more stops the run", 0, 10**9)

    # prototyping
    limit: int = knob(0, "train and validate on so many photos each, spread over locations and "
                         "classes; 0 = all; test.py always tests on all test photos", 0, 10**9)
    overfit_one_batch: bool = knob(False, "learn one batch by heart, without augmentation: it must "
                                          "succeed if model, criterion and data fit together")
    dry_run: bool = knob(False, "two batches of everything, and what it costs; makes no run")

    # prediction
    predict_batch_size: int = knob(8, "photos predicted at once", 1, 65536)
    tile: int = knob(0, "photos larger than this, in pixels at the working scale, are predicted in "
                        "overlapping tiles of that side; 0 = always whole", 0, 20000)
    flips: bool = knob(False, "predict each photo also mirrored, and take the mean")
    mask_size: str = knob("photo", "size of predicted masks: the photo's own, or the network's",
                          choices=("photo", "network"))
    smallest_blob: float = knob(0.0005, "predicted blobs below this share of the photo do not "
                                "count as an animal", 0, 1)
    faint: float = knob(0.1, "parts of a photo that are no blob but as sure as this (smoothed "
                        "foreground probability) are told to MegaDetector's readers and the "
                        "report", 0.01, 1)
    event_minutes: float = knob(30.0, "photos of a species at a location further apart than this "
                                "are independent events", 0, 100000)
    outputs: tuple[str, ...] = knob(("masks", "overlays", "csv", "report"), "what test.py writes",
                                    choices=("masks", "masks_zip", "overlays", "csv",
                                             "megadetector", "coco", "xmp", "camtrap_dp",
                                             "report"))
    deployments_file: str = knob("", "for camtrap_dp: CSV of where and when the cameras stood; "
                                 "empty = none")
    project_file: str = knob("", "for camtrap_dp: YAML about the project; empty = none")

    @property
    def least_workers(self) -> int:
        """So many processes read photos at least; with a read_timeout one does, for nobody can wait
        in vain for the main process itself."""
        return int(self.read_timeout > 0) if self.num_workers == "auto" else int(self.num_workers)


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read a YAML file, then apply overrides of the form `key=value`.

    Raises InputError for: no such file, no YAML, unknown keys (with the nearest name), values of
    another type or out of range. Paths in `data_root` get `~` and `$VAR` expanded.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8 text") from None
    return parse_config(text, str(path), overrides)


def parse_config(text: str, source: str, overrides: Sequence[str] = ()) -> Config:
    """The same from the YAML text itself; `source` is what errors call it."""
    texts = _parse_lines(text, source)
    sources = dict.fromkeys(texts, source)
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals:
            raise InputError(f"{override}: an override has the form key=value")
        texts[key.strip()] = _parse(value, override)
        sources[key.strip()] = "command line"
    fields = {field.name: field for field in dataclasses.fields(Config)}
    hints = typing.get_type_hints(Config)
    values = {}
    for key, text in texts.items():
        if key not in fields:
            near = difflib.get_close_matches(key, fields, n=1)
            hint = f"did you mean {near[0]}?" if near else "configs/unet.yaml names them all"
            raise InputError(f"{sources[key]}: unknown key {key}; {hint}")
        values[key] = _coerce(text, hints[key], fields[key], f"{sources[key]}: {key}")
    return check_config(Config(**values))


def check_config(config: Config) -> Config:
    """What one knob alone cannot tell. Raises InputError; returns the config, paths expanded."""
    if config.val_fraction + config.test_fraction >= 1:
        raise InputError("val_fraction + test_fraction leave nothing to train on; keep their sum "
                         "below 1")
    if config.fold and config.fold >= config.folds:
        raise InputError(f"fold: {config.fold} of {config.folds} folds; they count from 0 to "
                         f"{max(0, config.folds - 1)}")
    if config.read_timeout and config.num_workers == "0":
        raise InputError("read_timeout: only processes of their own can be waited for; set "
                         "num_workers: 1 or more, or auto")
    if config.folds == 1 or (config.folds and config.test_from):
        raise InputError("folds: at least 2 are needed, and they exclude test_from")
    try:
        day = config.test_from
        valid = not day or str(date.fromisoformat(day)) == day
    except ValueError:
        valid = False
    if not valid:
        raise InputError(f"test_from: {config.test_from!r} is no day of the form 2023-07-04")
    if config.scale_range[0] > config.scale_range[1]:
        raise InputError(f"scale_range: {list(config.scale_range)} must go from small to large")
    if -1 < config.empty_fraction < 0:
        raise InputError(f"empty_fraction: {config.empty_fraction} is no share; give 0 .. 0.99, or "
                         "-1 for empty photos as they come")
    if config.start_fraction < 1 and config.difficulty == "loss" and not config.difficulty_run:
        raise InputError("difficulty_run: difficulty: loss needs an earlier run; name it, or set "
                         "difficulty: photo")
    if not re.fullmatch(r"none|auto|[0-9]{1,5}, ?[0-9]{1,5}", config.strips):
        raise InputError(f"strips: {config.strips!r} should be none, auto, or the rows at the top "
                         "and the bottom of a photo, as in '0, 64'")
    if not re.fullmatch(r"auto|[0-9]{1,3}", config.num_workers):
        raise InputError(f"num_workers: {config.num_workers!r} should be auto, or a whole number "
                         "from 0 to 999")
    if config.loss == "dice" and config.class_weights != "none":
        raise InputError("class_weights: dice knows no class weights; set class_weights: none, or "
                         "loss: cross_entropy_dice")
    config = _check_task(config)
    root = os.path.expandvars(os.path.expanduser(config.data_root))
    if "$" in root:
        raise InputError(f"data_root: {config.data_root} names an environment variable that is "
                         "not set")
    return dataclasses.replace(config, data_root=root)


def _check_task(config: Config) -> Config:
    """Whether loss and outputs suit the task. A regression's default outputs are its own."""
    if config.task == "classification":
        if config.loss in VALUE_LOSSES:
            raise InputError(f"loss: {config.loss} is for numbers; set task: regression, or loss: "
                             "cross_entropy")
        return config
    if config.loss not in VALUE_LOSSES:
        raise InputError(f"loss: {config.loss} is for classes; with task: regression set loss: "
                         "least_squares, or huber where some targets are wrong")
    for name in OF_CLASSES:
        if getattr(config, name) != (default := getattr(Config, name)):
            default = '""' if default == "" else default
            raise InputError(f"{name}: a regression has no classes; set {name}: {default}")
    if config.outputs == Config.outputs:
        return dataclasses.replace(config, outputs=VALUE_OUTPUTS)
    strange = [name for name in config.outputs if name not in VALUE_OUTPUTS]
    if strange:
        raise InputError(f"outputs: {strange[0]} is made of classes; a regression writes "
                         f"{', '.join(VALUE_OUTPUTS)} (masks = maps of the numbers)")
    return config


def config_text(config: Config) -> str:
    """The config as YAML that `load_config` reads back to the same values."""
    values = {key: list(value) if isinstance(value, tuple) else value
              for key, value in dataclasses.asdict(config).items()}
    return yaml.safe_dump(values, sort_keys=False, default_flow_style=None, allow_unicode=True)


def _parse_lines(text: str, source: str) -> dict[str, object]:
    content = _parse(text, source)
    if content == "":  # an empty file is the default config
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise InputError(f"{source}: a config is a list of lines `key: value`")
    return content


def _parse(text: str, where: str) -> object:
    """YAML with every scalar left as text."""
    try:
        return yaml.load(text, Loader=yaml.BaseLoader) or ""  # noqa: S506 (BaseLoader is safe)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not readable"
        raise InputError(f"{where}{line}: no valid YAML ({problem})") from None


def _coerce(text: object, kind: type, field: dataclasses.Field, where: str):
    """`text` (a text, or a list of texts) as a value of type `kind`, within the field's range."""
    if typing.get_origin(kind) is tuple:
        kinds = typing.get_args(kind)
        items = text if isinstance(text, list) else [part.strip() for part in str(text).split(",")]
        if kinds[-1] is Ellipsis:
            items, kinds = [item for item in items if item != ""], kinds[:1] * len(items)
        if len(items) != len(kinds):
            raise InputError(f"{where}: {text} should be {len(kinds)} values, as in "
                             f"{list(field.default)}")
        return tuple(_coerce(item, of, field, where)
                     for item, of in zip(items, kinds, strict=True))
    if not isinstance(text, str):
        if kind is str and isinstance(text, list):  # class_weights: [1, 5, 5]
            text = ", ".join(map(str, text))
        else:
            raise InputError(f"{where}: {text} should be one value, as in {field.default}")
    return _check_range(_scalar(text, kind, where), field.metadata, where)


def _scalar(text: str, kind: type, where: str):
    if kind is bool:
        truth = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
        if text.lower() not in truth:
            raise InputError(f"{where}: {text!r} should be true or false")
        return truth[text.lower()]
    if kind is str:
        return text
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if kind is int and value.is_integer():
        return int(value)
    if kind is int or value != value:
        raise InputError(f"{where}: {text!r} should be a {'whole ' * (kind is int)}number")
    return value


def _check_range(value, metadata: types.MappingProxyType, where: str):
    low, high, choices = metadata["low"], metadata["high"], metadata["choices"]
    if choices and value not in choices:
        near = difflib.get_close_matches(str(value), choices, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise InputError(f"{where}: {value!r} is none of {', '.join(choices)}{hint}")
    if low is not None and not low <= value <= high:
        raise InputError(f"{where}: {value} is outside {low} .. {high}")
    return value
