"""From a damaged database to one that subscribers can follow: the newest sound backup under a new epoch.

Subscribers keep the greatest revision of an id, and numbers count within an epoch. So what takes a
database's place begins a new epoch, its revisions begin above every one that can have been sent, and
everything on record is said again. What came after the backup is found in the drop folder: ids come from
content, so nothing doubles. Registrations that subscribers know and the record doesn't are remembered as
strays (``edge.service.restating``).
"""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.service.salvage import Salvage, salvage
from edge.store.database import DATABASE, Database
from edge.store.recovery import (
    Prepared,
    begin_epoch,
    damaged,
    forget_copy,
    greatest_revision,
    open_copy,
    parts,
    prepared,
    put_in_place,
)

log = logging.getLogger("edge")

STEP: Final = 1_000_000
"""Between the revisions of one database and those of the next: more than one ever gives out unseen."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """What took a database's place.

    Attributes:
        source: the backup; None: an empty one.
        aside: where the replaced one is now; None if nothing was there.
        epoch: the new one.
        strays: registrations that subscribers may know beyond those on record.
        itself: what could be read of the database goes on.
        passed: backups that couldn't be used, and why.
    """

    source: Path | None
    aside: Path | None
    epoch: str
    strays: int
    itself: bool = False
    passed: tuple[tuple[Path, str], ...] = ()


def replace_database(state: Path, chosen: Prepared | None = None, *, itself: bool = False) -> Replaced:
    """Put the newest sound backup in the database's place, or an empty one if there is none.

    The caller has the state folder's lock, and no connection to the database.

    Args:
        state: the folder.
        chosen: take this instead of the newest backup.
        itself: the database is sound as far as its log can be read: go on with it.

    Raises:
        DiskFullError: there is no space to prepare it; nothing was changed.
        StoreError: the disk refused.
    """
    old = parts(state / DATABASE)
    if state / DATABASE not in old:  # gone, or a crash came between moving it aside and moving its log
        old += [path for aside in damaged(state)[-1:] for path in parts(aside)]
    known = salvage(old)
    with ExitStack() as undo:
        undo.callback(forget_copy, state)
        if itself:
            chosen = Prepared(open_copy(state, state / DATABASE, with_log=True), None)
        copy, source, passed = chosen or prepared(state)
        undo.callback(copy.close)
        for path, why in passed:
            log.warning("backup %s can't be used: %s", path.name, why)
        strays = [s for s in known.living if not _is_living(copy, s.registration_id)]
        epoch = begin_epoch(copy, base_above(copy, known, len(damaged(state))), strays)
        aside = put_in_place(state, copy, time.time())
    return Replaced(source, aside, epoch, len(strays), itself, passed)


def base_above(copy: Database, known: Salvage, replaced_before: int) -> int:
    """A multiple of the step above every revision that can have been sent. No clock is asked.

    Args:
        copy: what takes the place.
        known: what the replaced one is known to have said.
        replaced_before: databases that were replaced here before: what the least is where nothing is known.
    """
    sent = max(known.revision, greatest_revision(copy), replaced_before * STEP)
    return (sent // STEP + 1) * STEP


def _is_living(copy: Database, registration_id: str) -> bool:
    return copy.one("SELECT 1 FROM registrations WHERE id = ? AND living", (registration_id,)) is not None
