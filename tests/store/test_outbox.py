"""The outbox beyond what the contract says: numbering, pruning, retry."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.registration import Key, Registration
from edge.store.database import Database, open_database
from edge.store.outbox import Outbox, Stamp
from edge.store.queries import emitted
from edge.store.record import SqliteRecord

ABOUT = Registration(
    "r1", "cam", "Fox", 1, Key(0, "m"), Key(0, "m"), 1, {"Fox": 1}, 5, confidence_sums={"Fox": 5}
)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """An empty one."""
    return open_database(tmp_path)


def _append(database: Database, number: int) -> None:
    outbox = Outbox(database)
    for _ in range(number):
        with database.transaction():
            outbox.append(ABOUT, "updated", lambda seq: b"%d" % seq, Stamp(7, "sha"))


def test_numbers_have_no_gaps_when_transactions_fail(database: Database) -> None:
    """A number given out in a transaction that failed is given out again."""
    _append(database, 2)
    outbox = Outbox(database)
    with pytest.raises(ZeroDivisionError), database.transaction():
        outbox.append(ABOUT, "updated", lambda seq: b"%d" % seq, Stamp(7, "sha"))
        raise ZeroDivisionError
    _append(database, 1)
    assert [row.payload for row in outbox.pending(0, 10)] == [b"1", b"2", b"3"]


def test_pruning_keeps_the_numbering(database: Database) -> None:
    """When every message was removed, the next one still has the next number."""
    _append(database, 3)
    outbox = Outbox(database)
    outbox.acknowledge([1, 2, 3])
    assert outbox.prune(before=2**62) == 3
    assert outbox.head() == 3
    _append(database, 1)
    assert [row.seq for row in outbox.pending(0, 10)] == [4]


def test_pruning_stops_at_what_is_not_acknowledged(database: Database) -> None:
    """Only a delivered run at the front goes, so that what is kept has no holes."""
    _append(database, 4)
    outbox = Outbox(database)
    outbox.acknowledge([1, 3, 4])
    assert outbox.prune(before=2**62) == 1
    assert [row.seq for row in outbox.range(1, 9)] == [2, 3, 4]


def test_pruning_keeps_what_was_acknowledged_lately(database: Database) -> None:
    """Delivered messages stay for replay until their time is up."""
    _append(database, 2)
    outbox = Outbox(database)
    outbox.acknowledge([1, 2])
    assert outbox.prune(before=1000) == 0


def test_messages_set_aside_can_be_retried(database: Database) -> None:
    """A refused message goes back in line when a person says so."""
    _append(database, 2)
    outbox = Outbox(database)
    outbox.set_aside(1, "too large")
    assert [row.seq for row in outbox.pending(0, 10)] == [2]
    outbox.retry([1])
    assert [row.seq for row in outbox.pending(0, 10)] == [1, 2]


def test_registration_remembers_its_newest_message(database: Database) -> None:
    """The table of registrations can be shown in the message form without the outbox."""
    SqliteRecord(database).put(ABOUT)
    _append(database, 2)
    found = emitted(database, "r1")
    assert found is not None
    assert (found.change, found.seq, found.observed) == ("updated", 2, 7)


def test_counts_are_those_of_the_rows(database: Database) -> None:
    """Waiting, set aside and delivered messages are told apart, before and after the front was removed."""
    outbox = Outbox(database)
    assert outbox.counts() == (0, 0, 0)
    _append(database, 6)
    outbox.acknowledge([1, 2, 4])
    outbox.set_aside(5, "too large")
    assert outbox.counts() == (2, 1, 3)
    outbox.prune(before=2**62)
    assert outbox.counts() == (2, 1, 1)


def test_counting_reads_no_delivered_message(database: Database) -> None:
    """Health and progress ask every second: no statement of it goes through the whole table."""
    _append(database, 1)
    statements: list[str] = []
    connection = database._connection
    connection.set_trace_callback(statements.append)
    Outbox(database).counts()
    connection.set_trace_callback(None)
    plan = [str(row[3]) for row in database.execute(f"EXPLAIN QUERY PLAN {statements[-1]}")]
    assert not [step for step in plan if step.startswith("SCAN outbox") and "INDEX" not in step], plan
