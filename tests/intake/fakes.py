"""A clock, a ledger and a drop folder for tests of the watcher."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from edge.intake import Candidate, FileStat, Watcher
from edge.intake.inotify import Watches
from edge.intake.reconcile import Reconciler
from edge.settings import IntakeSettings


class Clock:
    """Monotonic seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


class MemoryLedger:
    """Fates of files, by folder."""

    def __init__(self) -> None:
        self._fates: dict[str, dict[str, FileStat]] = {}
        self.asked: list[tuple[str, int]] = []

    def known_in(self, folder: str, names: Sequence[str]) -> Mapping[str, FileStat]:
        """Files directly in a folder whose fate is settled."""
        self.asked.append((folder, len(names)))
        fates = self._fates.get(folder, {})
        return {name: fates[name] for name in names if name in fates}

    def settle(self, file: str, stat: FileStat) -> None:
        """A file has its fate."""
        folder, _, name = file.rpartition("/")
        self._fates.setdefault(folder, {})[name] = stat


class Desk:
    """A reconciler on a folder, with its clock and its ledger in the test's hands."""

    def __init__(self, drop: Path, settings: IntakeSettings, table: Path) -> None:
        self.clock = Clock()
        self.ledger = MemoryLedger()
        self.watches = Watches()
        self.work = Reconciler(drop, settings, self.ledger, self.watches, clock=self.clock, table=table)

    def step(self, seconds: float = 0.0) -> list[str]:
        """Names handed out after some time has passed."""
        self.clock.now += seconds
        return sorted(still.name for still in self.work.step())

    def settled(self) -> list[str]:
        """Names handed out once all that is there has been seen and stood still."""
        return self.step() + self.step(2.0)


def take_until(
    watcher: Watcher, enough: Callable[[list[Candidate]], bool], seconds: float = 60.0
) -> list[Candidate]:
    """What a watcher hands out until it is enough; whatever came when the time is over."""
    taken: list[Candidate] = []
    end = time.monotonic() + seconds
    while not enough(taken) and time.monotonic() < end:
        taken += watcher.take(0.1)
    return taken


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Whether it came true in time."""
    return any(_polls(condition, seconds))


def _polls(condition: Callable[[], bool], seconds: float) -> Iterator[bool]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield condition()
        time.sleep(0.01)
