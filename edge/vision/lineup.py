"""What is in use, and what takes over: a provider that passed its self-test can still fail later."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final, Generic, TypeVar

from edge.errors import ProviderError
from edge.vision.selftest import ProviderReport

log = logging.getLogger("edge")

LIVES: Final = 3
"""Failures of one provider within :data:`WINDOW` after which it isn't used any more."""
WINDOW: Final = 3600.0
PATIENCE: Final = 10.0
"""Seconds that threads may go on with models that failed another one, before new ones are opened anyway."""

T = TypeVar("T")
R = TypeVar("R")


class Lineup(Generic[T]):
    """Models on the best provider that works; thread-safe.

    A provider that fails while it runs is opened and tested anew, which is enough where memory was short
    for a moment. One that fails :data:`LIVES` times in an hour is out until the next start, and the next one
    in the list takes its place. Images are never at fault here: their pixels have been decoded, and every
    image comes in one size.

    Old models are let go before new ones are opened: a GPU has seldom room for both.

    Args:
        open_: opens and tests what is to be used, without the providers given (with reasons).
        clock: monotonic seconds.
        patience: seconds; see :data:`PATIENCE`.

    Raises:
        ProviderError: there is nothing to begin with.
    """

    def __init__(
        self,
        open_: Callable[[Mapping[str, str]], tuple[T, ProviderReport]],
        clock: Callable[[], float] = time.monotonic,
        patience: float = PATIENCE,
    ) -> None:
        self._open = open_
        self._clock = clock
        self._patience = patience
        self._swap = threading.Lock()  # who holds it may replace the models; nobody gets them meanwhile
        self._left = threading.Condition()  # guards the number of users, and says when one has left
        self._users = 0
        self._turn = 0
        self._failures: dict[str, list[float]] = {}
        self._out: dict[str, str] = {}
        self._models: T | None
        self._models, self._report = open_({})

    @property
    def report(self) -> ProviderReport:
        """What was asked for, what is in use, what was refused and why."""
        return self._report

    def use(self, look: Callable[[T], R]) -> R:
        """Do something with the models, and once more with what takes over where their provider fails.

        Args:
            look: what to do; it mustn't keep the models, nor ask for them again.

        Raises:
            ProviderError: nothing is left that works.
        """
        while True:
            turn, models = self._take()
            try:
                return look(models)
            except ProviderError as error:
                reason = str(error)  # the error itself holds the models by its traceback, and its cause's
            finally:
                del models
                self._leave()
            self._replace(turn, reason)

    def _take(self) -> tuple[int, T]:
        """The models, and which they are; waits while they are replaced."""
        with self._swap:
            models = self._models
            if models is None:  # the last attempt to open some failed
                models, self._report = self._open(dict(self._out))
                self._models = models
            with self._left:
                self._users += 1
            return self._turn, models

    def _leave(self) -> None:
        with self._left:
            self._users -= 1
            self._left.notify_all()

    def _replace(self, turn: int, reason: str) -> None:
        """Replace models that have failed; nothing happens if another thread has done so meanwhile."""
        with self._swap:
            if turn != self._turn:
                return
            self._turn += 1
            provider = self._report.in_use
            self._count(provider, reason)
            self._models = None
            with self._left:
                self._left.wait_for(lambda: not self._users, self._patience)
            self._models, self._report = self._open(dict(self._out))
            log.warning("%s failed while running: %s; now on %s", provider, reason, self._report.in_use)

    def _count(self, provider: str, reason: str) -> None:
        now = self._clock()
        recent = [at for at in self._failures.get(provider, []) if now - at < WINDOW]
        self._failures[provider] = [*recent, now]
        if len(recent) + 1 >= LIVES:
            self._out[provider] = (
                f"failed {LIVES} times within an hour while running, the last time: {reason}"
            )
