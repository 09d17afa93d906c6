"""A damaged database's place: it is moved aside, another one prepared whole and put there.

The new one is made under another name first and gets its own in one rename, so that a power cut leaves the
damaged one, no database, or the new one; where there is none but there are traces of one, it is begun again.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Final, NamedTuple

from edge.errors import DiskFullError, StoreCorruptError, StoreError
from edge.store.backup import FOLDER, backups
from edge.store.database import DATABASE, Database, open_file
from edge.store.files import copy_file, keep_durably, sync_folder
from edge.store.journal import JOURNAL
from edge.store.rotation import stamp
from edge.store.wal import HEADER, has_lost_commits

_ASIDE: Final = "corrupt-"
_NEW: Final = ".edge.db.new"
_WAL, _SHM = "-wal", "-shm"
_PARTS: Final = ("", _WAL, _SHM)
_TRACES: Final = (FOLDER, JOURNAL, "snapshots", "health.json")
_LARGEST_WAL: Final = 64 * 1024 * 1024
"""A log that readers have kept from being reset for so long isn't looked through."""


@dataclass(frozen=True, slots=True)
class Stray:
    """A registration that subscribers may know and the database may not.

    Attributes:
        registration_id, deployment, label, count: as it was last said.
        first_t, last_t: its start and end, ms UTC.
        media_id: one of its images; "" where none is known.
    """

    registration_id: str
    deployment: str
    label: str
    count: int
    first_t: int
    last_t: int
    media_id: str = ""


class Prepared(NamedTuple):
    """A database to be put in place.

    Attributes:
        copy: it.
        source: what it is a copy of; None: empty.
        passed: what couldn't be used, and why.
    """

    copy: Database
    source: Path | None
    passed: tuple[tuple[Path, str], ...] = ()


def is_missing(state: Path) -> bool:
    """Whether there was a database here, and nothing is left of it under its name."""
    path = state / DATABASE
    if path.exists() and path.stat().st_size:
        return False
    return bool(damaged(state)) or any((state / trace).exists() for trace in _TRACES)


def has_damaged_log(state: Path) -> bool:
    """Whether the database's write-ahead log has lost commits that were on the disk."""
    path, wal = state / DATABASE, state / f"{DATABASE}{_WAL}"
    try:
        if not HEADER < wal.stat().st_size <= _LARGEST_WAL:
            return False
        with path.open("rb") as stream:
            size = int.from_bytes(stream.read(18)[16:18], "big")
        return has_lost_commits(wal.read_bytes(), 65536 if size == 1 else size or 4096)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StoreError("database can't be read", subject=str(wal), hint=str(error)) from error


def damaged(state: Path) -> list[Path]:
    """Databases that were moved aside here, oldest first."""
    return sorted(state.glob(f"{_ASIDE}*.db"), key=lambda path: (path.stat().st_mtime_ns, path.name))


def parts(database: Path) -> list[Path]:
    """The files of a database that are there: itself, its write-ahead log, its shared memory."""
    return [path for part in _PARTS if (path := Path(f"{database}{part}")).exists()]


def prepared(state: Path, sources: Iterable[Path] | None = None) -> Prepared:
    """A copy of the newest backup that is sound and that this program can read, or an empty database.

    Args:
        state: the folder.
        sources: these, in this order; else those of the state folder, newest first.

    Raises:
        DiskFullError: there is no space for the copy.
    """
    passed: list[tuple[Path, str]] = []
    found = [path for _, path in reversed(backups(state / FOLDER))] if sources is None else sources
    for path in found:
        try:
            return Prepared(open_copy(state, path), path, tuple(passed))
        except DiskFullError:
            raise
        except StoreError as error:
            passed.append((path, str(error)))
    return Prepared(open_copy(state, None), None, tuple(passed))


def open_copy(state: Path, source: Path | None, *, with_log: bool = False) -> Database:
    """A database under another name, to be put in place when it is ready.

    Args:
        state: the folder.
        source: what it begins as; None: empty.
        with_log: copy the source's write-ahead log too: what of it can be read counts.

    Raises:
        StoreCorruptError: the source is damaged.
        StoreError: it can't be made.
    """
    forget_copy(state)
    target = state / _NEW
    if source is not None:
        copy_file(source, target)
        wal = Path(f"{source}{_WAL}")
        if with_log and wal.exists():
            copy_file(wal, Path(f"{target}{_WAL}"))
        elif not target.stat().st_size:
            raise StoreCorruptError("database is damaged", subject=str(source), hint="there is nothing in it")
    return open_file(target, None, thorough=True)


def forget_copy(state: Path) -> None:
    """Remove a copy that wasn't put in place."""
    for part in _PARTS:
        with suppress(FileNotFoundError):
            (state / f"{_NEW}{part}").unlink()


def begin_epoch(database: Database, base: int, strays: Iterable[Stray]) -> str:
    """Make a database one that nobody knows yet; returns its epoch.

    Its numbers begin at 1, and its revisions above ``base``. What it has of messages belongs to another epoch
    and goes; everything on record is to be said again, and what people corrected since is to be recalled.
    """
    epoch = str(uuid.uuid4())
    with database.transaction():
        database.remember("epoch", epoch)
        database.remember("revision_base", str(base))
        database.remember("restate_after", "")
        database.remember("recall", "corrections")
        database.execute("DELETE FROM meta WHERE key IN ('pruned_to', 'pruned', 'summaries_owed')")
        database.execute("DELETE FROM outbox")
        database.execute_many(
            "INSERT OR REPLACE INTO strays VALUES (?, ?, ?, ?, ?, ?, ?)", [astuple(stray) for stray in strays]
        )
    return epoch


def put_in_place(state: Path, copy: Database, now: float) -> Path | None:
    """Close a prepared copy and give it the database's name; what was there is moved aside.

    Args:
        state: the folder; no other process uses its database.
        copy: from ``open_copy``.
        now: seconds since 1970, for a name.

    Returns:
        what was moved aside.

    Raises:
        StoreError: the disk refused.
    """
    copy.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    copy.close()
    aside = move_aside(state, now)
    keep_durably(state / _NEW, state / DATABASE)
    forget_copy(state)
    return aside


def move_aside(state: Path, now: float) -> Path | None:
    """Rename the database that is there, with its log; a log without a database too.

    A log must never be left beside another database: SQLite would play it back into that one.
    """
    there = parts(state / DATABASE)
    if not there:
        return None
    target = state / f"{_ASIDE}{stamp(now)}-{uuid.uuid4().hex[:6]}.db"
    try:
        for path in there:
            path.rename(f"{target}{path.name.removeprefix(DATABASE)}")
        sync_folder(state)
    except OSError as error:
        raise StoreError("database can't be moved aside", subject=str(state), hint=str(error)) from error
    return target


def greatest_revision(database: Database) -> int:
    """Above every revision that was sent from this database while it was as it is."""
    row = database.one("SELECT MAX(revision) FROM registrations")
    return database.revision_base + int((row[0] if row else 0) or 0)


def sound_part(state: Path) -> bool:
    """Whether the database itself is whole, as far as its log can be read."""
    try:
        open_copy(state, state / DATABASE, with_log=True).close()
    except StoreCorruptError:
        return False
    finally:
        forget_copy(state)
    return True
