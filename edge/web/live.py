"""What changes, told to every browser that watches: one thread looks, however many there are.

``PRAGMA data_version`` says in microseconds whether anybody has committed; only then the newest message's
number is asked for, and what was said since. So news is here within ``EVERY`` of its commit, and an idle
device does next to nothing; while nobody watches, nothing at all.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from edge.errors import EdgeError, TooBusyError
from edge.service.browsing import changes
from edge.service.report import HEALTH_FILE
from edge.store.browsing import Listed, head
from edge.store.database import DATABASE, Database, open_readonly

log = logging.getLogger("edge.web")

EVERY: Final = 0.2
"""Seconds between two looks."""
WATCHERS: Final = 48
_WAITING: Final = 64
_AGAIN: Final = 1.0


@dataclass(frozen=True, slots=True)
class News:
    """Something to tell a browser.

    Attributes:
        kind: ``change`` of a registration; ``health`` of the device; ``reload``: too much has changed to be
            told one by one; ``end``: the page is being stopped.
        row: the registration.
        seq: the last number given out, for a browser that comes back.
    """

    kind: Literal["change", "health", "reload", "end"]
    row: Listed | None = None
    seq: int = 0


class Watcher:
    """One browser's line of news, in its event loop.

    Args:
        since: number of the newest message that its page has; None: from now on.
    """

    def __init__(self, since: int | None) -> None:
        self.since = since
        self._loop = asyncio.get_running_loop()
        self._line: asyncio.Queue[News] = asyncio.Queue(_WAITING)

    async def next(self, patience: float) -> News | None:
        """The next news; None if there is none for so many seconds."""
        try:
            return await asyncio.wait_for(self._line.get(), patience)
        except TimeoutError:
            return None

    def tell(self, news: News) -> None:
        """Put news in line; called from any thread."""
        self._loop.call_soon_threadsafe(self._put, news)

    def _put(self, news: News) -> None:
        if self._line.full():  # a browser that reads so slowly is better off with the page anew
            while not self._line.empty():
                self._line.get_nowait()
            news = news if news.kind == "end" else News("reload", seq=news.seq)
        self._line.put_nowait(news)


class Live:
    """Looks for changes while somebody watches.

    Args:
        state: the state folder.
        stopping: set when the process is to end.
    """

    def __init__(self, state: Path, stopping: threading.Event) -> None:
        self._state = state
        self._stopping = stopping
        self._watchers: set[Watcher] = set()
        self._lock = threading.Lock()
        self._wanted = threading.Event()
        self._missed = False
        self._thread = threading.Thread(target=self._run, name="live", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End, and let every watcher end; ``stopping`` is set."""
        self._stopping.set()
        self._wanted.set()
        self._thread.join(5 * EVERY + _AGAIN)

    @contextmanager
    def watching(self, since: int | None = None) -> Iterator[Watcher]:
        """A line of news. To be used in an event loop.

        Args:
            since: number of the newest message that the page has; what was said after it comes first. None:
                from now on.

        Raises:
            TooBusyError: too many watch already.
        """
        watcher = Watcher(since)
        with self._lock:
            if len(self._watchers) >= WATCHERS:
                raise TooBusyError("too many pages are open", hint="close some; this one works by reloading")
            self._watchers.add(watcher)
            self._wanted.set()
        try:
            yield watcher
        finally:
            with self._lock:
                self._watchers.discard(watcher)
                if not self._watchers and not self._stopping.is_set():
                    self._wanted.clear()

    def _tell(self, news: News) -> None:
        for watcher in self._present():
            with suppress(RuntimeError):  # its loop is closed: it goes away by itself
                watcher.tell(news)

    def _present(self) -> list[Watcher]:
        with self._lock:
            return list(self._watchers)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wanted.wait()
            try:
                self._watch()
            except EdgeError as error:
                log.debug("nothing to watch for now: %s", error)
                self._missed = True
                self._stopping.wait(_AGAIN)
        self._tell(News("end"))

    def _watch(self) -> None:
        """Look until nobody watches any more, or the database gives way to another."""
        if not _inode(self._state / DATABASE):
            self._stopping.wait(_AGAIN)
            return
        database = open_readonly(self._state)
        try:
            eye = _Eye(database, self._state, self._tell, self._present)
            if self._missed:  # what was said while nothing could be read is known to nobody
                self._missed = False
                self._tell(News("reload"))
            while self._wanted.is_set() and not self._stopping.wait(EVERY):
                if not eye.look():
                    return
        finally:
            database.close()


class _Eye:
    """What was seen last, on one connection."""

    def __init__(
        self,
        database: Database,
        state: Path,
        tell: Callable[[News], None],
        present: Callable[[], list[Watcher]],
    ) -> None:
        self._db = database
        self._state = state
        self._tell = tell
        self._present = present
        self._inode = _inode(state / DATABASE)
        self._version = -1
        self._seq = head(database)
        self._health = _changed(state / HEALTH_FILE)

    def look(self) -> bool:
        """Tell what is new; False if this database has given way to another."""
        if _inode(self._state / DATABASE) != self._inode:
            self._tell(News("reload"))
            return False
        health = _changed(self._state / HEALTH_FILE)
        if health != self._health:
            self._health = health
            self._tell(News("health", seq=self._seq))
        for watcher in self._present():
            if watcher.since is not None:
                since, watcher.since = watcher.since, None
                self._changes(since, watcher.tell)
        version = int(self._db.execute("PRAGMA data_version")[0][0])
        if version != self._version:
            self._version = version
            self._seq = self._changes(self._seq, self._tell)
        return True

    def _changes(self, since: int, tell: Callable[[News], None]) -> int:
        """Tell what was said after a number; returns the last one given out."""
        found = changes(self._db, since, _WAITING // 2)
        if found.more or found.head < since:
            tell(News("reload", seq=found.head))
        else:
            for row in found.rows:
                tell(News("change", row, row.seq))
        return found.head


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return 0


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
