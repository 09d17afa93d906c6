"""After a database was replaced: all that is on record is said again, what isn't there any more taken back.

A *stray* is a registration that subscribers know from the replaced database, and the record doesn't have.
Once the drop folder has been read again it is there under the same id, or its images belong to another
registration now; then it is retracted. If its images are gone, nothing contradicts it, and subscribers keep
what only they know.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, NamedTuple

from edge.registration.types import Change, ChangeKind, Key, Registration
from edge.service.emit import Voice, emit
from edge.store.database import Database
from edge.store.outbox import Outbox
from edge.store.record import REGISTRATION_COLUMNS, SqliteRecord, to_registration
from edge.store.recovery import Stray

SLICE: Final = 50
"""Registrations in one transaction; the writer waits for no more."""
_KEY: Final = "restate_after"


def is_restating(database: Database) -> bool:
    """Whether there is something on record that has yet to be said under this epoch."""
    return database.one("SELECT 1 FROM meta WHERE key = ?", (_KEY,)) is not None


def restate(database: Database, voice: Voice, now: int, limit: int = SLICE) -> int:
    """Say the next registrations on record again, retracted ones too; returns how many, 0 once all are said.

    Args:
        database: of the daemon.
        voice: who speaks.
        now: the device's time, ms UTC.
        limit: so many at most.
    """
    record, outbox = SqliteRecord(database), Outbox(database)
    with database.transaction():
        if not is_restating(database):
            return 0
        rows = database.execute(
            f"SELECT living, {REGISTRATION_COLUMNS} FROM registrations WHERE id > ? ORDER BY id LIMIT ?",  # noqa: S608 - a constant of the store's
            (database.meta(_KEY), limit),
        )
        for living, *columns in rows:
            registration = _next(to_registration(tuple(columns)))
            (record.put if living else record.retract)(registration)
            emit(database, outbox, voice, Change(_kind(registration, living=living), registration), now=now)
        if rows:
            database.remember(_KEY, rows[-1][1])
        else:
            database.execute("DELETE FROM meta WHERE key = ?", (_KEY,))
    return len(rows)


class Settled(NamedTuple):
    """What became of some strays.

    Attributes:
        last: the last one looked at; "" when there are no more.
        retracted: how many were.
    """

    last: str
    retracted: int


def settle_strays(database: Database, voice: Voice, now: int, after: str, limit: int = SLICE) -> Settled:
    """Look at the next strays: those on record are strays no more, those contradicted by it are retracted.

    Args:
        database: of the daemon, which has read everything that is in the drop folder.
        voice: who speaks.
        now: the device's time, ms UTC.
        after: id of the stray that was looked at last; "" begins.
        limit: so many at most.
    """
    retracted = 0
    with database.transaction():
        rows = database.execute(
            "SELECT * FROM strays WHERE registration_id > ? ORDER BY registration_id LIMIT ?", (after, limit)
        )
        for stray in (Stray(*row) for row in rows):
            known = SqliteRecord(database).is_living(stray.registration_id)
            if not known and _is_contradicted(database, stray):
                _retract(database, voice, stray, now)
                retracted += 1
                known = True
            if known:
                database.execute("DELETE FROM strays WHERE registration_id = ?", (stray.registration_id,))
    return Settled(rows[-1][0] if rows else "", retracted)


def has_strays(database: Database) -> bool:
    """Whether subscribers may know of registrations that aren't on record."""
    return database.one("SELECT 1 FROM strays LIMIT 1") is not None


def _next(registration: Registration) -> Registration:
    return replace(registration, revision=registration.revision + 1)


def _kind(registration: Registration, *, living: bool) -> ChangeKind:
    if not living:
        return "retracted"
    return "updated" if registration.state == "open" else "corrected"


def _is_contradicted(database: Database, stray: Stray) -> bool:
    """An image of it is on record elsewhere, or something else was seen there then.

    Registrations of a deployment never overlap, so one in which an image of another lies can't be.
    """
    if stray.media_id and database.one("SELECT 1 FROM media WHERE media_id = ?", (stray.media_id,)):
        return True
    span = (stray.deployment, stray.first_t, stray.last_t)
    return bool(SqliteRecord(database).observations(*span))


def _retract(database: Database, voice: Voice, stray: Stray, now: int) -> None:
    record = SqliteRecord(database)
    first, last = Key(stray.first_t, ""), Key(stray.last_t, "~")
    heirs = record.registrations(stray.deployment, first, last)
    before = record.find(stray.registration_id)
    tombstone = Registration(
        id=stray.registration_id,
        deployment=stray.deployment,
        label=stray.label,
        count=stray.count,
        first=first,
        last=last,
        media_count=0,
        votes={},
        confidence=0,
        state="closed",
        revision=before.revision + 1 if before else 1,
        opened=before.opened if before else record.next_opening(stray.deployment),
        superseded_by=heirs[0].id if heirs else None,
    )
    record.retract(tombstone)
    emit(database, Outbox(database), voice, Change("retracted", tombstone), now=now)
