"""Write a model as a folder to publish: weights, card, licence, citation, checksums.

    python scripts/publish.py demo --out ~/foxes --licence CC-BY-4.0 --data "our own photos, 2023"
    python scripts/publish.py demo --out ~/foxes ... --layout huggingface    # or zenodo

RUN is a name in cnn_states/ or the path of a run folder, which has been tested (scripts/test.py).
Nothing is uploaded. Names of locations, folders and photos are not published: docs/publish.md.
"""

import argparse

try:
    from camera_trapinator.command.arguments import ScriptParser, same_checkout, user_path
except ImportError:
    import environment  # noqa: F401 (it says what to do)


def parse_arguments() -> argparse.Namespace:
    parser = ScriptParser(__doc__)
    parser.add_argument("run", help="name of a run, or its folder")
    parser.add_argument("--out", type=user_path, required=True, help="the folder to write")
    parser.add_argument("--licence", default="",
                        help="of the weights: an SPDX name such as CC-BY-4.0, or an address")
    parser.add_argument("--data", default="", help="where the photos come from, in a sentence")
    parser.add_argument("--title", default="", help="name of the model (default: the run's)")
    parser.add_argument("--version", default="", help="of the model (default: of its checksum)")
    parser.add_argument("--repository", default="", help="address of the code (default: "
                        "repository-code of CITATION.cff)")
    parser.add_argument("--code", default="", help="tag or commit of the code that predicts with "
                        "it (default: that of this checkout)")
    parser.add_argument("--layout", choices=("plain", "huggingface", "zenodo"), default="plain",
                        help="also the files that this place wants")
    parser.add_argument("--locations", choices=("drop", "hash"), default="drop", help="names of "
                        "the locations that it learned from: left out, or hashed (can be guessed)")
    parser.add_argument("--overwrite", action="store_true",
                        help="replace what this script has written there before")
    return parser.parse_args()


if __name__ == "__main__":
    same_checkout(__file__, "torch")
    arguments = parse_arguments()  # before torch, which takes seconds to import

from dataclasses import fields

from camera_trapinator.outputs.places import find_run
from camera_trapinator.release.publish import Told, publish
from camera_trapinator.utils import exit_on_bad_input


def main(arguments: argparse.Namespace) -> None:
    told = Told(**{field.name: getattr(arguments, field.name) for field in fields(Told)})
    run = find_run(arguments.run)
    for line in publish(run, arguments.out, told, arguments.overwrite):
        print(line)
    print(f"see {arguments.out / 'README.md'}, and docs/publish.md for how to upload it")


if __name__ == "__main__":
    with exit_on_bad_input():
        main(arguments)
