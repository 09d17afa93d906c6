"""Summaries that the broker didn't take with their messages, sent again once it does.

Their messages aren't kept in line for them. What is on record is the first number of which a summary is owed,
written down before its message counts as sent; from there on to the last number that was given out when the
catching up began, every delivered message is looked at again. So some may come twice, which does no harm.
What was removed from the outbox meanwhile is owed no longer.

One is on its way at a time: where the broker still refuses, it is asked no more than once for each pause.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import Final

from edge.delivery.outbox import KeptRow, Outbox
from edge.errors import DiskFullError, StoreBusyError

_LATER: Final = (DiskFullError, StoreBusyError)
_PAGE: Final = 100


class Arrears:
    """Hands out the rows whose summaries are owed, and writes down how far that has come.

    Args:
        outbox: the store's.
    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._rows: deque[KeptRow] = deque()
        self._sent: KeptRow | None = None
        self._next = self._last = self._new = 0
        self._some = True

    def owe(self, seq: int) -> None:
        """The broker hasn't taken the summary of this row."""
        self._new = min(self._new or seq, seq)
        self._some, self._last = True, 0

    def flush(self) -> None:
        """Write down what is owed; has to be done before its messages are acknowledged.

        Raises:
            DiskFullError: there is no space for it now.
            StoreBusyError: another process holds the database.
        """
        if self._new:
            self._outbox.owe(self._new)
            if self._new < self._next:  # one that had been waiting for long: back to there
                self._rows.clear()
                self._next = 0
            self._new = 0

    def next(self) -> KeptRow | None:
        """The next row that may have a summary to send; None when there is none, or one is on its way.

        The caller says what became of it (``answered``) before it gets another.
        """
        if self._sent is not None or not self._some:
            return None
        if not self._rows:
            with suppress(*_LATER):
                self.flush()
                self._read()
        self._sent = self._rows[0] if self._rows else None
        return self._sent

    def answered(self, *, taken: bool) -> None:
        """The broker has it, there was nothing to send, or (not ``taken``) it has to be sent again."""
        if taken and self._rows and self._rows[0] is self._sent:
            self._rows.popleft()
        self._sent = None

    def lost(self) -> None:
        """The connection ended without an answer."""
        self._sent = None

    def _read(self) -> None:
        """The next page with delivered messages; what is still in line has its summary beside it."""
        self._next = self._next or self._outbox.owed()
        if not self._next:
            self._some = False
            return
        self._last = self._last or self._outbox.head()
        while not self._rows and self._next <= self._last:
            end = min(self._next + _PAGE - 1, self._last)
            self._rows.extend(row for row in self._outbox.range(self._next, end) if row.state == "acked")
            self._outbox.repaid(self._next)
            self._next = end + 1
        if not self._rows:
            self._outbox.repaid(0)
            self._next, self._some = 0, False
