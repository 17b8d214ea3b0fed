"""The command line of the scripts: what is wrong with it is one line that says how to do it right.

torch is not imported here, so that a script's --help does not wait for it.
"""

import argparse
import difflib
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from ..utils import ROOT, fail

ACTIVATE = r"source .venv/bin/activate, in Windows .venv\Scripts\Activate.ps1"
DASHES = "-–—"  # a word processor makes long ones of short ones
# What other programs call these options.
ALSO_CALLED = {
    "checkpoint": "--weights", "ckpt": "--weights", "model": "--weights", "output": "--out",
    "output-dir": "--out", "input": "--images", "source": "--images", "photos": "--images",
    "name": "--run", "cfg": "--config", "force": "--overwrite", "classes": "--names",
}
OF_SUFFIX = {".yaml": "--config", ".yml": "--config", ".pt": "--weights",
             ".onnx": "--model", ".pte": "--model"}


class ScriptParser(argparse.ArgumentParser):
    """The arguments of a script, whose docstring is the help. Options are written in full: what
    argparse would complete may mean another one."""

    takes_knobs = False

    def __init__(self, description: str = "", **options):
        super().__init__(description=description, allow_abbrev=False, **options,
                         formatter_class=argparse.RawDescriptionHelpFormatter)

    def parse_with_knobs(self) -> argparse.Namespace:
        """The arguments, after which knobs of the config may follow, as `overrides`."""
        self.takes_knobs = True
        self.add_argument("overrides", nargs="*", metavar="key=value", help="knobs to change")
        arguments = self.parse_intermixed_args()
        for word in arguments.overrides:
            if "=" not in word and user_path(word).exists():
                option = OF_SUFFIX.get(Path(word).suffix, "--images")
                known = option in self._option_string_actions
                self.error(f"{word}: write {f'{option} ' if known else 'data_root='}{word}")
        values: dict[str, str] = {}
        for word in arguments.overrides:
            key, _, value = word.partition("=")
            if values.setdefault(key, value) != value and os.environ.get("RANK", "0") == "0":
                print(f"{key} is given twice, as {values[key]} and as {value}: the last one counts")
            values[key] = value
        return arguments

    def parse_known_args(self, args=None, namespace=None):
        """As argparse does it, after a look at each word: argparse would first miss what is there,
        but misspelled."""
        words = list(sys.argv[1:] if args is None else args)
        if self._subparsers is None:  # else the words are those of a tool, with its own parser
            pairs = zip(words, [*words, "-"][1:], strict=True)
            if faults := [fault for pair in pairs if (fault := self._fault(*pair))]:
                self.error("; also ".join(faults))
        return super().parse_known_args(words, namespace)

    def _fault(self, word: str, after: str) -> str:
        """What is wrong with a word, which stands before another one; "" if it can be right."""
        name, equals, value = word.partition("=")
        bare = name.lstrip(DASHES).replace("_", "-")
        options = self._option_string_actions
        if not word.startswith(tuple(DASHES)):
            action = options.get(f"--{bare}")
            if not (equals and action) or os.path.exists(word):
                return ""
            value = f" {value}" if action.nargs != 0 else ""  # a flag takes none
            return f"{word} is no folder and no file; write --{bare}{value}"
        if name in options or not bare or bare[0] in ".0123456789":
            return ""
        if bare in [action.dest for action in self._actions if not action.option_strings]:
            return f"{name}: no such option; write what follows it without {name}"
        if bare == "config" and self.takes_knobs:
            return f"{name}: a checkpoint holds its config; leave it out. Knobs follow as key=value"
        meant = [ALSO_CALLED.get(bare),
                 *[option for option in options if option.startswith(f"--{bare}") and bare[1:]],
                 *difflib.get_close_matches(f"--{bare}", options, n=1, cutoff=0.8)]
        if near := [option for option in meant if option in options]:
            return f"{name}: no such option; did you mean {near[0]}?"
        if self.takes_knobs:
            from ..config import near_knob  # here: the other scripts do without YAML

            if knob := near_knob(bare):
                value = value or ("VALUE" if after.startswith("-") or "=" in after else after)
                return (f"{name}: no such option (see --help); a knob of the config is given "
                        f"without dashes: {knob}={value}")
        known = ", ".join(option for option in options if option not in ("-h", "--help"))
        return f"{name}: no such option; there are {known}"

    def error(self, message: str) -> None:
        """End the script with exit code 2 and a line that says what is wrong."""
        actions = {"/".join(action.option_strings) or action.metavar or action.dest: action
                   for action in self._actions}
        name, _, problem = message.removeprefix("argument ").partition(": ")
        if name == "the following arguments are required":
            configs = [word for word in sys.argv if word.endswith((".yaml", ".yml"))]
            missing = {name: actions[name].help or f"one of {', '.join(actions[name].choices)}"
                       for name in problem.split(", ")}
            if "--config" in missing and configs:
                missing["--config"] = f"write --config {configs[0]}"
            message = "; ".join(f"{name} is missing: {text}" for name, text in missing.items())
        elif name in actions and problem.startswith("invalid choice: "):
            choices = list(actions[name].choices)
            given = problem.removeprefix("invalid choice: ").split(" (choose")[0].strip("'")
            near = difflib.get_close_matches(given.lower(), choices, n=1)
            message = (f"{name}: {given!r} is none of {', '.join(choices)}"
                       f"{f'; did you mean {near[0]}?' if near else ''}")
        elif name == "unrecognized arguments":
            message = f"{problem}: belongs to no option"
        elif name in actions:
            message = f"{name}: {problem}"
            if problem.startswith("expected"):
                message += f": {actions[name].help or 'its value'}"
        fail(message)


def user_path(text: str) -> Path:
    """The path that an option gives; ~ is the home folder between quotes, too."""
    if not text:
        raise argparse.ArgumentTypeError("an empty path")
    return Path(os.path.expanduser(text))


def same_checkout(script: str, *needed: str) -> None:
    """End a script, with a line and exit code 2, that would run with another checkout's package,
    because that one is installed in the environment; or without packages that are `needed`.
    `script`: its `__file__`."""
    checkout = Path(script).resolve().parents[1]
    if checkout != ROOT:
        fail(f"{script} would run with the code of another checkout, {ROOT}, which is installed in "
             f"this environment; install this one (pip install -e {checkout}), or use an "
             "environment of its own")
    if missing := [name for name in ("numpy", "PIL", *needed) if find_spec(name) is None]:
        fail(f"{sys.executable} has no {', no '.join(missing)}; activate the environment "
             f"({ACTIVATE}), or make it (README, Install): pip install -r requirements.txt")
