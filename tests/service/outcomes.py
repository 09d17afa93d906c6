"""Outcomes as the workers make them."""

from __future__ import annotations

from pathlib import Path

from edge.intake.types import Candidate, Examined, FileStat
from edge.registration import Observation
from edge.service.looker import settled
from edge.service.work import Outcome
from edge.store.media import Box, Detected, Embedded, MediaRow, Other

MINUTE = 60_000
START = 1_767_225_600_000  # 2026-01-01T00:00:00Z


def examined(name: str, minute: float, *, deployment: str = "cam", clock_ok: bool = True) -> Examined:
    """A file found in a drop folder, taken some minutes after the start."""
    candidate = Candidate(Path("/drop"), f"{deployment}/{name}.JPG", FileStat(1, 2, 3, hash(name) % 1000))
    return Examined(candidate, deployment, START + round(minute * MINUTE), 0, 60, "exif", clock_ok)


def seen(file: Examined, label: str | None = "Red_Fox", count: int = 1, *, media_id: str = "") -> Outcome:
    """A file that was looked at; without animals if ``count`` is 0."""
    name = file.candidate.path.stem
    media_id = media_id or f"sha256:{file.deployment}-{name}"
    boxes = [Box(0.1 * (i % 7), 0.2, 0.3, 0.4) for i in range(count)]
    media = MediaRow(
        media_id=media_id,
        file=file.candidate.file,
        deployment=file.deployment,
        taken=file.taken_ms,
        offset_minutes=file.offset_minutes,
        time_source=file.time_source,
        clock_ok=file.clock_ok,
        size=3,
        width=640,
        height=480,
        bundle="b" * 64,
        received=1,
        detections=tuple(Detected("animal", box, 0.9, label, 0.8 if label else 0.1) for box in boxes),
        embeddings=(Embedded("image", b"\0\0"),),
    )
    observation = (
        Observation(file.deployment, media_id, file.taken_ms, label, count, 800_000) if count else None
    )
    others = () if count else (Other("blank", 0, 0),)
    fate = settled(file, "processed", "", media_id).fate
    return Outcome(fate, file, media, others, observation)
