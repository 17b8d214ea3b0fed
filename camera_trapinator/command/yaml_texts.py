"""YAML as texts, for the config; what is no YAML is refused with the line that is to blame."""

import re

import yaml

from .. import InputError

BACKSLASH = ("between double quotes a backslash and the letter behind it are one sign: write the "
             "path with forward slashes, as in C:/photos, or without quotes")


class _Texts(yaml.BaseLoader):
    """YAML with every scalar left as text, and no key given twice: the last one would win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key.value, str):  # which no knob's name is: told by BaseLoader
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value} is given twice; leave one of them out",
                    key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(text: str, where: str) -> object:
    """YAML with every scalar left as text. `where`: what errors call it. Raises InputError for what
    is none, with the cure for the slips of beginners."""
    try:
        return yaml.load(text, Loader=_Texts) or ""  # noqa: S506 (it is a BaseLoader: safe)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not readable"
        raise InputError(f"{where}{line}: no valid YAML ({problem}){cure_of(text, mark)}") from None


def cure_of(text: str, mark: yaml.Mark | None = None) -> str:
    """What to do about a slip in YAML that beginners make; "" if it is none of these. `mark`: where
    the reader has given up."""
    lines = text.splitlines()[:mark.line + 1 if mark else None] or [""]
    if mark and "\t" in lines[-1]:
        return "; the line holds a tab, which YAML does not take: write blanks"
    if mark and re.search(r'"[^"]*\\', lines[-1]):
        return f"; {BACKSLASH}"
    for number, line in enumerate(lines, 1):
        if re.match(r"""\s*\w+:\s+(["'])((?!\1).)*$""", line):
            return f"; line {number}: the quotation mark is opened and not closed"
        slip = re.match(r"(\s*)(\w+)\s*([=:])(\s*)([^\s#].*)", line)
        if slip and (slip[1] or slip[3] == "=" or not slip[4]):
            return (f"; line {number}: write `{slip[2]}: {slip[5].rstrip()}`, at the left edge and "
                    "with a blank behind the colon")
    return ""
