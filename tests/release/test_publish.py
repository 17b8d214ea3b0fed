"""publish.py: a model for others, which predicts as the run does and gives nothing away."""

import errno
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
import yaml
from conftest import QUICK, error_line, run_script
from distances import knobs, make_distances

from camera_trapinator.config import Config, parse_config
from camera_trapinator.data.files import sha256
from camera_trapinator.data.learned import Learned
from camera_trapinator.data.lock import only_one
from camera_trapinator.data.photos import read_photo
from camera_trapinator.model import load_model
from camera_trapinator.release import publish as publishing
from camera_trapinator.release.publish_card import _packages
from camera_trapinator.release.publish_privacy import Secrets
from camera_trapinator.release.publish_subject import Told, nameless
from camera_trapinator.training.checkpoint import load_checkpoint, save_checkpoint
from camera_trapinator.training.slim import SAYS_NOTHING, left_out_of
from camera_trapinator.utils import ROOT, InputError

TOLD = ["--licence", "cc-by-4.0", "--data", "Our own photos; ask for them.",
        "--repository", "https://example.org/foxes", "--code", "v1.2"]
TRAINED = {"site0", "site2", "site3"}  # what the run learns from, checked below
# What the run knows and nobody else shall.
PLANTED = {"data_root": "/home/ann_zyx/photos of the reserve", "teacher": "secret_teacher_run",
           "splits_file": "C:\\Users\\ann_zyx\\splits.csv", "difficulty": "secret_difficulty_run",
           "weights": "secret_first_run", "deployments_file": "/srv/zyx/deployments.csv",
           "project_file": "~/zyx_project.yaml", "manifest": "zyx_manifest.csv",
           "cache": "ram 3", "device": "cpu", "repeats": "drop",
           "outputs": "[csv, camtrap_dp, wildlife_insights]"}


@pytest.fixture(scope="module")
def tested(trained, tmp_path_factory):
    """The folder of runs with the run `shapes`, tested."""
    runs = tmp_path_factory.mktemp("publish")
    shutil.copytree(trained / "shapes", runs / "shapes",
                    ignore=shutil.ignore_patterns("test", "predict"))
    assert run_script("test.py", "--run", "shapes", "outputs=csv", runs=runs).returncode == 0
    return runs


@pytest.fixture
def own(tested, tmp_path):
    """A copy of it to damage."""
    return shutil.copytree(tested, tmp_path / "runs")


def publish(runs, out, *arguments, run="shapes", told=TOLD):
    return run_script("publish.py", run, "--out", out, *told, *arguments, runs=runs)


def change(run: Path, **entries) -> None:
    """Other entries for best.pt, which count as those that were tested."""
    content = {**load_checkpoint(run / "best.pt"), **entries}
    save_checkpoint(run / "best.pt", {key: value for key, value in content.items()
                                      if value is not None or key == "values"})
    retell(run, weights_sha256=sha256(run / "best.pt"))


def retell(run: Path, **entries) -> None:
    path = run / "test/report.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


def plant(run: Path) -> None:
    """Put what is secret wherever a run can have it."""
    content = load_checkpoint(run / "best.pt")
    text = content["config"]
    for knob, value in PLANTED.items():
        text = re.sub(rf"^{knob}: .*$", lambda _, k=knob, v=value: f"{k}: {v}", text, flags=re.M)
    learned = {**content["learned_from"], "unknown": ["/home/ann_zyx/older/best.pt"]}
    change(run, config=text, learned_from=learned)
    assert set(learned["locations"]) == TRAINED
    retell(run, note="2 test locations, such as site0, count as seen: a run that this one began "
           "with has learned from them; what /home/ann_zyx/older/best.pt learned from is not known:"
           " it may have seen the test locations; 1 pair of near-duplicates in two splits, such as "
           "photos/site0/100RECNX/IMG_0001.JPG (train) and photos/site3/100RECNX/IMG_0002.JPG "
           "(test)")
    (run / "run.json").write_text(json.dumps({"starts": [{
        "command": ["/home/ann_zyx/train.py"], "code": "git.txt", "packages": {
            "torch": "2.15.0", "numpy": "2.4.6", "foxes": "file:///home/ann_zyx/foxes"}}]}))


