"""The network of configs/phone.yaml is small enough for a phone."""

import pytest
import torch

from camera_trapinator.config import parse_config
from camera_trapinator.export.targets import File, write_file
from camera_trapinator.model import EncoderUNet
from camera_trapinator.utils import ROOT

for package in ("onnx", "onnxruntime"):
    pytest.importorskip(package, reason=f"needs {package}: pip install -e '.[export]'")


def test_the_int8_file_of_a_phone_is_below_8_megabytes(tmp_path):
    text = (ROOT / "configs/phone.yaml").read_text(encoding="utf-8")
    config = parse_config(text, "phone.yaml")
    assert config.working_scale == 320
    net = EncoderUNet(21, config.working_scale, config.encoder, config.width, config.norm)
    metadata = {"canvas": None, "stride": net.stride, "mean": [124, 116, 104], "classes": []}
    photos = [torch.randint(0, 256, (3, 64, 96), dtype=torch.uint8)]
    write_file(File("int8", ".onnx"), net, tmp_path / "phone.onnx", metadata, photos)
    assert (tmp_path / "phone.onnx").stat().st_size < 8e6
