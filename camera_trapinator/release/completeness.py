"""What a repository needs before others can use and cite it, and lacks: licence, citation, README,
requirements, a tag on what is published, nothing left uncommitted."""

import re
from collections.abc import Iterator

import yaml

from .findings import Finding
from .history import Repository
from .leaks import line_of

LICENCE = re.compile(r"(?i)(un)?licen[cs]e([.-].*)?|copying([.].*)?")
README = re.compile(r"(?i)readme([.](md|rst|txt|qmd))?")
REQUIREMENTS = ("requirements.txt", "environment.yaml", "environment.yml", "pixi.toml", "uv.lock",
                "setup.py")
TO_FILL_IN = re.compile(r"\[fill in: [^\]]*\]|\[year\]|\[fullname\]|<year>|<name of author>")
POLICIES = ("DATA_POLICY.md", "CODE_OF_CONDUCT.md", "SECURITY.md", "CONTRIBUTING.md")
CITED = {"title": "title: what this is", "authors": "authors: and below it `- family-names: ...`",
         "version": "version: 0.1.0", "cff-version": "cff-version: 1.2.0",
         "message": "message: If you use this software, please cite it."}


def find_missing(repository: Repository) -> Iterator[Finding]:
    """What is missing, or not filled in, of HEAD, as findings with their cures."""
    files = [path for path in repository.files() if "/" not in path]
    licences = [name for name in files if LICENCE.fullmatch(name)]
    if not any(repository.text(name).strip() for name in licences):
        yield _missing("licence", "without one nobody may use this: add a file LICENSE "
                       "(choosealicense.com; the code you build on is MIT)")
    for name in licences:
        if match := TO_FILL_IN.search(repository.text(name)):
            yield _missing("licence", f"{name}: write who and when in place of {match[0]}",
                           f"{name} is not filled in")
    if not any(README.fullmatch(name) and repository.text(name).strip() for name in files):
        yield _missing("README", "add README.md: what it is, how it is installed and run")
    project = repository.text("pyproject.toml")
    if not {*REQUIREMENTS} & {*files} and not re.search(r"(?m)^dependencies\s*=", project):
        yield _missing("packages", "list what it needs in requirements.txt (pip freeze tells "
                       "what you have)")
    yield from _citation_faults(repository.text("CITATION.cff"))
    if not repository.tags():
        yield _missing("tag", "give what you publish a name: git tag -a v1.0.0 -m 'as in the paper'"
                       " (and later: git push --tags)", "no tag on HEAD, the last commit")
    if changes := repository.changes():
        named = ", ".join(line[3:] for line in changes[:5])
        more = f" and {len(changes) - 5} more" if len(changes) > 5 else ""
        yield Finding("uncommitted", "", 0, f"{len(changes)} changed or new files are in no commit,"
                      f" and so not looked into: {named}{more}",
                      cure="git add and git commit them, or name them in .gitignore")


def find_notes(repository: Repository) -> Iterator[str]:
    """What is no fault, but should be known before publishing."""
    people = sorted(repository.authors().items(), key=lambda item: (-item[1], item[0]))
    more = f" and {len(people) - 5} more" if len(people) > 5 else ""
    yield (f"published with the history: {', '.join(person for person, _ in people[:5])}{more}; "
           "who wants another address: git config user.email, and git filter-repo --mailmap")
    if stashes := repository.stashes():
        yield (f"{stashes} stashes, and the reflog, are not looked into: no push publishes them, a "
               "copy of this folder does")
    for name in POLICIES:
        text = repository.text(name)
        for match in TO_FILL_IN.finditer(text):
            yield f"{name}, line {line_of(text, match)}: {' '.join(match[0].split())}"
    try:
        version = str(_read(repository.text("CITATION.cff")).get("version", ""))
    except yaml.YAMLError:
        return  # told as missing
    tags = repository.tags()
    if version and tags and not any(tag.lstrip("v") == version.lstrip("v") for tag in tags):
        yield f"CITATION.cff has version {version}, and HEAD the tag {', '.join(tags)}"


def _citation_faults(text: str) -> Iterator[Finding]:
    if not text.strip():
        yield _missing("citation", "add CITATION.cff with title, authors and version "
                       "(citation-file-format.github.io)")
        return
    try:
        citation = _read(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        yield _missing("citation", f"mend CITATION.cff{line}; cffinit makes one "
                       "(citation-file-format.github.io)", "CITATION.cff is no valid YAML")
        return
    for key, cure in CITED.items():
        if not citation.get(key):
            yield _missing("citation", f"add a line `{cure}`", f"CITATION.cff has no {key}")
    authors = citation.get("authors") or []
    names = ("name", "family-names", "given-names", "alias")
    if not isinstance(authors, list) or not all(
            isinstance(author, dict) and any(author.get(name) for name in names)
            for author in authors):
        yield _missing("citation", "give each of them a line `- family-names: ...` below authors:",
                       "CITATION.cff has authors without a name")


def _read(text: str) -> dict:
    citation = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 (a version stays a text)
    return citation if isinstance(citation, dict) else {}


def _missing(kind: str, cure: str, what: str = "") -> Finding:
    return Finding(kind, "", 0, what or "missing", cure=cure)
