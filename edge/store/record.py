"""The registration engine's ``Record`` over the database.

Every call works on the writer's connection, inside the transaction that its caller holds.
"""

from __future__ import annotations

import json
from typing import Any

from edge.registration.types import Key, Observation, Registration, Tally
from edge.store.database import Database

_OBSERVATION = "deployment, media_id, t, label, count, confidence"
_REGISTRATION = (
    "id, deployment, label, count, first_t, first_media, last_t, last_media, media_count, votes, confidence, "
    "state, revision, opened, superseded_by, confidence_sums"
)
_ANIMALS = "FROM observations INDEXED BY animals WHERE kind = 'animal' AND deployment = ?"


def to_registration(row: tuple[Any, ...]) -> Registration:
    """A row of ``registrations``, columns in the order of ``REGISTRATION_COLUMNS``."""
    (id_, deployment, label, count, first_t, first_media, last_t, last_media, media_count, votes, *rest) = row
    confidence, state, revision, opened, superseded_by, sums = rest
    return Registration(
        id=id_,
        deployment=deployment,
        label=label,
        count=count,
        first=Key(first_t, first_media),
        last=Key(last_t, last_media),
        media_count=media_count,
        votes=json.loads(votes),
        confidence=confidence,
        state=state,
        revision=revision,
        opened=opened,
        superseded_by=superseded_by,
        confidence_sums=json.loads(sums),
    )


REGISTRATION_COLUMNS = _REGISTRATION


