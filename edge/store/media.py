"""Images by content, what was seen in them, and their embeddings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from edge.store.database import Database

Kind = Literal["animal", "person", "vehicle", "blank"]


class Box(NamedTuple):
    """Relative to the image, from its top left."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Detected:
    """One thing found in an image; ``score`` and ``label_score`` from 0 to 1."""

    kind: Literal["animal", "person", "vehicle"]
    box: Box
    score: float
    label: str | None = None
    label_score: float = 0.0


@dataclass(frozen=True, slots=True)
class Embedded:
    """A vector, float16 little-endian bytes, of a whole image or of one crop."""

    kind: Literal["image", "crop"]
    vector: bytes
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class MediaRow:
    """One image by content.

    Attributes:
        media_id: ``sha256:`` and the hash of the whole file.
        file: path below the drop folder under which it was first taken in.
        deployment: the camera it came from.
        taken: event time, ms UTC.
        offset_minutes: of the camera's zone at that time, for display.
        time_source: exif, filename or mtime.
        clock_ok: False where the time can't be right.
        camera: make, model and serial as far as known.
        size: bytes of the file.
        width, height: pixels, as the image is meant to be seen.
        detections: what was found.
        snapshot: path of the snapshot below the state folder, or "".
        bundle: SHA-256 of the bundle that looked at it.
        received: when it was processed, ms UTC by the device's clock.
        night: whether it was taken by infrared light; None: unknown.
    """

    media_id: str
    file: str
    deployment: str
    taken: int
    offset_minutes: int
    time_source: str
    clock_ok: bool
    size: int
    width: int
    height: int
    bundle: str
    received: int
    camera: str = ""
    detections: tuple[Detected, ...] = ()
    snapshot: str = ""
    embeddings: tuple[Embedded, ...] = field(default=(), repr=False)
    night: bool | None = None


@dataclass(frozen=True, slots=True)
class Other:
    """What an image says besides animals: a media-level observation that takes no part in registrations."""

    kind: Literal["person", "vehicle", "blank"]
    count: int
    confidence: int


class MediaStore:
    """Writes ``media``, ``observations`` of kinds other than animal, and ``embeddings``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def has(self, media_id: str) -> bool:
        """Whether an image with this content was processed before."""
        return self._db.one("SELECT 1 FROM media WHERE media_id = ?", (media_id,)) is not None

    def file_of(self, media_id: str) -> str | None:
        """The path under which an image was first taken in; None if its content isn't on record."""
        row = self._db.one("SELECT file FROM media WHERE media_id = ?", (media_id,))
        return str(row[0]) if row else None

    def add(self, media: MediaRow, others: Sequence[Other] = ()) -> bool:
        """Put one image on record; False (and nothing changes) if its content is there already."""
        m = media
        with self._db.transaction():
            rows = self._db.execute(
                "INSERT INTO media (media_id, file, deployment, taken, offset_minutes, time_source, "
                "clock_ok, camera, "
                "bytes, width, height, detections, snapshot, bundle, received, night) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING 1",
                (
                    m.media_id,
                    m.file,
                    m.deployment,
                    m.taken,
                    m.offset_minutes,
                    m.time_source,
                    m.clock_ok,
                    m.camera,
                    m.size,
                    m.width,
                    m.height,
                    encode_detections(m.detections),
                    m.snapshot,
                    m.bundle,
                    m.received,
                    m.night,
                ),
            )
            if not rows:
                return False
            self._db.execute_many(
                "INSERT INTO observations (media_id, kind, deployment, t, label, count, confidence) "
                "VALUES (?, ?, ?, ?, NULL, ?, ?)",
                [(m.media_id, o.kind, m.deployment, m.taken, o.count, o.confidence) for o in others],
            )
            add_embeddings(self._db, m.media_id, m.bundle, m.embeddings)
            return True

    def newest(self, deployment: str) -> int | None:
        """Newest event time of a deployment with a clock that can be right, ms UTC."""
        row = self._db.one("SELECT newest FROM deployments WHERE deployment = ?", (deployment,))
        return row[0] if row else None

    def seen_until(self, deployment: str, taken: int) -> None:
        """Remember the newest event time of a deployment; it never goes back."""
        self._db.execute(
            "INSERT INTO deployments (deployment, newest) VALUES (?, ?) ON CONFLICT DO UPDATE SET "
            "newest = MAX(COALESCE(newest, excluded.newest), excluded.newest)",
            (deployment, taken),
        )


def add_embeddings(database: Database, media_id: str, bundle: str, embeddings: Sequence[Embedded]) -> None:
    """Put an image's vectors on record, in the caller's transaction; it must have none of this bundle."""
    database.execute_many(
        "INSERT INTO embeddings (media_id, bundle, ordinal, kind, box, vector) VALUES (?, ?, ?, ?, ?, ?)",
        [
            (media_id, bundle, i, e.kind, json.dumps(e.box) if e.box else "", e.vector)
            for i, e in enumerate(embeddings)
        ],
    )


def replace_embeddings(
    database: Database, media_id: str, bundle: str, embeddings: Sequence[Embedded]
) -> None:
    """Put an image's vectors in the place of those of the same bundle, in the caller's transaction.

    Vectors of other bundles stay: they are searched until the new bundle has embedded everything.
    """
    database.execute("DELETE FROM embeddings WHERE media_id = ? AND bundle = ?", (media_id, bundle))
    add_embeddings(database, media_id, bundle, embeddings)


def encode_detections(detections: Sequence[Detected]) -> str:
    """JSON for the ``detections`` column; boxes and scores to 4 digits."""
    return json.dumps(
        [
            {
                "kind": d.kind,
                "box": [round(float(v), 4) for v in d.box],
                "score": round(float(d.score), 4),
                **({"label": d.label, "label_score": round(float(d.label_score), 4)} if d.label else {}),
            }
            for d in detections
        ],
        separators=(",", ":"),
    )


def decode_detections(text: str) -> tuple[Detected, ...]:
    """The reverse of ``encode_detections``."""
    return tuple(
        Detected(d["kind"], Box(*d["box"]), d["score"], d.get("label"), d.get("label_score", 0.0))
        for d in json.loads(text)
    )
