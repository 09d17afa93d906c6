"""What search asks of the database: vectors, which images a filter lets through, where an image belongs.

Read-only. Labels and registrations change after an image was embedded, so they are looked up when asked and
kept in no index.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from edge.errors import StoreError
from edge.store.database import Database
from edge.store.queries import Filter

_PAGE: Final = 4096
_UNIT: Final = 2
"""Bytes of a number in a stored vector."""
_ANY: Final = 2**62
AT_NIGHT: Final = (
    "CASE WHEN m.night = 1 THEN 1 WHEN m.clock_ok AND m.time_source <> 'mtime' "
    "THEN ((m.taken + m.offset_minutes * 60000) % 86400000 + 86400000) % 86400000 / 3600000 "
    "IN (22, 23, 0, 1, 2, 3) ELSE m.night END"
)
"""Whether the image ``m`` was taken at night, as SQL: 1, 0, or NULL where it isn't known.

By infrared light, or, since white flashes make colours, from 22 to 4 o'clock by a clock that can be right.
"""


class VectorPage(NamedTuple):
    """Some stored vectors: their ids, and float16 little-endian numbers, row after row."""

    ids: tuple[int, ...]
    data: bytes


class VectorRows(NamedTuple):
    """Stored vectors that were asked for, and the images that they belong to."""

    ids: tuple[int, ...]
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
        label: of its registration; in a collection of pictures, which has none, what the image was named.
        registration_id: the living registration that it is a member of; None, as ``label``, if of none.
    """

    media_id: str
    file: str
    deployment: str
    taken: int
    offset_minutes: int
    label: str | None
    registration_id: str | None


def newest_vector(database: Database) -> int:
    """The largest id that a vector of any bundle ever had; 0 if there never was one."""
    row = database.one("SELECT seq FROM sqlite_sequence WHERE name = 'embeddings'")
    return int(row[0]) if row else 0


def vector_count(database: Database, bundle: str, after: int = 0, upto: int | None = None) -> int:
    """How many vectors of a bundle have an id larger than ``after``, and at most ``upto`` (None: any)."""
    row = database.one(
        "SELECT COUNT(*) FROM embeddings INDEXED BY embeddings_by_bundle "
        "WHERE bundle = ? AND id > ? AND id <= ?",
        (bundle, after, _ANY if upto is None else upto),
    )
    return int(row[0]) if row else 0


def vector_dimension(database: Database, bundle: str) -> int:
    """Numbers in each of a bundle's vectors; 0 if it has none."""
    row = database.one(
        "SELECT LENGTH(vector) FROM embeddings INDEXED BY embeddings_by_bundle WHERE bundle = ? LIMIT 1",
        (bundle,),
    )
    return int(row[0]) // _UNIT if row else 0


def vector_pages(
    database: Database,
    bundle: str,
    dimension: int,
    after: int = 0,
    upto: int | None = None,
    *,
    page: int = _PAGE,
) -> Iterator[VectorPage]:
    """Vectors of one bundle by ascending id, which is the order in which they were stored.

    Args:
        database: may be written to meanwhile; what is added behind the last page is left out.
        bundle: its SHA-256.
        dimension: numbers in each of its vectors.
        after: only those with a larger id.
        upto: only those with this id at most; None: all.
        page: rows at a time.

    Raises:
        StoreError: a vector has another length.
    """
    last = after
    while True:
        rows = database.execute(
            "SELECT id, vector FROM embeddings INDEXED BY embeddings_by_bundle "
            "WHERE bundle = ? AND id > ? AND id <= ? ORDER BY id LIMIT ?",
            (bundle, last, _ANY if upto is None else upto, page),
        )
        if not rows:
            return
        last = rows[-1][0]
        ids, vectors = zip(*rows, strict=True)
        yield VectorPage(ids, _joined(ids, vectors, dimension))
        if len(rows) < page:
            return


def vector_rows(database: Database, ids: Sequence[int], dimension: int) -> VectorRows:
    """Those of these vectors that exist, in any order.

    Raises:
        StoreError: one doesn't have ``dimension`` numbers.
    """
    rows = database.execute(
        "SELECT e.id, e.media_id, e.vector FROM json_each(?) j CROSS JOIN embeddings e ON e.id = j.value",
        (json.dumps(list(ids)),),
    )
    if not rows:
        return VectorRows((), (), b"")
    found, media, vectors = zip(*rows, strict=True)
    return VectorRows(found, media, _joined(found, vectors, dimension))


def vectors_of(database: Database, media_id: str, bundle: str, dimension: int) -> bytes:
    """One image's vectors, the whole image's first, then its animals'; empty if there are none.

    Raises:
        StoreError: a vector doesn't have ``dimension`` numbers.
    """
    rows = database.execute(
        "SELECT id, vector FROM embeddings WHERE media_id = ? AND bundle = ? ORDER BY ordinal",
        (media_id, bundle),
    )
    return _joined([row[0] for row in rows], [row[1] for row in rows], dimension)