class SqliteRecord:
    """``edge.registration.types.Record``, in SQLite."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, observation: Observation) -> bool:
        """Put one observation on record; False if its media is there already."""
        o = observation
        rows = self._db.execute(
            "INSERT INTO observations (media_id, kind, deployment, t, label, count, confidence) "
            "VALUES (?, 'animal', ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING 1",
            (o.media_id, o.deployment, o.t, o.label, o.count, o.confidence),
        )
        return bool(rows)

    def remove(self, observation: Observation) -> bool:
        """Take one observation off the record; False if it isn't there."""
        rows = self._db.execute(
            "DELETE FROM observations WHERE media_id = ? AND kind = 'animal' AND deployment = ? AND t = ? "
            "RETURNING 1",
            (observation.media_id, observation.deployment, observation.t),
        )
        return bool(rows)

    def observations(self, deployment: str, first_t: int, last_t: int) -> list[Observation]:
        """Those with ``first_t <= t <= last_t``, in key order."""
        rows = self._db.execute(
            f"SELECT {_OBSERVATION} {_ANIMALS} AND t BETWEEN ? AND ? ORDER BY t, media_id",
            (deployment, first_t, last_t),
        )
        return [Observation(*row) for row in rows]

    def before(self, deployment: str, key: Key) -> Observation | None:
        """The nearest observation whose key is smaller."""
        row = self._db.one(
            f"SELECT {_OBSERVATION} {_ANIMALS} AND (t, media_id) < (?, ?) ORDER BY t DESC, media_id DESC "
            f"LIMIT 1",
            (deployment, *key),
        )
        return Observation(*row) if row else None

    def after(self, deployment: str, key: Key) -> Observation | None:
        """The nearest observation whose key is larger."""
        row = self._db.one(
            f"SELECT {_OBSERVATION} {_ANIMALS} AND (t, media_id) > (?, ?) ORDER BY t, media_id LIMIT 1",
            (deployment, *key),
        )
        return Observation(*row) if row else None

    def tally(self, deployment: str, first: Key, last: Key) -> Tally:
        """Sums over the observations from ``first`` to ``last``."""
        rows = self._db.execute(
            f"SELECT label, COUNT(*), SUM(confidence) {_ANIMALS} "
            "AND (t, media_id) >= (?, ?) AND (t, media_id) <= (?, ?) GROUP BY label ORDER BY label",
            (deployment, *first, *last),
        )
        return Tally(
            media_count=sum(row[1] for row in rows),
            votes={label: number for label, number, _ in rows if label is not None},
            confidence={label: confidence for label, _, confidence in rows if label is not None},
        )

    def max_count(self, deployment: str, first_t: int, last_t: int) -> int:
        """Largest count among observations with ``first_t <= t <= last_t``; 0 if there are none."""
        row = self._db.one(
            f"SELECT MAX(count) {_ANIMALS} AND t BETWEEN ? AND ?", (deployment, first_t, last_t)
        )
        return int(row[0] or 0) if row else 0

    def registrations(self, deployment: str, first: Key, last: Key) -> list[Registration]:
        """Living registrations that have a member from ``first`` to ``last``, in order.

        Living registrations don't overlap, so those that begin at or before ``first`` can only matter
        through the last of them.
        """
        rows = self._db.execute(
            f"SELECT * FROM (SELECT {_REGISTRATION} FROM registrations WHERE living AND deployment = ? "
            "AND (first_t, first_media) <= (?, ?) ORDER BY first_t DESC, first_media DESC LIMIT 1) "
            "WHERE (last_t, last_media) >= (?, ?)",
            (deployment, *first, *first),
        )
        rows += self._db.execute(
            f"SELECT {_REGISTRATION} FROM registrations WHERE living AND deployment = ? "
            "AND (first_t, first_media) > (?, ?) AND (first_t, first_media) <= (?, ?) ORDER BY first_t, "
            "first_media",
            (deployment, *first, *last),
        )
        return [to_registration(row) for row in rows]

    def open_registrations(self, deployment: str) -> list[Registration]:
        """Living registrations in state ``open``, in order."""
        rows = self._db.execute(
            f"SELECT {_REGISTRATION} FROM registrations INDEXED BY registrations_open "
            "WHERE living AND state = 'open' AND deployment = ? ORDER BY first_t, first_media",
            (deployment,),
        )
        return [to_registration(row) for row in rows]

    def find(self, registration_id: str) -> Registration | None:
        """The registration with this id, living or retracted; else None."""
        row = self._db.one(f"SELECT {_REGISTRATION} FROM registrations WHERE id = ?", (registration_id,))
        return to_registration(row) if row else None

    def is_living(self, registration_id: str) -> bool:
        """Whether the id stands for a registration that is not retracted."""
        return (
            self._db.one("SELECT 1 FROM registrations WHERE id = ? AND living", (registration_id,))
            is not None
        )

    def put(self, registration: Registration) -> None:
        """Insert or replace a living registration by id."""
        self._write(registration, living=True)

    def retract(self, registration: Registration) -> None:
        """Turn a registration into a tombstone."""
        self._write(registration, living=False)

    def next_opening(self, deployment: str) -> int:
        """A number larger than any given before for this deployment."""
        rows = self._db.execute(
            "INSERT INTO deployments (deployment, openings) VALUES (?, 1) "
            "ON CONFLICT DO UPDATE SET openings = openings + 1 RETURNING openings",
            (deployment,),
        )
        return int(rows[0][0])

    def watermark(self, deployment: str) -> int | None:
        """The deployment's watermark, ms UTC, or None before the first."""
        row = self._db.one("SELECT watermark FROM deployments WHERE deployment = ?", (deployment,))
        return row[0] if row else None

    def set_watermark(self, deployment: str, watermark: int) -> None:
        """Remember the deployment's watermark."""
        self._db.execute(
            "INSERT INTO deployments (deployment, watermark) VALUES (?, ?) "
            "ON CONFLICT DO UPDATE SET watermark = excluded.watermark",
            (deployment, watermark),
        )

    def _write(self, r: Registration, *, living: bool) -> None:
        votes, sums = (json.dumps(dict(m), separators=(",", ":")) for m in (r.votes, r.confidence_sums))
        self._db.execute(
            f"INSERT INTO registrations (living, {_REGISTRATION}) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
            "living = excluded.living, deployment = excluded.deployment, label = excluded.label, "
            "count = excluded.count, first_t = excluded.first_t, first_media = excluded.first_media, "
            "last_t = excluded.last_t, last_media = excluded.last_media, media_count = excluded.media_count, "
            "votes = excluded.votes, confidence = excluded.confidence, state = excluded.state, "
            "revision = excluded.revision, opened = excluded.opened, superseded_by = excluded.superseded_by, "
            "confidence_sums = excluded.confidence_sums",
            (
                living,
                r.id,
                r.deployment,
                r.label,
                r.count,
                *r.first,
                *r.last,
                r.media_count,
                votes,
                r.confidence,
                r.state,
                r.revision,
                r.opened,
                r.superseded_by,
                sums,
            ),
        )
