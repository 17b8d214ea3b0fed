"""Every knob of a run in one dataclass; a YAML file and key=value overrides fill it.

Values are read as text and turned into the type that the dataclass gives: `1e-3` is a number
(plain YAML calls it text) and a site `0012` stays `0012` (plain YAML makes it 10). A key that
does not exist is an error that names the nearest one.
"""

import dataclasses
import difflib
import math
import os
import re
import types
import typing
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import yaml

from . import InputError
from .command.yaml_texts import BACKSLASH, cure_of, read_yaml

VALUE_LOSSES = ("least_squares", "huber")  # of task: regression
VALUE_OUTPUTS = ("masks", "overlays", "csv")
# Knobs that look at classes: no good for a regression.
OF_CLASSES = ("class_weights", "balance", "empty_fraction", "start_fraction", "animal_crops",
              "teacher", "repeats", "mask_format", "coco_segmentation", "sensitive_species",
              "people_classes")

# Keys that there were once, and what to write instead.
SUCCESSORS = {
    "folds": "write fold: 1/5 for the first of five parts",
    "init_from": "write weights: RUN",
    "difficulty_run": "write difficulty: RUN",
    "cache_gb": "write cache: ram 8",
    "momentum": "it is 0.9, as everybody takes it; change it in build_optimizer of "
                "scripts/train.py",
    "temperature": "it is 2, as its paper takes it; change it in Distilled of "
                   "camera_trapinator/loss.py",
    "freeze_norm": "freeze_encoder and freeze_levels keep the statistics of what they freeze",
    "dry_run": "give the flag --dry-run of scripts/train.py",
    "overfit_one_batch": "give the flag --overfit-one-batch of scripts/train.py",
}

FIXED = {"momentum": "0.9", "temperature": "2.0", "freeze_norm": "false"}  # what they are today


# What other programs call these knobs, and beginners with them.
ALSO_CALLED = {
    "lr": "learning_rate", "lr0": "learning_rate", "base_lr": "learning_rate", "wd": "weight_decay",
    "bs": "batch_size", "batch": "batch_size", "num_epochs": "epochs", "n_epochs": "epochs",
    "max_epochs": "epochs", "workers": "num_workers", "opt": "optimizer", "criterion": "loss",
    "imgsz": "working_scale", "img_size": "working_scale", "image_size": "working_scale",
    "input_size": "working_scale", "resize": "working_scale", "crop": "crop_size", "data":
    "data_root", "data_dir": "data_root", "data_path": "data_root", "dataset": "data_root", "root":
    "data_root", "backbone": "encoder", "arch": "network", "model": "network", "pretrained":
    "weights", "gpu": "device", "amp": "precision", "hflip": "flip", "tta": "flips",
    "random_seed": "seed", "grad_clip": "gradient_clip", "freeze": "freeze_encoder", "threshold":
    "smallest_blob", "class_weight": "class_weights", "size": "working_scale", "e": "epochs", "b":
    "batch_size", "j": "num_workers", "jobs": "num_workers",
}
# And the values of knobs.
VALUES_ALSO_CALLED = {"ce": "cross_entropy", "nll": "cross_entropy", "mse": "least_squares", "l2":
                      "least_squares", "half": "fp16", "float16": "fp16", "bfloat16": "bf16",
                      "gray": "grey"}


def near_knob(name: str) -> str:
    """The knob that is meant by a name, perhaps in another spelling; "" if none looks like it."""
    name = name.strip().lower().replace("-", "_")
    fields = [field.name for field in dataclasses.fields(Config)]
    near = [name] if name in fields else difflib.get_close_matches(name, fields, n=1)
    return ALSO_CALLED.get(name) or next(iter(near), "")


def knob(default, low: float | None = None, high: float | None = None,
         choices: Sequence[str] = ()):
    """A dataclass field with its range or choices."""
    return dataclasses.field(default=default, metadata={
        "low": low, "high": high, "choices": tuple(choices)})


