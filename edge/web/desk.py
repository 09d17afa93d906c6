"""What the worker's thread works with: models and indexes, opened when they are first needed."""

from __future__ import annotations

from functools import cached_property

from edge.service.searching import BundleEyes, Searcher
from edge.settings import Settings
from edge.store.database import open_readonly


class Desk:
    """Used by jobs of ``Context.work`` only, in its one thread."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def searcher(self) -> Searcher:
        """Answers queries.

        Raises:
            BundleError: there is no bundle of the name in the settings.
            StoreError: there is no database yet.
        """
        database = open_readonly(self.settings.state)
        return Searcher(database, BundleEyes(self.settings), max_bytes=self.settings.intake.max_bytes)
