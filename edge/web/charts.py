"""Two charts as numbers that a template draws: registrations by hour of the day, and over time.

Pure geometry: whole units of a view box, no colours and no words but those of the axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Literal

from edge.registration.types import UNIDENTIFIED
from edge.service.browsing import Activity, Series
from edge.service.browsing.activity import HOURS, OTHERS

WIDTH: Final = 720
HEIGHT: Final = 240
_LEFT: Final = 40
_TOP: Final = 12
_BOTTOM: Final = 28
_GAP: Final = 0.14
_TICKS: Final = 4
_DAYS: Final = 62
_WEEKS: Final = 7 * 80
_EPOCH: Final = date(1970, 1, 1)
_LABELS: Final = 8
Step = Literal["day", "week", "month", "year"]
_YEARS: Final = 30 * 72


@dataclass(frozen=True, slots=True)
class Bar:
    """A piece of a column.

    Attributes:
        x, y, width, height: in the view box.
        style: number of its label's colour; see ``styles``.
        text: what it is, for people: label, when, how many.
    """

    x: float
    y: float
    width: float
    height: float
    style: str
    text: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark of an axis: where along it, and its words."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of stacked columns in a view box of ``WIDTH`` by ``HEIGHT``, and the same as a table.

    Attributes:
        bars: pieces of columns.
        across: marks of the axis below.
        up: marks of the axis at the left.
        head: of the table: when, then each label.
        rows: of the table; columns where nothing happened are left out.
        step: what a column stands for.
    """

    bars: tuple[Bar, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    step: Step | Literal["hour"]


def styles(series: Sequence[Series]) -> dict[str, str]:
    """Label -> the class of its colour; two greys for those without a name of their own."""
    free = iter(range(len(series)))
    grey = {UNIDENTIFIED: "none", OTHERS: "other"}
    return {s.label: grey.get(s.label) or str(next(free)) for s in series}


def daily(found: Activity) -> Chart:
    """Registrations by hour of the day."""
    columns = [f"{hour:02}:00" for hour in range(HOURS)]
    counts = [list(series.hours) for series in found.series]
    ticks = {hour: f"{hour:02}" for hour in range(0, HOURS, 3)}
    return _stacked(found.series, columns, counts, ticks, "hour")


def timeline(found: Activity) -> Chart:
    """Registrations over time: by day, week, month or year, so that columns are neither few nor many."""
    if found.first is None or found.last is None:
        return _stacked((), [], [], {}, "day")
    step = _step(found.last - found.first + 1)
    starts = _starts(found.first, found.last, step)
    place = {start: number for number, start in enumerate(starts)}
    counts = []
    for series in found.series:
        column = [0] * len(starts)
        for day, number in series.days.items():
            column[place[_start(day, step)]] += number
        counts.append(column)
    names = [_named(start, step) for start in starts]
    every = max(1, -(-len(starts) // _LABELS))
    ticks = {number: names[number] for number in range(0, len(starts), every)}
    return _stacked(found.series, names, counts, ticks, step)


def _step(days: int) -> Step:
    if days <= _DAYS:
        return "day"
    if days <= _WEEKS:
        return "week"
    return "month" if days <= _YEARS else "year"


def _start(day: int, step: Step) -> date:
    """First day of the column that a day falls into; weeks begin on Mondays."""
    found = _EPOCH + timedelta(days=day)
    if step == "week":
        return found - timedelta(days=found.weekday())
    if step == "day":
        return found
    return found.replace(day=1) if step == "month" else found.replace(month=1, day=1)


def _starts(first: int, last: int, step: Step) -> list[date]:
    seen: dict[date, None] = dict.fromkeys(_start(day, step) for day in range(first, last + 1))
    return list(seen)


def _named(start: date, step: Step) -> str:
    if step == "year":
        return f"{start.year}"
    return f"{start:%Y-%m}" if step == "month" else start.isoformat()


def _stacked(
    series: Sequence[Series],
    columns: Sequence[str],
    counts: Sequence[Sequence[int]],
    ticks: dict[int, str],
    step: Step | Literal["hour"],
) -> Chart:
    colours = styles(series)
    top = max((sum(column) for column in zip(*counts, strict=True)), default=0)
    rise = _rise(top)
    ceiling = max(rise, -(-top // rise) * rise)
    room, span = HEIGHT - _TOP - _BOTTOM, WIDTH - _LEFT
    wide = span / max(1, len(columns))
    bars = []
    for number, name in enumerate(columns):
        below = 0
        for one, column in zip(series, counts, strict=True):
            if column[number]:
                below += column[number]
                bars.append(
                    Bar(
                        round(_LEFT + (number + _GAP / 2) * wide, 2),
                        round(_TOP + room * (1 - below / ceiling), 2),
                        round(max(1.0, wide * (1 - _GAP)), 2),
                        round(room * column[number] / ceiling, 2),
                        colours[one.label],
                        f"{one.label.replace('_', ' ')}, {name}: {column[number]}",
                    )
                )
    rows = tuple(
        (name, *(str(column[number]) for column in counts))
        for number, name in enumerate(columns)
        if any(column[number] for column in counts)
    )
    return Chart(
        tuple(bars),
        tuple(Tick(round(_LEFT + (number + 0.5) * wide, 2), text) for number, text in ticks.items()),
        tuple(
            Tick(round(_TOP + room * (1 - value / ceiling), 2), str(value))
            for value in range(0, ceiling + 1, rise)
        ),
        (step.capitalize(), *(one.label.replace("_", " ") for one in series)),
        rows,
        step,
    )


def _rise(top: int) -> int:
    """A round distance between the marks of an axis from 0: 1, 2 or 5 times a power of ten."""
    power = 1
    while True:
        for digit in (1, 2, 5):
            if digit * power * _TICKS >= top:
                return digit * power
        power *= 10
