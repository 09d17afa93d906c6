"""Images on record as pictures: what was found in them, their small picture, their vectors in order."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Final, NamedTuple

from edge.store.database import Database
from edge.store.media import Detected, decode_detections

_PAGE: Final = 1000


class Recorded(NamedTuple):
    """An image on record.

    Attributes:
        file: under which it was taken in.
        snapshot: below the state folder, or "".
        detections: what was found.
    """

    file: str
    snapshot: str
    detections: tuple[Detected, ...]


class Embedded(NamedTuple):
    """An image with its vectors of one bundle.

    Attributes:
        media_id: of it.
        id: of the whole image's vector.
        detections: what was found.
        vectors: float16 little-endian, row after row, the whole image's first.
    """

    media_id: str
    id: int
    detections: tuple[Detected, ...]
    vectors: bytes


def recorded(database: Database, media_id: str) -> Recorded | None:
    """One image; None if it isn't on record."""
    row = database.one("SELECT file, snapshot, detections FROM media WHERE media_id = ?", (media_id,))
    return Recorded(row[0], row[1], decode_detections(row[2])) if row else None


def embedded(database: Database, bundle: str, *, page: int = _PAGE) -> Iterator[Embedded]:
    """All images with vectors of a bundle, by id.

    Args:
        database: may be written to meanwhile.
        bundle: its SHA-256.
        page: images at a time.
    """
    last = ""
    while True:
        rows = database.execute(_PAGE_OF_IMAGES, (bundle, last, page))
        for media_id, group in groupby(rows, key=itemgetter(0)):
            parts = list(group)
            vectors = b"".join(part[-1] for part in parts)
            yield Embedded(media_id, parts[0][2], decode_detections(parts[0][1]), vectors)
        if not rows:
            return
        last = rows[-1][0]


_PAGE_OF_IMAGES: Final = (
    "SELECT m.media_id, m.detections, e.id, e.vector FROM ("
    "SELECT media_id FROM embeddings INDEXED BY embeddings_of_images "
    "WHERE bundle = ?1 AND ordinal = 0 AND media_id > ?2 "
    "ORDER BY media_id LIMIT ?3) AS chosen CROSS JOIN media m ON m.media_id = chosen.media_id "
    "CROSS JOIN embeddings e ON e.media_id = m.media_id AND e.bundle = ?1 "
    "ORDER BY m.media_id, e.ordinal"
)
