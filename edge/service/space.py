"""Room on the disk of the state folder: when intake waits for it, and writing until there is some.

Another program that holds the database's lock for long is waited out in the same way.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from edge.delivery.messages import Problem
from edge.errors import DiskFullError, StoreBusyError
from edge.service.health import disk_health
from edge.settings import Settings
from edge.store.ballast import Ballast

log = logging.getLogger("edge")
T = TypeVar("T")

RETRY_INTERVAL = 5.0


class Space:
    """Thread-safe.

    Args:
        settings: whose state folder, and the low-water mark.
        ballast: given up when something can't be written.
        retry: seconds between two tries to write on a full disk.
    """

    def __init__(
        self, settings: Settings, ballast: Ballast | None = None, *, retry: float = RETRY_INTERVAL
    ) -> None:
        self._settings = settings
        self._ballast = ballast or Ballast(settings.state, settings.store.ballast, settings.store.low_water)
        self._retry = retry
        self._lock = threading.Lock()
        self._blocked = 0
        self._queued = 0

    @property
    def full(self) -> bool:
        """Whether something could not be written for want of space, and still waits."""
        return self._blocked > 0

    @property
    def busy(self) -> bool:
        """Whether something waits for another program to be done with the database."""
        return self._queued > 0

    def problems(self, *, unwritten: bool = False) -> tuple[Problem, ...]:
        """What needs a person, besides want of space.

        Args:
            unwritten: whether answers of the broker wait to be written down.
        """
        if not self.busy and (self.full or not unwritten):
            return ()
        message = "another program holds the database's lock; images and messages wait"
        return (Problem(code="database_busy", message=message, hint="end it: fuser -v edge.db"),)

    def allows_intake(self) -> bool:
        """Whether files may be taken: there is more than the low-water mark, and nothing waits for space.

        The disk is asked each time, as health does: nothing is taken after health has said that it waits.
        """
        disk = disk_health(self._settings)
        return disk.free >= disk.low_water and not self.full

    def insist(self, write: Callable[[], T], stop: threading.Event, beat: Callable[[], None]) -> T:
        """Write, again and again while the disk is full or the database busy; the write must bear that.

        Args:
            write: what to do.
            stop: ends the waiting.
            beat: called at each try.

        Raises:
            DiskFullError: the disk was still full when ``stop`` was set.
            StoreBusyError: the database was still busy then.
        """
        blocked = queued = 0
        try:
            while True:
                try:
                    return write()
                except DiskFullError:
                    self._count(1 - blocked, -queued)
                    blocked, queued = 1, 0
                    if self._ballast.give_up():
                        log.warning("the disk is full: the ballast was given up")
                    elif stop.wait(self._retry):
                        raise
                except StoreBusyError:
                    self._count(-blocked, 1 - queued)
                    blocked, queued = 0, 1
                    if stop.is_set():  # it has waited for the lock already
                        raise
                beat()
        finally:
            self._count(-blocked, -queued)

    def _count(self, blocked: int, queued: int) -> None:
        with self._lock:
            self._blocked += blocked
            self._queued += queued
