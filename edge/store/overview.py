"""Cameras, and what was seen when, in figures. Read-only."""

from __future__ import annotations

from typing import Final, NamedTuple

from edge.store.browsing import Pictured, picture
from edge.store.database import Database
from edge.store.queries import Filter

_DAY: Final = 86_400_000
_HOUR: Final = 3_600_000
_MINUTE: Final = 60_000


class CameraRow(NamedTuple):
    """What is on record of one camera.

    Attributes:
        deployment: its name.
        images: processed so far.
        doubtful: of those, how many have a time that can't be right.
        registrations: living ones.
        open: of those, how many may still grow.
        last: its image with the latest time; None where it has none.
    """

    deployment: str
    images: int
    doubtful: int
    registrations: int
    open: int
    last: Pictured | None


class Sighted(NamedTuple):
    """Registrations of one label that began in one hour of one local day.

    Attributes:
        label: theirs.
        day: days since 1970-01-01 in the camera's own time.
        hour: 0 to 23, likewise.
        events: how many.
        animals: sum of their counts.
    """

    label: str
    day: int
    hour: int
    events: int
    animals: int


class Named(NamedTuple):
    """A label, its scientific name ("" where it has none), and how many living registrations have it."""

    label: str
    scientific_name: str
    registrations: int


def camera_rows(database: Database) -> list[CameraRow]:
    """Every camera that an image came from, by name."""
    rows = database.execute(
        "SELECT n.deployment, "
        "(SELECT COUNT(*) FROM media INDEXED BY media_by_time WHERE deployment = n.deployment), "
        "(SELECT COUNT(*) FROM media INDEXED BY media_bad_clock WHERE NOT clock_ok "
        "AND deployment = n.deployment), "
        "(SELECT COUNT(*) FROM registrations INDEXED BY registrations_by_time WHERE living "
        "AND deployment = n.deployment), "
        "(SELECT COUNT(*) FROM registrations INDEXED BY registrations_open WHERE living AND state = 'open' "
        "AND deployment = n.deployment), "
        "(SELECT media_id FROM media INDEXED BY media_by_time WHERE deployment = n.deployment "
        "ORDER BY taken DESC, media_id DESC LIMIT 1) "
        f"FROM ({_NAMES}) n"
    )
    return [
        CameraRow(name, images, doubtful, registrations, open_, picture(database, last) if last else None)
        for name, images, doubtful, registrations, open_, last in rows
    ]


# Hops from one name to the next over the index: as many steps as there are cameras.
_NAMES: Final = (
    "WITH RECURSIVE names(deployment) AS (SELECT MIN(deployment) FROM media UNION ALL "
    "SELECT (SELECT MIN(deployment) FROM media WHERE deployment > names.deployment) FROM names "
    "WHERE names.deployment IS NOT NULL) SELECT deployment FROM names WHERE deployment IS NOT NULL"
)


def deployments(database: Database) -> list[str]:
    """Names of the cameras that images came from."""
    return [str(row[0]) for row in database.execute(_NAMES)]


def sighted(database: Database, wanted: Filter) -> list[Sighted]:
    """Living registrations by label, local day and local hour of their start.

    Args:
        database: any.
        wanted: which; times are of the start.
    """
    local = f"(r.first_t + COALESCE(m.offset_minutes, 0) * {_MINUTE})"
    day = f"CAST(FLOOR({local} / {_DAY}.0) AS INTEGER)"
    rows = database.execute(
        f"SELECT r.label, {day} AS day, ({local} - {day} * {_DAY}) / {_HOUR} AS hour, "
        "COUNT(*), SUM(r.count) FROM registrations r LEFT JOIN media m ON m.media_id = r.first_media "
        "WHERE r.living AND (?1 IS NULL OR r.deployment = ?1) AND (?2 IS NULL OR r.label = ?2) "
        "AND (?3 IS NULL OR r.first_t >= ?3) AND (?4 IS NULL OR r.first_t < ?4) "
        "GROUP BY r.label, day, hour ORDER BY day, hour, r.label",
        (wanted.deployment, wanted.label, wanted.since, wanted.until),
    )
    return [Sighted(*row) for row in rows]


def named(database: Database) -> list[Named]:
    """Labels of every label set that was used here, and of registrations, by name."""
    rows = database.execute(
        "SELECT n.label, COALESCE(s.scientific_name, ''), COALESCE(r.number, 0) FROM "
        "(SELECT label FROM labels UNION SELECT label FROM registrations WHERE living = 1) n "
        "LEFT JOIN labels s ON s.label = n.label LEFT JOIN "
        "(SELECT label, COUNT(*) AS number FROM registrations WHERE living = 1 GROUP BY label) r "
        "ON r.label = n.label ORDER BY n.label"
    )
    return [Named(*row) for row in rows]
