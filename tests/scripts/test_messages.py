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
from PIL import Image

from camera_trapinator.utils import ROOT

CONFIG = ROOT / "configs/unet.yaml"
SCRIPTS = ["train", "test", "check_data", "compare_runs", "make_demo_data", "import_labels"]


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
    (["--overwitre"], "did you mean --overwrite?"), (["–resume"], "did you mean --resume?"),
    (["--lr", "1"], "without dashes: learning_rate=1"), (["-e", "2"], "without dashes: epochs=2"),
    (["--lr=1", "--bs=4"], "learning_rate=1; also --bs"), (["run=wide"], "write --run wide"),
    (["epochs", "=", "2"], "write epochs=2"), (["epochs:2"], "write epochs=2"),
    (["epochs=", "2"], "write epochs=2"),
    (["epochs=x", "width=0"], "; also command line: epochs: "),
])
def test_knobs_by_other_names_and_as_options(arguments, part, tmp_path):
    assert part in refused("train.py", "--config", CONFIG, *arguments, runs=tmp_path)


@pytest.mark.parametrize("script", ["test.py", "check_data.py"])
def test_knobs_as_options_of_the_other_scripts(script, tmp_path):
    config = ["--config", CONFIG] if script == "check_data.py" else []
    assert "without dashes: working_scale=320" in refused(
        script, *config, "--working-scale", "320", runs=tmp_path)


@pytest.mark.parametrize(("arguments", "part"), [
    (["make_demo_data.py", "--n", "4"], "--n: no such option; there are --out, --photos"),
    (["make_demo_data.py", "--out", ""], "--out: an empty path"),
    (["make_demo_data.py"], "--out is missing: folder for the data"),
    (["make_demo_data.py", "--out"], "--out: expected one argument: folder for the data"),
    (["import_labels.py"], "TOOL is missing: one of coco, labelme, "),
    (["import_labels.py", "labelstudio"], "did you mean label-studio?"),
    (["import_labels.py", "COCO"], "did you mean coco?"),
    (["import_labels.py", "coco", "a.json", "--image", "b"], "did you mean --images?"),
    (["import_labels.py", "coco", "a.json", "--skip"], "did you mean --skip-missing?"),
    (["import_labels.py", "coco", "a.json", "--out", "b"], "--images is missing: folder of the"),
    (["import_labels.py", "masks", "a", "--images", "b", "--out", "c"],
     "--colours is missing: table of what"),
    (["import_labels.py", "yolo", "configs", "--images", "b", "--out", "c"],
     "configs: no data.yaml in it; give --names FILE"),
    (["import_labels.py", "segment-anything", "a", "--out", "c"], "--class is missing: the class"),
    (["import_labels.py", "coco", "a.json", "--images"], "expected at least one argument: folder"),
    (["import_labels.py", "coco", "--labels", "a.json"], "write what follows it without --labels"),
    (["import_labels.py", "coco", "a.json", "--images", "b", "--out", "c", "--crowd", "clas"],
     "--crowd: 'clas' is none of ignore, class; did you mean class?"),
    (["import_labels.py", "coco", "a.json", "--images", "b", "skip_missing=true", "--out", "c"],
     "skip_missing=true is no folder and no file; write --skip-missing"),
    (["benchmark.py", "stp"], "did you mean step?"),
    (["compare_runs.py", "--runs", "a", "b"], "write what follows it without --runs"),
    (["compare_runs.py", "a", "--by", "epoc"], "did you mean epoch?"),
    (["test.py", "--checkpoint", "x.pt"], "did you mean --weights?"),
    (["test.py", "--config", CONFIG], "a checkpoint holds its config; leave it out"),
    (["test.py", "weights=x.pt"], "write --weights x.pt"),
    (["test.py", ROOT / "docs"], f"write --images {ROOT / 'docs'}"),
    (["test.py"], "python scripts/train.py --config configs/unet.yaml"),
    (["test.py", "--run", "x"], "python scripts/train.py --config configs/unet.yaml"),
    (["train.py", "configs/unet.yaml"], "write --config configs/unet.yaml"),
    (["train.py", "config=configs/unet.yaml"], "write --config configs/unet.yaml"),
    (["train.py"], "--config is missing: YAML file, such as configs/unet.yaml"),
    (["train.py", "--config", CONFIG, ROOT / "docs"], f"write data_root={ROOT / 'docs'}"),
])
def test_what_is_misspelled_missing_or_in_the_wrong_place(arguments, part, tmp_path):
    assert part in refused(*arguments, runs=tmp_path)


