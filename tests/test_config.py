"""The configs: typed, checked, and helpful about mistakes."""

import dataclasses
import os
import re
from pathlib import Path

import pytest
import yaml

from camera_trapinator import InputError
from camera_trapinator.config import (
    SUCCESSORS,
    Config,
    config_text,
    load_config,
    no_longer_so,
    parse_config,
)
from camera_trapinator.training.run import find_state
from camera_trapinator.utils import ROOT


def test_unet_yaml_names_every_knob_at_its_default():
    path = ROOT / "configs" / "unet.yaml"
    written = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    assert list(written) == [field.name for field in dataclasses.fields(Config)]
    assert load_config(path) == parse_config("", "defaults")


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda p: p.name)
def test_every_config_loads(path):
    load_config(path)


def test_unet_yaml_says_of_every_knob_what_it_is_and_when_to_touch_it():
    everyday, expert = (ROOT / "configs/unet.yaml").read_text(encoding="utf-8").split(
        "# ======== EXPERT ========")
    for part, most in ((everyday, 40), (expert, 99)):
        entries = re.split(r"^(?=\w+:)", part, flags=re.MULTILINE)[1:]
        assert len(entries) <= most
        for entry in entries:
            assert re.search(r"#.{8,}-> .{5,}", entry, flags=re.DOTALL), entry


def test_a_key_that_is_gone_tells_its_successor():
    for key in SUCCESSORS:
        with pytest.raises(InputError, match=f"^command line: the key {key} is gone: "):
            parse_config("", "x.yaml", [f"{key}=1"])


def test_the_config_of_an_older_run_is_read_as_one_of_today():
    old = ("folds: 5\nfold: 2\ninit_from: first\nweights: imagenet\ndifficulty: loss\n"
           "difficulty_run: second\ncache: disk\ncache_gb: 50.0\nmomentum: 0.9\n"
           "dry_run: false\noverfit_one_batch: false\ntemperature: 2.0\nfreeze_norm: false\n")
    config = parse_config(old, "x.yaml", stored=True)
    assert (config.fold, config.weights, config.difficulty, config.cache) == (
        "3/5", "first", "second", "disk 50.0")
    plain = ("folds: 0\nfold: 0\ninit_from: ''\ndifficulty: photo\ndifficulty_run: ''\n"
             "cache: ram\ncache_gb: 8.0\n")
    config = parse_config(plain, "x.yaml", stored=True)
    assert config == parse_config("cache: ram 8.0", "x.yaml")


def test_an_older_run_that_cannot_go_on_to_the_same_bits_does_not(tmp_path):
    (tmp_path / "last.pt").touch()
    for line in ("momentum: 0.8", "temperature: 3.0", "freeze_norm: true"):
        (tmp_path / "config.yaml").write_text(line)
        with pytest.raises(InputError, match=f"started with {line}, a knob that is gone"):
            find_state(tmp_path, parse_config("", "x"), resume=True)
        assert parse_config(line, "x", stored=True) == parse_config("", "x")  # it still predicts
    assert no_longer_so("momentum: 0.9\ntemperature: 2.0\nfreeze_norm: false\n", "x") == []


def test_a_key_that_is_no_text_is_one_line():
    for text in ("? [a, b]\n: 1\n", "? {a: b}\n: 1\n"):
        with pytest.raises(InputError, match="^x.yaml"):
            parse_config(text, "x.yaml")


def test_a_damaged_fold_of_an_older_run_is_one_line():
    with pytest.raises(InputError, match="fold: 'second' should be i/n"):
        parse_config("folds: 5\nfold: second\n", "x.yaml", stored=True)


def test_a_key_given_twice_is_an_error():
    with pytest.raises(InputError, match="x.yaml, line 3: .*the key epochs is given twice"):
        parse_config("epochs: 3\nwidth: 8\nepochs: 4\n", "x.yaml")


def test_values_take_the_type_of_their_knob():
    config = parse_config("learning_rate: 1e-3\ncrop_size: [96, 128]\ncompile: yes\n", "x.yaml",
                          ["data_root=0012", "outputs=masks, csv", "epochs=1e1"])
    assert config.learning_rate == 0.001
    assert config.crop_size == (96, 128)
    assert config.compile is True
    assert config.data_root == "0012"  # plain YAML makes it the number 10
    assert config.outputs == ("masks", "csv")
    assert config.epochs == 10


def test_overrides_win_and_are_parsed_alike():
    assert parse_config("epochs: 3", "x.yaml", ["epochs=4", "epochs=5"]).epochs == 5


def test_data_root_is_expanded(monkeypatch):
    monkeypatch.setenv("PHOTOS", "/somewhere")
    assert parse_config("data_root: $PHOTOS/serengeti", "x").data_root == "/somewhere/serengeti"
    home = parse_config("data_root: ~/serengeti", "x").data_root
    assert home == str(Path.home() / "serengeti")
    with pytest.raises(InputError, match="NOT_SET"):
        parse_config("data_root: $NOT_SET/serengeti", "x")


