"""Camera Trapinator: a U-Net that segments animals in camera-trap photos."""

from .data.files import written_whole
from .utils import IGNORE, STOP_SIGNALS, InputError

__version__ = "0.1.0"

__all__ = ["IGNORE", "STOP_SIGNALS", "InputError", "written_whole"]
