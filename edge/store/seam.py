"""The seam to SQLite: its errors as ours, mapped once."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Final

from edge.errors import DiskFullError, StoreBusyError, StoreCorruptError, StoreError

_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
# What a write-ahead log's shared memory says where there is no room for it; a failed fsync isn't among them.
_ROOMLESS: Final = (
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_IOERR_SHMMAP,
    sqlite3.SQLITE_IOERR_SHMOPEN,
    sqlite3.SQLITE_IOERR_SHMSIZE,
    sqlite3.SQLITE_IOERR_WRITE,
)
_NO_ROOM: Final = 64 * 1024


def mapped(error: sqlite3.Error, path: Path) -> StoreError:
    """What an error of SQLite on this file means."""
    code = getattr(error, "sqlite_errorcode", None)
    primary = None if code is None else code & 0xFF
    if primary in _DAMAGED:
        return StoreCorruptError("database is damaged", subject=str(path), hint=str(error))
    if primary == sqlite3.SQLITE_FULL or (code in _ROOMLESS and _is_full(path.parent)):
        return DiskFullError("disk is full", subject=str(path), hint="free some space; nothing was lost")
    if primary == sqlite3.SQLITE_BUSY:
        return StoreBusyError(
            "database is busy", subject=str(path), hint="another program writes to it; try again in a moment"
        )
    return StoreError("database refused", subject=str(path), hint=str(error))


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < _NO_ROOM
    except OSError:
        return False
