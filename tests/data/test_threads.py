"""What is done side by side comes out in order."""

import time

import pytest

from camera_trapinator.data.threads import in_threads


def test_threads_keep_the_order_and_run_only_so_far_ahead():
    begun, done = [], []

    def numbers():
        for number in range(50):
            begun.append(number)
            yield number

    def slow_square(number):
        time.sleep(0.002 * (number % 3))
        return number**2

    for ahead in (0, 1, 5):
        begun.clear(), done.clear()
        for square in in_threads(slow_square, numbers(), ahead):
            done.append(square)
            assert len(begun) <= len(done) + ahead
        assert done == [number**2 for number in range(50)]


def test_what_a_thread_raises_comes_in_its_turn_and_ends_the_rest():
    seen = []

    def inverse(number):
        seen.append(number)
        return 1 / (number - 7)

    results = in_threads(inverse, range(1000), 4)
    assert [next(results) for _ in range(7)] == [1 / (number - 7) for number in range(7)]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert len(seen) < 20
