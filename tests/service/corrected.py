"""A record that people correct: a desk with a daemon's recorder, and what must hold after everything."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.delivery.messages import BundleRef, RegistrationMessage
from edge.registration import Observation, Options, register
from edge.registration.engine import Engine
from edge.service.emit import Voice, message_of
from edge.service.pending import PendingTimes
from edge.service.recorder import Recorder
from edge.service.rules import apply_options
from edge.service.work import Outcome
from edge.settings import RegistrationSettings, Settings
from edge.store.database import Database, open_database
from edge.store.names import remember_bundle, remember_labels
from edge.store.outbox import Outbox
from edge.store.queries import registrations, scientific_names
from edge.store.record import SqliteRecord
from edge.subscriber import Table

SETTINGS = Settings(device="d", registration=RegistrationSettings(allowed_lateness=0.0))
NAMES = {"Red_Fox": "Vulpes vulpes", "Badger": "Meles meles"}
EVER = 2**62


@dataclass
class Corrigible:
    """A database that a daemon writes to."""

    database: Database
    pending: PendingTimes = field(default_factory=PendingTimes)

    @classmethod
    def at(cls, state: Path) -> Corrigible:
        """A new one."""
        return cls.of(open_database(state))

    @classmethod
    def of(cls, database: Database) -> Corrigible:
        """One that is opened, with the names that a daemon notes at its start."""
        remember_bundle(database, "b" * 64, "starter")
        remember_labels(database, NAMES)
        database.remember("device", "d")
        return cls(database)

    def voice(self) -> Voice:
        """Who speaks."""
        bundle = BundleRef(name="starter", sha256="b" * 64)
        return Voice("d", self.database.epoch, NAMES, bundle, self.database.revision_base)

    def record(self, *outcomes: Outcome, close: bool = False) -> None:
        """Record one group, as a daemon that was just started."""
        voice = self.voice()
        apply_options(self.database, Options(), voice)
        engine = Engine(Options(), SqliteRecord(self.database))
        recorder = Recorder(self.database, engine, voice, self.pending, SETTINGS)
        for outcome in outcomes:
            if outcome.examined:
                self.pending.add(outcome.examined.deployment, outcome.examined.taken_ms)
        recorder.record(outcomes)
        if close:
            recorder.close_all()

    def messages(self) -> list[RegistrationMessage]:
        """Everything in the outbox."""
        rows = Outbox(self.database).range(1, 100_000)
        return [RegistrationMessage.model_validate_json(row.payload) for row in rows]

    def changes(self) -> list[tuple[str, str]]:
        """What the outbox says: change and label."""
        return [(message.change, message.label) for message in self.messages()]

    def observations(self, deployment: str = "cam") -> list[Observation]:
        """What registrations are made of."""
        return SqliteRecord(self.database).observations(deployment, -EVER, EVER)

    def check(self) -> None:
        """The record is what the rules give, and a subscriber's table is the record."""
        found = list(registrations(self.database))
        deployments = {r.deployment for r in found}
        everything = [o for d in deployments | {"cam"} for o in self.observations(d)]
        truth = register(everything, Options())
        assert [_said(r) for r in found] == [_said(r) for r in truth]
        table = Table()
        for message in self.messages():
            table.apply(message)
        names = scientific_names(self.database)
        stored = [message_of(self.database, r, names) for r in found]
        assert table.rows() == [m.model_dump(mode="json", by_alias=True) for m in stored if m]


def _said(r: Any) -> tuple[object, ...]:
    return (r.deployment, r.label, r.count, r.first, r.last, r.media_count, dict(r.votes), r.confidence)
