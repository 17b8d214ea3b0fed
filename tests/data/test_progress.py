"""Long work shows itself: lines in a log by a clock that the tests set, bars in a real terminal."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from camera_trapinator import InputError
from camera_trapinator.data import progress as module
from camera_trapinator.data.progress import LOG_SECONDS, Progress, duration, hide, named, progress
from camera_trapinator.utils import ROOT


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """The seconds that have passed, in a list of one; time stands still but for the tests."""
    now = [1000.0]
    monkeypatch.setattr(module, "clock", lambda: now[0])
    monkeypatch.delenv(LOG_SECONDS, raising=False)
    return now


def work(clock: list[float], items, seconds: float) -> None:
    """Spend so many seconds on each item."""
    for _ in items:
        clock[0] += seconds


def test_a_log_has_a_line_a_minute_and_one_in_the_end(clock, capsys):
    work(clock, progress(range(5000), "predicting"), 1 / 16)
    assert capsys.readouterr() == ("""\
predicting  960 of 5,000 photos, 16 photos/s, 4.2 minutes left
predicting  1,920 of 5,000 photos, 16 photos/s, 3.2 minutes left
predicting  2,880 of 5,000 photos, 16 photos/s, 2.2 minutes left
predicting  3,840 of 5,000 photos, 16 photos/s, 72 s left
predicting  4,800 of 5,000 photos, 16 photos/s, 12 s left
predicting  5,000 photos in 5.2 minutes
""", "")


def test_short_work_and_work_that_was_interrupted_say_nothing_of_their_end(clock, capsys):
    work(clock, progress(range(400), "reading"), 1 / 8)  # 50 s
    work(clock, progress([], "reading"), 0.1)
    with pytest.raises(InputError):
        for number in progress(range(1000), "reading"):
            clock[0] += 1 / 8
            if number == 700:
                raise InputError("torn")
    stopped = progress(range(1000), "checking")
    next(stopped)
    clock[0] += 100
    next(stopped)
    stopped.close()
    lines = capsys.readouterr().out.splitlines()
    assert [line[:24] for line in lines] == ["reading     480 of 1,000", "checking    1 of 1,000 p"]


def test_the_time_left_is_that_of_the_speed_of_late(clock, capsys):
    # What is remembered from an earlier start comes at once, and tells nothing of the rest.
    items = progress(range(20_000), "checking")
    for number in items:
        clock[0] += 2**-12 if number < 10_000 else 0.5
    left = [re.search(r"([\d.]+) (minutes|hours) left", line)
            for line in capsys.readouterr().out.splitlines()[2:-1]]
    assert len(left) > 70
    seconds = [float(found[1]) * {"minutes": 60, "hours": 3600}[found[2]] for found in left[:60]]
    true = [5000 - 60 * (number + 3) for number in range(60)]  # the first two lines are cut off
    assert seconds == pytest.approx(true, rel=0.05, abs=61)


def test_totals_that_nobody_knows_resumed_work_slow_work_and_notes(clock, capsys):
    work(clock, progress(iter(range(7)), "looking", unit="folders"), 10)
    work(clock, progress(range(4), "epoch 2/9", total=10, unit="batches", initial=6,
                         note=lambda done: f"loss {done / 10}"), 50)
    assert capsys.readouterr().out == """\
looking     6 folders, 6 folders/minute
looking     7 folders in 70 s
epoch 2/9   8 of 10 batches, 1.2 batches/minute, 100 s left; loss 0.8
epoch 2/9   10 batches in 3.3 minutes
"""


def test_work_within_work_has_lines_of_its_own_and_the_name_that_it_is_done_for(clock, capsys):
    for _ in progress(range(2), "locations", unit="locations"):
        with named("csv"):
            work(clock, progress(range(70), "reading"), 1)
    assert capsys.readouterr().out == """\
