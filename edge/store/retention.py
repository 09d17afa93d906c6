"""What may be removed to make room, and the record of what was. In small steps: none holds up a commit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from edge.store.database import Database

RemovalKind = Literal["message", "snapshot", "original", "damaged"]


class Removal(NamedTuple):
    """One line of the record of removals.

    Attributes:
        at: when, ms UTC by the device's clock.
        kind: of what.
        what: a path for an original; else what they have in common.
        number: how many.
        size: bytes.
        reason: why.
    """

    at: int
    kind: RemovalKind
    what: str
    number: int
    size: int
    reason: str


class Snapshot(NamedTuple):
    """A snapshot on record; ``received`` is when its image was processed, ms UTC."""

    media_id: str
    path: str
    received: int


class Original(NamedTuple):
    """A file in the drop folder whose image is on record.

    Attributes:
        media_id: of its content.
        folder, name: where, below the drop folder.
        size, mtime_ns: as it was when it was read.
        received: when it was processed, ms UTC.
    """

    media_id: str
    folder: str
    name: str
    size: int
    mtime_ns: int
    received: int

    @property
    def file(self) -> str:
        """Path below the drop folder."""
        return f"{self.folder}/{self.name}".lstrip("/")


class Place(NamedTuple):
    """How far a walk through the images on record has come: when received, and which."""

    received: int = -(2**62)
    media_id: str = ""


class Retention:
    """Asks what may be removed, and writes down what was."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def snapshots(self, before: int, limit: int) -> list[Snapshot]:
        """Snapshots of images received before a time, oldest first."""
        rows = self._db.execute(
            "SELECT media_id, snapshot, received FROM media INDEXED BY media_with_snapshot "
            "WHERE snapshot != '' AND received < ? ORDER BY received LIMIT ?",
            (before, limit),
        )
        return [Snapshot(*row) for row in rows]

    def count_snapshots(self, before: int) -> int:
        """How many of them there are."""
        row = self._db.one(
            "SELECT COUNT(*) FROM media INDEXED BY media_with_snapshot WHERE snapshot != '' AND received < ?",
            (before,),
        )
        return int(row[0]) if row else 0

    def forget_snapshots(self, media_ids: Sequence[str], removal: Removal) -> None:
        """Take snapshots off the record, before their files are removed."""
        with self._db.transaction():
            self._db.execute_many(
                "UPDATE media SET snapshot = '' WHERE media_id = ?", [(media_id,) for media_id in media_ids]
            )
            self.record([removal])

    def count_messages(self, before: int) -> int:
        """Messages that were acknowledged before a time, as ``Outbox.prune`` finds them."""
        row = self._db.one(
            "SELECT COUNT(*) FROM outbox WHERE state = 'acked' AND acked < ?1 AND seq < COALESCE((SELECT seq "
            "FROM outbox WHERE created >= ?1 AND (state != 'acked' OR IFNULL(acked, ?1) >= ?1) "
            "ORDER BY seq LIMIT 1), 9e18)",
            (before,),
        )
        return int(row[0]) if row else 0

    def originals(self, after: Place, before: int, limit: int) -> list[Original]:
        """Files of images received before a time, those of ``limit`` images, oldest first.

        Args:
            after: where the walk stands.
            before: ms UTC.
            limit: images looked at.
        """
        rows = self._db.execute(
            "SELECT m.media_id, f.folder, f.name, f.size, f.mtime_ns, m.received FROM "
            "(SELECT media_id, received FROM media INDEXED BY media_by_arrival WHERE received < ?1 AND "
            "(received, media_id) > (?2, ?3) ORDER BY received, media_id LIMIT ?4) m "
            "LEFT JOIN files f ON f.media_id = m.media_id AND f.state IN ('processed', 'duplicate') "
            "ORDER BY m.received, m.media_id",
            (before, *after, limit),
        )
        return [
            Original(row[0], row[1] or "", row[2] or "", row[3] or 0, row[4] or 0, row[5]) for row in rows
        ]

    def is_told(self, media_id: str) -> bool:
        """Whether what is on record of an image is final and known to the broker.

        Its registration is closed, and the newest message about it acknowledged. An image without animals has
        none, and nothing to tell.
        """
        seen = self._db.one(
            "SELECT deployment, t FROM observations WHERE media_id = ? AND kind = 'animal'", (media_id,)
        )
        if seen is None:
            return True
        row = self._db.one(
            "SELECT state, seq, last_t, last_media FROM registrations WHERE living AND deployment = ?1 AND "
            "(first_t, first_media) <= (?2, ?3) ORDER BY first_t DESC, first_media DESC LIMIT 1",
            (*seen, media_id),
        )
        if row is None or row[0] != "closed" or (row[2], row[3]) < (seen[1], media_id):
            return False
        return self._is_acknowledged(int(row[1]))

    def forget_originals(self, files: Iterable[Original], removals: Iterable[Removal], reason: str) -> None:
        """Say that files are gone and why, before they are removed; should one come back, it is looked at."""
        with self._db.transaction():
            self._db.execute_many(
                "UPDATE files SET state = 'gone', reason = ? WHERE folder = ? AND name = ?",
                [(reason, file.folder, file.name) for file in files],
            )
            self.record(removals)

    def record(self, removals: Iterable[Removal]) -> None:
        """Write down what is removed."""
        self._db.execute_many(
            "INSERT INTO removals (at, kind, what, number, bytes, reason) VALUES (?, ?, ?, ?, ?, ?)",
            list(removals),
        )

    def removals(self, limit: int) -> list[Removal]:
        """What was removed last, newest first."""
        rows = self._db.execute(
            "SELECT at, kind, what, number, bytes, reason FROM removals ORDER BY id DESC LIMIT ?", (limit,)
        )
        return [Removal(*row) for row in rows]

    def _is_acknowledged(self, seq: int) -> bool:
        if self._db.one("SELECT 1 FROM meta WHERE key = 'restate_after'"):
            return False  # numbers on record may be another epoch's
        row = self._db.one("SELECT state FROM outbox WHERE seq = ?", (seq,))
        if row is not None:
            return bool(row[0] == "acked")
        pruned = self._db.one("SELECT value FROM meta WHERE key = 'pruned_to'")
        return pruned is not None and 0 < seq <= int(pruned[0])  # only acknowledged ones are removed
