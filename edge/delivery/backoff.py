"""How long to wait before the next try. Pure but for the dice."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Doubling delays with jitter, so that many devices don't come back to a broker in one moment.

    Args:
        first: seconds, the first delay at most.
        longest: seconds, every delay at most.
        dice: returns 0 to 1.
    """

    def __init__(self, first: float, longest: float, dice: Callable[[], float] = random.random) -> None:
        self._first, self._longest, self._dice = first, longest, dice
        self._tries = 0

    def next(self) -> float:
        """The next delay, seconds: between a half and the whole of ``first`` doubled at every call."""
        ceiling: float = min(self._longest, self._first * 2.0 ** min(self._tries, 32))
        self._tries += 1
        return ceiling * (0.5 + self._dice() / 2)

    def reset(self) -> None:
        """Begin from the first delay again."""
        self._tries = 0
