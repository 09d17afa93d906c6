"""Backups of the database: whole, checked, and without holding up who writes meanwhile.

A connection of its own holds one read transaction from the first page to the last. In WAL mode writers go
on beside it and the copy doesn't see them, so it needn't begin again; until it ends the WAL can't be reset,
and grows by what is written in the meantime. Pages are copied in small steps with a rest after each, and
handed to the disk as they come: one large fsync at the end would hold up the writer's.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from edge.errors import DiskFullError, StoreCorruptError, StoreError
from edge.store.files import StateLock, free_space, keep_durably, make_private, sync_folder
from edge.store.rotation import Backup, following, parse, superfluous
from edge.store.seam import mapped

FOLDER: Final = "backups"
_LOCK: Final = ".lock"
_CHECK_STEPS: Final = 200_000
"""Instructions of SQLite's machine between two signs of life: some 10 ms."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How much a backup takes of the disk.

    Attributes:
        pages: copied in one step.
        rest: seconds after each step, at least.
        share: of the time that goes to copying, above 0 to 1; the rest is rest.
        sync_every: pages after which they are handed to the disk.
    """

    pages: int = 64
    rest: float = 0.005
    share: float = 0.25
    sync_every: int = 1024


GENTLE: Final = Pace()
HURRIED: Final = Pace(pages=1024, rest=0.0, share=1.0, sync_every=8192)
"""For when nothing else runs."""


class StoppedError(StoreError):
    """The backup was told to stop; nothing of it is left."""


@dataclass(frozen=True, slots=True)
class Made:
    """A backup that was made.

    Attributes:
        path: the file.
        size: bytes.
        seconds: that it took, the check included.
    """

    path: Path
    size: int
    seconds: float


def backups(folder: Path) -> list[tuple[Backup, Path]]:
    """The backups in a folder, oldest first; none where there is no such folder."""
    try:
        names = [entry.name for entry in folder.iterdir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError("backups can't be listed", subject=str(folder), hint=str(error)) from error
    return sorted((backup, folder / backup.name) for name in names if (backup := parse(name)) is not None)


def make_backup(
    source: Path,
    folder: Path,
    *,
    pace: Pace = GENTLE,
    reserve: int = 0,
    go_on: Callable[[], bool] = lambda: True,
) -> Made:
    """Copy a database, in use or not, into a folder, and check the copy.

    Args:
        source: the database.
        folder: where to; made if missing.
        pace: how fast.
        reserve: bytes that must stay free there.
        go_on: asked every few milliseconds; False ends it.

    Raises:
        StoreBusyError: another process makes a backup there.
        DiskFullError: there isn't enough space; nothing is left behind.
        StoreCorruptError: the copy isn't sound, for the database isn't.
        StoppedError: it was told to stop.
        StoreError: anything else that keeps it from being made.
    """
    began = time.monotonic()
    folder_of(folder)
    with StateLock(folder, _LOCK, "another backup is being made"), _temporary(folder) as temporary:
        with closing(_reader(source)) as reader:
            version = _room(reader, source, folder, reserve)
            _copy(reader, temporary, source, pace, go_on)
        check(temporary, go_on)
        named = following((backup for backup, _ in backups(folder)), time.time(), version)
        target = folder / named.name
        keep_durably(temporary, target)
    return Made(target, target.stat().st_size, time.monotonic() - began)


def rotate(folder: Path, *, days: int, weeks: int) -> tuple[Path, ...]:
    """Remove the backups that needn't be kept; returns them.

    Raises:
        StoreError: one can't be removed.
    """
    paths = dict(backups(folder))
    old = tuple(paths[backup] for backup in superfluous(paths, days=days, weeks=weeks))
    try:
        for path in old:
            path.unlink(missing_ok=True)
        if old:
            sync_folder(folder)
    except OSError as error:
        raise StoreError("old backup can't be removed", subject=str(folder), hint=str(error)) from error
    return old


def check(path: Path, go_on: Callable[[], bool] = lambda: True) -> None:
    """Read all of a database file that nobody writes to.

    Raises:
        StoreCorruptError: it is damaged, empty, or no database.
        StoppedError: it was told to stop.
        StoreError: it can't be read.
    """
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?immutable=1", uri=True)) as connection:
            connection.set_progress_handler(lambda: not go_on(), _CHECK_STEPS)
            findings = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(3)")]
            (version,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            raise StoppedError("backup was stopped", subject=str(path)) from error
        raise mapped(error, path) from error
    except sqlite3.Error as error:
        raise mapped(error, path) from error
    if findings != ["ok"] or not version:
        hint = "; ".join(findings) if findings != ["ok"] else "there is nothing in it"
        raise StoreCorruptError("database is damaged", subject=str(path), hint=hint)


def folder_of(folder: Path) -> Path:
    """Make a folder for backups where it is missing.

    Raises:
        StoreError: it can't be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError("folder for backups can't be made", subject=str(folder), hint=str(error)) from error
    return folder