def card_of(photos: Path, data_root: Path) -> Path:
    """A memory card with a photo of a location that was learned from, and one of another one."""
    for number, place in enumerate(("site0", "elsewhere")):
        (photos / place).mkdir(parents=True)
        shutil.copy(data_root / f"photos/site0/100RECNX/IMG_000{number + 1}.JPG", photos / place)
    return photos


def known(out: Path) -> str:
    text = (out / "report.html").read_text(encoding="utf-8")
    return " ".join(json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])["known"])


# ----------------------------------------------------------------------------------- what it gives


def test_it_predicts_the_same_bits_far_from_run_and_photos(own, data_root, tmp_path):
    plant(own / "shapes")
    result = publish(own, tmp_path / "out")
    assert result.returncode == 0, result.stderr
    photos = card_of(tmp_path / "card", data_root)
    found = {}
    for name, file in (("run", own / "shapes/best.pt"), ("published", tmp_path / "away/best.pt")):
        if name == "published":
            shutil.move(tmp_path / "out", tmp_path / "away")
            shutil.rmtree(own)
        net = load_model(load_checkpoint(file)).eval()
        logits = net.predict(read_photo(next(photos.rglob("*.JPG")), 0).image).logits
        told = run_script("test.py", "--weights", file, "--images", photos, "--out",
                          tmp_path / name, "outputs=report", "repeats=tell", runs=tmp_path,
                          cwd=tmp_path)
        assert told.returncode == 0, told.stderr
        records = (tmp_path / name / "predictions.jsonl").read_text().splitlines()[1:]
        found[name] = logits, records, net.state_dict()
    for one, other in ((found["run"][0], found["published"][0]),
                       *zip(*(state.values() for _, _, state in found.values()), strict=True)):
        assert torch.equal(one, other)
    assert found["run"][1] == found["published"][1] and len(found["run"][1]) == 2
    # As the knobs of the published file have it, without a word on what is not there.
    result = run_script("test.py", "--weights", tmp_path / "away/best.pt", "--images", photos,
                        "--out", tmp_path / "again", cwd=tmp_path)
    assert result.returncode == 0 and (tmp_path / "again/report.html").exists(), result.stderr
    line = error_line(run_script("test.py", "--weights", tmp_path / "away/best.pt",
                                 f"data_root={data_root}"))
    assert "splits.csv" in line and "published" in line and "--images" in line


def test_only_what_is_needed_is_in_it(tested, tmp_path):
    result = publish(tested, tmp_path / "out")
    assert "left out    knobs: data_root" in result.stdout
    content = load_checkpoint(tmp_path / "out/best.pt")
    assert set(content) == {"model_arguments", "model", "classes", "values", "thresholds",
                            "temperature", "config", "history", "learned_from", "tested",
                            "published"}
    assert len(content["history"]) == 1 and content["published"]["licence"] == "CC-BY-4.0"
    before = parse_config(load_checkpoint(tested / "shapes/best.pt")["config"], "run", stored=True)
    after = parse_config(content["config"], "published", stored=True)
    differs = {name for name in vars(before) if getattr(before, name) != getattr(after, name)}
    # Of the run's own knobs some came from the test suite: num_workers is the machine's.
    assert differs == {"data_root", "num_workers"}
    assert (tmp_path / "out/config.yaml").read_text(encoding="utf-8") == content["config"]


