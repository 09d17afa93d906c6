"""Where the index meets the store: its source is the database, its files lie in the state folder's cache.

The index is a function of the database and can be thrown away. Whoever asks maps the sealed part and reads
what is newer; the daemon seals while no image waits (``librarian``), and so does who fills a collection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from edge.search import Block, Facts, Found, Indexer, Library, Sizes
from edge.settings import SearchSettings
from edge.store.database import Database
from edge.store.searching import (
    newest_vector,
    vector_count,
    vector_dimension,
    vector_pages,
    vector_rows,
)

FOLDER: Final = Path("cache") / "search"
_SHA: Final = 12
_STORED: Final = np.dtype("<f2")


class StoredVectors:
    """``edge.search.Source``: the vectors of one bundle, from the database."""

    def __init__(self, database: Database, bundle: str, dimension: int) -> None:
        """Read from ``database`` those that the bundle with this SHA-256 made."""
        self._db = database
        self._bundle = bundle
        self.dimension = dimension

    def newest(self) -> int:
        """See ``Source``."""
        return newest_vector(self._db)

    def count(self, after: int, upto: int | None = None) -> int:
        """See ``Source``."""
        return vector_count(self._db, self._bundle, after, upto)

    def blocks(self, after: int, upto: int | None = None) -> Iterator[Block]:
        """See ``Source``."""
        for ids, data in vector_pages(self._db, self._bundle, self.dimension, after, upto):
            yield Block(np.array(ids, np.int64), self._array(data))

    def rows(self, ids: Sequence[int]) -> Found:
        """See ``Source``."""
        rows = vector_rows(self._db, ids, self.dimension)
        return Found(np.array(rows.ids, np.int64), rows.media, self._array(rows.data))

    def _array(self, data: bytes) -> npt.NDArray[np.float16]:
        return np.frombuffer(data, _STORED).reshape(-1, self.dimension)


def index_folder(state: Path, database: Database, bundle: str) -> Path:
    """Where the index of a bundle's vectors lies."""
    return state / FOLDER / folder_name(database, bundle)


def folder_name(database: Database, bundle: str) -> str:
    """Its name: a database that takes another's place has another epoch."""
    return f"{database.epoch}-{bundle[:_SHA]}"


def open_library(
    state: Path, database: Database, bundle: str, dimension: int, settings: SearchSettings | None = None
) -> Library:
    """An index to ask, of the vectors of one bundle.

    Args:
        state: the state folder, or a collection's.
        database: of that folder; it is read, from the threads that ask.
        bundle: SHA-256.
        dimension: of its vectors.
        settings: how far to look.

    Raises:
        StoreError: the database can't be read.
    """
    settings = settings or SearchSettings()
    source = StoredVectors(database, bundle, dimension)
    return Library(index_folder(state, database, bundle), source, probes=settings.probes)


def seal(
    state: Path,
    database: Database,
    bundle: str,
    dimension: int,
    settings: SearchSettings,
    *,
    going: Callable[[], bool] = lambda: True,
) -> Facts:
    """Bring the files of an index up to date; what is left is little, and read by whoever asks.

    Args:
        state: the state folder, or a collection's.
        database: of that folder.
        bundle: SHA-256.
        dimension: of its vectors.
        settings: how the index is cut up.
        going: asked now and then; False stops, and what is done is kept.

    Raises:
        DiskFullError: there is no space; search works all the same.
        SearchError: the folder can't be written.
        StoreError: the database can't be read.
    """
    source = StoredVectors(database, bundle, dimension)
    indexer = Indexer(index_folder(state, database, bundle), source, sizes_of(settings))
    while going() and indexer.step(going):
        pass
    return indexer.facts()


def facts_of(state: Path, database: Database, bundle: str) -> Facts | None:
    """What the index of a bundle's vectors is; None if there are no vectors.

    Raises:
        StoreError: the database can't be read.
    """
    dimension = vector_dimension(database, bundle)
    if not dimension:
        return None
    source = StoredVectors(database, bundle, dimension)
    return Indexer(index_folder(state, database, bundle), source).facts()


def sizes_of(settings: SearchSettings) -> Sizes:
    """How an index is cut up."""
    return Sizes(exact=settings.exact_up_to)
