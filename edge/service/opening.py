"""The database at the start: checked, replaced where it is damaged, waited for where the disk is full."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from edge.delivery.messages import Problem
from edge.errors import DiskFullError, EdgeError, StoreBusyError, StoreCorruptError, StoreError
from edge.service.notify import notify
from edge.service.recovery import Replaced, replace_database
from edge.store.ballast import Ballast
from edge.store.database import Database, open_database
from edge.store.files import write_durably
from edge.store.recovery import has_damaged_log, is_missing, sound_part

T = TypeVar("T")
log = logging.getLogger("edge")

SUSPECT: Final = "suspect"
"""A file that says that SQLite found damage while it ran: the next start looks more closely."""
WAIT: Final = 5.0
_TELL: Final = 20.0
_LONGEST: Final = 4 * 3600.0
"""Seconds that checking and restoring may take at most before systemd takes it for hanging."""


class Opened(NamedTuple):
    """A database that is fit for use, and what there is to say about it."""

    database: Database
    note: Problem | None = None


def opened(state: Path) -> Opened:
    """Open the state folder's database; one that is damaged or gone is replaced by the newest sound backup.

    The caller has the state folder's lock.

    Raises:
        DiskFullError: there is no space to open or to replace it; nothing was changed.
        StoreVersionError: it was made by a newer version.
        StoreError: it can't be opened.
    """
    suspect = state / SUSPECT
    with patience():
        replaced = _replaced_unopened(state)
        try:
            database = open_database(state, thorough=suspect.exists())
        except StoreCorruptError as error:
            log.warning("%s", error)
            replaced = replace_database(state)
            database = open_database(state)
        suspect.unlink(missing_ok=True)
    return Opened(database, _told(replaced) if replaced else None)


@contextmanager
def remembering_damage(state: Path) -> Iterator[None]:
    """If SQLite finds damage meanwhile, have the next start look at every page and every index."""
    try:
        yield
    except EdgeError as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, StoreCorruptError):
            cause = cause.__cause__
        if cause is not None:
            with suppress(StoreError):  # the process ends with the damage itself in any case
                write_durably(state / SUSPECT, b"")
        raise


def until_space(
    attempt: Callable[[], T], ballast: Ballast, stop: threading.Event, *, wait: float = WAIT
) -> T | None:
    """Try to begin until the disk has room for it, giving up the ballast first; None if told to stop.

    Another program that holds the database's lock is waited out in the same way.

    Args:
        attempt: what to do; leaves nothing behind where it fails.
        ballast: the reserve.
        stop: ends the waiting.
        wait: seconds between two tries.
    """
    told = False
    while not stop.is_set():
        try:
            return attempt()
        except (DiskFullError, StoreBusyError) as error:
            full = isinstance(error, DiskFullError)
            if full and ballast.give_up():
                log.warning("%s: the ballast was given up to start", error)
                continue
            awaited = "space" if full else "the database"
            if not told:
                log.warning("%s: waiting for %s", error, awaited)
                told = True
            notify(f"STATUS={error.what}, waiting for {awaited}")
            _extend()
            stop.wait(wait)
    return None


def _replaced_unopened(state: Path) -> Replaced | None:
    """What SQLite would say nothing of: a database that is gone, and lost commits in its log."""
    if is_missing(state):
        log.warning("there was a database in %s, and it is gone", state)
        return replace_database(state)
    if has_damaged_log(state):
        log.warning("the database's log in %s has lost commits", state)
        return replace_database(state, itself=sound_part(state))
    return None


def _told(replaced: Replaced) -> Problem:
    aside = f", moved aside to {replaced.aside.name}" if replaced.aside else ""
    instead = f"{replaced.source.name} was restored" if replaced.source else "a new one was begun"
    if replaced.source is None and replaced.itself:
        instead = "what can be read of it goes on"
    message = f"the database was damaged or gone{aside}; {instead}"
    log.warning("%s; everything is said again under epoch %s", message, replaced.epoch)
    return Problem(
        code="database_replaced",
        message=message,
        hint="corrections made since then are made again by themselves",
    )


@contextmanager
def patience() -> Iterator[None]:
    """Tell systemd now and then that something long goes on, but not for ever: what hangs is ended."""
    done = threading.Event()

    def tell() -> None:
        until = time.monotonic() + _LONGEST
        while time.monotonic() < until and not done.wait(_TELL):
            _extend()

    telling = threading.Thread(target=tell, name="patience", daemon=True)
    telling.start()
    try:
        yield
    finally:
        done.set()
        telling.join()


def _extend() -> None:
    notify(f"EXTEND_TIMEOUT_USEC={round(3 * _TELL * 1_000_000)}")
