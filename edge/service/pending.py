"""Event times of files that were found and not yet processed, by deployment.

A deployment's watermark must not pass the oldest of them.
"""

from __future__ import annotations

import heapq
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager


class PendingTimes:
    """Thread-safe. ``add`` and ``done`` cost O(log n), ``oldest`` O(1) amortised."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._heaps: dict[str, list[int]] = {}
        self._gone: dict[str, Counter[int]] = {}

    def add(self, deployment: str, t: int) -> None:
        """A file with this event time (ms UTC) was found."""
        with self._lock:
            heapq.heappush(self._heaps.setdefault(deployment, []), t)
            self._gone.setdefault(deployment, Counter())

    def done(self, deployment: str, t: int) -> None:
        """One file with this event time has an outcome on record."""
        with self._lock:
            self._gone[deployment][t] += 1
            self._drop_gone(deployment)

    @contextmanager
    def leaving(self, files: Sequence[tuple[str, int]]) -> Iterator[None]:
        """Within the block these (deployment, event time) don't count; they come back if it raises."""
        with ExitStack() as undo:
            for deployment, t in files:
                self.done(deployment, t)
                undo.callback(self.add, deployment, t)
            yield
            undo.pop_all()

    def oldest(self, deployment: str) -> int | None:
        """Smallest event time still pending, ms UTC, or None."""
        with self._lock:
            heap = self._heaps.get(deployment)
            return heap[0] if heap else None

    def _drop_gone(self, deployment: str) -> None:
        """Take from the top of the heap what is done, so that it never holds more than what waits."""
        heap, gone = self._heaps[deployment], self._gone[deployment]
        while heap and gone[heap[0]]:
            t = heapq.heappop(heap)
            gone[t] -= 1
            if not gone[t]:
                del gone[t]
