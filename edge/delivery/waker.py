"""A way to wake a thread that waits in ``poll``."""

from __future__ import annotations

import os
import select
import threading
from typing import Final, Self


class Waker:
    """A pollable flag (``eventfd``). ``wake`` is for any thread, ``clear`` for the one that waits."""

    def __init__(self) -> None:
        self._fd: Final = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._open = True
        self._lock: Final = threading.Lock()

    def fileno(self) -> int:
        """For ``poll`` and ``select``."""
        return self._fd

    def wake(self) -> None:
        """Make ``poll`` return, now or at its next call; nothing after ``close``."""
        with self._lock:
            if self._open:
                os.eventfd_write(self._fd, 1)

    def wait(self, timeout: float) -> None:
        """Sleep until woken, at most ``timeout`` seconds, and clear."""
        select.select([self._fd], [], [], timeout)
        self.clear()

    def clear(self) -> None:
        """Take back all wake-ups so far."""
        try:
            os.eventfd_read(self._fd)
        except BlockingIOError:
            return

    def close(self) -> None:
        """Give the descriptor back; once is enough, twice does no harm."""
        with self._lock:
            if self._open:
                self._open = False
                os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
