from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from edge.errors import UsageError
from edge.interchange.times import Clock, Style, duration, style_of
from edge.interchange.types import BadValue
from tests.interchange.build import ms

MOMENTS = st.integers(ms("2000-01-01T00:00:00"), ms("2099-01-01T00:00:00"))


@pytest.mark.parametrize(
    "text",
    [
        "2026-05-04 18:00:01",
        "2026-05-04T18:00:01",
        "2026:05:04 18:00:01",
        "2026/05/04 18:00:01",
        "2026/5/4 18:00:01",
        "2026-05-04T18:00:01Z",
        "2026-05-04T20:00:01+02:00",
        "2026:05:04 20:00:01+02:00",
        "20260504T180001",
    ],
)
def test_writings_of_one_time(text: str) -> None:
    """ISO 8601, EXIF's colons and slashes are one instant, with and without a zone."""
    assert Clock().read(text) == ms("2026-05-04T18:00:01")


@pytest.mark.parametrize(
    "text", ["", "2026-05-04", "18:00", "yesterday", "2026-13-01 00:00:00", "04/05/2026 18:00", "1777917600"]
)
def test_what_is_no_time(text: str) -> None:
    """A date alone, an ambiguous order or a bare number isn't guessed at."""
    with pytest.raises(BadValue):
        Clock().read(text)


@pytest.mark.parametrize("text", ["1899-12-31 23:59:59", "2200-01-01 00:00:00"])
def test_years_out_of_range(text: str) -> None:
    """Times that no camera had are refused."""
    with pytest.raises(BadValue, match="year"):
        Clock().read(text)


def test_own_format() -> None:
    """A format of the caller's reads, and writes, what would be ambiguous otherwise."""
    clock = Clock(format="%d.%m.%Y %H:%M")
    assert clock.read("04.05.2026 18:00") == ms("2026-05-04T18:00:00")
    assert clock.write(ms("2026-05-04T18:00:00")) == "04.05.2026 18:00"


def test_zone_of_times_without_one() -> None:
    """Local time is read in the stated zone; an offset in the text wins."""
    clock = Clock(ZoneInfo("Asia/Yakutsk"))
    assert clock.read("2026-05-04 18:00:00") == ms("2026-05-04T09:00:00")
    assert clock.read("2026-05-04 18:00:00Z") == ms("2026-05-04T18:00:00")


def test_hour_that_happens_twice() -> None:
    """In autumn the first occurrence is meant."""
    assert Clock(ZoneInfo("Europe/Prague")).read("2026-10-25 02:30:00") == ms("2026-10-25T00:30:00")


@pytest.mark.parametrize(
    "text",
    ["2026-05-04 18:00:01", "2026:05:04 18:00:01", "2026-05-04T18:00", "2026/05/04 18:00:01.250"],
)
def test_written_as_read(text: str) -> None:
    """Results have their times in the input's way."""
    clock = Clock()
    assert clock.write(clock.read(text)) == text


def test_nothing_is_lost_in_a_coarser_style() -> None:
    """A style from a row without fraction doesn't cut later ones."""
    clock = Clock()
    clock.read("2026-05-04 18:00")
    assert clock.write(ms("2026-05-04T18:00:00") + 1_005) == "2026-05-04 18:00:01.005"


@given(MOMENTS, st.sampled_from(["UTC", "Europe/Prague", "Asia/Kolkata", "America/St_Johns"]))
def test_round_trip_with_zone(t: int, zone: str) -> None:
    """What is written with an offset is read as the same instant."""
    assert Clock().read(Style().write(t, ZoneInfo(zone))) == t


@given(MOMENTS, st.sampled_from(["-", ":", "/", "."]), st.sampled_from("T "))
def test_round_trip_without_zone(t: int, date: str, joint: str) -> None:
    """What is written without an offset is read as the same instant in the same zone."""
    text = Style(date=date, joint=joint, zone=False).write(t, UTC)
    assert Clock().read(text) == t
    assert style_of(text).date == date


@given(st.text(max_size=30))
def test_garbage_is_no_time(text: str) -> None:
    """Any text is a time or refused."""
    try:
        found = Clock().read(text)
    except BadValue:
        return
    assert datetime(1900, 1, 1, tzinfo=UTC) - timedelta(days=1) <= datetime.fromtimestamp(found / 1000, UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30m", 1_800_000),
        ("1800", 1_800_000),
        ("00:30:00", 1_800_000),
        ("0:30", 1_800_000),
        ("1h30m", 5_400_000),
        ("1.5h", 5_400_000),
        ("90s", 90_000),
        ("500ms", 500),
        ("2 d", 172_800_000),
        ("0", 0),
        ("0.5", 500),
    ],
)
def test_durations(text: str, expected: int) -> None:
    """Durations in the ways that people write them."""
    assert duration(text) == expected


@pytest.mark.parametrize("text", ["", "m", "-5", "30x", "1:99", "9" * 30, "400d", "1h junk", "nan"])
def test_what_is_no_duration(text: str) -> None:
    """Anything else is a mistake in the call."""
    with pytest.raises(UsageError):
        duration(text)