def _joined(ids: Sequence[int], vectors: Sequence[bytes], dimension: int) -> bytes:
    for number, vector in zip(ids, vectors, strict=True):
        if len(vector) != dimension * _UNIT:
            raise StoreError(
                f"stored embedding has {len(vector)} bytes, {dimension * _UNIT} were expected",
                subject=f"embedding {number}",
            )
    return b"".join(vectors)


def embedded_count(database: Database) -> int:
    """Images with embeddings, of whichever bundle."""
    row = database.one(
        "SELECT COUNT(DISTINCT media_id) FROM embeddings INDEXED BY embeddings_of_images WHERE ordinal = 0"
    )
    return int(row[0]) if row else 0


def stored_spaces(database: Database) -> list[StoredSpace]:
    """Bundles whose embeddings are on record, the one with most images first."""
    rows = database.execute(
        "SELECT e.bundle, COALESCE(b.name, ''), COUNT(*) AS images "
        "FROM embeddings e INDEXED BY embeddings_of_images LEFT JOIN bundles b ON b.sha256 = e.bundle "
        "WHERE e.ordinal = 0 GROUP BY e.bundle ORDER BY images DESC, e.bundle"
    )
    return [StoredSpace(*row) for row in rows]


def allowed(database: Database, bundle: str, wanted: Filter, night: bool | None = None) -> array[int] | None:
    """Ids of a bundle's vectors whose images a filter lets through; None if it lets all through.

    Times are those of the images; the label is that of their registration, in a collection of pictures the
    image's own.

    Args:
        database: with the images.
        bundle: its SHA-256.
        wanted: the filter.
        night: True: only images taken at night (``AT_NIGHT``); False: only those taken by day; None: all.
    """
    if wanted == Filter() and night is None:
        return None
    images = _BY_PLACE
    if wanted.label is not None:
        images = _BY_NAME if is_collection(database) else _BY_LABEL
    rows = database.execute(
        f"SELECT e.id FROM ({images}) i CROSS JOIN embeddings e ON e.media_id = i.media_id AND e.bundle = ?6",
        (wanted.deployment, wanted.label, wanted.since, wanted.until, night, bundle),
    )
    return array("q", (row[0] for row in rows))


_BY_PLACE: Final = (
    "SELECT m.media_id FROM media m WHERE (?1 IS NULL OR m.deployment = ?1) "
    f"AND (?3 IS NULL OR m.taken >= ?3) AND (?4 IS NULL OR m.taken < ?4) AND (?5 IS NULL OR {AT_NIGHT} = ?5)"
)
_BY_NAME: Final = (
    "SELECT o.media_id FROM observations o CROSS JOIN media m ON m.media_id = o.media_id "
    "WHERE o.kind = 'animal' AND o.label = ?2 AND (?1 IS NULL OR o.deployment = ?1) "
    f"AND (?3 IS NULL OR o.t >= ?3) AND (?4 IS NULL OR o.t < ?4) AND (?5 IS NULL OR {AT_NIGHT} = ?5)"
)
_BY_LABEL: Final = (
    "SELECT o.media_id FROM registrations r CROSS JOIN observations o INDEXED BY animals "
    "ON o.kind = 'animal' AND o.deployment = r.deployment "
    "AND (o.t, o.media_id) >= (r.first_t, r.first_media) AND (o.t, o.media_id) <= (r.last_t, r.last_media) "
    "WHERE r.living AND (?1 IS NULL OR r.deployment = ?1) AND r.label = ?2 "
    "AND (?3 IS NULL OR o.t >= ?3) AND (?4 IS NULL OR o.t < ?4) AND (?5 IS NULL OR "
    f"EXISTS (SELECT 1 FROM media m WHERE m.media_id = o.media_id AND {AT_NIGHT} = ?5))"
)


def is_collection(database: Database) -> bool:
    """Whether it is of a folder of pictures, which has no registrations: there a label is an image's own."""
    row = database.one(f"SELECT {_IS_COLLECTION}")
    return bool(row and row[0])


_IS_COLLECTION: Final = "EXISTS (SELECT 1 FROM meta WHERE key = 'collection_root')"


def place(database: Database, media_id: str) -> Place | None:
    """Where an image belongs; None if it isn't on record.

    Living registrations of a deployment don't overlap, so only the last that begins at or before an
    observation can have it as a member.
    """
    row = database.one(
        "SELECT m.media_id, m.file, m.deployment, m.taken, m.offset_minutes, "
        f"COALESCE(r.label, CASE WHEN {_IS_COLLECTION} THEN o.label END), r.id FROM media m "
        "LEFT JOIN observations o ON o.media_id = m.media_id AND o.kind = 'animal' "
        "LEFT JOIN registrations r ON (r.last_t, r.last_media) >= (o.t, o.media_id) AND r.id = ("
        "SELECT x.id FROM registrations x INDEXED BY registrations_by_time "
        "WHERE x.living AND x.deployment = o.deployment "
        "AND (x.first_t, x.first_media) <= (o.t, o.media_id) "
        "ORDER BY x.first_t DESC, x.first_media DESC LIMIT 1) WHERE m.media_id = ?",
        (media_id,),
    )
    return Place(*row) if row else None
