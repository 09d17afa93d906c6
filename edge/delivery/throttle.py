"""How many requests a device carries out. Pure: time is a parameter.

A token bucket: one token for each request, ``rate`` new ones each second, ``burst`` at most. Of the requests
that find none, one each second is told so; the others are dropped, so that answers can't become a flood
themselves.
"""

from __future__ import annotations

from typing import Literal

Verdict = Literal["go", "tell", "drop"]


class Throttle:
    """Whether the next request is carried out.

    Args:
        rate: requests per second in the long run.
        burst: at once, after a quiet time.
    """

    def __init__(self, rate: float, burst: int) -> None:
        self._rate, self._burst = rate, burst
        self._tokens = float(burst)
        self._filled = float("-inf")
        self._told = float("-inf")

    def ask(self, now: float) -> Verdict:
        """The verdict on one request that came at a time in monotonic seconds."""
        if self._filled != float("-inf"):
            self._tokens = min(self._burst, self._tokens + (now - self._filled) * self._rate)
        self._filled = now
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            return "go"
        if now - self._told >= 1.0:
            self._told = now
            return "tell"
        return "drop"
