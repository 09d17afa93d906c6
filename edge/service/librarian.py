"""The thread that keeps the index: seals what was embedded, at low priority, while no image waits."""

from __future__ import annotations

import logging
import os
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from edge.delivery.messages import Problem
from edge.errors import DiskFullError, SearchError, StoreBusyError
from edge.search import Indexer
from edge.service.heartbeat import Worker
from edge.service.indexing import FOLDER, StoredVectors, folder_name, index_folder, sizes_of
from edge.settings import Settings
from edge.store.database import Database, open_readonly
from edge.store.files import free_space
from edge.store.searching import stored_spaces

log = logging.getLogger("edge")

REST: Final = 5.0
"""Seconds between looks for new vectors."""
RETRY: Final = 60.0
"""Seconds after the index could not be written."""
SURVEY: Final = 6 * 3600.0
"""Seconds between looks for what isn't needed any more."""
PATIENCE: Final = 600.0
"""Seconds of waiting images after which a step is done all the same, so that a long import is found too."""
_PAUSE: Final = 0.2
_NICE: Final = 10
"""Not the lowest: a thread that waits for a core while it holds the interpreter keeps all others waiting."""


class Librarian:
    """Keeps the index of one bundle's vectors.

    Args:
        settings: all of them.
        bundle: SHA-256 of the bundle in use.
        dimension: of its vectors.
    """

    def __init__(self, settings: Settings, bundle: str, dimension: int) -> None:
        self._settings = settings
        self._bundle = bundle
        self._dimension = dimension
        self._problem: Problem | None = None

    def problems(self) -> tuple[Problem, ...]:
        """What needs a person. Thread-safe."""
        problem = self._problem
        return () if problem is None else (problem,)

    def loop(self, busy: Callable[[], bool], stop: threading.Event) -> Callable[[Worker], None]:
        """The loop of its thread.

        Args:
            busy: whether images wait, or there is no space.
            stop: ends it, between two blocks of vectors.
        """

        def loop(worker: Worker) -> None:
            with suppress(PermissionError):  # a sandbox may deny it: then it competes, while nothing waits
                # Of this thread alone: on Linux each has its own.
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
            database = open_readonly(self._settings.state)
            try:
                self._keep(database, Calm(busy, stop, worker.beat))
            finally:
                database.close()

        return loop

    def _keep(self, database: Database, calm: Calm) -> None:
        indexer = self._indexer(database)
        surveyed = -SURVEY
        while calm():
            if time.monotonic() - surveyed >= SURVEY:
                surveyed = time.monotonic()
                indexer.survey()
                self._remove_unused(database)
            calm.rest(self._step(indexer, calm))

    def _step(self, indexer: Indexer, calm: Calm) -> float:
        """Do one thing; returns seconds until the next."""
        try:
            done = indexer.step(calm)
        except StoreBusyError:
            return REST
        except (DiskFullError, SearchError) as error:
            hint = error.hint or "search works without it, only slower"
            self._problem = Problem(code="index_unwritten", message=str(error), hint=hint)
            return RETRY
        self._problem = None
        return 0.0 if done else REST

    def _indexer(self, database: Database) -> Indexer:
        settings = self._settings
        return Indexer(
            index_folder(settings.state, database, self._bundle),
            StoredVectors(database, self._bundle, self._dimension),
            sizes_of(settings.search),
            room=lambda size: free_space(settings.state) - size >= settings.store.low_water,
        )

    def _remove_unused(self, database: Database) -> None:
        """Remove indexes of bundles without vectors, and of databases that are gone."""
        used = {folder_name(database, space.sha256) for space in stored_spaces(database)}
        used.add(folder_name(database, self._bundle))
        with suppress(OSError):  # it is tried again at the next survey
            for folder in (self._settings.state / FOLDER).iterdir():
                if folder.name not in used:
                    shutil.rmtree(folder)
                    log.info("index %s isn't needed any more and was removed", folder.name)


class Calm:
    """Waits while images do. Calling it tells whether to go on.

    Args:
        busy: whether images wait.
        stop: ends the waiting, and everything.
        beat: called meanwhile.
    """

    def __init__(self, busy: Callable[[], bool], stop: threading.Event, beat: Callable[[], None]) -> None:
        self._busy = busy
        self._stop = stop
        self._beat = beat
        self._hurry = False

    def __call__(self) -> bool:
        """Wait until no image waits; False if everything is to end."""
        since = time.monotonic()
        self._beat()
        while not self._hurry and self._busy() and not self._stop.wait(_PAUSE):
            self._beat()
            self._hurry = time.monotonic() - since >= PATIENCE
        return not self._stop.is_set()

    def rest(self, seconds: float) -> None:
        """After a step; from here on there is patience again."""
        self._hurry = False
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._stop.wait(min(REST, left)):
            self._beat()
