"""One thread for what is heavy: searching, classifying, looking at uploaded pictures.

Whoever asks waits in a short queue and for a limited time, so that no number of browsers can take more than
one core from the daemon.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import Any, Final, Generic, TypeVar

from edge.errors import TooBusyError

log = logging.getLogger("edge.web")
D = TypeVar("D")
T = TypeVar("T")
_END: Final = None
_LOOK: Final = 0.2


class Worker(Generic[D]):
    """Does one job after the other, in the order in which they were asked for.

    Args:
        make: what the jobs work with; made in the worker's thread when the first job comes, and again
            after an error at making it. Whatever in it belongs to one thread can be used by the jobs.
        places: jobs that may wait; more are refused.
        patience: seconds that whoever asks waits at most, the waiting in the queue included.
    """

    def __init__(self, make: Callable[[], D], *, places: int, patience: float) -> None:
        self._make = make
        self._patience = patience
        self._jobs: queue.Queue[tuple[Callable[[D], Any], Future[Any]] | None] = queue.Queue(places)
        self._began: float | None = None
        self._thread = threading.Thread(target=self._run, name="web-worker", daemon=True)
        self._stopped = False

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self) -> None:
        """End after the job in hand, without waiting for it; whoever waits is refused."""
        self._stopped = True
        with suppress(queue.Full):  # then what waits is passed over, and the end is found without it
            self._jobs.put_nowait(_END)

    def ended(self, seconds: float) -> bool:
        """Wait for the end, for so long at most."""
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def ask(self, job: Callable[[D], T]) -> T:
        """Have a job done, and wait for what comes of it; whatever it raises is raised here.

        Raises:
            TooBusyError: too many wait already, or it took too long; what has begun is finished in any case.
        """
        answer: Future[T] = Future()
        try:
            self._jobs.put_nowait((job, answer))
        except queue.Full as error:
            raise TooBusyError("too many searches at once", hint="try again in a few seconds") from error
        until = time.monotonic() + self._patience
        while not self._stopped and time.monotonic() < until:
            wait([answer], min(_LOOK, self._patience))
            if answer.done():
                return answer.result()
        answer.cancel()
        if self._stopped:
            raise TooBusyError("the page is being stopped")
        raise TooBusyError("the device is busy", hint="try again in a few seconds")

    @property
    def busy_for(self) -> float:
        """Seconds that the job in hand has taken so far; 0 if there is none."""
        began = self._began
        return 0.0 if began is None else time.monotonic() - began

    @property
    def waiting(self) -> int:
        """Jobs that wait."""
        return self._jobs.qsize()

    def _run(self) -> None:
        tools: D | None = None
        while not self._stopped and (taken := self._jobs.get()) is not _END:
            job, answer = taken
            if self._stopped or not answer.set_running_or_notify_cancel():
                continue
            self._began = time.monotonic()
            try:
                tools = self._make() if tools is None else tools
                answer.set_result(job(tools))
            except BaseException as error:  # noqa: BLE001 - whoever asked gets it, whatever it is
                answer.set_exception(error)
            self._began = None
