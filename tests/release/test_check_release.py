"""scripts/check_release.py: planted faults, today's and those that only the history holds, are each
found with file, line and cure; a clean repository, and our own, have none."""

import pytest
from planted_faults import (
    CLEAN,
    PLANTED,
    SECRETS,
    check,
    commit,
    found,
    git,
    make_clean,
    planted_files,
)

from camera_trapinator.utils import ROOT


@pytest.fixture(scope="module")
def today(tmp_path_factory) -> tuple[str, str]:
    """What is told of a repository with all faults in its files, and their commit."""
    folder = make_clean(tmp_path_factory.mktemp("today") / "fork")
    brought = commit(folder, planted_files())
    commit(folder, {"later.txt": b"later\n"})
    code, output = check(folder)
    assert code == 2
    return output, brought


@pytest.fixture(scope="module")
def past(tmp_path_factory) -> tuple[str, str]:
    """The same where all of them have been deleted again, or mended."""
    folder = make_clean(tmp_path_factory.mktemp("past") / "fork")
    brought = commit(folder, planted_files())
    for path in PLANTED:
        (folder / path).unlink()
    commit(folder, CLEAN)
    git(folder, "tag", "v1.0.1")
    code, output = check(folder)
    assert code == 2
    return output, brought


@pytest.mark.parametrize("path", PLANTED)
def test_fault_of_today_is_found(today, path):
    _, kind, line, what, cure = PLANTED[path]
    output, brought = today
    since = next(told for (sort, place), told in found(output).items()
                 if sort == kind and place.split(",")[0].split(" (")[0] == path)
    assert (f"{path}, line {line} (" if line else f"{path} (") in since
    assert "only in the history" not in since
    # sites.csv and the notebook were there before, without the fault.
    assert f"(commit {brought}, 20" in since and what in since
    assert cure in since and "git filter-repo --" in since


@pytest.mark.parametrize("path", PLANTED)
def test_fault_of_the_history_is_found(past, path):
    _, kind, line, what, cure = PLANTED[path]
    output, brought = past
    told = next(told for (sort, place), told in found(output).items()
                if sort == kind and place.split(",")[0].split(" (")[0] == path)
    assert (f"{path}, line {line} (only" if line else f"{path} (only") in told
    assert f"only in the history, commit {brought}, 20" in told and what in told
    name = f"'{path}'" if " " in path else path
    if "==>" in told:
        assert "git filter-repo --replace-text ../replacements.txt, with `" in told
    else:
        assert f"git filter-repo --path {name} --invert-paths" in told
    assert "git rm" not in told  # it is no longer there
    # What has a clean version today is not lost.
    assert ("put it back" in told) == (path in CLEAN)


def test_nothing_else_is_found(today, past):
    for output, _ in (today, past):
        places = {place.split(",")[0].split(" (")[0] for kind, place in found(output)
                  if kind != "tag"}
        assert places == set(PLANTED)


def test_no_key_is_told_in_full(today, past):
    for output, _ in (today, past):
        for secret in SECRETS:
            assert secret not in output and secret[6:] not in output
        assert "MIIEpAIBAAKC" not in output


def test_clean_repository(tmp_path):
    code, output = check(make_clean(tmp_path / "clean"))
    assert (code, found(output)) == (0, {}), output
    assert "nothing was found" in output
    assert "Ann <ann@example.org>" in output  # who publishes should know


def test_this_repository(tmp_path):
    """Ours, with the history of what is checked out here, lacks nothing but a tag. Other branches,
    and what is not committed, are not looked at."""
    shallow = ["rev-parse", "--is-shallow-repository"]
    if not (ROOT / ".git").exists() or git(ROOT, *shallow) == "true\n":
        pytest.skip("no git checkout, or a shallow one: no history to look into")
    git(tmp_path, "clone", "--quiet", "--single-branch", ROOT.as_uri(), "ours")
    _, output = check(tmp_path / "ours")
    assert {kind for kind, _ in found(output)} <= {"tag"}, output
