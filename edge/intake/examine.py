"""What can be said of a file without reading all of it."""

from __future__ import annotations

from edge.intake.header import Header, read_header
from edge.intake.identity import deployment_of, file_number
from edge.intake.moment import clock_doubt, moment
from edge.intake.types import Camera, Candidate, Examined
from edge.settings import IntakeSettings


def examine(candidate: Candidate, settings: IntakeSettings, now_ms: int) -> Examined:
    """Camera and event time of a file, from its path and its header.

    Nothing is said of whether it is an image at all: `load` says that.

    Args:
        candidate: the file.
        settings: patterns, zones and offsets.
        now_ms: the device's time, ms UTC.

    Raises:
        GoneError: the file isn't there any more.
        IntakeError: it can't be read.
    """
    return dated(candidate, read_header(candidate), settings, now_ms)


def dated(candidate: Candidate, header: Header, settings: IntakeSettings, now_ms: int) -> Examined:
    """Camera and event time of a file whose header is known; as `examine`, without reading anything."""
    file = candidate.file
    deployment = deployment_of(file, settings)
    taken = moment(header.exif, file, candidate.stat.mtime_ns, deployment, settings)
    doubt = clock_doubt(taken.taken_ms, taken.offset_minutes, settings.earliest, now_ms)
    return Examined(
        candidate=candidate,
        deployment=deployment,
        taken_ms=taken.taken_ms,
        nanos=taken.nanos,
        offset_minutes=taken.offset_minutes,
        time_source=taken.source,
        clock_ok=not doubt,
        number=file_number(file, settings.time_pattern),
        camera=header.exif.camera if header.exif else Camera(),
        notes=tuple(note for note in (header.note, taken.note, doubt) if note),
    )