@pytest.mark.parametrize("argument", ["--lr", "--epochs", "--config"])
@pytest.mark.parametrize("command", [["compare_runs.py", "a"], ["make_demo_data.py"],
                                     ["import_labels.py", "coco"]])
def test_only_scripts_that_take_knobs_advise_them(command, argument, tmp_path):
    line = refused(*command, argument, "1", runs=tmp_path)
    assert f"{argument}: no such option; there are --" in line and "knob" not in line


def test_a_path_between_quotes_begins_at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "here").mkdir()
    size = ["--photos", 3, "--locations", 1, "--size", "64x64", "--new-photos", 0, "--workers", 1]
    result = run_script("make_demo_data.py", "--out", "~/demo", *size, cwd=tmp_path / "here")
    assert result.returncode == 0 and (tmp_path / "demo/manifest.csv").is_file(), result.stderr
    for folder, mode in (("photos", "RGB"), ("masks", "L")):
        (tmp_path / folder).mkdir()
        Image.new(mode, (64, 48), 1).save(tmp_path / folder / "a.png")
    (tmp_path / "codes.csv").write_text("value,class\n0,background\n1,fox\n")
    (tmp_path / "media.csv").write_text("File,RelativePath,DateTime\n"
                                        "a.png,,2024-05-01 10:00:00\n")
    result = run_script("import_labels.py", "masks", "~/masks", "--images", "~/photos", "--colours",
                        "~/codes.csv", "--facts", "~/media.csv", "--out", "~/out",
                        cwd=tmp_path / "here")
    assert (tmp_path / "out/manifest.csv").is_file(), result.stdout + result.stderr
    assert not list((tmp_path / "here").iterdir())


def test_a_knob_given_twice_is_told(tmp_path):
    result = run_script("train.py", "--config", CONFIG, "width=8", "width=9", "data_root=/none",
                        runs=tmp_path)
    assert "width is given twice, as 8 and as 9: the last one counts" in result.stdout


def test_runs_and_checkpoints_that_are_not_there(trained, data_root, tmp_path):
    assert "runs here: shapes" in refused("test.py", "--run", "none", runs=trained)
    assert f"there are {trained / 'shapes/best.pt'}" in refused(
        "test.py", "--weights", "bets.pt", runs=trained)
    assert "a folder, but no run" in refused("compare_runs.py", data_root, runs=trained)
    assert "a file; give the name or the folder" in refused(
        "compare_runs.py", trained / "shapes/best.pt", runs=trained)
    (tmp_path / "empty").mkdir()  # no run, though a folder beside the runs
    (tmp_path / "real").mkdir()
    (tmp_path / "real/best.pt").touch()
    assert refused("test.py", "--run", "none", runs=tmp_path).endswith("runs here: real")


