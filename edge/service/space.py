"""Room on the disk of the state folder: when intake waits for it, and writing until there is some."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from edge.errors import DiskFullError
from edge.service.health import disk_health
from edge.settings import Settings

T = TypeVar("T")

CHECK_INTERVAL = 2.0
RETRY_INTERVAL = 5.0


class Space:
    """Thread-safe.

    Args:
        settings: whose state folder, and the low-water mark.
        retry: seconds between two tries to write on a full disk.
    """

    def __init__(self, settings: Settings, *, retry: float = RETRY_INTERVAL) -> None:
        self._settings = settings
        self._retry = retry
        self._lock = threading.Lock()
        self._blocked = 0
        self._checked = float("-inf")
        self._low = False

    @property
    def full(self) -> bool:
        """Whether something could not be written for want of space, and still waits."""
        return self._blocked > 0

    def allows_intake(self) -> bool:
        """Whether files may be taken: there is more than the low-water mark, and nothing waits for space."""
        now = time.monotonic()
        if now - self._checked > CHECK_INTERVAL:
            self._checked = now
            disk = disk_health(self._settings)
            self._low = disk.free < disk.low_water
        return not self._low and not self.full

    def insist(self, write: Callable[[], T], stop: threading.Event, beat: Callable[[], None]) -> T:
        """Write, again and again while the disk is full; what is written must be able to bear that.

        Args:
            write: what to do.
            stop: ends the waiting.
            beat: called at each try.

        Raises:
            DiskFullError: the disk was still full when ``stop`` was set.
        """
        blocked = 0
        try:
            while True:
                try:
                    return write()
                except DiskFullError:
                    self._block(1 - blocked)
                    blocked = 1
                    if stop.wait(self._retry):
                        raise
                    beat()
        finally:
            self._block(-blocked)

    def _block(self, change: int) -> None:
        with self._lock:
            self._blocked += change
