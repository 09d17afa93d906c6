"""Event time: its sources, zones, offsets and doubts."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, strategies as st

from edge.intake.exif import Exif
from edge.intake.moment import clock_doubt, exif_time, moment, name_time, offset_at
from edge.settings import DeploymentSettings, IntakeSettings
from tests.intake.build import NOON_MS

UTC_SETTINGS = IntakeSettings()
MTIME_NS = 1_600_000_000_123_456_789
ZONES = sorted(
    available_timezones() & {"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"}
)


def _utc(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc,arg-type]


def _in(zone: str, offset: float = 0.0) -> IntakeSettings:
    return IntakeSettings(deployments={"cam": DeploymentSettings(timezone=zone, clock_offset=offset)})


def test_exif_comes_first_with_its_fraction() -> None:
    """A name with a time and an mtime don't matter then."""
    taken = moment(Exif("2021:04:11 20:43:09", "25"), "x_20200101_0000.jpg", MTIME_NS, "cam", UTC_SETTINGS)
    assert taken == (_utc(2021, 4, 11, 20, 43, 9) + 250, 0, 0, "exif", "")


def test_a_fraction_below_a_millisecond_orders_but_is_not_in_the_time() -> None:
    """Six digits: three make milliseconds, the rest orders."""
    taken = moment(Exif("2021:04:11 20:43:09", "123456"), "a.jpg", MTIME_NS, "cam", UTC_SETTINGS)
    assert (taken.taken_ms % 1000, taken.nanos) == (123, 456_000)


@pytest.mark.parametrize("subsec", ["", "  ", "abc", "-5", "\u0665"])
def test_a_fraction_that_is_none_counts_as_zero(subsec: str) -> None:
    """The second is still good."""
    taken = moment(Exif("2021:04:11 20:43:09", subsec), "a.jpg", MTIME_NS, "cam", UTC_SETTINGS)
    assert taken.taken_ms == _utc(2021, 4, 11, 20, 43, 9)


@pytest.mark.parametrize(
    ("text", "hours", "minutes"),
    [("+02:00", 2, 120), ("-03:30", -3.5, -210), ("Z", 0, 0), ("+0200", 2, 120), ("+00:00", 0, 0)],
)
def test_an_offset_in_exif_beats_the_deployment_s_zone(text: str, hours: float, minutes: int) -> None:
    """The camera knows better than the configuration."""
    taken = moment(Exif("2021:04:11 20:43:09", "", text), "a.jpg", MTIME_NS, "cam", _in("Asia/Tokyo"))
    assert taken.taken_ms == _utc(2021, 4, 11, 20, 43, 9) - hours * 3_600_000
    assert taken.offset_minutes == minutes


@pytest.mark.parametrize("text", ["", "+25:00", "   :  ", "02:00", "garbage"])
def test_an_offset_that_is_none_leaves_the_deployment_s_zone(text: str) -> None:
    """Blank or impossible."""
    taken = moment(Exif("2021:04:11 20:43:09", "", text), "a.jpg", MTIME_NS, "cam", _in("Asia/Tokyo"))
    assert (taken.taken_ms, taken.offset_minutes) == (_utc(2021, 4, 11, 11, 43, 9), 540)


@pytest.mark.parametrize(
    "text",
    [
        "0000:00:00 00:00:00",
        "    :  :     :  :  ",
        "2021:13:01 00:00:00",
        "2021:02:30 00:00:00",
        "2021:04:11 24:00:00",
        "2021:04:11",
        "0001:01:01 00:00:00",
        "9999:12:31 23:59:59",
        "yesterday",
    ],
)
def test_an_exif_time_that_is_none_falls_to_the_name_and_says_so(text: str) -> None:
    """Blank fields, zeros, impossible dates, years that no camera has."""
    taken = moment(Exif(text), "AABP 13_20051007_1205.jpg", MTIME_NS, "cam", UTC_SETTINGS)
    assert (taken.taken_ms, taken.source) == (_utc(2005, 10, 7, 12, 5), "filename")
    assert taken.note == f"the EXIF time {text!r} is no time"


@pytest.mark.parametrize(
    "text", ["2021:04:11 20:43:09", "2021-04-11T20:43:09", "2021/04/11 20:43:09", "2021:4:11 20:43:9"]
)
def test_dates_are_read_in_the_forms_that_cameras_use(text: str) -> None:
    """The standard prescribes one; firmware is written by people."""
    assert exif_time(text) == datetime(2021, 4, 11, 20, 43, 9)  # noqa: DTZ001 - local time of a camera


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("AABP 13_20051007_1205.jpg", (2005, 10, 7, 12, 5)),
        ("IMG_2024-06-01_12-30-59.JPG", (2024, 6, 1, 12, 30, 59)),
        ("20210531082538-RCNX0031.JPG", (2021, 5, 31, 8, 25, 38)),
        ("20219999_9999 20210531T0825.jpg", (2021, 5, 31, 8, 25)),
    ],
)
def test_the_time_in_a_name(name: str, expected: tuple[int, ...]) -> None:
    """With and without seconds; digits that are no date are passed over."""
    assert name_time(name, UTC_SETTINGS.time_pattern) == datetime(*expected)  # type: ignore[arg-type]  # noqa: DTZ001


