"""The outbox beyond what the contract says: numbering, pruning, retry."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings, strategies as st

from edge.registration import Key, Registration
from edge.store.database import Database, open_database
from edge.store.outbox import Outbox, Stamp
from edge.store.queries import emitted
from edge.store.record import SqliteRecord
from edge.store.retention import Retention

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
    assert outbox.prune(before=2**62).removed == 3
    assert outbox.head() == 3
    _append(database, 1)
    assert [row.seq for row in outbox.pending(0, 10)] == [4]


def test_pruning_passes_by_what_is_not_acknowledged(database: Database) -> None:
    """One that waits and one that was set aside stay; what was delivered behind them goes."""
    _append(database, 5)
    outbox = Outbox(database)
    outbox.set_aside(1, "too large")
    outbox.acknowledge([2, 4, 5])
    assert outbox.prune(before=2**62).removed == 3
    assert [row.seq for row in outbox.range(1, 9)] == [1, 3]
    assert outbox.head() == 5
    assert outbox.counts() == (1, 1, 0)
    outbox.retry([1])
    assert [row.seq for row in outbox.pending(0, 10)] == [1, 3]
    _append(database, 1)
    assert outbox.head() == 6


def test_pruning_goes_on_where_it_was(database: Database) -> None:
    """However many are passed by, a step looks at no more than it is told to, and all are looked at."""
    _append(database, 7)
    outbox = Outbox(database)
    outbox.acknowledge([5, 7])
    assert outbox.prune(2**62, 3) == (0, 3)
    assert outbox.prune(2**62, 3, 3) == (1, 6)
    assert outbox.prune(2**62, 3, 6) == (1, 0)


def test_pruning_ends_at_what_was_made_lately(database: Database) -> None:
    """Nothing behind it is older: the rest of a long outbox isn't read for nothing."""
    _append(database, 5)
    database.execute("UPDATE outbox SET created = 5000 WHERE seq > 2")
    Outbox(database).acknowledge([1, 2, 3, 4, 5])
    database.execute("UPDATE outbox SET acked = 900")
    database.execute("UPDATE outbox SET acked = 6000 WHERE seq = 3")
    assert Outbox(database).prune(1000, 2) == (2, 2)
    assert Outbox(database).prune(1000, 2, 2) == (0, 0)
    assert Retention(database).count_messages(1000) == 0


def test_an_older_versions_pruning_counts(database: Database) -> None:
    """It removed from the front only, and kept no number of how many."""
    _append(database, 4)
    outbox = Outbox(database)
    outbox.acknowledge([1, 2, 3])
    database.execute("DELETE FROM outbox WHERE seq < 3")
    database.remember("pruned_to", "2")
    assert outbox.counts() == (1, 0, 1)
    assert outbox.prune(2**62).removed == 1
    assert (outbox.counts(), outbox.head()) == ((1, 0, 0), 4)


_ACTS = st.tuples(st.sampled_from(["append", "ack", "aside", "retry", "prune"]), st.integers(1, 15))


@settings(max_examples=60, deadline=None)
@given(acts=st.lists(_ACTS, max_size=40))
def test_whatever_is_pruned_numbers_and_counts_are_right(acts: list[tuple[str, int]]) -> None:
    """No number is given out twice, and what is due is what is removed."""
    with TemporaryDirectory() as folder, closing(open_database(Path(folder))) as database:
        outbox, model, last = Outbox(database), dict[int, str](), 0
        for act, seq in acts:
            last += act == "append"
            _act(database, model, act, last if act == "append" else seq)
        assert {row.seq: row.state for row in outbox.range(1, 99)} == model
        assert outbox.head() == last
        kinds = list(model.values())
        assert outbox.counts() == (kinds.count("pending"), kinds.count("set_aside"), kinds.count("acked"))
        assert Retention(database).count_messages(2**62) == kinds.count("acked")


def _act(database: Database, model: dict[int, str], act: str, seq: int) -> None:
    outbox = Outbox(database)
    if act == "append":
        _append(database, 1)
        model[seq] = "pending"
    elif act == "ack" and model.get(seq) == "pending":
        outbox.acknowledge([seq])
        model[seq] = "acked"
    elif act == "aside" and model.get(seq) == "pending":
        outbox.set_aside(seq, "refused")
        model[seq] = "set_aside"
    elif act == "retry":
        outbox.retry([seq])
        model.update({s: "pending" for s, state in model.items() if s == seq and state == "set_aside"})
    elif act == "prune":
        _prune(outbox, seq)
        for gone in [s for s, state in model.items() if state == "acked"]:
            del model[gone]


def _prune(outbox: Outbox, limit: int) -> None:
    after = outbox.prune(2**62, limit).after
    while after:
        after = outbox.prune(2**62, limit, after).after


def test_pruning_keeps_what_was_acknowledged_lately(database: Database) -> None:
    """Delivered messages stay for replay until their time is up."""
    _append(database, 2)
    outbox = Outbox(database)
    outbox.acknowledge([1, 2])
    assert outbox.prune(before=1000).removed == 0


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
    assert outbox.counts() == (2, 1, 0)


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
