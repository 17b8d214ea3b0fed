"""Camera Trapinator: a U-Net that segments animals in camera-trap photos."""

from .utils import IGNORE, STOP_SIGNALS, InputError, written_whole

__version__ = "0.1.0"

__all__ = ["IGNORE", "STOP_SIGNALS", "InputError", "written_whole"]