@pytest.mark.parametrize(("text", "part"), [
    ("epochs: 2\n\tseed: 3\n", "x.yaml, line 2: .* tab, which YAML does not take: write blanks"),
    ("seed: 1\nepochs:\t2\n", "x.yaml, line 2: .* tab"),
    ('data_root: "C:\\photos"\n', "x.yaml, line 1: .* forward slashes, as in C:/photos"),
    ('data_root: "C:\\Users\\me"\n', "x.yaml, line 1: .* forward slashes"),
    ('data_root: "C:\\temp"\n', "x.yaml: data_root: .* forward slashes"),  # sound YAML: a tab
    ("seed: 3\nepochs:2\nwidth: 8\n", "line 2: write `epochs: 2`, .* a blank behind the colon"),
    ("epochs:2\n", "line 1: write `epochs: 2`, .* a blank behind the colon"),
    ("data_root = /a\n", "line 1: write `data_root: /a`"),
    ("seed: 1\ndata_root = /a\nwidth: 8\n", "line 2: write `data_root: /a`"),
    ("seed: 1\n  width: 8\n", "line 2: write `width: 8`, at the left edge"),
    ("  seed: 1\nwidth: 8\n", "line 1: write `seed: 1`, at the left edge"),
    ("epochs:\n  width: 8\n", "epochs: the lines below it are indented"),
    ('seed: 1\ndata_root: "/a\nwidth: 8\n', "line 2: the quotation mark is opened and not closed"),
    ("seed: 1\ndata_root: '/a\nnorm: 'none'\n", "line 2: the quotation mark is opened"),
    ("epochs:\n", "epochs: it is empty"), ("data_root:\n", "data_root: it is empty"),
    ("data_root: /a/manifest.csv\n", "manifest.csv is a table; give the folder"),
    ("epochs: x\nlr: 1\n", "epochs: 'x' should .*; also .*unknown key lr"),
])
def test_slips_in_the_config(text, part, tmp_path):
    (tmp_path / "x.yaml").write_text(text)
    line = refused("train.py", "--config", tmp_path / "x.yaml", runs=tmp_path)
    assert re.search(part, line), line


def test_a_folder_where_a_file_is_wanted_and_the_reverse(own_data, tmp_path):
    assert "configs: a folder, not a config file" in refused(
        "train.py", "--config", "configs", runs=tmp_path)
    for name in ("unte.yaml", "unet", "configs/unet"):
        assert refused("train.py", "--config", name, runs=tmp_path).endswith(
            "did you mean configs/unet.yaml?")
    for name, kind in (("manifest.csv", "a table"), ("a.JPG", "a photo"), ("best.pt", "a checkp")):
        assert f"{name}: {kind}" in refused("train.py", "--config", name, runs=tmp_path)
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
    result = subprocess.run([sys.executable, "-E", "-s", "-S", ROOT / f"scripts/{script}.py"],
                            capture_output=True, text=True, cwd="/")
    assert error_line(result) == ("error: No module named 'camera_trapinator'; activate the "
                                  "environment: source .venv/bin/activate")
    assert result.stdout == ""


@pytest.mark.parametrize("script", SCRIPTS)
def test_with_another_checkout_that_lacks_something_the_line_says_so(script, tmp_path):
    (tmp_path / "camera_trapinator").mkdir()
    (tmp_path / "camera_trapinator/__init__.py").touch()
    line = error_line(subprocess.run([sys.executable, "-S", ROOT / f"scripts/{script}.py"],
                                     capture_output=True, text=True, cwd="/",
                                     env={**os.environ, "PYTHONPATH": str(tmp_path)}))
    assert "another checkout is installed" in line and f"pip install -e {ROOT}" in line
    assert "activate" not in line


@pytest.mark.parametrize("script", SCRIPTS)
def test_without_torch_or_numpy_the_line_says_how_to_activate(script):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run([sys.executable, "-S", ROOT / f"scripts/{script}.py"],
                            capture_output=True, text=True, cwd="/", env=environment)
    line = error_line(result)
    assert "has no numpy" in line and "source .venv/bin/activate" in line
    assert ("no torch" in line) == (script not in ("make_demo_data", "import_labels"))


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_older_python_is_told_so(script):
    code = ("import runpy, sys; sys.version_info = (3, 9, 7, 'final', 0); "
            f"runpy.run_path({str(ROOT / 'scripts' / f'{script}.py')!r}, run_name='__main__')")
    line = error_line(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                                     env={**os.environ, "PYTHONPATH": str(ROOT)}))
    assert "Python 3.11 or newer is needed, and this is 3.9" in line


def test_what_an_older_python_reads_before_that_line_is_in_its_language():
    for path in [*(ROOT / "scripts").glob("*.py"), *(ROOT / "camera_trapinator" / name for name in (
            "__init__.py", "command/__init__.py", "command/arguments.py", "utils.py",
            "data/__init__.py", "data/files.py"))]:
        ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