def test_scores_card_and_sums_are_those_of_the_run(tested, tmp_path):
    report = json.loads((tested / "shapes/test/report.json").read_text())
    for layout, more in (("plain", set()), ("huggingface", {".gitattributes"}),
                         ("zenodo", {".zenodo.json"})):
        out = tmp_path / layout
        assert publish(tested, out, "--layout", layout, "--title", "Foxes").returncode == 0
        files = {"best.pt", "README.md", "config.yaml", "CITATION.cff", "LICENSE", "SHA256SUMS"}
        assert {path.name for path in out.iterdir()} == files | more
        lines = (out / "SHA256SUMS").read_text().splitlines()
        sums = {line[66:]: line[:64] for line in lines if line[64:66] == "  "}
        assert len(sums) == len(lines) and set(sums) == files - {"SHA256SUMS"} | more
        for name, digest in sums.items():
            assert hashlib.sha256((out / name).read_bytes()).hexdigest() == digest
        assert (out / "CITATION.cff").read_bytes() == (ROOT / "CITATION.cff").read_bytes()
        assert "https://creativecommons.org/licenses/by/4.0/" in (out / "LICENSE").read_text()
    card = (tmp_path / "plain/README.md").read_text(encoding="utf-8")
    unseen = report["locations"]["unseen"]
    assert (f"| unseen locations | 6 | {unseen['mean_iou']:.3f} | "
            f"{unseen['foreground_iou']:.3f} |") in card
    assert all(f"| {name} | {row['iou']:.3f} |" in card for name, row in report["classes"].items())
    assert "| train | 18 | 3 | 9 |" in card and "The photos are of 5 locations." in card
    validation = report["find_animals"]["validation"][0]
    assert f"| {validation['found']} of {validation['with_animals']} |" in card
    assert "Our own photos; ask for them." in card and "[CC-BY-4.0](https://" in card
    versions = [f"python {platform.python_version()}", f"torch {version('torch')}",
                f"numpy {version('numpy')}", f"pillow {version('pillow')}"]
    assert all(re.search(rf"\b{re.escape(text)}(,|\.?\s)", card) for text in versions), card
    # Hugging Face: what its own reader makes of it was compared once; here that it is the same.
    text = (tmp_path / "huggingface/README.md").read_text(encoding="utf-8")
    _, front, rest = text.split("---\n", 2)
    facts = yaml.safe_load(front)
    assert rest.strip() == card.strip() and facts["license"] == "cc-by-4.0"
    assert facts["pipeline_tag"] == "image-segmentation"
    (index,) = facts["model-index"]
    (result,) = index["results"]
    assert index["name"] == "Foxes" and result["dataset"]["split"] == "test"
    scores = {metric["type"]: metric["value"] for metric in result["metrics"]}
    assert scores == {key: pytest.approx(unseen[key], abs=5e-5) for key in scores}
    assert set(scores) == {"mean_iou", "foreground_iou"}
    deposit = json.loads((tmp_path / "zenodo/.zenodo.json").read_text(encoding="utf-8"))
    assert deposit["title"] == "Foxes" and deposit["license"] == "CC-BY-4.0"
    assert deposit["version"] == report["weights_sha256"][:8]
    assert deposit["creators"] == [{"name": "The Camera Trapinator developers"}]
    assert {item["identifier"] for item in deposit["related_identifiers"]} == {
        "10.1007/978-3-319-24574-4_28", "https://example.org/foxes"}


def test_the_lines_of_the_card_predict(tested, data_root, tmp_path, monkeypatch):
    assert publish(tested, tmp_path / "out").returncode == 0
    card = (tmp_path / "out/README.md").read_text(encoding="utf-8")
    shell, notebook = re.findall(r"^```(?:bash|python)\n(.*?)^```", card, flags=re.M | re.S)
    check, install, line = shell.splitlines()
    subprocess.run(check.split(), cwd=tmp_path / "out", check=True)
    assert install == ('pip install --src . -e "git+https://example.org/foxes@v1.2'
                       '#egg=camera-trapinator"')
    card_of(tmp_path / "out/PHOTOS", data_root)
    python, script, *arguments = line.split()
    assert (python, script) == ("python", "camera-trapinator/scripts/test.py")
    result = run_script("test.py", *arguments, cwd=tmp_path / "out")
    assert result.returncode == 0 and "2 photos: " in result.stdout, result.stderr
    shutil.copy(tmp_path / "out/PHOTOS/site0/IMG_0001.JPG", tmp_path / "out/photo.jpg")
    monkeypatch.chdir(tmp_path / "out")
    names: dict = {}
    exec(notebook, names)
    assert names["mask"].shape == (48, 64) and names["mask"].any()


