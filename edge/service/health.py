"""How the device is, put together from what each room says of itself."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edge import __version__
from edge.delivery.messages import (
    BrokerHealth,
    BundleRef,
    DiskHealth,
    Health,
    IntakeHealth,
    ModelHealth,
    OutboxHealth,
    Problem,
    RefusedProvider,
    RegistrationHealth,
    SearchHealth,
    timestamp,
)
from edge.service.work import now_ms
from edge.settings import Settings
from edge.store.database import Database
from edge.store.ledger import Ledger
from edge.store.outbox import Outbox
from edge.store.requests import Reprocessing
from edge.vision.providers import CPU

if TYPE_CHECKING:  # `edge status` reads this module's words without opening models
    from edge.delivery.state import PublisherState
    from edge.intake.reconcile import WatchState
    from edge.service.reembedding import Progress
    from edge.vision.pipeline import VisionInfo
    from edge.vision.selftest import ProviderReport

BeatState = Literal["starting", "ok", "degraded", "stopping"]


@dataclass(frozen=True, slots=True)
class Gauges:
    """What the running parts say at one moment."""

    watch: WatchState
    publisher: PublisherState
    backlog: int
    processed: int
    duplicates: int
    set_aside: int
    disk_full: bool
    vision: VisionInfo
    keeping: tuple[Problem, ...] = ()
    reembedding: Progress | None = None


class HealthDesk:
    """Makes health messages. ``make`` is called from the publisher's thread and from the main one.

    Args:
        settings: of the daemon.
        database: asked for what is on record.
        gauges: what the running parts say.
    """

    def __init__(self, settings: Settings, database: Database, gauges: Callable[[], Gauges]) -> None:
        self._settings = settings
        self._db = database
        self._outbox = Outbox(database)
        self._gauges = gauges
        self._lock = threading.Lock()
        self._notes: list[Problem] = []
        self._stopping = False
        self._codes: tuple[str, ...] = ()
        self._since = now_ms()

    def note(self, problem: Problem) -> None:
        """Add something that stays true until the next start."""
        with self._lock:
            self._notes.append(problem)

    def stopping(self) -> None:
        """The daemon is on its way out."""
        self._stopping = True

    def make(self) -> Health:
        """The health message of this moment."""
        gauges = self._gauges()
        disk = disk_health(self._settings)
        with self._lock:
            problems = (*self._notes, *find_problems(gauges, disk, self._settings))
            codes = tuple(sorted(p.code for p in problems))
            if codes != self._codes:
                self._codes, self._since = codes, now_ms()
        counts = self._outbox.counts()
        return Health(
            device=self._settings.device,
            epoch=self._outbox.epoch,
            version=__version__,
            at=timestamp(now_ms()),
            state=self._state(problems),
            since=timestamp(self._since),
            problems=problems,
            intake=_intake(
                gauges,
                incomplete=Ledger(self._db).incomplete(),
                reprocess=Reprocessing(self._db).waiting(),
            ),
            outbox=OutboxHealth(
                pending=counts.pending,
                set_aside=counts.set_aside,
                acked=counts.acked,
                head=self._outbox.head(),
            ),
            broker=_broker(gauges.publisher),
            models=model_health(gauges.vision),
            disk=disk,
            registrations=registration_health(self._db),
            search=search_health(gauges.reembedding),
        )

    def problems(self) -> list[Problem]:
        """What is wrong now; cheap enough to ask every second."""
        found = find_problems(self._gauges(), disk_health(self._settings), self._settings)
        with self._lock:
            return [*self._notes, *found]

    def _state(self, problems: Sequence[Problem]) -> BeatState:
        if self._stopping:
            return "stopping"
        return "degraded" if problems else "ok"


def find_problems(gauges: Gauges, disk: DiskHealth, settings: Settings) -> list[Problem]:
    """What needs a person, each with what to do."""
    found = [*_watch_problems(gauges.watch, settings.drop)]
    if gauges.disk_full or disk.free < disk.low_water:
        found.append(
            Problem(code="disk_full", message="intake waits for space", hint=f"free some in {settings.state}")
        )
    publisher = gauges.publisher
    if (
        settings.mqtt.enabled
        and not publisher.connected
        and publisher.reason not in ("connecting", "stopped")
    ):
        where = f"{settings.mqtt.host}:{settings.mqtt.port}"
        found.append(
            Problem(
                code=publisher.reason, message=f"broker {where}: {publisher.detail}", hint="messages are kept"
            )
        )
    if publisher.held:
        names = ", ".join(publisher.held)
        found.append(
            Problem(code="not_authorized", message=f"the broker refuses: {names}", hint="check its ACL")
        )
    return [
        *found,
        *gauges.keeping,
        *provider_problems(gauges.vision.providers),
        *text_problems(gauges.vision.text_damage),
    ]


def disk_health(settings: Settings) -> DiskHealth:
    """Space on the file system of the state folder."""
    usage = shutil.disk_usage(settings.state)
    return DiskHealth(free=usage.free, total=usage.total, low_water=settings.store.low_water)


def registration_health(database: Database) -> RegistrationHealth:
    """Registrations on record."""
    row = database.one(
        "SELECT (SELECT COUNT(*) FROM registrations INDEXED BY registrations_open WHERE living AND state = "
        "'open'), "
        "(SELECT COUNT(*) FROM registrations WHERE living)"
    )
    return RegistrationHealth(open=row[0], living=row[1]) if row else RegistrationHealth()


def search_health(progress: Progress | None) -> SearchHealth | None:
    """How far embedding again is; None where there was nothing to do."""
    return None if progress is None else SearchHealth.model_validate(asdict(progress))


def faults(in_use: str) -> frozenset[str]:
    """Why a provider isn't used, as far as that needs a person.

    One that isn't there, or not right for the bundle, needs nobody. Libraries that can't be loaded do if the
    CPU has to do the work for want of them, but not if it is only TensorRT that CUDA stands in for.

    Args:
        in_use: the provider that is.
    """
    return frozenset({"failed", "unusable"} if in_use == CPU else {"failed"})


def provider_problems(report: ProviderReport) -> list[Problem]:
    """Providers that should work and don't."""
    return [
        Problem(
            code="provider_refused",
            message=f"{refusal.provider}: {refusal.reason}",
            hint=f"{report.in_use} is in use; `edge models verify` tries it again",
        )
        for refusal in report.refused
        if refusal.why in faults(report.in_use)
    ]


