"""From rows that may be near to images in their order, and to what people want to see: one of each group."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Final, TypeVar

import numpy as np

from edge.search.types import Float32, Match, Numbers, Source

T = TypeVar("T")
_DIGITS: Final = 9
_DOUBT: Final = 1e-5
"""Two ways of adding up the same products differ by less."""


class Ranking:
    """Images in their final order, as far as the rows that were found decide it.

    Rows are scored as the source has them now, so that what was deleted drops out. A row that wasn't found
    scores at most as much as the worst that was. So an image's score is final, and no other can come before
    it, if it lies above that. Images at the boundary itself wait for a deeper look: others may be equal.
    """

    def __init__(self, source: Source, queries: Float32, *, exact: bool) -> None:
        """Rank by ``queries``, (q, dimension); ``exact`` tells whether all rows are compared."""
        self._source = source
        self._queries = queries.astype(np.float64)
        self._doubt = _DOUBT if exact else 0.0
        self._scored = np.empty(0, np.int64)
        self._best: dict[str, float] = {}
        self._given: set[str] = set()

    def take(self, ids: Numbers, boundary: float) -> Iterator[Match]:
        """Images that are decided now and weren't before.

        Args:
            ids: rows that were found, -1 for none.
            boundary: no other row scores more; -inf if there is no other.
        """
        new = np.setdiff1d(ids[ids >= 0], self._scored)
        self._scored = np.union1d(self._scored, new)
        self._score(new)
        least = boundary + self._doubt
        decided = [(-s, m) for m, s in self._best.items() if s > least and m not in self._given]
        for score, media_id in sorted(decided):
            self._given.add(media_id)
            yield Match(media_id, -score)

    def _score(self, ids: Numbers) -> None:
        found = self._source.rows(ids.tolist())
        products = found.vectors.astype(np.float64) @ self._queries.T
        # What is equal must be, in whatever order products were added up; and a vector that was rounded to
        # float16 can be a little longer than 1.
        scores = np.minimum(products.max(1, initial=-np.inf).round(_DIGITS), 1.0).tolist()
        for media_id, score in zip(found.media, scores, strict=True):
            if score > self._best.get(media_id, -np.inf):
                self._best[media_id] = score


def best_of_each(ranked: Iterable[T], group: Callable[[T], Hashable], top: int) -> list[T]:
    """The first of each group, in order, until there are ``top``; the rest isn't read.

    Args:
        ranked: best first.
        group: of one item.
        top: how many groups, at least 1.
    """
    best: dict[Hashable, T] = {}
    for item in ranked:
        best.setdefault(group(item), item)
        if len(best) == top:
            break
    return list(best.values())
