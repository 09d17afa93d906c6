"""Where vision, store and search meet: words or a picture in, images on record out."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from edge.errors import ImageError, SearchError, UsageError
from edge.search import Block, Index, Match, best_of_each, direction, phrases
from edge.settings import Settings
from edge.store.database import Database
from edge.store.queries import Filter
from edge.store.searching import (
    Place,
    embedded_count,
    matching,
    place,
    stored_spaces,
    vector_pages,
    vectors_of,
)
from edge.vision.bundles import find_bundle
from edge.vision.labels import load_label_set
from edge.vision.manifest import bundle_sha256, load_manifest
from edge.vision.pipeline import Vision
from edge.vision.queries import Texts

Float32 = npt.NDArray[np.float32]
_STORED = np.dtype("<f2")


class Space(NamedTuple):
    """An embedding space: the bundle that makes it.

    Attributes:
        name: of the bundle.
        sha256: its identity.
        dimension: numbers in each vector.
    """

    name: str
    sha256: str
    dimension: int


class Eyes(Protocol):
    """What search needs of vision."""

    @property
    def space(self) -> Space:
        """Where its embeddings lie."""
        ...

    def words(self, query: str) -> Float32:
        """Words as (1, dimension) float32 of length 1."""
        ...

    def picture(self, data: bytes) -> Float32:
        """A JPEG as (n, dimension) float32 of length 1: the whole, then each animal in it.

        Raises:
            ImageError: it isn't a JPEG, is too large, cut off or damaged.
        """
        ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which answers are wanted.

    Attributes:
        filter: of the images; the label is that of their registration.
        top: how many, at least 1.
        every: images one by one; otherwise the best of each registration. An image that is in none counts
            for itself.
    """

    filter: Filter = field(default_factory=Filter)
    top: int = 12
    every: bool = False


@dataclass(frozen=True, slots=True)
class Hit:
    """One answer: an image, where it belongs, and its cosine to the query."""

    place: Place
    score: float


@dataclass(frozen=True, slots=True)
class Answer:
    """Hits, best first, and how many images could not be compared, being embedded by other bundles."""

    hits: tuple[Hit, ...]
    not_compared: int


class BundleEyes:
    """``Eyes`` of a model bundle; each model is opened when it is first needed."""

    def __init__(self, settings: Settings) -> None:
        """Use the bundle that the settings name.

        Raises:
            BundleError: there is none, or its manifest can't be understood.
        """
        self._settings = settings
        self._bundle = find_bundle(settings.vision.bundle, (settings.state / "models",))
        self._manifest = load_manifest(self._bundle)
        self.space = Space(self._manifest.name, bundle_sha256(self._bundle), self._manifest.visual.dimension)
        self._texts = Texts(self._bundle, self._manifest, settings.vision.threads)

    def words(self, query: str) -> Float32:
        """See ``Eyes``. Captions are English, so only words for an English text model are put into them."""
        english = self._manifest.text.languages == ("en",)
        texts = phrases(query) if english else (query,)
        return direction(self._texts.embed(texts))[None]

    def picture(self, data: bytes) -> Float32:
        """See ``Eyes``."""
        sight = self._vision.see(data, self._settings.intake.max_pixels)
        return np.stack([e.vector for e in sight.embeddings]).astype(np.float32)

    @cached_property
    def _vision(self) -> Vision:
        settings = self._settings.vision.model_copy(update={"snapshots": False})
        labels = load_label_set(settings.labels)
        return Vision.open(self._bundle, labels, settings, self._settings.state / "cache")


