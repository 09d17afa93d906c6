"""The one writer: outcomes, registrations and messages of a group of images in one transaction."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from edge.registration.engine import Engine
from edge.registration.types import Change
from edge.registration.watermark import watermark
from edge.service.emit import Voice, emit
from edge.service.looker import COPY
from edge.service.pending import PendingTimes
from edge.service.work import Outcome, now_ms
from edge.settings import Settings
from edge.store.database import Database
from edge.store.ledger import Ledger
from edge.store.media import MediaStore
from edge.store.outbox import Outbox


@dataclass(slots=True)
class Tallies:
    """What this process has recorded so far."""

    outcomes: dict[str, int] = field(default_factory=dict)
    messages: int = 0

    def count(self, state: str) -> int:
        """Files with this outcome."""
        return self.outcomes.get(state, 0)

    @property
    def files(self) -> int:
        """Files with any outcome."""
        return sum(self.outcomes.values())


class Recorded(NamedTuple):
    """What is on record after a group was committed.

    Attributes:
        outcomes: as they were recorded: a second copy is a duplicate, a file that was waited for too long is
            set aside.
        changes: of registrations, in the order of their messages.
    """

    outcomes: Sequence[Outcome]
    changes: Sequence[Change]


class Recorder:
    """Applies groups of outcomes to the database. Used from one thread."""

    def __init__(
        self,
        database: Database,
        engine: Engine,
        voice: Voice,
        pending: PendingTimes,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._db = database
        self._ledger = Ledger(database)
        self._media = MediaStore(database)
        self._outbox = Outbox(database)
        self._engine = engine
        self._voice = voice
        self._pending = pending
        self._settings = settings.registration
        self._incomplete_after = settings.intake.incomplete_after
        self._clock = clock
        self._last_arrival = dict.fromkeys(self._open_deployments(), clock())
        self.tallies = Tallies()

    def record(self, outcomes: Sequence[Outcome]) -> Recorded:
        """Commit a group of outcomes and what follows from them.

        Raises:
            StoreError: nothing of the group was recorded.
        """
        now = now_ms()
        leaving = [(o.examined.deployment, o.examined.taken_ms) for o in outcomes if o.examined]
        with self._pending.leaving(leaving), self._db.transaction():
            final = [self._take(outcome, now) for outcome in outcomes]
            self._ledger.settle([outcome.fate for outcome in final], now=now)
            changes = self._engine.accept([o.observation for o in final if o.observation])
            for deployment in self._see_until(final):
                changes += self._advance(deployment)
            self._emit(changes, now)
        self._done(final, len(changes))
        return Recorded(final, changes)

    def close_quiet(self) -> list[Change]:
        """Close what deployments that have been quiet for long have open."""
        now = self._clock()
        quiet = [
            deployment
            for deployment, last in self._last_arrival.items()
            if now - last >= self._settings.idle_close and self._pending.oldest(deployment) is None
        ]
        changes = self.close(quiet)
        for deployment in quiet:
            del self._last_arrival[deployment]
        return changes

    def close_all(self) -> list[Change]:
        """Close every open registration."""
        return self.close(self._open_deployments())

    def close(self, deployments: Sequence[str]) -> list[Change]:
        """Close every open registration of these deployments."""
        if not deployments:
            return []
        with self._db.transaction():
            changes = [change for deployment in deployments for change in self._engine.close(deployment)]
            self._emit(changes, now_ms())
        self.tallies.messages += len(changes)
        return changes

    def _take(self, outcome: Outcome, now: int) -> Outcome:
        if outcome.fate.state == "incomplete":
            return self._patient(outcome, now)
        if outcome.fate.state == "duplicate":
            return self._copy(outcome)
        media = outcome.media
        if media is None or self._media.add(media, outcome.others):
            return outcome
        return self._copy(outcome)

    def _copy(self, outcome: Outcome) -> Outcome:
        """A file whose content is on record: a second one, or the same one again after its mtime changed."""
        fate = outcome.fate
        if fate.media_id is not None and self._media.file_of(fate.media_id) == fate.file:
            fate = replace(fate, state="processed", reason="")
        else:
            fate = replace(fate, state="duplicate", reason=COPY)
        return Outcome(fate, outcome.examined)

    def _patient(self, outcome: Outcome, now: int) -> Outcome:
        """A file that isn't whole is waited for, but not for ever."""
        if outcome.unreadable:
            return outcome
        since = self._ledger.first_seen(outcome.fate.file)
        if since is None or now - since < self._incomplete_after * 1000:
            return outcome
        fate = replace(outcome.fate, state="set_aside", reason=f"never became whole: {outcome.fate.reason}")
        return replace(outcome, fate=fate, retry=None)

    def _see_until(self, outcomes: Sequence[Outcome]) -> list[str]:
        """Move each deployment's newest trusted time; returns the deployments that were touched, in order."""
        newest: dict[str, int] = {}
        touched: dict[str, None] = {}
        for outcome in outcomes:
            if outcome.examined is not None:
                # Whatever became of it: it no longer waits, and may have held the watermark.
                touched[outcome.examined.deployment] = None
            if outcome.media is not None and outcome.media.clock_ok:
                newest[outcome.media.deployment] = max(
                    outcome.media.taken, newest.get(outcome.media.deployment, outcome.media.taken)
                )
        for deployment, taken in newest.items():
            self._media.seen_until(deployment, taken)
        return list(touched)

    def _advance(self, deployment: str) -> list[Change]:
        newest = self._media.newest(deployment)
        if newest is None:
            return []
        oldest = self._pending.oldest(deployment)
        lateness = round(self._settings.allowed_lateness * 1000)
        return self._engine.advance(deployment, watermark(newest, lateness, oldest))

    def _emit(self, changes: Sequence[Change], now: int) -> None:
        for change in changes:
            emit(self._db, self._outbox, self._voice, change, now=now)

    def _done(self, outcomes: Sequence[Outcome], messages: int) -> None:
        now = self._clock()
        self.tallies.messages += messages
        for outcome in outcomes:
            state = outcome.fate.state
            self.tallies.outcomes[state] = self.tallies.outcomes.get(state, 0) + 1
            if outcome.media:
                self._last_arrival[outcome.media.deployment] = now

    def _open_deployments(self) -> list[str]:
        rows = self._db.execute(
            "SELECT DISTINCT deployment FROM registrations INDEXED BY registrations_open "
            "WHERE living AND state = 'open' ORDER BY deployment"
        )
        return [row[0] for row in rows]
