"""Threads that look, and the one that commits: files of a collection in order, a group at a time.

Outcomes are committed in the order of the files, so that the result doesn't depend on who was quick. At most
two groups are under way, whatever the number of files.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Final

from edge.errors import StoreError
from edge.intake.types import Candidate
from edge.service.work import Outcome, now_ms
from edge.store.ledger import Fate, Ledger, Stat, Suspect

GROUP: Final = 16
"""Files in one commit."""


class Crew:
    """Works through files once.

    Args:
        look: what becomes of a file; called from several threads.
        record: commits outcomes; called from the thread that calls :meth:`run`.
        ledger: attempts are committed there.
        survives: tries a file in a process of its own; False if that process died.
        workers: threads.
        most_attempts: after so many that ended the process, a file isn't looked at any more.
        stop: set to end after the files in hand.
    """

    def __init__(
        self,
        look: Callable[[Candidate], Outcome],
        record: Callable[[Sequence[Outcome]], None],
        ledger: Ledger,
        *,
        survives: Callable[[Candidate], bool],
        workers: int,
        most_attempts: int,
        stop: threading.Event,
    ) -> None:
        self._look = look
        self._record = record
        self._ledger = ledger
        self._survives = survives
        self._workers = workers
        self._most_attempts = most_attempts
        self._stop = stop
        self._suspects = ledger.suspects()
        self._waiting: deque[tuple[Candidate, Future[Outcome]]] = deque()

    def run(self, candidates: Iterable[Candidate]) -> None:
        """Look at files and commit what becomes of them, until there are no more or it is told to stop.

        Raises:
            EdgeError: a commit failed, or the models did; what was committed stays.
        """
        with ThreadPoolExecutor(self._workers, thread_name_prefix="look") as pool:
            try:
                for group in self._groups(candidates):
                    self._begin(pool, group)
                    if self._stop.is_set():
                        break
                self._drain(0)
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
                self._release([candidate.file for candidate, _ in self._waiting])

    def _begin(self, pool: ThreadPoolExecutor, group: Sequence[Candidate]) -> None:
        """Give a group to the threads, once there is room for it; a suspect alone."""
        suspect = self._suspect(group[0])
        self._drain(0 if suspect else GROUP)
        self._ledger.attempt([(c.file, Stat(*c.stat)) for c in group], now=now_ms())
        for candidate in group:
            condemned = suspect is not None and self._condemned(candidate, suspect)
            task = self._quarantine if condemned else self._look
            self._waiting.append((candidate, pool.submit(task, candidate)))
        if suspect:
            self._drain(0)

    def _drain(self, limit: int) -> None:
        """Commit outcomes until at most ``limit`` files are under way; told to stop, those begun."""
        while len(self._waiting) > limit or (self._stop.is_set() and self._waiting):
            if self._stop.is_set():
                self._withdraw()
            number = min(GROUP, len(self._waiting))
            outcomes = [future.result() for _, future in list(self._waiting)[:number]]
            if outcomes:
                self._record(outcomes)
            for _ in range(number):
                self._waiting.popleft()

    def _withdraw(self) -> None:
        """Take back what no thread has begun."""
        begun = [(c, future) for c, future in self._waiting if not future.cancel()]
        self._release([c.file for c, future in self._waiting if future.cancelled()])
        self._waiting = deque(begun)

    def _groups(self, candidates: Iterable[Candidate]) -> Iterator[list[Candidate]]:
        group: list[Candidate] = []
        for candidate in candidates:
            suspect = self._suspect(candidate) is not None
            if group and (suspect or len(group) == GROUP):
                yield group
                group = []
            group.append(candidate)
            if suspect:
                yield group
                group = []
        if group:
            yield group

    def _suspect(self, candidate: Candidate) -> Suspect | None:
        """What an earlier process was looking at when it ended."""
        suspect = self._suspects.get(candidate.file)
        return suspect if suspect and candidate.stat.same_version(suspect.stat) else None

    def _condemned(self, candidate: Candidate, suspect: Suspect) -> bool:
        """From the last chance on a file is looked at in a process of its own first."""
        return suspect.attempts + 1 >= self._most_attempts and not self._survives(candidate)

    def _quarantine(self, candidate: Candidate) -> Outcome:
        reason = "ended the process that looked at it, again and again"
        return Outcome(Fate(candidate.file, Stat(*candidate.stat), "quarantined", reason))

    def _release(self, files: Sequence[str]) -> None:
        with suppress(StoreError):  # they are looked at alone the next time, and that is all
            self._ledger.release(files)
