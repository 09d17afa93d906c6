"""Times, names and figures as people read them."""

from __future__ import annotations

import time
from typing import Final

from edge.delivery.messages import timestamp
from edge.registration.types import UNIDENTIFIED

_PPM: Final = 1_000_000
_SPANS: Final = ((31_557_600, "y"), (86_400, "d"), (3600, "h"), (60, "min"))
_SIZES: Final = ("B", "kB", "MB", "GB", "TB")
_KILO: Final = 1000


def plain(label: str | None) -> str:
    """A label in words."""
    words = (label or UNIDENTIFIED).replace("_", " ")
    return words if words.strip() else str(label)  # a link needs something to be seen of it


def moment(ms: int, offset_minutes: int, length: int = 19) -> str:
    """The camera's own time: ``2026-05-04 03:12:09``, or the first so many characters of it."""
    return timestamp(ms, offset_minutes)[:length].replace("T", " ")


def iso(ms: int, offset_minutes: int) -> str:
    """The same for programs, with the zone's offset."""
    return timestamp(ms, offset_minutes)


def zone(offset_minutes: int) -> str:
    """A zone's offset: ``UTC+07:00``."""
    sign = "-" if offset_minutes < 0 else "+"
    return f"UTC{sign}{abs(offset_minutes) // 60:02}:{abs(offset_minutes) % 60:02}"


def span(first: int, last: int) -> str:
    """How long something took: ``19 min``; empty below a second."""
    seconds = (last - first) // 1000
    return duration(seconds) if seconds else ""


def duration(seconds: int) -> str:
    """A time span in its largest unit, rounded down."""
    for length, unit in _SPANS:
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def ago(ms: int) -> str:
    """How long ago a moment was, by this device's clock."""
    seconds = max(0, time.time_ns() // 1_000_000 - ms) // 1000
    return "just now" if seconds < 60 else f"{duration(seconds)} ago"  # noqa: PLR2004 - a minute


def percent(share: float) -> str:
    """0 to 1 in percent."""
    return f"{share * 100:.0f} %"


def sure(ppm: int) -> str:
    """A confidence in parts per million, in percent."""
    return percent(ppm / _PPM)


def size(number: float) -> str:
    """Bytes with a unit."""
    for unit in _SIZES:
        if number < _KILO or unit == _SIZES[-1]:
            break
        number /= _KILO
    return f"{number:.0f} {unit}" if unit == "B" or number >= 10 else f"{number:.1f} {unit}"  # noqa: PLR2004


def count(number: int, noun: str, several: str = "") -> str:
    """``1 image``, ``3 images``."""
    return f"{number:,} {noun if number == 1 else several or noun + 's'}"


def said(value: object) -> str:
    """A value of a message, as a person reads it."""
    if isinstance(value, dict):
        pairs = ", ".join(f"{plain(str(name))} {number}" for name, number in value.items())
        return str(value["name"]) if "name" in value else pairs or "none"
    if isinstance(value, float):
        return percent(value)
    if isinstance(value, str) and value[10:11] == "T":
        return value[:19].replace("T", " ")
    return str(value).replace("_", " ")


FILTERS: Final = {
    f.__name__: f for f in (plain, moment, iso, zone, duration, ago, percent, sure, size, count, said)
}
