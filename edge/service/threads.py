"""The loops of the daemon's threads. Each does one step, says that it is alive, and looks whether to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

from edge.service.feeder import GROUP, Feeder
from edge.service.heartbeat import Worker
from edge.service.looker import Looker
from edge.service.pipeline import Pipeline
from edge.service.recorder import Recorded, Recorder
from edge.service.space import Space
from edge.service.work import Outcome
from edge.settings import StoreSettings

QUIET_CHECK = 1.0


def feeding(feeder: Feeder, stop: threading.Event) -> Callable[[Worker], None]:
    """The loop that turns files into tickets."""

    def loop(worker: Worker) -> None:
        while not stop.is_set():
            worker.beat()
            feeder.step()

    return loop


def looking(
    looker: Looker, pipeline: Pipeline, space: Space, stop: threading.Event
) -> Callable[[Worker], None]:
    """The loop of one vision worker; it finishes the image in hand, and waits for space for its snapshot."""

    def loop(worker: Worker) -> None:
        while not stop.is_set():
            worker.beat()
            ticket = pipeline.next_ticket(0.3)
            if ticket is not None:
                look = partial(looker.look, ticket.examined)
                pipeline.finish(ticket, space.insist(look, stop, worker.beat))

    return loop


class Writing:
    """The loop of the one writer. What can't be committed for want of space is tried until it can."""

    def __init__(
        self,
        recorder: Recorder,
        pipeline: Pipeline,
        settings: StoreSettings,
        space: Space,
        stop: threading.Event,
        *,
        after: Callable[[Recorded], None],
    ) -> None:
        """Write until told to stop, then what is left.

        Args:
            recorder: applies groups.
            pipeline: where outcomes come from.
            settings: size of a group, and how long it waits for company.
            space: on the disk.
            stop: set when nothing more will come.
            after: called with everything that was put on record.
        """
        self._recorder = recorder
        self._pipeline = pipeline
        self._settings = settings
        self._space = space
        self._stop = stop
        self._after = after

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
                if changes := self._space.insist(self._recorder.close_quiet, self._stop, worker.beat):
                    self._after(Recorded((), changes))

    def _take(self, wait: float) -> list[Outcome]:
        linger = 0.0 if self._stop.is_set() else self._settings.group_seconds
        # The feeder gives out more once half a group is on record: waiting for all of it starves the workers.
        return self._pipeline.take(self._settings.group_images, wait, linger, enough=GROUP // 2)

    def _record(self, group: list[Outcome], worker: Worker) -> None:
        recorded = self._space.insist(partial(self._recorder.record, group), self._stop, worker.beat)
        self._after(recorded)
        self._pipeline.recorded(len(group))
