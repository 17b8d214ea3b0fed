"""README.md of a published model: its card, for people who have neither run nor photos.

The headings follow Mitchell et al. 2019, Model Cards for Model Reporting, doi
10.1145/3287560.3287596. Nothing in it names a place, a photo or a folder.
"""

from ..config import Config
from ..outputs.model_card import (
    CITE,
    limits_text,
    listed,
    number,
    plain,
    scores_text,
    split_table,
    what_it_does,
)
from ..training.slim import left_out_of
from .publish_subject import Subject

LEARNING = ("encoder", "loss", "optimizer", "learning_rate", "batch_size", "epochs", "crop_size",
            "ema", "seed")  # knobs that the card gives


def card_text(subject: Subject) -> str:
    """README.md, in Markdown."""
    told, config, checkpoint, report = (subject.told, subject.config, subject.checkpoint,
                                        subject.report)
    names = subject.names
    regression = len(names) == 1
    licence = f"[{subject.licence[0] or 'terms of their own'}]({subject.licence[1]})"
    return "\n\n".join([
        f"# {plain(subject.title)}", what_it_does(names),
        "## Predict with it", _predict(subject, regression),
        "## Model details",
        listed({"version": subject.version, **checkpoint["model_arguments"]}),
        _code(subject),
        "## Intended use", _use(names, regression),
        "## Training data", told.data, split_table(subject.rows), _places(subject),
        "## Training",
        listed({name: _value(getattr(config, name)) for name in LEARNING}), _began(config),
        _packages(subject.packages),
        "## Evaluation", _tested_on(config),
        scores_text(report, checkpoint["history"][-1], regression),
        *([] if regression else ["## Thresholds", _thresholds(checkpoint, report, config)]),
        "## Limits", limits_text(report, subject.rows, checkpoint.get("values"), named=False),
        "## Licence and citation",
        f"The weights are under {licence}; the code is under its own licence, see its repository.",
        f"{CITE} `CITATION.cff` lies here.",
    ]) + "\n"


def _predict(subject: Subject, regression: bool) -> str:
    """The lines that predict with it, as they stand."""
    answer = (".values()", "float32 (height, width)") if regression else (
        ".mask()", "uint8 (height, width), 0 = background")
    return f"""In this folder, in an environment with Python 3.11 to 3.13 and git:

```bash
sha256sum -c SHA256SUMS
pip install --src . -e "git+{subject.repository}@{subject.code}#egg=camera-trapinator"
python camera-trapinator/scripts/test.py --weights best.pt --images PHOTOS --out RESULTS
```

`PHOTOS` is a folder of photos; `RESULTS` gets masks, tables and a report. Where there is no
`sha256sum`, take `shasum -a 256 -c SHA256SUMS`, or leave that line out. In a notebook, after the
same `pip install`:

```python
from camera_trapinator.model import load_model
from camera_trapinator.training.checkpoint import load_checkpoint
mask = load_model(load_checkpoint("best.pt")).predict("photo.jpg"){answer[0]}  # {answer[1]}
```

With photos of your own, and masks for some of them, it learns further: `weights: best.pt` in a
config of that repository, with the path of this file."""


def _code(subject: Subject) -> str:
    text = f"It needs the code at `{subject.code}` of {subject.repository}."
    if subject.trained_code:
        text += f" It was trained with the code of commit `{subject.trained_code}`."
    if subject.notes_of_code:
        text += f" **{'; '.join(subject.notes_of_code)}.**"
    return (f"{text} `config.yaml` has all knobs. best.pt is that of the run without what only "
            "training needed, and predicts the same bits.")


def _use(names: list[str], regression: bool) -> str:
    if regression:
        return (f"* For: {plain(names[0])} in photos of fixed cameras that resemble those that it "
                "was trained and tested on.\n* Not for: other quantities, other cameras or scenes "
                "without measurements to compare with.")
    return (f"* For: finding and outlining {', '.join(map(plain, names[1:]))} in camera-trap "
            "photos that resemble those that it was trained and tested on, with a person who looks "
            "at samples of the masks.\n* Not for: other species, people, telling individuals "
            "apart, decisions that nobody checks.")


def _places(subject: Subject) -> str:
    places = len({row["location"] for row in subject.rows if row["location"]})
    names = ("salted hashes of the names of those that it learned from stand in best.pt: who has "
             "the names can tell them, and who guesses a name can see that it is right"
             if subject.told.locations == "hash" else
             "which ones it learned from is not told, so that nobody can tell of another photo "
             "whether its location was seen")
    return (f"The photos are of {places} locations. Their names are not published: {names}. The "
            "photos that it learned from are known to best.pt by 64 bits of their content.")


def _began(config: Config) -> str:
    left_out = left_out_of(config)
    lines = []
    if config.encoder != "none" and config.weights == "imagenet":
        lines.append("Its encoder began with weights trained on ImageNet.")
    if "weights" in left_out:
        lines.append("It began with the weights of another model, whose terms hold, too.")
    if "teacher" in left_out:
        lines.append("It learned from another model's predictions, too: a teacher.")
    return " ".join(lines) or "It began with random weights."


def _packages(packages: dict[str, str]) -> str:
    if not packages:
        return "The versions of the packages that it was trained with are not known."
    named = ", ".join(f"{name} {version}" for name, version in packages.items())
    return f"It was trained with {named}."


def _tested_on(config: Config) -> str:
    apart = {"location": "Whole locations", "sequence": "Whole bursts, of locations that it knows,",
             "photo": "Photos, of locations that it knows,"}[config.split_by]
    return (f"{apart} were kept apart from the training. The test photos are scored at their own "
            "size, by day and by night; n/a = no such photo.")


def _thresholds(checkpoint: dict, report: dict, config: Config) -> str:
    rows = (report.get("find_animals") or {}).get("validation") or []
    used = (f"In use is {config.min_confidence}." if config.min_confidence != "auto"
            else "In use is that of 0.99, unless `min_confidence` says otherwise.")
    if not checkpoint.get("thresholds"):
        return "None were chosen in validation: every part of a mask counts as an animal."
    if not rows:
        known = ", ".join(f"{recall}: {number(value)}"
                          for recall, value in checkpoint["thresholds"].items())
        return (f"Chosen in validation, by the share of the photos with animals that are found: "
                f"{known}. {used}")
    lines = ["| share found in validation | least confidence | found in the test | false alarms |",
             "|---|---|---|---|"]
    lines += [f"| {row['recall']} | {number(row['threshold'])} | {row['found']} of "
              f"{row['with_animals']} | {row['false_alarms']} of {row['empty']} |" for row in rows]
    return "\n".join([*lines, "", used])


def _value(value: object) -> str:
    return " x ".join(map(str, value)) if isinstance(value, tuple) else str(value)
