"""What a collection asks of its database besides what the daemon asks of its own: who has which content.

A collection is a folder that somebody filled and may change: files come, change, move and vanish. ``files``
has a row for each path with a picture; those with the same content share one row of ``media``, which names
one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from edge.store.database import Database
from edge.store.ledger import SETTLED, Stat, split

# What is being looked at again, or can't be read just now, has its content until more is known.
_HELD = "media_id IS NOT NULL"
_FILE = "IIF(folder = '', name, folder || '/' || name)"


class Known(NamedTuple):
    """What is on record of a path.

    Attributes:
        stat: the version that it is of.
        settled: whether nothing is left to find out.
        media_id: its content.
        names: whether that goes by this path, and not by one that has the same.
    """

    stat: Stat
    settled: bool
    media_id: str | None
    names: bool


@dataclass(frozen=True, slots=True)
class Holder:
    """A path that has a content.

    Attributes:
        file: below the collection's root.
        mtime_ns: of that version.
    """

    file: str
    mtime_ns: int


class Named(NamedTuple):
    """When a content was taken, ms UTC, its zone's offset in minutes, and where that comes from."""

    time_source: str
    taken: int
    offset_minutes: int


class Refused(NamedTuple):
    """A file that isn't in the collection although it looks like a picture, and why."""

    file: str
    reason: str


class Sizes(NamedTuple):
    """How much a collection holds: pictures by content, paths to them, vectors."""

    images: int
    files: int
    vectors: int


class Holdings:
    """Reads and writes ``files`` and ``media`` of a collection; writing joins the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def known_in(self, folder: str) -> Mapping[str, Known]:
        """Names on record directly in a folder ("" is the root)."""
        rows = self._db.execute(
            "SELECT name, device, inode, size, mtime_ns, state, media_id FROM files WHERE folder = ?",
            (folder,),
        )
        return {
            row[0]: Known(Stat(*row[1:5]), row[5] in SETTLED, row[6], row[5] == "processed") for row in rows
        }

    def folders(self) -> list[str]:
        """Folders with files on record."""
        return [str(row[0]) for row in self._db.execute("SELECT DISTINCT folder FROM files ORDER BY folder")]

    def content_of(self, file: str) -> str | None:
        """The content that a path has on record; None if it has none."""
        row = self._db.one(
            f"SELECT media_id FROM files WHERE folder = ? AND name = ? AND {_HELD}", split(file)
        )
        return None if row is None else str(row[0])

    def holders(self, media_id: str) -> list[Holder]:
        """All paths with this content, in order."""
        rows = self._db.execute(
            f"SELECT {_FILE}, mtime_ns FROM files WHERE media_id = ? AND {_HELD} ORDER BY folder, name",
            (media_id,),
        )
        return [Holder(*row) for row in rows]

    def made_by_others(self, bundle: str) -> frozenset[str]:
        """Content that another bundle looked at last."""
        rows = self._db.execute("SELECT media_id FROM media WHERE bundle != ?", (bundle,))
        return frozenset(row[0] for row in rows)

    def forget_files(self, files: Iterable[str]) -> None:
        """Take paths off the record; their content stays."""
        self._db.execute_many("DELETE FROM files WHERE folder = ? AND name = ?", [split(f) for f in files])

    def forget_content(self, media_id: str) -> None:
        """Take a content, and all that was seen in it, off the record."""
        for table in ("embeddings", "observations", "media"):
            self._db.execute(f"DELETE FROM {table} WHERE media_id = ?", (media_id,))

    def forget_other_vectors(self, bundle: str) -> None:
        """Remove other bundles' vectors of what this one has embedded."""
        self._db.execute(
            "DELETE FROM embeddings WHERE bundle != ?1 AND media_id IN "
            "(SELECT media_id FROM embeddings WHERE bundle = ?1 AND ordinal = 0)",
            (bundle,),
        )

    def name(self, media_id: str, file: str, deployment: str, taken: int, offset_minutes: int) -> None:
        """Let a content be known by another of its paths."""
        self._db.execute(
            "UPDATE media SET file = ?, deployment = ?, taken = ?, offset_minutes = ? WHERE media_id = ?",
            (file, deployment, taken, offset_minutes, media_id),
        )
        self._db.execute(
            "UPDATE observations SET deployment = ?, t = ? WHERE media_id = ?", (deployment, taken, media_id)
        )
        self._db.execute(
            "UPDATE files SET state = 'processed', reason = '' WHERE folder = ? AND name = ?", split(file)
        )

    def forget_animals(self, media_id: str) -> None:
        """Take what was said of a content's animals off the record."""
        self._db.execute("DELETE FROM observations WHERE media_id = ? AND kind = 'animal'", (media_id,))

    def named(self, media_id: str) -> Named | None:
        """When a content was taken; None if it isn't on record."""
        row = self._db.one(
            "SELECT time_source, taken, offset_minutes FROM media WHERE media_id = ?", (media_id,)
        )
        return None if row is None else Named(*row)

    def is_of(self, media_id: str, bundle: str) -> bool:
        """Whether a content is on record, as this bundle sees it."""
        row = self._db.one("SELECT 1 FROM media WHERE media_id = ? AND bundle = ?", (media_id, bundle))
        return row is not None

    def refused(self) -> list[Refused]:
        """Files that look like pictures and aren't in the collection."""
        rows = self._db.execute(
            f"SELECT {_FILE}, reason FROM files INDEXED BY files_by_state "
            "WHERE state NOT IN ('processed', 'duplicate', 'ignored') "
            "AND state IN ('set_aside', 'quarantined', 'incomplete') ORDER BY folder, name"
        )
        return [Refused(*row) for row in rows]

    def sizes(self) -> Sizes:
        """How much there is."""
        row = self._db.one(
            "SELECT (SELECT COUNT(*) FROM media), "
            f"(SELECT COUNT(*) FROM files WHERE {_HELD}), (SELECT COUNT(*) FROM embeddings)"
        )
        return Sizes(*row) if row else Sizes(0, 0, 0)
