"""What the index is made of, where it comes from, and what it answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Float16 = npt.NDArray[np.float16]
Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]


class Block(NamedTuple):
    """Some vectors: ``ids`` is (n,) int64, ascending; ``vectors`` (n, dimension) float16, of length 1."""

    ids: Numbers
    vectors: Float16


class Found(NamedTuple):
    """Rows that were asked for and exist, in any order.

    Attributes:
        ids: (n,) int64.
        media: the n images that they belong to.
        vectors: (n, dimension) float16.
    """

    ids: Numbers
    media: Sequence[str]
    vectors: Float16


class Source(Protocol):
    """Where vectors are kept for good: those of one embedding space.

    Ids begin at 1 and only ever grow: what was stored after id n has a larger one, and no id is used twice.
    A row never changes; it may be deleted.
    """

    @property
    def dimension(self) -> int:
        """Numbers in each vector."""
        ...

    def newest(self) -> int:
        """The largest id given so far, of whichever space; 0 if none was."""
        ...

    def count(self, after: int, upto: int | None = None) -> int:
        """How many vectors there are with ``after`` < id <= ``upto`` (None: no end)."""
        ...

    def blocks(self, after: int, upto: int | None = None) -> Iterator[Block]:
        """Vectors with ``after`` < id <= ``upto`` (None: no end) by ascending id, in blocks of any size."""
        ...

    def rows(self, ids: Sequence[int]) -> Found:
        """Those of these rows that exist."""
        ...


class Match(NamedTuple):
    """An image and its score: the largest inner product of a query's vector with one of the image's.

    Both have length 1, so it is the cosine, from -1 to 1, with an error of some 1e-4 from float16.
    """

    media_id: str
    score: float


class Facts(NamedTuple):
    """What an index is at present.

    Attributes:
        kind: exact: every vector is compared; approximate: those of the most promising cells.
        vectors: that it knows, those included that were deleted since they were sealed.
        sealed: of them, in files.
        shards: files.
        size: bytes of the files.
    """

    kind: Literal["exact", "approximate"]
    vectors: int
    sealed: int
    shards: int
    size: int


class Sizes(NamedTuple):
    """How an index is cut up.

    Attributes:
        base: vectors in the smallest shard; fewer are left to whoever searches.
        fan: shards of one level that become one of the next.
        levels: there are; the largest shard has ``base * fan ** (levels - 1)`` vectors.
        exact: vectors up to which each is compared; beyond, the index is approximate.
        growth: the cells are found anew when there are so many times as many vectors.
    """

    base: int = 4096
    fan: int = 4
    levels: int = 4
    exact: int = 131_072
    growth: int = 4

    def rows(self, level: int) -> int:
        """Vectors in a shard of this level."""
        return int(self.base * self.fan**level)
