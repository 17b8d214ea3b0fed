"""What must not be published of a text: keys, home folders, photos and outputs inside of it.

A key is told by its form: private key blocks, the tokens of AWS, GitHub, GitLab, Hugging Face,
Google, Slack, OpenAI and PyPI, `machine ... password` of a .netrc, passwords in URLs, and what is
assigned to names such as api_key. No key is ever told in full. What says itself that it is none is
passed over: EXAMPLE in it, <...>, $NAME, {name}, ****, "password" as password.

A home folder is /home/NAME, /Users/NAME or C:\\Users\\NAME, as text or as a link's target, with the
names of examples (user, you, name, a single letter ...) passed over. /root tells nobody's name.
"""

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

HIDDEN = "REMOVED"  # in place of what is taken out of the history


class Leak(NamedTuple):
    """Something in a text that must not be published."""

    kind: str  # key, home path, coordinates, photo or notebook
    line: int  # from 1
    what: str  # shortened
    replace: tuple[str, ...] = ()  # lines for git filter-repo --replace-text; () = the file must go


class Key(NamedTuple):
    """A form of keys; the regular expression is Python's, as git filter-repo takes it, too."""

    name: str
    hint: str  # stands in every text with such a key: most texts are passed over at once
    pattern: str  # the key alone is group 1, or all


BLOCK = r"PRIVATE KEY(?: BLOCK)?-----"
KEYS = [
    Key("AWS access key", "AKIA", r"\bAKIA[0-9A-Z]{16}\b"),
    Key("AWS access key", "ASIA", r"\bASIA[0-9A-Z]{16}\b"),
    Key("AWS secret key", "aws_secret", r"(?i:aws_secret_access_key)\W{1,5}([A-Za-z0-9/+=]{40})\b"),
    *(Key("GitHub token", start, rf"\b{start}[A-Za-z0-9]{{36,}}")
      for start in ("ghp_", "gho_", "ghu_", "ghs_", "ghr_")),
    Key("GitHub token", "github_pat_", r"\bgithub_pat_[A-Za-z0-9_]{22,}"),
    Key("GitLab token", "glpat-", r"\bglpat-[\w-]{20,}"),
    Key("Hugging Face token", "hf_", r"\bhf_[A-Za-z0-9]{30,}"),
    Key("Google key", "AIza", r"\bAIza[\w-]{35}"),
    Key("Google token", "ya29.", r"\bya29\.[\w-]{20,}"),
    Key("Slack token", "xox", r"\bxox[abeoprs]-[\w-]{10,}"),
    Key("Slack webhook", "hooks.slack.com", r"hooks\.slack\.com/services/([\w/]{20,})"),
    Key("OpenAI key", "sk-", r"\bsk-[A-Za-z0-9_-]*[A-Za-z0-9]{20,}"),
    Key("PyPI token", "pypi-", r"\bpypi-[\w-]{50,}"),
    Key("password of .netrc", "machine", r"\bmachine\s+\S+\s+login\s+\S+\s+password\s+(\S+)"),
    Key("password in a URL", "://", r"://[^\s/:@\"'<>]+:([^\s/:@\"'<>]{3,})@[\w.-]+"),
]
NAMES = ("api_key", "apikey", "access_token", "auth_token", "secret_key", "client_secret")
NAMED = Key("key", "", rf"(?i:{'|'.join(NAMES)})[\"']?\s*[:=]\s*[\"']?((?=[\w/+-]*[0-9])"
                       r"(?=[\w/+-]*[A-Za-z])[\w/+-]{20,})")
# The head alone stands in texts about keys, such as this one.
PRIVATE = (rf"-----BEGIN (?:[A-Z]+ )*{BLOCK}(?:\\n|\\r|\s|[\w-]+: [^\n]*)+"
           rf"[A-Za-z0-9+/=\s\\]{{20,}}(?:-----END [A-Z ]*{BLOCK})?")
NO_KEY = re.compile(r"example|your|\bx{3,}|\*{3}|\.{3}|^[$<{%]|^(?:pass(?:word|wd)?|pwd|secret|"
                    r"token|key|pw)$", re.IGNORECASE)

HOME = re.compile(
    r"(?<![\w./~$}\\-])(?:/export|/mnt/[a-z]|/[a-z]|[A-Za-z]:|file://(?:/[A-Za-z]:)?)?"
    r"(?:/(?:home|Users|users)/|\\{1,2}[Uu]sers\\{1,2})(\w(?:[\w.-]*\w)?)")
HOME_HINTS = ("/home/", "/Users/", "/users/", "\\Users\\", "\\users\\")
NOBODY = {"user", "username", "users", "you", "yourname", "your_name", "your-name", "name", "me",
          "someone", "somebody", "example", "runner", "shared", "public", "default", "linuxbrew"}
# From 1.5 kB on; drawings (SVG) are none.
INSIDE = re.compile(r"data:(?:image/(?!svg)|video/)[\w.+-]+;base64,[A-Za-z0-9+/=]{2000}")


def find_leaks(path: str, text: str) -> Iterator[Leak]:
    """The keys, home paths, photos and notebook outputs in a text; `path` is the file's."""
    yield from _keys(text)
    if any(hint in text for hint in HOME_HINTS):
        for match in HOME.finditer(text):
            if len(match[1]) > 1 and match[1].lower() not in NOBODY:
                yield Leak("home path", line_of(text, match), match[0], (f"{match[0]}==>~",))
    if "data:" in text and (match := INSIDE.search(text)):
        yield Leak("photo", line_of(text, match), "a picture inside of the text (data:...)")
    if path.lower().endswith(".ipynb"):
        yield from _outputs(text)


def _keys(text: str) -> Iterator[Leak]:
    if "PRIVATE KEY" in text:
        for match in re.finditer(PRIVATE, text):
            yield Leak("key", line_of(text, match), "private key -----BEGIN...",
                       (f"regex:{PRIVATE}==>{HIDDEN}",))
    sought = [key for key in KEYS if key.hint in text]
    known: set[str] = set()
    lower = text.lower()
    for key in sought + [NAMED] * any(name in lower for name in NAMES):
        for match in re.finditer(key.pattern, text):
            secret = match[match.lastindex or 0]
            if NO_KEY.search(secret) or secret in known:
                continue
            known.add(secret)
            yield Leak("key", line_of(text, match), f"{key.name} {shortened(secret)}",
                       (f"regex:{key.pattern}==>{HIDDEN}",))


def _outputs(text: str) -> Iterator[Leak]:
    try:
        notebook = json.loads(text)
        cells = [*notebook.get("cells", []),
                 *(cell for sheet in notebook.get("worksheets", []) for cell in sheet["cells"])]
        full = sum(bool(cell.get("outputs")) for cell in cells)
        widgets = bool(notebook.get("metadata", {}).get("widgets"))
    except (ValueError, AttributeError, TypeError, KeyError, RecursionError):
        yield Leak("notebook", 1, "a notebook that cannot be read")
        return
    if full or widgets:
        match = re.search(r'"outputs"\s*:\s*\[\s*[^\]\s]', text)
        yield Leak("notebook", line_of(text, match) if match else 1, "a notebook with output")


def shortened(secret: str) -> str:
    """The first signs of a key, never more than a quarter of it."""
    return f"{secret[:min(4, len(secret) // 4)]}... ({len(secret)} signs)"


def line_of(text: str, match: re.Match) -> int:
    """The line, from 1, in which a match begins."""
    return text.count("\n", 0, match.start()) + 1
