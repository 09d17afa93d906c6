"""Whatever answers questions about one folder: models and index, opened when first needed and then kept."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from edge.search import Library
from edge.service.indexing import open_library
from edge.service.searching.answers import Wanted
from edge.service.searching.classifying import TOP, Classified, Judge
from edge.service.searching.eyes import GIVEN, BundleEyes, Float32, Looked, Space
from edge.service.searching.language import note_on
from edge.service.searching.searcher import Searcher, vectors_from
from edge.service.searching.spaces import Chosen, choose, nothing_to_compare
from edge.settings import SearchSettings, Settings
from edge.store.database import Database, open_readonly
from edge.store.media import Detected
from edge.store.pictures import embedded, recorded
from edge.store.searching import Place, allowed, place, stored_spaces
from edge.vision.bundles import find_bundle
from edge.vision.labels import LabelSet
from edge.vision.manifest import bundle_sha256

_ALL: Final = Wanted()
_JUDGES: Final = 16
"""Label sets whose vectors are kept at hand."""
_RECOUNT, _RECHECK = 30.0, 2.0
"""Seconds after which the choice of the bundle is made anew."""


class _Kept(NamedTuple):
    """A choice, for which database, and until when it holds (monotonic seconds)."""

    epoch: str
    until: float
    chosen: Chosen


class Desk:
    """Answers questions. Cheap to make; one question at a time, from whichever thread.

    Args:
        settings: the bundle, and how it is used; models and their caches are in its state folder.
        folder: with the database and its index; the state folder if not given. A collection has its own.
        only: ask the configured bundle, also while another one has embedded more.
    """

    def __init__(self, settings: Settings, folder: Path | None = None, *, only: bool = False) -> None:
        self._settings = settings
        self._only = only
        self._eyes: dict[str, BundleEyes] = {}
        self._shelf = _Shelf(folder or settings.state, settings.search)
        self._judges: OrderedDict[tuple[str, str], Judge] = OrderedDict()
        self._lock = threading.RLock()
        self._chosen: _Kept | None = None

    def searcher(self, database: Database) -> Searcher:
        """What answers from a database, in the space that covers it best.

        Args:
            database: of this desk's folder, read-only, opened by the calling thread.

        Raises:
            BundleError: the bundle isn't there, or its manifest can't be understood.
        """
        with self._lock:
            chosen = self._choice(database)
            eyes = self._eyes_of(chosen.bundle, chosen.sha256)
            notes = (chosen.note,) if chosen.note else ()
            library = self._shelf.library(database.epoch, eyes.space)
        return Searcher(database, eyes, library, notes, chosen.not_compared)

    def remark(self, labels: LabelSet) -> str:
        """What to say of classes named by hand that don't look like the bundle's language; empty if nothing.

        Raises:
            BundleError: the bundle isn't there, or its manifest can't be understood.
        """
        if labels.name != GIVEN:
            return ""
        with self._lock:
            eyes = self._configured()
        remarks = (note_on(name, eyes.languages, eyes.space.name) for name in labels.names)
        return next(filter(None, remarks), "")

    def classify(self, data: bytes, labels: LabelSet, top: int = TOP) -> Classified:
        """What a picture of any kind shows, seen with the configured bundle; no database is needed.

        Raises:
            ImageError: it isn't a picture that can be decoded.
            BundleError, ProviderError, VisionError: the models can't be used.
        """
        with self._lock:
            eyes = self._configured()
            return self._judge(eyes, labels).judge(eyes.look(data), top)

    def classify_media(
        self, database: Database, media_id: str, labels: LabelSet, top: int = TOP
    ) -> Classified:
        """What an image on record shows, by its vectors; the image itself isn't needed any more.

        Raises:
            SearchError: it isn't on record, or the bundle has not embedded it.
            BundleError, ProviderError, VisionError: the text model can't be used.
        """
        with self._lock:
            searcher = self.searcher(database)
            vectors = searcher.vectors(media_id)
            about = recorded(database, media_id)
            looked = _looked(vectors, about.detections if about else ())
            return self._judge(self._eyes[searcher.space.sha256], labels).judge(looked, top)

    def classify_all(
        self, database: Database, labels: LabelSet, wanted: Wanted = _ALL, top: int = TOP
    ) -> Iterator[tuple[Place, Classified]]:
        """What each image on record shows that the filter lets through and the space covers, by id.

        Raises:
            SearchError: nothing on record was embedded by this bundle.
            BundleError, ProviderError, VisionError: the text model can't be used.
        """
        with self._lock:
            space = self.searcher(database).space
            judge = self._judge(self._eyes[space.sha256], labels)
        if not any(stored.sha256 == space.sha256 for stored in stored_spaces(database)):
            raise nothing_to_compare(database, space)
        chosen = allowed(database, space.sha256, wanted.filter, wanted.night)
        among = None if chosen is None else frozenset(chosen)
        for image in embedded(database, space.sha256):
            found = place(database, image.media_id) if among is None or image.id in among else None
            if found is not None:
                looked = _looked(vectors_from(image.vectors, space.dimension), image.detections)
                yield found, judge.judge(looked, top)

    def close(self) -> None:
        """Let go of all models and indexes; the next question opens them again."""
        with self._lock:
            self._eyes.clear()
            self._judges.clear()
            self._shelf.clear()
            self._chosen = None

    def _choice(self, database: Database) -> Chosen:
        """The bundle to answer with; counting what each has embedded takes a while, so it is kept a bit."""
        now = time.monotonic()
        kept = self._chosen
        if kept is None or kept.epoch != database.epoch or now > kept.until:
            chosen = choose(database, self._settings, only=self._only)
            # While another bundle stands in, the configured one may catch up at any time.
            until = now + (_RECHECK if chosen.note else _RECOUNT)
            self._chosen = kept = _Kept(database.epoch, until, chosen)
        return kept.chosen

    def _configured(self) -> BundleEyes:
        bundle = find_bundle(self._settings.vision.bundle, (self._settings.state / "models",))
        return self._eyes_of(bundle, bundle_sha256(bundle))

    def _eyes_of(self, bundle: Path, sha256: str) -> BundleEyes:
        if sha256 not in self._eyes:
            self._eyes[sha256] = BundleEyes(self._settings, bundle)
        return self._eyes[sha256]

    def _judge(self, eyes: BundleEyes, labels: LabelSet) -> Judge:
        key = (eyes.space.sha256, labels.sha256())
        if key not in self._judges:
            vision = self._settings.vision
            self._judges[key] = Judge(
                labels.names,
                eyes.open_set(labels),
                floor=vision.floor,
                margin=vision.margin,
                whole=labels.name == GIVEN,
            )
        self._judges.move_to_end(key)
        while len(self._judges) > _JUDGES:
            self._judges.popitem(last=False)
        return self._judges[key]


class _Shelf:
    """Indexes of one folder, read through one connection of the shelf's own.

    A database that takes another's place begins a new epoch and numbers its vectors anew: what was kept of
    the one before is let go of.
    """

    def __init__(self, folder: Path, settings: SearchSettings) -> None:
        self._folder = folder
        self._settings = settings
        self._epoch = ""
        self._database: Database | None = None
        self._libraries: dict[str, Library] = {}

    def library(self, epoch: str, space: Space) -> Library:
        """The index of a space, opened when first asked for."""
        if self._database is None or epoch != self._epoch:
            self.clear()
            self._database = open_readonly(self._folder)
            self._epoch = epoch
        if space.sha256 not in self._libraries:
            about = (self._folder, self._database, space.sha256, space.dimension)
            self._libraries[space.sha256] = open_library(*about, self._settings)
        return self._libraries[space.sha256]

    def clear(self) -> None:
        """Let go of all."""
        self._libraries.clear()
        if self._database is not None:
            self._database.close()
        self._database = None


def _looked(vectors: Float32, detections: Sequence[Detected]) -> Looked:
    """Vectors on record with the detector's scores; both have the animals in the detector's order."""
    animals = [found.score for found in detections if found.kind == "animal"]
    scores = np.ones(len(vectors) - 1, np.float32)
    known = animals[: len(scores)]
    scores[: len(known)] = known
    return Looked(vectors, scores)
