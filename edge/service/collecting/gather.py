"""One file of a collection to its outcome: read once, made a JPEG if it isn't, dated, looked at."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

from edge.errors import GoneError, ImageError, IntakeError, NotAnImageError, NotWholeError
from edge.intake.examine import dated
from edge.intake.header import parse_header
from edge.intake.types import Candidate, Loaded
from edge.intake.whole import check, read
from edge.service.looker import COPY, Eyes, Looker
from edge.service.work import Outcome, now_ms
from edge.settings import IntakeSettings
from edge.store.ledger import Fate, FileState, Stat
from edge.vision.decode import read_header
from edge.vision.foreign import JPEG, as_jpeg
from edge.vision.pipeline import Vision
from edge.vision.sight import Sight, Timings


class Gatherer:
    """Turns files into outcomes. Thread-safe if its eyes are.

    Args:
        eyes: vision.
        looker: puts what they see into the store's words.
        settings: limits, patterns and zones.
        is_known: whether a content is on record and needn't be looked at.
        whole: the eyes look for no animals, so that nothing is said of whether there are any.
    """

    def __init__(
        self,
        eyes: Eyes,
        looker: Looker,
        settings: IntakeSettings,
        *,
        is_known: Callable[[str], bool],
        whole: bool = False,
    ) -> None:
        self._eyes = eyes
        self._looker = looker
        self._settings = settings
        self._is_known = is_known
        self._whole = whole

    def look(self, candidate: Candidate) -> Outcome:
        """What becomes of one file. One that is not whole is set aside until it changes."""
        try:
            data = read(candidate, self._settings.max_bytes)
            media_id = f"sha256:{hashlib.sha256(data).hexdigest()}"
            if self._is_known(media_id):
                return _settled(candidate, "duplicate", COPY, media_id)
            return self._look(candidate, data, media_id)
        except GoneError as error:
            return _settled(candidate, "gone", error.what)
        except (NotWholeError, NotAnImageError, ImageError) as error:
            return _settled(candidate, "set_aside", error.what)
        except IntakeError as error:
            return replace(_settled(candidate, "incomplete", error.what), unreadable=True)

    def _look(self, candidate: Candidate, data: bytes, media_id: str) -> Outcome:
        limit = self._settings.max_pixels
        picture = data if data.startswith(JPEG) else as_jpeg(data, limit)
        frame = check(picture, limit, subject=candidate.file)
        examined = dated(candidate, parse_header(picture), self._settings, now_ms())
        sight = self._eyes.see(picture, limit)
        outcome = self._looker.seen(examined, Loaded(data, media_id, frame), sight)
        return replace(outcome, others=()) if self._whole else outcome


class WholeEyes:
    """Eyes that embed the whole image and look for nothing in it."""

    def __init__(self, vision: Vision) -> None:
        self._vision = vision

    def see(self, data: bytes, max_pixels: int) -> Sight:
        """As ``Vision.see``, without detections."""
        width, height = read_header(data, max_pixels=max_pixels).upright_size
        glimpse = self._vision.embed(data, (), max_pixels)
        return Sight(
            width=width,
            height=height,
            detections=(),
            label=None,
            confidence=0,
            count=0,
            scores=(),
            embeddings=glimpse.embeddings,
            snapshot=None,
            timings=Timings(0.0, 0.0, 0.0, 0.0),
            night=glimpse.night,
        )


def _settled(candidate: Candidate, state: FileState, reason: str, media_id: str | None = None) -> Outcome:
    return Outcome(Fate(candidate.file, Stat(*candidate.stat), state, reason, media_id))
