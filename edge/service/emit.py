"""From a registration on record to the message that tells of it: the store's values in delivery's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from edge.delivery.change import MediaLine, Origin, registration_message
from edge.delivery.messages import BundleRef, RegistrationMessage, encode
from edge.registration.types import Change, Registration
from edge.store.database import Database
from edge.store.outbox import Outbox, Stamp
from edge.store.queries import Member, clock_ok, emitted, members


@dataclass(frozen=True, slots=True)
class Voice:
    """Who speaks: the parts of a message that don't change while a process runs."""

    device: str
    epoch: str
    scientific_names: Mapping[str, str]
    bundle: BundleRef
    revision_base: int = 0


def emit(database: Database, outbox: Outbox, voice: Voice, change: Change, *, now: int) -> int:
    """Put a change's message in line, inside the transaction that caused it; returns its number.

    Args:
        database: the open transaction's.
        outbox: where the message goes.
        voice: who speaks.
        change: what happened.
        now: the device's time, ms UTC.
    """
    shown = members(database, change.registration)
    origin = _origin(database, change.registration, shown, voice)
    media = [line_of(member) for member in shown]

    def build(seq: int) -> bytes:
        return encode(registration_message(_sent(change, voice), media, origin, seq=seq, observed=now))

    return outbox.append(change.registration, change.kind, build, Stamp(now, voice.bundle.sha256))


def message_of(
    database: Database, registration: Registration, scientific_names: Mapping[str, str]
) -> RegistrationMessage | None:
    """The newest message about a registration on record, made anew; None if none was ever sent."""
    last = emitted(database, registration.id)
    if last is None or not last.seq:
        return None
    voice = Voice(
        database.device,
        database.epoch,
        scientific_names,
        BundleRef(name=last.bundle_name, sha256=last.bundle_sha256),
        database.revision_base,
    )
    shown = members(database, registration)
    change = _sent(Change(last.change, registration), voice)
    origin = _origin(database, registration, shown, voice)
    return registration_message(
        change, [line_of(m) for m in shown], origin, seq=last.seq, observed=last.observed
    )


def _sent(change: Change, voice: Voice) -> Change:
    """A change with the revision that subscribers see, which grows across databases too."""
    registration = change.registration
    return replace(
        change, registration=replace(registration, revision=registration.revision + voice.revision_base)
    )


def _origin(database: Database, registration: Registration, shown: list[Member], voice: Voice) -> Origin:
    first = shown[0] if shown else None
    return Origin(
        device=voice.device,
        epoch=voice.epoch,
        bundle=voice.bundle,
        scientific_names=voice.scientific_names,
        offset_minutes=first.offset_minutes if first else 0,
        time_source=first.time_source if first else "mtime",
        clock_ok=clock_ok(database, registration),
    )


def line_of(member: Member) -> MediaLine:
    """An image of a registration in delivery's words: its animals' boxes only."""
    boxes = [(d.box.x, d.box.y, d.box.width, d.box.height) for d in member.detections if d.kind == "animal"]
    return MediaLine(member.media_id, member.file, member.taken, member.label, member.count, boxes)