csv         60 of 70 photos, 1.0 photos/s, 10 s left
csv         70 photos in 70 s
locations   1 of 2 locations, 0.86 locations/minute, 70 s left
csv         60 of 70 photos, 1.0 photos/s, 10 s left
csv         70 photos in 70 s
locations   2 locations in 2.3 minutes
"""


def test_one_item_that_takes_very_long_is_counted_when_it_is_done(clock, capsys):
    work(clock, progress(range(3), "drawing"), 600)
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["drawing     1 of 3 photos, 0.1 photos/minute, 20 minutes left",
                     "drawing     2 of 3 photos, 0.1 photos/minute, 10 minutes left",
                     "drawing     3 photos in 30 minutes"]


def test_work_that_is_no_loop(clock, capsys):
    with Progress("looking", unit="files") as shown:
        for _ in range(3):
            clock[0] += 25
            shown.count(1000)
    assert capsys.readouterr().out == ("looking     3,000 files, 40 files/s\n"
                                       "looking     3,000 files in 75 s\n")


def test_who_does_not_lead_shows_nothing(clock, capsys, monkeypatch):
    monkeypatch.setattr(module, "_hidden", False)  # and so it is again after the test
    hide()
    work(clock, progress(range(1000), "reading"), 1)
    assert capsys.readouterr() == ("", "")


def test_a_line_comes_as_often_as_is_wanted(clock, capsys, monkeypatch):
    monkeypatch.setenv(LOG_SECONDS, "300")
    work(clock, progress(range(1000), "reading"), 1)
    assert len(capsys.readouterr().out.splitlines()) == 4
    for wrong in ("often", "0", "-1", "nan", ""):
        monkeypatch.setenv(LOG_SECONDS, wrong)
        with pytest.raises(InputError, match=f"{LOG_SECONDS}: '{wrong}' is no number of seconds"):
            next(progress(range(3), "reading"))


def test_an_item_costs_next_to_nothing():
    def seconds(items) -> float:
        start = time.process_time()
        for _ in items:
            pass
        return time.process_time() - start

    # On a busy machine the quickest of some tries counts.
    taken = min(seconds(progress(range(100_000), "reading")) for _ in range(5))
    assert taken / 100_000 < 2e-6


@pytest.mark.parametrize(("seconds", "text"), [
    (0.04, "0.04 s"), (59, "59 s"), (150, "2.5 minutes"), (3600, "60 minutes"),
    (5 * 3600, "5 hours"), (86400 * 3.5, "3.5 days")])
def test_times_for_people(seconds, text):
    assert duration(seconds) == text


# ------------------------------------------------------------------------- in a real terminal

IN_TERMINAL = """
import time, sys
from camera_trapinator import InputError
from camera_trapinator.data.progress import progress
from camera_trapinator.utils import exit_on_bad_input
with exit_on_bad_input():
    for number in progress(range(150), "reading", note=lambda done: "loss 0.5"):
        time.sleep(0.02)
        if number == 80:
            print("warning     something")
            print("half a", end=" ")
            print("line")
            print("on stderr", file=sys.stderr)
        if number == 100:
            for _ in progress(range(75), "within"):
                time.sleep(0.02)
    print("in the end", sys.stdout is sys.__stdout__)
    for number in progress(range(10_000), "torn"):
        time.sleep(0.02)
        if number == 80:
            raise InputError("b.jpg: torn")
"""


def in_terminal(*command: str, **variables: str) -> str:
    """What a command writes into a terminal of 110 columns."""
    pty, fcntl, termios = (pytest.importorskip(name) for name in ("pty", "fcntl", "termios"))
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, b"\x28\0\x6e\0\0\0\0\0")  # 40 rows, 110 columns
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT,
                               env={**os.environ, "TERM": "xterm", "PYTHONPATH": str(ROOT),
                                    **variables})
    os.close(theirs)
    found = b"".join(iter(lambda: read_some(ours), b""))
    os.close(ours)
    process.wait()
    return found.decode()


def read_some(file: int) -> bytes:
    try:
        return os.read(file, 65536)
    except OSError:  # so Linux says that nobody writes any more
        return b""


def on_screen(written: str) -> Iterator[str]:
    """The lines that stand in the terminal in the end."""
    screen, row = [""], 0
    for part in re.findall(r"\r|\n|\x1b\[A|[^\r\n\x1b]+", written):
        if part == "\n":
            row += 1
            screen += [""] * (row == len(screen))
        elif part == "\x1b[A":
            row -= 1
        elif part == "\r":
            column = 0
        if part == "\n" or part == "\x1b[A":
            column = 0
        elif part != "\r":
            screen[row] = screen[row][:column].ljust(column) + part + screen[row][
                column + len(part):]
            column += len(part)
    return [line.rstrip() for line in screen if line.strip()]


def test_a_terminal_has_bars_with_time_left_and_what_is_printed_stands_above_them():
    written = in_terminal(sys.executable, "-c", IN_TERMINAL)
    parts = [part for part in re.split(r"[\r\n]+", written) if part.strip()]
    bars = [part for part in parts if part.startswith("reading:")]
    assert len(bars) > 10
    found = [re.search(r"(\d+)/150 \[00:(\d+)<00:(\d+), +([\d.]+) photos/s, loss 0.5\]", part)
             for part in bars]
    assert all(found), bars
    for match in found[:5]:  # at a constant speed: before the work within
        done, _, left, speed = map(float, match.groups())
        assert left == pytest.approx((150 - done) / speed, abs=1)
    assert "within:" in written
    # Nothing is left of the bars, and no line was torn.
    assert on_screen(written) == ["warning     something", "half a line", "on stderr",
                                  "in the end True", "error: b.jpg: torn"]
