"""What a page shows of registrations and their images. Read-only; every query is bounded by a page's size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from typing import Any, Final, Literal

from edge.registration.types import Registration
from edge.store.corrections import Review
from edge.store.database import Database
from edge.store.media import Detected, decode_detections
from edge.store.queries import Filter
from edge.store.record import REGISTRATION_COLUMNS, to_registration

Place = tuple[int, str]
"""Where a list by time goes on: event time of a registration's first image, ms UTC, and that image."""


@dataclass(frozen=True, slots=True)
class Pictured:
    """An image as it can be shown.

    Attributes:
        media_id, file, deployment: as on record.
        taken: event time, ms UTC.
        offset_minutes: of the camera's zone then.
        time_source: exif, filename or mtime.
        clock_ok: whether the time can be right.
        night: taken by infrared light; None where nobody looked.
        size: bytes of the file.
        width, height: pixels, as a person sees it.
        snapshot: path of the small picture below the state folder, or "".
        camera: make, model and serial as far as known.
        received: when it was processed, ms UTC.
        detections: what was found.
    """

    media_id: str
    file: str
    deployment: str
    taken: int
    offset_minutes: int
    time_source: str
    clock_ok: bool
    night: bool | None
    size: int
    width: int
    height: int
    snapshot: str
    camera: str
    received: int
    detections: tuple[Detected, ...]


@dataclass(frozen=True, slots=True)
class Listed:
    """A registration as it stands in a list.

    Attributes:
        registration: itself.
        living: False for one that was retracted.
        change: what its newest message said of it.
        seq: that message's number.
        observed: when that was, ms UTC by the device's clock.
        scientific_name: of its label, "" where there is none.
        offset_minutes: of the camera's zone at its start.
        time_source: of its first image: exif, filename or mtime.
        night: its first image was taken by infrared light; None where nobody looked.
        clock_ok: whether the clock can be right for all of its images.
        reviewed: a person has spoken of one of its images.
        cover: its image with most animals, among those the surest; None once it is retracted.
    """

    registration: Registration
    living: bool
    change: str
    seq: int
    observed: int
    scientific_name: str
    offset_minutes: int
    time_source: str
    night: bool | None
    clock_ok: bool
    reviewed: bool
    cover: Pictured | None

    @property
    def place(self) -> Place:
        """Where a list by time goes on behind it."""
        return self.registration.first.t, self.registration.first.media_id


@dataclass(frozen=True, slots=True)
class Shown:
    """An image of a registration, what counts for it, and a person's word if there is one.

    ``confidence`` is in parts per million.
    """

    picture: Pictured
    label: str | None
    count: int
    confidence: int
    review: Review | None


