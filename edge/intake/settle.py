"""Which files stood still for long enough: pure, with time as a parameter.

A file is *waiting* from its first sighting until its size and mtime stood still for the settling time, and
*out* from when it is handed on until the ledger knows its fate. While it is out at a version, sightings of
that version mean nothing; another version waits anew.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from typing import NamedTuple

from edge.intake.types import FileStat


class _Waiting(NamedTuple):
    stat: FileStat
    due: float


class Still(NamedTuple):
    """A file that stood still at a version."""

    name: str
    stat: FileStat


class Settling:
    """The files between being seen and having a fate."""

    def __init__(self) -> None:
        self._waiting: dict[str, _Waiting] = {}
        # An entry counts only while it is what its file is waiting for; others are passed over.
        self._queue: list[tuple[float, str]] = []
        self._out: dict[str, dict[str, FileStat]] = {}
        self._out_count = 0

    @property
    def waiting(self) -> int:
        """Files seen that haven't stood still for long enough."""
        return len(self._waiting)

    @property
    def out(self) -> int:
        """Files handed on whose fate isn't known yet."""
        return self._out_count

    def saw(self, name: str, stat: FileStat, now: float, settle: float) -> None:
        """A sighting of a file; ``name`` is its path below the drop folder."""
        known = self._waiting.get(name)
        if known is not None:
            if not known.stat.same_version(stat):
                self._wait(name, stat, now + settle)
        elif not self._is_out(name, stat):
            self._wait(name, stat, now + settle)

    def take_due(
        self, now: float, look: Callable[[str], FileStat | None], settle: Callable[[str], float], limit: int
    ) -> list[Still]:
        """Files that stood still until now: they are looked at once more, and are out from here on.

        One that changed meanwhile waits again, one that is gone is forgotten.

        Args:
            now: monotonic seconds.
            look: the file's stat at this moment.
            settle: seconds that the file must stand still.
            limit: files to look at, at most.
        """
        still = []
        for name, seen in self._pop_due(now, limit):
            stat = look(name)
            if stat is None:
                del self._waiting[name]
            elif not stat.same_version(seen):
                self._wait(name, stat, now + settle(name))
            else:
                del self._waiting[name]
                if not self._is_out(name, stat):
                    self._hand_out(name, stat)
                    still.append(Still(name, stat))
        return still

    def retry(self, name: str, stat: FileStat, due: float) -> None:
        """Has a file handed on once more, when due; earlier if it changes."""
        folder, _, base = name.rpartition("/")
        if self._out.get(folder, {}).pop(base, None) is not None:
            self._out_count -= 1
        if name not in self._waiting:
            self._wait(name, stat, due)

    def next_due(self) -> float | None:
        """When the next file may have stood still; None if none is waiting."""
        return self._queue[0][0] if self._queue else None

    def reconcile(self, folder: str, without_fate: Iterable[str]) -> None:
        """Forgets files of a folder that were handed on, but for those present and still without a fate."""
        handed = self._out.pop(folder, {})
        left = {base: handed[base] for base in without_fate if base in handed}
        self._out_count += len(left) - len(handed)
        if left:
            self._out[folder] = left

    def keep_folders(self, folders: set[str]) -> None:
        """Forgets files that were handed on from folders that are gone."""
        for folder in self._out.keys() - folders:
            self.reconcile(folder, ())

    def _pop_due(self, now: float, limit: int) -> Iterable[tuple[str, FileStat]]:
        while self._queue and self._queue[0][0] <= now and limit > 0:
            due, name = heapq.heappop(self._queue)
            known = self._waiting.get(name)
            if known is not None and known.due == due:
                limit -= 1
                yield name, known.stat

    def _is_out(self, name: str, stat: FileStat) -> bool:
        folder, _, base = name.rpartition("/")
        handed = self._out.get(folder, {}).get(base)
        return handed is not None and handed.same_version(stat)

    def _wait(self, name: str, stat: FileStat, due: float) -> None:
        self._waiting[name] = _Waiting(stat, due)
        heapq.heappush(self._queue, (due, name))

    def _hand_out(self, name: str, stat: FileStat) -> None:
        folder, _, base = name.rpartition("/")
        handed = self._out.setdefault(folder, {})
        self._out_count += base not in handed
        handed[base] = stat
