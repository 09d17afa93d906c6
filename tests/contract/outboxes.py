"""Outboxes that the contract suite and the delivery tests run on."""

from __future__ import annotations

import itertools
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from edge.delivery.outbox import Outbox as OutboxProtocol
from edge.registration import Key, Registration
from edge.store.database import open_database
from edge.store.outbox import Outbox, Stamp

State = Literal["pending", "acked", "set_aside"]

_TABLE = """
CREATE TABLE IF NOT EXISTS outbox (
    seq INTEGER PRIMARY KEY, deployment TEXT, payload BLOB, state TEXT, reason TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS owed (seq INTEGER) STRICT;
CREATE INDEX IF NOT EXISTS outbox_pending ON outbox (seq) WHERE state = 'pending';
"""


@dataclass(frozen=True, slots=True)
class FakeRow:
    """One message as the fake keeps it."""

    seq: int
    deployment: str
    payload: bytes
    state: State = "pending"
    reason: str = ""


class FakeCounts(NamedTuple):
    pending: int
    set_aside: int
    acked: int


class MemoryOutbox:
    """An outbox in memory, with the store's meaning: any thread may append while one drains."""

    def __init__(self, epoch: str = "epoch-1") -> None:
        self.epoch = epoch
        self.rows: dict[int, FakeRow] = {}
        self.acknowledgements: list[list[int]] = []
        self._head = 0
        self._owed = 0
        self._lock = threading.Lock()

    def append(self, deployment: str, payload: bytes | Callable[[int], bytes]) -> int:
        """Add a message with the next number."""
        with self._lock:
            seq = self._head = self._head + 1
            body = payload if isinstance(payload, bytes) else payload(seq)
            self.rows[seq] = FakeRow(seq, deployment, body)
            return seq

    def head(self) -> int:
        """The last number given out."""
        return self._head

    def pending(self, after: int, limit: int) -> list[FakeRow]:
        """Rows in line above a number."""
        with self._lock:
            above = (self.rows[seq] for seq in range(after + 1, self._head + 1) if seq in self.rows)
            return list(itertools.islice((row for row in above if row.state == "pending"), limit))

    def acknowledge(self, seqs: Sequence[int]) -> None:
        """Mark rows as taken."""
        self.acknowledgements.append(list(seqs))
        for seq in seqs:
            self._turn(seq, "acked")

    def set_aside(self, seq: int, reason: str) -> None:
        """Take a row out of the line."""
        self._turn(seq, "set_aside", reason)

    def retry(self, seqs: Sequence[int]) -> None:
        """Put rows that were set aside back in line."""
        for seq in seqs:
            if self.rows[seq].state == "set_aside":
                self._turn(seq, "pending")

    def prune(self, last: int) -> None:
        """Remove rows from the front, as the store does after the retention period."""
        with self._lock:
            self.rows = {seq: row for seq, row in self.rows.items() if seq > last}

    def range(self, first: int, last: int) -> list[FakeRow]:
        """Rows in any state."""
        with self._lock:
            return [self.rows[seq] for seq in range(first, last + 1) if seq in self.rows]

    def counts(self) -> FakeCounts:
        """Rows by state."""
        with self._lock:
            states = [row.state for row in self.rows.values()]
        return FakeCounts(states.count("pending"), states.count("set_aside"), states.count("acked"))

    def owe(self, seq: int) -> None:
        """Remember that the summary of a row wasn't taken."""
        self._owed = min(self._owed or seq, seq)

    def owed(self) -> int:
        """The first row that this was said of."""
        return self._owed

    def repaid(self, before: int) -> None:
        """Those of smaller numbers were."""
        self._owed = before

    def _turn(self, seq: int, state: State, reason: str = "") -> None:
        with self._lock:
            self.rows[seq] = replace(self.rows[seq], state=state, reason=reason)


