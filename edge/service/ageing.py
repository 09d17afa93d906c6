"""How old things may be taken to be on a machine whose clock may be wrong.

What is on record was stamped by the machine's clock, and so is *now*. Where the clock jumped ahead in between
(it lost its battery, stood in 2000 and was put right, or is wrong from here on), the difference says nothing.
So the last moment is remembered from which on the clock is known to have run as time does: what is older than
that counts as made then. A machine that was switched off for long is taken for one whose clock jumped; things
are kept longer for it, never shorter.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, NamedTuple

from edge.intake.moment import DEVICE_CLOCK_FROM_MS
from edge.store.database import Database

OFF: Final = 2 * 86_400_000
"""ms that a machine is believed to have been switched off between two starts."""
SLACK: Final = 3_600_000
"""ms by which the clock may be put right while the program runs."""
_WRITE_EVERY: Final = 600_000
_KEY: Final = "clock_runs_since"


class Run(NamedTuple):
    """What is known of the machine's clock, ms UTC by it.

    Attributes:
        seen: when it was looked at last.
        since: when it began to run as time does, as far as is known.
    """

    seen: int
    since: int


def looked(last: Run | None, now: int, elapsed: int | None) -> Run:
    """What a look at the clock says. Pure.

    Args:
        last: what was known; None: nothing.
        now: the machine's time, ms UTC.
        elapsed: ms since the last look by a clock that nobody sets; None: by another process, nobody knows.
    """
    if last is None or now < DEVICE_CLOCK_FROM_MS or now < last.seen - SLACK:
        return Run(now, now)
    allowed = OFF if elapsed is None else elapsed + SLACK
    return Run(now, now if now - last.seen > allowed else last.since)


def cutoff(now: int, keep: float, since: int) -> int | None:
    """What is stamped before this is older than may be kept; None: nothing is known to be.

    Args:
        now: the machine's time, ms UTC.
        keep: seconds.
        since: since when the clock runs as time does.
    """
    before = now - round(keep * 1000)
    return before if before >= since else None


def runs_since(database: Database) -> int | None:
    """What was noted last; None before the first look."""
    last = _noted(database)
    return last.since if last else None


class Ageing:
    """Looks at the clock, and notes what it finds. Used from one thread.

    Args:
        database: where it is noted.
        elapsed: seconds by a clock that nobody sets and that goes on while the machine sleeps.
    """

    def __init__(self, database: Database, elapsed: Callable[[], float] | None = None) -> None:
        self._db = database
        self._clock = elapsed or _boot_time
        self._run = self._written = _noted(database)
        self._at: float | None = None

    def since(self, now: int) -> int:
        """Since when the machine's clock is known to run as time does, ms UTC.

        Raises:
            StoreError: it can't be noted.
        """
        at = self._clock()
        elapsed = None if self._at is None else round((at - self._at) * 1000)
        run = looked(self._run, now, elapsed)
        written = self._written
        if written is None or run.since != written.since or run.seen - written.seen >= _WRITE_EVERY:
            self._db.remember(_KEY, f"{run.seen} {run.since}")
            self._written = run
        self._run, self._at = run, at
        return run.since


def _noted(database: Database) -> Run | None:
    row = database.one("SELECT value FROM meta WHERE key = ?", (_KEY,))
    if row is None:
        return None
    seen, since = str(row[0]).split()
    return Run(int(seen), int(since))


def _boot_time() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
