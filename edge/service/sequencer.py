"""Outcomes back in the order in which their work was given out, however the workers finish."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Sequencer(Generic[T]):
    """A buffer that hands out results 0, 1, 2, ... in order. Thread-safe, one reader."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._condition = threading.Condition()
        self._waiting: dict[int, T] = {}
        self._next = 0
        self._clock = clock

    def put(self, number: int, result: T) -> None:
        """Give the result of piece ``number``."""
        with self._condition:
            self._waiting[number] = result
            self._condition.notify()

    def take(self, limit: int, wait: float, linger: float, enough: int | None = None) -> list[T]:
        """Next results in order, at most ``limit``.

        Waits at most ``wait`` seconds for the first, then ``linger`` seconds for company, or until there are
        ``enough`` (``limit`` by default).
        """
        with self._condition:
            if not self._condition.wait_for(lambda: self._next in self._waiting, timeout=wait):
                return []
            deadline = self._clock() + linger
            enough = min(limit, enough or limit)
            while self._ready(enough) < enough and (left := deadline - self._clock()) > 0:
                self._condition.wait(left)
            number = self._ready(limit)
            taken = [self._waiting.pop(n) for n in range(self._next, self._next + number)]
            self._next += number
            return taken

    def _ready(self, limit: int) -> int:
        """Results that can be handed out, counted up to a limit: the line may be long."""
        number = 0
        while number < limit and self._next + number in self._waiting:
            number += 1
        return number
