"""Tickets out to the workers, outcomes back in order, and how many are under way."""

from __future__ import annotations

import queue
import threading

from edge.intake.types import Examined
from edge.service.sequencer import Sequencer
from edge.service.work import Outcome, Ticket


class Pipeline:
    """Thread-safe; one feeder, any number of workers, one writer."""

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[Ticket | None] = queue.SimpleQueue()
        self._results: Sequencer[Outcome] = Sequencer()
        self._changed = threading.Condition()
        self._issued = 0
        self._recorded = 0

    @property
    def in_flight(self) -> int:
        """Tickets and settled outcomes that are not on record yet."""
        with self._changed:
            return self._issued - self._recorded

    def issue(self, examined: Examined) -> None:
        """Give one file to the workers."""
        self._tasks.put(Ticket(self._number(), examined))

    def pass_by(self, outcome: Outcome) -> None:
        """Send an outcome that needs no worker straight to the writer."""
        self._results.put(self._number(), outcome)

    def next_ticket(self, wait: float) -> Ticket | None:
        """A file to look at, or None after ``wait`` seconds without one."""
        try:
            return self._tasks.get(timeout=wait)
        except queue.Empty:
            return None

    def finish(self, ticket: Ticket, outcome: Outcome) -> None:
        """Give a worker's result."""
        self._results.put(ticket.number, outcome)

    def take(self, limit: int, wait: float, linger: float, enough: int | None = None) -> list[Outcome]:
        """Outcomes in the order in which their files were issued; see ``Sequencer.take``."""
        return self._results.take(limit, wait, linger, enough)

    def recorded(self, number: int) -> None:
        """So many outcomes are on record."""
        with self._changed:
            self._recorded += number
            self._changed.notify_all()

    def wait_below(self, limit: int, timeout: float) -> bool:
        """Wait until fewer than ``limit`` are under way; False if that took too long."""
        with self._changed:
            return self._changed.wait_for(lambda: self._issued - self._recorded < limit, timeout)

    def withdraw(self) -> list[Examined]:
        """Take back every ticket that no worker has begun; only sensible once nothing is issued any more."""
        withdrawn = []
        while (ticket := self.next_ticket(0.0)) is not None:
            withdrawn.append(ticket.examined)
        self.recorded(len(withdrawn))
        return withdrawn

    def _number(self) -> int:
        with self._changed:
            self._issued += 1
            return self._issued - 1
