"""What search asks of the database: vectors, which images a filter lets through, where an image belongs.

Read-only. Labels and registrations change after an image was embedded, so they are looked up when asked and
kept in no index.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from edge.errors import StoreError
from edge.store.database import Database
from edge.store.queries import Filter

_PAGE: Final = 4096
_UNIT: Final = 2
"""Bytes of a number in a stored vector."""


class VectorPage(NamedTuple):
    """Some stored vectors: their images, and float16 little-endian numbers, row after row."""

    media: tuple[str, ...]
    data: bytes


class StoredSpace(NamedTuple):
    """A bundle in whose embedding space images are on record; ``name`` is empty where it isn't known."""

    sha256: str
    name: str
    media_count: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where an image belongs.

    Attributes:
        media_id, file, deployment: as on record.
        taken: event time, ms UTC.
        offset_minutes: of the camera's zone at that time, for display.
        label: of its registration.
        registration_id: the living registration that it is a member of; None, as ``label``, if of none.
    """

    media_id: str
    file: str
    deployment: str
    taken: int
    offset_minutes: int
    label: str | None
    registration_id: str | None


def vector_pages(
    database: Database, bundle: str, dimension: int, *, page: int = _PAGE
) -> Iterator[VectorPage]:
    """All vectors of one bundle, in the order in which they were stored.

    Args:
        database: may be written to meanwhile; what is added behind the last page is left out.
        bundle: its SHA-256.
        dimension: numbers in each of its vectors.
        page: rows at a time.

    Raises:
        StoreError: a vector has another length.
    """
    last = 0
    while True:
        rows = database.execute(
            "SELECT rowid, media_id, vector FROM embeddings "
            "WHERE rowid > ? AND bundle = ? ORDER BY rowid LIMIT ?",
            (last, bundle, page),
        )
        if not rows:
            return
        last = rows[-1][0]
        yield VectorPage(tuple(row[1] for row in rows), b"".join(_checked(row, dimension) for row in rows))


def vectors_of(database: Database, media_id: str, bundle: str, dimension: int) -> bytes:
    """One image's vectors, the whole image's first, then its animals'; empty if there are none.

    Raises:
        StoreError: a vector doesn't have ``dimension`` numbers.
    """
    rows = database.execute(
        "SELECT rowid, media_id, vector FROM embeddings WHERE media_id = ? AND bundle = ? ORDER BY ordinal",
        (media_id, bundle),
    )
    return b"".join(_checked(row, dimension) for row in rows)


def _checked(row: tuple[Any, ...], dimension: int) -> bytes:
    _, media_id, vector = row
    if len(vector) != dimension * _UNIT:
        raise StoreError(
            f"stored embedding has {len(vector)} bytes, {dimension * _UNIT} were expected", subject=media_id
        )
    return bytes(vector)


def embedded_count(database: Database) -> int:
    """Images with embeddings, of whichever bundle."""
    row = database.one("SELECT COUNT(DISTINCT media_id) FROM embeddings")
    return int(row[0]) if row else 0


def stored_spaces(database: Database) -> list[StoredSpace]:
    """Bundles whose embeddings are on record, the one with most images first."""
    rows = database.execute(
        "SELECT e.bundle, COALESCE(b.name, ''), COUNT(DISTINCT e.media_id) AS images FROM embeddings e "
        "LEFT JOIN bundles b ON b.sha256 = e.bundle GROUP BY e.bundle ORDER BY images DESC, e.bundle"
    )
    return [StoredSpace(*row) for row in rows]


def matching(database: Database, wanted: Filter) -> frozenset[str] | None:
    """Ids of the images that a filter lets through; None if it lets all through.

    Times are those of the images; the label is that of their registration.
    """
    if wanted == Filter():
        return None
    values = (wanted.deployment, wanted.label, wanted.since, wanted.until)
    rows = database.execute(_BY_LABEL if wanted.label is not None else _BY_PLACE, values)
    return frozenset(row[0] for row in rows)


_BY_PLACE: Final = (
    "SELECT media_id FROM media WHERE (?1 IS NULL OR deployment = ?1) "
    "AND (?3 IS NULL OR taken >= ?3) AND (?4 IS NULL OR taken < ?4)"
)
_BY_LABEL: Final = (
    "SELECT o.media_id FROM registrations r CROSS JOIN observations o INDEXED BY animals "
    "ON o.kind = 'animal' AND o.deployment = r.deployment "
    "AND (o.t, o.media_id) >= (r.first_t, r.first_media) AND (o.t, o.media_id) <= (r.last_t, r.last_media) "
    "WHERE r.living AND (?1 IS NULL OR r.deployment = ?1) AND r.label = ?2 "
    "AND (?3 IS NULL OR o.t >= ?3) AND (?4 IS NULL OR o.t < ?4)"
)


def place(database: Database, media_id: str) -> Place | None:
    """Where an image belongs; None if it isn't on record.

    Living registrations of a deployment don't overlap, so only the last that begins at or before an
    observation can have it as a member.
    """
    row = database.one(
        "SELECT m.media_id, m.file, m.deployment, m.taken, m.offset_minutes, r.label, r.id FROM media m "
        "LEFT JOIN observations o ON o.media_id = m.media_id AND o.kind = 'animal' "
        "LEFT JOIN registrations r ON (r.last_t, r.last_media) >= (o.t, o.media_id) AND r.id = ("
        "SELECT x.id FROM registrations x INDEXED BY registrations_by_time "
        "WHERE x.living AND x.deployment = o.deployment "
        "AND (x.first_t, x.first_media) <= (o.t, o.media_id) "
        "ORDER BY x.first_t DESC, x.first_media DESC LIMIT 1) WHERE m.media_id = ?",
        (media_id,),
    )
    return Place(*row) if row else None
