"""What delivery needs of the store: messages in line, until the broker took them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class OutboxRow(Protocol):
    """One message in line."""

    @property
    def seq(self) -> int:
        """Its number within the epoch, from 1, without gaps."""

    @property
    def deployment(self) -> str:
        """Which topic it goes to."""

    @property
    def payload(self) -> bytes:
        """The encoded message."""


class KeptRow(OutboxRow, Protocol):
    """One message that is still kept, in whatever state."""

    @property
    def state(self) -> str:
        """``pending``, ``acked`` or ``set_aside``."""


class OutboxCounts(Protocol):
    """Messages by state."""

    @property
    def pending(self) -> int:
        """In line."""

    @property
    def set_aside(self) -> int:
        """Refused by the broker, waiting for a person."""

    @property
    def acked(self) -> int:
        """Taken by the broker and kept for replay."""


class Outbox(Protocol):
    """The line of messages. Called from the publisher's thread only, while others append.

    Invariants that the publisher relies on, checked by ``tests/contract/test_outbox.py``: numbers begin at 1
    and grow by one; a row becomes visible only after all with smaller numbers; ``acknowledge`` and
    ``set_aside`` are durable when they return.
    """

    @property
    def epoch(self) -> str:
        """Id of the database."""

    def head(self) -> int:
        """The last number given out; 0 before the first."""

    def pending(self, after: int, limit: int) -> Sequence[OutboxRow]:
        """Rows in line with ``seq > after``, ascending, at most ``limit``."""

    def acknowledge(self, seqs: Sequence[int]) -> None:
        """Mark rows as taken, in one durable transaction; those that are already, stay so.

        Raises:
            DiskFullError: there is no space for it now; nothing was marked.
            StoreBusyError: another process holds the database; nothing was marked.
        """

    def set_aside(self, seq: int, reason: str) -> None:
        """Take a row out of the line, durably; raises as ``acknowledge`` does."""

    def range(self, first: int, last: int) -> Sequence[KeptRow]:
        """Rows still kept with ``first <= seq <= last``, ascending, in any state."""

    def counts(self) -> OutboxCounts:
        """Rows by state."""

    def owe(self, seq: int) -> None:
        """Remember durably that the broker didn't take a row's summary; raises as ``acknowledge`` does."""

    def owed(self) -> int:
        """The first row that this was said of; 0 if there is none."""

    def repaid(self, before: int) -> None:
        """Summaries of rows with smaller numbers are owed no more, with 0 none; raises likewise."""
