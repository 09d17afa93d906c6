"""What is measured while it runs: the daemon's memory, its line of images, and how long an image takes."""

from __future__ import annotations

import csv
import os
import threading
import time
from contextlib import suppress
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from edge.delivery.messages import RegistrationMessage
from edge.errors import EdgeError
from edge.store.database import open_readonly
from edge.store.ledger import Ledger
from edge.store.outbox import Outbox

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the daemon.

    Attributes:
        at: seconds since the beginning.
        rss: resident memory, MiB; ``anonymous`` of it is the daemon's own.
        threads, descriptors: numbers.
        delivered: files that the cameras wrote.
        recorded: files with an outcome.
        waiting: messages that the broker didn't acknowledge yet.
        database: MiB, the write-ahead log included.
    """

    at: float
    rss: float
    anonymous: float
    threads: int
    descriptors: int
    delivered: int
    recorded: int
    waiting: int
    database: float


@dataclass(frozen=True, slots=True)
class Latency:
    """One image: when it was complete in the drop folder, and seconds until a subscriber heard of it."""

    at: float
    seconds: float
    calm: bool


class Latencies:
    """Images that were delivered, and the first message that names each.

    Args:
        began: monotonic time of the beginning.
    """

    def __init__(self, began: float) -> None:
        self._began = began
        self._waiting: dict[str, float] = {}
        self._troubles: list[tuple[float, float]] = []
        self._lock = threading.Lock()
        self.all: list[Latency] = []

    def delivered(self, file: str) -> None:
        """A file is complete."""
        with self._lock:
            self._waiting[file] = time.monotonic()

    def trouble(self, began: float, ended: float) -> None:
        """The broker was away between two monotonic times."""
        with self._lock:
            self._troubles.append((began, ended))

    def heard(self, message: RegistrationMessage) -> None:
        """A message came."""
        now = time.monotonic()
        with self._lock:
            for entry in message.media:
                if (since := self._waiting.pop(entry.file, None)) is not None:
                    calm = not any(a - 5 <= now and since <= b + 60 for a, b in self._troubles)
                    self.all.append(Latency(since - self._began, now - since, calm))

    def save(self, path: Path) -> None:
        """As CSV."""
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["at_s", "latency_s", "calm"])
            writer.writerows(astuple(one) for one in list(self.all))


class Recording:
    """Samples, kept and written as they come, so that an interrupted soak has its figures.

    Args:
        path: of the CSV file.
        state: the daemon's state folder.
    """

    def __init__(self, path: Path, state: Path) -> None:
        self._path, self._state = path, state
        self.samples: list[Sample] = []
        path.write_text(",".join(field.name for field in fields(Sample)) + "\n")

    def look(self, at: float, pid: int, delivered: int) -> None:
        """Take one sample; nothing if the process or its database isn't there."""
        with suppress(OSError, EdgeError):
            sample = _sample(self._state, at, pid, delivered)
            self.samples.append(sample)
            with self._path.open("a", newline="") as file:
                csv.writer(file).writerow(astuple(sample))


def _sample(state: Path, at: float, pid: int, delivered: int) -> Sample:
    status = _status(pid)
    database = open_readonly(state)
    try:
        recorded = sum(n for kind, n in Ledger(database).counts().items() if kind != "attempted")
        waiting = Outbox(database).counts().pending
    finally:
        database.close()
    return Sample(
        at=round(at, 1),
        rss=status["VmRSS"] / 1024,
        anonymous=status["RssAnon"] / 1024,
        threads=status["Threads"],
        descriptors=len(os.listdir(f"/proc/{pid}/fd")),  # noqa: PTH208 - names only, of a folder that changes
        delivered=delivered,
        recorded=recorded,
        waiting=waiting,
        database=sum(path.stat().st_size for path in state.glob("edge.db*")) / _MIB,
    )


def _status(pid: int) -> dict[str, int]:
    """Numbers in ``/proc/PID/status``; sizes are in KiB there."""
    found = {}
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        key, _, value = line.partition(":")
        number = value.strip().removesuffix(" kB")
        if number.isdigit():
            found[key] = int(number)
    return found
