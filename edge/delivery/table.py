"""A subscriber's table of registrations, and what it misses. Pure: no network, and time is a parameter."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from edge.delivery.messages import Cursor, RegistrationMessage

CHUNK: Final = 1000
"""Messages asked for at once."""


class Gap(NamedTuple):
    """Numbers from ``first`` to ``last``, both included, that a device gave out and that never came."""

    device: str
    epoch: str
    first: int
    last: int


class Numbers:
    """A set of numbers as runs: small however many there are, as long as few are missing."""

    def __init__(self) -> None:
        self._runs: list[tuple[int, int]] = []

    def add(self, first: int, last: int) -> None:
        """Add the numbers from ``first`` to ``last``."""
        if self._runs and self._runs[-1][1] == first - 1:
            self._runs[-1] = (self._runs[-1][0], last)
            return
        apart = [run for run in self._runs if run[1] < first - 1 or run[0] > last + 1]
        touching = [run for run in self._runs if run[1] >= first - 1 and run[0] <= last + 1]
        joined = (min([first, *(run[0] for run in touching)]), max([last, *(run[1] for run in touching)]))
        self._runs = sorted([*apart, joined])

    def last(self) -> int:
        """The largest; 0 if there are none."""
        return self._runs[-1][1] if self._runs else 0

    def missing(self, first: int, last: int) -> list[tuple[int, int]]:
        """The numbers from ``first`` to ``last`` that are not in the set, as runs."""
        holes: list[tuple[int, int]] = []
        for start, end in self._runs:
            if first < start and first <= last:
                holes.append((first, min(start - 1, last)))
            first = max(first, end + 1)
        return [*holes, (first, last)] if first <= last else holes


@dataclass(slots=True)
class _Log:
    """What is known of one device's numbers within its epoch of now."""

    epoch: str
    begin: int
    head: int = 0
    seen: Numbers = field(default_factory=Numbers)


class Table:
    """The registrations of any number of devices, from messages in any order, any number of times.

    Args:
        from_start: whether everything since number 1 is wanted; otherwise what comes from now on.
    """

    def __init__(self, *, from_start: bool = True) -> None:
        self._from_start = from_start
        self._living: dict[tuple[str, str], RegistrationMessage] = {}
        self._revisions: dict[tuple[str, str], int] = {}
        self._logs: dict[str, _Log] = {}
        self._past: set[tuple[str, str]] = set()

    def apply(self, message: RegistrationMessage) -> bool:
        """Take in a message; returns whether it changed the table."""
        self._see(message.device, message.epoch, message.seq)
        key = (message.device, message.registration_id)
        if message.revision <= self._revisions.get(key, 0):
            return False
        self._revisions[key] = message.revision
        if message.change == "retracted":
            self._living.pop(key, None)
        else:
            self._living[key] = message
        return True

    def see_cursor(self, device: str, cursor: Cursor) -> None:
        """A device tells the last number that it gave out."""
        log = self._log(device, cursor.epoch, cursor.seq + 1)
        if log is not None:
            log.head = max(log.head, cursor.seq)

    def give_up(self, gap: Gap) -> None:
        """The device says that these will never come: don't miss them any longer."""
        log = self._logs.get(gap.device)
        if log is not None and log.epoch == gap.epoch:
            log.seen.add(gap.first, gap.last)

    def missing(self) -> list[Gap]:
        """What devices gave out and never came, by device, ascending."""
        return [
            Gap(device, log.epoch, first, last)
            for device, log in sorted(self._logs.items())
            for first, last in log.seen.missing(log.begin, max(log.head, log.seen.last()))
        ]

    def devices(self) -> list[str]:
        """Devices that anything was heard of."""
        return sorted(self._logs)

    def rows(self) -> list[dict[str, Any]]:
        """The living registrations in the form of messages, by device, deployment, start and id."""
        ordered = sorted(
            self._living.values(),
            key=lambda row: (row.device, row.deployment, row.start, row.registration_id),
        )
        return [row.model_dump(mode="json", by_alias=True) for row in ordered]

    def __len__(self) -> int:
        return len(self._living)

    def _see(self, device: str, epoch: str, seq: int) -> None:
        log = self._log(device, epoch, seq)
        if log is not None:
            log.seen.add(seq, seq)

    def _log(self, device: str, epoch: str, begin: int) -> _Log | None:
        """The device's log, if ``epoch`` is not one that it has left behind."""
        log = self._logs.get(device)
        if log is not None and log.epoch == epoch:
            return log
        if (device, epoch) in self._past:
            return None
        if log is not None:
            self._past.add((device, log.epoch))
        self._logs[device] = _Log(epoch, 1 if self._from_start else begin)
        return self._logs[device]


@dataclass(slots=True)
class _Asking:
    """Where a device stands with what is missing of it."""

    noticed: float | None = None
    news: float = float("-inf")
    not_before: float = float("-inf")
    correlation: bytes | None = None
    gap: Gap | None = None
    tries: int = 0


class Asker:
    """When to ask which device for what. Pure: time is a parameter.

    Messages on their way are waited for: a gap is asked for when its device has been quiet for ``patience``
    seconds, or when it is five times as old. One request per device at a time; the next after an answer, or
    after ``retry`` seconds, doubled at every failure up to a minute.

    Args:
        patience, retry: seconds.
    """

    def __init__(self, patience: float, retry: float) -> None:
        self._patience, self._retry = patience, retry
        self._devices: dict[str, _Asking] = {}

    def news(self, device: str, now: float) -> None:
        """Something came from this device."""
        self._devices.setdefault(device, _Asking()).news = now

    def due(self, gaps: Iterable[Gap], now: float) -> list[tuple[Gap, bytes]]:
        """What to ask for now, with the correlation data that the answer will carry."""
        first_gaps: dict[str, Gap] = {}
        for gap in gaps:
            first_gaps.setdefault(gap.device, gap)
        for device, asking in self._devices.items():
            if device not in first_gaps:
                asking.noticed = None
        return [(gap, self._ask(gap, now)) for gap in first_gaps.values() if self._is_due(gap.device, now)]

    def answered(self, correlation: bytes, now: float, *, ok: bool, waiting: bool = False) -> Gap | None:
        """An answer came; returns what it answers, None if nothing that is asked for."""
        for asking in self._devices.values():
            if asking.gap is not None and asking.correlation == correlation:
                gap, asking.gap = asking.gap, None
                if ok:
                    asking.tries = 0
                    asking.not_before = now + (self._patience if waiting else 0.0)
                return gap
        return None

    def _is_due(self, device: str, now: float) -> bool:
        asking = self._devices.setdefault(device, _Asking())
        if asking.noticed is None:
            asking.noticed = now
        quiet = now - max(asking.news, asking.noticed) >= self._patience
        old = now - asking.noticed >= 5 * self._patience
        return now >= asking.not_before and (quiet or old)

    def _ask(self, gap: Gap, now: float) -> bytes:
        asking = self._devices[gap.device]
        asking.correlation, asking.gap = uuid.uuid4().bytes, gap
        asking.not_before = now + min(60.0, self._retry * 2.0**asking.tries)
        asking.tries = min(asking.tries + 1, 16)
        return asking.correlation
