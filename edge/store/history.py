"""What is kept of one registration: its images with everybody's word on them, and the messages about it."""

from __future__ import annotations

from typing import NamedTuple

from edge.registration.types import Registration
from edge.store.corrections import Corrections, Review
from edge.store.database import Database
from edge.store.queries import Member, members


class Reviewed(NamedTuple):
    """One image of a registration, and what a person said of it, if one did."""

    member: Member
    review: Review | None


class Said(NamedTuple):
    """One message about a registration; ``created`` is ms UTC."""

    seq: int
    created: int
    payload: bytes
    state: str


def find_registrations(database: Database, beginning: str) -> list[str]:
    """Ids, at most two, that begin like this; of registrations that live or lived."""
    rows = database.execute(
        "SELECT id FROM registrations WHERE id >= ? AND id < ? ORDER BY id LIMIT 2",
        (beginning, f"{beginning}~"),
    )
    return [row[0] for row in rows]


def reviewed_members(database: Database, registration: Registration) -> list[Reviewed]:
    """All images of a living registration, in order."""
    corrections = Corrections(database)
    return [
        Reviewed(member, corrections.review(member.media_id))
        for member in members(database, registration, shown=registration.media_count)
    ]


def said_about(database: Database, registration_id: str) -> list[Said]:
    """Messages about a registration that are still kept, by number."""
    rows = database.execute(
        "SELECT seq, created, payload, state FROM outbox WHERE registration_id = ? ORDER BY seq",
        (registration_id,),
    )
    return [Said(*row) for row in rows]
