"""Finding what was seen, by words or by a picture.

``Library`` answers: images, by how near their embeddings lie to a query's. ``Indexer`` keeps the files that
it maps, which are a function of where the vectors are kept, and can be thrown away. ``ranking`` orders images
and keeps the best of each group. ``phrases`` is what becomes of words before they are embedded. The room
knows neither the database nor the models: vectors come through ``Source``, queries as arrays.
"""

from edge.search.cells import StoppedError
from edge.search.indexer import Indexer
from edge.search.library import Library
from edge.search.phrases import direction, phrases
from edge.search.ranking import best_of_each
from edge.search.types import Block, Facts, Found, Match, Sizes, Source

__all__ = [
    "Block",
    "Facts",
    "Found",
    "Indexer",
    "Library",
    "Match",
    "Sizes",
    "Source",
    "StoppedError",
    "best_of_each",
    "direction",
    "phrases",
]