@pytest.mark.long
def test_the_lines_of_the_card_as_they_stand(tested, data_root, tmp_path):
    """In an environment and a home folder of their own, with the code out of a git repository."""
    def git(*words):
        subprocess.run(["git", "-C", str(tmp_path / "code"), "-c", "user.name=a", "-c",
                        "user.email=a@example.org", *words], check=True)
    for folder in ("camera_trapinator", "scripts", "configs"):
        shutil.copytree(ROOT / folder, tmp_path / "code" / folder)
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, tmp_path / "code")
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "all")
    git("tag", "v1.2")
    told = [*TOLD, "--repository", (tmp_path / "code").as_uri()]
    result = publish(tested, tmp_path / "out", told=told)
    assert result.returncode == 0, result.stderr
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    binaries = tmp_path / "env/bin"
    (library,) = (tmp_path / "env/lib").glob("python*/site-packages")
    (library / "torch.pth").write_text(str(Path(torch.__file__).parents[1]))
    (binaries / "pip").write_text('#!/bin/sh\nexec python -m pip "$@"\n')
    (binaries / "pip").chmod(0o755)
    card_of(tmp_path / "out/PHOTOS", data_root)
    (shell,) = re.findall(r"^```bash\n(.*?)^```", (tmp_path / "out/README.md").read_text(),
                          flags=re.M | re.S)
    (tmp_path / "home").mkdir()
    subprocess.run(["bash", "-e", "-c", shell], cwd=tmp_path / "out", check=True, env={
        "PATH": f"{binaries}:/usr/bin:/bin", "HOME": str(tmp_path / "home"), "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0", "CUDA_VISIBLE_DEVICES": ""})
    assert (tmp_path / "out/RESULTS/predictions.csv").exists()


def test_a_regression_and_an_old_checkpoint(own, tmp_path):
    root = make_distances(tmp_path / "distances")
    result = run_script("train.py", "--config", ROOT / "configs/unet.yaml", "--run", "near",
                        *knobs(root), "epochs=1", runs=own)
    assert result.returncode == 0, result.stderr
    assert run_script("test.py", "--run", "near", runs=own).returncode == 0
    result = publish(own, tmp_path / "near", "--layout", "huggingface", run="near")
    assert result.returncode == 0, result.stderr
    card = (tmp_path / "near/README.md").read_text(encoding="utf-8")
    assert "distance (m)" in card and ".values()" in card and "pipeline_tag" not in card
    report = json.loads((own / "near/test/report.json").read_text())
    assert f"| {report['locations']['unseen']['mae']:.3f} |" in card
    assert "Worst of 1 test locations, RMSE" in card
    change(own / "shapes", learned_from=None, thresholds=None, temperature=None, values=None)
    result = publish(own, tmp_path / "old", "--locations", "hash")
    assert result.returncode == 0, result.stderr
    learned = Learned.of("it", load_checkpoint(tmp_path / "old/best.pt"))
    assert learned.knows_location("site0") and learned.unknown == {"an earlier model"}


# ------------------------------------------------------------------------- what it does not give


@pytest.mark.parametrize("layout, locations", [("huggingface", "drop"), ("zenodo", "hash")])
def test_nothing_of_what_was_planted_is_in_any_file(own, tmp_path, layout, locations):
    plant(own / "shapes")
    result = publish(own, tmp_path / "out", "--layout", layout, "--locations", locations)
    assert result.returncode == 0, result.stderr
    for knob in PLANTED:
        assert knob in result.stdout.split("left out    knobs: ")[1].splitlines()[0].split(", ")
    planted = ["zyx", "secret_", "/home/", "Users", "100RECNX", "IMG_0001", *map("site{}".format,
               range(5)), str(own), str(Path.home()), str(ROOT)]
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(files) == 7
    for path in files:  # torch packs without compression
        content = path.read_bytes()
        assert [word for word in planted if word.encode() in content] == [], path.name
    card = (tmp_path / "out/README.md").read_text(encoding="utf-8")
    assert "1 pair of near-duplicates in two splits" in card and "count as seen" in card
    assert "what an earlier model learned from is not known" in card
    assert "began with the weights of another model" in card and "a teacher" in card
    assert "torch 2.15.0, numpy 2.4.6." in card


@pytest.mark.parametrize("words", ["photos of Site0", "see /home/ann/x", "as site3/a", "`site0`",
                                   "IMG_0001.JPG", r"D:\Users\ann", "s&#105;te0", "s\\ite0"])
def test_what_would_be_given_away_is_named_and_nothing_is_written(tested, tmp_path, words):
    line = error_line(publish(tested, tmp_path / "sub/out", "--data", words))
    assert "not published: README.md would name" in line and "--data" in line
    assert list((tmp_path / "sub").iterdir()) == []


