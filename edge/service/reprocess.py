"""Images looked at once more, with the models and labels of today, while there is nothing else to do.

The line is a table, so it outlives the process. New images come first: one is looked at again only while none
waits. What a person has said of an image stays; the models' word beside it is renewed.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from edge.delivery.messages import BundleRef
from edge.errors import DiskFullError, ImageError, StoreBusyError
from edge.registration.types import Key, Observation
from edge.service.corrections import Amender, Amendment
from edge.service.heartbeat import Worker
from edge.service.looker import Eyes, detected, embedded, keep_snapshot, others_of
from edge.service.originals import find_original
from edge.service.work import now_ms
from edge.store.corrections import Corrections
from edge.store.database import Database
from edge.store.requests import Kept, Reprocessing, Seen
from edge.vision.sight import Sight

log = logging.getLogger("edge")

REST = 0.5
"""Seconds between looks at the line, and while images wait."""
FULL = 5.0
"""Seconds to wait for space on a full disk."""
ATTEMPTS = 3
"""An image that ended the process so often while it was looked at is left as it is."""


@dataclass(frozen=True, slots=True)
class Optician:
    """Who looks: the eyes, the bundle that messages name, and where files are.

    Attributes:
        eyes: vision.
        bundle: of models.
        drop: the drop folder.
        state: the state folder; snapshots go below it.
        max_pixels: larger images are passed over.
    """

    eyes: Eyes
    bundle: BundleRef
    drop: Path
    state: Path
    max_pixels: int


class Reprocessor:
    """Works off the line, one image at a time. Used from one thread."""

    def __init__(self, database: Database, optician: Optician) -> None:
        self._db = database
        self._line = Reprocessing(database)
        self._who = optician
        self._tried = ""

    def step(self) -> int | None:
        """Look at the image that has waited longest, and tell what is different now.

        Returns:
            number of messages that it took; None if the line is empty.

        Raises:
            StoreError: nothing was changed, and the image is still in line.
        """
        again = self._line.next()
        if again is None:
            return None
        place = self._line.place(again.media_id)
        sight = None
        if place is not None and (again.media_id == self._tried or again.attempts < ATTEMPTS):
            self._attempt(again.media_id)
            sight = self._look(place)
        if place is None or sight is None:
            self._line.done(again.media_id)
            return 0
        return self._put(place, sight)

    def _attempt(self, media_id: str) -> None:
        """One for each process, so that only attempts that ended one add up."""
        if media_id != self._tried:
            self._line.attempt(media_id)
            self._tried = media_id

    def _look(self, place: Kept) -> Sight | None:
        """What is in the image now; None where its file is gone or can't be read any more."""
        original = find_original(self._who.drop, place, self._line.copies(place))
        if original is None:
            log.warning("%s isn't looked at again: it isn't there any more", place.file)
            return None
        try:
            return self._who.eyes.see(original.data, self._who.max_pixels)
        except ImageError as error:
            log.warning("%s isn't looked at again: %s", original.file, error)
            return None

    def _put(self, place: Kept, sight: Sight) -> int:
        # The file first: a commit names only what is on the disk.
        snapshot = keep_snapshot(self._who.state, place.media_id, sight.snapshot)
        now_seen = Seen(
            self._who.bundle.sha256,
            tuple(detected(d) for d in sight.detections),
            others_of(sight),
            embedded(sight.embeddings),
            snapshot,
            sight.night,
        )
        with self._db.transaction():
            corrections = Corrections(self._db)
            current = self._line.place(place.media_id) or place  # its clock may have been put right meanwhile
            found = _observation(current, sight)
            was = corrections.animals(place.media_id)
            amender = Amender(self._db, now_ms(), self._who.bundle)
            touched = [Key(current.taken, place.media_id)]
            said = amender.said(current.deployment, touched)
            self._line.replace(current, now_seen)
            is_now = self._after_review(corrections, was, found, current)
            corrections.settle_blank(
                place.media_id, current.deployment, current.taken, animals=is_now is not None
            )
            gone, come = ([], []) if was == is_now else ([was] if was else [], [is_now] if is_now else [])
            changes = amender.apply(Amendment(current.deployment, gone, come, touched), said)
            self._line.done(place.media_id)
        return len(changes)

    def _after_review(
        self, corrections: Corrections, was: Observation | None, found: Observation | None, place: Kept
    ) -> Observation | None:
        """What counts: a person's word where there is one, else what the models say now."""
        review = corrections.review(place.media_id)
        if review is None:
            return found
        label, count, confidence = (found.label, found.count, found.confidence) if found else (None, 0, 0)
        renewed = replace(review, machine_label=label, machine_count=count, machine_confidence=confidence)
        corrections.keep_review(place.media_id, renewed)
        return was


def reprocessing(
    reprocessor: Reprocessor,
    busy: Callable[[], bool],
    stop: threading.Event,
    *,
    after: Callable[[], None],
) -> Callable[[Worker], None]:
    """The loop of the thread that does it.

    Args:
        reprocessor: does one.
        busy: whether new images wait; they come first.
        stop: ends it, after the image in hand.
        after: called when there are new messages.
    """

    def loop(worker: Worker) -> None:
        rest = 0.0
        while not stop.wait(rest):
            worker.beat()
            rest = REST
            if busy():
                continue
            try:
                messages = reprocessor.step()
            except (DiskFullError, StoreBusyError):
                rest = FULL  # it is still in line
                continue
            if messages is not None:
                rest = 0.0
            if messages:
                after()

    return loop


def _observation(place: Kept, sight: Sight) -> Observation | None:
    if not sight.count:
        return None
    return Observation(
        place.deployment, place.media_id, place.taken, sight.label, sight.count, sight.confidence
    )
