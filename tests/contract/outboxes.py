"""Outboxes that the contract suite and the delivery tests run on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, Protocol

from edge.delivery.outbox import Outbox


@dataclass(frozen=True, slots=True)
class FakeRow:
    """One message as the fake keeps it."""

    seq: int
    deployment: str
    payload: bytes
    state: Literal["pending", "acked", "set_aside"] = "pending"
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
        self._lock = threading.Lock()

    def append(self, deployment: str, payload: bytes | Callable[[int], bytes]) -> int:
        """Add a message with the next number."""
        with self._lock:
            seq = len(self.rows) + 1
            body = payload if isinstance(payload, bytes) else payload(seq)
            self.rows[seq] = FakeRow(seq, deployment, body)
            return seq

    def head(self) -> int:
        with self._lock:
            return len(self.rows)

    def pending(self, after: int, limit: int) -> list[FakeRow]:
        with self._lock:
            found: list[FakeRow] = []
            for seq in range(after + 1, len(self.rows) + 1):
                if self.rows[seq].state == "pending":
                    found.append(self.rows[seq])
                if len(found) == limit:
                    break
            return found

    def acknowledge(self, seqs: Sequence[int]) -> None:
        with self._lock:
            self.acknowledgements.append(list(seqs))
            for seq in seqs:
                self.rows[seq] = replace(self.rows[seq], state="acked", reason="")

    def set_aside(self, seq: int, reason: str) -> None:
        with self._lock:
            self.rows[seq] = replace(self.rows[seq], state="set_aside", reason=reason)

    def retry(self, seqs: Sequence[int]) -> None:
        with self._lock:
            for seq in seqs:
                if self.rows[seq].state == "set_aside":
                    self.rows[seq] = replace(self.rows[seq], state="pending", reason="")

    def range(self, first: int, last: int) -> list[FakeRow]:
        with self._lock:
            return [self.rows[seq] for seq in range(first, last + 1) if seq in self.rows]

    def counts(self) -> FakeCounts:
        with self._lock:
            states = [row.state for row in self.rows.values()]
            return FakeCounts(states.count("pending"), states.count("set_aside"), states.count("acked"))


class Appender(Protocol):
    """Adds a message the way the owner of the outbox does; returns its number."""

    def __call__(self, deployment: str, payload: bytes) -> int: ...


@dataclass(frozen=True, slots=True)
class Subject:
    """An outbox under test, and how to do to it what delivery never does."""

    outbox: Outbox
    append: Appender
    retry: Callable[[Sequence[int]], None]


def memory() -> Subject:
    """The fake."""
    outbox = MemoryOutbox()
    return Subject(outbox, outbox.append, outbox.retry)


FACTORIES: dict[str, Callable[[], Subject]] = {"memory": memory}
"""Every implementation of the protocol; each call makes an empty outbox."""