def test_names_that_stand_everywhere_are_told_or_passed_over():
    secrets = Secrets({"Camera", "12", "al", "north/ridge", "Bär"}, {"a/IMG 1.jpg", "b/photo.jpg"},
                      ["/data", "x"], "a camera-trap photo.jpg")
    assert secrets.told == ["Camera"]
    assert list(secrets.found_in("12 al camera photo.jpg northern ridges metadata/data2")) == []
    for text, found in (("the RIDGE.", "ridge"), ("(ba\u0308r)", "Bär"), ("IMG 1.JPG", "img 1.jpg"),
                        ("in /data/b", "/data"), ("B&auml;r", "Bär")):
        assert any(found in fault for fault in secrets.found_in(text)), text


def test_the_note_of_a_report_loses_its_names_only():
    assert nameless("") == ""
    assert nameless("3 locations in train and in another split, such as x; 2 pairs of "
                    "near-duplicates in two splits, such as a b (train) and c (test); the scores "
                    "are too good") == (
        "3 locations in train and in another split; 2 pairs of near-duplicates in two splits; the "
        "scores are too good")


def test_each_knob_of_free_text_is_left_out_unless_somebody_has_looked_at_it():
    """Whoever adds one says here whether it can name a place, a file or a run."""
    named = {"data_root", "weights", "class_weights", "device", "num_workers", "min_confidence",
             "manifest", "quantity", "strips", "splits_file", "fold", "test_from", "network",
             "difficulty", "teacher", "cache", "deployments_file", "project_file", "outputs",
             "people_classes", "people_file", "sensitive_species"}
    values = {}
    for name, value in vars(Config()).items():
        if isinstance(value, str) and not Config.__dataclass_fields__[name].metadata["choices"]:
            values[name] = "something else"
        elif isinstance(value, tuple) and (not value or isinstance(value[0], str)):
            values[name] = ("something else",)
    assert set(values) == named
    assert set(left_out_of(Config(**values))) == named - set(SAYS_NOTHING)


# ------------------------------------------------------ what is not known is not told as if it were


def test_a_run_without_run_json_does_not_tell_its_packages():
    assert "versions of the packages that it was trained with are not known" in _packages({})


def test_reports_tell_what_is_known_of_the_locations(tested, data_root, tmp_path):
    photos = card_of(tmp_path / "card", data_root)
    for locations, sentence in (
            ("drop", "not known whether it has learned from the 2 locations here: "),
            ("hash", "Of the 2 locations here, by their names, 1 are not among those")):
        folder = tmp_path / locations
        result = publish(tested, folder, "--locations", locations)
        assert ("can be guessed" in result.stdout) == (locations == "hash")
        result = run_script("test.py", "--weights", folder / "best.pt", "--images", photos,
                            "--out", tmp_path / f"{locations} results", "outputs=report")
        assert result.returncode == 0, result.stderr
        said = known(tmp_path / f"{locations} results")
        assert sentence in said and "on 6 photos of unseen locations" in said
        learned = Learned.of("it", load_checkpoint(folder / "best.pt"))
        assert not learned.locations and len(learned.photos) == 18
        assert {f"site{number}" for number in range(9) if learned.knows_location(
            f"site{number}")} == (TRAINED if locations == "hash" else set())


def test_a_run_that_goes_on_from_it_is_warned(tested, data_root, tmp_path):
    """Its test is a location that the published model has learned from."""
    rows = [f"{path.relative_to(data_root).as_posix()},{split}" for place, split in (
        ("site0", "test"), ("site1", "val"), *((f"site{number}", "train") for number in (2, 3, 4)))
        for path in sorted((data_root / "photos" / place).rglob("*.JPG"))]
    (tmp_path / "splits.csv").write_text("\n".join(["image,split", *rows]))
    for locations, warning in (("drop", "the published model shapes does not tell what it has "
                                "learned from"),
                               ("hash", "have learned from 1 of the 1 test locations")):
        publish(tested, tmp_path / locations, "--locations", locations)
        result = run_script(
            "train.py", "--config", ROOT / "configs/unet.yaml", "--run", locations,
            f"data_root={data_root}", *QUICK, "epochs=1", "width=8",
            f"weights={tmp_path / locations / 'best.pt'}",
            f"splits_file={tmp_path / 'splits.csv'}", runs=tmp_path / "runs")
        assert result.returncode == 0 and warning in result.stdout, result.stderr
        result = run_script("test.py", "--run", locations, "outputs=csv", runs=tmp_path / "runs")
        report = json.loads((tmp_path / f"runs/{locations}/test/report.json").read_text())
        if locations == "hash":
            assert report["locations"]["seen"]["images"] == 6 and "count as seen" in report["note"]
        else:  # but for the very photos, which are known
            assert "what the published model shapes learned from is not known" in report["note"]
            assert report["locations"]["seen"]["images"] == 6