@dataclass(frozen=True)
class Config:
    """All knobs, in the groups of `configs/unet.yaml`, which says what each one means and when to
    touch it."""

    # ---- everyday: data
    data_root: str = knob("../camera_trapinator_data/demo")
    task: str = knob("classification", choices=("classification", "regression"))
    split_by: str = knob("location", choices=("location", "sequence", "photo", "auto"))
    val_fraction: float = knob(0.15, 0, 0.9)
    test_fraction: float = knob(0.15, 0, 0.9)
    limit: int = knob(0, 0, 10**9)
    working_scale: int = knob(640, 0, 20000)
    crop_size: tuple[int, int] = knob((480, 640), 16, 20000)
    strips: str = knob("none")
    # ---- everyday: augmentation
    flip: float = knob(0.5, 0, 1)
    scale_range: tuple[float, float] = knob((0.7, 1.4), 0.1, 10)
    brightness: float = knob(0.3, 0, 1)
    contrast: float = knob(0.3, 0, 1)
    colour: float = knob(0.3, 0, 1)
    grayscale: float = knob(0.2, 0, 1)
    infrared: float = knob(0.0, 0, 1)
    animal_crops: float = knob(0.0, 0, 1)
    # ---- everyday: model and loss
    encoder: str = knob("none", choices=(
        "none", "efficientnet_lite0", "resnet18", "resnet34", "resnet50", "mobilenet_v3_large",
        "convnext_tiny"))
    weights: str = knob("imagenet")
    width: int = knob(64, 1, 1024)
    loss: str = knob("cross_entropy", choices=(
        "cross_entropy", "focal", "dice", "cross_entropy_dice", "least_squares", "huber"))
    class_weights: str = knob("none")
    balance: float = knob(0.0, 0, 1)
    empty_fraction: float = knob(-1.0, -1, 0.99)
    # ---- everyday: optimisation
    epochs: int = knob(100, 1, 100000)
    batch_size: int = knob(8, 1, 65536)
    micro_batch_size: int = knob(0, 0, 65536)
    optimizer: str = knob("sgd", choices=("sgd", "adamw"))
    learning_rate: float = knob(0.05, 0, 100)
    weight_decay: float = knob(1e-4, 0, 1)
    best_by: str = knob("mean_iou", choices=("mean_iou", "foreground_iou", "last"))
    seed: int = knob(0, 0, 2**31 - 1)
    # ---- everyday: machine
    device: str = knob("auto")
    num_workers: str = knob("auto")
    # ---- everyday: prediction
    flips: bool = knob(False)
    tile: int = knob(0, 0, 20000)
    smallest_blob: float = knob(0.0005, 0, 1)
    min_confidence: str = knob("auto")
    event_minutes: float = knob(30.0, 0, 100000)
    outputs: tuple[str, ...] = knob(("masks", "overlays", "csv", "report"), choices=(
        "masks", "masks_zip", "overlays", "csv", "megadetector", "coco", "xmp", "camtrapr",
        "camtrap_dp", "wildlife_insights", "upright", "report"))

    # ---- expert: data
    manifest: str = knob("manifest.csv")
    quantity: str = knob("value")
    target_scale: float = knob(1.0, 1e-12, 1e12)
    test_seen_fraction: float = knob(0.0, 0, 0.9)
    splits_file: str = knob("")
    fold: str = knob("")
    test_from: str = knob("")
    allow_leakage: bool = knob(False)
    broken_photos: str = knob("stop", choices=("stop", "skip"))
    # ---- expert: augmentation
    noise: float = knob(8.0, 0, 64)
    blur: float = knob(0.1, 0, 1)
    # ---- expert: model
    network: str = knob("unet")
    depth: int = knob(4, 1, 8)
    norm: str = knob("batch", choices=("batch", "none"))
    sync_norm: bool = knob(False)
    recompute: bool = knob(False)
    # ---- expert: curriculum
    start_fraction: float = knob(1.0, 0, 1)
    curriculum_epochs: int = knob(10, 1, 100000)
    difficulty: str = knob("photo")
    # ---- expert: a teacher
    teacher: str = knob("")
    teacher_share: float = knob(0.5, 0, 1)
    # ---- expert: optimisation
    epoch_steps: int = knob(0, 0, 10**9)
    warmup_epochs: float = knob(1.0, 0, 1000)
    encoder_rate: float = knob(1.0, 0, 10)
    freeze_encoder: int = knob(0, 0, 100000)
    freeze_levels: int = knob(0, 0, 5)
    ema: float = knob(0.0, 0, 0.99999)
    gradient_clip: float = knob(1.0, 0, 1e6)
    skip_bad_steps: int = knob(0, 0, 10**9)
    # ---- expert: machine
    precision: str = knob("auto", choices=("auto", "fp32", "bf16", "fp16"))
    compile: bool = knob(False)
    deterministic: bool = knob(False)
    cache: str = knob("ram 8")
    checkpoint_minutes: float = knob(10.0, 0, 1e6)
    read_timeout: float = knob(0.0, 0, 1e6)
    # ---- expert: prediction
    predict_batch_size: int = knob(8, 1, 65536)
    mask_size: str = knob("photo", choices=("photo", "network"))
    mask_format: str = knob("palette", choices=("palette", "grey"))
    coco_segmentation: str = knob("rle", choices=("rle", "polygons"))
    faint: float = knob(0.1, 0.01, 1)
    unknown_below: float = knob(0.5, 0, 1)
    repeats: str = knob("tell", choices=("tell", "drop"))
    deployments_file: str = knob("")
    project_file: str = knob("")
    # ---- expert: privacy
    people: str = knob("blur", choices=("blur", "hide", "show"))
    people_classes: tuple[str, ...] = knob(())
    people_file: str = knob("")
    sensitive_species: tuple[str, ...] = knob(())
    coordinates: str = knob("0.1", choices=("1", "0.1", "0.01", "0.001", "drop"))

    @property
    def least_workers(self) -> int:
        """So many processes read photos at least; with a read_timeout one does, for nobody can wait
        in vain for the main process itself."""
        return int(self.read_timeout > 0) if self.num_workers == "auto" else int(self.num_workers)


