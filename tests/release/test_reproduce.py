"""A run that is made again: the same bits from the code of then, and all that differs is named."""

import json
import os
import signal
import subprocess
import sys
from shutil import copytree, ignore_patterns, rmtree

import pytest
import torch
from conftest import QUICK, error_line, make_data, run_script, start_script, wait_until
from leavings import all_of
from PIL import Image

from camera_trapinator import InputError
from camera_trapinator.config import load_config
from camera_trapinator.data.manifest import (
    Class,
    read_classes,
    read_manifest,
    write_classes,
    write_manifest,
)
from camera_trapinator.data.masks import read_mask
from camera_trapinator.model import UNet
from camera_trapinator.release import reproduce_environment, reproduce_told
from camera_trapinator.release.reproduce import Wanted, what_was
from camera_trapinator.release.reproduce_bits import compare_bits
from camera_trapinator.release.reproduce_environment import code_of, new_environment
from camera_trapinator.training import provenance
from camera_trapinator.training.checkpoint import save_checkpoint
from camera_trapinator.training.code_state import Code
from camera_trapinator.training.provenance import Place, keep_start, read_starts
from camera_trapinator.utils import ROOT

OF_THE_CODE = ("camera_trapinator", "scripts", "configs", "pyproject.toml", ".gitignore")


def git(folder, *words):
    return subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True,
                          text=True).stdout


