"""The change log of one batch: what is different on record between its beginning and its end."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from edge.registration.types import Change, ChangeKind, Key, Options, Record, Registration
from edge.registration.watermark import is_settled

Place = tuple[str, Key]
"""A deployment and a key in it."""


@dataclass(frozen=True, slots=True)
class _Before:
    """What was on record under an id when the batch began."""

    registration: Registration | None
    living: bool


class Ledger:
    """Writes registrations through to the record and remembers how they were when the batch began.

    While the batch goes on, registrations on record keep the revision that was last emitted. ``changes``
    then compares, raises revisions and leaves on record exactly what it returns.
    """

    def __init__(self, record: Record, options: Options) -> None:
        self._record = record
        self._options = options
        self._before: dict[str, _Before] = {}

    def touch(self, registration_id: str) -> None:
        """Note that an id, or what follows it, may be different at the end."""
        if registration_id not in self._before:
            found = self._record.find(registration_id)
            self._before[registration_id] = _Before(found, self._record.is_living(registration_id))

    def put(self, registration: Registration) -> None:
        """Put a registration on record for the time being."""
        self.touch(registration.id)
        self._record.put(registration)

    def retract(self, registration: Registration) -> None:
        """Take a registration off the living for the time being."""
        self.touch(registration.id)
        self._record.retract(registration)

    def changes(self, exchanged: Collection[Place] = ()) -> list[Change]:
        """Close what is settled and return the batch's change log.

        Args:
            exchanged: where observations are on record now and weren't before, or the other way round;
                needed where some were taken off, since one that took another's place shows in no sum.

        Returns:
            By deployment and time, retractions of a deployment last. None that changes nothing.
        """
        changes = [change for id_ in self._before for change in self._changes_of(id_, exchanged)]
        return sorted(changes, key=_in_order)

    def _changes_of(self, id_: str, exchanged: Collection[Place]) -> list[Change]:
        before = self._before[id_]
        now = self._record.find(id_)
        if not self._record.is_living(id_) or now is None:
            return self._retracted(before, exchanged)
        if before.registration is None or not before.living:
            return self._opened(now)
        return self._changed(before.registration, now, exchanged)

    def _opened(self, now: Registration) -> list[Change]:
        opened = self._emit("opened", replace(now, revision=now.revision + 1))
        if not self._is_settled(now):
            return [opened]
        closed = replace(now, state="closed", revision=now.revision + 2)
        return [opened, self._emit("closed", closed)]

    def _changed(self, before: Registration, now: Registration, exchanged: Collection[Place]) -> list[Change]:
        # Retracted and opened again within the batch it is open on record, but nobody outside saw that.
        here = replace(now, state=before.state)
        if before.state == "open" and self._is_settled(here):
            return [self._emit("closed", replace(here, state="closed", revision=before.revision + 1))]
        if here != before or _has_any(here, exchanged):
            kind: ChangeKind = "updated" if before.state == "open" else "corrected"
            return [self._emit(kind, replace(here, revision=before.revision + 1))]
        if now != before:
            self._record.put(before)
        return []

    def _retracted(self, before: _Before, exchanged: Collection[Place]) -> list[Change]:
        last = before.registration
        if last is None:
            return []
        if not before.living:
            self._record.retract(last)
            return []
        gone = replace(last, revision=last.revision + 1, superseded_by=self._successor(last, exchanged))
        self._record.retract(gone)
        return [Change("retracted", gone)]

    def _successor(self, gone: Registration, exchanged: Collection[Place]) -> str | None:
        """The registration that has the earliest of its members that are still on record."""
        key = gone.first
        while (gone.deployment, key) in exchanged:
            following = self._record.after(gone.deployment, key)
            if following is None or following.key > gone.last:
                return None
            key = following.key
        return self._record.registrations(gone.deployment, key, key)[0].id

    def _is_settled(self, registration: Registration) -> bool:
        w = self._record.watermark(registration.deployment)
        return w is not None and is_settled(self._record, registration, w, self._options)

    def _emit(self, kind: ChangeKind, registration: Registration) -> Change:
        self._record.put(registration)
        return Change(kind, registration)


def _has_any(registration: Registration, places: Collection[Place]) -> bool:
    return any(
        deployment == registration.deployment and registration.first <= key <= registration.last
        for deployment, key in places
    )


def _in_order(change: Change) -> tuple[str, bool, Key, str, int]:
    registration = change.registration
    retracted = change.kind == "retracted"
    return registration.deployment, retracted, registration.first, registration.id, registration.revision
