"""Event times of files that wait."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, strategies as st

from edge.service.pending import PendingTimes

_STEPS = st.lists(st.tuples(st.sampled_from(["add", "done"]), st.integers(0, 5)), max_size=60)


@given(_STEPS)
def test_oldest_is_the_smallest_that_is_not_done(steps: list[tuple[str, int]]) -> None:
    """After any adds and dones, the oldest is the minimum of what a plain multiset holds."""
    pending, model = PendingTimes(), Counter[int]()
    for action, t in steps:
        if action == "add":
            pending.add("cam", t)
            model[t] += 1
        elif model[t]:
            pending.done("cam", t)
            model[t] -= 1
        assert pending.oldest("cam") == min(model.elements(), default=None)


def test_deployments_do_not_touch() -> None:
    """What waits at one camera is nothing to another."""
    pending = PendingTimes()
    pending.add("a", 5)
    assert pending.oldest("b") is None


def test_leaving_files_count_again_when_recording_them_fails() -> None:
    """A group that could not be committed still holds its deployment's watermark."""
    pending = PendingTimes()
    for t in (1, 2):
        pending.add("cam", t)
    leaving = pending.leaving([("cam", 1)])
    leaving.__enter__()
    assert pending.oldest("cam") == 2
    assert not leaving.__exit__(OSError, OSError("disk"), None)
    assert pending.oldest("cam") == 1


def test_leaving_files_are_gone_when_recording_succeeds() -> None:
    """A committed group no longer holds the watermark."""
    pending = PendingTimes()
    for t in (1, 2):
        pending.add("cam", t)
    with pending.leaving([("cam", 1)]):
        pass
    assert pending.oldest("cam") == 2


def test_memory_holds_only_what_waits() -> None:
    """Files that were dealt with leave nothing behind, whether anybody asks for the oldest or not."""
    pending = PendingTimes()
    for t in range(50):
        pending.add("cam", t)
    for t in reversed(range(50)):
        pending.done("cam", t)
    assert sum(map(len, pending._heaps.values())) + sum(map(len, pending._gone.values())) == 0
