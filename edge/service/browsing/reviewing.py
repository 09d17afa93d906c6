"""Registrations that want a person's eye, the least certain first, and what the person says of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from edge.errors import UsageError
from edge.registration.types import UNIDENTIFIED
from edge.service.corrections import Corrected
from edge.service.relabel import relabel_together
from edge.store.browsing import Listed, Shown, least_certain, listed, shown_page, waiting
from edge.store.corrections import Corrections
from edge.store.database import Database
from edge.store.overview import Named, named
from edge.store.queries import Filter

PICTURES: Final = 24
MOST: Final = 2000
"""Images of a registration that one word may go for."""
_PLACE: Final = re.compile(r"(\d{1,7})\.([0-9a-f-]{1,64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Queue:
    """What is to be looked at next.

    Attributes:
        row: a closed registration that nobody has spoken of; None if there is none (left).
        pictures: its images, the first few.
        waiting: how many there are altogether.
        after: passed to ``queue``, it passes over this one.
    """

    row: Listed | None
    pictures: tuple[Shown, ...]
    waiting: int
    after: str | None


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of a person's word.

    Attributes:
        row: the registration as it is now; retracted if it had no animal left, or another took its images.
        done: images that were changed, and messages by their kind.
        corrections: first and last number of what was put on record; ``unlabel_together`` takes it back.
    """

    row: Listed
    done: Corrected
    corrections: tuple[int, int]


def queue(database: Database, wanted: Filter, after: str | None = None) -> Queue:
    """The least certain registration that nobody has spoken of, beyond the one that was passed over.

    Raises:
        UsageError: ``after`` is no ``Queue.after``.
    """
    found = least_certain(database, wanted, beyond=_beyond(after), limit=1)
    number = waiting(database, wanted)
    if not found:
        return Queue(None, (), number, None)
    row = found[0]
    pictures = tuple(shown_page(database, row.registration, 0, PICTURES))
    return Queue(row, pictures, number, f"{row.registration.confidence}.{row.registration.id}")


def choices(database: Database) -> list[Named]:
    """Labels that a person may choose from, by name: of all label sets ever used here."""
    return [name for name in named(database) if name.label != UNIDENTIFIED]


def judge(
    database: Database, registration_id: str, label: str | None, count: int | None, *, revision: int
) -> Judged:
    """Put a person's word on all images of a registration, in one transaction.

    Args:
        database: opened for writing.
        registration_id: a living registration.
        label: what it shows; None for an animal that nobody can name.
        count: how many in each image; 0: no animal; None: as many as each has now.
        revision: that the person saw.

    Raises:
        UsageError: there is none (any more), it changed since it was seen, or it has too many images.
        StoreError: nothing was changed.
    """
    with database.transaction():
        seen = listed(database, [registration_id])
        if not seen or not seen[0].living:
            hint = "its images belong to another one now, or have no animal"
            raise UsageError("no such registration any more", subject=registration_id, hint=hint)
        registration = seen[0].registration
        if registration.revision != revision:
            hint = "look at it again: it is shown as it is now"
            raise UsageError("registration changed meanwhile", subject=registration_id, hint=hint)
        if registration.media_count > MOST:
            hint = "correct single images, or the camera's settings"
            raise UsageError(f"registration has more than {MOST} images", subject=registration_id, hint=hint)
        members = shown_page(database, registration, 0, registration.media_count)
        store = Corrections(database)
        before = store.newest()
        done = relabel_together(database, [m.picture.media_id for m in members], label, count)
        return Judged(listed(database, [registration_id])[0], done, (before + 1, store.newest()))


def _beyond(after: str | None) -> tuple[int, str] | None:
    if not after:
        return None
    found = _PLACE.fullmatch(after)
    if found is None:
        raise UsageError("no place in this queue", subject=after[:80], hint="begin at its front")
    return int(found[1]), found[2]
