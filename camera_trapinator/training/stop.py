"""A run that is told to stop: it finishes its step, writes a checkpoint, and leaves."""

import signal
import sys
import time

from .. import STOP_SIGNALS
from .processes import Processes

STOPPED = 75  # exit code of a run that was stopped and can go on (EX_TEMPFAIL of sysexits.h)
ASK_EACH_OTHER = 10  # steps after which processes agree on whether to stop


class Stopped(Exception):
    """Somebody wants the run to stop."""


class Stop:
    """Notes, while it is entered, when somebody wants the run to stop: one of the STOP_SIGNALS.
    What runs goes on until it asks; a second Ctrl-C stops it all the same."""

    def __init__(self, minutes: float = 0, processes: "Processes | None" = None):
        self.asked, self.minutes = False, minutes  # between two checkpoints; 0 = none in between
        self.processes = processes or Processes()
        self._saved = time.monotonic()

    def __enter__(self) -> "Stop":
        self._before = {number: signal.signal(number, self._note) for number in STOP_SIGNALS}
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = True

    def due(self, step: int = 0) -> bool:
        """Whether it is time to write a checkpoint: after the same step in all processes, which
        therefore ask each other now and then."""
        if self.processes.size > 1 and step % ASK_EACH_OTHER:
            return False
        over = 0 < 60 * self.minutes <= time.monotonic() - self._saved
        asked, over = self.processes.any(self.asked, over)
        return self._agree(asked) or over

    def saved(self) -> None:
        """A checkpoint is written: leave if somebody wants that, in all processes or in none."""
        self._saved = time.monotonic()
        if self.agreed():
            self.leave()

    def agreed(self) -> bool:
        """Whether somebody wants the run to stop; the same answer in all processes."""
        [asked] = self.processes.any(self.asked)
        return self._agree(asked)

    def _agree(self, asked: bool) -> bool:
        if asked:  # never set to False: a signal may have come while the others were asked
            self.asked = True
        return asked

    def leave(self) -> None:
        """End this process with the exit code STOPPED."""
        if self.processes.leads:
            print("stopped; the same command with --resume goes on", file=sys.stderr)
        sys.exit(STOPPED)
