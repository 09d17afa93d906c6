"""One registration, or one image, with all that is kept of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from edge.delivery.messages import RegistrationMessage
from edge.service.history import Revision, revisions
from edge.store.browsing import Listed, Shown, listed, neighbours, shown, shown_page
from edge.store.database import Database
from edge.store.history import said_about
from edge.store.searching import place

PICTURES: Final = 60


@dataclass(frozen=True, slots=True)
class Detail:
    """A registration.

    Attributes:
        row: as in lists.
        pictures: its images in order, from ``offset`` on; none once it is retracted.
        offset: how many come before the first of them.
        before, after: ids of its neighbours at the same camera.
        past: its messages that are still kept, each with what it changed, oldest first.
    """

    row: Listed
    pictures: tuple[Shown, ...]
    offset: int
    before: str | None
    after: str | None
    past: tuple[Revision, ...]


def detail(
    database: Database, registration_id: str, *, offset: int = 0, limit: int = PICTURES
) -> Detail | None:
    """All about a registration, living or retracted; None if there never was one with this id.

    Args:
        database: any.
        registration_id: the whole id.
        offset: how many of its images are left out before those shown.
        limit: how many are shown at most.
    """
    rows = listed(database, [registration_id])
    if not rows:
        return None
    row = rows[0]
    before, after = neighbours(database, row.registration)
    said = said_about(database, registration_id)
    past = revisions([RegistrationMessage.model_validate_json(one.payload) for one in said])
    pictures = shown_page(database, row.registration, offset, limit) if row.living else []
    return Detail(row, tuple(pictures), offset, before, after, tuple(past))


def one_picture(database: Database, media_id: str) -> tuple[Shown, str | None] | None:
    """An image on record, and the registration that it is in; None if it isn't on record."""
    found, where = shown(database, media_id), place(database, media_id)
    if found is None or where is None:
        return None
    return found, where.registration_id
