"""The housekeeper's thread: backups, room on the disk, what is to be said after a database was replaced."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from edge.delivery.messages import Problem
from edge.errors import DiskFullError, StoreBusyError, StoreCorruptError, StoreError
from edge.service.ageing import Ageing
from edge.service.emit import Voice
from edge.service.heartbeat import Worker
from edge.service.recall import Recall, is_recalling
from edge.service.restating import has_strays, is_restating, restate, settle_strays
from edge.service.retention import Cleaner
from edge.service.work import now_ms
from edge.settings import Settings
from edge.store.backup import FOLDER, StoppedError, backups, make_backup, rotate
from edge.store.ballast import Ballast
from edge.store.database import Database, open_readonly
from edge.store.files import free_space
from edge.store.journal import JOURNAL, Journal

log = logging.getLogger("edge")

FIRST_BACKUP: Final = 600.0
"""Seconds after the start before the first backup of a folder that has none."""
RETRY: Final = 3600.0
CLEAN_INTERVAL: Final = 600.0
BALLAST_INTERVAL: Final = 10.0
STRAYS_INTERVAL: Final = 600.0
_TURN: Final = 0.25
_BUSY: Final = 0.05


def is_due(ages: list[float], interval: float, *, since_last: float, slack: float = 0.0) -> bool:
    """Whether it is time for a backup. Pure.

    Args:
        ages: seconds since each backup of the folder was made, the newest last, by the machine's clock.
        interval: seconds between two; 0: never.
        since_last: seconds on the monotonic clock since this process made one, or began.
        slack: share of the interval (0 to 1) by which it may be early.
    """
    if not interval:
        return False
    due = interval * (1.0 - slack)
    if not ages:
        return since_last >= min(FIRST_BACKUP, due)
    # A backup from the future means that a clock was wrong, then or now: only the monotonic one tells.
    return since_last >= due if ages[-1] < 0 else ages[-1] >= due


class Keeper:
    """Does one small thing after the other; ``loop`` is its thread's.

    Args:
        settings: all of them.
        database: the daemon's.
        voice: who speaks in messages.
        ballast: the reserve.
        stop: ends it.
        idle: whether all that is in the drop folder is on record.
        wake: called when there are new messages.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        voice: Voice,
        ballast: Ballast,
        stop: threading.Event,
        *,
        idle: Callable[[], bool],
        wake: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._db = database
        self._voice = voice
        self._ballast = ballast
        self._stop = stop
        self._idle = idle
        self._wake = wake
        self._cleaner = Cleaner(settings, database)
        self._ageing = Ageing(database)
        self._restating, self._strays = is_restating(database), has_strays(database)
        self._recalling, self._recall = is_recalling(database), Recall(settings, database)
        self._after = ""
        self._made = time.monotonic()
        self._next = dict.fromkeys(("ballast", "clean", "recall", "strays", "backup"), self._made)
        self._problems: dict[str, Problem] = {}

    @property
    def settled(self) -> bool:
        """Whether subscribers have been told all that a replaced database makes necessary."""
        return not self._restating and not self._recalling and not self._strays

    def problems(self) -> tuple[Problem, ...]:
        """What needs a person."""
        return tuple(self._problems.values())

    def loop(self, worker: Worker) -> None:
        """Until told to stop."""
        while not self._stop.is_set():
            worker.beat()
            try:
                busy = self.step(worker.beat)
            except (DiskFullError, StoreBusyError):
                busy = False  # others say so, and give up the ballast; this waits its turn
            self._stop.wait(_BUSY if busy else _TURN)

    def step(self, beat: Callable[[], None]) -> bool:
        """Do what is due, one small piece; returns whether there is more to do at once.

        Args:
            beat: called during what takes longer.

        Raises:
            StoreCorruptError: the database is damaged.
            StoreError: it can't be written.
        """
        if self._restating:
            self._restating = restate(self._db, self._voice, now_ms()) > 0
            self._wake()
            return self._restating
        if self._is_time("recall") and self._is_recalling() and self._idle():
            return self._make_again()
        if self._is_time("strays") and self._has_strays() and self._idle():
            return self._settle()
        if self._is_time("ballast"):
            self._next["ballast"] = time.monotonic() + BALLAST_INTERVAL
            self._watch_ballast()
        if self._is_time("backup") and self._backup_is_due():
            self._back_up(beat)
        return self._clean() if self._is_time("clean") else False

    def _make_again(self) -> bool:
        images, more = 0, False
        try:
            images, more = self._recall.step()
        except (DiskFullError, StoreBusyError, StoreCorruptError):
            raise
        except StoreError as error:
            self._say("recall_failed", str(error), f"corrections since the backup wait: see {JOURNAL}")
        else:
            self._problems.pop("recall_failed", None)
        if images:
            log.info("corrections of %d images were made again", images)
            self._wake()
        if not more:
            self._recalling = False
            self._next["recall"] = time.monotonic() + STRAYS_INTERVAL
        return more

    def _is_recalling(self) -> bool:
        """Those of images that are gone wait for good, and are tried again now and then."""
        found = self._recalling or is_recalling(self._db)
        if not found:
            self._next["recall"] = float("inf")
        return found

    def _settle(self) -> bool:
        self._after, retracted = settle_strays(self._db, self._voice, now_ms(), self._after)
        if retracted:
            log.info("%d registrations of the replaced database were retracted", retracted)
            self._wake()
        if not self._after:
            self._strays = False
            self._next["strays"] = time.monotonic() + STRAYS_INTERVAL
        return bool(self._after)

    def _has_strays(self) -> bool:
        """Those whose images are gone stay for good, and are looked at again now and then."""
        found = self._strays or has_strays(self._db)
        if not found:
            self._next["strays"] = float("inf")
        return found

    def _clean(self) -> bool:
        try:
            now = now_ms()
            step = self._cleaner.step(now, since=self._ageing.since(now))
        except (DiskFullError, StoreBusyError, StoreCorruptError):
            raise
        except StoreError as error:
            self._say("retention_failed", str(error), "images and messages go on; see store.keep_originals")
            self._next["clean"] = time.monotonic() + CLEAN_INTERVAL
            return False
        if not step.more:
            self._problems.pop("retention_failed", None)
            self._next["clean"] = time.monotonic() + CLEAN_INTERVAL
        return step.more

    def _watch_ballast(self) -> None:
        was = self._ballast.held
        if self._ballast.take_up():
            self._problems.pop("no_reserve", None)
            if not was:
                log.info("the ballast is held")
        else:
            size = self._settings.store.ballast // 1_000_000
            self._say("no_reserve", f"no room for the ballast of {size} MB", "free some space")
        if free_space(self._settings.state) < self._settings.store.snapshots_free:
            self._next["clean"] = time.monotonic()

    def _backup_is_due(self) -> bool:
        since_last = time.monotonic() - self._made
        ages = [time.time() - path.stat().st_mtime for _, path in backups(self._folder)]
        return is_due(ages, self._settings.store.backup_interval, since_last=since_last)

    def _back_up(self, beat: Callable[[], None]) -> None:
        def go_on() -> bool:
            beat()
            return not self._stop.is_set()

        try:
            made = make_backup(
                self._db.path, self._folder, reserve=self._settings.store.low_water, go_on=go_on
            )
            store = self._settings.store
            rotate(self._folder, days=store.backup_days, weeks=store.backup_weeks)
        except StoppedError:
            return
        except StoreBusyError:
            self._next["backup"] = time.monotonic() + BALLAST_INTERVAL  # someone else makes one
            return
        except StoreError as error:
            self._failed(error)
            return
        self._made = time.monotonic()
        self._problems.pop("backup_failed", None)
        log.info("backup %s: %d bytes in %.1f s", made.path.name, made.size, made.seconds)
        self._shorten_journal()

    def _shorten_journal(self) -> None:
        """Where that can't be done now, the next backup is soon enough."""
        try:
            with self._db.transaction():
                Journal(self._settings.state).shorten()
        except (DiskFullError, StoreBusyError):
            return
        except StoreCorruptError:
            raise
        except StoreError as error:
            self._say("recall_failed", str(error), f"corrections aren't safe from damage: see {JOURNAL}")

    def _failed(self, error: StoreError) -> None:
        """A copy that isn't sound is the database's fault, or the disk's that holds the copy."""
        if isinstance(error, StoreCorruptError) and not self._is_sound():
            raise error
        self._next["backup"] = time.monotonic() + RETRY
        self._say("backup_failed", str(error), error.hint or "see `edge backup`")

    def _is_sound(self) -> bool:
        database = open_readonly(self._settings.state)
        try:
            return database.execute("PRAGMA quick_check(1)") == [("ok",)]
        finally:
            database.close()

    @property
    def _folder(self) -> Path:
        return self._settings.state / FOLDER

    def _is_time(self, name: str) -> bool:
        return time.monotonic() >= self._next[name]

    def _say(self, code: str, message: str, hint: str) -> None:
        self._problems[code] = Problem(code=code, message=message, hint=hint)
