"""Maps of numbers are recorded to a 65535th of their range."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from camera_trapinator.outputs.maps import map_record, values_of


def test_a_record_holds_its_map_to_a_65535th():
    values = np.random.default_rng(0).normal(30, 9, (24, 32)).astype(np.float32)
    record = json.loads(json.dumps(map_record("a.jpg", values, width=64, height=48)))
    step = (values.max() - values.min()) / 65535
    assert np.abs(values_of(record) - values).max() <= 0.51 * step + 1e-5
    assert record["median"] == pytest.approx(np.median(values))
    assert Image.open(io.BytesIO(base64.b64decode(record["map"]))).size == (32, 24)
    flat = map_record("a.jpg", np.full((3, 4), 7.5, np.float32), width=4, height=3)
    assert (values_of(flat) == 7.5).all()
