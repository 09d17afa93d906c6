"""When an image was taken: EXIF, else the file's name, else mtime (see docs/decisions/0133-event-time.md).

A camera's clock shows local time without saying where. It is read in the deployment's zone unless EXIF
gives the offset itself. A local time that the zone skips in spring is read with the offset from before the
change, and one that happens twice in autumn as its first occurrence (``fold=0``, PEP 495).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import PurePosixPath
from typing import NamedTuple

from edge.intake.exif import Exif
from edge.intake.types import NS_PER_MS, TimeSource
from edge.settings import IntakeSettings

DAY_MS = 86_400_000
MINUTE_MS = 60_000

# A device whose own clock is before this one lost it, and can't tell what the future is.
DEVICE_CLOCK_FROM_MS = 1_735_689_600_000  # 2025-01-01T00:00:00Z
# A camera may stand in any time zone, whatever is configured.
FUTURE_TOLERANCE_MS = DAY_MS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEARS = range(1900, 2200)
_LOWEST_MS = -2_208_902_400_000  # 1900-01-02
_HIGHEST_MS = 7_258_032_000_000  # 2199-12-31
_DATE = re.compile(r"\s*(\d{4})[:./-](\d\d?)[:./-](\d\d?)[ T]+(\d\d?):(\d\d?):(\d\d?)", re.ASCII)
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)", re.ASCII)
_DIGITS = re.compile(r"\d+", re.ASCII)


class Moment(NamedTuple):
    """An event time.

    Attributes:
        taken_ms: ms UTC, clock offset applied.
        nanos: the rest below a millisecond, 0 to 999,999.
        offset_minutes: local time minus UTC, for display.
        source: where it comes from.
        note: for people: why EXIF had no usable time; empty if it had, or had none.
    """

    taken_ms: int
    nanos: int
    offset_minutes: int
    source: TimeSource
    note: str = ""


def moment(exif: Exif | None, name: str, mtime_ns: int, deployment: str, settings: IntakeSettings) -> Moment:
    """When an image was taken.

    The clock offset belongs to the camera's clock: it isn't applied to mtime, which an upload sets by the
    device's.

    Args:
        exif: of the file, None if it has none.
        name: of the file, with or without folders.
        mtime_ns: of the file.
        deployment: whose zone and clock offset count.
        settings: zones, offsets and the file-name pattern.
    """
    zone = settings.zone(deployment)
    shift = round(settings.deployment(deployment).clock_offset * 1000)
    note = ""
    if exif is not None and exif.taken:
        if (local := exif_time(exif.taken)) is not None:
            return _exif_moment(exif, local, zone, shift)
        note = f"the EXIF time {exif.taken!r} is no time"
    if (local := name_time(name, settings.time_pattern)) is not None:
        taken = _to_ms(local, zone) + shift
        return Moment(taken, 0, offset_at(taken, zone), "filename", note)
    taken, nanos = divmod(mtime_ns, NS_PER_MS)
    return Moment(taken, nanos, offset_at(taken, zone), "mtime", note)


def exif_time(text: str) -> datetime | None:
    """A local time from an EXIF date; None if it is blank, zeros or otherwise none."""
    found = _DATE.match(text)
    return _local(found.groups()) if found else None


def name_time(name: str, pattern: str) -> datetime | None:
    """The first local time that the pattern finds in a file's name; folders don't count."""
    for found in re.finditer(pattern, PurePosixPath(name).name):
        groups = found.groupdict()
        parts = [groups.get(part) for part in ("year", "month", "day", "hour", "minute")]
        digits = [part for part in [*parts, groups.get("second") or "0"] if part and part.isdecimal()]
        if len(digits) == len(parts) + 1 and (local := _local(digits)) is not None:
            return local
    return None


def clock_doubt(taken_ms: int, offset_minutes: int, earliest: int, now_ms: int) -> str:
    """Why a time can't be right, for people; empty if it can.

    Args:
        taken_ms: event time, ms UTC.
        offset_minutes: of local time from UTC.
        earliest: first year that is believed.
        now_ms: the device's time, ms UTC; not believed either if it is before 2025.
    """
    start = datetime(earliest, 1, 1, tzinfo=UTC)
    if taken_ms + offset_minutes * MINUTE_MS < (start - _EPOCH) // timedelta(milliseconds=1):
        return f"the time is before {earliest}"
    if now_ms >= DEVICE_CLOCK_FROM_MS and taken_ms > now_ms + FUTURE_TOLERANCE_MS:
        return "the time is in the future"
    return ""


def offset_at(ms: int, zone: tzinfo) -> int:
    """Minutes from UTC in a zone at an instant (ms UTC); any integer will do."""
    instant = _EPOCH + timedelta(milliseconds=min(max(ms, _LOWEST_MS), _HIGHEST_MS))
    offset = instant.astimezone(zone).utcoffset() or timedelta()
    return offset // timedelta(minutes=1)


def _exif_moment(exif: Exif, local: datetime, zone: tzinfo, shift: int) -> Moment:
    stated = _stated_zone(exif.offset)
    digits = _DIGITS.match(exif.subsec)
    fraction = int(digits.group()[:9].ljust(9, "0")) if digits else 0
    ms, nanos = divmod(fraction, NS_PER_MS)
    taken = _to_ms(local, stated or zone) + ms + shift
    return Moment(taken, nanos, offset_at(taken, stated or zone), "exif")


def _stated_zone(text: str) -> tzinfo | None:
    if text.strip() == "Z":
        return UTC
    found = _OFFSET.fullmatch(text.strip())
    if found is None:
        return None
    offset = timedelta(hours=int(found[2]), minutes=int(found[3]))
    # The widest offsets in use are -12:00 and +14:00.
    return timezone(-offset if found[1] == "-" else offset) if offset <= timedelta(hours=14) else None


def _local(parts: Iterable[str]) -> datetime | None:
    """A local time from the digits of year, month, day, hour, minute and second."""
    year, month, day, hour, minute, second = map(int, parts)
    if year not in _YEARS:
        return None
    try:
        return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - the zone comes later
    except ValueError:
        return None


def _to_ms(local: datetime, zone: tzinfo) -> int:
    return (local.replace(tzinfo=zone) - _EPOCH) // timedelta(milliseconds=1)
