"""Camera Trapinator: a U-Net that segments animals in camera-trap photos."""

__version__ = "0.1.0"

IGNORE = 255  # mask value of pixels that count in no loss and no metric


class InputError(ValueError):
    """Something the user gave is wrong. Its message is one line: file, row or key, value, cure.

    The scripts print that line and exit with code 2 (see `utils.exit_on_bad_input`); every other
    exception is a bug of ours and keeps its traceback.
    """
