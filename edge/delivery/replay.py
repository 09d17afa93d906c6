"""Messages that a subscriber asked for again."""

from __future__ import annotations

from collections import deque

from edge.delivery.messages import ReplayReply, ReplayRequest, Span
from edge.delivery.outbox import KeptRow, Outbox

_PAGE = 100


class Replay:
    """One request for messages, on its way.

    Rows still in line are left out: they will be sent for the first time, in order, by themselves.
    A replay doesn't outlive its connection; a subscriber that gets no answer asks again.

    Args:
        request: which ones; checked by the caller.
        outbox: the store's.
    """

    def __init__(self, request: ReplayRequest, outbox: Outbox) -> None:
        self._request, self._outbox = request, outbox
        self._page: deque[KeptRow] = deque()
        self._next = request.first
        self._missing: list[tuple[int, int]] = []
        self._waiting = 0
        self._unanswered = 0
        self._sent = 0

    def next(self) -> KeptRow | None:
        """The next row to send, None when all were handed out."""
        while not self._page and self._next <= self._request.last:
            self._read()
        if not self._page:
            return None
        self._unanswered += 1
        return self._page.popleft()

    def answered(self, seq: int, *, taken: bool, for_now: bool = False) -> None:
        """The broker took a row, or refused it; ``for_now``: it may take it when it is asked for again."""
        self._unanswered -= 1
        if taken:
            self._sent += 1
        elif for_now:
            self._waiting += 1
        else:
            self._miss(seq, seq)

    def is_done(self) -> bool:
        """Whether every row was handed out and answered."""
        return not self._page and not self._unanswered and self._next > self._request.last

    def reply(self) -> ReplayReply:
        """What became of it."""
        return ReplayReply(
            epoch=self._request.epoch,
            first=self._request.first,
            last=self._request.last,
            sent=self._sent,
            waiting=self._waiting,
            missing=tuple(Span(first=first, last=last) for first, last in _merged(self._missing)),
        )

    def _read(self) -> None:
        last = min(self._next + _PAGE - 1, self._request.last)
        expected = self._next
        for row in self._outbox.range(self._next, last):
            self._miss(expected, row.seq - 1)
            expected = row.seq + 1
            self._place(row)
        self._miss(expected, last)
        self._next = last + 1

    def _place(self, row: KeptRow) -> None:
        if row.state == "pending":
            self._waiting += 1
        elif row.state == "set_aside":
            self._miss(row.seq, row.seq)
        else:
            self._page.append(row)

    def _miss(self, first: int, last: int) -> None:
        if first <= last:
            self._missing.append((first, last))


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans in order, with those that touch made into one."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged
