"""Generate camera-trap photos with exact masks: a data root to learn, test and time the project on.

    python scripts/make_demo_data.py --out ../camera_trapinator_data/demo
    python scripts/make_demo_data.py --out /tmp/large --photos 36 --size 5472x3648
    python scripts/make_demo_data.py --out /tmp/small --size 3840x2160 --animal-size 0.02

Each location has a scene of its own, seen by day and, through infrared flash, by night. Deer,
boar, foxes and badgers walk and graze in it; a third of the photos are empty. Every photo is a
pure function of (seed, location, sequence, frame). Needs numpy and Pillow, and no network.

manifest.csv names the masks of the animals; distance.csv, beside it, names for each photo a map of
the distances to the camera. How the photos come about: camera_trapinator/demo.
"""

import argparse
import os
import time
from collections.abc import Callable
from contextlib import suppress

try:
    from camera_trapinator.command.arguments import ScriptParser, same_checkout, user_path
except ImportError:
    import environment  # noqa: F401 (it says what to do)


def whole(low: int, high: int) -> Callable[[str], int]:
    """A reader of whole numbers within these limits."""
    def read(text: str) -> int:
        if not text.strip().isdecimal() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {low} to {high}")
        return int(text)
    return read


def photo_size(text: str) -> list[int]:
    """Reads WIDTHxHEIGHT."""
    sides = text.lower().split("x")
    if len(sides) != 2 or not all(side.isdecimal() and 64 <= int(side) <= 20000 for side in sides):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form 640x480, with sides from "
                                         "64 to 20000")
    return [int(side) for side in sides]


def animal_size(text: str) -> float:
    """Reads a share of the natural size."""
    with suppress(ValueError):
        if 0.01 <= float(text) <= 1:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no number from 0.01 to 1")


def parse_arguments() -> argparse.Namespace:
    parser = ScriptParser(__doc__)
    parser.add_argument("--out", type=user_path, required=True,
                        help="folder for the data, a data root")
    parser.add_argument("--photos", type=whole(1, 10**6), default=600, help="photos with labels")
    parser.add_argument("--locations", type=whole(1, 99), default=12, help="cameras")
    parser.add_argument("--size", type=photo_size, default="640x480", help="of a photo")
    parser.add_argument("--seed", type=whole(0, 2**31), default=0, help="other photos")
    parser.add_argument("--animal-size", type=animal_size, default=1.0, help="share of the natural "
                        "size: at 1 an animal is half as long as the photo is wide, at 0.02 a "
                        "hundredth")
    parser.add_argument("--new-photos", type=whole(0, 9998), default=12,
                        help="photos without labels, from one more location")
    parser.add_argument("--workers", type=whole(1, 999), default=os.cpu_count(),
                        help="processes; the photos do not depend on it")
    return parser.parse_args()


if __name__ == "__main__":
    same_checkout(__file__)
    arguments = parse_arguments()  # before numpy and Pillow, which take a while to import

from camera_trapinator import InputError
from camera_trapinator.demo.cameras import BURST
from camera_trapinator.demo.files import generate
from camera_trapinator.demo.state import OPTIONS, VERSION, clear, is_complete, write_state
from camera_trapinator.utils import exit_on_bad_input


def main(arguments: argparse.Namespace) -> None:
    if arguments.photos < BURST * arguments.locations:
        raise InputError(f"--photos {arguments.photos} is too few for {arguments.locations} "
                         f"locations; each takes {BURST} at least")
    arguments.version = VERSION
    options = {name: getattr(arguments, name) for name in OPTIONS}
    out = arguments.out
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; give a folder")

    started = time.perf_counter()
    if is_complete(out, options):
        print(f"{out} holds these photos already; nothing to do")
        return
    if out.exists():
        clear(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {out}: {error.strerror}; give another "
                         "--out") from None
    write_state(out, options, [])
    summary = generate(out, options, arguments.workers)
    files = [path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()]
    write_state(out, options, sorted(files))
    print(f"{summary}; {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    with exit_on_bad_input():
        main(arguments)
