"""Where vision, store and search meet: words or pictures in, images on record out."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt

from edge.errors import SearchError, UsageError
from edge.search import Library, Match, best_of_each
from edge.service.searching.answers import Answer, Hit, Wanted
from edge.service.searching.eyes import Eyes, Space
from edge.service.searching.language import note_on
from edge.service.searching.spaces import embedded_by, nothing_to_compare
from edge.store.database import Database
from edge.store.searching import allowed, place, vectors_of

Float32 = npt.NDArray[np.float32]
_STORED = np.dtype("<f2")


class Searcher:
    """Answers queries from one database. Cheap to make: models and index are what is kept.

    Args:
        database: with the images.
        eyes: for the queries; images that their bundle has embedded are compared.
        library: of those images' vectors.
        notes: on the choice of the bundle; part of every answer.
        not_compared: images that other bundles embedded.
    """

    def __init__(
        self,
        database: Database,
        eyes: Eyes,
        library: Library,
        notes: Sequence[str] = (),
        not_compared: int = 0,
    ) -> None:
        self._db = database
        self._eyes = eyes
        self._library = library
        self._notes = tuple(notes)
        self._not_compared = not_compared

    @property
    def space(self) -> Space:
        """In which is searched."""
        return self._eyes.space

    @property
    def notes(self) -> tuple[str, ...]:
        """On the choice of the bundle; empty where it goes without saying."""
        return self._notes

    def by_words(self, query: str, wanted: Wanted) -> Answer:
        """Images that look like what the words say.

        Raises:
            UsageError: there are no words, or they aren't text.
            SearchError: nothing on record was embedded by this bundle.
            BundleError, ProviderError: the text model can't be used.
        """
        if not query.strip():
            raise UsageError("nothing to search for", hint='such as: edge search text "red fox"')
        if any(unicodedata.category(letter) == "Cs" for letter in query):
            raise UsageError("the words aren't text", subject=repr(query), hint="they must be UTF-8")
        self._refresh()
        note = note_on(query, self._eyes.languages, self._eyes.space.name)
        return self._answer(self._eyes.words(query), wanted, note)

    def by_picture(self, data: bytes, wanted: Wanted) -> Answer:
        """Images that look like a picture: like all of it, or like an animal in it.

        Raises:
            ImageError: it isn't a picture that can be decoded.
            SearchError: nothing on record was embedded by this bundle.
            BundleError, ProviderError, VisionError: the models can't be used.
        """
        return self.by_pictures([data], wanted)

    def by_pictures(self, pictures: Sequence[bytes], wanted: Wanted) -> Answer:
        """Images that look like any of some pictures, or like an animal in one of them.

        Raises:
            UsageError: there are none.
            ImageError, SearchError, BundleError, ProviderError, VisionError: as :meth:`by_picture`.
        """
        if not pictures:
            raise UsageError("no picture to search for")
        self._refresh()
        return self._answer(np.concatenate([self._eyes.look(data).vectors for data in pictures]), wanted)

    def by_media(self, media_id: str, wanted: Wanted) -> Answer:
        """Images that look like one on record, itself among them; no model is run.

        Raises:
            SearchError: it isn't on record, or this bundle has not embedded it.
        """
        queries = self.vectors(media_id)
        self._refresh()
        return self._answer(queries, wanted)

    def by_mixture(self, media: Sequence[str], pictures: Sequence[bytes], wanted: Wanted) -> Answer:
        """Images that look like any of some images on record and other pictures.

        Raises:
            UsageError, ImageError, SearchError, BundleError, ProviderError, VisionError: as the others.
        """
        if not media:
            return self.by_pictures(pictures, wanted)
        stored = [self.vectors(media_id) for media_id in media]
        self._refresh()
        seen = [self._eyes.look(data).vectors for data in pictures]
        return self._answer(np.concatenate([*stored, *seen]), wanted)

    def vectors(self, media_id: str) -> Float32:
        """An image's vectors on record: (1 + k, dimension) float32, the whole image's first.

        Raises:
            SearchError: it isn't on record, or this bundle has not embedded it.
        """
        space = self._eyes.space
        data = vectors_of(self._db, media_id, space.sha256, space.dimension)
        if not data:
            raise self._not_comparable(media_id)
        return vectors_from(data, space.dimension)

    def _refresh(self) -> None:
        self._library.refresh()
        if not len(self._library):
            raise nothing_to_compare(self._db, self._eyes.space)

    def _answer(self, queries: Float32, wanted: Wanted, note: str = "") -> Answer:
        among = allowed(self._db, self._eyes.space.sha256, wanted.filter, wanted.night)
        hits = (hit for match in self._library.ranked(queries, among) if (hit := self._hit(match)))
        best = islice(hits, wanted.top) if wanted.every else best_of_each(hits, _group, wanted.top)
        notes = (*self._notes, *([note] if note else ()))
        # What an approximate index finds late may score a little more than what came before.
        ordered = sorted(best, key=lambda hit: (-hit.score, hit.place.media_id))
        return Answer(tuple(ordered), self._not_compared, notes)

    def _hit(self, match: Match) -> Hit | None:
        found = place(self._db, match.media_id)
        return Hit(found, match.score) if found else None

    def _not_comparable(self, media_id: str) -> SearchError:
        if place(self._db, media_id) is None:
            hint = "`edge media --json` shows the media ids of those that are"
            return SearchError("no image with this content on record", subject=media_id, hint=hint)
        return SearchError(
            f"bundle {self._eyes.space.name} has not embedded this image",
            subject=media_id,
            hint=embedded_by(self._db),
        )


def _group(hit: Hit) -> str:
    # Registration ids are UUIDs and media ids begin with "sha256:", so that they can't meet.
    return hit.place.registration_id or hit.place.media_id


def vectors_from(data: bytes, dimension: int) -> Float32:
    """Stored vectors, row after row, as (n, dimension) float32.

    Raises:
        SearchError: they are of another dimension.
    """
    if len(data) % (dimension * _STORED.itemsize):
        raise SearchError(f"stored embeddings are not of {dimension} numbers", hint="the bundle was changed")
    return np.frombuffer(data, _STORED).reshape(-1, dimension).astype(np.float32)
