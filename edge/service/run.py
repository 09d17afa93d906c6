"""The daemon's life: open, self-test, run, look after it, stop in order."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from edge.delivery.messages import Problem
from edge.errors import ConfigError, IntakeError
from edge.service.daemon import Daemon, Progress
from edge.service.memory import tame_malloc
from edge.service.models import Models
from edge.service.notify import notify, watchdog_interval
from edge.service.opening import opened, remembering_damage, until_space
from edge.settings import Settings
from edge.store.ballast import Ballast
from edge.store.database import Database
from edge.store.files import StateLock
from edge.vision.session import ONNX_RUNTIME, Runtime

log = logging.getLogger("edge")

IDLE_LOOKS = 3
"""Looks in a row that must find nothing to do before ``until_idle`` believes it."""

Ending = Literal["done", "undelivered", "interrupted"]
"""How a run ended: ``undelivered`` and ``interrupted`` only with ``until_idle``."""

Watch = Callable[[Progress, str], None]


def run(
    settings: Settings,
    *,
    stop: threading.Event,
    until_idle: bool = False,
    drain_timeout: float = 60.0,
    watch: Watch = lambda _progress, _phase: None,
    runtime: Runtime = ONNX_RUNTIME,
) -> Ending:
    """Run the daemon until told to stop, or until everything that is there is done and delivered.

    Args:
        settings: all of them.
        stop: set to end it in an orderly way.
        until_idle: process what is there, close, deliver, end.
        drain_timeout: seconds that delivery may take at the end of ``until_idle``.
        watch: told about progress every second or so, with the name of the phase.
        runtime: opens models; tests put providers of their own here.

    Returns:
        ``undelivered`` if messages still wait for the broker, ``interrupted`` if it was told to stop before
        everything was processed: what isn't on record is taken up at the next start.

    Raises:
        EdgeError: it can't start, a part of it failed, or something that was to be imported couldn't be read.
    """
    if until_idle and not os.path.isdir(settings.drop):  # noqa: PTH112 - Path.is_dir raises where it may not look
        raise ConfigError("no drop folder", subject=str(settings.drop), hint="give one with --drop DIR")
    interrupted: Ending = "interrupted" if until_idle else "done"
    tame_malloc()
    ballast = Ballast(settings.state, settings.store.ballast, settings.store.low_water)
    with ExitStack() as stack:
        stack.enter_context(StateLock(settings.state))
        start = _Start(settings, runtime, ballast, stop, retry_incomplete=not until_idle)
        daemon = until_space(partial(start.attempt, stack), ballast, stop)
        if daemon is None:
            return interrupted
        with ExitStack() as undo:
            undo.callback(daemon.abandon)
            with remembering_damage(settings.state):
                ending = _live(daemon, stop, until_idle=until_idle, drain_timeout=drain_timeout, watch=watch)
            undo.pop_all()
        if until_idle and ending != "interrupted":
            _check_all_was_read(daemon)
        return ending


@dataclass
class _Start:
    """What a daemon is made of; on a full disk it is attempted again and again.

    Attributes:
        notes: what there is to tell of this attempt and those before.
    """

    settings: Settings
    runtime: Runtime
    ballast: Ballast
    stop: threading.Event
    retry_incomplete: bool
    notes: list[Problem] = field(default_factory=list)

    def attempt(self, stack: ExitStack) -> Daemon | None:
        """A daemon that is ready to start, None if it isn't to; what it uses is closed with ``stack``."""
        with ExitStack() as undo:
            database, note = opened(self.settings.state)
            undo.callback(database.close)
            self.notes.extend([note] if note else [])
            daemon = None if self.stop.is_set() else self._daemon(database)
            stack.enter_context(undo.pop_all())
        return daemon

    def _daemon(self, database: Database) -> Daemon | None:
        settings = self.settings
        models = Models.of(settings)
        vision = models.open(self.runtime, self.stop)
        if vision is None:
            return None
        daemon = Daemon(
            settings,
            database,
            vision,
            models.labels,
            retry_incomplete=self.retry_incomplete,
            ballast=self.ballast,
        )
        for problem in self.notes:
            daemon.health.note(problem)
        return daemon