@pytest.mark.parametrize("name", ["IMG_0001.JPG", "20240101_1200/IMG_0001.JPG", "20210231_1200.jpg", ""])
def test_no_time_in_a_name(name: str) -> None:
    """A time in a folder's name isn't the image's, and the 31st of February is none."""
    assert name_time(name, UTC_SETTINGS.time_pattern) is None


def test_a_pattern_without_all_its_groups_finds_nothing() -> None:
    """A wrong configuration isn't a crash."""
    assert name_time("2021.jpg", r"(?P<year>\d{4})") is None


def test_mtime_comes_last_and_is_utc() -> None:
    """Neither zone nor clock offset move it; the zone is for display."""
    taken = moment(None, "IMG_0001.JPG", MTIME_NS, "cam", _in("Asia/Tokyo", offset=7200))
    assert taken == (MTIME_NS // 1_000_000, 456_789, 540, "mtime", "")


@pytest.mark.parametrize("mtime_ns", [-(2**63), -1, 0, 2**63 - 1])
def test_any_mtime_gives_a_time(mtime_ns: int) -> None:
    """A damaged file system has them all."""
    taken = moment(None, "IMG_0001.JPG", mtime_ns, "cam", _in("Europe/Berlin"))
    assert taken.taken_ms == mtime_ns // 1_000_000


def test_the_clock_offset_is_added() -> None:
    """A camera that is an hour and a half second slow."""
    taken = moment(Exif("2021:04:11 20:43:09"), "a.jpg", 0, "cam", _in("UTC", offset=3600.5))
    assert taken.taken_ms == _utc(2021, 4, 11, 21, 43, 9) + 500


def test_another_deployment_has_the_default_zone() -> None:
    """Settings of one camera aren't another's."""
    settings = IntakeSettings(
        timezone="Europe/Berlin", deployments={"cam": DeploymentSettings(timezone="Asia/Tokyo")}
    )
    taken = moment(Exif("2021:04:11 20:43:09"), "a.jpg", 0, "other", settings)
    assert (taken.taken_ms, taken.offset_minutes) == (_utc(2021, 4, 11, 18, 43, 9), 120)


def test_a_local_time_that_spring_skips_moves_forward_by_the_gap() -> None:
    """02:30 on the day of the change: what a clock that wasn't put forward shows."""
    taken = moment(Exif("2024:03:31 02:30:00"), "a.jpg", 0, "cam", _in("Europe/Berlin"))
    assert (taken.taken_ms, taken.offset_minutes) == (_utc(2024, 3, 31, 1, 30), 120)


def test_a_local_time_that_autumn_repeats_is_the_first() -> None:
    """02:30 in summer time; EXIF's own offset would tell the second."""
    settings = _in("Europe/Berlin")
    first = moment(Exif("2024:10:27 02:30:00"), "a.jpg", 0, "cam", settings)
    second = moment(Exif("2024:10:27 02:30:00", "", "+01:00"), "a.jpg", 0, "cam", settings)
    assert (first.taken_ms, first.offset_minutes) == (_utc(2024, 10, 27, 0, 30), 120)
    assert (second.taken_ms, second.offset_minutes) == (_utc(2024, 10, 27, 1, 30), 60)


@given(instant=st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)), zone=st.sampled_from(ZONES))  # noqa: DTZ001
def test_a_local_time_leads_back_to_its_instant(instant: datetime, zone: str) -> None:
    """For every instant whose local time isn't the second of two, in zones of all kinds."""
    whole = instant.replace(microsecond=0, tzinfo=UTC)
    local = whole.astimezone(ZoneInfo(zone))
    if local.fold:
        return
    taken = moment(Exif(local.strftime("%Y:%m:%d %H:%M:%S")), "a.jpg", 0, "cam", _in(zone))
    assert taken.taken_ms == int(whole.timestamp()) * 1000
    assert taken.offset_minutes == (local.utcoffset() or whole - whole).total_seconds() // 60


@given(st.integers(-(2**80), 2**80), st.sampled_from(ZONES))
def test_the_offset_of_any_instant_is_within_a_day(ms: int, zone: str) -> None:
    """No clock offset, however wrong, makes it fail."""
    assert abs(offset_at(ms, ZoneInfo(zone))) < 24 * 60


def test_a_time_before_the_earliest_year_is_in_doubt() -> None:
    """To the millisecond, in local time."""
    start = _utc(2010, 1, 1)
    assert clock_doubt(start - 1, 0, 2010, NOON_MS) == "the time is before 2010"
    assert clock_doubt(start, 0, 2010, NOON_MS) == ""
    assert clock_doubt(start - 60_000, 1, 2010, NOON_MS) == ""


def test_a_time_in_the_future_is_in_doubt() -> None:
    """A day is tolerated, since cameras stand in any zone."""
    now = _utc(2026, 1, 1)
    assert clock_doubt(now + 86_400_000, 0, 2010, now) == ""
    assert clock_doubt(now + 86_400_001, 0, 2010, now) == "the time is in the future"


def test_a_device_that_lost_its_own_clock_calls_nothing_future() -> None:
    """In its year 2000 every image is from the future; none of them is wrong for that."""
    assert clock_doubt(NOON_MS, 0, 2010, _utc(2000, 1, 1)) == ""
