"""The watcher's work without its thread: one step at a time, with time as given.

Everything that has to be looked at is a folder in one queue: the drop folder for a full scan, a new folder
when inotify tells of one. A folder is first watched and then listed, so that what comes in between is seen
by one or the other, and its folders join the queue.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from edge.intake.inotify import Watches
from edge.intake.mounts import MOUNTINFO, Mounts, read_mounts
from edge.intake.names import passed_over, unfinished
from edge.intake.scan import Entry, list_folder, look
from edge.intake.settle import Settling, Still
from edge.intake.types import FileStat, Ledger, Version, printable
from edge.settings import IntakeSettings

CHECK_INTERVAL = 1.0
SLICE = 0.05
LOOKS = 4096
ASKED = 1000
"""Files that the ledger is asked about at once: a folder's files are never all in memory."""
REPORTED_FOLDERS = 100


@dataclass(frozen=True, slots=True)
class WatchState:
    """How the watcher is, for health.

    Attributes:
        drop_present: the drop folder exists.
        polling: the drop folder as a whole is only scanned: it is on a network, or inotify isn't to be had.
        watched: folders with a watch.
        unwatched: folders that should have one and haven't; they are scanned every ``scan_interval``.
        limit_reached: the system's inotify limits are why.
        scanned: the first full scan is done.
        scans: full scans done.
        overflows: times that the kernel's queue ran over, each answered with a full scan.
        waiting: files seen that haven't stood still for long enough.
        out: files handed on whose fate the ledger doesn't know yet.
        unreadable: folders that can't be listed, and why; 100 at most.
        skipped: what the last full scan passed over, by reason: symbolic links, pipes.
    """

    drop_present: bool = False
    polling: bool = False
    watched: int = 0
    unwatched: int = 0
    limit_reached: bool = False
    scanned: bool = False
    scans: int = 0
    overflows: int = 0
    waiting: int = 0
    out: int = 0
    unreadable: Mapping[str, str] = field(default_factory=dict)
    skipped: Mapping[str, int] = field(default_factory=dict)


