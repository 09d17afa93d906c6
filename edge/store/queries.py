"""What people and messages ask of the database. Read-only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from edge.registration.types import ChangeKind, Registration
from edge.store.database import Database
from edge.store.media import Detected, decode_detections
from edge.store.record import REGISTRATION_COLUMNS, to_registration

_ANIMALS = (
    "FROM observations INDEXED BY animals WHERE kind = 'animal' AND deployment = ? "
    "AND (t, media_id) >= (?, ?) AND (t, media_id) <= (?, ?)"
)


@dataclass(frozen=True, slots=True)
class Member:
    """One image of a registration."""

    media_id: str
    file: str
    taken: int
    offset_minutes: int
    label: str | None
    count: int
    detections: tuple[Detected, ...]
    time_source: Literal["exif", "filename", "mtime"]
    clock_ok: bool


class Emitted(NamedTuple):
    """The newest message about a registration: what it said, its number, when, and the bundle it named."""

    change: ChangeKind
    seq: int
    observed: int
    bundle_sha256: str
    bundle_name: str


@dataclass(frozen=True, slots=True)
class FileReport:
    """What became of one path, and what was seen in it."""

    file: str
    state: str
    reason: str
    media_id: str | None
    deployment: str | None
    taken: int | None
    offset_minutes: int
    time_source: str | None
    clock_ok: bool | None
    kind: str | None
    label: str | None
    count: int
    confidence: int
    attempts: int
    night: bool | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which registrations or files are wanted; None: all. Times are ms UTC, the end not included."""

    deployment: str | None = None
    label: str | None = None
    since: int | None = None
    until: int | None = None


def members(database: Database, registration: Registration, *, shown: int = 20) -> list[Member]:
    """At most ``shown`` images of a registration in order: the first, the last, those of largest count."""
    scope = (registration.deployment, *registration.first, *registration.last)
    chosen = f"SELECT t, media_id, label, count {_ANIMALS} ORDER BY t, media_id LIMIT ?"
    values: tuple[object, ...] = (*scope, shown)
    if registration.media_count > shown:
        chosen = (
            f"SELECT t, media_id, label, count {_ANIMALS} "
            "ORDER BY (t, media_id) = (?, ?) DESC, (t, media_id) = (?, ?) DESC, count DESC, t, media_id "
            "LIMIT ?"
        )
        values = (*scope, *registration.first, *registration.last, shown)
    return _members(database, chosen, values)


def member_page(database: Database, registration: Registration, offset: int, limit: int) -> list[Member]:
    """Images of a registration in order, ``limit`` at most, without the first ``offset``."""
    scope = (registration.deployment, *registration.first, *registration.last)
    chosen = f"SELECT t, media_id, label, count {_ANIMALS} ORDER BY t, media_id LIMIT ? OFFSET ?"
    return _members(database, chosen, (*scope, limit, offset))


def _members(database: Database, chosen: str, values: tuple[object, ...]) -> list[Member]:
    """Images that a statement chooses, with what is on record of each."""
    rows = database.execute(
        "SELECT o.media_id, m.file, o.t, m.offset_minutes, o.label, o.count, m.detections, m.time_source, "
        "m.clock_ok "
        f"FROM ({chosen}) o CROSS JOIN media m USING (media_id) ORDER BY o.t, o.media_id",
        values,
    )
    return [
        Member(media_id, file, taken, offset, label, count, decode_detections(detections), source, bool(ok))
        for media_id, file, taken, offset, label, count, detections, source, ok in rows
    ]


def clock_ok(database: Database, registration: Registration) -> bool:
    """Whether the clock can be right for every image of a registration."""
    row = database.one(
        "SELECT 1 FROM media m INDEXED BY media_bad_clock JOIN observations o ON o.media_id = m.media_id "
        "AND o.kind = 'animal' WHERE NOT m.clock_ok AND m.deployment = ? "
        "AND (m.taken, m.media_id) >= (?, ?) AND (m.taken, m.media_id) <= (?, ?) LIMIT 1",
        (registration.deployment, *registration.first, *registration.last),
    )
    return row is None


