"""The watcher: a thread that finds the files in the drop folder and waits until they stand still."""

from __future__ import annotations

import os
import select
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from edge.errors import IntakeError
from edge.intake.inotify import Watches
from edge.intake.mounts import MOUNTINFO
from edge.intake.reconcile import Reconciler, WatchState
from edge.intake.types import Candidate, Ledger
from edge.settings import IntakeSettings

_CLOSED = -1


class Watcher:
    """Hands out every file of the drop folder once for each of its versions, when it stood still.

    What the ledger knows isn't handed out. What was handed out isn't again until `retry`, or until the file
    changes. All methods may be called from any thread.

    Args:
        drop: the drop folder; while it is missing, the watcher waits for it.
        settings: settling times and intervals.
        ledger: asked from the watcher's thread, folder by folder.
        clock: monotonic seconds.
        table: the kernel's mount table.

    Attributes:
        heartbeat: the clock when the thread last showed that it is alive.
    """

    def __init__(
        self,
        drop: Path,
        settings: IntakeSettings,
        ledger: Ledger,
        clock: Callable[[], float] = time.monotonic,
        *,
        table: Path = MOUNTINFO,
    ) -> None:
        self._drop = drop
        self._clock = clock
        self._table = table
        self._watches = Watches()
        self._work = Reconciler(
            drop, settings, ledger, self._watches, clock=clock, beat=self._beat, table=table
        )
        self._changed = threading.Condition()
        self._ready: list[Candidate] = []
        self._returned: list[tuple[Candidate, float]] = []
        self._stopping = False
        self._failure: BaseException | None = None
        self._state = self._work.state()
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)
        self.heartbeat = clock()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Starts the thread; once."""
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Ends the thread and the watches; what has no fate yet is found again at the next start.

        Raises:
            IntakeError: the thread hangs, as it does on a network mount whose server is gone.
        """
        self._stopping = True
        self._ring()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        if self._thread.is_alive():
            raise IntakeError("the watcher doesn't stop", subject=str(self._drop), hint="is its mount alive?")
        self._watches.close()
        with self._changed:
            if self._bell != _CLOSED:
                os.close(self._bell)
            self._bell = _CLOSED

    def take(self, timeout: float) -> list[Candidate]:
        """Files that stood still since the last call; waits up to ``timeout`` seconds for the first.

        Raises:
            Exception: what ended the watcher's thread; it must be replaced then.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._failure, timeout)
            if self._failure is not None:
                raise self._failure
            ready, self._ready = self._ready, []
        return ready

    def retry(self, candidate: Candidate, after: float) -> None:
        """Puts a file back: it is handed out again after some seconds, or sooner if it changes."""
        with self._changed:
            self._returned.append((candidate, after))
        self._ring()

    def pending(self) -> int:
        """Files seen but not handed out yet, as of the last step."""
        with self._changed:
            return self._state.waiting + len(self._ready) + len(self._returned)

    def state(self) -> WatchState:
        """How it is, as of the last step."""
        return self._state

    @property
    def scanned(self) -> bool:
        """Whether the first full scan is done."""
        return self._state.scanned

    @property
    def scans(self) -> int:
        """Full scans done."""
        return self._state.scans

    @property
    def overflows(self) -> int:
        """Times that the kernel's queue ran over."""
        return self._state.overflows

    @property
    def watched(self) -> int:
        """Folders with an inotify watch."""
        return self._state.watched

    def _run(self) -> None:
        try:
            self._loop()
        finally:
            # Seen by take(); it goes on to threading.excepthook as well.
            failure = sys.exception()
            with self._changed:
                self._failure = failure
                self._changed.notify_all()

    def _loop(self) -> None:
        with self._table.open("rb") as table:
            poller = self._poller(table.fileno())
            while not self._stopping:
                self._step()
                self._wait(poller, table.fileno())

    def _step(self) -> None:
        self._beat()
        with self._changed:
            returned = list(self._returned)
        for candidate, after in returned:
            self._work.retry(candidate.name, candidate.stat, after)
        still = [Candidate(self._drop, name, stat) for name, stat in self._work.step()]
        # All at once, so that no file is missing from pending() on its way from one to the other.
        with self._changed:
            del self._returned[: len(returned)]
            self._state = self._work.state()
            self._ready += still
            self._changed.notify_all()

    def _poller(self, table: int) -> select.poll:
        poller = select.poll()
        poller.register(self._bell, select.POLLIN)
        # The kernel raises POLLPRI on the mount table when it changes; a plain file never does.
        poller.register(table, select.POLLPRI)
        events = self._watches.fileno()
        if events is not None:
            poller.register(events, select.POLLIN)
        return poller

    def _wait(self, poller: select.poll, table: int) -> None:
        for descriptor, _ in poller.poll(self._work.idle_for() * 1000):
            if descriptor == table:
                self._work.mounts_changed()
            elif descriptor == self._bell:
                os.eventfd_read(self._bell)

    def _beat(self) -> None:
        self.heartbeat = self._clock()

    def _ring(self) -> None:
        with self._changed:
            if self._bell != _CLOSED:
                os.eventfd_write(self._bell, 1)
