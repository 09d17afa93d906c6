"""Charts as numbers: what is drawn is what was counted, and it stays in its frame."""

from __future__ import annotations

from datetime import date

import hypothesis
from hypothesis import given, strategies as st

from edge.service.browsing import Activity, Series
from edge.web.charts import HEIGHT, WIDTH, Chart, daily, styles, timeline

COUNTS = st.dictionaries(st.integers(-40_000, 40_000), st.integers(1, 10_000), min_size=1, max_size=30)


def series(label: str, days: dict[int, int]) -> Series:
    """A label whose registrations all began at three o'clock."""
    events = sum(days.values())
    hours = tuple(events if hour == 3 else 0 for hour in range(24))
    return Series(label, hours, days, events, events)


def activity(*found: Series) -> Activity:
    """All of them."""
    days = [day for one in found for day in one.days]
    return Activity(found, min(days, default=None), max(days, default=None))


def total(chart: Chart) -> int:
    """The sum of its table."""
    return sum(int(value) for row in chart.rows for value in row[1:])


@hypothesis.settings(max_examples=40, deadline=None)
@given(st.lists(COUNTS, min_size=1, max_size=6))
def test_nothing_is_lost_or_outside(counts: list[dict[int, int]]) -> None:
    """The table and the bars hold every registration; bars lie in the frame and don't overlap."""
    found = activity(*(series(f"Label_{number}", days) for number, days in enumerate(counts)))
    for chart in (daily(found), timeline(found)):
        assert total(chart) == found.events
        assert sum(int(bar.text.rpartition(": ")[2]) for bar in chart.bars) == found.events
        for bar in chart.bars:
            assert 0 <= bar.x <= bar.x + bar.width <= WIDTH + 1
            assert 0 <= bar.y <= bar.y + bar.height <= HEIGHT
        tops: dict[float, float] = {}
        for bar in chart.bars:
            assert abs(tops.get(bar.x, bar.y + bar.height) - (bar.y + bar.height)) < 0.05
            tops[bar.x] = bar.y


@hypothesis.settings(max_examples=40, deadline=None)
@given(st.integers(0, 30_000), st.integers(0, 30_000))
def test_columns_are_neither_few_nor_many(first: int, length: int) -> None:
    """Days, weeks, months or years, whichever suits the span; at most eight marks."""
    found = activity(series("A", {first: 1, first + length: 1}))
    chart = timeline(found)
    assert len(chart.across) <= 9
    columns = {
        "day": length + 1,
        "week": length // 7 + 2,
        "month": length // 28 + 2,
        "year": length // 365 + 2,
    }
    assert columns[chart.step] <= 90


def test_steps() -> None:
    """A month by days, a year by weeks, five years by months, twenty by years."""
    spans = {30: "day", 365: "week", 5 * 365: "month", 20 * 365: "year"}
    for days, step in spans.items():
        assert timeline(activity(series("A", {0: 1, days: 1}))).step == step


def test_weeks_begin_on_mondays() -> None:
    """As ISO 8601 has it."""
    sunday = (date(2026, 5, 3) - date(1970, 1, 1)).days
    chart = timeline(activity(series("A", {sunday: 2, sunday + 1: 3, sunday + 100: 1})))
    assert chart.rows[:2] == (("2026-04-27", "2"), ("2026-05-04", "3"))


def test_nothing_is_an_empty_chart() -> None:
    """Not an error."""
    for chart in (daily(activity()), timeline(activity())):
        assert (chart.bars, chart.rows) == ((), ())


def test_nameless_labels_are_grey() -> None:
    """The others have a colour each."""
    found = [series(label, {0: 1}) for label in ("A", "others", "B", "unidentified")]
    assert styles(found) == {"A": "0", "others": "other", "B": "1", "unidentified": "none"}
