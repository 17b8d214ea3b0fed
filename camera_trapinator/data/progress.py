"""Long work shows itself: in a terminal a bar with the time left, in a log file a line a minute.

    for photo in progress(photos, "reading"):
        ...

    reading     1,200 of 5,000 photos, 12 photos/s, 5 minutes left

Short work shows nothing. Bars are drawn on stderr; where that is no terminal, lines are printed on
stdout instead, the environment variable CAMERA_TRAPINATOR_LOG_SECONDS apart. Of several processes
only the one that leads shows anything, see `hide`. What is printed while a bar is there stands
above it.
"""

import math
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from tqdm import tqdm

from .. import InputError

LOG_SECONDS = "CAMERA_TRAPINATOR_LOG_SECONDS"  # from one line to the next, 60 unless it is set
SHORT = 1  # seconds that a bar waits: most work is done by then
BAR_SECONDS = 0.1  # from one drawing of a bar to the next
NOTE_SECONDS = 1  # between two looks at what else it tells, for which a GPU may have to wait
clock = time.monotonic

_hidden = False
_name: ContextVar[str] = ContextVar("name", default="")
_bars: list[tqdm] = []  # those that are open


def progress(items: Iterable, what: str, total: int | None = None, unit: str = "photos",
             initial: int = 0, note: Callable[[int], str] | None = None) -> Iterator:
    """The items, while it is shown how many of them are done and how long the others will take.

    `what` is done with them, in a word; `total`: how many there are, by default their len(), None
    where nobody knows; `unit`: what they are, in the plural; `initial`: how many were done before,
    of the total; `note(done)`: what else is to be told, asked once a second or once a line. Costs a
    fraction of a microsecond an item.
    """
    if total is None and hasattr(items, "__len__"):
        total = initial + len(items)
    with Progress(what, total, unit, initial, note) as shown:
        for item in items:
            if clock() >= shown.due:  # here, so that after the last item nothing is left to tell
                shown.tell()
            yield item
            shown.done += 1


class Progress:
    """The same for work that is no loop over items: `with Progress("looking") as shown`, and in it
    `shown.count()` for each item."""

    def __init__(self, what: str, total: int | None = None, unit: str = "photos", initial: int = 0,
                 note: Callable[[int], str] | None = None):
        self.what, self.total, self.unit = _name.get() or what, total, unit
        self.done, self.note = initial, note
        self._each, self._bar = _seconds_between_lines(), None

    def __enter__(self) -> "Progress":
        self._start = now = clock()
        # The speed is that since the line before the last: the first photos may have been known.
        self._marks = deque([(now, self.done)], maxlen=2)
        self.due = now + self._each  # when it is time to tell how far it is
        if _hidden:
            self.due = math.inf
        elif _is_terminal(sys.stderr):
            stream = sys.stderr.stream if isinstance(sys.stderr, _Above) else sys.stderr
            self._bar = tqdm(desc=self.what, total=self.total, unit=f" {self.unit}", leave=False,
                             initial=self.done, dynamic_ncols=True, delay=SHORT, mininterval=0,
                             miniters=0, file=stream)
            _bars.append(self._bar)
            _print_above_bars()
            self.due, self._note_due = now + BAR_SECONDS, now
        return self

    def count(self, number: int = 1) -> None:
        """So many more are done."""
        self.done += number
        if clock() >= self.due:
            self.tell()

    def tell(self) -> None:
        """Tell how far it is."""
        now = clock()
        if self._bar is None:
            print(self._line(now), flush=True)
            self._marks.append((now, self.done))
            self.due = now + self._each
            return
        if self.note and now >= self._note_due:
            self._bar.set_postfix_str(self.note(self.done), refresh=False)
            self._note_due = now + NOTE_SECONDS
        self._bar.update(self.done - self._bar.n)
        self.due = now + BAR_SECONDS

    def _line(self, now: float) -> str:
        of_all = "" if self.total is None else f" of {self.total:,}"
        parts = [f"{self.what:<11} {self.done:,}{of_all} {self.unit}"]
        then, done = self._marks[0]
        if self.done > done:
            speed = (self.done - done) / (now - then)
            parts.append(_speed(speed, self.unit))
            if self.total is not None:
                parts.append(f"{duration((self.total - self.done) / speed)} left")
        return ", ".join(parts) + (f"; {self.note(self.done)}" if self.note else "")

    def __exit__(self, kind: type | None, *_) -> None:
        if self._bar is not None:
            self._bar.close()
            _bars.remove(self._bar)
            _print_above_bars()
        elif kind is None and not _hidden and (took := clock() - self._start) >= self._each:
            print(f"{self.what:<11} {self.done:,} {self.unit} in {duration(took)}", flush=True)


@contextmanager
def named(what: str) -> Iterator[None]:
    """Within, all work is shown under this name: who asks for it knows better what it is for."""
    token = _name.set(what)
    try:
        yield
    finally:
        _name.reset(token)


def hide() -> None:
    """Show nothing in this process: another one leads."""
    global _hidden
    _hidden = True


def duration(seconds: float) -> str:
    """A time for people: 8.4 s, 12 minutes, 3.5 hours, 4 days."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.2g} {unit}" if seconds < 10 * size else (
                f"{seconds / size:.0f} {unit}")
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"


def _speed(speed: float, unit: str) -> str:
    if speed < 1:
        return f"{60 * speed:.2g} {unit}/minute"
    return f"{speed:,.0f} {unit}/s" if speed >= 10 else f"{speed:.1f} {unit}/s"


def _seconds_between_lines() -> float:
    text = os.environ.get(LOG_SECONDS, "60")
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not seconds > 0:
        raise InputError(f"{LOG_SECONDS}: {text!r} is no number of seconds above 0, such as 600 "
                         "for a line every ten minutes")
    return seconds


# ---------------------------------------------------------------------- prints beside an open bar


class _Above:
    """A stream of the terminal whose lines come to stand above the bars that are open."""

    def __init__(self, stream):
        self.stream, self._held = stream, ""

    def write(self, text: str) -> int:
        *lines, self._held = f"{self._held}{text}".split("\n")
        if lines:
            self._put("".join(f"{line}\n" for line in lines))
        return len(text)

    def _put(self, text: str) -> None:
        with tqdm.get_lock():
            shown = [bar for bar in _bars if bar.last_print_t >= bar.start_t + bar.delay]
            for bar in shown:
                bar.clear(nolock=True)
            self.stream.write(text)
            self.stream.flush()
            for bar in shown:
                bar.refresh(nolock=True)

    def release(self):
        """The stream itself, with what was written and ended no line."""
        self.stream.write(self._held)
        return self.stream

    def __getattr__(self, name: str):
        return getattr(self.stream, name)


def _print_above_bars() -> None:
    """Let what is printed stand above the bars, as long as there is one."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if _bars and not isinstance(stream, _Above) and _is_terminal(stream):
            setattr(sys, name, _Above(stream))
        elif not _bars and isinstance(stream, _Above):
            setattr(sys, name, stream.release())


def _is_terminal(stream) -> bool:
    return hasattr(stream, "isatty") and stream.isatty()
