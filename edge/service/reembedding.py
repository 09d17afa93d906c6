"""After a change of bundle: images on record get vectors of the new one, while there is nothing else to do.

Only the visual tower runs, on the whole image and on the crops that were embedded before. What is in the
images, and what they are called, stays as it is: that is what ``edge reprocess`` is for. The old vectors are
searched meanwhile, and removed once there is nothing left to embed (decision 0182).
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from edge.errors import DiskFullError, ImageError, StoreBusyError
from edge.service.heartbeat import Worker
from edge.service.looker import embedded
from edge.service.originals import find_original
from edge.service.reprocess import ATTEMPTS, FULL, REST
from edge.store.database import Database
from edge.store.reembedding import Mark, Reembedding, Wanting, coverage
from edge.store.requests import Reprocessing
from edge.vision.sight import Box, Glimpse

log = logging.getLogger("edge")

PAGE: Final = 500
"""Images looked through at a time for those that lack something."""
CLEARED: Final = 200
"""Images whose old vectors are removed in one transaction."""
AGAIN: Final = 86_400.0
"""Seconds until images whose originals are gone are looked for again; a card may have come back."""


class Eyes(Protocol):
    """What embedding again needs of vision."""

    def embed(self, data: bytes, boxes: Sequence[Box], max_pixels: int) -> Glimpse:
        """Embed a JPEG and its crops."""
        ...

    def is_night(self, data: bytes, max_pixels: int) -> bool:
        """Whether a JPEG is colourless."""
        ...


@dataclass(frozen=True, slots=True)
class Sources:
    """Who looks, and at what.

    Attributes:
        eyes: vision.
        name, sha256: of its bundle.
        drop: the drop folder.
        max_pixels: larger images are passed over.
    """

    eyes: Eyes
    name: str
    sha256: str
    drop: Path
    max_pixels: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is.

    Attributes:
        images: on record when the last walk began.
        embedded: those of them with vectors of the bundle.
        unreachable: those whose originals are gone, changed or damaged, as far as they were met.
        running: whether there is more to do.
    """

    images: int
    embedded: int
    unreachable: int
    running: bool


@dataclass(slots=True)
class _Walk:
    """One pass over all images on record."""

    began: float
    images: int
    embedded: int
    others: list[str]
    mark: Mark | None = field(default_factory=Mark)
    wanting: deque[Wanting] = field(default_factory=deque)
    unreachable: int = 0
    fresh: int = 0
    looked: int = 0
    cleared: str = ""
    removed: int = 0

    @property
    def progress(self) -> Progress:
        running = self.embedded + self.unreachable < self.images
        return Progress(self.images, self.embedded, self.unreachable, running)


