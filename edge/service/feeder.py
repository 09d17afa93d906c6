"""From files that stood still to tickets: dated, in order of event time, attempts committed first."""

from __future__ import annotations

import heapq
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from edge.errors import GoneError, IntakeError
from edge.intake.examine import examine
from edge.intake.names import classify_name
from edge.intake.numbering import Numbering
from edge.intake.types import Candidate, Examined
from edge.service.looker import settled
from edge.service.pending import PendingTimes
from edge.service.pipeline import Pipeline
from edge.service.work import Outcome, now_ms
from edge.settings import IntakeSettings
from edge.store.ledger import Fate, FileState, Ledger, Stat, Suspect

GROUP = 12
"""Files under way at once at most: bystanders of a crash, so few; one commit for about half as many."""
PASSING = 1000
"""Outcomes that wait for the writer at most: a card may hold 100,000 files that are no images."""
DATING = 0.25
"""Seconds that a step reads headers."""


class Source(Protocol):
    """Where files come from."""

    def take(self, timeout: float) -> list[Candidate]:
        """Files that stood still, waiting for the first at most ``timeout`` seconds."""
        ...


class Feeder:
    """Keeps the backlog, sorted by event time, and issues from it. Used from one thread."""

    def __init__(
        self,
        source: Source,
        pipeline: Pipeline,
        pending: PendingTimes,
        ledger: Ledger,
        settings: IntakeSettings,
        *,
        survives: Callable[[Examined], bool],
        clock: Callable[[], float] = time.monotonic,
        known: Callable[[], Sequence[Examined] | None] = lambda: None,
        may_issue: Callable[[], bool] = lambda: True,
        insist: Callable[[Callable[[], None]], None] = lambda write: write(),
    ) -> None:
        """Feed a pipeline.

        Args:
            source: of files.
            pipeline: where tickets go.
            pending: told of every event time found.
            ledger: attempts are committed there.
            settings: of intake.
            known: images on record, to judge the cameras' clocks by; None where no time of theirs is new.
            survives: tries a file in a process of its own; False if that process died.
            clock: monotonic seconds.
            may_issue: False while intake has to pause, such as on a full disk.
            insist: commits, waiting for space where there is none.
        """
        self._source = source
        self._pipeline = pipeline
        self._pending = pending
        self._ledger = ledger
        self._settings = settings
        self._survives = survives
        self._clock = clock
        self._may_issue = may_issue
        self._insist = insist
        self._known = known
        self._numbering = Numbering()
        self._learn()
        self._fresh: deque[Candidate] = deque()
        self._dated: list[Examined] = []
        self._backlog: list[tuple[tuple[int, int, str], int, Examined]] = []
        self._tie = itertools.count()
        self._suspects = ledger.suspects()
        self._alone = False
        self.found = 0

    @property
    def backlog(self) -> int:
        """Files found and waiting for a worker."""
        return len(self._fresh) + len(self._dated) + len(self._backlog)

    def step(self) -> None:
        """Take what came, date some of it; once all is dated, issue what there is room for.

        Returns within about half a second, however many files a card brings and however slowly it is read,
        but for the attempt at a suspect in a process of its own.
        """
        waiting = bool(self._fresh or self._backlog) and self._may_issue()
        self._collect(self._source.take(0.0 if waiting else 0.3))
        if self._fresh:
            self._date_some()
        if self._backlog and not self._fresh:
            self._issue()

    def _collect(self, candidates: Sequence[Candidate]) -> None:
        self.found += len(candidates)
        self._fresh.extend(candidates)

    def _date_some(self) -> None:
        """Read the headers of some files; when none is left, put them all in order."""
        if not self._pipeline.wait_below(PASSING, timeout=0.3):
            return
        until = self._clock() + DATING
        while self._fresh and self._clock() < until and self._pipeline.in_flight < PASSING:
            image = self._examine(self._fresh.popleft())
            if image is not None:
                self._pending.add(image.deployment, image.taken_ms)
                self._dated.append(image)
        if not self._fresh:
            self._learn()
            for image in self._numbering.judge(self._dated):
                heapq.heappush(self._backlog, (image.order, next(self._tie), image))
            self._dated.clear()

    def _learn(self) -> None:
        """Judge by the times that are on record now, where some were put right."""
        if (known := self._known()) is not None:
            self._numbering = Numbering()
            self._numbering.judge(known)

    def _issue(self) -> None:
        alone = self._alone or self._suspect(self._backlog[0][2])
        below = 1 if alone else GROUP // 2 + 1
        # The disk is asked after the wait, during which it may have filled.
        if not self._pipeline.wait_below(below, timeout=0.3) or not self._may_issue():
            return
        if alone:
            self._alone = False
            self._issue_next()
        else:
            self._issue_group(GROUP - self._pipeline.in_flight)

    def _examine(self, candidate: Candidate) -> Examined | None:
        """What is known of a file before it is read; None if it has its outcome already."""
        if reason := classify_name(candidate.file):
            self._pass_by(candidate, "ignored", reason)
            return None
        try:
            return examine(candidate, self._settings, now_ms())
        except GoneError as error:
            self._pass_by(candidate, "gone", error.what)
        except IntakeError as error:
            self._pass_by(candidate, "incomplete", error.what)
        return None

    def _pass_by(self, candidate: Candidate, state: FileState, reason: str) -> None:
        fate = Fate(candidate.file, Stat(*candidate.stat), state, reason)
        retry = None if state == "ignored" else candidate
        self._pipeline.pass_by(Outcome(fate, retry=retry, unreadable=state == "incomplete"))

    def _issue_next(self) -> None:
        if self._suspect(self._backlog[0][2]):
            self._issue_alone()
        else:
            self._issue_group(GROUP)

    def _issue_group(self, room: int) -> None:
        group: list[Examined] = []
        while self._backlog and len(group) < room and not self._suspect(self._backlog[0][2]):
            group.append(heapq.heappop(self._backlog)[2])
        self._attempt(group)
        for examined in group:
            self._pipeline.issue(examined)

    def _issue_alone(self) -> None:
        """Try a file again that was under way when a process died; three such deaths condemn it.

        From the last chance on it is looked at in a process of its own first, so that what ends it there
        is its own doing, and a power cut isn't counted against it.
        """
        examined = heapq.heappop(self._backlog)[2]
        suspect = self._suspects.pop(examined.candidate.file)
        self._attempt([examined])
        last_chance = suspect.attempts + 1 >= self._settings.max_attempts
        if last_chance and not self._survives(examined):
            reason = f"ended the process that looked at it, {suspect.attempts + 1} times in a row"
            self._pipeline.pass_by(settled(examined, "quarantined", reason))
        else:
            self._pipeline.issue(examined)
        self._alone = True

    def _attempt(self, group: Iterable[Examined]) -> None:
        files = [(e.candidate.file, Stat(*e.candidate.stat)) for e in group]
        self._insist(lambda: self._ledger.attempt(files, now=now_ms()))

    def _suspect(self, examined: Examined) -> Suspect | None:
        suspect = self._suspects.get(examined.candidate.file)
        stat = examined.candidate.stat
        if suspect and (suspect.stat.size, suspect.stat.mtime_ns) == (stat.size, stat.mtime_ns):
            return suspect
        return None
