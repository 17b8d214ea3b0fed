"""Exported files: what stands in them, and what is refused."""

import json
import sys
from pathlib import Path

import pytest
import torch
from small_networks import random_photo, small_unet

from camera_trapinator import InputError
from camera_trapinator.config import Config
from camera_trapinator.data.learned import Learned
from camera_trapinator.export.metadata import KEY, as_text, describe
from camera_trapinator.export.runtime import ExportedModel
from camera_trapinator.model import SegmentationModel
from camera_trapinator.training.checkpoint import load_checkpoint, save_checkpoint
from camera_trapinator.training.slim import slim_checkpoint

sys.path.insert(0, str(Path(__file__).parent))
from exported import metadata_of, needs_onnx  # noqa: E402

needs_onnx()

import onnx  # noqa: E402

from camera_trapinator.export import onnx_files  # noqa: E402
from camera_trapinator.export.onnx_files import write_onnx  # noqa: E402


def test_a_file_holds_the_classes_and_the_sizes_and_is_sound(tmp_path):
    net = small_unet()
    write_onnx(net, tmp_path / "net.onnx", metadata_of(net, tmp_path))
    model = onnx.load(tmp_path / "net.onnx")
    onnx.checker.check_model(model, full_check=True)
    told = json.loads({entry.key: entry.value for entry in model.metadata_props}[KEY])
    assert [name for name, _ in told["classes"]] == ["background", "fox", "snow hare"]
    assert told["licence"] == "CC0-1.0" and told["kind"] == "fp32" and told["canvas"] is None
    assert told["mean"] == [124, 116, 104] and told["stride"] == 4 and told["working_scale"] == 32
    photo, = model.graph.input
    sizes = [size.dim_param or size.dim_value for size in photo.type.tensor_type.shape.dim]
    assert sizes == [1, 3, "height", "width"]


def test_half_precision_is_half_the_size_and_nearly_the_same(tmp_path):
    net = small_unet(width=16)
    for kind in ("fp32", "fp16"):
        write_onnx(net, tmp_path / f"{kind}.onnx", metadata_of(net, tmp_path, kind=kind))
    sizes = [(tmp_path / f"{kind}.onnx").stat().st_size for kind in ("fp32", "fp16")]
    assert sizes[1] < 0.6 * sizes[0]
    photo = random_photo(24, 32)
    half, whole = (ExportedModel(tmp_path / f"{kind}.onnx").predict(photo)
                   for kind in ("fp16", "fp32"))
    assert 0 < (half.logits - whole.logits).abs().max() < 0.02 * whole.logits.abs().max()


def test_nothing_private_stands_in_a_file(tmp_path):
    """Names of places, photos and folders, planted wherever a checkpoint has room for them."""
    net, run = small_unet(), tmp_path / "my run"
    home = "/home" + "/ann"
    config = Config(data_root=f"{home}/lynx den", splits_file="lynx den.csv",
                    people_file=f"{home}/people.csv", teacher="lynx den run")
    learned = Learned({"lynx den"}, {1, 2}, {"lynx den run"})
    save_checkpoint(run / "best.pt", {
        "model_arguments": net.arguments, "model": net.state_dict(), "config": "task: lynx den",
        "classes": [["background", [0, 0, 0]], ["fox", [1, 2, 3]], ["deer", [4, 5, 6]]],
        "learned_from": learned.as_plain(), "training": {"run": "lynx den"},
        "history": [{"epoch": 1, "mean_iou": 0.5, "foreground_iou": 0.5}]})
    slim = slim_checkpoint(load_checkpoint(run / "best.pt"), config)
    write_onnx(net, run / "net.onnx", describe(net, run / "best.pt", slim))
    content = (run / "net.onnx").read_bytes()
    assert b"foreground_iou" in content and b"my run" in content  # the metadata are there
    for secret in ("lynx den", "/home", "ann/", str(tmp_path), str(Path(__file__).parents[2])):
        assert secret.encode() not in content


@pytest.mark.parametrize("damage, named", [
    (lambda content: content[:len(content) // 2], "cannot be opened as a model"),
    (lambda content: b"", "cannot be opened as a model"),
    (lambda content: b"a photo, perhaps" * 99, "cannot be opened as a model"),
])
def test_a_damaged_file_is_refused_in_a_line(damage, named, tmp_path):
    net, path = small_unet(), tmp_path / "net.onnx"
    write_onnx(net, path, metadata_of(net, tmp_path))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=named) as raised:
        ExportedModel(path)
    assert "\n" not in str(raised.value) and "net.onnx" in str(raised.value)


def test_a_file_of_others_or_of_a_later_version_is_refused(tmp_path):
    net, path = small_unet(), tmp_path / "net.onnx"
    metadata = metadata_of(net, tmp_path)
    write_onnx(net, path, metadata)
    model = onnx.load(path)
    for text, named in (("", "no model that Camera Trapinator"), ("[1]", "no model that Camera"),
                        (as_text({**metadata, "format": 2}), "exported by another version")):
        onnx.helper.set_model_props(model, {KEY: text})
        onnx.save(model, path)
        with pytest.raises(InputError, match=named):
            ExportedModel(path)
    with pytest.raises(InputError, match="neither .onnx nor .pte.*--weights"):
        ExportedModel(tmp_path / "best.pt")


def test_missing_packages_are_told_with_their_cure(tmp_path, monkeypatch):
    net = small_unet()
    write_onnx(net, tmp_path / "net.onnx", metadata_of(net, tmp_path))
    monkeypatch.setattr(onnx_files, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"onnx: pip install -e '\.\[export\]'"):
        write_onnx(net, tmp_path / "other.onnx", metadata_of(net, tmp_path))
    with pytest.raises(InputError, match=r"onnxruntime: pip install"):
        ExportedModel(tmp_path / "net.onnx")


class Odd(SegmentationModel):
    """A layer that the format does not have."""

    def __init__(self):
        super().__init__(32)

    def forward(self, images):
        return torch.special.bessel_j0(self.prepare(images))


def test_a_network_that_cannot_be_written_is_told(tmp_path):
    net = Odd()
    with pytest.raises(InputError, match="Odd: cannot be written as .onnx.*bessel"):
        write_onnx(net, tmp_path / "net.onnx", metadata_of(net, tmp_path))
    assert not (tmp_path / "net.onnx").exists()