class SqliteOutbox:
    """A durable outbox in one table: for processes that are killed, and for honest benchmarks."""

    def __init__(self, path: Path, epoch: str = "epoch-1") -> None:
        self.epoch = epoch
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.executescript(_TABLE)

    def append(self, deployment: str, payload: bytes | Callable[[int], bytes]) -> int:
        """Add a message with the next number, in a transaction of its own."""
        return self.append_all([(deployment, payload)])

    def append_all(self, messages: Iterable[tuple[str, bytes | Callable[[int], bytes]]]) -> int:
        """Add messages in one transaction; returns the last number."""
        seq = self.head()
        with self._lock, self._db:
            self._db.execute("BEGIN")
            for deployment, payload in messages:
                seq += 1
                body = payload if isinstance(payload, bytes) else payload(seq)
                self._db.execute(
                    "INSERT INTO outbox VALUES (?, ?, ?, 'pending', '')", (seq, deployment, body)
                )
        return seq

    def head(self) -> int:
        """The last number given out."""
        with self._lock:
            return int(self._db.execute("SELECT COALESCE(MAX(seq), 0) FROM outbox").fetchone()[0])

    def pending(self, after: int, limit: int) -> list[FakeRow]:
        """Rows in line above a number."""
        where = "state = 'pending' AND seq > ? ORDER BY seq LIMIT ?"
        return self._rows(where, (after, limit))

    def acknowledge(self, seqs: Sequence[int]) -> None:
        """Mark rows as taken, in one durable transaction."""
        with self._lock, self._db:
            self._db.execute("BEGIN")
            self._db.executemany(
                "UPDATE outbox SET state = 'acked', reason = '' WHERE seq = ?", [(seq,) for seq in seqs]
            )

    def set_aside(self, seq: int, reason: str) -> None:
        """Take a row out of the line."""
        with self._lock:
            self._db.execute("UPDATE outbox SET state = 'set_aside', reason = ? WHERE seq = ?", (reason, seq))

    def retry(self, seqs: Sequence[int]) -> None:
        """Put rows that were set aside back in line."""
        back = "UPDATE outbox SET state = 'pending', reason = '' WHERE seq = ? AND state = 'set_aside'"
        with self._lock:
            self._db.executemany(back, [(seq,) for seq in seqs])

    def range(self, first: int, last: int) -> list[FakeRow]:
        """Rows in any state."""
        return self._rows("seq BETWEEN ? AND ? ORDER BY seq", (first, last))

    def counts(self) -> FakeCounts:
        """Rows by state."""
        with self._lock:
            found = dict(self._db.execute("SELECT state, COUNT(*) FROM outbox GROUP BY state").fetchall())
        return FakeCounts(found.get("pending", 0), found.get("set_aside", 0), found.get("acked", 0))

    def owe(self, seq: int) -> None:
        """Remember that the summary of a row wasn't taken."""
        with self._lock:
            self._db.execute("INSERT INTO owed VALUES (?)", (seq,))

    def owed(self) -> int:
        """The first row that this was said of."""
        with self._lock:
            return int(self._db.execute("SELECT COALESCE(MIN(seq), 0) FROM owed").fetchone()[0])

    def repaid(self, before: int) -> None:
        """Those of smaller numbers were."""
        with self._lock, self._db:
            self._db.execute("BEGIN")
            self._db.execute("DELETE FROM owed")
            self._db.execute("INSERT INTO owed SELECT ?1 WHERE ?1 > 0", (before,))

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def _rows(self, where: str, values: tuple[int, int]) -> list[FakeRow]:
        select = f"SELECT seq, deployment, payload, state, reason FROM outbox WHERE {where}"  # noqa: S608 - constants
        with self._lock:
            return [FakeRow(*row) for row in self._db.execute(select, values)]


class Appender(Protocol):
    """Adds a message the way the owner of the outbox does; returns its number."""

    def __call__(self, deployment: str, payload: bytes, /) -> int:
        """Append."""


@dataclass(frozen=True, slots=True)
class Subject:
    """An outbox under test, and how to do to it what delivery never does."""

    outbox: OutboxProtocol
    append: Appender
    retry: Callable[[Sequence[int]], None]
    reason: Callable[[int], str]


def memory(_folder: Path) -> Subject:
    """The fake in memory."""
    outbox = MemoryOutbox()
    return Subject(outbox, outbox.append, outbox.retry, lambda seq: outbox.rows[seq].reason)


def sqlite(folder: Path) -> Subject:
    """The small durable fake."""
    outbox = SqliteOutbox(folder / "outbox.db")
    return Subject(outbox, outbox.append, outbox.retry, lambda seq: outbox.range(seq, seq)[0].reason)


def store(folder: Path) -> Subject:
    """The product's own."""
    database = open_database(folder)
    outbox = Outbox(database)

    def append(deployment: str, payload: bytes) -> int:
        key = Key(0, "m")
        about = Registration("id", deployment, "Fox", 1, key, key, 1, {}, 0)
        with database.transaction():
            return outbox.append(about, "opened", lambda _seq: payload, Stamp(1, "bundle"))

    def reason(seq: int) -> str:
        return str(database.execute("SELECT reason FROM outbox WHERE seq = ?", (seq,))[0][0])

    return Subject(outbox, append, outbox.retry, reason)


FACTORIES: dict[str, Callable[[Path], Subject]] = {"memory": memory, "sqlite": sqlite, "store": store}
"""Every implementation of the protocol; each call makes an empty outbox in a folder."""
