"""GitHub's and GitLab's files and pre-commit's say what README.md and pyproject.toml say."""

import os
import re
import shutil
import subprocess
import sys
import tomllib

import pytest
import yaml

from camera_trapinator.utils import ROOT

PYTHONS = ["3.11", "3.12", "3.13"]
COMMAND = "bash scripts/run_tests.sh"


def read(name: str) -> dict:
    # GitHub's `on` is YAML 1.1's true: every scalar is left as text.
    return yaml.load((ROOT / name).read_text(encoding="utf-8"), Loader=yaml.BaseLoader)


@pytest.fixture(scope="module")
def github() -> dict:
    return read(".github/workflows/tests.yml")


@pytest.fixture(scope="module")
def gitlab() -> dict:
    return read(".gitlab-ci.yml")


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_all_call_the_command_of_the_readme(github, gitlab):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.search(rf"^{COMMAND}\b", readme, re.MULTILINE)
    assert [step["run"] for step in github["jobs"]["tests"]["steps"]
            if step.get("name") == "Tests"] == [COMMAND]
    assert gitlab[".tests"]["script"] == [COMMAND]
    assert all(gitlab[job]["extends"] == ".tests" for job in ("tests", "macos", "windows"))
    assert gitlab["windows"]["script"][0].endswith('bash.exe" scripts/run_tests.sh')
    for script in re.findall(r"scripts/\w+\.\w+", str(github) + str(gitlab)):
        assert (ROOT / script).is_file()


def test_systems_and_pythons(github, gitlab, project):
    matrix = github["jobs"]["tests"]["strategy"]["matrix"]
    assert matrix["python"] == PYTHONS
    assert [os.split("-")[0] for os in matrix["os"]] == ["ubuntu", "macos", "windows"]
    assert gitlab["tests"]["parallel"]["matrix"] == [{"PYTHON_VERSION": PYTHONS}]
    assert project["project"]["requires-python"] == f">={PYTHONS[0]}"
    bounds = [f"({python.replace('.', ', ')})" for python in (PYTHONS[0], PYTHONS[-1])]
    assert " <= sys.version_info[:2] <= ".join(bounds) in (
        ROOT / "scripts/environment.sh").read_text(encoding="utf-8")


def test_history_is_there_and_rights_are_least(github, gitlab):
    assert github["permissions"] == {"contents": "read"}
    assert gitlab["variables"]["GIT_DEPTH"] == "0"
    for job in github["jobs"].values():
        assert int(job["timeout-minutes"]) > 0
        for step in job["steps"]:
            if action := step.get("uses"):
                assert re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", action)  # a tag can be moved
            if "checkout" in step.get("uses", ""):
                assert step["with"] == {"fetch-depth": "0", "persist-credentials": "false"}


def test_pre_commit_has_the_ruff_of_the_tests(project):
    hooks = {hook["id"]: hook for repository in read(".pre-commit-config.yaml")["repos"]
             for hook in repository["hooks"]}
    assert set(hooks["ruff"]["additional_dependencies"]) <= set(
        project["project"]["optional-dependencies"]["test"])
    from camera_trapinator.release.findings import LARGE
    largest = next(word for word in hooks["check-added-large-files"]["args"] if "maxkb" in word)
    assert int(largest.partition("=")[2]) * 1024 <= LARGE < (int(largest[8:]) + 1) * 1024


@pytest.mark.skipif(os.name == "nt", reason="makes stand-ins for Python")
@pytest.mark.parametrize("system, folder", [("linux-gnu", "bin"), ("msys", "Scripts")])
def test_environment_with_the_folders_of_windows(tmp_path, system, folder):
    """The folder of the environment, and a Python with a blank in its path; the first python3 is
    one that cannot run, as in Windows."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/environment.sh", tmp_path / "scripts")
    shop, own = tmp_path / "shop", tmp_path / "my tools"
    for path, text in ((shop / "python3", "exit 49"), (own / "python", (
            f'case "$1" in -m) mkdir -p .venv/{folder} && ln -s /bin/true .venv/{folder}/python;; '
            f'*) exec "{sys.executable}" "$@";; esac'))):
        path.parent.mkdir()
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
    for variables in ({"PATH": f"{shop}:{own}:/usr/bin:/bin"},
                      {"PATH": "/usr/bin:/bin", "PYTHON": str(own / "python")}):
        shutil.rmtree(tmp_path / ".venv", ignore_errors=True)
        result = subprocess.run(
            ["bash", "-ec", f"OSTYPE={system}; source scripts/environment.sh; command -v python"],
            cwd=tmp_path, env=variables, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        assert result.stdout.splitlines()[-1] == str(tmp_path / ".venv" / folder / "python")
    result = subprocess.run(["bash", "-ec", "source scripts/environment.sh"], cwd=tmp_path,
                            env={"PATH": "/usr/bin:/bin", "PYTHON": str(shop / "python3")},
                            capture_output=True, text=True)
    assert result.returncode == 2 and "Python 3.11 to 3.13 is needed" in result.stderr