def text_problems(damage: str) -> list[Problem]:
    """A text model that the next query, or the next set of labels, would fail on."""
    if not damage:
        return []
    return [
        Problem(
            code="text_model_damaged",
            message=damage,
            hint="searches by text fail, and so will a start with other labels: copy the bundle again",
        )
    ]


def _watch_problems(watch: WatchState, drop: Path) -> list[Problem]:
    found = []
    if not watch.drop_present:
        found.append(
            Problem(
                code="drop_missing", message=f"no drop folder {drop}", hint="make it, or mount it; edge waits"
            )
        )
    if watch.limit_reached:
        found.append(
            Problem(
                code="inotify_limit",
                message=f"{watch.unwatched} folders can't be watched and are only scanned",
                hint="raise fs.inotify.max_user_watches",
            )
        )
    if watch.unreadable:
        folder, why = next(iter(watch.unreadable.items()))
        found.append(
            Problem(
                code="unreadable", message=f"{len(watch.unreadable)} folders can't be read: {folder}: {why}"
            )
        )
    return found


def _intake(gauges: Gauges, *, incomplete: int, reprocess: int) -> IntakeHealth:
    return IntakeHealth(
        scanned=gauges.watch.scanned,
        scans=gauges.watch.scans,
        watched=gauges.watch.watched,
        overflows=gauges.watch.overflows,
        pending=gauges.watch.waiting + gauges.backlog,
        processed=gauges.processed,
        duplicates=gauges.duplicates,
        set_aside=gauges.set_aside,
        incomplete=incomplete,
        reprocess=reprocess,
    )


def _broker(state: PublisherState) -> BrokerHealth:
    return BrokerHealth(
        connected=state.connected,
        reason=state.reason,
        detail=state.detail,
        since=timestamp(now_ms() - round((time.monotonic() - state.since) * 1000)) if state.since else None,
        in_flight=state.in_flight,
        acked=state.acked,
        held=state.held,
    )


def model_health(info: VisionInfo) -> ModelHealth:
    """What looks at the images, what was asked for, and why it isn't used."""
    bundle = BundleRef(name=info.bundle, sha256=info.sha256)
    report = info.providers
    return ModelHealth(
        bundle=bundle,
        labels=info.labels,
        providers=(report.in_use,),
        asked=report.asked,
        refused=tuple(
            RefusedProvider(provider=r.provider, why=r.why, reason=r.reason) for r in report.refused
        ),
        files=dict(report.files),
    )
