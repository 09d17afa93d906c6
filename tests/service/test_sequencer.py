"""Results in the order in which their work was given out."""

from __future__ import annotations

import threading
import time

from hypothesis import given, strategies as st

from edge.service.sequencer import Sequencer


@given(st.permutations(range(12)), st.integers(1, 5))
def test_results_come_out_in_order_whatever_order_they_go_in(order: list[int], limit: int) -> None:
    """Nothing is handed out before all with smaller numbers; nothing is lost; no batch is too large."""
    sequencer: Sequencer[int] = Sequencer()
    taken: list[int] = []
    for number in order:
        sequencer.put(number, number)
        batch = sequencer.take(limit, wait=0.0, linger=0.0)
        assert len(batch) <= limit
        taken += batch
        assert taken == list(range(len(taken)))
    while batch := sequencer.take(limit, wait=0.0, linger=0.0):
        taken += batch
    assert taken == list(range(12))


def test_take_returns_empty_when_the_next_is_missing() -> None:
    """A later result alone is not handed out."""
    sequencer: Sequencer[str] = Sequencer()
    sequencer.put(1, "later")
    assert sequencer.take(10, wait=0.01, linger=0.0) == []


def test_take_waits_for_company_up_to_the_limit() -> None:
    """A reader that lingers gets results that come meanwhile in the same batch."""
    sequencer: Sequencer[int] = Sequencer()
    sequencer.put(0, 0)
    later = threading.Timer(0.05, sequencer.put, (1, 1))
    later.start()
    try:
        assert sequencer.take(2, wait=1.0, linger=30.0) == [0, 1]
    finally:
        later.join()


def test_a_long_line_is_not_counted_to_its_end() -> None:
    """What a batch costs depends on its size, not on how many results wait behind it."""
    sequencer: Sequencer[int] = Sequencer()
    for number in range(50):
        sequencer.put(number, number)
    looked = _Counting(sequencer._waiting)
    sequencer._waiting = looked
    assert sequencer.take(2, wait=0.0, linger=0.0) == [0, 1]
    assert looked.looks < 10


class _Counting(dict[int, int]):
    looks = 0

    def __contains__(self, key: object) -> bool:
        self.looks += 1
        return super().__contains__(key)


def test_take_does_not_wait_once_there_are_enough() -> None:
    """A reader gets what is there, all of it, without waiting for a full batch that can't come."""
    sequencer: Sequencer[int] = Sequencer()
    for number in range(4):
        sequencer.put(number, number)
    began = time.monotonic()
    assert sequencer.take(20, wait=0.0, linger=30.0, enough=3) == [0, 1, 2, 3]
    assert time.monotonic() - began < 30.0
