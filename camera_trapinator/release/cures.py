"""What to do about each finding: in the files of today, and in the history, by git filter-repo.

It is no part of git: pip install git-filter-repo (github.com/newren/git-filter-repo).
"""

from pathlib import PurePosixPath
from shlex import quote

from .findings import MESSAGE, Finding, Report

REPLACEMENTS = "../replacements.txt"
# Of the files of today; {0} = the file, {1} = the line.
TODAY = {
    "photo": "move it to your data folder (git rm --cached {0}; commit), or, if it is meant for "
             "all, name it in pyproject.toml, [tool.check_release] pictures",
    "weights": "move it out of the repository (git rm --cached {0}; commit); scripts/publish.py "
               "makes a folder to publish a model from",
    "data": "move it to your data folder (git rm --cached {0}; commit); data are published on an "
            "archive, see DATA_POLICY.md",
    "large file": "move it out of the repository (git rm --cached {0}; commit)",
    "camera": "take it out (exiftool -all= {0}) and commit",
    "notebook": "clear it (jupyter nbconvert --clear-output --inplace {0}) and commit",
    "home path": "write a path below ~ or the repository in its place, and commit",
    "coordinates": "round or move them (docs/privacy.md), and commit",
    "key": "revoke it first, where it was made: a key that was in git counts as known. Take it out "
           "of {0}, and commit",
}


def cure_of(finding: Finding) -> str:
    """What to do about a finding, as the commands to give."""
    if finding.cure:
        return finding.cure
    path = quote(finding.path)
    steps = []
    if finding.tracked:
        steps.append(TODAY[finding.kind].format(path))
    elif finding.kind == "key":
        steps.append("revoke it first, where it was made: a key that was in git counts as known")
    if finding.path.startswith(MESSAGE):
        history = f"git filter-repo --replace-message {REPLACEMENTS}"
    elif finding.replace:
        history = f"git filter-repo --replace-text {REPLACEMENTS}"
    else:
        history = f"git filter-repo --path {path} --invert-paths"
        if _put_back(finding):
            history += f" (which takes today's {path} along: put it back afterwards, and commit)"
    if finding.replace:
        history += f", with {' and '.join(f'`{line}`' for line in finding.replace)} in that file"
    return "; ".join([*steps, f"in the history: {history}"])


def _put_back(finding: Finding) -> bool:
    """Whether the file stays in the repository, in another version than the one that must go."""
    return finding.kept and (not finding.tracked or finding.kind in ("notebook", "camera"))


def replacements(findings: list[Finding]) -> list[str]:
    """The lines that --replace-text and --replace-message take, each once; the longest first, so
    that none changes what another one seeks."""
    return sorted({line for finding in findings for line in finding.replace}, key=len, reverse=True)


def rewriting(report: Report, name: str) -> list[str]:
    """The commands that take all findings out of the history of the repository `name`, at once, in
    a fresh clone; [] if there is nothing to be taken out."""
    found = [finding for finding in report.findings if not finding.cure]
    whole = {finding.path for finding in found if not finding.replace}
    words = [f"--path {quote(path)}" for path in _folders(whole, report.paths)]
    words += ["--invert-paths"] * bool(words)
    for option, chosen in (("--replace-text", False), ("--replace-message", True)):
        if any(finding.replace and finding.path.startswith(MESSAGE) == chosen for finding in found):
            words.append(f"{option} {REPLACEMENTS}")
    if not words:
        return []
    clean = quote(f"../{name}-clean")
    back = [f"mkdir -p {quote(str(PurePosixPath(path).parent))} && cp {quote(f'../{name}/{path}')} "
            f"{quote(path)} && git add {quote(path)} && git commit -m {quote(f'Put back {path}')}"
            for path in sorted({finding.path for finding in found
                                if not finding.replace and _put_back(finding)})]
    return ["pip install git-filter-repo", f"git clone --no-local . {clean}", f"cd {clean}",
            f"git filter-repo {' '.join(words)}", *back]


def _folders(gone: set[str], everything: set[str]) -> list[str]:
    """The paths `gone`, a folder in place of its files where the history has no others in it."""
    kept = {str(folder) for path in everything - gone for folder in PurePosixPath(path).parents}
    short = set()
    for path in gone:
        folders = [path, *map(str, PurePosixPath(path).parents)][:-1]  # the last one is "."
        top = [folder + "/" for folder in folders[1:] if folder not in kept]
        short.add(top[-1] if top else path)
    return sorted(short)
