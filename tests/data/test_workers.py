"""So many processes read photos as keep up with the network."""

import os

import pytest

from camera_trapinator.data.workers import Plan, choose_workers, plan_workers, time_to_read


def test_so_many_workers_as_keep_up_with_the_network(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert choose_workers(reading=0.001, computing=0.1, device="cuda") == 1
    for reading in (0.02, 0.05, 0.1, 0.3, 0.5):
        number = choose_workers(reading, computing=0.1, device="cuda")
        assert number / reading > 1 / 0.1  # photos a second, at the least as many as are learned
        assert (number - 1) / reading < 2 / 0.1  # and no more than twice as many
    assert choose_workers(reading=5.0, computing=0.1, device="cuda") == 7  # a core for the training
    # On a CPU the network needs all cores itself, unless there is much to read.
    assert choose_workers(reading=0.01, computing=0.1, device="cpu") == 0
    assert choose_workers(reading=0.3, computing=0.1, device="cpu") == 4


def test_a_number_is_obeyed_and_nothing_is_measured():
    def never():
        raise AssertionError

    assert plan_workers("3", 3, "cuda", never) == Plan(3, None, None)


@pytest.mark.parametrize("least", [0, 1, 9])
def test_auto_is_what_a_trial_tells_but_not_less_than_the_least(monkeypatch, least):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert plan_workers("auto", least, "cpu", lambda: None) == Plan(least, None, None)
    assert plan_workers("auto", least, "cpu", lambda: (0.01, 0.1)) == Plan(least, 0.01, 0.1)
    assert plan_workers("auto", least, "cuda", lambda: (0.1, 0.1)) == Plan(max(2, least), 0.1, 0.1)


def test_the_first_photo_is_read_twice_and_timed_once():
    read = []

    class Photos:
        def __getitem__(self, draw):
            read.append(draw)

    assert time_to_read(Photos(), [4, 7, 9]) > 0
    assert read == [4, 4, 7, 9]
