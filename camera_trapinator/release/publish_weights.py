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

import secrets
from collections.abc import Sequence

from ..config import Config
from ..data.learned import Learned, hashed_name
from ..training.slim import slim_checkpoint

EARLIER = "an earlier model"  # instead of its name


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
    return {
        **slim_checkpoint(checkpoint, config),
        # Copies: of a part of a larger tensor all of that would be written.
        "model": {name: weight.clone() for name, weight in checkpoint["model"].items()},
        "learned_from": learned.as_plain(),
        "tested": {name: report[name] for name in ("locations", "light", "note")},
        "published": facts,
    }
