"""What a beginner does wrong, and the one line that says how to do it right."""

import ast
import os
import re
import shutil
import subprocess
import sys
import unicodedata

import pytest
from conftest import error_line, run_script

from camera_trapinator.utils import ROOT

CONFIG = ROOT / "configs/unet.yaml"
SCRIPTS = ["train", "test", "check_data", "compare_runs", "make_demo_data"]


def refused(script, *arguments, runs) -> str:
    return error_line(run_script(script, *arguments, runs=runs))


@pytest.mark.parametrize("script", ["train.py", "check_data.py"])
def test_tables_that_are_not_there(script, own_data, tmp_path):
    def line() -> str:
        return refused(script, "--config", CONFIG, f"data_root={own_data}", runs=tmp_path / "runs")
    (own_data / "classes.csv").unlink()
    assert "`index,name,colour`, `0,background,#000000`, `1,animal,#d95f02`" in line()
    (own_data / "manifest.csv").unlink()
    assert "scripts/import_labels.py" in line() and f"--out {own_data}" in line()
    shutil.rmtree(own_data)
    assert f"{own_data} is no folder" in line() and "make_demo_data.py" in line()


def test_the_lines_that_are_shown_are_a_sound_table(own_data, tmp_path):
    (own_data / "classes.csv").unlink()
    command = ["check_data.py", "--config", CONFIG, f"data_root={own_data}"]
    line = refused(*command, runs=tmp_path / "runs")
    shown = line.split("three lines: ")[1].replace("`", "").split(", ")
    (own_data / "classes.csv").write_text("\n".join(shown))
    result = run_script(*command, runs=tmp_path / "runs")
    assert "classes.csv has the classes 0 to 1" in result.stdout  # it is read: a third is missing


def test_letters_that_only_look_the_same(own_data, tmp_path):
    text = (own_data / "manifest.csv").read_text().replace("photos/site0/", "photos/Bär/")
    (own_data / "manifest.csv").write_text(unicodedata.normalize("NFC", text), encoding="utf-8")
    (own_data / "photos/site0").rename(own_data / "photos" / unicodedata.normalize("NFD", "Bär"))
    if (own_data / "photos" / unicodedata.normalize("NFC", "Bär")).exists():
        pytest.skip("this file system takes both for one name")
    result = run_script("check_data.py", "--config", CONFIG, f"data_root={own_data}",
                        runs=tmp_path / "runs")
    assert result.returncode == 2
    lines = [line for line in result.stdout.splitlines() if "no such photo" in line]
    assert len(lines) == 3 and all("looks the same" in line and "NFD" in line for line in lines)
    again = unicodedata.normalize("NFD", text)  # the cure that is told
    (own_data / "manifest.csv").write_text(again, encoding="utf-8")
    result = run_script("check_data.py", "--config", CONFIG, f"data_root={own_data}",
                        runs=tmp_path / "runs")
    assert "no such photo" not in result.stdout


def test_another_case_of_letters(own_data, tmp_path):
    photo = next((own_data / "photos/site1").rglob("*.JPG"))
    other = photo.rename(photo.with_suffix(".jpg"))
    if photo.exists():
        pytest.skip("this file system takes both for one name")
    line = refused("train.py", "--config", CONFIG, f"data_root={own_data}", runs=tmp_path / "runs")
    assert f"{photo}: no such photo" in line and f"{other} is there, in another spelling" in line


@pytest.mark.parametrize(("arguments", "part"), [
    (["lr=0.1"], "unknown key lr; did you mean learning_rate?"),
    (["num_epochs=3"], "did you mean epochs?"), (["batch=3"], "did you mean batch_size?"),
    (["Epochs=3"], "did you mean epochs?"), (["batch-size=3"], "did you mean batch_size?"),
    (["--epochs", "2"], "without dashes: epochs=2"), (["--epochs=2"], "without dashes: epochs=2"),
    (["--batch-size", "4", "--resume"], "without dashes: batch_size=4"),
    (["--compile"], "without dashes: compile=VALUE"),
    (["--overwitre"], "did you mean --overwrite?"),
])
def test_knobs_by_other_names_and_as_options(arguments, part, tmp_path):
    assert part in refused("train.py", "--config", CONFIG, *arguments, runs=tmp_path)


