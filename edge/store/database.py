"""Opening the one SQLite database, and transactions on it.

WAL with ``synchronous=FULL``: a commit that returned survives a power cut. One connection for each process,
one lock around it: the writer's and the publisher's transactions follow each other instead of polling for
SQLite's own lock.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from edge.errors import DiskFullError, StoreBusyError, StoreCorruptError, StoreError
from edge.store.files import keep_durably
from edge.store.schema import MIGRATIONS

DATABASE = "edge.db"
_ASIDE = "corrupt-"
_BEFORE = "backup-version-"
_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA wal_autocheckpoint=200",
    "PRAGMA journal_size_limit=1048576",
    "PRAGMA foreign_keys=ON",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA cache_size=-4096",
)


class Database:
    """A connection with its lock. Use ``open_database`` or ``open_readonly`` to make one."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._lock = threading.RLock()
        self._depth = 0
        self.path = path

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One durable transaction; an inner one joins the outer. Rolled back when the block raises.

        Raises:
            StoreError: the database could not be written: the disk is full, or failed.
        """
        with self._lock:
            if self._depth:
                yield
                return
            self._execute("BEGIN IMMEDIATE")
            self._depth = 1
            try:
                yield
                self._execute("COMMIT")
            finally:
                self._depth = 0
                self._rollback()

    def execute(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and return all its rows."""
        with self._lock:
            return self._execute(sql, values)

    def execute_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """Run one statement for each row of values, within the current transaction."""
        with self._lock:
            try:
                self._connection.executemany(sql, rows)
            except sqlite3.Error as error:
                raise _mapped(error, self.path) from error

    def one(self, sql: str, values: Sequence[object] = ()) -> tuple[Any, ...] | None:
        """The first row, or None."""
        rows = self.execute(sql, values)
        return rows[0] if rows else None

    def meta(self, key: str) -> str:
        """A value from ``meta``."""
        row = self.one("SELECT value FROM meta WHERE key = ?", (key,))
        if row is None:
            raise StoreError("database lacks an entry", subject=key, hint="it was not made by this product")
        return str(row[0])

    def remember(self, key: str, value: str) -> None:
        """Set a value in ``meta``."""
        self.execute(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", (key, value)
        )

    def copy_to(self, target: Path) -> None:
        """Write a copy of everything that is committed; there is the whole of it, or nothing.

        Raises:
            DiskFullError: there is no space for it.
            StoreError: it could not be written.
        """
        temporary = target.with_name(f".{target.name}.tmp")
        temporary.unlink(missing_ok=True)  # a copy that a power cut left half done
        try:
            with self._lock, closing(sqlite3.connect(temporary)) as copy:
                self._connection.backup(copy)
            keep_durably(temporary, target)
        except sqlite3.Error as error:
            temporary.unlink(missing_ok=True)
            raise _mapped(error, target) from error

    @property
    def device(self) -> str:
        """Name under which the daemon last spoke; empty before its first start."""
        row = self.one("SELECT value FROM meta WHERE key = 'device'")
        return str(row[0]) if row else ""

    @property
    def revision_base(self) -> int:
        """Added to every revision that is sent: 0, or more if this database took a damaged one's place."""
        row = self.one("SELECT value FROM meta WHERE key = 'revision_base'")
        return int(row[0]) if row else 0

    @property
    def epoch(self) -> str:
        """Identity of this database; message numbers are counted within it."""
        return self.meta("epoch")

    def close(self) -> None:
        """Close the connection; uncommitted work is rolled back."""
        with self._lock:
            self._connection.close()

    def _execute(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise _mapped(error, self.path) from error

    def _rollback(self) -> None:
        if self._connection.in_transaction:
            self._execute("ROLLBACK")


def open_database(state: Path) -> Database:
    """Open the state folder's database for writing; make it, or bring it up to date, where needed.

    Raises:
        StoreCorruptError: ``quick_check`` found damage, or the file is no database.
        StoreError: it can't be opened, or was made by a newer version.
    """
    path = state / DATABASE
    try:
        state.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10.0)
    except (OSError, sqlite3.Error) as error:
        raise StoreError("state folder can't be used", subject=str(state), hint=str(error)) from error
    database = Database(connection, path)
    with ExitStack() as undo:
        undo.callback(database.close)
        for pragma in _PRAGMAS:
            database.execute(pragma)
        _check(database)
        _migrate(database)
        undo.pop_all()
    return database