def edit(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A folder with `code`, a repository of its own with changes and a new file that are not
    committed, `data`, and `runs` with the run `small` that was trained so."""
    folder = tmp_path_factory.mktemp("workspace")
    code = folder / "code"
    code.mkdir()
    for name in OF_THE_CODE:
        if (ROOT / name).is_dir():
            copytree(ROOT / name, code / name, ignore=ignore_patterns("__pycache__"))
        else:
            (code / name).write_bytes((ROOT / name).read_bytes())
    git(code, "init")
    git(code, "add", ".")
    git(code, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-m", "first")
    edit(code / "scripts/train.py", "momentum=0.9,", "momentum=MOMENTUM,")
    edit(code / "scripts/train.py", "import torch\n\n",
         "import torch\n\nfrom camera_trapinator.own import MOMENTUM\n")
    (code / "camera_trapinator/own.py").write_text("MOMENTUM = 0.5\n")
    make_data(folder / "data", photos=3)
    result = run_script("train.py", "--config", "configs/unet.yaml", "--run", "small",
                        f"data_root={folder / 'data'}", *QUICK, runs=folder / "runs", cwd=code,
                        repository=code)
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture
def own(workspace, tmp_path):
    """The workspace to damage: its `code` is that of all tests, `data` and `runs` are copies."""
    for name in ("data", "runs"):
        copytree(workspace / name, tmp_path / name)
    return tmp_path


def reproduce(workspace, own, *arguments):
    return run_script("reproduce.py", "small", "--data-root", own / "data", *arguments,
                      runs=own / "runs", repository=workspace / "code")


def starts_of(own):
    return json.loads((own / "runs/small/run.json").read_text())["starts"]


def write_starts(own, starts):
    (own / "runs/small/run.json").write_text(json.dumps({"starts": starts}))


# --------------------------------------------------------------------------------- from end to end


def test_a_run_comes_out_the_same_though_code_and_manifest_went_on(workspace, own):
    code, root = workspace / "code", own / "data"
    copytree(code, own / "code")
    edit(own / "code/camera_trapinator/own.py", "0.5", "0.75")  # the bits would be other ones
    edit(own / "code/camera_trapinator/loss.py", "def _weight(", "def _own_weight(")
    extra = make_data(own / "more", locations=6, photos=3)
    for kind in ("photos", "masks"):
        (extra / kind / "site5").rename(root / kind / "site5")
    new = [row for row in read_manifest(extra / "manifest.csv") if row.location == "site5"]
    write_manifest(root / "manifest.csv", [*new, *list(read_manifest(root / "manifest.csv"))[::-1]])
    write_classes(root / "classes.csv", [Class(name, (7, 7, place)) for place, (name, _)
                                         in enumerate(read_classes(root / "classes.csv"))])
    before = git(own / "code", "status", "--porcelain")

    result = run_script("reproduce.py", "small", "--here", "--data-root", root,
                        runs=own / "runs", repository=own / "code")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "result      the same bits" in result.stdout
    assert "the manifest has changed, but not in the rows of the run" in result.stdout
    assert "camera_trapinator/own.py, line 1: 'MOMENTUM = 0.5' then, 'MOMENTUM = 0.75' now" in (
        result.stdout)
    assert "code        camera_trapinator/loss.py, line " in result.stdout
    assert not [name for name in ("model.py", "train.py") if f"{name}, line" in result.stdout]
    # Compared once more, in another way.
    for name in ("last.pt", "best.pt"):
        then, now = (all_of(own / "runs" / run / name) for run in ("small", "small_reproduced"))
        assert len(then) > 50 and [place for place in then if then[place] != now.get(place)
                                   and not place.startswith(("/config", "/classes"))] == []
    # And nothing is left behind.
    assert git(own / "code", "status", "--porcelain") == before
    assert len(git(own / "code", "worktree", "list").splitlines()) == 1
    assert not list((own / "runs").glob(".reproduce*"))


def test_all_that_has_changed_is_named_at_once_and_nothing_is_trained(workspace, own):
    root = own / "data"
    rows = [row for row in read_manifest(root / "manifest.csv") if row.mask.endswith(".png")]
    photo, masked, gone, moved = (rows[place] for place in (0, 1, 2, 3))
    status = (root / photo.image).stat()
    content = bytearray((root / photo.image).read_bytes())
    content[-10] ^= 1
    (root / photo.image).write_bytes(content)
    os.utime(root / photo.image, ns=(status.st_atime_ns, status.st_mtime_ns))  # size and time lie
    mask = read_mask(root / masked.mask).copy()
    mask[0, 0] = 2
    Image.fromarray(mask).save(root / masked.mask)
    (root / gone.image).unlink()
    write_manifest(root / "manifest.csv", [
        row._replace(location="elsewhere") if row == moved else row
        for row in read_manifest(root / "manifest.csv")])
    starts = starts_of(own)
    starts[0] |= {"threads": 7, "processor": "Abacus 3000"}
    starts[0]["packages"]["numpy"] = "1.99.9"
    starts[0]["variables"]["MKL_CBWR"] = "AVX2"
    write_starts(own, starts)

    result = reproduce(workspace, own, "--here")
    assert result.returncode == 1, result.stderr
    for told in (f"data        {photo.image}: has changed", f"data        {masked.mask}: has chang",
                 f"data        {gone.image}: is gone",
                 f"data        {moved.image}: its location is '{moved.location}' then, 'elsewhere'",
                 "package     numpy 1.99.9 then, ", "machine     threads: 7 then, ",
                 "machine     processor: Abacus 3000 then, ",
                 "machine     environment variable MKL_CBWR: AVX2 then, not set now"):
        assert told in result.stdout
    assert result.stdout.count("\ndata  ") == 4 and result.stdout.count(" then, ") == 5
    assert "result      it cannot come out the same" in result.stdout
    assert "epoch 1" not in result.stdout and not (own / "runs/small_reproduced").exists()


def test_nothing_has_changed(workspace, own):
    result = reproduce(workspace, own, "--check")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[1:] == [
        "data        15 photos, their masks and 2 other files: as they were",
        "result      nothing has changed"]
    assert result.stdout.endswith("nothing has changed\n")


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="Windows ends a process at once")
@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_whoever_stops_it_finds_nothing_left_behind(workspace, own, number):
    """Also where only this process is told, and not the training that it has started."""
    code, output = workspace / "code", own / "output.txt"
    (own / "temporary").mkdir()
    process = start_script("reproduce.py", "small", "--here", "--data-root", own / "data",
                           stdout=output, stderr=output, runs=own / "runs", repository=code,
                           TMPDIR=str(own / "temporary"))
    wait_until(process, lambda: "training  " in output.read_text())
    assert len(git(code, "worktree", "list").splitlines()) == 2
    os.kill(process.pid, getattr(signal, number))
    assert process.wait(120) == 130
    assert len(git(code, "worktree", "list").splitlines()) == 1
    assert os.listdir(own / "temporary") == [] and not list((own / "runs").glob(".reproduce*"))
    assert not (own / "runs/small_reproduced").exists()


@pytest.mark.long
def test_a_run_comes_out_the_same_in_an_environment_of_its_own(workspace, own):
    """Downloads some GB."""
    result = reproduce(workspace, own, "--out", "again")
    assert result.returncode == 0, result.stdout + result.stderr
    assert all_of(own / "runs/again/last.pt") == all_of(own / "runs/small/last.pt") | {
        place: value for place, value in all_of(own / "runs/again/last.pt").items()
        if place.startswith("/config")}


# -------------------------------------------------------------------------------------- refusals


def test_what_cannot_be_made_again_is_refused_in_a_line(workspace, own):
    (own / "runs/small_reproduced").mkdir()
    assert "name another with --out" in error_line(reproduce(workspace, own))
    result = run_script("reproduce.py", "smal", runs=own / "runs", repository=workspace / "code")
    assert "no such run" in error_line(result) and "small" in error_line(result)


def test_a_run_that_does_not_tell_enough_is_refused(own):
    folder, wanted = own / "runs/small", Wanted(own / "out", own / "data")
    assert what_was(folder, wanted).config.epochs == 2
    starts = starts_of(own)
    write_starts(own, [{**starts[0], "processes": 4}])
    (folder / "best.pt").rename(folder / "kept")
    with pytest.raises(InputError, match="4 processes.*torchrun.*; its best.pt is gone"):
        what_was(folder, wanted)
    (folder / "kept").rename(folder / "best.pt")
    write_starts(own, [{**starts[0], "epoch": 1}])  # the version before had no run.json
    with pytest.raises(InputError, match="begun by an older version"):
        what_was(folder, wanted)
    (folder / "run.json").unlink()
    with pytest.raises(InputError, match="begun by an older version"):
        what_was(folder, wanted)
    for damaged in ("{", "[]", '{"starts": [{}]}', '{"starts": 3}'):
        (folder / "run.json").write_text(damaged)
        with pytest.raises(InputError, match="run.json: cannot be read"):
            what_was(folder, wanted)
    write_starts(own, starts)
    (folder / "config.yaml").write_text((folder / "config.yaml").read_text().replace(
        "epochs: 2", "epochs: 3"))
    with pytest.raises(InputError, match="stopped after 2 of 3 epochs.*--resume"):
        what_was(folder, wanted)
    rmtree(own / "data")
    with pytest.raises(InputError, match="stopped after 2 of 3"):
        what_was(folder, wanted)


def test_code_that_is_not_in_the_clone_says_where_to_get_it(workspace, tmp_path, monkeypatch):
    monkeypatch.setattr(reproduce_environment, "ROOT", workspace / "code")
    patch = tmp_path / "git.txt"
    patch.write_text("commit\n\ndiff --git a/x b/x\nnonsense\n")
    with pytest.raises(InputError, match="00000, is not in this clone; get it with git fetch"), \
            code_of(40 * "0", patch, tmp_path / "code"):
        pass
    commit = git(workspace / "code", "rev-parse", "HEAD").strip()
    with pytest.raises(InputError, match="git.txt: the code of the run cannot be made again"), \
            code_of(commit, patch, tmp_path / "code"):
        pass
    assert len(git(workspace / "code", "worktree", "list").splitlines()) == 1
    assert not (tmp_path / "code").exists()


def test_packages_that_cannot_be_had_are_named(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"trained by Python 3\.99\.1, and python3\.99 is not her"):
        new_environment(tmp_path / "environment", "3.99.1", {})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(InputError, match=r"torch==2\.0\+abc.*PIP_EXTRA_INDEX_URL=\S+/whl/abc; or "):
        reproduce_environment._install(sys.executable, {"torch": "2.0+abc"})


# -------------------------------------------------------------------------- are these the same bits


def write_run(folder, change=lambda content: None, **row):
    """A run folder of an epoch or two, with a network that has one weight that is no number."""
    torch.manual_seed(0)
    net = UNet(num_classes=3, working_scale=32, width=4, depth=2)
    weights = {name: weight.clone() for name, weight in net.state_dict().items()}
    weights["last.bias"][0] = float("nan")
    content = {
        "model_arguments": net.arguments, "model": weights, "training": None, "scaler": {},
        "optimizer": {"state": {0: {"momentum_buffer": torch.zeros(3)}}}, "thresholds": [0.5, None],
        "temperature": 1.25, "values": None, "config": f"data_root: {folder}\n",
        "history": [{"epoch": 1, "train_loss": float("nan"), "seconds": hash(folder) / 7.0},
                    {"epoch": 2, "train_loss": 0.1, "seconds": 1.0, **row}]}
    change(content)
    for name in ("last.pt", "best.pt"):
        save_checkpoint(folder / name, content)
    return folder


def one_bit(content):
    weight = content["model"]["last.weight"]
    weight.view(torch.int32).flatten()[5] ^= 1


def other_zero(content):
    content["optimizer"]["state"][0]["momentum_buffer"][1] = -0.0


@pytest.mark.parametrize(("change", "row", "told"), [
    (lambda content: None, {}, []),
    (one_bit, {}, ["last.pt: 1 of ", "most model/last.weight: by "]),
    (other_zero, {}, ["last.pt: 1 of ", "optimizer/state/0/momentum_buffer"]),
    (lambda content: content["model"].pop("last.bias"), {}, ["last.pt: 1 of ", "model/last.bias"]),
    (lambda content: content.update(temperature=1.5), {}, ["temperature: 1.25 then, 1.5 now"]),
    (lambda content: None, {"train_loss": 0.1 + 1e-16},
     ["epoch 2 is the first one in which log.csv differs: train_loss 0.1 then, 0.10000000000000"]),
    (lambda content: content["history"].pop(), {}, ["log.csv has 2 epochs then, 1 now"]),
])
def test_one_bit_is_a_difference_and_a_time_is_none(tmp_path, change, row, told):
    then, now = write_run(tmp_path / "then"), write_run(tmp_path / "now", change, **row)
    differences, compared = compare_bits(then, now)
    assert bool(differences) == bool(told) and "2 epochs" in compared
    for part in told:
        assert part in "\n".join(differences)


def test_what_is_known_to_differ_is_told_as_the_reason(own, capsys):
    again = own / "again"
    copytree(own / "runs/small", again)
    made = what_was(own / "runs/small", Wanted(own / "out", own / "data"))
    assert reproduce_told.tell_result(made, again)
    content = torch.load(again / "last.pt", weights_only=True)
    one_bit(content)
    save_checkpoint(again / "last.pt", content)
    assert not reproduce_told.tell_result(made, again)
    assert "none is known" in capsys.readouterr().out
    made.start["packages"]["numpy"], made.start["processor"] = "1.99.9", "Abacus 3000"
    edit(again / "git.txt", "+MOMENTUM = 0.5", "+MOMENTUM = 0.6")
    assert not reproduce_told.tell_result(made, again)
    told = capsys.readouterr().out
    assert "reason      numpy 1.99.9 then" in told
    assert "reason      code: git.txt is another one" in told
    assert "processor: Abacus 3000 then" in told
    assert "none is known" not in told


# ----------------------------------------------------------------------------------- what is kept


def test_each_start_is_kept_with_its_own_code_and_without_home_folders(tmp_path, monkeypatch):
    home, run = tmp_path / "home/maria", tmp_path / "run"
    make_data(home / "data", locations=1, photos=1)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    config = load_config(ROOT / "configs/unet.yaml", [f"data_root={home / 'data'}", "seed=5"])
    monkeypatch.setattr(sys, "argv", [str(ROOT / "scripts/train.py"), f"data_root={home / 'data'}"])
    place, states = Place(torch.device("cpu"), "fp32"), []
    monkeypatch.setattr(provenance, "code_state", lambda: states[-1])
    for text, done in ((b"commit a\n", (0, 0)), (b"commit a\n", (1, 0)), (b"commit b\n", (1, 7))):
        states.append(Code(text.decode()[7], False, text, [], {}))
        keep_start(run, config, place, done)
    starts = read_starts(run)
    assert [(start["epoch"], start["step"]) for start in starts] == [(0, 0), (1, 0), (1, 7)]
    assert [start["code"] for start in starts] == ["git.txt", "git.txt", "git_3.txt"]
    assert (run / "git.txt").read_bytes() + (run / "git_3.txt").read_bytes() == (
        b"commit a\ncommit b\n")
    start = starts[0]
    assert start["command"][0].replace("\\", "/") == "scripts/train.py" and start["seed"] == 5
    assert "maria" not in (run / "run.json").read_text()
    assert start["threads"] == torch.get_num_threads()
    assert start["packages"]["torch"] == torch.__version__.partition("+")[0] or (
        start["packages"]["torch"] == torch.__version__)
    assert {"numpy", "pillow", "scipy"} <= set(start["packages"])
    assert set(start["files"]) == {"manifest", "classes"}
    keep_start(run, config, place, (0, 0))  # a run that begins anew
    assert len(read_starts(run)) == 1