@contextmanager
def _temporary(folder: Path) -> Iterator[Path]:
    """A name under which a half-made copy is no backup; what a power cut left of an earlier one goes."""
    path = folder / ".making.tmp"
    path.unlink(missing_ok=True)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _reader(source: Path) -> sqlite3.Connection:
    uri = f"{source.resolve().as_uri()}?mode=ro"
    try:
        return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=10.0, check_same_thread=False)
    except sqlite3.Error as error:
        raise mapped(error, source) from error


def _room(reader: sqlite3.Connection, source: Path, folder: Path, reserve: int) -> int:
    """Begin the read transaction and see whether the copy will fit; returns the schema's version."""
    try:
        reader.execute("BEGIN")
        (version,) = reader.execute("PRAGMA user_version").fetchone()
        (pages,) = reader.execute("SELECT page_count FROM pragma_page_count").fetchone()
        (size,) = reader.execute("SELECT page_size FROM pragma_page_size").fetchone()
    except sqlite3.Error as error:
        raise mapped(error, source) from error
    need = pages * size + reserve
    if free_space(folder) < need:
        hint = f"it takes {need // 1_000_000 + 1} MB; free some, or make it elsewhere: edge backup --to DIR"
        raise DiskFullError("no space for a backup", subject=str(folder), hint=hint)
    return int(version)


def _copy(
    reader: sqlite3.Connection, temporary: Path, source: Path, pace: Pace, go_on: Callable[[], bool]
) -> None:
    try:
        make_private(temporary)
        with closing(sqlite3.connect(temporary)) as copy, _Rests(temporary, pace, go_on) as rests:
            # Nobody else knows this file, and only its last state counts: no journal, no fsync by SQLite.
            for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-1024"):
                copy.execute(f"PRAGMA {pragma}")
            reader.backup(copy, pages=pace.pages, progress=rests.step)
    except sqlite3.Error as error:
        raise mapped(error, source) from error
    except OSError as error:
        raise StoreError("backup can't be written", subject=str(temporary), hint=str(error)) from error


class _Rests:
    """Called after each step of a copy: rests, and hands what is written to the disk now and then."""

    def __init__(self, path: Path, pace: Pace, go_on: Callable[[], bool]) -> None:
        self._path, self._pace, self._go_on = path, pace, go_on
        self._unsynced = 0
        self._since = time.monotonic()

    def __enter__(self) -> Self:
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._since = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def step(self, _status: int, _remaining: int, _total: int) -> None:
        """One step is done."""
        if not self._go_on():
            raise StoppedError("backup was stopped", subject=str(self._path))
        pace = self._pace
        self._unsynced += pace.pages
        if self._unsynced >= pace.sync_every:
            self._unsynced = 0
            os.fdatasync(self._descriptor)
        worked = time.monotonic() - self._since
        time.sleep(max(pace.rest, worked * (1.0 / pace.share - 1.0)))
        self._since = time.monotonic()