class Searcher:
    """Answers queries from one database. The index is built at the first and kept.

    Args:
        database: with the images.
        eyes: for the queries; images that their bundle has embedded are compared.
        max_bytes: of a picture.
    """

    def __init__(self, database: Database, eyes: Eyes, *, max_bytes: int) -> None:
        self._db = database
        self._eyes = eyes
        self._max_bytes = max_bytes

    def by_words(self, query: str, wanted: Wanted) -> Answer:
        """Images that look like what the words say.

        Raises:
            UsageError: there are no words.
            SearchError: nothing on record was embedded by this bundle.
            BundleError, ProviderError: the text model can't be used.
        """
        if not query.strip():
            raise UsageError("nothing to search for", hint='such as: edge search text "red fox"')
        index = self._index
        return self._answer(index, self._eyes.words(query), wanted)

    def by_picture(self, path: Path, wanted: Wanted) -> Answer:
        """Images that look like a picture: like all of it, or like an animal in it.

        Raises:
            UsageError: there is no such file, or it can't be read.
            ImageError: it isn't a JPEG that can be decoded.
            SearchError: nothing on record was embedded by this bundle.
            BundleError, ProviderError, VisionError: the models can't be used.
        """
        data = self._read(path)
        index = self._index
        try:
            queries = self._eyes.picture(data)
        except ImageError as error:
            raise ImageError(error.what, subject=str(path), hint=error.hint) from error
        return self._answer(index, queries, wanted)

    def by_media(self, media_id: str, wanted: Wanted) -> Answer:
        """Images that look like one on record, itself among them; no model is run.

        Raises:
            SearchError: it isn't on record, or this bundle has not embedded it.
        """
        space = self._eyes.space
        data = vectors_of(self._db, media_id, space.sha256, space.dimension)
        if not data:
            raise self._not_comparable(media_id)
        return self._answer(self._index, _array(data, space.dimension).astype(np.float32), wanted)

    @cached_property
    def _index(self) -> Index:
        index = Index.build(_StoredVectors(self._db, self._eyes.space))
        if not len(index):
            raise _nothing_to_compare(self._db, self._eyes.space)
        return index

    @cached_property
    def _not_compared(self) -> int:
        return max(0, embedded_count(self._db) - self._index.media_count)

    def _answer(self, index: Index, queries: Float32, wanted: Wanted) -> Answer:
        ranked = index.ranked(queries, matching(self._db, wanted.filter))
        hits = (hit for match in ranked if (hit := self._hit(match)))
        best = islice(hits, wanted.top) if wanted.every else best_of_each(hits, _group, wanted.top)
        return Answer(tuple(best), self._not_compared)

    def _hit(self, match: Match) -> Hit | None:
        found = place(self._db, match.media_id)
        return Hit(found, match.score) if found else None

    def _read(self, path: Path) -> bytes:
        try:
            found = path.stat()
            if not stat.S_ISREG(found.st_mode):
                raise UsageError("picture is not a file", subject=str(path))
            if found.st_size > self._max_bytes:
                hint = f"the limit is intake.max_bytes = {self._max_bytes}"
                raise ImageError("picture is larger than allowed", subject=str(path), hint=hint)
            return path.read_bytes()
        except OSError as error:
            raise UsageError("picture can't be read", subject=str(path), hint=error.strerror or "") from error

    def _not_comparable(self, media_id: str) -> SearchError:
        if place(self._db, media_id) is None:
            hint = "`edge media --json` shows the media ids of those that are"
            return SearchError("no image with this content on record", subject=media_id, hint=hint)
        return SearchError(
            f"bundle {self._eyes.space.name} has not embedded this image",
            subject=media_id,
            hint=_others(self._db),
        )


class _StoredVectors:
    """``edge.search.Vectors``: those of one space, from the database."""

    def __init__(self, database: Database, space: Space) -> None:
        self._db = database
        self._space = space
        self.dimension = space.dimension

    def blocks(self) -> Iterator[Block]:
        for media, data in vector_pages(self._db, self._space.sha256, self.dimension):
            yield Block(media, _array(data, self.dimension))


def _array(data: bytes, dimension: int) -> npt.NDArray[np.float16]:
    return np.frombuffer(data, _STORED).reshape(-1, dimension)


def _group(hit: Hit) -> str:
    # Registration ids are UUIDs and media ids begin with "sha256:", so that they can't meet.
    return hit.place.registration_id or hit.place.media_id


def _nothing_to_compare(database: Database, space: Space) -> SearchError:
    others = _others(database)
    if not others:
        return SearchError("nothing to search yet: no image has been embedded", hint="start `edge run` first")
    return SearchError(
        f"no image was embedded by bundle {space.name}", subject=space.sha256[:12], hint=others
    )


def _others(database: Database) -> str:
    """Which bundles the images on record were embedded by, and what to do; empty if there are none."""
    found = [f"{s.media_count} by {s.name or 'a bundle'} {s.sha256[:12]}" for s in stored_spaces(database)]
    return f"embedded: {', '.join(found)}; give --bundle the folder of that one" if found else ""
