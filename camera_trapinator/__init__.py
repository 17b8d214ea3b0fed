"""Camera Trapinator: a U-Net that segments animals in camera-trap photos."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__version__ = "0.1.0"

IGNORE = 255  # mask value of pixels that count in no loss and no metric
# By these a process is told to stop: Ctrl-C, and the last two, with which clusters announce that
# they take the machine away. Windows has no SIGUSR1.
STOP_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1")
                if hasattr(signal, name)]


class InputError(ValueError):
    """Something the user gave is wrong. Its message is one line: file, row or key, value, cure.

    The scripts print that line and exit with code 2 (see `utils.exit_on_bad_input`); every other
    exception is a bug of ours and keeps its traceback.
    """


@contextmanager
def written_whole(path: str | Path, by_many: bool = False) -> Iterator[Path]:
    """A temporary path beside `path`, moved there when the block ends without an error.

    So nobody ever takes half a file for a whole one. Missing folders are made. `by_many`: several
    processes may write the file at once; the last one wins. Raises OSError, with the path.
    """
    path = Path(path)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp" if by_many else f"{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)  # left by a kill, or a link to somewhere else
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        error.filename = error.filename or str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)
