"""One file through whole-check and vision to its outcome."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from edge.errors import GoneError, ImageError, IntakeError, NotAnImageError, NotWholeError
from edge.intake.types import Examined, Loaded
from edge.intake.whole import load
from edge.registration.types import Observation
from edge.service.work import Outcome, now_ms
from edge.settings import IntakeSettings
from edge.store.files import write_durably
from edge.store.ledger import Fate, FileState, Stat
from edge.store.media import Box, Detected, Embedded, MediaRow, Other
from edge.vision.sight import Detection, Embedding, Sight

COPY = "same content as an image seen before"
_PARTS_PER_MILLION = 1_000_000


class Eyes(Protocol):
    """What the daemon needs of vision."""

    def see(self, data: bytes, max_pixels: int) -> Sight:
        """Look at one JPEG."""
        ...


class Looker:
    """Turns examined files into outcomes. Thread-safe if its eyes are."""

    def __init__(
        self,
        eyes: Eyes,
        bundle: str,
        settings: IntakeSettings,
        *,
        state: Path,
        has_media: Callable[[str], bool],
    ) -> None:
        """Use these eyes.

        Args:
            eyes: vision.
            bundle: SHA-256 of its bundle.
            settings: limits.
            state: the state folder; snapshots go below it.
            has_media: whether an image with this content is on record.
        """
        self._eyes = eyes
        self._bundle = bundle
        self._settings = settings
        self._state = state
        self._has_media = has_media

    def look(self, examined: Examined) -> Outcome:
        """What becomes of one file.

        A file that isn't whole may still grow, one that is damaged in the middle may be an upload that
        reserved its space first, and one that can't be read may be readable later. All are tried again. One
        that is gone is looked for again: it may have been moved away and back.
        """
        try:
            loaded = load(examined.candidate, self._settings)
            if self._has_media(loaded.media_id):
                return settled(examined, "duplicate", COPY, loaded.media_id)
            sight = self._eyes.see(loaded.data, self._settings.max_pixels)
        except GoneError as error:
            return settled(examined, "gone", error.what)
        except NotAnImageError as error:
            return settled(examined, "set_aside", error.what)
        except (NotWholeError, ImageError) as error:
            return settled(examined, "incomplete", error.what)
        except IntakeError as error:
            return replace(settled(examined, "incomplete", error.what), unreadable=True)
        return self.seen(examined, loaded, sight)

    def seen(self, examined: Examined, loaded: Loaded, sight: Sight) -> Outcome:
        """The outcome of an image that was looked at; its snapshot is on the disk then."""
        media = MediaRow(
            media_id=loaded.media_id,
            file=examined.candidate.file,
            deployment=examined.deployment,
            taken=examined.taken_ms,
            offset_minutes=examined.offset_minutes,
            time_source=examined.time_source,
            clock_ok=examined.clock_ok,
            size=len(loaded.data),
            width=sight.width,
            height=sight.height,
            bundle=self._bundle,
            received=now_ms(),
            camera=" ".join(part for part in examined.camera if part),
            detections=tuple(detected(d) for d in sight.detections),
            snapshot=keep_snapshot(self._state, loaded.media_id, sight.snapshot),
            embeddings=embedded(sight.embeddings),
            night=sight.night,
        )
        reason = "; ".join(examined.notes)
        outcome = settled(examined, "processed", reason, loaded.media_id)
        return Outcome(outcome.fate, examined, media, others_of(sight), _observation(examined, loaded, sight))


def keep_snapshot(state: Path, media_id: str, snapshot: bytes | None) -> str:
    """Write an image's snapshot; returns its path below the state folder, "" where there is none.

    Raises:
        DiskFullError: there is no space for it.
        StoreError: it can't be written.
    """
    if snapshot is None:
        return ""
    digest = media_id.removeprefix("sha256:")
    name = f"snapshots/{digest[:2]}/{digest}.jpg"
    write_durably(state / name, snapshot)
    return name


def settled(examined: Examined, state: FileState, reason: str, media_id: str | None = None) -> Outcome:
    """An outcome without an image."""
    candidate = examined.candidate
    fate = Fate(candidate.file, Stat(*candidate.stat), state, reason, media_id)
    return Outcome(fate, examined, retry=candidate if state in ("incomplete", "gone") else None)


def detected(d: Detection) -> Detected:
    """A detection in the store's words."""
    return Detected(d.kind, Box(*d.box), d.score, d.label, d.label_score)


def embedded(embeddings: Sequence[Embedding]) -> tuple[Embedded, ...]:
    """An image's vectors in the store's words."""
    return tuple(
        Embedded(e.kind, e.vector.astype("<f2").tobytes(), Box(*e.box) if e.box else None) for e in embeddings
    )


def _observation(examined: Examined, loaded: Loaded, sight: Sight) -> Observation | None:
    if not sight.count:
        return None
    return Observation(
        deployment=examined.deployment,
        media_id=loaded.media_id,
        t=examined.taken_ms,
        label=sight.label,
        count=sight.count,
        confidence=sight.confidence,
    )


def others_of(sight: Sight) -> tuple[Other, ...]:
    """What an image says besides animals."""
    found = []
    for kind in ("person", "vehicle"):
        scores = [d.score for d in sight.detections if d.kind == kind]
        if scores:
            found.append(Other(kind, len(scores), round(max(scores) * _PARTS_PER_MILLION)))
    if not sight.detections:
        found.append(Other("blank", 0, 0))
    return tuple(found)
