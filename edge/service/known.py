"""Images on record in intake's words, so that a camera's clock is judged by what came before a restart."""

from __future__ import annotations

from pathlib import Path

from edge.intake.identity import file_number
from edge.intake.types import Candidate, Examined, FileStat
from edge.settings import IntakeSettings
from edge.store.database import Database
from edge.store.queries import latest_media

ENOUGH = 4000
"""Images to look back on; the numberings of 4,000 cameras at most are remembered."""


class Known:
    """The images on record: all at first, and again once a clock was put right, in whatever process."""

    def __init__(self, database: Database, settings: IntakeSettings) -> None:
        self._db = database
        self._settings = settings
        self._seen: object = None

    def __call__(self) -> list[Examined] | None:
        """The images that were processed last; None where nothing but new images came since the last call."""
        corrected = self._db.one("SELECT COUNT(*), TOTAL(images) FROM corrections WHERE kind = 'clock'")
        if corrected == self._seen:
            return None
        self._seen = corrected
        return known_images(self._db, self._settings)


def known_images(database: Database, settings: IntakeSettings) -> list[Examined]:
    """The images that were processed last, in the order in which they were.

    Args:
        database: of the daemon.
        settings: how numbers stand in file names.
    """
    nowhere, no_stat = Path(), FileStat(0, 0, 0, 0)
    return [
        Examined(
            candidate=Candidate(nowhere, media.file, no_stat),
            deployment=media.deployment,
            taken_ms=media.taken,
            nanos=0,
            offset_minutes=0,
            time_source=media.time_source,
            clock_ok=media.clock_ok,
            number=file_number(media.file, settings.time_pattern),
        )
        for media in latest_media(database, ENOUGH)
    ]