def fold_of(text: str) -> tuple[int, int]:
    """The knob `fold` as (which part, from 1 on, of how many); (0, 0) where there is none."""
    parts = text.split("/")
    if len(parts) != 2 or not all(part.strip().isdecimal() for part in parts):
        return 0, 0
    return int(parts[0]), int(parts[1])


def cache_of(text: str) -> tuple[str, float]:
    """The knob `cache` as where and the most gigabytes (8 where it does not say)."""
    where, _, most = text.strip().partition(" ")
    try:
        return where, float(most or 8)
    except ValueError:
        return where, math.nan


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read a YAML file, then apply overrides of the form `key=value`.

    Raises InputError for: no such file, no YAML, unknown keys (with the nearest name), values of
    another type or out of range. Paths in `data_root` get `~` and `$VAR` expanded.
    """
    return parse_config(read_text(Path(path)), str(path), overrides)


def read_text(path: Path) -> str:
    """The text of a YAML file. Raises InputError if it cannot be read or is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except IsADirectoryError:
        raise InputError(f"{path}: a folder; give a YAML file in it") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8 text; save it as UTF-8 in your editor") from None


def parse_config(text: str, source: str, overrides: Sequence[str] = (), stored: bool = False,
                 ) -> Config:
    """The same from the YAML text itself; `source` is what errors call it. `stored`: a run or a
    checkpoint holds it, perhaps an old one, whose keys of then become those of today."""
    texts = _parse_lines(text, source)
    if stored:
        texts = _of_today(texts)
    sources, faults = dict.fromkeys(texts, source), []
    if bad := [word for word in overrides if "=" not in word.lstrip("=")]:
        cures = [f"{near_knob(key)}={value}" for key, value in re.findall(
            r"([\w-]+)\n?[=:]\n?([^\s=]+)(?=\n|$)", "\n".join(overrides))
            if near_knob(key) and f"{key}={value}" not in overrides]
        faults.append(f"{' '.join(bad)}: an override has the form key=value"
                      + f"; write {' '.join(cures)}" * bool(cures))
    for key, _, value in (word.partition("=") for word in overrides if word not in bad):
        texts[key.strip()] = read_yaml(value, f"{key}={value}")
        sources[key.strip()] = "command line"
    fields = {field.name: field for field in dataclasses.fields(Config)}
    hints = typing.get_type_hints(Config)
    values = {}
    for key, text in texts.items():
        where = f"{sources[key]}: {key}"
        if key in SUCCESSORS:
            faults.append(f"{sources[key]}: the key {key} is gone: {SUCCESSORS[key]}")
        elif key not in fields:
            near = near_knob(key)
            hint = f"did you mean {near}?" if near else "configs/unet.yaml names them all"
            faults.append(f"{sources[key]}: unknown key {key}; {hint}")
        else:
            try:
                values[key] = _coerce(text, hints[key], fields[key], where)
                if key == "data_root" and not stored:
                    _check_root(values[key], where)
            except InputError as error:
                faults.append(str(error))
    if faults:
        raise InputError("; also ".join(faults))
    return check_config(Config(**values))