def emitted(database: Database, registration_id: str) -> Emitted | None:
    """What the newest message about a registration said; None for an id never used."""
    row = database.one(
        "SELECT r.change, r.seq, r.observed, r.bundle, COALESCE(b.name, '') FROM registrations r "
        "LEFT JOIN bundles b ON b.sha256 = r.bundle WHERE r.id = ?",
        (registration_id,),
    )
    return Emitted(*row) if row else None


class Dated(NamedTuple):
    """An image's name and time."""

    file: str
    deployment: str
    taken: int
    time_source: Literal["exif", "filename", "mtime"]
    clock_ok: bool


def latest_media(database: Database, limit: int) -> list[Dated]:
    """The images that were processed last, in the order in which they were."""
    rows = database.execute(
        "SELECT file, deployment, taken, time_source, clock_ok FROM media ORDER BY received DESC LIMIT ?",
        (limit,),
    )
    return [
        Dated(file, deployment, taken, source, bool(ok))
        for file, deployment, taken, source, ok in reversed(rows)
    ]


def scientific_names(database: Database) -> dict[str, str]:
    """Label -> scientific name, of every label set that was ever used here."""
    return dict(database.execute("SELECT label, scientific_name FROM labels"))


def registrations(database: Database, wanted: Filter | None = None) -> Iterator[Registration]:
    """Living registrations by deployment, then start."""
    wanted = wanted or Filter()
    rows = database.execute(
        f"SELECT {REGISTRATION_COLUMNS} FROM registrations WHERE living "
        "AND (?1 IS NULL OR deployment = ?1) AND (?2 IS NULL OR label = ?2) "
        "AND (?3 IS NULL OR last_t >= ?3) AND (?4 IS NULL OR first_t < ?4) "
        "ORDER BY deployment, first_t, id",
        (wanted.deployment, wanted.label, wanted.since, wanted.until),
    )
    return (to_registration(row) for row in rows)


def files(
    database: Database, *, state: str | None = None, wanted: Filter | None = None
) -> Iterator[FileReport]:
    """Every path ever found, by name, with what was seen in it: animal, else person, vehicle, blank."""
    wanted = wanted or Filter()
    rows = database.execute(
        "SELECT IIF(f.folder = '', f.name, f.folder || '/' || f.name) AS file, f.state, f.reason, "
        "f.media_id, "
        "m.deployment, m.taken, m.offset_minutes, m.time_source, m.clock_ok, o.kind, o.label, o.count, "
        "o.confidence, "
        "f.attempts, m.night FROM files f LEFT JOIN media m USING (media_id) "
        "LEFT JOIN observations o ON o.media_id = f.media_id AND o.kind = (SELECT kind FROM observations x "
        "WHERE x.media_id = f.media_id ORDER BY INSTR('animal person vehicle blank', x.kind) LIMIT 1) "
        "WHERE (?1 IS NULL OR f.state = ?1) AND (?2 IS NULL OR m.deployment = ?2) AND (?3 IS NULL OR "
        "o.label = ?3) "
        "AND (?4 IS NULL OR m.taken >= ?4) AND (?5 IS NULL OR m.taken < ?5) ORDER BY file",
        (state, wanted.deployment, wanted.label, wanted.since, wanted.until),
    )
    return (_file_report(row) for row in rows)


def _file_report(row: tuple[object, ...]) -> FileReport:
    (
        file,
        state,
        reason,
        media_id,
        deployment,
        taken,
        offset,
        source,
        clock_ok,
        kind,
        label,
        count,
        confidence,
        n,
        night,
    ) = row
    return FileReport(
        file=str(file),
        state=str(state),
        reason=str(reason),
        media_id=None if media_id is None else str(media_id),
        deployment=None if deployment is None else str(deployment),
        taken=_int(taken),
        offset_minutes=_int(offset) or 0,
        time_source=None if source is None else str(source),
        clock_ok=None if clock_ok is None else bool(clock_ok),
        kind=None if kind is None else str(kind),
        label=None if label is None else str(label),
        count=_int(count) or 0,
        confidence=_int(confidence) or 0,
        attempts=_int(n) or 0,
        night=None if night is None else bool(night),
    )


def _int(value: object) -> int | None:
    return value if isinstance(value, int) else None
