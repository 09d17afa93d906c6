"""The daemon: wires the rooms together, starts and stops their threads."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from edge import __version__
from edge.delivery.messages import BundleRef, encode
from edge.delivery.publisher import Publisher
from edge.errors import DiskFullError, EdgeError, IntakeError, StoreBusyError
from edge.intake.watch import Watcher
from edge.registration.engine import Engine
from edge.service.background import Background
from edge.service.commands import Office
from edge.service.emit import Voice
from edge.service.feeder import Feeder
from edge.service.health import Gauges, HealthDesk
from edge.service.heartbeat import Worker
from edge.service.keeper import Keeper
from edge.service.known import Known
from edge.service.looker import Looker
from edge.service.pending import PendingTimes
from edge.service.pipeline import Pipeline
from edge.service.postings import Postings
from edge.service.probe import survives
from edge.service.recorder import Recorded, Recorder
from edge.service.report import HEALTH_FILE
from edge.service.rules import apply_options, options_of
from edge.service.snapshots import pictures
from edge.service.space import Space
from edge.service.sweeping import sweep
from edge.service.threads import Writing, feeding, looking
from edge.service.work import Outcome
from edge.settings import Settings
from edge.store.ballast import Ballast
from edge.store.database import Database
from edge.store.files import write_durably
from edge.store.ledger import Ledger
from edge.store.media import MediaStore
from edge.store.names import remember_bundle, remember_labels
from edge.store.outbox import Outbox
from edge.store.record import SqliteRecord
from edge.vision.bundles import find_bundle
from edge.vision.labels import LabelSet
from edge.vision.pipeline import Vision

log = logging.getLogger("edge")

STOP_TIMEOUT = 6.0
"""Seconds that the images in hand may take at the end; delivery has its own."""
GOODBYE_TIMEOUT = 2.0
RELEASE_PATIENCE = 1.0
STALE = 60.0
RETRY_INCOMPLETE = 900.0
"""Seconds until a file that isn't whole is read again although it didn't change."""
RETRY_GONE = 2.0
"""Seconds until a file that is gone is looked for once more: renamed away and back it is no news."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the daemon is.

    Attributes:
        found: files found since the start, those still waiting to stand still included.
        recorded: files with an outcome on record.
        messages: about registrations, made since the start.
        waiting: messages that the broker hasn't acknowledged.
    """

    found: int
    recorded: int
    messages: int
    waiting: int


class Daemon:
    """Everything that runs between ``start`` and ``stop``.

    Args:
        settings: all of them.
        database: opened for writing.
        vision: self-tested.
        labels: whose names vision gives.
        retry_incomplete: wait for files that aren't whole yet; False when only what is there now counts.
        ballast: the reserve on the disk.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        vision: Vision,
        labels: LabelSet,
        *,
        retry_incomplete: bool,
        ballast: Ballast,
    ) -> None:
        self.settings = settings
        self._db = database
        self.vision = vision
        self._retry_incomplete = retry_incomplete
        self._unread: dict[str, str] = {}
        info = vision.info()
        with database.transaction():
            remember_bundle(database, info.sha256, info.bundle)
            remember_labels(database, labels.scientific_names())
            database.remember("device", settings.device)
        self._outbox = Outbox(database)
        self._ledger = Ledger(database)
        self._pending = PendingTimes()
        self._pipeline = Pipeline()
        self._feed_stop, self._look_stop, self._write_stop, self._keep_stop = (
            threading.Event() for _ in range(4)
        )
        self._space = Space(settings, ballast)
        self._postings = Postings(settings.health)
        voice = Voice(
            settings.device,
            self._outbox.epoch,
            labels.scientific_names(),
            BundleRef(name=info.bundle, sha256=info.sha256),
            database.revision_base,
        )
        options = options_of(settings, labels)
        apply_options(database, options, voice)
        engine = Engine(options, SqliteRecord(database))
        self._recorder = Recorder(database, engine, voice, self._pending, settings)
        self._watcher = Watcher(settings.drop, settings.intake, self._ledger)
        self._feeder = self._made_feeder()
        self._writing = Writing(
            self._recorder, self._pipeline, settings.store, self._space, self._write_stop, after=self._after
        )
        self.health = HealthDesk(settings, database, self._gauges)
        self._publisher = Publisher(
            settings.mqtt,
            settings.device,
            self._outbox,
            self.health.make,
            deployments=self._deployments,
            commands=Office(database, settings, voice.bundle, info.labels).handlers(),
            version=__version__,
        )
        self._keeper = Keeper(
            settings,
            database,
            voice,
            ballast,
            self._keep_stop,
            idle=self._has_recorded_all,
            wake=self._publisher.wake,
        )
        self._background = Background(settings, database, vision)
        self._workers = self._made_workers()

    def start(self) -> None:
        """Sweep what a crash left, and start every thread; the self-test is behind us."""
        if swept := sweep(self.settings.state, self._db):
            log.info("%d files that an earlier process left were removed", swept)
        self._publisher.start()
        self._watcher.start()
        for worker in self._workers.values():
            worker.start()

    def check(self) -> None:
        """Look after the threads.

        Raises:
            EdgeError: a thread has failed; its cause says how.
        """
        for worker in self._workers.values():
            if worker.failure is not None:
                raise EdgeError(
                    f"the {worker.name} thread has failed", subject=str(worker.failure)
                ) from worker.failure
        self._publisher.check()

    @property
    def alive(self) -> bool:
        """Whether every thread showed a sign of life recently; a broker's absence doesn't count."""
        now = time.monotonic()
        beats = [self._watcher.heartbeat]
        if self.settings.mqtt.enabled:
            beats.append(self._publisher.heartbeat)
        return all(w.fresh for w in self._workers.values()) and all(now - beat < STALE for beat in beats)

    @property
    def idle(self) -> bool:
        """Whether everything that was found has an outcome on record, and subscribers can be told of it."""
        return self._has_recorded_all() and self._keeper.settled

    def _has_recorded_all(self) -> bool:
        return (
            self._watcher.scanned
            and not self._watcher.pending()
            and self._feeder.found == self._recorder.tallies.files
        )

    def progress(self) -> Progress:
        """How far it is."""
        return Progress(
            found=self._feeder.found + self._watcher.pending(),
            recorded=self._recorder.tallies.files,
            messages=self._recorder.tallies.messages,
            waiting=self._outbox.counts().pending,
        )

    def write_health(self) -> None:
        """Leave the health message as a file for ``edge status``; on a full disk the last one stays."""
        health = self.health.make()
        with suppress(DiskFullError):
            write_durably(self.settings.state / HEALTH_FILE, encode(health))
        self._postings.write(health)

    def health_changed(self) -> None:
        """What health tells of has changed: it is sent now."""
        self._publisher.health_changed()

    def unreadable(self) -> Mapping[str, str]:
        """Folders that can't be listed and why; in an import also files that can't be read, or are gone."""
        return {**self._watcher.state().unreadable, **self._unread}

    def summary(self) -> str:
        """What became of files since the start, for people."""
        outcomes = self._recorder.tallies.outcomes
        return (
            ", ".join(f"{number} {state.replace('_', ' ')}" for state, number in outcomes.items()) or "none"
        )

    def finish_images(self) -> None:
        """Stop taking files; finish and record those in hand; give back those that weren't begun."""
        deadline = time.monotonic() + STOP_TIMEOUT
        self._feed_stop.set()
        self._join(["feeder"], deadline)
        withdrawn = self._pipeline.withdraw()
        self._look_stop.set()
        self._keep_stop.set()
        at_work = ("looker", "re", "librarian")
        self._join([name for name in self._workers if name.startswith(at_work)], deadline)
        self._write_stop.set()
        self._join(["writer", "keeper"], deadline)
        self._release([examined.candidate.file for examined in withdrawn])
        self._stop_watching()

    def _release(self, files: Sequence[str]) -> None:
        """Give back files that weren't begun. The next start looks at those that it can't one by one."""
        release = partial(self._ledger.release, files, patience=RELEASE_PATIENCE)
        try:
            self._space.insist(release, self._write_stop, lambda: None)
        except (DiskFullError, StoreBusyError) as error:
            log.warning("%d files count as begun: %s", len(files), error)

    def abandon(self) -> None:
        """After a failure: tell every thread to end and wait a moment, so that none runs into the exit."""
        for event in (self._feed_stop, self._look_stop, self._write_stop, self._keep_stop):
            event.set()
        self._join(list(self._workers), time.monotonic() + STOP_TIMEOUT)
        self._publisher.stop(1.0)
        self._stop_watching()

    def close_registrations(self) -> None:
        """Close everything that is open. Only once the writer has stopped."""
        if self._recorder.close_all():
            self._publisher.wake()

    def drain(self, timeout: float) -> bool:
        """Wait until the broker has acknowledged everything; False if it took too long."""
        return not self.settings.mqtt.enabled or self._publisher.drained(timeout)

    def stop_delivery(self) -> None:
        """Publish ``stopped`` and disconnect."""
        self.health.stopping()
        self._publisher.stop(GOODBYE_TIMEOUT)

    def _stop_watching(self) -> None:
        """A watcher that hangs, on a mount whose server is gone, keeps nobody from leaving."""
        with suppress(IntakeError):
            self._watcher.stop(1.0)

    def _join(self, names: Sequence[str], deadline: float) -> None:
        """Wait for threads, each for a moment at least: what one is late, the next can't help."""
        for name in names:
            if self._workers[name].ident is not None:
                self._workers[name].join(max(0.5, deadline - time.monotonic()))

    def _made_feeder(self) -> Feeder:
        settings = self.settings
        bundle = find_bundle(settings.vision.bundle, (settings.state / "models",))
        return Feeder(
            self._watcher,
            self._pipeline,
            self._pending,
            self._ledger,
            settings.intake,
            known=Known(self._db, settings.intake),
            survives=lambda e: survives(
                bundle,
                e.candidate.path,
                settings.intake.max_pixels,
                self._feeding,
                provider=self.vision.info().providers.in_use,
                cache=settings.state / "cache",
            ),
            may_issue=self._space.allows_intake,
            insist=lambda write: self._space.insist(write, self._feed_stop, self._feeding),
        )

    def _feeding(self) -> None:
        self._workers["feeder"].beat()

    def _made_workers(self) -> dict[str, Worker]:
        info = self.vision.info()
        looker = Looker(
            self.vision,
            info.sha256,
            self.settings.intake,
            state=self.settings.state,
            has_media=MediaStore(self._db).has,
        )
        loops: dict[str, Callable[[Worker], None]] = {
            "feeder": feeding(self._feeder, self._feed_stop),
            "writer": self._writing.loop,
            "keeper": self._keeper.loop,
        }
        for number in range(1, self.settings.vision.worker_count() + 1):
            loops[f"looker-{number}"] = looking(looker, self._pipeline, self._space, self._look_stop)
        loops |= self._background.loops(self._has_images_waiting, self._look_stop, after=self._publisher.wake)
        return {name: Worker(name, loop) for name, loop in loops.items()}

    def _has_images_waiting(self) -> bool:
        """Whether new images wait or are under way, or there is no space: looking again comes after."""
        waiting = self._feeder.backlog + self._pipeline.in_flight + self._watcher.pending()
        return waiting > 0 or not self._space.allows_intake()

    def _after(self, recorded: Recorded) -> None:
        if recorded.changes:
            self._publisher.wake()
        if self.settings.mqtt.enabled and self.settings.mqtt.snapshots:
            for picture in pictures(self.settings.state, recorded):
                self._publisher.offer_snapshot(*picture)
        for outcome in recorded.outcomes:
            if outcome.fate.state in ("incomplete", "set_aside", "quarantined"):
                log.warning("%s: %s (%s)", outcome.fate.file, outcome.fate.state, outcome.fate.reason)
            if outcome.retry is not None and outcome.fate.state == "gone":
                self._watcher.retry(outcome.retry, RETRY_GONE)
            elif outcome.retry is not None and self._retry_incomplete:
                self._watcher.retry(outcome.retry, RETRY_INCOMPLETE)
            if not self._retry_incomplete:
                self._note_unread(outcome)

    def _note_unread(self, outcome: Outcome) -> None:
        self._unread.pop(outcome.fate.file, None)
        if outcome.fate.state == "gone" or outcome.unreadable:
            self._unread[outcome.fate.file] = outcome.fate.reason

    def _deployments(self) -> list[str]:
        return [row[0] for row in self._db.execute("SELECT deployment FROM deployments ORDER BY deployment")]

    def _gauges(self) -> Gauges:
        tallies = self._recorder.tallies
        return Gauges(
            watch=self._watcher.state(),
            publisher=self._publisher.state(),
            backlog=self._feeder.backlog + self._pipeline.in_flight,
            processed=tallies.count("processed"),
            duplicates=tallies.count("duplicate"),
            set_aside=tallies.count("set_aside") + tallies.count("quarantined"),
            disk_full=self._space.full,
            keeping=(
                *self._keeper.problems(),
                *self._space.problems(unwritten=self._publisher.state().unwritten > 0),
                *self._postings.problems(),
                *self._background.problems(),
            ),
            vision=self.vision.info(),
            reembedding=self._background.reembedding,
        )
