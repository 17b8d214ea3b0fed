"""Make a run again, with its code, packages, photos and threads, and compare the bits.

    python scripts/reproduce.py demo
    python scripts/reproduce.py demo --check        # what has changed since? trains nothing
    python scripts/reproduce.py demo --here         # in the environment that is active
    python scripts/reproduce.py ~/runs/demo --data-root /disk/photos

A run is a name in cnn_states/ or the path of a run folder. First it is told what differs from what
the run was made of: photos, masks, other files, code, packages, machine. Then its code is checked
out and its packages are installed, both in folders of their own that are gone afterwards, and the
run is trained again. Exit code 0: the same bits; 1: something differs, and it says what. See
docs/reproduce.md.
"""

import argparse
import signal
import sys

try:
    from camera_trapinator.command.arguments import ScriptParser, same_checkout, user_path
except ImportError:
    import environment  # noqa: F401 (it says what to do)


def parse_arguments() -> argparse.Namespace:
    parser = ScriptParser(__doc__)
    parser.add_argument("run", help="name of a run, or its folder")
    parser.add_argument("--check", action="store_true",
                        help="tell what differs now, and train nothing")
    parser.add_argument("--here", action="store_true",
                        help="train in the environment that is active, in place of a new one")
    parser.add_argument("--out", help="name of the new run (default: that of the run, and "
                        "_reproduced)")
    parser.add_argument("--data-root", type=user_path,
                        help="where the photos are now (default: where they were)")
    parser.add_argument("--keep", action="store_true",
                        help="keep the folders with the code and the environment")
    return parser.parse_args()


if __name__ == "__main__":
    same_checkout(__file__, "torch")
    arguments = parse_arguments()  # before torch, which takes seconds to import

from camera_trapinator.outputs.places import find_run
from camera_trapinator.release.reproduce import Wanted, reproduce
from camera_trapinator.utils import RUNS, STOP_SIGNALS, exit_on_bad_input


def main(arguments: argparse.Namespace) -> int:
    for number in STOP_SIGNALS:  # whoever stops it finds no worktree afterwards
        signal.signal(number, signal.default_int_handler)
    folder = find_run(arguments.run)
    out = RUNS / (arguments.out or f"{folder.name}_reproduced")
    same = reproduce(folder, Wanted(out, arguments.data_root, arguments.here, arguments.keep,
                                    arguments.check))
    return 0 if same else 1


if __name__ == "__main__":
    with exit_on_bad_input():
        sys.exit(main(arguments))