def _check_root(root: str, where: str) -> None:
    if os.name != "nt" and re.match(r"[A-Za-z]:[/\\]|\\\\", root):
        raise InputError(f"{where}: {root} is a path of Windows, and this is none; give the folder "
                         "as it is called here")
    if root.endswith(".csv"):
        raise InputError(f"{where}: {root} is a table; give the folder that it lies in")


def check_config(config: Config) -> Config:
    """What one knob alone cannot tell. Raises InputError; returns the config, paths expanded, and
    with the outputs of a regression, if it is one and does not name any."""
    root = os.path.expandvars(os.path.expanduser(config.data_root))
    if config.task == "regression" and config.outputs == Config.outputs:
        config = dataclasses.replace(config, outputs=VALUE_OUTPUTS)
    faults = [*_faults(config), *_faults_of_task(config)]
    if "$" in root:
        faults.append(f"data_root: {config.data_root} names an environment variable that is not "
                      "set")
    if faults:
        raise InputError("; also ".join(faults))
    return dataclasses.replace(config, data_root=root)


def _faults(config: Config) -> Iterator[str]:
    """What is wrong with its values, of whatever task it is."""
    if config.val_fraction + config.test_fraction >= 1:
        yield ("val_fraction + test_fraction leave nothing to train on; keep their sum "
               "below 1")
    number, folds = fold_of(config.fold)
    if config.fold and not 1 <= number <= folds <= 1000 or folds == 1:
        yield (f"fold: {config.fold!r} should be i/n, such as 2/5: the second of five "
               "parts, of two at least; or empty")
    if config.read_timeout and config.num_workers == "0":
        yield ("read_timeout: only processes of their own can be waited for; set "
               "num_workers: 1 or more, or auto")
    if config.fold and config.test_from:
        yield ("fold: it says what the test is, and so does test_from; set one of them "
               "to \"\"")
    try:
        day = config.test_from
        valid = not day or str(date.fromisoformat(day)) == day
    except ValueError:
        valid = False
    if not valid:
        yield f"test_from: {config.test_from!r} is no day of the form 2023-07-04"
    if config.scale_range[0] > config.scale_range[1]:
        yield f"scale_range: {list(config.scale_range)} must go from small to large"
    if -1 < config.empty_fraction < 0:
        yield (f"empty_fraction: {config.empty_fraction} is no share; give 0 .. 0.99, or "
               "-1 for empty photos as they come")
    if config.difficulty == "loss":  # as it was once written
        yield ("difficulty: what an earlier run is bad at needs that run: write "
               "difficulty: RUN; or difficulty: photo")
    where, most = cache_of(config.cache)
    if where not in ("ram", "disk", "none") or not 0.01 <= most <= 1e6:
        yield (f"cache: {config.cache!r} should be ram or disk and a number of "
               "gigabytes, as in 'ram 8'; or none")
    if not re.fullmatch(r"none|auto|[0-9]{1,5}, ?[0-9]{1,5}", config.strips):
        yield (f"strips: {config.strips!r} should be none, auto, or the rows at the top "
               "and the bottom of a photo, as in '0, 64'")
    if not re.fullmatch(r"auto|[0-9]{1,3}", config.num_workers):
        yield (f"num_workers: {config.num_workers!r} should be auto, or a whole number "
               "from 0 to 999")
    if config.min_confidence != "auto" and not is_share(config.min_confidence):
        yield (f"min_confidence: {config.min_confidence!r} should be auto, or a probability from "
               "0 to 1")
    if config.loss == "dice" and config.class_weights != "none":
        yield ("class_weights: dice knows no class weights; set class_weights: none, or "
               "loss: cross_entropy_dice")


def is_share(text: str) -> bool:
    """Whether a text is a number from 0 to 1."""
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False