_MEMBER: Final = (
    "{o}.kind = 'animal' AND {o}.deployment = r.deployment AND ({o}.t, {o}.media_id) >= "
    "(r.first_t, r.first_media) AND ({o}.t, {o}.media_id) <= (r.last_t, r.last_media)"
)
_PICTURE: Final = (
    "m.media_id, m.file, m.deployment, m.taken, m.offset_minutes, m.time_source, m.clock_ok, m.night, "
    "m.bytes, m.width, m.height, m.snapshot, m.camera, m.received, m.detections"
)
_PICTURE_WIDTH: Final = _PICTURE.count(",") + 1
_REGISTRATION_WIDTH: Final = REGISTRATION_COLUMNS.count(",") + 1
_NEWS: Final = "living, change, seq, observed"
_REST: Final = (
    "COALESCE(s.scientific_name, ''), COALESCE(f.offset_minutes, 0), COALESCE(f.time_source, ''), f.night, "
    "NOT EXISTS (SELECT 1 FROM media b INDEXED BY media_bad_clock JOIN observations o "
    "ON o.media_id = b.media_id AND o.kind = 'animal' WHERE NOT b.clock_ok AND b.deployment = r.deployment "
    "AND (b.taken, b.media_id) >= (r.first_t, r.first_media) "
    "AND (b.taken, b.media_id) <= (r.last_t, r.last_media)), "
    f"EXISTS (SELECT 1 FROM observations o CROSS JOIN reviews v USING (media_id) "
    f"WHERE {_MEMBER.format(o='o')})"
)
_JOINS: Final = (
    "LEFT JOIN labels s ON s.label = r.label LEFT JOIN media f ON f.media_id = r.first_media "
    "LEFT JOIN media m ON m.media_id = (SELECT o.media_id FROM observations o INDEXED BY animals "
    f"WHERE {_MEMBER.format(o='o')} ORDER BY o.count DESC, o.confidence DESC, o.t, o.media_id LIMIT 1)"
)
_WANTED: Final = (
    "(?1 IS NULL OR deployment = ?1) AND (?2 IS NULL OR label = ?2) AND (?3 IS NULL OR last_t >= ?3) "
    "AND (?4 IS NULL OR first_t < ?4) AND (?5 IS NULL OR state = ?5)"
)
# Which registrations a person has spoken of. Few images were, so this begins with them.
_REVIEWED: Final = (
    "SELECT (SELECT x.id FROM registrations x INDEXED BY registrations_by_time WHERE x.living "
    "AND x.deployment = o.deployment AND (x.first_t, x.first_media) <= (o.t, o.media_id) "
    "ORDER BY x.first_t DESC, x.first_media DESC LIMIT 1) AS id "
    "FROM reviews v CROSS JOIN observations o ON o.media_id = v.media_id AND o.kind = 'animal'"
)
_WAITING: Final = "living AND state = 'closed' AND id NOT IN (SELECT id FROM reviewed WHERE id IS NOT NULL)"


def newest_by_change(
    database: Database, wanted: Filter, state: str | None, *, below: int | None, limit: int
) -> list[Listed]:
    """Living registrations, the one that was spoken of last first.

    Args:
        database: any.
        wanted: which.
        state: ``open`` or ``closed`` only.
        below: only those whose newest message has a smaller number.
        limit: at most so many.
    """
    chosen = f"living AND seq < ?6 AND {_WANTED} ORDER BY seq DESC LIMIT ?7"
    return _listed(database, chosen, (*_values(wanted), state, 2**62 if below is None else below, limit))


def newest_by_time(
    database: Database, wanted: Filter, state: str | None, *, below: Place | None, limit: int
) -> list[Listed]:
    """Living registrations, the one that began last first; arguments as for ``newest_by_change``.

    Each camera has its own order on record, so that the lists of the cameras are merged.
    """
    names = [wanted.deployment] if wanted.deployment is not None else _deployments(database)
    chosen = (
        f"living AND deployment = ?8 AND (first_t, first_media) < (?6, ?7) AND {_WANTED} "
        "ORDER BY first_t DESC, first_media DESC LIMIT ?9"
    )
    rows = [
        database.execute(
            f"SELECT id, first_t, first_media FROM registrations WHERE {chosen}",
            (*_values(wanted), state, *(below or (2**62, "")), name, limit),
        )
        for name in names
    ]
    best = islice(merge(*rows, key=lambda row: (row[1], row[2]), reverse=True), limit)
    return listed(database, [row[0] for row in best])


def changed_since(database: Database, seq: int, limit: int) -> list[Listed]:
    """Registrations with a newer message than that number, retracted ones too, oldest first."""
    return _listed(database, "seq > ?1 ORDER BY seq LIMIT ?2", (seq, limit))


def listed(database: Database, ids: Sequence[str]) -> list[Listed]:
    """Registrations by id, in the order of the ids; those that never were are left out."""
    found = [_listed(database, "id = ?1", (id_,)) for id_ in ids]
    return [row for rows in found for row in rows]


