"""Threads that tell when they were last alive, and what ended them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from edge.errors import EdgeError

log = logging.getLogger("edge")


class Worker(threading.Thread):
    """A daemon thread around a loop.

    The loop calls ``beat()`` at least every few seconds. Whatever ends it is kept in ``failure``: this and
    the service's main loop are the supervisor, the one place where any exception is caught.

    Attributes:
        failure: what ended the loop, None while it runs or when it returned.
        busy_limit: seconds between two beats after which it counts as stuck.
    """

    def __init__(self, name: str, loop: Callable[[Worker], None], *, busy_limit: float = 60.0) -> None:
        super().__init__(name=name, daemon=True)
        self._loop = loop
        self._beat = time.monotonic()
        self.failure: BaseException | None = None
        self.busy_limit = busy_limit

    def beat(self) -> None:
        """Say that the loop is alive."""
        self._beat = time.monotonic()

    @property
    def fresh(self) -> bool:
        """Whether the thread runs and its last beat is recent enough."""
        return self.is_alive() and time.monotonic() - self._beat <= self.busy_limit

    def run(self) -> None:
        """Run the loop and keep what ends it."""
        try:
            self._loop(self)
        except BaseException as error:  # the supervisor decides
            if not isinstance(error, EdgeError):
                log.critical("the %s thread has failed", self.name, exc_info=error)
            self.failure = error
