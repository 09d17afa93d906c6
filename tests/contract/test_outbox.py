"""What the publisher relies on, on every outbox that there is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from tests.contract.outboxes import FACTORIES, Subject


@pytest.fixture(params=list(FACTORIES.values()), ids=list(FACTORIES))
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Subject:
    """An empty outbox of each kind."""
    factory: Callable[[Path], Subject] = request.param
    return factory(tmp_path)


def _filled(subject: Subject, number: int = 5) -> Subject:
    for seq in range(1, number + 1):
        subject.append(f"cam-{seq % 2}", f"message {seq}".encode())
    return subject


def _pending(subject: Subject) -> list[int]:
    return [row.seq for row in subject.outbox.pending(0, 1000)]


def test_begins_empty(subject: Subject) -> None:
    """A new outbox has given out no number and has nothing in line."""
    assert subject.outbox.head() == 0
    assert list(subject.outbox.pending(0, 10)) == []
    assert _counts(subject) == (0, 0, 0)


def test_epoch_is_a_name(subject: Subject) -> None:
    """The epoch is a stable, non-empty string."""
    assert isinstance(subject.outbox.epoch, str)
    assert subject.outbox.epoch
    assert subject.outbox.epoch == subject.outbox.epoch


def test_numbers_have_no_gaps(subject: Subject) -> None:
    """Numbers begin at 1 and grow by one; the head is the last."""
    assert [subject.append("cam", b"x") for _ in range(4)] == [1, 2, 3, 4]
    assert subject.outbox.head() == 4


def test_rows_come_as_they_were_appended(subject: Subject) -> None:
    """A pending row has its number, its deployment and its payload, byte for byte."""
    subject.append("cam/ä", b"\x00payload\xff")
    (row,) = subject.outbox.pending(0, 10)
    assert (row.seq, row.deployment, row.payload) == (1, "cam/ä", b"\x00payload\xff")


def test_pending_pages(subject: Subject) -> None:
    """``pending`` gives rows above a number, ascending, and no more than asked for."""
    _filled(subject)
    assert [row.seq for row in subject.outbox.pending(0, 2)] == [1, 2]
    assert [row.seq for row in subject.outbox.pending(2, 2)] == [3, 4]
    assert [row.seq for row in subject.outbox.pending(4, 2)] == [5]
    assert list(subject.outbox.pending(5, 2)) == []


def test_acknowledged_rows_leave_the_line(subject: Subject) -> None:
    """Acknowledged rows, in any order, are no longer pending and still kept."""
    _filled(subject).outbox.acknowledge([4, 1])
    assert _pending(subject) == [2, 3, 5]
    assert [(row.seq, row.state) for row in subject.outbox.range(1, 2)] == [(1, "acked"), (2, "pending")]
    assert _counts(subject) == (3, 0, 2)


def test_acknowledging_twice_changes_nothing(subject: Subject) -> None:
    """An answer may come twice."""
    _filled(subject).outbox.acknowledge([2])
    subject.outbox.acknowledge([2])
    assert _counts(subject) == (4, 0, 1)


def test_acknowledging_nothing_is_allowed(subject: Subject) -> None:
    """An empty batch does no harm."""
    _filled(subject).outbox.acknowledge([])
    assert _counts(subject) == (5, 0, 0)


def test_set_aside_rows_leave_the_line_with_their_reason(subject: Subject) -> None:
    """A row that was set aside is not pending, is kept, and says why."""
    _filled(subject).outbox.set_aside(2, "packet_too_large: 5000 bytes")
    assert _pending(subject) == [1, 3, 4, 5]
    assert [row.state for row in subject.outbox.range(2, 2)] == ["set_aside"]
    assert subject.reason(2) == "packet_too_large: 5000 bytes"
    assert _counts(subject) == (4, 1, 0)


def test_retried_rows_are_back_in_line_at_their_place(subject: Subject) -> None:
    """A retried row is pending again under its old number, before later ones."""
    _filled(subject).outbox.set_aside(2, "refused")
    subject.retry([2])
    assert _pending(subject) == [1, 2, 3, 4, 5]
    assert subject.reason(2) == ""


def test_range_is_inclusive_and_stops_at_what_there_is(subject: Subject) -> None:
    """``range`` includes both ends; numbers that were never given out have no rows."""
    _filled(subject)
    assert [row.seq for row in subject.outbox.range(2, 4)] == [2, 3, 4]
    assert [row.seq for row in subject.outbox.range(4, 99)] == [4, 5]
    assert list(subject.outbox.range(6, 9)) == []
    assert [row.payload for row in subject.outbox.range(3, 3)] == [b"message 3"]


def test_summaries_owed_are_remembered_by_the_first(subject: Subject) -> None:
    """From which row on the broker took none, until it is said how far they were made up for."""
    outbox = _filled(subject).outbox
    assert outbox.owed() == 0
    for seq in (4, 2, 3):
        outbox.owe(seq)
    assert outbox.owed() == 2
    outbox.repaid(4)
    assert outbox.owed() == 4
    outbox.repaid(0)
    assert outbox.owed() == 0


_STEPS = st.lists(
    st.tuples(st.sampled_from(["append", "acknowledge", "set_aside", "retry"]), st.integers(1, 12)),
    max_size=30,
)


@pytest.mark.parametrize("factory", list(FACTORIES.values()), ids=list(FACTORIES))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=_STEPS)
def test_any_sequence_of_calls_follows_the_model(
    factory: Callable[[Path], Subject], tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    """After any calls each row is in the state that the last call about it gave it."""
    subject = factory(tmp_path_factory.mktemp("outbox"))
    model: dict[int, str] = {}
    for action, seq in steps:
        if action == "append":
            model[subject.append("cam", b"x")] = "pending"
        elif seq in model:
            _act(subject, model, action, seq)
    assert {row.seq: row.state for row in subject.outbox.range(1, 99)} == model
    assert _pending(subject) == [seq for seq, state in model.items() if state == "pending"]
    assert subject.outbox.head() == len(model)


def _act(subject: Subject, model: dict[int, str], action: str, seq: int) -> None:
    if action == "acknowledge":
        subject.outbox.acknowledge([seq])
        model[seq] = "acked"
    elif action == "set_aside":
        subject.outbox.set_aside(seq, "refused")
        model[seq] = "set_aside"
    elif model[seq] == "set_aside":
        subject.retry([seq])
        model[seq] = "pending"


def _counts(subject: Subject) -> tuple[int, int, int]:
    counts = subject.outbox.counts()
    return counts.pending, counts.set_aside, counts.acked