def least_certain(
    database: Database, wanted: Filter, *, beyond: tuple[int, str] | None, limit: int
) -> list[Listed]:
    """Closed registrations that nobody has spoken of, the least certain first.

    Args:
        database: any.
        wanted: which.
        beyond: confidence (ppm) and id of the last that was passed over.
        limit: at most so many.
    """
    chosen = f"{_WAITING} AND (confidence, id) > (?6, ?7) AND {_WANTED} ORDER BY confidence, id LIMIT ?8"
    values = (*_values(wanted), None, *(beyond or (-1, "")), limit)
    return _listed(database, chosen, values, before=f"WITH reviewed AS MATERIALIZED ({_REVIEWED}) ")


def waiting(database: Database, wanted: Filter) -> int:
    """How many closed registrations nobody has spoken of."""
    if wanted == Filter():
        return _all_waiting(database)
    row = database.one(
        f"WITH reviewed AS MATERIALIZED ({_REVIEWED}) "
        f"SELECT COUNT(*) FROM registrations WHERE {_WAITING} AND {_WANTED}",
        (*_values(wanted), None),
    )
    return int(row[0]) if row else 0


def _all_waiting(database: Database) -> int:
    """The same without a filter, which every visit asks for: counted from indexes only."""
    row = database.one(
        "SELECT (SELECT COUNT(*) FROM registrations WHERE living = 1 AND state = 'closed') "
        f"- (SELECT COUNT(*) FROM (SELECT DISTINCT id FROM ({_REVIEWED})) v CROSS JOIN registrations r "
        "ON r.id = v.id WHERE r.state = 'closed')"
    )
    return int(row[0]) if row else 0


def neighbours(database: Database, registration: Registration) -> tuple[str | None, str | None]:
    """Ids of the living registrations before and after one at its camera."""
    scope = (registration.deployment, *registration.first)
    sql = "SELECT id FROM registrations WHERE living AND deployment = ? AND (first_t, first_media) "
    before = database.one(f"{sql} < (?, ?) ORDER BY first_t DESC, first_media DESC LIMIT 1", scope)
    after = database.one(f"{sql} > (?, ?) ORDER BY first_t, first_media LIMIT 1", scope)
    return (str(before[0]) if before else None, str(after[0]) if after else None)


def shown_page(database: Database, registration: Registration, offset: int, limit: int) -> list[Shown]:
    """Images of a living registration in order, ``limit`` at most, without the first ``offset``."""
    rows = database.execute(
        f"SELECT {_PICTURE}, o.label, o.count, o.confidence, v.media_id IS NOT NULL, v.label, v.count, "
        "v.machine_label, v.machine_count, v.machine_confidence, v.correction "
        "FROM (SELECT media_id, t, label, count, confidence FROM observations INDEXED BY animals "
        "WHERE kind = 'animal' AND deployment = ? AND (t, media_id) >= (?, ?) AND (t, media_id) <= (?, ?) "
        "ORDER BY t, media_id LIMIT ? OFFSET ?) o CROSS JOIN media m USING (media_id) "
        "LEFT JOIN reviews v ON v.media_id = o.media_id ORDER BY o.t, o.media_id",
        (registration.deployment, *registration.first, *registration.last, limit, offset),
    )
    return [_shown(row) for row in rows]


def picture(database: Database, media_id: str) -> Pictured | None:
    """An image on record; None if it isn't."""
    row = database.one(f"SELECT {_PICTURE} FROM media m WHERE m.media_id = ?", (media_id,))
    return _pictured(row) if row else None


def shown(database: Database, media_id: str) -> Shown | None:
    """An image on record and what counts for it; ``count`` is 0 where there is no animal in it."""
    row = database.one(
        f"SELECT {_PICTURE}, o.label, COALESCE(o.count, 0), COALESCE(o.confidence, 0), "
        "v.media_id IS NOT NULL, v.label, v.count, v.machine_label, v.machine_count, v.machine_confidence, "
        "v.correction FROM media m "
        "LEFT JOIN observations o ON o.media_id = m.media_id AND o.kind = 'animal' "
        "LEFT JOIN reviews v ON v.media_id = m.media_id WHERE m.media_id = ?",
        (media_id,),
    )
    return _shown(row) if row else None