def open_readonly(state: Path) -> Database:
    """Open the state folder's database for reading beside a running daemon.

    Raises:
        StoreError: there is no database, one of another version, or one that this user may not read.
    """
    return _open_existing(state, "ro")


def open_beside(state: Path) -> Database:
    """Open the state folder's database for a small change beside a running daemon.

    Raises:
        StoreError: as for ``open_readonly``.
    """
    database = _open_existing(state, "rw")
    database.execute("PRAGMA synchronous=FULL")
    return database


def _open_existing(state: Path, mode: str) -> Database:
    path = state / DATABASE
    if not os.access(path, os.R_OK):
        # Nothing is opened to find out: closing it again would drop this process's locks on the file.
        if os.access(path, os.F_OK) or (state.exists() and not os.access(state, os.X_OK)):
            hint = "it belongs to the service's user: sudo -u edge edge ..."
            raise StoreError("database can't be read by this user", subject=str(path), hint=hint)
        hint = "`edge run --state DIR` makes one; is --state right?"
        raise StoreError("no database here", subject=str(path), hint=hint)
    try:
        connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=10.0
        )
    except sqlite3.Error as error:
        raise _mapped(error, path) from error
    database = Database(connection, path)
    version = int(database.execute("PRAGMA user_version")[0][0])
    if version != len(MIGRATIONS):
        database.close()
        raise StoreError(
            f"database has version {version}, this program reads {len(MIGRATIONS)}",
            subject=str(path),
            hint="start the daemon of this version once; it brings the database up to date",
        )
    return database


def move_aside(state: Path) -> Path:
    """Rename a damaged database, its WAL with it, so that a new one can begin; returns its new path."""
    target = state / f"{_ASIDE}{_stamp()}-{uuid.uuid4().hex[:6]}.db"
    for suffix in ("", "-wal", "-shm"):
        source = state / f"{DATABASE}{suffix}"
        if source.exists():
            source.rename(f"{target}{suffix}")
    return target


def _stamp() -> str:
    return time.strftime("%Y%m%dT%H%M%S", time.gmtime())


def damaged(state: Path) -> list[Path]:
    """Databases that were moved aside here, oldest first."""
    return sorted(state.glob(f"{_ASIDE}*.db"))


def _check(database: Database) -> None:
    findings = [str(row[0]) for row in database.execute("PRAGMA quick_check(5)")]
    if findings != ["ok"]:
        raise StoreCorruptError("database is damaged", subject=str(database.path), hint="; ".join(findings))


def _migrate(database: Database) -> None:
    version = int(database.execute("PRAGMA user_version")[0][0])
    if version > len(MIGRATIONS):
        raise StoreError(
            f"database has version {version}, newer than this program's {len(MIGRATIONS)}",
            subject=str(database.path),
            hint="install the newer version again",
        )
    if 0 < version < len(MIGRATIONS):
        database.copy_to(database.path.with_name(f"{_BEFORE}{version}-{_stamp()}.db"))
    for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
        with database.transaction():
            for statement in filter(str.strip, script.split(";")):
                database.execute(statement)
            database.execute(f"PRAGMA user_version = {number}")
            if number == 1:
                database.execute("INSERT INTO meta VALUES ('epoch', ?)", (str(uuid.uuid4()),))


def _mapped(error: sqlite3.Error, path: Path) -> StoreError:
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StoreCorruptError("database is damaged", subject=str(path), hint=str(error))
    if code is not None and code & 0xFF == sqlite3.SQLITE_FULL:
        return DiskFullError("disk is full", subject=str(path), hint="free some space; nothing was lost")
    if code is not None and code & 0xFF == sqlite3.SQLITE_BUSY:
        return StoreBusyError(
            "database is busy", subject=str(path), hint="another program writes to it; try again in a moment"
        )
    return StoreError("database refused", subject=str(path), hint=str(error))
