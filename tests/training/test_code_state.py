"""git.txt: the code of a run, as a patch that makes it again to the byte."""

import subprocess

import pytest

from camera_trapinator.training import code_state as module
from camera_trapinator.training.code_state import code_files, code_state


def repository(folder):
    """A git repository with one commit."""
    def git(*words):
        return subprocess.run(["git", "-C", str(folder), *words], check=True,
                              capture_output=True, text=True).stdout.strip()

    (folder / "camera_trapinator").mkdir(parents=True)
    for name in ("camera_trapinator/model.py", "loss.py", "notes.txt", "gone.py"):
        (folder / name).write_text("before\n")
    (folder / "data.bin").write_bytes(bytes(range(256)))
    (folder / ".gitignore").write_text("*.log\n")
    git("init")
    git("add", ".")
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-m", "first")
    return git


@pytest.fixture
def git(tmp_path):
    return repository(tmp_path / "code")


def test_a_clean_repository_is_its_commit(git, tmp_path):
    state = code_state(tmp_path / "code")
    assert state.text.decode().split() == ["commit", git("rev-parse", "HEAD")]
    assert (state.commit, state.changed, state.files) == (git("rev-parse", "HEAD"), False, {})


def test_a_training_that_a_hook_started_names_its_own_repository(git, tmp_path, monkeypatch):
    other = repository(tmp_path / "other")
    other("-c", "user.name=a", "-c", "user.email=a@b", "commit", "--allow-empty", "-m", "second")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other/.git"))  # as git does for its hooks
    commit = code_state(tmp_path / "code").commit
    monkeypatch.delenv("GIT_DIR")
    assert commit == git("rev-parse", "HEAD") != other("rev-parse", "HEAD")


@pytest.mark.parametrize("setting", ["diff.noprefix", "diff.mnemonicPrefix", "core.autocrlf"])
def test_the_patch_makes_the_code_again_to_the_byte(git, tmp_path, setting):
    root, again = tmp_path / "code", tmp_path / "again"
    git("config", setting, "false" if setting == "core.autocrlf" else "true")
    git("config", "color.ui", "always")
    (root / "camera_trapinator/model.py").write_text("changed\n")
    (root / "loss.py").write_text("staged\n")
    git("add", "loss.py")
    (root / "gone.py").unlink()
    (root / "data.bin").write_bytes(bytes(range(255, -1, -1)))
    (root / "notes.txt").write_bytes("W\xfchlmaus\r\n".encode("latin-1"))  # is no UTF-8
    (root / "camera_trapinator/n\u00ebw one.py").write_text("new, without an end of line")
    (root / "top.py").write_text("")  # git has a way of its own to tell an empty file
    for name in ("noise.log", "camera_trapinator/noise.log", "photo.jpg"):  # no code
        (root / name).write_text("noise")
    (root / "camera_trapinator/weights.bin").write_bytes(bytes(2_000_000))
    before = git("status", "--porcelain")

    state = code_state(root)
    assert git("status", "--porcelain") == before  # the user's own index is as it was
    assert state.changed and state.left_out == ["camera_trapinator/weights.bin"]
    for part in ("+changed", "+staged", "hlmaus", "left out, for its size: camera_trapinator/we"):
        assert part in state.text.decode(errors="replace")
    (tmp_path / "git.txt").write_bytes(state.text)
    git("worktree", "add", "--detach", str(again), state.commit)
    subprocess.run(["git", "-C", str(again), "apply", "--whitespace=nowarn",
                    str(tmp_path / "git.txt")], check=True)

    def files(folder):
        return {path.relative_to(folder).as_posix(): path.read_bytes()
                for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts}

    expected = {name: content for name, content in files(root).items() if name not in (
        "noise.log", "camera_trapinator/noise.log", "photo.jpg", "camera_trapinator/weights.bin")}
    got = files(again)
    got.pop(".git", None)  # of a worktree it is a file
    assert got == expected


def test_outside_of_git_the_files_are_known_by_their_checksums(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "scripts/__pycache__").mkdir(parents=True)
    (tmp_path / "scripts/__pycache__/train.pyc").write_text("x")
    (tmp_path / "scripts/train.py").write_text("x")
    # The first 16 digits of: printf x | sha256sum
    expected = ("", b"no git repository\n", {"scripts/train.py": "2d711642b726b044"})
    state = code_state(tmp_path)
    assert (state.commit, state.text, state.files) == expected
    monkeypatch.setenv("PATH", str(tmp_path))  # without git on the machine
    state = code_state(tmp_path)
    assert (state.commit, state.text, state.files) == expected


def test_a_repository_that_only_lies_around_the_code_is_not_its_own(tmp_path):
    """As a home folder under git in which the code was unpacked."""
    repository(tmp_path / "home")
    (tmp_path / "home/unpacked/scripts").mkdir(parents=True)
    (tmp_path / "home/unpacked/scripts/train.py").write_text("x")
    state = code_state(tmp_path / "home/unpacked")
    assert state.commit == "" and list(state.files) == ["scripts/train.py"]


def test_code_in_a_folder_of_a_repository_is_kept_as_seen_from_there(git, tmp_path):
    """As in a repository of several projects."""
    (tmp_path / "code/camera_trapinator/scripts").mkdir()
    (tmp_path / "code/camera_trapinator/scripts/new.py").write_text("new\n")
    (tmp_path / "code/loss.py").write_text("not of this project\n")
    state = code_state(tmp_path / "code/camera_trapinator")
    assert b"+++ b/scripts/new.py" in state.text and b"not of this project" not in state.text


def test_what_git_ignores_is_no_code(git, tmp_path):
    (tmp_path / "code/camera_trapinator/noise.log").write_text("noise")
    assert list(code_files(tmp_path / "code")) == ["camera_trapinator/model.py"]
    assert "camera_trapinator" in module.CODE
