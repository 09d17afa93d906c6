"""Vectors in memory, as an index gets them from the database, and what comparing all of them says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from edge.search import Block, Found, Library, Match

Float16 = npt.NDArray[np.float16]
Float32 = npt.NDArray[np.float32]
DIMENSION = 8


class Shelf:
    """A ``Source``. Its vectors are few, and at times the same, so that scores are equal often."""

    def __init__(self, dimension: int = DIMENSION) -> None:
        self.dimension = dimension
        self.kept: dict[int, tuple[str, Float16]] = {}
        self._newest = 0
        self.read = 0

    def add(self, media: str, vector: Float32) -> int:
        """Store one vector of an image; returns its id."""
        self._newest += 1
        self.kept[self._newest] = (media, vector.astype(np.float16))
        return self._newest

    def newest(self) -> int:
        """See ``Source``."""
        return self._newest

    def count(self, after: int, upto: int | None = None) -> int:
        """See ``Source``."""
        return len(self._between(after, upto))

    def blocks(self, after: int, upto: int | None = None) -> Iterator[Block]:
        """See ``Source``."""
        chosen = self._between(after, upto)
        for start in range(0, len(chosen), 7):
            part = chosen[start : start + 7]
            self.read += len(part)
            yield Block(np.array(part, np.int64), np.stack([self.kept[row][1] for row in part]))

    def rows(self, ids: Sequence[int]) -> Found:
        """See ``Source``."""
        chosen = [row for row in ids if row in self.kept]
        vectors = np.array([self.kept[row][1] for row in chosen], np.float16)
        media = [self.kept[row][0] for row in chosen]
        return Found(np.array(chosen, np.int64), media, vectors.reshape(-1, self.dimension))

    def best(self, queries: Float32, allowed: Sequence[int] | None = None) -> list[Match]:
        """All images in their right order: every pair compared, one by one."""
        found: dict[str, float] = {}
        for row, (media, vector) in self.kept.items():
            if allowed is None or row in allowed:
                products = [float(vector.astype(np.float64) @ q) for q in queries.astype(np.float64)]
                found[media] = max(found.get(media, -2.0), min(1.0, round(max(products), 9)))
        return sorted(
            (Match(m, s) for m, s in found.items()), key=lambda match: (-match.score, match.media_id)
        )

    def _between(self, after: int, upto: int | None) -> list[int]:
        return [row for row in sorted(self.kept) if row > after and (upto is None or row <= upto)]


def units(count: int, seed: int, dimension: int = DIMENSION) -> Float32:
    """(count, dimension) directions, of which many are the same."""
    random = np.random.default_rng(seed)
    coarse = random.integers(-2, 3, (count, dimension)).astype(np.float32)
    coarse[:, 0] += 0.5  # never of length 0
    scaled: Float32 = coarse / np.linalg.norm(coarse, axis=1, keepdims=True)
    return scaled


def same(found: Sequence[Match], expected: Sequence[Match]) -> bool:
    """Whether the same images come in the same order, with the same scores."""
    return [m.media_id for m in found] == [m.media_id for m in expected] and bool(
        np.allclose([m.score for m in found], [m.score for m in expected], atol=1e-9)
    )


def everything(library: Library, queries: Float32) -> list[Match]:
    """All that a library gives, to its end."""
    return library.nearest(queries, 10**9)
