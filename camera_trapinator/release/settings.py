"""What a repository says about its own release, in [tool.check_release] of its pyproject.toml:

    [tool.check_release]
    pictures = ["docs/demo.jpg"]        # meant to be seen by all; looked into for GPS all the same
    accepted = [
        {file = "docs/map.md", what = "coordinates", reason = "the zoo, which everybody knows"},
    ]

`what` is the kind of the findings, or the text of one of them; of a key only its text, so that a
second key is told.
"""

import tomllib
from typing import NamedTuple

from .. import InputError

TABLE = "pyproject.toml, [tool.check_release]"
PARTS = ("file", "what", "reason")


class Accepted(NamedTuple):
    """A finding that somebody has looked at and bears, and why."""

    file: str
    what: str
    reason: str


class Settings(NamedTuple):
    """The table, read."""

    pictures: tuple[str, ...] = ()  # paths
    accepted: tuple[Accepted, ...] = ()

    def accepts(self, kind: str, path: str, what: str) -> Accepted | None:
        """The entry that bears a finding; None if there is none."""
        kinds = () if kind == "key" else (kind,)
        return next((entry for entry in self.accepted
                     if entry.file == path and entry.what in (what, *kinds)), None)


def read_settings(text: str) -> Settings:
    """The settings from the text of pyproject.toml ("" = none). Raises InputError."""
    try:
        table = tomllib.loads(text).get("tool", {}).get("check_release", {})
    except (tomllib.TOMLDecodeError, AttributeError) as error:
        raise InputError(f"pyproject.toml: no valid TOML ({error})") from None
    faults = [f"{name}: no such key; there are pictures and accepted"
              for name in table if name not in Settings._fields]
    pictures, accepted = table.get("pictures", []), table.get("accepted", [])
    if not isinstance(pictures, list) or not all(isinstance(path, str) for path in pictures):
        faults.append("pictures: must be a list of paths, such as [\"docs/demo.jpg\"]")
    for entry in accepted if isinstance(accepted, list) else [accepted]:
        if not isinstance(entry, dict) or {*entry} != {*PARTS} or not all(
                isinstance(entry[part], str) and entry[part].strip() for part in PARTS):
            faults.append(f"accepted: {str(entry)[:80]} must have file, what and reason, each a "
                          "text that is not empty")
    if faults:
        raise InputError(f"{TABLE}: {'; '.join(faults)}")
    return Settings(tuple(pictures), tuple(Accepted(**entry) for entry in accepted))
