"""Files that a crash left behind: snapshots that no commit names, and halves of files.

A snapshot is on the disk before the commit that names it, and off the record before it is removed; in between
a crash leaves one that nobody knows. They are looked for before the first thread starts, so that none can be
one that is about to be named. After a database was replaced nothing is swept: the pictures may be of images
that only the lost one knew.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from edge.errors import StoreError
from edge.service.notify import notify
from edge.store.database import Database

FOLDER: Final = "snapshots"
_TEMPORARY: Final = ".tmp"
_PREFIX: Final = re.compile("[0-9a-f]{2}")
_SNAPSHOT: Final = re.compile(r"[0-9a-f]{64}\.jpg")


def sweep(state: Path, database: Database) -> int:
    """Remove them; returns how many. Only before any thread of the daemon runs.

    Args:
        state: the state folder, whose lock the caller has.
        database: opened for writing.

    Raises:
        StoreError: a folder can't be read, or a file not removed.
    """
    try:
        halves = [path for path in state.glob(f".health.json.*{_TEMPORARY}") if path.is_file()]
        if not database.revision_base:
            halves += _unnamed(state, database)
        for path in halves:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError("what a crash left can't be removed", subject=str(state), hint=str(error)) from error
    return len(halves)


def _unnamed(state: Path, database: Database) -> list[Path]:
    found = []
    for folder in _folders(state / FOLDER):
        notify("STATUS=looking for snapshots that nobody knows")
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
        named = _named(database, folder.name)
        found += [folder / n for n in names if _is_half(n) or (_SNAPSHOT.fullmatch(n) and n not in named)]
    return found


def _folders(parent: Path) -> Iterator[Path]:
    if parent.is_dir():
        with os.scandir(parent) as entries:
            folders = [
                e.path for e in entries if _PREFIX.fullmatch(e.name) and e.is_dir(follow_symlinks=False)
            ]
        yield from (Path(folder) for folder in sorted(folders))


def _is_half(name: str) -> bool:
    return name.startswith(".") and name.endswith(_TEMPORARY)


def _named(database: Database, prefix: str) -> set[str]:
    """Names of the files that commits name in a folder; it is called as its images' hashes begin."""
    rows = database.execute(
        "SELECT snapshot FROM media WHERE media_id BETWEEN ? AND ? AND snapshot != ''",
        (f"sha256:{prefix}", f"sha256:{prefix}~"),
    )
    return {str(row[0]).rpartition("/")[2] for row in rows}