def paths(database: Database, media_id: str) -> list[str]:
    """Paths below the drop folder under which an image was found, the one it was taken in by first."""
    rows = database.execute(
        "SELECT file FROM media WHERE media_id = ?1 UNION ALL "
        "SELECT IIF(folder = '', name, folder || '/' || name) FROM files WHERE media_id = ?1",
        (media_id,),
    )
    return list(dict.fromkeys(str(row[0]) for row in rows))


def head(database: Database) -> int:
    """The last number given out to a message; 0 before the first."""
    row = database.one(
        "SELECT MAX(COALESCE((SELECT MAX(seq) FROM outbox), 0), "
        "COALESCE((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'pruned_to'), 0))"
    )
    return int(row[0]) if row else 0


State = Literal["open", "closed"]


def _values(wanted: Filter) -> tuple[object, ...]:
    return wanted.deployment, wanted.label, wanted.since, wanted.until


def _deployments(database: Database) -> list[str]:
    return [row[0] for row in database.execute("SELECT deployment FROM deployments ORDER BY deployment")]


def _listed(database: Database, chosen: str, values: tuple[object, ...], *, before: str = "") -> list[Listed]:
    """Registrations that a condition chooses, in its order, with what a list shows of each."""
    order = chosen[chosen.index("ORDER BY") : chosen.index(" LIMIT")] if "ORDER BY" in chosen else ""
    rows = database.execute(
        f"{before}SELECT r.*, {_REST}, {_PICTURE} FROM (SELECT {REGISTRATION_COLUMNS}, {_NEWS} "
        f"FROM registrations WHERE {chosen}) r {_JOINS} {_qualified(order)}",
        values,
    )
    return [_to_listed(row) for row in rows]


def _qualified(order: str) -> str:
    """An ORDER BY of the inner query, for the outer one."""
    names = order.removeprefix("ORDER BY ").split(", ")
    return "ORDER BY " + ", ".join(f"r.{name}" for name in names) if order else ""


def _to_listed(row: tuple[Any, ...]) -> Listed:
    living, change, seq, observed, name, offset, source, night, clock_ok, reviewed = row[
        _REGISTRATION_WIDTH:-_PICTURE_WIDTH
    ]
    cover = row[-_PICTURE_WIDTH:]
    return Listed(
        registration=to_registration(row[:_REGISTRATION_WIDTH]),
        living=bool(living),
        change=change,
        seq=seq,
        observed=observed,
        scientific_name=name,
        offset_minutes=offset,
        time_source=source,
        night=None if night is None else bool(night),
        clock_ok=bool(clock_ok),
        reviewed=bool(reviewed),
        cover=_pictured(cover) if living and cover[0] is not None else None,
    )


def _pictured(row: tuple[Any, ...]) -> Pictured:
    media_id, file, deployment, taken, offset, source, clock_ok, night, *rest = row
    size, width, height, snapshot, camera, received, detections = rest
    return Pictured(
        media_id=media_id,
        file=file,
        deployment=deployment,
        taken=taken,
        offset_minutes=offset,
        time_source=source,
        clock_ok=bool(clock_ok),
        night=None if night is None else bool(night),
        size=size,
        width=width,
        height=height,
        snapshot=snapshot,
        camera=camera,
        received=received,
        detections=decode_detections(detections),
    )


def _shown(row: tuple[Any, ...]) -> Shown:
    label, count, confidence, has_review, *review = row[_PICTURE_WIDTH:]
    return Shown(
        _pictured(row[:_PICTURE_WIDTH]), label, count, confidence, Review(*review) if has_review else None
    )
