"""What the forms of the pages ask for, read from addresses; what they said is shown again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from edge.errors import UsageError
from edge.service.browsing import Wish
from edge.settings import Settings
from edge.store.queries import Filter

_LONGEST: Final = 200
_DAY: Final = 10
"""Characters of a day without a time."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A filter form.

    Attributes:
        filter: what it means.
        night: only pictures by infrared light, or only others; None: all.
        said: what the fields said, to show them again; only those that said something.
    """

    filter: Filter
    night: bool | None
    said: Mapping[str, str]


def wanted(fields: Mapping[str, str], settings: Settings) -> Wanted:
    """Read ``deployment``, ``label``, ``from``, ``to`` and ``night``.

    Args:
        fields: of the form; empty ones say nothing.
        settings: times are in the zone of the camera that is chosen, else in that of ``intake.timezone``.

    Raises:
        UsageError: a time is none, or ends before it begins.
    """
    names = ("deployment", "label", "from", "to", "night")
    said = {name: fields[name].strip()[:_LONGEST] for name in names if fields.get(name, "").strip()}
    deployment = said.get("deployment")
    zone = settings.intake.zone(deployment or "")
    since, until = _time(said.get("from"), zone), _time(said.get("to"), zone, end=True)
    if since is not None and until is not None and until <= since:
        raise UsageError("the time ends before it begins", subject=f"{said['from']} to {said['to']}")
    night = {"yes": True, "no": False}.get(said.get("night", ""))
    return Wanted(Filter(deployment, said.get("label"), since, until), night, said)


def wish(fields: Mapping[str, str], settings: Settings) -> tuple[Wish, Wanted]:
    """A list of registrations: what ``wanted`` reads, and ``state`` and ``order``."""
    asked = wanted(fields, settings)
    state, order = fields.get("state"), fields.get("order")
    said = dict(asked.said)
    said.update({"state": state} if state in ("open", "closed") else {})
    said.update({"order": "time"} if order == "time" else {})
    found = Wish(
        asked.filter,
        "open" if state == "open" else "closed" if state == "closed" else None,
        "time" if order == "time" else "changed",
    )
    return found, Wanted(asked.filter, asked.night, said)


def _time(text: str | None, zone: ZoneInfo, *, end: bool = False) -> int | None:
    """A day or a moment as ms UTC; a day that ends something is included."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
        found = found + timedelta(days=1) if end and len(text) == _DAY else found
        aware = found if found.tzinfo else found.replace(tzinfo=zone)
        return round(aware.timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise UsageError("not a time", subject=text, hint="such as 2026-05-04 or 2026-05-04T18:00") from error
