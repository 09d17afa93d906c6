"""Times and durations as people and tools write them.

A time without a zone is local time, read in the zone that the caller names. A local time that the zone skips
in spring is read with the offset from before the change, and one that happens twice in autumn as its first
occurrence (``fold=0``, PEP 495), as the daemon does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from edge.errors import UsageError
from edge.interchange.types import BadValue

EXPECTED = "a date and time such as 2026-05-04 18:00:00 or 2026-05-04T18:00:00+02:00"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_YEARS = range(1900, 2200)
_PARTS = re.compile(
    r"(\d{4})([-:/.])(\d\d?)\2(\d\d?)(?:([T ])\s*|\s+)(\d\d?):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?"
    r"\s*(Z|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII,
)
_CLOCK = re.compile(r"(\d{1,4}):([0-5]\d)(?::([0-5]\d))?", re.ASCII)
_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|min|[smhd])", re.ASCII)
_LONGEST_MS = 366 * 86_400_000


@dataclass(frozen=True, slots=True)
class Style:
    """How a table writes its times, so that results can be written in the same way.

    Attributes:
        date: what stands between year, month and day.
        joint: what stands between date and time.
        seconds: whether seconds are written.
        digits: of the second's fraction, 0 to 3.
        zone: whether times carry an offset.
        exact: whether seconds and milliseconds are written wherever they aren't 0, whatever the style.
        format: a strftime format instead of all these, where the caller named one.
    """

    date: str = "-"
    joint: str = "T"
    seconds: bool = True
    digits: int = 0
    zone: bool = True
    exact: bool = True
    format: str = ""

    def write(self, t: int, zone: tzinfo) -> str:
        """An instant (ms UTC) in this style, local to a zone."""
        local = (_EPOCH + t * _MS).astimezone(zone)
        if self.format:
            return local.strftime(self.format)
        text = f"{local.year:04}{self.date}{local.month:02}{self.date}{local.day:02}{self.joint}"
        text += f"{local.hour:02}:{local.minute:02}"
        digits = 3 if self.exact and t % 1000 else self.digits
        if self.seconds or digits or (self.exact and local.second):
            text += f":{local.second:02}"
        if digits:
            text += f".{local.microsecond // 1000:03}"[: digits + 1]
        return text + (_offset(local) if self.zone else "")


class Clock:
    """Reads an input's times, and remembers how they are written.

    Args:
        zone: of times that don't state theirs; None where the caller doesn't know it, then UTC stands in.
        format: a strptime format, where times are written in a way of their own.
    """

    def __init__(self, zone: tzinfo | None = None, format: str = "") -> None:  # noqa: A002 - as in strptime
        self.stated = zone
        self.zone = zone or UTC
        self._format = format
        self._style: Style | None = None

    @property
    def style(self) -> Style:
        """How the first time that was read is written; ISO 8601 with offset before that."""
        return self._style or Style()

    def read(self, text: str, column: str = "time") -> int:
        """An instant, ms UTC.

        Raises:
            BadValue: it is no time, or lies before 1900 or after 2199.
        """
        if self._style is None:
            found = self._parsed(text, column)
            self._style = style_of(text, self._format)
        else:
            found = self._parsed(text, column)
        if found.tzinfo is None:
            found = found.replace(tzinfo=self.zone)
        if found.year not in _YEARS:
            raise BadValue(column, text, "a year from 1900 to 2199")
        return (found - _EPOCH) // _MS

    def write(self, t: int) -> str:
        """An instant in the input's own way, local to its zone."""
        return self.style.write(t, self.zone)

    def _parsed(self, text: str, column: str) -> datetime:
        if self._format:
            try:
                return datetime.strptime(text, self._format)  # noqa: DTZ007 - the zone comes later
            except ValueError as error:
                raise BadValue(column, text, f"a time written as {self._format}") from error
        # A date alone is no time: without this, a column of dates would be read as midnights.
        if len(text) > len("2026-05-04"):
            try:
                return datetime.fromisoformat(text)
            except ValueError:
                pass
        return _by_hand(text, column)


def style_of(text: str, format: str = "") -> Style:  # noqa: A002 - as in strptime
    """How a time is written."""
    if format:
        return Style(format=format)
    found = _PARTS.fullmatch(text.strip())
    if found is None:
        return Style()
    return Style(
        date=found[2],
        joint=found[5] or " ",
        seconds=found[8] is not None,
        digits=min(len(found[9] or ""), 3),
        zone=found[10] is not None,
    )


def duration(text: str) -> int:
    """A duration, ms: ``30m``, ``1h30m``, ``1800`` (seconds), ``00:30:00``, ``500ms``, ``2d``.

    Raises:
        UsageError: it is none, or longer than a year.
    """
    found = _duration(text.strip().lower())
    if found is None or found > _LONGEST_MS:
        raise UsageError(
            "not a duration",
            subject=text,
            hint="write 30m, 1h30m, 1800 (seconds) or 00:30:00, a year at most",
        )
    return found


def _duration(text: str) -> int | None:
    if re.fullmatch(r"\d{1,12}(\.\d{1,6})?", text, re.ASCII):
        return round(float(text) * 1000)
    if clock := _CLOCK.fullmatch(text):
        hours, minutes, seconds = int(clock[1]), int(clock[2]), int(clock[3] or 0)
        return ((hours * 60 + minutes) * 60 + seconds) * 1000
    amounts = _AMOUNT.findall(text)
    if not amounts or _AMOUNT.sub("", text).strip() or len(text) > 40:  # noqa: PLR2004 - no sane one is longer
        return None
    return round(sum(float(number) * _UNITS[unit] for number, unit in amounts))


def _by_hand(text: str, column: str) -> datetime:
    """Writings that the standard library doesn't read: EXIF's colons, slashes, single digits."""
    found = _PARTS.fullmatch(text.strip())
    if found is None:
        raise BadValue(column, text, EXPECTED)
    year, _, month, day, _, hour, minute, second, fraction, offset = found.groups()
    iso = f"{year}-{month:0>2}-{day:0>2}T{hour:0>2}:{minute}:{second or '00'}"
    iso += f".{fraction[:6]:0<6}" if fraction else ""
    try:
        return datetime.fromisoformat(iso + (offset or ""))
    except ValueError as error:
        raise BadValue(column, text, EXPECTED) from error


def _offset(local: datetime) -> str:
    text = local.strftime("%z")
    return f"{text[:3]}:{text[3:5]}"
