"""The line of messages, as one connection after the other works it off.

Invariants:

1. A row is handed out while it is neither in flight, nor answered and not yet written down (``_busy``).
2. Within a deployment rows are handed out in the order of ``seq``.
3. A row leaves the line only by ``acknowledge`` or ``set_aside``; both are durable before it can be
   forgotten here. A crash in between sends it again, never loses it.
4. No more than one page of rows is in memory.

A deployment whose messages the broker refuses for reasons of its own (access rules, quotas) is *held*: its
rows stay in line, the others go on, and after a while it is tried again, with one row. Only once that is
taken the others follow: with many on their way the broker might take the last and refuse the first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from edge.delivery.backoff import Backoff
from edge.delivery.outbox import Outbox, OutboxRow
from edge.errors import DiskFullError, StoreBusyError

_LATER: Final = (DiskFullError, StoreBusyError)


@dataclass(frozen=True, slots=True)
class Pace:
    """Times and sizes of delivery. Seconds, on the monotonic clock.

    Attributes:
        retry_first, retry_longest: between tries to connect.
        hold_first, hold_longest: before a refused deployment or retained message is tried again.
        handshake: from CONNECT to CONNACK.
        ack_rows, ack_seconds: acknowledgements in one transaction: at most so many, after at most so long.
        page: rows read at once.
        full: before answers that a full disk or a busy database didn't take are written down again.
        idle: between looks at the outbox when nobody woke the publisher.
        cursor: between cursors while messages flow.
        tries: answers without a clear reason, or connections lost, before a message is set aside.
        settled: a connection that lived so long resets the delays.
    """

    retry_first: float = 0.5
    retry_longest: float = 60.0
    hold_first: float = 5.0
    hold_longest: float = 300.0
    handshake: float = 15.0
    ack_rows: int = 500
    ack_seconds: float = 0.05
    page: int = 200
    full: float = 5.0
    idle: float = 1.0
    cursor: float = 1.0
    tries: int = 3
    settled: float = 30.0


@dataclass(slots=True)
class _Hold:
    until: float
    reason: str
    backoff: Backoff


class Backlog:
    """Rows to send and answers to write down.

    Args:
        outbox: the store's.
        pace: times and sizes.
        before: writes down what must be on record before rows leave the line; raises as ``acknowledge`` does.
    """

    def __init__(self, outbox: Outbox, pace: Pace, before: Callable[[], None] = lambda: None) -> None:
        self._outbox, self._pace, self._before = outbox, pace, before
        self._page: deque[OutboxRow] = deque()
        self._after = 0
        self._exhausted = False
        self._news = False
        self._looked = float("-inf")
        self._busy: dict[int, str] = {}  # number -> deployment
        self._taken: list[int] = []
        self._taken_since = 0.0
        self._refused: dict[int, str] = {}  # to be set aside, with the reason
        self._blocked_until = float("-inf")
        self._holds: dict[str, _Hold] = {}
        self._tries: dict[int, int] = {}
        self.acked = 0
        self.aside = 0

    def next(self, now: float) -> OutboxRow | None:
        """The next row to send, which is in flight from here on; None when there is nothing to send now."""
        if self._release(now) or self._is_time_to_look(now):
            self.rewind()
        elif self._exhausted and now - self._looked >= self._pace.idle:
            self._exhausted = False  # another process may have put rows at the end, and wakes nobody
        while row := self._peek(now):
            self._page.popleft()
            if row.seq not in self._busy and not self._held(row.deployment, now):
                self._busy[row.seq] = row.deployment
                return row
        if not self._busy:
            self._forget_holds(now)
        return None

    def refresh(self) -> None:
        """There may be new rows. For any thread."""
        self._news = True

    def rewind(self) -> None:
        """Look at the line from its beginning again: rows may be back in it."""
        self._page.clear()
        self._after = 0
        self._exhausted = False

    def lost(self, seqs: list[int]) -> None:
        """The connection ended without an answer to these."""
        self._forget(seqs)
        self.rewind()

    def taken(self, row: OutboxRow, now: float) -> None:
        """The broker has it."""
        if not self._taken:
            self._taken_since = now
        self._taken.append(row.seq)
        if self._holds.pop(row.deployment, None):
            self.rewind()  # rows that had to wait for this one were passed over
        self._tries.pop(row.seq, None)

    def hold(self, row: OutboxRow, reason: str, now: float) -> None:
        """The broker refuses this deployment for now."""
        self._forget([row.seq])
        hold = self._holds.get(row.deployment)
        if hold is None:
            hold = _Hold(0.0, reason, Backoff(self._pace.hold_first, self._pace.hold_longest))
            self._holds[row.deployment] = hold
        if hold.until <= now:
            hold.until, hold.reason = now + hold.backoff.next(), reason

    def again(self, row: OutboxRow, reason: str, now: float) -> None:
        """The broker had trouble with it: later, or aside after too many tries."""
        tries = self._tries[row.seq] = self._tries.get(row.seq, 0) + 1
        if tries >= self._pace.tries:
            self.set_aside(row.seq, reason)
        else:
            self.hold(row, reason, now)

    def set_aside(self, seq: int, reason: str) -> None:
        """The broker refuses this very message: out of the line with it, as soon as that can be written."""
        self._refused[seq] = reason
        self._busy.setdefault(seq, "")
        self._tries.pop(seq, None)
        with suppress(*_LATER):
            self._write_refused()

    def flush(self, now: float, *, force: bool = False) -> None:
        """Write down what the broker took and what it refused, if it's time.

        What a full disk or a busy database doesn't take stays in hand here and pending there: it is sent to
        nobody again, and written down as soon as it can be.
        """
        if self._blocked_until > now and not force:
            return
        try:
            self._write_refused()
            if force or self._is_due(now):
                self._write_taken()
        except _LATER:
            self._blocked_until = now + self._pace.full
        else:
            self._blocked_until = float("-inf")

    def unwritten(self) -> int:
        """Answers that can't be written down at present."""
        return len(self._taken) + len(self._refused) if self._blocked_until > float("-inf") else 0

    def due_in(self, now: float) -> float:
        """Seconds until there is something to do without an event."""
        pace = self._pace
        written_at = max(self._taken_since + pace.ack_seconds, self._blocked_until)
        waits = [max(0.0, written_at - now)] if self._taken or self._refused else []
        waits += [max(0.0, hold.until - now) for hold in self._holds.values() if hold.until > now]
        return min([pace.idle, *waits])

    def is_idle(self) -> bool:
        """Whether nothing is in flight or waiting to be written down."""
        return not self._busy

    def is_drained(self) -> bool:
        """Whether the line is empty and all of it written down."""
        return not self._busy and self._outbox.counts().pending == 0

    def held(self) -> dict[str, str]:
        """Deployments that the broker refuses, with the reason."""
        return {deployment: hold.reason for deployment, hold in self._holds.items()}

    def _is_due(self, now: float) -> bool:
        pace = self._pace
        return len(self._taken) >= pace.ack_rows or now - self._taken_since >= pace.ack_seconds

    def _write_taken(self) -> None:
        taken = self._taken
        if taken:
            self._before()
            self._outbox.acknowledge(taken)
            self._forget(taken)
            self.acked += len(taken)
            self._taken = []

    def _write_refused(self) -> None:
        for seq, reason in list(self._refused.items()):
            self._outbox.set_aside(seq, reason)
            del self._refused[seq]
            if self._busy.get(seq) in self._holds:
                self.rewind()  # the next one is tried in its place
            self._forget([seq])
            self.aside += 1

    def _is_time_to_look(self, now: float) -> bool:
        """Whether to look for rows that are back in line, with nothing else in hand."""
        if any(hold.until > now for hold in self._holds.values()):
            return False  # a long line of held rows would be read again and again
        return self._exhausted and not self._busy and now - self._looked >= self._pace.idle

    def _peek(self, now: float) -> OutboxRow | None:
        if self._news:
            self._news = self._exhausted = False  # before the look: news of what comes after it is kept
        if not self._page and not self._exhausted:
            self._looked = now
            self._page.extend(self._outbox.pending(self._after, self._pace.page))
            self._exhausted = not self._page
            if self._page:
                self._after = self._page[-1].seq
        return self._page[0] if self._page else None

    def _forget(self, seqs: list[int]) -> None:
        for seq in seqs:
            self._busy.pop(seq, None)

    def _held(self, deployment: str, now: float) -> bool:
        """Whether a deployment's rows have to wait: for their time, or for the one that is tried."""
        hold = self._holds.get(deployment)
        return hold is not None and (hold.until > now or deployment in self._busy.values())

    def _forget_holds(self, now: float) -> None:
        """Holds that ran out with nothing left in line to try them on: a person took the rows out of it."""
        self._holds = {name: hold for name, hold in self._holds.items() if hold.until > now}

    def _release(self, now: float) -> bool:
        """Whether a hold has run out since the last call, so that its rows are to be tried again."""
        released = [hold for hold in self._holds.values() if 0.0 < hold.until <= now]
        for hold in released:
            hold.until = 0.0
        return bool(released)
