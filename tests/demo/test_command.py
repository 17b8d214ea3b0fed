"""scripts/make_demo_data.py: what it refuses, in one line, and what it makes anew."""

import subprocess

import pytest
from demo_roots import SMALL, files_of, make, read_rows, run


def refusal(result: subprocess.CompletedProcess) -> str:
    assert result.returncode == 2, result.stderr
    assert len(result.stderr.splitlines()) == 1 and result.stderr.startswith("error: ")
    return result.stderr


@pytest.mark.parametrize(("options", "said"), [
    (["--size", "640"], "640x480"), (["--size", "axb"], "640x480"), (["--size", "20x20"], "64"),
    (["--photos", "0"], "--photos"), (["--photos", "many"], "many"),
    (["--photos", "5", "--locations", "4"], "too few"), (["--seed", "-1"], "--seed"),
    (["--workers", "0"], "--workers"), (["--colour", "red"], "--colour")])
def test_bad_options_are_refused_in_one_line(tmp_path, options, said):
    assert said in refusal(run(tmp_path / "out", *options))
    assert not (tmp_path / "out").exists()


def test_a_folder_with_other_things_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    assert "thesis.txt" in refusal(run(tmp_path, *SMALL))
    assert files_of(tmp_path) == ["thesis.txt"]
    (tmp_path / "file").write_text("")
    assert "file" in refusal(run(tmp_path / "file", *SMALL))


def test_a_second_run_is_quick_and_other_options_make_new_photos(tmp_path):
    few = ["--locations", 1, "--size", "96x72", "--new-photos", 0, "--workers", 1, "--photos"]
    root = make(tmp_path, *few, 6)
    first = (root / "manifest.csv").stat().st_mtime_ns
    assert "nothing to do" in run(root, *few, 6).stdout
    assert (root / "manifest.csv").stat().st_mtime_ns == first
    photo = root / read_rows(root)[0]["image"]
    photo.unlink()
    assert "nothing to do" not in run(root, *few, 6).stdout and photo.exists()
    make(root, *few, 3)
    assert len(read_rows(root)) == 3
    assert len([file for file in files_of(root) if file.startswith("photos/")]) == 3
    (root / "photos" / "mine.jpg").write_text("my own")
    assert "mine.jpg" in refusal(run(root, *few, 6))
    assert len(read_rows(root)) == 3
