"""What people put right after the fact: camera clocks, and labels of single images.

``corrections`` has a line for each. The engine's observations are changed through the engine; what is here is
everything around them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from itertools import islice
from typing import Final, Literal, NamedTuple

from edge.registration.types import Observation
from edge.store.database import Database

CorrectionKind = Literal["clock", "label"]

_COLUMNS: Final = "id, made, made_by, kind, deployment, what, media_id, shift, since, until, images, messages"
_MARKS: Final = 500
_OTHERS: Final = "media_id = ? AND kind IN ('person', 'vehicle')"


@dataclass(frozen=True, slots=True)
class Correction:
    """One line of ``corrections``.

    Attributes:
        id: grows with each.
        made: when, ms UTC by the device's clock.
        made_by: the system's user.
        kind: of a clock, or of an image's label.
        deployment: the camera.
        what: for people.
        media_id: the image, for a label.
        shift: ms that event times were moved by, for a clock.
        since, until: event times (before the shift) from and up to which images were to be moved, ms UTC.
        images: how many were changed.
        messages: how many that took.
    """

    id: int
    made: int
    made_by: str
    kind: CorrectionKind
    deployment: str
    what: str
    media_id: str | None = None
    shift: int | None = None
    since: int | None = None
    until: int | None = None
    images: int = 0
    messages: int = 0


class Span(NamedTuple):
    """Images of a deployment by event time, ms UTC; None: no limit. ``until`` is not included."""

    deployment: str
    since: int | None = None
    until: int | None = None


class Dated(NamedTuple):
    """An image and its time, as on record.

    Attributes:
        media_id, file: which.
        taken: event time, ms UTC.
        offset_minutes: of the camera's zone then.
        time_source: exif, filename or mtime.
        clock_ok: whether the time can be right.
        received: when it was processed, ms UTC.
        moved_by: ms by which the last correction of the clock moved it; None if none did.
    """

    media_id: str
    file: str
    taken: int
    offset_minutes: int
    time_source: Literal["exif", "filename", "mtime"]
    clock_ok: bool
    received: int
    moved_by: int | None


class Placed(NamedTuple):
    """Where and when an image was taken (ms UTC) as on record, and whether that can be right."""

    deployment: str
    taken: int
    clock_ok: bool


class Retimed(NamedTuple):
    """An image's new time."""

    media_id: str
    taken: int
    offset_minutes: int
    clock_ok: bool


@dataclass(frozen=True, slots=True)
class Review:
    """What a person says of an image, beside what the models said; a count of 0 means no animal."""

    label: str | None
    count: int
    machine_label: str | None
    machine_count: int
    machine_confidence: int
    correction: int


class ClockSummary(NamedTuple):
    """A deployment's times at a glance; ``first`` and ``last`` are ms UTC, the rest counts images."""

    deployment: str
    images: int
    first: int
    last: int
    offset_minutes: int
    doubtful: int
    by_mtime: int
    shifted: int


