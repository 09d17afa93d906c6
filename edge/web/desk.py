"""What the worker's thread works with: models and indexes, opened when they are first needed, then kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edge.service.searching import Answer, Classified, Desk as Searching, Wanted
from edge.settings import PROVIDERS, Settings
from edge.store.database import Database, open_readonly
from edge.vision.foreign import as_jpeg
from edge.vision.labels import LabelSet


class Desk:
    """Answers questions about pictures. Used by jobs of ``Context.ask`` only, in their one thread.

    Every method raises what ``edge.service.searching`` does: SearchError where nothing can be found,
    ImageError for a picture that can't be read, BundleError where the models can't be opened.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._searching = Searching(on_processor(settings))

    def by_words(self, query: str, wanted: Wanted) -> Answer:
        """Images that look like what the words say."""
        with self._reading() as database:
            return self._searching.searcher(database).by_words(query, wanted)

    def by_picture(self, data: bytes, wanted: Wanted) -> Answer:
        """Images that look like a picture, of any common kind, or like an animal in it."""
        with self._reading() as database:
            return self._searching.searcher(database).by_picture(self.jpeg(data), wanted)

    def by_media(self, media_id: str, wanted: Wanted) -> Answer:
        """Images that look like one on record."""
        with self._reading() as database:
            return self._searching.searcher(database).by_media(media_id, wanted)

    def classify(self, data: bytes, labels: LabelSet) -> Classified:
        """What a picture shows, of these labels."""
        return self._searching.classify(self.jpeg(data), labels)

    def classify_media(self, media_id: str, labels: LabelSet) -> Classified:
        """What an image on record shows, of these labels."""
        with self._reading() as database:
            return self._searching.classify_media(database, media_id, labels)

    def jpeg(self, data: bytes) -> bytes:
        """An uploaded picture as JPEG.

        Raises:
            ImageError: it is none, is broken, or has too many pixels.
        """
        return as_jpeg(data, self._settings.web.upload_pixels)

    @contextmanager
    def _reading(self) -> Iterator[Database]:
        database = open_readonly(self._settings.state)
        try:
            database.execute("BEGIN")
            yield database
        finally:
            database.close()


def on_processor(settings: Settings) -> Settings:
    """The same with GPUs left to the daemon: their memory is full, and engines take minutes to make."""
    vision = settings.vision.model_copy(update={"providers": (PROVIDERS["cpu"],), "threads": 1})
    return settings.model_copy(update={"vision": vision})