class Reconciler:
    """Brings what is known of the drop folder in line with what is there.

    Args:
        drop: the folder; it may be missing.
        settings: intervals.
        ledger: which files have their fate.
        watches: of inotify.
        clock: monotonic seconds.
        beat: called over and over during long work.
        table: the kernel's mount table.
    """

    def __init__(
        self,
        drop: Path,
        settings: IntakeSettings,
        ledger: Ledger,
        watches: Watches,
        *,
        clock: Callable[[], float],
        beat: Callable[[], None] = lambda: None,
        table: Path = MOUNTINFO,
    ) -> None:
        self._drop = drop
        self._settings = settings
        self._ledger = ledger
        self._watches = watches
        self._clock = clock
        self._beat = beat
        self._table = table
        self._mounts: Mounts = read_mounts(drop, table)
        self._real = os.path.realpath(drop)
        self._settling = Settling()
        self._identity: tuple[int, int] | None = None
        self._queue: dict[str, None] = {}
        self._full = False
        self._visited: set[str] = set()
        self._skipping: Counter[str] = Counter()
        self._skipped: Mapping[str, int] = {}
        self._unwatched: set[str] = set()
        self._unreadable: dict[str, str] = {}
        self._next_check = self._next_scan = clock()
        self._scans = 0
        self._overflows = 0

    def step(self) -> list[Still]:
        """Looks at what is due, for a moment; gives the files that turned out to stand still."""
        self._take_hints()
        self._check_drop(self._clock())
        self._scan_some()
        return self._settling.take_due(self._clock(), self._look, self._settle_of, LOOKS)

    def idle_for(self) -> float:
        """Seconds until there is something to do, if no hint comes before; 0 if there is already."""
        if self._queue:
            return 0.0
        look = self._next_look()
        due = self._settling.next_due()
        return max(0.0, (look if due is None else min(look, due)) - self._clock())

    def retry(self, name: str, stat: FileStat, after: float) -> None:
        """Has a file handed on again after some seconds, or as soon as it changed and stood still."""
        self._settling.retry(name, stat, self._clock() + after)

    def mounts_changed(self) -> None:
        """Something was mounted or unmounted; all is scanned if it was here."""
        mounts = read_mounts(self._drop, self._table)
        if mounts != self._mounts:
            self._mounts = mounts
            self._next_check = self._next_scan = self._clock()

    def state(self) -> WatchState:
        """A snapshot."""
        unwatched = len(self._unwatched)
        return WatchState(
            drop_present=self._identity is not None,
            polling=self._watches.fileno() is None or self._mounts.is_network(self._real),
            watched=len(self._watches),
            unwatched=unwatched,
            limit_reached=self._watches.limit_reached and (self._watches.fileno() is None or unwatched > 0),
            scanned=self._scans > 0,
            scans=self._scans,
            overflows=self._overflows,
            waiting=self._settling.waiting,
            out=self._settling.out,
            unreadable=dict(self._unreadable),
            skipped=self._skipped,
        )

    def _check_drop(self, now: float) -> None:
        if now < self._next_look():
            return
        self._next_check = now + CHECK_INTERVAL
        identity = _identity(self._drop)
        if identity is None:
            self._lose_drop()
        elif identity != self._identity or (now >= self._next_scan and not self._full):
            self._identity = identity
            self._request_full()

    def _next_look(self) -> float:
        """When the drop folder is looked at next: every second, and when a scan of it is due."""
        scan_due = self._identity is not None and not self._full
        return min(self._next_check, self._next_scan) if scan_due else self._next_check

    def _lose_drop(self) -> None:
        self._identity = None
        self._queue.clear()
        self._unwatched.clear()
        self._unreadable.clear()
        self._full = False
        self._watches.forget("")

    def _request_full(self) -> None:
        """Queues a scan of everything, after what is queued already."""
        self._mounts = read_mounts(self._drop, self._table)
        self._real = os.path.realpath(self._drop)
        self._queue.pop("", None)
        self._queue[""] = None
        self._visited = set()
        self._skipping = Counter()
        self._full = True
        self._next_scan = self._clock() + self._settings.scan_interval

    def _take_hints(self) -> None:
        now = self._clock()
        for hint in self._watches.read():
            folder, _, base = hint.name.rpartition("/")
            if hint.kind == "file":
                stat = None if unfinished(base) else self._look(hint.name)
                if stat is not None:
                    self._settling.saw(hint.name, stat, now, self._settle(folder))
            elif hint.kind == "folder":
                if not passed_over(base):
                    self._queue[hint.name] = None
            elif hint.kind == "overflow":
                self._overflows += 1
                self._request_full()
            else:
                # A new drop folder may have the old one's inode number: this one doesn't count any more.
                self._identity = None
                self._next_check = now

    def _scan_some(self) -> None:
        until = self._clock() + SLICE
        while self._queue and self._clock() <= until:
            folder = next(iter(self._queue))
            del self._queue[folder]
            self._scan(folder)
        if self._full and not self._queue:
            self._finish_full()

    def _finish_full(self) -> None:
        self._full = False
        self._scans += 1
        self._skipped = dict(self._skipping)
        self._settling.keep_folders(self._visited)
        self._unwatched &= self._visited
        self._unreadable = {k: v for k, v in self._unreadable.items() if k in self._visited}
        self._next_scan = self._clock() + self._settings.scan_interval

    def _scan(self, folder: str) -> None:
        self._visited.add(folder)
        self._watch(folder)
        open_files: list[str] = []
        entries = self._list(folder)
        try:
            while some := list(islice(entries, ASKED)):
                open_files += self._take_entries(folder, some)
        except OSError as error:
            self._cannot_list(folder, error)
            return
        self._unreadable.pop(folder, None)
        self._settling.reconcile(folder, open_files)

    def _list(self, folder: str) -> Iterator[Entry]:
        for entry in list_folder(self._path(folder)):
            self._beat()
            yield entry

    def _take_entries(self, folder: str, entries: Sequence[Entry]) -> list[str]:
        """Names of the files without a fate."""
        files = [printable(entry.name) for entry in entries if entry.stat is not None]
        known = self._ledger.known_in(printable(folder), files) if files else {}
        settle = self._settle(folder)
        # One moment for all: what was found together is due together, and so is put in order together.
        now = self._clock()
        return [entry.name for entry in entries if self._take_entry(folder, entry, known, now, settle)]

    def _take_entry(
        self, folder: str, entry: Entry, known: Mapping[str, Version], now: float, settle: float
    ) -> bool:
        """Whether it is a file without a fate."""
        name = f"{folder}/{entry.name}" if folder else entry.name
        if entry.kind == "folder":
            self._queue[name] = None
        elif entry.stat is None:
            self._skipping[entry.reason] += 1
        else:
            fate = known.get(printable(entry.name))
            if fate is None or not entry.stat.same_version(fate):
                self._settling.saw(name, entry.stat, now, settle)
                return True
        return False

    def _watch(self, folder: str) -> None:
        if self._mounts.is_network(self._real_path(folder)):
            if folder in self._watches:
                self._watches.forget(folder)
        elif self._watches.add(folder, self._path(folder)):
            self._unwatched.discard(folder)
        else:
            self._unwatched.add(folder)

    def _cannot_list(self, folder: str, error: OSError) -> None:
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            self._watches.forget(folder)
            self._unwatched.discard(folder)
            self._visited.discard(folder)
        elif len(self._unreadable) < REPORTED_FOLDERS:
            self._unreadable[folder] = f"can't list the folder: {error.strerror}"

    def _settle(self, folder: str) -> float:
        network = self._mounts.is_network(self._real_path(folder))
        return self._settings.settle_network if network else self._settings.settle

    def _settle_of(self, name: str) -> float:
        return self._settle(name.rpartition("/")[0])

    def _look(self, name: str) -> FileStat | None:
        return look(self._path(name))

    def _path(self, name: str) -> Path:
        return self._drop / name

    def _real_path(self, folder: str) -> str:
        return f"{self._real}/{folder}" if folder else self._real


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        result = folder.stat()
    except OSError:
        return None
    return result.st_dev, result.st_ino