class Reembedder:
    """Walks through the images on record, one small step after the other. Used from one thread.

    Args:
        database: the daemon's.
        sources: who looks, and where the originals are.
        clock: monotonic seconds.

    Attributes:
        progress: may be read from any thread; None while every image on record has been embedded anyway.
    """

    def __init__(
        self, database: Database, sources: Sources, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._db = database
        self._from = sources
        self._clock = clock
        self._store = Reembedding(database, sources.sha256)
        self._line = Reprocessing(database)
        self._walk: _Walk | None = None
        self._tried = ""
        self._due = math.inf if self._store.take_over() else -math.inf
        self.progress: Progress | None = None

    def step(self) -> bool:
        """Embed the next image, or look for it, or clear up behind; returns whether there may be more.

        Raises:
            StoreError: nothing was changed; the next call tries the same again.
        """
        if self._clock() < self._due or not self._from.drop.is_dir():
            return False  # a disk that isn't there says nothing about the files on it
        walk = self._walk or self._set_out()
        if walk.wanting:
            self._one(walk, walk.wanting[0])
            walk.wanting.popleft()
        elif walk.mark is not None:
            self._turn(walk, walk.mark)
        elif walk.others:
            self._clear(walk)
        else:
            self._arrive(walk)
        return self._walk is not None

    def _set_out(self) -> _Walk:
        stand = coverage(self._db, self._from.sha256)
        self._walk = walk = _Walk(self._clock(), stand.images, stand.embedded, self._store.others())
        if walk.progress.running:
            self.progress = walk.progress
            lacking = stand.images - stand.embedded
            log.info("%d of %d images aren't embedded by %s yet", lacking, stand.images, self._from.name)
        return walk

    def _turn(self, walk: _Walk, mark: Mark) -> None:
        page = self._store.page(mark, PAGE)
        if page.mark is None:
            self._store.finish(walk.unreachable, cleared=False)
        walk.wanting.extend(page.wanting)
        walk.mark = page.mark

    def _one(self, walk: _Walk, wanted: Wanting) -> None:
        """Give one image what it lacks; it is counted once, whatever comes of it."""
        found = self._glimpse(wanted)
        if found is not None:
            vectors = embedded(found.embeddings) if wanted.vectors else ()
            walk.fresh += self._store.keep(wanted.media_id, vectors, night=found.night)
            walk.looked += 1
        if wanted.vectors:
            walk.embedded += found is not None
            walk.unreachable += found is None
            self.progress = walk.progress

    def _glimpse(self, wanted: Wanting) -> Glimpse | None:
        """The image anew; None where its original is gone, can't be decoded, or ended the process before."""
        place = self._line.place(wanted.media_id)
        original = place and find_original(self._from.drop, place, self._line.copies(place))
        if original is None:
            return None
        if not self._may_try(wanted.media_id):
            log.warning("%s isn't embedded again: it has ended the process %d times", original.file, ATTEMPTS)
            return None
        try:
            return self._looked(wanted, original.data)
        except ImageError as error:
            log.warning("%s isn't embedded again: %s", original.file, error)
            self._store.settle(wanted.media_id)
            return None

    def _looked(self, wanted: Wanting, data: bytes) -> Glimpse:
        eyes, most = self._from.eyes, self._from.max_pixels
        if not wanted.vectors:
            return Glimpse((), eyes.is_night(data, most))
        return eyes.embed(data, [Box(*box) for box in self._store.boxes(wanted.media_id)], most)

    def _may_try(self, media_id: str) -> bool:
        """Counts once for each process, so that only attempts that ended one add up."""
        if media_id == self._tried:
            return True
        if self._store.attempts(media_id) >= ATTEMPTS:
            return False
        self._store.attempt(media_id)
        self._tried = media_id
        return True

    def _clear(self, walk: _Walk) -> None:
        forgotten = self._store.forget(walk.others[-1], walk.cleared, CLEARED)
        walk.removed += forgotten.vectors
        walk.cleared = forgotten.media_id or ""
        if forgotten.media_id is None:
            walk.others.pop()

    def _arrive(self, walk: _Walk) -> None:
        self._store.finish(walk.unreachable, cleared=True)
        self._walk = None
        self._due = self._clock() + AGAIN if walk.unreachable else math.inf
        if self.progress is not None:
            now = coverage(self._db, self._from.sha256)
            self.progress = Progress(now.images, now.embedded, walk.unreachable, running=False)
        if walk.looked > walk.fresh:
            log.info("%d images on record were looked at for infrared light", walk.looked - walk.fresh)
        if walk.fresh or walk.removed or walk.unreachable:
            log.info(
                "%d images were embedded by %s in %.0f s; %d can't be, their originals are gone or damaged; "
                "%d old vectors were removed",
                walk.fresh,
                self._from.name,
                self._clock() - walk.began,
                walk.unreachable,
                walk.removed,
            )


def reembedding(
    reembedder: Reembedder, busy: Callable[[], bool], stop: threading.Event
) -> Callable[[Worker], None]:
    """The loop of the thread that does it.

    Args:
        reembedder: does one step.
        busy: whether there are images that somebody waits for; they come first.
        stop: ends it, after the image in hand.
    """

    def loop(worker: Worker) -> None:
        rest = 0.0
        while not stop.wait(rest):
            worker.beat()
            rest = REST
            if busy():
                continue
            try:
                rest = 0.0 if reembedder.step() else REST
            except (DiskFullError, StoreBusyError):
                rest = FULL  # the image is still the next

    return loop