# ---------------------------------------------------------------------------------- what it refuses


def test_all_that_is_missing_is_asked_for_in_one_go(own, tmp_path):
    shutil.rmtree(own / "shapes/test")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("x")
    line = error_line(publish(own, tmp_path / "out", told=[]))
    for part in ("never tested", "python scripts/test.py --run shapes", "--licence", "--data",
                 "--repository", "is not empty", "--overwrite"):
        assert part in line
    line = error_line(publish(own, tmp_path / "new", "--licence", "GPL", told=TOLD[2:]))
    assert "CC-BY-4.0" in line and "never tested" in line
    line = error_line(publish(own, tmp_path / "new", run="shape"))
    assert "no such run" in line and "shapes" in line
    assert not (tmp_path / "new").exists()


def test_the_test_of_another_checkpoint_does_not_count(own, tmp_path):
    content = load_checkpoint(own / "shapes/best.pt")
    save_checkpoint(own / "shapes/best.pt", {**content, "temperature": 3.0})
    assert "another checkpoint" in error_line(publish(own, tmp_path / "out"))
    (own / "shapes/test/report.json").write_text('{"note": ')
    assert "report.json: cannot be read" in error_line(publish(own, tmp_path / "out"))


def test_a_run_that_somebody_writes_to_is_refused(own, tmp_path):
    with only_one(own / "shapes"):
        line = error_line(publish(tmp_path / "other runs", tmp_path / "out", run=own / "shapes"))
    assert "is writing there" in line and not (tmp_path / "out").exists()


def test_only_its_own_files_are_overwritten(tested, tmp_path):
    out = tmp_path / "out"
    assert publish(tested, out, "--layout", "zenodo").returncode == 0
    assert "is not empty" in error_line(publish(tested, out))
    assert publish(tested, out, "--overwrite").returncode == 0
    assert not (out / ".zenodo.json").exists() and (out / "best.pt").exists()
    (out / "notes.txt").write_text("mine")
    assert "notes.txt" in error_line(publish(tested, out, "--overwrite"))
    assert (out / "notes.txt").exists() and {path.name for path in tmp_path.iterdir()} == {"out"}
    line = error_line(publish(tested, tested / "shapes/published"))
    assert "lies in the run" in line


def test_a_full_disk_leaves_what_was_there(tested, tmp_path, monkeypatch):
    told = Told("CC-BY-4.0", "ours", repository="https://example.org/foxes", code="v1")
    list(publishing.publish(tested / "shapes", tmp_path / "out", told))
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    def full(folder):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
    monkeypatch.setattr(publishing.layouts, "checksums", full)
    for out in ("out", "new"):
        with pytest.raises(OSError, match="No space"):
            list(publishing.publish(tested / "shapes", tmp_path / out, told, overwrite=True))
    assert {path.name for path in tmp_path.iterdir()} == {"out"}
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_placeholders_in_the_citation_are_told(tested, tmp_path):
    result = publish(tested, tmp_path / "out", "--licence", "https://example.org/terms",
                     "--layout", "zenodo")
    assert "The Camera Trapinator developers" in result.stdout and "your own names" in result.stdout
    assert "names no licence" in result.stdout
    people = [{"family-names": "Veen", "name-particle": "van der", "given-names": "Ann",
               "orcid": "https://orcid.org/0000-0002-1825-0097", "affiliation": "Fox Institute"},
              {"name": "The Fox Group"}]
    assert publishing.layouts.creators({"authors": people}) == [
        {"name": "van der Veen, Ann", "affiliation": "Fox Institute",
         "orcid": "0000-0002-1825-0097"}, {"name": "The Fox Group"}]
    assert list(publishing.layouts.warnings_of({"authors": people})) == []
    (tmp_path / "CITATION.cff").write_text("title: x\n")
    with pytest.raises(InputError, match="names no authors"):
        publishing.layouts.read_citation(tmp_path / "CITATION.cff")
