"""Work on many files side by side, in their order."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

AHEAD = 8  # photos that threads draw or encode, before it is their turn
LOOKING = {"ahead": 1000, "threads": (os.cpu_count() or 1) + 4}  # at files, which is waiting too


def in_threads(function: Callable, items: Iterable, ahead: int = AHEAD, threads: int = 0,
               ) -> Iterator:
    """`function` of each item, in their order, computed by threads up to `ahead` items early; 0 =
    without threads. For work that does not hold Python's lock for long: Pillow, numpy, torch,
    files. `threads`: as many as processors, or so many. Of ten million items only those ahead are
    taken.

    What a function raises comes up when it is its turn.
    """
    if not ahead:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(min(ahead, threads or os.cpu_count() or 1)) as pool:
        waiting = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:  # also if nobody wants the rest
            for future in waiting:
                future.cancel()
