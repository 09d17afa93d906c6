"""Registrations page by page, newest first, and what changed since a message."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal

from edge.errors import UsageError
from edge.store.browsing import (
    Listed,
    Place,
    State,
    changed_since,
    head,
    newest_by_change,
    newest_by_time,
)
from edge.store.database import Database
from edge.store.queries import Filter

Order = Literal["changed", "time"]
SIZE: Final = 24
LONGEST: Final = 200
_BY_CHANGE: Final = re.compile(r"c(\d{1,18})", re.ASCII)
_BY_TIME: Final = re.compile(r"t(-?\d{1,18})\.([0-9a-f]{64})", re.ASCII)
_HASH: Final = "sha256:"


@dataclass(frozen=True, slots=True)
class Wish:
    """Which registrations are wanted, and in which order.

    Attributes:
        filter: by camera, label, time.
        state: only open, or only closed ones.
        order: ``changed`` has the one that was spoken of last first, ``time`` the one that began last.
    """

    filter: Filter = field(default_factory=Filter)
    state: State | None = None
    order: Order = "changed"


@dataclass(frozen=True, slots=True)
class Page:
    """Some registrations, and where the list goes on; ``after`` is None at its end."""

    rows: tuple[Listed, ...]
    after: str | None


@dataclass(frozen=True, slots=True)
class Changes:
    """Registrations that something was said of, oldest first, and the last number given out.

    ``more`` is set where there are more of them: the caller asks again from the last row's number.
    """

    rows: tuple[Listed, ...]
    head: int
    more: bool


def page(database: Database, wish: Wish, after: str | None = None, size: int = SIZE) -> Page:
    """A page of living registrations.

    Args:
        database: any.
        wish: which.
        after: ``Page.after`` of the page before; None begins.
        size: rows, at most ``LONGEST``.

    Raises:
        UsageError: ``after`` isn't one, or is of the other order.
    """
    size = max(1, min(size, LONGEST))
    if wish.order == "changed":
        below = int(_cursor(_BY_CHANGE, after)[1]) if after else None
        rows = newest_by_change(database, wish.filter, wish.state, below=below, limit=size + 1)
    else:
        place: Place | None = None
        if after:
            found = _cursor(_BY_TIME, after)
            place = (int(found[1]), _HASH + found[2])
        rows = newest_by_time(database, wish.filter, wish.state, below=place, limit=size + 1)
    more = len(rows) > size
    shown = tuple(rows[:size])
    return Page(shown, _after(shown[-1], wish.order) if more else None)


def changes(database: Database, seq: int, limit: int = LONGEST) -> Changes:
    """What was said after the message with this number; retracted registrations too."""
    rows = changed_since(database, seq, limit + 1)
    return Changes(tuple(rows[:limit]), head(database), len(rows) > limit)


def matches(row: Listed, wish: Wish) -> bool:
    """Whether a registration belongs into a list; a retracted one never does."""
    wanted, registration = wish.filter, row.registration
    return (
        row.living
        and wanted.deployment in (None, registration.deployment)
        and wanted.label in (None, registration.label)
        and (wanted.since is None or registration.end >= wanted.since)
        and (wanted.until is None or registration.start < wanted.until)
        and wish.state in (None, registration.state)
    )


def _after(row: Listed, order: Order) -> str:
    if order == "changed":
        return f"c{row.seq}"
    t, media_id = row.place
    return f"t{t}.{media_id.removeprefix(_HASH)}"


def _cursor(pattern: re.Pattern[str], after: str) -> re.Match[str]:
    found = pattern.fullmatch(after)
    if found is None:
        raise UsageError("no place in this list", subject=after[:80], hint="begin with its first page")
    return found
