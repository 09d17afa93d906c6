"""Requests that changed something, and images that are to be looked at again because of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from edge.store.database import Database
from edge.store.media import Detected, Embedded, Other, encode_detections, replace_embeddings

KEPT: Final = 10_000
"""Requests remembered at most; the oldest are forgotten first."""
_EVER: Final = 2**62


class Requests:
    """Reads and writes ``commands``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def answer(self, identity: str) -> bytes | None:
        """What was answered to this request; None if it wasn't carried out before."""
        row = self._db.one("SELECT answer FROM commands WHERE identity = ?", (identity,))
        return bytes(row[0]) if row else None

    def keep(self, identity: str, answer: bytes, now: int) -> None:
        """Note a request and its answer, inside the transaction of what it does."""
        self._db.execute(
            "INSERT INTO commands (identity, received, answer) VALUES (?, ?, ?)", (identity, now, answer)
        )
        self._db.execute("DELETE FROM commands WHERE id <= (SELECT MAX(id) FROM commands) - ?", (KEPT,))


@dataclass(frozen=True, slots=True)
class Which:
    """Images: one, or those of a deployment, of a span of event time (ms UTC), or both; None: all.

    ``until`` is not included.
    """

    media_id: str | None = None
    deployment: str | None = None
    since: int | None = None
    until: int | None = None


class Again(NamedTuple):
    """One image that is to be looked at again, and how often that was begun."""

    media_id: str
    attempts: int


class Kept(NamedTuple):
    """Where an image on record belongs.

    Attributes:
        media_id: which.
        file: path below the drop folder under which it was taken in.
        deployment, taken: its camera and its time, ms UTC.
        size: bytes of the file.
    """

    media_id: str
    file: str
    deployment: str
    taken: int
    size: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What is seen in an image now.

    Attributes:
        bundle: SHA-256 of the bundle that looked.
        detections: what was found.
        others: what the image says besides animals.
        embeddings: of the whole image and of its animals.
        snapshot: path of the snapshot below the state folder, or "".
        night: whether it was taken by infrared light; None: unknown.
    """

    bundle: str
    detections: tuple[Detected, ...]
    others: tuple[Other, ...]
    embeddings: tuple[Embedded, ...]
    snapshot: str
    night: bool | None = None


class Reprocessing:
    """Reads and writes ``reprocess``, and what is on record of images that are looked at again."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def choose(self, which: Which, limit: int) -> int:
        """How many images are meant, counted up to ``limit`` and one more."""
        row = self._db.one(f"SELECT COUNT(*) FROM ({_chosen(which)} LIMIT ?)", (*_values(which), limit + 1))
        return int(row[0]) if row else 0

    def add(self, which: Which) -> int:
        """Put images in line behind those that are; returns how many weren't in line already."""
        rows = self._db.execute(
            f"INSERT INTO reprocess (media_id) {_chosen(which)} ORDER BY taken, media_id "
            "ON CONFLICT DO NOTHING RETURNING 1",
            _values(which),
        )
        return len(rows)

    def waiting(self) -> int:
        """Images in line."""
        row = self._db.one("SELECT COUNT(*) FROM reprocess")
        return int(row[0]) if row else 0

    def next(self) -> Again | None:
        """The image that has waited longest."""
        row = self._db.one("SELECT media_id, attempts FROM reprocess ORDER BY id LIMIT 1")
        return Again(*row) if row else None

    def place(self, media_id: str) -> Kept | None:
        """Where an image belongs; None if it isn't on record."""
        row = self._db.one(
            "SELECT media_id, file, deployment, taken, bytes FROM media WHERE media_id = ?", (media_id,)
        )
        return Kept(*row) if row else None

    def copies(self, place: Kept) -> list[str]:
        """Other files with the same content, as far as they were found."""
        rows = self._db.execute(
            "SELECT IIF(folder = '', name, folder || '/' || name) AS file FROM files "
            "WHERE media_id = ? AND file != ? AND state IN ('processed', 'duplicate') ORDER BY file",
            (place.media_id, place.file),
        )
        return [str(row[0]) for row in rows]

    def attempt(self, media_id: str) -> None:
        """Note, durably, that an image is being looked at: it may end the process."""
        self._db.execute("UPDATE reprocess SET attempts = attempts + 1 WHERE media_id = ?", (media_id,))

    def done(self, media_id: str) -> None:
        """Take an image out of the line."""
        self._db.execute("DELETE FROM reprocess WHERE media_id = ?", (media_id,))

    def replace(self, place: Kept, seen: Seen) -> None:
        """Put what was seen in an image now in place of what was seen before, its animals excepted.

        File, time, deployment and arrival stay: they don't depend on who looks.
        """
        media_id = place.media_id
        self._db.execute(
            "UPDATE media SET detections = ?, bundle = ?, snapshot = ?, night = ? WHERE media_id = ?",
            (encode_detections(seen.detections), seen.bundle, seen.snapshot, seen.night, media_id),
        )
        self._db.execute("DELETE FROM observations WHERE media_id = ? AND kind != 'animal'", (media_id,))
        self._db.execute_many(
            "INSERT INTO observations (media_id, kind, deployment, t, label, count, confidence) "
            "VALUES (?, ?, ?, ?, NULL, ?, ?)",
            [(media_id, o.kind, place.deployment, place.taken, o.count, o.confidence) for o in seen.others],
        )
        replace_embeddings(self._db, media_id, seen.bundle, seen.embeddings)


def _chosen(which: Which) -> str:
    """A statement for the ids; one image by its id, else by deployment and time."""
    if which.media_id is not None:
        return "SELECT media_id FROM media WHERE media_id = ?"
    if which.deployment is not None:
        return "SELECT media_id FROM media WHERE deployment = ? AND taken >= ? AND taken < ?"
    return "SELECT media_id FROM media WHERE taken >= ? AND taken < ?"


def _values(which: Which) -> tuple[object, ...]:
    if which.media_id is not None:
        return (which.media_id,)
    span = (
        -_EVER if which.since is None else which.since,
        _EVER if which.until is None else which.until,
    )
    return span if which.deployment is None else (which.deployment, *span)
