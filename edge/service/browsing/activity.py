"""When animals come: registrations by day, and by hour of the day, each label by itself.

What is counted is registrations, not images: an animal that stays for a hundred pictures came once. That is
the independent record that camera-trap studies draw activity from. Days and hours are the camera's own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from edge.registration.types import UNIDENTIFIED
from edge.store.database import Database
from edge.store.overview import Sighted, sighted
from edge.store.queries import Filter

HOURS: Final = 24
SHOWN: Final = 6
OTHERS: Final = "others"


@dataclass(frozen=True, slots=True)
class Series:
    """One label's registrations.

    Attributes:
        label: the label, or ``others`` for all that are too few for a row of their own.
        hours: registrations that began in each hour of the day.
        days: registrations by local day (days since 1970-01-01); days without any are left out.
        events: all of them.
        animals: sum of their largest counts.
    """

    label: str
    hours: tuple[int, ...]
    days: Mapping[int, int]
    events: int
    animals: int


@dataclass(frozen=True, slots=True)
class Activity:
    """All labels, most frequent first, unidentified last; and the first and last local day, if any."""

    series: tuple[Series, ...]
    first: int | None
    last: int | None

    @property
    def events(self) -> int:
        """Registrations altogether."""
        return sum(series.events for series in self.series)

    @property
    def hours(self) -> tuple[int, ...]:
        """Registrations of all labels by hour of the day."""
        return tuple(sum(column) for column in zip(*(s.hours for s in self.series), strict=True)) or (
            (0,) * HOURS
        )


def activity(database: Database, wanted: Filter, *, shown: int = SHOWN) -> Activity:
    """When registrations began.

    Args:
        database: any.
        wanted: which; times are of their start.
        shown: labels with a row of their own; further ones are put together.
    """
    rows = sighted(database, wanted)
    days = [row.day for row in rows]
    names = _names(rows, shown)
    series = tuple(_series(name, [r for r in rows if _row(r.label, names) == name]) for name in names)
    return Activity(series, min(days, default=None), max(days, default=None))


def _names(rows: Iterable[Sighted], shown: int) -> list[str]:
    """Labels that get a row: the most frequent; the last place is the others' where there are too many."""
    seen: Counter[str] = Counter()
    for row in rows:
        seen[row.label] += row.events
    nobody = seen.pop(UNIDENTIFIED, 0)
    names = sorted(seen, key=lambda label: (-seen[label], label))
    if len(names) > shown:
        names = [*names[: shown - 1], OTHERS]
    return [*names, UNIDENTIFIED] if nobody else names


def _row(label: str, names: list[str]) -> str:
    return label if label in names else OTHERS


def _series(name: str, rows: list[Sighted]) -> Series:
    hours, days = [0] * HOURS, Counter[int]()
    for row in rows:
        hours[row.hour] += row.events
        days[row.day] += row.events
    return Series(name, tuple(hours), dict(days), sum(hours), sum(row.animals for row in rows))