@pytest.mark.parametrize("script", ["test.py", "check_data.py"])
def test_knobs_as_options_of_the_other_scripts(script, tmp_path):
    config = ["--config", CONFIG] if script == "check_data.py" else []
    assert "without dashes: working_scale=320" in refused(
        script, *config, "--working-scale", "320", runs=tmp_path)


@pytest.mark.parametrize(("text", "part"), [
    ("epochs: 2\n\tseed: 3\n", "x.yaml, line 2: .* tab, which YAML does not take: write blanks"),
    ("seed: 1\nepochs:\t2\n", "x.yaml, line 2: .* tab"),
    ('data_root: "C:\\photos"\n', "x.yaml, line 1: .* forward slashes, as in C:/photos"),
    ('data_root: "C:\\Users\\me"\n', "x.yaml, line 1: .* forward slashes"),
    ('data_root: "C:\\temp"\n', "x.yaml: data_root: .* forward slashes"),  # sound YAML: a tab
    ("seed: 3\nepochs:2\nwidth: 8\n", "x.yaml, line 3: .* a blank belongs behind the colon"),
    ("epochs:2\n", "x.yaml: .* a blank behind the colon"),
])
def test_slips_in_the_config(text, part, tmp_path):
    (tmp_path / "x.yaml").write_text(text)
    line = refused("train.py", "--config", tmp_path / "x.yaml", runs=tmp_path)
    assert re.search(part, line), line


def test_a_folder_where_a_file_is_wanted_and_the_reverse(own_data, tmp_path):
    assert "configs: a folder, not a config file" in refused(
        "train.py", "--config", "configs", runs=tmp_path)
    assert "configs/unet.yaml" in refused("train.py", "--config", "unte.yaml", runs=tmp_path)
    assert "a folder, not a checkpoint; give the file best.pt" in refused(
        "test.py", "--weights", tmp_path, runs=tmp_path)
    (tmp_path / "mine.pt").touch()
    assert "give it with --weights" in refused("test.py", "--run", tmp_path / "mine.pt",
                                               runs=tmp_path)
    assert "a folder (directory), where a CSV file is needed" in refused(
        "check_data.py", "--config", CONFIG, f"data_root={own_data}", "manifest=photos",
        runs=tmp_path)
    result = run_script("check_data.py", "--config", CONFIG, f"data_root={own_data}", "--out",
                        tmp_path / "mine.pt", "working_scale=64", "crop_size=48,64", runs=tmp_path)
    assert result.returncode == 2 and "Traceback" not in result.stderr
    assert "mine.pt" in result.stderr and "a file is named where a folder" in result.stderr


# ------------------------------------------------------------------- the environment is not active


@pytest.mark.parametrize("script", SCRIPTS)
def test_without_the_package_the_line_says_how_to_activate(script):
    """As the Python of the system does it, in which nothing is installed."""
    result = subprocess.run([sys.executable, "-I", "-S", ROOT / f"scripts/{script}.py"],
                            capture_output=True, text=True, cwd="/")
    assert result.returncode and result.stdout == ""
    assert result.stderr == ("error: No module named 'camera_trapinator'; activate the "
                             "environment: source .venv/bin/activate\n")


@pytest.mark.parametrize("script", SCRIPTS)
def test_without_torch_or_numpy_the_line_says_how_to_activate(script):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run([sys.executable, "-S", ROOT / f"scripts/{script}.py"],
                            capture_output=True, text=True, cwd="/", env=environment)
    line = error_line(result)
    assert "has no numpy" in line and "source .venv/bin/activate" in line
    assert ("no torch" in line) == (script != "make_demo_data")


@pytest.mark.parametrize("script", [*SCRIPTS, "import_labels"])
def test_an_older_python_is_told_so(script):
    code = ("import runpy, sys; sys.version_info = (3, 9, 7, 'final', 0); "
            f"runpy.run_path({str(ROOT / 'scripts' / f'{script}.py')!r}, run_name='__main__')")
    line = error_line(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                                     env={**os.environ, "PYTHONPATH": str(ROOT)}))
    assert "Python 3.11 or newer is needed, and this is 3.9" in line


def test_what_an_older_python_reads_before_that_line_is_in_its_language():
    for path in [*(ROOT / "scripts").glob("*.py"), *(ROOT / "camera_trapinator" / name for name in (
            "__init__.py", "utils.py", "data/__init__.py", "data/files.py"))]:
        ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