def _faults_of_task(config: Config) -> Iterator[str]:
    """Whether loss and outputs suit the task."""
    if config.task == "classification":
        if config.loss in VALUE_LOSSES:
            yield (f"loss: {config.loss} is for numbers; set task: regression, or loss: "
                   "cross_entropy")
        return
    if config.loss not in VALUE_LOSSES:
        yield (f"loss: {config.loss} is for classes; with task: regression set loss: "
               "least_squares, or huber where some targets are wrong")
    for name in OF_CLASSES:
        if getattr(config, name) != (default := getattr(Config, name)):
            default = {"": '""', (): "[]"}.get(default, default)
            yield f"{name}: a regression has no classes; set {name}: {default}"
    if strange := [name for name in config.outputs if name not in VALUE_OUTPUTS]:
        yield (f"outputs: {strange[0]} is made of classes; a regression writes "
               f"{', '.join(VALUE_OUTPUTS)} (masks = maps of the numbers)")


def config_text(config: Config, without: Collection[str] = ()) -> str:
    """The config as YAML that `load_config` reads back to the same values, but for knobs that are
    left out."""
    values = {key: list(value) if isinstance(value, tuple) else value
              for key, value in dataclasses.asdict(config).items() if key not in without}
    return yaml.safe_dump(values, sort_keys=False, default_flow_style=None, allow_unicode=True)


def no_longer_so(text: str, source: str) -> list[str]:
    """The lines of an older run's config that no knob of today can repeat: that run cannot go on
    to the same bits."""
    texts = _parse_lines(text, source)
    return [f"{key}: {texts[key]}" for key, fixed in FIXED.items()
            if str(texts.get(key, fixed)) != fixed]


def _of_today(texts: dict) -> dict:
    """The lines of an older version's config, as this one writes them."""
    old = {key: str(texts[key]) for key in SUCCESSORS if key in texts}
    texts = {key: text for key, text in texts.items() if key not in SUCCESSORS}
    if old.get("folds", "0") != "0":
        fold = str(texts.get("fold", "0"))
        texts["fold"] = f"{int(fold) + 1}/{old['folds']}" if fold.isdecimal() else fold
    elif "folds" in old:
        texts.pop("fold", None)
    if old.get("init_from"):
        texts["weights"] = old["init_from"]
    if texts.get("difficulty") == "loss":
        texts["difficulty"] = old.get("difficulty_run", "photo")
    if "cache_gb" in old and texts.get("cache") in ("ram", "disk"):
        texts["cache"] = f"{texts['cache']} {old['cache_gb']}"
    return texts


def _parse_lines(text: str, source: str) -> dict[str, object]:
    content = read_yaml(text, source)
    if content == "":  # an empty file is the default config
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise InputError(f"{source}: a config is a list of lines `key: value`, with a blank behind "
                         f"the colon{cure_of(text)}")
    return content


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
    if text == "" and (kind is not str or field.name == "data_root"):
        raise InputError(f"{where}: it is empty; a value belongs there, as in {field.default}")
    if not isinstance(text, str):
        if isinstance(text, dict):
            raise InputError(f"{where}: the lines below it are indented; begin each at the left "
                             "edge")
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
        if re.search("[\x00-\x1f\x7f-\x9f]", text):  # "C:\temp" is a C, a colon, a tab ...
            raise InputError(f"{where}: {text!r} holds a sign that no path has; {BACKSLASH}")
        return text
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if kind is int and value.is_integer():
        return int(value)
    if kind is int or value != value:
        dot = "; write a dot, not a comma" * bool(re.fullmatch(r"-?\d*,\d+", text))
        raise InputError(f"{where}: {text!r} should be a {'whole ' * (kind is int)}number{dot}")
    return value


def _check_range(value, metadata: types.MappingProxyType, where: str):
    low, high, choices = metadata["low"], metadata["high"], metadata["choices"]
    if choices and value not in choices:
        near = [VALUES_ALSO_CALLED.get(value.lower()),
                *difflib.get_close_matches(value.lower(), choices, n=1)]
        hint = "".join([f" (did you mean {name}?)" for name in near if name in choices][:1])
        raise InputError(f"{where}: {value!r} is none of {', '.join(choices)}{hint}")
    if low is not None and not low <= value <= high:
        raise InputError(f"{where}: {value} is outside {low} .. {high}")
    return value
