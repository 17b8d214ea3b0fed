"""Check whether a repository may be published: all that git tracks, and has ever tracked.

    python scripts/check_release.py
    python scripts/check_release.py ~/my_fork --replacements ~/replacements.txt

Looks for photos, weights, data, files over 1 MB, keys, home paths, coordinates and notebooks with
output, on every branch and tag, also in files that were deleted; for licence, citation,
requirements, README, a tag, and changes that are not committed. Tells file, line, commit and cure.
Exit code 0: it may be published; 2: it may not (yet). Nothing is changed. What is meant to be seen,
or borne with a reason, stands in pyproject.toml: see camera_trapinator/release/settings.py.
"""

import argparse
import sys
from itertools import groupby

try:
    from camera_trapinator.command.arguments import ScriptParser, same_checkout, user_path
except ImportError:
    import environment  # noqa: F401 (it says what to do)

SHOWN = 10  # findings of a kind


def parse_arguments() -> argparse.Namespace:
    parser = ScriptParser(__doc__)
    parser.add_argument("repository", nargs="?", type=user_path, help="its folder (default: the "
                        "repository of this script)")
    parser.add_argument("--all", action="store_true", help=f"tell more than {SHOWN} findings of a "
                        "kind")
    parser.add_argument("--replacements", type=user_path, help="write the file that git "
                        "filter-repo --replace-text takes; it belongs outside of the repository")
    return parser.parse_args()


if __name__ == "__main__":
    same_checkout(__file__)
    arguments = parse_arguments()

from camera_trapinator import InputError, written_whole
from camera_trapinator.release.completeness import find_missing, find_notes
from camera_trapinator.release.cures import REPLACEMENTS, cure_of, replacements, rewriting
from camera_trapinator.release.findings import Report, examine
from camera_trapinator.release.history import Repository
from camera_trapinator.release.settings import read_settings
from camera_trapinator.utils import ROOT, exit_on_bad_input


def main(arguments: argparse.Namespace) -> None:
    repository = Repository((arguments.repository or ROOT).resolve())
    out = arguments.replacements
    if out and out.resolve().is_relative_to(repository.folder.resolve()):
        raise InputError(f"--replacements: {out} lies in the repository, and would be published "
                         f"with it; name a file elsewhere, such as {REPLACEMENTS}")
    settings = read_settings(repository.text("pyproject.toml"))
    report = examine(repository, settings)
    report.findings.extend(find_missing(repository))
    report.notes.extend(find_notes(repository))
    print_report(report, SHOWN if not arguments.all else sys.maxsize)
    if commands := rewriting(report, repository.folder.name):
        print("\nOut of the history, all at once, when the files of today are mended; this folder "
              "stays as it is:")
        for command in commands:
            print(f"    {command}")
        print("Check that clone as you did this one, and publish it, best as a new repository: on "
              "the server\nof the old one, and in its clones and forks, the old history lives on.")
    lines = replacements(report.findings)
    if lines and out:
        with written_whole(out) as path:
            path.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="surrogateescape")
        print(f"{out} holds the {len(lines)} lines for --replace-text")
    elif lines:
        print(f"--replacements {REPLACEMENTS} writes that file")
    sys.exit(2 if report.findings else 0)


def print_report(report: Report, shown: int) -> None:
    """What was found, by kind; what is accepted; notes; and the verdict."""
    for kind, group in groupby(report.findings, key=lambda finding: finding.kind):
        found = list(group)
        for finding in found[:shown]:
            print(f"{kind:<12}{finding}\n{'':12}cure: {cure_of(finding)}")
        if len(found) > shown:
            print(f"{kind:<12}and {len(found) - shown} more; --all tells them")
    for finding, entry in report.accepted:
        print(f"{'accepted':<12}{finding.kind}: {finding} [{entry.reason}]")
    for note in report.notes:
        print(f"{'note':<12}{note}")
    counts = report.counts
    print(f"{'looked at':<12}{counts['files']} files of today, {counts['blob']} versions of files "
          f"in {counts['commit']} commits")
    number = len(report.findings)
    print(f"{number} finding{'s' * (number > 1)}: not to be published yet" if number else
          "nothing was found that speaks against publishing it")


if __name__ == "__main__":
    with exit_on_bad_input():
        main(arguments)
