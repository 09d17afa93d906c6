"""The outbox: messages that were committed with the images that caused them, until they are acknowledged.

``seq`` begins at 1 and grows by one without gaps within an epoch. A row is removed once it was acknowledged
and its time is up, whatever becomes of those before it: one that waits, or was set aside, keeps no other.
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


class Pruned(NamedTuple):
    """What a step of pruning did: how many it removed, and where the next goes on; 0 if that was the end."""

    removed: int
    after: int


class Outbox:
    """Reads and writes ``outbox``."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self.epoch = database.epoch

    def head(self) -> int:
        """The last number given out; 0 before the first."""
        row = self._db.one("SELECT MAX(seq) FROM outbox")
        return max(int((row[0] if row else 0) or 0), self._number("pruned_to"))

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

        It is asked every second, so what was delivered isn't counted: numbers have no gaps but for those of
        the rows that were removed, and how many these are is on record.
        """
        pending, aside, last, pruned_to, pruned = self._db.execute(
            "SELECT (SELECT COUNT(*) FROM outbox INDEXED BY outbox_pending WHERE state = 'pending'), "
            "(SELECT COUNT(*) FROM outbox INDEXED BY outbox_set_aside WHERE state = 'set_aside'), "
            "(SELECT MAX(seq) FROM outbox), (SELECT value FROM meta WHERE key = 'pruned_to'), "
            "(SELECT value FROM meta WHERE key = 'pruned')"
        )[0]
        head = max(last or 0, int(pruned_to or 0))
        return OutboxCounts(pending, aside, head - int(pruned or pruned_to or 0) - pending - aside)

    def owe(self, seq: int) -> None:
        """Remember that the broker didn't take the summary of this row; raises as ``acknowledge`` does."""
        with self._db.transaction(BRIEF):
            owed = self.owed()
            if not owed or seq < owed:
                self._db.remember("summaries_owed", str(seq))

    def owed(self) -> int:
        """The first row that this was said of; 0 if there is none."""
        return self._number("summaries_owed")

    def repaid(self, before: int) -> None:
        """Summaries of rows with smaller numbers are owed no more, with 0 none; raises likewise."""
        with self._db.transaction(BRIEF):
            if before:
                self._db.remember("summaries_owed", str(before))
            else:
                self._db.execute("DELETE FROM meta WHERE key = 'summaries_owed'")

    def prune(self, before: int, limit: int = 1000, after: int = 0) -> Pruned:
        """Remove messages that were acknowledged before a time.

        Args:
            before: ms UTC by the device's clock.
            limit: so many are looked at.
            after: number of the last one looked at; 0 begins.
        """
        with self._db.transaction():
            rows = self._db.execute(
                "SELECT seq, state, acked, created FROM outbox WHERE seq > ? ORDER BY seq LIMIT ?",
                (after, limit),
            )
            old = []
            for seq, state, acked, created in rows:
                if state == "acked" and acked is not None and acked < before:
                    old.append(seq)
                elif created >= before:  # nor can any that were made after it be so old
                    rows = []
                    break
            self._remove(old)
        return Pruned(len(old), rows[-1][0] if len(rows) == limit else 0)

    def _remove(self, seqs: Sequence[int]) -> None:
        if not seqs:
            return
        removed = self._removed() + len(seqs)
        self._db.remember("pruned_to", str(max(self._number("pruned_to"), seqs[-1])))
        self._db.remember("pruned", str(removed))
        self._db.execute_many("DELETE FROM outbox WHERE seq = ?", [(seq,) for seq in seqs])

    def _removed(self) -> int:
        """How many rows were removed in this epoch; only from the front where no number of them is kept."""
        row = self._db.one("SELECT value FROM meta WHERE key = 'pruned'")
        return int(row[0]) if row else self._number("pruned_to")

    def _number(self, key: str) -> int:
        row = self._db.one("SELECT value FROM meta WHERE key = ?", (key,))
        return int(row[0]) if row else 0
