"""README.md and docs/: every command runs, every link leads somewhere, every knob is one."""

import re
import subprocess
import sys

import pytest
from document_world import DOCUMENTS, World, blocks, commands

from camera_trapinator.config import Config, parse_config
from camera_trapinator.utils import ROOT

# Commands that are not run here, and who runs them.
ELSEWHERE = {
    r"python3 -m venv|pip install|conda |source ": "the set-up; scripts/environment.sh does it "
                                                   "before any test",
    r"bash scripts/(demo|run_tests)\.sh": "of scripts only whose commands run here; the tests",
    r"sbatch ": "tests/scripts/test_slurm.py",
    r"torchrun .*train\.py": "tests/scripts/test_processes.py",
    r"python scripts/benchmark\.py": "tests/scripts/test_benchmark.py, on fewer photos",
    r"python scripts/check_release\.py": "tests/release/test_check_release.py, on a repository",
    r"python scripts/reproduce\.py": "tests/release/test_reproduce.py, for it takes git",
    r"python -m megadetector": "another program",
    r"exiftool|git |pre-commit|zip |sha256sum|huggingface-cli|hf ": "other programs",
    r"npm |python -m http\.server|adb |mkcert ": "other programs",
    r"python scripts/export\.py.* --to (executorch|web)|python scripts/test\.py --model .*\.pte":
        "tests/scripts/test_export.py, for they take packages that not everybody has",
}


def elsewhere(command: str) -> str | None:
    return next((who for pattern, who in ELSEWHERE.items() if re.match(pattern, command)), None)


OURS = [path for path in DOCUMENTS if any(not elsewhere(line) for line in commands(path))]


@pytest.mark.parametrize("document", OURS, ids=lambda path: path.stem)
def test_every_command_of_a_document_runs_as_it_stands(document, trained, tmp_path):
    world = World(tmp_path, trained / "shapes")
    for command in commands(document):
        if elsewhere(command):
            continue
        result = world.run(command)
        assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"


def test_what_runs_elsewhere_is_there():
    for who in ELSEWHERE.values():
        for name in re.findall(r"(?:tests|scripts)/[\w/]+\.\w+", who):
            assert (ROOT / name).is_file()


def test_the_python_of_readme_gives_a_mask(trained, tmp_path):
    world = World(tmp_path, trained / "shapes")
    for text in blocks(ROOT / "README.md", "python"):
        text += "\nassert mask.ndim == 2 and str(mask.dtype) == 'uint8'\n"
        result = subprocess.run([sys.executable, "-c", text], cwd=world.repository, text=True,
                                capture_output=True, env=world.environment())
        assert result.returncode == 0, result.stderr


def test_readme_is_a_welcome_screen():
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 250
    assert any(line.startswith("![") for line in lines[:20])


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def links(text: str) -> list[str]:
    without_code = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"\]\(([^)\s]+)\)", without_code)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_every_link_leads_somewhere(document):
    for link in links(document.read_text(encoding="utf-8")):
        if link.startswith(("https://", "mailto:")):
            continue
        file, _, anchor = link.partition("#")
        path = (document.parent / file).resolve() if file else document
        assert path.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in map(slug, headings), link


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_every_knob_that_a_document_names_takes_the_value(document):
    """`key=value` and `key: value` in the text, where the key is a knob."""
    text = re.sub(r"^```(?!yaml).*?^```", "", document.read_text(encoding="utf-8"),
                  flags=re.MULTILINE | re.DOTALL)
    for code in re.findall(r"`([^`\n]+)`", text):
        pairs = re.findall(r"(?:^|\s)(\w+)=(\"[^\"]*\"|\S+)", code) or re.findall(
            r"^(\w+): (.+)$", code)
        for key, value in pairs:
            # In capital letters stands what a person fills in; the others are those of recipes.
            if key in Config.__dataclass_fields__ and not re.search(
                    r"[A-Z]{2}|\.{3}|Plain|counts", value):
                parse_config("", document.name, [f"{key}={value}".replace('"', "")])


def test_the_yaml_of_regression_is_a_config():
    for text in blocks(ROOT / "docs/regression.md", "yaml"):
        assert parse_config(text, "regression.md").quantity == "distance (m)"


def test_every_document_is_named_in_readme():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in (ROOT / "docs").glob("*.md"):
        assert f"docs/{path.name}" in text
