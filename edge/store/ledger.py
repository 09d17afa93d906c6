"""The ledger: what became of every path that was found in the drop folder.

An attempt is committed before an image is decoded, so that one that kills the process can't make a crash
loop. A path that was being worked on when the process died is a *suspect*: it is tried again by itself, since
a power cut must not condemn its bystanders.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from edge.store.database import Database

FileState = Literal[
    "attempted", "processed", "duplicate", "incomplete", "set_aside", "quarantined", "ignored", "gone"
]
SETTLED: tuple[FileState, ...] = ("processed", "duplicate", "set_aside", "quarantined", "ignored")
"""What isn't looked at again at the same size and mtime. A file that is *gone* is, should it come back: its
card may have been pulled, its share unmounted, its folder moved."""


class Stat(NamedTuple):
    """What tells one content of a path from another without reading it."""

    device: int
    inode: int
    size: int
    mtime_ns: int


# The partial index holds the few files that this is true of; without naming it all others would be read too.
_UNFINISHED = "INDEXED BY files_by_state WHERE state NOT IN ('processed', 'duplicate', 'ignored')"
_COLUMNS = "folder, name, device, inode, size, mtime_ns"
# Not by device and inode: they change when a card is mounted again, and an image that takes the whole machine
# down must not get all its attempts back each time.
_SAME_VERSION = "(size, mtime_ns) = (excluded.size, excluded.mtime_ns)"
_TAKE_STAT = (
    f"first_seen = IIF(state IN ('attempted', 'incomplete', 'gone') OR {_SAME_VERSION}, first_seen, "
    "excluded.first_seen), "
    "device = excluded.device, inode = excluded.inode, size = excluded.size, mtime_ns = excluded.mtime_ns"
)


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one path.

    Attributes:
        file: path below the drop folder, ``/`` between parts.
        stat: the content that this is about.
        state: what it is now.
        reason: why, for people; empty where the state says it all.
        media_id: identity of its content, where it was read.
    """

    file: str
    stat: Stat
    state: FileState
    reason: str = ""
    media_id: str | None = None


@dataclass(frozen=True, slots=True)
class Suspect:
    """A path that was being worked on when an earlier process ended, so many times in a row."""

    file: str
    stat: Stat
    attempts: int


def split(file: str) -> tuple[str, str]:
    """Folder and name of a path below the drop folder; the folder is "" at the top."""
    folder, _, name = file.rpartition("/")
    return folder, name


class Ledger:
    """Reads and writes ``files``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def known_in(self, folder: str, names: Sequence[str]) -> Mapping[str, Stat]:
        """Those of some names in a folder whose fate is settled, each with the stat for which it is."""
        rows = self._db.execute(
            "SELECT name, device, inode, size, mtime_ns FROM files WHERE folder = ? "
            "AND name IN (SELECT value FROM json_each(?)) "
            "AND state IN ('processed', 'duplicate', 'set_aside', 'quarantined', 'ignored')",
            (folder, json.dumps(names)),
        )
        return {row[0]: Stat(*row[1:]) for row in rows}

    def suspects(self) -> dict[str, Suspect]:
        """Paths left ``attempted`` by a process that ended without an outcome for them."""
        rows = self._db.execute(
            f"SELECT folder, name, device, inode, size, mtime_ns, attempts FROM files {_UNFINISHED} "
            "AND state = 'attempted' AND attempts > 0"
        )
        found = (Suspect(f"{r[0]}/{r[1]}".lstrip("/"), Stat(*r[2:6]), r[6]) for r in rows)
        return {suspect.file: suspect for suspect in found}

    def attempt(self, files: Iterable[tuple[str, Stat]], *, now: int) -> None:
        """Commit that these are about to be decoded, in one transaction."""
        rows = [(*split(file), *stat, now, now) for file, stat in files]
        with self._db.transaction():
            self._db.execute_many(
                f"INSERT INTO files ({_COLUMNS}, state, attempts, first_seen, changed) "
                "VALUES (?, ?, ?, ?, ?, ?, 'attempted', 1, ?, ?) ON CONFLICT DO UPDATE SET "
                f"attempts = IIF({_SAME_VERSION}, attempts + 1, 1), {_TAKE_STAT}, "
                "state = 'attempted', changed = excluded.changed",
                rows,
            )

    def release(self, files: Iterable[str], *, patience: float | None = None) -> None:
        """Take back attempts that never began, at an orderly stop; ``patience`` is a transaction's.

        A file that was tried before, and is waited for, has the reason still, and is *incomplete* again.
        """
        with self._db.transaction(patience):
            self._db.execute_many(
                "UPDATE files SET attempts = attempts - 1, state = IIF(reason = '', state, 'incomplete') "
                "WHERE folder = ? AND name = ? AND state = 'attempted'",
                [split(file) for file in files],
            )

    def settle(self, fates: Iterable[Fate], *, now: int) -> None:
        """Write what became of paths; joins the caller's transaction where there is one."""
        rows = [(*split(f.file), *f.stat, f.state, f.reason, f.media_id, now, now) for f in fates]
        with self._db.transaction():
            self._db.execute_many(
                f"INSERT INTO files ({_COLUMNS}, state, reason, media_id, first_seen, changed) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
                f"attempts = 0, {_TAKE_STAT}, state = excluded.state, reason = excluded.reason, "
                "media_id = excluded.media_id, changed = excluded.changed",
                rows,
            )

    def first_seen(self, file: str) -> int | None:
        """When a path was first found since its last fate, ms UTC by the device's clock; None if never."""
        row = self._db.one("SELECT first_seen FROM files WHERE folder = ? AND name = ?", split(file))
        return int(row[0]) if row else None

    def incomplete(self) -> int:
        """Number of files that aren't whole, or can't be read; cheap however long the ledger is."""
        row = self._db.one(f"SELECT COUNT(*) FROM files {_UNFINISHED} AND state = 'incomplete'")
        return int(row[0]) if row else 0

    def counts(self) -> dict[FileState, int]:
        """Number of paths in each state."""
        return dict(self._db.execute("SELECT state, COUNT(*) FROM files GROUP BY state"))
