"""best.pt as it is published: what prediction, and learning further, need, and nothing else.

Neither optimizer nor the weights before their running mean, no folder, no file, no run's name. The
numbers by which it predicts are those of the run, bit for bit.

Of the locations that it learned from the names are *dropped*, unless they shall be *hashed*: a name
often says where a rare animal lives. Who has the photos still finds each of them again, by the 64
bits of its content that are known of it (`data.learned.content_hash`), from which nobody makes a
photo; of any other photo nobody can tell whether its location was seen, and every report says so.

Hashed names let those who have the names have reports on seen and unseen locations as before. But a
hash hides nothing that can be guessed: the salt has to be published with it, so whoever tries a
list of place names, or all coordinates of a park, learns which of them are among the locations. The
salt, new each time, and ten thousand rounds only make that slow. So it has to be asked for.
"""

import dataclasses
import secrets
from collections.abc import Sequence

from ..config import Config, config_text
from ..data.learned import Learned, hashed_name
from ..metrics import best_epoch

# Knobs of free text that name no place, file, run or machine. All others are left out, those of
# later versions too, until somebody has looked at them.
SAYS_NOTHING = ("class_weights", "fold", "min_confidence", "network", "quantity", "strips",
                "test_from", "people_classes", "sensitive_species")
# These may ask for files that are not published.
ASKS_FOR_FILES = ("outputs", "repeats")
AS_PREDICTED = ("model_arguments", "thresholds", "temperature", "values", "classes")
EARLIER = "an earlier model"  # instead of its name


def left_out_of(config: Config) -> list[str]:
    """The knobs that are not published: texts that may name a place, a file, a run or a machine."""
    left_out = ["data_root"]
    for field in dataclasses.fields(Config):
        value = getattr(config, field.name)
        texts = value if isinstance(value, tuple) else (value,)
        free = any(isinstance(text, str) for text in texts) and not field.metadata["choices"]
        own = value != field.default and (field.name, value) != ("weights", "none")
        if own and (field.name in ASKS_FOR_FILES or free and field.name not in SAYS_NOTHING):
            left_out.append(field.name)
    return list(dict.fromkeys(left_out))


def published_config(config: Config) -> str:
    """The run's config as YAML, without `left_out_of`; a comment names what is left out."""
    left_out = left_out_of(config)
    return (f"# Left out, since they name folders, files, runs or a machine: {', '.join(left_out)}."
            f"\n{config_text(config, left_out)}")


def published_learned(learned: Learned, hashed: bool, title: str) -> Learned:
    """What may be published of what a network has learned from. `hashed`: the locations' names are;
    else they are dropped, and the `title` is the name of a model that does not tell."""
    if not hashed:
        return Learned(set(), learned.photos, {f"the published model {title}"})
    salt = secrets.token_hex(16)
    names = {hashed_name(name, salt) for name in learned.locations if name}
    return Learned(set(), learned.photos, {EARLIER} if learned.unknown else set(),
                   names | learned.hashed)


def learned_by_run(checkpoint: dict, rows: Sequence[dict]) -> Learned:
    """What the run has learned from; `rows`: of its splits.csv, which tells it where an older
    checkpoint does not."""
    trained = {row["location"] for row in rows if row["split"] == "train"}
    return Learned.of(EARLIER, checkpoint) | Learned(trained)


def published_checkpoint(checkpoint: dict, config: Config, learned: Learned, report: dict,
                         facts: dict) -> dict:
    """The content of the published best.pt; `learned`: see `published_learned`; `report`: of the
    test, without names; `facts`: plain texts on the publication, such as its licence."""
    history = checkpoint["history"]
    best = dict(history[best_epoch(history, config.best_by)])
    return {
        **{name: checkpoint[name] for name in AS_PREDICTED if name in checkpoint},
        # Copies: of a part of a larger tensor all of that would be written.
        "model": {name: weight.clone() for name, weight in checkpoint["model"].items()},
        "config": published_config(config), "history": [best],
        "learned_from": learned.as_plain(),
        "tested": {name: report[name] for name in ("locations", "light", "note")},
        "published": facts,
    }