def test_dice_refuses_class_weights():
    with pytest.raises(InputError, match="dice knows no class weights"):
        parse_config("loss: dice\nclass_weights: balanced", "x")


def test_a_curriculum_by_loss_needs_an_earlier_run():
    with pytest.raises(InputError, match="difficulty: .* needs that run: write difficulty: RUN"):
        parse_config("", "x", ["start_fraction=0.5", "difficulty=loss"])
    assert parse_config("", "x", ["difficulty=first"]).difficulty == "first"


def test_config_text_reads_back_to_the_same_config():
    config = parse_config("class_weights: [1, 2.5]\nscale_range: 0.5, 2\ndata_root: 0012", "x")
    assert parse_config(config_text(config), "y") == config


@pytest.mark.parametrize(("line", "message"), [
    ("lerning_rate=1", "unknown key lerning_rate; did you mean learning_rate?"),
    ("epochs=many", "epochs: 'many' should be a whole number"),
    ("epochs=1.5", "epochs: '1.5' should be a whole number"),
    ("epochs=0", "epochs: 0 is outside 1 .. 100000"),
    ("blur=nan", "blur: 'nan' should be a number"),
    ("compile=maybe", "compile: 'maybe' should be true or false"),
    ("loss=dise", "did you mean dice?"),
    ("crop_size=96", "crop_size: 96 should be 2 values"),
    ("epochs=[1, 2]", "should be one value"),
    ("outputs=masks, cvs", "did you mean csv?"),
    ("epochs", "epochs: an override has the form key=value"),
    ("scale_range=[2, 1]", "must go from small to large"),
    ("empty_fraction=-0.5", "empty_fraction: -0.5 is no share"),
    ("learning_rate=0,001", "should be a number; write a dot"),
    ("loss=ce", "did you mean cross_entropy?"), ("optimizer=Adam", "did you mean adamw?"),
    ("size=640x480", "did you mean working_scale?"),
])
def test_mistakes_are_named(line, message):
    with pytest.raises(InputError) as caught:
        parse_config("", "x.yaml", [line])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["[1, 2]", "just text", "a: b: c", "{a: [}", "\tepochs: 1", "? 1"])
def test_what_is_no_config_is_refused_in_one_line(text, tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_config(path)
    assert "x.yaml" in str(caught.value) and "\n" not in str(caught.value)


def test_missing_or_binary_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        load_config(tmp_path / "none.yaml")
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8 text; save it as UTF-8"):
        load_config(tmp_path / "x.yaml")


def test_all_that_is_wrong_is_told_at_once():
    with pytest.raises(InputError) as caught:
        parse_config("epochs: x\nlr: 1\n", "x.yaml", ["width=0", "los=dice", "fold"])
    for part in ("fold: an override", "x.yaml: epochs: 'x'", "unknown key lr", "width: 0 is",
                 "unknown key los"):
        assert part in str(caught.value)
    with pytest.raises(InputError, match="(?s)fold: '2'.*cache: 'tape'.*strips: 'x'"):
        parse_config("fold: 2\ncache: tape\nstrips: x\n", "x.yaml")


@pytest.mark.skipif(os.name == "nt", reason="there it is a path like any other")
def test_a_path_of_windows_is_told_unless_a_checkpoint_holds_it():
    for root in (r"C:\data", "C:/data", r"\\server\data"):
        with pytest.raises(InputError, match="a path of Windows"):
            parse_config(f"data_root: {root}", "x.yaml")
        assert parse_config(f"data_root: {root}", "x", stored=True).data_root == root


@pytest.mark.parametrize(("override", "part"), [
    (["fold=2"], "fold: '2' should be i/n"), (["fold=4/3"], "should be i/n"),
    (["fold=0/3"], "should be i/n"), (["fold=1/1"], "of two at least"),
    (["fold=1/3", "test_from=2024-01-01"], "and so does test_from"),
    (["cache=ram many"], "cache: 'ram many' should be"), (["cache=tape"], "should be ram or disk"),
    (["test_from=2024-1-1"], "no day of the form"), (["test_from=20240101"], "no day of the form"),
])
def test_folds_and_seasons_must_make_sense(override, part):
    with pytest.raises(InputError, match=part):
        load_config(ROOT / "configs/unet.yaml", override)


@pytest.mark.parametrize("text, cure", [
    ("task: regression", "set loss: least_squares, or huber"),
    ("loss: huber", "set task: regression"),
    ("task: regression\nloss: huber\noutputs: [csv, coco]", "masks, overlays, csv"),
    ("task: regression\nloss: huber\nclass_weights: balanced", "class_weights: none"),
])
def test_what_does_not_suit_the_task_is_refused_with_the_cure(text, cure):
    with pytest.raises(InputError, match=cure):
        parse_config(text, "x.yaml")


def test_default_outputs_of_a_regression_are_its_own():
    config = parse_config("task: regression\nloss: huber", "x.yaml")
    assert config.outputs == ("masks", "overlays", "csv")
