"""What of a checkpoint may leave the house: what prediction needs, and no folder, file or place."""

import dataclasses

from ..config import Config, config_text
from ..metrics import best_epoch

# Knobs of free text that name no place, file, run or machine. All others are left out, those of
# later versions too, until somebody has looked at them.
SAYS_NOTHING = ("class_weights", "fold", "min_confidence", "network", "quantity", "strips",
                "test_from", "people_classes", "sensitive_species")
# These may ask for files that are not published.
ASKS_FOR_FILES = ("outputs", "repeats")
AS_PREDICTED = ("model_arguments", "thresholds", "temperature", "values", "classes")


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


def slim_checkpoint(checkpoint: dict, config: Config) -> dict:
    """What prediction needs of a checkpoint beside the weights, in plain types."""
    history = checkpoint.get("history")
    return {
        **{name: checkpoint[name] for name in AS_PREDICTED if name in checkpoint},
        "config": published_config(config),
        "history": [dict(history[best_epoch(history, config.best_by)])] if history else [],
    }
