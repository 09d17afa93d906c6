"""A process that records images as the daemon does, and says after each commit what is on record for good.

Run as ``python -m tests.faults.writer STATE FIRST``. Each line of its output is a number that was committed.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from edge.errors import StoreError
from edge.store.backup import FOLDER, HURRIED, make_backup, rotate
from edge.store.database import Database, open_database
from edge.store.files import write_durably
from edge.store.ledger import Fate, Ledger, Stat
from edge.store.media import MediaRow, MediaStore


def media(number: int) -> MediaRow:
    """The image with this number."""
    return MediaRow(
        media_id=f"sha256:{number:08}",
        file=f"cam/{number}.JPG",
        deployment="cam",
        taken=number,
        offset_minutes=0,
        time_source="exif",
        clock_ok=True,
        size=1,
        width=1,
        height=1,
        bundle="b",
        received=number,
        snapshot=f"snapshots/{number % 8}/{number}.jpg",
    )


def record(database: Database, state: Path, number: int) -> None:
    """A snapshot first, then one transaction."""
    row = media(number)
    write_durably(state / row.snapshot, b"s" * 3000)
    with database.transaction():
        MediaStore(database).add(row)
        fate = Fate(row.file, Stat(1, number, 1, 1), "processed", "", row.media_id)
        Ledger(database).settle([fate], now=number)


def _keep_backing_up(state: Path, path: Path) -> None:
    try:
        while True:
            make_backup(path, state / FOLDER, pace=HURRIED)
            rotate(state / FOLDER, days=1, weeks=0)
    except StoreError:
        return  # the power is gone


def main() -> None:
    """Until something fails."""
    state, number = Path(sys.argv[1]), int(sys.argv[2])
    database = open_database(state)
    threading.Thread(target=_keep_backing_up, args=(state, database.path), daemon=True).start()
    while True:
        record(database, state, number)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
        number += 1


if __name__ == "__main__":
    main()
