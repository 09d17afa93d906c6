"""The outbox: messages that were committed with the images that caused them, until they are acknowledged.

``seq`` begins at 1 and grows by one without gaps within an epoch; rows are removed from the front only, once
they were acknowledged and their time is up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple

from edge.registration.types import ChangeKind, Registration
from edge.store.database import Database

BRIEF: Final = 0.5
"""Seconds that the publisher waits for another process's lock: it has a connection to look after."""
OutboxState = Literal["pending", "acked", "set_aside"]


class Stamp(NamedTuple):
    """When a change was observed (ms UTC, the device's clock) and with which bundle (SHA-256)."""

    observed: int
    bundle: str


class OutboxRow(NamedTuple):
    """One message as it is sent."""

    seq: int
    deployment: str
    payload: bytes


class KeptRow(NamedTuple):
    """One message that is still kept, in whatever state."""

    seq: int
    deployment: str
    payload: bytes
    state: str


class AsideRow(NamedTuple):
    """One message that the broker refused; ``created`` is ms UTC, ``size`` bytes of its payload."""

    seq: int
    deployment: str
    created: int
    size: int
    reason: str


class OutboxCounts(NamedTuple):
    """Messages by state."""

    pending: int
    set_aside: int
    acked: int


class Outbox:
    """Reads and writes ``outbox``."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self.epoch = database.epoch

    def head(self) -> int:
        """The last number given out; 0 before the first."""
        row = self._db.one("SELECT MAX(seq) FROM outbox")
        last = row[0] if row else None
        return int(last) if last is not None else self._pruned_to()

    def append(
        self, about: Registration, kind: ChangeKind, build: Callable[[int], bytes], stamp: Stamp
    ) -> int:
        """Add the message with the next number, inside the transaction of what caused it."""
        seq = self.head() + 1
        self._db.execute(
            "INSERT INTO outbox (seq, deployment, registration_id, payload, created) VALUES (?, ?, ?, ?, ?)",
            (seq, about.deployment, about.id, build(seq), stamp.observed),
        )
        self._db.execute(
            "UPDATE registrations SET change = ?, seq = ?, observed = ?, bundle = ? WHERE id = ?",
            (kind, seq, stamp.observed, stamp.bundle, about.id),
        )
        return seq

    def pending(self, after: int, limit: int) -> list[OutboxRow]:
        """Messages still to be acknowledged with a number above ``after``, ascending."""
        rows = self._db.execute(
            "SELECT seq, deployment, payload FROM outbox INDEXED BY outbox_pending "
            "WHERE state = 'pending' AND seq > ? ORDER BY seq LIMIT ?",
            (after, limit),
        )
        return [OutboxRow(*row) for row in rows]

    def range(self, first: int, last: int) -> list[KeptRow]:
        """Messages from ``first`` to ``last`` in any state, ascending: a replay."""
        rows = self._db.execute(
            "SELECT seq, deployment, payload, state FROM outbox WHERE seq BETWEEN ? AND ? ORDER BY seq",
            (first, last),
        )
        return [KeptRow(*row) for row in rows]

    def acknowledge(self, seqs: Sequence[int]) -> None:
        """Mark messages as taken by the broker, in one durable transaction.

        Raises:
            StoreBusyError: another process held the lock; nothing was marked.
            DiskFullError: there is no space; nothing was marked.
        """
        now = time.time_ns() // 1_000_000
        with self._db.transaction(BRIEF):
            self._db.execute_many(
                "UPDATE outbox SET state = 'acked', reason = '', acked = ? "
                "WHERE seq = ? AND state != 'acked'",
                [(now, seq) for seq in seqs],
            )

    def set_aside(self, seq: int, reason: str) -> None:
        """Take a message that the broker refuses out of the line; raises as ``acknowledge`` does."""
        with self._db.transaction(BRIEF):
            self._db.execute("UPDATE outbox SET state = 'set_aside', reason = ? WHERE seq = ?", (reason, seq))

    def aside(self) -> list[AsideRow]:
        """Messages that were set aside, ascending."""
        rows = self._db.execute(
            "SELECT seq, deployment, created, LENGTH(payload), reason FROM outbox "
            "INDEXED BY outbox_set_aside WHERE state = 'set_aside' ORDER BY seq"
        )
        return [AsideRow(*row) for row in rows]

    def kept(self, states: Sequence[OutboxState], after: int, limit: int) -> list[KeptRow]:
        """Messages in one of these states with a number above ``after``, ascending."""
        marks = ", ".join("?" * len(states))
        rows = self._db.execute(
            f"SELECT seq, deployment, payload, state FROM outbox WHERE state IN ({marks}) AND seq > ? "
            "ORDER BY seq LIMIT ?",
            (*states, after, limit),
        )
        return [KeptRow(*row) for row in rows]

    def retry(self, seqs: Sequence[int]) -> None:
        """Put messages that were set aside back in line."""
        with self._db.transaction():
            self._db.execute_many(
                "UPDATE outbox SET state = 'pending', reason = '' WHERE seq = ? AND state = 'set_aside'",
                [(s,) for s in seqs],
            )

    def counts(self) -> OutboxCounts:
        """Messages by state.

        It is asked every second, so what was delivered isn't counted: numbers have no gaps.
        """
        pending, aside, first, last = self._db.execute(
            "SELECT (SELECT COUNT(*) FROM outbox INDEXED BY outbox_pending WHERE state = 'pending'), "
            "(SELECT COUNT(*) FROM outbox INDEXED BY outbox_set_aside WHERE state = 'set_aside'), "
            "(SELECT MIN(seq) FROM outbox), (SELECT MAX(seq) FROM outbox)"
        )[0]
        total = 0 if last is None else last - first + 1
        return OutboxCounts(pending, aside, total - pending - aside)

    def prune(self, before: int, limit: int = 1000) -> int:
        """Remove messages from the front, acknowledged before a time; returns how many, at most ``limit``."""
        with self._db.transaction():
            rows = self._db.execute("SELECT seq, state, acked FROM outbox ORDER BY seq LIMIT ?", (limit,))
            last = None
            for seq, state, acked in rows:
                if state != "acked" or acked is None or acked >= before:
                    break
                last = seq
            if last is None:
                return 0
            self._db.remember("pruned_to", str(last))
            return len(self._db.execute("DELETE FROM outbox WHERE seq <= ? RETURNING seq", (last,)))

    def _pruned_to(self) -> int:
        row = self._db.one("SELECT value FROM meta WHERE key = 'pruned_to'")
        return int(row[0]) if row else 0
