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

T = TypeVar("T")


class Lineup(Generic[T]):
    """Models on the best provider that works; thread-safe.

    A provider that fails while it runs is opened and tested anew, which is enough where memory was short
    for a moment. One that fails :data:`LIVES` times in an hour is out until the next start, and the next one
    in the list takes its place. Images are never at fault here: their pixels have been decoded, and every
    image comes in one size.

    Args:
        open_: opens and tests what is to be used, without the providers given (with reasons).
        clock: monotonic seconds.

    Raises:
        ProviderError: there is nothing to begin with.
    """

    def __init__(
        self,
        open_: Callable[[Mapping[str, str]], tuple[T, ProviderReport]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open = open_
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: dict[str, list[float]] = {}
        self._out: dict[str, str] = {}
        self._in_use, self._report = open_({})

    @property
    def in_use(self) -> T:
        """What to use now; it may be replaced at any moment."""
        return self._in_use

    @property
    def report(self) -> ProviderReport:
        """What was asked for, what is in use, what was refused and why."""
        return self._report

    def failed(self, used: T, error: ProviderError) -> None:
        """Replace what has failed; nothing happens if another thread has done so meanwhile.

        Args:
            used: what failed, as it was got from :attr:`in_use`.
            error: how.

        Raises:
            ProviderError: nothing is left that works.
        """
        with self._lock:
            if used is not self._in_use:
                return
            provider = self._report.in_use
            self._count(provider, error)
            self._in_use, self._report = self._open(dict(self._out))
            log.warning("%s failed while running: %s; now on %s", provider, error, self._report.in_use)

    def _count(self, provider: str, error: ProviderError) -> None:
        now = self._clock()
        recent = [at for at in self._failures.get(provider, []) if now - at < WINDOW]
        self._failures[provider] = [*recent, now]
        if len(recent) + 1 >= LIVES:
            self._out[provider] = f"failed {LIVES} times within an hour while running, the last time: {error}"
