"""What the daemon does with images on record while there is nothing else to do."""

from __future__ import annotations

import threading
from collections.abc import Callable

from edge.delivery.messages import BundleRef, Problem
from edge.service.heartbeat import Worker
from edge.service.librarian import Librarian
from edge.service.reembedding import Progress, Reembedder, Sources, reembedding
from edge.service.reprocess import Optician, Reprocessor, reprocessing
from edge.settings import Settings
from edge.store.database import Database
from edge.store.requests import Reprocessing
from edge.vision.pipeline import Vision


class Background:
    """Looks again at what people asked for, embeds what another bundle embedded, and keeps the index.

    Args:
        settings: all of them.
        database: the daemon's.
        vision: of the bundle in use.
    """

    def __init__(self, settings: Settings, database: Database, vision: Vision) -> None:
        info, most = vision.info(), settings.intake.max_pixels
        about = BundleRef(name=info.bundle, sha256=info.sha256)
        self._line = Reprocessing(database)
        self._reprocessor = Reprocessor(
            database, Optician(vision, about, settings.drop, settings.state, most)
        )
        self._reembedder = Reembedder(
            database, Sources(vision, info.bundle, info.sha256, settings.drop, most)
        )
        self._librarian = Librarian(settings, info.sha256, info.dimension)

    @property
    def reembedding(self) -> Progress | None:
        """How far embedding again is; None where there was nothing to do."""
        return self._reembedder.progress

    def problems(self) -> tuple[Problem, ...]:
        """What needs a person."""
        return self._librarian.problems()

    def loops(
        self, busy: Callable[[], bool], stop: threading.Event, *, after: Callable[[], None]
    ) -> dict[str, Callable[[Worker], None]]:
        """The loops of its threads, by name.

        Args:
            busy: whether new images wait; they come first.
            stop: ends them, after the image in hand.
            after: called when there are new messages.
        """

        def has_requests() -> bool:
            return busy() or self._line.next() is not None

        return {
            "reprocessor": reprocessing(self._reprocessor, busy, stop, after=after),
            "reembedder": reembedding(self._reembedder, has_requests, stop),
            "librarian": self._librarian.loop(busy, stop),
        }
