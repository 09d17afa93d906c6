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
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from edge.errors import StoreBusyError, StoreCorruptError, StoreError, StoreVersionError, UsageError
from edge.store.backup import FOLDER, HURRIED, make_backup
from edge.store.schema import MIGRATIONS
from edge.store.seam import mapped

DATABASE: Final = "edge.db"
VERSION: Final = len(MIGRATIONS)
"""Of the schema that this program reads and writes."""
PATIENCE: Final = 10.0
"""Seconds that another process may hold SQLite's lock before this one gives up for now."""
_LOOK: Final = 0.02
T = TypeVar("T")
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
    """A connection with its lock. Use ``open_database`` or ``open_readonly`` to make one.

    Attributes:
        path: the file.
        patience: seconds that another process's lock is waited for. The connection's own lock isn't held
            meanwhile, so that this process's other threads go on reading.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.patience = PATIENCE
        self._connection = connection
        self._lock = threading.RLock()
        self._depth = 0
        self.path = path

    @contextmanager
    def transaction(self, patience: float | None = None) -> Iterator[None]:
        """One durable transaction; an inner one joins the outer. Rolled back when the block raises.

        Args:
            patience: seconds, instead of the database's.

        Raises:
            StoreBusyError: another process held SQLite's lock all the time; nothing was done.
            StoreError: the database could not be written: the disk is full, or failed.
        """
        with ExitStack() as held:
            if not self._patiently(lambda: self._begun(held), patience):
                yield
                return
            try:
                yield
                self._execute("COMMIT")
            finally:
                self._depth = 0
                self._rollback()

    def execute(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and return all its rows."""
        return self._patiently(lambda: self._execute(sql, values))

    def execute_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """Run one statement for each row of values, within the current transaction."""
        with self._lock:
            try:
                self._connection.executemany(sql, rows)
            except sqlite3.Error as error:
                raise mapped(error, self.path) from error

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

    def _begun(self, held: ExitStack) -> bool:
        """Whether a transaction was begun, rather than joined; ``held`` has the lock from here on."""
        outermost = not self._depth
        if outermost:
            self._execute("BEGIN IMMEDIATE")
            self._depth = 1
        held.enter_context(self._lock)
        return outermost

    def _patiently(self, do: Callable[[], T], patience: float | None = None) -> T:
        """Do something under the lock; while another process holds SQLite's, again and again."""
        until = time.monotonic() + (self.patience if patience is None else patience)
        while True:
            with self._lock:
                try:
                    return do()
                except StoreBusyError:
                    if self._depth or time.monotonic() >= until:
                        raise
            time.sleep(_LOOK)

    def _execute(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise mapped(error, self.path) from error
        except OverflowError as error:
            hint = "its integers have 64 bits"
            raise StoreError("number too large for SQLite", subject=str(self.path), hint=hint) from error
        except UnicodeEncodeError as error:
            raise UsageError("not text, so nothing has it", subject=repr(error.object)) from error

    def _rollback(self) -> None:
        if self._connection.in_transaction:
            self._execute("ROLLBACK")


def open_database(state: Path, *, thorough: bool = False) -> Database:
    """Open the state folder's database for writing; make it, or bring it up to date, where needed.

    Before it is brought up to date there is a backup of it.

    Args:
        state: the folder.
        thorough: check indexes against their tables too, which takes longer.

    Raises:
        StoreCorruptError: the check found damage, or the file is no database.
        StoreVersionError: it was made by a newer version.
        StoreError: it can't be opened.
    """
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError("state folder can't be used", subject=str(state), hint=str(error)) from error
    database = open_file(state / DATABASE, state / FOLDER, thorough=thorough)
    # What a power cut left in the log would look like lost commits after another one.
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return database


def open_file(path: Path, keep: Path | None, *, thorough: bool = False) -> Database:
    """Open one database file for writing; as ``open_database``.

    Args:
        path: the file.
        keep: folder for a backup before it is brought up to date; None makes none.
        thorough: as for ``open_database``.
    """
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0.0)
    except sqlite3.Error as error:
        raise mapped(error, path) from error
    database = Database(connection, path)
    with ExitStack() as undo:
        undo.callback(database.close)
        for pragma in _PRAGMAS:
            database.execute(pragma)
        _check(database, "integrity_check" if thorough else "quick_check")
        _migrate(database, keep)
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
        if os.access(path, os.F_OK) or (os.access(state, os.F_OK) and not os.access(state, os.X_OK)):
            hint = "it belongs to the service's user: sudo -u edge edge ..."
            raise StoreError("database can't be read by this user", subject=str(path), hint=hint)
        hint = "`edge run --state DIR` makes one; is --state right?"
        raise StoreError("no database here", subject=str(path), hint=hint)
    try:
        uri = f"{path.resolve().as_uri()}?mode={mode}"
        connection = sqlite3.connect(
            uri, uri=True, isolation_level=None, check_same_thread=False, timeout=0.0
        )
    except sqlite3.Error as error:
        raise mapped(error, path) from error
    database = Database(connection, path)
    version = int(database.execute("PRAGMA user_version")[0][0])
    if version != VERSION:
        database.close()
        raise StoreVersionError(
            f"database has version {version}, this program reads {VERSION}",
            subject=str(path),
            hint="start the daemon of this version once; it brings the database up to date",
        )
    return database


def _check(database: Database, pragma: str) -> None:
    findings = [str(row[0]) for row in database.execute(f"PRAGMA {pragma}(5)")]
    if findings != ["ok"]:
        raise StoreCorruptError("database is damaged", subject=str(database.path), hint="; ".join(findings))


def _migrate(database: Database, keep: Path | None) -> None:
    version = int(database.execute("PRAGMA user_version")[0][0])
    if version > VERSION:
        raise StoreVersionError(
            f"database has version {version}, newer than this program's {VERSION}",
            subject=str(database.path),
            hint="install the newer version again, or go back: docs/operating.md, Upgrade, and back",
        )
    if keep is not None and 0 < version < VERSION:
        make_backup(database.path, keep, pace=HURRIED)
    for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
        with database.transaction():
            for statement in filter(str.strip, script.split(";")):
                database.execute(statement)
            database.execute(f"PRAGMA user_version = {number}")
            if number == 1:
                database.execute("INSERT INTO meta VALUES ('epoch', ?)", (str(uuid.uuid4()),))
