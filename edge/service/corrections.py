"""What people put right after the fact: observations change, registrations and messages follow.

The daemon may run meanwhile, in another process: it keeps nothing of this in memory, and SQLite lets one
transaction write at a time.
"""

from __future__ import annotations

import getpass
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from edge.delivery.messages import BundleRef, RegistrationMessage
from edge.registration.engine import Engine
from edge.registration.types import Change, Key, Observation, Registration
from edge.service.emit import Voice, emit, message_of
from edge.service.rules import options_on_record
from edge.store.corrections import last_bundle
from edge.store.database import Database
from edge.store.outbox import Outbox
from edge.store.queries import scientific_names
from edge.store.record import SqliteRecord

_NEWS = {"change", "seq", "revision", "observed_at", "bundle"}
"""Parts of a message that differ from the one before in any case."""


@dataclass(frozen=True, slots=True)
class Corrected:
    """What a correction did.

    Attributes:
        images: that were changed.
        messages: number of messages by kind of change.
    """

    images: int = 0
    messages: Mapping[str, int] = field(default_factory=dict)

    def plus(self, other: Corrected) -> Corrected:
        """Of both."""
        messages = Counter(self.messages) + Counter(other.messages)
        return Corrected(self.images + other.images, dict(messages))


@dataclass(frozen=True, slots=True)
class Amendment:
    """Observations of one deployment that go and come.

    Attributes:
        deployment: the one.
        removed: as they are on record.
        added: what is true instead.
        touched: where images stay, but what messages say of them may change.
    """

    deployment: str
    removed: Sequence[Observation] = ()
    added: Sequence[Observation] = ()
    touched: Sequence[Key] = ()


class Amender:
    """Changes observations on record, and puts the messages in line. Made anew for each transaction.

    Args:
        database: in a transaction.
        now: the device's time, ms UTC.
        bundle: that messages name; the one that looked last if not given.

    Raises:
        StoreError: nothing is on record yet.
    """

    def __init__(self, database: Database, now: int, bundle: BundleRef | None = None) -> None:
        self._db = database
        self._now = now
        self._record = SqliteRecord(database)
        self._outbox = Outbox(database)
        self._engine = Engine(options_on_record(database), self._record)
        self._names = scientific_names(database)
        sha256, name = last_bundle(database)
        self._voice = Voice(
            database.device,
            database.epoch,
            self._names,
            bundle or BundleRef(name=name, sha256=sha256),
            database.revision_base,
        )

    def said(self, deployment: str, keys: Iterable[Key]) -> dict[str, RegistrationMessage]:
        """What would now be said of the registrations that have these members, by id."""
        found: dict[str, RegistrationMessage] = {}
        for registration in self._having(deployment, keys):
            message = message_of(self._db, registration, self._names)
            if message is not None:
                found[registration.id] = message
        return found

    def apply(self, amendment: Amendment, before: Mapping[str, RegistrationMessage]) -> list[Change]:
        """Change the observations, and tell.

        A deployment in which everything was closed stays so: nothing else is awaited there.

        Args:
            amendment: what changes; the images' own rows are changed already.
            before: what was ``said`` of those that are touched, before anything was changed.

        Returns:
            The change log, in the order of its messages.
        """
        deployment = amendment.deployment
        quiet = not self._record.open_registrations(deployment)
        changes = self._engine.amend(amendment.removed, amendment.added)
        changes += self._restated(amendment, before, {change.registration.id for change in changes})
        if quiet:
            changes += self._engine.close(deployment)
        for change in changes:
            emit(self._db, self._outbox, self._voice, change, now=self._now)
        return changes

    def lower_watermark(self, deployment: str, newest: int | None) -> None:
        """A watermark that a wrong clock has raised too far goes back; it never goes up here."""
        current = self._record.watermark(deployment)
        if current is not None and newest is not None and newest < current:
            self._record.set_watermark(deployment, newest)

    def _restated(
        self, amendment: Amendment, before: Mapping[str, RegistrationMessage], told: set[str]
    ) -> list[Change]:
        """Registrations that are as they were, but of whose images something else is to be said."""
        changes = []
        for registration in self._having(amendment.deployment, amendment.touched):
            if registration.id in told or self._says_the_same(registration, before.get(registration.id)):
                continue
            restated = replace(registration, revision=registration.revision + 1)
            self._record.put(restated)
            changes.append(Change("updated" if restated.state == "open" else "corrected", restated))
        return changes

    def _says_the_same(self, registration: Registration, before: RegistrationMessage | None) -> bool:
        now = message_of(self._db, registration, self._names)
        if now is None or before is None:
            return now is before
        return now.model_dump(exclude=_NEWS) == before.model_dump(exclude=_NEWS)

    def _having(self, deployment: str, keys: Iterable[Key]) -> list[Registration]:
        """Living registrations that have one of these members, each once, in order."""
        found = {r.id: r for key in sorted(keys) for r in self._record.registrations(deployment, key, key)}
        return list(found.values())


def by_kind(changes: Iterable[Change]) -> dict[str, int]:
    """Number of changes by kind."""
    return dict(Counter(change.kind for change in changes))


def who() -> str:
    """The system's user who does this, also through sudo."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (OSError, KeyError):  # a user without a name: KeyError before Python 3.13
        return f"uid {os.getuid()}"