def _check_all_was_read(daemon: Daemon) -> None:
    """An import is no success while there are files and folders that nobody could look into."""
    unreadable = daemon.unreadable()
    if unreadable:
        folder, why = next(iter(unreadable.items()))
        more = f", and {len(unreadable) - 1} more" if len(unreadable) > 1 else ""
        subject = f"{daemon.settings.drop / folder}{more}"
        hint = f"{why}; everything else was processed"
        raise IntakeError("images may be missing, for this can't be read", subject=subject, hint=hint)


def _live(
    daemon: Daemon, stop: threading.Event, *, until_idle: bool, drain_timeout: float, watch: Watch
) -> Ending:
    """From the first thread to the last."""
    daemon.start()
    notify("READY=1")
    log.info("ready: %s", describe(daemon))
    _supervise(daemon, stop, until_idle=until_idle, watch=watch)
    notify("STOPPING=1")
    daemon.finish_images()
    ending: Ending = "done"
    if until_idle:
        ending = _finish(daemon, stop, drain_timeout, watch)
    daemon.stop_delivery()
    daemon.check()
    daemon.write_health()
    watch(daemon.progress(), "done")
    log.info("ended; files since the start: %s", daemon.summary())
    return ending


def _finish(daemon: Daemon, stop: threading.Event, drain_timeout: float, watch: Watch) -> Ending:
    """Close and deliver what an import gave."""
    if stop.is_set():
        return "interrupted"
    daemon.close_registrations()
    return "done" if _drain(daemon, stop, drain_timeout, watch) else "undelivered"


def describe(daemon: Daemon) -> str:
    """What is in force, in one line."""
    info, settings = daemon.vision.info(), daemon.settings
    broker = f"mqtt {settings.mqtt.host}:{settings.mqtt.port}" if settings.mqtt.enabled else "no broker"
    return (
        f"watching {settings.drop}, state in {settings.state}, bundle {info.bundle} on "
        f"{info.providers.in_use}, "
        f"labels {info.labels}, {broker}"
    )


def _supervise(daemon: Daemon, stop: threading.Event, *, until_idle: bool, watch: Watch) -> None:
    """Look after the daemon until it should end."""
    interval = watchdog_interval()
    problems: dict[str, Problem] | None = None
    next_health = 0.0
    idle = 0
    while not stop.wait(0.2 if until_idle else 1.0):
        daemon.check()
        now = time.monotonic()
        if interval is not None and daemon.alive:
            notify("WATCHDOG=1")
        found = {problem.code: problem for problem in daemon.health.problems()}
        if problems is None or found.keys() != problems.keys():
            _tell(problems or {}, found)
            daemon.health_changed()
            next_health = now
        problems = found
        if now >= next_health:
            next_health = now + daemon.settings.mqtt.health_interval
            daemon.write_health()
        watch(daemon.progress(), "images")
        idle = idle + 1 if until_idle and daemon.idle else 0
        if idle >= IDLE_LOOKS:
            return


def _tell(before: Mapping[str, Problem], now: Mapping[str, Problem]) -> None:
    """Say in the log what needs a person, and what doesn't any more."""
    for code in now.keys() - before.keys():
        problem = now[code]
        log.warning("%s: %s%s", code, problem.message, f" ({problem.hint})" if problem.hint else "")
    for code in before.keys() - now.keys():
        log.info("%s: over", code)


def _drain(daemon: Daemon, stop: threading.Event, timeout: float, watch: Watch) -> bool:
    deadline = time.monotonic() + timeout
    while not stop.is_set():
        if daemon.drain(0.5):
            return True
        watch(daemon.progress(), "messages")
        if time.monotonic() >= deadline:
            break
    return False
