"""scripts/check_release.py: what repositories can be like, what may be missing, what cannot be
looked into, and what somebody accepts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import error_line, run_script
from planted_faults import (
    AWS,
    CLEAN,
    FACE,
    HOME,
    PLANTED,
    check,
    commit,
    found,
    git,
    make_clean,
    picture,
)

from camera_trapinator.utils import ROOT


def test_other_branches_tags_and_messages(tmp_path):
    folder = make_clean(tmp_path / "fork")
    git(folder, "checkout", "--quiet", "-b", "experiment")
    branch = commit(folder, {"a.py": PLANTED["aws.py"][0]})
    git(folder, "checkout", "--quiet", "--detach", "main")
    tagged = commit(folder, {"b.py": PLANTED["hub.py"][0]})
    git(folder, "tag", "old")
    git(folder, "checkout", "--quiet", "main")
    said = commit(folder, {"c.py": b"\n"}, f"Write below {HOME}")
    git(folder, "tag", "-a", "v2", "-m", f"with {AWS}")
    (folder / "README.md").write_text(FACE)
    git(folder, "stash")
    code, output = check(folder)
    told = found(output)
    assert {kind for kind, _ in told} == {"key", "home path"} and len(told) == 4
    assert f"(only in the history, commit {branch}" in told["key", f"a.py, line 2 (only in the "
                                                    f"history, commit {branch}, {date(folder)})"]
    assert f"commit {tagged}" in output and f"message of commit {said}, line 1: " in output
    assert "message of tag " in output and "--replace-message" in output
    assert "1 stashes, and the reflog, are not looked into" in output


def date(folder: Path) -> str:
    return git(folder, "log", "-1", "--format=%cd", "--date=short").strip()


def test_merge_that_brings_a_fault(tmp_path):
    folder = make_clean(tmp_path / "fork")
    git(folder, "checkout", "--quiet", "-b", "side")
    commit(folder, {"side.txt": b"side\n"})
    git(folder, "checkout", "--quiet", "main")
    commit(folder, {"main.txt": b"main\n"})
    git(folder, "merge", "--quiet", "--no-commit", "side")
    merge = commit(folder, {"evil.txt": AWS.encode()})
    assert len(git(folder, "log", "-1", "--format=%P").split()) == 2
    _, output = check(folder)
    assert f"key         evil.txt, line 1 (commit {merge}" in output


def test_moved_lines_are_one_finding(tmp_path):
    folder = make_clean(tmp_path / "fork")
    first = commit(folder, {"run.sh": f"cd {HOME}\n".encode()})
    for lines in range(1, 4):
        commit(folder, {"run.sh": b"\n" * lines + f"cd {HOME}\n".encode()})
    _, output = check(folder)
    assert output.count("home path") == 1
    assert f"run.sh, line 4 (commit {first}" in output  # today's line, the first commit


@pytest.mark.parametrize("name, kind, cure", [
    ("LICENSE", "licence", "choosealicense"), ("CITATION.cff", "citation", "CITATION.cff"),
    ("requirements.txt", "packages", "pip freeze"), ("README.md", "README", "README.md")])
def test_what_is_missing(tmp_path, name, kind, cure):
    folder = make_clean(tmp_path / "fork")
    (folder / name).unlink()
    commit(folder, {})
    git(folder, "tag", "v1.0.1")
    code, output = check(folder)
    assert code == 2 and [*found(output)] == [(kind, "missing")]
    assert cure in found(output)[kind, "missing"]


def test_half_a_citation_and_licence(tmp_path):
    folder = make_clean(tmp_path / "fork")
    commit(folder, {"CITATION.cff": b"cff-version: 1.2.0\nmessage: x\ntitle: y\n"
                                     b"authors: [{a: b}]\n",
                    "LICENSE": b"Copyright [year] [fullname]\n"})
    git(folder, "tag", "v1.0.1")
    _, output = check(folder)
    assert [*found(output)] == [("licence", "LICENSE is not filled in"),
                                ("citation", "CITATION.cff has no version"),
                                ("citation", "CITATION.cff has authors without a name")]
    commit(folder, {**CLEAN, "CITATION.cff": b"title: [\n"})
    git(folder, "tag", "v1.0.2")
    assert "CITATION.cff is no valid YAML" in check(folder)[1]


def test_tag_and_changes(tmp_path):
    folder = make_clean(tmp_path / "fork")
    (folder / "new file.py").write_text("")
    (folder / "code.py").write_text("")
    code, output = check(folder)
    assert code == 2 and [kind for kind, _ in found(output)] == ["uncommitted"]
    assert "code.py, new file.py" in output
    commit(folder, {})
    code, output = check(folder)
    assert code == 2 and [kind for kind, _ in found(output)] == ["tag"]
    assert "git tag -a" in output


def test_accepted_findings_and_notes(tmp_path):
    entries = ('pictures = ["docs/demo.jpg", "gone.jpg"]\naccepted = [\n'
               '{file = "run.sh", what = "home path", reason = "a robot\'s"},\n'
               '{file = "aws.py", what = "key", reason = "never enough for a key"},\n'
               '{file = "other.py", what = "photo", reason = "no longer there"}]\n')
    folder = make_clean(tmp_path / "fork")
    commit(folder, {"pyproject.toml": b"[tool.check_release]\n" + entries.encode(),
                    "run.sh": PLANTED["run.sh"][0], "aws.py": PLANTED["aws.py"][0],
                    "DATA_POLICY.md": b"\nAsk [fill in: whom].\n", "font": b"\0\1\0\0\0\x12"})
    git(folder, "tag", "v2.0.0")
    _, output = check(folder)
    assert [kind for kind, _ in found(output)] == ["key"]
    assert "accepted    home path: run.sh" in output and "[a robot's]" in output
    for note in ("gone.jpg: in pyproject.toml, pictures, but never tracked",
                 "aws.py (key), other.py (photo): in pyproject.toml, accepted, but no longer found",
                 "DATA_POLICY.md, line 2: [fill in: whom]", "font: binary and not looked into",
                 "CITATION.cff has version 1.0.0, and HEAD the tag v2.0.0"):
        assert f"note        {note}" in output
    commit(folder, {"pyproject.toml": b"[tool.check_release]\npicture = []\naccepted = [{file = "
                                      b"'a', what = 'key', reason = ''}]\n"})
    line = error_line(run_script("check_release.py", folder))
    assert "picture: no such key" in line and "accepted: {'file': 'a'" in line


def test_replacements_are_written_beside_the_repository(tmp_path):
    folder = make_clean(tmp_path / "fork")
    commit(folder, {"aws.py": PLANTED["aws.py"][0], "run.sh": PLANTED["run.sh"][0]})
    check(folder, "--replacements", tmp_path / "lines.txt")
    lines = (tmp_path / "lines.txt").read_text().splitlines()
    assert lines == ["regex:\\bAKIA[0-9A-Z]{16}\\b==>REMOVED", "/ho" + "me/anna==>~"]
    assert "lies in the repository" in error_line(
        run_script("check_release.py", folder, "--replacements", folder / "lines.txt"))


def test_whole_folders_go_by_one_path(tmp_path):
    folder = make_clean(tmp_path / "fork")
    commit(folder, {f"photos/site{site}/IMG_{number}.JPG": picture("JPEG", size=9 + number)
                    for site in range(2) for number in range(12)} | {"docs/new.jpg": CLEAN[
                        "docs/demo.jpg"] + b"1"})
    result = run_script("check_release.py", folder)
    assert "photo       and 15 more; --all tells them" in result.stdout
    assert ("    git filter-repo --path docs/new.jpg --path photos/ --invert-paths\n"
            in result.stdout)


# --------------------------------------------------------------------- what cannot be looked into


def test_no_repository_to_look_into(tmp_path):
    (tmp_path / "empty").mkdir()
    line = error_line(run_script("check_release.py", tmp_path / "empty"))
    assert "not a git repository" in line and "download without .git" in line
    assert "no such folder" in error_line(run_script("check_release.py", tmp_path / "none"))
    git(tmp_path / "empty", "init", "--quiet")
    line = error_line(run_script("check_release.py", tmp_path / "empty"))
    assert "no commit yet" in line and "git add . && git commit" in line
    folder = make_clean(tmp_path / "fork")
    commit(folder, {"a": b"a\n"})
    git(tmp_path, "clone", "--quiet", "--depth", "1", folder.as_uri(), "shallow")
    assert "git fetch --unshallow" in error_line(
        run_script("check_release.py", tmp_path / "shallow"))
    git(folder, "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "--quiet", "--filter=blob:none", folder.as_uri(), "partial")
    assert "without --filter" in error_line(run_script("check_release.py", tmp_path / "partial"))
    git(tmp_path, "clone", "--quiet", "--bare", folder.as_uri(), "bare.git")
    assert "bare repository" in error_line(run_script("check_release.py", tmp_path / "bare.git"))


def test_damaged_repository(tmp_path):
    folder = make_clean(tmp_path / "fork")
    commit(folder, {"only.txt": b"only once\n"})
    number = git(folder, "rev-parse", "HEAD:only.txt").strip()
    lost = folder / ".git/objects" / number[:2] / number[2:]
    lost.chmod(0o644)
    lost.unlink()
    line = error_line(run_script("check_release.py", folder))
    assert "git fsck" in line


def test_without_git(tmp_path):
    folder = make_clean(tmp_path / "fork")
    result = subprocess.run([sys.executable, ROOT / "scripts/check_release.py", folder],
                            capture_output=True, text=True,
                            env={**os.environ, "PATH": str(tmp_path)})
    assert "git is not installed" in error_line(result)


def test_submodule_is_told(tmp_path):
    other, folder = make_clean(tmp_path / "other"), make_clean(tmp_path / "fork")
    git(folder, "submodule", "--quiet", "add", other.as_uri(), "sub")
    commit(folder, {})
    git(folder, "tag", "v1.0.1")
    code, output = check(folder)
    assert code == 0, output
    assert "sub: a submodule, another repository: check it by itself" in output


def test_link_into_a_home_folder(tmp_path):
    folder = make_clean(tmp_path / "fork")
    (folder / "data").symlink_to(HOME)
    made = commit(folder, {})
    _, output = check(folder)
    assert f"home path   data, line 1 (commit {made}" in output