class Corrections:
    """Reads and writes ``corrections``, ``reviews`` and the times of images, in the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def begin(self, correction: Correction) -> int:
        """Put a line on record; its ``id`` is passed over, and the one that it got is returned."""
        c = correction
        rows = self._db.execute(
            "INSERT INTO corrections (made, made_by, kind, deployment, what, media_id, shift, since, until, "
            "images, messages) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
            (
                c.made,
                c.made_by,
                c.kind,
                c.deployment,
                c.what,
                c.media_id,
                c.shift,
                c.since,
                c.until,
                c.images,
                c.messages,
            ),
        )
        return int(rows[0][0])

    def count(self, correction: int, *, images: int, messages: int) -> None:
        """Add to what a correction has changed."""
        self._db.execute(
            "UPDATE corrections SET images = images + ?, messages = messages + ? WHERE id = ?",
            (images, messages, correction),
        )

    def made(self, deployment: str | None = None, kind: CorrectionKind | None = None) -> list[Correction]:
        """Corrections so far, in the order in which they were made."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM corrections WHERE (?1 IS NULL OR deployment = ?1) "
            "AND (?2 IS NULL OR kind = ?2) ORDER BY id",
            (deployment, kind),
        )
        return [Correction(*row) for row in rows]

    def images(self, span: Span) -> Iterator[Dated]:
        """Images of a deployment, by event time."""
        rows = self._db.execute(
            "SELECT m.media_id, m.file, m.taken, m.offset_minutes, m.time_source, m.clock_ok, m.received, "
            "c.shift FROM media m INDEXED BY media_by_time LEFT JOIN corrections c ON c.id = m.shifted_by "
            "WHERE m.deployment = ? AND m.taken >= ? AND m.taken < ? ORDER BY m.taken, m.media_id",
            (
                span.deployment,
                -(2**62) if span.since is None else span.since,
                2**62 if span.until is None else span.until,
            ),
        )
        for media_id, file, taken, offset, source, ok, received, moved_by in rows:
            yield Dated(media_id, file, taken, offset, source, bool(ok), received, moved_by)

    def places(self, media_ids: Iterable[str]) -> dict[str, Placed]:
        """Those of these images that are on record."""
        found: dict[str, Placed] = {}
        remaining = iter(media_ids)
        while some := tuple(islice(remaining, _MARKS)):
            marks = ", ".join("?" * len(some))
            rows = self._db.execute(
                f"SELECT media_id, deployment, taken, clock_ok FROM media WHERE media_id IN ({marks})", some
            )
            found |= {row[0]: Placed(row[1], row[2], bool(row[3])) for row in rows}
        return found

    def retime(self, images: Sequence[Retimed], correction: int, shift: int) -> None:
        """Give images their new times; animal observations are the engine's."""
        self._db.execute_many(
            "UPDATE media SET taken = ?, offset_minutes = ?, clock_ok = ?, clock_shift = clock_shift + ?, "
            "shifted_by = ? WHERE media_id = ?",
            [(i.taken, i.offset_minutes, i.clock_ok, shift, correction, i.media_id) for i in images],
        )
        self._db.execute_many(
            "UPDATE observations SET t = ? WHERE media_id = ? AND kind != 'animal'",
            [(i.taken, i.media_id) for i in images],
        )

    def trust(self, media_ids: Sequence[str]) -> None:
        """Take the doubt from images whose times stay."""
        self._db.execute_many("UPDATE media SET clock_ok = 1 WHERE media_id = ?", [(m,) for m in media_ids])

    def renew_newest(self, deployment: str) -> int | None:
        """Make a deployment's newest trusted event time (ms UTC) what its images say; returns it."""
        row = self._db.one(
            "SELECT MAX(taken) FROM media INDEXED BY media_by_time WHERE deployment = ? AND clock_ok",
            (deployment,),
        )
        newest: int | None = row[0] if row else None
        self._db.execute("UPDATE deployments SET newest = ? WHERE deployment = ?", (newest, deployment))
        return newest

    def animals(self, media_id: str) -> Observation | None:
        """What is on record of an image's animals; None if there are none."""
        row = self._db.one(
            "SELECT deployment, media_id, t, label, count, confidence FROM observations "
            "WHERE media_id = ? AND kind = 'animal'",
            (media_id,),
        )
        return Observation(*row) if row else None

    def review(self, media_id: str) -> Review | None:
        """What a person said of an image; None if nobody did."""
        row = self._db.one(
            "SELECT label, count, machine_label, machine_count, machine_confidence, correction FROM reviews "
            "WHERE media_id = ?",
            (media_id,),
        )
        return Review(*row) if row else None

    def reviewed_by(self, first: int, last: int) -> list[str]:
        """Images whose newest word is of one of these corrections."""
        rows = self._db.execute(
            "SELECT media_id FROM reviews WHERE correction BETWEEN ? AND ? ORDER BY media_id", (first, last)
        )
        return [row[0] for row in rows]

    def newest(self) -> int:
        """Number of the newest correction; 0 before the first."""
        return int(self._db.execute("SELECT COALESCE(MAX(id), 0) FROM corrections")[0][0])

    def keep_review(self, media_id: str, review: Review | None) -> None:
        """Put a person's word beside the models', or take it away."""
        self._db.execute("DELETE FROM reviews WHERE media_id = ?", (media_id,))
        if review is not None:
            self._db.execute("INSERT INTO reviews VALUES (?, ?, ?, ?, ?, ?, ?)", (media_id, *astuple(review)))

    def settle_blank(self, media_id: str, deployment: str, t: int, *, animals: bool) -> None:
        """An image is blank where there is neither animal, person nor vehicle."""
        if animals or self._db.one(f"SELECT 1 FROM observations WHERE {_OTHERS}", (media_id,)):
            self._db.execute("DELETE FROM observations WHERE media_id = ? AND kind = 'blank'", (media_id,))
        else:
            self._db.execute(
                "INSERT INTO observations (media_id, kind, deployment, t, label, count, confidence) "
                "VALUES (?, 'blank', ?, ?, NULL, 0, 0) ON CONFLICT DO NOTHING",
                (media_id, deployment, t),
            )


def clocks(database: Database, deployment: str | None = None) -> list[ClockSummary]:
    """How the times of each deployment look."""
    rows = database.execute(
        "SELECT deployment, COUNT(*), MIN(taken), MAX(taken), MAX(offset_minutes), SUM(NOT clock_ok), "
        "SUM(time_source = 'mtime'), SUM(clock_shift != 0) FROM media WHERE (?1 IS NULL OR deployment = ?1) "
        "GROUP BY deployment ORDER BY deployment",
        (deployment,),
    )
    return [ClockSummary(*row) for row in rows]


def find_media(database: Database, name: str) -> list[str]:
    """Ids of the images that a name means: an id, the beginning of one, or a path below the drop folder."""
    folder, _, last = name.rpartition("/")
    rows = database.execute(
        "SELECT m.media_id FROM files f JOIN media m USING (media_id) WHERE f.folder = ? AND f.name = ?",
        (folder, last),
    )
    if not rows:
        whole = name if name.startswith("sha256:") else f"sha256:{name}"
        rows = database.execute(
            "SELECT media_id FROM media WHERE media_id >= ? AND media_id < ? LIMIT 2", (whole, f"{whole}~")
        )
    return [row[0] for row in rows]


def place_of(database: Database, media_id: str) -> tuple[str, int]:
    """An image's deployment and event time, ms UTC."""
    rows = database.execute("SELECT deployment, taken FROM media WHERE media_id = ?", (media_id,))
    deployment, taken = rows[0]
    return str(deployment), int(taken)


def last_bundle(database: Database) -> tuple[str, str]:
    """SHA-256 and name of the bundle that looked at the image that was processed last; empty before any."""
    row = database.one(
        "SELECT m.bundle, COALESCE(b.name, '') FROM media m LEFT JOIN bundles b ON b.sha256 = m.bundle "
        "ORDER BY m.received DESC LIMIT 1"
    )
    return (str(row[0]), str(row[1])) if row else ("", "")
