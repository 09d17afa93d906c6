"""How often one client may do something: token buckets, and longer and longer waits after wrong tokens."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

MOST_CLIENTS: Final = 4096
"""Clients that are remembered; beyond it, the one that has been quiet for longest is forgotten."""
FREE_ATTEMPTS: Final = 5
LONGEST_WAIT: Final = 300.0
Clock = Callable[[], float]


@dataclass(slots=True)
class _Bucket:
    level: float
    at: float


class Rate:
    """A token bucket for each client.

    Args:
        each_second: what a client may do for long.
        burst: what it may do at once.
        clock: seconds.
    """

    def __init__(self, each_second: float, burst: float, *, clock: Clock = time.monotonic) -> None:
        self._rate = each_second
        self._burst = burst
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, client: str) -> int:
        """Count one; 0 if it is allowed, else seconds after which one more is, at least 1."""
        now = self._clock()
        with self._lock:
            bucket = self._buckets.setdefault(client, _Bucket(self._burst, now))
            self._buckets.move_to_end(client)
            if len(self._buckets) > MOST_CLIENTS:
                self._buckets.popitem(last=False)
            bucket.level = min(self._burst, bucket.level + (now - bucket.at) * self._rate)
            bucket.at = now
            if bucket.level >= 1:
                bucket.level -= 1
                return 0
            return max(1, math.ceil((1 - bucket.level) / self._rate))


@dataclass(slots=True)
class _Failures:
    count: int
    until: float


class Attempts:
    """Wrong tokens of each client: five are free, after each one more the wait doubles, up to five minutes.

    Args:
        clock: seconds.
    """

    def __init__(self, *, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def wait(self, client: str) -> int:
        """Seconds for which this client's tokens aren't looked at, right or wrong."""
        with self._lock:
            found = self._failures.get(client)
            return 0 if found is None else max(0, math.ceil(found.until - self._clock()))

    def failed(self, client: str) -> None:
        """Count a wrong one."""
        now = self._clock()
        with self._lock:
            found = self._failures.setdefault(client, _Failures(0, now))
            self._failures.move_to_end(client)
            if len(self._failures) > MOST_CLIENTS:
                self._failures.popitem(last=False)
            found.count += 1
            over = found.count - FREE_ATTEMPTS
            if over >= 0:
                found.until = now + min(LONGEST_WAIT, 2.0 ** min(over, 20))

    def succeeded(self, client: str) -> None:
        """Forget what went wrong."""
        with self._lock:
            self._failures.pop(client, None)
