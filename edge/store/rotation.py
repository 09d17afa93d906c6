"""Names of backups, and which of them are kept. Pure.

A backup's number grows with each, and alone says which is newer: the machine's clock may have been wrong when
one was made, and is only asked to tell days and weeks apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Final, NamedTuple

_NAME: Final = re.compile(r"edge-(\d{6,})-(\d{8}T\d{6})-v(\d+)\.db", re.ASCII)
_STAMP: Final = "%Y%m%dT%H%M%S"


class Backup(NamedTuple):
    """What a backup's name says.

    Attributes:
        number: grows with each backup of a folder.
        made: when, UTC by the machine's clock, as ``20260504T023000``.
        version: of the schema.
    """

    number: int
    made: str
    version: int

    @property
    def name(self) -> str:
        """Of the file."""
        return f"edge-{self.number:06}-{self.made}-v{self.version}.db"

    @property
    def day(self) -> date:
        """On which it was made."""
        return datetime.strptime(self.made, _STAMP).replace(tzinfo=UTC).date()

    @property
    def week(self) -> tuple[int, int]:
        """Year and number of its week (ISO 8601)."""
        return self.day.isocalendar()[:2]


def stamp(seconds: float) -> str:
    """A time (seconds since 1970 UTC) as names have it."""
    return datetime.fromtimestamp(seconds, UTC).strftime(_STAMP)


def parse(name: str) -> Backup | None:
    """What a file's name says; None if it is no backup's."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    backup = Backup(int(found[1]), found[2], int(found[3]))
    try:
        _ = backup.day
    except ValueError:
        return None
    return backup


def following(backups: Iterable[Backup], seconds: float, version: int) -> Backup:
    """What the next one is called."""
    number = max((backup.number for backup in backups), default=0) + 1
    return Backup(number, stamp(seconds), version)


def superfluous(backups: Iterable[Backup], *, days: int, weeks: int) -> list[Backup]:
    """Those that needn't be kept, oldest first.

    Kept are the newest of each of the ``days`` last days and of the ``weeks`` last weeks that have any, the
    two newest of all, for one may turn out to be damaged, and the newest of the last earlier version: the way
    back from an upgrade.

    Args:
        backups: all that there are.
        days: how many, at least 0.
        weeks: how many, at least 0.
    """
    newest_first = sorted(backups, reverse=True)
    kept = set(newest_first[:2])
    kept |= _newest_of_each(newest_first, [backup.day for backup in newest_first], days)
    kept |= _newest_of_each(newest_first, [backup.week for backup in newest_first], weeks)
    earlier = [b for b in newest_first if b.version < newest_first[0].version]
    kept |= set(earlier[:1])
    return [backup for backup in reversed(newest_first) if backup not in kept]


def _newest_of_each(newest_first: list[Backup], periods: list[object], number: int) -> set[Backup]:
    chosen: dict[object, Backup] = {}
    for backup, period in zip(newest_first, periods, strict=True):
        if period not in chosen and len(chosen) < number:
            chosen[period] = backup
    return set(chosen.values())
