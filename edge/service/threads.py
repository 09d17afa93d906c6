"""The loops of the daemon's threads. Each does one step, says that it is alive, and looks whether to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from edge.errors import DiskFullError
from edge.service.feeder import Feeder
from edge.service.heartbeat import Worker
from edge.service.looker import Looker
from edge.service.pipeline import Pipeline
from edge.service.recorder import Recorded, Recorder
from edge.service.work import Outcome
from edge.settings import StoreSettings

QUIET_CHECK = 1.0
DISK_RETRY = 5.0


def feeding(feeder: Feeder, stop: threading.Event) -> Callable[[Worker], None]:
    """The loop that turns files into tickets."""

    def loop(worker: Worker) -> None:
        while not stop.is_set():
            worker.beat()
            feeder.step()

    return loop


def looking(looker: Looker, pipeline: Pipeline, stop: threading.Event) -> Callable[[Worker], None]:
    """The loop of one vision worker; it finishes the image in hand."""

    def loop(worker: Worker) -> None:
        while not stop.is_set():
            worker.beat()
            ticket = pipeline.next_ticket(0.3)
            if ticket is not None:
                pipeline.finish(ticket, looker.look(ticket.examined))

    return loop


class Writing:
    """The loop of the one writer.

    Attributes:
        disk_full: whether the last commit failed for want of space; it is tried again until it succeeds.
    """

    def __init__(
        self,
        recorder: Recorder,
        pipeline: Pipeline,
        settings: StoreSettings,
        stop: threading.Event,
        *,
        after: Callable[[Recorded], None],
    ) -> None:
        """Write until told to stop, then what is left.

        Args:
            recorder: applies groups.
            pipeline: where outcomes come from.
            settings: size of a group, and how long it waits for company.
            stop: set when nothing more will come.
            after: called with everything that was put on record.
        """
        self._recorder = recorder
        self._pipeline = pipeline
        self._settings = settings
        self._stop = stop
        self._after = after
        self.disk_full = False

    def loop(self, worker: Worker) -> None:
        """Until told to stop."""
        checked = time.monotonic()
        while True:
            worker.beat()
            last = self._stop.is_set()
            group = self._take(wait=0.0 if last else 0.3)
            if group:
                self._record(group, worker)
            elif last:
                return
            if time.monotonic() - checked >= QUIET_CHECK:
                checked = time.monotonic()
                if changes := self._recorder.close_quiet():
                    self._after(Recorded((), changes))

    def _take(self, wait: float) -> list[Outcome]:
        linger = 0.0 if self._stop.is_set() else self._settings.group_seconds
        return self._pipeline.take(self._settings.group_images, wait, linger)

    def _record(self, group: list[Outcome], worker: Worker) -> None:
        while True:
            try:
                recorded = self._recorder.record(group)
                break
            except DiskFullError:
                self.disk_full = True
                if self._stop.wait(DISK_RETRY):
                    raise
                worker.beat()
        self.disk_full = False
        self._after(recorded)
        self._pipeline.recorded(len(group))
