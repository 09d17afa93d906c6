"""Finding what was seen, by words or by a picture.

``index`` ranks images by how near their embeddings lie to a query's, exactly. ``ranking`` keeps the best of
each group. ``phrases`` is what becomes of words before they are embedded. The room knows neither the
database nor the models: vectors come through ``Vectors``, queries as arrays.
"""

from edge.search.index import Block, Index, Match, Vectors
from edge.search.phrases import direction, phrases
from edge.search.ranking import best_of_each

__all__ = ["Block", "Index", "Match", "Vectors", "best_of_each", "direction", "phrases"]
